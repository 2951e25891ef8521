#include "pipeline/journal_text.h"

#include <algorithm>

#include "pipeline/json_text.h"

namespace tollbook {
namespace {

// A name must not hold what the format gives a meaning: two blanks in a row end an account, a semicolon begins a
// comment.
std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    const char kept = c == ';' || c == '\t' || c == '\n' || c == '(' || c == ')' || c == '[' || c == ']' ? ' ' : c;
    if (kept == ' ' && (plain.empty() || plain.back() == ' ')) continue;
    plain += kept;
  }
  while (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return plain;
}

// `"key":"text",`
void AppendMember(std::string_view key, std::string_view text, std::string* out) {
  AppendJsonString(key, out);
  out->push_back(':');
  AppendJsonString(text, out);
  out->push_back(',');
}

std::string JsonOf(const JournalLine& line) {
  std::string json = "{\"line\":" + std::to_string(line.number) + ",";
  AppendMember("posting_date", ToString(line.key.posting_date), &json);
  AppendMember("debit_account", line.debit_account(), &json);
  AppendMember("credit_account", line.credit_account(), &json);
  AppendMember("amount", ToString(line.amount()), &json);
  AppendMember("product", line.key.product, &json);
  AppendMember("dimensions", line.key.dimensions, &json);
  AppendMember("memo", line.memo(), &json);
  json.back() = '}';
  return json;
}

}  // namespace

std::vector<std::vector<std::string>> RowsOf(const JournalBatch& batch) {
  std::vector<std::vector<std::string>> rows;
  const std::string nothing = ToString(Money{batch.currency, 0});
  for (const JournalLine& line : batch.lines) {
    std::vector<Posting> postings = PostingsOf(line);
    std::sort(postings.begin(), postings.end(),
              [](const Posting& a, const Posting& b) { return a.account < b.account; });
    for (const Posting& posting : postings) {
      const std::string amount = ToString(posting.amount);
      rows.push_back({batch.id, batch.posting_key, batch.entity, batch.accounting_period,
                      ToString(line.key.posting_date), std::to_string(line.number), std::string(posting.account),
                      posting.is_debit ? amount : nothing, posting.is_debit ? nothing : amount,
                      std::string(batch.currency.code()), line.key.dimensions, line.key.product, line.memo()});
    }
  }
  return rows;
}

std::vector<std::vector<std::string>> FunctionalRowsOf(const JournalBatch& batch, const LineAmounts& amounts) {
  std::vector<std::vector<std::string>> rows = RowsOf(batch);
  constexpr size_t kAccount = 6;
  static_assert(kJournalColumns[kAccount].name == "account");
  for (size_t i = 0; i < rows.size(); ++i) {
    std::vector<std::string>& row = rows[i];
    const std::optional<FunctionalAmount>& functional = amounts[i / 2];  // two postings a line
    if (!functional) {
      row.resize(row.size() + kFunctionalColumns.size());
      continue;
    }
    const std::string amount = ToString(functional->amount);
    const std::string nothing = ToString(Money{functional->amount.currency, 0});
    const bool is_debit = row[kAccount] == batch.lines[i / 2].debit_account();
    row.push_back(is_debit ? amount : nothing);
    row.push_back(is_debit ? nothing : amount);
    row.emplace_back(functional->amount.currency.code());
    row.push_back(functional->rate ? ToString(functional->rate->rate) : "");
    row.push_back(functional->rate ? ToString(functional->rate->date) : "");
  }
  return rows;
}

void AppendCsvCell(std::string_view cell, std::string* out) {
  if (cell.find_first_of(",\"\r\n") == std::string_view::npos) {
    out->append(cell);
    return;
  }
  out->push_back('"');
  for (const char c : cell) {
    if (c == '"') out->push_back('"');
    out->push_back(c);
  }
  out->push_back('"');
}

std::string CsvOf(const JournalBatch& batch) {
  std::string csv;
  for (const JournalColumn& column : kJournalColumns) {
    if (!csv.empty()) csv.push_back(',');
    csv.append(column.name);
  }
  csv.push_back('\n');
  for (const std::vector<std::string>& row : RowsOf(batch)) {
    for (size_t i = 0; i < row.size(); ++i) {
      if (i != 0) csv.push_back(',');
      AppendCsvCell(row[i], &csv);
    }
    csv.push_back('\n');
  }
  return csv;
}

std::string JsonOf(const JournalBatch& batch) {
  // Debits and credits are equal: each line has one of both.
  Money sum{batch.currency, 0};
  for (const JournalLine& line : batch.lines) sum.minor += line.amount().minor;
  std::string json = "{";
  AppendMember("batch_id", batch.id, &json);
  AppendMember("posting_key", batch.posting_key, &json);
  AppendMember("entity", batch.entity, &json);
  AppendMember("currency", batch.currency.code(), &json);
  AppendMember("accounting_period", batch.accounting_period, &json);
  if (!batch.reverses.empty()) AppendMember("reverses", batch.reverses, &json);
  json += "\"seal\":" + std::to_string(batch.seal) + ",";
  AppendMember("debit", ToString(sum), &json);
  AppendMember("credit", ToString(sum), &json);
  json += "\"lines\":[";
  for (const JournalLine& line : batch.lines) {
    if (line.number > 1) json.push_back(',');
    json += JsonOf(line);
  }
  return json + "]}\n";
}

absl::StatusOr<std::string> ParquetOf(const JournalBatch& batch) {
  std::vector<ParquetColumn> columns;
  for (const JournalColumn& column : kJournalColumns) columns.push_back({std::string(column.name), column.type});
  std::string file;
  ParquetWriter writer(std::move(columns), ParquetPages::kUncompressed, [&](std::string_view bytes) {
    file.append(bytes);
    return absl::OkStatus();
  });
  for (const std::vector<std::string>& row : RowsOf(batch)) TOLLBOOK_RETURN_IF_ERROR(writer.Add(row));
  TOLLBOOK_RETURN_IF_ERROR(writer.Finish());
  return file;
}

LedgerText::LedgerText(const Catalog& catalog) {
  for (const Account& account : catalog.accounts) accounts_[account.code] = account;
}

std::string LedgerText::Of(const JournalBatch& batch, const LineAmounts& amounts) const {
  std::string text;
  for (const JournalLine& line : batch.lines) {
    text += ToString(line.key.posting_date) + " * (" + batch.id + "/" + std::to_string(line.number) + ") " +
            Plain(line.memo()) + "\n";
    text += "    ; posting_key: " + batch.posting_key + "\n";
    if (!batch.reverses.empty()) text += "    ; reverses: " + batch.reverses + "\n";
    if (!line.key.dimensions.empty()) text += "    ; dimensions: " + Plain(line.key.dimensions) + "\n";
    std::string cost;
    if (!amounts.empty() && amounts[line.number - 1]) {
      const Money& functional = amounts[line.number - 1]->amount;
      if (functional.currency != batch.currency) {
        cost = " @@ " + ToString(functional) + " " + std::string(functional.currency.code());
      }
    }
    for (const Posting& posting : PostingsOf(line)) {
      text += "    " + Name(batch.entity, posting.account) + "  " + (posting.is_debit ? "" : "-") +
              ToString(posting.amount) + " " + std::string(batch.currency.code()) + cost + "\n";
    }
    text += "\n";
  }
  return text;
}

std::string LedgerText::Name(const std::string& entity, std::string_view code) const {
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

}  // namespace tollbook
