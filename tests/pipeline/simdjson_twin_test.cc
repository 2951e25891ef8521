// The general decoder has a walk of its own over the structure that simdjson finds. Here simdjson's own parsers are its
// twins, whatever the line: DOM says whether it is JSON, On-Demand what the six fields are.
//
// TOLLBOOK_SEED=<number> repeats a run; TOLLBOOK_LONG=1 runs a hundred times as long.
#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/decode.h"
#include "tests/pipeline/line_maker.h"

namespace tollbook {
namespace {

std::string Told(std::string_view name, Property::Kind kind, std::string_view text) {
  static constexpr const char* kKinds[] = {"string", "number", "bool", "null", "composite"};
  std::string told = std::string(name) + " is " + kKinds[static_cast<int>(kind)];
  // The text of an object or array is the line's own: that it is in its place is seen by its members.
  return kind == Property::Kind::kComposite ? told : told + " " + std::string(text);
}

// Five texts, the time as an instant; then `data`, flattened.
using Fields = std::vector<std::string>;
constexpr std::string_view kTexts[] = {"id", "source", "type", "subject", "time"};

Fields FieldsOf(const UsageEvent& event) {
  Fields fields = {std::string(event.id), std::string(event.source), std::string(event.type),
                   std::string(event.subject), std::to_string(event.time.nanos)};
  for (const Property& property : event.data) fields.push_back(Told(property.name, property.kind, property.text));
  return fields;
}

std::string_view WithoutBlanksBehind(std::string_view token) {
  while (!token.empty() && std::string_view(" \t\r\n").find(token.back()) != std::string_view::npos)
    token.remove_suffix(1);
  return token;
}

// False: On-Demand finds something that it does not take.
bool Flatten(simdjson::ondemand::object object, const std::string& path, Fields* fields) {
  for (auto member : object) {
    std::string_view key, text;
    simdjson::ondemand::value value;
    simdjson::ondemand::json_type type;
    if (member.unescaped_key().get(key)) return false;
    const std::string name = path + std::string(key);
    if (member.value().get(value) || value.type().get(type)) return false;
    switch (type) {
      case simdjson::ondemand::json_type::string:
        if (value.get_string().get(text)) return false;
        fields->push_back(Told(name, Property::Kind::kString, text));
        break;
      case simdjson::ondemand::json_type::number:
        fields->push_back(Told(name, Property::Kind::kNumber, WithoutBlanksBehind(value.raw_json_token())));
        break;
      case simdjson::ondemand::json_type::boolean:
        fields->push_back(Told(name, Property::Kind::kBool, WithoutBlanksBehind(value.raw_json_token())));
        break;
      case simdjson::ondemand::json_type::null:
        fields->push_back(Told(name, Property::Kind::kNull, WithoutBlanksBehind(value.raw_json_token())));
        break;
      case simdjson::ondemand::json_type::array:
        fields->push_back(Told(name, Property::Kind::kComposite, ""));
        break;
      case simdjson::ondemand::json_type::object: {
        fields->push_back(Told(name, Property::Kind::kComposite, ""));
        simdjson::ondemand::object inner;
        if (value.get_object().get(inner) || !Flatten(inner, name + ".", fields)) return false;
        break;
      }
    }
  }
  return true;
}

class SimdjsonTwin : public ::testing::Test {
 protected:
  void Check(std::string_view line) {
    const simdjson::padded_string padded(line);
    simdjson::dom::element root;
    const simdjson::error_code error = dom_.parse(padded).get(root);
    std::string ours(line);
    ours.append(kLinePadding, '}');  // would complete the line, if anything looked at it
    Arena arena;
    std::vector<DecodedEvent> decoded;
    decoder_->Decode(std::string_view(ours).substr(0, line.size()), 0, arena, decoded);
    ASSERT_EQ(decoded.size(), 1u);
    const Reason reason = decoded[0].reason;
    const bool is_json = reason != Reason::kInvalidJson && reason != Reason::kInvalidUtf8;
    ++lines_;
    // DOM makes a double of each number: it refuses what is JSON and no double.
    if (error == simdjson::NUMBER_ERROR) {
      ++numbers_;
    } else {
      ASSERT_EQ(is_json, error == simdjson::SUCCESS)
          << "TOLLBOOK_SEED=" << TestSeed() << ", " << simdjson::error_message(error) << ": " << line;
    }
    if (reason != Reason::kNone) return;
    ++accepted_;
    const std::optional<Fields> theirs = FieldsByOnDemand(padded);
    ASSERT_TRUE(theirs.has_value()) << "TOLLBOOK_SEED=" << TestSeed() << ": " << line;
    ASSERT_EQ(FieldsOf(decoded[0].event), *theirs) << "TOLLBOOK_SEED=" << TestSeed() << ": " << line;
  }

  std::optional<Fields> FieldsByOnDemand(const simdjson::padded_string& line) {
    simdjson::ondemand::document document;
    simdjson::ondemand::object members;
    if (on_demand_.iterate(line).get(document) || document.get_object().get(members)) return std::nullopt;
    std::map<std::string, std::string, std::less<>> texts;
    Fields data;
    for (auto member : members) {  // one by one: On-Demand does not find a name that has escapes
      std::string_view name, text;
      simdjson::ondemand::object object;
      if (member.unescaped_key().get(name)) return std::nullopt;
      const std::string key(name);
      if (key == "data") {
        if (member.value().get_object().get(object) || !Flatten(object, "", &data)) return std::nullopt;
      } else if (std::find(std::begin(kTexts), std::end(kTexts), key) != std::end(kTexts)) {
        if (member.value().get_string().get(text)) return std::nullopt;
        texts.emplace(key, text);
      }
    }
    if (texts.size() != std::size(kTexts)) return std::nullopt;
    const ParsedInstant time = ParseInstant(texts["time"]);
    if (time.error != TimeError::kNone) return std::nullopt;
    texts["time"] = std::to_string(time.instant.nanos);
    Fields fields;
    for (const std::string_view name : kTexts) fields.push_back(texts.find(name)->second);
    fields.insert(fields.end(), data.begin(), data.end());
    return fields;
  }

  Random random_{TestSeed()};
  const std::unique_ptr<Decoder> decoder_ = MakeJsonDecoder();
  simdjson::dom::parser dom_;
  simdjson::ondemand::parser on_demand_;
  uint64_t lines_ = 0, accepted_ = 0, numbers_ = 0;
};

TEST_F(SimdjsonTwin, MadeUpLinesOfEveryKind) {
  for (const int odd : {0, 1, 5, 20}) {
    const uint64_t lines = lines_, accepted = accepted_;
    for (int i = 0; i < Rounds(5'000); ++i) ASSERT_NO_FATAL_FAILURE(Check(LineMaker(random_).Line(odd)));
    if (odd > 0) continue;
    EXPECT_GT(accepted_ - accepted, (lines_ - lines) * 9 / 10);
  }
  EXPECT_GT(accepted_, lines_ / 4);
  EXPECT_LT(numbers_, lines_ / 4);
}

TEST_F(SimdjsonTwin, DamagedLines) {
  for (int i = 0; i < Rounds(30'000); ++i) {
    const std::string line = Damaged(LineMaker(random_).Line(OneIn(3, random_) ? 5 : 0), random_);
    if (line.find_first_not_of(" \t\r\n") == std::string::npos) continue;
    ASSERT_NO_FATAL_FAILURE(Check(line));
  }
  EXPECT_GT(accepted_, lines_ / 20);
  EXPECT_LT(accepted_, lines_ / 2);
  EXPECT_LT(numbers_, lines_ / 8);
}

TEST_F(SimdjsonTwin, EscapedLines) {
  for (int i = 0; i < Rounds(5'000); ++i) {
    const std::string line = LineMaker(random_).Line(OneIn(2, random_) ? 2 : 0);
    const bool names = OneIn(2, random_);
    const std::string escaped = WithEscapes(line, OneIn(2, random_) ? 100 : 20, names, random_);
    ASSERT_NO_FATAL_FAILURE(Check(escaped));
    ASSERT_NO_FATAL_FAILURE(Check(Damaged(escaped, random_) + "}"));
  }
  EXPECT_GT(accepted_, lines_ / 4);
}

TEST_F(SimdjsonTwin, EveryCutOfALine) {
  for (int i = 0; i < Rounds(20); ++i) {
    const std::string line = LineMaker(random_).Line(i % 3);
    for (size_t bytes = 1; bytes <= line.size(); ++bytes) ASSERT_NO_FATAL_FAILURE(Check(line.substr(0, bytes)));
  }
  EXPECT_GT(accepted_, 5u);
}

}  // namespace
}  // namespace tollbook
