#include "ledger/journal.h"

#include <xxhash.h>

#include <cstdio>
#include <tuple>

#include "ledger/bytes.h"
#include "ledger/records.h"
#include "rating/error.h"

namespace tollbook {
namespace {

// Derived from what the batch is, never from clock or chance: whoever seals the same usage again makes the same key.
std::string PostingKey(std::string_view book_name, const JournalBatch& batch) {
  ByteWriter text;
  text.Text(book_name);
  text.Text(batch.entity);
  text.Text(batch.currency.code());
  text.Text(batch.accounting_period);
  text.Fixed64(batch.seal);
  if (batch.part > 1) text.Fixed32(batch.part);
  if (!batch.reverses.empty()) text.Text(batch.reverses);
  const XXH128_hash_t hash = XXH3_128bits(text.bytes().data(), text.size());
  ByteWriter bytes;
  bytes.Fixed64(hash.high64);
  bytes.Fixed64(hash.low64);
  return "tb-" + ToHex(bytes.bytes());
}

std::string BatchId(const JournalBatch& batch) {
  char number[24];
  std::snprintf(number, sizeof number, "%04llu", static_cast<unsigned long long>(batch.seal));
  std::string id =
      batch.entity + "-" + std::string(batch.currency.code()) + "-" + batch.accounting_period + "-" + number;
  if (!batch.reverses.empty()) id += "-reversal";
  return batch.part > 1 ? id + "-" + std::to_string(batch.part) : id;
}

bool SameBatch(const JournalBatch& batch, const LineKey& key) {
  return std::tie(batch.entity, batch.currency, batch.accounting_period, batch.reverses) ==
         std::tie(key.entity, key.currency, key.accounting_period, key.reverses);
}

JournalBatch BatchFor(const LineKey& key, std::string_view book_name, uint64_t seal, uint32_t part) {
  JournalBatch batch;
  batch.entity = key.entity;
  batch.currency = key.currency;
  batch.accounting_period = key.accounting_period;
  batch.seal = seal;
  batch.part = part;
  batch.reverses = key.reverses;
  batch.id = BatchId(batch);
  batch.posting_key = PostingKey(book_name, batch);
  return batch;
}

bool IsFull(const JournalBatch& batch, const BatchLinesMax& lines_max) {
  const auto max = lines_max.find(batch.entity);
  return max != lines_max.end() && batch.lines.size() >= max->second;
}

// What only some batches have: what they reverse, a part but the first, lines of late usage. They begin with a seal
// number of 0, which none has; the seal's own follows. What they reverse begins with a part of 0, which none has
// either.
bool HasMore(const JournalBatch& batch) {
  if (batch.part != 1 || !batch.reverses.empty()) return true;
  for (const JournalLine& line : batch.lines) {
    if (line.key.usage_date) return true;
  }
  return false;
}

void AppendMore(const JournalBatch& batch, ByteWriter* out) {
  out->Varint(0);
  if (!batch.reverses.empty()) {
    out->Varint(0);
    out->Text(batch.reverses);
  }
  out->Varint(batch.part);
  std::vector<const JournalLine*> late;
  for (const JournalLine& line : batch.lines) {
    if (line.key.usage_date) late.push_back(&line);
  }
  out->Varint(late.size());
  for (const JournalLine* line : late) {
    out->Varint(line->number);
    out->Zigzag(line->key.usage_date->number);
  }
}

// The usage dates of late lines, by their numbers in the batch.
using LateLines = std::map<uint32_t, Day>;

LateLines ReadMore(ByteReader* in, JournalBatch* batch) {
  LateLines late;
  batch->part = in->Varint32();
  const bool is_reversal = batch->part == 0;
  if (is_reversal) {
    batch->reverses = in->Text();
    if (batch->reverses.empty()) in->Fail();
    batch->part = in->Varint32();
  }
  const uint64_t count = in->Count(2);
  for (uint64_t i = 0; i < count && in->ok(); ++i) {
    const uint32_t number = in->Varint32();
    if (!late.empty() && number <= late.rbegin()->first) in->Fail();
    late[number] = {in->Zigzag32()};
  }
  if (batch->part == 0 || (late.empty() && batch->part == 1 && !is_reversal)) in->Fail();
  return late;
}

// A negative amount posts as its negation, which the least number does not have.
bool CanBePosted(Int128 minor) {
  Int128 negated = 0;
  return !__builtin_sub_overflow(Int128{0}, minor, &negated);
}

}  // namespace

std::strong_ordering operator<=>(const LineKey& a, const LineKey& b) {
  const auto in_order = [](const LineKey& key) {
    return std::tie(key.entity, key.currency, key.accounting_period, key.reverses, key.posting_date, key.product,
                    key.debit, key.credit, key.dimensions, key.usage_date);
  };
  return in_order(a) <=> in_order(b);
}

std::string JournalLine::memo() const {
  const std::string of = key.product + ", " + ToString(UsedOn(key));
  return key.reverses.empty() ? of : "reversal of " + key.reverses + ": " + of;
}

Day UsedOn(const LineKey& key) {
  return key.usage_date.value_or(key.posting_date);
}

const JournalLine* ReversedLine(const JournalBatch& original, const LineKey& key) {
  const auto place = [](const LineKey& of) {
    return std::tuple(std::string_view(of.product), std::string_view(of.debit), std::string_view(of.credit),
                      std::string_view(of.dimensions), UsedOn(of));
  };
  for (const JournalLine& line : original.lines) {
    if (place(line.key) == place(key)) return &line;
  }
  return nullptr;
}

std::vector<Posting> PostingsOf(const JournalLine& line) {
  return {{line.debit_account(), true, line.amount()}, {line.credit_account(), false, line.amount()}};
}

std::optional<Int128> BalanceOf(const JournalBatch& batch) {
  Int128 balance = 0;
  for (const JournalLine& line : batch.lines) {
    if (!CanBePosted(line.minor)) return std::nullopt;
    for (const Posting& posting : PostingsOf(line)) {
      const bool overflow = posting.is_debit ? __builtin_add_overflow(balance, posting.amount.minor, &balance)
                                             : __builtin_sub_overflow(balance, posting.amount.minor, &balance);
      if (overflow) return std::nullopt;
    }
  }
  return balance;
}

bool LineSum::Add(Int128 more) {
  Int128 sum = 0;
  if (__builtin_add_overflow(minor, more, &sum) || !CanBePosted(sum)) return false;
  minor = sum;
  return true;
}

SummarisedJournal Summarise(const std::map<LineKey, LineSum>& sums, std::string_view book_name, uint64_t seal,
                            const BatchLinesMax& lines_max) {
  SummarisedJournal journal;
  for (const auto& [key, sum] : sums) {
    TOLLBOOK_ASSERT(CanBePosted(sum.minor));
    if (sum.minor == 0) {
      journal.line_of[key] = {};
      continue;
    }
    if (journal.batches.empty() || !SameBatch(journal.batches.back(), key)) {
      journal.batches.push_back(BatchFor(key, book_name, seal, 1));
    } else if (IsFull(journal.batches.back(), lines_max)) {
      journal.batches.push_back(BatchFor(key, book_name, seal, journal.batches.back().part + 1));
    }
    JournalBatch& batch = journal.batches.back();
    JournalLine line;
    line.number = static_cast<uint32_t>(batch.lines.size() + 1);
    line.key = key;
    line.minor = sum.minor;
    line.differences = sum.differences;
    journal.line_of[key] = {static_cast<uint32_t>(journal.batches.size() - 1), line.number};
    batch.lines.push_back(std::move(line));
  }
  return journal;
}

std::string Encode(const JournalBatch& batch) {
  ByteWriter out;
  out.Text(batch.id);
  out.Text(batch.posting_key);
  out.Text(batch.entity);
  out.Text(batch.currency.code());
  out.Text(batch.accounting_period);
  if (HasMore(batch)) AppendMore(batch, &out);
  out.Varint(batch.seal);
  out.Varint(batch.lines.size());
  for (const JournalLine& line : batch.lines) {
    out.Zigzag(line.key.posting_date.number);
    out.Text(line.key.product);
    out.Text(line.key.debit);
    out.Text(line.key.credit);
    out.Text(line.key.dimensions);
    out.Zigzag(line.minor);
    out.Varint(line.differences);
  }
  return out.Take();
}

absl::StatusOr<JournalBatch> DecodeJournalBatch(std::string_view stored) {
  ByteReader in(stored);
  JournalBatch batch;
  batch.id = in.Text();
  batch.posting_key = in.Text();
  batch.entity = in.Text();
  const std::optional<Currency> currency = Currency::FromCode(in.Text());
  if (!currency) return DamagedError("journal batch " + batch.id);
  batch.currency = *currency;
  batch.accounting_period = in.Text();
  batch.seal = in.Varint64();
  LateLines late;
  if (batch.seal == 0 && in.ok()) {
    late = ReadMore(&in, &batch);
    batch.seal = in.Varint64();
  }
  const uint64_t lines = in.Count(7);  // a line takes at least a byte a field
  for (uint64_t i = 0; i < lines && in.ok(); ++i) {
    JournalLine line;
    line.number = static_cast<uint32_t>(i + 1);
    line.key.entity = batch.entity;
    line.key.currency = batch.currency;
    line.key.accounting_period = batch.accounting_period;
    line.key.reverses = batch.reverses;
    line.key.posting_date.number = in.Zigzag32();
    line.key.product = in.Text();
    line.key.debit = in.Text();
    line.key.credit = in.Text();
    line.key.dimensions = in.Text();
    line.minor = in.Zigzag();
    if (line.minor == 0 || !CanBePosted(line.minor)) in.Fail();
    line.differences = in.Varint64();
    batch.lines.push_back(std::move(line));
  }
  for (const auto& [number, usage_date] : late) {
    if (number == 0 || number > batch.lines.size()) return DamagedError("journal batch " + batch.id);
    batch.lines[number - 1].key.usage_date = usage_date;
  }
  if (!in.done()) return DamagedError("journal batch " + batch.id);
  return batch;
}

}  // namespace tollbook
