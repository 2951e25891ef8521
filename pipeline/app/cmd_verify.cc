#include <stdlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "pipeline/absorb_again.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/process.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/charges.h"
#include "pipeline/fixed_meters.h"
#include "pipeline/verify.h"

namespace tollbook {

namespace {

constexpr size_t kUnlikeShown = 50;
constexpr std::string_view kUsageLog = "usage log";  // its name in Book::CheckStore

// An empty directory beside the book, that goes with its owner.
class ScratchBeside {
 public:
  static absl::StatusOr<ScratchBeside> Make(const std::string& books) {
    std::string path = std::filesystem::path(books + "/.").lexically_normal().parent_path().string() + ".deep-XXXXXX";
    if (mkdtemp(path.data()) != nullptr) return ScratchBeside(std::move(path));
    return MakeError(absl::StatusCode::kUnavailable, "cannot make a directory beside the book",
                     path + ": " + std::strerror(errno),
                     "make it writable, or restore a backup elsewhere and verify that");
  }
  ScratchBeside(ScratchBeside&& other) noexcept : path_(std::exchange(other.path_, "")) {}
  ScratchBeside& operator=(ScratchBeside&&) = delete;
  ~ScratchBeside() {
    std::error_code ignored;  // what is left of it harms nobody
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit ScratchBeside(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// --catalog when given, else the newest seal's; with how it maps files to events.
absl::StatusOr<LoadedCatalog> CatalogAndMappings(const Book& book, const std::string& directory) {
  if (directory.empty()) {
    absl::StatusOr<Catalog> sealed = SealedCatalog(book);
    if (!sealed.ok()) return sealed.status();
    const auto sources = sealed->files().find(std::string(kSourcesFile));
    ParsedMappings mappings = ParseMappings(sources == sealed->files().end() ? std::string_view() : sources->second);
    return LoadedCatalog{*std::move(sealed), std::move(mappings.mappings)};
  }
  absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(directory);
  if (loaded.ok()) TOLLBOOK_RETURN_IF_ERROR(FixedMeters(book, loaded->catalog).status());
  return loaded;
}

AbsorbOptions AbsorbAgainOptions(const VerifyOptions& options) {
  AbsorbOptions absorb;
  absorb.threads = options.threads;
  absorb.memory_bytes = LeftForAbsorb(DefaultMemoryBytes());
  absorb.stop = &StopRequested();
  return absorb;
}

// The sources where the book read them, or the usage log.
absl::StatusOr<std::vector<LawCheck>> StandingAgain(const Book& book, const VerifyOptions& options) {
  const absl::StatusOr<LoadedCatalog> loaded = CatalogAndMappings(book, options.catalog);
  if (absl::IsNotFound(loaded.status())) return std::vector<LawCheck>();  // nothing is sealed, and no --catalog
  if (!loaded.ok()) return loaded.status();
  const absl::StatusOr<ScratchBeside> scratch = ScratchBeside::Make(options.books);
  if (!scratch.ok()) return scratch.status();
  return AbsorbSourcesAgain(book, loaded->catalog, AbsorbAgainOptions(options), scratch->path());
}

absl::StatusOr<std::vector<LawCheck>> SourcesAgain(const Book& book, const LoadedCatalog& loaded,
                                                   const VerifyOptions& options) {
  absl::StatusOr<InputList> inputs = FindInputs(options.inputs, loaded.mappings);
  if (!inputs.ok()) return inputs.status();
  const absl::StatusOr<ScratchBeside> scratch = ScratchBeside::Make(options.books);
  if (!scratch.ok()) return scratch.status();
  return AbsorbAgain(book, loaded.catalog, *std::move(inputs), AbsorbAgainOptions(options), scratch->path());
}

// Prices by another catalog than the book's may well be others: that is for a seal to book, and no damage.
bool IsByAnother(const Book& book, const std::optional<LoadedCatalog>& loaded) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  return loaded && seals.ok() && !seals->empty() && seals->back().catalog_digest != loaded->catalog.digest;
}

struct Checked {
  std::vector<LawCheck> checks;
  bool by_another_catalog = false;
};

absl::StatusOr<Checked> ChecksOf(const Book& book, const VerifyOptions& options) {
  std::vector<Anchor> anchors;
  for (const std::string& text : options.anchors) {
    const std::optional<Anchor> anchor = ParseAnchor(text);
    if (!anchor) {
      std::string one_line = text;  // what was copied may have its end of line
      std::ranges::replace_if(
          one_line, [](unsigned char c) { return c < ' '; }, ' ');
      return MakeError(absl::StatusCode::kInvalidArgument, "not an anchor", "--anchor \"" + one_line + "\"",
                       "write it as `tollbook audit --anchor` printed it, one line and nothing around it");
    }
    anchors.push_back(*anchor);
  }
  std::optional<LoadedCatalog> loaded;
  if (!options.inputs.empty() || !options.catalog.empty()) {
    absl::StatusOr<LoadedCatalog> found = CatalogAndMappings(book, options.catalog);
    if (!found.ok()) return found.status();
    loaded = *std::move(found);
  }
  Checked checked;
  checked.by_another_catalog = IsByAnother(book, loaded);
  if (!options.audit) {
    checked.checks = Verify(book, options.threads, {options.deep, loaded ? &loaded->catalog : nullptr});
  }
  if (!options.inputs.empty()) {
    absl::StatusOr<std::vector<LawCheck>> again = SourcesAgain(book, *loaded, options);
    if (!again.ok()) return again.status();
    std::ranges::move(*again, std::back_inserter(checked.checks));
  }
  const auto is_broken = [](const LawCheck& check) { return !check.holds; };
  if (options.inputs.empty() && options.deep && std::ranges::none_of(checked.checks, is_broken)) {
    absl::StatusOr<std::vector<LawCheck>> again = StandingAgain(book, options);
    if (!again.ok()) return again.status();
    std::ranges::move(*again, std::back_inserter(checked.checks));
  }
  if (options.audit || !anchors.empty()) {
    std::ranges::move(VerifyAudit(book, anchors), std::back_inserter(checked.checks));
  }
  return checked;
}

Json ToJson(const LawCheck& check, bool with_unlike) {
  Json json = {{"law", check.law}, {"name", check.name}, {"holds", check.holds}, {"detail", check.detail}};
  if (check.law == 3) json["not_rated"] = check.not_rated;
  if (!check.not_there.empty()) {
    json["not_there"] = Json::array();
    for (const auto& [path, why] : check.not_there) json["not_there"].push_back({{"path", path}, {"why", why}});
  }
  if (!with_unlike) return json;
  json["differences"] = Json::array();
  for (const Unlike& unlike : check.unlike) {
    json["differences"].push_back({{"of", unlike.of},
                                   {"what", unlike.what},
                                   {"when", unlike.when},
                                   {"anew", unlike.anew},
                                   {"book", unlike.stored}});
  }
  return json;
}

std::string UnlikeText(const std::vector<LawCheck>& checks) {
  Table table({{"law", true},
               {"of", false, Narrow::kKeep},
               {"what", false, Narrow::kWrap},
               {"when", false, Narrow::kKeep},
               {"anew", true},
               {"book", true}});
  size_t more = 0;
  for (const LawCheck& check : checks) {
    for (const Unlike& unlike : check.unlike) {
      if (table.rows() == kUnlikeShown) {
        ++more;
        continue;
      }
      table.Add({std::to_string(check.law), unlike.of, unlike.what, unlike.when, unlike.anew, unlike.stored});
    }
  }
  if (table.rows() == 0) return "";
  return "\n" + table.ToText() + (more == 0 ? "" : Counted(more, "more", "more") + "; --json has them all\n");
}

absl::Status NotAllHold(const Checked& checked, const std::string& books) {
  const auto is_broken = [](const LawCheck& check) { return !check.holds; };
  const auto is_of_prices = [&](const LawCheck& check) { return check.holds || check.law == 3; };
  const auto is_of_usage_log = [](const LawCheck& check) { return check.holds || check.name == kUsageLog; };
  if (std::ranges::none_of(checked.checks, is_broken)) return absl::OkStatus();
  if (std::ranges::all_of(checked.checks, is_of_usage_log)) {
    return MakeError(absl::StatusCode::kDataLoss, "the usage log is damaged", books,
                     "nothing that is booked depends on it; put `usage/` back from a backup");
  }
  if (checked.by_another_catalog && std::ranges::all_of(checked.checks, is_of_prices)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "what is booked is not what --catalog makes of the usage",
                     books, "seal with it to book the difference; without --catalog, the last seal's is compared");
  }
  return MakeError(absl::StatusCode::kDataLoss, "a law does not hold", books,
                   "do not post from this book; restore it from a backup, or absorb the sources into a new one");
}

}  // namespace

int CmdVerify(const VerifyOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "verify");
  if (!book.ok()) return Fail(book.status());
  const absl::StatusOr<Checked> checked = ChecksOf(**book, options);
  if (!checked.ok()) return Fail(checked.status());
  Table table({{"law", true}, {"what"}, {"holds"}, {"detail", false, Narrow::kWrap}});
  Json json = Json::array();
  for (const LawCheck& check : checked->checks) {
    PrintSetAside(check.not_rated);
    table.Add({check.law == 0 ? "" : std::to_string(check.law), check.name, check.holds ? "yes" : "NO", check.detail});
    json.push_back(ToJson(check, options.deep));
  }
  const int printed = Print(options.format == "json" ? ToText(json) : table.ToText() + UnlikeText(checked->checks));
  if (printed != kDone) return printed;
  const absl::Status status = NotAllHold(*checked, options.books);
  return status.ok() ? kDone : Fail(status);
}

int CmdReconcile(const ReadOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "reconcile");
  if (!book.ok()) return Fail(book.status());
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(**book, options.threads);
  if (!rows.ok()) return Fail(rows.status());
  bool equal = true;
  Table table({{"step"},
               {"entity"},
               {"currency"},
               {"compared", false, Narrow::kWrap},
               {"left", true},
               {"right", true},
               {"equal"},
               {"period", false, Narrow::kKeep},
               {"not_there_yet", false, Narrow::kWrap}});
  for (const ReconcileRow& row : *rows) {
    equal = equal && row.equal;
    const std::string equal = !row.equal ? "NO" : row.left == row.right ? "yes" : "explained";
    table.Add({row.step, row.entity, row.currency, row.what, row.left, row.right, equal, row.period, row.explained});
  }
  const int printed = PrintTable(table, options.format);
  if (printed != kDone) return printed;
  return equal ? kDone
               : Fail(MakeError(absl::StatusCode::kFailedPrecondition, "the book does not reconcile", options.books,
                                "seal if usage came after the last seal, then look at the rows that say NO; `tollbook "
                                "verify` names what is damaged"));
}

}  // namespace tollbook
