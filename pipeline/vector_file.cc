#include "pipeline/vector_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <system_error>

namespace tollbook {
namespace {

namespace fs = std::filesystem;

absl::Status Wrong(std::string_view what, const std::string& which) {
  return MakeError(absl::StatusCode::kInvalidArgument, what, which,
                   "see tests/conformance/rating/README.md for the format");
}

const JsonTree* FindKind(const JsonTree& map, std::string_view key, JsonTree::Kind kind) {
  const JsonTree* value = map.Find(key);
  return value != nullptr && value->kind == kind ? value : nullptr;
}

absl::StatusOr<VectorCase> CaseOf(const JsonTree& tree, const std::string& name, size_t number) {
  using Kind = JsonTree::Kind;
  const JsonTree* id = FindKind(tree, "id", Kind::kText);
  if (id == nullptr || id->text.empty())
    return Wrong("a case without an id", name + ", case " + std::to_string(number));
  const std::string which = name + ", case " + id->text;
  const JsonTree* model = FindKind(tree, "model", Kind::kText);
  const JsonTree* params = FindKind(tree, "params", Kind::kMap);
  const JsonTree* expected = FindKind(tree, "expected", Kind::kMap);
  if (model == nullptr) return Wrong("a case without a model", which);
  if (params == nullptr) return Wrong("a case without params, or they are no object", which);
  if (expected == nullptr || expected->keys.empty())
    return Wrong("a case without what is expected, or it is no object", which);
  return VectorCase{name, id->text, model->text, *params, *expected, tree};
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(kJsonTreeBytesMax + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad() || (!file.eof() && file.gcount() == 0)) {
    return MakeError(absl::StatusCode::kNotFound, "the vectors cannot be read", path,
                     "name a readable file, or a directory with .json files");
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

absl::StatusOr<std::vector<std::string>> FilesOf(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> files;
  for (fs::directory_iterator entry(path, error); !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".json") files.push_back(entry->path().string());
  }
  if (error || files.empty()) {
    return MakeError(absl::StatusCode::kNotFound, error ? error.message() : "no .json file", path,
                     "name a readable file, or a directory with .json files");
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

absl::StatusOr<std::vector<VectorCase>> ParseVectorFile(std::string_view text, const std::string& name) {
  absl::StatusOr<JsonTree> file = ReadJsonTree(text, name);
  if (!file.ok()) return file.status();
  const JsonTree* list = FindKind(*file, "cases", JsonTree::Kind::kList);
  if (list == nullptr) return Wrong("no list of cases", name);
  std::vector<VectorCase> cases;
  for (const JsonTree& tree : list->items) {
    absl::StatusOr<VectorCase> one = CaseOf(tree, name, cases.size() + 1);
    if (!one.ok()) return one.status();
    cases.push_back(*std::move(one));
  }
  return cases;
}

absl::StatusOr<std::vector<VectorCase>> ReadVectors(const std::string& path) {
  absl::StatusOr<std::vector<std::string>> files = FilesOf(path);
  if (!files.ok()) return files.status();
  std::vector<VectorCase> all;
  std::set<std::string> ids;
  for (const std::string& file : *files) {
    absl::StatusOr<std::string> text = ReadFile(file);
    if (!text.ok()) return text.status();
    absl::StatusOr<std::vector<VectorCase>> cases = ParseVectorFile(*text, file);
    if (!cases.ok()) return cases.status();
    for (VectorCase& one : *cases) {
      if (!ids.insert(one.id).second) return Wrong("an id stands twice", file + ", case " + one.id);
      all.push_back(std::move(one));
    }
  }
  return all;
}

}  // namespace tollbook
