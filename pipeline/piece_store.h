// PieceStore: memory for what is unpacked, a piece at a time, given back and used again.
//
// Fresh memory is dear (ledger/first_touch.h): to touch a megabyte first costs a third to a half of what it costs to
// unpack one, and beside other work more.
#ifndef TOLLBOOK_PIPELINE_PIECE_STORE_H_
#define TOLLBOOK_PIPELINE_PIECE_STORE_H_

#include <mutex>
#include <utility>
#include <vector>

#include "pipeline/aligned_buffer.h"

namespace tollbook {

inline constexpr size_t kUnpackedPiece = 1 << 20;

// What is unpacked, in order: each piece kUnpackedPiece bytes, the last one what is left.
struct Pieces {
  std::vector<AlignedBuffer> buffers;
  uint64_t bytes = 0;
};

// Any thread. Keeps what it was given until it goes: as much as was in use at a time.
class PieceStore {
 public:
  AlignedBuffer Take() {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        AlignedBuffer piece = std::move(idle_.back());
        idle_.pop_back();
        return piece;
      }
    }
    return AlignedBuffer(kUnpackedPiece);
  }
  void GiveBack(AlignedBuffer piece) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(piece));
  }
  void GiveBack(Pieces* pieces) {
    const std::lock_guard lock(mutex_);
    for (AlignedBuffer& piece : pieces->buffers) idle_.push_back(std::move(piece));
    *pieces = {};
  }

 private:
  std::mutex mutex_;  // guards the next
  std::vector<AlignedBuffer> idle_;
};

// As much as fits of `pieces` from the byte `at` on; the number of bytes copied.
size_t CopyOut(const Pieces& pieces, uint64_t at, char* into, size_t bytes);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_PIECE_STORE_H_
