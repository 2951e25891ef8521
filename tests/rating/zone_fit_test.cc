#include "rating/zone_fit.h"

#include <gtest/gtest.h>

namespace tollbook {
namespace {

// From which day on the days of a zone start at whole hours, and at whole quarter hours, of UTC.
TEST(ZoneFitTest, KnowsFromWhenDaysAreMadeOfWholeTotals) {
  const struct {
    const char* zone;
    const char* hours_from;  // "never": not before 2101
    const char* quarters_from;
  } kCases[] = {
      {"UTC", "1970-01-01", "1970-01-01"},
      {"Europe/Berlin", "1970-01-01", "1970-01-01"},
      {"America/New_York", "1970-01-01", "1970-01-01"},
      {"Asia/Kolkata", "never", "1970-01-01"},
      {"Asia/Kathmandu", "never", "1970-01-01"},
      {"Australia/Lord_Howe", "2100-10-04", "1970-01-01"},  // half an hour of daylight saving, each year anew
      {"Asia/Singapore", "1982-01-02", "1970-01-01"},       // +07:30 before
      {"Asia/Pyongyang", "2018-05-06", "1970-01-01"},       // +08:30 from 2015 to 2018
      {"Africa/Monrovia", "1972-01-08", "1972-01-08"},      // -00:44:30 before
  };
  for (const auto& [name, hours_from, quarters_from] : kCases) {
    const ZoneFit fit = FitOf(*Zone::FromName(name));
    const auto shown = [](Day day) { return day > *ParseDay("2100-12-31") ? std::string("never") : ToString(day); };
    EXPECT_EQ(shown(fit.whole_hours_from), hours_from) << name;
    EXPECT_EQ(shown(fit.whole_quarters_from), quarters_from) << name;
  }
}

TEST(ZoneFitTest, DaysFitTheBookOrWholeTotals) {
  const Day today = *ParseDay("2025-01-01");
  const ZoneFit kolkata = FitOf(*Zone::FromName("Asia/Kolkata"));
  const ZoneFit berlin = FitOf(*Zone::FromName("Europe/Berlin"));
  EXPECT_TRUE(Fits(kolkata, Granularity::kDay, true, today));
  EXPECT_FALSE(Fits(kolkata, Granularity::kDay, false, today));
  EXPECT_FALSE(Fits(kolkata, Granularity::kHour, true, today));
  EXPECT_TRUE(Fits(kolkata, Granularity::kQuarterHour, false, today));
  EXPECT_FALSE(Fits(berlin, Granularity::kDay, false, today));
  EXPECT_TRUE(Fits(berlin, Granularity::kHour, false, today));
}

}  // namespace
}  // namespace tollbook
