#include "pipeline/recognition.h"

#include <algorithm>
#include <map>

#include "rating/lines_beside.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

// What is recognised by the end of one day.
using ByDay = std::map<Day, Int128>;

bool Add(Int128 more, Int128* sum) {
  return !__builtin_add_overflow(*sum, more, sum);
}

// Amounts that are for the time up to one end. Each later one begins a stretch of its own, with all that is left.
bool RecogniseTo(Day end, std::span<const DeferredAmount> deferred, Day last, Rounding rounding, ByDay* changes) {
  Int128 due = 0, recognised = 0;
  for (size_t i = 0; i < deferred.size();) {
    const Day from = deferred[i].due;
    for (; i < deferred.size() && deferred[i].due == from; ++i) {
      if (!Add(deferred[i].minor, &due)) return false;
    }
    Int128 left = 0;
    if (__builtin_sub_overflow(due, recognised, &left)) return false;
    const Day next = i < deferred.size() ? deferred[i].due : end;
    const Int128 before = recognised;
    for (Day day = from; day < next && day <= last; ++day.number) {
      Int128 part = 0;
      const Int128 days = end.number - from.number;
      if (!RoundedQuotient(Wide::Product(left, day.number - from.number + 1), days, rounding, &part)) return false;
      const Int128 to_date = before + part;
      if (to_date != recognised && !Add(to_date - recognised, &(*changes)[day])) return false;
      recognised = to_date;
    }
    if (last < next) break;
  }
  return true;
}

}  // namespace

bool Recognise(std::span<const DeferredAmount> deferred, Day last, Rounding rounding,
               std::vector<RecognisedDay>* days) {
  std::map<Day, std::vector<DeferredAmount>> by_end;
  for (const DeferredAmount& amount : deferred) by_end[amount.end].push_back(amount);
  ByDay changes;
  for (const auto& [end, amounts] : by_end) {
    if (!RecogniseTo(end, amounts, last, rounding, &changes)) return false;
  }
  Int128 to_date = 0;
  for (const auto& [day, change] : changes) {
    if (change == 0) continue;
    if (!Add(change, &to_date)) return false;
    days->push_back({day, to_date});
  }
  return true;
}

std::vector<DeferredAmount> DeferredOf(const Catalog& catalog, const RatedCharge& rated, const PostingRule& rule) {
  const Plan& plan = catalog.plans[rated.subscription->plan];
  const Charge& fee = *FeeOf(plan, *rated.charge);
  const BillingCycle cycle = catalog.CycleOf(fee.billing.value_or(plan.billing), *rated.subscription);
  std::vector<DeferredAmount> deferred;
  Int128 before = 0;
  for (const DayWorth& day : rated.days) {
    const Int128 minor = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    if (minor == 0) continue;
    const Day due = day.usage_date;
    Day end = PeriodOf(cycle, due).end;
    if (rule.recognised_over) {
      BillingCycle over = *rule.recognised_over;
      over.anchor = due;
      end = PeriodOf(over, due).end;
    }
    deferred.push_back({due, end, minor});
  }
  return deferred;
}

bool IsDeferred(const Catalog& catalog, const RatedCharge& rated, const PostingRule& rule) {
  if (rule.recognition != Recognition::kRatable) return false;
  const Charge* fee = FeeOf(catalog.plans[rated.subscription->plan], *rated.charge);
  return fee != nullptr && fee->fee->in_advance;
}

SummaryPolicy SummaryOf(const Catalog& catalog, const RatedCharge& rated, const PostingRule* rule) {
  if (rule == nullptr || IsDeferred(catalog, rated, *rule)) return SummaryPolicy::kDaily;
  return rule->summary;
}

}  // namespace tollbook
