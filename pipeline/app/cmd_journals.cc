#include <algorithm>
#include <map>

#include "pipeline/app/commands.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/charges.h"

namespace tollbook {
namespace {

Table TableOf(const std::vector<JournalBatch>& batches) {
  Table table({{"batch_id"},
               {"posting_key"},
               {"entity"},
               {"accounting_period"},
               {"posting_date"},
               {"line", true},
               {"account"},
               {"debit", true},
               {"credit", true},
               {"currency"},
               {"dimensions"},
               {"product"},
               {"memo"}});
  for (const JournalBatch& batch : batches) {
    for (const JournalLine& line : batch.lines) {
      std::vector<Posting> postings = PostingsOf(line);
      std::sort(postings.begin(), postings.end(),
                [](const Posting& a, const Posting& b) { return a.account < b.account; });
      for (const Posting& posting : postings) {
        const Money nothing{batch.currency, 0};
        table.Add({batch.id, batch.posting_key, batch.entity, batch.accounting_period, ToString(line.key.posting_date),
                   std::to_string(line.number), std::string(posting.account),
                   ToString(posting.is_debit ? posting.amount : nothing),
                   ToString(posting.is_debit ? nothing : posting.amount), std::string(batch.currency.code()),
                   line.key.dimensions, line.key.product, line.memo()});
      }
    }
  }
  return table;
}

// For people: what can be read on a screen; the batch's id says entity, currency and period. The posting key and the
// rest are in the CSV.
Table ShortTableOf(const std::vector<JournalBatch>& batches) {
  Table table({{"line", false, Narrow::kKeep},
               {"posting_date", false, Narrow::kKeep},
               {"account"},
               {"debit", true},
               {"credit", true},
               {"product"}});
  for (const JournalBatch& batch : batches) {
    for (const JournalLine& line : batch.lines) {
      for (const Posting& posting : PostingsOf(line)) {
        const std::string amount = ToString(posting.amount);
        table.Add({batch.id + "/" + std::to_string(line.number), ToString(line.key.posting_date),
                   std::string(posting.account), posting.is_debit ? amount : "", posting.is_debit ? "" : amount,
                   line.key.product});
      }
    }
  }
  return table;
}

// Plain-text accounting, as ledger and hledger read it: the top account is the type, so that their reports know assets
// from revenue.
class LedgerText {
 public:
  explicit LedgerText(const Catalog& catalog) {
    for (const Account& account : catalog.accounts) accounts_[account.code] = account;
  }

  std::string Of(const std::vector<JournalBatch>& batches) const {
    std::string text;
    for (const JournalBatch& batch : batches) {
      for (const JournalLine& line : batch.lines) {
        text += ToString(line.key.posting_date) + " * (" + batch.id + "/" + std::to_string(line.number) + ") " +
                Plain(line.memo()) + "\n";
        text += "    ; posting_key: " + batch.posting_key + "\n";
        if (!line.key.dimensions.empty()) text += "    ; dimensions: " + Plain(line.key.dimensions) + "\n";
        for (const Posting& posting : PostingsOf(line)) {
          text += "    " + Name(batch.entity, posting.account) + "  " + (posting.is_debit ? "" : "-") +
                  ToString(posting.amount) + " " + std::string(batch.currency.code()) + "\n";
        }
        text += "\n";
      }
    }
    return text;
  }

 private:
  std::string Name(const std::string& entity, std::string_view code) const {
    const auto it = accounts_.find(std::string(code));
    if (it == accounts_.end()) return "unknown:" + entity + ":" + std::string(code);
    static const std::map<std::string, std::string> kTop = {{"asset", "assets"},
                                                            {"liability", "liabilities"},
                                                            {"equity", "equity"},
                                                            {"revenue", "revenues"},
                                                            {"expense", "expenses"}};
    const auto top = kTop.find(it->second.type);
    return (top == kTop.end() ? it->second.type : top->second) + ":" + entity + ":" +
           Plain(std::string(code) + " " + it->second.name);
  }
  // A name must not hold what the format gives a meaning: two blanks in a row end an account, a semicolon begins a
  // comment.
  static std::string Plain(std::string_view name) {
    std::string plain;
    for (const char c : name) {
      const char kept = c == ';' || c == '\t' || c == '\n' || c == '(' || c == ')' || c == '[' || c == ']' ? ' ' : c;
      if (kept == ' ' && (plain.empty() || plain.back() == ' ')) continue;
      plain += kept;
    }
    while (!plain.empty() && plain.back() == ' ') plain.pop_back();
    return plain;
  }
  std::map<std::string, Account> accounts_;
};

absl::StatusOr<int> Show(const ReadOptions& options) {
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "journals");
  if (!book.ok()) return book.status();
  absl::StatusOr<std::vector<JournalBatch>> batches = (*book)->Batches();
  if (!batches.ok()) return batches.status();
  if (options.format == "ledger") {
    if (batches->empty()) return kDone;
    absl::StatusOr<Catalog> catalog = SealedCatalog(**book);
    if (!catalog.ok()) return catalog.status();
    return Print(LedgerText(*catalog).Of(*batches));
  }
  if (batches->empty() && options.format.empty()) {
    return Print("The journal is empty: `tollbook seal` books what was absorbed.\n");
  }
  return PrintTable(options.format.empty() ? ShortTableOf(*batches) : TableOf(*batches), options.format);
}

}  // namespace

int CmdJournals(const ReadOptions& options) {
  const absl::StatusOr<int> code = Show(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
