#include <map>

#include "ledger/cut_off.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/forget_keys.h"
#include "rating/retention.h"

namespace tollbook {
namespace {

// What was forgotten, by decision; what is kept, by the month of the latest usage that it lies with.
absl::StatusOr<int> List(const DedupKeysOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "dedup-keys");
  if (!book.ok()) return book.status();
  const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(**book);
  if (!cut_offs.ok()) return cut_offs.status();
  Table table({{"latest_usage"}, {"state"}, {"keys", true}, {"bytes", true}});
  for (const CutOff& cut_off : *cut_offs) {
    table.Add({"before " + ToString(cut_off.before), "forgotten", std::to_string(cut_off.forgotten.entries), "0"});
  }
  std::map<Day, SeenKept> months;
  for (const auto& [date, kept] : KeptKeys(**book)) {
    SeenKept& month = months[date == kLatestUnknown ? date : FirstOfMonth(date)];
    month.entries += kept.entries;
    month.bytes += kept.bytes;
  }
  for (const auto& [month, kept] : months) {
    table.Add({month == kLatestUnknown ? "unknown" : ToString(month).substr(0, 7), "kept", std::to_string(kept.entries),
               std::to_string(kept.bytes)});
  }
  return PrintTable(table, options.format);
}

absl::StatusOr<int> Purge(const DedupKeysOptions& options) {
  const auto wrong = [](std::string_view what, std::string_view which, std::string_view what_to_do) {
    return MakeError(absl::StatusCode::kInvalidArgument, what, which, what_to_do);
  };
  if (options.by.empty() || options.why.empty()) {
    return wrong("a purge needs somebody who decides it", "dedup-keys purge",
                 "name them with --by, and the reason with --why");
  }
  if (!options.waive.empty() && options.waive != "held")
    return wrong("this cannot be waived", "--waive " + options.waive, "only held can");
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "dedup-keys purge");
  if (!book.ok()) return book.status();
  const absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(**book, *catalog, "dedup-keys purge", options.catalog));
  const std::optional<int> months = RetentionOf(*catalog).dedup_keys_months;
  if (!months) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the catalog keeps dedup keys for ever", options.books,
                     "write `retention: {dedup_keys_months: 36}`, say, in book.yaml");
  }
  const Day before = MonthsBefore(catalog->book.zone.DayOf(Now()), *months);
  const absl::StatusOr<ForgetReport> report =
      ForgetKeysOf(**book, *catalog, {before, options.by, options.why, options.waive == "held"}, options.threads);
  if (!report.ok()) return report.status();
  const bool refuses = report->before != kNoUsage;
  if (options.format == "json") {
    Json json{{"before", ToString(before)}, {"keys", report->keys}, {"bytes", report->bytes}};
    json["refused_before"] = refuses ? Json(ToString(report->before)) : Json(nullptr);
    return Print(ToText(json));
  }
  return Print(Counted(report->keys, "key", "keys") + " of usage before " + ToString(before) + " forgotten, " +
               Thousands(report->bytes) + " bytes; " +
               (refuses ? "usage before " + ToString(report->before) : std::string("none")) + " is refused\n");
}

}  // namespace

int CmdDedupKeys(const DedupKeysOptions& options) {
  const absl::StatusOr<int> code = options.purge ? Purge(options) : List(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
