#include "pipeline/app/run_flow.h"

#include <chrono>
#include <string>

#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/post_flow.h"
#include "pipeline/app/process.h"
#include "pipeline/app/progress.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/forget_keys.h"
#include "rating/retention.h"

namespace tollbook {
namespace {

absl::Status Stopped(const std::string& books) {
  return MakeError(absl::StatusCode::kCancelled, "stopped", books,
                   "what was read so far is in the book; run the same command again to go on from there");
}

// Nothing could be read, though something was asked for: that is no success.
absl::Status NothingRead(const std::vector<LeftOut>& left_out) {
  PrintLeftOut(left_out);
  return MakeError(absl::StatusCode::kUnavailable, "none of the inputs could be read",
                   Counted(left_out.size(), "input", "inputs") + " left out",
                   "mend what is said above and run the same command again");
}

bool HasRead(const AbsorbReport& report) {
  return report.left_out.empty() || report.counts.lines > 0 || !report.skipped.empty();
}

bool HasExceptions(const AbsorbReport& report) {
  return report.counts.lines != report.counts.accepted || !report.left_out.empty();
}

// One line and at once, so that whoever feeds a pipe can let go of what it kept for sending again.
absl::Status TellDurable(const AbsorbDurable& durable) {
  return WriteOutput("{\"durable\":{\"commits\":" + std::to_string(durable.commits) + ",\"lines\":" +
                     std::to_string(durable.lines) + ",\"accepted\":" + std::to_string(durable.accepted) + "}}\n");
}

absl::StatusOr<int> Run(const RunFlow& flow) {
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<std::optional<Day>> through = ParseThrough(flow.through);
  if (!through.ok()) return through.status();
  absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(flow.catalog);
  if (!loaded.ok()) return loaded.status();
  // Before the book: a mistyped path leaves no empty book behind.
  InputList inputs;
  if (flow.absorb != nullptr) {
    absl::StatusOr<InputList> found = FindInputs(flow.absorb->inputs, loaded->mappings);
    if (!found.ok()) return found.status();
    if (found->files.empty() && !found->left_out.empty()) return NothingRead(found->left_out);
    inputs = *std::move(found);
  }
  const WithoutBook without = flow.absorb != nullptr ? WithoutBook::kMakeOne : WithoutBook::kRefuse;
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(flow.books, flow.command, &loaded->catalog, without);
  if (!book.ok()) return book.status();
  TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(**book, loaded->catalog, flow.command, flow.catalog));

  RunReport report;
  report.books = flow.books;
  std::optional<AbsorbReport> absorbed;
  // Also while it seals: who asks then waits for the end of that.
  std::optional<BackupDesk> desk;
  if (flow.absorb != nullptr) {
    desk.emplace(flow.books);
    absl::StatusOr<AbsorbReport> result = AbsorbWithProgress(**book, loaded->catalog, inputs, *flow.absorb, &*desk);
    if (!result.ok()) return result.status();
    absorbed = *std::move(result);
    report.absorbed = &*absorbed;
    if (absorbed->stopped) return Stopped(flow.books);
    if (!HasRead(*absorbed)) return NothingRead(absorbed->left_out);
  }
  std::optional<SealReport> sealed;
  if (flow.seal) {
    absl::StatusOr<SealReport> result =
        Seal(**book, loaded->catalog,
             {flow.threads, *through, flow.adjusted_by, flow.adjusted_why, flow.reversal, AccountName()});
    if (!result.ok()) return result.status();
    sealed = *std::move(result);
    report.sealed = &*sealed;
  }
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  desk.reset();
  absl::Status not_delivered;
  std::optional<DeliverReport> delivered;
  if (flow.post) {
    PostTargets targets = TargetsFor(loaded->catalog, flow.catalog, "");
    not_delivered = targets.status;
    const PostPlace place{flow.books, &loaded->catalog, flow.catalog, std::string(flow.command) + " --post"};
    absl::StatusOr<DeliverReport> result = DeliverByTurns(place, targets, 0, *std::move(book));
    if (result.ok()) {
      if (not_delivered.ok()) not_delivered = NotPlanned(*result);
      delivered = *std::move(result);
    } else {
      not_delivered = result.status();
    }
  }
  // What was booked is told, whatever became of the delivery.
  Json json = flow.json ? ToJson(report) : Json();
  if (flow.json && delivered) json["deliveries"] = ToJson(*delivered);
  int printed = flow.json ? Print(ToText(json)) : PrintReport(report);
  if (printed == kDone && !flow.json && delivered) printed = Print("\n" + ToText(*delivered));
  if (printed != kDone) return printed;
  if (!not_delivered.ok()) return not_delivered;
  const bool strict = flow.absorb != nullptr && flow.absorb->strict;
  const bool is_all_rated = !sealed || sealed->not_rated.empty();
  return strict && (HasExceptions(*absorbed) || !is_all_rated) ? kStrictExceptions : kDone;
}

}  // namespace

int RunAndReport(const RunFlow& flow) {
  const absl::StatusOr<int> code = Run(flow);
  return code.ok() ? *code : Fail(code.status());
}

absl::StatusOr<AbsorbReport> AbsorbWithProgress(Book& book, const Catalog& catalog, const InputList& inputs,
                                                const AbsorbFlags& flags, BackupDesk* desk) {
  const std::atomic<bool>& stop = StopRequested();
  AbsorbOptions options;
  options.threads = flags.threads;
  options.decoder = flags.decoder;
  options.memory_bytes = LeftForAbsorb(flags.memory_bytes > 0 ? flags.memory_bytes : DefaultMemoryBytes());
  if (flags.epoch_bytes > 0) options.epoch_bytes = flags.epoch_bytes;
  if (flags.block_bytes > 0) options.block_bytes = flags.block_bytes;
  const Retention retention = RetentionOf(catalog);
  options.keeps_usage_log = retention.keeps_usage_log;
  options.seen_span_days = SeenSpanDays(retention.dedup_keys_months);
  options.stop = &stop;
  options.between_commits = [desk](Book& between) { desk->Serve(between); };
  Progress progress(flags.quiet || flags.json || flags.acknowledge);
  options.progress = [&](const AbsorbProgress& now) { progress.Update(now.bytes_done, now.bytes_total, now.events); };
  absl::Status told;  // the first that could not be; what is durable is so all the same
  if (flags.acknowledge) options.durable = [&told](const AbsorbDurable& durable) { told.Update(TellDurable(durable)); };
  absl::StatusOr<AbsorbReport> report = Absorb(book, catalog, inputs, options);
  progress.Finish();
  if (report.ok() && !told.ok()) return told;
  return report;
}

}  // namespace tollbook
