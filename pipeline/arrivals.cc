#include "pipeline/arrivals.h"

#include <oneapi/tbb/parallel_for.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <tuple>

#include "pipeline/worker_arena.h"

namespace tollbook {
namespace {

// A shard's, before they go to disk: long writes, and all shards together take little memory.
constexpr size_t kWaitingMax = 3 << 10;

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using OpenFile = std::unique_ptr<std::FILE, CloseFile>;

absl::Status CannotUse(const std::string& path) {
  return MakeError(absl::StatusCode::kUnavailable, "cannot write or read what was read again",
                   path + ": " + std::strerror(errno), "make room on the disk, and run it again");
}

auto OrderOf(const Arrival& arrival) {
  return std::tuple(KeyOf(arrival.entry), arrival.sequence, arrival.role >= ArrivalRole::kKnownThen, arrival.place,
                    arrival.part);
}

// One shard's arrivals, one identity after the other.
class ShardJudge {
 public:
  ShardJudge(const SeenSet& remembered, const std::vector<CutOff>& cut_offs, bool is_all)
      : remembered_(remembered), cut_offs_(cut_offs), is_all_(is_all) {}

  ArrivalsFound Judge(std::span<const Arrival> sorted) {
    while (!sorted.empty()) {
      const Uint128 key = KeyOf(sorted.front().entry);
      size_t same = 1;
      while (same < sorted.size() && KeyOf(sorted[same].entry) == key) ++same;
      JudgeIdentity(sorted.first(same));
      sorted = sorted.subspan(same);
    }
    if (is_all_) found_.unknown = remembered_.size() - known_;
    return std::move(found_);
  }

 private:
  void JudgeIdentity(std::span<const Arrival> arrivals) {
    const std::optional<uint64_t> kept = remembered_.Find(arrivals.front().entry);
    known_ += kept.has_value();
    const Arrival* first = nullptr;
    for (const Arrival& arrival : arrivals) {
      switch (arrival.role) {
        case ArrivalRole::kAccepted:
          if (first != nullptr && !MayBeForgotten(*first, arrival.sequence)) {
            ++found_.accepted_too_often;
            Add(arrival, ContentOf(arrival.entry) == ContentOf(first->entry) ? "duplicate" : "conflict", "accepted");
            break;
          }
          first = &arrival;
          break;
        case ArrivalRole::kKnown:
        case ArrivalRole::kKnownThen:
          if (first != nullptr || IsElsewhere(kept.has_value())) break;
          ++found_.lost;
          Add(arrival, "accepted", ToString(arrival.reason));
          break;
        case ArrivalRole::kRestated:
          if (first == nullptr ? !IsElsewhere(kept == ContentOf(arrival.entry))
                               : ContentOf(first->entry) != ContentOf(arrival.entry))
            Add(arrival, "corrects another content", "applied");
          break;
      }
    }
    if (first == nullptr || kept == ContentOf(first->entry)) return;
    if (kept) return Add(*first, "another content", "accepted");
    if (!MayBeForgotten(*first, UINT64_MAX)) Add(*first, "not remembered", "accepted");
  }

  // Of what no source that was read has: another may, and its key may be forgotten.
  bool IsElsewhere(bool is_remembered) const { return !is_all_ && (is_remembered || !cut_offs_.empty()); }

  bool MayBeForgotten(const Arrival& accepted, uint64_t before_sequence) const {
    return std::ranges::any_of(cut_offs_, [&](const CutOff& cut_off) {
      return cut_off.sequence > accepted.sequence && cut_off.sequence < before_sequence &&
             accepted.date < cut_off.before;
    });
  }

  void Add(const Arrival& arrival, std::string_view anew, std::string_view stored) {
    found_.wrong.push_back({arrival, anew, stored});
  }

  const SeenSet& remembered_;
  const std::vector<CutOff>& cut_offs_;
  const bool is_all_;
  ArrivalsFound found_;
  uint64_t known_ = 0;
};

}  // namespace

absl::Status Arrivals::Add(int shard, std::span<const Arrival> arrivals) {
  std::vector<Arrival>& waiting = waiting_[static_cast<size_t>(shard)];
  waiting.insert(waiting.end(), arrivals.begin(), arrivals.end());
  return waiting.size() < kWaitingMax ? absl::OkStatus() : Flush(shard);
}

// The file is open no longer than this takes: a process may have few open at a time, and there are many shards.
absl::Status Arrivals::Flush(int shard) {
  std::vector<Arrival>& waiting = waiting_[static_cast<size_t>(shard)];
  const std::string path = PathOf(shard);
  const OpenFile file(std::fopen(path.c_str(), "ab"));
  if (file == nullptr) return CannotUse(path);
  const size_t written = std::fwrite(waiting.data(), sizeof(Arrival), waiting.size(), file.get());
  if (written != waiting.size() || std::fflush(file.get()) != 0) return CannotUse(path);
  on_disk_[static_cast<size_t>(shard)] += waiting.size();
  waiting.clear();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Arrival>> Arrivals::Load(int shard) const {
  const size_t on_disk = on_disk_[static_cast<size_t>(shard)];
  std::vector<Arrival> all(on_disk);
  if (on_disk > 0) {
    const std::string path = PathOf(shard);
    const OpenFile file(std::fopen(path.c_str(), "rb"));
    if (file == nullptr) return CannotUse(path);
    if (std::fread(all.data(), sizeof(Arrival), on_disk, file.get()) != on_disk) return CannotUse(path);
  }
  const std::vector<Arrival>& waiting = waiting_[static_cast<size_t>(shard)];
  all.insert(all.end(), waiting.begin(), waiting.end());
  return all;
}

absl::StatusOr<ArrivalsFound> Arrivals::Judge(const Book& book, const std::vector<CutOff>& cut_offs, bool is_all,
                                              int threads) const {
  std::vector<absl::StatusOr<ArrivalsFound>> shards(kSeenShards, ArrivalsFound());
  const auto judge = [&](int shard) -> absl::StatusOr<ArrivalsFound> {
    SeenSet remembered;
    TOLLBOOK_RETURN_IF_ERROR(book.LoadSeen(shard, &remembered));
    absl::StatusOr<std::vector<Arrival>> arrivals = Load(shard);
    if (!arrivals.ok()) return arrivals.status();
    std::ranges::sort(*arrivals, {}, OrderOf);
    return ShardJudge(remembered, cut_offs, is_all).Judge(*arrivals);
  };
  WorkerArena arena(threads);
  arena.execute([&] { tbb::parallel_for(0, kSeenShards, [&](int shard) { shards[shard] = judge(shard); }); });
  ArrivalsFound found;
  for (absl::StatusOr<ArrivalsFound>& shard : shards) {
    if (!shard.ok()) return shard.status();
    std::ranges::move(shard->wrong, std::back_inserter(found.wrong));
    found.accepted_too_often += shard->accepted_too_often;
    found.lost += shard->lost;
    found.unknown += shard->unknown;
  }
  std::ranges::stable_sort(found.wrong, {},
                           [](const WrongArrival& wrong) { return std::tie(wrong.arrival.place, wrong.arrival.part); });
  return found;
}

}  // namespace tollbook
