#include "ledger/totals_run.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "ledger/totals_cells.h"
#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);

struct Cell {
  std::string subject, meter;
  std::vector<std::string> dimensions;
  int32_t bucket;
  UsageTotal total;
  CellRole role = CellRole::kAdds;
  friend bool operator==(const Cell&, const Cell&) = default;
};

TotalForm FormOf(std::string_view meter) {
  return meter == "seats" ? TotalForm::kNumberAtTime : TotalForm::kNumber;
}

// Each cell as a subject entry of its own, and a series of its own; equal ones may repeat.
std::string Write(const std::vector<Cell>& cells) {
  TotalsRunWriter writer;
  std::map<std::string, uint32_t> meters;
  for (const Cell& cell : cells) {
    if (!meters.contains(cell.meter)) meters[cell.meter] = writer.AddMeter(cell.meter, FormOf(cell.meter));
    const std::vector<std::string_view> values(cell.dimensions.begin(), cell.dimensions.end());
    const uint32_t series = writer.AddSeries(meters[cell.meter], values);
    writer.BeginSubject(cell.subject);
    writer.BeginSeries(series, 1);
    writer.AddCell({cell.bucket}, cell.total, cell.role);
    writer.EndSubject();
  }
  return writer.Finish();
}

template <CellReading kReading>
bool ReadBy(std::string_view stored, std::vector<Cell>* cells) {
  TotalsRunReader reader(stored);
  const std::vector<RunSeries> all_series = reader.run_series();
  std::string_view subject;
  SubjectCells subject_cells;
  bool sound = true;
  while (reader.NextSubject(&subject, &subject_cells)) {
    const auto keep = [&](uint32_t series, Bucket bucket, const UsageTotal& total, CellRole role) {
      const TotalsRunReader::SeriesEntry& entry = reader.series()[series];
      const std::vector<std::string_view> values = DimensionValuesOf(entry.values);
      cells->push_back({std::string(subject),
                        std::string(reader.meters()[entry.meter].name),
                        {values.begin(), values.end()},
                        bucket.number,
                        total,
                        role});
    };
    sound = ForEachCell<kReading>(subject_cells, all_series, keep) && sound;
  }
  return sound && reader.ok();
}

// The fast way and its plain twin, which must agree whatever the bytes.
bool Read(std::string_view stored, std::vector<Cell>* cells) {
  std::vector<Cell> plain;
  const bool sound = ReadBy<CellReading::kFast>(stored, cells);
  EXPECT_EQ(ReadBy<CellReading::kPlain>(stored, &plain), sound);
  EXPECT_TRUE(plain == *cells);
  return sound;
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

// -1 event and -5 units; -2 and -2; -3 and a value that grew; the last one of 63 bits.
TEST(TotalsRun, WhatIsTakenBackComesBack) {
  const auto taken = [](const char* subject, Int128 attos, uint64_t events, int64_t at) {
    return Cell{subject, at == 0 ? "tokens" : "seats", {}, 20'000, {{attos}, -events, {at}}};
  };
  const std::vector<Cell> cells = {taken("s1", -5 * static_cast<Int128>(kOneUnit), 1, 0),
                                   taken("s2", -2 * static_cast<Int128>(kOneUnit), 2, 0), taken("s3", 7, 3, 1'000'000),
                                   taken("s4", 0, uint64_t{1} << 63, 0)};
  std::vector<Cell> read;
  EXPECT_TRUE(Read(Write(cells), &read));
  EXPECT_EQ(read, cells);
  for (size_t i = 0; i < read.size(); ++i) EXPECT_LT(EventsOf(read[i].total), 0);
}

// As many units as events, none at all, a value of any scale, a time.
TEST(TotalsRun, WhatReplacesComesBack) {
  const auto replaced = [](const char* subject, Int128 attos, uint64_t events, int64_t at) {
    return Cell{subject, at == 0 ? "tokens" : "seats", {}, 20'000, {{attos}, events, {at}}, CellRole::kReplaces};
  };
  const std::vector<Cell> cells = {replaced("s1", 5 * static_cast<Int128>(kOneUnit), 5, 0),
                                   replaced("s2", 0, 0, 0),
                                   replaced("s3", -7, 3, 1'000'000),
                                   replaced("s4", kOneUnit / 2, INT64_MAX, 0),
                                   {"s5", "tokens", {}, 20'000, {{kOneUnit}, 1, {}}}};
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
    const CellRole role = random() % 8 == 0 ? CellRole::kReplaces : CellRole::kAdds;
    const uint64_t events = random() >> random() % 64;
    cells.push_back(
        {"s" + std::to_string(random() % 100),
         latest ? "seats" : "tokens",
         {"model-" + std::to_string(random() % 5)},
         static_cast<int32_t>(20'000 + random() % 31),
         {{attos}, role == CellRole::kReplaces ? events >> 1 : events, {latest ? static_cast<int64_t>(random()) : 0}},
         role});
  }
  return cells;
}

TEST(TotalsRun, RandomTotalsComeBack) {
  const std::vector<Cell> cells = RandomCells(10'000);
  std::vector<Cell> read;
  EXPECT_TRUE(Read(Write(cells), &read));
  EXPECT_EQ(read, cells);
}

// Subjects with several series, some of several buckets, and one so long that its length takes three bytes.
std::string WriteSubjects(std::vector<Cell>* cells) {
  TotalsRunWriter writer;
  const uint32_t tokens = writer.AddMeter("tokens", TotalForm::kNumber);
  const uint32_t seats = writer.AddMeter("seats", TotalForm::kNumberAtTime);
  std::vector<std::string> models;
  for (int i = 0; i < 300; ++i) models.push_back("m" + std::to_string(i));
  for (int i = 0; i < 300; ++i) {
    const std::vector<std::string_view> values = {models[i]};
    writer.AddSeries(i < 290 ? tokens : seats, values);
  }
  const auto write = [&](const std::string& subject, uint32_t first_series, uint32_t step, int buckets) {
    writer.BeginSubject(subject);
    for (uint32_t series = first_series; series < 300; series += step) {
      writer.BeginSeries(series, buckets);
      for (int i = 0; i < buckets; ++i) {
        const bool latest = series >= 290;
        const UsageTotal total{{kOneUnit / 1000 * i}, 1 + series, {latest ? 1'700'000'000'000'000'000 + i : 0}};
        const int32_t bucket = 20'000 + (i + 1) / 2;  // the second and third are of one bucket
        writer.AddCell({bucket}, total);
        cells->push_back({subject, latest ? "seats" : "tokens", {models[series]}, bucket, total});
      }
    }
    writer.EndSubject();
  };
  write("s1", 299, 1, 1);
  write("s2", 0, 1, 70);
  write("s3", 7, 100, 2);
  write("", 5, 300, 3);
  return writer.Finish();
}

TEST(TotalsRun, SubjectsWithManySeriesAndBucketsComeBack) {
  std::vector<Cell> cells, read;
  const std::string stored = WriteSubjects(&cells);
  EXPECT_TRUE(Read(stored, &read));
  EXPECT_EQ(read, cells);
}

TEST(TotalsRun, SubjectsThatAreNotReadLeaveTheRestInPlace) {
  std::vector<Cell> cells;
  const std::string stored = WriteSubjects(&cells);
  TotalsRunReader reader(stored);
  std::string_view subject;
  SubjectCells subject_cells;
  std::vector<std::string> subjects;
  while (reader.NextSubject(&subject, &subject_cells)) subjects.emplace_back(subject);
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(subjects, (std::vector<std::string>{"s1", "s2", "s3", ""}));
}

TEST(TotalsRun, AWriterBeginsAnew) {
  TotalsRunWriter writer;
  std::string runs[2];
  for (std::string& run : runs) {
    writer.Clear();
    const uint32_t series = writer.AddSeries(writer.AddMeter("tokens", TotalForm::kNumber), {});
    writer.BeginSubject("s1");
    writer.BeginSeries(series, 1);
    writer.AddCell({7}, {{1}, 1, {}});
    writer.EndSubject();
    run = writer.Finish();
  }
  EXPECT_EQ(runs[0], runs[1]);
}

// What FORMAT.md shows.
TEST(TotalsRun, TheWorkedExample) {
  TotalsRunWriter writer;
  const uint32_t meter = writer.AddMeter("tokens", TotalForm::kNumber);
  const std::vector<std::string_view> eu = {"eu"}, us = {"us"};
  writer.AddSeries(meter, eu);
  writer.AddSeries(meter, us);
  writer.BeginSubject("s1");
  writer.BeginSeries(1, 2);
  writer.AddCell({20'000}, {Quantity::Units(100), 3, {}});
  writer.AddCell({20'001}, {{kOneUnit / 4}, 1, {}});
  writer.EndSubject();
  const char example[] =
      "\x01\x06tokens\x00\xc0\xb8\x02"
      "\x02\x00\x01\x02"
      "eu"
      "\x00\x01\x02us"
      "\x01\x02s1\x0a\x03\x00\x00\x19\xc8\x01\x01\x0a\xf4\x03";
  EXPECT_EQ(writer.Finish(), std::string_view(example, sizeof example - 1));
}

TEST(TotalsRun, DamageIsRefusedOrHarmless) {
  const auto reads = [](std::string_view stored) {
    std::vector<Cell> read;
    return Read(stored, &read);
  };
  TryDamage(Write(RandomCells(20)), reads);
  TotalsRunWriter writer;
  const uint32_t seats = writer.AddMeter("seats", TotalForm::kNumberAtTime);
  const std::vector<std::string_view> values[] = {{"a", ""}, {"b", "c"}};
  for (const auto& tuple : values) writer.AddSeries(seats, tuple);
  for (const char* subject : {"s1", "", "s2"}) {
    writer.BeginSubject(subject);
    for (uint32_t series = 0; series < 2; ++series) {
      writer.BeginSeries(series, 3);
      for (int i = 0; i < 3; ++i) writer.AddCell({100 + i}, {{kOneUnit / 7 * i}, UINT64_MAX - i, {i * 1'000'000}});
    }
    writer.EndSubject();
  }
  TryDamage(writer.Finish(), reads);
}

struct BadRun {
  const char* name;
  std::vector<int> bytes;
};
// One meter "m" (sum) at bucket 0 and one series without values, then subjects.
const BadRun kBadRuns[] = {
    {"a series beyond the list", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 3, 2, 0, 8}},
    {"more cells than bytes", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 4, 1, 9, 0, 8}},
    {"an unknown way to tell a value", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 4, 0, 0, 14, 2}},
    {"none taken back", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 4, 0, 0, 7, 0}},
    {"an unknown way to tell what is taken back", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 5, 0, 0, 15, 7, 2}},
    {"a cell without its value", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 3, 0, 0, 9}},
    {"a bucket below the range", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 7, 0, 0x81, 0x80, 0x80, 0x80, 0x10, 8}},
    {"a meter beyond the list", {1, 1, 'm', 0, 0, 1, 1, 0, 1, 1, 's', 3, 0, 0, 8}},
    {"an unknown form", {1, 1, 'm', 4, 0, 1, 0, 0, 1, 1, 's', 3, 0, 0, 8}},
    {"fewer subjects than told", {1, 1, 'm', 0, 0, 1, 0, 0, 2, 1, 's', 3, 0, 0, 8}},
    {"more bytes than told", {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 3, 0, 0, 8, 0}},
};

TEST(TotalsRun, WhatTheGrammarDoesNotAllowIsRefused) {
  std::vector<Cell> read_good;
  const char good[] = {1, 1, 'm', 0, 0, 1, 0, 0, 1, 1, 's', 3, 0, 0, 8};
  EXPECT_TRUE(Read({good, sizeof good}, &read_good));
  for (const BadRun& bad : kBadRuns) {
    SCOPED_TRACE(bad.name);
    const std::string bytes(bad.bytes.begin(), bad.bytes.end());
    std::vector<Cell> read;
    EXPECT_FALSE(Read(ExactBytes(bytes).view(), &read));
  }
}

}  // namespace
}  // namespace tollbook
