#include "pipeline/app/catalog_loaded.h"

#include <pwd.h>
#include <unistd.h>

#include <vector>

#include "ledger/catalog_load.h"

namespace tollbook {

std::string AccountName() {
  const uid_t uid = geteuid();
  std::vector<char> room(16384);
  passwd entry = {};
  passwd* found = nullptr;
  const bool is_known = getpwuid_r(uid, &entry, room.data(), room.size(), &found) == 0 && found != nullptr;
  const std::string name = is_known ? entry.pw_name : "";
  return name.empty() ? "uid " + std::to_string(uid) : name;
}

absl::Status CatalogLoaded(Book& book, const Catalog& catalog, std::string_view command, const std::string& directory,
                           const std::string& decided_by, const std::string& decided_why) {
  if (directory.empty()) return absl::OkStatus();
  return NoteCatalogLoad(
      book, {0, AccountName(), std::string(command), directory, "", catalog.digest, decided_by, decided_why});
}

}  // namespace tollbook
