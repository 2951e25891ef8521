// What other billing systems expect of the charge models that we share: tests/conformance/rating/*.json. A case is run
// when all its parameters are ours; the others are printed, each with the first parameter that we do not have.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rating/price.h"
#include "tests/rating/in_words.h"

namespace tollbook {
namespace {

using Json = nlohmann::json;

// The cases of the files as they are: one more or less is a change to look at.
constexpr int kCasesToRun = 63;
constexpr int kCasesToLeave = 24;

// Decimals are strings in the files: no number of theirs passes through binary floating point.
Int128 DecimalAt(const Json& object, const char* name) {
  return Attos(object.at(name).get<std::string>());
}

// The parameters that each model has here. previous_*: the period's earlier slices; what a seal then books is the
// difference. final_slice only matters to a minimum. round_places are a currency's minor digits.
const std::set<std::string>& OurParameters() {
  static const std::set<std::string> parameters = {"unit_amount",     "tiers",      "package_size", "package_amount",
                                                   "free_units",      "rounding",   "round_places", "previous_quantity",
                                                   "previous_billed", "final_slice"};
  return parameters;
}

std::optional<std::string> NotOurs(const Json& test) {
  for (const auto& [name, value] : test.at("params").items()) {
    if (!OurParameters().contains(name)) return name;
    if (name == "rounding" && value != (test.at("model") == "package" ? "up" : "half_up")) return name;
  }
  if (test.contains("usage")) return "usage";
  return std::nullopt;
}

std::vector<Tier> TiersOf(const Json& params) {
  std::vector<Tier> tiers;
  for (const Json& text : params.at("tiers")) {
    Tier tier;
    if (!text.at("up_to").is_null()) tier.up_to = Quantity{DecimalAt(text, "up_to")};
    tier.unit_price = {DecimalAt(text, "unit_amount")};
    tier.flat = {DecimalAt(text, "flat_amount")};
    tiers.push_back(tier);
  }
  return tiers;
}

Charge ChargeOf(const Json& test) {
  const Json& params = test.at("params");
  const std::string model = test.at("model");
  Charge charge;
  charge.name = test.at("id");
  charge.pricing.flat_at_zero = true;  // so the cases say
  if (params.contains("free_units")) charge.included = {DecimalAt(params, "free_units")};
  if (model == "per_unit") {
    charge.pricing.model = ChargeModel::kPerUnit;
    charge.pricing.unit_price = {DecimalAt(params, "unit_amount")};
  } else if (model == "package") {
    charge.pricing.model = ChargeModel::kPackage;
    charge.pricing.package_size = {DecimalAt(params, "package_size")};
    charge.pricing.package_price = {DecimalAt(params, "package_amount")};
  } else {
    charge.pricing.model = model == "volume" ? ChargeModel::kVolume : ChargeModel::kGraduated;
    charge.pricing.tiers = TiersOf(params);
  }
  return charge;
}

Currency WithMinorDigits(int digits) {
  return In(digits == 0 ? "JPY" : digits == 2 ? "USD" : digits == 3 ? "BHD" : "CLF");
}

// What is to be booked: the worth of the period so far, less what its earlier slices were billed.
std::string AmountOf(const Json& test) {
  const Json& params = test.at("params");
  Quantity quantity = {DecimalAt(test, "quantity")};
  Worth billed;
  if (params.contains("previous_quantity")) {
    EXPECT_TRUE(Add(quantity, {DecimalAt(params, "previous_quantity")}, &quantity));
    billed = {Wide::Product(DecimalAt(params, "previous_billed"), kOneUnit)};
  }
  const absl::StatusOr<Worth> worth = PriceQuantity(ChargeOf(test), quantity);
  EXPECT_TRUE(worth.ok()) << worth.status();
  Worth due;
  EXPECT_TRUE(Wide::Subtract(worth->amount, billed.amount, &due.amount));
  if (!params.contains("round_places")) return ToString(due);
  const Currency currency = WithMinorDigits(params.at("round_places").get<int>());
  return ToString(RoundToMinor(due, currency, Rounding::kHalfUp)->line);
}

std::vector<std::filesystem::path> CaseFiles() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(TOLLBOOK_SOURCE_DIR "/tests/conformance/rating")) {
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(Conformance, ChargeModelsGiveWhatOtherSystemsExpect) {
  int ran = 0;
  std::vector<std::string> left;
  for (const std::filesystem::path& path : CaseFiles()) {
    std::ifstream stream(path);
    const Json file = Json::parse(stream);
    for (const Json& test : file.at("cases")) {
      const std::string id = test.at("id");
      SCOPED_TRACE(id);
      if (const std::optional<std::string> parameter = NotOurs(test); parameter.has_value()) {
        left.push_back(id + " (" + *parameter + ")");
        continue;
      }
      ++ran;
      const std::string expected = test.at("expected").at("amount");
      EXPECT_EQ(Attos(AmountOf(test)), Attos(expected)) << "got " << AmountOf(test) << ", expected " << expected;
    }
  }
  std::cout << "conformance: " << ran << " cases ran, " << left.size()
            << " left for a parameter that we do not have:\n";
  for (const std::string& line : left) std::cout << "  " << line << "\n";
  EXPECT_EQ(ran, kCasesToRun);
  EXPECT_EQ(left.size(), size_t{kCasesToLeave});
}

}  // namespace
}  // namespace tollbook
