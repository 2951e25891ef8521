// Damage: what decoders are tried with. None may read past its end or crash, whatever the bytes.
#ifndef TOLLBOOK_TESTS_LEDGER_DAMAGE_H_
#define TOLLBOOK_TESTS_LEDGER_DAMAGE_H_

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>

namespace tollbook {

// A copy in memory of exactly its size, so that the address sanitizer sees one byte too many.
class ExactBytes {
 public:
  explicit ExactBytes(std::string_view bytes) : size_(bytes.size()), bytes_(new char[bytes.size()]) {
    std::memcpy(bytes_.get(), bytes.data(), size_);
  }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  size_t size_;
  std::unique_ptr<char[]> bytes_;
};

// `decodes` says whether the bytes were accepted. Every truncation and every appended byte is refused; a flipped byte
// is accepted or refused, and nothing worse.
template <typename Decodes>
void TryDamage(std::string_view good, const Decodes& decodes) {
  EXPECT_TRUE(decodes(ExactBytes(good).view()));
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(decodes(ExactBytes(good.substr(0, size)).view())) << "cut to " << size << " of " << good.size();
  }
  EXPECT_FALSE(decodes(ExactBytes(std::string(good) + '\1').view())) << "a byte too many";
  std::mt19937_64 random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(good);
    for (uint64_t flips = 1 + random() % 3; flips > 0; --flips) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    (void)decodes(ExactBytes(bytes).view());
  }
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_LEDGER_DAMAGE_H_
