#include "pipeline/account_facts.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "ledger/decision.h"
#include "ledger/difference_run.h"
#include "ledger/outbox.h"
#include "pipeline/charges.h"
#include "pipeline/usage_days.h"
#include "rating/account_grants.h"
#include "rating/grant_balances.h"

namespace tollbook {
namespace {

constexpr size_t kNamed = 5;  // accounts of a message
constexpr std::string_view kCreditOf = "credit ";

// In minor units of one currency.
struct MoneyFacts {
  Int128 spend = 0, spend_before = 0;
  Int128 credit_used = 0;
  Int128 granted = 0, credit_left = 0;
  bool has_grant = false;
};

struct Facts {
  std::map<std::pair<std::string, std::string>, Quantity> usage, usage_before;  // by plan and charge
  std::map<std::string, MoneyFacts> money;                                      // by currency
  std::set<std::string> batches;                                                // with its differences of the month
  std::set<std::string> entities;                                               // whose all of these are
};

bool Has(const std::vector<std::string>& entities, std::string_view entity) {
  return entities.empty() || std::find(entities.begin(), entities.end(), entity) != entities.end();
}

absl::Status TooLarge(const std::string& what) {
  return MakeError(absl::StatusCode::kOutOfRange, "what an account comes to cannot be added up", what,
                   "check the prices of its plans");
}

// False: the sum does not fit.
[[nodiscard]] bool AddTo(Int128* sum, Int128 more) {
  return !__builtin_add_overflow(*sum, more, sum);
}

class FactsReader {
 public:
  FactsReader(const Book& book, const Target& target, const SealRecord& seal, const Catalog& catalog, int threads)
      : book_(book), target_(target), seal_(seal), catalog_(catalog), threads_(threads) {
    for (const Subscription& subscription : catalog.subscriptions) versions_[subscription.id].push_back(&subscription);
    for (auto& [id, versions] : versions_) {
      std::sort(versions.begin(), versions.end(),
                [](const Subscription* a, const Subscription* b) { return a->valid_from < b->valid_from; });
    }
  }

  // False: nothing is to be told.
  absl::StatusOr<bool> Read() {
    absl::StatusOr<std::vector<UsageDay>> days = LineDaysAsOf(book_, seal_.number, threads_);
    if (!days.ok()) return days.status();
    std::optional<Day> last = seal_.through;
    for (const UsageDay& day : *days) {
      if (!seal_.through) last = std::max(last, std::optional(day.day));
    }
    if (!last) return false;
    last_ = *last;
    month_ = MonthOf(last_);
    if (month() < target_.from) return false;
    for (const UsageDay& day : *days) {
      if (Has(target_.entities, day.entity)) TOLLBOOK_RETURN_IF_ERROR(Add(day));
    }
    for (const Grant& grant : catalog_.grants) TOLLBOOK_RETURN_IF_ERROR(AddGrant(grant));
    if (target_.poster != nullptr) TOLLBOOK_RETURN_IF_ERROR(ReadBatches());
    return true;
  }

  std::string month() const { return AccountingPeriodOf(month_.start); }
  const std::map<std::string, Facts>& facts() const { return facts_; }

 private:
  // Which record a line of a subscription belongs to.
  std::string NameOf(std::string_view subscription, std::string_view account) const {
    return std::string(target_.per_subscription ? subscription : account);
  }

  // Null: the catalog has it no longer.
  const Subscription* VersionOn(std::string_view id, Day day) const {
    const auto found = versions_.find(id);
    if (found == versions_.end()) return nullptr;
    const Subscription* version = found->second.front();
    for (const Subscription* later : found->second) {
      if (later->valid_from <= day) version = later;
    }
    return version;
  }

  absl::Status Add(const UsageDay& day) {
    if (day.line == DayLine::kCredit && day.day <= last_) {
      Int128& burned = burned_[day.charge.substr(kCreditOf.size())][day.day];
      if (!AddTo(&burned, -day.amount.minor)) return TooLarge(day.charge);
    }
    Facts& facts = facts_[NameOf(day.subscription, day.account)];
    const bool is_now = MonthOf(day.day) == month_ && day.day <= last_;
    const bool is_before = day.day.number + 1 <= month_.start.number && MonthOf(day.day).end == month_.start;
    if (!is_now && !is_before) return absl::OkStatus();
    facts.entities.emplace(day.entity);
    MoneyFacts& money = facts.money[std::string(day.amount.currency.code())];
    bool fits = true;
    if (day.line == DayLine::kUsage) {
      Quantity& sum = (is_now ? facts.usage : facts.usage_before)[{day.plan, day.charge}];
      fits = tollbook::Add(sum, day.quantity, &sum);
    }
    if (day.line == DayLine::kUsage || day.line == DayLine::kOther) {
      fits = AddTo(is_now ? &money.spend : &money.spend_before, day.amount.minor) && fits;
    } else if (day.line == DayLine::kCredit && is_now) {
      fits = AddTo(&money.credit_used, -day.amount.minor);
    }
    return fits ? absl::OkStatus() : TooLarge(day.subscription + ", " + ToString(day.day));
  }

  // What the lines say that it paid is burned again, day by day: so its ends and refills find what was left.
  absl::Status AddGrant(const Grant& grant) {
    const Subscription* const version = grant.account.empty() ? VersionOn(grant.subscription, last_) : nullptr;
    const bool is_of_account = !grant.account.empty();
    if (is_of_account ? target_.per_subscription : version == nullptr) return absl::OkStatus();
    if (version != nullptr && !Has(target_.entities, catalog_.entities[version->entity].name)) return absl::OkStatus();
    const std::string name = is_of_account ? grant.account : NameOf(grant.subscription, version->account);
    if (last_ < grant.starts_on) return absl::OkStatus();

    const std::vector<GrantTerms> terms = TermsOf({&grant, 1}, last_);
    GrantBalances balance(terms);
    for (const auto& [day, minor] : burned_[grant.id]) {
      balance.AdvanceTo(day);
      if (minor < 0) balance.GiveBack(-minor);
      if (minor > 0 && !balance.Burn(minor)) return TooLarge("grant " + grant.id);
    }
    balance.AdvanceTo(last_);
    if (balance.overflowed()) return TooLarge("grant " + grant.id);
    Facts& facts = facts_[name];
    if (version != nullptr) facts.entities.insert(catalog_.entities[version->entity].name);
    MoneyFacts& money = facts.money[std::string(grant.amount.currency.code())];
    money.has_grant = true;
    const bool is_in_force = !grant.ends_on || last_ < *grant.ends_on;
    const bool fits =
        AddTo(&money.credit_left, balance.balance(0)) && (!is_in_force || AddTo(&money.granted, grant.amount.minor));
    return fits ? absl::OkStatus() : TooLarge("grant " + grant.id);
  }

  absl::Status ReadBatches() {
    const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
    if (!seals.ok()) return seals.status();
    std::map<uint64_t, const SealRecord*> by_sequence;
    for (const SealRecord& seal : *seals) by_sequence.emplace(seal.sequence, &seal);
    for (int shard = 0; shard < kTotalShards; ++shard) {
      const absl::StatusOr<std::vector<StoredRun>> runs = book_.Differences(shard, seal_.sequence);
      if (!runs.ok()) return runs.status();
      for (const StoredRun& run : *runs) {
        const auto seal = by_sequence.find(run.sequence);
        if (seal == by_sequence.end() || !AddBatches(*seal->second, run.bytes)) {
          return DamagedError("booked amounts of commit " + std::to_string(run.sequence));
        }
      }
    }
    return absl::OkStatus();
  }

  // False: the run cannot be read.
  bool AddBatches(const SealRecord& seal, std::string_view run) {
    DifferenceRunReader reader(run);
    std::string_view subject;
    uint32_t count = 0;
    Difference one;
    while (reader.NextSubject(&subject, &count)) {
      for (uint32_t i = 0; i < count && reader.Next(&one); ++i) {
        const Day day = one.key.usage_date;
        const bool is_of_month = month_.start <= day && day < month_.end;
        if (one.line.line == 0 || !is_of_month || !Has(target_.entities, one.key.place->entity)) continue;
        if (one.line.batch >= seal.batches.size()) return false;
        const Subscription* const version = VersionOn(one.key.subscription, day);
        if (version == nullptr) continue;
        Facts& facts = facts_[NameOf(one.key.subscription, version->account)];
        facts.batches.insert(seal.batches[one.line.batch]);
        facts.entities.emplace(one.key.place->entity);
      }
    }
    return reader.ok();
  }

  const Book& book_;
  const Target& target_;
  const SealRecord& seal_;
  const Catalog& catalog_;
  const int threads_;
  std::map<std::string_view, std::vector<const Subscription*>> versions_;
  Day last_;
  BillingPeriod month_;
  std::map<std::string, Facts> facts_;                   // by account or subscription
  std::map<std::string, std::map<Day, Int128>> burned_;  // by grant
};

// Where batches stand with one target of journals.
class Postings {
 public:
  static absl::StatusOr<Postings> Of(const Book& book, const Target& poster) {
    Postings postings;
    const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
    if (!batches.ok()) return batches.status();
    const auto approvals = Approvals(book);
    if (!approvals.ok()) return approvals.status();
    const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
    if (!deliveries.ok()) return deliveries.status();
    for (const JournalBatch& batch : *batches) {
      if (!Concerns(poster, batch)) continue;
      const auto approval = approvals->find(batch.id);
      Standing& standing = postings.of_[batch.id];
      if (approval == approvals->end() || approval->second.state == kApproved) continue;
      standing.status = approval->second.state == kHeldForApproval ? kPostingReview : kPostingFailed;
    }
    for (const Delivery& delivery : *deliveries) {
      const auto found = postings.of_.find(delivery.batch);
      if (delivery.target != poster.name || found == postings.of_.end()) continue;
      found->second = {StatusOf(delivery.state), delivery.changed_at_nanos};
    }
    return postings;
  }

  // The worst of them, and when the last was posted.
  std::pair<std::string_view, int64_t> Of(const std::set<std::string>& batches) const {
    std::set<std::string_view> statuses;
    int64_t last_nanos = 0;
    for (const std::string& batch : batches) {
      const auto found = of_.find(batch);
      if (found == of_.end()) continue;
      statuses.insert(found->second.status);
      last_nanos = std::max(last_nanos, found->second.at_nanos);
    }
    for (const std::string_view status : {kPostingFailed, kPostingReview, kPostingPending, kPosted}) {
      if (statuses.contains(status)) return {status, status == kPosted ? last_nanos : 0};
    }
    return {kPostingNone, 0};
  }

 private:
  struct Standing {
    std::string_view status = kPostingPending;
    int64_t at_nanos = 0;
  };
  static std::string_view StatusOf(DeliveryState state) {
    if (state == DeliveryState::kConfirmed) return kPosted;
    const bool has_failed = state == DeliveryState::kParked || state == DeliveryState::kSuperseded;
    return has_failed ? kPostingFailed : kPostingPending;
  }
  std::map<std::string, Standing, std::less<>> of_;  // by batch
};

// All that was used of the charges that `of` names: "calls" of any plan, "starter/calls" of one.
absl::StatusOr<Quantity> UsageOf(const std::map<std::pair<std::string, std::string>, Quantity>& usage,
                                 const std::string& of) {
  Quantity sum;
  for (const auto& [charge, quantity] : usage) {
    if (of != charge.second && of != charge.first + "/" + charge.second) continue;
    if (!Add(sum, quantity, &sum)) return TooLarge("usage of " + of);
  }
  return sum;
}

absl::StatusOr<std::string> AmountOf(const Facts& facts, const AccountField& field) {
  const auto found = facts.money.find(field.of);
  const MoneyFacts money = found == facts.money.end() ? MoneyFacts{} : found->second;
  Int128 minor = 0;
  bool fits = true;
  switch (field.fact) {
    case AccountFact::kSpend:
      minor = money.spend;
      break;
    case AccountFact::kSpendBefore:
      minor = money.spend_before;
      break;
    case AccountFact::kCreditUsed:
      minor = money.credit_used;
      break;
    case AccountFact::kGranted:
      minor = money.granted;
      break;
    case AccountFact::kCreditLeft:
      minor = money.credit_left;
      break;
    default:  // kOverage
      fits = !money.has_grant || !__builtin_sub_overflow(money.spend, money.credit_used, &minor);
      break;
  }
  if (!fits) return TooLarge("overage in " + field.of);
  return ToString(Money{*Currency::FromCode(field.of), minor});
}

absl::StatusOr<AccountValue> ValueOf(const Facts& facts, const AccountField& field, const std::string& month,
                                     const std::pair<std::string_view, int64_t>& posting) {
  using Kind = AccountValue::Kind;
  switch (field.fact) {
    case AccountFact::kMonth:
      return AccountValue{field.field, Kind::kText, month};
    case AccountFact::kPostingStatus:
      return AccountValue{field.field, Kind::kText, std::string(posting.first)};
    case AccountFact::kPostedAt: {
      constexpr int64_t kNanosPerSecond = 1'000'000'000;
      if (posting.second == 0) return AccountValue{field.field, Kind::kNothing, ""};
      const Instant at{posting.second / kNanosPerSecond * kNanosPerSecond};
      return AccountValue{field.field, Kind::kText, ToString(at)};
    }
    case AccountFact::kUsage:
    case AccountFact::kUsageBefore: {
      const bool is_now = field.fact == AccountFact::kUsage;
      const absl::StatusOr<Quantity> usage = UsageOf(is_now ? facts.usage : facts.usage_before, field.of);
      if (!usage.ok()) return usage.status();
      return AccountValue{field.field, Kind::kNumber, ToString(*usage)};
    }
    default: {
      absl::StatusOr<std::string> amount = AmountOf(facts, field);
      if (!amount.ok()) return amount.status();
      return AccountValue{field.field, Kind::kNumber, *std::move(amount)};
    }
  }
}

absl::Status WithoutId(const Target& target, const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamed; ++i) text.append(text.empty() ? "" : ", ").append(names[i]);
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  const std::string what = target.per_subscription ? "subscriptions" : "accounts";
  return MakeError(absl::StatusCode::kFailedPrecondition, what + " have no id in target " + target.name, text,
                   "add them to customers.csv");
}

}  // namespace

absl::StatusOr<std::vector<AccountRecord>> AccountRecordsOf(const Book& book, const Target& target, int threads) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  std::vector<AccountRecord> records;
  if (seals->empty()) return records;
  const absl::StatusOr<Catalog> catalog = SealedCatalog(book, seals->back().number);
  if (!catalog.ok()) return catalog.status();
  FactsReader reader(book, target, seals->back(), *catalog, threads);
  const absl::StatusOr<bool> is_told = reader.Read();
  if (!is_told.ok()) return is_told.status();
  if (!*is_told) return records;
  std::optional<Postings> postings;
  if (target.poster != nullptr) {
    absl::StatusOr<Postings> of = Postings::Of(book, *target.poster);
    if (!of.ok()) return of.status();
    postings = *std::move(of);
  }
  std::vector<std::string> without_id;
  for (const auto& [name, facts] : reader.facts()) {
    const std::optional<std::string_view> id = IdOf(target, name);
    if (!id) {
      without_id.push_back(name);
      continue;
    }
    AccountRecord& record = records.emplace_back();
    record.id = *id;
    record.entities.assign(facts.entities.begin(), facts.entities.end());
    record.month = reader.month();
    const auto posting = postings ? postings->Of(facts.batches) : std::pair(kPostingNone, int64_t{0});
    for (const AccountField& field : target.fields) {
      absl::StatusOr<AccountValue> value = ValueOf(facts, field, reader.month(), posting);
      if (!value.ok()) return value.status();
      record.values.push_back(*std::move(value));
    }
  }
  if (!without_id.empty()) return WithoutId(target, without_id);
  std::sort(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  const auto twice =
      std::adjacent_find(records.begin(), records.end(), [](const auto& a, const auto& b) { return a.id == b.id; });
  if (twice == records.end()) return records;
  return MakeError(absl::StatusCode::kFailedPrecondition, "two of one id in target " + target.name, twice->id,
                   "give each its own in customers.csv");
}

}  // namespace tollbook
