#include "pipeline/emit/jwt.h"

#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>

#include "pipeline/json_text.h"

namespace tollbook {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"RS256", "PS256", "ES256"};
constexpr int kRsaBitsLeast = 2048;  // RFC 7518 3.3
constexpr int kEcBytes = 32;         // of r and of s on P-256

std::string_view NameOf(JwtAlgorithm algorithm) {
  return kNames[static_cast<size_t>(algorithm)];
}

// In place of the terminal, where OpenSSL would ask.
int NoPassphrase(char*, int, int, void*) {
  return -1;
}

bool Fits(EVP_PKEY* key, JwtAlgorithm algorithm) {
  if (algorithm != JwtAlgorithm::kEs256) {
    return EVP_PKEY_base_id(key) == EVP_PKEY_RSA && EVP_PKEY_bits(key) >= kRsaBitsLeast;
  }
  char group[32] = "";
  return EVP_PKEY_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
         std::string_view(group) == "prime256v1";
}

// RFC 7518 3.4: r and s side by side, where OpenSSL has them as ASN.1.
bool ToFixed(std::string* signature) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(signature->data());
  ECDSA_SIG* parts = d2i_ECDSA_SIG(nullptr, &bytes, static_cast<long>(signature->size()));
  if (parts == nullptr) return false;
  std::string fixed(2 * kEcBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(fixed.data());
  const bool done = BN_bn2binpad(ECDSA_SIG_get0_r(parts), out, kEcBytes) == kEcBytes &&
                    BN_bn2binpad(ECDSA_SIG_get0_s(parts), out + kEcBytes, kEcBytes) == kEcBytes;
  ECDSA_SIG_free(parts);
  *signature = std::move(fixed);
  return done;
}

bool Signature(EVP_PKEY* key, JwtAlgorithm algorithm, std::string_view text, std::string* signature) {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  EVP_PKEY_CTX* about = nullptr;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  bool done = context != nullptr && EVP_DigestSignInit(context, &about, EVP_sha256(), nullptr, key) == 1;
  if (done && algorithm == JwtAlgorithm::kPs256) {
    done = EVP_PKEY_CTX_set_rsa_padding(about, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(about, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  size_t size = 0;
  done = done && EVP_DigestSign(context, nullptr, &size, bytes, text.size()) == 1;
  if (done) {
    signature->resize(size);
    done = EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature->data()), &size, bytes, text.size()) == 1;
    signature->resize(size);
  }
  EVP_MD_CTX_free(context);
  return done && (algorithm != JwtAlgorithm::kEs256 || ToFixed(signature));
}

}  // namespace

std::string Base64(std::string_view bytes) {
  std::string base64(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(base64.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  base64.resize(static_cast<size_t>(length));
  return base64;
}

std::string Base64Url(std::string_view bytes) {
  std::string base64 = Base64(bytes);
  while (base64.ends_with('=')) base64.pop_back();
  for (char& c : base64) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return base64;
}

absl::StatusOr<JwtSigner> JwtSigner::Make(std::string_view pem, JwtAlgorithm algorithm, std::string key_id) {
  BIO* const text = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Key key(PEM_read_bio_PrivateKey(text, nullptr, NoPassphrase, nullptr), EVP_PKEY_free);
  BIO_free(text);
  ERR_clear_error();
  const std::string name(NameOf(algorithm));
  if (key == nullptr) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "a private key cannot be read", "for " + name,
                     "write it as PEM, without a passphrase");
  }
  if (!Fits(key.get(), algorithm)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "a private key is of another kind", "for " + name,
                     "RS256 and PS256 take RSA of 2048 bits or more, ES256 takes EC on P-256");
  }
  return JwtSigner(std::move(key), algorithm, std::move(key_id));
}

absl::StatusOr<std::string> JwtSigner::Sign(std::string_view claims) const {
  std::string header = "{\"alg\":\"" + std::string(NameOf(algorithm_)) + "\",\"typ\":\"JWT\"";
  if (!key_id_.empty()) {
    header += ",\"kid\":";
    AppendJsonString(key_id_, &header);
  }
  std::string token = Base64Url(header + "}") + "." + Base64Url(claims);
  std::string signature;
  if (!Signature(key_.get(), algorithm_, token, &signature)) {
    ERR_clear_error();
    return MakeError(absl::StatusCode::kFailedPrecondition, "a private key does not sign",
                     "with " + std::string(NameOf(algorithm_)), "make another key and hand its public part in");
  }
  return token + "." + Base64Url(signature);
}

}  // namespace tollbook
