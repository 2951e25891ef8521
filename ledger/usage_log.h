// UsageLog: what was read of the sources, kept packed in the book, for when a source will not be there later. Optional:
// a book has as much of it as its epochs brought.
//
// A segment   is a stretch of one source's content, as zstd frames, one behind the other. It is written and synced
//             before the commit that acknowledges it, which has its place and its SHA-256 for ever; it never changes.
// The chain   The list of an epoch's segments is in the digest of its commit. So nobody changes, drops or exchanges a
//             segment unseen: CheckStore compares each with its hash.
// The purge   takes the bytes, by a commit that says who, why and of which epochs; places and hashes stay, so that a
//             copy that somebody still has can be proved.
// Not of it   what a commit of a retry takes in: the epoch that held it has its bytes.
#ifndef TOLLBOOK_LEDGER_USAGE_LOG_H_
#define TOLLBOOK_LEDGER_USAGE_LOG_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "ledger/purge.h"
#include "ledger/usage_files.h"
#include "rating/error.h"

namespace tollbook {

// What an epoch brings: bytes of a source's (decompressed) content, packed.
struct PackedUsage {
  uint32_t source = 0;
  uint64_t first_offset = 0, end_offset = 0;  // half-open
  std::string packed;
};

struct UsageSegment {
  uint64_t sequence = 0;  // of its commit
  uint32_t source = 0;
  uint64_t first_offset = 0, end_offset = 0;
  SegmentPlace place;
  uint64_t purged_by = 0;  // the commit that took its bytes; 0: they are there
};

// Book::CommitEpoch, and what the epoch has read.
[[nodiscard]] absl::Status CommitEpoch(Book& book, const EpochCommit& epoch, std::span<const PackedUsage> usage);

// All that the book ever had, in the order of commits; of one source in the order of its content.
[[nodiscard]] absl::StatusOr<std::vector<UsageSegment>> UsageSegments(const Book& book);
// The bytes of one that was not purged. DataLoss, with the file's name, when they are not what was written.
[[nodiscard]] absl::StatusOr<std::string> ReadUsage(const Book& book, const UsageSegment& segment);

struct UsagePurgeReport {
  uint64_t epochs = 0;  // that had bytes to purge
  uint64_t segments = 0;
  uint64_t bytes = 0;  // packed
};
// Of epochs that were committed before `terms.before_nanos`. What was purged before is not counted: a second purge by
// the same terms does nothing, not even a commit.
[[nodiscard]] absl::StatusOr<UsagePurgeReport> PurgeUsage(Book& book, const PurgeTerms& terms);

// As they are stored (FORMAT.md): the segments of one epoch, `sequence` and `purged_by` aside; which epochs a purge was
// of.
std::string Encode(std::span<const UsageSegment> segments);
absl::StatusOr<std::vector<UsageSegment>> DecodeUsageSegments(std::string_view stored);
std::string EncodePurgedUsage(std::span<const uint64_t> epochs);
absl::StatusOr<std::vector<uint64_t>> DecodePurgedUsage(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_USAGE_LOG_H_
