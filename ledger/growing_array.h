// GrowingArray: a vector of plain values whose growth copies nothing once it is large.
//
// std::vector takes new memory, copies, and gives the old back: each page is mapped and cleared once for every size
// that the array had. realloc moves the pages of a large array to their new addresses instead (mremap), and those
// behind its end are not there until they are about to be written; then kTouchBytes of them come at a time.
#ifndef TOLLBOOK_LEDGER_GROWING_ARRAY_H_
#define TOLLBOOK_LEDGER_GROWING_ARRAY_H_

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#include "ledger/first_touch.h"

namespace tollbook {

template <typename T>
class GrowingArray {
 public:
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= alignof(std::max_align_t));

  GrowingArray() = default;
  ~GrowingArray() { std::free(data_); }
  GrowingArray(GrowingArray&& other) noexcept { *this = std::move(other); }
  GrowingArray& operator=(GrowingArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(touched_, other.touched_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }

  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  std::span<const T> all() const { return {data_, size_}; }
  const T& operator[](size_t i) const { return data_[i]; }

  // Taken by value: it may be one of ours, and growing moves those.
  void push_back(T value) {
    if (size_ == touched_) TouchMore();
    data_[size_++] = value;
  }
  void reserve(size_t capacity) {
    if (capacity <= capacity_) return;
    T* const grown = static_cast<T*>(std::realloc(data_, capacity * sizeof(T)));
    if (grown == nullptr) throw std::bad_alloc();
    data_ = grown;
    capacity_ = capacity;
  }

 private:
  void TouchMore() {
    if (size_ == capacity_) reserve(NextCapacity());
    const size_t more = kTouchBytes / sizeof(T);
    touched_ = capacity_ * sizeof(T) <= kSmallBytes ? capacity_ : std::min(capacity_, size_ + more);
    TouchAhead(data_ + size_, (touched_ - size_) * sizeof(T));
  }
  // Beyond a few pages, at once so much that the array gets pages of its own.
  size_t NextCapacity() const {
    const size_t next = std::max(kCapacityAtStart, 2 * capacity_);
    return next * sizeof(T) <= kSmallBytes ? next : std::max(next, kLargeBytes / sizeof(T));
  }

  static constexpr size_t kCapacityAtStart = 64;
  static constexpr size_t kSmallBytes = 16 << 10;
  static constexpr size_t kTouchBytes = 32 << 10;   // a shard's share of memory that it may never use
  static constexpr size_t kLargeBytes = 640 << 10;  // malloc keeps smaller ones together (GiveBackLargeMemory)
  T* data_ = nullptr;
  size_t size_ = 0;
  size_t touched_ = 0;  // elements whose pages are there
  size_t capacity_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_GROWING_ARRAY_H_
