#include <cerrno>
#include <cstdio>
#include <cstring>

#include "pipeline/app/commands.h"
#include "pipeline/app/output_file.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/convert.h"

namespace tollbook {
namespace {

absl::StatusOr<ConvertReport> ConvertAll(const ConvertOptions& options) {
  LoadedCatalog loaded;
  if (!options.catalog.empty()) {
    absl::StatusOr<LoadedCatalog> read = LoadCatalog(options.catalog);
    if (!read.ok()) return read.status();
    loaded = *std::move(read);
  }
  absl::StatusOr<InputList> inputs = FindInputs(options.inputs, loaded.mappings);
  if (!inputs.ok()) return inputs.status();
  absl::StatusOr<OutputFile> output = OutputFile::Open(options.output);
  if (!output.ok()) return output.status();
  absl::StatusOr<ConvertReport> report = Convert(*inputs, [&](std::string_view lines) { return output->Write(lines); });
  if (!report.ok()) return report.status();
  TOLLBOOK_RETURN_IF_ERROR(output->Close());
  return report;
}

}  // namespace

int CmdConvert(const ConvertOptions& options) {
  const absl::StatusOr<ConvertReport> report = ConvertAll(options);
  if (!report.ok()) return Fail(report.status());
  PrintLeftOut(report->left_out);
  for (const UnconvertedLine& line : report->first_unconverted) {
    std::fprintf(stderr, "tollbook: not a usage event: %s:%llu: %s\n", line.path.c_str(),
                 static_cast<unsigned long long>(line.line), std::string(ToString(line.reason)).c_str());
  }
  if (!options.quiet) {
    std::fprintf(stderr, "%s converted, %s no usage events\n", Counted(report->converted, "event", "events").c_str(),
                 Counted(report->unconverted, "line is", "lines are").c_str());
  }
  return kDone;
}

}  // namespace tollbook
