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
  return rows.ok() ? PrintTable(TableOf(*rows), options.format) : Fail(rows.status());
}

}  // namespace tollbook
