// Files: a batch as a file in a directory that others read.
//
// BATCH.csv is written under a temporary name, synced, renamed, and the directory synced; then BATCH.csv.sha256 in the
// same way, which `sha256sum --check` reads. Who reads takes a file when its .sha256 is there, and never sees half of
// one. The name is the key: the same batch is the same file with the same bytes.
#ifndef TOLLBOOK_PIPELINE_EMIT_FILES_H_
#define TOLLBOOK_PIPELINE_EMIT_FILES_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/emit/emitter.h"

namespace tollbook {

// The directory itself, whichever way targets.yaml writes it: from the root, by whatever links lead to it, as far as it
// is there.
[[nodiscard]] std::string ResolvedDirectory(std::string_view catalog_directory, std::string_view directory);

// The first link on the way to it that cannot be followed, as where its goal is away for a while: nobody can say which
// directory it is, or what it has. None: each can be.
[[nodiscard]] std::optional<std::string> BrokenLink(std::string_view catalog_directory, std::string_view directory);

[[nodiscard]] std::unique_ptr<Emitter> MakeFilesEmitter(const Target& target, const EmitterContext& context);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_FILES_H_
