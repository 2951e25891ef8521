// DurableFile: what the book's few plain files need so that they survive power loss.
#ifndef TOLLBOOK_LEDGER_DURABLE_FILE_H_
#define TOLLBOOK_LEDGER_DURABLE_FILE_H_

#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

// All of `bytes` or nothing: written under another name (`path` + ".new"), synced, renamed, and the directory synced.
absl::Status WriteFileAtomically(const std::string& directory, std::string_view name, std::string_view bytes);

// "<what>: <path>: <errno in words>: check the disk …". Unavailable.
absl::Status FileError(std::string_view what, const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DURABLE_FILE_H_
