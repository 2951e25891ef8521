#include "pipeline/vector_params.h"

namespace tollbook {

using Kind = JsonTree::Kind;

const JsonTree* VectorParams::Take(std::string_view key) {
  taken_.emplace(key);
  const JsonTree* value = map_.Find(key);
  return value == nullptr || value->kind == Kind::kNull ? nullptr : value;
}

const JsonTree* VectorParams::TakeList(std::string_view key) {
  const JsonTree* value = Take(key);
  if (value == nullptr || value->kind == Kind::kList) return value;
  Wrong(key, "not a list");
  return nullptr;
}

std::string VectorParams::Text(std::string_view key) {
  const JsonTree* value = Take(key);
  if (value == nullptr) return "";
  if (value->kind != Kind::kText) Wrong(key, "not a text");
  return value->text;
}

bool VectorParams::Bool(std::string_view key, bool otherwise) {
  const JsonTree* value = Take(key);
  if (value == nullptr) return otherwise;
  if (value->kind != Kind::kBool) Wrong(key, "not true or false");
  return value->text == "true";
}

std::optional<std::string> VectorParams::Decimal(std::string_view key) {
  const JsonTree* value = Take(key);
  if (value == nullptr) return std::nullopt;
  const bool is_scalar = value->kind == Kind::kText || value->kind == Kind::kNumber;
  if (!is_scalar || ParseDecimal(value->text, 18).error != DecimalError::kNone) {
    Wrong(key, "not a decimal of at most 18 places");
    return std::nullopt;
  }
  return value->text;
}

std::string VectorParams::RequiredDecimal(std::string_view key) {
  const std::optional<std::string> text = Decimal(key);
  if (!text.has_value()) Wrong(key, "missing");
  return text.value_or("0");
}

std::optional<Int128> VectorParams::Attos(std::string_view key) {
  const std::optional<std::string> text = Decimal(key);
  if (!text.has_value()) return std::nullopt;
  return ParseDecimal(*text, 18).value;
}

void VectorParams::Wrong(std::string_view key, std::string_view what) {
  if (!status_.ok()) return;
  status_ = MakeError(absl::StatusCode::kInvalidArgument, "a wrong value", key, what);
}

void VectorParams::NotHere(std::string_view what) {
  if (status_.ok()) status_ = absl::UnimplementedError(Abs(what));
}

void VectorParams::RefuseOthers() {
  for (size_t i = 0; i < map_.keys.size(); ++i) {
    if (map_.items[i].kind != Kind::kNull && !taken_.contains(map_.keys[i])) NotHere(map_.keys[i]);
  }
}

}  // namespace tollbook
