// VectorFile: conformance vectors as files tell them: what a charge model's price, usage and expected amount are, in
// neutral names (tests/conformance/rating/README.md).
#ifndef TOLLBOOK_PIPELINE_VECTOR_FILE_H_
#define TOLLBOOK_PIPELINE_VECTOR_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "pipeline/json_tree.h"
#include "rating/error.h"

namespace tollbook {

struct VectorCase {
  std::string file;  // as it was named
  std::string id;
  std::string model;
  JsonTree params;    // a map
  JsonTree expected;  // a map
  JsonTree all;       // the case with all its keys
};

// The cases of one file, or why it has none: InvalidArgument with file and line, or case and key.
[[nodiscard]] absl::StatusOr<std::vector<VectorCase>> ParseVectorFile(std::string_view text, const std::string& name);

// Those of a file, or of the .json files of a directory (not of directories below it), by name. An id stands once in
// all of them. NotFound: they cannot be read, or there are none; InvalidArgument: what ParseVectorFile refuses.
[[nodiscard]] absl::StatusOr<std::vector<VectorCase>> ReadVectors(const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_FILE_H_
