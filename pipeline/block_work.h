// BlockWork: what one block of input became: the events' verdicts, their identities by dedup shard, their measurements
// by total shard.
#ifndef TOLLBOOK_PIPELINE_BLOCK_WORK_H_
#define TOLLBOOK_PIPELINE_BLOCK_WORK_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "ledger/first_touch.h"
#include "ledger/seen_set.h"
#include "ledger/totals_run.h"
#include "pipeline/aligned_buffer.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "pipeline/layout.h"
#include "pipeline/lines.h"
#include "pipeline/measure.h"
#include "pipeline/source_feeder.h"
#include "pipeline/try_pace.h"

namespace tollbook {

// Items of a block, grouped by shard, in input order within each. For small items: each is written twice.
template <typename Item, int kShards>
class ByShard {
 public:
  std::span<const Item> all() const { return {data(), offsets_[kShards]}; }
  std::span<const Item> of(int shard) const {
    return all().subspan(offsets_[shard], offsets_[shard + 1] - offsets_[shard]);
  }

  // Counting sort: two passes over `unordered`, no allocation once the memory has grown.
  template <typename ShardOf>
  void Fill(const std::vector<Item>& unordered, ShardOf shard_of) {
    static_assert(std::is_trivially_copyable_v<Item>);
    offsets_.fill(0);
    for (const Item& item : unordered) ++offsets_[shard_of(item) + 1];
    for (int shard = 0; shard < kShards; ++shard) offsets_[shard + 1] += offsets_[shard];
    if (storage_.capacity() < unordered.size() * sizeof(Item)) {
      storage_ = AlignedBuffer(unordered.size() * sizeof(Item));
      TouchAhead(storage_.data(), storage_.capacity());
    }
    std::array<uint32_t, kShards> next;
    std::copy_n(offsets_.begin(), kShards, next.begin());
    for (const Item& item : unordered) new (&data()[next[shard_of(item)]++]) Item(item);
  }

 private:
  Item* data() const { return reinterpret_cast<Item*>(storage_.data()); }
  AlignedBuffer storage_;  // not a vector, which would write each item once before it gets its value
  std::array<uint32_t, kShards + 1> offsets_{};
};

// Which items of a block are each shard's, in input order: for items of a cache line each, which stay where they are.
template <int kShards>
class ShardOrder {
 public:
  std::span<const uint32_t> of(int shard) const {
    return std::span(order_).subspan(offsets_[shard], offsets_[shard + 1] - offsets_[shard]);
  }

  template <typename Item, typename ShardOf>
  void Fill(const std::vector<Item>& items, ShardOf shard_of) {
    offsets_.fill(0);
    for (const Item& item : items) ++offsets_[shard_of(item) + 1];
    for (int shard = 0; shard < kShards; ++shard) offsets_[shard + 1] += offsets_[shard];
    order_.resize(items.size());
    std::array<uint32_t, kShards> next;
    std::copy_n(offsets_.begin(), kShards, next.begin());
    for (uint32_t i = 0; i < items.size(); ++i) order_[next[shard_of(items[i])]++] = i;
  }

 private:
  std::vector<uint32_t> order_;
  std::array<uint32_t, kShards + 1> offsets_{};
};

struct Identity {
  SeenEntry entry;
  uint32_t event = 0;
  Day date;  // of the usage
};

// Where an event stands in its block.
struct EventPlace {
  uint32_t line = 0;    // line ends of the block before it
  uint32_t offset = 0;  // in Block::data
  uint32_t bytes = 0;
  uint32_t part = 0;  // which event of its line
};

struct BlockWork {
  Block block;
  const FedSource* from = nullptr;  // null: held events, which are canonical JSON
  Day cut_off = kNoUsage;           // usage dated before it is refused
  uint64_t line_ends = 0;           // of the block, cut-out lines included
  std::vector<EventPlace> places;
  std::vector<Reason> verdicts;  // of each event; dedup shards write theirs without touching another's
  ByShard<Identity, kSeenShards> identities;
  std::vector<Measurement> measurements;
  ShardOrder<kTotalShards> measurements_of;
  std::vector<std::pair<uint32_t, std::string>> held;  // event -> its canonical JSON
  // Where the book keeps a usage log: what was read for the block, and the same packed.
  ReadContent content;
  std::string packed;
};

// When layouts are tried, and when one is learnt. Neither may cost much where lines have nothing in common.
class LayoutPace {
 public:
  bool TriesNext() { return tries_.TriesNext(); }
  bool MayLearn() { return !tries_.rests() && lessons_ > 0; }
  // A lesson that taught nothing, because the layout was known and did not match for another reason, is dear: the next
  // one of its kind will teach nothing either.
  void OnLesson(bool learnt) { lessons_ -= std::min(lessons_, learnt ? 1 : kVainLesson); }
  // True at the end of a stretch that layouts did not help with.
  bool OnTried(bool matched);
  void Renew() { lessons_ = LayoutTree::kLayoutsMax; }

 private:
  static constexpr uint32_t kMatchedMin = TryPace::kStretch / 8;
  static constexpr uint32_t kLinesALesson = 16;  // that matched
  static constexpr uint32_t kVainLesson = 8;
  TryPace tries_{kMatchedMin};
  uint32_t lessons_ = LayoutTree::kLayoutsMax;
};

// Decodes and measures all of a block's lines. One per thread; the buffers are reused.
class BlockDecoder {
 public:
  explicit BlockDecoder(Measurer measurer, DecoderChoice choice = DecoderChoice::kAuto)
      : measurer_(std::move(measurer)), choice_(choice) {}
  void Decode(Decoder& decoder, BlockWork* work);
  uint64_t matched() const { return matched_; }  // events that a layout decoded

 private:
  void ReserveAsBefore(BlockWork* work) const;
  size_t MatchLine(const BlockLine& line, BlockWork* work);
  size_t MatchRow(CsvRows& rows, const BlockLine& line, BlockWork* work);
  size_t TryRow(CsvRows& rows, const BlockLine& line, BlockWork* work);
  bool MeasureRow(CsvRows& rows, BlockWork* work);
  void DecodeLine(Decoder& decoder, const BlockLine& line, BlockWork* work);
  Reason JudgeEvent(const UsageEvent& event, BlockWork* work, Identity* identity);
  Reason JudgeCorrection(const UsageEvent& event);
  // Where the measurements of an event begin: its usage date; false: it is refused.
  bool DateIsTaken(const BlockWork& work, size_t first, Day* date);
  void Learn(const BlockLine& line, const BlockWork& work, const UsageEvent& event);

  static constexpr size_t kLearntBytesMax = 16 << 10;

  Measurer measurer_;
  const DecoderChoice choice_;
  LayoutTree layouts_;
  std::vector<LayoutPlan> plans_;  // by layout
  LayoutPace pace_;
  Slots slots_;
  Arena line_arena_;  // what is needed no longer than its line
  uint64_t matched_ = 0;
  std::vector<DecodedEvent> events_;
  std::vector<Identity> identities_;
  std::vector<Measurement> of_correction_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BLOCK_WORK_H_
