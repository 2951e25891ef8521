// Records: the cold values of the book, one struct each, with their stored form (FORMAT.md).
#ifndef TOLLBOOK_LEDGER_RECORDS_H_
#define TOLLBOOK_LEDGER_RECORDS_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/exception.h"
#include "ledger/seen_entry.h"
#include "rating/calendar.h"
#include "rating/error.h"
#include "rating/meter.h"

namespace tollbook {

inline constexpr uint32_t kFormatVersion = 7;
// Books of this one are read as they are; the first commit makes them of kFormatVersion (FORMAT.md, Versions).
inline constexpr uint32_t kFormatVersionOldest = 5;

// How lines ended. Law 1: lines = accepted + duplicate + conflict + held + rejected.
struct LineCounts {
  uint64_t lines = 0;
  uint64_t accepted = 0;
  uint64_t duplicate = 0;
  uint64_t conflict = 0;
  uint64_t held = 0;
  uint64_t rejected = 0;

  uint64_t& of(Outcome outcome);
  bool balanced() const { return lines == accepted + duplicate + conflict + held + rejected; }
  LineCounts& operator+=(const LineCounts& other);
  LineCounts& operator-=(const LineCounts& other);
  friend bool operator==(const LineCounts&, const LineCounts&) = default;
};

// What a book is; written once, when it is made.
struct BookIdentity {
  uint32_t format_version = kFormatVersion;
  std::string name;                // part of every posting key
  std::string zone;                // of the days that totals are kept by
  std::array<uint64_t, 2> seed{};  // of the identity hashes: random, so that nobody can aim at collisions
};

// One input and how far it is absorbed. A file is known by its content, not by its name.
struct SourceRecord {
  uint32_t id = 0;
  std::string path;  // as it was given
  // How its lines were read (format, mapping, the name where a mapping uses it): the same bytes read otherwise are
  // other events.
  uint64_t reading = 0;
  uint64_t catalog = 0;              // under which it was read: a line that was rejected may be accepted under another
  uint64_t offset = 0;               // of the (decompressed) content; the next unread byte
  uint64_t rows = 0;                 // CSV data rows before it
  uint64_t lines = 0;                // line ends before it, header and blank lines included
  std::array<uint64_t, 2> digest{};  // of the content before `offset`
  bool finished = false;
  uint64_t file_bytes = 0;                // on disk, when finished
  std::array<uint64_t, 2> file_digest{};  // of the bytes on disk, when finished
  LineCounts counts;
};

// A stretch of a source that one epoch covered.
struct CoveredRange {
  uint32_t source = 0;
  uint64_t first_offset = 0, end_offset = 0;
  uint64_t first_line = 0, end_line = 0;  // 1-based, half-open
};

using Hash256 = std::array<uint8_t, 32>;
std::string ToHex(std::string_view bytes);
std::string ToHex(const Hash256& hash);

// A cut-off is a decision, too, but of a kind of its own: who does not know it must not add to the book.
enum class CommitKind : uint8_t { kEpoch = 1, kSeal = 2, kPeriodChange = 3, kDecisions = 4, kCutOff = 5 };

// One link of the chain: every commit of the book, in order. `hash` covers the link before it, this record and every
// value that the commit stored and that never changes, so a missing, swapped or altered commit shows. Seen entries move
// from file to file; of them it has the sum.
struct CommitRecord {
  uint64_t sequence = 0;  // 1, 2, 3 … without gaps
  CommitKind kind = CommitKind::kEpoch;
  Hash256 previous{};
  std::array<uint64_t, 2> body{};     // XXH3-128 over the commit's immutable keys and values
  int64_t committed_at_nanos = 0;     // from the injected clock; for people only
  LineCounts delta;                   // epoch: how the counts of the book changed (a retry takes from held)
  LineCounts book;                    // after this commit
  std::vector<CoveredRange> covered;  // epoch
  bool retires_held = false;          // epoch: a retry; what was held before it no longer is
  bool retires_corrections = false;   // epoch: likewise of the corrections that were held
  SeenSum seen;                       // epoch: the seen entries that it accepted
  Hash256 hash{};
};
Hash256 HashOf(const CommitRecord& record);  // over everything but `hash`

// A batch that a seal held for a named person's approval.
struct HeldBatch {
  uint32_t batch = 0;  // index into the seal's
  std::string why;     // which policy: "first of its period"
  friend bool operator==(const HeldBatch&, const HeldBatch&) = default;
};

// What a seal did.
struct SealRecord {
  uint64_t number = 0;    // 1, 2, 3 … of the seals that booked something
  uint64_t sequence = 0;  // its commit
  std::string catalog_digest;
  std::optional<Day> through;
  uint64_t differences = 0;
  std::vector<std::string> batches;  // ids, in order
  // Who had it book into soft-closed periods, and why; empty: it did not.
  std::string adjusted_by, adjusted_why;
  std::vector<HeldBatch> held;  // by batch
  // The batch that it takes back, by reference; who had it do so, and why; empty: none.
  std::string reverses, reversed_by, reversed_why;
};

// A meter's definition, fixed from the commit that first counted it.
struct MeterRecord {
  uint64_t sequence = 0;
  Meter meter;
};

// One exception. Held ones keep the whole line: it is read again when the catalog knows its meter.
struct ExceptionRecord {
  Reason reason = Reason::kNone;
  uint32_t source = 0;
  uint64_t line = 0;         // 1-based
  uint64_t offset = 0;       // of the line's first byte in the (decompressed) content
  uint32_t part = 0;         // which event of the line (CSV rows may stand for several)
  std::string_view payload;  // rejected, conflict: the first kPayloadBytes; held: all; duplicate: none
  uint32_t needs = 0;        // where NeedsSource(reason): the source that the correction waits for; else 0
};
inline constexpr size_t kPayloadBytes = 1024;

std::string Encode(const BookIdentity&);
std::string Encode(const SourceRecord&);
std::string Encode(const CommitRecord&);
std::string Encode(const SealRecord&);
std::string Encode(const MeterRecord&);
std::string Encode(const std::map<std::string, std::string>& catalog_files);  // by file name
std::string Encode(const std::vector<ExceptionRecord>&);
absl::StatusOr<BookIdentity> DecodeBookIdentity(std::string_view stored);
absl::StatusOr<SourceRecord> DecodeSourceRecord(std::string_view stored);
absl::StatusOr<CommitRecord> DecodeCommitRecord(std::string_view stored);
absl::StatusOr<SealRecord> DecodeSealRecord(std::string_view stored);
absl::StatusOr<MeterRecord> DecodeMeterRecord(std::string_view stored);
absl::StatusOr<std::map<std::string, std::string>> DecodeCatalogFiles(std::string_view stored);
absl::StatusOr<std::vector<ExceptionRecord>> DecodeExceptions(std::string_view stored);  // payloads point into `stored`

// "damaged: <which>: restore the book from a backup …"
absl::Status DamagedError(std::string_view which);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_RECORDS_H_
