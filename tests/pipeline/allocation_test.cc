// A contract's price over its obligations: the examples of the standards, and what holds of any contract.
#include "pipeline/allocation.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/pipeline/catalog_texts.h"

namespace tollbook {
namespace {

Day On(const std::string& text) {
  const std::optional<Day> day = ParseDay(text);
  EXPECT_TRUE(day) << text;
  return day.value_or(Day());
}

CatalogTexts Texts(const std::string& billing_period) {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", ""}};
  texts.meters.emplace_back();
  texts.meters.back().name = "api.calls";
  texts.meters.back().aggregation = "count";
  texts.plans = {{"suite", "USD", "billing_anchor: subscription, billing_period: " + billing_period}};
  texts.postings = {{"", "", "1200", "4000", false, {}, "2400"}};
  return texts;
}

void AddFee(const std::string& plan, const std::string& name, const std::string& price, bool once,
            CatalogTexts* texts) {
  CatalogTexts::Charge charge;
  charge.plan = plan;
  charge.name = name;
  charge.product = "product";
  charge.model = "fee";
  charge.price = price;
  charge.more = once ? "once: true" : "";
  texts->charges.push_back(charge);
}

std::vector<AllocatedContract> Allocated(const Catalog& catalog, const std::string& last) {
  std::vector<AllocatedContract> allocated;
  EXPECT_TRUE(Allocate(catalog, ContractsOf(catalog), "s1", catalog.SubscriptionsOf("s1"), On(last), &allocated));
  return allocated;
}

// "a 33.33 of 50, b 16.67 of 25": each share and its stand-alone price.
std::string Text(const AllocationStretch& stretch) {
  std::string text;
  for (const AllocatedShare& share : stretch.shares) {
    const Currency usd = *Currency::FromCode("USD");
    text += (text.empty() ? "" : ", ") + share.charge->name + " " + ToString(Money{usd, share.minor}) + " of " +
            ToString(Price{share.stand_alone});
  }
  return text;
}

// IFRS 15 Example 33, ASC 606-10-55-256 to -258: products A, B and C for 100 together; on their own they are 50, 25
// and 75.
TEST(Allocation, GoesByRelativeStandAlonePrices) {
  CatalogTexts texts = Texts("1 year");
  AddFee("suite", "a", "100", true, &texts);
  AddFee("suite", "b", "0", true, &texts);
  AddFee("suite", "c", "0", true, &texts);
  texts.contracts = {
      {"suite",
       "1 year",
       {"{charge: a, stand_alone_price: 50, satisfied: at_point}",
        "{charge: b, stand_alone_price: 25, satisfied: at_point}", "{charge: c, stand_alone_price: 75}"}}};
  texts.subscriptions = {{"s1", "suite", "acme-us", "USD", "2025-01-01", "", "", ""}};
  const absl::StatusOr<Catalog> catalog = Parse(texts);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const std::vector<AllocatedContract> allocated = Allocated(*catalog, "2025-12-31");
  ASSERT_EQ(allocated.size(), 1u);
  ASSERT_EQ(allocated[0].stretches.size(), 1u);
  EXPECT_EQ(Text(allocated[0].stretches[0]), "a 33.33 of 50, b 16.67 of 25, c 50.00 of 75");
}

// IFRS 15 Example 7, ASC 606-10-55-125 to -128, without its added years: a service of 100,000 a year for three years,
// which costs 80,000 in the third, as it does on its own by then: what was recognised stays, and the rest is 80,000.
// A price of 10^30 cents fits, as any worth does; more of it, or stand-alone prices that cannot be added up, are told.
TEST(Allocation, IsToldWhenANumberDoesNotFit) {
  struct Case {
    const char* price;
    const char* also;
    const char* stand_alone;
    bool fits;
  };
  constexpr Case kCases[] = {
      {"100000000000000000000", "0", "1", true},  // for each of 100,000,000: 10^28 dollars
      {"100000000000000000000", "0.0000000001", "1", false},
      {"1", "1", "80000000000", true},
      {"1", "1", "90000000000000000000", false},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(std::string(c.price) + ", " + c.also + ", " + c.stand_alone);
    CatalogTexts texts = Texts("1 year");
    AddFee("suite", "a", c.price, true, &texts);
    AddFee("suite", "b", c.also, true, &texts);
    const std::string price = std::string(", stand_alone_price: ") + c.stand_alone + "}";
    texts.contracts = {{"suite", "1 year", {"{charge: a" + price, "{charge: b" + price}}};
    texts.subscriptions = {{"s1", "suite", "acme-us", "USD", "2025-01-01", "", "", "", "", "100000000"}};
    const absl::StatusOr<Catalog> catalog = Parse(texts);
    ASSERT_TRUE(catalog.ok()) << catalog.status();
    std::vector<AllocatedContract> allocated;
    EXPECT_EQ(
        Allocate(*catalog, ContractsOf(*catalog), "s1", catalog->SubscriptionsOf("s1"), On("2025-12-31"), &allocated),
        c.fits);
  }
}

TEST(Allocation, CountsAnAmendmentProspectively) {
  CatalogTexts texts = Texts("1 year");
  texts.plans.push_back({"cheaper", "USD", "billing_anchor: subscription, billing_period: 1 year"});
  AddFee("suite", "cleaning", "100000", false, &texts);
  AddFee("cheaper", "cleaning", "80000", false, &texts);
  texts.contracts = {{"suite", "3 years", {"{charge: cleaning, stand_alone_price: 100000}"}},
                     {"cheaper", "3 years", {"{charge: cleaning, stand_alone_price: 80000}"}}};
  texts.subscriptions = {{"s1", "suite", "acme-us", "USD", "2025-01-01", "2027-01-01", "", ""},
                         {"s1", "cheaper", "acme-us", "USD", "2027-01-01", "", "", ""}};
  const absl::StatusOr<Catalog> catalog = Parse(texts);
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const std::vector<AllocatedContract> allocated = Allocated(*catalog, "2027-01-01");
  ASSERT_EQ(allocated.size(), 1u);
  ASSERT_EQ(allocated[0].stretches.size(), 2u);
  EXPECT_EQ(Text(allocated[0].stretches[0]), "cleaning 300000.00 of 300000");
  EXPECT_EQ(allocated[0].stretches[1].recognised, 20000000);
  EXPECT_EQ(Text(allocated[0].stretches[1]), "cleaning 80000.00 of 80000");
  // Before the amendment nobody knows of it.
  EXPECT_EQ(Text(Allocated(*catalog, "2026-12-31")[0].stretches.back()), "cleaning 300000.00 of 300000");
}

struct Version {
  int from, to;  // days behind the first
  std::string plan, quantity;
};

// Random contracts: two plans, versions with other quantities, and times without any.
class RandomContract {
 public:
  explicit RandomContract(uint64_t seed) : dice_(seed) {
    CatalogTexts texts = Texts("1 month");
    texts.plans.push_back({"lite", "USD", "billing_anchor: subscription"});
    for (const char* plan : {"suite", "lite"}) {
      CatalogTexts::Contract contract{plan, "12 months", {}};
      const int fees = 1 + static_cast<int>(dice_() % 4);
      for (int fee = 0; fee < fees; ++fee) {
        const bool once = dice_() % 3 == 0, at_point = once && dice_() % 2 == 0;
        const std::string name = "fee-" + std::to_string(fee);
        AddFee(plan, name, std::to_string(dice_() % 300) + "." + std::to_string(10 + dice_() % 90), once, &texts);
        contract.obligations.push_back("{charge: " + name + ", stand_alone_price: " +
                                       std::to_string(1 + dice_() % 500) + (at_point ? ", satisfied: at_point}" : "}"));
      }
      texts.contracts.push_back(contract);
    }
    const int first = On("2025-01-01").number + static_cast<int>(dice_() % 60);
    for (int day = 0; day < 700;) {
      const int days = 1 + static_cast<int>(dice_() % 200);
      texts.subscriptions.push_back({"s1", dice_() % 2 == 0 ? "suite" : "lite", "acme-us", "USD",
                                     ToString(Day{first + day}), ToString(Day{first + day + days}), "", ""});
      texts.subscriptions.back().quantity = std::to_string(dice_() % 4);
      day += days + (dice_() % 4 == 0 ? static_cast<int>(dice_() % 40) : 0);
    }
    end_ = {first + 1200};
    absl::StatusOr<Catalog> parsed = Parse(texts);
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    if (parsed.ok()) catalog_.emplace(*std::move(parsed));
  }

  const Catalog& catalog() const { return *catalog_; }
  Day end() const { return end_; }
  std::mt19937_64& dice() { return dice_; }

 private:
  std::mt19937_64 dice_;
  std::optional<Catalog> catalog_;
  Day end_;
};

// What the rater bills of all fees, by the end of a day.
Int128 BilledBy(const Catalog& catalog, Day day) {
  const absl::StatusOr<RatedSubject> rated = RateSubject(catalog, "s1", {}, RateWindow(day));
  EXPECT_TRUE(rated.ok());
  Int128 billed = 0;
  for (const RatedCharge& charge : rated->charges) billed += charge.days.back().booked_to_date.minor;
  return billed;
}

Int128 RecognisedBy(const Catalog& catalog, Day day, std::map<std::pair<std::string, Day>, Int128>* of_lines) {
  std::vector<AllocatedContract> allocated;
  EXPECT_TRUE(Allocate(catalog, ContractsOf(catalog), "s1", catalog.SubscriptionsOf("s1"), day, &allocated));
  Int128 recognised = 0;
  for (const AllocatedContract& contract : allocated) {
    for (const AllocationStretch& stretch : contract.stretches) {
      Int128 shares = 0;
      for (const AllocatedShare& share : stretch.shares) shares += share.minor;
      EXPECT_EQ(shares, stretch.price - stretch.recognised) << ToString(stretch.from);
    }
    std::vector<AllocatedLine> lines;
    EXPECT_TRUE(LinesOf(contract, day, Rounding::kHalfUp, &lines));
    for (const AllocatedLine& line : lines) {
      if (line.days.empty()) continue;
      recognised += line.days.back().to_date;
      const std::string name = catalog.plans[line.subscription->plan].name + "/" + line.charge->name;
      if (of_lines != nullptr) (*of_lines)[{name, contract.term.start}] = line.days.back().to_date;
    }
  }
  return recognised;
}

// Whatever the amendments: in the end what was billed is recognised, to the minor unit, by an independent reckoning of
// what was billed; and a later day changes nothing that was recognised before it.
TEST(Allocation, EndsAtWhatWasBilled) {
  constexpr uint64_t kSeed = 20250101;
  for (uint64_t round = 0; round < 300; ++round) {
    SCOPED_TRACE("seed " + std::to_string(kSeed + round));
    RandomContract random(kSeed + round);
    const Catalog& catalog = random.catalog();
    ASSERT_EQ(RecognisedBy(catalog, random.end(), nullptr), BilledBy(catalog, random.end()));
    const Day cut{random.end().number - static_cast<int>(random.dice()() % 1200)};
    std::map<std::pair<std::string, Day>, Int128> some;
    (void)RecognisedBy(catalog, cut, &some);
    std::vector<AllocatedContract> allocated;
    ASSERT_TRUE(Allocate(catalog, ContractsOf(catalog), "s1", catalog.SubscriptionsOf("s1"), random.end(), &allocated));
    for (const AllocatedContract& contract : allocated) {
      std::vector<AllocatedLine> lines;
      ASSERT_TRUE(LinesOf(contract, random.end(), Rounding::kHalfUp, &lines));
      for (const AllocatedLine& line : lines) {
        Int128 by_cut = 0;
        for (const RecognisedDay& day : line.days) {
          if (day.day <= cut) by_cut = day.to_date;
        }
        const std::string name = catalog.plans[line.subscription->plan].name + "/" + line.charge->name;
        ASSERT_EQ(by_cut, (some[{name, contract.term.start}])) << name;
      }
    }
  }
}

}  // namespace
}  // namespace tollbook
