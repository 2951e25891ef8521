// Store: the book's keys and values in RocksDB, by family. It knows how RocksDB is opened, read, written and what its
// errors mean; what the keys and values are is the Book's.
#ifndef TOLLBOOK_LEDGER_STORE_H_
#define TOLLBOOK_LEDGER_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

// The numbers are part of the digest of a commit: append only.
enum class Family : uint8_t { kDefault, kSeen, kTotals, kExceptions, kJournal };
inline constexpr size_t kFamilies = 5;

enum class StoreAccess : uint8_t {
  kCreate,  // makes it when it is missing
  // Refuses a log with damage in it; a last record that is merely incomplete was never acknowledged and is dropped.
  kWhole,
  // Takes all commits before the first damage of the log, whether or not they are all there should be: the caller must
  // know.
  kUpToDamage,
  // The same, and changes nothing on the disk. To look before kUpToDamage drops anything.
  kUpToDamageReadOnly,
};

// Several puts and deletes that happen together or not at all.
class StoreWrite {
 public:
  virtual ~StoreWrite() = default;
  virtual void Put(Family family, std::string_view key, std::string_view value) = 0;
  virtual void Delete(Family family, std::string_view key) = 0;
};

// A file of the store that a copy of it needs.
struct StoreFile {
  std::string name;       // in the store's directory
  uint64_t bytes = 0;     // so many from its start; it may have grown since
  std::string contents;   // when not empty: these, whatever is in the file by now
  bool for_ever = false;  // nothing else is ever under this name in a store of this identity
};

// Reads and writes from any thread; of writes that come at the same time the disk makes one sync.
class Store {
 public:
  using Visit = std::function<absl::Status(std::string_view key, std::string_view value)>;

  static bool Exists(const std::string& directory);
  static absl::StatusOr<std::unique_ptr<Store>> Open(const std::string& directory, StoreAccess access);
  // Where the newest writes are, until an Open turns them into tables: "000012.log", or several; empty: there is none.
  static std::string LogsOf(const std::string& directory);
  virtual ~Store() = default;

  virtual absl::StatusOr<std::optional<std::string>> Get(Family family, std::string_view key) const = 0;
  // Visits the keys that start with `prefix`, in order, as they were when it began.
  absl::Status Scan(Family family, std::string_view prefix, const Visit& visit) const {
    return ScanFrom(family, prefix, prefix, visit);
  }
  // The same from the key `first` on, which starts with `prefix`; does not look at those before it.
  virtual absl::Status ScanFrom(Family family, std::string_view prefix, std::string_view first,
                                const Visit& visit) const = 0;

  virtual std::unique_ptr<StoreWrite> NewWrite(size_t bytes_expected) const = 0;
  // Synced. When it fails, all of it or nothing of it will be there after the next Open.
  virtual absl::Status Write(std::unique_ptr<StoreWrite> write) = 0;

  // Of each table and blob file as a whole, and of every block of the tables. Files of a program that kept no checksums
  // of whole files are only read by block, and values in their blob files when they are read (Get, Scan).
  virtual absl::Status VerifyChecksums() const = 0;

  // Writes the family's tables and blob files anew, without what was replaced or deleted, and removes the old ones and
  // the logs. Not beside a Write.
  virtual absl::Status Rewrite(Family family) = 0;

  // What a copy of the store as it is now consists of. From then on no file is removed, until ReleaseFiles. Not beside
  // a Write; the copying may be.
  virtual absl::StatusOr<std::vector<StoreFile>> HoldFiles() = 0;
  virtual void ReleaseFiles() = 0;
  // Of this store alone: a copy has another from its first Open on.
  virtual absl::StatusOr<std::string> Identity() const = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_STORE_H_
