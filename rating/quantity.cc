#include "rating/quantity.h"

namespace tollbook {

std::string ToString(Quantity quantity) {
  return FormatDecimal(quantity.attos, kQuantityScale);
}

}  // namespace tollbook
