// JournalText: journal batches for other programs: rows of a table, CSV, JSON, plain-text accounting, Parquet.
#ifndef TOLLBOOK_PIPELINE_JOURNAL_TEXT_H_
#define TOLLBOOK_PIPELINE_JOURNAL_TEXT_H_

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/journal.h"
#include "pipeline/functional_amounts.h"
#include "pipeline/parquet.h"
#include "rating/catalog.h"

namespace tollbook {

struct JournalColumn {
  std::string_view name;
  bool is_number = false;
  ParquetType type = ParquetType::kText;
};
inline constexpr std::array<JournalColumn, 13> kJournalColumns = {{{"batch_id"},
                                                                   {"posting_key"},
                                                                   {"entity"},
                                                                   {"accounting_period"},
                                                                   {"posting_date", false, ParquetType::kDate},
                                                                   {"line", true, ParquetType::kWhole},
                                                                   {"account"},
                                                                   {"debit", true, ParquetType::kMoney},
                                                                   {"credit", true, ParquetType::kMoney},
                                                                   {"currency"},
                                                                   {"dimensions"},
                                                                   {"product"},
                                                                   {"memo"}}};

// A row for each posting, under kJournalColumns: by line, then by account.
[[nodiscard]] std::vector<std::vector<std::string>> RowsOf(const JournalBatch& batch);

// Behind kJournalColumns, where each amount is told in its entity's functional currency too.
inline constexpr std::array<JournalColumn, 5> kFunctionalColumns = {{{"functional_debit", true, ParquetType::kMoney},
                                                                     {"functional_credit", true, ParquetType::kMoney},
                                                                     {"functional_currency"},
                                                                     {"rate", true, ParquetType::kQuantity},
                                                                     {"rate_date", false, ParquetType::kDate}}};

// RowsOf with kFunctionalColumns; `amounts` has one for each line. They are empty where it has none.
[[nodiscard]] std::vector<std::vector<std::string>> FunctionalRowsOf(const JournalBatch& batch,
                                                                     const LineAmounts& amounts);

// RFC 4180, with a header; the rows of one batch.
[[nodiscard]] std::string CsvOf(const JournalBatch& batch);

// One object: what the batch is, its sums, and its lines; amounts are text. Ends with a line end.
[[nodiscard]] std::string JsonOf(const JournalBatch& batch);

// RowsOf as a Parquet file, the same bytes for the same batch. OutOfRange: an amount of 10^34 or more.
[[nodiscard]] absl::StatusOr<std::string> ParquetOf(const JournalBatch& batch);

// Appends a cell, in quotes where RFC 4180 asks for them.
void AppendCsvCell(std::string_view cell, std::string* out);

// Plain-text accounting, as ledger and hledger read it: the top account is the type, so that their reports know assets
// from revenue.
class LedgerText {
 public:
  explicit LedgerText(const Catalog& catalog);
  // `amounts`: empty, or one for each line: what its postings cost in the entity's functional currency.
  [[nodiscard]] std::string Of(const JournalBatch& batch, const LineAmounts& amounts = {}) const;

 private:
  std::string Name(const std::string& entity, std::string_view code) const;
  std::map<std::string, Account> accounts_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_JOURNAL_TEXT_H_
