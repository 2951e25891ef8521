// Generated lines: one event of the generator as CloudEvents JSON, plain, in other bytes, or damaged.
//
// Only generate.cc includes this. Lines are put together from prepared pieces: at some millions a second a formatted
// print per field would be most of the work.
#ifndef TOLLBOOK_PIPELINE_GENERATE_LINE_H_
#define TOLLBOOK_PIPELINE_GENERATE_LINE_H_

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "pipeline/generate.h"

namespace tollbook::generate {

// In the order of GenerateReport::accepted_by_meter. kUnknown is in no catalog.
enum class MeterKind : uint8_t {
  kTokens,
  kCalls,
  kStorage,
  kCompute,
  kTransfer,
  kMessages,
  kSeats,
  kDevices,
  kUnknown,
};

inline constexpr std::array<std::string_view, kGeneratedMeters + 1> kMeterNames = {
    "llm.tokens", "api.calls",    "storage.gb_hours", "compute.seconds", "transfer.gb",
    "mails.sent", "seats.active", "devices.online",   "gpu.hours"};

struct Event {
  MeterKind meter = MeterKind::kCalls;
  uint8_t region = 0;
  uint8_t kind = 0;     // model, storage class, machine size …
  uint8_t gateway = 0;  // who measured: part of the source
  uint32_t subject = 1;
  uint64_t id = 0;       // no two events of one seed share it
  uint64_t request = 0;  // the request, bucket, job … that it is about
  int64_t time_ms = 0;   // since 1970
  uint64_t value = 0;    // in 10^-decimals of the meter's unit
  uint32_t extra = 0;    // a property that no meter names
};

int DecimalsOf(MeterKind meter);  // digits after the point of the meter's values
bool Summed(MeterKind meter);     // is the meter's aggregation a sum?
bool HasValue(MeterKind meter);   // all but counts

// How the same content is written.
enum class Layout : uint8_t { kPlain, kReordered, kSpaced, kRespelled };

// How a line is broken; each stands for one reason. The two last ones need a meter with a value.
enum class Damage : uint8_t {
  kCut,
  kLogText,
  kIdIsNumber,
  kDataIsString,
  kInvalidUtf8,
  kNoId,
  kEmptySubject,
  kNoSuchDay,
  kNoZone,
  kValueIsText,
  kNegative,
};
inline constexpr int kDamages = 11;
inline constexpr int kDamagesWithoutValue = 9;
Reason ReasonOf(Damage damage);

inline constexpr size_t kLineBytesMax = 1024;

class LineWriter {
 public:
  // Events dated outside [first_day, first_day + days) must not be written.
  LineWriter(Day first_day, int days);

  // Each writes one line with its end at `at`, where kLineBytesMax bytes are free, and gives the byte behind it.
  char* Write(const Event& event, Layout layout, char* at) const;
  // `where`: any number; decides where a line is cut.
  char* WriteDamaged(const Event& event, Damage damage, uint64_t where, char* at) const;

 private:
  char* PutTime(char* at, int64_t time_ms) const;
  char* PutPlain(char* at, const Event& event) const;
  char* PutReordered(char* at, const Event& event) const;
  char* PutSpaced(char* at, const Event& event) const;
  char* PutRespelled(char* at, const Event& event) const;

  int32_t first_day_;
  std::vector<std::array<char, 16>> dates_;  // "2025-01-31T"
};

}  // namespace tollbook::generate

#endif  // TOLLBOOK_PIPELINE_GENERATE_LINE_H_
