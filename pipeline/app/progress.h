// Progress: a bar on a terminal, a quiet line now and then elsewhere, nothing when asked for quiet.
#ifndef TOLLBOOK_PIPELINE_APP_PROGRESS_H_
#define TOLLBOOK_PIPELINE_APP_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <mutex>

namespace tollbook {

class Progress {
 public:
  explicit Progress(bool quiet);
  ~Progress();  // ends the line
  // From any thread. bytes_total 0: not known. Draws at most ten times a second.
  void Update(uint64_t bytes_done, uint64_t bytes_total, uint64_t events);
  // The final state of the bar, then a line end; later updates are ignored.
  void Finish();

 private:
  void Draw(std::chrono::steady_clock::time_point now);
  std::mutex mutex_;  // guards all below
  bool quiet_;
  bool terminal_;
  bool finished_ = false;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_drawn_;
  uint64_t bytes_done_ = 0, bytes_total_ = 0, events_ = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_PROGRESS_H_
