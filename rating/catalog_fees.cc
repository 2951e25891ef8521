#include "rating/catalog_fees.h"

#include <array>

#include "rating/catalog_amendments.h"
#include "rating/catalog_draft.h"

namespace tollbook {
namespace {

constexpr int64_t kTrialDaysMax = 3660;

constexpr std::array<std::pair<std::string_view, bool>, 2> kProrations = {{{"day", true}, {"none", false}}};

void ReadShares(YamlMap& map, const BillingTerms& billing, FeeProration& proration, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, DayCount>, 4> kDays = {{{"period", DayCount::kPeriod},
                                                                           {"30_360", DayCount::kThirty360},
                                                                           {"365", DayCount::kActual365},
                                                                           {"360", DayCount::kActual360}}};
  proration.by_day = map.Choice<bool>("by", kProrations, true);
  proration.days = map.Choice<DayCount>("days", kDays, DayCount::kPeriod);
  if (proration.days != DayCount::kPeriod && billing.cycle.unit == BillingCycle::Unit::kDay) {
    errors.Add(map.LineOf("days"),
               Join({map.what(), " counts days of a year, and its billing period is of days or weeks"}),
               "leave \"days\" out, or bill by months, quarters or years");
  }
  std::vector<std::pair<std::string_view, std::optional<Rounding>>> roundings(kRoundings.begin(), kRoundings.end());
  proration.rounding = map.Choice<std::optional<Rounding>>("rounding", roundings, std::nullopt);
  proration.places = ReadPlaces(map, "places", errors);
  if (map.Find("places") != nullptr && map.Find("rounding") == nullptr) {
    errors.Add(map.LineOf("places"), Join({map.what(), " has \"places\" and no rounding"}),
               "add a rounding (half_up, half_even, up, down), or leave places out");
  }
  proration.count_back = map.Bool("count_back", false);
  map.RefuseOtherKeys();
}

// `proration: none`, or a map.
void ReadProration(YamlMap& charge, const BillingTerms& billing, FeeProration& proration, FileErrors& errors) {
  const YamlNode* node = charge.Find("proration");
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kMap) {
    proration.by_day = charge.Choice<bool>("proration", kProrations, true);
    return;
  }
  YamlMap map(*node, Join({"\"proration\" of ", charge.what()}), errors);
  ReadShares(map, billing, proration, errors);
}

void ReadCredit(YamlMap& map, Fee& fee, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kCredits = {{{"prorated", true}, {"none", false}}};
  fee.credits_rest = map.Choice<bool>("credit_on_change", kCredits, true);
  const bool may_credit = fee.in_advance && !fee.once && fee.proration.by_day;
  if (map.Find("credit_on_change") == nullptr || may_credit) return;
  errors.Add(map.LineOf("credit_on_change"),
             Join({map.what(), " is not due in advance and by day, and has a \"credit_on_change\""}),
             "leave it out: nothing of it is ever credited");
}

// Whether it is due for each plan, or once for all that go on.
void ReadOnAmendmentOfFee(YamlMap& map, Charge& charge, FileErrors& errors) {
  charge.on_amendment = ReadOnAmendment(map);
  if (map.Find("on_amendment") == nullptr) return;
  if (!charge.fee->once && charge.fee->proration.by_day) {
    errors.Add(map.LineOf("on_amendment"),
               Join({map.what(), " is due in each period, by its days, and has an \"on_amendment\""}),
               "leave it out, since each plan's part ends with its days, or make the fee `proration: none` or "
               "`once: true`");
  } else if (charge.fee->once && charge.on_amendment == OnAmendment::kRestart) {
    errors.Add(map.LineOf("on_amendment"), Join({"\"on_amendment\" of ", map.what(), " is \"restart\""}),
               "leave it out: a fee that is due once is due again on another plan, and not in a renewal");
  }
}

}  // namespace

bool IsFee(const YamlMap& map, const YamlNode& node) {
  const YamlNode* model = map.ok() ? node.Find("model") : nullptr;
  return model != nullptr && model->text == "fee";
}

void ReadFee(YamlMap& map, const BillingTerms& billing, Charge& charge, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kDue = {{{"advance", true}, {"arrears", false}}};
  (void)map.Find("model");
  Fee fee;
  if (map.Required("price") != nullptr) fee.price = ReadPrice(map, "price", errors).value_or(Price());
  fee.once = map.Bool("once", false);
  fee.in_advance = map.Choice<bool>("due", kDue, true);
  ReadProration(map, billing, fee.proration, errors);
  if (fee.once && map.Find("proration") != nullptr) {
    errors.Add(map.LineOf("proration"), Join({map.what(), " is due once, in full, and has a \"proration\""}),
               "leave \"proration\" or \"once\" out");
  }
  ReadCredit(map, fee, errors);
  charge.fee = fee;
  ReadOnAmendmentOfFee(map, charge, errors);
}

void ReadTrial(YamlMap& map, Plan& plan, FileErrors& errors) {
  constexpr std::array<std::pair<std::string_view, bool>, 2> kUsage = {{{"billed", false}, {"free", true}}};
  const std::optional<Quantity> days = ReadQuantity(map, "trial_days", Sign::kNotNegative, errors);
  if (days && (days->attos % kOneUnit != 0 || *days > Quantity::Units(kTrialDaysMax))) {
    errors.Add(map.LineOf("trial_days"), Join({"\"trial_days\" of ", map.what(), " is ", ToString(*days)}),
               "write a whole number from 0 to " + std::to_string(kTrialDaysMax));
  } else if (days) {
    plan.trial_days = static_cast<int32_t>(days->attos / kOneUnit);
  }
  plan.is_trial_free = map.Choice<bool>("trial_usage", kUsage, false);
  if (map.Find("trial_usage") != nullptr && !days) {
    errors.Add(map.LineOf("trial_usage"), Join({map.what(), " has \"trial_usage\" and no trial"}),
               "add trial_days, or leave it out");
  }
}

std::optional<Charge> ReadPlanBound(YamlMap& plan, std::string_view key, FileErrors& errors) {
  const YamlNode* node = plan.Find(key);
  if (node == nullptr) return std::nullopt;
  YamlMap map(*node, Join({Quoted(key), " of ", plan.what()}), errors);
  if (!map.ok()) return std::nullopt;
  Charge charge;
  charge.name = key;
  charge.line = node->line;
  charge.bound = PlanBound{key == "maximum", {}};
  if (map.Required("amount") != nullptr) charge.bound->amount = ReadPrice(map, "amount", errors).value_or(Price());
  charge.product = map.RequiredText("product").value_or("");
  charge.prorates_bound = map.Choice<bool>("proration", kProrations, !charge.bound->is_maximum);
  charge.on_amendment = ReadOnAmendment(map);
  map.RefuseOtherKeys();
  return charge;
}

}  // namespace tollbook
