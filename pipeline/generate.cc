#include "pipeline/generate.h"

#include <memory>
#include <string>
#include <vector>

#include "pipeline/generate_line.h"

namespace tollbook {
namespace {

using generate::Damage;
using generate::Event;
using generate::Layout;
using generate::LineWriter;
using generate::MeterKind;

constexpr int64_t kDayMs = 86'400'000;
constexpr uint32_t kMillion = 1'000'000;
constexpr uint32_t kUnknownSubjects = 20;
constexpr uint32_t kSubscriptionsMax = 20'000'000;  // the law and the catalog are in memory: 3 GB at this
constexpr uint64_t kLinesMax = 1'000'000'000'000;   // above it is a negative number that wrapped, or a mistake
constexpr size_t kBufferBytes = 1 << 20;            // stays in the second cache while it is written and handed on

// SplitMix64's finisher (Steele, Lea and Flood, 2014): a bijection, so different numbers give different ids.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}
constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;

// The random numbers of one line. Every line has a stream of its own, so lines can be made in any order.
class Draws {
 public:
  Draws(uint64_t seed, uint64_t line) : state_(Mix(seed + line * kGolden)) {}
  uint64_t Next() { return Mix(state_ += kGolden); }
  uint32_t Below(uint32_t limit) { return Scale(static_cast<uint32_t>(Next() >> 32), limit); }
  // 32 random bits to [0, limit): multiply and keep the upper half.
  static uint32_t Scale(uint32_t bits, uint32_t limit) {
    return static_cast<uint32_t>((static_cast<uint64_t>(bits) * limit) >> 32);
  }

 private:
  uint64_t state_;
};

// A number from a Zipf law with exponent 1 in constant time: Walker's alias method with whole-number weights, so that
// it is the same on every machine.
class Zipf {
 public:
  explicit Zipf(uint32_t count) : slots_(count) {
    std::vector<uint64_t> left(count);  // weight * count, against the mean `total`
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; ++i) total += kUnit / (i + 1);
    for (uint32_t i = 0; i < count; ++i) left[i] = kUnit / (i + 1) * count;
    std::vector<uint32_t> small, large;
    for (uint32_t i = 0; i < count; ++i) (left[i] < total ? small : large).push_back(i);
    while (!small.empty() && !large.empty()) {
      const uint32_t poor = small.back();
      const uint32_t rich = large.back();
      small.pop_back();
      slots_[poor] = {static_cast<uint32_t>((static_cast<unsigned __int128>(left[poor]) << 32) / total), rich};
      left[rich] -= total - left[poor];
      if (left[rich] < total) {
        large.pop_back();
        small.push_back(rich);
      }
    }
    for (const std::vector<uint32_t>* rest : {&small, &large}) {
      for (uint32_t i : *rest) slots_[i] = {~uint32_t{0}, i};
    }
  }

  uint32_t Draw(uint64_t bits) const {
    const uint32_t slot = Draws::Scale(static_cast<uint32_t>(bits >> 32), static_cast<uint32_t>(slots_.size()));
    return static_cast<uint32_t>(bits) < slots_[slot].own_below ? slot : slots_[slot].other;
  }

 private:
  static constexpr uint64_t kUnit = uint64_t{1} << 36;
  struct Slot {
    uint32_t own_below = 0;
    uint32_t other = 0;
  };
  std::vector<Slot> slots_;
};

enum class LineKind : uint8_t {
  kFresh,
  kLate,
  kUnknownSubscription,
  kUnknownMeter,
  kMalformed,
  kRedelivered,
  kConflict
};

bool IsAccepted(LineKind kind) {
  return kind == LineKind::kFresh || kind == LineKind::kLate || kind == LineKind::kUnknownSubscription;
}

// How the lines are shared out: thresholds over 32 random bits, in this order.
class Shares {
 public:
  explicit Shares(const GenerateOptions& options) {
    const std::pair<uint32_t, LineKind> shares[] = {
        {options.redelivered_per_million, LineKind::kRedelivered},
        {options.late_per_million, LineKind::kLate},
        {options.unknown_subscription_per_million, LineKind::kUnknownSubscription},
        {options.malformed_per_million, LineKind::kMalformed},
        {options.unknown_meter_per_million, LineKind::kUnknownMeter},
        {options.conflict_per_million, LineKind::kConflict},
    };
    uint64_t per_million = 0;
    for (size_t i = 0; i < std::size(shares); ++i) {
      per_million += shares[i].first;
      below_[i] = {(per_million << 32) / kMillion, shares[i].second};
    }
  }
  LineKind KindOf(uint32_t bits) const {
    if (bits >= below_.back().first) return LineKind::kFresh;
    for (const auto& [limit, kind] : below_) {
      if (bits < limit) return kind;
    }
    return LineKind::kFresh;
  }

 private:
  std::array<std::pair<uint64_t, LineKind>, 6> below_;
};

struct MeterShare {
  uint32_t below;  // of 1024
  MeterKind meter;
};
constexpr MeterShare kMeterShares[] = {
    {400, MeterKind::kTokens},   {720, MeterKind::kCalls},     {800, MeterKind::kStorage}, {880, MeterKind::kCompute},
    {950, MeterKind::kTransfer}, {1000, MeterKind::kMessages}, {1012, MeterKind::kSeats},  {1024, MeterKind::kDevices},
};

struct MeterTable {
  MeterKind of[1024] = {};
  constexpr MeterTable() {
    uint32_t from = 0;
    for (const MeterShare& share : kMeterShares) {
      for (; from < share.below; ++from) of[from] = share.meter;
    }
  }
};
constexpr MeterTable kMeterTable;

// Many small values and few large ones: a uniform number cut to a random width.
uint64_t Skewed(uint32_t bits, uint32_t limit) {
  const uint32_t width = bits & 3;
  return 1 + Draws::Scale(bits, limit >> (2 * width));
}

uint64_t ValueOf(MeterKind meter, uint32_t bits) {
  switch (meter) {
    case MeterKind::kTokens:
      return Skewed(bits, 32'000);
    case MeterKind::kCalls:
      return 0;
    case MeterKind::kStorage:
      return Skewed(bits, 400) * 125;  // eighths of a GB hour
    case MeterKind::kCompute:
      return Skewed(bits, 900'000);
    case MeterKind::kTransfer:
      return Skewed(bits, 8'000'000);
    case MeterKind::kMessages:
      return Skewed(bits, 2'000);
    case MeterKind::kSeats:
      return 1 + Draws::Scale(bits, 250);
    case MeterKind::kDevices:
      return 1 + Draws::Scale(bits, 5'000);
    case MeterKind::kUnknown:
      return Skewed(bits, 64);
  }
  return 0;
}

class Generator {
 public:
  explicit Generator(const GenerateOptions& options)
      : options_(options),
        seed_(Mix(options.seed + kGolden)),
        shares_(options),
        zipf_(options.subscriptions),
        start_ms_(options.first_day.number * kDayMs),
        end_ms_(start_ms_ + options.days * kDayMs),
        step_((static_cast<unsigned __int128>(end_ms_ - start_ms_) << 32) / (options.events == 0 ? 1 : options.events)),
        writer_(EarliestDay(), options.days + options.first_day.number - EarliestDay().number) {
    for (int i = 0; i < kGeneratedMeters; ++i) report_.accepted_by_meter[i].meter = generate::kMeterNames[i];
  }

  absl::StatusOr<GenerateReport> Run(const GenerateSink& sink) {
    const auto buffer = std::make_unique_for_overwrite<char[]>(kBufferBytes + generate::kLineBytesMax);
    char* at = buffer.get();
    for (uint64_t line = 0; line < options_.events; ++line) {
      at = WriteLine(line, at);
      if (at >= buffer.get() + kBufferBytes) {
        TOLLBOOK_RETURN_IF_ERROR(HandOn(sink, {buffer.get(), at}));
        at = buffer.get();
      }
    }
    if (at != buffer.get()) TOLLBOOK_RETURN_IF_ERROR(HandOn(sink, {buffer.get(), at}));
    report_.lines = options_.events;
    return report_;
  }

 private:
  // Late events are dated in the month before, however the range starts.
  Day EarliestDay() const { return FirstOfMonth(Day{FirstOfMonth(options_.first_day).number - 1}); }

  absl::Status HandOn(const GenerateSink& sink, std::string_view lines) {
    report_.bytes += lines.size();
    return sink(lines);
  }

  // The first line is always a fresh event, so that a redelivery has something to repeat.
  LineKind KindOf(uint64_t line, Draws* draws) const {
    const LineKind kind = shares_.KindOf(static_cast<uint32_t>(draws->Next() >> 32));
    return line == 0 ? LineKind::kFresh : kind;
  }

  char* WriteLine(uint64_t line, char* at) {
    Draws draws(seed_, line);
    const LineKind kind = KindOf(line, &draws);
    switch (kind) {
      case LineKind::kFresh:
      case LineKind::kLate:
      case LineKind::kUnknownSubscription:
        return WriteAccepted(MakeEvent(line, kind, &draws), kind, at);
      case LineKind::kUnknownMeter:
        ++report_.held;
        return writer_.Write(MakeEvent(line, kind, &draws), Layout::kPlain, at);
      case LineKind::kMalformed:
        return WriteMalformed(line, &draws, at);
      case LineKind::kRedelivered:
        return WriteRedelivered(line, &draws, at);
      case LineKind::kConflict:
        return WriteConflict(line, &draws, at);
    }
    return at;
  }

  char* WriteAccepted(const Event& event, LineKind kind, char* at) {
    ++report_.accepted;
    report_.late += kind == LineKind::kLate;
    report_.unattributed += kind == LineKind::kUnknownSubscription;
    GenerateReport::MeterUsage& usage = report_.accepted_by_meter[static_cast<size_t>(event.meter)];
    ++usage.events;
    if (generate::Summed(event.meter)) {
      constexpr uint64_t kToMicros[] = {1'000'000, 0, 0, 1'000, 0, 0, 1};
      usage.micros += event.value * kToMicros[generate::DecimalsOf(event.meter)];
    }
    return writer_.Write(event, Layout::kPlain, at);
  }

  char* WriteMalformed(uint64_t line, Draws* draws, char* at) {
    const Event event = MakeEvent(line, LineKind::kMalformed, draws);
    const int kinds = generate::HasValue(event.meter) ? generate::kDamages : generate::kDamagesWithoutValue;
    const auto damage = static_cast<Damage>(draws->Below(kinds));
    ++report_.rejected;
    ++report_.rejected_by_reason[static_cast<size_t>(generate::ReasonOf(damage))];
    return writer_.WriteDamaged(event, damage, draws->Next() >> 1, at);
  }

  char* WriteRedelivered(uint64_t line, Draws* draws, char* at) {
    const Event event = EarlierEvent(line, draws);
    const uint32_t bits = draws->Below(16);
    const Layout layout = bits < 4 ? static_cast<Layout>(bits) : Layout::kPlain;
    ++report_.duplicate;
    report_.rewritten += layout != Layout::kPlain;
    return writer_.Write(event, layout, at);
  }

  char* WriteConflict(uint64_t line, Draws* draws, char* at) {
    Event event = EarlierEvent(line, draws);
    if (generate::HasValue(event.meter) && draws->Below(2) == 0) {
      event.value += 1 + draws->Below(100);
    } else {
      // Later, unless that leaves the range that dates are written for.
      event.time_ms += event.time_ms + 1'000 < end_ms_ ? 1'000 : -1'000;
    }
    ++report_.conflict;
    return writer_.Write(event, Layout::kPlain, at);
  }

  // Half of what comes twice comes within a thousand lines (a retry), half anywhere in the window (a replayed file).
  Event EarlierEvent(uint64_t line, Draws* draws) const {
    const uint64_t window = std::min(line, options_.redelivered_lines_max);
    const uint64_t near = std::min<uint64_t>(window, 1'000);
    const uint64_t bits = draws->Next();
    uint64_t earlier = line - 1 - (bits >> 1) % ((bits & 1) != 0 ? near : window);
    while (true) {
      Draws its_draws(seed_, earlier);
      const LineKind kind = KindOf(earlier, &its_draws);
      if (IsAccepted(kind)) return MakeEvent(earlier, kind, &its_draws);
      --earlier;  // ends at line 0
    }
  }

  Event MakeEvent(uint64_t line, LineKind kind, Draws* draws) const {
    const uint64_t bits = draws->Next();
    Event event;
    event.meter = kind == LineKind::kUnknownMeter ? MeterKind::kUnknown : kMeterTable.of[bits & 1023];
    event.kind = (bits >> 10) & 3;
    event.gateway = (bits >> 12) & 15;
    event.extra = (bits >> 16) & 0xffff;
    event.value = ValueOf(event.meter, static_cast<uint32_t>(bits >> 32));
    event.id = Mix(seed_ ^ line);
    event.request = draws->Next();
    event.subject =
        1 + (kind == LineKind::kUnknownSubscription ? options_.subscriptions + draws->Below(kUnknownSubjects)
                                                    : zipf_.Draw(draws->Next()));
    // Most of a customer's usage is where the customer is.
    event.region = (bits & (7 << 16)) != 0 ? event.subject & 3 : (bits >> 20) & 3;
    event.time_ms = TimeOf(line, kind, draws->Next());
    return event;
  }

  // In line order but for a delay of up to half a minute, and up to an hour for one line in 64.
  int64_t TimeOf(uint64_t line, LineKind kind, uint64_t bits) const {
    const auto on_time = static_cast<int64_t>((static_cast<unsigned __int128>(line) * step_) >> 32);
    const uint32_t delay_ms_max = (bits & 63) == 0 ? 3'600'000 : 30'000;
    const uint32_t delay_ms = Draws::Scale(static_cast<uint32_t>(bits >> 32), delay_ms_max);
    const int64_t time_ms = std::max(start_ms_, start_ms_ + on_time - delay_ms);
    if (kind != LineKind::kLate) return time_ms;
    const Day month = FirstOfMonth(Day{static_cast<int32_t>(time_ms / kDayMs)});
    const Day before = FirstOfMonth(Day{month.number - 1});
    const uint64_t range_ms = static_cast<uint64_t>(month.number - before.number) * kDayMs;
    return before.number * kDayMs + static_cast<int64_t>((bits >> 6) % range_ms);
  }

  const GenerateOptions options_;
  const uint64_t seed_;
  const Shares shares_;
  const Zipf zipf_;
  const int64_t start_ms_;
  const int64_t end_ms_;
  const unsigned __int128 step_;  // milliseconds from line to line, in 2^-32
  const LineWriter writer_;
  GenerateReport report_;
};

absl::Status OutOfRange(std::string_view what, std::string_view what_to_do) {
  return MakeError(absl::StatusCode::kInvalidArgument, "telemetry cannot be generated", what, what_to_do);
}

}  // namespace

absl::Status CheckGenerateOptions(const GenerateOptions& options) {
  if (options.subscriptions < 1 || options.subscriptions > kSubscriptionsMax) {
    return OutOfRange(std::to_string(options.subscriptions) + " subscriptions", "give 1 to 20000000");
  }
  if (options.events > kLinesMax) return OutOfRange(std::to_string(options.events) + " events", "give at most 1000 G");
  if (options.days < 1 || options.days > 3660)
    return OutOfRange(std::to_string(options.days) + " days", "give 1 to 3660");
  // 1971-01-01 to 2250-12-31: the month before and the days after are still dates that a book accepts.
  if (options.first_day.number < 365 || options.first_day.number > 102'636) {
    return OutOfRange("the first day", "give a date from 1971 to 2250");
  }
  if (options.redelivered_lines_max < 1) return OutOfRange("a redelivery window of 0 lines", "give at least 1");
  const uint64_t shares = uint64_t{options.redelivered_per_million} + options.conflict_per_million +
                          options.malformed_per_million + options.late_per_million +
                          options.unknown_subscription_per_million + options.unknown_meter_per_million;
  if (shares > kMillion) {
    return OutOfRange("shares of " + std::to_string(shares) + " per million", "let them add up to at most 1000000");
  }
  return absl::OkStatus();
}

absl::StatusOr<GenerateReport> GenerateEvents(const GenerateOptions& options, const GenerateSink& sink) {
  TOLLBOOK_RETURN_IF_ERROR(CheckGenerateOptions(options));
  return Generator(options).Run(sink);
}

}  // namespace tollbook
