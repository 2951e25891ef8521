#include "rating/retention.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "rating/catalog_retention.h"

namespace tollbook {
namespace {

constexpr std::string_view kPayloadMonths = "exception_payloads_months";
constexpr std::string_view kUsageLogMonths = "usage_log_months";
constexpr std::string_view kDedupKeysMonths = "dedup_keys_months";
constexpr int kMonthsMax = 1200;

std::optional<int> ReadMonths(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<std::string> text = map.Text(key);
  if (!text) return std::nullopt;
  int months = 0;
  const char* const end = text->data() + text->size();
  if (std::from_chars(text->data(), end, months).ptr == end && months >= 1 && months <= kMonthsMax) return months;
  errors.Add(map.LineOf(key), "\"" + std::string(key) + "\" of " + map.what() + " is \"" + *text + "\"",
             "write whole months, 1 to " + std::to_string(kMonthsMax) + ", or leave it out to keep them for ever");
  return std::nullopt;
}

}  // namespace

Retention ReadRetention(YamlMap& book, FileErrors& errors) {
  Retention retention;
  retention.keeps_usage_log = book.Bool("usage_log", false);
  const YamlNode* const node = book.Find("retention");
  if (node == nullptr) return retention;
  YamlMap map(*node, "retention", errors);
  retention.exception_payloads_months = ReadMonths(map, kPayloadMonths, errors);
  retention.usage_log_months = ReadMonths(map, kUsageLogMonths, errors);
  retention.dedup_keys_months = ReadMonths(map, kDedupKeysMonths, errors);
  map.RefuseOtherKeys();
  return retention;
}

Retention RetentionOf(const Catalog& catalog) {
  const auto text = catalog.files().find("book.yaml");
  if (text == catalog.files().end()) return {};
  std::vector<CatalogError> none;  // the catalog was checked
  FileErrors errors("book.yaml", &none);
  const std::optional<YamlNode> root = ReadYaml(text->second, errors);
  if (!root) return {};
  YamlMap map(*root, "book.yaml", errors);
  return ReadRetention(map, errors);
}

Day MonthsBefore(Day day, int months) {
  const int into_month = day.number - MonthOf(day).start.number;
  BillingPeriod month = MonthOf(day);
  for (int i = 0; i < months; ++i) month = MonthOf(Day{month.start.number - 1});
  return {std::min(month.start.number + into_month, month.end.number - 1)};
}

}  // namespace tollbook
