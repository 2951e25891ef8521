#include "pipeline/emit/erp_journal.h"

#include <algorithm>

#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"
#include "rating/dimension_text.h"

namespace tollbook {
namespace {

void AddText(std::string_view name, std::string_view value, std::string* json) {
  if (!json->ends_with('{')) *json += ',';
  AppendJsonString(name, json);
  *json += ':';
  AppendJsonString(value, json);
}

std::string TextAt(const JsonTree& map, std::string_view key) {
  const JsonTree* found = map.Find(key);
  return found != nullptr && found->kind == JsonTree::Kind::kText ? found->text : "";
}

}  // namespace

ErpJournal ErpJournalOf(const JournalBatch& batch) {
  ErpJournal journal{batch.posting_key, batch.id, batch.entity, std::string(batch.currency.code()), "", {}};
  Day date = batch.lines.front().key.posting_date;
  for (const JournalLine& line : batch.lines) {
    date = std::max(date, line.key.posting_date);
    for (const Posting& posting : PostingsOf(line)) {
      journal.lines.push_back({std::string(posting.account), posting.is_debit, ToString(posting.amount), line.memo(),
                               ParseDimensions(line.key.dimensions), line.key.product});
    }
  }
  journal.date = ToString(date);
  return journal;
}

std::string Encode(const ErpJournal& journal) {
  std::string json = "{";
  AddText("key", journal.key, &json);
  AddText("batch", journal.batch, &json);
  AddText("entity", journal.entity, &json);
  AddText("currency", journal.currency, &json);
  AddText("date", journal.date, &json);
  json += ",\"lines\":[";
  for (const ErpLine& line : journal.lines) {
    if (!json.ends_with('[')) json += ',';
    json += '{';
    AddText("account", line.account, &json);
    AddText(line.is_debit ? "debit" : "credit", line.amount, &json);
    AddText("memo", line.memo, &json);
    AddText("product", line.product, &json);
    json += ",\"dimensions\":{";
    for (const auto& [name, value] : line.dimensions) AddText(name, value, &json);
    json += "}}";
  }
  return json + "]}";
}

std::optional<ErpJournal> DecodeErpJournal(std::string_view stored) {
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(stored, "a stored journal");
  if (!tree.ok()) return std::nullopt;
  ErpJournal journal{TextAt(*tree, "key"),      TextAt(*tree, "batch"), TextAt(*tree, "entity"),
                     TextAt(*tree, "currency"), TextAt(*tree, "date"),  {}};
  const JsonTree* lines = tree->Find("lines");
  if (lines == nullptr || journal.key.empty()) return std::nullopt;
  for (const JsonTree& item : lines->items) {
    ErpLine line{TextAt(item, "account"), item.Find("debit") != nullptr, "", TextAt(item, "memo"), {},
                 TextAt(item, "product")};
    line.amount = TextAt(item, line.is_debit ? "debit" : "credit");
    if (const JsonTree* dimensions = item.Find("dimensions")) {
      for (size_t i = 0; i < dimensions->keys.size(); ++i) {
        line.dimensions.emplace_back(dimensions->keys[i], dimensions->items[i].text);
      }
    }
    if (!PlainAmount(line.amount)) return std::nullopt;
    journal.lines.push_back(std::move(line));
  }
  return journal;
}

bool SameLines(std::span<const ErpCompared> ours, std::span<const ErpCompared> there) {
  if (ours.size() != there.size()) return false;
  std::multimap<ErpSide, const ErpCompared*> left;
  for (const ErpCompared& line : there) left.emplace(line.side, &line);
  const auto take = [&left](const ErpCompared& line, bool wholly) {
    const auto [first, last] = left.equal_range(line.side);
    const auto found = std::find_if(first, last, [&](const auto& other) {
      const auto& fields = other.second->fields;
      return std::all_of(line.fields.begin(), line.fields.end(), [&](const auto& field) {
        const auto same = fields.find(field.first);
        return same == fields.end() ? !wholly : same->second == field.second;
      });
    });
    if (found == last) return false;
    left.erase(found);
    return true;
  };
  // Those that name all first: one that does not would do for any.
  std::vector<const ErpCompared*> others;
  for (const ErpCompared& line : ours) {
    if (!take(line, true)) others.push_back(&line);
  }
  return std::all_of(others.begin(), others.end(), [&](const ErpCompared* line) { return take(*line, false); });
}

std::optional<std::string> PlainAmount(std::string_view decimal) {
  const ParsedDecimal parsed = ParseDecimal(decimal, 9);
  if (parsed.error != DecimalError::kNone) return std::nullopt;
  return FormatDecimal(parsed.value, 9);
}

}  // namespace tollbook
