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

// The same with what the book's usage log has, in place of inputs. None: it does not have all sources that had lines,
// or one of them is read in a way that neither the catalog nor `mappings` know.
[[nodiscard]] absl::StatusOr<std::optional<std::vector<LawCheck>>> AbsorbLogAgain(
    const Book& book, const Catalog& catalog, const std::vector<SourceMapping>& mappings, AbsorbOptions options,
    const std::string& scratch);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ABSORB_AGAIN_H_
