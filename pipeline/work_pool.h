// WorkPool: blocks of input and what they became, with their memory, used again and again.
//
// Fresh memory is dear: the kernel clears each page and maps it on first touch. A block that comes back is the next to
// be taken, so that what it touches is still in the cache.
#ifndef TOLLBOOK_PIPELINE_WORK_POOL_H_
#define TOLLBOOK_PIPELINE_WORK_POOL_H_

#include <memory>
#include <utility>
#include <vector>

#include "pipeline/block_work.h"

namespace tollbook {

using Works = std::vector<std::unique_ptr<BlockWork>>;

// One thread at a time.
class WorkPool {
 public:
  // As good as new, but for the capacity of its buffers.
  std::unique_ptr<BlockWork> Take() {
    if (idle_.empty()) return std::make_unique<BlockWork>();
    std::unique_ptr<BlockWork> work = std::move(idle_.back());
    idle_.pop_back();
    return work;
  }
  void GiveBack(std::unique_ptr<BlockWork> work) {
    Clear(work.get());
    idle_.push_back(std::move(work));
  }
  void GiveBack(Works works) {
    // The last first, so that they are taken in the same order again.
    for (; !works.empty(); works.pop_back()) GiveBack(std::move(works.back()));
  }

 private:
  // Identities are written anew by whoever decodes the block.
  static void Clear(BlockWork* work) {
    work->block.bytes = 0;
    work->block.long_lines.clear();
    work->block.arena.Clear();
    work->from = nullptr;
    work->cut_off = kNoUsage;
    work->line_ends = 0;
    work->places.clear();
    work->verdicts.clear();
    work->measurements.clear();
    work->held.clear();
    work->content.bytes.clear();
    work->packed.clear();
  }
  Works idle_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_WORK_POOL_H_
