#include "rating/fee.h"

#include <algorithm>
#include <numeric>

#include "rating/error.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

struct Share {
  uint64_t part = 0;
  uint64_t whole = 1;
};

bool IsLastOfFebruary(Day day) {
  return CivilDateOf(day).month == 2 && CivilDateOf({day.number + 1}).month == 3;
}

// 30/360 US: every month has 30 days. The end is exclusive, as that of any slice.
int64_t DaysBy30(Day start, Day end) {
  CivilDate from = CivilDateOf(start), to = CivilDateOf(end);
  if (IsLastOfFebruary(start) && IsLastOfFebruary(end)) to.day = 30;
  if (IsLastOfFebruary(start)) from.day = 30;
  if (to.day == 31 && from.day >= 30) to.day = 30;
  if (from.day == 31) from.day = 30;
  return (to.year - from.year) * 360 + (to.month - from.month) * 30 + (to.day - from.day);
}

int32_t DaysToShareBy(const Fee& fee, const FeePeriod& of, Day start) {
  const bool back = fee.proration.count_back && of.months > 0 && start != of.period.start;
  return DaysIn(back ? BillingPeriod{AddMonths(of.period.end, -of.months), of.period.end} : of.period);
}

Share ByDays(const Fee& fee, const FeePeriod& of, Day start, Day end) {
  const auto days = static_cast<uint64_t>(end.number - start.number), months = static_cast<uint64_t>(of.months);
  switch (fee.proration.days) {
    case DayCount::kPeriod:
      return {days, static_cast<uint64_t>(DaysToShareBy(fee, of, start))};
    case DayCount::kThirty360:
      return {static_cast<uint64_t>(DaysBy30(start, end)), 30 * months};
    case DayCount::kActual365:
      return {days * 12, 365 * months};
    case DayCount::kActual360:
      return {days * 12, 360 * months};
  }
  TOLLBOOK_ASSERT(!"a day count of the list");
  return {};
}

Share RoundedShare(Share share, const FeeProration& proration) {
  if (!proration.rounding) return share;
  Int128 scale = 1, part = 0;
  for (int places = proration.places; places > 0; --places) scale *= 10;
  const bool fits = RoundedQuotient(Wide::Product(static_cast<Int128>(share.part), scale),
                                    static_cast<Int128>(share.whole), *proration.rounding, &part);
  TOLLBOOK_ASSERT(fits);  // a slice is not longer than its period, but for a day or two by another count
  return {static_cast<uint64_t>(part), static_cast<uint64_t>(scale)};
}

// Is a period that has begun due in full, by the quantity that it began with?
bool IsInFull(const Fee& fee) {
  return fee.once || !fee.proration.by_day;
}

Share ShareOf(const Fee& fee, const FeePeriod& of, Day start, Day end) {
  const bool is_whole = IsInFull(fee) || BillingPeriod{start, end} == of.period;
  return is_whole ? Share{1, 1} : RoundedShare(ByDays(fee, of, start, end), fee.proration);
}

// What of a slice counts at the end of a day: from its start to here. None: nothing yet.
std::optional<Day> CountedTo(const Fee& fee, const FeePeriod& of, const FeeSlice& slice, Day day) {
  const bool is_over = slice.end.number <= day.number + (fee.in_advance ? 0 : 1);
  if (fee.in_advance && slice.start <= day) return is_over || fee.once ? slice.end : of.period.end;
  return !fee.in_advance && is_over ? std::optional(slice.end) : std::nullopt;
}

// All that it has of a period, as one slice.
FeeSlice InFull(const FeePeriod& of) {
  return {of.slices.front().start, of.slices.back().end, of.slices.front().quantity};
}

bool KeepsWhatWasDue(const Fee& fee) {
  return fee.in_advance && !fee.credits_rest && !fee.once && fee.proration.by_day;
}

// Where nothing is credited: each slice's units above those that were due before, to the period's end.
std::vector<FeeSlice> SlicesToTheEnd(const FeePeriod& of) {
  std::vector<FeeSlice> slices;
  Quantity due;
  for (const FeeSlice& slice : of.slices) {
    if (slice.quantity <= due) continue;
    slices.push_back({slice.start, of.period.end, {slice.quantity.attos - due.attos}});
    due = slice.quantity;
  }
  return slices;
}

// Calls f(slice, where what counts of it ends).
template <typename Function>
void ForEachCounted(const Fee& fee, const FeePeriod& of, Day day, const Function& f) {
  if (KeepsWhatWasDue(fee)) {
    for (const FeeSlice& slice : SlicesToTheEnd(of)) {
      if (slice.start <= day) f(slice, slice.end);
    }
    return;
  }
  const FeeSlice full = InFull(of);
  for (const FeeSlice& slice : IsInFull(fee) ? std::span(&full, 1) : of.slices) {
    if (const std::optional<Day> to = CountedTo(fee, of, slice, day); to.has_value()) f(slice, *to);
  }
}

// The sum of price * quantity * share as one fraction.
class FeeSum {
 public:
  explicit FeeSum(Price price) : price_(price) {}

  void Add(Quantity quantity, Share share) {
    // There are few wholes, the days of a period or two and powers of ten: their multiples stay below 10^18.
    const uint64_t whole = std::lcm(whole_, share.whole);
    Wide worth, units;
    fits_ = fits_ && Scale(whole / whole_) &&
            Wide::Multiply(Wide::Product(quantity.attos, price_.attos), share.part * (whole / share.whole), &worth) &&
            Wide::Multiply(Wide::FromInt128(quantity.attos), share.part * (whole / share.whole), &units) &&
            Wide::Add(worth_, worth, &worth_) && Wide::Add(units_, units, &units_);
    whole_ = whole;
  }

  bool Quotients(Worth* worth, Quantity* units) const {
    return fits_ && RoundedQuotient(worth_, whole_, Rounding::kHalfEven, &worth->amount) &&
           RoundedQuotient(units_, static_cast<Int128>(whole_), Rounding::kHalfEven, &units->attos);
  }
  // Less what was due before.
  bool Rest(const Worth& before, Worth* worth, Quantity* units) const {
    if (!Quotients(worth, units)) return false;
    if (worth->amount <= before.amount) return *worth = {}, true;
    return Wide::Subtract(worth->amount, before.amount, &worth->amount);
  }

 private:
  bool Scale(uint64_t factor) {
    return factor == 1 || (Wide::Multiply(worth_, factor, &worth_) && Wide::Multiply(units_, factor, &units_));
  }

  Price price_;
  Wide worth_, units_;
  uint64_t whole_ = 1;
  bool fits_ = true;
};

std::string Text(const Fee& fee, const FeePeriod& of, const FeeSlice& slice, Day to) {
  const std::string units = slice.quantity == Quantity::Units(1) ? "" : " of " + ToString(slice.quantity);
  if (fee.once) return "once, on " + ToString(fee.in_advance ? slice.start : Day{to.number - 1}) + units;
  if (!fee.proration.by_day || BillingPeriod{slice.start, to} == of.period) return "the whole period" + units;
  const std::string dates = ToString(slice.start) + " to " + ToString(to);
  if (fee.proration.days == DayCount::kPeriod) {
    return dates + ", " + std::to_string(to.number - slice.start.number) + " of " +
           std::to_string(DaysToShareBy(fee, of, slice.start)) + " days" + units;
  }
  return dates + " by " + std::string(ToString(fee.proration.days)) + units;
}

}  // namespace

std::string_view ToString(DayCount days) {
  switch (days) {
    case DayCount::kPeriod:
      return "period";
    case DayCount::kThirty360:
      return "30_360";
    case DayCount::kActual365:
      return "365";
    case DayCount::kActual360:
      return "360";
  }
  TOLLBOOK_ASSERT(!"a day count of the list");
  return "";
}

void AppendDueDays(const Fee& fee, const FeePeriod& of, std::vector<Day>* days) {
  if (IsInFull(fee)) {
    return days->push_back(fee.in_advance ? of.slices.front().start : Day{of.slices.back().end.number - 1});
  }
  if (KeepsWhatWasDue(fee)) {
    for (const FeeSlice& slice : SlicesToTheEnd(of)) days->push_back(slice.start);
    return;
  }
  const size_t first = days->size();
  for (const FeeSlice& slice : of.slices) {
    if (!fee.in_advance) {
      days->push_back({slice.end.number - 1});
      continue;
    }
    const bool is_known = days->size() > first && days->back() == slice.start;  // the end of the one before
    if (!is_known) days->push_back(slice.start);
    if (slice.end < of.period.end) days->push_back(slice.end);
  }
}

bool PriceFee(const Fee& fee, const FeePeriod& of, Day day, Worth* worth, Quantity* units) {
  FeeSum sum(fee.price);
  ForEachCounted(fee, of, day,
                 [&](const FeeSlice& slice, Day to) { sum.Add(slice.quantity, ShareOf(fee, of, slice.start, to)); });
  return sum.Rest(of.due_before, worth, units);
}

// Each step is what the sum grows by, so that they add up to it.
bool PriceFeeInSteps(const Fee& fee, const FeePeriod& of, Day day, std::vector<FeeStep>* steps) {
  FeeSum sum(fee.price);
  Worth before;
  Quantity units_before;
  bool fits = true;
  ForEachCounted(fee, of, day, [&](const FeeSlice& slice, Day to) {
    sum.Add(slice.quantity, ShareOf(fee, of, slice.start, to));
    Worth worth;
    Quantity units;
    FeeStep step{Text(fee, of, slice, to), {}, {}};
    fits = fits && sum.Quotients(&worth, &units) && Wide::Subtract(worth.amount, before.amount, &step.worth.amount) &&
           !__builtin_sub_overflow(units.attos, units_before.attos, &step.units.attos);
    before = worth;
    units_before = units;
    steps->push_back(std::move(step));
  });
  const Worth off{std::min(before.amount, of.due_before.amount).Negated()};
  if (!off.amount.zero()) steps->push_back({"due before, of earlier plans", {}, off});
  return fits;
}

bool PriceFeeByDays(const Fee& fee, const FeePeriod& of, Day day, Worth* worth) {
  FeeSum sum(fee.price);
  bool first = true;
  Quantity most;  // units of the slices before
  for (const FeeSlice& slice : of.slices) {
    if (KeepsWhatWasDue(fee)) {
      const Quantity more{std::max(slice.quantity.attos - most.attos, Int128{0})};
      most = std::max(most, slice.quantity);
      const bool is_whole = slice.start == of.period.start;
      if (day < slice.start) continue;
      sum.Add(more, is_whole ? Share{1, 1} : RoundedShare(ByDays(fee, of, slice.start, of.period.end), fee.proration));
      continue;
    }
    const bool in_full = IsInFull(fee);
    const Day last = in_full ? of.slices.back().end : slice.end;
    int32_t counted = 0;
    for (Day each = slice.start; each < of.period.end; ++each.number) {
      const bool has_come = fee.in_advance ? slice.start <= day : last.number - 1 <= day.number;
      const bool is_foreseen = fee.in_advance && !fee.once && day < slice.end;
      counted += has_come && (each < slice.end || is_foreseen) ? 1 : 0;
    }
    if (counted == 0 || (in_full && !first)) continue;
    first = false;
    const Day to{slice.start.number + counted};
    sum.Add(slice.quantity, in_full || counted == DaysIn(of.period)
                                ? Share{1, 1}
                                : RoundedShare(ByDays(fee, of, slice.start, to), fee.proration));
  }
  Quantity units;
  return sum.Rest(of.due_before, worth, &units);
}

}  // namespace tollbook
