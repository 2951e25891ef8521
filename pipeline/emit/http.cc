#include "pipeline/emit/http.h"

#include <curl/curl.h>

#include <algorithm>
#include <cctype>

#include "rating/error.h"

namespace tollbook {
namespace {

constexpr long kConnectSeconds = 10;
constexpr long kIdleSeconds = 60;  // an ERP thinks for some seconds before the first byte of its answer
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

// Nothing can have reached the target: the connection was never made, or no byte of the request was written.
bool NothingLeft(CURL* curl, CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
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
  return request_bytes == 0 && pretransfer == 0;
}

class CurlClient final : public HttpClient {
 public:
  explicit CurlClient(HttpPolicy policy) : policy_(std::move(policy)) {
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
    HttpAnswer answer;
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
    answer.came = NothingLeft(curl_, code) ? HttpAnswer::Came::kNotSent : HttpAnswer::Came::kUnclear;
    answer.error = why[0] != '\0' ? why : curl_easy_strerror(code);
    if (code == CURLE_WRITE_ERROR) answer.error = "the answer has more than 4 MiB";
    return answer;
  }

 private:
  // `body` and `into` are borrowed until the request is done.
  void Configure(const HttpRequest& request, std::string_view* body, curl_slist* lines, char* why, std::string* into) {
    const auto set = [this](CURLoption option, auto value) {
      TOLLBOOK_ASSERT(curl_easy_setopt(curl_, option, value) == CURLE_OK);
    };
    set(CURLOPT_URL, request.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, "http,https");  // plain http was refused by the catalog, or said to be right
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    set(CURLOPT_SSL_VERIFYPEER, 1L);
    set(CURLOPT_SSL_VERIFYHOST, 2L);
    if (!policy_.ca_file.empty()) set(CURLOPT_CAINFO, policy_.ca_file.c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_CONNECTTIMEOUT, std::min(kConnectSeconds, static_cast<long>(policy_.timeout_seconds)));
    set(CURLOPT_TIMEOUT, static_cast<long>(policy_.timeout_seconds));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, kIdleSeconds);
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
    constexpr curl_off_t kLongest = 7 * 24 * 3600;  // a mistake, rather than a wish
    answer->retry_after_nanos = std::clamp(seconds, curl_off_t{0}, kLongest) * 1'000'000'000;
  }

  const HttpPolicy policy_;
  CURL* curl_ = nullptr;
};

}  // namespace

std::unique_ptr<HttpClient> MakeHttpClient(const HttpPolicy& policy) {
  return std::make_unique<CurlClient>(policy);
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
