// The hashes of an event and its series, alone, as Measurer::MeasureSlots goes about them: who it is, what it says, and
// which series its dimensions name. Beside `DecodeLayouts` and this one, `DecodeAndMeasure` reads times and quantities,
// writes measurements and sorts them to shards.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "bench/bench_data.h"
#include "pipeline/decode.h"
#include "pipeline/event_hash.h"
#include "pipeline/lines.h"
#include "pipeline/measure.h"
#include "pipeline/series.h"
#include "pipeline/series_memo.h"

namespace tollbook::bench {
namespace {

constexpr uint64_t kEvents = 200'000;
constexpr size_t kBlockBytes = 128 << 10;  // what is hashed was just decoded: it is in the second-level cache

// What one meter takes from an event.
struct Dimension {
  std::string_view text;  // kScanAhead bytes may be read
  bool is_number = false;
};
struct Metered {
  uint32_t meter = 0;
  uint32_t series = 0;  // the answer
  Quantity value;
  DimensionValues values;
  std::vector<Dimension> dimensions;
};

struct Decoded {
  std::string_view id, source, subject;
  Instant time;
  uint64_t type_hash = 0;
  uint32_t metered_begin = 0, metered_end = 0;
  SeenEntry identity;  // the answer
};

struct DecodedBlock {
  Block block;
  std::vector<Decoded> events;
  std::vector<Metered> metered;
  Arena arena;
};

// All that the timed part needs, and what it must come to, from the general way.
class HashFixture {
 public:
  static HashFixture& Get() {
    static HashFixture fixture;
    return fixture;
  }

  const BookIdentity identity{kFormatVersion, "bench", "UTC", {1, 2}};
  GenerateReport report;
  const Catalog catalog;
  SeriesTable series{identity.seed[1]};
  std::vector<DecodedBlock> blocks;
  uint64_t events = 0;

 private:
  HashFixture() : HashFixture(OptionsFor(kEvents)) {}
  explicit HashFixture(const GenerateOptions& options) : catalog(CatalogOf(options)) {
    Measurer measurer(catalog, identity, series);
    const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
    std::vector<DecodedEvent> decoded;
    for (Block& block : Blocks(Telemetry(options, &report), kBlockBytes)) {
      blocks.emplace_back().block = std::move(block);
      DecodedBlock& into = blocks.back();
      ForEachLine(into.block, [&](const BlockLine& line) {
        decoded.clear();
        decoder->Decode(line.text, 0, into.arena, decoded);
        if (decoded[0].reason == Reason::kNone) Add(decoded[0].event, measurer, &into);
      });
      events += into.events.size();
    }
  }

  void Add(const UsageEvent& event, Measurer& measurer, DecodedBlock* into) {
    std::vector<Measurement> measured;
    Decoded one{event.id, event.source, event.subject, event.time, HashEventType(event.type, identity.seed), 0, 0, {}};
    if (measurer.Measure(event, into->arena, &one.identity, &measured) != Reason::kNone) return;
    one.metered_begin = static_cast<uint32_t>(into->metered.size());
    for (const Measurement& m : measured) {
      const Series& of = series.at(m.series);
      into->metered.push_back({of.meter, m.series, m.value, of.dimension_values, {}});
      for (const std::string& name : catalog.meters[of.meter].dimensions)
        into->metered.back().dimensions.push_back(DimensionOf(event, name, &into->arena));
    }
    one.metered_end = static_cast<uint32_t>(into->metered.size());
    into->events.push_back(one);
  }

  static Dimension DimensionOf(const UsageEvent& event, std::string_view name, Arena* arena) {
    Dimension dimension;
    for (const Property& property : event.data) {
      if (property.name == name) dimension = {property.text, property.kind == Property::Kind::kNumber};
    }
    char* const padded = arena->Allocate(dimension.text.size() + kScanAhead);
    std::memcpy(padded, dimension.text.data(), dimension.text.size());
    dimension.text = {padded, dimension.text.size()};
    return dimension;
  }
};

// One thread's way from texts to numbers.
class Hasher {
 public:
  Hasher(const Catalog& catalog, const BookIdentity& identity, SeriesTable& series)
      : seeds_(identity.seed), cache_(series), memos_(catalog.meters.size()) {}

  SeenEntry Hash(const Decoded& event, const std::vector<Metered>& metered, uint32_t* series) {
    const SubjectHash subject = HashSubject(event.subject, seeds_[0]);
    EventContent content(event.time, subject, event.type_hash, seeds_[0]);
    for (uint32_t i = event.metered_begin; i < event.metered_end; ++i) {
      const SeriesMemo::Known known = SeriesOf(metered[i]);
      series[i] = known.id;
      content.Add(metered[i].value, known.dimensions_hash);
    }
    return EventIdentity(event.source, event.id, content.hash(), seeds_);
  }

 private:
  SeriesMemo::Known SeriesOf(const Metered& metered) {
    SeriesMemo::Key key(cache_.generation());
    for (const Dimension& dimension : metered.dimensions) key.Add(dimension.text, dimension.is_number);
    SeriesMemo::Entry* const entry = memos_[metered.meter].Find(key);
    if (entry != nullptr && entry->Is(key)) return entry->series;
    const Series& found = cache_.Find(metered.meter, metered.values);
    const SeriesMemo::Known known{found.id, found.dimensions_hash};
    if (entry != nullptr) entry->Set(key, known);
    return known;
  }

  const std::array<uint64_t, 2> seeds_;
  SeriesCache cache_;
  std::vector<SeriesMemo> memos_;  // by meter
};

void Hash(benchmark::State& state) {
  HashFixture& fixture = HashFixture::Get();
  RequireEqual(fixture.events, fixture.report.accepted + fixture.report.duplicate + fixture.report.conflict,
               "events to hash");
  Hasher hasher(fixture.catalog, fixture.identity, fixture.series);
  std::vector<SeenEntry> identities;
  std::vector<uint32_t> series;
  for (auto _ : state) {
    for (const DecodedBlock& block : fixture.blocks) {
      state.PauseTiming();
      identities.resize(block.events.size());
      series.assign(block.metered.size(), UINT32_MAX);
      const std::string_view text(block.block.data, block.block.bytes);
      benchmark::DoNotOptimize(std::count(text.begin(), text.end(), '\n'));  // as if it had just been decoded
      state.ResumeTiming();
      for (size_t i = 0; i < block.events.size(); ++i)
        identities[i] = hasher.Hash(block.events[i], block.metered, series.data());
      state.PauseTiming();
      for (size_t i = 0; i < block.events.size(); ++i) {
        if (identities[i] != block.events[i].identity) Die("an identity is not the one that Measurer gives");
      }
      for (size_t i = 0; i < block.metered.size(); ++i) RequireEqual(series[i], block.metered[i].series, "a series");
      state.ResumeTiming();
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * fixture.events));
}
BENCHMARK(Hash)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tollbook::bench
