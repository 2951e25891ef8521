// DifferenceRun: what one seal booked for the subjects of one total shard, packed. Never changed: the booked amount of
// a charge is the sum of its differences over all seals, and the same entries lead from a journal line back to the
// charges behind it.
#ifndef TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_
#define TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_

#include <compare>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/booked_place.h"
#include "ledger/bytes.h"
#include "ledger/journal.h"

namespace tollbook {

// What an amount is booked for. With the subject it names the charge's place in the book.
//
// A book has a few hundred places and millions of keys, so the names are compared only where the addresses differ.
struct BookedKey {
  std::string_view subscription;
  const BookedPlace* place = nullptr;  // kept by whoever made the key; set before keys are compared
  BillingPeriod period;
  Day usage_date;

  friend bool operator==(const BookedKey& a, const BookedKey& b) { return (a <=> b) == 0; }
  friend std::strong_ordering operator<=>(const BookedKey& a, const BookedKey& b) {
    if (const auto order = a.subscription <=> b.subscription; order != 0) return order;
    if (a.place != b.place) {
      if (const auto order = *a.place <=> *b.place; order != 0) return order;
    }
    if (const auto order = a.period <=> b.period; order != 0) return order;
    return a.usage_date <=> b.usage_date;
  }
};

struct Difference {
  BookedKey key;
  Int128 minor = 0;
  LineRef line;  // of this seal's batches
};

// Written while the differences are found. Which line of which batch each one goes to is known only when all shards are
// summed up, so until then a line is a number of the caller's: 0, 1, 2 …
// Borrows a subject until the next one begins, and places until Finish.
class DifferenceRunWriter {
 public:
  void BeginSubject(std::string_view subject, uint32_t differences);
  void Add(const BookedKey& key, Int128 minor, uint32_t line);
  bool empty() const { return subjects_ == 0; }
  std::string Finish(std::span<const LineRef> lines) const;  // by their numbers

 private:
  uint32_t PlaceId(const BookedPlace& place);
  uint32_t PeriodId(const BillingPeriod& period);

  std::map<BookedPlace, uint32_t> place_ids_;
  std::unordered_map<const BookedPlace*, uint32_t> known_places_;  // by their addresses
  std::map<BillingPeriod, uint32_t> period_ids_;
  // A subject's differences come charge by charge, and most of a book are of few periods.
  const BookedPlace* last_place_ = nullptr;
  uint32_t last_place_id_ = 0;
  BillingPeriod last_period_;
  uint32_t last_period_id_ = 0;
  char* Room(size_t bytes) {
    if (body_.size() - size_ < bytes) body_.resize(2 * body_.size() + bytes);
    return body_.data() + size_;
  }

  ByteWriter places_;
  ByteWriter periods_;
  std::string body_;  // the subjects: `size_` bytes of it. Pointers into it are several times as fast as appending.
  size_t size_ = 0;
  uint64_t subjects_ = 0;
  std::string_view subject_;
};

// Views point into `stored`, places into the reader.
class DifferenceRunReader {
 public:
  explicit DifferenceRunReader(std::string_view stored);
  bool NextSubject(std::string_view* subject, uint32_t* differences);
  bool Next(Difference* difference);  // `differences` times after each subject
  bool ok() const { return reader_.ok(); }
  const std::vector<BookedPlace>& places() const { return places_; }

 private:
  void ReadPlaces();
  void ReadPeriods();
  Day DaysAfter(Day start, int64_t days);
  ByteReader reader_;
  std::vector<BookedPlace> places_;
  std::vector<BillingPeriod> periods_;
  std::vector<LineRef> lines_;
  uint64_t subjects_left_ = 0;
  std::string_view subject_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_
