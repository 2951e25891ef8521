#include "pipeline/emit/stripe.h"

#include <map>
#include <nlohmann/json.hpp>
#include <tuple>

#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/request_pace.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/json_tree.h"

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

// A field of an event's form, as it stands there.
std::string_view FieldOf(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const std::string_view field = form.substr(0, form.find('&'));
    if (field.starts_with(name) && field.substr(name.size()).starts_with('=')) return field.substr(name.size() + 1);
    form.remove_prefix(std::min(field.size() + 1, form.size()));
  }
  return {};
}
constexpr std::string_view kEventName = "event_name", kCustomer = "payload%5Bstripe_customer_id%5D",
                           kValue = "payload%5Bvalue%5D";

// Events of one slot have one instant: its sum there is of nothing else of ours.
using Slot = std::tuple<std::string_view, std::string_view, int64_t>;  // event name, customer, seconds
Slot SlotOf(const StoredItem& item) {
  return {FieldOf(item.body, kEventName), FieldOf(item.body, kCustomer), item.start_seconds};
}
// None: it is no whole number, and so was never sent.
std::optional<Int128> ValueOf(const StoredItem& item) {
  const ParsedDecimal value = ParseDecimal(FieldOf(item.body, kValue), 0);
  return value.error == DecimalError::kNone ? std::optional(value.value) : std::nullopt;
}

// What of a slot was told by other reports.
struct Told {
  Int128 sum = 0;
  std::vector<Int128> open;   // events of which that is not known either
  bool is_too_large = false;  // it cannot be added up
};
constexpr size_t kOpenMax = 10;  // each of them doubles what may be there

enum class SumSays : uint8_t { kThere, kNotThere, kNeither, kEither };
// What a sum there says of an event of so much: where it comes to it both with the event and without, because events of
// other reports may be there in its place, it says nothing.
SumSays SaysOf(Int128 there, const Told& told, Int128 value) {
  if (told.is_too_large || told.open.size() > kOpenMax) return SumSays::kEither;
  bool with = false, without = false;
  for (size_t which = 0; which < size_t{1} << told.open.size(); ++which) {
    Int128 sum = told.sum, sum_with = 0;
    bool fits = true;
    for (size_t i = 0; i < told.open.size(); ++i) {
      if ((which >> i & 1) != 0) fits = fits && !__builtin_add_overflow(sum, told.open[i], &sum);
    }
    fits = fits && !__builtin_add_overflow(sum, value, &sum_with);
    if (!fits) return SumSays::kEither;
    without = without || sum == there;
    with = with || sum_with == there;
  }
  if (with == without) return with ? SumSays::kEither : SumSays::kNeither;
  return with ? SumSays::kThere : SumSays::kNotThere;
}

// What Stripe says that a minute's events come to; nothing: it does not say so, as a whole number and at once.
std::optional<Int128> SumOf(const std::string& answer) {
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(answer, "an answer");
  const JsonTree* const summaries = tree.ok() ? tree->Find("data") : nullptr;
  if (summaries == nullptr || summaries->kind != JsonTree::Kind::kList) return std::nullopt;
  if (ScalarAt(*tree, "has_more") != "false") return std::nullopt;
  constexpr Int128 kOne = 1'000'000'000;
  Int128 sum = 0;
  for (const JsonTree& summary : summaries->items) {
    const ParsedDecimal value = ParseDecimal(ScalarAt(summary, "aggregated_value"), 9);
    if (value.error != DecimalError::kNone || value.value % kOne != 0) return std::nullopt;
    if (__builtin_add_overflow(sum, value.value / kOne, &sum)) return std::nullopt;
  }
  return sum;
}

class StripeEmitter final : public UsageReportEmitter {
 public:
  StripeEmitter(const Target& target, const EmitterContext& context, Secret api_key, std::unique_ptr<HttpClient> http)
      : UsageReportEmitter(target, context, std::move(api_key), std::move(http),
                           {.system = "Stripe",
                            .remembers_seconds = 23 * 3600,  // Stripe's 24 hours, and one for the clocks
                            .reaches_back_seconds = 35 * 86'400,
                            .says_seen = true}) {}

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

  std::optional<Attempt> Settle(const Parcel& parcel, std::span<const StoredItem> items,
                                ReportProgress* progress) override;
  // Of the item's minute, customer and meter; nothing: `outcome` is the end of it.
  std::optional<Int128> SumThere(const StoredItem& item, const std::string& meter, Attempt* outcome);
  // The meter's id; null: `meters` does not say it.
  const std::string* MeterOf(const StoredItem& item) const {
    for (const auto& [code, id] : target().meters) {
      if (PercentEncoded(code) == FieldOf(item.body, kEventName)) return &id;
    }
    return nullptr;
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
      // The key says of which book, seal and day the event is, and nothing of how much.
      if (!item.was_sent) {
        return Failed(DeliveryEvent::kRefused, DeliveryProblem::kDifferent,
                      item.key +
                          ": Stripe has its identifier, and this book has not sent it: a book of the same name did, or "
                          "this one before it was put back by hand. Compare the day's sum there, correct it by hand, "
                          "then `tollbook deliveries resolve`; a book made anew needs a name of its own");
      }
      return Succeeded(DeliveryEvent::kConfirmed, "", item.key);
    }
    return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, item.key + ": " + Summary(answer));
  }
};

std::optional<Int128> StripeEmitter::SumThere(const StoredItem& item, const std::string& meter, Attempt* outcome) {
  constexpr int64_t kMinute = 60;  // days begin with a minute, and so do the spans that are asked for
  const std::string path = "/v1/billing/meters/" + PercentEncoded(meter) +
                           "/event_summaries?customer=" + std::string(FieldOf(item.body, kCustomer)) +
                           "&start_time=" + std::to_string(item.start_seconds) +
                           "&end_time=" + std::to_string(item.start_seconds + kMinute);
  const HttpAnswer answer = Request("GET", item, path, {});
  if (std::optional<Attempt> end = EndWithoutWord(answer)) {
    *outcome = OfReading(*std::move(end));
    if (!outcome->is_denied) outcome->step.event = DeliveryEvent::kCannotAsk;
    return std::nullopt;
  }
  const std::optional<Int128> sum = answer.status == 200 ? SumOf(answer.body) : std::nullopt;
  if (!sum) {
    *outcome = Failed(DeliveryEvent::kCannotAsk, DeliveryProblem::kConfiguration,
                      "Stripe does not say what meter " + meter + " has: " + Summary(answer));
  }
  return sum;
}

std::optional<Attempt> StripeEmitter::Settle(const Parcel& parcel, std::span<const StoredItem> items,
                                             ReportProgress* progress) {
  if (target().meters.empty() || !parcel.visit_others) return UsageReportEmitter::Settle(parcel, items, progress);
  std::map<Slot, Told> slots;
  for (const StoredItem& item : items) slots[SlotOf(item)];
  const absl::Status visited = parcel.visit_others([&](const OtherReport& other) {
    const std::vector<StoredItem> theirs = DecodeItems(other.body);
    const ReportProgress told = ProgressOf(other.job, theirs.size());
    for (size_t i = 0; i < theirs.size(); ++i) {
      const auto slot = slots.find(SlotOf(theirs[i]));
      const std::optional<Int128> value = ValueOf(theirs[i]);
      if (slot == slots.end() || !value) continue;
      Told& of = slot->second;
      if (told.told[i] || other.state == DeliveryState::kConfirmed) {
        of.is_too_large = __builtin_add_overflow(of.sum, *value, &of.sum) || of.is_too_large;
      } else if (other.may_be_there) {
        of.open.push_back(*value);
      }
    }
  });
  if (!visited.ok()) {
    return Failed(DeliveryEvent::kCannotAsk, DeliveryProblem::kConfiguration,
                  "the book does not say what was told: " + std::string(Std(visited.message())));
  }
  size_t unsettled = 0;
  std::string first;
  for (size_t i = 0; i < items.size(); ++i) {
    const StoredItem& item = items[i];
    const std::optional<Int128> value = ValueOf(item);
    if (progress->told[i] || !value) continue;
    const Told& told = slots.at(SlotOf(item));
    const std::string* const meter = MeterOf(item);
    std::string why = "`meters` has no id of its meter";
    if (meter != nullptr) {
      Attempt outcome;
      const std::optional<Int128> there = SumThere(item, *meter, &outcome);
      if (!there) return outcome;
      const SumSays says = SaysOf(*there, told, *value);
      progress->told[i] = says == SumSays::kThere;
      if (says == SumSays::kThere || says == SumSays::kNotThere) continue;
      why = "its minute has " + FormatDecimal(*there, 0) + " there, and ";
      if (says == SumSays::kEither) {
        why += "another report may have told that";
      } else {
        why += "was told " + FormatDecimal(told.sum, 0) + " but for it, which is " + FormatDecimal(*value, 0);
      }
    }
    if (++unsettled == 1) first = item.key + ": " + why;
  }
  if (unsettled == 0) return std::nullopt;
  return RefusedHere(DeliveryProblem::kAmbiguous,
                     std::to_string(unsettled) + " items may be there, and Stripe no longer remembers their keys: " +
                         first + "; compare the totals there, then `tollbook deliveries resolve`");
}

}  // namespace

std::unique_ptr<Emitter> MakeStripeEmitter(const Target& target, const EmitterContext& context, Secret api_key,
                                           std::unique_ptr<HttpClient> http) {
  return std::make_unique<StripeEmitter>(target, context, std::move(api_key), std::move(http));
}

std::unique_ptr<Emitter> MakeStripeEmitter(const Target& target, const EmitterContext& context, Secret api_key) {
  return MakeStripeEmitter(target, context, std::move(api_key), Paced(MakeHttpClient(target.http), context.pace));
}

}  // namespace tollbook
