// rating/ against its twin, on random charges and random usage: the same worth to the last digit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <random>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "rating/price.h"
#include "rating/quote.h"
#include "rating/rate.h"
#include "tests/rating/in_words.h"
#include "tests/rating/reference_rater.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

const int kRounds = IsLongRun() ? 1'000'000 : 20'000;

// Random values as catalogs and telemetry have them: mostly short numbers, sometimes all 18 decimals, often exactly at
// a bound or a hair beside it.
class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  void BeginRound() { is_small_ = OneIn(6); }

  int64_t UpTo(int64_t most) { return static_cast<int64_t>(random_() % static_cast<uint64_t>(most + 1)); }
  bool OneIn(int64_t n) { return UpTo(n - 1) == 0; }
  template <typename List>
  const auto& Of(const List& list) {
    return *std::next(std::begin(list), UpTo(static_cast<int64_t>(std::size(list)) - 1));
  }

  // Up to 10^`digits` units with up to 18 decimals; in some rounds a few whole ones, so that sums often are just alike.
  Int128 Decimal(int digits) {
    if (is_small_) return static_cast<Int128>(UpTo(9)) * kOneUnit;
    const int64_t unit = Of(std::vector<int64_t>{1, 1'000'000'000, 1'000'000'000'000'000, 10'000'000'000'000'000,
                                                 1'000'000'000'000'000'000});
    int64_t most = 9;
    for (int64_t i = UpTo(digits); i > 0; --i) most = most * 10 + 9;
    return static_cast<Int128>(UpTo(most)) * unit;
  }
  Price PriceUpToThousands() { return {OneIn(20) ? -Decimal(3) : Decimal(3)}; }

 private:
  std::mt19937_64 random_;
  bool is_small_ = false;
};

std::vector<Tier> RandomTiers(Dice& dice) {
  std::vector<Tier> tiers(static_cast<size_t>(1 + dice.UpTo(4)));
  Quantity bound;
  for (Tier& tier : tiers) {
    bound.attos += 1 + dice.Decimal(6);
    tier.unit_price = dice.PriceUpToThousands();
    if (dice.OneIn(2)) tier.flat = dice.PriceUpToThousands();
    tier.up_to = bound;
  }
  tiers.back().up_to.reset();
  return tiers;
}

std::vector<Step> RandomSteps(Dice& dice) {
  std::vector<Step> steps(static_cast<size_t>(1 + dice.UpTo(3)));
  Quantity bound;
  for (Step& step : steps) {
    bound.attos += 1 + dice.Decimal(6);
    step.up_to = bound;
    step.price = dice.PriceUpToThousands();
  }
  steps.back().up_to.reset();
  return steps;
}

// Of one quantity: every model but the matrix.
Pricing RandomPricing(Dice& dice) {
  Pricing pricing;
  pricing.model = static_cast<ChargeModel>(dice.UpTo(static_cast<int64_t>(ChargeModel::kDynamic)));
  pricing.unit_price = dice.PriceUpToThousands();
  pricing.tiers = RandomTiers(dice);
  const bool in_blocks = pricing.model != ChargeModel::kGraduatedPercentage && dice.OneIn(3);
  for (Tier& tier : pricing.tiers) {
    if (in_blocks && dice.OneIn(2)) tier.block_size = {kOneUnit / 100 + dice.Decimal(4)};
  }
  pricing.package_size = {1 + dice.Decimal(4)};
  pricing.package_price = dice.PriceUpToThousands();
  if (dice.OneIn(2)) pricing.package_rounding = static_cast<Rounding>(dice.UpTo(3));
  if (pricing.model == ChargeModel::kPercentage && dice.OneIn(2)) pricing.price_per_event = dice.PriceUpToThousands();
  pricing.steps = RandomSteps(dice);
  pricing.flat_at_zero = dice.OneIn(2);
  return pricing;
}

// A number that is exact at 18 decimals by any of the factors below, and by a sixtieth.
Price CoarsePrice(Dice& dice) {
  return {static_cast<Int128>(dice.UpTo(5000)) * 60 * 1'000'000'000'000'000};
}

Pricing RandomTransactions(Dice& dice) {
  Pricing pricing;
  pricing.model = ChargeModel::kPercentage;
  pricing.unit_price = {CoarsePrice(dice).attos / 1000};
  if (dice.OneIn(2)) pricing.price_per_event = CoarsePrice(dice);
  if (dice.OneIn(2)) pricing.free_events = static_cast<uint64_t>(1 + dice.UpTo(12));
  if (dice.OneIn(2)) pricing.free_amount = Quantity{1 + dice.Decimal(6)};
  if (dice.OneIn(2)) pricing.min_per_event = CoarsePrice(dice);
  if (dice.OneIn(2)) pricing.max_per_event = CoarsePrice(dice);
  if (pricing.min_per_event && pricing.max_per_event && pricing.min_per_event->attos > pricing.max_per_event->attos) {
    std::swap(*pricing.min_per_event, *pricing.max_per_event);
  }
  if (!IsOfEvents(pricing)) pricing.max_per_event = CoarsePrice(dice);
  return pricing;
}

// The values are milliseconds, of a few hours at most: the twin goes through them increment by increment.
TimeWindow RandomRate(Dice& dice, ClockWindow when) {
  TimeWindow window;
  window.when = when;
  if (dice.OneIn(2)) window.connect_fee = CoarsePrice(dice);
  int64_t after = 0;
  for (int64_t i = dice.UpTo(2); i >= 0; --i) {
    TimeStep step;
    step.after_nanos = after;
    step.price = CoarsePrice(dice);
    step.per_nanos = dice.Of(std::vector<int64_t>{1, 6, 60}) * kSecondNanos;
    step.increment_nanos = dice.Of(std::vector<int64_t>{60, 450, 3600}) * kSecondNanos;
    window.steps.push_back(step);
    after += (1 + dice.UpTo(2000)) * kSecondNanos;
  }
  return window;
}

Pricing RandomTimeRate(Dice& dice) {
  Pricing pricing;
  pricing.model = ChargeModel::kTimeRate;
  pricing.time.unit_nanos = kSecondNanos / 1000;
  const int noon = static_cast<int>(60 * (1 + dice.UpTo(22)));
  if (dice.OneIn(3)) {
    pricing.time.windows = {RandomRate(dice, {})};
  } else {
    pricing.time.windows = {RandomRate(dice, {0x1f, 0, noon}), RandomRate(dice, {0x1f, noon, kMinutesOfDay}),
                            RandomRate(dice, {0x60, 0, kMinutesOfDay})};
  }
  if (dice.OneIn(3)) {
    pricing.time.increment_rounding = static_cast<Rounding>(dice.UpTo(3));
    pricing.time.increment_places = static_cast<int>(dice.UpTo(3));
  }
  if (dice.OneIn(3)) pricing.max_per_event = CoarsePrice(dice);
  return pricing;
}

Pricing RandomPricingOfEvents(Dice& dice, const Meter& meter) {
  if (!meter.prorated_property.empty() && dice.OneIn(2)) {
    Pricing pricing;
    pricing.model = ChargeModel::kProratedGraduated;
    pricing.tiers = RandomTiers(dice);
    return pricing;
  }
  return dice.OneIn(2) ? RandomTransactions(dice) : RandomTimeRate(dice);
}

// Whether each price is exact at 18 decimals by any of the discounts and overage factors, as the catalog's check wants
// it.
bool IsExactByFactors(const Charge& charge) {
  const auto is_exact = [&](const Pricing& pricing) {
    std::vector<Price> prices = {pricing.unit_price, pricing.package_price, pricing.price_per_event};
    for (const Tier& tier : pricing.tiers) prices.insert(prices.end(), {tier.unit_price, tier.flat});
    for (const Step& step : pricing.steps) prices.push_back(step.price);
    return std::ranges::all_of(prices, [&](Price price) { return price.attos % 1'000'000 == 0; });
  };
  return is_exact(charge.pricing) &&
         std::ranges::all_of(charge.cells, [&](const Cell& cell) { return is_exact(cell.pricing); });
}

Commitment RandomCommitment(Dice& dice, bool of_quantity, bool is_exact, bool may_true_up) {
  Commitment commitment;
  commitment.amount = CoarsePrice(dice);
  if (of_quantity && dice.OneIn(2)) commitment.quantity = Quantity{dice.Decimal(4)};
  const std::vector<Price> factors = {Each("1"), Each("1.5"), Each("2"), Each("3.25")};
  if (is_exact) commitment.overage_factor = dice.Of(factors);
  commitment.true_up = may_true_up && dice.OneIn(2);
  return commitment;
}

// One quantity is one price, and never too many packages.
bool TakesQuantity(const Charge& charge) {
  return charge.cells.empty() && charge.pricing.limits_by.empty() && !IsOfEvents(charge) &&
         charge.pricing.model != ChargeModel::kPackage;
}

// What stands around a price; `whole`: also what needs more than a quantity.
void AddAround(Dice& dice, bool whole, Charge* charge) {
  if (dice.OneIn(3)) {
    Conversion conversion;
    conversion.by = dice.OneIn(2) ? Conversion::By::kDivide : Conversion::By::kMultiply;
    conversion.factor = dice.Of(std::vector<Quantity>{Units("1000"), Units("3"), Units("0.5"), Units("1.0001")});
    if (dice.OneIn(2)) {
      conversion.rounding = static_cast<Rounding>(dice.UpTo(3));
      conversion.places = static_cast<int>(dice.UpTo(18));
    }
    charge->conversion = conversion;
  }
  const bool is_exact = IsExactByFactors(*charge);
  const std::vector<Price> discounts = {Each("0.1"), Each("0.125"), Each("0.5"), Each("1")};
  if (is_exact && dice.OneIn(3)) charge->discount = dice.Of(discounts);
  if (dice.OneIn(3)) charge->commitment = RandomCommitment(dice, TakesQuantity(*charge), is_exact, whole);
  if (dice.OneIn(3)) charge->maximum = Price{dice.Decimal(4)};
  if (!whole) return;
  if (dice.OneIn(3)) charge->minimum = Price{charge->maximum ? charge->maximum->attos / 2 : dice.Decimal(4)};
  if (dice.OneIn(4)) charge->per_bucket = PerBucket::kDay;
}

bool CarriesOn(const Catalog& catalog, const Charge& charge) {
  const auto meter = std::ranges::find(catalog.meters, charge.meter, &Meter::name);
  return meter != catalog.meters.end() && CarriesOver(*meter);
}

// Of a quantity alone: what stands around it one time in two.
Charge RandomCharge(Dice& dice) {
  Charge charge;
  charge.pricing = RandomPricing(dice);
  charge.pricing.price_per_event = {};
  if (dice.OneIn(2)) charge.included = {dice.Decimal(4)};
  if (dice.OneIn(2)) AddAround(dice, false, &charge);
  return charge;
}

// A quantity at which something changes for this charge, or any.
Quantity RandomQuantity(Dice& dice, const Charge& charge) {
  if (dice.OneIn(8)) return {};
  if (dice.OneIn(8)) return {-dice.Decimal(6)};
  if (dice.OneIn(2)) return {dice.Decimal(9)};
  Int128 bound = dice.Of(charge.pricing.tiers).up_to.value_or(Quantity{}).attos;
  if (charge.pricing.model == ChargeModel::kPackage) bound = charge.pricing.package_size.attos * dice.UpTo(5);
  if (charge.pricing.model == ChargeModel::kStairstep) {
    bound = dice.Of(charge.pricing.steps).up_to.value_or(Quantity{}).attos;
  }
  return {charge.included.attos + bound + dice.UpTo(2) - 1};
}

std::string Text(const reference::Rational& value) {
  return value.str();
}

TEST(Twin, PricesAnyQuantityByAnyChargeAlike) {
  Dice dice(TestSeed());
  for (int round = 0; round < kRounds; ++round) {
    dice.BeginRound();
    const Charge charge = RandomCharge(dice);
    const Quantity quantity = RandomQuantity(dice, charge);
    SCOPED_TRACE("round " + std::to_string(round) + ", " + std::string(ToString(charge.pricing.model)) + ", quantity " +
                 ToString(quantity));
    const absl::StatusOr<Worth> worth = PriceQuantity(charge, quantity);
    const reference::Rational expected = reference::WorthOf(charge, reference::Exact(quantity));
    if (!worth.ok()) {
      // Only packages can be too many: more than a Quantity counts.
      ASSERT_EQ(charge.pricing.model, ChargeModel::kPackage);
      reference::Rational packages = reference::Exact(quantity) / reference::Exact(charge.pricing.package_size);
      if (charge.conversion) packages *= 1000;  // at most
      ASSERT_GT(packages * packages,
                reference::Rational("28948022309329048855892746252171976963317"));  // 1.7e20 each way
      continue;
    }
    ASSERT_EQ(reference::Exact(*worth), expected) << Text(reference::Exact(*worth)) << " is not " << Text(expected);
    for (const char* code : {"JPY", "USD", "BHD", "CLF"}) {
      const Rounding rounding = static_cast<Rounding>(dice.UpTo(3));
      const absl::StatusOr<Rounded> rounded = RoundToMinor(*worth, In(code), rounding);
      ASSERT_TRUE(rounded.ok()) << rounded.status();
      ASSERT_EQ(FormatDecimal(rounded->line.minor, 0),
                reference::InMinorUnits(expected, In(code).minor_digits(), rounding).str());
    }
  }
}

constexpr const char* kZones[] = {
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia"};
constexpr const char* kRegions[] = {"", "eu", "us"};
constexpr const char* kModels[] = {"small", "large"};
const char kSubject[] = "subject-1";

// A level, or a set with removals.
void MakeCarried(Dice& dice, Meter* meter) {
  meter->keep_events = false;
  if (!meter->prorated_property.empty()) meter->dimensions.pop_back();
  meter->prorated_property.clear();
  meter->aggregation = dice.OneIn(2) ? Aggregation::kWeightedSum : Aggregation::kUniqueCount;
  if (meter->aggregation == Aggregation::kUniqueCount) meter->operation_property = "operation";
  meter->reading.value_is = static_cast<ValueIs>(dice.UpTo(1));
  meter->reading.proration = static_cast<Proration>(dice.UpTo(1));
}

Meter RandomMeter(Dice& dice, std::string name, bool whole_days) {
  Meter meter;
  meter.name = std::move(name);
  meter.event_type = meter.name;
  constexpr std::array kAggregations = {Aggregation::kSum,         Aggregation::kCount,     Aggregation::kMax,
                                        Aggregation::kLatest,      Aggregation::kMin,       Aggregation::kMean,
                                        Aggregation::kUniqueCount, Aggregation::kPercentile};
  meter.aggregation = dice.OneIn(3) ? Aggregation::kSum : dice.Of(kAggregations);
  meter.keep_events = dice.OneIn(meter.aggregation == Aggregation::kSum ? 2 : 4);
  meter.reading.percentile = {(1 + dice.UpTo(999)) * kOneUnit / 10};
  meter.reading.method = static_cast<PercentileMethod>(dice.UpTo(1));
  meter.reading.floor_at_zero = meter.aggregation == Aggregation::kLatest && dice.OneIn(3);
  if (dice.OneIn(4)) {
    meter.reading.rounding = UnitRounding{static_cast<Rounding>(dice.UpTo(3)), static_cast<int>(dice.UpTo(8)) - 4};
  }
  if (dice.OneIn(2)) meter.dimensions = {"region", "model"};
  if (meter.keep_events && !meter.dimensions.empty() && dice.OneIn(2)) {
    meter.prorated_property = "prorated";
    meter.dimensions.push_back(meter.prorated_property);
  }
  if (whole_days && dice.OneIn(5)) MakeCarried(dice, &meter);
  meter.granularity = whole_days ? Granularity::kDay : dice.OneIn(2) ? Granularity::kHour : Granularity::kQuarterHour;
  return meter;
}

// One value, several, or any.
AcceptedValues RandomValues(Dice& dice, std::span<const char* const> values) {
  if (dice.OneIn(5)) return AcceptedValues::Any();
  std::vector<std::string> listed;
  for (const char* value : values) {
    if (dice.OneIn(2)) listed.push_back(value);
  }
  return listed.empty() ? AcceptedValues(values[0]) : AcceptedValues(std::move(listed));
}

Filter RandomFilter(Dice& dice, const Meter& meter) {
  Filter filter;
  if (meter.dimensions.empty()) return filter;
  if (dice.OneIn(2)) filter["region"] = RandomValues(dice, kRegions);
  if (dice.OneIn(2)) filter["model"] = RandomValues(dice, kModels);
  return filter;
}

void MakeMatrix(Dice& dice, const Meter& meter, Charge* charge) {
  charge->pricing = {};
  charge->pricing.model = ChargeModel::kMatrix;
  for (int64_t i = dice.UpTo(4); i >= 0; --i) charge->cells.push_back({RandomFilter(dice, meter), RandomPricing(dice)});
  for (Cell& cell : charge->cells) {
    cell.pricing.package_size.attos += kOneUnit;
    if (meter.keep_events && dice.OneIn(3)) cell.pricing = RandomPricingOfEvents(dice, meter);
  }
}

void LimitByRegion(Dice& dice, Pricing* pricing) {
  pricing->model = ChargeModel::kStairstep;
  pricing->price_per_event = {};
  pricing->limits_by = "region";
  for (size_t i = 0; i + 1 < pricing->steps.size(); ++i) {
    pricing->steps[i].up_to.reset();
    pricing->steps[i].limits["eu"] = {dice.Decimal(6)};
    if (i == 0 || dice.OneIn(2)) pricing->steps[i].limits["us"] = {dice.Decimal(6)};
  }
  std::set<std::string> limited;
  for (const Step& step : pricing->steps) {
    for (const auto& [value, limit] : step.limits) limited.insert(value);
  }
  pricing->limited.assign(limited.begin(), limited.end());
}

// Of hours of the morning, or, where buckets are days, of the weekend.
void AddBucketWindows(Dice& dice, Charge* charge) {
  const bool of_days = charge->per_bucket == PerBucket::kDay;
  BucketWindow window;
  window.when = of_days ? ClockWindow{0x60} : ClockWindow{kEveryWeekday, 90, 600};
  window.pricing = RandomPricing(dice);
  window.pricing.package_size.attos += kOneUnit;
  Charge alone;
  alone.pricing = window.pricing;
  const bool is_exact = IsExactByFactors(alone);
  if (dice.OneIn(2)) window.commitment = RandomCommitment(dice, TakesQuantity(alone), is_exact, true);
  if (is_exact || charge->discount == Price{}) charge->bucket_windows.push_back(std::move(window));
}

// Every model, and what stands around it.
Charge RandomChargeOf(Dice& dice, const Meter& meter) {
  Charge charge;
  charge.pricing = RandomPricing(dice);
  charge.pricing.package_size.attos += kOneUnit;  // never too many packages
  if (dice.OneIn(2)) charge.included = {dice.Decimal(4)};
  if (!meter.dimensions.empty() && dice.OneIn(6)) LimitByRegion(dice, &charge.pricing);
  if (meter.keep_events && dice.OneIn(2)) charge.pricing = RandomPricingOfEvents(dice, meter);
  if (dice.OneIn(4)) MakeMatrix(dice, meter, &charge);
  if (dice.OneIn(2)) AddAround(dice, true, &charge);
  if (meter.granularity != Granularity::kDay && dice.OneIn(6)) charge.per_bucket = PerBucket::kHour;
  if (IsOfEvents(charge)) charge.included = {}, charge.conversion.reset();
  if (CarriesOver(meter)) charge.per_bucket = PerBucket::kNone;
  if (charge.per_bucket != PerBucket::kNone && TakesQuantity(charge) && dice.OneIn(2)) AddBucketWindows(dice, &charge);
  charge.filter = RandomFilter(dice, meter);
  return charge;
}

// Periods of days to years, by the calendar or from each subscription's first day.
BillingTerms RandomBilling(Dice& dice) {
  BillingTerms billing;
  billing.cycle = *ParseBillingCycle(
      dice.Of(std::vector<const char*>{"1 month", "1 day", "10 days", "1 week", "2 months", "1 quarter", "1 year"}));
  billing.by_subscription = dice.OneIn(2);
  return billing;
}

void AddTimed(Dice& dice, Plan* plan) {
  for (int64_t i = dice.OneIn(2) ? dice.UpTo(2) : 0; i > 0; --i) {
    Charge charge;
    charge.fee = Fee{Price{dice.Decimal(4)}, dice.OneIn(5), dice.OneIn(2), {}};
    charge.fee->proration.by_day = !dice.OneIn(4);
    charge.fee->credits_rest = !dice.OneIn(4);
    FeeProration& proration = charge.fee->proration;
    proration.count_back = dice.OneIn(3);
    if (dice.OneIn(3)) proration.rounding = static_cast<Rounding>(dice.UpTo(3));
    proration.places = static_cast<int>(dice.UpTo(11));
    if (dice.OneIn(4)) charge.billing = RandomBilling(dice);
    // Other days than those of the true period are of periods of months.
    const bool in_months = charge.billing.value_or(plan->billing).cycle.unit == BillingCycle::Unit::kMonth;
    if (in_months && dice.OneIn(2)) proration.days = static_cast<DayCount>(dice.UpTo(3));
    charge.name = "charge-" + std::to_string(plan->charges.size());
    plan->charges.push_back(std::move(charge));
  }
  for (const bool is_maximum : {false, true}) {
    if (!dice.OneIn(5)) continue;
    Charge charge;
    charge.bound = PlanBound{is_maximum, Price{dice.Decimal(4)}};
    charge.prorates_bound = dice.OneIn(2);
    charge.name = "charge-" + std::to_string(plan->charges.size());
    plan->charges.push_back(std::move(charge));  // by the plan's own periods
  }
  if (dice.OneIn(4)) plan->trial_days = static_cast<int32_t>(dice.UpTo(20));
  plan->is_trial_free = dice.OneIn(2);
}

Plan RandomPlan(Dice& dice, const Catalog& catalog, std::string name) {
  Plan plan;
  plan.name = std::move(name);
  plan.currency = In(dice.Of(std::vector<const char*>{"USD", "JPY", "BHD"}));
  if (dice.OneIn(3)) plan.billing = RandomBilling(dice);
  for (const Meter& meter : catalog.meters) {
    for (int64_t i = dice.UpTo(3); i > 0; --i) {
      Charge charge = RandomChargeOf(dice, meter);
      charge.name = "charge-" + std::to_string(plan.charges.size());
      charge.meter = meter.name;
      if (dice.OneIn(4)) charge.billing = RandomBilling(dice);
      charge.prorates_bound = dice.OneIn(2);
      plan.charges.push_back(std::move(charge));
    }
  }
  AddTimed(dice, &plan);
  return plan;
}

constexpr const char* kAccounts[] = {"acct-0", "acct-1"};
constexpr const char* kIds[] = {"sub-0", "sub-1"};
constexpr const char* kAnchors[] = {"2024-01-31", "2024-02-29", "2025-03-30", "2030-12-15"};

// Versions and changes of plan one after the other, with gaps now and then.
void AddSubscriptions(Dice& dice, bool one_zone, Catalog* catalog) {
  Day from = On("2025-02-20");
  from.number += static_cast<int32_t>(dice.UpTo(10));
  // Of sub-1 alone: all versions of one agree. Their quantities need not.
  if (dice.OneIn(3)) {
    const Day anchor = On(dice.Of(kAnchors));
    catalog->subscription_terms.push_back({anchor, {dice.Decimal(2)}});
    catalog->subscription_terms.push_back({anchor, {dice.Decimal(2)}});
  }
  for (int64_t i = dice.UpTo(4); i > 0; --i) {
    Subscription subscription;
    subscription.id = dice.UpTo(1) == 0 ? "sub-0" : "sub-1";
    subscription.subject = kSubject;
    subscription.plan = static_cast<uint32_t>(dice.UpTo(1));
    subscription.zone = one_zone ? catalog->book.zone : ZoneOf(dice.Of(kZones));
    subscription.valid_from = from;
    from.number += static_cast<int32_t>(1 + dice.UpTo(20));
    if (i > 1 || dice.OneIn(2)) subscription.valid_to = from;
    from.number += dice.OneIn(3) ? static_cast<int32_t>(dice.UpTo(5)) : 0;
    subscription.account = dice.Of(kAccounts);
    const bool has_terms = catalog->subscription_terms.size() > 1 && subscription.id == "sub-1";
    if (has_terms) subscription.terms = static_cast<uint32_t>(1 + dice.UpTo(1));
    catalog->subscriptions.push_back(subscription);
  }
}

bool IsOneQuantity(const Charge& charge) {
  return charge.cells.empty() && charge.pricing.limits_by.empty() && !IsOfEvents(charge) && !charge.fee &&
         !charge.bound && charge.per_bucket == PerBucket::kNone;
}

// Of two plans' bounds of one name, which go on, start again, or say nothing.
void MakeAmendableBound(Dice& dice, Charge* charge) {
  charge->bound->amount = {dice.Decimal(4)};
  charge->prorates_bound = dice.OneIn(2);
}
// The catalog's check: a plan's minimum and maximum say the same.
void MakeBoundsAmendable(Dice& dice, Plan* from, Plan* to) {
  if (dice.OneIn(3)) return;
  for (Plan* plan : {from, to}) {
    const OnAmendment on_amendment = !dice.OneIn(3) ? OnAmendment::kContinue : OnAmendment::kRestart;
    for (Charge& charge : plan->charges) {
      if (charge.bound) charge.on_amendment = on_amendment;
    }
  }
}

// Of two plans' fee of one name: at another price, and due in advance or not. Where it is due once, once for both; in
// full each period it goes on, or starts again.
void MakeAmendableFee(Dice& dice, Charge* before, Charge* charge) {
  charge->fee->price = {dice.Decimal(4)};
  charge->fee->in_advance = dice.OneIn(2);
  if ((!charge->fee->once && charge->fee->proration.by_day) || dice.OneIn(3)) return;
  for (Charge* one : {before, charge}) {
    const bool starts_again = !charge->fee->once && dice.OneIn(3);
    one->on_amendment = starts_again ? OnAmendment::kRestart : OnAmendment::kContinue;
  }
}

// A matrix that takes all.
void AddDefault(Charge* charge) {
  const auto is_default = [](const Cell& cell) { return cell.when.empty(); };
  if (charge->cells.empty() || std::ranges::any_of(charge->cells, is_default)) return;
  charge->cells.back().when.clear();
}

// Makes the second plan one that the first may change to and back: the same charges at other prices, which go on or
// start again, and units that roll over.
void MakeAmendable(Dice& dice, Catalog* catalog) {
  Plan &from = catalog->plans[0], &to = catalog->plans[1];
  const std::string name = to.name;
  to = from;
  to.name = name;
  for (size_t i = 0; i < from.charges.size(); ++i) {
    Charge &before = from.charges[i], &charge = to.charges[i];
    if (before.bound) MakeAmendableBound(dice, &charge);
    if (before.fee) MakeAmendableFee(dice, &before, &charge);
    if (before.fee || before.bound) continue;
    const Meter& meter = *std::ranges::find(catalog->meters, before.meter, &Meter::name);
    const Meter& other = dice.Of(catalog->meters);
    // Only where it starts again, and counts no days of what is there.
    const bool changes_meter = &other != &meter && !CarriesOver(meter) && !CarriesOver(other) && dice.OneIn(3);
    Charge priced = RandomChargeOf(dice, changes_meter ? other : meter);
    priced.name = before.name, priced.meter = changes_meter ? other.name : meter.name;
    if (!changes_meter) priced.filter = before.filter;
    priced.billing = before.billing, priced.prorates_bound = dice.OneIn(2);
    charge = std::move(priced);
    // The catalog's check: of what is there both take the same, by their filters and by their cells.
    if (CarriesOver(meter)) AddDefault(&before), AddDefault(&charge);
    for (Charge* one : {&before, &charge}) {
      if (!dice.OneIn(8)) {
        one->on_amendment = !dice.OneIn(3) ? OnAmendment::kContinue : OnAmendment::kRestart;
      }
      if (changes_meter) one->on_amendment = OnAmendment::kRestart;
      const bool rolls_over = one->included.attos > 0 && IsOneQuantity(*one) && !CarriesOver(meter) && dice.OneIn(3);
      if (rolls_over) one->rollover = Rollover{std::nullopt, static_cast<int32_t>(1 + dice.UpTo(2))};
      if (rolls_over && dice.OneIn(2)) one->rollover->most = Quantity{1 + dice.Decimal(3)};
    }
    // The catalog's check: what continues needs the word on both sides.
    const bool is_half_said =
        before.on_amendment == OnAmendment::kByPlan || charge.on_amendment == OnAmendment::kByPlan;
    if (is_half_said) before.on_amendment = charge.on_amendment = OnAmendment::kByPlan;
  }
  MakeBoundsAmendable(dice, &from, &to);
}

Money RandomAmount(Dice& dice, Currency currency) {
  int64_t most = 9;
  for (int64_t digits = dice.UpTo(9); digits > 0; --digits) most = most * 10 + 9;
  return {currency, dice.UpTo(most)};
}

Day RandomDay(Dice& dice) {
  return {On("2025-02-10").number + static_cast<int32_t>(dice.UpTo(60))};
}

// Of subscriptions and of accounts, which their versions name.
void AddGrants(Dice& dice, Catalog* catalog) {
  const Currency currency = catalog->plans[0].currency;
  for (int64_t i = dice.UpTo(4); i > 0; --i) {
    Grant& grant = catalog->grants.emplace_back();
    grant.id = std::string("g") + std::to_string(i);
    (dice.OneIn(2) ? grant.account = dice.Of(kAccounts) : grant.subscription = dice.Of(kIds));
    grant.amount = RandomAmount(dice, currency);
    grant.priority = static_cast<int32_t>(dice.UpTo(2));
    grant.starts_on = RandomDay(dice);
    if (dice.OneIn(2)) grant.ends_on = Day{grant.starts_on.number + 1 + static_cast<int32_t>(dice.UpTo(40))};
    grant.rollover = grant.rollover_min = {currency, 0};
    if (dice.OneIn(2)) {
      grant.refill = *ParseBillingCycle(dice.Of(std::vector<const char*>{"10 days", "1 month", "2 weeks"}));
      grant.refill->anchor = grant.starts_on;
      if (dice.OneIn(2)) grant.rollover = RandomAmount(dice, currency);
      if (dice.OneIn(3)) grant.rollover_min = RandomAmount(dice, currency);
      grant.rollover.minor = std::max(grant.rollover.minor, grant.rollover_min.minor);
    }
    grant.pays_earlier = dice.OneIn(2);
    grant.credit.is_of_grant = true;
    grant.credit.name = "credit " + grant.id;
    if (dice.OneIn(3)) continue;
    grant.breakage = grant.credit;
    grant.breakage->name = "breakage " + grant.id;
  }
  // The catalog's check: beside an account's grants a subscription's own do not pay earlier.
  const bool has_accounts = std::ranges::any_of(catalog->grants, [](const Grant& one) { return !one.account.empty(); });
  for (Grant& grant : catalog->grants) {
    if (has_accounts && grant.account.empty()) grant.pays_earlier = false;
  }
  std::ranges::sort(catalog->grants, {},
                    [](const Grant& grant) { return std::tie(grant.account, grant.subscription, grant.id); });
}

void AddDiscounts(Dice& dice, Catalog* catalog) {
  catalog->discount_products = {"", "coupons"};
  for (int64_t i = dice.UpTo(4); i > 0; --i) {
    Discount& discount = catalog->discounts.emplace_back();
    discount.id = "d" + std::to_string(dice.UpTo(2));
    discount.of = static_cast<Discount::Of>(dice.UpTo(2));
    if (discount.of == Discount::Of::kSubscription) discount.name = dice.Of(kIds);
    if (discount.of == Discount::Of::kAccount) discount.name = dice.Of(kAccounts);
    if (discount.of == Discount::Of::kPlan) discount.name = dice.Of(catalog->plans).name;
    if (dice.OneIn(3)) discount.charge = "charge-" + std::to_string(dice.UpTo(3));
    if (discount.of != Discount::Of::kAccount && dice.OneIn(2)) {
      discount.amount = RandomAmount(dice, catalog->plans[0].currency);
    } else {
      discount.share = dice.Of(std::vector<Price>{Each("0.1"), Each("0.125"), Each("0.3333"), Each("1")});
    }
    discount.product = static_cast<uint32_t>(dice.UpTo(1));
    discount.starts_on = RandomDay(dice);
    if (dice.OneIn(2)) discount.ends_on = Day{discount.starts_on.number + 1 + static_cast<int32_t>(dice.UpTo(40))};
    discount.order = static_cast<int32_t>(dice.UpTo(2));
    discount.reaches_back = dice.OneIn(3);
    discount.line = static_cast<int>(i);
  }
  std::ranges::sort(catalog->discounts, {}, [](const Discount& discount) {
    return std::tie(discount.of, discount.name, discount.id, discount.line);
  });
}

// Of charges that can be paid in units on every plan that has them; their meters have totals of days.
void AddUnitGrants(Dice& dice, Catalog* catalog) {
  for (int64_t i = dice.UpTo(5); i > 0; --i) {
    const std::string name = "charge-" + std::to_string(dice.UpTo(3));
    const auto takes = [&](const Plan& plan) {
      const auto charge = std::ranges::find(plan.charges, name, &Charge::name);
      return charge == plan.charges.end() ||
             (TakesUnitGrants(*charge) && !MayBeSliced(*charge) && !CarriesOn(*catalog, *charge));
    };
    if (!std::ranges::all_of(catalog->plans, takes)) continue;
    UnitGrant& grant = catalog->unit_grants.emplace_back();
    const Day start = RandomDay(dice);
    const auto later = [&] {
      return catalog->book.zone.StartOf({start.number + 1 + static_cast<int32_t>(dice.UpTo(40))});
    };
    grant.id = "u" + std::to_string(i);
    grant.subscription = dice.Of(kIds);
    grant.charge = name;
    grant.units = {dice.Decimal(5)};
    grant.priority = static_cast<int32_t>(dice.UpTo(2));
    grant.starts_at = catalog->book.zone.StartOf(start);
    if (dice.OneIn(2)) grant.ends_at = later();
    if (dice.OneIn(6)) grant.voided_at = later();
    const std::vector<const char*> cycles = {"10 days", "1 month", "2 weeks"};
    for (std::optional<BillingCycle>* cycle : {&grant.refill, &grant.reset}) {
      if (!dice.OneIn(3)) continue;
      *cycle = *ParseBillingCycle(dice.Of(cycles));
      (*cycle)->anchor = start;
    }
    if (dice.OneIn(2)) grant.rollover_min = {dice.Decimal(3)};
    grant.rollover_max = {grant.rollover_min.attos + (dice.OneIn(2) ? dice.Decimal(4) : 0)};
    grant.pays_earlier = dice.OneIn(2);
    // Every so often, or at times that are listed.
    for (int64_t more = grant.reset ? 0 : dice.UpTo(3); more > 0; --more) grant.resets.push_back(later());
    std::ranges::sort(grant.resets);
    grant.resets.erase(std::unique(grant.resets.begin(), grant.resets.end()), grant.resets.end());
    grant.keeps_overage = (grant.reset || !grant.resets.empty()) && dice.OneIn(2);
  }
  std::ranges::sort(catalog->unit_grants, {},
                    [](const UnitGrant& grant) { return std::tie(grant.subscription, grant.charge, grant.id); });
}

Catalog RandomCatalog(Dice& dice) {
  Catalog catalog;
  const bool one_zone = dice.OneIn(2);
  catalog.book.zone = ZoneOf(dice.Of(kZones));
  catalog.book.rounding = static_cast<Rounding>(dice.UpTo(3));
  catalog.meters = {RandomMeter(dice, "meter-a", one_zone), RandomMeter(dice, "meter-b", one_zone)};
  catalog.plans = {RandomPlan(dice, catalog, "plan-x"), RandomPlan(dice, catalog, "plan-a")};
  const bool is_amendable = one_zone && dice.OneIn(2);
  if (is_amendable) MakeAmendable(dice, &catalog);
  AddSubscriptions(dice, one_zone, &catalog);
  const bool has_grants = dice.OneIn(4), has_discounts = dice.OneIn(4);
  if (has_grants || has_discounts) catalog.plans[1].currency = catalog.plans[0].currency;
  if (has_grants) AddGrants(dice, &catalog);
  if (has_discounts) AddDiscounts(dice, &catalog);
  if (one_zone && dice.OneIn(2)) AddUnitGrants(dice, &catalog);
  catalog.BuildIndex();
  return catalog;
}

// Every region with every model.
const std::vector<std::vector<std::string_view>>& Pairs() {
  static const auto pairs = [] {
    std::vector<std::vector<std::string_view>> all;
    for (const std::string_view region : kRegions) {
      for (const std::string_view model : kModels) all.push_back({region, model});
    }
    return all;
  }();
  return pairs;
}

// And prorated units.
const std::vector<std::vector<std::string_view>>& Triples() {
  static const auto triples = [] {
    std::vector<std::vector<std::string_view>> all;
    for (const std::vector<std::string_view>& pair : Pairs()) {
      for (const char* prorated : {"0", "1", "2.66667", "-0.333333333333333333", "40"}) {
        all.push_back({pair[0], pair[1], prorated});
      }
    }
    return all;
  }();
  return triples;
}

std::vector<SubjectTotal> RandomTotals(Dice& dice, const Catalog& catalog) {
  std::vector<SubjectTotal> totals;
  for (int64_t i = dice.UpTo(12); i > 0; --i) {
    SubjectTotal total;
    total.meter = &dice.Of(catalog.meters);
    if (total.meter->dimensions.size() == 2) total.dimension_values = dice.Of(Pairs());
    if (total.meter->dimensions.size() == 3) total.dimension_values = dice.Of(Triples());
    // 20 February to 10 April: two ends of a month, and clocks that change.
    Instant at = At("2025-02-20T00:00:00Z");
    at.nanos += dice.UpTo(49 * 96) * 900'000'000'000;
    total.bucket = BucketOf(total.meter->granularity, at, catalog.book.zone);
    total.total = {{dice.OneIn(8) ? -dice.Decimal(3) : dice.Decimal(6)}, static_cast<uint64_t>(1 + dice.UpTo(9)), {}};
    // Of few identifiers, so that some come again.
    if (total.meter->aggregation == Aggregation::kUniqueCount) {
      total.total.value = IdentifierValue(static_cast<Uint128>(dice.UpTo(3)) << 70,
                                          static_cast<SetOperation>(dice.UpTo(CarriesOver(*total.meter) ? 1 : 0)));
    }
    if (HasTime(FormOf(*total.meter))) total.total.latest_at = {at.nanos + dice.UpTo(3)};
    totals.push_back(std::move(total));
  }
  // As the book has them; where nothing is carried over, any order will do.
  if (std::ranges::any_of(catalog.meters, CarriesOver)) {
    std::ranges::stable_sort(totals, [](const SubjectTotal& a, const SubjectTotal& b) {
      if (a.meter != b.meter) return a.meter < b.meter;
      return std::ranges::lexicographical_compare(a.dimension_values, b.dimension_values);
    });
  }
  return totals;
}

void ExpectSameLines(const RatedSubject& rated, const reference::Subject& expected) {
  std::vector<std::string> names, expected_names;
  for (const RatedCharge& charge : rated.charges) {
    names.push_back(std::string(charge.subscription->id) + " " + charge.charge->name + " " +
                    ToString(charge.period.start));
  }
  for (const auto& [line, days] : expected.lines) {
    expected_names.push_back(line.subscription + " " + line.charge + " " + line.from);
  }
  ASSERT_EQ(names, expected_names);
  auto line = expected.lines.begin();
  for (const RatedCharge& charge : rated.charges) {
    const auto& [key, days] = *line++;
    const std::string_view aggregation = charge.meter == nullptr ? "" : ToString(charge.meter->aggregation);
    SCOPED_TRACE(key.subscription + " " + key.plan + " " + key.charge + " " + key.from + ", " +
                 std::string(ToString(charge.charge->pricing.model)) + " of " + std::string(aggregation));
    ASSERT_EQ(charge.subscription->id, key.subscription);
    ASSERT_EQ(charge.charge->name, key.charge);
    ASSERT_EQ(ToString(charge.period.start), key.from);
    ASSERT_EQ(charge.period.end.number, key.last + 1);
    ASSERT_EQ(charge.days.size(), days.size());
    auto day = days.begin();
    for (const DayWorth& worth : charge.days) {
      const auto& [number, reference_worth] = *day++;
      SCOPED_TRACE(ToString(worth.usage_date));
      ASSERT_EQ(worth.usage_date.number, number);
      ASSERT_EQ(worth.events_to_date, reference_worth.events);
      ASSERT_EQ(reference::Exact(worth.to_date), reference_worth.quantity);
      ASSERT_EQ(reference::Exact(WorthToDate(charge, worth)), reference_worth.worth);
      ASSERT_EQ(FormatDecimal(worth.booked_to_date.minor, 0), reference_worth.booked.str());
    }
  }
}

void ExpectSameUnrated(const RatedSubject& rated, const reference::Subject& expected) {
  std::map<reference::Unrated, uint64_t> unrated;
  for (const UnratedUsage& usage : rated.unrated) {
    const std::string subscription(usage.subscription == nullptr ? "" : usage.subscription->id);
    unrated[{usage.why, usage.meter->name, subscription, usage.usage_date.number}] += usage.events;
  }
  ASSERT_EQ(unrated, expected.unrated);
}

TEST(Twin, RatesAnySubjectAlike) {
  Dice dice(TestSeed());
  size_t lines = 0, unrated = 0;
  for (int round = 0; round < kRounds; ++round) {
    dice.BeginRound();
    SCOPED_TRACE("round " + std::to_string(round));
    const Catalog catalog = RandomCatalog(dice);
    const std::vector<SubjectTotal> totals = RandomTotals(dice, catalog);
    std::optional<Day> through;
    if (dice.OneIn(3)) through = Day{On("2025-02-20").number + static_cast<int32_t>(dice.UpTo(50))};

    const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSubject, totals, through);
    ASSERT_TRUE(rated.ok()) << rated.status();
    const reference::Subject expected = reference::Rate(catalog, kSubject, totals, through);
    ASSERT_NO_FATAL_FAILURE(ExpectSameLines(*rated, expected));
    ASSERT_NO_FATAL_FAILURE(ExpectSameUnrated(*rated, expected));
    lines += expected.lines.size();
    unrated += expected.unrated.size();
  }
  // The dice must have made something to compare.
  EXPECT_GT(lines, static_cast<size_t>(kRounds));
  EXPECT_GT(unrated, static_cast<size_t>(kRounds / 10));
}

// A quote of a subscription has the lines that a seal through the same day, or through none, books for its usage.
TEST(Twin, QuotesWhatASealBooks) {
  Dice dice(TestSeed());
  size_t lines = 0;
  for (int round = 0; round < kRounds / 10; ++round) {
    dice.BeginRound();
    SCOPED_TRACE("round " + std::to_string(round));
    const absl::StatusOr<Catalog> catalog = WithSubscriptionOnly(RandomCatalog(dice), dice.Of(kIds));
    if (!catalog.ok()) continue;  // it has the other one, or none
    const std::vector<SubjectTotal> totals = RandomTotals(dice, *catalog);
    QuoteRequest request;
    request.subject = kSubject;
    request.usage = totals;
    if (!dice.OneIn(3)) request.through = Day{On("2025-02-20").number + static_cast<int32_t>(dice.UpTo(70))};

    const absl::StatusOr<Quote> quote = MakeQuote(*catalog, request);
    ASSERT_TRUE(quote.ok()) << quote.status();
    const reference::Subject sealed = reference::Rate(*catalog, kSubject, totals, request.through);
    ASSERT_EQ(quote->charges.size(), sealed.lines.size());
    auto charge = quote->charges.begin();
    for (const auto& [line, days] : sealed.lines) {
      const QuotedCharge& quoted = *charge++;
      SCOPED_TRACE(line.plan + " " + line.charge + " " + line.from);
      ASSERT_EQ(catalog->plans[quoted.subscription->plan].name, line.plan);
      ASSERT_EQ(quoted.charge->name, line.charge);
      ASSERT_EQ(ToString(quoted.period.start), line.from);
      const reference::WorthToDate& booked = days.rbegin()->second;
      ASSERT_EQ(reference::Exact(quoted.quantity), booked.quantity);
      ASSERT_EQ(quoted.events, booked.events);
      ASSERT_EQ(reference::Exact(quoted.exact), booked.worth);
      ASSERT_EQ(FormatDecimal(quoted.rounded.minor, 0), booked.booked.str());
      const bool is_lost = quoted.charge->name.starts_with("breakage ");
      ASSERT_EQ(quoted.is_breakage, is_lost);
      ASSERT_EQ(quoted.due_exact, is_lost ? Worth() : quoted.exact);
      ASSERT_EQ(quoted.due.minor, is_lost ? 0 : quoted.rounded.minor);
    }
    lines += sealed.lines.size();
  }
  EXPECT_GT(lines, static_cast<size_t>(kRounds / 10));
}

// What is due, by day and line: each day its running amount less that of the day before.
std::map<std::pair<Day, std::string>, Int128> DueOf(const Catalog& catalog, const std::vector<SubjectTotal>& totals,
                                                    const RateWindow& window) {
  std::map<std::pair<Day, std::string>, Int128> due;
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, kSubject, totals, window);
  EXPECT_TRUE(rated.ok()) << rated.status();
  for (const RatedCharge& charge : rated->charges) {
    const std::string line = std::string(charge.subscription->id) + " " +
                             catalog.plans[charge.subscription->plan].name + " " + charge.charge->name;
    Int128 before = 0;
    for (const DayWorth& day : charge.days) {
      due[{day.usage_date, line}] += day.booked_to_date.minor - before;
      before = day.booked_to_date.minor;
    }
    // Each day by all usage up to it, with none of the short cuts.
    EXPECT_EQ(FirstMisroundedDay(charge, catalog.book.rounding), nullptr) << line;
  }
  return due;
}

// A seal through any day books for the days up to it what a seal of everything books for them: so seals one after the
// other sum to the same as one, wherever they are cut. A minimum is of the last day, so it is not booked before.
TEST(Twin, AnyCutIntoSealsSumsToTheSame) {
  Dice dice(TestSeed());
  for (int round = 0; round < kRounds; ++round) {
    dice.BeginRound();
    SCOPED_TRACE("round " + std::to_string(round));
    const Catalog catalog = RandomCatalog(dice);
    const std::vector<SubjectTotal> totals = RandomTotals(dice, catalog);
    std::map<std::pair<Day, std::string>, Int128> whole =
        DueOf(catalog, totals, RateWindow(std::nullopt, On("2025-06-30")));
    const Day cut = {On("2025-02-20").number + static_cast<int32_t>(dice.UpTo(50))};
    std::erase_if(whole, [&](const auto& due) { return due.first.first > cut; });
    ASSERT_TRUE(DueOf(catalog, totals, RateWindow(cut)) == whole);
  }
}

}  // namespace
}  // namespace tollbook
