// Asking for pages ahead is a hint: whatever is asked for, every byte stays what it is.
#include "ledger/first_touch.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

TEST(TouchAhead, ChangesNoByte) {
  std::mt19937_64 random(TestSeed());
  constexpr size_t kBytes = 64 << 10, kPage = 4096;
  const auto pattern = [](size_t at) { return static_cast<uint8_t>(at * 31 + at / kPage); };
  for (int round = 0; round < 200; ++round) {
    // Fresh each time, and written in parts: pages that are there already, and pages that are not yet.
    const std::unique_ptr<uint8_t, decltype(&std::free)> memory(
        static_cast<uint8_t*>(std::aligned_alloc(kPage, kBytes)), &std::free);
    ASSERT_NE(memory, nullptr);
    const size_t written = random() % (kBytes + 1);
    for (size_t i = 0; i < written; ++i) memory.get()[i] = pattern(i);
    const size_t begin = random() % kBytes;
    TouchAhead(memory.get() + begin, random() % (kBytes - begin + 1));
    for (size_t i = 0; i < written; ++i) ASSERT_EQ(memory.get()[i], pattern(i)) << "byte " << i;
    for (size_t i = written; i < kBytes; ++i) memory.get()[i] = pattern(i);
    for (size_t i = 0; i < kBytes; ++i) ASSERT_EQ(memory.get()[i], pattern(i)) << "byte " << i;
  }
}

}  // namespace
}  // namespace tollbook
