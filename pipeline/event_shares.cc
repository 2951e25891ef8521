#include "pipeline/event_shares.h"

#include <algorithm>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "rating/before_end.h"
#include "rating/price.h"
#include "rating/running_usage.h"

namespace tollbook {
namespace {

// No worth that is rounded is larger than this, in 10^-36 of the major unit, whatever the currency; so differences of
// worths within it fit, and so do sums of such differences, each of which ends where the next one begins.
bool IsWithinBounds(const Worth& worth) {
  constexpr Int128 kMajor = static_cast<Int128>(1'000'000'000'000'000'000) * 1'000'000'000'000'000'000;
  const Wide bound = Wide::Product(kMinorMax, kMajor);
  return worth.amount <= bound && worth.amount >= bound.Negated();
}

Worth Difference(const Worth& a, const Worth& b) {
  Worth difference;
  TOLLBOOK_ASSERT(Wide::Subtract(a.amount, b.amount, &difference.amount));
  return difference;
}

Worth Sum(const Worth& a, const Worth& b) {
  Worth sum;
  TOLLBOOK_ASSERT(Wide::Add(a.amount, b.amount, &sum.amount));
  return sum;
}

// The worth of a charge's usage while it grows event by event.
class GrowingWorth {
 public:
  virtual ~GrowingWorth() = default;
  // Both false when a number cannot be held.
  [[nodiscard]] virtual bool Add(const PartTotal& usage) = 0;
  // `complete`: the period is over.
  [[nodiscard]] virtual bool Price(bool complete, Quantity* quantity, Worth* worth) = 0;
};

// One price for all of a period's usage.
class OfQuantity : public GrowingWorth {
 public:
  OfQuantity(const Charge& charge, const Meter& meter)
      : charge_(charge), meter_(meter), is_merge_alone_(IsMergeAlone(meter)) {
    aggregate_.Begin(meter);
  }
  bool Add(const PartTotal& usage) override {
    return is_merge_alone_ ? Merge(meter_.aggregation, usage.total, &total_) : aggregate_.Add(usage.total);
  }
  bool Price(bool complete, Quantity* quantity, Worth* worth) override {
    *quantity = total_.value;
    if (!is_merge_alone_ && !aggregate_.ToDate(quantity)) return false;
    const absl::StatusOr<Worth> price = PriceQuantity(charge_, *quantity);
    if (price.ok()) *worth = *price;
    return price.ok();
  }

 private:
  const Charge& charge_;
  const Meter& meter_;
  const bool is_merge_alone_;
  UsageTotal total_;
  RunningAggregate aggregate_;
};

// Parts that are priced together over the whole period: to the rater an event is then as good as a day.
class OfParts : public GrowingWorth {
 public:
  OfParts(const Charge& charge, const Meter& meter, const Zone& zone, DayShare minimum_share)
      : charge_(charge), minimum_share_(minimum_share) {
    running_.Begin(charge, meter, zone);
  }
  bool Add(const PartTotal& usage) override {
    is_used_ = true;
    return running_.Add(usage);
  }
  bool Price(bool complete, Quantity* quantity, Worth* worth) override {
    if (!running_.EndDay()) return false;
    *quantity = running_.quantity();
    if (!is_used_ && complete) return PriceUnused(charge_, minimum_share_, worth);
    return PriceAround(charge_, running_.worth(), complete, worth, minimum_share_);
  }

 private:
  const Charge& charge_;
  const DayShare minimum_share_;
  bool is_used_ = false;
  RunningUsage running_;
};

// Buckets that are priced alone and summed: only those that grew are priced again.
class OfBuckets : public GrowingWorth {
 public:
  OfBuckets(const Charge& charge, const Meter& meter, const Zone& zone, DayShare minimum_share)
      : charge_(charge), meter_(meter), zone_(zone), minimum_share_(minimum_share) {}
  bool Add(const PartTotal& usage) override {
    const auto bucket = buckets_.try_emplace(BucketOf(charge_, usage.time)).first;
    const auto [part, is_new] = bucket->second.parts.try_emplace(usage.part);
    if (is_new) part->second.aggregate.Begin(meter_);
    if (grown_.empty() || grown_.back() != bucket) grown_.push_back(bucket);
    if (IsOfEvents(PricingOf(charge_, usage.part))) part->second.elements.emplace_back(usage.total, usage.prorated);
    return part->second.aggregate.Add(usage.total);
  }
  bool Price(bool complete, Quantity* quantity, Worth* worth) override {
    for (const auto bucket : grown_) {
      if (!PriceAgain(bucket->first, &bucket->second)) return false;
    }
    grown_.clear();
    *quantity = quantity_;
    return PriceAround(charge_, worth_, complete, worth, minimum_share_);
  }

 private:
  struct Part {
    RunningAggregate aggregate;
    std::vector<PricedElement> elements;  // where its pricing is of events: in their order
  };
  struct Bucket {
    std::map<uint32_t, Part> parts;
    Quantity quantity;
    Worth worth;
  };

  bool PriceAgain(PricedTime time, Bucket* bucket) {
    std::vector<UsagePart> parts;
    Quantity of_bucket;
    for (auto& [number, part] : bucket->parts) {
      Quantity quantity;
      if (!part.aggregate.ToDate(&quantity) || !tollbook::Add(of_bucket, quantity, &of_bucket)) return false;
      parts.push_back({time, number, quantity, part.aggregate.events(), part.elements});
    }
    Worth worth;
    if (!PriceBuckets(charge_, parts, zone_, &worth)) return false;
    const Quantity more{of_bucket.attos - bucket->quantity.attos};  // both are below 2^126, as stored totals are
    Wide grown;
    if (!Wide::Subtract(worth.amount, bucket->worth.amount, &grown)) return false;
    bucket->quantity = of_bucket;
    bucket->worth = worth;
    return tollbook::Add(quantity_, more, &quantity_) && Wide::Add(worth_.amount, grown, &worth_.amount);
  }

  const Charge& charge_;
  const Meter& meter_;
  const Zone& zone_;
  const DayShare minimum_share_;
  std::map<PricedTime, Bucket> buckets_;
  std::vector<std::map<PricedTime, Bucket>::iterator> grown_;  // since they were priced
  Quantity quantity_;
  Worth worth_;
};

std::unique_ptr<GrowingWorth> MakeGrowingWorth(const ChargeUsage& usage) {
  const SubscribedCharge& of = usage.of;
  if (IsOfQuantityAlone(*of.charge)) return std::make_unique<OfQuantity>(*of.charge, *of.meter);
  const Zone& zone = of.subscription->zone;
  const DayShare share = usage.minimum_share;
  if (of.charge->per_bucket == PerBucket::kNone) return std::make_unique<OfParts>(*of.charge, *of.meter, zone, share);
  return std::make_unique<OfBuckets>(*of.charge, *of.meter, zone, share);
}

// The quantity of the part that the usage falls in, among those of the charge; or the one that there is without parts.
Quantity QuantityIn(std::span<const UsagePart> parts, const Charge& charge, const PartTotal& usage, Quantity of_all) {
  const PricedTime bucket = BucketOf(charge, usage.time);
  const auto part =
      std::ranges::find_if(parts, [&](const UsagePart& one) { return one.time == bucket && one.part == usage.part; });
  return part == parts.end() ? of_all : part->quantity;
}

// The same of a charge that is rated by slices, in the one that the usage falls in.
Quantity QuantityInSlices(const RatedCharge& rated, const DayWorth& day, const PartTotal& usage) {
  const std::span<const UsageSlice> slices = OfDay(rated, rated.amended, day);
  size_t at = 0;
  while (at + 1 < slices.size() && slices[at + 1].start <= usage.time.day) ++at;
  const UsageSlice& slice = slices[at];
  if (!IsOfParts(*slice.charge)) return slice.to_date;
  const SliceTallies tallies = TalliesToDate(rated, day);
  return QuantityIn(tallies.parts()[at].to_date, *slice.charge, usage, slice.to_date);
}

// The charge once more, rated by all that it depends on, while its usage grows event by event.
class RatedAgain {
 public:
  RatedAgain(const Catalog& catalog, const ChargeUsage& usage) : usage_(usage), rater_(catalog) {}

  // False: a total does not fit.
  [[nodiscard]] bool Add(const ChargeEvent& event) {
    return AddTo(*usage_.of.meter, event.place, event.usage.total, &totals_);
  }
  // Through the day, without what is due when the period ends. False: a number cannot be held.
  [[nodiscard]] bool Price(Day through, Quantity* quantity, Worth* worth, std::vector<PriceStep>* steps) {
    *quantity = {};
    *worth = {};
    if (steps != nullptr) steps->clear();
    if (!Rate(through)) return false;
    const RatedCharge* const line = Line();
    if (line == nullptr) return true;  // nothing was used by then
    const DayWorth& day = line->days.back();
    *quantity = day.to_date;
    const absl::StatusOr<Worth> price = PriceBeforeEnd(*line, day, steps);
    if (price.ok()) *worth = *price;
    return price.ok();
  }

  // EventShare::position of usage that was added before the last price.
  Quantity PositionOf(const PartTotal& usage) const {
    const RatedCharge& line = *Line();
    const DayWorth& day = line.days.back();
    if (!line.amended.empty()) return QuantityInSlices(line, day, usage);
    return QuantityIn(UsageToDate(line, day).parts, *line.charge, usage, day.to_date);
  }

 private:
  // Null: there is none.
  const RatedCharge* Line() const {
    const auto line = std::ranges::find_if(rated_.charges, [&](const RatedCharge& rated) {
      return rated.charge == usage_.of.charge && rated.subscription->id == usage_.of.subscription->id &&
             rated.period == usage_.period;
    });
    return line == rated_.charges.end() ? nullptr : &*line;
  }

  bool Rate(Day through) {
    std::vector<std::vector<std::string_view>> values;  // what the totals point to
    values.reserve(usage_.beside.size() + totals_.size());
    std::vector<SubjectTotal> totals;
    const auto append = [&](const Meter* meter, const std::vector<std::string>& of, Bucket bucket,
                            const UsageTotal& total) {
      values.emplace_back(of.begin(), of.end());
      totals.push_back({meter, values.back(), bucket, total});
    };
    for (const ChargeUsage::StoredTotal& total : usage_.beside)
      append(total.meter, total.values, total.bucket, total.total);
    for (const auto& [place, total] : totals_) append(usage_.of.meter, place.values, place.bucket, total);
    return rater_.Rate(usage_.of.subscription->subject, totals, RateWindow(through), &rated_).ok();
  }

  const ChargeUsage& usage_;
  SubjectRater rater_;
  RatedSubject rated_;
  std::map<ChargeUsage::Place, UsageTotal> totals_;  // of the events so far
};

// What events change in the steps of a price.
class StepChanges {
 public:
  void Begin(std::vector<PriceStep> steps) { last_ = std::move(steps); }

  std::vector<std::string> Next(std::vector<PriceStep> now) {
    std::vector<std::string> changed;
    bool another_step = false;  // one is left for another: a tier of a volume price
    for (const PriceStep& step : last_) another_step = another_step || Find(now, step.what) == nullptr;
    for (const PriceStep& step : now) {
      const PriceStep* const was = Find(last_, step.what);
      const bool is_nothing = step.quantity == Quantity() && step.worth.amount.zero();
      if (was == nullptr && is_nothing) continue;
      if (was != nullptr && was->quantity == step.quantity && was->worth == step.worth) continue;
      if (was == nullptr && another_step) {
        changed.push_back("now " + step.what);
        continue;
      }
      const Quantity more{step.quantity.attos - (was == nullptr ? 0 : was->quantity.attos)};
      const std::string sign = more.attos > 0 ? " +" : " ";
      changed.push_back(step.what + (more.attos == 0 || IsOnlyWorth(step) ? "" : sign + ToString(more)));
    }
    last_ = std::move(now);
    return changed;
  }

 private:
  static const PriceStep* Find(const std::vector<PriceStep>& steps, const std::string& what) {
    const auto found = std::find_if(steps.begin(), steps.end(), [&](const PriceStep& s) { return s.what == what; });
    return found == steps.end() ? nullptr : &*found;
  }

  std::vector<PriceStep> last_;
};

// The steps of the price of the usage so far, for the few events that are shown.
class Steps {
 public:
  Steps(const ChargeUsage& usage, Quantity before) : usage_(usage), parts_(usage.before) {
    if (!parts_.empty()) changes_.Begin(StepsOf(before));
  }

  // What the event changes in them; and EventShare::position.
  std::vector<std::string> After(const PartTotal& event, Quantity to_date, Quantity* position) {
    parts_.push_back(event);
    return changes_.Next(StepsOf(to_date, position));
  }

 private:
  // None where they cannot be held: the worth then says so.
  std::vector<PriceStep> StepsOf(Quantity to_date, Quantity* position = nullptr) const {
    RatedCharge rated;
    rated.subscription = usage_.of.subscription;
    rated.charge = usage_.of.charge;
    rated.meter = usage_.of.meter;
    rated.period = usage_.period;
    if (!IsOfQuantityAlone(*usage_.of.charge)) rated.parts = parts_;
    PeriodUsage period = UsageToDate(rated, {parts_.back().time.day, to_date, {}, 0});
    period.complete = false;
    if (position != nullptr) *position = QuantityIn(period.parts, *usage_.of.charge, parts_.back(), to_date);
    std::vector<PriceStep> steps;
    const absl::StatusOr<Worth> priced = PricePeriod(*usage_.of.charge, period, &steps);
    return priced.ok() ? steps : std::vector<PriceStep>();
  }

  const ChargeUsage& usage_;
  std::vector<PartTotal> parts_;
  StepChanges changes_;
};

absl::Status CannotBeHeld(const ChargeUsage& usage) {
  return MakeError(absl::StatusCode::kOutOfRange, "the share of an event cannot be held",
                   std::string(usage.of.subscription->id) + " " + usage.of.charge->name, "leave out --events");
}

bool IsTakenBack(const ChargeEvent& event) {
  return !event.taken_back_by.empty();
}

class Sharing {
 public:
  Sharing(const Catalog& catalog, const ChargeUsage& usage, const PricedDays& priced, size_t shown)
      : catalog_(catalog), usage_(usage), priced_(priced), shown_(shown) {}

  absl::StatusOr<EventShares> Share(std::vector<ChargeEvent> events) {
    for (const ChargeEvent& event : events) ++(IsTakenBack(event) ? shares_.taken_back : shares_.events);
    shares_.before = priced_.before.to_date;
    shares_.by_day = usage_.is_by_day;
    if (usage_.is_by_day) {
      ByDay(std::move(events));
    } else if (usage_.is_rated_again) {
      TOLLBOOK_RETURN_IF_ERROR(ByRater(std::move(events)));
    } else {
      TOLLBOOK_RETURN_IF_ERROR(ByEvent(std::move(events)));
    }
    return std::move(shares_);
  }

 private:
  void ByDay(std::vector<ChargeEvent> events) {
    for (size_t i = 0; i < events.size() && i < shown_; ++i)
      shares_.shown.push_back({std::move(events[i]), {}, {}, {}, {}});
    shares_.more = events.size() - shares_.shown.size();
    Worth last = priced_.before.worth;
    for (const DayPrice& day : priced_.days) {
      shares_.days.push_back({day.day, day.to_date, Difference(day.worth, last)});
      shares_.sum = Sum(shares_.sum, shares_.days.back().share);
      last = day.worth;
    }
  }

  absl::Status ByEvent(std::vector<ChargeEvent> events) {
    const std::unique_ptr<GrowingWorth> growing = MakeGrowingWorth(usage_);
    const auto itself = [](const PartTotal& usage) -> const PartTotal& { return usage; };
    if (!Add(std::span(usage_.before), itself, *growing)) return CannotBeHeld(usage_);
    // The rater came to the same by its own way, or one of the two has a bug.
    TOLLBOOK_ASSERT(to_date_ == priced_.before.to_date && worth_ == priced_.before.worth);
    Steps steps(usage_, to_date_);
    const size_t shown = std::min(shown_, events.size());
    for (size_t i = 0; i < shown; ++i) {
      if (IsTakenBack(events[i])) {
        shares_.shown.push_back({std::move(events[i]), to_date_, {}, {}, {}});
        continue;
      }
      const Worth before = worth_;
      if (!growing->Add(events[i].usage) || !Price(*growing, false)) return CannotBeHeld(usage_);
      Quantity position;
      std::vector<std::string> falls_in = steps.After(events[i].usage, to_date_, &position);
      shares_.shown.push_back(
          {std::move(events[i]), to_date_, position, Difference(worth_, before), std::move(falls_in)});
      shares_.sum = Sum(shares_.sum, shares_.shown.back().share);
    }
    events.erase(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(shown));
    shares_.more = events.size();
    std::erase_if(events, IsTakenBack);
    TOLLBOOK_RETURN_IF_ERROR(AddMore(events, *growing));
    if (priced_.is_complete) {
      const Worth before = worth_;
      if (!Price(*growing, true)) return CannotBeHeld(usage_);
      shares_.at_period_end = Difference(worth_, before);
      shares_.sum = Sum(shares_.sum, shares_.at_period_end);
    }
    const DayPrice& last = priced_.days.empty() ? priced_.before : priced_.days.back();
    TOLLBOOK_ASSERT(to_date_ == last.to_date && worth_ == last.worth);
    TOLLBOOK_ASSERT(shares_.sum == Difference(last.worth, priced_.before.worth));
    return absl::OkStatus();
  }

  // Day by day: first what the day changes beside the events, then each of those that are shown, then the others.
  absl::Status ByRater(std::vector<ChargeEvent> events) {
    RatedAgain rated(catalog_, usage_);
    StepChanges steps;
    to_date_ = priced_.before.to_date;
    worth_ = priced_.before.worth;
    const std::span<ChargeEvent> all = events;
    size_t next = 0;
    for (const DayPrice& day : priced_.days) {
      while (next < all.size() && all[next].usage.time.day < day.day) ShowTakenBack(&all[next++]);
      std::vector<PriceStep> now;
      Worth share;
      if (!Grow(rated, day.day, &share, &now)) return CannotBeHeld(usage_);
      steps.Begin(std::move(now));
      if (!share.amount.zero()) shares_.days.push_back({day.day, to_date_, share});
      for (; next < all.size() && all[next].usage.time.day == day.day; ++next) {
        ChargeEvent& event = all[next];
        if (IsTakenBack(event)) {
          ShowTakenBack(&event);
          continue;
        }
        if (!rated.Add(event)) return CannotBeHeld(usage_);
        if (shares_.shown.size() == shown_) {
          ++shares_.more;
          continue;
        }
        if (!Grow(rated, day.day, &share, &now)) return CannotBeHeld(usage_);
        const Quantity position = rated.PositionOf(event.usage);
        shares_.shown.push_back({std::move(event), to_date_, position, share, steps.Next(std::move(now))});
      }
      if (shares_.more == 0) continue;
      if (!Grow(rated, day.day, &share, nullptr)) return CannotBeHeld(usage_);
      shares_.more_share = Sum(shares_.more_share, share);
    }
    while (next < all.size()) ShowTakenBack(&all[next++]);
    // What the end of the period adds is what the rater said of it beyond that.
    if (priced_.days.empty()) return absl::OkStatus();
    const DayPrice& last = priced_.days.back();
    TOLLBOOK_ASSERT(to_date_ == last.to_date);
    if (priced_.is_complete) shares_.at_period_end = Difference(last.worth, worth_);
    TOLLBOOK_ASSERT(priced_.is_complete || worth_ == last.worth);
    shares_.sum = Difference(last.worth, priced_.before.worth);
    return absl::OkStatus();
  }

  // Where no day is priced, all events were taken back.
  void ShowTakenBack(ChargeEvent* event) {
    TOLLBOOK_ASSERT(IsTakenBack(*event));
    if (shares_.shown.size() < shown_) {
      shares_.shown.push_back({std::move(*event), to_date_, {}, {}, {}});
    } else {
      ++shares_.more;
    }
  }

  // `share`: what the worth grew by since it was asked for last.
  bool Grow(RatedAgain& rated, Day through, Worth* share, std::vector<PriceStep>* steps) {
    const Worth before = worth_;
    if (!rated.Price(through, &to_date_, &worth_, steps) || !IsWithinBounds(worth_)) return false;
    *share = Difference(worth_, before);
    return true;
  }

  bool Price(GrowingWorth& growing, bool complete) {
    return growing.Price(complete, &to_date_, &worth_) && IsWithinBounds(worth_);
  }

  // All of them, priced at the end of each day, as the rater does: what is told in the order of time is told day by
  // day.
  template <typename Item, typename UsageOfItem>
  bool Add(std::span<const Item> items, const UsageOfItem& usage_of, GrowingWorth& growing) {
    for (size_t i = 0; i < items.size(); ++i) {
      const PartTotal& usage = usage_of(items[i]);
      if (!growing.Add(usage)) return false;
      const bool day_goes_on = i + 1 < items.size() && usage_of(items[i + 1]).time.day == usage.time.day;
      if (!day_goes_on && !Price(growing, false)) return false;
    }
    return true;
  }

  // What they come to together needs no price of each: each share would end where the next one begins.
  absl::Status AddMore(std::span<const ChargeEvent> events, GrowingWorth& growing) {
    if (events.empty()) return absl::OkStatus();
    const Worth before = worth_;
    const auto its_usage = [](const ChargeEvent& event) -> const PartTotal& { return event.usage; };
    if (!Add(events, its_usage, growing)) return CannotBeHeld(usage_);
    shares_.more_share = Difference(worth_, before);
    shares_.sum = Sum(shares_.sum, shares_.more_share);
    return absl::OkStatus();
  }

  const Catalog& catalog_;
  const ChargeUsage& usage_;
  const PricedDays& priced_;
  const size_t shown_;
  EventShares shares_;
  // After the event at hand.
  Quantity to_date_;
  Worth worth_;
};

}  // namespace

absl::StatusOr<EventShares> ShareOut(const Catalog& catalog, const ChargeUsage& usage, const PricedDays& priced,
                                     std::vector<ChargeEvent> events, size_t shown) {
  return Sharing(catalog, usage, priced, shown).Share(std::move(events));
}

}  // namespace tollbook
