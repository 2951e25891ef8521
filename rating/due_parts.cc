#include "rating/due_parts.h"

#include <algorithm>

namespace tollbook {
namespace {

class LineParts {
 public:
  explicit LineParts(std::vector<DuePart>* parts) : parts_(parts) {}

  // What the line changes by on its next day.
  void Add(Day day, Int128 change) {
    if (due_.empty()) due_.push_back({day, 0});
    parts_->push_back({day, day, 0});
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
    if (due_.back().due != day) due_.push_back({day, 0});
    Note(&due_.back(), day, change);
  }

 private:
  struct Due {
    Day due;
    Int128 minor = 0;  // what is left of it: above zero, but for the first
  };

  void Note(Due* due, Day day, Int128 change) {
    due->minor += change;
    parts_->push_back({due->due, day, change});
  }

  std::vector<Due> due_;  // ascending
  std::vector<DuePart>* parts_;
};

}  // namespace

bool AppendDueParts(const RatedCharge& line, std::vector<DuePart>* parts) {
  const Day last{line.period.end.number - 1};
  LineParts of_line(parts);
  Int128 before = 0;
  for (const DayWorth& day : line.days) {
    Int128 change = 0;
    if (__builtin_sub_overflow(day.booked_to_date.minor, before, &change)) return false;
    before = day.booked_to_date.minor;
    if (line.charge->bound) {
      parts->push_back({std::min(day.usage_date, last), day.usage_date, change});
    } else {
      of_line.Add(day.usage_date, change);
    }
  }
  return true;
}

}  // namespace tollbook
