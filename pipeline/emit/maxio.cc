#include "pipeline/emit/maxio.h"

#include "pipeline/emit/jwt.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

bool IsWhole(std::string_view id) {
  return id.size() <= 18 && id.front() != '0' && id.find_first_not_of("0123456789") == std::string_view::npos;
}

class MaxioEmitter final : public UsageReportEmitter {
 public:
  MaxioEmitter(const Target& target, const EmitterContext& context, Secret api_key)
      : UsageReportEmitter(
            target, context, std::move(api_key),
            {.system = "Maxio", .items_max = 1000, .items_per_request = 1000, .remembers_seconds = 30 * 86'400}) {
  }  // Maxio's 31 days, less one

 private:
  StoredItem MakeItem(const UsageItem& item, uint64_t) const override {
    StoredItem stored;
    stored.path = "/events/" + PercentEncoded(item.code) + "/bulk.json";
    stored.body = "{\"chargify\":{";
    if (IsWhole(item.customer)) {
      stored.body += "\"subscription_id\":" + item.customer;
    } else {
      stored.body += "\"subscription_reference\":";
      AppendJsonString(item.customer, &stored.body);
    }
    stored.body += ",\"timestamp\":\"" + ToString(item.start) + "\",\"uniqueness_token\":\"" + item.key +
                   "\"},\"quantity\":" + ToString(item.change) + "}";
    return stored;
  }

  std::vector<std::string> Headers(std::string_view secret) const override {
    return {"Authorization: Basic " + (secret == "****" ? "****" : Base64(std::string(secret) + ":x")),
            "Content-Type: application/json"};
  }

  std::string RequestBody(std::span<const StoredItem> items) const override {
    std::string body = "[";
    for (const StoredItem& item : items) body += (body.size() > 1 ? "," : "") + item.body;
    return body + "]";
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const HttpAnswer answer = Post(items.front().path, RequestBody(items));
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    if (answer.status == 201) return Succeeded(DeliveryEvent::kConfirmed, "", items.front().key);
    if (answer.status < 400) {
      return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                    "the answer does not say that the events were created: " + Summary(answer));
    }
    return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, items.front().key + ": " + Summary(answer));
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeMaxioEmitter(const Target& target, const EmitterContext& context, Secret api_key) {
  return std::make_unique<MaxioEmitter>(target, context, std::move(api_key));
}

}  // namespace tollbook
