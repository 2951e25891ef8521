#include "pipeline/charge_events.h"

#include <algorithm>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "pipeline/block_work.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "pipeline/lines.h"
#include "pipeline/source_feeder.h"

namespace tollbook {
namespace {

constexpr std::string_view kWithout = "or leave out --events";

absl::Status CannotReadAgain(std::string_view what, std::string_view path, const std::string& what_to_do) {
  return MakeError(absl::StatusCode::kFailedPrecondition, what, path, what_to_do + ", " + std::string(kWithout));
}

absl::Status WasAPipe(const std::string& path) {
  return MakeError(absl::StatusCode::kFailedPrecondition, "usage that came through a pipe cannot be read again", path,
                   "leave out --events; only usage from files can be followed down to its events");
}

absl::Status IsGone(const std::string& path) {
  return CannotReadAgain("a source of the usage is gone", path,
                         "put it back as it was, where the path leads from this directory");
}

absl::Status WasChanged(const std::string& path) {
  return CannotReadAgain("a source of the usage was changed since it was absorbed", path, "put it back as it was");
}

absl::Status IsReadOtherwise(const std::string& path) {
  return CannotReadAgain("sources.yaml reads a source otherwise than when it was absorbed", path,
                         "give it the name and the mapping back that it had");
}

// Lines of one source, half-open.
struct LineRange {
  uint64_t first = 0, end = 0;
};

// By their places, none touching another.
void Unite(std::vector<LineRange>* ranges) {
  std::sort(ranges->begin(), ranges->end(), [](const LineRange& a, const LineRange& b) { return a.first < b.first; });
  size_t kept = 0;
  for (size_t i = 1; i < ranges->size(); ++i) {
    const LineRange next = (*ranges)[i];
    if (next.first <= (*ranges)[kept].end) {
      (*ranges)[kept].end = std::max((*ranges)[kept].end, next.end);
    } else {
      (*ranges)[++kept] = next;
    }
  }
  ranges->resize(ranges->empty() ? 0 : kept + 1);
}

bool Overlap(const std::vector<LineRange>& ranges, uint64_t first, uint64_t end) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const LineRange& range) { return range.first < end && first < range.end; });
}

// Line ends, as BlockWork::line_ends has them, without decoding.
uint64_t LinesOf(const Block& block) {
  const std::string_view text(block.data, block.bytes);
  const auto ends = static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
  return ends + (text.empty() || text.back() == '\n' ? 0 : 1) + block.long_lines.size();
}

ChargeUsage::Place PlaceAt(DimensionValues values, Bucket bucket, const UsageTotal& total, TotalForm form) {
  ChargeUsage::Place place{{values.begin(), values.end()}, bucket, {}, {}};
  if (IsOfElements(form)) place.at = total.latest_at, place.value = total.value;
  return place;
}

PartTotal PartTotalOf(const SubscribedCharge& of, const UsagePlace& place, Bucket bucket, DimensionValues values,
                      const UsageTotal& total) {
  const PricedTime time = PricedTimeOf(*of.charge, place.subscription->zone, of.meter->granularity, bucket, place.day);
  return {time, PartOf(*of.charge, *of.meter, values).value_or(0), total};
}

// Reads the sources of the charges' usage, one after the other.
class EventReader {
 public:
  EventReader(const Book& book, const Catalog& catalog, std::span<const ChargeUsage> charges)
      : book_(book),
        catalog_(catalog),
        charges_(charges),
        series_(book.identity().seed[1]),
        blocks_(Measurer(catalog, book.identity(), series_)),
        events_(charges.size()),
        totals_(charges.size()) {
    for (size_t i = 0; i < charges.size(); ++i) of_subject_[charges[i].of.subscription->subject].push_back(i);
  }

  absl::StatusOr<std::vector<std::vector<ChargeEvent>>> Read(uint64_t through_sequence) {
    absl::StatusOr<std::vector<SourceRecord>> sources = book_.Sources();
    if (!sources.ok()) return sources.status();
    sources_ = *std::move(sources);
    TOLLBOOK_RETURN_IF_ERROR(FindMappings());
    TOLLBOOK_RETURN_IF_ERROR(FindStretches(through_sequence));
    for (const auto& [source, ranges] : stretches_) TOLLBOOK_RETURN_IF_ERROR(ReadSource(sources_[source], ranges));
    TOLLBOOK_RETURN_IF_ERROR(LeaveOutExceptions());
    TOLLBOOK_RETURN_IF_ERROR(AddUp());
    for (size_t i = 0; i < charges_.size(); ++i) {
      Sort(*charges_[i].of.meter, &events_[i]);
      TOLLBOOK_RETURN_IF_ERROR(Check(charges_[i], i));
    }
    return std::move(events_);
  }

 private:
  // An event as it was read, and the total that it went into.
  struct Taken {
    size_t charge;
    ChargeEvent event;
    ChargeUsage::Place place;
  };
  using LinePart = std::tuple<uint32_t, uint64_t, uint32_t>;  // source, line, event of the line

  // A source may have been absorbed under an earlier catalog than the one that rates it: all of the book's that map
  // files are tried, its own first.
  absl::Status FindMappings() {
    TOLLBOOK_RETURN_IF_ERROR(AddMappings(catalog_.files()));
    const absl::StatusOr<std::vector<SealRecord>> seals = book_.Seals();
    if (!seals.ok()) return seals.status();
    std::set<std::string> digests = {catalog_.digest};
    for (const SealRecord& seal : *seals) {
      if (!digests.insert(seal.catalog_digest).second) continue;
      const absl::StatusOr<std::map<std::string, std::string>> files = book_.CatalogFiles(seal.catalog_digest);
      if (!files.ok()) return files.status();
      TOLLBOOK_RETURN_IF_ERROR(AddMappings(*files));
    }
    return absl::OkStatus();
  }

  absl::Status AddMappings(const std::map<std::string, std::string>& files) {
    const auto text = files.find(std::string(kSourcesFile));
    if (text == files.end() && !mappings_.empty()) return absl::OkStatus();
    mappings_.push_back(ParseMappings(text == files.end() ? std::string_view() : text->second).mappings);
    return absl::OkStatus();
  }

  absl::Status FindStretches(uint64_t through_sequence) {
    const absl::StatusOr<std::vector<CommitRecord>> commits = book_.Commits();
    if (!commits.ok()) return commits.status();
    std::set<uint64_t> wanted;
    for (const ChargeUsage& charge : charges_) wanted.insert(charge.commits.begin(), charge.commits.end());
    // Held lines that a retry took in were read by any commit before it.
    uint64_t before_retry = 0;
    for (const CommitRecord& commit : *commits) {
      if (wanted.contains(commit.sequence) && commit.retires_held) before_retry = commit.sequence;
    }
    for (const CommitRecord& commit : *commits) {
      if (commit.sequence > through_sequence) continue;
      if (!wanted.contains(commit.sequence) && commit.sequence >= before_retry) continue;
      for (const CoveredRange& range : commit.covered) {
        stretches_[range.source].push_back({range.first_line, range.end_line});
      }
    }
    for (auto& [source, ranges] : stretches_) Unite(&ranges);
    return absl::OkStatus();
  }

  // As it was read when it was absorbed.
  absl::StatusOr<InputFile> FindFile(const SourceRecord& source) {
    if (source.path == "-") return WasAPipe(source.path);
    absl::Status why = IsGone(source.path);
    for (const std::vector<SourceMapping>& mappings : mappings_) {
      const absl::StatusOr<InputList> found = FindInputs({source.path}, mappings);
      if (!found.ok()) return IsGone(source.path);
      if (found->files.empty() && !found->left_out.empty()) {
        why = CannotReadAgain("a source of the usage cannot be read", source.path, found->left_out.front().why);
        continue;
      }
      if (found->files.size() != 1 || found->files.front().path != source.path) continue;
      const InputFile& file = found->files.front();
      if (!file.regular) return WasAPipe(source.path);
      if (ReadingOf(file) == source.reading) return file;
      why = IsReadOtherwise(source.path);
    }
    return why;
  }

  static absl::StatusOr<std::unique_ptr<BlockReader>> Open(const InputFile& file) {
    ReaderOptions options;
    options.count_rows = file.mapping != nullptr && NeedsRows(*file.mapping);
    return BlockReader::Open(file, options);
  }

  absl::Status CheckContent(const InputFile& file, const SourceRecord& source) {
    const absl::StatusOr<std::unique_ptr<BlockReader>> reader = Open(file);
    if (!reader.ok()) return reader.status();
    const absl::StatusOr<bool> same =
        (*reader)->SkipTo({source.offset, source.rows, source.digest[0], source.digest[1]});
    if (!same.ok()) return same.status();
    return *same ? absl::OkStatus() : WasChanged(source.path);
  }

  absl::Status ReadSource(const SourceRecord& source, const std::vector<LineRange>& ranges) {
    const absl::StatusOr<InputFile> file = FindFile(source);
    if (!file.ok()) return file.status();
    TOLLBOOK_RETURN_IF_ERROR(CheckContent(*file, source));
    const absl::StatusOr<std::unique_ptr<BlockReader>> reader = Open(*file);
    if (!reader.ok()) return reader.status();
    std::unique_ptr<Decoder> decoder = MakeJsonDecoder();
    if (file->format == InputFormat::kCsv) {
      absl::StatusOr<std::unique_ptr<Decoder>> csv = MakeCsvDecoder(*file->mapping, (*reader)->header(), file->name);
      if (!csv.ok()) return csv.status();
      decoder = *std::move(csv);
    }
    return ReadBlocks(source, ranges, file->format == InputFormat::kCsv ? 2 : 1, **reader, *decoder);
  }

  absl::Status ReadBlocks(const SourceRecord& source, const std::vector<LineRange>& ranges, uint64_t first_line,
                          BlockReader& reader, Decoder& decoder) {
    for (Block block; first_line < ranges.back().end;) {
      BlockWork work;
      work.block = std::move(block);
      const absl::StatusOr<bool> more = reader.Next(&work.block);
      if (!more.ok()) return more.status();
      if (!*more) return absl::OkStatus();
      const uint64_t lines = LinesOf(work.block);
      if (Overlap(ranges, first_line, first_line + lines)) {
        blocks_.Decode(decoder, &work);
        Take(source, ranges, first_line, work, decoder);
      }
      first_line += lines;
      block = std::move(work.block);
    }
    return absl::OkStatus();
  }

  void Take(const SourceRecord& source, const std::vector<LineRange>& ranges, uint64_t first_line,
            const BlockWork& work, Decoder& decoder) {
    for (const Measurement& measured : work.measurements) {
      const auto charges = of_subject_.find(measured.subject_name());
      if (charges == of_subject_.end()) continue;
      const uint64_t line = first_line + work.places[measured.event].line;
      if (!Overlap(ranges, line, line + 1)) continue;
      for (const size_t charge : charges->second) TakeFor(charge, source, line, measured, work, decoder);
    }
  }

  void TakeFor(size_t number, const SourceRecord& source, uint64_t line, const Measurement& measured,
               const BlockWork& work, Decoder& decoder) {
    const ChargeUsage& charge = charges_[number];
    const Series& series = series_.at(measured.series);
    if (&catalog_.meters[series.meter] != charge.of.meter) return;
    const std::optional<UsagePlace> place = PlaceIn(catalog_, charge.of, measured.bucket, series.dimension_values);
    if (!place || place->day < charge.first || charge.last < place->day) return;
    const TotalForm form = FormOf(*charge.of.meter);
    const UsageTotal delta{measured.value, 1, HasTime(form) ? measured.time : Instant()};
    ChargeEvent event;
    event.book_source = source.id;
    event.line = line;
    event.part = work.places[measured.event].part;
    event.time = measured.time;
    event.usage = PartTotalOf(charge.of, *place, measured.bucket, series.dimension_values, delta);
    Name(*charge.of.meter, measured, work, decoder, &event);
    taken_[{source.id, line, event.part}].push_back(
        {number, std::move(event), PlaceAt(series.dimension_values, measured.bucket, delta, form)});
  }

  // What totals have no need of: the line is decoded once more, and this time whole.
  void Name(const Meter& meter, const Measurement& measured, const BlockWork& work, Decoder& decoder,
            ChargeEvent* event) {
    const EventPlace& place = work.places[measured.event];
    const uint64_t row = work.block.first_row == 0 ? 0 : work.block.first_row + place.line;
    line_arena_.Clear();
    decoded_.clear();
    decoder.Decode({work.block.data + place.offset, place.bytes}, row, line_arena_, decoded_);
    TOLLBOOK_ASSERT(place.part < decoded_.size());  // it was measured
    const UsageEvent& whole = decoded_[place.part].event;
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

  // What was not accepted when it was absorbed is none of the usage, whatever it looks like now.
  absl::Status LeaveOutExceptions() {
    return book_.ForEachExceptions([&](const StoredExceptions& chunk) {
      const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
      if (!records.ok()) return records.status();
      for (const ExceptionRecord& record : *records) taken_.erase({record.source, record.line, record.part});
      return absl::OkStatus();
    });
  }

  absl::Status AddUp() {
    for (auto& [place, of_line] : taken_) {
      for (Taken& taken : of_line) {
        const Meter& meter = *charges_[taken.charge].of.meter;
        const UsageTotal& delta = taken.event.usage.total;
        const auto [total, is_first] = totals_[taken.charge].try_emplace(std::move(taken.place), delta);
        const bool fits = is_first || (IsOfElements(FormOf(meter)) ? MergeElement(delta, &total->second)
                                                                   : Merge(meter.aggregation, delta, &total->second));
        if (!fits) {
          return MakeError(absl::StatusCode::kOutOfRange, "a usage total leaves its range",
                           charges_[taken.charge].of.subscription->subject, "see `tollbook charges`");
        }
        events_[taken.charge].push_back(std::move(taken.event));
      }
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
      return std::tie(a.source, a.id, a.book_source, a.line, a.part) <
             std::tie(b.source, b.id, b.book_source, b.line, b.part);
    });
  }

  absl::Status Check(const ChargeUsage& charge, size_t number) const {
    if (totals_[number] == charge.totals) return absl::OkStatus();
    uint64_t in_book = 0;
    for (const auto& [place, total] : charge.totals) in_book += total.events;
    return MakeError(
        absl::StatusCode::kFailedPrecondition, "the events read again do not come to the usage in the book",
        std::string(charge.of.subscription->id) + " " + charge.of.charge->name + ", where " +
            std::to_string(events_[number].size()) + " were found for " + std::to_string(in_book),
        "leave out --events; usage that was corrected, that was held and taken in after the line was booked, or "
        "that was read under another catalog may not be found again");
  }

  const Book& book_;
  const Catalog& catalog_;
  const std::span<const ChargeUsage> charges_;
  std::unordered_map<std::string_view, std::vector<size_t>> of_subject_;
  std::vector<SourceRecord> sources_;                     // by id
  std::vector<std::vector<SourceMapping>> mappings_;      // of each catalog that has other ones
  std::map<uint32_t, std::vector<LineRange>> stretches_;  // of each source
  SeriesTable series_;
  BlockDecoder blocks_;
  Arena line_arena_;
  std::vector<DecodedEvent> decoded_;
  std::map<LinePart, std::vector<Taken>> taken_;
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

ChargeUsage UsageOf(const Catalog& catalog, const RatedCharge& rated, std::span<const SubjectTotal> totals, Day first,
                    Day last) {
  ChargeUsage usage;
  usage.of = {rated.subscription, rated.charge, rated.meter};
  usage.period = rated.period;
  usage.is_by_day = CarriesOver(*rated.meter) || !rated.amended.empty();
  if (rated.charge->minimum) usage.minimum_share = rated.bound_share();
  usage.first = first;
  usage.last = last;
  const TotalForm form = FormOf(*rated.meter);
  for (const SubjectTotal& total : totals) {
    if (total.meter != rated.meter) continue;
    const std::optional<UsagePlace> place = PlaceIn(catalog, usage.of, total.bucket, total.dimension_values);
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
    return has_times ? CompareElements(a.total, b.total) < 0 : a.time < b.time;
  });
  return usage;
}

absl::StatusOr<std::vector<std::vector<ChargeEvent>>> ReadChargeEvents(const Book& book, const Catalog& catalog,
                                                                       std::span<const ChargeUsage> charges,
                                                                       uint64_t through_sequence) {
  return EventReader(book, catalog, charges).Read(through_sequence);
}

}  // namespace tollbook
