#include "pipeline/usage_days.h"

#include <algorithm>
#include <mutex>
#include <optional>

#include "pipeline/charges.h"
#include "pipeline/subject_worth.h"

namespace tollbook {
namespace {

// What is asked of one seal: of whom, and behind which day.
struct Part {
  std::optional<std::string_view> only_subject;
  std::optional<Day> behind;
};

class DaysReader {
 public:
  DaysReader(const Book& book, const std::vector<SealRecord>& seals, bool all_lines, int threads)
      : book_(book), seals_(seals), all_lines_(all_lines), threads_(threads) {}

  // As of the first `seals` of them.
  absl::Status Read(size_t seals, const Part& part) {
    if (seals == 0) return absl::OkStatus();
    const SealRecord& seal = seals_[seals - 1];
    const absl::StatusOr<Catalog> catalog = SealedCatalog(book_, seal.number);
    if (!catalog.ok()) return catalog.status();
    std::vector<std::string> not_rated;
    TOLLBOOK_RETURN_IF_ERROR(Visit(*catalog, seal, part, &not_rated));
    for (const std::string& subject : not_rated) {
      TOLLBOOK_RETURN_IF_ERROR(Read(seals - 1, {subject, part.behind}));
    }
    if (!seal.through) return absl::OkStatus();
    // What an earlier seal booked behind this one's last day stands. The newest that went further says what that is.
    const std::optional<Day> behind = std::max(part.behind, seal.through);
    size_t before = seals - 1;
    while (before > 0 && seals_[before - 1].through && *seals_[before - 1].through <= *behind) --before;
    return Read(before, {part.only_subject, behind});
  }

  std::vector<UsageDay> Take() {
    std::sort(days_.begin(), days_.end(), [](const UsageDay& a, const UsageDay& b) { return a.key() < b.key(); });
    days_.erase(std::unique(days_.begin(), days_.end(),
                            [](const UsageDay& a, const UsageDay& b) { return a.key() == b.key(); }),
                days_.end());
    return std::move(days_);
  }

 private:
  absl::Status Visit(const Catalog& catalog, const SealRecord& seal, const Part& part,
                     std::vector<std::string>* not_rated) {
    const WorthWindow window{seal.through, seal.sequence, part.only_subject};
    return VisitSubjects(book_, catalog, window, threads_, [&](int, const SubjectWorth& worth) {
      std::vector<UsageDay> days;
      for (const RatedCharge& rated : worth.rated.charges) {
        if (rated.meter == nullptr && !all_lines_) continue;
        TOLLBOOK_RETURN_IF_ERROR(Append(catalog, rated, part.behind, &days));
      }
      const std::lock_guard lock(mutex_);
      if (!worth.status.ok()) not_rated->push_back(std::string(worth.subject));
      std::move(days.begin(), days.end(), std::back_inserter(days_));
      return absl::OkStatus();
    });
  }

  absl::Status Append(const Catalog& catalog, const RatedCharge& rated, std::optional<Day> behind,
                      std::vector<UsageDay>* days) const {
    Quantity before;
    Money amount{catalog.plans[rated.subscription->plan].currency, 0};
    Int128 minor_before = 0;
    const DayLine line = LineOf(rated);
    for (const DayWorth& worth : rated.days) {
      Quantity quantity;
      amount.minor = worth.booked_to_date.minor - minor_before;  // both within kMinorMax
      minor_before = worth.booked_to_date.minor;
      if (line == DayLine::kUsage && __builtin_sub_overflow(worth.to_date.attos, before.attos, &quantity.attos)) {
        return MakeError(absl::StatusCode::kOutOfRange, "the usage of a day cannot be held",
                         std::string(rated.subscription->id) + ", " + ToString(worth.usage_date),
                         "check the values of the meter");
      }
      before = worth.to_date;
      const bool changes = quantity.attos != 0 || (all_lines_ && amount.minor != 0);
      if (!changes || (behind && worth.usage_date <= *behind)) continue;
      UsageDay day;
      day.subscription = rated.subscription->id;
      day.plan = catalog.plans[rated.subscription->plan].name;
      day.charge = rated.charge->name;
      day.period = rated.period;
      day.day = worth.usage_date;
      day.quantity = quantity;
      day.start = rated.subscription->zone.StartOf(worth.usage_date);
      day.account = rated.subscription->account;
      day.entity = catalog.entities[rated.subscription->entity].name;
      day.meter = rated.charge->meter;
      day.amount = amount;
      day.line = line;
      days->push_back(std::move(day));
    }
    return absl::OkStatus();
  }

  static DayLine LineOf(const RatedCharge& rated) {
    if (rated.meter != nullptr) return DayLine::kUsage;
    if (!rated.charge->is_of_grant) return DayLine::kOther;
    return rated.charge->name.starts_with("credit ") ? DayLine::kCredit : DayLine::kBreakage;
  }

  const Book& book_;
  const std::vector<SealRecord>& seals_;
  const bool all_lines_;
  const int threads_;
  std::mutex mutex_;  // guards days_, and not_rated of the visit at hand
  std::vector<UsageDay> days_;
};

absl::StatusOr<std::vector<UsageDay>> DaysAsOf(const Book& book, uint64_t seal, bool all_lines, int threads) {
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  if (seal > seals->size()) {
    return MakeError(absl::StatusCode::kNotFound, "there is no such seal", std::to_string(seal),
                     "see `tollbook audit`");
  }
  DaysReader reader(book, *seals, all_lines, threads);
  TOLLBOOK_RETURN_IF_ERROR(reader.Read(seal, {}));
  return reader.Take();
}

}  // namespace

absl::StatusOr<std::vector<UsageDay>> UsageDaysAsOf(const Book& book, uint64_t seal, int threads) {
  return DaysAsOf(book, seal, false, threads);
}

absl::StatusOr<std::vector<UsageDay>> LineDaysAsOf(const Book& book, uint64_t seal, int threads) {
  return DaysAsOf(book, seal, true, threads);
}

}  // namespace tollbook
