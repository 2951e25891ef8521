// Quantities: known ones of other systems, and random usage against a slow twin with big rationals.
#include "rating/aggregate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "tests/rating/carried_twin.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using namespace reference;  // NOLINT: the twin

Meter MeterOf(Aggregation aggregation) {
  Meter meter;
  meter.name = "m";
  meter.aggregation = aggregation;
  return meter;
}

Meter Rounded(Meter meter, Rounding rounding, int places) {
  meter.reading.rounding = UnitRounding{rounding, places};
  return meter;
}

struct TimedValue {
  const char* at;  // null: at no time that matters
  const char* value;
};

std::string QuantityOf(const Meter& meter, const std::vector<TimedValue>& usage) {
  RunningAggregate aggregate;
  aggregate.Begin(meter);
  for (const TimedValue& u : usage) {
    const Instant at = u.at != nullptr && HasTime(FormOf(meter)) ? At(u.at) : Instant{};
    EXPECT_TRUE(aggregate.Add({Units(u.value), 1, at}));
  }
  Quantity quantity;
  EXPECT_TRUE(aggregate.ToDate(&quantity));
  EXPECT_EQ(aggregate.events(), usage.size());
  return ToString(quantity);
}

struct NumberCase {
  const char* name;
  Meter meter;
  std::vector<TimedValue> usage;  // of the period
  const char* units;
};

TEST(Aggregate, OfNumbers) {
  Meter floored = MeterOf(Aggregation::kLatest);
  floored.reading.floor_at_zero = true;
  Meter kept = MeterOf(Aggregation::kSum);
  kept.keep_events = true;
  const NumberCase kCases[] = {
      {"killbill-rollup-p1",
       MeterOf(Aggregation::kSum),
       {{"2015-03-15T00:00:00Z", "6"}, {"2015-03-25T00:00:00Z", "4"}},
       "10"},
      {"killbill-rollup-p3",
       MeterOf(Aggregation::kSum),
       {{"2015-05-15T00:00:00Z", "13"}, {"2015-05-31T00:00:00Z", "7"}},
       "20"},
      {"lago-max-12",
       MeterOf(Aggregation::kMax),
       {{nullptr, "3"}, {nullptr, "7"}, {nullptr, "9"}, {nullptr, "1"}, {nullptr, "12"}},
       "12"},
      {"lago-latest-14",
       MeterOf(Aggregation::kLatest),
       {{"2024-01-01T00:00:00Z", "18"}, {"2024-01-02T00:00:00Z", "14"}},
       "14"},
      {"lago-latest-negative", floored, {{"2024-01-01T00:00:00Z", "18"}, {"2024-01-03T00:00:00Z", "-5"}}, "0"},
      {"min", MeterOf(Aggregation::kMin), {{nullptr, "3"}, {nullptr, "-7.5"}, {nullptr, "9"}}, "-7.5"},
      {"no usage", MeterOf(Aggregation::kMin), {}, "0"},
      {"mean", MeterOf(Aggregation::kMean), {{nullptr, "1"}, {nullptr, "2"}, {nullptr, "6"}}, "3"},
      {"mean of thirds, half to even at the 18th",
       MeterOf(Aggregation::kMean),
       {{nullptr, "1"}, {nullptr, "1"}, {nullptr, "3"}},
       "1.666666666666666667"},
      {"mean of none", MeterOf(Aggregation::kMean), {}, "0"},
      {"mean, rounded once",
       Rounded(MeterOf(Aggregation::kMean), Rounding::kUp, 2),
       {{nullptr, "0.02"}, {nullptr, "0.02"}, {nullptr, "0.020000000000000001"}},
       "0.03"},
      {"a sum that keeps its events", kept, {{nullptr, "3"}, {nullptr, "3"}, {nullptr, "0.5"}}, "6.5"},
  };
  for (const NumberCase& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(QuantityOf(c.meter, c.usage), c.units);
  }
}

TEST(Aggregate, AnElementStandsForSeveralEvents) {
  for (const Aggregation aggregation : {Aggregation::kSum, Aggregation::kMean, Aggregation::kMax}) {
    Meter meter = MeterOf(aggregation);
    meter.keep_events = true;
    RunningAggregate aggregate;
    aggregate.Begin(meter);
    ASSERT_TRUE(aggregate.Add({Quantity::Units(5), 3, {7}}));
    ASSERT_TRUE(aggregate.Add({Quantity::Units(1), 1, {8}}));
    Quantity quantity;
    ASSERT_TRUE(aggregate.ToDate(&quantity));
    EXPECT_EQ(aggregate.events(), 4u);
    EXPECT_EQ(quantity, Quantity::Units(aggregation == Aggregation::kSum    ? 16
                                        : aggregation == Aggregation::kMean ? 4
                                                                            : 5));
  }
}

struct RoundingCase {
  const char* name;
  Rounding rounding;
  int places;
  const char* quantity;
  const char* units;
};

TEST(Aggregate, RoundsUnits) {
  constexpr RoundingCase kCases[] = {
      {"lago-units-half_up-2", Rounding::kHalfUp, 2, "123.456", "123.46"},
      {"lago-units-half_up--2", Rounding::kHalfUp, -2, "123.456", "100"},
      {"lago-units-up-0", Rounding::kUp, 0, "123.456", "124"},
      {"lago-units-down-2", Rounding::kDown, 2, "123.456", "123.45"},
      {"lago-units-down--2", Rounding::kDown, -2, "123.456", "100"},
      {"a tie", Rounding::kHalfEven, 1, "0.25", "0.2"},
      {"a tie, up", Rounding::kHalfUp, 1, "-0.25", "-0.3"},
      {"just above a tie", Rounding::kHalfEven, 1, "0.250000000000000001", "0.3"},
      {"the last place but one", Rounding::kUp, 17, "0.000000000000000001", "0.00000000000000001"},
      {"far left of the point", Rounding::kHalfUp, -18, "500000000000000000", "1000000000000000000"},
      {"nothing", Rounding::kUp, -18, "0", "0"},
  };
  for (const RoundingCase& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(QuantityOf(Rounded(MeterOf(Aggregation::kSum), c.rounding, c.places), {{nullptr, c.quantity}}), c.units);
  }
}

struct PercentileCase {
  const char* percentile;
  const char* nearest;
  const char* interpolated;
};

TEST(Aggregate, Percentiles) {
  // 15, 20, 35, 40, 50: the usual example of both methods.
  constexpr PercentileCase kCases[] = {{"0.000000001", "15", "15.0000000002"},
                                       {"5", "15", "16"},
                                       {"30", "20", "23"},
                                       {"40", "20", "29"},
                                       {"50", "35", "35"},
                                       {"95", "50", "48"},
                                       {"100", "50", "50"},
                                       {"80", "40", "42"},
                                       {"80.000000001", "50", "42.0000000004"}};
  for (const PercentileCase& c : kCases) {
    SCOPED_TRACE(c.percentile);
    Meter meter = MeterOf(Aggregation::kPercentile);
    meter.reading.percentile = Units(c.percentile);
    const std::vector<TimedValue> usage = {
        {nullptr, "35"}, {nullptr, "50"}, {nullptr, "15"}, {nullptr, "40"}, {nullptr, "20"}};
    EXPECT_EQ(QuantityOf(meter, usage), c.nearest);
    meter.reading.method = PercentileMethod::kInterpolated;
    EXPECT_EQ(QuantityOf(meter, usage), c.interpolated);
  }
}

TEST(Aggregate, AnswersWhenItDoesNotFit) {
  RunningAggregate aggregate;
  Meter meter = MeterOf(Aggregation::kSum);
  meter.keep_events = true;
  aggregate.Begin(meter);
  EXPECT_FALSE(aggregate.Add({Quantity::Units(1'000'000'000'000'000), 1'000'000, {}}));
  const Meter rounded = Rounded(MeterOf(Aggregation::kSum), Rounding::kUp, -18);
  aggregate.Begin(rounded);
  ASSERT_TRUE(aggregate.Add({Units("170141183460469231731"), 1, {}}));
  Quantity quantity;
  EXPECT_FALSE(aggregate.ToDate(&quantity));
  CarriedUsage usage;
  const Meter level = MeterOf(Aggregation::kWeightedSum);
  usage.Begin(level, Zone());
  for (int i = 0; i < 3; ++i) usage.Add(0, {Units("100000000000000000000"), 1, {i}});
  usage.BeginPeriod({On("1970-01-01"), On("1970-02-01")});
  CarriedUsage::ToDate to_date;
  EXPECT_FALSE(usage.AddDay(On("1970-01-01"), &to_date));
}

// ----- what is carried

struct CarriedCase {
  const char* name;
  std::vector<TimedValue> usage;
  const char* from;  // of the days that count
  const char* to;
  const char* units;
};

std::string QuantityOf(const Meter& meter, const std::vector<UsageTotal>& elements, const BillingPeriod& period,
                       Day from, Day to, const char* zone = "UTC") {
  CarriedUsage usage;
  usage.Begin(meter, ZoneOf(zone));
  for (const UsageTotal& element : elements) usage.Add(0, element);
  usage.BeginPeriod(period);
  CarriedUsage::ToDate to_date;
  for (Day day = from; day < to; ++day.number) EXPECT_TRUE(usage.AddDay(day, &to_date));
  return ToString(to_date.quantity);
}

TEST(Aggregate, WeightedSums) {
  const CarriedCase kCases[] = {
      {"lago-wsum-seven",
       {{"2023-08-01T00:00:00Z", "2"},
        {"2023-08-01T01:00:00Z", "3"},
        {"2023-08-01T01:30:00Z", "1"},
        {"2023-08-01T02:00:00Z", "-4"},
        {"2023-08-01T04:00:00Z", "-2"},
        {"2023-08-01T05:00:00Z", "10"},
        {"2023-08-01T05:30:00Z", "-10"}},
       "2023-08-01",
       "2023-09-01",
       "0.02218"},
      {"lago-wsum-none", {}, "2023-08-01", "2023-09-01", "0"},
      {"lago-wsum-carry-none", {{"2023-07-04T00:00:00Z", "1000"}}, "2023-08-01", "2023-09-01", "1000"},
      {"lago-wsum-carry-10", {{"2023-07-04T00:00:00Z", "10"}}, "2023-08-01", "2023-09-01", "10"},
      {"lago-wsum-region-us", {{"2023-08-01T01:00:00Z", "3"}}, "2023-08-01", "2023-09-01", "2.99597"},
      {"lago-wsum-carry-100-us",
       {{"2023-07-04T00:00:00Z", "100"}, {"2023-08-01T01:00:00Z", "3"}},
       "2023-08-01",
       "2023-09-01",
       "102.99597"},
      {"half of the month", {{"2023-07-04T00:00:00Z", "62"}}, "2023-08-16", "2023-09-01", "32"},
  };
  const Meter meter = Rounded(MeterOf(Aggregation::kWeightedSum), Rounding::kHalfUp, 5);
  for (const CarriedCase& c : kCases) {
    SCOPED_TRACE(c.name);
    std::vector<UsageTotal> elements;
    for (const TimedValue& u : c.usage) elements.push_back({Units(u.value), 1, At(u.at)});
    EXPECT_EQ(QuantityOf(meter, elements, {On("2023-08-01"), On("2023-09-01")}, On(c.from), On(c.to)), c.units);
  }
}

// March of 2025 in Berlin has 743 hours.
TEST(Aggregate, ADayOf23HoursCountsAs23) {
  const std::vector<UsageTotal> elements = {{Quantity::Units(743), 1, At("2025-01-01T00:00:00Z")}};
  const Meter meter = MeterOf(Aggregation::kWeightedSum);
  const BillingPeriod march = {On("2025-03-01"), On("2025-04-01")};
  EXPECT_EQ(QuantityOf(meter, elements, march, On("2025-03-30"), On("2025-03-31"), "Europe/Berlin"), "23");
  EXPECT_EQ(QuantityOf(meter, elements, march, On("2025-03-29"), On("2025-03-30"), "Europe/Berlin"), "24");
  EXPECT_EQ(QuantityOf(meter, elements, march, On("2025-03-01"), On("2025-04-01"), "Europe/Berlin"), "743");
}

TEST(Aggregate, LevelsOfSeveralSeriesAddUp) {
  Meter meter = MeterOf(Aggregation::kWeightedSum);
  meter.reading.value_is = ValueIs::kLevel;
  CarriedUsage usage;
  usage.Begin(meter, Zone());
  usage.Add(0, {Quantity::Units(10), 1, At("2025-01-01T00:00:00Z")});
  usage.Add(1, {Quantity::Units(5), 1, At("2025-01-01T00:00:00Z")});
  usage.Add(0, {Quantity::Units(6), 1, At("2025-01-31T00:00:00Z")});
  usage.Add(0, {Quantity::Units(4), 1, At("2025-01-31T00:00:00Z")});  // at one instant the larger counts
  usage.BeginPeriod(MonthOf(On("2025-01-31")));
  CarriedUsage::ToDate to_date;
  ASSERT_TRUE(usage.AddDay(On("2025-01-31"), &to_date));
  EXPECT_EQ(to_date.quantity, (Quantity{Quantity::Units(11).attos / 31 + 1}));  // 11/31 = 0.3548…
  EXPECT_EQ(to_date.events, 2u);
}

UsageTotal Operated(const char* at, int identifier, const char* operation) {
  return {IdentifierValue(static_cast<Uint128>(identifier) << 64,
                          operation == std::string("add") ? SetOperation::kAdd : SetOperation::kRemove),
          1, At(at)};
}

TEST(Aggregate, CountsThatAreProratedByDay) {
  struct Case {
    const char* name;
    std::vector<UsageTotal> usage;
    const char* from;
    const char* to;
    const char* units;
  };
  const UsageTotal before = Operated("2022-06-01T00:00:00Z", 1, "add");
  const Case kCases[] = {
      {"lago-uniq-full", {before}, "2022-07-09", "2022-08-09", "1"},
      {"lago-uniq-terminated", {before}, "2022-07-09", "2022-07-25", "0.51613"},
      {"lago-uniq-started", {before}, "2022-08-01", "2022-08-09", "0.25807"},
      {"lago-uniq-added-first-day", {Operated("2022-07-09T00:00:00Z", 1, "add")}, "2022-07-09", "2022-08-09", "1"},
      {"lago-uniq-removed-last-day",
       {before, Operated("2022-08-08T23:59:59Z", 1, "remove")},
       "2022-07-09",
       "2022-08-09",
       "1"},
      {"lago-uniq-flip-same-day",
       {Operated("2022-07-09T01:00:00Z", 1, "add"), Operated("2022-07-09T02:00:00Z", 1, "remove"),
        Operated("2022-07-09T03:00:00Z", 1, "add"), Operated("2022-07-09T04:00:00Z", 1, "remove")},
       "2022-07-09",
       "2022-08-09",
       "0.03226"},
      {"lago-uniq-flip-carried",
       {before, Operated("2022-07-10T00:00:00Z", 1, "add"), Operated("2022-07-10T01:00:00Z", 1, "add"),
        Operated("2022-07-10T02:00:00Z", 1, "remove"), Operated("2022-07-10T03:00:00Z", 1, "add"),
        Operated("2022-07-12T01:00:00Z", 1, "add"), Operated("2022-07-12T02:00:00Z", 1, "remove")},
       "2022-07-09",
       "2022-08-09",
       "0.12904"},
  };
  Meter meter = Rounded(MeterOf(Aggregation::kUniqueCount), Rounding::kUp, 5);
  meter.operation_property = "operation";
  meter.reading.proration = Proration::kDay;
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(QuantityOf(meter, c.usage, {On("2022-07-09"), On("2022-08-09")}, On(c.from), On(c.to)), c.units);
  }
}

TEST(Aggregate, CountsOfWhatIsThere) {
  Meter meter = MeterOf(Aggregation::kUniqueCount);
  meter.operation_property = "operation";
  CarriedUsage usage;
  usage.Begin(meter, Zone());
  usage.Add(0, Operated("2025-01-03T00:00:00Z", 1, "add"));
  usage.Add(1, Operated("2025-01-03T00:00:00Z", 1, "add"));
  usage.Add(0, Operated("2025-01-05T00:00:00Z", 2, "add"));
  usage.Add(0, Operated("2025-02-03T00:00:00Z", 1, "remove"));
  usage.Add(0, Operated("2025-02-03T00:00:00Z", 3, "remove"));
  usage.BeginPeriod(MonthOf(On("2025-01-04")));
  CarriedUsage::ToDate to_date;
  ASSERT_TRUE(usage.AddDay(On("2025-01-04"), &to_date));
  EXPECT_EQ(to_date.quantity, Quantity::Units(1));
  EXPECT_EQ(to_date.events, 0u);
  ASSERT_TRUE(usage.AddDay(On("2025-01-05"), &to_date));
  EXPECT_EQ(to_date.quantity, Quantity::Units(2));
  usage.BeginPeriod(MonthOf(On("2025-02-04")));
  ASSERT_TRUE(usage.AddDay(On("2025-02-04"), &to_date));
  EXPECT_EQ(to_date.quantity, Quantity::Units(1));
}

// ----- the twin

std::optional<UnitRounding> RandomRounding(std::mt19937_64& random) {
  if (random() % 2 == 0) return std::nullopt;
  return UnitRounding{static_cast<Rounding>(random() % 4), static_cast<int>(random() % 24) - 6};
}

Quantity RandomValue(std::mt19937_64& random) {
  const auto value = static_cast<Int128>(random() % 2'000'000) - 500'000;
  const int64_t scales[] = {1'000'000'000'000'000'000, 1'000'000'000'000'000, 1};
  return {value * scales[random() % 3]};
}

Rational PercentileTwin(const Meter& meter, std::vector<Quantity> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const Rational part = Rational(ToInteger(meter.reading.percentile.attos), TenTo(20));
  const auto value = [&](size_t i) { return Rational(ToInteger(values[i].attos)); };
  if (meter.reading.method == PercentileMethod::kNearestRank) {
    size_t rank = 1;
    while (Rational(rank) < part * Rational(values.size())) ++rank;
    return value(rank - 1);
  }
  const Rational place = part * Rational(values.size() - 1);
  size_t below = 0;
  while (Rational(below + 1) <= place) ++below;
  if (below + 1 >= values.size()) return value(values.size() - 1);
  return value(below) + (value(below + 1) - value(below)) * (place - Rational(below));
}

TEST(AggregateTwin, PercentilesMeansAndCounts) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 2000; ++round) {
    const Aggregation kinds[] = {Aggregation::kPercentile, Aggregation::kMean, Aggregation::kUniqueCount};
    Meter meter = MeterOf(kinds[random() % 3]);
    meter.keep_events = random() % 3 == 0;
    meter.reading.rounding = RandomRounding(random);
    meter.reading.method = static_cast<PercentileMethod>(random() % 2);
    meter.reading.percentile = {static_cast<Int128>(random() % 100 + 1) * kOneUnit};
    if (random() % 2 == 0)
      meter.reading.percentile.attos -= static_cast<Int128>(random() % 1'000'000'000) * 1'000'000'000;
    RunningAggregate aggregate;
    aggregate.Begin(meter);
    std::vector<Quantity> values;
    for (int day = 0; day < 5; ++day) {
      for (uint64_t i = random() % 12; i > 0; --i) {
        const Quantity value =
            random() % 3 == 0 && !values.empty() ? values[random() % values.size()] : RandomValue(random);
        const uint64_t times = IsOfElements(FormOf(meter)) ? 1 + random() % 3 : 1;
        ASSERT_TRUE(aggregate.Add({value, times, {}}));
        values.insert(values.end(), times, value);
      }
      Quantity quantity;
      ASSERT_TRUE(aggregate.ToDate(&quantity));
      Rational expected = 0;
      if (meter.aggregation == Aggregation::kPercentile) expected = PercentileTwin(meter, values);
      if (meter.aggregation == Aggregation::kMean && !values.empty()) {
        for (const Quantity value : values) expected += Rational(ToInteger(value.attos));
        expected /= Rational(values.size());
      }
      if (meter.aggregation == Aggregation::kUniqueCount)
        expected = Rational(std::set<Quantity>(values.begin(), values.end()).size()) * Rational(TenTo(18));
      ASSERT_EQ(ToInteger(quantity.attos), RoundedTo(meter, expected)) << ToString(meter.aggregation);
      ASSERT_EQ(aggregate.events(), values.size());
    }
  }
}

TEST(AggregateTwin, LevelsAndMembers) {
  std::mt19937_64 random(TestSeed());
  const char* const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"};
  for (int round = 0; round < 400; ++round) {
    Meter meter = MeterOf(random() % 2 == 0 ? Aggregation::kWeightedSum : Aggregation::kUniqueCount);
    meter.operation_property = meter.aggregation == Aggregation::kUniqueCount ? "operation" : "";
    meter.reading.value_is = static_cast<ValueIs>(random() % 2);
    meter.reading.proration = static_cast<Proration>(random() % 2);
    meter.reading.rounding = RandomRounding(random);
    const Zone zone = ZoneOf(zones[random() % 4]);
    const Instant begin = At("2025-02-20T00:00:00Z");
    constexpr int64_t kHour = 3'600'000'000'000;
    std::vector<TwinElement> elements;
    for (uint64_t i = random() % 40; i > 0; --i) {
      UsageTotal total{RandomValue(random), 1 + random() % 2, {}};
      total.latest_at.nanos = begin.nanos + static_cast<int64_t>(random() % (24 * 80)) * kHour;
      if (random() % 2 == 0) total.latest_at.nanos += static_cast<int64_t>(random() % kHour);
      if (meter.aggregation == Aggregation::kUniqueCount) {
        total.value =
            IdentifierValue(static_cast<Uint128>(random() % 4) << 90, static_cast<SetOperation>(random() % 2));
      }
      elements.push_back({static_cast<uint32_t>(random() % 2), total});
    }
    CarriedUsage usage;
    usage.Begin(meter, zone);
    for (const TwinElement& element : elements) usage.Add(element.series, element.total);
    for (const char* month : {"2025-03-01", "2025-04-01"}) {
      const BillingPeriod period = MonthOf(On(month));
      usage.BeginPeriod(period);
      std::vector<Day> days;
      uint64_t events = 0;
      for (Day day = period.start; day < period.end; ++day.number) {
        if (random() % 6 == 0) continue;
        days.push_back(day);
        CarriedUsage::ToDate to_date;
        ASSERT_TRUE(usage.AddDay(day, &to_date));
        for (const TwinElement& element : elements) {
          const Instant at = element.total.latest_at;
          if (!(at < zone.StartOf(day)) && at < zone.StartOf({day.number + 1})) events += element.total.events;
        }
        EXPECT_EQ(to_date.events, events);
        if (random() % 4 != 0) continue;
        const Rational expected = reference::CarriedQuantity(meter, zone, elements, period, days);
        ASSERT_EQ(ToInteger(to_date.quantity.attos), RoundedTo(meter, expected)) << ToString(meter.aggregation);
      }
    }
  }
}

}  // namespace
}  // namespace tollbook
