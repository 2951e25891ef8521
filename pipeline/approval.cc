#include "pipeline/approval.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

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

// The policy that holds the batch; empty: none.
std::string WhyHeld(const ApprovalPolicy& policy, const JournalBatch& batch, Int128 debits, bool is_first) {
  if (policy.every_batch) return "every batch";
  if (policy.first_of_period && is_first) return "first of " + batch.accounting_period;
  const auto above = policy.above.find(std::string(batch.currency.code()));
  if (above == policy.above.end() || debits <= above->second.minor) return "";
  return ToString(Money{batch.currency, debits}) + " is above " + ToString(above->second);
}

absl::Status Wrong(absl::StatusCode code, std::string_view what, std::string_view which, std::string_view what_to_do) {
  return MakeError(code, what, which, what_to_do);
}

}  // namespace

absl::StatusOr<std::vector<HeldBatch>> HeldForApproval(const Book& book, const Catalog& catalog,
                                                       std::span<const JournalBatch> batches) {
  const absl::StatusOr<std::set<PeriodAndCurrency>> booked = BookedBefore(book, catalog);
  if (!booked.ok()) return booked.status();
  std::map<WholeBatch, Int128> debits;
  for (const JournalBatch& batch : batches) {
    Int128& sum = debits[WholeOf(batch)];
    for (const JournalLine& line : batch.lines) {
      // Beyond what can be held it is above any limit.
      if (__builtin_add_overflow(sum, line.amount().minor, &sum)) sum = kMinorMax;
    }
  }
  std::vector<HeldBatch> held;
  for (uint32_t number = 0; number < batches.size(); ++number) {
    const JournalBatch& batch = batches[number];
    const auto entity = std::ranges::find(catalog.entities, batch.entity, &Entity::name);
    if (entity == catalog.entities.end()) continue;  // booked back of one that is no more
    const std::string why =
        WhyHeld(entity->approval, batch, debits[WholeOf(batch)], !booked->contains(PeriodOf(batch)));
    if (!why.empty()) held.push_back({number, why});
  }
  return held;
}

absl::StatusOr<Decision> DecideApproval(Book& book, const ApprovalOrder& order) {
  if (order.by.empty())
    return Wrong(absl::StatusCode::kInvalidArgument, "nobody is named", "--by", "say who decides it: --by NAME");
  if (order.why.empty())
    return Wrong(absl::StatusCode::kInvalidArgument, "no reason is given", "--why", "say why: --why TEXT");
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  if (std::ranges::find(*batches, order.batch, &JournalBatch::id) == batches->end()) {
    return Wrong(absl::StatusCode::kNotFound, "there is no such batch", order.batch,
                 "`tollbook journals` lists the batches");
  }
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  const auto approval = approvals->find(order.batch);
  if (approval == approvals->end()) {
    return Wrong(absl::StatusCode::kFailedPrecondition, "nobody has to approve this batch", order.batch,
                 "its seal held others; see `tollbook journals held`");
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
