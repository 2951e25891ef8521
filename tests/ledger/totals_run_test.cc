#include "ledger/totals_run.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);

struct Cell {
  std::string subject, meter;
  std::vector<std::string> dimensions;
  int32_t bucket;
  UsageTotal total;
  friend bool operator==(const Cell&, const Cell&) = default;
};

Aggregation AggregationOf(std::string_view meter) {
  return meter == "seats" ? Aggregation::kLatest : Aggregation::kSum;
}

// One cell a subject entry keeps the writer's side simple; equal subjects may repeat.
std::string Write(const std::vector<Cell>& cells) {
  TotalsRunWriter writer;
  for (const Cell& cell : cells) {
    writer.BeginSubject(cell.subject, 1);
    const uint32_t meter = writer.Meter(cell.meter, AggregationOf(cell.meter));
    writer.AddCell(meter, writer.Dimensions(cell.dimensions), {cell.bucket}, cell.total);
  }
  return writer.Finish();
}

bool Read(std::string_view stored, std::vector<Cell>* cells) {
  TotalsRunReader reader(stored);
  std::string_view subject;
  uint32_t count = 0;
  while (reader.NextSubject(&subject, &count)) {
    TotalCell cell;
    for (uint32_t i = 0; i < count && reader.NextCell(&cell); ++i) {
      const auto& values = reader.dimensions()[cell.dimensions];
      cells->push_back({std::string(subject),
                        std::string(reader.meters()[cell.meter].name),
                        {values.begin(), values.end()},
                        cell.bucket.number,
                        cell.total});
    }
  }
  return reader.ok();
}

struct Row {
  const char* name;
  Int128 attos;
};
const Row kValues[] = {
    {"nothing", 0},
    {"one unit", kOneUnit},
    {"minus one unit", -kOneUnit},
    {"the smallest part", 1},
    {"the smallest part below zero", -1},
    {"one and a half", kOneUnit * 3 / 2},
    {"minus one and a half", -kOneUnit * 3 / 2},
    {"just below a unit", kOneUnit - 1},
    {"the largest", kLargest},
    {"the smallest", -kLargest - 1},
    {"the largest whole", kLargest / kOneUnit* kOneUnit},
};

TEST(TotalsRun, EveryValueComesBack) {
  for (const Row& row : kValues) {
    SCOPED_TRACE(row.name);
    const std::vector<Cell> cells = {{"s1", "tokens", {}, 20'000, {{row.attos}, 1, {}}}};
    std::vector<Cell> read;
    EXPECT_TRUE(Read(Write(cells), &read));
    EXPECT_EQ(read, cells);
  }
}

TEST(TotalsRun, LatestKeepsItsTimeAndBucketsMayBeAnywhere) {
  const std::vector<Cell> cells = {
      {"s1", "seats", {"eu", ""}, INT32_MAX, {{5}, UINT64_MAX, {INT64_MAX}}},
      {"s1", "seats", {"us", "x"}, INT32_MIN, {{-5}, 0, {INT64_MIN}}},
      {"", "tokens", {"eu", ""}, 0, {{0}, 1, {}}},
  };
  std::vector<Cell> read;
  EXPECT_TRUE(Read(Write(cells), &read));
  EXPECT_EQ(read, cells);
}

std::vector<Cell> RandomCells(int count) {
  std::mt19937_64 random(5);
  std::vector<Cell> cells;
  for (int i = 0; i < count; ++i) {
    const Int128 attos = static_cast<Int128>(static_cast<Uint128>(random()) << 64 | random()) >> random() % 127;
    const bool latest = random() % 4 == 0;
    cells.push_back({"s" + std::to_string(random() % 100),
                     latest ? "seats" : "tokens",
                     {"model-" + std::to_string(random() % 5)},
                     static_cast<int32_t>(20'000 + random() % 31),
                     {{attos}, random() >> random() % 64, {latest ? static_cast<int64_t>(random()) : 0}}});
  }
  return cells;
}

TEST(TotalsRun, RandomTotalsComeBack) {
  const std::vector<Cell> cells = RandomCells(10'000);
  std::vector<Cell> read;
  EXPECT_TRUE(Read(Write(cells), &read));
  EXPECT_EQ(read, cells);
}

TEST(TotalsRun, SkippedCellsLeaveTheRestInPlace) {
  TotalsRunWriter writer;
  const uint32_t meter = writer.Meter("tokens", Aggregation::kSum);
  const uint32_t none = writer.Dimensions(std::vector<std::string>());
  writer.BeginSubject("s1", 2);
  writer.AddCell(meter, none, {100}, {{1}, 1, {}});
  writer.AddCell(meter, none, {101}, {{2}, 1, {}});
  writer.BeginSubject("s2", 1);
  writer.AddCell(meter, none, {103}, {{3}, 1, {}});
  const std::string stored = writer.Finish();
  TotalsRunReader reader(stored);
  std::string_view subject;
  uint32_t cells = 0;
  ASSERT_TRUE(reader.NextSubject(&subject, &cells));
  reader.SkipCells(cells);
  ASSERT_TRUE(reader.NextSubject(&subject, &cells));
  TotalCell cell;
  ASSERT_TRUE(reader.NextCell(&cell));
  EXPECT_EQ(subject, "s2");
  EXPECT_EQ(cell.bucket.number, 103);
  EXPECT_FALSE(reader.NextSubject(&subject, &cells));
  EXPECT_TRUE(reader.ok());
}

TEST(TotalsRun, DamageIsRefusedOrHarmless) {
  TryDamage(Write(RandomCells(20)), [](std::string_view stored) {
    std::vector<Cell> read;
    return Read(stored, &read);
  });
}

}  // namespace
}  // namespace tollbook
