#include "rating/catalog_text.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "rating/catalog_draft.h"
#include "rating/contract.h"
#include "rating/exchange_rates.h"

namespace tollbook {
namespace {

constexpr std::array<std::string_view, 15> kFileNames = {
    "book.yaml",     "chart.yaml",   "contracts.yaml",    "customers.csv", "discounts.csv",
    "entities.yaml", "fx.csv",       "grants.csv",        "meters.yaml",   "plans.yaml",
    "posting.yaml",  "sources.yaml", "subscriptions.csv", "targets.yaml",  "unit_grants.csv"};

// Not part of the catalog: no error, and not in its digest.
bool IsIgnored(std::string_view name) {
  return name.starts_with("README") || !(name.ends_with(".yaml") || name.ends_with(".csv"));
}

void CheckNames(CatalogDraft& draft) {
  for (const auto& [name, text] : draft.files->texts) {
    if (std::find(kFileNames.begin(), kFileNames.end(), name) == kFileNames.end()) {
      const bool is_near = !NearestWord(name, kFileNames).empty();
      FileErrors(name, &draft.errors)
          .Add(0, "this file is not part of a catalog",
               is_near ? DidYouMean(name, kFileNames) : "move it elsewhere, or mend its name");
    }
  }
}

// SHA-256 over each name and text with its length, so that no two sets of files give the same bytes.
std::string DigestOf(const std::map<std::string, std::string>& files) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  TOLLBOOK_ASSERT(context != nullptr && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1);
  const auto add = [&](std::string_view text) {
    const std::string length = std::to_string(text.size()) + ":";
    TOLLBOOK_ASSERT(EVP_DigestUpdate(context, length.data(), length.size()) == 1);
    TOLLBOOK_ASSERT(EVP_DigestUpdate(context, text.data(), text.size()) == 1);
  };
  for (const auto& [name, text] : files) {
    add(name);
    add(text);
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned bytes = 0;
  TOLLBOOK_ASSERT(EVP_DigestFinal_ex(context, hash.data(), &bytes) == 1);
  EVP_MD_CTX_free(context);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string digest;
  for (unsigned i = 0; i < bytes; ++i) {
    digest += kHex[hash[i] >> 4];
    digest += kHex[hash[i] & 15];
  }
  return digest;
}

}  // namespace

std::string ToString(const CatalogError& error) {
  const std::string line = error.line == 0 ? "" : ":" + std::to_string(error.line);
  return error.file + line + ": " + error.what + ": " + error.what_to_do;
}

ParsedCatalog ParseCatalog(std::map<std::string, std::string> files) {
  std::erase_if(files, [](const auto& file) { return IsIgnored(file.first); });
  CatalogDraft draft;
  draft.files->texts = std::move(files);
  draft.catalog.read_from = draft.files;
  CheckNames(draft);
  ReadBook(draft);
  ReadEntities(draft);
  ReadChart(draft);
  ReadMeters(draft);
  ReadPlans(draft);
  ReadGrants(draft);
  ReadDiscounts(draft);
  ReadPosting(draft);
  ReadSubscriptions(draft);
  CheckGrants(draft);
  ReadUnitGrants(draft);
  CheckDiscounts(draft);
  CheckPostingReached(draft);
  CheckExchangeRates(draft);
  CheckContracts(draft);

  ParsedCatalog parsed;
  if (draft.errors.empty()) {
    Catalog& catalog = draft.catalog;
    std::sort(catalog.meters.begin(), catalog.meters.end(),
              [](const Meter& a, const Meter& b) { return a.name < b.name; });
    catalog.digest = DigestOf(catalog.files());
    catalog.BuildIndex();
    parsed.catalog = std::move(catalog);
  } else {
    std::stable_sort(draft.errors.begin(), draft.errors.end(), [](const CatalogError& a, const CatalogError& b) {
      return std::tie(a.file, a.line) < std::tie(b.file, b.line);
    });
    parsed.errors = std::move(draft.errors);
  }
  return parsed;
}

}  // namespace tollbook
