// Unpacked: packed files unpacked beside the decoding, checked whole before one line of them is used.
//
// The checksums of gzip and zstd stand behind what they protect: a flipped bit gives other lines first and the error
// after. So a file is unpacked to its end before it is given. What it unpacks to is kept meanwhile, up to a bound;
// a file that comes to more is unpacked a second time, in a thread of its own that keeps ahead of who reads.
#ifndef TOLLBOOK_PIPELINE_UNPACKED_H_
#define TOLLBOOK_PIPELINE_UNPACKED_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <vector>

#include "pipeline/aligned_buffer.h"
#include "pipeline/byte_source.h"
#include "pipeline/input.h"
#include "rating/error.h"

namespace tollbook {

struct Unpacked {
  absl::Status status;                // DataLoss: damaged or cut off; Cancelled: stopped; else as BlockReader
  bool whole = false;                 // `pieces` are all of it: it came to no more than the bound
  std::vector<AlignedBuffer> pieces;  // each kUnpackedPiece bytes of content, the last one what is left
  uint64_t bytes = 0;                 // of the content
  uint64_t packed_bytes = 0;
};
inline constexpr size_t kUnpackedPiece = 1 << 20;

// Unpacks a packed regular file to its end; keeps the content when it is at most `keep_bytes`.
[[nodiscard]] Unpacked Unpack(const InputFile& file, uint64_t keep_bytes, const std::function<bool()>& stopped);

// Unpacks the packed files of a list in order, several side by side, before they are asked for. One thread at a time.
class UnpackAhead {
 public:
  // Holds what at most `files` and the one in use came to, each within `keep_bytes`.
  UnpackAhead(const InputList& inputs, size_t files, uint64_t keep_bytes, const std::atomic<bool>* stop);
  ~UnpackAhead();
  // Begins with the packed files from number `file` on that are `wanted`.
  void Begin(size_t file, const std::function<bool(const InputFile&)>& wanted);
  std::shared_ptr<const Unpacked> Take(size_t file);

 private:
  void BeginOne(size_t file);
  const InputList& inputs_;
  const size_t files_;
  const uint64_t keep_bytes_;
  const std::atomic<bool>* const stop_;
  std::atomic<bool> ending_{false};
  size_t next_ = 0;
  std::map<size_t, std::future<Unpacked>> under_way_;
};

// The content of a file that was found whole: from memory when it was kept, else unpacked again.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenUnpacked(const InputFile& file,
                                                         std::shared_ptr<const Unpacked> unpacked);

// Reads `source` in a thread of its own, a few pieces ahead.
std::unique_ptr<ByteSource> MakeSourceAhead(std::unique_ptr<ByteSource> source);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_UNPACKED_H_
