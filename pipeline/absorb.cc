#include "pipeline/absorb.h"

#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_for_each.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>

#include "ledger/cut_off.h"
#include "ledger/held.h"
#include "ledger/seen_budget.h"
#include "ledger/seen_opening.h"
#include "ledger/totals_run.h"
#include "pipeline/block_judge.h"
#include "pipeline/cell_table.h"
#include "pipeline/corrections.h"
#include "pipeline/epoch_pace.h"
#include "pipeline/fixed_meters.h"
#include "pipeline/side_thread.h"
#include "pipeline/usage_log.h"
#include "pipeline/work_pool.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// Series known at a time, before their numbers are given out anew.
constexpr size_t kSeriesMax = 256 << 10;
// A block of a pipe is given when it is full or this old: long enough to be worth a task, short beside a commit.
constexpr int kGatherMillis = 5;
constexpr size_t kUnpackAheadMax = 8;
// A round's input and what is made of it stay in the third-level cache; less, and its ends cost more than that spares.
constexpr uint64_t kRoundBytesAThread = 6 << 20;
// Blocks of any size have fixed costs; so many of them end a round.
constexpr uint64_t kRoundBlocksMax = 256;
// Events looked ahead in a shard: enough to hide a cache miss, few enough to stay in the first-level cache.
// Its figure: bench/parts.cc, `DedupProbe` beside `DedupProbeUnfetched`.
constexpr size_t kPrefetchAhead = 24;
// Blocks whose identities are fetched ahead.
constexpr size_t kBlocksAhead = 4;

// What absorb takes beside the seen events: a round of input and what was decoded of it, the totals of two epochs, what
// RocksDB has not written yet (192 MiB), totals, decoders and a shard's entries while they are sorted.
constexpr uint64_t kOtherBytes = 768 << 20;
uint64_t SeenBytes(uint64_t memory_bytes) {
  if (memory_bytes == 0) return UINT64_MAX;
  return std::max(memory_bytes - std::min(memory_bytes, kOtherBytes), memory_bytes / 4);
}

// The first digits of the catalog's digest: enough to see that it changed.
uint64_t FingerprintOf(const Catalog& catalog) {
  return std::strtoull(catalog.digest.substr(0, 16).c_str(), nullptr, 16);
}

// Where events come from: the next block, or false when the input (or this epoch's share of it) is over.
using NextBlock = std::function<bool(BlockWork*)>;

// A thread's decoders: one for all JSON, and one for the CSV file at hand.
class Decoders {
 public:
  Decoder& For(const FedSource* from) {
    if (from == nullptr || from->file->format != InputFormat::kCsv) return *json_;
    if (csv_of_ != from) {
      absl::StatusOr<std::unique_ptr<Decoder>> made =
          MakeCsvDecoder(*from->file->mapping, from->header, from->file->name);
      TOLLBOOK_ASSERT(made.ok());  // the feeder made one from the same header before it gave a block
      csv_ = *std::move(made);
      csv_of_ = from;
    }
    return *csv_;
  }

 private:
  std::unique_ptr<Decoder> json_ = MakeJsonDecoder();
  std::unique_ptr<Decoder> csv_;
  const FedSource* csv_of_ = nullptr;
};

// What a thread brings to decoding.
struct Worker {
  Decoders decoders;
  BlockDecoder blocks;
  FramePacker packer;
};

// Held events that are read again: each moves, in its source and in the book, from held to how it ends now. Over any
// number of commits.
class HeldMoves {
 public:
  static absl::StatusOr<HeldMoves> Begin(const Book& book, uint64_t catalog) {
    absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
    if (!sources.ok()) return sources.status();
    HeldMoves moves;
    moves.sources_ = *std::move(sources);
    moves.changed_.resize(moves.sources_.size());
    // What is rejected now is rejected under this catalog.
    for (SourceRecord& source : moves.sources_) {
      if (source.counts.rejected == 0) source.catalog = catalog;
    }
    return moves;
  }

  // `record` has the reason that it ends with, and the whole payload.
  void Move(ExceptionRecord record) {
    const Outcome outcome = OutcomeOf(record.reason);
    LineCounts moved;
    moved.of(outcome) += 1;
    moved.held -= 1;
    delta_ += moved;
    sources_[record.source].counts += moved;
    changed_[record.source] = true;
    if (outcome == Outcome::kDuplicate) record.payload = {};
    if (outcome != Outcome::kHeld) record.payload = Excerpt(record.payload);
    if (outcome != Outcome::kAccepted) exceptions_.Add(record);
  }

  const std::string& PathOf(uint32_t source) const { return sources_[source].path; }

  // What has moved since the last commit.
  void Take(EpochCommit* epoch) {
    epoch->delta += std::exchange(delta_, {});
    epoch->exceptions = exceptions_.Take();
    for (size_t id = 0; id < changed_.size(); ++id) {
      if (changed_[id]) epoch->sources.push_back(sources_[id]);
    }
    changed_.assign(changed_.size(), false);
  }

 private:
  std::vector<SourceRecord> sources_;
  std::vector<bool> changed_;
  LineCounts delta_;
  ExceptionCollector exceptions_;
};

// Events that are still held after a retry: all of them, to be stored anew, until they come to `bytes_max`. Then they
// stay where they are.
class StillHeld {
 public:
  explicit StillHeld(uint64_t bytes_max) : bytes_max_(bytes_max) {}
  void Add(ExceptionRecord record) {
    bytes_ += record.payload.size() + sizeof record;
    if (is_whole()) {
      record.payload = payloads_.Copy(record.payload);
      records_.push_back(record);
    } else {
      records_ = {};
      payloads_ = {};
    }
  }
  bool is_whole() const { return bytes_ <= bytes_max_; }
  const std::vector<ExceptionRecord>& records() const { return records_; }

 private:
  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  std::vector<ExceptionRecord> records_;
  Arena payloads_;
};

// Does an event that is tried again stay as it was held?
bool StaysHeld(Reason reason) {
  return OutcomeOf(reason) == Outcome::kHeld && !IsHeldCorrection(reason);
}

void PutLines(const std::vector<ExceptionRecord>& records, Block* block) {
  size_t bytes = 0;
  for (const ExceptionRecord& record : records) bytes += record.payload.size() + 1;
  block->storage = AlignedBuffer(bytes + kLinePadding);
  block->data = block->storage.data();
  for (const ExceptionRecord& record : records) {
    std::memcpy(block->data + block->bytes, record.payload.data(), record.payload.size());
    block->bytes += record.payload.size();
    block->data[block->bytes++] = '\n';
  }
}

class Absorber {
 public:
  Absorber(Book& book, const Catalog& catalog, const AbsorbOptions& options)
      : book_(book), catalog_(catalog), options_(options), arena_(options.threads) {}

  absl::StatusOr<AbsorbReport> FromInputs(const InputList& inputs);
  absl::StatusOr<AbsorbReport> FromHeld();

 private:
  std::vector<CellTable> NewCells() const {
    std::vector<CellTable> cells;
    for (int shard = 0; shard < kTotalShards; ++shard) cells.emplace_back(catalog_.meters, series_);
    return cells;
  }
  absl::Status Prepare();
  absl::Status CheckMeters();
  absl::Status RetryEvents();
  absl::Status ApplyCorrections(bool is_retry);
  absl::Status CommitCorrections(const JudgedCorrections& judged, Corrections& corrections, HeldMoves* moves);
  void CountAsRead(Reason reason);
  Works DecodeRound(const NextBlock& next, EpochPace* pace);
  absl::Status Deduplicate(Works& works);
  absl::Status AskShard(const Works& works, int shard);
  void InsertShard(const Works& works, int shard);
  void Accumulate(const Works& works);
  void Judge(const Works& works, SourceFeeder& feeder, ExceptionCollector* exceptions, EpochCommit* epoch);
  void PackTotals(EpochCommit* epoch);
  void AddNewMeters(const std::vector<bool>& used, EpochCommit* epoch);
  using Retired = std::optional<std::vector<HeldChange>>;  // of what the epoch retires; nothing: all of it
  void StartCommit(EpochCommit epoch, std::vector<PackedUsage> usage = {}, Retired retired = std::nullopt);
  std::vector<PackedUsage> TakeUsage(SourceFeeder& feeder);
  bool Committing() const;
  bool EpochIsDue(const EpochPace& pace) const;
  uint64_t RoundBytes() const;
  PaceLimits Limits() const;
  absl::Status FinishCommit();
  void BetweenCommits();

  Book& book_;
  const Catalog& catalog_;
  const AbsorbOptions& options_;
  WorkerArena arena_;
  std::vector<SeenShard> seen_ = std::vector<SeenShard>(kSeenShards);
  SeenBudget seen_budget_{SeenBytes(options_.memory_bytes)};
  SeriesTable series_{book_.identity().seed[1]};
  std::vector<CellTable> cells_ = NewCells();
  tbb::enumerable_thread_specific<CellTable::SeriesRanks> series_ranks_;
  std::vector<std::string> fixed_meters_;
  std::unique_ptr<tbb::enumerable_thread_specific<Worker>> workers_;
  WorkPool pool_;
  std::future<absl::Status> commit_;
  ReasonCounters reasons_{};
  std::atomic<uint64_t> events_{0};
  uint64_t events_before_epoch_ = 0;
  SegmentCollector usage_;  // of the epoch, where the book keeps it
  AbsorbReport report_;
  Day cut_off_ = kNoUsage;        // the book's
  uint64_t sequence_before_ = 0;  // of the book's newest commit when this run began
  SideThread committer_;          // the last: it uses the others
};

absl::Status Absorber::Prepare() {
  sequence_before_ = book_.last_sequence();
  TOLLBOOK_RETURN_IF_ERROR(CheckMeters());
  const absl::StatusOr<Day> cut_off = CutOffOf(book_);
  if (!cut_off.ok()) return cut_off.status();
  report_.cut_off = cut_off_ = *cut_off;
  const auto side_by_side = [&](std::span<const int> shards, const std::function<void(int)>& load) {
    arena_.execute([&] { tbb::parallel_for_each(shards.begin(), shards.end(), load); });
  };
  return OpenSeen(book_, seen_budget_, side_by_side, &seen_, options_.seen_span_days);
}

absl::Status Absorber::CheckMeters() {
  const absl::StatusOr<std::vector<Meter>> fixed = FixedMeters(book_, catalog_);
  if (!fixed.ok()) return fixed.status();
  for (const Meter& meter : *fixed) fixed_meters_.push_back(meter.name);
  return absl::OkStatus();
}

// Reads a round's blocks in order and decodes them in parallel. Who reads a block decodes it, while it is in the cache;
// twice as many blocks as threads are in flight between the two, no more.
Works Absorber::DecodeRound(const NextBlock& next, EpochPace* pace) {
  if (workers_ == nullptr) {
    workers_ = std::make_unique<tbb::enumerable_thread_specific<Worker>>([this] {
      return Worker{Decoders(), BlockDecoder(Measurer(catalog_, book_.identity(), series_), options_.decoder), {}};
    });
  }
  Works works;
  pace->BeginRound();
  const auto read = [&](tbb::flow_control& control) -> BlockWork* {
    std::unique_ptr<BlockWork> work = pool_.Take();
    for (;;) {
      if (pace->RoundIsDue(Committing()) || EpochIsDue(*pace) || !next(work.get())) {
        pool_.GiveBack(std::move(work));
        control.stop();
        return nullptr;
      }
      pace->OnBlock(work->block);
      if (work->block.bytes > 0 || !work->block.long_lines.empty()) break;
      if (!Committing()) BetweenCommits();  // a pipe has nothing to give
    }
    works.push_back(std::move(work));  // only here, one at a time; decoders hold pointers to the elements
    return works.back().get();
  };
  const auto decode = [&](BlockWork* work) {
    Worker& worker = workers_->local();
    worker.packer.Pack(work->content.bytes, &work->packed);
    worker.blocks.Decode(worker.decoders.For(work->from), work);
    events_.fetch_add(work->verdicts.size(), std::memory_order_relaxed);
  };
  arena_.execute([&] {
    const size_t in_flight = 2 * static_cast<size_t>(arena_.threads());
    tbb::parallel_pipeline(in_flight, tbb::make_filter<void, BlockWork*>(tbb::filter_mode::serial_in_order, read) &
                                          tbb::make_filter<BlockWork*, void>(tbb::filter_mode::parallel, decode));
  });
  return works;
}

bool Absorber::EpochIsDue(const EpochPace& pace) const {
  return pace.EpochIsDue(events_.load(std::memory_order_relaxed) - events_before_epoch_, Committing());
}

// Each shard sees its identities in input order. A verdict is a byte of its own, so shards may write verdicts of one
// block side by side; they do so only for the few that are not fresh.
absl::Status Absorber::Deduplicate(Works& works) {
  std::vector<absl::Status> asked(kSeenShards);
  arena_.execute([&] {
    tbb::parallel_for(0, kSeenShards, [&](int shard) {
      asked[shard] = AskShard(works, shard);
      if (!asked[shard].ok()) return;
      InsertShard(works, shard);
    });
  });
  for (const absl::Status& status : asked) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

// A shard has a handful of identities of each block, and both they and the slots they go to are in no cache. So all of
// a round are lined up first, and the slots are fetched well ahead of their use.
void Absorber::InsertShard(const Works& works, int shard) {
  struct Arrived {
    const Identity* identity;
    BlockWork* work;
  };
  SeenShard& seen = seen_[shard];
  std::vector<Arrived> arrived;
  for (size_t block = 0; block < works.size(); ++block) {
    if (block + kBlocksAhead < works.size()) {
      const std::span<const Identity> later = works[block + kBlocksAhead]->identities.of(shard);
      for (size_t i = 0; i < later.size(); i += 2) __builtin_prefetch(&later[i]);
    }
    for (const Identity& identity : works[block]->identities.of(shard)) {
      arrived.push_back({&identity, works[block].get()});
    }
  }
  for (size_t i = 0; i < arrived.size(); ++i) {
    if (i + kPrefetchAhead < arrived.size()) seen.Prefetch(arrived[i + kPrefetchAhead].identity->entry);
    const Seen answer = seen.Insert(arrived[i].identity->entry, arrived[i].identity->date);
    if (answer == Seen::kFresh) continue;
    arrived[i].work->verdicts[arrived[i].identity->event] =
        answer == Seen::kDuplicate ? Reason::kDuplicate : Reason::kConflict;
  }
}

absl::Status Absorber::AskShard(const Works& works, int shard) {
  for (const std::unique_ptr<BlockWork>& work : works) {
    TOLLBOOK_RETURN_IF_ERROR(seen_[shard].Ask(work->identities.of(shard)));
  }
  return seen_[shard].Answer();
}

void Absorber::Accumulate(const Works& works) {
  arena_.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      CellTable& cells = cells_[shard];
      for (const std::unique_ptr<BlockWork>& work : works) {
        cells.Add(work->measurements, work->measurements_of.of(shard), work->verdicts);
      }
      cells.EndRound();
    });
  });
}

// What the epoch's rounds added up to becomes one run a shard.
void Absorber::PackTotals(EpochCommit* epoch) {
  std::vector<std::string> runs(kTotalShards);
  std::vector<std::vector<bool>> used(kTotalShards, std::vector<bool>(catalog_.meters.size()));
  arena_.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      if (!cells_[shard].empty()) runs[shard] = cells_[shard].Pack(&series_ranks_.local(), &used[shard]);
    });
  });
  std::vector<bool> used_meters(catalog_.meters.size());
  for (int shard = 0; shard < kTotalShards; ++shard) {
    for (size_t meter = 0; meter < used_meters.size(); ++meter)
      used_meters[meter] = used_meters[meter] || used[shard][meter];
    if (!runs[shard].empty()) epoch->totals.push_back({shard, std::move(runs[shard])});
  }
  AddNewMeters(used_meters, epoch);
  if (series_.size() > kSeriesMax) series_.Clear();
}

void Absorber::AddNewMeters(const std::vector<bool>& used, EpochCommit* epoch) {
  for (size_t i = 0; i < used.size(); ++i) {
    const Meter& meter = catalog_.meters[i];
    if (!used[i] || std::find(fixed_meters_.begin(), fixed_meters_.end(), meter.name) != fixed_meters_.end()) continue;
    fixed_meters_.push_back(meter.name);
    epoch->new_meters.push_back(meter);
  }
}

// What the epoch has read, in segments: its blocks', and of sources that had none.
std::vector<PackedUsage> Absorber::TakeUsage(SourceFeeder& feeder) {
  FramePacker packer;
  for (const ReadContent& loose : feeder.TakeLooseContent()) {
    std::string packed;
    packer.Pack(loose.bytes, &packed);
    usage_.Add(loose.source, loose.first_offset, loose.end_offset, packed);
  }
  return usage_.Take();
}

void Absorber::StartCommit(EpochCommit epoch, std::vector<PackedUsage> usage, Retired retired) {
  epoch.seen_span_days = options_.seen_span_days;
  std::vector<bool> spills(kSeenShards);
  for (const int shard : seen_budget_.Due(seen_, book_.last_sequence() + 1)) {
    spills[shard] = true;
    epoch.spills.emplace_back(shard, &seen_[shard]);
  }
  for (int shard = 0; shard < kSeenShards; ++shard) {
    const std::span<const SeenEntry> fresh = seen_[shard].hot().uncommitted();
    if (!spills[shard] && !fresh.empty()) epoch.seen.push_back({shard, fresh, seen_[shard].latest_fresh()});
  }
  ++report_.epochs;
  const AbsorbDurable durable{report_.epochs, report_.counts.lines, report_.counts.accepted};
  commit_ = committer_.Start([this, durable, epoch = std::move(epoch), usage = std::move(usage),
                              retired = std::move(retired)] {
    const absl::Status status = retired ? HeldOf(book_).CommitRetry(epoch, *retired) : CommitEpoch(book_, epoch, usage);
    if (status.ok() && options_.durable) options_.durable(durable);
    return status;
  });
}

bool Absorber::Committing() const {
  return commit_.valid() && commit_.wait_for(std::chrono::seconds(0)) != std::future_status::ready;
}

void Absorber::BetweenCommits() {
  if (options_.between_commits) options_.between_commits(book_);
}

absl::Status Absorber::FinishCommit() {
  if (!commit_.valid()) return absl::OkStatus();
  const absl::Status status = commit_.get();
  if (status.ok()) {
    for (SeenShard& seen : seen_) seen.MarkCommitted();
  }
  return status;
}

// How a round's blocks ended, found side by side and put together in input order.
void Absorber::Judge(const Works& works, SourceFeeder& feeder, ExceptionCollector* exceptions, EpochCommit* epoch) {
  std::vector<uint64_t> first_lines;
  for (const std::unique_ptr<BlockWork>& work : works) {
    SourceRecord& source = feeder.record(work->block.file);
    first_lines.push_back(source.lines + 1);
    source.lines += work->line_ends;
  }
  std::vector<BlockVerdict> verdicts(works.size());
  arena_.execute([&] {
    tbb::parallel_for(size_t{0}, works.size(), [&](size_t i) { verdicts[i] = JudgeBlock(*works[i], first_lines[i]); });
  });
  for (size_t i = 0; i < works.size(); ++i) {
    const BlockWork& work = *works[i];
    SourceRecord& source = feeder.record(work.block.file);
    for (const ExceptionRecord& record : verdicts[i].exceptions) exceptions->Add(record);
    for (size_t reason = 0; reason < reasons_.size(); ++reason) reasons_[reason] += verdicts[i].reasons[reason];
    source.counts += verdicts[i].counts;
    epoch->delta += verdicts[i].counts;
    const ReadContent& content = work.content;
    usage_.Add(content.source, content.first_offset, content.end_offset, work.packed);
    if (epoch->covered.empty() || epoch->covered.back().source != source.id) {
      epoch->covered.push_back({source.id, work.block.offset, 0, first_lines[i], 0});
    }
    CoveredRange& covered = epoch->covered.back();
    covered.end_offset = work.block.offset + work.block.bytes;
    for (const Block::LongLine& cut : work.block.long_lines) covered.end_offset += cut.bytes;
    covered.end_line = first_lines[i] + work.line_ends;
  }
}

std::vector<std::pair<Reason, uint64_t>> ReasonCounts(const ReasonCounters& counts) {
  std::vector<std::pair<Reason, uint64_t>> reasons;
  for (size_t reason = 1; reason < counts.size(); ++reason) {
    if (counts[reason] > 0) reasons.emplace_back(static_cast<Reason>(reason), counts[reason]);
  }
  return reasons;
}

uint64_t Absorber::RoundBytes() const {
  return options_.round_bytes > 0 ? options_.round_bytes : kRoundBytesAThread * static_cast<uint64_t>(arena_.threads());
}

PaceLimits Absorber::Limits() const {
  PaceLimits limits;
  limits.epoch_bytes = options_.epoch_bytes;
  limits.epoch_events = options_.epoch_events;
  limits.round_bytes = RoundBytes();
  limits.round_blocks = std::clamp<uint64_t>(RoundBytes() / options_.block_bytes, 1, kRoundBlocksMax);
  limits.epoch_time = std::chrono::milliseconds(options_.epoch_millis);
  limits.slow_epoch_time = std::chrono::milliseconds(options_.slow_epoch_millis);
  limits.slow_epoch_events = options_.slow_epoch_events;
  return limits;
}

absl::StatusOr<AbsorbReport> Absorber::FromInputs(const InputList& inputs) {
  TOLLBOOK_RETURN_IF_ERROR(Prepare());
  absl::StatusOr<std::vector<SourceRecord>> known = book_.Sources();
  if (!known.ok()) return known.status();
  ReaderOptions reading;
  reading.block_bytes = options_.block_bytes;
  reading.line_bytes_max = options_.line_bytes_max;
  reading.idle_millis = kGatherMillis;
  reading.unpack_ahead = std::min(static_cast<size_t>(arena_.threads()), kUnpackAheadMax);
  SourceFeeder feeder(inputs, *std::move(known), FingerprintOf(catalog_), reading, options_.stop);
  if (options_.keeps_usage_log) feeder.KeepContent();
  const auto next = [&](BlockWork* work) {
    const bool more = feeder.Next(&work->block);
    if (more) {
      work->from = feeder.current();
      work->cut_off = cut_off_;
    }
    const bool has_lines = more && (work->block.bytes > 0 || !work->block.long_lines.empty());
    if (has_lines && options_.keeps_usage_log) feeder.TakeContent(&work->content);
    if (options_.progress)
      options_.progress({feeder.bytes_read(), inputs.bytes, events_.load(std::memory_order_relaxed)});
    return more;
  };

  EpochPace pace(Limits());
  ExceptionCollector exceptions;  // empty after each epoch, with its memory
  for (;;) {
    pace.BeginEpoch();
    events_before_epoch_ = events_.load(std::memory_order_relaxed);
    EpochCommit epoch;
    for (bool more = true; more;) {
      Works works = DecodeRound(next, &pace);
      // Between rounds the series can be counted: an epoch of ever new ones ends early.
      more = pace.RoundIsDue(Committing()) && !EpochIsDue(pace) && series_.size() <= kSeriesMax;
      // The entries of the epoch before are lent to its commit until here.
      TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
      TOLLBOOK_RETURN_IF_ERROR(Deduplicate(works));
      Accumulate(works);
      Judge(works, feeder, &exceptions, &epoch);
      pool_.GiveBack(std::move(works));
    }
    report_.bytes += pace.bytes();
    const std::vector<uint32_t> touched = feeder.TakeTouched();
    if (pace.bytes() == 0 && touched.empty()) break;
    PackTotals(&epoch);
    epoch.exceptions = exceptions.Take();
    for (const uint32_t source : touched) {
      if (epoch.sources.empty() || epoch.sources.back().id != source) epoch.sources.push_back(feeder.record(source));
    }
    report_.counts += epoch.delta;
    BetweenCommits();
    StartCommit(std::move(epoch), TakeUsage(feeder));
  }
  TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
  if (!feeder.stopped()) TOLLBOOK_RETURN_IF_ERROR(ApplyCorrections(/*is_retry=*/false));
  report_.reasons = ReasonCounts(reasons_);
  report_.skipped = feeder.skipped();
  report_.left_out = inputs.left_out;
  report_.left_out.insert(report_.left_out.end(), feeder.left_out().begin(), feeder.left_out().end());
  report_.stopped = feeder.stopped();
  return std::move(report_);
}

// A held event is stored as one line of canonical JSON, so a chunk of them is a block of input. They are absorbed in
// epochs, and those in rounds. What is still held then stays where it is, so that all are always tried in the same
// order; in the end it is stored anew, where it is not too much, and what was held before is retired as a whole.
absl::Status Absorber::RetryEvents() {
  const HeldStore& held = HeldOf(book_);
  const absl::StatusOr<HeldQueue> queue = held.Held(HeldKind::kEvents);
  if (!queue.ok()) return queue.status();
  if (queue->places.empty()) return absl::OkStatus();
  absl::StatusOr<HeldMoves> moves = HeldMoves::Begin(book_, FingerprintOf(catalog_));
  if (!moves.ok()) return moves.status();

  struct OfBlock {
    HeldPlace place;
    HeldLines lines;
  };
  std::vector<OfBlock> blocks;  // of the round
  size_t next_place = 0;
  absl::Status damaged;
  const auto next = [&](BlockWork* work) {
    while (next_place < queue->places.size()) {
      const HeldPlace& place = queue->places[next_place++];
      absl::StatusOr<HeldLines> lines = held.ReadHeld(HeldKind::kEvents, place, queue->changes);
      if (!lines.ok()) {
        damaged = lines.status();
        return false;
      }
      if (lines->records.empty()) continue;
      work->cut_off = cut_off_;
      PutLines(lines->records, &work->block);
      blocks.push_back({place, *std::move(lines)});
      return true;
    }
    return false;
  };
  PaceLimits limits;
  limits.round_bytes = RoundBytes();
  limits.epoch_bytes = options_.epoch_bytes;
  limits.epoch_events = options_.epoch_events;
  EpochPace pace(limits);
  StillHeld still_held(options_.epoch_bytes);
  for (bool is_last = false; !is_last;) {
    pace.BeginEpoch();
    events_before_epoch_ = events_.load(std::memory_order_relaxed);
    EpochCommit epoch;
    epoch.retires_held = true;
    std::vector<HeldChange> retired;
    for (bool more = true; more;) {
      blocks.clear();
      Works works = DecodeRound(next, &pace);
      more = pace.RoundIsDue(/*busy=*/false) && !EpochIsDue(pace);
      TOLLBOOK_RETURN_IF_ERROR(damaged);
      TOLLBOOK_RETURN_IF_ERROR(Deduplicate(works));
      Accumulate(works);
      for (size_t i = 0; i < works.size(); ++i) {
        const BlockWork& work = *works[i];
        const auto& [place, lines] = blocks[i];
        TOLLBOOK_ASSERT(work.verdicts.size() == lines.records.size());
        for (size_t event = 0; event < work.verdicts.size(); ++event) {
          ExceptionRecord record = lines.records[event];
          record.reason = work.verdicts[event];
          CountAsRead(record.reason);
          if (StaysHeld(record.reason)) {
            still_held.Add(record);
          } else {
            moves->Move(record);
            retired.push_back({HeldKind::kEvents, place, lines.lines[event], Reason::kNone, 0});
          }
        }
      }
      pool_.GiveBack(std::move(works));
    }
    is_last = next_place == queue->places.size();
    report_.bytes += pace.bytes();
    PackTotals(&epoch);
    const bool is_whole = is_last && still_held.is_whole();
    if (is_whole) {
      for (const ExceptionRecord& record : still_held.records()) moves->Move(record);
    }
    moves->Take(&epoch);
    StartCommit(std::move(epoch), {}, is_whole ? Retired() : std::move(retired));
    TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
  }
  return absl::OkStatus();
}

void Absorber::CountAsRead(Reason reason) {
  ++reasons_[static_cast<size_t>(reason)];
  report_.counts.of(OutcomeOf(reason)) += 1;
  report_.counts.lines += 1;
}

// The held corrections, when all that came with them is in the book: applied, held on, or found to be wrong. In as many
// commits as it takes, none if all of them are held as before. This run has counted those that it read as held; a retry
// counts all.
absl::Status Absorber::ApplyCorrections(bool is_retry) {
  std::optional<HeldMoves> moves;  // where there are any
  const auto begin_moves = [&] {
    if (moves) return absl::OkStatus();
    absl::StatusOr<HeldMoves> begun = HeldMoves::Begin(book_, FingerprintOf(catalog_));
    if (begun.ok()) moves = *std::move(begun);
    return begun.status();
  };
  Corrections corrections(book_, catalog_, series_, options_.decoder, &seen_, cut_off_);
  const auto tell = [&](const JudgedCorrection& one) {
    const bool is_counted = one.place.sequence > sequence_before_;
    if (is_counted) {
      --reasons_[static_cast<size_t>(one.before)];
      --report_.counts.held;
      --report_.counts.lines;
    }
    if (is_counted || is_retry) CountAsRead(one.record.reason);
  };
  TOLLBOOK_RETURN_IF_ERROR(corrections.Judge(options_.epoch_bytes, tell, [&](const JudgedCorrections& judged) {
    TOLLBOOK_RETURN_IF_ERROR(begin_moves());
    return CommitCorrections(judged, corrections, &*moves);
  }));
  if (!corrections.needed().empty()) TOLLBOOK_RETURN_IF_ERROR(begin_moves());
  for (const auto& [source, why] : corrections.needed()) report_.needed.push_back({moves->PathOf(source), why});
  return absl::OkStatus();
}

absl::Status Absorber::CommitCorrections(const JudgedCorrections& judged, Corrections& corrections, HeldMoves* moves) {
  EpochCommit epoch;
  epoch.retires_corrections = true;
  std::vector<ExceptionRecord> applied;
  std::vector<HeldChange> retired;
  for (const JudgedCorrection& one : judged.judged) {
    const bool stays = IsHeldCorrection(one.record.reason) && !judged.is_whole;
    if (!stays) moves->Move(one.record);
    if (one.record.reason == Reason::kNone) applied.push_back(one.record);
    retired.push_back({HeldKind::kCorrections, one.place, one.line, stays ? one.record.reason : Reason::kNone,
                       stays ? one.record.needs : 0});
  }
  report_.corrections += applied.size();
  if (!applied.empty()) epoch.corrections = Encode(applied);
  std::vector<bool> used_meters(catalog_.meters.size());
  epoch.totals = corrections.PackTotals(&used_meters);
  AddNewMeters(used_meters, &epoch);
  if (series_.size() > kSeriesMax && corrections.may_clear_series()) series_.Clear();
  moves->Take(&epoch);
  StartCommit(std::move(epoch), {}, judged.is_whole ? Retired() : std::move(retired));
  return FinishCommit();
}

absl::StatusOr<AbsorbReport> Absorber::FromHeld() {
  TOLLBOOK_RETURN_IF_ERROR(Prepare());
  TOLLBOOK_RETURN_IF_ERROR(RetryEvents());
  TOLLBOOK_RETURN_IF_ERROR(ApplyCorrections(/*is_retry=*/true));
  report_.reasons = ReasonCounts(reasons_);
  return std::move(report_);
}

}  // namespace

absl::StatusOr<AbsorbReport> Absorb(Book& book, const Catalog& catalog, const InputList& inputs,
                                    const AbsorbOptions& options) {
  return Absorber(book, catalog, options).FromInputs(inputs);
}

absl::StatusOr<AbsorbReport> RetryHeld(Book& book, const Catalog& catalog, const AbsorbOptions& options) {
  return Absorber(book, catalog, options).FromHeld();
}

}  // namespace tollbook
