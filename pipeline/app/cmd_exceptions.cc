#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <tuple>

#include "ledger/catalog_load.h"
#include "ledger/cut_off.h"
#include "ledger/purge.h"
#include "pipeline/app/catalog_loaded.h"
#include "pipeline/app/commands.h"
#include "pipeline/app/one_answer.h"
#include "pipeline/app/process.h"
#include "pipeline/app/report.h"
#include "pipeline/app/run_flow.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/booked_places.h"
#include "pipeline/change_period.h"
#include "pipeline/charges.h"
#include "pipeline/due_now.h"
#include "pipeline/emit/missing_codes.h"
#include "pipeline/forget_keys.h"
#include "pipeline/seal.h"
#include "pipeline/waiting.h"
#include "rating/catalog_errors.h"
#include "rating/retention.h"

namespace tollbook {
namespace {

const std::vector<Column> kColumns = {{"reason"},
                                      {"outcome"},
                                      {"source"},
                                      {"line", true, Narrow::kCut, ParquetType::kWhole},
                                      {"byte_offset", true, Narrow::kCut, ParquetType::kWhole},
                                      {"part", true, Narrow::kCut, ParquetType::kWhole},
                                      {"subject"},
                                      {"meter"},
                                      {"usage_date", false, Narrow::kCut, ParquetType::kDate},
                                      {"events", true, Narrow::kCut, ParquetType::kWhole},
                                      {"payload"},
                                      {"needs"}};

// Why a difference is not booked, by the state of its accounting period.
std::string WaitingReason(PeriodState state) {
  return "period_" + std::string(ToString(state));
}

constexpr std::string_view kUnmapped = "unmapped";
constexpr std::string_view kMissingCode = "missing_code";

bool IsWaitingReason(std::string_view reason) {
  if (reason == kUnmapped) return true;
  for (const PeriodState state : {PeriodState::kFuture, PeriodState::kSoftClosed, PeriodState::kClosed}) {
    if (reason == WaitingReason(state)) return true;
  }
  return false;
}

// Lines that were not accepted, then accepted usage that no subscription or charge takes, then what waits for its
// accounting period or for a posting rule, then what was booked and has no code in an ERP. There may be more of them
// than fit in memory: for programs each goes out as it is met, people see the first.
class Listing {
 public:
  // `cut_off`: the book's (cut_off.h).
  Listing(const ExceptionsOptions& options, Day cut_off)
      : options_(options), cut_off_(cut_off), for_people_(options.format.empty()), stream_(kColumns, options.format) {}

  // `waived`: without it, all; with it, only rejected lines and conflicts of later commits.
  absl::Status AddLines(const Book& book, const std::optional<WaivedLines>& waived) {
    absl::StatusOr<std::vector<SourceRecord>> sources = book.Sources();
    if (!sources.ok()) return sources.status();
    return book.ForEachExceptions([&](const StoredExceptions& chunk) {
      absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
      if (!records.ok()) return records.status();
      for (const ExceptionRecord& record : *records) {
        const std::string reason(ToString(record.reason));
        if (!Wanted(reason) || (waived && !IsUnwaived(OutcomeOf(record.reason), chunk.sequence, *waived))) continue;
        Count(reason, std::string(ToString(OutcomeOf(record.reason))), 1);
        const std::string needs = NeedsSource(record.reason) ? (*sources)[record.needs].path : "";
        TOLLBOOK_RETURN_IF_ERROR(AddLine(reason, (*sources)[record.source].path, needs, record));
      }
      return absl::OkStatus();
    });
  }

  absl::Status AddUnrated(const Book& book, const Catalog& catalog) {
    std::map<std::tuple<std::string, std::string, std::string, Day>, uint64_t> unrated;  // why, subject, meter, date
    std::mutex unrated_mutex;
    const absl::Status visited =
        VisitSubjects(book, catalog, {}, options_.threads, [&](int, const SubjectWorth& worth) {
          const std::lock_guard lock(unrated_mutex);
          for (const SubjectTotal& total : worth.totals) {
            if (worth.status.ok()) break;
            const Day date = DayOfBucket(total.meter->granularity, total.bucket, catalog.book.zone);
            unrated[{"out_of_range", std::string(worth.subject), total.meter->name, date}] += total.total.events;
          }
          for (const UnratedUsage& usage : worth.rated.unrated) {
            if (usage.why == UnratedUsage::Why::kTrial) continue;  // as the plan has it
            const std::string why = usage.why == UnratedUsage::Why::kUnattributed ? "unattributed" : "unpriced";
            unrated[{why, std::string(worth.subject), usage.meter->name, usage.usage_date}] += usage.events;
          }
          return absl::OkStatus();
        });
    if (!visited.ok()) return visited;
    for (const auto& [place, events] : unrated) {
      const auto& [why, subject, meter, date] = place;
      if (!Wanted(why)) continue;
      Count(why, "accepted", events);
      if (!for_people_) {
        TOLLBOOK_RETURN_IF_ERROR(stream_.Add(
            {why, "accepted", "", "", "", "", subject, meter, ToString(date), std::to_string(events), "", ""}));
      } else if (HasRoom()) {
        unrated_.Add({why, subject, meter, ToString(date), Thousands(events)});
      }
    }
    return absl::OkStatus();
  }

  // One row for each subject, charge and usage date: what the charge is worth more, or less, than is booked for it.
  absl::Status AddWaiting(const Book& book, const Catalog& catalog) {
    std::map<std::tuple<std::string, std::string, Day, std::string>, std::string> waiting;
    const absl::StatusOr<std::vector<WaitingAmount>> sums = WaitingDifferences(
        book, catalog, {}, options_.threads,
        [&](std::string_view subject, const BookedAmount& difference, const PostingPlace& place, bool unmapped) {
          const BookedKey& key = difference.key;
          std::string what = std::string(key.subscription) + " " + std::string(key.place->plan) + "/" +
                             std::string(key.place->charge) + ", " + std::string(key.place->entity) + " " +
                             place.period.name + ": " + ToString(Money{key.place->currency, difference.minor}) + " " +
                             std::string(key.place->currency.code());
          what += IsMapped(*key.place)
                      ? ", debit " + std::string(key.place->debit) + ", credit " + std::string(key.place->credit)
                      : ", product " + std::string(key.place->product);
          const std::string reason = unmapped ? std::string(kUnmapped) : WaitingReason(place.state);
          waiting[{reason, std::string(subject), key.usage_date, what}] = what;
        });
    if (!sums.ok()) return sums.status();
    for (const auto& [place, what] : waiting) {
      const auto& [reason, subject, usage_date, text] = place;
      if (!Wanted(reason)) continue;
      Count(reason, "accepted", 1);
      if (!for_people_) {
        TOLLBOOK_RETURN_IF_ERROR(
            stream_.Add({reason, "accepted", "", "", "", "", subject, "", ToString(usage_date), "", what, ""}));
      } else if (HasRoom()) {
        waiting_.Add({reason, subject, ToString(usage_date), what});
      }
    }
    return absl::OkStatus();
  }

  // One row for each code that a target has not.
  absl::Status AddMissingCodes(const Book& book, const Catalog& catalog) {
    const std::string reason(kMissingCode);
    if (!Wanted(reason)) return absl::OkStatus();
    const absl::StatusOr<std::vector<MissingCode>> missing = MissingCodes(book, catalog);
    if (!missing.ok()) return missing.status();
    for (const MissingCode& code : *missing) {
      Count(reason, "booked", 1);
      const std::string what = "target " + code.target + ": " + code.what + " (" +
                               Counted(code.batches, "batch", "batches") + ", the first " + code.first_batch + ")";
      if (!for_people_) {
        TOLLBOOK_RETURN_IF_ERROR(stream_.Add({reason, "booked", "", "", "", "", "", "", "", "", what, ""}));
      } else if (HasRoom()) {
        codes_.Add({reason, code.target, Thousands(code.batches), code.what});
      }
    }
    return absl::OkStatus();
  }

  absl::Status Finish() { return for_people_ ? WriteOutput(TextForPeople()) : stream_.Finish(); }

 private:
  absl::Status AddLine(const std::string& reason, const std::string& path, const std::string& needs,
                       const ExceptionRecord& record) {
    if (!for_people_) {
      return stream_.Add({reason, std::string(ToString(OutcomeOf(record.reason))), path, std::to_string(record.line),
                          std::to_string(record.offset), std::to_string(record.part), "", "", "", "1",
                          std::string(record.payload), needs});
    }
    if (!HasRoom()) return absl::OkStatus();
    lines_.Add({reason, path, std::to_string(record.line), std::string(record.payload)});
    if (!needs.empty()) needed_.Add({reason, path, std::to_string(record.line), needs});
    return absl::OkStatus();
  }
  std::string TextForPeople() const {
    Table summary(
        {{"reason", false, Narrow::kKeep}, {"outcome"}, {"count", true}, {"what_to_do", false, Narrow::kWrap}});
    uint64_t all = 0;
    for (const auto& [reason, count] : counts_) {
      all += count.second;
      summary.Add({reason, count.first, Thousands(count.second), Remedy(reason)});
    }
    if (counts_.empty()) return "No exceptions.\n";
    std::string text = summary.ToText();
    for (const Table* table : {&lines_, &needed_, &unrated_, &waiting_, &codes_}) {
      if (table->rows() > 0) text.append("\n").append(table->ToText());
    }
    if (!HasRoom())
      text += "The first " + Thousands(options_.limit) + " rows; --format csv gives all, with places to the byte.\n";
    return text;
  }
  static bool IsUnwaived(Outcome outcome, uint64_t commit, const WaivedLines& waived) {
    return (outcome == Outcome::kRejected && commit > waived.rejected) ||
           (outcome == Outcome::kConflict && commit > waived.conflict);
  }
  bool HasRoom() const { return lines_.rows() + unrated_.rows() + waiting_.rows() + codes_.rows() < options_.limit; }
  bool Wanted(const std::string& reason) const { return options_.reason.empty() || options_.reason == reason; }
  void Count(const std::string& reason, const std::string& outcome, uint64_t events) {
    auto& count = counts_[reason];
    count.first = outcome;
    count.second += events;
  }
  std::string Remedy(const std::string& reason) const {
    if (reason == "unattributed")
      return "Add the subject's subscription to subscriptions.csv and seal; nothing is read again.";
    if (reason == "out_of_range")
      return "Mend the events at the source, or the price: the seal names the charge. No total above 1.7e20 units, and "
             "no worth above 1e30 minor units, can be booked.";
    if (reason == "unpriced") return "Add a charge for the meter to the plan and seal; nothing is read again.";
    if (reason == kMissingCode) {
      return "Add the code to targets.yaml, a customer to customers.csv; then `tollbook deliveries retry` what is parked "
             "for it. Until then none of these batches is sent there.";
    }
    if (reason == kUnmapped) return "Add a posting rule to posting.yaml and seal; nothing is read again.";
    if (reason == WaitingReason(PeriodState::kClosed)) {
      return "Open the period again with `tollbook periods reopen` and seal; nothing is read again.";
    }
    if (reason == WaitingReason(PeriodState::kSoftClosed))
      return "Seal with --adjust, or open the period again and seal; nothing is read again.";
    if (reason == WaitingReason(PeriodState::kFuture))
      return "Open the period with `tollbook periods open` and seal; nothing is read again.";
    const std::optional<Reason> known = ReasonFromString(reason);
    return known ? RemedyOf(*known, cut_off_) : "";
  }
  const ExceptionsOptions& options_;
  const Day cut_off_;
  const bool for_people_;
  RowStream stream_;
  // The same for people, who need less of it.
  Table lines_{{{"reason", false, Narrow::kKeep}, {"source"}, {"line", true}, {"payload"}}};
  Table needed_{{{"reason", false, Narrow::kKeep}, {"source"}, {"line", true}, {"needs"}}};
  Table unrated_{{{"reason", false, Narrow::kKeep}, {"subject"}, {"meter"}, {"usage_date"}, {"events", true}}};
  Table waiting_{{{"reason", false, Narrow::kKeep}, {"subject"}, {"usage_date"}, {"difference", false, Narrow::kWrap}}};
  Table codes_{{{"reason", false, Narrow::kKeep}, {"target"}, {"batches", true}, {"missing", false, Narrow::kWrap}}};
  std::map<std::string, std::pair<std::string, uint64_t>> counts_;
};

absl::StatusOr<WaivedLines> WaivedBy(const Book& book, const Catalog& catalog, const std::string& entity) {
  std::vector<std::string_view> names;
  for (const Entity& each : catalog.entities) names.push_back(each.name);
  if (std::ranges::find(names, entity) == names.end()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "no such legal entity", "--unwaived " + entity,
                     DidYouMean(entity, names));
  }
  return WaivedLinesOf(book, entity);
}

absl::StatusOr<int> List(const ExceptionsOptions& options) {
  const bool known = options.reason.empty() || options.reason == "unattributed" || options.reason == "unpriced" ||
                     options.reason == "out_of_range" || options.reason == kMissingCode ||
                     IsWaitingReason(options.reason) || ReasonFromString(options.reason);
  if (!known) {
    return MakeError(absl::StatusCode::kInvalidArgument, "no such reason", "--reason " + options.reason,
                     "docs/exceptions.md lists them");
  }
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "exceptions");
  if (!book.ok()) return book.status();
  // Before the first row goes out.
  absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok() && !absl::IsNotFound(catalog.status())) return catalog.status();
  const absl::StatusOr<Day> cut_off = CutOffOf(**book);
  if (!cut_off.ok()) return cut_off.status();
  Listing listing(options, *cut_off);
  if (!options.unwaived.empty()) {
    if (!catalog.ok()) return catalog.status();
    const absl::StatusOr<WaivedLines> waived = WaivedBy(**book, *catalog, options.unwaived);
    if (!waived.ok()) return waived.status();
    TOLLBOOK_RETURN_IF_ERROR(listing.AddLines(**book, *waived));
    TOLLBOOK_RETURN_IF_ERROR(listing.Finish());
    return kDone;
  }
  TOLLBOOK_RETURN_IF_ERROR(listing.AddLines(**book, std::nullopt));
  if (catalog.ok()) {
    TOLLBOOK_RETURN_IF_ERROR(listing.AddUnrated(**book, *catalog));
    TOLLBOOK_RETURN_IF_ERROR(listing.AddWaiting(**book, *catalog));
    TOLLBOOK_RETURN_IF_ERROR(listing.AddMissingCodes(**book, *catalog));
  } else if (options.format.empty()) {
    std::fprintf(stderr, "Nothing is sealed yet: --catalog DIR also shows accepted usage that nothing prices.\n");
  }
  TOLLBOOK_RETURN_IF_ERROR(listing.Finish());
  return kDone;
}

std::string TextOf(const DueNow& now) {
  std::string text;
  for (const WaitingAmount& waits : now.waiting)
    text += ToString(waits) + (waits.sum.differences == 1 ? " waits\n" : " wait\n");
  for (const DueNow::Due& due : now.due)
    text += "`tollbook seal` books " + ToString(due.sum, due.currency) + ", of " + due.entity + "\n";
  return text;
}

Json DueJson(const DueNow& now) {
  Json json = Json::array();
  for (const DueNow::Due& due : now.due) {
    json.push_back({{"entity", due.entity},
                    {"currency", std::string(due.currency.code())},
                    {"differences", due.sum.differences},
                    {"amount", ToString(Money{due.currency, due.sum.minor})}});
  }
  return json;
}

std::string RetryText(const LineCounts& counts) {
  return "Of " + Thousands(counts.lines) + " held events, " + Thousands(counts.accepted) + " are accepted now, " +
         Thousands(counts.duplicate) + " are duplicates, " + Thousands(counts.conflict) + " conflicts, " +
         Thousands(counts.rejected) + " rejected; " + Thousands(counts.held) + " stay held.\n";
}

// Behind a retry: what was held, and all else that is due.
absl::StatusOr<int> SealRetried(const ExceptionsOptions& options, Book& book, const Catalog& catalog,
                                const AbsorbReport& retried) {
  const absl::StatusOr<std::optional<Day>> through = ParseThrough(options.through);
  if (!through.ok()) return through.status();
  if (options.format.empty() && Print(RetryText(retried.counts)) != kDone) return kFailed;
  SealOptions sealing{options.threads, *through};
  sealing.account = AccountName();
  const absl::StatusOr<SealReport> sealed = Seal(book, catalog, sealing);
  if (!sealed.ok()) return sealed.status();
  if (options.format == "json") return Print(ToText(ToJson({&retried, &*sealed, 0, options.books})));
  return PrintReport({nullptr, &*sealed, 0, options.books});
}

absl::StatusOr<int> Retry(const ExceptionsOptions& options) {
  if (options.by.empty() != options.why.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "a decision needs a name and a reason", "--by, --why",
                     "give both, or neither");
  }
  absl::StatusOr<LoadedCatalog> loaded = LoadCatalog(options.catalog);
  if (!loaded.ok()) return loaded.status();
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, kRetryCommand);
  if (!book.ok()) return book.status();
  TOLLBOOK_RETURN_IF_ERROR(
      CatalogLoaded(**book, loaded->catalog, kRetryCommand, options.catalog, options.by, options.why));
  AbsorbOptions absorb;
  absorb.memory_bytes = LeftForAbsorb(DefaultMemoryBytes());
  absorb.threads = options.threads;
  absorb.seen_span_days = SeenSpanDays(RetentionOf(loaded->catalog).dedup_keys_months);
  absl::StatusOr<AbsorbReport> report = RetryHeld(**book, loaded->catalog, absorb);
  if (!report.ok()) return report.status();
  if (options.format != "json") PrintNeeded(report->needed);
  if (options.seal) return SealRetried(options, **book, loaded->catalog, *report);
  // What was held for want of a meter is in the book now; what is held for want of a posting rule never left it.
  const absl::StatusOr<DueNow> now = DueBy(**book, loaded->catalog, options.threads);
  if (!now.ok()) return now.status();
  if (options.format == "json") {
    Json json = ToJson({&*report, nullptr, 0, options.books});
    json["to_seal"] = DueJson(*now);
    json["waiting"] = ToJson(now->waiting);
    return Print(ToText(json));
  }
  return Print(RetryText(report->counts) + TextOf(*now));
}

absl::StatusOr<int> Purge(const ExceptionsOptions& options) {
  if (options.by.empty() || options.why.empty()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "a purge needs somebody who decides it", "exceptions purge",
                     "name them with --by, and the reason with --why");
  }
  absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "exceptions purge");
  if (!book.ok()) return book.status();
  const absl::StatusOr<Catalog> catalog = CatalogFor(**book, options.catalog);
  if (!catalog.ok()) return catalog.status();
  TOLLBOOK_RETURN_IF_ERROR(CatalogLoaded(**book, *catalog, "exceptions purge", options.catalog));
  const std::optional<int> months = RetentionOf(*catalog).exception_payloads_months;
  if (!months) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "the catalog keeps payloads for ever", options.books,
                     "write `retention: {exception_payloads_months: 24}`, say, in book.yaml");
  }
  const Zone& zone = catalog->book.zone;
  const Day today = zone.DayOf(Now()), before = MonthsBefore(today, *months);
  const absl::StatusOr<PurgeReport> report =
      PurgePayloads(**book, {zone.StartOf(before).nanos, today, options.by, options.why});
  if (!report.ok()) return report.status();
  if (options.format == "json") {
    return Print(ToText(Json{{"before", ToString(before)},
                             {"payloads", report->payloads},
                             {"bytes", report->bytes},
                             {"epochs", report->epochs}}));
  }
  return Print(Counted(report->payloads, "payload", "payloads") + " of before " + ToString(before) + " purged, " +
               Thousands(report->bytes) + " bytes, of " + Counted(report->epochs, "epoch", "epochs") + "\n");
}

}  // namespace

int CmdExceptions(const ExceptionsOptions& options) {
  if (options.purge || options.retry) {
    const absl::Status one = OneAnswer(options.purge ? "exceptions purge" : "exceptions retry", options.format);
    if (!one.ok()) return Fail(one);
  }
  const absl::StatusOr<int> code = options.purge ? Purge(options) : options.retry ? Retry(options) : List(options);
  return code.ok() ? *code : Fail(code.status());
}

}  // namespace tollbook
