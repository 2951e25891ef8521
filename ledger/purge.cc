#include "ledger/purge.h"

#include <openssl/sha.h>

#include <deque>

#include "ledger/bytes.h"
#include "ledger/records.h"

namespace tollbook {
namespace {

// "purged on 2026-11-29: 57 bytes, SHA-256 9b1c…"
std::string InsteadOf(std::string_view payload, Day today) {
  Hash256 hash{};
  SHA256(reinterpret_cast<const unsigned char*>(payload.data()), payload.size(), hash.data());
  return "purged on " + ToString(today) + ": " + std::to_string(payload.size()) + " bytes, SHA-256 " + ToHex(hash);
}

}  // namespace

absl::StatusOr<PurgedChunk> WithoutPayloads(std::string_view chunk, Day today) {
  absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk);
  if (!records.ok()) return records.status();
  PurgedChunk purged;
  std::deque<std::string> instead;  // a deque: its elements do not move
  for (ExceptionRecord& record : *records) {
    if (record.payload.empty()) continue;
    ++purged.payloads;
    purged.payload_bytes += record.payload.size();
    record.payload = instead.emplace_back(InsteadOf(record.payload, today));
  }
  purged.bytes = purged.payloads == 0 ? std::string(chunk) : Encode(*records);
  return purged;
}

std::string Encode(const PurgeRecord& record) {
  ByteWriter out;
  out.Varint(record.sequence);
  out.Varint(record.epochs.size());
  for (const PurgedEpoch& epoch : record.epochs) {
    out.Varint(epoch.sequence);
    out.Fixed64(epoch.body[0]);
    out.Fixed64(epoch.body[1]);
    out.Varint(epoch.chunks.size());
    for (const uint32_t chunk : epoch.chunks) out.Varint(chunk);
  }
  return out.Take();
}

absl::StatusOr<PurgeRecord> DecodePurgeRecord(std::string_view stored) {
  ByteReader in(stored);
  PurgeRecord record;
  record.sequence = in.Varint64();
  const uint64_t epochs = in.Count(18);
  for (uint64_t i = 0; i < epochs && in.ok(); ++i) {
    PurgedEpoch& epoch = record.epochs.emplace_back();
    epoch.sequence = in.Varint64();
    epoch.body = {in.Fixed64(), 0};
    epoch.body[1] = in.Fixed64();
    const uint64_t chunks = in.Count(1);
    for (uint64_t chunk = 0; chunk < chunks && in.ok(); ++chunk) epoch.chunks.push_back(in.Varint32());
  }
  if (!in.done() || record.epochs.empty()) return DamagedError("a purge");
  return record;
}

}  // namespace tollbook
