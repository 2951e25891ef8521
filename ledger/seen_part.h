// SeenPart: what a stretch of the seen log has of one shard, packed.
//
// The first byte of each identity is the shard's. Where there are many entries they are grouped by the second one, and
// each group is told by how many are in it: an entry takes 18 bytes, and what tells the groups 256 or a few more. That
// is two passes over entries that are in the cache. Sorting them whole, as a page of a run does, would spare no more:
// a few thousand entries are not dense enough.
#ifndef TOLLBOOK_LEDGER_SEEN_PART_H_
#define TOLLBOOK_LEDGER_SEEN_PART_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/seen_entry.h"

namespace tollbook {

// Fewer stand as they are: the groups would take more than they spare.
inline constexpr size_t kSeenPartPackedFrom = 256;

// Entries of one shard, in any order; those of a group keep theirs.
void AppendSeenPart(std::span<const SeenEntry> entries, std::string* out);
// `entries` gets them. False when `stored` is not what so many entries of the shard are packed to.
[[nodiscard]] bool DecodeSeenPart(int shard, size_t count, std::string_view stored, std::vector<SeenEntry>* entries);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_PART_H_
