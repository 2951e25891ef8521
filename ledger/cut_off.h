// CutOff: the day before which a book takes no usage any more, for ever, so that it may forget the dedup keys of what
// it took. A policy: a book that nobody tells to forget keeps every key.
//
// Refused first   A key is there so that a second arrival is not counted. Without it, only its date can say no: so the
//                 day is in the same write as the keys that go, and never becomes an earlier one. Usage dated before it
//                 is refused (Reason::kBeforeCutOff) whether its key is there or not.
// What goes       Runs, and stretches of the log, whose latest usage date is before the day (seen_store.h). With one
//                 key of later usage all of it stays; what was written before dates were kept stays for ever.
// The sum         The chain says which keys there must be. The record has the sum of those that went, after each was
//                 read once more and was what was written: so forgetting hides no damage.
// The risk        An id that comes again under a later date, which would have been a conflict, is counted as new usage.
#ifndef TOLLBOOK_LEDGER_CUT_OFF_H_
#define TOLLBOOK_LEDGER_CUT_OFF_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "ledger/seen_store.h"
#include "rating/calendar.h"
#include "rating/error.h"

namespace tollbook {

class Book;

struct CutOff {
  uint64_t sequence = 0;  // of the commit
  Day before;             // usage of earlier days of the book's zone is refused from then on
  SeenSum forgotten;
  friend bool operator==(const CutOff&, const CutOff&) = default;
};
// In the order of commits; no day is before an earlier one.
[[nodiscard]] absl::StatusOr<std::vector<CutOff>> CutOffs(const Book& book);
// The newest one's day; kNoUsage: the book refuses none.
[[nodiscard]] absl::StatusOr<Day> CutOffOf(const Book& book);

struct ForgetTerms {
  Day before;           // one before the book's cut-off counts as that
  std::string by, why;  // neither empty
  std::string waived;   // what stood in the way; for the audit
};
struct ForgetReport {
  Day before;  // the book's cut-off since
  uint64_t keys = 0;
  uint64_t bytes = 0;  // on disk
};
// One commit of the chain, by somebody, for a reason; none when there is nothing to forget. No SeenShard that was
// loaded before may be committed afterwards. Errors: the book's; DataLoss, and nothing is changed, when keys are not
// what was written.
[[nodiscard]] absl::StatusOr<ForgetReport> ForgetKeys(Book& book, const ForgetTerms& terms);

// RemedyOf (exception.h) in a book with that cut-off: what names an event that is not there may name a forgotten one.
[[nodiscard]] std::string RemedyOf(Reason reason, Day cut_off);

// The keys that are there, by the latest usage date of what they lie in; kLatestUnknown: it was not kept.
[[nodiscard]] std::map<Day, SeenKept> KeptKeys(const Book& book);

std::string Encode(const CutOff& cut_off);
absl::StatusOr<CutOff> DecodeCutOff(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_CUT_OFF_H_
