#include <algorithm>
#include <map>
#include <tuple>

#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/waiting.h"

namespace tollbook {
namespace {

// The columns of the CSV are fixed; of JSON each row also says its plan and its entity.
Table TableOf(const std::vector<ChargeRow>& rows, bool with_names) {
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
  if (with_names) {
    for (const char* name : {"plan", "entity"}) columns.push_back({name});
  }
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
    if (with_names) {
      for (const std::string& name : {row.plan, row.entity}) cells.push_back(name);
    }
    table.Add(std::move(cells));
  }
  return table;
}

// Whether a charge has rows in the books of two entities for one period: who delivers it has changed, or who sells it.
bool EntityTellsApart(const std::vector<ChargeRow>& rows) {
  using Row = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, BillingPeriod>;
  std::map<Row, std::string_view> entities;
  return std::ranges::any_of(rows, [&](const ChargeRow& row) {
    const Row of{row.subscription, row.plan, row.charge, row.dimensions, row.period};
    return entities.try_emplace(of, row.entity).first->second != row.entity;
  });
}

// For people: what fits a screen. The charge says the meter.
Table ShortTableOf(const std::vector<ChargeRow>& rows) {
  const bool with_entity = EntityTellsApart(rows);
  std::vector<Column> columns = {{"subscription"}, {"plan"},         {"charge"},
                                 {"dimensions"},   {"period"},       {"quantity", true},
                                 {"exact", true},  {"booked", true}, {"currency", false, Narrow::kKeep}};
  if (with_entity) columns.insert(columns.begin() + 3, Column{"entity"});
  Table table(columns);
  for (const ChargeRow& row : rows) {
    std::vector<std::string> cells = {row.subscription,
                                      row.plan,
                                      row.charge,
                                      row.dimensions,
                                      ToString(row.period),
                                      row.is_rated ? ToString(row.quantity) : "?",
                                      row.is_rated ? ToString(row.exact) : "?",
                                      ToString(row.booked),
                                      std::string(row.currency.code())};
    if (with_entity) cells.insert(cells.begin() + 3, row.entity);
    table.Add(std::move(cells));
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
