#include "pipeline/emit/stripe.h"

#include <nlohmann/json.hpp>

#include "pipeline/emit/usage_report.h"

namespace tollbook {
namespace {

using Json = nlohmann::json;

// A text at a path of member names; empty when there is none.
std::string TextAt(const Json& json, std::initializer_list<const char*> path) {
  const Json* at = &json;
  for (const char* name : path) {
    const auto found = at->find(name);
    if (found == at->end()) return "";
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : "";
}

class StripeEmitter final : public UsageReportEmitter {
 public:
  StripeEmitter(const Target& target, const EmitterContext& context, Secret api_key)
      : UsageReportEmitter(target, context, std::move(api_key),
                           {.system = "Stripe",
                            .remembers_seconds = 23 * 3600,  // Stripe's 24 hours, and one for the clocks
                            .reaches_back_seconds = 35 * 86'400}) {}

 private:
  StoredItem MakeItem(const UsageItem& item, uint64_t) const override {
    StoredItem stored;
    stored.path = "/v1/billing/meter_events";
    stored.body = "event_name=" + PercentEncoded(item.code) + "&identifier=" + item.key +
                  "&timestamp=" + std::to_string(item.start.nanos / 1'000'000'000) +
                  "&payload%5Bstripe_customer_id%5D=" + PercentEncoded(item.customer) +
                  "&payload%5Bvalue%5D=" + ToString(item.change);
    return stored;
  }

  std::string WhyNotTaken(const StoredItem& item) const override {
    const size_t value = item.body.rfind('=') + 1;
    if (item.body.find('.', value) == std::string::npos) return "";
    return "Stripe takes whole numbers only, and the day changed by " + item.body.substr(value) +
           ": bill it there by hand; a meter of a smaller unit has no such parts";
  }

  std::vector<std::string> Headers(std::string_view secret) const override {
    return {"Authorization: Bearer " + std::string(secret), "Content-Type: application/x-www-form-urlencoded"};
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const StoredItem& item = items.front();
    const HttpAnswer answer = Post(item.path, item.body);
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    const Json said = Json::parse(answer.body, nullptr, false);
    if (answer.status == 200) {
      if (said.is_object() && TextAt(said, {"identifier"}) == item.key) {
        return Succeeded(DeliveryEvent::kConfirmed, "", item.key);
      }
      return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                    "the answer does not name the event: " + Summary(answer));
    }
    const std::string message = said.is_object() ? TextAt(said, {"error", "message"}) : "";
    if (answer.status == 400 && message.find("already exists") != std::string::npos &&
        message.find(item.key) != std::string::npos) {
      return Succeeded(DeliveryEvent::kConfirmed, "", item.key);
    }
    return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, item.key + ": " + Summary(answer));
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeStripeEmitter(const Target& target, const EmitterContext& context, Secret api_key) {
  return std::make_unique<StripeEmitter>(target, context, std::move(api_key));
}

}  // namespace tollbook
