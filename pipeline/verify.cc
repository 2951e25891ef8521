#include "pipeline/verify.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <tuple>

#include "ledger/cut_off.h"
#include "ledger/decision.h"
#include "ledger/difference_run.h"
#include "ledger/outbox.h"
#include "ledger/purge.h"
#include "ledger/totals_cells.h"
#include "ledger/unsettled.h"
#include "pipeline/booked_places.h"
#include "pipeline/charges.h"
#include "pipeline/contract_check.h"
#include "pipeline/posting_periods.h"
#include "pipeline/subject_worth.h"
#include "pipeline/targets.h"
#include "pipeline/waiting.h"
#include "rating/dimension_text.h"

namespace tollbook {
namespace {

LawCheck Failed(int law, std::string name, const absl::Status& status) {
  return {law, std::move(name), false, std::string(Std(status.message()))};
}

std::string Text(const LineCounts& counts) {
  return std::to_string(counts.lines) + " lines = " + std::to_string(counts.accepted) + " accepted + " +
         std::to_string(counts.duplicate) + " duplicate + " + std::to_string(counts.conflict) + " conflict + " +
         std::to_string(counts.held) + " held + " + std::to_string(counts.rejected) + " rejected";
}

absl::StatusOr<LineCounts> CountsOfSources(const Book& book) {
  absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
  if (!sources.ok()) return sources.status();
  LineCounts sum;
  for (const SourceRecord& source : *sources) sum += source.counts;
  return sum;
}

// How many exceptions of each outcome the book keeps.
absl::StatusOr<LineCounts> CountsOfExceptions(const Book& book) {
  LineCounts kept;
  const absl::Status visited = book.ForEachExceptions([&](const StoredExceptions& chunk) {
    absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) ++kept.of(OutcomeOf(record.reason));
    return absl::OkStatus();
  });
  if (!visited.ok()) return visited;
  return kept;
}

LawCheck EveryLineAccountedFor(const Book& book) {
  LawCheck check{1, "every line is accounted for", false, Text(book.counts())};
  const absl::StatusOr<LineCounts> sources = CountsOfSources(book);
  if (!sources.ok()) return Failed(1, check.name, sources.status());
  const absl::StatusOr<LineCounts> kept = CountsOfExceptions(book);
  if (!kept.ok()) return Failed(1, check.name, kept.status());
  const LineCounts& counts = book.counts();
  if (!counts.balanced()) {
    check.detail += ": does not add up";
  } else if (*sources != counts) {
    check.detail = "the sources say " + Text(*sources) + "; the book says " + Text(counts);
  } else if (kept->duplicate != counts.duplicate || kept->conflict != counts.conflict || kept->held != counts.held ||
             kept->rejected != counts.rejected) {
    check.detail = "the exceptions kept are " + Text(*kept) + "; the book says " + Text(counts);
  } else {
    check.holds = true;
  }
  return check;
}

}  // namespace

absl::StatusOr<uint64_t> AppliedCorrections(const Book& book) {
  uint64_t applied = 0;
  const absl::Status visited = book.ForEachCorrections([&](const StoredExceptions& chunk) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (records.ok()) applied += records->size();
    return records.status();
  });
  if (!visited.ok()) return visited;
  return applied;
}

namespace {

// How many totals a run replaces. DataLoss: its cells are damaged.
absl::StatusOr<uint64_t> ReplacedIn(const StoredRun& run) {
  TotalsRunReader reader(run.bytes);
  const std::vector<RunSeries> series = reader.run_series();
  std::string_view subject;
  SubjectCells cells;
  uint64_t replaced = 0;
  bool sound = true;
  while (reader.NextSubject(&subject, &cells)) {
    sound = ForEachCell(cells, series,
                        [&](uint32_t, Bucket, const UsageTotal&, CellRole role) {
                          replaced += role == CellRole::kReplaces ? 1 : 0;
                        }) &&
            sound;
  }
  if (!sound || !reader.ok()) return DamagedError("usage totals of commit " + std::to_string(run.sequence));
  return replaced;
}

// How many totals were reckoned anew. Only corrections may do that: a commit that replaces a total has applied some.
absl::StatusOr<uint64_t> ReplacedTotals(const Book& book) {
  std::set<uint64_t> correcting;
  TOLLBOOK_RETURN_IF_ERROR(book.ForEachCorrections([&](const StoredExceptions& chunk) {
    correcting.insert(chunk.sequence);
    return absl::OkStatus();
  }));
  uint64_t replaced = 0;
  for (int shard = 0; shard < kTotalShards; ++shard) {
    const absl::StatusOr<std::vector<StoredRun>> runs = book.Totals(shard);
    if (!runs.ok()) return runs.status();
    for (const StoredRun& run : *runs) {
      const absl::StatusOr<uint64_t> of_run = ReplacedIn(run);
      if (!of_run.ok()) return of_run.status();
      if (*of_run > 0 && !correcting.contains(run.sequence)) {
        return DamagedError("commit " + std::to_string(run.sequence) + " replaces usage totals without a correction");
      }
      replaced += *of_run;
    }
  }
  return replaced;
}

LawCheck CountedOnce(const Book& book) {
  LawCheck check{2, "counted once", false, ""};
  uint64_t keys = 0;
  for (int shard = 0; shard < kSeenShards; ++shard) {
    SeenSet seen;
    const absl::Status loaded = book.LoadSeen(shard, &seen);
    if (!loaded.ok()) return Failed(2, check.name, loaded);
    keys += seen.size();  // each key once: a second one would not be inserted
  }
  const absl::StatusOr<uint64_t> corrections = AppliedCorrections(book);
  if (!corrections.ok()) return Failed(2, check.name, corrections.status());
  const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(book);
  if (!cut_offs.ok()) return Failed(2, check.name, cut_offs.status());
  uint64_t forgotten = 0;
  for (const CutOff& cut_off : *cut_offs) forgotten += cut_off.forgotten.entries;
  // Each correction has the right to be the only one of its event, which is a key too.
  check.holds = keys + forgotten == book.counts().accepted + *corrections;
  const uint64_t events = keys + forgotten - std::min(keys + forgotten, *corrections);
  check.detail =
      std::to_string(events) + " different events for " + std::to_string(book.counts().accepted) + " accepted";
  if (forgotten > 0) {
    check.detail += ", " + std::to_string(forgotten) + " of their keys forgotten; usage before " +
                    ToString(cut_offs->back().before) + " is refused";
  }
  const absl::StatusOr<uint64_t> replaced = ReplacedTotals(book);
  if (!replaced.ok()) return Failed(2, check.name, replaced.status());
  if (*corrections > 0) check.detail += ", " + std::to_string(*corrections) + " of them corrections";
  if (*replaced > 0) check.detail += "; totals reckoned anew for them: " + std::to_string(*replaced);
  return check;
}

// What should be booked of each of a subject's charge periods where that is not what is booked: `differences`, which no
// period and no posting rule makes wait, is what lies between.
void AddWrongCharges(const SubjectWorth& worth, std::span<const BookedAmount> differences,
                     std::vector<Unlike>* charges) {
  using ChargePeriod =
      std::tuple<std::string_view, std::string_view, std::string_view, BookedAs, BillingPeriod, std::string_view>;
  const auto of = [](const BookedKey& key) {
    const BookedPlace& place = *key.place;
    return ChargePeriod{key.subscription, place.plan, place.charge, place.as, key.period, place.currency.code()};
  };
  struct Sums {
    Int128 booked = 0, difference = 0;
    const BookedKey* first = nullptr;
  };
  std::map<ChargePeriod, Sums> wrong;
  for (const BookedAmount& difference : differences) {
    Sums& sums = wrong[of(difference.key)];
    sums.difference += difference.minor;
    if (sums.first == nullptr || difference.key.usage_date < sums.first->usage_date) sums.first = &difference.key;
  }
  for (const BookedAmount& amount : worth.booked) {
    if (const auto found = wrong.find(of(amount.key)); found != wrong.end()) found->second.booked += amount.minor;
  }
  for (const auto& [charge, sums] : wrong) {
    const BookedKey& key = *sums.first;
    const auto text = [&](Int128 minor) {
      return ToString(Money{key.place->currency, minor}) + " " + std::string(key.place->currency.code());
    };
    // A sum that is right was booked on other days, or to other accounts.
    const std::string where = sums.difference == 0 ? ", otherwise from " + ToString(key.usage_date) + " on" : "";
    charges->push_back({std::string(key.subscription),
                        std::string(key.place->plan) + " " + std::string(key.place->charge),
                        ToString(key.period.start) + " to " + ToString(Day{key.period.end.number - 1}),
                        text(sums.booked + sums.difference), text(sums.booked) + where});
  }
}

// What is wrong with a subject's amounts; empty: nothing. That booked and due agree proves little alone, for the code
// that found what is due has booked it: so each day's amount is priced and rounded once more, step by step.
// What waited for its accounting period when the seal was made is taken into `waiting`; `charges`, which may be null,
// gets every charge whose amounts differ.
absl::StatusOr<std::string> WrongAmount(const SubjectWorth& worth, Rounding rounding, std::optional<Day> through,
                                        WaitingSums* waiting, std::vector<Unlike>* charges) {
  std::string misrounded;  // or uneven
  for (const RatedCharge& rated : worth.rated.charges) {
    const DayWorth* const wrong = FirstMisroundedDay(rated, rounding);
    if (wrong == nullptr) continue;
    misrounded = std::string(rated.subscription->id) + " " + rated.charge->name + " up to " +
                 ToString(wrong->usage_date) + " comes to " + ToString(wrong->booked_to_date) +
                 ", which is not what its quantity of " + ToString(wrong->to_date) + " rounds to";
    break;
  }
  if (misrounded.empty()) misrounded = UnevenContract(worth.recognised, worth.due, through);
  std::vector<BookedAmount> differences;
  LessBooked(worth.due, worth.booked, through, &differences);
  TOLLBOOK_RETURN_IF_ERROR(waiting->TakeWaiting(&differences));
  if (charges != nullptr) AddWrongCharges(worth, differences, charges);
  if (!misrounded.empty() || differences.empty()) return misrounded;
  const BookedAmount& first = differences.front();
  return std::string(first.key.subscription) + " " + std::string(first.key.place->charge) + " on " +
         ToString(first.key.usage_date) + " differs by " + ToString(Money{first.key.place->currency, first.minor});
}

// Booked amounts less what the newest seal's totals are worth, by the newest seal's catalog unless another is named:
// nothing.
LawCheck BookedIsWorth(const Book& book, int threads, const VerifyDepth& depth) {
  LawCheck check{3, "booked = worth", true, ""};
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return Failed(3, check.name, seals.status());
  if (seals->empty()) return check.detail = "nothing is sealed yet", check;
  std::optional<Catalog> sealed;
  if (depth.catalog == nullptr) {
    absl::StatusOr<Catalog> read = SealedCatalog(book);
    if (!read.ok()) return Failed(3, check.name, read.status());
    sealed = *std::move(read);
  }
  const Catalog& catalog = sealed ? *sealed : *depth.catalog;
  const SealRecord& seal = seals->back();
  const absl::StatusOr<PostingPeriods> periods =
      PostingPeriods::Make(book, catalog, seal.sequence, !seal.adjusted_by.empty());
  if (!periods.ok()) return Failed(3, check.name, periods.status());
  std::mutex mutex;  // guards charges, waiting and check
  WaitingSums waiting(*periods);
  uint64_t charges = 0;
  const absl::Status visited =
      VisitSubjects(book, catalog, {seal.through, seal.sequence}, threads, [&](int, const SubjectWorth& worth) {
        if (!worth.status.ok()) {
          const std::lock_guard lock(mutex);
          check.not_rated.emplace_back(Std(worth.status.message()));
          return absl::OkStatus();
        }
        WaitingSums of_subject(*periods);
        std::vector<Unlike> unlike;
        absl::StatusOr<std::string> wrong = WrongAmount(worth, catalog.book.rounding, seal.through, &of_subject,
                                                        depth.every_charge ? &unlike : nullptr);
        if (!wrong.ok()) return wrong.status();
        const std::lock_guard lock(mutex);
        charges += worth.rated.charges.size();
        TOLLBOOK_RETURN_IF_ERROR(waiting.Add(of_subject));
        std::ranges::move(unlike, std::back_inserter(check.unlike));
        if (wrong->empty() || !check.holds) return absl::OkStatus();
        check.holds = false;
        check.detail = *std::move(wrong);
        return absl::OkStatus();
      });
  if (!visited.ok()) return Failed(3, check.name, visited);
  std::ranges::sort(check.unlike, {},
                    [](const Unlike& unlike) { return std::tie(unlike.of, unlike.what, unlike.when); });
  if (check.holds) check.detail = std::to_string(charges) + " charges as of seal " + std::to_string(seal.number);
  for (const WaitingAmount& waits : waiting.All()) {
    check.detail += "; but for what waits, as " + waits.entity + " " + waits.period.name +
                    (waits.unmapped ? " had no posting rule: " : " was " + std::string(ToString(waits.state)) + ": ") +
                    ToString(waits.sum, waits.currency);
  }
  std::ranges::sort(check.not_rated);
  if (!check.not_rated.empty()) {
    const size_t count = check.not_rated.size();
    check.detail += "; but for " + std::to_string(count) + (count == 1 ? " subject" : " subjects") +
                    " set aside, whose worth cannot be held";
  }
  return check;
}

// What each seal's differences say for each of its lines.
absl::StatusOr<std::map<std::pair<std::string, uint32_t>, Int128>> SumsByLine(const Book& book) {
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  std::map<uint64_t, const SealRecord*> by_sequence;
  for (const SealRecord& seal : *seals) by_sequence[seal.sequence] = &seal;
  std::map<std::pair<std::string, uint32_t>, Int128> sums;
  for (int shard = 0; shard < kTotalShards; ++shard) {
    absl::StatusOr<std::vector<StoredRun>> runs = book.Differences(shard);
    if (!runs.ok()) return runs.status();
    for (const StoredRun& run : *runs) {
      const auto seal = by_sequence.find(run.sequence);
      if (seal == by_sequence.end())
        return DamagedError("differences of commit " + std::to_string(run.sequence) + ", which is no seal");
      DifferenceRunReader reader(run.bytes);
      std::string_view subject;
      uint32_t count = 0;
      while (reader.NextSubject(&subject, &count)) {
        Difference d;
        for (uint32_t i = 0; i < count && reader.Next(&d); ++i) {
          if (d.line.line == 0) continue;  // came to zero
          if (d.line.batch >= seal->second->batches.size())
            return DamagedError("differences of commit " + std::to_string(run.sequence));
          sums[{seal->second->batches[d.line.batch], d.line.line}] += d.minor;
        }
      }
      if (!reader.ok()) return DamagedError("differences of commit " + std::to_string(run.sequence));
    }
  }
  return sums;
}

// The first line of a reversal that is not what it takes back, the other way round, or a line that none takes back;
// empty: none.
std::string WrongReversal(const std::vector<SealRecord>& seals, const std::vector<JournalBatch>& batches) {
  for (const SealRecord& seal : seals) {
    if (seal.reverses.empty()) continue;
    const auto original = std::ranges::find(batches, seal.reverses, &JournalBatch::id);
    if (original == batches.end()) return seal.reverses + ", which is reversed, is not there";
    size_t taken_back = 0;
    for (const JournalBatch& batch : batches) {
      if (batch.seal != seal.number || batch.reverses.empty()) continue;
      for (const JournalLine& line : batch.lines) {
        const JournalLine* const of = batch.reverses == seal.reverses ? ReversedLine(*original, line.key) : nullptr;
        const std::string which = batch.id + "/" + std::to_string(line.number);
        if (of == nullptr || line.minor != -of->minor) return which + " is not a line of " + seal.reverses;
        ++taken_back;
      }
    }
    if (taken_back != original->lines.size()) return seal.reverses + " is reversed in part";
  }
  return "";
}

LawCheck Balanced(const Book& book) {
  LawCheck check{4, "balanced", false, ""};
  absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return Failed(4, check.name, batches.status());
  auto sums = SumsByLine(book);
  if (!sums.ok()) return Failed(4, check.name, sums.status());
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return Failed(4, check.name, seals.status());
  uint64_t lines = 0;
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) {
      const auto sum = sums->find({batch.id, line.number});
      if (sum == sums->end() || sum->second != line.minor) {
        check.detail = batch.id + "/" + std::to_string(line.number) + " is not the sum of the differences behind it";
        return check;
      }
      sums->erase(sum);
      ++lines;
    }
    if (BalanceOf(batch) != 0) return check.detail = batch.id + " does not balance", check;
  }
  if (!sums->empty()) return check.detail = "differences without a line: " + sums->begin()->first.first, check;
  check.detail = WrongReversal(*seals, *batches);
  if (!check.detail.empty()) return check;
  check.holds = true;
  check.detail = std::to_string(batches->size()) + " batches, " + std::to_string(lines) + " lines";
  const auto reversals = std::ranges::count_if(*seals, [](const SealRecord& seal) { return !seal.reverses.empty(); });
  if (reversals > 0) check.detail += ", " + std::to_string(reversals) + (reversals == 1 ? " reversal" : " reversals");
  return check;
}

// Each batch of each seal against the state of its period when the seal was made.
LawCheck ClosedTakesNothing(const Book& book, const std::vector<PeriodChange>& changes) {
  LawCheck check{8, "closed periods take nothing", false, ""};
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return Failed(8, check.name, seals.status());
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return Failed(8, check.name, batches.status());
  std::map<uint64_t, const SealRecord*> by_number;
  for (const SealRecord& seal : *seals) by_number[seal.number] = &seal;
  for (const JournalBatch& batch : *batches) {
    const auto seal = by_number.find(batch.seal);
    if (seal == by_number.end()) return check.detail = batch.id + " is of no seal", check;
    const PeriodChange* last = nullptr;
    for (const PeriodChange& change : changes) {
      const bool before = change.sequence < seal->second->sequence;
      if (before && change.entity == batch.entity && change.period.name == batch.accounting_period) last = &change;
    }
    if (last == nullptr || last->after == PeriodState::kOpen) continue;
    if (last->after == PeriodState::kSoftClosed && !seal->second->adjusted_by.empty()) continue;
    check.detail = batch.id + " was booked when its period was " + std::string(ToString(last->after));
    return check;
  }
  check.holds = true;
  check.detail =
      std::to_string(changes.size()) + " changes of periods, " + std::to_string(batches->size()) + " batches";
  return check;
}

}  // namespace

std::vector<LawCheck> Verify(const Book& book, int threads, const VerifyDepth& depth) {
  std::vector<LawCheck> checks;
  for (const Book::Check& check : book.CheckStore()) checks.push_back({0, check.name, check.holds, check.detail});
  checks.push_back(EveryLineAccountedFor(book));
  checks.push_back(CountedOnce(book));
  checks.push_back(BookedIsWorth(book, threads, depth));
  checks.push_back(Balanced(book));
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges();
  if (!changes.ok()) {
    checks.push_back(Failed(8, "closed periods take nothing", changes.status()));
  } else if (!changes->empty()) {
    checks.push_back(ClosedTakesNothing(book, *changes));
  }
  return checks;
}

namespace {

// The first commit that took something out of what an anchor vouches for.
std::optional<uint64_t> PurgedSince(const std::vector<PurgeRecord>& purges, uint64_t anchor) {
  for (const PurgeRecord& purge : purges) {
    const auto is_before = [&](const PurgedEpoch& epoch) { return epoch.sequence <= anchor; };
    if (purge.sequence > anchor && std::ranges::any_of(purge.epochs, is_before)) return purge.sequence;
  }
  return std::nullopt;
}

// Times are for people, so a clock that was put back breaks no law; but whoever reads the log by them should know.
std::string WhereTheClockWentBack(std::span<const CommitRecord> commits) {
  uint64_t first = 0, all = 0;
  for (size_t i = 1; i < commits.size(); ++i) {
    if (commits[i].committed_at_nanos >= commits[i - 1].committed_at_nanos) continue;
    if (all++ == 0) first = commits[i].sequence;
  }
  if (all == 0) return "";
  return "; commit " + std::to_string(first) + " is dated before the one before it" +
         (all == 1 ? "" : ", and so are " + std::to_string(all - 1) + " more") + ": a clock was put back";
}

}  // namespace

std::vector<LawCheck> VerifyAudit(const Book& book, const std::vector<Anchor>& anchors) {
  const absl::StatusOr<Anchor> newest = AnchorOf(book);
  if (!newest.ok()) return {Failed(0, "audit log", newest.status())};
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return {Failed(0, "audit log", commits.status())};
  std::vector<LawCheck> checks = {{0, "audit log", true,
                                   std::to_string(newest->sequence) +
                                       " commits, each with what it stored; its anchor is " + ToString(*newest) +
                                       WhereTheClockWentBack(*commits)}};
  const absl::StatusOr<std::vector<PurgeRecord>> purges = Purges(book);
  if (!purges.ok()) return {Failed(0, "audit log", purges.status())};
  for (const Anchor& anchor : anchors) {
    const std::string name = "anchor of commit " + std::to_string(anchor.sequence);
    if (const std::optional<uint64_t> purge = PurgedSince(*purges, anchor.sequence)) {
      checks.push_back(
          {0, name, false,
           "commit " + std::to_string(*purge) +
               " purged payloads that it vouches for: it cannot be checked any more; see `tollbook audit`, "
               "and keep an anchor of after each purge"});
      continue;
    }
    const absl::StatusOr<Anchor> now = AnchorOf(book, anchor.sequence);
    if (!now.ok()) {
      checks.push_back(Failed(0, name, now.status()));
    } else if (*now == anchor) {
      checks.push_back({0, name, true, "nothing up to it was changed"});
    } else {
      checks.push_back({0, name, false, "it is " + ToHex(now->hash) + " now: something up to it was changed"});
    }
  }
  return checks;
}

namespace {

// Of the batches of one legal entity, currency and accounting period.
struct PeriodKey {
  std::string entity;
  std::string currency;
  std::string period;
  friend auto operator<=>(const PeriodKey&, const PeriodKey&) = default;
};

PeriodKey KeyOf(const JournalBatch& batch) {
  return {batch.entity, std::string(batch.currency.code()), batch.accounting_period};
}

// How many events are in totals; and of these, how many were rated, and how many were not.
struct MeteredEvents {
  uint64_t all = 0, rated = 0, unrated = 0;

  void Add(const SubjectWorth& worth) {
    for (const SubjectTotal& total : worth.totals) {
      all += total.total.events;
      if (!worth.status.ok()) unrated += total.total.events;
    }
    for (const RatedCharge& charge : worth.rated.charges) rated += charge.days.back().events_to_date;
    for (const UnratedUsage& usage : worth.rated.unrated) unrated += usage.events;
  }
};

Int128 DebitsOf(const JournalBatch& batch) {
  Int128 debits = 0;
  for (const JournalLine& line : batch.lines) debits += line.amount().minor;
  return debits;
}

// The differences behind the lines, and the lines.
absl::Status AddJournalRows(const Book& book, const std::vector<JournalBatch>& batches,
                            std::vector<ReconcileRow>* rows) {
  auto by_line = SumsByLine(book);
  if (!by_line.ok()) return by_line.status();
  struct Sums {
    Currency currency;
    Int128 differences = 0, lines = 0;
  };
  std::map<PeriodKey, Sums> sums;
  for (const JournalBatch& batch : batches) {
    Sums& of = sums[KeyOf(batch)];
    of.currency = batch.currency;
    for (const JournalLine& line : batch.lines) {
      const auto found = by_line->find({batch.id, line.number});
      of.differences += found == by_line->end() ? 0 : found->second;
      of.lines += line.minor;
    }
  }
  for (const auto& [of, sum] : sums) {
    rows->push_back({"sealed", of.entity, of.currency, ToString(Money{sum.currency, sum.differences}),
                     ToString(Money{sum.currency, sum.lines}), "differences = journal", sum.differences == sum.lines,
                     of.period});
  }
  return absl::OkStatus();
}

// Why a target has not got a batch; empty: it has. That nobody knows, or that it has something else, is no explanation.
struct NotThere {
  std::string why;
  bool explains = true;
};

NotThere WhyNotThere(const Delivery* delivery, bool is_held) {
  if (delivery == nullptr) return {is_held ? "held for approval" : "not planned yet"};
  if (IsPosted(delivery->state)) return {""};
  const std::string state(Word(delivery->state));
  if (IsDifferent(*delivery)) return {state + ", different there", false};
  if (!IsUnclear(*delivery)) return {state};
  return {delivery->state == DeliveryState::kUncertain ? state : state + ", may be there", false};
}

// Debits that were sealed for a target, and those of the batches that it confirmed; then, once any are, those that are
// reconciled with it.
absl::Status AddDeliveredRows(const Book& book, const Catalog& catalog, const std::vector<JournalBatch>& batches,
                              std::vector<ReconcileRow>* rows) {
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  // By name. One that the catalog has not, or no more, is asked for what was planned for it: null.
  std::map<std::string_view, const Target*> targets;
  const std::vector<Target> of_catalog = TargetsOf(catalog);
  for (const Target& target : of_catalog) targets.emplace(target.name, &target);
  for (const Delivery& delivery : *deliveries) targets.emplace(delivery.target, nullptr);
  if (targets.empty()) return absl::OkStatus();
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  std::map<std::pair<std::string_view, std::string_view>, const Delivery*> by_target;
  for (const Delivery& delivery : *deliveries) by_target[{delivery.target, delivery.batch}] = &delivery;
  struct Sums {
    Currency currency;
    Int128 sealed = 0, delivered = 0, reconciled = 0;
    std::map<std::string, Int128> not_there;  // by why
    bool all_explained = true;
  };
  for (const auto& [name, target] : targets) {
    if (target != nullptr && !TakesJournal(*target)) continue;  // it gets no batch
    std::map<PeriodKey, Sums> sums;
    bool is_reconciled = false;
    for (const JournalBatch& batch : batches) {
      const auto delivery = by_target.find({name, batch.id});
      if (target == nullptr ? delivery == by_target.end() : !Concerns(*target, batch)) continue;
      Sums& of = sums[KeyOf(batch)];
      of.currency = batch.currency;
      const Int128 debits = DebitsOf(batch);
      of.sealed += debits;
      const auto approval = approvals->find(batch.id);
      const bool is_held = approval != approvals->end() && approval->second.state != kApproved;
      const NotThere not_there = WhyNotThere(delivery == by_target.end() ? nullptr : delivery->second, is_held);
      (not_there.why.empty() ? of.delivered : of.not_there[not_there.why]) += debits;
      of.all_explained = of.all_explained && not_there.explains;
      if (delivery == by_target.end() || delivery->second->state != DeliveryState::kReconciled) continue;
      of.reconciled += debits;
      is_reconciled = true;
    }
    for (const auto& [of, sum] : sums) {
      std::string explained;
      for (const auto& [why, minor] : sum.not_there) {
        explained += (explained.empty() ? "" : ", ") + ToString(Money{sum.currency, minor}) + " " + why;
      }
      rows->push_back({"delivered to " + std::string(name), of.entity, of.currency,
                       ToString(Money{sum.currency, sum.sealed}), ToString(Money{sum.currency, sum.delivered}),
                       "sealed = confirmed", sum.all_explained, of.period, explained});
    }
    if (!is_reconciled) continue;
    for (const auto& [of, sum] : sums) {
      const Int128 left = sum.delivered - sum.reconciled;
      rows->push_back({"reconciled with " + std::string(name), of.entity, of.currency,
                       ToString(Money{sum.currency, sum.delivered}), ToString(Money{sum.currency, sum.reconciled}),
                       "confirmed = reconciled", true, of.period,
                       left == 0 ? "" : ToString(Money{sum.currency, left}) + " not asked about since"});
    }
  }
  return absl::OkStatus();
}

// Of an amount that only moves from deferred to revenue.
bool IsRecognised(const BookedKey& key) {
  return key.place->as == BookedAs::kRecognised;
}

// What entities that sell owe those that deliver it, by the books of both.
class DueBetween {
 public:
  // Sums of one pair in one currency.
  struct Sums {
    Int128 due_to = 0, due_from = 0;              // booked by who sells, and by who delivers
    Int128 due_to_waits = 0, due_from_waits = 0;  // for a posting rule or an accounting period of the one or the other
  };
  using Pair = std::tuple<std::string, std::string, Currency>;  // who sells, who delivers

  // What is booked of a subject.
  void Add(const SubjectWorth& worth) {
    deliverers_.clear();
    for (const std::span<const BookedAmount> amounts : {worth.due, worth.booked}) {
      for (const BookedAmount& amount : amounts) {
        const BookedPlace& place = *amount.key.place;
        if (IsDelivered(place)) deliverers_.insert({ChargeOf(amount.key), std::string(place.entity)});
      }
    }
    if (deliverers_.empty()) return;
    for (const BookedAmount& amount : worth.booked) AddTo(amount, amount.minor, &Sums::due_to, &Sums::due_from);
  }
  // Likewise, of the subject that was added last, what waits: so many times.
  void AddWaiting(const BookedAmount& difference, int times) {
    if (deliverers_.empty()) return;
    AddTo(difference, times * difference.minor, &Sums::due_to_waits, &Sums::due_from_waits);
  }

  const std::map<Pair, Sums>& sums() const { return sums_; }

 private:
  using SoldCharge = std::tuple<std::string, std::string, std::string>;  // subscription, plan, charge

  static bool IsDelivered(const BookedPlace& place) { return place.as == BookedAs::kDelivered; }
  static SoldCharge ChargeOf(const BookedKey& key) {
    return {std::string(key.subscription), std::string(key.place->plan), std::string(SoldName(*key.place))};
  }
  static std::string PartnerOf(const BookedPlace& place) {
    for (auto& [name, value] : ParseDimensions(place.dimensions)) {
      if (name == "partner") return value;
    }
    return "";
  }
  void AddTo(const BookedAmount& amount, Int128 minor, Int128 Sums::*due_to, Int128 Sums::*due_from) {
    const BookedPlace& place = *amount.key.place;
    const std::string entity(place.entity);
    if (IsDelivered(place)) {
      sums_[{PartnerOf(place), entity, place.currency}].*due_from += minor;
      return;
    }
    const std::string partner = PartnerOf(place);
    if (partner.empty() || !deliverers_.contains({ChargeOf(amount.key), partner})) return;  // nobody else delivers it
    sums_[{entity, partner, place.currency}].*due_to += minor;
  }

  std::set<std::pair<SoldCharge, std::string>> deliverers_;  // of the subject at hand
  std::map<Pair, Sums> sums_;
};

}  // namespace

absl::StatusOr<std::vector<ReconcileRow>> Reconcile(const Book& book, int threads) {
  std::vector<ReconcileRow> rows;
  const auto add = [&](std::string step, std::string what, std::string left, std::string right,
                       const PeriodKey* of = nullptr) {
    const bool equal = left == right;
    rows.push_back({std::move(step), of ? of->entity : "", of ? of->currency : "", std::move(left), std::move(right),
                    std::move(what), equal, of ? of->period : ""});
  };
  absl::StatusOr<LineCounts> sources = CountsOfSources(book);
  if (!sources.ok()) return sources.status();
  const LineCounts& counts = book.counts();
  add("lines read", "sources = book", std::to_string(sources->lines), std::to_string(counts.lines));
  add("accepted", "sources = book", std::to_string(sources->accepted), std::to_string(counts.accepted));
  absl::StatusOr<LineCounts> kept = CountsOfExceptions(book);
  if (!kept.ok()) return kept.status();
  add("not accepted", "exceptions = book",
      std::to_string(kept->duplicate + kept->conflict + kept->held + kept->rejected),
      std::to_string(counts.duplicate + counts.conflict + counts.held + counts.rejected));

  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  if (seals->empty()) return rows;
  absl::StatusOr<Catalog> catalog = SealedCatalog(book);
  if (!catalog.ok()) return catalog.status();

  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, *catalog);
  if (!periods.ok()) return periods.status();

  struct Sums {
    Int128 due = 0, booked = 0, waiting = 0, journal = 0;
    Int128 recognised = 0;  // of the journal: what moves from deferred to revenue, and is worth nothing more
  };
  std::map<std::tuple<std::string, Currency, Day>, Sums> by_day;  // entity, currency, usage date
  std::mutex sums_mutex;                                          // guards it and what follows
  const std::optional<Day> through = seals->back().through;
  MeteredEvents events;
  DueBetween between;
  // Totals that came after the newest seal count too: then booked lags behind, and the row says so.
  const absl::Status visited =
      VisitSubjects(book, *catalog, {.through = through}, threads, [&](int, const SubjectWorth& worth) {
        // A subject that is set aside keeps what is booked, and all its usage is unrated.
        const std::span<const BookedAmount> due = worth.status.ok() ? worth.due : worth.booked;
        const std::lock_guard lock(sums_mutex);
        if (!through) events.Add(worth);
        const auto sums_of = [&](const BookedAmount& amount) -> Sums& {
          const BookedPlace& place = *amount.key.place;
          return by_day[{std::string(place.entity), place.currency, amount.key.usage_date}];
        };
        for (const BookedAmount& amount : due) {
          if (!IsRecognised(amount.key)) sums_of(amount).due += amount.minor;
        }
        for (const BookedAmount& amount : worth.booked) {
          const bool is_recognised = IsRecognised(amount.key);
          (is_recognised ? sums_of(amount).recognised : sums_of(amount).booked) += amount.minor;
          // The newest seal did not look behind its day: what an earlier one booked there stands.
          const bool stands = worth.status.ok() && through && *through < amount.key.usage_date;
          if (stands && !is_recognised) sums_of(amount).due += amount.minor;
        }
        between.Add(worth);
        if ((periods->all_open() && !worth.has_unmapped) || !worth.status.ok()) return absl::OkStatus();
        std::vector<BookedAmount> differences;
        LessBooked(worth.due, worth.booked, through, &differences);
        // What waits is what TakeWaiting takes out; what only moves deferred amounts is worth nothing.
        const auto add_waiting = [&](int sign) {
          for (const BookedAmount& difference : differences) {
            if (!IsRecognised(difference.key)) sums_of(difference).waiting += sign * difference.minor;
            between.AddWaiting(difference, sign);
          }
        };
        add_waiting(1);
        WaitingSums waiting(*periods);
        TOLLBOOK_RETURN_IF_ERROR(waiting.TakeWaiting(&differences));
        add_waiting(-1);
        return absl::OkStatus();
      });
  if (!visited.ok()) return visited;
  if (through) {  // the usage behind the day is there too: all of it can be rated, though it is not booked yet
    const absl::Status counted = VisitSubjects(book, *catalog, {}, threads, [&](int, const SubjectWorth& worth) {
      const std::lock_guard lock(sums_mutex);
      events.Add(worth);
      return absl::OkStatus();
    });
    if (!counted.ok()) return counted;
  }
  add("metered events", "totals = rated + unrated", std::to_string(events.all),
      std::to_string(events.rated + events.unrated));
  absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) {
      by_day[{batch.entity, batch.currency, UsedOn(line.key)}].journal += line.minor;
    }
  }
  std::map<PeriodKey, std::pair<Currency, Sums>> sums;  // of the usage date, wherever it is posted
  for (const auto& [of, day] : by_day) {
    const auto& [entity, currency, usage_date] = of;
    auto& [its_currency, sum] =
        sums[{entity, std::string(currency.code()), periods->PeriodOf(entity, usage_date).name}];
    its_currency = currency;
    sum.due += day.due;
    sum.booked += day.booked;
    sum.waiting += day.waiting;
    sum.journal += day.journal;
    sum.recognised += day.recognised;
  }
  for (const auto& [of, its] : sums) {
    const auto& [currency, sum] = its;
    add("worth, rounded", sum.waiting == 0 ? "worth = booked" : "worth = booked + waiting",
        ToString(Money{currency, sum.due}), ToString(Money{currency, sum.booked + sum.waiting}), &of);
    add("booked", "booked = journal", ToString(Money{currency, sum.booked}),
        ToString(Money{currency, sum.journal - sum.recognised}), &of);
  }
  for (const auto& [pair, sum] : between.sums()) {
    const auto& [seller, deliverer, currency] = pair;
    const PeriodKey of{seller, std::string(currency.code()), ""};
    const auto side = [](std::string_view due, Int128 waits) {
      return std::string(due) + (waits == 0 ? "" : " + waiting");
    };
    add("due to " + deliverer, side("due-to", sum.due_to_waits) + " = " + side("due-from", sum.due_from_waits),
        ToString(Money{currency, sum.due_to + sum.due_to_waits}),
        ToString(Money{currency, sum.due_from + sum.due_from_waits}), &of);
  }
  TOLLBOOK_RETURN_IF_ERROR(AddJournalRows(book, *batches, &rows));
  TOLLBOOK_RETURN_IF_ERROR(AddDeliveredRows(book, *catalog, *batches, &rows));
  return rows;
}

}  // namespace tollbook
