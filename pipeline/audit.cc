#include "pipeline/audit.h"

#include <map>

#include "ledger/book_cut.h"
#include "ledger/catalog_load.h"
#include "ledger/decision.h"
#include "pipeline/stored_line.h"

namespace tollbook {
namespace {

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

struct AppliedCorrections {
  uint64_t count = 0;
  std::vector<AuditRow> shown;  // the first ones, without what is of their commit
};

// What counts of an event.
std::string ContentOf(const UsageEvent& event) {
  const std::string data(event.data_json);
  return std::string(event.type) + " " + std::string(event.subject) + " " + ToString(event.time) +
         (data.empty() ? "" : " " + data);
}

AuditRow RowOf(const UsageEvent& event, const std::string& path, uint64_t line) {
  const Correction& correction = *event.correction;
  AuditRow row;
  row.what = correction.is_void ? "void" : "correction";
  row.which = std::string(event.source) + " " + std::string(correction.original.id);
  row.why = std::string(event.id) + " from " + (path == "-" ? "standard input" : path) + ":" + std::to_string(line);
  row.before = ContentOf(correction.original);
  if (!correction.is_void) row.after = ContentOf(event);
  return row;
}

// What each commit applied.
absl::StatusOr<std::map<uint64_t, AppliedCorrections>> CorrectionsByCommit(const Book& book, size_t shown) {
  const absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
  if (!sources.ok()) return sources.status();
  const std::unique_ptr<Decoder> json = MakeJsonDecoder();
  Arena arena;
  std::map<uint64_t, AppliedCorrections> by_commit;
  const absl::Status visited = book.ForEachCorrections([&](const StoredExceptions& chunk) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    AppliedCorrections& applied = by_commit[chunk.sequence];
    applied.count += records->size();
    for (const ExceptionRecord& record : *records) {
      if (applied.shown.size() == shown) break;
      arena.Clear();
      const absl::StatusOr<UsageEvent> event = DecodeCorrectionLine(*json, record.payload, arena);
      if (!event.ok()) return event.status();
      applied.shown.push_back(RowOf(*event, (*sources)[record.source].path, record.line));
    }
    return absl::OkStatus();
  });
  if (!visited.ok()) return visited;
  return by_commit;
}

void AddCorrections(const CommitRecord& commit, const AppliedCorrections& applied, const std::string& run_by,
                    const std::string& run_why, std::vector<AuditRow>* rows) {
  const auto add = [&](const std::string& what, const std::string& which, const std::string& why,
                       const std::string& before, const std::string& after) {
    rows->push_back({commit.sequence, commit.committed_at_nanos, what, which, run_by, why, before, after});
  };
  add("corrections", "accepted usage", run_why, "", Counted(applied.count, "correction", "corrections") + " applied");
  for (const AuditRow& row : applied.shown) add(row.what, row.which, row.why, row.before, row.after);
  const uint64_t more = applied.count - applied.shown.size();
  if (more > 0) add("corrections", "and " + std::to_string(more) + " more", "--format csv has all", "", "");
}

// A catalog whose load was not recorded counts as loaded when the first seal books by it.
void AddSeal(const CommitRecord& commit, const SealRecord& seal, const std::string& catalog_before,
             const std::string& run_by, const std::string& why, std::vector<AuditRow>* rows) {
  const std::string name = "seal " + std::to_string(seal.number);
  if (seal.catalog_digest != catalog_before) {
    rows->push_back(
        {commit.sequence, commit.committed_at_nanos, "catalog", name, "", "", catalog_before, seal.catalog_digest});
  }
  const std::string through = seal.through ? " through " + ToString(*seal.through) : "";
  rows->push_back({commit.sequence, commit.committed_at_nanos, seal.adjusted_by.empty() ? "seal" : "adjusting seal",
                   name + through, seal.adjusted_by.empty() ? run_by : seal.adjusted_by,
                   seal.adjusted_by.empty() ? why : seal.adjusted_why, "",
                   Counted(seal.differences, "difference", "differences") + " in " +
                       Counted(seal.batches.size(), "batch", "batches")});
  if (!seal.reverses.empty()) {
    rows->push_back({commit.sequence, commit.committed_at_nanos, "reversal", seal.reverses, seal.reversed_by,
                     seal.reversed_why, "booked", "reversed by " + name});
  }
}

AuditRow RowOf(const CommitRecord& commit, const CatalogLoad& load) {
  return {commit.sequence, commit.committed_at_nanos, "catalog",   load.command,
          load.by,         "from " + load.from,       load.before, load.after};
}

AuditRow RowOf(const CommitRecord& commit, const PeriodChange& change) {
  std::string after(ToString(change.after));
  for (const PeriodWaiver& waiver : change.waived) {
    after += ", waived " + waiver.kind + " " + std::to_string(waiver.count);
  }
  return {commit.sequence,
          commit.committed_at_nanos,
          "period",
          change.entity + " " + change.period.name,
          change.by,
          change.why,
          std::string(ToString(change.before)),
          after};
}

std::string_view WordOf(DecisionKind kind) {
  switch (kind) {
    case DecisionKind::kApproval:
      return "approval";
    case DecisionKind::kDelivery:
      return "delivery";
    case DecisionKind::kPurge:
      return "purge";
    case DecisionKind::kTarget:
      return "target";
  }
  TOLLBOOK_ASSERT(!"a kind of the list");
  return "";
}

// What became of a delivery nobody signs, as a rule.
AuditRow RowOf(const CommitRecord& commit, const Decision& decision, const std::string& run_by) {
  return {commit.sequence,
          commit.committed_at_nanos,
          std::string(WordOf(decision.kind)),
          decision.which,
          decision.by.empty() ? run_by : decision.by,
          decision.why,
          decision.before,
          decision.after};
}

// Behind the newest commit of then.
AuditRow RowOf(const RestoreMark& mark) {
  return {mark.sequence,
          mark.restored_at_nanos,
          "restore",
          "backup " + std::to_string(mark.backup),
          mark.by,
          "",
          "",
          Counted(mark.sequence, "commit", "commits")};
}

}  // namespace

absl::StatusOr<AuditLog> Audit(const Book& book, size_t corrections_of_commit) {
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges();
  if (!changes.ok()) return changes.status();
  const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions(book);
  if (!decisions.ok()) return decisions.status();
  const absl::StatusOr<std::vector<CatalogLoad>> loads = CatalogLoads(book);
  if (!loads.ok()) return loads.status();
  const absl::StatusOr<std::vector<RestoreMark>> restored = RestoreMarks(book);
  if (!restored.ok()) return restored.status();
  const absl::StatusOr<std::map<uint64_t, AppliedCorrections>> corrections =
      CorrectionsByCommit(book, corrections_of_commit);
  if (!corrections.ok()) return corrections.status();

  AuditLog log;
  log.commits = commits->size();
  if (!commits->empty()) log.chain_hash = ToHex(commits->back().hash);
  auto seal = seals->begin();
  auto change = changes->begin();
  auto decided = decisions->begin();
  auto load = loads->begin();
  auto mark = restored->begin();
  std::string catalog;
  uint64_t held = 0;
  for (const CommitRecord& commit : *commits) {
    for (; mark != restored->end() && mark->sequence < commit.sequence; ++mark) log.rows.push_back(RowOf(*mark));
    std::string run_by, run_why;  // whose account ran what nobody signs; or who decided it, and why
    bool is_retry = commit.retires_held;
    const auto row = [&](std::string what, std::string which, std::string before, std::string after) {
      log.rows.push_back({commit.sequence, commit.committed_at_nanos, std::move(what), std::move(which), run_by,
                          run_why, std::move(before), std::move(after)});
    };
    if (load != loads->end() && load->sequence == commit.sequence) {
      if (load->before != load->after) log.rows.push_back(RowOf(commit, *load));
      run_by = load->decided_by.empty() ? load->by : load->decided_by;
      run_why = load->decided_why;
      is_retry = is_retry || (commit.retires_corrections && load->command == kRetryCommand);
      catalog = load->after;
      ++load;
    }
    if (is_retry) {
      row("retry", commit.retires_held ? "held lines" : "held corrections", std::to_string(held) + " held",
          std::to_string(commit.book.held) + " held");
    }
    held = commit.book.held;
    if (const auto applied = corrections->find(commit.sequence); applied != corrections->end()) {
      AddCorrections(commit, applied->second, run_by, run_why, &log.rows);
    }
    if (seal != seals->end() && seal->sequence == commit.sequence) {
      AddSeal(commit, *seal, catalog, run_by, run_why, &log.rows);
      catalog = seal->catalog_digest;
      ++seal;
    }
    if (change != changes->end() && change->sequence == commit.sequence) {
      log.rows.push_back(RowOf(commit, *change));
      ++change;
    }
    if (decided != decisions->end() && decided->sequence == commit.sequence) {
      for (const Decision& decision : decided->decisions) log.rows.push_back(RowOf(commit, decision, run_by));
      ++decided;
    }
  }
  for (; mark != restored->end(); ++mark) log.rows.push_back(RowOf(*mark));
  return log;
}

}  // namespace tollbook
