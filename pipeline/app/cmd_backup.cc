#include <unistd.h>

#include "ledger/backup.h"
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

}  // namespace

int CmdBackup(const BackupOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "backup");
  if (!book.ok()) return Fail(book.status());
  const absl::StatusOr<BackupReport> report = BackUp(**book, options.to, Now().nanos);
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
