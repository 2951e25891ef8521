// What each kind of answer means, whatever was asked.
#include "pipeline/emit/call_outcome.h"

#include <gtest/gtest.h>

namespace tollbook {
namespace {

using Came = HttpAnswer::Came;
using Event = DeliveryEvent;
using Problem = DeliveryProblem;

TEST(OutcomeOfCall, IsTheSameForAllTargets) {
  struct Case {
    const char* name;
    Came came;
    long status;
    int64_t retry_after_seconds;
    std::optional<Event> event;  // none: it is the target's own word
    Problem problem;
    bool pauses;
    bool is_denied = false;
  };
  const auto sent = Event::kNotApplied, lost = Event::kUnclear, refused = Event::kRefused;
  const Case cases[] = {
      {"no byte left", Came::kNotSent, 0, 0, sent, Problem::kAvailability, true},
      {"no whole answer", Came::kUnclear, 0, 0, lost, Problem::kAmbiguous, false},
      {"done", Came::kAnswer, 200, 0, std::nullopt, Problem::kNone, false},
      {"refused", Came::kAnswer, 400, 0, std::nullopt, Problem::kNone, false},
      {"not found", Came::kAnswer, 404, 0, std::nullopt, Problem::kNone, false},
      {"no login", Came::kAnswer, 401, 0, sent, Problem::kAuthentication, true},
      {"forbidden", Came::kAnswer, 403, 0, refused, Problem::kAuthentication, false, true},
      {"forbidden for now", Came::kAnswer, 403, 7, sent, Problem::kRateLimit, true},
      {"too many", Came::kAnswer, 429, 0, sent, Problem::kRateLimit, true},
      {"too many, until", Came::kAnswer, 429, 7, sent, Problem::kRateLimit, true},
      {"down, until", Came::kAnswer, 503, 7, sent, Problem::kAvailability, true},
      {"a proxy's", Came::kAnswer, 503, 0, lost, Problem::kAmbiguous, false},
      {"broken", Came::kAnswer, 500, 0, lost, Problem::kAmbiguous, false},
      {"broken, until", Came::kAnswer, 500, 7, lost, Problem::kAmbiguous, true},
      {"a proxy's, until", Came::kAnswer, 502, 7, lost, Problem::kAmbiguous, true},
      {"late, until", Came::kAnswer, 504, 7, lost, Problem::kAmbiguous, true},
      {"not waited for, until", Came::kAnswer, 408, 7, lost, Problem::kAmbiguous, true},
      {"elsewhere", Came::kAnswer, 302, 0, lost, Problem::kConfiguration, true},
      {"not an end", Came::kAnswer, 101, 0, lost, Problem::kAmbiguous, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    HttpAnswer answer;
    answer.came = c.came;
    answer.status = c.status;
    answer.retry_after_nanos = c.retry_after_seconds * 1'000'000'000;
    const std::optional<Attempt> outcome = OutcomeOfCall(answer, sent, lost);
    ASSERT_EQ(outcome.has_value(), c.event.has_value());
    if (!outcome) continue;
    EXPECT_EQ(Word(outcome->step.event), Word(*c.event));
    EXPECT_EQ(Word(outcome->step.problem), Word(c.problem));
    EXPECT_EQ(outcome->pause_target, c.pauses);
    EXPECT_EQ(outcome->is_denied, c.is_denied);
    EXPECT_EQ(outcome->wait_nanos, answer.retry_after_nanos) << "what it asks for is kept";
    // Of a question nothing was changed, and so nothing is ambiguous.
    const std::optional<Attempt> asked = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk);
    EXPECT_EQ(asked->step.event, *c.event == refused ? refused : Event::kCannotAsk);
    EXPECT_NE(asked->step.problem, Problem::kAmbiguous);
  }
}

}  // namespace
}  // namespace tollbook
