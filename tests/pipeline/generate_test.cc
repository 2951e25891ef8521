// The generator: the same options give the same bytes, and what it says it made is what is in the lines.
#include "pipeline/generate.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rating/decimal.h"

namespace tollbook {
namespace {

struct Made {
  std::string text;
  GenerateReport report;
};

Made Generate(const GenerateOptions& options) {
  Made made;
  absl::StatusOr<GenerateReport> report = GenerateEvents(options, [&](std::string_view lines) {
    EXPECT_TRUE(lines.ends_with('\n'));
    made.text.append(lines);
    return absl::OkStatus();
  });
  EXPECT_TRUE(report.ok()) << report.status();
  if (report.ok()) made.report = *report;
  return made;
}

// Much of everything that goes wrong, so that a small run meets each kind.
GenerateOptions Rough() {
  return {.seed = 7,
          .events = 60'000,
          .subscriptions = 300,
          .redelivered_per_million = 50'000,
          .conflict_per_million = 10'000,
          .malformed_per_million = 20'000,
          .late_per_million = 10'000,
          .unknown_subscription_per_million = 10'000,
          .unknown_meter_per_million = 10'000};
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Generate, GivesTheSameBytesForTheSameOptionsOnly) {
  const GenerateOptions options = Rough();
  GenerateOptions other_seed = Rough();
  other_seed.seed = 8;
  EXPECT_EQ(Generate(options).text, Generate(options).text);
  EXPECT_NE(Generate(options).text, Generate(other_seed).text);
}

uint64_t Fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

TEST(Generate, GivesTheBytesThatPublishedFiguresAreOf) {
  // A published figure names its seed. If one of these changes, it is a figure of other data.
  EXPECT_EQ(Generate({.events = 1}).text,
            R"({"specversion":"1.0","id":"dce423fc82c0d5b8","source":"acme/ap-south/gw-05","type":"storage.gb_hours",)"
            R"("subject":"sub-000018","time":"2025-01-01T00:00:00.000Z",)"
            R"("data":{"volume":"b94cff7526aa","class":"archive","gb_hours":21.375}})"
            "\n");
  EXPECT_EQ(Fnv1a(Generate(Rough()).text), 5743071978221269861u);
}

// What a slow reader makes of a line.
struct Read {
  bool event = false;  // JSON with the five fields, a known meter or gpu.hours, and a value that is a number
  bool known_meter = false;
  std::string identity;
  std::string content;
  std::string meter;
  uint64_t micros = 0;
  std::string subject;
  std::string month;
};

const std::map<std::string, std::string>& ValueNames() {
  static const std::map<std::string, std::string> names = {{"llm.tokens", "tokens"},
                                                           {"api.calls", ""},
                                                           {"storage.gb_hours", "gb_hours"},
                                                           {"compute.seconds", "usage"},
                                                           {"transfer.gb", "gb"},
                                                           {"mails.sent", "mails"},
                                                           {"seats.active", "seats"},
                                                           {"devices.online", "devices"},
                                                           {"gpu.hours", "hours"}};
  return names;
}

Read ReadLine(const std::string& line) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  Read read;
  if (json.is_discarded() || !json.is_object()) return read;
  for (const char* field : {"id", "source", "type", "subject", "time"}) {
    if (!json.contains(field) || !json[field].is_string() || json[field] == "") return read;
  }
  if (!json.contains("data") || !json["data"].is_object()) return read;
  const ParsedInstant time = ParseInstant(json["time"].get<std::string>());
  if (time.error != TimeError::kNone) return read;
  read.meter = json["type"];
  read.subject = json["subject"];
  read.month = json["time"].get<std::string>().substr(0, 7);
  const std::string& name = ValueNames().at(read.meter);
  std::string value;
  if (!name.empty()) {
    const nlohmann::json& member = name == "usage" ? json["data"]["usage"]["seconds"] : json["data"][name];
    if (!member.is_number() || member.get<double>() < 0) return read;
    // Six decimals are exact in a double at this size; the test need not share the product's decimals.
    read.micros = static_cast<uint64_t>(member.get<double>() * 1e6 + 0.5);
    value = std::to_string(read.micros);
  }
  read.event = true;
  read.known_meter = read.meter != "gpu.hours";
  read.identity = json["source"].get<std::string>() + " " + json["id"].get<std::string>();
  read.content = read.meter + " " + read.subject + " " + std::to_string(time.instant.nanos) + " " + value;
  return read;
}

TEST(Generate, CountsExactlyWhatItMade) {
  const Made made = Generate(Rough());
  const std::vector<std::string> lines = Lines(made.text);
  std::map<std::string, std::string> first_content;
  std::map<std::string, std::string> first_line;
  std::map<std::string, std::pair<uint64_t, uint64_t>> usage;
  GenerateReport counted;
  for (const std::string& line : lines) {
    const Read read = ReadLine(line);
    if (!read.event) {
      ++counted.rejected;
    } else if (!read.known_meter) {
      ++counted.held;
    } else if (const auto [known, fresh] = first_content.emplace(read.identity, read.content); fresh) {
      ++counted.accepted;
      counted.unattributed += read.subject > GeneratedSubject(300);
      counted.late += read.month == "2024-12";
      first_line[read.identity] = line;
      ++usage[read.meter].first;
      usage[read.meter].second += read.micros;
    } else if (known->second == read.content) {
      ++counted.duplicate;
      counted.rewritten += first_line[read.identity] != line;
    } else {
      ++counted.conflict;
    }
  }
  const GenerateReport& said = made.report;
  EXPECT_EQ(said.lines, lines.size());
  EXPECT_EQ(said.lines, 60'000u);
  EXPECT_EQ(said.bytes, made.text.size());
  EXPECT_EQ(said.accepted, counted.accepted);
  EXPECT_EQ(said.unattributed, counted.unattributed);
  EXPECT_EQ(said.late, counted.late);
  EXPECT_EQ(said.duplicate, counted.duplicate);
  EXPECT_EQ(said.rewritten, counted.rewritten);
  EXPECT_EQ(said.conflict, counted.conflict);
  EXPECT_EQ(said.held, counted.held);
  EXPECT_EQ(said.rejected, counted.rejected);
  EXPECT_EQ(said.lines, said.accepted + said.duplicate + said.conflict + said.held + said.rejected);
  for (const GenerateReport::MeterUsage& meter : said.accepted_by_meter) {
    SCOPED_TRACE(meter.meter);
    const auto [events, micros] = usage[std::string(meter.meter)];
    EXPECT_GT(events, 0u);
    EXPECT_EQ(meter.events, events);
    if (meter.micros != 0) {
      EXPECT_EQ(meter.micros, micros);
    }
  }
}

TEST(Generate, MakesEveryReasonToRejectALine) {
  const GenerateReport report = Generate(Rough()).report;
  uint64_t rejected = 0;
  std::set<Reason> met;
  for (int reason = 0; reason < kReasons; ++reason) {
    rejected += report.rejected_by_reason[reason];
    if (report.rejected_by_reason[reason] > 0) met.insert(static_cast<Reason>(reason));
  }
  EXPECT_EQ(rejected, report.rejected);
  EXPECT_THAT(
      met, testing::UnorderedElementsAre(Reason::kInvalidUtf8, Reason::kInvalidJson, Reason::kWrongType,
                                         Reason::kMissingId, Reason::kMissingSubject, Reason::kInvalidTime,
                                         Reason::kTimeWithoutZone, Reason::kValueNotANumber, Reason::kNegativeValue));
}

TEST(Generate, NeverCutsALineDirectlyBehindAColon) {
  GenerateOptions options = Rough();
  options.malformed_per_million = 800'000;
  for (const std::string& line : Lines(Generate(options).text)) {
    ASSERT_FALSE(line.empty());
    ASSERT_NE(line.back(), ':') << line;
  }
}

TEST(Generate, FollowsTheSharesThatItIsGiven) {
  const GenerateReport report = Generate(Rough()).report;
  // 60,000 lines: the standard deviation of 1 % is 24 lines; five of them.
  EXPECT_NEAR(report.duplicate, 3'000, 270);
  EXPECT_NEAR(report.conflict, 600, 125);
  EXPECT_NEAR(report.rejected, 1'200, 175);
  EXPECT_NEAR(report.late, 600, 125);
  EXPECT_NEAR(report.unattributed, 600, 125);
  EXPECT_NEAR(report.held, 600, 125);
}

TEST(Generate, SpreadsUsageByAZipfLaw) {
  GenerateOptions options{.events = 200'000, .subscriptions = 100};
  std::map<std::string, uint64_t> events;
  for (const std::string& line : Lines(Generate(options).text)) {
    const size_t at = line.find("\"subject\":\"");
    if (at != std::string::npos) ++events[line.substr(at + 11, 10)];
  }
  // 1 + 1/2 + … + 1/100 = 5.187: the first has 19.3 %, the second half of that, the tenth a tenth.
  EXPECT_NEAR(events["sub-000001"], 38'555, 1'500);
  EXPECT_NEAR(events["sub-000002"], 19'277, 1'000);
  EXPECT_NEAR(events["sub-000010"], 3'856, 400);
}

TEST(Generate, NamesMoreThanAMillionSubscriptions) {
  std::set<std::string> subjects;
  const GenerateOptions options{
      .events = 2'000, .subscriptions = 3'000'000, .redelivered_per_million = 0, .malformed_per_million = 0};
  for (const std::string& line : Lines(Generate(options).text)) {
    const size_t at = line.find("\"subject\":\"") + 11;
    subjects.insert(line.substr(at, line.find('"', at) - at));
  }
  int beyond_a_million = 0;
  for (const std::string& subject : subjects) {
    const auto number = static_cast<uint32_t>(std::stoul(subject.substr(4)));
    EXPECT_EQ(subject, GeneratedSubject(number));
    EXPECT_LE(number, 3'000'020u);
    beyond_a_million += number > 1'000'000;
  }
  EXPECT_GT(beyond_a_million, 50);  // ln 3 of ln 3,000,000 + 0.577: 7 % of the events
}

TEST(Generate, SendsAgainWithinTheGivenDistance) {
  const auto farthest = [](uint64_t lines_max) {
    const GenerateOptions options{.events = 50'000, .malformed_per_million = 0, .redelivered_lines_max = lines_max};
    std::map<std::string, size_t> first;  // by id
    size_t lines = 0, distance = 0;
    for (const std::string& line : Lines(Generate(options).text)) {
      const size_t at = line.find("\"id\"");
      const std::string id = line.substr(line.find('"', at + 4) + 1, 16);
      distance = std::max(distance, lines - first.emplace(id, lines).first->second);
      ++lines;
    }
    return distance;
  };
  EXPECT_LE(farthest(100), 110u);  // a line that is no event itself is stepped over
  EXPECT_GT(farthest(40'000), 30'000u);
}

TEST(Generate, PassesOnWhatTheSinkSays) {
  const absl::StatusOr<GenerateReport> report =
      GenerateEvents({}, [](std::string_view) { return absl::ResourceExhaustedError("disk full"); });
  EXPECT_EQ(report.status().message(), "disk full");
}

TEST(Generate, RefusesOptionsOutOfRange) {
  const auto refused = [](const GenerateOptions& options) {
    return CheckGenerateOptions(options).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused({}));
  EXPECT_TRUE(refused({.subscriptions = 0}));
  EXPECT_TRUE(refused({.subscriptions = 20'000'001}));
  EXPECT_TRUE(refused({.days = 0}));
  EXPECT_TRUE(refused({.first_day = Day{0}}));
  EXPECT_TRUE(refused({.redelivered_per_million = 900'000, .late_per_million = 200'000}));
}

TEST(GenerateCatalog, NamesEverySubscriptionButTheUnknownOnes) {
  const auto files = GenerateCatalog({.subscriptions = 300});
  ASSERT_TRUE(files.ok());
  const std::string& rows = files->at("subscriptions.csv");
  EXPECT_THAT(rows, testing::HasSubstr("\nsub-000001,acct-000001,scale-usd,acme-us,USD,2024-07-01,\n"));
  EXPECT_THAT(rows, testing::HasSubstr("\nsub-000300,"));
  EXPECT_THAT(rows, testing::Not(testing::HasSubstr("\nsub-000301,")));
  // A change of plan in the middle of a month.
  EXPECT_THAT(rows, testing::HasSubstr("\nsub-000050,acct-000050,starter-usd,acme-us,USD,2024-07-01,2025-01-16\n"
                                       "sub-000050,acct-000050,scale-usd,acme-us,USD,2025-01-16,\n"));
}

}  // namespace
}  // namespace tollbook
