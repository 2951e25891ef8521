#include "ledger/seen_page.h"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "ledger/bytes.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr size_t kHeaderBytes = 1 + 1 + 4 + 8;
constexpr size_t kContentBytes = 8;
constexpr size_t kChecksumBytes = 8;
// A difference is read and written as 16 bytes at any address: behind the last one come a content and the checksum.
static_assert(kContentBytes + kChecksumBytes == sizeof(Uint128));
static_assert(kSeenKeyBits + 7 <= 128);

int BitWidth(Uint128 value) {
  const auto high = static_cast<uint64_t>(value >> 64);
  return high != 0 ? 64 + std::bit_width(high) : std::bit_width(static_cast<uint64_t>(value));
}

size_t DifferenceBytes(size_t count, size_t width) {
  return ((count - 1) * width + 7) / 8;
}

size_t PageBytes(size_t count, size_t width) {
  return kHeaderBytes + DifferenceBytes(count, width) + count * kContentBytes + kChecksumBytes;
}

// The parts of a page whose size and checksum are right.
class PageView {
 public:
  explicit PageView(std::string_view page) {
    ByteReader in(page);
    count_ = in.Fixed8();
    width_ = in.Fixed8();
    first_ = static_cast<Uint128>(in.Fixed32()) << 64;
    first_ |= in.Fixed64();
    if (!in.ok() || count_ == 0 || count_ > kSeenPageEntries || width_ > kSeenKeyBits) return;
    if (page.size() != PageBytes(count_, width_)) return;
    ByteReader checksum(page.substr(page.size() - kChecksumBytes));
    if (checksum.Fixed64() != XXH3_64bits(page.data(), page.size() - kChecksumBytes)) return;
    differences_ = page.data() + kHeaderBytes;
    contents_ = differences_ + DifferenceBytes(count_, width_);
    mask_ = (static_cast<Uint128>(1) << width_) - 1;
    sound_ = true;
  }
  bool sound() const { return sound_; }
  size_t count() const { return count_; }
  Uint128 first() const { return first_; }
  // Of entry `i` from the one before it; 1 <= i < count().
  Uint128 Difference(size_t i) const {
    const size_t bit = (i - 1) * width_;
    Uint128 word;
    std::memcpy(&word, differences_ + bit / 8, sizeof word);
    return word >> (bit % 8) & mask_;
  }
  uint64_t Content(size_t i) const {
    uint64_t content;
    std::memcpy(&content, contents_ + i * kContentBytes, sizeof content);
    return content;
  }

 private:
  bool sound_ = false;
  size_t count_ = 0;
  size_t width_ = 0;
  Uint128 first_ = 0;
  Uint128 mask_ = 0;
  const char* differences_ = nullptr;
  const char* contents_ = nullptr;
};

}  // namespace

void AppendSeenPage(std::span<const SeenEntry> sorted, std::string* out) {
  const size_t count = sorted.size();
  TOLLBOOK_ASSERT(count > 0 && count <= kSeenPageEntries);
  Uint128 all_bits = 0;  // as wide as the largest difference
  for (size_t i = 1; i < count; ++i) {
    TOLLBOOK_ASSERT(KeyOf(sorted[i]) > KeyOf(sorted[i - 1]));
    all_bits |= KeyOf(sorted[i]) - KeyOf(sorted[i - 1]);
  }
  const size_t width = static_cast<size_t>(BitWidth(all_bits));
  ByteWriter header;
  header.Fixed8(static_cast<uint8_t>(count));
  header.Fixed8(static_cast<uint8_t>(width));
  header.Fixed32(sorted[0].key_high);
  header.Fixed64(static_cast<uint64_t>(KeyOf(sorted[0])));
  const size_t start = out->size();
  out->append(header.bytes());
  out->resize(start + PageBytes(count, width), '\0');
  char* const differences = out->data() + start + kHeaderBytes;
  for (size_t i = 1; i < count; ++i) {
    const size_t bit = (i - 1) * width;
    Uint128 word;
    std::memcpy(&word, differences + bit / 8, sizeof word);
    word |= (KeyOf(sorted[i]) - KeyOf(sorted[i - 1])) << (bit % 8);
    std::memcpy(differences + bit / 8, &word, sizeof word);
  }
  char* const contents = differences + DifferenceBytes(count, width);
  for (size_t i = 0; i < count; ++i) {
    const uint64_t content = ContentOf(sorted[i]);
    std::memcpy(contents + i * kContentBytes, &content, sizeof content);
  }
  out->resize(out->size() - kChecksumBytes);
  ByteWriter checksum;
  checksum.Fixed64(XXH3_64bits(out->data() + start, out->size() - start));
  out->append(checksum.bytes());
}

bool DecodeSeenPage(std::string_view page, std::vector<SeenEntry>* entries) {
  const PageView view(page);
  if (!view.sound()) return false;
  Uint128 key = view.first();
  for (size_t i = 0; i < view.count(); ++i) {
    if (i > 0) {
      const Uint128 difference = view.Difference(i);
      key += difference;
      if (difference == 0 || key >> kSeenKeyBits != 0) return false;
    }
    entries->push_back(MakeSeenEntry(key, view.Content(i)));
  }
  return true;
}

SeenPageAnswer FindInSeenPage(std::string_view page, const SeenEntry& wanted) {
  const PageView view(page);
  if (!view.sound()) return {};
  const Uint128 wanted_key = KeyOf(wanted);
  Uint128 key = view.first();
  size_t i = 0;
  while (key < wanted_key && ++i < view.count()) key += view.Difference(i);
  if (key != wanted_key) return {true, std::nullopt};
  return {true, view.Content(i)};
}

}  // namespace tollbook
