#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "ledger/backup.h"
#include "ledger/book_lock.h"
#include "pipeline/app/backup_desk.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"

namespace tollbook {
namespace {

Json ToJson(const BackupReport& report) {
  return {{"backup", report.number},
          {"commits", report.sequence},
          {"files", report.files},
          {"bytes", report.bytes},
          {"copied_bytes", report.copied_bytes}};
}

std::string ToText(const BackupReport& report) {
  return "backup " + std::to_string(report.number) + ": " + Thousands(report.sequence) + " commits, " +
         Thousands(report.files) + " files, " + Thousands(report.bytes) + " bytes";
}

constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr int kLooks = 100;

// By whoever has the book: this process, once it is free, or the one that absorbs into it.
absl::StatusOr<BackupReport> MakeBackup(const BackupOptions& options) {
  std::error_code error;
  const std::string to = std::filesystem::absolute(options.to, error).string();
  if (error) {
    return MakeError(absl::StatusCode::kUnavailable, "cannot tell where this is", options.to + ": " + error.message(),
                     "name it from the root");
  }
  bool was_asked = false;
  for (int looks = 0;; ++looks) {
    const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "backup");
    if (book.ok()) return BackUp(**book, to, Now().nanos);
    if (!absl::IsAborted(book.status())) return book.status();
    const auto answer = AskForBackup(options.books, to, [&] {
      std::fprintf(stderr, "%s has the book, and is asked to back it up between two commits\n",
                   HolderOf(options.books).c_str());
      was_asked = true;
    });
    if (answer) return *answer;
    // Who was asked has ended, or is about to: then the book is free.
    if (!was_asked || looks == kLooks || StopRequested().load()) return book.status();
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

}  // namespace

int CmdBackup(const BackupOptions& options) {
  const absl::StatusOr<BackupReport> report = MakeBackup(options);
  if (!report.ok()) return Fail(report.status());
  if (options.json) return Print(ToText(ToJson(*report)));
  return Print(ToText(*report) + ", " + Thousands(report->copied_bytes) + " of them copied; the rest was there\n");
}

int CmdRestore(const RestoreCommandOptions& options) {
  RestoreOptions restore;
  restore.backups = options.from;
  restore.number = options.backup;
  restore.directory = options.books;
  restore.holder = "process " + std::to_string(getpid()) + " (tollbook restore)";
  restore.now_nanos = Now().nanos;
  restore.by = AccountName();
  const absl::StatusOr<BackupReport> report = Restore(restore);
  if (!report.ok()) return Fail(report.status());
  if (options.json) {
    Json json = ToJson(*report);
    json.erase("copied_bytes");
    return Print(ToText(json));
  }
  return Print(ToText(*report) + ", checked; the book is " + options.books + "\n");
}

}  // namespace tollbook
