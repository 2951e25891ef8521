// grants.csv: what was paid or promised ahead. The file is optional.
#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "rating/catalog_csv.h"
#include "rating/catalog_draft.h"
#include "rating/csv_text.h"

namespace tollbook {
namespace {

enum Column {
  kId,
  kSubscription,
  kAmount,
  kCurrency,
  kProduct,
  kStartsOn,
  kEndsOn,
  kPriority,
  kRefill,
  kRollover,
  kPaysEarlier,
  kBreakageProduct,
  kColumns
};
constexpr std::array<std::string_view, kColumns> kColumnNames = {
    "grant",   "subscription", "amount", "currency", "product",      "starts_on",
    "ends_on", "priority",     "refill", "rollover", "pays_earlier", "breakage_product"};
constexpr size_t kRequiredColumns = kEndsOn;
constexpr int32_t kPriorityMax = 1'000'000;

class GrantRows {
 public:
  GrantRows(CatalogDraft& draft, FileErrors& errors)
      : draft_(draft), errors_(errors), columns_(kColumnNames, kRequiredColumns, errors) {}

  bool ReadHeader(const CsvRow& row) { return columns_.ReadHeader(row); }

  void ReadRow(const CsvRow& row) {
    if (!columns_.CheckWidth(row)) return;
    row_ = &row;
    good_ = true;
    Grant grant;
    grant.line = row.line;
    grant.id = Text(kId);
    grant.subscription = Text(kSubscription);
    if (!grant.id.empty() && !ids_.insert(grant.id).second)
      Wrong(kId, "which another row has", "give it an id of its own");
    ReadMoney(&grant);
    ReadTime(&grant);
    ReadLines(&grant);
    if (good_) draft_.catalog.grants.push_back(std::move(grant));
  }

 private:
  std::string_view Field(Column column) const { return columns_.Field(*row_, column); }

  void Wrong(Column column, std::string_view what, std::string what_to_do) {
    const std::string grant = column == kId ? "the row" : Join({"grant ", Quoted(Field(kId))});
    errors_.Add(row_->line,
                Join({Quoted(kColumnNames[column]), " of ", grant, " is ", Quoted(Field(column)), ", ", what}),
                std::move(what_to_do));
    good_ = false;
  }

  // What becomes part of names and keys.
  std::string Text(Column column) {
    const std::string_view text = Field(column);
    const bool control =
        std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
    if (text.empty() || control || text.size() > kTextBytesMax) {
      Wrong(column, "not a text", "write 1 to " + std::to_string(kTextBytesMax) + " bytes on one line");
    }
    return std::string(text);
  }

  void ReadMoney(Grant* grant) {
    const std::optional<Currency> currency = Currency::FromCode(Field(kCurrency));
    if (!currency) return Wrong(kCurrency, "not a currency", std::string(kCurrencyAdvice));
    grant->amount = Amount(kAmount, *currency);
    grant->rollover = Field(kRollover).empty() ? Money{*currency, 0} : Amount(kRollover, *currency);
    if (!Field(kRollover).empty() && Field(kRefill).empty()) {
      Wrong(kRollover, "and nothing refills the grant", "leave it empty, or say when the grant is refilled");
    }
  }

  // 10^15 major units, in minor ones.
  static Int128 Most(Currency currency) {
    Int128 most = 1'000'000'000'000'000;
    for (int digits = currency.minor_digits(); digits > 0; --digits) most *= 10;
    return most;
  }

  // In major units, to the currency's minor unit.
  Money Amount(Column column, Currency currency) {
    const ParsedDecimal parsed = ParseDecimal(Field(column), currency.minor_digits());
    if (parsed.error == DecimalError::kTooPrecise) {
      Wrong(column, Join({"with more decimals than ", currency.code(), " has"}),
            "write at most " + std::to_string(currency.minor_digits()));
    } else if (parsed.error != DecimalError::kNone || parsed.value < 0 || parsed.value > Most(currency)) {
      Wrong(column, "not an amount", "write plain digits without a sign, such as 1250 or 99.50");
    } else {
      return {currency, parsed.value};
    }
    return {currency, 0};
  }

  Day DayIn(Column column) {
    const std::optional<Day> day = ParseDay(Field(column));
    if (!day) Wrong(column, "not a date", "write YYYY-MM-DD");
    return day.value_or(Day());
  }

  void ReadTime(Grant* grant) {
    grant->starts_on = DayIn(kStartsOn);
    if (!Field(kEndsOn).empty()) {
      grant->ends_on = DayIn(kEndsOn);
      if (good_ && *grant->ends_on <= grant->starts_on) {
        Wrong(kEndsOn, "not after its start", "write the first day after its end, or leave it empty");
      }
    }
    if (const std::string_view refill = Field(kRefill); !refill.empty()) {
      grant->refill = ParseBillingCycle(refill);
      if (!grant->refill) Wrong(kRefill, "not a billing period", "write 1 month, 2 weeks, 1 year, or leave it empty");
      if (grant->refill) grant->refill->anchor = grant->starts_on;
    }
    if (const std::string_view pays = Field(kPaysEarlier); !pays.empty()) {
      grant->pays_earlier = pays == "true";
      if (pays != "true" && pays != "false") Wrong(kPaysEarlier, "neither true nor false", "write one of the two");
    }
    if (const std::string_view priority = Field(kPriority); !priority.empty()) {
      const ParsedDecimal parsed = ParseDecimal(priority, 0);
      const bool good = parsed.error == DecimalError::kNone && parsed.value >= 0 && parsed.value <= kPriorityMax;
      if (!good) return Wrong(kPriority, "not a whole number of 0 to 1000000", "the lower number pays first");
      grant->priority = static_cast<int32_t>(parsed.value);
    }
  }

  void ReadLines(Grant* grant) {
    grant->credit = LineOf("credit " + grant->id, kProduct, *grant);
    if (!Field(kBreakageProduct).empty()) {
      grant->breakage = LineOf("breakage " + grant->id, kBreakageProduct, *grant);
    }
  }

  Charge LineOf(std::string name, Column product, const Grant& grant) {
    Charge line;
    line.is_of_grant = true;
    line.name = std::move(name);
    line.product = Text(product);
    line.line = grant.line;
    if (draft_.products.Find(line.product) == nullptr) draft_.products.Define(line.product, 0, row_->line, errors_);
    return line;
  }

  CatalogDraft& draft_;
  FileErrors& errors_;
  CsvColumns columns_;
  const CsvRow* row_ = nullptr;
  bool good_ = true;
  std::set<std::string> ids_;
};

}  // namespace

void ReadGrants(CatalogDraft& draft) {
  const auto file = draft.files->texts.find("grants.csv");
  if (file == draft.files->texts.end()) return;
  FileErrors errors("grants.csv", &draft.errors);
  if (!CheckCsvBytes(file->second, errors)) return;
  CsvReader reader(file->second);
  CsvRow row;
  GrantRows rows(draft, errors);
  if (!reader.Next(&row)) {
    errors.Add(1, "the file has no header",
               "write a first line that names its columns: grant,subscription,amount,currency,product,starts_on");
    return;
  }
  if (!CheckCsvRow(row, errors) || !rows.ReadHeader(row)) return;
  while (!errors.full() && reader.Next(&row)) {
    if (CheckCsvRow(row, errors)) rows.ReadRow(row);
  }
  std::ranges::sort(draft.catalog.grants, {},
                    [](const Grant& grant) { return std::tie(grant.subscription, grant.id); });
}

namespace {

// One that the subscription is on at some time.
void CheckPlan(const Grant& grant, const Plan& plan, const std::string& user, FileErrors& errors) {
  if (grant.amount.currency != plan.currency) {
    errors.Add(
        grant.line,
        Join({user, " is in ", grant.amount.currency.code(), ", and its subscription in ", plan.currency.code()}),
        "grant it in that currency");
  }
  for (const Charge& charge : plan.charges) {
    if (charge.name != grant.credit.name && (!grant.breakage || charge.name != grant.breakage->name)) continue;
    errors.Add(
        grant.line,
        Join({user, " has a line named ", Quoted(charge.name), ", as a charge of plan ", Quoted(plan.name), " has"}),
        "rename one of the two");
  }
}

}  // namespace

// A grant pays a subscription that there is, in its currency.
void CheckGrants(CatalogDraft& draft) {
  if (draft.catalog.grants.empty()) return;
  FileErrors errors("grants.csv", &draft.errors);
  std::map<std::string_view, std::vector<const Subscription*>> subscriptions;  // all versions
  for (const Grant& grant : draft.catalog.grants) subscriptions.try_emplace(grant.subscription);
  for (const Subscription& subscription : draft.catalog.subscriptions) {
    const auto wanted = subscriptions.find(subscription.id);
    if (wanted != subscriptions.end()) wanted->second.push_back(&subscription);
  }
  for (const Grant& grant : draft.catalog.grants) {
    const std::vector<const Subscription*>& versions = subscriptions.at(grant.subscription);
    const std::string user = Join({"grant ", Quoted(grant.id)});
    if (versions.empty()) {
      errors.Add(
          grant.line,
          Join({user, " names subscription ", Quoted(grant.subscription), ", which subscriptions.csv does not have"}),
          "add it there, or name one that is there");
      continue;
    }
    std::set<uint32_t> plans;
    for (const Subscription* version : versions) plans.insert(version->plan);
    for (const uint32_t plan : plans) CheckPlan(grant, draft.catalog.plans[plan], user, errors);
    const Subscription* subscription = versions.front();
    draft.granted.try_emplace({grant.credit.product, subscription->entity}, subscription->line);
    if (grant.breakage) draft.granted.try_emplace({grant.breakage->product, subscription->entity}, subscription->line);
  }
}

}  // namespace tollbook
