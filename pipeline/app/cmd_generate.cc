#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "pipeline/app/commands.h"
#include "pipeline/app/output_file.h"
#include "pipeline/app/progress.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/app/text.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

absl::Status WriteCatalog(const GenerateOptions& options, const std::string& directory) {
  const absl::StatusOr<std::map<std::string, std::string>> files = GenerateCatalog(options);
  if (!files.ok()) return files.status();
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    return MakeError(absl::StatusCode::kUnavailable, "cannot make a directory", directory + ": " + error.message(),
                     "check the path and its permissions");
  }
  for (const auto& [name, text] : *files) {
    absl::StatusOr<OutputFile> file = OutputFile::Open((std::filesystem::path(directory) / name).string());
    if (!file.ok()) return file.status();
    TOLLBOOK_RETURN_IF_ERROR(file->Write(text));
    TOLLBOOK_RETURN_IF_ERROR(file->Close());
  }
  return absl::OkStatus();
}

nlohmann::ordered_json ToJson(const GenerateReport& report) {
  nlohmann::ordered_json rejected = nlohmann::ordered_json::object();
  for (int reason = 0; reason < kReasons; ++reason) {
    const uint64_t lines = report.rejected_by_reason[reason];
    if (lines != 0) rejected[std::string(ToString(static_cast<Reason>(reason)))] = lines;
  }
  nlohmann::ordered_json meters = nlohmann::ordered_json::array();
  for (const GenerateReport::MeterUsage& meter : report.accepted_by_meter) {
    nlohmann::ordered_json entry = {{"meter", std::string(meter.meter)}, {"events", meter.events}};
    if (meter.micros != 0) entry["total"] = FormatDecimal(meter.micros, 6);
    meters.push_back(std::move(entry));
  }
  return {{"lines", report.lines},
          {"bytes", report.bytes},
          {"accepted", report.accepted},
          {"unattributed", report.unattributed},
          {"late", report.late},
          {"duplicate", report.duplicate},
          {"rewritten", report.rewritten},
          {"conflict", report.conflict},
          {"held", report.held},
          {"rejected", report.rejected},
          {"rejected_by_reason", std::move(rejected)},
          {"accepted_by_meter", std::move(meters)}};
}

std::string ToText(const GenerateReport& report) {
  Table table({{"lines", true}, {""}});
  const auto add = [&](uint64_t lines, const std::string& what) { table.Add({Grouped(lines), what}); };
  add(report.accepted, "fresh events");
  add(report.late, "  of these dated in the month before");
  add(report.unattributed, "  of these of unknown subscriptions");
  add(report.duplicate, "sent again, " + Grouped(report.rewritten) + " in other bytes");
  add(report.conflict, "with a used id and other content");
  add(report.held, "of an unknown meter");
  add(report.rejected, "that can never be usage");
  add(report.lines, "in all, " + BytesText(report.bytes));
  return table.ToText();
}

absl::StatusOr<GenerateReport> WriteEvents(const GenerateCommandOptions& options) {
  absl::StatusOr<OutputFile> out = OutputFile::Open(options.output);
  if (!out.ok()) return out.status();
  Progress progress(options.quiet || options.json);
  uint64_t bytes_done = 0;
  uint64_t lines_done = 0;
  const auto sink = [&](std::string_view lines) {
    bytes_done += lines.size();
    lines_done += std::count(lines.begin(), lines.end(), '\n');
    // Lines are much of a length, so those made tell how many bytes the rest will be.
    const double bytes_per_line = static_cast<double>(bytes_done) / static_cast<double>(lines_done);
    const auto bytes_total = static_cast<uint64_t>(bytes_per_line * static_cast<double>(options.generate.events));
    progress.Update(bytes_done, bytes_total, lines_done);
    return out->Write(lines);
  };
  absl::StatusOr<GenerateReport> report = GenerateEvents(options.generate, sink);
  if (!report.ok()) return report;
  TOLLBOOK_RETURN_IF_ERROR(out->Close());
  progress.Finish();
  return report;
}

}  // namespace

int CmdGenerate(const GenerateCommandOptions& options) {
  // Before anything is written over.
  const absl::Status checked = CheckGenerateOptions(options.generate);
  if (!checked.ok()) return Fail(checked);
  if (!options.catalog_dir.empty()) {
    const absl::Status written = WriteCatalog(options.generate, options.catalog_dir);
    if (!written.ok()) return Fail(written);
  }
  const absl::StatusOr<GenerateReport> report = WriteEvents(options);
  if (!report.ok()) return Fail(report.status());
  if (options.quiet && !options.json) return kDone;
  const std::string text = options.json ? ToJson(*report).dump(2) + "\n" : ToText(*report);
  // When the events are on stdout, the report is not.
  if (options.output != "-") return Print(text);
  std::fputs(text.c_str(), stderr);
  return kDone;
}

}  // namespace tollbook
