#include "pipeline/app/process.h"

#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>

namespace tollbook {

void GiveBackLargeMemory() {
  constexpr int kLargeBytes = 512 << 10;
  (void)mallopt(M_MMAP_THRESHOLD, kLargeBytes);  // it only costs memory where it cannot
}

uint64_t LeftForAbsorb(uint64_t memory_bytes) {
  const struct mallinfo2 now = mallinfo2();
  const uint64_t allocated = now.uordblks + now.hblkhd;
  return std::max(memory_bytes - std::min(memory_bytes, allocated), memory_bytes / 4);
}

void RaiseOpenFilesLimit() {
  struct rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);  // else opening says so, when it comes to that
}

}  // namespace tollbook
