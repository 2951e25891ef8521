// UsageReader: usage without a book ends as it would in one, corrections too. The whole flow's twin says the same of
// its random usage (whole_twin_test.cc), and e2e/quote_test.py of the program.
#include "pipeline/usage_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "pipeline/absorb.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "rating/quote.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Each way to aggregate: those that give an event up, and those that do not.
Catalog TestCatalog() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.plans = {{"starter", "USD"}};
  texts.meters = {{"sum", "use", "sum", "value", "", {"model"}, false},
                  {"count", "use", "count", "", "hour", {}, false},
                  {"max", "use", "max", "value", "hour", {"model"}, false},
                  {"min", "use", "min", "value", "", {}, false},
                  {"latest", "use", "latest", "value", "", {}, false},
                  {"mean", "use", "mean", "value", "", {}, false},
                  {"percentile", "use", "percentile", "value", "", {}, false, {{"percentile", "50"}}},
                  {"users", "use", "unique_count", "model", "", {}, false},
                  {"level", "use", "weighted_sum", "value", "", {}, false},
                  {"kept", "use", "max", "value", "", {}, false, {{"keep", "events"}}},
                  {"other", "other", "max", "value", "", {}, false}};
  for (const CatalogTexts::Meter& meter : texts.meters) {
    CatalogTexts::Charge charge;
    charge.plan = "starter";
    charge.name = charge.meter = meter.name;
    charge.product = "api";
    charge.model = "per_unit";
    charge.price = "0.333";
    texts.charges.push_back(charge);
  }
  for (const char* id : {"s1", "s2"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  absl::StatusOr<Catalog> catalog = Parse(texts);
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

struct Said {
  std::string id, type = "use", subject = "s1";
  int hour = 0;  // of 1 January 2025, and on
  int value = 0;
  std::string model = "large";
};

std::string DataOf(const Said& said) {
  return R"("data":{"value":)" + std::to_string(said.value) + R"(,"model":")" + said.model + "\"}";
}
std::string TimeOf(const Said& said) {
  return ToString(Instant{(int64_t{1'735'689'600} + said.hour * 3'600) * 1'000'000'000});
}
std::string Event(const Said& said, const std::string& more = "") {
  return R"({"id":")" + said.id + R"(","source":"gw","type":")" + said.type + R"(","subject":")" + said.subject +
         R"(","time":")" + TimeOf(said) + "\"," + DataOf(said) + more + "}\n";
}
std::string Void(const Said& said, const std::string& of) {
  return Event(said, R"(,"voids":")" + of + "\"");
}
std::string Correction(const Said& said, const Said& original) {
  return Event(said, R"(,"corrects":")" + original.id + R"(","original":{"type":")" + original.type +
                         R"(","subject":")" + original.subject + R"(","time":")" + TimeOf(original) + "\"," +
                         DataOf(original) + "}");
}

class UsageReaderTest : public testing::Test {
 protected:
  void Read(const std::vector<std::string>& texts) {
    for (size_t i = 0; i < texts.size(); ++i) ASSERT_TRUE(reader_.ReadText("file " + std::to_string(i), texts[i]).ok());
    ASSERT_TRUE(reader_.Finish().ok());
  }
  // Of s1: "value of so many events", for each bucket and element.
  std::string TotalOf(const std::string& meter) const {
    std::string text;
    for (const SubjectTotal& total : reader_.TotalsOf("s1")) {
      if (total.meter->name != meter) continue;
      text += (text.empty() ? "" : ", ") + ToString(total.total.value) + " of " + std::to_string(total.total.events);
    }
    return text;
  }
  std::vector<std::string> Unused() const {
    std::vector<std::string> lines;
    for (const UnusedLine& line : reader_.first_unused())
      lines.push_back(line.path + ":" + std::to_string(line.line) + " " + std::string(ToString(line.reason)));
    return lines;
  }

  const Catalog catalog_ = TestCatalog();
  UsageReader reader_{catalog_};
};

TEST_F(UsageReaderTest, AVoidTakesItsEventBackFromEveryMeter) {
  const Said small{"e1", "use", "s1", 1, 3}, large{"e2", "use", "s1", 1, 9};
  Said taken = large;
  taken.id = "v2";
  Read({Event(small) + Event(large) + Void(taken, "e2")});
  EXPECT_THAT(Unused(), IsEmpty());
  EXPECT_EQ(reader_.corrections(), 1u);
  EXPECT_EQ(reader_.counts(), (LineCounts{3, 3, 0, 0, 0, 0}));
  EXPECT_EQ(reader_.EventsOf("s1"), 1u);
  for (const char* meter : {"sum", "max", "min", "latest", "percentile", "level", "kept"})
    EXPECT_EQ(TotalOf(meter), "3 of 1") << meter;
}

// Before its event, in another file; a chain in reverse; a void of a correction at its end.
TEST_F(UsageReaderTest, InWhateverOrderTheyCome) {
  const Said first{"e1", "use", "s1", 1, 5}, second{"c1", "use", "s1", 2, 4}, third{"c2", "use", "s1", 3, 7};
  Said end = third;
  end.id = "v";
  const Said other{"e2", "use", "s1", 1, 1};
  Read({Void(end, "c2") + Correction(third, second), Correction(second, first) + Event(other), Event(first)});
  EXPECT_THAT(Unused(), IsEmpty());
  EXPECT_EQ(reader_.corrections(), 3u);
  for (const char* meter : {"sum", "max", "latest"}) EXPECT_EQ(TotalOf(meter), "1 of 1") << meter;
}

TEST_F(UsageReaderTest, ACorrectionMovesUsageToAnotherSubjectMeterAndTime) {
  const Said was{"e1", "use", "s2", 1, 5}, is{"c1", "other", "s1", 30, 6};
  Read({Event(was) + Correction(is, was)});
  EXPECT_THAT(reader_.subjects(), ElementsAre("s1"));
  EXPECT_EQ(reader_.EventsOf("s1"), 1u);
  EXPECT_EQ(TotalOf("other"), "6 of 1");
  EXPECT_EQ(TotalOf("sum"), "");
}

TEST_F(UsageReaderTest, WhatIsNotAppliedSaysWhyInTheOrderOfReading) {
  const Said event{"e1", "use", "s1", 1, 5}, correction{"c1", "use", "s1", 1, 4}, later{"c2", "use", "s1", 1, 3};
  Said missing = event, differs = event;
  missing.id = "e9", differs.value = 6;
  Read({"broken\n" + Void({"v1", "use", "s1", 1, 5}, "e9") + Event(event) + Correction(later, differs),
        Correction(correction, event) + Correction(later, event) + Correction(correction, event) + Event(event) +
            Correction({"e1", "use", "s1", 1, 2}, correction) + Void({"v2", "nobody", "s1", 1, 5}, "e1")});
  EXPECT_THAT(Unused(), ElementsAre("file 0:1 invalid_json", "file 0:2 unknown_original", "file 0:4 original_differs",
                                    "file 1:2 already_corrected", "file 1:3 duplicate", "file 1:4 duplicate",
                                    "file 1:5 conflict", "file 1:6 unknown_meter"));
  EXPECT_EQ(reader_.counts(), (LineCounts{10, 2, 2, 3, 2, 1}));
  EXPECT_EQ(TotalOf("sum"), "4 of 1");
}

TEST_F(UsageReaderTest, TheFirstHundredAreNamedWhateverTheyAre) {
  std::string lines = Void({"v1", "use", "s1", 1, 5}, "e1");
  for (int i = 0; i < 200; ++i) lines += "broken\n";
  Read({lines + Void({"v2", "use", "s1", 1, 5}, "e2")});
  const std::vector<std::string> unused = Unused();
  ASSERT_EQ(unused.size(), UsageReader::kUnusedKept);
  EXPECT_EQ(unused.front(), "file 0:1 unknown_original");
  EXPECT_EQ(unused.back(), "file 0:100 invalid_json");
  EXPECT_EQ(reader_.counts().held, 2u);
}

// ----- random files, by a book and without one

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  int UpTo(int most) { return static_cast<int>(random_() % static_cast<uint64_t>(most + 1)); }
  bool OneIn(int n) { return UpTo(n - 1) == 0; }
  std::mt19937_64& random() { return random_; }

 private:
  std::mt19937_64 random_;
};

Said RandomSaid(Dice& dice, int number) {
  Said said{"e" + std::to_string(number), dice.OneIn(4) ? "other" : "use", "s1", dice.UpTo(60), dice.UpTo(9)};
  if (dice.OneIn(3)) said.subject = "s2";
  if (dice.OneIn(20)) said.subject = "nobody";
  if (dice.OneIn(20)) said.type = "unknown";
  if (dice.OneIn(20)) said.value = -1;
  if (dice.OneIn(2)) said.model = "small";
  return said;
}

// One that names what another line says, which mostly it restates rightly.
std::string RandomCorrection(Dice& dice, const Said& named, Said* said) {
  Said original = named;
  if (dice.OneIn(8)) original.value += 1;
  if (dice.OneIn(3)) {
    const std::string of = original.id;
    original.id = said->id;
    *said = original;
    return Void(original, of);
  }
  const std::string id = said->id;
  if (dice.OneIn(2)) *said = original;
  said->id = id;
  if (dice.OneIn(2)) said->value = dice.UpTo(9);
  return Correction(*said, original);
}

std::vector<std::string> RandomLines(Dice& dice) {
  std::vector<std::string> lines;
  std::vector<Said> all;
  for (int number = 5 + dice.UpTo(40); number > 0; --number) {
    Said said = RandomSaid(dice, number);
    if (all.empty() || dice.OneIn(3)) {
      lines.push_back(Event(said));
    } else if (const auto some = static_cast<size_t>(dice.UpTo(static_cast<int>(all.size()) - 1)); dice.OneIn(5)) {
      lines.push_back(dice.OneIn(20) ? "broken\n" : lines[some]);
      continue;
    } else if (dice.OneIn(5)) {
      said.id = all[some].id;
      lines.push_back(Event(said));
    } else {
      if (dice.OneIn(12)) said.id = all[static_cast<size_t>(dice.UpTo(static_cast<int>(all.size()) - 1))].id;
      lines.push_back(RandomCorrection(dice, all[some], &said));
    }
    all.push_back(said);
  }
  if (dice.OneIn(2)) std::shuffle(lines.begin(), lines.end(), dice.random());
  return lines;
}

std::string RowText(const std::string& subscription, const std::string& charge, const BillingPeriod& period,
                    Quantity quantity, Worth exact, Money rounded, uint64_t events) {
  return subscription + " " + charge + " " + ToString(period) + ": " + ToString(quantity) + ", exactly " +
         ToString(exact) + ", rounded " + ToString(rounded) + ", " + std::to_string(events) + " events";
}

std::vector<std::string> BookedRows(const Book& book, const Catalog& catalog) {
  const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(book, catalog, {}, 1);
  EXPECT_TRUE(rows.ok()) << rows.status();
  std::vector<std::string> texts;
  for (const ChargeRow& row : *rows) {
    texts.push_back(RowText(row.subscription, row.charge, row.period, row.quantity, row.exact, row.booked, row.events));
  }
  std::ranges::sort(texts);
  return texts;
}

std::vector<std::string> QuotedRows(const UsageReader& reader, const Catalog& catalog) {
  std::vector<std::string> texts;
  for (const std::string_view subject : reader.subjects()) {
    const std::vector<SubjectTotal> totals = reader.TotalsOf(subject);
    QuoteRequest request;
    request.subject = subject;
    request.usage = totals;
    const absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
    EXPECT_TRUE(quote.ok()) << quote.status();
    for (const QuotedCharge& charge : quote->charges) {
      texts.push_back(RowText(std::string(charge.subscription->id), charge.charge->name, charge.period, charge.quantity,
                              charge.exact, charge.due, charge.events));
    }
  }
  std::ranges::sort(texts);
  return texts;
}

TEST(UsageReaderTwin, QuotesOfAFileWhatABookBooksOfIt) {
  const uint64_t seed = TestSeed();
  const Catalog catalog = TestCatalog();
  ReasonCounters reasons{};
  uint64_t corrected = 0;
  const int cases = IsLongRun() ? 3'000 : 60;
  for (int i = 0; i < cases; ++i) {
    SCOPED_TRACE("case " + std::to_string(i) + " of TOLLBOOK_SEED=" + std::to_string(seed));
    Dice dice(seed + static_cast<uint64_t>(i) * 1'000'003);
    std::vector<std::string> files(1);
    std::string all;
    for (const std::string& line : RandomLines(dice)) {
      if (dice.OneIn(15)) files.emplace_back(files.size(), '\n');  // no two files are the same
      files.back() += line;
      all += line;
    }
    SCOPED_TRACE(all);
    SmallBook book("UTC", static_cast<uint64_t>(dice.UpTo(1 << 20)));
    std::vector<std::string> paths;
    for (const std::string& file : files) paths.push_back(book.Write(std::to_string(paths.size()) + ".ndjson", file));
    const InputList inputs = Inputs(paths);
    const absl::StatusOr<AbsorbReport> report = Absorb(*book, catalog, inputs, {});
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_TRUE(Seal(*book, catalog, {}).ok());

    UsageReader reader(catalog);
    for (const InputFile& file : inputs.files) ASSERT_TRUE(reader.Read(file).ok());
    ASSERT_TRUE(reader.Finish().ok());
    ASSERT_EQ(reader.counts(), report->counts);
    ASSERT_EQ(reader.corrections(), report->corrections);
    std::vector<std::string> kept, unused;
    for (const Kept& one : KeptExceptions(*book)) {
      kept.push_back(one.path + ":" + std::to_string(one.record.line) + " " + std::string(ToString(one.record.reason)));
    }
    for (const UnusedLine& line : reader.first_unused())
      unused.push_back(line.path + ":" + std::to_string(line.line) + " " + std::string(ToString(line.reason)));
    ASSERT_EQ(unused, kept);
    ASSERT_EQ(QuotedRows(reader, catalog), BookedRows(*book, catalog));
    for (size_t reason = 0; reason < reasons.size(); ++reason) reasons[reason] += reader.reasons()[reason];
    corrected += reader.corrections();
  }
  // The dice must have made something of each kind.
  EXPECT_GT(corrected, uint64_t{100});
  for (const Reason reason : {Reason::kDuplicate, Reason::kConflict, Reason::kUnknownMeter, Reason::kUnknownOriginal,
                              Reason::kOriginalDiffers, Reason::kAlreadyCorrected, Reason::kNegativeValue}) {
    EXPECT_GT(reasons[static_cast<size_t>(reason)], 0u) << ToString(reason);
  }
}

}  // namespace
}  // namespace tollbook
