// Commands: one struct of options and one function for each command. main.cc parses; a command opens, runs and reports.
#ifndef TOLLBOOK_PIPELINE_APP_COMMANDS_H_
#define TOLLBOOK_PIPELINE_APP_COMMANDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/change_period.h"
#include "pipeline/decode.h"
#include "pipeline/generate.h"

namespace tollbook {

// Every command returns the process's exit code (ExitCode in session.h).

// Input and its pace: run, absorb.
struct AbsorbFlags {
  std::vector<std::string> inputs;
  int threads = 0;  // 0: all cores
  DecoderChoice decoder = DecoderChoice::kAuto;
  uint64_t memory_bytes = 0;  // 0: DefaultMemoryBytes()
  uint64_t epoch_bytes = 0;   // 0: the default; hidden flag, for tests
  uint64_t block_bytes = 0;   // 0: the default; hidden flag, for tests
  bool quiet = false;         // no progress
  bool acknowledge = false;   // say after each commit what is durable
  bool strict = false;        // exceptions are exit code 3
  bool json = false;
};

struct RunOptions {
  std::string books;
  std::string catalog;
  std::string through;  // YYYY-MM-DD; empty: all
  bool post = false;    // deliver what is due afterwards
  AbsorbFlags absorb;
};
int CmdRun(const RunOptions& options);

struct AbsorbCommandOptions {
  std::string books;
  std::string catalog;
  AbsorbFlags absorb;
};
int CmdAbsorb(const AbsorbCommandOptions& options);

struct SealCommandOptions {
  std::string books;
  std::string catalog;
  std::string through;
  bool adjust = false;  // into soft-closed periods too
  std::string by, why;  // with `adjust`
  int threads = 0;
  bool json = false;
};
int CmdSeal(const SealCommandOptions& options);

struct PostOptions {
  std::string books;
  std::string catalog;
  std::string target;  // empty: all
  bool dry_run = false;
  bool watch = false;         // go on until stopped
  uint64_t wait_seconds = 0;  // go on so long while something waits
  bool reconcile = false;     // then ask the targets whether they have what they confirmed
  bool again = false;         // what was reconciled before, too
  bool strict = false;        // what is not delivered is exit code 3
  bool json = false;
};
int CmdPost(const PostOptions& options);

struct DeliveriesOptions {
  enum class Action : uint8_t {
    kList,
    kShow,
    kRetry,
    kPark,
    kSayPosted,
    kSayNotPosted,
    kSaySuperseded,
    kPause,
    kResume
  };
  std::string books;
  std::string catalog;  // whose targets.yaml has windows, and names what may be paused; empty: the newest seal's
  Action action = Action::kList;
  std::string target;    // of list: empty: all
  std::string batch;     // not of list, pause and resume
  std::string state;     // of list: empty: all
  std::string document;  // of kSayPosted
  bool body = false;     // of show: the bytes alone
  std::string by, why;   // of what a person decides; resolve, pause and resume want both
  std::string format;    // "", csv, json
};
int CmdDeliveries(const DeliveriesOptions& options);

// charges, journals, status, reconcile, verify: read a book.
struct ReadOptions {
  std::string books;
  std::string catalog;  // empty: the one kept with the newest seal (only charges asks for one)
  std::string format;   // "", csv, json, ledger (journals only); empty: a table for people
  int threads = 0;
};
int CmdCharges(const ReadOptions& options);
int CmdStatus(const ReadOptions& options);
int CmdReconcile(const ReadOptions& options);
struct VerifyOptions : ReadOptions {
  bool deep = false;                 // every charge that is not as it is worth; with inputs, the sources once more
  std::vector<std::string> inputs;   // with `deep`: all that was absorbed
  bool audit = false;                // only the audit log
  std::vector<std::string> anchors;  // of it, kept elsewhere
};
int CmdVerify(const VerifyOptions& options);
struct AuditOptions : ReadOptions {
  bool anchor = false;  // print the newest commit's, and nothing else
};
int CmdAudit(const AuditOptions& options);

struct JournalsOptions : ReadOptions {
  enum class Action : uint8_t { kList, kHeld, kApprove, kReject, kReverse };
  Action action = Action::kList;
  bool functional = false;  // of list: with what each amount is in the entity's functional currency
  std::string batch;        // of approve, reject and reverse
  std::string by, why;
  std::string catalog, through;  // of reverse: what books anew
  bool adjust = false;           // of reverse: in soft-closed periods too
};
int CmdJournals(const JournalsOptions& options);

struct PeriodsOptions {
  std::string books;
  std::string catalog;                 // empty: the one kept with the newest seal
  std::optional<PeriodAction> action;  // none: list
  std::string entity;
  std::string period;
  std::string by, why;
  std::vector<std::string> waive;  // kinds
  std::string format;              // "", csv (list only), json
  int threads = 0;
};
int CmdPeriods(const PeriodsOptions& options);

struct ExceptionsOptions {
  std::string books;
  std::string reason;    // a Reason's word; empty: all
  std::string unwaived;  // an entity: only rejected lines and conflicts that none of its closes has waived; empty: all
  std::string format;    // "", csv, json
  uint64_t limit = 100;  // rows shown to people; csv and json give all
  bool retry = false;    // `exceptions retry`: read the held events again
  bool seal = false;     // of a retry: book what is due then, too
  std::string through;   // of that seal: a day; empty: all usage
  bool purge = false;    // `exceptions purge`: what retention no longer keeps
  std::string by, why;   // of a retry or a purge
  std::string catalog;   // for retry
  int threads = 0;
};
int CmdExceptions(const ExceptionsOptions& options);

struct UsageLogOptions {
  std::string books;
  std::string format;   // "", csv (list only), json
  std::string catalog;  // for the purge; empty: the one kept with the newest seal
  bool purge = false;   // what retention no longer keeps
  std::string by, why;  // of it
};
int CmdUsageLog(const UsageLogOptions& options);

struct DedupKeysOptions {
  std::string books;
  std::string format;   // "", csv (list only), json
  std::string catalog;  // for the purge; empty: the one kept with the newest seal
  bool purge = false;   // what retention no longer keeps
  std::string by, why;  // of it
  std::string waive;    // "held" or empty
  int threads = 0;
};
int CmdDedupKeys(const DedupKeysOptions& options);

struct ExplainOptions {
  std::string books;
  std::string line;           // "<batch>/<line>"
  std::string subscription;   // only its charges; empty: any
  std::string charge;         // only those of this name; empty: any
  uint64_t limit = 5;         // charges shown
  bool events = false;        // down to single events
  uint64_t event_limit = 20;  // of each charge
  bool json = false;
};
int CmdExplain(const ExplainOptions& options);

struct SimulateCommandOptions {
  std::string books;
  std::string catalog;  // the new one
  std::string against;  // empty: the one kept with the newest seal
  std::string through;  // empty: as the newest seal
  std::string by = "plan";
  std::string format;  // "", text, csv, json
  uint64_t top = 20;   // movers, and rows shown to people; of each currency
  int threads = 0;
};
int CmdSimulate(const SimulateCommandOptions& options);

struct QuoteOptions {
  std::string catalog;
  std::string plan;  // this or the next
  std::string subscription;
  std::string charge;                   // empty: all of the plan
  std::vector<std::string> quantities;  // N, CHARGE=N, METER=N; these or the next
  std::vector<std::string> usage;       // files, or "-"
  std::vector<std::string> dimensions;  // NAME=VALUE, of the quantities
  std::string subject;                  // of the usage, where a plan is quoted
  std::string at;                       // RFC 3339 or YYYY-MM-DD; empty: the period's beginning, or now
  std::string period;                   // FROM..TO, half-open; empty: whatever the usage is of
  std::string through;
  std::string previous_quantity;
  std::string previous_billed;
  std::string tax_percent;  // of an estimate; empty: none is made
  std::string vectors;      // a file or a directory: run these instead
  bool json = false;
};
int CmdQuote(const QuoteOptions& options);
int CmdQuoteVectors(const QuoteOptions& options);  // of `vectors`; exit code 1 when a case fails

struct GenerateCommandOptions {
  GenerateOptions generate;
  std::string output;       // file, or "-"
  std::string catalog_dir;  // where the matching catalog goes; empty: none
  bool json = false;
  bool quiet = false;
};
int CmdGenerate(const GenerateCommandOptions& options);

struct ConvertOptions {
  std::vector<std::string> inputs;
  std::string catalog;  // for its sources.yaml
  std::string output;   // file, or "-"
  bool quiet = false;
};
int CmdConvert(const ConvertOptions& options);

struct BackupOptions {
  std::string books;
  std::string to;  // directory of the backups
  bool json = false;
};
int CmdBackup(const BackupOptions& options);

struct RestoreCommandOptions {
  std::string from;     // directory of the backups
  uint64_t backup = 0;  // its number; 0: the newest
  std::string books;    // where the book is to be
  bool json = false;
};
int CmdRestore(const RestoreCommandOptions& options);

struct CatalogCheckOptions {
  std::string directory;
  bool json = false;
};
int CmdCatalogCheck(const CatalogCheckOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_COMMANDS_H_
