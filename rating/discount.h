// Discount: a percentage, or an amount, off what a subscription comes to while it is valid: a coupon, a negotiated
// rebate, a credit note.
//
// Base      what the lines that it is of come to within one of the plan's billing periods, by the amounts as they are
//           booked, on days on which it is valid. A credit (a fee that is given back, a price that falls) comes off
//           what came due last before it (due_parts.h), be it still valid or not, down to zero; so does what an earlier
//           discount takes off on a later day. So what is credited of a discounted fee is credited at its discount, and
//           in a billing period a discount never takes a line below zero, its own credits of later days included.
//           What a plan's maximum takes off comes off what came due on that day, in minor units by the lines' amounts
//           of it, spread like an amount (below); what a line that is credited does not carry of it any more, others
//           do by what is left of them.
// Order     percentages first, each of what those before it left; then amounts, likewise. Among the ones and the others
//           by `order`, then by id. All come after the charge's own discount_percent, minimum and maximum and after the
//           bounds of the plan, and before what grants pay.
// Rounding  a percentage of the base to date, of each line, once, as the book rounds. An amount is spread over its
//           lines in minor units by their bases to date: the floor of each share, and one more for the largest
//           remainders (of equal ones the first line). Both are functions of what came due up to the day, so what a day
//           takes off is the difference to the day before, and any cut into seals sums to the same. A credit that
//           shrinks one line moves its part of an amount to the others, on the day of the credit: so of a day or of a
//           later period alone a line may have more taken off than came due in it.
// Lines     what is taken off a charge is a line of its own, below zero, under the discount's product or the charge's.
#ifndef TOLLBOOK_RATING_DISCOUNT_H_
#define TOLLBOOK_RATING_DISCOUNT_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "rating/calendar.h"
#include "rating/money.h"

namespace tollbook {

struct Discount {
  enum class Of : uint8_t { kSubscription, kAccount, kPlan };
  std::string id;
  Of of = Of::kSubscription;
  std::string name;             // of that subscription, account or plan
  std::string charge;           // only of this one; empty: of all lines
  Price share;                  // 0 to 1: the catalog's percent / 100; or
  std::optional<Money> amount;  // off each billing period of the subscription
  uint32_t product = 0;         // index into Catalog::discount_products; the first is the charge's own
  Day starts_on;                // civil, in the subscription's zone
  std::optional<Day> ends_on;   // exclusive; none: never
  int32_t order = 0;            // the lower one first
  bool reaches_back = false;    // in the billing period in which it starts it is of all that came due before, too
  int line = 0;
};

// What one discount took off a line by the end of a day.
struct TakenOff {
  const Discount* discount = nullptr;
  Int128 minor = 0;
};

// `amount` spread by weights, none of them negative, their sum not below the amount and above zero: the shares sum to
// it, and none is above its weight.
std::vector<Int128> SpreadByLargestRemainder(Int128 amount, std::span<const Int128> weights);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_DISCOUNT_H_
