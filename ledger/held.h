// Held lines: where they are stored, and what became of some of them.
//
// An epoch stores what it holds in chunks. A retry takes all of them out of the book and stores what it holds itself;
// or, where that would be more than memory should have at a time, it leaves them where they are and says of those whose
// standing has changed what it is (HeldChange). So the order of what is held is always that in which it came.
#ifndef TOLLBOOK_LEDGER_HELD_H_
#define TOLLBOOK_LEDGER_HELD_H_

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/records.h"

namespace tollbook {

class Book;
struct EpochCommit;

enum class HeldKind : uint8_t { kEvents = 0, kCorrections = 1 };

// A chunk of held lines.
struct HeldPlace {
  uint64_t sequence = 0;  // of the commit that stored it
  uint32_t chunk = 0;     // of that commit's
  friend auto operator<=>(const HeldPlace&, const HeldPlace&) = default;
};

// What became of one line.
struct HeldChange {
  HeldKind kind = HeldKind::kEvents;
  HeldPlace place;
  uint32_t line = 0;              // of the chunk, from 0
  Reason reason = Reason::kNone;  // for which it is held from now on; kNone: it is no longer held
  uint32_t needs = 0;             // ExceptionRecord::needs
};

// What is held in one place.
struct HeldLines {
  uint32_t stored = 0;                   // lines that the chunk began with
  std::vector<ExceptionRecord> records;  // of those that are held by now, as they are by now
  std::vector<uint32_t> lines;           // their numbers (HeldChange::line)
  std::unique_ptr<std::string> bytes;    // what the payloads point into
};

// The changes of some commits, by place. Memory: two bytes each.
class HeldChanges {
 public:
  // As one commit stored them; of later ones later. DataLoss: damaged.
  [[nodiscard]] absl::Status Add(std::string_view stored);
  bool Has(HeldKind kind, const HeldPlace& place) const { return changes_.contains({kind, place}); }
  bool Any(HeldKind kind) const;
  // What is held in the place by now. DataLoss: damaged, or the changes are of other lines.
  [[nodiscard]] absl::StatusOr<HeldLines> LinesOf(HeldKind kind, const HeldPlace& place, std::string_view chunk) const;

 private:
  std::map<std::pair<HeldKind, HeldPlace>, std::vector<std::string>> changes_;  // of each commit, as they are stored
};

// All that is held of a kind.
struct HeldQueue {
  std::vector<HeldPlace> places;  // in the order in which the lines came
  HeldChanges changes;
};

// What a Book (book.h) can do with them beside ForEachExceptions; threads and errors as there. The book has it.
class HeldStore {
 public:
  virtual ~HeldStore() = default;
  // The held lines in their order, a part at a time: where they are, and what is held in a place; both as the book was
  // when Held was asked. ReadHeld also after later commits, if they retired no more than some.
  virtual absl::StatusOr<HeldQueue> Held(HeldKind kind) const = 0;
  virtual absl::StatusOr<HeldLines> ReadHeld(HeldKind kind, const HeldPlace& place,
                                             const HeldChanges& changes) const = 0;
  // Book::CommitEpoch of one that retires what is held of a kind: only these lines of it, each once, in any order. What
  // else is held stays, where it is.
  virtual absl::Status CommitRetry(const EpochCommit& epoch, std::span<const HeldChange> retires) = 0;
};
[[nodiscard]] const HeldStore& HeldOf(const Book& book);
[[nodiscard]] HeldStore& HeldOf(Book& book);

// FORMAT.md, held changes.
std::string Encode(std::span<const HeldChange> changes);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_HELD_H_
