// Corrections through Absorb: what the reports and the book say of them, wherever the seen events lie, and whatever was
// interrupted. tests/scenarios/ has what becomes of the amounts.
#include "pipeline/corrections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "ledger/held.h"
#include "pipeline/absorb.h"
#include "pipeline/audit.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/failing_book.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

Catalog TestCatalog() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false}};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge calls;
  calls.plan = "starter";
  calls.name = calls.meter = "api.calls";
  calls.product = "api";
  calls.model = "per_unit";
  calls.price = "1";
  texts.charges = {calls};
  texts.subscriptions.push_back({"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  absl::StatusOr<Catalog> catalog = Parse(texts);
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

std::string Event(const std::string& id, int value, const std::string& more = "") {
  return R"({"id":")" + id + R"(","source":"gw","type":"api.calls","subject":"s1","time":"2025-01-10T08:00:00Z",)" +
         R"("data":{"value":)" + std::to_string(value) + "}" + more + "}\n";
}
std::string Void(const std::string& id, const std::string& of, int value) {
  return Event(id, value, R"(,"voids":")" + of + "\"");
}
std::string Correction(const std::string& id, int value, const std::string& of, int original) {
  return Event(id, value,
               R"(,"corrects":")" + of + R"(","original":{"data":{"value":)" + std::to_string(original) + "}}");
}

class CorrectionsTest : public testing::Test {
 protected:
  AbsorbReport Read(const std::string& content, const AbsorbOptions& options = {}) {
    const std::string name = std::to_string(++files_) + ".ndjson";
    absl::StatusOr<AbsorbReport> report =
        Absorb(*book_, catalog_, Inputs({book_.Write(name, std::string(files_, '\n') + content)}), options);
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(BrokenLaws(*book_), IsEmpty());
    EXPECT_EQ(*AppliedCorrections(*book_), applied_ += report->corrections);
    return *std::move(report);
  }
  std::string Quantity() {
    const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book_, catalog_, {}, 1);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows->empty() ? "none" : ToString(rows->front().quantity);
  }

  const Catalog catalog_ = TestCatalog();
  SmallBook book_;
  size_t files_ = 0;
  uint64_t applied_ = 0;
};

TEST_F(CorrectionsTest, AReportCountsWhatItsOwnLinesBecame) {
  AbsorbReport report = Read(Event("e1", 5) + Void("v1", "e1", 5) + Void("v2", "e2", 7) + Void("v3", "e1", 6));
  EXPECT_EQ(report.counts, (LineCounts{4, 2, 0, 1, 1, 0}));
  EXPECT_EQ(report.corrections, 1u);
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kUnknownOriginal, 1), Pair(Reason::kOriginalDiffers, 1)));
  EXPECT_EQ(Quantity(), "none");
  // What an earlier run held is applied, and is no line of this run.
  report = Read(Event("e2", 7) + Event("e3", 9));
  EXPECT_EQ(report.counts, (LineCounts{2, 2, 0, 0, 0, 0}));
  EXPECT_EQ(report.corrections, 1u);
  EXPECT_THAT(report.reasons, IsEmpty());
  EXPECT_EQ(book_->counts(), (LineCounts{6, 5, 0, 1, 0, 0}));
  EXPECT_EQ(Quantity(), "9");
}

TEST_F(CorrectionsTest, TheBookKeepsWhatWasAppliedWhole) {
  Read(Event("e1", 5) + Correction("c1", 4, "e1", 5));
  std::vector<std::string> kept;
  ASSERT_TRUE(book_
                  ->ForEachCorrections([&](const StoredExceptions& chunk) {
                    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
                    EXPECT_TRUE(records.ok());
                    for (const ExceptionRecord& record : *records)
                      kept.push_back(std::to_string(record.line) + ": " + std::string(record.payload));
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_THAT(kept, ElementsAre("3: {\"specversion\":\"1.0\",\"id\":\"c1\",\"source\":\"gw\",\"type\":\"api.calls\","
                                "\"subject\":\"s1\",\"time\":\"2025-01-10T08:00:00Z\",\"data\":{\"value\":4},"
                                "\"corrects\":\"e1\",\"original\":{\"data\":{\"value\":5}}}"));
  EXPECT_EQ(Quantity(), "4");
}

// Which event was changed, by which one, and what counted and counts: in the order in which they were applied.
TEST_F(CorrectionsTest, TheAuditListsEachOfThem) {
  Read(Event("e1", 5) + Event("e2", 7));
  Read(Correction("c1", 4, "e1", 5) + Void("v2", "e2", 7) + Correction("c3", 3, "c1", 4));
  const auto rows = [&](size_t of_commit) {
    const absl::StatusOr<AuditLog> log = Audit(*book_, of_commit);
    EXPECT_TRUE(log.ok()) << log.status();
    std::vector<std::string> words;
    for (const AuditRow& row : log->rows) {
      EXPECT_EQ(row.commit, 3u);
      const size_t slash = row.why.rfind('/');  // of the file's path
      const std::string why = slash == std::string::npos ? row.why : row.why.substr(0, 8) + row.why.substr(slash + 1);
      words.push_back(row.what + " of " + row.which + ": " + why + ": " + row.before + " -> " + row.after);
    }
    return words;
  };
  const auto content = [](const std::string& value) {
    return "api.calls s1 2025-01-10T08:00:00Z {\"value\":" + value + "}";
  };
  const std::string all = "corrections of accepted usage: :  -> 3 corrections applied";
  const std::string first = "correction of gw e1: c1 from 2.ndjson:3: " + content("5") + " -> " + content("4");
  EXPECT_THAT(rows(SIZE_MAX),
              ElementsAre(all, first, "void of gw e2: v2 from 2.ndjson:4: " + content("7") + " -> ",
                          "correction of gw c1: c3 from 2.ndjson:5: " + content("4") + " -> " + content("3")));
  EXPECT_THAT(rows(1), ElementsAre(all, first, "corrections of and 2 more: --format csv has all:  -> "));
}

TEST_F(CorrectionsTest, NothingIsWrittenWhileAllAreStillHeld) {
  Read(Void("v1", "e1", 5));
  const uint64_t before = book_->last_sequence();
  Read(Event("other", 1));
  EXPECT_EQ(book_->last_sequence(), before + 1);
  const absl::StatusOr<AbsorbReport> retried = RetryHeld(*book_, catalog_, {});
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_EQ(retried->counts, (LineCounts{1, 0, 0, 0, 1, 0}));
  EXPECT_EQ(book_->last_sequence(), before + 1);
}

// Where an id is an event's, it is no correction's, be the content the same.
TEST_F(CorrectionsTest, AnIdIsOneThing) {
  AbsorbReport report = Read(Event("e1", 5) + Event("c1", 4) + Correction("c1", 4, "e1", 5));
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kConflict, 1)));
  EXPECT_EQ(Quantity(), "9");
  // It corrected another event.
  report = Read(Event("e2", 5) + Correction("c2", 1, "e1", 5) + Correction("c2", 1, "e2", 5));
  EXPECT_THAT(report.reasons, ElementsAre(Pair(Reason::kConflict, 1)));
  EXPECT_EQ(Quantity(), "10");
}

// A hundred events, corrected, the corrections corrected, then voided, in reversed order, from memory or from disk.
TEST_F(CorrectionsTest, ChainsAreFollowedWhereverTheirEndsLie) {
  for (const uint64_t memory : {0, 1}) {
    SCOPED_TRACE(memory);
    const std::string run = "-" + std::to_string(memory);
    AbsorbOptions options;
    options.memory_bytes = memory;
    options.epoch_bytes = 4'000;
    options.block_bytes = 1'000;
    std::string chains;
    for (int i = 0; i < 100; ++i) {
      const std::string n = std::to_string(i) + run;
      chains += Correction("d" + n, 3, "c" + n, 2) + (i % 2 == 0 ? Void("v" + n, "d" + n, 3) : "") +
                Correction("c" + n, 2, "e" + n, i);
    }
    EXPECT_EQ(Read(chains, options).counts.held, 250u);
    std::string events;
    for (int i = 0; i < 100; ++i) events += Event("e" + std::to_string(i) + run, i);
    EXPECT_EQ(Read(events, options).corrections, 250u);
    EXPECT_EQ(book_->counts().held, 0u);
    EXPECT_EQ(Quantity(), memory == 0 ? "150" : "300");
    book_.Reopen();
    EXPECT_EQ(Read(chains, options).counts.duplicate, 250u);
    EXPECT_EQ(Read(events, options).counts.duplicate, 100u);
  }
}

// Corrections of corrections that lie behind them in any order, in many small chunks. What waits is kept as long as it
// is not too much: each chunk is read once. Beyond that it is read again for each one, and they end the same.
TEST_F(CorrectionsTest, WhatWaitsIsNotReadAgain) {
  constexpr int kChains = 300;
  for (const bool is_kept : {true, false}) {
    SCOPED_TRACE(is_kept);
    const std::string run = is_kept ? "-kept" : "-read";
    std::vector<int> order(kChains);
    std::iota(order.begin(), order.end(), 0);
    std::mt19937 random(7);
    std::string corrections, events;
    std::ranges::shuffle(order, random);
    for (const int i : order) {
      const std::string n = std::to_string(i) + run;
      corrections += Correction("d" + n, 3, "c" + n, 2);
    }
    std::ranges::shuffle(order, random);
    for (const int i : order) {
      const std::string n = std::to_string(i) + run;
      corrections += Correction("c" + n, 2, "e" + n, 1);
      events += Event("e" + n, 1);
    }
    AbsorbOptions options;
    options.epoch_bytes = options.block_bytes = 4'000;
    ASSERT_EQ(Read(corrections, options).counts.held, 2u * kChains);
    const absl::StatusOr<HeldQueue> held = HeldOf(*book_).Held(HeldKind::kCorrections);
    ASSERT_TRUE(held.ok()) << held.status();
    ASSERT_GT(held->places.size(), 10u);

    // Half of an epoch's bytes are kept: all that wait, or a few.
    if (is_kept) options.epoch_bytes = 1'000'000;
    FailingBook counting(*book_, 0, false);
    const absl::StatusOr<AbsorbReport> report =
        Absorb(counting, catalog_, Inputs({book_.Write("events" + run, events)}), options);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->corrections, 2u * kChains);
    applied_ += report->corrections;
    if (is_kept) {
      EXPECT_EQ(counting.chunks_read(), held->places.size());
    } else {
      EXPECT_GT(counting.chunks_read(), 10 * held->places.size());
    }
    EXPECT_EQ(Quantity(), std::to_string((is_kept ? 1 : 2) * 3 * kChains));
    EXPECT_EQ(book_->counts().held, 0u);
    EXPECT_THAT(BrokenLaws(*book_), IsEmpty());
  }
}

// From CSV as from JSON, by the short cut for plain rows and without it, and mixed with rows that correct nothing.
TEST_F(CorrectionsTest, RowsOfCsvCorrectToo) {
  constexpr std::string_view kMapping = R"(sources:
  - glob: "*.csv"
    format: csv
    events:
      - id: "{id}"
        source: gw
        type: api.calls
        subject: s1
        time: "{at}"
        data: {value: {number: "{value}"}}
        corrects: "{corrects}"
        voids: "{voids}"
        original: {time: "{was_at}", data: {value: {number: "{was}"}}}
)";
  const ParsedMappings parsed = ParseMappings(kMapping);
  ASSERT_THAT(parsed.errors, IsEmpty());
  std::map<std::string, std::string> files = catalog_.files();
  files["sources.yaml"] = kMapping;
  ParsedCatalog catalog = ParseCatalog(std::move(files));
  ASSERT_THAT(catalog.errors, IsEmpty());
  std::string content = "id,at,value,corrects,voids,was_at,was\n";
  const std::string at = ",2025-01-10T08:00:00Z,", later = ",2025-01-11T08:00:00Z,";
  for (int i = 0; i < 100; ++i) content += "e" + std::to_string(i) + at + "1,,,,\n";
  content += "c1" + later + "5,e1,," + at.substr(1) + "1\n" + "v2" + at + "1,,e2,,\n" + "c3" + at + "2,e3,,,1\n" +
             "v4" + at + "9,,e4,,\n" + "v3" + at + "2,,c3,,\n";
  std::string journal;
  for (const DecoderChoice decoder : {DecoderChoice::kAuto, DecoderChoice::kSimdjson}) {
    SmallBook book;
    AbsorbOptions options;
    options.decoder = decoder;
    const InputList inputs = Inputs({book.Write("a.csv", content)}, parsed.mappings);
    const absl::StatusOr<AbsorbReport> report = Absorb(*book, *catalog.catalog, inputs, options);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->counts, (LineCounts{105, 104, 0, 1, 0, 0}));
    EXPECT_EQ(report->corrections, 4u);
    EXPECT_THAT(report->reasons, ElementsAre(Pair(Reason::kOriginalDiffers, 1)));
    ASSERT_TRUE(Seal(*book, *catalog.catalog, {}).ok());
    EXPECT_THAT(WhatIsWrong(*book), IsEmpty());
    if (journal.empty()) journal = JournalBytes(*book);
    EXPECT_EQ(JournalBytes(*book), journal);
    const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book, *catalog.catalog, {}, 1);
    ASSERT_TRUE(rows.ok()) << rows.status();
    EXPECT_EQ(ToString(rows->front().quantity), "102");  // 100 - 1 + 5 - 1 - 1
    EXPECT_EQ(rows->front().events, 98u);
  }
}

// Stopped before the corrections: the next absorb applies them, be it of nothing.
TEST_F(CorrectionsTest, WhatAStopLeftIsAppliedByTheNextAbsorb) {
  std::atomic<bool> stop = false;
  AbsorbOptions options;
  options.epoch_bytes = 100;
  options.block_bytes = 100;
  options.stop = &stop;
  int blocks = 0;
  options.progress = [&](const AbsorbProgress&) { stop = ++blocks >= 3; };
  const std::string content = Event("e1", 5) + Void("v1", "e1", 5) + Event("e2", 1) + Event("e3", 1) + Event("e4", 1);
  const AbsorbReport stopped = Read(content, options);
  ASSERT_TRUE(stopped.stopped);
  EXPECT_EQ(stopped.corrections, 0u);
  EXPECT_EQ(stopped.counts.held, 1u);
  EXPECT_EQ(Read("").corrections, 1u);
}

}  // namespace
}  // namespace tollbook
