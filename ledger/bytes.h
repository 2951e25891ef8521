// Bytes: the small grammar that every stored value of the book is written in. FORMAT.md describes it.
//
//   fixed   big-endian, so that keys sort by number
//   varint  seven bits a byte, low first; zigzag for signed numbers; up to 128 bits
//   text    varint length, then the bytes
// A value has one form: a reader refuses a varint with a needless last byte, or one too large for what it is read into.
// A reader never reads past its end: it turns `ok()` false and gives zeros, so that damaged bytes cannot run wild.
#ifndef TOLLBOOK_LEDGER_BYTES_H_
#define TOLLBOOK_LEDGER_BYTES_H_

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include "rating/decimal.h"

namespace tollbook {

// For whoever has reserved room: `at` must have that many bytes, or eight. Each returns the place behind what it wrote.
inline constexpr size_t kVarintBytesMax = 19;

// Numbers of mixed lengths are what a loop over bytes is bad at: each wrong guess of its end costs some 8 ns. So the
// eight bytes that hold all numbers below 2^56 are spread and gathered without a loop: 2 ns. The loops below are the
// twins.
inline constexpr uint64_t kEightBytesMax = (uint64_t{1} << 56) - 1;
inline constexpr uint64_t kTopBits = 0x8080808080808080;
inline uint64_t SpreadToBytes(uint64_t value) {
  value = (value & 0x00fffffff0000000) << 4 | (value & 0x000000000fffffff);
  value = (value & 0x0fffc0000fffc000) << 2 | (value & 0x00003fff00003fff);
  return (value & 0x3f803f803f803f80) << 1 | (value & 0x007f007f007f007f);
}
inline uint64_t GatherFromBytes(uint64_t bytes) {
  bytes = (bytes & 0x7f007f007f007f00) >> 1 | (bytes & 0x007f007f007f007f);
  bytes = (bytes & 0x3fff00003fff0000) >> 2 | (bytes & 0x00003fff00003fff);
  return (bytes & 0x0fffffff00000000) >> 4 | (bytes & 0x000000000fffffff);
}

inline char* PutVarint64(uint64_t value, char* at) {
  static_assert(std::endian::native == std::endian::little);
  if (value <= kEightBytesMax) {
    const int size = (std::bit_width(value | 1) + 6) / 7;
    const uint64_t more_follow = kTopBits & ((uint64_t{1} << (8 * (size - 1))) - 1);
    const uint64_t bytes = SpreadToBytes(value) | more_follow;
    std::memcpy(at, &bytes, sizeof bytes);
    return at + size;
  }
  for (; value >= 0x80; value >>= 7) *at++ = static_cast<char>(static_cast<uint8_t>(value) | 0x80);
  *at++ = static_cast<char>(value);
  return at;
}
inline char* PutVarint(Uint128 value, char* at) {
  for (; value > UINT64_MAX; value >>= 7) *at++ = static_cast<char>(static_cast<uint8_t>(value) | 0x80);
  return PutVarint64(static_cast<uint64_t>(value), at);
}
inline constexpr Uint128 ZigzagOf(Int128 value) {
  return (static_cast<Uint128>(value) << 1) ^ static_cast<Uint128>(value >> 127);
}

class ByteWriter {
 public:
  void Fixed8(uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void Fixed32(uint32_t value) { AppendBigEndian(value, 4); }
  void Fixed64(uint64_t value) { AppendBigEndian(value, 8); }
  void Varint(Uint128 value) {
    char buffer[kVarintBytesMax];
    bytes_.append(buffer, PutVarint(value, buffer) - buffer);
  }
  void Zigzag(Int128 value) { Varint(ZigzagOf(value)); }
  void Text(std::string_view text) {
    Varint(text.size());
    bytes_.append(text);
  }
  void Raw(std::string_view raw) { bytes_.append(raw); }

  size_t size() const { return bytes_.size(); }
  const std::string& bytes() const { return bytes_; }
  void Clear() { bytes_.clear(); }
  std::string Take() { return std::move(bytes_); }

 private:
  void AppendBigEndian(uint64_t value, int size) {
    for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) bytes_.push_back(static_cast<char>(value >> shift));
  }
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  uint8_t Fixed8() { return static_cast<uint8_t>(BigEndian(1)); }
  uint32_t Fixed32() { return static_cast<uint32_t>(BigEndian(4)); }
  uint64_t Fixed64() { return BigEndian(8); }
  Uint128 Varint() {
    // Nearly all numbers of the book are short.
    if (!rest_.empty() && static_cast<uint8_t>(rest_.front()) < 0x80) return Taken(1, rest_.front());
    return LongVarint();
  }
  uint64_t Varint64() {
    if (!rest_.empty() && static_cast<uint8_t>(rest_.front()) < 0x80) return Taken(1, rest_.front());
    return Narrow<uint64_t>(LongVarint());
  }
  uint32_t Varint32() { return Narrow<uint32_t>(Varint()); }
  Int128 Zigzag() {
    const Uint128 value = Varint();
    return static_cast<Int128>(value >> 1) ^ -static_cast<Int128>(value & 1);
  }
  int64_t Zigzag64() { return Narrow<int64_t>(Zigzag()); }
  int32_t Zigzag32() { return Narrow<int32_t>(Zigzag()); }
  bool Flag() {
    const uint8_t value = Fixed8();
    return value <= 1 ? value == 1 : Fail() != 0;
  }
  // One of an enum whose values are 0 or more and at most `last`.
  template <typename Enum>
  Enum OneOf(Enum last) {
    const uint8_t value = Fixed8();
    return static_cast<Enum>(value <= static_cast<uint8_t>(last) ? value : Fail());
  }
  std::string_view Text() { return Raw(Varint64()); }
  std::string_view Raw(uint64_t size) {
    if (size > rest_.size()) {
      Fail();
      return {};
    }
    const std::string_view raw = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return raw;
  }
  // A count of things that take at least `bytes_each` bytes: refuses what the bytes cannot hold, before any allocation.
  uint64_t Count(size_t bytes_each = 1) {
    const uint64_t count = Varint64();
    return count <= rest_.size() / bytes_each ? count : Fail();
  }

  // For what the grammar allows and the reader's owner does not, e.g. an index beyond its table. Always 0.
  uint64_t Fail() {
    ok_ = false;
    rest_ = {};
    return 0;
  }

  std::string_view rest() const { return rest_; }
  size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  bool done() const { return ok_ && rest_.empty(); }

 private:
  uint64_t Taken(size_t bytes, uint64_t value) {
    rest_.remove_prefix(bytes);
    return value;
  }
  template <typename Narrower, typename Wider>
  Narrower Narrow(Wider value) {
    const bool fits = value >= static_cast<Wider>(std::numeric_limits<Narrower>::min()) &&
                      value <= static_cast<Wider>(std::numeric_limits<Narrower>::max());
    return static_cast<Narrower>(fits ? value : static_cast<Wider>(Fail()));
  }
  Uint128 LongVarint() {
    uint64_t bytes = 0;
    if (rest_.size() < sizeof bytes) return AnyVarint();
    std::memcpy(&bytes, rest_.data(), sizeof bytes);
    const uint64_t ends = ~bytes & kTopBits;
    if (ends == 0) return AnyVarint();
    const int size = std::countr_zero(ends) / 8 + 1;
    const uint64_t value = GatherFromBytes(bytes & (ends ^ (ends - 1)));
    const bool needless = size > 1 && value >> (7 * (size - 1)) == 0;
    return needless ? Fail() : Taken(size, value);
  }
  Uint128 AnyVarint() {
    constexpr int kLastShift = 126;  // 18 * 7: the 19th byte holds the top two bits
    Uint128 value = 0;
    for (int shift = 0; shift <= kLastShift && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<Uint128>(byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      const bool needless = byte == 0;
      const bool beyond = shift == kLastShift && byte > 3;
      return needless || beyond ? Fail() : value;
    }
    return Fail();
  }
  uint64_t BigEndian(size_t size) {
    if (rest_.size() < size) return Fail();
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
    rest_.remove_prefix(size);
    return value;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BYTES_H_
