#include "pipeline/app/process.h"

#include <malloc.h>
#include <sys/resource.h>

namespace tollbook {

void GiveBackLargeMemory() {
  constexpr int kLargeBytes = 512 << 10;
  (void)mallopt(M_MMAP_THRESHOLD, kLargeBytes);  // it only costs memory where it cannot
}

void RaiseOpenFilesLimit() {
  struct rlimit files = {};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &files);  // else opening says so, when it comes to that
}

}  // namespace tollbook
