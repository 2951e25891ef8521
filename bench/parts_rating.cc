// What rating costs, alone on one core, with each answer checked: a quantity, and a subject's months by each charge
// model, meter, and what stands around a charge.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bench_data.h"
#include "rating/catalog_text.h"
#include "rating/price.h"
#include "rating/rate.h"
#include "rating/rounded_price.h"

namespace tollbook::bench {
namespace {

Charge ThreeTiers() {
  Charge charge;
  charge.name = "tokens";
  charge.pricing.model = ChargeModel::kGraduated;
  charge.included = Quantity::Units(1000);
  charge.pricing.tiers = {{Quantity::Units(10'000), {4'000'000'000'000}, {}},
                          {Quantity::Units(50'000), {3'200'000'000'000}, {}},
                          {std::nullopt, {2'400'000'000'000}, {}}};
  return charge;
}

using PriceOf = bool (RoundedPrice::*)(Quantity, Int128*) const;

template <PriceOf kPriceOf>
void RateBy(benchmark::State& state) {
  const Charge charge = ThreeTiers();
  const RoundedPrice price(charge, *Currency::FromCode("USD"), Rounding::kHalfUp);
  constexpr int64_t kQuantities = 100'000;
  for (auto _ : state) {
    Int128 cents = 0;
    for (int64_t i = 0; i < kQuantities; ++i) {
      Int128 of_quantity = 0;
      if (!(price.*kPriceOf)(Quantity::Units(123'456 + i), &of_quantity)) Die("a worth that does not fit");
      cents += of_quantity;
    }
    // 0.3418944 and 0.0000024 more for each unit, each in whole cents.
    RequireEqual(static_cast<uint64_t>(cents), 4'618'936, "cents");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kQuantities);
}

// A graduated charge of three tiers: quantity to cents, as a seal does it for each day.
void Rate(benchmark::State& state) {
  RateBy<&RoundedPrice::Of>(state);
}
BENCHMARK(Rate)->Unit(benchmark::kMillisecond);

// The same by the exact worth, rounded: what Rate does where the short way is not certain.
void RateExactly(benchmark::State& state) {
  RateBy<&RoundedPrice::Exactly>(state);
}
BENCHMARK(RateExactly)->Unit(benchmark::kMillisecond);

// The plain twin of both: tier by tier, with the words of an error at hand.
void RateInSteps(benchmark::State& state) {
  const Charge charge = ThreeTiers();
  const Currency usd = *Currency::FromCode("USD");
  for (auto _ : state) {
    const Worth worth = Require(PriceQuantity(charge, Quantity::Units(123'456)));
    const Rounded rounded = Require(RoundToMinor(worth, usd, Rounding::kHalfUp));
    // 10,000 * 0.000004 + 40,000 * 0.0000032 + 72,456 * 0.0000024 = 0.3418944
    RequireEqual(static_cast<uint64_t>(rounded.line.minor), 34, "cents");
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()));
}
BENCHMARK(RateInSteps);

// One charge of each model, on a meter with a total for each day and one of two regions.
struct ModelOf {
  const char* name;
  Charge charge;
  const char* cents;  // of a month: 31 days of 1,000 units in either region, two events each; or two events of 1,000
};

std::vector<ModelOf> Models() {
  const Price cent = {kOneUnit / 100};
  const Price dollar = {kOneUnit};
  const auto of = [](ChargeModel model, auto fill) {
    Charge charge;
    charge.name = charge.meter = "units";
    charge.pricing.model = model;
    fill(charge);
    return charge;
  };
  const auto tiers = [&](Charge& c) {
    c.pricing.tiers = {{Quantity::Units(10'000), cent, {}}, {std::nullopt, {cent.attos / 2}, dollar}};
  };
  const auto steps = [&](Charge& c) {
    c.pricing.steps = {{Quantity::Units(50'000), {}, dollar}, {std::nullopt, {}, {dollar.attos * 2}}};
  };
  const auto unit = [&](Charge& c) { c.pricing.unit_price = cent; };
  return {
      {"per_unit", of(ChargeModel::kPerUnit, unit), "62000"},
      {"graduated", of(ChargeModel::kGraduated, tiers), "36100"},
      {"volume", of(ChargeModel::kVolume, tiers), "31100"},
      {"blocks",
       of(ChargeModel::kGraduated,
          [&](Charge& c) {
            tiers(c);
            c.pricing.tiers[1].block_size = Quantity::Units(2);
          }),
       "23100"},
      {"package",
       of(ChargeModel::kPackage,
          [&](Charge& c) {
            c.pricing.package_size = Quantity::Units(100);
            c.pricing.package_price = dollar;
          }),
       "62000"},
      {"stairstep", of(ChargeModel::kStairstep, steps), "200"},
      {"percentage",
       of(ChargeModel::kPercentage,
          [&](Charge& c) {
            unit(c);
            c.pricing.price_per_event = dollar;
          }),
       "74400"},
      {"graduated_percentage", of(ChargeModel::kGraduatedPercentage, tiers), "36100"},
      {"dynamic", of(ChargeModel::kDynamic, unit), "62000"},
      {"matrix",
       of(ChargeModel::kMatrix,
          [&](Charge& c) {
            c.cells.resize(2);
            c.cells[0].when = {{"region", "eu"}};
            c.cells[0].pricing.unit_price = cent;
            c.cells[1].pricing.unit_price = dollar;
          }),
       "3131000"},
      {"limits",
       of(ChargeModel::kStairstep,
          [&](Charge& c) {
            c.pricing.steps = {{std::nullopt, {{"eu", Quantity::Units(5'000)}}, dollar}, {{}, {}, cent}};
            c.pricing.limits_by = "region";
            c.pricing.limited = {"eu"};
          }),
       "1"},
      {"per_bucket",
       of(ChargeModel::kGraduated,
          [&](Charge& c) {
            tiers(c);
            c.per_bucket = PerBucket::kDay;
          }),
       "62000"},
      {"convert",
       of(ChargeModel::kPerUnit,
          [&](Charge& c) {
            unit(c);
            c.conversion = Conversion{Conversion::By::kDivide, Quantity::Units(1'000), Rounding::kUp, 0};
          }),
       "62"},
      {"discount_minimum_maximum",
       of(ChargeModel::kPerUnit,
          [&](Charge& c) {
            unit(c);
            c.discount = {kOneUnit / 10};
            c.minimum = dollar;
            c.maximum = Price{dollar.attos * 100};
          }),
       "10000"},
      {"commitment",
       of(ChargeModel::kPerUnit,
          [&](Charge& c) {
            unit(c);
            c.commitment = Commitment{{dollar.attos * 100}, std::nullopt, {dollar.attos * 2}, true};
          }),
       "114000"},
      {"transactions",
       of(ChargeModel::kPercentage,
          [&](Charge& c) {
            unit(c);
            c.pricing.price_per_event = dollar;
            c.pricing.free_events = 4;
            c.pricing.max_per_event = Price{dollar.attos * 10};
          }),
       "120000"},
      {"time_rate",
       of(ChargeModel::kTimeRate,
          [&](Charge& c) {
            const std::vector<TimeStep> a_minute = {{0, cent, 60 * kSecondNanos, kSecondNanos}};
            c.pricing.time.windows = {{{0x1f}, {}, a_minute}, {{0x60}, {}, a_minute}};
          }),
       "2067"},
      {"prorated_graduated", of(ChargeModel::kProratedGraduated, tiers), "33600"},
  };
}

// A subject's month by one charge of each model, as a seal rates it: totals to cents; an item is a total.
void RateModel(benchmark::State& state) {
  const ModelOf model = Models()[static_cast<size_t>(state.range(0))];
  Catalog catalog;
  Meter meter;
  meter.name = meter.event_type = "units";
  meter.dimensions = {"region"};
  meter.keep_events = IsOfEvents(model.charge);
  const bool is_prorated = model.charge.pricing.model == ChargeModel::kProratedGraduated;
  if (is_prorated) meter.dimensions.push_back(meter.prorated_property = "prorated");
  catalog.meters = {meter};
  catalog.plans = {{"plan", *Currency::FromCode("USD"), {model.charge}}};
  Subscription subscription;
  subscription.subject = subscription.id = "s";
  catalog.subscriptions = {subscription};
  catalog.BuildIndex();
  const std::string_view regions[][2] = {{"eu", "500"}, {"us", "500"}};  // and the prorated units of each event
  std::vector<SubjectTotal> totals;
  for (const std::string_view(&values)[2] : regions) {
    for (int32_t day = 0; day < 31; ++day) {
      const Instant at = {meter.keep_events ? day * 86'400 * kSecondNanos : 0};
      totals.push_back(
          {catalog.meters.data(), {values, is_prorated ? 2u : 1u}, {day}, {Quantity::Units(1'000), 2, at}});
    }
  }
  SubjectRater rater(catalog);
  RatedSubject rated;
  for (auto _ : state) {
    if (!rater.Rate("s", totals, std::nullopt, &rated).ok()) Die("a month that cannot be rated");
    if (FormatDecimal(rated.charges.at(0).days.back().booked_to_date.minor, 0) != model.cents) {
      Die(std::string(model.name) + " is not " + model.cents);
    }
  }
  state.SetLabel(model.name);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * totals.size()));
}
BENCHMARK(RateModel)->DenseRange(0, static_cast<int64_t>(Models().size()) - 1);

using Totals = std::vector<SubjectTotal>;

constexpr std::array<std::string_view, 1> kRegions[] = {{"eu"}, {"us"}};
constexpr int32_t kFirstDay = 20'089;  // 2025-01-01
constexpr int64_t kNanosOfDay = 86'400 * kSecondNanos;

// 1,000 units in each of two regions a day, two events each.
Totals TwoRegions(const Meter& meter, int32_t days) {
  Totals totals;
  for (const auto& region : kRegions) {
    for (int32_t day = kFirstDay; day < kFirstDay + days; ++day)
      totals.push_back({&meter, region, {day}, {Quantity::Units(1'000), 2, {}}});
  }
  return totals;
}

// 100 units an hour, of a meter by hour.
Totals Hours(const Meter& meter) {
  Totals totals;
  for (int32_t hour = kFirstDay * 24; hour < (kFirstDay + 31) * 24; ++hour)
    totals.push_back({&meter, {}, {hour}, {Quantity::Units(100), 1, {}}});
  return totals;
}

// For what is due by the calendar alone.
Totals Nothing(const Meter&) {
  return {};
}

Totals OfMonth(const Meter& meter) {
  return TwoRegions(meter, 31);
}

Totals OfYear(const Meter& meter) {
  return TwoRegions(meter, 365);
}

// A sample every five minutes, so 8,928; their values are 1 to 8,928, scattered over the month.
Totals Samples(const Meter& meter) {
  Totals totals;
  for (int32_t i = 0; i < 31 * 288; ++i) {
    const int64_t value = int64_t{i} * 5'003 % (31 * 288) + 1;
    totals.push_back({&meter, {}, {kFirstDay + i / 288}, {Quantity::Units(value), 1, {}}});
  }
  return totals;
}

UsageTotal OfUser(int64_t user, SetOperation operation, int64_t day) {
  const Uint128 hash = static_cast<Uint128>(user + 1) * 0x9e3779b97f4a7c15 * 0xd1342543de82ef95;
  const int64_t noon = kNanosOfDay / 2;
  return {IdentifierValue(hash, operation), 1, {(kFirstDay + day) * kNanosOfDay + noon}};
}

// 300 of 1,000 users a day; all of them within the month.
Totals Visits(const Meter& meter) {
  Totals totals;
  for (int64_t i = 0; i < 31 * 300; ++i) {
    const int64_t day = i / 300;
    UsageTotal visit = OfUser((day * 100 + i % 300) % 1'000, SetOperation::kAdd, day);
    visit.latest_at = {};  // a count without removals needs no times
    totals.push_back({&meter, {}, {kFirstDay + static_cast<int32_t>(day)}, visit});
  }
  return totals;
}

// 150 new users a day at noon, and those of the day before leave.
Totals ComingAndGoing(const Meter& meter) {
  Totals totals;
  for (int64_t day = 0; day < 31; ++day) {
    const Bucket bucket = {kFirstDay + static_cast<int32_t>(day)};
    for (int64_t user = day * 150; user < (day + 1) * 150; ++user) {
      totals.push_back({&meter, {}, bucket, OfUser(user, SetOperation::kAdd, day)});
      if (day > 0) totals.push_back({&meter, {}, bucket, OfUser(user - 150, SetOperation::kRemove, day)});
    }
  }
  return totals;
}

// A change of the level every half an hour, by turns of 1 and of what `other` says.
Totals Changes(const Meter& meter, int64_t other) {
  Totals totals;
  for (int64_t i = 0; i < 31 * 48; ++i) {
    const Instant at = {kFirstDay * kNanosOfDay + i * kNanosOfDay / 48};
    const Quantity change = Quantity::Units(i % 2 == 0 ? 1 : other);
    totals.push_back({&meter, {}, {kFirstDay + static_cast<int32_t>(i / 48)}, {change, 1, at}});
  }
  return totals;
}

Totals UpAndDown(const Meter& meter) {
  return Changes(meter, -1);
}

Totals OneAndNone(const Meter& meter) {
  return Changes(meter, 0);
}

Totals Growing(const Meter& meter) {
  return Changes(meter, 1);
}

// What RateModel leaves out: how a quantity is made of what a meter keeps, and what goes over days, versions of a
// subscription and periods. As the catalog's files have it.
struct MonthOf {
  const char* name;
  const char* meter;   // its keys
  const char* charge;  // its keys
  const char* later;   // those that another plan has otherwise, from the 16th on; empty: there is none
  Totals (*totals)(const Meter& meter);
  const char* cents;  // of all lines
  std::map<std::string, std::string> more = {};
};

const std::vector<MonthOf>& Months() {
  constexpr const char* kSum = "aggregation: sum, value: v, dimensions: [region]";
  constexpr const char* kUnit = "model: per_unit, price: 1";
  constexpr const char* kCent = "model: per_unit, price: 0.01";
  static const std::vector<MonthOf> months = {
      // The rank of 95 % of 8,928 is 8,481.6, rounded up.
      {"percentile", "aggregation: percentile, percentile: 95, value: v", kUnit, "", Samples, "848200"},
      {"unique_count", "aggregation: unique_count, value: v", kUnit, "", Visits, "100000"},
      // Those of the last day.
      {"unique_count_operation", "aggregation: unique_count, value: v, operation: o", kUnit, "", ComingAndGoing,
       "15000"},
      // 30 x 150 users on two days each and 150 on one, by 31 days: 295.1613.
      {"unique_count_by_day", "aggregation: unique_count, value: v, operation: o, proration: day", kUnit, "",
       ComingAndGoing, "29516"},
      {"weighted_sum", "aggregation: weighted_sum, value: v", kUnit, "", UpAndDown, "50"},
      {"weighted_sum_level", "aggregation: weighted_sum, value: v, value_is: level", kUnit, "", OneAndNone, "50"},
      // 48 more each day: 48 x (1 + ... + 31) / 31.
      {"weighted_sum_by_day", "aggregation: weighted_sum, value: v, proration: day", kUnit, "", Growing, "76800"},
      // 30,000 units by the 15th: 100 + 1 + 100. Behind them 200, then 2 + 60.
      {"amended_graduated", kSum,
       "model: graduated, on_amendment: continue, tiers: [{up_to: 10000, price: 0.01}, {price: 0.005, flat: 1}]",
       "tiers: [{up_to: 50000, price: 0.01}, {price: 0.005, flat: 2}]", OfMonth, "46300"},
      // 62,000 in all: 30,000 x 0.01 and 32,000 x 0.005.
      {"amended_volume", kSum,
       "model: volume, on_amendment: continue, tiers: [{up_to: 50000, price: 0.02}, {price: 0.01}]",
       "tiers: [{up_to: 50000, price: 0.01}, {price: 0.005}]", OfMonth, "46000"},
      // 15 days of 10 and 20, 16 of 5 and 10.
      {"amended_matrix", kSum,
       "model: matrix, on_amendment: continue, cells: [{when: {region: eu}, price: 0.01}], default: {price: 0.02}",
       "cells: [{when: {region: eu}, price: 0.005}], default: {price: 0.01}", OfMonth, "69000"},
      // A mean of 500: 15 of 31 days at 31, and 16 at 62.
      {"amended_shared", "aggregation: mean, value: v, dimensions: [region]",
       "model: per_unit, on_amendment: continue, price: 31", "price: 62", OfMonth, "2350000"},
      // 16 hours a day at 0.01, and 8 at 0.02.
      {"bucket_windows", "aggregation: sum, value: v, granularity: hour",
       "model: per_unit, price: 0.01, per_bucket: hour, bucket_windows: [{from: \"09:00\", to: \"17:00\", price: "
       "0.02}]",
       "", Hours, "99200"},
      // January 62, less 32, and 16 of another plan's 31; then 11 months of 31.
      {"fee", kSum, "model: fee, price: 62", "price: 31", Nothing, "38700"},
      // 1,000 in January; each later month leaves enough for the next.
      {"rollover", kSum, "model: per_unit, price: 0.01, included: 61000, included_rollover: {periods: 1}", "", OfYear,
       "1000"},
      // 62,000, of which five weeks pay 5,000 each, and the contract 20,000.
      {"unit_grants",
       kSum,
       kCent,
       "",
       OfMonth,
       "17000",
       {{"unit_grants.csv",
         "grant,subscription,charge,units,starts,priority,refill\nweekly,s,units,5000,2025-01-01,0,1 week\n"
         "contract,s,units,20000,2025-01-01,1,\n"}}},
      {"discounts",
       kSum,
       kCent,
       "",
       OfMonth,
       "54800",
       {{"discounts.csv",
         "discount,subscription,percent,amount,currency,starts_on\na,s,10,,,2025-01-01\nb,s,,10.00,USD,2025-01-01\n"}}},
      {"grants",
       kSum,
       kCent,
       "",
       OfMonth,
       "52000",
       {{"grants.csv",
         "grant,subscription,amount,currency,product,starts_on,ends_on\ng,s,100.00,USD,credits,2025-01-01,\n"}}},
  };
  return months;
}

Catalog CatalogOf(const MonthOf& month) {
  const std::string later = month.later;
  std::string plans = "plans:\n  - name: plan\n    currency: USD\n    charges:\n";
  const std::string_view metered = std::string_view(month.charge).starts_with("model: fee") ? "" : "meter: units, ";
  plans += "      - {name: units, " + std::string(metered) + "product: units, " + month.charge + "}\n";
  std::string subscriptions = "subscription,account,plan,entity,currency,valid_from,valid_to\n";
  subscriptions += "s,a,plan,acme,USD,2025-01-01," + std::string(later.empty() ? "" : "2025-01-16") + "\n";
  if (!later.empty()) {
    plans += "  - name: later\n    extends: plan\n    charges:\n      - {name: units, " + later + "}\n";
    subscriptions += "s,a,later,acme,USD,2025-01-16,\n";
  }
  std::map<std::string, std::string> files = {
      {"book.yaml", "name: bench\nzone: UTC\n"},
      {"entities.yaml", "entities:\n  - {name: acme, functional_currency: USD}\n"},
      {"chart.yaml",
       "accounts:\n  - {code: \"1200\", name: Receivable, type: asset}\n"
       "  - {code: \"4000\", name: Revenue, type: revenue}\n"},
      {"meters.yaml", std::string("meters:\n  - {name: units, ") + month.meter + "}\n"},
      {"plans.yaml", plans},
      {"posting.yaml", "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n"},
      {"subscriptions.csv", subscriptions}};
  files.insert(month.more.begin(), month.more.end());
  ParsedCatalog parsed = ParseCatalog(files);
  if (!parsed.catalog) Die(std::string("the catalog of ") + month.name + ": " + ToString(parsed.errors.front()));
  return *std::move(parsed.catalog);
}

// A subject's months of 2025 as a seal rates them; an item is a total, or of a list an element of it; of what has no
// usage a line of the year.
void RateMonth(benchmark::State& state) {
  const MonthOf& month = Months()[static_cast<size_t>(state.range(0))];
  const Catalog catalog = CatalogOf(month);
  const Meter& meter = catalog.meters.front();
  const Totals totals = month.totals(meter);
  const Day last =
      totals.empty() ? Day{kFirstDay + 364} : DayOfBucket(meter.granularity, totals.back().bucket, catalog.book.zone);
  const RateWindow through_last(last);
  SubjectRater rater(catalog);
  RatedSubject rated;
  for (auto _ : state) {
    Require(rater.Rate("s", totals, through_last, &rated));
    Int128 cents = 0;
    for (const RatedCharge& charge : rated.charges) cents += charge.days.back().booked_to_date.minor;
    if (FormatDecimal(cents, 0) != month.cents) {
      Die(std::string(month.name) + " is " + FormatDecimal(cents, 0) + ", not " + month.cents);
    }
  }
  state.SetLabel(month.name);
  const size_t items = totals.empty() ? rated.charges.size() : totals.size();
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations() * items));
}
BENCHMARK(RateMonth)->DenseRange(0, static_cast<int64_t>(Months().size()) - 1);

}  // namespace
}  // namespace tollbook::bench
