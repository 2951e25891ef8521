// BackupDesk: a backup of a book that another process has open and goes on with.
//
// Who absorbs has a desk: a socket of this machine, under a name that follows from the book's directory, with no file.
// `backup`, when the book is had, asks there: it sends the directory to copy to, and waits for one answer. Served it is
// between two commits: the book stands still while its store is checked, and goes on while it is copied. Only the same
// account, or root, is served, and is believed. A process that ends leaves nothing behind, and whoever waited for it
// opens the book himself.
#ifndef TOLLBOOK_PIPELINE_APP_BACKUP_DESK_H_
#define TOLLBOOK_PIPELINE_APP_BACKUP_DESK_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "ledger/backup.h"
#include "ledger/book.h"
#include "pipeline/side_thread.h"

namespace tollbook {

class BackupDesk {
 public:
  // `books`: the directory of the book that this process has. Where the system has no such sockets, nobody can ask, and
  // the book is in use as ever.
  explicit BackupDesk(const std::string& books);
  BackupDesk(const BackupDesk&) = delete;
  BackupDesk& operator=(const BackupDesk&) = delete;
  // What is being copied is let come to its end. Between two commits, and before the book goes.
  ~BackupDesk();

  // Between two commits: begins the backup that somebody asks for, or lets go of one that is done. One at a time; who
  // asks meanwhile waits.
  void Serve(Book& book);

 private:
  void LetGo();

  const int listening_;  // -1: nobody can ask
  std::unique_ptr<BackupUnderWay> under_way_;
  std::future<absl::Status> copied_;  // valid: of what is under way
  SideThread copier_;                 // the last: it uses the others
};

// What a desk answered: the report, or why there is none. None: nobody has a desk for the book (any more), so that it
// is free or in use by a command that serves nobody. `to` is absolute. `on_asked`: once somebody is there.
std::optional<absl::StatusOr<BackupReport>> AskForBackup(const std::string& books, const std::string& to,
                                                         const std::function<void()>& on_asked);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_BACKUP_DESK_H_
