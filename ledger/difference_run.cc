#include "ledger/difference_run.h"

namespace tollbook {

void DifferenceRunWriter::BeginSubject(std::string_view subject, uint32_t differences) {
  body_.Text(subject);
  body_.Varint(differences);
  subject_ = subject;
  ++subjects_;
}

uint32_t DifferenceRunWriter::InternCharge(const BookedKey& key) {
  charge_key_.Clear();
  charge_key_.Text(key.plan);
  charge_key_.Text(key.charge);
  charge_key_.Text(key.product);
  charge_key_.Text(key.entity);
  charge_key_.Raw(key.currency.code());
  charge_key_.Text(key.debit);
  charge_key_.Text(key.credit);
  charge_key_.Text(key.dimensions);
  const auto known = charge_ids_.find(charge_key_.bytes());
  if (known != charge_ids_.end()) return known->second;
  charges_.Raw(charge_key_.bytes());
  return charge_ids_.emplace(charge_key_.bytes(), static_cast<uint32_t>(charge_ids_.size())).first->second;
}

uint32_t DifferenceRunWriter::InternLine(LineRef line) {
  const uint64_t packed = static_cast<uint64_t>(line.batch) << 32 | line.line;
  const auto [it, added] = line_ids_.try_emplace(packed, static_cast<uint32_t>(line_ids_.size()));
  if (added) {
    lines_.Varint(line.batch);
    lines_.Varint(line.line);
  }
  return it->second;
}

void DifferenceRunWriter::Add(const Difference& difference) {
  body_.Varint(InternCharge(difference.key));
  // The usual case, a subscription named as its subject, takes one byte.
  if (difference.key.subscription == subject_) {
    body_.Varint(0);
  } else {
    body_.Varint(difference.key.subscription.size() + 1);
    body_.Raw(difference.key.subscription);
  }
  body_.Zigzag(difference.key.period.start.number);
  body_.Zigzag(difference.key.period.end.number - int64_t{difference.key.period.start.number});
  body_.Zigzag(difference.key.usage_date.number - int64_t{difference.key.period.start.number});
  body_.Zigzag(difference.minor);
  body_.Varint(InternLine(difference.line));
}

std::string DifferenceRunWriter::Finish() {
  ByteWriter run;
  run.Varint(charge_ids_.size());
  run.Raw(charges_.bytes());
  run.Varint(line_ids_.size());
  run.Raw(lines_.bytes());
  run.Varint(subjects_);
  run.Raw(body_.bytes());
  return run.Take();
}

DifferenceRunReader::DifferenceRunReader(std::string_view stored) : reader_(stored) {
  const uint64_t charges = reader_.Count();
  for (uint64_t i = 0; i < charges && reader_.ok(); ++i) {
    BookedKey key;
    key.plan = reader_.Text();
    key.charge = reader_.Text();
    key.product = reader_.Text();
    key.entity = reader_.Text();
    const std::optional<Currency> currency = Currency::FromCode(reader_.Raw(3));
    if (!currency) {
      reader_.Fail();
      return;
    }
    key.currency = *currency;
    key.debit = reader_.Text();
    key.credit = reader_.Text();
    key.dimensions = reader_.Text();
    charges_.push_back(key);
  }
  const uint64_t lines = reader_.Count();
  for (uint64_t i = 0; i < lines && reader_.ok(); ++i) {
    const uint32_t batch = reader_.Varint32();
    lines_.push_back({batch, reader_.Varint32()});
  }
  subjects_left_ = reader_.Varint64();
}

bool DifferenceRunReader::NextSubject(std::string_view* subject, uint32_t* differences) {
  if (subjects_left_ == 0 && !reader_.done()) reader_.Fail();
  if (subjects_left_ == 0 || !reader_.ok()) return false;
  --subjects_left_;
  subject_ = reader_.Text();
  *subject = subject_;
  *differences = reader_.Varint32();
  return reader_.ok();
}

Day DifferenceRunReader::DaysAfter(Day start, int64_t days) {
  Day day;
  if (__builtin_add_overflow(start.number, days, &day.number)) reader_.Fail();
  return day;
}

bool DifferenceRunReader::Next(Difference* difference) {
  const uint64_t charge = reader_.Varint64();
  if (charge >= charges_.size()) return reader_.Fail(), false;
  difference->key = charges_[charge];
  const uint64_t subscription = reader_.Varint64();
  difference->key.subscription = subscription == 0 ? subject_ : reader_.Raw(subscription - 1);
  const Day start{reader_.Zigzag32()};
  difference->key.period = {start, DaysAfter(start, reader_.Zigzag64())};
  difference->key.usage_date = DaysAfter(start, reader_.Zigzag64());
  difference->minor = reader_.Zigzag();
  const uint64_t line = reader_.Varint64();
  if (line >= lines_.size()) return reader_.Fail(), false;
  difference->line = lines_[line];
  return reader_.ok();
}

}  // namespace tollbook
