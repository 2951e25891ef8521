#include "rating/prorated_tally.h"

#include <algorithm>
#include <string>

#include "rating/charge_models.h"
#include "rating/rounded_quotient.h"

namespace tollbook {

// A tier holds the units above the bound of the one before it, its own bound included: from a bound it goes up into the
// next tier, and down into this one.
bool ProratedTally::RoomBehind(bool up, Room* room) const {
  const std::vector<Tier>& tiers = pricing_->tiers;
  size_t i = 0;
  const auto is_beyond = [&](Int128 bound) { return up ? position_ >= bound : position_ > bound; };
  while (i + 1 < tiers.size() && is_beyond(tiers[i].up_to->attos)) ++i;
  *room = {i, up ? i + 1 == tiers.size() : i == 0, 0};
  if (room->is_endless) return true;
  return up ? !__builtin_sub_overflow(tiers[i].up_to->attos, position_, &room->units)
            : !__builtin_sub_overflow(position_, tiers[i - 1].up_to->attos, &room->units);
}

bool ProratedTally::Move(Int128 units) {
  if (__builtin_add_overflow(position_, units, &position_)) return false;
  highest_ = std::max(highest_, position_);
  return true;
}

bool ProratedTally::AddTo(size_t tier, Int128 prorated, uint64_t events) {
  Int128 of_all = 0;
  return !__builtin_mul_overflow(prorated, static_cast<Int128>(events), &of_all) &&
         !__builtin_add_overflow(prorated_[tier], of_all, &prorated_[tier]);
}

// One event that no tier holds as a whole.
bool ProratedTally::Split(const PricedElement& element) {
  const bool up = element.total.value.attos > 0;
  const Int128 units = up ? element.total.value.attos : -element.total.value.attos;
  Int128 units_left = units, prorated_left = element.prorated.attos;
  while (units_left > 0) {
    Room room;
    if (!RoomBehind(up, &room)) return false;
    const bool is_last = room.is_endless || units_left <= room.units;
    const Int128 here = is_last ? units_left : room.units;
    Int128 prorated = prorated_left;
    if (!is_last &&
        !RoundedQuotient(Wide::Product(element.prorated.attos, here), units, Rounding::kHalfEven, &prorated))
      return false;
    if (!AddTo(room.tier, prorated, 1) || !Move(up ? here : -here)) return false;
    prorated_left -= prorated;  // the last tier has the rest: of a few attos, maybe one of the other sign
    units_left -= here;
  }
  return true;
}

// Equal events go together as far as one tier holds them.
bool ProratedTally::Add(const PricedElement& element) {
  const Int128 units = element.total.value.attos;
  const bool up = units > 0;
  for (uint64_t left = element.total.events; left > 0;) {
    Room room;
    if (!RoomBehind(up, &room)) return false;
    if (units == 0) return AddTo(room.tier, element.prorated.attos, left);
    uint64_t whole = left;
    if (!room.is_endless) whole = static_cast<uint64_t>(std::min<Int128>(left, room.units / (up ? units : -units)));
    if (whole == 0) {
      if (!Split(element)) return false;
      --left;
      continue;
    }
    Int128 moved = 0;
    if (!AddTo(room.tier, element.prorated.attos, whole) ||
        __builtin_mul_overflow(units, static_cast<Int128>(whole), &moved) || !Move(moved))
      return false;
    left -= whole;
  }
  return true;
}

bool ProratedTally::IsEntered(size_t tier) const {
  return highest_ > (tier == 0 ? 0 : pricing_->tiers[tier - 1].up_to->attos);
}

void ProratedTally::Price(Arithmetic* sum) const {
  Wide own;
  const auto add = [&](Quantity quantity, tollbook::Price price, const auto& what) {
    if (!Wide::Add(own, Wide::Product(quantity.attos, price.attos), &own)) sum->DoesNotFit();
    sum->Step(quantity, price, what);
  };
  for (size_t i = 0; i < prorated_.size(); ++i) {
    const Tier& tier = pricing_->tiers[i];
    if (!IsEntered(i) && prorated_[i] == 0) continue;
    add({prorated_[i]}, tier.unit_price, [&] { return "prorated units in " + NameOfTier(pricing_->tiers, i); });
    if (!IsEntered(i) || tier.flat == tollbook::Price{}) continue;
    add(Quantity::Units(1), tier.flat, [&] { return "flat amount of tier " + std::to_string(i + 1); });
  }
  if (own < Wide()) sum->Amount({own.Negated()}, [] { return std::string("not below zero"); });
}

}  // namespace tollbook
