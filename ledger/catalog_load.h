// CatalogLoad: who ran a command that changed the book, with the catalog from where, and what the catalog's hash was
// and is. Kept in the commit of what the command changed, in the same write: where the catalog is another one than the
// one before it, and of each seal and each retry of what was held, which nobody signs otherwise.
#ifndef TOLLBOOK_LEDGER_CATALOG_LOAD_H_
#define TOLLBOOK_LEDGER_CATALOG_LOAD_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

class Book;

// The command that tries again what was held: lines, and corrections, which each absorb tries again, too.
inline constexpr std::string_view kRetryCommand = "exceptions retry";

struct CatalogLoad {
  uint64_t sequence = 0;  // of the commit, which has the time
  std::string by;         // whose account of the operating system ran the command
  std::string command;    // "absorb"
  std::string from;       // the catalog's directory, as it was named
  std::string before;     // the digest of the last catalog that was recorded, by a load or a seal; empty: none was
  std::string after;
  // Of a retry of what was held, and of a seal that books it at once: whose decision that was, and why; empty: nobody
  // was named. Kept with these commits alone.
  std::string decided_by = {}, decided_why = {};
  friend bool operator==(const CatalogLoad&, const CatalogLoad&) = default;
};

// The book's next commit keeps it, unless `after` is the last digest that was recorded: the same catalog again is no
// other one. The seals and retries of this process keep it in any case. A command that commits nothing leaves nothing.
// `sequence` and `before` are filled in. Errors: the book's.
[[nodiscard]] absl::Status NoteCatalogLoad(Book& book, CatalogLoad load);
// In the order of commits.
[[nodiscard]] absl::StatusOr<std::vector<CatalogLoad>> CatalogLoads(const Book& book);

std::string Encode(const CatalogLoad& load);
absl::StatusOr<CatalogLoad> DecodeCatalogLoad(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_CATALOG_LOAD_H_
