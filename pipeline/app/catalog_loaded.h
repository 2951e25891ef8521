// CatalogLoaded: a command that may change the book tells it which catalog it reads.
#ifndef TOLLBOOK_PIPELINE_APP_CATALOG_LOADED_H_
#define TOLLBOOK_PIPELINE_APP_CATALOG_LOADED_H_

#include <string>
#include <string_view>

#include "ledger/book.h"
#include "rating/catalog.h"

namespace tollbook {

// Whose account of the operating system runs this process: "ann"; "uid 1000" where the system has no name of it.
std::string AccountName();

// For the audit log (catalog_load.h), by the name of who runs this process. `directory` empty: it is the newest seal's,
// and nothing is told. `decided_by` and `decided_why`: of a retry, when it was somebody's decision.
[[nodiscard]] absl::Status CatalogLoaded(Book& book, const Catalog& catalog, std::string_view command,
                                         const std::string& directory, const std::string& decided_by = "",
                                         const std::string& decided_why = "");

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_CATALOG_LOADED_H_
