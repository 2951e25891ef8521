#include "pipeline/subject_worth.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <unordered_map>

#include "pipeline/shard_totals.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// The booked amounts of one shard, by subject.
using BookedBySubject = std::unordered_map<std::string_view, std::vector<BookedAmount>>;

absl::StatusOr<BookedBySubject> SumBooked(const std::vector<StoredRun>& runs,
                                          std::optional<std::string_view> only_subject) {
  BookedBySubject booked;
  for (const StoredRun& run : runs) {
    DifferenceRunReader reader(run.bytes);
    std::string_view subject;
    uint32_t count = 0;
    while (reader.NextSubject(&subject, &count)) {
      std::vector<BookedAmount> skipped;
      std::vector<BookedAmount>& amounts = only_subject && subject != *only_subject ? skipped : booked[subject];
      Difference difference;
      for (uint32_t i = 0; i < count && reader.Next(&difference); ++i)
        amounts.push_back({difference.key, difference.minor});
    }
    if (!reader.ok()) return DamagedError("booked amounts of commit " + std::to_string(run.sequence));
  }
  for (auto& [subject, amounts] : booked) {
    std::sort(amounts.begin(), amounts.end(),
              [](const BookedAmount& a, const BookedAmount& b) { return a.key < b.key; });
    size_t kept = 0;
    for (size_t i = 0; i < amounts.size();) {
      BookedAmount sum = amounts[i];
      for (++i; i < amounts.size() && amounts[i].key == sum.key; ++i) sum.minor += amounts[i].minor;
      if (sum.minor != 0) amounts[kept++] = sum;
    }
    amounts.resize(kept);
  }
  return booked;
}

absl::Status VisitShard(const Book& book, const Catalog& catalog, const WorthWindow& window, int shard,
                        const std::function<absl::Status(int, const SubjectWorth&)>& visit) {
  absl::StatusOr<std::vector<StoredRun>> runs = book.Totals(shard, window.through_sequence);
  if (!runs.ok()) return runs.status();
  ShardTotals totals(catalog, book.identity().seed[0], window.only_subject);
  for (const StoredRun& run : *runs) TOLLBOOK_RETURN_IF_ERROR(totals.Add(run));
  totals.Merge();
  absl::StatusOr<std::vector<StoredRun>> difference_runs = book.Differences(shard, window.through_sequence);
  if (!difference_runs.ok()) return difference_runs.status();
  absl::StatusOr<BookedBySubject> booked = SumBooked(*difference_runs, window.only_subject);
  if (!booked.ok()) return booked.status();

  for (size_t subject = 0; subject < totals.subjects(); ++subject) {
    SubjectWorth worth;
    worth.subject = totals.name(subject);
    worth.totals = totals.TotalsOf(subject);
    worth.status = totals.StatusOf(subject);
    if (!worth.status.ok() && !absl::IsOutOfRange(worth.status)) return worth.status;
    if (worth.status.ok()) {
      absl::StatusOr<RatedSubject> rated = RateSubject(catalog, worth.subject, worth.totals, window.through);
      if (!rated.ok() && !absl::IsOutOfRange(rated.status())) return rated.status();
      if (rated.ok()) worth.rated = *std::move(rated);
      worth.status = rated.status();
    }
    if (const auto it = booked->find(worth.subject); it != booked->end()) worth.booked = std::move(it->second);
    TOLLBOOK_RETURN_IF_ERROR(visit(shard, worth));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status VisitSubjects(const Book& book, const Catalog& catalog, const WorthWindow& window, int threads,
                           const std::function<absl::Status(int, const SubjectWorth&)>& visit) {
  if (window.only_subject) {
    return VisitShard(book, catalog, window, TotalShardOf(HashSubject(*window.only_subject, book.identity().seed[0])),
                      visit);
  }
  std::vector<absl::Status> visited(kTotalShards);
  std::atomic<bool> failed = false;
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      if (failed.load(std::memory_order_relaxed)) return;
      visited[shard] = VisitShard(book, catalog, window, shard, visit);
      if (!visited[shard].ok()) failed = true;
    });
  });
  for (const absl::Status& status : visited) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

BookedKey BookedKeyOf(const Catalog& catalog, const RatedCharge& rated) {
  const Plan& plan = catalog.plans[rated.subscription->plan];
  const Entity& entity = catalog.entities[rated.subscription->entity];
  const PostingRule* rule = catalog.PostingFor(rated.charge->product, entity.name);
  TOLLBOOK_ASSERT(rule != nullptr);  // the catalog check sees to it
  BookedKey key;
  key.subscription = rated.subscription->id;
  key.plan = plan.name;
  key.charge = rated.charge->name;
  key.product = rated.charge->product;
  key.entity = entity.name;
  key.currency = plan.currency;
  key.debit = rule->debit;
  key.credit = rule->credit;
  key.dimensions = rule->dimensions_text;
  key.period = rated.period;
  return key;
}

std::vector<BookedAmount> AmountsDue(const Catalog& catalog, const RatedCharge& rated, std::optional<Day> through) {
  BookedAmount amount;
  amount.key = BookedKeyOf(catalog, rated);
  const PostingRule* rule = catalog.PostingFor(amount.key.product, amount.key.entity);
  std::vector<BookedAmount> due;
  if (rule->summary == SummaryPolicy::kPeriod) {
    amount.key.usage_date = {rated.period.end.number - 1};
    amount.minor = rated.days.back().booked_to_date.minor;
    const bool period_is_over = !through || amount.key.usage_date <= *through;
    if (period_is_over && amount.minor != 0) due.push_back(amount);
    return due;
  }
  Int128 before = 0;
  for (const DayWorth& day : rated.days) {
    amount.key.usage_date = day.usage_date;
    amount.minor = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    if (amount.minor != 0) due.push_back(amount);
  }
  return due;
}

std::vector<BookedAmount> LessBooked(std::vector<BookedAmount> due, const std::vector<BookedAmount>& booked,
                                     std::optional<Day> through) {
  std::sort(due.begin(), due.end(), [](const BookedAmount& a, const BookedAmount& b) { return a.key < b.key; });
  std::vector<BookedAmount> differences;
  auto next_due = due.begin();
  for (const BookedAmount& amount : booked) {
    for (; next_due != due.end() && next_due->key < amount.key; ++next_due) differences.push_back(*next_due);
    if (next_due != due.end() && next_due->key == amount.key) {
      const Int128 difference = next_due->minor - amount.minor;
      if (difference != 0) differences.push_back({amount.key, difference});
      ++next_due;
    } else if (!through || amount.key.usage_date <= *through) {
      differences.push_back({amount.key, -amount.minor});
    }
  }
  differences.insert(differences.end(), next_due, due.end());
  return differences;
}

}  // namespace tollbook
