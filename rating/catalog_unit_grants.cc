// unit_grants.csv: units of a charge that were paid or promised ahead. The file is optional. Read once the
// subscriptions are: a date is the beginning of a day in the subscription's zone.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "rating/amendment.h"
#include "rating/catalog_draft.h"
#include "rating/catalog_rows.h"
#include "rating/usage_total.h"

namespace tollbook {
namespace {

enum Column {
  kId,
  kSubscription,
  kCharge,
  kUnits,
  kStarts,
  kEnds,
  kVoided,
  kPriority,
  kRefill,
  kRefillAnchor,
  kReset,
  kResetAnchor,
  kRolloverMin,
  kRolloverMax,
  kPaysEarlier,
  kKeepsOverage,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "grant",  "subscription", "charge", "units",    "starts",       "ends",         "voided",       "priority",
    "refill", "refill_on",    "reset",  "reset_on", "rollover_min", "rollover_max", "pays_earlier", "keeps_overage"};
constexpr size_t kRequiredColumns = kEnds;

class UnitGrantRows : public CatalogRows {
 public:
  UnitGrantRows(CatalogDraft& draft, FileErrors& errors)
      : CatalogRows(kColumnNames, kRequiredColumns, errors), draft_(draft) {
    for (const Subscription& subscription : draft.catalog.subscriptions) {
      subscriptions_[subscription.id].push_back(&subscription);
    }
  }

 private:
  void ReadRow() override {
    UnitGrant grant;
    grant.line = line();
    grant.id = Text(kId);
    grant.subscription = Text(kSubscription);
    grant.charge = Text(kCharge);
    grant.units = UnitsIn(kUnits);
    if (good() && !Has(kUnits)) Wrong(kUnits, "not a number of units", "write plain digits, such as 1000000");
    if (!grant.id.empty() && !ids_.insert(grant.id).second)
      Wrong(kId, "which another row has", "give it an id of its own");
    grant.priority = RankIn(kPriority, "pays first");
    grant.pays_earlier = FlagIn(kPaysEarlier);
    grant.keeps_overage = FlagIn(kKeepsOverage);
    const auto found = subscriptions_.find(grant.subscription);
    if (found == subscriptions_.end()) {
      if (!grant.subscription.empty())
        Wrong(kSubscription, "which subscriptions.csv does not have", "add it there, or name one that is there");
      return;
    }
    zone_ = &found->second.front()->zone;
    CheckCharge(found->second);
    ReadTime(&grant);
    ReadReset(&grant);
    if (good()) draft_.catalog.unit_grants.push_back(std::move(grant));
  }

  // At least one of its plans has the charge, and each that has it can have its units paid.
  void CheckCharge(std::span<const Subscription* const> versions) {
    meters_.clear();
    std::set<uint32_t> plans;
    for (const Subscription* version : versions) plans.insert(version->plan);
    bool is_there = false;
    for (const uint32_t number : plans) {
      const Plan& plan = draft_.catalog.plans[number];
      for (const Charge& charge : plan.charges) {
        if (charge.name != Field(kCharge)) continue;
        is_there = true;
        CheckUnits(plan, charge);
      }
    }
    if (!is_there && Has(kCharge))
      Wrong(kCharge, "which no plan of the subscription has", "name a charge of its plan, or leave the row out");
  }

  void CheckUnits(const Plan& plan, const Charge& charge) {
    const Meter* meter = nullptr;  // meters are not sorted yet
    for (const Meter& one : draft_.catalog.meters) meter = one.name == charge.meter ? &one : meter;
    if (!TakesUnitGrants(charge) || (meter != nullptr && CarriesOver(*meter))) {
      return Wrong(kCharge, Join({"and that of plan ", Quoted(plan.name), " does not price one quantity of a period"}),
                   "grant money instead, in grants.csv: units go with a charge without cells, limits, buckets, "
                   "prices of events, and of no level");
    }
    if (MayBeSliced(charge)) {
      return Wrong(kCharge, Join({"and that of plan ", Quoted(plan.name), " is rated by slices of its period"}),
                   "leave \"on_amendment\" and \"included_rollover\" out of the charge, or grant money instead, in "
                   "grants.csv");
    }
    if (meter != nullptr) meters_.push_back(meter);
  }

  // A date, or an instant, at which one of the meter's totals begins.
  std::optional<Instant> TimeOf(std::string_view text, size_t column) {
    std::optional<Instant> at;
    if (const std::optional<Day> day = ParseDay(text)) at = zone_->StartOf(*day);
    if (const ParsedInstant parsed = ParseInstant(text); parsed.error == TimeError::kNone) at = parsed.instant;
    if (!at) {
      Wrong(column, "neither a date nor a time", "write 2025-01-31, or 2025-01-31T06:00:00Z");
      return std::nullopt;
    }
    for (const Meter* meter : meters_) {
      const Instant start = meter->granularity == Granularity::kDay
                                ? zone_->StartOf(zone_->DayOf(*at))
                                : StartOf(meter->granularity, BucketOf(meter->granularity, *at, *zone_));
      if (start == *at) continue;
      Wrong(column,
            Join({"within one ", ToString(meter->granularity), ", which meter ", Quoted(meter->name),
                  " has one total of"}),
            "write the beginning of one, or give the meter a finer granularity");
      return std::nullopt;
    }
    return at;
  }

  std::optional<Instant> TimeIn(size_t column) { return Has(column) ? TimeOf(Field(column), column) : std::nullopt; }

  void ReadTime(UnitGrant* grant) {
    if (const std::optional<Instant> start = TimeOf(Field(kStarts), kStarts)) grant->starts_at = *start;
    grant->ends_at = TimeIn(kEnds);
    grant->voided_at = TimeIn(kVoided);
    if (good() && grant->ends_at && *grant->ends_at <= grant->starts_at)
      Wrong(kEnds, "not after its start", "write the first time after its end, or leave it empty");
    grant->refill = CycleIn(kRefill);
    Anchor(kRefill, kRefillAnchor, grant->starts_at, &grant->refill);
  }

  // From `on` on, or the start.
  void Anchor(size_t of, size_t on, Instant start, std::optional<BillingCycle>* cycle) {
    if (*cycle) (*cycle)->anchor = Has(on) ? DayIn(on) : zone_->DayOf(start);
    if (Has(on) && !Has(of))
      Wrong(on, Join({"and there is no ", Quoted(kColumnNames[of])}), "leave it empty, or say how often that is");
  }

  // Every so often, or at the times that are listed.
  void ReadReset(UnitGrant* grant) {
    const std::string_view reset = Field(kReset);
    const bool is_list = !reset.empty() && !ParseBillingCycle(reset);
    if (is_list) {
      for (size_t from = 0; from < reset.size();) {
        const size_t to = std::min(reset.find(' ', from), reset.size());
        if (to > from) {
          if (const std::optional<Instant> at = TimeOf(reset.substr(from, to - from), kReset))
            grant->resets.push_back(*at);
        }
        if (!good()) return;
        from = to + 1;
      }
      std::ranges::sort(grant->resets);
      grant->resets.erase(std::unique(grant->resets.begin(), grant->resets.end()), grant->resets.end());
    } else {
      grant->reset = CycleIn(kReset);
    }
    Anchor(kReset, kResetAnchor, grant->starts_at, &grant->reset);
    grant->rollover_min = UnitsIn(kRolloverMin);
    grant->rollover_max = Has(kRolloverMax) ? UnitsIn(kRolloverMax) : grant->rollover_min;
    for (const Column column : {kRolloverMin, kKeepsOverage}) {
      if (Has(column) && !Has(kReset))
        Wrong(column, "and nothing resets the grant", "leave it empty, or say when the grant is reset");
    }
    if (Has(kRolloverMax) && !Has(kReset) && !Has(kRefill))
      Wrong(kRolloverMax, "and nothing refills or resets the grant", "leave it empty, or say when that is");
    if (good() && grant->rollover_max < grant->rollover_min)
      Wrong(kRolloverMax, "less than the rollover_min", "write at least as much, or leave it empty");
  }

  CatalogDraft& draft_;
  std::map<std::string_view, std::vector<const Subscription*>> subscriptions_;  // all versions
  std::set<std::string> ids_;
  const Zone* zone_ = nullptr;        // of the row's subscription
  std::vector<const Meter*> meters_;  // of the row's charge, one for each plan that has it
};

}  // namespace

void ReadUnitGrants(CatalogDraft& draft) {
  if (!draft.files->texts.contains("unit_grants.csv")) return;
  FileErrors errors("unit_grants.csv", &draft.errors);
  if (!UnitGrantRows(draft, errors).Read(draft, "unit_grants.csv")) return;
  std::ranges::sort(draft.catalog.unit_grants, {},
                    [](const UnitGrant& grant) { return std::tie(grant.subscription, grant.charge, grant.id); });
}

}  // namespace tollbook
