#include "pipeline/functional_amounts.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <tuple>

#include "ledger/records.h"
#include "pipeline/booked_places.h"
#include "pipeline/charges.h"
#include "pipeline/deferred_balance.h"
#include "pipeline/grant_draws.h"
#include "pipeline/line_parts.h"
#include "rating/catalog.h"
#include "rating/dimension_text.h"

namespace tollbook {
namespace {

using AmountsByBatch = std::map<std::string, LineAmounts>;

Int128 Magnitude(Int128 amount) {
  return amount < 0 ? -amount : amount;
}

// By account of what is deferred: whether each subscription's is carried by itself.
using Carried = std::map<std::string, bool, std::less<>>;

// Whose lines between two accounts are of what a rule defers: all that a journal line tells of the rule.
struct DeferringScope {
  std::string product;                 // empty: any, but
  std::set<std::string> not_products;  // those of rules that do not defer, and come before it
  std::string entity;                  // empty: any
  std::string currency;                // empty: any
  bool Fits(const LineKey& key) const {
    return (product.empty() || product == key.product) && !not_products.contains(key.product) &&
           (entity.empty() || entity == key.entity) && (currency.empty() || currency == key.currency.code());
  }
  friend auto operator<=>(const DeferringScope&, const DeferringScope&) = default;
};
using DeferringScopes = std::map<std::pair<std::string, std::string>, std::set<DeferringScope>>;  // by debit, credit

// What a catalog says of it.
struct Rates {
  explicit Rates(const Catalog& catalog) : places(catalog) {}
  StoredPlaces places;
  ExchangeRates rates;
  std::map<std::string, Currency, std::less<>> functional_currency;  // by entity
  Rounding rounding = Rounding::kHalfUp;
  Carried carried;
  DeferringScopes deferring;
  std::set<std::string, std::less<>> accrued;             // accounts that late usage is accrued to
  std::map<std::string, bool, std::less<>> is_liability;  // of the accounts of the chart
};

void AddDeferring(const PostingRule& rule, const Catalog& catalog, DeferringScopes* scopes) {
  if (rule.deferred.empty()) return;
  DeferringScope scope{rule.product, {}, rule.delivered_by.empty() ? rule.entity : rule.delivered_by, rule.currency};
  if (rule.charge.empty() && rule.plan.empty() && rule.product.empty()) {
    for (const PostingRule& other : catalog.posting_rules) {
      const bool takes_all = other.charge.empty() && other.plan.empty() && other.customer_class.empty() &&
                             other.region.empty() && other.currency.empty() && other.entity.empty();
      if (takes_all && other.deferred.empty() && !other.product.empty()) scope.not_products.insert(other.product);
    }
  }
  for (const std::string& due : {rule.debit, rule.due_from, rule.accrued}) {
    if (!due.empty()) (*scopes)[{due, rule.deferred}].insert(scope);
  }
  (*scopes)[{rule.deferred, rule.credit}].insert(scope);
}

void AddCarried(const PostingRule& rule, Carried* carried) {
  if (rule.deferred.empty()) return;
  const auto [known, added] = carried->try_emplace(rule.deferred, rule.by_subscription);
  known->second = known->second && rule.by_subscription;
}

// A line of the seal at hand.
struct SealedLine {
  const JournalBatch* batch = nullptr;
  const JournalLine* line = nullptr;
  Int128 accrued = 0;  // so much of it is of accruals, of the sign of its differences
  // What is accrued in two lines of the same seal that comes to nothing: late usage, and what reverses that; or a
  // part that is taken back by reference, and the one that books it anew.
  std::optional<size_t> undoes = {};  // of the second one: the place of the first
  bool is_undone = false;             // of the first one
  bool takes_back() const { return !batch->reverses.empty(); }
};

// Of an accrual that is taken back and booked anew all is the same but what it reverses, and the sign.
void FindRepeatedAccruals(std::vector<SealedLine>* lines) {
  std::map<LineKey, size_t> taken_back;
  for (size_t i = 0; i < lines->size(); ++i) {
    LineKey key = (*lines)[i].line->key;
    if (key.reverses.empty() || (*lines)[i].accrued == 0) continue;
    key.reverses.clear();
    taken_back.emplace(std::move(key), i);
  }
  if (taken_back.empty()) return;
  for (SealedLine& anew : *lines) {
    const auto found = taken_back.find(anew.line->key);
    if (found == taken_back.end() || (*lines)[found->second].accrued != -anew.accrued) continue;
    anew.undoes = found->second;
    (*lines)[found->second].is_undone = true;
  }
}

// Of an accrual and its reversal all is the same but the day on which they are posted, and their sign. Either of them
// may be in no line, where other amounts of the same place make that zero: `of_no_line`.
void FindAccruals(std::map<LineKey, Int128> of_no_line, std::vector<SealedLine>* lines) {
  std::map<LineKey, size_t> first;
  for (size_t i = 0; i < lines->size(); ++i) {
    SealedLine& behind = (*lines)[i];
    LineKey key = behind.line->key;
    if (behind.accrued == 0 || !key.reverses.empty() || behind.undoes) continue;
    key.accounting_period.clear();
    key.posting_date = {};
    if (const auto other = of_no_line.find(key); other != of_no_line.end() && other->second == -behind.accrued) {
      behind.is_undone = true;
      of_no_line.erase(other);
      continue;
    }
    const auto [known, added] = first.try_emplace(std::move(key), i);
    if (added) continue;
    SealedLine& accrual = (*lines)[known->second];
    if (accrual.accrued != -behind.accrued) continue;
    behind.undoes = known->second;
    accrual.is_undone = true;
  }
}

class Reckoner {
 public:
  explicit Reckoner(const Book& book) : book_(book) {}

  absl::StatusOr<AmountsByBatch> Reckon() {
    const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
    if (!seals.ok()) return seals.status();
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_.Batches();
    if (!batches.ok()) return batches.status();
    std::map<std::string_view, const JournalBatch*> by_id;
    for (const JournalBatch& batch : *batches) by_id.emplace(batch.id, &batch);
    TOLLBOOK_RETURN_IF_ERROR(LoadCatalogs(*seals));
    const bool accrues = std::ranges::any_of(rates_, [](const auto& of) { return !of.second.accrued.empty(); });
    PlacesOfSeals places;
    for (const SealRecord& seal : *seals) places.emplace(seal.sequence, &rates_.at(seal.catalog_digest).places);
    absl::StatusOr<std::map<uint64_t, LineParts>> parts = LinePartsOf(book_, grant_lines_, accrues, places);
    if (!parts.ok()) return parts.status();
    grant_lines_.clear();
    for (const SealRecord& seal : *seals) {
      std::vector<const JournalBatch*> sealed;
      for (const std::string& id : seal.batches) {
        const auto batch = by_id.find(id);
        if (batch == by_id.end()) return DamagedError("journal batch " + id);
        sealed.push_back(batch->second);
      }
      for (auto& [charge, line] : new_grant_lines_[seal.number]) grant_lines_.insert_or_assign(charge, std::move(line));
      TOLLBOOK_RETURN_IF_ERROR(ReckonSeal(rates_.at(seal.catalog_digest), sealed, (*parts)[seal.sequence]));
    }
    return std::move(amounts_);
  }

 private:
  // A part of a line, as the line's differences have it: below zero where they are.
  struct Reckoned {
    Int128 functional = 0;
    std::optional<ExchangeRate> rate;
  };

  absl::Status LoadCatalogs(const std::vector<SealRecord>& seals) {
    std::map<std::string_view, uint64_t> last_seals;
    for (const SealRecord& seal : seals) last_seals[seal.catalog_digest] = seal.number;
    std::map<std::string_view, GrantLines> grant_lines;  // of catalogs that a later seal has too
    std::string_view before;
    for (const SealRecord& seal : seals) {
      if (!rates_.contains(seal.catalog_digest)) {
        const absl::StatusOr<Catalog> catalog = SealedCatalog(book_, seal.number);
        if (!catalog.ok()) return catalog.status();
        rates_.emplace(seal.catalog_digest, RatesOf(*catalog));
        grant_lines.emplace(seal.catalog_digest, GrantLinesOf(*catalog));
      }
      const auto lines = grant_lines.find(seal.catalog_digest);
      if (seal.catalog_digest != before) new_grant_lines_[seal.number] = TakeGrantLines(lines->second, &grant_lines_);
      before = seal.catalog_digest;
      if (last_seals[before] == seal.number) grant_lines.erase(lines);
    }
    return absl::OkStatus();
  }

  static Rates RatesOf(const Catalog& catalog) {
    Rates rates(catalog);
    rates.rates = ExchangeRatesOf(catalog);
    rates.rounding = catalog.book.rounding;
    for (const Entity& entity : catalog.entities) {
      rates.functional_currency.emplace(entity.name, entity.functional_currency);
    }
    for (const PostingRule& rule : catalog.posting_rules) {
      AddCarried(rule, &rates.carried);
      AddDeferring(rule, catalog, &rates.deferring);
      if (!rule.accrued.empty()) rates.accrued.insert(rule.accrued);
    }
    for (const Account& account : catalog.accounts) {
      rates.is_liability.emplace(account.code, account.type == "liability");
    }
    return rates;
  }

  absl::Status ReckonSeal(const Rates& rates, const std::vector<const JournalBatch*>& batches, const LineParts& parts) {
    now_ = &rates;
    for (const auto& [account, by_subscription] : rates.carried) {
      const auto [it, added] = carried_.try_emplace(account, by_subscription);
      if (it->second && !by_subscription) TOLLBOOK_RETURN_IF_ERROR(CarryTogether(account));
      it->second = it->second && by_subscription;
    }
    for (const auto& [accounts, scopes] : rates.deferring) deferring_[accounts].insert(scopes.begin(), scopes.end());
    accrued_.insert(rates.accrued.begin(), rates.accrued.end());
    for (const auto& [account, is_liability] : rates.is_liability) is_liability_[account] = is_liability;
    std::vector<SealedLine> lines;
    std::map<std::pair<uint32_t, uint32_t>, size_t> numbers;  // by batch and line
    for (uint32_t batch = 0; batch < batches.size(); ++batch) {
      amounts_[batches[batch]->id].resize(batches[batch]->lines.size());
      for (const JournalLine& line : batches[batch]->lines) {
        numbers.emplace(std::pair(batch, line.number), lines.size());
        lines.push_back({batches[batch], &line});
      }
    }
    for (const auto& [place, minor] : parts.accruals.of_lines) {
      const auto number = numbers.find(place);
      if (number == numbers.end()) return DamagedError("booked amounts of accruals");
      // An old book may have a charge that is only named like an accrual.
      if (accrued_.contains(lines[number->second].line->key.debit)) lines[number->second].accrued = minor;
    }
    FindRepeatedAccruals(&lines);
    FindAccruals(parts.accruals.of_no_line, &lines);
    std::vector<std::vector<std::pair<const GrantPart*, Int128>>> parts_of(lines.size());
    for (const auto& [part, minor] : parts.grants) {
      if (!grant_lines_.contains(part.charge)) continue;  // a later catalog gave the name to a grant
      if (!is_liability_[part.debit] && !is_liability_[part.credit]) continue;  // a gift: nobody paid it ahead
      if (part.line.line == 0) {
        TOLLBOOK_RETURN_IF_ERROR(DrawUntold(part, minor));
        continue;
      }
      const auto number = numbers.find({part.line.batch, part.line.line});
      if (number == numbers.end()) return DamagedError("booked amounts of " + part.charge);
      parts_of[number->second].emplace_back(&part, minor);
    }
    for (const size_t number : InOrder(lines)) {
      parts_ = std::move(parts_of[number]);
      TOLLBOOK_RETURN_IF_ERROR(ReckonLine(lines, number));
    }
    return absl::OkStatus();
  }

  // What is taken back first, then what undoes it, then what is deferred, then all else.
  std::vector<size_t> InOrder(const std::vector<SealedLine>& lines) const {
    std::vector<std::tuple<Day, int, size_t>> order;
    for (size_t i = 0; i < lines.size(); ++i) {
      const SealedLine& of = lines[i];
      const bool defers = IsCarried(of.line->key, of.line->credit_account()) || (of.accrued > 0 && !of.undoes);
      order.emplace_back(of.line->key.posting_date, of.takes_back() ? 0 : of.undoes ? 1 : defers ? 2 : 3, i);
    }
    std::ranges::sort(order);
    std::vector<size_t> numbers;
    for (const auto& [day, turn, number] : order) numbers.push_back(number);
    return numbers;
  }

  std::optional<DayRate> DayRateOn(std::string_view entity, Currency from, Day day) const {
    const auto to = now_->functional_currency.find(entity);
    if (to == now_->functional_currency.end()) return std::nullopt;
    const std::optional<ExchangeRate> rate = now_->rates.On(from, to->second, day);
    if (!rate) return std::nullopt;
    return DayRate{from, to->second, *rate, now_->rounding};
  }

  // A line that came to zero has no amount, though what it is of may have been drawn at different rates: the next line
  // of the grant has it.
  absl::Status DrawUntold(const GrantPart& part, Int128 minor) {
    const std::optional<DayRate> own = DayRateOn(part.entity, part.currency, part.used_on);
    if (!own) return absl::OkStatus();
    return draws_.Draw(part, minor, grant_lines_.at(part.charge), now_->rates, *own).status();
  }

  absl::Status ReckonLine(const std::vector<SealedLine>& lines, size_t number) {
    const SealedLine& of = lines[number];
    const JournalLine& line = *of.line;
    batches_.emplace(of.batch->id, of.batch);
    std::optional<FunctionalAmount>& amount = amounts_[of.batch->id][line.number - 1];
    const std::optional<DayRate> own = DayRateOn(line.key.entity, line.key.currency, line.key.posting_date);
    std::optional<FunctionalAmount> before;
    if (of.takes_back()) {
      absl::StatusOr<std::optional<FunctionalAmount>> taken_back = AmountBefore(*of.batch, line);
      if (!taken_back.ok()) return taken_back.status();
      before = *std::move(taken_back);
    }
    std::optional<AccrualAmount> accrual;
    if (of.accrued != 0) {
      absl::StatusOr<std::optional<AccrualAmount>> reckoned = ReckonAccrual(lines, number, own);
      if (!reckoned.ok()) return reckoned.status();
      accrual = *std::move(reckoned);
      if (accrual) {
        accrual->more = 0;
        accruals_.insert_or_assign({of.batch->id, line.number}, *accrual);
      }
      if (of.accrued == line.minor && parts_.empty()) {
        if (!accrual) return absl::OkStatus();
        const absl::StatusOr<Int128> functional = Told(of, accrual->to, accrual->functional);
        if (!functional.ok()) return functional.status();
        amount = FunctionalAmount{{accrual->to, Magnitude(*functional)}, accrual->rate};
        if (*functional != accrual->functional) amount->rate.reset();
        return absl::OkStatus();
      }
    }
    amount = before;
    const Int128 rest = line.minor - of.accrued;
    if (!own || (of.takes_back() && !amount) || (of.accrued != 0 && !accrual)) return PostUnrated(line, rest);
    const bool is_in_another = (amount && amount->amount.currency != own->to) || (accrual && accrual->to != own->to);
    if (is_in_another) {
      // The entity has another functional currency by now: what is carried is in that one.
      return PostRest(line, rest, *own, std::nullopt, 0).status();
    }
    const absl::StatusOr<FunctionalAmount> reckoned = ReckonParts(of, *own, amount, accrual);
    if (!reckoned.ok()) return reckoned.status();
    amount = *reckoned;
    return absl::OkStatus();
  }

  // What a line has of accruals, as its differences have it.
  struct AccrualAmount {
    Currency to;
    Int128 functional = 0;
    std::optional<ExchangeRate> rate;
    Int128 more = 0;  // of the line, beyond this and all else of it: Told
    AccrualAmount Negated() const { return {to, -functional, rate, -more}; }
  };

  // None: there was no rate.
  absl::StatusOr<std::optional<AccrualAmount>> ReckonAccrual(const std::vector<SealedLine>& lines, size_t number,
                                                             const std::optional<DayRate>& own) {
    const SealedLine& of = lines[number];
    // Nothing stays of the two, whatever is carried meanwhile.
    if (of.undoes) return TakenBack(*lines[*of.undoes].batch, *lines[*of.undoes].line);
    const absl::StatusOr<std::optional<AccrualAmount>> taken_back = AccrualBefore(of);
    if (!taken_back.ok()) return taken_back.status();
    const std::optional<AccrualAmount>& before = *taken_back;
    const bool has_own = own && !(of.takes_back() && !before);
    if (of.is_undone) {
      if (!has_own || (before && before->to == own->to)) return before;
      const absl::StatusOr<Int128> functional = own->Of(of.accrued);
      if (!functional.ok()) return functional.status();
      return AccrualAmount{own->to, *functional, own->rate};
    }
    std::vector<Side> sides = AccrualSidesOf(*of.line, of.accrued);
    if (!has_own) {
      TOLLBOOK_RETURN_IF_ERROR(PostUnrated(sides));
      return before;
    }
    std::optional<Int128> back;
    if (before && before->to == own->to) back = Magnitude(before->functional);
    const absl::StatusOr<Reckoned> posted = Post(sides, of.accrued, *own, back);
    if (!posted.ok()) return posted.status();
    if (before && before->to != own->to) return before;
    const bool is_as_before = back && Magnitude(posted->functional) == *back;
    return AccrualAmount{own->to, posted->functional, is_as_before ? before->rate : posted->rate};
  }

  // What a line that is taken back by reference had of them, the other way round.
  absl::StatusOr<std::optional<AccrualAmount>> AccrualBefore(const SealedLine& of) const {
    if (!of.takes_back()) return std::nullopt;
    const absl::StatusOr<const JournalLine*> reversed = LineBefore(*of.batch, *of.line);
    if (!reversed.ok()) return reversed.status();
    return TakenBack(*batches_.at(of.batch->reverses), **reversed);
  }

  std::optional<AccrualAmount> TakenBack(const JournalBatch& batch, const JournalLine& line) const {
    const auto known = accruals_.find({batch.id, line.number});
    return known == accruals_.end() ? std::nullopt : std::optional(known->second.Negated());
  }

  // The line that one of a reversal takes back.
  absl::StatusOr<const JournalLine*> LineBefore(const JournalBatch& batch, const JournalLine& line) const {
    const auto original = batches_.find(batch.reverses);
    if (original == batches_.end()) return DamagedError("journal batch " + batch.reverses);
    const JournalLine* const reversed = ReversedLine(*original->second, line.key);
    if (reversed == nullptr) return DamagedError("journal batch " + batch.id);
    return reversed;
  }
  absl::StatusOr<std::optional<FunctionalAmount>> AmountBefore(const JournalBatch& batch, const JournalLine& line) {
    const absl::StatusOr<const JournalLine*> reversed = LineBefore(batch, line);
    if (!reversed.ok()) return reversed.status();
    return amounts_[batch.reverses][(*reversed)->number - 1];
  }

  absl::Status PostUnrated(const JournalLine& line, Int128 rest) {
    for (const auto& [part, minor] : parts_) rest -= minor;
    return PostUnrated(CarriedSidesOf(line, rest));
  }

  // A line with an accrual has one sign. Where its parts come to the other one, by their several rates, it has nothing,
  // and the next line with an accrual between its accounts has that too. `functional`: of the parts; the line's is
  // returned. What takes back a line takes back what it had of others, and they are without it again.
  absl::StatusOr<Int128> Told(const SealedLine& of, Currency to, Int128 functional) {
    const absl::StatusOr<std::optional<AccrualAmount>> before = AccrualBefore(of);
    if (!before.ok()) return before.status();
    const LineKey& key = of.line->key;
    Int128& untold = untold_[{key.debit, key.credit, key.entity, key.currency, to}];
    Int128 all = functional;
    if (!of.takes_back()) all += untold;
    if (*before) all += (*before)->more;
    const Int128 told = (all < 0) == (of.line->minor < 0) ? all : 0;
    accruals_.at({of.batch->id, of.line->number}).more = told - functional;
    untold += functional - told;
    return told;
  }

  // What accruals and its grants have, and all else of it.
  absl::StatusOr<FunctionalAmount> ReckonParts(const SealedLine& of_line, const DayRate& own,
                                               const std::optional<FunctionalAmount>& before,
                                               const std::optional<AccrualAmount>& accrual) {
    const JournalLine& line = *of_line.line;
    const Int128 sign = line.minor < 0 ? -1 : 1;
    if (own.from == own.to) parts_.clear();  // one rate for all
    Int128 rest = line.minor - of_line.accrued, told = accrual ? accrual->functional : 0;
    std::vector<std::pair<GrantDraws::Drawn*, Int128>> drawn;  // each with the sign of its differences where it draws
    std::set<std::pair<Day, Int128>> rates;
    for (const auto& [part, minor] : parts_) {
      const GrantLine& of = grant_lines_.at(part->charge);
      const absl::StatusOr<GrantDraws::Drawn*> draw = draws_.Draw(*part, minor, of, now_->rates, own);
      if (!draw.ok()) return draw.status();
      const absl::StatusOr<Int128> to_date =
          DayRate{own.from, own.to, (*draw)->rate, own.rounding}.Of((*draw)->to_date);
      if (!to_date.ok()) return to_date.status();
      drawn.emplace_back(*draw, of.is_breakage ? 1 : -1);
      told += drawn.back().second * (*to_date - (*draw)->told);
      (*draw)->told = *to_date;
      rates.insert({(*draw)->rate.date, (*draw)->rate.rate.attos});
      rest -= minor;
    }
    Reckoned of_rest;
    if (rest != 0) {
      // What the accrual that is taken back was, which may be more than can be drawn of it by now, the rest was not.
      const absl::StatusOr<std::optional<AccrualAmount>> accrual_before = AccrualBefore(of_line);
      if (!accrual_before.ok()) return accrual_before.status();
      Int128 of_parts = told;
      if (accrual && *accrual_before) {
        of_parts += (*accrual_before)->functional + (*accrual_before)->more - accrual->functional;
      }
      const absl::StatusOr<Reckoned> posted = PostRest(line, rest, own, before, of_parts);
      if (!posted.ok()) return posted.status();
      of_rest = *posted;
    }
    Int128 functional = told + of_rest.functional;
    if (before && !drawn.empty()) functional = sign * before->amount.minor;
    if (accrual && drawn.empty()) {
      const absl::StatusOr<Int128> of_line_told = Told(of_line, own.to, functional);
      if (!of_line_told.ok()) return of_line_told.status();
      functional = *of_line_told;
    }
    if (functional != 0 && (functional < 0) != (sign < 0)) functional = 0;
    // What the line does not have of its grants, the next one has.
    if (!drawn.empty()) drawn.front().first->told += drawn.front().second * (functional - told - of_rest.functional);

    std::optional<ExchangeRate> rate;
    if (before && functional == sign * before->amount.minor) {
      rate = before->rate;
    } else if (drawn.empty()) {
      const bool is_of_one_rate = !accrual || accrual->rate == of_rest.rate;
      if (is_of_one_rate && functional == told + of_rest.functional) rate = of_rest.rate;
    } else if (accrual) {
      // of what was accrued, and of when it was granted
    } else if (rest == 0 && rates.size() == 1) {
      rate = drawn.front().first->rate;
    }
    return FunctionalAmount{{own.to, Magnitude(functional)}, rate};
  }

  // What rules that do not defer post to the account stands there beside what is deferred, and is not drawn on.
  bool IsCarried(const LineKey& key, std::string_view account) const {
    if (!carried_.contains(account)) return false;
    const auto scopes = deferring_.find({key.debit, key.credit});
    return scopes != deferring_.end() &&
           std::ranges::any_of(scopes->second, [&](const DeferringScope& scope) { return scope.Fits(key); });
  }

  // What a line adds to a balance, or draws on it.
  struct Side {
    DeferredBalance* balance = nullptr;
    Int128 credited = 0;  // below zero: debited
  };
  using Sides = std::vector<Side>;
  // The one that is drawn on comes first.
  static Sides DrawnFirst(Sides sides) {
    std::ranges::stable_partition(sides, [](const Side& side) { return side.balance->Draws(side.credited); });
    return sides;
  }
  // Of so much of a line, of the sign of a difference.
  Sides CarriedSidesOf(const JournalLine& line, Int128 minor) {
    Sides sides;
    if (minor == 0) return sides;
    if (IsCarried(line.key, line.key.debit)) sides.push_back({&BalanceOf(line, line.key.debit), -minor});
    if (IsCarried(line.key, line.key.credit)) sides.push_back({&BalanceOf(line, line.key.credit), minor});
    return DrawnFirst(std::move(sides));
  }
  // Likewise of an accrual: whatever else is posted to its account, that is carried by itself.
  Sides AccrualSidesOf(const JournalLine& line, Int128 minor) {
    Sides sides = {{&accrual_balances_[{line.key.debit, line.key.entity, line.key.currency}], -minor}};
    if (IsCarried(line.key, line.key.credit)) sides.push_back({&BalanceOf(line, line.key.credit), minor});
    return DrawnFirst(std::move(sides));
  }

  static absl::Status PostUnrated(const Sides& sides) {
    for (const Side& side : sides) TOLLBOOK_RETURN_IF_ERROR(side.balance->PostUnrated(side.credited));
    return absl::OkStatus();
  }

  // So much of a line, of the sign of a difference, on the balances of deferred amounts that it is of. `before`: what
  // the line takes back, of which its other parts have so much already.
  absl::StatusOr<Reckoned> PostRest(const JournalLine& line, Int128 minor, const DayRate& own,
                                    const std::optional<FunctionalAmount>& before, Int128 of_parts) {
    std::optional<Int128> functional;
    if (before) {
      const Int128 back = line.minor < 0 ? -before->amount.minor : before->amount.minor;
      functional = std::max(Int128{0}, (minor < 0 ? -1 : 1) * (back - of_parts));
    }
    return Post(CarriedSidesOf(line, minor), minor, own, functional);
  }

  // `functional`: the magnitude, where the amount takes back another one.
  static absl::StatusOr<Reckoned> Post(const Sides& sides, Int128 minor, const DayRate& own,
                                       std::optional<Int128> functional) {
    std::optional<ExchangeRate> rate = own.rate;
    if (!sides.empty()) {
      const Side& first = sides.front();
      const absl::StatusOr<DeferredBalance::Posted> posted =
          functional ? first.balance->PostBack(first.credited, *functional, own)
                     : first.balance->Post(first.credited, own);
      if (!posted.ok()) return posted.status();
      functional = posted->functional;
      if (posted->is_drawn && own.from != own.to) rate.reset();
    }
    if (sides.size() == 2) {
      TOLLBOOK_RETURN_IF_ERROR(sides.back().balance->PostAs(sides.back().credited, *functional, own));
    }
    if (!functional) {
      const absl::StatusOr<Int128> converted = own.Of(Magnitude(minor));
      if (!converted.ok()) return converted.status();
      functional = *converted;
    }
    return Reckoned{(minor < 0 ? -1 : 1) * *functional, rate};
  }

  DeferredBalance& BalanceOf(const JournalLine& line, std::string_view account) {
    std::string subscription;
    if (carried_.find(account)->second) {
      for (const auto& [name, value] : ParseDimensions(line.key.dimensions)) {
        if (name == "subscription") subscription = value;
      }
    }
    return balances_[{std::string(account), line.key.entity, line.key.currency, subscription}];
  }

  // What subscriptions carry on the account, now that a rule defers to it whose lines do not name them.
  absl::Status CarryTogether(const std::string& account) {
    for (auto& [place, balance] : balances_) {
      const auto& [of_account, entity, currency, subscription] = place;
      if (of_account != account || subscription.empty()) continue;
      DeferredBalance& together = balances_[{account, entity, currency, ""}];
      TOLLBOOK_RETURN_IF_ERROR(together.Take(balance));
      balance = DeferredBalance();
    }
    return absl::OkStatus();
  }

  const Book& book_;
  std::map<std::string, Rates> rates_;              // by digest
  const Rates* now_ = nullptr;                      // of the seal at hand
  GrantLines grant_lines_;                          // as the catalogs up to it have them
  std::map<uint64_t, GrantLines> new_grant_lines_;  // by seal: what its catalog has otherwise than those before
  GrantDraws draws_;
  std::vector<std::pair<const GrantPart*, Int128>> parts_;  // of the line at hand
  Carried carried_;                                         // of all seals so far
  DeferringScopes deferring_;                               // likewise: by old ones too is booked back
  std::set<std::string, std::less<>> accrued_;              // likewise
  std::map<std::string, bool, std::less<>> is_liability_;   // as the newest chart with the account has it
  // By account, entity, currency and subscription; without one: of all that are carried together.
  std::map<std::tuple<std::string, std::string, Currency, std::string>, DeferredBalance> balances_;
  // What is accrued, by account, entity and currency.
  std::map<std::tuple<std::string, std::string, Currency>, DeferredBalance> accrual_balances_;
  std::map<std::pair<std::string, uint32_t>, AccrualAmount> accruals_;  // by batch and line
  // Of lines with accruals, what none of them has yet: by debit, credit, entity, currency and functional currency.
  std::map<std::tuple<std::string, std::string, std::string, Currency, Currency>, Int128> untold_;
  AmountsByBatch amounts_;
  std::map<std::string, const JournalBatch*> batches_;  // that have amounts
};

}  // namespace

absl::StatusOr<LineAmounts> FunctionalAmounts::Of(const JournalBatch& batch) {
  if (!amounts_) {
    absl::StatusOr<AmountsByBatch> amounts = Reckoner(book_).Reckon();
    if (!amounts.ok()) return amounts.status();
    amounts_ = *std::move(amounts);
  }
  const auto amounts = amounts_->find(batch.id);
  if (amounts == amounts_->end()) return DamagedError("journal batch " + batch.id);
  return amounts->second;
}

}  // namespace tollbook
