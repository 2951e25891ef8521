// ByteSource: the content of one file as a stream of bytes, unpacked when it is packed.
//
// Memory is bounded whatever the content unpacks to: a source fills the caller's buffer and holds no more than its own
// fixed input buffer (and the window of the compression, at most 128 MiB), unless it says otherwise.
#ifndef TOLLBOOK_PIPELINE_BYTE_SOURCE_H_
#define TOLLBOOK_PIPELINE_BYTE_SOURCE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "pipeline/input.h"
#include "rating/error.h"

namespace tollbook {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // At most `bytes` bytes into `into`, and no fewer than are there without waiting for a pipe; 0: the end. DataLoss:
  // the packed file is damaged or cut off; what could be unpacked before was given first. The message names file and
  // place.
  virtual absl::StatusOr<size_t> Read(char* into, size_t bytes) = 0;
  virtual uint64_t bytes_read() const = 0;              // of the file on disk, for progress and messages
  virtual std::chrono::nanoseconds waited() const = 0;  // for a pipe that had nothing to give
};

// By the first bytes of a file: at least kMagicBytes of them when the file has so many.
inline constexpr size_t kMagicBytes = 4;
Compression CompressionOf(std::string_view first_bytes);

// A pipe may give nothing for long. Regular files are never waited for.
struct Waiting {
  const std::atomic<bool>* stop = nullptr;  // once it turns true, Read says Cancelled
  int idle_millis =
      -1;  // Read says DeadlineExceeded when nothing came for so long, and may be called again; -1: it waits
};

// The bytes as they are on disk; "-" is standard input.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenFileSource(const std::string& path, const Waiting& waiting = {});
// Several gzip members, or zstd frames, one behind the other, are one content. `path` is for messages.
std::unique_ptr<ByteSource> MakeGzipSource(std::unique_ptr<ByteSource> packed, std::string path);
std::unique_ptr<ByteSource> MakeZstdSource(std::unique_ptr<ByteSource> packed, std::string path);
// The same of a regular file, with up to `threads` runs of its frames unpacked side by side. Memory: of one run more
// than that, each 12 MiB as pzstd writes them, 40 MiB at the very most.
std::unique_ptr<ByteSource> MakeZstdFramesSource(std::unique_ptr<ByteSource> packed, std::string path, size_t threads);

// `first`, then what `rest` gives.
std::unique_ptr<ByteSource> MakePrefixedSource(std::string first, std::unique_ptr<ByteSource> rest);

// Opens the file, looks at its first bytes and unpacks it if they say so. `threads` above 1: as MakeZstdFramesSource.
absl::StatusOr<std::unique_ptr<ByteSource>> OpenSource(const std::string& path, const Waiting& waiting = {},
                                                       size_t threads = 1);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BYTE_SOURCE_H_
