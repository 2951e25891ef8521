// ReferencePaid: the twin of discounts and of grants of money, as slow and plain as the reference rater: every day is
// walked through, one after the other, with big integers.
#ifndef TOLLBOOK_TESTS_RATING_REFERENCE_PAID_H_
#define TOLLBOOK_TESTS_RATING_REFERENCE_PAID_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/rating/reference_rater.h"

namespace tollbook::reference {

// Both add lines to those of `result`. `timed`: up to which day that happens which no usage brings.
void TakeOffDiscounts(const Catalog& catalog, const std::string& subject, std::optional<Day> timed, bool has_window,
                      Subject* result);
void PayFromGrants(const Catalog& catalog, const std::string& subject, std::optional<Day> timed, Subject* result);

// What several subscriptions owe, by id and day, in minor units; and what one grant pays for each, and loses.
using Debts = std::map<std::string, std::map<int64_t, Integer>>;
struct PaidDay {
  Integer to_date, left;
};
struct PaidBy {
  const Grant* grant = nullptr;
  std::map<std::string, std::map<int64_t, PaidDay>> paid;  // by id and day on which it changes; below zero
  std::map<int64_t, PaidDay> lost;
};
std::vector<PaidBy> Pay(const std::vector<const Grant*>& grants, const Debts& debts, int64_t last);

}  // namespace tollbook::reference

#endif  // TOLLBOOK_TESTS_RATING_REFERENCE_PAID_H_
