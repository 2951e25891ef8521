// BookLock: one process at a time has a book open; a second is refused at once and told who the first is. WatchLock:
// one process at a time goes on opening a book, again and again, and lets go of it in between.
#ifndef TOLLBOOK_LEDGER_BOOK_LOCK_H_
#define TOLLBOOK_LEDGER_BOOK_LOCK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

// Held until destroyed, or until the process ends however it ends (flock).
class BookLock {
 public:
  // What lies in the directory: the messages say so.
  enum class Of { kBook, kBackups };
  // `holder` is for people: "pid 1234 (tollbook run)". Aborted: another process has it.
  static absl::StatusOr<BookLock> Take(const std::string& directory, std::string_view holder, Of of = Of::kBook);
  BookLock(BookLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  BookLock& operator=(BookLock&&) = delete;
  ~BookLock();

 private:
  explicit BookLock(int fd) : fd_(fd) {}
  int fd_;
};

// Who has the book, in its own words, or had it last; empty: nobody ever has, or somebody is just about to.
[[nodiscard]] std::string HolderOf(const std::string& directory);
// In the words of one that lets go of the book every few seconds: "process 7 (tollbook post, by turns)".
inline constexpr std::string_view kByTurns = ", by turns";

// Another number whenever a process has taken the lock meanwhile; 0: nobody ever has.
[[nodiscard]] int64_t LastTaken(const std::string& directory);

// Of the directory itself, so that nothing is written. As BookLock.
class WatchLock {
 public:
  static absl::StatusOr<WatchLock> Take(const std::string& directory);
  static bool IsTaken(const std::string& directory);
  WatchLock(WatchLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  WatchLock& operator=(WatchLock&&) = delete;
  ~WatchLock();

 private:
  explicit WatchLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BOOK_LOCK_H_
