// AbsorbAgain: the sources of a book, read once more (second_reading.h): what they come to, compared with what the book
// says. For `verify --deep`.
//
// A sound book is never called wrong. The commits are followed in their order, with what each took in, refused, held
// or retried; where nobody can tell, nothing is compared, and the detail counts it.
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

// Law 1: the same events are accepted, line by line, and they are those that the book remembers; law 2: each total of
// subject, meter, dimension values and bucket is the same; but for those with a total that no number holds.
// `catalog`: has how files are mapped. `scratch`: a directory for the other book, empty; what is in it afterwards
// nobody needs.
// Errors: the book's; FailedPrecondition when the inputs are not what the book has absorbed, all of it and nothing
// else, or no files; Cancelled by options.stop.
[[nodiscard]] absl::StatusOr<std::vector<LawCheck>> AbsorbAgain(const Book& book, const Catalog& catalog,
                                                                const InputList& inputs, const AbsorbOptions& options,
                                                                const std::string& scratch);

// The same with the sources where the book read them, as far as they were absorbed; one that is not there any more as
// it was, from the usage log. The first row says what is there; a source that is not is no error and breaks no law.
// Then lines are compared of those that are, and totals of those subjects of which nothing came from what is missing:
// the detail counts the others, which are subjects with totals of a commit that took in lines of a missing source.
// No rows: the book has no source with lines.
[[nodiscard]] absl::StatusOr<std::vector<LawCheck>> AbsorbSourcesAgain(const Book& book, const Catalog& catalog,
                                                                       const AbsorbOptions& options,
                                                                       const std::string& scratch);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ABSORB_AGAIN_H_
