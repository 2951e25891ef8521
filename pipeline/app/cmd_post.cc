#include <algorithm>
#include <chrono>
#include <thread>

#include "pipeline/app/commands.h"
#include "pipeline/app/post_flow.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kLookAgainNanos = 10 * kNanosPerSecond;  // for batches of a later seal, and a book that was in use

// Until then, or until a signal asks to stop.
void SleepUntil(int64_t until_nanos) {
  while (!StopRequested().load() && Now().nanos < until_nanos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

absl::StatusOr<DeliverReport> OnePass(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "post", &catalog);
  if (!book.ok()) return book.status();
  return DeliverNow(**book, targets);
}

// The book is open only while a pass runs, so that others can have it in between.
absl::StatusOr<DeliverReport> Passes(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  const int64_t end = Now().nanos + static_cast<int64_t>(options.wait_seconds) * kNanosPerSecond;
  for (;;) {
    absl::StatusOr<DeliverReport> report = OnePass(options, catalog, targets);
    const bool in_use = options.watch && absl::IsFailedPrecondition(report.status());
    if (!report.ok() && !in_use) return report;
    if (StopRequested().load()) return report;
    const int64_t now = Now().nanos;
    if (!options.watch && (report->waiting == 0 || now >= end)) return report;
    const int64_t due = report.ok() && report->waiting > 0 ? report->next_due_nanos : now + kLookAgainNanos;
    SleepUntil(std::max(now + kNanosPerSecond / 20, std::min(due, options.watch ? now + kLookAgainNanos : end)));
  }
}

absl::StatusOr<int> Show(const PostOptions& options, const Catalog& catalog) {
  const PostTargets targets = TargetsFor(catalog, options.catalog, options.target, false);
  TOLLBOOK_RETURN_IF_ERROR(targets.status);
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "post", &catalog);
  if (!book.ok()) return book.status();
  const absl::StatusOr<std::string> text = ShowDue(**book, targets.emitters);
  if (!text.ok()) return text.status();
  return Print(text->empty() ? "Nothing to deliver.\n" : *text);
}

absl::StatusOr<int> Post(const PostOptions& options) {
  const absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(options.catalog);
  if (!loaded.ok()) return loaded.status();
  if (options.dry_run) return Show(options, loaded->catalog);
  const PostTargets targets = TargetsFor(loaded->catalog, options.catalog, options.target);
  if (targets.emitters.empty()) return targets.status;
  // The others go ahead; the exit code tells of it.
  const int unusable = targets.status.ok() ? kDone : Fail(targets.status);
  const absl::StatusOr<DeliverReport> report = Passes(options, loaded->catalog, targets);
  if (!report.ok()) return report.status();
  const int printed = Print(options.json ? ToText(ToJson(*report)) : ToText(*report));
  if (printed != kDone) return printed;
  if (unusable != kDone) return unusable;
  return options.strict && !AllDelivered(*report) ? kStrictExceptions : kDone;
}

}  // namespace

int CmdPost(const PostOptions& options) {
  const absl::StatusOr<int> code = Post(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
