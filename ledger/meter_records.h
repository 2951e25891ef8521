// MeterRecords: since which commit a book counts each of its meters.
#ifndef TOLLBOOK_LEDGER_METER_RECORDS_H_
#define TOLLBOOK_LEDGER_METER_RECORDS_H_

#include <vector>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

class Book;

// As Book::Meters, each with the commit that first counted it.
[[nodiscard]] absl::StatusOr<std::vector<MeterRecord>> MeterRecordsOf(const Book& book);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_METER_RECORDS_H_
