// Jwt: a signed JSON Web Token (RFC 7519, in the compact form of RFC 7515) of a client's own key, by OpenSSL.
#ifndef TOLLBOOK_PIPELINE_EMIT_JWT_H_
#define TOLLBOOK_PIPELINE_EMIT_JWT_H_

#include <memory>
#include <string>
#include <string_view>

#include "pipeline/target_auth.h"
#include "rating/error.h"

struct evp_pkey_st;

namespace tollbook {

class JwtSigner {
 public:
  // `pem`: a private key without a passphrase, of the algorithm's kind: RSA of 2048 bits or more, or EC on P-256.
  [[nodiscard]] static absl::StatusOr<JwtSigner> Make(std::string_view pem, JwtAlgorithm algorithm, std::string key_id);
  // `claims`: one JSON object. FailedPrecondition when the key would not sign.
  [[nodiscard]] absl::StatusOr<std::string> Sign(std::string_view claims) const;

 private:
  using Key = std::unique_ptr<evp_pkey_st, void (*)(evp_pkey_st*)>;
  JwtSigner(Key key, JwtAlgorithm algorithm, std::string key_id)
      : key_(std::move(key)), algorithm_(algorithm), key_id_(std::move(key_id)) {}

  Key key_;
  JwtAlgorithm algorithm_;
  std::string key_id_;
};

[[nodiscard]] std::string Base64(std::string_view bytes);     // RFC 4648 4
[[nodiscard]] std::string Base64Url(std::string_view bytes);  // RFC 4648 5, without padding

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_JWT_H_
