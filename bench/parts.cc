// The parts of the main job, each alone on one core, each with its answer checked. Items per second are events.
#include <benchmark/benchmark.h>

#include <filesystem>
#include <random>

#include "bench/bench_data.h"
#include "ledger/book.h"
#include "ledger/seen_set.h"
#include "pipeline/absorb.h"
#include "pipeline/block_work.h"
#include "pipeline/cell_table.h"
#include "pipeline/lines.h"
#include "pipeline/seal.h"
#include "rating/prepared_charge.h"
#include "rating/price.h"

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

// Lines to usage events.
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

// Decode, then identity, meters and routing to shards.
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
      measured += work.identities.items.size();
    }
    RequireEqual(measured, fixture.report.accepted + fixture.report.duplicate + fixture.report.conflict,
                 "measured events");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kEvents));
}
BENCHMARK(DecodeAndMeasure)->Unit(benchmark::kMillisecond);

// Fresh and repeated identities against a shard of the size that a book of 10 M events has.
void DedupProbe(benchmark::State& state) {
  constexpr size_t kKeys = 10'000'000 / kSeenShards;
  std::mt19937_64 random(7);
  std::vector<SeenEntry> entries(kKeys);
  for (SeenEntry& entry : entries) {
    const uint64_t key = random();
    entry = {static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key), static_cast<uint32_t>(random()), 1, 1};
  }
  for (auto _ : state) {
    SeenSet seen;
    uint64_t fresh = 0, duplicates = 0;
    for (size_t i = 0; i < kKeys; ++i) {
      if (i + 12 < kKeys) seen.Prefetch(entries[i + 12]);
      fresh += seen.Insert(entries[i]) == Seen::kFresh;
      if (i % 50 == 0) duplicates += seen.Insert(entries[i / 2]) == Seen::kDuplicate;
    }
    RequireEqual(fresh, kKeys, "fresh keys");
    RequireEqual(duplicates, (kKeys + 49) / 50, "duplicates");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kKeys));
}
BENCHMARK(DedupProbe)->Unit(benchmark::kMillisecond);

// Measurements to totals, and the totals packed.
void Accumulate(benchmark::State& state) {
  Fixture& fixture = Fixture::Get();
  const std::vector<std::unique_ptr<BlockWork>> works = fixture.Works();
  uint64_t measurements = 0;
  for (const auto& work : works) measurements += work->measurements.items.size();
  for (auto _ : state) {
    uint64_t packed_events = 0;
    for (int shard = 0; shard < kTotalShards; ++shard) {
      CellTable cells(fixture.catalog.meters, fixture.series);
      for (const auto& work : works) {
        for (const Measurement& m : work->measurements.of(shard)) {
          cells.Add(m);
        }
      }
      std::vector<bool> used(fixture.catalog.meters.size());
      const std::string run = cells.Pack(&used);
      TotalsRunReader reader(run);
      std::string_view subject;
      uint32_t count = 0;
      TotalCell cell;
      while (reader.NextSubject(&subject, &count)) {
        for (uint32_t i = 0; i < count && reader.NextCell(&cell); ++i) packed_events += cell.total.events;
      }
    }
    RequireEqual(packed_events, measurements, "events in the totals");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * measurements));
}
BENCHMARK(Accumulate)->Unit(benchmark::kMillisecond);

Charge ThreeTiers() {
  Charge charge;
  charge.name = "tokens";
  charge.model = ChargeModel::kGraduated;
  charge.included = Quantity::Units(1000);
  charge.tiers = {{Quantity::Units(10'000), {4'000'000'000'000}, {}},
                  {Quantity::Units(50'000), {3'200'000'000'000}, {}},
                  {std::nullopt, {2'400'000'000'000}, {}}};
  return charge;
}

// A graduated charge of three tiers: quantity to exact worth to cents, as a seal does it for each day.
void Rate(benchmark::State& state) {
  const Charge charge = ThreeTiers();
  const Currency usd = *Currency::FromCode("USD");
  const PreparedCharge prepared(charge);
  constexpr int64_t kQuantities = 100'000;
  for (auto _ : state) {
    Int128 cents = 0;
    for (int64_t i = 0; i < kQuantities; ++i) {
      Worth worth;
      Rounded rounded;
      const bool fits =
          prepared.Price(Quantity::Units(123'456 + i), &worth) && RoundToMinor(worth, usd, Rounding::kHalfUp, &rounded);
      if (!fits) Die("a worth that does not fit");
      cents += rounded.line.minor;
    }
    // 0.3418944 and 0.0000024 more for each unit, each in whole cents.
    RequireEqual(static_cast<uint64_t>(cents), 4'618'936, "cents");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kQuantities);
}
BENCHMARK(Rate)->Unit(benchmark::kMillisecond);

// The plain twin of Rate: tier by tier, with the words of an error at hand.
void RateInSteps(benchmark::State& state) {
  const Charge charge = ThreeTiers();
  const Currency usd = *Currency::FromCode("USD");
  for (auto _ : state) {
    const Worth worth = Require(PriceQuantity(charge, Quantity::Units(123'456)));
    const Rounded rounded = Require(RoundToMinor(worth, usd, Rounding::kHalfUp));
    // 10,000 * 0.000004 + 40,000 * 0.0000032 + 72,456 * 0.0000024 = 0.3418944
    RequireEqual(static_cast<uint64_t>(rounded.line.minor), 34, "cents");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(RateInSteps);

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
    const SealReport sealed = Require(tollbook::Seal(*book, fixture.catalog, {.threads = 1}));
    RequireEqual(sealed.unattributed_events, fixture.report.unattributed, "unattributed events");
    RequireEqual(sealed.not_rated.size(), 0, "subjects that were set aside");
    differences += sealed.differences;
  }
  std::filesystem::remove_all(directory);
  state.SetItemsProcessed(static_cast<int64_t>(differences));
}
BENCHMARK(Seal)->Unit(benchmark::kMillisecond);

// One epoch's worth of keys and totals, committed and synced.
void Commit(benchmark::State& state) {
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("tollbook-bench-commit-" + std::to_string(getpid()))).string();
  std::filesystem::remove_all(directory);
  constexpr uint64_t kKeys = 400'000;
  {
    BookOptions options;
    options.directory = directory;
    options.create = true;
    options.identity = {kFormatVersion, "bench", "UTC", {1, 2}};
    const std::unique_ptr<Book> book = Require(Book::Open(options));
    const std::vector<SeenEntry> keys(kKeys / kSeenShards, SeenEntry{1, 2, 3, 4, 5});
    uint64_t epochs = 0;
    for (auto _ : state) {
      EpochCommit epoch;
      epoch.delta.lines = epoch.delta.accepted = keys.size() * kSeenShards;
      for (int shard = 0; shard < kSeenShards; ++shard) epoch.seen.emplace_back(shard, keys);
      for (int shard = 0; shard < kTotalShards; ++shard) epoch.totals.push_back({shard, std::string(64 << 10, 'x')});
      Require(book->CommitEpoch(epoch));
      ++epochs;
    }
    RequireEqual(book->last_sequence(), epochs, "commits");
    RequireEqual(book->counts().accepted, epochs * keys.size() * kSeenShards, "accepted");
  }
  std::filesystem::remove_all(directory);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * kKeys));
}
BENCHMARK(Commit)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tollbook::bench

BENCHMARK_MAIN();
