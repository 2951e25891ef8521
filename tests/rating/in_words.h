// InWords: values from the text a billing person would write, so that tests read as tables.
#ifndef TOLLBOOK_TESTS_RATING_IN_WORDS_H_
#define TOLLBOOK_TESTS_RATING_IN_WORDS_H_

#include <string>
#include <string_view>

#include "rating/calendar.h"
#include "rating/catalog.h"
#include "rating/decimal.h"
#include "rating/error.h"
#include "rating/money.h"
#include "rating/quantity.h"

namespace tollbook {

inline Int128 Attos(std::string_view text) {
  const ParsedDecimal parsed = ParseDecimal(text, 18);
  TOLLBOOK_ASSERT(parsed.error == DecimalError::kNone);
  return parsed.value;
}
inline Quantity Units(std::string_view text) {
  return {Attos(text)};
}
inline Price Each(std::string_view text) {
  return {Attos(text)};
}
inline Currency In(std::string_view code) {
  return Currency::FromCode(code).value();
}
inline Day On(std::string_view date) {
  return ParseDay(date).value();
}
inline Zone ZoneOf(std::string_view name) {
  return Zone::FromName(name).value();
}
inline Instant At(std::string_view time) {
  const ParsedInstant parsed = ParseInstant(time);
  TOLLBOOK_ASSERT(parsed.error == TimeError::kNone);
  return parsed.instant;
}

// `to` empty: open.
inline Subscription SubscriptionOfAcme(std::string_view id, uint32_t plan, std::string_view from, std::string_view to,
                                       std::string_view zone) {
  Subscription subscription;
  subscription.id = id;
  subscription.subject = "acme";
  subscription.plan = plan;
  subscription.zone = ZoneOf(zone);
  subscription.valid_from = On(from);
  if (!to.empty()) subscription.valid_to = On(to);
  return subscription;
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_RATING_IN_WORDS_H_
