// LineEnds: how each line that a book has read ended, and by which commit, told from what the book keeps.
//
// A line ends with the commit that read it: accepted, or as the exception says that this commit stored. One that was
// held ends with the retry that took it in, and a correction with the commit that applied it or refused it. So the
// commits in their order are all that happened to the book's lines, whatever catalog each was read under.
//
// Memory    24 bytes for each line that was not accepted at once, and up to 72 while they are read, however often they
//           were tried again. Cost: the exceptions are read once, and once more for each retry that took in lines.
#ifndef TOLLBOOK_PIPELINE_LINE_ENDS_H_
#define TOLLBOOK_PIPELINE_LINE_ENDS_H_

#include <cstdint>
#include <span>
#include <vector>

#include "ledger/book.h"
#include "ledger/exception.h"
#include "rating/error.h"

namespace tollbook {

struct LineEnd {
  uint64_t line = 0;      // 1-based
  uint64_t sequence = 0;  // the commit that it ended with; 0: it is held still
  uint32_t part = 0;      // which event of the line
  Reason reason = Reason::kNone;
  bool is_applied = false;  // a correction that changed what had been accepted
};

class LineEnds {
 public:
  // `commits`: all of the book's. Errors: the book's.
  [[nodiscard]] static absl::StatusOr<LineEnds> Of(const Book& book, const std::vector<CommitRecord>& commits);
  // Of a source, by line and part, all but what the commit that read it accepted.
  std::span<const LineEnd> of(uint32_t source) const {
    return source < of_sources_.size() ? of_sources_[source] : std::span<const LineEnd>();
  }

 private:
  std::vector<std::vector<LineEnd>> of_sources_;  // by id
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_LINE_ENDS_H_
