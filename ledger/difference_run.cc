#include "ledger/difference_run.h"

namespace tollbook {

void DifferenceRunWriter::BeginSubject(std::string_view subject, uint32_t differences) {
  body_.Text(subject);
  body_.Varint(differences);
  subject_ = subject;
  ++subjects_;
}

uint32_t DifferenceRunWriter::InternCharge(const BookedKey& key) {
  ByteWriter text;
  text.Text(key.plan);
  text.Text(key.charge);
  text.Text(key.product);
  text.Text(key.entity);
  text.Raw(key.currency.code());
  const auto [it, added] = charge_ids_.try_emplace(text.bytes(), static_cast<uint32_t>(charge_ids_.size()));
  if (added) charges_.Raw(it->first);
  return it->second;
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
  body_.Varint(difference.key.period.end.number - difference.key.period.start.number);
  body_.Zigzag(difference.key.usage_date.number - difference.key.period.start.number);
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
  if (subjects_left_ == 0 || !reader_.ok()) return false;
  --subjects_left_;
  subject_ = reader_.Text();
  *subject = subject_;
  *differences = reader_.Varint32();
  return reader_.ok();
}

bool DifferenceRunReader::Next(Difference* difference) {
  const uint64_t charge = reader_.Varint64();
  if (charge >= charges_.size()) return reader_.Fail(), false;
  difference->key = charges_[charge];
  const uint64_t subscription = reader_.Varint64();
  difference->key.subscription = subscription == 0 ? subject_ : reader_.Raw(subscription - 1);
  difference->key.period.start.number = static_cast<int32_t>(reader_.Zigzag());
  difference->key.period.end.number = difference->key.period.start.number + static_cast<int32_t>(reader_.Varint32());
  difference->key.usage_date.number = difference->key.period.start.number + static_cast<int32_t>(reader_.Zigzag());
  difference->minor = reader_.Zigzag();
  const uint64_t line = reader_.Varint64();
  if (line >= lines_.size()) return reader_.Fail(), false;
  difference->line = lines_[line];
  return reader_.ok();
}

}  // namespace tollbook
