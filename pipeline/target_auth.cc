#include "pipeline/target_auth.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "pipeline/targets.h"

namespace tollbook {
namespace {

constexpr std::array<std::pair<std::string_view, AuthKind>, 6> kKinds = {{
    {"basic", AuthKind::kBasic},
    {"bearer", AuthKind::kBearer},
    {"api_key", AuthKind::kApiKey},
    {"client_secret", AuthKind::kClientSecret},
    {"client_assertion", AuthKind::kClientAssertion},
    {"jwt_bearer", AuthKind::kJwtBearer},
}};
constexpr std::array<std::pair<std::string_view, JwtAlgorithm>, 3> kAlgorithms = {
    {{"RS256", JwtAlgorithm::kRs256}, {"PS256", JwtAlgorithm::kPs256}, {"ES256", JwtAlgorithm::kEs256}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kSecretPlaces = {{{"basic", false}, {"body", true}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kScopePlaces = {{{"request", false}, {"assertion", true}}};

// RFC 9110's token: what a header may be named.
bool IsHeaderName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

void ReadToken(YamlMap& map, bool plain_http, TargetAuth* auth, FileErrors& errors) {
  auth->token_url = ReadUrl(map, "token_url", plain_http, errors);
  auth->client_id = map.RequiredText("client_id").value_or("");
  auth->scope = map.Text("scope").value_or("");
  if (auth->kind == AuthKind::kClientSecret) {
    auth->secret = ReadSecretReference(map, "client_secret", errors);
    auth->secret_in_body = map.Choice<bool>("send", kSecretPlaces, false);
    return;
  }
  auth->secret = ReadSecretReference(map, "private_key", errors);
  map.Required("algorithm");
  auth->algorithm = map.Choice<JwtAlgorithm>("algorithm", kAlgorithms, JwtAlgorithm::kRs256);
  auth->key_id = map.Text("key_id").value_or("");
  auth->audience = map.Text("audience").value_or(auth->token_url);
  if (auth->kind == AuthKind::kJwtBearer) {
    auth->subject = map.RequiredText("subject").value_or("");
  } else {
    auth->subject = auth->client_id;
    auth->scope_in_assertion = map.Choice<bool>("scope_in", kScopePlaces, false);
  }
}

void ReadKind(YamlMap& map, bool plain_http, TargetAuth* auth, FileErrors& errors) {
  switch (auth->kind) {
    case AuthKind::kNone:
      return;
    case AuthKind::kBasic:
      auth->user = map.RequiredText("user").value_or("");
      auth->secret = ReadSecretReference(map, "password", errors);
      if (auth->user.find(':') != std::string::npos) {
        errors.Add(map.LineOf("user"), map.what() + " has a user with a colon, which ends it",
                   "write the name alone, and the password where `password` says");
      }
      return;
    case AuthKind::kBearer:
      auth->secret = ReadSecretReference(map, "token", errors);
      return;
    case AuthKind::kApiKey:
      auth->header = map.RequiredText("header").value_or("");
      auth->secret = ReadSecretReference(map, "key", errors);
      if (!auth->header.empty() && !IsHeaderName(auth->header)) {
        errors.Add(map.LineOf("header"), Quoted(auth->header) + " of " + map.what() + " is no name of a header",
                   "write letters, digits, '-' and '_', such as X-Api-Key");
      }
      return;
    case AuthKind::kClientSecret:
    case AuthKind::kClientAssertion:
    case AuthKind::kJwtBearer:
      return ReadToken(map, plain_http, auth, errors);
  }
}

}  // namespace

SecretReference ReadSecretReference(YamlMap& map, std::string_view key, FileErrors& errors) {
  SecretReference secret;
  const std::optional<std::string> text = map.RequiredText(key);
  if (!text) return secret;
  const std::string_view reference = *text;
  if (reference.starts_with("file:") && reference.size() > 5) {
    secret = {SecretReference::Kind::kFile, std::string(reference.substr(5))};
  } else if (reference.starts_with("env:") && reference.size() > 4) {
    secret = {SecretReference::Kind::kEnvironment, std::string(reference.substr(4))};
  } else {
    // Not quoted: what stands there may be the secret itself.
    errors.Add(map.LineOf(key), "the " + std::string(key) + " of " + map.what() + " is no reference",
               "write file:PATH or env:NAME, and keep the secret there; if it stood here, replace it");
  }
  return secret;
}

std::string ReadUrl(YamlMap& map, std::string_view key, bool plain_http, FileErrors& errors) {
  const std::string url = map.RequiredText(key).value_or("");
  if (url.empty()) return url;
  const UrlHead head = HeadOf(url);
  if (head.host.empty()) {
    errors.Add(map.LineOf(key), map.what() + " has a " + std::string(key) + " that is not taken",
               "write https://host/path, without a user or password");
  } else if (head.scheme == "http" && !plain_http) {
    errors.Add(map.LineOf(key), map.what() + " would be spoken to without encryption",
               "write https://, or `plain_http: true` where nobody else is on the line");
  }
  return url;
}

TargetAuth ReadAuth(YamlMap& target, bool plain_http, FileErrors& errors) {
  TargetAuth auth;
  const YamlNode* node = target.Find("auth");
  if (node == nullptr) return auth;
  YamlMap map(*node, "the auth of " + target.what(), errors);
  map.Required("kind");
  auth.kind = map.Choice<AuthKind>("kind", kKinds, AuthKind::kNone);
  if (auth.kind == AuthKind::kNone) return auth;  // it was told; which keys are right hangs on it
  ReadKind(map, plain_http, &auth, errors);
  map.RefuseOtherKeys();
  return auth;
}

}  // namespace tollbook
