// One line of JSON: the usage event it says, or the first reason why it is none.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "pipeline/decode.h"
#include "tests/pipeline/files.h"

namespace tollbook {
namespace {

using ::testing::AnyOf;
using ::testing::Eq;

// Decodes with bytes behind the line that would complete it, if anything looked at them.
class JsonLine {
 public:
  explicit JsonLine(std::string_view line, std::string_view behind = "") : bytes_(line) {
    bytes_.append(behind);
    bytes_.append(kLinePadding, '}');
    static const std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
    decoder->Decode(std::string_view(bytes_).substr(0, line.size()), 0, arena_, decoded_);
  }
  Reason reason() const { return decoded_.at(0).reason; }
  std::string word() const { return std::string(ToString(reason())); }
  const UsageEvent& event() const { return decoded_.at(0).event; }
  bool InLine(std::string_view view) const {
    return view.data() >= bytes_.data() && view.data() < bytes_.data() + bytes_.size();
  }

 private:
  std::string bytes_;
  Arena arena_;
  std::vector<DecodedEvent> decoded_;
};

std::string Word(std::string_view line) {
  return JsonLine(line).word();
}

// Each case is one change to this event, which is good as it is.
constexpr std::string_view kGood =
    R"({"specversion":"1.0","id":"e1","source":"api/eu","type":"api.call","subject":"sub-1",)"
    R"("time":"2025-01-25T01:02:03.123Z","data":{"value":17,"region":"eu"}})";

std::string Changed(std::string_view from, std::string_view to) {
  std::string line(kGood);
  const size_t at = line.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return line.replace(at, from.size(), to);
}

std::string Describe(const Property& property) {
  static constexpr const char* kKinds[] = {"string", "number", "bool", "null", "composite"};
  return std::string(property.name) + "=" + kKinds[static_cast<int>(property.kind)] + ":" + std::string(property.text);
}
std::vector<std::string> Data(const UsageEvent& event) {
  std::vector<std::string> data;
  for (const Property& property : event.data) data.push_back(Describe(property));
  return data;
}

TEST(DecodeJson, AGoodLine) {
  const JsonLine line(kGood);
  ASSERT_EQ(line.word(), "none");
  const UsageEvent& event = line.event();
  EXPECT_EQ(event.id, "e1");
  EXPECT_EQ(event.source, "api/eu");
  EXPECT_EQ(event.type, "api.call");
  EXPECT_EQ(event.subject, "sub-1");
  EXPECT_EQ(ToString(event.time), "2025-01-25T01:02:03.123Z");
  EXPECT_THAT(Data(event), testing::ElementsAre("value=number:17", "region=string:eu"));
  EXPECT_EQ(event.data_json, R"({"value":17,"region":"eu"})");
  EXPECT_TRUE(line.InLine(event.id) && line.InLine(event.data[1].text)) << "text without escapes is not copied";
}

TEST(DecodeJson, WhatIsAccepted) {
  struct Case {
    const char* name;
    std::string line;
  };
  const Case cases[] = {
      {"no specversion", Changed(R"("specversion":"1.0",)", "")},
      {"specversion null is absent", Changed(R"("1.0")", "null")},
      {"no data: a count meter needs none", Changed(R"(,"data":{"value":17,"region":"eu"})", "")},
      {"empty data", Changed(R"({"value":17,"region":"eu"})", "{}")},
      {"data_base64 null is absent", Changed(R"("id")", R"("data_base64":null,"id")")},
      {"blanks everywhere",
       " { \"id\" : \"e\" ,\t\"source\":\"s\" , \"type\" : \"t\" , \"subject\" : \"u\",\r\"time\" : "
       "\"2025-01-01T00:00:00Z\" } \r"},
      {"an extension of any shape", Changed(R"("id")", R"("x":{"a":[1,{"b":null}],"c":-0.5e+3},"id")")},
      {"repeated names inside an extension do not count", Changed(R"("id")", R"("x":{"a":1,"a":1},"id")")},
      {"escaped names are names", Changed(R"("id")", R"("\u0069d")")},
      {"exactly 1,024 bytes", Changed("sub-1", std::string(1024, 's'))},
      {"an offset", Changed("03.123Z", "03.123+05:30")},
      {"1e400 is a JSON number", Changed("17", "1e400")},
      {"NUL as an escape", Changed("e1", R"(e\u0000)")},
      {"64 levels", Changed("17", std::string(62, '[') + std::string(62, ']'))},
  };
  for (const Case& c : cases) EXPECT_EQ(Word(c.line), "none") << c.name << ": " << c.line;
}

TEST(DecodeJson, EachReason) {
  struct Case {
    const char* name;
    const char* reason;
    std::string line;
  };
  const Case cases[] = {
      {"a byte that is not UTF-8", "invalid_utf8", Changed("sub-1", "sub-\xff")},
      {"half a character", "invalid_utf8", Changed("sub-1", "sub-\xc3")},
      {"a surrogate in UTF-8", "invalid_utf8", Changed("sub-1", "\xed\xa0\x80")},
      {"an overlong NUL", "invalid_utf8", Changed("sub-1", "\xc0\x80")},
      {"not UTF-8 in a line that is not JSON either", "invalid_utf8", "\xff{"},
      {"blank", "invalid_json", "  \r"},
      {"cut off", "invalid_json", std::string(kGood.substr(0, kGood.size() - 1))},
      {"cut off in data", "invalid_json", std::string(kGood.substr(0, kGood.size() - 2))},
      {"cut off in a string", "invalid_json", std::string(kGood.substr(0, 30))},
      {"text behind it", "invalid_json", std::string(kGood) + "x"},
      {"two objects", "invalid_json", std::string(kGood) + std::string(kGood)},
      {"a byte order mark in the middle of a file", "invalid_json", "\xEF\xBB\xBF" + std::string(kGood)},
      {"a comma too many", "invalid_json", Changed(R"("eu"})", R"("eu",})")},
      {"a comma too many in front", "invalid_json", Changed("{", "{,")},
      {"a comma too few", "invalid_json", Changed(R"(17,)", "17 ")},
      {"no colon", "invalid_json", Changed(R"("id":)", R"("id" )")},
      {"two colons", "invalid_json", Changed(R"("id":)", R"("id"::)")},
      {"a value and a colon", "invalid_json", Changed(R"("e1",)", R"("e1":1,)")},
      {"text glued to a string", "invalid_json", Changed(R"("e1")", R"("e1"x)")},
      {"a name that is a number", "invalid_json", Changed(R"("id")", "1")},
      {"closed by the wrong bracket", "invalid_json", Changed(R"({"value":17,"region":"eu"})", "[1}")},
      {"NaN", "invalid_json", Changed("17", "NaN")},
      {"a leading zero", "invalid_json", Changed("17", "017")},
      {"a plus", "invalid_json", Changed("17", "+17")},
      {"a point and nothing", "invalid_json", Changed("17", "17.")},
      {"an exponent and nothing", "invalid_json", Changed("17", "17e")},
      {"True", "invalid_json", Changed("17", "True")},
      {"a literal with a tail", "invalid_json", Changed("17", "truex")},
      {"a bad number in a field nobody reads", "invalid_json", Changed(R"("id")", R"("x":{"y":[01]},"id")")},
      {"a bad literal in a field nobody reads", "invalid_json", Changed(R"("id")", R"("x":nul,"id")")},
      {"a bad escape in a field nobody reads", "invalid_json", Changed(R"("id")", R"("x":"\q","id")")},
      {"a bad escape in a name nobody reads", "invalid_json", Changed(R"("id")", R"("x\u12":1,"id")")},
      {"half a surrogate pair", "invalid_json", Changed("sub-1", R"(\ud800)")},
      {"the second half alone", "invalid_json", Changed("sub-1", R"(\udc00)")},
      {"two first halves", "invalid_json", Changed("sub-1", R"(\ud800\ud800)")},
      {"a control character in a string", "invalid_json", Changed("sub-1", "sub\x01")},
      {"a NUL in a string", "invalid_json", Changed("sub-1", std::string("s\0b", 3))},
      {"a NUL between tokens", "invalid_json", Changed("{", std::string("{\0", 2))},
      {"65 levels", "invalid_json", Changed("17", std::string(63, '[') + std::string(63, ']'))},
      {"100,000 levels", "invalid_json", std::string(100'000, '[')},
      {"100,000 levels in data", "invalid_json", Changed("17", std::string(100'000, '['))},
      {"an array", "not_an_object", "[" + std::string(kGood) + "]"},
      {"a string", "not_an_object", R"("usage")"},
      {"a number", "not_an_object", " 17 "},
      {"null", "not_an_object", "null"},
      {"an id twice", "repeated_field", Changed(R"("id":"e1")", R"("id":"e1","id":"e1")")},
      {"an id twice, one name escaped", "repeated_field", Changed(R"("id":"e1")", R"("id":"e1","i\u0064":"e1")")},
      {"an extension twice", "repeated_field", Changed(R"("id")", R"("x":1,"y":2,"x":1,"id")")},
      {"a value twice", "repeated_field", Changed("17", R"(17,"value":17)")},
      {"nested twice", "repeated_field", Changed("17", R"({"a":{"b":1,"c":2,"b":1}})")},
      {"an object twice", "repeated_field", Changed("17", R"({"a":{"b":1},"a":{"c":1}})")},
      {"twice in an array's object", "repeated_field", Changed("17", R"([0,{"b":1,"b":1}])")},
      {"two ways to one path", "repeated_field", Changed("17", R"({"a.b":1,"a":{"b":1}})")},
      {"specversion 0.3", "unsupported_specversion", Changed("1.0", "0.3")},
      {"specversion is a number", "unsupported_specversion", Changed(R"("1.0")", "1.0")},
      {"specversion is an object", "unsupported_specversion", Changed(R"("1.0")", "{}")},
      {"id is a number", "wrong_type", Changed(R"("e1")", "1")},
      {"source is a list", "wrong_type", Changed(R"("api/eu")", R"(["api/eu"])")},
      {"type is true", "wrong_type", Changed(R"("api.call")", "true")},
      {"subject is an object", "wrong_type", Changed(R"("sub-1")", "{}")},
      {"time is a number", "wrong_type", Changed(R"("2025-01-25T01:02:03.123Z")", "1737766923")},
      {"data is a list", "wrong_type", Changed(R"({"value":17,"region":"eu"})", "[17]")},
      {"data is a string", "wrong_type", Changed(R"({"value":17,"region":"eu"})", R"("17")")},
      {"data is null", "wrong_type", Changed(R"({"value":17,"region":"eu"})", "null")},
      {"data_base64", "wrong_type", Changed(R"("data":{"value":17,"region":"eu"})", R"("data_base64":"e30=")")},
      {"no id", "missing_id", Changed(R"("id":"e1",)", "")},
      {"an empty id", "missing_id", Changed("e1", "")},
      {"id null is absent", "missing_id", Changed(R"("e1")", "null")},
      {"an empty object", "missing_id", "{}"},
      {"no source", "missing_source", Changed(R"("source":"api/eu",)", "")},
      {"no type", "missing_type", Changed(R"("type":"api.call",)", "")},
      {"no subject", "missing_subject", Changed(R"("subject":"sub-1",)", "")},
      {"no time", "missing_time", Changed(R"("time":"2025-01-25T01:02:03.123Z",)", "")},
      {"an id of 1,025 bytes", "field_too_long", Changed("e1", std::string(1025, 'i'))},
      {"a subject of 1,025 bytes", "field_too_long", Changed("sub-1", std::string(1025, 's'))},
      {"the 30th of February", "invalid_time", Changed("2025-01-25", "2025-02-30")},
      {"a time in words", "invalid_time", Changed("2025-01-25T01:02:03.123Z", "yesterday")},
      {"a time without zone", "time_without_zone", Changed("03.123Z", "03.123")},
      {"year 9999", "time_out_of_range", Changed("2025", "9999")},
      {"year 1969", "time_out_of_range", Changed("2025", "1969")},
  };
  for (const Case& c : cases) EXPECT_EQ(Word(c.line), c.reason) << c.name << ": " << c.line.substr(0, 300);
}

// Whatever stands in front in the line: the order of the list of reasons decides.
TEST(DecodeJson, TheFirstReasonOfTheListIsReported) {
  EXPECT_EQ(Word(R"({"time":"never","subject":"","type":"","source":""})"), "missing_id");
  EXPECT_EQ(Word(R"({"time":"never","id":"e"})"), "missing_source");
  EXPECT_EQ(Word(R"({"data":1,"time":"never"})"), "wrong_type");
  EXPECT_EQ(Word(R"({"data":1,"specversion":"2.0"})"), "unsupported_specversion");
  EXPECT_EQ(Word(R"({"data":1,"specversion":"2.0","x":1,"x":2})"), "repeated_field");
  EXPECT_EQ(Word(R"({"data":1,"specversion":"2.0","x":1,"x":2)"), "invalid_json");
  EXPECT_EQ(Word(std::string("{\"data\":1,\"x\":\"\xff\"")), "invalid_utf8");
}

TEST(DecodeJson, FlattensDataByPath) {
  struct Case {
    const char* data;
    std::vector<std::string> properties;
  };
  const Case cases[] = {
      {R"({"usage":{"tokens":5,"deep":{"er":true}},"model":null})",
       {R"(usage=composite:{"tokens":5,"deep":{"er":true}})", "usage.tokens=number:5",
        R"(usage.deep=composite:{"er":true})", "usage.deep.er=bool:true", "model=null:null"}},
      {R"({"list":[1,{"a":2},[3]],"after":4})", {R"(list=composite:[1,{"a":2},[3]])", "after=number:4"}},
      {R"({"n":1.50,"e":-2E+3,"big":1234567890123456789012345678901234567890})",
       {"n=number:1.50", "e=number:-2E+3", "big=number:1234567890123456789012345678901234567890"}},
      {R"({"s":"a\"b\\\/\b\f\n\r\t\u00e9\u20ac\ud83d\ude00"})",
       {"s=string:a\"b\\/\b\f\n\r\t\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"}},
      {R"({"\u0061":{"\n":1}})", {R"(a=composite:{"\n":1})", "a.\n=number:1"}},
      {R"({"":{"":1}})", {R"(=composite:{"":1})", ".=number:1"}},
      {R"({ "a" : [ ] , "b" : { } })", {"a=composite:[ ]", "b=composite:{ }"}},
  };
  for (const Case& c : cases) {
    const JsonLine line(Changed(R"({"value":17,"region":"eu"})", c.data));
    EXPECT_EQ(line.word(), "none");
    EXPECT_EQ(Data(line.event()), c.properties);
    EXPECT_EQ(line.event().data_json, c.data);
  }
}

TEST(DecodeJson, AHostileLineCostsNeitherTimeNorMemory) {
  std::string wide, nested;
  for (int i = 0; i < 60'000; ++i) {
    wide += "\"k" + std::to_string(i) + "\":1,";
    nested += "\"k" + std::to_string(i % 10) + "\":1,";
  }
  EXPECT_EQ(Word(Changed("17", "17," + wide + "\"z\":1")), "none");
  EXPECT_EQ(Word(Changed("17", "17," + wide + "\"k7\":1")), "repeated_field");
  EXPECT_EQ(Word(Changed(R"("id")", wide + "\"k7\":1,\"id\"")), "repeated_field");
  const std::string long_name(100'000, 'n');
  EXPECT_EQ(Word(Changed("17", "{\"" + long_name + "\":{" + wide + "\"z\":1}}")), "field_too_long");
}

// --- Names that repeat -----------------------------------------------------------------------------------------------

// Names of one length that begin and end alike, as hand-made schemas have them: only the middle tells them apart.
std::string MiddleName(uint64_t number) {
  const std::string digits = std::to_string(number);
  return "billing_input" + std::string(7 - digits.size(), '0') + digits + "_quantity";
}

std::string Members(const std::vector<std::string>& names) {
  std::string members;
  for (const std::string& name : names) members.append(members.empty() ? "\"" : ",\"").append(name).append("\":1");
  return members;
}

TEST(DecodeJson, NamesThatDifferInTheMiddleAreDifferentNames) {
  for (const size_t count : {2, 3, 15, 16, 17, 18, 60}) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back(MiddleName(i * 7919 % 1000));
    for (size_t repeated = 0; repeated < count; ++repeated) {  // 0: none, otherwise the last one is
      if (repeated > 0) names.back() = names[repeated - 1];
      const char* const expected = repeated > 0 ? "repeated_field" : "none";
      const std::string members = Members(names);
      SCOPED_TRACE(members);
      EXPECT_EQ(Word(Changed(R"({"value":17,"region":"eu"})", "{" + members + "}")), expected);
      EXPECT_EQ(Word(Changed("17", "{\"a\":{" + members + "}}")), expected);
      EXPECT_EQ(Word(Changed("17", "[1,{" + members + "}]")), expected);
      EXPECT_EQ(Word(Changed(R"("id")", members + R"(,"id")")), expected);
    }
  }
  EXPECT_EQ(Word(Changed("17", R"(1,"billing_inputA_quantity":1,"billing_inputB_quantity":2)")), "none");
  EXPECT_EQ(Word(Changed("17", R"(1,"billing_inputA_quantity":1,"billing_inputA_quantity":2)")), "repeated_field");
}

// `data` made at random, and its plain twin: every path is written out and all of them are sorted.
class RandomData {
 public:
  RandomData(std::mt19937_64& random) : random_(random) {
    constexpr std::array<uint64_t, 4> kSpreads = {6, 60, 5'000, 9'000'000};
    spread_ = kSpreads[random_() % kSpreads.size()];
    short_names_ = random_() % 3 == 0;
    Object("", 0, /*listed=*/true);
  }
  const std::string& json() const { return json_; }
  bool Repeats() const {
    std::vector<std::string> sorted = paths_;
    return repeats_in_array_ || HasTwice(&sorted);
  }

 private:
  static bool HasTwice(std::vector<std::string>* texts) {
    std::sort(texts->begin(), texts->end());
    return std::adjacent_find(texts->begin(), texts->end()) != texts->end();
  }
  std::string Name() {
    constexpr std::array<const char*, 12> kShort = {"",   ".",  "a",  "b", "a.b",   "b.a",
                                                    "a.", ".a", "..", "c", "c.a.b", "d"};
    if (short_names_ && random_() % 3 != 0) return kShort[random_() % kShort.size()];
    const std::string name = MiddleName(random_() % spread_);
    return random_() % 40 == 0 ? name + "." + MiddleName(random_() % 6) : name;
  }
  void Object(const std::string& path, int depth, bool listed) {
    const uint64_t members = random_() % 6 == 0 ? 12 + random_() % 20 : random_() % 4;
    std::vector<std::string> names;
    json_ += '{';
    for (uint64_t i = 0; i < members; ++i) {
      names.push_back(Name());
      json_.append(i == 0 ? "\"" : ",\"").append(names.back()).append("\":");
      const std::string full = depth == 0 ? names.back() : path + "." + names.back();
      if (listed) paths_.push_back(full);
      Value(full, depth + 1, listed);
    }
    json_ += '}';
    if (!listed) repeats_in_array_ = HasTwice(&names) || repeats_in_array_;
  }
  void Value(const std::string& path, int depth, bool listed) {
    const uint64_t kind = random_() % (depth < 4 ? 6 : 20);
    if (kind == 0) return Object(path, depth, listed);
    if (kind != 1 || depth >= 4) return void(json_ += "17");
    json_ += '[';
    for (uint64_t i = random_() % 3; i > 0; --i) {
      Value("", depth + 1, /*listed=*/false);
      if (i > 1) json_ += ',';
    }
    json_ += ']';
  }

  std::mt19937_64& random_;
  uint64_t spread_ = 0;
  bool short_names_ = false;
  std::string json_;
  std::vector<std::string> paths_;  // of all that is in no array
  bool repeats_in_array_ = false;
};

TEST(DecodeJson, NamesRepeatWhereThePlainTwinFindsAPathTwice) {
  constexpr unsigned kSeed = 20250126;
  std::mt19937_64 random(kSeed);
  int repeats = 0;
  constexpr int kObjects = 20'000;
  for (int i = 0; i < kObjects; ++i) {
    const RandomData data(random);
    repeats += data.Repeats() ? 1 : 0;
    ASSERT_EQ(Word(Changed(R"({"value":17,"region":"eu"})", data.json())), data.Repeats() ? "repeated_field" : "none")
        << "seed " << kSeed << ", object " << i << ": " << data.json();
  }
  EXPECT_GT(repeats, kObjects / 10);
  EXPECT_LT(repeats, kObjects * 9 / 10);
}

TEST(DecodeJson, OneDecoderForgetsTheLineBefore) {
  std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
  Arena arena;
  std::vector<DecodedEvent> out;
  for (const std::string& line :
       {std::string(kGood), std::string("{}"), std::string("{\"x\":[{\"id\":"), std::string(kGood)}) {
    const std::string padded = line + std::string(kLinePadding, ' ');
    decoder->Decode(std::string_view(padded).substr(0, line.size()), 0, arena, out);
  }
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[1].reason, Reason::kMissingId);
  EXPECT_EQ(out[2].reason, Reason::kInvalidJson);
  EXPECT_EQ(out[3].reason, Reason::kNone);
  EXPECT_EQ(out[3].event.data.size(), 2u);
}

TEST(DecodeJson, BytesBehindTheLineDoNotCompleteIt) {
  for (size_t cut = 1; cut < kGood.size(); ++cut) {
    EXPECT_EQ(JsonLine(kGood.substr(0, cut), kGood.substr(cut)).word(), "invalid_json") << kGood.substr(0, cut);
  }
}

// --- Against another parser ------------------------------------------------------------------------------------------

bool IsJson(std::string_view text) {
  return nlohmann::json::accept(text.begin(), text.end());
}
bool AcceptedAsJson(std::string_view line) {
  const Reason reason = JsonLine(line).reason();
  return reason != Reason::kInvalidJson && reason != Reason::kInvalidUtf8;
}

TEST(DecodeJson, DamagedLinesAreJudgedAsAnotherParserDoes) {
  const unsigned seed = 20250125;
  std::mt19937 random(seed);
  const std::string base = Changed("17", R"({"a":[1,-2.5e3,{"b":"\u00e9\n"}],"c":[],"d":{},"e":null,"f":false})");
  constexpr std::string_view kBytes = "{}[]:,\"\\0123456789.eE+-tfnul \t\r\n\x01\x7f\x80\xc3\xa9\xff/u";
  int accepted = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string line = base;
    const int changes = 1 + static_cast<int>(random() % 3);
    for (int change = 0; change < changes; ++change) {
      const size_t at = random() % line.size();
      switch (random() % 5) {
        case 0:
          line.resize(at + 1);
          break;
        case 1:
          line.erase(at, 1 + random() % 4);
          break;
        case 2:
          line.insert(at, 1, kBytes[random() % kBytes.size()]);
          break;
        case 3:
          line[at] = static_cast<char>(line[at] ^ (1 << (random() % 8)));
          break;
        default:
          line[at] = kBytes[random() % kBytes.size()];
      }
      if (line.empty()) line = " ";
    }
    // The twin passes over a byte order mark; in the middle of a file it is no JSON.
    const bool expected = IsJson(line) && !line.starts_with("\xEF\xBB\xBF");
    accepted += expected;
    ASSERT_EQ(AcceptedAsJson(line), expected) << "seed " << seed << ", line " << i << ": " << line;
  }
  EXPECT_GT(accepted, 10'000);
}

// --- JSONTestSuite ---------------------------------------------------------------------------------------------------

std::string SharedData() {
  if (const char* shared = getenv("TOLLBOOK_SHARED")) return shared;
  return std::string(TOLLBOOK_SOURCE_DIR) + "/../shared";
}

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(DecodeJson, JsonTestSuite) {
  const std::string data = SharedData() + "/data/hostile-json";
  if (!std::filesystem::exists(data + "/JSONTestSuite.tar.xz")) {
    GTEST_SKIP() << "no " << data << "/JSONTestSuite.tar.xz; set TOLLBOOK_SHARED to the directory that holds data/";
  }
  TemporaryDirectory directory;
  ASSERT_EQ(system(("tar -xJf '" + data + "/JSONTestSuite.tar.xz' -C " + directory.path()).c_str()), 0);
  std::ifstream manifest(data + "/manifest.csv");
  std::string row;
  std::getline(manifest, row);
  int rejected = 0, accepted = 0;
  while (std::getline(manifest, row)) {
    const std::string path = row.substr(0, row.find(','));
    const std::string expected = row.substr(path.size() + 1, row.find(',', path.size() + 1) - path.size() - 1);
    std::string file;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory.path())) {
      if (entry.path().string().ends_with("/" + path)) file = entry.path();
    }
    ASSERT_FALSE(file.empty()) << path;
    const std::string content = ReadAll(file);
    SCOPED_TRACE(path);
    const std::string alone = Word(content);
    const std::string embedded = Word(Changed(R"("id")", "\"x\":" + content + ",\"id\""));
    EXPECT_NE(alone, "none") << "no file of the suite is a usage event";
    if (expected == "must_reject") {
      ++rejected;
      EXPECT_THAT(alone, AnyOf(Eq("invalid_json"), Eq("invalid_utf8")));
      EXPECT_THAT(embedded, AnyOf(Eq("invalid_json"), Eq("invalid_utf8")));
    } else if (expected == "must_accept") {
      ++accepted;
      EXPECT_THAT(alone, AnyOf(Eq("not_an_object"), testing::StartsWith("missing_"), Eq("repeated_field")));
      EXPECT_EQ(embedded, "none");
    }
  }
  EXPECT_EQ(rejected, 188);
  EXPECT_EQ(accepted, 95);
}

// --- Corrections -----------------------------------------------------------------------------------------------------

TEST(JsonCorrection, RestatesWhatWasOther) {
  const JsonLine line(Changed("\"}}", R"("},"corrects":"e0","original":{"subject":"sub-\u0032","data":{"value":3}}})"));
  ASSERT_EQ(line.word(), "none");
  ASSERT_NE(line.event().correction, nullptr);
  EXPECT_FALSE(line.event().correction->is_void);
  const UsageEvent& original = line.event().correction->original;
  EXPECT_EQ(original.id, "e0");
  EXPECT_EQ(original.source, "api/eu");
  EXPECT_EQ(original.type, "api.call");
  EXPECT_EQ(original.subject, "sub-2");
  EXPECT_EQ(original.time, line.event().time);
  EXPECT_EQ(original.data_json, R"({"value":3})");
  ASSERT_EQ(original.data.size(), 1u);
  EXPECT_EQ(line.event().subject, "sub-1");
  EXPECT_EQ(line.event().data.size(), 2u);
}

TEST(JsonCorrection, AVoidRestatesAll) {
  const JsonLine line(Changed("\"id\":\"e1\"", R"("voids":"e0","id":"v1")"));
  ASSERT_EQ(line.word(), "none");
  ASSERT_NE(line.event().correction, nullptr);
  EXPECT_TRUE(line.event().correction->is_void);
  EXPECT_EQ(line.event().correction->original.id, "e0");
  EXPECT_EQ(Data(line.event().correction->original), Data(line.event()));
}

TEST(JsonCorrection, WhatIsNone) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("corrects":"e0","voids":"e0")", "invalid_correction"},
      {R"("corrects":"")", "invalid_correction"},
      {R"("voids":"e1")", "invalid_correction"},
      {R"("original":{})", "invalid_correction"},
      {R"("voids":"e0","original":{})", "invalid_correction"},
      {R"("corrects":["e0"])", "wrong_type"},
      {R"("corrects":"e0","original":[])", "wrong_type"},
      {R"("corrects":"e0","original":7)", "wrong_type"},
      {R"("corrects":"e0","original":{"data":7})", "wrong_type"},
      {R"("corrects":"e0","original":{"type":""})", "missing_type"},
      {R"("corrects":"e0","original":{"time":""})", "missing_time"},
      {R"("corrects":"e0","corrects":"e0")", "repeated_field"},
      {R"("corrects":"e0","original":{},"original":{})", "repeated_field"},
      {R"("corrects":"e0","original":{"x":1,"x":1})", "repeated_field"},
      {R"("corrects":"e0","original":{"data":{"a":1,"a":1}})", "repeated_field"},
      {R"("corrects":"e0","original":{"data":{"a":1})", "invalid_json"},
      {R"("corrects":"e0","original":{"data":{}},})", "invalid_json"},
      {R"("corrects":"e0","original":nul)", "invalid_json"},
      {R"("corrects":null,"voids":null,"original":null)", "none"},
      {R"("corrects":"e0","original":{"id":"e0","specversion":7,"corrects":[],"data":{}})", "none"},
  };
  for (const auto& [fields, word] : cases)
    EXPECT_EQ(Word(Changed("\"id\"", std::string(fields) + ",\"id\"")), word) << fields;
  const std::string long_id(1025, 'x');
  EXPECT_EQ(Word(Changed("\"id\"", "\"voids\":\"" + long_id + "\",\"id\"")), "field_too_long");
}

// --- The canonical form ----------------------------------------------------------------------------------------------

TEST(CanonicalJson, DecodesToTheSameEvent) {
  const std::string lines[] = {
      std::string(kGood),
      Changed("sub-1", R"(\"\\\u0001\u001f\n\t\r\u00e9\/)"),
      Changed("03.123Z", "03+05:30"),
      Changed(R"(,"data":{"value":17,"region":"eu"})", ""),
      Changed("17", R"({ "nested" : [1, 2] })"),
      Changed("\"id\"", R"("voids":"e\"0","id")"),
      Changed("\"id\"", R"("corrects":"e0","id")"),
      Changed("\"id\"",
              R"("corrects":"e0","original":{"type":"t","subject":"s","time":"2025-01-25T01:02:03+02:00"},"id")"),
      Changed("\"id\"", R"("corrects":"e0","original":{"data":{ "value":[] }},"id")"),
  };
  for (const std::string& line : lines) {
    const JsonLine first(line);
    std::string canonical;
    AppendCanonicalJson(first.event(), &canonical);
    const JsonLine second(canonical);
    ASSERT_EQ(second.word(), "none") << canonical;
    EXPECT_EQ(second.event().id, first.event().id);
    EXPECT_EQ(second.event().subject, first.event().subject);
    EXPECT_EQ(second.event().time, first.event().time);
    EXPECT_EQ(Data(second.event()), Data(first.event()));
    ASSERT_EQ(second.event().correction == nullptr, first.event().correction == nullptr);
    if (const Correction* const correction = first.event().correction) {
      const UsageEvent &before = correction->original, &after = second.event().correction->original;
      EXPECT_EQ(second.event().correction->is_void, correction->is_void);
      EXPECT_EQ(std::tie(after.id, after.type, after.subject, after.time),
                std::tie(before.id, before.type, before.subject, before.time));
      EXPECT_EQ(Data(after), Data(before));
    }
    std::string again;
    AppendCanonicalJson(second.event(), &again);
    EXPECT_EQ(again, canonical);
  }
}

TEST(CanonicalJson, FieldsInOrderAndTimesInZ) {
  const JsonLine line(
      R"({"time":"2025-01-01T02:00:00.500+02:00","x":1,"data":{"value":1.50},"subject":"u","type":"t","source":"s","id":"i"})");
  std::string canonical;
  AppendCanonicalJson(line.event(), &canonical);
  EXPECT_EQ(
      canonical,
      R"({"specversion":"1.0","id":"i","source":"s","type":"t","subject":"u","time":"2025-01-01T00:00:00.5Z","data":{"value":1.50}})");
}

TEST(CanonicalJson, PropertiesOfACsvEventAreDatasMembers) {
  const Property data[] = {{"model", "m\"1", Property::Kind::kString}, {"tokens", "1.50", Property::Kind::kNumber}};
  const UsageEvent event{"i", "s", "t", "u", Instant{0}, data, {}};
  std::string canonical;
  AppendCanonicalJson(event, &canonical);
  EXPECT_THAT(canonical, testing::EndsWith(R"("data":{"model":"m\"1","tokens":1.50}})"));
}

}  // namespace
}  // namespace tollbook
