#include "rating/prepared_plan.h"

#include <algorithm>

#include "rating/price.h"

namespace tollbook {
namespace {

bool Matches(const std::vector<std::pair<uint32_t, const AcceptedValues*>>& filter, DimensionValues values) {
  for (const auto& [dimension, accepted] : filter) {
    if (dimension >= values.size() || !accepted->Has(values[dimension])) return false;
  }
  return true;
}

}  // namespace

PreparedPlan::PreparedPlan(const Catalog& catalog, const Plan& plan)
    : catalog_(catalog), by_meter_(catalog.meters.size()) {
  for (const Charge& charge : plan.charges) {
    charges_.push_back({&charge, RoundedPrice(charge, plan.currency, catalog.book.rounding), 0,
                        IsOfQuantityAlone(charge), charge.billing.value_or(plan.billing)});
    const Meter* meter = catalog.FindMeter(charge.meter);
    if (meter == nullptr) continue;  // no total is of it
    Candidate candidate;
    candidate.charge = static_cast<uint32_t>(charges_.size() - 1);
    for (const auto& [dimension, accepted] : charge.filter) {
      // A dimension that the meter does not have is beyond all values: it matches none.
      const auto at = std::find(meter->dimensions.begin(), meter->dimensions.end(), dimension);
      candidate.filter.emplace_back(static_cast<uint32_t>(at - meter->dimensions.begin()), &accepted);
    }
    by_meter_[static_cast<size_t>(meter - catalog.meters.data())].push_back(std::move(candidate));
  }
  // Of equally specific ones the first in the plan stays in front.
  for (std::vector<Candidate>& candidates : by_meter_) {
    std::stable_sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
      return IsMoreSpecific(charges_[a.charge].charge->filter, charges_[b.charge].charge->filter);
    });
  }
  std::vector<uint32_t> by_name(charges_.size());
  for (uint32_t i = 0; i < by_name.size(); ++i) by_name[i] = i;
  std::sort(by_name.begin(), by_name.end(),
            [&](uint32_t a, uint32_t b) { return charges_[a].charge->name < charges_[b].charge->name; });
  for (uint32_t rank = 0; rank < by_name.size(); ++rank) charges_[by_name[rank]].rank = rank;
  for (const PlanCharge& charge : charges_) {
    if (IsDueWithoutUsage(*charge.charge)) timed_.push_back(&charge);
  }
}

const PreparedPlan::PlanCharge* PreparedPlan::ChargeNamed(std::string_view name) const {
  const auto at = std::ranges::find_if(charges_, [&](const PlanCharge& one) { return one.charge->name == name; });
  return at == charges_.end() ? nullptr : &*at;
}

const PreparedPlan::PlanCharge* PreparedPlan::ChargeFor(const Meter& meter, DimensionValues values) const {
  for (const Candidate& candidate : by_meter_[static_cast<size_t>(&meter - catalog_.meters.data())]) {
    if (!Matches(candidate.filter, values)) continue;
    const PlanCharge& found = charges_[candidate.charge];
    const bool has_cell = found.charge->cells.empty() || PartOf(*found.charge, meter, values);
    return has_cell ? &found : nullptr;
  }
  return nullptr;
}

}  // namespace tollbook
