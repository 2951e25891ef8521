// Decode: one line of input to usage events, or to the reason why not.
//
// A UsageEvent borrows: its views point into the line, or into the arena where text had to be unescaped or put
// together. Both live until the epoch that the line belongs to is committed.
#ifndef TOLLBOOK_PIPELINE_DECODE_H_
#define TOLLBOOK_PIPELINE_DECODE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "pipeline/arena.h"
#include "pipeline/mapping.h"
#include "rating/calendar.h"

namespace tollbook {

inline constexpr size_t kLinePadding = 64;  // readable bytes behind every line, as simdjson needs them
inline constexpr size_t kFieldBytesMax = 1024;
inline constexpr int kDepthMax = 64;

// One scalar of `data`. Nested objects are flattened: {"usage":{"tokens":5}} is "usage.tokens". Arrays (and objects)
// are listed with their own name as kComposite, so that a meter that names one can say so.
struct Property {
  enum class Kind : uint8_t { kString, kNumber, kBool, kNull, kComposite };
  std::string_view name;
  std::string_view text;  // a string's unescaped text; else the JSON token as written
  Kind kind = Kind::kNull;
};

struct Correction;

struct UsageEvent {
  std::string_view id;
  std::string_view source;
  std::string_view type;
  std::string_view subject;
  Instant time;
  std::span<const Property> data;          // in input order; names are unique
  std::string_view data_json;              // the text of `data` as written, when the input is JSON; else empty
  const Correction* correction = nullptr;  // null: it names no other event
};

// What an event with `corrects` or `voids` says of the one that it names, which has the same source.
struct Correction {
  bool is_void = false;  // the event itself counts nothing
  UsageEvent original;   // as it is restated: what `original` leaves out is as in the correction; a void restates all
};

struct DecodedEvent {
  Reason reason = Reason::kNone;  // kNone: `event` is well-formed
  UsageEvent event;
};

// Who decodes lines. The answer is the same; kSimdjson is for proving that, and for looking at a doubt.
enum class DecoderChoice : uint8_t {
  kAuto,      // layouts where lines match them, slots where rows of CSV are plain, the general decoders else
  kSimdjson,  // these alone
};

class CsvRows;

class Decoder {
 public:
  virtual ~Decoder() = default;
  // Appends one DecodedEvent for each event the line stands for (JSON: one; CSV: one for each `events` entry of the
  // mapping), well-formed or not. `line` has no line end, is not empty, and kLinePadding bytes behind it may be read.
  // `row` is 1 for a file's first data line (CSV: the header is not counted); only a mapping with NeedsRows() needs it,
  // others get 0. Not thread-safe: one decoder per thread. `data` spans stay valid like the other views.
  virtual void Decode(std::string_view line, uint64_t row, Arena& arena, std::vector<DecodedEvent>& out) = 0;
  // Whether its lines are JSON, so that layouts (layout.h) may stand in for it.
  virtual bool ReadsJson() const { return false; }
  // What can stand in for it on most rows of CSV (csv_rows.h); null: nothing.
  virtual CsvRows* Rows() { return nullptr; }
};

// CloudEvents 1.0 JSON by simdjson On-Demand. Every byte of the line is validated, fields that no meter names too.
std::unique_ptr<Decoder> MakeJsonDecoder();
// CSV through a mapping. `header` is the file's first line; `file` is the input's name for {file}.
// Errors: a column that the mapping names and the header lacks, a header that repeats a column.
absl::StatusOr<std::unique_ptr<Decoder>> MakeCsvDecoder(const SourceMapping& mapping, std::string_view header,
                                                        std::string_view file);

// The canonical form: one line of CloudEvents JSON, fields in the order specversion, id, source, type, subject, time,
// data, corrects or voids, original (what is other in it); the time in Z. Properties of a CSV event become data's
// members: numbers where the mapping says product or `number`, strings else.
void AppendCanonicalJson(const UsageEvent& event, std::string* out);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_DECODE_H_
