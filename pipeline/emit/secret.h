// Secret: a password or key, read from where targets.yaml says. It is shown to nobody, and wiped when it is given up.
#ifndef TOLLBOOK_PIPELINE_EMIT_SECRET_H_
#define TOLLBOOK_PIPELINE_EMIT_SECRET_H_

#include <string>
#include <string_view>

#include "pipeline/targets.h"
#include "rating/error.h"

namespace tollbook {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.Wipe(); }
  Secret& operator=(Secret&& other) noexcept;
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret() { Wipe(); }

  // To hand on to the target, and nowhere else.
  std::string_view value() const { return value_; }
  // The text with "****" wherever the secret stands in it: answers of a target may repeat what they were sent.
  std::string MaskedIn(std::string text) const;

 private:
  void Wipe();
  std::string value_;
};

// The file's or the variable's text, without a line end at its end. Refused: a file that others than its owner may
// read, an empty secret, one of more than a page. A relative path begins at `directory`.
[[nodiscard]] absl::StatusOr<Secret> ReadSecret(const SecretReference& reference, const std::string& directory);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_SECRET_H_
