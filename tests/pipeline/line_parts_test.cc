// What lines have of accruals, in books of before the names of lines decided nothing.
#include "pipeline/line_parts.h"

#include <gtest/gtest.h>

#include "ledger/difference_run.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

// Interest that is called like the accrual of another charge, and debits the account of accruals.
CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", "", "late_usage: accrue"}};
  CatalogTexts::Meter meter;
  meter.name = "api.calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD", ""}};
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = "accrued interest";
  charge.product = "fee";
  charge.meter = "api.calls";
  charge.model = "per_unit";
  charge.price = "1";
  texts.charges = {charge};
  CatalogTexts::Posting accrues{"", "", "1200", "4000"};
  accrues.more = "accrued: \"1250\"";
  texts.postings = {accrues, {"fee", "", "1250", "4000"}};
  texts.subscriptions = {{"s1", "starter", "acme-us", "USD", "2025-01-01", "", "", ""}};
  return texts;
}

TEST(LineParts, AChargeThatIsNamedLikeAnAccrualIsNone) {
  const Catalog catalog = *Parse(Texts());
  SmallBook book;
  SealCommit seal;
  seal.record.number = book->next_seal();
  seal.record.catalog_digest = catalog.digest;
  seal.catalog_files = catalog.files();
  const Currency usd = *Currency::FromCode("USD");
  const LineKey key{"acme-us", usd, "2025-01", *ParseDay("2025-01-10"), "fee", "1250", "4000", ""};
  seal.batches = Summarise({{key, {1000, 1}}}, kTestBook, seal.record.number).batches;
  // As stored by its name alone; and once more on a day of which nothing is left.
  const BookedPlace place{"starter", "accrued interest", "fee", "acme-us", usd, "1250", "4000", "", BookedAs::kAccrued};
  const BillingPeriod january{*ParseDay("2025-01-01"), *ParseDay("2025-02-01")};
  DifferenceRunWriter differences;
  differences.BeginSubject("s1", 2);
  differences.Add({"s1", &place, january, *ParseDay("2025-01-10")}, 1000, 0);
  differences.Add({"s1", &place, january, *ParseDay("2025-01-11")}, 700, 1);
  seal.differences = {{0, differences.Finish(std::vector<LineRef>{{0, 1}, {0, 0}})}};
  ASSERT_TRUE(book->CommitSeal(seal).ok());
  const uint64_t sequence = book->Seals()->at(0).sequence;

  const StoredPlaces with_the_charge(catalog), without{Catalog()};
  const absl::StatusOr<std::map<uint64_t, LineParts>> none =
      LinePartsOf(*book, {}, /*accruals=*/true, {{sequence, &with_the_charge}});
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_TRUE(none->at(sequence).accruals.of_lines.empty());
  EXPECT_TRUE(none->at(sequence).accruals.of_no_line.empty());

  // Where there is no such charge, it is what is accrued of "interest".
  const absl::StatusOr<std::map<uint64_t, LineParts>> accrued =
      LinePartsOf(*book, {}, /*accruals=*/true, {{sequence, &without}});
  ASSERT_TRUE(accrued.ok()) << accrued.status();
  EXPECT_EQ(accrued->at(sequence).accruals.of_lines, (std::map<std::pair<uint32_t, uint32_t>, Int128>{{{0, 1}, 1000}}));
  EXPECT_EQ(accrued->at(sequence).accruals.of_no_line.size(), 1u);

  EXPECT_FALSE(LinePartsOf(*book, {}, /*accruals=*/true, {}).ok());
}

}  // namespace
}  // namespace tollbook
