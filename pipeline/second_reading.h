// SecondReading: the lines of a book's sources, read and measured once more, each as the book says that it ended
// (line_ends.h): what the totals come to then, and what of it cannot be so.
//
// Nothing is decided anew that hangs on what is known no more, such as the catalog that a run had. What the book says
// is followed, line by line, and must be possible:
//   an event that was accepted is one by its line, of a date that was taken then, and new by its identity;
//   what is a duplicate or in conflict has an identity that was there before (arrivals.h);
//   the identities that were accepted, with their contents, are those that the book remembers.
// So sources may be read in any order, one after the other, and missing ones leave the others as they are.
//
// Meters    An event was counted by those meters of its type that the book counted by then (MeterRecord), for each had
//           to be in every catalog since. A stretch of commits in which no meter is new is an era; sources are read
//           once for each era that has some of their lines.
// Corrections that were applied are taken from the book. What they take from a total that gives up none (CanTakeBack)
//           is not counted in the first place. None was applied that restates an event by other meters than counted it:
//           its content would have been another.
//
// Cost      That of decoding each line, once an era; on disk 40 bytes an event, and the totals as often as they are
//           flushed. Memory: a round of input, the totals of an epoch, and what LineEnds has.
#ifndef TOLLBOOK_PIPELINE_SECOND_READING_H_
#define TOLLBOOK_PIPELINE_SECOND_READING_H_

#include <memory>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/input.h"
#include "pipeline/verify.h"

namespace tollbook {

// A source with lines, as it can be read again.
struct ReadSource {
  SourceRecord record;
  InputFile file;
  OpenContent open;  // null: from the file's path
};

struct SecondReading {
  std::unique_ptr<Book> totals;   // a book that has nothing else
  uint64_t accepted = 0;          // events of the sources that were read
  uint64_t accepted_in_book = 0;  // as their records say
  std::vector<Unlike> unlike;     // what the book says otherwise: of lines, and of sources
  uint64_t acceptable = 0;        // lines that were rejected, and are events by the meters that counted then
};

// `is_all`: there are no other sources with lines. `scratch`: an empty directory; what is in it afterwards nobody
// needs. Errors: the book's; FailedPrecondition: a source cannot be read; Cancelled by options.stop.
[[nodiscard]] absl::StatusOr<SecondReading> ReadSecondTime(const Book& book, std::vector<ReadSource> sources,
                                                           bool is_all, const AbsorbOptions& options,
                                                           const std::string& scratch);

// All meters that the book ever counted, as a catalog of no prices.
[[nodiscard]] absl::StatusOr<Catalog> CountedMeters(const Book& book);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SECOND_READING_H_
