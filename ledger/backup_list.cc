#include "ledger/backup_list.h"

#include <openssl/evp.h>

#include <charconv>

namespace tollbook {
namespace {

constexpr std::string_view kStart = "tollbook backup, format 1\n";
constexpr std::string_view kEnd = "sha256 ";

template <typename Number>
bool ParseNumber(std::string_view text, Number* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParseHash(std::string_view text, Hash256* hash) {
  if (text.size() != 2 * hash->size()) return false;
  for (size_t i = 0; i < hash->size(); ++i) {
    const char* const at = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(at, at + 2, (*hash)[i], 16);
    if (error != std::errc() || end != at + 2) return false;
  }
  return ToHex(*hash) == text;  // small letters only: one text for each list
}

// Its words from the left; the last is the rest of it.
std::string_view Word(std::string_view* line) {
  const size_t end = std::min(line->find(' '), line->size());
  const std::string_view word = line->substr(0, end);
  line->remove_prefix(std::min(end + 1, line->size()));
  return word;
}

bool ParsePiece(std::string_view line, BackupPiece* piece) {
  if (!ParseHash(Word(&line), &piece->object) || !ParseNumber(Word(&line), &piece->offset) ||
      !ParseNumber(Word(&line), &piece->bytes))
    return false;
  const std::string_view kind = Word(&line);
  piece->for_ever = kind == "for-ever";
  piece->file = line;
  // It is written below a directory: no way out of it.
  const bool safe = !piece->file.empty() && piece->file[0] != '/' && piece->file.find("..") == std::string::npos;
  return safe && (piece->for_ever || kind == "as-it-was");
}

bool ParseLine(std::string_view line, BackupList* list) {
  const std::string_view key = Word(&line);
  if (key == "book") list->book = line;
  if (key == "seed") list->seed = line;
  if (key == "store") list->store = line;
  if (key == "made-at-nanos") return ParseNumber(line, &list->made_at_nanos);
  if (key == "commit") return ParseNumber(Word(&line), &list->sequence) && ParseHash(line, &list->hash);
  if (key != "object") return key == "book" || key == "seed" || key == "store";
  return ParsePiece(line, &list->pieces.emplace_back());
}

}  // namespace

Hash256 Sha256(std::string_view bytes) {
  Hash256 hash{};
  unsigned int size = 0;
  TOLLBOOK_ASSERT(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr) == 1 &&
                  size == hash.size());
  return hash;
}

std::string Encode(const BackupList& list) {
  std::string text(kStart);
  text += "book " + list.book + "\nseed " + list.seed + "\nstore " + list.store + "\ncommit " +
          std::to_string(list.sequence) + " " + ToHex(list.hash) + "\nmade-at-nanos " +
          std::to_string(list.made_at_nanos) + "\n";
  for (const BackupPiece& piece : list.pieces) {
    text += "object " + ToHex(piece.object) + " " + std::to_string(piece.offset) + " " + std::to_string(piece.bytes) +
            (piece.for_ever ? " for-ever " : " as-it-was ") + piece.file + "\n";
  }
  return text + std::string(kEnd) + ToHex(Sha256(text)) + "\n";
}

absl::StatusOr<BackupList> DecodeBackupList(std::string_view text, const std::string& path) {
  const absl::Status damaged = MakeError(absl::StatusCode::kDataLoss, "the backup is damaged", path,
                                         "nothing was changed; restore another backup with --backup N");
  const size_t end = text.rfind(kEnd);
  if (!text.starts_with(kStart) || end == std::string_view::npos ||
      text.substr(end) != std::string(kEnd) + ToHex(Sha256(text.substr(0, end))) + "\n")
    return damaged;
  BackupList list;
  std::string_view lines = text.substr(kStart.size(), end - kStart.size());
  while (!lines.empty()) {
    const size_t size = std::min(lines.find('\n'), lines.size());
    if (!ParseLine(lines.substr(0, size), &list)) return damaged;
    lines.remove_prefix(std::min(size + 1, lines.size()));
  }
  return list;
}

}  // namespace tollbook
