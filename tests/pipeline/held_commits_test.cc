// What is held is tried again in as many commits as it takes: neither where they are cut nor a failure between two of
// them changes how any of it ends. By random corrections of few events: corrections of corrections in any order,
// several of one event, ids that several claim, contents that are restated rightly or not.
//
// TOLLBOOK_SEED=<number> repeats a run; TOLLBOOK_LONG=1 runs a hundred times as many.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <random>

#include "pipeline/absorb.h"
#include "pipeline/charges.h"
#include "pipeline/seal.h"
#include "pipeline/verify.h"
#include "tests/pipeline/block_twins.h"
#include "tests/pipeline/catalog_texts.h"
#include "tests/pipeline/failing_book.h"
#include "tests/pipeline/small_book.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using testing::IsEmpty;

// `level` feeds a meter that an event can be taken from and one that has to be reckoned anew, `call` the first kind.
CatalogTexts Texts() {
  CatalogTexts texts;
  texts.entities = {{"acme-us", "USD", ""}};
  texts.postings = {{"", "", "1200", "4000", false}};
  texts.meters = {{"peak", "level", "max", "value", "", {}, false},
                  {"sum", "level", "sum", "value", "", {}, false},
                  {"calls", "call", "sum", "value", "", {}, false}};
  texts.plans = {{"starter", "USD"}};
  for (const char* meter : {"peak", "sum", "calls"}) {
    CatalogTexts::Charge charge;
    charge.plan = "starter";
    charge.name = charge.meter = meter;
    charge.product = "api";
    charge.model = "per_unit";
    charge.price = "1";
    texts.charges.push_back(charge);
  }
  for (const char* id : {"s1", "s2"})
    texts.subscriptions.push_back({id, "starter", "acme-us", "USD", "2025-01-01", "", "", ""});
  return texts;
}

Catalog CatalogOf(const CatalogTexts& texts) {
  absl::StatusOr<Catalog> catalog = Parse(texts);
  EXPECT_TRUE(catalog.ok()) << catalog.status();
  return *std::move(catalog);
}

class Chance {
 public:
  explicit Chance(uint64_t seed) : random_(seed) {}
  int Below(int bound) { return static_cast<int>(random_() % static_cast<uint64_t>(bound)); }
  bool OneIn(int n) { return Below(n) == 0; }
  template <typename Item>
  void Shuffle(std::vector<Item>* items) {
    std::shuffle(items->begin(), items->end(), random_);
  }

 private:
  std::mt19937_64 random_;
};

// Lines of two files: events, and corrections of them and of each other.
std::vector<std::string> RandomFiles(Chance& chance, const char* types) {
  std::map<std::string, EventText> known;  // what was said last under an id
  std::vector<std::string> lines;
  const auto event = [&](const std::string& id) {
    const std::string type = types[chance.Below(2)] == 'l' ? "level" : "call";
    return EventText{id,
                     "gw",
                     type,
                     "s" + std::to_string(1 + chance.Below(2)),
                     "2025-01-1" + std::to_string(chance.Below(2)) + "T08:00:00Z",
                     std::to_string(1 + chance.Below(9)),
                     {}};
  };
  for (int i = 0; i < 8; ++i) {
    const EventText one = known[std::to_string(i)] = event("e" + std::to_string(i));
    lines.push_back(ToJson(one) + "\n");
  }
  std::vector<EventText> all;
  for (const auto& [id, one] : known) all.push_back(one);
  for (int i = 0; i < 30; ++i) {
    const EventText of = all[static_cast<size_t>(chance.Below(static_cast<int>(all.size())))];
    EventText one = of;  // a void, or a correction of its value
    one.id = "c" + std::to_string(chance.Below(14));
    const bool is_void = chance.OneIn(4);
    if (!is_void) one.value = std::to_string(1 + chance.Below(9));
    const std::string original = chance.OneIn(6) ? "1" : of.value;
    std::string json = ToJson(one);
    json.back() = ',';
    json += is_void ? "\"voids\":\"" + of.id + "\"}\n"
                    : "\"corrects\":\"" + of.id + "\",\"original\":{\"data\":{\"value\":" + original + "}}}\n";
    lines.push_back(json);
    if (one.id != of.id && !is_void) all.push_back(one);
  }
  chance.Shuffle(&lines);
  const size_t half = lines.size() / 2;
  std::vector<std::string> files(2);
  for (size_t i = 0; i < lines.size(); ++i) files[i < half ? 0 : 1] += lines[i];
  return files;
}

// All that a person can see of a book, less what says in how many commits it came about.
struct EndState {
  LineCounts counts;
  std::string journal;
  std::vector<std::string> charges, exceptions, applied;
  friend bool operator==(const EndState&, const EndState&) = default;
};

std::string PlaceOf(const ExceptionRecord& record) {
  return std::to_string(record.source) + ":" + std::to_string(record.line) + ":" + std::to_string(record.part);
}

EndState StateOf(Book& book, const Catalog& catalog) {
  EXPECT_TRUE(Seal(book, catalog, {}).ok());
  EXPECT_THAT(WhatIsWrong(book), IsEmpty());
  EndState state;
  state.counts = book.counts();
  state.journal = JournalBytes(book);
  const absl::StatusOr<std::vector<ChargeRow>> rows = Charges(book, catalog, {}, 1);
  EXPECT_TRUE(rows.ok()) << rows.status();
  for (const ChargeRow& row : *rows) {
    state.charges.push_back(row.subscription + " " + row.charge + " " + ToString(row.quantity) + " of " +
                            std::to_string(row.events));
  }
  for (const Kept& kept : KeptExceptions(book)) {
    state.exceptions.push_back(PlaceOf(kept.record) + " " + std::string(ToString(kept.record.reason)) + " " +
                               std::to_string(kept.record.needs) + " " + kept.payload);
  }
  EXPECT_TRUE(book.ForEachCorrections([&](const StoredExceptions& chunk) {
                    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
                    EXPECT_TRUE(records.ok());
                    for (const ExceptionRecord& record : *records)
                      state.applied.push_back(PlaceOf(record) + " " + std::string(record.payload));
                    return absl::OkStatus();
                  })
                  .ok());
  std::ranges::sort(state.applied);
  return state;
}

// Held lines lie in chunks of an epoch each, and an epoch takes so many bytes of them again.
AbsorbOptions InEpochsOf(uint64_t bytes) {
  AbsorbOptions options;
  options.threads = 2;
  options.epoch_bytes = bytes;
  options.block_bytes = 400;
  return options;
}

// All in one; few in each; one in each.
constexpr uint64_t kAtOnce = UINT64_C(1) << 40, kFew = 4'000, kEach = 1;

class HeldCommits : public testing::Test {
 protected:
  absl::StatusOr<AbsorbReport> Read(Book& book, const std::string& path, uint64_t epoch_bytes) {
    return Absorb(book, catalog_, Inputs({path}), InEpochsOf(epoch_bytes));
  }
  Catalog catalog_ = CatalogOf(Texts());
};

TEST_F(HeldCommits, CutAnywhereTheyEndAsAtOnce) {
  const uint64_t seed = TestSeed();
  size_t commits = 0, scattered = 0, applied = 0;
  for (int round = 0; round < Rounds(12); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    Chance chance(seed + static_cast<uint64_t>(round));
    const std::vector<std::string> files = RandomFiles(chance, round % 2 == 0 ? "lc" : "cc");
    std::vector<EndState> states;
    for (const uint64_t epoch_bytes : {kAtOnce, kEach, kFew}) {
      SmallBook book;
      for (size_t i = 0; i < files.size(); ++i) {
        const std::string path = book.Write(std::to_string(i) + ".ndjson", files[i]);
        const absl::StatusOr<AbsorbReport> report = Read(*book, path, epoch_bytes);
        ASSERT_TRUE(report.ok()) << report.status();
        EXPECT_THAT(BrokenLaws(*book), IsEmpty());
      }
      if (epoch_bytes == kEach) commits += book->last_sequence();
      if (HeldOf(*book).Held(HeldKind::kCorrections)->changes.Any(HeldKind::kCorrections)) ++scattered;
      states.push_back(StateOf(*book, catalog_));
    }
    applied += states[0].applied.size();
    EXPECT_EQ(states[1], states[0]);
    EXPECT_EQ(states[2], states[0]);
    if (HasFailure()) return;
  }
  EXPECT_GT(applied, 50u);
  EXPECT_GT(commits, applied);
  EXPECT_GT(scattered, 0u) << "some are held where they were";
}

TEST_F(HeldCommits, AFailureBetweenThemChangesNothing) {
  const uint64_t seed = TestSeed();
  size_t failures = 0;
  for (int round = 0; round < Rounds(8); ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    Chance chance(seed + 1'000 + static_cast<uint64_t>(round));
    std::vector<std::string> files = RandomFiles(chance, round % 2 == 0 ? "lc" : "cc");
    const std::string content = files[0] + files[1];
    SmallBook undisturbed;
    ASSERT_TRUE(Read(*undisturbed, undisturbed.Write("a.ndjson", content), kAtOnce).ok());
    const EndState expected = StateOf(*undisturbed, catalog_);
    SmallBook each;
    ASSERT_TRUE(Read(*each, each.Write("a.ndjson", content), kEach).ok());
    const int commits = static_cast<int>(each->last_sequence());
    for (const bool stores : {false, true}) {
      SmallBook book;
      const std::string path = book.Write("a.ndjson", content);
      bool goes_on = true;
      for (int life = 0; goes_on; ++life) {
        ASSERT_LT(life, 100) << "it never ends";
        const int fails_at = 1 + chance.Below(life == 0 ? commits : 3);
        FailingBook failing(*book, static_cast<uint64_t>(fails_at), stores);
        const absl::StatusOr<AbsorbReport> report = Read(failing, path, life == 0 || chance.OneIn(2) ? kEach : kFew);
        goes_on = failing.failed();
        EXPECT_NE(report.ok(), goes_on);
        failures += goes_on ? 1 : 0;
        book.Reopen();
        EXPECT_THAT(BrokenLaws(*book), IsEmpty());
      }
      EXPECT_EQ(StateOf(*book, catalog_), expected) << "stores " << stores;
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(failures, 20u);
}

// ----- events

std::string HeldEvents(int events) {
  std::string content;
  for (int i = 0; i < events; ++i) {
    // Of two with one id the first stays; every third one's meter is never known.
    const std::string type = i % 3 == 0 ? "mail" : "fax";
    content +=
        ToJson({std::to_string(i / 2), "gw", type, "s1", "2025-01-10T08:00:00Z", std::to_string(i % 4), {}}) + "\n";
  }
  return content;
}

Catalog WithFax() {
  CatalogTexts texts = Texts();
  texts.meters.push_back({"fax", "fax", "sum", "value", "", {}, false});
  return CatalogOf(texts);
}

TEST_F(HeldCommits, EventsAreTriedInTheirOrder) {
  const Catalog after = WithFax();
  SmallBook at_once;
  ASSERT_TRUE(Read(*at_once, at_once.Write("a.ndjson", HeldEvents(60)), kEach).ok());
  const absl::StatusOr<AbsorbReport> whole = RetryHeld(*at_once, after, InEpochsOf(kAtOnce));
  ASSERT_TRUE(whole.ok()) << whole.status();
  EXPECT_EQ(whole->epochs, 1u);
  const EndState expected = StateOf(*at_once, after);
  EXPECT_EQ(expected.counts.held, 20u);
  EXPECT_GT(expected.counts.conflict + expected.counts.duplicate, 0u);

  for (const uint64_t epoch_bytes : {kEach, kFew / 4}) {
    SmallBook book;
    ASSERT_TRUE(Read(*book, book.Write("a.ndjson", HeldEvents(60)), kEach).ok());
    const absl::StatusOr<AbsorbReport> report = RetryHeld(*book, after, InEpochsOf(epoch_bytes));
    ASSERT_TRUE(report.ok()) << report.status();
    EXPECT_GT(report->epochs, 2u);
    EXPECT_EQ(report->counts, whole->counts);
    EXPECT_EQ(report->reasons, whole->reasons);
    EXPECT_EQ(StateOf(*book, after), expected);
    // And once more, when nothing is new.
    ASSERT_TRUE(RetryHeld(*book, after, InEpochsOf(epoch_bytes)).ok());
    EXPECT_EQ(StateOf(*book, after), expected);
    // What stayed where it was is stored anew as soon as that is not too much.
    ASSERT_TRUE(RetryHeld(*book, after, InEpochsOf(kAtOnce)).ok());
    EXPECT_FALSE(HeldOf(*book).Held(HeldKind::kEvents)->changes.Any(HeldKind::kEvents));
    EXPECT_EQ(StateOf(*book, after), expected);
  }
}

TEST_F(HeldCommits, AFailureBetweenTwoCommitsOfEventsChangesNothing) {
  const Catalog after = WithFax();
  SmallBook at_once;
  ASSERT_TRUE(Read(*at_once, at_once.Write("a.ndjson", HeldEvents(40)), kEach).ok());
  ASSERT_TRUE(RetryHeld(*at_once, after, InEpochsOf(kAtOnce)).ok());
  const EndState expected = StateOf(*at_once, after);
  for (const bool stores : {false, true}) {
    SmallBook book;
    ASSERT_TRUE(Read(*book, book.Write("a.ndjson", HeldEvents(40)), kEach).ok());
    uint64_t lives = 0;
    for (bool goes_on = true; goes_on; ++lives) {
      ASSERT_LT(lives, 100u) << "it never ends";
      FailingBook failing(*book, 1 + lives, stores);  // each life gets further than the one before
      const absl::StatusOr<AbsorbReport> report = RetryHeld(failing, after, InEpochsOf(kEach));
      goes_on = failing.failed();
      EXPECT_NE(report.ok(), goes_on);
      book.Reopen();
      EXPECT_THAT(BrokenLaws(*book), IsEmpty());
    }
    EXPECT_GT(lives, 3u);
    EXPECT_EQ(StateOf(*book, after), expected);
  }
}

}  // namespace
}  // namespace tollbook
