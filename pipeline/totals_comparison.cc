#include "pipeline/totals_comparison.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <compare>
#include <span>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "ledger/totals_run.h"
#include "pipeline/shard_totals.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// The totals of one shard, by subject.
class ShardSide {
 public:
  ShardSide(const Catalog& catalog, uint64_t seed) : totals_(catalog, seed, std::nullopt) {}

  absl::Status Read(const Book& book, int shard) {
    absl::StatusOr<std::vector<StoredRun>> runs = book.Totals(shard);
    if (!runs.ok()) return runs.status();
    runs_ = *std::move(runs);
    for (const StoredRun& run : runs_) TOLLBOOK_RETURN_IF_ERROR(totals_.Add(run));
    totals_.Merge();
    for (size_t i = 0; i < totals_.subjects(); ++i) by_name_.emplace(totals_.name(i), i);
    return absl::OkStatus();
  }

  const std::vector<StoredRun>& runs() const { return runs_; }
  size_t subjects() const { return totals_.subjects(); }
  std::string_view name(size_t subject) const { return totals_.name(subject); }
  bool Has(std::string_view name) const { return by_name_.contains(name); }
  // Nothing of a subject that it has not. DataLoss: the bytes are damaged.
  absl::StatusOr<std::span<const SubjectTotal>> Of(std::string_view name) {
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return std::span<const SubjectTotal>();
    const std::span<const SubjectTotal> totals = totals_.TotalsOf(found->second);
    const absl::Status status = totals_.StatusOf(found->second);
    if (!status.ok()) return status;
    return totals;
  }

 private:
  std::vector<StoredRun> runs_;
  ShardTotals totals_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

// In the order of ShardTotals::TotalsOf; equal: they should have the same value and events.
std::strong_ordering ComparePlaces(const SubjectTotal& a, const SubjectTotal& b) {
  if (a.meter != b.meter) return a.meter <=> b.meter;  // of one catalog's list
  const auto values = std::lexicographical_compare_three_way(a.dimension_values.begin(), a.dimension_values.end(),
                                                             b.dimension_values.begin(), b.dimension_values.end());
  if (values != 0) return values;
  if (a.bucket != b.bucket) return a.bucket <=> b.bucket;
  return IsOfElements(FormOf(*a.meter)) ? CompareElements(a.total, b.total) : std::strong_ordering::equal;
}

std::string MeterText(const SubjectTotal& total) {
  std::string text = total.meter->name;
  for (size_t i = 0; i < total.dimension_values.size(); ++i) {
    text.append(" ").append(total.meter->dimensions[i]).append("=").append(total.dimension_values[i]);
  }
  return text;
}

std::string BucketText(const SubjectTotal& total) {
  const Granularity granularity = total.meter->granularity;
  return granularity == Granularity::kDay ? ToString(Day{total.bucket.number})
                                          : ToString(StartOf(granularity, total.bucket));
}

// A unique count's value is a hash, which tells nobody anything.
std::string ValueText(const SubjectTotal* total) {
  if (total == nullptr) return "nothing";
  const std::string events = std::to_string(total->total.events) + (total->total.events == 1 ? " event" : " events");
  if (total->meter->aggregation == Aggregation::kUniqueCount) return events;
  return ToString(total->total.value) + " in " + events;
}

void CompareSubject(std::string_view subject, std::span<const SubjectTotal> again, std::span<const SubjectTotal> stored,
                    TotalsCompared* compared) {
  while (!again.empty() || !stored.empty()) {
    const std::strong_ordering order = again.empty()    ? std::strong_ordering::greater
                                       : stored.empty() ? std::strong_ordering::less
                                                        : ComparePlaces(again.front(), stored.front());
    const SubjectTotal* const anew = order <= 0 ? &again.front() : nullptr;
    const SubjectTotal* const kept = order >= 0 ? &stored.front() : nullptr;
    const SubjectTotal& which = anew != nullptr ? *anew : *kept;
    ++compared->totals;
    if (anew == nullptr || kept == nullptr || anew->total != kept->total) {
      compared->unlike.push_back(
          {std::string(subject), MeterText(which), BucketText(which), ValueText(anew), ValueText(kept)});
    }
    if (anew != nullptr) again = again.subspan(1);
    if (kept != nullptr) stored = stored.subspan(1);
  }
}

// The subjects that these commits have totals of.
absl::Status AddSubjectsOf(const StoredRun& run, const std::set<uint64_t>& commits,
                           std::unordered_set<std::string>* subjects) {
  if (!commits.contains(run.sequence)) return absl::OkStatus();
  TotalsRunReader reader(run.bytes);
  std::string_view subject;
  SubjectCells cells;
  while (reader.NextSubject(&subject, &cells)) subjects->emplace(subject);
  return reader.ok() ? absl::OkStatus() : DamagedError("usage totals of commit " + std::to_string(run.sequence));
}

absl::StatusOr<TotalsCompared> CompareShard(const Book& again, const Book& stored, const Catalog& catalog,
                                            const std::set<uint64_t>& but_of, int shard) {
  TotalsCompared compared;
  const uint64_t seed = stored.identity().seed[0];
  ShardSide anew(catalog, seed), kept(catalog, seed);
  TOLLBOOK_RETURN_IF_ERROR(anew.Read(again, shard));
  TOLLBOOK_RETURN_IF_ERROR(kept.Read(stored, shard));
  std::unordered_set<std::string> of_commits;
  for (const StoredRun& run : kept.runs()) {
    TOLLBOOK_RETURN_IF_ERROR(AddSubjectsOf(run, but_of, &of_commits));
  }
  const auto compare = [&](std::string_view subject) -> absl::Status {
    if (of_commits.contains(std::string(subject))) {
      ++compared.excluded;
      return absl::OkStatus();
    }
    const absl::StatusOr<std::span<const SubjectTotal>> of_again = anew.Of(subject), of_stored = kept.Of(subject);
    if (absl::IsOutOfRange(of_again.status()) || absl::IsOutOfRange(of_stored.status())) {
      ++compared.excluded;
      return absl::OkStatus();
    }
    if (!of_stored.ok()) return of_stored.status();
    // It was made just now, so it is not its bytes that are wrong.
    if (absl::IsDataLoss(of_again.status())) {
      compared.unlike.push_back({std::string(subject), "all totals", "", "more taken back than came", "as they stand"});
      return absl::OkStatus();
    }
    if (!of_again.ok()) return of_again.status();
    CompareSubject(subject, *of_again, *of_stored, &compared);
    return absl::OkStatus();
  };
  for (size_t i = 0; i < kept.subjects(); ++i) TOLLBOOK_RETURN_IF_ERROR(compare(kept.name(i)));
  for (size_t i = 0; i < anew.subjects(); ++i) {
    if (!kept.Has(anew.name(i))) TOLLBOOK_RETURN_IF_ERROR(compare(anew.name(i)));
  }
  return compared;
}

}  // namespace

absl::StatusOr<TotalsCompared> CompareTotals(const Book& again, const Book& stored, const Catalog& catalog,
                                             const std::set<uint64_t>& but_of, int threads) {
  std::vector<absl::StatusOr<TotalsCompared>> shards(kTotalShards, TotalsCompared());
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(0, kTotalShards,
                      [&](int shard) { shards[shard] = CompareShard(again, stored, catalog, but_of, shard); });
  });
  TotalsCompared all;
  for (absl::StatusOr<TotalsCompared>& shard : shards) {
    if (!shard.ok()) return shard.status();
    all.totals += shard->totals;
    all.excluded += shard->excluded;
    std::ranges::move(shard->unlike, std::back_inserter(all.unlike));
  }
  std::ranges::stable_sort(all.unlike, {},
                           [](const Unlike& unlike) { return std::tie(unlike.of, unlike.what, unlike.when); });
  return all;
}

}  // namespace tollbook
