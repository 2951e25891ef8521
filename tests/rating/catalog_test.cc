#include "rating/catalog.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

Meter MeterOf(std::string name, std::string event_type, std::vector<std::string> dimensions = {}) {
  Meter meter;
  meter.name = std::move(name);
  meter.event_type = std::move(event_type);
  meter.dimensions = std::move(dimensions);
  return meter;
}

Subscription SubscriptionOf(std::string_view id, std::string_view subject, std::string_view from) {
  Subscription subscription;
  subscription.id = id;
  subscription.subject = subject;
  subscription.valid_from = On(from);
  return subscription;
}

std::vector<std::string_view> Values(std::vector<std::string_view> values) {
  return values;
}

Catalog Demo() {
  Catalog catalog;
  catalog.meters = {MeterOf("calls", "api"), MeterOf("errors", "api"), MeterOf("tokens", "llm", {"model", "region"})};
  catalog.subscriptions = {SubscriptionOf("s1", "acme", "2025-01-01"), SubscriptionOf("s1", "acme", "2025-02-01"),
                           SubscriptionOf("s9", "beta", "2025-01-01"), SubscriptionOf("s2", "zeta", "2025-01-01")};
  catalog.BuildIndex();
  return catalog;
}

TEST(Catalog, FindsTheMetersThatAnEventTypeFeeds) {
  const Catalog catalog = Demo();
  EXPECT_EQ(catalog.MetersOfType("api"), (std::vector<uint32_t>{0, 1}));
  EXPECT_EQ(catalog.MetersOfType("llm"), (std::vector<uint32_t>{2}));
  EXPECT_TRUE(catalog.MetersOfType("calls").empty());
  EXPECT_TRUE(catalog.MetersOfType("").empty());
}

TEST(Catalog, FindsAMeterByName) {
  const Catalog catalog = Demo();
  for (const Meter& meter : catalog.meters) EXPECT_EQ(catalog.FindMeter(meter.name), &meter);
  for (const char* name : {"", "api", "call", "callsx", "zz"}) EXPECT_EQ(catalog.FindMeter(name), nullptr) << name;
}

TEST(Catalog, FindsTheSubscriptionsOfASubject) {
  const Catalog catalog = Demo();
  const auto ids_and_starts = [&](std::string_view subject) {
    std::string text;
    for (const Subscription& s : catalog.SubscriptionsOf(subject))
      text.append(s.id).append(" " + ToString(s.valid_from) + ";");
    return text;
  };
  EXPECT_EQ(ids_and_starts("acme"), "s1 2025-01-01;s1 2025-02-01;");
  EXPECT_EQ(ids_and_starts("beta"), "s9 2025-01-01;");
  EXPECT_EQ(ids_and_starts("zeta"), "s2 2025-01-01;");
  EXPECT_EQ(ids_and_starts("s1"), "");
  EXPECT_EQ(ids_and_starts(""), "");
}

TEST(Catalog, IsIndexedAnewWhenBuiltAgain) {
  Catalog catalog = Demo();
  catalog.subscriptions.erase(catalog.subscriptions.begin(), catalog.subscriptions.begin() + 2);
  catalog.meters.erase(catalog.meters.begin());
  catalog.BuildIndex();
  EXPECT_EQ(catalog.SubscriptionsOf("acme").begin(), catalog.SubscriptionsOf("acme").end());
  EXPECT_EQ(catalog.SubscriptionsOf("beta").begin()->id, "s9");
  EXPECT_EQ(catalog.MetersOfType("api"), (std::vector<uint32_t>{0}));
}

TEST(Catalog, StaysIndexedWhenCopied) {
  const Catalog original = Demo();
  const Catalog copy = original;
  EXPECT_EQ(copy.SubscriptionsOf("acme").begin(), copy.subscriptions.data());
  EXPECT_EQ(copy.FindMeter("calls"), copy.meters.data());
}

Charge Filtered(std::string name, std::string meter, Filter filter) {
  Charge charge;
  charge.name = std::move(name);
  charge.meter = std::move(meter);
  charge.filter = std::move(filter);
  return charge;
}

struct FilterCase {
  const char* model;
  const char* region;
  const char* charge;
};

TEST(ChargeFor, TakesTheMostSpecificFilter) {
  const Catalog catalog = Demo();
  const Plan plan = {"starter",
                     In("USD"),
                     {Filtered("calls", "calls", {}), Filtered("other", "tokens", {}),
                      Filtered("large", "tokens", {{"model", "large"}}),
                      Filtered("large-eu", "tokens", {{"model", "large"}, {"region", "eu"}}),
                      Filtered("no-region", "tokens", {{"region", ""}})}};
  constexpr FilterCase kCases[] = {
      {"small", "us", "other"}, {"large", "us", "large"},   {"large", "eu", "large-eu"},
      {"small", "eu", "other"}, {"small", "", "no-region"}, {"large", "", "large"},  // a tie: the first in the plan
      {"Large", "eu", "other"},
  };
  for (const FilterCase& c : kCases) {
    const Charge* charge = catalog.ChargeFor(plan, *catalog.FindMeter("tokens"), Values({c.model, c.region}));
    ASSERT_NE(charge, nullptr);
    EXPECT_EQ(charge->name, c.charge) << c.model << " " << c.region;
  }
  EXPECT_EQ(catalog.ChargeFor(plan, *catalog.FindMeter("calls"), {})->name, "calls");
  EXPECT_EQ(catalog.ChargeFor(plan, *catalog.FindMeter("errors"), {}), nullptr);
}

TEST(ChargeFor, GivesNoneWhenNoFilterMatches) {
  const Catalog catalog = Demo();
  const Plan plan = {"eu-only", In("EUR"), {Filtered("eu", "tokens", {{"region", "eu"}})}};
  EXPECT_EQ(catalog.ChargeFor(plan, *catalog.FindMeter("tokens"), Values({"large", "us"})), nullptr);
  EXPECT_NE(catalog.ChargeFor(plan, *catalog.FindMeter("tokens"), Values({"large", "eu"})), nullptr);
}

struct PostingCase {
  const char* product;
  const char* entity;
  const char* credit;
};

TEST(PostingFor, TakesTheMostSpecificRuleProductBeforeEntity) {
  Catalog catalog;
  const auto add = [&](const char* product, const char* entity, const char* credit) {
    PostingRule rule;
    rule.product = product;
    rule.entity = entity;
    rule.credit = credit;
    catalog.posting_rules.push_back(rule);
  };
  add("", "acme-de", "entity only");
  add("tokens", "", "product only");
  EXPECT_EQ(catalog.PostingFor({.product = "mail", .entity = "acme-us"}), nullptr);
  add("", "", "any");
  add("tokens", "acme-us", "both");
  constexpr PostingCase kCases[] = {
      {"tokens", "acme-us", "both"},
      {"tokens", "acme-de", "product only"},
      {"tokens", "acme-fr", "product only"},
      {"mail", "acme-de", "entity only"},
      {"mail", "acme-us", "any"},
  };
  for (const PostingCase& c : kCases) {
    const PostingRule* rule = catalog.PostingFor({.product = c.product, .entity = c.entity});
    EXPECT_EQ(rule->credit, c.credit) << c.product << " " << c.entity;
  }
}

// Each rule names one thing more that the scope is, or another one instead. The first that only one of two rules names
// decides, in the order charge, plan, product, class, region, currency, entity.
TEST(PostingFor, LetsTheHeavierNameDecide) {
  constexpr PostingScope kScope = {"calls", "starter", "api", "reseller", "eu", "EUR", "acme-de"};
  PostingRule rules[] = {{}, {}, {}, {}, {}, {}, {}, {}};
  rules[1].entity = "acme-de";
  rules[2].currency = "EUR";
  rules[3].region = "eu";
  rules[3].entity = "acme-de";
  rules[4].customer_class = "reseller";
  rules[5].product = "api";
  rules[6].plan = "starter";
  rules[7].charge = "calls";
  Catalog catalog;
  for (PostingRule& rule : rules) {
    catalog.posting_rules.insert(catalog.posting_rules.begin(), rule);  // whatever their order
    EXPECT_EQ(catalog.PostingFor(kScope), &catalog.posting_rules.front()) << ScopeText(rule);
  }
  catalog.posting_rules.front().entity = "acme-us";
  EXPECT_EQ(catalog.PostingFor(kScope), &catalog.posting_rules[1]) << "the first is for others";
}

TEST(Meter, HasItsWords) {
  EXPECT_EQ(ToString(Aggregation::kSum), "sum");
  EXPECT_EQ(ToString(Aggregation::kCount), "count");
  EXPECT_EQ(ToString(Aggregation::kMax), "max");
  EXPECT_EQ(ToString(Aggregation::kLatest), "latest");
  EXPECT_EQ(ToString(Granularity::kDay), "day");
  EXPECT_EQ(ToString(Granularity::kHour), "hour");
  EXPECT_EQ(ToString(Granularity::kQuarterHour), "quarter_hour");
}

}  // namespace
}  // namespace tollbook
