// The parts of the main job, each alone on one core, each with its answer checked. Items per second are events.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "bench/bench_data.h"
#include "ledger/book.h"
#include "ledger/cut_off.h"
#include "ledger/seen_budget.h"
#include "ledger/seen_set.h"
#include "ledger/seen_shard.h"
#include "ledger/totals_cells.h"
#include "pipeline/absorb.h"
#include "pipeline/aligned_buffer.h"
#include "pipeline/block_work.h"
#include "pipeline/cell_table.h"
#include "pipeline/lines.h"
#include "pipeline/seal.h"
#include "pipeline/subject_worth.h"

namespace tollbook::bench {
namespace {

constexpr uint64_t kEvents = 200'000;
constexpr size_t kBlockBytes = 2 << 20;

// Made once; all parts look at the same telemetry.
struct Fixture {
  GenerateOptions options = OptionsFor(kEvents);
  GenerateReport report;
  std::string telemetry = Telemetry(options, &report);
  Catalog catalog = CatalogOf(options);
  BookIdentity identity{kFormatVersion, "bench", "UTC", {1, 2}};

  static Fixture& Get() {
    static Fixture fixture;
    return fixture;
  }
  SeriesTable series{identity.seed[1]};

  BlockDecoder NewBlockDecoder() { return BlockDecoder(Measurer(catalog, identity, series)); }
  std::vector<std::unique_ptr<BlockWork>> Works() {
    std::vector<std::unique_ptr<BlockWork>> works;
    const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
    BlockDecoder blocks = NewBlockDecoder();
    for (Block& block : Blocks(telemetry, kBlockBytes)) {
      works.push_back(std::make_unique<BlockWork>());
      works.back()->block = std::move(block);
      blocks.Decode(*decoder, works.back().get());
    }
    return works;
  }
};

// A directory of its own, gone with it.
struct BenchDirectory {
  BenchDirectory()
      : path((std::filesystem::temp_directory_path() / ("tollbook-bench-" + std::to_string(getpid()))).string()) {
    std::filesystem::remove_all(path);
  }
  ~BenchDirectory() { std::filesystem::remove_all(path); }
  const std::string path;
};

// A file in the page cache to blocks of whole lines: read, cut, digest of the content; the block's memory used again.
void Read(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  InputFile file;
  file.path = (std::filesystem::temp_directory_path() / ("tollbook-bench-read-" + std::to_string(getpid()))).string();
  file.bytes = fixture.telemetry.size();
  file.regular = true;
  std::ofstream(file.path, std::ios::binary) << fixture.telemetry;
  ReaderOptions options;
  options.block_bytes = AbsorbOptions().block_bytes;
  Block block;
  for (auto _ : state) {
    const std::unique_ptr<BlockReader> reader = Require(BlockReader::Open(file, options));
    uint64_t bytes = 0;
    while (Require(reader->Next(&block))) bytes += block.bytes;
    RequireEqual(bytes, file.bytes, "bytes read");
  }
  std::filesystem::remove(file.path);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * file.bytes));
}
BENCHMARK(Read)->Unit(benchmark::kMillisecond);

// The same file in pieces of a megabyte into one buffer and no more, which begins so many bytes into a page: what
// AlignedBuffer is for.
void ReadInto(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  const BenchDirectory directory;
  std::filesystem::create_directory(directory.path);
  const std::string path = directory.path + "/usage.ndjson";
  std::ofstream(path, std::ios::binary) << fixture.telemetry;
  const int file = open(path.c_str(), O_RDONLY);
  if (file < 0) Die("cannot read " + path);
  constexpr size_t kPiece = 1 << 20;
  const auto skipped = static_cast<size_t>(state.range(0));
  const AlignedBuffer buffer(kPiece + skipped);
  for (auto _ : state) {
    uint64_t bytes = 0;
    for (ssize_t got; (got = pread(file, buffer.data() + skipped, kPiece, static_cast<off_t>(bytes))) > 0;)
      bytes += static_cast<uint64_t>(got);
    RequireEqual(bytes, fixture.telemetry.size(), "bytes read");
  }
  close(file);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * fixture.telemetry.size()));
}
BENCHMARK(ReadInto)->Unit(benchmark::kMillisecond)->Arg(0)->Arg(16);

// Lines to usage events, each parsed: the general decoder.
void Decode(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  std::vector<Block> blocks = Blocks(fixture.telemetry, kBlockBytes);
  const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  std::vector<DecodedEvent> events;
  for (auto _ : state) {
    uint64_t well_formed = 0;
    for (Block& block : blocks) {
      block.arena.Clear();
      ForEachLine(block, [&](const BlockLine& line) {
        events.clear();
        decoder->Decode(line.text, 0, block.arena, events);
        well_formed += events[0].reason == Reason::kNone;
      });
    }
    RequireEqual(well_formed >= fixture.report.accepted + fixture.report.duplicate, 1, "well-formed lines");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * fixture.telemetry.size()));
}
BENCHMARK(Decode)->Unit(benchmark::kMillisecond);

// Lines taken apart by the layouts that they share, every byte checked; those that match none are not decoded here.
void DecodeLayouts(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  std::vector<Block> blocks = Blocks(fixture.telemetry, kBlockBytes);
  const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  LayoutTree layouts;
  Slots slots;
  Arena arena;
  const auto match = [&](const Block& block, const BlockLine& line, const char** behind) {
    return layouts.Match(block.data + line.offset, block.data + block.bytes, arena, &slots, behind) >= 0;
  };
  std::vector<DecodedEvent> events;
  const auto learn = [&](const Block& block, const BlockLine& line) {
    const char* behind = nullptr;
    events.clear();
    if (match(block, line, &behind)) return;
    decoder->Decode(line.text, 0, arena, events);
    if (events[0].reason != Reason::kNone) return;
    const auto shape = ShapeOf({line.text.data(), line.text.size() + 1}, events[0].event);
    if (shape) layouts.Add(*shape);
  };
  for (const Block& block : blocks) ForEachLine(block, [&](const BlockLine& line) { learn(block, line); });
  for (auto _ : state) {
    uint64_t matched = 0;
    for (const Block& block : blocks) {
      layouts.ForgiveGuesses();
      BlockLine line;
      while (line.offset < block.bytes) {
        const char* behind = nullptr;
        const bool is_like = match(block, line, &behind);
        matched += is_like;
        GoToNextLine(is_like ? static_cast<size_t>(behind - block.data) - line.offset : FindLineEnd(block, &line),
                     &line);
      }
    }
    RequireEqual(matched >= kEvents * 99 / 100, 1, "lines that match a layout");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * fixture.telemetry.size()));
}
BENCHMARK(DecodeLayouts)->Unit(benchmark::kMillisecond);

// Decode, by layouts where lines match them, then identity, meters and routing to shards.
void DecodeAndMeasure(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<Block> blocks = Blocks(fixture.telemetry, kBlockBytes);
    BlockDecoder decode = fixture.NewBlockDecoder();
    state.ResumeTiming();
    uint64_t measured = 0;
    for (Block& block : blocks) {
      BlockWork work;
      work.block = std::move(block);
      decode.Decode(*decoder, &work);
      measured += work.identities.all().size();
    }
    RequireEqual(decode.matched() >= kEvents * 99 / 100, 1, "events that a layout decoded");
    RequireEqual(measured, fixture.report.accepted + fixture.report.duplicate + fixture.report.conflict,
                 "measured events");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
}
BENCHMARK(DecodeAndMeasure)->Unit(benchmark::kMillisecond);

std::vector<SeenEntry> RandomEntries(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<SeenEntry> entries(count);
  for (SeenEntry& entry : entries) {
    const uint64_t key = random();
    // All of shard 0, as a shard has them.
    entry = {static_cast<uint32_t>(key >> 32) >> kSeenShardBits, static_cast<uint32_t>(key),
             static_cast<uint32_t>(random()), 1, 1};
  }
  return entries;
}

constexpr size_t kAhead = 24;  // as Absorb has it (kPrefetchAhead)

// Fresh and repeated identities against a shard of the size that a book of so many million events has, all in memory.
// `ahead`: whose slot is fetched while another is looked at; 0: none, the plain way.
void ProbeInMemory(benchmark::State& state, size_t ahead) {
  const size_t keys = static_cast<size_t>(state.range(0)) * 1'000'000 / kSeenShards;
  const std::vector<SeenEntry> entries = RandomEntries(keys, 7);
  for (auto _ : state) {
    SeenSet seen;
    uint64_t fresh = 0, duplicates = 0;
    for (size_t i = 0; i < keys; ++i) {
      if (ahead != 0 && i + ahead < keys) seen.Prefetch(entries[i + ahead]);
      fresh += seen.Insert(entries[i]) == Seen::kFresh;
      if (i % 50 == 0) duplicates += seen.Insert(entries[i / 2]) == Seen::kDuplicate;
    }
    RequireEqual(fresh, keys, "fresh keys");
    RequireEqual(duplicates, (keys + 49) / 50, "duplicates");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * keys));
}

void DedupProbe(benchmark::State& state) {
  ProbeInMemory(state, kAhead);
}
BENCHMARK(DedupProbe)->Unit(benchmark::kMillisecond)->Arg(10)->Arg(100);

void DedupProbeUnfetched(benchmark::State& state) {
  ProbeInMemory(state, 0);
}
BENCHMARK(DedupProbeUnfetched)->Unit(benchmark::kMillisecond)->Arg(10)->Arg(100);

struct Asked {
  SeenEntry entry;
};

std::unique_ptr<Book> NewBook(const std::string& directory) {
  BookOptions options;
  options.directory = directory;
  options.create = true;
  options.identity = {kFormatVersion, "bench", "UTC", {1, 2}};
  return Require(Book::Open(options));
}

// The same against a shard all of whose entries are in runs: so many events in all, spilled in three parts. An epoch's
// share of the shard is 2,000; one in `state.range(1)` is in a run (0: none).
void DedupProbeCold(benchmark::State& state) {
  const size_t keys = static_cast<size_t>(state.range(0)) * 1'000'000 / kSeenShards;
  constexpr size_t kAsked = 2000;
  const BenchDirectory directory;
  const std::unique_ptr<Book> book = NewBook(directory.path);
  SeenShard shard;
  std::vector<SeenEntry> known;
  for (uint64_t part = 0; part < 3; ++part) {
    known = RandomEntries(part == 0 ? keys * 6 / 10 : keys * 2 / 10, 100 + part);
    for (const SeenEntry& entry : known) (void)shard.Insert(entry);
    EpochCommit epoch;
    epoch.spills = {{0, &shard}};
    Require(book->CommitEpoch(epoch));
  }
  RequireEqual(shard.runs().size(), 3, "runs");
  uint64_t seed = 1000;
  for (auto _ : state) {
    state.PauseTiming();
    if (shard.hot().size() > keys / 10) *shard.mutable_hot() = SeenSet();
    std::vector<Asked> asked;
    uint64_t expected = 0;
    for (const SeenEntry& entry : RandomEntries(kAsked, seed++)) {
      const bool again = state.range(1) > 0 && asked.size() % static_cast<size_t>(state.range(1)) == 0;
      expected += again;
      asked.push_back({again ? known[(asked.size() * 7919) % known.size()] : entry});
    }
    state.ResumeTiming();
    uint64_t duplicates = 0;
    Require(shard.Ask(std::span<const Asked>(asked)));
    Require(shard.Answer());
    for (size_t i = 0; i < asked.size(); ++i) {
      if (i + kAhead < asked.size()) shard.Prefetch(asked[i + kAhead].entry);
      duplicates += shard.Insert(asked[i].entry) == Seen::kDuplicate;
    }
    RequireEqual(duplicates, expected, "duplicates");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kAsked));
}
BENCHMARK(DedupProbeCold)
    ->Unit(benchmark::kMicrosecond)
    ->Args({10, 0})
    ->Args({100, 0})
    ->Args({100, 50})
    ->Args({100, 2});

// A hot set of so many thousand entries sorted, packed, written and synced as a run.
void Spill(benchmark::State& state) {
  const BenchDirectory directory;
  const std::unique_ptr<Book> book = NewBook(directory.path);
  const auto keys = static_cast<size_t>(state.range(0)) * 1000;
  uint64_t seed = 1;
  for (auto _ : state) {
    state.PauseTiming();
    SeenShard shard;
    for (const SeenEntry& entry : RandomEntries(keys, seed++)) (void)shard.Insert(entry);
    EpochCommit epoch;
    epoch.spills = {{0, &shard}};
    state.ResumeTiming();
    Require(book->CommitEpoch(epoch));
    state.PauseTiming();
    RequireEqual(shard.runs().at(0)->size(), keys, "entries in the run");
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * keys));
}
BENCHMARK(Spill)->Unit(benchmark::kMillisecond)->Arg(30)->Arg(800);

// Measurements to totals, and the totals packed. `in_line`: as the job does it, each step of some measurements while
// the next step of others is fetched; else one measurement after the other, the plain way.
void AddUp(benchmark::State& state, bool in_line) {
  Fixture& fixture = Fixture::Get();
  const std::vector<std::unique_ptr<BlockWork>> works = fixture.Works();
  uint64_t measurements = 0;
  for (const auto& work : works) measurements += work->measurements.size();
  for (auto _ : state) {
    uint64_t packed_events = 0;
    for (int shard = 0; shard < kTotalShards; ++shard) {
      CellTable cells(fixture.catalog.meters, fixture.series);
      for (const auto& work : works) {
        const std::span<const uint32_t> chosen = work->measurements_of.of(shard);
        if (in_line) {
          cells.Add(work->measurements, chosen, work->verdicts);
          continue;
        }
        for (const uint32_t& one : chosen) {
          cells.Add(work->measurements, {&one, 1}, work->verdicts);
          cells.EndRound();
        }
      }
      cells.EndRound();
      CellTable::SeriesRanks ranks;
      std::vector<bool> used(fixture.catalog.meters.size());
      const std::string run = cells.Pack(&ranks, &used);
      TotalsRunReader reader(run);
      const std::vector<RunSeries> series = reader.run_series();
      const auto count = [&](uint32_t, Bucket, const UsageTotal& total, CellRole) { packed_events += total.events; };
      std::string_view subject;
      SubjectCells subject_cells;
      while (reader.NextSubject(&subject, &subject_cells)) {
        RequireEqual(ForEachCell(subject_cells, series, count), 1, "sound cells");
      }
    }
    RequireEqual(packed_events, measurements, "events in the totals");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * measurements));
}

void Accumulate(benchmark::State& state) {
  AddUp(state, true);
}
BENCHMARK(Accumulate)->Unit(benchmark::kMillisecond);

void AccumulateOneByOne(benchmark::State& state) {
  AddUp(state, false);
}
BENCHMARK(AccumulateOneByOne)->Unit(benchmark::kMillisecond);

// The totals of the telemetry to differences, journal and one synced write; an item is a difference.
void Seal(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("tollbook-bench-seal-" + std::to_string(getpid()))).string();
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  WriteTelemetry(fixture.options, directory + "/usage.ndjson");
  const InputList inputs = Require(FindInputs({directory + "/usage.ndjson"}, {}));
  uint64_t differences = 0;
  uint64_t rounds = 0;
  for (auto _ : state) {
    state.PauseTiming();
    BookOptions options;
    options.directory = directory + "/book-" + std::to_string(rounds++);
    options.create = true;
    options.identity = fixture.identity;
    const std::unique_ptr<Book> book = Require(Book::Open(options));
    const AbsorbReport absorbed = Require(Absorb(*book, fixture.catalog, inputs, {}));
    RequireEqual(absorbed.counts.accepted, fixture.report.accepted, "accepted");
    state.ResumeTiming();
    const SealReport sealed = Require(tollbook::Seal(*book, fixture.catalog, {1, std::nullopt}));
    RequireEqual(sealed.unattributed_events, fixture.report.unattributed, "unattributed events");
    RequireEqual(sealed.not_rated.size(), 0, "subjects that were set aside");
    differences += sealed.differences;
  }
  std::filesystem::remove_all(directory);
  state.SetItemsProcessed(static_cast<int64_t>(differences));
}
BENCHMARK(Seal)->Unit(benchmark::kMillisecond);

uint64_t BytesOnDisk(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    struct stat facts = {};
    if (stat(entry.path().c_str(), &facts) == 0) bytes += static_cast<uint64_t>(facts.st_blocks) * 512;
  }
  return bytes;
}

// A book of nothing but fresh seen events, many times what memory may hold: dedup, spills, merges and commits on one
// thread; then it is opened again, and the first half of its year is forgotten. $TOLLBOOK_BENCH_SEEN_MILLIONS of them
// (4), $TOLLBOOK_BENCH_SEEN_MB of memory (16), kept apart by $TOLLBOOK_BENCH_SEEN_SPAN days (0: not).
void SeenGrowth(benchmark::State& state) {
  const auto setting = [](const char* name, uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::stoull(text);
  };
  const uint64_t events = setting("TOLLBOOK_BENCH_SEEN_MILLIONS", 4) * 1'000'000;
  const SeenBudget budget(setting("TOLLBOOK_BENCH_SEEN_MB", 16) << 20);
  const auto span_days = static_cast<int>(setting("TOLLBOOK_BENCH_SEEN_SPAN", 0));
  constexpr uint64_t kEpoch = 500'000;
  constexpr int32_t kYearDays = 360;
  for (auto _ : state) {
    const BenchDirectory directory;
    size_t runs_max = 0;
    {
      const std::unique_ptr<Book> book = NewBook(directory.path);
      std::vector<SeenShard> shards(kSeenShards);
      std::mt19937_64 random(1);
      std::vector<std::vector<Asked>> asked(kSeenShards);
      for (uint64_t done = 0; done < events; done += kEpoch) {
        for (std::vector<Asked>& items : asked) items.clear();
        for (uint64_t i = 0; i < kEpoch; ++i) {
          const uint64_t high = random(), low = random();
          const SeenEntry entry = {static_cast<uint32_t>(high >> 32), static_cast<uint32_t>(high),
                                   static_cast<uint32_t>(low >> 32), static_cast<uint32_t>(low), 1};
          asked[SeenShardOf(entry)].push_back({entry});
        }
        const Day date{static_cast<int32_t>(done * kYearDays / events)};
        EpochCommit epoch;
        epoch.seen_span_days = span_days;
        epoch.delta.lines = epoch.delta.accepted = kEpoch;
        uint64_t fresh = 0;
        for (int shard = 0; shard < kSeenShards; ++shard) {
          const std::span<const Asked> items = asked[shard];
          Require(shards[shard].Ask(items));
          Require(shards[shard].Answer());
          for (size_t i = 0; i < items.size(); ++i) {
            if (i + kAhead < items.size()) shards[shard].Prefetch(items[i + kAhead].entry);
            fresh += shards[shard].Insert(items[i].entry, date) == Seen::kFresh;
          }
        }
        RequireEqual(fresh, kEpoch, "fresh events");
        const std::vector<int> due = budget.Due(shards, book->last_sequence() + 1);
        for (const int shard : due) epoch.spills.emplace_back(shard, &shards[shard]);
        for (int shard = 0; shard < kSeenShards; ++shard) {
          if (!std::binary_search(due.begin(), due.end(), shard))
            epoch.seen.push_back({shard, shards[shard].hot().uncommitted(), shards[shard].latest_fresh()});
        }
        Require(book->CommitEpoch(epoch));
        for (SeenShard& shard : shards) shard.MarkCommitted();
      }
      size_t memory = 0;
      for (const SeenShard& shard : shards) {
        runs_max = std::max(runs_max, shard.runs().size());
        memory += shard.hot().bytes_in_memory() + shard.runs_in_memory_bytes();
      }
      state.counters["memory_bytes_each"] = static_cast<double>(memory) / static_cast<double>(events);
    }
    state.counters["runs_max"] = static_cast<double>(runs_max);
    state.counters["disk_bytes_each"] = static_cast<double>(BytesOnDisk(directory.path)) / static_cast<double>(events);
    const auto start = std::chrono::steady_clock::now();
    BookOptions options;
    options.directory = directory.path;
    const std::unique_ptr<Book> book = Require(Book::Open(options));
    std::vector<SeenShard> shards(kSeenShards);
    for (int shard = 0; shard < kSeenShards; ++shard) Require(book->LoadSeen(shard, &shards[shard]));
    state.counters["open_seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    shards.clear();
    const uint64_t before = BytesOnDisk(directory.path + "/seen");
    const auto forgetting = std::chrono::steady_clock::now();
    const ForgetReport report = Require(ForgetKeys(*book, {{kYearDays / 2}, "bench", "half a year is over", ""}));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - forgetting).count();
    uint64_t kept = 0;
    for (const auto& [latest, of_date] : KeptKeys(*book)) kept += of_date.entries;
    RequireEqual(kept + report.keys, events, "keys kept and forgotten");
    state.counters["forget_seconds"] = seconds;
    state.counters["forgotten"] = static_cast<double>(report.keys) / static_cast<double>(events);
    state.counters["disk_given_back"] =
        1 - static_cast<double>(BytesOnDisk(directory.path + "/seen")) / static_cast<double>(before);
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * events));
}
BENCHMARK(SeenGrowth)->Unit(benchmark::kSecond)->Iterations(1);

// So many events' worth of keys and totals, committed and synced.
void Commit(benchmark::State& state) {
  const BenchDirectory directory;
  const auto events = static_cast<uint64_t>(state.range(0));
  const std::unique_ptr<Book> book = NewBook(directory.path);
  const std::vector<SeenEntry> keys(events / kSeenShards, SeenEntry{1, 2, 3, 4, 5});
  const size_t totals_bytes = events * 10 / kTotalShards;
  uint64_t epochs = 0;
  for (auto _ : state) {
    EpochCommit epoch;
    epoch.delta.lines = epoch.delta.accepted = keys.size() * kSeenShards;
    for (int shard = 0; shard < kSeenShards; ++shard) epoch.seen.emplace_back(shard, keys);
    for (int shard = 0; shard < kTotalShards; ++shard) epoch.totals.push_back({shard, std::string(totals_bytes, 'x')});
    Require(book->CommitEpoch(epoch));
    ++epochs;
  }
  RequireEqual(book->last_sequence(), epochs, "commits");
  RequireEqual(book->counts().accepted, epochs * keys.size() * kSeenShards, "accepted");
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * events));
}
BENCHMARK(Commit)->Unit(benchmark::kMillisecond)->Arg(10'000)->Arg(400'000)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
}  // namespace tollbook::bench

BENCHMARK_MAIN();
