// What discounts take off: lines of their own, once all others of the subject have theirs, and before grants pay.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "rating/due_parts.h"
#include "rating/error.h"
#include "rating/rate.h"
#include "rating/rate_steps.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

// What a charge comes to in one of the plan's billing periods, day by day, in minor units.
struct DiscountedLine {
  const Subscription* subscription = nullptr;
  const Charge* charge = nullptr;
  std::map<Day, Int128> due = {};
};

// By charge name and plan: the order in which equal remainders are served.
using LineKey = std::tuple<std::string_view, uint32_t, const Charge*>;
using PeriodLines = std::map<LineKey, DiscountedLine>;

bool IsMaximum(const Charge& charge) {
  return charge.bound && charge.bound->is_maximum;
}

bool AddLine(const RatedCharge& line, const BillingCycle& cycle, std::map<BillingPeriod, PeriodLines>* periods) {
  std::vector<DuePart> parts;
  if (!AppendDueParts(line, &parts)) return false;
  for (const DuePart& part : parts) {
    DiscountedLine& of =
        (*periods)[PeriodOf(cycle, part.due)][{line.charge->name, line.subscription->plan, line.charge}];
    if (of.subscription == nullptr) of = {line.subscription, line.charge};
    Int128* const due = &of.due[part.day];
    if (__builtin_add_overflow(*due, part.minor, due)) return false;
  }
  return true;
}

// Percentages, then amounts.
bool ComesBefore(const Discount* a, const Discount* b) {
  const bool a_is_amount = a->amount.has_value(), b_is_amount = b->amount.has_value();
  return std::tie(a_is_amount, a->order, a->id, a->line) < std::tie(b_is_amount, b->order, b->id, b->line);
}

bool IsValidOn(const Discount& discount, Day day) {
  return discount.starts_on <= day && (!discount.ends_on || day < *discount.ends_on);
}

Int128 Positive(Int128 minor) {
  return std::max(minor, Int128{0});
}

// The lines of one billing period and all that is taken off them, day after day; on days behind it what is credited of
// it.
class DiscountedPeriod {
 public:
  DiscountedPeriod(const BillingPeriod& period, const PeriodLines& lines, std::span<const Discount* const> discounts,
                   Rounding rounding)
      : period_(period), discounts_(discounts), rounding_(rounding), to_date_(lines.size()), capped_(lines.size()) {
    for (const auto& line : lines) lines_.push_back(&line);
    states_.assign(discounts.size(), std::vector<State>(lines.size()));
  }

  // `changes`: on which another version of the subscription begins, be it of another account.
  std::vector<Day> Days(std::span<const Day> changes, Day last) const {
    std::set<Day> days;
    for (const PeriodLines::value_type* line : lines_) {
      for (const auto& [day, due] : line->second.due) days.insert(day);
    }
    const auto add = [&](Day day) {
      if (period_.start <= day && day < period_.end && day <= last) days.insert(day);
    };
    // On which a discount begins to count: behind the period it does not any more, and it reaches back only once.
    add(period_.start);
    for (const Discount* discount : discounts_) add(discount->starts_on);
    for (const Day day : changes) add(day);
    return {days.begin(), days.end()};
  }

  // `is_of(discount, line)`: whether the discount is of the line on this day, its dates apart.
  template <typename IsOf>
  [[nodiscard]] bool AddDay(Day day, const IsOf& is_of) {
    std::vector<Int128> today(lines_.size());
    for (size_t i = 0; i < lines_.size(); ++i) {
      const auto due = line(i).due.find(day);
      if (due != line(i).due.end()) to_date_[i] += today[i] = due->second;
    }
    if (!ShareMaximums(std::move(today))) return false;
    std::vector<Int128> left = to_date_;
    for (size_t i = 0; i < lines_.size(); ++i) left[i] = IsMaximum(*line(i).charge) ? Int128{0} : left[i] - capped_[i];
    for (size_t i = 0; i < discounts_.size(); ++i) {
      for (size_t at = 0; at < lines_.size(); ++at) {
        State& state = states_[i][at];
        const bool may_count = state.has_begun || day < period_.end;
        const bool counts = may_count && IsValidOn(*discounts_[i], day) && is_of(*discounts_[i], line(at));
        state.Grow(left[at], counts, discounts_[i]->reaches_back);
      }
      if (!TakeOff(i)) return false;
      for (size_t line = 0; line < lines_.size(); ++line) left[line] -= states_[i][line].taken;
    }
    return true;
  }

  Int128 taken(size_t discount, size_t line) const { return states_[discount][line].taken; }
  const LineKey& key(size_t number) const { return lines_[number]->first; }
  const DiscountedLine& line(size_t number) const { return lines_[number]->second; }
  size_t lines() const { return lines_.size(); }

 private:
  // What is left of a line of what came due on days in a row, on all of which the discount counted or on none.
  struct Layer {
    Int128 due = 0;
    bool counted = false;
  };

  // Of one discount and line, to date.
  struct State {
    Int128 before = 0;  // what was left of the line the day before
    std::vector<Layer> layers;
    Int128 base = 0;  // of what the discount is: the layers on which it counted
    Int128 taken = 0;
    bool has_begun = false;

    void Grow(Int128 left, bool counts, bool reaches_back) {
      if (counts && reaches_back && !has_begun) {
        for (Layer& layer : layers) layer.counted = true;
        base = Positive(before);
      }
      has_begun = has_begun || counts;
      Int128 more = Positive(left) - Positive(before);
      before = left;
      if (more > 0) {
        if (layers.empty() || layers.back().counted != counts) layers.push_back({0, counts});
        layers.back().due += more;
        if (counts) base += more;
      }
      // What is credited comes off what came due last before it, whether the discount is still valid or not.
      while (more < 0) {
        Layer& last = layers.back();
        const Int128 credited = std::min(-more, last.due);
        last.due -= credited;
        if (last.counted) base -= credited;
        more += credited;
        if (last.due == 0) layers.pop_back();
      }
    }
  };

  // What maximums take off (below zero: give back) is shared by what comes due (is credited) on the day, then by what
  // is left of the lines (was taken off them). `plan`: of its lines first; null: of all. The rest is added to `rest`.
  bool Share(Int128 off, const uint32_t* plan, std::vector<Int128>* today, Int128* rest) {
    const Int128 sign = off < 0 ? -1 : 1;
    Int128 left = sign * off;
    for (const bool of_plan : {true, false}) {
      for (const bool of_day : {true, false}) {
        std::vector<Int128> weights(lines_.size());
        Int128 sum = 0;
        for (size_t i = 0; i < weights.size(); ++i) {
          const bool is_of_plan = plan == nullptr || line(i).subscription->plan == *plan;
          if (line(i).charge->bound || (of_plan && !is_of_plan)) continue;
          weights[i] = Positive(sign > 0 ? to_date_[i] - capped_[i] : capped_[i]);
          if (of_day) weights[i] = std::min(weights[i], Positive(sign * (*today)[i]));
          if (__builtin_add_overflow(sum, weights[i], &sum)) return false;
        }
        const Int128 shared = std::min(left, sum);
        if (shared == 0) continue;
        const std::vector<Int128> shares = SpreadByLargestRemainder(shared, weights);
        for (size_t i = 0; i < weights.size(); ++i) {
          capped_[i] += sign * shares[i];
          (*today)[i] -= sign * shares[i];
        }
        left -= shared;
      }
    }
    return !__builtin_add_overflow(*rest, sign * left, rest);
  }

  // `today`: each line's change. A line that was credited carries no more than what is left of it; the others have the
  // rest. They can, unless one is below zero: what then nobody carries is asked of them again on later days.
  bool ShareMaximums(std::vector<Int128> today) {
    Int128 rest = std::exchange(not_carried_, 0);
    for (size_t i = 0; i < lines_.size(); ++i) {
      const uint32_t plan = line(i).subscription->plan;
      if (IsMaximum(*line(i).charge) && !Share(-today[i], &plan, &today, &rest)) return false;
    }
    for (size_t i = 0; i < lines_.size(); ++i) {
      const Int128 over = Positive(capped_[i] - Positive(to_date_[i]));
      capped_[i] -= over;
      if (__builtin_add_overflow(rest, over, &rest)) return false;
    }
    return Share(rest, nullptr, &today, &not_carried_);
  }

  bool TakeOff(size_t number) {
    const Discount& discount = *discounts_[number];
    std::vector<State>& states = states_[number];
    if (!discount.amount) {
      return std::ranges::all_of(states, [&](State& state) {
        return RoundedQuotient(Wide::Product(discount.share.attos, state.base), kOneUnit, rounding_, &state.taken);
      });
    }
    std::vector<Int128> bases;
    Int128 sum = 0;
    for (const State& state : states) {
      bases.push_back(state.base);
      if (__builtin_add_overflow(sum, state.base, &sum)) return false;
    }
    if (sum == 0) bases.assign(states.size(), 0);
    const std::vector<Int128> shares =
        sum == 0 ? bases : SpreadByLargestRemainder(std::min(discount.amount->minor, sum), bases);
    for (size_t line = 0; line < states.size(); ++line) states[line].taken = shares[line];
    return true;
  }

  const BillingPeriod period_;
  std::span<const Discount* const> discounts_;
  const Rounding rounding_;
  std::vector<const PeriodLines::value_type*> lines_;
  std::vector<Int128> to_date_;             // of each line
  std::vector<Int128> capped_;              // likewise what maximums take off it
  Int128 not_carried_ = 0;                  // and off none of them
  std::vector<std::vector<State>> states_;  // of each discount and line
};

// What the discounts of one product take off a line, by the days of one billing period of its plan; what is credited of
// earlier periods included.
struct DiscountRows {
  const DiscountedLine* line = nullptr;
  std::map<Day, std::vector<Int128>> more;  // than on the day before, of each discount of whatever product
};
using RowsOf = std::tuple<BillingPeriod, LineKey, uint32_t>;  // and product

// To date. A day on which nothing changes is none of the line's.
void SumUp(const DiscountRows& rows, std::span<const Discount* const> discounts, uint32_t product, Currency currency,
           std::vector<DayWorth>* days, std::vector<TakenOff>* taken) {
  std::vector<Int128> to_date(discounts.size());
  for (const auto& [day, more] : rows.more) {
    if (std::ranges::all_of(more, [](Int128 minor) { return minor == 0; })) continue;
    Int128 sum = 0;
    for (size_t i = 0; i < discounts.size(); ++i) {
      if (discounts[i]->product != product) continue;
      to_date[i] += more[i];
      sum -= to_date[i];
      taken->push_back({discounts[i], to_date[i]});
    }
    days->push_back({day, {}, {currency, sum}, 0});
  }
}

absl::Status DoesNotFit(std::string_view subscription) {
  return MakeError(absl::StatusCode::kOutOfRange, "what is due of a subscription with discounts does not fit",
                   std::string(subscription), "check the prices of its plan");
}

}  // namespace

absl::Status SubjectRater::RateDiscountsOf(const Subscriptions& subscriptions, std::string_view id,
                                           const RateWindow& window, RatedSubject* rated) {
  std::vector<const Discount*> discounts;
  std::vector<Day> changes;
  const auto add = [&](Discount::Of of, std::string_view name) {
    for (const Discount& discount : catalog_.DiscountsOf(of, name)) {
      if (std::ranges::find(discounts, &discount) == discounts.end()) discounts.push_back(&discount);
    }
  };
  for (const Subscription& version : subscriptions) {
    if (version.id != id) continue;
    changes.push_back(version.valid_from);
    add(Discount::Of::kSubscription, version.id);
    add(Discount::Of::kAccount, version.account);
    add(Discount::Of::kPlan, catalog_.plans[version.plan].name);
  }
  if (discounts.empty()) return absl::OkStatus();
  std::ranges::sort(discounts, ComesBefore);

  const auto cycle_of = [&](const Subscription& version) {
    return catalog_.CycleOf(catalog_.plans[version.plan].billing, version);
  };
  std::map<BillingPeriod, PeriodLines> periods;
  std::optional<Day> last = TimedThrough(window);
  for (const RatedCharge& line : rated->charges) {
    if (line.subscription->id != id) continue;
    if (!AddLine(line, cycle_of(*line.subscription), &periods)) return DoesNotFit(id);
    if (!window.through) last = std::max(last, std::optional(line.days.back().usage_date));
  }
  std::map<RowsOf, DiscountRows> rows;
  for (const auto& [period, lines] : periods) {
    DiscountedPeriod discounted(period, lines, discounts, catalog_.book.rounding);
    std::vector<Int128> taken(lines.size() * discounts.size());
    for (const Day day : discounted.Days(changes, *last)) {
      const std::string_view account = VersionOn(subscriptions, id, day).account;
      const auto is_of = [&](const Discount& discount, const DiscountedLine& line) {
        if (!discount.charge.empty() && discount.charge != line.charge->name) return false;
        if (discount.of == Discount::Of::kAccount) return discount.name == account;
        return discount.of != Discount::Of::kPlan || discount.name == catalog_.plans[line.subscription->plan].name;
      };
      if (!discounted.AddDay(day, is_of)) return DoesNotFit(id);
      for (size_t i = 0; i < taken.size(); ++i) {
        const size_t line = i / discounts.size(), discount = i % discounts.size();
        const Int128 more = discounted.taken(discount, line) - taken[i];
        if (more == 0) continue;
        taken[i] += more;
        const DiscountedLine& of = discounted.line(line);
        const BillingPeriod of_day = day < period.end ? period : PeriodOf(cycle_of(*of.subscription), day);
        DiscountRows& of_line = rows[{of_day, discounted.key(line), discounts[discount]->product}];
        if (of_line.line == nullptr) of_line.line = &of;
        of_line.more[day].resize(discounts.size());
        of_line.more[day][discount] += more;
      }
    }
  }
  for (const auto& [of, of_line] : rows) {
    const auto& [period, key, product] = of;
    const DiscountedLine& from = *of_line.line;
    const Plan& plan = catalog_.plans[from.subscription->plan];
    std::vector<DayWorth> days;
    std::vector<TakenOff> taken;
    SumUp(of_line, discounts, product, plan.currency, &days, &taken);
    if (days.empty()) continue;
    RatedCharge& appended = rated->charges.emplace_back();
    appended.subscription = from.subscription;
    appended.charge =
        &plan.discount_lines[product * plan.charges.size() + static_cast<size_t>(from.charge - plan.charges.data())];
    appended.period = period;
    appended.days = days;  // PointToDays goes by their number
    appended.taken = taken;
    rated->days.insert(rated->days.end(), days.begin(), days.end());
    rated->taken.insert(rated->taken.end(), taken.begin(), taken.end());
  }
  PointToDays(rated);
  return absl::OkStatus();
}

absl::Status SubjectRater::RateDiscounts(const Subscriptions& subscriptions, const RateWindow& window,
                                         RatedSubject* rated) {
  for (const Subscription& subscription : subscriptions) {
    const bool is_first = std::none_of(subscriptions.begin(), &subscription,
                                       [&](const Subscription& other) { return other.id == subscription.id; });
    if (is_first) TOLLBOOK_RETURN_IF_ERROR(RateDiscountsOf(subscriptions, subscription.id, window, rated));
  }
  return absl::OkStatus();
}

}  // namespace tollbook
