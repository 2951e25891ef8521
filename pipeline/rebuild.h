// Rebuild: totals that no event can be taken from (a largest, smallest or latest value), reckoned anew from all the
// other events of their bucket.
//
// A correction that takes an event back from such a total names no value that would stand instead: that is in the
// sources. So the events of the total are read again (read_again.h), with the corrections of them that the book keeps,
// and must come to the total that the book has, its events counted: then the same events without those that are taken
// back, and with those that come instead, are the total from now on, and it replaces the book's (CellRole). Whatever
// order events and corrections came in, the events that stand in the end are the same, and so is the total.
//
// Not all can be rebuilt: usage that came through a pipe, or from a file that is gone or was changed. Then the
// corrections that need it stay held, and nothing of them is applied.
//
// Cost      Only when a correction of such a total is due: the totals of its shard, and two passes over what was
//           absorbed of each source that has a stretch of it (ReadAgain). In memory the events of the totals that are
//           rebuilt, about 100 bytes each.
#ifndef TOLLBOOK_PIPELINE_REBUILD_H_
#define TOLLBOOK_PIPELINE_REBUILD_H_

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/exception.h"
#include "pipeline/measure.h"
#include "pipeline/read_again.h"
#include "pipeline/series.h"
#include "rating/catalog.h"
#include "rating/usage_total.h"

namespace tollbook {

// One stored total.
struct TotalPlace {
  std::string subject;
  uint32_t series = 0;  // of the run's SeriesTable
  Bucket bucket;
  friend auto operator<=>(const TotalPlace&, const TotalPlace&) = default;
};
[[nodiscard]] TotalPlace PlaceOf(const Measurement& measured);

// Not thread-safe. Borrows all of them.
class Rebuild {
 public:
  // `series`: as the corrections' measurements name them.
  Rebuild(const Book& book, const Catalog& catalog, SeriesTable& series, DecoderChoice choice);

  // A total that an event may be taken from. Before Read.
  void Want(const TotalPlace& place) { places_.try_emplace(place); }
  bool empty() const { return places_.empty(); }
  // Errors: the book's. What cannot be read again is no error: Of tells.
  [[nodiscard]] absl::Status Read();

  // Why a total cannot be rebuilt; kNone: it can.
  struct Hindrance {
    Reason reason = Reason::kNone;
    uint32_t source = 0;  // where NeedsSource(reason)
  };
  const Hindrance& Of(const TotalPlace& place) const { return places_.at(place).hindrance; }
  const FaultySource& FaultOf(uint32_t source) { return sources_.Check(source); }

  // Of a total that can be rebuilt. Which of two comes first does not matter.
  bool Has(const TotalPlace& place) const { return places_.contains(place); }
  void TakeBack(const TotalPlace& place, Uint128 identity) { places_.at(place).gone.insert(identity); }
  void Bring(const TotalPlace& place, Uint128 identity, const Measurement& measured);
  // False: it leaves the range of what can be counted.
  [[nodiscard]] bool TotalOf(const TotalPlace& place, UsageTotal* total) const;

 private:
  struct Rebuilt {
    Hindrance hindrance;
    UsageTotal in_book;
    std::set<uint64_t> commits;            // that added to it
    std::map<Uint128, UsageTotal> events;  // by identity, each a total of one event
    std::set<Uint128> gone;
  };
  using LinePart = std::tuple<uint32_t, uint64_t, uint32_t>;  // source, line, event of the line
  struct Found {
    Rebuilt* of;
    Uint128 identity;
    UsageTotal event;
  };

  absl::Status FindTotals();
  absl::Status FindTotalsOf(int shard);
  void HinderSubject(const std::string& subject);
  void HinderShard(int shard);
  int ShardOf(const TotalPlace& place) const;
  void NoteCommits(const StoredRun& run);
  absl::Status ReadSources();
  absl::Status AddCorrections();
  void Prove();
  UsageTotal EventOf(const Measurement& measured, uint32_t meter) const;

  const Book& book_;
  const Catalog& catalog_;
  SeriesTable& series_;
  ReadAgain sources_;
  std::map<TotalPlace, Rebuilt> places_;
  std::set<std::string, std::less<>> subjects_;  // of these
  std::multimap<LinePart, Found> found_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_REBUILD_H_
