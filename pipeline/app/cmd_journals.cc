#include "pipeline/app/commands.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/journal_text.h"

namespace tollbook {
namespace {

Table TableOf(const std::vector<JournalBatch>& batches) {
  std::vector<Column> columns;
  for (const JournalColumn& column : kJournalColumns) columns.push_back({std::string(column.name), column.is_number});
  Table table(std::move(columns));
  for (const JournalBatch& batch : batches) {
    for (std::vector<std::string>& row : RowsOf(batch)) table.Add(std::move(row));
  }
  return table;
}

// For people: what can be read on a screen; the batch's id says entity, currency and period. The posting key and the
// rest are in the CSV.
Table ShortTableOf(const std::vector<JournalBatch>& batches) {
  Table table({{"line", false, Narrow::kKeep},
               {"posting_date", false, Narrow::kKeep},
               {"account"},
               {"debit", true},
               {"credit", true},
               {"product"}});
  for (const JournalBatch& batch : batches) {
    for (const JournalLine& line : batch.lines) {
      for (const Posting& posting : PostingsOf(line)) {
        const std::string amount = ToString(posting.amount);
        table.Add({batch.id + "/" + std::to_string(line.number), ToString(line.key.posting_date),
                   std::string(posting.account), posting.is_debit ? amount : "", posting.is_debit ? "" : amount,
                   line.key.product});
      }
    }
  }
  return table;
}

absl::StatusOr<int> Show(const ReadOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "journals");
  if (!book.ok()) return book.status();
  absl::StatusOr<std::vector<JournalBatch>> batches = (*book)->Batches();
  if (!batches.ok()) return batches.status();
  if (options.format == "ledger") {
    if (batches->empty()) return kDone;
    absl::StatusOr<Catalog> catalog = SealedCatalog(**book);
    if (!catalog.ok()) return catalog.status();
    const LedgerText ledger(*catalog);
    std::string text;
    for (const JournalBatch& batch : *batches) text += ledger.Of(batch);
    return Print(text);
  }
  if (batches->empty() && options.format.empty()) {
    return Print("The journal is empty: `tollbook seal` books what was absorbed.\n");
  }
  return PrintTable(options.format.empty() ? ShortTableOf(*batches) : TableOf(*batches), options.format);
}

}  // namespace

int CmdJournals(const ReadOptions& options) {
  const absl::StatusOr<int> code = Show(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
