// book.yaml, entities.yaml, chart.yaml: whose books, and which accounts.
#include <algorithm>
#include <array>
#include <charconv>

#include "rating/catalog_draft.h"
#include "rating/catalog_permissions.h"
#include "rating/catalog_retention.h"

namespace tollbook {
namespace {

constexpr std::array<std::string_view, 5> kAccountTypes = {"asset", "liability", "equity", "revenue", "expense"};

// A colon parts the levels of an account in plain-text accounting.
bool IsAccountCode(std::string_view code) {
  std::string without_colons(code);
  std::erase(without_colons, ':');
  return IsKeyName(without_colons) && code.front() != ':' && code.back() != ':';
}

constexpr std::array<std::pair<std::string_view, FiscalPeriods>, 5> kFiscalPeriods = {{
    {"month", FiscalPeriods::kMonth},
    {"4-4-5", FiscalPeriods::k445},
    {"4-5-4", FiscalPeriods::k454},
    {"5-4-4", FiscalPeriods::k544},
    {"13", FiscalPeriods::kThirteen},
}};
constexpr std::array<std::pair<std::string_view, int>, 7> kWeekdays = {{
    {"monday", 1},
    {"tuesday", 2},
    {"wednesday", 3},
    {"thursday", 4},
    {"friday", 5},
    {"saturday", 6},
    {"sunday", 7},
}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kYearNames = {{{"end", true}, {"start", false}}};
constexpr std::array<std::pair<std::string_view, LateUsage>, 3> kLateUsages = {{
    {"open_period", LateUsage::kOpenPeriod},
    {"refuse", LateUsage::kRefuse},
    {"accrue", LateUsage::kAccrue},
}};
constexpr std::array<std::pair<std::string_view, PeriodState>, 2> kNewPeriods = {{
    {"open", PeriodState::kOpen},
    {"future", PeriodState::kFuture},
}};

// "02-01", a date of every year.
void ReadYearStart(YamlMap& map, FiscalCalendar& calendar, FileErrors& errors) {
  const std::optional<std::string> text = map.Text("year_starts");
  if (!text) return;
  const std::optional<Day> day = ParseDay("2025-" + *text);  // a year without a February 29th
  if (!day) {
    errors.Add(map.LineOf("year_starts"), Join({"\"year_starts\" of ", map.what(), " is ", Quoted(*text)}),
               "write a month and a day that every year has, such as 02-01");
    return;
  }
  const CivilDate date = CivilDateOf(*day);
  if (calendar.periods == FiscalPeriods::kMonth && date.day != 1) {
    errors.Add(map.LineOf("year_starts"),
               Join({"\"year_starts\" of ", map.what(), " is ", Quoted(*text), ", in the middle of a month"}),
               "begin the year on the first of a month, or count its periods in weeks");
    return;
  }
  calendar.start_month = date.month;
  calendar.start_day = date.day;
}

FiscalCalendar ReadFiscalCalendar(YamlMap& entity, FileErrors& errors) {
  FiscalCalendar calendar;
  const YamlNode* const node = entity.Find("fiscal_calendar");
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return calendar;
  YamlMap map(*node, Join({"the fiscal calendar of ", entity.what()}), errors);
  if (map.Required("periods") != nullptr) {
    calendar.periods = map.Choice<FiscalPeriods>("periods", kFiscalPeriods, FiscalPeriods::kMonth);
  }
  ReadYearStart(map, calendar, errors);
  const bool by_weeks = calendar.periods != FiscalPeriods::kMonth;
  if (by_weeks && map.Required("week_starts") != nullptr) {
    calendar.week_start = map.Choice<int>("week_starts", kWeekdays, calendar.week_start);
  }
  calendar.named_after_end = map.Choice<bool>("year_named_after", kYearNames, true);
  map.RefuseOtherKeys();
  return calendar;
}

// A whole number from 1 on.
uint32_t ReadBatchLinesMax(YamlMap& map, FileErrors& errors) {
  const std::optional<std::string> text = map.Text("batch_lines_max");
  uint32_t number = 0;
  if (!text) return UINT32_MAX;
  const char* const end = text->data() + text->size();
  if (const auto read = std::from_chars(text->data(), end, number); read.ec == std::errc() && read.ptr == end) {
    if (number > 0) return number;
  }
  errors.Add(map.LineOf("batch_lines_max"), Join({"\"batch_lines_max\" of ", map.what(), " is ", Quoted(*text)}),
             "write a whole number from 1 to 4294967295");
  return UINT32_MAX;
}

// Of amounts by currency: {USD: 10000.00}.
std::map<std::string, Money> ReadAmounts(YamlMap& map, std::string_view key, FileErrors& errors) {
  std::map<std::string, Money> amounts;
  for (const auto& [code, text] : map.TextsByName(key)) {
    const std::optional<Currency> currency = Currency::FromCode(code);
    const ParsedDecimal parsed = currency ? ParseDecimal(text, currency->minor_digits()) : ParsedDecimal{};
    if (currency && parsed.error == DecimalError::kNone && parsed.value >= 0) {
      amounts.emplace(code, Money{*currency, parsed.value});
      continue;
    }
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " has ", Quoted(code + ": " + text)}),
               "write a currency and an amount of 0 or more to its minor unit, such as {USD: 10000.00}");
  }
  return amounts;
}

ApprovalPolicy ReadApproval(YamlMap& entity, FileErrors& errors) {
  ApprovalPolicy approval;
  const YamlNode* const node = entity.Find("approval");
  if (node == nullptr || node->kind == YamlNode::Kind::kNull) return approval;
  YamlMap map(*node, Join({"the approval of ", entity.what()}), errors);
  approval.every_batch = map.Bool("every_batch", false);
  approval.first_of_period = map.Bool("first_of_period", false);
  approval.above = ReadAmounts(map, "above", errors);
  approval.late_above = ReadAmounts(map, "late_above", errors);
  map.RefuseOtherKeys();
  return approval;
}

void ReadEntity(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "an entity", errors);
  Entity entity;
  const std::optional<std::string> name = RequiredKeyName(map, "name", errors);
  if (name) {
    map.SayAs(Join({"entity ", Quoted(*name)}));
    entity.name = *name;
    draft.entities.Define(*name, static_cast<uint32_t>(draft.catalog.entities.size()), map.LineOf("name"), errors);
  } else {
    draft.entities.SetIncomplete();
  }
  entity.zone = ReadZone(map, "zone", errors);
  entity.functional_currency = ReadCurrency(map, "functional_currency", errors).value_or(Currency());
  entity.fiscal_calendar = ReadFiscalCalendar(map, errors);
  entity.new_periods = map.Choice<PeriodState>("new_periods", kNewPeriods, PeriodState::kOpen);
  entity.late_usage = map.Choice<LateUsage>("late_usage", kLateUsages, LateUsage::kOpenPeriod);
  entity.batch_lines_max = ReadBatchLinesMax(map, errors);
  entity.approval = ReadApproval(map, errors);
  entity.permissions = ReadPermissions(map, errors);
  map.RefuseOtherKeys();
  draft.catalog.entities.push_back(std::move(entity));
}

void ReadAccount(const YamlNode& node, CatalogDraft& draft, FileErrors& errors) {
  YamlMap map(node, "an account", errors);
  Account account;
  const std::optional<std::string> code = map.RequiredText("code");
  if (code) {
    map.SayAs(Join({"account ", Quoted(*code)}));
    account.code = *code;
    draft.accounts.Define(*code, static_cast<uint32_t>(draft.catalog.accounts.size()), map.LineOf("code"), errors);
    if (!IsAccountCode(*code)) {
      errors.Add(map.LineOf("code"), Join({"\"code\" of an account is ", Quoted(*code)}),
                 "use 1 to 40 of: letters, digits, '.', '_', '-', and ':' between them");
    }
  } else {
    draft.accounts.SetIncomplete();
  }
  account.name = map.RequiredText("name").value_or("");
  account.type = map.RequiredText("type").value_or(std::string(kAccountTypes.front()));
  if (std::find(kAccountTypes.begin(), kAccountTypes.end(), account.type) == kAccountTypes.end()) {
    errors.Add(map.LineOf("type"), Join({"\"type\" of ", map.what(), " is ", Quoted(account.type)}),
               DidYouMean(account.type, kAccountTypes));
  }
  map.RefuseOtherKeys();
  draft.catalog.accounts.push_back(std::move(account));
}

}  // namespace

void ReadBook(CatalogDraft& draft) {
  FileErrors errors("book.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    return;
  }
  YamlMap map(*root, "book.yaml", errors);
  BookPolicy& book = draft.catalog.book;
  book.name = RequiredKeyName(map, "name", errors).value_or("");
  if (map.Required("zone") != nullptr) {
    const std::optional<Zone> zone = ReadZone(map, "zone", errors);
    draft.has_book_zone = zone.has_value();
    book.zone = zone.value_or(Zone());
  }
  book.rounding = map.Choice<Rounding>("rounding", kRoundings, Rounding::kHalfUp);
  (void)ReadRetention(map, errors);  // RetentionOf reads it again, when it is asked for
  map.RefuseOtherKeys();
}

void ReadEntities(CatalogDraft& draft) {
  FileErrors errors("entities.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.entities.SetIncomplete();
    return;
  }
  YamlMap map(*root, "entities.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "entities", draft.entities)) {
    ReadEntity(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

void ReadChart(CatalogDraft& draft) {
  FileErrors errors("chart.yaml", &draft.errors);
  const std::optional<YamlNode> root = ReadRequiredYaml(draft, errors);
  if (!root) {
    draft.accounts.SetIncomplete();
    return;
  }
  YamlMap map(*root, "chart.yaml", errors);
  for (const YamlNode& node : ReadEntries(map, "accounts", draft.accounts)) {
    ReadAccount(node, draft, errors);
  }
  map.RefuseOtherKeys();
}

}  // namespace tollbook
