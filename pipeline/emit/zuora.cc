#include "pipeline/emit/zuora.h"

#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

// "2026-10-31T23:00:00.000+00:00", of whole seconds.
std::string ZuoraTime(Instant at) {
  std::string text = ToString(at);
  text.pop_back();  // Z
  return text + ".000+00:00";
}

class ZuoraEmitter final : public UsageReportEmitter {
 public:
  ZuoraEmitter(const Target& target, const EmitterContext& context, std::unique_ptr<HttpClient> http)
      : UsageReportEmitter(target, context, Secret(), std::move(http),
                           {.system = "Zuora",
                            // Zuora's 24 hours, and one for the clocks; by a field it can be looked for at any time.
                            .remembers_seconds = target.key_field.empty() ? 23 * 3600 : 0}) {}

 private:
  StoredItem MakeItem(const UsageItem& item, uint64_t) const override {
    const size_t slash = item.customer.find('/');
    StoredItem stored;
    stored.path = "/v1/object/usage";
    stored.body = "{";
    AppendMember("AccountNumber", item.customer.substr(0, slash), &stored.body);
    AppendMember("SubscriptionNumber", item.customer.substr(slash + 1), &stored.body);
    AppendMember("UOM", item.code, &stored.body);
    stored.body += ",\"Quantity\":" + ToString(item.change);
    AppendMember("StartDateTime", ZuoraTime(item.start), &stored.body);
    AppendMember("Description", item.key, &stored.body);
    if (!target().key_field.empty()) AppendMember(target().key_field, item.key, &stored.body);
    stored.body += '}';
    return stored;
  }

  std::vector<std::string> Headers(std::string_view) const override { return {"Content-Type: application/json"}; }
  std::vector<std::string> HeadersOf(std::string_view secret, const StoredItem& item) const override {
    std::vector<std::string> headers = Headers(secret);
    if (!item.key.empty()) headers.push_back("Idempotency-Key: " + item.key);
    return headers;
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const StoredItem& item = items.front();
    if (!target().key_field.empty()) {
      if (std::optional<Attempt> found = Look(item)) return *std::move(found);
    }
    return Create(items);
  }

  // None: it is not there.
  std::optional<Attempt> Look(const StoredItem& item) {
    std::string query = "{";
    AppendMember("queryString", "select Id, Quantity from Usage where " + target().key_field + " = '" + item.key + "'",
                 &query);
    const HttpAnswer answer = Post("/v1/action/query", query + "}");
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return OfReading(*std::move(end));
    if (answer.status >= 400) return Refused(item, Summary(answer));
    const absl::StatusOr<JsonTree> said = ReadJsonTree(answer.body, "the answer");
    const std::string size = said.ok() ? ScalarAt(*said, "size") : "";
    if (answer.status == 200 && size == "0") return std::nullopt;
    const JsonTree* const records = said.ok() ? said->Find("records") : nullptr;
    if (records == nullptr || records->kind != JsonTree::Kind::kList || records->items.empty()) {
      return OfReading(
          Failed(Event::kUnclear, Problem::kAmbiguous, "the answer is no list of usage: " + Summary(answer)));
    }
    if (records->items.size() > 1) {
      return Refused(item, "two records of this key are there: delete one of them", Problem::kDifferent);
    }
    const std::string there = ScalarAt(records->items.front(), "Quantity");
    const absl::StatusOr<JsonTree> ours = ReadJsonTree(item.body, "the stored usage");
    if (!ours.ok() || !SameQuantity(there, ScalarAt(*ours, "Quantity"))) {
      return Refused(
          item, "it is there and says " + there + ": look who changed it, or which other book of the same name told it",
          Problem::kDifferent);
    }
    return Succeeded(Event::kConfirmed, "", ScalarAt(records->items.front(), "Id"));
  }

  Attempt Create(std::span<const StoredItem> items) {
    const StoredItem& item = items.front();
    const HttpAnswer answer = SendItems(items);
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    const absl::StatusOr<JsonTree> said = ReadJsonTree(answer.body, "the answer");
    std::string success = said.ok() ? ScalarAt(*said, "Success") : "";
    if (success.empty() && said.ok()) success = ScalarAt(*said, "success");
    // The first request under this key is still under way.
    if (answer.status == 409) return Failed(Event::kUnclear, Problem::kAmbiguous, Summary(answer));
    const std::string id = said.ok() ? ScalarAt(*said, "Id") : "";
    if (answer.status == 200 && success == "true" && !id.empty()) return Succeeded(Event::kConfirmed, "", id);
    if (answer.status >= 400 || success == "false") return Refused(item, Summary(answer));
    return Failed(Event::kUnclear, Problem::kAmbiguous, "the answer does not name the usage: " + Summary(answer));
  }

  static Attempt Refused(const StoredItem& item, const std::string& why, Problem problem = Problem::kValidation) {
    return Failed(Event::kRefused, problem, item.key + ": " + why);
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeZuoraEmitter(const Target& target, const EmitterContext& context,
                                          std::unique_ptr<HttpClient> http) {
  return std::make_unique<ZuoraEmitter>(target, context, std::move(http));
}

}  // namespace tollbook
