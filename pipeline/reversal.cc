#include "pipeline/reversal.h"

#include <algorithm>

#include "ledger/decision.h"
#include "ledger/difference_run.h"

namespace tollbook {
namespace {

absl::Status Refused(std::string_view what, std::string_view which, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, which, what_to_do);
}

// None: no seal made a batch of that id.
std::optional<SealedBatch> FindBatch(const std::vector<SealRecord>& seals, std::string_view id) {
  for (const SealRecord& seal : seals) {
    const auto made = std::ranges::find(seal.batches, id);
    if (made == seal.batches.end()) continue;
    return SealedBatch{seal.sequence, static_cast<uint32_t>(made - seal.batches.begin())};
  }
  return std::nullopt;
}

absl::Status CheckSigned(const ReversalOrder& order) {
  const auto missing = [](std::string_view what, std::string_view which, std::string_view what_to_do) {
    return MakeError(absl::StatusCode::kInvalidArgument, what, which, what_to_do);
  };
  if (order.by.empty()) return missing("nobody is named", "--by", "say who decides it: --by NAME");
  if (order.why.empty()) return missing("no reason is given", "--why", "say why: --why TEXT");
  return absl::OkStatus();
}

// What is held was never delivered: its reversal alone would reach the ERP.
absl::Status CheckApproved(const Book& book, const std::string& batch) {
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  const auto approval = approvals->find(batch);
  if (approval == approvals->end() || approval->second.state == kApproved) return absl::OkStatus();
  return Refused("a batch that nobody has approved cannot be reversed", batch + " is " + approval->second.state,
                 "mend the catalog and seal: the next batch is the difference; or approve it first");
}

}  // namespace

absl::StatusOr<Reversal> Reversal::Make(const Book& book, const PostingPeriods& periods, const ReversalOrder& order) {
  TOLLBOOK_RETURN_IF_ERROR(CheckSigned(order));
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  Reversal reversal(periods, order);
  TOLLBOOK_RETURN_IF_ERROR(reversal.CheckBatch(*seals, *batches, book));
  return reversal;
}

absl::Status Reversal::CheckBatch(const std::vector<SealRecord>& seals, const std::vector<JournalBatch>& batches,
                                  const Book& book) {
  const std::string& id = order_.batch;
  const auto batch = std::ranges::find(batches, id, &JournalBatch::id);
  if (batch == batches.end()) {
    return MakeError(absl::StatusCode::kNotFound, "there is no such batch", id,
                     "`tollbook journals` lists the batches");
  }
  if (!batch->reverses.empty()) {
    return Refused("a reversal cannot be reversed", id, "seal: the next batch books what the usage is worth");
  }
  const auto reversed = std::ranges::find(seals, id, &SealRecord::reverses);
  if (reversed != seals.end()) {
    return Refused("the batch is reversed already", id + ", by seal " + std::to_string(reversed->number),
                   "a batch is reversed once; what is booked instead has a batch of its own");
  }
  const std::optional<SealedBatch> sealed = FindBatch(seals, id);
  if (!sealed) return DamagedError("journal batch " + id);
  sealed_ = *sealed;
  TOLLBOOK_RETURN_IF_ERROR(CheckApproved(book, id));
  return FindPlaces(*batch);
}

absl::Status Reversal::FindPlaces(const JournalBatch& batch) {
  for (const JournalLine& line : batch.lines) {
    const Day used_on = UsedOn(line.key);
    PostingPlace place = periods_->PlaceOf(batch.entity, line.key.posting_date);
    if (place.waits) {
      return Refused(
          "no accounting period takes the reversal",
          batch.id + ": " + batch.entity + " " + place.period.name + " is " + std::string(ToString(place.state)),
          "open it with `tollbook periods reopen`, or adjust a soft-closed one with --adjust");
    }
    place.usage_date.reset();
    if (used_on != place.posting_date) place.usage_date = used_on;
    places_[used_on] = std::move(place);
  }
  return absl::OkStatus();
}

PostingPlace Reversal::PlaceOf(Day usage_date) const {
  return places_.at(usage_date);
}

absl::Status Reversal::Take(std::string_view subject, const Difference& difference, OfSubject* into) {
  Int128 minor = 0;
  const bool is_sound =
      places_.contains(difference.key.usage_date) && !__builtin_sub_overflow(Int128{0}, difference.minor, &minor);
  if (!is_sound) return DamagedError("booked amounts of " + order_.batch);
  into->subject = subject;
  BookedAmount& amount = into->amounts.emplace_back(difference.key, minor);
  amount.key.place = &*booked_places_.insert(*difference.key.place).first;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Reversal::OfSubject>> Reversal::AmountsIn(const Book& book, int shard) {
  absl::StatusOr<std::vector<StoredRun>> runs = book.Differences(shard, sealed_.sequence);
  if (!runs.ok()) return runs.status();
  std::vector<OfSubject> subjects;
  for (StoredRun& run : *runs) {
    if (run.sequence != sealed_.sequence) continue;
    runs_.push_back(std::move(run));
    DifferenceRunReader reader(runs_.back().bytes);
    std::string_view subject;
    uint32_t count = 0;
    while (reader.NextSubject(&subject, &count)) {
      OfSubject of_subject;
      Difference difference;
      for (uint32_t i = 0; i < count && reader.Next(&difference); ++i) {
        if (!IsOf(sealed_, difference.line)) continue;
        TOLLBOOK_RETURN_IF_ERROR(Take(subject, difference, &of_subject));
      }
      if (!of_subject.amounts.empty()) subjects.push_back(std::move(of_subject));
    }
    if (!reader.ok()) return DamagedError("booked amounts of commit " + std::to_string(sealed_.sequence));
  }
  return subjects;
}

absl::StatusOr<std::optional<SealedBatch>> ReversedBatch(const Book& book, const SealRecord& seal) {
  if (seal.reverses.empty()) return std::nullopt;
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  const std::optional<SealedBatch> batch = FindBatch(*seals, seal.reverses);
  if (!batch) return DamagedError("journal batch " + seal.reverses);
  return batch;
}

}  // namespace tollbook
