// What grants pay goes day by day by what all lines of the subscription come to, and any cut into seals sums to the
// same.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "rating/rate.h"
#include "tests/rating/in_words.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr std::string_view kSubject = "s1";

Catalog CatalogWith(std::vector<Grant> grants) {
  Catalog catalog;
  catalog.entities = {{"acme", std::nullopt, In("USD")}};
  Meter meter;
  meter.name = meter.event_type = "calls";
  catalog.meters = {meter};
  Charge charge;
  charge.name = "calls";
  charge.meter = "calls";
  charge.product = "api";
  charge.pricing.unit_price = Each("1");
  Plan plan;
  plan.name = "starter";
  plan.currency = In("USD");
  plan.charges = {charge};
  catalog.plans = {plan};
  Subscription subscription;
  subscription.subject = subscription.id = kSubject;
  subscription.valid_from = On("2025-01-01");
  catalog.subscriptions = {subscription};
  catalog.grants = std::move(grants);
  catalog.BuildIndex();
  return catalog;
}

Grant GrantOf(std::string id, int64_t cents, std::string_view from, std::string_view to = "") {
  Grant grant;
  grant.id = std::move(id);
  grant.subscription = kSubject;
  grant.amount = {In("USD"), cents};
  grant.rollover = grant.rollover_min = {In("USD"), 0};
  grant.starts_on = On(from);
  if (!to.empty()) grant.ends_on = On(to);
  grant.credit.name = "credit " + grant.id;
  grant.credit.product = "credits";
  grant.credit.is_of_grant = true;
  grant.breakage = grant.credit;
  grant.breakage->name = "breakage " + grant.id;
  return grant;
}

std::vector<SubjectTotal> Usage(const Catalog& catalog, const std::map<Day, int64_t>& units) {
  std::vector<SubjectTotal> totals;
  for (const auto& [day, quantity] : units) {
    totals.push_back({catalog.meters.data(), {}, {day.number}, {Quantity::Units(quantity), 1, {}}});
  }
  return totals;
}

// Cents, by line and day: each day its running amount less that of the day before.
using Due = std::map<std::pair<std::string, Day>, int64_t>;

Due DueOf(const Catalog& catalog, const std::map<Day, int64_t>& units, std::optional<Day> through) {
  Due due;
  const std::vector<SubjectTotal> totals = Usage(catalog, units);
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSubject, totals, through);
  EXPECT_TRUE(rated.ok()) << rated.status();
  for (const RatedCharge& line : rated->charges) {
    Int128 before = 0;
    for (const DayWorth& day : line.days) {
      due[{line.charge->name, day.usage_date}] += static_cast<int64_t>(day.booked_to_date.minor - before);
      before = day.booked_to_date.minor;
    }
    EXPECT_EQ(FirstMisroundedDay(line, catalog.book.rounding), nullptr);
  }
  return due;
}

TEST(RateGrants, PayWhatIsDueAsLongAsTheyLast) {
  const Catalog catalog = CatalogWith({GrantOf("g", 1000, "2025-01-01", "2025-02-01")});
  const Due due =
      DueOf(catalog, {{On("2025-01-10"), 4}, {On("2025-01-20"), 7}, {On("2025-02-03"), 5}}, On("2025-02-28"));
  EXPECT_EQ(due, (Due{{{"calls", On("2025-01-10")}, 400},
                      {{"calls", On("2025-01-20")}, 700},
                      {{"calls", On("2025-02-03")}, 500},
                      {{"credit g", On("2025-01-10")}, -400},
                      {{"credit g", On("2025-01-20")}, -600}}));
}

TEST(RateGrants, LoseWhatIsLeftOnTheDayOfTheirEnd) {
  const Catalog catalog = CatalogWith({GrantOf("g", 1000, "2025-01-01", "2025-02-01")});
  const std::map<Day, int64_t> units = {{On("2025-01-10"), 4}};
  Due due = {{{"calls", On("2025-01-10")}, 400}, {{"credit g", On("2025-01-10")}, -400}};
  EXPECT_EQ(DueOf(catalog, units, On("2025-01-31")), due);
  due[{"breakage g", On("2025-02-01")}] = 600;
  EXPECT_EQ(DueOf(catalog, units, On("2025-02-01")), due);
}

TEST(RateGrants, LoseAllWithoutAnyUsage) {
  const Catalog catalog = CatalogWith({GrantOf("g", 1000, "2025-01-01", "2025-02-01")});
  EXPECT_EQ(DueOf(catalog, {}, On("2025-03-31")), (Due{{{"breakage g", On("2025-02-01")}, 1000}}));
  EXPECT_EQ(DueOf(catalog, {}, std::nullopt), Due());
}

TEST(RateGrants, SayWhatIsLeft) {
  const Catalog catalog = CatalogWith({GrantOf("g", 1000, "2025-01-01")});
  const std::vector<SubjectTotal> totals = Usage(catalog, {{On("2025-01-10"), 4}});
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSubject, totals, RateWindow(On("2025-01-31")));
  ASSERT_TRUE(rated.ok()) << rated.status();
  ASSERT_EQ(rated->charges.size(), 2u);
  const RatedCharge& credit = rated->charges.back();
  EXPECT_EQ(credit.meter, nullptr);
  EXPECT_EQ(ToString(credit.days.back().to_date), "6");
  std::vector<PriceStep> steps;
  ASSERT_TRUE(PriceToDate(credit, credit.days.back(), &steps).ok());
  ASSERT_EQ(steps.size(), 1u);
  EXPECT_EQ(steps[0].what, "paid by the grant, 6 left");
  EXPECT_EQ(ToString(steps[0].worth), "-4");
}

TEST(RateGrants, OfTwoSubscriptionsOfASubjectPayTheirOwn) {
  Catalog catalog = CatalogWith({GrantOf("g1", 1000, "2025-01-01"), GrantOf("g2", 1000, "2025-01-01")});
  catalog.grants[1].subscription = "s2";
  catalog.subscriptions[0].valid_to = On("2025-02-01");
  catalog.subscriptions.push_back(catalog.subscriptions[0]);
  catalog.subscriptions[1].id = "s2";
  catalog.subscriptions[1].valid_from = On("2025-02-01");
  catalog.subscriptions[1].valid_to.reset();
  CountLater(catalog.subscriptions);
  catalog.BuildIndex();
  std::map<Day, int64_t> units;
  for (int32_t day = 0; day < 40; ++day) units[{On("2025-01-10").number + day}] = 1;
  int64_t paid[2] = {};
  for (const auto& [place, cents] : DueOf(catalog, units, On("2025-02-28"))) {
    if (place.first == "credit g1") paid[0] += cents;
    if (place.first == "credit g2") paid[1] += cents;
  }
  EXPECT_EQ(paid[0], -1000);
  EXPECT_EQ(paid[1], -1000);
}

std::vector<Grant> RandomGrants(std::mt19937_64& random) {
  const auto draw = [&](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
  std::vector<Grant> grants;
  const int64_t count = 1 + draw(4);
  for (int64_t i = 0; i < count; ++i) {
    Grant& grant = grants.emplace_back(GrantOf("g" + std::to_string(i), 100 * draw(60), "2025-01-01"));
    grant.starts_on.number += static_cast<int32_t>(draw(60));
    if (draw(2) == 0) grant.ends_on = Day{grant.starts_on.number + 1 + static_cast<int32_t>(draw(60))};
    grant.priority = static_cast<int32_t>(draw(3));
    grant.pays_earlier = draw(2) == 0;
    if (draw(2) == 0) {
      grant.refill = ParseBillingCycle(draw(2) == 0 ? "10 days" : "1 month");
      grant.refill->anchor = grant.starts_on;
      if (draw(3) == 0) grant.rollover_min.minor = 100 * draw(30);
      grant.rollover.minor = grant.rollover_min.minor + 100 * draw(30);
    }
  }
  return grants;
}

TEST(RateGrants, AnyCutIntoSealsSumsToTheSameAndNoneIsOverdrawn) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 1000; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const Catalog catalog = CatalogWith(RandomGrants(random));
    std::map<Day, int64_t> units;
    for (int i = 0; i < 12; ++i) {
      units[{On("2025-01-01").number + static_cast<int32_t>(random() % 90)}] = static_cast<int64_t>(random() % 20);
    }
    const Day end = On("2025-04-30");
    const Due whole = DueOf(catalog, units, end);
    std::map<Day, int64_t> running;  // all lines but breakage: what is left to pay
    for (const auto& [place, cents] : whole) {
      if (!place.first.starts_with("breakage")) running[place.second] += cents;
    }
    int64_t left = 0;
    for (const auto& [day, cents] : running) ASSERT_GE(left += cents, 0) << ToString(day);

    const Day cut{On("2025-01-01").number + static_cast<int32_t>(random() % 119)};
    Due up_to = whole;
    std::erase_if(up_to, [&](const auto& due) { return due.first.second > cut; });
    ASSERT_EQ(DueOf(catalog, units, cut), up_to) << ToString(cut);
  }
}

}  // namespace
}  // namespace tollbook
