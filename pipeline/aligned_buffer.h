// AlignedBuffer: one page-aligned run of bytes with one owner; what large reads go into.
#ifndef TOLLBOOK_PIPELINE_ALIGNED_BUFFER_H_
#define TOLLBOOK_PIPELINE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace tollbook {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes) : capacity_((bytes + kPageBytes - 1) / kPageBytes * kPageBytes) {
    data_.reset(static_cast<char*>(std::aligned_alloc(kPageBytes, capacity_)));
    if (data_ == nullptr) throw std::bad_alloc();
  }
  char* data() const { return data_.get(); }
  size_t capacity() const { return capacity_; }

 private:
  static constexpr size_t kPageBytes = 4096;  // onto whole pages the kernel copies faster: ReadInto in bench/parts.cc
  struct Free {
    void operator()(char* data) const { std::free(data); }
  };
  std::unique_ptr<char, Free> data_;
  size_t capacity_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ALIGNED_BUFFER_H_
