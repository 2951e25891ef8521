// BookCut: the files of a book as it was between two commits, held still while the cut lives. For copies of it.
//
// Commits may go on beside: what a later one appends is behind the ends that the cut knows, and what it no longer needs
// is given back only when the cut is let go. So a copy costs the book no more than disk space for a while.
//
// Threads   TakeCut and the cut's end from the thread that commits, between commits. Its files are read from any
// thread.
#ifndef TOLLBOOK_LEDGER_BOOK_CUT_H_
#define TOLLBOOK_LEDGER_BOOK_CUT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

struct CutFile {
  std::string name;      // in the book's directory: "store/000012.sst"
  uint64_t bytes = 0;    // so many from its start
  std::string contents;  // when not empty: these, whatever is in the file by now
  // Nothing else is ever under this name in a book whose store has this identity.
  bool for_ever = false;
};

class BookCut {
 public:
  virtual ~BookCut() = default;  // lets go

  std::string directory;  // the book's
  BookIdentity identity;
  std::string store_identity;  // a copy that was opened has another
  uint64_t sequence = 0;       // the newest commit; 0: none yet
  Hash256 hash{};              // of it
  std::vector<CutFile> files;  // FORMAT is the last
};

std::string DirectoryOf(const Book& book);

// One at a time, and not longer than the book.
absl::StatusOr<std::unique_ptr<BookCut>> TakeCut(Book& book);

// A book that came out of a backup is marked. Commits that the book made after that backup, before it was lost, may
// have been told to somebody, and it does not know of them: what is sent next must be looked for first. The mark is a
// commit of its own; that of an earlier program was none.
struct RestoreMark {
  uint64_t sequence = 0;  // the newest commit of the backup: of a mark that is a commit, the one before it
  uint64_t backup = 0;    // the number of the backup
  int64_t restored_at_nanos = 0;
  std::string by = {};  // whose account of the operating system; empty: not known
};
std::string Encode(const RestoreMark& mark);
absl::StatusOr<RestoreMark> DecodeRestoreMark(std::string_view stored);

// Behind the newest commit, which must be the one that the mark names. Errors: those of a commit.
absl::Status MarkRestored(Book& book, const RestoreMark& mark);
absl::StatusOr<std::vector<RestoreMark>> RestoreMarks(const Book& book);  // by commit; empty: never restored

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BOOK_CUT_H_
