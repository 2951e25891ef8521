// Backup: copies of a book in a directory of their own, each named by its content, and the way back.
//
//   DIR/objects/HASH   a file of a book, or 4 MiB of one that is appended to, under the SHA-256 of its bytes
//   DIR/N.backup       the N-th backup: of which book and commit, and which objects make up which file. Written last
//
// So a backup copies what none before it has, a backup that was interrupted leaves objects that the next one takes, and
// nothing that an earlier backup needs is ever touched. FORMAT.md has the bytes.
//
// Sound     a book is backed up after CheckStore has read all of it, and restored under another name, every object
//           checked against its hash, opened and checked again; only then does it get its own.
// Durable   when either returns ok: every file, every name.
#ifndef TOLLBOOK_LEDGER_BACKUP_H_
#define TOLLBOOK_LEDGER_BACKUP_H_

#include <cstdint>
#include <memory>
#include <string>

#include "ledger/book.h"
#include "rating/error.h"

namespace tollbook {

struct BackupReport {
  uint64_t number = 0;
  uint64_t sequence = 0;  // the newest commit in it
  uint64_t files = 0;
  uint64_t bytes = 0;         // of them
  uint64_t copied_bytes = 0;  // that no backup had
};

// `directory` is made when it is missing. DataLoss: the book is damaged, and nothing was written. FailedPrecondition:
// the backups there are of another book, or they would lie in this one.
absl::StatusOr<BackupReport> BackUp(Book& book, const std::string& directory, int64_t now_nanos);

// The same for a process that goes on with the book meanwhile: commits may be made while Copy runs.
class BackupUnderWay {
 public:
  // As BackUp, up to the copying. Between two commits, from the thread that makes them; so is the end of what it gives,
  // which lets go of the book.
  static absl::StatusOr<std::unique_ptr<BackupUnderWay>> Begin(Book& book, const std::string& directory,
                                                               int64_t now_nanos);
  virtual ~BackupUnderWay() = default;
  // Once, by any one thread. The report is of the book as it was at Begin.
  virtual absl::StatusOr<BackupReport> Copy() = 0;
};

struct RestoreOptions {
  std::string backups;
  uint64_t number = 0;    // 0: the newest
  std::string directory;  // of the book to be; empty or not there
  std::string holder;     // as in BookOptions
  int64_t now_nanos = 0;
  std::string by = {};  // who restores it, for the book's mark
};
// DataLoss: the backup is damaged; the message names the file. What an interrupted Restore left beside `directory` is
// removed first, and nothing else: FailedPrecondition when something else is there, or the book would lie among its
// backups. Aborted: another Restore makes the same book. The book's newest commit is that of the backup, and behind it
// the one that says so (RestoreMark).
absl::StatusOr<BackupReport> Restore(const RestoreOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BACKUP_H_
