// Tryton: a batch as a move of Tryton's general ledger, over its JSON-RPC.
//
// Tryton has no idempotency key, and takes the same description twice. So the posting key is the move's description,
// and the move is looked for before it is made; it is made as a draft, whose id is stored before it is posted, and only
// a stored id is posted. What cannot be booked (a closed period, lines that do not balance) leaves no draft behind, for
// a draft would keep the period from being closed.
//
// The stored body has our codes; Tryton's are put in each time, and their ids looked up for each session. A body that
// was stored when Tryton's were put in at once is read as it stands.
#ifndef TOLLBOOK_PIPELINE_EMIT_TRYTON_H_
#define TOLLBOOK_PIPELINE_EMIT_TRYTON_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeTrytonEmitter(const Target& target, const EmitterContext& context,
                                                         Secret password);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_TRYTON_H_
