// Input: from the arguments of a command to files to read, and from a file to blocks of whole lines.
#ifndef TOLLBOOK_PIPELINE_INPUT_H_
#define TOLLBOOK_PIPELINE_INPUT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/aligned_buffer.h"
#include "pipeline/arena.h"
#include "pipeline/mapping.h"
#include "rating/error.h"

namespace tollbook {

enum class Compression : uint8_t { kNone, kGzip, kZstd };

struct InputFile {
  std::string path;  // as given or found; "-" for standard input
  std::string name;  // without directory and .gz/.zst: what {file} stands for
  InputFormat format = InputFormat::kCloudEvents;
  const SourceMapping* mapping = nullptr;        // borrowed; set for CSV
  Compression compression = Compression::kNone;  // by its first bytes, not by its name; stdin too
  uint64_t bytes = 0;                            // size on disk; 0 when not a regular file
  bool regular = false;                          // can be read again from the start and skipped by content
};

struct LeftOut {
  std::string path;
  std::string why;  // "it is a device or a socket; give files, …", or an error's `what: which: what to do`
};

struct InputList {
  std::vector<InputFile> files;  // arguments in order; inside a directory or glob sorted by path, each file once
  std::vector<LeftOut>
      left_out;  // unreadable, a CSV without mapping, a device, a loop of directories …; the run goes on without them
  uint64_t bytes = 0;
};

// Arguments: files, directories (recursive; .json .jsonl .ndjson .csv with or without .gz/.zst, and whatever a
// mapping's glob matches; other files in a directory are left out silently except that the list says so), globs, "-". A
// path that does not exist is an error: a typing mistake should not pass as an empty file.
[[nodiscard]] absl::StatusOr<InputList> FindInputs(const std::vector<std::string>& arguments,
                                                   const std::vector<SourceMapping>& mappings);

// A run of whole lines of one file, in memory. The reader fills it, decoders read it in parallel. Handing a block back
// to Next() reuses its storage.
struct Block {
  AlignedBuffer storage;
  char* data = nullptr;    // the first line's first byte; kLinePadding readable bytes (zeros) follow the last line
  size_t bytes = 0;        // ends with '\n' except at the end of a file without one; may be 0 before a long line
  uint64_t offset = 0;     // of `data` in the file's (decompressed) content
  uint64_t first_row = 0;  // row number of the first line, when the reader counts rows; else 0. Every physical line
                           // behind the header is a row, blank and long ones too
  uint32_t file = 0;       // set by the caller
  // Lines longer than the limit are cut out by the reader, which never holds one: each leaves its offset, length (with
  // its line end) and first 256 bytes here. A long line ends its block, so that the lines in `data` are contiguous in
  // the file: it stands behind all of them.
  struct LongLine {
    uint64_t offset;
    uint64_t bytes;
    uint64_t lines_before;  // line ends in this block's data, all in front of it
    std::string excerpt;
  };
  std::vector<LongLine> long_lines;
  std::chrono::nanoseconds waited{};  // for a pipe that had nothing to give
  Arena arena;
};

// Where a reader stands, for going on after a restart: the next unread byte and line of the (decompressed) content, and
// a digest of all the content before it, so that another file under the same name is told apart.
struct SourcePosition {
  uint64_t offset = 0;
  uint64_t rows = 0;                         // data rows before it, when counted
  uint64_t digest_low = 0, digest_high = 0;  // XXH3-128 of the content before `offset`
  friend bool operator==(const SourcePosition&, const SourcePosition&) = default;
};

struct ReaderOptions {
  size_t block_bytes = 4 << 20;
  size_t line_bytes_max = 1 << 20;
  bool count_rows = false;  // CSV: the mapping needs {row}
  size_t unpack_ahead = 1;  // packed files unpacked side by side, each in a thread of its own
  // Turns true: a pipe that is waited for ends with Cancelled, behind the whole lines that it has given. Null: never.
  const std::atomic<bool>* stop = nullptr;
  // A pipe's block is given after so long, with what there is, perhaps nothing; -1: it is waited for until it is full.
  int idle_millis = -1;
};

class ByteSource;
using OpenContent = std::function<absl::StatusOr<std::unique_ptr<ByteSource>>()>;

// Reads one file in order. Not thread-safe; one thread at a time.
class BlockReader {
 public:
  virtual ~BlockReader() = default;
  // CSV files: the header line is read at open, is part of the content and digest, and is not in any block. JSON: a
  // byte order mark at the file's start is skipped (CSV too). Gzip may have several members, zstd several frames; both
  // are read with bounded memory whatever they unpack to.
  static absl::StatusOr<std::unique_ptr<BlockReader>> Open(const InputFile& file, const ReaderOptions& options);
  // The same with the file's (decompressed) content from elsewhere.
  static absl::StatusOr<std::unique_ptr<BlockReader>> Open(const InputFile& file, const ReaderOptions& options,
                                                           OpenContent open);

  virtual std::string_view header() const = 0;  // CSV

  // Reads forward to `position` without giving blocks. False (and the reader is back at the start) when the content
  // before it has another digest or is shorter: it is another file. So it is when its last line had no line end and has
  // gone on since, for that line must be read as a whole; a line end that came since is passed over. Refused
  // (FailedPrecondition) for what cannot be read again from the start.
  virtual absl::StatusOr<bool> SkipTo(const SourcePosition& position) = 0;

  // The next block; false at the end. It may be empty when a pipe is idle. A damaged or truncated compressed file gives
  // the whole lines that could be read, then an error (DataLoss) that names file and offset; a partial last line before
  // the damage is not given. Whoever uses lines of a packed file has it checked whole before (unpacked.h).
  virtual absl::StatusOr<bool> Next(Block* block) = 0;

  virtual SourcePosition position() const = 0;  // after the last block given
  virtual uint64_t bytes_read() const = 0;      // of the file on disk, for progress
};

// XXH3-128 of a regular file's bytes on disk: equal digests and sizes, the same file.
struct FileDigest {
  uint64_t low = 0, high = 0;
  friend bool operator==(const FileDigest&, const FileDigest&) = default;
};
[[nodiscard]] absl::StatusOr<FileDigest> DigestFile(const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_INPUT_H_
