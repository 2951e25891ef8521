// SmallCatalog: a catalog as its files have it, of one plan that sells calls by the unit and mails, with a monthly fee.
#ifndef TOLLBOOK_TESTS_RATING_SMALL_CATALOG_H_
#define TOLLBOOK_TESTS_RATING_SMALL_CATALOG_H_

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rating/catalog_text.h"
#include "rating/rate.h"
#include "tests/rating/in_words.h"

namespace tollbook {

inline constexpr std::string_view kSmallSubject = "s1";

// `more`: other files, or other texts of these.
inline Catalog SmallCatalog(const std::string& charges, const std::map<std::string, std::string>& more) {
  std::map<std::string, std::string> files = {
      {"book.yaml", "name: test\nzone: UTC\n"},
      {"entities.yaml", "entities:\n  - {name: acme, functional_currency: USD}\n"},
      {"chart.yaml", "accounts:\n  - {code: \"1\", name: a, type: asset}\n  - {code: \"2\", name: b, type: revenue}\n"},
      {"meters.yaml",
       "meters:\n  - {name: calls, aggregation: sum, value: n, allow_negative: true, granularity: hour}\n"
       "  - {name: mails, aggregation: sum, value: n}\n"},
      {"plans.yaml", "plans:\n  - name: p\n    currency: USD\n    charges:\n" + charges},
      {"posting.yaml", "posting:\n  - {debit: \"1\", credit: \"2\"}\n"},
      {"subscriptions.csv",
       "subscription,account,plan,entity,currency,valid_from,valid_to\ns1,buyer,p,acme,USD,2025-01-01,\n"}};
  for (const auto& [name, text] : more) files[name] = text;
  ParsedCatalog parsed = ParseCatalog(files);
  for (const CatalogError& error : parsed.errors) ADD_FAILURE() << ToString(error);
  TOLLBOOK_ASSERT(parsed.catalog.has_value());
  return *std::move(parsed.catalog);
}

// Usage in words.
struct SmallUse {
  std::string_view meter;
  std::string_view at;  // an instant
  std::string_view units;
};

inline std::vector<SubjectTotal> TotalsOfUses(const Catalog& catalog, const std::vector<SmallUse>& uses) {
  std::map<std::pair<const Meter*, Bucket>, UsageTotal> merged;
  for (const SmallUse& use : uses) {
    const Meter* meter = catalog.FindMeter(use.meter);
    const Bucket bucket = BucketOf(meter->granularity, At(use.at), catalog.book.zone);
    EXPECT_TRUE(Merge(meter->aggregation, {Units(use.units), 1, {}}, &merged[{meter, bucket}]));
  }
  std::vector<SubjectTotal> totals;
  for (const auto& [place, total] : merged) totals.push_back({place.first, {}, place.second, total});
  return totals;
}

// "calls" and "2025-01-10": what becomes due of a line on a day, in minor units; zeros are left out.
using SmallDue = std::map<std::pair<std::string, std::string>, int64_t>;

inline SmallDue DueOf(const Catalog& catalog, std::span<const SubjectTotal> totals, std::optional<Day> through) {
  SmallDue due;
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSmallSubject, totals, through);
  EXPECT_TRUE(rated.ok()) << rated.status();
  if (!rated.ok()) return due;
  for (const RatedCharge& line : rated->charges) {
    Int128 before = 0;
    for (const DayWorth& day : line.days) {
      due[{line.charge->name, ToString(day.usage_date)}] += static_cast<int64_t>(day.booked_to_date.minor - before);
      before = day.booked_to_date.minor;
    }
    EXPECT_EQ(FirstMisroundedDay(line, catalog.book.rounding), nullptr) << line.charge->name;
  }
  std::erase_if(due, [](const auto& one) { return one.second == 0; });
  return due;
}

// A seal through the day says of each day what the one of all says of it.
inline void ExpectTheSameUpTo(Day cut, const Catalog& catalog, std::span<const SubjectTotal> totals, SmallDue whole) {
  std::erase_if(whole, [&](const auto& one) { return On(one.first.second) > cut; });
  EXPECT_EQ(DueOf(catalog, totals, cut), whole) << ToString(cut);
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_RATING_SMALL_CATALOG_H_
