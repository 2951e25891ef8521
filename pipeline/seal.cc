#include "pipeline/seal.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "ledger/difference_run.h"
#include "ledger/totals_run.h"
#include "pipeline/arena.h"
#include "pipeline/subject_worth.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// A journal line to be, within one shard; the shards' sums are put together at the end.
struct ShardLine {
  LineKey key;
  LineSum sum;
};

struct SubjectDifferences {
  std::string_view subject;
  std::vector<BookedAmount> differences;
  std::vector<uint32_t> lines;  // of each difference: index into ShardSeal::lines
};

// What one shard of subjects adds to the seal.
class ShardSeal {
 public:
  absl::Status Add(const Catalog& catalog, const SubjectWorth& worth, std::optional<Day> through);
  std::string Pack(const SummarisedJournal& journal) const;

  std::vector<ShardLine> lines;
  std::vector<std::string> not_rated;
  SealReport counts;

 private:
  uint32_t LineOf(const BookedKey& key);
  BookedKey Keep(const BookedKey& key);

  Arena arena_;  // names that would end with the visit
  std::vector<SubjectDifferences> subjects_;
  using LinePlace = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, std::string_view,
                               Currency, Day>;
  std::map<LinePlace, uint32_t> line_ids_;  // keys point into arena_
};

// Usage is booked in the accounting period of its usage date.
LineKey LineKeyFor(const BookedKey& key) {
  LineKey line;
  line.entity = key.entity;
  line.currency = key.currency;
  line.accounting_period = AccountingPeriodOf(key.usage_date);
  line.posting_date = key.usage_date;
  line.product = key.product;
  line.debit = key.debit;
  line.credit = key.credit;
  line.dimensions = key.dimensions;
  return line;
}

absl::Status LineOutOfRange(const LineKey& key) {
  return MakeError(absl::StatusCode::kOutOfRange, "a journal line is too large to be booked",
                   key.entity + ", " + ToString(key.posting_date) + ", " + key.product,
                   "check the prices of the product");
}

// An event counts once, also when its type feeds several meters: each of them has it, so the largest count of a type
// and day is the number of events.
void CountUnrated(const std::vector<UnratedUsage>& unrated, SealReport* counts) {
  std::map<std::pair<std::string_view, Day>, uint64_t> unattributed;
  for (const UnratedUsage& usage : unrated) {
    if (usage.why == UnratedUsage::Why::kUnpriced) {
      counts->unpriced_events += usage.events;
      continue;
    }
    uint64_t& events = unattributed[{usage.meter->event_type, usage.usage_date}];
    events = std::max(events, usage.events);
  }
  for (const auto& [place, events] : unattributed) counts->unattributed_events += events;
}

uint32_t ShardSeal::LineOf(const BookedKey& key) {
  const LinePlace place(key.entity, key.product, key.debit, key.credit, key.dimensions, key.currency, key.usage_date);
  const auto [it, added] = line_ids_.try_emplace(place, static_cast<uint32_t>(lines.size()));
  if (added) lines.push_back({LineKeyFor(key), {}});
  return it->second;
}

BookedKey ShardSeal::Keep(const BookedKey& key) {
  BookedKey kept = key;
  for (std::string_view* name : {&kept.subscription, &kept.plan, &kept.charge, &kept.product, &kept.entity, &kept.debit,
                                 &kept.credit, &kept.dimensions}) {
    *name = arena_.Copy(*name);
  }
  return kept;
}

absl::Status ShardSeal::Add(const Catalog& catalog, const SubjectWorth& worth, std::optional<Day> through) {
  ++counts.subjects;
  if (!worth.status.ok()) {
    // Set aside: what is booked for it stays, and all others are sealed.
    not_rated.push_back(std::string(Std(worth.status.message())));
    return absl::OkStatus();
  }
  counts.charges += worth.rated.charges.size();
  CountUnrated(worth.rated.unrated, &counts);
  std::vector<BookedAmount> due;
  for (const RatedCharge& rated : worth.rated.charges) {
    const std::vector<BookedAmount> amounts = AmountsDue(catalog, rated, through);
    due.insert(due.end(), amounts.begin(), amounts.end());
  }
  std::vector<BookedAmount> differences = LessBooked(std::move(due), worth.booked, through);
  if (differences.empty()) return absl::OkStatus();

  SubjectDifferences subject{arena_.Copy(worth.subject), {}, {}};
  for (const BookedAmount& difference : differences) {
    const BookedKey key = Keep(difference.key);
    const uint32_t line = LineOf(key);
    if (!lines[line].sum.Add(difference.minor)) return LineOutOfRange(lines[line].key);
    lines[line].sum.differences += 1;
    subject.differences.push_back({key, difference.minor});
    subject.lines.push_back(line);
  }
  counts.differences += subject.differences.size();
  subjects_.push_back(std::move(subject));
  return absl::OkStatus();
}

std::string ShardSeal::Pack(const SummarisedJournal& journal) const {
  std::vector<LineRef> refs;
  for (const ShardLine& line : lines) refs.push_back(journal.line_of.at(line.key));
  DifferenceRunWriter writer;
  for (const SubjectDifferences& subject : subjects_) {
    writer.BeginSubject(subject.subject, static_cast<uint32_t>(subject.differences.size()));
    for (size_t i = 0; i < subject.differences.size(); ++i) {
      writer.Add({subject.differences[i].key, subject.differences[i].minor, refs[subject.lines[i]]});
    }
  }
  return writer.empty() ? std::string() : writer.Finish();
}

// Law 4: every batch sums to zero. A batch that does not is a bug of ours, and nothing is written.
void AssertBalanced(const std::vector<JournalBatch>& batches) {
  for (const JournalBatch& batch : batches) TOLLBOOK_ASSERT(BalanceOf(batch) == 0);
}

std::vector<ShardRun> PackAll(const std::vector<ShardSeal>& shards, const SummarisedJournal& journal, int threads) {
  std::vector<std::string> packed(shards.size());
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, shards.size(), [&](size_t shard) { packed[shard] = shards[shard].Pack(journal); });
  });
  std::vector<ShardRun> runs;
  for (size_t shard = 0; shard < packed.size(); ++shard) {
    if (!packed[shard].empty()) runs.push_back({static_cast<int>(shard), std::move(packed[shard])});
  }
  return runs;
}

}  // namespace

absl::StatusOr<SealReport> Seal(Book& book, const Catalog& catalog, const SealOptions& options) {
  std::vector<ShardSeal> shards(kTotalShards);
  const absl::Status visited = VisitSubjects(
      book, catalog, {.through = options.through}, options.threads,
      [&](int shard, const SubjectWorth& worth) { return shards[shard].Add(catalog, worth, options.through); });
  if (!visited.ok()) return visited;

  SealReport report;
  std::map<LineKey, LineSum> sums;
  for (const ShardSeal& shard : shards) {
    report.subjects += shard.counts.subjects;
    report.charges += shard.counts.charges;
    report.differences += shard.counts.differences;
    report.unattributed_events += shard.counts.unattributed_events;
    report.unpriced_events += shard.counts.unpriced_events;
    report.not_rated.insert(report.not_rated.end(), shard.not_rated.begin(), shard.not_rated.end());
    for (const ShardLine& line : shard.lines) {
      LineSum& sum = sums[line.key];
      if (!sum.Add(line.sum.minor)) return LineOutOfRange(line.key);
      sum.differences += line.sum.differences;
    }
  }
  std::sort(report.not_rated.begin(), report.not_rated.end());
  if (report.differences == 0) return report;

  SummarisedJournal journal = Summarise(sums, book.identity().name, book.next_seal());
  AssertBalanced(journal.batches);
  SealCommit seal;
  seal.record.number = book.next_seal();
  seal.record.catalog_digest = catalog.digest;
  seal.record.through = options.through;
  seal.record.differences = report.differences;
  for (const JournalBatch& batch : journal.batches) seal.record.batches.push_back(batch.id);
  seal.differences = PackAll(shards, journal, options.threads);
  seal.batches = std::move(journal.batches);
  seal.catalog_files = catalog.files;
  TOLLBOOK_RETURN_IF_ERROR(book.CommitSeal(seal));
  report.seal = seal.record.number;
  report.batches = std::move(seal.batches);
  return report;
}

}  // namespace tollbook
