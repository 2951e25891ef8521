#include "pipeline/emit/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "rating/error.h"

namespace tollbook {
namespace {

constexpr size_t kSummaryBytes = 200;

// libcurl's own state, once a process and before any thread is made.
void PrepareCurl() {
  static const bool prepared = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  TOLLBOOK_ASSERT(prepared);
}

size_t TakeBody(char* bytes, size_t size, size_t count, void* into) {
  std::string& body = *static_cast<std::string*>(into);
  if (body.size() + size * count > kAnswerBytesMax) return 0;  // ends the transfer
  body.append(bytes, size * count);
  return size * count;
}

size_t GiveBody(char* into, size_t size, size_t count, void* from) {
  std::string_view& rest = *static_cast<std::string_view*>(from);
  const size_t bytes = std::min(rest.size(), size * count);
  std::copy_n(rest.data(), bytes, into);
  rest.remove_prefix(bytes);
  return bytes;
}

// libcurl sends a request again by itself when a connection that it used before dies without an answer. A body that
// cannot be wound back keeps it from that: whether to send again is not for it to say.
int NoWayBack(void*, curl_off_t, int) {
  return CURL_SEEKFUNC_FAIL;
}

// Where clouds give out the keys of their machines.
bool IsOfMachine(uint32_t v4) {
  return v4 >> 16 == 0xa9fe || v4 == 0x646464c8;  // 169.254/16, 100.100.100.200
}
// Of one network, or of none that is routed: 0/8, 10/8, 100.64/10, 127/8, 172.16/12, 192.0.0/24, 192.168/16, 198.18/15,
// multicast, broadcast.
bool IsPrivate(uint32_t v4) {
  return v4 >> 24 == 0 || v4 >> 24 == 10 || v4 >> 22 == 0x191 || v4 >> 24 == 127 || v4 >> 20 == 0xac1 ||
         v4 >> 8 == 0xc00000 || v4 >> 16 == 0xc0a8 || v4 >> 17 == 0x6309 || v4 >> 28 >= 14;
}
bool MayConnectV4(uint32_t v4, bool private_network) {
  return !IsOfMachine(v4) && (private_network || !IsPrivate(v4));
}

uint32_t BigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | bytes[3];
}

std::string TextOf(const sockaddr* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const bool is_v6 = address->sa_family == AF_INET6;
  const void* const bytes = is_v6 ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr)
                                  : &reinterpret_cast<const sockaddr_in*>(address)->sin_addr;
  return inet_ntop(is_v6 ? AF_INET6 : AF_INET, bytes, text.data(), text.size()) == nullptr ? "an address" : text.data();
}

// The address and the policy of a socket that is about to be made.
struct Door {
  bool private_network = false;
  std::string refused;  // the address
};

curl_socket_t OpenSocket(void* door, curlsocktype purpose, curl_sockaddr* address) {
  Door& at = *static_cast<Door*>(door);
  if (purpose != CURLSOCKTYPE_IPCXN || !MayConnect(&address->addr, at.private_network)) {
    at.refused = TextOf(&address->addr);
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

// The address that the url has in place of a name; none: it has a name.
std::optional<sockaddr_storage> AddressIn(const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), curl_url_cleanup);
  char* found = nullptr;
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK ||
      curl_url_get(parsed.get(), CURLUPART_HOST, &found, 0) != CURLUE_OK) {
    return std::nullopt;
  }
  std::string host = found;  // "127.0.0.1" of "0x7f.1", "[::1]"
  curl_free(found);
  sockaddr_storage address{};
  sockaddr_in& v4 = reinterpret_cast<sockaddr_in&>(address);
  sockaddr_in6& v6 = reinterpret_cast<sockaddr_in6&>(address);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    address.ss_family = AF_INET;
  } else if (inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    address.ss_family = AF_INET6;
  } else {
    return std::nullopt;
  }
  return address;
}

// Nothing can have reached the target: the connection was never made, or no byte of the request was written. What asks
// a proxy for a tunnel is counted with the request's bytes, though it is none of them.
bool NothingLeft(CURL* curl, CURLcode code, bool by_proxy) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      return true;
    default:
      break;
  }
  long request_bytes = 0;
  curl_off_t pretransfer = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &request_bytes);
  curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
  return (request_bytes == 0 || by_proxy) && pretransfer == 0;
}

// The certificate is of nobody whom `ca_file` trusts, or of another name than the url's. One that is too old, or not
// valid yet, is its holder's to renew.
bool IsOfAnother(CURL* curl, CURLcode code) {
  if (code == CURLE_SSL_CACERT_BADFILE) return true;
  long verified = X509_V_OK;
  curl_easy_getinfo(curl, CURLINFO_SSL_VERIFYRESULT, &verified);
  return code == CURLE_PEER_FAILED_VERIFICATION && verified != X509_V_ERR_CERT_HAS_EXPIRED &&
         verified != X509_V_ERR_CERT_NOT_YET_VALID;
}

class CurlClient final : public HttpClient {
 public:
  CurlClient(HttpPolicy policy, const HttpWaits& waits) : policy_(std::move(policy)), waits_(waits) {
    PrepareCurl();
    curl_ = curl_easy_init();
    TOLLBOOK_ASSERT(curl_ != nullptr);
  }
  CurlClient(const CurlClient&) = delete;
  CurlClient& operator=(const CurlClient&) = delete;
  ~CurlClient() override { curl_easy_cleanup(curl_); }

  HttpAnswer Post(const std::vector<std::string>& headers, std::string_view body) override {
    return Do({"POST", policy_.url, headers, body});
  }

  HttpAnswer Do(const HttpRequest& request) override {
    std::string_view body = request.body;
    curl_easy_reset(curl_);  // keeps the connection
    door_ = {policy_.private_network, ""};
    HttpAnswer answer;
    if (!policy_.proxy.empty()) {
      const std::optional<sockaddr_storage> address = AddressIn(request.url);
      const sockaddr* const there = address ? reinterpret_cast<const sockaddr*>(&*address) : nullptr;
      if (there != nullptr && !MayConnect(there, policy_.private_network)) {
        RefuseAddress(TextOf(there), "host", &answer);
        return answer;
      }
    }
    curl_slist* lines = nullptr;
    for (const std::string& header : request.headers) lines = curl_slist_append(lines, header.c_str());
    lines = curl_slist_append(lines, "Expect:");  // no round trip before the body
    char why[CURL_ERROR_SIZE] = "";
    Configure(request, &body, lines, why, &answer.body);
    const CURLcode code = curl_easy_perform(curl_);
    curl_slist_free_all(lines);
    if (code == CURLE_OK) {
      answer.came = HttpAnswer::Came::kAnswer;
      Read(&answer);
      return answer;
    }
    answer.came =
        NothingLeft(curl_, code, !policy_.proxy.empty()) ? HttpAnswer::Came::kNotSent : HttpAnswer::Came::kUnclear;
    answer.error = why[0] != '\0' ? why : curl_easy_strerror(code);
    if (answer.came == HttpAnswer::Came::kNotSent && !door_.refused.empty()) {
      RefuseAddress(door_.refused, policy_.proxy.empty() ? "host" : "proxy", &answer);
    }
    if (code == CURLE_SEND_FAIL_REWIND) answer.error = "the connection ended before an answer came";  // NoWayBack
    answer.certificate_refused = IsOfAnother(curl_, code);
    if (code == CURLE_WRITE_ERROR) answer.error = "the answer has more than 4 MiB";
    return answer;
  }

 private:
  void RefuseAddress(const std::string& address, const std::string& whose, HttpAnswer* answer) const {
    answer->address_refused = true;
    answer->error = address + ", the address of the " + whose + ", ";
    answer->error += policy_.private_network ? "gives out the keys of machines: nothing is sent there"
                                             : "is private: write `private_network: true` where that is meant to be";
  }

  // `body` and `into` are borrowed until the request is done.
  void Configure(const HttpRequest& request, std::string_view* body, curl_slist* lines, char* why, std::string* into) {
    const auto set = [this](CURLoption option, auto value) {
      TOLLBOOK_ASSERT(curl_easy_setopt(curl_, option, value) == CURLE_OK);
    };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");  // plain http was refused by the catalog, or said to be right
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_OPENSOCKETFUNCTION, OpenSocket);
    set(CURLOPT_OPENSOCKETDATA, static_cast<void*>(&door_));
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!policy_.ca_file.empty()) set(CURLOPT_CAINFO, policy_.ca_file.c_str());
    set(CURLOPT_PROXY, policy_.proxy.c_str());  // empty: none, whatever the environment says
    if (!policy_.proxy.empty()) {
      set(CURLOPT_NOPROXY, "");  // nor does it except anybody
      set(CURLOPT_HTTPPROXYTUNNEL, 1L);
      set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));  // headers have secrets
      set(CURLOPT_PROXY_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
      if (!policy_.ca_file.empty()) set(CURLOPT_PROXY_CAINFO, policy_.ca_file.c_str());
    }
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(std::min(waits_.connect_seconds, policy_.timeout_seconds)));
    set(CURLOPT_TIMEOUT, static_cast<long>(policy_.timeout_seconds));
    set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(waits_.idle_bytes));
    set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(waits_.idle_seconds));
    set(CURLOPT_USERAGENT, "tollbook");
    set(CURLOPT_HTTPHEADER, lines);
    set(CURLOPT_ERRORBUFFER, why);
    if (request.method != "GET") {
      set(CURLOPT_POST, 1L);
      if (request.method != "POST") set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
      set(CURLOPT_READFUNCTION, GiveBody);
      set(CURLOPT_READDATA, static_cast<void*>(body));
      set(CURLOPT_SEEKFUNCTION, NoWayBack);
    }
    set(CURLOPT_WRITEFUNCTION, TakeBody);
    set(CURLOPT_WRITEDATA, static_cast<void*>(into));
  }

  void Read(HttpAnswer* answer) {
    curl_easy_getinfo(curl_, CURLINFO_RESPONSE_CODE, &answer->status);
    char* type = nullptr;
    curl_easy_getinfo(curl_, CURLINFO_CONTENT_TYPE, &type);
    if (type != nullptr) answer->content_type = type;
    for (char& c : answer->content_type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    curl_header* location = nullptr;
    if (curl_easy_header(curl_, "Location", 0, CURLH_HEADER, -1, &location) == CURLHE_OK) {
      answer->location = location->value;
    }
    curl_off_t seconds = 0;
    curl_easy_getinfo(curl_, CURLINFO_RETRY_AFTER, &seconds);
    const curl_off_t kept = std::clamp(seconds, curl_off_t{0}, curl_off_t{kRetryAfterSecondsMax});
    answer->retry_after_nanos = kept * 1'000'000'000;
  }

  const HttpPolicy policy_;
  const HttpWaits waits_;
  CURL* curl_ = nullptr;
  Door door_;
};

}  // namespace

bool MayConnect(const sockaddr* address, bool private_network) {
  if (address->sa_family == AF_INET) {
    const uint32_t v4 = ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
    return MayConnectV4(v4, private_network);
  }
  if (address->sa_family != AF_INET6) return false;
  const uint8_t* const v6 = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr.s6_addr;
  const bool no_prefix = std::all_of(v6, v6 + 10, [](uint8_t byte) { return byte == 0; });
  constexpr uint8_t kNat64[12] = {0, 0x64, 0xff, 0x9b};
  const bool is_mapped = no_prefix && v6[10] == 0xff && v6[11] == 0xff;
  if (is_mapped || std::equal(v6, v6 + 12, kNat64)) return MayConnectV4(BigEndian(v6 + 12), private_network);
  if (v6[0] == 0x20 && v6[1] == 0x02) return MayConnectV4(BigEndian(v6 + 2), private_network);  // 6to4
  constexpr uint8_t kOwnNat64[6] = {0, 0x64, 0xff, 0x9b, 0, 1};  // a network's own: where in it the IPv4 is, it decides
  if (std::equal(v6, v6 + 6, kOwnNat64)) {
    const uint32_t parted = uint32_t{v6[6]} << 24 | uint32_t{v6[7]} << 16 | uint32_t{v6[9]} << 8 | v6[10];
    return private_network && !IsOfMachine(parted) && !IsOfMachine(BigEndian(v6 + 12));
  }
  constexpr uint8_t kMachine[16] = {0xfd, 0, 0x0e, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54};
  if (std::equal(v6, v6 + 16, kMachine)) return false;
  if (v6[0] == 0xfe && (v6[1] & 0xc0) == 0x80) return false;  // fe80::/10
  // ::/80 with ::1, fc00::/7, fec0::/10, multicast.
  const bool is_private =
      no_prefix || (v6[0] & 0xfe) == 0xfc || (v6[0] == 0xfe && (v6[1] & 0xc0) == 0xc0) || v6[0] == 0xff;
  return private_network || !is_private;
}

std::unique_ptr<HttpClient> MakeHttpClient(const HttpPolicy& policy) {
  return MakeHttpClient(policy, HttpWaits{});
}

std::unique_ptr<HttpClient> MakeHttpClient(const HttpPolicy& policy, const HttpWaits& waits) {
  return std::make_unique<CurlClient>(policy, waits);
}

std::string Summary(const HttpAnswer& answer) {
  if (answer.came != HttpAnswer::Came::kAnswer) return answer.error;
  std::string text;
  for (const char c : std::string_view(answer.body).substr(0, kSummaryBytes)) {
    const bool blank = static_cast<unsigned char>(c) <= ' ';
    if (!blank || (!text.empty() && text.back() != ' ')) text += blank ? ' ' : c;
  }
  return "HTTP " + std::to_string(answer.status) + (text.empty() ? "" : ": " + text);
}

}  // namespace tollbook
