#include "pipeline/vector_discount.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "pipeline/vector_params.h"
#include "rating/quote.h"

namespace tollbook {
namespace {

constexpr Day kFirstDay = {20'089};  // 2025-01-01

std::string MethodOf(const VectorCase& vector) {
  const JsonTree* method = vector.params.Find("method");
  return method == nullptr ? "" : method->text;
}

class LineTranslator {
 public:
  explicit LineTranslator(const VectorCase& vector)
      : case_(vector.all, &status_), params_(vector.params, &status_), expected_(vector.expected.keys.front()) {}

  absl::StatusOr<TranslatedCase> Translate() {
    for (const std::string_view known : {"id", "model", "params", "expected", "note", "path"}) case_.Take(known);
    const std::string method = params_.Text("method");
    into_.usage = {""};
    into_.period = MonthOf(kFirstDay);
    into_.rounded = true;
    if (method == "coupons") {
      Coupons();
    } else if (method == "largest_remainder") {
      LargestRemainder();
    } else if (method == "waterfall") {
      Waterfall();
    } else if (method == "flat_days") {
      FlatDays();
    } else {
      Cap();
    }
    if (expected_ != (method == "largest_remainder" ? "amounts" : "amount")) params_.NotHere("expected " + expected_);
    params_.RefuseOthers();
    case_.RefuseOthers();
    if (!status_.ok()) return status_;
    if (into_.through.empty()) into_.through = {Day{into_.period->end.number - 1}};
    WriteCatalog();
    return std::move(into_);
  }

 private:
  void TakeRounding() {
    const std::string places = params_.RequiredDecimal("round_places");
    rounding_ = params_.Text("rounding");
    if (places != "2") params_.NotHere("round_places " + places);
    if (rounding_ != "half_up" && rounding_ != "half_even") params_.NotHere("rounding " + rounding_);
  }

  void TakeTax() {
    if (const std::optional<Int128> percent = params_.Attos("tax_percent")) into_.tax = Price{*percent / 100};
  }

  void AddLine(const std::string& price) { lines_.push_back(price); }

  // Names that sort as the lines stand.
  static std::string NameOf(size_t line) {
    std::string number = std::to_string(line + 1);
    number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
    return "line-" + number;
  }

  void AddDiscount(const std::string& charge, const std::string& percent, const std::string& amount) {
    const std::string number = std::to_string(discounts_);
    rows_ += "d" + number + "," + ToString(kFirstDay) + "," + std::string(kQuotedSubject) + "," + charge + "," +
             percent + "," + amount + "," + (amount.empty() ? "" : "USD") + "," + number + "\n";
    ++discounts_;
  }

  // What they take off is asked for.
  void Coupons() {
    into_.answer = TranslatedCase::Answer::kOff;
    TakeRounding();
    AddLine(params_.RequiredDecimal("subtotal"));
    const JsonTree* coupons = params_.TakeList("coupons");
    if (coupons == nullptr) return params_.Wrong("coupons", "missing");
    for (const JsonTree& item : coupons->items) {
      VectorParams coupon(item, &status_);
      const std::optional<std::string> fixed = coupon.Decimal("fixed"), percent = coupon.Decimal("percent");
      coupon.RefuseOthers();
      AddDiscount("", percent.value_or(""), fixed.value_or(""));
    }
  }

  // A whole number of cents, as an amount.
  std::string InMajor(const std::string& minor, std::string_view key) {
    const ParsedDecimal parsed = ParseDecimal(minor, 0);
    if (parsed.error != DecimalError::kNone) params_.Wrong(key, "not a whole number of minor units");
    return FormatDecimal(parsed.value, 2);
  }

  void LargestRemainder() {
    into_.answer = TranslatedCase::Answer::kNetMinor;
    const JsonTree* lines = params_.TakeList("lines_minor");
    if (lines == nullptr) return params_.Wrong("lines_minor", "missing");
    for (const JsonTree& line : lines->items) AddLine(InMajor(line.text, "lines_minor"));
    AddDiscount("", "", InMajor(params_.RequiredDecimal("discount_minor"), "discount_minor"));
  }

  // Discounts of lines, then of all of them, then tax, then what was paid ahead.
  void Waterfall() {
    TakeRounding();
    const JsonTree* lines = params_.TakeList("lines");
    const JsonTree* percents = params_.TakeList("line_discount_percent");
    if (lines == nullptr || percents == nullptr || lines->items.size() != percents->items.size())
      return params_.Wrong("lines", "missing, or not as many as there are percentages");
    for (size_t i = 0; i < lines->items.size(); ++i) {
      AddLine(lines->items[i].text);
      AddDiscount(NameOf(i), percents->items[i].text, "");
    }
    AddDiscount("", "", params_.RequiredDecimal("invoice_discount"));
    grants_ = "paid," + std::string(kQuotedSubject) + "," + params_.RequiredDecimal("prepaid_credit") +
              ",USD,credits," + ToString(kFirstDay) + "\n";
    TakeTax();
  }

  // Of a part of a period.
  void FlatDays() {
    TakeRounding();
    TakeTax();
    AddLine(params_.RequiredDecimal("amount"));
    const int32_t days = RequiredDays("days"), full = RequiredDays("full_days");
    if (days > full) return params_.Wrong("days", "more than there are");
    billing_ = "    billing_period: " + std::to_string(full) + " days\n    billing_anchor: subscription\n";
    into_.period = {kFirstDay, {kFirstDay.number + full}};
    versions_ = {{"1", kFirstDay, Day{kFirstDay.number + days}}};
  }

  int32_t RequiredDays(std::string_view key) {
    const Int128 attos = params_.Attos(key).value_or(0);
    const bool is_whole = attos % kOneUnit == 0 && attos > 0 && attos / kOneUnit <= kCycleUnitsMax;
    if (!is_whole) params_.Wrong(key, "not a number of days from 1 to " + std::to_string(kCycleUnitsMax));
    return is_whole ? static_cast<int32_t>(attos / kOneUnit) : 1;
  }

  // A fee in advance of so many units for two days, and on the second day so many fewer, or more, that the half of them
  // is the credit. What was not paid of it was a discount, and what was credited before another.
  void Cap() {
    into_.answer = TranslatedCase::Answer::kCredited;
    const Int128 credit = params_.Attos("credit").value_or(0), paid = params_.Attos("paid").value_or(0);
    const std::string already = params_.RequiredDecimal("already_credited");
    const Int128 units = std::max(paid, 2 * credit);
    AddLine("1");
    billing_ = "    billing_period: 2 days\n    billing_anchor: subscription\n";
    const Day second{kFirstDay.number + 1};
    into_.period = {kFirstDay, {kFirstDay.number + 2}};
    versions_ = {{FormatDecimal(units, 18), kFirstDay, second}, {FormatDecimal(units - 2 * credit, 18), second, {}}};
    AddDiscount("", "", FormatDecimal(units - paid, 18));
    AddDiscount("", "", already);
    into_.usage = {"", ""};
    into_.through = {kFirstDay, second};
  }

  void WriteCatalog() {
    std::map<std::string, std::string>& files = into_.catalog;
    files["book.yaml"] = "name: vectors\nzone: UTC\nrounding: " + rounding_ + "\n";
    files["entities.yaml"] = "entities:\n  - {name: seller, functional_currency: USD}\n";
    files["chart.yaml"] =
        "accounts:\n  - {code: \"1200\", name: Receivable, type: asset}\n"
        "  - {code: \"4000\", name: Revenue, type: revenue}\n";
    files["meters.yaml"] = "meters: []\n";
    files["posting.yaml"] = "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n";
    std::string& plans = files["plans.yaml"] =
        "plans:\n  - name: quoted\n    currency: USD\n" + billing_ + "    charges:\n";
    for (size_t i = 0; i < lines_.size(); ++i)
      plans += "      - {name: " + NameOf(i) + ", product: lines, model: fee, price: " + lines_[i] + "}\n";
    std::string& rows = files["subscriptions.csv"] =
        "subscription,account,plan,entity,currency,valid_from,valid_to,quantity\n";
    for (const Version& version : versions_) {
      rows += std::string(kQuotedSubject) + ",buyer,quoted,seller,USD," + ToString(version.from) + "," +
              (version.to ? ToString(*version.to) : "") + "," + version.quantity + "\n";
    }
    if (!rows_.empty())
      files["discounts.csv"] = "discount,starts_on,subscription,charge,percent,amount,currency,order\n" + rows_;
    if (!grants_.empty()) files["grants.csv"] = "grant,subscription,amount,currency,product,starts_on\n" + grants_;
  }

  struct Version {
    std::string quantity;
    Day from;
    std::optional<Day> to;
  };

  absl::Status status_;
  VectorParams case_;
  VectorParams params_;
  const std::string expected_;
  TranslatedCase into_;
  std::vector<std::string> lines_;  // their amounts
  std::vector<Version> versions_ = {{"1", kFirstDay, std::nullopt}};
  std::string rows_;  // of discounts.csv
  size_t discounts_ = 0;
  std::string grants_;   // rows of grants.csv
  std::string billing_;  // keys of the plan
  std::string rounding_ = "half_up";
};

}  // namespace

bool IsOfLines(const VectorCase& vector) {
  static const std::set<std::pair<std::string, std::string>> methods = {{"discount", "coupons"},
                                                                        {"discount", "largest_remainder"},
                                                                        {"discount", "waterfall"},
                                                                        {"proration", "flat_days"},
                                                                        {"credits", "cap"}};
  return methods.contains({vector.model, MethodOf(vector)});
}

absl::StatusOr<TranslatedCase> TranslateLines(const VectorCase& vector) {
  return LineTranslator(vector).Translate();
}

}  // namespace tollbook
