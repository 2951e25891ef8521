// Unpacked: packed files unpacked beside the decoding, checked whole before one line of them is used.
//
// The checksums of gzip and zstd stand behind what they protect: a flipped bit gives other lines first and the error
// after. So a file is unpacked to its end before it is given. What it unpacks to is kept meanwhile, up to a bound;
// a file that comes to more is unpacked a second time, in a thread of its own that keeps ahead of who reads. Small
// frames of one zstd file are unpacked by several threads, both times.
//
// Why twice. Of 1 M events, 239 MB, in seconds of a core: 0.27 to unpack gz and 0.38 zst, 0.6 to absorb. Kept as they
// are they would be fresh memory of the size of the file: 0.13 to touch on a quiet machine, four times that on a busy
// one, so for a large file nothing is won. Kept packed lightly they cost more than unpacking them again (LZ4: 0.39 to
// pack, 0.1 to unpack), and memory that grows with the file.
#ifndef TOLLBOOK_PIPELINE_UNPACKED_H_
#define TOLLBOOK_PIPELINE_UNPACKED_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <vector>

#include "pipeline/byte_source.h"
#include "pipeline/input.h"
#include "pipeline/piece_store.h"
#include "rating/error.h"

namespace tollbook {

struct Unpacked {
  absl::Status status;  // DataLoss: damaged or cut off; Cancelled: stopped; else as BlockReader
  bool whole = false;   // `kept` is all of it: it came to no more than the bound
  Pieces kept;
  uint64_t bytes = 0;  // of the content
  uint64_t packed_bytes = 0;
};

struct UnpackOptions {
  uint64_t keep_bytes = 0;
  size_t threads = 1;             // for the frames of one zstd file
  std::function<bool()> stopped;  // may be empty
  PieceStore* pieces = nullptr;   // where memory comes from; null: it is fresh
};

// Unpacks a packed regular file to its end. Keeps the content when it is at most `keep_bytes`, and the file's size
// gives hope for that.
[[nodiscard]] Unpacked Unpack(const InputFile& file, const UnpackOptions& options);

// Unpacks the packed files of a list in order, several side by side, before they are asked for. One thread at a time.
class UnpackAhead {
 public:
  // With `threads`: as many files, or fewer and several frames of each. Holds what they and the one in use came to,
  // each within `keep_bytes`.
  UnpackAhead(const InputList& inputs, size_t threads, uint64_t keep_bytes, const std::atomic<bool>* stop);
  ~UnpackAhead();
  // Begins with the packed files from number `file` on that are `wanted`.
  void Begin(size_t file, const std::function<bool(const InputFile&)>& wanted);
  std::shared_ptr<const Unpacked> Take(size_t file);
  size_t threads_a_file() const { return threads_a_file_; }

 private:
  void BeginOne(size_t file);
  const InputList& inputs_;
  const size_t files_;
  const size_t threads_a_file_;
  const uint64_t keep_bytes_;
  const std::atomic<bool>* const stop_;
  std::atomic<bool> ending_{false};
  const std::shared_ptr<PieceStore> pieces_ = std::make_shared<PieceStore>();
  size_t next_ = 0;
  std::map<size_t, std::future<Unpacked>> under_way_;
};

// The content of a file that was found whole: from memory when it was kept, else unpacked again. `threads` as above.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenUnpacked(const InputFile& file,
                                                         std::shared_ptr<const Unpacked> unpacked, size_t threads = 1);

// Reads `source` in a thread of its own, a few pieces ahead.
std::unique_ptr<ByteSource> MakeSourceAhead(std::unique_ptr<ByteSource> source);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_UNPACKED_H_
