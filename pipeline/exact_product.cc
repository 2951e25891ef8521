#include "pipeline/exact_product.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "rating/quantity.h"
#include "rating/wide.h"

namespace tollbook {
namespace {

// The common case: counts, such as 224 tokens x 2 requests. `products` 250 instructions a product, 11301 in general.
constexpr size_t kCountDigitsMax = 18;

std::optional<uint64_t> ParseCount(std::string_view text) {
  if (text.empty() || text.size() > kCountDigitsMax || (text[0] == '0' && text.size() > 1)) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

std::optional<uint64_t> CountProduct(std::span<const std::string_view> factors) {
  static_assert(static_cast<Uint128>(UINT64_MAX) * static_cast<Uint128>(kOneUnit) < (Uint128{1} << 127),
                "what fits 64 bits is a Quantity");
  uint64_t product = 1;
  for (const std::string_view factor : factors) {
    const std::optional<uint64_t> count = ParseCount(factor);
    if (!count || __builtin_mul_overflow(product, *count, &product)) return std::nullopt;
  }
  return product;
}

std::string_view Render(uint64_t value, Arena& arena) {
  char text[20];
  const char* const end = std::to_chars(text, text + sizeof(text), value).ptr;
  return arena.Copy({text, static_cast<size_t>(end - text)});
}

// mantissa * 10^-scale, without trailing zeros in the mantissa, so that it is as small as it can be.
struct Scaled {
  Wide mantissa;
  int scale = 0;

  void DropTrailingZeros() {
    if (mantissa.zero()) return;
    Wide quotient, remainder;
    for (;;) {
      mantissa.DivideByPowerOfTen(1, &quotient, &remainder);
      if (!remainder.zero()) return;
      mantissa = quotient;
      --scale;
    }
  }
};

DecimalError Multiply(std::string_view factor, Scaled* product) {
  const ParsedDecimal parsed = ParseDecimal(factor, kQuantityScale);
  if (parsed.error != DecimalError::kNone) return parsed.error;
  Scaled scaled{Wide::FromInt128(parsed.value), kQuantityScale};
  scaled.DropTrailingZeros();
  product->mantissa = Wide::Product(product->mantissa.ToInt128(), scaled.mantissa.ToInt128());
  product->scale = product->mantissa.zero() ? 0 : product->scale + scaled.scale;
  product->DropTrailingZeros();
  if (product->mantissa.FitsInt128()) return DecimalError::kNone;
  return product->scale <= kQuantityScale ? DecimalError::kTooLarge : DecimalError::kTooPrecise;
}

}  // namespace

DecimalError ExactProduct(std::span<const std::string_view> factors, Arena& arena, std::string_view* product) {
  if (const std::optional<uint64_t> count = CountProduct(factors)) {
    *product = Render(*count, arena);
    return DecimalError::kNone;
  }
  Scaled exact{Wide::FromInt128(1), 0};
  for (const std::string_view factor : factors) {
    const DecimalError error = Multiply(factor, &exact);
    if (error != DecimalError::kNone) return error;
  }
  if (exact.scale > kQuantityScale) return DecimalError::kTooPrecise;
  Int128 value = exact.mantissa.ToInt128();
  for (int scale = exact.scale; scale < kQuantityScale && value != 0; ++scale) {
    if (__builtin_mul_overflow(value, Int128{10}, &value)) return DecimalError::kTooLarge;
  }
  *product = arena.Copy(FormatDecimal(value, kQuantityScale));
  return DecimalError::kNone;
}

}  // namespace tollbook
