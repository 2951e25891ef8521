// A plan's minimum and maximum go by what came due in each of its billing periods, less what is credited of it later.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "rating/due_parts.h"
#include "tests/rating/seed.h"
#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

constexpr char kFalls[] =
    "      - {name: calls, meter: calls, product: p, model: volume, billing_period: 1 quarter, "
    "tiers: [{up_to: 150, price: 1}, {price: 0.15}]}\n"
    "      - {name: mails, meter: mails, product: p, model: per_unit, price: 1}\n";

SmallDue WholeDue(const Catalog& catalog, const std::vector<SmallUse>& uses, Day through) {
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, uses);
  const SmallDue due = DueOf(catalog, totals, through);
  for (Day cut = On("2025-01-09"); cut < through; cut.number += 5) ExpectTheSameUpTo(cut, catalog, totals, due);
  return due;
}

// 1200.00 for the year, of which a month's maximum leaves 100.00. Half a year later 604.93 of the fee are credited: all
// of it was never asked for.
TEST(RateBounds, AMaximumTakesOffLessWhereAFeeIsGivenBack) {
  struct Case {
    const char* until;
    SmallDue due;
  };
  const auto of = [](const char* line, const char* day) { return std::pair<std::string, std::string>{line, day}; };
  const Case cases[] = {
      {"2025-07-01",
       {{of("f", "2025-01-01"), 120000},
        {of("maximum", "2025-01-01"), -110000},
        {of("f", "2025-07-01"), -60493},
        {of("maximum", "2025-07-01"), 60493}}},
      {"2025-01-16",  // 49.32 of the fee are left
       {{of("f", "2025-01-01"), 120000},
        {of("maximum", "2025-01-01"), -110000},
        {of("f", "2025-01-16"), -115068},
        {of("maximum", "2025-01-16"), 110000}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.until);
    const Catalog catalog = SmallCatalog(
        "      - {name: f, product: p, model: fee, price: 1200, billing_period: 1 year}\n"
        "    maximum: {amount: 100, product: p}\n",
        {{"subscriptions.csv",
          std::string(
              "subscription,account,plan,entity,currency,valid_from,valid_to\ns1,buyer,p,acme,USD,2025-01-01,") +
              c.until + "\n"}});
    EXPECT_EQ(WholeDue(catalog, {}, On("2025-12-31")), c.due);
  }
}

// The quarter's calls cost 150.00, and 30.00 once there are 200.
TEST(RateBounds, GoByWhatIsLeftOfAPeriod) {
  struct Case {
    const char* bounds;
    std::vector<SmallUse> uses;
    SmallDue due;  // of "minimum" and "maximum"
  };
  const auto of = [](const char* line, const char* day) { return std::pair<std::string, std::string>{line, day}; };
  const std::vector<SmallUse> falls = {{"calls", "2025-01-10T00:00:00Z", "150"},
                                       {"calls", "2025-02-10T00:00:00Z", "50"}};
  std::vector<SmallUse> falls_behind = falls;
  falls_behind.push_back({"mails", "2025-02-05T00:00:00Z", "60"});
  std::vector<SmallUse> grows_again = falls;
  grows_again.push_back({"calls", "2025-03-10T00:00:00Z", "800"});
  const Case cases[] = {
      {"maximum: {amount: 100, product: p}",
       falls,
       {{of("maximum", "2025-01-10"), -5000}, {of("maximum", "2025-02-10"), 5000}}},
      {"maximum: {amount: 20, product: p}",
       falls,
       {{of("maximum", "2025-01-10"), -13000}, {of("maximum", "2025-02-10"), 12000}}},
      // The mails stay February's, whose maximum they are below.
      {"maximum: {amount: 100, product: p}",
       falls_behind,
       {{of("maximum", "2025-01-10"), -5000}, {of("maximum", "2025-02-10"), 5000}}},
      // What comes due again is March's: 120.00.
      {"maximum: {amount: 100, product: p}",
       grows_again,
       {{of("maximum", "2025-01-10"), -5000},
        {of("maximum", "2025-02-10"), 5000},
        {of("maximum", "2025-03-10"), -2000}}},
      // January is worth 30.00 then, and each month at least 80.00.
      {"minimum: {amount: 80, product: p}",
       falls,
       {{of("minimum", "2025-02-10"), 5000}, {of("minimum", "2025-02-28"), 8000}, {of("minimum", "2025-03-31"), 8000}}},
      {"minimum: {amount: 80, product: p}\n    maximum: {amount: 100, product: p}",
       falls_behind,
       {{of("maximum", "2025-01-10"), -5000},
        {of("maximum", "2025-02-10"), 5000},
        {of("minimum", "2025-02-10"), 5000},
        {of("minimum", "2025-02-28"), 2000},
        {of("minimum", "2025-03-31"), 8000}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(std::string(c.bounds) + ", " + std::to_string(c.uses.size()));
    const Catalog catalog = SmallCatalog(kFalls + std::string("    ") + c.bounds + "\n", {});
    SmallDue due = WholeDue(catalog, c.uses, On("2025-03-31"));
    std::erase_if(due, [](const auto& one) { return !one.first.first.starts_with("m") || one.first.first == "mails"; });
    EXPECT_EQ(due, c.due);
  }
}

// 16 of January's 31 days: at most 16.00 of the 25.00, and at least 20.00, since the minimum is due in full.
TEST(RateBounds, AMinimumStandsAboveAMaximumOfAShortStay) {
  const Catalog catalog = SmallCatalog(
      "      - {name: mails, meter: mails, product: p, model: per_unit, price: 1}\n"
      "    maximum: {amount: 31, product: p, proration: day}\n"
      "    minimum: {amount: 20, product: p, proration: none}\n",
      {{"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
        "s1,buyer,p,acme,USD,2025-01-01,2025-01-17\n"}});
  const auto of = [](const char* line, const char* day) { return std::pair<std::string, std::string>{line, day}; };
  const SmallDue expected = {
      {of("mails", "2025-01-10"), 2500}, {of("maximum", "2025-01-10"), -900}, {of("minimum", "2025-01-31"), 400}};
  EXPECT_EQ(WholeDue(catalog, {{"mails", "2025-01-10T00:00:00Z", "25"}}, On("2025-01-31")), expected);
}

// The plan starts again on the 16th: what is credited then is of the days before, whose maximum it was above.
TEST(RateBounds, CreditTheVersionThatItCameDueIn) {
  const Catalog catalog =
      SmallCatalog(std::string(kFalls) + "    maximum: {amount: 100, product: p, on_amendment: restart}\n",
                   {{"subscriptions.csv",
                     "subscription,account,plan,entity,currency,valid_from,valid_to\n"
                     "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,\n"}});
  EXPECT_EQ(WholeDue(catalog, {{"calls", "2025-01-10T00:00:00Z", "150"}, {"calls", "2025-01-20T00:00:00Z", "50"}},
                     On("2025-01-31")),
            (SmallDue{{{"calls", "2025-01-10"}, 15000},
                      {{"maximum", "2025-01-10"}, -5000},
                      {{"calls", "2025-01-20"}, -12000},
                      {{"maximum", "2025-01-20"}, 5000}}));
}

// A renewal that starts again, cancelled on the 21st: of the fee 774.19 are left, all of the days before the 16th,
// which come to 100.00 beside their maximum; the five days behind it to nothing, and their minimum is 5.00.
TEST(RateBounds, AMinimumCountsWhatAMaximumGivesBack) {
  const Catalog catalog = SmallCatalog(
      "      - {name: f, product: p, model: fee, price: 1200}\n"
      "    maximum: {amount: 100, product: p, on_amendment: restart}\n"
      "    minimum: {amount: 31, product: p, on_amendment: restart}\n",
      {{"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
        "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,2025-01-21\n"}});
  EXPECT_EQ(WholeDue(catalog, {}, On("2025-01-31")), (SmallDue{{{"f", "2025-01-01"}, 120000},
                                                               {{"maximum", "2025-01-01"}, -110000},
                                                               {{"f", "2025-01-21"}, -42581},
                                                               {{"maximum", "2025-01-21"}, 42581},
                                                               {{"minimum", "2025-01-31"}, 500}}));
}

// 500.00 before a renewal and 500.00 behind it, of which a maximum for the month leaves 100.00: nothing is missing.
TEST(RateBounds, AMinimumMissesNothingOfWhatAMaximumTookOff) {
  struct Case {
    const char *minimum, *maximum;
    SmallDue due;  // of "minimum" and "maximum"
  };
  const Case cases[] = {
      {"{amount: 31, product: p}",
       "{amount: 100, product: p}",
       {{{"maximum", "2025-01-10"}, -40000}, {{"maximum", "2025-01-20"}, -50000}}},
      {"{amount: 90, product: p, on_amendment: continue}",
       "{amount: 100, product: p, on_amendment: continue}",
       {{{"maximum", "2025-01-10"}, -40000}, {{"maximum", "2025-01-20"}, -50000}}},
      {"{amount: 90, product: p, proration: none, on_amendment: restart}",
       "{amount: 100, product: p, on_amendment: restart}",
       {{{"maximum", "2025-01-10"}, -40000}, {{"maximum", "2025-01-20"}, -40000}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.minimum);
    const Catalog catalog = SmallCatalog(
        std::string("      - {name: mails, meter: mails, product: p, model: per_unit, price: 1}\n    minimum: ") +
            c.minimum + "\n    maximum: " + c.maximum + "\n",
        {{"subscriptions.csv",
          "subscription,account,plan,entity,currency,valid_from,valid_to\n"
          "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,\n"}});
    SmallDue due =
        WholeDue(catalog, {{"mails", "2025-01-10T00:00:00Z", "500"}, {"mails", "2025-01-20T00:00:00Z", "500"}},
                 On("2025-01-31"));
    std::erase_if(due, [](const auto& one) { return one.first.first == "mails"; });
    EXPECT_EQ(due, c.due);
  }
}

// Both versions are above their maximum, and what is credited is of the first: 100.00 are left of it, and of the
// second.
TEST(RateBounds, AMinimumCountsWhatAMaximumGivesBackToTheVersionThatItIsOf) {
  const Catalog catalog = SmallCatalog(
      "      - {name: f, meter: mails, product: p, model: per_unit, price: 1}\n"
      "      - {name: calls, meter: calls, product: p, model: volume, tiers: [{up_to: 1000, price: 1}, {price: "
      "0.20}]}\n"
      "    maximum: {amount: 100, product: p, on_amendment: restart}\n"
      "    minimum: {amount: 90, product: p, proration: none, on_amendment: restart}\n",
      {{"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
        "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,\n"}});
  // 1000.00 before the 16th, and 300.00 of mails behind it; then 1.00 more of calls, and 799.80 of them are credited.
  EXPECT_EQ(WholeDue(catalog,
                     {{"calls", "2025-01-10T00:00:00Z", "1000"},
                      {"mails", "2025-01-18T00:00:00Z", "300"},
                      {"calls", "2025-01-20T00:00:00Z", "1"}},
                     On("2025-01-31")),
            (SmallDue{{{"calls", "2025-01-10"}, 100000},
                      {{"maximum", "2025-01-10"}, -90000},
                      {{"f", "2025-01-18"}, 30000},
                      {{"maximum", "2025-01-18"}, -20000},
                      {{"calls", "2025-01-20"}, -79980},
                      {{"maximum", "2025-01-20"}, 79980}}));
}

// On the 20th the first version's maximum gives back 799.80 and the second one's takes them off, so that its line stays
// as it was; each version comes to 100.00.
TEST(RateBounds, AMinimumCountsWhatMaximumsExchangeOnADay) {
  struct Case {
    const char *on_amendment, *mails;
    SmallDue minimum;
  };
  const Case cases[] = {
      {"restart", "899.8", {}},
      // The second version comes to nothing: its 799.80 are above a maximum that the first one used up. One minimum of
      // all is met.
      {"continue", "799.8", {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.on_amendment);
    const std::string word = std::string(", on_amendment: ") + c.on_amendment + "}\n";
    const Catalog catalog = SmallCatalog(
        "      - {name: mails, meter: mails, product: p, model: per_unit, price: 1}\n"
        "      - {name: calls, meter: calls, product: p, model: volume, tiers: [{up_to: 1000, price: 1}, {price: "
        "0.20}]}\n"
        "    maximum: {amount: 100, product: p" +
            word + "    minimum: {amount: 90, product: p, proration: none" + word,
        {{"subscriptions.csv",
          "subscription,account,plan,entity,currency,valid_from,valid_to\n"
          "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\ns1,buyer,p,acme,USD,2025-01-16,\n"}});
    SmallDue due = WholeDue(catalog,
                            {{"calls", "2025-01-10T00:00:00Z", "1000"},
                             {"mails", "2025-01-20T00:00:00Z", c.mails},
                             {"calls", "2025-01-20T00:00:00Z", "1"}},
                            On("2025-01-31"));
    std::erase_if(due, [](const auto& one) { return one.first.first != "minimum"; });
    EXPECT_EQ(due, c.minimum);
  }
}

// A plan whose lines are none below zero is not below zero itself, nor more than its maximums; with a minimum it is no
// less than that in each month that is over.
TEST(RateBounds, KeepAPlanBetweenThem) {
  std::mt19937_64 random(TestSeed());
  const auto draw = [&](uint64_t below) { return random() % below; };
  for (int round = 0; round < 500; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const int64_t minimum = static_cast<int64_t>(draw(60)), maximum = minimum + static_cast<int64_t>(draw(60));
    const Day end{On("2025-01-02").number + static_cast<int32_t>(draw(88))};
    const std::string subscription =
        "subscription,account,plan,entity,currency,valid_from,valid_to\ns1,buyer,p,acme,USD,2025-01-01," +
        ToString(end) + "\n";
    const Catalog catalog = SmallCatalog(
        kFalls + std::string("      - {name: f, product: p, model: fee, price: 300, billing_period: 1 quarter}\n") +
            "    minimum: {amount: " + std::to_string(minimum) + ", product: p, proration: none}\n" +
            "    maximum: {amount: " + std::to_string(maximum) + ", product: p}\n",
        {{"subscriptions.csv", subscription}});
    std::vector<std::string> times;
    for (int i = 0; i < 6; ++i) {
      const Day day{On("2025-01-01").number +
                    static_cast<int32_t>(draw(static_cast<uint64_t>(end.number - On("2025-01-01").number)))};
      times.push_back(ToString(catalog.book.zone.StartOf(day)));
    }
    std::vector<SmallUse> uses;
    const char* const units[] = {"20", "60", "140", "400"};
    for (const std::string& at : times) uses.push_back({draw(3) == 0 ? "mails" : "calls", at, units[draw(4)]});
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, uses);
    const SmallDue due = DueOf(catalog, totals, On("2025-03-31"));
    ExpectTheSameUpTo({On("2025-01-01").number + static_cast<int32_t>(draw(89))}, catalog, totals, due);
    const int64_t months = end <= On("2025-02-01") ? 1 : end <= On("2025-03-01") ? 2 : 3;
    std::map<std::string, int64_t> by_day;
    for (const auto& [of, cents] : due) by_day[of.second] += cents;
    int64_t sum = 0;
    for (const auto& [day, cents] : by_day) {
      sum += cents;
      ASSERT_GE(sum, 0) << day;
      ASSERT_LE(sum, months * maximum * 100) << day;
    }
    ASSERT_GE(sum, months * minimum * 100);
  }
}

// Of "2025-01-10": what is due on it, and on later days.
TEST(DueParts, ComeOffWhatCameDueLast) {
  const Charge charge;
  std::vector<DayWorth> days;
  const auto add = [&](const char* day, int64_t to_date) { days.push_back({On(day), {}, {In("USD"), to_date}, 0}); };
  add("2025-01-10", 50);
  add("2025-01-20", 80);
  add("2025-02-10", 40);
  add("2025-02-20", -10);
  add("2025-03-10", 5);
  RatedCharge line;
  line.charge = &charge;
  line.days = days;
  std::vector<DuePart> parts;
  ASSERT_TRUE(AppendDueParts(line, &parts));
  std::vector<std::string> words;
  for (const DuePart& part : parts) {
    if (part.minor != 0)
      words.push_back(ToString(part.due) + " on " + ToString(part.day) + " " + FormatDecimal(part.minor, 0));
  }
  EXPECT_EQ(words, (std::vector<std::string>{"2025-01-10 on 2025-01-10 50", "2025-01-20 on 2025-01-20 30",
                                             "2025-01-20 on 2025-02-10 -30", "2025-01-10 on 2025-02-10 -10",
                                             "2025-01-10 on 2025-02-20 -50", "2025-01-10 on 2025-03-10 10",
                                             "2025-03-10 on 2025-03-10 5"}));
}

}  // namespace
}  // namespace tollbook
