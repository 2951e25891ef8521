// ContentTap: keeps what a BlockReader reads of a file's content, byte for byte, until it is taken.
//
// A block is not all of it: a byte order mark, a header line, lines that are too long and the line end that comes late
// are in no block, but in the digest; and decoders write into blocks. So the tap is where the reader reads.
//
// Memory    What was read and not taken: a block, and the line that is cut at its end. Of a line so long that it comes
//           to more than kTapBytesMax nothing is kept, and whoever takes is told so.
#ifndef TOLLBOOK_PIPELINE_CONTENT_TAP_H_
#define TOLLBOOK_PIPELINE_CONTENT_TAP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "pipeline/byte_source.h"
#include "pipeline/input.h"

namespace tollbook {

inline constexpr size_t kTapBytesMax = 64 << 20;

// One thread at a time. Outlives the reader.
class ContentTap {
 public:
  ContentTap() = default;
  ContentTap(const ContentTap&) = delete;
  ContentTap& operator=(const ContentTap&) = delete;

  // For BlockReader::Open. Each time that the reader opens the content anew, the tap begins anew with it.
  OpenContent On(OpenContent open);
  // What is before this offset of the content is not wanted: it was taken before.
  void PassOver(uint64_t offset);
  // The content from where the last one ended to `end`, added to `into`. False, and nothing is added: it was too long.
  bool Take(uint64_t end, std::string* into);
  uint64_t taken() const { return taken_; }  // where the next one begins

 private:
  class Source;
  void Begin();
  void Add(std::string_view bytes);

  std::string kept_;
  uint64_t begin_ = 0;  // of what is kept
  uint64_t taken_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CONTENT_TAP_H_
