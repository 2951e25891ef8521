// TimeRate: what time costs: a table by weekday and hour, and in it steps by the time that has passed since the start.
//
// The usage is a duration, the event's time its start. Increments follow one another from the start on; each has the
// price of the window, on the subscription's clock, and of the step in which it begins, and once begun it is due in
// full: so one that runs across a boundary is of the window before it.
//   connect fee   of the window in which the event begins, once; nothing for a duration of zero or less
//   maximum       of an event's cost, its connect fee included
//   duration      to the nearest nanosecond
//   price         of an increment: price * increment / per. Where that has more than 18 decimals, the worth of all
//                 increments of a step together is rounded once, half to even at the 36th decimal: what is a tie of
//                 cents stays one. `increment_rounding` rounds the price of each instead, and so drifts from what was
//                 agreed: 180 s at 0.1 a minute and 6 places are 0.30006. It is for who must agree with such a system.
#ifndef TOLLBOOK_RATING_TIME_RATE_H_
#define TOLLBOOK_RATING_TIME_RATE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "rating/clock_window.h"
#include "rating/money.h"

namespace tollbook {

inline constexpr int64_t kSecondNanos = 1'000'000'000;
inline constexpr int64_t kTimeNanosMax =
    1'000'000'000 * kSecondNanos;  // of a step's start, increment and per: 31 years

struct TimeStep {
  int64_t after_nanos = 0;  // since the event's start
  Price price;              // for `per`
  int64_t per_nanos = kSecondNanos;
  int64_t increment_nanos = kSecondNanos;
};

struct TimeWindow {
  ClockWindow when;
  Price connect_fee;
  std::vector<TimeStep> steps;  // at least one, the first after 0, ascending
  int line = 0;
};

struct TimeRate {
  int64_t unit_nanos = kSecondNanos;             // of the meter's value
  std::vector<TimeWindow> windows;               // none overlap, and together they are the whole week
  std::optional<Rounding> increment_rounding{};  // of the price of each increment
  int increment_places = 0;                      // 0 to 18
};

// attos + rest / per_nanos attos: what one increment costs.
struct IncrementPrice {
  Price price;
  int64_t rest = 0;  // 0 where the price is exact at 18 decimals
};
// False: it does not fit a price.
[[nodiscard]] bool PriceOfIncrement(const TimeRate& rate, const TimeStep& step, IncrementPrice* price);

// Of so many increments. False: it does not fit.
[[nodiscard]] bool WorthOfIncrements(const TimeRate& rate, const TimeStep& step, uint64_t increments, Worth* worth);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_TIME_RATE_H_
