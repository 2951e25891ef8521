#include "ledger/exception.h"

#include <gtest/gtest.h>

#include <set>

namespace tollbook {
namespace {

TEST(Exception, EachReasonHasAWordOfItsOwnAndARemedy) {
  std::set<std::string_view> words;
  for (int i = 0; i < kReasons; ++i) {
    const auto reason = static_cast<Reason>(i);
    EXPECT_TRUE(words.insert(ToString(reason)).second) << ToString(reason);
    EXPECT_EQ(ReasonFromString(ToString(reason)), reason);
    EXPECT_TRUE(RemedyOf(reason).ends_with(".")) << ToString(reason);
  }
  EXPECT_EQ(ReasonFromString("nonsense"), std::nullopt);
}

TEST(Exception, WhatIsNotThereYetIsHeld) {
  EXPECT_EQ(OutcomeOf(Reason::kNone), Outcome::kAccepted);
  EXPECT_EQ(OutcomeOf(Reason::kUnknownMeter), Outcome::kHeld);
  EXPECT_EQ(OutcomeOf(Reason::kDuplicate), Outcome::kDuplicate);
  EXPECT_EQ(OutcomeOf(Reason::kConflict), Outcome::kConflict);
  for (const Reason reason :
       {Reason::kUnknownOriginal, Reason::kCannotTakeBack, Reason::kSourceGone, Reason::kSourceChanged}) {
    EXPECT_EQ(OutcomeOf(reason), Outcome::kHeld);
    EXPECT_TRUE(IsHeldCorrection(reason));
  }
  EXPECT_FALSE(IsHeldCorrection(Reason::kUnknownMeter));
  for (int i = 0; i < kReasons; ++i) {
    EXPECT_EQ(NeedsSource(static_cast<Reason>(i)), i == 35 || i == 36);
  }
  for (const Reason reason : {Reason::kOriginalDiffers, Reason::kAlreadyCorrected})
    EXPECT_EQ(OutcomeOf(reason), Outcome::kConflict);
  int rejected = 0;
  for (int i = 0; i < kReasons; ++i) rejected += OutcomeOf(static_cast<Reason>(i)) == Outcome::kRejected;
  EXPECT_EQ(rejected, kReasons - 10);
}

TEST(Exception, TheWordsOfOutcomes) {
  EXPECT_EQ(ToString(Outcome::kAccepted), "accepted");
  EXPECT_EQ(ToString(Outcome::kDuplicate), "duplicate");
  EXPECT_EQ(ToString(Outcome::kConflict), "conflict");
  EXPECT_EQ(ToString(Outcome::kHeld), "held");
  EXPECT_EQ(ToString(Outcome::kRejected), "rejected");
}

}  // namespace
}  // namespace tollbook
