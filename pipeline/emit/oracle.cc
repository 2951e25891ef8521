#include "pipeline/emit/oracle.h"

#include <openssl/evp.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "pipeline/emit/authorization.h"
#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/jwt.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/journal_text.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr std::string_view kSystem = "Oracle";
constexpr std::string_view kResources = "/fscmRestApi/resources/11.13.18.05";
constexpr std::string_view kIntegrations = "/fscmRestApi/resources/11.13.18.05/erpintegrations";
constexpr std::string_view kImportJob =
    "/oracle/apps/ess/financials/generalLedger/programs/common,JournalImportLauncher";
constexpr size_t kTextCharacters = 240;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

// The places of GlInterface.csv, from 0.
enum Column : size_t {
  kStatus = 0,
  kLedger = 1,
  kAccountingDate = 2,
  kSource = 3,
  kCategory = 4,
  kCurrency = 5,
  kDateCreated = 6,
  kActualFlag = 7,
  kSegment1 = 8,
  kEnteredDebit = 38,
  kEnteredCredit = 39,
  kBatchName = 42,
  kBatchDescription = 43,
  kJournalName = 45,
  kLineDescription = 51,
  kGroupId = 66,
  kColumns = 149,
};

// "12.{region}.4000": the value there of a segment's dimension; of a line that has none, the one of "region=".
absl::StatusOr<std::vector<std::string>> SegmentsOf(const ErpLine& line, const Target& target, std::string* told) {
  const auto account = ErpCode(target.accounts, line.account, "account", kSystem, "accounts");
  if (!account.ok()) return account.status();
  const auto dimensions = MappableOf(line);
  std::map<std::string, std::string> values(dimensions.begin(), dimensions.end());
  std::vector<std::string> segments;
  std::string_view left = *account;
  for (bool more = true; more;) {
    const size_t dot = left.find('.');
    std::string segment(left.substr(0, dot));
    more = dot != std::string_view::npos;
    if (more) left.remove_prefix(dot + 1);
    if (segment.starts_with('{') && segment.ends_with('}')) {
      const std::string name = segment.substr(1, segment.size() - 2);
      const std::string dimension = name + "=" + values[name];
      const auto code = ErpCode(target.dimensions, dimension, "dimension", kSystem, "dimensions");
      if (!code.ok()) return code.status();
      segment = *code;
      values.erase(name);
    }
    segments.push_back(std::move(segment));
  }
  for (const auto& [name, value] : values) TellDimension(line, name, value, told);
  return segments;
}

void AddWhole(uint64_t number, int bytes, std::string* zip) {
  for (int i = 0; i < bytes; ++i) *zip += static_cast<char>(number >> (8 * i) & 0xff);
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

class OracleEmitter final : public ErpEmitter {
 public:
  OracleEmitter(const Target& target, std::unique_ptr<HttpClient> http) : ErpEmitter(target, std::move(http)) {}

  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override;
  std::string Show(const Parcel& parcel) const override;
  Attempt Ask(const Parcel& parcel) override;
  Attempt Send(const Parcel& parcel) override;
  Attempt Finish(const Parcel& parcel) override;

 private:
  enum class JobState : uint8_t { kRuns, kSucceeded, kFailed, kForgotten };

  static std::vector<std::string> Headers() {
    return {"Content-Type: application/vnd.oracle.adf.resourceitem+json",
            "Accept: application/vnd.oracle.adf.resourceitem+json, application/json"};
  }
  // The file to import; nothing: `outcome` says why none is sent.
  std::optional<std::string> Csv(const Parcel& parcel, ErpJournal* journal, Attempt* outcome) const;
  std::string Request(const ErpJournal& journal, const std::string& group_id, const std::string& content) const;
  // The rows of an answer to a GET; nothing: `outcome` says why not.
  std::optional<JsonTree> Items(const std::string& path_and_query, Attempt* outcome);
  // What the batches of our name say: confirmed, different, not there, cannot ask.
  Attempt Look(const Parcel& parcel);
  Attempt Compare(const JsonTree& batch, const ErpJournal& ours) const;
  // How far what was accepted is.
  Attempt AskWhetherDone(const Parcel& parcel);
  // Nothing: `state` is known, and `word` is Oracle's for it.
  std::optional<Attempt> AskJob(const std::string& job, JobState* state, std::string* word);
};

std::string GroupOf(const Parcel& parcel) {
  return OracleGroupId(parcel.key, parcel.sends);
}
// The delivery's job says of which send it is: "9000 of group 12". Of earlier versions it is the request alone.
constexpr std::string_view kOfGroup = " of group ";
std::string JobOf(const std::string& request, const Parcel& parcel) {
  return request + std::string(kOfGroup) + GroupOf(parcel);
}
std::string RequestOf(const std::string& job) {
  return job.substr(0, job.find(kOfGroup));
}
bool NamesNoGroup(const std::string& job) {
  return !job.empty() && RequestOf(job) == job;
}
// What was sent once has no request of another send.
bool IsOfLastSend(const Parcel& parcel) {
  return NamesNoGroup(parcel.job) ? parcel.sends <= 1 : parcel.job == JobOf(RequestOf(parcel.job), parcel);
}
// Of what is accepted, the job is of the last send, whoever stored it.
std::string ShownRequest(const Parcel& parcel) {
  return "Oracle's request " + JobOf(RequestOf(parcel.job), parcel);
}

std::optional<std::string> OracleEmitter::Csv(const Parcel& parcel, ErpJournal* journal, Attempt* outcome) const {
  std::optional<ErpJournal> stored = StoredJournal(parcel, outcome);
  if (!stored) return std::nullopt;
  *journal = *std::move(stored);
  absl::StatusOr<std::string> csv = OracleJournal(*journal, target_, GroupOf(parcel));
  if (csv.ok()) return *std::move(csv);
  *outcome = RefusedHere(Problem::kMapping, std::string(Std(csv.status().message())));
  return std::nullopt;
}

std::string OracleEmitter::Request(const ErpJournal& journal, const std::string& group_id,
                                   const std::string& content) const {
  const std::pair<const char*, std::string> members[] = {
      {"OperationName", "importBulkData"},
      {"DocumentContent", content},
      {"ContentType", "zip"},
      {"FileName", "GlInterface_" + group_id + ".zip"},
      {"DocumentAccount", "fin$/generalLedger$/import$"},
      {"JobName", std::string(kImportJob)},
      // Data access set, source, ledger, group; nothing to suspense, no summary, no descriptive flexfields.
      {"ParameterList", target_.data_access_set + "," + target_.journal + "," + target_.companies.at(journal.entity) +
                            "," + group_id + ",N,N,N"},
      {"NotificationCode", "10"},
      {"JobOptions", "ExtractFileType=ALL"}};
  std::string json = "{";
  for (const auto& [name, value] : members) {
    if (!json.ends_with('{')) json += ',';
    AppendJsonString(name, &json);
    json += ':';
    AppendJsonString(value, &json);
  }
  return json + "}";
}

absl::StatusOr<std::string> OracleEmitter::Wire(const Parcel& parcel) const {
  const std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) return NoStoredJournal(parcel);
  const absl::StatusOr<std::string> csv = OracleJournal(*journal, target_, "");  // each send has a group of its own
  if (!csv.ok()) return csv.status();
  return Request(*journal, "", *csv);
}

std::string OracleEmitter::Show(const Parcel& parcel) const {
  const std::string text = ShowHead(kIntegrations, Headers());
  ErpJournal journal;
  Attempt outcome;
  const std::optional<std::string> csv = Csv(parcel, &journal, &outcome);
  if (!csv) return text + "(not sent: " + outcome.step.error + ")\n";
  const std::string group_id = GroupOf(parcel);
  return text + Request(journal, group_id, Base64(ZipOf("GlInterface.csv", *csv))) + "\n\nGlInterface.csv in it:\n" +
         *csv;
}

std::optional<JsonTree> OracleEmitter::Items(const std::string& path_and_query, Attempt* outcome) {
  const HttpAnswer answer =
      http_->Do({"GET", base_ + std::string(kResources) + path_and_query, {"Accept: application/json"}, {}});
  if (auto failed = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk)) {
    *outcome = *failed;
    return std::nullopt;
  }
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(answer.body, "an answer");
  const JsonTree* items = answer.status == 200 && tree.ok() ? tree->Find("items") : nullptr;
  if (items != nullptr && items->kind == JsonTree::Kind::kList) return *items;
  *outcome = Failed(Event::kCannotAsk, answer.status == 200 ? Problem::kAvailability : Problem::kConfiguration,
                    "the answer shows no items of Oracle's: " + Summary(answer));
  return std::nullopt;
}

Attempt OracleEmitter::Compare(const JsonTree& batch, const ErpJournal& ours) const {
  Int128 debits = 0;  // of 10^-9, as many as there are decimals at most
  for (const ErpLine& line : ours.lines) {
    const ParsedDecimal amount = ParseDecimal(line.amount, 9);
    if (line.is_debit && __builtin_add_overflow(debits, amount.value, &debits))
      return Failed(Event::kRefused, Problem::kValidation, "the debits are more than can be added up");
  }
  const std::string total = FormatDecimal(debits, 9), name = ScalarAt(batch, "Name");
  if (!name.starts_with(ours.key) || ScalarAt(batch, "RunningTotalDr").empty()) {
    return Failed(Event::kCannotAsk, Problem::kConfiguration,
                  "Oracle does not show the name or the totals of the batch: the user must see them");
  }
  const bool same = PlainAmount(ScalarAt(batch, "RunningTotalDr")) == total &&
                    PlainAmount(ScalarAt(batch, "RunningTotalCr")) == total;
  const std::string id = ScalarAt(batch, "JeBatchId");
  if (same) return Succeeded(Event::kConfirmed, "", id.empty() ? name : id);
  return Failed(Event::kDifferent, Problem::kDifferent,
                "journal batch " + id + " has our name in Oracle and says something else: look who changed it");
}

Attempt OracleEmitter::Look(const Parcel& parcel) {
  ErpJournal ours;
  Attempt outcome;
  if (!Csv(parcel, &ours, &outcome)) return outcome;
  const std::optional<JsonTree> batches = Items(
      "/journalBatches?q=" + PercentEncoded("Name LIKE '" + parcel.key + "%'") + "&limit=3&onlyData=true", &outcome);
  if (!batches) return outcome;
  if (batches->items.empty()) return Succeeded(Event::kNotThere, "", "");
  if (batches->items.size() == 1) return Compare(batches->items[0], ours);
  return Failed(Event::kDifferent, Problem::kDifferent,
                "journal batches " + ScalarAt(batches->items[0], "JeBatchId") + " and " +
                    ScalarAt(batches->items[1], "JeBatchId") +
                    " have our name in Oracle: reverse or delete what is too many, and `resolve` it");
}

std::optional<Attempt> OracleEmitter::AskJob(const std::string& job, JobState* state, std::string* word) {
  Attempt outcome;
  const std::optional<JsonTree> items =
      Items("/erpintegrations?finder=ESSJobStatusRF;requestId=" + RequestOf(job) + "&onlyData=true", &outcome);
  if (!items) return outcome;
  if (items->items.empty()) {  // it keeps them for some time only
    *state = JobState::kForgotten;
    *word = "an end that Oracle no longer knows";
    return std::nullopt;
  }
  *word = items->items.size() == 1 ? ScalarAt(items->items[0], "RequestStatus") : "";
  constexpr std::array<std::string_view, 7> kRunning = {"WAIT", "READY",  "RUNNING", "COMPLETED",
                                                        "HOLD", "PAUSED", "BLOCKED"};
  if (*word == "SUCCEEDED" || *word == "WARNING") {
    *state = JobState::kSucceeded;
  } else if (*word == "ERROR" || *word == "CANCELLED" || *word == "EXPIRED") {
    *state = JobState::kFailed;
  } else if (std::find(kRunning.begin(), kRunning.end(), *word) != kRunning.end()) {
    *state = JobState::kRuns;
  } else {
    return Failed(Event::kCannotAsk, Problem::kAvailability,
                  "Oracle does not say how far request " + RequestOf(job) + " is: \"" + *word + "\"");
  }
  return std::nullopt;
}

Attempt OracleEmitter::Ask(const Parcel& parcel) {
  Attempt found = Look(parcel);
  if (found.step.event != Event::kNotThere) return found;
  bool is_over = false;
  if (!parcel.job.empty()) {
    JobState state{};
    std::string word;
    if (auto failed = AskJob(parcel.job, &state, &word)) return *failed;
    if (state == JobState::kRuns) return Runs(parcel.job);
    is_over = IsOfLastSend(parcel) && state != JobState::kForgotten;
  }
  if (!parcel.unclear_for_nanos || is_over) return found;
  // Of what was sent last no request was named, or how that ended is not told: the import may wait for its turn there.
  const std::string why = IsOfLastSend(parcel) ? "which no longer knows request " + RequestOf(parcel.job)
                          : NamesNoGroup(parcel.job)
                              ? "which named request " + parcel.job + " of this send or of one before"
                              : "which named no request";
  const std::string import = "an import of group " + GroupOf(parcel) + " may be under way in Oracle, " + why;
  if (target_.resend_after_seconds == 0) {
    return RefusedHere(Problem::kAmbiguous, import + ": look for the group, and for journals of our name");
  }
  if (*parcel.unclear_for_nanos >= target_.resend_after_seconds * kNanosPerSecond) return found;
  return Failed(Event::kStillRuns, Problem::kAmbiguous, import);
}

Attempt OracleEmitter::Send(const Parcel& parcel) {
  ErpJournal journal;
  Attempt outcome;
  const std::optional<std::string> csv = Csv(parcel, &journal, &outcome);
  if (!csv) return outcome;
  const std::string group_id = GroupOf(parcel);
  const std::string body = Request(journal, group_id, Base64(ZipOf("GlInterface.csv", *csv)));
  const HttpAnswer answer = http_->Do({"POST", base_ + std::string(kIntegrations), Headers(), body});
  if (auto failed = OutcomeOfCall(answer, Event::kNotApplied, Event::kUnclear)) return *failed;
  if (answer.status >= 400 && !answer.body.empty() && answer.body.front() != '<') {
    return Failed(Event::kRefused, Problem::kValidation, "Oracle: " + Summary(answer));
  }
  const absl::StatusOr<JsonTree> made = ReadJsonTree(answer.body, "an answer");
  const std::string request = made.ok() ? ScalarAt(*made, "ReqstId") : "";
  if (answer.status == 201 && request == "-1") {
    return Failed(Event::kRefused, Problem::kValidation, "Oracle did not submit the import: " + Summary(answer));
  }
  if (answer.status == 201 && IsDigits(request)) return Runs(JobOf(request, parcel));
  return Failed(Event::kUnclear, Problem::kAmbiguous, "Oracle did not name a request: " + Summary(answer));
}

Attempt OracleEmitter::Finish(const Parcel& parcel) {
  Attempt said = AskWhetherDone(parcel);
  said.step.job = JobOf(RequestOf(parcel.job), parcel);  // which an earlier version stored without its group
  return said;
}

Attempt OracleEmitter::AskWhetherDone(const Parcel& parcel) {
  JobState state{};
  std::string word;
  if (auto failed = AskJob(parcel.job, &state, &word)) return *failed;
  if (state == JobState::kRuns) {
    return Failed(Event::kStillRuns, Problem::kAmbiguous, ShownRequest(parcel) + " is not done yet: " + word);
  }
  Attempt found = Look(parcel);
  if (found.step.event != Event::kNotThere) return found;
  if (state == JobState::kFailed) {
    return Failed(
        Event::kRefused, Problem::kValidation,
        ShownRequest(parcel) + " ended with " + word + ": its log says why; delete the interface rows of the group");
  }
  return Failed(Event::kNotShown, Problem::kAmbiguous,
                ShownRequest(parcel) + " ended with " + word +
                    ", and no journal batch is there: look at the import that it started");
}

}  // namespace

std::string OracleGroupId(std::string_view posting_key, uint32_t sends) {
  const std::string text = std::string(posting_key) + "/" + std::to_string(sends);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  TOLLBOOK_ASSERT(EVP_Digest(text.data(), text.size(), hash, &bytes, EVP_sha256(), nullptr) == 1);
  uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | hash[i];
  return std::to_string(number >> 5);
}

absl::StatusOr<std::string> OracleJournal(const ErpJournal& journal, const Target& target, std::string_view group_id) {
  const auto ledger = ErpCode(target.companies, journal.entity, "entity", kSystem, "ledgers");
  if (!ledger.ok()) return ledger.status();
  std::string date = journal.date;
  std::replace(date.begin(), date.end(), '-', '/');
  std::string csv;
  for (const ErpLine& line : journal.lines) {
    std::vector<std::string> row(kColumns);
    std::string text = line.memo;
    const absl::StatusOr<std::vector<std::string>> segments = SegmentsOf(line, target, &text);
    if (!segments.ok()) return segments.status();
    row[kStatus] = "NEW";
    row[kLedger] = *ledger;
    row[kAccountingDate] = row[kDateCreated] = date;
    row[kSource] = target.journal;
    row[kCategory] = target.category;
    row[kCurrency] = journal.currency;
    row[kActualFlag] = "A";
    for (size_t i = 0; i < segments->size(); ++i) row[kSegment1 + i] = (*segments)[i];
    row[line.is_debit ? kEnteredDebit : kEnteredCredit] = line.amount;
    row[kBatchName] = row[kJournalName] = journal.key;
    row[kBatchDescription] = journal.batch;
    row[kLineDescription] = FirstCharacters(text, kTextCharacters);
    row[kGroupId] = group_id;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) csv += ',';
      AppendCsvCell(row[i], &csv);
    }
    csv += '\n';
  }
  return csv;
}

std::string ZipOf(std::string_view name, std::string_view bytes) {
  // APPNOTE 4.3: a local header and the bytes, the central directory of one entry, its end.
  const uint64_t sum = crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
  std::string entry;  // what both headers have
  AddWhole(20, 2, &entry);
  AddWhole(0, 4, &entry);            // no flags, stored
  AddWhole(0x0021'0000, 4, &entry);  // 1980-01-01 00:00: the format's first, for the clock does not belong here
  AddWhole(sum, 4, &entry);
  AddWhole(bytes.size(), 4, &entry);
  AddWhole(bytes.size(), 4, &entry);
  AddWhole(name.size(), 2, &entry);
  AddWhole(0, 2, &entry);
  std::string zip;
  AddWhole(0x04034b50, 4, &zip);
  zip.append(entry).append(name).append(bytes);
  const size_t directory = zip.size();
  AddWhole(0x02014b50, 4, &zip);
  AddWhole(20, 2, &zip);
  zip += entry;
  AddWhole(0, 14, &zip);  // no comment; disk, attributes, and offset 0
  zip += name;
  const size_t directory_bytes = zip.size() - directory;
  AddWhole(0x06054b50, 4, &zip);
  AddWhole(0, 4, &zip);
  AddWhole(1, 2, &zip);
  AddWhole(1, 2, &zip);
  AddWhole(directory_bytes, 4, &zip);
  AddWhole(directory, 4, &zip);
  AddWhole(0, 2, &zip);
  return zip;
}

std::unique_ptr<Emitter> MakeOracleEmitter(const Target& target, std::unique_ptr<HttpClient> http) {
  return std::make_unique<OracleEmitter>(target, std::move(http));
}

}  // namespace tollbook
