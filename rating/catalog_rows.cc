#include "rating/catalog_rows.h"

#include <algorithm>

#include "rating/csv_text.h"
#include "rating/minor_unit.h"

namespace tollbook {
namespace {

// 10^15 major units, in minor ones.
Int128 MostOf(Currency currency) {
  return 1'000'000'000'000'000 * (kOneUnit / MinorUnitAttos(currency));
}

constexpr Quantity kUnitsMax = {10'000'000'000 * static_cast<Int128>(1'000'000'000) * kOneUnit};  // 10^19

}  // namespace

bool CatalogRows::Read(const CatalogDraft& draft, std::string_view file) {
  const auto found = draft.files->texts.find(std::string(file));
  if (found == draft.files->texts.end() || !CheckCsvBytes(found->second, errors_)) return false;
  CsvReader reader(found->second);
  CsvRow row;
  if (!reader.Next(&row)) {
    std::string required;
    for (const std::string_view name : columns_.required()) required.append(required.empty() ? "" : ",").append(name);
    errors_.Add(1, "the file has no header", "write a first line that names its columns: " + required);
    return false;
  }
  if (!CheckCsvRow(row, errors_) || !columns_.ReadHeader(row)) return false;
  while (!errors_.full() && reader.Next(&row)) {
    if (!CheckCsvRow(row, errors_) || !columns_.CheckWidth(row)) continue;
    row_ = &row;
    good_ = true;
    ReadRow();
  }
  return true;
}

void CatalogRows::Wrong(size_t column, std::string_view what, std::string what_to_do) {
  const std::string thing = column == 0 ? "the row" : Join({names_.front(), " ", Quoted(Field(0))});
  errors_.Add(row_->line, Join({Quoted(names_[column]), " of ", thing, " is ", Quoted(Field(column)), ", ", what}),
              std::move(what_to_do));
  good_ = false;
}

std::string CatalogRows::Text(size_t column) {
  const std::string_view text = Field(column);
  const bool control =
      std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (text.empty() || control || text.size() > kTextBytesMax) {
    Wrong(column, "not a text", "write 1 to " + std::to_string(kTextBytesMax) + " bytes on one line");
  }
  return std::string(text);
}

std::optional<Currency> CatalogRows::CurrencyIn(size_t column) {
  const std::optional<Currency> currency = Currency::FromCode(Field(column));
  if (!currency) Wrong(column, "not a currency", std::string(kCurrencyAdvice));
  return currency;
}

Money CatalogRows::Amount(size_t column, Currency currency) {
  const ParsedDecimal parsed = ParseDecimal(Field(column), currency.minor_digits());
  if (parsed.error == DecimalError::kTooPrecise) {
    Wrong(column, Join({"with more decimals than ", currency.code(), " has"}),
          "write at most " + std::to_string(currency.minor_digits()));
  } else if (parsed.error == DecimalError::kTooLarge || parsed.value > MostOf(currency)) {
    Wrong(column, "too large an amount", "write at most 10^15");
  } else if (parsed.error != DecimalError::kNone || parsed.value < 0) {
    Wrong(column, "not an amount", "write plain digits without a sign, such as 1250 or 99.50");
  } else {
    return {currency, parsed.value};
  }
  return {currency, 0};
}

Quantity CatalogRows::UnitsIn(size_t column) {
  if (!Has(column)) return {};
  const ParsedDecimal parsed = ParseDecimal(Field(column), kQuantityScale);
  if (parsed.error == DecimalError::kTooPrecise) {
    Wrong(column, "with more than 18 decimals", "write at most 18 decimals");
  } else if (parsed.error == DecimalError::kTooLarge || parsed.value > kUnitsMax.attos) {
    Wrong(column, "too large a number of units", "write at most 10^19: more than anyone uses");
  } else if (parsed.error != DecimalError::kNone || parsed.value < 0) {
    Wrong(column, "not a number of units", "write plain digits without a sign, such as 1000000 or 0.5");
  } else {
    return {parsed.value};
  }
  return {};
}

Day CatalogRows::DayIn(size_t column) {
  const std::optional<Day> day = ParseDay(Field(column));
  if (!day) Wrong(column, "not a date", "write YYYY-MM-DD");
  return day.value_or(Day());
}

std::optional<BillingCycle> CatalogRows::CycleIn(size_t column) {
  if (!Has(column)) return std::nullopt;
  std::optional<BillingCycle> cycle = ParseBillingCycle(Field(column));
  if (!cycle) Wrong(column, "not a billing period", "write 1 month, 2 weeks, 1 year, or leave it empty");
  return cycle;
}

bool CatalogRows::FlagIn(size_t column) {
  const std::string_view flag = Field(column);
  if (!flag.empty() && flag != "true" && flag != "false")
    Wrong(column, "neither true nor false", "write one of the two");
  return flag == "true";
}

int32_t CatalogRows::RankIn(size_t column, std::string_view lower_does) {
  if (!Has(column)) return 0;
  const ParsedDecimal parsed = ParseDecimal(Field(column), 0);
  const bool good = parsed.error == DecimalError::kNone && parsed.value >= 0 && parsed.value <= kPriorityMax;
  if (!good) Wrong(column, "not a whole number of 0 to 1000000", Join({"the lower number ", lower_does}));
  return good ? static_cast<int32_t>(parsed.value) : 0;
}

}  // namespace tollbook
