// Dynamics: a batch as a general journal of Dynamics 365 Finance, over its OData entities.
//
// Dynamics takes no key of ours for a journal: its number is from a number sequence, so the header sent twice is two
// journals. The posting key stands in the header's IntegrationKey, and is looked for before a header is made. A header
// that was made is stored as the delivery's job; its lines follow, one by one, under (journal, line number), which
// Dynamics takes once. Then all are read back. The journal is left unposted: posting it is a job there.
#ifndef TOLLBOOK_PIPELINE_EMIT_DYNAMICS_H_
#define TOLLBOOK_PIPELINE_EMIT_DYNAMICS_H_

#include <memory>
#include <string>
#include <vector>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/http.h"

namespace tollbook {

struct DynamicsJournal {
  std::string company;                // dataAreaId
  std::string header;                 // JSON
  std::vector<std::string> accounts;  // AccountDisplayValue of each line
  // The JSON of each line, but for the journal's number: "{" and "}" are not there.
  std::vector<std::string> lines;
};

// The journal in the codes of Dynamics. FailedPrecondition names what targets.yaml has none for.
[[nodiscard]] absl::StatusOr<DynamicsJournal> DynamicsJournalOf(const ErpJournal& journal, const Target& target);

[[nodiscard]] std::unique_ptr<Emitter> MakeDynamicsEmitter(const Target& target, std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_DYNAMICS_H_
