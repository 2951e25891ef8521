// Authorization: an HttpClient that shows a target who asks, as `auth` of targets.yaml says.
//
// A token is had when it is first needed, kept in memory until a margin before it expires, and had once more when the
// target answers 401: then the request, which was not carried out, is sent again, once. Never more: a login that does
// not help would be a loop. Where no token can be had, the answer is kNotSent, for nothing went to the target;
// `login_refused` tells a refusal from a token server that is down.
//
// In every answer `****` stands where the secret or the token would be repeated.
#ifndef TOLLBOOK_PIPELINE_EMIT_AUTHORIZATION_H_
#define TOLLBOOK_PIPELINE_EMIT_AUTHORIZATION_H_

#include <memory>
#include <string>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

// A token that does not say how long it holds, and how long one that does is left alone before its end.
inline constexpr int64_t kTokenSecondsUnsaid = 300;
inline constexpr int64_t kTokenMarginSeconds = 60;  // a tenth of its time where that is less

// `token_server` is asked for tokens; null where `auth` needs none. FailedPrecondition: a private key that cannot sign.
[[nodiscard]] absl::StatusOr<std::unique_ptr<HttpClient>> Authorize(std::unique_ptr<HttpClient> target,
                                                                    std::unique_ptr<HttpClient> token_server,
                                                                    const TargetAuth& auth, Secret secret,
                                                                    std::function<int64_t()> now_nanos);

// The client of a target: over libcurl, its secret read from where `auth` says. Paths of the policy are to be opened.
[[nodiscard]] absl::StatusOr<std::unique_ptr<HttpClient>> MakeTargetClient(const Target& target,
                                                                           const EmitterContext& context);

// The header line as it is shown to people: "Authorization: Bearer ****"; empty for kNone.
[[nodiscard]] std::string ShownHeader(const TargetAuth& auth);

// Who acts on an answer of kNotSent: a refused login is the secret's keeper's, an address that is not allowed, and a
// certificate of another, that of targets.yaml, a pace that is used up nobody's, the rest the target's operator's.
inline DeliveryProblem ProblemOfUnsent(const HttpAnswer& answer) {
  if (answer.address_refused || answer.certificate_refused) return DeliveryProblem::kConfiguration;
  if (answer.over_pace) return DeliveryProblem::kRateLimit;
  return answer.login_refused ? DeliveryProblem::kAuthentication : DeliveryProblem::kAvailability;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_AUTHORIZATION_H_
