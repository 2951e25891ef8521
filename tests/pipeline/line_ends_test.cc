#include "pipeline/line_ends.h"

#include <gtest/gtest.h>

#include "tests/pipeline/failing_book.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

// Of a book, but for what was not accepted.
class RetriedBook : public FailingBook {
 public:
  RetriedBook(Book& book, std::vector<StoredExceptions> chunks)
      : FailingBook(book, 0, false), chunks_(std::move(chunks)) {}
  absl::Status ForEachNotAccepted(uint64_t, const VisitExceptions& visit) const override {
    for (const StoredExceptions& chunk : chunks_) TOLLBOOK_RETURN_IF_ERROR(visit(chunk));
    return absl::OkStatus();
  }

 private:
  const std::vector<StoredExceptions> chunks_;
};

// The newest one is right, though what a source's lines came to is gone through many times before all of it is there.
TEST(LineEnds, ALineEndsAsTheLastCommitSays) {
  constexpr uint64_t kLines = 700, kCommits = 30;
  std::vector<StoredExceptions> chunks;
  for (uint64_t sequence = 1; sequence <= kCommits; ++sequence) {
    std::vector<ExceptionRecord> records;
    for (uint64_t line = 1; line <= kLines; ++line) {
      if (line % kCommits + 1 < sequence) continue;  // it has ended by then
      ExceptionRecord record;
      record.source = line % 7 == 0 ? 5 : 2;
      record.line = line;
      record.reason = line % kCommits + 1 == sequence ? Reason::kDuplicate : Reason::kConflict;
      records.push_back(record);
    }
    chunks.push_back({sequence, false, Encode(records)});
  }
  const SmallBook book;
  const absl::StatusOr<LineEnds> ends = LineEnds::Of(RetriedBook(*book, std::move(chunks)), {});
  ASSERT_TRUE(ends.ok()) << ends.status();
  uint64_t lines = 0;
  for (const uint32_t source : {2, 5}) {
    uint64_t before = 0;
    for (const LineEnd& end : ends->of(source)) {
      EXPECT_LT(std::exchange(before, end.line), end.line);
      EXPECT_EQ(end.sequence, end.line % kCommits + 1) << end.line;
      EXPECT_EQ(end.reason, Reason::kDuplicate) << end.line;
      ++lines;
    }
  }
  EXPECT_EQ(lines, kLines);
  EXPECT_TRUE(ends->of(3).empty());
}

}  // namespace
}  // namespace tollbook
