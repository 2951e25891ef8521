#include "pipeline/series_order.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <string_view>
#include <tuple>

namespace tollbook {
namespace {

constexpr size_t kPieceBytes = 8;

// Where a comparison stands: a value of the tuple, and a byte of it.
struct Place {
  size_t value = 0;
  size_t byte = 0;
};

// Eight bytes of a value as one number. Request ids and the like have long beginnings in common, so whole values are
// not compared with each other: they are sorted by one piece at a time, and only those equal so far go on to the next.
// 1 M values "request-00001234…" take 0.3 s so, and 1.1 s with a comparison of tuples, which is the twin in the test.
struct Piece {
  uint64_t bytes = 0;   // the first byte highest, zeros behind the end
  uint32_t length = 0;  // up to kPieceBytes; one more: the value goes on
  uint32_t series = 0;
  auto key() const { return std::tie(bytes, length); }
};

Piece PieceAt(const OrderedSeries& series, Place place, uint32_t index) {
  const std::string_view rest = series.values[place.value].substr(place.byte);
  Piece piece;
  if (!rest.empty()) std::memcpy(&piece.bytes, rest.data(), std::min(rest.size(), kPieceBytes));
  piece.bytes = __builtin_bswap64(piece.bytes);
  piece.length = static_cast<uint32_t>(std::min(rest.size(), kPieceBytes + 1));
  piece.series = index;
  return piece;
}

// Sorts what is equal before `place`. A group that stays together goes on in the loop, so the depth of the recursion is
// not that of the values' length.
void SortFrom(const std::vector<OrderedSeries>& series, Place place, std::span<Piece> group) {
  while (group.size() > 1 && place.value < series[group[0].series].values.size()) {
    for (Piece& piece : group) piece = PieceAt(series[piece.series], place, piece.series);
    const auto less = [](const Piece& a, const Piece& b) { return a.key() < b.key(); };
    const bool all_equal =
        std::ranges::all_of(group, [&](const Piece& piece) { return piece.key() == group[0].key(); });
    if (!all_equal) std::sort(group.begin(), group.end(), less);
    const auto next_of = [&](const Piece& piece) {
      return piece.length > kPieceBytes ? Place{place.value, place.byte + kPieceBytes} : Place{place.value + 1, 0};
    };
    if (all_equal) {
      place = next_of(group[0]);
      continue;
    }
    for (size_t begin = 0; begin < group.size();) {
      size_t end = begin + 1;
      while (end < group.size() && group[end].key() == group[begin].key()) ++end;
      if (end - begin > 1) SortFrom(series, next_of(group[begin]), group.subspan(begin, end - begin));
      begin = end;
    }
    return;
  }
}

}  // namespace

void SortSeries(std::vector<OrderedSeries>* series) {
  std::stable_sort(series->begin(), series->end(),
                   [](const OrderedSeries& a, const OrderedSeries& b) { return a.meter < b.meter; });
  std::vector<Piece> pieces(series->size());
  for (uint32_t i = 0; i < pieces.size(); ++i) pieces[i].series = i;
  for (size_t begin = 0; begin < pieces.size();) {
    size_t end = begin + 1;
    while (end < pieces.size() && (*series)[end].meter == (*series)[begin].meter) ++end;
    SortFrom(*series, {}, std::span(pieces).subspan(begin, end - begin));
    begin = end;
  }
  std::vector<OrderedSeries> sorted(series->size());
  for (size_t i = 0; i < sorted.size(); ++i) sorted[i] = (*series)[pieces[i].series];
  *series = std::move(sorted);
}

}  // namespace tollbook
