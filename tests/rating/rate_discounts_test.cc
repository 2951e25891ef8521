// Discounts come in their order, never below zero, and any cut into seals sums to the same.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "rating/discount.h"
#include "rating/quote.h"
#include "tests/rating/seed.h"
#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

constexpr char kCharges[] =
    "      - {name: calls, meter: calls, product: calls, model: per_unit, price: 0.10}\n"
    "      - {name: mails, meter: mails, product: mails, model: per_unit, price: 0.01}\n"
    "      - {name: platform, product: platform, model: fee, price: 31}\n";
constexpr char kColumns[] =
    "discount,subscription,charge,percent,amount,currency,starts_on,ends_on,order,reaches_back\n";

Catalog With(const std::string& rows) {
  return SmallCatalog(kCharges, {{"discounts.csv", kColumns + rows}});
}

std::vector<std::string> Spread(int64_t amount, const std::vector<int64_t>& weights) {
  const std::vector<Int128> wide(weights.begin(), weights.end());
  std::vector<std::string> shares;
  for (const Int128 share : SpreadByLargestRemainder(amount, wide)) shares.push_back(FormatDecimal(share, 0));
  return shares;
}

TEST(SpreadByLargestRemainder, GivesTheFloorAndOneMoreToTheLargestRemainders) {
  using Shares = std::vector<std::string>;
  EXPECT_EQ(Spread(100, {333, 333, 334}), (Shares{"33", "33", "34"}));
  EXPECT_EQ(Spread(100, {100, 100, 100}), (Shares{"34", "33", "33"}));  // of equal remainders the first
  EXPECT_EQ(Spread(2, {1, 1, 1}), (Shares{"1", "1", "0"}));
  EXPECT_EQ(Spread(300, {100, 0, 200}), (Shares{"100", "0", "200"}));
  EXPECT_EQ(Spread(0, {5, 5}), (Shares{"0", "0"}));
}

TEST(SpreadByLargestRemainder, SumsToTheAmountAndTakesNoLineBelowZero) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 2000; ++round) {
    std::vector<Int128> weights(1 + random() % 8);
    Int128 sum = 0;
    for (Int128& weight : weights)
      sum += weight = static_cast<Int128>(random() % 1000) * (random() % 2 == 0 ? 1 : kOneUnit);
    if (sum == 0) continue;
    const Int128 amount = static_cast<Int128>(random()) % (sum + 1);
    const std::vector<Int128> shares = SpreadByLargestRemainder(amount, weights);
    Int128 spread = 0;
    for (size_t i = 0; i < shares.size(); ++i) {
      ASSERT_GE(shares[i], 0);
      ASSERT_LE(shares[i], weights[i]);
      spread += shares[i];
    }
    ASSERT_EQ(spread, amount);
  }
}

TEST(RateDiscounts, PercentagesComeFirstWhateverStandsFirst) {
  const Catalog catalog = With(
      "fixed,s1,,,50.00,USD,2025-01-01,,0,\n"
      "ten,s1,,10,,,2025-01-01,,9,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-10T00:00:00Z", "1000"}});
  // 100 less 10 % and 50; of the fee of the 1st 10 % and the rest of it before.
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")), (SmallDue{{{"platform", "2025-01-01"}, 3100},
                                                                {{"discount platform", "2025-01-01"}, -3100},
                                                                {{"calls", "2025-01-10"}, 10000},
                                                                {{"discount calls", "2025-01-10"}, -4817},
                                                                {{"discount platform", "2025-01-10"}, 1607}}));
}

TEST(RateDiscounts, AreOfTheDaysOnWhichTheyAreValid) {
  const Catalog catalog = With("half,s1,calls,50,,,2025-01-10,2025-01-20,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-09T00:00:00Z", "10"},
                                                                  {"calls", "2025-01-10T00:00:00Z", "10"},
                                                                  {"calls", "2025-01-19T23:00:00Z", "11"},
                                                                  {"calls", "2025-01-20T00:00:00Z", "10"},
                                                                  {"mails", "2025-01-15T00:00:00Z", "100"}});
  SmallDue due = DueOf(catalog, totals, On("2025-01-31"));
  std::erase_if(due, [](const auto& one) { return !one.first.first.starts_with("discount"); });
  // Half of 1.00 and half of 2.10 to date: 1.05, so half a cent is rounded once.
  EXPECT_EQ(due, (SmallDue{{{"discount calls", "2025-01-10"}, -50}, {{"discount calls", "2025-01-19"}, -55}}));
}

TEST(RateDiscounts, AreCreditedWithWhatTheyAreOf) {
  // The fee is credited from the 16th on: 16 of 31 days.
  const std::string subscriptions =
      "subscription,account,plan,entity,currency,valid_from,valid_to\ns1,buyer,p,acme,USD,2025-01-01,2025-01-16\n";
  const std::string once = "gone,s1,platform,10,,,2025-01-01,2025-01-02,,\n";
  const Catalog catalog =
      SmallCatalog(kCharges, {{"discounts.csv", std::string(kColumns) + once}, {"subscriptions.csv", subscriptions}});
  EXPECT_EQ(DueOf(catalog, {}, On("2025-01-31")), (SmallDue{{{"platform", "2025-01-01"}, 3100},
                                                            {{"discount platform", "2025-01-01"}, -310},
                                                            {{"platform", "2025-01-16"}, -1600},
                                                            {{"discount platform", "2025-01-16"}, 160}}));
}

// 100 calls cost 100.00, 200 in the quarter 20.00, 500 of them 50.00. A discount of January that is over, or has not
// begun in it, gets nothing of what is credited in February.
TEST(RateDiscounts, AreGivenBackWhereALongerPeriodFallsBelowWhatAnEarlierMonthHad) {
  struct Case {
    const char* discount;
    SmallDue off;  // of "discount calls"
  };
  const auto off = [](const char* day) { return std::pair<std::string, std::string>{"discount calls", day}; };
  const Case cases[] = {
      {"half,s1,,50,,,2025-01-01,,,",
       {{off("2025-01-10"), -5000}, {off("2025-02-10"), 4000}, {off("2025-03-10"), -1500}}},
      {"half,s1,,50,,,2025-01-01,2025-02-01,,", {{off("2025-01-10"), -5000}, {off("2025-02-10"), 4000}}},
      {"half,s1,,50,,,2025-02-01,,,true", {{off("2025-03-10"), -1500}}},
      {"fixed,s1,,,60.00,USD,2025-01-01,,,",
       {{off("2025-01-10"), -6000}, {off("2025-02-10"), 4000}, {off("2025-03-10"), -3000}}},
      {"fixed,s1,,,10.00,USD,2025-01-01,,,", {{off("2025-01-10"), -1000}, {off("2025-03-10"), -1000}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.discount);
    const Catalog catalog = SmallCatalog(
        "      - {name: calls, meter: calls, product: p, model: volume, billing_period: 1 quarter, "
        "tiers: [{up_to: 100, price: 1}, {price: 0.10}]}\n",
        {{"discounts.csv", std::string(kColumns) + c.discount + "\n"}});
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-10T00:00:00Z", "100"},
                                                                    {"calls", "2025-02-10T00:00:00Z", "100"},
                                                                    {"calls", "2025-03-10T00:00:00Z", "300"}});
    SmallDue due = DueOf(catalog, totals, On("2025-03-31"));
    for (const char* cut : {"2025-01-31", "2025-02-09", "2025-02-10", "2025-02-28"})
      ExpectTheSameUpTo(On(cut), catalog, totals, due);
    std::erase_if(due, [](const auto& one) { return !one.first.first.starts_with("discount"); });
    EXPECT_EQ(due, c.off);
  }
}

// 60.00 and 40.00 of calls, of which 80.00 are credited once there are 200, and 300 more at 0.10.
TEST(RateDiscounts, AreCreditedFirstOfWhatCameDueLast) {
  struct Case {
    const char* discount;
    const char* between;  // a day on which ten more are used, or empty
    int64_t off;          // of January in the end
  };
  const Case cases[] = {
      {"half,s1,,50,,,2025-01-20,,,", "", 0},               // the last 40.00 and 40.00 of what came before
      {"half,s1,,50,,,2025-01-20,2025-02-01,,", "", 0},     // the same, though it is over
      {"half,s1,,50,,,2025-01-01,2025-01-20,,", "", 1000},  // of 60.00 20.00 are left
      {"half,s1,,50,,,2025-01-25,2025-01-26,,", "", 0},
      {"half,s1,,50,,,2025-01-26,,,true", "2025-01-26T00:00:00Z",
       1000},  // reaches back: of all of the 20.00 that are left
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.discount);
    const Catalog catalog = SmallCatalog(
        "      - {name: calls, meter: calls, product: p, model: volume, billing_period: 1 quarter, "
        "tiers: [{up_to: 110, price: 1}, {price: 0.10}]}\n",
        {{"discounts.csv", std::string(kColumns) + c.discount + "\n"}});
    std::vector<SmallUse> uses = {{"calls", "2025-01-10T00:00:00Z", "60"}, {"calls", "2025-01-25T00:00:00Z", "40"}};
    if (*c.between != '\0') uses.push_back({"calls", c.between, "10"});
    uses.push_back({"calls", "2025-02-10T00:00:00Z", *c.between == '\0' ? "100" : "90"});
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, uses);
    const SmallDue due = DueOf(catalog, totals, On("2025-03-31"));
    for (const char* cut : {"2025-01-31", "2025-02-09", "2025-02-10"}) ExpectTheSameUpTo(On(cut), catalog, totals, due);
    int64_t off = 0, calls = 0;
    for (const auto& [of, cents] : due) (of.first == "calls" ? calls : off) += cents;
    EXPECT_EQ(calls, 2000);
    EXPECT_EQ(off, -c.off);
  }
}

TEST(RateDiscounts, ThatReachBackAreAtMostWhatIsDue) {
  // 40 off the fee of 31 by a credit note of the 10th, and 16 of the fee are credited on the 16th: nothing is left.
  const Catalog catalog = SmallCatalog(
      kCharges,
      {{"discounts.csv", std::string(kColumns) + "note-1,s1,platform,,20.00,USD,2025-01-10,2025-02-01,,true\n"
                                                 "note-2,s1,platform,,20.00,USD,2025-01-12,2025-02-01,,true\n"},
       {"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
        "s1,buyer,p,acme,USD,2025-01-01,2025-01-16\n"}});
  EXPECT_EQ(DueOf(catalog, {}, On("2025-01-31")), (SmallDue{{{"platform", "2025-01-01"}, 3100},
                                                            {{"discount platform", "2025-01-10"}, -2000},
                                                            {{"discount platform", "2025-01-12"}, -1100},
                                                            {{"platform", "2025-01-16"}, -1600},
                                                            {{"discount platform", "2025-01-16"}, 1600}}));
}

// Of an account that the subscription leaves and comes back to. The discount began before January, so it reaches back
// to nothing of the days between: not to the 10.00 that the other account owes.
TEST(RateDiscounts, ThatReachBackDoSoOnce) {
  const Catalog catalog = SmallCatalog(
      "      - {name: calls, meter: calls, product: calls, model: per_unit, price: 0.10}\n",
      {{"discounts.csv", "discount,account,percent,starts_on,reaches_back\nall,buyer,100,2024-12-01,true\n"},
       {"subscriptions.csv",
        "subscription,account,plan,entity,currency,valid_from,valid_to\n"
        "s1,buyer,p,acme,USD,2024-12-01,2025-01-06\n"
        "s1,other,p,acme,USD,2025-01-06,2025-01-12\n"
        "s1,buyer,p,acme,USD,2025-01-12,\n"}});
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-08T00:00:00Z", "100"}, {"calls", "2025-01-20T00:00:00Z", "50"}});
  EXPECT_EQ(DueOf(catalog, totals, On("2025-01-31")), (SmallDue{{{"calls", "2025-01-08"}, 1000},
                                                                {{"calls", "2025-01-20"}, 500},
                                                                {{"discount calls", "2025-01-20"}, -500}}));
}

// A fee of 50.00 and 150 calls at 1.00 are together at most 100.00: 50.00 of each are left, as the fee came due first.
TEST(RateDiscounts, ComeBehindThePlansMaximum) {
  struct Case {
    const char* discount;
    int64_t calls, platform;  // what is off in the end, in cents
  };
  const Case cases[] = {
      {"tenth,s1,,10,,,2025-01-01,,,", -500, -500},
      {"all,s1,,100,,,2025-01-01,,,", -5000, -5000},
      {"much,s1,,,150.00,USD,2025-01-01,,,", -5000, -5000},
      {"little,s1,,,10.00,USD,2025-01-01,,,", -500, -500},
      {"one,s1,calls,20,,,2025-01-01,,,", -1000, 0},
      {"both,s1,calls,20,,,2025-01-01,,1,\nthen,s1,,10,,,2025-01-01,,2,", -1400, -500},  // 50.00 less 20 %, less 10 %
      {"late,s1,,50,,,2025-01-21,,,", 0, 0},  // nothing comes due any more, as the maximum is reached
      {"note,s1,,50,,,2025-01-21,,,true", -2500, -2500},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.discount);
    const Catalog catalog = SmallCatalog(
        "      - {name: calls, meter: calls, product: p, model: per_unit, price: 1}\n"
        "      - {name: platform, product: p, model: fee, price: 50}\n"
        "    maximum: {amount: 100, product: p}\n",
        {{"discounts.csv", std::string(kColumns) + c.discount + "\n"}});
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-10T00:00:00Z", "30"},
                                                                    {"calls", "2025-01-20T00:00:00Z", "70"},
                                                                    {"calls", "2025-01-25T00:00:00Z", "50"}});
    const SmallDue due = DueOf(catalog, totals, On("2025-01-31"));
    for (const char* cut : {"2025-01-01", "2025-01-10", "2025-01-20", "2025-01-24"})
      ExpectTheSameUpTo(On(cut), catalog, totals, due);
    std::map<std::string, int64_t> sums;
    for (const auto& [of, cents] : due) sums[of.first] += cents;
    EXPECT_EQ(sums["calls"], 15000);
    EXPECT_EQ(sums["maximum"], -10000);
    EXPECT_EQ(sums["discount calls"], c.calls);
    EXPECT_EQ(sums["discount platform"], c.platform);
    EXPECT_EQ(sums["discount maximum"], 0);
  }
}

// What the lines come to behind the maximum is all that there is to be discounted, whatever falls and whatever grows.
TEST(RateDiscounts, NeverTakeMoreThanThePlanComesTo) {
  std::mt19937_64 random(TestSeed());
  const auto draw = [&](uint64_t below) { return random() % below; };
  for (int round = 0; round < 300; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const bool is_quarter = draw(2) == 0;
    const int64_t percent = draw(2) == 0 ? 100 : static_cast<int64_t>(draw(101));
    const std::string discount = draw(3) == 0 ? "all,s1,,,5000.00,USD,2025-01-01,,,\n"
                                              : "all,s1,," + std::to_string(percent) + ",,,2025-01-01,,,\n";
    const Catalog catalog = SmallCatalog(
        "      - {name: calls, meter: calls, product: p, model: volume, tiers: [{up_to: 100, price: 1}, {up_to: 300, "
        "price: 0.10}, {price: 0.05}]" +
            std::string(is_quarter ? ", billing_period: 1 quarter" : "") +
            "}\n"
            "      - {name: mails, meter: mails, product: p, model: per_unit, price: 1}\n"
            "      - {name: platform, product: p, model: fee, price: 50}\n"
            "    minimum: {amount: " +
            std::to_string(draw(40)) +
            ", product: p}\n"
            "    maximum: {amount: " +
            std::to_string(40 + draw(200)) + ", product: p}\n",
        {{"discounts.csv", std::string(kColumns) + discount}});
    std::vector<std::string> times;
    std::vector<SmallUse> uses;
    for (int i = 0; i < 8; ++i)
      times.push_back(ToString(catalog.book.zone.StartOf({On("2025-01-01").number + static_cast<int32_t>(draw(88))})));
    const std::string units[] = {"10", "60", "100", "180"};
    for (const std::string& at : times) uses.push_back({draw(2) == 0 ? "calls" : "mails", at, units[draw(4)].c_str()});
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, uses);
    const SmallDue due = DueOf(catalog, totals, On("2025-03-31"));
    ExpectTheSameUpTo({On("2025-01-01").number + static_cast<int32_t>(draw(89))}, catalog, totals, due);
    std::map<std::string, std::pair<int64_t, int64_t>> by_day;  // lines, and what is off them
    for (const auto& [of, cents] : due) {
      auto& [lines, off] = by_day[of.second];
      (of.first.starts_with("discount ") ? off : lines) += cents;
    }
    int64_t lines = 0, off = 0;
    for (const auto& [day, of_day] : by_day) {
      lines += of_day.first, off += of_day.second;
      ASSERT_LE(-off, lines) << day << " " << discount;
      ASSERT_LE(off, 0) << day;
      if (percent == 100) {
        ASSERT_EQ(-off, lines) << day << " " << discount;
      }
    }
  }
}

TEST(RateDiscounts, SayWhatEachTakesOff) {
  const Catalog catalog = With("ten,s1,calls,10,,,2025-01-01,,,\nfive,s1,calls,,5.00,USD,2025-01-01,,,\n");
  const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, {{"calls", "2025-01-10T00:00:00Z", "1000"}});
  const absl::StatusOr<RatedSubject> rated =
      RateSubject(catalog, kSmallSubject, totals, std::optional(On("2025-01-10")));
  ASSERT_TRUE(rated.ok()) << rated.status();
  const auto line =
      std::ranges::find_if(rated->charges, [](const RatedCharge& one) { return one.charge->is_discount; });
  ASSERT_NE(line, rated->charges.end());
  std::vector<PriceStep> steps;
  const absl::StatusOr<Worth> worth = PriceToDate(*line, line->days.back(), &steps);
  ASSERT_TRUE(worth.ok());
  EXPECT_EQ(ToString(*worth), "-15");
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].what, "discount ten of 10 %");
  EXPECT_EQ(steps[1].what, "discount five of 5.00");
}

TEST(RateDiscounts, AreQuotedWithWhatTheyAreOf) {
  const Catalog catalog = With("ten,s1,,10,,,2025-01-01,,,\n");
  const std::vector<SubjectTotal> totals =
      TotalsOfUses(catalog, {{"calls", "2025-01-10T00:00:00Z", "1000"}, {"mails", "2025-01-10T00:00:00Z", "500"}});
  QuoteRequest request;
  request.subject = kSmallSubject;
  request.usage = totals;
  const auto total = [&] {
    const absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
    EXPECT_TRUE(quote.ok()) << quote.status();
    const absl::StatusOr<std::vector<QuoteTotal>> totals_of_quote = TotalsOf(*quote);
    EXPECT_TRUE(totals_of_quote.ok());
    return ToString(totals_of_quote->front().due);
  };
  EXPECT_EQ(total(), "94.50");  // of usage alone
  request.charge = "calls";
  EXPECT_EQ(total(), "90.00");
  request.previous_quantity = Quantity();
  EXPECT_EQ(total(), "100.00");  // a later slice is of the charge alone
  request.previous_quantity.reset();
  request.charge = "";
  request.period = MonthOf(On("2025-01-01"));
  EXPECT_EQ(total(), "122.40");  // and the fee of 31
}

TEST(EstimateTax, IsOfWhatIsDueBeforeGrantsPay) {
  const auto tax = [](int64_t taxable, const char* percent, Rounding rounding) {
    const absl::StatusOr<Money> estimated =
        EstimateTax({{}, {In("USD"), taxable - 500}, {In("USD"), taxable}}, {Each(percent).attos / 100}, rounding);
    EXPECT_TRUE(estimated.ok());
    return ToString(*estimated);
  };
  EXPECT_EQ(tax(7000, "8.25", Rounding::kHalfUp), "5.78");  // 5.775
  EXPECT_EQ(tax(7000, "8.25", Rounding::kDown), "5.77");
  EXPECT_EQ(tax(3871, "20", Rounding::kHalfUp), "7.74");
  EXPECT_EQ(tax(7000, "0", Rounding::kHalfUp), "0.00");
}

// Reckoned again in another way, and plainly: what came due day by day, each discount in turn over all of it.
SmallDue ReckonedPlainly(const Catalog& catalog, const SmallDue& gross) {
  std::vector<const Discount*> discounts;
  for (const Discount& discount : catalog.discounts) discounts.push_back(&discount);
  std::ranges::sort(discounts, [](const Discount* a, const Discount* b) {
    if (a->amount.has_value() != b->amount.has_value()) return b->amount.has_value();
    return a->order != b->order ? a->order < b->order : a->id < b->id;
  });
  SmallDue net = gross;
  std::map<std::string, std::map<std::string, int64_t>> off;  // month, line: to date
  for (int32_t number = On("2025-01-01").number; number < On("2025-04-01").number; ++number) {
    const std::string today = ToString(Day{number}), month = today.substr(0, 7);
    std::map<std::string, int64_t> total;
    // From the month's first day on, all again.
    struct Of {
      std::vector<std::pair<bool, int64_t>> due;  // of each day: whether it is discounted, and what is left of it
      int64_t base = 0, before = 0, taken = 0;
      bool has_begun = false;
    };
    std::map<std::pair<size_t, std::string>, Of> states;
    std::map<std::string, int64_t> due;
    for (const std::string line : {"calls", "mails", "platform"}) due[line] = 0;
    for (Day day = On(month + "-01"); day.number <= number; ++day.number) {
      for (auto& [line, to_date] : due) {
        const auto more = gross.find({line, ToString(day)});
        to_date += more == gross.end() ? 0 : more->second;
      }
      std::map<std::string, int64_t> left = due;
      for (size_t i = 0; i < discounts.size(); ++i) {
        const Discount& discount = *discounts[i];
        const bool is_valid = discount.starts_on <= day && (!discount.ends_on || day < *discount.ends_on);
        int64_t sum = 0;
        for (auto& [line, of] : left) {
          Of& state = states[{i, line}];
          const bool counts = is_valid && (discount.charge.empty() || discount.charge == line);
          for (auto& earlier : state.due)
            if (counts && discount.reaches_back && !state.has_begun) earlier.first = true;
          state.has_begun = state.has_begun || counts;
          int64_t more = std::max<int64_t>(0, of) - std::max<int64_t>(0, state.before);
          state.before = of;
          state.due.push_back({counts, std::max<int64_t>(0, more)});
          for (; more < 0; ++more) {  // cent by cent, off the last day that has one
            const auto last = std::find_if(state.due.rbegin(), state.due.rend(), [](auto& d) { return d.second > 0; });
            --last->second;
          }
          state.base = 0;
          for (const auto& [is_discounted, cents] : state.due) state.base += is_discounted ? cents : 0;
          sum += state.base;
        }
        if (discount.amount) {
          int64_t amount = std::min<int64_t>(sum, static_cast<int64_t>(discount.amount->minor));
          const int64_t all = amount;
          std::vector<std::pair<double, Of*>> by_remainder;
          for (auto& [line, of] : left) {
            Of& state = states[{i, line}];
            state.taken = sum == 0 ? 0 : all * state.base / sum;
            amount -= state.taken;
            by_remainder.push_back({sum == 0 ? 0 : -static_cast<double>(all * state.base % sum), &state});
          }
          std::ranges::stable_sort(by_remainder, {}, [](const auto& one) { return one.first; });
          for (size_t k = 0; amount > 0; ++k, --amount) ++by_remainder[k].second->taken;
        } else {
          const auto percent = static_cast<int64_t>(discount.share.attos / (kOneUnit / 100));
          for (auto& [line, of] : left) states[{i, line}].taken = (states[{i, line}].base * percent + 50) / 100;
        }
        for (auto& [line, of] : left) of -= states[{i, line}].taken;
      }
      for (const auto& [line, of] : left) total[line] = due[line] - of;
    }
    for (const auto& [line, taken] : total) {
      const int64_t more = taken - off[month][line];
      off[month][line] = taken;
      if (more != 0) net[{"discount " + line, today}] = -more;
    }
  }
  return net;
}

TEST(RateDiscounts, AreWhatAPlainReckoningSaysWhateverTheCutAndNeverBelowZero) {
  std::mt19937_64 random(TestSeed());
  const auto draw = [&](uint64_t below) { return random() % below; };
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    std::string rows;
    const std::string lines[] = {"", "calls", "mails", "platform"};
    for (uint64_t i = 0, count = 1 + draw(4); i < count; ++i) {
      const Day from{On("2025-01-01").number + static_cast<int32_t>(draw(80))};
      const std::string to = draw(2) == 0 ? "" : ToString(Day{from.number + 1 + static_cast<int32_t>(draw(50))});
      const bool is_percent = draw(2) == 0;
      rows += "d" + std::to_string(i) + ",s1," + lines[draw(4)] + "," +
              (is_percent ? std::to_string(draw(101)) + ",," : "," + std::to_string(draw(60)) + ".37,USD") + "," +
              ToString(from) + "," + to + "," + std::to_string(draw(3)) + "," + (draw(2) == 0 ? "true" : "") + "\n";
    }
    const std::string end = draw(2) == 0 ? "" : ToString(Day{On("2025-01-10").number + static_cast<int32_t>(draw(70))});
    const Catalog catalog = SmallCatalog(kCharges, {{"discounts.csv", kColumns + rows},
                                                    {"subscriptions.csv",
                                                     "subscription,account,plan,entity,currency,valid_from,valid_to\n"
                                                     "s1,buyer,p,acme,USD,2025-01-01," +
                                                         end + "\n"}});
    std::vector<std::string> times;
    std::vector<SmallUse> uses;
    for (int i = 0; i < 12; ++i)
      times.push_back(ToString(catalog.book.zone.StartOf({On("2025-01-01").number + static_cast<int32_t>(draw(88))})));
    for (const std::string& at : times)
      uses.push_back({draw(2) == 0 ? "calls" : "mails", at, draw(5) == 0 ? "-0" : "77"});
    for (SmallUse& use : uses) {
      if (use.meter == "calls" && draw(3) == 0) use.units = "-40";
    }
    const std::vector<SubjectTotal> totals = TotalsOfUses(catalog, uses);
    const Day last = On("2025-03-31");
    const SmallDue whole = DueOf(catalog, totals, last);
    SmallDue gross = whole;
    std::erase_if(gross, [](const auto& one) { return one.first.first.starts_with("discount"); });
    ASSERT_EQ(whole, ReckonedPlainly(catalog, gross)) << rows;

    std::map<std::pair<std::string, std::string>, std::map<std::string, int64_t>> of_line;  // line and month: by day
    for (const auto& [place, cents] : whole) {
      const std::string line = place.first.substr(place.first.starts_with("discount ") ? 9 : 0);
      of_line[{line, place.second.substr(0, 7)}][place.second] += cents;
    }
    for (const auto& [line, days] : of_line) {
      int64_t net = 0, before_discounts = 0;
      for (const auto& [day, cents] : days) {
        net += cents;
        const auto due = gross.find({line.first, day});
        before_discounts += due == gross.end() ? 0 : due->second;
        ASSERT_GE(net, std::min<int64_t>(0, before_discounts)) << line.first << " " << day << "\n" << rows;
      }
    }

    ExpectTheSameUpTo({On("2025-01-01").number + static_cast<int32_t>(draw(89))}, catalog, totals, whole);
    ASSERT_FALSE(::testing::Test::HasFailure()) << rows;
  }
}

}  // namespace
}  // namespace tollbook
