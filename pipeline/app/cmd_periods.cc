#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/one_answer.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/change_period.h"

namespace tollbook {
namespace {

std::string TimeText(int64_t nanos) {
  return ToString(Instant{nanos / 1'000'000'000 * 1'000'000'000});
}

// "0.20 USD; 3 JPY"
std::string WaitingText(const PeriodRow& row) {
  std::string text;
  for (const WaitingAmount& waits : row.waiting) {
    text += (text.empty() ? "" : "; ") + ToString(Money{waits.currency, waits.sum.minor}) + " " +
            std::string(waits.currency.code());
  }
  return text;
}

uint64_t WaitingDifferencesOf(const PeriodRow& row) {
  uint64_t differences = 0;
  for (const WaitingAmount& waits : row.waiting) differences += waits.sum.differences;
  return differences;
}

Table TableOf(const std::vector<PeriodRow>& rows) {
  Table table({{"entity", false, Narrow::kKeep},
               {"period", false, Narrow::kKeep},
               {"first_day", false, Narrow::kKeep, ParquetType::kDate},
               {"last_day", false, Narrow::kKeep, ParquetType::kDate},
               {"state", false, Narrow::kKeep},
               {"batches", true, Narrow::kCut, ParquetType::kWhole},
               {"waiting_differences", true, Narrow::kCut, ParquetType::kWhole},
               {"waiting", true},
               {"changed_at"},
               {"by"},
               {"why", false, Narrow::kWrap}});
  for (const PeriodRow& row : rows) {
    const bool changed = row.last_change.has_value();
    table.Add({row.entity, row.period.name, ToString(row.period.first), ToString(row.period.last),
               std::string(ToString(row.state)), std::to_string(row.batches), std::to_string(WaitingDifferencesOf(row)),
               WaitingText(row), changed ? TimeText(row.changed_at_nanos) : "", changed ? row.last_change->by : "",
               changed ? row.last_change->why : ""});
  }
  return table;
}

// For people: what fits a screen.
Table ShortTableOf(const std::vector<PeriodRow>& rows) {
  Table table({{"entity", false, Narrow::kKeep},
               {"period", false, Narrow::kKeep},
               {"days", false, Narrow::kKeep},
               {"state", false, Narrow::kKeep},
               {"batches", true},
               {"waiting", true},
               {"by"},
               {"why", false, Narrow::kWrap}});
  for (const PeriodRow& row : rows) {
    table.Add({row.entity, row.period.name, ToString(row.period.first) + " to " + ToString(row.period.last),
               std::string(ToString(row.state)), Thousands(row.batches), WaitingText(row),
               row.last_change ? row.last_change->by : "", row.last_change ? row.last_change->why : ""});
  }
  return table;
}

absl::StatusOr<int> List(const PeriodsOptions& options, const Book& book, const Catalog& catalog) {
  absl::StatusOr<std::vector<PeriodRow>> rows = Periods(book, catalog, options.threads);
  if (!rows.ok()) return rows.status();
  std::erase_if(*rows, [&](const PeriodRow& row) { return !options.entity.empty() && row.entity != options.entity; });
  if (rows->empty() && options.format.empty()) {
    return Print("No accounting period has a batch, a change of its state or anything waiting.\n");
  }
  return PrintTable(options.format.empty() ? ShortTableOf(*rows) : TableOf(*rows), options.format);
}

int PrintChange(const PeriodChange& change, const std::string& format) {
  const std::string before(ToString(change.before)), after(ToString(change.after));
  if (format == "json") {
    Json json = {{"entity", change.entity},
                 {"period", change.period.name},
                 {"first_day", ToString(change.period.first)},
                 {"last_day", ToString(change.period.last)},
                 {"before", before},
                 {"after", after},
                 {"by", change.by},
                 {"why", change.why},
                 {"waived", Json::array()},
                 {"commit", change.sequence}};
    for (const PeriodWaiver& waiver : change.waived) {
      json["waived"].push_back({{"kind", waiver.kind}, {"count", waiver.count}});
    }
    return Print(ToText(json));
  }
  std::string text = change.entity + " " + change.period.name + ", " + ToString(change.period.first) + " to " +
                     ToString(change.period.last) + ": " + before + " -> " + after + ", by " + change.by + ": " +
                     change.why + "\n";
  for (const PeriodWaiver& waiver : change.waived) {
    text += "waived: " + waiver.kind + " " + Thousands(waiver.count) + "\n";
  }
  return Print(text);
}

absl::StatusOr<int> Run(const PeriodsOptions& options) {
  if (options.action) TOLLBOOK_RETURN_IF_ERROR(OneAnswer("a change of a period", options.format));
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "periods");
  if (!book.ok()) return book.status();
  const absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  if (!options.action) return List(options, **book, *catalog);
  TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(**book, *catalog, "periods", options.catalog));
  const PeriodOrder order{*options.action, options.entity, options.period, options.by,
                          options.why,     options.waive,  AccountName()};
  const absl::StatusOr<PeriodChange> change = ChangePeriod(**book, *catalog, order, options.threads);
  if (!change.ok()) return change.status();
  return PrintChange(*change, options.format);
}

}  // namespace

int CmdPeriods(const PeriodsOptions& options) {
  const absl::StatusOr<int> code = Run(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
