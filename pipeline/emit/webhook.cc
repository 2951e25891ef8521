#include "pipeline/emit/webhook.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <charconv>

#include "pipeline/emit/authorization.h"
#include "pipeline/emit/call_outcome.h"
#include "pipeline/emit/jwt.h"
#include "pipeline/emit/usage_report.h"
#include "pipeline/journal_text.h"
#include "pipeline/json_text.h"

namespace tollbook {
namespace {

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr size_t kDaysOfEvent = 1000;

void AppendChange(const UsageChange& change, std::string* out) {
  *out += '{';
  AppendMember("subscription", change.day->subscription, out);
  AppendMember("account", change.day->account, out);
  AppendMember("entity", change.day->entity, out);
  AppendMember("plan", change.day->plan, out);
  AppendMember("charge", change.day->charge, out);
  AppendMember("meter", change.day->meter, out);
  AppendMember("period_start", ToString(change.day->period.start), out);
  AppendMember("period_end", ToString(change.day->period.end), out);
  AppendMember("day", ToString(change.day->day), out);
  AppendMember("before", ToString(change.before), out);
  AppendMember("quantity", ToString(change.after), out);
  AppendMember("change", ToString(change.change), out);
  *out += '}';
}

// What an answer of a plain receiver means.
Attempt OfAnswer(const HttpAnswer& answer) {
  if (auto outcome = OutcomeOfCall(answer, DeliveryEvent::kNotApplied, DeliveryEvent::kUnclear)) return *outcome;
  const std::string said = Summary(answer);
  if (answer.status >= 400) return Failed(DeliveryEvent::kRefused, DeliveryProblem::kValidation, said);
  if (answer.content_type.starts_with("text/html")) {
    return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                  "a web page came back, not a receiver's answer");
  }
  return Succeeded(DeliveryEvent::kConfirmed, "", said.substr(0, 8));
}

// When it was first sent of what may be there, as the delivery's job: "since 1764380000".
constexpr std::string_view kSince = "since ";
int64_t SinceOf(std::string_view job) {
  int64_t seconds = 0;
  if (!job.starts_with(kSince)) return 0;
  std::from_chars(job.data() + kSince.size(), job.data() + job.size(), seconds);
  return seconds;
}

class WebhookEmitter final : public Emitter {
 public:
  WebhookEmitter(const Target& target, const EmitterContext& context, Secret secret, std::unique_ptr<HttpClient> http)
      : target_(target),
        book_name_(context.book_name),
        source_("tollbook/" + context.book_name),
        url_(target.http.url),
        shown_header_(ShownHeader(target.auth)),
        deduplicates_(target.deduplicates),
        window_seconds_(target.deduplicates_for_seconds),
        now_nanos_(context.now_nanos),
        secret_(std::move(secret)),
        http_(std::move(http)) {}

  PlannedDelivery Make(const JournalBatch& batch) const override {
    return MakeUnder(batch.posting_key, batch.id, DataOf(batch));
  }

  PlannedDelivery MakeSinceRestore(const JournalBatch& batch) const override {
    const std::string data = DataOf(batch);
    return MakeUnder(BoundKey(batch.posting_key, data), batch.id, data);
  }

  absl::StatusOr<std::vector<PlannedDelivery>> MakeUsage(const SealedUsage& usage) const override {
    std::vector<PlannedDelivery> reports;
    const absl::StatusOr<std::vector<UsageChange>> changes = ChangesOf(target_, usage);
    if (!changes.ok()) return changes.status();
    for (size_t first = 0; first < changes->size(); first += kDaysOfEvent) {
      PlannedDelivery& report = reports.emplace_back();
      report.batch = UsageReportName(usage.seal, static_cast<uint32_t>(reports.size()));
      std::string data = "{\"seal\":" + std::to_string(usage.seal) + ",\"days\":[";
      for (size_t i = first; i < std::min(first + kDaysOfEvent, changes->size()); ++i) {
        data += i == first ? "" : ",";
        AppendChange((*changes)[i], &data);
        AddScope((*changes)[i].day->entity, AccountingPeriodOf((*changes)[i].day->day), &report);
      }
      data += "]}";
      report.key = UsageReportKey(book_name_, report.batch, usage.since_restore ? data : "");
      report.body = EventHead(report.key, "usage.rated", report.batch) + data + "}";
    }
    return reports;
  }

  PlannedDelivery MakeEvent(const BookEvent& event, const std::string& name) const override {
    PlannedDelivery planned;
    planned.batch = name;
    planned.key = EventKey(book_name_, event);
    planned.body = EventHead(planned.key, event.type, event.subject) + event.data + "}";
    if (!event.entity.empty()) planned.entities = {event.entity};
    planned.first_period = event.accounting_period;
    return planned;
  }

  std::string Show(const Parcel& parcel) const override {
    std::string text = "POST " + url_ + "\n";
    for (const std::string& header : Headers(parcel, "SECONDS", "v1,****")) text += header + "\n";
    if (!shown_header_.empty()) text += shown_header_ + "\n";
    return text + "\n" + parcel.body + "\n";
  }

  bool AsksFirst() const override { return false; }
  bool CanBeAsked() const override { return deduplicates_; }

  // There is nothing to ask; but a receiver that drops a key that it has seen may get it again, for so long.
  Attempt Ask(const Parcel& parcel) override {
    const int64_t since = SinceOf(parcel.job) != 0 ? SinceOf(parcel.job) : parcel.since_nanos / kNanosPerSecond;
    const std::string job = window_seconds_ == 0 ? "" : std::string(kSince) + std::to_string(since);
    if (deduplicates_ && !IsForgotten(since)) return Succeeded(DeliveryEvent::kMayRepeat, job, "");
    Attempt unknown =
        RefusedHere(DeliveryProblem::kAmbiguous,
                    std::string("it may have arrived, and ") +
                        (deduplicates_ ? "the receiver no longer knows its webhook-id" : "a webhook cannot be asked") +
                        ": look there, then `tollbook deliveries resolve`");
    unknown.step.job = job;  // since when it may be there, however often it is asked
    return unknown;
  }

  Attempt Send(const Parcel& parcel) override {
    if (window_seconds_ == 0) return Post(parcel);
    // Of what may be there from before, until that is known.
    const int64_t before = parcel.unclear_for_nanos ? SinceOf(parcel.job) : 0, began = now_nanos_() / kNanosPerSecond;
    Attempt outcome;
    if (before != 0 && IsForgotten(before)) {
      outcome = Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                       "not sent again: the receiver no longer knows its webhook-id");
      outcome.by_us = true;
    } else {
      outcome = Post(parcel);
    }
    if (before != 0 && outcome.step.event == DeliveryEvent::kNotApplied) outcome.step.event = DeliveryEvent::kUnclear;
    const int64_t since = before != 0 ? before : began;
    if (outcome.step.event == DeliveryEvent::kUnclear) outcome.step.job = std::string(kSince) + std::to_string(since);
    return outcome;
  }

  // Nothing is ever accepted and not final.
  Attempt Finish(const Parcel& parcel) override { return Ask(parcel); }

 private:
  // Whether the receiver may have forgotten what came then, or does before another request is through.
  bool IsForgotten(int64_t since_seconds) const {
    const int64_t through = now_nanos_() / kNanosPerSecond + target_.http.timeout_seconds;
    return window_seconds_ > 0 && through - since_seconds >= window_seconds_;
  }
  Attempt Post(const Parcel& parcel) {
    const std::string seconds = std::to_string(now_nanos_() / kNanosPerSecond);
    const std::string signature = WebhookSignature(secret_.value(), parcel.key, seconds, parcel.body);
    const HttpAnswer answer = http_->Post(Headers(parcel, seconds, signature), parcel.body);
    Attempt outcome = OfAnswer(answer);
    if (target_.answer_names_key && outcome.step.event == DeliveryEvent::kConfirmed &&
        answer.body.find(parcel.key) == std::string::npos) {
      outcome = Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous,
                       "the answer does not name the webhook-id: " + Summary(answer));
    }
    outcome.step.error = secret_.MaskedIn(std::move(outcome.step.error));
    return outcome;
  }

  static std::string DataOf(const JournalBatch& batch) {
    std::string data = JsonOf(batch);
    data.pop_back();  // the line end
    return data;
  }
  PlannedDelivery MakeUnder(const std::string& key, const std::string& batch, const std::string& data) const {
    PlannedDelivery planned;
    planned.batch = batch;
    planned.key = key;
    planned.body = EventHead(key, "journal.sealed", batch) + data + "}";
    return planned;
  }

  // Up to its data.
  std::string EventHead(const std::string& id, std::string_view type, const std::string& subject) const {
    std::string head = "{\"specversion\":\"1.0\",\"id\":";
    AppendJsonString(id, &head);
    head += ",\"source\":";
    AppendJsonString(source_, &head);
    head.append(",\"type\":\"").append(type).append("\",\"subject\":");
    AppendJsonString(subject, &head);
    return head + ",\"datacontenttype\":\"application/json\",\"data\":";
  }

  static std::vector<std::string> Headers(const Parcel& parcel, const std::string& seconds,
                                          const std::string& signature) {
    return {"Content-Type: application/cloudevents+json", "webhook-id: " + parcel.key, "webhook-timestamp: " + seconds,
            "webhook-signature: " + signature};
  }

  const Target target_;
  const std::string book_name_;
  const std::string source_;
  const std::string url_;
  const std::string shown_header_;  // of `auth`; empty: there is none
  const bool deduplicates_;
  const int64_t window_seconds_;  // in which it does; 0: for ever
  const std::function<int64_t()> now_nanos_;
  const Secret secret_;
  const std::unique_ptr<HttpClient> http_;
};

}  // namespace

std::string WebhookSignature(std::string_view secret, std::string_view id, std::string_view timestamp,
                             std::string_view body) {
  std::string text(id);
  text.append(".").append(timestamp).append(".").append(body);
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned bytes = 0;
  TOLLBOOK_ASSERT(HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                       reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash, &bytes) != nullptr);
  return "v1," + Base64({reinterpret_cast<const char*>(hash), bytes});
}

std::unique_ptr<Emitter> MakeWebhookEmitter(const Target& target, const EmitterContext& context, Secret secret,
                                            std::unique_ptr<HttpClient> http) {
  return std::make_unique<WebhookEmitter>(target, context, std::move(secret), std::move(http));
}

}  // namespace tollbook
