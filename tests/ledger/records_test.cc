#include "ledger/records.h"

#include <gtest/gtest.h>

#include "ledger/period_change.h"
#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

CommitRecord Commit() {
  CommitRecord record;
  record.sequence = 300;
  record.previous.fill(7);
  record.body = {1, UINT64_MAX};
  record.committed_at_nanos = -1;
  record.delta = {10, 11, 0, 0, static_cast<uint64_t>(-1), 0};  // a retry took one from held
  record.book = {100, 90, 4, 3, 2, 1};
  record.covered = {{1, 0, 4096, 1, 33}, {2, 10, 20, 2, 3}};
  record.retires_held = true;
  record.seen = {90, static_cast<Uint128>(3) << 64 | 9};
  record.hash = HashOf(record);
  return record;
}

SourceRecord Source() {
  SourceRecord record;
  record.id = 7;
  record.path = "usage/january.ndjson.gz";
  record.offset = 1'000'000;
  record.rows = 5;
  record.lines = 6;
  record.digest = {8, 9};
  record.finished = true;
  record.file_bytes = 12'345;
  record.file_digest = {10, 11};
  record.counts = {6, 5, 1, 0, 0, 0};
  return record;
}

SealRecord Seal() {
  SealRecord record;
  record.number = 2;
  record.sequence = 300;
  record.catalog_digest = "abc";
  record.through = Day{20'113};
  record.differences = 55;
  record.batches = {"acme-us-USD-2025-01-0002", "acme-us-USD-2025-02-0002"};
  return record;
}

SealRecord AdjustingSeal() {
  SealRecord record = Seal();
  record.adjusted_by = "Ann";
  record.adjusted_why = "an accrual";
  return record;
}

SealRecord ReversingSeal() {
  SealRecord record = Seal();
  record.reverses = "acme-us-USD-2025-01-0001";
  record.reversed_by = "Ann";
  record.reversed_why = "another account";
  return record;
}

PeriodChange Close() {
  return {
      301,   "acme-us",           {"FY2025-P01", {20'087}, {20'114}}, PeriodState::kSoftClosed, PeriodState::kClosed,
      "Ann", "the month is done", {{"held", 3}, {"unpriced", 1}}};
}

MeterRecord Tokens() {
  return {9,
          {"tokens",
           "llm.tokens",
           Aggregation::kMax,
           "usage.tokens",
           {"model", "region"},
           "token",
           Granularity::kQuarterHour,
           true,
           "tokens / 1000",
           "operation",
           true,
           {}}};
}

const std::vector<ExceptionRecord> kExceptions = {
    {Reason::kInvalidJson, 1, 10, 2048, 0, "{\"id\":"},
    {Reason::kConflict, 1, 9, 1024, 3, ""},
    {Reason::kUnknownMeter, 2, UINT64_MAX, UINT64_MAX, UINT32_MAX, std::string_view("\0\xff", 2)},
    {Reason::kSourceGone, 2, 7, 70, 0, "{}", 1},
};

// A record comes back when the bytes of what was read are the bytes that were read.
TEST(Records, ComeBackAndDamageIsRefusedOrHarmless) {
  const auto same = [](const std::string& bytes, auto decode) {
    TryDamage(bytes, [&](std::string_view stored) { return decode(stored).ok(); });
    EXPECT_EQ(ToHex(Encode(*decode(bytes))), ToHex(bytes));
  };
  same(Encode(BookIdentity{kFormatVersion, "demo", "Europe/Berlin", {1, 2}}), DecodeBookIdentity);
  same(Encode(Source()), DecodeSourceRecord);
  same(Encode(Commit()), DecodeCommitRecord);
  same(Encode(Seal()), DecodeSealRecord);
  same(Encode(AdjustingSeal()), DecodeSealRecord);
  same(Encode(ReversingSeal()), DecodeSealRecord);
  same(Encode(Close()), DecodePeriodChange);
  same(Encode(Tokens()), DecodeMeterRecord);
  same(Encode(std::map<std::string, std::string>{{"book.yaml", "name: demo\n"}, {"x.csv", ""}}), DecodeCatalogFiles);
  same(Encode(kExceptions), DecodeExceptions);
}

TEST(Records, FieldsComeBackInTheirPlaces) {
  const SourceRecord source = *DecodeSourceRecord(Encode(Source()));
  EXPECT_EQ(source.path, "usage/january.ndjson.gz");
  EXPECT_EQ(source.offset, 1'000'000u);
  EXPECT_EQ(source.rows, 5u);
  EXPECT_EQ(source.lines, 6u);
  EXPECT_EQ(source.file_bytes, 12'345u);
  EXPECT_EQ(source.counts, Source().counts);
  const CommitRecord commit = *DecodeCommitRecord(Encode(Commit()));
  EXPECT_EQ(commit.delta, Commit().delta);
  EXPECT_EQ(commit.book, Commit().book);
  EXPECT_EQ(commit.covered.at(0).end_offset, 4096u);
  EXPECT_EQ(commit.covered.at(1).first_line, 2u);
  EXPECT_EQ(commit.hash, Commit().hash);
  EXPECT_EQ(DecodeMeterRecord(Encode(Tokens()))->meter, Tokens().meter);
  EXPECT_EQ(DecodeSealRecord(Encode(Seal()))->through, Seal().through);
  EXPECT_EQ(DecodeSealRecord(Encode(AdjustingSeal()))->adjusted_why, "an accrual");
  EXPECT_EQ(DecodeSealRecord(Encode(ReversingSeal()))->reverses, "acme-us-USD-2025-01-0001");
  EXPECT_EQ(DecodeSealRecord(Encode(ReversingSeal()))->reversed_why, "another account");
  EXPECT_EQ(*DecodePeriodChange(Encode(Close())), Close());
  const std::string stored = Encode(kExceptions);
  const std::vector<ExceptionRecord> exceptions = *DecodeExceptions(stored);
  ASSERT_EQ(exceptions.size(), 4u);
  EXPECT_EQ(exceptions[1].line, 9u);
  EXPECT_EQ(exceptions[2].offset, UINT64_MAX);
  EXPECT_EQ(exceptions[2].payload, kExceptions[2].payload);
  EXPECT_EQ(exceptions[3].needs, 1u);
}

// The worked example of ledger/FORMAT.md.
TEST(Records, TheExampleOfTheFormatDocument) {
  const std::vector<ExceptionRecord> exceptions = {{Reason::kInvalidJson, 1, 3, 300, 0, "{"},
                                                   {Reason::kDuplicate, 1, 2, 200, 0, ""}};
  EXPECT_EQ(ToHex(Encode(exceptions)),
            "02"
            "03"
            "01"
            "06"
            "d804"
            "00"
            "017b"
            "1a"
            "01"
            "01"
            "c701"
            "00"
            "00");
  EXPECT_EQ(ToHex(Encode(BookIdentity{2, "demo", "UTC", {1, 2}})),
            "00000002"
            "0464656d6f"
            "03555443"
            "0000000000000001"
            "0000000000000002");
}

TEST(Records, AnIdentityOfANewerFormatIsReadAsFarAsItsVersion) {
  BookIdentity newer{kFormatVersion + 1, "demo", "UTC", {1, 2}};
  const absl::StatusOr<BookIdentity> read = DecodeBookIdentity(Encode(newer) + "what only the newer one knows");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->format_version, kFormatVersion + 1);
}

TEST(Records, TheHashOfACommitCoversEveryField) {
  const auto changed = [](auto change) {
    CommitRecord record = Commit();
    change(record);
    return HashOf(record);
  };
  const Hash256 hash = HashOf(Commit());
  EXPECT_NE(changed([](CommitRecord& r) { r.sequence = 301; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.kind = CommitKind::kSeal; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.previous[31] ^= 1; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.body[0] ^= 1; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.committed_at_nanos = 0; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.delta.held = 0; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.book.rejected = 0; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.covered[1].end_line = 4; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.retires_held = false; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.retires_corrections = true; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { ++r.seen.entries; }), hash);
  EXPECT_NE(changed([](CommitRecord& r) { r.seen.hashes += 1; }), hash);
  EXPECT_EQ(changed([](CommitRecord& r) { r.hash = {}; }), hash) << "its own place aside";
}

TEST(LineCounts, EveryLineEndsOnce) {
  LineCounts counts;
  for (const Outcome outcome :
       {Outcome::kAccepted, Outcome::kDuplicate, Outcome::kConflict, Outcome::kHeld, Outcome::kRejected}) {
    EXPECT_TRUE(counts.balanced());
    ++counts.of(outcome);
    EXPECT_FALSE(counts.balanced());
    ++counts.lines;
  }
  EXPECT_EQ(counts, (LineCounts{5, 1, 1, 1, 1, 1}));
  LineCounts twice = counts;
  twice += counts;
  EXPECT_EQ(twice, (LineCounts{10, 2, 2, 2, 2, 2}));
  twice -= counts;
  EXPECT_EQ(twice, counts);
}

}  // namespace
}  // namespace tollbook
