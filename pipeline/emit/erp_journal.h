// ErpJournal: a batch as the stored bytes of an ERP's delivery: our codes, decimals as text, one date.
//
// The ERP's codes are put in when it is sent, so that a batch that waits for a missing one needs no new body.
#ifndef TOLLBOOK_PIPELINE_EMIT_ERP_JOURNAL_H_
#define TOLLBOOK_PIPELINE_EMIT_ERP_JOURNAL_H_

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "ledger/journal.h"

namespace tollbook {

struct ErpLine {
  std::string account;
  bool is_debit = false;
  std::string amount;  // positive, "12.50"
  std::string memo;
  std::vector<std::pair<std::string, std::string>> dimensions;
  std::string product = {};  // empty: planned before it was stored
  friend bool operator==(const ErpLine&, const ErpLine&) = default;
};

struct ErpJournal {
  std::string key;    // the posting key
  std::string batch;  // for people
  std::string entity;
  std::string currency;
  std::string date;  // the last posting date: "2025-01-31"
  std::vector<ErpLine> lines;
  friend bool operator==(const ErpJournal&, const ErpJournal&) = default;
};

[[nodiscard]] ErpJournal ErpJournalOf(const JournalBatch& batch);
[[nodiscard]] std::string Encode(const ErpJournal& journal);
[[nodiscard]] std::optional<ErpJournal> DecodeErpJournal(std::string_view stored);

// What of a journal is compared with what an ERP has: (account there, is it a debit, amount without trailing zeros).
using ErpSide = std::tuple<std::string, bool, std::string>;
// Of a line that, and what it says in fields there, by their names.
struct ErpCompared {
  ErpSide side;
  std::map<std::string, std::string> fields = {};
};
// Whether each of ours is there, once, and nothing else. Fields that an ERP fills in by itself, so those that ours do
// not have, do not matter; nor does one of ours that a line there does not name.
[[nodiscard]] bool SameLines(std::span<const ErpCompared> ours, std::span<const ErpCompared> there);
// "118.50", "118.5" and "118.500" are one amount; none: no decimal.
[[nodiscard]] std::optional<std::string> PlainAmount(std::string_view decimal);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_ERP_JOURNAL_H_
