#include "pipeline/vector_proration.h"

#include <algorithm>
#include <string_view>

#include "pipeline/vector_params.h"
#include "rating/billing_cycle.h"
#include "rating/quote.h"

namespace tollbook {
namespace {

constexpr Day kFirstDay = {20'089};  // 2025-01-01, where a case says no date

bool IsNegative(std::string_view decimal) {
  return decimal.starts_with('-');
}

// A fee as the catalog has it, with the plan that it is the only one of.
struct VectorFee {
  std::string price = "1";
  std::string period = "1 month";
  std::string more = {};  // further keys
  Day from;               // when the subscription is on the plan
  std::optional<Day> to = std::nullopt;
};

class ProrationTranslator {
 public:
  explicit ProrationTranslator(const VectorCase& vector)
      : case_(vector.all, &status_), params_(vector.params, &status_) {
    const bool is_units = vector.expected.keys.size() == 1 && vector.expected.keys.front() == "units";
    const bool is_amount = vector.expected.keys.size() == 1 && vector.expected.keys.front() == "amount";
    if (!is_units && !is_amount) params_.NotHere("expected " + vector.expected.keys.front());
    into_.answer = is_units ? TranslatedCase::Answer::kAllUnits : TranslatedCase::Answer::kAmount;
  }

  absl::StatusOr<TranslatedCase> Translate() {
    for (const std::string_view known : {"id", "model", "params", "expected", "note", "path"}) case_.Take(known);
    const std::string method = params_.Text("method");
    if (method == "billing_cycles") {
      BillingCycles();
    } else if (method == "change_days") {
      ChangeDays();
    } else if (method == "change_lines") {
      ChangeLines();
    } else if (method == "local_calendar_days") {
      LocalDays();
    } else if (method == "days_ratio") {
      DaysRatio();
    } else {
      params_.NotHere("method " + method);
    }
    params_.RefuseOthers();
    case_.RefuseOthers();
    if (!status_.ok()) return status_;
    into_.usage = {""};
    TakeAllDays();
    into_.catalog = CatalogOf(fees_);
    if (!before_.empty()) into_.before = CatalogOf(before_);
    return std::move(into_);
  }

 private:
  // All that is due up to the last day is asked for.
  void TakeAllDays() {
    Day first = into_.through.front();
    for (const VectorFee& fee : fees_) first = std::min(first, fee.from);
    for (const VectorFee& fee : before_) first = std::min(first, fee.from);
    into_.period = {first, {into_.through.front().number + 1}};
  }

  std::optional<Day> TakeDay(VectorParams& params, std::string_view key) {
    const std::string text = params.Text(key);
    if (text.empty()) return std::nullopt;
    const std::optional<Day> day = ParseDay(text);
    if (!day) params.Wrong(key, "not a date");
    return day;
  }

  Day RequiredDay(VectorParams& params, std::string_view key) {
    const std::optional<Day> day = TakeDay(params, key);
    if (!day) params.Wrong(key, "missing");
    return day.value_or(Day{});
  }

  int32_t RequiredDays(VectorParams& params, std::string_view key) {
    const Int128 attos = params.Attos(key).value_or(0);
    const bool is_whole = attos % kOneUnit == 0 && attos > 0 && attos / kOneUnit <= kCycleUnitsMax;
    if (!is_whole) params.Wrong(key, "not a number of days from 1 to " + std::to_string(kCycleUnitsMax));
    return is_whole ? static_cast<int32_t>(attos / kOneUnit) : 1;
  }

  // Of an instant, in the zone.
  std::optional<Day> DayAt(std::string_view text) {
    const ParsedInstant parsed = ParseInstant(text);
    return parsed.error == TimeError::kNone ? std::optional(zone_.DayOf(parsed.instant)) : std::nullopt;
  }

  // The days of the case's period, `to` behind the last one.
  BillingPeriod TakePeriod() {
    const JsonTree* tree = case_.Take("period");
    if (tree == nullptr) return case_.Wrong("period", "missing"), BillingPeriod();
    VectorParams ends(*tree, &status_);
    const std::optional<Day> from = DayAt(ends.Text("from")), to = DayAt(ends.Text("to"));
    if (!from || !to || *to < *from) ends.Wrong("from, to", "not a period");
    full_ = {DayAt(ends.Text("full_from")).value_or(Day{}), DayAt(ends.Text("full_to")).value_or(Day{})};
    ends.RefuseOthers();
    return {from.value_or(Day{}), to.value_or(Day{})};
  }

  // Of each share.
  std::string TakeShareRounding() {
    const std::string places = params_.RequiredDecimal("round_places"), mode = params_.Text("rounding");
    return "rounding: " + mode + ", places: " + places;
  }

  // Of amounts, by a currency that has so many digits.
  void TakeRounding() {
    const std::string places = params_.RequiredDecimal("round_places");
    if (places != "2") params_.NotHere("round_places " + places);
    rounding_ = params_.Text("rounding");
    if (rounding_ != "half_up" && rounding_ != "half_even") params_.NotHere("rounding " + rounding_);
    into_.rounded = true;
  }

  // A fee in advance, each whole cycle one unit, up to the target date.
  void BillingCycles() {
    const std::string cycle = params_.Text("cycle");
    VectorFee fee{"1", "1 " + cycle, "proration: {" + TakeShareRounding() + ", count_back: true}",
                  RequiredDay(params_, "start"), TakeDay(params_, "end")};
    const int32_t bill_cycle_day = RequiredDays(params_, "bill_cycle_day");
    anchor_ = FirstBillingDay(fee.from, bill_cycle_day, cycle);
    into_.through = {RequiredDay(params_, "target")};
    fees_.push_back(fee);
  }

  // The first one on that day of a month, or on its last, from the start on.
  Day FirstBillingDay(Day start, int32_t day_of_month, const std::string& cycle) {
    for (const int months : {0, 1}) {
      const Day first_of_month = AddMonths(FirstOfMonth(start), months);
      const int32_t days_of_month = FirstOfNextMonth(first_of_month).number - first_of_month.number;
      const Day day{first_of_month.number + std::min(day_of_month, days_of_month) - 1};
      if (day < start) continue;
      if (day_of_month <= days_of_month) return day;
      // The day is not in this month, so another month of the cycle must say it.
      if (cycle != "month") params_.NotHere("bill_cycle_day: behind the end of the first month");
      return {AddMonths(first_of_month, 1 - CivilDateOf(first_of_month).month).number + day_of_month - 1};
    }
    return start;
  }

  // Old until the day of the change, new from then on; both in advance.
  void ChangeDays() {
    const int32_t left = RequiredDays(params_, "days_left"), full = RequiredDays(params_, "full_days");
    const std::string old_amount = params_.RequiredDecimal("old_amount");
    const std::string new_amount = params_.RequiredDecimal("new_amount");
    TakeChange(left, full, 1);  // the last day of the period is told
    AddLine(old_amount, full, true);
    AddLine(new_amount, full, false);
  }

  // Lines below zero credit what was billed in advance.
  void ChangeLines() {
    const int32_t left = RequiredDays(params_, "days_left"), full = RequiredDays(params_, "full_days");
    TakeChange(left, full, 0);  // the first day behind the period is told
    const JsonTree* lines = params_.TakeList("lines");
    if (lines == nullptr) return params_.Wrong("lines", "missing");
    for (const JsonTree& item : lines->items) {
      VectorParams line(item, &status_);
      const std::string amount = line.RequiredDecimal("amount");
      if (!line.Bool("prorate", false)) line.NotHere("a line that is not prorated");
      const bool has_own = line.Take("full_days") != nullptr;
      const int32_t days = has_own ? RequiredDays(line, "full_days") : full;
      line.RefuseOthers();
      AddLine(IsNegative(amount) ? amount.substr(1) : amount, days, IsNegative(amount));
    }
  }

  // Periods end so many days after the change. The case's dates must say the same.
  void TakeChange(int32_t left, int32_t full, int32_t last_day_is_told) {
    TakeRounding();
    Day change{kFirstDay.number + full - left};
    if (const std::string at = params_.Text("change_at"); !at.empty()) {
      const std::optional<Day> day = DayAt(at);
      if (!day) return params_.Wrong("change_at", "not a time");
      const BillingPeriod period = TakePeriod();
      change = *day;
      const bool same = period.end.number + last_day_is_told == change.number + left &&
                        period.end.number + last_day_is_told - period.start.number == full;
      if (!same) params_.NotHere("days_left: not those of the period");
    }
    if (left > full) params_.NotHere("days_left: more than the period has");
    anchor_ = {change.number + left};
    change_ = change;
    into_.through = {change};
  }

  void AddLine(const std::string& amount, int32_t full, bool is_old) {
    VectorFee fee{amount, std::to_string(full) + " days", "", change_, std::nullopt};
    if (is_old) {
      fee.from = {anchor_->number - full};
      before_.push_back(fee);
      fee.to = change_;
    } else if (before_.empty()) {
      before_.push_back({"0", fee.period, "", {anchor_->number - full}, std::nullopt});
    }
    fees_.push_back(fee);
  }

  // A fee of one for each day in the zone.
  void LocalDays() {
    const std::optional<Zone> zone = Zone::FromName(params_.Text("timezone"));
    if (!zone) return params_.Wrong("timezone", "not a time zone");
    zone_ = *zone;
    const BillingPeriod period = TakePeriod();
    into_.through = {Day{period.end.number - 1}};
    if (period.start < period.end) fees_.push_back({"1", "1 day", "", period.start, period.end});
  }

  void DaysRatio() {
    if (const std::string end = params_.Text("end"); end != "exclusive") params_.NotHere("end " + end);
    const BillingPeriod period = TakePeriod();
    if (full_.end <= full_.start || period.start < full_.start || full_.end < period.end)
      return case_.Wrong("period", "not within full_from to full_to");
    anchor_ = full_.start;
    into_.through = {Day{period.end.number - 1}};
    fees_.push_back({"1", std::to_string(DaysIn(full_)) + " days",
                     "due: arrears, proration: {" + TakeShareRounding() + "}", period.start, period.end});
  }

  // A plan for each fee, and a subscription of the quoted subject for those of one time.
  std::map<std::string, std::string> CatalogOf(const std::vector<VectorFee>& fees) const {
    std::map<std::string, std::string> files;
    files["book.yaml"] = "name: vectors\nzone: " + zone_.name() + "\nrounding: " + rounding_ + "\n";
    files["entities.yaml"] = "entities:\n  - {name: seller, functional_currency: USD}\n";
    files["chart.yaml"] =
        "accounts:\n  - {code: \"1200\", name: Receivable, type: asset}\n"
        "  - {code: \"4000\", name: Revenue, type: revenue}\n";
    files["meters.yaml"] = "meters: []\n";
    files["posting.yaml"] = "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n";
    std::string& plans = files["plans.yaml"] = "plans:\n";
    std::string& rows = files["subscriptions.csv"] =
        "subscription,account,plan,entity,currency,valid_from,valid_to,billing_anchor\n";
    std::vector<std::pair<Day, std::optional<Day>>> times;
    for (const VectorFee& fee : fees) {
      if (fee.to && *fee.to <= fee.from) continue;  // it ended on the day that it began: nothing of it is left
      const std::pair<Day, std::optional<Day>> time(fee.from, fee.to);
      const auto known = std::ranges::find(times, time);
      if (known != times.end()) continue;
      times.push_back(time);
      const std::string plan = "plan-" + std::to_string(times.size());
      plans += "  - name: " + plan + "\n    currency: USD\n    charges:\n" + FeesOf(fees, time);
      rows += std::string(kQuotedSubject) + ",buyer," + plan + ",seller,USD," + ToString(fee.from) + "," +
              (fee.to ? ToString(*fee.to) : "") + "," + (anchor_ ? ToString(*anchor_) : "") + "\n";
    }
    if (times.empty()) plans = "plans: []\n";
    return files;
  }

  static std::string FeesOf(const std::vector<VectorFee>& fees, const std::pair<Day, std::optional<Day>>& time) {
    std::string text;
    for (size_t i = 0; i < fees.size(); ++i) {
      const VectorFee& fee = fees[i];
      if (std::pair(fee.from, fee.to) != time) continue;
      text += "      - {name: fee-" + std::to_string(i + 1) + ", product: fees, model: fee, price: " + fee.price +
              ", billing_period: " + fee.period + (fee.more.empty() ? "" : ", " + fee.more) + "}\n";
    }
    return text;
  }

  absl::Status status_;
  VectorParams case_;
  VectorParams params_;
  TranslatedCase into_;
  std::vector<VectorFee> fees_;
  std::vector<VectorFee> before_;  // the change; empty: there is none
  std::optional<Day> anchor_;
  Day change_;
  BillingPeriod full_;
  Zone zone_;
  std::string rounding_ = "half_up";
};

}  // namespace

absl::StatusOr<TranslatedCase> TranslateProration(const VectorCase& vector) {
  return ProrationTranslator(vector).Translate();
}

}  // namespace tollbook
