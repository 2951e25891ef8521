// UsageReport: what the emitters of billing systems share: items of usage, reports of so many items, and how far a
// report is told. Reports of accounts (account_report.h) are told the same way.
//
// An item is what one customer there used of one code there on one day, before and after a seal. Billing systems that
// add up are told the difference, once, under a key of its own; so what they were told sums to the usage as of the
// newest seal, whatever came late or was corrected. A report is sent item by item; how far it came is kept with its
// delivery, so that what was taken is not sent again.
#ifndef TOLLBOOK_PIPELINE_EMIT_USAGE_REPORT_H_
#define TOLLBOOK_PIPELINE_EMIT_USAGE_REPORT_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/emit/emitter.h"
#include "pipeline/emit/http.h"
#include "pipeline/emit/secret.h"

namespace tollbook {

struct UsageItem {
  // "tb-" and 32 digits: from book name, seal, customer, code and day; since a restore, where the target cannot be
  // asked for it, from the change, too.
  std::string key;
  std::string customer;  // the id there
  std::string code;      // the charge's there
  Day day;
  Instant start;                        // of the day, in the subscription's zone
  Quantity before, after;               // all that the customer used of the code on the day
  Quantity change;                      // after - before; not zero
  std::set<std::string> entities = {};  // whose it is
};

// What the seal changes for the target, by (customer, code, day): of its charges, entities and days from its `from` on.
// FailedPrecondition: subscriptions without an id there. OutOfRange: a sum that cannot be held.
[[nodiscard]] absl::StatusOr<std::vector<UsageItem>> ItemsOf(const Target& target, std::string_view book_name,
                                                             const SealedUsage& usage);

// What the seal changes of one charge and day, whoever is told: of the target's entities and days.
struct UsageChange {
  const UsageDay* day = nullptr;  // of which; borrowed from the SealedUsage
  Quantity before, after;
  Quantity change;  // not zero
};
[[nodiscard]] absl::StatusOr<std::vector<UsageChange>> ChangesOf(const Target& target, const SealedUsage& usage);

// Notes in a report whose it is, and from when on.
void AddScope(const std::string& entity, const std::string& accounting_period, PlannedDelivery* report);

// The key of a report as a whole: from book name and its own, and from what it says where that is given.
std::string UsageReportKey(std::string_view book_name, std::string_view report, std::string_view says = {});
// The posting key of a batch, bound to what it says.
std::string BoundKey(std::string_view posting_key, std::string_view says);
// The key of an event: of what it says, and of which commit.
std::string EventKey(std::string_view book_name, const BookEvent& event);

// One request of a report, as it is stored: a line of key, seconds of the day's start, path and body, with tabs
// between.
struct StoredItem {
  std::string key;
  int64_t start_seconds = 0;
  std::string path;  // behind the target's url
  std::string body;
  std::set<std::string> entities = {};  // whose it is, and when; stored with the report as a whole
  std::string accounting_period = {};
  // Of one that is being told, and of a system that says_seen: this book may have sent it before. Not stored.
  bool was_sent = false;
};
std::string Encode(const std::vector<StoredItem>& items);
std::vector<StoredItem> DecodeItems(std::string_view body);  // of bytes that were planned, so they are right

// Reports of at most so many items each.
[[nodiscard]] std::vector<PlannedDelivery> ReportsOf(uint64_t seal, const std::vector<StoredItem>& items,
                                                     size_t items_max);

// How far a report is told, as the delivery's job: "since 1764380000, told 1-37 39"; "told none"; of a system that
// says_seen also "told 1-37, another's 38, tried to 40 by send 2", or "tried 1-37 99 by send 2".
struct ReportProgress {
  int64_t since_seconds = 0;        // when it was first sent of what may be there and is not told; 0: there is no such
  std::vector<bool> told;           // by item
  std::vector<bool> anothers = {};  // by item: the target had its key before this book sent it; empty: of none
  // Which items its sends came to, and the newest of them that said so: a later one ended without a word, and may have
  // come to all. Empty, by 0: none said so.
  std::vector<bool> tried = {};
  uint32_t send = 0;
  size_t left() const;
};
std::string ToString(const ReportProgress& progress);
ReportProgress ProgressOf(std::string_view job, size_t items);
// Whether the target has some of a report, by the delivery's job.
bool IsToldInPart(std::string_view job);

// What an answer means that is the same for all: nothing left, no whole answer, 408, 429, 5xx, 401, 403, a redirect, a
// web page. None: the target's own word.
[[nodiscard]] std::optional<Attempt> EndWithoutWord(const HttpAnswer& answer);

// The same of a request that only read: nothing was changed, whatever came of it.
[[nodiscard]] Attempt OfReading(Attempt attempt);

// Whether two decimals are one: "0", "1250" and "1250.0" of the same quantity.
bool SameQuantity(const std::string& a, const std::string& b);

// Whether what is no batch is still for the target that it was planned for: `entities`, `from` and `regions` may have
// changed since.
bool IsStillFor(const Target& target, const Delivery& delivery);

// Adds a member to a JSON object that is open.
void AppendMember(std::string_view name, std::string_view text, std::string* json);

// "a%20b", as in a form or a path.
std::string PercentEncoded(std::string_view text);

// An emitter that sends a report item by item, or so many items in a request.
class ReportEmitter : public Emitter {
 public:
  std::string Show(const Parcel& parcel) const final;
  bool AsksFirst() const final { return false; }
  Attempt Ask(const Parcel& parcel) final;
  Attempt Send(const Parcel& parcel) final;
  Attempt Finish(const Parcel& parcel) final { return Ask(parcel); }

 protected:
  struct Traits {
    std::string system;                // for people: "Stripe"
    size_t items_max = 100;            // of a report
    size_t items_per_request = 1;      // of the same path
    int64_t remembers_seconds = 0;     // so long it drops a key that it has seen; 0: it is told states, or can be asked
    int64_t reaches_back_seconds = 0;  // it takes no older usage; 0: any
    std::string method = "POST";
    // Of a key that it has it says so, and not what it has under it: whether that is what this book sent must be known
    // here (StoredItem::was_sent).
    bool says_seen = false;
  };
  // `secret`: of those that show themselves who asks (HeadersOf); the others' client does.
  ReportEmitter(const Target& target, const EmitterContext& context, Secret secret, std::unique_ptr<HttpClient> http,
                Traits traits);

  // Why the target would not take the item, and what to do: it is then refused by us, and keeps back no other. Empty:
  // it may.
  virtual std::string WhyNotTaken(const StoredItem&) const { return ""; }
  // Of a request for these items, with the secret, or with "****".
  virtual std::vector<std::string> HeadersOf(std::string_view secret, const StoredItem& item) const = 0;
  // The body of one request for these items, of which there is one unless Traits says more.
  virtual std::string RequestBody(std::span<const StoredItem> items) const { return items.front().body; }
  // Tells them by one request: confirmed, refused, not applied, unclear; one word for all of them, or one for each. Of
  // several that are refused as one each half is told apart. An answer with a word for each knows them by their places
  // only: where it says the one of some and the other of others, these and those are told apart, so that no order is
  // believed but that of an answer in which all are taken, or none. `SendItems` and `Request` are for it.
  virtual std::vector<Attempt> TellEach(std::span<const StoredItem> items) { return {Tell(items)}; }
  // Of a report that may be there, and whose keys the target no longer knows: finds out which of its items are, and
  // changes nothing there. Nothing: `progress` has them as told, and the others are surely not there; else the end of
  // it, refused or cannot ask.
  virtual std::optional<Attempt> Settle(const Parcel& parcel, std::span<const StoredItem> items,
                                        ReportProgress* progress);
  virtual Attempt Tell(std::span<const StoredItem>) {
    AssertionFailed("a report tells each item, or all as one", __FILE__, __LINE__);
  }

  HttpAnswer SendItems(std::span<const StoredItem> items) {
    return Request(traits_.method, items.front(), items.front().path, RequestBody(items));
  }
  HttpAnswer Request(const std::string& method, const StoredItem& item, const std::string& path, std::string_view body);
  // The items of the target's usage report of that name, as this book has it stored; none: it has no such report.
  [[nodiscard]] absl::StatusOr<std::optional<std::vector<StoredItem>>> ItemsOfReport(const std::string& report) const;
  const Target& target() const { return target_; }
  const std::string& book_name() const { return book_name_; }
  const Traits& traits() const { return traits_; }

 private:
  // What of a report is being sent.
  struct Sending {
    std::vector<StoredItem> items;
    ReportProgress progress;
    size_t refused = 0;              // items
    Attempt first_refused = {};      // what is told of them
    bool was_unclear = false;        // nobody knew how it ended when it was sent before
    bool is_refused_unread = false;  // of some item nothing was said, but that it is not taken from us
    size_t denied_in_row = 0;        // requests that were refused for who asks, and none was answered otherwise since
    std::optional<Attempt> denied = std::nullopt;  // the last of them
  };
  // By the target's own rules, or for its age.
  std::string WhyRefused(const StoredItem& item) const;
  size_t EndOfRequest(const Sending& sending, size_t first) const;
  using Places = std::vector<size_t>;
  // The items that are not told, by the request that they go by, or are kept from going by.
  std::vector<Places> RequestsOf(const Sending& sending) const;
  // By one request, or by none where they are refused here. None: to be gone on with.
  std::optional<Attempt> TellRequest(const Places& places, Sending* sending);
  // The items at these places, by one request or more. None: told or refused, and to be gone on with.
  std::optional<Attempt> TellPlaces(const Places& places, Sending* sending);
  std::optional<Attempt> TellApart(const Places& some, const Places& others, Sending* sending);
  Attempt SendReport(const Parcel& parcel);
  Attempt Refused(Sending* sending, size_t left_before, size_t not_sent) const;
  void Refuse(Attempt attempt, std::span<const size_t> places, Sending* sending) const;
  void MarkSent(const Parcel& parcel, Sending* sending) const;
  Attempt Over(Attempt attempt, Sending* sending) const;
  Attempt End(Attempt attempt, const ReportProgress& progress) const;
  int64_t NowSeconds() const;
  bool IsForgotten(const ReportProgress& progress) const {
    return traits_.remembers_seconds > 0 && NowSeconds() - progress.since_seconds >= traits_.remembers_seconds;
  }

  const Target target_;
  const std::string book_name_;
  const std::function<int64_t()> now_nanos_;
  const Secret secret_;
  const Traits traits_;
  const std::unique_ptr<HttpClient> http_;
  const Parcel* sending_ = nullptr;  // while it is sent
};

// Of usage. Who derives from it says what one item is.
class UsageReportEmitter : public ReportEmitter {
 public:
  absl::StatusOr<std::vector<PlannedDelivery>> MakeUsage(const SealedUsage& usage) const final;

 protected:
  UsageReportEmitter(const Target& target, const EmitterContext& context, Secret secret, Traits traits);
  using ReportEmitter::ReportEmitter;

  // Path and body of an item.
  virtual StoredItem MakeItem(const UsageItem& item, uint64_t seal) const = 0;
  virtual std::vector<std::string> Headers(std::string_view secret) const = 0;
  std::vector<std::string> HeadersOf(std::string_view secret, const StoredItem&) const override {
    return Headers(secret);
  }

  HttpAnswer Post(const std::string& path, std::string_view body) { return Request("POST", {}, path, body); }
  HttpAnswer Get(const std::string& path) { return Request("GET", {}, path, {}); }
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_EMIT_USAGE_REPORT_H_
