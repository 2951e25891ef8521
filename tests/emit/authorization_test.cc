// Who asks: headers, tokens and their ends, signed assertions. Against clients in memory, with a clock moved by hand.
#include "pipeline/emit/authorization.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <deque>
#include <nlohmann/json.hpp>

#include "pipeline/emit/jwt.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

constexpr int64_t kSecond = 1'000'000'000;
constexpr char kCanary[] = "canary-1f7a";

// Answers in turn; the last one again and again. Keeps what it was sent.
class FakeClient final : public HttpClient {
 public:
  struct Log {
    std::deque<HttpAnswer> answers;
    std::vector<std::vector<std::string>> headers;
    std::vector<std::string> bodies;
  };
  explicit FakeClient(Log* log) : log_(*log) {}
  HttpAnswer Do(const HttpRequest& request) override { return Post(request.headers, request.body); }
  HttpAnswer Post(const std::vector<std::string>& headers, std::string_view body) override {
    log_.headers.push_back(headers);
    log_.bodies.emplace_back(body);
    HttpAnswer answer = log_.answers.front();
    if (log_.answers.size() > 1) log_.answers.pop_front();
    return answer;
  }

 private:
  Log& log_;
};

HttpAnswer Answer(long status, std::string body = "{}") {
  HttpAnswer answer;
  answer.came = HttpAnswer::Came::kAnswer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}
HttpAnswer Token(const std::string& token, const std::string& seconds) {
  return Answer(200, R"({"token_type":"bearer","access_token":")" + token + R"(","expires_in":)" + seconds + "}");
}

struct World {
  FakeClient::Log target, tokens;
  int64_t now = 1'700'000'000 * kSecond;

  std::unique_ptr<HttpClient> Client(const TargetAuth& auth, const std::string& secret = kCanary) {
    const bool asks = !auth.token_url.empty();
    auto made = Authorize(std::make_unique<FakeClient>(&target), asks ? std::make_unique<FakeClient>(&tokens) : nullptr,
                          auth, Secret(secret), [this] { return now; });
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }
};

TargetAuth ClientSecret() {
  TargetAuth auth;
  auth.kind = AuthKind::kClientSecret;
  auth.token_url = "https://login.example.com/token";
  auth.client_id = "tollbook";
  auth.scope = "journals write";
  return auth;
}

TEST(Authorization, WritesTheHeaderOfItsKind) {
  TargetAuth auth;
  const auto header = [&] {
    World world;
    world.target.answers = {Answer(200)};
    const HttpAnswer answer = world.Client(auth)->Post({"A: b"}, "body");
    EXPECT_EQ(answer.status, 200);
    return world.target.headers.at(0);
  };
  EXPECT_THAT(header(), ElementsAre("A: b")) << "none";
  auth.kind = AuthKind::kBasic;
  auth.user = "Aladdin";
  EXPECT_THAT(header(), ElementsAre("A: b", "Authorization: Basic QWxhZGRpbjpjYW5hcnktMWY3YQ=="));
  EXPECT_EQ(ShownHeader(auth), "Authorization: Basic ****");
  auth.kind = AuthKind::kBearer;
  EXPECT_THAT(header(), ElementsAre("A: b", "Authorization: Bearer canary-1f7a"));
  auth.kind = AuthKind::kApiKey;
  auth.header = "X-Api-Key";
  EXPECT_THAT(header(), ElementsAre("A: b", "X-Api-Key: canary-1f7a"));
  EXPECT_EQ(ShownHeader(auth), "X-Api-Key: ****");
}

TEST(Authorization, KeepsATokenUntilAMarginBeforeItExpires) {
  World world;
  world.target.answers = {Answer(200)};
  world.tokens.answers = {Token("t1", "3600"), Token("t2", "\"100\""), Token("t3", "3600")};
  const auto client = world.Client(ClientSecret());
  const auto used = [&](int64_t later_seconds) {
    world.now += later_seconds * kSecond;
    client->Post({}, "");
    return world.target.headers.back().back();
  };
  EXPECT_EQ(used(0), "Authorization: Bearer t1");
  EXPECT_EQ(used(3539), "Authorization: Bearer t1");
  EXPECT_EQ(used(1), "Authorization: Bearer t2") << "60 seconds before its end";
  EXPECT_EQ(used(89), "Authorization: Bearer t2");
  EXPECT_EQ(used(1), "Authorization: Bearer t3") << "of a short one, a tenth of its time before";
  EXPECT_THAT(world.tokens.bodies, SizeIs(3));
  EXPECT_EQ(world.tokens.bodies[0], "grant_type=client_credentials&scope=journals%20write");
  EXPECT_EQ(world.tokens.headers[0].back(), "Authorization: Basic dG9sbGJvb2s6Y2FuYXJ5LTFmN2E=");
}

TEST(Authorization, SendsTheSecretInTheBodyWhereSaid) {
  World world;
  world.target.answers = {Answer(200)};
  world.tokens.answers = {Token("t1", "3600")};
  TargetAuth auth = ClientSecret();
  auth.secret_in_body = true;
  world.Client(auth, "a&b=c")->Post({}, "");
  EXPECT_EQ(world.tokens.bodies[0],
            "grant_type=client_credentials&client_id=tollbook&client_secret=a%26b%3Dc&scope=journals%20write");
  EXPECT_THAT(world.tokens.headers[0], SizeIs(2)) << "and not in a header";
}

// 401 -> a new token and once again; a token that was new already is not had again.
TEST(Authorization, RefreshesOnceWhenTheTargetAnswers401) {
  World world;
  world.tokens.answers = {Token("t1", "3600"), Token("t2", "3600"), Token("t3", "3600")};
  world.target.answers = {Answer(200), Answer(401), Answer(204), Answer(401)};
  const auto client = world.Client(ClientSecret());
  EXPECT_EQ(client->Post({}, "1").status, 200);
  EXPECT_EQ(client->Post({}, "2").status, 204);
  EXPECT_THAT(world.target.bodies, ElementsAre("1", "2", "2"));
  EXPECT_EQ(world.target.headers.back().back(), "Authorization: Bearer t2");

  EXPECT_EQ(client->Post({}, "3").status, 401) << "for good";
  EXPECT_THAT(world.target.bodies, SizeIs(5)) << "twice, not more";
  EXPECT_THAT(world.tokens.bodies, SizeIs(3));
  EXPECT_EQ(client->Post({}, "4").status, 401);
  EXPECT_THAT(world.target.bodies, SizeIs(6)) << "a new token, once";
}

TEST(Authorization, A401WithoutATokenIsJustAnAnswer) {
  World world;
  world.target.answers = {Answer(401)};
  TargetAuth auth;
  auth.kind = AuthKind::kBearer;
  EXPECT_EQ(world.Client(auth)->Post({}, "").status, 401);
  EXPECT_THAT(world.target.bodies, SizeIs(1));
}

TEST(Authorization, SendsNothingWithoutAToken) {
  HttpAnswer down, slow, busy = Answer(503), limited = Answer(429);
  down.error = "no connection";
  slow.came = HttpAnswer::Came::kUnclear;
  slow.error = "timed out";
  limited.retry_after_nanos = 7 * kSecond;
  struct Case {
    const char* name;
    HttpAnswer token;
    bool refused;
    const char* says;
  };
  const Case cases[] = {
      {"down", down, false, "token: no connection"},
      {"slow", slow, false, "token: timed out"},
      {"busy", busy, false, "token: HTTP 503"},
      {"asked to wait", limited, false, "token: HTTP 429"},
      {"refused", Answer(401, R"({"error":"invalid_client"})"), true, R"(token: HTTP 401: {"error":"invalid_client"})"},
      {"redirected", Answer(302), true, "token: HTTP 302"},
      {"a web page", Answer(200, "<html>"), true, "no access_token"},
      {"no token", Answer(200, R"({"expires_in":3600})"), true, "no access_token"},
      {"not a text", Answer(200, R"({"access_token":7})"), true, "no access_token"},
      {"a list", Answer(200, R"(["access_token"])"), true, "no access_token"},
      {"two headers", Token(R"(t\r\nHost: evil)", "1"), true, "no access_token"},
      {"empty", Token("", "1"), true, "no access_token"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    World world;
    world.tokens.answers = {c.token};
    world.target.answers = {Answer(200)};
    const HttpAnswer answer = world.Client(ClientSecret())->Post({}, "");
    EXPECT_EQ(answer.came, HttpAnswer::Came::kNotSent);
    EXPECT_EQ(answer.login_refused, c.refused);
    EXPECT_EQ(ProblemOfUnsent(answer), c.refused ? DeliveryProblem::kAuthentication : DeliveryProblem::kAvailability);
    EXPECT_EQ(answer.retry_after_nanos, c.token.retry_after_nanos);
    EXPECT_THAT(answer.error, HasSubstr(c.says));
    EXPECT_THAT(world.target.bodies, SizeIs(0));
    EXPECT_THAT(world.tokens.bodies, SizeIs(1)) << "no loop";
  }
}

TEST(Authorization, MasksWhatATargetRepeats) {
  World world;
  world.tokens.answers = {Token("token-9d2e", "3600")};
  world.target.answers = {Answer(400, "you sent Bearer token-9d2e of canary-1f7a")};
  EXPECT_EQ(world.Client(ClientSecret())->Post({}, "").body, "you sent Bearer **** of ****");
  world.tokens.answers = {Answer(400, "not dG9sbGJvb2s6Y2FuYXJ5LTFmN2E= and not canary-1f7a")};
  EXPECT_THAT(world.Client(ClientSecret())->Post({}, "").error, HasSubstr("not **** and not ****"));
  TargetAuth basic;
  basic.kind = AuthKind::kBasic;
  basic.user = "Aladdin";
  world.target.answers = {Answer(500, "QWxhZGRpbjpjYW5hcnktMWY3YQ==")};
  EXPECT_EQ(world.Client(basic)->Post({}, "").body, "****");
}

std::string PemOf(EVP_PKEY* key) {
  BIO* const out = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* text = nullptr;
  const long bytes = BIO_get_mem_data(out, &text);
  std::string pem(text, static_cast<size_t>(bytes));
  BIO_free(out);
  return pem;
}

std::string FromBase64Url(std::string text) {
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  const size_t padding = (4 - text.size() % 4) % 4;
  text.append(padding, '=');
  std::string bytes(text.size(), '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

// By OpenSSL's own verification; of ES256, after the two numbers are ASN.1 again.
bool Verifies(EVP_PKEY* key, JwtAlgorithm algorithm, const std::string& text, std::string signature) {
  if (algorithm == JwtAlgorithm::kEs256) {
    if (signature.size() != 64) return false;
    ECDSA_SIG* parts = ECDSA_SIG_new();
    const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
    ECDSA_SIG_set0(parts, BN_bin2bn(bytes, 32, nullptr), BN_bin2bn(bytes + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(parts, &der);
    signature.assign(reinterpret_cast<char*>(der), static_cast<size_t>(size));
    OPENSSL_free(der);
    ECDSA_SIG_free(parts);
  }
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* about = nullptr;
  EVP_DigestVerifyInit(context, &about, EVP_sha256(), nullptr, key);
  if (algorithm == JwtAlgorithm::kPs256) EVP_PKEY_CTX_set_rsa_padding(about, RSA_PKCS1_PSS_PADDING);
  const bool holds =
      EVP_DigestVerify(context, reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  EVP_MD_CTX_free(context);
  return holds;
}

class Assertions : public testing::Test {
 protected:
  EVP_PKEY* const rsa_ = EVP_RSA_gen(2048);
  EVP_PKEY* const ec_ = EVP_EC_gen("P-256");
  void TearDown() override {
    EVP_PKEY_free(rsa_);
    EVP_PKEY_free(ec_);
  }
};

TEST_F(Assertions, AreSignedByEachAlgorithm) {
  struct Case {
    JwtAlgorithm algorithm;
    const char* name;
    EVP_PKEY* key;
  };
  const Case cases[] = {{JwtAlgorithm::kRs256, "RS256", rsa_},
                        {JwtAlgorithm::kPs256, "PS256", rsa_},
                        {JwtAlgorithm::kEs256, "ES256", ec_}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    World world;
    world.tokens.answers = {Token("t1", "\"3600\"")};
    world.target.answers = {Answer(200)};
    TargetAuth auth = ClientSecret();
    auth.kind = AuthKind::kClientAssertion;
    auth.algorithm = c.algorithm;
    auth.key_id = "kid\"7";
    auth.audience = auth.token_url;
    auth.subject = auth.client_id;
    auth.scope = "rest_webservices";
    auth.scope_in_assertion = true;
    EXPECT_EQ(world.Client(auth, PemOf(c.key))->Post({}, "").status, 200);
    const std::string form = world.tokens.bodies.at(0);
    const std::string before =
        "grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3A"
        "jwt-bearer&client_assertion=";
    ASSERT_TRUE(form.starts_with(before)) << form;
    const std::string jwt = form.substr(before.size());
    const size_t first = jwt.find('.'), last = jwt.rfind('.');
    EXPECT_EQ(FromBase64Url(jwt.substr(0, first)),
              R"({"alg":")" + std::string(c.name) + R"(","typ":"JWT","kid":"kid\"7"})");
    const auto claims = nlohmann::json::parse(FromBase64Url(jwt.substr(first + 1, last - first - 1)));
    EXPECT_EQ(claims["iss"], "tollbook");
    EXPECT_EQ(claims["sub"], "tollbook");
    EXPECT_EQ(claims["aud"], auth.token_url);
    EXPECT_EQ(claims["scope"], "rest_webservices");
    EXPECT_EQ(claims["iat"], 1'700'000'000);
    EXPECT_EQ(claims["exp"], 1'700'000'300);
    const std::string signature = FromBase64Url(jwt.substr(last + 1));
    EXPECT_TRUE(Verifies(c.key, c.algorithm, jwt.substr(0, last), signature));
    EXPECT_FALSE(Verifies(c.key, c.algorithm, jwt.substr(0, last) + "x", signature));
  }
}

TEST_F(Assertions, AreTheGrantWhereSaid) {
  World world;
  world.tokens.answers = {Token("t1", "3600")};
  world.target.answers = {Answer(200)};
  TargetAuth auth = ClientSecret();
  auth.kind = AuthKind::kJwtBearer;
  auth.subject = "billing@example.com";
  auth.scope = "";
  world.Client(auth, PemOf(rsa_))->Post({}, "");
  EXPECT_THAT(world.tokens.bodies.at(0),
              testing::StartsWith("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey"));
  EXPECT_THAT(world.tokens.bodies.at(0), Not(HasSubstr("scope")));
}

TEST_F(Assertions, WantAKeyOfTheirKind) {
  struct Case {
    const char* name;
    JwtAlgorithm algorithm;
    std::string pem;
    const char* error;
  };
  EVP_PKEY* const weak = EVP_RSA_gen(1024);
  EVP_PKEY* const other = EVP_EC_gen("P-384");
  const Case cases[] = {{"no key", JwtAlgorithm::kRs256, "hunter2", "cannot be read"},
                        {"EC for RSA", JwtAlgorithm::kPs256, PemOf(ec_), "of another kind"},
                        {"RSA for EC", JwtAlgorithm::kEs256, PemOf(rsa_), "of another kind"},
                        {"a short key", JwtAlgorithm::kRs256, PemOf(weak), "of another kind"},
                        {"another curve", JwtAlgorithm::kEs256, PemOf(other), "of another kind"}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto made = JwtSigner::Make(c.pem, c.algorithm, "");
    ASSERT_FALSE(made.ok());
    EXPECT_THAT(made.status().ToString(), HasSubstr(c.error));
    EXPECT_THAT(made.status().ToString(), Not(HasSubstr("hunter2")));
  }
  EVP_PKEY_free(weak);
  EVP_PKEY_free(other);
}

}  // namespace
}  // namespace tollbook
