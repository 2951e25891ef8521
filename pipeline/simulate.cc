#include "pipeline/simulate.h"

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <tuple>

#include "pipeline/booked_places.h"
#include "pipeline/fixed_meters.h"
#include "pipeline/subject_worth.h"
#include "pipeline/targets.h"

namespace tollbook {
namespace {

absl::Status SumOutOfRange(std::string_view of) {
  return MakeError(absl::StatusCode::kOutOfRange, "a sum of amounts cannot be held", of,
                   "check the prices of both catalogs");
}

// False, when a sum or a difference of sums would not fit.
bool AddTo(const SimulatedAmounts& more, SimulatedAmounts* sum) {
  Int128 difference = 0;
  Wide exact_difference;
  return !__builtin_add_overflow(sum->before, more.before, &sum->before) &&
         !__builtin_add_overflow(sum->after, more.after, &sum->after) &&
         !__builtin_sub_overflow(sum->after, sum->before, &difference) &&
         Wide::Add(sum->before_exact.amount, more.before_exact.amount, &sum->before_exact.amount) &&
         Wide::Add(sum->after_exact.amount, more.after_exact.amount, &sum->after_exact.amount) &&
         Wide::Subtract(sum->after_exact.amount, sum->before_exact.amount, &exact_difference);
}

// A charge period on one side, with what names it. The views are the catalog's.
struct Side {
  const RatedCharge* rated = nullptr;
  std::string_view subscription, plan, charge, entity;
  Currency currency;
  const DayWorth& last() const { return rated->days.back(); }
};

Side SideOf(const Catalog& catalog, const RatedCharge& rated) {
  const Plan& plan = catalog.plans[rated.subscription->plan];
  return {&rated,
          rated.subscription->id,
          plan.name,
          rated.charge->name,
          catalog.entities[rated.subscription->entity].name,
          plan.currency};
}

// One charge period before and after; one of them may be missing.
struct Pair {
  const Side* before = nullptr;
  const Side* after = nullptr;
};

auto WithPlan(const Side& side) {
  return std::tie(side.subscription, side.plan, side.charge, side.rated->period);
}
auto WithoutPlan(const Side& side) {
  return std::tie(side.subscription, side.charge, side.rated->period);
}

// Pairs what has the same key; `before` and `after` are sorted by it, and keep what has no partner.
template <typename KeyOf>
void PairUp(const KeyOf& key, std::vector<const Side*>* before, std::vector<const Side*>* after,
            std::vector<Pair>* pairs) {
  std::vector<const Side*> alone_before, alone_after;
  auto next = after->begin();
  for (const Side* side : *before) {
    while (next != after->end() && key(**next) < key(*side)) alone_after.push_back(*next++);
    if (next != after->end() && key(**next) == key(*side)) {
      pairs->push_back({side, *next++});
    } else {
      alone_before.push_back(side);
    }
  }
  alone_after.insert(alone_after.end(), next, after->end());
  *before = std::move(alone_before);
  *after = std::move(alone_after);
}

const Subscription* SubscriptionOn(const Catalog& catalog, std::string_view subject, Day day) {
  for (const Subscription& subscription : catalog.SubscriptionsOf(subject)) {
    const bool begun = subscription.valid_from <= day;
    if (begun && (!subscription.valid_to || day < *subscription.valid_to)) return &subscription;
  }
  return nullptr;
}

struct Customer {
  std::string id, target;  // that knows it so
};

// Of the subscriptions that customers.csv names for a target that bills customers.
class Customers {
 public:
  // Who is in several of them, is found in the first.
  explicit Customers(std::initializer_list<const Catalog*> catalogs) {
    for (const Catalog* catalog : catalogs) {
      for (const Target& target : TargetsOf(*catalog)) {
        if (target.kind != TargetKind::kStripe) continue;  // ids of the others are of subscriptions there
        for (const auto& [subscription, id] : target.ids) of_.try_emplace(subscription, Customer{id, target.name});
      }
    }
  }
  const Customer* Of(std::string_view subscription) const {
    const auto found = of_.find(subscription);
    return found == of_.end() ? nullptr : &found->second;
  }

 private:
  std::map<std::string, Customer, std::less<>> of_;
};

// The views are the catalogs', and the customers'.
struct RowKey {
  std::string_view customer, target, plan, plan_before, account, subscription, charge;
  Currency currency;
  friend auto operator<=>(const RowKey&, const RowKey&) = default;
};

struct RowSum {
  SimulatedAmounts amounts;
  uint64_t charge_periods = 0;
};

struct UsageKey {
  std::string_view meter;
  UsageStanding before, after;
  friend auto operator<=>(const UsageKey&, const UsageKey&) = default;
};

Int128 Size(const SimulatedMover& mover) {
  const Int128 difference = mover.amounts.difference();
  return difference < 0 ? -difference : difference;
}

// The larger one first; ties by name.
bool MovesMore(const SimulatedMover& a, const SimulatedMover& b) {
  const Int128 size_a = Size(a), size_b = Size(b);
  if (size_a != size_b) return size_a > size_b;
  return std::tie(a.account, a.subscription, a.plan, a.charge, a.period, a.plan_before, a.entity) <
         std::tie(b.account, b.subscription, b.plan, b.charge, b.period, b.plan_before, b.entity);
}

// The largest movers of each currency: heaps, with the least on top.
class Movers {
 public:
  explicit Movers(size_t most) : most_(most) {}

  bool MayTake(Currency currency, const SimulatedAmounts& amounts) const {
    if (most_ == 0 || amounts.difference() == 0) return false;
    const auto heap = of_.find(currency);
    if (heap == of_.end() || heap->second.size() < most_) return true;
    SimulatedMover candidate;
    candidate.amounts = amounts;
    return Size(candidate) >= Size(heap->second.front());
  }
  void Take(SimulatedMover mover) {
    std::vector<SimulatedMover>& heap = of_[mover.currency];
    heap.push_back(std::move(mover));
    std::push_heap(heap.begin(), heap.end(), MovesMore);
    if (heap.size() <= most_) return;
    std::pop_heap(heap.begin(), heap.end(), MovesMore);
    heap.pop_back();
  }
  void TakeAll(Movers others) {
    for (auto& [currency, heap] : others.of_) {
      for (SimulatedMover& mover : heap) Take(std::move(mover));
    }
  }
  std::vector<SimulatedMover> Sorted() && {
    std::vector<SimulatedMover> all;
    for (auto& [currency, heap] : of_) {
      std::sort_heap(heap.begin(), heap.end(), MovesMore);
      std::move(heap.begin(), heap.end(), std::back_inserter(all));
    }
    return all;
  }

 private:
  size_t most_;
  std::map<Currency, std::vector<SimulatedMover>> of_;
};

// What one shard of subjects comes to; what all do, once the shards are added.
class Sums {
 public:
  Sums(const Catalog& before, const Catalog& after, const Customers& customers, const SimulateOptions& options)
      : before_(before), after_(after), customers_(customers), options_(options), movers_(options.movers) {}

  absl::Status Add(const SubjectWorth& before, const SubjectWorth& after) {
    ++counts_.subjects;
    if (after.status.ok()) TOLLBOOK_RETURN_IF_ERROR(AddWouldBook(after));
    for (const SubjectWorth* worth : {&before, &after}) {
      if (worth->status.ok()) continue;
      counts_.not_rated.push_back(std::string(Std(worth->status.message())));
      return absl::OkStatus();
    }
    counts_.charge_periods_before += before.rated.charges.size();
    counts_.charge_periods_after += after.rated.charges.size();
    if (!before.rated.unrated.empty() || !after.rated.unrated.empty()) AddUsage(before, after);
    FindPairs(before, after);
    for (const Pair& pair : pairs_) TOLLBOOK_RETURN_IF_ERROR(AddPair(before.subject, pair));
    return absl::OkStatus();
  }

  absl::Status Add(Sums shard) {
    counts_.subjects += shard.counts_.subjects;
    counts_.charge_periods_before += shard.counts_.charge_periods_before;
    counts_.charge_periods_after += shard.counts_.charge_periods_after;
    std::move(shard.counts_.not_rated.begin(), shard.counts_.not_rated.end(), std::back_inserter(counts_.not_rated));
    for (const SimulatedTotal& total : shard.counts_.totals) {
      SimulatedTotal& sum = TotalOf(total.entity, total.currency);
      if (!AddTo(total.amounts, &sum.amounts) ||
          __builtin_add_overflow(sum.seal_would_book, total.seal_would_book, &sum.seal_would_book)) {
        return SumOutOfRange(total.entity);
      }
    }
    for (const auto& [key, row] : shard.rows_) {
      RowSum& sum = rows_[key];
      if (!AddTo(row.amounts, &sum.amounts)) return SumOutOfRange(key.plan);
      sum.charge_periods += row.charge_periods;
    }
    for (const auto& [key, events] : shard.usage_) usage_[key] += events;
    movers_.TakeAll(std::move(shard.movers_));
    return absl::OkStatus();
  }

  Simulation Finish() && {
    std::sort(counts_.totals.begin(), counts_.totals.end(), [](const SimulatedTotal& a, const SimulatedTotal& b) {
      return a.entity != b.entity ? a.entity < b.entity : a.currency < b.currency;
    });
    std::sort(counts_.not_rated.begin(), counts_.not_rated.end());
    for (const auto& [key, sum] : rows_) {
      counts_.rows.push_back({std::string(key.customer), std::string(key.target), std::string(key.plan),
                              std::string(key.plan_before), std::string(key.account), std::string(key.subscription),
                              std::string(key.charge), key.currency, sum.amounts, sum.charge_periods});
    }
    for (const auto& [key, events] : usage_) {
      counts_.usage.push_back({std::string(key.meter), key.before, key.after, events});
    }
    counts_.movers = std::move(movers_).Sorted();
    return std::move(counts_);
  }

 private:
  // What belongs to a pair beside its amounts.
  struct Labels {
    std::string_view account, plan, plan_before;
  };

  // A book has a few of them.
  SimulatedTotal& TotalOf(std::string_view entity, Currency currency) {
    for (SimulatedTotal& total : counts_.totals) {
      if (total.currency == currency && total.entity == entity) return total;
    }
    counts_.totals.push_back({std::string(entity), currency, {}, 0});
    return counts_.totals.back();
  }

  absl::Status AddWouldBook(const SubjectWorth& after) {
    differences_.clear();
    LessBooked(after.due, after.booked, options_.through, &differences_);
    if (after.has_unmapped) TakeUnmapped(&differences_, nullptr);
    for (const BookedAmount& difference : differences_) {
      const BookedPlace& place = *difference.key.place;
      // What moves between accounts, or stands in the books of who delivers, is worth nothing more.
      if (place.as != BookedAs::kRated) continue;
      Int128& sum = TotalOf(place.entity, place.currency).seal_would_book;
      if (__builtin_add_overflow(sum, difference.minor, &sum)) return SumOutOfRange(place.entity);
    }
    return absl::OkStatus();
  }

  void FindPairs(const SubjectWorth& before, const SubjectWorth& after) {
    pairs_.clear();
    std::vector<const Side*> alone_before = SidesOf(before_, before.rated, &sides_before_);
    std::vector<const Side*> alone_after = SidesOf(after_, after.rated, &sides_after_);
    PairUp(WithPlan, &alone_before, &alone_after, &pairs_);
    const auto by_name = [](const Side* a, const Side* b) { return WithoutPlan(*a) < WithoutPlan(*b); };
    std::stable_sort(alone_before.begin(), alone_before.end(), by_name);
    std::stable_sort(alone_after.begin(), alone_after.end(), by_name);
    PairUp(WithoutPlan, &alone_before, &alone_after, &pairs_);
    for (const Side* side : alone_before) pairs_.push_back({side, nullptr});
    for (const Side* side : alone_after) pairs_.push_back({nullptr, side});
  }

  static std::vector<const Side*> SidesOf(const Catalog& catalog, const RatedSubject& rated, std::vector<Side>* sides) {
    sides->clear();
    for (const RatedCharge& charge : rated.charges) sides->push_back(SideOf(catalog, charge));
    std::vector<const Side*> sorted;
    for (const Side& side : *sides) sorted.push_back(&side);
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const Side* a, const Side* b) { return WithPlan(*a) < WithPlan(*b); });
    return sorted;
  }

  // Where a side is missing, its catalog still says which plan the usage is on.
  Labels LabelsOf(std::string_view subject, const Pair& pair) const {
    const Side& known = pair.after != nullptr ? *pair.after : *pair.before;
    const Day day = known.last().usage_date;
    Labels labels{known.rated->subscription->account, "", ""};
    if (pair.after != nullptr) {
      labels.plan = pair.after->plan;
    } else if (const Subscription* now = SubscriptionOn(after_, subject, day)) {
      labels.plan = after_.plans[now->plan].name;
      labels.account = now->account;
    }
    if (pair.before != nullptr) {
      labels.plan_before = pair.before->plan;
    } else if (const Subscription* was = SubscriptionOn(before_, subject, day)) {
      labels.plan_before = before_.plans[was->plan].name;
    }
    return labels;
  }

  absl::Status AddPair(std::string_view subject, const Pair& pair) {
    const Labels labels = LabelsOf(subject, pair);
    const bool one_place = pair.before != nullptr && pair.after != nullptr &&
                           pair.before->entity == pair.after->entity && pair.before->currency == pair.after->currency;
    if (one_place) return AddPlaced(labels, pair);
    // Another entity or currency has amounts of its own.
    if (pair.before != nullptr) TOLLBOOK_RETURN_IF_ERROR(AddPlaced(labels, {pair.before, nullptr}));
    if (pair.after != nullptr) TOLLBOOK_RETURN_IF_ERROR(AddPlaced(labels, {nullptr, pair.after}));
    return absl::OkStatus();
  }

  absl::Status AddPlaced(const Labels& labels, const Pair& pair) {
    SimulatedAmounts amounts;
    if (pair.before != nullptr) {
      amounts.before = pair.before->last().booked_to_date.minor;
      amounts.before_exact = WorthToDate(*pair.before->rated, pair.before->last());
    }
    if (pair.after != nullptr) {
      amounts.after = pair.after->last().booked_to_date.minor;
      amounts.after_exact = WorthToDate(*pair.after->rated, pair.after->last());
    }
    const Side& side = pair.after != nullptr ? *pair.after : *pair.before;
    if (!AddTo(amounts, &TotalOf(side.entity, side.currency).amounts)) return SumOutOfRange(side.entity);
    RowSum& row = rows_[KeyOf(labels, side)];
    if (!AddTo(amounts, &row.amounts)) return SumOutOfRange(side.subscription);
    ++row.charge_periods;
    if (movers_.MayTake(side.currency, amounts)) movers_.Take(MoverOf(labels, pair, amounts));
    return absl::OkStatus();
  }

  RowKey KeyOf(const Labels& labels, const Side& side) const {
    switch (options_.by) {
      case SimulateBy::kPlan:
        return {"", "", labels.plan, labels.plan_before, "", "", "", side.currency};
      case SimulateBy::kCustomer:
        if (const Customer* const customer = customers_.Of(side.subscription))
          return {customer->id, customer->target, "", "", "", "", "", side.currency};
        return {labels.account, "", "", "", "", "", "", side.currency};
      case SimulateBy::kAccount:
        return {"", "", "", "", labels.account, "", "", side.currency};
      case SimulateBy::kSubscription:
        return {"", "", "", "", labels.account, side.subscription, "", side.currency};
      case SimulateBy::kCharge:
        return {"", "", labels.plan, labels.plan_before, "", "", side.charge, side.currency};
    }
    TOLLBOOK_ASSERT(!"a table of the list");
    return {};
  }

  static SimulatedMover MoverOf(const Labels& labels, const Pair& pair, const SimulatedAmounts& amounts) {
    const Side& side = pair.after != nullptr ? *pair.after : *pair.before;
    SimulatedMover mover;
    mover.account = labels.account;
    mover.subscription = side.subscription;
    mover.plan = labels.plan;
    mover.plan_before = labels.plan_before;
    mover.charge = side.charge;
    mover.period = side.rated->period;
    mover.entity = side.entity;
    mover.currency = side.currency;
    mover.amounts = amounts;
    if (pair.before != nullptr) mover.quantity_before = pair.before->last().to_date;
    if (pair.after != nullptr) mover.quantity_after = pair.after->last().to_date;
    return mover;
  }

  // Total by total, as the rater finds their charges; for the few subjects that have usage which nothing prices.
  void AddUsage(const SubjectWorth& before, const SubjectWorth& after) {
    for (size_t i = 0; i < before.totals.size(); ++i) {
      const SubjectTotal& total = before.totals[i];
      UsageKey key{total.meter->name, UsageStanding::kPriced, UsageStanding::kPriced};
      const bool is_due = StandingOf(before_, before.subject, total, &key.before) &&
                          StandingOf(after_, after.subject, after.totals[i], &key.after);
      if (is_due && key.before != key.after) usage_[key] += total.total.events;
    }
  }

  // False: its day is behind the last one that is simulated.
  bool StandingOf(const Catalog& catalog, std::string_view subject, const SubjectTotal& total,
                  UsageStanding* standing) const {
    const UsagePlace place = PlaceOf(catalog, catalog.SubscriptionsOf(subject), total.meter->granularity, total.bucket);
    if (options_.through && place.day > *options_.through) return false;
    if (place.subscription == nullptr) {
      *standing = UsageStanding::kUnattributed;
      return true;
    }
    const Plan& plan = catalog.plans[place.subscription->plan];
    if (plan.is_trial_free && place.day < catalog.FirstPaidDayOf(*place.subscription)) {
      *standing = UsageStanding::kTrial;
      return true;
    }
    const bool priced = catalog.ChargeFor(plan, *total.meter, total.dimension_values) != nullptr;
    *standing = priced ? UsageStanding::kPriced : UsageStanding::kUnpriced;
    return true;
  }

  const Catalog& before_;
  const Catalog& after_;
  const Customers& customers_;
  const SimulateOptions& options_;
  Simulation counts_;
  std::map<RowKey, RowSum> rows_;
  std::map<UsageKey, uint64_t> usage_;
  Movers movers_;
  // Of the subject at hand.
  std::vector<Side> sides_before_, sides_after_;
  std::vector<Pair> pairs_;
  std::vector<BookedAmount> differences_;
};

}  // namespace

std::string_view ToString(UsageStanding standing) {
  switch (standing) {
    case UsageStanding::kPriced:
      return "priced";
    case UsageStanding::kUnpriced:
      return "unpriced";
    case UsageStanding::kUnattributed:
      return "unattributed";
    case UsageStanding::kTrial:
      return "trial";
  }
  TOLLBOOK_ASSERT(!"a standing of the list");
  return "";
}

absl::StatusOr<Simulation> Simulate(const Book& book, const Catalog& before, const Catalog& after,
                                    const SimulateOptions& options) {
  TOLLBOOK_RETURN_IF_ERROR(FixedMeters(book, before).status());
  const absl::StatusOr<std::vector<Meter>> fixed = FixedMeters(book, after);
  if (!fixed.ok()) return fixed.status();

  const Customers customers({&after, &before});
  std::vector<Sums> shards(kTotalShards, Sums(before, after, customers, options));
  const absl::Status visited =
      VisitSubjects(book, before, after, {.through = options.through}, options.threads,
                    [&](int shard, const SubjectWorth& by_before, const SubjectWorth& by_after) {
                      return shards[shard].Add(by_before, by_after);
                    });
  if (!visited.ok()) return visited;
  Sums sums(before, after, customers, options);
  for (Sums& shard : shards) TOLLBOOK_RETURN_IF_ERROR(sums.Add(std::move(shard)));
  Simulation simulation = std::move(sums).Finish();
  for (const Meter& meter : after.meters) {
    const bool counted =
        std::any_of(fixed->begin(), fixed->end(), [&](const Meter& known) { return known.name == meter.name; });
    if (!counted && before.FindMeter(meter.name) == nullptr) simulation.new_meters.push_back(meter.name);
  }
  return simulation;
}

absl::StatusOr<uint64_t> EventsSinceSeal(const Book& book) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  uint64_t sealed = 0;
  for (const CommitRecord& commit : *commits) {
    if (!seals->empty() && commit.sequence == seals->back().sequence) sealed = commit.book.accepted;
  }
  return book.counts().accepted - sealed;
}

}  // namespace tollbook
