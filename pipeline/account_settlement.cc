#include "pipeline/account_settlement.h"

#include <oneapi/tbb/parallel_for.h>

#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/totals_run.h"
#include "pipeline/shard_totals.h"
#include "pipeline/worker_arena.h"
#include "rating/rate_steps.h"

namespace tollbook {
namespace {

std::set<std::string_view> AccountsIn(const Catalog& catalog, const WorthWindow& window) {
  if (window.only_subject) {
    const std::vector<std::string_view> accounts = GrantedAccountsOf(catalog, *window.only_subject);
    return {accounts.begin(), accounts.end()};
  }
  std::set<std::string_view> accounts;
  for (const Grant& grant : catalog.grants) {
    if (!grant.account.empty()) accounts.insert(grant.account);
  }
  return accounts;
}

using Subjects = std::set<std::string_view>;

// Of the accounts, by shard.
std::vector<Subjects> SubjectsOf(const Catalog& catalog, const std::set<std::string_view>& accounts,
                                 uint64_t book_seed) {
  std::vector<Subjects> of_shards(kTotalShards);
  for (const std::string_view account : accounts) {
    for (const uint32_t row : catalog.RowsOfGrantedAccount(account)) {
      const std::string_view subject = catalog.subscriptions[row].subject;
      of_shards[static_cast<size_t>(TotalShardOf(HashSubject(subject, book_seed)))].insert(subject);
    }
  }
  return of_shards;
}

// The subjects of one shard, rated alone.
class ShardDues {
 public:
  ShardDues(const Catalog& catalog, const RateWindow& window) : catalog_(catalog), window_(window), rater_(catalog) {}

  absl::Status Add(std::string_view subject, std::span<const SubjectTotal> totals, absl::Status status) {
    if (status.ok()) status = rater_.Rate(subject, totals, window_, &rated_);
    if (!status.ok() && !absl::IsOutOfRange(status)) return status;
    AddDues(catalog_, subject, status, rated_, &dues_);
    return absl::OkStatus();
  }
  DuesByAccount Take() { return std::move(dues_); }

 private:
  const Catalog& catalog_;
  const RateWindow window_;
  SubjectRater rater_;
  RatedSubject rated_;
  DuesByAccount dues_;
};

absl::StatusOr<DuesByAccount> DuesOf(const Book& book, const Catalog& catalog, const WorthWindow& window,
                                     const RateWindow& rate_window, int shard, Subjects subjects) {
  const absl::StatusOr<std::vector<StoredRun>> runs = book.Totals(shard, window.through_sequence);
  if (!runs.ok()) return runs.status();
  ShardTotals totals(catalog, book.identity().seed[0], std::nullopt);
  for (const StoredRun& run : *runs) TOLLBOOK_RETURN_IF_ERROR(totals.Add(run));
  totals.Merge();
  ShardDues dues(catalog, rate_window);
  for (size_t subject = 0; subject < totals.subjects(); ++subject) {
    const std::string_view name = totals.name(subject);
    if (subjects.erase(name) == 0) continue;
    const std::span<const SubjectTotal> of_subject = totals.TotalsOf(subject);
    TOLLBOOK_RETURN_IF_ERROR(dues.Add(name, of_subject, totals.StatusOf(subject)));
  }
  for (const std::string_view name : subjects) TOLLBOOK_RETURN_IF_ERROR(dues.Add(name, {}, absl::OkStatus()));
  return dues.Take();
}

}  // namespace

absl::StatusOr<SettledGrants> SettleAccounts(const Book& book, const Catalog& catalog, const WorthWindow& window,
                                             const RateWindow& rate_window, int threads) {
  SettledGrants settled;
  const std::set<std::string_view> accounts = AccountsIn(catalog, window);
  if (accounts.empty()) return settled;
  const std::vector<Subjects> subjects = SubjectsOf(catalog, accounts, book.identity().seed[0]);
  std::vector<absl::StatusOr<DuesByAccount>> of_shards(kTotalShards, DuesByAccount());
  WorkerArena arena(threads);
  arena.execute([&] {
    tbb::parallel_for(size_t{0}, subjects.size(), [&](size_t shard) {
      if (subjects[shard].empty()) return;
      of_shards[shard] = DuesOf(book, catalog, window, rate_window, static_cast<int>(shard), subjects[shard]);
    });
  });
  DuesByAccount dues;
  for (absl::StatusOr<DuesByAccount>& of_shard : of_shards) {
    if (!of_shard.ok()) return of_shard.status();
    AddDues(*std::move(of_shard), &dues);
  }
  // A subject's other accounts may not be asked for, and then not all of their dues are here.
  for (const std::string_view account : accounts) {
    Settle(catalog, account, dues[account], TimedThrough(rate_window), &settled);
  }
  return settled;
}

}  // namespace tollbook
