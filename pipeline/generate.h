// Generate: usage telemetry at any size, with a catalog that fits, so that large runs need no stored data.
//
// Deterministic: the same options give the same bytes on every machine. A line is a pure function of (seed, its
// number), so a redelivery a million lines later is made again rather than remembered, and memory does not grow with
// the size. Nothing here uses the C++ library's distributions, whose output differs between libraries, or binary
// floating point.
//
// What is made resembles what a cloud or model provider exports: eight meters (sum, count, max, latest; whole and
// decimal values; nested properties), subscriptions by a Zipf law (the k-th largest uses 1/k of what the first does),
// lines nearly in time order, and, in stated shares, all that goes wrong on the way.
#ifndef TOLLBOOK_PIPELINE_GENERATE_H_
#define TOLLBOOK_PIPELINE_GENERATE_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "ledger/exception.h"
#include "rating/calendar.h"
#include "rating/error.h"

namespace tollbook {

struct GenerateOptions {
  uint64_t seed = 1;
  uint64_t events = 1'000'000;    // lines
  uint32_t subscriptions = 1000;  // in the catalog; 1 to 20 million
  Day first_day{20089};           // 2025-01-01; the events are spread evenly over `days` from here
  int days = 31;
  // Shares of the lines, per million. The rest are fresh events of this time and of known subscriptions.
  uint32_t redelivered_per_million = 20'000;          // an earlier event again; a quarter of them in other bytes
  uint32_t conflict_per_million = 100;                // an earlier event's id with another quantity or time
  uint32_t malformed_per_million = 1'000;             // can never be usage
  uint32_t late_per_million = 5'000;                  // fresh, dated in the month before
  uint32_t unknown_subscription_per_million = 2'000;  // fresh, of one of 20 subjects the catalog does not know
  uint32_t unknown_meter_per_million = 1'000;         // well-formed, of the type gpu.hours
  uint64_t redelivered_lines_max = 1'000'000;         // how many lines later a redelivery may come
};

inline constexpr int kGeneratedMeters = 8;

// What was made, exactly. lines == accepted + duplicate + conflict + held + rejected, as a book must count them when it
// absorbs the lines in order.
struct GenerateReport {
  uint64_t lines = 0;
  uint64_t bytes = 0;
  uint64_t accepted = 0;
  uint64_t unattributed = 0;  // of the accepted
  uint64_t late = 0;          // of the accepted
  uint64_t duplicate = 0;
  uint64_t rewritten = 0;  // of the duplicates: the same content in other bytes
  uint64_t conflict = 0;
  uint64_t held = 0;
  uint64_t rejected = 0;
  std::array<uint64_t, kReasons> rejected_by_reason{};

  // Per meter, unattributed usage included. `micros` is the sum of the values in millionths of the unit, for the meters
  // that sum; 0 for the others.
  struct MeterUsage {
    std::string_view meter;
    uint64_t events = 0;
    uint64_t micros = 0;
  };
  std::array<MeterUsage, kGeneratedMeters> accepted_by_meter{};
};

// Gets the lines in buffers of about a megabyte, each of whole lines. An error stops the generator and is returned.
using GenerateSink = std::function<absl::Status(std::string_view lines)>;

// Errors: InvalidArgument for options out of range; what the sink says.
[[nodiscard]] absl::StatusOr<GenerateReport> GenerateEvents(const GenerateOptions& options, const GenerateSink& sink);

// File name -> text: the catalog that the events of the same options belong to.
// Errors: InvalidArgument for options out of range.
[[nodiscard]] absl::StatusOr<std::map<std::string, std::string>> GenerateCatalog(const GenerateOptions& options);

// "sub-000123": subject and subscription id of the number-th largest customer, from 1.
[[nodiscard]] std::string GeneratedSubject(uint32_t number);

[[nodiscard]] absl::Status CheckGenerateOptions(const GenerateOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_GENERATE_H_
