#include "rating/usage_total.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

UsageTotal Event(std::string_view value, int64_t at_nanos = 0) {
  return {Units(value), 1, {at_nanos}};
}

UsageTotal Merged(Aggregation aggregation, const std::vector<UsageTotal>& deltas) {
  UsageTotal total;
  for (const UsageTotal& delta : deltas) EXPECT_TRUE(Merge(aggregation, delta, &total));
  return total;
}

struct MergeCase {
  const char* name;
  Aggregation aggregation;
  std::vector<UsageTotal> events;
  const char* value;
};

TEST(UsageTotal, MergesAsItsAggregationSays) {
  const MergeCase kCases[] = {
      {"sum", Aggregation::kSum, {Event("1.5"), Event("-0.5"), Event("2")}, "3"},
      {"count", Aggregation::kCount, {Event("1"), Event("1"), Event("1")}, "3"},
      {"max", Aggregation::kMax, {Event("2"), Event("7"), Event("5")}, "7"},
      {"max of negatives is not zero", Aggregation::kMax, {Event("-5"), Event("-3"), Event("-4")}, "-3"},
      {"min", Aggregation::kMin, {Event("2"), Event("-7"), Event("5")}, "-7"},
      {"min of positives is not zero", Aggregation::kMin, {Event("5"), Event("3")}, "3"},
      {"mean is told by sum and events", Aggregation::kMean, {Event("2"), Event("7")}, "9"},
      {"latest", Aggregation::kLatest, {Event("2", 10), Event("7", 5), Event("5", 20)}, "5"},
      {"latest, of a tie the larger", Aggregation::kLatest, {Event("2", 10), Event("7", 10), Event("5", 10)}, "7"},
      {"latest, negative and before 1970", Aggregation::kLatest, {Event("-2", -10), Event("-7", -5)}, "-7"},
  };
  for (const MergeCase& c : kCases) {
    SCOPED_TRACE(c.name);
    const UsageTotal total = Merged(c.aggregation, c.events);
    EXPECT_EQ(ToString(total.value), c.value);
    EXPECT_EQ(total.events, c.events.size());
  }
}

TEST(UsageTotal, MergesInAnyOrderAndGrouping) {
  std::mt19937_64 random(TestSeed());
  for (const Aggregation aggregation : {Aggregation::kSum, Aggregation::kCount, Aggregation::kMax, Aggregation::kLatest,
                                        Aggregation::kMin, Aggregation::kMean}) {
    for (int round = 0; round < 500; ++round) {
      std::vector<UsageTotal> events;
      for (int i = 0; i < 8; ++i) {
        const int64_t at = aggregation == Aggregation::kLatest ? static_cast<int64_t>(random() % 4) : 0;
        events.push_back({Quantity{static_cast<int64_t>(random() % 9) - 4}, 1, {at}});
      }
      const UsageTotal in_order = Merged(aggregation, events);
      std::shuffle(events.begin(), events.end(), random);
      const auto cut = events.begin() + static_cast<int64_t>(random() % (events.size() + 1));
      const UsageTotal front = Merged(aggregation, {events.begin(), cut});
      const UsageTotal back = Merged(aggregation, {cut, events.end()});
      ASSERT_EQ(Merged(aggregation, {front, back}), in_order) << ToString(aggregation);
    }
  }
}

TEST(UsageTotal, AnIdentifierKeepsItsHashAndWhatWasDone) {
  for (const SetOperation operation : {SetOperation::kAdd, SetOperation::kRemove}) {
    const Quantity largest = IdentifierValue(~static_cast<Uint128>(0), operation);
    EXPECT_GT(largest.attos, 0);
    EXPECT_EQ(OperationOf(largest), operation);
    EXPECT_EQ(IdentifierOf(largest), (static_cast<Int128>(1) << 126) - 1);
  }
  EXPECT_LT(IdentifierValue(20, SetOperation::kAdd), IdentifierValue(20, SetOperation::kRemove));
  EXPECT_LT(IdentifierValue(20, SetOperation::kRemove), IdentifierValue(24, SetOperation::kAdd));
}

TEST(UsageTotal, AnswersWhenTheSumDoesNotFit) {
  UsageTotal total = Event("170141183460469231731");
  const UsageTotal before = total;
  EXPECT_FALSE(Merge(Aggregation::kSum, Event("1"), &total));
  EXPECT_EQ(total, before);
}

struct BucketCase {
  Granularity granularity;
  const char* book_zone;
  const char* instant;
  int32_t bucket;
  const char* zone;
  const char* day;  // of that bucket, in `zone`
};

TEST(Bucket, IsADayOfTheBookOrAnHourOfUtc) {
  const BucketCase kCases[] = {
      {Granularity::kDay, "UTC", "1970-01-02T00:00:00Z", 1, "UTC", "1970-01-02"},
      {Granularity::kDay, "Europe/Berlin", "1970-01-01T22:59:59Z", 0, "Europe/Berlin", "1970-01-01"},
      {Granularity::kDay, "Europe/Berlin", "1970-01-01T23:00:00Z", 1, "Europe/Berlin", "1970-01-02"},
      {Granularity::kHour, "Europe/Berlin", "1970-01-01T22:59:59Z", 22, "Europe/Berlin", "1970-01-01"},
      {Granularity::kHour, "UTC", "1970-01-01T23:00:00Z", 23, "Europe/Berlin", "1970-01-02"},
      {Granularity::kHour, "UTC", "2025-03-10T03:59:59Z", 483'771, "America/New_York", "2025-03-09"},
      {Granularity::kHour, "UTC", "2025-03-10T04:00:00Z", 483'772, "America/New_York", "2025-03-10"},
      {Granularity::kQuarterHour, "UTC", "2025-01-31T18:14:59Z", 1'931'496, "Asia/Kathmandu", "2025-01-31"},
      {Granularity::kQuarterHour, "UTC", "2025-01-31T18:15:00Z", 1'931'497, "Asia/Kathmandu", "2025-02-01"},
      {Granularity::kQuarterHour, "UTC", "2025-06-30T13:29:59Z", 1'945'877, "Australia/Lord_Howe", "2025-06-30"},
      {Granularity::kQuarterHour, "UTC", "2025-06-30T13:30:00Z", 1'945'878, "Australia/Lord_Howe", "2025-07-01"},
  };
  for (const BucketCase& c : kCases) {
    SCOPED_TRACE(std::string(c.instant) + " " + c.zone);
    const Bucket bucket = BucketOf(c.granularity, At(c.instant), ZoneOf(c.book_zone));
    EXPECT_EQ(bucket.number, c.bucket);
    EXPECT_EQ(ToString(DayOfBucket(c.granularity, bucket, ZoneOf(c.zone))), c.day);
  }
  EXPECT_EQ(BucketOf(Granularity::kHour, Instant{-1}, Zone()).number, -1);
}

}  // namespace
}  // namespace tollbook
