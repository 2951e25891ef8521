#include <algorithm>
#include <chrono>
#include <thread>

#include "ledger/book_lock.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/post_flow.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
// Of a watch: how long it has the book at most before it begins nothing more, and how long it leaves it alone at least.
constexpr int64_t kHeldNanos = 10 * kNanosPerSecond;
constexpr int64_t kFreeNanos = kNanosPerSecond / 2;
constexpr int64_t kLookAgainNanos = 600 * kNanosPerSecond;

// Until then, or until a signal asks to stop.
void SleepUntil(int64_t until_nanos) {
  while (!StopRequested().load() && Now().nanos < until_nanos) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

struct PassDone {
  DeliverReport report;
  int64_t taken = 0;  // LastTaken of the book while it was ours
};
absl::StatusOr<PassDone> OnePass(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  absl::StatusOr<std::unique_ptr<Book>> book =
      OpenBook(options.books, options.watch ? "post --watch" : "post", &catalog);
  if (!book.ok()) return book.status();
  TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(**book, catalog, "post", options.catalog));
  absl::StatusOr<DeliverReport> report = DeliverNow(**book, targets, options.watch ? Now().nanos + kHeldNanos : 0);
  if (!report.ok()) return report.status();
  return PassDone{*std::move(report), LastTaken(options.books)};
}

// The book is open only while a pass runs, so that others can have it in between.
absl::StatusOr<DeliverReport> Passes(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  const int64_t end = Now().nanos + static_cast<int64_t>(options.wait_seconds) * kNanosPerSecond;
  for (;;) {
    absl::StatusOr<PassDone> pass = OnePass(options, catalog, targets);
    if (!pass.ok()) return pass.status();
    const int64_t now = Now().nanos;
    if (StopRequested().load() || pass->report.waiting == 0 || now >= end) return std::move(pass->report);
    SleepUntil(std::max(now + kNanosPerSecond / 20, std::min(pass->report.next_due_nanos, end)));
  }
}

// Until a signal asks to stop; then what the last pass left. A pass when something is due, and when somebody else has
// had the book: a seal of theirs may have made batches.
absl::StatusOr<DeliverReport> Watch(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  const absl::StatusOr<WatchLock> lock = WatchLock::Take(options.books);
  if (!lock.ok()) return lock.status();
  DeliverReport last;
  std::string not_planned;  // as it was told
  while (!StopRequested().load()) {
    absl::StatusOr<PassDone> pass = OnePass(options, catalog, targets);
    if (absl::IsAborted(pass.status())) {
      SleepUntil(Now().nanos + kNanosPerSecond);  // somebody else has it
      continue;
    }
    if (!pass.ok()) return pass.status();
    last = std::move(pass->report);
    const absl::Status planned = NotPlanned(last);
    if (!planned.ok() && not_planned != Std(planned.message())) Fail(planned);
    not_planned = Std(planned.message());
    const int64_t now = Now().nanos;
    const int64_t due = last.waiting > 0 ? std::min(last.next_due_nanos, now + kLookAgainNanos) : now + kLookAgainNanos;
    SleepUntil(now + kFreeNanos);
    while (!StopRequested().load() && Now().nanos < due && LastTaken(options.books) == pass->taken) {
      SleepUntil(std::min(due, Now().nanos + kNanosPerSecond / 2));
    }
  }
  return last;
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
  const auto deliver = options.watch ? Watch : Passes;
  const absl::StatusOr<DeliverReport> report = deliver(options, loaded->catalog, targets);
  if (!report.ok()) return report.status();
  const int printed = Print(options.json ? ToText(ToJson(*report)) : ToText(*report));
  if (printed != kDone) return printed;
  if (unusable != kDone) return unusable;
  if (const absl::Status planned = NotPlanned(*report); !planned.ok() && !options.watch) return planned;
  return options.strict && !AllDelivered(*report) ? kStrictExceptions : kDone;
}

}  // namespace

int CmdPost(const PostOptions& options) {
  const absl::StatusOr<int> code = Post(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
