#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/verify.h"

namespace tollbook {

namespace {

absl::StatusOr<std::vector<LawCheck>> ChecksOf(const Book& book, const VerifyOptions& options) {
  std::vector<Anchor> anchors;
  for (const std::string& text : options.anchors) {
    const std::optional<Anchor> anchor = ParseAnchor(text);
    if (!anchor) {
      return MakeError(absl::StatusCode::kInvalidArgument, "not an anchor", "--anchor " + text,
                       "write it as `tollbook audit --anchor` printed it");
    }
    anchors.push_back(*anchor);
  }
  std::vector<LawCheck> checks;
  if (!options.audit) checks = Verify(book, options.threads);
  if (options.audit || !anchors.empty()) {
    for (LawCheck& check : VerifyAudit(book, anchors)) checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace

int CmdVerify(const VerifyOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "verify");
  if (!book.ok()) return Fail(book.status());
  const absl::StatusOr<std::vector<LawCheck>> checks = ChecksOf(**book, options);
  if (!checks.ok()) return Fail(checks.status());
  bool holds = true;
  Table table({{"law", true}, {"what"}, {"holds"}, {"detail", false, Narrow::kWrap}});
  Json json = Json::array();
  for (const LawCheck& check : *checks) {
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
               {"equal"},
               {"period", false, Narrow::kKeep},
               {"not_there_yet", false, Narrow::kWrap}});
  for (const ReconcileRow& row : *rows) {
    equal = equal && row.equal;
    const std::string equal = !row.equal ? "NO" : row.left == row.right ? "yes" : "explained";
    table.Add({row.step, row.entity, row.currency, row.what, row.left, row.right, equal, row.period, row.explained});
  }
  const int printed = PrintTable(table, options.format);
  if (printed != kDone) return printed;
  return equal ? kDone
               : Fail(MakeError(absl::StatusCode::kFailedPrecondition, "the book does not reconcile", options.books,
                                "seal if usage came after the last seal, then look at the rows that say NO; `tollbook "
                                "verify` names what is damaged"));
}

}  // namespace tollbook
