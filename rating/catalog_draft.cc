#include "rating/catalog_draft.h"

#include <algorithm>

namespace tollbook {
namespace {

constexpr size_t kKeyNameBytesMax = 40;

bool IsKeyChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

// The scale of prices and quantities is the same, and so are the words about their text.
// What to do about a number that does not do.
struct NumberAdvice {
  const char* too_precise;
  const char* negative;
};

std::optional<Int128> ReadDecimal(YamlMap& map, std::string_view key, const NumberAdvice& advice, FileErrors& errors) {
  static_assert(kPriceScale == kQuantityScale);
  const std::optional<std::string> text = map.Text(key);
  if (!text) {
    return std::nullopt;
  }
  const ParsedDecimal parsed = ParseDecimal(*text, kQuantityScale);
  const std::string which = Join({Quoted(key), " of ", map.what(), " is ", Quoted(*text)});
  const int line = map.LineOf(key);
  switch (parsed.error) {
    case DecimalError::kNone:
      break;
    case DecimalError::kNotANumber:
      errors.Add(line, which + ", not a number", "write plain digits, such as 1250 or 0.0040");
      return std::nullopt;
    case DecimalError::kTooLarge:
      errors.Add(line, which + ", too large", "write a number below 10^20");
      return std::nullopt;
    case DecimalError::kTooPrecise:
      errors.Add(line, which + ", with more than 18 decimals", advice.too_precise);
      return std::nullopt;
  }
  if (parsed.value < 0) {
    errors.Add(line, which + ", negative", advice.negative);
    return std::nullopt;
  }
  return parsed.value;
}

}  // namespace

void NameTable::Define(const std::string& name, uint32_t index, int line, FileErrors& errors) {
  const auto [entry, is_new] = entries_.try_emplace(name, Entry{index, line});
  if (!is_new) {
    errors.Add(
        line, Join({thing_, " ", Quoted(name), " is defined at line ", std::to_string(entry->second.line), " already"}),
        "rename one of the two, or remove it");
  }
}

const NameTable::Entry* NameTable::Find(std::string_view name) const {
  const auto entry = entries_.find(name);
  return entry == entries_.end() ? nullptr : &entry->second;
}

const NameTable::Entry* NameTable::Refer(std::string_view name, std::string_view user, int line,
                                         FileErrors& errors) const {
  const Entry* entry = Find(name);
  if (entry != nullptr || incomplete_) {
    return entry;
  }
  std::vector<std::string_view> known;
  for (const auto& [known_name, unused] : entries_) {
    known.push_back(known_name);
  }
  const std::string_view nearest = NearestWord(name, known);
  errors.Add(line, Join({user, " names ", thing_, " ", Quoted(name), ", which ", file_, " does not have"}),
             nearest.empty() ? Join({"add it to ", file_, ", or name one that is there"})
                             : Join({"did you mean ", Quoted(nearest), "?"}));
  return nullptr;
}

const std::string* RequiredFile(CatalogDraft& draft, FileErrors& errors) {
  const auto file = draft.files->texts.find(errors.file());
  if (file == draft.files->texts.end()) {
    errors.Add(0, "the file is missing", "add it to the catalog's directory, under this very name");
    return nullptr;
  }
  return &file->second;
}

std::optional<YamlNode> ReadRequiredYaml(CatalogDraft& draft, FileErrors& errors) {
  const std::string* text = RequiredFile(draft, errors);
  return text == nullptr ? std::nullopt : ReadYaml(*text, errors);
}

std::span<const YamlNode> ReadEntries(YamlMap& map, std::string_view key, NameTable& names) {
  const YamlNode* list = map.Find(key);
  if (list == nullptr || list->kind != YamlNode::Kind::kList) {
    names.SetIncomplete();
  }
  return map.RequiredList(key);
}

bool IsKeyName(std::string_view name) {
  return !name.empty() && name.size() <= kKeyNameBytesMax && std::all_of(name.begin(), name.end(), IsKeyChar);
}

std::optional<std::string> RequiredKeyName(YamlMap& map, std::string_view key, FileErrors& errors) {
  std::optional<std::string> name = map.RequiredText(key);
  if (name && !IsKeyName(*name)) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", Quoted(*name)}),
               "use 1 to 40 of: letters, digits, '.', '_', '-'");
  }
  return name;
}

std::optional<Quantity> ReadQuantity(YamlMap& map, std::string_view key, Sign sign, FileErrors& errors) {
  constexpr NumberAdvice kAdvice = {"write at most 18 decimals", "write it without a sign"};
  const std::optional<Int128> attos = ReadDecimal(map, key, kAdvice, errors);
  if (attos && *attos == 0 && sign == Sign::kPositive) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is 0"}), "write a number above 0");
    return std::nullopt;
  }
  return attos ? std::optional(Quantity{*attos}) : std::nullopt;
}

int ReadPlaces(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<Quantity> number = ReadQuantity(map, key, Sign::kNotNegative, errors);
  if (!number) return 0;
  if (number->attos % kOneUnit != 0 || *number > Quantity::Units(kQuantityScale)) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", ToString(*number)}),
               "write a whole number from 0 to 18");
    return 0;
  }
  return static_cast<int>(number->attos / kOneUnit);
}

std::optional<Price> ReadPrice(YamlMap& map, std::string_view key, FileErrors& errors) {
  constexpr NumberAdvice kAdvice = {"write at most 18 decimals: `per: 1000` makes it the price of 1000 units",
                                    "write it without a sign: a charge never gives money back"};
  const std::optional<Int128> attos = ReadDecimal(map, key, kAdvice, errors);
  return attos ? std::optional(Price{*attos}) : std::nullopt;
}

std::optional<Currency> ReadCurrency(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<std::string> code = map.RequiredText(key);
  if (!code) {
    return std::nullopt;
  }
  const std::optional<Currency> currency = Currency::FromCode(*code);
  if (!currency) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", Quoted(*code), ", not a currency"}),
               std::string(kCurrencyAdvice));
  }
  return currency;
}

std::optional<Zone> ReadZone(YamlMap& map, std::string_view key, FileErrors& errors) {
  const std::optional<std::string> name = map.Text(key);
  if (!name) {
    return std::nullopt;
  }
  const std::optional<Zone> zone = Zone::FromName(*name);
  if (!zone) {
    errors.Add(map.LineOf(key), Join({Quoted(key), " of ", map.what(), " is ", Quoted(*name), ", not a time zone"}),
               std::string(kZoneAdvice));
  }
  return zone;
}

}  // namespace tollbook
