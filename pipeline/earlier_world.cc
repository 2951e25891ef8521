#include "pipeline/earlier_world.h"

#include <algorithm>
#include <map>
#include <set>

#include "pipeline/booked_places.h"
#include "pipeline/charges.h"
#include "pipeline/compared_days.h"
#include "pipeline/recognition.h"
#include "pipeline/reversal.h"
#include "rating/charge_terms.h"

namespace tollbook {
namespace {

// Of one side, where one entity delivers what another sells.
bool IsOfCharge(const BookedKey& key, const BookedKey& other) {
  return key.subscription == other.subscription && key.period == other.period &&
         key.place->charge == other.place->charge && key.place->as == other.place->as &&
         key.place->currency == other.place->currency;
}

// "starter from 2025-01-01 to 2025-01-16, pro from 2025-01-16": those that lie in the period.
std::string VersionsInWords(const Catalog& catalog, std::string_view subject, const BookedKey& key) {
  std::string words;
  for (const Subscription& version : catalog.SubscriptionsOf(subject)) {
    const bool lies_in =
        version.valid_from < key.period.end && (!version.valid_to || key.period.start < *version.valid_to);
    if (version.id != key.subscription || !lies_in) continue;
    words += (words.empty() ? "" : ", ") + catalog.plans[version.plan].name + " from " + ToString(version.valid_from);
    if (version.valid_to) words += " to " + ToString(*version.valid_to);
    const Quantity quantity = catalog.subscription_terms[version.terms].quantity;
    if (quantity != Quantity::Units(1)) words += ", quantity " + ToString(quantity);
  }
  return words.empty() ? "none" : words;
}

// The charges of this name of the plans that the subscription has in the period, by plan.
std::map<std::string, ChargeTerms> TermsIn(const Catalog& catalog, std::string_view subject, const BookedKey& key) {
  std::map<std::string, ChargeTerms> terms;
  for (const Subscription& version : catalog.SubscriptionsOf(subject)) {
    if (version.id != key.subscription) continue;
    const Plan& plan = catalog.plans[version.plan];
    const auto charge = std::ranges::find(plan.charges, SoldName(*key.place), &Charge::name);
    if (charge != plan.charges.end()) terms[plan.name] = TermsOf(*charge, plan);
  }
  return terms;
}

// The plans that the subscription has in the catalog, by name.
std::set<std::string> PlansOf(const Catalog& catalog, std::string_view subject, const BookedKey& key) {
  std::set<std::string> names;
  for (const Subscription& version : catalog.SubscriptionsOf(subject)) {
    if (version.id == key.subscription) names.insert(catalog.plans[version.plan].name);
  }
  return names;
}

// What is due of each line of the subject, in billing periods that touch the key's; by subscription and charge.
using LineSums = std::map<std::pair<std::string_view, std::string_view>, Int128>;
LineSums LinesBeside(const SubjectWorth& worth, const BookedKey& key) {
  LineSums sums;
  for (const BookedAmount& amount : worth.due) {
    const BillingPeriod& period = amount.key.period;
    const bool touches = period.start < key.period.end && key.period.start < period.end;
    if (touches && amount.key.place->currency == key.place->currency) {
      sums[{amount.key.subscription, amount.key.place->charge}] += amount.minor;
    }
  }
  return sums;
}

// Usage of meters that came since, or were defined anew before anything was counted by them, is in the book by now.
// No charge of the earlier catalog that was booked is of such a meter.
void CountUsageOfNow(const Catalog& now, Catalog* then) {
  for (const Meter& meter : now.meters) {
    const auto same = std::ranges::find(then->meters, meter.name, &Meter::name);
    if (same == then->meters.end()) {
      then->meters.push_back(meter);
    } else if (!CountsTheSame(meter, *same)) {
      *same = meter;
    }
  }
  std::ranges::sort(then->meters, {}, &Meter::name);
  then->BuildIndex();
}

}  // namespace

Int128 AmountOfCharge(std::span<const BookedAmount> amounts, const BookedKey& key) {
  Int128 sum = 0;
  for (const BookedAmount& amount : amounts) {
    if (IsOfCharge(key, amount.key) && amount.key.usage_date == key.usage_date) sum += amount.minor;
  }
  return sum;
}

absl::Status EarlierWorlds::Open() {
  if (opened_) return absl::OkStatus();
  opened_ = true;
  const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
  if (!seals.ok()) return seals.status();
  for (const SealRecord& seal : *seals) {
    if (seal.sequence < seal_.sequence) before_ = seal;
  }
  if (before_.number == 0 || before_.catalog_digest == seal_.catalog_digest) return absl::OkStatus();
  absl::StatusOr<Catalog> then = SealedCatalog(book_, before_.number);
  if (!then.ok()) return then.status();
  then_ = *std::move(then);
  CountUsageOfNow(now_, &*then_);
  return absl::OkStatus();
}

std::vector<std::string> EarlierWorlds::WhatChanged(std::string_view subject, const BookedKey& key) const {
  std::vector<std::string> changed;
  const std::string then = VersionsInWords(*then_, subject, key), now = VersionsInWords(now_, subject, key);
  if (then != now) {
    changed.push_back("subscription " + std::string(key.subscription) + ": then " + then + "; now " + now);
  }
  const std::map<std::string, ChargeTerms> terms_then = TermsIn(*then_, subject, key);
  for (const auto& [plan, terms] : TermsIn(now_, subject, key)) {
    const auto before = terms_then.find(plan);
    if (before == terms_then.end()) continue;  // another plan, which the versions tell
    for (const std::string& term : TermsThatChanged(before->second, terms)) {
      changed.push_back(plan + "/" + std::string(key.place->charge) + ": " + term);
    }
  }
  const auto came_or_went = [&](const Catalog& from, const Catalog& to, const char* what) {
    const std::map<std::string, ChargeTerms> terms_from = TermsIn(from, subject, key);
    const std::map<std::string, ChargeTerms> terms_to = TermsIn(to, subject, key);
    for (const std::string& plan : PlansOf(from, subject, key)) {
      // Of a plan that only one catalog has the subscription on, the versions tell.
      if (!PlansOf(to, subject, key).contains(plan)) continue;
      if (terms_from.contains(plan) && !terms_to.contains(plan)) {
        changed.push_back(plan + "/" + std::string(key.place->charge) + ": " + what);
      }
    }
  };
  came_or_went(now_, *then_, "not in the plan then");
  came_or_went(*then_, now_, "not in the plan now");
  if (then_->book.rounding != now_.book.rounding) changed.push_back("book.yaml: another rounding");
  return changed;
}

// Of a line that is another one although neither its subscription nor its own terms are.
std::vector<std::string> EarlierWorlds::WhatItIsOf(const SubjectWorth& now, const SubjectWorth& then,
                                                   const BookedKey& key) const {
  std::vector<std::string> changed;
  const LineSums sums_then = LinesBeside(then, key), sums_now = LinesBeside(now, key);
  LineSums all = sums_then;
  all.insert(sums_now.begin(), sums_now.end());
  for (const auto& [line, sum] : all) {
    const auto& [subscription, charge] = line;
    if (subscription == key.subscription && charge == key.place->charge) continue;
    const auto sum_of = [&](const LineSums& sums) {
      const auto found = sums.find(line);
      return found == sums.end() ? Int128{0} : found->second;
    };
    if (sum_of(sums_then) == sum_of(sums_now)) continue;
    changed.push_back(std::string(subscription) + " " + std::string(charge) + " in the period: then " +
                      ToString(Money{key.place->currency, sum_of(sums_then)}) + "; now " +
                      ToString(Money{key.place->currency, sum_of(sums_now)}));
  }
  for (const char* name : {"discounts.csv", "entities.yaml", "grants.csv", "posting.yaml", "unit_grants.csv"}) {
    const auto text_of = [&](const Catalog& catalog) {
      const auto file = catalog.files().find(name);
      return file == catalog.files().end() ? std::string_view() : std::string_view(file->second);
    };
    if (text_of(*then_) != text_of(now_)) changed.push_back(std::string(name) + ": another text");
  }
  if (changed.empty()) changed.push_back("what it shares with other subscriptions of the account");
  return changed;
}

absl::StatusOr<std::optional<EarlierWorld>> EarlierWorlds::Find(std::string_view subject, const BookedKey& key) {
  TOLLBOOK_RETURN_IF_ERROR(Open());
  if (!then_) return std::nullopt;
  EarlierWorld world;
  world.what_changed = WhatChanged(subject, key);
  world.seal = before_.number;
  world.catalog_digest = before_.catalog_digest;
  const absl::StatusOr<std::optional<SealedBatch>> reversed = ReversedBatch(book_, seal_);
  if (!reversed.ok()) return reversed.status();
  const WorthWindow window{seal_.through, seal_.sequence - 1, subject, *reversed};
  const auto visit = [&](int, const SubjectWorth& now, const SubjectWorth& worth) {
    world.worth = {key.place->currency, AmountOfCharge(worth.due, key)};
    world.worth_now = {key.place->currency, AmountOfCharge(now.due, key)};
    if (world.what_changed.empty() && world.worth != world.worth_now) {
      world.what_changed = WhatItIsOf(now, worth, key);
    }
    if (world.what_changed.empty()) return absl::OkStatus();
    world.booked = {key.place->currency, AmountOfCharge(worth.booked, key)};
    for (size_t i = 0; i < worth.keys.size(); ++i) {
      const RatedCharge& rated = worth.rated.charges[i];
      BookedPlace sold = *key.place;
      sold.charge = SoldName(*key.place);
      sold.as = BookedAs::kRated;
      if (!IsOfCharge({key.subscription, &sold, key.period, {}}, worth.keys[i])) continue;
      const PostingRule* rule = then_->PostingOf(*rated.subscription, *rated.charge);
      const bool by_period = SummaryOf(*then_, rated, rule) == SummaryPolicy::kPeriod;
      const ComparedDays compared = CompareDays(rated, by_period, key.usage_date);
      if (compared.last == nullptr || compared.last == compared.before) continue;
      EarlierCharge charge;
      charge.plan = worth.keys[i].place->plan;
      charge.to_date = compared.last->to_date;
      charge.worth_to_date = WorthToDate(rated, *compared.last);
      charge.rounded_to_date = compared.last->booked_to_date;
      charge.rounded_before = {charge.rounded_to_date.currency, 0};
      if (compared.before != nullptr) {
        charge.before = compared.before->to_date;
        charge.worth_before = WorthToDate(rated, *compared.before);
        charge.rounded_before = compared.before->booked_to_date;
      }
      TOLLBOOK_RETURN_IF_ERROR(PriceToDate(rated, *compared.last, &charge.steps).status());
      world.charges.push_back(std::move(charge));
    }
    return absl::OkStatus();
  };
  TOLLBOOK_RETURN_IF_ERROR(VisitSubjects(book_, now_, *then_, window, 1, visit));
  if (world.what_changed.empty()) return std::nullopt;
  return world;
}

}  // namespace tollbook
