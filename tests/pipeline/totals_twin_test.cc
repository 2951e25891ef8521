// Measurements through cells, runs and the merge of runs, against their twin: an ordered map of totals.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <random>
#include <tuple>

#include "pipeline/cell_table.h"
#include "pipeline/shard_totals.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr uint64_t kSeed = 7;
constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);

// Two meters of some aggregations, one of them with two dimensions, and one of each form and of the rest; by name, as a
// catalog has them.
Catalog SmallCatalog() {
  Catalog catalog;
  for (const char* dimensions : {"d", "n"}) {
    for (int i = 0; i < 4; ++i) {
      Meter meter;
      meter.name = dimensions + std::to_string(i);
      meter.aggregation = static_cast<Aggregation>(i);
      if (*dimensions == 'd') meter.dimensions = {"a", "b"};
      catalog.meters.push_back(meter);
    }
  }
  for (int i = 4; i < 11; ++i) {
    Meter meter;
    meter.name = "x" + std::to_string(10 + i);
    meter.aggregation = i == 9 ? Aggregation::kUniqueCount : i == 10 ? Aggregation::kSum : static_cast<Aggregation>(i);
    if (i == 9) meter.operation_property = "operation";
    meter.keep_events = i == 10;
    if (i % 2 == 0) meter.dimensions = {"a"};
    catalog.meters.push_back(meter);
  }
  return catalog;
}

// One event's usage, as the test makes it up.
struct Usage {
  std::string subject;
  uint32_t meter = 0;
  std::vector<std::string> values;
  int32_t bucket = 0;
  Int128 attos = 0;
  int64_t time = 0;
  Reason verdict = Reason::kNone;
};

struct Shape {
  const char* name;
  int runs;
  int events;  // of each run
  int subjects;
  int values;  // of each dimension
  int buckets;
  int equal_hash_bits = 0;  // of each half of the subjects' hashes, all but the last
};
const Shape kShapes[] = {
    {"a small book", 5, 300, 10, 3, 4},
    {"one run", 1, 2000, 300, 4, 5},
    {"many runs", 20, 500, 40, 3, 31},
    {"one subject, many buckets", 6, 6000, 1, 2, 20'000},
    {"dimensions that never repeat", 2, 70'000, 50, 1'000'000, 3},
    {"hashes that nearly all agree", 4, 3000, 200, 3, 3, 56},
};

SubjectHash HashFor(const Shape& shape, const std::string& subject) {
  SubjectHash hash = HashSubject(subject, kSeed);
  if (shape.equal_hash_bits > 0) {
    hash.high >>= shape.equal_hash_bits;
    hash.low >>= shape.equal_hash_bits;
  }
  return hash;
}

Int128 RandomAttos(std::mt19937_64& random, Aggregation aggregation) {
  const auto wide = static_cast<Int128>(static_cast<Uint128>(random()) << 64 | random());
  const bool sums = aggregation == Aggregation::kSum || aggregation == Aggregation::kMean;
  switch (random() % 5) {
    case 0:
      return wide >> (sums ? 30 : 0);  // 10^5 of them still fit
    case 1:
      return sums ? 0 : (random() % 2 == 0 ? kLargest : -kLargest - 1);
    case 2:
      return static_cast<Int128>(random() % 100) * kOneUnit / 1000;
    default:
      return static_cast<Int128>(random() % 10'000) * kOneUnit;
  }
}

std::vector<Usage> RandomUsage(const Shape& shape, const Catalog& catalog, std::mt19937_64& random) {
  std::vector<Usage> usage(shape.events);
  for (Usage& u : usage) {
    u.subject = "s" + std::to_string(random() % shape.subjects);
    u.meter = static_cast<uint32_t>(random() % catalog.meters.size());
    const Meter& meter = catalog.meters[u.meter];
    for (size_t i = 0; i < meter.dimensions.size(); ++i) {
      const uint64_t value = random() % shape.values;
      u.values.push_back(value == 0 ? "" : "value-" + std::to_string(value));
    }
    u.bucket = static_cast<int32_t>(random() % shape.buckets) - shape.buckets / 2;
    if (random() % 1000 == 0) u.bucket = random() % 2 == 0 ? INT32_MAX : INT32_MIN;
    u.attos = meter.aggregation == Aggregation::kCount ? kOneUnit : RandomAttos(random, meter.aggregation);
    u.time = random() % 50 == 0 ? static_cast<int64_t>(random()) : static_cast<int64_t>(random() % 100) * 1'000'000;
    if (random() % 10 == 0) u.verdict = Reason::kDuplicate;
  }
  return usage;
}

// Hands out series numbers in a random order.
SeriesTable& Intern(const std::vector<Usage>& usage, SeriesTable& series, std::mt19937_64& random) {
  std::vector<const Usage*> shuffled;
  for (const Usage& u : usage) shuffled.push_back(&u);
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  for (const Usage* u : shuffled) {
    series.Intern(u->meter, std::vector<std::string_view>(u->values.begin(), u->values.end()));
  }
  return series;
}

// In blocks whose names are gone when the next one comes.
std::string RunOf(const Shape& shape, const std::vector<Usage>& usage, SeriesTable& series, CellTable& cells,
                  const Catalog& catalog) {
  constexpr size_t kBlock = 100;
  for (size_t begin = 0; begin < usage.size(); begin += kBlock) {
    std::vector<std::string> names;
    std::vector<Measurement> measurements;
    std::vector<Reason> verdicts;
    for (size_t i = begin; i < std::min(usage.size(), begin + kBlock); ++i) names.push_back(usage[i].subject);
    for (size_t i = 0; i < names.size(); ++i) {
      const Usage& u = usage[begin + i];
      Measurement m;
      m.value = {u.attos};
      m.subject_hash = HashFor(shape, u.subject);
      m.time = {u.time};
      m.subject = names[i].data();
      m.subject_bytes = static_cast<uint16_t>(names[i].size());
      m.series = series.Intern(u.meter, std::vector<std::string_view>(u.values.begin(), u.values.end()))->id;
      m.bucket = {u.bucket};
      m.event = static_cast<uint32_t>(i);
      m.is_element = IsOfElements(FormOf(catalog.meters[u.meter]));
      measurements.push_back(m);
      verdicts.push_back(u.verdict);
    }
    std::vector<uint32_t> all(measurements.size());
    std::iota(all.begin(), all.end(), 0);
    cells.Add(measurements, all, verdicts);
    cells.EndRound();
    for (std::string& name : names) std::fill(name.begin(), name.end(), '?');
  }
  std::vector<bool> used(catalog.meters.size());
  CellTable::SeriesRanks ranks;
  return cells.Pack(&ranks, &used);
}

// An element's place has its time and value too.
using Place = std::tuple<uint32_t, std::vector<std::string>, int32_t, int64_t, Int128>;
Place PlaceOf(const Meter& meter, uint32_t index, const std::vector<std::string>& values, int32_t bucket,
              const UsageTotal& total) {
  if (!IsOfElements(FormOf(meter))) return {index, values, bucket, 0, 0};
  return {index, values, bucket, total.latest_at.nanos, total.value.attos};
}
struct TwinSubject {
  std::map<Place, UsageTotal> totals;
  uint64_t last_sequence = 0;
};
using Twin = std::map<std::string, TwinSubject>;

void AddToTwin(const Catalog& catalog, const std::vector<Usage>& usage, uint64_t sequence, Twin* twin) {
  for (const Usage& u : usage) {
    if (u.verdict != Reason::kNone) continue;
    const Meter& meter = catalog.meters[u.meter];
    const UsageTotal total{{u.attos}, 1, {HasTime(FormOf(meter)) ? u.time : 0}};
    TwinSubject& subject = (*twin)[u.subject];
    subject.last_sequence = sequence;
    UsageTotal& into = subject.totals[PlaceOf(meter, u.meter, u.values, u.bucket, total)];
    if (IsOfElements(FormOf(meter))) {
      into = {total.value, into.events + 1, total.latest_at};
    } else {
      EXPECT_TRUE(Merge(meter.aggregation, total, &into));
    }
  }
}

std::map<Place, UsageTotal> PlacesOf(const Catalog& catalog, std::span<const SubjectTotal> totals) {
  std::map<Place, UsageTotal> places;
  Place last;
  for (const SubjectTotal& total : totals) {
    const auto meter = static_cast<uint32_t>(total.meter - catalog.meters.data());
    const Place place = PlaceOf(*total.meter, meter, {total.dimension_values.begin(), total.dimension_values.end()},
                                total.bucket.number, total.total);
    if (!places.empty()) {
      EXPECT_LT(last, place) << "in order, each once";
    }
    last = place;
    places[place] = total.total;
  }
  return places;
}

// Subjects in an order of their own, each asked for twice: an answer must not depend on what was asked before.
void ExpectTwin(const Catalog& catalog, const Twin& twin, ShardTotals& totals) {
  EXPECT_EQ(totals.subjects(), twin.size());
  std::map<std::pair<const Meter*, std::vector<std::string>>, const std::string_view*> tuples;
  for (size_t round = 0; round < 2; ++round) {
    for (size_t i = 0; i < totals.subjects(); ++i) {
      const size_t subject = round == 0 ? i : totals.subjects() - 1 - i;
      const auto expected = twin.find(std::string(totals.name(subject)));
      ASSERT_NE(expected, twin.end());
      EXPECT_TRUE(PlacesOf(catalog, totals.TotalsOf(subject)) == expected->second.totals) << expected->first;
      EXPECT_TRUE(totals.StatusOf(subject).ok());
      EXPECT_TRUE(totals.ChangedSince(subject, expected->second.last_sequence - 1));
      EXPECT_FALSE(totals.ChangedSince(subject, expected->second.last_sequence));
      for (const SubjectTotal& total : totals.TotalsOf(subject)) {
        const DimensionValues values = total.dimension_values;
        const auto [it, added] = tuples.emplace(
            std::pair(total.meter, std::vector<std::string>(values.begin(), values.end())), values.data());
        EXPECT_EQ(it->second, values.data()) << "equal values are the same span";
      }
    }
  }
}

class TotalsTwin : public testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, TotalsTwin, testing::ValuesIn(kShapes), [](const auto& info) {
  std::string name = info.param.name;
  std::erase_if(name, [](char c) { return !std::isalnum(c); });
  return name;
});

TEST_P(TotalsTwin, AgreesAndRunsDoNotDependOnSeriesNumbers) {
  const Shape& shape = GetParam();
  std::mt19937_64 random(TestSeed());
  const Catalog catalog = SmallCatalog();
  SeriesTable series(kSeed), other_series(kSeed);
  CellTable cells(catalog.meters, series), other_cells(catalog.meters, other_series);
  Twin twin;
  std::vector<StoredRun> runs;
  for (int run = 1; run <= shape.runs; ++run) {
    const std::vector<Usage> usage = RandomUsage(shape, catalog, random);
    runs.push_back(
        {static_cast<uint64_t>(2 * run), RunOf(shape, usage, Intern(usage, series, random), cells, catalog)});
    EXPECT_EQ(runs.back().bytes, RunOf(shape, usage, Intern(usage, other_series, random), other_cells, catalog));
    AddToTwin(catalog, usage, runs.back().sequence, &twin);
  }
  ShardTotals totals(catalog, kSeed, std::nullopt);
  for (const StoredRun& run : runs) ASSERT_TRUE(totals.Add(run).ok());
  totals.Merge();
  ExpectTwin(catalog, twin, totals);

  const std::string wanted = twin.begin()->first;
  ShardTotals one(catalog, kSeed, wanted);
  for (const StoredRun& run : runs) ASSERT_TRUE(one.Add(run).ok());
  one.Merge();
  ExpectTwin(catalog, {*twin.begin()}, one);
}

// Whatever the epochs, and whatever the order in them: the same lists.
TEST(ShardTotals, ElementsDoNotDependOnHowTheyCame) {
  const Catalog catalog = SmallCatalog();
  std::mt19937_64 random(TestSeed());
  const Shape shape = {"elements", 1, 400, 5, 2, 6};
  std::vector<Usage> usage = RandomUsage(shape, catalog, random);
  for (const int runs : {1, 3, 17}) {
    std::shuffle(usage.begin(), usage.end(), random);
    SeriesTable series(kSeed);
    CellTable cells(catalog.meters, series);
    Twin twin;
    AddToTwin(catalog, usage, 1, &twin);
    std::deque<StoredRun> stored;
    ShardTotals totals(catalog, kSeed, std::nullopt);
    for (int run = 0; run < runs; ++run) {
      std::vector<Usage> part;
      for (size_t i = run; i < usage.size(); i += runs) part.push_back(usage[i]);
      stored.push_back({1, RunOf(shape, part, series, cells, catalog)});
      ASSERT_TRUE(totals.Add(stored.back()).ok());
    }
    totals.Merge();
    ExpectTwin(catalog, twin, totals);
  }
}

// The bytes of a run do not depend on the order of its events either.
TEST(CellTable, ElementsArePackedInOneOrder) {
  const Catalog catalog = SmallCatalog();
  std::mt19937_64 random(TestSeed());
  const Shape shape = {"elements", 1, 400, 5, 2, 6};
  std::vector<Usage> usage = RandomUsage(shape, catalog, random);
  std::erase_if(usage, [&](const Usage& u) { return !IsOfElements(FormOf(catalog.meters[u.meter])); });
  std::string bytes[2];
  for (std::string& run : bytes) {
    SeriesTable series(kSeed);
    CellTable cells(catalog.meters, series);
    run = RunOf(shape, usage, series, cells, catalog);
    std::shuffle(usage.begin(), usage.end(), random);
  }
  EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(ShardTotals, AMeterThatKeepsOtherwiseIsRefused) {
  const Catalog catalog = SmallCatalog();
  SeriesTable series(kSeed);
  CellTable cells(catalog.meters, series);
  const StoredRun run = {9, RunOf(kShapes[0], {{"one", 4, {}, 1, kOneUnit, 0}}, series, cells, catalog)};
  Catalog other = catalog;
  other.meters[4].keep_events = true;
  EXPECT_TRUE(absl::IsFailedPrecondition(ShardTotals(other, kSeed, std::nullopt).Add(run)));
}

TEST(ShardTotals, NoRunsHaveNoSubjects) {
  const Catalog catalog = SmallCatalog();
  ShardTotals totals(catalog, kSeed, std::nullopt);
  totals.Merge();
  EXPECT_EQ(totals.subjects(), 0u);
}

// What corrections leave of a total, per subject; each in a bucket before and behind another, so that the cells come in
// order, or do not. A total without events is none; more taken back than there is, or less of the value, is damage.
TEST(ShardTotals, WhatIsTakenBackToTheLastEventIsNoTotal) {
  const Catalog catalog = SmallCatalog();
  constexpr uint64_t kOneTakenBack = ~uint64_t{0};
  struct Case {
    const char* subject;
    UsageTotal taken;
    size_t totals;  // left, beside the other bucket's
    bool damaged;
  };
  const Case cases[] = {{"all", {{-7}, kOneTakenBack, {}}, 0, false},
                        {"more", {{-14}, 2 * kOneTakenBack, {}}, 0, true},
                        {"less of the value", {{-5}, kOneTakenBack, {}}, 0, true},
                        {"only the value", {{-5}, 0, {}}, 1, false}};
  for (const bool in_order : {true, false}) {
    for (const Case& c : cases) {
      SCOPED_TRACE(c.subject);
      std::deque<StoredRun> runs;
      ShardTotals totals(catalog, kSeed, std::nullopt);
      const auto add = [&](int32_t bucket, const UsageTotal& total) {
        TotalsRunWriter writer;
        writer.AddSeries(writer.AddMeter("n0", TotalForm::kNumber), {});
        writer.BeginSubject(c.subject);
        writer.BeginSeries(0, 1);
        writer.AddCell({bucket}, total);
        writer.EndSubject();
        runs.push_back({runs.size() + 1, writer.Finish()});
        ASSERT_TRUE(totals.Add(runs.back()).ok());
      };
      add(5, {{7}, 1, {}});
      if (!in_order) add(6, {{1}, 1, {}});
      add(5, c.taken);
      if (in_order) add(6, {{1}, 1, {}});
      totals.Merge();
      EXPECT_EQ(absl::IsDataLoss(totals.StatusOf(0)), c.damaged);
      if (c.damaged) continue;
      ASSERT_EQ(totals.TotalsOf(0).size(), c.totals + 1);
      EXPECT_EQ(totals.TotalsOf(0).back().bucket.number, 6);
    }
  }
}

// What was reckoned anew, and what came later; in order and not, and down to nothing.
TEST(ShardTotals, WhatReplacesStandsInsteadOfAllBeforeIt) {
  const Catalog catalog = SmallCatalog();
  std::deque<StoredRun> runs;
  const auto add = [&](ShardTotals& totals, const char* meter, int32_t bucket, const UsageTotal& total, CellRole role) {
    TotalsRunWriter writer;
    writer.AddSeries(writer.AddMeter(meter, FormOf(*catalog.FindMeter(meter))), {});
    writer.BeginSubject("s");
    writer.BeginSeries(0, 1);
    writer.AddCell({bucket}, total, role);
    writer.EndSubject();
    runs.push_back({runs.size() + 1, writer.Finish()});
    ASSERT_TRUE(totals.Add(runs.back()).ok());
  };
  for (const bool in_order : {true, false}) {
    for (const bool to_none : {true, false}) {
      ShardTotals totals(catalog, kSeed, std::nullopt);
      add(totals, "n0", 5, {{7}, 2, {}}, CellRole::kAdds);
      if (!in_order) add(totals, "n0", 6, {{1}, 1, {}}, CellRole::kAdds);
      add(totals, "n0", 5, {{9}, 1, {}}, CellRole::kAdds);
      add(totals, "n0", 5, to_none ? UsageTotal() : UsageTotal{{3}, 1, {}}, CellRole::kReplaces);
      UsageTotal expected{{3}, 1, {}};
      if (!to_none) {
        add(totals, "n0", 5, {{2}, 1, {}}, CellRole::kAdds);
        ASSERT_TRUE(Merge(catalog.FindMeter("n0")->aggregation, {{2}, 1, {}}, &expected));
      }
      if (in_order) add(totals, "n0", 6, {{1}, 1, {}}, CellRole::kAdds);
      totals.Merge();
      ASSERT_TRUE(totals.StatusOf(0).ok());
      ASSERT_EQ(totals.TotalsOf(0).size(), to_none ? 1u : 2u);
      EXPECT_EQ(totals.TotalsOf(0).back().bucket.number, 6);
      if (!to_none) {
        EXPECT_EQ(totals.TotalsOf(0)[0].total, expected);
      }
    }
  }
}

// One event's elements, taken back in another run than they came in.
TEST(ShardTotals, AnElementIsTakenBackByItsEqual) {
  const Catalog catalog = SmallCatalog();
  const auto run_of = [](std::vector<UsageTotal> elements) {
    TotalsRunWriter writer;
    writer.AddSeries(writer.AddMeter("x17", TotalForm::kTimedElements), {});
    writer.BeginSubject("s");
    writer.BeginSeries(0, static_cast<uint32_t>(elements.size()));
    for (const UsageTotal& element : elements) writer.AddCell({5}, element);
    writer.EndSubject();
    return writer.Finish();
  };
  const StoredRun came = {1, run_of({{{7}, 2, {100}}, {{7}, 1, {200}}, {{9}, 1, {200}}})};
  const StoredRun taken = {2, run_of({{{7}, ~uint64_t{0}, {100}}, {{9}, ~uint64_t{0}, {200}}})};
  ShardTotals totals(catalog, kSeed, std::nullopt);
  ASSERT_TRUE(totals.Add(came).ok() && totals.Add(taken).ok());
  totals.Merge();
  ASSERT_TRUE(totals.StatusOf(0).ok());
  ASSERT_EQ(totals.TotalsOf(0).size(), 2u);
  EXPECT_EQ(totals.TotalsOf(0)[0].total, (UsageTotal{{7}, 1, {100}}));
  EXPECT_EQ(totals.TotalsOf(0)[1].total, (UsageTotal{{7}, 1, {200}}));
}

// Half of the range, three times: within one run and across runs.
TEST(ShardTotals, ATotalThatCannotBeHeldSetsItsSubjectAsideAndCountsItsEvents) {
  const Catalog catalog = SmallCatalog();
  const Shape shape = kShapes[0];
  for (const int runs : {1, 3}) {
    SeriesTable series(kSeed);
    CellTable cells(catalog.meters, series);
    ShardTotals totals(catalog, kSeed, std::nullopt);
    std::deque<StoredRun> stored;
    for (int run = 0; run < runs; ++run) {
      std::vector<Usage> usage;
      for (int i = run; i < 3; i += runs) usage.push_back({"big", 0, {"", ""}, 1, kLargest / 2 + 1, 0});
      usage.push_back({"small", 0, {"", ""}, 1, 1, 0});
      stored.push_back({static_cast<uint64_t>(run + 1), RunOf(shape, usage, series, cells, catalog)});
      ASSERT_TRUE(totals.Add(stored.back()).ok());
    }
    totals.Merge();
    ASSERT_EQ(totals.subjects(), 2u);
    for (size_t subject = 0; subject < 2; ++subject) {
      const bool big = totals.name(subject) == "big";
      ASSERT_EQ(totals.TotalsOf(subject).size(), 1u);
      EXPECT_EQ(totals.TotalsOf(subject)[0].total.events, big ? 3u : static_cast<uint64_t>(runs));
      EXPECT_EQ(absl::IsOutOfRange(totals.StatusOf(subject)), big);
    }
  }
}

// Damage that the walk over the subjects cannot see is found when a subject's cells are read; others stay readable.
TEST(ShardTotals, DamagedCellsAreSaidWhenTheyAreRead) {
  const Catalog catalog = SmallCatalog();
  SeriesTable series(kSeed);
  CellTable cells(catalog.meters, series);
  const std::vector<Usage> usage = {{"one", 4, {}, 1, kOneUnit, 0}, {"two", 4, {}, 1, kOneUnit, 0}};
  StoredRun run = {9, RunOf(kShapes[0], usage, series, cells, catalog)};
  const size_t of_one = run.bytes.find("one") + 4;  // behind the name and the length
  run.bytes[of_one] = 0x7e;                         // a series that the run does not have
  ShardTotals totals(catalog, kSeed, std::nullopt);
  ASSERT_TRUE(totals.Add(run).ok());
  totals.Merge();
  ASSERT_EQ(totals.subjects(), 2u);
  for (size_t subject = 0; subject < 2; ++subject) {
    EXPECT_EQ(absl::IsDataLoss(totals.StatusOf(subject)), totals.name(subject) == "one");
  }
  run.bytes.pop_back();
  ShardTotals cut(catalog, kSeed, std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(cut.Add(run)));
}

TEST(ShardTotals, AMeterThatIsGoneFromTheCatalogIsRefused) {
  const Catalog catalog = SmallCatalog();
  SeriesTable series(kSeed);
  CellTable cells(catalog.meters, series);
  const StoredRun run = {9, RunOf(kShapes[0], {{"one", 4, {}, 1, kOneUnit, 0}}, series, cells, catalog)};
  Catalog fewer = catalog;
  fewer.meters.erase(fewer.meters.begin() + 4);
  EXPECT_TRUE(absl::IsFailedPrecondition(ShardTotals(fewer, kSeed, std::nullopt).Add(run)));
  Catalog more = catalog;  // and one whose places have changed is no matter
  more.meters.insert(more.meters.begin(),
                     {.name = "another", .event_type = "t", .value_property = "", .dimensions = {}, .unit = ""});
  ShardTotals totals(more, kSeed, std::nullopt);
  ASSERT_TRUE(totals.Add(run).ok());
  totals.Merge();
  EXPECT_EQ(totals.TotalsOf(0)[0].meter, &more.meters[5]);
}

}  // namespace
}  // namespace tollbook
