// Held lines that stay where they are, and of which some end: as they are stored, and in a book.
#include "ledger/held.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "ledger/book.h"
#include "tests/ledger/damage.h"
#include "tests/ledger/scratch_directory.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ExceptionRecord Line(uint64_t line, Reason reason = Reason::kUnknownMeter, std::string_view payload = "{}") {
  return {reason, 1, line, 100 * line, 0, payload, 0};
}

std::string Chunk(uint64_t first, uint64_t lines, Reason reason = Reason::kUnknownMeter) {
  std::vector<ExceptionRecord> records;
  for (uint64_t line = first; line < first + lines; ++line) records.push_back(Line(line, reason));
  return Encode(records);
}

TEST(HeldChanges, SayOfEachLineHowItStandsNow) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 50; ++round) {
    std::map<std::pair<HeldKind, HeldPlace>, std::vector<Reason>> model;  // kNone: it has ended
    for (const HeldKind kind : {HeldKind::kEvents, HeldKind::kCorrections}) {
      for (uint32_t chunk = 0; chunk < 3; ++chunk)
        model[{kind, {1 + random() % 3, chunk}}].assign(1 + random() % 300, Reason::kUnknownOriginal);
    }
    HeldChanges changes;
    for (int commit = 0; commit < 4; ++commit) {
      std::vector<HeldChange> of_commit;
      for (auto& [at, lines] : model) {
        for (uint32_t line = 0; line < lines.size(); ++line) {
          if (lines[line] == Reason::kNone || random() % 3 != 0) continue;
          lines[line] = random() % 2 == 0 ? Reason::kNone : Reason::kSourceGone;
          const uint32_t needs = lines[line] == Reason::kNone ? 0 : 1'000 + line;
          of_commit.push_back({at.first, at.second, line, lines[line], needs});
        }
      }
      std::ranges::shuffle(of_commit, random);
      ASSERT_TRUE(changes.Add(Encode(of_commit)).ok());
    }
    for (const auto& [at, lines] : model) {
      const absl::StatusOr<HeldLines> held =
          changes.LinesOf(at.first, at.second, Chunk(7, lines.size(), Reason::kUnknownOriginal));
      ASSERT_TRUE(held.ok()) << held.status();
      EXPECT_EQ(held->stored, lines.size());
      size_t next = 0;
      for (uint32_t line = 0; line < lines.size(); ++line) {
        if (lines[line] == Reason::kNone) continue;
        ASSERT_LT(next, held->lines.size());
        EXPECT_EQ(held->lines[next], line);
        EXPECT_EQ(held->records[next].line, 7 + line);
        EXPECT_EQ(held->records[next].reason, lines[line]);
        EXPECT_EQ(held->records[next].needs, lines[line] == Reason::kSourceGone ? 1'000 + line : 0);
        EXPECT_EQ(held->records[next].payload, "{}");
        ++next;
      }
      EXPECT_EQ(next, held->lines.size());
    }
  }
}

TEST(HeldChanges, RefuseDamageAndLinesThatAreNotHeld) {
  const HeldPlace place{300, 2};
  const std::string stored = Encode(std::vector<HeldChange>{{HeldKind::kEvents, place, 0, Reason::kNone, 0},
                                                            {HeldKind::kEvents, place, 4, Reason::kSourceGone, 7}});
  const auto decodes = [&](std::string_view bytes) {
    HeldChanges changes;
    return changes.Add(bytes).ok() && changes.LinesOf(HeldKind::kEvents, place, Chunk(1, 5)).ok();
  };
  TryDamage(stored, decodes);
  HeldChanges changes;
  ASSERT_TRUE(changes.Add(stored).ok());
  EXPECT_TRUE(changes.Any(HeldKind::kEvents));
  EXPECT_FALSE(changes.Any(HeldKind::kCorrections));
  EXPECT_TRUE(absl::IsDataLoss(changes.LinesOf(HeldKind::kEvents, place, Chunk(1, 4)).status())) << "no fifth line";
  ASSERT_TRUE(changes.Add(Encode(std::vector<HeldChange>{{HeldKind::kEvents, place, 0, Reason::kNone, 0}})).ok());
  EXPECT_TRUE(absl::IsDataLoss(changes.LinesOf(HeldKind::kEvents, place, Chunk(1, 5)).status())) << "ended twice";
}

class HeldInABook : public testing::Test {
 protected:
  void Open() {
    book_.reset();
    BookOptions options;
    options.directory = directory_.path();
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    ASSERT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
  }
  void SetUp() override { Open(); }

  void Hold(uint64_t first, uint64_t lines, HeldKind kind = HeldKind::kEvents) {
    EpochCommit epoch;
    epoch.delta = {lines, 0, 0, 0, lines, 0};
    const bool corrections = kind == HeldKind::kCorrections;
    const Reason reason = corrections ? Reason::kUnknownOriginal : Reason::kUnknownMeter;
    epoch.exceptions = {{true, Chunk(first, lines, reason), corrections}};
    ASSERT_TRUE(book_->CommitEpoch(epoch).ok());
  }
  // Accepts them.
  absl::Status End(HeldKind kind, const std::vector<std::pair<HeldPlace, uint32_t>>& lines) {
    EpochCommit epoch;
    epoch.delta = {0, lines.size(), 0, 0, -lines.size(), 0};
    (kind == HeldKind::kEvents ? epoch.retires_held : epoch.retires_corrections) = true;
    std::vector<HeldChange> ends;
    for (const auto& [place, line] : lines) ends.push_back({kind, place, line, Reason::kNone, 0});
    return HeldOf(*book_).CommitRetry(epoch, ends);
  }
  std::vector<uint64_t> Lines(const std::function<absl::Status(const Book::VisitExceptions&)>& each) const {
    std::vector<uint64_t> lines;
    const absl::Status visited = each([&](const StoredExceptions& chunk) {
      const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
      if (!records.ok()) return records.status();
      for (const ExceptionRecord& record : *records) lines.push_back(record.line);
      return absl::OkStatus();
    });
    EXPECT_TRUE(visited.ok()) << visited;
    return lines;
  }
  std::vector<uint64_t> All() const {
    return Lines([&](const auto& visit) { return book_->ForEachExceptions(visit); });
  }
  std::vector<uint64_t> NotAccepted(uint64_t through) const {
    return Lines([&](const auto& visit) { return book_->ForEachNotAccepted(through, visit); });
  }
  bool Sound() const { return std::ranges::all_of(book_->CheckStore(), &Book::Check::holds); }

  ScratchDirectory directory_;
  std::unique_ptr<Book> book_;
};

TEST_F(HeldInABook, SomeEndAndTheOthersStayWhereTheyAre) {
  Hold(1, 3);
  Hold(11, 2);
  Hold(21, 2, HeldKind::kCorrections);
  ASSERT_TRUE(End(HeldKind::kEvents, {{{1, 0}, 1}, {{2, 0}, 0}}).ok());
  ASSERT_TRUE(End(HeldKind::kCorrections, {{{3, 0}, 1}}).ok());
  ASSERT_TRUE(End(HeldKind::kEvents, {{{2, 0}, 1}}).ok());
  Hold(31, 1);
  for (const bool reopens : {false, true}) {
    if (reopens) Open();
    EXPECT_THAT(All(), ElementsAre(1, 3, 31, 21));
    // As the book was after each of them.
    EXPECT_THAT(NotAccepted(3), ElementsAre(1, 2, 3, 11, 12, 31));
    EXPECT_THAT(NotAccepted(4), ElementsAre(1, 3, 12, 31));
    EXPECT_THAT(NotAccepted(6), ElementsAre(1, 3, 31));
    EXPECT_TRUE(Sound());
    EXPECT_EQ(book_->counts(), (LineCounts{8, 4, 0, 0, 4, 0}));
  }
  const absl::StatusOr<HeldQueue> queue = HeldOf(*book_).Held(HeldKind::kEvents);
  ASSERT_TRUE(queue.ok());
  EXPECT_THAT(queue->places, ElementsAre(HeldPlace{1, 0}, HeldPlace{2, 0}, HeldPlace{7, 0}));
  const absl::StatusOr<HeldLines> first = HeldOf(*book_).ReadHeld(HeldKind::kEvents, {1, 0}, queue->changes);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->stored, 3u);
  EXPECT_THAT(first->lines, ElementsAre(0, 2));
}

TEST_F(HeldInABook, AWholeRetryTakesWhatWasLeft) {
  Hold(1, 3);
  ASSERT_TRUE(End(HeldKind::kEvents, {{{1, 0}, 1}}).ok());
  EpochCommit retry;
  retry.retires_held = true;
  retry.exceptions = {{true, Encode(std::vector<ExceptionRecord>{Line(1), Line(3)})}};
  ASSERT_TRUE(book_->CommitEpoch(retry).ok());
  EXPECT_THAT(All(), ElementsAre(1, 3));
  EXPECT_FALSE(HeldOf(*book_).Held(HeldKind::kEvents)->changes.Any(HeldKind::kEvents));
  ASSERT_TRUE(End(HeldKind::kEvents, {{{3, 0}, 0}, {{3, 0}, 1}}).ok());
  EXPECT_THAT(All(), IsEmpty());
  EXPECT_THAT(NotAccepted(2), ElementsAre(1, 3, 1, 3)) << "what is held by now was held then";
  EXPECT_TRUE(Sound());
}

}  // namespace
}  // namespace tollbook
