#include <algorithm>
#include <optional>

#include "pipeline/app/commands.h"
#include "pipeline/app/price_steps.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/charges.h"
#include "pipeline/usage_reader.h"
#include "rating/charge_terms.h"
#include "rating/quote.h"

namespace tollbook {
namespace {

absl::Status Wrong(std::string_view what, std::string_view which, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kInvalidArgument, what, which, what_to_do);
}

absl::StatusOr<Int128> DecimalOf(const std::string& text, std::string_view flag) {
  const ParsedDecimal parsed = ParseDecimal(text, 18);
  if (parsed.error == DecimalError::kNone) return parsed.value;
  if (parsed.error == DecimalError::kTooLarge) {
    return Wrong("too large a number", std::string(flag) + " " + text, "at most 20 digits may stand before the point");
  }
  return Wrong("not a number of at most 18 decimals", std::string(flag) + " " + text, "write it as 1250 or 0.004");
}

absl::StatusOr<BillingPeriod> PeriodOf(const std::string& text) {
  const size_t dots = text.find("..");
  if (dots != std::string::npos) {
    const std::optional<Day> from = ParseDay(text.substr(0, dots));
    const std::optional<Day> to = ParseDay(text.substr(dots + 2));
    if (from && to && *from < *to) return BillingPeriod{*from, *to};
  }
  return Wrong("not a period", "--period " + text, "write it as 2025-01-01..2025-02-01, the last day excluded");
}

// An instant, or a day of the book's zone from its beginning; without either the first one of the period, or now.
absl::StatusOr<Instant> InstantFor(const QuoteOptions& options, const Catalog& catalog,
                                   const std::optional<BillingPeriod>& period) {
  if (options.at.empty()) return period.has_value() ? catalog.book.zone.StartOf(period->start) : Now();
  if (const std::optional<Day> day = ParseDay(options.at)) return catalog.book.zone.StartOf(*day);
  const ParsedInstant parsed = ParseInstant(options.at);
  if (parsed.error == TimeError::kNone) return parsed.instant;
  return Wrong("not a time", "--at " + options.at, "write it as 2025-01-31 or 2025-01-31T23:59:59Z");
}

absl::StatusOr<SaidUsage::Dimensions> DimensionsOf(const std::vector<std::string>& texts) {
  SaidUsage::Dimensions dimensions;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return Wrong("not a dimension with its value", "--dimension " + text, "write it as region=eu");
    dimensions[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return dimensions;
}

// Everything that a quote is made of, and what it came to.
class QuoteCommand {
 public:
  explicit QuoteCommand(const QuoteOptions& options) : options_(options) {}

  absl::Status Run() {
    TOLLBOOK_RETURN_IF_ERROR(CheckOptions());
    if (!options_.period.empty()) {
      absl::StatusOr<BillingPeriod> period = PeriodOf(options_.period);
      if (!period.ok()) return period.status();
      request_.period = *period;
    }
    absl::StatusOr<std::optional<Day>> through = ParseThrough(options_.through);
    if (!through.ok()) return through.status();
    request_.through = *through;
    TOLLBOOK_RETURN_IF_ERROR(Load());
    request_.charge = options_.charge;
    TOLLBOOK_RETURN_IF_ERROR(TakePrevious());
    TOLLBOOK_RETURN_IF_ERROR(options_.usage.empty() ? TakeQuantities() : ReadUsage());
    absl::StatusOr<Quote> quote = MakeQuote(*catalog_, request_);
    if (!quote.ok()) return quote.status();
    quote_ = *std::move(quote);
    absl::StatusOr<std::vector<QuoteTotal>> totals = TotalsOf(quote_);
    if (!totals.ok()) return totals.status();
    totals_ = *std::move(totals);
    return options_.tax_percent.empty() ? absl::OkStatus() : EstimateTaxes();
  }

  std::string Text() const {
    std::string text = UsageText();
    for (const QuotedCharge& charge : quote_.charges) text += (text.empty() ? "" : "\n") + ChargeText(charge);
    if (quote_.charges.size() > 1) text += "\n" + SummaryTable().ToText();
    if (quote_.charges.empty()) text += std::string(text.empty() ? "" : "\n") + "No usage that a charge takes.\n";
    for (const QuoteTotal& total : totals_) {
      text += "\ntotal " + ToString(total.due) + " " + std::string(total.due.currency.code()) + ", exactly " +
              ToString(total.due_exact) + "\n";
      if (total.breakage.minor != 0) text += BreakageText(total.breakage);
      if (!taxes_.empty()) text += TaxText(static_cast<size_t>(&total - totals_.data()));
    }
    if (!quote_.unit_balances.empty()) text += "\n" + BalanceTable().ToText();
    return text + LeftOutText();
  }

  Json ToJsonObject() const {
    Json json = {{"catalog", catalog_->digest}, {"rounding", RoundingWord()}};
    json["charges"] = Json::array();
    for (const QuotedCharge& charge : quote_.charges) json["charges"].push_back(ChargeJson(charge));
    json["totals"] = Json::array();
    for (const QuoteTotal& total : totals_) {
      json["totals"].push_back({{"currency", std::string(total.due.currency.code())},
                                {"due_exact", ToString(total.due_exact)},
                                {"due", ToString(total.due)},
                                {"breakage", ToString(total.breakage)}});
      if (taxes_.empty()) continue;
      const size_t at = static_cast<size_t>(&total - totals_.data());
      json["totals"].back()["tax_estimate"] = {{"percent", options_.tax_percent},
                                               {"of", ToString(total.taxable)},
                                               {"tax", ToString(taxes_[at])},
                                               {"due_with_tax", ToString(with_taxes_[at])},
                                               {"booked", false}};
    }
    json["unit_balances"] = Json::array();
    for (const UnitBalance& balance : quote_.unit_balances) {
      json["unit_balances"].push_back({{"grant", balance.grant->id},
                                       {"subscription", balance.grant->subscription},
                                       {"charge", balance.grant->charge},
                                       {"left", ToString(balance.left)}});
    }
    json["not_priced"] = Json::array();
    for (const UnratedUsage& usage : quote_.unrated) {
      json["not_priced"].push_back({{"why", WhyWord(usage)},
                                    {"meter", usage.meter->name},
                                    {"usage_date", ToString(usage.usage_date)},
                                    {"events", usage.events}});
    }
    json["not_quoted"] = Json::array();
    for (const NotQuoted& one : quote_.not_quoted)
      json["not_quoted"].push_back({{"plan", one.plan->name}, {"charge", one.charge->name}, {"why", WhyWord(one.why)}});
    json["events_left_out"] = quote_.events_left_out;
    json["grants_as_unused"] = HasGrants();
    if (reader_.has_value()) json["usage"] = UsageJson();
    return json;
  }

  void PrintUnused() const {
    if (!reader_.has_value()) return;
    for (const UnusedLine& line : reader_->first_unused()) {
      std::fprintf(stderr, "tollbook: not priced: %s:%llu: %s\n", line.path.c_str(),
                   static_cast<unsigned long long>(line.line), std::string(ToString(line.reason)).c_str());
    }
  }

 private:
  absl::Status EstimateTaxes() {
    absl::StatusOr<Int128> percent = DecimalOf(options_.tax_percent, "--tax-percent");
    if (!percent.ok()) return percent.status();
    constexpr Int128 kHundred = 100 * kOneUnit;
    if (*percent < 0 || *percent > kHundred || *percent % 100 != 0)
      return Wrong("not a percentage", "--tax-percent " + options_.tax_percent,
                   "write a number from 0 to 100, with at most 16 decimals");
    for (const QuoteTotal& total : totals_) {
      absl::StatusOr<Money> tax = EstimateTax(total, {*percent / 100}, catalog_->book.rounding);
      if (!tax.ok()) return tax.status();
      absl::StatusOr<Money> together = Add(total.due, *tax);
      if (!together.ok()) return together.status();
      taxes_.push_back(*tax);
      with_taxes_.push_back(*together);
    }
    return absl::OkStatus();
  }

  std::string TaxText(size_t total) const {
    const std::string currency(totals_[total].due.currency.code());
    return "with an estimate of " + options_.tax_percent + " % tax on " + ToString(totals_[total].taxable) + ", " +
           ToString(taxes_[total]) + ", which is not booked: " + ToString(with_taxes_[total]) + " " + currency + "\n";
  }

  static std::string BreakageText(Money breakage) {
    return "breakage " + ToString(breakage) + " " + std::string(breakage.currency.code()) +
           ": what grants lost, revenue of what was paid before, and not due\n";
  }

  Table BalanceTable() const {
    Table table({{"grant of units"}, {"charge"}, {"left", true}});
    for (const UnitBalance& balance : quote_.unit_balances)
      table.Add({balance.grant->id, balance.grant->charge, ToString(balance.left)});
    return table;
  }

  absl::Status CheckOptions() const {
    if (options_.catalog.empty()) return Wrong("no catalog", "quote", "give --catalog DIR");
    if (options_.plan.empty() == options_.subscription.empty())
      return Wrong("nobody to price for, or two", "quote", "give either --plan or --subscription");
    const bool has_usage = !options_.quantities.empty() || !options_.usage.empty();
    if (!has_usage && options_.period.empty() && options_.through.empty())
      return Wrong("no usage", "quote",
                   "give --quantity or --usage; or --period or --through, for what is due without usage");
    if (!options_.quantities.empty() && !options_.usage.empty())
      return Wrong("two sorts of usage", "quote", "give either --quantity or --usage");
    if (!options_.usage.empty() && !options_.dimensions.empty())
      return Wrong("dimensions that the usage has itself", "--dimension", "give it with --quantity");
    if (!has_usage && !options_.dimensions.empty())
      return Wrong("dimensions of no quantity", "--dimension", "give it with --quantity");
    if (!options_.subject.empty() && (options_.plan.empty() || options_.usage.empty()))
      return Wrong("a subject where there is no choice", "--subject", "give it with --plan and --usage");
    return absl::OkStatus();
  }

  // A plan is quoted for who comes on the period's first day: without a period, on that of the billing period that the
  // usage begins in (BeginPlanOn knows where it matters). Where no last day is given either, what is due in that one is
  // quoted with the quantities. Usage from files is not known yet (BeginWithUsage).
  absl::StatusOr<Day> FirstDayOfPlan(const Catalog& catalog) {
    if (request_.period) return request_.period->start;
    const auto plan = std::ranges::find(catalog.plans, options_.plan, &Plan::name);
    if (plan == catalog.plans.end() || !options_.usage.empty()) return Day();
    if (options_.quantities.empty()) return PeriodAround(*plan, *request_.through).start;
    absl::StatusOr<Instant> at = InstantFor(options_, catalog, std::nullopt);
    if (!at.ok()) return at.status();
    const Day day = catalog.book.zone.DayOf(*at);
    if (request_.through) return PeriodAround(*plan, std::min(day, *request_.through)).start;
    const BillingPeriod period = PeriodAround(*plan, day);
    if (OwesWithoutUsage(*plan)) request_.period = period;
    return period.start;
  }

  // The same for usage from files. The totals point to the catalog's meters, which stay where they are.
  void BeginWithUsage() {
    if (options_.plan.empty() || request_.period) return;
    const Subscription& subscription = catalog_->subscriptions.front();
    std::optional<Day> first = request_.through;
    for (const SubjectTotal& total : totals_of_usage_) {
      const Day day = DayOfBucket(total.meter->granularity, total.bucket, subscription.zone);
      first = first ? std::min(*first, day) : day;
    }
    if (first) BeginPlanOn(PeriodAround(catalog_->plans[subscription.plan], *first).start, &*catalog_);
  }

  absl::Status Load() {
    absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(options_.catalog);
    if (!loaded.ok()) return loaded.status();
    mappings_ = std::move(loaded->mappings);
    absl::StatusOr<Day> first_day = FirstDayOfPlan(loaded->catalog);
    if (!first_day.ok()) return first_day.status();
    absl::StatusOr<Catalog> catalog = options_.plan.empty()
                                          ? WithSubscriptionOnly(std::move(loaded->catalog), options_.subscription)
                                          : WithPlanOnly(std::move(loaded->catalog), options_.plan, *first_day);
    if (!catalog.ok()) return catalog.status();
    catalog_ = *std::move(catalog);
    request_.subject = catalog_->subscriptions.front().subject;
    return CheckCharge();
  }

  absl::Status CheckCharge() const {
    if (options_.charge.empty()) return absl::OkStatus();
    std::string names;
    for (const Subscription& subscription : catalog_->subscriptions) {
      for (const Charge& charge : catalog_->plans[subscription.plan].charges) {
        if (charge.name == options_.charge) return absl::OkStatus();
        names += (names.empty() ? "" : ", ") + charge.name;
      }
    }
    return Wrong("the plan has no such charge", options_.charge, "it has " + names);
  }

  absl::Status TakePrevious() {
    if (!options_.previous_quantity.empty()) {
      absl::StatusOr<Int128> attos = DecimalOf(options_.previous_quantity, "--previous-quantity");
      if (!attos.ok()) return attos.status();
      request_.previous_quantity = Quantity{*attos};
    }
    if (!options_.previous_billed.empty()) {
      absl::StatusOr<Int128> attos = DecimalOf(options_.previous_billed, "--previous-billed");
      if (!attos.ok()) return attos.status();
      request_.previous_billed = Worth{Wide::Product(*attos, kOneUnit)};
    }
    return absl::OkStatus();
  }

  // The plan that the subscription has at the time.
  absl::StatusOr<const Plan*> PlanAt(Instant at) const {
    for (const Subscription& one : catalog_->subscriptions) {
      const Day day = one.zone.DayOf(at);
      if (one.valid_from <= day && (!one.valid_to.has_value() || day < *one.valid_to))
        return &catalog_->plans[one.plan];
    }
    return Wrong("the subscription is not valid at that time", options_.subscription + " at " + ToString(at),
                 "give another time with --at");
  }

  absl::Status TakeQuantities() {
    if (options_.quantities.empty()) return absl::OkStatus();
    absl::StatusOr<Instant> at = InstantFor(options_, *catalog_, request_.period);
    if (!at.ok()) return at.status();
    absl::StatusOr<const Plan*> plan = PlanAt(*at);
    if (!plan.ok()) return plan.status();
    absl::StatusOr<SaidUsage::Dimensions> dimensions = DimensionsOf(options_.dimensions);
    if (!dimensions.ok()) return dimensions.status();
    said_.emplace(*catalog_);
    for (const std::string& text : options_.quantities) {
      const size_t equals = text.rfind('=');
      absl::StatusOr<std::string> name = equals == std::string::npos ? OnlyCharge(**plan) : text.substr(0, equals);
      if (!name.ok()) return name.status();
      absl::StatusOr<Int128> attos =
          DecimalOf(equals == std::string::npos ? text : text.substr(equals + 1), "--quantity");
      if (!attos.ok()) return attos.status();
      TOLLBOOK_RETURN_IF_ERROR(said_->Add(**plan, *name, {*attos}, *at, *dimensions));
    }
    TOLLBOOK_RETURN_IF_ERROR(said_->CheckDimensions(*dimensions));
    request_.usage = said_->totals();
    return absl::OkStatus();
  }

  // Fees and bounds have no usage that a quantity could be of.
  absl::StatusOr<std::string> OnlyCharge(const Plan& plan) const {
    if (!options_.charge.empty()) return options_.charge;
    std::string names, only;
    size_t count = 0;
    for (const Charge& charge : plan.charges) {
      if (charge.meter.empty()) continue;
      names += (count++ == 0 ? "" : ", ") + charge.name;
      only = charge.name;
    }
    if (count == 1) return only;
    if (count == 0)
      return Wrong("a quantity where no charge has usage", "plan " + plan.name, "give --period, for what is due");
    return Wrong("a quantity of which charge", "plan " + plan.name + " has " + names,
                 "write --quantity CHARGE=N, or give --charge");
  }

  absl::Status ReadUsage() {
    absl::StatusOr<InputList> inputs = FindInputs(options_.usage, mappings_);
    if (!inputs.ok()) return inputs.status();
    reader_.emplace(*catalog_);
    for (const InputFile& file : inputs->files) TOLLBOOK_RETURN_IF_ERROR(reader_->Read(file));
    TOLLBOOK_RETURN_IF_ERROR(reader_->Finish());
    std::vector<LeftOut> left_out = reader_->left_out();
    left_out.insert(left_out.begin(), inputs->left_out.begin(), inputs->left_out.end());
    if (!left_out.empty()) {  // a part of the usage has another price
      PrintLeftOut(left_out);
      return MakeError(absl::StatusCode::kDataLoss, "usage that could not be read", left_out.front().path,
                       "quote it once it can be read to its end");
    }
    absl::StatusOr<std::string> subject = SubjectOfUsage();
    if (!subject.ok()) return subject.status();
    totals_of_usage_ = reader_->TotalsOf(*subject);
    subject_of_usage_ = *std::move(subject);
    request_.usage = totals_of_usage_;
    BeginWithUsage();
    return absl::OkStatus();
  }

  // A plan is quoted for one customer, whoever it is.
  absl::StatusOr<std::string> SubjectOfUsage() const {
    if (options_.plan.empty()) return std::string(request_.subject);
    if (!options_.subject.empty()) return options_.subject;
    const std::vector<std::string_view> subjects = reader_->subjects();
    if (subjects.size() <= 1) return subjects.empty() ? std::string() : std::string(subjects.front());
    return Wrong("usage of " + std::to_string(subjects.size()) + " subjects",
                 std::string(subjects[0]) + ", " + std::string(subjects[1]) + (subjects.size() > 2 ? " …" : ""),
                 "a plan is quoted for one: choose it with --subject");
  }

  uint64_t EventsOfOthers() const {
    uint64_t events = 0;
    for (const std::string_view subject : reader_->subjects())
      events += subject == subject_of_usage_ ? 0 : reader_->EventsOf(subject);
    return events;
  }

  std::string RoundingWord() const { return std::string(InWords(catalog_->book.rounding)); }

  static std::string WhyWord(const UnratedUsage& usage) {
    if (usage.why == UnratedUsage::Why::kTrial) return "trial";
    return usage.why == UnratedUsage::Why::kUnpriced ? "unpriced" : "unattributed";
  }

  static std::string WhyText(const UnratedUsage& usage) {
    if (usage.why == UnratedUsage::Why::kTrial) return ": a day of the trial";
    return usage.why == UnratedUsage::Why::kUnpriced ? ": no charge of the plan takes it"
                                                     : ": the subscription is not valid on that day";
  }

  const Plan& PlanOf(const QuotedCharge& charge) const { return catalog_->plans[charge.subscription->plan]; }

  std::string UsageText() const {
    if (!reader_.has_value()) return "";
    const LineCounts& counts = reader_->counts();
    std::string text = Counted(counts.lines, "line", "lines") + " read: " + Thousands(counts.accepted) + " accepted, " +
                       Thousands(counts.duplicate) + " duplicate, " + Thousands(counts.conflict) + " conflict, " +
                       Thousands(counts.held) + " held, " + Thousands(counts.rejected) + " rejected\n";
    if (reader_->corrections() > 0)
      text += "applied: " + Counted(reader_->corrections(), "correction", "corrections") + "\n";
    if (const uint64_t others = EventsOfOthers(); others > 0)
      text += Counted(others, "event", "events") + " of other subjects left out\n";
    return text;
  }

  std::string ChargeText(const QuotedCharge& charge) const {
    const Meter* meter = catalog_->FindMeter(charge.charge->meter);  // null: a fee or a bound
    const std::string filter = FilterText(*charge.charge);
    const std::string currency(charge.due.currency.code());
    std::string text = PlanOf(charge).name + "/" + charge.charge->name + (filter.empty() ? "" : " (" + filter + ")") +
                       "  " + ToString(charge.period.start) + " to " + ToString(charge.period.end) + "\n";
    if (meter != nullptr) {
      text += "  " + ToString(charge.quantity) + (meter->unit.empty() ? "" : " " + meter->unit) + " of " + meter->name +
              " in " + Counted(charge.events, "event", "events") +
              (charge.converted.has_value() ? ", converted to " + ToString(*charge.converted) : "") + "\n";
    }
    Table steps({{"step"}, {"quantity", true}, {"price", true}, {"worth", true}});
    for (const PriceStep& step : charge.steps)
      steps.Add({step.what, ToString(step.quantity), ToString(step.unit_price), ToString(step.worth)});
    text += Indented(steps.ToText(), "    ");
    text += "  worth " + ToString(charge.exact) + ", rounded " + RoundingWord() + " to " + ToString(charge.rounded) +
            " " + currency + "\n";
    if (charge.is_breakage) text += "  breakage of what was paid before, so nothing is due\n";
    if (charge.is_slice) {
      text += "  billed before " + ToString(charge.billed_rounded) + ", so due " + ToString(charge.due) + " " +
              currency + ", exactly " + ToString(charge.due_exact) + "\n";
    }
    return text;
  }

  Table SummaryTable() const {
    Table table({{"charge"},
                 {"period"},
                 {"quantity", true},
                 {"exact", true},
                 {"due", true},
                 {"currency", false, Narrow::kKeep}});
    for (const QuotedCharge& charge : quote_.charges) {
      table.Add({PlanOf(charge).name + "/" + charge.charge->name, ToString(charge.period), ToString(charge.quantity),
                 ToString(charge.due_exact), ToString(charge.due), std::string(charge.due.currency.code())});
    }
    return table;
  }

  // A quote has no book: whatever came before it may have used them.
  bool HasGrants() const {
    return std::ranges::any_of(quote_.charges, [](const QuotedCharge& charge) { return charge.charge->is_of_grant; });
  }

  std::string NamesLeftOut(NotQuoted::Why why) const {
    std::string names;
    for (const NotQuoted& one : quote_.not_quoted) {
      if (one.why == why) names += (names.empty() ? "" : ", ") + one.plan->name + "/" + one.charge->name;
    }
    return names;
  }

  static std::string WhyWord(NotQuoted::Why why) {
    switch (why) {
      case NotQuoted::Why::kCharge:
        return "charge";
      case NotQuoted::Why::kSlice:
        return "slice";
      case NotQuoted::Why::kCalendar:
        return "calendar";
    }
    return "";
  }

  std::string LeftOutText() const {
    std::string text;
    for (const UnratedUsage& usage : quote_.unrated) {
      text += "not priced: " + Counted(usage.events, "event", "events") + " of " + usage.meter->name + " on " +
              ToString(usage.usage_date) + WhyText(usage) + "\n";
    }
    if (HasGrants()) text += "grants: as if nothing had been used of them before; a book knows what is left\n";
    for (const auto& [why, what] :
         {std::pair(NotQuoted::Why::kCharge, "not of the charge that was asked for: quote it without --charge"),
          std::pair(NotQuoted::Why::kSlice,
                    "what was used or billed before is of one charge alone: give all usage instead"),
          std::pair(NotQuoted::Why::kCalendar, "due by the calendar: give --through or --period")}) {
      const std::string names = NamesLeftOut(why);
      if (!names.empty()) text += "left out: " + names + ": " + what + "\n";
    }
    if (quote_.events_left_out > 0)
      text += "left out: " + Counted(quote_.events_left_out, "event", "events") + " that were not asked for\n";
    return text.empty() ? "" : "\n" + text;
  }

  Json ChargeJson(const QuotedCharge& charge) const {
    const Meter* meter = catalog_->FindMeter(charge.charge->meter);
    Json json = {{"subscription", std::string(charge.subscription->id)},
                 {"plan", PlanOf(charge).name},
                 {"charge", charge.charge->name},
                 {"meter", charge.charge->meter},
                 {"dimensions", FilterText(*charge.charge)},
                 {"period_start", ToString(charge.period.start)},
                 {"period_end", ToString(charge.period.end)},
                 {"currency", std::string(charge.due.currency.code())},
                 {"quantity", ToString(charge.quantity)},
                 {"unit", meter == nullptr ? "" : meter->unit},
                 {"events", charge.events}};
    if (charge.converted.has_value()) json["converted"] = ToString(*charge.converted);
    json["steps"] = StepsJson(charge.steps);
    json["amount_exact"] = ToString(charge.exact);
    json["amount_rounded"] = ToString(charge.rounded);
    json["residue"] = ToString(charge.residue);
    json["is_breakage"] = charge.is_breakage;
    json["billed_before"] = ToString(charge.billed);
    json["due_exact"] = ToString(charge.due_exact);
    json["due"] = ToString(charge.due);
    return json;
  }

  Json UsageJson() const {
    const LineCounts& counts = reader_->counts();
    Json json = {{"lines_read", counts.lines},
                 {"accepted", counts.accepted},
                 {"duplicate", counts.duplicate},
                 {"conflict", counts.conflict},
                 {"held", counts.held},
                 {"rejected", counts.rejected},
                 {"corrections", reader_->corrections()},
                 {"reasons", Json::object()},
                 {"of_other_subjects", EventsOfOthers()}};
    for (int i = 1; i < kReasons; ++i) {
      const uint64_t count = reader_->reasons()[static_cast<size_t>(i)];
      if (count > 0) json["reasons"][std::string(ToString(static_cast<Reason>(i)))] = count;
    }
    return json;
  }

 public:
  static std::string Indented(const std::string& lines, const std::string& blanks) {
    std::string text;
    for (size_t begin = 0; begin < lines.size();) {
      const size_t end = lines.find('\n', begin);
      text += blanks + lines.substr(begin, end - begin) + "\n";
      begin = end + 1;
    }
    return text;
  }

 private:
  const QuoteOptions& options_;
  std::optional<Catalog> catalog_;
  std::vector<SourceMapping> mappings_;
  QuoteRequest request_;
  std::optional<SaidUsage> said_;
  std::optional<UsageReader> reader_;
  std::string subject_of_usage_;
  std::vector<SubjectTotal> totals_of_usage_;
  Quote quote_;
  std::vector<QuoteTotal> totals_;
  std::vector<Money> taxes_;       // an estimate of each total; none: not asked for
  std::vector<Money> with_taxes_;  // each total with it
};

}  // namespace

int CmdQuote(const QuoteOptions& options) {
  if (!options.vectors.empty()) return CmdQuoteVectors(options);
  QuoteCommand command(options);
  if (const absl::Status status = command.Run(); !status.ok()) return Fail(status);
  command.PrintUnused();
  return Print(options.json ? ToText(command.ToJsonObject()) : command.Text());
}

}  // namespace tollbook
