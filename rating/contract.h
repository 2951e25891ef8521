// Contract: which fees of a plan are promised together, as performance obligations of one contract, and what each would
// be sold for on its own. What of the contract's price is revenue of which is said in pipeline/allocation.h.
//
// Term      The price is that of one term: a plan's fees over so many months, from the subscription's first day (or its
//           billing anchor) on. A subscription that goes on behind it has another contract for another term.
// Source    IFRS 15 paragraphs 22 to 30 and 73 to 86, ASC 606-10-25-14 to -22 and 606-10-32-28 to -41.
#ifndef TOLLBOOK_RATING_CONTRACT_H_
#define TOLLBOOK_RATING_CONTRACT_H_

#include <cstdint>
#include <map>
#include <vector>

#include "rating/billing_cycle.h"
#include "rating/money.h"

namespace tollbook {

class Catalog;
struct CatalogDraft;

struct Obligation {
  uint32_t charge = 0;      // index into the plan's charges: a fee
  Price stand_alone_price;  // above zero; of what the fee's own price is of: one unit, and a billing period or once
  bool at_point = false;    // satisfied on the day on which it is due, at once; else over the time that is left
  int line = 0;
};

struct Contract {
  uint32_t plan = 0;  // index into Catalog::plans
  BillingCycle term;  // of months
  std::vector<Obligation> obligations;
  int line = 0;
};

class Contracts {
 public:
  void Add(Contract contract) { of_plans_[contract.plan] = std::move(contract); }
  bool empty() const { return of_plans_.empty(); }
  // Null: the plan's fees are promised each by itself.
  const Contract* Of(uint32_t plan) const {
    const auto found = of_plans_.find(plan);
    return found == of_plans_.end() ? nullptr : &found->second;
  }
  // Whether the charge, by its index, is an obligation of the plan's contract.
  bool HasObligation(uint32_t plan, size_t charge) const;

 private:
  std::map<uint32_t, Contract> of_plans_;
};

// Those of a catalog's contracts.yaml; none where it has no such file.
[[nodiscard]] Contracts ContractsOf(const Catalog& catalog);

// What is wrong with a draft's contracts.yaml; and, once nothing else is, with what subscriptions to its plans reach:
// all obligations of a contract are deferred to one account, and no discount takes anything off them. After all else.
void CheckContracts(CatalogDraft& draft);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CONTRACT_H_
