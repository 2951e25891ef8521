#include "pipeline/emit/salesforce.h"

#include <set>

#include "pipeline/emit/account_report.h"
#include "pipeline/emit/erp_call.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr size_t kRecordsOfRequest = 200;

// The first error of a record, or of a whole answer: its code and its words.
struct Said {
  std::string code, message;
};
Said FirstErrorOf(const JsonTree* errors, std::string_view code) {
  if (errors == nullptr || errors->kind != JsonTree::Kind::kList || errors->items.empty()) return {};
  return {ScalarAt(errors->items.front(), code), ScalarAt(errors->items.front(), "message")};
}

class SalesforceEmitter final : public AccountReportEmitter {
 public:
  SalesforceEmitter(const Target& target, const EmitterContext& context, std::unique_ptr<HttpClient> http)
      : AccountReportEmitter(target, context, std::move(http),
                             {.system = "Salesforce", .items_per_request = kRecordsOfRequest, .method = "PATCH"}) {}

 private:
  StoredItem MakeRecord(const AccountRecord& record) const override {
    StoredItem stored;
    stored.key = record.id;
    stored.path = "/services/data/" + target().api_version + "/composite/sobjects/" + target().object + "/" +
                  target().external_id;
    stored.body = "{\"attributes\":{\"type\":";
    AppendJsonString(target().object, &stored.body);
    stored.body += "},";
    AppendJsonMembers(target().external_id, record, &stored.body);
    stored.body += '}';
    return stored;
  }

  std::vector<std::string> HeadersOf(std::string_view, const StoredItem&) const override {
    return {"Content-Type: application/json"};
  }

  std::string RequestBody(std::span<const StoredItem> items) const override {
    std::string body = "{\"allOrNone\":false,\"records\":[";
    for (const StoredItem& item : items) body += (&item == items.data() ? "" : ",") + item.body;
    return body + "]}";
  }

  std::vector<Attempt> TellEach(std::span<const StoredItem> items) override {
    const HttpAnswer answer = SendItems(items);
    const absl::StatusOr<JsonTree> said = ReadJsonTree(answer.body, "the answer");
    if (answer.came == HttpAnswer::Came::kAnswer && answer.status >= 400 && said.ok()) {
      const Said error = FirstErrorOf(&*said, "errorCode");
      if (error.code == "REQUEST_LIMIT_EXCEEDED") {
        Attempt wait = Failed(Event::kNotApplied, Problem::kRateLimit, Summary(answer));
        wait.wait_nanos = answer.retry_after_nanos;
        wait.pause_target = true;
        return {wait};
      }
    }
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return {*std::move(end)};
    if (answer.status >= 400) {
      return {Failed(Event::kRefused, Problem::kValidation, items.front().key + ": " + Summary(answer))};
    }
    const bool is_list = answer.status == 200 && said.ok() && said->kind == JsonTree::Kind::kList;
    if (!is_list || said->items.size() != items.size()) {
      return {Failed(Event::kUnclear, Problem::kAmbiguous, "the answer is not of these records: " + Summary(answer))};
    }
    std::vector<Attempt> each;
    std::set<std::string> ids;
    for (size_t i = 0; i < items.size(); ++i) {
      each.push_back(OfRecord(items[i], said->items[i]));
      // Two results of one record: another's is missing.
      const std::string& id = each.back().step.document;
      if (!id.empty() && !ids.insert(id).second) {
        return {Failed(Event::kUnclear, Problem::kAmbiguous, "the answer has two results of record " + id)};
      }
    }
    return each;
  }

  static Attempt OfRecord(const StoredItem& item, const JsonTree& result) {
    const std::string success = ScalarAt(result, "success");
    if (success == "true") return Succeeded(Event::kConfirmed, "", ScalarAt(result, "id"));
    const Said error = FirstErrorOf(result.Find("errors"), "statusCode");
    const std::string words = item.key + ": " + error.code + " " + error.message;
    if (success != "false") {
      return Failed(Event::kUnclear, Problem::kAmbiguous, item.key + ": the answer does not say whether it was taken");
    }
    if (error.code == "UNABLE_TO_LOCK_ROW") return Failed(Event::kNotApplied, Problem::kAvailability, words);
    return Failed(Event::kRefused, Problem::kValidation, words);
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeSalesforceEmitter(const Target& target, const EmitterContext& context,
                                               std::unique_ptr<HttpClient> http) {
  return std::make_unique<SalesforceEmitter>(target, context, std::move(http));
}

}  // namespace tollbook
