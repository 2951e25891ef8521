// CatalogDraft: a catalog while its files are read; the readers of the single files fill it one after the other.
//
// An entry goes into the draft as soon as its name is known, whatever else is wrong with it, so that references to it
// are not complained about as well. A draft with any error never becomes a Catalog.
#ifndef TOLLBOOK_RATING_CATALOG_DRAFT_H_
#define TOLLBOOK_RATING_CATALOG_DRAFT_H_

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rating/catalog.h"
#include "rating/catalog_errors.h"
#include "rating/yaml_text.h"

namespace tollbook {

// How the catalog writes the rounding of amounts and of aggregated units.
inline constexpr std::array<std::pair<std::string_view, Rounding>, 4> kRoundings = {{
    {"half_up", Rounding::kHalfUp},
    {"half_even", Rounding::kHalfEven},
    {"up", Rounding::kUp},
    {"down", Rounding::kDown},
}};

// The names that one file defines: where, and as which entry.
class NameTable {
 public:
  struct Entry {
    uint32_t index = 0;
    int line = 0;
  };

  // `thing` is what the names name ("meter"), `file` where they are defined ("meters.yaml").
  NameTable(std::string_view thing, std::string_view file) : thing_(thing), file_(file) {}

  // A name that is there already is an error, and the first stays.
  void Define(const std::string& name, uint32_t index, int line, FileErrors& errors);

  // Entries are missing because their file or their name cannot be read: unknown names are no errors then.
  void SetIncomplete() { incomplete_ = true; }

  // Null when there is no such name, which is an error of `user` ("charge \"calls\"") unless the table is incomplete.
  const Entry* Refer(std::string_view name, std::string_view user, int line, FileErrors& errors) const;
  const Entry* Find(std::string_view name) const;

 private:
  std::string_view thing_;
  std::string_view file_;
  bool incomplete_ = false;
  std::map<std::string, Entry, std::less<>> entries_;
};

struct CatalogDraft {
  Catalog catalog;
  std::shared_ptr<CatalogFiles> files = std::make_shared<CatalogFiles>();  // what the catalog is read from
  std::vector<CatalogError> errors;
  bool has_book_zone = false;
  NameTable entities{"entity", "entities.yaml"};
  NameTable accounts{"account", "chart.yaml"};
  NameTable meters{"meter", "meters.yaml"};
  NameTable plans{"plan", "plans.yaml"};
  NameTable products{"product", "plans.yaml"};
  bool posting_complete = true;
  bool refuses_unmapped = false;  // posting.yaml: what subscriptions reach needs a rule for all of it

  // The (plan, entity) pairs that a subscription reaches, each with the line of the first that does.
  std::map<std::pair<uint32_t, uint32_t>, int> reached;
  // The same of grants: (product, entity).
  std::map<std::pair<std::string, uint32_t>, int> granted;
};

// One for each file, in the order in which they must run.
void ReadBook(CatalogDraft& draft);
void ReadEntities(CatalogDraft& draft);
void ReadChart(CatalogDraft& draft);
void ReadMeters(CatalogDraft& draft);
void ReadPlans(CatalogDraft& draft);
void ReadGrants(CatalogDraft& draft);
void ReadDiscounts(CatalogDraft& draft);
void ReadPosting(CatalogDraft& draft);
void ReadSubscriptions(CatalogDraft& draft);
void CheckGrants(CatalogDraft& draft);
void ReadUnitGrants(CatalogDraft& draft);
void CheckDiscounts(CatalogDraft& draft);
void CheckPostingReached(CatalogDraft& draft);

// The text of a required file; null when it is missing, which is an error.
const std::string* RequiredFile(CatalogDraft& draft, FileErrors& errors);
// The document of a required YAML file; none: missing or not YAML, which is an error.
std::optional<YamlNode> ReadRequiredYaml(CatalogDraft& draft, FileErrors& errors);

// The items of the list that a file consists of. When there is no list (an error), `names` is incomplete.
std::span<const YamlNode> ReadEntries(YamlMap& map, std::string_view key, NameTable& names);

// Names that become part of keys and of plain-text accounting: letters, digits, '.', '_', '-', at most 40.
bool IsKeyName(std::string_view name);
std::optional<std::string> RequiredKeyName(YamlMap& map, std::string_view key, FileErrors& errors);

// Values by their text; none: absent or wrong, and wrong is an error.
enum class Sign : uint8_t { kNotNegative, kPositive };
std::optional<Quantity> ReadQuantity(YamlMap& map, std::string_view key, Sign sign, FileErrors& errors);
std::optional<Price> ReadPrice(YamlMap& map, std::string_view key, FileErrors& errors);
int ReadPlaces(YamlMap& map, std::string_view key, FileErrors& errors);  // 0 to 18; 0 when absent or wrong
std::optional<Currency> ReadCurrency(YamlMap& map, std::string_view key, FileErrors& errors);
std::optional<Zone> ReadZone(YamlMap& map, std::string_view key, FileErrors& errors);

// The words for a wrong one, used by YAML and CSV alike.
inline constexpr std::string_view kCurrencyAdvice = "write three capital letters of ISO 4217, such as USD";
inline constexpr std::string_view kZoneAdvice = "use an IANA name such as UTC or Europe/Berlin";

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_DRAFT_H_
