// SeenFilter: a Bloom filter over the identities of one cold run: "surely not here", or "look".
//
// An identity belongs to one block of 32 bytes, which lies in one cache line, and sets one bit in each of the block's
// eight words: a probe is one cache miss and a few vector instructions. With 16 bits a key, fewer than 1 in 500
// strangers pass (seen_filter_test); over 64 spills of about one size a shard has four runs on average, over 1,000 six,
// so about 1 % of all look-ups read the disk in vain, at most.
//
// The block follows the identity's order, so a filter is filled from sorted entries front to back.
#ifndef TOLLBOOK_LEDGER_SEEN_FILTER_H_
#define TOLLBOOK_LEDGER_SEEN_FILTER_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ledger/seen_entry.h"

namespace tollbook {

class SeenFilter {
 public:
  SeenFilter() = default;
  explicit SeenFilter(uint64_t entries) : blocks_(BlocksFor(entries)) {}

  void Add(const SeenEntry& entry) {
    Block& block = blocks_[BlockOf(entry)];
    for (size_t word = 0; word < kWords; ++word) block.words[word] |= Bit(entry, word);
  }
  void Prefetch(const SeenEntry& entry) const { __builtin_prefetch(&blocks_[BlockOf(entry)]); }
  bool MayHave(const SeenEntry& entry) const {
    const Block& block = blocks_[BlockOf(entry)];
    uint32_t missing = 0;
    for (size_t word = 0; word < kWords; ++word) missing |= ~block.words[word] & Bit(entry, word);
    return missing == 0;
  }

  // As stored, little-endian.
  std::string_view bytes() const { return {reinterpret_cast<const char*>(blocks_.data()), size()}; }
  char* data() { return reinterpret_cast<char*>(blocks_.data()); }
  size_t size() const { return blocks_.size() * sizeof(Block); }
  static size_t BytesFor(uint64_t entries) { return BlocksFor(entries) * sizeof(Block); }

 private:
  static constexpr size_t kWords = 8;
  static constexpr uint64_t kEntriesPerBlock = 16;
  struct alignas(32) Block {
    std::array<uint32_t, kWords> words{};
  };
  static uint64_t BlocksFor(uint64_t entries) { return entries / kEntriesPerBlock + 1; }

  // All of a shard's identities begin alike, so the block takes the 32 bits behind the shard's.
  size_t BlockOf(const SeenEntry& entry) const {
    const uint32_t rank = entry.key_high << kSeenShardBits | entry.key_middle >> (32 - kSeenShardBits);
    return static_cast<size_t>(static_cast<uint64_t>(rank) * blocks_.size() >> 32);
  }
  // Odd numbers, one a word: the top 5 bits of the product choose the bit.
  static uint32_t Bit(const SeenEntry& entry, size_t word) {
    constexpr std::array<uint32_t, kWords> kFactors = {0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F,
                                                       0x165667B1, 0xD6E8FEB9, 0xA5A35625, 0x7FEB352D};
    return 1u << (entry.key_low * kFactors[word] >> 27);
  }

  std::vector<Block> blocks_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_FILTER_H_
