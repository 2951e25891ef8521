// BenchData: generated telemetry with a known answer, and what it must come to.
#ifndef TOLLBOOK_BENCH_BENCH_DATA_H_
#define TOLLBOOK_BENCH_BENCH_DATA_H_

#include <string>

#include "pipeline/generate.h"
#include "pipeline/input.h"
#include "rating/catalog.h"

namespace tollbook::bench {

// Ends the program with the message: a benchmark with a wrong answer has no figure.
[[noreturn]] void Die(const std::string& message);
void Require(const absl::Status& status);
template <typename T>
T Require(absl::StatusOr<T> value) {
  Require(value.status());
  return *std::move(value);
}
void RequireEqual(uint64_t is, uint64_t should_be, const std::string& what);

GenerateOptions OptionsFor(uint64_t events);
Catalog CatalogOf(const GenerateOptions& options);
std::string Telemetry(const GenerateOptions& options, GenerateReport* report);
GenerateReport WriteTelemetry(const GenerateOptions& options, const std::string& path);

// The lines as blocks of about `block_bytes`, each of whole lines with padding behind them.
std::vector<Block> Blocks(const std::string& telemetry, size_t block_bytes);

}  // namespace tollbook::bench

#endif  // TOLLBOOK_BENCH_BENCH_DATA_H_
