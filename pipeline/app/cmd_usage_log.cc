#include <map>

#include "ledger/purge.h"
#include "ledger/usage_log.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/usage_log.h"
#include "rating/retention.h"

namespace tollbook {
namespace {

struct Logged {
  uint64_t segments = 0, bytes = 0;  // that are there
  uint64_t purged = 0;               // segments
};

std::string_view ToString(UsageLogReader::Has has) {
  switch (has) {
    case UsageLogReader::Has::kNothing:
      return "part";
    case UsageLogReader::Has::kPurged:
      return "purged";
    case UsageLogReader::Has::kWhole:
      return "whole";
  }
  TOLLBOOK_ASSERT(!"one of these");
  return "";
}

// A source a row: what it has in the log, and whether that is all that was absorbed of it.
absl::StatusOr<int> List(const UsageLogOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "usage-log");
  if (!book.ok()) return book.status();
  const absl::StatusOr<std::vector<SourceRecord>> sources = (*book)->Sources();
  if (!sources.ok()) return sources.status();
  const absl::StatusOr<std::vector<UsageSegment>> segments = UsageSegments(**book);
  if (!segments.ok()) return segments.status();
  UsageLogReader log(**book);
  TOLLBOOK_RETURN_IF_ERROR(log.Open());
  std::map<uint32_t, Logged> logged;
  for (const UsageSegment& segment : *segments) {
    Logged& of = logged[segment.source];
    if (segment.purged_by != 0) {
      ++of.purged;
      continue;
    }
    ++of.segments;
    of.bytes += segment.place.bytes;
  }
  Table table({{"source", false, Narrow::kTail},
               {"lines", true},
               {"content_bytes", true},
               {"in_log"},
               {"segments", true},
               {"bytes", true},
               {"purged_segments", true}});
  for (const SourceRecord& source : *sources) {
    const auto of = logged.find(source.id);
    const Logged what = of == logged.end() ? Logged() : of->second;
    table.Add({source.path, std::to_string(source.counts.lines), std::to_string(source.offset),
               of == logged.end() ? "nothing" : std::string(ToString(log.Of(source))), std::to_string(what.segments),
               std::to_string(what.bytes), std::to_string(what.purged)});
  }
  return PrintTable(table, options.format);
}

absl::StatusOr<int> Purge(const UsageLogOptions& options) {
  if (options.by.empty() || options.why.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "a purge needs somebody who decides it", "usage-log purge",
                     "name them with --by, and the reason with --why");
  }
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "usage-log purge");
  if (!book.ok()) return book.status();
  const absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  const std::optional<int> months = RetentionOf(*catalog).usage_log_months;
  if (!months) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the catalog keeps the usage log for ever", options.books,
                     "write `retention: {usage_log_months: 12}`, say, in book.yaml");
  }
  const Zone& zone = catalog->book.zone;
  const Day today = zone.DayOf(Now()), before = MonthsBefore(today, *months);
  const absl::StatusOr<UsagePurgeReport> report =
      PurgeUsage(**book, {zone.StartOf(before).nanos, today, options.by, options.why});
  if (!report.ok()) return report.status();
  if (options.format == "json") {
    return Print(ToText(Json{{"before", ToString(before)},
                             {"segments", report->segments},
                             {"bytes", report->bytes},
                             {"epochs", report->epochs}}));
  }
  return Print(Counted(report->segments, "segment", "segments") + " of before " + ToString(before) + " purged, " +
               Thousands(report->bytes) + " bytes, of " + Counted(report->epochs, "epoch", "epochs") + "\n");
}

}  // namespace

int CmdUsageLog(const UsageLogOptions& options) {
  const absl::StatusOr<int> code = options.purge ? Purge(options) : List(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
