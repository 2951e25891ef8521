// Fees in full, where a subscription changes plans in mid-period: each plan's own, or one for the period.
#include "rating/fee_amended.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "rating/rate.h"
#include "tests/rating/in_words.h"
#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

constexpr char kColumns[] = "subscription,account,plan,entity,currency,valid_from,valid_to,quantity\n";

// Three plans whose platform fee is 50, 100 and 80 a month; what else each says of it.
std::string PlansOf(const std::vector<std::string>& more) {
  constexpr const char* kNames[] = {"a", "b", "c"};
  constexpr const char* kPrices[] = {"50", "100", "80"};
  std::string text = "plans:\n";
  for (size_t i = 0; i < std::size(kNames); ++i) {
    text +=
        std::string("  - name: ") + kNames[i] +
        "\n    currency: USD\n    charges:\n      - {name: platform, product: p, model: fee, proration: none, price: " +
        kPrices[i] + more[i < more.size() ? i : more.size() - 1] + "}\n";
  }
  return text;
}

// "a from 2025-01-01 to 2025-01-16, b x3 from 2025-01-16"
std::string SubscriptionsOf(const std::string& text) {
  std::string csv = kColumns;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    std::istringstream words(item);
    std::string plan, word, quantity, from, to;
    words >> plan >> word;
    if (word.starts_with("x")) quantity = word.substr(1), words >> word;
    words >> from >> word >> to;
    csv += "s1,buyer," + plan + ",acme,USD," + from + "," + to + "," + quantity + "\n";
  }
  return csv;
}

// By the day: "a 2025-01-01: 50, b 2025-01-16: 50".
std::string DueOfPlans(const std::vector<std::string>& more, const std::string& versions, const char* through) {
  const Catalog catalog =
      SmallCatalog("", {{"plans.yaml", PlansOf(more)}, {"subscriptions.csv", SubscriptionsOf(versions)}});
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSmallSubject, {}, std::optional(On(through)));
  EXPECT_TRUE(rated.ok()) << rated.status();
  if (!rated.ok()) return "";
  std::vector<std::string> dues;
  for (const RatedCharge& line : rated->charges) {
    EXPECT_EQ(FirstMisroundedDay(line, catalog.book.rounding), nullptr);
    EXPECT_EQ(line.days.size(), 1u);
    std::vector<PriceStep> steps;
    const absl::StatusOr<Worth> worth = PriceToDate(line, line.days.front(), &steps);
    EXPECT_TRUE(worth.ok());
    Worth sum;
    for (const PriceStep& step : steps) EXPECT_TRUE(Wide::Add(sum.amount, step.worth.amount, &sum.amount));
    EXPECT_EQ(sum, *worth);
    dues.push_back(ToString(line.days.front().usage_date) + " " + catalog.plans[line.subscription->plan].name + ": " +
                   ToString(*worth));
  }
  std::ranges::sort(dues);
  std::string text;
  for (const std::string& due : dues) text += (text.empty() ? "" : ", ") + due;
  return text;
}

struct Case {
  const char* what;
  std::vector<std::string> more;  // of a, b and c; the last goes for the rest
  const char* versions;
  const char* through;
  const char* due;
};

const std::string kContinue = ", on_amendment: continue", kRestart = ", on_amendment: restart";
const std::string kInArrears = ", due: arrears";
const Case kCases[] = {
    {"without the key each plan has its own",
     {""},
     "a from 2025-01-01 to 2025-01-16, b from 2025-01-16",
     "2025-01-31",
     "2025-01-01 a: 50, 2025-01-16 b: 100"},
    {"starting again",
     {kRestart},
     "a from 2025-01-01 to 2025-01-16, b from 2025-01-16",
     "2025-01-31",
     "2025-01-01 a: 50, 2025-01-16 b: 100"},
    {"a dearer plan is due what it costs more",
     {kContinue},
     "a from 2025-01-01 to 2025-01-16, b from 2025-01-16",
     "2025-02-28",
     "2025-01-01 a: 50, 2025-01-16 b: 50, 2025-02-01 b: 100"},
    {"a cheaper one is due nothing more, and nothing is credited",
     {kContinue},
     "b from 2025-01-01 to 2025-01-16, a from 2025-01-16",
     "2025-02-28",
     "2025-01-01 b: 100, 2025-01-16 a: 0, 2025-02-01 a: 50"},
    {"the dearest of three is what the month comes to",
     {kContinue},
     "a from 2025-01-01 to 2025-01-10, c from 2025-01-10 to 2025-01-20, b from 2025-01-20",
     "2025-01-31",
     "2025-01-01 a: 50, 2025-01-10 c: 30, 2025-01-20 b: 20"},
    {"a cheaper one between them does not matter",
     {kContinue},
     "c from 2025-01-01 to 2025-01-10, a from 2025-01-10 to 2025-01-20, b from 2025-01-20",
     "2025-01-31",
     "2025-01-01 c: 80, 2025-01-10 a: 0, 2025-01-20 b: 20"},
    {"coming back is not due again",
     {kContinue},
     "a from 2025-01-01 to 2025-01-10, b from 2025-01-10 to 2025-01-20, a from 2025-01-20",
     "2025-01-31",
     "2025-01-01 a: 50, 2025-01-10 b: 50"},
    {"over a gap it goes on",
     {kContinue},
     "a from 2025-01-01 to 2025-01-05, b from 2025-01-25",
     "2025-01-31",
     "2025-01-01 a: 50, 2025-01-25 b: 50"},
    {"what was due of a plan in another month does not count",
     {kContinue},
     "a from 2025-01-01 to 2025-02-01, b from 2025-02-01",
     "2025-02-28",
     "2025-01-01 a: 50, 2025-02-01 b: 100"},
    {"by the quantity that each plan began with",
     {kContinue},
     "a x3 from 2025-01-01 to 2025-01-10, a x9 from 2025-01-10 to 2025-01-16, b x2 from 2025-01-16",
     "2025-01-31",
     "2025-01-01 a: 150, 2025-01-16 b: 50"},
    {"one that starts again is due in full, and the next counts from it",
     {kContinue, kContinue, kRestart},
     "b from 2025-01-01 to 2025-01-10, c from 2025-01-10 to 2025-01-20, a from 2025-01-20",
     "2025-01-31",
     "2025-01-01 b: 100, 2025-01-10 c: 80, 2025-01-20 a: 0"},
    {"in arrears each plan's last day",
     {kContinue + kInArrears},
     "a from 2025-01-01 to 2025-01-16, b from 2025-01-16",
     "2025-01-31",
     "2025-01-15 a: 50, 2025-01-31 b: 50"},
    {"in arrears, and back: earlier is what is due earlier",
     {kContinue + kInArrears},
     "b from 2025-01-01 to 2025-01-10, a from 2025-01-10 to 2025-01-20, b from 2025-01-20",
     "2025-01-31",
     "2025-01-19 a: 50, 2025-01-31 b: 50"},
    {"what comes later does not change what was due",
     {kContinue},
     "a from 2025-01-01 to 2025-01-16, b from 2025-01-16",
     "2025-01-15",
     "2025-01-01 a: 50"},
};

TEST(FeesInFull, GoOnOverAChangeOfPlanOrStartAgain) {
  for (const Case& c : kCases) EXPECT_EQ(DueOfPlans(c.more, c.versions, c.through), c.due) << c.what;
}

TEST(FeesInFull, SayWhatWasDueBefore) {
  const Catalog catalog = SmallCatalog(
      "", {{"plans.yaml", PlansOf({kContinue})},
           {"subscriptions.csv", SubscriptionsOf("a from 2025-01-01 to 2025-01-16, b x2 from 2025-01-16")}});
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSmallSubject, {}, std::optional(On("2025-01-31")));
  ASSERT_TRUE(rated.ok()) << rated.status();
  ASSERT_EQ(rated->charges.size(), 2u);
  const RatedCharge& of_b = rated->charges.back();
  std::vector<PriceStep> steps;
  ASSERT_TRUE(PriceToDate(of_b, of_b.days.front(), &steps).ok());
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].what + " " + ToString(steps[0].worth), "the whole period of 2 200");
  EXPECT_EQ(steps[1].what + " " + ToString(steps[1].worth), "due before, of earlier plans -50");
  EXPECT_EQ(ToString(of_b.days.front().to_date), "2");
}

// A trial of the later plan leaves it no day in the month.
TEST(FeesInFull, DoNotCountWhatATrialKeepsFromBeingDue) {
  std::string plans = PlansOf({kContinue});
  plans.replace(plans.find("    currency"), 0, "    trial_days: 10\n");
  const Catalog catalog =
      SmallCatalog("", {{"plans.yaml", plans},
                        {"subscriptions.csv", SubscriptionsOf("a from 2025-01-01 to 2025-01-09, b from 2025-01-09")}});
  const SmallDue expected = {{{"platform", "2025-01-09"}, 10'000}};
  EXPECT_EQ(DueOf(catalog, {}, On("2025-01-31")), expected);
}

}  // namespace
}  // namespace tollbook
