// RequestPace: how many requests a target is sent, a second and a day, by all connections of this process.
//
// A second  Requests are spaced evenly, the first of a process too, so that starting again and again is no way around.
// A day     Of UTC. The count is stored before the requests that it counts are sent, some at a time: a crash loses the
//           rest of those, and never sends more than the day allows.
#ifndef TOLLBOOK_PIPELINE_EMIT_REQUEST_PACE_H_
#define TOLLBOOK_PIPELINE_EMIT_REQUEST_PACE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "ledger/outbox.h"
#include "pipeline/emit/http.h"

namespace tollbook {

class RequestPace {
 public:
  // `sleep`: for so many nanoseconds. 0 of a limit: none.
  RequestPace(const RequestLimits& limits, std::function<int64_t()> now_nanos, std::function<void(int64_t)> sleep)
      : limits_(limits), now_nanos_(std::move(now_nanos)), sleep_(std::move(sleep)) {}

  // What the book has counted, and who keeps what is counted from now on; of a pass.
  void Begin(RequestsOfDay stored, std::function<absl::Status(RequestsOfDay)> keep);

  void End();  // of the pass: nobody keeps the count any more

  // Waits for the turn of one more request, and counts it. Otherwise why it may not be sent, and for how long.
  struct Turn {
    bool may_send = true;
    int64_t wait_nanos = 0;
    std::string why;
  };
  Turn Take();

  // Until when none may be sent: 0, or when the day is over.
  int64_t UsedUpUntil();

 private:
  int64_t UsedUpUntil(int64_t now_nanos) const;

  const RequestLimits limits_;
  const std::function<int64_t()> now_nanos_;
  const std::function<void(int64_t)> sleep_;
  std::mutex turn_mutex_;   // held while a turn is waited for: the others come behind it
  int64_t next_nanos_ = 0;  // of turn_mutex_; when the next one may go; 0: none has gone
  std::mutex mutex_;        // of all below
  RequestsOfDay stored_;
  uint64_t sent_ = 0;  // of stored_.count
  std::function<absl::Status(RequestsOfDay)> keep_;
};

// Sends by `client` what the pace lets through; what it does not is answered with kNotSent, and over_pace.
[[nodiscard]] std::unique_ptr<HttpClient> Paced(std::unique_ptr<HttpClient> client, std::shared_ptr<RequestPace> pace);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_REQUEST_PACE_H_
