#include "ledger/anchor.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/audit.h"

namespace tollbook {
namespace {

constexpr size_t kCorrectionsShown = 20;  // of each commit

std::string TimeText(int64_t nanos) {
  return ToString(Instant{nanos / 1'000'000'000 * 1'000'000'000});
}

Table TableOf(const AuditLog& log) {
  Table table({{"commit", true},
               {"at", false, Narrow::kKeep},
               {"what"},
               {"which", false, Narrow::kKeep},
               {"by"},
               {"why", false, Narrow::kWrap},
               {"before", false, Narrow::kCut},
               {"after", false, Narrow::kCut}});
  for (const AuditRow& row : log.rows) {
    table.Add({std::to_string(row.commit), TimeText(row.at_nanos), row.what, row.which, row.by, row.why, row.before,
               row.after});
  }
  return table;
}

std::string JsonOf(const AuditLog& log) {
  Json json = {{"commits", log.commits}, {"chain_hash", log.chain_hash}, {"rows", Json::array()}};
  for (const AuditRow& row : log.rows) {
    json["rows"].push_back({{"commit", row.commit},
                            {"at", TimeText(row.at_nanos)},
                            {"what", row.what},
                            {"which", row.which},
                            {"by", row.by},
                            {"why", row.why},
                            {"before", row.before},
                            {"after", row.after}});
  }
  return ToText(json);
}

}  // namespace

int CmdAudit(const AuditOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "audit");
  if (!book.ok()) return Fail(book.status());
  if (options.anchor) {
    const absl::StatusOr<Anchor> anchor = AnchorOf(**book);
    return anchor.ok() ? Print(ToString(*anchor) + "\n") : Fail(anchor.status());
  }
  const bool is_for_people = options.format.empty();
  const absl::StatusOr<AuditLog> log = is_for_people ? Audit(**book, kCorrectionsShown) : Audit(**book);
  if (!log.ok()) return Fail(log.status());
  if (options.format == "json") return Print(JsonOf(*log));
  if (!options.format.empty()) return PrintTable(TableOf(*log), options.format);
  const std::string chain = Counted(log->commits, "commit", "commits") +
                            "; the newest's hash, which covers all of them:\n" + log->chain_hash + "\n";
  if (log->rows.empty()) return Print("Nothing was sealed or decided yet.\n" + (log->commits == 0 ? "" : chain));
  return Print(TableOf(*log).ToText() + "\n" + chain);
}

}  // namespace tollbook
