// Each kind of file of a book, damaged in each way: it is found when the book is opened or by verify, by the name of
// the file or of what was in it, or it does no harm: then everything that the book says is what it said before.
//
// docs/reliability.md has this table; the test holds it to that.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>

#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/small_book.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

enum class Damage { kFlipped, kCut, kLonger, kSwapped, kRemoved, kPutBack };
constexpr Damage kDamages[] = {Damage::kFlipped, Damage::kCut,     Damage::kLonger,
                               Damage::kSwapped, Damage::kRemoved, Damage::kPutBack};

// What may come of it. O: opening refuses the book. V: verify says so. N: nothing the book says depends on it.
using Outcomes = std::string_view;

struct Kind {
  const char* name;       // for people
  const char* directory;  // in the book
  const char* begins;
  const char* ends;
  bool for_ever;   // never changed once it is there
  Outcomes of[6];  // flipped, cut, longer, swapped, removed, put back
};
constexpr Kind kKinds[] = {
    {"`FORMAT`", "", "FORMAT", "", false, {"O", "ON", "N", "N", "O", "N"}},
    {"`HIGHWATER`", "", "HIGHWATER", "", false, {"ON", "ON", "N", "O", "O", "O"}},
    {"`BOOKLOCK`", "", "BOOKLOCK", "", false, {"N", "N", "N", "N", "N", "N"}},
    {"`store/CURRENT`", "store", "CURRENT", "", false, {"O", "O", "O", "ON", "O", "O"}},
    {"`store/MANIFEST-N`", "store", "MANIFEST-", "", false, {"OV", "OV", "OVN", "OV", "O", "OV"}},
    {"`store/OPTIONS-N`", "store", "OPTIONS-", "", false, {"N", "N", "N", "N", "N", "N"}},
    {"`store/IDENTITY`", "store", "IDENTITY", "", false, {"N", "N", "N", "N", "N", "N"}},
    {"`store/N.log`", "store", "", ".log", false, {"O", "O", "N", "O", "O", "O"}},
    {"`store/N.sst`", "store", "", ".sst", true, {"OV", "OV", "OV", "OV", "O", "-"}},
    {"`store/N.blob`", "store", "", ".blob", true, {"V", "OV", "V", "V", "OV", "-"}},
    {"`seen/N.log`", "seen", "", ".log", false, {"VN", "OV", "N", "OV", "O", "OV"}},
    {"`seen/N.run`", "seen", "", ".run", false, {"VN", "OV", "N", "OV", "O", "OV"}},
    {"`usage/N.zst`", "usage", "", ".zst", false, {"V", "V", "N", "V", "V", "V"}},
};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// The files of the kind, by name: those that have something in them.
std::vector<std::string> FilesOf(const std::string& book, const Kind& kind) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(book + "/" + kind.directory)) {
    const std::string name = entry.path().filename().string();
    const bool is_it = name.starts_with(kind.begins) && name.ends_with(kind.ends) && entry.is_regular_file();
    if (is_it && fs::file_size(entry) > 0) files.push_back((fs::path(kind.directory) / name).string());
  }
  std::ranges::sort(files);
  return files;
}

std::string LargestOf(const std::string& book, const Kind& kind) {
  const std::vector<std::string> files = FilesOf(book, kind);
  const auto bytes_of = [&](const std::string& file) { return fs::file_size(book + "/" + file); };
  const auto largest = std::ranges::max_element(files, {}, bytes_of);
  return largest == files.end() ? "" : *largest;
}

Catalog CatalogOf(const std::string& price) {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  CatalogTexts::Meter meter;
  meter.name = meter.event_type = "calls";
  meter.aggregation = "sum";
  meter.value = "value";
  texts.meters = {meter};
  texts.plans = {{"starter", "USD"}};
  CatalogTexts::Charge charge;
  charge.plan = "starter";
  charge.name = charge.meter = charge.product = "calls";
  charge.model = "per_unit";
  charge.price = price;
  texts.charges = {charge};
  texts.postings = {{"calls", "acme-us", "1200", "4000"}};
  for (int i = 0; i < 40; ++i) {
    texts.subscriptions.push_back({"s" + std::to_string(i), "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  }
  absl::StatusOr<Catalog> parsed = Parse(texts);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

std::string Usage(int part, int value) {
  std::string text;
  for (int i = 0; i < 200; ++i) {
    EventText event;
    event.id = std::to_string(part) + "-" + std::to_string(i);
    event.type = "calls";
    event.subject = "s" + std::to_string(i % 40);
    event.time = "2025-01-0" + std::to_string(1 + i % 9) + "T12:00:00Z";
    event.value = std::to_string(value + i);
    text += ToJson(event) + "\n";
    if (i % 4 == 0) text += "line " + std::to_string(i) + " of part " + std::to_string(part) + " is no event\n";
  }
  return text;
}

// A life in which each kind of file comes to be: seen events that stay in the log and such as are in runs, seals,
// openings that turn RocksDB's log into tables.
class Life {
 public:
  Life(uint64_t seed, int value, const std::string& price)
      : value_(value), catalog_(CatalogOf(price)), book_("UTC", seed) {}

  void Absorb(int part, bool spills) {
    AbsorbOptions options;
    if (spills) options.memory_bytes = 1;
    options.keeps_usage_log = true;
    const std::string path = book_.Write("usage" + std::to_string(part) + ".ndjson", Usage(part, value_));
    const auto absorbed = tollbook::Absorb(*book_, catalog_, Inputs({path}), options);
    ASSERT_TRUE(absorbed.ok()) << absorbed.status();
  }
  void Seal() {
    const absl::StatusOr<SealReport> sealed = tollbook::Seal(*book_, catalog_, {});
    ASSERT_TRUE(sealed.ok() && sealed->differences > 0) << sealed.status();
  }
  void CopyTo(const std::string& directory) {
    book_.Change([&](const std::string& book) {
      fs::remove_all(directory);
      fs::copy(book, directory, fs::copy_options::recursive);
    });
  }
  void Reopen() { book_.Reopen(); }

 private:
  const int value_;
  const Catalog catalog_;
  SmallBook book_;
};

void Live(uint64_t seed, int value, const std::string& price, const std::string& earlier, const std::string& late) {
  Life life(seed, value, price);
  life.Absorb(1, /*spills=*/true);
  life.Absorb(2, /*spills=*/false);
  life.Seal();
  life.Reopen();
  life.Absorb(3, /*spills=*/false);
  if (!earlier.empty()) life.CopyTo(earlier);
  life.Absorb(4, /*spills=*/true);
  life.Seal();
  life.Reopen();
  life.Absorb(5, /*spills=*/false);
  life.Seal();
  life.CopyTo(late);
}

absl::StatusOr<std::unique_ptr<Book>> OpenAt(const std::string& directory) {
  BookOptions options;
  options.directory = directory;
  options.holder = "a test";
  return Book::Open(options);
}

template <typename Value>
Value Read(absl::StatusOr<Value> read) {
  EXPECT_TRUE(read.ok()) << read.status();
  return read.ok() ? *std::move(read) : Value();
}

// All that it says.
std::string Contents(const Book& book) {
  std::string text = JournalBytes(book);
  for (int shard = 0; shard < kTotalShards; ++shard) {
    const std::vector<StoredRun> totals = Read(book.Totals(shard)), differences = Read(book.Differences(shard));
    for (const StoredRun& run : totals) text += run.bytes;
    for (const StoredRun& run : differences) text += run.bytes;
  }
  const std::vector<SourceRecord> sources = Read(book.Sources());
  for (const SourceRecord& source : sources) text += Encode(source);
  const std::vector<CommitRecord> commits = Read(book.Commits());
  for (const CommitRecord& commit : commits) text += Encode(commit);
  const absl::Status visited = book.ForEachExceptions([&](const StoredExceptions& chunk) {
    text += chunk.bytes;
    return absl::OkStatus();
  });
  EXPECT_TRUE(visited.ok()) << visited;
  for (int shard = 0; shard < kSeenShards; ++shard) {
    SeenSet seen;
    EXPECT_TRUE(book.LoadSeen(shard, &seen).ok());
    text += std::to_string(seen.size()) + " ";
  }
  return text;
}

struct Trial {
  std::string what;
  std::function<void(const std::string& path)> damage;  // to the file
};

class DamageTable : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory(WhereSyncsAreQuick());
    Live(1, 1, "0.10", At("earlier"), At("book"));
    Live(2, 5, "0.35", "", At("other"));
    fs::copy(At("book"), At("read"), fs::copy_options::recursive);
    const absl::StatusOr<std::unique_ptr<Book>> book = OpenAt(At("read"));
    ASSERT_TRUE(book.ok()) << book.status();
    contents_ = new std::string(Contents(**book));
  }
  static void TearDownTestSuite() {
    delete directory_;
    delete contents_;
  }
  static std::string At(const std::string& name) { return directory_->path() + "/" + name; }

  static std::vector<Trial> Trials(const Kind& kind, Damage damage, const std::string& file) {
    const std::string bytes = ReadFile(At("book") + "/" + file);
    const auto becomes = [](std::string now) {
      return [now = std::move(now)](const std::string& path) { WriteFile(path, now); };
    };
    std::vector<Trial> trials;
    switch (damage) {
      case Damage::kFlipped:
        for (size_t i = 0; i < 9; ++i) {
          const size_t at = (bytes.size() - 1) * i / 8;
          std::string flipped = bytes;
          flipped[at] ^= 0x10;
          trials.push_back({"flipped at " + std::to_string(at), becomes(flipped)});
        }
        break;
      case Damage::kCut:
        for (const size_t size : {size_t{0}, bytes.size() / 2, bytes.size() - 1})
          trials.push_back({"cut to " + std::to_string(size), becomes(bytes.substr(0, size))});
        break;
      case Damage::kLonger:
        for (const size_t more : {1, 5000})
          trials.push_back({"longer by " + std::to_string(more), becomes(bytes + std::string(more, 'x'))});
        break;
      case Damage::kSwapped: {
        const std::string other = LargestOf(At("other"), kind);
        if (!other.empty()) trials.push_back({"of another book", becomes(ReadFile(At("other") + "/" + other))});
        for (const std::string& second : FilesOf(At("book"), kind)) {
          if (second != file) trials.push_back({"with " + second, becomes(ReadFile(At("book") + "/" + second))});
        }
        break;
      }
      case Damage::kRemoved:
        trials.push_back({"removed", [](const std::string& path) { fs::remove(path); }});
        break;
      case Damage::kPutBack: {
        if (kind.for_ever) break;
        const bool was_there = fs::exists(At("earlier") + "/" + file);
        const std::string before = was_there ? file : LargestOf(At("earlier"), kind);
        if (!before.empty()) trials.push_back({"put back", becomes(ReadFile(At("earlier") + "/" + before))});
        break;
      }
    }
    return trials;
  }

  // O, V or N, and what was said. Anything else fails the test.
  static char After(const Trial& trial, const std::string& file, std::string* said) {
    fs::remove_all(At("trial"));
    fs::copy(At("book"), At("trial"), fs::copy_options::recursive);
    trial.damage(At("trial") + "/" + file);
    const absl::StatusOr<std::unique_ptr<Book>> book = OpenAt(At("trial"));
    if (!book.ok()) {
      *said = std::string(Std(book.status().message()));
      return 'O';
    }
    for (const std::string& broken : BrokenLaws(**book)) *said += (said->empty() ? "" : " | ") + broken;
    if (!said->empty()) return 'V';
    EXPECT_TRUE(Contents(**book) == *contents_) << "a silent change";
    return 'N';
  }

  static TemporaryDirectory* directory_;
  static std::string* contents_;
};
TemporaryDirectory* DamageTable::directory_ = nullptr;
std::string* DamageTable::contents_ = nullptr;

TEST_F(DamageTable, WhateverIsDoneToAFileIsFoundOrHarmless) {
  std::map<char, int> outcomes;
  for (const Kind& kind : kKinds) {
    const std::string file = LargestOf(At("book"), kind);
    ASSERT_FALSE(file.empty()) << kind.name;
    for (const Damage damage : kDamages) {
      const Outcomes expected = kind.of[static_cast<size_t>(damage)];
      const std::vector<Trial> trials = Trials(kind, damage, file);
      EXPECT_FALSE(trials.empty() && expected != "-") << kind.name;
      for (const Trial& trial : trials) {
        std::string said;
        const char outcome = After(trial, file, &said);
        SCOPED_TRACE(file + " " + trial.what + ": " + outcome + " " + said);
        EXPECT_TRUE(expected.find(outcome) != std::string_view::npos);
        ++outcomes[outcome];
        EXPECT_EQ(said.find('\n'), std::string::npos);
        const bool is_named = said.find(fs::path(file).stem().string()) != std::string::npos;
        const bool is_gone = trial.what == "removed" && said.find("which has no log") != std::string::npos;
        EXPECT_TRUE(outcome == 'N' || is_named || is_gone) << "the file is not named";
      }
    }
  }
  std::printf("    %zu kinds of files, %d damages: %d refused when opened, %d found by verify, %d no harm\n",
              std::size(kKinds), outcomes['O'] + outcomes['V'] + outcomes['N'], outcomes['O'], outcomes['V'],
              outcomes['N']);
}

// As the document has it.
std::string CellOf(Outcomes outcomes) {
  if (outcomes == "-") return "–";
  std::string text;
  for (const char outcome : outcomes) {
    if (!text.empty()) text += outcome == outcomes.back() ? " or " : ", ";
    text += outcome == 'O' ? "opening" : outcome == 'V' ? "`verify`" : "no harm";
  }
  return text;
}

TEST(DamageTableDocument, HasTheSameRows) {
  const std::string document = ReadFile(TOLLBOOK_SOURCE_DIR "/docs/reliability.md");
  for (const Kind& kind : kKinds) {
    std::string row = "| " + std::string(kind.name) + " |";
    for (const Outcomes outcomes : kind.of) row += " " + CellOf(outcomes) + " |";
    EXPECT_TRUE(document.find(row + "\n") != std::string::npos) << row;
  }
}

}  // namespace
}  // namespace tollbook
