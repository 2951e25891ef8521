#include "ledger/seen_shard.h"

#include <algorithm>

namespace tollbook {

absl::Status SeenShard::Suspect(const SeenRun& run, const SeenEntry& entry) {
  const absl::StatusOr<SeenRun::Answer> answer = run.FindNow(entry);
  if (!answer.ok()) return answer.status();
  if (!answer->known) waiting_.push_back({asked_, &run, entry});
  if (answer->known && answer->content.has_value()) known_.push_back({asked_, *answer->content});
  return absl::OkStatus();
}

absl::Status SeenShard::Answer() {
  for (const Waiting& waiting : waiting_) {
    const absl::StatusOr<std::optional<uint64_t>> content = waiting.run->Find(waiting.entry);
    if (!content.ok()) return content.status();
    if (content->has_value()) known_.push_back({waiting.ordinal, **content});
  }
  waiting_.clear();
  std::sort(known_.begin(), known_.end(), [](const Known& a, const Known& b) { return a.ordinal < b.ordinal; });
  answered_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::optional<uint64_t>> SeenShard::Find(const SeenEntry& entry) const {
  const std::optional<uint64_t> hot = hot_.Find(entry);
  if (hot.has_value()) return hot;
  for (const auto& run : runs_) {
    if (!run->MayHave(entry)) continue;
    absl::StatusOr<std::optional<uint64_t>> cold = run->Find(entry);
    if (!cold.ok() || cold->has_value()) return cold;
  }
  return std::optional<uint64_t>();
}

void SeenShard::ForgetAnswers() {
  known_.clear();
  asked_ = 0;
  inserted_ = 0;
  next_known_ = 0;
  answered_ = false;
}

size_t SeenShard::runs_in_memory_bytes() const {
  size_t bytes = 0;
  for (const auto& run : runs_) bytes += run->bytes_in_memory();
  return bytes;
}

}  // namespace tollbook
