// Anchor: one hash over all that the commits of a book stored for ever, up to one of them. Kept where nobody who can
// write to the book can write, it shows any later edit, drop, swap or cut of those commits, be it made on purpose and
// with all of the book's own checksums made to fit: the links of the chain have fast checksums of what commits stored,
// which find damage and are no defence; this is SHA-256 over the stored values themselves.
//
// Of the seen entries, which move, it has what the commits have: their number and the sum of their checksums.
#ifndef TOLLBOOK_LEDGER_ANCHOR_H_
#define TOLLBOOK_LEDGER_ANCHOR_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

class Book;

struct Anchor {
  uint64_t sequence = 0;  // of the newest commit that it covers; 0: the book has none
  Hash256 hash{};
  friend bool operator==(const Anchor&, const Anchor&) = default;
};

// Reads all that was stored. OutOfRange: the book has no such commit.
[[nodiscard]] absl::StatusOr<Anchor> AnchorOf(const Book& book, std::optional<uint64_t> sequence = std::nullopt);

// "12:9b1c…", with all 64 digits. None: another text.
std::string ToString(const Anchor& anchor);
std::optional<Anchor> ParseAnchor(std::string_view text);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_ANCHOR_H_
