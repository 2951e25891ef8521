#include "pipeline/emit/netsuite.h"

#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <set>

#include "pipeline/emit/erp_call.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr std::string_view kSystem = "NetSuite";
constexpr std::string_view kRecord = "/record/v1/journalEntry";
constexpr std::string_view kJob = "/async/v1/job/";

std::string IdAt(const JsonTree& map, std::string_view key) {
  const JsonTree* found = map.Find(key);
  return found == nullptr ? "" : ScalarAt(*found, "id");
}

// {"id":"58"} of our code.
absl::Status AddReference(std::string_view name, const std::string& ours, const std::map<std::string, std::string>& ids,
                          std::string_view what, std::string_view key, std::string* json) {
  const absl::StatusOr<std::string> id = ErpCode(ids, ours, what, kSystem, key);
  if (!id.ok()) return id.status();
  *json += (json->ends_with('{') ? "\"" : ",\"") + std::string(name) + "\":{\"id\":";
  AppendJsonString(*id, json);
  *json += '}';
  return absl::OkStatus();
}

// What of a line stands in fields that refer to something by its id there: dimensions, and the customer.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> FieldsOf(const ErpLine& line, const Target& target,
                                                                          std::string* memo) {
  auto fields = ErpFields(target, line, kSystem, memo);
  if (!fields.ok()) return fields;
  const absl::StatusOr<std::string> customer = ErpCustomer(target, line, kSystem);
  if (!customer.ok()) return customer.status();
  if (!customer->empty()) fields->emplace_back("entity", *customer);
  return fields;
}

// The text between `after` and the next sign that is neither letter nor digit; empty: none.
std::string Named(std::string_view text, std::string_view after) {
  const size_t at = text.find(after);
  if (at == std::string_view::npos) return "";
  text.remove_prefix(at + after.size());
  const auto end = std::find_if(text.begin(), text.end(), [](char c) {
    return !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'));
  });
  return std::string(text.begin(), end);
}

// What NetSuite says of an error: {"o:errorDetails":[{"detail":…,"o:errorCode":…}]}.
struct Fault {
  std::string code;
  std::string detail;
};
std::optional<Fault> FaultOf(const HttpAnswer& answer) {
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(answer.body, "an answer");
  const JsonTree* details = tree.ok() ? tree->Find("o:errorDetails") : nullptr;
  if (details == nullptr || details->items.empty()) return std::nullopt;
  return Fault{ScalarAt(details->items[0], "o:errorCode"), ScalarAt(details->items[0], "detail")};
}

Attempt Refused(const Fault& fault) {
  const bool is_mapping = fault.code == "INVALID_KEY_OR_REF";
  return Failed(Event::kRefused, is_mapping ? Problem::kMapping : Problem::kValidation,
                "NetSuite: " + fault.code + ": " + fault.detail);
}

class NetsuiteEmitter final : public ErpEmitter {
 public:
  NetsuiteEmitter(const Target& target, std::unique_ptr<HttpClient> http) : ErpEmitter(target, std::move(http)) {}

  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override;
  std::string Show(const Parcel& parcel) const override;
  Attempt Ask(const Parcel& parcel) override;
  Attempt Send(const Parcel& parcel) override;
  Attempt Finish(const Parcel& parcel) override;

 private:
  enum class JobState : uint8_t { kRuns, kSucceeded, kFailed, kForgotten };

  HttpAnswer Get(const std::string& path) { return http_->Do({"GET", base_ + path, {"Accept: application/json"}, {}}); }
  static std::vector<std::string> Headers(const Parcel& parcel, std::string_view body) {
    return {"Content-Type: application/json", "Accept: application/json", "Prefer: respond-async",
            "X-NetSuite-Idempotency-Key: " + NetsuiteIdempotencyKey(parcel.key, parcel.job, body)};
  }
  // The record as it is there: confirmed, different, not there, cannot ask.
  Attempt Record(const Parcel& parcel);
  Attempt Compare(const JsonTree& record, const ErpJournal& ours) const;
  // Nothing: `state` is known.
  std::optional<Attempt> AskJob(const std::string& job, JobState* state, std::string* task);
  Attempt WhyFailed(const std::string& job, const std::string& task);
};

std::string NetsuiteEmitter::Show(const Parcel& parcel) const {
  const absl::StatusOr<std::string> body = Wire(parcel);
  if (body.ok()) return ShowHead(kRecord, Headers(parcel, *body)) + *body + "\n";
  return ShowHead(kRecord, {}) + "(not sent: " + std::string(Std(body.status().message())) + ")\n";
}

absl::StatusOr<std::string> NetsuiteEmitter::Wire(const Parcel& parcel) const {
  const std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) return NoStoredJournal(parcel);
  return NetsuiteJournal(*journal, target_);
}

Attempt NetsuiteEmitter::Compare(const JsonTree& record, const ErpJournal& ours) const {
  std::vector<ErpCompared> want, have;
  std::set<std::string> compared;  // fields that ours have
  for (const ErpLine& line : ours.lines) {
    std::string memo;
    const auto fields = FieldsOf(line, target_, &memo);
    if (!fields.ok()) return RefusedHere(Problem::kMapping, std::string(Std(fields.status().message())));
    for (const auto& [name, id] : *fields) compared.insert(name);
    want.push_back({{target_.accounts.at(line.account), line.is_debit, PlainAmount(line.amount).value_or("")},
                    {fields->begin(), fields->end()}});
  }
  const JsonTree* sublist = record.Find("line");
  const JsonTree* items = sublist == nullptr ? nullptr : sublist->Find("items");
  if (items == nullptr || ScalarAt(record, "externalId") != ours.key) {
    return Failed(Event::kCannotAsk, Problem::kConfiguration,
                  "NetSuite does not show the lines or the externalId of the journal: the role must see them");
  }
  for (const JsonTree& item : items->items) {
    for (const bool is_debit : {true, false}) {
      const std::string text = ScalarAt(item, is_debit ? "debit" : "credit");
      const std::optional<std::string> amount = PlainAmount(text.empty() ? "0" : text);
      if (amount == "0") continue;
      ErpCompared& line = have.emplace_back();
      line.side = {IdAt(item, "account"), is_debit, amount.value_or(text)};
      for (const std::string& name : compared) line.fields[name] = IdAt(item, name);
    }
  }
  const bool same = SameLines(want, have) && IdAt(record, "subsidiary") == target_.companies.at(ours.entity) &&
                    IdAt(record, "currency") == target_.currencies.at(ours.currency) &&
                    ScalarAt(record, "tranDate") == ours.date;
  const std::string id = ScalarAt(record, "id");
  if (same) return Succeeded(Event::kConfirmed, "", id.empty() ? ScalarAt(record, "tranId") : id);
  return Failed(Event::kDifferent, Problem::kDifferent,
                "journal " + id + " has our key in NetSuite and says something else: look who changed it");
}

Attempt NetsuiteEmitter::Record(const Parcel& parcel) {
  Attempt unread;
  const std::optional<ErpJournal> ours = StoredJournal(parcel, &unread);
  if (!ours) return unread;
  const absl::StatusOr<std::string> body = NetsuiteJournal(*ours, target_);
  if (!body.ok()) return RefusedHere(Problem::kMapping, std::string(Std(body.status().message())));
  const HttpAnswer answer = Get(std::string(kRecord) + "/eid:" + parcel.key + "?expandSubResources=true");
  if (auto outcome = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk)) return *outcome;
  if (answer.status == 404 && FaultOf(answer)) return Succeeded(Event::kNotThere, "", "");
  if (answer.status == 200) {
    const absl::StatusOr<JsonTree> record = ReadJsonTree(answer.body, "an answer");
    if (record.ok() && record->kind == JsonTree::Kind::kMap) return Compare(*record, *ours);
  }
  return Failed(Event::kCannotAsk, answer.status == 200 ? Problem::kAvailability : Problem::kConfiguration,
                "the answer is none of NetSuite's: " + Summary(answer));
}

Attempt NetsuiteEmitter::Ask(const Parcel& parcel) {
  Attempt record = Record(parcel);
  if (record.step.event != Event::kNotThere || parcel.job.empty()) return record;
  JobState state{};
  std::string task;
  if (auto outcome = AskJob(parcel.job, &state, &task)) return *outcome;
  return state == JobState::kRuns ? Runs(parcel.job) : record;
}

Attempt NetsuiteEmitter::Send(const Parcel& parcel) {
  const absl::StatusOr<std::string> body = Wire(parcel);
  if (!body.ok()) return RefusedHere(Problem::kMapping, std::string(Std(body.status().message())));
  const HttpAnswer answer = http_->Do({"POST", base_ + std::string(kRecord), Headers(parcel, *body), *body});
  if (auto outcome = OutcomeOfCall(answer, Event::kNotApplied, Event::kUnclear)) return *outcome;
  const std::optional<Fault> fault = FaultOf(answer);
  const std::string job = Named(answer.location, kJob);
  const bool is_repeat = answer.status == 400 && fault && fault->code == "IDEMPOTENCY_ERROR";
  if (!job.empty() && (answer.status == 202 || is_repeat)) return Runs(job);
  const bool exists =
      fault && (fault->code.starts_with("DUP") || fault->detail.find("already exists") != std::string::npos);
  if (answer.status >= 400 && fault && !exists && !is_repeat) return Refused(*fault);
  // A plain success, a record that is there already, a repeat without its job, or nothing of NetSuite's: the record
  // itself says what became of it.
  return Failed(Event::kUnclear, Problem::kAmbiguous, "NetSuite did not name a job: " + Summary(answer));
}

std::optional<Attempt> NetsuiteEmitter::AskJob(const std::string& job, JobState* state, std::string* task) {
  const HttpAnswer answer = Get(std::string(kJob) + job);
  if (auto outcome = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk)) return outcome;
  if (answer.status == 404 && FaultOf(answer)) {
    *state = JobState::kForgotten;
    return std::nullopt;
  }
  const absl::StatusOr<JsonTree> said = ReadJsonTree(answer.body, "an answer");
  const std::string completed = said.ok() ? ScalarAt(*said, "completed") : "";
  const std::string progress = said.ok() ? ScalarAt(*said, "progress") : "";
  if (answer.status != 200 || (completed != "true" && completed != "false") ||
      (completed == "true" && progress != "succeeded" && progress != "failed")) {
    return Failed(Event::kCannotAsk, Problem::kAvailability, "the answer is no job of NetSuite's: " + Summary(answer));
  }
  *state = completed == "false" ? JobState::kRuns : progress == "failed" ? JobState::kFailed : JobState::kSucceeded;
  *task = Named(answer.body, "/task/");
  return std::nullopt;
}

// The stored answer of the call that the job was for.
Attempt NetsuiteEmitter::WhyFailed(const std::string& job, const std::string& task) {
  const std::string path = std::string(kJob) + job + "/task/" + (task.empty() ? job : task) + "/result";
  const HttpAnswer answer = Get(path);
  if (const std::optional<Fault> fault = FaultOf(answer)) return Refused(*fault);
  return Failed(Event::kRefused, Problem::kValidation,
                "NetSuite's job " + job + " failed, and does not say why: look at " + path);
}

Attempt NetsuiteEmitter::Finish(const Parcel& parcel) {
  JobState state{};
  std::string task;
  if (auto outcome = AskJob(parcel.job, &state, &task)) return *outcome;
  if (state == JobState::kRuns) {
    return Failed(Event::kStillRuns, Problem::kAmbiguous, "NetSuite's job " + parcel.job + " is not done yet");
  }
  Attempt record = Record(parcel);
  if (record.step.event != Event::kNotThere) return record;
  if (state == JobState::kFailed) {
    Attempt failed = WhyFailed(parcel.job, task);
    failed.step.is_nowhere = failed.step.event == Event::kRefused;  // looked for, and its job makes it no more
    return failed;
  }
  return Failed(Event::kNotShown, Problem::kAmbiguous,
                "NetSuite's job " + parcel.job + " is over, and its journal is not there: look what became of it");
}

}  // namespace

absl::StatusOr<std::string> NetsuiteJournal(const ErpJournal& journal, const Target& target) {
  std::string json = "{\"externalId\":";
  AppendJsonString(journal.key, &json);
  TOLLBOOK_RETURN_IF_ERROR(
      AddReference("subsidiary", journal.entity, target.companies, "entity", "subsidiaries", &json));
  TOLLBOOK_RETURN_IF_ERROR(
      AddReference("currency", journal.currency, target.currencies, "currency", "currencies", &json));
  json += ",\"tranDate\":";
  AppendJsonString(journal.date, &json);
  json += ",\"memo\":";
  AppendJsonString(journal.batch + " " + journal.key, &json);
  json += ",\"line\":{\"items\":[";
  for (const ErpLine& line : journal.lines) {
    json += json.ends_with('[') ? "{" : ",{";
    TOLLBOOK_RETURN_IF_ERROR(AddReference("account", line.account, target.accounts, "account", "accounts", &json));
    // NetSuite wants numbers; this one is our decimal, digit by digit.
    json += std::string(line.is_debit ? ",\"debit\":" : ",\"credit\":") + line.amount;
    std::string memo = line.memo;
    const auto fields = FieldsOf(line, target, &memo);
    if (!fields.ok()) return fields.status();
    for (const auto& [name, id] : *fields) {
      json += ",\"" + name + "\":{\"id\":";
      AppendJsonString(id, &json);
      json += '}';
    }
    json += ",\"memo\":";
    AppendJsonString(memo, &json);
    json += '}';
  }
  return json + "]}}";
}

std::string NetsuiteIdempotencyKey(std::string_view posting_key, std::string_view failed_job, std::string_view body) {
  // RFC 4122 4.3: SHA-1 of the namespace's 16 bytes and the name.
  constexpr unsigned char kUrls[16] = {0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
                                       0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
  std::string text(reinterpret_cast<const char*>(kUrls), sizeof kUrls);
  text += posting_key;
  if (!failed_job.empty()) text.append("/").append(failed_job);
  text.append("/").append(ToHex(HashOfBody(body)));
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  TOLLBOOK_ASSERT(EVP_Digest(text.data(), text.size(), hash, &bytes, EVP_sha1(), nullptr) == 1);
  hash[6] = static_cast<unsigned char>((hash[6] & 0x0f) | 0x50);
  hash[8] = static_cast<unsigned char>((hash[8] & 0x3f) | 0x80);
  constexpr char kHex[] = "0123456789abcdef";
  std::string uuid;
  for (int i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    uuid += {kHex[hash[i] >> 4], kHex[hash[i] & 15]};
  }
  return uuid;
}

std::unique_ptr<Emitter> MakeNetsuiteEmitter(const Target& target, std::unique_ptr<HttpClient> http) {
  return std::make_unique<NetsuiteEmitter>(target, std::move(http));
}

}  // namespace tollbook
