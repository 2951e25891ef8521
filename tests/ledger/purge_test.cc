// Payloads of exceptions go, and nothing else: neither a count nor a place, nor the proof of what is left.
#include "ledger/purge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "ledger/anchor.h"
#include "ledger/book.h"
#include "ledger/bytes.h"
#include "ledger/decision.h"
#include "ledger/store.h"
#include "tests/ledger/clocked_book.h"
#include "tests/ledger/damage.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

// Long and never the same, so that it can be looked for in files, and is in no dictionary of a compression.
std::string Secret(int number) {
  std::string text = "secret " + std::to_string(number) + ":";
  for (uint64_t i = 0; i < 60; ++i)
    text += std::to_string((i + 1) * 0x9E3779B97F4A7C15u ^ static_cast<uint64_t>(number));
  return text.substr(0, kPayloadBytes);
}

std::string Chunk(const std::vector<ExceptionRecord>& records) {
  return Encode(records);
}

class PurgeTest : public ClockedBookTest {
 protected:
  // Two lines: one rejected, one duplicate or held.
  void Absorb(int64_t hour, int number, bool held, bool retires = false) {
    now_ = hour * kHour;
    const std::string payload = Secret(number);
    EpochCommit epoch;
    const auto line = static_cast<uint64_t>(number);
    epoch.exceptions = {
        {false, Chunk({{Reason::kInvalidJson, 0, line, 0, 0, payload}, {Reason::kDuplicate, 0, line + 1, 10, 0, ""}})}};
    epoch.delta = {2, 0, 1, 0, 0, 1};
    const std::string held_payload = Secret(100 + number);
    if (held) {
      epoch.exceptions.push_back({true, Chunk({{Reason::kUnknownMeter, 0, line, 20, 0, held_payload}})});
      epoch.delta.lines += 1;
      epoch.delta.held += 1;
    }
    epoch.retires_held = retires;
    const absl::Status committed = book_->CommitEpoch(epoch);
    ASSERT_TRUE(committed.ok()) << committed;
  }

  PurgeReport Purge(int64_t before_hour) {
    const absl::StatusOr<PurgeReport> report =
        PurgePayloads(*book_, {before_hour * kHour, {20'421}, "Ann", "two years are over"});
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(PurgeReport());
  }

  // "invalid_json 1 secret 1:…", in the order of the commits; of payloads the start.
  std::vector<std::string> Listed() const {
    std::vector<std::string> listed;
    const absl::Status visited = book_->ForEachExceptions([&](const StoredExceptions& chunk) {
      const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
      if (!records.ok()) return records.status();
      for (const ExceptionRecord& record : *records) {
        listed.push_back(std::string(ToString(record.reason)) + " " + std::to_string(record.line) + " " +
                         std::string(record.payload.substr(0, 20)));
      }
      return absl::OkStatus();
    });
    EXPECT_TRUE(visited.ok()) << visited;
    return listed;
  }
  std::vector<std::string> Broken() const {
    std::vector<std::string> broken;
    for (const Book::Check& check : book_->CheckStore()) {
      if (!check.holds) broken.push_back(check.detail);
    }
    return broken;
  }
  // The names of the book's files that have the text.
  std::vector<std::string> FilesWith(std::string_view text) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path())) {
      if (entry.is_regular_file() && ReadFile(entry.path().string()).find(text) != std::string::npos)
        names.push_back(entry.path().filename().string());
    }
    return names;
  }
};

TEST_F(PurgeTest, TakesOldPayloadsAndKeepsWhatTheySay) {
  Absorb(1, 1, /*held=*/false);
  Absorb(2, 3, /*held=*/false);
  Absorb(9, 5, /*held=*/false);
  const PurgeReport report = Purge(3);
  EXPECT_EQ(report.epochs, 2u);
  EXPECT_EQ(report.payloads, 2u);
  EXPECT_EQ(report.bytes, Secret(1).size() + Secret(3).size());
  for (const bool is_reopened : {false, true}) {
    SCOPED_TRACE(is_reopened);
    if (is_reopened) Open();
    EXPECT_THAT(Listed(), ElementsAre("invalid_json 1 purged on 2025-11-29", "duplicate 2 ",
                                      "invalid_json 3 purged on 2025-11-29", "duplicate 4 ",
                                      "invalid_json 5 " + Secret(5).substr(0, 20), "duplicate 6 "));
    EXPECT_THAT(Broken(), IsEmpty());
    EXPECT_EQ(book_->counts().rejected, 3u);
  }
}

TEST_F(PurgeTest, LeavesNoFileThatHasThem) {
  Absorb(1, 1, /*held=*/false);
  Open();  // from the log into tables and blob files
  Absorb(9, 5, /*held=*/false);
  Purge(3);
  EXPECT_THAT(FilesWith(Secret(1).substr(100, 40)), IsEmpty());
  Open();
  EXPECT_THAT(Listed(), testing::Contains(StartsWith("invalid_json 5 " + Secret(5).substr(0, 20))));
}

TEST_F(PurgeTest, AgainDoesNothing) {
  Absorb(1, 1, /*held=*/false);
  Purge(3);
  const uint64_t commits = book_->last_sequence();
  const std::vector<std::string> listed = Listed();
  EXPECT_EQ(Purge(3).payloads, 0u);
  EXPECT_EQ(book_->last_sequence(), commits);
  EXPECT_EQ(Listed(), listed);
}

TEST_F(PurgeTest, WhatIsHeldStaysUntilItIsRetired) {
  Absorb(1, 1, /*held=*/true);
  EXPECT_EQ(Purge(3).payloads, 1u);
  EXPECT_THAT(Listed(), testing::Contains("unknown_meter 1 " + Secret(101).substr(0, 20)));
  EXPECT_THAT(Broken(), IsEmpty());
  now_ = 2 * kHour;
  EpochCommit retry;
  retry.retires_held = true;
  retry.exceptions = {{false, Chunk({{Reason::kNegativeValue, 0, 1, 20, 0, "of the retry"}})}};
  retry.delta.held -= 1;
  retry.delta.rejected += 1;
  ASSERT_TRUE(book_->CommitEpoch(retry).ok());
  EXPECT_EQ(Purge(3).payloads, 2u);  // what was held, and what the retry rejected
  EXPECT_THAT(Broken(), IsEmpty());
  EXPECT_THAT(FilesWith(Secret(101).substr(100, 40)), IsEmpty());
}

TEST_F(PurgeTest, IsADecisionOfTheChain) {
  Absorb(1, 1, /*held=*/false);
  Purge(3);
  const absl::StatusOr<std::vector<DecisionCommit>> decisions = Decisions(*book_);
  ASSERT_TRUE(decisions.ok() && decisions->size() == 1u) << decisions.status();
  EXPECT_EQ(
      decisions->front().decisions,
      (std::vector<Decision>{{DecisionKind::kPurge, "payloads of exceptions", "Ann", "two years are over",
                              "1 payloads, " + std::to_string(Secret(1).size()) + " bytes, of 1 epochs", "purged"}}));
}

TEST_F(PurgeTest, HidesNoDamage) {
  Absorb(1, 1, /*held=*/false);
  Absorb(2, 3, /*held=*/false);
  const auto put = [&](uint64_t sequence, const std::string& value) {
    book_.reset();
    ByteWriter key;
    key.Fixed64(sequence);
    key.Fixed32(0);
    key.Fixed8(0);
    absl::StatusOr<std::unique_ptr<Store>> store = Store::Open(path(), StoreAccess::kWhole);
    ASSERT_TRUE(store.ok());
    std::unique_ptr<StoreWrite> write = (*store)->NewWrite(0);
    write->Put(Family::kExceptions, key.bytes(), value);
    ASSERT_TRUE((*store)->Write(std::move(write)).ok());
    store->reset();
    Open();
  };
  put(2, Chunk({{Reason::kInvalidJson, 0, 3, 0, 0, "another"}}));
  const absl::StatusOr<PurgeReport> refused = PurgePayloads(*book_, {3 * kHour, {20'421}, "Ann", "why"});
  EXPECT_TRUE(absl::IsDataLoss(refused.status())) << refused.status();
  EXPECT_EQ(book_->last_sequence(), 2u) << "nothing was purged";
  put(2, Chunk({{Reason::kInvalidJson, 0, 3, 0, 0, Secret(3)}, {Reason::kDuplicate, 0, 4, 10, 0, ""}}));
  EXPECT_THAT(Broken(), IsEmpty());
  Purge(3);
  put(1, Chunk({{Reason::kInvalidJson, 0, 1, 0, 0, "purged on 2025-11-29: a forgery"}}));
  EXPECT_THAT(Broken(), testing::Contains(HasSubstr("commit 1: what it stored is not what was written")));
}

TEST_F(PurgeTest, RecordsComeBackAsTheyWere) {
  const PurgeRecord record{7, {{2, {1, 2}, {0, 3}}, {5, {3, 4}, {1}}}};
  const absl::StatusOr<PurgeRecord> back = DecodePurgeRecord(Encode(record));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(*back, record);
  TryDamage(Encode(record), [](std::string_view stored) { return DecodePurgeRecord(stored).ok(); });
}

}  // namespace
}  // namespace tollbook
