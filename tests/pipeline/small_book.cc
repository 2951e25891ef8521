#include "tests/pipeline/small_book.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "ledger/backup.h"
#include "nlohmann/json.hpp"
#include "pipeline/charges.h"
#include "pipeline/explain.h"
#include "pipeline/verify.h"
#include "tests/pipeline/catalog_texts.h"

namespace tollbook {
namespace {

std::string Message(const absl::Status& status) {
  return std::string(Std(status.message()));
}

bool AddsUp(Aggregation aggregation) {
  return aggregation == Aggregation::kSum || aggregation == Aggregation::kCount;
}

Worth Sum(const Worth& a, const Worth& b) {
  Worth sum;
  TOLLBOOK_ASSERT(Wide::Add(a.amount, b.amount, &sum.amount));
  return sum;
}

Worth ExactlyOf(const Money& money) {
  Int128 minor_unit = 1;
  for (int digit = money.currency.minor_digits(); digit < kWorthScale; ++digit) minor_unit *= 10;
  return {Wide::Product(money.minor, minor_unit)};
}

// Single events must be those of the totals, and what they add to the price must come to the charge's share of the
// line.
std::vector<std::string> WrongEvents(const ExplainedCharge& e) {
  const EventShares& shares = e.events->shares;
  std::vector<std::string> wrong;
  Worth sum = Sum(shares.more_share, shares.at_period_end);
  uint64_t events = shares.more;
  for (const EventShare& share : shares.shown) sum = Sum(sum, share.share), ++events;
  for (const ShareOfDay& day : shares.days) sum = Sum(sum, day.share);
  uint64_t of_origins = 0;
  for (const UsageOrigin& origin : e.origins) of_origins += origin.events;
  // What corrections took back is shown, and was brought; what the same commit brought and took back was not.
  const bool is_all = events == shares.events + shares.taken_back;
  if (!is_all || (shares.taken_back == 0 && events != of_origins))
    wrong.push_back(std::to_string(events) + " events are shown of " + std::to_string(of_origins));
  if (Sum(sum, e.worth_before) != e.worth_to_date || sum != shares.sum)
    wrong.push_back("the shares sum to " + ToString(sum) + ", which is not the worth of the days");
  const Worth line = Sum(sum, e.events->rounding);
  const Worth booked = Sum(ExactlyOf(e.difference), ExactlyOf(e.booked_before));
  if (line != booked) wrong.push_back("shares and rounding come to " + ToString(line) + ", not to " + ToString(booked));
  return wrong;
}

// What one explained charge says must be the arithmetic of its difference, and its origins must be its usage.
std::vector<std::string> WrongIn(const ExplainedCharge& e, const Catalog& sealed) {
  std::vector<std::string> wrong;
  const Int128 arithmetic = e.rounded_to_date.minor - e.rounded_before.minor - e.booked_before.minor;
  if (arithmetic != e.difference.minor) {
    wrong.push_back(ToString(e.rounded_to_date) + " to date - " + ToString(e.rounded_before) + " before - " +
                    ToString(e.booked_before) + " booked is not " + ToString(e.difference));
  }
  if (!e.rated) return wrong;
  const Meter* meter = sealed.FindMeter(e.meter);
  if (e.events) {
    for (std::string& w : WrongEvents(e)) wrong.push_back(std::move(w));
    const bool carries_over = meter != nullptr && CarriesOver(*meter);
    if (e.events->shares.by_day && !carries_over) wrong.push_back("its events have no shares of their own");
  } else if (e.kind == LineKind::kUsage) {
    wrong.push_back("there are no single events");
  }
  Worth steps;
  for (const PriceStep& step : e.steps) {
    if (!Wide::Add(steps.amount, step.worth.amount, &steps.amount)) wrong.push_back("the steps overflow");
  }
  if (steps != e.worth_to_date) wrong.push_back("the steps sum to " + ToString(steps) + ", not to the worth to date");
  if (meter == nullptr || !AddsUp(meter->aggregation)) return wrong;
  Quantity of_origins;
  for (const UsageOrigin& origin : e.origins) of_origins.attos += origin.quantity.attos;
  const Quantity used{e.to_date.attos - e.before.attos};
  if (of_origins != used)
    wrong.push_back("the origins bring " + ToString(of_origins) + " of " + ToString(used) + " units");
  return wrong;
}

void ExplainLine(const Book& book, const JournalBatch& batch, const JournalLine& line,
                 std::vector<std::string>* wrong) {
  const std::string name = batch.id + "/" + std::to_string(line.number);
  const absl::StatusOr<Explanation> explained = Explain(book, name, SIZE_MAX, SIZE_MAX);
  if (!explained.ok()) {
    wrong->push_back(name + ": " + Message(explained.status()));
    return;
  }
  const absl::StatusOr<Catalog> sealed = SealedCatalog(book, batch.seal);
  if (!sealed.ok()) {
    wrong->push_back(name + ": " + Message(sealed.status()));
    return;
  }
  Int128 sum = 0;
  for (const ExplainedCharge& e : explained->largest) {
    sum += e.difference.minor;
    for (const std::string& w : WrongIn(e, *sealed)) {
      wrong->push_back(name + ": " + e.subscription + " " + e.plan + " " + e.charge + " " + ToString(e.usage_date) +
                       ": " + w);
    }
  }
  if (sum != line.minor || explained->sum.minor != line.minor)
    wrong->push_back(name + ": its differences sum to " + FormatDecimal(sum, 0) + " minor units, not to the line's " +
                     FormatDecimal(line.minor, 0));
}

}  // namespace

std::filesystem::path WhereSyncsAreQuick() {
  const std::filesystem::path memory_disk = "/dev/shm";
  const bool usable = ::access(memory_disk.c_str(), W_OK | X_OK) == 0;
  return usable ? memory_disk : std::filesystem::temp_directory_path();
}

SmallBook::SmallBook(std::string zone, uint64_t seed) : zone_(std::move(zone)), seed_(seed) {
  Reopen();
}

void SmallBook::Reopen() {
  book_.reset();
  BookOptions options;
  options.directory = files_.path() + "/book";
  options.create = true;
  options.identity = {kFormatVersion, kTestBook, zone_, {seed_, ~seed_ * 0x9E3779B97F4A7C15u}};
  options.holder = "a test";
  options.now_nanos = [this] { return now_nanos_; };
  absl::StatusOr<std::unique_ptr<Book>> opened = Book::Open(options);
  if (!opened.ok()) std::fprintf(stderr, "%s\n", Message(opened.status()).c_str());
  TOLLBOOK_ASSERT(opened.ok());
  book_ = *std::move(opened);
}

void SmallBook::BackUp() {
  const absl::StatusOr<BackupReport> report = tollbook::BackUp(*book_, files_.path() + "/backups", now_nanos_);
  EXPECT_TRUE(report.ok()) << report.status();
}

void SmallBook::Restore() {
  book_.reset();
  std::filesystem::remove_all(files_.path() + "/book");
  RestoreOptions options;
  options.backups = files_.path() + "/backups";
  options.directory = files_.path() + "/book";
  options.holder = options.by = "a test";
  options.now_nanos = now_nanos_;
  const absl::StatusOr<BackupReport> report = tollbook::Restore(options);
  EXPECT_TRUE(report.ok()) << report.status();
  Reopen();
}

void SmallBook::SetNow(const std::string& zone, Day day) {
  now_nanos_ = Zone::FromName(zone)->StartOf(day).nanos;
}

void SmallBook::Change(const std::function<void(const std::string& directory)>& change) {
  book_.reset();
  change(files_.path() + "/book");
  Reopen();
}

InputList Inputs(const std::vector<std::string>& paths, const std::vector<SourceMapping>& mappings) {
  absl::StatusOr<InputList> found = FindInputs(paths, mappings);
  EXPECT_TRUE(found.ok()) << found.status();
  return found.ok() ? *std::move(found) : InputList{};
}

std::vector<std::string> BrokenLaws(const Book& book) {
  std::vector<std::string> broken;
  for (const LawCheck& check : Verify(book, 2)) {
    if (!check.holds) broken.push_back("law " + std::to_string(check.law) + ", " + check.name + ": " + check.detail);
  }
  return broken;
}

std::vector<std::string> WrongExplanations(const Book& book) {
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return {Message(batches.status())};
  std::vector<std::string> wrong;
  for (const JournalBatch& batch : *batches) {
    for (const JournalLine& line : batch.lines) ExplainLine(book, batch, line, &wrong);
  }
  return wrong;
}

std::vector<std::string> WhatIsWrong(const Book& book) {
  std::vector<std::string> wrong = BrokenLaws(book);
  const std::vector<std::string> explanations = WrongExplanations(book);
  wrong.insert(wrong.end(), explanations.begin(), explanations.end());
  return wrong;
}

std::string JournalBytes(const Book& book) {
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  EXPECT_TRUE(batches.ok()) << batches.status();
  std::string bytes;
  for (const JournalBatch& batch : *batches) bytes += Encode(batch);
  return bytes;
}

std::vector<Kept> KeptExceptions(const Book& book) {
  const absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
  EXPECT_TRUE(sources.ok()) << sources.status();
  std::vector<Kept> kept;
  const absl::Status visited = book.ForEachExceptions([&](const StoredExceptions& chunk) {
    absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      kept.push_back({(*sources)[record.source].path, record, std::string(record.payload)});
      kept.back().record.payload = {};
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(visited.ok()) << visited;
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) {
    return std::tie(a.record.source, a.record.line, a.record.part) <
           std::tie(b.record.source, b.record.line, b.record.part);
  });
  return kept;
}

std::string ToJson(const EventText& event) {
  const auto text = [](const std::string& s) { return nlohmann::json(s).dump(); };
  std::string data = event.value.empty() ? "" : "\"value\":" + event.value;
  for (const auto& [name, value] : event.labels) data += (data.empty() ? "" : ",") + text(name) + ":" + text(value);
  return "{\"specversion\":\"1.0\",\"id\":" + text(event.id) + ",\"source\":" + text(event.source) +
         ",\"type\":" + text(event.type) + ",\"subject\":" + text(event.subject) + ",\"time\":" + text(event.time) +
         ",\"data\":{" + data + "}}";
}

}  // namespace tollbook
