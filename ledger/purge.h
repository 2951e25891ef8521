// Purge: the payloads of exceptions, taken out of a book after a time, and nothing else of it: how many lines were not
// accepted, why, and where they stood stays. A hash says what a payload was, to whoever still has the line.
//
// What is purged     The payloads of what an epoch rejected, or held until a later one took it in. What is still held
// is
//                    kept whole, for it is read again; so are corrections, which say what was booked.
// The chain          An epoch's digest is of its payloads too. A purge is a commit of its own: in the same write as the
//                    changed exceptions stands what the digest of each epoch is from then on, after the old one was
//                    checked. So a purge hides no damage; but an anchor of before it can be checked no more.
// On the disk        Tables and blob files with what was purged are rewritten and removed at once. Backups, and what a
//                    disk keeps of removed files, are not the book's.
#ifndef TOLLBOOK_LEDGER_PURGE_H_
#define TOLLBOOK_LEDGER_PURGE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/calendar.h"
#include "rating/error.h"

namespace tollbook {

class Book;

struct PurgeTerms {
  int64_t before_nanos = 0;  // of epochs that were committed before
  Day today;                 // what a purged payload says
  std::string by, why;       // neither empty
};

struct PurgeReport {
  uint64_t epochs = 0;    // that had payloads to purge
  uint64_t payloads = 0;  // of them
  uint64_t bytes = 0;     // they had
};

// What was purged before stays so, and is not counted: a second purge by the same terms does nothing, not even a
// commit. Errors: the book's; DataLoss, and nothing is changed, when an epoch is not what was written.
[[nodiscard]] absl::StatusOr<PurgeReport> PurgePayloads(Book& book, const PurgeTerms& terms);

// An epoch of which payloads were purged.
struct PurgedEpoch {
  uint64_t sequence = 0;
  std::array<uint64_t, 2> body{};  // the digest of what it has since
  std::vector<uint32_t> chunks;    // of its exceptions, that this purge changed
  friend bool operator==(const PurgedEpoch&, const PurgedEpoch&) = default;
};
struct PurgeRecord {
  uint64_t sequence = 0;  // of the commit
  std::vector<PurgedEpoch> epochs;
  friend bool operator==(const PurgeRecord&, const PurgeRecord&) = default;
};
// In the order of commits.
[[nodiscard]] absl::StatusOr<std::vector<PurgeRecord>> Purges(const Book& book);

// Of a chunk of exceptions: the same without payloads.
struct PurgedChunk {
  std::string bytes;
  uint64_t payloads = 0;  // that it had; 0: it is as it was
  uint64_t payload_bytes = 0;
};
absl::StatusOr<PurgedChunk> WithoutPayloads(std::string_view chunk, Day today);

std::string Encode(const PurgeRecord& record);
absl::StatusOr<PurgeRecord> DecodePurgeRecord(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_PURGE_H_
