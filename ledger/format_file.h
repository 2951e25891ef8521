// FormatFile: the file FORMAT says that a directory is a book, and of which stored format. It is written last when a
// book is made: without it there is no book yet, with it everything else must be there.
#ifndef TOLLBOOK_LEDGER_FORMAT_FILE_H_
#define TOLLBOOK_LEDGER_FORMAT_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

inline constexpr std::string_view kFormatFileName = "FORMAT";

// 0: the directory has no such file. FailedPrecondition: a newer format than this program's, or one that it reads no
// more. DataLoss: unreadable.
absl::StatusOr<uint32_t> ReadFormatFile(const std::string& directory);
std::string FormatFileBytes(uint32_t version);
// With kFormatVersion; synced when it returns.
absl::Status WriteFormatFile(const std::string& directory);

// FailedPrecondition, with the versions and the remedy.
absl::Status NewerFormatError(const std::string& directory, uint32_t version);
absl::Status OlderFormatError(const std::string& directory, uint32_t version);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_FORMAT_FILE_H_
