// LinesBeside: which posting rules make lines beside those that they take (BookedAs). Pure.
#ifndef TOLLBOOK_RATING_LINES_BESIDE_H_
#define TOLLBOOK_RATING_LINES_BESIDE_H_

#include <string_view>

#include "rating/booked_as.h"
#include "rating/catalog.h"

namespace tollbook {

// The fee that a line of the plan is of: itself, or what a discount is taken off. Null: none.
const Charge* FeeOf(const Plan& plan, const Charge& line);

// Whether the rule, where it takes the line of the plan, can make one of that kind beside it. Whether it does so
// depends on who sells, too: what an entity sells and delivers itself has no side of another one, and only one that
// says so accrues.
bool CanMakeBeside(const PostingRule& rule, BookedAs as, const Plan& plan, const Charge& line);

// Whether a line of that name can be a grant's. There may be many grants, and few charges are named like their lines.
bool MayBeOfGrant(std::string_view line_name);

// The account that such a line debits; of kRated none.
std::string_view DebitBeside(const PostingRule& rule, BookedAs as);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_LINES_BESIDE_H_
