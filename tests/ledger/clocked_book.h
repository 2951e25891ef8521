// A test with a book in a directory of its own, whose commits are at a time that the test sets.
#ifndef TOLLBOOK_TESTS_LEDGER_CLOCKED_BOOK_H_
#define TOLLBOOK_TESTS_LEDGER_CLOCKED_BOOK_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>

#include "ledger/book.h"
#include "tests/ledger/scratch_directory.h"

namespace tollbook {

class ClockedBookTest : public testing::Test {
 protected:
  void SetUp() override { Open(); }

  // Also again, as another process would.
  void Open() {
    book_.reset();
    BookOptions options;
    options.directory = path();
    options.create = true;
    options.identity = {kFormatVersion, "demo", "UTC", {1, 2}};
    options.now_nanos = [this] { return now_; };
    absl::StatusOr<std::unique_ptr<Book>> book = Book::Open(options);
    ASSERT_TRUE(book.ok()) << book.status();
    book_ = *std::move(book);
  }
  std::string path() const { return directory_.path() + "/" + name_; }

  static constexpr int64_t kHour = 3'600'000'000'000;

  ScratchDirectory directory_;
  std::string name_ = "book";
  int64_t now_ = 0;
  std::unique_ptr<Book> book_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_LEDGER_CLOCKED_BOOK_H_
