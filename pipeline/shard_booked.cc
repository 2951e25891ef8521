#include "pipeline/shard_booked.h"

#include <algorithm>
#include <string>

namespace tollbook {

absl::Status ShardBooked::Add(const StoredRun& run) {
  DifferenceRunReader reader(run.bytes);
  std::vector<const BookedPlace*> interned;
  for (const BookedPlace& place : reader.places()) interned.push_back(places_.TakeIn(place));
  const bool has_left_out = without_ && without_->sequence == run.sequence;
  std::string_view subject;
  uint32_t count = 0;
  while (reader.NextSubject(&subject, &count)) {
    const bool wanted = !only_subject_ || subject == *only_subject_;
    uint32_t id = 0;
    if (wanted) {
      id = subject_ids_.try_emplace(subject, static_cast<uint32_t>(ranges_.size())).first->second;
      if (id == ranges_.size()) ranges_.emplace_back();
    }
    Difference difference;
    for (uint32_t i = 0; i < count && reader.Next(&difference); ++i) {
      if (!wanted || (has_left_out && IsOf(*without_, difference.line))) continue;
      difference.key.place = interned[static_cast<size_t>(difference.key.place - reader.places().data())];
      amounts_.push_back({difference.key, difference.minor});
      subject_of_.push_back(id);
      ++ranges_[id].count;
    }
  }
  return reader.ok() ? absl::OkStatus() : DamagedError("booked amounts of commit " + std::to_string(run.sequence));
}

void ShardBooked::Sum() {
  uint32_t first = 0;
  for (Range& range : ranges_) {
    range.first = first;
    first += range.count;
    range.count = 0;
  }
  std::vector<BookedAmount> by_subject(amounts_.size());
  for (size_t i = 0; i < amounts_.size(); ++i) {
    Range& range = ranges_[subject_of_[i]];
    by_subject[range.first + range.count++] = amounts_[i];
  }
  amounts_ = std::move(by_subject);
  for (Range& range : ranges_) {
    const std::span<BookedAmount> amounts = SortedOf(range);
    range.count = 0;
    for (size_t i = 0; i < amounts.size();) {
      BookedAmount sum = amounts[i];
      for (++i; i < amounts.size() && amounts[i].key == sum.key; ++i) sum.minor += amounts[i].minor;
      if (sum.minor != 0) amounts[range.count++] = sum;
    }
  }
}

// One seal writes a subject's amounts by key, so those of a single seal are in order.
std::span<BookedAmount> ShardBooked::SortedOf(const Range& range) {
  const std::span<BookedAmount> amounts = std::span(amounts_).subspan(range.first, range.count);
  const auto before = [](const BookedAmount& a, const BookedAmount& b) { return a.key < b.key; };
  if (!std::is_sorted(amounts.begin(), amounts.end(), before)) std::sort(amounts.begin(), amounts.end(), before);
  return amounts;
}

std::span<const BookedAmount> ShardBooked::Of(std::string_view subject) {
  const auto id = subject_ids_.find(subject);
  if (id == subject_ids_.end()) return {};
  Range& range = ranges_[id->second];
  range.was_asked_for = true;
  return std::span(amounts_).subspan(range.first, range.count);
}

std::vector<std::string_view> ShardBooked::Rest() const {
  std::vector<std::string_view> rest;
  for (const auto& [subject, id] : subject_ids_) {
    if (!ranges_[id].was_asked_for && ranges_[id].count > 0) rest.push_back(subject);
  }
  return rest;
}

}  // namespace tollbook
