// ReferenceRater: the twin of rating/. Slow, plain, and meant to be read beside the rules: big rationals, every day
// added up again from nothing. It shares the plain structs with rating/ and none of its functions, so that the two can
// only agree by both being right.
#ifndef TOLLBOOK_TESTS_RATING_REFERENCE_RATER_H_
#define TOLLBOOK_TESTS_RATING_REFERENCE_RATER_H_

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/civil_time.h"
#include "rating/rate.h"

namespace tollbook::reference {

using Integer = boost::multiprecision::cpp_int;
using Rational = boost::multiprecision::cpp_rational;

Rational Exact(Quantity quantity);
Rational Exact(Price price);
Rational Exact(const Worth& worth);

// Usage that is priced alone: by bucket, then by cell or limited value (its name here; of a cell its number).
struct Event {
  int64_t day = 0;
  int64_t nanos = 0;  // since 1970 in UTC
  Rational value;
  Rational prorated = 0;  // where the meter has it
  friend bool operator<(const Event& a, const Event& b) {
    return std::tie(a.day, a.nanos, a.value, a.prorated) < std::tie(b.day, b.nanos, b.value, b.prorated);
  }
};
struct Part {
  Rational quantity;
  Rational events = 0;
  std::vector<Event> each;  // where the meter keeps them
};
using Parts = std::map<std::string, Part>;                     // of one bucket
using Buckets = std::map<std::pair<int64_t, int64_t>, Parts>;  // by day and hour; one without per_bucket
// `paid`: units that grants paid, of a charge that they can pay for.
Rational WorthOf(const Charge& charge, const Buckets& usage, bool complete, const Zone& zone,
                 const Rational& minimum_share = 1, const Rational& paid = 0);

// Of a complete period's quantity alone.
Rational WorthOf(const Charge& charge, const Rational& quantity);
Integer InMinorUnits(const Rational& worth, int minor_digits, Rounding rounding);

struct WorthToDate {
  Rational quantity;
  Rational worth;
  Integer booked;  // minor units
  uint64_t events = 0;
};

struct Line {
  std::string subscription, plan, charge, from;  // the first day of the billing period: "2025-01-01"
  int64_t last = 0;                              // its last one, since 1970-01-01
  friend auto operator<=>(const Line&, const Line&) = default;
};
// That of the charge on a day; and its first day, since 1970-01-01.
Line LineOf(const Catalog& catalog, const Subscription& subscription, const Charge& charge, int64_t day);
int64_t FirstOf(const Line& line);
// The first day of the period around a day, and the one behind its last.
std::pair<absl::CivilDay, absl::CivilDay> PeriodAround(const BillingCycle& cycle, int64_t day);

// What a day of a line changes of what came due on a day, in the billing period of its plan, a line without plan and
// charge. What is credited comes off the amount that came due last before it; a bound's line is of its own period.
struct PartDue {
  Line period;
  int64_t due = 0, day = 0;
  Integer minor;
};
std::vector<PartDue> PartsOf(const Catalog& catalog, const Line& line, const std::map<int64_t, WorthToDate>& days);

struct Unrated {
  UnratedUsage::Why why;
  std::string meter, subscription;  // no subscription when unattributed
  int64_t day;
  friend auto operator<=>(const Unrated&, const Unrated&) = default;
};

struct Subject {
  std::map<Line, std::map<int64_t, WorthToDate>> lines;  // by day since 1970-01-01
  std::map<Unrated, uint64_t> unrated;                   // events
};
// What is due by the calendar alone is in it up to `through`, or without it up to `carried_through`.
Subject Rate(const Catalog& catalog, const std::string& subject, const std::vector<SubjectTotal>& totals,
             std::optional<Day> through, std::optional<Day> carried_through = std::nullopt);

}  // namespace tollbook::reference

#endif  // TOLLBOOK_TESTS_RATING_REFERENCE_RATER_H_
