#include "pipeline/grant_draws.h"

namespace tollbook {

Day GrantLine::GrantedOn(Day used_on) const {
  // What is lost on the day of a refill, or on the one behind the last, is of the money before.
  const Day day = is_breakage ? Day{used_on.number - 1} : used_on;
  return refill && starts_on < day ? PeriodOf(*refill, day).start : starts_on;
}

GrantLines GrantLinesOf(const Catalog& catalog) {
  GrantLines lines;
  for (const Grant& grant : catalog.grants) {
    lines.emplace(grant.credit.name, GrantLine{grant.id, grant.starts_on, grant.refill, false});
    if (grant.breakage) lines.emplace(grant.breakage->name, GrantLine{grant.id, grant.starts_on, grant.refill, true});
  }
  return lines;
}

GrantLines TakeGrantLines(const GrantLines& of, GrantLines* lines) {
  GrantLines changed;
  for (const auto& [charge, line] : of) {
    const auto [known, added] = lines->try_emplace(charge, line);
    if (!added && known->second == line) continue;
    known->second = line;
    changed.emplace(charge, line);
  }
  return changed;
}

absl::StatusOr<GrantDraws::Drawn*> GrantDraws::Draw(const GrantPart& part, Int128 minor, const GrantLine& of,
                                                    const ExchangeRates& rates, const DayRate& own) {
  const Day granted_on = of.GrantedOn(part.used_on);
  const auto [it, added] = drawn_.try_emplace(Key(of.grant, part.entity, own.to, granted_on));
  Drawn& drawn = it->second;
  if (added) {
    const std::optional<ExchangeRate> rate = rates.OnOrFirst(own.from, own.to, granted_on);
    TOLLBOOK_ASSERT(rate);  // the pair has that of `own`
    drawn.rate = *rate;
  }
  // What a grant pays is credited to what is paid, so its differences are below zero.
  const bool fits = of.is_breakage ? !__builtin_add_overflow(drawn.to_date, minor, &drawn.to_date)
                                   : !__builtin_sub_overflow(drawn.to_date, minor, &drawn.to_date);
  if (fits) return &drawn;
  return MakeError(absl::StatusCode::kOutOfRange, "what is drawn of a grant is too large to be converted", of.grant,
                   "leave out --functional");
}

}  // namespace tollbook
