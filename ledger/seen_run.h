// SeenRun: seen entries of one shard that left memory: sorted by identity, in pages on disk, and never changed. In
// memory are a filter (2 bytes an entry) and the first identity of each page (0.07 bytes an entry).
//
//   stored      pages, index, filter; index: of each page fixed 96-bit first identity and 32-bit offset of its page,
//               little-endian
//   look-up     filter -> binary search of the index -> one page of about 4 KB
//   checks      a page has its own checksum; index and filter have one in the run's record
#ifndef TOLLBOOK_LEDGER_SEEN_RUN_H_
#define TOLLBOOK_LEDGER_SEEN_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/seen_entry.h"
#include "ledger/seen_files.h"
#include "ledger/seen_filter.h"
#include "ledger/seen_page.h"
#include "rating/error.h"

namespace tollbook {

// What the book keeps of a run, beside its bytes.
struct SeenRunRecord {
  uint64_t number = 0;  // of its shard's runs: 1, 2, 3 … in the order of their making. In the key, not in the value
  SeenPlace place;
  uint64_t page_bytes = 0;  // of all pages together
  uint64_t checksum = 0;    // XXH3-64 of index and filter
  SeenSum sum;
  Day latest = kLatestUnknown;  // usage date of its entries
};
std::string Encode(const SeenRunRecord& record);
absl::StatusOr<SeenRunRecord> DecodeSeenRunRecord(std::string_view stored);

class SeenRun {
 public:
  // Reads the index and the filter, not the pages.
  static absl::StatusOr<std::shared_ptr<const SeenRun>> Open(const SeenRunRecord& record, const SeenFiles& files);

  const SeenRunRecord& record() const { return record_; }
  uint64_t size() const { return record_.sum.entries; }
  size_t bytes_in_memory() const { return filter_.size() + index_.size() * sizeof(PageStart); }

  void Prefetch(const SeenEntry& entry) const { filter_.Prefetch(entry); }
  bool MayHave(const SeenEntry& entry) const { return filter_.MayHave(entry); }

  // The content kept for the entry's identity. Now, when its page is in memory; else the disk is asked for the page,
  // and Find waits for it.
  struct Answer {
    bool known = false;
    std::optional<uint64_t> content;
  };
  absl::StatusOr<Answer> FindNow(const SeenEntry& entry) const;
  absl::StatusOr<std::optional<uint64_t>> Find(const SeenEntry& entry) const;

 private:
  friend class SeenRunWriter;
  friend class SeenRunReader;
  struct PageStart {
    uint32_t key_low = 0;
    uint32_t key_middle = 0;
    uint32_t key_high = 0;
    uint32_t offset = 0;  // from the run's beginning
    Uint128 key() const {
      return static_cast<Uint128>(key_high) << 64 | static_cast<uint64_t>(key_middle) << 32 | key_low;
    }
  };
  struct PagePlace {
    uint64_t offset = 0;  // in the file
    size_t bytes = 0;     // 0: the identity comes before all pages
  };
  PagePlace PageOf(size_t page) const;
  PagePlace PageFor(const SeenEntry& entry) const;
  absl::StatusOr<std::optional<uint64_t>> FindIn(std::string_view page, const SeenEntry& entry) const;

  SeenRunRecord record_;
  std::shared_ptr<const SeenFile> file_;
  std::vector<PageStart> index_;
  SeenFilter filter_;
};

// Appends a run to the files. Entries come in the order of their identities, each once.
class SeenRunWriter {
 public:
  SeenRunWriter(SeenFiles* files, uint64_t entries) : files_(*files), run_(std::make_shared<SeenRun>()) {
    run_->filter_ = SeenFilter(entries);
  }
  absl::Status Begin() { return files_.Begin(); }
  absl::Status Add(const SeenEntry& entry);
  // Durable once the files are synced. `latest`: the record's.
  absl::StatusOr<std::shared_ptr<const SeenRun>> Finish(uint64_t number, Day latest);

 private:
  absl::Status EndPage();

  SeenFiles& files_;
  std::shared_ptr<SeenRun> run_;
  std::vector<SeenEntry> page_;
  std::string bytes_;
  uint64_t page_bytes_ = 0;
};

// All of a run's entries, in order.
class SeenRunReader {
 public:
  explicit SeenRunReader(std::shared_ptr<const SeenRun> run) : run_(std::move(run)) {}
  // False when there are no more.
  absl::StatusOr<bool> Next(SeenEntry* entry) {
    if (at_ == entries_.size()) {
      const absl::StatusOr<bool> more = Refill();
      if (!more.ok() || !*more) return more;
    }
    *entry = entries_[at_++];
    return true;
  }

 private:
  absl::StatusOr<bool> Refill();

  std::shared_ptr<const SeenRun> run_;
  size_t next_page_ = 0;
  std::string bytes_;
  std::vector<SeenEntry> entries_;
  size_t at_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_SEEN_RUN_H_
