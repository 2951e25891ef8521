#include "pipeline/emit/files.h"

#include <openssl/sha.h>

#include <filesystem>
#include <fstream>

#include "ledger/durable_file.h"
#include "pipeline/journal_text.h"

namespace tollbook {
namespace {

constexpr std::string_view kEnding[] = {".csv", ".json", ".ledger", ".parquet"};

std::string Sha256Of(std::string_view bytes) {
  Hash256 hash;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  return ToHex(hash);
}

// None: it is not there, or cannot be read to its end.
std::optional<std::string> Read(const std::string& path, size_t bytes_max) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string bytes(bytes_max + 1, '\0');
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (file.bad()) return std::nullopt;
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

class FilesEmitter final : public Emitter {
 public:
  FilesEmitter(const Target& target, const EmitterContext& context)
      : format_(target.format),
        directory_((std::filesystem::path(context.catalog_directory) / target.directory).string()) {
    if (format_ == FileFormat::kLedger && context.catalog != nullptr) ledger_.emplace(*context.catalog);
  }

  PlannedDelivery Make(const JournalBatch& batch) const override {
    PlannedDelivery planned;
    planned.batch = batch.id;
    planned.key = batch.id + std::string(kEnding[static_cast<size_t>(format_)]);
    planned.body = BodyOf(batch);
    return planned;
  }

  std::string Show(const Parcel& parcel) const override {
    const std::string what = "write " + directory_ + "/" + parcel.key + " and " + SumName(parcel) + "\n\n";
    if (format_ != FileFormat::kParquet) return what + parcel.body;
    return what + std::to_string(parcel.body.size()) + " bytes of Parquet, SHA-256 " + Sha256Of(parcel.body) + "\n";
  }

  bool AsksFirst() const override { return true; }

  Attempt Ask(const Parcel& parcel) override {
    std::error_code error;
    const std::string path = directory_ + "/" + parcel.key;
    if (!std::filesystem::exists(path, error)) {
      if (!error) return NotThere(parcel, path);
      return Unreachable(DeliveryEvent::kCannotAsk, path + ": " + error.message());
    }
    const std::optional<std::string> bytes = Read(path, parcel.body.size());
    if (!bytes) return Unreachable(DeliveryEvent::kCannotAsk, path + " cannot be read");
    if (*bytes != parcel.body) {
      return Failed(DeliveryEvent::kDifferent, DeliveryProblem::kDifferent,
                    path + " is there and says something else: look who wrote it, and move it away");
    }
    // The file without its sum: a crash came between the two, and sending again writes the same.
    const std::string sum = directory_ + "/" + SumName(parcel);
    if (Read(sum, 1024) != SumOf(parcel)) return NotThere(parcel, sum);
    return Succeeded(DeliveryEvent::kConfirmed, "", Sha256Of(parcel.body));
  }

  Attempt Send(const Parcel& parcel) override {
    if (parcel.body.empty()) {
      return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation,
                    "an amount of 10^34 or more is no DECIMAL(38, 4) of Parquet: use another format for this target");
    }
    absl::Status written = MakeDirectorySynced(directory_);
    if (written.ok()) written = WriteFileAtomically(directory_, parcel.key, parcel.body);
    if (written.ok()) written = WriteFileAtomically(directory_, SumName(parcel), SumOf(parcel));
    if (!written.ok()) return Unreachable(DeliveryEvent::kUnclear, std::string(Std(written.message())));
    return Succeeded(DeliveryEvent::kConfirmed, "", Sha256Of(parcel.body));
  }

  Attempt Finish(const Parcel& parcel) override { return Ask(parcel); }

 private:
  // Empty: Parquet does not hold an amount of it, and Send says so.
  std::string BodyOf(const JournalBatch& batch) const {
    switch (format_) {
      case FileFormat::kCsv:
        return CsvOf(batch);
      case FileFormat::kJson:
        return JsonOf(batch);
      case FileFormat::kLedger:
        return ledger_->Of(batch);
      case FileFormat::kParquet:
        break;
    }
    return ParquetOf(batch).value_or("");
  }
  static std::string SumName(const Parcel& parcel) { return parcel.key + ".sha256"; }
  static std::string SumOf(const Parcel& parcel) { return Sha256Of(parcel.body) + "  " + parcel.key + "\n"; }
  static Attempt NotThere(const Parcel& parcel, const std::string& path) {
    if (!parcel.is_confirmed) return Succeeded(DeliveryEvent::kNotThere, "", "");
    return RefusedHere(DeliveryProblem::kAmbiguous, path + " is not there: whoever it is for may have taken it");
  }
  static Attempt Unreachable(DeliveryEvent event, std::string error) {
    Attempt outcome = Failed(event, DeliveryProblem::kAvailability, std::move(error));
    outcome.pause_target = true;
    return outcome;
  }

  const FileFormat format_;
  const std::string directory_;
  std::optional<LedgerText> ledger_;
};

}  // namespace

std::string ResolvedDirectory(std::string_view catalog_directory, std::string_view directory) {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::absolute(std::filesystem::path(catalog_directory) / directory, error);
  if (error) return std::string(directory);
  const std::filesystem::path there = std::filesystem::weakly_canonical(path, error);
  const std::filesystem::path whole = error ? path.lexically_normal() : there;
  return (whole.has_filename() ? whole : whole.parent_path()).string();
}

std::optional<std::string> BrokenLink(std::string_view catalog_directory, std::string_view directory) {
  std::error_code error;
  std::filesystem::path way;
  for (const std::filesystem::path& step : std::filesystem::path(catalog_directory) / directory) {
    way /= step;
    if (std::filesystem::is_symlink(way, error) && !std::filesystem::exists(way, error)) return way.string();
  }
  return std::nullopt;
}

std::unique_ptr<Emitter> MakeFilesEmitter(const Target& target, const EmitterContext& context) {
  return std::make_unique<FilesEmitter>(target, context);
}

}  // namespace tollbook
