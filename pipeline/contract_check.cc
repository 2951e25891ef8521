#include "pipeline/contract_check.h"

#include <map>
#include <set>
#include <utility>

#include "pipeline/booked_places.h"

namespace tollbook {
namespace {

constexpr int32_t kMonthDaysMax = 31;

using PlanCharge = std::pair<std::string_view, std::string_view>;
PlanCharge SoldAt(const BookedPlace& place) {
  return {place.plan, RatedName(place)};
}

// By its day: the billing period of a fee that is due once may begin before the contract.
bool IsDueIn(const BookedKey& key, const BillingPeriod& term) {
  return term.start <= key.usage_date && key.usage_date < term.end;
}

}  // namespace

std::string UnevenContract(std::span<const RecognisedCharge> recognised, std::span<const BookedAmount> due,
                           std::optional<Day> through) {
  std::map<std::pair<std::string_view, BillingPeriod>, std::set<PlanCharge>> obligations;  // of each contract
  for (const RecognisedCharge& line : recognised) {
    if (line.of == nullptr) obligations[{line.key.subscription, line.key.period}].insert(SoldAt(*line.key.place));
  }
  for (const auto& [contract, charges] : obligations) {
    const auto& [subscription, term] = contract;
    if (!through || through->number < term.end.number + kMonthDaysMax) continue;
    Money billed, revenue;
    for (const BookedAmount& amount : due) {
      const BookedPlace& place = *amount.key.place;
      if (amount.key.subscription != subscription || !charges.contains(SoldAt(place))) continue;
      billed.currency = revenue.currency = place.currency;
      if (place.as == BookedAs::kRecognised) {
        if (amount.key.period == term) revenue.minor += amount.minor;
      } else if (IsDueIn(amount.key, term)) {
        billed.minor += amount.minor;
      }
    }
    if (billed == revenue) continue;
    return std::string(subscription) + ", contract of " + ToString(term) + ": " + ToString(revenue) +
           " is recognised of " + ToString(billed) + " billed";
  }
  return "";
}

}  // namespace tollbook
