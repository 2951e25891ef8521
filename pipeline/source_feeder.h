// SourceFeeder: the inputs as one stream of blocks, in order, from where the book left off.
//
// A file that was absorbed whole is recognised by its content and skipped. One that was absorbed in part, or has grown
// since, goes on where the book stands, if what is before that point is still the same; if not, it is a new source, and
// dedup keeps the book right.
#ifndef TOLLBOOK_PIPELINE_SOURCE_FEEDER_H_
#define TOLLBOOK_PIPELINE_SOURCE_FEEDER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/records.h"
#include "pipeline/content_tap.h"
#include "pipeline/input.h"
#include "pipeline/unpacked.h"

namespace tollbook {

struct SkippedSource {
  std::string path;
  uint32_t source = 0;  // the record of the same content
  uint64_t lines = 0;
};

// An input as it was opened. Does not change and stays where it is, so decoders may look at it while the feeder goes
// on.
struct FedSource {
  uint32_t id = 0;
  const InputFile* file = nullptr;
  std::string header;  // CSV
};

// Bytes of a source's (decompressed) content, as they were read.
struct ReadContent {
  uint32_t source = 0;
  uint64_t first_offset = 0, end_offset = 0;  // half-open
  std::string bytes;                          // empty: it came to more than is kept (content_tap.h)
};

// Tells two ways of reading the same bytes apart (SourceRecord::reading).
uint64_t ReadingOf(const InputFile& file);

// One thread at a time.
class SourceFeeder {
 public:
  // `known`: the book's sources. `catalog`: a fingerprint of what decides whether a line is accepted. `stop`: may be
  // null; when it turns true, the stream ends.
  SourceFeeder(const InputList& inputs, std::vector<SourceRecord> known, uint64_t catalog, const ReaderOptions& options,
               const std::atomic<bool>* stop);

  // Before the first Next: what is read can be taken.
  void KeepContent() { keeps_content_ = true; }

  // The next block, with Block::file set to the id of its source. False at the end of all inputs or after a stop.
  bool Next(Block* block);

  // Where the last block of Next came from.
  const FedSource* current() const { return &opened_.back(); }

  // What was read for the last block of Next: its lines, and what is of no block before and behind them. Once a block.
  void TakeContent(ReadContent* content);
  // What was read of sources that had no block, since the last call.
  std::vector<ReadContent> TakeLooseContent() { return std::exchange(loose_content_, {}); }

  // The record of a source, with everything up to the last block that Next gave.
  SourceRecord& record(uint32_t source);
  // Sources that Next touched since the last call.
  std::vector<uint32_t> TakeTouched();

  const std::vector<SkippedSource>& skipped() const { return skipped_; }
  const std::vector<LeftOut>& left_out() const { return left_out_; }  // errors met while reading
  uint64_t bytes_read() const { return bytes_before_ + (reader_ ? reader_->bytes_read() : 0); }
  bool stopped() const { return stopped_; }

 private:
  bool OpenNext();
  absl::StatusOr<std::unique_ptr<BlockReader>> OpenReader(const InputFile& file);
  bool AlreadyAbsorbed(const InputFile& file);
  absl::StatusOr<uint32_t> Resume(const InputFile& file);
  void FinishCurrent();
  void CloseReader();
  void LeaveOut(const std::string& path, const absl::Status& status);
  void Touch(uint32_t source);

  const InputList& inputs_;
  std::vector<SourceRecord> records_;  // index: id
  // Ids of records that may fit a file, so that ten thousand files are not each compared with ten thousand.
  std::unordered_map<uint64_t, std::vector<uint32_t>> by_bytes_;  // of finished ones; stale where one has grown
  std::unordered_map<std::string, std::vector<uint32_t>> by_path_;
  std::deque<FedSource> opened_;  // a deque: its elements do not move
  const uint64_t catalog_;
  const ReaderOptions options_;
  const std::atomic<bool>* stop_;
  bool keeps_content_ = false;
  std::unique_ptr<ContentTap> tap_;  // of the reader, where content is kept
  std::vector<ReadContent> loose_content_;
  UnpackAhead ahead_;
  size_t next_file_ = 0;
  std::unique_ptr<BlockReader> reader_;
  std::vector<uint32_t> touched_;
  std::vector<SkippedSource> skipped_;
  std::vector<LeftOut> left_out_;
  uint64_t bytes_before_ = 0;
  bool stopped_ = false;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SOURCE_FEEDER_H_
