#include <array>
#include <cstdio>

#include "pipeline/generate.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

// Prices are written down once, in millionths of a dollar, and carried to the other currencies at a round rate.
struct PriceList {
  std::string_view currency;
  std::string_view entity;
  std::string_view suffix;  // of its plans' names
  int64_t per_dollar_permille;
};
constexpr std::array<PriceList, 3> kPriceLists = {{
    {"USD", "acme-us", "usd", 1'000},
    {"EUR", "acme-eu", "eur", 900},
    {"JPY", "acme-jp", "jpy", 150'000},
}};

constexpr std::string_view kBook = R"(name: demo
zone: UTC
rounding: half_up
)";

constexpr std::string_view kEntities = R"(entities:
  - {name: acme-us, functional_currency: USD}
  - {name: acme-eu, functional_currency: EUR}
  - {name: acme-jp, functional_currency: JPY}
)";

constexpr std::string_view kChart = R"(accounts:
  - {code: "1200", name: Unbilled receivable, type: asset}
  - {code: "1210", name: Unbilled receivable Japan, type: asset}
  - {code: "4000", name: Revenue from tokens, type: revenue}
  - {code: "4010", name: Revenue from API calls, type: revenue}
  - {code: "4020", name: Revenue from storage and transfer, type: revenue}
  - {code: "4030", name: Revenue from compute, type: revenue}
  - {code: "4040", name: Revenue from mail, type: revenue}
  - {code: "4050", name: Revenue from seats and devices, type: revenue}
)";

constexpr std::string_view kMeters = R"(meters:
  - {name: llm.tokens, aggregation: sum, value: tokens, dimensions: [model, region], unit: token}
  - {name: api.calls, aggregation: count, dimensions: [region], unit: call}
  - {name: storage.gb_hours, aggregation: sum, value: gb_hours, dimensions: [class], unit: GB hour}
  - {name: compute.seconds, aggregation: sum, value: usage.seconds, dimensions: [size], unit: second}
  - {name: transfer.gb, aggregation: sum, value: gb, dimensions: [way], unit: GB}
  - {name: mails.sent, aggregation: sum, value: mails, unit: mail}
  - {name: seats.active, aggregation: max, value: seats, unit: seat}
  - {name: devices.online, aggregation: latest, value: devices, unit: device}
)";

constexpr std::string_view kPosting = R"(posting:
  - {product: tokens, debit: "1200", credit: "4000", dimensions: {cost_center: "100"}}
  - {product: api, debit: "1200", credit: "4010", dimensions: {cost_center: "100"}}
  - {product: storage, debit: "1200", credit: "4020", dimensions: {cost_center: "200"}}
  - {product: transfer, debit: "1200", credit: "4020", dimensions: {cost_center: "210"}}
  - {product: compute, debit: "1200", credit: "4030", dimensions: {cost_center: "200"}}
  - {product: mail, debit: "1200", credit: "4040", dimensions: {cost_center: "300"}}
  - {product: seats, debit: "1200", credit: "4050", dimensions: {cost_center: "300"}, summary: period}
  - {product: tokens, entity: acme-jp, debit: "1210", credit: "4000", dimensions: {cost_center: "110"}}
  - {product: api, entity: acme-jp, debit: "1210", credit: "4010", dimensions: {cost_center: "110"}}
)";

class PlanWriter {
 public:
  explicit PlanWriter(const PriceList& list) : list_(list) {}

  std::string Starter() {
    Open("starter");
    Charge("tokens-large", "llm.tokens", "tokens", "graduated",
           "included: 100000, filter: {model: m-large}, per: 1000000");
    Tiers({{"10000000", 8'000'000, 0}, {"1000000000", 6'500'000, 0}, {"", 5'000'000, 0}});
    Charge("tokens", "llm.tokens", "tokens", "per_unit", "per: 1000000, price: " + Price(600'000));
    Charge("calls", "api.calls", "api", "volume", "included: 1000, per: 1000");
    Tiers({{"100000", 400'000, 0}, {"1000000", 300'000, 0}, {"", 200'000, 0}});
    Charge("storage-archive", "storage.gb_hours", "storage", "per_unit",
           "filter: {class: archive}, price: " + Price(6));
    Charge("storage", "storage.gb_hours", "storage", "per_unit", "price: " + Price(34));
    Charge("compute-gpu", "compute.seconds", "compute", "per_unit",
           "filter: {size: g1}, per: 3600, price: " + Price(1'440'000));
    Charge("compute", "compute.seconds", "compute", "graduated", "per: 3600");
    Tiers({{"360000", 180'000, 0}, {"", 144'000, 0}});
    Charge("transfer-peering", "transfer.gb", "transfer", "per_unit",
           "filter: {way: peering}, price: " + Price(20'000));
    Charge("transfer", "transfer.gb", "transfer", "graduated", "included: 10");
    Tiers({{"10240", 90'000, 0}, {"", 70'000, 0}});
    Charge("mails", "mails.sent", "mail", "package", "package_size: 1000, price: " + Price(900'000));
    Charge("seats", "seats.active", "seats", "per_unit", "price: " + Price(12'000'000));
    Charge("devices", "devices.online", "seats", "volume", "");
    Tiers({{"100", 500'000, 0}, {"", 350'000, 10'000'000}});
    return std::move(text_);
  }

  std::string Scale() {
    Open("scale");
    Charge("tokens-large-eu", "llm.tokens", "tokens", "per_unit",
           "filter: {model: m-large, region: eu-west}, per: 1000000, price: " + Price(5'500'000));
    Charge("tokens-large", "llm.tokens", "tokens", "graduated", "filter: {model: m-large}, per: 1000000");
    Tiers({{"1000000000", 6'000'000, 0}, {"20000000000", 4'500'000, 500'000'000}, {"", 3'500'000, 0}});
    Charge("tokens", "llm.tokens", "tokens", "volume", "per: 1000000");
    Tiers({{"5000000000", 500'000, 0}, {"", 400'000, 0}});
    Charge("calls", "api.calls", "api", "graduated", "per: 1000");
    Tiers({{"10000000", 200'000, 50'000'000}, {"", 120'000, 0}});
    Charge("storage", "storage.gb_hours", "storage", "graduated", "");
    Tiers({{"1000000", 30, 0}, {"", 25, 0}});
    Charge("compute", "compute.seconds", "compute", "per_unit", "per: 3600, price: " + Price(126'000));
    Charge("compute-gpu", "compute.seconds", "compute", "per_unit",
           "filter: {size: g1}, per: 3600, price: " + Price(1'260'000));
    Charge("transfer", "transfer.gb", "transfer", "per_unit", "price: " + Price(60'000));
    Charge("mails", "mails.sent", "mail", "package", "package_size: 50000, price: " + Price(30'000'000));
    Charge("seats", "seats.active", "seats", "graduated", "included: 5");
    Tiers({{"50", 10'000'000, 0}, {"", 8'000'000, 0}});
    Charge("devices", "devices.online", "seats", "per_unit", "price: " + Price(300'000));
    return std::move(text_);
  }

 private:
  struct TierRow {
    std::string_view up_to;
    int64_t price_micros;
    int64_t flat_micros;
  };

  std::string Price(int64_t dollar_micros) const {
    return FormatDecimal(static_cast<Int128>(dollar_micros) * list_.per_dollar_permille, 9);
  }

  void Open(std::string_view plan) {
    text_.append("  - name: ").append(plan).append("-").append(list_.suffix);
    text_.append("\n    currency: ").append(list_.currency).append("\n    charges:\n");
  }

  void Charge(std::string_view name, std::string_view meter, std::string_view product, std::string_view model,
              std::string_view rest) {
    text_.append("      - name: ").append(name).append("\n        meter: ").append(meter);
    text_.append("\n        product: ").append(product).append("\n        model: ").append(model).append("\n");
    // "a: 1, b: {c: d}, e: 2": each on a line of its own; a comma inside braces parts nothing.
    int depth = 0;
    std::string line;
    for (char c : rest) {
      depth += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (c == ',' && depth == 0) {
        text_.append("        ").append(line).append("\n");
        line.clear();
      } else if (c != ' ' || !line.empty()) {
        line.push_back(c);
      }
    }
    if (!line.empty()) text_.append("        ").append(line).append("\n");
  }

  void Tiers(std::initializer_list<TierRow> rows) {
    text_.append("        tiers:\n");
    for (const TierRow& row : rows) {
      text_.append("          - {");
      if (!row.up_to.empty()) text_.append("up_to: ").append(row.up_to).append(", ");
      text_.append("price: ").append(Price(row.price_micros));
      if (row.flat_micros != 0) text_.append(", flat: ").append(Price(row.flat_micros));
      text_.append("}\n");
    }
  }

  const PriceList& list_;
  std::string text_;
};

std::string Plans() {
  std::string text = "plans:\n";
  for (const PriceList& list : kPriceLists) {
    text += PlanWriter(list).Starter();
    text += PlanWriter(list).Scale();
  }
  return text;
}

const PriceList& PriceListOf(uint32_t number) {
  const uint32_t tenth = number % 10;
  return kPriceLists[tenth < 5 ? 0 : tenth < 8 ? 1 : 2];
}

void AppendSubscription(uint32_t number, std::string_view plan, const std::string& from, const std::string& to,
                        std::string* text) {
  const PriceList& list = PriceListOf(number);
  const std::string subject = GeneratedSubject(number);
  text->append(subject).append(",acct-").append(subject.substr(4)).append(",");
  text->append(plan).append("-").append(list.suffix).append(",").append(list.entity).append(",");
  text->append(list.currency).append(",").append(from).append(",").append(to).append("\n");
}

// The largest tenth is on `scale`; every 25th of the others moves there in the middle of the first month.
std::string Subscriptions(const GenerateOptions& options) {
  const Day first_month = FirstOfMonth(options.first_day);
  const std::string from = ToString(FirstOfMonth(Day{first_month.number - 180}));
  const std::string amended = ToString(Day{first_month.number + 15});
  std::string text = "subscription,account,plan,entity,currency,valid_from,valid_to\n";
  for (uint32_t number = 1; number <= options.subscriptions; ++number) {
    if (number <= options.subscriptions / 10) {
      AppendSubscription(number, "scale", from, "", &text);
    } else if (number % 25 == 0) {
      AppendSubscription(number, "starter", from, amended, &text);
      AppendSubscription(number, "scale", amended, "", &text);
    } else {
      AppendSubscription(number, "starter", from, "", &text);
    }
  }
  return text;
}

}  // namespace

std::string GeneratedSubject(uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof(text), "sub-%06u", number);
  return text;
}

absl::StatusOr<std::map<std::string, std::string>> GenerateCatalog(const GenerateOptions& options) {
  TOLLBOOK_RETURN_IF_ERROR(CheckGenerateOptions(options));
  return std::map<std::string, std::string>{
      {"book.yaml", std::string(kBook)},
      {"entities.yaml", std::string(kEntities)},
      {"chart.yaml", std::string(kChart)},
      {"meters.yaml", std::string(kMeters)},
      {"plans.yaml", Plans()},
      {"posting.yaml", std::string(kPosting)},
      {"subscriptions.csv", Subscriptions(options)},
  };
}

}  // namespace tollbook
