// BlockWork: what one block of input became: the events' verdicts, their identities by dedup shard, their measurements
// by total shard.
#ifndef TOLLBOOK_PIPELINE_BLOCK_WORK_H_
#define TOLLBOOK_PIPELINE_BLOCK_WORK_H_

#include <array>
#include <cstdint>
#include <vector>

#include "ledger/seen_set.h"
#include "ledger/totals_run.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "pipeline/lines.h"
#include "pipeline/measure.h"
#include "pipeline/source_feeder.h"

namespace tollbook {

// Items of a block, grouped by shard, in input order within each.
template <typename Item, int kShards>
struct ByShard {
  std::vector<Item> items;
  std::array<uint32_t, kShards + 1> offsets{};

  std::span<const Item> of(int shard) const {
    return std::span(items).subspan(offsets[shard], offsets[shard + 1] - offsets[shard]);
  }

  // Counting sort: two passes over `unordered`, no allocation once the vectors have grown.
  template <typename ShardOf>
  void Fill(const std::vector<Item>& unordered, ShardOf shard_of) {
    offsets.fill(0);
    for (const Item& item : unordered) ++offsets[shard_of(item) + 1];
    for (int shard = 0; shard < kShards; ++shard) offsets[shard + 1] += offsets[shard];
    items.resize(unordered.size());
    std::array<uint32_t, kShards> next;
    std::copy_n(offsets.begin(), kShards, next.begin());
    for (const Item& item : unordered) items[next[shard_of(item)]++] = item;
  }
};

struct Identity {
  SeenEntry entry;
  uint32_t event = 0;
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
  uint64_t line_ends = 0;           // of the block, cut-out lines included
  std::vector<EventPlace> places;
  std::vector<Reason> verdicts;  // of each event; dedup shards write theirs without touching another's
  ByShard<Identity, kSeenShards> identities;
  ByShard<Measurement, kTotalShards> measurements;
  std::vector<std::pair<uint32_t, std::string>> held;  // event -> its canonical JSON
};

// Decodes and measures all of a block's lines. One per thread; the buffers are reused.
class BlockDecoder {
 public:
  explicit BlockDecoder(Measurer measurer) : measurer_(std::move(measurer)) {}
  void Decode(Decoder& decoder, BlockWork* work);

 private:
  void DecodeLine(Decoder& decoder, const BlockLine& line, BlockWork* work);
  Measurer measurer_;
  std::vector<DecodedEvent> events_;
  std::vector<Identity> identities_;
  std::vector<Measurement> measurements_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BLOCK_WORK_H_
