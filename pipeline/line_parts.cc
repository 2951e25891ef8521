#include "pipeline/line_parts.h"

#include <algorithm>
#include <string>
#include <vector>

#include "ledger/difference_run.h"
#include "ledger/records.h"
#include "ledger/totals_run.h"

namespace tollbook {
namespace {

enum class PartOf { kNeither, kGrant, kAccrual };

PartOf KindOf(const BookedPlace& place, const GrantLines& lines, bool accruals) {
  // An accrual of what a grant pays is taken back at the same amount: it is no draw.
  if (place.as == BookedAs::kAccrued) return accruals ? PartOf::kAccrual : PartOf::kNeither;
  return lines.contains(RatedName(place)) ? PartOf::kGrant : PartOf::kNeither;
}

Int128& GrantSum(const Difference& difference, GrantParts* grants) {
  const BookedPlace& place = *difference.key.place;
  return (*grants)[{difference.line, std::string(RatedName(place)), std::string(place.entity), place.currency,
                    difference.key.usage_date, std::string(place.debit), std::string(place.credit)}];
}

Int128& AccrualSum(const Difference& difference, AccrualParts* accruals) {
  if (difference.line.line != 0) return accruals->of_lines[{difference.line.batch, difference.line.line}];
  const BookedPlace& place = *difference.key.place;
  LineKey key;
  key.entity = place.entity;
  key.currency = place.currency;
  key.product = place.product;
  key.debit = place.debit;
  key.credit = place.credit;
  key.dimensions = place.dimensions;
  key.usage_date = difference.key.usage_date;
  return accruals->of_no_line[std::move(key)];
}

absl::Status AddParts(const StoredRun& run, const GrantLines& lines, bool accruals, const StoredPlaces& stored,
                      LineParts* parts) {
  DifferenceRunReader reader(run.bytes);
  std::vector<BookedPlace> places;
  std::vector<PartOf> kinds;
  for (const BookedPlace& place : reader.places()) {
    kinds.push_back(KindOf(places.emplace_back(stored.Read(place)), lines, accruals));
  }
  const bool has_any = std::ranges::any_of(kinds, [](PartOf kind) { return kind != PartOf::kNeither; });
  std::string_view subject;
  uint32_t count = 0;
  while (has_any && reader.NextSubject(&subject, &count)) {
    Difference difference;
    for (uint32_t i = 0; i < count && reader.Next(&difference); ++i) {
      const auto number = static_cast<size_t>(difference.key.place - reader.places().data());
      const PartOf kind = kinds[number];
      if (kind == PartOf::kNeither) continue;
      difference.key.place = &places[number];
      Int128& sum =
          kind == PartOf::kGrant ? GrantSum(difference, &parts->grants) : AccrualSum(difference, &parts->accruals);
      if (__builtin_add_overflow(sum, difference.minor, &sum)) {
        return DamagedError("booked amounts of " + std::string(difference.key.place->charge));
      }
    }
  }
  return reader.ok() ? absl::OkStatus() : DamagedError("booked amounts of commit " + std::to_string(run.sequence));
}

}  // namespace

absl::StatusOr<std::map<uint64_t, LineParts>> LinePartsOf(const Book& book, const GrantLines& lines, bool accruals,
                                                          const PlacesOfSeals& seals) {
  std::map<uint64_t, LineParts> parts;
  const bool has_any = accruals || !lines.empty();
  for (int shard = 0; shard < kTotalShards && has_any; ++shard) {
    const absl::StatusOr<std::vector<StoredRun>> runs = book.Differences(shard);
    if (!runs.ok()) return runs.status();
    for (const StoredRun& run : *runs) {
      const auto places = seals.find(run.sequence);
      if (places == seals.end()) return DamagedError("booked amounts of commit " + std::to_string(run.sequence));
      TOLLBOOK_RETURN_IF_ERROR(AddParts(run, lines, accruals, *places->second, &parts[run.sequence]));
    }
  }
  return parts;
}

}  // namespace tollbook
