// BookLock: one process at a time has a book open; a second is refused at once and told who the first is.
#ifndef TOLLBOOK_LEDGER_BOOK_LOCK_H_
#define TOLLBOOK_LEDGER_BOOK_LOCK_H_

#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

// Held until destroyed, or until the process ends however it ends (flock).
class BookLock {
 public:
  // `holder` is for people: "pid 1234 (tollbook run)".
  static absl::StatusOr<BookLock> Take(const std::string& directory, std::string_view holder);
  BookLock(BookLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  BookLock& operator=(BookLock&&) = delete;
  ~BookLock();

 private:
  explicit BookLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BOOK_LOCK_H_
