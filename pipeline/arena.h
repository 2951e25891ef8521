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
  // Gives back what lies behind `end` of the last piece that was allocated.
  void GiveBack(const char* end) {
    left_ += static_cast<size_t>(next_ - end);
    next_ -= next_ - end;
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
  // Keeps the memory for what comes next, but for pieces above the usual size.
  void Clear() {
    large_.clear();
    used_ = 0;
    next_ = nullptr;
    left_ = 0;
  }

 private:
  void Grow(size_t bytes) {
    if (bytes > kChunkBytes) {
      large_.push_back(std::make_unique_for_overwrite<char[]>(bytes));
      next_ = large_.back().get();
      left_ = bytes;
      return;
    }
    if (used_ == chunks_.size()) chunks_.push_back(std::make_unique_for_overwrite<char[]>(kChunkBytes));
    next_ = chunks_[used_++].get();
    left_ = kChunkBytes;
  }
  static constexpr size_t kChunkBytes = 64 << 10;
  std::vector<std::unique_ptr<char[]>> chunks_;  // the first used_ of them are in use
  std::vector<std::unique_ptr<char[]>> large_;
  size_t used_ = 0;
  char* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ARENA_H_
