// Http: requests to a target, by libcurl. One connection, used again.
//
// Connections to private addresses are made only where the policy says so, whatever the name of the host resolves to;
// to link-local ones, where clouds keep the keys of their machines, never. TLS is verified, 1.2 at least; redirects are
// not followed, for they would carry the request elsewhere; an answer is read up to kAnswerBytesMax. What the
// environment says of proxies is not heard. A proxy that the policy names makes tunnels to https urls; the address that
// is then looked at is the proxy's own, and the target's where its url has one in place of a name. What came of a
// request is told in three ways, for that is all that decides what may be done next.
#ifndef TOLLBOOK_PIPELINE_EMIT_HTTP_H_
#define TOLLBOOK_PIPELINE_EMIT_HTTP_H_

#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/targets.h"

namespace tollbook {

inline constexpr size_t kAnswerBytesMax = 4 << 20;

inline constexpr int64_t kRetryAfterSecondsMax = 7 * 24 * 3600;  // more is a mistake, rather than a wish

struct HttpAnswer {
  enum class Came : uint8_t {
    kAnswer,   // whole
    kNotSent,  // no byte of the request left: nothing can have happened
    kUnclear,  // some did, and no whole answer came
  };
  Came came = Came::kNotSent;
  long status = 0;
  std::string content_type;
  int64_t retry_after_nanos = 0;  // 0: not said; at most kRetryAfterSecondsMax
  std::string location;           // as the header says it, whatever the status; nobody follows it
  std::string body;
  std::string error;                 // for people, when it is no whole answer
  bool login_refused = false;        // kNotSent: because no login could be had, and not for want of a connection
  bool address_refused = false;      // kNotSent: by us, for the address of the host, or of its proxy, is private
  bool certificate_refused = false;  // kNotSent: by us, for who signed it or for its name; not for its age
  bool over_pace = false;            // kNotSent: by us, who sent as many requests as the target's limits let us
};

struct HttpRequest {
  std::string method = "POST";       // "GET", "PUT", "PATCH"
  std::string url;                   // on the policy's host
  std::vector<std::string> headers;  // whole lines: "Content-Type: application/json"
  std::string_view body = {};        // a GET has none
};

class HttpClient {
 public:
  virtual ~HttpClient() = default;
  virtual HttpAnswer Do(const HttpRequest& request) = 0;
  // POSTs the body to the policy's url.
  virtual HttpAnswer Post(const std::vector<std::string>& headers, std::string_view body) = 0;
};

// Whether a connection to the address may be made; of IPv4 addresses in IPv6, too.
[[nodiscard]] bool MayConnect(const sockaddr* address, bool private_network);

// How long is waited; of all that a request takes the policy's timeout_seconds is the limit.
struct HttpWaits {
  uint32_t connect_seconds = 10;
  uint32_t idle_seconds = 60;  // without a byte; an ERP thinks for some seconds before the first one of its answer
  uint32_t idle_bytes = 1;     // fewer a second, of the last five, are none
};

// `ca_file` of the policy is as it is to be opened.
[[nodiscard]] std::unique_ptr<HttpClient> MakeHttpClient(const HttpPolicy& policy);
[[nodiscard]] std::unique_ptr<HttpClient> MakeHttpClient(const HttpPolicy& policy, const HttpWaits& waits);

// "429 (text of the answer …)": what a person is told of an answer, short and on one line.
[[nodiscard]] std::string Summary(const HttpAnswer& answer);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_HTTP_H_
