#include "rating/quote.h"

#include <algorithm>
#include <set>

#include "rating/account_grants.h"
#include "rating/conversion.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

absl::Status Wrong(std::string_view what, std::string_view which, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kInvalidArgument, what, which, what_to_do);
}

template <typename Items, typename NameOf>
std::string NamesOf(const Items& items, const NameOf& name_of) {
  constexpr size_t kNamesMax = 20;
  std::string names;
  size_t count = 0;
  for (const auto& item : items) {
    if (++count > kNamesMax) return names + " …";
    names.append(names.empty() ? "" : ", ").append(name_of(item));
  }
  return names;
}

// A value that the filter takes: of any, one that nothing lists by mistake.
std::string SomeValueOf(const AcceptedValues& accepted) {
  return accepted.any || accepted.listed.empty() ? "*" : accepted.listed.front();
}

// The charge without what bounds its worth, and those bounds alone.
Charge WithoutBounds(Charge charge) {
  charge.maximum.reset();
  charge.minimum.reset();
  return charge;
}
Charge BoundsOf(Charge charge) {
  charge.discount = Price();
  charge.commitment.reset();
  return charge;
}

absl::Status DoesNotFit(const Charge& charge) {
  return MakeError(absl::StatusCode::kOutOfRange, "the quote does not fit", "charge " + charge.name,
                   "ask for less, or check the charge's prices and the meter's unit");
}

}  // namespace

absl::StatusOr<Catalog> WithPlanOnly(Catalog catalog, std::string_view plan, Day from) {
  const auto found = std::ranges::find(catalog.plans, plan, &Plan::name);
  if (found == catalog.plans.end()) {
    return Wrong("the catalog has no such plan", plan,
                 "it has " + NamesOf(catalog.plans, [](const Plan& one) { return one.name; }));
  }
  Subscription subscription;
  subscription.subject = kQuotedSubject;
  subscription.id = kQuotedSubject;
  subscription.plan = static_cast<uint32_t>(found - catalog.plans.begin());
  subscription.zone = catalog.book.zone;
  found->trial_days = 0;
  catalog.subscriptions = {subscription};
  BeginPlanOn(from, &catalog);
  return catalog;
}

void BeginPlanOn(Day from, Catalog* catalog) {
  Subscription& subscription = catalog->subscriptions.front();
  const Plan& plan = catalog->plans[subscription.plan];
  const bool matters = plan.billing.by_subscription || OwesWithoutUsage(plan) ||
                       std::ranges::any_of(plan.charges, [](const Charge& charge) {
                         return charge.rollover || (charge.billing && charge.billing->by_subscription);
                       });
  subscription.valid_from = matters ? from : Day();
  catalog->BuildIndex();
}

absl::StatusOr<Catalog> WithSubscriptionOnly(Catalog catalog, std::string_view subscription) {
  std::erase_if(catalog.subscriptions, [&](const Subscription& one) { return one.id != subscription; });
  if (catalog.subscriptions.empty()) {
    return Wrong("the catalog has no such subscription", subscription, "look it up in subscriptions.csv");
  }
  catalog.BuildIndex();
  return catalog;
}

BillingPeriod PeriodAround(const Plan& plan, Day day) {
  BillingCycle cycle = plan.billing.cycle;
  if (plan.billing.by_subscription) cycle.anchor = day;
  return PeriodOf(cycle, day);
}

absl::Status SaidUsage::Add(const Plan& plan, std::string_view name, Quantity quantity, Instant at,
                            const Dimensions& dimensions) {
  const auto charge = std::ranges::find(plan.charges, name, &Charge::name);
  const bool is_charge = charge != plan.charges.end();
  if (is_charge && charge->meter.empty()) {
    return Wrong("a quantity of a charge that has no usage", name,
                 "ask for a period instead: a fee's units are the subscription's quantity");
  }
  const Meter* meter = catalog_.FindMeter(is_charge ? charge->meter : name);
  if (meter == nullptr) {
    return Wrong(
        "neither a charge of the plan nor a meter", name,
        "plan " + plan.name + " has the charges " + NamesOf(plan.charges, [](const Charge& one) { return one.name; }));
  }
  std::vector<std::string> values;
  for (const std::string& dimension : meter->dimensions) {
    std::string& value = values.emplace_back();
    if (const auto said = dimensions.find(dimension); said != dimensions.end()) {
      value = said->second;
    } else if (is_charge && charge->filter.contains(dimension)) {
      value = SomeValueOf(charge->filter.at(dimension));
    }
  }
  const std::vector<std::string_view> views(values.begin(), values.end());
  if (is_charge && catalog_.ChargeFor(plan, *meter, views) != &*charge) {
    return Wrong("the charge does not take such usage", name,
                 "say the dimensions that its filter or cells ask for, with --dimension");
  }
  return AddTotal(*meter, std::move(values), quantity, at);
}

absl::Status SaidUsage::CheckDimensions(const Dimensions& dimensions) const {
  std::set<std::string, std::less<>> known;
  for (const SubjectTotal& total : totals_)
    known.insert(total.meter->dimensions.begin(), total.meter->dimensions.end());
  for (const auto& [name, value] : dimensions) {
    if (known.contains(name)) continue;
    const std::string names = NamesOf(known, [](const std::string& one) { return one; });
    return Wrong("the quantities have no such dimension", name, names.empty() ? "leave it out" : "they have " + names);
  }
  return absl::OkStatus();
}

absl::Status SaidUsage::AddTotal(const Meter& meter, std::vector<std::string> values, Quantity quantity, Instant at) {
  if (quantity.attos < 0 && !AcceptsNegative(meter)) {
    return Wrong("a negative quantity", "meter " + meter.name + ", " + ToString(quantity),
                 "the meter needs allow_negative: true for it");
  }
  const TotalForm form = FormOf(meter);
  if (meter.aggregation == Aggregation::kUniqueCount) {
    return Wrong("a quantity for a meter that counts different values", "meter " + meter.name,
                 "give its events with --usage");
  }
  UsageTotal total{quantity, 1, HasTime(form) ? at : Instant()};
  if (meter.aggregation == Aggregation::kCount) {
    if (quantity.attos < 0 || quantity.attos % kOneUnit != 0 || quantity.attos / kOneUnit > INT64_MAX) {
      return Wrong("not a number of events", "meter " + meter.name + ", " + ToString(quantity),
                   "the meter counts events: say a whole number");
    }
    total.events = static_cast<uint64_t>(quantity.attos / kOneUnit);
    if (IsOfElements(form)) total.value = Quantity::Units(1);  // each event's
  }
  const Bucket bucket = BucketOf(meter.granularity, at, catalog_.book.zone);
  for (SubjectTotal& other : totals_) {
    const bool same =
        other.meter == &meter && other.bucket == bucket && std::ranges::equal(other.dimension_values, values);
    if (!same || IsOfElements(form)) continue;
    if (Merge(meter.aggregation, total, &other.total)) return absl::OkStatus();
    return MakeError(absl::StatusCode::kOutOfRange, "the usage does not fit a quantity", "meter " + meter.name,
                     "ask for less");
  }
  texts_.push_back(std::move(values));
  values_.emplace_back(texts_.back().begin(), texts_.back().end());
  totals_.push_back({&meter, values_.back(), bucket, total});
  return absl::OkStatus();
}

namespace {

class Quoter {
 public:
  Quoter(const Catalog& catalog, const QuoteRequest& request) : catalog_(catalog), request_(request) {}

  absl::StatusOr<Quote> Make() {
    TOLLBOOK_RETURN_IF_ERROR(TakeUsage());
    absl::StatusOr<RatedSubject> rated = RateSubject(catalog_, request_.subject, usage_, Window());
    if (!rated.ok()) return rated.status();
    for (const RatedCharge& charge : rated->charges) {
      const bool is_before = request_.period && charge.period.end <= request_.period->start;
      if (is_before) continue;  // only there for what it carries into the period
      if (!IsAskedFor(charge)) {
        quote_.events_left_out += charge.days.back().events_to_date;
        LeaveOutLine(charge);
        continue;
      }
      absl::StatusOr<QuotedCharge> quoted = Worked(charge);
      if (!quoted.ok()) return quoted.status();
      TOLLBOOK_RETURN_IF_ERROR(LessBilled(charge, &*quoted));
      quote_.charges.push_back(*std::move(quoted));
    }
    LeaveOutOfPlans();
    quote_.unrated = std::move(rated->unrated);
    quote_.unit_balances = std::move(rated->unit_balances);
    return std::move(quote_);
  }

 private:
  bool IsOfAsked(const RatedCharge& rated) const {
    return IsOfAsked(rated.charge->is_discount ? DiscountedBy(rated) : *rated.charge);
  }
  bool IsOfAsked(const Charge& charge) const { return request_.charge.empty() || charge.name == request_.charge; }
  bool IsAskedFor(const RatedCharge& rated) const {
    if (!IsOfAsked(rated)) return false;
    // What was used or billed before is of one charge with usage: another that is named is refused (TakePrevious).
    const bool is_named = !request_.charge.empty() && rated.meter == nullptr && !rated.charge->is_discount;
    if (is_slice() && IsWithoutUsage(rated) && !is_named) return false;
    // Other usage is left out already.
    return IsIn(rated) || !(IsWithoutUsage(rated) || CarriesOver(*rated.meter) || rated.charge->rollover);
  }
  bool IsIn(const RatedCharge& rated) const {
    return !request_.period || (request_.period->start <= rated.days.back().usage_date &&
                                rated.days.front().usage_date < request_.period->end);
  }

  // That of a grant, or of a discount on the charge that was asked for.
  void LeaveOutLine(const RatedCharge& rated) {
    const bool is_grant = rated.charge->is_of_grant && (is_slice() || !IsOfAsked(rated));
    const bool is_discount = rated.charge->is_discount && IsOfAsked(rated);
    if (IsIn(rated) && (is_grant || is_discount)) LeaveOut(PlanOf(rated), *rated.charge);
  }

  void LeaveOut(const Plan& plan, const Charge& charge) {
    using Why = NotQuoted::Why;
    const Why why = is_slice()                                                   ? Why::kSlice
                    : !request_.charge.empty() && charge.name != request_.charge ? Why::kCharge
                                                                                 : Why::kCalendar;
    const bool is_known = std::ranges::any_of(
        quote_.not_quoted, [&](const NotQuoted& one) { return one.plan == &plan && one.charge == &charge; });
    if (!is_known) quote_.not_quoted.push_back({why, &plan, &charge});
  }

  // What the calendar or a bound owed has a line, if it was asked for. So has usage, with its charge's minimum.
  void LeaveOutOfPlans() {
    for (const Subscription& subscription : catalog_.SubscriptionsOf(request_.subject)) {
      const Plan& plan = catalog_.plans[subscription.plan];
      for (const Charge& charge : plan.charges) {
        const bool is_quoted =
            std::ranges::any_of(quote_.charges, [&](const QuotedCharge& quoted) { return quoted.charge == &charge; });
        const bool is_maximum = charge.bound && charge.bound->is_maximum;
        const bool was_rated = !is_slice() && IsOfAsked(charge) && (is_maximum || request_.period || request_.through);
        const bool is_other_usage = !charge.meter.empty() && !IsOfAsked(charge);
        if (IsDueWithoutUsage(charge) && !is_quoted && !was_rated && !is_other_usage) LeaveOut(plan, charge);
      }
    }
  }

  const Plan& PlanOf(const RatedCharge& rated) const { return catalog_.plans[rated.subscription->plan]; }
  const Charge& DiscountedBy(const RatedCharge& rated) const {
    const Plan& plan = PlanOf(rated);
    return plan.charges[static_cast<size_t>(rated.charge - plan.discount_lines.data()) % plan.charges.size()];
  }
  RateWindow Window() const {
    RateWindow window(request_.through);
    if (request_.period) window.carried_through = Day{request_.period->end.number - 1};
    return window;
  }
  bool is_slice() const { return request_.previous_quantity.has_value() || request_.previous_billed.has_value(); }

  // The usage that is in the period, and what was used of it before.
  absl::Status TakeUsage() {
    const Catalog::SubscriptionRange subscriptions = catalog_.SubscriptionsOf(request_.subject);
    for (const SubjectTotal& total : request_.usage) {
      const UsagePlace place = PlaceOf(catalog_, subscriptions, total.meter->granularity, total.bucket);
      const Day day = place.day;
      const bool before = request_.period.has_value() && day < request_.period->start;
      const bool behind = (request_.period.has_value() && day >= request_.period->end) ||
                          (request_.through.has_value() && day > *request_.through);
      // What carries over is what there is in the period.
      const bool is_carried = before && (CarriesOver(*total.meter) || LeavesUnits(place, total));
      if ((before && !is_carried) || behind) {
        quote_.events_left_out += total.total.events;
      } else {
        usage_.push_back(total);
      }
    }
    return is_slice() ? TakePrevious() : absl::OkStatus();
  }

  absl::Status TakePrevious() {
    absl::StatusOr<RatedSubject> rated = RateSubject(catalog_, request_.subject, usage_, Window());
    if (!rated.ok()) return rated.status();
    const auto asked =
        std::ranges::count_if(rated->charges, [&](const RatedCharge& charge) { return IsAskedFor(charge); });
    if (asked != 1) {
      return Wrong("what was used or billed before is of one charge and billing period",
                   "the usage is of " + std::to_string(asked), "ask for one charge with --charge, and for one period");
    }
    const RatedCharge& charge =
        *std::ranges::find_if(rated->charges, [&](const RatedCharge& one) { return IsAskedFor(one); });
    if (IsWithoutUsage(charge)) {
      return Wrong("what was used or billed before, of a charge without usage", charge.charge->name,
                   "ask for a charge that has some with --charge");
    }
    if (!request_.previous_quantity.has_value()) return absl::OkStatus();
    TOLLBOOK_RETURN_IF_ERROR(CheckPrevious(charge));
    SubjectTotal previous = *FirstOf(*charge.charge);
    previous_part_ = charge.parts.empty() ? 0 : charge.parts.front().part;
    // How many events it was is not known: one, for a total without any does not merge. Nothing used was none.
    if (*request_.previous_quantity == Quantity()) return absl::OkStatus();
    previous.total = {*request_.previous_quantity, 1, {}};
    previous_events_ = 1;
    usage_.push_back(previous);
    return absl::OkStatus();
  }

  // One number must say all that was used before.
  absl::Status CheckPrevious(const RatedCharge& rated) const {
    const Charge& charge = *rated.charge;
    if (!rated.amended.empty()) {
      return Wrong("a quantity used before, of a charge that other versions or periods go on into", charge.name,
                   "give all usage with --usage");
    }
    const bool nothing = *request_.previous_quantity == Quantity();
    const bool in_parts =
        charge.per_bucket != PerBucket::kNone || UsageToDate(rated, rated.days.back()).parts.size() > 1;
    if (in_parts && !nothing) {
      return Wrong("one quantity used before, of a charge that prices several apart", charge.name,
                   "give all usage of the period with --usage");
    }
    if ((charge.pricing.price_per_event != Price() || IsOfEvents(charge)) && !nothing) {
      return Wrong("a quantity used before, of a charge with a price for each event", charge.name,
                   "give all usage of the period with --usage");
    }
    return absl::OkStatus();
  }

  const SubjectTotal* FirstOf(const Charge& charge) const {
    const SubjectTotal* first = nullptr;
    for (const SubjectTotal& total : usage_) {
      const UsagePlace place =
          PlaceOf(catalog_, catalog_.SubscriptionsOf(request_.subject), total.meter->granularity, total.bucket);
      if (place.subscription == nullptr) continue;
      const Plan& plan = catalog_.plans[place.subscription->plan];
      if (plan.is_trial_free && place.day < catalog_.FirstPaidDayOf(*place.subscription)) continue;
      if (catalog_.ChargeFor(plan, *total.meter, total.dimension_values) != &charge) continue;
      if (first == nullptr || total.bucket < first->bucket) first = &total;
    }
    TOLLBOOK_ASSERT(first != nullptr);  // it was rated
    return first;
  }

  // Is it of a billing period before the one that is asked for, whose included units roll over?
  bool LeavesUnits(const UsagePlace& place, const SubjectTotal& total) const {
    if (place.subscription == nullptr) return false;
    const Plan& plan = catalog_.plans[place.subscription->plan];
    const Charge* charge = catalog_.ChargeFor(plan, *total.meter, total.dimension_values);
    if (charge == nullptr || !charge->rollover) return false;
    const BillingCycle cycle = catalog_.CycleOf(charge->billing.value_or(plan.billing), *place.subscription);
    return PeriodOf(cycle, place.day).end <= request_.period->start;
  }

  absl::StatusOr<QuotedCharge> Worked(const RatedCharge& rated) const {
    const DayWorth& day = rated.days.back();
    QuotedCharge quoted;
    quoted.subscription = rated.subscription;
    quoted.charge = rated.charge;
    quoted.period = rated.period;
    quoted.quantity = day.to_date;
    quoted.events = day.events_to_date - previous_events_;
    if (rated.meter != nullptr) {
      TOLLBOOK_RETURN_IF_ERROR(ConvertUnits(*rated.charge, UsageToDate(rated, day), &quoted.converted));
    }
    absl::StatusOr<Worth> exact = PriceToDate(rated, day, &quoted.steps);
    if (!exact.ok()) return exact.status();
    quoted.exact = *exact;
    absl::StatusOr<Rounded> rounded = RoundToMinor(*exact, CurrencyOf(rated), catalog_.book.rounding);
    if (!rounded.ok()) return rounded.status();
    TOLLBOOK_ASSERT(rounded->line == day.booked_to_date);  // the steps are those of the amount that a seal books
    quoted.rounded = rounded->line;
    quoted.residue = rounded->residue;
    return quoted;
  }

  static absl::Status ConvertUnits(const Charge& charge, const PeriodUsage& usage, std::optional<Quantity>* sum) {
    if (!charge.conversion.has_value()) return absl::OkStatus();
    *sum = Quantity();
    for (const UsagePart& part : usage.parts) {
      Quantity converted;
      if (!Convert(*charge.conversion, part.quantity, &converted) || !Add(**sum, converted, &**sum))
        return DoesNotFit(charge);
    }
    return absl::OkStatus();
  }

  absl::Status LessBilled(const RatedCharge& rated, QuotedCharge* quoted) const {
    const Currency currency = CurrencyOf(rated);
    quoted->is_slice = is_slice();
    absl::StatusOr<Worth> billed = Billed(*rated.charge);
    if (!billed.ok()) return billed.status();
    quoted->billed = *billed;
    absl::StatusOr<Rounded> rounded = RoundToMinor(*billed, currency, catalog_.book.rounding);
    if (!rounded.ok()) return rounded.status();
    quoted->billed_rounded = rounded->line;
    if (is_slice() && !request_.previous_quantity.has_value()) TOLLBOOK_RETURN_IF_ERROR(AddBilled(rated, quoted));
    absl::StatusOr<Money> due = Subtract(quoted->rounded, quoted->billed_rounded);
    if (!due.ok()) return due.status();
    quoted->is_breakage = IsBreakage(catalog_, rated);
    if (quoted->is_breakage) {
      quoted->due = {currency, 0};
      return absl::OkStatus();
    }
    quoted->due = *due;
    const bool fits = Wide::Subtract(quoted->exact.amount, billed->amount, &quoted->due_exact.amount);
    return fits ? absl::OkStatus() : DoesNotFit(*rated.charge);
  }

  // Nothing was billed for nothing used.
  absl::StatusOr<Worth> Billed(const Charge& charge) const {
    if (request_.previous_billed.has_value()) return *request_.previous_billed;
    if (!request_.previous_quantity.has_value() || *request_.previous_quantity == Quantity()) return Worth();
    // The period goes on, so that no minimum was due.
    return PricePeriod(charge, {{{{}, previous_part_, *request_.previous_quantity, 0}}, false});
  }

  // The worth to date is what was billed and what this usage is worth, within the charge's bounds.
  absl::Status AddBilled(const RatedCharge& rated, QuotedCharge* quoted) const {
    if (rated.charge->commitment.has_value() && rated.charge->per_bucket == PerBucket::kNone) {
      return Wrong("only what was billed before, of a charge with a commitment", rated.charge->name,
                   "say what was used before too, or give all usage of the period");
    }
    const PeriodUsage usage = UsageToDate(rated, rated.days.back());
    absl::StatusOr<Worth> of_usage = PricePeriod(WithoutBounds(*rated.charge), usage, &quoted->steps);
    if (!of_usage.ok()) return of_usage.status();
    quoted->steps.insert(quoted->steps.begin(), {"billed before", Quantity(), Price(), quoted->billed});
    Worth sum, bound;
    const bool fits = Wide::Add(of_usage->amount, quoted->billed.amount, &sum.amount) &&
                      PriceAround(BoundsOf(*rated.charge), sum, usage.complete, &quoted->exact, usage.minimum_share) &&
                      Wide::Subtract(quoted->exact.amount, sum.amount, &bound.amount);
    if (!fits) return DoesNotFit(*rated.charge);
    if (!bound.amount.zero()) {
      const std::string what = bound.amount.negative() ? "above the maximum of " + ToString(*rated.charge->maximum)
                                                       : "up to the minimum of " + ToString(*rated.charge->minimum);
      quoted->steps.push_back({what, Quantity(), Price(), bound});
    }
    absl::StatusOr<Rounded> rounded = RoundToMinor(quoted->exact, quoted->rounded.currency, catalog_.book.rounding);
    if (!rounded.ok()) return rounded.status();
    quoted->rounded = rounded->line;
    quoted->residue = rounded->residue;
    return absl::OkStatus();
  }

  Currency CurrencyOf(const RatedCharge& rated) const { return PlanOf(rated).currency; }

  const Catalog& catalog_;
  const QuoteRequest& request_;
  std::vector<SubjectTotal> usage_;
  uint32_t previous_part_ = 0;  // of the charge
  uint64_t previous_events_ = 0;
  Quote quote_;
};

}  // namespace

absl::StatusOr<Quote> MakeQuote(const Catalog& catalog, const QuoteRequest& request) {
  return Quoter(catalog, request).Make();
}

absl::StatusOr<Money> EstimateTax(const QuoteTotal& total, Price share, Rounding rounding) {
  Money tax{total.taxable.currency, 0};
  if (RoundedQuotient(Wide::Product(total.taxable.minor, share.attos), kOneUnit, rounding, &tax.minor)) return tax;
  return MakeError(absl::StatusCode::kOutOfRange, "the tax does not fit", ToString(total.taxable), "ask for less");
}

absl::StatusOr<std::vector<QuoteTotal>> TotalsOf(const Quote& quote) {
  std::map<std::string_view, QuoteTotal> totals;
  for (const QuotedCharge& charge : quote.charges) {
    const Money nothing{charge.due.currency, 0};
    QuoteTotal& total = totals.try_emplace(charge.due.currency.code(), QuoteTotal{{}, nothing, nothing}).first->second;
    for (const auto& [sum, amount] : {std::pair(&total.due, charge.due),
                                      std::pair(&total.taxable, charge.charge->is_of_grant ? nothing : charge.due),
                                      std::pair(&total.breakage, charge.is_breakage ? charge.rounded : nothing)}) {
      absl::StatusOr<Money> together = Add(*sum, amount);
      if (!together.ok()) return together.status();
      *sum = *together;
    }
    if (!Wide::Add(total.due_exact.amount, charge.due_exact.amount, &total.due_exact.amount))
      return DoesNotFit(*charge.charge);
  }
  std::vector<QuoteTotal> sorted;
  for (const auto& [code, total] : totals) sorted.push_back(total);
  return sorted;
}

}  // namespace tollbook
