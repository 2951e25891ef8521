#include "pipeline/seal.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <map>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "ledger/difference_run.h"
#include "ledger/totals_run.h"
#include "pipeline/approval.h"
#include "pipeline/booked_places.h"
#include "pipeline/fixed_meters.h"
#include "pipeline/posting_periods.h"
#include "pipeline/subject_worth.h"
#include "pipeline/worker_arena.h"
#include "rating/permissions.h"

namespace tollbook {
namespace {

// A journal line but for its date, and the date: a seal has few of the first and many of the second.
struct LinePlace {
  uint32_t accounts = 0;  // of the shard's, or of the seal's, LineKeys without a date
  Day usage_date;
  friend bool operator==(LinePlace, LinePlace) = default;
};
struct LinePlaceHash {
  size_t operator()(LinePlace place) const {
    return std::hash<uint64_t>()(uint64_t{place.accounts} << 32 | static_cast<uint32_t>(place.usage_date.number));
  }
};

// Gives lines their numbers, in the order in which they are first named.
using LineNumbers = std::unordered_map<LinePlace, uint32_t, LinePlaceHash>;
// The accounts of a line, and whether it is posted in the period in which accruals of late usage are reversed.
struct LineAccounts {
  LineKey key;
  bool is_behind_accrual = false;
  friend auto operator<=>(const LineAccounts&, const LineAccounts&) = default;
};
using AccountNumbers = std::map<LineAccounts, uint32_t>;

template <typename Numbers, typename Place>
uint32_t NumberOf(const Place& place, Numbers* numbers) {
  return numbers->try_emplace(place, static_cast<uint32_t>(numbers->size())).first->second;
}

// A journal line to be, within one shard; the shards' sums are put together at the end.
struct ShardLine {
  LinePlace place;
  LineSum sum;
};

// What one shard of subjects adds to the seal.
class ShardSeal {
 public:
  explicit ShardSeal(const PostingPeriods& periods) : waiting(periods), periods_(periods) {}
  absl::Status Add(const SubjectWorth& worth, std::optional<Day> through);
  // What is taken back of a batch. The amounts' names live until the run is packed.
  absl::Status AddReversed(std::string_view batch, const Reversal::OfSubject& of);
  // `refs`: where each of `lines` ended up. Once: what was packed is not kept beside it.
  std::string Pack(std::span<const LineRef> refs) {
    DifferenceRunWriter packed = std::exchange(writer_, {});
    return packed.empty() ? "" : packed.Finish(refs);
  }

  std::vector<ShardLine> lines;
  AccountNumbers accounts;
  std::vector<std::string> not_rated;
  SealReport counts;
  WaitingSums waiting;

 private:
  uint32_t AccountsOf(const BookedPlace* place);
  uint32_t LineOf(const BookedKey& key);
  // `is_behind_accrual`: of each difference; empty: none is.
  absl::Status Write(std::string_view subject, std::span<const BookedAmount> differences,
                     std::span<const uint8_t> is_behind_accrual = {});
  absl::Status WriteAccrued(const SubjectWorth& worth, std::span<const BookedAmount> differences);

  std::string reverses_;  // of what is added at the moment; empty: no batch
  bool is_behind_accrual_ = false;
  const PostingPeriods& periods_;
  std::vector<BookedAmount> differences_;  // of the subject at hand
  DifferenceRunWriter writer_;
  // Places end with the visit of the shard; until then each has one address.
  std::unordered_map<const BookedPlace*, uint32_t> accounts_of_[2];  // by is_behind_accrual_
  const BookedPlace* last_place_ = nullptr;
  bool last_is_behind_accrual_ = false;
  uint32_t last_accounts_ = 0;
  LineNumbers line_numbers_;
  // Lines that were looked up, each at a slot of its own place; a month of thirty accounts has them all. Another line
  // of the slot takes its turn.
  static constexpr size_t kKnownLines = 1024;
  struct KnownLine {
    LinePlace place;
    uint32_t line = UINT32_MAX;
  };
  std::vector<KnownLine> known_lines_ = std::vector<KnownLine>(kKnownLines);
};

LineKey WithoutDate(const BookedPlace& place) {
  LineKey accounts;
  accounts.entity = place.entity;
  accounts.currency = place.currency;
  accounts.product = place.product;
  accounts.debit = place.debit;
  accounts.credit = place.credit;
  accounts.dimensions = place.dimensions;
  return accounts;
}

// Where the lines of a seal are posted.
struct LinePlaces {
  const PostingPeriods& periods;
  const Reversal* reversal = nullptr;  // null: nothing is taken back
};

LineKey LineKeyOn(const LineAccounts& of, Day usage_date, const LinePlaces& places) {
  LineKey accounts = of.key;
  PostingPlace place = accounts.reverses.empty() ? places.periods.PlaceOf(accounts.entity, usage_date)
                                                 : places.reversal->PlaceOf(usage_date);
  TOLLBOOK_ASSERT(!place.waits);  // ShardSeal took it out
  if (of.is_behind_accrual) {
    place.period = *place.booked_in;
    place.posting_date = place.period.first;
  }
  accounts.accounting_period = place.period.name;
  accounts.posting_date = place.posting_date;
  accounts.usage_date = place.usage_date;
  return accounts;
}

absl::Status LineOutOfRange(std::string_view entity, std::string_view product, Day posting_date) {
  return MakeError(absl::StatusCode::kOutOfRange, "a journal line is too large to be booked",
                   std::string(entity) + ", " + ToString(posting_date) + ", " + std::string(product),
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
    if (usage.why == UnratedUsage::Why::kTrial) {
      counts->trial_events += usage.events;
      continue;
    }
    uint64_t& events = unattributed[{usage.meter->event_type, usage.usage_date}];
    events = std::max(events, usage.events);
  }
  for (const auto& [place, events] : unattributed) counts->unattributed_events += events;
}

uint32_t ShardSeal::AccountsOf(const BookedPlace* place) {
  if (place == last_place_ && is_behind_accrual_ == last_is_behind_accrual_) return last_accounts_;
  const auto [known, added] = accounts_of_[is_behind_accrual_ ? 1 : 0].try_emplace(place, 0);
  if (added) {
    LineAccounts of_place{WithoutDate(*place), is_behind_accrual_};
    of_place.key.reverses = reverses_;
    known->second = NumberOf(of_place, &accounts);
  }
  last_place_ = place;
  last_is_behind_accrual_ = is_behind_accrual_;
  return last_accounts_ = known->second;
}

uint32_t ShardSeal::LineOf(const BookedKey& key) {
  const LinePlace place{AccountsOf(key.place), key.usage_date};
  const size_t slot = (place.accounts * size_t{32} + static_cast<uint32_t>(place.usage_date.number)) % kKnownLines;
  KnownLine& known = known_lines_[slot];
  if (known.line != UINT32_MAX && known.place == place) return known.line;
  const uint32_t line = NumberOf(place, &line_numbers_);
  if (line == lines.size()) lines.push_back({place, {}});
  known = {place, line};
  return line;
}

absl::Status ShardSeal::Add(const SubjectWorth& worth, std::optional<Day> through) {
  ++counts.subjects;
  if (!worth.status.ok()) {
    // Set aside: what is booked for it stays, and all others are sealed.
    not_rated.push_back(std::string(Std(worth.status.message())));
    return absl::OkStatus();
  }
  counts.charges += worth.rated.charges.size();
  CountUnrated(worth.rated.unrated, &counts);
  std::span<const BookedAmount> differences = worth.due;
  if (!worth.booked.empty()) {
    differences_.clear();
    LessBooked(worth.due, worth.booked, through, &differences_);
    differences = differences_;
  }
  if (!periods_.all_open() || worth.has_unmapped) {
    if (worth.booked.empty()) differences_.assign(worth.due.begin(), worth.due.end());
    TOLLBOOK_RETURN_IF_ERROR(waiting.TakeWaiting(&differences_));
    differences = differences_;
  }
  if (differences.empty()) return absl::OkStatus();
  return periods_.has_accruals() ? WriteAccrued(worth, differences) : Write(worth.subject, differences);
}

// Late usage that is accrued: debited to the account of accruals in the open period, credited from there in the one
// behind it, and booked there. The accrual comes to nothing.
absl::Status ShardSeal::WriteAccrued(const SubjectWorth& worth, std::span<const BookedAmount> differences) {
  std::vector<BookedAmount> written;
  std::vector<uint8_t> is_behind_accrual;
  const auto add = [&](const BookedAmount& amount, bool is_behind) {
    written.push_back(amount);
    is_behind_accrual.push_back(is_behind ? 1 : 0);
  };
  for (const BookedAmount& difference : differences) {
    const BookedPlace* const accrual = worth.places->AccrualOf(difference.key.place);
    const bool is_accrued =
        accrual != nullptr &&
        periods_.PlaceOf(difference.key.place->entity, difference.key.usage_date).booked_in.has_value();
    if (is_accrued) {
      BookedAmount accrued = difference;
      accrued.key.place = accrual;
      add(accrued, false);
      if (__builtin_sub_overflow(Int128{0}, accrued.minor, &accrued.minor)) {
        return LineOutOfRange(accrual->entity, accrual->product, accrued.key.usage_date);
      }
      add(accrued, true);
    }
    add(difference, is_accrued);
  }
  return Write(worth.subject, written, is_behind_accrual);
}

absl::Status ShardSeal::AddReversed(std::string_view batch, const Reversal::OfSubject& of) {
  reverses_ = batch;
  const absl::Status written = Write(of.subject, of.amounts);
  reverses_.clear();
  return written;
}

absl::Status ShardSeal::Write(std::string_view subject, std::span<const BookedAmount> differences,
                              std::span<const uint8_t> is_behind_accrual) {
  writer_.BeginSubject(subject, static_cast<uint32_t>(differences.size()));
  for (size_t i = 0; i < differences.size(); ++i) {
    const BookedAmount& difference = differences[i];
    is_behind_accrual_ = !is_behind_accrual.empty() && is_behind_accrual[i] != 0;
    const uint32_t line = LineOf(difference.key);
    LineSum& sum = lines[line].sum;
    if (!sum.Add(difference.minor)) {
      const BookedPlace& place = *difference.key.place;
      return LineOutOfRange(place.entity, place.product, difference.key.usage_date);
    }
    sum.differences += 1;
    writer_.Add(difference.key, difference.minor, line);
  }
  counts.differences += differences.size();
  return absl::OkStatus();
}

void AddCounts(const ShardSeal& shard, SealReport* report) {
  report->subjects += shard.counts.subjects;
  report->charges += shard.counts.charges;
  report->differences += shard.counts.differences;
  report->unattributed_events += shard.counts.unattributed_events;
  report->unpriced_events += shard.counts.unpriced_events;
  report->trial_events += shard.counts.trial_events;
  report->not_rated.insert(report->not_rated.end(), shard.not_rated.begin(), shard.not_rated.end());
}

// The lines of all shards, put together. Shard by shard, so that whether a sum fits does not depend on threads.
class SealLines {
 public:
  explicit SealLines(const LinePlaces& places) : places_(places) {}

  absl::Status Add(const ShardSeal& shard) {
    std::vector<uint32_t> accounts(shard.accounts.size());
    for (const auto& [key, number] : shard.accounts) accounts[number] = NumberOf(key, &accounts_);
    std::vector<uint32_t>& numbers = of_shards_.emplace_back();
    for (const ShardLine& line : shard.lines) {
      const uint32_t number = NumberOf(LinePlace{accounts[line.place.accounts], line.place.usage_date}, &numbers_);
      if (number == sums_.size()) sums_.emplace_back();
      LineSum& sum = sums_[number];
      if (!sum.Add(line.sum.minor)) return OutOfRange(number);
      sum.differences += line.sum.differences;
      numbers.push_back(number);
    }
    return absl::OkStatus();
  }

  std::map<LineKey, LineSum> Sums() const {
    std::map<LineKey, LineSum> sums;
    const std::vector<LineKey> keys = Keys();
    for (size_t number = 0; number < keys.size(); ++number) sums[keys[number]] = sums_[number];
    return sums;
  }

  // Where the lines of each shard ended up.
  std::vector<std::vector<LineRef>> RefsIn(const SummarisedJournal& journal) const {
    std::vector<LineRef> refs;
    for (const LineKey& key : Keys()) refs.push_back(journal.line_of.at(key));
    std::vector<std::vector<LineRef>> of_shards;
    for (const std::vector<uint32_t>& numbers : of_shards_) {
      std::vector<LineRef>& of_shard = of_shards.emplace_back();
      for (const uint32_t number : numbers) of_shard.push_back(refs[number]);
    }
    return of_shards;
  }

 private:
  std::vector<LineKey> Keys() const {
    std::vector<const LineAccounts*> accounts(accounts_.size());
    for (const auto& [key, number] : accounts_) accounts[number] = &key;
    std::vector<LineKey> keys(numbers_.size());
    for (const auto& [place, number] : numbers_) {
      keys[number] = LineKeyOn(*accounts[place.accounts], place.usage_date, places_);
    }
    return keys;
  }
  absl::Status OutOfRange(uint32_t number) const {
    const LineKey key = Keys()[number];
    return LineOutOfRange(key.entity, key.product, key.posting_date);
  }

  const LinePlaces places_;
  AccountNumbers accounts_;
  LineNumbers numbers_;
  std::vector<LineSum> sums_;                     // by number
  std::vector<std::vector<uint32_t>> of_shards_;  // the number of each shard's each line
};

BatchLinesMax BatchLinesMaxOf(const Catalog& catalog) {
  BatchLinesMax lines_max;
  for (const Entity& entity : catalog.entities) lines_max.emplace(entity.name, entity.batch_lines_max);
  return lines_max;
}

// Law 4: every batch sums to zero. A batch that does not is a bug of ours, and nothing is written.
void AssertBalanced(const std::vector<JournalBatch>& batches) {
  for (const JournalBatch& batch : batches) TOLLBOOK_ASSERT(BalanceOf(batch) == 0);
}

std::vector<ShardRun> PackAll(std::span<ShardSeal> shards, const std::vector<std::vector<LineRef>>& refs, int threads) {
  std::vector<std::string> packed(shards.size());
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, shards.size(), [&](size_t shard) { packed[shard] = shards[shard].Pack(refs[shard]); });
  });
  std::vector<ShardRun> runs;
  for (size_t shard = 0; shard < packed.size(); ++shard) {
    if (!packed[shard].empty()) runs.push_back({static_cast<int>(shard), std::move(packed[shard])});
  }
  return runs;
}

// Before anything else of the shards: the places of the amounts must have their addresses while others get theirs.
absl::Status AddReversed(const Book& book, Reversal* reversal, std::vector<ShardSeal>* shards) {
  for (int shard = 0; shard < kTotalShards; ++shard) {
    const absl::StatusOr<std::vector<Reversal::OfSubject>> subjects = reversal->AmountsIn(book, shard);
    if (!subjects.ok()) return subjects.status();
    for (const Reversal::OfSubject& of : *subjects) {
      TOLLBOOK_RETURN_IF_ERROR((*shards)[shard].AddReversed(reversal->order().batch, of));
    }
  }
  return absl::OkStatus();
}

// Of an adjusting seal: only who may adjust an entity's books gets batches into its soft-closed periods.
absl::Status CheckAdjustment(const Catalog& catalog, const PostingPeriods& periods, const SealOptions& options,
                             std::span<const JournalBatch> batches) {
  for (const JournalBatch& batch : batches) {
    const std::optional<AccountingPeriod> period = periods.Find(batch.entity, batch.accounting_period);
    if (!period || periods.StateOf(batch.entity, *period) != PeriodState::kSoftClosed) continue;
    TOLLBOOK_RETURN_IF_ERROR(
        CheckPermission(catalog, batch.entity, Act::kAdjust, {options.adjusted_by, options.account}));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SealReport> Seal(Book& book, const Catalog& catalog, const SealOptions& options) {
  TOLLBOOK_RETURN_IF_ERROR(FixedMeters(book, catalog).status());
  const absl::StatusOr<PostingPeriods> periods =
      PostingPeriods::Make(book, catalog, UINT64_MAX, !options.adjusted_by.empty());
  if (!periods.ok()) return periods.status();
  std::vector<ShardSeal> shards;
  shards.reserve(kTotalShards);
  for (int shard = 0; shard < kTotalShards; ++shard) shards.emplace_back(*periods);
  WorthWindow window{.through = options.through};
  std::optional<Reversal> reversal;
  if (options.reversal) {
    absl::StatusOr<Reversal> made = Reversal::Make(book, *periods, *options.reversal);
    if (!made.ok()) return made.status();
    reversal.emplace(*std::move(made));
    window.without = reversal->batch();
    TOLLBOOK_RETURN_IF_ERROR(AddReversed(book, &*reversal, &shards));
  }
  const absl::Status visited =
      VisitSubjects(book, catalog, window, options.threads,
                    [&](int shard, const SubjectWorth& worth) { return shards[shard].Add(worth, options.through); });
  if (!visited.ok()) return visited;

  SealReport report;
  SealLines lines({*periods, reversal ? &*reversal : nullptr});
  WaitingSums waiting(*periods);
  for (const ShardSeal& shard : shards) {
    AddCounts(shard, &report);
    TOLLBOOK_RETURN_IF_ERROR(lines.Add(shard));
    TOLLBOOK_RETURN_IF_ERROR(waiting.Add(shard.waiting));
  }
  report.waiting = waiting.All();
  std::sort(report.not_rated.begin(), report.not_rated.end());
  if (report.differences == 0) return report;

  SummarisedJournal journal = Summarise(lines.Sums(), book.identity().name, book.next_seal(), BatchLinesMaxOf(catalog));
  AssertBalanced(journal.batches);
  TOLLBOOK_RETURN_IF_ERROR(CheckAdjustment(catalog, *periods, options, journal.batches));
  absl::StatusOr<std::vector<HeldBatch>> held = HeldForApproval(book, catalog, journal.batches);
  if (!held.ok()) return held.status();
  SealCommit seal;
  seal.record.held = *held;
  seal.record.number = book.next_seal();
  seal.record.catalog_digest = catalog.digest;
  seal.record.through = options.through;
  seal.record.differences = report.differences;
  seal.record.adjusted_by = options.adjusted_by;
  seal.record.adjusted_why = options.adjusted_why;
  if (options.reversal) {
    seal.record.reverses = options.reversal->batch;
    seal.record.reversed_by = options.reversal->by;
    seal.record.reversed_why = options.reversal->why;
  }
  for (const JournalBatch& batch : journal.batches) seal.record.batches.push_back(batch.id);
  seal.differences = PackAll(shards, lines.RefsIn(journal), options.threads);
  seal.batches = std::move(journal.batches);
  seal.catalog_files = catalog.files();
  TOLLBOOK_RETURN_IF_ERROR(book.CommitSeal(seal));
  report.seal = seal.record.number;
  report.held = *std::move(held);
  report.batches = std::move(seal.batches);
  return report;
}

}  // namespace tollbook
