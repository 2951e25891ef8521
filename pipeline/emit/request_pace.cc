#include "pipeline/emit/request_pace.h"

#include <algorithm>

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerDay = 86'400 * kNanosPerSecond;

// Counted at a time: a write for each request would cost more than most requests do, and a crash wastes what is left.
uint64_t CountedAtOnce(uint64_t per_day) {
  return std::clamp<uint64_t>(per_day / 100, 1, 100);
}

class PacedClient final : public HttpClient {
 public:
  PacedClient(std::unique_ptr<HttpClient> client, std::shared_ptr<RequestPace> pace)
      : client_(std::move(client)), pace_(std::move(pace)) {}

  HttpAnswer Do(const HttpRequest& request) override {
    const RequestPace::Turn turn = pace_->Take();
    return turn.may_send ? client_->Do(request) : Unsent(turn);
  }
  HttpAnswer Post(const std::vector<std::string>& headers, std::string_view body) override {
    const RequestPace::Turn turn = pace_->Take();
    return turn.may_send ? client_->Post(headers, body) : Unsent(turn);
  }

 private:
  static HttpAnswer Unsent(const RequestPace::Turn& turn) {
    HttpAnswer answer;
    answer.over_pace = true;
    answer.retry_after_nanos = turn.wait_nanos;
    answer.error = turn.why;
    return answer;
  }

  const std::unique_ptr<HttpClient> client_;
  const std::shared_ptr<RequestPace> pace_;
};

}  // namespace

void RequestPace::Begin(RequestsOfDay stored, std::function<absl::Status(RequestsOfDay)> keep) {
  const std::lock_guard lock(mutex_);
  const Day today{static_cast<int32_t>(now_nanos_() / kNanosPerDay)};
  if (stored.day > today) {
    // The clock was put back: what was counted is today's, and no day's for longer. Where that cannot be kept, neither
    // can what is to be sent.
    stored.day = today;
    keep(stored).IgnoreError();
  }
  // What this process stored and has not used yet is still its own.
  if (stored != stored_) {
    stored_ = stored;
    sent_ = stored.count;
  }
  keep_ = std::move(keep);
}

void RequestPace::End() {
  const std::lock_guard lock(mutex_);
  keep_ = nullptr;
}

int64_t RequestPace::UsedUpUntil() {
  const std::lock_guard lock(mutex_);
  return UsedUpUntil(now_nanos_());
}

// A counted day that has not come yet, for the clock was put back meanwhile, is today.
int64_t RequestPace::UsedUpUntil(int64_t now_nanos) const {
  const int64_t today = now_nanos / kNanosPerDay;
  if (limits_.per_day == 0 || stored_.day.number < today || sent_ < limits_.per_day) return 0;
  return (today + 1) * kNanosPerDay;
}

RequestPace::Turn RequestPace::Take() {
  const std::lock_guard turn(turn_mutex_);
  const int64_t asked_at = now_nanos_();
  if (const int64_t until = UsedUpUntil(); until > 0) {
    return {false, until - asked_at, "the " + std::to_string(limits_.per_day) + " requests of the day are used up"};
  }
  if (limits_.per_second > 0) {
    const int64_t spacing = kNanosPerSecond / limits_.per_second;
    const int64_t now = now_nanos_();
    // A clock that was put back keeps nobody waiting longer than the spacing.
    const int64_t at = next_nanos_ == 0 ? now + spacing : std::min(std::max(next_nanos_, now), now + spacing);
    if (at > now) sleep_(at - now);
    next_nanos_ = at + spacing;
  }
  if (limits_.per_day == 0) return {};
  const std::lock_guard lock(mutex_);
  const Day today = std::max(Day{static_cast<int32_t>(now_nanos_() / kNanosPerDay)}, stored_.day);
  if (stored_.day != today || sent_ == stored_.count) {
    const uint64_t before = stored_.day == today ? stored_.count : 0;
    const RequestsOfDay more{today, std::min<uint64_t>(limits_.per_day, before + CountedAtOnce(limits_.per_day))};
    const absl::Status kept = keep_ ? keep_(more) : absl::FailedPreconditionError("nobody keeps the count");
    if (!kept.ok()) return {false, 0, "the day's requests cannot be counted: " + std::string(Std(kept.message()))};
    stored_ = more;
    sent_ = before;
  }
  ++sent_;
  return {};
}

std::unique_ptr<HttpClient> Paced(std::unique_ptr<HttpClient> client, std::shared_ptr<RequestPace> pace) {
  if (pace == nullptr) return client;
  return std::make_unique<PacedClient>(std::move(client), std::move(pace));
}

}  // namespace tollbook
