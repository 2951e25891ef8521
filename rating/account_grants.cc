#include "rating/account_grants.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "rating/error.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

std::vector<Day> RefillsOf(const Grant& grant, Day last) {
  std::vector<Day> refills;
  if (!grant.refill) return refills;
  for (Day day = PeriodOf(*grant.refill, grant.starts_on).end; day <= last; day = PeriodOf(*grant.refill, day).end) {
    if (grant.ends_on && *grant.ends_on <= day) break;
    refills.push_back(day);
  }
  return refills;
}

// False: what is due of an account on a day does not fit.
[[nodiscard]] bool AddLine(const Catalog& catalog, const Catalog::SubscriptionRange& subscriptions,
                           const RatedCharge& line, DuesByAccount* dues) {
  Int128 before = 0;
  for (const DayWorth& day : line.days) {
    Int128 due = 0;
    if (__builtin_sub_overflow(day.booked_to_date.minor, before, &due)) return false;
    before = day.booked_to_date.minor;
    const std::string_view account = VersionOn(subscriptions, line.subscription->id, day.usage_date).account;
    if (catalog.AccountGrantsOf(account).empty()) continue;
    Int128& of_day = (*dues)[account].of_subscription[line.subscription->id][day.usage_date];
    if (__builtin_add_overflow(of_day, due, &of_day)) return false;
  }
  return true;
}

absl::Status NotSettled(std::string_view account, std::string_view why) {
  return MakeError(absl::StatusCode::kOutOfRange, "the grants of an account cannot be settled",
                   "account " + std::string(account) + ", " + std::string(why),
                   "check the prices of its plans; what is booked for the account stays");
}

std::string_view FirstSubscriptionOf(const Catalog& catalog, std::string_view account) {
  const std::span<const uint32_t> rows = catalog.RowsOfGrantedAccount(account);
  TOLLBOOK_ASSERT(!rows.empty());  // CheckGrants
  const uint32_t first = *std::ranges::min_element(rows, {}, [&](uint32_t row) {
    return std::pair(catalog.subscriptions[row].valid_from, catalog.subscriptions[row].id);
  });
  return catalog.subscriptions[first].id;
}

// One account on its way through the days.
class Settlement {
 public:
  Settlement(std::span<const Grant> grants, std::span<const GrantTerms> terms, const AccountDues& dues)
      : balances_(terms, dues.of_subscription.size()), lost_(grants.size()) {
    std::vector<GrantShare> none;
    for (const Grant& grant : grants) none.push_back({&grant, {}, {}});
    shares_.assign(dues.of_subscription.size(), none);
  }

  // What is due of each debtor on the day; a debtor is a subscription by its number. `has_moments`: a grant ends,
  // starts or is refilled on it, which may pay for others too.
  using Dues = std::vector<std::pair<size_t, Int128>>;
  [[nodiscard]] bool AddDay(Day day, const Dues& dues, bool has_moments) {
    balances_.AdvanceTo(day);
    for (const auto& [debtor, minor] : dues) {
      if (minor == std::numeric_limits<Int128>::min()) return false;
      if (minor < 0) balances_.GiveBack(-minor, debtor);
    }
    for (const auto& [debtor, minor] : dues) {
      if (minor > 0 && !balances_.Burn(minor, debtor)) return false;
    }
    if (!balances_.fits()) return false;
    for (size_t debtor = 0; has_moments && debtor < shares_.size(); ++debtor) NotePaid(day, debtor);
    for (const auto& [debtor, minor] : dues) NotePaid(day, debtor);
    for (size_t grant = 0; grant < lost_.size(); ++grant) Note(day, balances_.lost(grant), grant, &lost_[grant]);
    return true;
  }

  std::vector<GrantShare>& shares(size_t debtor) { return shares_[debtor]; }
  std::vector<GrantDay>& lost(size_t grant) { return lost_[grant]; }

 private:
  void NotePaid(Day day, size_t debtor) {
    for (size_t grant = 0; grant < lost_.size(); ++grant) {
      Note(day, -balances_.burned(grant, debtor), grant, &shares_[debtor][grant].paid);
    }
  }
  void Note(Day day, Int128 to_date, size_t grant, std::vector<GrantDay>* days) {
    if (!days->empty() && days->back().day == day) days->pop_back();
    const Int128 before = days->empty() ? Int128{0} : days->back().to_date;
    if (to_date != before) days->push_back({day, to_date, balances_.balance(grant)});
  }

  GrantBalances balances_;
  std::vector<std::vector<GrantShare>> shares_;  // of each debtor and grant
  std::vector<std::vector<GrantDay>> lost_;      // of each grant
};

}  // namespace

bool IsBreakage(const Catalog& catalog, const RatedCharge& line) {
  if (!line.charge->is_of_grant) return false;
  const auto loses_it = [&](const Grant& grant) { return grant.breakage && &*grant.breakage == line.charge; };
  if (line.account_grant != nullptr) return loses_it(*line.account_grant);
  return std::ranges::any_of(catalog.GrantsOf(line.subscription->id), loses_it);
}

std::vector<GrantTerms> TermsOf(std::span<const Grant> grants, Day last) {
  std::vector<GrantTerms> terms;
  for (const Grant& grant : grants) {
    terms.push_back({.id = grant.id,
                     .amount = grant.amount.minor,
                     .priority = grant.priority,
                     .starts_on = grant.starts_on,
                     .ends_on = grant.ends_on,
                     .refills = RefillsOf(grant, last),
                     .rollover = grant.rollover.minor,
                     .pays_earlier = grant.pays_earlier,
                     .refill_min = grant.rollover_min.minor});
  }
  return terms;
}

void AddMoments(std::span<const GrantTerms> terms, Day last, DueByDay* due) {
  const auto add = [&](Day day) {
    if (day <= last) due->try_emplace(day, 0);
  };
  for (const GrantTerms& grant : terms) {
    add(grant.starts_on);
    if (grant.ends_on) add(*grant.ends_on);
    for (const Day refill : grant.refills) add(refill);
  }
}

std::vector<std::string_view> GrantedAccountsOf(const Catalog& catalog, std::string_view subject) {
  std::vector<std::string_view> accounts;
  for (const Subscription& version : catalog.SubscriptionsOf(subject)) {
    const bool is_new = std::ranges::find(accounts, version.account) == accounts.end();
    if (is_new && !catalog.AccountGrantsOf(version.account).empty()) accounts.push_back(version.account);
  }
  return accounts;
}

void AddDues(const Catalog& catalog, std::string_view subject, const absl::Status& status, const RatedSubject& rated,
             DuesByAccount* dues) {
  bool fits = status.ok();
  for (const RatedCharge& line : rated.charges) {
    if (fits && !IsBreakage(catalog, line)) {
      fits = AddLine(catalog, catalog.SubscriptionsOf(subject), line, dues);
    }
  }
  if (fits) return;
  for (const std::string_view account : GrantedAccountsOf(catalog, subject)) {
    (*dues)[account].status = NotSettled(account, "subject " + std::string(subject));
  }
}

void AddDues(DuesByAccount more, DuesByAccount* dues) {
  for (auto& [account, of_account] : more) {
    AccountDues& into = (*dues)[account];
    into.of_subscription.merge(of_account.of_subscription);
    if (into.status.ok()) into.status = std::move(of_account.status);
  }
}

void Settle(const Catalog& catalog, std::string_view account, const AccountDues& dues, std::optional<Day> through,
            SettledGrants* settled) {
  if (!dues.status.ok()) {
    settled->not_settled.emplace(account, dues.status);
    return;
  }
  const std::span<const Grant> grants = catalog.AccountGrantsOf(account);
  std::optional<Day> last = through;
  std::map<Day, Settlement::Dues> days;
  size_t debtor = 0;
  for (const auto& [subscription, due] : dues.of_subscription) {
    for (const auto& [day, minor] : due) days[day].emplace_back(debtor, minor);
    ++debtor;
  }
  if (!days.empty()) last = std::max(last, std::optional(days.rbegin()->first));
  if (!last) return;
  const std::vector<GrantTerms> terms = TermsOf(grants, *last);
  DueByDay moments;
  AddMoments(terms, *last, &moments);
  for (const auto& [day, nothing] : moments) days.try_emplace(day);

  Settlement settlement(grants, terms, dues);
  for (const auto& [day, of_day] : days) {
    if (settlement.AddDay(day, of_day, moments.contains(day))) continue;
    settled->not_settled.emplace(account, NotSettled(account, "what is due does not fit"));
    return;
  }
  debtor = 0;
  for (const auto& [subscription, due] : dues.of_subscription) {
    std::vector<GrantShare>& into = settled->of_subscription[subscription];
    std::ranges::move(settlement.shares(debtor++), std::back_inserter(into));
  }
  std::vector<GrantShare>& first = settled->of_subscription[FirstSubscriptionOf(catalog, account)];
  for (size_t grant = 0; grant < grants.size(); ++grant) {
    if (!settlement.lost(grant).empty()) first.push_back({&grants[grant], {}, std::move(settlement.lost(grant))});
  }
}

}  // namespace tollbook
