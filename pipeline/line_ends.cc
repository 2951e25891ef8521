#include "pipeline/line_ends.h"

#include <algorithm>
#include <tuple>

namespace tollbook {
namespace {

absl::Status AddRecords(const StoredExceptions& chunk, bool is_applied, std::vector<std::vector<LineEnd>>* of_sources) {
  const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
  if (!records.ok()) return records.status();
  for (const ExceptionRecord& record : *records) {
    if (record.source >= of_sources->size()) of_sources->resize(record.source + 1);
    (*of_sources)[record.source].push_back({record.line, chunk.sequence, record.part, record.reason, is_applied});
  }
  return absl::OkStatus();
}

// Several commits may tell of a line: the last one is right.
void KeepNewest(std::vector<LineEnd>* ends) {
  std::ranges::stable_sort(*ends, {}, [](const LineEnd& end) { return std::tie(end.line, end.part, end.sequence); });
  size_t kept = 0;
  for (size_t i = 0; i < ends->size(); ++i) {
    const bool is_newest =
        i + 1 == ends->size() || (*ends)[i + 1].line != (*ends)[i].line || (*ends)[i + 1].part != (*ends)[i].part;
    if (is_newest) (*ends)[kept++] = (*ends)[i];
  }
  ends->resize(kept);
}

auto PlaceOf(const LineEnd& end) {
  return std::tuple(end.line, end.part);
}

// Lines that are held, and with which retry they were taken in. A retry may leave some where they are, so what is held
// behind it says which: `sequence` is that of a commit behind which the line was held.
class Retried {
 public:
  Retried(const Book& book, std::vector<std::vector<LineEnd>>* ends) : book_(book), ends_(*ends) {
    for (std::vector<LineEnd>& of_source : ends_) {
      for (LineEnd& end : of_source) {
        if (OutcomeOf(end.reason) == Outcome::kHeld && !IsHeldCorrection(end.reason)) held_.push_back(&end);
      }
    }
  }

  absl::Status Pass(uint64_t retry) {
    const auto waits = [&](const LineEnd* end) { return end->sequence < retry; };
    if (std::ranges::none_of(held_, waits)) return absl::OkStatus();
    TOLLBOOK_RETURN_IF_ERROR(book_.ForEachNotAccepted(retry, [&](const StoredExceptions& chunk) {
      return chunk.held && chunk.sequence <= retry ? StillHeld(chunk, retry) : absl::OkStatus();
    }));
    std::erase_if(held_, [&](LineEnd* end) {
      if (!waits(end)) return false;
      end->reason = Reason::kNone;
      end->sequence = retry;
      return true;
    });
    return absl::OkStatus();
  }

 private:
  absl::Status StillHeld(const StoredExceptions& chunk, uint64_t retry) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      std::vector<LineEnd>& ends = ends_[record.source];
      const auto end = std::ranges::lower_bound(ends, std::tuple(record.line, record.part), {}, PlaceOf);
      TOLLBOOK_ASSERT(end != ends.end() && PlaceOf(*end) == std::tuple(record.line, record.part));
      if (OutcomeOf(end->reason) == Outcome::kHeld) end->sequence = std::max(end->sequence, retry);
    }
    return absl::OkStatus();
  }

  const Book& book_;
  std::vector<std::vector<LineEnd>>& ends_;
  std::vector<LineEnd*> held_;
};

}  // namespace

absl::StatusOr<LineEnds> LineEnds::Of(const Book& book, const std::vector<CommitRecord>& commits) {
  LineEnds ends;
  // As if nothing had ever been retired: what was held is there, too, and what each retry found.
  TOLLBOOK_RETURN_IF_ERROR(book.ForEachNotAccepted(
      0, [&](const StoredExceptions& chunk) { return AddRecords(chunk, false, &ends.of_sources_); }));
  TOLLBOOK_RETURN_IF_ERROR(book.ForEachHeldCorrections(
      [&](const StoredExceptions& chunk) { return AddRecords(chunk, false, &ends.of_sources_); }));
  TOLLBOOK_RETURN_IF_ERROR(book.ForEachCorrections(
      [&](const StoredExceptions& chunk) { return AddRecords(chunk, true, &ends.of_sources_); }));
  for (std::vector<LineEnd>& of_source : ends.of_sources_) KeepNewest(&of_source);
  Retried retried(book, &ends.of_sources_);
  for (const CommitRecord& commit : commits) {
    if (commit.retires_held) TOLLBOOK_RETURN_IF_ERROR(retried.Pass(commit.sequence));
  }
  for (std::vector<LineEnd>& of_source : ends.of_sources_) {
    for (LineEnd& end : of_source) {
      if (OutcomeOf(end.reason) == Outcome::kHeld) end.sequence = 0;
    }
  }
  return ends;
}

}  // namespace tollbook
