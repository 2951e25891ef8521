// DifferenceRun: what one seal booked for the subjects of one total shard, packed. Never changed: the booked amount of
// a charge is the sum of its differences over all seals, and the same entries lead from a journal line back to the
// charges behind it.
#ifndef TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_
#define TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/bytes.h"
#include "ledger/journal.h"

namespace tollbook {

// What an amount is booked for. With the subject it names the charge's place in the book.
struct BookedKey {
  std::string_view subscription;
  std::string_view plan;
  std::string_view charge;
  std::string_view product;
  std::string_view entity;
  Currency currency;
  // Where it was posted: a difference goes to the accounts of what it corrects, and a rule that changes books the old
  // amounts back there and anew here.
  std::string_view debit;
  std::string_view credit;
  std::string_view dimensions;
  BillingPeriod period;
  Day usage_date;
  friend bool operator==(const BookedKey&, const BookedKey&) = default;
  friend auto operator<=>(const BookedKey&, const BookedKey&) = default;
};

struct Difference {
  BookedKey key;
  Int128 minor = 0;
  LineRef line;  // of this seal's batches
};

// Borrows a subject until the next one begins.
class DifferenceRunWriter {
 public:
  void BeginSubject(std::string_view subject, uint32_t differences);
  void Add(const Difference& difference);
  bool empty() const { return subjects_ == 0; }
  std::string Finish();

 private:
  uint32_t InternCharge(const BookedKey& key);
  uint32_t InternLine(LineRef line);
  std::unordered_map<std::string, uint32_t> charge_ids_;
  ByteWriter charge_key_;  // of the charge at hand; kept to save an allocation each
  ByteWriter charges_;
  std::unordered_map<uint64_t, uint32_t> line_ids_;
  ByteWriter lines_;
  ByteWriter body_;
  uint64_t subjects_ = 0;
  std::string_view subject_;
};

// Views point into `stored`.
class DifferenceRunReader {
 public:
  explicit DifferenceRunReader(std::string_view stored);
  bool NextSubject(std::string_view* subject, uint32_t* differences);
  bool Next(Difference* difference);  // `differences` times after each subject
  bool ok() const { return reader_.ok(); }

 private:
  Day DaysAfter(Day start, int64_t days);
  ByteReader reader_;
  std::vector<BookedKey> charges_;  // without subscription, period and usage date
  std::vector<LineRef> lines_;
  uint64_t subjects_left_ = 0;
  std::string_view subject_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DIFFERENCE_RUN_H_
