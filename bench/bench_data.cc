#include "bench/bench_data.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "pipeline/decode.h"
#include "rating/catalog_text.h"

namespace tollbook::bench {

void Die(const std::string& message) {
  std::fprintf(stderr, "bench: %s\n", message.c_str());
  std::exit(1);
}

void Require(const absl::Status& status) {
  if (!status.ok()) Die(std::string(Std(status.message())));
}

void RequireEqual(uint64_t is, uint64_t should_be, const std::string& what) {
  if (is != should_be) Die(what + " is " + std::to_string(is) + ", should be " + std::to_string(should_be));
}

GenerateOptions OptionsFor(uint64_t events) {
  GenerateOptions options;
  options.events = events;
  options.subscriptions = events >= 10'000'000 ? 100'000 : static_cast<uint32_t>(events / 100 + 10);
  return options;
}

Catalog CatalogOf(const GenerateOptions& options) {
  ParsedCatalog parsed = ParseCatalog(Require(GenerateCatalog(options)));
  if (!parsed.catalog) Die("the generated catalog: " + ToString(parsed.errors.front()));
  return *std::move(parsed.catalog);
}

std::string Telemetry(const GenerateOptions& options, GenerateReport* report) {
  std::string text;
  *report = Require(GenerateEvents(options, [&](std::string_view lines) {
    text.append(lines);
    return absl::OkStatus();
  }));
  return text;
}

GenerateReport WriteTelemetry(const GenerateOptions& options, const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) Die("cannot write " + path);
  const GenerateReport report = Require(GenerateEvents(options, [&](std::string_view lines) {
    if (std::fwrite(lines.data(), 1, lines.size(), file) != lines.size()) Die("cannot write " + path);
    return absl::OkStatus();
  }));
  if (std::fclose(file) != 0) Die("cannot write " + path);
  return report;
}

std::vector<Block> Blocks(const std::string& telemetry, size_t block_bytes) {
  std::vector<Block> blocks;
  for (size_t begin = 0; begin < telemetry.size();) {
    size_t end = std::min(telemetry.size(), begin + block_bytes);
    if (end < telemetry.size()) end = telemetry.rfind('\n', end - 1) + 1;
    Block block;
    block.storage = AlignedBuffer(end - begin + kLinePadding);
    block.data = block.storage.data();
    block.bytes = end - begin;
    block.offset = begin;
    std::memcpy(block.data, telemetry.data() + begin, block.bytes);
    std::memset(block.data + block.bytes, 0, kLinePadding);
    blocks.push_back(std::move(block));
    begin = end;
  }
  return blocks;
}

}  // namespace tollbook::bench
