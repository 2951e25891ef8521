#include "pipeline/subject_worth.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>

#include "pipeline/booked_places.h"
#include "pipeline/shard_booked.h"
#include "pipeline/shard_totals.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

using Visitor = std::function<absl::Status(int shard, const SubjectWorth&)>;

void AppendDue(const RatedCharge& rated, BookedAmount amount, SummaryPolicy summary, std::optional<Day> through,
               std::vector<BookedAmount>* due) {
  if (summary == SummaryPolicy::kPeriod) {
    amount.key.usage_date = {rated.period.end.number - 1};
    amount.minor = rated.days.back().booked_to_date.minor;
    const bool period_is_over = !through || amount.key.usage_date <= *through;
    if (period_is_over && amount.minor != 0) due->push_back(amount);
    return;
  }
  Int128 before = 0;
  for (const DayWorth& day : rated.days) {
    amount.key.usage_date = day.usage_date;
    amount.minor = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    if (amount.minor != 0) due->push_back(amount);
  }
}

// The subjects of one shard, one after the other. What it needs for each it keeps for the next.
class ShardVisit {
 public:
  ShardVisit(const Catalog& catalog, uint64_t book_seed, const WorthWindow& window, std::optional<Day> carried_through)
      : window_(window),
        rate_window_(window.through, carried_through),
        totals_(catalog, book_seed, window.only_subject),
        places_(catalog),
        booked_(places_, window.only_subject),
        rater_(catalog) {}

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
    for (size_t subject = 0; subject < totals_.subjects(); ++subject) {
      const std::string_view name = totals_.name(subject);
      absl::Status rated = totals_.StatusOf(subject);
      if (rated.ok()) rated = rater_.Rate(name, totals_.TotalsOf(subject), rate_window_, &rated_);
      if (!rated.ok() && !absl::IsOutOfRange(rated)) return rated;
      if (!rated.ok()) rated_.Clear();
      FindDue();
      TOLLBOOK_RETURN_IF_ERROR(
          visit(shard, {name, totals_.TotalsOf(subject), rated_, keys_, due_, booked_.Of(name), std::move(rated)}));
    }
    return absl::OkStatus();
  }

 private:
  void FindDue() {
    keys_.clear();
    due_.clear();
    bool several = false;
    for (const RatedCharge& rated : rated_.charges) {
      const BookedPlaces::Posting posting = places_.PostingOf(rated);
      keys_.push_back({rated.subscription->id, posting.place, rated.period, {}});
      several = several || rated.subscription != rated_.charges.front().subscription;
      AppendDue(rated, {keys_.back(), 0}, posting.summary, window_.through, &due_);
    }
    // The charges of one subscription come by their names, and so do their places.
    if (!several) return;
    std::sort(due_.begin(), due_.end(), [](const BookedAmount& a, const BookedAmount& b) { return a.key < b.key; });
  }

  const WorthWindow& window_;
  const RateWindow rate_window_;
  std::vector<StoredRun> total_runs_;
  std::vector<StoredRun> difference_runs_;
  ShardTotals totals_;
  BookedPlaces places_;
  ShardBooked booked_;
  SubjectRater rater_;
  RatedSubject rated_;
  std::vector<BookedKey> keys_;
  std::vector<BookedAmount> due_;
};

// What goes on without usage was booked up to the day that a seal named: a later seal that names none must not take it
// back.
absl::StatusOr<std::optional<Day>> CarriedThrough(const Book& book, const WorthWindow& window) {
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  std::optional<Day> furthest;
  for (const SealRecord& seal : *seals) {
    if (seal.sequence <= window.through_sequence) furthest = std::max(furthest, seal.through);
  }
  return furthest;
}

absl::Status VisitShard(const Book& book, const Catalog& catalog, const WorthWindow& window,
                        std::optional<Day> carried_through, int shard, const Visitor& visit) {
  ShardVisit shard_visit(catalog, book.identity().seed[0], window, carried_through);
  TOLLBOOK_RETURN_IF_ERROR(shard_visit.Read(book, shard));
  return shard_visit.Visit(shard, visit);
}

}  // namespace

absl::Status VisitSubjects(const Book& book, const Catalog& catalog, const WorthWindow& window, int threads,
                           const Visitor& visit) {
  const absl::StatusOr<std::optional<Day>> carried_through = CarriedThrough(book, window);
  if (!carried_through.ok()) return carried_through.status();
  if (window.only_subject) {
    const int shard = TotalShardOf(HashSubject(*window.only_subject, book.identity().seed[0]));
    return VisitShard(book, catalog, window, *carried_through, shard, visit);
  }
  std::vector<absl::Status> visited(kTotalShards);
  std::atomic<bool> failed = false;
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      if (failed.load(std::memory_order_relaxed)) return;
      visited[shard] = VisitShard(book, catalog, window, *carried_through, shard, visit);
      if (!visited[shard].ok()) failed = true;
    });
  });
  for (const absl::Status& status : visited) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
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
