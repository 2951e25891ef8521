#include "pipeline/explain.h"

#include <algorithm>
#include <charconv>
#include <deque>
#include <map>

#include "ledger/bytes.h"
#include "ledger/difference_run.h"
#include "ledger/totals_cells.h"
#include "ledger/totals_run.h"
#include "pipeline/allocation.h"
#include "pipeline/booked_places.h"
#include "pipeline/charge_events.h"
#include "pipeline/charges.h"
#include "pipeline/compared_days.h"
#include "pipeline/earlier_world.h"
#include "pipeline/event_shares.h"
#include "pipeline/posting_periods.h"
#include "pipeline/recognition.h"
#include "pipeline/reversal.h"
#include "pipeline/subject_worth.h"
#include "rating/contract.h"
#include "rating/price.h"

namespace tollbook {
namespace {

absl::Status NoSuchLine(std::string_view line, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kNotFound, "there is no such journal line", line.empty() ? "(empty)" : line,
                   what_to_do);
}

// Finds the batch and the line; fills explanation->batch, line and seal.
absl::Status FindLine(const Book& book, std::string_view name, Explanation* explanation) {
  const size_t slash = name.rfind('/');
  uint32_t number = 0;
  const char* const end = name.data() + name.size();
  const bool whole =
      slash != std::string_view::npos && std::from_chars(name.data() + slash + 1, end, number).ptr == end;
  if (!whole || number == 0) return NoSuchLine(name, "write <batch>/<line>, as `tollbook journals` lists them");
  absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  const auto batch = std::find_if(batches->begin(), batches->end(),
                                  [&](const JournalBatch& b) { return b.id == name.substr(0, slash); });
  if (batch == batches->end()) return NoSuchLine(name, "`tollbook journals` lists the batches");
  if (number > batch->lines.size())
    return NoSuchLine(name, "the batch has lines 1 to " + std::to_string(batch->lines.size()));
  explanation->batch = *batch;
  explanation->line = batch->lines[number - 1];
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  for (const SealRecord& seal : *seals) {
    if (seal.number == batch->seal) explanation->seal = seal;
    if (seal.reverses == batch->id) explanation->reversed = seal;
  }
  if (batch->reverses.empty()) return absl::OkStatus();
  const auto original = std::ranges::find(*batches, batch->reverses, &JournalBatch::id);
  const JournalLine* const of = original == batches->end() ? nullptr : ReversedLine(*original, explanation->line.key);
  if (of == nullptr) return DamagedError("journal batch " + batch->id);
  explanation->reverses = original->id + "/" + std::to_string(of->number);
  return absl::OkStatus();
}

LineKind KindOf(const Charge& charge) {
  if (charge.is_of_grant) return LineKind::kGrant;
  if (charge.is_discount) return LineKind::kDiscount;
  if (charge.bound) return charge.bound->is_maximum ? LineKind::kMaximum : LineKind::kMinimum;
  return charge.fee ? LineKind::kFee : LineKind::kUsage;
}

struct LineDifference {
  std::string_view subject;
  BookedKey key;
  Int128 minor = 0;
};

// Moves and does not copy: the differences point into it.
struct LineDifferences {
  std::vector<LineDifference> all;
  std::deque<StoredRun> runs;  // those that have any
  std::deque<BookedPlace> places;
};

void TakeDifferences(DifferenceRunReader* reader, LineRef line, const StoredPlaces& places, LineDifferences* found) {
  std::string_view subject;
  uint32_t count = 0;
  while (reader->NextSubject(&subject, &count)) {
    Difference d;
    for (uint32_t i = 0; i < count && reader->Next(&d); ++i) {
      if (d.line.batch != line.batch || d.line.line != line.line) continue;
      d.key.place = &found->places.emplace_back(places.Read(*d.key.place));
      found->all.push_back({subject, d.key, d.minor});
    }
  }
}

// All differences of the line's seal that went into it.
absl::StatusOr<LineDifferences> DifferencesOf(const Book& book, const Catalog& catalog,
                                              const Explanation& explanation) {
  const StoredPlaces places(catalog);
  const auto& ids = explanation.seal.batches;
  const auto batch = static_cast<uint32_t>(std::find(ids.begin(), ids.end(), explanation.batch.id) - ids.begin());
  LineDifferences found;
  for (int shard = 0; shard < kTotalShards; ++shard) {
    absl::StatusOr<std::vector<StoredRun>> runs = book.Differences(shard, explanation.seal.sequence);
    if (!runs.ok()) return runs.status();
    for (StoredRun& run : *runs) {
      if (run.sequence != explanation.seal.sequence) continue;
      const size_t before = found.all.size();
      found.runs.push_back(std::move(run));
      DifferenceRunReader reader(found.runs.back().bytes);
      TakeDifferences(&reader, {batch, explanation.line.number}, places, &found);
      if (!reader.ok()) return DamagedError("booked amounts of commit " + std::to_string(found.runs.back().sequence));
      if (found.all.size() == before) found.runs.pop_back();
    }
  }
  return found;
}

absl::Status Pick(const OnlyCharges& only, std::vector<LineDifference>* differences) {
  std::erase_if(*differences, [&](const LineDifference& difference) {
    return (!only.subscription.empty() && difference.key.subscription != only.subscription) ||
           (!only.charge.empty() && difference.key.place->charge != only.charge);
  });
  if (!differences->empty()) return absl::OkStatus();
  const std::string of =
      only.subscription + (only.subscription.empty() || only.charge.empty() ? "" : " ") + only.charge;
  return MakeError(absl::StatusCode::kNotFound, "nothing in this journal line is of it", of,
                   "without --subscription and --charge the line's largest charges are shown");
}

// In the canonical order of XXH128: the high half first.
std::string DigestText(const SourceRecord& source) {
  const std::array<uint64_t, 2>& digest = source.finished && source.file_bytes > 0 ? source.file_digest : source.digest;
  ByteWriter halves;
  halves.Fixed64(digest[1]);
  halves.Fixed64(digest[0]);
  return ToHex(halves.bytes());
}

// Which commits brought the usage of a charge, on one day or in the whole period.
class OriginFinder {
 public:
  static absl::StatusOr<OriginFinder> Make(const Book& book) {
    OriginFinder finder(book);
    absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
    if (!commits.ok()) return commits.status();
    for (CommitRecord& commit : *commits) finder.commits_[commit.sequence] = std::move(commit);
    absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
    if (!sources.ok()) return sources.status();
    finder.sources_ = *std::move(sources);
    return finder;
  }

  absl::Status Find(const Catalog& catalog, const RatedCharge& rated, Day first, Day last, uint64_t through_sequence,
                    std::vector<UsageOrigin>* origins) const {
    const std::string_view subject = rated.subscription->subject;
    const Meter& meter = *catalog.FindMeter(rated.charge->meter);
    const int shard = TotalShardOf(HashSubject(subject, book_.identity().seed[0]));
    absl::StatusOr<std::vector<StoredRun>> runs = book_.Totals(shard, through_sequence);
    if (!runs.ok()) return runs.status();
    for (const StoredRun& run : *runs) {
      TotalsRunReader reader(run.bytes);
      const std::vector<RunSeries> series = reader.run_series();
      std::string_view name;
      SubjectCells cells;
      RunningAggregate aggregate;
      aggregate.Begin(meter);
      // What corrections took back tells something where values add up; of other meters only what was brought.
      const bool adds_up = meter.aggregation == Aggregation::kSum || meter.aggregation == Aggregation::kCount;
      uint64_t events = 0;
      bool fits = true, sound = true, any = false, rebuilt = false;
      const auto add = [&](uint32_t index, Bucket bucket, const UsageTotal& total, CellRole role) {
        const TotalsRunReader::SeriesEntry& entry = reader.series()[index];
        if (reader.meters()[entry.meter].name != meter.name) return;
        const SubscribedCharge charge{rated.subscription, rated.charge, &meter};
        const std::optional<UsagePlace> place = PlaceIn(catalog, charge, bucket, DimensionValuesOf(entry.values));
        if (!place || place->day < first || last < place->day) return;
        rebuilt = rebuilt || role == CellRole::kReplaces;
        if (EventsOf(total) <= 0 && !adds_up && role == CellRole::kAdds) return;
        if (EventsOf(total) > 0) events += total.events;
        any = true;
        fits = aggregate.Add(total) && fits;
      };
      while (reader.NextSubject(&name, &cells)) {
        if (name == subject) sound = ForEachCell(cells, series, add) && sound;
      }
      Quantity quantity;
      if (!fits || !aggregate.ToDate(&quantity)) {
        return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves its range", subject,
                         "see `tollbook charges`");
      }
      if (!sound || !reader.ok()) return DamagedError("usage totals of commit " + std::to_string(run.sequence));
      if (!any) continue;
      origins->push_back(OriginOf(run.sequence, quantity, events));
      origins->back().rebuilt = rebuilt;
    }
    return absl::OkStatus();
  }

 private:
  explicit OriginFinder(const Book& book) : book_(book) {}

  UsageOrigin OriginOf(uint64_t sequence, Quantity quantity, uint64_t events) const {
    UsageOrigin origin{sequence, quantity, events, false, {}};
    const auto commit = commits_.find(sequence);
    if (commit == commits_.end()) return origin;
    for (const CoveredRange& range : commit->second.covered) {
      const SourceRecord& source = sources_[range.source];
      origin.stretches.push_back({source.path, range.first_line, range.end_line - 1, DigestText(source)});
    }
    return origin;
  }

  const Book& book_;
  std::map<uint64_t, CommitRecord> commits_;
  std::vector<SourceRecord> sources_;
};

const RatedCharge* FindRated(const SubjectWorth& worth, const BookedKey& key) {
  for (size_t i = 0; i < worth.keys.size(); ++i) {
    // What was booked for another product, entity, currency or account is booked back there, and anew here.
    BookedKey now = worth.keys[i];
    now.usage_date = key.usage_date;
    if (now == key) return &worth.rated.charges[i];
  }
  for (const DeliveredCharge& delivered : worth.delivered) {
    BookedKey now = delivered.key;
    now.usage_date = key.usage_date;
    if (now == key) return delivered.of;
  }
  return nullptr;
}

const RecognisedCharge* FindRecognised(const SubjectWorth& worth, const BookedKey& key) {
  for (const RecognisedCharge& recognised : worth.recognised) {
    BookedKey now = recognised.key;
    now.usage_date = key.usage_date;
    if (now == key) return &recognised;
  }
  return nullptr;
}

// "2025-01-01: 960.00 of 1200.00 by stand-alone price 1200 of 1500, 31 of 365 days".
std::string StretchInWords(const AllocatedContract& contract, const AllocationStretch& stretch,
                           const AllocatedShare& share, Currency currency, Day day) {
  const auto amount = [&](Int128 minor) { return ToString(Money{currency, minor}); };
  Int128 stand_alone = 0;
  for (const AllocatedShare& one : stretch.shares) stand_alone += one.stand_alone;
  const Int128 left = stretch.price - stretch.recognised;
  std::string words = "from " + ToString(stretch.from) + " " + amount(share.minor) + " of " + amount(left) +
                      " by stand-alone price " + ToString(Price{share.stand_alone}) + " of " +
                      ToString(Price{stand_alone});
  if (share.at_once) return words + ", at once";
  const Day last = std::min(day, {stretch.to.number - 1});
  return words + ", " + std::to_string(last.number - stretch.from.number + 1) + " of " +
         std::to_string(contract.term.end.number - stretch.from.number) + " days";
}

// What an obligation has of its contract's price, from one amendment to the next. They sum to what is recognised.
std::vector<PriceStep> AllocationSteps(const Catalog& catalog, std::string_view subject, const BookedKey& key) {
  std::vector<AllocatedContract> allocated;
  std::vector<PriceStep> steps;
  if (!Allocate(catalog, ContractsOf(catalog), key.subscription, catalog.SubscriptionsOf(subject), key.usage_date,
                &allocated)) {
    return steps;
  }
  for (const AllocatedContract& contract : allocated) {
    for (const AllocationStretch& stretch : contract.stretches) {
      for (const AllocatedShare& share : stretch.shares) {
        const bool is_of_line = contract.term == key.period && share.charge->name == RatedName(*key.place) &&
                                catalog.plans[share.subscription->plan].name == key.place->plan;
        Int128 minor = 0;
        if (!is_of_line || !RecognisedBy(contract, stretch, share, key.usage_date, catalog.book.rounding, &minor)) {
          continue;
        }
        steps.push_back({StretchInWords(contract, stretch, share, key.place->currency, key.usage_date),
                         {},
                         {},
                         ExactWorthOf({key.place->currency, minor})});
      }
    }
  }
  return steps;
}

// What was due by then, less what is deferred still, is recognised.
void FillRecognition(const Catalog& catalog, const SubjectWorth& worth, const RecognisedCharge& recognised,
                     const BookedKey& key, ExplainedCharge* explained) {
  explained->rated = true;
  explained->kind = LineKind::kFee;  // or a discount of one: due by the calendar
  Money due{key.place->currency, 0};
  for (const DayWorth& day : recognised.of == nullptr ? std::span<const DayWorth>() : recognised.of->days) {
    if (day.usage_date <= key.usage_date) due = day.booked_to_date;
  }
  for (const BookedAmount& amount : worth.due) {
    BookedKey of_day = recognised.key;
    of_day.usage_date = amount.key.usage_date;
    if (!(of_day == amount.key)) continue;
    if (amount.key.usage_date <= key.usage_date) explained->rounded_to_date.minor += amount.minor;
    if (amount.key.usage_date < key.usage_date) explained->rounded_before.minor += amount.minor;
  }
  const Money deferred{due.currency, explained->rounded_to_date.minor - due.minor};
  explained->worth_to_date = ExactWorthOf(explained->rounded_to_date);
  explained->worth_before = ExactWorthOf(explained->rounded_before);
  if (recognised.of == nullptr) {
    explained->steps = AllocationSteps(catalog, worth.subject, key);
    return;
  }
  explained->steps = {{"due by then", {}, {}, ExactWorthOf(due)}};
  if (deferred.minor != 0) explained->steps.push_back({"deferred still", {}, {}, ExactWorthOf(deferred)});
}

Money BookedFor(const SubjectWorth& worth, const BookedKey& key) {
  for (const BookedAmount& amount : worth.booked) {
    if (amount.key == key) return {key.place->currency, amount.minor};
  }
  return {key.place->currency, 0};
}

absl::Status FillArithmetic(const RatedCharge& rated, const ComparedDays& compared, ExplainedCharge* explained) {
  const auto& [last, before] = compared;
  if (last == nullptr) return absl::OkStatus();
  explained->to_date = last->to_date;
  explained->worth_to_date = WorthToDate(rated, *last);
  explained->rounded_to_date = last->booked_to_date;
  if (before != nullptr) {
    explained->before = before->to_date;
    explained->worth_before = WorthToDate(rated, *before);
    explained->rounded_before = before->booked_to_date;
  }
  return PriceToDate(rated, *last, &explained->steps).status();
}

// Of a line whose usage was all taken back: the charge, as it would be rated. None: the catalog has it no more.
std::optional<RatedCharge> WithoutUsage(const Catalog& catalog, std::string_view subject, const BookedKey& key) {
  for (const Subscription& version : catalog.SubscriptionsOf(subject)) {
    const Plan& plan = catalog.plans[version.plan];
    if (version.id != key.subscription || plan.name != key.place->plan) continue;
    const auto charge = std::ranges::find(plan.charges, SoldName(*key.place), &Charge::name);
    if (charge == plan.charges.end() || charge->meter.empty()) continue;
    RatedCharge rated;
    rated.subscription = &version;
    rated.charge = &*charge;
    rated.meter = catalog.FindMeter(charge->meter);
    rated.period = key.period;
    return rated;
  }
  return std::nullopt;
}

bool HasUsage(const Catalog& catalog, const RatedCharge& rated, std::span<const SubjectTotal> totals, Day first,
              Day last) {
  return !UsageOf(catalog, rated, totals, first, last).totals.empty();
}

ExplainedEvents OnlyTakenBack(const RatedCharge& rated, Quantity before) {
  ExplainedEvents events;
  events.is_only_taken_back = true;
  events.shares.by_day = CarriesOver(*rated.meter);
  events.shares.before = before;
  return events;
}

// "product: then api, now calls": where a posting rule puts the same charge, before and now.
std::string MovedInWords(const BookedPlace& then, const BookedPlace& now) {
  std::string words;
  const auto compare = [&](std::string_view what, std::string_view a, std::string_view b) {
    if (a == b) return;
    const auto quoted = [](std::string_view name) { return name.empty() ? "none" : std::string(name); };
    words += (words.empty() ? "" : "; ") + std::string(what) + ": then " + quoted(a) + ", now " + quoted(b);
  };
  compare("entity", then.entity, now.entity);
  compare("currency", then.currency.code(), now.currency.code());
  compare("product", then.product, now.product);
  compare("debit", then.debit, now.debit);
  compare("credit", then.credit, now.credit);
  compare("dimensions", then.dimensions, now.dimensions);
  return words;
}

// Where the charge and period of a line are booked by the seal's catalog, if anywhere; then not where the line is.
const BookedPlace* MovedTo(const SubjectWorth& worth, const BookedKey& key) {
  const auto is_of_it = [&](const BookedKey& now) {
    return now.subscription == key.subscription && now.period == key.period && now.place->plan == key.place->plan &&
           now.place->charge == key.place->charge && now.place->as == key.place->as;
  };
  const auto delivered = std::ranges::find_if(worth.delivered, is_of_it, &DeliveredCharge::key);
  if (delivered != worth.delivered.end()) return delivered->key.place;
  const auto moved = std::ranges::find_if(worth.keys, is_of_it);
  return moved == worth.keys.end() ? nullptr : moved->place;
}

// Whether the charge is rated, and the line's side of it is in nobody's books any more: one entity sells and delivers.
bool HasOneSide(const SubjectWorth& worth, const BookedKey& key) {
  if (key.place->as != BookedAs::kDelivered) return false;
  return std::ranges::any_of(worth.keys, [&](const BookedKey& now) {
    return now.subscription == key.subscription && now.period == key.period &&
           now.place->charge == RatedName(*key.place);
  });
}

// Why nothing is due at the place of a line, whose usage is not what was taken back.
std::string WhyBookedBack(const Catalog& catalog, const SubjectWorth& worth, const BookedKey& key) {
  if (const BookedPlace* const now = MovedTo(worth, key)) {
    return "it is booked elsewhere now (" + MovedInWords(*key.place, *now) + ")";
  }
  if (HasOneSide(worth, key)) return "by the catalog of this seal no other entity delivers it";
  const std::string id(key.subscription), plan(key.place->plan);
  bool has_plan = false;
  for (const Subscription& version : catalog.SubscriptionsOf(worth.subject)) {
    const bool lies_in =
        version.valid_from < key.period.end && (!version.valid_to || key.period.start < *version.valid_to);
    has_plan = has_plan || (version.id == key.subscription && catalog.plans[version.plan].name == plan && lies_in);
  }
  if (!has_plan) return "by the catalog of this seal " + id + " is not on " + plan + " in that period";
  const auto of_name = std::ranges::find(catalog.plans, plan, &Plan::name);
  if (std::ranges::find(of_name->charges, SoldName(*key.place), &Charge::name) != of_name->charges.end()) {
    return "by the catalog of this seal nothing is due of it in that period";
  }
  return "the catalog of this seal charges it no more";
}

// The place of the charge whose late usage is accrued at the line's.
const BookedPlace* AccruedPlace(const SubjectWorth& worth, const BookedKey& key) {
  for (const BookedKey& now : worth.keys) {
    const BookedPlace* const accrual = worth.places->AccrualOf(now.place);
    if (accrual != nullptr && *accrual == *key.place) return now.place;
  }
  return nullptr;
}

// Of a line that takes back a line of an earlier batch, or an accrual of its own seal; empty: it does neither.
std::string WhyTakenBack(const Explanation& explanation, const BookedKey& key, const PostingPeriods& periods) {
  if (!explanation.reverses.empty()) return explanation.reverses + " is reversed";
  if (key.place->as != BookedAs::kAccrued) return "";
  const std::string accrued_in = periods.PlaceOf(key.place->entity, key.usage_date).period.name;
  return accrued_in == explanation.line.key.accounting_period ? "" : "this seal accrued it in " + accrued_in;
}

// The single events behind the charges of a line: what the book knows of each charge is gathered, then all sources are
// read in one go.
class EventExplainer {
 public:
  EventExplainer(const Book& book, const Catalog& catalog, uint64_t sequence, size_t shown)
      : book_(book), catalog_(catalog), sequence_(sequence), shown_(shown) {}

  // A charge that has origins, with its arithmetic; `number` is its own.
  void Gather(size_t number, const RatedCharge& rated, std::span<const SubjectTotal> totals,
              const ComparedDays& compared, bool by_period, const ExplainedCharge& explained) {
    const Day first = by_period ? explained.period.start : explained.usage_date;
    Gathered charge;
    charge.number = number;
    charge.priced.before = {{}, explained.before, explained.worth_before};
    for (const DayWorth& day : rated.days) {
      if (day.usage_date < first || explained.usage_date < day.usage_date) continue;
      charge.priced.days.push_back({day.usage_date, day.to_date, WorthToDate(rated, day)});
    }
    charge.priced.is_complete =
        compared.last != nullptr && compared.last->usage_date.number == rated.period.end.number - 1;
    ChargeUsage usage = UsageOf(catalog_, rated, totals, first, explained.usage_date);
    for (const UsageOrigin& origin : explained.origins) usage.commits.insert(origin.commit);
    usages_.push_back(std::move(usage));
    gathered_.push_back(std::move(charge));
  }

  absl::Status Explain(std::vector<ExplainedCharge>* charges, std::vector<std::string>* from_log) {
    if (usages_.empty()) return absl::OkStatus();
    std::vector<uint32_t> logged;
    absl::StatusOr<std::vector<std::vector<ChargeEvent>>> events =
        ReadChargeEvents(book_, catalog_, usages_, sequence_, &logged);
    if (!events.ok()) return events.status();
    const absl::StatusOr<std::vector<SourceRecord>> sources = book_.Sources();
    if (!sources.ok()) return sources.status();
    for (const uint32_t source : logged) from_log->push_back((*sources)[source].path);
    for (size_t i = 0; i < usages_.size(); ++i) {
      ExplainedCharge& charge = (*charges)[gathered_[i].number];
      absl::StatusOr<EventShares> shares =
          ShareOut(catalog_, usages_[i], gathered_[i].priced, std::move((*events)[i]), shown_);
      if (!shares.ok()) return shares.status();
      charge.events.emplace();
      charge.events->shares = *std::move(shares);
      charge.events->rounding = RoundingOf(charge);
      for (const SourceRecord& source : *sources) charge.events->paths.push_back(source.path);
    }
    return absl::OkStatus();
  }

 private:
  struct Gathered {
    size_t number;
    PricedDays priced;
  };

  // What the rounded amounts differ by, less what the exact ones differ by.
  Worth RoundingOf(const ExplainedCharge& charge) const {
    const auto residue = [&](const Worth& worth, const Money& rounded) {
      const absl::StatusOr<Rounded> again = RoundToMinor(worth, rounded.currency, catalog_.book.rounding);
      TOLLBOOK_ASSERT(again.ok() && again->line == rounded);
      return again->residue;
    };
    Worth rounding;
    TOLLBOOK_ASSERT(Wide::Subtract(residue(charge.worth_before, charge.rounded_before).amount,
                                   residue(charge.worth_to_date, charge.rounded_to_date).amount, &rounding.amount));
    return rounding;
  }

  const Book& book_;
  const Catalog& catalog_;
  const uint64_t sequence_;
  const size_t shown_;
  std::vector<Gathered> gathered_;
  std::vector<ChargeUsage> usages_;
};

}  // namespace

std::string_view ToString(LineKind kind) {
  switch (kind) {
    case LineKind::kUsage:
      return "usage";
    case LineKind::kFee:
      return "fee";
    case LineKind::kMinimum:
      return "minimum";
    case LineKind::kMaximum:
      return "maximum";
    case LineKind::kDiscount:
      return "discount";
    case LineKind::kGrant:
      return "grant";
  }
  TOLLBOOK_ASSERT(!"a kind of the list");
  return "";
}

absl::StatusOr<Explanation> Explain(const Book& book, std::string_view line, size_t limit, std::optional<size_t> events,
                                    const OnlyCharges& only) {
  Explanation explanation;
  TOLLBOOK_RETURN_IF_ERROR(FindLine(book, line, &explanation));
  absl::StatusOr<Catalog> catalog = SealedCatalog(book, explanation.seal.number);
  if (!catalog.ok()) return catalog.status();
  absl::StatusOr<LineDifferences> found = DifferencesOf(book, *catalog, explanation);
  if (!found.ok()) return found.status();
  std::vector<LineDifference>& differences = found->all;

  explanation.charges = differences.size();
  explanation.sum.currency = explanation.line.key.currency;
  for (const LineDifference& difference : differences) explanation.sum.minor += difference.minor;
  std::sort(differences.begin(), differences.end(), [](const LineDifference& a, const LineDifference& b) {
    const Int128 size_a = a.minor < 0 ? -a.minor : a.minor;
    const Int128 size_b = b.minor < 0 ? -b.minor : b.minor;
    return size_a != size_b ? size_a > size_b : a.key < b.key;
  });
  TOLLBOOK_RETURN_IF_ERROR(Pick(only, &differences));
  if (differences.size() > limit) differences.resize(limit);
  explanation.more_sum = explanation.sum;
  for (const LineDifference& shown : differences) explanation.more_sum.minor -= shown.minor;

  absl::StatusOr<OriginFinder> origins = OriginFinder::Make(book);
  if (!origins.ok()) return origins.status();
  EarlierWorlds earlier(book, explanation.seal, *catalog);
  EventExplainer single_events(book, *catalog, explanation.seal.sequence, events.value_or(0));
  const absl::StatusOr<std::optional<SealedBatch>> reversed = ReversedBatch(book, explanation.seal);
  if (!reversed.ok()) return reversed.status();
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, *catalog, explanation.seal.sequence);
  if (!periods.ok()) return periods.status();
  for (const LineDifference& difference : differences) {
    BookedKey key = difference.key;
    const bool is_accrual = key.place->as == BookedAs::kAccrued;
    ExplainedCharge explained;
    explained.subject = difference.subject;
    explained.subscription = key.subscription;
    explained.plan = key.place->plan;
    explained.charge = key.place->charge;
    explained.period = key.period;
    explained.usage_date = key.usage_date;
    explained.difference = {key.place->currency, difference.minor};
    explained.rounded_to_date = explained.rounded_before = explained.booked_before = {key.place->currency, 0};
    explained.why_booked_back = WhyTakenBack(explanation, key, *periods);
    if (!explained.why_booked_back.empty()) {
      explained.booked_before.minor = -difference.minor;
      explanation.largest.push_back(std::move(explained));
      continue;
    }
    // The book just before the seal: the same totals, and what earlier seals had booked, less what it takes back.
    const WorthWindow window{explanation.seal.through, explanation.seal.sequence - 1, difference.subject, *reversed};
    const absl::Status visited = VisitSubjects(book, *catalog, window, 1, [&](int, const SubjectWorth& worth) {
      if (is_accrual) {
        explained.booked_before = BookedFor(worth, key);
        explained.why_booked_back = "an accrual and its reversal come to nothing";
        const bool takes_back =
            explained.booked_before.minor != 0 && explained.booked_before.minor == -difference.minor;
        if (takes_back) return absl::OkStatus();
        // What is accrued of a charge is explained by it, also where an earlier accrual of it is taken back beside it.
        if (const BookedPlace* const place = AccruedPlace(worth, key)) key.place = place;
      }
      explained.booked_before = BookedFor(worth, key);
      if (const RecognisedCharge* recognised = FindRecognised(worth, key)) {
        FillRecognition(*catalog, worth, *recognised, key, &explained);
        return absl::OkStatus();
      }
      const RatedCharge* rated = FindRated(worth, key);
      std::optional<RatedCharge> unused;
      if (rated == nullptr && MovedTo(worth, key) == nullptr && !HasOneSide(worth, key))
        unused = WithoutUsage(*catalog, worth.subject, key);
      // Usage that other billing periods have now was not taken back.
      const Day last_day{key.period.end.number - 1};
      if (unused && !HasUsage(*catalog, *unused, worth.totals, key.period.start, last_day)) rated = &*unused;
      if (rated == nullptr) {
        explained.why_booked_back = WhyBookedBack(*catalog, worth, key);
        return absl::OkStatus();
      }
      explained.kind = KindOf(*rated->charge);
      explained.meter = rated->charge->meter;
      if (rated->meter != nullptr) explained.unit = rated->meter->unit;
      explained.filter = FilterText(*rated->charge);
      const PostingRule* rule = catalog->PostingOf(*rated->subscription, *rated->charge);
      const bool by_period = SummaryOf(*catalog, *rated, rule) == SummaryPolicy::kPeriod;
      const ComparedDays compared = CompareDays(*rated, by_period, key.usage_date);
      TOLLBOOK_RETURN_IF_ERROR(FillArithmetic(*rated, compared, &explained));
      explained.rated = true;
      const bool is_due = DueOn(*rated, by_period, key.usage_date);
      // Where nothing is due on a day that had usage, corrections have taken all of it back: they are the origin.
      const Day first = by_period ? key.period.start : key.usage_date;
      const bool is_by_period_now = by_period && !is_due;
      if (rated->meter == nullptr) return absl::OkStatus();
      if (events && !is_due) explained.events = OnlyTakenBack(*rated, explained.before);
      if (is_by_period_now) return absl::OkStatus();
      // Of what carries over an event may have made the day one that changes nothing.
      const bool may_be_of_usage =
          is_due || CarriesOver(*rated->meter) || !HasUsage(*catalog, *rated, worth.totals, first, key.usage_date);
      if (!may_be_of_usage) return absl::OkStatus();
      TOLLBOOK_RETURN_IF_ERROR(
          origins->Find(*catalog, *rated, first, key.usage_date, explanation.seal.sequence, &explained.origins));
      if (unused && explained.origins.empty()) {
        explained.rated = false;
        explained.events.reset();
        explained.why_booked_back = WhyBookedBack(*catalog, worth, key);
        return absl::OkStatus();
      }
      if (!events || (!is_due && explained.origins.empty())) return absl::OkStatus();
      single_events.Gather(explanation.largest.size(), *rated, worth.totals, compared, by_period, explained);
      return absl::OkStatus();
    });
    if (!visited.ok()) return visited;
    if (is_accrual) {  // the line that books it tells what changed
      explanation.largest.push_back(std::move(explained));
      continue;
    }
    absl::StatusOr<std::optional<EarlierWorld>> world = earlier.Find(difference.subject, key);
    if (!world.ok()) return world.status();
    explained.earlier = *std::move(world);
    explanation.largest.push_back(std::move(explained));
  }
  TOLLBOOK_RETURN_IF_ERROR(single_events.Explain(&explanation.largest, &explanation.from_log));
  return explanation;
}

}  // namespace tollbook
