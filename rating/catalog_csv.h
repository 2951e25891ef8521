// CatalogCsv: what the readers of a catalog's CSV files share: the header's columns, and rows that are none.
#ifndef TOLLBOOK_RATING_CATALOG_CSV_H_
#define TOLLBOOK_RATING_CATALOG_CSV_H_

#include <span>
#include <string_view>
#include <vector>

#include "rating/catalog_errors.h"
#include "rating/csv_text.h"

namespace tollbook {

// False, and an error: a byte that is not UTF-8.
bool CheckCsvBytes(std::string_view text, FileErrors& errors);
// False, and an error: quotes that are none.
bool CheckCsvRow(const CsvRow& row, FileErrors& errors);

// Where the columns stand. A file may have them in any order, and leave out those behind the required ones.
class CsvColumns {
 public:
  // Both borrowed: the names of all columns, the first `required` of which must be there.
  CsvColumns(std::span<const std::string_view> names, size_t required, FileErrors& errors)
      : names_(names), required_(required), errors_(errors), places_(names.size(), kAbsent) {}

  // The first row. False, and errors: unknown columns, columns that stand twice, and such as are missing.
  bool ReadHeader(const CsvRow& row);
  std::span<const std::string_view> required() const { return names_.first(required_); }
  // False, and an error: a row of another width than the header.
  bool CheckWidth(const CsvRow& row);
  // Empty where there is no such column.
  std::string_view Field(const CsvRow& row, size_t column) const {
    return places_[column] == kAbsent ? std::string_view() : row.fields[places_[column]];
  }

 private:
  static constexpr size_t kAbsent = SIZE_MAX;
  bool ReadName(std::string_view name, size_t place);

  std::span<const std::string_view> names_;
  size_t required_;
  FileErrors& errors_;
  std::vector<size_t> places_;
  size_t width_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_CSV_H_
