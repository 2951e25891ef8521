// SubjectLines: which lines of JSON may be usage of some subjects, told from their bytes.
//
// Where a book's sources are read again for a few subjects, decoding all other lines would take most of the time. A
// line with a backslash may write anything in another way, so it may be theirs; without one the field `subject`, its
// name and its value, stand there as they are.
//
// Cost      One look for line ends, one for backslashes, and one for `"subject"`.
#ifndef TOLLBOOK_PIPELINE_SUBJECT_LINES_H_
#define TOLLBOOK_PIPELINE_SUBJECT_LINES_H_

#include <cstdint>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "pipeline/input.h"

namespace tollbook {

// Borrows the subjects.
class SubjectLines {
 public:
  void Add(std::string_view subject) { subjects_.insert(subject); }
  void AddAll() { all_ = true; }

  // False: whatever is decoded from it, it is of another subject, or none.
  bool MayHold(std::string_view line) const;

  // Takes the lines out of a block of JSON that cannot be theirs. The numbers of those that stay, as BlockLine has
  // them.
  std::vector<uint32_t> Keep(Block* block) const;

 private:
  std::unordered_set<std::string_view> subjects_;
  bool all_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SUBJECT_LINES_H_
