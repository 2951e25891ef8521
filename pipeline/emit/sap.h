// Sap: a batch as a journal entry of SAP S/4HANA Cloud, over its synchronous SOAP service.
//
// The service knows no key. The entry's DocumentReferenceID is made of the posting key, and the items of documents that
// have it are looked for before anything is sent, and again before what was answered is believed: the answer names a
// document, and the document must be ours, line by line. A status of 200 with document 0000000000 is a refusal.
#ifndef TOLLBOOK_PIPELINE_EMIT_SAP_H_
#define TOLLBOOK_PIPELINE_EMIT_SAP_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/http.h"

namespace tollbook {

inline constexpr size_t kSapLinesMax = 999;  // of a document, in the entry view

// The JournalEntryBulkCreateRequest in SAP's codes. FailedPrecondition names what targets.yaml has none for.
[[nodiscard]] absl::StatusOr<std::string> SapJournal(const ErpJournal& journal, const Target& target);

// The texts of the elements of that name, whatever their prefix, in order; of one that has elements in it, what stands
// before the first. For answers: no CDATA, no comments.
[[nodiscard]] std::vector<std::string> XmlTexts(std::string_view xml, std::string_view name);

[[nodiscard]] std::unique_ptr<Emitter> MakeSapEmitter(const Target& target, std::unique_ptr<HttpClient> http);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_SAP_H_
