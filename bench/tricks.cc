// Each trick of the hot path beside its plain twin: the same generated telemetry, the same answer, and how many
// instructions either takes: bench/tricks.py runs this under callgrind, which counts within tollbook_bench_measured().
//
// usage: bench_tricks [EVENTS]. Prints one JSON object for each trick: its name, its file, items, and what an item is.
// Ends with an error when a trick has another answer than its twin.
#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bench/bench_data.h"
#include "ledger/totals_run.h"
#include "pipeline/csv_cells.h"
#include "pipeline/decode.h"
#include "pipeline/escape_run.h"
#include "pipeline/exact_product.h"
#include "pipeline/hash_order.h"
#include "pipeline/layout.h"
#include "pipeline/layout_scan.h"
#include "pipeline/layout_values.h"
#include "pipeline/lines.h"
#include "pipeline/series.h"
#include "pipeline/series_memo.h"

namespace tollbook::bench {
namespace {

constexpr uint64_t kSeed = 7;
constexpr size_t kTextMax = 4096;  // of the strings of a line

// A step of a literal: what stands in the line, what should.
struct LiteralStep {
  const char* at;
  const char* literal;
  uint64_t mask;
};
struct Number {
  std::string_view text;
  uint32_t whole = 0;  // digits before the point
};
struct Dimensions {
  uint32_t meter = 0;
  std::vector<std::string_view> values;
};
struct Sorted {
  uint64_t hash;
  uint32_t number;
};

// Telemetry taken apart by the general way, once: what the tricks are given.
class Inputs {
 public:
  explicit Inputs(const GenerateOptions& options) : catalog(CatalogOf(options)) {
    blocks = Blocks(Telemetry(options, &report), size_t{2} << 20);
    for (Block& block : blocks) ForEachLine(block, [&](const BlockLine& line) { Add(block, line); });
  }

  GenerateReport report;
  const Catalog catalog;
  std::vector<Block> blocks;
  std::vector<std::string_view> lines;  // with their line ends
  LayoutTree layouts;
  std::vector<LiteralStep> literals;
  std::vector<const char*> strings;  // where each begins
  std::vector<Number> numbers;
  std::vector<std::string_view> times;
  std::vector<std::string_view> escaped;  // all strings of a line, each character an escape, and a quote
  std::vector<Dimensions> dimensions;
  std::vector<std::string_view> rows;  // id, source, type, subject, time and numbers as CSV
  std::vector<Sorted> by_hash;         // as if each event had a subject of its own

 private:
  void Add(const Block& block, const BlockLine& line) {
    decoded_.clear();
    decoder_->Decode(line.text, 0, arena_, decoded_);
    if (decoded_[0].reason != Reason::kNone) return;
    const UsageEvent& event = decoded_[0].event;
    const std::string_view text(block.data + line.offset, line.text.size() + 1);
    const auto shape = ShapeOf(text, event);
    if (!shape) return;
    (void)layouts.Add(*shape);
    lines.push_back(text);
    for (const std::string_view literal : shape->literals) AddLiteral(literal);
    std::string spelt;
    std::string row = std::string(event.id) + "," + std::string(event.source) + "," + std::string(event.type) + "," +
                      std::string(event.subject) + ",";
    for (size_t slot = 0; slot < shape->slots.size(); ++slot) {
      const std::string_view value = shape->slots[slot];
      if (shape->kinds[slot] == SlotKind::kString) {
        strings.push_back(value.data());
        for (const char c : value) AddEscape(c, &spelt);
      } else {
        AddNumber(value);
        row.append(",").append(value);
      }
    }
    if (spelt.size() > kEscapeBytes * kTextMax) Die("a line with more text than is escaped here");
    escaped.push_back(Kept(spelt + '"'));
    times.push_back(shape->slots[shape->time]);
    by_hash.push_back({HashSubject(event.id, kSeed).high, static_cast<uint32_t>(by_hash.size())});
    row.append(shape->slots[shape->time]);
    rows.push_back(Kept(row));
    for (const uint32_t meter : catalog.MetersOfType(event.type)) AddDimensions(event, meter);
  }

  void AddLiteral(std::string_view literal) {
    for (size_t at = 0; at < literal.size(); at += kLiteralStep) {
      const size_t bytes = std::min<size_t>(kLiteralStep, literal.size() - at);
      const std::string step(literal.substr(at, bytes));
      std::string_view& padded = padded_[step];
      if (padded.empty()) padded = Kept(step);
      literals.push_back({literal.data() + at, padded.data(), ~uint64_t{0} >> (kLiteralStep - bytes)});
    }
  }

  void AddNumber(std::string_view text) {
    NumberShape shape;
    if (ReadNumber(text.data(), &shape) && shape.bytes == text.size()) numbers.push_back({text, shape.whole});
  }

  static void AddEscape(char c, std::string* spelt) {
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
    spelt->append(escape);
  }

  void AddDimensions(const UsageEvent& event, uint32_t meter) {
    Dimensions& of = dimensions.emplace_back();
    of.meter = meter;
    for (const std::string& name : catalog.meters[meter].dimensions) {
      std::string_view value;
      for (const Property& property : event.data) {
        if (property.name == name) value = property.text;
      }
      of.values.push_back(Kept(std::string(value)));
    }
  }

  // A copy that is followed by as many zeros as anyone here reads ahead.
  std::string_view Kept(const std::string& text) {
    char* const kept = arena_.Allocate(text.size() + kScanAhead);
    std::memcpy(kept, text.data(), text.size());
    std::memset(kept + text.size(), 0, kScanAhead);
    return {kept, text.size()};
  }

  Arena arena_;
  std::unique_ptr<Decoder> decoder_ = MakeJsonDecoder();
  std::vector<DecodedEvent> decoded_;
  std::map<std::string, std::string_view> padded_;
};

// --- The tricks: both ways give the same answer ----------------------------------------------------------------------

uint64_t LinesByLayout(Inputs& inputs) {
  uint64_t matched = 0;
  Slots slots;
  Arena arena;
  for (const std::string_view line : inputs.lines) {
    const char* behind = nullptr;
    arena.Clear();
    matched += inputs.layouts.Match(line.data(), line.data() + line.size(), arena, &slots, &behind) >= 0 &&
               behind == line.data() + line.size();
  }
  return matched;
}
uint64_t LinesByParser(Inputs& inputs) {
  uint64_t decoded = 0;
  const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  std::vector<DecodedEvent> events;
  Arena arena;
  for (const std::string_view line : inputs.lines) {
    events.clear();
    arena.Clear();
    decoder->Decode(line.substr(0, line.size() - 1), 0, arena, events);
    decoded += events[0].reason == Reason::kNone;
  }
  return decoded;
}

template <bool (*kSame)(const char*, const char*, uint64_t)>
uint64_t Literals(Inputs& inputs) {
  uint64_t same = 0;
  for (const LiteralStep& step : inputs.literals) same += kSame(step.at, step.literal, step.mask);
  return same;
}

template <StringBits (*kRead)(const char*)>
uint64_t Strings(Inputs& inputs) {
  uint64_t bytes = 0;
  for (const char* at : inputs.strings) {
    StringBits bits = kRead(at);
    for (; bits.stops == 0; bits = kRead(at)) {
      at += 32;
      bytes += 32;
    }
    bytes += static_cast<uint32_t>(std::countr_zero(bits.stops));
  }
  return bytes;
}

template <bool (*kRead)(const char*, NumberShape*)>
uint64_t Numbers(Inputs& inputs) {
  uint64_t digits = 0;
  for (const Number& number : inputs.numbers) {
    NumberShape shape;
    if (kRead(number.text.data(), &shape)) digits += shape.bytes * 32 + shape.whole;
  }
  return digits;
}

template <uint32_t (*kUnescape)(const char*, char*)>
uint64_t Escapes(Inputs& inputs) {
  uint64_t characters = 0;
  char text[kTextMax + kEscapeRoom];
  for (const std::string_view line : inputs.escaped) {
    char* out = text;
    const char* at = line.data();
    for (uint32_t run; (run = kUnescape(at, out)) > 0; out += run) at += run * kEscapeBytes;
    characters += static_cast<uint64_t>(out - text) + static_cast<uint8_t>(out[-1]);
  }
  return characters;
}

uint64_t QuantitiesOfEight(Inputs& inputs) {
  uint64_t sum = 0;
  for (const Number& number : inputs.numbers) {
    Quantity quantity;
    const auto bytes = static_cast<uint32_t>(number.text.size());
    if (ReadQuantity(number.text.data(), bytes, number.whole, false, &quantity))
      sum += static_cast<uint64_t>(quantity.attos);
  }
  return sum;
}
uint64_t QuantitiesParsed(Inputs& inputs) {
  uint64_t sum = 0;
  for (const Number& number : inputs.numbers) {
    const ParsedDecimal parsed = ParseDecimal(number.text, kQuantityScale);
    if (parsed.error == DecimalError::kNone) sum += static_cast<uint64_t>(parsed.value);
  }
  return sum;
}

uint64_t TimesOnTheDate(Inputs& inputs) {
  uint64_t sum = 0;
  InstantReader reader;
  for (const std::string_view time : inputs.times) sum += static_cast<uint64_t>(reader.Parse(time).instant.nanos);
  return sum;
}
uint64_t TimesParsed(Inputs& inputs) {
  uint64_t sum = 0;
  for (const std::string_view time : inputs.times) sum += static_cast<uint64_t>(ParseInstant(time).instant.nanos);
  return sum;
}

template <bool kByMemo>
uint64_t SeriesOfEvents(Inputs& inputs) {
  uint64_t sum = 0;
  SeriesTable table(kSeed);
  SeriesCache cache(table);
  std::vector<SeriesMemo> memos(inputs.catalog.meters.size());
  for (const Dimensions& of : inputs.dimensions) {
    SeriesMemo::Entry* entry = nullptr;
    SeriesMemo::Key key(cache.generation());
    if constexpr (kByMemo) {
      for (const std::string_view value : of.values) key.Add(value, false);
      entry = memos[of.meter].Find(key);
      if (entry != nullptr && entry->Is(key)) {
        sum += entry->series.id;
        continue;
      }
    }
    const Series& found = cache.Find(of.meter, of.values);
    if (entry != nullptr) entry->Set(key, {found.id, found.dimensions_hash});
    sum += found.id;
  }
  return sum;
}

template <Reason (*kSplit)(std::string_view, char, Arena&, std::vector<std::string_view>*)>
uint64_t Rows(Inputs& inputs) {
  uint64_t bytes = 0;
  Arena arena;
  std::vector<std::string_view> cells;
  for (const std::string_view row : inputs.rows) {
    if (kSplit(row, ',', arena, &cells) == Reason::kNone) bytes += cells.size() * 1024 + cells[0].size();
  }
  return bytes;
}

bool ByHash(const Sorted& a, const Sorted& b) {
  return std::tie(a.hash, a.number) < std::tie(b.hash, b.number);
}
uint64_t NumbersInOrder(const std::vector<Sorted>& sorted) {
  uint64_t mixed = 0;
  for (const Sorted& record : sorted) mixed = mixed * 31 + record.number;
  return mixed;
}
uint64_t SortedByPlace(Inputs& inputs) {
  std::vector<Sorted> records = inputs.by_hash;
  HashOrder<Sorted>().Sort(
      &records, [](const Sorted& record) { return record.hash; }, ByHash);
  return NumbersInOrder(records);
}
uint64_t SortedByComparison(Inputs& inputs) {
  std::vector<Sorted> records = inputs.by_hash;
  std::sort(records.begin(), records.end(), ByHash);
  return NumbersInOrder(records);
}

// Counts, as 224 tokens of 2 requests. With an exponent the same numbers go the general way.
uint64_t Products(Inputs& inputs, std::string_view requests) {
  uint64_t sum = 0;
  Arena arena;
  for (const Number& number : inputs.numbers) {
    if (number.whole != number.text.size()) continue;
    const std::string_view factors[] = {number.text, requests};
    std::string_view product;
    arena.Clear();
    if (ExactProduct(factors, arena, &product) == DecimalError::kNone)
      sum += product.size() * 1024 + static_cast<uint8_t>(product.back());
  }
  return sum;
}
uint64_t ProductsOfCounts(Inputs& inputs) {
  return Products(inputs, "2");
}
uint64_t ProductsInGeneral(Inputs& inputs) {
  return Products(inputs, "2e0");
}

struct Trick {
  const char* name;
  const char* file;
  const char* item;
  size_t (*items)(const Inputs&);
  uint64_t (*fast)(Inputs&);
  uint64_t (*plain)(Inputs&);
};

size_t Events(const Inputs& inputs) {
  return inputs.lines.size();
}
size_t Quantities(const Inputs& inputs) {
  return inputs.numbers.size();
}
size_t SeriesLookUps(const Inputs& inputs) {
  return inputs.dimensions.size();
}
size_t WholeNumbers(const Inputs& inputs) {
  return static_cast<size_t>(
      std::ranges::count_if(inputs.numbers, [](const Number& n) { return n.whole == n.text.size(); }));
}

constexpr Trick kTricks[] = {
    {"lines", "pipeline/layout.h", "an event", Events, LinesByLayout, LinesByParser},
    {"literals", "pipeline/layout_scan.h", "an event", Events, Literals<SameBytes>, Literals<plain::SameBytes>},
    {"strings", "pipeline/layout_scan.h", "an event", Events, Strings<ReadString>, Strings<plain::ReadString>},
    {"numbers", "pipeline/layout_scan.h", "an event", Events, Numbers<ReadNumber>, Numbers<plain::ReadNumber>},
    {"escapes", "pipeline/escape_run.h", "an event", Events, Escapes<UnescapeRun>, Escapes<plain::UnescapeRun>},
    {"quantities", "pipeline/layout_values.h", "a number", Quantities, QuantitiesOfEight, QuantitiesParsed},
    {"times", "pipeline/layout_values.h", "an event", Events, TimesOnTheDate, TimesParsed},
    {"series", "pipeline/series_memo.h", "a look-up", SeriesLookUps, SeriesOfEvents<true>, SeriesOfEvents<false>},
    {"rows", "pipeline/csv_cells.cc", "an event", Events, Rows<SplitRow>, Rows<SplitRowPlainly>},
    {"hash-order", "pipeline/hash_order.h", "a record", Events, SortedByPlace, SortedByComparison},
    {"products", "pipeline/exact_product.cc", "a product", WholeNumbers, ProductsOfCounts, ProductsInGeneral},
};

// What a counter looks for by this name.
extern "C" [[gnu::noinline]] uint64_t tollbook_bench_measured(uint64_t (*way)(Inputs&), Inputs& inputs) {
  const uint64_t answer = way(inputs);
  asm volatile("" ::: "memory");  // or the call would be a jump, and what follows it counted
  return answer;
}

int Main(uint64_t events) {
  Inputs inputs(OptionsFor(events));
  if (inputs.lines.size() < events * 99 / 100) Die("too few lines that a layout can be learnt from");
  for (const Trick& trick : kTricks) {
    const uint64_t fast = tollbook_bench_measured(trick.fast, inputs);
    const uint64_t plain = tollbook_bench_measured(trick.plain, inputs);
    RequireEqual(fast, plain, std::string(trick.name) + ": the answer");
    if (fast == 0) Die(std::string(trick.name) + ": there is nothing to do");
    std::printf("{\"trick\": \"%s\", \"file\": \"%s\", \"item\": \"%s\", \"items\": %zu}\n", trick.name, trick.file,
                trick.item, trick.items(inputs));
  }
  return 0;
}

}  // namespace
}  // namespace tollbook::bench

int main(int argc, char** argv) {
  return tollbook::bench::Main(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20'000);
}
