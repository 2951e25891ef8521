#include "rating/catalog_errors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <utility>

namespace tollbook {
namespace {

constexpr size_t kQuotedBytesMax = 80;
constexpr size_t kWordsListedMax = 12;

// Levenshtein distance; words are short, so the whole row is kept on the stack's vector.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

// Bytes of the UTF-8 sequence at the front of `text`; 0 when it is not one (overlong forms and surrogates included).
size_t SequenceBytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) {
    return lead == 0 ? 0 : 1;
  }
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) {
    return 0;
  }
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) {
      return 0;
    }
  }
  const unsigned second = byte(1);
  const bool wrong = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
                     (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
  return wrong ? 0 : bytes;
}

// How many bytes at the front are surely good, eight at a time: exports are nearly all ASCII. A NUL is not good; less
// one, it has its high bit set as a byte beyond ASCII has.
size_t LeadingAscii(std::string_view text) {
  constexpr uint64_t kOnes = 0x0101010101010101;
  constexpr uint64_t kHighBits = 0x8080808080808080;
  size_t position = 0;
  for (uint64_t bytes = 0; position + sizeof bytes <= text.size(); position += sizeof bytes) {
    std::memcpy(&bytes, text.data() + position, sizeof bytes);
    if (((bytes | (bytes - kOnes)) & kHighBits) != 0) {
      break;
    }
  }
  return position;
}

}  // namespace

void FileErrors::Add(int line, std::string what, std::string what_to_do) {
  ++count_;
  if (count_ <= kListed) {
    errors_->push_back({file_, line, std::move(what), std::move(what_to_do)});
  } else if (count_ == kListed + 1) {
    errors_->push_back({file_, line, "more errors than " + std::to_string(kListed) + " in this file",
                        "mend those listed and check again"});
  }
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kQuotedBytesMax)) {
    const auto byte = static_cast<unsigned char>(c);
    quoted += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  // A cut must not leave half a character behind.
  if (text.size() > kQuotedBytesMax) {
    while (!quoted.empty() && (static_cast<unsigned char>(quoted.back()) & 0x80) != 0) {
      quoted.pop_back();
    }
    quoted += "...";
  }
  return quoted + "\"";
}

std::string Join(std::initializer_list<std::string_view> pieces) {
  std::string joined;
  for (const std::string_view piece : pieces) {
    joined.append(piece);
  }
  return joined;
}

std::string_view NearestWord(std::string_view word, std::span<const std::string_view> known) {
  constexpr size_t kWordBytesMax = 64;
  std::string_view nearest;
  size_t limit = word.size() / 3 + 1;  // a word of which more than a third differs is another word
  for (const std::string_view candidate : known) {
    if (word.size() > kWordBytesMax || candidate.size() > kWordBytesMax) {
      continue;
    }
    const size_t distance = EditDistance(word, candidate);
    if (distance < limit || (distance == limit && nearest.empty())) {
      nearest = candidate;
      limit = distance;
    }
  }
  return nearest;
}

std::string DidYouMean(std::string_view word, std::span<const std::string_view> known) {
  const std::string_view nearest = NearestWord(word, known);
  if (!nearest.empty()) {
    return Join({"did you mean ", Quoted(nearest), "?"});
  }
  std::string list = "use one of ";
  for (size_t i = 0; i < std::min(known.size(), kWordsListedMax); ++i) {
    list.append(i == 0 ? "" : ", ").append(known[i]);
  }
  return known.size() > kWordsListedMax ? list + ", ..." : list;
}

size_t FirstBadByte(std::string_view text) {
  size_t position = 0;
  while (position < text.size()) {
    position += LeadingAscii(text.substr(position));
    if (position == text.size()) {
      break;
    }
    const size_t bytes = SequenceBytes(text.substr(position));
    if (bytes == 0) {
      return position;
    }
    position += bytes;
  }
  return position;
}

int LineAt(std::string_view text, size_t position) {
  return 1 + static_cast<int>(std::count(text.begin(), text.begin() + std::min(position, text.size()), '\n'));
}

}  // namespace tollbook
