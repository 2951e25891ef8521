#include "rating/charge_terms.h"

#include "rating/conversion.h"

namespace tollbook {
namespace {

std::string Seconds(int64_t nanos) {
  return ToString(Quantity{static_cast<Int128>(nanos) * (kOneUnit / kSecondNanos)}) + " s";
}

// Each term goes under its name with what stands before it: "cell region=eu: price".
class Terms {
 public:
  explicit Terms(ChargeTerms* terms) : terms_(*terms) {}

  void Add(const std::string& name, std::string value) { terms_[prefix_ + name] = std::move(value); }
  void AddPrice(const std::string& name, Price price) {
    if (price != Price{}) Add(name, ToString(price));
  }
  void AddQuantity(const std::string& name, Quantity quantity) {
    if (quantity != Quantity{}) Add(name, ToString(quantity));
  }
  template <typename Value>
  void AddOptional(const std::string& name, const std::optional<Value>& value) {
    if (value) Add(name, ToString(*value));
  }
  void Of(std::string prefix) { prefix_ = std::move(prefix); }

  void AddTiers(const std::vector<Tier>& tiers) {
    for (size_t i = 0; i < tiers.size(); ++i) {
      const Tier& tier = tiers[i];
      std::string value = (tier.up_to ? "up to " + ToString(*tier.up_to) + ": " : "") + ToString(tier.unit_price);
      if (tier.block_size != Quantity{}) value += " a block of " + ToString(tier.block_size);
      if (tier.flat != Price{}) value += ", flat " + ToString(tier.flat);
      Add("tier " + std::to_string(i + 1), value);
    }
  }

  void AddSteps(const std::vector<Step>& steps) {
    for (size_t i = 0; i < steps.size(); ++i) {
      std::string value = steps[i].up_to ? "up to " + ToString(*steps[i].up_to) + ": " : "";
      for (const auto& [limited, limit] : steps[i].limits) value += limited + " up to " + ToString(limit) + ": ";
      Add("step " + std::to_string(i + 1), value + ToString(steps[i].price));
    }
  }

  void AddTime(const TimeRate& time) {
    if (time.windows.empty()) return;
    Add("unit", Seconds(time.unit_nanos));
    if (time.increment_rounding) {
      Add("increment rounding",
          std::string(InWords(*time.increment_rounding)) + ", places " + std::to_string(time.increment_places));
    }
    for (const TimeWindow& window : time.windows) {
      std::string value = window.connect_fee == Price{} ? "" : "connect fee " + ToString(window.connect_fee) + "; ";
      for (const TimeStep& step : window.steps) {
        value += "from " + Seconds(step.after_nanos) + " " + ToString(step.price) + " per " + Seconds(step.per_nanos) +
                 ", each started " + Seconds(step.increment_nanos) + "; ";
      }
      Add("window " + ToString(window.when), value.substr(0, value.size() - 2));
    }
  }

  void AddPricing(const Pricing& pricing) {
    Add("model", std::string(ToString(pricing.model)));
    AddPrice("price of a unit", pricing.unit_price);
    AddTiers(pricing.tiers);
    AddSteps(pricing.steps);
    if (pricing.flat_at_zero) Add("flat at zero", "true");
    if (pricing.package_size != Quantity{}) {
      Add("package", ToString(pricing.package_price) + " for " + ToString(pricing.package_size) + ", rounded " +
                         std::string(InWords(pricing.package_rounding)));
    }
    if (!pricing.limits_by.empty()) Add("limits by", pricing.limits_by);
    AddPrice("price of a transaction", pricing.price_per_event);
    if (pricing.free_events) Add("free transactions", std::to_string(*pricing.free_events));
    AddOptional("free amount", pricing.free_amount);
    AddOptional("least of a transaction", pricing.min_per_event);
    AddOptional("most of an event", pricing.max_per_event);
    AddTime(pricing.time);
  }

  void AddCommitment(const std::optional<Commitment>& commitment) {
    if (!commitment) return;
    std::string value =
        commitment->quantity ? ToString(*commitment->quantity) + " units" : ToString(commitment->amount);
    value += ", above it " + ToString(commitment->overage_factor) + " times";
    Add("commitment", value + (commitment->true_up ? ", less is raised to it" : ""));
  }

  void AddFee(const Fee& fee) {
    Add("fee", ToString(fee.price) + (fee.once ? ", once" : "") + (fee.in_advance ? ", in advance" : ", in arrears"));
    const FeeProration& proration = fee.proration;
    std::string value = proration.by_day ? "by " + std::string(ToString(proration.days)) : "none";
    if (proration.rounding) {
      value += ", rounded " + std::string(InWords(*proration.rounding)) + " to " + std::to_string(proration.places);
    }
    Add("proration", value + (proration.count_back ? ", counted back" : ""));
  }

 private:
  ChargeTerms& terms_;
  std::string prefix_;
};

std::string ToString(const BillingTerms& billing) {
  const BillingCycle& cycle = billing.cycle;
  return std::to_string(cycle.count) + (cycle.unit == BillingCycle::Unit::kDay ? " days" : " months") +
         (billing.by_subscription ? " from each subscription's first day" : "") +
         (cycle.anchor == Day{} ? "" : " from " + ToString(cycle.anchor));
}

void AddOnAmendment(const Charge& charge, Terms* terms) {
  if (charge.on_amendment == OnAmendment::kByPlan) return;
  terms->Add("on amendment", charge.on_amendment == OnAmendment::kContinue ? "continue" : "restart");
}

void AddBound(const Charge& charge, Terms* terms) {
  terms->Add(charge.bound->is_maximum ? "maximum of all" : "minimum of all", ToString(charge.bound->amount));
  const bool is_usual = charge.prorates_bound != charge.bound->is_maximum;
  if (!is_usual) terms->Add("proration", charge.prorates_bound ? "day" : "none");
  AddOnAmendment(charge, terms);
}

void AddAround(const Charge& charge, Terms* terms) {
  if (charge.conversion) terms->Add("conversion", ToString(*charge.conversion));
  terms->AddQuantity("included", charge.included);
  if (charge.rollover) {
    const std::string most = charge.rollover->most ? ", at most " + ToString(*charge.rollover->most) : "";
    terms->Add("included rollover", std::to_string(charge.rollover->periods) + " periods" + most);
  }
  if (charge.per_bucket != PerBucket::kNone) {
    terms->Add("per bucket", charge.per_bucket == PerBucket::kDay ? "day" : "hour");
  }
  terms->AddCommitment(charge.commitment);
  if (charge.discount != Price{}) {
    terms->Add("discount", FormatDecimal(charge.discount.attos, kPriceScale - 2) + " %");
  }
  terms->AddOptional("maximum", charge.maximum);
  terms->AddOptional("minimum", charge.minimum);
  if (charge.minimum && !charge.prorates_bound) terms->Add("minimum proration", "none");
  AddOnAmendment(charge, terms);
}

}  // namespace

std::string_view InWords(Rounding rounding) {
  switch (rounding) {
    case Rounding::kHalfUp:
      return "half_up";
    case Rounding::kHalfEven:
      return "half_even";
    case Rounding::kUp:
      return "up";
    case Rounding::kDown:
      return "down";
  }
  return "";
}

ChargeTerms TermsOf(const Charge& charge, const Plan& plan) {
  ChargeTerms all;
  Terms terms(&all);
  terms.Add("billing period", ToString(charge.billing.value_or(plan.billing)));
  if (charge.fee) {
    terms.AddFee(*charge.fee);
    AddOnAmendment(charge, &terms);
  }
  if (charge.bound) AddBound(charge, &terms);
  if (charge.meter.empty()) return all;
  terms.Add("meter", charge.meter);
  if (!charge.filter.empty()) terms.Add("filter", ToString(charge.filter));
  terms.AddPricing(charge.pricing);
  AddAround(charge, &terms);
  for (const Cell& cell : charge.cells) {
    terms.Of("cell " + (cell.when.empty() ? "default" : ToString(cell.when)) + ": ");
    terms.AddPricing(cell.pricing);
  }
  for (const BucketWindow& window : charge.bucket_windows) {
    terms.Of("buckets of " + ToString(window.when) + ": ");
    terms.AddPricing(window.pricing);
    terms.AddCommitment(window.commitment);
  }
  return all;
}

std::vector<std::string> TermsThatChanged(const ChargeTerms& then, const ChargeTerms& now) {
  std::vector<std::string> changed;
  const auto value_in = [](const ChargeTerms& terms, const std::string& name) {
    const auto at = terms.find(name);
    return at == terms.end() ? std::string("none") : at->second;
  };
  ChargeTerms all = then;
  all.insert(now.begin(), now.end());
  for (const auto& [name, value] : all) {
    const std::string before = value_in(then, name), after = value_in(now, name);
    if (before != after) changed.push_back(name + ": then " + before + "; now " + after);
  }
  return changed;
}

}  // namespace tollbook
