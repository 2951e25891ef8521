// Totango: how accounts stand, as attributes of accounts, one a request: POST /pixel.gif.
//
// Attributes are what was last written, so telling the same again changes nothing. Totango answers 200 to whatever it
// is sent, also to what it then drops: `confirmed` says that the request was received, and no more. An account that is
// not there yet is made.
#ifndef TOLLBOOK_PIPELINE_EMIT_TOTANGO_H_
#define TOLLBOOK_PIPELINE_EMIT_TOTANGO_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeTotangoEmitter(const Target& target, const EmitterContext& context,
                                                          std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_TOTANGO_H_
