// The memo is a short cut past a table of all series: what it gives is what the table would.
#include "pipeline/series_memo.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

struct Value {
  std::string text;
  bool is_number = false;
  friend auto operator<=>(const Value&, const Value&) = default;
};
using Values = std::vector<Value>;

// Few letters and lengths around all that matters, so that many values share their ends and their places.
Value RandomValue(std::mt19937_64& random) {
  constexpr size_t kLengths[] = {0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40};
  Value value;
  value.text.assign(kLengths[random() % std::size(kLengths)], '1');
  for (uint64_t changes = random() % 3; changes > 0 && !value.text.empty(); --changes)
    value.text[random() % value.text.size()] = static_cast<char>('1' + random() % 2);
  value.is_number = random() % 4 == 0;
  return value;
}

// A value as it stands in a line, with anything behind it.
std::string InLine(const Value& value, std::mt19937_64& random) {
  std::string line = value.text;
  while (line.size() < value.text.size() + SeriesMemo::kValueBytes) line += static_cast<char>('1' + random() % 2);
  return line;
}

class OneMeter {
 public:
  // What the memo says of these values, or what it must learn.
  void LookUp(const Values& values, std::mt19937_64& random) {
    std::vector<std::string> lines;
    for (const Value& value : values) lines.push_back(InLine(value, random));
    SeriesMemo::Key key(generation_);
    bool fits = values.size() <= SeriesMemo::kValues;
    for (size_t i = 0; i < values.size(); ++i) {
      key.Add({lines[i].data(), values[i].text.size()}, values[i].is_number);
      fits = fits && values[i].text.size() <= SeriesMemo::kValueBytes;
    }
    SeriesMemo::Entry* const entry = memo_.Find(key);
    ASSERT_EQ(entry != nullptr, fits);
    const auto [known, fresh] = series_.try_emplace(values, static_cast<uint32_t>(series_.size()));
    if (entry == nullptr) return;
    if (entry->Is(key)) {
      ASSERT_FALSE(fresh) << "never seen, and found";
      ASSERT_EQ(entry->series.id, known->second);
      ASSERT_EQ(entry->series.dimensions_hash, known->second * uint64_t{3});
      ++found_;
    } else {
      entry->Set(key, {known->second, known->second * uint64_t{3}});
    }
    ASSERT_TRUE(entry->Is(key)) << "what was just put there";
  }

  // All numbers end.
  void NextGeneration() {
    ++generation_;
    series_.clear();
  }
  uint64_t found() const { return found_; }

 private:
  SeriesMemo memo_;
  std::map<Values, uint32_t> series_;
  uint64_t generation_ = 0, found_ = 0;
};

TEST(SeriesMemo, GivesWhatATableOfAllSeriesGives) {
  std::mt19937_64 random(TestSeed());
  for (size_t dimensions = 0; dimensions <= 3; ++dimensions) {
    OneMeter meter;
    std::vector<Values> usual(20, Values(dimensions));  // telemetry has few sets of values
    for (Values& values : usual) {
      for (Value& value : values) value = RandomValue(random);
    }
    for (int i = 0; i < 50'000; ++i) {
      Values values = usual[random() % usual.size()];
      if (random() % 4 == 0) {
        for (Value& value : values) value = RandomValue(random);
      }
      if (random() % 5'000 == 0) meter.NextGeneration();
      ASSERT_NO_FATAL_FAILURE(meter.LookUp(values, random)) << dimensions << " dimensions";
    }
    if (dimensions <= SeriesMemo::kValues) {
      EXPECT_GT(meter.found(), 1'000u) << dimensions << " dimensions";
    }
  }
}

}  // namespace
}  // namespace tollbook
