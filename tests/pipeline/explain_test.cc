// Explain: that its arithmetic adds up is checked for every line of every scenario and of the whole flow's twin
// (WhatIsWrong of small_book.h). Here: what it shows of one line, and of lines that are not there.
#include "pipeline/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/seal.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

using testing::IsEmpty;

CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"api.calls", "", "sum", "value", "", {}, false}};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge calls;
  calls.plan = "starter";
  calls.name = "calls";
  calls.meter = "api.calls";
  calls.product = "api";
  calls.model = "graduated";
  calls.tiers = {{"100", "0.10", ""}, {"", "0.05", ""}};
  texts.charges = {calls};
  for (const char* id : {"s1", "s2"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

std::string Usage(const char* id, const char* subject, const char* day, const char* value) {
  return ToJson({id, "gateway", "api.calls", subject, std::string(day) + "T08:00:00Z", value, {}}) + "\n";
}

TEST(Explain, GoesFromALineToItsChargesTheirTiersAndTheLinesOfTheSources) {
  SmallBook book;
  const absl::StatusOr<Catalog> catalog = Parse(Texts());
  ASSERT_TRUE(catalog.ok()) << catalog.status();
  const std::string first =
      book.Write("a.ndjson", Usage("1", "s1", "2025-01-10", "80") + Usage("2", "s1", "2025-01-11", "30") +
                                 Usage("3", "s2", "2025-01-11", "10"));
  ASSERT_TRUE(Absorb(*book, *catalog, Inputs({first}), {}).ok());
  ASSERT_TRUE(Seal(*book, *catalog, {}).ok());
  const std::string late = book.Write("b.ndjson", "\n" + Usage("4", "s1", "2025-01-11", "40"));
  ASSERT_TRUE(Absorb(*book, *catalog, Inputs({late}), {}).ok());
  ASSERT_TRUE(Seal(*book, *catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(*book), IsEmpty());

  // The 11th: 20 x 0.10 + 10 x 0.05 of s1 and 10 x 0.10 of s2.
  absl::StatusOr<Explanation> line = Explain(*book, "acme-us-USD-2025-01-0001/2", 1);
  ASSERT_TRUE(line.ok()) << line.status();
  EXPECT_EQ(ToString(line->sum), "3.50");
  EXPECT_EQ(line->charges, 2u);
  ASSERT_EQ(line->largest.size(), 1u);
  EXPECT_EQ(line->largest[0].subscription, "s1");
  EXPECT_EQ(ToString(line->largest[0].difference), "2.50");
  EXPECT_EQ(ToString(line->largest[0].to_date), "110");
  EXPECT_EQ(ToString(line->largest[0].before), "80");

  // Its late part: what was booked before, and both commits that brought usage of the day.
  line = Explain(*book, "acme-us-USD-2025-01-0002/1", 10);
  ASSERT_TRUE(line.ok()) << line.status();
  ASSERT_EQ(line->largest.size(), 1u);
  const ExplainedCharge& charge = line->largest[0];
  EXPECT_EQ(ToString(charge.difference), "2.00");
  EXPECT_EQ(ToString(charge.booked_before), "2.50");
  ASSERT_EQ(charge.steps.size(), 2u);
  EXPECT_EQ(ToString(charge.steps[0].worth), "10");
  EXPECT_EQ(ToString(charge.steps[1].worth), "2.5");
  ASSERT_EQ(charge.origins.size(), 2u);
  EXPECT_EQ(ToString(charge.origins[0].quantity), "30");
  EXPECT_EQ(ToString(charge.origins[1].quantity), "40");
  ASSERT_EQ(charge.origins[1].stretches.size(), 1u);
  EXPECT_EQ(charge.origins[1].stretches[0].path, late);
  EXPECT_EQ(charge.origins[1].stretches[0].first_line, 1u);
  EXPECT_EQ(charge.origins[1].stretches[0].last_line, 2u);

  for (const char* none : {"", "acme-us-USD-2025-01-0001", "acme-us-USD-2025-01-0001/0", "acme-us-USD-2025-01-0001/3",
                           "acme-us-USD-2025-01-0003/1", "/1"}) {
    EXPECT_EQ(Explain(*book, none, 1).status().code(), absl::StatusCode::kNotFound) << none;
  }
}

}  // namespace
}  // namespace tollbook
