// WorkerArena: as many threads as were asked for, also where that is more than the machine has cores.
//
// oneTBB keeps no more workers than cores unless it is told to, and says so on stderr; a run with --threads 4 on two
// cores should be one, if only to show that the answer is the same.
#ifndef TOLLBOOK_PIPELINE_WORKER_ARENA_H_
#define TOLLBOOK_PIPELINE_WORKER_ARENA_H_

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include <cstddef>
#include <optional>

namespace tollbook {

class WorkerArena {
 public:
  // 0: as many as the machine has cores.
  explicit WorkerArena(int threads) : arena_(threads > 0 ? threads : tbb::task_arena::automatic) {
    if (threads > tbb::info::default_concurrency()) {
      allowed_.emplace(tbb::global_control::max_allowed_parallelism, static_cast<size_t>(threads));
    }
  }

  int threads() const { return arena_.max_concurrency(); }

  template <typename Work>
  void execute(Work&& work) {
    arena_.execute(work);
  }

 private:
  std::optional<tbb::global_control> allowed_;
  tbb::task_arena arena_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_WORKER_ARENA_H_
