// How far back a retention of so many months goes.
#include "rating/retention.h"

#include <gtest/gtest.h>

namespace tollbook {
namespace {

struct Case {
  const char* day;
  int months;
  const char* before;
};
const Case kCases[] = {
    {"2026-11-29", 1, "2026-10-29"},  {"2026-11-29", 24, "2024-11-29"}, {"2026-01-15", 1, "2025-12-15"},
    {"2026-03-31", 1, "2026-02-28"},  {"2024-03-31", 1, "2024-02-29"},  {"2026-05-31", 3, "2026-02-28"},
    {"2026-12-31", 13, "2025-11-30"},
};

TEST(Retention, GoesBackByCalendarMonths) {
  for (const Case& c : kCases) {
    EXPECT_EQ(ToString(MonthsBefore(*ParseDay(c.day), c.months)), c.before) << c.day << " less " << c.months;
  }
}

}  // namespace
}  // namespace tollbook
