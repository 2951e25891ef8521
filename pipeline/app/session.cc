#include "pipeline/app/session.h"

#include <signal.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <thread>

#include "ledger/book_lock.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/charges.h"
#include "pipeline/fixed_meters.h"

namespace tollbook {
namespace {

// For a book that others have by turns: a minute, in steps shorter than they leave it alone.
constexpr std::chrono::milliseconds kTurnWait{100};
constexpr int kTurnWaits = 600;

// Whoever has it now lets go of it every few seconds, or somebody does who watches it.
bool IsHadByTurns(const std::string& directory) {
  const std::string holder = HolderOf(directory);
  return holder.empty() || holder.find(kByTurns) != std::string::npos || WatchLock::IsTaken(directory);
}

std::atomic<bool> stop_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);  // it is written in a signal handler

void OnSignal(int) {
  stop_requested.store(true);
}

int64_t NowNanos() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

absl::StatusOr<std::array<uint64_t, 2>> RandomSeed() {
  std::array<uint64_t, 2> seed{};
  if (getrandom(seed.data(), sizeof seed, 0) == static_cast<ssize_t>(sizeof seed)) return seed;
  return MakeError(absl::StatusCode::kUnavailable, "no random numbers from the system", std::strerror(errno),
                   "try again");
}

}  // namespace

int Fail(const absl::Status& status) {
  std::string_view rest = Std(status.message());
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    if (!line.empty()) std::fprintf(stderr, "tollbook: %.*s\n", static_cast<int>(line.size()), line.data());
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return status.code() == absl::StatusCode::kInvalidArgument ? kUsageOrCatalogError : kFailed;
}

absl::StatusOr<std::unique_ptr<Book>> OpenBook(const std::string& directory, std::string_view command,
                                               const Catalog* catalog, WithoutBook without) {
  BookOptions options;
  options.directory = directory;
  options.holder = "process " + std::to_string(getpid()) + " (tollbook " + std::string(command) + ")";
  options.now_nanos = NowNanos;
  if (catalog != nullptr) {
    options.create = without == WithoutBook::kMakeOne;
    options.identity.name = catalog->book.name;
    options.identity.zone = catalog->book.zone.name();
    absl::StatusOr<std::array<uint64_t, 2>> seed = RandomSeed();
    if (!seed.ok()) return seed.status();
    options.identity.seed = *seed;
  }
  absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
  for (int waited = 0; absl::IsAborted(book.status()) && IsHadByTurns(directory); ++waited) {
    if (waited == kTurnWaits || StopRequested().load()) break;
    std::this_thread::sleep_for(kTurnWait);
    book = Book::Open(options);
  }
  return book;
}

absl::StatusOr<Catalog> CatalogFor(const Book& book, const std::string& directory) {
  if (directory.empty()) return SealedCatalog(book);
  absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(directory);
  if (!loaded.ok()) return loaded.status();
  TOLLBOOK_RETURN_IF_ERROR(FixedMeters(book, loaded->catalog).status());
  return std::move(loaded->catalog);
}

const std::atomic<bool>& StopRequested() {
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // no SA_RESTART: a read that waits for input ends
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    return true;
  }();
  (void)installed;
  return stop_requested;
}

absl::StatusOr<std::optional<Day>> ParseThrough(const std::string& text) {
  if (text.empty()) return std::optional<Day>();
  if (const std::optional<Day> day = ParseDay(text)) return day;
  return MakeError(absl::StatusCode::kInvalidArgument, "not a date", "--through " + text, "write it as 2025-01-31");
}

Instant Now() {
  return {NowNanos()};
}

uint64_t PeakMemoryBytes() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

uint64_t DefaultMemoryBytes() {
  uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  uint64_t container = 0;  // no number there: no bound
  if (std::ifstream("/sys/fs/cgroup/memory.max") >> container) bytes = std::min(bytes, container);
  return bytes / 4;
}

}  // namespace tollbook
