#include <algorithm>
#include <cstdint>

#include "ledger/book_lock.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/post_flow.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kLookAgainNanos = 600 * kNanosPerSecond;

PostPlace PlaceOf(const PostOptions& options, const Catalog& catalog) {
  PostPlace place{options.books, &catalog, options.catalog, options.watch ? "post --watch" : "post"};
  if (options.reconcile) place.reconcile = ReconcileOptions{Now().nanos, options.again};
  return place;
}

absl::StatusOr<DeliverReport> Passes(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  const int64_t end = Now().nanos + static_cast<int64_t>(options.wait_seconds) * kNanosPerSecond;
  return DeliverByTurns(PlaceOf(options, catalog), targets, end);
}

// Until a signal asks to stop; then what the last pass left. A pass when something is due, and when somebody else has
// had the book: a seal of theirs may have made batches.
absl::StatusOr<DeliverReport> Watch(const PostOptions& options, const Catalog& catalog, const PostTargets& targets) {
  const absl::StatusOr<WatchLock> lock = WatchLock::Take(options.books);
  if (!lock.ok()) return lock.status();
  const PostPlace place = PlaceOf(options, catalog);
  DeliverReport last;
  std::string not_planned;  // as it was told
  while (!StopRequested().load()) {
    absl::StatusOr<PostTurn> pass = TakeTurn(place, targets);
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
    const int64_t waits_until = last.waiting > 0 ? last.next_due_nanos : INT64_MAX;
    const int64_t due = last.cut_short ? now : std::min(waits_until, now + kLookAgainNanos);
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
  const absl::StatusOr<std::string> text = ShowDue(**book, targets.emitters, Now(), targets.known);
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
