#include "pipeline/waiting.h"

#include <algorithm>
#include <mutex>

#include "pipeline/booked_places.h"
#include "rating/error.h"

namespace tollbook {

std::string ToString(const LineSum& sum, Currency currency) {
  return std::to_string(sum.differences) + (sum.differences == 1 ? " difference, " : " differences, ") +
         ToString(Money{currency, sum.minor}) + " " + std::string(currency.code());
}

std::string ToString(const WaitingAmount& waits) {
  const std::string sum = ToString(waits.sum, waits.currency);
  if (waits.unmapped) return waits.entity + " " + waits.period.name + " has no posting rule for " + sum;
  return waits.entity + " " + waits.period.name + " is " + std::string(ToString(waits.state)) + ": " + sum;
}

const PostingPlace& WaitingSums::PlaceOf(const BookedKey& key) {
  const std::string_view entity = key.place->entity;
  auto place = places_.find({entity, key.usage_date});
  if (place == places_.end()) {
    place = places_.emplace(std::pair(entity, key.usage_date), periods_->PlaceOf(entity, key.usage_date)).first;
  }
  return place->second;
}

absl::Status WaitingSums::Take(const BookedAmount& difference, const PostingPlace& place, bool unmapped) {
  const std::string entity(difference.key.place->entity);
  const Currency currency = difference.key.place->currency;
  return AddTo(
      {entity, place.period.first, std::string(currency.code()), unmapped},
      {entity, place.period, place.state, currency, {WorthAt(*difference.key.place, difference.minor), 1}, unmapped});
}

absl::Status WaitingSums::TakeWaiting(std::vector<BookedAmount>* differences) {
  std::vector<BookedAmount> unmapped;
  TakeUnmapped(differences, &unmapped);
  for (const BookedAmount& difference : unmapped) {
    TOLLBOOK_RETURN_IF_ERROR(Take(difference, PlaceOf(difference.key), true));
  }
  absl::Status added;
  std::erase_if(*differences, [&](const BookedAmount& difference) {
    const PostingPlace& place = PlaceOf(difference.key);
    if (!place.waits) return false;
    const absl::Status status = Take(difference, place, false);
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
  const bool all_open = periods->all_open();
  WaitingSums sums(*periods);
  std::mutex mutex;  // guards sums and what `each` keeps
  const absl::Status visited = VisitSubjects(book, catalog, window, threads, [&](int, const SubjectWorth& worth) {
    if (!worth.status.ok() || (all_open && !worth.has_unmapped)) return absl::OkStatus();
    std::vector<BookedAmount> differences;
    LessBooked(worth.due, worth.booked, window.through, &differences);
    if (differences.empty()) return absl::OkStatus();
    const std::lock_guard lock(mutex);
    if (each) {
      const auto place_of = [&](const BookedAmount& difference) {
        return periods->PlaceOf(difference.key.place->entity, difference.key.usage_date);
      };
      std::vector<BookedAmount> mapped = differences, unmapped;
      TakeUnmapped(&mapped, &unmapped);
      for (const BookedAmount& difference : unmapped) each(worth.subject, difference, place_of(difference), true);
      for (const BookedAmount& difference : mapped) {
        const PostingPlace place = place_of(difference);
        if (place.waits) each(worth.subject, difference, place, false);
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
