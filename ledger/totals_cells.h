// TotalsCells: reading the cells of one subject in a totals run.
//
// A cell is three or four short numbers. The fast way reads each without a loop and without asking whether a value
// follows, since wrong guesses of a branch are most of what the plain way costs. It takes
// what is common and whole, and leaves all else, damage included, to the plain way, which checks every field.
#ifndef TOLLBOOK_LEDGER_TOTALS_CELLS_H_
#define TOLLBOOK_LEDGER_TOTALS_CELLS_H_

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>

#include "ledger/bytes.h"
#include "ledger/scaled_value.h"
#include "ledger/totals_run.h"
#include "rating/usage_total.h"

namespace tollbook {

enum class CellReading : uint8_t { kFast, kPlain };  // the same answers

// Calls visit(series, bucket, total, role) for each cell of a subject, in the run's order. False when the bytes are
// damaged; cells in front of the damage were then visited.
template <CellReading kReading = CellReading::kFast, typename Visit>
[[nodiscard]] bool ForEachCell(const SubjectCells& cells, std::span<const RunSeries> all_series, const Visit& visit);

// What TotalsRunReader::SubjectAt says, which is asked twice for each subject of each run: short names and cells, as
// nearly all are, without a call.
inline std::string_view SubjectOfRun(std::string_view stored, size_t position, SubjectCells* cells) {
  const char* const at = stored.data() + position;
  const size_t left = stored.size() - position;
  const size_t name = static_cast<uint8_t>(*at);
  const size_t bytes = name < 0x80 && left > name + 1 ? static_cast<uint8_t>(at[name + 1]) : 0x80;
  if (bytes >= 0x80 || left < name + bytes + 2) return TotalsRunReader::SubjectAt(stored, position, cells);
  cells->bytes = {at + name + 2, bytes};
  cells->behind = left - name - bytes - 2;
  return {at + 1, name};
}

// ----- below: how

namespace totals_cells_internal {

// The last three bits of a cell's first number say how its value is told: 0: as many units as there are events;
// otherwise 1 + the place of its scale.
inline constexpr uint32_t kHowBits = 3;
inline constexpr uint32_t kHowMask = (1 << kHowBits) - 1;
inline constexpr uint32_t kHowMax = kValueScales.size();
// Or that a correction takes so many events back: then how the value is told, as above, is a number of its own. Rare:
// only the plain way knows it.
inline constexpr uint32_t kTakenBack = kHowMask;
inline constexpr Uint128 kTakenBackMax = static_cast<Uint128>(1) << 63;
// Or that the cell replaces what earlier commits told of its place; likewise.
inline constexpr uint32_t kReplacing = kTakenBack - 1;
static_assert(kHowMax < kReplacing);

// Times are told in milliseconds (even) or nanoseconds (odd): sources that know the nanosecond are few.
inline constexpr int64_t kMilliNanos = 1'000'000;

struct CellAt {
  int32_t bucket = 0;
  UsageTotal total;
};

inline Quantity ReadValue(uint32_t how, Int128 events, ByteReader* in) {
  Quantity value;
  if (how == 0) {
    value.attos = events * kOneUnit;  // 2^64 * 10^18 fits
  } else if (how > kHowMax || !UnscaleValue({how - 1, in->Zigzag()}, &value)) {
    in->Fail();
  }
  return value;
}

inline Instant ReadLatestAt(int64_t anchor, ByteReader* in) {
  const Uint128 tagged = in->Varint();
  const Uint128 zigzag = tagged >> 1;
  Int128 difference = static_cast<Int128>(zigzag >> 1) ^ -static_cast<Int128>(zigzag & 1);
  bool fits = true;
  if ((tagged & 1) == 0) fits = !__builtin_mul_overflow(difference, static_cast<Int128>(kMilliNanos), &difference);
  int64_t nanos = 0;
  fits = fits && !__builtin_add_overflow(difference, anchor, &nanos);
  return {fits ? nanos : static_cast<int64_t>(in->Fail())};
}

// `cell` comes with the bucket of the cell before it; the first of its series has none.
inline bool ReadPlain(const RunSeries& series, bool first, ByteReader* in, CellAt* cell, CellRole* role) {
  const bool bucket_fits = first ? !__builtin_add_overflow(in->Zigzag64(), series.anchor.bucket, &cell->bucket)
                                 : !__builtin_add_overflow(in->Varint64(), cell->bucket, &cell->bucket);
  const Uint128 head = in->Varint();
  const Uint128 events = head >> kHowBits;
  if (!bucket_fits || events > UINT64_MAX) return false;
  uint32_t how = static_cast<uint32_t>(head) & kHowMask;
  const bool taken_back = how == kTakenBack;
  if (how == kReplacing) *role = CellRole::kReplaces;
  if (taken_back || how == kReplacing) {
    how = in->Varint32();
    if ((events == 0 && taken_back) || events > kTakenBackMax) return false;
  }
  const auto added = taken_back ? -static_cast<Int128>(events) : static_cast<Int128>(events);
  cell->total.events = static_cast<uint64_t>(added);
  cell->total.value = ReadValue(how, added, in);
  cell->total.latest_at = {series.has_time ? ReadLatestAt(series.anchor.latest_at_nanos, in).nanos : 0};
  return in->ok();
}

// A varint of up to eight bytes; eight can be read at `*at`. False for any other, a needlessly long one included.
inline bool TakeVarint(const char** at, uint64_t* value) {
  uint64_t bytes = 0;
  std::memcpy(&bytes, *at, sizeof bytes);
  const uint64_t ends = ~bytes & kTopBits;
  const int size = std::countr_zero(ends) / 8 + 1;
  *value = GatherFromBytes(bytes & (ends ^ (ends - 1)));
  *at += size;
  const bool needless = size > 1 && *value >> (7 * (size - 1)) == 0;
  return ends != 0 && !needless;
}
inline int64_t UnzigzagOf(uint64_t zigzag) {
  return static_cast<int64_t>(zigzag >> 1) ^ -static_cast<int64_t>(zigzag & 1);
}

inline constexpr std::ptrdiff_t kFastBytes = 4 * 8;
inline constexpr std::array<int64_t, kHowMask + 1> kUnitOfHow = {
    1'000'000'000'000'000'000, 1'000'000'000'000'000'000, 1'000'000'000'000'000, 1'000'000'000'000, 1'000'000'000, 1};

// False, and nothing is read, when the cell is for ReadPlain.
inline bool ReadFast(const RunSeries& series, bool first, const char* end, const char** at, CellAt* cell) {
  if (end - *at < kFastBytes) return false;
  const char* next = *at;
  uint64_t bucket = 0, head = 0, mantissa = 0;
  bool taken = true;
  if (static_cast<uint8_t>(next[0] | next[1]) < 0x80) {  // nine of ten: one bucket on, fewer than 16 events
    bucket = static_cast<uint8_t>(next[0]);
    head = static_cast<uint8_t>(next[1]);
    next += 2;
  } else {
    taken = TakeVarint(&next, &bucket);
    taken &= TakeVarint(&next, &head);
  }
  const uint32_t how = head & kHowMask;
  const auto events = static_cast<int64_t>(head >> kHowBits);
  const char* behind_value = next;
  const bool value_taken = TakeVarint(&behind_value, &mantissa);
  next = how == 0 ? next : behind_value;
  taken = taken & (how == 0 || value_taken) & (how <= kHowMax);
  const int64_t number = how == 0 ? events : UnzigzagOf(mantissa);
  const int64_t from = first ? series.anchor.bucket : cell->bucket;
  const int64_t wide_bucket = from + (first ? UnzigzagOf(bucket) : static_cast<int64_t>(bucket));
  if (!taken || wide_bucket != static_cast<int32_t>(wide_bucket)) return false;
  int64_t latest_at = 0;
  if (series.has_time) {
    uint64_t tagged = 0;
    if (!TakeVarint(&next, &tagged)) return false;
    const int64_t unit = (tagged & 1) == 0 ? kMilliNanos : 1;
    if (__builtin_mul_overflow(UnzigzagOf(tagged >> 1), unit, &latest_at)) return false;
    if (__builtin_add_overflow(latest_at, series.anchor.latest_at_nanos, &latest_at)) return false;
  }
  cell->bucket = static_cast<int32_t>(wide_bucket);
  cell->total = {{static_cast<Int128>(number) * kUnitOfHow[how]}, static_cast<uint64_t>(events), {latest_at}};
  *at = next;
  return true;
}

// What a series begins with. Nearly always a byte, or two.
inline bool ReadHead(const char* end, const char** at, uint64_t* tagged, uint64_t* more) {
  const auto first = static_cast<uint8_t>(**at);
  const bool has_more = (first & 1) != 0;
  if (first < 0x80 && (!has_more || (end - *at > 1 && static_cast<uint8_t>((*at)[1]) < 0x80))) {
    *tagged = first;
    *more = has_more ? static_cast<uint8_t>((*at)[1]) : 0;
    *at += has_more ? 2 : 1;
    return true;
  }
  ByteReader in({*at, static_cast<size_t>(end - *at)});
  *tagged = in.Varint64();
  *more = (*tagged & 1) != 0 ? in.Varint64() : 0;
  *at = end - in.left();
  return in.ok();
}

}  // namespace totals_cells_internal

template <CellReading kReading, typename Visit>
bool ForEachCell(const SubjectCells& cells, std::span<const RunSeries> all_series, const Visit& visit) {
  using namespace totals_cells_internal;
  const char* at = cells.bytes.data();
  const char* const cells_end = at + cells.bytes.size();
  const char* const end = cells_end + cells.behind;  // up to here bytes can be looked at
  uint64_t next_series = 0;
  while (at < cells_end) {
    uint64_t tagged = 0, more = 0;
    if (!ReadHead(end, &at, &tagged, &more)) return false;
    const uint64_t index = next_series + (tagged >> 1);
    // A cell takes two bytes or more.
    if (index >= all_series.size() || more > static_cast<uint64_t>(end - at)) return false;
    next_series = index + 1;
    const RunSeries& series = all_series[index];
    CellAt cell;
    const uint64_t count = 1 + (tagged & 1) + more;
    for (uint64_t i = 0; i < count; ++i) {
      CellRole role = CellRole::kAdds;
      if (kReading == CellReading::kPlain || !ReadFast(series, i == 0, end, &at, &cell)) {
        ByteReader plain({at, static_cast<size_t>(end - at)});
        if (!ReadPlain(series, i == 0, &plain, &cell, &role)) return false;
        at = end - plain.left();
      }
      visit(series.series, Bucket{cell.bucket}, cell.total, role);
    }
  }
  return at == cells_end;
}

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_TOTALS_CELLS_H_
