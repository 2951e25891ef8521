// Zuora Billing: usage as usage records, one a subscription, unit of measure and day: POST /v1/object/usage.
//
// A record is of the difference, which may be negative, with the item's key as its description and as the
// Idempotency-Key, by which Zuora repeats its first answer for 24 hours, be it a refusal. Where the tenant has a field
// of its own for the key (`key_field`), it is looked for first, always; without one what is unclear for longer is
// parked, for Zuora takes a second record as gladly as the first. A customer is "account/subscription", of which the
// charge is the one of that unit of measure.
#ifndef TOLLBOOK_PIPELINE_EMIT_ZUORA_H_
#define TOLLBOOK_PIPELINE_EMIT_ZUORA_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeZuoraEmitter(const Target& target, const EmitterContext& context,
                                                        std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_ZUORA_H_
