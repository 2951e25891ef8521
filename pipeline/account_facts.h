// AccountFacts: how each account stands as of the newest seal: what CRM and customer success systems are told.
//
// Month     the calendar month of the day through which the newest seal went, or without one of the newest day that has
//           a line. All facts are of it, or of the month before; later days are not counted.
// Spend     what all lines of the month come to but those of grants, as they are booked once nothing keeps them
//           waiting, by their usage dates.
// Grants    of the account, and of its subscriptions as their newest versions name it. What is left of one is its
//           amount, started, refilled and ended by the calendar, less what its lines paid.
// Posting   of the batches that have the account's differences of the month, by what a target of journals said of them.
//
// Derived from what the newest seal saw, and where its batches stand now: the same whenever it is asked for.
#ifndef TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_
#define TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_

#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/targets.h"

namespace tollbook {

// The value of a field: decimal text of a number, a text, or nothing.
struct AccountValue {
  enum class Kind : uint8_t { kNothing, kNumber, kText };
  std::string field;  // its name there
  Kind kind = Kind::kNothing;
  std::string text;
  friend bool operator==(const AccountValue&, const AccountValue&) = default;
};

struct AccountRecord {
  std::string id;                          // there
  std::vector<AccountValue> values;        // as the target's fields are
  std::vector<std::string> entities = {};  // whose lines, grants and batches they are of, in order
  std::string month = {};                  // that they are of
  friend bool operator==(const AccountRecord&, const AccountRecord&) = default;
};

// The words of a posting status, the worst first.
inline constexpr std::string_view kPostingFailed = "failed";          // parked or superseded there, or not approved
inline constexpr std::string_view kPostingReview = "pending review";  // held for approval
inline constexpr std::string_view kPostingPending = "pending";
inline constexpr std::string_view kPosted = "posted";
inline constexpr std::string_view kPostingNone = "none";  // there is no such batch

// Of a target that takes accounts: one record of each account, or of each subscription, that has a line or a grant; by
// ids. Empty: nothing is sealed, or the month lies before the target's first.
// FailedPrecondition: accounts have no id there, or two of them the same one. OutOfRange: a sum that cannot be held.
[[nodiscard]] absl::StatusOr<std::vector<AccountRecord>> AccountRecordsOf(const Book& book, const Target& target,
                                                                          int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_
