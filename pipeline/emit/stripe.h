// Stripe: usage as billing meter events, one a customer, meter and day: POST /v1/billing/meter_events.
//
// The identifier is the item's key. Stripe drops one that it has seen for at least 24 hours, and says so with a 400
// ("already exists"), which is the word that the event is there. After that what is unclear is settled by the meter's
// sum over the minute of the event (GET /v1/billing/meters/ID/event_summaries), where `meters` names its id: it is what
// was told before, or that and the event. Any other sum, and a meter without an id, is a person's work. Events are
// whole numbers, at most 35 days back, at the day's first instant; a correction is an event of the difference, which
// may be negative. The meter there must be one that sums. Stripe's later word on an event that it took (a webhook of
// its own) is not listened to.
#ifndef TOLLBOOK_PIPELINE_EMIT_STRIPE_H_
#define TOLLBOOK_PIPELINE_EMIT_STRIPE_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeStripeEmitter(const Target& target, const EmitterContext& context,
                                                         Secret api_key);
// By a client of the caller's.
[[nodiscard]] std::unique_ptr<Emitter> MakeStripeEmitter(const Target& target, const EmitterContext& context,
                                                         Secret api_key, std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_STRIPE_H_
