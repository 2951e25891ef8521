#include "pipeline/absorb.h"

#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/parallel_pipeline.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>

#include "ledger/seen_budget.h"
#include "ledger/totals_run.h"
#include "pipeline/block_work.h"
#include "pipeline/cell_table.h"
#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// An exception chunk is one stored value; this keeps it of a size that is pleasant to read back.
constexpr size_t kExceptionChunkBytes = 4 << 20;
// Series known at a time, before their numbers are given out anew.
constexpr size_t kSeriesMax = 1 << 20;
// Events looked ahead in a shard: enough to hide a cache miss, few enough to stay in the first-level cache.
constexpr size_t kPrefetchAhead = 12;

// What absorb takes beside the seen events: two epochs of input and what was decoded of it (4 * 96 MiB), what RocksDB
// has not written yet (192 MiB), totals, decoders and a shard's entries while they are sorted.
constexpr uint64_t kOtherBytes = 768 << 20;
uint64_t SeenBytes(uint64_t memory_bytes) {
  if (memory_bytes == 0) return UINT64_MAX;
  return std::max(memory_bytes - std::min(memory_bytes, kOtherBytes), memory_bytes / 4);
}

// The first digits of the catalog's digest: enough to see that it changed.
uint64_t FingerprintOf(const Catalog& catalog) {
  return std::strtoull(catalog.digest.substr(0, 16).c_str(), nullptr, 16);
}

using Works = std::vector<std::unique_ptr<BlockWork>>;

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
};

class Absorber {
 public:
  Absorber(Book& book, const Catalog& catalog, const AbsorbOptions& options)
      : book_(book), catalog_(catalog), options_(options), arena_(options.threads) {}

  absl::StatusOr<AbsorbReport> FromInputs(const InputList& inputs);
  absl::StatusOr<AbsorbReport> FromHeld();

 private:
  absl::Status Prepare();
  absl::Status CheckMeters();
  Works DecodeEpoch(const NextBlock& next);
  absl::Status Deduplicate(Works& works);
  absl::Status AskShard(const Works& works, int shard);
  void Accumulate(const Works& works, EpochCommit* epoch);
  void AddNewMeters(const std::vector<bool>& used, EpochCommit* epoch);
  void StartCommit(EpochCommit epoch, Works works);
  absl::Status FinishCommit();

  Book& book_;
  const Catalog& catalog_;
  const AbsorbOptions& options_;
  WorkerArena arena_;
  std::vector<SeenShard> seen_ = std::vector<SeenShard>(kSeenShards);
  SeenBudget seen_budget_{SeenBytes(options_.memory_bytes)};
  SeriesTable series_{book_.identity().seed[1]};
  std::vector<CellTable> cells_ = std::vector<CellTable>(kTotalShards, CellTable(catalog_.meters, series_));
  std::vector<std::string> fixed_meters_;
  std::unique_ptr<tbb::enumerable_thread_specific<Worker>> workers_;
  std::future<absl::Status> commit_;
  std::vector<uint64_t> reasons_ = std::vector<uint64_t>(kReasons);
  std::atomic<uint64_t> events_{0};
  AbsorbReport report_;
};

absl::Status Absorber::Prepare() {
  TOLLBOOK_RETURN_IF_ERROR(CheckMeters());
  std::vector<absl::Status> loaded(kSeenShards);
  arena_.execute([&] {
    tbb::parallel_for(0, kSeenShards, [&](int shard) { loaded[shard] = book_.LoadSeen(shard, &seen_[shard]); });
  });
  for (const absl::Status& status : loaded) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

// Totals that are in the book cannot be counted otherwise afterwards, so a meter that has some keeps its definition.
absl::Status Absorber::CheckMeters() {
  absl::StatusOr<std::vector<Meter>> fixed = book_.Meters();
  if (!fixed.ok()) return fixed.status();
  for (const Meter& meter : *fixed) {
    fixed_meters_.push_back(meter.name);
    const Meter* now = catalog_.FindMeter(meter.name);
    if (now == nullptr) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is gone from the catalog", meter.name,
                       "put it back in meters.yaml");
    }
    Meter same = meter;
    same.unit = now->unit;                      // for people only
    same.allow_negative = now->allow_negative;  // says what is accepted from now on
    if (same != *now) {
      return MakeError(absl::StatusCode::kFailedPrecondition,
                       "a meter that the book has usage of is defined otherwise now", meter.name,
                       "put its type, aggregation, value, dimensions and granularity back in meters.yaml, and give the "
                       "new definition a new name");
    }
  }
  return absl::OkStatus();
}

// Reads the epoch's blocks in order and decodes them in parallel. Twice as many blocks as threads are in flight between
// the two, no more.
Works Absorber::DecodeEpoch(const NextBlock& next) {
  if (workers_ == nullptr) {
    workers_ = std::make_unique<tbb::enumerable_thread_specific<Worker>>([this] {
      return Worker{Decoders(), BlockDecoder(Measurer(catalog_, book_.identity(), series_))};
    });
  }
  Works works;
  uint64_t bytes = 0;
  const uint64_t events_before = events_.load(std::memory_order_relaxed);
  const auto start = std::chrono::steady_clock::now();
  const auto due = [&] {
    return bytes >= options_.epoch_bytes ||
           events_.load(std::memory_order_relaxed) - events_before >= options_.epoch_events ||
           (bytes > 0 && std::chrono::steady_clock::now() - start > std::chrono::milliseconds(options_.epoch_millis));
  };
  const auto read = [&](tbb::flow_control& control) -> BlockWork* {
    auto work = std::make_unique<BlockWork>();
    // An idle pipe gives empty blocks, so that what came before can be committed in time.
    do {
      if (due() || !next(work.get())) {
        control.stop();
        return nullptr;
      }
    } while (work->block.bytes == 0 && work->block.long_lines.empty());
    bytes += work->block.bytes;
    for (const Block::LongLine& cut : work->block.long_lines) bytes += cut.bytes;
    works.push_back(std::move(work));  // only here, one at a time; decoders hold pointers to the elements
    return works.back().get();
  };
  const auto decode = [&](BlockWork* work) {
    Worker& worker = workers_->local();
    worker.blocks.Decode(worker.decoders.For(work->from), work);
    events_.fetch_add(work->verdicts.size(), std::memory_order_relaxed);
  };
  arena_.execute([&] {
    const size_t in_flight = 2 * static_cast<size_t>(tbb::this_task_arena::max_concurrency());
    tbb::parallel_pipeline(in_flight, tbb::make_filter<void, BlockWork*>(tbb::filter_mode::serial_in_order, read) &
                                          tbb::make_filter<BlockWork*, void>(tbb::filter_mode::parallel, decode));
  });
  report_.bytes += bytes;
  return works;
}

// Each shard sees its identities in input order. A verdict is a byte of its own, so shards may write verdicts of one
// block side by side; they do so only for the few that are not fresh.
absl::Status Absorber::Deduplicate(Works& works) {
  std::vector<absl::Status> asked(kSeenShards);
  arena_.execute([&] {
    tbb::parallel_for(0, kSeenShards, [&](int shard) {
      SeenShard& seen = seen_[shard];
      asked[shard] = AskShard(works, shard);
      if (!asked[shard].ok()) return;
      for (const std::unique_ptr<BlockWork>& work : works) {
        const std::span<const Identity> identities = work->identities.of(shard);
        for (size_t i = 0; i < identities.size(); ++i) {
          if (i + kPrefetchAhead < identities.size()) seen.Prefetch(identities[i + kPrefetchAhead].entry);
          const Seen answer = seen.Insert(identities[i].entry);
          if (answer == Seen::kFresh) continue;
          work->verdicts[identities[i].event] = answer == Seen::kDuplicate ? Reason::kDuplicate : Reason::kConflict;
        }
      }
    });
  });
  for (const absl::Status& status : asked) TOLLBOOK_RETURN_IF_ERROR(status);
  return absl::OkStatus();
}

absl::Status Absorber::AskShard(const Works& works, int shard) {
  for (const std::unique_ptr<BlockWork>& work : works) {
    TOLLBOOK_RETURN_IF_ERROR(seen_[shard].Ask(work->identities.of(shard)));
  }
  return seen_[shard].Answer();
}

void Absorber::Accumulate(const Works& works, EpochCommit* epoch) {
  std::vector<std::string> runs(kTotalShards);
  std::vector<std::vector<bool>> used(kTotalShards, std::vector<bool>(catalog_.meters.size()));
  arena_.execute([&] {
    tbb::parallel_for(0, kTotalShards, [&](int shard) {
      CellTable& cells = cells_[shard];
      for (const std::unique_ptr<BlockWork>& work : works) {
        const std::span<const Measurement> measurements = work->measurements.of(shard);
        for (size_t i = 0; i < measurements.size(); ++i) {
          if (i + kPrefetchAhead < measurements.size()) cells.Prefetch(measurements[i + kPrefetchAhead]);
          const Measurement& m = measurements[i];
          if (work->verdicts[m.event] != Reason::kNone) continue;
          cells.Add(m);
        }
      }
      if (!cells.empty()) runs[shard] = cells.Pack(&used[shard]);
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

void Absorber::StartCommit(EpochCommit epoch, Works works) {
  std::vector<bool> spills(kSeenShards);
  for (const int shard : seen_budget_.Due(seen_)) {
    spills[shard] = true;
    epoch.spills.emplace_back(shard, &seen_[shard]);
  }
  for (int shard = 0; shard < kSeenShards; ++shard) {
    const std::span<const SeenEntry> fresh = seen_[shard].hot().uncommitted();
    if (!spills[shard] && !fresh.empty()) epoch.seen.emplace_back(shard, fresh);
  }
  ++report_.epochs;
  commit_ = std::async(std::launch::async, [this, epoch = std::move(epoch), works = std::move(works)]() mutable {
    const absl::Status status = book_.CommitEpoch(epoch);
    works.clear();  // the blocks go here, beside the next epoch's decoding
    return status;
  });
}

absl::Status Absorber::FinishCommit() {
  if (!commit_.valid()) return absl::OkStatus();
  const absl::Status status = commit_.get();
  if (status.ok()) {
    for (SeenShard& seen : seen_) seen.MarkCommitted();
  }
  return status;
}

// Collects an epoch's exceptions in input order, and cuts them into chunks.
class ExceptionCollector {
 public:
  void Add(const ExceptionRecord& record) {
    Part& part = OutcomeOf(record.reason) == Outcome::kHeld ? held_ : others_;
    part.records.push_back(record);
    part.bytes += record.payload.size() + 16;
    if (part.bytes >= kExceptionChunkBytes) Flush(&part);
  }
  std::vector<ExceptionChunk> Take() {
    Flush(&held_);
    Flush(&others_);
    return std::move(chunks_);
  }

 private:
  struct Part {
    std::vector<ExceptionRecord> records;
    size_t bytes = 0;
  };
  void Flush(Part* part) {
    if (part->records.empty()) return;
    chunks_.push_back({part == &held_, Encode(part->records)});
    *part = {};
  }
  Part held_;
  Part others_;
  std::vector<ExceptionChunk> chunks_;
};

std::string_view Excerpt(std::string_view line) {
  return line.substr(0, kPayloadBytes);
}

// Walks a block's events in input order, then the line that was cut out behind them, if any; counts how they ended and
// keeps what was not accepted.
class BlockJudge {
 public:
  BlockJudge(const BlockWork& work, uint64_t first_line, std::vector<uint64_t>* reasons, ExceptionCollector* exceptions)
      : work_(work), first_line_(first_line), reasons_(*reasons), exceptions_(*exceptions) {}

  LineCounts Judge() {
    for (uint32_t event = 0; event < work_.verdicts.size(); ++event) {
      Count(work_.verdicts[event]);
      if (work_.verdicts[event] != Reason::kNone) Keep(event);
    }
    const std::vector<Block::LongLine>& long_lines = work_.block.long_lines;
    for (size_t i = 0; i < long_lines.size(); ++i) {
      Count(Reason::kLineTooLong);
      const uint64_t line = first_line_ + work_.line_ends - long_lines.size() + i;
      exceptions_.Add({Reason::kLineTooLong, work_.block.file, line, long_lines[i].offset, 0, long_lines[i].excerpt});
    }
    return counts_;
  }

 private:
  void Count(Reason reason) {
    ++counts_.lines;
    ++counts_.of(OutcomeOf(reason));
    ++reasons_[static_cast<size_t>(reason)];
  }

  void Keep(uint32_t event) {
    const EventPlace& place = work_.places[event];
    ExceptionRecord record;
    record.reason = work_.verdicts[event];
    record.source = work_.block.file;
    record.line = first_line_ + place.line;
    record.offset = work_.block.offset + place.offset;
    record.part = place.part;
    if (OutcomeOf(record.reason) == Outcome::kHeld) {
      while (work_.held[next_held_].first != event) ++next_held_;
      record.payload = work_.held[next_held_].second;
    } else if (record.reason != Reason::kDuplicate) {
      record.payload = Excerpt({work_.block.data + place.offset, place.bytes});
    }
    exceptions_.Add(record);
  }

  const BlockWork& work_;
  const uint64_t first_line_;
  std::vector<uint64_t>& reasons_;
  ExceptionCollector& exceptions_;
  LineCounts counts_;
  size_t next_held_ = 0;
};

std::vector<std::pair<Reason, uint64_t>> ReasonCounts(const std::vector<uint64_t>& counts) {
  std::vector<std::pair<Reason, uint64_t>> reasons;
  for (size_t reason = 1; reason < counts.size(); ++reason) {
    if (counts[reason] > 0) reasons.emplace_back(static_cast<Reason>(reason), counts[reason]);
  }
  return reasons;
}

absl::StatusOr<AbsorbReport> Absorber::FromInputs(const InputList& inputs) {
  TOLLBOOK_RETURN_IF_ERROR(Prepare());
  absl::StatusOr<std::vector<SourceRecord>> known = book_.Sources();
  if (!known.ok()) return known.status();
  ReaderOptions reading;
  reading.block_bytes = options_.block_bytes;
  reading.line_bytes_max = options_.line_bytes_max;
  reading.idle_millis = static_cast<int>(std::min<int64_t>(options_.epoch_millis / 4, 500));
  SourceFeeder feeder(inputs, *std::move(known), FingerprintOf(catalog_), reading, options_.stop);
  const auto next = [&](BlockWork* work) {
    const bool more = feeder.Next(&work->block);
    if (more) work->from = feeder.current();
    if (options_.progress)
      options_.progress({feeder.bytes_read(), inputs.bytes, events_.load(std::memory_order_relaxed)});
    return more;
  };

  for (;;) {
    Works works = DecodeEpoch(next);
    // The entries of the epoch before are lent to its commit until here.
    TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
    const std::vector<uint32_t> touched = feeder.TakeTouched();
    if (works.empty() && touched.empty()) break;
    TOLLBOOK_RETURN_IF_ERROR(Deduplicate(works));
    EpochCommit epoch;
    Accumulate(works, &epoch);

    ExceptionCollector exceptions;
    for (const std::unique_ptr<BlockWork>& work : works) {
      SourceRecord& source = feeder.record(work->block.file);
      const LineCounts counts = BlockJudge(*work, source.lines + 1, &reasons_, &exceptions).Judge();
      if (epoch.covered.empty() || epoch.covered.back().source != source.id) {
        epoch.covered.push_back({source.id, work->block.offset, 0, source.lines + 1, 0});
      }
      source.lines += work->line_ends;
      source.counts += counts;
      epoch.delta += counts;
      epoch.covered.back().end_offset = work->block.offset + work->block.bytes;
      for (const Block::LongLine& cut : work->block.long_lines) epoch.covered.back().end_offset += cut.bytes;
      epoch.covered.back().end_line = source.lines + 1;
    }
    epoch.exceptions = exceptions.Take();
    for (const uint32_t source : touched) {
      if (epoch.sources.empty() || epoch.sources.back().id != source) epoch.sources.push_back(feeder.record(source));
    }
    report_.counts += epoch.delta;
    StartCommit(std::move(epoch), std::move(works));
  }
  TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
  report_.reasons = ReasonCounts(reasons_);
  report_.skipped = feeder.skipped();
  report_.left_out = inputs.left_out;
  report_.left_out.insert(report_.left_out.end(), feeder.left_out().begin(), feeder.left_out().end());
  report_.stopped = feeder.stopped();
  return std::move(report_);
}

// A held event is stored as one line of canonical JSON, so a chunk of them is a block of input. All of them are one
// epoch: what is held afterwards replaces what was held before in the same commit.
absl::StatusOr<AbsorbReport> Absorber::FromHeld() {
  TOLLBOOK_RETURN_IF_ERROR(Prepare());
  std::vector<StoredExceptions> chunks;
  TOLLBOOK_RETURN_IF_ERROR(book_.ForEachExceptions([&](const StoredExceptions& chunk) {
    if (chunk.held) chunks.push_back(chunk);
    return absl::OkStatus();
  }));
  if (chunks.empty()) return std::move(report_);

  std::vector<ExceptionRecord> records;  // in the order of their lines
  std::vector<size_t> block_starts;
  size_t next_chunk = 0;
  absl::Status damaged;
  const auto next = [&](BlockWork* work) {
    Block* block = &work->block;
    if (next_chunk == chunks.size()) return false;
    absl::StatusOr<std::vector<ExceptionRecord>> decoded = DecodeExceptions(chunks[next_chunk++].bytes);
    if (!decoded.ok()) {
      damaged = decoded.status();
      return false;
    }
    size_t bytes = 0;
    for (const ExceptionRecord& record : *decoded) bytes += record.payload.size() + 1;
    block->storage = AlignedBuffer(bytes + kLinePadding);
    block->data = block->storage.data();
    for (const ExceptionRecord& record : *decoded) {
      std::memcpy(block->data + block->bytes, record.payload.data(), record.payload.size());
      block->bytes += record.payload.size();
      block->data[block->bytes++] = '\n';
    }
    block_starts.push_back(records.size());
    records.insert(records.end(), decoded->begin(), decoded->end());
    return true;
  };
  Works works = DecodeEpoch(next);
  TOLLBOOK_RETURN_IF_ERROR(damaged);
  TOLLBOOK_RETURN_IF_ERROR(Deduplicate(works));
  EpochCommit epoch;
  epoch.retires_held = true;
  Accumulate(works, &epoch);

  absl::StatusOr<std::vector<SourceRecord>> sources = book_.Sources();
  if (!sources.ok()) return sources.status();
  std::vector<bool> changed(sources->size());
  // What this retry rejects was rejected under this catalog.
  for (SourceRecord& source : *sources) {
    if (source.counts.rejected == 0) source.catalog = FingerprintOf(catalog_);
  }
  ExceptionCollector exceptions;
  for (size_t i = 0; i < works.size(); ++i) {
    const BlockWork& work = *works[i];
    for (uint32_t event = 0; event < work.verdicts.size(); ++event) {
      ExceptionRecord record = records[block_starts[i] + event];
      record.reason = work.verdicts[event];
      const Outcome outcome = OutcomeOf(record.reason);
      LineCounts moved;
      moved.of(outcome) += 1;
      moved.held -= 1;
      epoch.delta += moved;
      (*sources)[record.source].counts += moved;
      changed[record.source] = true;
      ++reasons_[static_cast<size_t>(record.reason)];
      if (outcome == Outcome::kDuplicate) record.payload = {};
      if (outcome != Outcome::kHeld) record.payload = Excerpt(record.payload);
      if (outcome != Outcome::kAccepted) exceptions.Add(record);
      report_.counts.of(outcome) += 1;
      report_.counts.lines += 1;
    }
  }
  epoch.exceptions = exceptions.Take();
  for (size_t id = 0; id < changed.size(); ++id) {
    if (changed[id]) epoch.sources.push_back((*sources)[id]);
  }
  StartCommit(std::move(epoch), std::move(works));
  TOLLBOOK_RETURN_IF_ERROR(FinishCommit());
  report_.reasons = ReasonCounts(reasons_);
  return std::move(report_);
}

}  // namespace

absl::StatusOr<AbsorbReport> Absorb(Book& book, const Catalog& catalog, const InputList& inputs,
                                    const AbsorbOptions& options) {
  return Absorber(book, catalog, options).FromInputs(inputs);
}

absl::StatusOr<AbsorbReport> RetryHeld(Book& book, const Catalog& catalog, const AbsorbOptions& options) {
  AbsorbOptions one_epoch = options;
  one_epoch.epoch_bytes = UINT64_MAX;
  one_epoch.epoch_events = UINT64_MAX;
  one_epoch.epoch_millis = INT64_MAX / 1'000'000;
  return Absorber(book, catalog, one_epoch).FromHeld();
}

}  // namespace tollbook
