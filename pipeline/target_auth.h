// TargetAuth: how a target is shown who asks, from `auth` of targets.yaml. No secret stands there: only where it is.
#ifndef TOLLBOOK_PIPELINE_TARGET_AUTH_H_
#define TOLLBOOK_PIPELINE_TARGET_AUTH_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rating/yaml_text.h"

namespace tollbook {

// "file:PATH" or "env:NAME".
struct SecretReference {
  enum class Kind : uint8_t { kFile, kEnvironment };
  Kind kind = Kind::kFile;
  std::string name;
};

enum class AuthKind : uint8_t {
  kNone,
  kBasic,            // user and password
  kBearer,           // a token that does not change
  kApiKey,           // a header of the target's own
  kClientSecret,     // OAuth 2.0 client credentials, RFC 6749 4.4
  kClientAssertion,  // the same, the client known by a signed JWT, RFC 7523 2.2
  kJwtBearer,        // a signed JWT as the grant, RFC 7523 2.1
};

enum class JwtAlgorithm : uint8_t { kRs256, kPs256, kEs256 };

struct TargetAuth {
  AuthKind kind = AuthKind::kNone;
  SecretReference secret;  // the password, token, key, client secret, or private key as PEM
  std::string user;        // basic
  std::string header;      // api_key: its name

  // of the three that get a token
  std::string token_url;
  std::string client_id;
  std::string scope;                // empty: none is asked for
  bool secret_in_body = false;      // client_secret: in the body, not by basic
  bool scope_in_assertion = false;  // client_assertion: as a claim, not beside it

  // of the two that sign
  JwtAlgorithm algorithm = JwtAlgorithm::kRs256;
  std::string key_id;    // "kid"; empty: none
  std::string audience;  // "aud"
  std::string subject;   // "sub"
};

// A reference under `key`, which must be there. What is none is an error that does not repeat it.
[[nodiscard]] SecretReference ReadSecretReference(YamlMap& map, std::string_view key, FileErrors& errors);

// A url under `key`, which must be there: https, or http where `plain_http` allows it; without a user or password.
[[nodiscard]] std::string ReadUrl(YamlMap& map, std::string_view key, bool plain_http, FileErrors& errors);

// The map under `auth`; kNone when there is none. `plain_http`: of the target, and holds for the token's url, too.
[[nodiscard]] TargetAuth ReadAuth(YamlMap& target, bool plain_http, FileErrors& errors);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_TARGET_AUTH_H_
