#include "pipeline/emit/chargebee.h"

#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "pipeline/emit/jwt.h"
#include "pipeline/emit/usage_report.h"

namespace tollbook {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kNote = "tollbook seal ";
constexpr size_t kIdBytes = 60;  // of what is there, in messages

std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// The seal that a record says it is of; none: it says none, and is of no book.
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
    if (said["list"].size() > 1) return Different(item, "two usages are there of one day: look who made them");
    const Json& entry = said["list"][0];
    return Replace(item, customer, entry.is_object() && entry.contains("usage") ? entry["usage"] : Json::object());
  }

  Attempt Replace(const StoredItem& item, const std::string& customer, const Json& there) {
    const std::string id = TextAt(there, "id");
    if (id == item.key) {
      if (SameQuantity(TextAt(there, "quantity"), FieldBetween(item.body, "quantity=", "&"))) {
        return Succeeded(DeliveryEvent::kConfirmed, "", id);
      }
      return Different(item, "it is there and says " + TextAt(there, "quantity") +
                                 ": look who changed it, or which other book of the same name told it");
    }
    const std::optional<uint64_t> seal = SealOf(there);
    if (!seal) return Different(item, "a usage of somebody else is there: " + id.substr(0, kIdBytes));
    if (std::optional<Attempt> end = NotOurs(item, there, id, *seal)) return *std::move(end);
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

  // Why a record of the day is not what this book told by that seal; none: it is.
  std::optional<Attempt> NotOurs(const StoredItem& item, const Json& there, const std::string& id, uint64_t seal) {
    const absl::StatusOr<std::optional<std::string>> told = ToldBy(seal, id);
    if (!told.ok()) {
      return OfReading(Failed(DeliveryEvent::kUnclear, DeliveryProblem::kConfiguration,
                              "the book does not say what was told: " + std::string(Std(told.status().message()))));
    }
    const std::string quantity = TextAt(there, "quantity");
    if (told->has_value() && SameQuantity(quantity, **told)) return std::nullopt;
    const std::string which = "a usage of " + quantity.substr(0, kIdBytes) + " is there, " + id.substr(0, kIdBytes) +
                              " of seal " + std::to_string(seal) + ", ";
    if (told->has_value()) return Different(item, which + "and this book told " + **told + ": look who changed it");
    return Different(item, which + "which this book has not told: another book did, or this one before it was lost");
  }

  // The quantity that this book has to tell, or has told, by that seal under the key; none: nothing. Reports of a seal
  // go through customers, codes and days in one order, so the next is mostly where the last one was.
  absl::StatusOr<std::optional<std::string>> ToldBy(uint64_t seal, const std::string& key) {
    if (told_by_.size() > kSealsKept && !told_by_.contains(seal)) told_by_.clear();
    ToldReport& at = told_by_[seal];
    const uint32_t begin = std::max(1u, at.part);
    for (const bool behind : {true, false}) {
      for (uint32_t part = behind ? begin : 1; behind || part < begin; ++part) {
        const absl::StatusOr<bool> opened = Open(seal, part, &at);
        if (!opened.ok()) return opened.status();
        if (!*opened) break;
        const auto found = at.quantities.find(key);
        if (found != at.quantities.end()) return std::optional(found->second);
      }
    }
    return std::optional<std::string>();
  }

  // The report of a seal that was looked in last, by its part; 0: none was.
  struct ToldReport {
    uint32_t part = 0;
    std::map<std::string, std::string> quantities = {};  // by key
  };
  // False: the seal has no such part.
  absl::StatusOr<bool> Open(uint64_t seal, uint32_t part, ToldReport* report) const {
    if (report->part == part) return true;
    const absl::StatusOr<std::optional<std::vector<StoredItem>>> items = ItemsOfReport(UsageReportName(seal, part));
    if (!items.ok()) return items.status();
    if (!items->has_value()) return false;
    *report = {part, {}};
    for (const StoredItem& one : **items) {
      report->quantities.emplace(one.key, FieldBetween(one.body, "quantity=", "&"));
    }
    return true;
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
  // What is there is not what this book says, and is left as it is.
  static Attempt Different(const StoredItem& item, const std::string& why) {
    return Failed(DeliveryEvent::kRefused, DeliveryProblem::kDifferent, item.key + ": " + why);
  }
  // Of text that MakeItem wrote, as it stands: encoded.
  static std::string FieldBetween(const std::string& text, std::string_view before, std::string_view behind) {
    const size_t begin = text.find(before) + before.size();
    return text.substr(begin, text.find(behind, begin) - begin);
  }

  static constexpr size_t kSealsKept = 100;  // of at most 100 items each
  std::map<uint64_t, ToldReport> told_by_;
};

}  // namespace

std::unique_ptr<Emitter> MakeChargebeeEmitter(const Target& target, const EmitterContext& context, Secret api_key) {
  return std::make_unique<ChargebeeEmitter>(target, context, std::move(api_key));
}

}  // namespace tollbook
