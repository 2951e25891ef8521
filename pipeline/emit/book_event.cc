#include "pipeline/emit/book_event.h"

#include <algorithm>

#include "ledger/decision.h"
#include "ledger/delivery.h"
#include "ledger/period_change.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

// An object that grows by members.
class JsonObject {
 public:
  JsonObject& Text(std::string_view name, std::string_view value) {
    Name(name);
    AppendJsonString(value, &text_);
    return *this;
  }
  JsonObject& Number(std::string_view name, uint64_t value) {
    Name(name);
    text_ += std::to_string(value);
    return *this;
  }
  std::string Done() { return text_ + "}"; }

 private:
  void Name(std::string_view name) {
    if (text_.size() > 1) text_ += ',';
    AppendJsonString(name, &text_);
    text_ += ':';
  }
  std::string text_ = "{";
};

bool IsOf(const Target& target, const std::string& entity, const std::string& period) {
  const std::vector<std::string>& entities = target.entities;
  const bool is_of_entity = entities.empty() || std::find(entities.begin(), entities.end(), entity) != entities.end();
  return is_of_entity && period >= target.from;
}

// By commit, then in its order.
using EventsByCommit = std::multimap<uint64_t, BookEvent>;

void AddExceptions(const std::vector<CommitRecord>& commits, uint64_t after, EventsByCommit* events) {
  LineCounts before;
  for (const CommitRecord& commit : commits) {
    const auto more = [](uint64_t was, uint64_t is) { return is > was ? is - was : 0; };
    // A retry takes lines out of what is held; what it holds again was told before.
    const uint64_t held = more(before.held, commit.book.held);
    const uint64_t conflict = more(before.conflict, commit.book.conflict);
    const uint64_t rejected = more(before.rejected, commit.book.rejected);
    before = commit.book;
    if (commit.sequence <= after || held + conflict + rejected == 0) continue;
    JsonObject data;
    data.Number("commit", commit.sequence).Text("at", ToString(Instant{commit.committed_at_nanos}));
    data.Number("held", held).Number("conflict", conflict).Number("rejected", rejected);
    events->emplace(commit.sequence, BookEvent{commit.sequence, "exception.raised",
                                               "commit " + std::to_string(commit.sequence), data.Done()});
  }
}

absl::Status AddClosed(const Book& book, const Target& target, uint64_t after, const std::vector<CommitRecord>& commits,
                       EventsByCommit* events) {
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges();
  if (!changes.ok()) return changes.status();
  for (const PeriodChange& change : *changes) {
    const bool is_news = change.sequence > after && change.after == PeriodState::kClosed;
    if (!is_news || !IsOf(target, change.entity, change.period.name)) continue;
    JsonObject data;
    data.Number("commit", change.sequence);
    data.Text("at", ToString(Instant{commits[change.sequence - 1].committed_at_nanos}));
    data.Text("entity", change.entity).Text("accounting_period", change.period.name);
    data.Text("first_day", ToString(change.period.first)).Text("last_day", ToString(change.period.last));
    data.Text("by", change.by).Text("why", change.why);
    events->emplace(change.sequence,
                    BookEvent{change.sequence, "period.closed", change.entity + " " + change.period.name, data.Done(),
                              change.entity, change.period.name});
  }
  return absl::OkStatus();
}

// A person's word with the name and the reason; otherwise what the target answered.
void AddOutcome(const Decision& decision, bool posted, JsonObject* data) {
  constexpr std::string_view kAs = "as ";  // before the document that the target named
  std::string_view said = decision.why;
  if (!decision.by.empty()) {
    data->Text("by", decision.by).Text("why", said);
  } else if (!posted) {
    data->Text("error", said);
  } else if (said.starts_with(kAs)) {
    data->Text("document", said.substr(kAs.size()));
  }
}

absl::Status AddJournal(const Book& book, const Target& target,
                        const std::map<std::string, JournalBatch, std::less<>>& batches, uint64_t after,
                        const std::vector<CommitRecord>& commits, EventsByCommit* events) {
  const absl::StatusOr<std::vector<DecisionCommit>> decided = Decisions(book);
  if (!decided.ok()) return decided.status();
  for (const DecisionCommit& commit : *decided) {
    if (commit.sequence <= after) continue;
    for (const Decision& decision : commit.decisions) {
      const bool posted = decision.after == Word(DeliveryState::kConfirmed);
      const bool failed = decision.after == Word(DeliveryState::kParked);
      const bool is_asked_for = (posted && target.journal_posted) || (failed && target.journal_failed);
      if (decision.kind != DecisionKind::kDelivery || !is_asked_for) continue;
      const size_t blank = decision.which.find(' ');  // no target's name has one
      const std::string to = decision.which.substr(0, blank);
      const auto batch = blank == std::string::npos ? batches.end() : batches.find(decision.which.substr(blank + 1));
      if (batch == batches.end() || to == target.name) continue;
      const JournalBatch& of = batch->second;
      if (!IsOf(target, of.entity, of.accounting_period)) continue;
      JsonObject data;
      data.Number("commit", commit.sequence);
      data.Text("at", ToString(Instant{commits[commit.sequence - 1].committed_at_nanos}));
      data.Text("target", to).Text("batch_id", of.id).Text("posting_key", of.posting_key);
      data.Text("entity", of.entity).Text("accounting_period", of.accounting_period);
      data.Text("currency", of.currency.code());
      AddOutcome(decision, posted, &data);
      events->emplace(commit.sequence, BookEvent{commit.sequence, posted ? "journal.posted" : "journal.failed", of.id,
                                                 data.Done(), of.entity, of.accounting_period});
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<BookEvent>> EventsOf(const Book& book, const Target& target,
                                                const std::map<std::string, JournalBatch, std::less<>>& batches,
                                                uint64_t after) {
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  EventsByCommit by_commit;
  if (target.exception_raised) AddExceptions(*commits, after, &by_commit);
  if (target.period_closed) TOLLBOOK_RETURN_IF_ERROR(AddClosed(book, target, after, *commits, &by_commit));
  if (target.journal_posted || target.journal_failed) {
    TOLLBOOK_RETURN_IF_ERROR(AddJournal(book, target, batches, after, *commits, &by_commit));
  }
  std::vector<BookEvent> events;
  for (auto& [commit, event] : by_commit) events.push_back(std::move(event));
  return events;
}

}  // namespace tollbook
