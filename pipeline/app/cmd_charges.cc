#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/waiting.h"

namespace tollbook {
namespace {

// The columns of the CSV are fixed; of JSON each row also says its plan.
Table TableOf(const std::vector<ChargeRow>& rows, bool with_plan) {
  // An exact amount has up to 36 decimals, more than a DECIMAL that warehouses read has room for: it stays text.
  std::vector<Column> columns = {{"subscription"},
                                 {"charge"},
                                 {"meter"},
                                 {"dimensions"},
                                 {"period_start", false, Narrow::kCut, ParquetType::kDate},
                                 {"period_end", false, Narrow::kCut, ParquetType::kDate},
                                 {"currency"},
                                 {"quantity", true, Narrow::kCut, ParquetType::kQuantity},
                                 {"amount_exact"},
                                 {"amount_booked", true, Narrow::kCut, ParquetType::kMoney}};
  if (with_plan) columns.push_back({"plan"});
  Table table(columns);
  for (const ChargeRow& row : rows) {
    std::vector<std::string> cells = {row.subscription,
                                      row.charge,
                                      row.meter,
                                      row.dimensions,
                                      ToString(row.period.start),
                                      ToString(row.period.end),
                                      std::string(row.currency.code()),
                                      row.is_rated ? ToString(row.quantity) : "",
                                      row.is_rated ? ToString(row.exact) : "",
                                      ToString(row.booked)};
    if (with_plan) cells.push_back(row.plan);
    table.Add(std::move(cells));
  }
  return table;
}

// For people: what fits a screen. The charge says the meter.
Table ShortTableOf(const std::vector<ChargeRow>& rows) {
  Table table({{"subscription"},
               {"plan"},
               {"charge"},
               {"dimensions"},
               {"period"},
               {"quantity", true},
               {"exact", true},
               {"booked", true},
               {"currency", false, Narrow::kKeep}});
  for (const ChargeRow& row : rows) {
    table.Add({row.subscription, row.plan, row.charge, row.dimensions, ToString(row.period),
               row.is_rated ? ToString(row.quantity) : "?", row.is_rated ? ToString(row.exact) : "?",
               ToString(row.booked), std::string(row.currency.code())});
  }
  return table;
}

absl::StatusOr<int> Show(const ReadOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "charges");
  if (!book.ok()) return book.status();
  absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  std::vector<std::string> not_rated;
  const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(**book, *catalog, {}, options.threads, &not_rated);
  if (!rows.ok()) return rows.status();
  PrintSetAside(not_rated);
  if (!options.format.empty()) return PrintTable(TableOf(*rows, options.format == "json"), options.format);
  const absl::StatusOr<std::vector<WaitingAmount>> waiting = WaitingDifferences(**book, *catalog, {}, options.threads);
  if (!waiting.ok()) return waiting.status();
  const int printed = PrintTable(ShortTableOf(*rows), "");
  if (printed != kDone || waiting->empty()) return printed;
  return Print("\nNot booked\n" + ToText(*waiting));
}

}  // namespace

int CmdCharges(const ReadOptions& options) {
  const absl::StatusOr<int> code = Show(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
