// Grants of units: what they pay comes off the units to price, in the order of time; late usage and usage that is taken
// back are as if they had always been so; and any cut into seals sums to the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "rating/quote.h"
#include "tests/rating/seed.h"
#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

constexpr char kCalls[] =
    "      - {name: calls, meter: calls, product: calls, model: per_unit, included: 10, price: 1}\n";
constexpr char kColumns[] =
    "grant,subscription,charge,units,starts,ends,voided,priority,refill,refill_on,reset,rollover_min,rollover_max,"
    "pays_earlier,keeps_overage\n";

Catalog With(const std::string& rows, const std::string& charges = kCalls) {
  return SmallCatalog(charges, {{"unit_grants.csv", kColumns + rows}});
}

// "g1 40, g2 0": what is left at the end of the day.
std::string LeftOf(const Catalog& catalog, std::span<const SubjectTotal> totals, std::string_view through) {
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSmallSubject, totals, std::optional(On(through)));
  EXPECT_TRUE(rated.ok()) << rated.status();
  std::string text;
  for (const UnitBalance& balance : rated->unit_balances)
    text += (text.empty() ? "" : ", ") + balance.grant->id + " " + ToString(balance.left);
  return text;
}

TEST(UnitGrants, PayBehindTheIncludedUnitsAndBeforeThePrice) {
  const Catalog catalog = With("g,s1,calls,50,2025-01-01,,,,,,,,,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "30"},
                                                                  {"calls", "2025-01-06T00:00:00Z", "40"},
                                                                  {"calls", "2025-02-01T00:00:00Z", "15"}});
  // 10 are included; 20 and 30 of the grant; 10 are priced. In February 10 are included, and nothing is left.
  EXPECT_EQ(DueOf(catalog, totals, On("2025-02-28")),
            (SmallDue{{{"calls", "2025-01-06"}, 1000}, {{"calls", "2025-02-01"}, 500}}));
  EXPECT_EQ(LeftOf(catalog, totals, "2025-01-05"), "g 30");
  EXPECT_EQ(LeftOf(catalog, totals, "2025-02-28"), "g 0");
}

// 10^18 units each day, of which next to none are used, for two thirds of a year.
TEST(UnitGrants, MayBeFarMoreThanIsUsed) {
  const Catalog catalog = With("g,s1,calls,1000000000000000000,2025-01-01,,,,1 day,,,,,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-08-10T00:00:00Z", "30"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-08-31")), SmallDue{});
}

TEST(UnitGrants, ThatDoNotFitAreNamed) {
  Catalog catalog = With("g,s1,calls,100,2025-01-15,,,,1 month,,,,100,true,\n");
  const Quantity more = {static_cast<Int128>(~Uint128{0} >> 1) / 2 + 1};  // than a catalog may say
  catalog.unit_grants[0].units = catalog.unit_grants[0].rollover_max = more;
  catalog.BuildIndex();
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-20T00:00:00Z", "13"}, {"calls", "2025-02-14T00:00:00Z", "15"}});
  const absl::StatusOr<RatedSubject> rated =
      RateSubject(catalog, kSmallSubject, totals, std::optional(On("2025-03-31")));
  ASSERT_FALSE(rated.ok());
  EXPECT_EQ(rated.status().message(),
            "the units of a grant do not fit a quantity: grant g of subscription s1, unit_grants.csv:2: grant fewer "
            "units, or less often");
}

TEST(UnitGrants, LeaveTiersToWhatTheyDoNotPay) {
  const std::string tiers =
      "      - {name: calls, meter: calls, product: calls, model: graduated, tiers: [{up_to: 10, price: 1}, {price: "
      "2}]}\n";
  const Catalog catalog = With("g,s1,calls,50,2025-01-01,,,,,,,,,,\n", tiers);
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "65"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")), (SmallDue{{{"calls", "2025-01-05"}, 2000}}));  // 10 x 1 + 5 x 2
}

TEST(UnitGrants, PayConvertedUnits) {
  const std::string thousands =
      "      - {name: calls, meter: calls, product: calls, model: per_unit, convert: {divide: 1000, rounding: up},"
      " price: 5}\n";
  const Catalog catalog = With("g,s1,calls,2,2025-01-01,,,,,,,,,,\n", thousands);
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "1"}, {"calls", "2025-01-06T00:00:00Z", "2100"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")), (SmallDue{{{"calls", "2025-01-06"}, 500}}));  // 3 less 2
}

TEST(UnitGrants, KeepTheMinimumAndTheLastDayOfThePeriod) {
  const std::string minimum =
      "      - {name: calls, meter: calls, product: calls, model: per_unit, price: 1, minimum: 20}\n";
  const Catalog catalog = With("g,s1,calls,50,2025-01-01,,,,,,,,,,\n", minimum);
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "55"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")),
            (SmallDue{{{"calls", "2025-01-05"}, 500}, {{"calls", "2025-01-31"}, 1500}}));
}

TEST(UnitGrants, CountByTheHour) {
  const Catalog catalog = With("g,s1,calls,50,2025-01-05T06:00:00Z,2025-01-05T08:00:00Z,,,,,,,,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T05:59:59Z", "15"},
                                                                  {"calls", "2025-01-05T06:00:00Z", "7"},
                                                                  {"calls", "2025-01-05T08:00:00Z", "3"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")),
            (SmallDue{{{"calls", "2025-01-05"}, 800}}));  // 5 before, 3 behind
}

TEST(UnitGrants, PayEarlierUnitsOfTheSameBillingPeriodOnly) {
  const Catalog catalog = With("g,s1,calls,50,2025-02-10,,,,,,,,,true,\n");
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-20T00:00:00Z", "14"}, {"calls", "2025-02-03T00:00:00Z", "16"}});
  EXPECT_EQ(
      DueOf(catalog, totals, On("2025-02-28")),
      (SmallDue{{{"calls", "2025-01-20"}, 400}, {{"calls", "2025-02-03"}, 600}, {{"calls", "2025-02-10"}, -600}}));
  EXPECT_EQ(LeftOf(catalog, totals, "2025-02-28"), "g 44");
}

TEST(UnitGrants, GiveBackWhatWasNotUsedAfterAll) {
  const Catalog catalog = With("a,s1,calls,20,2025-01-01,,,0,,,,,,,\nb,s1,calls,20,2025-01-01,,,1,,,,,,,\n");
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "55"}, {"calls", "2025-01-06T00:00:00Z", "-17"}});
  // 45 to pay, 40 of them by the grants; 5 are credited, and b has 12 again.
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")),
            (SmallDue{{{"calls", "2025-01-05"}, 500}, {{"calls", "2025-01-06"}, -500}}));
  EXPECT_EQ(LeftOf(catalog, totals, "2025-01-31"), "a 0, b 12");
}

TEST(UnitGrants, AreResetWithinTheirBounds) {
  struct Case {
    const char* name;
    const char* row;
    const char* left;
  };
  for (const Case& c :
       {Case{"at most so many stay", "g,s1,calls,100,2025-01-01,,,,,,1 month,0,30,,", "g 30"},
        Case{"nothing stays", "g,s1,calls,100,2025-01-01,,,,,,1 month,,,,", "g 0"},
        Case{"fewer than at most", "g,s1,calls,100,2025-01-01,,,,,,1 month,0,95,,", "g 80"},
        Case{"at least so many are there", "g,s1,calls,100,2025-01-01,,,,,,1 month,90,95,,", "g 90"},
        Case{"at a time that is told", "g,s1,calls,100,2025-01-01,,,,,,2025-01-20,0,7,,", "g 7"},
        Case{"a refill on the same day", "g,s1,calls,100,2025-01-01,,,,1 month,,1 month,0,7,,", "g 107"},
        Case{"voided", "g,s1,calls,100,2025-01-01,,2025-01-10,,,,,,,,", "g 0"}}) {
    SCOPED_TRACE(c.name);
    const Catalog catalog = With(std::string(c.row) + "\n");
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "30"}});
    EXPECT_EQ(LeftOf(catalog, totals, "2025-02-01"), c.left);
  }
}

TEST(UnitGrants, SayWhatTheyPaidAndWhatIsLeft) {
  const Catalog catalog = With("g,s1,calls,50,2025-01-01,,,,,,,,,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-05T00:00:00Z", "30"}});
  QuoteRequest request;
  request.subject = kSmallSubject;
  request.usage = totals;
  const absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
  ASSERT_TRUE(quote.ok()) << quote.status();
  ASSERT_EQ(quote->charges.size(), 1u);
  ASSERT_EQ(quote->charges[0].steps.size(), 3u);  // and no unit to price
  EXPECT_EQ(quote->charges[0].steps[0].what, "included");
  EXPECT_EQ(quote->charges[0].steps[1].what, "paid by grant g, 30 left");
  EXPECT_EQ(ToString(quote->charges[0].steps[1].quantity), "20");
  ASSERT_EQ(quote->unit_balances.size(), 1u);
  EXPECT_EQ(ToString(quote->unit_balances[0].left), "30");
}

// What is billed, day by day, by a plain walk through the hours: every unit alone. Without priorities that are equal,
// and of grants that neither are refilled nor reset.
SmallDue ReckonedUnitByUnit(const Catalog& catalog, const std::vector<std::pair<Instant, int64_t>>& uses) {
  struct Left {
    const UnitGrant* grant;
    int64_t units;
  };
  std::vector<Left> grants;
  for (const UnitGrant& grant : catalog.unit_grants)
    grants.push_back({&grant, static_cast<int64_t>(grant.units.attos / kOneUnit)});
  std::ranges::sort(grants, {}, [](const Left& one) { return one.grant->priority; });
  SmallDue due;
  std::string month;
  int64_t included = 0;
  const Instant end = At("2025-04-01T00:00:00Z");
  for (Instant at = At("2025-01-01T00:00:00Z"); at < end; at.nanos += 3'600'000'000'000) {
    const std::string day = ToString(Zone().DayOf(at));
    if (day.substr(0, 7) != month) {
      month = day.substr(0, 7);
      included = 10;
    }
    for (const auto& [when, units] : uses) {
      if (when != at) continue;
      for (int64_t unit = 0; unit < units; ++unit) {
        if (included > 0) {
          --included;
          continue;
        }
        const auto pays = std::ranges::find_if(grants, [&](const Left& one) {
          return one.units > 0 && one.grant->starts_at <= at && (!one.grant->ends_at || at < *one.grant->ends_at);
        });
        if (pays != grants.end()) {
          --pays->units;
        } else {
          due[{"calls", day}] += 100;
        }
      }
    }
  }
  return due;
}

TEST(UnitGrants, PayWhatAWalkUnitByUnitSaysWhateverTheCut) {
  std::mt19937_64 random(TestSeed());
  const auto draw = [&](uint64_t below) { return static_cast<int64_t>(random() % below); };
  const Instant first = At("2025-01-01T00:00:00Z");
  const auto hour = [&](int64_t number) { return Instant{first.nanos + number * 3'600'000'000'000}; };
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string rows;
    std::vector<int> priorities = {0, 1, 2, 3};
    std::ranges::shuffle(priorities, random);
    const int64_t count = 1 + draw(4);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t from = draw(60 * 24);
      rows += "g" + std::to_string(i) + ",s1,calls," + std::to_string(draw(60)) + "," + ToString(hour(from)) + "," +
              (draw(2) == 0 ? "" : ToString(hour(from + 1 + draw(40 * 24)))) + ",," +
              std::to_string(priorities[static_cast<size_t>(i)]) + ",,,,,,,\n";
    }
    const Catalog catalog = With(rows);
    std::vector<std::pair<Instant, int64_t>> uses;
    std::vector<SubjectTotal> totals;
    for (int64_t number = draw(200); number < 89 * 24; number += 1 + draw(200)) {
      uses.emplace_back(hour(number), 1 + draw(30));
      totals.push_back({catalog.FindMeter("calls"),
                        {},
                        BucketOf(Granularity::kHour, uses.back().first, catalog.book.zone),
                        {Quantity::Units(uses.back().second), 1, {}}});
    }
    const SmallDue whole = DueOf(catalog, totals, On("2025-03-31"));
    ASSERT_EQ(whole, ReckonedUnitByUnit(catalog, uses)) << rows;
    ExpectTheSameUpTo({On("2025-01-01").number + static_cast<int32_t>(draw(89))}, catalog, totals, whole);
    ASSERT_FALSE(::testing::Test::HasFailure()) << rows;
  }
}

// Refills, resets and what is given back: a seal of each day sums to the one of all.
TEST(UnitGrants, AnyCutIntoSealsSumsToTheSame) {
  std::mt19937_64 random(TestSeed());
  const auto draw = [&](uint64_t below) { return static_cast<int64_t>(random() % below); };
  const char* const cycles[] = {"", "1 week", "10 days", "1 month"};
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string rows;
    for (int64_t i = 0, count = 1 + draw(3); i < count; ++i) {
      const Day from{On("2025-01-01").number + static_cast<int32_t>(draw(40))};
      const std::string reset = cycles[draw(4)];
      rows += "g" + std::to_string(i) + ",s1,calls," + std::to_string(draw(60)) + "," + ToString(from) + "," +
              (draw(2) == 0 ? "" : ToString(Day{from.number + 1 + static_cast<int32_t>(draw(60))})) + ",," +
              std::to_string(draw(2)) + "," + cycles[draw(4)] + ",," + reset + "," +
              (reset.empty() ? "," : std::to_string(draw(20)) + "," + std::to_string(20 + draw(20))) + "," +
              (draw(2) == 0 ? "true" : "") + "," + (reset.empty() || draw(2) == 0 ? "" : "true") + "\n";
    }
    const Catalog catalog = With(rows);
    std::vector<SubjectTotal> totals;
    for (int64_t number = draw(100); number < 89 * 24; number += 1 + draw(150)) {
      const Instant at{At("2025-01-01T00:00:00Z").nanos + number * 3'600'000'000'000};
      const int64_t units = draw(6) == 0 ? -draw(20) : draw(40);
      totals.push_back({catalog.FindMeter("calls"),
                        {},
                        BucketOf(Granularity::kHour, at, catalog.book.zone),
                        {Quantity::Units(units), 1, {}}});
    }
    const SmallDue whole = DueOf(catalog, totals, On("2025-03-31"));
    ExpectTheSameUpTo({On("2025-01-01").number + static_cast<int32_t>(draw(89))}, catalog, totals, whole);
    ASSERT_FALSE(::testing::Test::HasFailure()) << rows;
  }
}

}  // namespace
}  // namespace tollbook
