// subscriptions.csv: which customer is on which plan, and when.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rating/catalog_amendments.h"
#include "rating/catalog_csv.h"
#include "rating/catalog_draft.h"
#include "rating/csv_text.h"
#include "rating/name_index.h"
#include "rating/zone_fit.h"

namespace tollbook {
namespace {

enum Column {
  kId,
  kAccount,
  kPlan,
  kEntity,
  kCurrency,
  kValidFrom,
  kValidTo,
  kSubject,
  kZone,
  kBillingAnchor,
  kQuantity,
  kClass,
  kRegion,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "subscription", "account", "plan",           "entity",   "currency", "valid_from", "valid_to",
    "subject",      "zone",    "billing_anchor", "quantity", "class",    "region"};
constexpr size_t kRequiredColumns = kSubject;
// Remembers the last answer: rows of one plan and entity mostly stand together.
class LastName {
 public:
  const NameTable::Entry* Find(std::string_view name, const NameTable& table) {
    if (entry_ == nullptr || name != name_) {
      entry_ = table.Find(name);
      name_ = name;
    }
    return entry_;
  }

 private:
  std::string name_;
  const NameTable::Entry* entry_ = nullptr;
};

// Remembers the last answer: the dates of an export are few.
class LastDay {
 public:
  std::optional<Day> Parse(std::string_view text) {
    if (!day_ || text != std::string_view(text_.data(), text_.size())) {
      day_ = ParseDay(text);
      if (day_) {
        std::copy_n(text.begin(), text_.size(), text_.begin());
      }
    }
    return day_;
  }

 private:
  std::array<char, 10> text_;  // YYYY-MM-DD
  std::optional<Day> day_;
};

// Reads the rows and adds subscriptions to the draft. Rows that are wrong are left out.
class SubscriptionRows {
 public:
  // Fields that do not stand in `text` as they are meant are copied, the others borrowed.
  SubscriptionRows(std::string_view text, CatalogDraft& draft, FileErrors& errors)
      : text_(text), draft_(draft), errors_(errors), columns_(kColumnNames, kRequiredColumns, errors) {}

  bool ReadHeader(const CsvRow& row) { return columns_.ReadHeader(row); }

  void ReadRow(const CsvRow& row) {
    if (!columns_.CheckWidth(row)) return;
    row_ = &row;
    if (!AreTextsGood()) {
      return;
    }
    Subscription subscription;
    subscription.line = row.line;
    subscription.id = Field(kId);
    subscription.subject = Field(kSubject).empty() ? subscription.id : Field(kSubject);
    subscription.account = Field(kAccount);
    // Each says what is wrong with its own fields, so one row may tell several things.
    const bool good_plan = ReadPlanAndCurrency(&subscription);
    const bool good_place = ReadEntityAndZone(&subscription);
    const bool good_time = ReadTime(&subscription);
    const bool good_terms = ReadTerms(&subscription);
    if (good_plan && good_place && good_time && good_terms) {
      Keep(std::move(subscription));
    }
  }

 private:
  std::string_view Field(Column column) const { return columns_.Field(*row_, column); }

  std::string User() const { return Join({"subscription ", Quoted(Field(kId))}); }

  bool AreTextsGood() {
    bool good = true;
    for (size_t column = 0; column < kColumns; ++column) {
      const std::string_view text = Field(static_cast<Column>(column));
      const bool may_be_empty = column >= kValidTo;
      if (text.empty() && !may_be_empty) {
        errors_.Add(row_->line, Join({Quoted(kColumnNames[column]), " of the row is empty"}), "fill it in");
        good = false;
      }
      const bool control = !row_->clean && std::any_of(text.begin(), text.end(), IsControl);
      if (control || text.size() > kTextBytesMax) {
        errors_.Add(row_->line,
                    Join({Quoted(kColumnNames[column]), " of the row has ",
                          control ? "a line break or another control character" : "too many bytes"}),
                    "write 1 to " + std::to_string(kTextBytesMax) + " bytes on one line");
        good = false;
      }
    }
    return good;
  }

  bool ReadPlanAndCurrency(Subscription* subscription) {
    const NameTable::Entry* plan = last_plan_.Find(Field(kPlan), draft_.plans);
    if (plan == nullptr) {
      (void)draft_.plans.Refer(Field(kPlan), User(), row_->line, errors_);
      return false;
    }
    subscription->plan = plan->index;
    const Currency currency = draft_.catalog.plans[plan->index].currency;
    if (currency == Currency()) return false;  // its plan has none that is known, and is told so
    const std::string_view wanted = currency.code();
    if (Field(kCurrency) != wanted) {
      errors_.Add(
          row_->line,
          Join({User(), " is in ", Quoted(Field(kCurrency)), ", and its plan ", Quoted(Field(kPlan)), " in ", wanted}),
          "name a plan in that currency, or mend the currency");
      return false;
    }
    return true;
  }

  bool ReadEntityAndZone(Subscription* subscription) {
    const NameTable::Entry* entity = last_entity_.Find(Field(kEntity), draft_.entities);
    if (entity == nullptr) {
      (void)draft_.entities.Refer(Field(kEntity), User(), row_->line, errors_);
    } else {
      subscription->entity = entity->index;
    }
    if (!Field(kZone).empty()) {
      const std::optional<Zone> zone = ZoneOf(Field(kZone));
      if (!zone) {
        errors_.Add(row_->line, Join({"\"zone\" of ", User(), " is ", Quoted(Field(kZone)), ", not a time zone"}),
                    std::string(kZoneAdvice));
        return false;
      }
      subscription->zone = *zone;
    } else if (entity != nullptr) {
      subscription->zone = draft_.catalog.entities[entity->index].zone.value_or(draft_.catalog.book.zone);
    }
    return entity != nullptr;
  }

  bool ReadDay(Column column, LastDay& last, std::optional<Day>* day) {
    *day = last.Parse(Field(column));
    if (!*day) {
      errors_.Add(row_->line,
                  Join({Quoted(kColumnNames[column]), " of ", User(), " is ", Quoted(Field(column)), ", not a date"}),
                  "write YYYY-MM-DD");
    }
    return day->has_value();
  }

  bool ReadTime(Subscription* subscription) {
    std::optional<Day> from;
    const bool good_from = ReadDay(kValidFrom, last_from_, &from);
    const bool good_to = Field(kValidTo).empty() || ReadDay(kValidTo, last_to_, &subscription->valid_to);
    if (!good_from || !good_to) {
      return false;
    }
    subscription->valid_from = *from;
    if (subscription->valid_to && *subscription->valid_to <= *from) {
      errors_.Add(row_->line, Join({User(), " ends at ", Field(kValidTo), ", not after its start ", Field(kValidFrom)}),
                  "write the first day after its end as valid_to, or leave it empty");
      return false;
    }
    return true;
  }

  bool ReadQuantityField(Quantity* quantity) {
    const ParsedDecimal parsed = ParseDecimal(Field(kQuantity), kQuantityScale);
    *quantity = {parsed.value};
    if (parsed.error == DecimalError::kNone && parsed.value >= 0) return true;
    errors_.Add(row_->line, Join({"\"quantity\" of ", User(), " is ", Quoted(Field(kQuantity)), ", not a quantity"}),
                "write a number of 0 or more, such as 5 or 2.5, with at most 18 decimals");
    return false;
  }

  bool ReadTerms(Subscription* subscription) {
    SubscriptionTerms terms;
    if (!Field(kBillingAnchor).empty() && !ReadDay(kBillingAnchor, last_anchor_, &terms.billing_anchor)) return false;
    if (!Field(kQuantity).empty() && !ReadQuantityField(&terms.quantity)) return false;
    if (!Field(kClass).empty() || !Field(kRegion).empty()) terms.kind = KindOf(Field(kClass), Field(kRegion));
    if (terms == SubscriptionTerms()) return true;
    std::vector<SubscriptionTerms>& known = draft_.catalog.subscription_terms;
    const auto [number, is_new] = terms_.try_emplace(terms, static_cast<uint32_t>(known.size()));
    if (is_new) known.push_back(terms);
    subscription->terms = number->second;
    return true;
  }

  uint32_t KindOf(std::string_view customer_class, std::string_view region) {
    std::vector<CustomerKind>& known = draft_.catalog.customer_kinds;
    const CustomerKind kind{std::string(customer_class), std::string(region)};
    const auto [number, is_new] = kinds_.try_emplace(kind, static_cast<uint32_t>(known.size()));
    if (is_new) known.push_back(kind);
    return number->second;
  }

  std::optional<Zone> ZoneOf(std::string_view name) {
    const auto known = zones_.find(name);
    if (known != zones_.end()) {
      return known->second;
    }
    return zones_.emplace(name, Zone::FromName(name)).first->second;
  }

  static bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7F; }

  std::string_view Kept(std::string_view field) const {
    const bool stands_in_text =
        std::less_equal<>()(text_.data(), field.data()) && std::less<>()(field.data(), text_.data() + text_.size());
    return stands_in_text ? field : draft_.files->unescaped.emplace_back(field);
  }

  void Keep(Subscription subscription) {
    const bool own_subject = subscription.subject.data() != subscription.id.data();
    subscription.id = Kept(subscription.id);
    subscription.subject = own_subject ? Kept(subscription.subject) : subscription.id;
    subscription.account = Kept(subscription.account);
    const std::pair<uint32_t, uint32_t> reached = {subscription.plan, subscription.entity};
    if (last_reached_ != reached) draft_.reached.try_emplace(reached, subscription.line);
    last_reached_ = reached;
    draft_.catalog.subscriptions.push_back(std::move(subscription));
  }

  std::string_view text_;
  CatalogDraft& draft_;
  FileErrors& errors_;
  CsvColumns columns_;
  const CsvRow* row_ = nullptr;
  LastName last_plan_;
  LastName last_entity_;
  LastDay last_from_;
  LastDay last_to_;
  LastDay last_anchor_;
  std::optional<std::pair<uint32_t, uint32_t>> last_reached_;
  std::map<std::string, std::optional<Zone>, std::less<>> zones_;
  std::map<SubscriptionTerms, uint32_t> terms_;  // their numbers
  std::map<CustomerKind, uint32_t> kinds_;       // likewise
};

void ReadRows(std::string_view text, CatalogDraft& draft, FileErrors& errors) {
  CsvReader reader(text);
  CsvRow row;
  SubscriptionRows rows(text, draft, errors);
  if (!reader.Next(&row)) {
    errors.Add(1, "the file has no header",
               "write a first line that names its columns: " +
                   std::string("subscription,account,plan,entity,currency,valid_from,valid_to"));
    return;
  }
  if (!CheckCsvRow(row, errors) || !rows.ReadHeader(row)) return;
  draft.catalog.subscriptions.reserve(CountLines(text));
  while (!errors.full() && reader.Next(&row)) {
    if (CheckCsvRow(row, errors)) rows.ReadRow(row);
  }
}

bool IsItsOwnSubject(const Subscription& subscription) {
  return subscription.id.data() == subscription.subject.data() || subscription.id == subscription.subject;
}

bool SameAnchor(const Catalog& catalog, const Subscription& a, const Subscription& b) {
  const std::vector<SubscriptionTerms>& terms = catalog.subscription_terms;
  return a.terms == b.terms || terms[a.terms].billing_anchor == terms[b.terms].billing_anchor;
}

std::string_view KindThatDiffers(const Catalog& catalog, const Subscription& a, const Subscription& b) {
  if (a.terms == b.terms) return "";
  const CustomerKind& kind = catalog.customer_kinds[catalog.subscription_terms[a.terms].kind];
  const CustomerKind& other = catalog.customer_kinds[catalog.subscription_terms[b.terms].kind];
  if (kind.customer_class != other.customer_class) return "class";
  return kind.region != other.region ? "region" : "";
}

// All versions of a subscription share one invoice line for each charge and period, so what decides the period, the
// books and whose usage it is may not change between them.
void CheckVersionsAgree(const Catalog& catalog, FileErrors& errors) {
  const std::vector<Subscription>& versions = catalog.subscriptions;
  const auto id_of = [&](uint32_t i) -> std::string_view { return versions[i].id; };
  // Where subscriptions are their own subjects, the order by subjects has all versions side by side.
  const bool by_id = std::all_of(versions.begin(), versions.end(), IsItsOwnSubject);
  NameIndex index;
  index.Reset(by_id ? 0 : versions.size());
  uint32_t first_row = 0;
  for (uint32_t i = 0; i < versions.size(); ++i) {
    const Subscription& version = versions[i];
    if (!by_id) {
      first_row = index.FindOrAdd(version.id, i, id_of);
    } else if (i > first_row + versions[first_row].later) {
      first_row = i;
    }
    const Subscription& first = versions[first_row];
    if (&first == &version || errors.full()) {
      continue;
    }
    const std::string_view differs = version.subject != first.subject       ? "subject"
                                     : version.entity != first.entity       ? "entity"
                                     : !(version.zone == first.zone)        ? "zone"
                                     : !SameAnchor(catalog, version, first) ? "billing_anchor"
                                                                            : KindThatDiffers(catalog, version, first);
    if (!differs.empty()) {
      const auto [early, late] = std::minmax(first.line, version.line);
      errors.Add(late,
                 Join({"subscription ", Quoted(version.id), " has another ", differs, " than its version at line ",
                       std::to_string(early)}),
                 "give it a new subscription id from that day on");
    }
  }
}

// Expects the order (subject, valid_from), and what CountLater fills in.
void CheckOverlaps(const Catalog& catalog, FileErrors& errors) {
  const Subscription* longest = nullptr;  // of the same subject and starting earlier, the one that ends last
  uint32_t of_same_subject = 0;
  for (const Subscription& next : catalog.subscriptions) {
    if (of_same_subject == 0) {
      longest = &next;
      of_same_subject = next.later;
      continue;
    }
    --of_same_subject;
    if (!longest->valid_to || *longest->valid_to > next.valid_from) {
      const auto [early, late] = std::minmax(longest->line, next.line);
      const bool versions = longest->id == next.id;
      errors.Add(late,
                 Join({versions ? "two versions of subscription " : "two subscriptions of subject ",
                       Quoted(versions ? next.id : next.subject), " are valid on ", ToString(next.valid_from),
                       ": this one and line ", std::to_string(early)}),
                 "end the earlier one with valid_to no later than the valid_from of the next");
    }
    if (longest->valid_to && (!next.valid_to || *next.valid_to > *longest->valid_to)) {
      longest = &next;
    }
  }
}

struct ZoneUse {
  const Subscription* first = nullptr;  // in the file
  Day from{std::numeric_limits<int32_t>::max()};
};

void CheckZone(const ZoneUse& use, const Catalog& catalog, FileErrors& errors) {
  const Plan& plan = catalog.plans[use.first->plan];
  const Zone& zone = use.first->zone;
  const ZoneFit fit = FitOf(zone);
  for (const Charge& charge : plan.charges) {
    const auto meter = std::find_if(catalog.meters.begin(), catalog.meters.end(),
                                    [&](const Meter& candidate) { return candidate.name == charge.meter; });
    if (meter == catalog.meters.end() || Fits(fit, meter->granularity, zone == catalog.book.zone, use.from)) {
      continue;
    }
    const bool hour = Fits(fit, Granularity::kHour, false, use.from);
    const bool quarter = Fits(fit, Granularity::kQuarterHour, false, use.from);
    errors.Add(use.first->line,
               Join({"the days of zone ", Quoted(zone.name()), " of subscription ", Quoted(use.first->id),
                     " do not fit meter ", Quoted(meter->name), ", which keeps totals by ",
                     meter->granularity == Granularity::kDay ? Join({"day of ", catalog.book.zone.name()})
                                                             : std::string(ToString(meter->granularity))}),
               hour || quarter ? Join({"give the meter granularity: ", hour ? "hour" : "quarter_hour",
                                       ", or the subscription the book's zone"})
                               : "give the subscription another zone: its days start between quarter hours");
    return;
  }
}

// A total cannot be split: each day of a subscription must be made of whole totals of the meters it is priced by.
void CheckZones(const CatalogDraft& draft, FileErrors& errors) {
  std::map<std::pair<uint32_t, std::string>, ZoneUse> uses;
  const Subscription* last = nullptr;
  ZoneUse* use = nullptr;
  for (const Subscription& subscription : draft.catalog.subscriptions) {
    if (last == nullptr || last->plan != subscription.plan || !(last->zone == subscription.zone)) {
      use = &uses[{subscription.plan, subscription.zone.name()}];
    }
    last = &subscription;
    if (use->first == nullptr || subscription.line < use->first->line) {
      use->first = &subscription;
    }
    use->from = std::min(use->from, subscription.valid_from);
  }
  for (const auto& [key, zone_use] : uses) {
    CheckZone(zone_use, draft.catalog, errors);
  }
}

bool Before(const Subscription& a, const Subscription& b) {
  const int order = a.subject.compare(b.subject);
  return order != 0 ? order < 0 : a.valid_from < b.valid_from;
}

size_t SharedPrefix(const std::vector<Subscription>& subscriptions) {
  const std::string_view first = subscriptions.front().subject;
  size_t shared = first.size();
  for (const Subscription& subscription : subscriptions) {
    const auto end = first.begin() + static_cast<std::ptrdiff_t>(shared);
    const std::string_view subject = subscription.subject;
    shared =
        static_cast<size_t>(std::mismatch(first.begin(), end, subject.begin(), subject.end()).first - first.begin());
  }
  return shared;
}

// The eight bytes behind `skipped` as a number that sorts as they do.
uint64_t SortKey(std::string_view subject, size_t skipped) {
  uint64_t key = 0;
  for (size_t i = skipped; i < skipped + 8; ++i)
    key = key << 8 | (i < subject.size() ? static_cast<uint8_t>(subject[i]) : 0);
  return key;
}

// Exports are often in order. Where they are not, rows are heavy to move and their names far to fetch: what is sorted
// is the eight bytes in which the subjects of an export differ ("sub-0001234": what follows "sub-"), and each row is
// moved once, in place.
void SortSubscriptions(std::vector<Subscription>& subscriptions) {
  if (std::is_sorted(subscriptions.begin(), subscriptions.end(), Before)) {
    return;
  }
  struct Place {
    uint64_t key;
    uint32_t row;
  };
  const size_t skipped = SharedPrefix(subscriptions);
  std::vector<Place> order;
  order.reserve(subscriptions.size());
  for (const Subscription& subscription : subscriptions) {
    order.push_back({SortKey(subscription.subject, skipped), static_cast<uint32_t>(order.size())});
  }
  std::sort(order.begin(), order.end(), [&](const Place& a, const Place& b) {
    if (a.key != b.key) {
      return a.key < b.key;
    }
    const Subscription &x = subscriptions[a.row], &y = subscriptions[b.row];
    return Before(x, y) || (!Before(y, x) && a.row < b.row);
  });
  // Each circle of rows that take each other's places; no second table.
  for (uint32_t start = 0; start < order.size(); ++start) {
    Subscription first = std::move(subscriptions[start]);
    uint32_t hole = start;
    for (uint32_t next = order[hole].row; next != start; next = order[hole].row) {
      subscriptions[hole] = std::move(subscriptions[next]);
      order[hole].row = hole;
      hole = next;
    }
    subscriptions[hole] = std::move(first);
    order[hole].row = hole;
  }
}

}  // namespace

void ReadSubscriptions(CatalogDraft& draft) {
  FileErrors errors("subscriptions.csv", &draft.errors);
  const std::string* text = RequiredFile(draft, errors);
  if (text == nullptr || !CheckCsvBytes(*text, errors)) {
    return;
  }
  ReadRows(*text, draft, errors);
  SortSubscriptions(draft.catalog.subscriptions);
  CountLater(draft.catalog.subscriptions);
  CheckVersionsAgree(draft.catalog, errors);
  CheckOverlaps(draft.catalog, errors);
  CheckAmendments(draft.catalog, errors);
  if (draft.has_book_zone) {
    CheckZones(draft, errors);
  }
}

}  // namespace tollbook
