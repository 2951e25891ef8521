// AccountGrants: what the grants of an account (grant.h) pay of each of its subscriptions, day by day.
//
// Such a grant pays whichever of them owes something, so none can be rated without the others. Each is rated alone
// first, which says what it comes to (AddDues); then each account is settled (Settle); then each is rated again, with
// what was settled for it (SubjectRater).
//
// Dues       what all lines of a subscription come to on a day, in minor units, discounts and its own grants included;
//            not what its own grants lose. They are of the account that the subscription's version of that day names.
// Order      by day, in each subscription's own zone. On one day first the grants' ends, refills and starts, then what
//            is taken back, then what is due, each by subscription id. Which grant pays: grant_balances.h.
// Taken back comes off what the subscription itself owes, then goes back to the grants that paid for it; never to what
//            another one owes.
// Lost       is a line of the account's first subscription: the one that began first, of those by id.
//
// A function of the dues alone, in whatever order they are added: so any cut into seals sums to the same. Memory: some
// 64 bytes for each day of a subscription with dues, of accounts with grants.
#ifndef TOLLBOOK_RATING_ACCOUNT_GRANTS_H_
#define TOLLBOOK_RATING_ACCOUNT_GRANTS_H_

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "rating/catalog.h"
#include "rating/grant_balances.h"
#include "rating/rate.h"

namespace tollbook {

// Is it what a grant lost, of the subscription or of its account? The line is revenue of money that was paid before,
// and nobody owes it.
[[nodiscard]] bool IsBreakage(const Catalog& catalog, const RatedCharge& line);

// What a grant has paid, or lost, by the end of a day, in minor units.
struct GrantDay {
  Day day;
  Int128 to_date = 0;
  Int128 left = 0;
};

// As grant_balances.h wants them, with refills up to a day.
std::vector<GrantTerms> TermsOf(std::span<const Grant> grants, Day last);

// What days come to, in minor units.
using DueByDay = std::map<Day, Int128>;
// The days on which a balance may change.
void AddMoments(std::span<const GrantTerms> terms, Day last, DueByDay* due);

struct AccountDues {
  std::map<std::string_view, DueByDay> of_subscription;  // by id
  absl::Status status;                                   // OutOfRange: one of its subscriptions cannot be rated
};
using DuesByAccount = std::map<std::string_view, AccountDues>;  // of accounts that have grants

// Of a subject that was rated without anything settled, or could not be rated (`status`; `rated` is then not looked
// at). Borrows the catalog.
void AddDues(const Catalog& catalog, std::string_view subject, const absl::Status& status, const RatedSubject& rated,
             DuesByAccount* dues);
// Of other subjects.
void AddDues(DuesByAccount more, DuesByAccount* dues);

// What one grant of an account pays for one subscription, and loses.
struct GrantShare {
  const Grant* grant = nullptr;
  std::vector<GrantDay> paid;  // by days on which it changes; below zero
  std::vector<GrantDay> lost;  // of the account's first subscription
};
struct SettledGrants {
  std::map<std::string_view, std::vector<GrantShare>> of_subscription;  // by id
  std::map<std::string_view, absl::Status> not_settled;  // accounts: OutOfRange. What is booked for them stays
};

// The accounts with grants that a subject's subscriptions name, each once.
std::vector<std::string_view> GrantedAccountsOf(const Catalog& catalog, std::string_view subject);

// `through`: up to which day ends and refills happen; without it up to the last day of the dues.
void Settle(const Catalog& catalog, std::string_view account, const AccountDues& dues, std::optional<Day> through,
            SettledGrants* settled);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_ACCOUNT_GRANTS_H_
