#include "pipeline/emit/chargebee.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "pipeline/emit/jwt.h"
#include "pipeline/emit/usage_report.h"

namespace tollbook {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kNote = "tollbook seal ";

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The seal that a record of ours is of; none: it is not ours.
std::optional<uint64_t> SealOf(const Json& usage) {
  const std::string note = TextAt(usage, "note");
  if (!TextAt(usage, "id").starts_with("tb-") || !note.starts_with(kNote)) return std::nullopt;
  uint64_t seal = 0;
  const char* const end = note.data() + note.size();
  const auto [rest, error] = std::from_chars(note.data() + kNote.size(), end, seal);
  return error == std::errc() && rest == end ? std::optional(seal) : std::nullopt;
}

class ChargebeeEmitter final : public UsageReportEmitter {
 public:
  ChargebeeEmitter(const Target& target, const EmitterContext& context, Secret api_key)
      : UsageReportEmitter(target, context, std::move(api_key), {.system = "Chargebee"}) {}

 private:
  StoredItem MakeItem(const UsageItem& item, uint64_t seal) const override {
    StoredItem stored;
    stored.path = "/subscriptions/" + PercentEncoded(item.customer) + "/usages";
    stored.body = "id=" + item.key + "&item_price_id=" + PercentEncoded(item.code) +
                  "&quantity=" + ToString(item.after) +
                  "&usage_date=" + std::to_string(item.start.nanos / 1'000'000'000) +
                  "&note=" + PercentEncoded(std::string(kNote) + std::to_string(seal));
    return stored;
  }

  std::string WhyNotTaken(const StoredItem& item) const override {
    const std::string quantity = FieldBetween(item.body, "quantity=", "&");
    if (!quantity.starts_with('-')) return "";
    return "Chargebee takes no negative usage, and the day's is " + quantity + ": give the credit there by hand";
  }

  std::vector<std::string> Headers(std::string_view secret) const override {
    return {"Authorization: Basic " + (secret == "****" ? "****" : Base64(std::string(secret) + ":")),
            "Content-Type: application/x-www-form-urlencoded"};
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const StoredItem& item = items.front();
    const std::string customer = FieldBetween(item.path, "/subscriptions/", "/usages");
    const std::string day = std::to_string(item.start_seconds);
    const HttpAnswer answer = Get("/usages?limit=2&subscription_id%5Bis%5D=" + customer +
                                  "&item_price_id%5Bis%5D=" + FieldBetween(item.body, "item_price_id=", "&") +
                                  "&usage_date%5Bbetween%5D=%5B" + day + "%2C" + day + "%5D");
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return OfReading(*std::move(end));
    if (answer.status != 200) return Refused(item, Summary(answer));
    const Json said = Json::parse(answer.body, nullptr, false);
    if (!said.is_object() || !said.contains("list") || !said["list"].is_array()) {
      return OfReading(Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                              "the answer is no list of usages: " + Summary(answer)));
    }
    if (said["list"].empty()) return Create(item);
    if (said["list"].size() > 1) return Refused(item, "two usages are there of one day: look who made them");
    const Json& entry = said["list"][0];
    return Replace(item, customer, entry.is_object() && entry.contains("usage") ? entry["usage"] : Json::object());
  }

  Attempt Replace(const StoredItem& item, const std::string& customer, const Json& there) {
    const std::string id = TextAt(there, "id");
    if (id == item.key) {
      if (SameQuantity(TextAt(there, "quantity"), FieldBetween(item.body, "quantity=", "&"))) {
        return Succeeded(DeliveryEvent::kConfirmed, "", id);
      }
      return Refused(item, "it is there and says " + TextAt(there, "quantity") + ": look who changed it");
    }
    const std::optional<uint64_t> seal = SealOf(there);
    if (!seal) return Refused(item, "a usage of somebody else is there: " + id.substr(0, 60));
    const std::string ours = FieldBetween(item.body, "note=tollbook%20seal%20", "&");
    if (std::to_string(*seal).size() > ours.size() ||
        (std::to_string(*seal).size() == ours.size() && std::to_string(*seal) >= ours)) {
      return Succeeded(DeliveryEvent::kConfirmed, "", id);  // a newer seal's says all that this one would
    }
    const HttpAnswer answer = Post("/subscriptions/" + customer + "/delete_usage", "id=" + PercentEncoded(id));
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    if (answer.status != 200) return Refused(item, "the earlier usage cannot be deleted: " + Summary(answer));
    return Create(item);
  }

  Attempt Create(const StoredItem& item) {
    const HttpAnswer answer = Post(item.path, item.body);
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    const Json said = Json::parse(answer.body, nullptr, false);
    if (answer.status == 200) {
      if (said.is_object() && said.contains("usage") && TextAt(said["usage"], "id") == item.key) {
        return Succeeded(DeliveryEvent::kConfirmed, "", item.key);
      }
      return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                    "the answer does not name the usage: " + Summary(answer));
    }
    // It came into being since it was looked for.
    if (said.is_object() && TextAt(said, "param") == "id") {
      return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous, Summary(answer));
    }
    return Refused(item, Summary(answer));
  }

  static Attempt Refused(const StoredItem& item, const std::string& why) {
    return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, item.key + ": " + why);
  }
  // Of text that MakeItem wrote, as it stands: encoded.
  static std::string FieldBetween(const std::string& text, std::string_view before, std::string_view behind) {
    const size_t begin = text.find(before) + before.size();
    return text.substr(begin, text.find(behind, begin) - begin);
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeChargebeeEmitter(const Target& target, const EmitterContext& context, Secret api_key) {
  return std::make_unique<ChargebeeEmitter>(target, context, std::move(api_key));
}

}  // namespace tollbook
