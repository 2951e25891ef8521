#include "tests/pipeline/scenario.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <sstream>

#include "ledger/purge.h"
#include "ledger/usage_log.h"
#include "pipeline/approval.h"
#include "pipeline/change_period.h"
#include "pipeline/charges.h"
#include "pipeline/forget_keys.h"
#include "pipeline/functional_amounts.h"
#include "pipeline/journal_text.h"
#include "pipeline/restore_hold.h"
#include "pipeline/seal.h"
#include "pipeline/targets.h"
#include "pipeline/verify.h"
#include "rating/retention.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

constexpr char kUsualProduct[] = "usage";

struct Statement {
  int line = 0;
  std::string text;                // without outcome
  std::vector<std::string> words;  // of `text`
  std::string outcome;             // behind "->"
};

std::vector<std::string> WordsOf(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<Statement> StatementsOf(std::string_view text) {
  std::vector<Statement> statements;
  std::istringstream in{std::string(text)};
  int number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    if (line.starts_with('#')) continue;
    Statement s;
    s.line = number;
    const size_t arrow = line.rfind(" -> ");
    s.text = line.substr(0, arrow);
    s.words = WordsOf(s.text);
    if (arrow != std::string::npos) s.outcome = Joined(WordsOf(line.substr(arrow + 4)));
    if (!s.words.empty()) statements.push_back(std::move(s));
  }
  return statements;
}

// The words behind the ones with a fixed place: `from 2025-01-01`, `negative`.
class Options {
 public:
  Options(const Statement& s, size_t first)
      : words_(s.words.begin() + std::min(first, s.words.size()), s.words.end()) {}

  // The value behind `name`; empty without it.
  std::string Take(const std::string& name) {
    const auto at = std::find(words_.begin(), words_.end(), name);
    if (at == words_.end() || at + 1 == words_.end()) return "";
    const std::string value = *(at + 1);
    words_.erase(at, at + 2);
    return value;
  }
  bool TakeFlag(const std::string& name) {
    const auto at = std::find(words_.begin(), words_.end(), name);
    if (at == words_.end()) return false;
    words_.erase(at);
    return true;
  }
  // The words behind `name` up to the end.
  std::vector<std::string> TakeRest(const std::string& name) {
    const auto at = std::find(words_.begin(), words_.end(), name);
    if (at == words_.end()) return {};
    const std::vector<std::string> rest(at + 1, words_.end());
    words_.erase(at, words_.end());
    return rest;
  }
  // All words of the form name=value.
  std::vector<std::pair<std::string, std::string>> TakePairs() {
    std::vector<std::pair<std::string, std::string>> pairs;
    std::erase_if(words_, [&](const std::string& word) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos) return false;
      pairs.emplace_back(word.substr(0, equals), word.substr(equals + 1));
      return true;
    });
    return pairs;
  }
  const std::vector<std::string>& left() const { return words_; }

 private:
  std::vector<std::string> words_;
};

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) parts.push_back(part);
  return parts;
}

// "10000@0.002", "50000@0.0015+5", "rest@0.001"
CatalogTexts::Tier TierOf(const std::string& word) {
  const size_t at = word.find('@');
  const size_t plus = word.find('+');
  CatalogTexts::Tier tier;
  tier.up_to = word.substr(0, at);
  if (tier.up_to == "rest") tier.up_to.clear();
  tier.price = at == std::string::npos ? "" : word.substr(at + 1, plus == std::string::npos ? plus : plus - at - 1);
  if (plus != std::string::npos) tier.flat = word.substr(plus + 1);
  return tier;
}

std::string OutcomeText(Reason reason) {
  const Outcome outcome = OutcomeOf(reason);
  if (outcome != Outcome::kRejected) return std::string(ToString(outcome));
  return "rejected(" + std::string(ToString(reason)) + ")";
}

std::string Text(const JournalBatch& batch, const JournalLine& line) {
  std::string text = batch.accounting_period + " " + batch.entity + " " + std::string(batch.currency.code()) + " " +
                     ToString(line.key.posting_date) + " debit " + std::string(line.debit_account()) + " credit " +
                     std::string(line.credit_account()) + " " + ToString(line.amount());
  if (line.key.product != kUsualProduct) text += " product " + line.key.product;
  if (line.key.usage_date) text += " used " + ToString(*line.key.usage_date);
  if (batch.part > 1) text += " part " + std::to_string(batch.part);
  if (!batch.reverses.empty()) text += " reverses " + batch.reverses;
  if (!line.key.dimensions.empty()) text += " in " + line.key.dimensions;
  return text;
}

class Runner {
 public:
  Runner(const std::vector<Statement>& statements, const ScenarioRun& run)
      : statements_(statements), run_(run), book_(ZoneIn(statements), run.seed) {}

  ScenarioResult Run() {
    for (const Statement& s : statements_) {
      at_ = &s;
      Step(s);
    }
    at_ = nullptr;
    FinishUsage();
    FinishJournal();
    for (const std::string& wrong : WhatIsWrong(*book_)) Problem(wrong);
    result_.journal = JournalBytes(*book_);
    if (run_.exports) Export();
    return std::move(result_);
  }

 private:
  using Handler = void (Runner::*)(const Statement&);

  static std::string ZoneIn(const std::vector<Statement>& statements) {
    for (const Statement& s : statements) {
      if (s.words[0] != "book") continue;
      const std::string zone = Options(s, 1).Take("zone");
      if (!zone.empty()) return zone;
    }
    return "UTC";
  }

  void Problem(const std::string& text) { result_.problems.push_back({at_ == nullptr ? 0 : at_->line, text}); }
  void Expect(const std::string& expected, const std::string& got) {
    if (expected != got) Problem("expected: " + expected + "\n     got: " + got);
  }
  void RefuseLeftOver(const Options& options) {
    if (!options.left().empty()) Problem("words not understood: " + Joined(options.left()));
  }

  void Step(const Statement& s) {
    static const std::map<std::string, Handler> catalog_words = {
        {"book", &Runner::SetBook},         {"entity", &Runner::SetEntity}, {"meter", &Runner::SetMeter},
        {"plan", &Runner::SetPlan},         {"charge", &Runner::SetCharge}, {"post", &Runner::SetPosting},
        {"sub", &Runner::SetSubscription},  {"grant", &Runner::AddRow},     {"unit_grant", &Runner::AddRow},
        {"discount", &Runner::AddRow},      {"fx", &Runner::AddRow},        {"drop", &Runner::Drop},
        {"contract", &Runner::SetContract}, {"target", &Runner::SetTarget}};
    static const std::map<std::string, Handler> usage_words = {{"usage", &Runner::AddUsage}, {"raw", &Runner::AddRaw}};
    static const std::map<std::string, Handler> other_words = {{"any", &Runner::SetAnyOrder},
                                                               {"seal", &Runner::DoSeal},
                                                               {"reverse", &Runner::DoReverse},
                                                               {"retry", &Runner::DoRetry},
                                                               {"restart", &Runner::DoRestart},
                                                               {"worth", &Runner::CheckWorth},
                                                               {"unattributed", &Runner::CheckUnrated},
                                                               {"unpriced", &Runner::CheckUnrated},
                                                               {"trial", &Runner::CheckUnrated},
                                                               {"lines", &Runner::CheckLines},
                                                               {"balance", &Runner::CheckBalance},
                                                               {"functional", &Runner::CheckFunctional},
                                                               {"open", &Runner::DoChangePeriod},
                                                               {"soft_close", &Runner::DoChangePeriod},
                                                               {"close", &Runner::DoChangePeriod},
                                                               {"reopen", &Runner::DoChangePeriod},
                                                               {"period", &Runner::CheckPeriod},
                                                               {"waiting", &Runner::CheckWaiting},
                                                               {"approve", &Runner::DoDecide},
                                                               {"reject", &Runner::DoDecide},
                                                               {"held", &Runner::CheckHeld},
                                                               {"forget", &Runner::DoForget},
                                                               {"today", &Runner::DoToday},
                                                               {"backup", &Runner::DoBackup},
                                                               {"restore", &Runner::DoRestore},
                                                               {"sends", &Runner::CheckSends},
                                                               {"resume", &Runner::DoResume},
                                                               {"purge", &Runner::DoPurge},
                                                               {"verify", &Runner::CheckVerify},
                                                               {"laws", &Runner::CheckLaws},
                                                               {"reconciled", &Runner::CheckReconciled}};
    if (s.words[0] == "journal") return journal_.push_back(&s);
    FinishJournal();
    if (const auto it = usage_words.find(s.words[0]); it != usage_words.end()) return (this->*it->second)(s);
    FinishUsage();
    if (const auto it = catalog_words.find(s.words[0]); it != catalog_words.end()) {
      catalog_.reset();
      return (this->*it->second)(s);
    }
    if (const auto it = other_words.find(s.words[0]); it != other_words.end()) {
      static const std::set<std::string> kCommits = {"seal",   "reverse", "retry",  "open",   "soft_close", "close",
                                                     "reopen", "approve", "reject", "forget", "purge",      "resume"};
      if (run_.reopen_always && kCommits.contains(s.words[0])) Reopen();
      return (this->*it->second)(s);
    }
    Problem("no such word: " + s.words[0]);
  }

  // The word at a fixed place.
  std::string Word(const Statement& s, size_t i) {
    if (i < s.words.size()) return s.words[i];
    Problem("a word is missing behind: " + s.text);
    return "";
  }

  // ----- the catalog

  void SetBook(const Statement& s) {
    Options options(s, 1);
    if (const std::string zone = options.Take("zone"); !zone.empty()) texts_.zone = zone;
    if (const std::string rounding = options.Take("rounding"); !rounding.empty()) texts_.rounding = rounding;
    if (const std::string more = Joined(options.TakeRest("with")); !more.empty()) texts_.book_more += more + "\n";
    RefuseLeftOver(options);
  }

  void SetEntity(const Statement& s) {
    Options options(s, 3);
    const CatalogTexts::Entity entity{Word(s, 1), Word(s, 2), options.Take("zone"), Joined(options.TakeRest("with"))};
    RefuseLeftOver(options);
    for (CatalogTexts::Entity& old : texts_.entities) {
      if (old.name != entity.name) continue;
      old = entity;
      return;
    }
    texts_.entities.push_back(entity);
  }

  void SetMeter(const Statement& s) {
    Options options(s, 3);
    CatalogTexts::Meter meter;
    meter.name = Word(s, 1);
    meter.aggregation = Word(s, 2);
    if (meter.aggregation != "count") meter.value = "value";
    if (const std::string value = options.Take("of"); !value.empty()) meter.value = value;
    // `reckoned a / b * c`, or `with KEY=VALUE …`: more of the meter's keys, as YAML has them. Either comes last.
    if (const std::vector<std::string> value = options.TakeRest("reckoned"); !value.empty())
      meter.value = Joined(value);
    for (const std::string& more : options.TakeRest("with")) {
      const size_t equals = more.find('=');
      std::string& value = meter.more[more.substr(0, equals)] =
          equals == std::string::npos ? "" : more.substr(equals + 1);
      // {mode:up,places:5}: a blank would begin another word.
      for (size_t colon = value.find(':'); colon != std::string::npos; colon = value.find(':', colon + 1))
        value.insert(colon + 1, " ");
    }
    meter.event_type = options.Take("type");
    meter.dimensions = Split(options.Take("by"), ',');
    if (options.TakeFlag("hourly")) meter.granularity = "hour";
    if (options.TakeFlag("quarter_hourly")) meter.granularity = "quarter_hour";
    meter.allow_negative = options.TakeFlag("negative");
    RefuseLeftOver(options);
    texts_.meters.push_back(meter);
  }

  void SetPlan(const Statement& s) {
    Options options(s, 3);
    CatalogTexts::Plan plan{Word(s, 1), Word(s, 2), Joined(options.TakeRest("with"))};
    RefuseLeftOver(options);
    for (CatalogTexts::Plan& old : texts_.plans) {
      if (old.name != plan.name) continue;
      old = plan;
      return;
    }
    texts_.plans.push_back(plan);
  }

  void SetCharge(const Statement& s) {
    Options options(s, 5);
    CatalogTexts::Charge charge;
    charge.plan = Word(s, 1);
    charge.name = Word(s, 2);
    std::ranges::replace(charge.name, '_', ' ');
    if (Word(s, 3) != "-") charge.meter = Word(s, 3);
    charge.model = Word(s, 4);
    for (const std::string& word : options.TakeRest("with")) charge.more += (charge.more.empty() ? "" : " ") + word;
    for (const std::string& tier : options.TakeRest("tiers")) charge.tiers.push_back(TierOf(tier));
    charge.product = options.Take("product");
    if (charge.product.empty()) charge.product = kUsualProduct;
    charge.included = options.Take("included");
    charge.per = options.Take("per");
    charge.price = options.Take("price");
    charge.package_size = options.Take("size");
    if (const std::string filter = options.Take("where"); !filter.empty()) {
      for (const std::string& pair : Split(filter, ','))
        charge.filter[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
    }
    charge.flat_at_zero = options.TakeFlag("flat_at_zero");
    RefuseLeftOver(options);
    for (CatalogTexts::Charge& old : texts_.charges) {
      if (old.plan == charge.plan && old.name == charge.name) {
        old = charge;
        return;
      }
    }
    texts_.charges.push_back(charge);
  }

  // "class=reseller,charge=discount_calls": `_` is a blank.
  static std::map<std::string, std::string> ScopeIn(const std::string& text) {
    std::map<std::string, std::string> scope;
    for (const std::string& pair : Split(text, ',')) {
      std::string& value = scope[pair.substr(0, pair.find('='))] = pair.substr(pair.find('=') + 1);
      std::ranges::replace(value, '_', ' ');
    }
    return scope;
  }

  void SetPosting(const Statement& s) {
    Options options(s, 3);
    CatalogTexts::Posting posting;
    posting.product = Word(s, 1) == "any" ? "" : Word(s, 1);
    posting.entity = Word(s, 2) == "any" ? "" : Word(s, 2);
    posting.debit = options.Take("debit");
    posting.credit = options.Take("credit");
    posting.by_period = options.TakeFlag("by_period");
    posting.scope = ScopeIn(options.Take("for"));
    posting.deferred = options.Take("deferred");
    posting.more = Joined(options.TakeRest("with"));
    RefuseLeftOver(options);
    for (CatalogTexts::Posting& old : texts_.postings) {
      if (old.product == posting.product && old.entity == posting.entity && old.scope == posting.scope) {
        old = posting;
        return;
      }
    }
    texts_.postings.push_back(posting);
  }

  // `contract suite 12_months platform@100 handset@600:at_point`: a fee and its stand-alone price. Of the same plan:
  // replaces.
  void SetContract(const Statement& s) {
    CatalogTexts::Contract contract{Word(s, 1), Word(s, 2), {}};
    std::ranges::replace(contract.term, '_', ' ');
    for (size_t i = 3; i < s.words.size(); ++i) {
      const std::string& word = s.words[i];
      const size_t at = word.find('@'), colon = word.find(':');
      contract.obligations.push_back(
          "{charge: " + word.substr(0, at) +
          ", stand_alone_price: " + word.substr(at + 1, colon == std::string::npos ? colon : colon - at - 1) +
          (colon == std::string::npos ? "" : ", satisfied: " + word.substr(colon + 1)) + "}");
    }
    std::erase_if(texts_.contracts, [&](const CatalogTexts::Contract& old) { return old.plan == contract.plan; });
    texts_.contracts.push_back(contract);
  }

  // `target erp webhook with url: https://erp.example/in, …`: an entry of targets.yaml.
  void SetTarget(const Statement& s) {
    Options options(s, 3);
    texts_.targets +=
        "  - {name: " + Word(s, 1) + ", kind: " + Word(s, 2) + ", " + Joined(options.TakeRest("with")) + "}\n";
    RefuseLeftOver(options);
  }

  // The same subscription from the same day replaces; from another day it is another version.
  void SetSubscription(const Statement& s) {
    Options options(s, 5);
    CatalogTexts::Subscription subscription{Word(s, 1),
                                            Word(s, 2),
                                            Word(s, 3),
                                            Word(s, 4),
                                            options.Take("from"),
                                            options.Take("to"),
                                            options.Take("subject"),
                                            options.Take("zone"),
                                            options.Take("anchor"),
                                            options.Take("quantity"),
                                            options.Take("class"),
                                            options.Take("region"),
                                            options.Take("account")};
    RefuseLeftOver(options);
    for (CatalogTexts::Subscription& old : texts_.subscriptions) {
      if (old.id == subscription.id && old.from == subscription.from) {
        old = subscription;
        return;
      }
    }
    texts_.subscriptions.push_back(subscription);
  }

  std::vector<std::string>& RowsOf(const std::string& what) {
    if (what == "unit_grant") return texts_.unit_grants;
    if (what == "fx") return texts_.exchange_rates;
    return what == "grant" ? texts_.grants : texts_.discounts;
  }

  // A row of a CSV file, `_` for a blank.
  void AddRow(const Statement& s) {
    std::string row = Word(s, 1);
    std::ranges::replace(row, '_', ' ');
    RowsOf(s.words[0]).push_back(row);
    RefuseLeftOver(Options(s, 2));
  }

  void Drop(const Statement& s) {
    const std::string what = Word(s, 1), name = Word(s, 2);
    size_t dropped = 0;
    if (what == "sub") dropped = std::erase_if(texts_.subscriptions, [&](const auto& sub) { return sub.id == name; });
    if (what == "grant" || what == "unit_grant" || what == "discount" || what == "fx") {
      dropped = std::erase_if(RowsOf(what), [&](const std::string& row) { return row.starts_with(name + ","); });
    }
    if (what == "contract") dropped = std::erase_if(texts_.contracts, [&](const auto& c) { return c.plan == name; });
    if (what == "charge") {
      dropped = std::erase_if(texts_.charges, [&](const auto& c) { return c.plan == name && c.name == Word(s, 3); });
    }
    if (what == "post") {
      const auto scope = ScopeIn(Options(s, 4).Take("for"));
      dropped = std::erase_if(texts_.postings, [&](const auto& p) {
        return p.product == (name == "any" ? "" : name) && p.entity == (Word(s, 3) == "any" ? "" : Word(s, 3)) &&
               p.scope == scope;
      });
    }
    if (dropped == 0) Problem("there is no such thing to drop");
  }

  const Catalog* CurrentCatalog() {
    if (catalog_) return &*catalog_;
    CatalogTexts texts = texts_;
    if (texts.entities.empty()) texts.entities.push_back({"acme-us", "USD", "", ""});
    if (texts.postings.empty()) texts.postings.push_back({"", "", "1200", "4000", false});
    absl::StatusOr<Catalog> parsed = Parse(texts);
    if (parsed.ok()) return &catalog_.emplace(*std::move(parsed));
    Problem(std::string(Std(parsed.status().message())));
    return nullptr;
  }

  // ----- usage

  struct Line {
    const Statement* statement;
    std::string text;
  };

  // `usage ID SUBJECT METER VALUE at TIME [from SOURCE] [name=value …]`; the value is `-` where the meter counts.
  void AddUsage(const Statement& s) {
    Options options(s, 5);
    EventText event;
    event.id = Word(s, 1);
    event.subject = Word(s, 2);
    event.type = Word(s, 3);
    for (const CatalogTexts::Meter& meter : texts_.meters) {
      if (meter.name == event.type && !meter.event_type.empty()) event.type = meter.event_type;
    }
    if (Word(s, 4) != "-") event.value = Word(s, 4);
    event.time = options.Take("at");
    if (const std::string source = options.Take("from"); !source.empty()) event.source = source;
    event.labels = options.TakePairs();
    RefuseLeftOver(options);
    usage_.push_back({&s, ToJson(event)});
  }

  void AddRaw(const Statement& s) {
    const size_t word = s.text.find("raw ");
    usage_.push_back({&s, s.text.substr(word + 4)});
  }

  // Absorbs the usage lines since the last other step, as one file, and compares how each ended.
  void FinishUsage() {
    if (usage_.empty()) return;
    std::vector<Line> lines = std::exchange(usage_, {});
    if (run_.backwards) std::reverse(lines.begin(), lines.end());
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    // Each file begins with blank lines, another number each: no two are the same file.
    ++files_;
    std::string content(files_, '\n');
    for (const Line& line : lines) content += line.text + "\n";
    const std::string path = book_.Write("usage-" + std::to_string(files_) + ".ndjson", content);
    AbsorbOptions absorb = run_.absorb;
    absorb.keeps_usage_log = RetentionOf(*catalog).keeps_usage_log;
    const absl::StatusOr<AbsorbReport> report = Absorb(*book_, *catalog, Inputs({path}), absorb);
    if (!report.ok()) return Problem(std::string(Std(report.status().message())));

    std::map<uint64_t, Reason> reasons;
    for (const Kept& kept : KeptExceptions(*book_)) {
      if (kept.path == path) reasons[kept.record.line] = kept.record.reason;
    }
    std::multiset<std::string> expected, got;
    for (size_t i = 0; i < lines.size(); ++i) {
      const auto reason = reasons.find(files_ + i + 1);
      const std::string outcome = OutcomeText(reason == reasons.end() ? Reason::kNone : reason->second);
      expected.insert(lines[i].statement->outcome);
      got.insert(outcome);
      if (run_.backwards || lines[i].statement->outcome == outcome) continue;
      result_.problems.push_back(
          {lines[i].statement->line, "expected: " + lines[i].statement->outcome + "\n     got: " + outcome});
    }
    if (run_.backwards && expected != got) Problem("backwards, other outcomes");
  }

  // ----- steps

  void SetAnyOrder(const Statement& s) {
    if (Word(s, 1) != "order") Problem("any what?");
    result_.any_order = true;
  }

  void Reopen() { book_.Reopen(); }
  void DoRestart(const Statement&) { Reopen(); }

  // `by NAME`, or Ann.
  static std::string WhoIn(Options* options) {
    const std::string by = options->Take("by");
    return by.empty() ? "Ann" : by;
  }

  // `seal [through DAY] [adjust [by NAME]] -> N batches | nothing | refused …`
  void DoSeal(const Statement& s) { Seal(s, Options(s, 1), {}); }

  void DoReverse(const Statement& s) {
    SealOptions sealing;
    sealing.reversal = ReversalOrder{Word(s, 1), "Ann", "as the scenario says"};
    Seal(s, Options(s, 2), sealing);
  }

  void Seal(const Statement& s, Options options, SealOptions sealing) {
    if (options.TakeFlag("adjust")) sealing.adjusted_by = WhoIn(&options), sealing.adjusted_why = "an accrual";
    sealing.threads = run_.absorb.threads;
    if (const std::string through = options.Take("through"); !through.empty()) sealing.through = ParseDay(through);
    RefuseLeftOver(options);
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    absl::StatusOr<SealReport> report = tollbook::Seal(*book_, *catalog, sealing);
    sealed_.clear();
    if (!report.ok()) {
      return ExpectRefused(s, report.status());
    }
    sealed_ = std::move(report->batches);
    const size_t batches = sealed_.size();
    Expect(s.outcome, batches == 0 ? "nothing" : std::to_string(batches) + (batches == 1 ? " batch" : " batches"));
  }

  void ExpectRefused(const Statement& s, const absl::Status& status) {
    const std::string message(Std(status.message()));
    const std::string wanted = s.outcome.starts_with("refused ") ? s.outcome.substr(8) : s.outcome;
    if (message.find(wanted) == std::string::npos) Expect(s.outcome, "refused " + message);
  }

  // `close ENTITY PERIOD [waive held,unpriced] [by NAME] -> done | refused …`; several things that stand in the way are
  // parted by " + ", and are all that do. So are open, soft_close and reopen.
  void DoChangePeriod(const Statement& s) {
    static const std::map<std::string, PeriodAction> actions = {{"open", PeriodAction::kOpen},
                                                                {"soft_close", PeriodAction::kSoftClose},
                                                                {"close", PeriodAction::kClose},
                                                                {"reopen", PeriodAction::kReopen}};
    Options options(s, 3);
    const std::vector<std::string> waive = Split(options.Take("waive"), ',');
    const std::string by = WhoIn(&options);
    RefuseLeftOver(options);
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const PeriodOrder order{actions.at(s.words[0]), Word(s, 1), Word(s, 2), by, "as the scenario says", waive};
    const absl::StatusOr<PeriodChange> change = ChangePeriod(*book_, *catalog, order, run_.absorb.threads);
    if (change.ok()) return Expect(s.outcome, "done");
    ExpectObstacles(s, " cannot be closed: ", change.status());
  }

  // `forget before DAY [waive held] -> N keys | nothing | refused …`, with what stands in the way as of `close`.
  void DoForget(const Statement& s) {
    Options options(s, 1);
    const std::string before = options.Take("before");
    const bool waives_held = options.Take("waive") == "held";
    RefuseLeftOver(options);
    const std::optional<Day> day = ParseDay(before);
    if (!day) return Problem("no such day: " + before);
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const ForgetOrder order{*day, "Ann", "as the scenario says", waives_held};
    const absl::StatusOr<ForgetReport> report = ForgetKeysOf(*book_, *catalog, order, run_.absorb.threads);
    if (!report.ok()) return ExpectObstacles(s, "dedup keys cannot be forgotten: ", report.status());
    Expect(s.outcome, report->keys == 0 ? "nothing" : std::to_string(report->keys) + " keys");
  }

  void ExpectObstacles(const Statement& s, const std::string& cannot, const absl::Status& status) {
    const std::string kinds = ObstaclesIn(std::string(Std(status.message())), cannot);
    if (kinds.empty()) return ExpectRefused(s, status);
    Expect(s.outcome, "refused " + kinds);
  }

  // "unsealed 2 differences, 0.20 USD + held 1 line is held, of whatever date"; empty: the message is another.
  static std::string ObstaclesIn(const std::string& message, const std::string& cannot) {
    std::string kinds;
    for (size_t at = message.find(cannot); at != std::string::npos; at = message.find(cannot, at + 1)) {
      const size_t kind = at + cannot.size();
      const size_t what = message.find(": ", kind);
      // What to do about it is behind the last colon of its line.
      const size_t mend = message.rfind(": ", message.find('\n', what));
      kinds += (kinds.empty() ? "" : " + ") + message.substr(kind, what - kind) + " " +
               message.substr(what + 2, mend - what - 2);
    }
    return kinds;
  }

  // `verify counted once -> 5 different events for 5 accepted`: what verify says of a law that holds.
  void CheckVerify(const Statement& s) {
    const std::string name = Joined({s.words.begin() + 1, s.words.end()});
    for (const LawCheck& check : Verify(*book_, run_.absorb.threads)) {
      if (check.name == name)
        return Expect(s.outcome, check.holds ? check.detail : "it does not hold: " + check.detail);
    }
    Problem("verify has no such law");
  }

  // `period ENTITY PERIOD open|soft_closed|closed|future [from DAY to DAY]`
  void CheckPeriod(const Statement& s) {
    Options options(s, 4);
    const std::string from = options.Take("from"), to = options.Take("to");
    RefuseLeftOver(options);
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const absl::StatusOr<std::vector<PeriodRow>> rows = Periods(*book_, *catalog, run_.absorb.threads);
    if (!rows.ok()) return Problem(std::string(Std(rows.status().message())));
    for (const PeriodRow& row : *rows) {
      if (row.entity != Word(s, 1) || row.period.name != Word(s, 2)) continue;
      Expect(Word(s, 3), std::string(ToString(row.state)));
      if (!from.empty()) Expect(from + " to " + to, ToString(row.period.first) + " to " + ToString(row.period.last));
      return;
    }
    Problem("there is no such period");
  }

  // `waiting ENTITY PERIOD CURRENCY AMOUNT`, or `waiting nothing`: all that waits, over all periods.
  void CheckWaiting(const Statement& s) {
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const absl::StatusOr<std::vector<WaitingAmount>> waiting =
        WaitingDifferences(*book_, *catalog, {}, run_.absorb.threads);
    if (!waiting.ok()) return Problem(std::string(Std(waiting.status().message())));
    std::string text;
    for (const WaitingAmount& waits : *waiting) {
      text += (text.empty() ? "" : " + ") + waits.entity + " " + waits.period.name + " " +
              std::string(waits.currency.code()) + " " + ToString(Money{waits.currency, waits.sum.minor});
      if (waits.unmapped) text += " unmapped";
    }
    Expect(Joined({s.words.begin() + 1, s.words.end()}), text.empty() ? "nothing" : text);
  }

  // `today 2026-11-29`: the day of what is done from now on.
  void DoToday(const Statement& s) {
    const std::optional<Day> day = ParseDay(Word(s, 1));
    if (!day) return Problem("no such day: " + Word(s, 1));
    today_ = *day;
    book_.SetNow(ZoneIn(statements_), *day);
  }

  // `backup`; `restore`: the book is lost, and comes back as it was in the newest backup.
  void DoBackup(const Statement&) { book_.BackUp(); }
  void DoRestore(const Statement&) { book_.Restore(); }

  // `sends TARGET BATCH -> yes | held since a restore`: whether `post` may send it there by itself.
  void CheckSends(const Statement& s) {
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const std::vector<Target> targets = TargetsOf(*catalog);
    const auto target = std::ranges::find(targets, Word(s, 1), &Target::name);
    if (target == targets.end()) return Problem("no such target");
    const Target* const those[] = {&*target};
    const auto held = HeldTargets(*book_, those);
    const absl::StatusOr<std::optional<Restored>> restored = RestoredOf(*book_);
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_->Batches();
    if (!held.ok() || !restored.ok() || !batches.ok()) return Problem("the book cannot be read");
    const auto batch = std::ranges::find(*batches, Word(s, 2), &JournalBatch::id);
    if (batch == batches->end()) return Problem("there is no such batch");
    const auto pause = held->find(target->name);
    const bool is_held = IsHeld(*target, pause == held->end() ? nullptr : &pause->second, *restored, batch->seal);
    Expect(s.outcome, is_held ? std::string(kHeldByRestore) : "yes");
  }

  // `resume TARGET`: Ann has looked what it has.
  void DoResume(const Statement& s) {
    const Decision decision{
        DecisionKind::kTarget,   Word(s, 1), "Ann", "as the scenario says", std::string(kHeldByRestore),
        std::string(kDelivering)};
    const absl::Status made = CommitDecisions(*book_, {&decision, 1});
    if (!made.ok()) Problem(std::string(Std(made.message())));
  }

  // `purge exceptions -> 2 payloads`, `purge usage_log -> done`, or `nothing`: what the catalog's retention keeps no
  // longer.
  void DoPurge(const Statement& s) {
    RefuseLeftOver(Options(s, 2));
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const bool is_of_exceptions = Word(s, 1) == "exceptions";
    const Retention retention = RetentionOf(*catalog);
    const std::optional<int> months =
        is_of_exceptions ? retention.exception_payloads_months : retention.usage_log_months;
    if (!months) return Problem("the catalog keeps them for ever");
    const PurgeTerms terms{catalog->book.zone.StartOf(MonthsBefore(today_, *months)).nanos, today_, "Ann",
                           "as the scenario says"};
    if (is_of_exceptions) {
      const absl::StatusOr<PurgeReport> report = PurgePayloads(*book_, terms);
      if (!report.ok()) return ExpectRefused(s, report.status());
      return Expect(s.outcome, report->payloads == 0 ? "nothing" : std::to_string(report->payloads) + " payloads");
    }
    const absl::StatusOr<UsagePurgeReport> report = PurgeUsage(*book_, terms);
    if (!report.ok()) return ExpectRefused(s, report.status());
    Expect(s.outcome, report->segments == 0 ? "nothing" : "done");
  }

  // `approve BATCH [by NAME] -> done | refused …`; likewise `reject`.
  void DoDecide(const Statement& s) {
    Options options(s, 2);
    const std::string by = WhoIn(&options);
    RefuseLeftOver(options);
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const absl::StatusOr<Decision> made =
        DecideApproval(*book_, *catalog, {Word(s, 1), s.words[0] == "approve", by, "as the scenario says"});
    if (made.ok()) return Expect(s.outcome, "done");
    ExpectRefused(s, made.status());
  }

  // `held BATCH: WHY + BATCH rejected: WHY`, or `held nothing`: all batches that nobody has approved.
  void CheckHeld(const Statement& s) {
    const auto approvals = Approvals(*book_);
    if (!approvals.ok()) return Problem(std::string(Std(approvals.status().message())));
    std::string text;
    for (const auto& [batch, approval] : *approvals) {
      if (approval.state == kApproved) continue;
      text += (text.empty() ? "" : " + ") + batch + (approval.state == kRejected ? " rejected: " : ": ") +
              approval.held_because;
    }
    Expect(Joined({s.words.begin() + 1, s.words.end()}), text.empty() ? "nothing" : text);
  }

  // `retry -> accepted 2 held 1`
  void DoRetry(const Statement& s) {
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    const absl::StatusOr<AbsorbReport> report = RetryHeld(*book_, *catalog, run_.absorb);
    if (!report.ok()) return Problem(std::string(Std(report.status().message())));
    ExpectCounts(WordsOf(s.outcome), report->counts);
  }

  void ExpectCounts(const std::vector<std::string>& words, const LineCounts& counts) {
    const std::map<std::string, uint64_t> got = {{"read", counts.lines},          {"accepted", counts.accepted},
                                                 {"duplicate", counts.duplicate}, {"conflict", counts.conflict},
                                                 {"held", counts.held},           {"rejected", counts.rejected}};
    for (size_t i = 0; i + 1 < words.size(); i += 2) {
      const auto count = got.find(words[i]);
      if (count == got.end()) {
        Problem("no such count: " + words[i]);
      } else {
        Expect(words[i] + " " + words[i + 1], words[i] + " " + std::to_string(count->second));
      }
    }
  }

  // ----- outcomes

  // The journal lines behind a seal are all of its lines.
  void FinishJournal() {
    if (journal_.empty()) return;
    const std::vector<const Statement*> expected = std::exchange(journal_, {});
    std::multiset<std::string> got;
    for (const JournalBatch& batch : sealed_) {
      for (const JournalLine& line : batch.lines) got.insert(Text(batch, line));
    }
    const Statement* const at = std::exchange(at_, nullptr);
    for (const Statement* s : expected) {
      at_ = s;
      const std::string text = Joined({s->words.begin() + 1, s->words.end()});
      const auto found = got.find(text);
      if (found != got.end()) {
        got.erase(found);
      } else {
        Problem("the seal has no such journal line: " + text);
      }
    }
    for (const std::string& more : got) Problem("the seal has another journal line: " + more);
    at_ = at;
  }

  // `worth SUBSCRIPTION CHARGE MONTH quantity … exact … booked … [events …] [plan …] [entity …]`, or `none`
  void CheckWorth(const Statement& s) {
    Options options(s, 4);
    const std::string plan = options.Take("plan"), entity = options.Take("entity");
    const bool none = options.TakeFlag("none");
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    absl::StatusOr<std::vector<ChargeRow>> rows = Charges(*book_, *catalog, {}, run_.absorb.threads);
    if (!rows.ok()) return Problem(std::string(Std(rows.status().message())));
    std::erase_if(*rows, [&](const ChargeRow& row) {
      std::string charge = row.charge;
      std::ranges::replace(charge, ' ', '_');
      return row.subscription != Word(s, 1) || charge != Word(s, 2) ||
             !ToString(row.period.start).starts_with(Word(s, 3)) || (!plan.empty() && row.plan != plan) ||
             (!entity.empty() && row.entity != entity);
    });
    if (rows->size() != (none ? 0 : 1)) return Problem(std::to_string(rows->size()) + " such charges");
    if (none) return;
    const ChargeRow& row = rows->front();
    for (const auto& [name, got] :
         std::vector<std::pair<std::string, std::string>>{{"quantity", ToString(row.quantity)},
                                                          {"exact", ToString(row.exact)},
                                                          {"booked", ToString(row.booked)},
                                                          {"events", std::to_string(row.events)}}) {
      const std::string expected = options.Take(name);
      if (!expected.empty()) Expect(name + " " + expected, name + " " + got);
    }
    RefuseLeftOver(options);
  }

  // `unattributed N`, `unpriced N`: events in the book that cost nothing, by the catalog as it is now.
  void CheckUnrated(const Statement& s) {
    const auto why = s.words[0] == "unpriced" ? UnratedUsage::Why::kUnpriced
                     : s.words[0] == "trial"  ? UnratedUsage::Why::kTrial
                                              : UnratedUsage::Why::kUnattributed;
    const Catalog* catalog = CurrentCatalog();
    if (catalog == nullptr) return;
    std::mutex mutex;  // guards events
    uint64_t events = 0;
    const absl::Status visited = VisitSubjects(*book_, *catalog, {}, 1, [&](int, const SubjectWorth& worth) {
      const std::lock_guard lock(mutex);
      for (const UnratedUsage& unrated : worth.rated.unrated) events += unrated.why == why ? unrated.events : 0;
      return absl::OkStatus();
    });
    if (!visited.ok()) Problem(std::string(Std(visited.message())));
    Expect(s.words[0] + " " + Word(s, 1), s.words[0] + " " + std::to_string(events));
  }

  // `lines read 5 accepted 4 duplicate 1 …`
  void CheckLines(const Statement& s) { ExpectCounts({s.words.begin() + 1, s.words.end()}, book_->counts()); }

  // `balance ENTITY CURRENCY ACCOUNT AMOUNT`: debits less credits, over all that was ever posted. `… AMOUNT and 0.00
  // EUR`: and what they come to in the functional currency; each of its lines has a rate.
  void CheckBalance(const Statement& s) {
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_->Batches();
    if (!batches.ok()) return Problem(std::string(Std(batches.status().message())));
    const std::optional<Currency> currency = Currency::FromCode(Word(s, 2));
    if (!currency) return Problem("no such currency");
    const bool is_functional = s.words.size() > 5;
    FunctionalAmounts reckoned(*book_);
    Money sum{*currency, 0}, functional{*currency, 0};
    for (const JournalBatch& batch : *batches) {
      if (batch.entity != Word(s, 1) || batch.currency != *currency) continue;
      absl::StatusOr<LineAmounts> amounts = LineAmounts(batch.lines.size());
      if (is_functional) amounts = reckoned.Of(batch);
      if (!amounts.ok()) return Problem(std::string(Std(amounts.status().message())));
      for (const JournalLine& line : batch.lines) {
        const std::optional<FunctionalAmount>& amount = (*amounts)[line.number - 1];
        for (const Posting& posting : PostingsOf(line)) {
          if (posting.account != Word(s, 3)) continue;
          sum.minor += posting.is_debit ? posting.amount.minor : -posting.amount.minor;
          if (!is_functional) continue;
          if (!amount) return Problem(batch.id + " has no functional amounts");
          functional.currency = amount->amount.currency;
          functional.minor += posting.is_debit ? amount->amount.minor : -amount->amount.minor;
        }
      }
    }
    Expect(Word(s, 4), ToString(sum));
    if (!is_functional) return;
    Expect("and", Word(s, 5));
    Expect(Word(s, 6) + " " + Word(s, 7), ToString(functional) + " " + std::string(functional.currency.code()));
  }

  // `functional BATCH/LINE 46.50 USD at 1.0333 of 2025-01-08`; without a rate where it has several; or `none`: no rate
  // is known of it.
  void CheckFunctional(const Statement& s) {
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_->Batches();
    if (!batches.ok()) return Problem(std::string(Std(batches.status().message())));
    FunctionalAmounts reckoned(*book_);
    for (const JournalBatch& batch : *batches) {
      const absl::StatusOr<LineAmounts> amounts = reckoned.Of(batch);
      if (!amounts.ok()) return Problem(std::string(Std(amounts.status().message())));
      for (const JournalLine& line : batch.lines) {
        if (batch.id + "/" + std::to_string(line.number) != Word(s, 1)) continue;
        const std::optional<FunctionalAmount>& amount = (*amounts)[line.number - 1];
        return Expect(Joined({s.words.begin() + 2, s.words.end()}), amount ? InWords(*amount) : "none");
      }
    }
    Problem("there is no such line");
  }

  static std::string InWords(const FunctionalAmount& of) {
    const std::string amount = ToString(of.amount) + " " + std::string(of.amount.currency.code());
    if (!of.rate) return amount;
    return amount + " at " + ToString(of.rate->rate) + " of " + ToString(of.rate->date);
  }

  void Export() {
    const absl::StatusOr<std::vector<JournalBatch>> batches = book_->Batches();
    if (!batches.ok()) return Problem(std::string(Std(batches.status().message())));
    if (batches->empty()) return;
    const absl::StatusOr<Catalog> catalog = SealedCatalog(*book_);
    if (!catalog.ok()) return Problem(std::string(Std(catalog.status().message())));
    const LedgerText ledger(*catalog);
    FunctionalAmounts reckoned(*book_);
    Balances balances, functional_balances;
    for (const JournalBatch& batch : *batches) {
      const absl::StatusOr<LineAmounts> amounts = reckoned.Of(batch);
      if (!amounts.ok()) return Problem(std::string(Std(amounts.status().message())));
      result_.ledger += ledger.Of(batch);
      result_.functional_ledger += ledger.Of(batch, *amounts);
      for (const JournalLine& line : batch.lines) {
        const std::optional<FunctionalAmount>& functional = (*amounts)[line.number - 1];
        for (const Posting& posting : PostingsOf(line)) {
          AddTo(posting, batch.entity, posting.amount, &balances);
          AddTo(posting, batch.entity, functional ? functional->amount : posting.amount, &functional_balances);
        }
      }
    }
    result_.balances = InWords(balances);
    result_.functional_balances = InWords(functional_balances);
  }

  using Balances = std::map<std::array<std::string, 3>, Money>;  // by entity, account, currency

  static void AddTo(const Posting& posting, const std::string& entity, const Money& amount, Balances* balances) {
    const std::array place{entity, std::string(posting.account), std::string(amount.currency.code())};
    Money& sum = balances->try_emplace(place, Money{amount.currency, 0}).first->second;
    sum.minor += posting.is_debit ? amount.minor : -amount.minor;
  }

  static std::string InWords(const Balances& balances) {
    std::string text;
    for (const auto& [place, sum] : balances) {
      if (sum.minor != 0) text += place[0] + "\t" + place[1] + "\t" + place[2] + "\t" + ToString(sum) + "\n";
    }
    return text;
  }

  void CheckLaws(const Statement&) {
    for (const std::string& broken : BrokenLaws(*book_)) Problem(broken);
  }

  // After a seal of everything: what the sources say, what the usage is worth and what is booked are the same.
  void CheckReconciled(const Statement&) {
    const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(*book_, run_.absorb.threads);
    if (!rows.ok()) return Problem(std::string(Std(rows.status().message())));
    for (const ReconcileRow& row : *rows) {
      if (!row.equal) Problem(row.step + ": " + row.what + ": " + row.left + " and " + row.right);
    }
  }

  const std::vector<Statement>& statements_;
  const ScenarioRun& run_;
  SmallBook book_;
  CatalogTexts texts_;
  std::optional<Catalog> catalog_;  // of `texts_`; none when they changed
  std::vector<Line> usage_;         // not absorbed yet
  size_t files_ = 0;
  Day today_;
  std::vector<JournalBatch> sealed_;  // of the last seal
  std::vector<const Statement*> journal_;
  const Statement* at_ = nullptr;
  ScenarioResult result_;
};

}  // namespace

ScenarioResult RunScenario(std::string_view text, const ScenarioRun& run) {
  const std::vector<Statement> statements = StatementsOf(text);
  return Runner(statements, run).Run();
}

}  // namespace tollbook
