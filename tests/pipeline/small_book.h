// SmallBook: a real book in a directory of its own, for tests of the whole flow.
#ifndef TOLLBOOK_TESTS_PIPELINE_SMALL_BOOK_H_
#define TOLLBOOK_TESTS_PIPELINE_SMALL_BOOK_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "tests/pipeline/files.h"

namespace tollbook {

// The memory disk where there is one: what these tests look at does not hang on a disk, and they make many books.
std::filesystem::path WhereSyncsAreQuick();

class SmallBook {
 public:
  // `seed`: of the book's hashes; nothing that a person sees may depend on it.
  explicit SmallBook(std::string zone = "UTC", uint64_t seed = 1);

  Book& operator*() const { return *book_; }
  Book* operator->() const { return book_.get(); }
  void Reopen();
  // Closes the book, lets `change` at its directory, and opens it again.
  void Change(const std::function<void(const std::string& directory)>& change);

  // A backup of it; and the book as it was in the newest one, in its place.
  void BackUp();
  void Restore();

  // Commits are at the beginning of that day of the zone from now on; at first in 1970.
  void SetNow(const std::string& zone, Day day);

  // A file beside the book; the path of it.
  std::string Write(const std::string& name, std::string_view content) const { return files_.Write(name, content); }

 private:
  TemporaryDirectory files_{WhereSyncsAreQuick()};
  std::string zone_;
  uint64_t seed_;
  int64_t now_nanos_ = 0;
  std::unique_ptr<Book> book_;
};

// The files in this order, found as the program finds them.
InputList Inputs(const std::vector<std::string>& paths, const std::vector<SourceMapping>& mappings = {});

// What is wrong: laws that do not hold, and journal lines whose explanation does not add up. Empty: all is well.
std::vector<std::string> WhatIsWrong(const Book& book);
std::vector<std::string> BrokenLaws(const Book& book);
std::vector<std::string> WrongExplanations(const Book& book);

// All batches as stored, one after the other.
std::string JournalBytes(const Book& book);

struct Kept {
  std::string path;
  ExceptionRecord record;
  std::string payload;  // `record.payload` would end with the visit
};
std::vector<Kept> KeptExceptions(const Book& book);  // by (source, line, part)

// One line of CloudEvents JSON.
struct EventText {
  std::string id, source = "gateway", type, subject, time;
  std::string value;                                             // of `data.value`, as a JSON number; empty: none
  std::vector<std::pair<std::string, std::string>> labels = {};  // more of `data`, as JSON strings
};
std::string ToJson(const EventText& event);

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_SMALL_BOOK_H_
