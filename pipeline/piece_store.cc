#include "pipeline/piece_store.h"

#include <algorithm>
#include <cstring>

namespace tollbook {

size_t CopyOut(const Pieces& pieces, uint64_t at, char* into, size_t bytes) {
  size_t size = 0;
  while (size < bytes && at < pieces.bytes) {
    const size_t place = at % kUnpackedPiece;
    const uint64_t left = std::min<uint64_t>(pieces.bytes - at, kUnpackedPiece - place);
    const size_t take = std::min<size_t>(bytes - size, left);
    std::memcpy(into + size, pieces.buffers[at / kUnpackedPiece].data() + place, take);
    at += take;
    size += take;
  }
  return size;
}

}  // namespace tollbook
