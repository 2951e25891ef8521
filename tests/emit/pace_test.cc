#include <gtest/gtest.h>

#include "pipeline/emit/deliver.h"
#include "pipeline/emit/webhook.h"

namespace tollbook {
namespace {

// The longest wait after so many failures in a row; any shorter one is as likely.
TEST(BackOff, DoublesUpToItsCap) {
  struct Case {
    uint32_t failures;
    int64_t seconds_max;
  };
  constexpr Case kCases[] = {{1, 2}, {2, 4}, {3, 8}, {9, 512}, {10, 900}, {11, 900}, {4'000'000'000, 900}};
  Target target;
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.failures);
    const int64_t most = c.seconds_max * 1'000'000'000;
    EXPECT_EQ(BackOffNanos(target, c.failures, static_cast<uint64_t>(most)), most);
    EXPECT_EQ(BackOffNanos(target, c.failures, static_cast<uint64_t>(most) + 1), 0) << "never more than that";
    EXPECT_EQ(BackOffNanos(target, c.failures, 0), 0);
    EXPECT_LE(BackOffNanos(target, c.failures, UINT64_MAX), most);
  }
}

// openssl dgst -sha256 -hmac key -binary | base64, of "id.1.body".
TEST(Webhook, SignsIdTimeAndBody) {
  EXPECT_EQ(WebhookSignature("key", "id", "1", "body"), "v1,sYA3/+8KvyXbe4KAKZy0QWKFoLKSHDq/QWu0xQZyY7s=");
  EXPECT_NE(WebhookSignature("key", "id", "1", "body"), WebhookSignature("key", "id", "2", "body"));
  EXPECT_NE(WebhookSignature("key", "id", "1", "body"), WebhookSignature("kez", "id", "1", "body"));
}

}  // namespace
}  // namespace tollbook
