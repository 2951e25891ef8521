// One row of CSV and a mapping: the usage events it stands for, or the first reason why not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "pipeline/decode.h"
#include "pipeline/exact_product.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kSources = R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{file}:{row}:in"
        source: "trace/{file}"
        type: in
        subject: "sub_{row-1%100:03}"
        time: "{at}"
        time_zone: UTC
        data: {model: "{model}", value: {number: "{in}"}, both: {product: [in, out]}, constant: "y{{e}}s"}
      - id: "{file}:{row}:out"
        source: "trace/{file}"
        type: "{model}"
        subject: "{model}/{out}"
        time: {base: "2025-01-25T00:00:00.000000001Z", offset_seconds: offset}
)";
constexpr std::string_view kHeader = "at,offset,model,in,out";

struct Rows {
  Arena arena;
  std::vector<DecodedEvent> events;
};

std::vector<SourceMapping> Mappings(std::string_view yaml) {
  ParsedMappings parsed = ParseMappings(yaml);
  EXPECT_TRUE(parsed.errors.empty()) << ToString(parsed.errors[0]);
  return parsed.mappings;
}

// The decoder and the line's neighbours are gone when the events are looked at, as in the flow.
void Decode(std::string_view line, uint64_t row, Rows* rows) {
  const std::vector<SourceMapping> mappings = Mappings(kSources);
  absl::StatusOr<std::unique_ptr<Decoder>> decoder = MakeCsvDecoder(mappings[0], kHeader, "t.csv");
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  (*decoder)->Decode(rows->arena.Copy(line), row, rows->arena, rows->events);
}

std::pair<std::string, std::string> Words(std::string_view line) {
  Rows rows;
  Decode(line, 1, &rows);
  EXPECT_EQ(rows.events.size(), 2u) << "one for each entry, well-formed or not";
  return {std::string(ToString(rows.events.at(0).reason)), std::string(ToString(rows.events.at(1).reason))};
}

TEST(DecodeCsv, ARowIsTwoEvents) {
  Rows rows;
  Decode("2023-11-16 18:15:46.6805900,0.5,m-large,374,44\r", 1105, &rows);
  ASSERT_EQ(rows.events.size(), 2u);
  EXPECT_EQ(rows.events[0].reason, Reason::kNone);
  std::string in, out;
  AppendCanonicalJson(rows.events[0].event, &in);
  AppendCanonicalJson(rows.events[1].event, &out);
  EXPECT_EQ(in, R"({"specversion":"1.0","id":"t.csv:1105:in","source":"trace/t.csv","type":"in","subject":"sub_004",)"
                R"("time":"2023-11-16T18:15:46.68059Z","data":{"model":"m-large","value":374,"both":16456,)"
                R"("constant":"y{e}s"}})");
  EXPECT_EQ(out, R"({"specversion":"1.0","id":"t.csv:1105:out","source":"trace/t.csv","type":"m-large",)"
                 R"("subject":"m-large/44","time":"2025-01-25T00:00:00.500000001Z"})");
}

TEST(DecodeCsv, QuotesAndBlanks) {
  struct Case {
    const char *cell, *model;
  };
  const Case cases[] = {
      {"plain", "plain"},       {R"("quoted")", "quoted"}, {R"("a,b")", "a,b"},   {R"("say ""hi""")", R"(say "hi")"},
      {R"("""")", "\""},        {" kept ", " kept "},      {R"(" in ")", " in "}, {R"(5" disk)", R"(5" disk)"},
      {"\xc3\xa9", "\xc3\xa9"},
  };
  for (const Case& c : cases) {
    Rows rows;
    Decode(std::string("2025-01-01T00:00:00Z,0,") + c.cell + ",1,2", 1, &rows);
    EXPECT_EQ(rows.events.at(0).reason, Reason::kNone) << c.cell;
    EXPECT_EQ(rows.events[0].event.data[0].text, c.model);
  }
}

TEST(DecodeCsv, EachReason) {
  struct Case {
    const char* name;
    std::string line;
    const char *in, *out;  // the two events' reasons
  };
  const std::string now = "2025-01-01T00:00:00Z";
  const std::string time = now + ",0,";
  const Case cases[] = {
      {"good", time + "m,1,2", "none", "none"},
      {"not UTF-8", time + "m\xff,1,2", "invalid_utf8", "invalid_utf8"},
      {"an open quote", time + "\"m,1,2", "csv_quote", "csv_quote"},
      {"an open quote at the end", time + "m,1,\"", "csv_quote", "csv_quote"},
      {"text behind a quote", time + "\"m\"x,1,2", "csv_quote", "csv_quote"},
      {"a cell too few", time + "m,1", "csv_columns", "csv_columns"},
      {"a cell too many", time + "m,1,2,", "csv_columns", "csv_columns"},
      {"no type", time + ",1,2", "none", "missing_type"},
      {"a long subject", time + std::string(1025, 'm') + ",1,2", "none", "field_too_long"},
      {"no time", ",0,m,1,2", "missing_time", "none"},
      {"no offset", now + ",,m,1,2", "none", "missing_time"},
      {"not a time", "today,0,m,1,2", "invalid_time", "none"},
      {"an offset in words", now + ",soon,m,1,2", "none", "invalid_time"},
      {"an offset below 10^-18", now + ",0.0000000000000000001,m,1,2", "none", "invalid_time"},
      {"year 9999", "9999-01-01T00:00:00Z,0,m,1,2", "time_out_of_range", "none"},
      {"an offset before 1970", now + ",-99999999999,m,1,2", "none", "time_out_of_range"},
      {"an offset after 2261", now + ",99999999999,m,1,2", "none", "time_out_of_range"},
      {"an offset beyond all", now + ",1e30,m,1,2", "none", "time_out_of_range"},
      {"no number", time + "m,one,2", "value_not_a_number", "none"},
      {"a blank in front of a number", time + "m, 1,2", "value_not_a_number", "none"},
      {"a factor that is none", time + "m,1,two", "value_not_a_number", "none"},
      {"a product too large", time + "m,100000000000,10000000000", "value_too_large", "none"},
      {"a product too precise", time + "m,0.0000000001,0.000000001", "value_too_precise", "none"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(Words(c.line), (std::pair<std::string, std::string>(c.in, c.out))) << c.name;
  }
}

// Columns: the event's own, the ids of what it corrects or voids, and how that was.
constexpr std::string_view kFixes = R"(sources:
  - glob: "t.csv"
    format: csv
    events:
      - id: "{id}"
        source: gw
        type: calls
        subject: "{who}"
        time: "{at}"
        time_zone: UTC
        data: {calls: {number: "{calls}"}, region: "{region}"}
        corrects: "{corrects}"
        voids: "{voids}"
        original: {type: "{was_type}", subject: "{was_who}", time: "{was_at}", data: {calls: {number: "{was_calls}"}}}
)";
constexpr std::string_view kFixesHeader = "id,who,at,calls,region,corrects,voids,was_type,was_who,was_at,was_calls";

TEST(DecodeCsv, ARowMayCorrectOrVoidAnother) {
  const std::string event =
      R"({"specversion":"1.0","id":"c1","source":"gw","type":"calls","subject":"s1","time":"2025-01-01T00:00:00Z",)"
      R"("data":{"calls":3,"region":"eu"})";
  const struct {
    const char *name, *cells;  // behind the event's own
    std::string becomes;
  } cases[] = {
      {"neither", ",,,,,", event + "}"},
      {"what it was is of no matter then", ",,mails,s2,,7", event + "}"},
      {"another value", "e1,,,,,7", event + R"(,"corrects":"e1","original":{"data":{"calls":7,"region":"eu"}}})"},
      {"all was other", "e1,,mails,s2,2025-01-02 00:00:00,7",
       event + R"(,"corrects":"e1","original":{"type":"mails","subject":"s2","time":"2025-01-02T00:00:00Z",)"
               R"("data":{"calls":7,"region":"eu"}}})"},
      {"no value at all", "e1,,,,,", event + R"(,"corrects":"e1","original":{"data":{"calls":null,"region":"eu"}}})"},
      {"a void restates by its own fields", ",e1,,s2,,7", event + R"(,"voids":"e1"})"},
      {"both", "e1,e2,,,,7", "invalid_correction"},
      {"itself", "c1,,,,,7", "invalid_correction"},
      {"voids itself", ",c1,,,,", "invalid_correction"},
      {"a time that is none", "e1,,,,then,7", "invalid_time"},
      {"a value that is none", "e1,,,,,seven", "value_not_a_number"},
  };
  const std::vector<SourceMapping> mappings = Mappings(kFixes);
  const absl::StatusOr<std::unique_ptr<Decoder>> decoder = MakeCsvDecoder(mappings[0], kFixesHeader, "t.csv");
  ASSERT_TRUE(decoder.ok()) << decoder.status();
  for (const auto& c : cases) {
    Rows rows;
    (*decoder)->Decode(rows.arena.Copy("c1,s1,2025-01-01 00:00:00,3,eu," + std::string(c.cells)), 0, rows.arena,
                       rows.events);
    std::string became(ToString(rows.events.at(0).reason));
    if (became == "none") AppendCanonicalJson(rows.events[0].event, &(became = ""));
    EXPECT_EQ(became, c.becomes) << c.name;
  }
  Rows rows;
  const std::string long_id(1025, 'e');
  (*decoder)->Decode(rows.arena.Copy("c1,s1,2025-01-01 00:00:00,3,eu,," + long_id + ",,,,"), 0, rows.arena,
                     rows.events);
  EXPECT_EQ(rows.events[0].reason, Reason::kFieldTooLong);
}

TEST(DecodeCsv, OffsetsAreExactToTheNanosecond) {
  struct Case {
    const char *offset, *time;
  };
  const Case cases[] = {
      {"0", "2025-01-25T00:00:00.000000001Z"},
      {"21600", "2025-01-25T06:00:00.000000001Z"},
      {"0.1", "2025-01-25T00:00:00.100000001Z"},
      {"1.000000001", "2025-01-25T00:00:01.000000002Z"},
      {"0.0000000019", "2025-01-25T00:00:00.000000002Z"},
      {"-0.000000001", "2025-01-25T00:00:00Z"},
      {"-0.0000000011", "2025-01-24T23:59:59.999999999Z"},
      {"1.2096e6", "2025-02-08T00:00:00.000000001Z"},
  };
  for (const Case& c : cases) {
    Rows rows;
    Decode(std::string("2025-01-01T00:00:00Z,") + c.offset + ",m,1,2", 1, &rows);
    EXPECT_EQ(ToString(rows.events.at(1).event.time), c.time) << c.offset;
  }
}

TEST(DecodeCsv, AnEmptyNumberIsNoValue) {
  const std::vector<SourceMapping> mappings = Mappings(
      "sources:\n  - glob: t\n    format: csv\n    delimiter: tab\n    events:\n      - {id: \"{a}\", source: s, type: "
      "t, "
      "subject: u, time: \"2025-01-01T00:00:00Z\", data: {v: {number: \"{b}\"}}}\n");
  std::unique_ptr<Decoder> decoder = *MakeCsvDecoder(mappings[0], "a\tb\r", "t");
  Arena arena;
  std::vector<DecodedEvent> out;
  decoder->Decode("1\t", 0, arena, out);
  ASSERT_EQ(out.at(0).reason, Reason::kNone);
  EXPECT_EQ(out[0].event.data[0].kind, Property::Kind::kNull);
}

TEST(MakeCsvDecoder, HeadersThatDoNotFit) {
  struct Case {
    const char *header, *what;
  };
  const Case cases[] = {
      {"at,offset,model,in", "no column \"out\""},
      {"at,offset,model,in,out,in", "repeats the column \"in\""},
      {"at,offset,\"model,in,out", "cannot be read"},
      {"", "no column"},
  };
  const std::vector<SourceMapping> mappings = Mappings(kSources);
  for (const Case& c : cases) {
    const auto decoder = MakeCsvDecoder(mappings[0], c.header, "t.csv");
    EXPECT_EQ(decoder.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(decoder.status().message()), HasSubstr(c.what));
  }
  EXPECT_TRUE(MakeCsvDecoder(mappings[0], "out,more,\"in\",model,offset,at\r", "t.csv").ok()) << "in any order";
}

TEST(ExactProduct, ExactOrRefused) {
  struct Case {
    std::vector<std::string_view> factors;
    const char* product;
    DecimalError error = DecimalError::kNone;
  };
  const Case cases[] = {
      {{"224", "2"}, "448"},
      {{"0", "5"}, "0"},
      {{"-3", "0.5"}, "-1.5"},
      {{"0.1", "0.1", "0.1"}, "0.001"},
      {{"999999999", "999999999"}, "999999998000000001"},
      {{"4294967296", "4294967296"}, "18446744073709551616"},
      {{"1e3", "1E-3"}, "1"},
      {{"0.000000000000000001", "1000000000000000000"}, "1"},
      {{"0.000000000000000001", "0.1", "10"}, "0.000000000000000001"},
      {{"170141183460469231731", "1"}, "170141183460469231731"},
      {{"0.000000000000000003", "0.5"}, "", DecimalError::kTooPrecise},
      {{"170141183460469231731", "2"}, "", DecimalError::kTooLarge},
      {{"1.000000000000000001", "1.000000000000000001"}, "", DecimalError::kTooPrecise},
      {{"99999999999999999999", "99999999999999999999"}, "", DecimalError::kTooLarge},
      {{"01", "1"}, "", DecimalError::kNotANumber},
      {{"0", "x"}, "", DecimalError::kNotANumber},
      {{"", "1"}, "", DecimalError::kNotANumber},
  };
  for (const Case& c : cases) {
    std::vector<std::string_view> factors = c.factors;
    for (int turn = 0; turn < 2; ++turn, std::reverse(factors.begin(), factors.end())) {
      Arena arena;
      std::string_view product;
      EXPECT_EQ(ExactProduct(factors, arena, &product), c.error) << c.factors[0] << " x " << c.factors[1];
      if (c.error == DecimalError::kNone) {
        EXPECT_EQ(product, c.product);
      }
    }
  }
}

// Counts have a way of their own; with an exponent the same number goes the general one.
TEST(ExactProduct, OfCountsIsThatOfAllNumbers) {
  std::mt19937_64 random(TestSeed());
  const auto count = [&] {
    std::string text;
    for (uint64_t digits = 1 + random() % 20; digits > 0; --digits) text += static_cast<char>('0' + random() % 10);
    return text;  // now and then with a zero in front, which is no number
  };
  int products = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::vector<std::string> texts = {count(), count(), random() % 2 == 0 ? "1" : count()};
    const std::string general = texts[0] + "e0";
    const std::vector<std::string_view> counts(texts.begin(), texts.end());
    std::vector<std::string_view> numbers = counts;
    numbers[0] = general;
    Arena arena;
    std::string_view product, twin;
    const DecimalError error = ExactProduct(counts, arena, &product);
    ASSERT_EQ(error, ExactProduct(numbers, arena, &twin)) << testing::PrintToString(counts);
    if (error != DecimalError::kNone) continue;
    ASSERT_EQ(product, twin) << testing::PrintToString(counts);
    ++products;
  }
  EXPECT_GT(products, 3'000);
}

}  // namespace
}  // namespace tollbook
