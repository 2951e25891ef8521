#include "ledger/cut_off.h"

#include "ledger/bytes.h"
#include "ledger/records.h"

namespace tollbook {

absl::StatusOr<Day> CutOffOf(const Book& book) {
  const absl::StatusOr<std::vector<CutOff>> cut_offs = CutOffs(book);
  if (!cut_offs.ok()) return cut_offs.status();
  return cut_offs->empty() ? kNoUsage : cut_offs->back().before;
}

std::string RemedyOf(Reason reason, Day cut_off) {
  if (reason != Reason::kUnknownOriginal || cut_off == kNoUsage) return std::string(RemedyOf(reason));
  return "Send the event that it names, and it is tried again. One dated before " + ToString(cut_off) +
         " is forgotten: credit or charge it by hand.";
}

std::string Encode(const CutOff& cut_off) {
  ByteWriter out;
  out.Varint(cut_off.sequence);
  out.Zigzag(cut_off.before.number);
  out.Varint(cut_off.forgotten.entries);
  out.Fixed64(static_cast<uint64_t>(cut_off.forgotten.hashes >> 64));
  out.Fixed64(static_cast<uint64_t>(cut_off.forgotten.hashes));
  return out.Take();
}

absl::StatusOr<CutOff> DecodeCutOff(std::string_view stored) {
  ByteReader in(stored);
  CutOff cut_off;
  cut_off.sequence = in.Varint64();
  cut_off.before = {in.Zigzag32()};
  cut_off.forgotten.entries = in.Varint64();
  cut_off.forgotten.hashes = static_cast<Uint128>(in.Fixed64()) << 64;
  cut_off.forgotten.hashes |= in.Fixed64();
  if (!in.done() || cut_off.forgotten.entries == 0) return DamagedError("a cut-off");
  return cut_off;
}

}  // namespace tollbook
