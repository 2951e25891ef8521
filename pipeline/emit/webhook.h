// Webhook: a batch as a CloudEvent `journal.sealed`, what a seal changed of usage as `usage.rated`, POSTed and signed.
//
// The body is one JSON object, the same at each attempt. Headers: webhook-id (the posting key, for the receiver to drop
// what it has seen), webhook-timestamp (seconds), and webhook-signature: "v1," and the base64 of HMAC-SHA256 over
// "id.timestamp.body" under the target's secret. A status of 2xx is the receiver's word that it has it, unless the
// answer is a web page: that came from a proxy or a login, not from a receiver; with `answer_names_key` only where the
// body has the webhook-id. What may be there is sent again while the receiver drops what it has seen: for ever, or for
// `deduplicates_for_seconds` after it was first sent, as the delivery's job says ("since 1764380000").
#ifndef TOLLBOOK_PIPELINE_EMIT_WEBHOOK_H_
#define TOLLBOOK_PIPELINE_EMIT_WEBHOOK_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeWebhookEmitter(const Target& target, const EmitterContext& context,
                                                          Secret secret, std::unique_ptr<HttpClient> http);

// What the header webhook-signature says.
[[nodiscard]] std::string WebhookSignature(std::string_view secret, std::string_view id, std::string_view timestamp,
                                           std::string_view body);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_WEBHOOK_H_
