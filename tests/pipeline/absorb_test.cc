// Absorb: what it keeps of bad lines, and that a run which ends anywhere and goes on ends as one that did not.
#include "pipeline/absorb.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <map>

#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "rating/catalog_text.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/failing_book.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {"model"}, false}};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge calls;
  calls.plan = "starter";
  calls.name = "calls";
  calls.meter = "api.calls";
  calls.product = "api";
  calls.model = "per_unit";
  calls.price = "0.01";
  texts.charges = {calls};
  for (const char* id : {"s1", "s2", "s3"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

Catalog TestCatalog() {
  absl::StatusOr<Catalog> catalog = Parse(Texts());
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

EventText Calls(std::string id, std::string subject = "s1", std::string value = "1") {
  return {std::move(id), "gateway", "api.calls", std::move(subject), "2025-01-10T08:00:00Z", std::move(value), {}};
}

// Small enough that every few events are an epoch.
AbsorbOptions InPieces(int threads = 2) {
  AbsorbOptions options;
  options.threads = threads;
  options.epoch_bytes = 500;
  options.block_bytes = 200;
  return options;
}

LineCounts Counts(uint64_t lines, uint64_t accepted, uint64_t duplicate, uint64_t conflict, uint64_t held,
                  uint64_t rejected) {
  return {lines, accepted, duplicate, conflict, held, rejected};
}

// ----- where exceptions came from

// The text of a file, and where each line began.
struct WrittenFile {
  std::string content;
  struct Expected {
    Reason reason;
    uint64_t line, offset;
    std::string payload;
  };
  std::vector<Expected> expected;
  uint64_t lines = 0;

  void Add(const std::string& text, const std::string& end = "\n", Reason reason = Reason::kNone) {
    ++lines;
    if (reason != Reason::kNone) expected.push_back({reason, lines, content.size(), text});
    content += text + end;
  }
};

std::string Replaced(std::string text, const std::string& what, const std::string& by) {
  EXPECT_NE(text.find(what), std::string::npos) << what;
  return text.replace(text.find(what), what.size(), by);
}

TEST(Absorb, KeepsEachBadLineWithItsReasonAndPlace) {
  const std::string good = ToJson(Calls("a"));
  const auto with = [](std::string EventText::*field, const std::string& value) {
    EventText event = Calls("bad");
    event.*field = value;
    return ToJson(event);
  };
  const std::string big(1025, 'x');
  const std::vector<std::pair<Reason, std::string>> bad = {
      {Reason::kLineTooLong, Replaced(good, "\"1.0\"", "\"" + std::string(6000, 'x') + "\"")},
      {Reason::kInvalidUtf8, with(&EventText::subject, "s") + "\xff"},
      {Reason::kInvalidJson, good + "}"},
      {Reason::kNotAnObject, "[1,2]"},
      {Reason::kRepeatedField, Replaced(good, "{", "{\"id\":\"a\",")},
      {Reason::kUnsupportedSpecversion, Replaced(good, "\"1.0\"", "\"2.0\"")},
      {Reason::kWrongType, Replaced(good, "\"id\":\"a\"", "\"id\":7")},
      {Reason::kMissingId, with(&EventText::id, "")},
      {Reason::kMissingSource, with(&EventText::source, "")},
      {Reason::kMissingType, with(&EventText::type, "")},
      {Reason::kMissingSubject, with(&EventText::subject, "")},
      {Reason::kMissingTime, with(&EventText::time, "")},
      {Reason::kFieldTooLong, with(&EventText::subject, big)},
      {Reason::kInvalidTime, with(&EventText::time, "yesterday")},
      {Reason::kTimeWithoutZone, with(&EventText::time, "2025-01-10T08:00:00")},
      {Reason::kTimeOutOfRange, with(&EventText::time, "9999-01-10T08:00:00Z")},
      {Reason::kUnknownMeter, with(&EventText::type, "fax")},
      {Reason::kMissingValue, with(&EventText::value, "")},
      {Reason::kValueNotANumber, with(&EventText::value, "{}")},
      {Reason::kValueTooLarge, with(&EventText::value, "1e400")},
      {Reason::kValueTooPrecise, with(&EventText::value, "1e-19")},
      {Reason::kNegativeValue, with(&EventText::value, "-1")},
      {Reason::kDimensionNotAScalar, Replaced(good, "\"data\":{", "\"data\":{\"model\":{},")},
      {Reason::kDuplicate, good},
      {Reason::kConflict, Replaced(good, "\"value\":1", "\"value\":2")},
  };

  WrittenFile file;
  file.Add(good);
  for (size_t i = 0; i < bad.size(); ++i) {
    SCOPED_TRACE(i);
    const std::string& end = i % 2 == 0 ? "\r\n" : "\n";
    file.Add(bad[i].second, end, bad[i].first);
    if (i % 3 == 0) file.Add("", end);
    if (i % 4 == 0) file.Add(" \t ", end);
    if (i % 2 == 0) file.Add(ToJson(Calls("good-" + std::to_string(i))), end);
  }
  file.Add(bad.back().second, "", bad.back().first);  // the last line has no end

  for (const AbsorbOptions& how : {AbsorbOptions{}, InPieces(1), InPieces(3)}) {
    AbsorbOptions options = how;
    options.line_bytes_max = 4096;
    SmallBook book;
    const std::string path = book.Write("events.ndjson", file.content);
    const absl::StatusOr<AbsorbReport> report = Absorb(*book, TestCatalog(), Inputs({path}), options);
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_EQ(report->counts, Counts(bad.size() + 15, 14, 1, 2, 1, bad.size() - 3));
    EXPECT_EQ(book->counts(), report->counts);
    const std::vector<Kept> kept = KeptExceptions(*book);
    ASSERT_EQ(kept.size(), file.expected.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      const WrittenFile::Expected& expected = file.expected[i];
      SCOPED_TRACE(std::string(ToString(expected.reason)));
      EXPECT_EQ(ToString(kept[i].record.reason), ToString(expected.reason));
      EXPECT_EQ(kept[i].path, path);
      EXPECT_EQ(kept[i].record.line, expected.line);
      EXPECT_EQ(kept[i].record.offset, expected.offset);
      EXPECT_EQ(kept[i].record.part, 0u);
      if (expected.reason == Reason::kDuplicate) {
        EXPECT_EQ(kept[i].payload, "");
      } else if (expected.reason == Reason::kUnknownMeter) {
        EXPECT_EQ(kept[i].payload, expected.payload) << "held: whole and canonical";
      } else {
        EXPECT_FALSE(kept[i].payload.empty());
        EXPECT_LE(kept[i].payload.size(), kPayloadBytes);
        EXPECT_TRUE(expected.payload.starts_with(kept[i].payload)) << kept[i].payload;
      }
    }
    EXPECT_THAT(BrokenLaws(*book), IsEmpty());
  }
}

// ----- CSV

constexpr char kCsvMapping[] =
    "sources:\n"
    "  - glob: \"*.csv\"\n"
    "    format: csv\n"
    "    events:\n"
    "      - {id: \"{file}:{row}:in\", source: csv, type: api.calls, subject: \"{who}\", time: \"{at}\",\n"
    "         data: {value: {number: \"{in}\"}}}\n"
    "      - {id: \"{out_id}\", source: csv, type: \"{kind}\", subject: \"{who}\", time: \"{at}\",\n"
    "         data: {value: {number: \"{out}\"}}}\n";

std::vector<SourceMapping> CsvMappings() {
  ParsedMappings parsed = ParseMappings(kCsvMapping);
  EXPECT_THAT(parsed.errors, IsEmpty());
  return parsed.mappings;
}

// A meter that nothing can be taken from: its day is read again (rebuild.h).
CatalogTexts WithPeak(CatalogTexts texts) {
  texts.meters.push_back({"peak", "", "max", "value", "", {}, false});
  CatalogTexts::Charge peak = texts.charges[0];
  peak.name = peak.meter = "peak";
  texts.charges.push_back(peak);
  return texts;
}
EventText Peak(std::string id, std::string value) {
  EventText event = Calls(std::move(id), "s1", std::move(value));
  event.type = "peak";
  return event;
}

// With the mapping in it, as a directory has it: explain reads the files again.
Catalog CsvCatalog() {
  std::map<std::string, std::string> files = WithPeak(Texts()).Files();
  files["sources.yaml"] = kCsvMapping;
  ParsedCatalog parsed = ParseCatalog(std::move(files));
  EXPECT_THAT(parsed.errors, IsEmpty());
  return *std::move(parsed.catalog);
}

TEST(Absorb, CountsEachEventOfACsvRowAndNumbersThePartsOfBadOnes) {
  const std::string at = "2025-01-10T08:00:00Z";
  const std::string content =
      "who,at,in,out_id,kind,out\r\n"  // line 1
      "s1," +
      at +
      ",1,o1,api.calls,2\r\n"  // 2
      "\r\n"                   // 3
      "s1," +
      at +
      ",1,o1,api.calls,2\n"  // 4: the second event again
      "s2," +
      at +
      ",x,o2,api.calls,3\n"  // 5: the first has no number
      "s2," +
      at +
      ",4,o1,api.calls,9\n"  // 6: the second in conflict
      "s2," +
      at +
      ",5,o3,fax,9\n"  // 7: the second of an unknown meter
      "s2," +
      at +
      ",5\n"  // 8: too few cells
      "s2,\"" +
      at +
      "\"x,5,o4,api.calls,1\n"  // 9: text behind a quote
      "s3," +
      at + ",6,o5,api.calls,7";  // 10: no line end
  struct Expected {
    uint64_t line;
    uint32_t part;
    Reason reason;
  };
  // A row that cannot be cut into cells is as many bad events as it would have been good ones.
  const std::vector<Expected> expected = {{4, 1, Reason::kDuplicate},  {5, 0, Reason::kValueNotANumber},
                                          {6, 1, Reason::kConflict},   {7, 1, Reason::kUnknownMeter},
                                          {8, 0, Reason::kCsvColumns}, {8, 1, Reason::kCsvColumns},
                                          {9, 0, Reason::kCsvQuote},   {9, 1, Reason::kCsvQuote}};
  const std::vector<SourceMapping> mappings = CsvMappings();
  for (const AbsorbOptions& options : {AbsorbOptions{}, InPieces(1), InPieces(3)}) {
    SmallBook book;
    const std::string path = book.Write("usage.csv", content);
    const absl::StatusOr<AbsorbReport> report = Absorb(*book, TestCatalog(), Inputs({path}, mappings), options);
    ASSERT_TRUE(report.ok()) << report.status();
    const std::vector<Kept> kept = KeptExceptions(*book);
    ASSERT_EQ(kept.size(), expected.size());
    for (size_t i = 0; i < kept.size(); ++i) {
      SCOPED_TRACE("line " + std::to_string(expected[i].line));
      EXPECT_EQ(ToString(kept[i].record.reason), ToString(expected[i].reason));
      EXPECT_EQ(kept[i].record.line, expected[i].line);
      EXPECT_EQ(kept[i].record.part, expected[i].part);
      size_t offset = 0;
      for (uint64_t line = 1; line < expected[i].line; ++line) offset = content.find('\n', offset) + 1;
      EXPECT_EQ(kept[i].record.offset, offset);
    }
    EXPECT_EQ(report->counts, Counts(16, 8, 1, 1, 1, 5));
    EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book, TestCatalog(), {}, 1);
    ASSERT_TRUE(rows.ok()) << rows.status();
    std::vector<std::string> quantities;
    for (const ChargeRow& row : *rows) quantities.push_back(row.subscription + " " + ToString(row.quantity));
    EXPECT_THAT(quantities, ElementsAre("s1 4", "s2 12", "s3 13"));
  }
}

TEST(Absorb, LeavesOutACsvFileWithOtherColumnsAndGoesOn) {
  SmallBook book;
  const std::vector<SourceMapping> mappings = CsvMappings();
  const std::string other = book.Write("a.csv", "who,at,in\ns1,2025-01-10T08:00:00Z,1\n");
  const std::string empty = book.Write("b.csv", "");
  const std::string fits = book.Write("c.csv", "who,at,in,out_id,kind,out\ns1,2025-01-10T08:00:00Z,1,o1,api.calls,2\n");
  const absl::StatusOr<AbsorbReport> report =
      Absorb(*book, TestCatalog(), Inputs({other, empty, fits}, mappings), InPieces());
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->counts, Counts(2, 2, 0, 0, 0, 0));
  ASSERT_EQ(report->left_out.size(), 1u);
  EXPECT_EQ(report->left_out[0].path, other);
  EXPECT_THAT(BrokenLaws(*book), IsEmpty());
}

// ----- sources

// `count` events of three subjects, ten units each; every fifth is sent again later and every seventh in conflict.
std::string ManyEvents(int first, int count) {
  std::string content;
  for (int i = first; i < first + count; ++i) {
    const std::string id = std::to_string(i);
    content += ToJson(Calls(id, "s" + std::to_string(1 + i % 3), "10")) + "\n";
    if (i % 5 == 0) content += ToJson(Calls(std::to_string(i / 2), "s" + std::to_string(1 + i / 2 % 3), "10")) + "\n";
    if (i % 7 == 0) content += ToJson(Calls(id, "s1", "11")) + "\n\n";
    if (i % 11 == 0) content += "not usage\r\n";
  }
  return content;
}

TEST(Absorb, KnowsAFileByItsContent) {
  SmallBook book;
  const Catalog catalog = TestCatalog();
  const std::string content = ManyEvents(0, 10);
  const std::string first = book.Write("first.ndjson", content);
  const auto absorb = [&](const std::vector<std::string>& paths) {
    absl::StatusOr<AbsorbReport> report = Absorb(*book, catalog, Inputs(paths), InPieces());
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    return *std::move(report);
  };
  const uint64_t lines = absorb({first}).counts.lines;
  const LineCounts counts = book->counts();

  // Again, and under another name, packed or not: nothing is read.
  const std::string renamed = book.Write("renamed.ndjson", content);
  AbsorbReport report = absorb({first, renamed});
  EXPECT_EQ(report.counts.lines, 0u);
  EXPECT_EQ(report.skipped.size(), 2u);
  EXPECT_EQ(book->counts(), counts);

  // It grows: only what is new is read, and lines are numbered on.
  book.Write("first.ndjson", content + "broken\n" + ManyEvents(100, 1));
  report = absorb({first});
  EXPECT_EQ(report.counts, Counts(3, 2, 0, 0, 0, 1));
  EXPECT_EQ(KeptExceptions(*book).back().record.line,
            static_cast<uint64_t>(std::count(content.begin(), content.end(), '\n')) + 1);

  // Its beginning changes: it is another file, and every event of it is known.
  book.Write("first.ndjson", "\n" + content);
  report = absorb({first});
  EXPECT_EQ(report.counts.lines, lines);
  EXPECT_EQ(report.counts.accepted, 0u);

  // Two files of the same content in one run are one.
  const std::string twin_a = book.Write("a.ndjson", ManyEvents(200, 3));
  const std::string twin_b = book.Write("b.ndjson", ManyEvents(200, 3));
  report = absorb({twin_a, twin_b});
  EXPECT_EQ(report.skipped.size(), 1u);
  EXPECT_EQ(report.counts.duplicate + report.counts.conflict, 1u);
}

TEST(Absorb, ALastLineWithoutAnEndIsReadAgainWhenItGoesOn) {
  SmallBook book;
  const Catalog catalog = TestCatalog();
  const std::string event = ToJson(Calls("b"));
  const std::string path = book.Write("log.ndjson", ToJson(Calls("a")) + "\n" + event.substr(0, 50));
  ASSERT_TRUE(Absorb(*book, catalog, Inputs({path}), InPieces()).ok());
  EXPECT_EQ(book->counts(), Counts(2, 1, 0, 0, 0, 1));
  book.Write("log.ndjson", ToJson(Calls("a")) + "\n" + event);
  ASSERT_TRUE(Absorb(*book, catalog, Inputs({path}), InPieces()).ok());
  EXPECT_EQ(book->counts(), Counts(4, 2, 1, 0, 0, 1));
  // Only its line end was missing: nothing is read twice.
  book.Write("log.ndjson", ToJson(Calls("a")) + "\n" + event + "\n" + ToJson(Calls("c")) + "\n");
  ASSERT_TRUE(Absorb(*book, catalog, Inputs({path}), InPieces()).ok());
  EXPECT_EQ(book->counts(), Counts(5, 3, 1, 0, 0, 1));
  EXPECT_THAT(BrokenLaws(*book), IsEmpty());
}

// ----- meters

TEST(Absorb, RefusesAMeterThatIsDefinedOtherwiseThanItsTotalsWereMade) {
  SmallBook book;
  const std::string path = book.Write("a.ndjson", ToJson(Calls("a")) + "\n");
  ASSERT_TRUE(Absorb(*book, TestCatalog(), Inputs({path}), {}).ok());
  book.Reopen();
  const std::string next = book.Write("b.ndjson", ToJson(Calls("b")) + "\n");
  using Meter = CatalogTexts::Meter;
  struct Case {
    const char* what;
    std::function<void(Meter&)> change;
    bool accepted;
  };
  const std::vector<Case> cases = {
      {"event type", [](Meter& m) { m.event_type = "other"; }, false},
      {"aggregation", [](Meter& m) { m.aggregation = "max"; }, false},
      {"value", [](Meter& m) { m.value = "units"; }, false},
      {"dimensions",
       [](Meter& m) {
         m.dimensions = {"model", "region"};
       },
       false},
      {"no dimensions", [](Meter& m) { m.dimensions = {}; }, false},
      {"granularity", [](Meter& m) { m.granularity = "hour"; }, false},
      {"what it accepts from now on", [](Meter& m) { m.allow_negative = true; }, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    CatalogTexts texts = Texts();
    c.change(texts.meters[0]);
    const absl::StatusOr<Catalog> catalog = Parse(texts);
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    const LineCounts before = book->counts();
    const absl::StatusOr<AbsorbReport> report = Absorb(*book, *catalog, Inputs({next}), {});
    EXPECT_EQ(report.ok(), c.accepted);
    if (c.accepted) continue;
    EXPECT_EQ(report.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(Std(report.status().message())), HasSubstr("api.calls"));
    EXPECT_EQ(book->counts(), before);
  }
  CatalogTexts gone = Texts();
  gone.meters[0].name = gone.charges[0].meter = "calls";
  EXPECT_EQ(Absorb(*book, *Parse(gone), Inputs({next}), {}).status().code(), absl::StatusCode::kFailedPrecondition);
}

// ----- ends and goes on

// Everything of a book that a person can see, less what says how it came about.
struct EndState {
  LineCounts counts;
  std::string journal;
  std::vector<std::string> exceptions;
  std::vector<std::string> sources;
  friend bool operator==(const EndState&, const EndState&) = default;
};

EndState SealedState(Book& book, const Catalog& catalog) {
  EXPECT_TRUE(Seal(book, catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(book), IsEmpty());
  EndState state;
  state.counts = book.counts();
  state.journal = JournalBytes(book);
  for (const Kept& kept : KeptExceptions(book)) {
    state.exceptions.push_back(std::filesystem::path(kept.path).filename().string() + ":" +
                               std::to_string(kept.record.line) + ":" + std::to_string(kept.record.offset) + ":" +
                               std::to_string(kept.record.part) + " " + std::string(ToString(kept.record.reason)) +
                               " " + kept.payload);
  }
  const absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
  EXPECT_TRUE(sources.ok()) << sources.status();
  for (const SourceRecord& source : *sources) {
    state.sources.push_back(std::filesystem::path(source.path).filename().string() + " " +
                            std::to_string(source.offset) + " " + std::to_string(source.lines) + " " +
                            std::to_string(source.counts.lines) + (source.finished ? " finished" : " open"));
  }
  return state;
}

std::string Void(const std::string& id, const EventText& of) {
  EventText event = of;
  event.id = id;
  std::string json = ToJson(event);
  json.back() = ',';
  return json + "\"voids\":\"" + of.id + "\"}\n";
}

// Of ManyEvents: voids of what is there, of what is not, of what is other, and again.
std::string ManyCorrections() {
  return Void("v0", Calls("3", "s1", "10")) + Void("v1", Calls("4", "s2", "10")) + Void("v2", Calls("none")) +
         Void("v3", Calls("6", "s1", "11")) + Void("v1", Calls("4", "s2", "10")) + Void("v4", Calls("4", "s2", "10")) +
         Void("v5", Calls("v0", "s1", "10")) + ToJson(Peak("p1", "3")) + "\n" + ToJson(Peak("p2", "9")) + "\n" +
         Void("v6", Peak("p2", "9")) + ToJson(Peak("p3", "4")) + "\n";
}

// Two JSON files and a CSV file between them.
std::vector<std::string> WriteInputs(const SmallBook& book) {
  const std::string at = "2025-01-11T08:00:00Z";
  return {book.Write("1.ndjson", ManyEvents(0, 12)),
          book.Write("2.csv", "who,at,in,out_id,kind,out\r\ns1," + at + ",1,o1,api.calls,2\r\n\r\ns2," + at +
                                  ",x,o1,fax,2\ns3," + at + ",3,o3,api.calls,4\n"),
          book.Write("3.ndjson", ManyEvents(8, 12) + ManyCorrections())};
}

TEST(Absorb, GoesOnAfterAnyEpochThatFailed) {
  const Catalog catalog = CsvCatalog();
  const std::vector<SourceMapping> mappings = CsvMappings();
  SmallBook undisturbed;
  const absl::StatusOr<AbsorbReport> whole =
      Absorb(*undisturbed, catalog, Inputs(WriteInputs(undisturbed), mappings), InPieces());
  ASSERT_TRUE(whole.ok()) << whole.status();
  ASSERT_GT(whole->epochs, 8u);
  const EndState expected = SealedState(*undisturbed, catalog);
  ASSERT_FALSE(expected.journal.empty());

  for (const bool stores : {false, true}) {
    for (uint64_t fails_at = 1; fails_at <= whole->epochs; fails_at += stores ? 2 : 1) {
      SCOPED_TRACE("epoch " + std::to_string(fails_at) + (stores ? " fails when stored" : " fails"));
      SmallBook book("UTC", fails_at);
      const InputList inputs = Inputs(WriteInputs(book), mappings);
      FailingBook failing(*book, fails_at, stores);
      const absl::StatusOr<AbsorbReport> failed = Absorb(failing, catalog, inputs, InPieces());
      ASSERT_TRUE(failing.failed());
      EXPECT_EQ(failed.status().code(), absl::StatusCode::kUnavailable);
      book.Reopen();
      EXPECT_THAT(BrokenLaws(*book), IsEmpty());
      // How the rest is cut does not matter.
      const absl::StatusOr<AbsorbReport> rest = Absorb(*book, catalog, inputs, InPieces(1 + fails_at % 3));
      ASSERT_TRUE(rest.ok()) << rest.status();
      const EndState state = SealedState(*book, catalog);
      EXPECT_EQ(state.counts, expected.counts);
      EXPECT_EQ(state.journal, expected.journal);
      EXPECT_EQ(state.exceptions, expected.exceptions);
      EXPECT_EQ(state.sources, expected.sources);
      if (HasFailure()) return;
    }
  }
}

TEST(Absorb, StopsAtAnEpochAndGoesOn) {
  const Catalog catalog = CsvCatalog();
  const std::vector<SourceMapping> mappings = CsvMappings();
  SmallBook undisturbed;
  ASSERT_TRUE(Absorb(*undisturbed, catalog, Inputs(WriteInputs(undisturbed), mappings), {}).ok());
  const EndState expected = SealedState(*undisturbed, catalog);

  for (const int after : {1, 4, 9}) {
    SCOPED_TRACE(after);
    SmallBook book;
    const InputList inputs = Inputs(WriteInputs(book), mappings);
    int runs = 0;
    for (bool stopped = true; stopped; ++runs) {
      ASSERT_LT(runs, 100) << "it never ends";
      std::atomic<bool> stop = false;
      int blocks = 0;
      AbsorbOptions options = InPieces();
      options.stop = &stop;
      options.progress = [&](const AbsorbProgress&) { stop = ++blocks >= after; };
      const absl::StatusOr<AbsorbReport> report = Absorb(*book, catalog, inputs, options);
      ASSERT_TRUE(report.ok()) << report.status();
      stopped = report->stopped;
      EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    }
    EXPECT_GT(runs, 2);
    const EndState state = SealedState(*book, catalog);
    EXPECT_EQ(state.counts, expected.counts);
    EXPECT_EQ(state.journal, expected.journal);
    EXPECT_EQ(state.exceptions, expected.exceptions);
    EXPECT_EQ(state.sources, expected.sources);
  }
}

TEST(RetryHeld, GoesOnAfterAFailure) {
  CatalogTexts texts = Texts();
  const Catalog before = *Parse(texts);
  texts.meters.push_back({"fax", "", "count", "", "", {}, false, {}});
  const Catalog after = *Parse(texts);
  std::string content;
  for (int i = 0; i < 20; ++i) {
    EventText event = Calls(std::to_string(i / 2));
    event.type = i % 4 < 2 ? "fax" : "mail";
    content += ToJson(event) + "\n";
  }
  for (const bool stores : {false, true}) {
    SmallBook book;
    ASSERT_TRUE(Absorb(*book, before, Inputs({book.Write("a.ndjson", content)}), InPieces()).ok());
    EXPECT_EQ(book->counts(), Counts(20, 0, 0, 0, 20, 0));
    FailingBook failing(*book, 1, stores);
    EXPECT_FALSE(RetryHeld(failing, after, {}).ok());
    book.Reopen();
    EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    AbsorbOptions in_rounds;
    in_rounds.round_bytes = 1;
    ASSERT_TRUE(RetryHeld(*book, after, in_rounds).ok());
    EXPECT_EQ(book->counts(), Counts(20, 5, 5, 0, 10, 0));
    EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    uint64_t line = 0;
    for (const Kept& kept : KeptExceptions(*book)) {
      EXPECT_GT(kept.record.line, line);
      line = kept.record.line;
    }
  }
}

}  // namespace
}  // namespace tollbook
