#include "ledger/difference_run.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);

struct Row {
  std::string subject, subscription, charge, currency;
  int32_t start, end, usage_date;
  Int128 minor;
  uint32_t batch, line;
  friend bool operator==(const Row&, const Row&) = default;
};

const std::vector<Row> kRows = {
    {"s1", "s1", "calls", "USD", 20'089, 20'120, 20'113, 1234, 0, 1},
    {"s1", "s1", "calls", "USD", 20'089, 20'120, 20'114, -1234, 0, 2},
    {"s2", "contract-9", "calls", "EUR", 20'089, 20'120, 20'089, kLargest, 1, 1},
    {"s2", "", "mails", "JPY", -31, 0, -1, -kLargest - 1, 0, 0},
    {"", "", "calls", "USD", INT32_MIN, INT32_MAX, INT32_MAX, 1, UINT32_MAX, UINT32_MAX},
};

std::string Write(const std::vector<Row>& rows) {
  DifferenceRunWriter writer;
  std::deque<BookedPlace> places;  // each row its own: equal ones are stored once all the same
  std::vector<LineRef> lines;
  for (const Row& row : rows) {
    writer.BeginSubject(row.subject, 1);
    places.push_back({"starter", row.charge, "api", "acme-us", *Currency::FromCode(row.currency), "1200", "4000",
                      "cost_center=100"});
    const BookedKey key{row.subscription, &places.back(), {{row.start}, {row.end}}, {row.usage_date}};
    writer.Add(key, row.minor, static_cast<uint32_t>(lines.size()));
    lines.push_back({row.batch, row.line});
  }
  return writer.Finish(lines);
}

bool Read(std::string_view stored, std::vector<Row>* rows) {
  DifferenceRunReader reader(stored);
  std::string_view subject;
  uint32_t count = 0;
  while (reader.NextSubject(&subject, &count)) {
    Difference d;
    for (uint32_t i = 0; i < count && reader.Next(&d); ++i) {
      rows->push_back({std::string(subject), std::string(d.key.subscription), std::string(d.key.place->charge),
                       std::string(d.key.place->currency.code()), d.key.period.start.number, d.key.period.end.number,
                       d.key.usage_date.number, d.minor, d.line.batch, d.line.line});
    }
  }
  return reader.ok();
}

TEST(DifferenceRun, AccountsAndDimensionsComeBack) {
  const std::string stored = Write({{"s1", "s1", "calls", "USD", 0, 31, 5, 100, 0, 1}});
  DifferenceRunReader reader(stored);
  std::string_view subject;
  uint32_t count = 0;
  Difference d;
  ASSERT_TRUE(reader.NextSubject(&subject, &count));
  ASSERT_TRUE(reader.Next(&d));
  EXPECT_EQ(d.key.place->debit, "1200");
  EXPECT_EQ(d.key.place->credit, "4000");
  EXPECT_EQ(d.key.place->dimensions, "cost_center=100");
}

TEST(DifferenceRun, EveryDifferenceComesBack) {
  std::vector<Row> read;
  EXPECT_TRUE(Read(Write(kRows), &read));
  EXPECT_EQ(read, kRows);
}

TEST(DifferenceRun, RandomDifferencesComeBack) {
  std::mt19937_64 random(6);
  std::vector<Row> rows;
  for (int i = 0; i < 10'000; ++i) {
    const std::string subject = "s" + std::to_string(random() % 50);
    const auto start = static_cast<int32_t>(20'000 + random() % 300);
    rows.push_back({subject, random() % 2 == 0 ? subject : "contract", "charge-" + std::to_string(random() % 9),
                    random() % 2 == 0 ? "USD" : "BHD", start, start + 31, start + static_cast<int32_t>(random() % 31),
                    static_cast<Int128>(static_cast<Uint128>(random()) << 64 | random()) >> random() % 127,
                    static_cast<uint32_t>(random() % 4), static_cast<uint32_t>(random() % 1000)});
  }
  std::vector<Row> read;
  EXPECT_TRUE(Read(Write(rows), &read));
  EXPECT_EQ(read, rows);
}

TEST(DifferenceRun, ASubscriptionNamedAsItsSubjectTakesOneByte) {
  std::vector<Row> as_subject = {kRows[0]};
  std::vector<Row> other = {kRows[0]};
  other[0].subscription = "s2";
  EXPECT_EQ(Write(other).size(), Write(as_subject).size() + 2);
}

// Another period in the list, and nothing else.
TEST(DifferenceRun, EqualPlacesAndPeriodsAreStoredOnce) {
  std::vector<Row> one = {kRows[0]}, two = {kRows[0], kRows[0]}, three = {kRows[0], kRows[0], kRows[0]};
  EXPECT_EQ(Write(three).size() - Write(two).size(), Write(two).size() - Write(one).size());
  three[2].start -= 1;
  three[2].usage_date -= 1;
  EXPECT_EQ(Write(three).size() - Write(two).size(), Write(two).size() - Write(one).size() + 4);
}

std::string StoredAs(const char* charge, BookedAs as) {
  DifferenceRunWriter writer;
  BookedPlace place{"starter", charge, "api", "acme-us", *Currency::FromCode("USD"), "1200", "4000", ""};
  place.as = as;
  writer.BeginSubject("s1", 1);
  writer.Add({"s1", &place, {{0}, {31}}, {5}}, 100, 0);
  return writer.Finish(std::vector<LineRef>{{0, 1}});
}

// A charge may be called as a line beside another one is. What the line is costs bytes only there, and a run of before
// it was told is read by the name.
TEST(DifferenceRun, WhatALineIsComesBackWhateverItsName) {
  constexpr std::pair<const char*, BookedAs> kByName[] = {{"calls", BookedAs::kRated},
                                                          {"recognised calls", BookedAs::kRecognised},
                                                          {"delivered calls", BookedAs::kDelivered},
                                                          {"accrued calls", BookedAs::kAccrued}};
  for (const auto& [charge, by_name] : kByName) {
    for (const auto& [unused, as] : kByName) {
      const std::string stored = StoredAs(charge, as);
      const DifferenceRunReader reader(stored);
      ASSERT_TRUE(reader.ok()) << charge;
      EXPECT_EQ(reader.places().at(0).as, as) << charge;
      EXPECT_EQ(reader.places().at(0).charge, charge);
      EXPECT_EQ(stored.size(), StoredAs(charge, by_name).size() + (as == by_name ? 0 : 4)) << charge;
    }
  }
}

// What the name says already is told once.
TEST(DifferenceRun, RefusesWhatIsToldAndNeedNotBe) {
  std::string stored = StoredAs("delivered calls", BookedAs::kRated);
  const size_t told = stored.find(std::string_view("\0\0\0\0USD", 7));
  ASSERT_NE(told, std::string::npos);
  for (char as = 0; as < 5; ++as) {
    stored[told + 3] = as;
    EXPECT_EQ(DifferenceRunReader(stored).ok(), as != static_cast<char>(BookedAs::kDelivered) && as < 4) << int{as};
  }
}

// Names are compared only where the addresses differ, and the order is that of the names.
TEST(BookedKey, IsOrderedByNamesWhateverTheirAddresses) {
  const BookedPlace calls{"starter", "calls", "api", "acme", *Currency::FromCode("USD"), "1", "2", ""};
  const BookedPlace again = calls;
  BookedPlace mails = calls;
  mails.charge = "mails";
  const BillingPeriod period{{0}, {31}};
  const BookedKey key{"s1", &calls, period, {5}};
  EXPECT_EQ(key, (BookedKey{"s1", &again, period, {5}}));
  EXPECT_LT(key, (BookedKey{"s1", &again, period, {6}}));
  EXPECT_LT(key, (BookedKey{"s1", &mails, period, {4}}));
  EXPECT_LT(key, (BookedKey{"s1", &calls, {{0}, {32}}, {4}}));
  EXPECT_LT((BookedKey{"s0", &mails, period, {5}}), key);
}

TEST(DifferenceRun, DamageIsRefusedOrHarmless) {
  TryDamage(Write(kRows), [](std::string_view stored) {
    std::vector<Row> read;
    return Read(stored, &read);
  });
}

}  // namespace
}  // namespace tollbook
