// LineMaker: lines of JSON as producers write them, and some that they should not; and what happens to them on the way.
#ifndef TOLLBOOK_TESTS_PIPELINE_LINE_MAKER_H_
#define TOLLBOOK_TESTS_PIPELINE_LINE_MAKER_H_

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/pipeline/block_twins.h"

namespace tollbook {

class LineMaker {
 public:
  explicit LineMaker(Random& random) : random_(random) {}

  // `odd` in a hundred values are unusual ones.
  std::string Line(int odd) {
    odd_ = odd;
    static constexpr const char* kTypes[] = {"api.call", "llm", "level", "mail", "deep.\xC3\xA9", "unheard.of"};
    const std::string type = Odd() ? "unheard.of" : Pick(std::span(kTypes).first(5), random_);
    std::vector<std::string> fields = {Field("id", Text(16)), Field("source", Text(12)), Field("type", Quoted(type)),
                                       Field("subject", Text(8)), Field("time", Quoted(Time()))};
    if (!Odd()) fields.insert(fields.begin(), Field("specversion", Odd() ? Odd() ? "1.0" : "null" : "\"1.0\""));
    if (!Odd()) fields.push_back(Field("data", Data(type)));
    if (Odd()) fields.push_back(Field(Odd() ? "datacontenttype" : "x", Scalar()));
    if (Odd()) fields.push_back(Field(Odd() ? "voids" : "corrects", Odd() ? Scalar() : Text(16)));
    if (Odd()) fields.push_back(Field("original", Odd() ? Scalar() : Object({Field("data", Data(type))})));
    if (Odd()) std::shuffle(fields.begin(), fields.end(), random_);
    if (Odd() && Odd()) fields.push_back(Pick(fields, random_));
    if (Odd() && Odd()) fields.erase(fields.begin());
    return Object(fields);
  }

  std::string LineEnd() {
    if (!Odd()) return "\n";
    static constexpr const char* kEnds[] = {"\r\n", "\n\n", " \n", "\r\r\n", "\n \t\r\n", "\r\n\r\n", "\t\n"};
    return Pick(kEnds, random_);
  }

 private:
  bool Odd() { return static_cast<int>(random_() % 100) < odd_; }
  static std::string Quoted(const std::string& text) { return "\"" + text + "\""; }
  std::string Field(const std::string& name, const std::string& value) {
    static constexpr const char* kColons[] = {" :", ": ", ":\t", " : "};
    return Quoted(Odd() && Odd() ? Escaped(name) : name) + (Odd() && Odd() ? Pick(kColons, random_) : ":") + value;
  }
  static std::string Escaped(const std::string& name) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "\\u%04x", static_cast<unsigned char>(name[0]));
    return hex + name.substr(1);
  }
  std::string Object(const std::vector<std::string>& members) {
    static constexpr const char* kCommas[] = {", ", " ,", "\t,\t"};
    std::string text = "{";
    for (const std::string& member : members) {
      if (text.size() > 1) text += Odd() && Odd() ? Pick(kCommas, random_) : ",";
      text += member;
    }
    return text + "}";
  }

  std::string Data(const std::string& type) {
    std::vector<std::string> members = {Field("request_id", Text(12))};
    if (type == "llm" || type == "mail") members.push_back(Field("tokens", Number()));
    if (type == "llm" || type == "level")
      members.push_back(Field("usage", Object({Field("seconds", Number()), Field("cores", "2")})));
    if (type == "llm") members.push_back(Field("model", Dimension()));
    if (type == "level") members.push_back(Field("x", Dimension()) + "," + Field("y", Odd() ? Scalar() : Number()));
    if (type[0] == 'd')
      members.push_back(Field("a", Object({Field("b", Object({Field("c", Number())})), Field("d", Dimension())})));
    if (type != "mail") members.push_back(Field("region", Dimension()));
    if (Odd()) members.push_back(Field("list", Odd() ? "[1,{\"k\":2},[]]" : "[\"a\",3]"));
    if (Odd()) members.push_back(Field(Odd() ? "a.b" : "usage.seconds", Number()));
    if (Odd()) std::shuffle(members.begin(), members.end(), random_);
    if (Odd()) members.pop_back();
    return Object(members);
  }

  std::string Dimension() {
    static constexpr const char* kUsual[] = {"us-east", "eu-west", "ap-south", "m", "model-medium-2025"};
    return Odd() ? Scalar() : Quoted(Pick(kUsual, random_));
  }
  std::string Scalar() {
    static constexpr const char* kOthers[] = {"true", "false", "null", "{}", "[]", "\"\"", "\"true\"", "1.0", "1"};
    return OneIn(3, random_) ? Text(10) : OneIn(2, random_) ? Number() : Pick(kOthers, random_);
  }

  std::string Text(size_t usual) {
    static constexpr const char* kOdd[] = {"\\n",
                                           "\\u00e9",
                                           "\\\\",
                                           "\\\"",
                                           "\\ud83d\\ude00",
                                           "\\x",
                                           "\xC3\xA9",
                                           "\xE2\x82\xAC",
                                           "\xF0\x9F\x98\x80",
                                           "\xff",
                                           "\xC3",
                                           "\xed\xa0\x80",
                                           "\x01",
                                           "\t",
                                           "\x7f",
                                           "/",
                                           " "};
    static constexpr size_t kLengths[] = {0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 200, 1023, 1024, 1025};
    const size_t length = Odd() ? Pick(kLengths, random_) : usual;
    std::string text;
    while (text.size() < length) text += "0123456789abcdef-"[random_() % 17];
    for (; Odd(); text.insert(random_() % (text.size() + 1), Pick(kOdd, random_))) {
    }
    return Quoted(text);
  }

  std::string Digits(size_t count) {
    std::string digits;
    while (digits.size() < count) digits += static_cast<char>('0' + random_() % 10);
    return digits;
  }
  std::string Number() {
    static constexpr const char* kOdd[] = {"0",
                                           "-0",
                                           "-1",
                                           "-0.5",
                                           "00",
                                           "01",
                                           "1.",
                                           ".5",
                                           "1e3",
                                           "1E-2",
                                           "1e400",
                                           "0.0",
                                           "1.2.3",
                                           "--1",
                                           "+1",
                                           "1-",
                                           "-",
                                           "1e",
                                           "0e0",
                                           "1.5e1",
                                           "-1.50",
                                           "999999999999999",
                                           "1000000000000000",
                                           "-1000000000000000",
                                           "\"12.5\"",
                                           "\"x\"",
                                           "0.000000000000000001",
                                           "0.0000000000000000001",
                                           "1234567890123456789012345678901",
                                           "12345678901234567890123456789012",
                                           "null",
                                           "true",
                                           "\"\"",
                                           "1 ",
                                           " 1"};
    if (Odd()) return Pick(kOdd, random_);
    if (Odd()) return Digits(1 + random_() % 20) + (OneIn(2, random_) ? "." + Digits(1 + random_() % 20) : "");
    return std::to_string(random_() % 100'000) + (OneIn(3, random_) ? "." + Digits(1 + random_() % 6) : "");
  }

  std::string Time() {
    static constexpr const char* kOdd[] = {"2025-01-25T23:59:60Z",
                                           "2025-06-30T23:59:60.5Z",
                                           "2025-02-30T00:00:00Z",
                                           "2025-01-25t01:02:03z",
                                           "2025-01-25 01:02:03Z",
                                           "2025-01-25T01:02:03",
                                           "2025-01-25T01:02:03+05:30",
                                           "2025-01-25T24:00:00Z",
                                           "1969-12-31T23:59:59Z",
                                           "2262-01-01T00:00:00Z",
                                           "1970-01-01T00:30:00+01:00",
                                           "2025-01-25T01:02:03.Z",
                                           "2025-01-25T01:02:03.1234567890123Z",
                                           "2025-01-25T01:02:3Z",
                                           "",
                                           "2025-01-25",
                                           "2025-01-25T01:02:03.12a4Z",
                                           "2025-01-25T01/02:03Z",
                                           "2025-01-25T01:02:03,5Z",
                                           "2025-03-30T01:30:00+01:00",
                                           "2025-01-25T01:02:03.123+00:00",
                                           "x"};
    if (Odd()) return Pick(kOdd, random_);
    char text[32];
    std::snprintf(text, sizeof text, "2025-%02d-%02dT%02d:%02d:%02d", 3 + static_cast<int>(random_() / 1000 % 2),
                  OneIn(20, random_) ? 1 + static_cast<int>(random_() % 31) : 30, static_cast<int>(random_() % 24),
                  static_cast<int>(random_() % 60), static_cast<int>(random_() % 60));
    return text + (Odd() ? "." + Digits(1 + random_() % 12) : ".123") + "Z";
  }

  Random& random_;
  int odd_ = 0;
};

// A few bytes changed, as a disk, a cut or a hand does it.
inline std::string Damaged(std::string line, Random& random) {
  static constexpr std::string_view kBytes = "{}[]:,\"\\0123456789.eE+-tfnul \t\r\n\x01\x7f\x80\xc3\xa9\xff/uZT";
  for (int changes = 1 + static_cast<int>(random() % 3); changes > 0 && !line.empty(); --changes) {
    const size_t at = random() % line.size();
    switch (random() % 7) {
      case 0:
        line.resize(at);
        break;
      case 1:
        line.erase(at, 1 + random() % 4);
        break;
      case 2:
        line.insert(at, 1, Pick(kBytes, random));
        break;
      case 3:
        line[at] = static_cast<char>(line[at] ^ (1 << (random() % 8)));
        break;
      case 4:
        line.insert(at, line.substr(random() % line.size(), 1 + random() % 40));
        break;
      case 5:
        line.insert(at, 1, '\0');
        break;
      default:
        line[at] = Pick(kBytes, random);
    }
  }
  return line;
}

// The same JSON with characters of its strings written as escapes, `in_a_hundred` of them; those of names only where
// `names` says so.
inline std::string WithEscapes(std::string_view line, unsigned in_a_hundred, bool names, Random& random) {
  static constexpr const char* kSpellings[] = {"\\u%04x", "\\u%04X"};
  std::string text;
  for (size_t at = 0; at < line.size(); ++at) {
    text += line[at];
    if (line[at] != '"') continue;
    size_t end = at + 1;
    while (end < line.size() && line[end] != '"') end += line[end] == '\\' ? 2 : 1;
    const bool is_name = line.substr(std::min(end + 1, line.size())).starts_with(':');
    for (++at; at < std::min(end, line.size()); ++at) {
      const auto byte = static_cast<unsigned char>(line[at]);
      if (byte == '\\') {
        text += line.substr(at, 2);  // an escape already; the digits of \\u may be escaped no further
        if (line.substr(at + 1).starts_with('u')) text += line.substr(std::min(at + 2, line.size()), 4);
        at += line.substr(at + 1).starts_with('u') ? 5 : 1;
      } else if (byte < 0x20 || byte > 0x7E || (is_name && !names) || random() % 100 >= in_a_hundred) {
        text += line[at];
      } else {
        char escape[8];
        std::snprintf(escape, sizeof escape, kSpellings[in_a_hundred < 100 && OneIn(8, random)], byte);
        text += escape;
      }
    }
    if (at < line.size()) text += line[at];
  }
  return text;
}

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_LINE_MAKER_H_
