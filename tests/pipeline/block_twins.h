// BlockTwins: what decodes a block with a short cut is compared with what decodes it without.
//
// TOLLBOOK_SEED=<number> repeats a run; TOLLBOOK_LONG=1 runs a hundred times as long.
#ifndef TOLLBOOK_TESTS_PIPELINE_BLOCK_TWINS_H_
#define TOLLBOOK_TESTS_PIPELINE_BLOCK_TWINS_H_

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>

#include "pipeline/block_work.h"
#include "tests/rating/seed.h"

namespace tollbook {

using Random = std::mt19937_64;

inline int Rounds(int in_short) {
  return IsLongRun() ? in_short * 100 : in_short;
}

template <typename Choices>
auto Pick(const Choices& choices, Random& random) {
  return choices[random() % std::size(choices)];
}
inline bool OneIn(unsigned n, Random& random) {
  return random() % n == 0;
}

inline Block BlockOf(std::string_view text, Random& random) {
  Block block;
  block.storage = AlignedBuffer(text.size() + kLinePadding);
  // At the very end of its memory, so that a sanitizer sees who reads too far; and what may be read is a trap.
  block.data = block.storage.data() + block.storage.capacity() - text.size() - kLinePadding;
  block.bytes = text.size();
  std::memcpy(block.data, text.data(), text.size());
  static constexpr std::string_view kTraps[] = {"\"}}\n", "}\n",     "\n",           "1", std::string_view("\0", 1),
                                                "\"",     "5}}\r\n", "\\u0041\"}}\n"};
  const std::string_view trap = Pick(kTraps, random);
  for (size_t i = 0; i < kLinePadding; ++i) block.data[block.bytes + i] = trap[i % trap.size()];
  return block;
}

// A way of decoding, with its own numbers for series.
struct Side {
  Side(const Catalog& catalog, const BookIdentity& identity, DecoderChoice choice, std::unique_ptr<Decoder> lines)
      : series(identity.seed[1]), blocks(Measurer(catalog, identity, series), choice), decoder(std::move(lines)) {}
  SeriesTable series;
  BlockDecoder blocks;
  std::unique_ptr<Decoder> decoder;

  void Decode(Block block, BlockWork* work) {
    work->block = std::move(block);
    blocks.Decode(*decoder, work);
  }
};

inline std::string Describe(const Measurement& m, const SeriesTable& series) {
  std::string text = std::string(m.subject_name()) + " " + ToString(m.value) + " at " + std::to_string(m.time.nanos) +
                     " in " + std::to_string(m.bucket.number) + " of event " + std::to_string(m.event) + " meter " +
                     std::to_string(series.at(m.series).meter) + " hash " + std::to_string(m.subject_hash.high) + "," +
                     std::to_string(m.subject_hash.low);
  for (const std::string_view value : series.at(m.series).dimension_values) text.append(" <").append(value).append(">");
  return text;
}

template <typename Item, typename Same>
bool SameItems(std::span<const Item> a, std::span<const Item> b, Same same) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

// Blocks decoded with the short cut and without.
class BlockTwins : public ::testing::Test {
 protected:
  using MakeDecoder = std::function<std::unique_ptr<Decoder>()>;
  BlockTwins(Catalog catalog, const MakeDecoder& make)
      : catalog_(std::move(catalog)),
        with_(catalog_, identity_, DecoderChoice::kAuto, make()),
        without_(catalog_, identity_, DecoderChoice::kSimdjson, make()) {}

  // Decodes one text both ways, cut into blocks behind random lines.
  void Check(std::string_view text) {
    while (!text.empty()) {
      size_t bytes = text.size();
      if (OneIn(3, random_)) bytes = std::min(bytes, random_() % text.size() + 1);
      const size_t line_end = text.find('\n', bytes - 1);
      if (line_end != std::string_view::npos) bytes = line_end + 1;
      CheckBlock(text.substr(0, bytes));
      if (HasFatalFailure()) return;
      text.remove_prefix(bytes);
    }
  }

  void CheckBlock(std::string_view text) {
    if (OneIn(50, random_)) {
      with_.series.Clear();
      without_.series.Clear();
    }
    BlockWork a, b;
    with_.Decode(BlockOf(text, random_), &a);
    without_.Decode(BlockOf(text, random_), &b);
    ASSERT_NO_FATAL_FAILURE(Compare(a, b)) << "TOLLBOOK_SEED=" << TestSeed() << ", block:\n" << text;
    events_ += a.verdicts.size();
  }

  void Compare(const BlockWork& a, const BlockWork& b) {
    ASSERT_EQ(a.line_ends, b.line_ends);
    ASSERT_EQ(a.verdicts.size(), b.verdicts.size());
    for (size_t i = 0; i < a.verdicts.size(); ++i) {
      const EventPlace &pa = a.places[i], &pb = b.places[i];
      ASSERT_EQ(a.verdicts[i], b.verdicts[i]) << "line " << pb.line << ": " << ToString(b.verdicts[i]);
      ASSERT_EQ(std::tie(pa.line, pa.offset, pa.bytes, pa.part), std::tie(pb.line, pb.offset, pb.bytes, pb.part));
    }
    ASSERT_EQ(a.held, b.held);
    const auto same_identity = [](const Identity& x, const Identity& y) {
      return x.entry == y.entry && x.event == y.event;
    };
    for (int shard = 0; shard < kSeenShards; ++shard)
      ASSERT_TRUE(SameItems(a.identities.of(shard), b.identities.of(shard), same_identity)) << "shard " << shard;
    ASSERT_EQ(a.measurements.size(), b.measurements.size());
    for (size_t i = 0; i < a.measurements.size(); ++i)
      ASSERT_EQ(Describe(a.measurements[i], with_.series), Describe(b.measurements[i], without_.series));
    for (int shard = 0; shard < kTotalShards; ++shard)
      ASSERT_TRUE(SameItems(a.measurements_of.of(shard), b.measurements_of.of(shard), std::equal_to<uint32_t>()));
  }

  Random random_{TestSeed()};
  BookIdentity identity_{kFormatVersion, "fuzz", "Europe/Berlin", {11, 12}};
  Catalog catalog_;
  Side with_;
  Side without_;
  uint64_t events_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_BLOCK_TWINS_H_
