#include "pipeline/emit/missing_codes.h"

#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "ledger/outbox.h"
#include "pipeline/emit/erp_journal.h"

namespace tollbook {
namespace {

bool IsErp(TargetKind kind) {
  switch (kind) {
    case TargetKind::kTryton:
    case TargetKind::kNetsuite:
    case TargetKind::kDynamics:
    case TargetKind::kSap:
    case TargetKind::kOracle:
      return true;
    default:
      return false;
  }
}

// What to do about a batch that is parked for it is said once for all of them.
std::string WithoutRetry(std::string message) {
  return message.substr(0, message.find(" and `tollbook deliveries retry`"));
}

// Lines that differ in nothing that has a code have the same codes missing.
class Finder {
 public:
  Finder(const Target& target, const Emitter& emitter) : target_(target), emitter_(emitter) {}

  void Add(const JournalBatch& batch) {
    std::set<std::string> missing;
    for (const JournalLine& line : batch.lines) {
      const std::string what = MissingOf(batch, line);
      if (!what.empty()) missing.insert(what);
    }
    for (const std::string& what : missing) {
      MissingCode& found = found_[what];
      if (++found.batches == 1) {
        found.target = target_.name;
        found.what = what;
        found.first_batch = batch.id;
      }
    }
  }
  void MoveTo(std::vector<MissingCode>* all) {
    for (auto& [what, code] : found_) all->push_back(std::move(code));
  }

 private:
  // Empty: none.
  std::string MissingOf(const JournalBatch& batch, const JournalLine& line) {
    const LineKey& key = line.key;
    const auto [known, is_new] = seen_.try_emplace(std::tuple(batch.entity, std::string(batch.currency.code()),
                                                              key.debit, key.credit, key.product, key.dimensions));
    if (!is_new) return known->second;
    JournalBatch alone = batch;
    alone.lines = {line};
    Parcel parcel;
    parcel.batch = batch.id;
    parcel.key = batch.posting_key;
    parcel.body = Encode(ErpJournalOf(alone));
    const absl::StatusOr<std::string> wire = emitter_.Wire(parcel);
    if (!wire.ok()) known->second = WithoutRetry(std::string(Std(wire.status().message())));
    return known->second;
  }

  const Target& target_;
  const Emitter& emitter_;
  std::map<std::tuple<std::string, std::string, std::string, std::string, std::string, std::string>, std::string> seen_;
  std::map<std::string, MissingCode> found_;
};

}  // namespace

absl::StatusOr<std::vector<MissingCode>> MissingCodes(const Book& book, const Catalog& catalog) {
  std::vector<MissingCode> all;
  std::vector<Target> erps;
  for (Target& target : TargetsOf(catalog)) {
    if (IsErp(target.kind)) erps.push_back(std::move(target));
  }
  if (erps.empty()) return all;
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  std::set<std::pair<std::string_view, std::string_view>> over;  // target, batch
  for (const Delivery& delivery : *deliveries) {
    if (IsFinal(delivery.state)) over.emplace(delivery.target, delivery.batch);
  }
  EmitterContext context;
  context.book_name = catalog.book.name;
  context.catalog = &catalog;
  context.with_secrets = false;
  for (const Target& target : erps) {
    const absl::StatusOr<std::unique_ptr<Emitter>> emitter = MakeEmitter(target, context);
    if (!emitter.ok()) return emitter.status();
    Finder finder(target, **emitter);
    for (const JournalBatch& batch : *batches) {
      if (Concerns(target, batch) && !over.contains({target.name, batch.id})) finder.Add(batch);
    }
    finder.MoveTo(&all);
  }
  return all;
}

}  // namespace tollbook
