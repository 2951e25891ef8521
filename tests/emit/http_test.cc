// To which addresses a connection may be made, by which proxy, and when an answer is given up.
#include "pipeline/emit/http.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>

namespace tollbook {
namespace {

bool MayConnect(const char* text, bool private_network) {
  sockaddr_in v4 = {};
  v4.sin_family = AF_INET;
  if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
    return tollbook::MayConnect(reinterpret_cast<const sockaddr*>(&v4), private_network);
  }
  sockaddr_in6 v6 = {};
  v6.sin6_family = AF_INET6;
  EXPECT_EQ(inet_pton(AF_INET6, text, &v6.sin6_addr), 1) << text;
  return tollbook::MayConnect(reinterpret_cast<const sockaddr*>(&v6), private_network);
}

// The first and last addresses of each range, and their neighbours.
TEST(Http, ConnectsToPrivateAddressesOnlyWhenSaid) {
  enum Reach { kAnywhere, kPrivate, kNever };
  struct Case {
    const char* address;
    Reach reach;
  };
  constexpr Case kCases[] = {
      {"8.8.8.8", kAnywhere},
      {"0.0.0.0", kPrivate},
      {"0.255.255.255", kPrivate},
      {"1.0.0.0", kAnywhere},
      {"9.255.255.255", kAnywhere},
      {"10.0.0.0", kPrivate},
      {"10.255.255.255", kPrivate},
      {"11.0.0.0", kAnywhere},
      {"100.63.255.255", kAnywhere},
      {"100.64.0.0", kPrivate},
      {"100.127.255.255", kPrivate},
      {"100.128.0.0", kAnywhere},
      {"100.100.100.199", kPrivate},
      {"100.100.100.200", kNever},
      {"127.0.0.1", kPrivate},
      {"127.255.255.255", kPrivate},
      {"128.0.0.0", kAnywhere},
      {"169.253.255.255", kAnywhere},
      {"169.254.0.0", kNever},
      {"169.254.169.254", kNever},
      {"169.254.255.255", kNever},
      {"169.255.0.0", kAnywhere},
      {"172.15.255.255", kAnywhere},
      {"172.16.0.0", kPrivate},
      {"172.31.255.255", kPrivate},
      {"172.32.0.0", kAnywhere},
      {"191.255.255.255", kAnywhere},
      {"192.0.0.0", kPrivate},
      {"192.0.0.255", kPrivate},
      {"192.0.1.0", kAnywhere},
      {"192.167.255.255", kAnywhere},
      {"192.168.0.0", kPrivate},
      {"192.168.255.255", kPrivate},
      {"192.169.0.0", kAnywhere},
      {"198.17.255.255", kAnywhere},
      {"198.18.0.0", kPrivate},
      {"198.19.255.255", kPrivate},
      {"198.20.0.0", kAnywhere},
      {"223.255.255.255", kAnywhere},
      {"224.0.0.1", kPrivate},
      {"255.255.255.255", kPrivate},

      {"2001:4860:4860::8888", kAnywhere},
      {"::", kPrivate},
      {"::1", kPrivate},
      {"::127.0.0.1", kPrivate},
      {"::ffff:8.8.8.8", kAnywhere},
      {"::ffff:10.0.0.1", kPrivate},
      {"::ffff:169.254.169.254", kNever},
      {"64:ff9b::8.8.8.8", kAnywhere},
      {"64:ff9b::10.0.0.1", kPrivate},
      {"64:ff9b::169.254.169.254", kNever},
      {"64:ff9b:1::808:808", kPrivate},
      {"64:ff9b:1::169.254.169.254", kNever},
      {"64:ff9b:1:a9fe:a9:fe00::", kNever},
      {"2002:808:808::1", kAnywhere},
      {"2002:a00:1::1", kPrivate},
      {"2002:a9fe:a9fe::1", kNever},
      {"fbff::1", kAnywhere},
      {"fc00::1", kPrivate},
      {"fd00:ec2::253", kPrivate},
      {"fd00:ec2::254", kNever},
      {"fdff::1", kPrivate},
      {"fe00::1", kAnywhere},
      {"fe80::1", kNever},
      {"febf::1", kNever},
      {"fec0::1", kPrivate},
      {"ff02::1", kPrivate},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.address);
    EXPECT_EQ(MayConnect(c.address, false), c.reach == kAnywhere);
    EXPECT_EQ(MayConnect(c.address, true), c.reach != kNever);
  }
}

TEST(Http, ConnectsToNothingButAddresses) {
  sockaddr other = {};
  other.sa_family = AF_UNIX;
  EXPECT_FALSE(tollbook::MayConnect(&other, true));
}

// A server on the loopback: keeps the heads of what it is sent, and answers each with `reply`; with none where that is
// empty, and waits until the other hangs up.
class Listener {
 public:
  explicit Listener(std::string reply) : reply_(std::move(reply)) {
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url_ = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Serve(); });
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() {
    shutdown(socket_, SHUT_RDWR);
    thread_.join();
    close(socket_);
  }

  const std::string& url() const { return url_; }
  std::vector<std::string> heads() {
    const std::lock_guard lock(mutex_);
    return heads_;
  }

 private:
  void Serve() {
    for (;;) {
      const int peer = accept(socket_, nullptr, nullptr);
      if (peer < 0) return;
      std::string head;
      char bytes[4096];
      ssize_t read = 1;
      while (read > 0 && head.find("\r\n\r\n") == std::string::npos) {
        read = recv(peer, bytes, sizeof bytes, 0);
        if (read > 0) head.append(bytes, static_cast<size_t>(read));
      }
      {
        const std::lock_guard lock(mutex_);
        heads_.push_back(head);
      }
      if (!reply_.empty()) {
        EXPECT_EQ(send(peer, reply_.data(), reply_.size(), MSG_NOSIGNAL), static_cast<ssize_t>(reply_.size()));
      }
      while (reply_.empty() && recv(peer, bytes, sizeof bytes, 0) > 0) {
      }
      close(peer);
    }
  }

  const std::string reply_;
  std::string url_;
  int socket_ = -1;
  std::mutex mutex_;
  std::vector<std::string> heads_;
  std::thread thread_;
};

constexpr char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
constexpr char kForbidden[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

HttpPolicy PolicyOf(const std::string& url, const std::string& proxy = "") {
  HttpPolicy policy;
  policy.url = url;
  policy.proxy = proxy;
  policy.private_network = true;
  return policy;
}

// Set while it lives.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() { unsetenv(name_); }

 private:
  const char* const name_;
};

TEST(Http, GivesUpAnAnswerThatDoesNotComeOn) {
  Listener silent("");
  HttpWaits waits;
  waits.idle_seconds = 1;        // of the policy's 120
  waits.idle_bytes = 1'000'000;  // so that the request's own do not count for the first five
  const HttpAnswer answer = MakeHttpClient(PolicyOf(silent.url()), waits)->Post({}, "usage");
  EXPECT_EQ(answer.came, HttpAnswer::Came::kUnclear) << "it may have been taken";
  EXPECT_THAT(answer.error, testing::HasSubstr("too slow"));
  EXPECT_EQ(silent.heads().size(), 1u);
}

// What answers may be no HTTP at all, and have carried it out.
TEST(Http, DoesNotTakeAnAnswerInAnotherProtocolForNothingSent) {
  for (const char* reply : {"SSH-2.0-OpenSSH_9.2\r\n", "\n", "+OK ready\r\n"}) {
    SCOPED_TRACE(reply);
    Listener other(reply);
    const HttpAnswer answer = MakeHttpClient(PolicyOf(other.url()))->Post({}, "usage");
    EXPECT_EQ(answer.came, HttpAnswer::Came::kUnclear) << answer.error;
    EXPECT_EQ(other.heads().size(), 1u);
  }
}

TEST(Http, HearsNothingOfProxiesFromTheEnvironment) {
  Listener target(kOk), proxy(kOk);
  const Environment http("http_proxy", proxy.url()), https("https_proxy", proxy.url()), all("ALL_PROXY", proxy.url());
  const HttpAnswer answer = MakeHttpClient(PolicyOf(target.url()))->Post({}, "usage");
  EXPECT_EQ(answer.came, HttpAnswer::Came::kAnswer) << answer.error;
  EXPECT_EQ(target.heads().size(), 1u);
  EXPECT_THAT(proxy.heads(), testing::IsEmpty());
  const HttpAnswer tls = MakeHttpClient(PolicyOf("https://127.0.0.1:1/"))->Post({}, "usage");
  EXPECT_EQ(tls.came, HttpAnswer::Came::kNotSent);
  EXPECT_THAT(proxy.heads(), testing::IsEmpty());
}

TEST(Http, AsksItsProxyForATunnelAndTellsItNoMore) {
  Listener proxy(kForbidden);
  const Environment none("no_proxy", "*");
  const std::unique_ptr<HttpClient> client = MakeHttpClient(PolicyOf("https://erp.example/journals", proxy.url()));
  const HttpAnswer answer = client->Post({"Authorization: Bearer canary"}, "usage");
  EXPECT_EQ(answer.came, HttpAnswer::Came::kNotSent) << "no byte of it left, though the proxy was spoken to";
  EXPECT_THAT(answer.error, testing::HasSubstr("403"));
  ASSERT_EQ(proxy.heads().size(), 1u);
  EXPECT_TRUE(proxy.heads()[0].starts_with("CONNECT erp.example:443 HTTP/1.1\r\n")) << proxy.heads()[0];
  EXPECT_THAT(proxy.heads()[0], testing::Not(testing::HasSubstr("canary")));
  EXPECT_THAT(proxy.heads()[0], testing::Not(testing::HasSubstr("journals")));
}

TEST(Http, LooksAtTheProxysAddressAndAtThatInTheUrl) {
  Listener proxy(kForbidden);
  HttpPolicy open = PolicyOf("https://erp.example/", proxy.url());
  open.private_network = false;
  const HttpAnswer answer = MakeHttpClient(open)->Post({}, "usage");
  EXPECT_TRUE(answer.address_refused);
  EXPECT_THAT(answer.error, testing::HasSubstr("127.0.0.1, the address of the proxy, is private"));
  for (const char* url : {"https://169.254.169.254/", "https://0xa9fea9fe/", "https://2852039166/",
                          "https://[fe80::1]/", "https://[::ffff:169.254.169.254]/"}) {
    SCOPED_TRACE(url);
    const HttpAnswer refused = MakeHttpClient(PolicyOf(url, proxy.url()))->Post({}, "usage");
    EXPECT_TRUE(refused.address_refused);
    EXPECT_EQ(refused.came, HttpAnswer::Came::kNotSent);
    EXPECT_THAT(refused.error, testing::HasSubstr("the address of the host, gives out the keys of machines"));
  }
  EXPECT_THAT(proxy.heads(), testing::IsEmpty());
}

}  // namespace
}  // namespace tollbook
