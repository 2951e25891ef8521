// Gainsight: how accounts stand, as fields of companies or of a custom object's records, up to 50 a request: PUT
// /v1/data/objects/{object}?keys={field}.
//
// Records are known by the field that `keys` names, so telling the same again changes nothing, and what is unclear is
// sent again. One record that Gainsight does not take refuses all of its request: then each half is sent apart.
#ifndef TOLLBOOK_PIPELINE_EMIT_GAINSIGHT_H_
#define TOLLBOOK_PIPELINE_EMIT_GAINSIGHT_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeGainsightEmitter(const Target& target, const EmitterContext& context,
                                                            std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_GAINSIGHT_H_
