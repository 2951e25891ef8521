#include "pipeline/grant_draws.h"

#include <algorithm>

#include "ledger/difference_run.h"
#include "ledger/records.h"
#include "ledger/totals_run.h"
#include "pipeline/booked_places.h"

namespace tollbook {
namespace {

bool IsOfGrant(const BookedPlace& place, const GrantLines& lines) {
  return place.as != BookedAs::kAccrued && lines.contains(RatedName(place));
}

absl::Status AddParts(const StoredRun& run, const GrantLines& lines, GrantParts* parts) {
  DifferenceRunReader reader(run.bytes);
  std::vector<bool> is_of_grant;
  for (const BookedPlace& place : reader.places()) is_of_grant.push_back(IsOfGrant(place, lines));
  const bool has_any = std::ranges::find(is_of_grant, true) != is_of_grant.end();
  std::string_view subject;
  uint32_t count = 0;
  while (has_any && reader.NextSubject(&subject, &count)) {
    Difference difference;
    for (uint32_t i = 0; i < count && reader.Next(&difference); ++i) {
      const BookedPlace& place = *difference.key.place;
      if (!is_of_grant[static_cast<size_t>(&place - reader.places().data())]) continue;
      const GrantPart part{difference.line,          std::string(RatedName(place)), std::string(place.entity),
                           place.currency,           difference.key.usage_date,     std::string(place.debit),
                           std::string(place.credit)};
      Int128& sum = (*parts)[part];
      if (__builtin_add_overflow(sum, difference.minor, &sum)) return DamagedError("booked amounts of " + part.charge);
    }
  }
  return reader.ok() ? absl::OkStatus() : DamagedError("booked amounts of commit " + std::to_string(run.sequence));
}

}  // namespace

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

absl::StatusOr<std::map<uint64_t, GrantParts>> GrantPartsOf(const Book& book, const GrantLines& lines) {
  std::map<uint64_t, GrantParts> parts;
  for (int shard = 0; shard < kTotalShards && !lines.empty(); ++shard) {
    const absl::StatusOr<std::vector<StoredRun>> runs = book.Differences(shard);
    if (!runs.ok()) return runs.status();
    for (const StoredRun& run : *runs) TOLLBOOK_RETURN_IF_ERROR(AddParts(run, lines, &parts[run.sequence]));
  }
  return parts;
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
