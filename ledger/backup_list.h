// BackupList: what one backup consists of, as the text of its file N.backup (FORMAT.md).
#ifndef TOLLBOOK_LEDGER_BACKUP_LIST_H_
#define TOLLBOOK_LEDGER_BACKUP_LIST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {

Hash256 Sha256(std::string_view bytes);

// Some bytes of a file, from `offset` on.
struct BackupPiece {
  Hash256 object{};
  uint64_t offset = 0;
  uint64_t bytes = 0;
  bool for_ever = false;  // of a file that never changes (CutFile)
  std::string file;       // in the book's directory
};

struct BackupList {
  std::string book;   // its name
  std::string seed;   // its seed, hex: two books of one name are two books
  std::string store;  // the identity of its store
  uint64_t sequence = 0;
  Hash256 hash{};
  int64_t made_at_nanos = 0;
  std::vector<BackupPiece> pieces;  // those of one file together, by offset
};

std::string Encode(const BackupList& list);
// DataLoss, naming `path`: not what was written.
absl::StatusOr<BackupList> DecodeBackupList(std::string_view text, const std::string& path);

}  // namespace tollbook

#endif  // TOLLBOOK_LEDGER_BACKUP_LIST_H_
