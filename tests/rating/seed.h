// Seed: where random tests begin. Another one each run; TOLLBOOK_SEED=<number> repeats a run. A seed is a bug report.
#ifndef TOLLBOOK_TESTS_RATING_SEED_H_
#define TOLLBOOK_TESTS_RATING_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string_view>

namespace tollbook {

inline uint64_t TestSeed() {
  static const uint64_t seed = [] {
    const char* const given = std::getenv("TOLLBOOK_SEED");
    const uint64_t chosen = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
    std::cout << "TOLLBOOK_SEED=" << chosen << std::endl;
    return chosen;
  }();
  return seed;
}

// TOLLBOOK_LONG=1: a night's work instead of a minute's.
inline bool IsLongRun() {
  const char* const given = std::getenv("TOLLBOOK_LONG");
  const std::string_view text = given == nullptr ? "" : given;
  return !text.empty() && text != "0";
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_RATING_SEED_H_
