#include "pipeline/waiting.h"

#include <algorithm>
#include <mutex>

#include "rating/error.h"

namespace tollbook {

std::string ToString(const LineSum& sum, Currency currency) {
  return std::to_string(sum.differences) + (sum.differences == 1 ? " difference, " : " differences, ") +
         ToString(Money{currency, sum.minor}) + " " + std::string(currency.code());
}

absl::Status WaitingSums::TakeWaiting(std::vector<BookedAmount>* differences) {
  absl::Status added;
  std::erase_if(*differences, [&](const BookedAmount& difference) {
    const std::string_view entity = difference.key.place->entity;
    const Day usage_date = difference.key.usage_date;
    auto place = places_.find({entity, usage_date});
    if (place == places_.end()) {
      place = places_.emplace(std::pair(entity, usage_date), periods_->PlaceOf(entity, usage_date)).first;
    }
    if (!place->second.waits) return false;
    const Currency currency = difference.key.place->currency;
    const AccountingPeriod& period = place->second.period;
    const absl::Status status =
        AddTo({std::string(entity), period.first, std::string(currency.code())},
              {std::string(entity), period, place->second.state, currency, {difference.minor, 1}});
    if (!status.ok()) added = status;
    return true;
  });
  return added;
}

absl::Status WaitingSums::AddTo(const Place& place, const WaitingAmount& waiting) {
  const auto [known, added] = sums_.try_emplace(place, waiting);
  if (added) return absl::OkStatus();
  LineSum& sum = known->second.sum;
  if (!sum.Add(waiting.sum.minor)) {
    return MakeError(absl::StatusCode::kOutOfRange, "what waits for an accounting period is too large to be added up",
                     waiting.entity + " " + waiting.period.name, "check the prices");
  }
  sum.differences += waiting.sum.differences;
  return absl::OkStatus();
}

absl::Status WaitingSums::Add(const WaitingSums& other) {
  for (const auto& [place, waiting] : other.sums_) TOLLBOOK_RETURN_IF_ERROR(AddTo(place, waiting));
  return absl::OkStatus();
}

std::vector<WaitingAmount> WaitingSums::All() const {
  std::vector<WaitingAmount> all;
  for (const auto& [place, waiting] : sums_) all.push_back(waiting);
  return all;
}

absl::StatusOr<std::vector<WaitingAmount>> WaitingDifferences(const Book& book, const Catalog& catalog,
                                                              const WorthWindow& window, int threads,
                                                              const VisitWaiting& each) {
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, catalog);
  if (!periods.ok()) return periods.status();
  if (periods->all_open()) return std::vector<WaitingAmount>();
  WaitingSums sums(*periods);
  std::mutex mutex;  // guards sums and what `each` keeps
  const absl::Status visited = VisitSubjects(book, catalog, window, threads, [&](int, const SubjectWorth& worth) {
    if (!worth.status.ok()) return absl::OkStatus();
    std::vector<BookedAmount> differences;
    LessBooked(worth.due, worth.booked, window.through, &differences);
    if (differences.empty()) return absl::OkStatus();
    const std::lock_guard lock(mutex);
    if (each) {
      for (const BookedAmount& difference : differences) {
        const PostingPlace place = periods->PlaceOf(difference.key.place->entity, difference.key.usage_date);
        if (place.waits) each(worth.subject, difference, place);
      }
    }
    WaitingSums of_subject(*periods);
    TOLLBOOK_RETURN_IF_ERROR(of_subject.TakeWaiting(&differences));
    return sums.Add(of_subject);
  });
  if (!visited.ok()) return visited;
  return sums.All();
}

}  // namespace tollbook
