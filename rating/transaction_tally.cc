#include "rating/transaction_tally.h"

#include <algorithm>
#include <string>

namespace tollbook {
namespace {

Quantity CountOf(uint64_t events) {
  return {static_cast<Int128>(events) * kOneUnit};  // below 2^124
}

std::string Counted(uint64_t events) {
  return std::to_string(events) + (events == 1 ? " transaction" : " transactions");
}

Wide WorthOf(Price price) {
  return Wide::Product(kOneUnit, price.attos);
}

// A quantity at a price, where the sum of the events is one.
template <typename What>
void AddStep(const Wide& amount, Price price, const What& what, Arithmetic* sum) {
  if (!amount.FitsInt128()) return sum->DoesNotFit();
  sum->Step({amount.ToInt128()}, price, what);
}

}  // namespace

TransactionTally::TransactionTally(const Pricing& pricing)
    : pricing_(&pricing),
      free_events_left_(pricing.free_events.value_or(0)),
      free_amount_left_(pricing.free_amount.value_or(Quantity()).attos) {}

bool TransactionTally::has_allowance() const {
  if (!pricing_->free_events && !pricing_->free_amount) return false;
  return (!pricing_->free_events || free_events_left_ > 0) && (!pricing_->free_amount || free_amount_left_ > 0);
}

// How many of so many equal transactions the allowance covers in full.
uint64_t TransactionTally::Covered(Int128 value, uint64_t events) const {
  if (!has_allowance()) return 0;
  if (pricing_->free_events) events = std::min(events, free_events_left_);
  if (!pricing_->free_amount || value == 0) return events;
  return static_cast<uint64_t>(std::min<Int128>(static_cast<Int128>(events), free_amount_left_ / value));
}

bool TransactionTally::Cover(const UsageTotal& element, uint64_t events) {
  if (events == 0) return true;
  if (pricing_->free_events) free_events_left_ -= events;
  if (pricing_->free_amount) free_amount_left_ -= element.value.attos * static_cast<Int128>(events);
  last_free_at_ = element.latest_at;
  return !__builtin_add_overflow(free_events_, events, &free_events_) &&
         Wide::Add(free_amount_, Wide::Product(element.value.attos, static_cast<Int128>(events)), &free_amount_);
}

// It is larger than what is left, which it uses up.
bool TransactionTally::CoverInPart(const UsageTotal& element) {
  free_in_part_ = free_amount_left_;
  in_part_at_ = element.latest_at;
  free_amount_left_ = 0;
  return AddPriced(element.value.attos - free_in_part_, 1);
}

bool TransactionTally::AddPriced(Int128 value, uint64_t events) {
  return !__builtin_add_overflow(priced_events_, events, &priced_events_) &&
         Wide::Add(priced_amount_, Wide::Product(value, static_cast<Int128>(events)), &priced_amount_) &&
         Bound(value, events);
}

bool TransactionTally::AddChange(const Wide& worth, uint64_t events, Change* change) {
  Wide of_all;
  return Wide::Multiply(worth, events, &of_all) && Wide::Add(change->worth, of_all, &change->worth) &&
         !__builtin_add_overflow(change->events, events, &change->events);
}

bool TransactionTally::Bound(Int128 value, uint64_t events) {
  if (!pricing_->max_per_event && !pricing_->min_per_event) return true;
  Wide worth, change;
  if (!Wide::Add(Wide::Product(value, pricing_->unit_price.attos), WorthOf(pricing_->price_per_event), &worth)) {
    return false;
  }
  if (pricing_->max_per_event) {
    const Wide most = WorthOf(*pricing_->max_per_event), least = most.Negated();
    if (worth > most) return Wide::Subtract(most, worth, &change) && AddChange(change, events, &capped_);
    if (worth < least) return Wide::Subtract(least, worth, &change) && AddChange(change, events, &held_back_);
  }
  if (!pricing_->min_per_event || value < 0 || worth >= WorthOf(*pricing_->min_per_event)) return true;
  return Wide::Subtract(WorthOf(*pricing_->min_per_event), worth, &change) && AddChange(change, events, &raised_);
}

bool TransactionTally::Add(const UsageTotal& element) {
  const Int128 value = element.value.attos;
  uint64_t left = element.events;
  if (value >= 0) {
    const uint64_t covered = Covered(value, left);
    if (!Cover(element, covered)) return false;
    left -= covered;
    if (left > 0 && pricing_->free_amount && has_allowance()) {
      if (!CoverInPart(element)) return false;
      --left;
    }
  }
  return left == 0 || AddPriced(value, left);
}

void TransactionTally::Price(Arithmetic* sum) const {
  if (free_events_ > 0) {
    AddStep(
        free_amount_, {},
        [&] {
          const std::string_view last = free_events_ == 1 ? " free, at " : " free, the last at ";
          return Counted(free_events_).append(last).append(ToString(last_free_at_));
        },
        sum);
  }
  if (free_in_part_ > 0) {
    sum->Step({free_in_part_}, {}, [&] { return "free part of the transaction at " + ToString(in_part_at_); });
  }
  if (priced_events_ == 0) return;
  AddStep(
      priced_amount_, pricing_->unit_price, [&] { return "percentage of " + Counted(priced_events_); }, sum);
  if (pricing_->price_per_event != tollbook::Price{}) {
    sum->Step(CountOf(priced_events_), pricing_->price_per_event, [] { return "fixed amount per transaction"; });
  }
  if (raised_.events > 0) {
    sum->Amount({raised_.worth}, [&] {
      return Counted(raised_.events) + " up to the minimum of " + ToString(*pricing_->min_per_event);
    });
  }
  if (capped_.events > 0) {
    sum->Amount({capped_.worth}, [&] {
      return Counted(capped_.events) + " above the maximum of " + ToString(*pricing_->max_per_event);
    });
  }
  if (held_back_.events > 0) {
    sum->Amount({held_back_.worth}, [&] {
      return "refund of " + Counted(held_back_.events) + " above the maximum of " + ToString(*pricing_->max_per_event);
    });
  }
}

}  // namespace tollbook
