// Charges that are rated by slices (amendment.h): of a billing period in which several versions of the subscription
// lie, where the charge says what becomes of it; and of every period where included units roll over.
#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <vector>

#include "rating/carried_parts.h"
#include "rating/error.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

// Of one version of the subscription.
struct Version {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  Day start, end;  // half-open
  Day paid_from;   // behind its days of trial
};

// A total of those that a subscription's charge counts.
struct VersionUsage {
  Day day;
  size_t version = 0;  // of the versions at hand: the one by which it is attributed
  const SubjectTotal* total = nullptr;
};

constexpr Day kNever = {INT32_MAX};

Day EndOf(const Subscription& subscription) {
  return subscription.valid_to.value_or(kNever);
}

bool LiesIn(Day start, Day end, const BillingPeriod& period) {
  return start < period.end && period.start < end;
}

bool GoesOn(const Version& from, const Version& to) {
  if (from.subscription == to.subscription) return true;
  if (to.charge->on_amendment == OnAmendment::kByPlan) return from.subscription->plan == to.subscription->plan;
  return to.charge->on_amendment == OnAmendment::kContinue;
}

bool HasMinimum(const Charge& charge) {
  return charge.minimum.has_value() && *charge.minimum != Price{};
}

bool HasTrueUp(const Charge& charge) {
  return charge.per_bucket == PerBucket::kNone && charge.commitment && charge.commitment->true_up;
}

// Of all parts. False: it does not fit.
bool SumOf(std::span<const UsagePart> parts, Quantity* sum) {
  return std::ranges::all_of(parts, [&](const UsagePart& part) { return Add(*sum, part.quantity, sum); });
}

// What is there of a meter that carries over, as the charge of one version takes it, on the days that are added.
class CarriedVersion {
 public:
  // `usage`: as the book has it, so that the elements of one series stand together.
  CarriedVersion(const Charge& charge, const Meter& meter, std::span<const VersionUsage> usage, size_t version)
      : meter_(meter), is_of_parts_(IsOfParts(charge)) {
    all_.usage.Begin(meter, Zone());
    for (const VersionUsage& element : usage) {
      if (element.version == version) Add(charge, *element.total);
    }
  }

  bool is_empty() const { return series_ == 0; }
  Instant first_at() { return all_.usage.first_at(); }
  Instant last_at() { return all_.usage.last_at(); }

  void BeginPeriod(const BillingPeriod& period, const Zone& zone) {
    all_.Begin(period, zone);
    for (Part& part : parts_) part.Begin(period, zone);
  }

  // `set(number, to_date)` of each part of a charge of parts that has begun and that the day changes, or finds there
  // for the first time in the period; `is_changed`: whether a quantity or a count of events is another. False: a
  // quantity does not fit.
  template <typename Set>
  [[nodiscard]] bool AddDay(Day day, const Zone& zone, CarriedUsage::ToDate* all, bool* is_changed, const Set& set) {
    if (!all_.AddDay(day, zone, is_changed)) return false;
    *all = all_.to_date;
    if (is_of_parts_) *is_changed = false;  // its quantity is that of the parts, each rounded
    for (Part& part : parts_) {
      bool is_other = false;
      if (!part.AddDay(day, zone, &is_other)) return false;
      // What comes on a later day is no part yet: its flat amount must not be due before it.
      const bool is_new = !part.is_there && zone.DayOf(part.usage.first_at()) <= day;
      part.is_there = part.is_there || is_new;
      *is_changed = *is_changed || is_other;
      if (is_other || is_new) set(PartTotal{{day, 0}, part.number, {part.to_date.quantity, part.to_date.events, {}}});
    }
    return true;
  }

 private:
  struct Part {
    void Begin(const BillingPeriod& period, const Zone& zone) {
      usage.SetZone(zone);
      usage.BeginPeriod(period);
      to_date = {};
      is_there = false;
    }
    [[nodiscard]] bool AddDay(Day day, const Zone& zone, bool* is_changed) {
      const CarriedUsage::ToDate before = to_date;
      usage.SetZone(zone);
      if (!usage.AddDay(day, &to_date)) return false;
      *is_changed = before.quantity != to_date.quantity || before.events != to_date.events;
      return true;
    }
    uint32_t number = 0;
    CarriedUsage usage;
    CarriedUsage::ToDate to_date;
    bool is_there = false;  // in the period at hand, be it nothing
  };

  void Add(const Charge& charge, const SubjectTotal& element) {
    if (series_ == 0 || !SameValues(last_values_, element.dimension_values)) BeginSeries(charge, element);
    all_.usage.Add(series_ - 1, element.total);
    if (is_of_parts_) parts_[part_].usage.Add(series_ - 1, element.total);
  }
  void BeginSeries(const Charge& charge, const SubjectTotal& first) {
    ++series_;
    last_values_ = first.dimension_values;
    if (!is_of_parts_) return;
    const uint32_t number = PartOf(charge, meter_, first.dimension_values).value_or(0);
    const auto [known, is_new] = part_of_.try_emplace(number, parts_.size());
    part_ = known->second;
    if (!is_new) return;
    parts_.emplace_back().number = number;
    parts_.back().usage.Begin(meter_, Zone());
  }

  const Meter& meter_;
  const bool is_of_parts_;
  Part all_;  // all parts together
  std::vector<Part> parts_;
  std::unordered_map<uint32_t, size_t> part_of_;  // by number
  // Of the element that was added last.
  uint32_t series_ = 0;  // and how many there are
  size_t part_ = 0;
  DimensionValues last_values_;
};

// The slices of one billing period, day by day.
class SlicedPeriod {
 public:
  // `carried`: of each version, where the meter carries over. `owes_unused`: of which also a period in which nothing is
  // there owes its minimum.
  SlicedPeriod(const Catalog& catalog, std::span<const Version> versions, const BillingPeriod& period,
               std::span<CarriedVersion> carried = {}, bool owes_unused = true)
      : catalog_(catalog), versions_(versions), period_(period), carried_(carried), owes_unused_(owes_unused) {
    for (size_t i = 0; i < versions.size(); ++i) AddSlice(i);
    const auto is_of_parts = [](const UsageSlice& slice) { return IsOfParts(*slice.charge); };
    const bool has_parts = std::ranges::any_of(slices_, is_of_parts);
    if (has_parts && carried.empty()) tallies_.emplace(slices_);
    if (has_parts && !carried.empty()) carried_parts_.emplace(slices_);
    if (carried.empty()) return;
    events_seen_.assign(slices_.size(), 0);
    for (size_t i = 0; i < slices_.size(); ++i) {
      carried_[of_slice_[i]].BeginPeriod(period, versions[of_slice_[FirstOfOne(i)]].subscription->zone);
    }
  }

  bool has_slices() const { return !slices_.empty(); }
  size_t first_version() const { return of_slice_.front(); }
  size_t last_version() const { return of_slice_.back(); }
  bool has_minimum() const {  // also one of nothing, which no credit goes below
    return std::ranges::any_of(slices_, [](const UsageSlice& slice) { return slice.charge->minimum.has_value(); });
  }
  // Of a period with usage: the rest of a commitment.
  bool has_true_up() const {
    return std::ranges::any_of(slices_, [](const UsageSlice& slice) { return HasTrueUp(*slice.charge); });
  }
  // The days behind `day`, up to `last`, on which a slice begins to share what was used before.
  absl::Status AddNewShares(Day day, Day last) {
    for (size_t i = 1; i < slices_.size(); ++i) {
      const bool is_shared = slices_[i].goes_on && (Shares(i) || Shares(i - 1));
      const Day start = slices_[i].start;
      if (is_shared && day < start && start <= last) TOLLBOOK_RETURN_IF_ERROR(AddDay(start, {}));
    }
    return absl::OkStatus();
  }
  // Of those slices that go on from the first one.
  void RollOver(Quantity units) {
    for (size_t i = 0; i < slices_.size() && (i == 0 || slices_[i].goes_on); ++i) slices_[i].rolled_over = units;
  }
  bool is_in_one() const { return std::all_of(slices_.begin() + 1, slices_.end(), &SlicedPeriod::IsGoingOn); }
  Quantity used() const { return slices_.back().to_date; }
  std::optional<Day> last_day() const { return last_day_; }  // that was added

  // Days ascend. `usage` is all of that day's.
  absl::Status AddDay(Day day, std::span<const VersionUsage> usage) {
    last_day_ = day;
    used_today_.assign(slices_.size(), false);
    for (const VersionUsage& used : usage) {
      if (!Add(used)) return TotalOutOfRange(LineOf(SliceOf(used.version)));
    }
    for (size_t i = 0; i < slices_.size(); ++i) {
      if (!to_date_[i].ToDate(&slices_[i].to_date)) return TotalOutOfRange(LineOf(i));
    }
    if (tallies_ && !tallies_->EndDay()) return TotalOutOfRange(LineOf(0));
    return RateLines(day);
  }

  // Of what carries over: a day of one of the versions; each slice that goes on into or from its own takes it its way.
  absl::Status AddCarriedDay(Day day, size_t version) {
    last_day_ = day;
    used_today_.assign(slices_.size(), false);
    const size_t slice = SliceOf(version);
    for (size_t i = FirstOfOne(slice); i < EndOfOne(slice); ++i) {
      if (!Carry(i, slice, day)) return TotalOutOfRange(LineOf(i));
    }
    return RateLines(day);
  }
  // The last day of a period that is complete.
  absl::Status EndCarried(Day day) {
    last_day_ = day;
    used_today_.assign(slices_.size(), false);
    return RateLines(day);
  }
  bool was_used() const { return was_used_; }

  void MoveTo(RatedSubject* rated) {
    for (Line& line : lines_) {
      RatedCharge charge = LineOf(line.slice);
      if (line.first_used < slices_.size()) charge.subscription = versions_[of_slice_[line.first_used]].subscription;
      rated->days.insert(rated->days.end(), line.days.begin(), line.days.end());
      rated->amended.insert(rated->amended.end(), line.slices.begin(), line.slices.end());
      rated->sliced.insert(rated->sliced.end(), sliced_.begin(), sliced_.end());
      charge.days = line.days;  // PointToDays goes by their number
      charge.amended = line.slices;
      charge.sliced = sliced_;
      rated->charges.push_back(charge);
      PointToDays(rated);
    }
  }

 private:
  struct Line {
    size_t slice = 0;  // the first one of its plan
    size_t first_used = SIZE_MAX;
    std::vector<DayWorth> days;
    std::vector<UsageSlice> slices;  // all of the period at each of the days
  };

  static bool IsGoingOn(const UsageSlice& slice) { return slice.goes_on; }

  void AddSlice(size_t number) {
    const Version& version = versions_[number];
    if (!LiesIn(version.start, version.end, period_)) return;
    UsageSlice slice;
    slice.charge = version.charge;
    slice.start = std::max(version.start, period_.start);
    slice.goes_on = !slices_.empty() && GoesOn(versions_[of_slice_.back()], version);
    const Day paid_from = std::max(version.paid_from, period_.start), end = std::min(version.end, period_.end);
    const int32_t days = std::max(0, end.number - paid_from.number), of = DaysIn(period_);
    slice.minimum_share = {days == 0 || version.charge->prorates_bound ? days : of, of};
    slice.zone = &version.subscription->zone;
    slice.meter = catalog_.FindMeter(version.charge->meter);
    slices_.push_back(slice);
    of_slice_.push_back(number);
    const bool is_trial_free = catalog_.plans[version.subscription->plan].is_trial_free;
    days_.push_back(is_trial_free ? days : end.number - slice.start.number);
    to_date_.emplace_back().Begin(*slice.meter);
  }

  bool Shares(size_t slice) const { return SharesQuantity(*slices_[slice].charge, *slices_[slice].meter); }

  // Behind the last one that goes on from the same one as this.
  size_t EndOfOne(size_t slice) const {
    size_t end = slice + 1;
    while (end < slices_.size() && slices_[end].goes_on) ++end;
    return end;
  }
  size_t FirstOfOne(size_t slice) const {
    while (slices_[slice].goes_on) --slice;
    return slice;
  }

  // At the end of `day` the last slice that has begun has all days that are left.
  void ShareDays(Day day) {
    for (size_t first = 0, end = 0; first < slices_.size(); first = end) {
      end = EndOfOne(first);
      const int32_t of = std::accumulate(days_.begin() + static_cast<std::ptrdiff_t>(first),
                                         days_.begin() + static_cast<std::ptrdiff_t>(end), 0);
      int32_t from = 0;
      for (size_t i = first; i < end; ++i) {
        const bool has_next = i + 1 < end && slices_[i + 1].start <= day;
        const int32_t to = has_next ? from + days_[i] : of;
        if (Shares(i)) slices_[i].shared = {from, to, of};
        from = to;
      }
    }
  }

  absl::Status RateLines(Day day) {
    ShareDays(day);
    for (size_t i = 0; i < slices_.size(); ++i) {
      const bool is_first_of_plan = FirstOfCharge(i) == i;
      if (is_first_of_plan) TOLLBOOK_RETURN_IF_ERROR(RateLine(i, day));
    }
    return absl::OkStatus();
  }

  // Into slice `i`, on a day of another one or its own.
  bool Carry(size_t i, size_t of_day, Day day) {
    UsageSlice& slice = slices_[i];
    const Zone& zone = versions_[of_slice_[of_day]].subscription->zone;
    CarriedUsage::ToDate all;
    bool is_changed = false;
    const auto set_part = [&](const PartTotal& to_date) {
      carried_parts_->Set(i, to_date);
      sliced_.push_back({static_cast<uint32_t>(i), to_date});
    };
    if (!carried_[of_slice_[i]].AddDay(day, zone, &all, &is_changed, set_part)) return false;
    const uint64_t events = all.events - std::exchange(events_seen_[i], all.events);
    if (i == of_day) {
      used_today_[i] = is_changed;
      was_used_ = was_used_ || used_today_[i];
      slice.events += events;
    }
    if (i >= of_day) slice.to_date = all.quantity;
    return true;
  }

  std::span<const SliceParts> Parts() {
    if (carried_parts_) return carried_parts_->parts();
    return tallies_ ? tallies_->parts() : std::span<const SliceParts>();
  }

  size_t SliceOf(size_t version) const {
    return static_cast<size_t>(std::ranges::find(of_slice_, version) - of_slice_.begin());
  }
  size_t FirstOfCharge(size_t slice) const {
    return static_cast<size_t>(std::ranges::find(slices_, slices_[slice].charge, &UsageSlice::charge) -
                               slices_.begin());
  }

  bool Add(const VersionUsage& used) {
    const size_t slice = SliceOf(used.version);
    TOLLBOOK_ASSERT(slice < slices_.size());  // the version is valid on the day
    used_today_[slice] = true;
    if (__builtin_add_overflow(slices_[slice].events, used.total->total.events, &slices_[slice].events)) return false;
    for (size_t i = slice; i < EndOfOne(slice); ++i) {
      if (!to_date_[i].Add(used.total->total)) return false;
    }
    return !tallies_ || AddParts(slice, used);
  }

  // As the charge of each slice that goes on into or from this one takes it; one without a cell for it does not.
  bool AddParts(size_t slice, const VersionUsage& used) {
    const SubjectTotal& total = *used.total;
    const std::optional<Quantity> prorated = ProratedOf(*total.meter, total.dimension_values);
    TOLLBOOK_ASSERT(prorated.has_value() != total.meter->prorated_property.empty());  // or absorb had not taken it
    for (size_t i = FirstOfOne(slice); i < EndOfOne(slice); ++i) {
      const Charge& charge = *slices_[i].charge;
      const std::optional<uint32_t> part = PartOf(charge, *total.meter, total.dimension_values);
      TOLLBOOK_ASSERT(part.has_value() || i != slice);  // or no charge had taken it
      if (!part || !IsOfParts(charge)) continue;
      const PricedTime time =
          PricedTimeOf(charge, *slices_[slice].zone, total.meter->granularity, total.bucket, used.day);
      sliced_.push_back({static_cast<uint32_t>(i), {time, *part, total.total, prorated.value_or(Quantity())}});
      if (!tallies_->Add(i, sliced_.back().total)) return false;
    }
    return true;
  }

  RatedCharge LineOf(size_t slice) const {
    const Version& version = versions_[of_slice_[slice]];
    RatedCharge line;
    line.subscription = version.subscription;
    line.charge = version.charge;
    line.meter = slices_[slice].meter;
    line.period = period_;
    return line;
  }

  // What slice `i` adds to those that it goes on from; where it shares a quantity, all of it, with its first such
  // slice.
  bool OwnUnits(size_t i, Quantity* units) {
    const size_t first = FirstOfOne(i), end = EndOfOne(i);
    const bool is_of_parts = IsOfParts(*slices_[i].charge);
    if (Shares(i)) {
      const auto is_same = [&](const UsageSlice& slice) { return slice.charge == slices_[i].charge; };
      if (std::any_of(slices_.begin() + static_cast<std::ptrdiff_t>(first),
                      slices_.begin() + static_cast<std::ptrdiff_t>(i), is_same)) {
        return true;
      }
      if (is_of_parts) return SumOf(Parts()[i].whole, units);
      return *units = slices_[end - 1].to_date, true;
    }
    Quantity before = i == first ? Quantity() : slices_[i - 1].to_date, to_date = slices_[i].to_date;
    if (is_of_parts) {
      before = to_date = {};
      if (!SumOf(Parts()[i].before, &before) || !SumOf(Parts()[i].to_date, &to_date)) return false;
    }
    return !__builtin_sub_overflow(to_date.attos, before.attos, &units->attos);
  }

  // Its own units and events; whether any of its slices has usage on the day at hand.
  bool OwnToDate(const Charge* charge, DayWorth* day, bool* is_used_today) {
    for (size_t i = 0; i < slices_.size(); ++i) {
      if (slices_[i].charge != charge) continue;
      Quantity own;
      if (!OwnUnits(i, &own) || !tollbook::Add(day->to_date, own, &day->to_date)) return false;
      if (__builtin_add_overflow(day->events_to_date, slices_[i].events, &day->events_to_date)) return false;
      *is_used_today = *is_used_today || used_today_[i];
    }
    return true;
  }

  // A day on which nothing of it was used is one of the line's only where it changes what the line is worth: another
  // tier for all units, another share, a minimum or commitment.
  absl::Status RateLine(size_t slice, Day day) {
    const Charge& charge = *slices_[slice].charge;
    const Currency currency = catalog_.plans[versions_[of_slice_[slice]].subscription->plan].currency;
    DayWorth worth{day, {}, {}, 0};
    bool is_used_today = false;
    if (!OwnToDate(&charge, &worth, &is_used_today)) return TotalOutOfRange(LineOf(slice));
    const std::span<const SliceParts> parts = Parts();
    const bool is_complete = day.number == period_.end.number - 1 && (was_used_ || owes_unused_);
    const absl::StatusOr<Worth> exact = PriceSlices(slices_, charge, is_complete, nullptr, parts);
    Rounded rounded;
    if (!exact.ok() || !RoundToMinor(*exact, currency, catalog_.book.rounding, &rounded)) {
      return WorthOutOfRange(LineOf(slice), worth.to_date);
    }
    worth.booked_to_date = rounded.line;
    auto line = std::ranges::find(lines_, slice, &Line::slice);
    const bool is_new = line == lines_.end();
    const Int128 before = is_new ? 0 : line->days.back().booked_to_date.minor;
    if (!is_used_today && worth.booked_to_date.minor == before) return absl::OkStatus();
    if (is_new) line = lines_.insert(lines_.end(), {slice, SIZE_MAX, {}, {}});
    for (size_t i = 0; i < slices_.size() && line->first_used == SIZE_MAX; ++i) {
      if (slices_[i].charge == &charge && (slices_[i].events > 0 || used_today_[i])) line->first_used = i;
    }
    line->days.push_back(worth);
    line->slices.insert(line->slices.end(), slices_.begin(), slices_.end());
    return absl::OkStatus();
  }

  const Catalog& catalog_;
  const std::span<const Version> versions_;
  const BillingPeriod period_;
  std::vector<UsageSlice> slices_;
  std::vector<size_t> of_slice_;           // their versions
  std::vector<RunningAggregate> to_date_;  // of each slice
  std::vector<int32_t> days_;              // of each slice that it may share a quantity by
  std::optional<SliceTallies> tallies_;    // where any of them prices parts
  std::vector<SlicedTotal> sliced_;        // what is in them; of carried_parts_ what they were set to
  const std::span<CarriedVersion> carried_;
  std::optional<CarriedParts> carried_parts_;  // where any of the slices prices parts of what carries over
  std::vector<uint64_t> events_seen_;          // by each slice that takes what carries over
  const bool owes_unused_;
  bool was_used_ = false;  // what is there of what carries over
  std::optional<Day> last_day_;
  std::vector<bool> used_today_;
  std::vector<Line> lines_;
};

// The versions of a charge of a meter that carries over. Every day counts, be it without usage. `is_sliced(version,
// period)`: whether the period is.
template <typename IsSliced>
class CarriedVersions {
 public:
  CarriedVersions(const Catalog& catalog, std::span<const Version> versions, std::span<const VersionUsage> usage,
                  const RateWindow& window, const IsSliced& is_sliced)
      : catalog_(catalog), versions_(versions), window_(window), is_sliced_(is_sliced) {
    for (size_t i = 0; i < versions.size(); ++i) {
      carried_.emplace_back(*versions[i].charge, *catalog.FindMeter(versions[i].charge->meter), usage, i);
      last_.push_back(LastOf(i));
    }
  }

  absl::Status Rate(const BillingCycle& cycle, bool has_minimum, RatedSubject* rated) {
    const std::optional<Day> timed = TimedThrough(window_);
    std::optional<Day> from, last;
    for (size_t i = 0; i < versions_.size(); ++i) {
      if (carried_[i].is_empty()) continue;
      const Day first = std::max(versions_[i].start, versions_[i].subscription->zone.DayOf(carried_[i].first_at()));
      from = std::min(from.value_or(first), first);
      last = std::max(last, std::optional(last_[i]));
    }
    // Periods with nothing matter where they owe a minimum.
    if (has_minimum && timed) from = versions_.front().start, last = std::max(last, timed);
    if (!last) return absl::OkStatus();
    for (BillingPeriod period; *from <= *last; *from = period.end) {
      period = PeriodOf(cycle, *from);
      TOLLBOOK_RETURN_IF_ERROR(RatePeriod(period, std::max(*from, period.start), *last, rated));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status RatePeriod(const BillingPeriod& period, Day from, Day last, RatedSubject* rated) {
    const Day last_of_period{period.end.number - 1};
    const std::optional<Day> timed = TimedThrough(window_);
    const bool owes_unused = timed && last_of_period <= *timed;
    SlicedPeriod slices(catalog_, versions_, period, carried_, owes_unused);
    if (!slices.has_slices() || !is_sliced_(versions_[slices.first_version()], period)) return absl::OkStatus();
    for (Day day = from; day <= std::min(last, last_of_period); ++day.number) {
      if (const std::optional<size_t> version = VersionOn(day)) {
        TOLLBOOK_RETURN_IF_ERROR(slices.AddCarriedDay(day, *version));
      }
    }
    const bool is_used = slices.was_used();
    const bool is_complete = is_used ? !window_.through || last_of_period <= *window_.through : owes_unused;
    const bool has_due = slices.has_minimum() || (slices.has_true_up() && is_used);
    if (has_due && is_complete && slices.last_day() != last_of_period) {
      TOLLBOOK_RETURN_IF_ERROR(slices.EndCarried(last_of_period));
    }
    slices.MoveTo(rated);
    return absl::OkStatus();
  }

  // Up to which day what is there of a version is rated.
  Day LastOf(size_t version) {
    const Version& of = versions_[version];
    Day last = {INT32_MIN};
    if (!carried_[version].is_empty()) last = of.subscription->zone.DayOf(carried_[version].last_at());
    last = window_.through.value_or(std::max(last, window_.carried_through.value_or(last)));
    return std::min(last, Day{of.end.number - 1});
  }

  // Of days that are free none.
  std::optional<size_t> VersionOn(Day day) const {
    for (size_t i = 0; i < versions_.size(); ++i) {
      const bool is_free = catalog_.plans[versions_[i].subscription->plan].is_trial_free;
      const Day start = is_free ? versions_[i].paid_from : versions_[i].start;
      if (start <= day && day <= last_[i]) return i;
    }
    return std::nullopt;
  }

  const Catalog& catalog_;
  const std::span<const Version> versions_;
  const RateWindow& window_;
  const IsSliced& is_sliced_;
  // Of each version.
  std::vector<CarriedVersion> carried_;
  std::vector<Day> last_;
};

}  // namespace

struct SubjectRater::SlicedVersions {
  BillingCycle cycle;
  std::vector<Version> versions;    // by time
  std::vector<VersionUsage> usage;  // by day
  bool rolls_over = false, has_minimum = false;
  bool carries_over = false;  // `usage` is all that is there, whoever's days it came on
};

bool SubjectRater::IsSliced(const Subscriptions& subscriptions, std::string_view id, const Charge& charge,
                            const BillingPeriod& period) {
  if (charge.rollover) return true;
  if (charge.on_amendment == OnAmendment::kByPlan) return false;
  return std::ranges::count_if(subscriptions, [&](const Subscription& version) {
           return version.id == id && LiesIn(version.valid_from, EndOf(version), period);
         }) > 1;
}

SubjectRater::SlicedVersions SubjectRater::VersionsOf(const Subscriptions& subscriptions, const Subscription& first,
                                                      const PlanCharge& charge) {
  SlicedVersions found;
  found.cycle = catalog_.CycleOf(charge.billing, first);
  const auto carries_over = [&](const Charge& of) { return CarriesOver(*catalog_.FindMeter(of.meter)); };
  found.carries_over = carries_over(*charge.charge);
  std::vector<size_t> numbers;  // of the subject's subscriptions
  for (const Subscription& version : subscriptions) {
    if (version.id != first.id) continue;
    const PlanCharge* same = PlanOf(version).ChargeNamed(charge.charge->name);
    if (same == nullptr || !HasSlicedUsage(*same->charge) || carries_over(*same->charge) != found.carries_over)
      continue;
    if (catalog_.CycleOf(same->billing, version) != found.cycle) continue;
    found.versions.push_back(
        {&version, same->charge, version.valid_from, EndOf(version), catalog_.FirstPaidDayOf(version)});
    numbers.push_back(static_cast<size_t>(&version - subscriptions.begin()));
    found.rolls_over = found.rolls_over || same->charge->rollover.has_value();
    found.has_minimum = found.has_minimum || HasMinimum(*same->charge);
  }
  for (const AmendedTotal& total : amended_) {
    const auto at = std::ranges::find(numbers, total.priced.subscription());
    const auto version = static_cast<size_t>(at - numbers.begin());
    if (at == numbers.end() || found.versions[version].charge != total.charge->charge) continue;
    found.usage.push_back({total.priced.day(), version, &total.priced.total()});
  }
  std::ranges::sort(found.usage, [&](const VersionUsage& a, const VersionUsage& b) {
    if (found.carries_over) return a.total < b.total;
    return std::tie(a.day, a.version, a.total) < std::tie(b.day, b.version, b.total);
  });
  return found;
}

absl::Status SubjectRater::RateVersions(const Subscriptions& subscriptions, const SlicedVersions& of,
                                        const RateWindow& window, RatedSubject* rated) {
  if (of.carries_over) {
    const auto is_sliced = [&](const Version& version, const BillingPeriod& period) {
      return IsSliced(subscriptions, version.subscription->id, *version.charge, period);
    };
    return CarriedVersions(catalog_, of.versions, of.usage, window, is_sliced).Rate(of.cycle, of.has_minimum, rated);
  }
  const std::optional<Day> timed = TimedThrough(window);
  std::span<const VersionUsage> rest = of.usage;
  // Periods without usage matter where they leave units, or owe a minimum.
  const bool walks_all = of.rolls_over || (of.has_minimum && timed);
  std::optional<Day> last = of.usage.empty() ? std::nullopt : std::optional(of.usage.back().day);
  if (of.has_minimum && timed) last = std::max(last, timed);
  if (!last) return absl::OkStatus();
  Day from = of.versions.front().start;
  if (!walks_all && !rest.empty()) from = rest.front().day;
  RolledOver rolled_over;
  const Version* before = nullptr;
  for (BillingPeriod period; from <= *last; from = period.end) {
    if (!walks_all && rest.empty()) break;
    if (!walks_all) from = std::max(from, rest.front().day);
    period = PeriodOf(of.cycle, from);
    size_t count = 0;
    while (count < rest.size() && rest[count].day < period.end) ++count;
    const std::span<const VersionUsage> usage = rest.first(count);
    rest = rest.subspan(count);
    SlicedPeriod slices(catalog_, of.versions, period);
    const Version* first = slices.has_slices() ? &of.versions[slices.first_version()] : nullptr;
    const bool is_sliced = first != nullptr && IsSliced(subscriptions, first->subscription->id, *first->charge, period);
    if (first == nullptr || before == nullptr || !GoesOn(*before, *first)) rolled_over.Clear();
    before = first == nullptr ? nullptr : &of.versions[slices.last_version()];
    if (!is_sliced) {
      rolled_over.Clear();
      continue;
    }
    Quantity units;
    bool fits = rolled_over.Sum(&units);
    slices.RollOver(units);
    for (size_t i = 0; i < usage.size();) {
      size_t of_day = 1;
      while (i + of_day < usage.size() && usage[i + of_day].day == usage[i].day) ++of_day;
      TOLLBOOK_RETURN_IF_ERROR(slices.AddDay(usage[i].day, usage.subspan(i, of_day)));
      const std::optional<Day> next =
          i + of_day < usage.size() ? std::optional(Day{usage[i + of_day].day.number - 1}) : window.through;
      TOLLBOOK_RETURN_IF_ERROR(slices.AddNewShares(usage[i].day, next.value_or(kNever)));
      i += of_day;
    }
    const Day last_of_period = {period.end.number - 1};
    const bool is_complete =
        usage.empty() ? timed && last_of_period <= *timed : !window.through || last_of_period <= *window.through;
    const bool has_last_day = slices.last_day() == last_of_period;
    const bool has_due = slices.has_minimum() || (slices.has_true_up() && !usage.empty());
    const bool is_due = has_due && is_complete && !has_last_day;
    if (is_due) TOLLBOOK_RETURN_IF_ERROR(slices.AddDay(last_of_period, {}));
    slices.MoveTo(rated);
    if (!slices.is_in_one()) rolled_over.Clear();
    if (before->charge->rollover) {
      fits = fits && rolled_over.EndPeriod(*before->charge, slices.used());
    } else {
      rolled_over.Clear();
    }
    if (!fits) {
      RatedCharge line;
      line.subscription = before->subscription;
      line.charge = before->charge;
      line.period = period;
      return TotalOutOfRange(line);
    }
  }
  return absl::OkStatus();
}

absl::Status SubjectRater::RateAmended(const Subscriptions& subscriptions, const RateWindow& window,
                                       RatedSubject* rated) {
  PointToDays(rated);
  std::vector<const Charge*> done;  // of the subscription at hand
  for (const Subscription& first : subscriptions) {
    const bool is_first = std::ranges::none_of(std::span(subscriptions.begin(), &first),
                                               [&](const Subscription& earlier) { return earlier.id == first.id; });
    if (!is_first) continue;
    done.clear();
    for (const Subscription& version : subscriptions) {
      if (version.id != first.id) continue;
      for (const PlanCharge& charge : PlanOf(version).charges()) {
        if (!HasSlicedUsage(*charge.charge) || std::ranges::find(done, charge.charge) != done.end()) continue;
        const SlicedVersions versions = VersionsOf(subscriptions, version, charge);
        for (const Version& same : versions.versions) done.push_back(same.charge);
        TOLLBOOK_RETURN_IF_ERROR(RateVersions(subscriptions, versions, window, rated));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace tollbook
