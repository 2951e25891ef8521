// SideThread: one thread beside the workers, which does what it is given, in order.
//
// One for all commits and not a fresh one for each: with a thread for each, inserting a commit's few hundred keys into
// RocksDB's memory table became many times slower after some hundred commits. The likely reason: it draws the height of
// a key's node by a random generator of the thread, seeded by the thread's id, and a fresh thread mostly gets the id of
// the one before, so that each commit drew the same heights for the same shards.
#ifndef TOLLBOOK_PIPELINE_SIDE_THREAD_H_
#define TOLLBOOK_PIPELINE_SIDE_THREAD_H_

#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "rating/error.h"

namespace tollbook {

class SideThread {
 public:
  SideThread() : thread_([this] { Run(); }) {}
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;
  // Everything that was given is done first.
  ~SideThread() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  template <typename Work>
  std::future<absl::Status> Start(Work work) {
    std::packaged_task<absl::Status()> task(std::move(work));
    std::future<absl::Status> answer = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
    return answer;
  }

 private:
  void Run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      std::packaged_task<absl::Status()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  std::mutex mutex_;  // guards tasks_ and ending_
  std::condition_variable wake_;
  std::deque<std::packaged_task<absl::Status()>> tasks_;
  bool ending_ = false;
  std::thread thread_;  // the last: it uses the others
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_SIDE_THREAD_H_
