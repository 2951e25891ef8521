#include "pipeline/emit/totango.h"

#include "pipeline/emit/account_report.h"

namespace tollbook {
namespace {

class TotangoEmitter final : public AccountReportEmitter {
 public:
  TotangoEmitter(const Target& target, const EmitterContext& context, std::unique_ptr<HttpClient> http)
      : AccountReportEmitter(target, context, std::move(http), {.system = "Totango"}) {}

 private:
  StoredItem MakeRecord(const AccountRecord& record) const override {
    StoredItem stored;
    stored.key = record.id;
    stored.path = "/pixel.gif";
    stored.body = "sdr_s=" + PercentEncoded(target().service_id) + "&sdr_o=" + PercentEncoded(record.id);
    for (const AccountValue& value : record.values) {
      stored.body += "&sdr_o." + PercentEncoded(value.field) + "=" + PercentEncoded(value.text);
    }
    return stored;
  }

  std::vector<std::string> HeadersOf(std::string_view, const StoredItem&) const override {
    return {"Content-Type: application/x-www-form-urlencoded"};
  }

  Attempt Tell(std::span<const StoredItem> items) override {
    const HttpAnswer answer = SendItems(items);
    if (std::optional<Attempt> end = EndWithoutWord(answer)) return *std::move(end);
    const std::string& id = items.front().key;
    if (answer.status == 200) return Succeeded(DeliveryEvent::kConfirmed, "", id);
    if (answer.status >= 400) {
      return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, id + ": " + Summary(answer));
    }
    return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous, id + ": " + Summary(answer));
  }
};

}  // namespace

std::unique_ptr<Emitter> MakeTotangoEmitter(const Target& target, const EmitterContext& context,
                                            std::unique_ptr<HttpClient> http) {
  return std::make_unique<TotangoEmitter>(target, context, std::move(http));
}

}  // namespace tollbook
