#include "rating/due_parts.h"

#include <algorithm>

namespace tollbook {
namespace {

class LineParts {
 public:
  // `sign`: -1 where what comes due is below zero.
  LineParts(int sign, std::vector<DuePart>* parts) : sign_(sign), parts_(parts) {}

  // What the line changes by on its next day, of what comes due on `of` if anything does.
  void Add(Day of, Day day, Int128 change) {
    change *= sign_;
    if (due_.empty()) due_.push_back({of, 0});
    parts_->push_back({of, day, 0});
    while (change < 0) {
      Due& last = due_.back();
      const bool is_first = due_.size() == 1;
      const Int128 credited = is_first ? -change : std::min(-change, last.minor);
      Note(&last, day, -credited);
      change += credited;
      if (!is_first && last.minor == 0) due_.pop_back();
    }
    if (const Int128 owed = std::min(change, -due_.front().minor); owed > 0) {
      Note(&due_.front(), day, owed);
      change -= owed;
    }
    if (change == 0) return;
    if (due_.back().due != of) due_.push_back({of, 0});
    Note(&due_.back(), day, change);
  }

 private:
  struct Due {
    Day due;
    Int128 minor = 0;  // what is left of it: above zero, but for the first
  };

  void Note(Due* due, Day day, Int128 change) {
    due->minor += change;
    parts_->push_back({due->due, day, sign_ * change});
  }

  const int sign_;
  std::vector<Due> due_;  // ascending
  std::vector<DuePart>* parts_;
};

}  // namespace

void AppendDueParts(const RatedCharge& line, std::vector<DuePart>* parts) {
  const std::optional<PlanBound>& bound = line.charge->bound;
  const Day last{line.period.end.number - 1};
  LineParts of_line(bound && bound->is_maximum ? -1 : 1, parts);
  Int128 before = 0;
  for (const DayWorth& day : line.days) {
    const Int128 change = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    of_line.Add(bound ? std::min(day.usage_date, last) : day.usage_date, day.usage_date, change);
  }
}

}  // namespace tollbook
