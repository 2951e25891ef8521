#include "pipeline/app/commands.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"

namespace tollbook {
namespace {

Table TableOf(const std::vector<ChargeRow>& rows) {
  Table table({{"subscription"},
               {"charge"},
               {"meter"},
               {"dimensions"},
               {"period_start"},
               {"period_end"},
               {"currency"},
               {"quantity", true},
               {"amount_exact", true},
               {"amount_booked", true}});
  for (const ChargeRow& row : rows) {
    table.Add({row.subscription, row.charge, row.meter, row.dimensions, ToString(row.period.start),
               ToString(row.period.end), std::string(row.currency.code()), ToString(row.quantity), ToString(row.exact),
               ToString(row.booked)});
  }
  return table;
}

// For people: what fits a screen. The charge says the meter.
Table ShortTableOf(const std::vector<ChargeRow>& rows) {
  Table table({{"subscription"},
               {"charge"},
               {"dimensions"},
               {"period"},
               {"quantity", true},
               {"exact", true},
               {"booked", true},
               {"currency", false, Narrow::kKeep}});
  for (const ChargeRow& row : rows) {
    table.Add({row.subscription, row.charge, row.dimensions, ToString(row.period), ToString(row.quantity),
               ToString(row.exact), ToString(row.booked), std::string(row.currency.code())});
  }
  return table;
}

absl::StatusOr<std::vector<ChargeRow>> Rows(const ReadOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "charges");
  if (!book.ok()) return book.status();
  absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  return Charges(**book, *catalog, {}, options.threads);
}

}  // namespace

int CmdCharges(const ReadOptions& options) {
  const absl::StatusOr<std::vector<ChargeRow>> rows = Rows(options);
  if (!rows.ok()) return Fail(rows.status());
  return PrintTable(options.format.empty() ? ShortTableOf(*rows) : TableOf(*rows), options.format);
}

}  // namespace tollbook
