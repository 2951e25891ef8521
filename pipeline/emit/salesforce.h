// Salesforce: how accounts stand, as fields of records that are known by an external id: up to 200 a request, PATCH
// /services/data/{version}/composite/sobjects/{object}/{field}.
//
// An upsert by external id changes nothing when it comes twice, so what is unclear is sent again. The answer is read
// record by record: one that is refused keeps back no other, and one that another process holds is sent later. A record
// that is not there yet is made, where the object needs no more than the id and these fields. The field of the external
// id must be unique, and should tell upper from lower case.
#ifndef TOLLBOOK_PIPELINE_EMIT_SALESFORCE_H_
#define TOLLBOOK_PIPELINE_EMIT_SALESFORCE_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeSalesforceEmitter(const Target& target, const EmitterContext& context,
                                                             std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_SALESFORCE_H_
