#include "pipeline/due_now.h"

#include <map>
#include <mutex>

#include "pipeline/booked_places.h"
#include "pipeline/subject_worth.h"

namespace tollbook {

absl::StatusOr<DueNow> DueBy(const Book& book, const Catalog& catalog, int threads) {
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, catalog);
  if (!periods.ok()) return periods.status();
  WaitingSums waiting(*periods);
  std::map<std::pair<std::string, std::string>, DueNow::Due> due;  // by entity and currency
  std::mutex mutex;                                                // guards both
  const absl::Status visited = VisitSubjects(book, catalog, {}, threads, [&](int, const SubjectWorth& worth) {
    if (!worth.status.ok()) return absl::OkStatus();
    std::vector<BookedAmount> differences;
    LessBooked(worth.due, worth.booked, std::nullopt, &differences);
    if (differences.empty()) return absl::OkStatus();
    const std::lock_guard lock(mutex);
    TOLLBOOK_RETURN_IF_ERROR(waiting.TakeWaiting(&differences));
    for (const BookedAmount& difference : differences) {
      const BookedPlace& place = *difference.key.place;
      const std::string entity(place.entity);
      DueNow::Due& of = due.try_emplace({entity, std::string(place.currency.code())}, entity, place.currency, LineSum{})
                            .first->second;
      if (!of.sum.Add(WorthAt(place, difference.minor))) {
        return MakeError(absl::StatusCode::kOutOfRange, "what is due is too large to be added up", entity,
                         "check the prices");
      }
      of.sum.differences += 1;
    }
    return absl::OkStatus();
  });
  if (!visited.ok()) return visited;
  DueNow now;
  for (auto& [of, sum] : due) now.due.push_back(std::move(sum));
  now.waiting = waiting.All();
  return now;
}

}  // namespace tollbook
