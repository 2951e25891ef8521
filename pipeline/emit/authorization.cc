#include "pipeline/emit/authorization.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "pipeline/emit/jwt.h"
#include "pipeline/emit/request_pace.h"

namespace tollbook {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kTokenSecondsMost = 30 * 24 * 3600;
constexpr int64_t kAssertionSeconds = 300;
constexpr size_t kTokenBytesMax = 16 << 10;
constexpr std::string_view kAssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr std::string_view kJwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer";

void Wipe(std::string* text) {
  OPENSSL_cleanse(text->data(), text->size());
  text->clear();
}

// application/x-www-form-urlencoded; what is not unreserved (RFC 3986) as %XX.
std::string Escaped(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out;
}

void AddField(std::string_view name, std::string_view value, std::string* form) {
  if (!form->empty()) *form += '&';
  *form += std::string(name) + "=" + Escaped(value);
}

// What may stand in a header: visible ASCII. Else an answer could write headers of its own.
bool IsToken(std::string_view token) {
  return !token.empty() && token.size() <= kTokenBytesMax &&
         std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 127; });
}

// Seconds, as a number or as a text (as one vendor has it).
int64_t SecondsOf(const Json& answer) {
  const auto found = answer.find("expires_in");
  if (found == answer.end()) return kTokenSecondsUnsaid;
  if (found->is_number_integer()) return std::clamp(found->get<int64_t>(), int64_t{0}, kTokenSecondsMost);
  const ParsedDecimal parsed = ParseDecimal(found->is_string() ? found->get<std::string>() : "", 0);
  if (parsed.error != DecimalError::kNone) return kTokenSecondsUnsaid;
  return static_cast<int64_t>(std::clamp(parsed.value, Int128{0}, Int128{kTokenSecondsMost}));
}

class AuthorizedClient final : public HttpClient {
 public:
  AuthorizedClient(std::unique_ptr<HttpClient> target, std::unique_ptr<HttpClient> token_server, TargetAuth auth,
                   Secret secret, std::optional<JwtSigner> signer, std::function<int64_t()> now_nanos)
      : target_(std::move(target)),
        token_server_(std::move(token_server)),
        auth_(std::move(auth)),
        secret_(std::move(secret)),
        signer_(std::move(signer)),
        now_nanos_(std::move(now_nanos)) {}

  HttpAnswer Do(const HttpRequest& request) override {
    return Twice([&](std::vector<std::string> headers) {
      HttpRequest with = request;
      with.headers.insert(with.headers.end(), headers.begin(), headers.end());
      HttpAnswer answer = target_->Do(with);
      Wipe(&with.headers.back());
      return answer;
    });
  }

  HttpAnswer Post(const std::vector<std::string>& headers, std::string_view body) override {
    return Twice([&](const std::vector<std::string>& more) {
      std::vector<std::string> with = headers;
      with.insert(with.end(), more.begin(), more.end());
      HttpAnswer answer = target_->Post(with, body);
      Wipe(&with.back());
      return answer;
    });
  }

 private:
  static constexpr long kUnauthorized = 401;

  template <typename Send>
  HttpAnswer Twice(const Send& send) {
    const bool had_token = HasToken();
    if (std::optional<HttpAnswer> failed = HaveToken()) return *std::move(failed);
    HttpAnswer answer = Once(send);
    if (!NeedsToken() || answer.came != HttpAnswer::Came::kAnswer || answer.status != kUnauthorized) return answer;
    token_ = Secret();
    if (!had_token) return answer;  // it was new, and did not help
    if (std::optional<HttpAnswer> failed = HaveToken()) return *std::move(failed);
    answer = Once(send);
    if (answer.came == HttpAnswer::Came::kAnswer && answer.status == kUnauthorized) token_ = Secret();
    return answer;
  }

  template <typename Send>
  HttpAnswer Once(const Send& send) {
    std::vector<std::string> lines = {HeaderLine()};
    const Secret shown(lines[0].substr(lines[0].rfind(' ') + 1));  // what a target may repeat: of basic, the base64
    HttpAnswer answer = send(lines);
    Wipe(&lines[0]);
    Mask(shown, &answer);
    return answer;
  }

  std::string HeaderLine() const {
    const std::string secret(secret_.value());
    switch (auth_.kind) {
      case AuthKind::kBasic:
        return "Authorization: Basic " + Base64(auth_.user + ":" + secret);
      case AuthKind::kApiKey:
        return auth_.header + ": " + secret;
      case AuthKind::kBearer:
        return "Authorization: Bearer " + secret;
      default:
        return "Authorization: Bearer " + std::string(token_.value());
    }
  }

  void Mask(const Secret& more, HttpAnswer* answer) const {
    for (std::string* text : {&answer->body, &answer->error, &answer->location, &answer->content_type}) {
      *text = more.MaskedIn(token_.MaskedIn(secret_.MaskedIn(std::move(*text))));
    }
  }

  bool NeedsToken() const { return token_server_ != nullptr; }
  bool HasToken() const { return !token_.value().empty() && now_nanos_() < token_until_nanos_; }

  // Nothing: there is one, or none is needed.
  std::optional<HttpAnswer> HaveToken() {
    if (!NeedsToken() || HasToken()) return std::nullopt;
    const int64_t asked_at = now_nanos_();
    absl::StatusOr<std::string> form = Form(asked_at / kNanosPerSecond);
    if (!form.ok()) return Refused(std::string(Std(form.status().message())));
    std::vector<std::string> headers = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json"};
    if (auth_.kind == AuthKind::kClientSecret && !auth_.secret_in_body) {
      headers.push_back("Authorization: Basic " + Base64(Escaped(auth_.client_id) + ":" + Escaped(secret_.value())));
    }
    HttpAnswer answer = token_server_->Post(headers, *form);
    const Secret basic(headers.back().substr(headers.back().rfind(' ') + 1));
    const Secret body(*std::move(form));
    Wipe(&headers.back());
    return Take(std::move(answer), asked_at, headers.size() > 2 ? basic : body);
  }

  absl::StatusOr<std::string> Form(int64_t now_seconds) const {
    std::string form;
    AddField("grant_type", auth_.kind == AuthKind::kJwtBearer ? kJwtGrant : "client_credentials", &form);
    if (auth_.kind == AuthKind::kClientSecret) {
      if (auth_.secret_in_body) {
        AddField("client_id", auth_.client_id, &form);
        AddField("client_secret", secret_.value(), &form);
      }
    } else {
      absl::StatusOr<std::string> assertion = Assertion(now_seconds);
      if (!assertion.ok()) return assertion.status();
      if (auth_.kind == AuthKind::kJwtBearer) {
        AddField("assertion", *assertion, &form);
      } else {
        if (!auth_.scope_in_assertion) AddField("client_id", auth_.client_id, &form);
        AddField("client_assertion_type", kAssertionType, &form);
        AddField("client_assertion", *assertion, &form);
      }
    }
    if (!auth_.scope.empty() && !auth_.scope_in_assertion) AddField("scope", auth_.scope, &form);
    return form;
  }

  absl::StatusOr<std::string> Assertion(int64_t now_seconds) const {
    unsigned char id[16];
    TOLLBOOK_ASSERT(RAND_bytes(id, sizeof id) == 1);
    Json claims = {{"iss", auth_.client_id},
                   {"sub", auth_.subject},
                   {"aud", auth_.audience},
                   {"iat", now_seconds},
                   {"exp", now_seconds + kAssertionSeconds},
                   {"jti", Base64Url(std::string_view(reinterpret_cast<const char*>(id), sizeof id))}};
    if (auth_.scope_in_assertion) claims["scope"] = auth_.scope;
    return signer_->Sign(claims.dump(-1, ' ', false, Json::error_handler_t::replace));
  }

  static HttpAnswer Refused(const std::string& why) {
    HttpAnswer answer;
    answer.error = "token: " + why;
    answer.login_refused = true;
    return answer;
  }

  std::optional<HttpAnswer> Take(HttpAnswer answer, int64_t asked_at, const Secret& sent) {
    const bool whole = answer.came == HttpAnswer::Came::kAnswer;
    if (whole && answer.status == 200) {
      const Json said = Json::parse(answer.body, nullptr, false);
      const auto token = said.is_object() ? said.find("access_token") : said.end();
      if (said.is_object() && token != said.end() && token->is_string() && IsToken(token->get<std::string>())) {
        const int64_t seconds = SecondsOf(said);
        token_ = Secret(token->get<std::string>());
        token_until_nanos_ = asked_at + (seconds - std::min(kTokenMarginSeconds, (seconds + 9) / 10)) * kNanosPerSecond;
        Wipe(&answer.body);
        return std::nullopt;
      }
      // Not repeated: it may be a token after all, in an answer that was not understood.
      return Refused("the answer of the token server has no access_token");
    }
    Mask(sent, &answer);
    if (whole && answer.status < 500 && answer.status != 429 && answer.status != 408) return Refused(Summary(answer));
    HttpAnswer none;
    none.error = "token: " + Summary(answer);
    none.address_refused = answer.address_refused;
    none.certificate_refused = answer.certificate_refused;
    none.retry_after_nanos = answer.retry_after_nanos;
    return none;
  }

  const std::unique_ptr<HttpClient> target_;
  const std::unique_ptr<HttpClient> token_server_;  // null: `auth` needs no token
  const TargetAuth auth_;
  const Secret secret_;
  const std::optional<JwtSigner> signer_;
  const std::function<int64_t()> now_nanos_;
  Secret token_;
  int64_t token_until_nanos_ = 0;
};

bool GetsToken(AuthKind kind) {
  return kind == AuthKind::kClientSecret || kind == AuthKind::kClientAssertion || kind == AuthKind::kJwtBearer;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpClient>> Authorize(std::unique_ptr<HttpClient> target,
                                                      std::unique_ptr<HttpClient> token_server, const TargetAuth& auth,
                                                      Secret secret, std::function<int64_t()> now_nanos) {
  if (auth.kind == AuthKind::kNone) return target;
  std::optional<JwtSigner> signer;
  if (auth.kind == AuthKind::kClientAssertion || auth.kind == AuthKind::kJwtBearer) {
    absl::StatusOr<JwtSigner> made = JwtSigner::Make(secret.value(), auth.algorithm, auth.key_id);
    if (!made.ok()) return made.status();
    signer = *std::move(made);
  } else if (secret.value().find_first_of("\r\n") != std::string_view::npos) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "a secret has more than one line",
                     "of " + (auth.user.empty() ? auth.client_id + auth.header : auth.user),
                     "write the secret alone there");
  }
  return std::make_unique<AuthorizedClient>(std::move(target), std::move(token_server), auth, std::move(secret),
                                            std::move(signer), std::move(now_nanos));
}

absl::StatusOr<std::unique_ptr<HttpClient>> MakeTargetClient(const Target& target, const EmitterContext& context) {
  std::unique_ptr<HttpClient> client = Paced(MakeHttpClient(target.http), context.pace);
  if (target.auth.kind == AuthKind::kNone || !context.with_secrets) return client;
  absl::StatusOr<Secret> secret = ReadSecret(target.auth.secret, context.catalog_directory);
  if (!secret.ok()) return secret.status();
  std::unique_ptr<HttpClient> token_server;
  if (GetsToken(target.auth.kind)) {
    HttpPolicy policy = target.http;
    policy.url = target.auth.token_url;
    token_server = MakeHttpClient(policy);
  }
  return Authorize(std::move(client), std::move(token_server), target.auth, *std::move(secret), context.now_nanos);
}

std::string ShownHeader(const TargetAuth& auth) {
  switch (auth.kind) {
    case AuthKind::kNone:
      return "";
    case AuthKind::kBasic:
      return "Authorization: Basic ****";
    case AuthKind::kApiKey:
      return auth.header + ": ****";
    default:
      return "Authorization: Bearer ****";
  }
}

}  // namespace tollbook
