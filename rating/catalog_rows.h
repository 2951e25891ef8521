// CatalogRows: what the readers of grants.csv, unit_grants.csv and discounts.csv share: a row's fields by their
// meaning, and what is wrong with them, said with the thing's id.
#ifndef TOLLBOOK_RATING_CATALOG_ROWS_H_
#define TOLLBOOK_RATING_CATALOG_ROWS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rating/catalog_csv.h"
#include "rating/catalog_draft.h"

namespace tollbook {

inline constexpr int32_t kPriorityMax = 1'000'000;

class CatalogRows {
 public:
  // `names`: of the columns, borrowed; the first is that of the thing and of its id.
  CatalogRows(std::span<const std::string_view> names, size_t required, FileErrors& errors)
      : errors_(errors), names_(names), columns_(names, required, errors) {}
  virtual ~CatalogRows() = default;
  CatalogRows(const CatalogRows&) = delete;
  CatalogRows& operator=(const CatalogRows&) = delete;

  // All rows of an optional file. False: there is none, or nothing of it can be read.
  bool Read(const CatalogDraft& draft, std::string_view file);

 protected:
  // A row of the header's width. What is wrong with it makes good() false.
  virtual void ReadRow() = 0;

  int line() const { return row_->line; }
  bool good() const { return good_; }
  std::string_view Field(size_t column) const { return columns_.Field(*row_, column); }
  bool Has(size_t column) const { return !Field(column).empty(); }
  void Wrong(size_t column, std::string_view what, std::string what_to_do);

  // Each says what is wrong, and is then something harmless.
  std::string Text(size_t column);  // what becomes part of names and keys
  std::optional<Currency> CurrencyIn(size_t column);
  Money Amount(size_t column, Currency currency);  // in major units, to the currency's minor unit
  Quantity UnitsIn(size_t column);                 // not negative; none where the field is empty
  Day DayIn(size_t column);
  std::optional<BillingCycle> CycleIn(size_t column);  // none where the field is empty
  bool FlagIn(size_t column);
  int32_t RankIn(size_t column, std::string_view lower_does);  // 0 to kPriorityMax; 0 where the field is empty

  FileErrors& errors_;

 private:
  std::span<const std::string_view> names_;
  CsvColumns columns_;
  const CsvRow* row_ = nullptr;
  bool good_ = true;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_ROWS_H_
