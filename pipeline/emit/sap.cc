#include "pipeline/emit/sap.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/json_tree.h"

namespace tollbook {
namespace {

using Event = DeliveryEvent;
using Problem = DeliveryProblem;

constexpr std::string_view kSystem = "SAP";
constexpr std::string_view kService = "/sap/bc/srt/scs_ext/sap/journalentrycreaterequestconfi";
constexpr std::string_view kRefusedDocument = "0000000000";
constexpr size_t kHeaderTextCharacters = 25;
constexpr size_t kItemTextCharacters = 50;
// Of two documents that have our reference, which is one too many, the items are still counted.
constexpr size_t kItemsMax = 2 * kSapLinesMax;

std::string Escaped(std::string_view text) {
  std::string xml;
  for (const char c : text) {
    switch (c) {
      case '&':
        xml += "&amp;";
        break;
      case '<':
        xml += "&lt;";
        break;
      case '>':
        xml += "&gt;";
        break;
      case '"':
        xml += "&quot;";
        break;
      default:
        xml += static_cast<unsigned char>(c) < ' ' ? ' ' : c;
    }
  }
  return xml;
}
std::string Unescaped(std::string_view xml) {
  constexpr std::pair<std::string_view, char> kSigns[] = {
      {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}};
  std::string text;
  while (!xml.empty()) {
    const auto* sign =
        std::find_if(std::begin(kSigns), std::end(kSigns), [&](const auto& one) { return xml.starts_with(one.first); });
    const bool is_sign = sign != std::end(kSigns);
    text += is_sign ? sign->second : xml.front();
    xml.remove_prefix(is_sign ? sign->first.size() : 1);
  }
  return text;
}

void Add(std::string_view name, std::string_view value, std::string* xml) {
  xml->append("<").append(name).append(">").append(Escaped(value)).append("</").append(name).append(">");
}

void AddMessageHeader(const std::string& id, const std::string& date, std::string* xml) {
  *xml += "<MessageHeader>";
  Add("ID", id, xml);
  Add("CreationDateTime", date + "T00:00:00Z", xml);  // of the entry, not of the clock: the same bytes each time
  *xml += "</MessageHeader>";
}

absl::StatusOr<std::string> AssignmentOf(const ErpLine& line, const Target& target, std::string* text) {
  const auto fields = ErpFields(target, line, kSystem, text);
  if (!fields.ok()) return fields.status();
  std::string xml;
  for (const auto& [name, value] : *fields) Add(name, value, &xml);
  return xml.empty() ? xml : "<AccountAssignment>" + xml + "</AccountAssignment>";
}

std::string Enveloped(const std::string& body) {
  return "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body>" + body +
         "</soap:Body></soap:Envelope>";
}

// An account as SAP compares it: of digits alone, without the zeros that pad it.
std::string_view Unpadded(std::string_view account) {
  const bool is_number = account.find_first_not_of("0123456789") == std::string_view::npos;
  const size_t first = is_number ? account.find_first_not_of('0') : 0;
  return first == std::string_view::npos ? account : account.substr(first);
}

// "/Date(1769817600000)/", or a date as ISO 8601 has it.
std::string DateOf(const std::string& text) {
  constexpr std::string_view kPrefix = "/Date(";
  if (!text.starts_with(kPrefix)) return text.substr(0, 10);
  int64_t millis = 0;
  const char* const begin = text.data() + kPrefix.size();
  if (std::from_chars(begin, text.data() + text.size(), millis).ec != std::errc()) return text;
  constexpr int64_t kMillisPerDay = 86'400'000;
  if (millis < 0 || millis % kMillisPerDay != 0) return text;
  return ToString(Day{static_cast<int32_t>(millis / kMillisPerDay)});
}

class SapEmitter final : public ErpEmitter {
 public:
  SapEmitter(const Target& target, std::unique_ptr<HttpClient> http) : ErpEmitter(target, std::move(http)) {}

  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override;
  std::string Show(const Parcel& parcel) const override;
  Attempt Ask(const Parcel& parcel) override;
  Attempt Send(const Parcel& parcel) override;
  Attempt Finish(const Parcel& parcel) override;

 private:
  static std::vector<std::string> Headers() { return {"Content-Type: text/xml; charset=utf-8", "Accept: text/xml"}; }
  // The request's body; nothing: `outcome` says why it is not sent.
  std::optional<std::string> Body(const Parcel& parcel, ErpJournal* journal, Attempt* outcome) const;
  Attempt Compare(const JsonTree& items, const ErpJournal& ours) const;
};

std::optional<std::string> SapEmitter::Body(const Parcel& parcel, ErpJournal* journal, Attempt* outcome) const {
  std::optional<ErpJournal> stored = StoredJournal(parcel, outcome);
  if (!stored) return std::nullopt;
  *journal = *std::move(stored);
  if (journal->lines.size() > kSapLinesMax) {
    *outcome = RefusedHere(Problem::kValidation, std::to_string(journal->lines.size()) +
                                                     " postings, and a document of SAP has at most " +
                                                     std::to_string(kSapLinesMax) +
                                                     ": lower `batch_lines_max` of the entity; this one, book by hand");
    return std::nullopt;
  }
  const absl::StatusOr<std::string> request = SapJournal(*journal, target_);
  if (request.ok()) return Enveloped(*request);
  *outcome = RefusedHere(Problem::kMapping, std::string(Std(request.status().message())));
  return std::nullopt;
}

absl::StatusOr<std::string> SapEmitter::Wire(const Parcel& parcel) const {
  const std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) return NoStoredJournal(parcel);
  return SapJournal(*journal, target_);
}

std::string SapEmitter::Show(const Parcel& parcel) const {
  const std::string text = ShowHead(kService, Headers());
  ErpJournal journal;
  Attempt outcome;
  const std::optional<std::string> body = Body(parcel, &journal, &outcome);
  return text + (body ? *body : "(not sent: " + outcome.step.error + ")") + "\n";
}

Attempt SapEmitter::Compare(const JsonTree& items, const ErpJournal& ours) const {
  std::vector<ErpCompared> want, have;
  std::set<std::string> compared;  // fields that ours have
  for (const ErpLine& line : ours.lines) {
    std::string text;
    const auto fields = ErpFields(target_, line, kSystem, &text);
    if (!fields.ok()) return RefusedHere(Problem::kMapping, std::string(Std(fields.status().message())));
    ErpCompared& one = want.emplace_back();
    one.side = {std::string(Unpadded(target_.accounts.at(line.account))), line.is_debit,
                PlainAmount(line.amount).value_or("")};
    for (const auto& [name, value] : *fields) one.fields[name] = Unpadded(value);
    for (const auto& [name, value] : *fields) compared.insert(name);
  }
  std::set<std::string> documents;
  bool same = true;
  for (const JsonTree& item : items.items) {
    const std::string number = ScalarAt(item, "AccountingDocument");
    const std::string company = ScalarAt(item, "CompanyCode");
    if (number.empty() || company.empty() || ScalarAt(item, "DocumentReferenceID") != ShortKey(ours.key)) {
      return Failed(Event::kCannotAsk, Problem::kConfiguration,
                    "SAP does not show CompanyCode, AccountingDocument or DocumentReferenceID of items: see "
                    "`items_path`");
    }
    documents.insert(company + " " + number + " " + ScalarAt(item, "FiscalYear"));
    const std::string amount = ScalarAt(item, "AmountInTransactionCurrency");
    const bool is_credit = amount.starts_with('-');
    ErpCompared& one = have.emplace_back();
    one.side = {std::string(Unpadded(ScalarAt(item, "GLAccount"))), !is_credit,
                PlainAmount(std::string_view(amount).substr(is_credit ? 1 : 0)).value_or(amount)};
    for (const std::string& name : compared) {
      // An account that takes no cost centre, say, has none there; and not each field has the same name in the items.
      if (const std::string value = ScalarAt(item, name); !value.empty()) one.fields[name] = Unpadded(value);
    }
    same = same && company == target_.companies.at(ours.entity) &&
           ScalarAt(item, "TransactionCurrency") == ours.currency && DateOf(ScalarAt(item, "PostingDate")) == ours.date;
  }
  std::string names;
  for (const std::string& one : documents) names += (names.empty() ? "" : ", ") + one;
  if (documents.size() > 1) {
    return Failed(Event::kDifferent, Problem::kDifferent,
                  "documents " + names + " have our reference in SAP: reverse what is too many, and `resolve` it");
  }
  if (same && SameLines(want, have)) return Succeeded(Event::kConfirmed, names, names);
  return Failed(Event::kDifferent, Problem::kDifferent,
                "document " + names + " has our reference in SAP and says something else: look what it is");
}

Attempt SapEmitter::Ask(const Parcel& parcel) {
  ErpJournal ours;
  Attempt outcome;
  if (!Body(parcel, &ours, &outcome)) return outcome;
  // By our reference alone: in which company code it is, is compared, for targets.yaml may have named another one then.
  const std::string filter = "DocumentReferenceID eq '" + ShortKey(ours.key) + "'";
  const HttpAnswer answer = http_->Do({"GET",
                                       base_ + target_.items_path + "?$filter=" + PercentEncoded(filter) +
                                           "&$top=" + std::to_string(kItemsMax) + "&$format=json",
                                       {"Accept: application/json"},
                                       {}});
  if (auto failed = OutcomeOfCall(answer, Event::kCannotAsk, Event::kCannotAsk)) return *failed;
  const absl::StatusOr<JsonTree> tree = ReadJsonTree(answer.body, "an answer");
  const JsonTree* data = answer.status == 200 && tree.ok() ? tree->Find("d") : nullptr;
  const JsonTree* items = data == nullptr ? nullptr : data->Find("results");
  if (items == nullptr || items->kind != JsonTree::Kind::kList) {
    return Failed(Event::kCannotAsk, answer.status == 200 ? Problem::kAvailability : Problem::kConfiguration,
                  "the answer shows no items of SAP's: " + Summary(answer));
  }
  if (items->items.empty()) return Succeeded(Event::kNotThere, "", "");
  return Compare(*items, ours);
}

Attempt SapEmitter::Send(const Parcel& parcel) {
  ErpJournal journal;
  Attempt outcome;
  const std::optional<std::string> body = Body(parcel, &journal, &outcome);
  if (!body) return outcome;
  const HttpAnswer answer = http_->Do({"POST", base_ + std::string(kService), Headers(), *body});
  if (auto failed = OutcomeOfCall(answer, Event::kNotApplied, Event::kUnclear)) return *failed;
  const std::vector<std::string> documents = XmlTexts(answer.body, "AccountingDocument");
  const bool is_whole = XmlTexts(answer.body, "JournalEntryBulkCreateConfirmation").size() == 1 &&
                        answer.body.find("Envelope>", answer.body.rfind("</")) != std::string::npos;
  const bool is_number = documents.size() == 1 && documents[0].size() == kRefusedDocument.size() &&
                         documents[0].find_first_not_of("0123456789") == std::string::npos;
  if (answer.status == 200 && is_whole && is_number && documents[0] != kRefusedDocument) {
    return Runs(documents[0]);  // whether that is ours, its items tell, which may be shown later
  }
  if (answer.status == 200 && is_whole && is_number) {
    std::string notes;
    for (const std::string& note : XmlTexts(answer.body, "Note")) notes += (notes.empty() ? "" : "; ") + note;
    return Failed(Event::kRefused, Problem::kValidation, "SAP: " + (notes.empty() ? "refused, without a note" : notes));
  }
  return Failed(Event::kUnclear, Problem::kAmbiguous, "SAP did not name one document: " + Summary(answer));
}

Attempt SapEmitter::Finish(const Parcel& parcel) {
  Attempt found = Ask(parcel);
  if (found.step.event != Event::kNotThere) return found;
  return Failed(Event::kNotShown, Problem::kAmbiguous,
                "SAP named document " + parcel.job + ", and does not show its items yet");
}

}  // namespace

std::vector<std::string> XmlTexts(std::string_view xml, std::string_view name) {
  std::vector<std::string> texts;
  for (size_t at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at + 1)) {
    const size_t end = xml.find('>', at);
    if (end == std::string_view::npos) break;
    std::string_view tag = xml.substr(at + 1, end - at - 1);
    if (tag.ends_with('/')) continue;
    tag = tag.substr(0, tag.find_first_of(" \t\r\n"));
    const size_t colon = tag.find(':');
    if (colon != std::string_view::npos) tag.remove_prefix(colon + 1);
    const bool closes = xml[at + 1] == '/';
    if (!closes && tag == name) texts.push_back(Unescaped(xml.substr(end + 1, xml.find('<', end) - end - 1)));
  }
  return texts;
}

absl::StatusOr<std::string> SapJournal(const ErpJournal& journal, const Target& target) {
  const auto company = ErpCode(target.companies, journal.entity, "entity", kSystem, "company_codes");
  if (!company.ok()) return company.status();
  const std::string reference = ShortKey(journal.key);
  std::string xml = "<sfin:JournalEntryBulkCreateRequest xmlns:sfin=\"http://sap.com/xi/SAPSCORE/SFIN\">";
  AddMessageHeader(reference, journal.date, &xml);
  xml += "<JournalEntryCreateRequest>";
  AddMessageHeader(reference + "-1", journal.date, &xml);
  xml += "<JournalEntry>";
  Add("OriginalReferenceDocumentType", "BKPFF", &xml);
  Add("OriginalReferenceDocument", reference, &xml);
  Add("BusinessTransactionType", "RFBU", &xml);
  Add("AccountingDocumentType", target.journal, &xml);
  Add("DocumentReferenceID", reference, &xml);
  Add("DocumentHeaderText", FirstCharacters(journal.batch, kHeaderTextCharacters), &xml);
  Add("CreatedByUser", target.user, &xml);
  Add("CompanyCode", *company, &xml);
  Add("DocumentDate", journal.date, &xml);
  Add("PostingDate", journal.date, &xml);
  int number = 0;
  for (const ErpLine& line : journal.lines) {
    const auto account = ErpCode(target.accounts, line.account, "account", kSystem, "accounts");
    if (!account.ok()) return account.status();
    std::string text = line.memo;
    const absl::StatusOr<std::string> assignment = AssignmentOf(line, target, &text);
    if (!assignment.ok()) return assignment.status();
    xml += "<Item>";
    Add("ReferenceDocumentItem", std::to_string(++number), &xml);
    Add("GLAccount", *account, &xml);
    xml += "<AmountInTransactionCurrency currencyCode=\"" + journal.currency + "\">" + (line.is_debit ? "" : "-") +
           line.amount + "</AmountInTransactionCurrency>";
    Add("DebitCreditCode", line.is_debit ? "S" : "H", &xml);
    Add("DocumentItemText", FirstCharacters(text, kItemTextCharacters), &xml);
    xml += *assignment + "</Item>";
  }
  return xml + "</JournalEntry></JournalEntryCreateRequest></sfin:JournalEntryBulkCreateRequest>";
}

std::unique_ptr<Emitter> MakeSapEmitter(const Target& target, std::unique_ptr<HttpClient> http) {
  return std::make_unique<SapEmitter>(target, std::move(http));
}

}  // namespace tollbook
