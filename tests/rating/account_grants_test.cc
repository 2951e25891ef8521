// Grants of an account pay whichever of its subscriptions owes something, in a stated order.
#include "rating/account_grants.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/rating/in_words.h"
#include "tests/rating/reference_paid.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr std::string_view kAccount = "acct-1";
constexpr std::string_view kIds[] = {"a", "b", "c"};

Grant GrantOf(std::string id, int64_t cents, std::string_view from, std::string_view to = "") {
  Grant grant;
  grant.id = std::move(id);
  grant.account = kAccount;
  grant.amount = {In("USD"), cents};
  grant.rollover = grant.rollover_min = {In("USD"), 0};
  grant.starts_on = On(from);
  if (!to.empty()) grant.ends_on = On(to);
  grant.credit.name = "credit " + grant.id;
  grant.credit.is_of_grant = true;
  grant.breakage = grant.credit;
  grant.breakage->name = "breakage " + grant.id;
  return grant;
}

// Subscriptions a, b and c, each a subject; c began before the others.
Catalog CatalogWith(std::vector<Grant> grants) {
  Catalog catalog;
  Meter meter;
  meter.name = meter.event_type = "calls";
  catalog.meters = {meter};
  Charge charge;
  charge.name = charge.meter = "calls";
  charge.pricing.unit_price = Each("1");
  Plan plan;
  plan.name = "starter";
  plan.currency = In("USD");
  plan.charges = {charge};
  catalog.plans = {plan};
  for (const std::string_view id : kIds) {
    Subscription& subscription = catalog.subscriptions.emplace_back();
    subscription.subject = subscription.id = id;
    subscription.account = kAccount;
    subscription.valid_from = On(id == "c" ? "2024-12-01" : "2025-01-01");
  }
  catalog.grants = std::move(grants);
  catalog.BuildIndex();
  return catalog;
}

// Cents that come due, by subscription and day.
using Dues = std::map<std::string_view, std::map<std::string_view, int64_t>>;

AccountDues DuesOf(const Dues& dues) {
  AccountDues account;
  for (const auto& [id, days] : dues) {
    for (const auto& [day, cents] : days) account.of_subscription[id][On(day)] = cents;
  }
  return account;
}

// What each grant pays, or loses, by subscription, grant and day: "b pool 2025-01-10" or "c pool lost 2025-02-01".
using Paid = std::map<std::string, int64_t>;

void AddDays(const std::string& what, const std::vector<GrantDay>& days, Paid* paid) {
  Int128 before = 0;
  for (const GrantDay& day : days) {
    (*paid)[what + " " + ToString(day.day)] = static_cast<int64_t>(day.to_date - before);
    before = day.to_date;
  }
}

Paid PaidOf(const Catalog& catalog, const AccountDues& dues, std::optional<Day> through) {
  SettledGrants settled;
  Settle(catalog, kAccount, dues, through, &settled);
  EXPECT_TRUE(settled.not_settled.empty());
  Paid paid;
  for (const auto& [id, shares] : settled.of_subscription) {
    for (const GrantShare& share : shares) {
      AddDays(std::string(id) + " " + share.grant->id, share.paid, &paid);
      AddDays(std::string(id) + " " + share.grant->id + " lost", share.lost, &paid);
    }
  }
  return paid;
}

TEST(AccountGrants, PayByDayThenBySubscription) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01")});
  const Dues dues = {{"a", {{"2025-01-11", 500}}}, {"b", {{"2025-01-10", 300}, {"2025-01-11", 900}}}};
  EXPECT_EQ(PaidOf(catalog, DuesOf(dues), On("2025-01-31")),
            (Paid{{"b pool 2025-01-10", -300}, {"a pool 2025-01-11", -500}, {"b pool 2025-01-11", -200}}));
}

TEST(AccountGrants, HaveBackOnADayBeforeTheyPayOnIt) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01")});
  const Dues dues = {{"a", {{"2025-01-11", 700}}}, {"b", {{"2025-01-10", 1000}, {"2025-01-11", -400}}}};
  EXPECT_EQ(PaidOf(catalog, DuesOf(dues), On("2025-01-31")),
            (Paid{{"b pool 2025-01-10", -1000}, {"b pool 2025-01-11", 400}, {"a pool 2025-01-11", -400}}));
}

// What is taken back of one was unpaid, so nothing goes back, though another's was paid.
TEST(AccountGrants, GiveBackNothingThatWasPaidForAnother) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01")});
  const Dues dues = {{"a", {{"2025-01-10", 1000}}}, {"b", {{"2025-01-10", 300}, {"2025-01-11", -200}}}};
  EXPECT_EQ(PaidOf(catalog, DuesOf(dues), On("2025-01-31")), (Paid{{"a pool 2025-01-10", -1000}}));
}

TEST(AccountGrants, PayWhatCameDueEarlierBySubscription) {
  Grant late = GrantOf("late", 1000, "2025-01-20");
  late.pays_earlier = true;
  const Catalog catalog = CatalogWith({late});
  const Dues dues = {{"a", {{"2025-01-12", 700}}}, {"b", {{"2025-01-10", 500}, {"2025-01-20", 100}}}};
  EXPECT_EQ(PaidOf(catalog, DuesOf(dues), On("2025-01-31")),
            (Paid{{"a late 2025-01-20", -700}, {"b late 2025-01-20", -300}}));
}

TEST(AccountGrants, LoseOnALineOfTheSubscriptionThatBeganFirst) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01", "2025-02-01")});
  const Dues dues = {{"a", {{"2025-01-12", 700}}}};
  EXPECT_EQ(PaidOf(catalog, DuesOf(dues), On("2025-02-28")),
            (Paid{{"a pool 2025-01-12", -700}, {"c pool lost 2025-02-01", 300}}));
  EXPECT_EQ(PaidOf(catalog, AccountDues(), std::nullopt), Paid());
  EXPECT_EQ(PaidOf(catalog, AccountDues(), On("2025-02-01")), (Paid{{"c pool lost 2025-02-01", 1000}}));
}

TEST(AccountGrants, AreNotSettledWhereASubjectCannotBeRatedOrADayDoesNotFit) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01")});
  DuesByAccount dues;
  const absl::Status status = absl::OutOfRangeError("too large");
  AddDues(catalog, "b", status, RatedSubject(), &dues);
  SettledGrants settled;
  Settle(catalog, kAccount, dues[kAccount], std::nullopt, &settled);
  ASSERT_TRUE(settled.not_settled.contains(kAccount));
  EXPECT_TRUE(absl::IsOutOfRange(settled.not_settled[kAccount]));

  // The others of the account keep what is booked for them.
  SubjectRater rater(catalog, &settled);
  RatedSubject rated;
  EXPECT_TRUE(absl::IsOutOfRange(rater.Rate("a", {}, std::nullopt, &rated)));

  const Int128 most = ~(Int128{1} << 127);
  AccountDues beyond;
  beyond.of_subscription["a"] = {{On("2025-01-01"), most}, {On("2025-01-02"), most}};
  SettledGrants none;
  Settle(catalog, kAccount, beyond, std::nullopt, &none);
  EXPECT_TRUE(none.not_settled.contains(kAccount));
}

// A subject's own lines, once the account is settled: the drawn line names the grant, its account and what is left.
TEST(AccountGrants, AreALineOfEachSubscription) {
  const Catalog catalog = CatalogWith({GrantOf("pool", 1000, "2025-01-01")});
  const std::vector<SubjectTotal> totals = {
      {catalog.meters.data(), {}, {On("2025-01-10").number}, {Quantity::Units(4), 1, {}}}};
  SettledGrants settled;
  Settle(catalog, kAccount, DuesOf({{"a", {{"2025-01-09", 700}}}, {"b", {{"2025-01-10", 400}}}}), std::nullopt,
         &settled);
  SubjectRater rater(catalog, &settled);
  RatedSubject rated;
  ASSERT_TRUE(rater.Rate("b", totals, std::nullopt, &rated).ok());
  ASSERT_EQ(rated.charges.size(), 2u);
  const RatedCharge& credit = rated.charges.back();
  EXPECT_EQ(credit.charge->name, "credit pool");
  EXPECT_EQ(ToString(credit.days.back().booked_to_date), "-3.00");
  std::vector<PriceStep> steps;
  ASSERT_TRUE(PriceToDate(credit, credit.days.back(), &steps).ok());
  EXPECT_EQ(steps[0].what, "paid by the grant of account acct-1, 0 left");
}

std::vector<Grant> RandomGrants(std::mt19937_64& random) {
  const auto draw = [&](int64_t below) { return static_cast<int64_t>(random() % static_cast<uint64_t>(below)); };
  std::vector<Grant> grants;
  for (int64_t i = draw(4); i >= 0; --i) {
    Grant& grant = grants.emplace_back(GrantOf("g" + std::to_string(9 - i), 100 * draw(60), "2025-01-01"));
    grant.starts_on.number += static_cast<int32_t>(draw(60));
    if (draw(2) == 0) grant.ends_on = Day{grant.starts_on.number + 1 + static_cast<int32_t>(draw(60))};
    grant.priority = static_cast<int32_t>(draw(3));
    grant.pays_earlier = draw(2) == 0;
    if (draw(2) == 0) {
      grant.refill = ParseBillingCycle(draw(2) == 0 ? "10 days" : "1 month");
      grant.refill->anchor = grant.starts_on;
      if (draw(3) == 0) grant.rollover_min.minor = 100 * draw(30);
      grant.rollover.minor = grant.rollover_min.minor + 100 * draw(30);
    }
  }
  return grants;
}

// Days that come to more and to less, none to less than nothing all in all.
AccountDues RandomDues(std::mt19937_64& random) {
  AccountDues dues;
  for (const std::string_view id : kIds) {
    Int128 left = 0;
    for (int32_t day = On("2025-01-01").number; day < On("2025-04-30").number; ++day) {
      if (random() % 12 != 0) continue;
      const Int128 change = static_cast<Int128>(random() % 2000) - (random() % 3 == 0 ? left : 0);
      dues.of_subscription[id][{day}] = change;
      left += change;
    }
  }
  return dues;
}

// What the slow twin says.
Paid PaidByTwin(const Catalog& catalog, const AccountDues& dues, Day last) {
  std::vector<const Grant*> grants;
  for (const Grant& grant : catalog.grants) grants.push_back(&grant);
  reference::Debts debts;
  for (const auto& [id, days] : dues.of_subscription) {
    for (const auto& [day, minor] : days) debts[std::string(id)][day.number] = static_cast<int64_t>(minor);
  }
  Paid paid;
  const auto add = [&](const std::string& what, const std::map<int64_t, reference::PaidDay>& days) {
    reference::Integer before = 0;
    for (const auto& [day, worth] : days) {
      paid[what + " " + ToString(Day{static_cast<int32_t>(day)})] =
          reference::Integer(worth.to_date - before).convert_to<int64_t>();
      before = worth.to_date;
    }
  };
  for (const reference::PaidBy& by : reference::Pay(grants, debts, last.number)) {
    for (const auto& [id, days] : by.paid) add(id + " " + by.grant->id, days);
    add("c " + by.grant->id + " lost", by.lost);
  }
  return paid;
}

TEST(AccountGrants, AreAsTheirTwinSaysAndAnyCutSumsToTheSame) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 1000; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const Catalog catalog = CatalogWith(RandomGrants(random));
    const AccountDues dues = RandomDues(random);
    const Day cut{On("2025-01-01").number + static_cast<int32_t>(random() % 119)};
    Paid whole = PaidOf(catalog, dues, On("2025-04-30"));
    ASSERT_EQ(whole, PaidByTwin(catalog, dues, On("2025-04-30")));
    std::erase_if(whole, [&](const auto& paid) { return On(paid.first.substr(paid.first.size() - 10)) > cut; });
    AccountDues up_to = dues;
    for (auto& [id, days] : up_to.of_subscription) days.erase(days.upper_bound(cut), days.end());
    ASSERT_EQ(PaidOf(catalog, up_to, cut), whole) << ToString(cut);
  }
}

}  // namespace
}  // namespace tollbook
