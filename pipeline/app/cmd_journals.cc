#include <map>

#include "ledger/decision.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/one_answer.h"
#include "pipeline/app/report.h"
#include "pipeline/app/run_flow.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/approval.h"
#include "pipeline/charges.h"
#include "pipeline/functional_amounts.h"
#include "pipeline/journal_text.h"

namespace tollbook {
namespace {

// By batch; each empty where functional amounts were not asked for.
using BatchAmounts = std::vector<LineAmounts>;

absl::StatusOr<BatchAmounts> AmountsOf(const Book& book, const std::vector<JournalBatch>& batches, bool functional) {
  BatchAmounts amounts(batches.size());
  if (!functional) return amounts;
  FunctionalAmounts reckoned(book);
  for (size_t i = 0; i < batches.size(); ++i) {
    absl::StatusOr<LineAmounts> of_batch = reckoned.Of(batches[i]);
    if (!of_batch.ok()) return of_batch.status();
    amounts[i] = *std::move(of_batch);
  }
  return amounts;
}

// `usage_dates`: a column behind kJournalColumns. Not of the CSV, whose columns stay what importers know.
Table TableOf(const std::vector<JournalBatch>& batches, const BatchAmounts& amounts, bool functional,
              bool usage_dates) {
  std::vector<Column> columns;
  const auto add = [&](const JournalColumn& column) {
    columns.push_back({std::string(column.name), column.is_number, Narrow::kCut, column.type});
  };
  for (const JournalColumn& column : kJournalColumns) add(column);
  if (usage_dates) add({"usage_date", false, ParquetType::kDate});
  if (functional) {
    for (const JournalColumn& column : kFunctionalColumns) add(column);
  }
  Table table(std::move(columns));
  for (size_t i = 0; i < batches.size(); ++i) {
    std::vector<std::vector<std::string>> rows =
        functional ? FunctionalRowsOf(batches[i], amounts[i]) : RowsOf(batches[i]);
    for (size_t posting = 0; posting < rows.size(); ++posting) {
      std::vector<std::string>& row = rows[posting];
      const std::optional<Day>& used = batches[i].lines[posting / 2].key.usage_date;  // two postings a line
      if (usage_dates) row.insert(row.begin() + kJournalColumns.size(), used ? ToString(*used) : "");
      table.Add(std::move(row));
    }
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

using Approved = std::map<std::string, Approval, std::less<>>;

// By batch id.
Table TableOf(const Approved& approvals, bool all) {
  Table table({{"batch", false, Narrow::kKeep},
               {"state", false, Narrow::kKeep},
               {"held_because", false, Narrow::kWrap},
               {"by"},
               {"why", false, Narrow::kWrap}});
  for (const auto& [batch, approval] : approvals) {
    if (!all && approval.state == kApproved) continue;
    table.Add({batch, approval.state, approval.held_because, approval.by, approval.why});
  }
  return table;
}

absl::StatusOr<int> ShowHeld(const JournalsOptions& options) {
  if (options.format == "ledger") {
    return MakeError(absl::StatusCode::kInvalidArgument, "journals held has no postings", "--format ledger",
                     "leave it out, or use csv, json or parquet");
  }
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "journals held");
  if (!book.ok()) return book.status();
  const absl::StatusOr<Approved> approvals = Approvals(**book);
  if (!approvals.ok()) return approvals.status();
  if (approvals->empty() && options.format.empty()) return Print("No seal has held a batch for approval.\n");
  return PrintTable(TableOf(*approvals, true), options.format);
}

absl::StatusOr<int> Decide(const JournalsOptions& options) {
  const bool approves = options.action == JournalsOptions::Action::kApprove;
  const std::string command = approves ? "journals approve" : "journals reject";
  TOLLBOOK_RETURN_IF_ERROR(OneAnswer(command, options.format));
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, command);
  if (!book.ok()) return book.status();
  const absl::StatusOr<Catalog> catalog = SealedCatalog(**book);
  if (!catalog.ok()) return catalog.status();
  const absl::StatusOr<Decision> made =
      DecideApproval(**book, *catalog, {options.batch, approves, options.by, options.why, AccountName()});
  if (!made.ok()) return made.status();
  if (options.format == "json") {
    return Print(ToText(Json{{"batch", made->which},
                             {"before", made->before},
                             {"after", made->after},
                             {"by", made->by},
                             {"why", made->why},
                             {"commit", (*book)->last_sequence()}}));
  }
  return Print(made->which + ": " + made->before + " -> " + made->after + ", by " + made->by + ": " + made->why + "\n");
}

// A seal, reported as one.
int Reverse(const JournalsOptions& options) {
  if (const absl::Status one = OneAnswer("journals reverse", options.format); !one.ok()) return Fail(one);
  RunFlow flow{"journals reverse", options.books, options.catalog, options.through};
  flow.seal = true;
  flow.reversal = ReversalOrder{options.batch, options.by, options.why};
  if (options.adjust) {
    flow.adjusted_by = options.by;
    flow.adjusted_why = options.why;
  }
  flow.threads = options.threads;
  flow.json = options.format == "json";
  return RunAndReport(flow);
}

// By the batches that are taken back.
Table ReversalsOf(const std::vector<SealRecord>& seals) {
  Table table({{"batch", false, Narrow::kKeep}, {"reversed_by_seal", true}, {"by"}, {"why", false, Narrow::kWrap}});
  for (const SealRecord& seal : seals) {
    if (!seal.reverses.empty()) {
      table.Add({seal.reverses, std::to_string(seal.number), seal.reversed_by, seal.reversed_why});
    }
  }
  return table;
}

absl::StatusOr<int> Show(const JournalsOptions& options) {
  if (options.functional && options.format.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "--functional is for other programs", "no --format",
                     "add --format csv, json, ledger or parquet");
  }
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "journals");
  if (!book.ok()) return book.status();
  absl::StatusOr<std::vector<JournalBatch>> batches = (*book)->Batches();
  if (!batches.ok()) return batches.status();
  const absl::StatusOr<BatchAmounts> amounts = AmountsOf(**book, *batches, options.functional);
  if (!amounts.ok()) return amounts.status();
  if (options.format == "ledger") {
    if (batches->empty()) return kDone;
    absl::StatusOr<Catalog> catalog = SealedCatalog(**book);
    if (!catalog.ok()) return catalog.status();
    const LedgerText ledger(*catalog);
    std::string text;
    for (size_t i = 0; i < batches->size(); ++i) text += ledger.Of((*batches)[i], (*amounts)[i]);
    return Print(text);
  }
  if (batches->empty() && options.format.empty()) {
    return Print("The journal is empty: `tollbook seal` books what was absorbed.\n");
  }
  if (!options.format.empty()) {
    return PrintTable(TableOf(*batches, *amounts, options.functional, options.format != "csv"), options.format);
  }
  const absl::StatusOr<Approved> approvals = Approvals(**book);
  if (!approvals.ok()) return approvals.status();
  const absl::StatusOr<std::vector<SealRecord>> seals = (*book)->Seals();
  if (!seals.ok()) return seals.status();
  const Table held = TableOf(*approvals, false), reversals = ReversalsOf(*seals);
  return Print(ShortTableOf(*batches).ToText() + (held.rows() == 0 ? "" : "\nNot approved\n" + held.ToText()) +
               (reversals.rows() == 0 ? "" : "\nReversed\n" + reversals.ToText()));
}

}  // namespace

int CmdJournals(const JournalsOptions& options) {
  using Action = JournalsOptions::Action;
  if (options.action == Action::kReverse) return Reverse(options);
  const bool shows_all = options.action == Action::kList;
  const absl::StatusOr<int> code = shows_all                         ? Show(options)
                                   : options.action == Action::kHeld ? ShowHeld(options)
                                                                     : Decide(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
