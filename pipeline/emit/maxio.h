// Maxio Advanced Billing: usage as events of events-based billing, up to 1,000 a request: POST
// /events/{stream}/bulk.json.
//
// The code of a charge is its stream, the event's `quantity` what the stream's metric adds up: the difference, which
// may be negative. The uniqueness token is the item's key. Maxio drops a token that it has seen for 31 days, and does
// not say so: each 201 says only that the request was taken. A customer that is a whole number is a subscription's id
// there, any other its reference.
#ifndef TOLLBOOK_PIPELINE_EMIT_MAXIO_H_
#define TOLLBOOK_PIPELINE_EMIT_MAXIO_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeMaxioEmitter(const Target& target, const EmitterContext& context,
                                                        Secret api_key);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_MAXIO_H_
