// DurableFile: what the book's directory and its few plain files need so that they survive power loss.
#ifndef TOLLBOOK_LEDGER_DURABLE_FILE_H_
#define TOLLBOOK_LEDGER_DURABLE_FILE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "rating/error.h"

namespace tollbook {

// All of `bytes` or nothing: written under another name (`path` + ".new"), synced, renamed, and the directory synced.
absl::Status WriteFileAtomically(const std::string& directory, std::string_view name, std::string_view bytes);

// What was made or renamed in `directory` is there after power loss.
absl::Status SyncDirectory(const std::string& directory);

// Makes `directory` and what is missing above it. The parent of each that it made is synced before the next is made; so
// is the parent of the innermost that was there, which a call that a crash ended may have made. A parent that may not
// be read is left out: others made what is in it.
absl::Status MakeDirectorySynced(const std::string& directory,
                                 const std::function<absl::Status(const std::string&)>& sync = SyncDirectory);

// All of `bytes` from the file's byte `at` on, however often a signal interrupts. `path` is for the message.
absl::Status WriteAll(int fd, std::string_view bytes, int64_t at, const std::string& path);

// The file's data and size on disk.
absl::Status SyncData(int fd, const std::string& path);

// "<what>: <path>: <errno in words>: check the disk …". Unavailable.
absl::Status FileError(std::string_view what, const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_DURABLE_FILE_H_
