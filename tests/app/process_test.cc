#include "pipeline/app/process.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace tollbook {
namespace {

constexpr uint64_t kMega = 1 << 20;

// A sanitizer's allocator tells the C library nothing of what it gives.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsCounted = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kIsCounted = false;
#else
constexpr bool kIsCounted = true;
#endif
#else
constexpr bool kIsCounted = true;
#endif

TEST(LeftForAbsorb, IsWhatIsNotAllocatedAlready) {
  if (!kIsCounted) GTEST_SKIP() << "under a sanitizer";
  constexpr uint64_t kBudget = 4096 * kMega, kCatalog = 256 * kMega, kNoise = kMega;
  const uint64_t before = LeftForAbsorb(kBudget);
  EXPECT_LT(before, kBudget);
  {
    const std::vector<char> large(kCatalog / 2);
    std::vector<std::unique_ptr<char[]>> small;
    for (uint64_t bytes = 0; bytes < kCatalog / 2; bytes += 4096) small.push_back(std::make_unique<char[]>(4096));
    EXPECT_LE(LeftForAbsorb(kBudget), before - kCatalog);
    EXPECT_GE(LeftForAbsorb(kBudget), before - kCatalog - kCatalog / 64 - kNoise);
    EXPECT_EQ(LeftForAbsorb(kCatalog), kCatalog / 4) << "a quarter in any case";
  }
  EXPECT_NEAR(static_cast<double>(LeftForAbsorb(kBudget)), static_cast<double>(before), static_cast<double>(kNoise))
      << "what was freed counts again";
}

}  // namespace
}  // namespace tollbook
