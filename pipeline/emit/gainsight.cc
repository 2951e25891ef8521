#include "pipeline/emit/gainsight.h"

#include "pipeline/emit/account_report.h"
#include "pipeline/emit/erp_call.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr size_t kRecordsOfRequest = 50;

class GainsightEmitter final : public AccountReportEmitter {
 public:
  GainsightEmitter(const Target& target, const EmitterContext& context, std::unique_ptr<HttpClient> http)
      : AccountReportEmitter(target, context, std::move(http),
                             {.system = "Gainsight", .items_per_request = kRecordsOfRequest, .method = "PUT"}) {}

 private:
  StoredItem MakeRecord(const AccountRecord& record) const override {
    StoredItem stored;
    stored.key = record.id;
    stored.path = "/v1/data/objects/" + target().object + "?keys=" + target().external_id;
    stored.body = "{";
    AppendJsonMembers(target().external_id, record, &stored.body);
    stored.body += '}';
    return stored;
  }

  std::vector<std::string> HeadersOf(std::string_view, const StoredItem&) const override {
    return {"Content-Type: application/json"};
  }

  std::string RequestBody(std::span<const StoredItem> items) const override {
    std::string body = "{\"records\":[";
    for (const StoredItem& item : items) body += (&item == items.data() ? "" : ",") + item.body;
    return body + "]}";
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const HttpAnswer answer = SendItems(items);
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    const absl::StatusOr<JsonTree> said = ReadJsonTree(answer.body, "the answer");
    const std::string result = said.ok() ? ScalarAt(*said, "result") : "";
    if (answer.status == 200 && result == "true") {
      return Succeeded(Event::kConfirmed, "", ScalarAt(*said, "requestId"));
    }
    if (answer.status >= 400 || result == "false") {
      return Failed(Event::kRefused, Problem::kValidation, items.front().key + ": " + Summary(answer));
    }
    return Failed(Event::kUnclear, Problem::kAmbiguous,
                  "the answer does not say whether the records were taken: " + Summary(answer));
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeGainsightEmitter(const Target& target, const EmitterContext& context,
                                              std::unique_ptr<HttpClient> http) {
  return std::make_unique<GainsightEmitter>(target, context, std::move(http));
}

}  // namespace tollbook
