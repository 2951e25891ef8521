#include "pipeline/approval.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "rating/permissions.h"

namespace tollbook {
namespace {

using PeriodAndCurrency = std::tuple<std::string, std::string, std::string>;  // entity, currency, accounting period
// The parts of a batch that was cut share it; a reversal is a batch of its own.
using WholeBatch = std::pair<PeriodAndCurrency, std::string>;

PeriodAndCurrency PeriodOf(const JournalBatch& batch) {
  return {batch.entity, std::string(batch.currency.code()), batch.accounting_period};
}

WholeBatch WholeOf(const JournalBatch& batch) {
  return {PeriodOf(batch), batch.reverses};
}

absl::StatusOr<std::set<PeriodAndCurrency>> BookedBefore(const Book& book, const Catalog& catalog) {
  std::set<PeriodAndCurrency> booked;
  const bool asks = std::ranges::any_of(catalog.entities, [](const Entity& e) { return e.approval.first_of_period; });
  if (!asks) return booked;
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  for (const JournalBatch& batch : *batches) booked.insert(PeriodOf(batch));
  return booked;
}

// Beyond what can be held it is above any limit.
void AddDebit(const JournalLine& line, Int128* sum) {
  if (__builtin_add_overflow(*sum, line.amount().minor, sum)) *sum = kMinorMax;
}

// An accrual of late usage, by where it is posted: of those that a seal posts twice the second takes the first back.
class AccrualsTakenBack {
 public:
  explicit AccrualsTakenBack(std::span<const JournalBatch> batches) {
    for (const JournalBatch& batch : batches) {
      for (const JournalLine& line : batch.lines) {
        if (line.key.usage_date) posted_[PlaceOf(line)].push_back(&line);
      }
    }
  }

  // Of one usage date a seal posts to the same accounts in one accounting period, but for an accrual: it is in two, the
  // other way round in the later one.
  bool Has(const JournalLine& line) const {
    const auto lines = posted_.find(PlaceOf(line));
    return lines != posted_.end() && std::ranges::any_of(lines->second, [&](const JournalLine* other) {
             return other->key.posting_date < line.key.posting_date && other->minor == -line.minor;
           });
  }

 private:
  using Place = std::tuple<std::string_view, std::string_view, std::string_view, std::string_view, std::string_view,
                           std::string_view, std::string_view, Day>;
  static Place PlaceOf(const JournalLine& line) {
    const LineKey& key = line.key;
    return {key.entity, key.currency.code(), key.reverses,   key.product,
            key.debit,  key.credit,          key.dimensions, key.usage_date.value_or(key.posting_date)};
  }
  std::map<Place, std::vector<const JournalLine*>> posted_;
};

// What is debited in all parts of a batch; and of it late usage, by the accounting period that it belongs to. What
// takes an accrual back is no late usage once more.
struct Debits {
  Int128 all = 0;
  std::map<std::string, Int128> late;
};

// " is above 100.00"; empty: it is not, or there is no limit.
std::string IsAbove(const std::map<std::string, Money>& limits, Currency currency, Int128 minor) {
  const auto limit = limits.find(std::string(currency.code()));
  if (limit == limits.end() || minor <= limit->second.minor) return "";
  return ToString(Money{currency, minor}) + " is above " + ToString(limit->second);
}

// The policy that holds the batch; empty: none.
std::string WhyHeld(const ApprovalPolicy& policy, const JournalBatch& batch, const Debits& debits, bool is_first) {
  if (policy.every_batch) return "every batch";
  if (policy.first_of_period && is_first) return "first of " + batch.accounting_period;
  const std::string above = IsAbove(policy.above, batch.currency, debits.all);
  if (!above.empty()) return above;
  for (const auto& [period, minor] : debits.late) {
    const std::string late = IsAbove(policy.late_above, batch.currency, minor);
    if (!late.empty()) return "late usage of " + period + ": " + late;
  }
  return "";
}

const Entity* EntityOf(const Catalog& catalog, const JournalBatch& batch) {
  const auto entity = std::ranges::find(catalog.entities, batch.entity, &Entity::name);
  return entity == catalog.entities.end() ? nullptr : &*entity;
}

absl::Status Wrong(absl::StatusCode code, std::string_view what, std::string_view which, std::string_view what_to_do) {
  return MakeError(code, what, which, what_to_do);
}

}  // namespace

absl::StatusOr<std::vector<HeldBatch>> HeldForApproval(const Book& book, const Catalog& catalog,
                                                       std::span<const JournalBatch> batches) {
  const absl::StatusOr<std::set<PeriodAndCurrency>> booked = BookedBefore(book, catalog);
  if (!booked.ok()) return booked.status();
  const AccrualsTakenBack taken_back(batches);
  std::map<WholeBatch, Debits> debits;
  for (const JournalBatch& batch : batches) {
    const Entity* const entity = EntityOf(catalog, batch);
    Debits& of = debits[WholeOf(batch)];
    for (const JournalLine& line : batch.lines) {
      AddDebit(line, &of.all);
      if (entity == nullptr || !line.key.usage_date || taken_back.Has(line)) continue;
      AddDebit(line, &of.late[entity->fiscal_calendar.PeriodOf(*line.key.usage_date).name]);
    }
  }
  std::vector<HeldBatch> held;
  for (uint32_t number = 0; number < batches.size(); ++number) {
    const JournalBatch& batch = batches[number];
    const Entity* const entity = EntityOf(catalog, batch);
    if (entity == nullptr) continue;  // booked back of one that is no more
    const std::string why =
        WhyHeld(entity->approval, batch, debits[WholeOf(batch)], !booked->contains(PeriodOf(batch)));
    if (!why.empty()) held.push_back({number, why});
  }
  return held;
}

absl::StatusOr<Decision> DecideApproval(Book& book, const Catalog& catalog, const ApprovalOrder& order) {
  if (order.by.empty())
    return Wrong(absl::StatusCode::kInvalidArgument, "nobody is named", "--by", "say who decides it: --by NAME");
  if (order.why.empty())
    return Wrong(absl::StatusCode::kInvalidArgument, "no reason is given", "--why", "say why: --why TEXT");
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  const auto batch = std::ranges::find(*batches, order.batch, &JournalBatch::id);
  if (batch == batches->end()) {
    return Wrong(absl::StatusCode::kNotFound, "there is no such batch", order.batch,
                 "`tollbook journals` lists the batches");
  }
  TOLLBOOK_RETURN_IF_ERROR(CheckPermission(catalog, batch->entity, Act::kApprove, {order.by, order.account}));
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  const auto approval = approvals->find(order.batch);
  if (approval == approvals->end()) {
    return Wrong(
        absl::StatusCode::kFailedPrecondition, "nobody has to approve this batch", order.batch,
        "no policy of its entity held it when it was sealed; `tollbook journals held` lists those that are held");
  }
  const std::string after(order.approves ? kApproved : kRejected);
  const std::string& before = approval->second.state;
  if (before == kApproved || before == after) {
    return Wrong(absl::StatusCode::kFailedPrecondition, "the batch is " + before + " already", order.batch,
                 before == kApproved ? "what was sealed wrongly is mended by a difference: mend the catalog and seal"
                                     : "`tollbook journals approve` approves it after all");
  }
  const Decision decision{DecisionKind::kApproval, order.batch, order.by, order.why, before, after};
  TOLLBOOK_RETURN_IF_ERROR(CommitDecisions(book, {&decision, 1}));
  return decision;
}

}  // namespace tollbook
