// Explain: that its arithmetic adds up is checked for every line of every scenario and of the whole flow's twin
// (WhatIsWrong of small_book.h). Here: what it shows of one line, and of lines that are not there.
#include "pipeline/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::IsEmpty;

CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false, {}}};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge calls;
  calls.plan = "starter";
  calls.name = "calls";
  calls.meter = "api.calls";
  calls.product = "api";
  calls.model = "graduated";
  calls.tiers = {{"100", "0.10", ""}, {"", "0.05", ""}};
  texts.charges = {calls};
  for (const char* id : {"s1", "s2"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

std::string Usage(const char* id, const char* subject, const char* day, const char* value) {
  return ToJson({id, "gateway", "api.calls", subject, std::string(day) + "T08:00:00Z", value, {}}) + "\n";
}

TEST(Explain, GoesFromALineToItsChargesTheirTiersAndTheLinesOfTheSources) {
  SmallBook book;
  const absl::StatusOr<Catalog> catalog = Parse(Texts());
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const std::string first =
      book.Write("a.ndjson", Usage("1", "s1", "2025-01-10", "80") + Usage("2", "s1", "2025-01-11", "30") +
                                 Usage("3", "s2", "2025-01-11", "10"));
  ASSERT_TRUE(Absorb(*book, *catalog, Inputs({first}), {}).ok());
  ASSERT_TRUE(Seal(*book, *catalog, {}).ok());
  const std::string late = book.Write("b.ndjson", "\n" + Usage("4", "s1", "2025-01-11", "40"));
  ASSERT_TRUE(Absorb(*book, *catalog, Inputs({late}), {}).ok());
  ASSERT_TRUE(Seal(*book, *catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book), IsEmpty());

  // The 11th: 20 x 0.10 + 10 x 0.05 of s1 and 10 x 0.10 of s2.
  absl::StatusOr<Explanation> line = Explain(*book, "acme-us-USD-2025-01-0001/2", 1);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(ToString(line->sum), "3.50");
  EXPECT_EQ(line->charges, 2u);
  ASSERT_EQ(line->largest.size(), 1u);
  EXPECT_EQ(line->largest[0].subscription, "s1");
  EXPECT_EQ(ToString(line->largest[0].difference), "2.50");
  EXPECT_EQ(ToString(line->largest[0].to_date), "110");
  EXPECT_EQ(ToString(line->largest[0].before), "80");

  // Its late part: what was booked before, and both commits that brought usage of the day.
  line = Explain(*book, "acme-us-USD-2025-01-0002/1", 10);
  ASSERT_TRUE(line.ok()) << line.status();
  ASSERT_EQ(line->largest.size(), 1u);
  const ExplainedCharge& charge = line->largest[0];
  EXPECT_EQ(ToString(charge.difference), "2.00");
  EXPECT_EQ(ToString(charge.booked_before), "2.50");
  ASSERT_EQ(charge.steps.size(), 2u);
  EXPECT_EQ(ToString(charge.steps[0].worth), "10");
  EXPECT_EQ(ToString(charge.steps[1].worth), "2.5");
  ASSERT_EQ(charge.origins.size(), 2u);
  EXPECT_EQ(ToString(charge.origins[0].quantity), "30");
  EXPECT_EQ(ToString(charge.origins[1].quantity), "40");
  ASSERT_EQ(charge.origins[1].stretches.size(), 1u);
  EXPECT_EQ(charge.origins[1].stretches[0].path, late);
  EXPECT_EQ(charge.origins[1].stretches[0].first_line, 1u);
  EXPECT_EQ(charge.origins[1].stretches[0].last_line, 2u);
  const absl::StatusOr<FileDigest> digest = DigestFile(late);
  ASSERT_TRUE(digest.ok());
  char hash[33];
  std::snprintf(hash, sizeof hash, "%016llx%016llx", static_cast<unsigned long long>(digest->high),
                static_cast<unsigned long long>(digest->low));
  EXPECT_EQ(charge.origins[1].stretches[0].xxh3_128, hash);
  EXPECT_NE(charge.origins[0].stretches.at(0).xxh3_128, hash);

  for (const char* none : {"", "acme-us-USD-2025-01-0001", "acme-us-USD-2025-01-0001/0", "acme-us-USD-2025-01-0001/3",
                           "acme-us-USD-2025-01-0003/1", "/1"}) {
    EXPECT_EQ(Explain(*book, none, 1).status().code(), absl::StatusCode::kNotFound) << none;
  }
}

// Two plans that differ in their price; s1 changes from the one to the other on the day.
CatalogTexts ChangedOn(const char* day, const char* price_of_pro) {
  CatalogTexts texts = Texts();
  texts.plans.push_back({"pro", "USD"});
  CatalogTexts::Charge& calls = texts.charges.front();
  calls.model = "per_unit";
  calls.tiers.clear();
  calls.price = "0.10";
  texts.charges.push_back(calls);
  texts.charges.back().plan = "pro";
  texts.charges.back().price = price_of_pro;
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", day, "", ""},
                         {"s1", "pro", "acme-us", "USD", day, "", "", ""}};
  return texts;
}

// Each charge of a line, by the catalog of the seal before and what changed.
std::vector<std::string> EarlierInWords(const Book& book, const std::string& line) {
  const absl::StatusOr<Explanation> explained = Explain(book, line, 10);
  EXPECT_TRUE(explained.ok()) << explained.status();
  std::vector<std::string> words;
  for (const ExplainedCharge& charge : explained->largest) {
    if (!charge.earlier) continue;
    const EarlierWorld& world = *charge.earlier;
    std::string text = charge.plan + " " + ToString(charge.difference) + ": seal " + std::to_string(world.seal) + " " +
                       ToString(world.worth) + ", booked " + ToString(world.booked) + ", now " +
                       ToString(world.worth_now);
    for (const EarlierCharge& then : world.charges) {
      text += "; " + then.plan + " " + ToString(then.before) + " to " + ToString(then.to_date);
      for (const PriceStep& step : then.steps) text += " [" + step.what + " " + ToString(step.worth) + "]";
    }
    for (const std::string& change : world.what_changed) text += "; " + change;
    words.push_back(text);
  }
  return words;
}

// What the line under the product is of, its quantity and its worth.
std::string LineOfProduct(const Book& book, std::string_view product) {
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return std::string(batches.status().message());
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) {
      if (line.key.product != product) continue;
      const absl::StatusOr<Explanation> found = Explain(book, batch.id + "/" + std::to_string(line.number), 1);
      if (!found.ok()) return std::string(found.status().message());
      const ExplainedCharge& charge = found->largest.front();
      return std::string(ToString(charge.kind)) + " " + ToString(charge.to_date) + ", " +
             ToString(charge.worth_to_date);
    }
  }
  return "no line";
}

TEST(Explain, SaysWhatALineIsOf) {
  CatalogTexts texts = Texts();
  CatalogTexts::Charge fee;
  fee.plan = "starter";
  fee.name = "platform";
  fee.product = "fees";
  fee.model = "fee";
  fee.price = "5.00";
  texts.charges.push_back(fee);
  texts.plans.front().more = "minimum: {amount: 40.00, product: minimums}";
  texts.subscriptions.push_back({"s2", "capped", "acme-us", "USD", "2025-01-01", "", "", ""});
  texts.subscriptions.erase(texts.subscriptions.begin() + 1);  // s2 of before
  texts.plans.push_back({"capped", "USD", "maximum: {amount: 6.00, product: maximums}"});
  texts.charges.push_back(texts.charges.front());
  texts.charges.back().plan = "capped";
  texts.charges.back().product = "capped-api";
  texts.discounts = {"spring,s1,,,calls,10,,,coupons,2025-01-01,,,"};
  texts.grants = {"welcome,s1,50.00,USD,credits,2025-01-01,,0,,,,"};
  const absl::StatusOr<Catalog> catalog = Parse(texts);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  SmallBook book;
  const std::string usage =
      book.Write("a.ndjson", Usage("1", "s1", "2025-01-31", "80") + Usage("2", "s2", "2025-01-31", "90"));
  ASSERT_TRUE(Absorb(*book, *catalog, Inputs({usage}), {}).ok());
  SealOptions through;
  through.through = ParseDay("2025-01-31");
  ASSERT_TRUE(Seal(*book, *catalog, through).ok());
  EXPECT_THAT(WhatIsWrong(*book), IsEmpty());

  // s1: 8 of calls less 0.80, a fee of 5, and up to 40; the grant pays all of it. s2: 9, of which 6 stay.
  struct {
    const char* product;
    const char* line;
  } kCases[] = {{"api", "usage 80, 8"},        {"fees", "fee 1, 5"},        {"coupons", "discount 0, -0.8"},
                {"minimums", "minimum 0, 27"}, {"credits", "grant 45, -5"}, {"capped-api", "usage 90, 9"},
                {"maximums", "maximum 0, -3"}};
  for (const auto& c : kCases) EXPECT_EQ(LineOfProduct(*book, c.product), c.line) << c.product;
}

TEST(Explain, ShowsBothWorldsWhereTheCatalogChanged) {
  SmallBook book;
  const absl::StatusOr<Catalog> first = Parse(ChangedOn("2025-01-16", "0.05"));
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string usage =
      book.Write("a.ndjson", Usage("1", "s1", "2025-01-10", "10") + Usage("2", "s1", "2025-01-15", "100"));
  ASSERT_TRUE(Absorb(*book, *first, Inputs({usage}), {}).ok());
  ASSERT_TRUE(Seal(*book, *first, {}).ok());
  EXPECT_THAT(EarlierInWords(*book, "acme-us-USD-2025-01-0001/1"), IsEmpty());  // no seal before

  // Usage alone: one world.
  const std::string late = book.Write("b.ndjson", Usage("3", "s1", "2025-01-15", "20"));
  ASSERT_TRUE(Absorb(*book, *first, Inputs({late}), {}).ok());
  ASSERT_TRUE(Seal(*book, *first, {}).ok());
  EXPECT_THAT(EarlierInWords(*book, "acme-us-USD-2025-01-0002/1"), IsEmpty());

  // The change is backdated to the 12th, and 40 calls of the 15th come late: 160 at 0.05 instead of 120 at 0.10.
  const absl::StatusOr<Catalog> backdated = Parse(ChangedOn("2025-01-12", "0.05"));
  ASSERT_TRUE(backdated.ok()) << backdated.status();
  const std::string later = book.Write("c.ndjson", Usage("4", "s1", "2025-01-15", "40"));
  ASSERT_TRUE(Absorb(*book, *backdated, Inputs({later}), {}).ok());
  ASSERT_TRUE(Seal(*book, *backdated, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book), IsEmpty());
  const std::string versions =
      "subscription s1: then starter from 2025-01-01 to 2025-01-16, pro from 2025-01-16; "
      "now starter from 2025-01-01 to 2025-01-12, pro from 2025-01-12";
  const std::string then = ": seal 2 16.00, booked 12.00, now 8.00; starter 10 to 170 [per unit 17]; " + versions;
  EXPECT_THAT(EarlierInWords(*book, "acme-us-USD-2025-01-0003/1"),
              testing::ElementsAre("starter -12.00" + then, "pro 8.00" + then));

  // A price fix, and nothing else.
  const absl::StatusOr<Catalog> fixed = Parse(ChangedOn("2025-01-12", "0.04"));
  ASSERT_TRUE(fixed.ok()) << fixed.status();
  ASSERT_TRUE(Seal(*book, *fixed, {}).ok());
  EXPECT_THAT(EarlierInWords(*book, "acme-us-USD-2025-01-0004/1"),
              testing::ElementsAre("pro -1.60: seal 3 8.00, booked 8.00, now 6.40; pro 0 to 160 [per unit 8]; "
                                   "pro/calls: price of a unit: then 0.05; now 0.04"));

  // A meter that the earlier catalog did not have has usage by now.
  CatalogTexts texts = ChangedOn("2025-01-12", "0.03");
  texts.meters.push_back({"seats", "", "max", "value", "", {}, false, {}});
  const absl::StatusOr<Catalog> with_seats = Parse(texts);
  ASSERT_TRUE(with_seats.ok()) << with_seats.status();
  const std::string seats =
      book.Write("d.ndjson", ToJson({"5", "gateway", "seats", "s1", "2025-01-15T09:00:00Z", "3", {}}) + "\n");
  ASSERT_TRUE(Absorb(*book, *with_seats, Inputs({seats}), {}).ok());
  ASSERT_TRUE(Seal(*book, *with_seats, {}).ok());
  EXPECT_THAT(EarlierInWords(*book, "acme-us-USD-2025-01-0005/1"),
              testing::ElementsAre("pro -1.60: seal 4 6.40, booked 6.40, now 4.80; pro 0 to 160 [per unit 6.4]; "
                                   "pro/calls: price of a unit: then 0.04; now 0.03"));
}

// Some lines are a day's usage of s1, in this order of time: 15 calls at 09:00, 15 at 10:00. What else is there does
// not count: the second arrival of one event, another one under a used id, another customer's, another day's.
constexpr char kDay[] = "2025-01-11";
std::string At(const char* id, const char* subject, const char* time, const char* value) {
  return ToJson({id, "gateway", "api.calls", subject, std::string(kDay) + "T" + time + "Z", value, {}}) + "\n";
}
std::string DayOfUsage() {
  return Usage("first", "s1", "2025-01-10", "80") + At("b", "s1", "10:00:00", "15") + At("a", "s1", "09:00:00", "15") +
         At("b", "s1", "10:00:00", "15") + At("a", "s1", "09:30:00", "99") + At("c", "s2", "09:00:00", "10");
}

std::string InWords(const ExplainedEvents& events, const EventShare& share) {
  std::string text = events.paths[share.event.book_source] + ":" + std::to_string(share.event.line) + " " +
                     share.event.id + " to " + ToString(share.to_date) + " for " + ToString(share.share) + " in";
  for (const std::string& step : share.falls_in) text += " [" + step + "]";
  return text;
}

class ExplainEvents : public testing::Test {
 protected:
  void BookIt(const CatalogTexts& texts, const std::string& name, const std::string& content) {
    absl::StatusOr<Catalog> parsed = Parse(texts);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    path_ = book_.Write(name, content);
    const InputList inputs = Inputs({path_});
    ASSERT_TRUE(Absorb(*book_, *parsed, inputs, {}).ok());
    ASSERT_TRUE(Seal(*book_, *parsed, {}).ok());
  }
  absl::StatusOr<Explanation> Line(int number, size_t events) {
    return Explain(*book_, "acme-us-USD-2025-01-0001/" + std::to_string(number), 1, events);
  }

  SmallBook book_;
  std::string path_;
};

TEST_F(ExplainEvents, AreThoseOfTheDayInTheOrderOfTimeEachWithTheTiersItFallsInAndItsShare) {
  ASSERT_NO_FATAL_FAILURE(BookIt(Texts(), "usage.ndjson", DayOfUsage()));
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> line = Line(2, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  const ExplainedEvents& events = *line->largest[0].events;
  EXPECT_EQ(ToString(events.shares.before), "80");
  ASSERT_EQ(events.shares.shown.size(), 2u);
  // 100 calls at 0.10, then 0.05: five of the second event are still of the first tier.
  EXPECT_EQ(InWords(events, events.shares.shown[0]), path_ + ":3 a to 95 for 1.5 in [tier 1 (up to 100) +15]");
  EXPECT_EQ(InWords(events, events.shares.shown[1]),
            path_ + ":2 b to 110 for 1 in [tier 1 (up to 100) +5] [tier 2 (above 100) +10]");
  EXPECT_EQ(ToString(events.shares.sum), "2.5");
  EXPECT_EQ(ToString(events.rounding), "0");
}

TEST_F(ExplainEvents, ALimitHidesRowsAndChangesNoSum) {
  ASSERT_NO_FATAL_FAILURE(BookIt(Texts(), "usage.ndjson", DayOfUsage()));
  for (const size_t limit : {size_t{0}, size_t{1}, size_t{2}}) {
    const absl::StatusOr<Explanation> line = Line(2, limit);
    ASSERT_TRUE(line.ok()) << line.status();
    const EventShares& shares = line->largest[0].events->shares;
    EXPECT_EQ(shares.shown.size(), limit);
    EXPECT_EQ(shares.more, 2 - limit);
    EXPECT_EQ(ToString(shares.more_share), limit == 0 ? "2.5" : limit == 1 ? "1" : "0");
    EXPECT_EQ(ToString(shares.sum), "2.5");
  }
}

TEST_F(ExplainEvents, WhatRoundingAddsIsARowOfItsOwn) {
  CatalogTexts texts = Texts();
  texts.charges[0].tiers = {{"", "0.0333", ""}};
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, "usage.ndjson", DayOfUsage()));
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> line = Line(2, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  // To date 3.663, so 3.66; the day before 2.664, so 2.66: booked 1.00 for 0.999.
  EXPECT_EQ(ToString(line->largest[0].events->shares.sum), "0.999");
  EXPECT_EQ(ToString(line->largest[0].events->rounding), "0.001");
}

TEST_F(ExplainEvents, AMinimumIsThePeriodsAndNoEvents) {
  CatalogTexts texts = Texts();
  texts.charges[0].more = "minimum: 50";
  texts.postings[0].by_period = true;
  ASSERT_NO_FATAL_FAILURE(BookIt(texts, "usage.ndjson", DayOfUsage()));
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> line = Line(1, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(line->charges, 2u);  // s1 and s2, 50 each
  const EventShares& shares = line->largest[0].events->shares;
  ASSERT_EQ(shares.shown.size(), 3u);
  EXPECT_EQ(ToString(shares.shown[0].share), "8");
  EXPECT_EQ(ToString(shares.at_period_end), "39.5");
  EXPECT_EQ(ToString(shares.sum), "50");
}

TEST_F(ExplainEvents, OfALargestValueOnlyTheRecordsHaveAShare) {
  CatalogTexts texts = Texts();
  texts.meters[0].aggregation = "max";
  texts.charges[0].tiers = {{"", "0.10", ""}};
  ASSERT_NO_FATAL_FAILURE(
      BookIt(texts, "usage.ndjson",
             At("x", "s1", "01:00:00", "5") + At("y", "s1", "02:00:00", "3") + At("z", "s1", "03:00:00", "9")));
  const absl::StatusOr<Explanation> line = Line(1, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  std::vector<std::string> shares;
  for (const EventShare& share : line->largest[0].events->shares.shown) shares.push_back(ToString(share.share));
  EXPECT_THAT(shares, testing::ElementsAre("0.5", "0", "0.4"));
}

TEST_F(ExplainEvents, OfALevelTheSharesAreThoseOfDays) {
  CatalogTexts texts = Texts();
  texts.meters[0].aggregation = "weighted_sum";
  texts.charges[0].tiers = {{"", "2", ""}};
  ASSERT_NO_FATAL_FAILURE(
      BookIt(texts, "usage.ndjson",
             ToJson({"up", "gateway", "api.calls", "s1", "2025-01-30T00:00:00Z", "31", {}}) + "\n" +
                 ToJson({"down", "gateway", "api.calls", "s1", "2025-01-31T12:00:00Z", "-31", {}})));
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> line = Line(2, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  const EventShares& shares = line->largest[0].events->shares;
  EXPECT_TRUE(shares.by_day);
  ASSERT_EQ(shares.shown.size(), 1u);
  EXPECT_EQ(shares.shown[0].event.id, "down");
  ASSERT_EQ(shares.days.size(), 1u);
  EXPECT_EQ(ToString(shares.sum), "1");  // 31 for half a day of 31, at 2
}

// Each line as its seal saw it: the first knows nothing of the corrections.
TEST_F(ExplainEvents, WhatCorrectionsTookBackIsShownAndHasNoShare) {
  ASSERT_NO_FATAL_FAILURE(BookIt(Texts(), "usage.ndjson", DayOfUsage()));
  const absl::StatusOr<Catalog> catalog = Parse(Texts());
  const auto with = [](std::string json, const std::string& more) {
    return json.insert(json.size() - 2, more);  // before "}\n"
  };
  const std::string corrections =
      with(At("c1", "s1", "11:00:00", "20"),
           R"(,"corrects":"a","original":{"time":"2025-01-11T09:00:00Z","data":{"value":15}})") +
      with(At("v1", "s1", "10:00:00", "15"), R"(,"voids":"b")");
  const std::string path = book_.Write("corrections.ndjson", corrections);
  ASSERT_TRUE(Absorb(*book_, *catalog, Inputs({path}), {}).ok());
  ASSERT_TRUE(Seal(*book_, *catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> first = Line(2, 10);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->largest[0].events->shares.taken_back, 0u);

  for (const size_t limit : {size_t{10}, size_t{1}}) {
    const absl::StatusOr<Explanation> line = Explain(*book_, "acme-us-USD-2025-01-0002/1", 1, limit);
    ASSERT_TRUE(line.ok()) << line.status();
    const ExplainedEvents& events = *line->largest[0].events;
    EXPECT_EQ(events.shares.events, 1u);
    EXPECT_EQ(events.shares.taken_back, 2u);
    EXPECT_EQ(ToString(events.shares.sum), "2");  // 20 at 0.10, up to 100
    EXPECT_EQ(events.shares.more, 3 - events.shares.shown.size());
    if (limit == 1) continue;
    ASSERT_EQ(events.shares.shown.size(), 3u);
    EXPECT_EQ(InWords(events, events.shares.shown[0]), path_ + ":3 a to 80 for 0 in");
    EXPECT_EQ(events.shares.shown[0].event.taken_back_by, "c1");
    EXPECT_FALSE(events.shares.shown[0].event.is_voided);
    EXPECT_EQ(InWords(events, events.shares.shown[1]), path_ + ":2 b to 80 for 0 in");
    EXPECT_EQ(events.shares.shown[1].event.taken_back_by, "v1");
    EXPECT_TRUE(events.shares.shown[1].event.is_voided);
    EXPECT_EQ(InWords(events, events.shares.shown[2]), path + ":1 c1 to 100 for 2 in [tier 1 (up to 100) +20]");
  }
}

// It stands where it was read, in the stretch of an earlier commit.
TEST_F(ExplainEvents, WhatWasHeldAndTakenInIsFoundAgain) {
  CatalogTexts late = Texts();
  late.meters.push_back({"mails", "", "sum", "value", "", {}, false, {}});
  late.charges.push_back(late.charges[0]);
  late.charges[1].name = late.charges[1].meter = "mails";
  EventText mail = {"m", "gateway", "mails", "s1", std::string(kDay) + "T09:00:00Z", "3", {}};
  ASSERT_NO_FATAL_FAILURE(BookIt(Texts(), "usage.ndjson", DayOfUsage() + ToJson(mail) + "\n"));
  const absl::StatusOr<Catalog> catalog = Parse(late);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  ASSERT_TRUE(RetryHeld(*book_, *catalog, {}).ok());
  ASSERT_TRUE(Seal(*book_, *catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
  const absl::StatusOr<Explanation> line = Explain(*book_, "acme-us-USD-2025-01-0002/1", 1, 10);
  ASSERT_TRUE(line.ok()) << line.status();
  const ExplainedEvents& events = *line->largest[0].events;
  ASSERT_EQ(events.shares.shown.size(), 1u);
  EXPECT_EQ(InWords(events, events.shares.shown[0]), path_ + ":7 m to 3 for 0.3 in [tier 1 (up to 100) +3]");
}

TEST_F(ExplainEvents, AreRefusedWhenTheSourceIsNoLongerWhatItWas) {
  ASSERT_NO_FATAL_FAILURE(BookIt(Texts(), "usage.ndjson", DayOfUsage()));
  const auto refused = [&](std::string_view what) {
    const absl::Status status = Line(2, 10).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << status;
    EXPECT_NE(Std(status.message()).find(what), std::string_view::npos) << status;
    EXPECT_NE(Std(status.message()).find(path_), std::string_view::npos) << status;
    EXPECT_TRUE(Explain(*book_, "acme-us-USD-2025-01-0001/2", 1).ok());  // the arithmetic needs no source
  };
  std::string other = DayOfUsage();
  std::swap(other[other.find("80")], other[other.find("80") + 1]);
  book_.Write("usage.ndjson", other);
  refused("was changed");
  book_.Write("usage.ndjson", DayOfUsage().substr(0, 300));
  refused("was changed");
  std::filesystem::remove(path_);
  refused("is gone");
  book_.Write("usage.ndjson", DayOfUsage() + "more");  // it may grow
  EXPECT_TRUE(Line(2, 10).ok());
}

}  // namespace
}  // namespace tollbook
