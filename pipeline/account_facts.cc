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
#include "rating/committed.h"
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

struct CommittedFacts {
  Int128 amount = 0, spend = 0, left = 0;
};

// Of a plan, and of one of its charges.
using ChargeName = std::pair<std::string, std::string>;

struct Facts {
  std::map<ChargeName, Quantity> usage, usage_before;
  std::map<std::string, MoneyFacts> money;                                 // by currency
  std::map<std::pair<ChargeName, std::string>, CommittedFacts> committed;  // by currency, too
  std::set<std::string> batches;                                           // with its differences of the month
  std::set<std::string> entities;                                          // whose all of these are
};

bool Has(const std::vector<std::string>& entities, std::string_view entity) {
  return entities.empty() || std::find(entities.begin(), entities.end(), entity) != entities.end();
}

bool HasAll(const std::vector<std::string>& entities, const std::set<std::string_view>& some) {
  return std::all_of(some.begin(), some.end(), [&](std::string_view entity) { return Has(entities, entity); });
}

absl::Status TooLarge(const std::string& what) {
  return MakeError(absl::StatusCode::kOutOfRange, "what an account comes to cannot be added up", what,
                   "check the prices of its plans");
}

// False: the sum does not fit.
[[nodiscard]] bool AddTo(Int128* sum, Int128 more) {
  return !__builtin_add_overflow(*sum, more, sum);
}

// Whose a line is.
struct Owner {
  std::string subscription, account, entity;
  friend auto operator<=>(const Owner&, const Owner&) = default;
};

// Lines that are told as one.
struct LinesOf {
  enum class When : uint8_t { kMonth, kMonthBefore, kOther };  // of other days only that there are some
  Owner owner;
  When when = When::kOther;
  std::string plan, charge;
  DayLine line = DayLine::kUsage;
  friend auto operator<=>(const LinesOf&, const LinesOf&) = default;
};

struct SumOfLines {
  Currency currency;
  Quantity quantity;
  Int128 minor = 0;
};

struct CommittedSpend {
  Committed committed;
  Int128 minor = 0;                     // what counts towards it so far
  std::set<std::string_view> entities;  // of the versions whose lines do
};

}  // namespace

struct AccountStandings::Sealed {
  SealRecord seal;
  Catalog catalog;
  std::map<std::string_view, std::vector<const Subscription*>> versions;  // by valid_from
  bool has_line = false;                                                  // the day and the month are known
  Day last;
  BillingPeriod month;
  std::map<LinesOf, SumOfLines> lines;
  // By grant, day and subscription, minor units.
  std::map<std::string, std::map<Day, std::map<std::string, Int128>>> burned;
  std::map<std::string_view, std::vector<CommittedSpend>> committed;  // by subscription
  std::optional<std::map<Owner, std::set<std::string>>> batches;      // of the month; none: not read yet

  std::string month_name() const { return AccountingPeriodOf(month.start); }

  // Null: the catalog has it no longer.
  const Subscription* VersionOn(std::string_view id, Day day) const {
    const auto found = versions.find(id);
    if (found == versions.end()) return nullptr;
    const Subscription* version = found->second.front();
    for (const Subscription* later : found->second) {
      if (later->valid_from <= day) version = later;
    }
    return version;
  }

  // Of all versions of it.
  std::set<std::string_view> EntitiesOf(std::string_view subscription) const {
    std::set<std::string_view> entities;
    const auto found = versions.find(subscription);
    if (found == versions.end()) return entities;
    for (const Subscription* version : found->second) entities.insert(catalog.entities[version->entity].name);
    return entities;
  }
  // Of all subscriptions whose lines the grant can pay.
  std::set<std::string_view> EntitiesOf(const Grant& grant) const {
    if (grant.account.empty()) return EntitiesOf(grant.subscription);
    std::set<std::string_view> entities;
    for (const uint32_t row : catalog.RowsOfGrantedAccount(grant.account)) {
      entities.insert(catalog.entities[catalog.subscriptions[row].entity].name);
    }
    return entities;
  }
};

namespace {

using Sealed = AccountStandings::Sealed;

// What the newest seal saw, from its days.
class SealedReader {
 public:
  SealedReader(const Book& book, Sealed* sealed) : book_(book), sealed_(*sealed) {}

  absl::Status Read(int threads) {
    for (const Subscription& subscription : sealed_.catalog.subscriptions) {
      sealed_.versions[subscription.id].push_back(&subscription);
    }
    for (auto& [id, versions] : sealed_.versions) {
      std::sort(versions.begin(), versions.end(),
                [](const Subscription* a, const Subscription* b) { return a->valid_from < b->valid_from; });
    }
    const absl::StatusOr<std::vector<UsageDay>> days = LineDaysAsOf(book_, sealed_.seal.number, threads);
    if (!days.ok()) return days.status();
    std::optional<Day> last = sealed_.seal.through;
    for (const UsageDay& day : *days) {
      if (!sealed_.seal.through) last = std::max(last, std::optional(day.day));
    }
    if (!last) return absl::OkStatus();
    sealed_.has_line = true;
    sealed_.last = *last;
    sealed_.month = MonthOf(*last);
    TOLLBOOK_RETURN_IF_ERROR(ReadCommitted());
    for (const UsageDay& day : *days) TOLLBOOK_RETURN_IF_ERROR(Add(day));
    return absl::OkStatus();
  }

 private:
  absl::Status ReadCommitted() {
    absl::StatusOr<std::vector<Committed>> all = CommittedOn(sealed_.catalog, sealed_.last);
    if (!all.ok()) return all.status();
    for (Committed& one : *all) {
      const std::string_view subscription = one.subscription->id;
      CommittedSpend& made = sealed_.committed[subscription].emplace_back();
      made.entities = sealed_.EntitiesOf(subscription);
      made.committed = std::move(one);
    }
    return absl::OkStatus();
  }

  LinesOf::When WhenOf(Day day) const {
    if (sealed_.last < day) return LinesOf::When::kOther;
    if (MonthOf(day) == sealed_.month) return LinesOf::When::kMonth;
    return MonthOf(day).end == sealed_.month.start ? LinesOf::When::kMonthBefore : LinesOf::When::kOther;
  }

  absl::Status Add(const UsageDay& day) {
    LinesOf of{{day.subscription, day.account, day.entity}, WhenOf(day.day), {}, {}, DayLine::kUsage};
    if (of.when != LinesOf::When::kOther) {
      of.plan = day.plan;
      of.charge = day.charge;
      of.line = day.line;
    }
    SumOfLines& sum = sealed_.lines[of];
    sum.currency = day.amount.currency;
    bool fits = of.when == LinesOf::When::kOther ||
                (tollbook::Add(sum.quantity, day.quantity, &sum.quantity) && AddTo(&sum.minor, day.amount.minor));
    if (sealed_.last < day.day) return absl::OkStatus();
    if (day.line == DayLine::kCredit) {
      fits =
          AddTo(&sealed_.burned[day.charge.substr(kCreditOf.size())][day.day][day.subscription], -day.amount.minor) &&
          fits;
    }
    const auto committed = sealed_.committed.find(day.subscription);
    if (committed != sealed_.committed.end()) {
      for (CommittedSpend& one : committed->second) {
        if (!CountsTowards(sealed_.catalog, one.committed, day.plan, day.charge, day.day)) continue;
        fits = AddTo(&one.minor, day.amount.minor) && fits;
      }
    }
    return fits ? absl::OkStatus() : TooLarge(day.subscription + ", " + ToString(day.day));
  }

  const Book& book_;
  Sealed& sealed_;
};

// Which batches have differences of the month, and whose.
class BatchesReader {
 public:
  BatchesReader(const Book& book, const Sealed& sealed) : book_(book), sealed_(sealed) {}

  absl::StatusOr<std::map<Owner, std::set<std::string>>> Read() {
    const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
    if (!seals.ok()) return seals.status();
    std::map<uint64_t, const SealRecord*> by_sequence;
    for (const SealRecord& seal : *seals) by_sequence.emplace(seal.sequence, &seal);
    for (int shard = 0; shard < kTotalShards; ++shard) {
      const absl::StatusOr<std::vector<StoredRun>> runs = book_.Differences(shard, sealed_.seal.sequence);
      if (!runs.ok()) return runs.status();
      for (const StoredRun& run : *runs) {
        const auto seal = by_sequence.find(run.sequence);
        if (seal == by_sequence.end() || !Add(*seal->second, run.bytes)) {
          return DamagedError("booked amounts of commit " + std::to_string(run.sequence));
        }
      }
    }
    return std::move(batches_);
  }

 private:
  // False: the run cannot be read.
  bool Add(const SealRecord& seal, std::string_view run) {
    DifferenceRunReader reader(run);
    std::string_view subject;
    uint32_t count = 0;
    Difference one;
    while (reader.NextSubject(&subject, &count)) {
      for (uint32_t i = 0; i < count && reader.Next(&one); ++i) {
        const Day day = one.key.usage_date;
        if (one.line.line == 0 || day < sealed_.month.start || sealed_.month.end <= day) continue;
        if (one.line.batch >= seal.batches.size()) return false;
        const Subscription* const version = sealed_.VersionOn(one.key.subscription, day);
        if (version == nullptr) continue;
        const Owner owner{std::string(one.key.subscription), std::string(version->account),
                          std::string(one.key.place->entity)};
        batches_[owner].insert(seal.batches[one.line.batch]);
      }
    }
    return reader.ok();
  }

  const Book& book_;
  const Sealed& sealed_;
  std::map<Owner, std::set<std::string>> batches_;
};

// The facts of a target's accounts.
class FactsReader {
 public:
  FactsReader(const Target& target, const Sealed& sealed)
      : target_(target),
        sealed_(sealed),
        tells_commitments_(std::any_of(target.fields.begin(), target.fields.end(),
                                       [](const AccountField& field) { return IsOfCommitment(field.fact); })) {}

  absl::Status Read() {
    for (const auto& [lines, sum] : sealed_.lines) {
      if (Has(target_.entities, lines.owner.entity)) TOLLBOOK_RETURN_IF_ERROR(Add(lines, sum));
    }
    for (const Grant& grant : sealed_.catalog.grants) TOLLBOOK_RETURN_IF_ERROR(AddGrant(grant));
    for (const auto& [subscription, all] : sealed_.committed) {
      for (const CommittedSpend& one : all) {
        if (tells_commitments_ && HasAll(target_.entities, one.entities)) TOLLBOOK_RETURN_IF_ERROR(AddCommitted(one));
      }
    }
    if (target_.poster == nullptr) return absl::OkStatus();
    for (const auto& [owner, batches] : *sealed_.batches) {
      if (!Has(target_.entities, owner.entity)) continue;
      Facts& facts = FactsOf(owner);
      facts.batches.insert(batches.begin(), batches.end());
    }
    return absl::OkStatus();
  }

  const std::map<std::string, Facts>& facts() const { return facts_; }

 private:
  // Which record a line of a subscription belongs to.
  std::string NameOf(std::string_view subscription, std::string_view account) const {
    return std::string(target_.per_subscription ? subscription : account);
  }
  Facts& FactsOf(const Owner& owner) {
    Facts& facts = facts_[NameOf(owner.subscription, owner.account)];
    facts.entities.insert(owner.entity);
    return facts;
  }

  absl::Status Add(const LinesOf& lines, const SumOfLines& sum) {
    Facts& facts = FactsOf(lines.owner);
    if (lines.when == LinesOf::When::kOther) return absl::OkStatus();
    const bool is_now = lines.when == LinesOf::When::kMonth;
    MoneyFacts& money = facts.money[std::string(sum.currency.code())];
    bool fits = true;
    if (lines.line == DayLine::kUsage) {
      Quantity& used = (is_now ? facts.usage : facts.usage_before)[{lines.plan, lines.charge}];
      fits = tollbook::Add(used, sum.quantity, &used);
    }
    if (lines.line == DayLine::kUsage || lines.line == DayLine::kOther) {
      fits = AddTo(is_now ? &money.spend : &money.spend_before, sum.minor) && fits;
    } else if (lines.line == DayLine::kCredit && is_now) {
      fits = AddTo(&money.credit_used, -sum.minor);
    }
    return fits ? absl::OkStatus() : TooLarge(lines.owner.subscription + ", " + lines.charge);
  }

  // What the lines say that it paid is burned again, day by day: so its ends and refills find what was left.
  absl::Status AddGrant(const Grant& grant) {
    const Day last = sealed_.last;
    const bool is_of_account = !grant.account.empty();
    const Subscription* const version = is_of_account ? nullptr : sealed_.VersionOn(grant.subscription, last);
    if (is_of_account ? target_.per_subscription : version == nullptr) return absl::OkStatus();
    const std::set<std::string_view> entities = sealed_.EntitiesOf(grant);
    if (last < grant.starts_on || !HasAll(target_.entities, entities)) return absl::OkStatus();

    const std::vector<GrantTerms> terms = TermsOf({&grant, 1}, last);
    static const std::map<Day, std::map<std::string, Int128>> kNothing;
    const auto found = sealed_.burned.find(grant.id);
    const auto& burned = found == sealed_.burned.end() ? kNothing : found->second;
    std::map<std::string_view, size_t> debtors;  // what is given back for one is not what is burned for another
    for (const auto& [day, of_day] : burned) {
      for (const auto& [subscription, minor] : of_day) debtors.try_emplace(subscription, debtors.size());
    }
    GrantBalances balance(terms, std::max<size_t>(1, debtors.size()));
    for (const auto& [day, of_day] : burned) {
      balance.AdvanceTo(day);
      for (const auto& [subscription, minor] : of_day) {
        if (minor < 0) balance.GiveBack(-minor, debtors.at(subscription));
      }
      for (const auto& [subscription, minor] : of_day) {
        if (minor > 0 && !balance.Burn(minor, debtors.at(subscription))) return TooLarge("grant " + grant.id);
      }
    }
    balance.AdvanceTo(last);
    if (balance.overflowed()) return TooLarge("grant " + grant.id);
    Facts& facts = facts_[is_of_account ? grant.account : NameOf(grant.subscription, version->account)];
    facts.entities.insert(entities.begin(), entities.end());
    MoneyFacts& money = facts.money[std::string(grant.amount.currency.code())];
    money.has_grant = true;
    const bool is_in_force = !grant.ends_on || last < *grant.ends_on;
    const bool fits =
        AddTo(&money.credit_left, balance.balance(0)) && (!is_in_force || AddTo(&money.granted, grant.amount.minor));
    return fits ? absl::OkStatus() : TooLarge("grant " + grant.id);
  }

  // What one has too much does not make up for what another has too little.
  absl::Status AddCommitted(const CommittedSpend& one) {
    const Subscription& version = *one.committed.subscription;
    const Money amount = one.committed.amount;
    Facts& facts = facts_[NameOf(version.id, version.account)];
    facts.entities.insert(one.entities.begin(), one.entities.end());
    const ChargeName name(sealed_.catalog.plans[version.plan].name, one.committed.charge->name);
    CommittedFacts& sum = facts.committed[{name, std::string(amount.currency.code())}];
    Int128 left = 0;
    const bool fits = !__builtin_sub_overflow(amount.minor, one.minor, &left) && AddTo(&sum.amount, amount.minor) &&
                      AddTo(&sum.spend, one.minor) && AddTo(&sum.left, std::max<Int128>(left, 0));
    return fits ? absl::OkStatus() : TooLarge(std::string(version.id) + ", " + name.second);
  }

  const Target& target_;
  const Sealed& sealed_;
  const bool tells_commitments_;
  std::map<std::string, Facts> facts_;  // by account or subscription
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
    if (IsPosted(state)) return kPosted;
    const bool has_failed = state == DeliveryState::kParked || state == DeliveryState::kSuperseded;
    return has_failed ? kPostingFailed : kPostingPending;
  }
  std::map<std::string, Standing, std::less<>> of_;  // by batch
};

// "calls" of any plan, "starter/calls" of one.
bool IsOf(const ChargeName& charge, const std::string& of) {
  return of == charge.second || of == charge.first + "/" + charge.second;
}

absl::StatusOr<Quantity> UsageOf(const std::map<ChargeName, Quantity>& usage, const std::string& of) {
  Quantity sum;
  for (const auto& [charge, quantity] : usage) {
    if (!IsOf(charge, of)) continue;
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

// Nothing of who has no such commitment.
absl::StatusOr<AccountValue> CommittedOf(const Facts& facts, const AccountField& field) {
  CommittedFacts sum;
  std::string currency;
  for (const auto& [of, one] : facts.committed) {
    if (!IsOf(of.first, field.of)) continue;
    if (!currency.empty() && of.second != currency) {
      return MakeError(absl::StatusCode::kFailedPrecondition, "commitments of one name are in several currencies",
                       field.of + ": " + currency + " and " + of.second, "map plan/charge of each plan");
    }
    currency = of.second;
    if (!AddTo(&sum.amount, one.amount) || !AddTo(&sum.spend, one.spend) || !AddTo(&sum.left, one.left)) {
      return TooLarge("what is committed of " + field.of);
    }
  }
  if (currency.empty()) return AccountValue{field.field, AccountValue::Kind::kNothing, ""};
  const Int128 minor = field.fact == AccountFact::kCommitted        ? sum.amount
                       : field.fact == AccountFact::kCommittedSpend ? sum.spend
                                                                    : sum.left;
  return AccountValue{field.field, AccountValue::Kind::kNumber, ToString(Money{*Currency::FromCode(currency), minor})};
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
    case AccountFact::kCommitted:
    case AccountFact::kCommittedSpend:
    case AccountFact::kCommittedLeft:
      return CommittedOf(facts, field);
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

AccountStandings::AccountStandings(const Book& book, int threads) : book_(book), threads_(threads) {}
AccountStandings::~AccountStandings() = default;

absl::Status AccountStandings::RateOnce() {
  if (sealed_ != nullptr && sealed_->seal.number + 1 == book_.next_seal()) return absl::OkStatus();
  sealed_ = nullptr;
  const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
  if (!seals.ok()) return seals.status();
  if (seals->empty()) return absl::OkStatus();
  absl::StatusOr<Catalog> catalog = SealedCatalog(book_, seals->back().number);
  if (!catalog.ok()) return catalog.status();
  auto sealed = std::make_unique<Sealed>();
  sealed->seal = seals->back();
  sealed->catalog = *std::move(catalog);
  TOLLBOOK_RETURN_IF_ERROR(SealedReader(book_, sealed.get()).Read(threads_));
  sealed_ = std::move(sealed);
  ++times_rated_;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<AccountRecord>> AccountStandings::RecordsFor(const Target& target) {
  std::vector<AccountRecord> records;
  TOLLBOOK_RETURN_IF_ERROR(RateOnce());
  if (sealed_ == nullptr || !sealed_->has_line || sealed_->month_name() < target.from) return records;
  if (target.poster != nullptr && !sealed_->batches) {
    auto batches = BatchesReader(book_, *sealed_).Read();
    if (!batches.ok()) return batches.status();
    sealed_->batches = *std::move(batches);
  }
  FactsReader reader(target, *sealed_);
  TOLLBOOK_RETURN_IF_ERROR(reader.Read());
  std::optional<Postings> postings;
  if (target.poster != nullptr) {
    absl::StatusOr<Postings> of = Postings::Of(book_, *target.poster);
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
    record.month = sealed_->month_name();
    const auto posting = postings ? postings->Of(facts.batches) : std::pair(kPostingNone, int64_t{0});
    for (const AccountField& field : target.fields) {
      absl::StatusOr<AccountValue> value = ValueOf(facts, field, sealed_->month_name(), posting);
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
