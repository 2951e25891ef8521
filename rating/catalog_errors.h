// CatalogErrors: the list that every reader of catalog files adds to, so that all that is wrong is told in one go.
#ifndef TOLLBOOK_RATING_CATALOG_ERRORS_H_
#define TOLLBOOK_RATING_CATALOG_ERRORS_H_

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rating/catalog_text.h"

namespace tollbook {

// The errors of one file. After kListed of them the rest is not listed: a million bad rows have one cause.
class FileErrors {
 public:
  static constexpr int kListed = 100;

  // `errors` is borrowed and may be shared by the FileErrors of several files.
  FileErrors(std::string file, std::vector<CatalogError>* errors) : file_(std::move(file)), errors_(errors) {}

  void Add(int line, std::string what, std::string what_to_do);
  bool any() const { return count_ > 0; }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::vector<CatalogError>* errors_;
  int count_ = 0;
};

// `"text"`, cut and with control characters shown, so that a message stays one short line.
std::string Quoted(std::string_view text);

// Pieces to one string.
std::string Join(std::initializer_list<std::string_view> pieces);

// `did you mean "tiers"?` for the nearest of the known words when one is near; else all of them: `use one of a, b`.
std::string DidYouMean(std::string_view word, std::span<const std::string_view> known);

// The position of the first byte that is not part of valid UTF-8, or that is a NUL; text.size() when there is none.
size_t FirstBadByte(std::string_view text);

// The 1-based line that holds the byte at `position`.
int LineAt(std::string_view text, size_t position);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_CATALOG_ERRORS_H_
