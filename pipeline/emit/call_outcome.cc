#include "pipeline/emit/call_outcome.h"

#include "pipeline/emit/authorization.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

Attempt OfTarget(Event event, Problem problem, const HttpAnswer& answer, const std::string& more = "") {
  Attempt outcome = Failed(event, problem, Summary(answer) + more);
  outcome.wait_nanos = answer.retry_after_nanos;
  outcome.pause_target = true;
  return outcome;
}

}  // namespace

std::optional<Attempt> OutcomeOfCall(const HttpAnswer& answer, Event unsent, Event unclear) {
  if (answer.came == HttpAnswer::Came::kNotSent) return OfTarget(unsent, ProblemOfUnsent(answer), answer);
  const Problem lost = unclear == Event::kUnclear ? Problem::kAmbiguous : Problem::kAvailability;
  if (answer.came == HttpAnswer::Came::kUnclear) return Failed(unclear, lost, answer.error);
  const long status = answer.status;
  const bool says_when = answer.retry_after_nanos > 0;
  if (status == 401) return OfTarget(unsent, Problem::kAuthentication, answer);
  if (status == 429 || (status == 403 && says_when)) return OfTarget(unsent, Problem::kRateLimit, answer);
  if (status == 503 && says_when) return OfTarget(unsent, Problem::kAvailability, answer);
  if (status == 403) {
    Attempt denied = Failed(Event::kRefused, Problem::kAuthentication, Summary(answer));
    denied.is_denied = true;
    return denied;
  }
  if (status >= 300 && status < 400) {
    return OfTarget(unclear, Problem::kConfiguration, answer, " (a redirect is not followed: correct the url)");
  }
  if (status < 500 && status != 408 && status >= 200) return std::nullopt;
  return says_when ? OfTarget(unclear, lost, answer) : Failed(unclear, lost, Summary(answer));
}

}  // namespace tollbook
