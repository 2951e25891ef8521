// AccountFacts: how each account stands as of the newest seal: what CRM and customer success systems are told.
//
// Month     the calendar month of the day through which the newest seal went, or without one of the newest day that has
//           a line. All facts are of it, or of the month before; later days are not counted.
// Spend     what all lines of the month come to but those of grants, as they are booked once nothing keeps them
//           waiting, by their usage dates.
// Grants    of the account, and of its subscriptions as their newest versions name it. What is left of one is its
//           amount, started, refilled and ended by the calendar, less what its lines paid. A target of some entities is
//           told of those grants alone that no line of another entity can use.
// Committed the commitments of charges and minimums of plans (committed.h) that are in force on that day, and what
// counts
//           towards them of the billing period that holds it. Likewise where lines of other entities count, none.
// Posting   of the batches that have the account's differences of the month, by what a target of journals said of them.
//
// Derived from what the newest seal saw, and where its batches stand now: the same whenever it is asked for.
#ifndef TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_
#define TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_

#include <memory>
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

// For however many targets. The book is rated when the first is asked for, and again once it has a newer seal; what is
// kept are sums of two months, so memory grows with the subscriptions, and with the charges that have lines in these.
class AccountStandings {
 public:
  // Borrows the book. `threads`: that rate; 0: as many as there are cores.
  AccountStandings(const Book& book, int threads);
  ~AccountStandings();

  // Of a target that takes accounts: one record of each account, or of each subscription, that has a line or a grant,
  // or a commitment where the target is told of one; by ids. Empty: nothing is sealed, or the month lies before the
  // target's first.
  // FailedPrecondition: accounts have no id there, or two of them the same one; commitments of one name are in several
  // currencies. OutOfRange: a sum that cannot be held.
  [[nodiscard]] absl::StatusOr<std::vector<AccountRecord>> RecordsFor(const Target& target);

  int times_rated() const { return times_rated_; }

  struct Sealed;  // what the newest seal saw

 private:
  absl::Status RateOnce();

  const Book& book_;
  const int threads_;
  int times_rated_ = 0;
  std::unique_ptr<Sealed> sealed_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ACCOUNT_FACTS_H_
