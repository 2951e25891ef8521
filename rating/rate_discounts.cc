// What discounts take off: lines of their own, once all others of the subject have theirs, and before grants pay.
#include <algorithm>
#include <map>
#include <set>
#include <tuple>

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

void AddLine(const RatedCharge& line, const BillingCycle& cycle, std::map<BillingPeriod, PeriodLines>* periods) {
  Int128 before = 0;
  for (const DayWorth& day : line.days) {
    const Int128 due = day.booked_to_date.minor - before;
    before = day.booked_to_date.minor;
    DiscountedLine& of_period =
        (*periods)[PeriodOf(cycle, day.usage_date)][{line.charge->name, line.subscription->plan, line.charge}];
    if (of_period.subscription == nullptr) of_period = {line.subscription, line.charge};
    of_period.due[day.usage_date] += due;
  }
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

// The lines of one billing period and all that is taken off them, day after day.
class DiscountedPeriod {
 public:
  DiscountedPeriod(const PeriodLines& lines, std::span<const Discount* const> discounts, Rounding rounding)
      : discounts_(discounts), rounding_(rounding), to_date_(lines.size()) {
    for (const auto& [key, line] : lines) lines_.push_back(&line);
    states_.assign(discounts.size(), std::vector<State>(lines.size()));
  }

  // `changes`: on which another version of the subscription begins, be it of another account.
  std::vector<Day> Days(const BillingPeriod& period, std::span<const Day> changes, Day last) const {
    std::set<Day> days;
    for (const DiscountedLine* line : lines_) {
      for (const auto& [day, due] : line->due) days.insert(day);
    }
    const auto add = [&](Day day) {
      if (period.start <= day && day < period.end && day <= last) days.insert(day);
    };
    for (const Discount* discount : discounts_) {
      if (!discount->reaches_back) continue;
      add(period.start);  // where it counts already, it reaches back no more when the subscription comes to it again
      add(discount->starts_on);
      for (const Day day : changes) add(day);
    }
    return {days.begin(), days.end()};
  }

  // `is_of(discount, line)`: whether the discount is of the line on this day, its dates apart.
  template <typename IsOf>
  [[nodiscard]] bool AddDay(Day day, const IsOf& is_of) {
    for (size_t line = 0; line < lines_.size(); ++line) {
      const auto due = lines_[line]->due.find(day);
      if (due != lines_[line]->due.end()) to_date_[line] += due->second;
    }
    std::vector<Int128> left = to_date_;
    for (size_t i = 0; i < discounts_.size(); ++i) {
      for (size_t line = 0; line < lines_.size(); ++line) {
        const bool counts = IsValidOn(*discounts_[i], day) && is_of(*discounts_[i], *lines_[line]);
        states_[i][line].Grow(left[line], counts, discounts_[i]->reaches_back);
      }
      if (!TakeOff(i)) return false;
      for (size_t line = 0; line < lines_.size(); ++line) left[line] -= states_[i][line].taken;
    }
    return true;
  }

  Int128 taken(size_t discount, size_t line) const { return states_[discount][line].taken; }
  const DiscountedLine& line(size_t number) const { return *lines_[number]; }
  size_t lines() const { return lines_.size(); }

 private:
  // Of one discount and line, to date.
  struct State {
    Int128 before = 0;  // what was left of the line the day before
    Int128 base = 0;    // of what the discount is
    Int128 taken = 0;
    bool has_begun = false;

    void Grow(Int128 left, bool counts, bool reaches_back) {
      const bool takes_all = counts && reaches_back && !has_begun;
      if (takes_all) {
        base = left;
      } else if (counts) {
        base += left - before;
      }
      has_begun = has_begun || counts;
      // What is credited comes off what was due before.
      base = std::min(Positive(base), Positive(left));
      before = left;
    }
  };

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

  std::span<const Discount* const> discounts_;
  const Rounding rounding_;
  std::vector<const DiscountedLine*> lines_;
  std::vector<Int128> to_date_;             // of each line
  std::vector<std::vector<State>> states_;  // of each discount and line
};

// What the discounts of one product take off one line, day by day.
struct DiscountRows {
  std::vector<DayWorth> days;
  std::vector<TakenOff> taken;
};

// A day on which nothing changes is none of the line's.
void AddRow(Day day, Currency currency, std::span<const TakenOff> row, DiscountRows* rows) {
  Int128 sum = 0;
  for (const TakenOff& taken : row) sum -= taken.minor;
  const std::span<const TakenOff> last = std::span(rows->taken).last(rows->days.empty() ? 0 : row.size());
  const bool is_same = rows->days.empty()
                           ? std::ranges::all_of(row, [](const TakenOff& taken) { return taken.minor == 0; })
                           : std::ranges::equal(row, last, {}, &TakenOff::minor, &TakenOff::minor);
  if (is_same) return;
  rows->days.push_back({day, {}, {currency, sum}, 0});
  rows->taken.insert(rows->taken.end(), row.begin(), row.end());
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

  std::map<BillingPeriod, PeriodLines> periods;
  std::optional<Day> last = TimedThrough(window);
  for (const RatedCharge& line : rated->charges) {
    if (line.subscription->id != id) continue;
    AddLine(line, catalog_.CycleOf(catalog_.plans[line.subscription->plan].billing, *line.subscription), &periods);
    if (!window.through) last = std::max(last, std::optional(line.days.back().usage_date));
  }
  for (const auto& [period, lines] : periods) {
    DiscountedPeriod discounted(lines, discounts, catalog_.book.rounding);
    std::map<std::pair<size_t, uint32_t>, DiscountRows> rows;  // by line and product
    for (const Day day : discounted.Days(period, changes, *last)) {
      const std::string_view account = VersionOn(subscriptions, id, day).account;
      const auto is_of = [&](const Discount& discount, const DiscountedLine& line) {
        if (!discount.charge.empty() && discount.charge != line.charge->name) return false;
        if (discount.of == Discount::Of::kAccount) return discount.name == account;
        return discount.of != Discount::Of::kPlan || discount.name == catalog_.plans[line.subscription->plan].name;
      };
      if (!discounted.AddDay(day, is_of)) return DoesNotFit(id);
      for (size_t line = 0; line < discounted.lines(); ++line) {
        std::map<uint32_t, std::vector<TakenOff>> by_product;
        for (size_t i = 0; i < discounts.size(); ++i)
          by_product[discounts[i]->product].push_back({discounts[i], discounted.taken(i, line)});
        const Currency currency = catalog_.plans[discounted.line(line).subscription->plan].currency;
        for (const auto& [product, row] : by_product) AddRow(day, currency, row, &rows[{line, product}]);
      }
    }
    for (const auto& [of, line] : rows) {
      if (line.days.empty()) continue;
      const DiscountedLine& from = discounted.line(of.first);
      const Plan& plan = catalog_.plans[from.subscription->plan];
      RatedCharge& appended = rated->charges.emplace_back();
      appended.subscription = from.subscription;
      appended.charge = &plan.discount_lines[of.second * plan.charges.size() +
                                             static_cast<size_t>(from.charge - plan.charges.data())];
      appended.period = period;
      appended.days = line.days;  // PointToDays goes by their number
      appended.taken = line.taken;
      rated->days.insert(rated->days.end(), line.days.begin(), line.days.end());
      rated->taken.insert(rated->taken.end(), line.taken.begin(), line.taken.end());
    }
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
