// SeenPage: a few hundred seen entries in the order of their identities: what one look-up of a cold run reads.
//
//   fixed8 count, fixed8 width, fixed32 and fixed64 first identity
//   (count - 1) * width bits   what each identity is more than the one before it, low bits first
//   count * 8 bytes            contents, little-endian
//   fixed64                    XXH3-64 of the bytes before
//
// Identities are hashes, so neighbours in a run of n are about 2^88 / n apart within a shard: 11 bytes less log2(n)
// bits, and 3 bits for the largest difference of a page. An entry takes 17.6 bytes in a run of 30,000, 17.0 in one of
// 800,000 and 16.7 in one of 4 million, where it takes 20 in a log.
#ifndef TOLLBOOK_LEDGER_SEEN_PAGE_H_
#define TOLLBOOK_LEDGER_SEEN_PAGE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/seen_entry.h"

namespace tollbook {

// About 4 KB: one block of the disk.
inline constexpr size_t kSeenPageEntries = 240;

// 1 to kSeenPageEntries entries, each identity larger than the one before it.
void AppendSeenPage(std::span<const SeenEntry> sorted, std::string* out);

// False when the bytes are not what AppendSeenPage made; `entries` may then have some of them.
[[nodiscard]] bool DecodeSeenPage(std::string_view page, std::vector<SeenEntry>* entries);

// The content kept for an identity. Checks all of the page first, like DecodeSeenPage.
struct SeenPageAnswer {
  bool sound = false;
  std::optional<uint64_t> content;
};
SeenPageAnswer FindInSeenPage(std::string_view page, const SeenEntry& wanted);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_PAGE_H_
