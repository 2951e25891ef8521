// A seal of many changed totals, and RocksDB's share in it: all totals new; then all prices changed. The answer is
// checked: what each seal books is what the charges come to.
#include "pipeline/seal.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <type_traits>
#include <vector>

#include "bench/bench_data.h"
#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/subject_worth.h"

namespace tollbook::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The book, with a stop watch around all that a seal asks of its store.
class TimedBook final : public Book {
 public:
  explicit TimedBook(Book& book) : book_(book) {}

  double store_seconds() const { return static_cast<double>(nanos_.load()) / 1e9; }

  const BookIdentity& identity() const override { return book_.identity(); }
  const LineCounts& counts() const override { return book_.counts(); }
  uint64_t last_sequence() const override { return book_.last_sequence(); }
  uint64_t next_seal() const override { return book_.next_seal(); }
  absl::Status CommitEpoch(const EpochCommit& epoch) override { return book_.CommitEpoch(epoch); }
  absl::Status CommitSeal(const SealCommit& seal) override {
    return Timed([&] { return book_.CommitSeal(seal); });
  }
  absl::Status CommitPeriodChange(const PeriodChange& change) override { return book_.CommitPeriodChange(change); }
  absl::StatusOr<std::vector<PeriodChange>> PeriodChanges(uint64_t through_sequence) const override {
    return Timed([&] { return book_.PeriodChanges(through_sequence); });
  }
  std::vector<SeenSize> SeenSizes() const override { return book_.SeenSizes(); }
  absl::Status LoadSeen(int shard, SeenShard* into) const override { return book_.LoadSeen(shard, into); }
  absl::Status LoadSeen(int shard, SeenSet* into) const override { return book_.LoadSeen(shard, into); }
  absl::StatusOr<std::vector<SourceRecord>> Sources() const override { return book_.Sources(); }
  absl::StatusOr<std::vector<Meter>> Meters() const override { return book_.Meters(); }
  absl::StatusOr<std::vector<StoredRun>> Totals(int shard, uint64_t through_sequence) const override {
    return Timed([&] { return book_.Totals(shard, through_sequence); });
  }
  absl::StatusOr<std::vector<StoredRun>> Differences(int shard, uint64_t through_sequence) const override {
    return Timed([&] { return book_.Differences(shard, through_sequence); });
  }
  absl::StatusOr<std::vector<SealRecord>> Seals() const override {
    return Timed([&] { return book_.Seals(); });
  }
  absl::StatusOr<std::map<std::string, std::string>> CatalogFiles(std::string_view digest) const override {
    return book_.CatalogFiles(digest);
  }
  absl::StatusOr<std::vector<JournalBatch>> Batches() const override { return book_.Batches(); }
  absl::StatusOr<std::vector<CommitRecord>> Commits() const override { return book_.Commits(); }
  absl::Status ForEachExceptions(const VisitExceptions& visit) const override { return book_.ForEachExceptions(visit); }
  absl::Status ForEachNotAccepted(uint64_t through_sequence, const VisitExceptions& visit) const override {
    return book_.ForEachNotAccepted(through_sequence, visit);
  }
  absl::Status ForEachHeldCorrections(const VisitExceptions& visit) const override {
    return book_.ForEachHeldCorrections(visit);
  }
  absl::Status ForEachCorrections(const VisitExceptions& visit) const override {
    return book_.ForEachCorrections(visit);
  }
  std::vector<Check> CheckStore() const override { return book_.CheckStore(); }

 private:
  template <typename Ask>
  std::invoke_result_t<Ask> Timed(const Ask& ask) const {
    const Clock::time_point start = Clock::now();
    auto answer = ask();
    nanos_ += std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count();
    return answer;
  }

  Book& book_;
  mutable std::atomic<int64_t> nanos_ = 0;
};

using SumByEntityCurrency = std::map<std::pair<std::string, Currency>, LineSum>;

struct Worths {
  uint64_t totals = 0;
  SumByEntityCurrency sums;
};

// What is to be booked in all, found apart from the seal.
Worths WorthsOf(const Book& book, const Catalog& catalog) {
  Worths worths;
  std::mutex mutex;  // guards worths
  Require(VisitSubjects(book, catalog, {}, 0, [&](int, const SubjectWorth& worth) {
    const std::lock_guard lock(mutex);
    worths.totals += worth.totals.size();
    for (const RatedCharge& charge : worth.rated.charges) {
      const Money& line = charge.days.back().booked_to_date;
      const std::string& entity = catalog.entities[charge.subscription->entity].name;
      if (!worths.sums[{entity, line.currency}].Add(line.minor)) Die("a sum of " + entity + " does not fit");
    }
    return absl::OkStatus();
  }));
  return worths;
}

void CheckJournal(const Book& book, const Worths& worths) {
  SumByEntityCurrency booked;
  for (const JournalBatch& batch : Require(book.Batches())) {
    if (BalanceOf(batch) != 0) Die(batch.id + " does not balance");
    for (const JournalLine& line : batch.lines) {
      if (!booked[{batch.entity, batch.currency}].Add(line.minor)) Die("a sum of " + batch.entity + " does not fit");
    }
  }
  if (worths.sums.empty()) Die("nothing was charged");
  for (const auto& [of, sum] : worths.sums) {
    if (booked[of].minor != sum.minor) Die("the journal of " + of.first + " is not the sum of its charges");
  }
}

void SealOnce(Book& book, const Catalog& catalog, int threads, const char* what) {
  const Worths worths = WorthsOf(book, catalog);
  TimedBook timed(book);
  const Clock::time_point start = Clock::now();
  const SealReport sealed = Require(Seal(timed, catalog, {threads, std::nullopt}));
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  CheckJournal(book, worths);
  std::printf("%-18s %d thread%s  %9llu totals  %9llu differences  %6.3f s  %5.0f ns a total  in RocksDB %6.3f s\n",
              what, threads, threads == 1 ? " " : "s", static_cast<unsigned long long>(worths.totals),
              static_cast<unsigned long long>(sealed.differences), seconds,
              seconds * 1e9 / static_cast<double>(worths.totals), timed.store_seconds());
}

// Every price half as much again, so that nothing that is booked stays as it is.
void RaisePrices(Catalog* catalog) {
  const auto raise = [](Price* price) { price->attos += price->attos / 2; };
  for (Plan& plan : catalog->plans) {
    for (Charge& charge : plan.charges) {
      raise(&charge.pricing.unit_price);
      raise(&charge.pricing.package_price);
      for (Tier& tier : charge.pricing.tiers) raise(&tier.unit_price), raise(&tier.flat);
    }
  }
  catalog->digest += "-raised";
  catalog->BuildIndex();
}

void Run(uint64_t events, int threads) {
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("tollbook-bench-seal-" + std::to_string(getpid()))).string();
  std::filesystem::create_directories(directory);
  GenerateOptions options = OptionsFor(events);
  options.subscriptions = static_cast<uint32_t>(events / 10 + 10);  // so that nearly every event has a total of its own
  Catalog catalog = CatalogOf(options);
  WriteTelemetry(options, directory + "/usage.ndjson");
  BookOptions book_options;
  book_options.directory = directory + "/book";
  book_options.create = true;
  book_options.identity = {kFormatVersion, catalog.book.name, catalog.book.zone.name(), {11, 22}};
  const std::unique_ptr<Book> book = Require(Book::Open(book_options));
  (void)Require(Absorb(*book, catalog, Require(FindInputs({directory + "/usage.ndjson"}, {})), {}));
  SealOnce(*book, catalog, threads, "all totals new");
  RaisePrices(&catalog);
  SealOnce(*book, catalog, threads, "all prices raised");
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace tollbook::bench

int main(int argc, char** argv) {
  uint64_t events = 1'950'000;
  std::vector<int> threads = {1, 2};
  if (argc == 3 && std::string(argv[1]) == "--events") {
    events = std::stoull(argv[2]);
  } else if (argc != 1) {
    tollbook::bench::Die("bench_seal takes --events N and nothing else");
  }
  for (const int number : threads) tollbook::bench::Run(events, number);
  std::printf("checked: the journal balances and is the sum of the charges, by entity and currency\n");
  return 0;
}
