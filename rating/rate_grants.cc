// What grants pay, and what they lose: lines of their own, once all others of the subject have theirs.
#include <algorithm>
#include <map>
#include <tuple>

#include "rating/account_grants.h"
#include "rating/error.h"
#include "rating/grant_balances.h"
#include "rating/minor_unit.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

// What each day of a subscription comes to: all its lines together.
void AddDue(const RatedCharge& line, DueByDay* due) {
  Int128 before = 0;
  for (const DayWorth& day : line.days) {
    (*due)[day.usage_date] += day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
  }
}

Quantity InMajorUnits(Int128 minor, Currency currency) {
  return {minor *
          MinorUnitAttos(currency)};  // at most 10^15 major units, as grants.csv may say; kQuantityScale is kPriceScale
}

}  // namespace

const Subscription& VersionOn(const Catalog::SubscriptionRange& subscriptions, std::string_view id, Day day) {
  const Subscription* version = nullptr;
  for (const Subscription& subscription : subscriptions) {
    if (subscription.id != id) continue;
    if (version == nullptr || subscription.valid_from <= day) version = &subscription;
  }
  TOLLBOOK_ASSERT(version != nullptr);
  return *version;
}

// Cut by the subscription's plans and billing periods: one line for each, though the subscription comes back to a plan.
// Days that change nothing are none of the line's.
void SubjectRater::AppendGrantLine(const Subscriptions& subscriptions, std::string_view id, const Grant& grant,
                                   const Charge& charge, std::span<const GrantDay> days, RatedSubject* rated) {
  const Currency currency = grant.amount.currency;
  struct Line {
    const Subscription* subscription = nullptr;
    Int128 to_date = 0;
    std::vector<DayWorth> days;
  };
  std::map<std::pair<uint32_t, BillingPeriod>, Line> lines;
  Int128 before = 0;
  for (const GrantDay& day : days) {
    if (day.to_date == before) continue;
    const Subscription& version = VersionOn(subscriptions, id, day.day);
    const BillingCycle cycle = catalog_.CycleOf(catalog_.plans[version.plan].billing, version);
    Line& line = lines[{version.plan, PeriodOf(cycle, day.day)}];
    if (line.subscription == nullptr) line.subscription = &version;
    line.to_date += day.to_date - before;
    line.days.push_back({day.day, InMajorUnits(day.left, currency), {currency, line.to_date}, 0});
    before = day.to_date;
  }
  for (const auto& [of, line] : lines) {
    RatedCharge& appended = rated->charges.emplace_back();
    appended.subscription = line.subscription;
    appended.charge = &charge;
    appended.account_grant = grant.account.empty() ? nullptr : &grant;
    appended.period = of.second;
    rated->days.insert(rated->days.end(), line.days.begin(), line.days.end());
    appended.days = std::span(rated->days).last(line.days.size());
  }
}

absl::Status SubjectRater::RateGrantsOf(const Subscriptions& subscriptions, std::string_view id,
                                        std::span<const Grant> grants, std::optional<Day> through,
                                        RatedSubject* rated) {
  DueByDay due;
  for (const RatedCharge& line : rated->charges) {
    if (line.subscription->id == id) AddDue(line, &due);
  }
  if (due.empty() && !through) return absl::OkStatus();
  const Day last = due.empty() ? *through : std::max(due.rbegin()->first, through.value_or(due.rbegin()->first));
  const std::vector<GrantTerms> terms = TermsOf(grants, last);
  AddMoments(terms, last, &due);

  GrantBalances balances(terms);
  std::vector<std::vector<GrantDay>> paid(grants.size()), lost(grants.size());
  bool fits = true;
  for (const auto& [day, minor] : due) {
    balances.AdvanceTo(day);
    if (minor < 0) balances.GiveBack(-minor);
    if (minor > 0) fits = balances.Burn(minor) && fits;
    for (size_t grant = 0; grant < grants.size(); ++grant) {
      paid[grant].push_back({day, -balances.burned(grant), balances.balance(grant)});
      lost[grant].push_back({day, balances.lost(grant), balances.balance(grant)});
    }
  }
  if (!fits || !balances.fits()) {
    return MakeError(absl::StatusCode::kOutOfRange, "what is due of a subscription with grants does not fit",
                     std::string(id), "check the prices of its plan");
  }
  for (size_t grant = 0; grant < grants.size(); ++grant) {
    const Grant& one = grants[grant];
    AppendGrantLine(subscriptions, id, one, one.credit, paid[grant], rated);
    if (one.breakage) AppendGrantLine(subscriptions, id, one, *one.breakage, lost[grant], rated);
  }
  return absl::OkStatus();
}

// What the grants of its accounts pay for the subscription.
absl::Status SubjectRater::AppendSettled(const Subscriptions& subscriptions, std::string_view id, RatedSubject* rated) {
  for (const Subscription& version : subscriptions) {
    if (version.id != id) continue;
    const auto not_settled = settled_->not_settled.find(version.account);
    if (not_settled != settled_->not_settled.end()) return not_settled->second;
  }
  const auto settled = settled_->of_subscription.find(id);
  if (settled == settled_->of_subscription.end()) return absl::OkStatus();
  for (const GrantShare& share : settled->second) {
    AppendGrantLine(subscriptions, id, *share.grant, share.grant->credit, share.paid, rated);
    if (!share.grant->breakage) continue;
    AppendGrantLine(subscriptions, id, *share.grant, *share.grant->breakage, share.lost, rated);
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::RateGrants(const Subscriptions& subscriptions, const RateWindow& window,
                                      RatedSubject* rated) {
  const size_t lines = rated->charges.size();
  for (const Subscription& subscription : subscriptions) {
    const bool is_first = std::none_of(subscriptions.begin(), &subscription,
                                       [&](const Subscription& other) { return other.id == subscription.id; });
    const std::span<const Grant> grants = catalog_.GrantsOf(subscription.id);
    PointToDays(rated);  // the lines of another subscription's grants moved the days
    if (is_first && !grants.empty()) {
      TOLLBOOK_RETURN_IF_ERROR(RateGrantsOf(subscriptions, subscription.id, grants, TimedThrough(window), rated));
    }
    if (is_first && settled_ != nullptr) TOLLBOOK_RETURN_IF_ERROR(AppendSettled(subscriptions, subscription.id, rated));
  }
  if (rated->charges.size() > lines) PointToDays(rated);
  return absl::OkStatus();
}

}  // namespace tollbook
