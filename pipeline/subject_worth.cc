#include "pipeline/subject_worth.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <tuple>
#include <unordered_map>

#include "ledger/totals_run.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// The cells of one shard's runs, brought together by subject and merged.
class ShardTotals {
 public:
  ShardTotals(const Catalog& catalog, std::optional<std::string_view> only_subject)
      : catalog_(catalog), only_subject_(only_subject) {}

  absl::Status Add(const StoredRun& run);
  // Sorts and merges; then `subjects()` and `TotalsOf` can be used.
  void Merge();

  // OutOfRange when a total of the subject cannot be held.
  absl::Status StatusOf(size_t subject) const {
    const auto it = overflown_.find(subject);
    if (it == overflown_.end()) return absl::OkStatus();
    return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves the range of 1.7e20 units",
                     "meter " + it->second->name + ", subject " + std::string(names_[subject]),
                     "it is not booked; mend its events at the source and absorb them into a new book");
  }

  size_t subjects() const { return names_.size(); }
  std::string_view name(size_t subject) const { return names_[subject]; }
  std::span<const SubjectTotal> TotalsOf(size_t subject) const {
    return std::span(totals_).subspan(starts_[subject], starts_[subject + 1] - starts_[subject]);
  }

 private:
  struct Cell {
    uint32_t subject;
    uint32_t meter;       // of the catalog
    uint32_t dimensions;  // of tuples_
    Bucket bucket;
    UsageTotal total;
    auto place() const { return std::tie(subject, meter, dimensions, bucket.number); }
  };
  absl::StatusOr<std::vector<uint32_t>> MetersOf(const TotalsRunReader& reader) const;
  uint32_t Intern(const std::vector<std::string_view>& tuple);

  const Catalog& catalog_;
  const std::optional<std::string_view> only_subject_;
  std::unordered_map<std::string_view, uint32_t> subject_ids_;
  std::vector<std::string_view> names_;
  std::map<std::vector<std::string_view>, uint32_t> tuple_ids_;
  std::vector<const std::vector<std::string_view>*> tuples_;
  std::vector<Cell> cells_;
  std::vector<SubjectTotal> totals_;
  std::vector<size_t> starts_;
  std::map<size_t, const Meter*> overflown_;  // subjects with a total that cannot be held
};

absl::StatusOr<std::vector<uint32_t>> ShardTotals::MetersOf(const TotalsRunReader& reader) const {
  std::vector<uint32_t> meters;
  for (const TotalsRunReader::MeterEntry& entry : reader.meters()) {
    const Meter* meter = catalog_.FindMeter(entry.name);
    if (meter == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is gone from the catalog", entry.name,
                       "put it back in meters.yaml");
    }
    meters.push_back(static_cast<uint32_t>(meter - catalog_.meters.data()));
  }
  return meters;
}

uint32_t ShardTotals::Intern(const std::vector<std::string_view>& tuple) {
  const auto [it, added] = tuple_ids_.try_emplace(tuple, static_cast<uint32_t>(tuples_.size()));
  if (added) tuples_.push_back(&it->first);
  return it->second;
}

absl::Status ShardTotals::Add(const StoredRun& run) {
  TotalsRunReader reader(run.bytes);
  absl::StatusOr<std::vector<uint32_t>> meters = MetersOf(reader);
  if (!meters.ok()) return meters.status();
  std::vector<uint32_t> tuples;
  for (const std::vector<std::string_view>& tuple : reader.dimensions()) tuples.push_back(Intern(tuple));
  std::string_view name;
  uint32_t count = 0;
  while (reader.NextSubject(&name, &count)) {
    if (only_subject_ && name != *only_subject_) {
      reader.SkipCells(count);
      continue;
    }
    const auto [it, added] = subject_ids_.try_emplace(name, static_cast<uint32_t>(names_.size()));
    if (added) names_.push_back(name);
    TotalCell cell;
    for (uint32_t i = 0; i < count && reader.NextCell(&cell); ++i) {
      cells_.push_back({it->second, (*meters)[cell.meter], tuples[cell.dimensions], cell.bucket, cell.total});
    }
  }
  return reader.ok() ? absl::OkStatus() : DamagedError("usage totals of commit " + std::to_string(run.sequence));
}

void ShardTotals::Merge() {
  std::sort(cells_.begin(), cells_.end(), [](const Cell& a, const Cell& b) { return a.place() < b.place(); });
  totals_.reserve(cells_.size());
  starts_.assign(1, 0);
  for (size_t i = 0; i < cells_.size();) {
    Cell& cell = cells_[i];
    const Meter& meter = catalog_.meters[cell.meter];
    for (++i; i < cells_.size() && cells_[i].place() == cell.place(); ++i) {
      if (!tollbook::Merge(meter.aggregation, cells_[i].total, &cell.total)) {
        overflown_.emplace(cell.subject, &meter);
        cell.total.events += cells_[i].total.events;  // the value cannot be held, the events are still counted
      }
    }
    totals_.push_back({&meter, *tuples_[cell.dimensions], cell.bucket, cell.total});
    if (i == cells_.size() || cells_[i].subject != cell.subject) starts_.push_back(totals_.size());
  }
}

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
  ShardTotals totals(catalog, window.only_subject);
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
