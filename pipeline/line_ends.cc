#include "pipeline/line_ends.h"

#include <algorithm>
#include <tuple>

namespace tollbook {
namespace {

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

// What the commits tell of each source, as it is added. However often its lines were tried again, there are no more
// than twice as many of them as lines: they are gone through whenever they have doubled.
class Told {
 public:
  absl::Status Add(const StoredExceptions& chunk, bool is_applied) {
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      if (record.source >= of_sources_.size()) {
        of_sources_.resize(record.source + 1);
        full_at_.resize(record.source + 1, kFew);
      }
      std::vector<LineEnd>& ends = of_sources_[record.source];
      ends.push_back({record.line, chunk.sequence, record.part, record.reason, is_applied});
      if (ends.size() < full_at_[record.source]) continue;
      KeepNewest(&ends);
      full_at_[record.source] = std::max(kFew, 2 * ends.size());
      ends.reserve(full_at_[record.source]);
    }
    return absl::OkStatus();
  }

  std::vector<std::vector<LineEnd>> Take() {
    for (std::vector<LineEnd>& ends : of_sources_) {
      KeepNewest(&ends);
      ends.shrink_to_fit();
    }
    return std::move(of_sources_);
  }

 private:
  static constexpr size_t kFew = 16;
  std::vector<std::vector<LineEnd>> of_sources_;  // by id
  std::vector<size_t> full_at_;                   // of each
};

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
  Told told;
  // As if nothing had ever been retired: what was held is there, too, and what each retry found.
  TOLLBOOK_RETURN_IF_ERROR(
      book.ForEachNotAccepted(0, [&](const StoredExceptions& chunk) { return told.Add(chunk, false); }));
  TOLLBOOK_RETURN_IF_ERROR(
      book.ForEachHeldCorrections([&](const StoredExceptions& chunk) { return told.Add(chunk, false); }));
  TOLLBOOK_RETURN_IF_ERROR(
      book.ForEachCorrections([&](const StoredExceptions& chunk) { return told.Add(chunk, true); }));
  LineEnds ends;
  ends.of_sources_ = told.Take();
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
