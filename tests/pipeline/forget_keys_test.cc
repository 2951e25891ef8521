// A month is closed, its dedup keys are forgotten, and it is delivered again: nothing is counted twice, and everybody
// is told why.
#include "pipeline/forget_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/absorb_again.h"
#include "pipeline/audit.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/small_book.h"
#include "tests/pipeline/unit_priced_texts.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

CatalogTexts::Meter Calls(const std::string& name) {
  CatalogTexts::Meter calls;
  calls.name = calls.event_type = name;
  calls.aggregation = "sum";
  calls.value = "value";
  return calls;
}

std::string Line(const std::string& id, const std::string& time, const std::string& value,
                 const std::string& type = "calls") {
  return ToJson({.id = id, .type = type, .subject = "s1", .time = time, .value = value, .labels = {}}) + "\n";
}

std::string With(std::string line, const std::string& field) {
  return line.substr(0, line.rfind('}')) + "," + field + "}\n";
}

constexpr Day kFebruary{20'120};  // 2025-02-01

class ForgetKeysTest : public testing::Test {
 protected:
  ForgetKeysTest() : catalog_(*Parse(UnitPricedTexts({Calls("calls")}, {"s1"}))) {}

  AbsorbReport Use(const std::string& name, const std::string& lines, AbsorbOptions options = {}) {
    paths_.push_back(book_.Write(name, lines));
    options.seen_span_days = SeenSpanDays(12);
    const absl::StatusOr<AbsorbReport> report = Absorb(*book_, catalog_, Inputs({paths_.back()}), options);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.value_or(AbsorbReport());
  }
  void SealAll() {
    const absl::StatusOr<SealReport> sealed = Seal(*book_, catalog_, {1, std::nullopt});
    ASSERT_TRUE(sealed.ok()) << sealed.status();
  }
  void Close(const std::string& period) {
    const absl::StatusOr<PeriodChange> closed = ChangePeriod(
        *book_, catalog_,
        {PeriodAction::kClose, catalog_.entities[0].name, period, "Ann", "done", {"held", "rejected", "conflict"}}, 1);
    ASSERT_TRUE(closed.ok()) << closed.status();
  }
  absl::StatusOr<ForgetReport> Forget(Day before = kFebruary, bool waives_held = false) {
    return ForgetKeysOf(*book_, catalog_, {before, "Ann", "the month is over", waives_held}, 1);
  }
  std::string WhyNot(Day before = kFebruary) { return std::string(Std(Forget(before).status().message())); }
  // January: a thousand events; February: one.
  void UseBothMonths() {
    january_.clear();
    for (int i = 0; i < 1000; ++i) {
      const std::string day = (i % 31 < 9 ? "0" : "") + std::to_string(i % 31 + 1);
      january_ += Line("j" + std::to_string(i), "2025-01-" + day + "T23:59:59Z", "3");
    }
    ASSERT_EQ(Use("january.ndjson", january_).counts.accepted, 1000u);
    ASSERT_EQ(Use("february.ndjson", Line("f", "2025-02-01T00:00:00Z", "1")).counts.accepted, 1u);
    SealAll();
  }
  void ForgetJanuary() {
    UseBothMonths();
    Close("2025-01");
    const absl::StatusOr<ForgetReport> report = Forget();
    ASSERT_TRUE(report.ok()) << report.status();
    ASSERT_EQ(report->keys, 1000u);
  }
  void ExpectSound() {
    EXPECT_THAT(WhatIsWrong(*book_), IsEmpty());
    const TemporaryDirectory scratch(WhereSyncsAreQuick());
    const absl::StatusOr<std::vector<LawCheck>> again =
        AbsorbAgain(*book_, catalog_, Inputs(paths_), {}, scratch.path());
    ASSERT_TRUE(again.ok()) << again.status();
    for (const LawCheck& check : *again) EXPECT_TRUE(check.holds) << check.name << ": " << check.detail;
  }

  SmallBook book_;
  const Catalog catalog_;
  std::string january_;
  std::vector<std::string> paths_;
};

TEST_F(ForgetKeysTest, AMonthDeliveredAgainIsNotCounted) {
  ForgetJanuary();
  const std::string journal = JournalBytes(*book_);
  for (const DecoderChoice decoder : {DecoderChoice::kAuto, DecoderChoice::kSimdjson}) {
    AbsorbOptions options;
    options.decoder = decoder;
    // Another first line, so that the content is not that of a source which the book knows.
    const std::string first = Line("n" + std::to_string(static_cast<int>(decoder)), "2025-02-03T00:00:00Z", "1");
    const AbsorbReport again = Use("again-" + std::to_string(static_cast<int>(decoder)), first + january_, options);
    EXPECT_THAT(again.reasons, ElementsAre(Pair(Reason::kBeforeCutOff, 1000)));
    EXPECT_EQ(again.counts.accepted, 1u);
    EXPECT_EQ(again.counts.rejected, 1000u);
  }
  EXPECT_EQ(KeptExceptions(*book_)[0].payload + "\n", Line("j0", "2025-01-01T23:59:59Z", "3"));
  book_.Reopen();
  const AbsorbReport late =
      Use("late.ndjson", Line("j0", "2025-01-01T23:59:59Z", "3") + Line("new", "2025-01-31T23:59:59Z", "4") +
                             Line("f", "2025-02-01T00:00:00Z", "1"));
  EXPECT_THAT(late.reasons, UnorderedElementsAre(Pair(Reason::kBeforeCutOff, 2), Pair(Reason::kDuplicate, 1)));
  SealAll();
  EXPECT_EQ(JournalBytes(*book_).substr(0, journal.size()), journal);
  ExpectSound();
}

// What the documents call the risk.
TEST_F(ForgetKeysTest, AnIdThatComesAgainUnderALaterDateIsCounted) {
  UseBothMonths();
  const std::string redated = Line("j0", "2025-02-02T00:00:00Z", "3");
  EXPECT_THAT(Use("conflict.ndjson", redated).reasons, ElementsAre(Pair(Reason::kConflict, 1)));
  Close("2025-01");
  ASSERT_TRUE(Forget().ok());
  EXPECT_EQ(Use("counted.ndjson", redated + "\n").counts.accepted, 1u);
}

TEST_F(ForgetKeysTest, WhatCorrectsForgottenUsageIsRefused) {
  ForgetJanuary();
  const std::string correction = Line("c", "2025-02-04T00:00:00Z", "2");
  const std::string of_january = R"("corrects":"j0","original":{"time":"2025-01-01T23:59:59Z","data":{"value":3}})";
  const std::string the_void = With(Line("j1", "2025-01-02T23:59:59Z", "3"), R"("voids":"j1")");
  std::string voids = the_void;
  voids.replace(voids.find("\"j1\""), 4, "\"v\"");
  EXPECT_THAT(Use("corrections.ndjson", With(correction, of_january) + voids).reasons,
              ElementsAre(Pair(Reason::kBeforeCutOff, 2)));
  const AbsorbReport of_february =
      Use("february-corrected.ndjson",
          With(correction, R"("corrects":"f","original":{"time":"2025-02-01T00:00:00Z","data":{"value":1}})"));
  EXPECT_EQ(of_february.corrections, 1u) << "what is not forgotten is corrected as ever";
  SealAll();
  ExpectSound();
}

// The right to have corrected an event is remembered as long as the event may be corrected.
TEST_F(ForgetKeysTest, ACorrectionIsForgottenWithTheLaterOfTheTwo) {
  ASSERT_EQ(Use("january.ndjson", Line("j", "2025-01-05T00:00:00Z", "3")).counts.accepted, 1u);
  const std::string moved = With(Line("c", "2025-02-05T00:00:00Z", "2"),
                                 R"("corrects":"j","original":{"time":"2025-01-05T00:00:00Z","data":{"value":3}})");
  ASSERT_EQ(Use("moved.ndjson", moved).corrections, 1u);
  SealAll();
  Close("2025-01");
  const absl::StatusOr<ForgetReport> report = Forget();
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->keys, 1u);
  const std::string voids = With(Line("v", "2025-02-05T00:00:00Z", "2"), R"("voids":"c")");
  EXPECT_EQ(Use("void.ndjson", voids).corrections, 1u) << "the correction is there, and can be corrected itself";
  SealAll();
  ExpectSound();
}

TEST_F(ForgetKeysTest, NothingOfThatTimeIsUnfinished) {
  ASSERT_EQ(Use("january.ndjson", Line("j", "2025-01-05T00:00:00Z", "3")).counts.accepted, 1u);
  EXPECT_THAT(WhyNot(), HasSubstr("cannot be forgotten: unsealed"));
  SealAll();
  EXPECT_THAT(WhyNot(), HasSubstr("not_closed: acme-us 2025-01 is open: close it with `tollbook periods close`"));
  EXPECT_TRUE(Forget(Day{kFebruary.number - 31}).ok()) << "of before 2025 there is nothing";
  EXPECT_THAT(*CutOffs(*book_), IsEmpty()) << "so nothing is refused";
  Close("2025-01");
  EXPECT_THAT(WhyNot(Day{kFebruary.number + 1}), IsEmpty()) << "nobody used February";
  EXPECT_EQ(*CutOffOf(*book_), Day{kFebruary.number + 1});
}

TEST_F(ForgetKeysTest, WhatIsHeldOfThatTimeIsInTheWayUntilItIsWaived) {
  UseBothMonths();
  ASSERT_EQ(Use("held.ndjson", Line("h1", "2025-01-31T00:00:00Z", "1", "mails") +
                                   Line("h2", "2025-02-01T00:00:00Z", "1", "mails") +
                                   With(Line("c", "2025-02-04T00:00:00Z", "2"),
                                        R"("corrects":"gone","original":{"time":"2025-01-05T00:00:00Z"})"))
                .counts.held,
            3u);
  Close("2025-01");
  EXPECT_THAT(WhyNot(), HasSubstr("held: 2 lines are held of usage before 2025-02-01"));
  const absl::StatusOr<ForgetReport> report = Forget(kFebruary, /*waives_held=*/true);
  ASSERT_TRUE(report.ok()) << report.status();
  const absl::StatusOr<AuditLog> audit = Audit(*book_);
  ASSERT_TRUE(audit.ok()) << audit.status();
  EXPECT_EQ(audit->rows.back().what, "purge");
  EXPECT_EQ(audit->rows.back().after, "forgotten, and usage before 2025-02-01 is refused, waived held 2");

  const Catalog with_mails = *Parse(UnitPricedTexts({Calls("calls"), Calls("mails")}, {"s1"}));
  const absl::StatusOr<AbsorbReport> retried = RetryHeld(*book_, with_mails, {});
  ASSERT_TRUE(retried.ok()) << retried.status();
  EXPECT_THAT(retried->reasons, ElementsAre(Pair(Reason::kBeforeCutOff, 2)));
  EXPECT_EQ(retried->counts.accepted, 1u);
  EXPECT_THAT(BrokenLaws(*book_), IsEmpty());
}

// The day is of the book's zone, as totals have it.
TEST(ForgetKeysZone, TheCutOffIsADayOfTheBooksZone) {
  SmallBook book("America/New_York");
  CatalogTexts texts = UnitPricedTexts({Calls("calls")}, {"s1"});
  texts.zone = "America/New_York";
  const Catalog catalog = *Parse(texts);
  const auto use = [&](const std::string& name, const std::string& lines) {
    return *Absorb(*book, catalog, Inputs({book.Write(name, lines)}), {});
  };
  const std::string last = Line("e1", "2025-02-01T04:59:59Z", "1"), first = Line("e2", "2025-02-01T05:00:00Z", "1");
  ASSERT_EQ(use("both.ndjson", last).counts.accepted, 1u);
  ASSERT_EQ(use("first.ndjson", first).counts.accepted, 1u);
  const absl::StatusOr<ForgetReport> report = ForgetKeys(*book, {kFebruary, "Ann", "over", ""});
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->keys, 1u);
  EXPECT_THAT(use("again.ndjson", first + last).reasons,
              ElementsAre(Pair(Reason::kDuplicate, 1), Pair(Reason::kBeforeCutOff, 1)));
}

TEST(SeenSpanDays, AQuarterOfTheTimeAndAMonthAtLeast) {
  EXPECT_EQ(SeenSpanDays(std::nullopt), 0);
  EXPECT_EQ(SeenSpanDays(1), 30);
  EXPECT_EQ(SeenSpanDays(12), 90);
}

}  // namespace
}  // namespace tollbook
