#include "ledger/seen_run.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "ledger/bytes.h"
#include "ledger/records.h"

namespace tollbook {
namespace {

// Read ahead of a merge: large enough for the disk to stream.
constexpr size_t kReadBytes = 256 << 10;

uint64_t Checksum(std::string_view index, std::string_view filter) {
  XXH3_state_t state;
  TOLLBOOK_ASSERT(XXH3_64bits_reset(&state) == XXH_OK);
  XXH3_64bits_update(&state, index.data(), index.size());
  XXH3_64bits_update(&state, filter.data(), filter.size());
  return XXH3_64bits_digest(&state);
}

}  // namespace

std::string Encode(const SeenRunRecord& record) {
  ByteWriter out;
  out.Varint(record.place.file);
  out.Varint(record.place.offset);
  out.Varint(record.place.bytes);
  out.Varint(record.page_bytes);
  out.Fixed64(record.checksum);
  out.Varint(record.sum.entries);
  out.Fixed64(static_cast<uint64_t>(record.sum.hashes >> 64));
  out.Fixed64(static_cast<uint64_t>(record.sum.hashes));
  if (record.latest != kLatestUnknown) out.Zigzag(record.latest.number);
  return out.Take();
}

absl::StatusOr<SeenRunRecord> DecodeSeenRunRecord(std::string_view stored) {
  ByteReader in(stored);
  SeenRunRecord record;
  record.place.file = in.Varint32();
  record.place.offset = in.Varint64();
  record.place.bytes = in.Varint64();
  record.page_bytes = in.Varint64();
  record.checksum = in.Fixed64();
  record.sum.entries = in.Varint64();
  record.sum.hashes = static_cast<Uint128>(in.Fixed64()) << 64;
  record.sum.hashes |= in.Fixed64();
  if (in.ok() && !in.done()) record.latest = {in.Zigzag32()};
  if (!in.done()) return DamagedError("the record of a run of seen keys");
  return record;
}

absl::StatusOr<std::shared_ptr<const SeenRun>> SeenRun::Open(const SeenRunRecord& record, const SeenFiles& files) {
  auto run = std::make_shared<SeenRun>();
  run->record_ = record;
  absl::StatusOr<std::shared_ptr<const SeenFile>> file = files.File(record.place.file);
  if (!file.ok()) return file.status();
  run->file_ = *std::move(file);
  const auto damaged = [&] { return DamagedError(run->file_->path() + ": a run of seen keys"); };
  // The sizes are checked against each other before anything is allocated by them.
  const size_t pages = (record.sum.entries + kSeenPageEntries - 1) / kSeenPageEntries;
  const size_t index_bytes = pages * sizeof(PageStart);
  const size_t filter_bytes = SeenFilter::BytesFor(record.sum.entries);
  if (pages == 0 || record.sum.entries > record.place.bytes ||
      record.page_bytes + index_bytes + filter_bytes != record.place.bytes)
    return damaged();
  run->index_.resize(pages);
  run->filter_ = SeenFilter(record.sum.entries);
  const uint64_t index_at = record.place.offset + record.page_bytes;
  const std::span<char> index(reinterpret_cast<char*>(run->index_.data()), index_bytes);
  TOLLBOOK_RETURN_IF_ERROR(run->file_->Read(index_at, index_bytes, index.data()));
  TOLLBOOK_RETURN_IF_ERROR(run->file_->Read(index_at + index_bytes, filter_bytes, run->filter_.data()));
  if (Checksum({index.data(), index.size()}, run->filter_.bytes()) != record.checksum) return damaged();
  return run;
}

SeenRun::PagePlace SeenRun::PageOf(size_t page) const {
  const uint64_t end = page + 1 < index_.size() ? index_[page + 1].offset : record_.page_bytes;
  return {record_.place.offset + index_[page].offset, static_cast<size_t>(end - index_[page].offset)};
}

SeenRun::PagePlace SeenRun::PageFor(const SeenEntry& entry) const {
  const auto after = std::upper_bound(index_.begin(), index_.end(), KeyOf(entry),
                                      [](Uint128 key, const PageStart& page) { return key < page.key(); });
  if (after == index_.begin()) return {};
  return PageOf(static_cast<size_t>(after - index_.begin()) - 1);
}

absl::StatusOr<std::optional<uint64_t>> SeenRun::FindIn(std::string_view page, const SeenEntry& entry) const {
  const SeenPageAnswer answer = FindInSeenPage(page, entry);
  if (!answer.sound) return DamagedError(file_->path() + ": a page of seen keys");
  return answer.content;
}

absl::StatusOr<SeenRun::Answer> SeenRun::FindNow(const SeenEntry& entry) const {
  const PagePlace place = PageFor(entry);
  if (place.bytes == 0) return Answer{true, std::nullopt};
  std::string page(place.bytes, '\0');
  if (!file_->ReadIfCached(place.offset, place.bytes, page.data())) {
    file_->WillNeed(place.offset, place.bytes);
    return Answer{};
  }
  const absl::StatusOr<std::optional<uint64_t>> content = FindIn(page, entry);
  if (!content.ok()) return content.status();
  return Answer{true, *content};
}

absl::StatusOr<std::optional<uint64_t>> SeenRun::Find(const SeenEntry& entry) const {
  const PagePlace place = PageFor(entry);
  if (place.bytes == 0) return std::optional<uint64_t>();
  std::string page(place.bytes, '\0');
  TOLLBOOK_RETURN_IF_ERROR(file_->Read(place.offset, place.bytes, page.data()));
  return FindIn(page, entry);
}

absl::Status SeenRunWriter::Add(const SeenEntry& entry) {
  page_.push_back(entry);
  run_->filter_.Add(entry);
  run_->record_.sum.Add(entry);
  return page_.size() == kSeenPageEntries ? EndPage() : absl::OkStatus();
}

absl::Status SeenRunWriter::EndPage() {
  if (page_.empty()) return absl::OkStatus();
  // 4 GB of pages are the entries of a book of 60 billion events.
  TOLLBOOK_ASSERT(page_bytes_ <= UINT32_MAX);
  run_->index_.push_back(
      {page_[0].key_low, page_[0].key_middle, page_[0].key_high, static_cast<uint32_t>(page_bytes_)});
  bytes_.clear();
  AppendSeenPage(page_, &bytes_);
  page_bytes_ += bytes_.size();
  page_.clear();
  return files_.Append(bytes_);
}

absl::StatusOr<std::shared_ptr<const SeenRun>> SeenRunWriter::Finish(uint64_t number, Day latest) {
  TOLLBOOK_RETURN_IF_ERROR(EndPage());
  const std::string_view index(reinterpret_cast<const char*>(run_->index_.data()),
                               run_->index_.size() * sizeof(SeenRun::PageStart));
  TOLLBOOK_RETURN_IF_ERROR(files_.Append(index));
  TOLLBOOK_RETURN_IF_ERROR(files_.Append(run_->filter_.bytes()));
  absl::StatusOr<SeenPlace> place = files_.End();
  if (!place.ok()) return place.status();
  SeenRunRecord& record = run_->record_;
  record.number = number;
  record.place = *place;
  record.page_bytes = page_bytes_;
  record.checksum = Checksum(index, run_->filter_.bytes());
  record.latest = latest;
  TOLLBOOK_ASSERT(run_->filter_.size() == SeenFilter::BytesFor(record.sum.entries));
  absl::StatusOr<std::shared_ptr<const SeenFile>> file = files_.File(place->file);
  if (!file.ok()) return file.status();
  run_->file_ = *std::move(file);
  return std::move(run_);
}

absl::StatusOr<bool> SeenRunReader::Refill() {
  entries_.clear();
  at_ = 0;
  const size_t pages = run_->index_.size();
  if (next_page_ == pages) return false;
  const auto damaged = [&] { return DamagedError(run_->file_->path() + ": a page of seen keys"); };
  size_t end = next_page_;
  size_t bytes = 0;
  while (end < pages && bytes < kReadBytes) bytes += run_->PageOf(end++).bytes;
  if (bytes > run_->record_.page_bytes) return damaged();
  bytes_.resize(bytes);
  TOLLBOOK_RETURN_IF_ERROR(run_->file_->Read(run_->PageOf(next_page_).offset, bytes, bytes_.data()));
  const uint64_t start = run_->PageOf(next_page_).offset;
  for (; next_page_ < end; ++next_page_) {
    const SeenRun::PagePlace place = run_->PageOf(next_page_);
    const size_t before = entries_.size();
    if (!DecodeSeenPage(std::string_view(bytes_).substr(place.offset - start, place.bytes), &entries_) ||
        KeyOf(entries_[before]) != run_->index_[next_page_].key())
      return damaged();
  }
  return true;
}

}  // namespace tollbook
