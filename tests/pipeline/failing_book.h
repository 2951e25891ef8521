// FailingBook: a book of which one commit of an absorb fails; and it counts how often chunks of held lines are read.
#ifndef TOLLBOOK_TESTS_PIPELINE_FAILING_BOOK_H_
#define TOLLBOOK_TESTS_PIPELINE_FAILING_BOOK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/held.h"

namespace tollbook {

// A book whose n-th epoch fails: before it is stored, or (as when the answer is lost) behind it.
class FailingBook : public Book, public HeldStore {
 public:
  FailingBook(Book& book, uint64_t fails_at, bool stores) : book_(book), fails_at_(fails_at), stores_(stores) {}

  absl::Status CommitEpoch(const EpochCommit& epoch) override {
    return CommitOrFail([&] { return book_.CommitEpoch(epoch); });
  }
  absl::Status CommitRetry(const EpochCommit& epoch, std::span<const HeldChange> retires) override {
    return CommitOrFail([&] { return HeldOf(book_).CommitRetry(epoch, retires); });
  }
  absl::StatusOr<HeldQueue> Held(HeldKind kind) const override { return HeldOf(book_).Held(kind); }
  absl::StatusOr<HeldLines> ReadHeld(HeldKind kind, const HeldPlace& place, const HeldChanges& changes) const override {
    ++chunks_read_;
    return HeldOf(book_).ReadHeld(kind, place, changes);
  }
  bool failed() const { return failed_; }
  uint64_t chunks_read() const { return chunks_read_; }

  const BookIdentity& identity() const override { return book_.identity(); }
  const LineCounts& counts() const override { return book_.counts(); }
  uint64_t last_sequence() const override { return book_.last_sequence(); }
  uint64_t next_seal() const override { return book_.next_seal(); }
  absl::Status CommitSeal(const SealCommit& seal) override { return book_.CommitSeal(seal); }
  absl::Status CommitPeriodChange(const PeriodChange& change) override { return book_.CommitPeriodChange(change); }
  absl::StatusOr<std::vector<PeriodChange>> PeriodChanges(uint64_t through_sequence) const override {
    return book_.PeriodChanges(through_sequence);
  }
  std::vector<SeenSize> SeenSizes() const override { return book_.SeenSizes(); }
  absl::Status LoadSeen(int shard, SeenShard* into) const override { return book_.LoadSeen(shard, into); }
  absl::Status LoadSeen(int shard, SeenSet* into) const override { return book_.LoadSeen(shard, into); }
  absl::StatusOr<std::vector<SourceRecord>> Sources() const override { return book_.Sources(); }
  absl::StatusOr<std::vector<Meter>> Meters() const override { return book_.Meters(); }
  absl::StatusOr<std::vector<StoredRun>> Totals(int shard, uint64_t through) const override {
    return book_.Totals(shard, through);
  }
  absl::StatusOr<std::vector<StoredRun>> Differences(int shard, uint64_t through) const override {
    return book_.Differences(shard, through);
  }
  absl::StatusOr<std::vector<SealRecord>> Seals() const override { return book_.Seals(); }
  absl::StatusOr<std::map<std::string, std::string>> CatalogFiles(std::string_view digest) const override {
    return book_.CatalogFiles(digest);
  }
  absl::StatusOr<std::vector<JournalBatch>> Batches() const override { return book_.Batches(); }
  absl::StatusOr<std::vector<CommitRecord>> Commits() const override { return book_.Commits(); }
  absl::Status ForEachExceptions(const std::function<absl::Status(const StoredExceptions&)>& visit) const override {
    return book_.ForEachExceptions(visit);
  }
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
  absl::Status CommitOrFail(const std::function<absl::Status()>& commit) {
    if (++epochs_ != fails_at_) return commit();
    failed_ = true;
    if (stores_) TOLLBOOK_RETURN_IF_ERROR(commit());
    return absl::UnavailableError("the disk is gone");
  }

  Book& book_;
  const uint64_t fails_at_;
  const bool stores_;
  uint64_t epochs_ = 0;
  bool failed_ = false;
  mutable std::atomic<uint64_t> chunks_read_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_FAILING_BOOK_H_
