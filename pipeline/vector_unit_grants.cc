#include "pipeline/vector_unit_grants.h"

#include <algorithm>
#include <string_view>

#include "pipeline/json_text.h"
#include "pipeline/vector_params.h"
#include "rating/quote.h"

namespace tollbook {
namespace {

// What is before the period is used before it; what is left at its end is asked for.
class UnitGrantTranslator {
 public:
  explicit UnitGrantTranslator(const VectorCase& vector)
      : case_(vector.all, &status_), params_(vector.params, &status_), expected_(vector.expected) {}

  absl::StatusOr<TranslatedCase> Translate() {
    for (const std::string_view known : {"id", "model", "params", "expected", "note", "path"}) case_.Take(known);
    params_.Text("method");
    into_.answer = TranslatedCase::Answer::kBalances;
    if (expected_.keys.size() != 1 || expected_.keys.front() != "balances" ||
        expected_.items.front().kind != JsonTree::Kind::kMap) {
      params_.NotHere("expected " + expected_.keys.back());
    }
    TakePeriod();
    TakeUsage();
    TakeResets();
    TakeGrants();
    params_.RefuseOthers();
    case_.RefuseOthers();
    if (!status_.ok()) return status_;
    into_.through = {last_};
    into_.period = {std::min(Zone().DayOf(first_use_), Zone().DayOf(from_)), {last_.number + 1}};
    WriteCatalog();
    return std::move(into_);
  }

 private:
  Instant RequiredTime(VectorParams& params, std::string_view key) {
    const ParsedInstant parsed = ParseInstant(params.Text(key));
    if (parsed.error != TimeError::kNone) params.Wrong(key, "not a time");
    return parsed.instant;
  }

  void TakePeriod() {
    const JsonTree* period = case_.Take("period");
    if (period == nullptr) return case_.Wrong("period", "missing");
    VectorParams ends(*period, &status_);
    from_ = RequiredTime(ends, "from");
    to_ = RequiredTime(ends, "to");
    ends.RefuseOthers();
    if (to_ <= from_) return ends.Wrong("to", "not behind from");
    first_use_ = from_;
    last_ = Zone().DayOf({to_.nanos - 1});
  }

  // Quotes go by days: what happens on the last one behind the period's end is not to be in it.
  void RefuseBehindEnd(Instant at, std::string_view what) {
    if (to_ <= at && Zone().DayOf(at) <= last_) params_.NotHere(std::string(what) + ": behind the end of the period");
  }

  void TakeUsage() {
    const JsonTree* list = case_.TakeList("usage");
    if (list == nullptr) return case_.Wrong("usage", "missing");
    std::string lines;
    for (const JsonTree& item : list->items) {
      VectorParams use(item, &status_);
      const Instant at = RequiredTime(use, "at");
      const std::string quantity = use.RequiredDecimal("quantity");
      const JsonTree* properties = use.Take("properties");
      if (properties != nullptr && !properties->keys.empty()) use.NotHere("properties");
      use.RefuseOthers();
      if (to_ <= at) params_.NotHere("usage: behind the end of the period");
      first_use_ = std::min(first_use_, at);
      if (at < from_) used_before_ += ParseDecimal(quantity, kQuantityScale).value;
      has_negative_ = has_negative_ || quantity.starts_with('-');
      lines +=
          "{\"id\":\"" + std::to_string(lines.size()) + "\",\"source\":\"vectors\",\"type\":\"usage\",\"subject\":";
      AppendJsonString(kQuotedSubject, &lines);
      lines += ",\"time\":\"" + ToString(at) + "\",\"data\":{\"quantity\":";
      AppendJsonString(quantity, &lines);
      lines += "}}\n";
    }
    into_.usage = {lines};
  }

  void TakeResets() {
    keeps_overage_ = params_.Bool("preserve_overage", false);
    const JsonTree* resets = params_.TakeList("resets");
    for (size_t i = 0; resets != nullptr && i < resets->items.size(); ++i) {
      const JsonTree one = {JsonTree::Kind::kMap, {}, {"resets"}, {resets->items[i]}};
      VectorParams params(one, &status_);
      const Instant at = RequiredTime(params, "resets");
      RefuseBehindEnd(at, "resets");
      resets_ += (resets_.empty() ? "" : " ") + ToString(at);
    }
  }

  void TakeGrants() {
    const JsonTree* grants = params_.TakeList("grants");
    const JsonTree* opening = params_.Take("opening");
    if (grants == nullptr || opening == nullptr) return params_.Wrong("grants, opening", "missing");
    VectorParams openings(*opening, &status_);
    for (const JsonTree& item : grants->items) {
      VectorParams grant(item, &status_);
      const std::string id = grant.Text("id"), amount = grant.RequiredDecimal("amount");
      const Instant starts = RequiredTime(grant, "effective_at");
      CheckOpening(openings.RequiredDecimal(id), amount, starts);
      rows_ += id + "," + std::string(kQuotedSubject) + ",usage," + amount + "," + ToString(starts) + "," +
               TimeText(grant, "expires_at") + "," + TimeText(grant, "ended_at") + "," +
               grant.RequiredDecimal("priority") + "," + RefillText(grant) + "," + resets_ + "," +
               RolloverText(grant, "rollover_min") + "," + RolloverText(grant, "rollover_max") + ",true," +
               (resets_.empty()  ? ""
                : keeps_overage_ ? "true"
                                 : "false") +
               "\n";
      grant.RefuseOthers();
    }
    openings.RefuseOthers();
  }

  // What is left of it where the period begins comes of what was used before; of several it is not known which paid.
  void CheckOpening(const std::string& opening, const std::string& amount, Instant starts) {
    const Int128 left = ParseDecimal(opening, kQuantityScale).value, all = ParseDecimal(amount, kQuantityScale).value;
    const bool has_begun = starts < from_;
    if (left == all || (has_begun && left == all - used_before_)) return;
    params_.NotHere("opening: not what the usage before the period leaves");
  }

  std::string TimeText(VectorParams& params, std::string_view key) {
    const std::string text = params.Text(key);
    if (!text.empty()) RefuseBehindEnd(ParseInstant(text).instant, key);
    return text;
  }

  std::string RolloverText(VectorParams& params, std::string_view key) {
    const std::string text = params.Decimal(key).value_or("");
    return resets_.empty() ? "" : text;
  }

  // "1 week,2024-01-04"
  std::string RefillText(VectorParams& grant) {
    const JsonTree* recurs = grant.Take("recurs");
    if (recurs == nullptr) return ",";
    VectorParams params(*recurs, &status_);
    const std::string every = params.Text("every");
    const Instant anchor = RequiredTime(params, "anchor");
    params.RefuseOthers();
    const Day day = Zone().DayOf(anchor);
    if (Zone().StartOf(day) != anchor) params_.NotHere("recurs: not at midnight");
    return "1 " + every + "," + ToString(day);
  }

  void WriteCatalog() {
    std::map<std::string, std::string>& files = into_.catalog;
    files["book.yaml"] = "name: vectors\nzone: UTC\n";
    files["entities.yaml"] = "entities:\n  - {name: seller, functional_currency: USD}\n";
    files["chart.yaml"] =
        "accounts:\n  - {code: \"1200\", name: Receivable, type: asset}\n"
        "  - {code: \"4000\", name: Revenue, type: revenue}\n";
    files["meters.yaml"] = std::string("meters:\n  - {name: usage, aggregation: sum, value: quantity, ") +
                           (has_negative_ ? "allow_negative: true, " : "") + "granularity: hour}\n";
    files["plans.yaml"] =
        "plans:\n  - name: quoted\n    currency: USD\n    charges:\n"
        "      - {name: usage, meter: usage, product: usage, model: per_unit, price: 1}\n";
    files["posting.yaml"] = "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n";
    files["subscriptions.csv"] = "subscription,account,plan,entity,currency,valid_from,valid_to\n" +
                                 std::string(kQuotedSubject) + ",buyer,quoted,seller,USD,1970-01-01,\n";
    files["unit_grants.csv"] =
        "grant,subscription,charge,units,starts,ends,voided,priority,refill,refill_on,reset,rollover_min,"
        "rollover_max,pays_earlier,keeps_overage\n" +
        rows_;
  }

  absl::Status status_;
  VectorParams case_;
  VectorParams params_;
  const JsonTree& expected_;
  TranslatedCase into_;
  Instant from_, to_, first_use_;
  Day last_;
  Int128 used_before_ = 0;
  bool has_negative_ = false;
  bool keeps_overage_ = false;
  std::string resets_;
  std::string rows_;
};

}  // namespace

bool IsOfUnitGrants(const VectorCase& vector) {
  const JsonTree* method = vector.params.Find("method");
  return vector.model == "credits" && method != nullptr && method->text == "grants";
}

absl::StatusOr<TranslatedCase> TranslateUnitGrants(const VectorCase& vector) {
  return UnitGrantTranslator(vector).Translate();
}

}  // namespace tollbook
