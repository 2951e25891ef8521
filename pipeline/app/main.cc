// tollbook: the command line. Parses, hands the options to the command, gives back its exit code.
//
// The only file that knows CLI11, which is slow to compile and throws.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <functional>
#include <map>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "pipeline/app/commands.h"
#include "pipeline/app/process.h"
#include "pipeline/app/session.h"
#include "pipeline/app/text.h"
#include "rating/calendar.h"

namespace tollbook {
namespace {

constexpr const char* kCommands = "Commands";  // their heading in the help

const std::map<std::string, uint64_t> kThousands = {
    {"k", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}, {"T", 1'000'000'000'000}};
const std::map<std::string, uint64_t> kBinaryThousands = {
    {"K", uint64_t{1} << 10}, {"M", uint64_t{1} << 20}, {"G", uint64_t{1} << 30}, {"T", uint64_t{1} << 40}};

class CommandLine {
 public:
  CommandLine() {
    app_.set_version_flag("--version", "tollbook " TOLLBOOK_VERSION);
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(30);
    app_.get_formatter()->label("REQUIRED", "(required)");
    app_.get_formatter()->label("SUBCOMMAND", "COMMAND");
    app_.get_formatter()->label("Excludes", "not with");
    app_.footer(
        "`tollbook COMMAND --help` tells more.\n"
        "Exit codes: 0 done, 1 failed, 2 command line or catalog wrong, 3 exceptions met with --strict.\n"
        "Example:\n"
        "  tollbook run --books book --catalog catalog usage.ndjson");
    AddRun();
    AddAbsorb();
    AddSeal();
    AddPost();
    AddDeliveries();
    AddReaders();
    AddQuote();
    AddSimulate();
    AddBackup();
    AddGenerate();
    AddConvert();
    AddCatalog();
  }

  int Run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::Success& asked) {  // --help, --version
      return app_.exit(asked);
    } catch (const CLI::ParseError& error) {
      return Fail(InOurWords(error));
    }
    return command_();
  }

  // "tollbook catalog check", as far as the command line was understood.
  std::string Command() const {
    std::string command = "tollbook";
    for (const CLI::App* at = &app_; !at->get_subcommands().empty();) {
      at = at->get_subcommands().front();
      command += " " + at->get_name();
    }
    return command;
  }

 private:
  template <typename Options>
  CLI::App* Add(const std::string& name, const std::string& what, const std::string& example, Options* options,
                int (*command)(const Options&)) {
    CLI::App* sub = app_.add_subcommand(name, what)->group(kCommands);
    sub->footer("Example:\n  " + example);
    sub->final_callback([this, options, command] { command_ = [options, command] { return command(*options); }; });
    return sub;
  }

  // An unset variable of a script, more often than not.
  static std::string NotEmpty(const std::string& directory) { return directory.empty() ? "'' is not a directory" : ""; }
  static void AddBooks(CLI::App* sub, std::string* books) {
    sub->add_option("--books", *books, "Directory of the book")->type_name("DIR")->required()->check(NotEmpty);
  }
  static CLI::Option* AddCatalogDir(CLI::App* sub, std::string* catalog, const std::string& what) {
    return sub->add_option("--catalog", *catalog, what)->type_name("DIR")->check(NotEmpty);
  }
  static CLI::Option* AddInputs(CLI::App* sub, std::vector<std::string>* inputs, const std::string& what) {
    return sub->add_option("INPUT", *inputs, what)->type_name("");
  }
  static CLI::Option* AddJson(CLI::App* sub, bool* json) { return sub->add_flag("--json", *json, "Print JSON"); }
  static void AddQuiet(CLI::App* sub, bool* quiet) { sub->add_flag("-q,--quiet", *quiet, "No progress"); }

  static CLI::Option* AddThrough(CLI::App* sub, std::string* through) {
    return sub->add_option("--through", *through, "Seal usage dated up to this day, inclusive (default: all)")
        ->type_name("YYYY-MM-DD")
        ->check([](const std::string& text) { return ParseDay(text) ? "" : "'" + text + "' is not a date"; });
  }
  static void AddThreads(CLI::App* sub, int* threads) {
    sub->add_option("--threads", *threads, "Threads (default: one per core)")
        ->type_name("N")
        ->check(CLI::Range(1, 1024).description(""));
  }
  static void AddDecoder(CLI::App* sub, DecoderChoice* decoder) {
    const auto choose = [decoder](const std::string& name) {
      *decoder = name == "simdjson" ? DecoderChoice::kSimdjson : DecoderChoice::kAuto;
    };
    sub->add_option_function<std::string>("--decoder", choose,
                                          "Who decodes JSON; no result depends on it (default: auto)")
        ->type_name("auto|simdjson")
        ->check([](const std::string& name) {
          return name == "auto" || name == "simdjson" ? "" : "'" + name + "' is not one of auto|simdjson";
        });
  }
  static void AddMemory(CLI::App* sub, uint64_t* bytes) {
    sub->add_option("--memory", *bytes, "Memory to stay within, as 8G (default: a quarter of the machine's)")
        ->type_name("BYTES")
        ->transform(CLI::AsNumberWithUnit(kBinaryThousands, CLI::AsNumberWithUnit::CASE_INSENSITIVE))
        ->check([](const std::string& bytes) {
          return bytes.find_first_not_of("0123456789") == std::string::npos && bytes != "0"
                     ? ""
                     : "'" + bytes + "' is not a positive number of bytes";
        });
  }
  static void AddStrict(CLI::App* sub, bool* strict) {
    AddStrictText(sub, strict, "Exit code 3 when a line or an input was not accepted, or a worth cannot be held");
  }
  static void AddStrictText(CLI::App* sub, bool* strict, const std::string& what) {
    sub->add_flag("--strict", *strict, what);
  }

  static std::string Joined(const std::vector<std::string>& words) {
    std::string joined;
    for (const std::string& word : words) joined += (joined.empty() ? "" : "|") + word;
    return joined;
  }
  static std::function<std::string(std::string)> OneOf(const std::vector<std::string>& words) {
    return [words](const std::string& text) {
      const bool known = std::find(words.begin(), words.end(), text) != words.end();
      return known ? "" : "'" + text + "' is not one of " + Joined(words);
    };
  }

  // --format, and --json as its short form; without either, a table for people.
  static void AddFormat(CLI::App* sub, std::string* format, const std::vector<std::string>& names) {
    CLI::Option* option = sub->add_option("--format", *format, "For programs (default: a table for people)")
                              ->type_name(Joined(names))
                              ->check(OneOf(names));
    sub->add_flag_callback(
           "--json", [format] { *format = "json"; }, "The same as --format json")
        ->excludes(option);
  }

  static void AddAbsorbFlags(CLI::App* sub, AbsorbFlags* flags) {
    AddInputs(sub, &flags->inputs, "Files, directories, globs, or - for standard input")->required();
    AddStrict(sub, &flags->strict);
    AddJson(sub, &flags->json);
    AddQuiet(sub, &flags->quiet);
    sub->add_flag("--acknowledge", flags->acknowledge, "Print a line of JSON after each commit: what is durable");
    AddThreads(sub, &flags->threads);
    AddDecoder(sub, &flags->decoder);
    AddMemory(sub, &flags->memory_bytes);
    // For tests: no result depends on where the work is cut.
    sub->add_option("--block-bytes", flags->block_bytes)->group("");
    sub->add_option("--epoch-bytes", flags->epoch_bytes)->group("");
  }

  void AddRun() {
    CLI::App* sub = Add("run", "Absorb usage files and seal: the main job",
                        "tollbook run --books book --catalog catalog usage/ more.csv.gz", &run_, CmdRun);
    AddBooks(sub, &run_.books);
    AddCatalogDir(sub, &run_.catalog, "Directory of the catalog")->required();
    AddThrough(sub, &run_.through);
    sub->add_flag("--post", run_.post, "Then deliver what is due, as `tollbook post` does");
    AddAbsorbFlags(sub, &run_.absorb);
  }

  void AddAbsorb() {
    CLI::App* sub = Add("absorb", "Take usage into the book, without booking it",
                        "zcat usage.gz | tollbook absorb --books book --catalog catalog -", &absorb_, CmdAbsorb);
    AddBooks(sub, &absorb_.books);
    AddCatalogDir(sub, &absorb_.catalog, "Directory of the catalog")->required();
    AddAbsorbFlags(sub, &absorb_.absorb);
  }

  void AddSeal() {
    CLI::App* sub = Add("seal", "Rate what was absorbed and book the difference",
                        "tollbook seal --books book --catalog catalog --through 2025-01-31", &seal_, CmdSeal);
    AddBooks(sub, &seal_.books);
    AddCatalogDir(sub, &seal_.catalog, "Directory of the catalog")->required();
    AddThrough(sub, &seal_.through);
    sub->add_flag("--adjust", seal_.adjust, "Book into soft-closed accounting periods too; by whom and why");
    AddByAndWhy(sub, &seal_.by, &seal_.why);
    AddJson(sub, &seal_.json);
    AddThreads(sub, &seal_.threads);
  }

  // Both are kept for ever, and stand in messages and lists of one line each.
  static std::string OneLine(const std::string& text) {
    return Printable(text) == text ? "" : "'" + Printable(text) + "' is not one line of plain text";
  }
  static void AddByAndWhy(CLI::App* sub, std::string* by, std::string* why) {
    sub->add_option("--by", *by, "Who decides it")->type_name("NAME")->check(OneLine);
    sub->add_option("--why", *why, "For what reason")->type_name("TEXT")->check(OneLine);
  }

  void AddPeriods() {
    CLI::App* sub = Add("periods", "The accounting periods: list, open, soft-close, close, reopen",
                        "tollbook periods --books book\n"
                        "  tollbook periods close --books book --entity acme-us --period 2025-01 --by Ann --why "
                        "\"January is done\"",
                        &periods_, CmdPeriods);
    AddBooks(sub, &periods_.books);
    AddCatalogDir(sub, &periods_.catalog, "Directory of the catalog (default: the last seal's)");
    sub->add_option("--entity", periods_.entity, "The legal entity")->type_name("NAME");
    AddFormat(sub, &periods_.format, {"csv", "json", "parquet"});
    AddThreads(sub, &periods_.threads);
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List them (the default)")->fallthrough()->group(kCommands);
    const auto add = [&](const char* name, const char* what, PeriodAction action) {
      CLI::App* change = sub->add_subcommand(name, what)->fallthrough()->group(kCommands);
      change->add_option("--period", periods_.period, "Its name, such as 2025-01 or FY2025-P01")
          ->type_name("NAME")
          ->required();
      AddByAndWhy(change, &periods_.by, &periods_.why);
      change->callback([this, action] { periods_.action = action; });
      return change;
    };
    add("open", "A future period takes usage from now on", PeriodAction::kOpen);
    add("soft-close", "It takes only what `seal --adjust` books", PeriodAction::kSoftClose);
    add("close", "It takes nothing any more; refused while something stands in the way", PeriodAction::kClose)
        ->add_option("--waive", periods_.waive, "Let pass what stands in the way; may be given several times")
        ->type_name("held|rejected|conflict|unmapped|unattributed|unpriced|not_rated|unapproved")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    add("reopen", "It takes usage again", PeriodAction::kReopen);
  }

  void AddPost() {
    CLI::App* sub = Add("post", "Deliver the journal to the targets of the catalog",
                        "tollbook post --books book --catalog catalog\n"
                        "  tollbook post --books book --catalog catalog --dry-run",
                        &post_, CmdPost);
    AddBooks(sub, &post_.books);
    AddCatalogDir(sub, &post_.catalog, "Directory of the catalog, with its targets.yaml")->required();
    sub->add_option("--target", post_.target, "Only this target")->type_name("NAME");
    CLI::Option* dry = sub->add_flag("--dry-run", post_.dry_run, "Print what would be sent, and send nothing");
    CLI::Option* watch = sub->add_flag("--watch", post_.watch, "Go on until stopped")->excludes(dry);
    sub->add_option("--wait", post_.wait_seconds, "Go on for so many seconds while something waits")
        ->type_name("SECONDS")
        ->check(CLI::NonNegativeNumber)
        ->excludes(dry)
        ->excludes(watch);
    CLI::Option* reconcile =
        sub->add_flag("--reconcile", post_.reconcile, "Then ask whether they still have what they confirmed")
            ->excludes(dry);
    sub->add_flag("--again", post_.again, "With --reconcile: ask about what is reconciled, too")->needs(reconcile);
    AddStrictText(sub, &post_.strict, "Exit code 3 when something is not delivered");
    AddJson(sub, &post_.json);
  }

  void AddDeliveries() {
    using Action = DeliveriesOptions::Action;
    CLI::App* sub = Add("deliveries", "What was delivered to whom, what waits, and what needs a person",
                        "tollbook deliveries --books book --state parked\n"
                        "  tollbook deliveries show --books book erp BATCH",
                        &deliveries_, CmdDeliveries);
    AddBooks(sub, &deliveries_.books);
    AddCatalogDir(sub, &deliveries_.catalog, "Whose targets.yaml holds (default: the newest seal's)");
    sub->add_option("--state", deliveries_.state, "Only this state")->type_name("WORD");
    sub->add_option("--target", deliveries_.target, "Only this target")->type_name("NAME");
    AddFormat(sub, &deliveries_.format, {"csv", "json"});
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List them (the default)")->fallthrough()->group(kCommands);
    const auto add = [&](const std::string& name, const std::string& what, Action action) {
      CLI::App* one = sub->add_subcommand(name, what)->fallthrough()->group(kCommands);
      one->add_option("TARGET", deliveries_.target, "Its name")->type_name("")->required();
      one->add_option("BATCH", deliveries_.batch, "Batch id, or the name of a report or event")
          ->type_name("")
          ->required();
      one->callback([this, action] { deliveries_.action = action; });
      return one;
    };
    add("show", "All that is known of one", Action::kShow)
        ->add_flag("--body", deliveries_.body, "The bytes that are sent, and nothing else");
    AddByAndWhy(add("retry", "Try one again that is parked or waits", Action::kRetry), &deliveries_.by,
                &deliveries_.why);
    AddByAndWhy(add("park", "Keep one from being sent", Action::kPark), &deliveries_.by, &deliveries_.why);
    CLI::App* resolve = add("resolve", "Say what became of one", Action::kSayPosted);
    AddByAndWhy(resolve, &deliveries_.by, &deliveries_.why);
    CLI::Option_group* say = resolve->add_option_group("what is so", "One of");
    say->require_option(1);
    say->add_option("--posted", deliveries_.document, "It is there, as this document; all items of a report are")
        ->type_name("DOCUMENT");
    say->add_flag("--not-posted", not_posted_,
                  "It is not there: send it; of a report send the items that `show` has not as told");
    say->add_flag("--superseded", superseded_, "It, or what is left of a report, must not be sent");
    const auto add_of_target = [&](const std::string& name, const std::string& what, Action action) {
      CLI::App* one = sub->add_subcommand(name, what)->fallthrough()->group(kCommands);
      one->add_option("TARGET", deliveries_.target, "Its name")->type_name("")->required();
      AddByAndWhy(one, &deliveries_.by, &deliveries_.why);
      one->callback([this, action] { deliveries_.action = action; });
    };
    add_of_target("pause", "Send a target nothing until it is resumed", Action::kPause);
    add_of_target("resume", "Go on with a target that was paused", Action::kResume);
    resolve->callback([this] {
      deliveries_.action = not_posted_   ? Action::kSayNotPosted
                           : superseded_ ? Action::kSaySuperseded
                                         : Action::kSayPosted;
    });
  }

  void AddRead(const std::string& name, const std::string& what, const std::string& example, ReadOptions* options,
               int (*command)(const ReadOptions&), const std::vector<std::string>& formats) {
    CLI::App* sub = Add(name, what, example, options, command);
    AddBooks(sub, &options->books);
    if (formats.empty()) {
      sub->add_flag_callback(
          "--json", [options] { options->format = "json"; }, "Print JSON");
    } else {
      AddFormat(sub, &options->format, formats);
    }
    AddThreads(sub, &options->threads);
  }

  void AddJournals() {
    CLI::App* sub = Add("journals", "The journal batches; those held for approval, and the decisions; reversals",
                        "tollbook journals --books book --format ledger | ledger -f - bal\n"
                        "  tollbook journals approve --books book BATCH --by Ann --why \"ties to the usage report\"",
                        &journals_, CmdJournals);
    AddBooks(sub, &journals_.books);
    AddFormat(sub, &journals_.format, {"csv", "json", "ledger", "parquet"});
    sub->add_flag("--functional", journals_.functional, "With each amount in its entity's functional currency");
    AddThreads(sub, &journals_.threads);
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List them (the default)")->fallthrough()->group(kCommands);
    sub->add_subcommand("held", "Those that a seal held for approval, and where that stands")
        ->fallthrough()
        ->group(kCommands)
        ->callback([this] { journals_.action = JournalsOptions::Action::kHeld; });
    const auto add = [&](const char* name, const char* what, JournalsOptions::Action action) -> CLI::App* {
      CLI::App* decide = sub->add_subcommand(name, what)->fallthrough()->group(kCommands);
      decide->add_option("batch", journals_.batch, "The batch")->type_name("BATCH")->required();
      AddByAndWhy(decide, &journals_.by, &journals_.why);
      decide->callback([this, action] { journals_.action = action; });
      return decide;
    };
    add("approve", "`post` delivers it from now on", JournalsOptions::Action::kApprove);
    add("reject", "It stays held, and says why", JournalsOptions::Action::kReject);
    CLI::App* reverse = add("reverse", "Seal, taking it back line by line, and book anew what is due",
                            JournalsOptions::Action::kReverse);
    AddCatalogDir(reverse, &journals_.catalog, "Directory of the catalog")->required();
    AddThrough(reverse, &journals_.through);
    reverse->add_flag("--adjust", journals_.adjust, "Book into soft-closed accounting periods too");
  }

  void AddReaders() {
    AddRead("charges", "What each subscription owes, by charge and billing period",
            "tollbook charges --books book --format csv", &charges_, CmdCharges, {"csv", "json", "parquet"});
    AddCatalogDir(app_.get_subcommand("charges"), &charges_.catalog,
                  "Directory of the catalog (default: the last seal's)");
    AddJournals();
    AddExceptions();
    AddUsageLog();
    AddDedupKeys();
    AddRead("status", "What the book holds", "tollbook status --books book", &status_, CmdStatus, {});
    AddRead("reconcile", "Compare counts and amounts, from the lines read to the journal",
            "tollbook reconcile --books book", &reconcile_, CmdReconcile, {"csv", "json"});
    CLI::App* verify = Add("verify", "Check the laws against the stored book",
                           "tollbook verify --books book\n"
                           "  tollbook verify --books book --deep usage/\n"
                           "  tollbook verify --books book --audit --anchor 12:9b1c…",
                           &verify_, CmdVerify);
    AddBooks(verify, &verify_.books);
    verify->add_flag_callback(
        "--json", [this] { verify_.format = "json"; }, "Print JSON");
    AddThreads(verify, &verify_.threads);
    CLI::Option* const audit_only =
        verify->add_flag("--audit", verify_.audit, "Only the audit log: every commit with what it stored, by SHA-256");
    CLI::Option* const deep =
        verify->add_flag("--deep", verify_.deep, "Name every charge that is booked otherwise than it is worth");
    deep->excludes(audit_only);
    AddCatalogDir(verify, &verify_.catalog, "With --deep: directory of the catalog (default: the last seal's)")
        ->needs(deep);
    AddInputs(verify, &verify_.inputs, "With --deep: all that was absorbed, to absorb it again and compare the totals")
        ->needs(deep);
    verify
        ->add_option("--anchor", verify_.anchors, "An anchor of it that was kept elsewhere; may be given several times")
        ->type_name("COMMIT:HASH")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    CLI::App* audit = Add("audit", "What was decided and booked, commit by commit",
                          "tollbook audit --books book --format csv", &audit_, CmdAudit);
    AddBooks(audit, &audit_.books);
    AddFormat(audit, &audit_.format, {"csv", "json"});
    AddThreads(audit, &audit_.threads);
    audit->add_flag("--anchor", audit_.anchor, "Print the anchor of the newest commit, to keep it elsewhere");
    AddPeriods();
    AddExplain();
  }

  void AddExceptions() {
    CLI::App* sub = Add("exceptions", "The lines that are not in the book, and why",
                        "tollbook exceptions --books book --reason unknown_meter\n"
                        "  tollbook exceptions retry --books book --catalog catalog",
                        &exceptions_, CmdExceptions);
    AddBooks(sub, &exceptions_.books);
    sub->add_option("--reason", exceptions_.reason, "Only this reason")->type_name("WORD");
    sub->add_option("--unwaived", exceptions_.unwaived,
                    "Only rejected lines and conflicts that no close of a period of this entity has waived")
        ->type_name("ENTITY");
    sub->add_option("--limit", exceptions_.limit, "Lines shown to people (default: 100)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    AddCatalogDir(sub, &exceptions_.catalog, "Directory of the catalog (default: the last seal's)");
    AddFormat(sub, &exceptions_.format, {"csv", "json", "parquet"});
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List them (the default)")->fallthrough()->group(kCommands);
    CLI::App* retry =
        sub->add_subcommand("retry", "Offer what is held to the catalog again")->fallthrough()->group(kCommands);
    AddCatalogDir(retry, &exceptions_.catalog, "Directory of the catalog")->required();
    AddThreads(retry, &exceptions_.threads);
    AddByAndWhy(retry, &exceptions_.by, &exceptions_.why);
    CLI::Option* const seal =
        retry->add_flag("--seal", exceptions_.seal, "Seal then: book what was held, and what else is due");
    AddThrough(retry, &exceptions_.through)->needs(seal);
    retry->callback([this] { exceptions_.retry = true; });
    CLI::App* purge =
        sub->add_subcommand("purge", "Take the payloads out that `retention` of book.yaml keeps no longer")
            ->fallthrough()
            ->group(kCommands);
    AddByAndWhy(purge, &exceptions_.by, &exceptions_.why);
    purge->callback([this] { exceptions_.purge = true; });
  }

  void AddUsageLog() {
    CLI::App* sub = Add("usage-log", "What the book keeps of its sources' bytes",
                        "tollbook usage-log --books book\n"
                        "  tollbook usage-log purge --books book --by Ann --why \"a year is over\"",
                        &usage_log_, CmdUsageLog);
    AddBooks(sub, &usage_log_.books);
    AddCatalogDir(sub, &usage_log_.catalog, "Directory of the catalog (default: the last seal's)");
    AddFormat(sub, &usage_log_.format, {"csv", "json"});
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List the sources (the default)")->fallthrough()->group(kCommands);
    CLI::App* purge = sub->add_subcommand("purge", "Take the bytes out that `retention` of book.yaml keeps no longer")
                          ->fallthrough()
                          ->group(kCommands);
    AddByAndWhy(purge, &usage_log_.by, &usage_log_.why);
    purge->callback([this] { usage_log_.purge = true; });
  }

  void AddDedupKeys() {
    CLI::App* sub = Add("dedup-keys", "The ids that the book remembers, so that nothing is counted twice",
                        "tollbook dedup-keys --books book\n"
                        "  tollbook dedup-keys purge --books book --by Ann --why \"three years are over\"",
                        &dedup_keys_, CmdDedupKeys);
    AddBooks(sub, &dedup_keys_.books);
    AddCatalogDir(sub, &dedup_keys_.catalog, "Directory of the catalog (default: the last seal's)");
    AddFormat(sub, &dedup_keys_.format, {"csv", "json"});
    sub->require_subcommand(0, 1);
    sub->add_subcommand("list", "List how many there are (the default)")->fallthrough()->group(kCommands);
    CLI::App* purge =
        sub->add_subcommand("purge",
                            "Forget those of usage that `retention` of book.yaml keeps no longer. Usage of before is "
                            "refused from then on, for ever; an id of it that comes again under a later date is "
                            "counted as new usage")
            ->fallthrough()
            ->group(kCommands);
    AddByAndWhy(purge, &dedup_keys_.by, &dedup_keys_.why);
    purge->add_option("--waive", dedup_keys_.waive, "held: lines held of that time are rejected")->type_name("WORD");
    AddThreads(purge, &dedup_keys_.threads);
    purge->callback([this] { dedup_keys_.purge = true; });
  }

  void AddExplain() {
    CLI::App* sub = Add("explain", "From a journal line down to the usage behind it, with the arithmetic",
                        "tollbook explain --books book BATCH/LINE\n"
                        "  tollbook explain --books book BATCH/LINE --events",
                        &explain_, CmdExplain);
    AddBooks(sub, &explain_.books);
    sub->add_option("LINE", explain_.line, "Batch id and line number")->type_name("")->required();
    sub->add_option("--subscription", explain_.subscription, "Only charges of this subscription")->type_name("ID");
    sub->add_option("--charge", explain_.charge, "Only charges of this name")->type_name("NAME");
    sub->add_option("--limit", explain_.limit, "Charges shown (default: 5)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    sub->add_flag("--events", explain_.events, "Read the sources again, down to single events and their shares");
    sub->add_option("--event-limit", explain_.event_limit, "Events shown of each charge (default: 20)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    AddJson(sub, &explain_.json);
  }

  void AddQuote() {
    CLI::App* sub =
        Add("quote", "What usage would cost, step by step, without a book",
            "tollbook quote --catalog catalog --plan starter --charge calls --quantity 1600", &quote_, CmdQuote);
    const auto text = [sub](const char* name, std::string* into, const char* what, const char* type) {
      return sub->add_option(name, *into, what)->type_name(type);
    };
    const auto texts = [sub](const char* name, std::vector<std::string>* into, const char* what, const char* type) {
      // One value each time, so that nothing behind it is taken for one too.
      return sub->add_option(name, *into, what)
          ->type_name(type)
          ->expected(1)
          ->allow_extra_args(false)
          ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    };
    AddCatalogDir(sub, &quote_.catalog, "Directory of the catalog");
    text("--plan", &quote_.plan, "The plan to quote, or:", "NAME");
    text("--subscription", &quote_.subscription, "the subscription, with its plan, days and zone", "ID");
    text("--charge", &quote_.charge, "Only this charge (default: all that have usage)", "NAME");
    texts("--quantity", &quote_.quantities, "So many units of the charge; CHARGE=N or METER=N for several", "N");
    texts("--usage", &quote_.usage, "Usage events, as `run` takes them, or - for standard input", "FILE");
    texts("--dimension", &quote_.dimensions, "What the quantities were used with, as region=eu", "NAME=VALUE");
    text("--subject", &quote_.subject, "Whose usage of the file a plan is quoted for", "TEXT");
    text("--at", &quote_.at, "When the quantities were used (default: when the period begins, or now)", "TIME");
    text("--period", &quote_.period, "Usage dated from FROM to before TO", "FROM..TO");
    text("--previous-quantity", &quote_.previous_quantity, "Used before in the billing period", "N");
    text("--previous-billed", &quote_.previous_billed, "Billed before for it", "AMOUNT");
    text("--tax-percent", &quote_.tax_percent, "Estimate so much tax; none is ever booked", "PERCENT");
    AddThrough(sub, &quote_.through);
    sub->get_option("--through")->description("Rate up to this day, inclusive (default: all)");
    text("--vectors", &quote_.vectors, "Run the conformance vectors of a file or directory instead", "PATH");
    AddJson(sub, &quote_.json);
  }

  void AddSimulate() {
    CLI::App* sub = Add("simulate", "What the book's usage would be worth by another catalog, without booking",
                        "tollbook simulate --books book --catalog new-catalog", &simulate_, CmdSimulate);
    AddBooks(sub, &simulate_.books);
    AddCatalogDir(sub, &simulate_.catalog, "Directory of the new catalog")->required();
    sub->add_option("--against", simulate_.against,
                    "Directory of the catalog to compare with (default: the last seal's)")
        ->type_name("DIR")
        ->check(NotEmpty);
    AddThrough(sub, &simulate_.through);
    sub->get_option("--through")->description("Usage dated up to this day, inclusive (default: as the last seal)");
    const std::vector<std::string> tables = {"plan", "customer", "account", "subscription", "charge"};
    sub->add_option("--by", simulate_.by, "What the amounts are added up by (default: plan)")
        ->type_name(Joined(tables))
        ->check(OneOf(tables));
    sub->add_option("--top", simulate_.top, "Largest movers, and rows shown to people (default: 20)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    AddFormat(sub, &simulate_.format, {"text", "csv", "json"});
    AddThreads(sub, &simulate_.threads);
  }

  void AddBackup() {
    CLI::App* backup = Add("backup", "Copy the book to a directory of backups: what no earlier one has",
                           "tollbook backup --books book --to backups", &backup_, CmdBackup);
    AddBooks(backup, &backup_.books);
    backup->add_option("--to", backup_.to, "Directory of the backups of this book")
        ->type_name("DIR")
        ->required()
        ->check(NotEmpty);
    AddJson(backup, &backup_.json);
    CLI::App* restore = Add("restore", "Make a book of a backup, checked to the last byte",
                            "tollbook restore --from backups --books restored", &restore_, CmdRestore);
    restore->add_option("--from", restore_.from, "Directory of the backups")
        ->type_name("DIR")
        ->required()
        ->check(NotEmpty);
    restore->add_option("--backup", restore_.backup, "Number of the backup (default: the newest)")
        ->type_name("N")
        ->check(CLI::PositiveNumber.description(""));
    restore->add_option("--books", restore_.books, "Directory of the new book; empty or not there")
        ->type_name("DIR")
        ->required()
        ->check(NotEmpty);
    AddJson(restore, &restore_.json);
  }

  void AddGenerate() {
    generate_.output = "-";
    CLI::App* sub =
        Add("generate", "Make deterministic usage telemetry and its catalog",
            "tollbook generate --events 10M --out usage.ndjson --catalog-out catalog", &generate_, CmdGenerate);
    GenerateOptions& telemetry = generate_.generate;
    sub->add_option("--out", generate_.output, "File to write (default: -, standard output)")->type_name("FILE");
    sub->add_option("--catalog-out", generate_.catalog_dir, "Directory for the catalog")->type_name("DIR");
    sub->add_option("--events", telemetry.events, "Lines; k, M, G are thousands, millions … (default: 1M)")
        ->type_name("N")
        ->transform(CLI::AsNumberWithUnit(kThousands, CLI::AsNumberWithUnit::CASE_SENSITIVE).description(""));
    sub->add_option("--seed", telemetry.seed, "Another seed, other data (default: 1)")->type_name("N");
    sub->add_option("--subscriptions", telemetry.subscriptions, "Subscriptions (default: 1000)")->type_name("N");
    sub->add_option_function<std::string>(
           "--first-day",
           [&telemetry](const std::string& text) {
             const std::optional<Day> day = ParseDay(text);
             if (!day.has_value()) throw CLI::ValidationError("--first-day", "'" + text + "' is not a date");
             telemetry.first_day = *day;
           },
           "First day of usage (default: 2025-01-01)")
        ->type_name("YYYY-MM-DD");
    sub->add_option("--days", telemetry.days, "Days of usage (default: 31)")->type_name("N");
    AddShare(sub, "--redelivered", &telemetry.redelivered_per_million, "sent again (default: 20000)");
    sub->add_option("--redelivered-within", telemetry.redelivered_lines_max,
                    "Lines between an event and its redelivery, at most (default: 1M)")
        ->type_name("N")
        ->transform(CLI::AsNumberWithUnit(kThousands, CLI::AsNumberWithUnit::CASE_SENSITIVE).description(""));
    AddShare(sub, "--conflicts", &telemetry.conflict_per_million, "with a used id and other content (default: 100)");
    AddShare(sub, "--malformed", &telemetry.malformed_per_million, "that can never be usage (default: 1000)");
    AddShare(sub, "--late", &telemetry.late_per_million, "dated in the month before (default: 5000)");
    AddShare(sub, "--unknown-subscriptions", &telemetry.unknown_subscription_per_million,
             "of unknown subscriptions (default: 2000)");
    AddShare(sub, "--unknown-meters", &telemetry.unknown_meter_per_million, "of an unknown meter (default: 1000)");
    AddJson(sub, &generate_.json);
    AddQuiet(sub, &generate_.quiet);
  }

  static void AddShare(CLI::App* sub, const std::string& name, uint32_t* per_million, const std::string& what) {
    sub->add_option(name, *per_million, "Lines per million " + what)->type_name("N");
  }

  void AddConvert() {
    convert_.output = "-";
    CLI::App* sub = Add("convert", "Any readable input to canonical CloudEvents, one a line",
                        "tollbook convert --catalog catalog --out usage.ndjson calls.csv.zst", &convert_, CmdConvert);
    AddInputs(sub, &convert_.inputs, "Files, directories, globs, or - for standard input")->required();
    AddCatalogDir(sub, &convert_.catalog, "Directory whose sources.yaml says how CSV files map");
    sub->add_option("--out", convert_.output, "File to write (default: -, standard output)")->type_name("FILE");
    AddQuiet(sub, &convert_.quiet);
  }

  void AddCatalog() {
    CLI::App* catalog = app_.add_subcommand("catalog", "Work on a catalog")->group(kCommands);
    catalog->require_subcommand(1);
    catalog->footer("Example:\n  tollbook catalog check catalog");
    CLI::App* check =
        catalog->add_subcommand("check", "Check a catalog and print all that is wrong with it")->group(kCommands);
    check->footer("Example:\n  tollbook catalog check catalog");
    check->add_option("DIR", catalog_check_.directory, "Directory of the catalog")->type_name("")->required();
    AddJson(check, &catalog_check_.json);
    check->final_callback([this] { command_ = [this] { return CmdCatalogCheck(catalog_check_); }; });
  }

  // CLI11's sentence, cut to `what: which thing: what to do`.
  absl::Status InOurWords(const CLI::ParseError& error) const {
    const std::string what = error.get_name() == "RequiredError" ? "something is missing on the command line"
                             : error.get_name() == "ExtrasError" ? "not known on the command line"
                                                                 : "wrong on the command line";
    std::string which = error.what();
    if (error.get_name() == "ExtrasError") which.erase(0, std::min(which.find(": ") + 2, which.size()));
    return MakeError(absl::StatusCode::kInvalidArgument, what, which, "see `" + Command() + " --help`");
  }

  CLI::App app_{"tollbook: usage telemetry to a balanced journal, exactly once", "tollbook"};
  std::function<int()> command_;
  RunOptions run_;
  AbsorbCommandOptions absorb_;
  SealCommandOptions seal_;
  PostOptions post_;
  DeliveriesOptions deliveries_;
  bool not_posted_ = false, superseded_ = false;  // of `deliveries resolve`
  ReadOptions charges_, status_, reconcile_;
  VerifyOptions verify_;
  AuditOptions audit_;
  JournalsOptions journals_;
  PeriodsOptions periods_;
  ExceptionsOptions exceptions_;
  UsageLogOptions usage_log_;
  DedupKeysOptions dedup_keys_;
  ExplainOptions explain_;
  QuoteOptions quote_;
  SimulateCommandOptions simulate_;
  BackupOptions backup_;
  RestoreCommandOptions restore_;
  GenerateCommandOptions generate_;
  ConvertOptions convert_;
  CatalogCheckOptions catalog_check_;
};

// Our functions do not throw; what libraries throw, first of all for want of memory, is told like any other failure.
int Main(int argc, char** argv) {
  CommandLine line;
  try {
    return line.Run(argc, argv);
  } catch (const std::bad_alloc&) {
    return Fail(MakeError(absl::StatusCode::kResourceExhausted, "out of memory", line.Command(),
                          "give it more memory or fewer --threads; what was acknowledged is in the book"));
  } catch (const std::exception& error) {
    return Fail(MakeError(absl::StatusCode::kInternal, "failed", line.Command() + ": " + error.what(),
                          "what was acknowledged is in the book; run it again"));
  }
}

}  // namespace
}  // namespace tollbook

int main(int argc, char** argv) {
  tollbook::GiveBackLargeMemory();
  tollbook::RaiseOpenFilesLimit();
  return tollbook::Main(argc, argv);
}
