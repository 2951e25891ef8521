// To which addresses a connection may be made.
#include "pipeline/emit/http.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

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

}  // namespace
}  // namespace tollbook
