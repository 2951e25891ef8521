// ErpCall: what the emitters of ERPs have in common: codes of targets.yaml, and answers that say the same everywhere.
#ifndef TOLLBOOK_PIPELINE_EMIT_ERP_CALL_H_
#define TOLLBOOK_PIPELINE_EMIT_ERP_CALL_H_

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "pipeline/emit/call_outcome.h"
#include "pipeline/emit/emitter.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/http.h"
#include "pipeline/json_tree.h"

namespace tollbook {

// An ERP that takes each batch as an ErpJournal over HTTP, and can be asked what it has.
class ErpEmitter : public Emitter {
 public:
  PlannedDelivery Make(const JournalBatch& batch) const final;
  bool AsksFirst() const final { return true; }

 protected:
  ErpEmitter(const Target& target, std::unique_ptr<HttpClient> http);
  // Of a POST, to the letter but for the secrets, up to its body.
  std::string ShowHead(std::string_view path, std::span<const std::string> headers) const;

  const Target target_;
  const std::string base_;  // its URL, without a slash at the end
  const std::unique_ptr<HttpClient> http_;
};

// The text of a value that is text, number or bool; empty: there is none.
[[nodiscard]] std::string ScalarAt(const JsonTree& map, std::string_view key);

// FailedPrecondition: `what` has no code there, and `key` of targets.yaml is where it belongs.
[[nodiscard]] absl::Status NoErpCode(std::string_view what, std::string_view system, std::string_view key);
// The code there of ours; or NoErpCode, of `what` and ours.
[[nodiscard]] absl::StatusOr<std::string> ErpCode(const std::map<std::string, std::string>& codes,
                                                  const std::string& ours, std::string_view what,
                                                  std::string_view system, std::string_view key);
// The code of a dimension's value under `dimensions`; none: the target knows nothing of that dimension.
[[nodiscard]] absl::StatusOr<std::optional<std::string>> ErpDimension(const Target& target, const std::string& name,
                                                                      const std::string& value,
                                                                      std::string_view system);

// What of a line `dimensions` may map: the dimensions of its posting rule and, as "product", its product.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> MappableOf(const ErpLine& line);
// The fields of a line that codes such as "department=7" fill there, by name, in the order of its dimensions; of those
// that have no field, `text` tells.
[[nodiscard]] absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ErpFields(const Target& target,
                                                                                         const ErpLine& line,
                                                                                         std::string_view system,
                                                                                         std::string* text);
// Adds ", region=eu" of a dimension that has no field there; of the product nothing, for the memo has it.
void TellDimension(const ErpLine& line, std::string_view name, std::string_view value, std::string* text);
// The id there of the customer that a line names: of its dimension "subscription", by customers.csv. Empty: its account
// is none of `customer_accounts`. FailedPrecondition: it is one, and nobody says whose the line is, or who that is
// there.
[[nodiscard]] absl::StatusOr<std::string> ErpCustomer(const Target& target, const ErpLine& line,
                                                      std::string_view system);

// FailedPrecondition: the stored journal cannot be read.
[[nodiscard]] absl::Status NoStoredJournal(const Parcel& parcel);
// The journal that was stored; nothing: `outcome` says why not.
[[nodiscard]] std::optional<ErpJournal> StoredJournal(const Parcel& parcel, Attempt* outcome);

// 80 bits of the posting key's SHA-256 as 16 of A-Z and 2-7, for fields that are too short for the key itself.
[[nodiscard]] std::string ShortKey(std::string_view posting_key);
// The first so many characters of UTF-8.
[[nodiscard]] std::string FirstCharacters(std::string_view text, size_t characters);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_ERP_CALL_H_
