// Oracle: a batch as a journal import of Oracle Fusion Cloud ERP: GlInterface.csv in a zip, by importBulkData.
//
// Oracle drops no repeat. The journal batch's name there begins with the posting key, and is looked for before anything
// is sent; the import's request and group are stored as the delivery's job, and asked for until it is over. That a
// request succeeded does not say that the journal is there: only the batch of that name does. Each send has a group id
// of its own, so that no import takes along what another left in the interface table. An import whose request was not
// named, or whose request Oracle no longer knows, may wait in the queue there for as long as it likes: nothing is sent
// after it unless `resend_after_seconds` says how long none waits. What a person retries is sent again where the
// request of the last send is over and made no batch.
#ifndef TOLLBOOK_PIPELINE_EMIT_ORACLE_H_
#define TOLLBOOK_PIPELINE_EMIT_ORACLE_H_

#include <memory>
#include <string>
#include <string_view>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/http.h"

namespace tollbook {

// 59 bits of the SHA-256 of the posting key and of how often it has been sent, this time included: at most 18 digits.
[[nodiscard]] std::string OracleGroupId(std::string_view posting_key, uint32_t sends);
// GlInterface.csv in Oracle's codes. FailedPrecondition names what targets.yaml has none for.
[[nodiscard]] absl::StatusOr<std::string> OracleJournal(const ErpJournal& journal, const Target& target,
                                                        std::string_view group_id);
// A zip of one file, stored as it is: the same bytes each time.
[[nodiscard]] std::string ZipOf(std::string_view name, std::string_view bytes);

[[nodiscard]] std::unique_ptr<Emitter> MakeOracleEmitter(const Target& target, std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_ORACLE_H_
