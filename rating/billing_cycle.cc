#include "rating/billing_cycle.h"

#include <array>
#include <charconv>

namespace tollbook {
namespace {

constexpr Day kMonday = {4};  // 1970-01-05

struct UnitWord {
  std::string_view one, many;
  BillingCycle::Unit unit;
  int32_t count;
  Day anchor;
};
constexpr std::array<UnitWord, 5> kUnits = {{
    {"day", "days", BillingCycle::Unit::kDay, 1, {}},
    {"week", "weeks", BillingCycle::Unit::kDay, 7, kMonday},
    {"month", "months", BillingCycle::Unit::kMonth, 1, {}},
    {"quarter", "quarters", BillingCycle::Unit::kMonth, 3, {}},
    {"year", "years", BillingCycle::Unit::kMonth, 12, {}},
}};

int64_t FloorDivide(int64_t value, int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}

int64_t MonthsFromYearZero(Day day) {
  const CivilDate date = CivilDateOf(day);
  return date.year * 12 + date.month;
}

}  // namespace

BillingPeriod PeriodOf(const BillingCycle& cycle, Day day) {
  if (cycle.unit == BillingCycle::Unit::kDay) {
    const int64_t periods = FloorDivide(int64_t{day.number} - cycle.anchor.number, cycle.count);
    const int64_t start = cycle.anchor.number + periods * cycle.count;
    return {{static_cast<int32_t>(start)}, {static_cast<int32_t>(start + cycle.count)}};
  }
  // Counted from the anchor each time: a boundary that a short month moved is not what the next one is counted from.
  const int64_t months = MonthsFromYearZero(day) - MonthsFromYearZero(cycle.anchor);
  int64_t periods = FloorDivide(months, cycle.count);
  Day start = AddMonths(cycle.anchor, periods * cycle.count);
  if (day < start) start = AddMonths(cycle.anchor, --periods * cycle.count);
  return {start, AddMonths(cycle.anchor, (periods + 1) * cycle.count)};
}

std::optional<BillingCycle> ParseBillingCycle(std::string_view text) {
  int32_t count = 0;
  const char* const end = text.data() + text.size();
  const auto [behind, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || behind == end || *behind != ' ' || text.front() == '0') return std::nullopt;
  if (count < 1 || count > kCycleUnitsMax) return std::nullopt;
  const std::string_view word(behind + 1, static_cast<size_t>(end - behind - 1));
  for (const UnitWord& unit : kUnits) {
    if (word == unit.one || word == unit.many) return BillingCycle{unit.unit, count * unit.count, unit.anchor};
  }
  return std::nullopt;
}

std::string ToString(const BillingPeriod& period) {
  if (period == MonthOf(period.start)) return AccountingPeriodOf(period.start);
  return ToString(period.start) + " to " + ToString(period.end);
}

}  // namespace tollbook
