// AccountReport: how accounts stand, told to systems that keep one record of each, and what was told of them.
//
// A record says how an account stands, so the newest one says all: telling it again changes nothing, and what it took
// the place of need not be told any more. Reports of a target are numbered. A new one is planned when some record is
// other than what was last planned of it; it has these, and all that are not confirmed yet, and the reports before it
// that are still open are superseded. So no older record is sent once a newer one is planned. While an earlier end is
// unclear none is planned: that request may still be under way, and come behind a newer one.
//
// What is told is compared with what is stored, not with what the target has: a field that somebody changed there stays
// changed until the account's next record. A book that came out of a backup tells every account again.
#ifndef TOLLBOOK_PIPELINE_EMIT_ACCOUNT_REPORT_H_
#define TOLLBOOK_PIPELINE_EMIT_ACCOUNT_REPORT_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/emit/usage_report.h"

namespace tollbook {

inline constexpr size_t kRecordsOfReport = 1000;

// A report that was planned, in its number's order and part by part.
struct StoredReport {
  Delivery delivery;
  std::string body;
  bool is_still_for = true;  // false: it has something of an entity that the target is not to be told of any more
};
// A record as it stands, as Emitter::MakeAccount has it.
struct AccountLine {
  std::string line;
  std::vector<std::string> entities = {};
};

struct AccountPlan {
  bool waits = false;                    // for an end that is unclear: then nothing is planned
  std::vector<PlannedDelivery> planned;  // the parts of one report; none: nothing is new
  std::vector<Delivery> outdated;        // to be superseded, once `planned` is
};

// Pure. `lines`: of all accounts as they stand. `stored`: by number, newest first. One that is not for the target any
// more, and not confirmed, is outdated, and what it says of others is told anew.
// `restored_at_nanos`: what was planned before is told again; 0: the book never came out of a backup.
[[nodiscard]] AccountPlan PlanRecords(std::string_view book_name, std::span<const AccountLine> lines,
                                      std::span<const StoredReport> stored, int64_t restored_at_nanos);

// The plan of a book as it stands. `standings`: of the book. FailedPrecondition: RecordsFor's.
[[nodiscard]] absl::StatusOr<AccountPlan> PlanAccounts(const Book& book, const Outbox& outbox, const Target& target,
                                                       const Emitter& emitter, AccountStandings* standings);

// Members of a JSON object: the record's id under that name, then its values; numbers as they are, what is nothing as
// null.
void AppendJsonMembers(const std::string& id_name, const AccountRecord& record, std::string* json);

// Tells reports of accounts. Who derives from it says what a record is there.
class AccountReportEmitter : public ReportEmitter {
 public:
  std::string MakeAccount(const AccountRecord& record) const final { return Encode({MakeRecord(record)}); }

 protected:
  // `traits` without items_max, of which there are kRecordsOfReport.
  AccountReportEmitter(const Target& target, const EmitterContext& context, std::unique_ptr<HttpClient> http,
                       Traits traits)
      : ReportEmitter(target, context, Secret(), std::move(http), std::move(traits)) {}

  // Its path and body; the key is the record's id.
  virtual StoredItem MakeRecord(const AccountRecord& record) const = 0;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_ACCOUNT_REPORT_H_
