// NetSuite: a batch as a journalEntry, over its REST record service.
//
// The posting key is the record's externalId, which NetSuite takes once; made by POST, never by PUT, which would change
// a journal that is there. It is asked for as a job (`Prefer: respond-async`) under an idempotency key that is made of
// the posting key and the body: the same again gives the first job, and nothing else ever goes under that key. A job
// that failed is remembered under its key, so what is sent after it has a key made of it, too. What became of it is
// what the record itself says.
#ifndef TOLLBOOK_PIPELINE_EMIT_NETSUITE_H_
#define TOLLBOOK_PIPELINE_EMIT_NETSUITE_H_

#include <memory>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/http.h"

namespace tollbook {

[[nodiscard]] std::unique_ptr<Emitter> MakeNetsuiteEmitter(const Target& target, std::unique_ptr<HttpClient> http);

// The journal in NetSuite's codes. FailedPrecondition names what targets.yaml has none for.
[[nodiscard]] absl::StatusOr<std::string> NetsuiteJournal(const ErpJournal& journal, const Target& target);
// A UUID of version 5 in the namespace of URLs, of the posting key, of the failed job that it comes after (empty: of
// none), and of the body's SHA-256: "tb-1/70/9f86…", or "tb-1/9f86…".
[[nodiscard]] std::string NetsuiteIdempotencyKey(std::string_view posting_key, std::string_view failed_job,
                                                 std::string_view body);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_NETSUITE_H_
