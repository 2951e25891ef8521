#include "pipeline/emit/dispatch.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>

namespace tollbook {
namespace {

// What of a target is still to go, and what is under way.
class Queue {
 public:
  Queue(const DispatchTarget& target, uint32_t failures_max)
      : places_(target.places),
        failures_max_(failures_max),
        priority_(target.priority),
        failures_in_row_(target.failures_in_row) {
    for (size_t i = 0; i < places_.size(); ++i) waiting_.push_back(i);
    for (size_t i = target.connections; i > 0; --i) idle_.push_back(i - 1);
    const size_t most = places_.empty() ? 0 : *std::max_element(places_.begin(), places_.end()) + 1;
    is_busy_.resize(most);
  }

  bool is_empty() const { return waiting_.empty(); }
  Priority priority() const { return priority_; }
  void End() { waiting_.clear(); }

  // The first whose place is free, when there is a connection for it.
  std::optional<size_t> Next() const {
    if (idle_.empty() || (failures_in_row_ > 0 && under_way_ > 0)) return std::nullopt;
    for (const size_t delivery : waiting_) {
      if (!is_busy_[places_[delivery]]) return delivery;
    }
    return std::nullopt;
  }
  void Drop(size_t delivery) { waiting_.erase(std::find(waiting_.begin(), waiting_.end(), delivery)); }
  size_t Begin(size_t delivery) {
    Drop(delivery);
    is_busy_[places_[delivery]] = true;
    ++under_way_;
    const size_t connection = idle_.back();
    idle_.pop_back();
    return connection;
  }
  void Over(const DispatchTurn& turn, DispatchOutcome outcome) {
    is_busy_[places_[turn.delivery]] = false;
    --under_way_;
    idle_.push_back(turn.connection);
    if (outcome == DispatchOutcome::kNothing) return;
    failures_in_row_ = outcome == DispatchOutcome::kWell ? 0 : failures_in_row_ + 1;
    if (outcome == DispatchOutcome::kEnds || failures_in_row_ >= failures_max_) End();
  }

 private:
  const std::vector<size_t>& places_;
  const uint32_t failures_max_;
  const Priority priority_;
  std::deque<size_t> waiting_;
  std::vector<size_t> idle_;  // the last one is taken next, so that a connection that is open is used again
  std::vector<bool> is_busy_;
  size_t under_way_ = 0;
  uint32_t failures_in_row_;
};

class Dispatcher {
 public:
  Dispatcher(const std::vector<DispatchTarget>& targets, const DispatchOptions& options) : options_(options) {
    queues_.reserve(targets.size());
    for (const DispatchTarget& target : targets) {
      queues_.emplace_back(target, options.failures_max);
      threads_ += std::min(target.connections, target.places.size());
    }
    threads_ = std::min(threads_, kDispatchThreads);
  }

  absl::Status Run() {
    std::vector<std::thread> others;
    for (size_t i = 1; i < threads_; ++i) others.emplace_back([this] { Work(); });
    Work();
    for (std::thread& other : others) other.join();
    return failure_;
  }

 private:
  // Until nothing is left to begin.
  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      if (const std::optional<DispatchTurn> turn = Next()) {
        lock.unlock();
        const absl::StatusOr<DispatchOutcome> outcome = options_.run(*turn);
        lock.lock();
        queues_[turn->target].Over(*turn, outcome.ok() ? *outcome : DispatchOutcome::kEnds);
        if (!outcome.ok()) {
          failure_ = outcome.status();
          for (Queue& queue : queues_) queue.End();
        }
        changed_.notify_all();
      } else if (std::all_of(queues_.begin(), queues_.end(), [](const Queue& queue) { return queue.is_empty(); })) {
        return;
      } else {
        changed_.wait(lock);  // one of those under way makes room
      }
    }
  }

  std::optional<DispatchTurn> Next() {
    for (const Priority priority : TurnOrder(turns_)) {
      if (const std::optional<DispatchTurn> turn = NextOf(priority)) {
        ++turns_;
        return turn;
      }
    }
    return std::nullopt;
  }

  // Of the targets of a priority in turn, so that none waits for all of another's.
  std::optional<DispatchTurn> NextOf(Priority priority) {
    for (size_t i = 0; i < queues_.size(); ++i) {
      const size_t target = (first_ + i) % queues_.size();
      Queue& queue = queues_[target];
      if (queue.priority() != priority) continue;
      while (const std::optional<size_t> delivery = queue.Next()) {
        const DispatchWord word = options_.may_go(target, *delivery);
        if (word == DispatchWord::kGo) {
          first_ = target + 1;
          return DispatchTurn{target, *delivery, queue.Begin(*delivery)};
        }
        if (word == DispatchWord::kEnd) queue.End();
        if (word == DispatchWord::kSkip) queue.Drop(*delivery);
      }
    }
    return std::nullopt;
  }

  const DispatchOptions& options_;
  size_t threads_ = 0;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::vector<Queue> queues_;
  size_t first_ = 0;
  uint64_t turns_ = 0;
  absl::Status failure_;
};

}  // namespace

std::array<Priority, kPriorities> TurnOrder(uint64_t turn) {
  using enum Priority;
  if (turn % 4 != 3) return {kHigh, kNormal, kLow};
  if (turn / 4 % 2 == 0) return {kNormal, kLow, kHigh};
  return {kLow, kNormal, kHigh};
}

absl::Status Dispatch(const std::vector<DispatchTarget>& targets, const DispatchOptions& options) {
  return Dispatcher(targets, options).Run();
}

}  // namespace tollbook
