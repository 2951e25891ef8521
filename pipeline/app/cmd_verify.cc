#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/verify.h"

namespace tollbook {

int CmdVerify(const ReadOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "verify");
  if (!book.ok()) return Fail(book.status());
  bool holds = true;
  Table table({{"law", true}, {"what"}, {"holds"}, {"detail", false, Narrow::kWrap}});
  Json json = Json::array();
  for (const LawCheck& check : Verify(**book, options.threads)) {
    holds = holds && check.holds;
    table.Add({check.law == 0 ? "" : std::to_string(check.law), check.name, check.holds ? "yes" : "NO", check.detail});
    json.push_back({{"law", check.law}, {"name", check.name}, {"holds", check.holds}, {"detail", check.detail}});
  }
  const int printed = Print(options.format == "json" ? ToText(json) : table.ToText());
  if (printed != kDone) return printed;
  return holds ? kDone
               : Fail(MakeError(
                     absl::StatusCode::kDataLoss, "a law does not hold", options.books,
                     "do not post from this book; restore it from a backup, or absorb the sources into a new one"));
}

int CmdReconcile(const ReadOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "reconcile");
  if (!book.ok()) return Fail(book.status());
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(**book, options.threads);
  if (!rows.ok()) return Fail(rows.status());
  bool equal = true;
  Table table({{"step"},
               {"entity"},
               {"currency"},
               {"compared", false, Narrow::kWrap},
               {"left", true},
               {"right", true},
               {"equal"}});
  for (const ReconcileRow& row : *rows) {
    equal = equal && row.equal;
    table.Add({row.step, row.entity, row.currency, row.what, row.left, row.right, row.equal ? "yes" : "NO"});
  }
  const int printed = PrintTable(table, options.format);
  if (printed != kDone) return printed;
  return equal ? kDone
               : Fail(MakeError(absl::StatusCode::kFailedPrecondition, "the book does not reconcile", options.books,
                                "seal if usage came after the last seal, then look at the rows that say NO; `tollbook "
                                "verify` names what is damaged"));
}

}  // namespace tollbook
