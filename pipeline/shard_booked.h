// ShardBooked: what all seals booked for the subjects of one shard, summed up by subject and key.
#ifndef TOLLBOOK_PIPELINE_SHARD_BOOKED_H_
#define TOLLBOOK_PIPELINE_SHARD_BOOKED_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/book.h"
#include "pipeline/booked_places.h"
#include "pipeline/subject_worth.h"

namespace tollbook {

// Not thread-safe. Borrows the places and the runs' bytes.
class ShardBooked {
 public:
  // `without`: what is booked, less that batch.
  ShardBooked(BookedPlaces& places, std::optional<std::string_view> only_subject,
              std::optional<SealedBatch> without = std::nullopt)
      : places_(places), only_subject_(only_subject), without_(without) {}

  absl::Status Add(const StoredRun& run);
  // Sums up; then `Of` can be used.
  void Sum();
  // By key, each once, none zero.
  std::span<const BookedAmount> Of(std::string_view subject);
  // The subjects that have amounts and were not asked for yet; in no order.
  std::vector<std::string_view> Rest() const;

 private:
  struct Range {
    uint32_t first = 0;
    uint32_t count = 0;
    bool was_asked_for = false;
  };
  std::span<BookedAmount> SortedOf(const Range& range);

  BookedPlaces& places_;
  const std::optional<std::string_view> only_subject_;
  const std::optional<SealedBatch> without_;
  std::unordered_map<std::string_view, uint32_t> subject_ids_;
  std::vector<Range> ranges_;         // by subject id, into amounts_ once they are summed up
  std::vector<uint32_t> subject_of_;  // of each of amounts_, until they are summed up
  std::vector<BookedAmount> amounts_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SHARD_BOOKED_H_
