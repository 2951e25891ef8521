// VectorParams: the parameters of a case, each taken once by who understands it. What nobody took is not understood.
#ifndef TOLLBOOK_PIPELINE_VECTOR_PARAMS_H_
#define TOLLBOOK_PIPELINE_VECTOR_PARAMS_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "pipeline/json_tree.h"
#include "rating/decimal.h"

namespace tollbook {

// A parameter that is null is as good as absent. The first wrong value is kept; what is then given is harmless.
class VectorParams {
 public:
  VectorParams(const JsonTree& map, absl::Status* status) : map_(map), status_(*status) {}  // both borrowed

  const JsonTree* Take(std::string_view key);  // null: absent
  const JsonTree* TakeList(std::string_view key);
  std::string Text(std::string_view key);  // "": absent
  bool Bool(std::string_view key, bool otherwise);
  // A decimal's text; a whole number may stand without quotes.
  std::optional<std::string> Decimal(std::string_view key);
  std::string RequiredDecimal(std::string_view key);
  std::optional<Int128> Attos(std::string_view key);

  void Wrong(std::string_view key, std::string_view what);
  void NotHere(std::string_view what);  // understood, and the catalog has no word for it
  bool ok() const { return status_.ok(); }
  absl::Status* status() { return &status_; }
  // What was not taken is not here.
  void RefuseOthers();

 private:
  const JsonTree& map_;
  absl::Status& status_;
  std::set<std::string, std::less<>> taken_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_VECTOR_PARAMS_H_
