// The usage log's two ends in the flow: what absorb has read becomes zstd frames (ledger/usage_log.h stores them), and
// a source's content comes out of them again.
#ifndef TOLLBOOK_PIPELINE_USAGE_LOG_H_
#define TOLLBOOK_PIPELINE_USAGE_LOG_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/usage_log.h"
#include "pipeline/byte_source.h"
#include "pipeline/input.h"
#include "pipeline/mapping.h"
#include "rating/error.h"

namespace tollbook {

// Packs bytes into a frame of their own. One per thread.
class FramePacker {
 public:
  FramePacker();
  ~FramePacker();
  FramePacker(FramePacker&& other) noexcept;
  void Pack(std::string_view bytes, std::string* packed);  // behind what is there

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// What an epoch has read, block by block in input order, as the segments that it stores.
class SegmentCollector {
 public:
  // Frames of the content from `first_offset` to `end_offset` of a source.
  void Add(uint32_t source, uint64_t first_offset, uint64_t end_offset, std::string_view frames);
  std::vector<PackedUsage> Take() { return std::exchange(segments_, {}); }

 private:
  std::vector<PackedUsage> segments_;
};

// What the log of a book has of its sources. Borrows the book.
class UsageLogReader {
 public:
  explicit UsageLogReader(const Book& book) : book_(book) {}
  // First of all. Errors: the book's.
  [[nodiscard]] absl::Status Open();

  bool empty() const { return segments_.empty(); }
  enum class Has : uint8_t {
    kNothing,  // of this source, or not from its start, or with a gap
    kPurged,   // some of it was there
    kWhole,    // all that was absorbed of it
  };
  Has Of(const SourceRecord& source) const;
  uint64_t purged_by(uint32_t source) const;  // the newest commit that purged some of it
  // Of one that it has whole. Reads a segment at a time; Unavailable, with the file's name, when one is not what was
  // written.
  std::unique_ptr<ByteSource> Content(uint32_t source) const;

 private:
  const Book& book_;
  std::map<uint32_t, std::vector<UsageSegment>> segments_;  // of each source, in the order of its content
};

// The source as an input that is read from the log: in the way that it was absorbed, which is looked for among the
// mappings of several catalogs, its own format first. None: no catalog that is known reads it so.
std::optional<InputFile> LoggedFile(const SourceRecord& source,
                                    const std::vector<std::vector<SourceMapping>>& mappings);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_USAGE_LOG_H_
