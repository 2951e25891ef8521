// What absorb reads comes out of the usage log byte for byte, whatever of it is in no block; and what needs the sources
// does without them.
#include "pipeline/usage_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "pipeline/absorb.h"
#include "pipeline/absorb_again.h"
#include "pipeline/content_tap.h"
#include "pipeline/explain.h"
#include "pipeline/seal.h"
#include "tests/pipeline/files.h"
#include "tests/pipeline/small_book.h"
#include "tests/pipeline/unit_priced_texts.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

CatalogTexts Texts() {
  CatalogTexts::Meter calls;
  calls.name = calls.event_type = "calls";
  calls.aggregation = "sum";
  calls.value = "value";
  CatalogTexts::Meter peak = calls;
  peak.name = "peak";
  peak.aggregation = "max";
  return UnitPricedTexts({calls, peak}, {"s1"});
}

std::string Call(const std::string& id, const std::string& value) {
  EventText event;
  event.id = id;
  event.type = "calls";
  event.subject = "s1";
  event.time = "2025-01-02T12:00:00Z";
  event.value = value;
  return ToJson(event) + "\n";
}

std::vector<SourceMapping> Mappings() {
  ParsedMappings parsed = ParseMappings(R"(sources:
  - glob: "*.csv"
    format: csv
    events:
      - id: "{file}:{row}"
        source: feed
        type: calls
        subject: "{who}"
        time: "{at}"
        data:
          value: {number: "{n}"}
)");
  EXPECT_THAT(parsed.errors, IsEmpty());
  return std::move(parsed.mappings);
}

class UsageLogFlowTest : public testing::Test {
 protected:
  void SetUp() override {
    absl::StatusOr<Catalog> parsed = Parse(Texts());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    catalog_ = *std::move(parsed);
    options_.keeps_usage_log = true;
    options_.epoch_bytes = 300;
    options_.round_bytes = 150;
    options_.block_bytes = 64;
    options_.line_bytes_max = 200;
    options_.threads = 2;
  }

  AbsorbReport AbsorbFiles(const std::vector<std::string>& paths) {
    absl::StatusOr<AbsorbReport> report = Absorb(*book_, catalog_, Inputs(paths, mappings_), options_);
    EXPECT_TRUE(report.ok()) << report.status();
    EXPECT_THAT(report->left_out, IsEmpty());
    return report.ok() ? *std::move(report) : AbsorbReport();
  }

  // What the log has of the newest source of the path; "(not whole)", "(purged)".
  std::string LoggedOf(const std::string& path) const {
    UsageLogReader log(*book_);
    EXPECT_TRUE(log.Open().ok());
    const absl::StatusOr<std::vector<SourceRecord>> sources = book_->Sources();
    EXPECT_TRUE(sources.ok());
    std::string text = "(no such source)";
    for (const SourceRecord& source : *sources) {
      if (source.path != path) continue;
      const UsageLogReader::Has has = log.Of(source);
      text = has == UsageLogReader::Has::kWhole ? "" : has == UsageLogReader::Has::kPurged ? "(purged)" : "(not whole)";
      if (!text.empty()) continue;
      const std::unique_ptr<ByteSource> content = log.Content(source.id);
      char buffer[7];
      for (;;) {
        const absl::StatusOr<size_t> got = content->Read(buffer, sizeof buffer);
        EXPECT_TRUE(got.ok()) << got.status();
        if (!got.ok() || *got == 0) break;
        text.append(buffer, *got);
      }
    }
    return text;
  }

  void SealAll() {
    const absl::StatusOr<SealReport> sealed = Seal(*book_, catalog_, {});
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }
  absl::StatusOr<Explanation> ExplainFirst() const {
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_->Batches();
    EXPECT_TRUE(batches.ok() && !batches->empty());
    return Explain(*book_, batches->front().id + "/1", 10, 10);
  }

  Catalog catalog_;
  std::vector<SourceMapping> mappings_ = Mappings();
  AbsorbOptions options_;
  SmallBook book_;
};

std::string Append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::app) << text;
  return path;
}

TEST_F(UsageLogFlowTest, HasEveryByteThatWasRead) {
  std::string many;
  for (int i = 0; i < 40; ++i) many += Call("m" + std::to_string(i), std::to_string(i));
  const struct {
    const char* name;
    std::string content;
  } cases[] = {
      {"plain.ndjson", Call("a", "1") + Call("b", "2")},
      {"many.ndjson", many},
      {"mark.ndjson", "\xEF\xBB\xBF" + Call("c", "3")},
      {"no-end.ndjson", Call("d", "4") + "not an event"},
      {"blank.ndjson", "\n\r\n  \n" + Call("e", "5") + "\n"},
      {"long.ndjson", Call("f", "6") + std::string(5000, 'x') + "\n" + Call("g", "7")},
      {"long-end.ndjson", std::string(201, 'y')},
      {"rows.csv", "who,at,n\ns1,2025-01-02T12:00:00Z,5\ns1,2025-01-02T13:00:00Z,6\n"},
      {"header.csv", "who,at,n\n"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string path = book_.Write(c.name, c.content);
    AbsorbFiles({path});
    EXPECT_EQ(LoggedOf(path), c.content);
    const std::string packed = book_.Write(std::string("packed/") + c.name + ".gz", Gzip(c.content));
    AbsorbFiles({packed});
    EXPECT_EQ(LoggedOf(packed), c.content) << "what was packed is logged unpacked";
  }
  EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
}

TEST_F(UsageLogFlowTest, GoesOnWithAFileThatGrows) {
  const std::string path = book_.Write("grows.ndjson", Call("a", "1"));
  AbsorbFiles({path});
  AbsorbFiles({Append(path, Call("b", "2"))});
  EXPECT_EQ(LoggedOf(path), Call("a", "1") + Call("b", "2"));
  // The line end of a last line that had none.
  std::string whole = Call("a", "1") + Call("b", "2") + Call("c", "3");
  whole.pop_back();
  AbsorbFiles({Append(path, whole.substr(whole.size() - Call("c", "3").size() + 1))});
  EXPECT_EQ(LoggedOf(path), whole);
  AbsorbFiles({Append(path, "\n" + Call("d", "4"))});
  EXPECT_EQ(LoggedOf(path), whole + "\n" + Call("d", "4"));
  const std::string rows = book_.Write("grows.csv", "who,at,n\n");
  AbsorbFiles({rows});
  AbsorbFiles({Append(rows, "s1,2025-01-02T12:00:00Z,5\n")});
  EXPECT_EQ(LoggedOf(rows), "who,at,n\ns1,2025-01-02T12:00:00Z,5\n");
}

TEST_F(UsageLogFlowTest, AnotherFileUnderTheNameIsASourceOfItsOwn) {
  const std::string path = book_.Write("same.ndjson", Call("a", "1") + Call("b", "2"));
  AbsorbFiles({path});
  book_.Write("same.ndjson", "\xEF\xBB\xBF" + Call("c", "3") + Call("d", "4") + Call("e", "5"));
  AbsorbFiles({path});
  EXPECT_EQ(LoggedOf(path), "\xEF\xBB\xBF" + Call("c", "3") + Call("d", "4") + Call("e", "5"));
}

TEST_F(UsageLogFlowTest, IsNotWholeWhereItWasOffAtFirst) {
  options_.keeps_usage_log = false;
  const std::string path = book_.Write("grows.ndjson", Call("a", "1"));
  AbsorbFiles({path});
  EXPECT_EQ(LoggedOf(path), "(not whole)");
  options_.keeps_usage_log = true;
  AbsorbFiles({Append(path, Call("b", "2"))});
  EXPECT_EQ(LoggedOf(path), "(not whole)");
}

TEST_F(UsageLogFlowTest, EventsOfAFileThatIsGoneAreTheSame) {
  const std::string path = book_.Write("usage.ndjson", Call("a", "1") + "nothing\n" + Call("b", "2"));
  AbsorbFiles({path});
  SealAll();
  absl::StatusOr<Explanation> there = ExplainFirst();
  ASSERT_TRUE(there.ok()) << there.status();
  EXPECT_THAT(there->from_log, IsEmpty());
  for (const char* how : {"changed", "gone"}) {
    SCOPED_TRACE(how);
    book_.Write("usage.ndjson", "something else\n");
    if (std::string_view(how) == "gone") fs::remove(path);
    const absl::StatusOr<Explanation> without = ExplainFirst();
    ASSERT_TRUE(without.ok()) << without.status();
    EXPECT_THAT(without->from_log, ElementsAre(path));
    const auto shown = [](const Explanation& explanation) {
      std::vector<std::string> lines;
      for (const ExplainedCharge& charge : explanation.largest) {
        for (const EventShare& share : charge.events->shares.shown)
          lines.push_back(share.event.id + " " + std::to_string(share.event.line));
      }
      return lines;
    };
    EXPECT_EQ(shown(*without), shown(*there));
    EXPECT_THAT(shown(*without), ElementsAre("a 1", "b 3"));
  }
}

TEST_F(UsageLogFlowTest, APurgeIsSaidWhereTheSourceIsMissed) {
  const std::string path = book_.Write("usage.ndjson", Call("a", "1"));
  AbsorbFiles({path});
  SealAll();
  fs::remove(path);
  ASSERT_TRUE(PurgeUsage(*book_, {1, {0}, "Ann", "over"}).ok());
  EXPECT_EQ(LoggedOf(path), "(purged)");
  const absl::StatusOr<Explanation> without = ExplainFirst();
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.status().message(), HasSubstr("its usage log was purged on 1970-01-01"));
}

TEST_F(UsageLogFlowTest, DamageIsSaidWhereTheSourceIsMissed) {
  const std::string path = book_.Write("usage.ndjson", Call("a", "1"));
  AbsorbFiles({path});
  SealAll();
  fs::remove(path);
  book_.Change([](const std::string& directory) { fs::remove(directory + "/usage/1.zst"); });
  const absl::StatusOr<Explanation> without = ExplainFirst();
  ASSERT_FALSE(without.ok());
  EXPECT_THAT(without.status().message(), HasSubstr("usage/1.zst is missing"));
}

TEST_F(UsageLogFlowTest, ALargestValueIsRebuiltFromIt) {
  const std::string path = book_.Write("usage.ndjson", Call("a", "1") + Call("b", "9") + Call("c", "4"));
  AbsorbFiles({path});
  fs::remove(path);
  std::string voids = Call("v", "9");
  voids.insert(voids.size() - 2, R"(,"voids":"b")");
  const AbsorbReport report = AbsorbFiles({book_.Write("late.ndjson", voids)});
  EXPECT_EQ(report.corrections, 1u);
  EXPECT_THAT(report.needed, IsEmpty());
}

// Law 1 and 2 by what the log has, and a lie in the book is found.
TEST_F(UsageLogFlowTest, IsAbsorbedAgain) {
  const std::string usage = book_.Write("usage.ndjson", Call("a", "1") + Call("a", "1") + Call("b", "2"));
  const std::string again = book_.Write("again.ndjson", Call("b", "3") + "nothing\n" + std::string(300, 'z') + "\n");
  AbsorbFiles({usage, again});
  AbsorbOptions options = options_;
  options.keeps_usage_log = false;
  const auto details = [&] {
    std::vector<std::string> all;
    const TemporaryDirectory scratch(WhereSyncsAreQuick());
    const auto checks = AbsorbSourcesAgain(*book_, catalog_, options, scratch.path());
    EXPECT_TRUE(checks.ok()) << checks.status();
    for (const LawCheck& check : *checks) {
      EXPECT_TRUE(check.holds) << check.detail;
      all.push_back(check.detail);
    }
    return all;
  };
  const std::string accepted = "2 events are accepted, as in the book", totals = "2 totals, as their sources say";
  EXPECT_THAT(details(), ElementsAre("2 sources, as they were absorbed", accepted, totals));
  fs::remove(usage);
  EXPECT_THAT(details(), ElementsAre("2 sources, as they were absorbed (1 from the usage log)", accepted, totals));
  fs::remove(again);
  EXPECT_THAT(details(), ElementsAre("2 sources, as they were absorbed (from the usage log)", accepted, totals));
  // A source that neither has.
  options_.keeps_usage_log = false;
  const std::string more = book_.Write("more.ndjson", Call("m", "1"));
  AbsorbFiles({more});
  fs::remove(more);
  EXPECT_THAT(details(), ElementsAre("2 of 3 sources are there as absorbed (from the usage log); not there: " + more +
                                         ": a source of the usage is gone",
                                     accepted, "0 totals, as their sources say; not compared: 1 subject"));
}

// Of a source of bytes, any cut of reads.
class Text final : public ByteSource {
 public:
  explicit Text(std::string text) : text_(std::move(text)) {}
  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    const size_t take = std::min({bytes, text_.size() - at_, size_t{1} << 20});
    text_.copy(into, take, at_);
    at_ += take;
    return take;
  }
  uint64_t bytes_read() const override { return at_; }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  const std::string text_;
  size_t at_ = 0;
};

TEST(ContentTapTest, GivesEachByteOnceAndNothingOfALineThatIsTooLong) {
  const std::string text = "head" + std::string(kTapBytesMax + 5, 'x') + "tail";
  ContentTap tap;
  const OpenContent open =
      tap.On([&]() -> absl::StatusOr<std::unique_ptr<ByteSource>> { return std::make_unique<Text>(text); });
  absl::StatusOr<std::unique_ptr<ByteSource>> source = open();
  ASSERT_TRUE(source.ok());
  const auto read = [&](size_t bytes) {
    std::string buffer(bytes, '\0');
    for (size_t at = 0; at < bytes;) at += *(*source)->Read(buffer.data() + at, bytes - at);
  };
  std::string taken;
  read(10);
  EXPECT_TRUE(tap.Take(4, &taken));
  EXPECT_EQ(taken, "head");
  read(text.size() - 10);
  EXPECT_FALSE(tap.Take(text.size() - 4, &taken));
  EXPECT_EQ(taken, "head");
  EXPECT_TRUE(tap.Take(text.size(), &taken));
  EXPECT_EQ(taken, "headtail");
  // Opened anew it begins anew.
  source = open();
  read(6);
  tap.PassOver(5);
  read(2);
  taken.clear();
  EXPECT_TRUE(tap.Take(8, &taken));
  EXPECT_EQ(taken, "xxx");
}

}  // namespace
}  // namespace tollbook
