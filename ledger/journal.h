// Journal: rated differences, summarised into balanced batches. Pure.
//
// A difference says by how much the book must change for one charge, billing period and usage date. Differences that
// share a line key become one journal line; the lines of one legal entity, currency and accounting period become one
// batch; what takes back an earlier batch is a batch of its own. Each line has two postings of the same amount, a debit
// and a credit, so it balances by itself, and so does every batch. A negative difference posts the other way round:
// what would be debited is credited. Lines that come to zero are left out.
#ifndef TOLLBOOK_LEDGER_JOURNAL_H_
#define TOLLBOOK_LEDGER_JOURNAL_H_

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/calendar.h"
#include "rating/money.h"

namespace tollbook {

// What a journal line is about. Lines come in the order of its members; those that take back a batch come behind the
// others of their accounting period, in a batch of their own.
struct LineKey {
  std::string entity;
  Currency currency;
  std::string accounting_period;  // "2025-01"
  Day posting_date;
  std::string product;
  std::string debit;  // account of a positive difference's debit
  std::string credit;
  std::string dimensions;              // "cost_center=100,region=eu"
  std::optional<Day> usage_date = {};  // of late usage, which is posted on another day; none: the posting date
  std::string reverses = {};           // the batch that the line takes back; empty: none
  friend bool operator==(const LineKey&, const LineKey&) = default;
  friend std::strong_ordering operator<=>(const LineKey& a, const LineKey& b);
};

struct JournalLine {
  uint32_t number = 0;  // 1, 2, 3 … in its batch
  LineKey key;
  Int128 minor = 0;  // of the difference; never zero, and its negation fits
  uint64_t differences = 0;

  // What is posted, always positive.
  Money amount() const { return {key.currency, minor < 0 ? -minor : minor}; }
  std::string_view debit_account() const { return minor < 0 ? key.credit : key.debit; }
  std::string_view credit_account() const { return minor < 0 ? key.debit : key.credit; }
  // "api, 2025-01-25", of the usage date: a line may be of usage, fees, minimums and grants.
  // "reversal of acme-us-USD-2025-01-0001: api, 2025-01-25"
  std::string memo() const;
};

// The day that the amounts of a line are of.
Day UsedOn(const LineKey& key);

// One debit or credit of one account.
struct Posting {
  std::string_view account;
  bool is_debit = false;
  Money amount;  // positive
};

// The postings of a line, the debit first: what is printed, exported, and sums to zero.
std::vector<Posting> PostingsOf(const JournalLine& line);

struct JournalBatch {
  std::string id;           // for people: "acme-us-USD-2025-01-0001": unique in its book
  std::string posting_key;  // for the ERP: from book name, entity, currency, accounting period, seal number, part, and
                            // what it reverses
  std::string entity;
  Currency currency;
  std::string accounting_period;
  uint64_t seal = 0;
  uint32_t part = 1;  // 2, 3 … of a batch that was cut, and then in its id: "acme-us-USD-2025-01-0001-2"
  // The id of the batch that it takes back, line by line; then its own is "acme-us-USD-2025-01-0002-reversal". Empty:
  // none.
  std::string reverses = {};
  std::vector<JournalLine> lines;
};

// The line of a batch that a line of its reversal takes back: of the same day, product, accounts and dimensions, which
// no other line of the batch has. Null: none.
const JournalLine* ReversedLine(const JournalBatch& original, const LineKey& key);

// Debits less credits over all postings: zero, or there is a bug. Nothing when a sum would not fit.
[[nodiscard]] std::optional<Int128> BalanceOf(const JournalBatch& batch);

// Where the differences of a line key ended up.
struct LineRef {
  uint32_t batch = 0;  // index into the seal's batches
  uint32_t line = 0;   // 0: came to zero, no line
};

struct LineSum {
  Int128 minor = 0;
  uint64_t differences = 0;

  // Adds to `minor` alone. False, and nothing is added, when the sum or what would be posted for it would not fit.
  [[nodiscard]] bool Add(Int128 more);
};

struct SummarisedJournal {
  std::vector<JournalBatch> batches;  // by (entity, currency, accounting period, reverses, part)
  std::map<LineKey, LineRef> line_of;
};

// Entity -> the most lines that one of its batches has. A batch of more is cut behind so many lines, in their order.
using BatchLinesMax = std::map<std::string, uint32_t, std::less<>>;

// Each sum was made by LineSum::Add, so that it can be posted either way round.
[[nodiscard]] SummarisedJournal Summarise(const std::map<LineKey, LineSum>& sums, std::string_view book_name,
                                          uint64_t seal, const BatchLinesMax& lines_max = {});

std::string Encode(const JournalBatch& batch);
absl::StatusOr<JournalBatch> DecodeJournalBatch(std::string_view stored);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_JOURNAL_H_
