// UsageDays: what each charge was used on each day, as of a seal: what billing systems are told.
//
// A day has the charge's quantity to date less that to the day before, so the days of a billing period sum to the
// quantity that `charges` shows for it. It is derived from what the seal saw: the totals of the commits before it, the
// catalog that it kept, the days up to its `through`. Days behind that, and subjects that it could not rate, are as of
// the seal before, as what is booked for them is. So it is the same whenever it is asked for.
//
// Charges of a meter only: fees, minimums, discounts and credits have no usage; LineDaysAsOf has them, too. A day of a
// charge that takes the latest or a smaller value may be negative.
#ifndef TOLLBOOK_PIPELINE_USAGE_DAYS_H_
#define TOLLBOOK_PIPELINE_USAGE_DAYS_H_

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "ledger/book.h"
#include "rating/calendar.h"
#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

enum class DayLine : uint8_t {
  kUsage,
  kOther,     // a fee, a minimum or maximum, a discount
  kCredit,    // what a grant pays, below zero
  kBreakage,  // what it loses
};

struct UsageDay {
  std::string subscription;
  std::string plan;
  std::string charge;
  BillingPeriod period;
  Day day;            // civil, in the subscription's zone
  Quantity quantity;  // of the day; not zero, but where there is no usage
  Instant start;      // of the day
  std::string account;
  std::string entity;
  std::string meter;
  Money amount;  // what the day comes to, as it is booked once nothing keeps it waiting
  DayLine line = DayLine::kUsage;

  // What it is of; no two are of the same.
  auto key() const { return std::tie(subscription, plan, charge, period, day); }
};

// By their keys. Seal 0 is the empty book. Memory grows with what is returned.
// NotFound: the book has no such seal. Others: as VisitSubjects.
[[nodiscard]] absl::StatusOr<std::vector<UsageDay>> UsageDaysAsOf(const Book& book, uint64_t seal, int threads);
// The same of all lines: also of what has no usage, and of days that change an amount alone.
[[nodiscard]] absl::StatusOr<std::vector<UsageDay>> LineDaysAsOf(const Book& book, uint64_t seal, int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_USAGE_DAYS_H_
