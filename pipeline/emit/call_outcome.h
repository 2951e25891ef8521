// CallOutcome: what an answer says without regard to what was asked, the same for every target that is spoken to by
// HTTP.
#ifndef TOLLBOOK_PIPELINE_EMIT_CALL_OUTCOME_H_
#define TOLLBOOK_PIPELINE_EMIT_CALL_OUTCOME_H_

#include <optional>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"

namespace tollbook {

// Nothing: the answer is the target's own word about what was asked. `unsent`, `unclear`: the events of a request of
// which nothing was done, and of one of which that is not known.
//
//   not sent, 401, 429       unsent: all of the target's waits
//   503 with Retry-After     likewise; without, it may be a proxy's that lost the answer
//   403 with Retry-After     likewise: a limit of requests, as some say it
//   403                      refused, for who asks: it parks this one, and the others go on
//   5xx, 408, 1xx, no whole answer    unclear; with Retry-After all of the target's waits, too
//   3xx                      unclear: it is not followed, and `url` is wrong for all
[[nodiscard]] std::optional<Attempt> OutcomeOfCall(const HttpAnswer& answer, DeliveryEvent unsent,
                                                   DeliveryEvent unclear);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_CALL_OUTCOME_H_
