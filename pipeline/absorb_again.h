// AbsorbAgain: the sources of a book, read once more into an empty book beside it: what that one says, compared with
// what the book says. For `verify --deep`.
//
// Both books hash under the same seed, so a shard of the one has the subjects of the same shard of the other. Sources
// go in the order in which the book met them, for of two that conflict the first one stays.
//
// Cost      That of absorbing them, and as much disk as the book; both books' totals of one shard a thread.
#ifndef TOLLBOOK_PIPELINE_ABSORB_AGAIN_H_
#define TOLLBOOK_PIPELINE_ABSORB_AGAIN_H_

#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/input.h"
#include "pipeline/verify.h"
#include "rating/catalog.h"

namespace tollbook {

// Law 1: as many events are accepted; law 2: each total of subject, meter, dimension values and bucket is the same.
// `scratch`: a directory for the other book, empty; what is in it afterwards nobody needs.
// Errors: those of Absorb; FailedPrecondition when the inputs are not what the book has absorbed, all of it and nothing
// else.
[[nodiscard]] absl::StatusOr<std::vector<LawCheck>> AbsorbAgain(const Book& book, const Catalog& catalog,
                                                                InputList inputs, const AbsorbOptions& options,
                                                                const std::string& scratch);

// The same with the sources where the book read them, as far as they were absorbed; one that is not there any more as
// it was, from the usage log. The first row says what is there; a source that is not is no error and breaks no law.
// When all are, the others are as above, but for lines that are held, which may count by now. Else totals are compared
// of those subjects of which nothing can have come from what is missing: all others are counted in the detail. Not
// compared are
//   subjects with totals of a commit that read a missing source, or that took in what was held;
//   subjects of lines in conflict, for the line that they are in conflict with may be in what is missing;
//   of either case: subjects of lines that are held; meters that the book began to count after others of their event
//   type, of whose earlier events it has no totals.
// No rows: the book has no source with lines.
[[nodiscard]] absl::StatusOr<std::vector<LawCheck>> AbsorbSourcesAgain(const Book& book, const Catalog& catalog,
                                                                       const AbsorbOptions& options,
                                                                       const std::string& scratch);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ABSORB_AGAIN_H_
