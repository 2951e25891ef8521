// Corrections of totals that cannot be subtracted, where their sources are there, gone, changed, or other than they
// were. tests/scenarios/ has what becomes of the amounts, and the whole flow's twin the same on random usage.
#include "pipeline/rebuild.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "pipeline/absorb.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/files.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

// `level` feeds a meter that can be taken from and one that cannot.
CatalogTexts Texts(const std::string& aggregation = "max") {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"peak", "level", aggregation, "value", "", {}, false},
                  {"sum", "level", "sum", "value", "", {}, false}};
  texts.plans = {{"starter", "USD"}};
  for (const char* meter : {"peak", "sum"}) {
    CatalogTexts::Charge charge;
    charge.plan = "starter";
    charge.name = charge.meter = meter;
    charge.product = "api";
    charge.model = "per_unit";
    charge.price = "1";
    texts.charges.push_back(charge);
  }
  for (const char* id : {"s1", "s2"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

Catalog Checked(const CatalogTexts& texts) {
  absl::StatusOr<Catalog> catalog = Parse(texts);
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

std::string Level(const std::string& id, const std::string& subject, const std::string& value, int hour = 8,
                  const std::string& more = "") {
  std::string json =
      ToJson({id, "gw", "level", subject, "2025-01-10T" + std::to_string(10 + hour) + ":00:00Z", value, {}});
  json.insert(json.size() - 1, more);
  return json + "\n";
}
std::string Void(const std::string& id, const std::string& of, const std::string& subject, const std::string& value,
                 int hour = 8) {
  return Level(id, subject, value, hour, R"(,"voids":")" + of + "\"");
}

class RebuildTest : public testing::Test {
 protected:
  AbsorbReport Read(const std::string& name, const std::string& content, const AbsorbOptions& options = {}) {
    paths_[name] = book_.Write(name, content);
    absl::StatusOr<AbsorbReport> report = Absorb(*book_, catalog_, Inputs({paths_[name]}), options);
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(BrokenLaws(*book_), IsEmpty());
    return *std::move(report);
  }
  AbsorbReport Retry() {
    const absl::StatusOr<AbsorbReport> report = RetryHeld(*book_, catalog_, {});
    EXPECT_TRUE(report.ok()) << report.status();
    return *report;
  }
  // "s1 peak 9 of 3, ..."
  std::string Worth() {
    const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book_, catalog_, {}, 1);
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::string text;
    for (const ChargeRow& row : *rows) {
      text += (text.empty() ? "" : ", ") + row.subscription + " " + row.charge + " " + ToString(row.quantity) + " of " +
              std::to_string(row.events);
    }
    return text;
  }

  Catalog catalog_ = Checked(Texts());
  SmallBook book_;
  std::map<std::string, std::string> paths_;
};

TEST_F(RebuildTest, WaitsForASourceThatIsGoneAndNamesIt) {
  Read("a.ndjson", Level("a1", "s1", "3") + Level("a2", "s1", "9"));
  Read("b.ndjson", "\n" + Level("b1", "s2", "4") + Level("b2", "s2", "7"));
  std::filesystem::remove(paths_["a.ndjson"]);
  AbsorbReport report = Read("c.ndjson", Void("v1", "a2", "s1", "9") + Void("v2", "b2", "s2", "7"));
  // What needs another source is not kept waiting; and of the one that waits nothing is applied, its sum neither.
  EXPECT_EQ(report.corrections, 1u);
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kSourceGone, 1)));
  ASSERT_EQ(report.needed.size(), 1u);
  EXPECT_EQ(report.needed[0].path, paths_["a.ndjson"]);
  EXPECT_THAT(report.needed[0].why, HasSubstr("put it back"));
  EXPECT_EQ(Worth(), "s1 peak 9 of 2, s1 sum 12 of 2, s2 peak 4 of 1, s2 sum 4 of 1");
  const std::vector<Kept> kept = KeptExceptions(*book_);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].record.reason, Reason::kSourceGone);
  EXPECT_EQ(kept[0].record.needs, 0u);
  EXPECT_EQ(kept[0].path, paths_["c.ndjson"]);

  const uint64_t before = book_->last_sequence();
  EXPECT_EQ(Retry().counts, (LineCounts{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(book_->last_sequence(), before) << "nothing changed, and something was written";

  book_.Write("a.ndjson", Level("a1", "s1", "3") + Level("a2", "s1", "8"));
  report = Retry();
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kSourceChanged, 1)));
  EXPECT_THAT(report.needed[0].why, HasSubstr("was changed"));
  EXPECT_EQ(KeptExceptions(*book_)[0].record.reason, Reason::kSourceChanged);

  book_.Write("a.ndjson", Level("a1", "s1", "3") + Level("a2", "s1", "9") + "it may grow\n");
  report = Retry();
  EXPECT_THAT(report.reasons, IsEmpty());
  EXPECT_EQ(report.counts, (LineCounts{1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(Worth(), "s1 peak 3 of 1, s1 sum 3 of 1, s2 peak 4 of 1, s2 sum 4 of 1");
  EXPECT_THAT(BrokenLaws(*book_), IsEmpty());
  EXPECT_EQ(Retry().counts, (LineCounts{}));
}

// Whatever brought an event: another file, the second epoch of one, a correction, what was held until its meter came.
TEST_F(RebuildTest, FindsEveryEventOfTheTotalWhereverItCameFrom) {
  CatalogTexts early = Texts();
  early.meters = {{"other", "", "sum", "value", "", {}, false}};
  early.charges.resize(1);
  early.charges[0].name = early.charges[0].meter = "other";
  catalog_ = Checked(early);
  EXPECT_EQ(Read("held.ndjson", Level("h1", "s1", "6", 1)).counts.held, 1u);
  catalog_ = Checked(Texts());
  EXPECT_EQ(Retry().counts.accepted, 1u);
  AbsorbOptions pieces;
  pieces.epoch_bytes = pieces.block_bytes = 100;
  Read("a.ndjson", Level("a1", "s1", "3", 2) + Level("a2", "s1", "9", 3) + Level("x", "s2", "90", 3), pieces);
  const std::string packed = Gzip("\n" + Level("a2", "s1", "9", 3) + Level("b1", "s1", "8", 4) + "broken\n");
  Read("b.ndjson.gz", packed);
  // 7 instead of 8, then of all that is left the largest is taken, one after the other.
  Read("c.ndjson", Level("c1", "s1", "7", 4, R"(,"corrects":"b1","original":{"data":{"value":8}})"));
  EXPECT_EQ(Worth(), "s1 peak 9 of 4, s1 sum 25 of 4, s2 peak 90 of 1, s2 sum 90 of 1");
  const std::vector<std::pair<std::string, std::string>> taken = {
      {Void("v1", "a2", "s1", "9", 3), "s1 peak 7 of 3, s1 sum 16 of 3"},
      {Void("v2", "c1", "s1", "7", 4), "s1 peak 6 of 2, s1 sum 9 of 2"},
      {Void("v3", "h1", "s1", "6", 1), "s1 peak 3 of 1, s1 sum 3 of 1"},
      {Level("a3", "s1", "5", 2, R"(,"corrects":"a1","original":{"data":{"value":3}})"),
       "s1 peak 5 of 1, s1 sum 5 of 1"},
  };
  for (const auto& [correction, worth] : taken) {
    SCOPED_TRACE(correction);
    EXPECT_EQ(Read("d" + std::to_string(paths_.size()) + ".ndjson", correction).corrections, 1u);
    EXPECT_EQ(Worth(), worth + ", s2 peak 90 of 1, s2 sum 90 of 1");
    book_.Reopen();
  }
  ASSERT_TRUE(Seal(*book_, catalog_, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
}

// Two corrections that need each other's totals: one waits, so the other's total keeps what that one would have taken.
TEST_F(RebuildTest, WhatAHeldCorrectionWouldTakeStays) {
  Read("a.ndjson", Level("a1", "s1", "9", 1) + Level("a2", "s1", "7", 2));
  Read("b.ndjson", "\n" + ToJson({"b1", "gw", "level", "s1", "2025-01-11T08:00:00Z", "5", {}}) + "\n");
  std::filesystem::remove(paths_["b.ndjson"]);
  // c1 moves a2 to the other day; c2 takes it from there again. v1 is of the first day alone.
  const std::string moved = R"(,"corrects":"a2","original":{"time":"2025-01-10T12:00:00Z","data":{"value":7}}})";
  std::string c1 = ToJson({"c1", "gw", "level", "s1", "2025-01-11T09:00:00Z", "8", {}});
  c1.pop_back();
  std::string c2 = ToJson({"c2", "gw", "level", "s1", "2025-01-11T09:00:00Z", "8", {}});
  c2.pop_back();
  AbsorbReport report =
      Read("c.ndjson", c1 + moved + "\n" + c2 + ",\"voids\":\"c1\"}\n" + Void("v1", "a1", "s1", "9", 1));
  EXPECT_EQ(report.corrections, 2u);
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kSourceGone, 1)));
  EXPECT_EQ(Worth(), "s1 peak 8 of 2, s1 sum 13 of 2");
  book_.Write("b.ndjson", "\n" + ToJson({"b1", "gw", "level", "s1", "2025-01-11T08:00:00Z", "5", {}}) + "\n");
  EXPECT_EQ(Retry().corrections, 1u);
  EXPECT_EQ(Worth(), "s1 peak 5 of 1, s1 sum 5 of 1");
}

TEST_F(RebuildTest, TheSameByEachAggregationAndDecoder) {
  struct Case {
    const char* aggregation;
    const char* quantity;
  };
  // 6 at 11, 2 at 12, 9 at 13 and 4 at 14; 9 and 2 are taken back, 6 becomes 5 an hour later than all.
  for (const Case& c : {Case{"max", "5"}, Case{"min", "4"}, Case{"latest", "5"}}) {
    for (const DecoderChoice decoder : {DecoderChoice::kAuto, DecoderChoice::kSimdjson}) {
      SCOPED_TRACE(c.aggregation);
      const Catalog catalog = Checked(Texts(c.aggregation));
      SmallBook book;
      AbsorbOptions options;
      options.decoder = decoder;
      const std::string usage = book.Write("a.ndjson", Level("a1", "s1", "6", 1) + Level("a2", "s1", "2", 2) +
                                                           Level("a3", "s1", "9", 3) + Level("a4", "s1", "4", 4));
      const std::string corrections = book.Write(
          "b.ndjson", Void("v3", "a3", "s1", "9", 3) + Void("v2", "a2", "s1", "2", 2) +
                          Level("c1", "s1", "5", 5,
                                R"(,"corrects":"a1","original":{"time":"2025-01-10T11:00:00Z","data":{"value":6}})"));
      // The corrections first, and all in one.
      const absl::StatusOr<AbsorbReport> report = Absorb(*book, catalog, Inputs({corrections, usage}), options);
      ASSERT_TRUE(report.ok()) << report.status();
      EXPECT_EQ(report->corrections, 3u);
      ASSERT_TRUE(Seal(*book, catalog, {}).ok());
      EXPECT_THAT(WhatIsWrong(*book), IsEmpty());
      const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book, catalog, {}, 1);
      ASSERT_TRUE(rows.ok()) << rows.status();
      EXPECT_EQ(ToString(rows->front().quantity), c.quantity);
      EXPECT_EQ(rows->front().events, 2u);
    }
  }
}

}  // namespace
}  // namespace tollbook
