#include "rating/discount.h"

#include <algorithm>
#include <numeric>

#include "rating/error.h"
#include "rating/rounded_quotient.h"

namespace tollbook {

std::vector<Int128> SpreadByLargestRemainder(Int128 amount, std::span<const Int128> weights) {
  const Int128 sum = std::accumulate(weights.begin(), weights.end(), Int128{0});
  TOLLBOOK_ASSERT(amount >= 0 && sum > 0 && amount <= sum);
  std::vector<Int128> shares(weights.size());
  std::vector<Wide> remainders(weights.size());
  Int128 left = amount;
  for (size_t i = 0; i < weights.size(); ++i) {
    TOLLBOOK_ASSERT(weights[i] >= 0);
    const Wide product = Wide::Product(amount, weights[i]);
    // A share is not above its weight, so all of these fit.
    TOLLBOOK_ASSERT(RoundedQuotient(product, sum, Rounding::kDown, &shares[i]) &&
                    Wide::Subtract(product, Wide::Product(shares[i], sum), &remainders[i]));
    left -= shares[i];
  }
  std::vector<size_t> by_remainder(weights.size());
  std::iota(by_remainder.begin(), by_remainder.end(), size_t{0});
  std::ranges::stable_sort(by_remainder, [&](size_t a, size_t b) { return remainders[b] < remainders[a]; });
  for (size_t i = 0; left > 0; ++i, --left) shares[by_remainder[i]] += 1;
  return shares;
}

}  // namespace tollbook
