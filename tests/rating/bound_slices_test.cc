// A plan's minimum and maximum over versions of a subscription, step by step. docs/catalog.md has the worked example,
// tests/scenarios/amendment_plan_bounds.scenario the story; the twin compares random ones.
#include "rating/bound_slices.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Charge Bound(bool is_maximum, const char* amount, bool prorates) {
  Charge charge;
  charge.bound = PlanBound{is_maximum, Each(amount)};
  charge.prorates_bound = prorates;
  return charge;
}

// January on two plans: 15 days and 16.
struct Case {
  const char* name;
  bool is_maximum, goes_on;
  const char *first, *second;  // the bounds' amounts
  bool first_prorates, second_prorates;
  Int128 first_cents, second_cents;  // what each plan's lines come to
  const char *first_adds, *second_adds;
};

const Case kCases[] = {
    {"a minimum for the month, met before", false, true, "100", "100", true, true, 20000, 0, "0", "0"},
    {"what is missing is on the last line", false, true, "31", "62", true, true, 4000, 100, "0", "6"},
    {"the last one's alone, where it is whole", false, true, "31", "62", true, false, 4000, 100, "0", "21"},
    {"each one's own", false, false, "31", "62", true, true, 4000, 100, "0", "31"},
    {"each one's own, below both", false, false, "31", "62", true, true, 0, 100, "15", "31"},
    {"a maximum reached before", true, true, "100", "100", false, false, 15000, 15000, "-50", "-150"},
    {"what came to more than the later one stands", true, true, "100", "60", false, false, 9000, 1000, "0", "-10"},
    {"what is above the earlier one is not due again", true, true, "100", "200", false, false, 15000, 7000, "-50", "0"},
    {"each one's own maximum", true, false, "100", "100", false, false, 15000, 15000, "-50", "-50"},
    {"by days: 15 and 31", true, true, "31", "31", true, true, 1000, 5000, "0", "-29"},
    {"what is taken back was above the maximum", true, true, "100", "100", false, false, 15000, -3000, "-50", "30"},
    {"and then what was not", true, true, "100", "100", false, false, 15000, -7000, "-50", "50"},
};

TEST(BoundSlices, AddWhatIsMissingOrTakeOffWhatIsTooMuch) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const Charge first = Bound(c.is_maximum, c.first, c.first_prorates);
    const Charge second = Bound(c.is_maximum, c.second, c.second_prorates);
    std::vector<UsageSlice> slices(2);
    slices[0].charge = &first;
    slices[0].start = On("2025-01-01");
    slices[0].minimum_share = {c.first_prorates ? 15 : 31, 31};
    slices[1].charge = &second;
    slices[1].start = On("2025-01-16");
    slices[1].goes_on = c.goes_on;
    slices[1].minimum_share = {c.second_prorates ? 16 : 31, 31};
    const std::vector<Int128> cents = {c.first_cents, c.second_cents};
    Worth worth;
    ASSERT_TRUE(PriceBoundSlices(slices, cents, first, In("USD"), &worth, nullptr));
    EXPECT_EQ(ToString(worth), c.first_adds);
    ASSERT_TRUE(PriceBoundSlices(slices, cents, second, In("USD"), &worth, nullptr));
    EXPECT_EQ(ToString(worth), c.second_adds);
  }
}

TEST(BoundSlices, SayWhatCameBefore) {
  const Charge least = Bound(false, "62", true), most = Bound(true, "100", false);
  const auto words_of = [](const Charge& charge, Int128 first, Int128 second) {
    std::vector<UsageSlice> slices(2);
    for (UsageSlice& slice : slices) slice.charge = &charge, slice.minimum_share = {31, 31};
    slices[0].start = On("2025-01-01");
    slices[1].start = On("2025-01-16");
    slices[1].goes_on = true;
    if (charge.prorates_bound) slices[0].minimum_share.days = 15, slices[1].minimum_share.days = 16;
    std::vector<PriceStep> steps;
    Worth worth;
    EXPECT_TRUE(PriceBoundSlices(slices, std::vector<Int128>{first, second}, charge, In("USD"), &worth, &steps));
    std::vector<std::string> words;
    for (const PriceStep& step : steps) words.push_back(step.what + " = " + ToString(step.worth));
    return words;
  };
  EXPECT_EQ(words_of(least, 4000, 100),
            (std::vector<std::string>{"from 2025-01-16: up to the minimum of 62 for 15 of 31 days and 62 for 16 of 31 "
                                      "days, others 41 = 21"}));
  EXPECT_EQ(words_of(most, 15000, 500),
            (std::vector<std::string>{"from 2025-01-01: above the maximum of 100, others 150.00 = -50",
                                      "from 2025-01-16: above the maximum of 100, with 100 before, others 5.00 = -5"}));
  EXPECT_EQ(words_of(most, 15000, -3000),
            (std::vector<std::string>{"from 2025-01-01: above the maximum of 100, others 150.00 = -50",
                                      "from 2025-01-16: taken back of what was above the maximum before, with 100 "
                                      "before, others -30.00 = 30"}));
}

}  // namespace
}  // namespace tollbook
