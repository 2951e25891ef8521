#include "pipeline/charges.h"

#include <algorithm>
#include <mutex>
#include <tuple>

#include "rating/catalog_text.h"

namespace tollbook {
namespace {

bool SameCharge(const BookedKey& a, const BookedKey& b) {
  const BookedPlace &x = *a.place, &y = *b.place;
  return std::tie(a.subscription, x.plan, x.charge, x.as, x.product, x.entity, x.currency, a.period) ==
         std::tie(b.subscription, y.plan, y.charge, y.as, y.product, y.entity, y.currency, b.period);
}

ChargeRow RowOf(const Catalog& catalog, const RatedCharge& rated) {
  const Plan& plan = catalog.plans[rated.subscription->plan];
  ChargeRow row;
  row.subscription = rated.subscription->id;
  row.charge = rated.charge->name;
  row.meter = rated.charge->meter;
  row.dimensions = FilterText(*rated.charge);
  row.period = rated.period;
  row.currency = plan.currency;
  row.quantity = rated.days.back().to_date;
  row.exact = WorthToDate(rated, rated.days.back());
  row.booked.currency = plan.currency;
  row.plan = plan.name;
  row.entity = catalog.entities[rated.subscription->entity].name;
  row.events = rated.days.back().events_to_date;
  return row;
}

ChargeRow RowOf(const BookedKey& key) {
  ChargeRow row;
  row.subscription = key.subscription;
  row.charge = key.place->charge;
  row.period = key.period;
  row.currency = key.place->currency;
  row.booked.currency = key.place->currency;
  row.plan = key.place->plan;
  row.entity = key.place->entity;
  return row;
}

// Of what a deferred charge turns into day by day: worth as much as is due of it.
ChargeRow RowOf(const SubjectWorth& worth, const RecognisedCharge& recognised) {
  ChargeRow row = RowOf(recognised.key);
  Money due = row.booked;
  for (const BookedAmount& amount : worth.due) {
    if (SameCharge(amount.key, recognised.key)) due.minor += amount.minor;
  }
  row.exact = ExactWorthOf(due);
  return row;
}

// Gives each booked amount to its charge's row; what no row takes gets one of its own.
std::vector<ChargeRow> RowsOf(const Catalog& catalog, const SubjectWorth& worth) {
  std::vector<ChargeRow> rows;
  std::vector<BookedKey> keys(worth.keys.begin(), worth.keys.end());
  for (const RatedCharge& rated : worth.rated.charges) rows.push_back(RowOf(catalog, rated));
  for (const DeliveredCharge& delivered : worth.delivered) {
    ChargeRow& row = rows.emplace_back(RowOf(catalog, *delivered.of));
    row.charge = delivered.key.place->charge;
    row.entity = delivered.key.place->entity;
    keys.push_back(delivered.key);
  }
  for (const RecognisedCharge& recognised : worth.recognised) {
    rows.push_back(RowOf(worth, recognised));
    keys.push_back(recognised.key);
  }
  for (const BookedAmount& amount : worth.booked) {
    size_t row = 0;
    while (row < keys.size() && !SameCharge(keys[row], amount.key)) ++row;
    if (row == keys.size()) {
      rows.push_back(RowOf(amount.key));
      keys.push_back(amount.key);
    }
    rows[row].booked.minor += amount.minor;
  }
  for (ChargeRow& row : rows) row.is_rated = worth.status.ok();
  std::erase_if(rows, [](const ChargeRow& row) {
    const bool is_nothing = row.meter.empty() ? row.exact.amount.zero() : row.quantity == Quantity();
    return row.events == 0 && row.booked.minor == 0 && is_nothing;
  });
  return rows;
}

}  // namespace

Worth ExactWorthOf(const Money& money) {
  Int128 minor_unit = 1;
  for (int digit = money.currency.minor_digits(); digit < kWorthScale; ++digit) minor_unit *= 10;
  return {Wide::Product(money.minor, minor_unit)};
}

std::string FilterText(const Charge& charge) {
  return ToString(charge.filter);
}

absl::StatusOr<std::vector<ChargeRow>> Charges(const Book& book, const Catalog& catalog, const WorthWindow& window,
                                               int threads, std::vector<std::string>* not_rated) {
  std::vector<ChargeRow> rows;
  std::mutex rows_mutex;  // guards rows and not_rated
  const absl::Status visited = VisitSubjects(book, catalog, window, threads, [&](int, const SubjectWorth& worth) {
    std::vector<ChargeRow> of_subject = RowsOf(catalog, worth);
    const std::lock_guard lock(rows_mutex);
    std::move(of_subject.begin(), of_subject.end(), std::back_inserter(rows));
    if (not_rated != nullptr && !worth.status.ok()) not_rated->emplace_back(Std(worth.status.message()));
    return absl::OkStatus();
  });
  if (!visited.ok()) return visited;
  if (not_rated != nullptr) std::ranges::sort(*not_rated);
  std::sort(rows.begin(), rows.end(), [](const ChargeRow& a, const ChargeRow& b) {
    const std::string_view a_currency = a.currency.code(), b_currency = b.currency.code();
    return std::tie(a.subscription, a.charge, a.meter, a.dimensions, a.period, a_currency, a.quantity, a.exact.amount,
                    a.booked.minor, a.plan, a.entity) < std::tie(b.subscription, b.charge, b.meter, b.dimensions,
                                                                 b.period, b_currency, b.quantity, b.exact.amount,
                                                                 b.booked.minor, b.plan, b.entity);
  });
  return rows;
}

namespace {

// Whoever sealed by the catalog did not know these definitions: they came with usage absorbed since. So nothing
// of the catalog prices that usage, and it is told as unpriced until a seal books by a catalog that does. A meter that
// the catalog counts otherwise, and the book had no usage of, makes room with all that is priced by it.
absl::Status CountUsageSince(const Book& book, Catalog* sealed) {
  const absl::StatusOr<std::vector<Meter>> counted = book.Meters();
  if (!counted.ok()) return counted.status();
  std::vector<Meter> missing;
  for (const Meter& meter : *counted) {
    const auto same = std::ranges::find(sealed->meters, meter.name, &Meter::name);
    if (same != sealed->meters.end()) {
      if (CountsTheSame(meter, *same)) continue;
      std::string aside = meter.name;
      do aside += " (as sealed)";
      while (sealed->FindMeter(aside) != nullptr);
      for (Plan& plan : sealed->plans) {
        for (Charge& charge : plan.charges) {
          if (charge.meter == meter.name) charge.meter = aside;
        }
      }
      same->name = aside;
      same->event_type.clear();  // no event is of it any more
    }
    missing.push_back(meter);
  }
  if (missing.empty()) return absl::OkStatus();
  sealed->meters.insert(sealed->meters.end(), missing.begin(), missing.end());
  std::ranges::sort(sealed->meters, {}, &Meter::name);
  sealed->BuildIndex();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Catalog> SealedCatalog(const Book& book, uint64_t seal_number) {
  absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  while (!seals->empty() && seals->back().number > seal_number) seals->pop_back();
  if (seals->empty()) {
    return MakeError(absl::StatusCode::kNotFound, "nothing is sealed yet", book.identity().name,
                     "name the catalog with --catalog, or seal first; a seal that has nothing to book keeps none");
  }
  absl::StatusOr<std::map<std::string, std::string>> files = book.CatalogFiles(seals->back().catalog_digest);
  if (!files.ok()) return files.status();
  ParsedCatalog parsed = ParseCatalog(*std::move(files));
  if (parsed.catalog && parsed.catalog->digest != seals->back().catalog_digest)
    return DamagedError("catalog " + seals->back().catalog_digest);
  if (!parsed.catalog) {
    return MakeError(absl::StatusCode::kDataLoss, "the catalog kept with a seal is not accepted any more",
                     parsed.errors.empty() ? "?" : ToString(parsed.errors.front()),
                     "name a mended catalog with --catalog");
  }
  TOLLBOOK_RETURN_IF_ERROR(CountUsageSince(book, &*parsed.catalog));
  return *std::move(parsed.catalog);
}

}  // namespace tollbook
