#include "pipeline/app/report.h"

#include <map>
#include <tuple>

#include "ledger/cut_off.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/app/text.h"

namespace tollbook {
namespace {

constexpr size_t kSummaryRowsMax = 24;

struct DebitCredit {
  Int128 debit = 0;
  Int128 credit = 0;
  void Add(const Posting& posting) { (posting.is_debit ? debit : credit) += posting.amount.minor; }
};

using EntityCurrency = std::pair<std::string, Currency>;

std::map<EntityCurrency, DebitCredit> TotalsOf(const std::vector<JournalBatch>& batches) {
  std::map<EntityCurrency, DebitCredit> totals;
  for (const JournalBatch& batch : batches) {
    for (const JournalLine& line : batch.lines) {
      for (const Posting& posting : PostingsOf(line)) totals[{batch.entity, batch.currency}].Add(posting);
    }
  }
  return totals;
}

std::string AmountOrNothing(Currency currency, Int128 minor) {
  return minor == 0 ? "" : ToString(Money{currency, minor});
}

// The journal by batch and account: what fits a screen. The lines themselves are `tollbook journals`.
void PrintJournal(const SealReport& sealed) {
  if (sealed.seal == 0) {
    const std::string why = !sealed.waiting.empty() ? "what the usage is worth more or less than is booked waits"
                            : sealed.not_rated.empty()
                                ? "the book already says what the usage is worth"
                                : Counted(sealed.not_rated.size(), "subject is", "subjects are") +
                                      " set aside, and the book already says what all others are worth";
    std::printf("\nJournal: nothing to book; %s\n%s", why.c_str(), ToText(sealed.waiting).c_str());
    return;
  }
  Table table(
      {{"batch", false, Narrow::kKeep}, {"account"}, {"lines", true}, {"debit", true}, {"credit", true}, {"currency"}});
  uint64_t lines = 0;
  size_t left_out = 0;
  for (const JournalBatch& batch : sealed.batches) {
    lines += batch.lines.size();
    std::map<std::string, std::pair<uint64_t, DebitCredit>> accounts;
    for (const JournalLine& line : batch.lines) {
      for (const Posting& posting : PostingsOf(line)) {
        auto& [count, sums] = accounts[std::string(posting.account)];
        ++count;
        sums.Add(posting);
      }
    }
    if (table.rows() + accounts.size() > kSummaryRowsMax) {
      ++left_out;
      continue;
    }
    for (const auto& [account, of_account] : accounts) {
      const auto& [count, sums] = of_account;
      table.Add({batch.id, account, Thousands(count), AmountOrNothing(batch.currency, sums.debit),
                 AmountOrNothing(batch.currency, sums.credit), std::string(batch.currency.code())});
    }
  }
  std::printf("\nJournal: seal %llu booked %s in %s with %s\n%s", static_cast<unsigned long long>(sealed.seal),
              Counted(sealed.differences, "difference", "differences").c_str(),
              Counted(sealed.batches.size(), "batch", "batches").c_str(), Counted(lines, "line", "lines").c_str(),
              table.ToText().c_str());
  if (left_out > 0) std::printf("and %s more\n", Counted(left_out, "batch", "batches").c_str());

  Table totals({{"entity"}, {"currency"}, {"debit", true}, {"credit", true}});
  for (const auto& [of, sums] : TotalsOf(sealed.batches)) {
    totals.Add({of.first, std::string(of.second.code()), ToString(Money{of.second, sums.debit}),
                ToString(Money{of.second, sums.credit})});
  }
  std::printf("\nTotals\n%s", totals.ToText().c_str());
  if (!sealed.waiting.empty()) std::printf("\nNot booked\n%s", ToText(sealed.waiting).c_str());
  if (!sealed.held.empty()) std::printf("\nHeld until `tollbook journals approve`\n");
  for (const HeldBatch& held : sealed.held) {
    std::printf("%s: %s\n", sealed.batches[held.batch].id.c_str(), held.why.c_str());
  }
}

void PrintLines(const AbsorbReport& absorbed, const SealReport* sealed) {
  const LineCounts& counts = absorbed.counts;
  Table table({{"lines"}, {"count", true}});
  table.Add({"read", Thousands(counts.lines)});
  table.Add({"accepted", Thousands(counts.accepted)});
  table.Add({"duplicate", Thousands(counts.duplicate)});
  table.Add({"conflict", Thousands(counts.conflict)});
  table.Add({"held", Thousands(counts.held)});
  table.Add({"rejected", Thousands(counts.rejected)});
  std::printf("%s", table.ToText().c_str());
  if (absorbed.corrections > 0) {
    std::printf("Applied: %s of events that had been accepted.\n",
                Counted(absorbed.corrections, "correction", "corrections").c_str());
  }
  if (sealed != nullptr && sealed->unattributed_events > 0) {
    std::printf(
        "In the book, %s accepted events have no subscription yet; they are booked as soon as the catalog brings it.\n",
        Thousands(sealed->unattributed_events).c_str());
  }
  if (sealed != nullptr && sealed->unpriced_events > 0) {
    std::printf("In the book, %s metered events have no charge in their plan.\n",
                Thousands(sealed->unpriced_events).c_str());
  }
  if (sealed != nullptr && sealed->trial_events > 0) {
    std::printf("In the book, %s metered events are of a trial, and cost nothing.\n",
                Thousands(sealed->trial_events).c_str());
  }
  for (const SkippedSource& skipped : absorbed.skipped) {
    std::printf("Absorbed before, by its content: %s (%s)\n", skipped.path.c_str(),
                Counted(skipped.lines, "line", "lines").c_str());
  }
  PrintLeftOut(absorbed.left_out);
  PrintNeeded(absorbed.needed);
}

void PrintExceptions(const AbsorbReport& absorbed) {
  if (absorbed.reasons.empty()) return;
  Table table(
      {{"exception", false, Narrow::kKeep}, {"outcome"}, {"count", true}, {"what_to_do", false, Narrow::kWrap}});
  for (const auto& [reason, count] : absorbed.reasons) {
    table.Add({std::string(ToString(reason)), std::string(ToString(OutcomeOf(reason))), Thousands(count),
               RemedyOf(reason, absorbed.cut_off)});
  }
  std::printf("\n%s", table.ToText().c_str());
}

void PrintPace(const RunReport& report) {
  const AbsorbReport& absorbed = *report.absorbed;
  if (absorbed.counts.lines == 0 || report.seconds <= 0) return;
  std::printf("\n%s events in %.2f s: %s events/s, %.0f MB/s, peak memory %.0f MB\n",
              Thousands(absorbed.counts.lines).c_str(), report.seconds,
              Thousands(static_cast<uint64_t>(static_cast<double>(absorbed.counts.lines) / report.seconds)).c_str(),
              static_cast<double>(absorbed.bytes) / report.seconds / 1e6, static_cast<double>(PeakMemoryBytes()) / 1e6);
}

void PrintNext(const RunReport& report) {
  const std::string books = " --books " + report.books;
  std::string line = "BATCH/LINE";
  if (report.sealed != nullptr && !report.sealed->batches.empty()) line = report.sealed->batches.front().id + "/1";
  std::printf("\nNext\n  tollbook explain%s %s\n  tollbook charges%s\n  tollbook exceptions%s\n", books.c_str(),
              line.c_str(), books.c_str(), books.c_str());
}

}  // namespace

std::string Thousands(uint64_t number) {
  return Grouped(number);
}

std::string ToText(const std::vector<WaitingAmount>& waiting) {
  std::string text;
  for (const WaitingAmount& waits : waiting) {
    text += ToString(waits) + (waits.sum.differences == 1 ? " waits\n" : " wait\n");
  }
  return text;
}

Json ToJson(const std::vector<WaitingAmount>& waiting) {
  Json json = Json::array();
  for (const WaitingAmount& waits : waiting) {
    json.push_back({{"entity", waits.entity},
                    {"period", waits.period.name},
                    {"reason", waits.unmapped ? "unmapped" : "period"},
                    {"state", std::string(ToString(waits.state))},
                    {"currency", std::string(waits.currency.code())},
                    {"differences", waits.sum.differences},
                    {"amount", ToString(Money{waits.currency, waits.sum.minor})}});
  }
  return json;
}

void PrintLeftOut(const std::vector<LeftOut>& left_out) {
  constexpr std::string_view kLeftOut = "left out: ";
  for (const LeftOut& input : left_out) {
    // Messages of an operation that failed name the path themselves.
    const bool named = input.why.find(input.path) != std::string::npos;
    const std::string path = named ? "" : input.path + ": ";
    const bool said = input.why.starts_with(kLeftOut);
    std::fprintf(stderr, "tollbook: %s%s%s\n", said ? "" : kLeftOut.data(), path.c_str(), input.why.c_str());
  }
}

void PrintNeeded(const std::vector<LeftOut>& needed) {
  for (const LeftOut& source : needed)
    std::fprintf(stderr, "tollbook: held: %s: %s\n", source.path.c_str(), source.why.c_str());
}

std::string Counted(uint64_t number, std::string_view one, std::string_view many) {
  return Thousands(number) + " " + std::string(number == 1 ? one : many);
}

Json ToJson(const RunReport& report) {
  Json json;
  if (report.absorbed != nullptr) {
    const AbsorbReport& absorbed = *report.absorbed;
    json["lines_read"] = absorbed.counts.lines;
    json["accepted"] = absorbed.counts.accepted;
    if (report.sealed != nullptr) json["unattributed"] = report.sealed->unattributed_events;
    json["duplicate"] = absorbed.counts.duplicate;
    json["conflict"] = absorbed.counts.conflict;
    json["held"] = absorbed.counts.held;
    json["rejected"] = absorbed.counts.rejected;
    json["corrections"] = absorbed.corrections;
    json["reasons"] = Json::object();
    for (const auto& [reason, count] : absorbed.reasons) json["reasons"][std::string(ToString(reason))] = count;
    json["already_absorbed"] = Json::array();
    for (const SkippedSource& skipped : absorbed.skipped)
      json["already_absorbed"].push_back({{"path", skipped.path}, {"lines", skipped.lines}});
    json["left_out"] = Json::array();
    for (const LeftOut& left_out : absorbed.left_out)
      json["left_out"].push_back({{"path", left_out.path}, {"why", left_out.why}});
    json["needed"] = Json::array();
    for (const LeftOut& needed : absorbed.needed)
      json["needed"].push_back({{"path", needed.path}, {"why", needed.why}});
    json["epochs"] = absorbed.epochs;
    json["stopped"] = absorbed.stopped;
  }
  if (report.sealed != nullptr) {
    const SealReport& sealed = *report.sealed;
    json["seal"] = sealed.seal;
    json["charges"] = sealed.charges;
    json["differences"] = sealed.differences;
    json["unpriced"] = sealed.unpriced_events;
    json["trial"] = sealed.trial_events;
    json["not_rated"] = sealed.not_rated;
    json["batches"] = sealed.batches.size();
    json["totals"] = Json::array();
    for (const auto& [of, sums] : TotalsOf(sealed.batches)) {
      json["totals"].push_back({{"entity", of.first},
                                {"currency", std::string(of.second.code())},
                                {"debit", ToString(Money{of.second, sums.debit})},
                                {"credit", ToString(Money{of.second, sums.credit})}});
    }
    json["waiting"] = ToJson(sealed.waiting);
    json["held_for_approval"] = Json::array();
    for (const HeldBatch& held : sealed.held) {
      json["held_for_approval"].push_back({{"batch", sealed.batches[held.batch].id}, {"why", held.why}});
    }
  }
  json["elapsed_seconds"] = report.seconds;
  if (report.absorbed != nullptr) {
    json["bytes"] = report.absorbed->bytes;
    json["events_per_second"] =
        report.seconds > 0 ? static_cast<uint64_t>(static_cast<double>(report.absorbed->counts.lines) / report.seconds)
                           : 0;
  }
  json["peak_rss_bytes"] = PeakMemoryBytes();
  return json;
}

std::string ToText(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void PrintSetAside(const std::vector<std::string>& not_rated) {
  for (const std::string& why : not_rated) std::fprintf(stderr, "tollbook: set aside: %s\n", why.c_str());
}

int PrintReport(const RunReport& report) {
  if (report.absorbed != nullptr) {
    PrintLines(*report.absorbed, report.sealed);
    PrintExceptions(*report.absorbed);
  }
  if (report.sealed != nullptr) {
    PrintSetAside(report.sealed->not_rated);
    PrintJournal(*report.sealed);
  }
  if (report.absorbed != nullptr) PrintPace(report);
  PrintNext(report);
  return EndPrinted();
}

}  // namespace tollbook
