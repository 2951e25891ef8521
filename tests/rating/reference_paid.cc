#include "tests/rating/reference_paid.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/time/civil_time.h"

namespace tollbook::reference {
namespace {

using Days = std::map<int64_t, WorthToDate>;

Integer Whole(Int128 value) {
  return Integer(static_cast<int64_t>(value >> 64)) * (Integer(1) << 64) + static_cast<uint64_t>(value);
}

Rational InMajorUnits(const Integer& minor, Currency currency) {
  return Rational(minor, boost::multiprecision::pow(Integer(10), static_cast<unsigned>(currency.minor_digits())));
}

// The ids of the subject's subscriptions, each once.
std::set<std::string> IdsOf(const Catalog& catalog, const std::string& subject) {
  std::set<std::string> ids;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.subject == subject) ids.insert(std::string(s.id));
  }
  return ids;
}

// The last version that began by then; before all of them the first.
const Subscription& VersionOn(const Catalog& catalog, const std::string& id, int64_t day) {
  const Subscription *first = nullptr, *last = nullptr;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.id != id) continue;
    if (first == nullptr || s.valid_from < first->valid_from) first = &s;
    if (s.valid_from.number > day) continue;
    if (last == nullptr || last->valid_from < s.valid_from) last = &s;
  }
  return last == nullptr ? *first : *last;
}

// A line of this name in one of the billing periods of the version's plan.
Line LineNamed(const std::string& name, const Catalog& catalog, const Subscription& version, int64_t day) {
  Charge by_plan;
  by_plan.name = name;
  return LineOf(catalog, version, by_plan, day);
}

const Subscription& SomeVersionOn(const Catalog& catalog, const Line& line) {
  return *std::ranges::find_if(catalog.subscriptions, [&](const Subscription& s) {
    return s.id == line.subscription && catalog.plans[s.plan].name == line.plan;
  });
}

// What each day comes to.
std::map<int64_t, Integer> ChangesOf(const Days& days) {
  std::map<int64_t, Integer> changes;
  Integer before = 0;
  for (const auto& [day, worth] : days) {
    changes[day] = worth.booked - before;
    before = worth.booked;
  }
  return changes;
}

// ----- discounts

bool IsOfSubscription(const Catalog& catalog, const Discount& discount, const std::string& id) {
  return std::ranges::any_of(catalog.subscriptions, [&](const Subscription& s) {
    if (s.id != id) return false;
    if (discount.of == Discount::Of::kSubscription) return discount.name == s.id;
    return discount.name == (discount.of == Discount::Of::kAccount ? s.account : catalog.plans[s.plan].name);
  });
}

// Charges in one billing period of the plan, by their names, then by their plans' places.
struct Discounted {
  const Plan* plan = nullptr;
  std::map<int64_t, Integer> changes;
  Integer due = 0;
};
using DiscountedLines = std::map<std::pair<std::string, size_t>, Discounted>;

struct Off {
  Integer left_before = 0, base = 0, taken = 0, told = 0;
  std::map<int64_t, Integer> due;  // what is left of what came due on a day
  std::set<int64_t> counted;       // the days on which the discount was of the line
  bool has_begun = false;
};

Integer NotNegative(const Integer& value) {
  return value < 0 ? Integer(0) : value;
}

// The largest remainders have one more, of equal ones the first.
void Spread(const Integer& amount, std::vector<Off*> all) {
  Integer sum = 0, left = amount;
  for (const Off* off : all) sum += off->base;
  if (sum < left) left = sum;
  const Integer spread = left;
  for (Off* off : all) {
    off->taken = sum == 0 ? Integer(0) : Integer(spread * off->base / sum);
    left -= off->taken;
  }
  std::ranges::stable_sort(all, [&](const Off* a, const Off* b) {
    return Integer(spread * a->base - a->taken * sum) > Integer(spread * b->base - b->taken * sum);
  });
  for (size_t i = 0; left > 0; ++i, --left) ++all[i]->taken;
}

const Charge* ChargeOf(const Plan& plan, const std::string& name) {
  const auto charge = std::ranges::find(plan.charges, name, &Charge::name);
  return charge == plan.charges.end() ? nullptr : &*charge;
}

bool IsMaximum(const Plan& plan, const std::string& name) {
  const Charge* charge = ChargeOf(plan, name);
  return charge != nullptr && charge->bound && charge->bound->is_maximum;
}

// What maximums take off each line; null: what no line carries.
using Capped = std::map<const Discounted*, Integer>;

// Above zero it is taken off, below it is given back: of what the lines come to on the day, then of all that is left of
// them (or was taken off them); of the plan's lines before others. What is left over is the answer.
Integer ShareOff(Integer off, const DiscountedLines& lines, const Plan* plan,
                 std::map<const Discounted*, Integer>* today, Capped* capped) {
  const int sign = off < 0 ? -1 : 1;
  off *= sign;
  for (const int step : {0, 1, 2, 3}) {
    const bool of_plan = step < 2, of_day = step % 2 == 0;
    std::map<const Discounted*, Off> shares;
    std::vector<Off*> all;
    for (const auto& [of, line] : lines) {
      Off& share = shares[&line];
      all.push_back(&share);
      const Charge* charge = ChargeOf(*line.plan, of.first);
      if (charge != nullptr && charge->bound) continue;
      if (of_plan && plan != nullptr && line.plan != plan) continue;
      share.base = NotNegative(sign > 0 ? Integer(line.due - (*capped)[&line]) : (*capped)[&line]);
      if (of_day) share.base = std::min(share.base, NotNegative(Integer(sign * (*today)[&line])));
    }
    Spread(off, all);
    for (const auto& [line, share] : shares) {
      (*capped)[line] += sign * share.taken;
      (*today)[line] -= sign * share.taken;
      off -= share.taken;
    }
  }
  return sign * off;
}

void ShareMaximums(const DiscountedLines& lines, int64_t day, Capped* capped) {
  std::map<const Discounted*, Integer> today;
  for (const auto& [of, line] : lines) {
    const auto change = line.changes.find(day);
    today[&line] = change == line.changes.end() ? Integer(0) : change->second;
  }
  Integer rest = (*capped)[nullptr];
  for (const auto& [of, line] : lines) {
    if (IsMaximum(*line.plan, of.first)) rest += ShareOff(-today[&line], lines, line.plan, &today, capped);
  }
  for (const auto& [of, line] : lines) {
    const Integer over = NotNegative((*capped)[&line] - NotNegative(line.due));
    (*capped)[&line] -= over;
    rest += over;
  }
  (*capped)[nullptr] = ShareOff(rest, lines, nullptr, &today, capped);
}

// What each discount takes off more than on the day before, by discount line and day.
using MoreOff = std::map<Line, std::map<int64_t, std::map<const Discount*, Integer>>>;

// Walks through a billing period of the subscription's plan, and on as far as something of it is credited.
void TakeOffPeriod(const Catalog& catalog, const std::string& id, const std::vector<const Discount*>& discounts,
                   const Line& period, int64_t last, DiscountedLines lines, MoreOff* more) {
  std::map<std::pair<const Discount*, const Discounted*>, Off> offs;
  Capped capped;
  int64_t end = std::min(period.last, last);
  for (const auto& [of, line] : lines) end = std::max(end, line.changes.rbegin()->first);
  for (int64_t day = FirstOf(period); day <= end; ++day) {
    const std::string account(VersionOn(catalog, id, day).account);
    std::map<const Discounted*, Integer> left;
    for (auto& [of, line] : lines) {
      if (const auto change = line.changes.find(day); change != line.changes.end()) line.due += change->second;
      left[&line] = line.due;
    }
    ShareMaximums(lines, day, &capped);
    for (const auto& [of, line] : lines) {
      left[&line] = IsMaximum(*line.plan, of.first) ? Integer(0) : Integer(line.due - capped[&line]);
    }
    for (const Discount* discount : discounts) {
      const bool is_valid =
          discount->starts_on.number <= day && (!discount->ends_on || day < discount->ends_on->number);
      std::vector<Off*> all;
      for (const auto& [of, line] : lines) {
        Off& off = offs[{discount, &line}];
        bool counts = is_valid && (off.has_begun || day <= period.last) &&
                      (discount->charge.empty() || discount->charge == of.first);
        if (discount->of == Discount::Of::kAccount) counts = counts && discount->name == account;
        if (discount->of == Discount::Of::kPlan) counts = counts && discount->name == line.plan->name;
        if (counts) off.counted.insert(day);
        if (counts && discount->reaches_back && !off.has_begun) {
          for (const auto& [earlier, due] : off.due) off.counted.insert(earlier);
        }
        off.has_begun = off.has_begun || counts;
        const Integer more = NotNegative(left[&line]) - NotNegative(off.left_before);
        off.left_before = left[&line];
        if (more > 0) off.due[day] = more;
        Integer credited = NotNegative(-more);
        off.base = 0;
        for (auto due = off.due.rbegin(); due != off.due.rend(); ++due) {  // the last that came due is credited first
          const Integer of_day = std::min(credited, due->second);
          due->second -= of_day;
          credited -= of_day;
          if (off.counted.contains(due->first)) off.base += due->second;
        }
        if (!discount->amount) {
          off.taken = InMinorUnits(Exact(discount->share) * Rational(off.base), 0, catalog.book.rounding);
        }
        all.push_back(&off);
      }
      if (discount->amount) Spread(Whole(discount->amount->minor), all);
      for (const auto& [of, line] : lines) left[&line] -= offs[{discount, &line}].taken;
    }
    for (const auto& [of, line] : lines) {
      for (const Discount* discount : discounts) {
        const std::string& product = catalog.discount_products[discount->product];
        Line period_of_day = period;
        period_of_day.plan = line.plan->name;
        const Line off = LineNamed("discount " + of.first + (product.empty() ? "" : " (" + product + ")"), catalog,
                                   SomeVersionOn(catalog, period_of_day), day);
        Off& taken = offs[{discount, &line}];
        if (taken.taken != taken.told) (*more)[off][day][discount] += taken.taken - taken.told;
        taken.told = taken.taken;
      }
    }
  }
}

// ----- grants

struct Wallet {
  const Grant* grant = nullptr;
  bool is_open = false;
  Integer balance = 0, lost = 0;
  std::map<std::string, Integer> paid, may_return = {};
};

bool PaysBefore(const Grant* a, const Grant* b) {
  if (a->priority != b->priority) return a->priority < b->priority;
  if (a->ends_on != b->ends_on) return a->ends_on && (!b->ends_on || *a->ends_on < *b->ends_on);
  return a->id < b->id;
}

void PayOf(Wallet* wallet, const std::string& id, Integer* debt) {
  const Integer paid = !wallet->is_open ? Integer(0) : std::min(wallet->balance, *debt);
  wallet->balance -= paid;
  wallet->paid[id] += paid;
  wallet->may_return[id] += paid;
  *debt -= paid;
}

void Fill(Wallet* wallet, const Integer& kept, std::map<std::string, Integer>* unpaid) {
  wallet->lost += NotNegative(wallet->balance - kept);  // what is given on top takes nothing back
  wallet->balance = kept + Whole(wallet->grant->amount.minor);
  wallet->may_return.clear();
  wallet->is_open = true;
  if (!wallet->grant->pays_earlier) return;
  for (auto& [id, debt] : *unpaid) PayOf(wallet, id, &debt);
}

bool IsRefilledOn(const Grant& grant, int64_t day) {
  if (!grant.refill || day <= grant.starts_on.number) return false;
  return PeriodAround(*grant.refill, day).first == absl::CivilDay(1970, 1, 1) + day;
}

void Note(int64_t day, const Integer& to_date, const Wallet& wallet, std::map<int64_t, PaidDay>* days) {
  const Integer before = days->empty() ? Integer(0) : days->rbegin()->second.to_date;
  if (to_date != before) (*days)[day] = {to_date, wallet.balance};
}

// A line for each plan and billing period of it.
void AddGrantLines(const Catalog& catalog, const std::string& id, const std::string& name, Currency currency,
                   const std::map<int64_t, PaidDay>& days, Subject* result) {
  Integer before = 0;
  for (const auto& [day, paid] : days) {
    const Line line = LineNamed(name, catalog, VersionOn(catalog, id, day), day);
    Days& of_line = result->lines[line];
    WorthToDate worth;
    if (!of_line.empty()) worth.booked = of_line.rbegin()->second.booked;
    worth.booked += paid.to_date - before;
    worth.worth = InMajorUnits(worth.booked, currency);
    worth.quantity = InMajorUnits(paid.left, currency);
    of_line[day] = worth;
    before = paid.to_date;
  }
}

int64_t LastOf(const Debts& debts, std::optional<Day> timed) {
  int64_t last = timed ? timed->number : INT64_MIN;
  for (const auto& [id, days] : debts) {
    if (!days.empty()) last = std::max(last, days.rbegin()->first);
  }
  return last;
}

void PayOwn(const Catalog& catalog, const std::string& id, std::optional<Day> timed, Subject* result) {
  std::vector<const Grant*> own;
  for (const Grant& grant : catalog.grants) {
    if (grant.account.empty() && grant.subscription == id) own.push_back(&grant);
  }
  Debts debts;
  for (const auto& [line, days] : result->lines) {
    if (line.subscription != id) continue;
    for (const auto& [day, change] : ChangesOf(days)) debts[id][day] += change;
  }
  for (const PaidBy& by : Pay(own, debts, LastOf(debts, timed))) {
    const Currency currency = by.grant->amount.currency;
    for (const auto& [debtor, days] : by.paid)
      AddGrantLines(catalog, id, "credit " + by.grant->id, currency, days, result);
    if (by.grant->breakage) AddGrantLines(catalog, id, "breakage " + by.grant->id, currency, by.lost, result);
  }
}

std::string FirstOfAccount(const Catalog& catalog, const std::string& account) {
  const Subscription* first = nullptr;
  for (const Subscription& s : catalog.subscriptions) {
    if (s.account != account) continue;
    if (first == nullptr || std::tie(s.valid_from, s.id) < std::tie(first->valid_from, first->id)) first = &s;
  }
  return std::string(first->id);
}

// As if no other subject belonged to the account.
void PayOfAccount(const Catalog& catalog, const std::string& account, const std::set<std::string>& ids,
                  std::optional<Day> timed, Subject* result) {
  std::vector<const Grant*> grants;
  for (const Grant& grant : catalog.grants) {
    if (grant.account == account) grants.push_back(&grant);
  }
  Debts debts;
  for (const auto& [line, days] : result->lines) {
    if (line.charge.starts_with("breakage ")) continue;
    for (const auto& [day, change] : ChangesOf(days)) {
      if (VersionOn(catalog, line.subscription, day).account == account) debts[line.subscription][day] += change;
    }
  }
  const std::string first = FirstOfAccount(catalog, account);
  for (const PaidBy& by : Pay(grants, debts, LastOf(debts, timed))) {
    const Currency currency = by.grant->amount.currency;
    for (const auto& [id, days] : by.paid) AddGrantLines(catalog, id, by.grant->credit.name, currency, days, result);
    if (!by.grant->breakage || !ids.contains(first)) continue;
    AddGrantLines(catalog, first, by.grant->breakage->name, currency, by.lost, result);
  }
}

}  // namespace

void TakeOffDiscounts(const Catalog& catalog, const std::string& subject, std::optional<Day> timed, bool has_window,
                      Subject* result) {
  const auto before = result->lines;
  for (const std::string& id : IdsOf(catalog, subject)) {
    std::vector<const Discount*> discounts;
    for (const Discount& discount : catalog.discounts) {
      if (IsOfSubscription(catalog, discount, id)) discounts.push_back(&discount);
    }
    std::ranges::stable_sort(discounts, {}, [](const Discount* one) {
      return std::tuple(one->amount.has_value(), one->order, one->id, one->line);
    });
    int64_t last = timed ? timed->number : INT64_MIN;
    std::map<Line, DiscountedLines> periods;
    for (const auto& [line, days] : before) {
      if (line.subscription != id) continue;
      if (!has_window) last = std::max(last, days.rbegin()->first);
      const Subscription& version = SomeVersionOn(catalog, line);
      for (const PartDue& part : PartsOf(catalog, line, days)) {
        Discounted& discounted = periods[part.period][{line.charge, version.plan}];
        discounted.plan = &catalog.plans[version.plan];
        discounted.changes[part.day] += part.minor;
      }
    }
    MoreOff more;
    for (const auto& [period, lines] : periods) {
      TakeOffPeriod(catalog, id, discounts, period, last, lines, &more);
    }
    for (const auto& [line, days] : more) {
      const Currency currency = catalog.plans[SomeVersionOn(catalog, line).plan].currency;
      Integer to_date = 0;
      for (const auto& [day, each] : days) {
        bool changes = false;
        for (const auto& [discount, minor] : each) {
          to_date -= minor;
          changes = changes || minor != 0;
        }
        if (!changes) continue;
        WorthToDate& worth = result->lines[line][day];
        worth.booked = to_date;
        worth.worth = InMajorUnits(to_date, currency);
      }
    }
  }
}

std::vector<PaidBy> Pay(const std::vector<const Grant*>& grants, const Debts& debts, int64_t last) {
  std::vector<Wallet> wallets;
  std::vector<PaidBy> result;
  int64_t first = last;
  for (const Grant* grant : grants) first = std::min<int64_t>(first, grant->starts_on.number);
  for (const auto& [id, days] : debts) first = std::min(first, days.begin()->first);
  std::vector<const Grant*> in_order = grants;
  std::ranges::sort(in_order, PaysBefore);
  for (const Grant* grant : in_order) {
    wallets.push_back({grant, false, 0, 0, {}, {}});
    result.push_back({grant, {}, {}});
  }
  std::map<std::string, Integer> unpaid;
  for (const auto& [id, days] : debts) unpaid[id] = 0;

  for (int64_t day = first; day <= last && !grants.empty(); ++day) {
    for (Wallet& wallet : wallets) {
      if (!wallet.is_open || !wallet.grant->ends_on || wallet.grant->ends_on->number != day) continue;
      wallet.lost += wallet.balance;
      wallet.balance = 0;
      wallet.is_open = false;
    }
    for (Wallet& wallet : wallets) {
      const bool ever_is = !wallet.grant->ends_on || wallet.grant->starts_on < *wallet.grant->ends_on;
      if (ever_is && wallet.grant->starts_on.number == day) Fill(&wallet, 0, &unpaid);
    }
    for (Wallet& wallet : wallets) {
      if (!wallet.is_open || !IsRefilledOn(*wallet.grant, day)) continue;
      const Integer least = Whole(wallet.grant->rollover_min.minor), most = Whole(wallet.grant->rollover.minor);
      Fill(&wallet, std::max(least, std::min(wallet.balance, most)), &unpaid);
    }
    for (const bool pays : {false, true}) {
      for (const auto& [id, days] : debts) {
        const auto due = days.find(day);
        if (due == days.end() || (due->second > 0) != pays) continue;
        Integer rest = pays ? due->second : Integer(-due->second);
        if (pays) {
          for (Wallet& wallet : wallets) PayOf(&wallet, id, &rest);
          unpaid[id] += rest;
          continue;
        }
        const Integer forgiven = std::min(unpaid[id], rest);
        unpaid[id] -= forgiven;
        rest -= forgiven;
        for (auto wallet = wallets.rbegin(); wallet != wallets.rend(); ++wallet) {
          const Integer back = wallet->is_open ? std::min(wallet->may_return[id], rest) : Integer(0);
          wallet->balance += back;
          wallet->paid[id] -= back;
          wallet->may_return[id] -= back;
          rest -= back;
        }
        for (auto wallet = wallets.rbegin(); wallet != wallets.rend(); ++wallet) {
          const Integer expired = std::min(wallet->paid[id], rest);
          wallet->paid[id] -= expired;
          wallet->lost += expired;
          rest -= expired;
        }
      }
    }
    for (size_t i = 0; i < wallets.size(); ++i) {
      for (const auto& [id, paid] : wallets[i].paid) Note(day, -paid, wallets[i], &result[i].paid[id]);
      Note(day, wallets[i].lost, wallets[i], &result[i].lost);
    }
  }
  return result;
}

void PayFromGrants(const Catalog& catalog, const std::string& subject, std::optional<Day> timed, Subject* result) {
  const std::set<std::string> ids = IdsOf(catalog, subject);
  for (const std::string& id : ids) PayOwn(catalog, id, timed, result);
  std::set<std::string> accounts;
  for (const Grant& grant : catalog.grants) {
    const bool is_named = std::ranges::any_of(catalog.subscriptions, [&](const Subscription& s) {
      return s.subject == subject && s.account == grant.account;
    });
    if (!grant.account.empty() && is_named) accounts.insert(grant.account);
  }
  Subject paid;
  for (const std::string& account : accounts) {
    Subject before = *result;
    PayOfAccount(catalog, account, ids, timed, &before);
    paid.lines.merge(before.lines);
  }
  result->lines.merge(paid.lines);
}

}  // namespace tollbook::reference
