#include "pipeline/deferred_balance.h"

#include <algorithm>

#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

Int128 Magnitude(Int128 amount) {
  return amount < 0 ? -amount : amount;
}

absl::Status TooLarge() {
  return MakeError(absl::StatusCode::kOutOfRange, "what is deferred is too large to be converted", "journal",
                   "leave out --functional");
}

// False when the sum, or its negation, does not fit.
bool Add(Int128 more, Int128* sum) {
  Int128 added = 0, negated = 0;
  if (__builtin_add_overflow(*sum, more, &added) || __builtin_sub_overflow(Int128{0}, added, &negated)) return false;
  *sum = added;
  return true;
}

}  // namespace

absl::StatusOr<Int128> DayRate::Of(Int128 minor) const {
  const absl::StatusOr<Money> amount = Convert({from, Magnitude(minor)}, to, rate.rate, rounding);
  if (!amount.ok()) return amount.status();
  return minor < 0 ? -amount->minor : amount->minor;
}

absl::Status DeferredBalance::TakeRate(const DayRate& own) {
  if (currency_ != own.to) {
    // IAS 21.35: into another functional currency goes all that is carried, by the rate of the change.
    currency_ = own.to;
    functional_ = 0;
    unrated_ = minor_;
  }
  if (unrated_ == 0) return absl::OkStatus();
  const absl::StatusOr<Int128> functional = own.Of(unrated_);
  if (!functional.ok()) return functional.status();
  unrated_ = 0;
  return Add(*functional, &functional_) ? absl::OkStatus() : TooLarge();
}

Int128 DeferredBalance::Carried() const {
  return std::max(Int128{0}, minor_ < 0 ? -functional_ : functional_);
}

absl::StatusOr<Int128> DeferredBalance::ShareOf(Int128 minor, Rounding rounding) const {
  if (Magnitude(minor) >= Magnitude(minor_)) return Carried();
  Int128 share = 0;
  const Wide product = Wide::Product(Carried(), Magnitude(minor));
  if (!RoundedQuotient(product, Magnitude(minor_), rounding, &share)) return TooLarge();
  return share;
}

absl::Status DeferredBalance::Move(Int128 minor, Int128 functional) {
  if (!Add(minor, &minor_) || !Add(minor < 0 ? -functional : functional, &functional_)) return TooLarge();
  return absl::OkStatus();
}

absl::StatusOr<DeferredBalance::Posted> DeferredBalance::Post(Int128 minor, const DayRate& own) {
  TOLLBOOK_RETURN_IF_ERROR(TakeRate(own));
  Posted posted;
  Int128 beyond = minor;
  if (Draws(minor)) {
    const absl::StatusOr<Int128> share = ShareOf(minor, own.rounding);
    if (!share.ok()) return share.status();
    posted = {*share, true};
    beyond = Magnitude(minor) > Magnitude(minor_) ? minor + minor_ : 0;
  }
  const absl::StatusOr<Int128> added = own.Of(Magnitude(beyond));
  if (!added.ok()) return added.status();
  if (!Add(*added, &posted.functional)) return TooLarge();
  TOLLBOOK_RETURN_IF_ERROR(Move(minor, posted.functional));
  return posted;
}

absl::StatusOr<DeferredBalance::Posted> DeferredBalance::PostBack(Int128 minor, Int128 functional, const DayRate& own) {
  TOLLBOOK_RETURN_IF_ERROR(TakeRate(own));
  Posted posted{functional, false};
  if (Draws(minor)) {
    const Int128 carried = Carried();
    if (Magnitude(minor) <= Magnitude(minor_)) posted.functional = std::min(functional, carried);
    if (Magnitude(minor) >= Magnitude(minor_)) posted.functional = std::max(posted.functional, carried);
    posted.is_drawn = posted.functional != functional;
  }
  TOLLBOOK_RETURN_IF_ERROR(Move(minor, posted.functional));
  return posted;
}

absl::Status DeferredBalance::PostAs(Int128 minor, Int128 functional, const DayRate& own) {
  TOLLBOOK_RETURN_IF_ERROR(TakeRate(own));
  return Move(minor, functional);
}

absl::Status DeferredBalance::Take(const DeferredBalance& other) {
  if (!currency_) currency_ = other.currency_;
  const bool same = !other.currency_ || currency_ == other.currency_;
  const bool fits = Add(other.minor_, &minor_) && Add(same ? other.functional_ : 0, &functional_) &&
                    Add(same ? other.unrated_ : other.minor_, &unrated_);
  return fits ? absl::OkStatus() : TooLarge();
}

absl::Status DeferredBalance::PostUnrated(Int128 minor) {
  if (!Add(minor, &minor_) || !Add(minor, &unrated_)) return TooLarge();
  if (minor_ != 0) return absl::OkStatus();
  functional_ = unrated_ = 0;
  return absl::OkStatus();
}

}  // namespace tollbook
