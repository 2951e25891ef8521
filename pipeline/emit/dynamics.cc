#include "pipeline/emit/dynamics.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/json_text.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr std::string_view kSystem = "Dynamics";
constexpr std::string_view kHeaders = "/data/LedgerJournalHeaders";
constexpr std::string_view kLines = "/data/LedgerJournalLines";
constexpr size_t kPage = 5'000;         // lines asked for at a time: of 300 bytes or so, below what an answer may be
constexpr size_t kTextCharacters = 60;  // of Description and Text

void Add(std::string_view name, std::string_view value, std::string* json) {
  if (!json->empty() && !json->ends_with('{')) *json += ',';
  AppendJsonString(name, json);
  *json += ':';
  AppendJsonString(value, json);
}

// What of a line goes into fields there.
struct Fields {
  std::string type = "Ledger";  // or "Cust"
  std::string account;          // "110180-001-": main account and segments; or the customer's
  std::string sales_tax_group, item_sales_tax_group;
};

// The main account and a value of each segment, empty where the line has none; those that were used leave `values`.
absl::StatusOr<std::string> LedgerAccountOf(const ErpLine& line, const Target& target,
                                            std::map<std::string, std::string>* values) {
  absl::StatusOr<std::string> account = ErpCode(target.accounts, line.account, "account", kSystem, "accounts");
  if (!account.ok()) return account;
  for (const std::string& segment : target.segments) {
    *account += '-';
    const auto value = values->find(segment);
    if (value == values->end()) continue;
    const auto code = ErpCode(target.dimensions, segment + "=" + value->second, "dimension", kSystem, "dimensions");
    if (!code.ok()) return code.status();
    *account += *code;
    values->erase(value);
  }
  return account;
}

// `told`: what else the line's dimensions say.
absl::StatusOr<Fields> FieldsOf(const ErpLine& line, const Target& target, std::string* told) {
  const auto dimensions = MappableOf(line);
  std::map<std::string, std::string> values(dimensions.begin(), dimensions.end());
  Fields fields;
  absl::StatusOr<std::string> account = ErpCustomer(target, line, kSystem);
  if (account.ok() && !account->empty()) {
    fields.type = "Cust";
  } else if (account.ok()) {
    account = LedgerAccountOf(line, target, &values);
  }
  if (!account.ok()) return account.status();
  fields.account = *std::move(account);
  const auto tax_code = values.find(std::string(kTaxCodeDimension));
  if (tax_code != values.end() && target.tax_accounts.contains(line.account)) {
    const auto groups = target.tax_codes.find(tax_code->second);
    if (groups == target.tax_codes.end())
      return NoErpCode("tax code \"" + tax_code->second + "\"", kSystem, "tax_codes");
    std::tie(fields.sales_tax_group, fields.item_sales_tax_group) = groups->second;
    values.erase(tax_code);
  }
  for (const auto& [name, value] : values) TellDimension(line, name, value, told);
  return fields;
}

// A value in a filter: quotes are doubled.
std::string Text(std::string_view value) {
  std::string text = "'";
  for (const char c : value) text += c == '\'' ? std::string("''") : std::string(1, c);
  return text + "'";
}

// Dynamics takes and shows the ids of companies in either case.
bool IsSameCompany(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// {"error":{"code":…,"message":…}}; nothing: the answer is none of Dynamics'.
std::optional<std::string> ErrorOf(const HttpAnswer& answer) {
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(answer.body, "an answer");
  const JsonTree* error = tree.ok() ? tree->Find("error") : nullptr;
  if (error == nullptr || error->kind != JsonTree::Kind::kMap) return std::nullopt;
  const JsonTree* inner = error->Find("innererror");  // says more where it is there
  const std::string why = inner == nullptr ? "" : ScalarAt(*inner, "message");
  return ScalarAt(*error, "message") + (why.empty() ? "" : ": " + why);
}

class DynamicsEmitter final : public ErpEmitter {
 public:
  DynamicsEmitter(const Target& target, std::unique_ptr<HttpClient> http) : ErpEmitter(target, std::move(http)) {}

  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override;
  std::string Show(const Parcel& parcel) const override;
  Attempt Ask(const Parcel& parcel) override;
  Attempt Send(const Parcel& parcel) override;
  Attempt Finish(const Parcel& parcel) override;

 private:
  // A batch in both wordings.
  struct Ours {
    ErpJournal journal;
    DynamicsJournal there;
  };
  // What Dynamics has of it.
  struct Found {
    std::string number;
    bool is_posted = false;
    std::vector<bool> lines;  // which of ours
    bool is_whole = false;
  };

  std::optional<Ours> Read(const Parcel& parcel, Attempt* outcome) const;
  // Whether a day's requests are enough to look for the journal, and to send one line more: or it never ends.
  bool IsWithinADay(size_t lines, Attempt* outcome) const;
  // The rows that answer the filter, from the first row on; nothing: `outcome` says why not.
  std::optional<JsonTree> Query(std::string_view path, const std::string& filter, const std::string& more,
                                Attempt* outcome);
  // Nothing: `outcome` is the end of it: not there, different, cannot ask.
  std::optional<Found> Look(const Ours& ours, const Parcel& parcel, Attempt* outcome);
  bool ReadLines(const Ours& ours, Found* found, Attempt* outcome);
  // Which of ours the line there is; nothing: none of them.
  std::optional<size_t> Place(const JsonTree& line, const Ours& ours) const;
  // Nothing: Dynamics has the line.
  std::optional<Attempt> SendLine(const Ours& ours, const std::string& number, size_t line);
  Attempt Different(const std::string& what) const;
  HttpAnswer Post(std::string_view path, std::string_view body) {
    return http_->Do({"POST", base_ + std::string(path), Headers(), body});
  }
  static std::vector<std::string> Headers() { return {"Content-Type: application/json", "Accept: application/json"}; }
};

std::string LineBody(const std::string& line, std::string_view number) {
  std::string json = "{\"JournalBatchNumber\":";
  AppendJsonString(number, &json);
  return json + "," + line + "}";
}

std::optional<DynamicsEmitter::Ours> DynamicsEmitter::Read(const Parcel& parcel, Attempt* outcome) const {
  std::optional<ErpJournal> journal = StoredJournal(parcel, outcome);
  if (!journal) return std::nullopt;
  if (!IsWithinADay(journal->lines.size(), outcome)) return std::nullopt;
  absl::StatusOr<DynamicsJournal> there = DynamicsJournalOf(*journal, target_);
  if (there.ok()) return Ours{*std::move(journal), *std::move(there)};
  *outcome = RefusedHere(Problem::kMapping, std::string(Std(there.status().message())));
  return std::nullopt;
}

absl::StatusOr<std::string> DynamicsEmitter::Wire(const Parcel& parcel) const {
  const std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) return NoStoredJournal(parcel);
  const absl::StatusOr<DynamicsJournal> there = DynamicsJournalOf(*journal, target_);
  if (!there.ok()) return there.status();
  std::string text = there->header;
  for (const std::string& line : there->lines) text += "\n" + line;
  return text;
}

bool DynamicsEmitter::IsWithinADay(size_t lines, Attempt* outcome) const {
  const uint64_t needed = 1 + (lines / kPage + 1) + 1, per_day = target_.requests.per_day;
  if (per_day == 0 || needed <= per_day) return true;
  *outcome =
      RefusedHere(Problem::kConfiguration, "a journal of " + std::to_string(lines) + " lines takes " +
                                               std::to_string(needed) + " requests in a row, and per_day allows " +
                                               std::to_string(per_day) + ": raise it, or have less in a batch");
  return false;
}

std::string DynamicsEmitter::Show(const Parcel& parcel) const {
  std::string text = ShowHead(kHeaders, Headers());
  Attempt outcome;
  const std::optional<Ours> ours = Read(parcel, &outcome);
  if (!ours) return text + "(not sent: " + outcome.step.error + ")\n";
  text += ours->there.header + "\n";
  for (const std::string& line : ours->there.lines) {
    text += "\n" + ShowHead(kLines, Headers()) + LineBody(line, "(of the journal)") + "\n";
  }
  return text;
}

std::optional<JsonTree> DynamicsEmitter::Query(std::string_view path, const std::string& filter,
                                               const std::string& more, Attempt* outcome) {
  const HttpAnswer answer =
      http_->Do({"GET",
                 base_ + std::string(path) + "?cross-company=true&$filter=" + PercentEncoded(filter) + more,
                 {"Accept: application/json"},
                 {}});
  if (auto failed = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk)) {
    *outcome = *failed;
    return std::nullopt;
  }
  absl::StatusOr<JsonTree> tree = ReadJsonTree(answer.body, "an answer");
  const JsonTree* rows = answer.status == 200 && tree.ok() ? tree->Find("value") : nullptr;
  if (rows != nullptr && rows->kind == JsonTree::Kind::kList) return *rows;
  const std::optional<std::string> error = ErrorOf(answer);
  *outcome = Failed(
      Event::kCannotAsk, error ? Problem::kConfiguration : Problem::kAvailability,
      error ? "Dynamics does not say what it has: " + *error : "the answer is none of Dynamics': " + Summary(answer));
  return std::nullopt;
}

Attempt DynamicsEmitter::Different(const std::string& what) const {
  return Failed(Event::kDifferent, Problem::kDifferent, what);
}

std::optional<DynamicsEmitter::Found> DynamicsEmitter::Look(const Ours& ours, const Parcel& parcel, Attempt* outcome) {
  // By our key in all companies: targets.yaml may have named another one then. A number is of a company's own.
  std::string filter = "IntegrationKey eq " + Text(parcel.key);
  if (!parcel.job.empty()) {
    filter += " or (dataAreaId eq " + Text(ours.there.company) + " and JournalBatchNumber eq " + Text(parcel.job) + ")";
  }
  const std::optional<JsonTree> headers = Query(kHeaders, filter, "&$top=3", outcome);
  if (!headers) return std::nullopt;
  if (headers->items.empty()) {
    *outcome =
        Failed(Event::kNotThere, Problem::kValidation,
               parcel.job.empty() ? "" : "journal " + parcel.job + " is not in Dynamics any more: look who took it");
    return std::nullopt;
  }
  Found found{ScalarAt(headers->items[0], "JournalBatchNumber"), ScalarAt(headers->items[0], "IsPosted") == "Yes", {}};
  if (headers->items.size() > 1) {
    *outcome = Different("journals " + found.number + " and " + ScalarAt(headers->items[1], "JournalBatchNumber") +
                         " have our key in Dynamics: delete the one that is too many, unposted, and retry");
    return std::nullopt;
  }
  if (found.number.empty() || ScalarAt(headers->items[0], "IntegrationKey") != parcel.key) {
    *outcome = Failed(Event::kCannotAsk, Problem::kConfiguration,
                      "Dynamics does not show the number or the IntegrationKey of the journal: the user must see them");
    return std::nullopt;
  }
  const std::string company = ScalarAt(headers->items[0], "dataAreaId");
  if (!IsSameCompany(company, ours.there.company)) {
    *outcome = Different("journal " + found.number + " has our key in Dynamics in company " + company +
                         ", and targets.yaml names " + ours.there.company +
                         ": put that back, or delete it there, unposted, and retry");
    return std::nullopt;
  }
  if (!ReadLines(ours, &found, outcome)) return std::nullopt;
  if (found.is_posted && !found.is_whole) {
    *outcome = Different("journal " + found.number + " was posted in Dynamics before all of its lines were there");
    return std::nullopt;
  }
  return found;
}

std::optional<size_t> DynamicsEmitter::Place(const JsonTree& line, const Ours& ours) const {
  const ParsedDecimal number = ParseDecimal(ScalarAt(line, "LineNumber"), 9);
  constexpr Int128 kOne = 1'000'000'000;
  if (number.error != DecimalError::kNone || number.value % kOne != 0) return std::nullopt;
  const Int128 place = number.value / kOne - 1;
  if (place < 0 || place >= static_cast<Int128>(ours.journal.lines.size())) return std::nullopt;
  const size_t i = static_cast<size_t>(place);
  const ErpLine& want = ours.journal.lines[i];
  const auto amount = [&line](const char* key) {
    const std::string text = ScalarAt(line, key);
    return PlainAmount(text.empty() ? "0" : text);
  };
  const bool same = ScalarAt(line, "AccountDisplayValue") == ours.there.accounts[i] &&
                    amount(want.is_debit ? "DebitAmount" : "CreditAmount") == PlainAmount(want.amount) &&
                    amount(want.is_debit ? "CreditAmount" : "DebitAmount") == "0" &&
                    ScalarAt(line, "CurrencyCode") == ours.journal.currency &&
                    ScalarAt(line, "TransDate").substr(0, 10) == ours.journal.date;
  return same ? std::optional<size_t>(i) : std::nullopt;
}

bool DynamicsEmitter::ReadLines(const Ours& ours, Found* found, Attempt* outcome) {
  const std::string filter =
      "dataAreaId eq " + Text(ours.there.company) + " and JournalBatchNumber eq " + Text(found->number);
  found->lines.assign(ours.there.lines.size(), false);
  size_t rows = 0;
  for (size_t page = 0, top = 0; page == top;) {
    top = std::min(kPage, found->lines.size() + 1 - rows);  // one more than ours: to see whether there is another
    const std::string more = "&$orderby=LineNumber&$skip=" + std::to_string(rows) + "&$top=" + std::to_string(top) +
                             "&$select=LineNumber,AccountDisplayValue,DebitAmount,CreditAmount,CurrencyCode,TransDate";
    const std::optional<JsonTree> lines = Query(kLines, filter, more, outcome);
    if (!lines) return false;
    page = lines->items.size();
    rows += page;
    for (const JsonTree& line : lines->items) {
      const std::optional<size_t> place = Place(line, ours);
      if (!place || found->lines[*place]) {
        *outcome = Different("journal " + found->number + " has our key in Dynamics and says something else in line " +
                             ScalarAt(line, "LineNumber") + ": look who changed it");
        return false;
      }
      found->lines[*place] = true;
    }
  }
  found->is_whole = rows == found->lines.size();
  return true;
}

Attempt DynamicsEmitter::Ask(const Parcel& parcel) {
  Attempt outcome;
  const std::optional<Ours> ours = Read(parcel, &outcome);
  if (!ours) return outcome;
  const std::optional<Found> found = Look(*ours, parcel, &outcome);
  if (!found) return outcome;
  if (found->is_whole) return Succeeded(Event::kConfirmed, found->number, found->number);
  return Succeeded(Event::kAccepted, found->number, "");
}

Attempt DynamicsEmitter::Send(const Parcel& parcel) {
  Attempt outcome;
  const std::optional<Ours> ours = Read(parcel, &outcome);
  if (!ours) return outcome;
  const HttpAnswer answer = Post(kHeaders, ours->there.header);
  if (auto failed = OutcomeOfCall(answer, Event::kNotApplied, Event::kUnclear)) return *failed;
  if (answer.status >= 400) {
    if (const auto error = ErrorOf(answer)) {
      return Failed(Event::kRefused, Problem::kValidation, "Dynamics: " + *error);
    }
  }
  const absl::StatusOr<JsonTree> made = ReadJsonTree(answer.body, "an answer");
  if (answer.status == 201 && made.ok() && ScalarAt(*made, "IntegrationKey") == parcel.key) {
    const std::string number = ScalarAt(*made, "JournalBatchNumber");
    if (!number.empty()) return Succeeded(Event::kAccepted, number, "");
  }
  return Failed(Event::kUnclear, Problem::kAmbiguous, "Dynamics did not name a journal of our key: " + Summary(answer));
}

std::optional<Attempt> DynamicsEmitter::SendLine(const Ours& ours, const std::string& number, size_t line) {
  const HttpAnswer answer = Post(kLines, LineBody(ours.there.lines[line], number));
  const std::string which = "line " + std::to_string(line + 1) + " of " + std::to_string(ours.there.lines.size()) +
                            " of journal " + number + ": ";
  if (auto failed = OutcomeOfCall(answer, Event::kNotApplied, Event::kUnclear)) {
    failed->step.error = which + failed->step.error;
    return failed;
  }
  if (answer.status == 201) return std::nullopt;  // whether it is there is read afterwards
  const std::optional<std::string> error = ErrorOf(answer);
  // What was sent before and arrived late is refused as a line that exists: reading tells which it is.
  const bool exists = error && error->find("already exists") != std::string::npos;
  if (answer.status >= 400 && error && !exists) {
    return Failed(Event::kRefused, Problem::kValidation, "Dynamics: " + which + *error);
  }
  return Failed(Event::kUnclear, Problem::kAmbiguous, "Dynamics did not say that it has " + which + Summary(answer));
}

Attempt DynamicsEmitter::Finish(const Parcel& parcel) {
  Attempt outcome;
  const std::optional<Ours> ours = Read(parcel, &outcome);
  if (!ours) return outcome;
  std::optional<Found> found = Look(*ours, parcel, &outcome);
  if (!found) return outcome;
  // A line of other codes might meet one of its number that was sent before and is late.
  if (!found->is_whole && parcel.is_other) {
    return Different("journal " + found->number +
                     " was begun with other codes than targets.yaml has now: put them back, or delete it in Dynamics, "
                     "then `tollbook deliveries retry`");
  }
  if (!found->is_whole) {
    for (size_t line = 0; line < found->lines.size(); ++line) {
      if (found->lines[line]) continue;
      if (auto failed = SendLine(*ours, found->number, line)) return *failed;
    }
    found = Look(*ours, parcel, &outcome);
    if (!found) return outcome;
  }
  if (found->is_whole) return Succeeded(Event::kConfirmed, found->number, found->number);
  return Failed(Event::kUnclear, Problem::kAmbiguous,
                "Dynamics took the lines of journal " + found->number + " and does not show them all");
}

}  // namespace

absl::StatusOr<DynamicsJournal> DynamicsJournalOf(const ErpJournal& journal, const Target& target) {
  DynamicsJournal there;
  const auto company = ErpCode(target.companies, journal.entity, "entity", kSystem, "companies");
  if (!company.ok()) return company.status();
  there.company = *company;
  there.header = "{";
  Add("dataAreaId", there.company, &there.header);
  Add("JournalName", target.journal, &there.header);
  Add("Description", FirstCharacters(journal.batch, kTextCharacters), &there.header);
  Add("IntegrationKey", journal.key, &there.header);
  there.header += '}';
  const std::string voucher = "TB" + ShortKey(journal.key);
  for (const ErpLine& line : journal.lines) {
    std::string text = line.memo;
    const absl::StatusOr<Fields> fields = FieldsOf(line, target, &text);
    if (!fields.ok()) return fields.status();
    there.accounts.push_back(fields->account);
    std::string json;
    Add("dataAreaId", there.company, &json);
    json += ",\"LineNumber\":" + std::to_string(there.lines.size() + 1);
    Add("AccountType", fields->type, &json);
    Add("AccountDisplayValue", there.accounts.back(), &json);
    // Dynamics wants numbers; this one is our decimal, digit by digit.
    json += (line.is_debit ? ",\"DebitAmount\":" : ",\"CreditAmount\":") + line.amount;
    if (!fields->sales_tax_group.empty()) {
      Add("SalesTaxGroup", fields->sales_tax_group, &json);
      Add("ItemSalesTaxGroup", fields->item_sales_tax_group, &json);
    }
    Add("CurrencyCode", journal.currency, &json);
    Add("TransDate", journal.date + "T12:00:00Z", &json);  // noon: the same day in every zone but the last ones
    Add("Voucher", voucher, &json);
    Add("Document", voucher, &json);
    Add("Text", FirstCharacters(text, kTextCharacters), &json);
    there.lines.push_back(std::move(json));
  }
  return there;
}

std::unique_ptr<Emitter> MakeDynamicsEmitter(const Target& target, std::unique_ptr<HttpClient> http) {
  return std::make_unique<DynamicsEmitter>(target, std::move(http));
}

}  // namespace tollbook
