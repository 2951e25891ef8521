#include "ledger/seen_store.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ledger/book.h"
#include "ledger/bytes.h"
#include "ledger/records.h"
#include "ledger/seen_part.h"

namespace tollbook {
namespace {

constexpr std::string_view kLogPrefix = "log/";
constexpr std::string_view kPlainLogPrefix = "epoch/";
constexpr std::string_view kRunPrefix = "run/";
constexpr std::string_view kFloorsKey = "floors";

std::string RunKey(int shard, uint64_t number) {
  ByteWriter key;
  key.Raw(kRunPrefix);
  key.Fixed8(static_cast<uint8_t>(shard));
  key.Fixed64(number);
  return key.Take();
}

std::string_view BytesOf(std::span<const SeenEntry> entries) {
  return {reinterpret_cast<const char*>(entries.data()), entries.size_bytes()};
}

bool ByKey(const SeenEntry& a, const SeenEntry& b) {
  return KeyOf(a) < KeyOf(b);
}

// Of the disk's blocks that it takes; files are as long at least (SeenFiles).
uint64_t EndOf(const SeenPlace& place) {
  constexpr uint64_t kBlockBytes = 4096;
  return (place.offset + place.bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
}

// Runs of different ones are not merged. Dates that were not kept are one of their own.
int SpanOf(Day latest, int span_days) {
  if (latest == kLatestUnknown) return INT32_MAX;
  if (span_days == 0) return 0;
  const int into = latest.number % span_days;
  return (latest.number - (into < 0 ? into + span_days : into)) / span_days;
}

// The next of several sorted sources.
struct Head {
  SeenEntry entry;
  SeenRunReader reader;
};

}  // namespace

size_t RunsToMerge(std::span<const uint64_t> sizes, uint64_t spilled) {
  uint64_t newer = spilled;
  size_t merge = 0;
  for (size_t back = 1; back <= sizes.size(); ++back) {
    const uint64_t size = sizes[sizes.size() - back];
    if (2 * newer >= 5 * size) merge = back;
    newer += size;
  }
  return merge;
}

// Hashes spread evenly, so one pass puts each entry next to its place, and sorting the small parts stays
// in the cache. Where they do not spread, the parts are large and std::sort does the work.
std::vector<SeenEntry> SortedByKey(std::span<const SeenEntry> entries) {
  constexpr int kMostBits = 16;
  const int bits = std::min(static_cast<int>(std::bit_width(entries.size() / 8)), kMostBits);
  const auto part_of = [bits](const SeenEntry& entry) {
    return static_cast<size_t>(static_cast<uint64_t>(entry.key_high << kSeenShardBits) << bits >> 32);
  };
  std::vector<uint32_t> starts((size_t{1} << bits) + 1);
  for (const SeenEntry& entry : entries) ++starts[part_of(entry) + 1];
  for (size_t part = 1; part < starts.size(); ++part) starts[part] += starts[part - 1];
  std::vector<SeenEntry> sorted(entries.size());
  std::vector<uint32_t> next(starts.begin(), starts.end() - 1);
  for (const SeenEntry& entry : entries) sorted[next[part_of(entry)]++] = entry;
  for (size_t part = 0; part + 1 < starts.size(); ++part) {
    std::sort(sorted.begin() + starts[part], sorted.begin() + starts[part + 1], ByKey);
  }
  return sorted;
}

SeenStore::SeenStore(const Store& store, const std::string& book_directory)
    : store_(store),
      directory_(book_directory),
      log_files_(book_directory + "/seen", "log", SeenWriting::kDirect),
      run_files_(book_directory + "/seen", "run", SeenWriting::kCached) {}

absl::Status SeenStore::Damaged(std::string_view which) const {
  return DamagedError(directory_ + ": " + std::string(which));
}

std::string SeenStore::LogKeyOf(const LogName& name, const LogStretch& stretch) {
  ByteWriter key;
  key.Raw(stretch.is_plain ? kPlainLogPrefix : kLogPrefix);
  key.Fixed64(name.first);
  key.Fixed32(name.second);
  return key.Take();
}

std::string SeenStore::Encode(const LogStretch& stretch) {
  TOLLBOOK_ASSERT(!stretch.is_plain);
  ByteWriter out;
  out.Varint(stretch.place.file);
  out.Varint(stretch.place.offset);
  out.Varint(stretch.parts.size());
  for (const LogPart& part : stretch.parts) {
    out.Fixed8(part.shard);
    out.Varint(part.entries);
    out.Varint(part.bytes);
    out.Fixed64(part.checksum);
  }
  const auto is_known = [](const LogPart& part) { return part.latest != kLatestUnknown; };
  if (std::none_of(stretch.parts.begin(), stretch.parts.end(), is_known)) return out.Take();
  for (const LogPart& part : stretch.parts) out.Zigzag(part.latest.number);
  return out.Take();
}

absl::StatusOr<SeenStore::LogStretch> SeenStore::DecodeLogStretch(std::string_view stored, bool is_plain) const {
  ByteReader in(stored);
  LogStretch stretch;
  stretch.is_plain = is_plain;
  stretch.place.file = in.Varint32();
  stretch.place.offset = in.Varint64();
  const uint64_t parts = in.Count(10);
  int last = -1;
  for (uint64_t i = 0; i < parts && in.ok(); ++i) {
    LogPart part;
    part.shard = in.Fixed8();
    part.entries = in.Varint32();
    const uint64_t bytes = is_plain ? part.entries * sizeof(SeenEntry) : in.Varint32();
    part.bytes = static_cast<uint32_t>(bytes);
    part.checksum = in.Fixed64();
    if (part.shard <= last || bytes > UINT32_MAX || part.entries > bytes) in.Fail();
    last = part.shard;
    stretch.place.bytes += part.bytes;
    stretch.parts.push_back(part);
  }
  const bool has_dates = in.ok() && !in.done();
  for (LogPart& part : stretch.parts) part.latest = has_dates ? Day{in.Zigzag32()} : kLatestUnknown;
  if (!in.done() || stretch.parts.empty()) return Damaged("where seen keys of an epoch are");
  return stretch;
}

absl::Status SeenStore::Open() {
  TOLLBOOK_RETURN_IF_ERROR(ReadFloors());
  TOLLBOOK_RETURN_IF_ERROR(ReadLog(/*is_plain=*/true));
  TOLLBOOK_RETURN_IF_ERROR(ReadLog(/*is_plain=*/false));
  TOLLBOOK_RETURN_IF_ERROR(ReadRuns());
  return OpenFiles();
}

absl::Status SeenStore::ReadFloors() {
  const absl::StatusOr<std::optional<std::string>> stored = store_.Get(Family::kSeen, kFloorsKey);
  if (!stored.ok()) return stored.status();
  if (!stored->has_value()) return absl::OkStatus();
  ByteReader in(**stored);
  for (uint64_t& floor : floors_) floor = in.Varint64();
  return in.done() ? absl::OkStatus() : Damaged(kFloorsKey);
}

absl::Status SeenStore::ReadLog(bool is_plain) {
  const std::string_view prefix = is_plain ? kPlainLogPrefix : kLogPrefix;
  return store_.Scan(Family::kSeen, prefix, [&](std::string_view key, std::string_view value) -> absl::Status {
    ByteReader in(key.substr(prefix.size()));
    const uint64_t sequence = in.Fixed64();
    const uint32_t number = in.Fixed32();
    if (!in.done()) return Damaged("the key of seen keys of an epoch");
    absl::StatusOr<LogStretch> stretch = DecodeLogStretch(value, is_plain);
    if (!stretch.ok()) return stretch.status();
    const bool is_new = log_.emplace(LogName(sequence, number), *std::move(stretch)).second;
    return is_new ? absl::OkStatus() : Damaged("seen keys of an epoch, twice");
  });
}

absl::Status SeenStore::ReadRuns() {
  return store_.Scan(Family::kSeen, kRunPrefix, [&](std::string_view key, std::string_view value) -> absl::Status {
    ByteReader in(key.substr(kRunPrefix.size()));
    const uint8_t shard = in.Fixed8();
    const uint64_t number = in.Fixed64();
    if (!in.done()) return Damaged("the key of a run of seen keys");
    absl::StatusOr<SeenRunRecord> record = DecodeSeenRunRecord(value);
    if (!record.ok()) return record.status();
    record->number = number;
    runs_[shard].push_back(*record);
    return absl::OkStatus();
  });
}

absl::Status SeenStore::OpenFiles() {
  std::vector<SeenPlace> places;
  for (const auto& [name, stretch] : log_) places.push_back(stretch.place);
  TOLLBOOK_RETURN_IF_ERROR(log_files_.Open(places));
  places.clear();
  for (const Runs& runs : runs_) {
    for (const SeenRunRecord& record : runs) places.push_back(record.place);
  }
  return run_files_.Open(places);
}

absl::Status SeenStore::ForEachLogPart(int shard, const VisitPart& visit) const {
  for (auto at = log_.upper_bound({floors_[shard], UINT32_MAX}); at != log_.end(); ++at) {
    const LogStretch& stretch = at->second;
    if (stretch.parts.front().shard > shard || stretch.parts.back().shard < shard) continue;
    uint64_t offset = stretch.place.offset;
    for (const LogPart& part : stretch.parts) {
      if (part.shard == shard)
        TOLLBOOK_RETURN_IF_ERROR(visit(at->first, SeenPlace{stretch.place.file, offset, part.bytes}, part));
      offset += part.bytes;
    }
  }
  return absl::OkStatus();
}

absl::Status SeenStore::ReadPart(const LogName& name, const SeenPlace& place, const LogPart& part,
                                 std::vector<SeenEntry>* entries) const {
  const absl::StatusOr<std::shared_ptr<const SeenFile>> file = log_files_.File(place.file);
  if (!file.ok()) return file.status();
  const bool is_plain = log_.at(name).is_plain;
  std::string stored(place.bytes, '\0');
  TOLLBOOK_RETURN_IF_ERROR((*file)->Read(place.offset, place.bytes, stored.data()));
  bool is_sound = XXH3_64bits(stored.data(), stored.size()) == part.checksum;
  if (is_sound && is_plain) {
    entries->resize(part.entries);
    std::memcpy(entries->data(), stored.data(), stored.size());
  } else if (is_sound) {
    is_sound = DecodeSeenPart(part.shard, part.entries, stored, entries);
  }
  if (is_sound) return absl::OkStatus();
  return DamagedError((*file)->path() + ": seen keys of commit " + std::to_string(name.first));
}

absl::Status SeenStore::VisitHot(int shard, const Visit& visit) const {
  std::vector<SeenEntry> entries;
  return ForEachLogPart(shard, [&](const LogName& name, const SeenPlace& place, const LogPart& part) -> absl::Status {
    TOLLBOOK_RETURN_IF_ERROR(ReadPart(name, place, part, &entries));
    return visit(entries);
  });
}

absl::Status SeenStore::VisitRun(int shard, const SeenRunRecord& record, const Visit& visit) const {
  absl::StatusOr<std::shared_ptr<const SeenRun>> run = SeenRun::Open(record, run_files_);
  if (!run.ok()) return run.status();
  SeenRunReader reader(*run);
  SeenEntry entry;
  SeenSum sum;
  for (;;) {
    const absl::StatusOr<bool> more = reader.Next(&entry);
    if (!more.ok()) return more.status();
    if (!*more) break;
    if (SeenShardOf(entry) != shard || !(*run)->MayHave(entry)) return Damaged("a run of seen keys");
    sum.Add(entry);
    TOLLBOOK_RETURN_IF_ERROR(visit(std::span(&entry, 1)));
  }
  return sum == record.sum ? absl::OkStatus() : Damaged("a run of seen keys");
}

std::vector<SeenSize> SeenStore::Sizes() const {
  std::vector<SeenSize> sizes(kSeenShards);
  for (int shard = 0; shard < kSeenShards; ++shard) {
    sizes[shard].spilled_through = floors_[shard];
    for (const SeenRunRecord& record : runs_[shard]) sizes[shard].runs_bytes += record.place.bytes - record.page_bytes;
  }
  for (const auto& [name, stretch] : log_) {
    for (const LogPart& part : stretch.parts) {
      if (name.first > floors_[part.shard]) sizes[part.shard].hot_entries += part.entries;
    }
  }
  return sizes;
}

absl::Status SeenStore::Load(int shard, SeenShard* into) const {
  std::vector<std::shared_ptr<const SeenRun>> runs;
  for (const SeenRunRecord& record : runs_[shard]) {
    absl::StatusOr<std::shared_ptr<const SeenRun>> run = SeenRun::Open(record, run_files_);
    if (!run.ok()) return run.status();
    runs.push_back(*std::move(run));
  }
  into->SetRuns(std::move(runs), floors_[shard]);
  into->LoadedThrough(LatestHot(shard));
  return LoadHot(shard, into->mutable_hot());
}

Day SeenStore::LatestHot(int shard) const {
  Day latest = kNoUsage;
  (void)ForEachLogPart(shard, [&](const LogName&, const SeenPlace&, const LogPart& part) {
    latest = std::max(latest, part.latest);
    return absl::OkStatus();
  });
  return latest;
}

absl::Status SeenStore::LoadHot(int shard, SeenSet* into) const {
  size_t entries = into->size();
  TOLLBOOK_RETURN_IF_ERROR(ForEachLogPart(shard, [&](const LogName&, const SeenPlace&, const LogPart& part) {
    entries += part.entries;
    return absl::OkStatus();
  }));
  into->Reserve(entries);
  return VisitHot(shard, [&](std::span<const SeenEntry> part) {
    return into->Load(BytesOf(part)) ? absl::OkStatus() : Damaged("seen keys");
  });
}

absl::Status SeenStore::Load(int shard, SeenSet* into) const {
  const auto insert = [&](std::span<const SeenEntry> entries) {
    for (const SeenEntry& entry : entries) (void)into->Insert(entry);
    return absl::OkStatus();
  };
  for (const SeenRunRecord& record : runs_[shard]) TOLLBOOK_RETURN_IF_ERROR(VisitRun(shard, record, insert));
  return LoadHot(shard, into);
}

absl::Status SeenStore::Prepare(uint64_t sequence, SeenByShard seen, const SeenSpills& spills, int span_days,
                                StoreWrite* write, SeenSum* sum) {
  pending_ = {};
  pending_.sequence = sequence;
  pending_.floors = floors_;
  for (const auto& [shard, from] : spills) TOLLBOOK_RETURN_IF_ERROR(Spill(shard, from, span_days, write, sum));
  TOLLBOOK_RETURN_IF_ERROR(AppendLog(sequence, seen, write, sum));
  TOLLBOOK_RETURN_IF_ERROR(run_files_.Sync());
  TOLLBOOK_RETURN_IF_ERROR(log_files_.Sync());
  if (!spills.empty()) {
    PutFloors(sequence, spills, write);
    DropCoveredLog(write);
  }
  return absl::OkStatus();
}

absl::Status SeenStore::AppendLog(uint64_t sequence, SeenByShard seen, StoreWrite* write, SeenSum* sum) {
  uint64_t all_bytes = 0;
  for (const FreshSeen* fresh : seen) all_bytes += fresh->entries.size_bytes();
  const uint64_t stretch_bytes = std::max(all_bytes / kLogStretches, kLogStretchBytesMin);
  LogStretch stretch;
  uint64_t bytes = 0;
  std::string packed;
  for (const FreshSeen* fresh : seen) {
    const std::span<const SeenEntry> entries = fresh->entries;
    if (entries.empty()) continue;
    if (stretch.parts.empty()) TOLLBOOK_RETURN_IF_ERROR(log_files_.Begin());
    packed.clear();
    AppendSeenPart(entries, &packed);
    TOLLBOOK_RETURN_IF_ERROR(log_files_.Append(packed));
    stretch.parts.push_back({static_cast<uint8_t>(fresh->shard), static_cast<uint32_t>(entries.size()),
                             static_cast<uint32_t>(packed.size()), XXH3_64bits(packed.data(), packed.size()),
                             fresh->latest});
    *sum += SumOf(entries);
    bytes += entries.size_bytes();
    if (bytes < stretch_bytes) continue;
    TOLLBOOK_RETURN_IF_ERROR(EndLogStretch(sequence, std::exchange(stretch, {}), write));
    bytes = 0;
  }
  return stretch.parts.empty() ? absl::OkStatus() : EndLogStretch(sequence, std::move(stretch), write);
}

absl::Status SeenStore::EndLogStretch(uint64_t sequence, LogStretch stretch, StoreWrite* write) {
  absl::StatusOr<SeenPlace> place = log_files_.End();
  if (!place.ok()) return place.status();
  stretch.place = *place;
  const LogName name(sequence, static_cast<uint32_t>(pending_.log.size()));
  write->Put(Family::kSeen, LogKeyOf(name, stretch), Encode(stretch));
  pending_.log.emplace_back(name, std::move(stretch));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const SeenRun>> SeenStore::WriteRun(
    std::span<const SeenEntry> sorted, std::span<const std::shared_ptr<const SeenRun>> merged, uint64_t number,
    Day latest) {
  uint64_t entries = sorted.size();
  std::vector<Head> heads;
  for (const auto& run : merged) {
    entries += run->size();
    heads.push_back({{}, SeenRunReader(run)});
    const absl::StatusOr<bool> more = heads.back().reader.Next(&heads.back().entry);
    if (!more.ok()) return more.status();
    if (!*more) heads.pop_back();
  }
  SeenRunWriter writer(&run_files_, entries);
  TOLLBOOK_RETURN_IF_ERROR(writer.Begin());
  for (const SeenEntry& next : sorted) {
    // All that comes before it from the runs; four of them as a rule.
    while (!heads.empty()) {
      const auto least = std::min_element(heads.begin(), heads.end(),
                                          [](const Head& a, const Head& b) { return ByKey(a.entry, b.entry); });
      if (!ByKey(least->entry, next)) break;
      TOLLBOOK_RETURN_IF_ERROR(writer.Add(least->entry));
      const absl::StatusOr<bool> more = least->reader.Next(&least->entry);
      if (!more.ok()) return more.status();
      if (!*more) heads.erase(least);
    }
    TOLLBOOK_RETURN_IF_ERROR(writer.Add(next));
  }
  while (!heads.empty()) {
    const auto least = std::min_element(heads.begin(), heads.end(),
                                        [](const Head& a, const Head& b) { return ByKey(a.entry, b.entry); });
    TOLLBOOK_RETURN_IF_ERROR(writer.Add(least->entry));
    const absl::StatusOr<bool> more = least->reader.Next(&least->entry);
    if (!more.ok()) return more.status();
    if (!*more) heads.erase(least);
  }
  return writer.Finish(number, latest);
}

absl::Status SeenStore::Merge(std::span<const SeenEntry> sorted, Day latest,
                              std::span<const std::shared_ptr<const SeenRun>> merged, Merging* shard,
                              StoreWrite* write) {
  const uint64_t number = shard->all.empty() ? 1 : shard->all.back()->record().number + 1;
  for (const auto& old : merged) latest = std::max(latest, old->record().latest);
  absl::StatusOr<std::shared_ptr<const SeenRun>> run = WriteRun(sorted, merged, number, latest);
  if (!run.ok()) return run.status();
  SeenSum expected = SumOf(sorted);
  for (const auto& old : merged) expected += old->record().sum;
  TOLLBOOK_ASSERT((*run)->record().sum == expected);  // before anything that it replaces is let go
  for (const auto& old : merged) {
    shard->freed.push_back(old->record().place);
    write->Delete(Family::kSeen, RunKey(shard->shard, old->record().number));
    std::erase(shard->all, old);
  }
  shard->all.push_back(*run);
  write->Put(Family::kSeen, RunKey(shard->shard, number), tollbook::Encode((*run)->record()));
  return absl::OkStatus();
}

absl::Status SeenStore::Spill(int shard, SeenShard* from, int span_days, StoreWrite* write, SeenSum* sum) {
  *sum += SumOf(from->hot().uncommitted());
  Pending::Spilled spilled{from, {shard, from->runs(), {}}};
  if (from->hot().size() > 0) {
    const Day latest = from->latest_hot() == kNoUsage ? kLatestUnknown : from->latest_hot();
    const int span = SpanOf(latest, span_days);
    std::map<int, std::vector<std::shared_ptr<const SeenRun>>> spans;
    for (const auto& run : spilled.runs.all) spans[SpanOf(run->record().latest, span_days)].push_back(run);
    if (latest != kLatestUnknown) {
      for (const auto& [earlier, runs] : spans) {
        if (earlier < span && runs.size() > 1)
          TOLLBOOK_RETURN_IF_ERROR(Merge({}, kNoUsage, runs, &spilled.runs, write));
      }
    }
    const std::vector<std::shared_ptr<const SeenRun>>& of_span = spans[span];
    std::vector<uint64_t> sizes;
    for (const auto& run : of_span) sizes.push_back(run->size());
    const size_t kept = sizes.size() - RunsToMerge(sizes, from->hot().size());
    TOLLBOOK_RETURN_IF_ERROR(
        Merge(SortedByKey(from->hot().entries()), latest, std::span(of_span).subspan(kept), &spilled.runs, write));
  }
  pending_.spilled.push_back(std::move(spilled));
  return absl::OkStatus();
}

void SeenStore::PutFloors(uint64_t sequence, const SeenSpills& spills, StoreWrite* write) {
  for (const auto& [shard, from] : spills) pending_.floors[shard] = sequence;
  ByteWriter floors;
  for (const uint64_t floor : pending_.floors) floors.Varint(floor);
  write->Put(Family::kSeen, kFloorsKey, floors.bytes());
}

// Stretches of which every part is in a run now.
void SeenStore::DropCoveredLog(StoreWrite* write) {
  for (const auto& [name, stretch] : log_) {
    const uint64_t sequence = name.first;
    const auto spilled = [&](const LogPart& part) { return pending_.floors[part.shard] >= sequence; };
    if (!std::all_of(stretch.parts.begin(), stretch.parts.end(), spilled)) continue;
    write->Delete(Family::kSeen, LogKeyOf(name, stretch));
    pending_.log_freed.push_back(name);
  }
}

void SeenStore::Committed() {
  for (auto& [name, stretch] : pending_.log) log_.emplace(name, std::move(stretch));
  for (const LogName& name : pending_.log_freed) {
    Free(&log_files_, log_.at(name).place);
    log_.erase(name);
  }
  floors_ = pending_.floors;
  for (Pending::Spilled& spilled : pending_.spilled) {
    for (const SeenPlace& place : spilled.runs.freed) Free(&run_files_, place);
    Runs& runs = runs_[spilled.runs.shard];
    runs.clear();
    for (const auto& run : spilled.runs.all) runs.push_back(run->record());
    spilled.from->Spilled(std::move(spilled.runs.all), pending_.sequence);
  }
  for (const auto& [shard, number] : pending_.forgotten) {
    const auto run = std::ranges::find(runs_[shard], number, &SeenRunRecord::number);
    Free(&run_files_, run->place);
    runs_[shard].erase(run);
  }
  pending_ = {};
}

absl::Status SeenStore::PrepareForgetting(Day before, StoreWrite* write, SeenForgotten* forgotten) {
  pending_ = {};
  pending_.floors = floors_;
  TOLLBOOK_RETURN_IF_ERROR(ForgetRuns(before, write, forgotten));
  return ForgetLog(before, write, forgotten);
}

absl::Status SeenStore::ForgetRuns(Day before, StoreWrite* write, SeenForgotten* forgotten) {
  for (int shard = 0; shard < kSeenShards; ++shard) {
    for (const SeenRunRecord& record : runs_[shard]) {
      if (record.latest >= before) continue;
      TOLLBOOK_RETURN_IF_ERROR(VisitRun(shard, record, [](std::span<const SeenEntry>) { return absl::OkStatus(); }));
      forgotten->sum += record.sum;
      forgotten->bytes += EndOf(record.place) - record.place.offset;
      write->Delete(Family::kSeen, RunKey(shard, record.number));
      pending_.forgotten.emplace_back(shard, record.number);
    }
  }
  return absl::OkStatus();
}

// What of a stretch is in runs does not keep it.
bool SeenStore::IsForgettable(const LogName& name, const LogStretch& stretch, Day before) const {
  return std::ranges::all_of(
      stretch.parts, [&](const LogPart& part) { return part.latest < before || floors_[part.shard] >= name.first; });
}

absl::Status SeenStore::ForgetLog(Day before, StoreWrite* write, SeenForgotten* forgotten) {
  std::vector<SeenEntry> entries;
  for (const auto& [name, stretch] : log_) {
    if (!IsForgettable(name, stretch, before)) continue;
    uint64_t offset = stretch.place.offset;
    for (const LogPart& part : stretch.parts) {
      const SeenPlace place{stretch.place.file, offset, part.bytes};
      TOLLBOOK_RETURN_IF_ERROR(ReadPart(name, place, part, &entries));
      offset += place.bytes;
      if (floors_[part.shard] < name.first) forgotten->sum += SumOf(entries);
    }
    forgotten->bytes += EndOf(stretch.place) - stretch.place.offset;
    write->Delete(Family::kSeen, LogKeyOf(name, stretch));
    pending_.log_freed.push_back(name);
  }
  return absl::OkStatus();
}

std::map<Day, SeenKept> SeenStore::Kept() const {
  std::map<Day, SeenKept> kept;
  for (const Runs& runs : runs_) {
    for (const SeenRunRecord& record : runs) {
      kept[record.latest].entries += record.sum.entries;
      kept[record.latest].bytes += EndOf(record.place) - record.place.offset;
    }
  }
  for (const auto& [name, stretch] : log_) {
    for (const LogPart& part : stretch.parts) {
      if (name.first > floors_[part.shard]) kept[part.latest].entries += part.entries;
      kept[part.latest].bytes += part.bytes;
    }
  }
  return kept;
}

absl::Status SeenStore::Reclaim() {
  TOLLBOOK_RETURN_IF_ERROR(run_files_.Reclaim());
  return log_files_.Reclaim();
}

std::vector<SeenStore::Extent> SeenStore::HoldFiles() {
  TOLLBOOK_ASSERT(!holding_);
  holding_ = true;
  std::map<std::string, uint64_t> ends;
  const auto add = [&](const char* extension, const SeenPlace& place) {
    uint64_t& end = ends["seen/" + std::to_string(place.file) + extension];
    end = std::max(end, EndOf(place));
  };
  for (const auto& [name, stretch] : log_) add(".log", stretch.place);
  for (const Runs& runs : runs_) {
    for (const SeenRunRecord& record : runs) add(".run", record.place);
  }
  std::vector<Extent> extents;
  for (const auto& [name, end] : ends) extents.push_back({name, end});
  return extents;
}

void SeenStore::ReleaseFiles() {
  holding_ = false;
  for (const auto& [files, place] : std::exchange(held_back_, {})) files->Free(place);
}

void SeenStore::Free(SeenFiles* files, const SeenPlace& place) {
  if (holding_)
    held_back_.emplace_back(files, place);
  else
    files->Free(place);
}

// Nothing lies in the family that is not ours.
absl::Status SeenStore::CheckKeys() const {
  uint64_t keys = 0;
  TOLLBOOK_RETURN_IF_ERROR(store_.Scan(Family::kSeen, "", [&](std::string_view key, std::string_view) {
    keys += key != kFloorsKey;
    return absl::OkStatus();
  }));
  uint64_t known = log_.size();
  for (const Runs& runs : runs_) known += runs.size();
  return keys == known ? absl::OkStatus() : Damaged("seen keys that no commit refers to");
}

absl::Status SeenStore::Check(const SeenSum& expected) const {
  TOLLBOOK_RETURN_IF_ERROR(CheckKeys());
  SeenSum sum;
  const auto add = [&](std::span<const SeenEntry> entries) {
    sum += SumOf(entries);
    return absl::OkStatus();
  };
  for (int shard = 0; shard < kSeenShards; ++shard) {
    for (const SeenRunRecord& record : runs_[shard]) TOLLBOOK_RETURN_IF_ERROR(VisitRun(shard, record, add));
    TOLLBOOK_RETURN_IF_ERROR(VisitHot(shard, add));
  }
  if (sum == expected) return absl::OkStatus();
  return Damaged("seen keys: " + std::to_string(sum.entries) + " are stored, " + std::to_string(expected.entries) +
                 " were accepted, or others");
}

}  // namespace tollbook
