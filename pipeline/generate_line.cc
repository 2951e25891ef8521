#include "pipeline/generate_line.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace tollbook::generate {
namespace {

constexpr int64_t kDayMs = 86'400'000;

// A short text that is copied whole, so that its copy is two moves and no loop.
struct Piece {
  char text[32] = {};
  uint8_t size = 0;
  constexpr Piece(std::string_view from) : size(static_cast<uint8_t>(from.size())) {
    for (size_t i = 0; i < from.size(); ++i) text[i] = from[i];
  }
};

constexpr Piece kRegions[4] = {{"us-east"}, {"eu-west"}, {"ap-south"}, {"us-west"}};
constexpr Piece kModels[4] = {{"m-small"}, {"m-large"}, {"m-medium"}, {"m-embed"}};
constexpr Piece kRoutes[4] = {{"/v1/items"}, {"/v1/search"}, {"/v1/orders"}, {"/v2/items"}};
constexpr Piece kClasses[4] = {{"standard"}, {"archive"}, {"standard"}, {"fast"}};
constexpr Piece kSizes[4] = {{"c2"}, {"c4"}, {"c8"}, {"g1"}};
constexpr Piece kWays[4] = {{"egress"}, {"egress"}, {"peering"}, {"egress"}};
constexpr Piece kGateways[16] = {{"gw-01"}, {"gw-02"}, {"gw-03"}, {"gw-04"}, {"gw-05"}, {"gw-06"},
                                 {"gw-07"}, {"gw-08"}, {"gw-09"}, {"gw-10"}, {"gw-11"}, {"gw-12"},
                                 {"gw-13"}, {"gw-14"}, {"gw-15"}, {"gw-16"}};
constexpr Piece kTypes[kGeneratedMeters + 1] = {{kMeterNames[0]}, {kMeterNames[1]}, {kMeterNames[2]},
                                                {kMeterNames[3]}, {kMeterNames[4]}, {kMeterNames[5]},
                                                {kMeterNames[6]}, {kMeterNames[7]}, {kMeterNames[8]}};

struct DigitPairs {
  char text[200] = {};
  constexpr DigitPairs() {
    for (int i = 0; i < 100; ++i) {
      text[2 * i] = static_cast<char>('0' + i / 10);
      text[2 * i + 1] = static_cast<char>('0' + i % 10);
    }
  }
};
constexpr DigitPairs kDigitPairs;

struct HexPairs {
  char text[512] = {};
  constexpr HexPairs() {
    constexpr char kHex[] = "0123456789abcdef";
    for (int i = 0; i < 256; ++i) {
      text[2 * i] = kHex[i / 16];
      text[2 * i + 1] = kHex[i % 16];
    }
  }
};
constexpr HexPairs kHexPairs;

template <size_t N>
char* Put(char* at, const char (&text)[N]) {
  std::memcpy(at, text, N - 1);
  return at + N - 1;
}

char* Put(char* at, const Piece& piece) {
  std::memcpy(at, piece.text, sizeof(piece.text));
  return at + piece.size;
}

char* PutPair(char* at, uint32_t below_100) {
  std::memcpy(at, kDigitPairs.text + 2 * below_100, 2);
  return at + 2;
}

// The lower `digits` hexadecimal digits, an even number of them.
char* PutHex(char* at, uint64_t value, int digits = 16) {
  for (int shift = 4 * digits - 8; shift >= 0; shift -= 8) {
    std::memcpy(at, kHexPairs.text + 2 * ((value >> shift) & 255), 2);
    at += 2;
  }
  return at;
}

// Exactly `digits` digits, with leading zeros.
char* PutFixed(char* at, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i) {
    at[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  return at + digits;
}

char* PutWhole(char* at, uint64_t value) {
  char reversed[20];
  int digits = 0;
  do {
    reversed[digits++] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  while (digits > 0) *at++ = reversed[--digits];
  return at;
}

char* PutNumber(char* at, const Event& event) {
  switch (DecimalsOf(event.meter)) {
    case 3:
      at = PutWhole(at, event.value / 1'000);
      *at++ = '.';
      return PutFixed(at, event.value % 1'000, 3);
    case 6:
      at = PutWhole(at, event.value / 1'000'000);
      *at++ = '.';
      return PutFixed(at, event.value % 1'000'000, 6);
    default:
      return PutWhole(at, event.value);
  }
}

char* PutSubject(char* at, uint32_t number) {
  at = Put(at, "sub-");
  if (number >= 1'000'000) at = PutWhole(at, number / 1'000'000);  // six digits or more
  at = PutPair(at, number / 10'000 % 100);
  at = PutPair(at, number / 100 % 100);
  return PutPair(at, number % 100);
}

char* PutSource(char* at, const Event& event) {
  at = Put(at, "acme/");
  at = Put(at, kRegions[event.region]);
  *at++ = '/';
  return Put(at, kGateways[event.gateway]);
}

char* PutRegion(char* at, const Event& event) {
  at = Put(at, "\",\"region\":\"");
  at = Put(at, kRegions[event.region]);
  *at++ = '"';
  return at;
}

// What the usage is about: the members of `data` without the metered value and without braces.
char* PutAttributes(char* at, const Event& event) {
  switch (event.meter) {
    case MeterKind::kTokens:
      at = PutHex(Put(at, "\"request_id\":\""), event.request, 12);
      at = Put(Put(at, "\",\"model\":\""), kModels[event.kind]);
      return PutRegion(at, event);
    case MeterKind::kCalls:
      at = PutHex(Put(at, "\"request_id\":\""), event.request, 12);
      at = Put(Put(at, "\",\"route\":\""), kRoutes[event.kind]);
      at = PutRegion(at, event);
      return PutWhole(Put(at, ",\"latency_ms\":"), event.extra % 900 + 3);
    case MeterKind::kStorage:
      at = PutHex(Put(at, "\"volume\":\""), event.request, 12);
      at = Put(Put(at, "\",\"class\":\""), kClasses[event.kind]);
      return Put(at, "\"");
    case MeterKind::kCompute:
      at = PutHex(Put(at, "\"job_id\":\""), event.request, 12);
      at = Put(Put(at, "\",\"size\":\""), kSizes[event.kind]);
      return Put(at, "\"");
    case MeterKind::kTransfer:
      at = PutHex(Put(at, "\"flow\":\""), event.request, 12);
      at = Put(Put(at, "\",\"way\":\""), kWays[event.kind]);
      return Put(at, "\"");
    case MeterKind::kMessages:
      at = PutHex(Put(at, "\"campaign\":\""), event.request, 12);
      return PutRegion(at, event);
    case MeterKind::kSeats:
      at = PutHex(Put(at, "\"workspace\":\""), event.request, 12);
      at = PutRegion(at, event);
      return PutWhole(Put(at, ",\"invited\":"), event.extra % 40);
    case MeterKind::kDevices:
      at = PutHex(Put(at, "\"fleet\":\""), event.request, 12);
      at = PutRegion(at, event);
      return PutWhole(Put(at, ",\"firmware\":"), event.extra % 12);
    case MeterKind::kUnknown:
      at = PutHex(Put(at, "\"job_id\":\""), event.request, 12);
      return PutRegion(at, event);
  }
  return at;
}

// The metered member, from its name to its end; `suffix` goes behind the number.
template <size_t N>
char* PutValue(char* at, const Event& event, const char (&suffix)[N]) {
  switch (event.meter) {
    case MeterKind::kTokens:
      return Put(PutNumber(Put(at, "\"tokens\":"), event), suffix);
    case MeterKind::kCalls:
      return at;
    case MeterKind::kStorage:
      return Put(PutNumber(Put(at, "\"gb_hours\":"), event), suffix);
    case MeterKind::kCompute:
      at = Put(PutNumber(Put(at, "\"usage\":{\"seconds\":"), event), suffix);
      at = PutWhole(Put(at, ",\"cores\":"), uint64_t{2} << event.kind);
      *at++ = '}';
      return at;
    case MeterKind::kTransfer:
      return Put(PutNumber(Put(at, "\"gb\":"), event), suffix);
    case MeterKind::kMessages:
      return Put(PutNumber(Put(at, "\"mails\":"), event), suffix);
    case MeterKind::kSeats:
      return Put(PutNumber(Put(at, "\"seats\":"), event), suffix);
    case MeterKind::kDevices:
      return Put(PutNumber(Put(at, "\"devices\":"), event), suffix);
    case MeterKind::kUnknown:
      return Put(PutNumber(Put(at, "\"hours\":"), event), suffix);
  }
  return at;
}

char* PutData(char* at, const Event& event) {
  at = PutAttributes(Put(at, "{"), event);
  if (HasValue(event.meter)) at = PutValue(Put(at, ","), event, "");
  *at++ = '}';
  return at;
}

void ReplaceFirst(std::string* line, std::string_view from, std::string_view to) {
  const size_t at = line->find(from);
  TOLLBOOK_ASSERT(at != std::string::npos);
  line->replace(at, from.size(), to);
}

// Replaces what stands between `before` and the next `after`, both included.
void ReplaceMember(std::string* line, std::string_view before, std::string_view after, std::string_view to) {
  const size_t at = line->find(before);
  TOLLBOOK_ASSERT(at != std::string::npos);
  const size_t end = line->find(after, at + before.size());
  TOLLBOOK_ASSERT(end != std::string::npos);
  line->replace(at, end + after.size() - at, to);
}

// The value is the last thing of `data` that is not nested deeper: its digits start behind the last colon, save for
// compute, where "cores" follows it.
size_t ValueAt(const std::string& line, const Event& event) {
  if (event.meter == MeterKind::kCompute) return line.find("\"seconds\":") + 10;
  return line.rfind(':') + 1;
}

// A line that broke off. Not directly behind a colon: what is missing there is a whole value, and a reader that goes on
// with the next line would find one.
void Cut(std::string* line, uint64_t where) {
  size_t keep = 20 + where % (line->size() - 22);
  while ((*line)[keep - 1] == ':') --keep;
  line->resize(keep);
}

}  // namespace

int DecimalsOf(MeterKind meter) {
  switch (meter) {
    case MeterKind::kStorage:
    case MeterKind::kCompute:
      return 3;
    case MeterKind::kTransfer:
      return 6;
    default:
      return 0;
  }
}

bool HasValue(MeterKind meter) {
  return meter != MeterKind::kCalls;
}

bool Summed(MeterKind meter) {
  return meter != MeterKind::kCalls && meter != MeterKind::kSeats && meter != MeterKind::kDevices;
}

Reason ReasonOf(Damage damage) {
  switch (damage) {
    case Damage::kCut:
    case Damage::kLogText:
      return Reason::kInvalidJson;
    case Damage::kIdIsNumber:
    case Damage::kDataIsString:
      return Reason::kWrongType;
    case Damage::kInvalidUtf8:
      return Reason::kInvalidUtf8;
    case Damage::kNoId:
      return Reason::kMissingId;
    case Damage::kEmptySubject:
      return Reason::kMissingSubject;
    case Damage::kNoSuchDay:
      return Reason::kInvalidTime;
    case Damage::kNoZone:
      return Reason::kTimeWithoutZone;
    case Damage::kValueIsText:
      return Reason::kValueNotANumber;
    case Damage::kNegative:
      return Reason::kNegativeValue;
  }
  return Reason::kNone;
}

LineWriter::LineWriter(Day first_day, int days) : first_day_(first_day.number), dates_(days) {
  for (int i = 0; i < days; ++i) {
    const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{first_day_ + i}}};
    char* at = PutFixed(dates_[i].data(), static_cast<int>(date.year()), 4);
    *at++ = '-';
    at = PutPair(at, static_cast<unsigned>(date.month()));
    *at++ = '-';
    at = PutPair(at, static_cast<unsigned>(date.day()));
    *at = 'T';
  }
}

// "2025-01-31T23:59:59.999", without a zone.
char* LineWriter::PutTime(char* at, int64_t time_ms) const {
  const int64_t day = time_ms / kDayMs;
  uint32_t ms = static_cast<uint32_t>(time_ms - day * kDayMs);
  std::memcpy(at, dates_[day - first_day_].data(), 16);
  at = PutPair(at + 11, ms / 3'600'000);
  ms %= 3'600'000;
  *at++ = ':';
  at = PutPair(at, ms / 60'000);
  ms %= 60'000;
  *at++ = ':';
  at = PutPair(at, ms / 1'000);
  ms %= 1'000;
  *at++ = '.';
  *at++ = static_cast<char>('0' + ms / 100);
  return PutPair(at, ms % 100);
}

char* LineWriter::PutPlain(char* at, const Event& event) const {
  at = PutHex(Put(at, "{\"specversion\":\"1.0\",\"id\":\""), event.id);
  at = PutSource(Put(at, "\",\"source\":\""), event);
  at = Put(Put(at, "\",\"type\":\""), kTypes[static_cast<size_t>(event.meter)]);
  at = PutSubject(Put(at, "\",\"subject\":\""), event.subject);
  at = PutTime(Put(at, "\",\"time\":\""), event.time_ms);
  at = PutData(Put(at, "Z\",\"data\":"), event);
  return Put(at, "}\n");
}

// `data` first, the metered value first in it, the envelope back to front.
char* LineWriter::PutReordered(char* at, const Event& event) const {
  at = Put(at, "{\"data\":{");
  if (HasValue(event.meter)) at = Put(PutValue(at, event, ""), ",");
  at = PutAttributes(at, event);
  at = PutTime(Put(at, "},\"time\":\""), event.time_ms);
  at = PutSubject(Put(at, "Z\",\"subject\":\""), event.subject);
  at = Put(Put(at, "\",\"type\":\""), kTypes[static_cast<size_t>(event.meter)]);
  at = PutSource(Put(at, "\",\"source\":\""), event);
  at = PutHex(Put(at, "\",\"id\":\""), event.id);
  return Put(at, "\",\"specversion\":\"1.0\"}\n");
}

char* LineWriter::PutSpaced(char* at, const Event& event) const {
  at = PutHex(Put(at, "{ \"specversion\": \"1.0\", \"id\": \""), event.id);
  at = PutSource(Put(at, "\", \"source\": \""), event);
  at = Put(Put(at, "\", \"type\": \""), kTypes[static_cast<size_t>(event.meter)]);
  at = PutSubject(Put(at, "\", \"subject\": \""), event.subject);
  at = PutTime(Put(at, "\", \"time\": \""), event.time_ms);
  at = PutData(Put(at, "Z\", \"data\": "), event);
  return Put(at, " }\n");
}

// 12 as 12.0, 0.125 as 0.125000, Z as +00:00.
char* LineWriter::PutRespelled(char* at, const Event& event) const {
  at = PutHex(Put(at, "{\"specversion\":\"1.0\",\"id\":\""), event.id);
  at = PutSource(Put(at, "\",\"source\":\""), event);
  at = Put(Put(at, "\",\"type\":\""), kTypes[static_cast<size_t>(event.meter)]);
  at = PutSubject(Put(at, "\",\"subject\":\""), event.subject);
  at = PutTime(Put(at, "\",\"time\":\""), event.time_ms);
  at = PutAttributes(Put(at, "+00:00\",\"data\":{"), event);
  if (HasValue(event.meter)) {
    at = Put(at, ",");
    at = DecimalsOf(event.meter) == 0 ? PutValue(at, event, ".0") : PutValue(at, event, "000");
  }
  return Put(at, "}}\n");
}

char* LineWriter::Write(const Event& event, Layout layout, char* at) const {
  switch (layout) {
    case Layout::kPlain:
      return PutPlain(at, event);
    case Layout::kReordered:
      return PutReordered(at, event);
    case Layout::kSpaced:
      return PutSpaced(at, event);
    case Layout::kRespelled:
      return PutRespelled(at, event);
  }
  return at;
}

char* LineWriter::WriteDamaged(const Event& event, Damage damage, uint64_t where, char* at) const {
  std::string line(at, PutPlain(at, event) - 1);
  switch (damage) {
    case Damage::kCut:
      Cut(&line, where);
      break;
    case Damage::kLogText:
      line = "WARN usage exporter: buffer full, " + std::to_string(where % 1000 + 1) + " events written later";
      break;
    case Damage::kIdIsNumber:
      ReplaceMember(&line, "\"id\":\"", "\"", "\"id\":" + std::to_string(event.id));
      break;
    case Damage::kDataIsString:
      line.resize(line.find("\"data\":") + 7);
      line += "\"none\"}";
      break;
    case Damage::kInvalidUtf8:
      ReplaceFirst(&line, "acme/", "acm\xe9/");  // é in Latin-1
      break;
    case Damage::kNoId:
      ReplaceMember(&line, "\"id\":\"", "\",", "");
      break;
    case Damage::kEmptySubject:
      ReplaceMember(&line, "\"subject\":\"", "\"", "\"subject\":\"\"");
      break;
    case Damage::kNoSuchDay:
      ReplaceMember(&line, "\"time\":\"", "T", "\"time\":\"2025-02-30T");
      break;
    case Damage::kNoZone:
      ReplaceFirst(&line, "Z\",\"data\"", "\",\"data\"");
      break;
    case Damage::kValueIsText: {
      const size_t from = ValueAt(line, event);
      line.replace(from, line.find_first_of(",}", from) - from, "\"n/a\"");
      break;
    }
    case Damage::kNegative:
      line.insert(ValueAt(line, event), "-");
      break;
  }
  std::memcpy(at, line.data(), line.size());
  at[line.size()] = '\n';
  return at + line.size() + 1;
}

}  // namespace tollbook::generate
