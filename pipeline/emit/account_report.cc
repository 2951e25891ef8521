#include "pipeline/emit/account_report.h"

#include <algorithm>
#include <map>
#include <set>

#include "ledger/book_cut.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

std::string_view IdOfLine(std::string_view line) {
  return line.substr(0, line.find('\t'));
}

bool IsOpen(DeliveryState state) {
  return !IsFinal(state);
}

// What was last planned of an account.
struct Statement {
  std::string_view line;
  bool is_confirmed = false;
};

std::map<std::string_view, Statement> LastStatements(std::span<const StoredReport> stored, int64_t restored_at_nanos) {
  std::map<std::string_view, Statement> last;
  for (const StoredReport& report : stored) {
    const bool is_confirmed = IsPosted(report.delivery.state);
    if (report.delivery.planned_at_nanos < restored_at_nanos) continue;
    if (!report.is_still_for && !is_confirmed) continue;
    std::string_view rest = report.body;
    while (!rest.empty()) {
      const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end);
      last.emplace(IdOfLine(line), Statement{line, is_confirmed});
    }
  }
  return last;
}

}  // namespace

AccountPlan PlanRecords(std::string_view book_name, std::span<const AccountLine> lines,
                        std::span<const StoredReport> stored, int64_t restored_at_nanos) {
  AccountPlan plan;
  uint64_t newest = 0;
  for (const StoredReport& report : stored) {
    newest = std::max(newest, NumberOfAccountReport(report.delivery.batch).value_or(0));
  }
  const std::map<std::string_view, Statement> last = LastStatements(stored, restored_at_nanos);
  std::vector<const AccountLine*> to_tell;
  bool is_news = false;
  for (const AccountLine& line : lines) {
    const auto found = last.find(IdOfLine(line.line));
    const bool is_new = found == last.end() || found->second.line != line.line;
    if (is_new || !found->second.is_confirmed) to_tell.push_back(&line);
    is_news = is_news || is_new;
  }
  if (is_news) ++newest;
  for (const StoredReport& report : stored) {
    const bool is_older = NumberOfAccountReport(report.delivery.batch).value_or(0) < newest;
    const bool is_outdated = is_older || !report.is_still_for;
    if (is_outdated && IsOpen(report.delivery.state)) plan.outdated.push_back(report.delivery);
  }
  for (size_t i = 0; is_news && i < to_tell.size(); ++i) {
    if (i % kRecordsOfReport == 0) {
      PlannedDelivery& part = plan.planned.emplace_back();
      part.batch = AccountReportName(newest, static_cast<uint32_t>(plan.planned.size()));
      part.key = UsageReportKey(book_name, part.batch);
    }
    PlannedDelivery& part = plan.planned.back();
    part.body += to_tell[i]->line;
    part.entities.insert(part.entities.end(), to_tell[i]->entities.begin(), to_tell[i]->entities.end());
  }
  for (PlannedDelivery& part : plan.planned) {
    std::sort(part.entities.begin(), part.entities.end());
    part.entities.erase(std::unique(part.entities.begin(), part.entities.end()), part.entities.end());
  }
  return plan;
}

absl::StatusOr<AccountPlan> PlanAccounts(const Book& book, const Outbox& outbox, const Target& target,
                                         const Emitter& emitter, AccountStandings* standings) {
  const absl::StatusOr<std::vector<Delivery>> deliveries = outbox.DeliveriesTo(target.name);
  if (!deliveries.ok()) return deliveries.status();
  std::vector<StoredReport> stored;
  for (const Delivery& delivery : *deliveries) {
    if (!NumberOfAccountReport(delivery.batch)) continue;
    const bool is_unclear = IsOpen(delivery.state) && delivery.state != DeliveryState::kPending &&
                            delivery.state != DeliveryState::kRetryWait && delivery.state != DeliveryState::kParked;
    if (is_unclear) return AccountPlan{true, {}, {}};
    stored.push_back({delivery, "", IsStillFor(target, delivery)});
  }
  std::sort(stored.begin(), stored.end(), [](const StoredReport& a, const StoredReport& b) {
    return NumberOfAccountReport(a.delivery.batch) > NumberOfAccountReport(b.delivery.batch);
  });
  const absl::StatusOr<std::vector<AccountRecord>> records = standings->RecordsFor(target);
  if (!records.ok()) return records.status();
  std::vector<AccountLine> lines;
  std::set<std::string_view> missing;  // accounts that no report that was read tells of
  for (const AccountRecord& record : *records) {
    lines.push_back({emitter.MakeAccount(record), record.entities});
    missing.insert(record.id);
  }
  // The newest reports, until each account is in one of them.
  size_t read = 0;
  for (; read < stored.size() && !missing.empty(); ++read) {
    absl::StatusOr<std::string> body = outbox.BodyOf(stored[read].delivery);
    if (!body.ok()) return body.status();
    stored[read].body = *std::move(body);
    for (const StoredItem& item : DecodeItems(stored[read].body)) missing.erase(item.key);
  }
  const absl::StatusOr<std::vector<RestoreMark>> restored = RestoreMarks(book);
  if (!restored.ok()) return restored.status();
  const int64_t restored_at = restored->empty() ? 0 : restored->back().restored_at_nanos;
  AccountPlan plan = PlanRecords(book.identity().name, lines, stored, restored_at);
  for (PlannedDelivery& part : plan.planned) part.first_period = records->front().month;
  return plan;
}

void AppendJsonMembers(const std::string& id_name, const AccountRecord& record, std::string* json) {
  AppendJsonString(id_name, json);
  *json += ':';
  AppendJsonString(record.id, json);
  for (const AccountValue& value : record.values) {
    *json += ',';
    AppendJsonString(value.field, json);
    *json += ':';
    if (value.kind == AccountValue::Kind::kNothing) {
      *json += "null";
    } else if (value.kind == AccountValue::Kind::kNumber) {
      *json += value.text;
    } else {
      AppendJsonString(value.text, json);
    }
  }
}

}  // namespace tollbook
