#include "pipeline/charge_events.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "pipeline/read_again.h"
#include "pipeline/stored_correction.h"

namespace tollbook {
namespace {

// Of a source that cannot be read.
absl::Status CannotReadAgain(const FaultySource& faulty, const std::string& path) {
  const std::string without = faulty.fault == SourceFault::kPipe ? "; leave out --events" : ", or leave out --events";
  const std::string which = faulty.of_log.empty() ? path : path + " (" + faulty.of_log + ")";
  return MakeError(absl::StatusCode::kFailedPrecondition, WhatIsWrong(faulty), which, RemedyOf(faulty) + without);
}

std::vector<std::string> Copied(DimensionValues values) {
  return {values.begin(), values.end()};
}

ChargeUsage::Place PlaceAt(DimensionValues values, Bucket bucket, const UsageTotal& total, TotalForm form) {
  ChargeUsage::Place place{Copied(values), bucket, {}, {}};
  if (IsOfElements(form)) place.at = total.latest_at, place.value = total.value;
  return place;
}

PartTotal PartTotalOf(const SubscribedCharge& of, const UsagePlace& place, Bucket bucket, DimensionValues values,
                      const UsageTotal& total) {
  const PricedTime time = PricedTimeOf(*of.charge, place.subscription->zone, of.meter->granularity, bucket, place.day);
  return {time, PartOf(*of.charge, *of.meter, values).value_or(0), total,
          ProratedOf(*of.meter, values).value_or(Quantity())};
}

// Is the charge that takes the total one of the same subscription and name, of whichever plan?
bool HasItsName(const Catalog& catalog, const SubscribedCharge& of, const SubjectTotal& total) {
  const Catalog::SubscriptionRange subscriptions = catalog.SubscriptionsOf(of.subscription->subject);
  const Subscription* const taker =
      PlaceOf(catalog, subscriptions, total.meter->granularity, total.bucket).subscription;
  if (taker == nullptr || taker->id != of.subscription->id) return false;
  const Charge* const charge = catalog.ChargeFor(catalog.plans[taker->plan], *total.meter, total.dimension_values);
  return charge != nullptr && charge->name == of.charge->name;
}

// Reads the sources of the charges' usage, one after the other.
class EventReader {
 public:
  EventReader(const Book& book, const Catalog& catalog, std::span<const ChargeUsage> charges)
      : book_(book),
        catalog_(catalog),
        charges_(charges),
        series_(book.identity().seed[1]),
        sources_(book, catalog, DecoderChoice::kAuto),
        events_(charges.size()),
        totals_(charges.size()) {
    for (size_t i = 0; i < charges.size(); ++i) of_subject_[charges[i].of.subscription->subject].push_back(i);
  }

  // After Read.
  std::vector<uint32_t> FromLog() const { return sources_.FromLog(); }

  absl::StatusOr<std::vector<std::vector<ChargeEvent>>> Read(uint64_t through_sequence) {
    TOLLBOOK_RETURN_IF_ERROR(sources_.Open());
    TOLLBOOK_RETURN_IF_ERROR(ReadSources(through_sequence));
    // What was not accepted by then is none of the usage, whatever it looks like now.
    TOLLBOOK_RETURN_IF_ERROR(
        sources_.ForEachNotAccepted(through_sequence, [&](uint32_t source, uint64_t line, uint32_t part) {
          Drop({source, line, part});
        }));
    TOLLBOOK_RETURN_IF_ERROR(ReadCorrections(through_sequence));
    TOLLBOOK_RETURN_IF_ERROR(AddUp());
    for (size_t i = 0; i < charges_.size(); ++i) {
      Sort(*charges_[i].of.meter, &events_[i]);
      TOLLBOOK_RETURN_IF_ERROR(Check(charges_[i], i));
    }
    return std::move(events_);
  }

 private:
  using LinePart = std::tuple<uint32_t, uint64_t, uint32_t>;  // source, line, event of the line
  // An event as it was read, and the total that it went into.
  struct Taken {
    LinePart at;
    size_t charge;
    Uint128 identity;
    ChargeEvent event;
    ChargeUsage::Place place;
    bool is_dropped = false;
  };

  // Sources are read in their order, and so are their lines.
  void Drop(const LinePart& at) {
    for (auto taken = std::ranges::lower_bound(taken_, at, {}, &Taken::at); taken != taken_.end() && taken->at == at;
         ++taken) {
      taken->is_dropped = true;
    }
  }

  absl::Status ReadSources(uint64_t through_sequence) {
    SubjectLines subjects;
    for (const auto& [subject, charges] : of_subject_) subjects.Add(subject);
    std::set<uint64_t> wanted;
    for (const ChargeUsage& charge : charges_) wanted.insert(charge.commits.begin(), charge.commits.end());
    for (const auto& [source, ranges] : sources_.StretchesOf(wanted, through_sequence)) {
      const FaultySource& faulty = sources_.Check(source);
      if (faulty.fault != SourceFault::kNone) return CannotReadAgain(faulty, sources_.source(source).path);
      TOLLBOOK_RETURN_IF_ERROR(sources_.Read(source, ranges, subjects, [&](const MeasuredAgain& again) {
        const LinePart at{again.source.id, again.line, again.part};
        Take(at, KeyOf(again.identity), again.measured, again.series,
             [&]() -> const UsageEvent& { return sources_.Whole(); });
      }));
    }
    return absl::OkStatus();
  }

  // Each is an event of its own, and strikes the one that it names.
  absl::Status ReadCorrections(uint64_t through_sequence) {
    CorrectionDecoder decoder(Measurer(catalog_, book_.identity(), series_));
    return ForEachApplied(book_, through_sequence, decoder,
                          [&](const ExceptionRecord& record, const StoredCorrection& correction) {
                            const UsageEvent& event = correction.event;
                            const Uint128 identity = KeyOf(correction.measured.identity);
                            taken_back_.try_emplace(KeyOf(correction.measured.original),
                                                    TakenBack{std::string(event.id), event.correction->is_void});
                            for (const Measurement& measured : correction.after) {
                              Take({record.source, record.line, record.part}, identity, measured,
                                   series_.at(measured.series), [&]() -> const UsageEvent& { return event; });
                            }
                          });
  }

  template <typename Whole>
  void Take(const LinePart& at, Uint128 identity, const Measurement& measured, const Series& series,
            const Whole& whole) {
    const auto charges = of_subject_.find(measured.subject_name());
    if (charges == of_subject_.end()) return;
    for (const size_t charge : charges->second) TakeFor(charge, at, identity, measured, series, whole);
  }

  template <typename Whole>
  void TakeFor(size_t number, const LinePart& at, Uint128 identity, const Measurement& measured, const Series& series,
               const Whole& whole) {
    const ChargeUsage& charge = charges_[number];
    if (&catalog_.meters[series.meter] != charge.of.meter) return;
    const std::optional<UsagePlace> place = PlaceIn(catalog_, charge.of, measured.bucket, series.dimension_values);
    if (!place || place->day < charge.first || charge.last < place->day) return;
    const TotalForm form = FormOf(*charge.of.meter);
    const UsageTotal delta{measured.value, 1, HasTime(form) ? measured.time : Instant()};
    ChargeEvent event;
    std::tie(event.book_source, event.line, event.part) = at;
    event.time = measured.time;
    event.usage = PartTotalOf(charge.of, *place, measured.bucket, series.dimension_values, delta);
    Name(*charge.of.meter, measured, whole(), &event);
    ChargeUsage::Place stored = PlaceAt(series.dimension_values, measured.bucket, delta, form);
    if (charge.is_rated_again) event.place = stored;
    taken_.push_back({at, number, identity, std::move(event), std::move(stored)});
  }

  // What totals have no need of.
  static void Name(const Meter& meter, const Measurement& measured, const UsageEvent& whole, ChargeEvent* event) {
    event->source = whole.source;
    event->id = whole.id;
    if (meter.aggregation != Aggregation::kUniqueCount) return;
    for (const Property& property : whole.data) {
      if (property.name == meter.value_property) event->value = property.text;
    }
    if (!meter.operation_property.empty()) {
      event->value.insert(0, OperationOf(measured.value) == SetOperation::kAdd ? "add " : "remove ");
    }
  }

  absl::Status AddUp() {
    std::vector<size_t> counts(charges_.size());
    for (const Taken& taken : taken_) ++counts[taken.charge];
    for (size_t i = 0; i < counts.size(); ++i) events_[i].reserve(counts[i]);
    for (Taken& taken : taken_) {
      if (taken.is_dropped) continue;
      std::vector<ChargeEvent>& events = events_[taken.charge];
      if (const auto struck = taken_back_.find(taken.identity); struck != taken_back_.end()) {
        taken.event.taken_back_by = struck->second.by;
        taken.event.is_voided = struck->second.is_void;
        events.push_back(std::move(taken.event));
        continue;
      }
      const SubscribedCharge& of = charges_[taken.charge].of;
      if (!AddTo(*of.meter, taken.place, taken.event.usage.total, &totals_[taken.charge])) {
        return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves its range", of.subscription->subject,
                         "see `tollbook charges`");
      }
      events.push_back(std::move(taken.event));
    }
    taken_.clear();
    return absl::OkStatus();
  }

  static void Sort(const Meter& meter, std::vector<ChargeEvent>* events) {
    const bool by_value = FormOf(meter) == TotalForm::kTimedElements;
    std::sort(events->begin(), events->end(), [by_value](const ChargeEvent& a, const ChargeEvent& b) {
      const auto key = [](const ChargeEvent& e) { return std::tie(e.usage.time.day, e.time); };
      if (const auto order = key(a) <=> key(b); order != 0) return order < 0;
      if (by_value && a.usage.total.value != b.usage.total.value) return a.usage.total.value < b.usage.total.value;
      if (by_value && a.usage.prorated != b.usage.prorated) return a.usage.prorated < b.usage.prorated;
      return std::tie(a.source, a.id, a.book_source, a.line, a.part) <
             std::tie(b.source, b.id, b.book_source, b.line, b.part);
    });
  }

  absl::Status Check(const ChargeUsage& charge, size_t number) const {
    if (totals_[number] == charge.totals) return absl::OkStatus();
    uint64_t in_book = 0;
    for (const auto& [place, total] : charge.totals) in_book += total.events;
    const auto found = std::count_if(events_[number].begin(), events_[number].end(),
                                     [](const ChargeEvent& event) { return event.taken_back_by.empty(); });
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "the events read again do not come to the usage in the book",
                     std::string(charge.of.subscription->id) + " " + charge.of.charge->name + ", where " +
                         std::to_string(found) + " were found for " + std::to_string(in_book),
                     "leave out --events; usage that was read under another catalog may not be found again");
  }

  const Book& book_;
  const Catalog& catalog_;
  const std::span<const ChargeUsage> charges_;
  std::unordered_map<std::string_view, std::vector<size_t>> of_subject_;
  SeriesTable series_;  // of corrections
  ReadAgain sources_;
  std::deque<Taken> taken_;  // by `at`, those of corrections behind them
  struct TakenBack {
    std::string by;
    bool is_void;
  };
  std::map<Uint128, TakenBack> taken_back_;  // by the identity of the event
  // Of each charge.
  std::vector<std::vector<ChargeEvent>> events_;
  std::vector<std::map<ChargeUsage::Place, UsageTotal>> totals_;  // what they come to
};

}  // namespace

std::optional<UsagePlace> PlaceIn(const Catalog& catalog, const SubscribedCharge& charge, Bucket bucket,
                                  DimensionValues values) {
  const Catalog::SubscriptionRange subscriptions = catalog.SubscriptionsOf(charge.subscription->subject);
  const UsagePlace place = PlaceOf(catalog, subscriptions, charge.meter->granularity, bucket);
  const Subscription* const taker = place.subscription;
  if (taker == nullptr || taker->id != charge.subscription->id || taker->plan != charge.subscription->plan) return {};
  const Plan& plan = catalog.plans[taker->plan];
  if (plan.is_trial_free && place.day < catalog.FirstPaidDayOf(*taker)) return {};
  if (catalog.ChargeFor(plan, *charge.meter, values) != charge.charge) return {};
  return place;
}

bool AddTo(const Meter& meter, const ChargeUsage::Place& place, const UsageTotal& event,
           std::map<ChargeUsage::Place, UsageTotal>* totals) {
  const auto [total, is_first] = totals->try_emplace(place, event);
  if (is_first) return true;
  return IsOfElements(FormOf(meter)) ? MergeElement(event, &total->second)
                                     : Merge(meter.aggregation, event, &total->second);
}

ChargeUsage UsageOf(const Catalog& catalog, const RatedCharge& rated, std::span<const SubjectTotal> totals, Day first,
                    Day last) {
  ChargeUsage usage;
  usage.of = {rated.subscription, rated.charge, rated.meter};
  usage.period = rated.period;
  usage.is_by_day = CarriesOver(*rated.meter);
  usage.is_rated_again = !usage.is_by_day && (!rated.amended.empty() || !rated.granted.empty());
  if (rated.charge->minimum) usage.minimum_share = rated.bound_share();
  usage.first = first;
  usage.last = last;
  const TotalForm form = FormOf(*rated.meter);
  for (const SubjectTotal& total : totals) {
    const std::optional<UsagePlace> place =
        total.meter == rated.meter ? PlaceIn(catalog, usage.of, total.bucket, total.dimension_values) : std::nullopt;
    const bool is_asked = place && first <= place->day && place->day <= last;
    if (usage.is_rated_again && !is_asked && HasItsName(catalog, usage.of, total)) {
      usage.beside.push_back({total.meter, Copied(total.dimension_values), total.bucket, total.total});
    }
    if (!place || place->day < rated.period.start || last < place->day) continue;
    if (place->day < first) {
      usage.before.push_back(PartTotalOf(usage.of, *place, total.bucket, total.dimension_values, total.total));
    } else {
      usage.totals[PlaceAt(total.dimension_values, total.bucket, total.total, form)] = total.total;
    }
  }
  // As events come: where each is priced, they count in this order, of whichever dimension values they are.
  const bool has_times = form == TotalForm::kTimedElements;
  std::stable_sort(usage.before.begin(), usage.before.end(), [has_times](const PartTotal& a, const PartTotal& b) {
    if (a.time.day != b.time.day) return a.time.day < b.time.day;
    if (!has_times) return a.time < b.time;
    return CompareElements(PricedElement(a.total, a.prorated), PricedElement(b.total, b.prorated)) < 0;
  });
  return usage;
}

absl::StatusOr<std::vector<std::vector<ChargeEvent>>> ReadChargeEvents(const Book& book, const Catalog& catalog,
                                                                       std::span<const ChargeUsage> charges,
                                                                       uint64_t through_sequence,
                                                                       std::vector<uint32_t>* from_log) {
  EventReader reader(book, catalog, charges);
  absl::StatusOr<std::vector<std::vector<ChargeEvent>>> events = reader.Read(through_sequence);
  if (from_log != nullptr) *from_log = reader.FromLog();
  return events;
}

}  // namespace tollbook
