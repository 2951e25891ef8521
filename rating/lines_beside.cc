#include "rating/lines_beside.h"

#include <cstddef>

#include "rating/error.h"

namespace tollbook {

const Charge* FeeOf(const Plan& plan, const Charge& line) {
  if (line.fee) return &line;
  if (!line.is_discount || plan.charges.empty()) return nullptr;
  const auto number = static_cast<size_t>(&line - plan.discount_lines.data());
  const Charge& of = plan.charges[number % plan.charges.size()];
  return of.fee ? &of : nullptr;
}

bool CanMakeBeside(const PostingRule& rule, BookedAs as, const Plan& plan, const Charge& line) {
  switch (as) {
    case BookedAs::kRated:
      return false;
    case BookedAs::kRecognised: {
      const Charge* const fee = rule.recognition == Recognition::kRatable ? FeeOf(plan, line) : nullptr;
      return fee != nullptr && fee->fee->in_advance;
    }
    case BookedAs::kDelivered:
      return !rule.delivered_by.empty();
    case BookedAs::kAccrued:
      return !rule.accrued.empty();
  }
  TOLLBOOK_ASSERT(!"one of the list");
  return false;
}

bool MayBeOfGrant(std::string_view line_name) {
  return line_name.starts_with("credit ") || line_name.starts_with("breakage ");
}

std::string_view DebitBeside(const PostingRule& rule, BookedAs as) {
  switch (as) {
    case BookedAs::kRated:
      return "";
    case BookedAs::kRecognised:
      return rule.deferred;
    case BookedAs::kDelivered:
      return rule.due_from;
    case BookedAs::kAccrued:
      return rule.accrued;
  }
  TOLLBOOK_ASSERT(!"one of the list");
  return "";
}

}  // namespace tollbook
