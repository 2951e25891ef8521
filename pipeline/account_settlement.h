// AccountSettlement: the grants of accounts, settled by what all subjects of the book come to (account_grants.h).
//
// The subscriptions of an account lie in any shards. So before anything else the subjects of accounts with grants are
// rated alone, shards in parallel; then each account is settled. A catalog without such grants costs nothing here; with
// them its subjects are read and rated twice, and others' totals are not read.
#ifndef TOLLBOOK_PIPELINE_ACCOUNT_SETTLEMENT_H_
#define TOLLBOOK_PIPELINE_ACCOUNT_SETTLEMENT_H_

#include "ledger/book.h"
#include "pipeline/subject_worth.h"
#include "rating/account_grants.h"
#include "rating/catalog.h"
#include "rating/rate.h"

namespace tollbook {

// Of all accounts; where the window is of one subject, of those that it belongs to. Errors: the book's.
[[nodiscard]] absl::StatusOr<SettledGrants> SettleAccounts(const Book& book, const Catalog& catalog,
                                                           const WorthWindow& window, const RateWindow& rate_window,
                                                           int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ACCOUNT_SETTLEMENT_H_
