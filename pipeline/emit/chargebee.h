// Chargebee: usage as usage records, one a subscription, item price and day: POST /subscriptions/{id}/usages.
//
// Chargebee keeps one record of each, and adds nothing up within a day, so a record says all that was used on the day.
// Its id is the item's key and its note names the seal. What is there is looked for first: the same record is the end;
// an older seal's is deleted and made anew; a newer seal's stays. So it does not matter how often, or in which order,
// items come. A record is this book's only where a report of that seal, as the book has it stored, has its id and says
// its quantity. Whatever else is there, be it another book's, or of a seal that this book never made, is left and told.
// Chargebee takes no negative quantity, and 5,000 records in a subscription's life unless that is raised.
#ifndef TOLLBOOK_PIPELINE_EMIT_CHARGEBEE_H_
#define TOLLBOOK_PIPELINE_EMIT_CHARGEBEE_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeChargebeeEmitter(const Target& target, const EmitterContext& context,
                                                            Secret api_key);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_CHARGEBEE_H_
