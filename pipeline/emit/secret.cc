#include "pipeline/emit/secret.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

namespace tollbook {
namespace {

constexpr size_t kSecretBytesMax = 4096;

absl::Status Refused(std::string_view what, const std::string& which, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, which, what_to_do);
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return Refused("a secret cannot be read", path + ": " + std::strerror(errno), "mend the file");
  struct stat about = {};
  const bool known = fstat(fd, &about) == 0;
  std::string text(kSecretBytesMax + 1, '\0');
  const ssize_t bytes = known && S_ISREG(about.st_mode) ? read(fd, text.data(), text.size()) : -1;
  close(fd);
  if (bytes < 0) return Refused("a secret cannot be read", path + ": not a regular file", "name a file");
  // The descriptor's mode: nobody can have changed the file between the look and the reading.
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    OPENSSL_cleanse(text.data(), text.size());
    return Refused("others may read a secret", path, "chmod 600 it, and replace the secret if others did");
  }
  text.resize(static_cast<size_t>(bytes));
  return text;
}

}  // namespace

Secret& Secret::operator=(Secret&& other) noexcept {
  if (this != &other) {
    Wipe();
    value_ = std::move(other.value_);
    other.Wipe();
  }
  return *this;
}

void Secret::Wipe() {
  OPENSSL_cleanse(value_.data(), value_.size());
  value_.clear();
}

std::string Secret::MaskedIn(std::string text) const {
  if (value_.empty()) return text;
  for (size_t at = 0; (at = text.find(value_, at)) != std::string::npos; at += 4)
    text.replace(at, value_.size(), "****");
  return text;
}

absl::StatusOr<Secret> ReadSecret(const SecretReference& reference, const std::string& directory) {
  std::string text;
  std::string which;
  if (reference.kind == SecretReference::Kind::kEnvironment) {
    which = "env:" + reference.name;
    const char* value = std::getenv(reference.name.c_str());
    if (value == nullptr) return Refused("a secret is missing", which, "set the variable");
    text = value;
  } else {
    const std::string path = (std::filesystem::path(directory) / reference.name).string();
    which = "file:" + path;
    absl::StatusOr<std::string> read = ReadFile(path);
    if (!read.ok()) return read.status();
    text = *std::move(read);
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  if (text.empty()) return Refused("a secret is empty", which, "write the secret there");
  if (text.size() > kSecretBytesMax) return Refused("a secret is too long", which, "write the secret alone there");
  return Secret(std::move(text));
}

}  // namespace tollbook
