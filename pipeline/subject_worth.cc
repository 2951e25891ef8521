#include "pipeline/subject_worth.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <tuple>
#include <unordered_set>

#include "pipeline/account_settlement.h"
#include "pipeline/allocation.h"
#include "pipeline/booked_places.h"
#include "pipeline/compared_days.h"
#include "pipeline/recognition.h"
#include "pipeline/shard_booked.h"
#include "pipeline/shard_totals.h"
#include "pipeline/worker_arena.h"
#include "rating/account_grants.h"
#include "rating/contract.h"
#include "rating/error.h"

namespace tollbook {
namespace {

using Visitor = std::function<absl::Status(int shard, const SubjectWorth&)>;

void AppendDue(const RatedCharge& rated, BookedAmount amount, SummaryPolicy summary, std::optional<Day> through,
               std::vector<BookedAmount>* due) {
  Int128 before = 0;
  std::span<const DayWorth> days = rated.days;
  if (summary == SummaryPolicy::kPeriod) {
    const std::span<const DayWorth> within = DaysWithin(rated);
    days = days.subspan(within.size());
    amount.key.usage_date = {rated.period.end.number - 1};
    amount.minor = before = within.empty() ? 0 : within.back().booked_to_date.minor;
    const bool period_is_over = !through || amount.key.usage_date <= *through;
    if (period_is_over && amount.minor != 0) due->push_back(amount);
  }
  for (const DayWorth& day : days) {
    amount.key.usage_date = day.usage_date;
    amount.minor = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    if (amount.minor != 0) due->push_back(amount);
  }
}

bool IsLastOfItsMonth(Day day) {
  return ToString(Day{day.number + 1}).ends_with("-01");
}

// By day; or, summarised by period, at the end of each month, and on the last day.
void AppendRecognised(std::span<const RecognisedDay> days, BookedAmount amount, SummaryPolicy summary, Day last,
                      std::vector<BookedAmount>* due) {
  Int128 before = 0;
  const auto append = [&](Day day, Int128 to_date) {
    amount.key.usage_date = day;
    amount.minor = to_date - before;
    before = to_date;
    if (amount.minor != 0) due->push_back(amount);
  };
  for (size_t i = 0; i < days.size(); ++i) {
    if (summary == SummaryPolicy::kDaily) {
      append(days[i].day, days[i].to_date);
      continue;
    }
    Day month_end = days[i].day;
    while (!IsLastOfItsMonth(month_end)) ++month_end.number;
    const bool is_last_of_month = i + 1 == days.size() || month_end < days[i + 1].day;
    if (is_last_of_month && month_end <= last) append(month_end, days[i].to_date);
  }
}

// The subjects of one shard whose subscriptions may owe something without usage.
using TimedSubjects = std::vector<std::string_view>;

// Of all shards. A catalog where nothing is due without usage is not looked through.
std::vector<TimedSubjects> TimedSubjectsOf(const Catalog& catalog, uint64_t book_seed, const WorthWindow& window) {
  std::vector<TimedSubjects> of_shards(kTotalShards);
  std::vector<bool> owes;
  for (const Plan& plan : catalog.plans) owes.push_back(OwesWithoutUsage(plan));
  if (std::ranges::find(owes, true) == owes.end() && catalog.grants.empty()) return of_shards;
  const auto add = [&](const Subscription& subscription) {
    const bool is_granted =
        !catalog.GrantsOf(subscription.id).empty() || !catalog.AccountGrantsOf(subscription.account).empty();
    if (!owes[subscription.plan] && !is_granted) return;
    TimedSubjects& subjects =
        of_shards[static_cast<size_t>(TotalShardOf(HashSubject(subscription.subject, book_seed)))];
    if (subjects.empty() || subjects.back() != subscription.subject) subjects.push_back(subscription.subject);
  };
  if (window.only_subject) {
    for (const Subscription& subscription : catalog.SubscriptionsOf(*window.only_subject)) add(subscription);
  } else {
    for (const Subscription& subscription : catalog.subscriptions) add(subscription);
  }
  return of_shards;
}

// What one catalog makes of one subject after the other. What it needs for each it keeps for the next.
class CatalogWorth {
 public:
  CatalogWorth(const Catalog& catalog, const RateWindow& window, const SettledGrants* settled)
      : catalog_(catalog),
        contracts_(ContractsOf(catalog)),
        window_(window),
        places_(catalog),
        rater_(catalog, settled) {}

  BookedPlaces& places() { return places_; }

  // `fits`: whether the totals could be held. What is not OutOfRange ends the visit.
  absl::Status Find(std::string_view subject, std::span<const SubjectTotal> totals, absl::Status fits) {
    status_ = std::move(fits);
    if (status_.ok()) status_ = rater_.Rate(subject, totals, window_, &rated_);
    if (!status_.ok() && !absl::IsOutOfRange(status_)) return status_;
    if (!status_.ok()) rated_.Clear();
    FindDue(subject);
    if (status_.ok()) return absl::OkStatus();
    rated_.Clear();
    keys_.clear();
    due_.clear();
    recognised_.clear();
    delivered_.clear();
    return absl::OkStatus();
  }

  // Until the next Find.
  SubjectWorth Of(std::string_view subject, std::span<const SubjectTotal> totals,
                  std::span<const BookedAmount> booked) const {
    return {subject, totals, rated_, keys_, due_, booked, status_, recognised_, has_unmapped_, delivered_, &places_};
  }

 private:
  void FindDue(std::string_view subject) {
    keys_.clear();
    due_.clear();
    recognised_.clear();
    delivered_.clear();
    has_unmapped_ = false;
    bool several = false;
    for (const RatedCharge& rated : rated_.charges) {
      const BookedPlaces::Posting posting = places_.PostingOf(rated);
      keys_.push_back({rated.subscription->id, posting.place, rated.period, {}});
      several = several || rated.subscription != rated_.charges.front().subscription;
      AppendDue(rated, {keys_.back(), 0}, posting.summary, window_.through, &due_);
      has_unmapped_ = has_unmapped_ || posting.rule == nullptr;
      if (posting.delivered != nullptr) {
        delivered_.push_back({{rated.subscription->id, posting.delivered, rated.period, {}}, &rated});
        AppendDue(rated, {delivered_.back().key, 0}, posting.summary, window_.through, &due_);
      }
      if (posting.recognised != nullptr && !IsOfContract(rated)) FindRecognised(rated, posting);
    }
    if (!contracts_.empty()) FindAllocated(catalog_.SubscriptionsOf(subject));
    // The charges of one subscription come by their names, and so do their places.
    if (!several && recognised_.empty() && delivered_.empty()) return;
    std::sort(due_.begin(), due_.end(), [](const BookedAmount& a, const BookedAmount& b) { return a.key < b.key; });
  }

  std::optional<Day> LastRecognised() const { return window_.through ? window_.through : window_.carried_through; }

  void SayRecognisedDoesNotFit(std::string_view subscription, std::string_view charge) {
    status_ = MakeError(absl::StatusCode::kOutOfRange, "what is recognised of a deferred charge does not fit",
                        std::string(subscription) + " " + std::string(charge), "check the prices of its plan");
  }

  void FindRecognised(const RatedCharge& rated, const BookedPlaces::Posting& posting) {
    const std::optional<Day> last = LastRecognised();
    if (!last) return;
    std::vector<RecognisedDay> days;
    if (!Recognise(DeferredOf(catalog_, rated, *posting.rule), *last, catalog_.book.rounding, &days)) {
      return SayRecognisedDoesNotFit(rated.subscription->id, rated.charge->name);
    }
    recognised_.push_back({{rated.subscription->id, posting.recognised, rated.period, {}}, &rated});
    AppendRecognised(days, {recognised_.back().key, 0}, posting.rule->summary, *last, &due_);
  }

  bool IsOfContract(const RatedCharge& rated) const {
    const uint32_t plan = rated.subscription->plan;
    const auto number = static_cast<size_t>(rated.charge - catalog_.plans[plan].charges.data());
    return contracts_.HasObligation(plan, number);
  }

  // What obligations of contracts have of the price, whatever is billed of each.
  void FindAllocated(const Catalog::SubscriptionRange& versions) {
    const std::optional<Day> last = LastRecognised();
    if (!last || !status_.ok()) return;
    std::set<std::string_view> ids;
    for (const Subscription& version : versions) {
      if (ids.insert(version.id).second) FindAllocated(version.id, versions, *last);
    }
  }

  void FindAllocated(std::string_view id, const Catalog::SubscriptionRange& versions, Day last) {
    std::vector<AllocatedContract> allocated;
    if (!Allocate(catalog_, contracts_, id, versions, last, &allocated)) return SayRecognisedDoesNotFit(id, "contract");
    for (const AllocatedContract& contract : allocated) {
      std::vector<AllocatedLine> lines;
      if (!LinesOf(contract, last, catalog_.book.rounding, &lines)) return SayRecognisedDoesNotFit(id, "contract");
      for (const AllocatedLine& line : lines) {
        RatedCharge of_line;
        of_line.subscription = line.subscription;
        of_line.charge = line.charge;
        const BookedPlaces::Posting posting = places_.PostingOf(of_line);
        TOLLBOOK_ASSERT(posting.recognised != nullptr);  // CheckContracts
        recognised_.push_back({{id, posting.recognised, contract.term, {}}, nullptr});
        AppendRecognised(line.days, {recognised_.back().key, 0}, posting.rule->summary, last, &due_);
      }
    }
  }

  const Catalog& catalog_;
  const Contracts contracts_;
  const RateWindow window_;
  BookedPlaces places_;
  SubjectRater rater_;
  absl::Status status_;
  RatedSubject rated_;
  std::vector<BookedKey> keys_;
  std::vector<BookedAmount> due_;
  std::vector<RecognisedCharge> recognised_;
  std::vector<DeliveredCharge> delivered_;
  bool has_unmapped_ = false;
};

// The meters of `second` at the places of those of `first`; null: it has none of that name.
std::vector<const Meter*> MetersIn(const Catalog& second, const Catalog& first) {
  std::vector<const Meter*> meters;
  for (const Meter& meter : first.meters) meters.push_back(second.FindMeter(meter.name));
  return meters;
}

// The subjects of one shard, one after the other.
class ShardVisit {
 public:
  ShardVisit(const Catalog& catalog, uint64_t book_seed, const WorthWindow& window, const RateWindow& rate_window,
             const SettledGrants* settled, const TimedSubjects& timed)
      : catalog_(catalog),
        window_(window),
        timed_(timed),
        rate_window_(rate_window),
        totals_(catalog, book_seed, window.only_subject),
        worth_(catalog, rate_window_, settled),
        booked_(worth_.places(), window.only_subject, window.without) {}

  absl::Status Read(const Book& book, int shard) {
    absl::StatusOr<std::vector<StoredRun>> totals = book.Totals(shard, window_.through_sequence);
    if (!totals.ok()) return totals.status();
    total_runs_ = *std::move(totals);
    for (const StoredRun& run : total_runs_) TOLLBOOK_RETURN_IF_ERROR(totals_.Add(run));
    totals_.Merge();
    absl::StatusOr<std::vector<StoredRun>> differences = book.Differences(shard, window_.through_sequence);
    if (!differences.ok()) return differences.status();
    difference_runs_ = *std::move(differences);
    for (const StoredRun& run : difference_runs_) TOLLBOOK_RETURN_IF_ERROR(booked_.Add(run));
    booked_.Sum();
    return absl::OkStatus();
  }

  absl::Status Visit(int shard, const Visitor& visit) {
    return ForEachSubject([&](std::string_view name, std::span<const SubjectTotal> totals, const absl::Status& fits) {
      TOLLBOOK_RETURN_IF_ERROR(worth_.Find(name, totals, fits));
      return visit(shard, worth_.Of(name, totals, booked_.Of(name)));
    });
  }

  absl::Status Visit(int shard, const Catalog& second, const SettledGrants* settled, const VisitTwoWorths& visit) {
    CatalogWorth other(second, rate_window_, settled);
    const std::vector<const Meter*> meters = MetersIn(second, catalog_);
    std::vector<SubjectTotal> by_second;
    return ForEachSubject([&](std::string_view name, std::span<const SubjectTotal> totals, const absl::Status& fits) {
      TOLLBOOK_RETURN_IF_ERROR(worth_.Find(name, totals, fits));
      const SubjectWorth found = worth_.Of(name, totals, booked_.Of(name));
      // Both catalogs have their meters by name, so the totals stay in their order.
      by_second.assign(totals.begin(), totals.end());
      for (SubjectTotal& total : by_second) {
        total.meter = meters[static_cast<size_t>(total.meter - catalog_.meters.data())];
        TOLLBOOK_ASSERT(total.meter != nullptr);  // FixedMeters
      }
      TOLLBOOK_RETURN_IF_ERROR(other.Find(name, by_second, fits));
      return visit(shard, found, other.Of(name, by_second, found.booked));
    });
  }

 private:
  // Those with totals, then the others, by name.
  template <typename Subject>
  absl::Status ForEachSubject(const Subject& visit) {
    for (size_t subject = 0; subject < totals_.subjects(); ++subject) {
      TOLLBOOK_RETURN_IF_ERROR(visit(totals_.name(subject), totals_.TotalsOf(subject), totals_.StatusOf(subject)));
    }
    for (const std::string_view name : WithoutTotals()) {
      TOLLBOOK_RETURN_IF_ERROR(visit(name, std::span<const SubjectTotal>(), absl::OkStatus()));
    }
    return absl::OkStatus();
  }

  // Once those with totals were visited: each subject once.
  std::vector<std::string_view> WithoutTotals() const {
    std::vector<std::string_view> names = booked_.Rest();
    if (!timed_.empty()) {
      std::unordered_set<std::string_view> with_totals;
      for (size_t subject = 0; subject < totals_.subjects(); ++subject) with_totals.insert(totals_.name(subject));
      for (const std::string_view name : timed_) {
        if (!with_totals.contains(name)) names.push_back(name);
      }
    }
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

  const Catalog& catalog_;
  const WorthWindow& window_;
  const TimedSubjects& timed_;
  const RateWindow rate_window_;
  std::vector<StoredRun> total_runs_;
  std::vector<StoredRun> difference_runs_;
  ShardTotals totals_;
  CatalogWorth worth_;
  ShardBooked booked_;
};

// What goes on without usage was booked up to the day that a seal named: a later seal that names none must not take it
// back.
absl::StatusOr<RateWindow> RateWindowOf(const Book& book, const WorthWindow& window) {
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  std::optional<Day> furthest;
  for (const SealRecord& seal : *seals) {
    if (seal.sequence <= window.through_sequence) furthest = std::max(furthest, seal.through);
  }
  return RateWindow(window.through, furthest);
}

// What all shards are visited by.
struct VisitTerms {
  const Book& book;
  const Catalog& catalog;
  const WorthWindow& window;
  const RateWindow& rate_window;
  const SettledGrants* settled;
  const std::vector<TimedSubjects>& timed;  // of each shard
};
using ShardWork = std::function<absl::Status(int shard, ShardVisit& visit)>;

absl::Status VisitShard(const VisitTerms& terms, int shard, const ShardWork& work) {
  ShardVisit shard_visit(terms.catalog, terms.book.identity().seed[0], terms.window, terms.rate_window, terms.settled,
                         terms.timed[static_cast<size_t>(shard)]);
  TOLLBOOK_RETURN_IF_ERROR(shard_visit.Read(terms.book, shard));
  return work(shard, shard_visit);
}

absl::Status VisitShards(const VisitTerms& terms, int threads, const ShardWork& work) {
  if (terms.window.only_subject) {
    const int shard = TotalShardOf(HashSubject(*terms.window.only_subject, terms.book.identity().seed[0]));
    return VisitShard(terms, shard, work);
  }
  std::vector<absl::Status> visited(kTotalShards);
  std::atomic<bool> failed = false;
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      if (failed.load(std::memory_order_relaxed)) return;
      visited[shard] = VisitShard(terms, shard, work);
      if (!visited[shard].ok()) failed = true;
    });
  });
  for (const absl::Status& status : visited) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

}  // namespace

absl::Status VisitSubjects(const Book& book, const Catalog& catalog, const WorthWindow& window, int threads,
                           const Visitor& visit) {
  const absl::StatusOr<RateWindow> rate_window = RateWindowOf(book, window);
  if (!rate_window.ok()) return rate_window.status();
  const absl::StatusOr<SettledGrants> settled = SettleAccounts(book, catalog, window, *rate_window, threads);
  if (!settled.ok()) return settled.status();
  const std::vector<TimedSubjects> timed = TimedSubjectsOf(catalog, book.identity().seed[0], window);
  return VisitShards({book, catalog, window, *rate_window, &*settled, timed}, threads,
                     [&](int shard, ShardVisit& subjects) { return subjects.Visit(shard, visit); });
}

absl::Status VisitSubjects(const Book& book, const Catalog& first, const Catalog& second, const WorthWindow& window,
                           int threads, const VisitTwoWorths& visit) {
  const absl::StatusOr<RateWindow> rate_window = RateWindowOf(book, window);
  if (!rate_window.ok()) return rate_window.status();
  const absl::StatusOr<SettledGrants> settled = SettleAccounts(book, first, window, *rate_window, threads);
  if (!settled.ok()) return settled.status();
  const absl::StatusOr<SettledGrants> by_second_settled = SettleAccounts(book, second, window, *rate_window, threads);
  if (!by_second_settled.ok()) return by_second_settled.status();
  std::vector<TimedSubjects> timed = TimedSubjectsOf(first, book.identity().seed[0], window);
  const std::vector<TimedSubjects> by_second = TimedSubjectsOf(second, book.identity().seed[0], window);
  for (size_t shard = 0; shard < timed.size(); ++shard) {
    timed[shard].insert(timed[shard].end(), by_second[shard].begin(), by_second[shard].end());
  }
  return VisitShards(
      {book, first, window, *rate_window, &*settled, timed}, threads,
      [&](int shard, ShardVisit& subjects) { return subjects.Visit(shard, second, &*by_second_settled, visit); });
}

void TakeUnmapped(std::vector<BookedAmount>* differences, std::vector<BookedAmount>* waiting) {
  using ChargePeriod = std::tuple<std::string_view, std::string_view, std::string_view, BillingPeriod>;
  const auto of = [](const BookedAmount& amount) {
    // With what stands beside it.
    return ChargePeriod{amount.key.subscription, amount.key.place->plan, RatedName(*amount.key.place),
                        amount.key.period};
  };
  std::set<ChargePeriod> unmapped;
  for (const BookedAmount& difference : *differences) {
    if (!IsMapped(*difference.key.place)) unmapped.insert(of(difference));
  }
  if (unmapped.empty()) return;
  std::erase_if(*differences, [&](const BookedAmount& difference) {
    if (!unmapped.contains(of(difference))) return false;
    if (waiting != nullptr) waiting->push_back(difference);
    return true;
  });
}

void LessBooked(std::span<const BookedAmount> due, std::span<const BookedAmount> booked, std::optional<Day> through,
                std::vector<BookedAmount>* differences) {
  auto next_due = due.begin();
  for (const BookedAmount& amount : booked) {
    auto order = std::strong_ordering::less;
    for (; next_due != due.end() && (order = next_due->key <=> amount.key) < 0; ++next_due) {
      differences->push_back(*next_due);
    }
    if (next_due != due.end() && order == 0) {
      const Int128 difference = next_due->minor - amount.minor;
      if (difference != 0) differences->push_back({amount.key, difference});
      ++next_due;
    } else if (!through || amount.key.usage_date <= *through) {
      differences->push_back({amount.key, -amount.minor});
    }
  }
  differences->insert(differences->end(), next_due, due.end());
}

}  // namespace tollbook
