// What scenarios cannot say of functional amounts: whatever the seals, and whatever comes after.
#include "pipeline/functional_amounts.h"

#include <gtest/gtest.h>

#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

// A fee for a quarter and one for each month, both in advance, usage, and a grant that pays some of it; three
// subscriptions that begin and end on different days. The rate is another one on each third day.
CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-eu", "EUR", "", ""}};
  CatalogTexts::Meter meter;
  meter.name = "api.calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD", "billing_period: 1 quarter"}};
  const auto fee = [&texts](const char* name, const char* price, const char* more) {
    CatalogTexts::Charge charge;
    charge.plan = "starter";
    charge.name = charge.product = name;
    charge.model = "fee";
    charge.price = price;
    charge.more = more;
    texts.charges.push_back(charge);
  };
  fee("platform", "97.31", "");
  fee("support", "13.37", "billing_period: 1 month");
  CatalogTexts::Charge calls;
  calls.plan = "starter";
  calls.name = "calls";
  calls.product = "api";
  calls.meter = "api.calls";
  calls.model = "per_unit";
  calls.price = "0.37";
  texts.charges.push_back(calls);
  texts.postings = {{"", "", "1200", "4000"}, {"credits", "", "1200", "2500"}, {"breakage", "", "2500", "4900"}};
  for (const char* product : {"platform", "support"}) {
    CatalogTexts::Posting ratable{product, "", "1200", "4500"};
    ratable.deferred = "2400";
    texts.postings.push_back(ratable);
  }
  texts.subscriptions = {{"s1", "starter", "acme-eu", "USD", "2025-01-01", "", "", ""},
                         {"s2", "starter", "acme-eu", "USD", "2025-01-20", "2025-03-05", "", ""},
                         {"s3", "starter", "acme-eu", "USD", "2025-02-11", "", "", ""}};
  texts.grants = {"prepaid,s1,20.00,USD,credits,2025-01-03,2025-03-20,0,,,,breakage"};
  for (int day = 0; day < 90; day += 3) {
    const Day on{ParseDay("2025-01-01")->number + day};
    texts.exchange_rates.push_back(ToString(on) + ",USD,EUR,0." + std::to_string(61 + (day * 7) % 38));
  }
  return texts;
}

struct Booked {
  std::map<std::string, Int128> by_line;                      // date, accounts and amount
  std::map<std::string, std::pair<Int128, Int128>> balances;  // by account, transaction and functional
  std::vector<std::string> drawn;                             // lines of several rates
};

Booked BookedIn(const Book& book) {
  Booked booked;
  FunctionalAmounts reckoned(book);
  const std::vector<JournalBatch> batches = *book.Batches();
  for (const JournalBatch& batch : batches) {
    const LineAmounts amounts = *reckoned.Of(batch);
    for (const JournalLine& line : batch.lines) {
      const FunctionalAmount& amount = *amounts[line.number - 1];
      const std::string place = ToString(line.key.posting_date) + " " + line.key.product + " " +
                                std::string(line.debit_account()) + " " + std::string(line.credit_account()) + " " +
                                ToString(line.amount());
      booked.by_line[place] += amount.amount.minor;
      if (!amount.rate) booked.drawn.push_back(place);
      for (const Posting& posting : PostingsOf(line)) {
        auto& [minor, functional] = booked.balances[std::string(posting.account)];
        minor += posting.is_debit ? posting.amount.minor : -posting.amount.minor;
        functional += posting.is_debit ? amount.amount.minor : -amount.amount.minor;
      }
    }
  }
  return booked;
}

class FunctionalAmountsTest : public testing::Test {
 protected:
  // Usage of every fifth day, and seals of so many days, in order.
  static Booked Sealed(int days_of_a_seal, const std::string& entity_more = "") {
    CatalogTexts texts = Texts();
    texts.entities[0].more = entity_more;
    const Catalog catalog = *Parse(texts);
    SmallBook book;
    const Day first = *ParseDay("2025-01-01");
    for (int day = 0; day < 90; ++day) {
      const Day on{first.number + day};
      if (day % 5 == 0) {
        const std::string id = "k" + std::to_string(day);
        const std::string event = ToJson({.id = id,
                                          .type = "api.calls",
                                          .subject = "s1",
                                          .time = ToString(on) + "T12:00:00Z",
                                          .value = std::to_string(1 + day % 7)});
        EXPECT_TRUE(Absorb(*book, catalog, Inputs({book.Write(id + ".ndjson", event + "\n")}), {}).ok());
      }
      if (day % days_of_a_seal != days_of_a_seal - 1 && day != 89) continue;
      EXPECT_TRUE(Seal(*book, catalog, {1, on}).ok());
    }
    EXPECT_EQ(BrokenLaws(*book), std::vector<std::string>());
    return BookedIn(*book);
  }
};

TEST_F(FunctionalAmountsTest, AreTheSameSealedDailyOrAtOnce) {
  const Booked once = Sealed(90);
  EXPECT_GT(once.drawn.size(), 100u);
  EXPECT_EQ(once.balances.at("2400"), std::pair(Int128{0}, Int128{0}));
  // 20.00 at 0.61, that of January 1st.
  EXPECT_EQ(once.balances.at("2500"), std::pair(Int128{2000}, Int128{1220}));
  for (const int days : {1, 2, 7, 31}) {
    SCOPED_TRACE(days);
    const Booked often = Sealed(days);
    EXPECT_EQ(often.by_line, once.by_line);
    EXPECT_EQ(often.balances, once.balances);
  }
  EXPECT_EQ(Sealed(90, "batch_lines_max: 3").by_line, once.by_line);
}

// A batch never changes, and neither does what it is in the functional currency.
TEST_F(FunctionalAmountsTest, AreWhatTheyAreWhateverIsSealedLater) {
  SmallBook book;
  const std::string event =
      ToJson({.id = "k", .type = "api.calls", .subject = "s1", .time = "2025-01-20T12:00:00Z", .value = "40"});
  ASSERT_TRUE(Absorb(*book, *Parse(Texts()), Inputs({book.Write("k.ndjson", event + "\n")}), {}).ok());
  std::map<std::string, std::vector<Int128>> before;
  for (const char* through : {"2025-01-31", "2025-03-31", "2025-02-20", "2025-03-31"}) {
    CatalogTexts texts = Texts();
    if (!before.empty()) {
      // Other prices, rates, accounts and another day of the grant from now on.
      texts.grants = {"prepaid,s1,20.00,USD,credits,2025-01-1" + std::to_string(before.size()) +
                      ",2025-03-20,0,,,,breakage"};
      texts.charges[0].price = std::to_string(50 + 10 * before.size());
      texts.exchange_rates = {"2025-01-01,USD,EUR,0." + std::to_string(30 + before.size())};
      if (before.size() > 4) texts.postings.back().deferred = "2410";
    }
    const Catalog catalog = *Parse(texts);
    ASSERT_TRUE(Seal(*book, catalog, {1, *ParseDay(through)}).ok());
    FunctionalAmounts reckoned(*book);
    std::map<std::string, std::vector<Int128>> now;
    const std::vector<JournalBatch> batches = *book->Batches();
    for (const JournalBatch& batch : batches) {
      const LineAmounts amounts = *reckoned.Of(batch);
      for (const std::optional<FunctionalAmount>& amount : amounts) now[batch.id].push_back(amount->amount.minor);
    }
    ASSERT_GT(now.size(), before.size());
    for (const auto& [id, amounts] : before) EXPECT_EQ(now[id], amounts) << id;
    before = std::move(now);
  }
  const Booked booked = BookedIn(*book);
  EXPECT_EQ(booked.balances.at("2400"), std::pair(Int128{0}, Int128{0}));
  EXPECT_EQ(booked.balances.at("2410"), std::pair(Int128{0}, Int128{0}));
}

// The grant begins on January 3rd, at 0.61, by one catalog, and on the 4th, at 0.82, by the other one: each seal has it
// as its own catalog has, the first one's after the other's too.
TEST_F(FunctionalAmountsTest, AreByACatalogThatComesBackWhatTheyWereByIt) {
  CatalogTexts other = Texts();
  other.grants = {"prepaid,s1,20.00,USD,credits,2025-01-04,2025-03-20,0,,,,breakage"};
  const Catalog one = *Parse(Texts()), another = *Parse(other);
  SmallBook book;
  struct {
    const Catalog* catalog;
    const char* day;
    Int128 functional;  // of 3.70 USD
  } kSeals[] = {{&one, "2025-01-10", 226}, {&another, "2025-01-12", 303}, {&one, "2025-01-14", 225}};
  for (const auto& seal : kSeals) {
    SCOPED_TRACE(seal.day);
    const std::string day = seal.day;
    const std::string event =
        ToJson({.id = day, .type = "api.calls", .subject = "s1", .time = day + "T12:00:00Z", .value = "10"});
    ASSERT_TRUE(Absorb(*book, *seal.catalog, Inputs({book.Write(day + ".ndjson", event + "\n")}), {}).ok());
    ASSERT_TRUE(Seal(*book, *seal.catalog, {1, *ParseDay(day)}).ok());
    FunctionalAmounts reckoned(*book);
    const std::vector<JournalBatch> batches = *book->Batches();
    int paid = 0;
    for (const JournalLine& line : batches.back().lines) {
      if (line.key.product != "credits") continue;
      ++paid;
      EXPECT_EQ((*reckoned.Of(batches.back()))[line.number - 1]->amount.minor, seal.functional);
    }
    EXPECT_EQ(paid, 1);
  }
}

TEST_F(FunctionalAmountsTest, OfABatchThatTheBookHasNotAreAnError) {
  SmallBook book;
  JournalBatch batch;
  batch.id = "acme-eu-USD-2025-01-0001";
  EXPECT_EQ(FunctionalAmounts(*book).Of(batch).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace tollbook
