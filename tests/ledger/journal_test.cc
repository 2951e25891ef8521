#include "ledger/journal.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

constexpr int32_t kJanuary25 = 20'113;  // 2025-01-25

struct Sum {
  const char *entity, *currency, *period;
  int32_t day;
  const char* product;
  int64_t minor;
};

std::map<LineKey, LineSum> Sums(const std::vector<Sum>& rows) {
  std::map<LineKey, LineSum> sums;
  for (const Sum& row : rows) {
    const LineKey key{
        row.entity,       *Currency::FromCode(row.currency), row.period, {row.day}, row.product, "1200", "4000",
        "cost_center=100"};
    sums[key].minor += row.minor;
    ++sums[key].differences;
  }
  return sums;
}

std::string Printed(const SummarisedJournal& journal) {
  std::string text;
  for (const JournalBatch& batch : journal.batches) {
    text += batch.id + "\n";
    for (const JournalLine& line : batch.lines) {
      text += "  " + std::to_string(line.number) + " " + ToString(line.key.posting_date) + " debit " +
              std::string(line.debit_account()) + " credit " + std::string(line.credit_account()) + " " +
              ToString(line.amount()) + " " + line.memo() + "\n";
    }
  }
  return text;
}

const std::vector<Sum> kRows = {
    {"acme-us", "USD", "2025-02", kJanuary25 + 1, "api", -250}, {"acme-us", "USD", "2025-01", kJanuary25, "mail", 300},
    {"acme-us", "USD", "2025-01", kJanuary25, "api", 1000},     {"acme-us", "USD", "2025-01", kJanuary25, "api", 234},
    {"acme-us", "EUR", "2025-01", kJanuary25, "api", 7},        {"acme-jp", "JPY", "2025-01", kJanuary25, "api", 500},
    {"acme-jp", "JPY", "2025-01", kJanuary25, "zero", 5},       {"acme-jp", "JPY", "2025-01", kJanuary25, "zero", -5},
    {"acme-zz", "USD", "2025-01", kJanuary25, "zero", 0},
};

TEST(Summarise, OneBatchPerEntityCurrencyAndPeriodOneLinePerKey) {
  // Lines that come to zero are left out, and a batch without lines; a negative difference posts the other way round.
  EXPECT_EQ(Printed(Summarise(Sums(kRows), "demo", 3)),
            "acme-jp-JPY-2025-01-0003\n"
            "  1 2025-01-25 debit 1200 credit 4000 500 api, 2025-01-25\n"
            "acme-us-EUR-2025-01-0003\n"
            "  1 2025-01-25 debit 1200 credit 4000 0.07 api, 2025-01-25\n"
            "acme-us-USD-2025-01-0003\n"
            "  1 2025-01-25 debit 1200 credit 4000 12.34 api, 2025-01-25\n"
            "  2 2025-01-25 debit 1200 credit 4000 3.00 mail, 2025-01-25\n"
            "acme-us-USD-2025-02-0003\n"
            "  1 2025-01-26 debit 4000 credit 1200 2.50 api, 2025-01-26\n");
}

TEST(Summarise, EveryBatchBalancesAndEveryPostingIsPositive) {
  for (const JournalBatch& batch : Summarise(Sums(kRows), "demo", 3).batches) {
    EXPECT_TRUE(BalanceOf(batch) == 0);
    for (const JournalLine& line : batch.lines) {
      const std::vector<Posting> postings = PostingsOf(line);
      ASSERT_EQ(postings.size(), 2u);
      EXPECT_TRUE(postings[0].is_debit && !postings[1].is_debit);
      EXPECT_NE(postings[0].account, postings[1].account);
      EXPECT_TRUE(postings[0].amount.minor > 0 && postings[0].amount == postings[1].amount);
    }
  }
}

TEST(Summarise, EveryLineKeyIsTracedToItsLine) {
  const std::map<LineKey, LineSum> sums = Sums(kRows);
  const SummarisedJournal journal = Summarise(sums, "demo", 3);
  ASSERT_EQ(journal.line_of.size(), sums.size());
  for (const auto& [key, ref] : journal.line_of) {
    if (ref.line == 0) {
      EXPECT_TRUE(sums.at(key).minor == 0);
      continue;
    }
    const JournalLine& line = journal.batches.at(ref.batch).lines.at(ref.line - 1);
    EXPECT_EQ(line.key, key);
    EXPECT_TRUE(line.minor == sums.at(key).minor);
    EXPECT_EQ(line.differences, sums.at(key).differences);
  }
}

TEST(Summarise, NothingDueIsNoBatch) {
  EXPECT_TRUE(Summarise({}, "demo", 1).batches.empty());
}

TEST(LineSum, WhatDoesNotFitIsRefusedAndNotAdded) {
  const Int128 most = static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1);
  const struct {
    const char* what;
    Int128 sum, more;
    bool fits;
  } kCases[] = {
      {"small", 1234, -34, true},
      {"up to the most", most - 1, 1, true},
      {"one beyond the most", most, 1, false},
      {"down to what can be posted the other way round", -most + 1, -1, true},
      {"the least number, which cannot", -most, -1, false},
      {"one beyond the least", -most, -2, false},
  };
  for (const auto& row : kCases) {
    LineSum sum{row.sum, 7};
    EXPECT_EQ(sum.Add(row.more), row.fits) << row.what;
    EXPECT_TRUE(sum.minor == (row.fits ? row.sum + row.more : row.sum)) << row.what;
    EXPECT_EQ(sum.differences, 7u) << row.what;
  }
}

TEST(JournalBatch, AnAmountThatCannotBePostedNeitherBalancesNorDecodes) {
  const Int128 most = static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1);
  JournalBatch batch = Summarise(Sums(kRows), "demo", 3).batches.at(2);
  batch.lines[0].minor = most;
  batch.lines[1].minor = most;
  EXPECT_TRUE(BalanceOf(batch) == 0);
  EXPECT_TRUE(DecodeJournalBatch(Encode(batch)).ok());
  batch.lines[1].minor = -most - 1;
  EXPECT_FALSE(BalanceOf(batch).has_value());
  EXPECT_EQ(DecodeJournalBatch(Encode(batch)).status().code(), absl::StatusCode::kDataLoss);
}

std::string KeyOf(const Sum& row, const char* book, uint64_t seal) {
  return Summarise(Sums({row}), book, seal).batches.at(0).posting_key;
}

// Two lines a batch: the first part is named and keyed as a batch that is whole.
TEST(Summarise, ALargeBatchIsCutBehindSoManyLines) {
  std::vector<Sum> rows;
  for (int day = 0; day < 5; ++day) rows.push_back({"acme-us", "USD", "2025-01", kJanuary25 + day, "api", 100 + day});
  rows.push_back({"acme-zz", "USD", "2025-01", kJanuary25, "api", 100});
  const SummarisedJournal whole = Summarise(Sums(rows), "demo", 1);
  const SummarisedJournal cut = Summarise(Sums(rows), "demo", 1, {{"acme-us", 2}});
  std::vector<std::string> ids;
  std::vector<size_t> lines;
  std::set<std::string> keys;
  for (const JournalBatch& batch : cut.batches) {
    ids.push_back(batch.id);
    lines.push_back(batch.lines.size());
    keys.insert(batch.posting_key);
    EXPECT_TRUE(BalanceOf(batch) == 0);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"acme-us-USD-2025-01-0001", "acme-us-USD-2025-01-0001-2",
                                           "acme-us-USD-2025-01-0001-3", "acme-zz-USD-2025-01-0001"}));
  EXPECT_EQ(lines, (std::vector<size_t>{2, 2, 1, 1}));
  EXPECT_EQ(keys.size(), 4u);
  EXPECT_EQ(cut.batches.front().posting_key, whole.batches.front().posting_key);
  EXPECT_EQ(cut.batches[1].lines.front().number, 1u);
  for (const auto& [key, ref] : cut.line_of) EXPECT_EQ(cut.batches[ref.batch].lines[ref.line - 1].key, key);
}

// What is posted on another day than it was used says when that was, and comes behind what was used that day.
TEST(Summarise, LateUsageHasALineOfItsOwnForEachUsageDate) {
  LineKey key{"acme-us", *Currency::FromCode("USD"), "2025-02", {kJanuary25 + 7}, "api", "1200", "4000", ""};
  std::map<LineKey, LineSum> sums = {{key, {100, 1}}};
  key.usage_date = Day{kJanuary25 + 1};
  sums[key] = {20, 1};
  key.usage_date = Day{kJanuary25};
  sums[key] = {10, 1};
  EXPECT_EQ(Printed(Summarise(sums, "demo", 1)),
            "acme-us-USD-2025-02-0001\n"
            "  1 2025-02-01 debit 1200 credit 4000 1.00 api, 2025-02-01\n"
            "  2 2025-02-01 debit 1200 credit 4000 0.10 api, 2025-01-25\n"
            "  3 2025-02-01 debit 1200 credit 4000 0.20 api, 2025-01-26\n");
}

// What takes back an earlier batch is a batch of its own, beside what else is booked in the period, and is cut by
// itself.
TEST(Summarise, AReversalIsABatchOfItsOwn) {
  const std::string original = "acme-us-USD-2025-01-0001";
  LineKey key{"acme-us", *Currency::FromCode("USD"), "2025-01", {kJanuary25}, "api", "1200", "4010", ""};
  std::map<LineKey, LineSum> sums = {{key, {100, 1}}};
  key.credit = "4000";
  key.reverses = original;
  sums[key] = {-100, 1};
  key.posting_date = {kJanuary25 + 7};
  key.accounting_period = "2025-02";
  key.usage_date = Day{kJanuary25 + 1};
  sums[key] = {-20, 1};
  const SummarisedJournal journal = Summarise(sums, "demo", 2);
  EXPECT_EQ(Printed(journal),
            "acme-us-USD-2025-01-0002\n"
            "  1 2025-01-25 debit 1200 credit 4010 1.00 api, 2025-01-25\n"
            "acme-us-USD-2025-01-0002-reversal\n"
            "  1 2025-01-25 debit 4000 credit 1200 1.00 reversal of acme-us-USD-2025-01-0001: api, 2025-01-25\n"
            "acme-us-USD-2025-02-0002-reversal\n"
            "  1 2025-02-01 debit 4000 credit 1200 0.20 reversal of acme-us-USD-2025-01-0001: api, 2025-01-26\n");
  EXPECT_NE(journal.batches[0].posting_key, journal.batches[1].posting_key);
  EXPECT_EQ(journal.batches[1].reverses, original);
}

// A line is found by its day, product, accounts and dimensions, whatever day it is taken back on.
TEST(ReversedLine, IsOfTheSameDayAndPlace) {
  LineKey key{"acme-us", *Currency::FromCode("USD"), "2025-01", {kJanuary25}, "api", "1200", "4000", ""};
  std::map<LineKey, LineSum> sums = {{key, {100, 1}}};
  key.posting_date = {kJanuary25 + 1};
  sums[key] = {20, 1};
  const JournalBatch original = Summarise(sums, "demo", 1).batches.at(0);
  key.reverses = original.id;
  key.usage_date = key.posting_date;
  key.posting_date = {kJanuary25 + 30};
  const JournalLine* const line = ReversedLine(original, key);
  ASSERT_NE(line, nullptr);
  EXPECT_EQ(line->number, 2u);
  key.credit = "4010";
  EXPECT_EQ(ReversedLine(original, key), nullptr);
}

TEST(PostingKey, ComesFromWhatTheBatchIs) {
  const Sum row{"acme-us", "USD", "2025-01", kJanuary25, "api", 100};
  // Stored and sent: it may never change.
  EXPECT_EQ(KeyOf(row, "demo", 1), "tb-eb6528f22c649c32f82d763bb4490005");
  EXPECT_EQ(KeyOf(row, "demo", 1), KeyOf(row, "demo", 1)) << "same input, same key";
  EXPECT_NE(KeyOf(row, "demo", 1), KeyOf(row, "other", 1)) << "another book";
  EXPECT_NE(KeyOf(row, "demo", 1), KeyOf(row, "demo", 2)) << "another seal";
  const Sum others[] = {{"acme-eu", "USD", "2025-01", kJanuary25, "api", 100},
                        {"acme-us", "EUR", "2025-01", kJanuary25, "api", 100},
                        {"acme-us", "USD", "2025-02", kJanuary25, "api", 100}};
  for (const Sum& other : others) EXPECT_NE(KeyOf(row, "demo", 1), KeyOf(other, "demo", 1));
}

void ExpectComesBack(const JournalBatch& batch) {
  const absl::StatusOr<JournalBatch> read = DecodeJournalBatch(Encode(batch));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id, batch.id);
  EXPECT_EQ(read->posting_key, batch.posting_key);
  EXPECT_EQ(read->seal, batch.seal);
  EXPECT_EQ(read->part, batch.part);
  EXPECT_EQ(read->reverses, batch.reverses);
  ASSERT_EQ(read->lines.size(), batch.lines.size());
  for (size_t i = 0; i < batch.lines.size(); ++i) {
    EXPECT_EQ(read->lines[i].key, batch.lines[i].key);
    EXPECT_EQ(read->lines[i].number, batch.lines[i].number);
    EXPECT_EQ(read->lines[i].differences, batch.lines[i].differences);
    EXPECT_TRUE(read->lines[i].minor == batch.lines[i].minor);
  }
  TryDamage(Encode(batch), [](std::string_view stored) { return DecodeJournalBatch(stored).ok(); });
}

TEST(JournalBatch, ComesBackAsItWasAndDamageIsRefusedOrHarmless) {
  JournalBatch batch = Summarise(Sums(kRows), "demo", 12'345).batches.at(2);
  ExpectComesBack(batch);
  batch.lines.back().key.usage_date = Day{kJanuary25 - 30};
  ExpectComesBack(batch);
  batch.part = 3;
  ExpectComesBack(batch);
  batch.reverses = "acme-us-USD-2025-01-0001";
  for (JournalLine& line : batch.lines) line.key.reverses = batch.reverses;
  ExpectComesBack(batch);
}

}  // namespace
}  // namespace tollbook
