// Arena: bytes that live as long as the block of input they were decoded from.
#ifndef TOLLBOOK_PIPELINE_ARENA_H_
#define TOLLBOOK_PIPELINE_ARENA_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace tollbook {

class Arena {
 public:
  char* Allocate(size_t bytes) {
    if (bytes > left_) Grow(bytes);
    char* at = next_;
    next_ += bytes;
    left_ -= bytes;
    return at;
  }
  char* AllocateAligned(size_t bytes, size_t alignment) {
    const size_t skip = -reinterpret_cast<uintptr_t>(next_) & (alignment - 1);
    if (skip + bytes <= left_) {
      next_ += skip;
      left_ -= skip;
    } else {
      Grow(bytes);  // a fresh chunk is aligned for anything
    }
    return Allocate(bytes);
  }
  std::string_view Copy(std::string_view text) {
    if (text.empty()) return {};
    char* at = Allocate(text.size());
    std::memcpy(at, text.data(), text.size());
    return {at, text.size()};
  }
  // Ends all that was allocated, and keeps memory for the next: what lasts a line stays in the cache so.
  void Rewind() {
    if (chunks_.empty()) return;
    if (chunks_.size() > 1 || first_bytes_ > kChunkBytes) return Clear();
    next_ = chunks_[0].get();
    left_ = first_bytes_;
  }
  void Clear() {
    chunks_.clear();
    next_ = nullptr;
    left_ = 0;
  }

 private:
  void Grow(size_t bytes) {
    const size_t size = bytes > kChunkBytes ? bytes : kChunkBytes;
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    next_ = chunks_.back().get();
    left_ = size;
    if (chunks_.size() == 1) first_bytes_ = size;
  }
  static constexpr size_t kChunkBytes = 64 << 10;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t first_bytes_ = 0;  // of the first chunk
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ARENA_H_
