#include "pipeline/emit/usage_report.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <numeric>
#include <set>
#include <tuple>

#include "ledger/bytes.h"
#include "pipeline/emit/authorization.h"
#include "pipeline/emit/call_outcome.h"
#include "pipeline/emit/request_pace.h"
#include "pipeline/json_text.h"
#include "pipeline/restore_hold.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr size_t kNamed = 5;  // subscriptions of a message
// So many requests of a report in a row that are refused for who asks, from here and there in it, are not about their
// items.
constexpr size_t kDeniedInRow = 3;

using Slot = std::tuple<std::string, std::string, Day>;  // customer, code, day
struct SlotUsage {
  Instant start;
  Quantity before, after;
  std::set<std::string> entities;
};

bool IsOf(const Target& target, const UsageDay& day) {
  const std::vector<std::string>& entities = target.entities;
  if (!entities.empty() && std::find(entities.begin(), entities.end(), day.entity) == entities.end()) return false;
  return AccountingPeriodOf(day.day) >= target.from;
}

std::string HashedKey(std::string_view text) {
  Hash256 hash;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
  return "tb-" + ToHex(std::string_view(reinterpret_cast<const char*>(hash.data()), 16));
}

// The same for whoever tells the same again; of no clock and no chance.
std::string KeyOf(std::string_view book_name, uint64_t seal, const Slot& slot, std::optional<Quantity> change) {
  const auto& [customer, code, day] = slot;
  ByteWriter text;
  text.Text("usage");
  text.Text(book_name);
  text.Fixed64(seal);
  text.Text(customer);
  text.Text(code);
  text.Text(ToString(day));
  if (change) text.Text(ToString(*change));
  return HashedKey(text.bytes());
}

// Whoever drops a key that it has seen, or takes it twice, must not take what another life of the book told of that
// seal for this. Who finds the key, and compares, must find it: so Chargebee, too.
bool BindsChange(const Target& target, const SealedUsage& usage) {
  return usage.since_restore && !IsLookedUp(target) && target.kind != TargetKind::kChargebee;
}

absl::Status WithoutId(const Target& target, const std::set<std::string>& subscriptions) {
  std::string names;
  size_t named = 0;
  for (const std::string& subscription : subscriptions) {
    if (++named > kNamed) break;
    names.append(names.empty() ? "" : ", ").append(subscription);
  }
  if (subscriptions.size() > kNamed) names += " and " + std::to_string(subscriptions.size() - kNamed) + " more";
  return MakeError(absl::StatusCode::kFailedPrecondition, "subscriptions have no id in target " + target.name, names,
                   "add their rows to customers.csv");
}

absl::Status TooLarge(const Target& target, const Slot& slot) {
  return MakeError(absl::StatusCode::kOutOfRange, "usage of target " + target.name + " cannot be added up",
                   std::get<0>(slot) + ", " + std::get<1>(slot), "check what its charges are mapped to");
}

std::string_view Cut(std::string_view* rest, char end) {
  const size_t at = std::min(rest->find(end), rest->size());
  const std::string_view field = rest->substr(0, at);
  rest->remove_prefix(std::min(at + 1, rest->size()));
  return field;
}

int64_t NumberOf(std::string_view text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// " 1-37 39": the places that are marked, counted from 1.
std::string Ranges(const std::vector<bool>& marked) {
  std::string text;
  for (size_t first = 0; first < marked.size(); ++first) {
    if (!marked[first]) continue;
    size_t last = first;
    while (last + 1 < marked.size() && marked[last + 1]) ++last;
    text += " " + std::to_string(first + 1) + (last == first ? "" : "-" + std::to_string(last + 1));
    first = last;
  }
  return text;
}

// Marks what "1-37 39" names.
void Mark(std::string_view ranges, std::vector<bool>* marked) {
  while (!ranges.empty()) {
    std::string_view range = Cut(&ranges, ' ');
    const int64_t first = NumberOf(Cut(&range, '-'));
    const int64_t last = range.empty() ? first : NumberOf(range);
    const int64_t end = static_cast<int64_t>(marked->size());
    for (int64_t place = std::max<int64_t>(first, 1); place <= last && place <= end; ++place) {
      (*marked)[static_cast<size_t>(place - 1)] = true;
    }
  }
}

}  // namespace

absl::StatusOr<std::vector<UsageItem>> ItemsOf(const Target& target, std::string_view book_name,
                                               const SealedUsage& usage) {
  std::map<Slot, SlotUsage> slots;
  std::set<std::string> without_id;
  const auto add = [&](const UsageDay& day, Quantity SlotUsage::*side) -> absl::Status {
    const std::optional<std::string_view> code = CodeOf(target, day.plan, day.charge);
    if (!code || !IsOf(target, day)) return absl::OkStatus();
    const std::optional<std::string_view> id = IdOf(target, day.subscription);
    if (!id) {
      without_id.insert(day.subscription);
      return absl::OkStatus();
    }
    const Slot place{std::string(*id), std::string(*code), day.day};
    SlotUsage& slot = slots[place];
    slot.start = day.start;
    slot.entities.insert(day.entity);
    return Add(slot.*side, day.quantity, &(slot.*side)) ? absl::OkStatus() : TooLarge(target, place);
  };
  for (const UsageDay& day : usage.before) TOLLBOOK_RETURN_IF_ERROR(add(day, &SlotUsage::before));
  for (const UsageDay& day : usage.after) TOLLBOOK_RETURN_IF_ERROR(add(day, &SlotUsage::after));
  if (!without_id.empty()) return WithoutId(target, without_id);
  const bool binds_change = BindsChange(target, usage);
  std::vector<UsageItem> items;
  for (const auto& [slot, of] : slots) {
    if (of.before == of.after) continue;
    const auto& [customer, code, day] = slot;
    Quantity change;
    if (__builtin_sub_overflow(of.after.attos, of.before.attos, &change.attos)) return TooLarge(target, slot);
    const std::string key = KeyOf(book_name, usage.seal, slot, binds_change ? std::optional(change) : std::nullopt);
    items.push_back({key, customer, code, day, of.start, of.before, of.after, change, of.entities});
  }
  return items;
}

absl::StatusOr<std::vector<UsageChange>> ChangesOf(const Target& target, const SealedUsage& usage) {
  std::vector<UsageChange> changes;
  auto before = usage.before.begin();
  auto after = usage.after.begin();
  while (before != usage.before.end() || after != usage.after.end()) {
    UsageChange change;
    const bool was = after == usage.after.end() || (before != usage.before.end() && before->key() <= after->key());
    const bool is = before == usage.before.end() || (after != usage.after.end() && after->key() <= before->key());
    if (was) change = {&*before, before->quantity, {}, {}};
    if (is) change = {&*after, change.before, after->quantity, {}};
    if (was) ++before;
    if (is) ++after;
    if (change.before == change.after || !IsOf(target, *change.day)) continue;
    if (__builtin_sub_overflow(change.after.attos, change.before.attos, &change.change.attos)) {
      return TooLarge(target, {change.day->subscription, change.day->charge, change.day->day});
    }
    changes.push_back(change);
  }
  return changes;
}

void AddScope(const std::string& entity, const std::string& accounting_period, PlannedDelivery* report) {
  std::vector<std::string>& entities = report->entities;
  const auto place = std::lower_bound(entities.begin(), entities.end(), entity);
  if (place == entities.end() || *place != entity) entities.insert(place, entity);
  std::string& first = report->first_period;
  if (first.empty() || accounting_period < first) first = accounting_period;
}

std::string UsageReportKey(std::string_view book_name, std::string_view report, std::string_view says) {
  ByteWriter text;
  text.Text("usage report");
  text.Text(book_name);
  text.Text(report);
  if (!says.empty()) text.Text(says);
  return HashedKey(text.bytes());
}

std::string BoundKey(std::string_view posting_key, std::string_view says) {
  ByteWriter text;
  text.Text("batch");
  text.Text(posting_key);
  text.Text(says);
  return HashedKey(text.bytes());
}

std::string EventKey(std::string_view book_name, const BookEvent& event) {
  ByteWriter text;
  text.Text("event");
  text.Text(book_name);
  text.Fixed64(event.commit);
  text.Text(event.type);
  text.Text(event.subject);
  text.Text(event.data);
  return HashedKey(text.bytes());
}

std::string Encode(const std::vector<StoredItem>& items) {
  std::string text;
  for (const StoredItem& item : items) {
    text += item.key + "\t" + std::to_string(item.start_seconds) + "\t" + item.path + "\t" + item.body + "\n";
  }
  return text;
}

std::vector<StoredItem> DecodeItems(std::string_view body) {
  std::vector<StoredItem> items;
  while (!body.empty()) {
    std::string_view line = Cut(&body, '\n');
    StoredItem& item = items.emplace_back();
    item.key = Cut(&line, '\t');
    item.start_seconds = NumberOf(Cut(&line, '\t'));
    item.path = Cut(&line, '\t');
    item.body = line;
  }
  return items;
}

std::vector<PlannedDelivery> ReportsOf(uint64_t seal, const std::vector<StoredItem>& items, size_t items_max) {
  std::vector<PlannedDelivery> reports;
  for (size_t first = 0; first < items.size(); first += items_max) {
    const auto begin = items.begin() + static_cast<ptrdiff_t>(first);
    const auto end = items.begin() + static_cast<ptrdiff_t>(std::min(first + items_max, items.size()));
    PlannedDelivery& report = reports.emplace_back();
    report.batch = UsageReportName(seal, static_cast<uint32_t>(reports.size()));
    report.key = begin->key;
    report.body = Encode(std::vector<StoredItem>(begin, end));
    for (auto item = begin; item != end; ++item) {
      for (const std::string& entity : item->entities) AddScope(entity, item->accounting_period, &report);
    }
  }
  return reports;
}

size_t ReportProgress::left() const {
  return static_cast<size_t>(std::count(told.begin(), told.end(), false));
}

std::string ToString(const ReportProgress& progress) {
  const bool is_open = progress.since_seconds != 0;
  std::string text = is_open ? "since " + std::to_string(progress.since_seconds) + ", told" : "told";
  const size_t left = progress.left();
  text += !is_open && left == progress.told.size() ? " none" : Ranges(progress.told);
  if (const std::string anothers = Ranges(progress.anothers); !anothers.empty()) text += ", another's" + anothers;
  if (left == 0 || progress.send == 0) return text;
  std::vector<bool> tried = progress.told;  // what is told was tried
  for (size_t i = 0; i < progress.tried.size(); ++i) tried[i] = tried[i] || progress.tried[i];
  const size_t count = static_cast<size_t>(std::count(tried.begin(), tried.end(), true));
  if (count == tried.size()) return text;
  const bool is_beginning =
      std::find(tried.begin(), tried.end(), false) - tried.begin() == static_cast<ptrdiff_t>(count);
  text += ", tried" + (is_beginning ? " to " + std::to_string(count) : Ranges(tried));
  return text + " by send " + std::to_string(progress.send);
}

ReportProgress ProgressOf(std::string_view job, size_t items) {
  ReportProgress progress;
  progress.told.resize(items);
  while (!job.empty()) {
    std::string_view part = Cut(&job, ',');
    if (part.starts_with(' ')) part.remove_prefix(1);
    const auto begins = [&part](std::string_view words) {
      const bool is_it = part.starts_with(words);
      if (is_it) part.remove_prefix(words.size());
      return is_it;
    };
    if (begins("since ")) {
      progress.since_seconds = NumberOf(part);
    } else if (begins("told ")) {
      Mark(part, &progress.told);
    } else if (begins("another's ")) {
      progress.anothers.resize(items);
      Mark(part, &progress.anothers);
    } else if (begins("tried ")) {
      constexpr std::string_view kBySend = " by send ";
      const size_t end = std::min(part.find(kBySend), part.size());
      std::string_view which = part.substr(0, end);
      part.remove_prefix(std::min(end + kBySend.size(), part.size()));
      progress.send = static_cast<uint32_t>(NumberOf(part));
      progress.tried.resize(items);
      constexpr std::string_view kTo = "to ";
      Mark(which.starts_with(kTo) ? "1-" + std::string(which.substr(kTo.size())) : std::string(which), &progress.tried);
    }
  }
  return progress;
}

bool IsToldInPart(std::string_view job) {
  constexpr std::string_view kTold = "told ";  // then the first place that is, or "none"
  const size_t at = job.find(kTold);
  return at != std::string_view::npos && NumberOf(job.substr(at + kTold.size(), 1)) > 0;
}

std::optional<Attempt> EndWithoutWord(const HttpAnswer& answer) {
  if (auto end = OutcomeOfCall(answer, DeliveryEvent::kNotApplied, DeliveryEvent::kUnclear)) return end;
  if (!answer.content_type.starts_with("text/html")) return std::nullopt;
  return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous, "a web page came back, not the target's answer");
}

Attempt OfReading(Attempt attempt) {
  if (attempt.is_denied) return attempt;
  attempt.step.event = DeliveryEvent::kNotApplied;
  if (attempt.step.problem == DeliveryProblem::kAmbiguous) attempt.step.problem = DeliveryProblem::kAvailability;
  return attempt;
}

bool SameQuantity(const std::string& a, const std::string& b) {
  const ParsedDecimal x = ParseDecimal(a, kQuantityScale), y = ParseDecimal(b, kQuantityScale);
  return x.error == DecimalError::kNone && y.error == DecimalError::kNone && x.value == y.value;
}

bool IsStillFor(const Target& target, const Delivery& delivery) {
  const bool has_period = !delivery.first_period.empty();
  return std::all_of(delivery.entities.begin(), delivery.entities.end(),
                     [&](const std::string& entity) { return Gets(target, entity); }) &&
         (!has_period || delivery.first_period >= target.from);
}

void AppendMember(std::string_view name, std::string_view text, std::string* json) {
  *json += json->back() == '{' ? "" : ",";
  AppendJsonString(name, json);
  *json += ':';
  AppendJsonString(text, json);
}

std::string PercentEncoded(std::string_view text) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      const uint8_t byte = static_cast<uint8_t>(c);
      encoded.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return encoded;
}

ReportEmitter::ReportEmitter(const Target& target, const EmitterContext& context, Secret secret,
                             std::unique_ptr<HttpClient> http, Traits traits)
    : target_(target),
      book_name_(context.book_name),
      now_nanos_(context.now_nanos),
      secret_(std::move(secret)),
      traits_(std::move(traits)),
      http_(std::move(http)) {}

UsageReportEmitter::UsageReportEmitter(const Target& target, const EmitterContext& context, Secret secret,
                                       Traits traits)
    : ReportEmitter(target, context, std::move(secret), Paced(MakeHttpClient(target.http), context.pace),
                    std::move(traits)) {}

int64_t ReportEmitter::NowSeconds() const {
  return now_nanos_() / kNanosPerSecond;
}

absl::StatusOr<std::vector<PlannedDelivery>> UsageReportEmitter::MakeUsage(const SealedUsage& usage) const {
  const absl::StatusOr<std::vector<UsageItem>> items = ItemsOf(target(), book_name(), usage);
  if (!items.ok()) return items.status();
  std::vector<StoredItem> stored;
  for (const UsageItem& item : *items) {
    StoredItem& made = stored.emplace_back(MakeItem(item, usage.seal));
    made.key = item.key;
    made.start_seconds = item.start.nanos / kNanosPerSecond;
    made.entities = item.entities;
    made.accounting_period = AccountingPeriodOf(item.day);
  }
  // What goes by one request stands together.
  if (traits().items_per_request > 1) {
    std::stable_sort(stored.begin(), stored.end(),
                     [](const StoredItem& a, const StoredItem& b) { return a.path < b.path; });
  }
  return ReportsOf(usage.seal, stored, traits().items_max);
}

std::string ReportEmitter::Show(const Parcel& parcel) const {
  Sending sending{DecodeItems(parcel.body), {}};
  sending.progress = ProgressOf(parcel.job, sending.items.size());
  std::string text;
  for (size_t first = 0; first < sending.items.size();) {
    const size_t end = EndOfRequest(sending, first);
    if (!sending.progress.told[first]) {
      const std::span<const StoredItem> items = std::span(sending.items).subspan(first, end - first);
      text += traits_.method + " " + target_.http.url + items.front().path + "\n";
      for (const std::string& header : HeadersOf("****", items.front())) text += header + "\n";
      if (target_.auth.kind != AuthKind::kNone) text += ShownHeader(target_.auth) + "\n";
      text += "\n" + RequestBody(items) + "\n\n";
    }
    first = end;
  }
  return text;
}

// The keys make it safe to tell the same again, for as long as the target remembers them.
Attempt ReportEmitter::Ask(const Parcel& parcel) {
  const std::vector<StoredItem> items = DecodeItems(parcel.body);
  ReportProgress progress = ProgressOf(parcel.job, items.size());
  if (progress.since_seconds == 0) progress.since_seconds = parcel.since_nanos / kNanosPerSecond;
  if (!IsForgotten(progress)) return Succeeded(DeliveryEvent::kMayRepeat, ToString(progress), "");
  // However often it is asked, it says since when it may be there.
  if (std::optional<Attempt> end = Settle(parcel, items, &progress)) return End(*std::move(end), progress);
  progress.since_seconds = 0;
  if (progress.left() > 0) return Succeeded(DeliveryEvent::kNotThere, ToString(progress), "");
  return Succeeded(DeliveryEvent::kConfirmed, ToString(progress), items.front().key);
}

std::optional<Attempt> ReportEmitter::Settle(const Parcel&, std::span<const StoredItem>, ReportProgress* progress) {
  return RefusedHere(
      DeliveryProblem::kAmbiguous,
      std::to_string(progress->left()) + " items may be there, and " + traits_.system +
          " no longer remembers their keys: compare the totals there, then `tollbook deliveries resolve`");
}

std::string ReportEmitter::WhyRefused(const StoredItem& item) const {
  std::string why = WhyNotTaken(item);
  const bool is_too_old =
      traits_.reaches_back_seconds > 0 && NowSeconds() - item.start_seconds > traits_.reaches_back_seconds;
  if (why.empty() && is_too_old) {
    why = traits_.system + " takes no usage of more than " + std::to_string(traits_.reaches_back_seconds / 86'400) +
          " days ago: bill it there by hand, then `tollbook deliveries resolve`";
  }
  return why;
}

size_t ReportEmitter::EndOfRequest(const Sending& sending, size_t first) const {
  const std::vector<StoredItem>& items = sending.items;
  const auto joins = [&](size_t item) {
    return !sending.progress.told[item] && WhyRefused(items[item]).empty() && items[item].path == items[first].path;
  };
  size_t end = first + 1;
  if (sending.progress.told[first] || !WhyRefused(items[first]).empty()) return end;
  while (end < items.size() && end - first < traits_.items_per_request && joins(end)) ++end;
  return end;
}

// That something else is there under its key is told before what the target did not take.
void ReportEmitter::Refuse(Attempt attempt, std::span<const size_t> places, Sending* sending) const {
  const bool is_anothers = attempt.step.problem == DeliveryProblem::kDifferent;
  if (is_anothers && traits_.says_seen) {
    sending->progress.anothers.resize(sending->items.size());
    for (const size_t place : places) sending->progress.anothers[place] = true;
  }
  const bool is_louder = is_anothers && sending->first_refused.step.problem != DeliveryProblem::kDifferent;
  sending->is_refused_unread = sending->is_refused_unread || attempt.is_denied || attempt.by_us;
  if (attempt.is_denied) sending->denied = attempt;
  const bool is_first = sending->refused == 0;
  sending->refused += places.size();
  if (is_first || is_louder) sending->first_refused = std::move(attempt);
}

// A send that ended without a word may have come to all.
void ReportEmitter::MarkSent(const Parcel& parcel, Sending* sending) const {
  const ReportProgress& progress = sending->progress;
  const bool may_be_all = parcel.since_restore || parcel.sends > progress.send + 1;
  for (size_t i = 0; i < sending->items.size(); ++i) {
    sending->items[i].was_sent = may_be_all || (i < progress.tried.size() && progress.tried[i]);
  }
  sending->progress.tried.resize(sending->items.size(), false);
  if (may_be_all) sending->progress.tried.assign(sending->items.size(), true);
  sending->progress.send = parcel.sends;
}

absl::StatusOr<std::optional<std::vector<StoredItem>>> ReportEmitter::ItemsOfReport(const std::string& report) const {
  TOLLBOOK_ASSERT(sending_ != nullptr && sending_->report_named != nullptr);
  const absl::StatusOr<std::optional<std::string>> body = sending_->report_named(report);
  if (!body.ok()) return body.status();
  if (!body->has_value()) return std::optional<std::vector<StoredItem>>();
  return std::optional(DecodeItems(**body));
}

std::optional<Attempt> ReportEmitter::TellPlaces(const Places& places, Sending* sending) {
  std::vector<StoredItem> items;
  for (const size_t place : places) items.push_back(sending->items[place]);
  std::vector<Attempt> each = TellEach(items);
  TOLLBOOK_ASSERT(each.size() == 1 || each.size() == items.size());
  Places taken, others;
  for (size_t i = 0; i < each.size(); ++i) {
    (each[i].step.event == DeliveryEvent::kConfirmed ? taken : others).push_back(places[i]);
  }
  if (others.empty()) {
    for (const size_t place : places) sending->progress.told[place] = true;
    return std::nullopt;
  }
  if (!taken.empty()) return TellApart(taken, others, sending);
  // For who asks, half of them are refused, too.
  const bool is_denied = each.front().is_denied;
  if (each.size() < items.size() && each.front().step.event == DeliveryEvent::kRefused && !is_denied) {
    const auto middle = places.begin() + static_cast<ptrdiff_t>(places.size() / 2);
    return TellApart({places.begin(), middle}, {middle, places.end()}, sending);
  }
  std::optional<Attempt> stopped;
  for (size_t i = 0; i < each.size(); ++i) {
    if (each[i].step.event == DeliveryEvent::kRefused) {
      const std::span<const size_t> all(places);
      Refuse(std::move(each[i]), each.size() == all.size() ? all.subspan(i, 1) : all, sending);
    } else if (!stopped) {
      stopped = std::move(each[i]);
    }
  }
  return stopped;
}

std::optional<Attempt> ReportEmitter::TellApart(const Places& some, const Places& others, Sending* sending) {
  if (std::optional<Attempt> stopped = TellPlaces(some, sending)) return stopped;
  return TellPlaces(others, sending);
}

Attempt ReportEmitter::Send(const Parcel& parcel) {
  sending_ = &parcel;
  Attempt attempt = SendReport(parcel);
  sending_ = nullptr;
  return attempt;
}

Attempt ReportEmitter::SendReport(const Parcel& parcel) {
  Sending sending{DecodeItems(parcel.body), {}};
  const std::vector<StoredItem>& items = sending.items;
  ReportProgress& progress = sending.progress;
  progress = ProgressOf(parcel.job, items.size());
  if (traits_.says_seen) MarkSent(parcel, &sending);
  if (!parcel.unclear_for_nanos) progress.since_seconds = 0;
  sending.was_unclear = progress.since_seconds != 0;
  if (!sending.was_unclear) progress.since_seconds = NowSeconds();
  if (sending.was_unclear && IsForgotten(progress)) {
    Attempt asked = Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                           "not sent again: " + traits_.system + " no longer remembers its keys");
    asked.by_us = true;
    return End(std::move(asked), progress);
  }
  const size_t left_before = progress.left();
  std::vector<Places> left = RequestsOf(sending);
  while (!left.empty() && sending.denied_in_row < kDeniedInRow) {
    // What is refused for who asks may yet be about its own customer, whose other items stand beside it: the next one
    // is from the end, and then from the middle, of what is left.
    const size_t next = sending.denied_in_row == 0 ? 0 : sending.denied_in_row == 1 ? left.size() - 1 : left.size() / 2;
    const Places places = std::move(left[next]);
    left.erase(left.begin() + static_cast<ptrdiff_t>(next));
    if (std::optional<Attempt> stopped = TellRequest(places, &sending)) return Over(*std::move(stopped), &sending);
  }
  size_t not_sent = 0;
  for (const Places& places : left) not_sent += places.size();
  if (sending.refused == 0) return Succeeded(DeliveryEvent::kConfirmed, ToString(progress), items.front().key);
  return Over(Refused(&sending, left_before, not_sent), &sending);
}

std::vector<ReportEmitter::Places> ReportEmitter::RequestsOf(const Sending& sending) const {
  std::vector<Places> requests;
  for (size_t first = 0; first < sending.items.size();) {
    const size_t end = EndOfRequest(sending, first);
    if (!sending.progress.told[first]) {
      Places& places = requests.emplace_back(end - first);
      std::iota(places.begin(), places.end(), first);
    }
    first = end;
  }
  return requests;
}

std::optional<Attempt> ReportEmitter::TellRequest(const Places& places, Sending* sending) {
  ReportProgress& progress = sending->progress;
  const size_t first = places.front();
  const StoredItem& item = sending->items[first];
  // Once the system forgets the other's key it would take ours.
  const bool is_anothers = first < progress.anothers.size() && progress.anothers[first];
  if (is_anothers) {
    Refuse(RefusedHere(DeliveryProblem::kDifferent,
                       item.key + ": not sent again: " + traits_.system +
                           " had its key before this book sent it, for other usage or for this. Compare the day's "
                           "sum there, correct it by hand, then `tollbook deliveries resolve`"),
           places, sending);
    return std::nullopt;
  }
  if (const std::string why = WhyRefused(item); !why.empty()) {
    Refuse(RefusedHere(DeliveryProblem::kValidation, item.key + ": " + why), places, sending);
    return std::nullopt;
  }
  const size_t left_before = progress.left();
  sending->denied.reset();
  std::optional<Attempt> stopped = TellPlaces(places, sending);
  const bool surely_not = stopped && stopped->step.event == DeliveryEvent::kNotApplied;
  for (const size_t place : places) {
    if (traits_.says_seen && !surely_not) progress.tried[place] = true;
  }
  const bool is_denied = sending->denied && progress.left() == left_before;
  sending->denied_in_row = is_denied ? sending->denied_in_row + 1 : 0;
  return stopped;
}

// `left_before`: items that were to be told. `not_sent`: those that were not, for who asks is refused.
Attempt ReportEmitter::Refused(Sending* sending, size_t left_before, size_t not_sent) const {
  const bool is_who_asks = sending->denied_in_row >= kDeniedInRow;
  Attempt& first = sending->first_refused;
  if (is_who_asks && first.step.problem != DeliveryProblem::kDifferent) first = *sending->denied;
  Attempt refused = std::move(first);
  // What takes others takes who asks.
  refused.is_denied = refused.is_denied && (is_who_asks || sending->progress.left() == left_before);
  const size_t items = sending->items.size();
  std::string count = std::to_string(sending->refused) + " of " + std::to_string(items) + " items refused";
  if (not_sent > 0) count += " and " + std::to_string(not_sent) + " not sent, for they would be, too";
  if (sending->refused + not_sent < items) count += ", the others are told";
  refused.step.error = count + ": " + refused.step.error;
  return refused;
}

// Nothing of this attempt is open unless it says so; of one before, which was, not more is known than there was.
Attempt ReportEmitter::Over(Attempt attempt, Sending* sending) const {
  const bool is_unclear = attempt.step.event == DeliveryEvent::kUnclear;
  if (!is_unclear && !sending->was_unclear) sending->progress.since_seconds = 0;
  if (attempt.step.event == DeliveryEvent::kNotApplied && sending->was_unclear && traits_.remembers_seconds > 0) {
    attempt.step.event = DeliveryEvent::kUnclear;
  }
  attempt.step.earlier_unclear = sending->is_refused_unread;
  return End(std::move(attempt), sending->progress);
}

Attempt ReportEmitter::End(Attempt attempt, const ReportProgress& progress) const {
  attempt.step.job = ToString(progress);
  attempt.step.error = secret_.MaskedIn(std::move(attempt.step.error));
  return attempt;
}

HttpAnswer ReportEmitter::Request(const std::string& method, const StoredItem& item, const std::string& path,
                                  std::string_view body) {
  return http_->Do({method, target_.http.url + path, HeadersOf(secret_.value(), item), body});
}

}  // namespace tollbook
