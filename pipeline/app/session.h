// Session: what every command that touches a book needs from the world: the clock, chance for a new book's seed, the
// name of this process, signals, and how an error is told.
#ifndef TOLLBOOK_PIPELINE_APP_SESSION_H_
#define TOLLBOOK_PIPELINE_APP_SESSION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/book.h"
#include "rating/catalog.h"

namespace tollbook {

enum ExitCode : int { kDone = 0, kFailed = 1, kUsageOrCatalogError = 2, kStrictExceptions = 3 };

// Prints `tollbook: <message>` on stderr, one line each, and gives the exit code: 2 for InvalidArgument (usage,
// catalog), 1 for all else.
int Fail(const absl::Status& status);

enum class WithoutBook : uint8_t { kRefuse, kMakeOne };

// A book that is there, or the new one for `catalog` where a command may begin a book. With `catalog`, name and zone
// must agree. One that another process has open is Aborted; while others have it by turns, not before a minute is over.
absl::StatusOr<std::unique_ptr<Book>> OpenBook(const std::string& directory, std::string_view command,
                                               const Catalog* catalog = nullptr,
                                               WithoutBook without = WithoutBook::kRefuse);

// --catalog when given, else the catalog that the newest seal kept.
absl::StatusOr<Catalog> CatalogFor(const Book& book, const std::string& directory);

// SIGINT and SIGTERM ask to stop at the next epoch; a second one ends the process as usual. Process-wide, set up once.
const std::atomic<bool>& StopRequested();

// "" -> none.
absl::StatusOr<std::optional<Day>> ParseThrough(const std::string& text);

Instant Now();

uint64_t PeakMemoryBytes();

// A quarter of what this process may have: of the machine's memory, or of its container's if that is less.
uint64_t DefaultMemoryBytes();

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_SESSION_H_
