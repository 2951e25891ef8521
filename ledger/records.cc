#include "ledger/records.h"

#include <openssl/evp.h>

#include <cstring>

#include "ledger/bytes.h"

namespace tollbook {
namespace {

void Append(const LineCounts& counts, ByteWriter* out) {
  // Signed: a retry takes from held.
  for (uint64_t n : {counts.lines, counts.accepted, counts.duplicate, counts.conflict, counts.held, counts.rejected}) {
    out->Zigzag(static_cast<int64_t>(n));
  }
}

LineCounts ReadCounts(ByteReader* in) {
  LineCounts counts;
  for (uint64_t* n :
       {&counts.lines, &counts.accepted, &counts.duplicate, &counts.conflict, &counts.held, &counts.rejected}) {
    *n = static_cast<uint64_t>(in->Zigzag64());
  }
  return counts;
}

void Append(const std::array<uint64_t, 2>& pair, ByteWriter* out) {
  out->Fixed64(pair[0]);
  out->Fixed64(pair[1]);
}

std::array<uint64_t, 2> ReadPair(ByteReader* in) {
  const uint64_t first = in->Fixed64();
  return {first, in->Fixed64()};
}

std::string_view View(const Hash256& hash) {
  return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

Hash256 ReadHash(ByteReader* in) {
  Hash256 hash{};
  const std::string_view raw = in->Raw(hash.size());
  if (raw.size() == hash.size()) std::memcpy(hash.data(), raw.data(), raw.size());
  return hash;
}

std::string EncodeWithoutHash(const CommitRecord& record) {
  ByteWriter out;
  out.Varint(record.sequence);
  out.Fixed8(static_cast<uint8_t>(record.kind));
  out.Raw(View(record.previous));
  Append(record.body, &out);
  out.Zigzag(record.committed_at_nanos);
  Append(record.delta, &out);
  Append(record.book, &out);
  out.Varint(record.covered.size());
  for (const CoveredRange& range : record.covered) {
    out.Varint(range.source);
    out.Varint(range.first_offset);
    out.Varint(range.end_offset);
    out.Varint(range.first_line);
    out.Varint(range.end_line);
  }
  out.Fixed8(static_cast<uint8_t>((record.retires_held ? 1 : 0) | (record.retires_corrections ? 2 : 0)));
  out.Varint(record.seen.entries);
  out.Fixed64(static_cast<uint64_t>(record.seen.hashes >> 64));
  out.Fixed64(static_cast<uint64_t>(record.seen.hashes));
  return out.Take();
}

}  // namespace

uint64_t& LineCounts::of(Outcome outcome) {
  switch (outcome) {
    case Outcome::kAccepted:
      return accepted;
    case Outcome::kDuplicate:
      return duplicate;
    case Outcome::kConflict:
      return conflict;
    case Outcome::kHeld:
      return held;
    case Outcome::kRejected:
      break;
  }
  return rejected;
}

LineCounts& LineCounts::operator+=(const LineCounts& other) {
  lines += other.lines;
  accepted += other.accepted;
  duplicate += other.duplicate;
  conflict += other.conflict;
  held += other.held;
  rejected += other.rejected;
  return *this;
}

LineCounts& LineCounts::operator-=(const LineCounts& other) {
  lines -= other.lines;
  accepted -= other.accepted;
  duplicate -= other.duplicate;
  conflict -= other.conflict;
  held -= other.held;
  rejected -= other.rejected;
  return *this;
}

std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char byte : bytes) {
    hex.push_back(kDigits[static_cast<uint8_t>(byte) >> 4]);
    hex.push_back(kDigits[static_cast<uint8_t>(byte) & 15]);
  }
  return hex;
}

std::string ToHex(const Hash256& hash) {
  return ToHex(View(hash));
}

Hash256 HashOf(const CommitRecord& record) {
  const std::string bytes = EncodeWithoutHash(record);
  Hash256 hash{};
  unsigned int size = 0;
  TOLLBOOK_ASSERT(EVP_Digest(bytes.data(), bytes.size(), hash.data(), &size, EVP_sha256(), nullptr) == 1 &&
                  size == hash.size());
  return hash;
}

absl::Status DamagedError(std::string_view which) {
  return MakeError(absl::StatusCode::kDataLoss, "the book is damaged", which,
                   "nothing was changed; restore the book from a backup, or absorb the sources into a new book");
}

std::string Encode(const BookIdentity& identity) {
  ByteWriter out;
  out.Fixed32(identity.format_version);  // first, and of fixed size: any version can read it
  out.Text(identity.name);
  out.Text(identity.zone);
  Append(identity.seed, &out);
  return out.Take();
}

absl::StatusOr<BookIdentity> DecodeBookIdentity(std::string_view stored) {
  ByteReader in(stored);
  BookIdentity identity;
  identity.format_version = in.Fixed32();
  if (in.ok() && identity.format_version > kFormatVersion)
    return identity;  // the caller refuses it; the rest is unknown
  identity.name = in.Text();
  identity.zone = in.Text();
  identity.seed = ReadPair(&in);
  if (!in.done()) return DamagedError("identity record");
  return identity;
}

std::string Encode(const SourceRecord& record) {
  ByteWriter out;
  out.Varint(record.id);
  out.Text(record.path);
  out.Fixed64(record.reading);
  out.Fixed64(record.catalog);
  out.Varint(record.offset);
  out.Varint(record.rows);
  out.Varint(record.lines);
  Append(record.digest, &out);
  out.Fixed8(record.finished ? 1 : 0);
  out.Varint(record.file_bytes);
  Append(record.file_digest, &out);
  Append(record.counts, &out);
  return out.Take();
}

absl::StatusOr<SourceRecord> DecodeSourceRecord(std::string_view stored) {
  ByteReader in(stored);
  SourceRecord record;
  record.id = in.Varint32();
  record.path = in.Text();
  record.reading = in.Fixed64();
  record.catalog = in.Fixed64();
  record.offset = in.Varint64();
  record.rows = in.Varint64();
  record.lines = in.Varint64();
  record.digest = ReadPair(&in);
  record.finished = in.Flag();
  record.file_bytes = in.Varint64();
  record.file_digest = ReadPair(&in);
  record.counts = ReadCounts(&in);
  if (!in.done()) return DamagedError("source record");
  return record;
}

std::string Encode(const CommitRecord& record) {
  std::string bytes = EncodeWithoutHash(record);
  bytes.append(View(record.hash));
  return bytes;
}

absl::StatusOr<CommitRecord> DecodeCommitRecord(std::string_view stored) {
  ByteReader in(stored);
  CommitRecord record;
  record.sequence = in.Varint64();
  record.kind = in.OneOf(CommitKind::kCutOff);
  record.previous = ReadHash(&in);
  record.body = ReadPair(&in);
  record.committed_at_nanos = in.Zigzag64();
  record.delta = ReadCounts(&in);
  record.book = ReadCounts(&in);
  const uint64_t ranges = in.Count(5);
  record.covered.reserve(ranges);
  for (uint64_t i = 0; i < ranges && in.ok(); ++i) {
    CoveredRange range;
    range.source = in.Varint32();
    range.first_offset = in.Varint64();
    range.end_offset = in.Varint64();
    range.first_line = in.Varint64();
    range.end_line = in.Varint64();
    record.covered.push_back(range);
  }
  const uint8_t retires = in.Fixed8();
  if (retires > 3) in.Fail();
  record.retires_held = (retires & 1) != 0;
  record.retires_corrections = (retires & 2) != 0;
  record.seen.entries = in.Varint64();
  record.seen.hashes = static_cast<Uint128>(in.Fixed64()) << 64;
  record.seen.hashes |= in.Fixed64();
  record.hash = ReadHash(&in);
  if (!in.done() || static_cast<uint8_t>(record.kind) == 0) return DamagedError("commit record");
  return record;
}

std::string Encode(const SealRecord& record) {
  ByteWriter out;
  out.Varint(record.number);
  out.Varint(record.sequence);
  out.Text(record.catalog_digest);
  const bool adjusts = !record.adjusted_by.empty();
  const bool reverses = !record.reverses.empty();
  out.Fixed8(static_cast<uint8_t>((record.through.has_value() ? 1 : 0) | (adjusts ? 2 : 0) |
                                  (record.held.empty() ? 0 : 4) | (reverses ? 8 : 0)));
  out.Zigzag(record.through.value_or(Day{}).number);
  out.Varint(record.differences);
  out.Varint(record.batches.size());
  for (const std::string& batch : record.batches) out.Text(batch);
  if (adjusts) {
    out.Text(record.adjusted_by);
    out.Text(record.adjusted_why);
  }
  if (!record.held.empty()) out.Varint(record.held.size());
  for (const HeldBatch& held : record.held) {
    out.Varint(held.batch);
    out.Text(held.why);
  }
  if (reverses) {
    for (const std::string* text : {&record.reverses, &record.reversed_by, &record.reversed_why}) out.Text(*text);
  }
  return out.Take();
}

absl::StatusOr<SealRecord> DecodeSealRecord(std::string_view stored) {
  ByteReader in(stored);
  SealRecord record;
  record.number = in.Varint64();
  record.sequence = in.Varint64();
  record.catalog_digest = in.Text();
  const uint8_t has = in.Fixed8();
  if (has > 15) in.Fail();
  const Day through{in.Zigzag32()};
  if ((has & 1) != 0) record.through = through;
  record.differences = in.Varint64();
  const uint64_t batches = in.Count();
  for (uint64_t i = 0; i < batches && in.ok(); ++i) record.batches.emplace_back(in.Text());
  if ((has & 2) != 0) {
    record.adjusted_by = in.Text();
    record.adjusted_why = in.Text();
    if (record.adjusted_by.empty()) in.Fail();
  }
  const uint64_t held = (has & 4) != 0 ? in.Count(2) : 0;
  if ((has & 4) != 0 && held == 0) in.Fail();
  for (uint64_t i = 0; i < held && in.ok(); ++i) {
    const uint32_t batch = in.Varint32();
    const bool comes_next = record.held.empty() || record.held.back().batch < batch;
    if (!comes_next || batch >= record.batches.size()) in.Fail();
    record.held.push_back({batch, std::string(in.Text())});
  }
  if ((has & 8) != 0) {
    for (std::string* text : {&record.reverses, &record.reversed_by, &record.reversed_why}) {
      *text = in.Text();
      if (text->empty()) in.Fail();
    }
  }
  if (!in.done()) return DamagedError("seal record");
  return record;
}

std::string Encode(const MeterRecord& record) {
  const Meter& meter = record.meter;
  ByteWriter out;
  out.Varint(record.sequence);
  out.Text(meter.name);
  out.Text(meter.event_type);
  out.Fixed8(static_cast<uint8_t>(meter.aggregation));
  out.Text(meter.value_property);
  out.Text(meter.value_expression);
  out.Text(meter.operation_property);
  out.Varint(meter.dimensions.size());
  for (const std::string& dimension : meter.dimensions) out.Text(dimension);
  out.Text(meter.unit);
  out.Fixed8(static_cast<uint8_t>(meter.granularity));
  out.Fixed8(meter.allow_negative ? 1 : 0);
  out.Fixed8(meter.keep_events ? 1 : 0);
  if (!meter.prorated_property.empty()) out.Text(meter.prorated_property);
  return out.Take();
}

absl::StatusOr<MeterRecord> DecodeMeterRecord(std::string_view stored) {
  ByteReader in(stored);
  MeterRecord record;
  record.sequence = in.Varint64();
  Meter& meter = record.meter;
  meter.name = in.Text();
  meter.event_type = in.Text();
  meter.aggregation = in.OneOf(Aggregation::kPercentile);
  meter.value_property = in.Text();
  meter.value_expression = in.Text();
  meter.operation_property = in.Text();
  const uint64_t dimensions = in.Count();
  for (uint64_t i = 0; i < dimensions && in.ok(); ++i) meter.dimensions.emplace_back(in.Text());
  meter.unit = in.Text();
  meter.granularity = in.OneOf(Granularity::kQuarterHour);
  meter.allow_negative = in.Flag();
  meter.keep_events = in.Flag();
  if (in.ok() && !in.done()) {
    meter.prorated_property = in.Text();
    if (meter.dimensions.empty() || meter.prorated_property != meter.dimensions.back()) in.Fail();
  }
  if (!in.done()) return DamagedError("meter record");
  return record;
}

std::string Encode(const std::map<std::string, std::string>& catalog_files) {
  ByteWriter out;
  out.Varint(catalog_files.size());
  for (const auto& [name, text] : catalog_files) {
    out.Text(name);
    out.Text(text);
  }
  return out.Take();
}

absl::StatusOr<std::map<std::string, std::string>> DecodeCatalogFiles(std::string_view stored) {
  ByteReader in(stored);
  std::map<std::string, std::string> files;
  const uint64_t count = in.Count(2);
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    const std::string_view name = in.Text();
    files.emplace(name, in.Text());
  }
  if (!in.done() || files.size() != count) return DamagedError("catalog files");
  return files;
}

std::string Encode(const std::vector<ExceptionRecord>& exceptions) {
  ByteWriter out;
  out.Varint(exceptions.size());
  uint64_t last_line = 0;
  uint64_t last_offset = 0;
  for (const ExceptionRecord& record : exceptions) {
    out.Fixed8(static_cast<uint8_t>(record.reason));
    out.Varint(record.source);
    out.Zigzag(static_cast<int64_t>(record.line - last_line));
    out.Zigzag(static_cast<int64_t>(record.offset - last_offset));
    out.Varint(record.part);
    out.Text(record.payload);
    if (NeedsSource(record.reason)) out.Varint(record.needs);
    last_line = record.line;
    last_offset = record.offset;
  }
  return out.Take();
}

absl::StatusOr<std::vector<ExceptionRecord>> DecodeExceptions(std::string_view stored) {
  ByteReader in(stored);
  const uint64_t count = in.Count(6);  // an exception takes at least a byte a field
  std::vector<ExceptionRecord> exceptions;
  exceptions.reserve(count);
  uint64_t last_line = 0;
  uint64_t last_offset = 0;
  for (uint64_t i = 0; i < count && in.ok(); ++i) {
    ExceptionRecord record;
    record.reason = in.OneOf(static_cast<Reason>(kReasons - 1));
    record.source = in.Varint32();
    record.line = last_line + static_cast<uint64_t>(in.Zigzag64());
    record.offset = last_offset + static_cast<uint64_t>(in.Zigzag64());
    record.part = in.Varint32();
    record.payload = in.Text();
    if (NeedsSource(record.reason)) record.needs = in.Varint32();
    last_line = record.line;
    last_offset = record.offset;
    exceptions.push_back(record);
  }
  if (!in.done()) return DamagedError("exceptions of an epoch");
  return exceptions;
}

}  // namespace tollbook
