#include <algorithm>
#include <ctime>
#include <filesystem>
#include <span>

#include "ledger/book_cut.h"
#include "ledger/outbox.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/standstill.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"
#include "pipeline/posting_periods.h"
#include "pipeline/verify.h"
#include "pipeline/waiting.h"

namespace tollbook {
namespace {

uint64_t BytesOnDisk(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, error)) {
    if (entry.is_regular_file(error)) bytes += entry.file_size(error);
  }
  return bytes;
}

std::string ToSeconds(int64_t nanos) {
  return ToString(Instant{nanos / 1'000'000'000 * 1'000'000'000});
}

// A rule that takes whatever there is.
bool TakesAll(const PostingRule& rule) {
  return ScopeText(rule).empty();
}

// Of the book as the newest seal left it, by its catalog: one that came later may have meters that this one does not
// know. The totals are rated only where something may wait: a status should be quick.
absl::StatusOr<std::vector<WaitingAmount>> WaitingIn(const Book& book, std::span<const SealRecord> seals, int threads) {
  const absl::StatusOr<Catalog> catalog = SealedCatalog(book);
  if (absl::IsNotFound(catalog.status())) return std::vector<WaitingAmount>();
  if (!catalog.ok()) return catalog.status();
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, *catalog);
  if (!periods.ok()) return periods.status();
  const bool has_rule_for_all = std::ranges::any_of(catalog->posting_rules, TakesAll);
  if (periods->all_open() && has_rule_for_all) return std::vector<WaitingAmount>();
  return WaitingDifferences(book, *catalog, {.through_sequence = seals.back().sequence}, threads);
}

Table TableOf(const std::vector<TargetState>& targets) {
  Table table({{"target", false, Narrow::kKeep},
               {"waiting", true},
               {"parked", true},
               {"hears nothing while", false, Narrow::kWrap}});
  for (const TargetState& target : targets) {
    table.Add({target.target, Thousands(target.waiting), Thousands(target.parked), ToText(target)});
  }
  return table;
}

absl::StatusOr<int> Show(const ReadOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "status");
  if (!book.ok()) return book.status();
  absl::StatusOr<std::vector<CommitRecord>> commits = (*book)->Commits();
  if (!commits.ok()) return commits.status();
  absl::StatusOr<std::vector<SealRecord>> seals = (*book)->Seals();
  if (!seals.ok()) return seals.status();
  absl::StatusOr<std::vector<SourceRecord>> sources = (*book)->Sources();
  if (!sources.ok()) return sources.status();

  const absl::StatusOr<uint64_t> corrections = AppliedCorrections(**book);
  if (!corrections.ok()) return corrections.status();

  const absl::StatusOr<std::vector<RestoreMark>> restored = RestoreMarks(**book);
  if (!restored.ok()) return restored.status();
  const absl::StatusOr<std::vector<WaitingAmount>> waiting = WaitingIn(**book, *seals, options.threads);
  if (!waiting.ok()) return waiting.status();

  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(**book);
  if (!deliveries.ok()) return deliveries.status();
  const absl::StatusOr<Standstill> standstill = Standstill::Of(**book, "", Now());
  if (!standstill.ok()) return standstill.status();
  const std::vector<TargetState> targets = standstill->StatesOf(*deliveries);

  const BookIdentity& identity = (*book)->identity();
  const LineCounts& counts = (*book)->counts();
  const uint64_t sealed_through = seals->empty() ? 0 : seals->back().sequence;
  uint64_t unsealed = 0, batches = 0, unfinished = 0;
  for (const CommitRecord& commit : *commits)
    unsealed += commit.kind == CommitKind::kEpoch && commit.sequence > sealed_through;
  for (const SealRecord& seal : *seals) batches += seal.batches.size();
  for (const SourceRecord& source : *sources) unfinished += !source.finished;
  const std::string last_commit = commits->empty() ? "" : ToSeconds(commits->back().committed_at_nanos);

  if (options.format == "json") {
    Json json;
    json["name"] = identity.name;
    json["zone"] = identity.zone;
    json["format_version"] = identity.format_version;
    json["lines_read"] = counts.lines;
    json["accepted"] = counts.accepted;
    json["duplicate"] = counts.duplicate;
    json["conflict"] = counts.conflict;
    json["held"] = counts.held;
    json["rejected"] = counts.rejected;
    json["corrections"] = *corrections;
    json["sources"] = sources->size();
    json["sources_unfinished"] = unfinished;
    json["commits"] = commits->size();
    json["last_commit_at"] = last_commit;
    json["seals"] = seals->size();
    json["batches"] = batches;
    json["epochs_not_sealed"] = unsealed;
    json["restored"] = Json::array();
    for (const RestoreMark& mark : *restored) {
      json["restored"].push_back(
          {{"backup", mark.backup}, {"commits", mark.sequence}, {"at", ToSeconds(mark.restored_at_nanos)}});
    }
    json["waiting"] = ToJson(*waiting);
    json["targets"] = Json::array();
    for (const TargetState& target : targets) json["targets"].push_back(ToJson(target));
    json["bytes_on_disk"] = BytesOnDisk(options.books);
    return Print(ToText(json));
  }
  Table table({{"book"}, {identity.name, true}});
  table.Add({"zone", identity.zone});
  table.Add({"lines read", Thousands(counts.lines)});
  table.Add({"accepted", Thousands(counts.accepted)});
  table.Add({"duplicate", Thousands(counts.duplicate)});
  table.Add({"conflict", Thousands(counts.conflict)});
  table.Add({"held", Thousands(counts.held)});
  table.Add({"rejected", Thousands(counts.rejected)});
  if (*corrections > 0) table.Add({"corrections applied", Thousands(*corrections)});
  table.Add({"sources",
             Thousands(sources->size()) + (unfinished > 0 ? " (" + Thousands(unfinished) + " not to the end)" : "")});
  table.Add({"commits", Thousands(commits->size())});
  table.Add({"last commit", last_commit});
  table.Add({"seals", Thousands(seals->size())});
  table.Add({"journal batches", Thousands(batches)});
  table.Add({"epochs since the last seal", Thousands(unsealed)});
  for (const RestoreMark& mark : *restored) {
    table.Add({"restored", ToSeconds(mark.restored_at_nanos) + " from backup " + std::to_string(mark.backup) +
                               ", with " + Thousands(mark.sequence) + " commits"});
  }
  table.Add({"bytes on disk", Thousands(BytesOnDisk(options.books))});
  return Print(table.ToText() + (waiting->empty() ? "" : "\nNot booked\n" + ToText(*waiting)) +
               (targets.empty() ? "" : "\n" + TableOf(targets).ToText()));
}

}  // namespace

int CmdStatus(const ReadOptions& options) {
  const absl::StatusOr<int> code = Show(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
