#include "pipeline/change_period.h"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>

#include "ledger/decision.h"
#include "ledger/outbox.h"
#include "ledger/unsettled.h"
#include "pipeline/booked_places.h"
#include "pipeline/charges.h"
#include "pipeline/posting_periods.h"
#include "pipeline/subject_worth.h"
#include "pipeline/verify.h"
#include "rating/catalog_errors.h"
#include "rating/error.h"
#include "rating/permissions.h"

namespace tollbook {
namespace {

constexpr std::string_view kRejectedLines = "rejected", kConflictLines = "conflict";
constexpr std::string_view kUncertain = "uncertain", kDifferentThere = "different";
constexpr std::array<std::string_view, 8> kWaivable = {"held",         "rejected", "conflict",  "unmapped",
                                                       "unattributed", "unpriced", "not_rated", "unapproved"};

std::string Counted(uint64_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

bool IsWaivable(std::string_view kind) {
  return std::find(kWaivable.begin(), kWaivable.end(), kind) != kWaivable.end();
}

// What all subjects bring to the question whether a period can be closed.
class Findings {
 public:
  Findings(const Catalog& catalog, const PostingPeriods& periods, std::string_view entity,
           const AccountingPeriod& period)
      : catalog_(catalog), periods_(periods), entity_(entity), period_(period) {}

  absl::Status Add(const SubjectWorth& worth) {
    if (!worth.status.ok()) {
      const std::lock_guard lock(mutex_);
      ++not_rated_;
      return absl::OkStatus();
    }
    std::vector<BookedAmount> differences;
    LessBooked(worth.due, worth.booked, period_.last, &differences);
    std::vector<BookedAmount> unmapped;
    if (worth.has_unmapped) TakeUnmapped(&differences, &unmapped);
    const std::lock_guard lock(mutex_);
    for (const BookedAmount& difference : unmapped) {
      if (difference.key.place->entity == entity_) TOLLBOOK_RETURN_IF_ERROR(AddTo(difference, &unmapped_));
    }
    for (const BookedAmount& difference : differences) {
      if (difference.key.place->entity == entity_) TOLLBOOK_RETURN_IF_ERROR(AddDifference(difference));
    }
    std::map<std::pair<std::string_view, Day>, uint64_t> unattributed;  // an event counts once, as in a seal
    for (const UnratedUsage& usage : worth.rated.unrated) {
      if (usage.usage_date < period_.first || period_.last < usage.usage_date) continue;
      if (usage.why == UnratedUsage::Why::kUnattributed) {
        uint64_t& events = unattributed[{usage.meter->event_type, usage.usage_date}];
        events = std::max(events, usage.events);
      } else if (usage.why == UnratedUsage::Why::kUnpriced && EntityOf(*usage.subscription) == entity_) {
        unpriced_ += usage.events;
      }
    }
    for (const auto& [place, events] : unattributed) unattributed_ += events;
    return absl::OkStatus();
  }

  void AppendTo(std::vector<CloseObstacle>* obstacles) const {
    const std::string through = ToString(period_.last);
    for (const auto& [currency, sum] : unsealed_) {
      obstacles->push_back({"unsealed", sum.second.differences, ToString(sum.second, sum.first),
                            "seal them with `tollbook seal --through " + through + "`", false});
    }
    for (const auto& [currency, sum] : soft_closed_) {
      obstacles->push_back({"soft_closed", sum.second.differences, ToString(sum.second, sum.first),
                            "book them with `tollbook seal --through " + through +
                                " --adjust --by NAME --why TEXT`, or open the period again",
                            false});
    }
    for (const auto& [currency, sum] : unmapped_) {
      obstacles->push_back({"unmapped", sum.second.differences, ToString(sum.second, sum.first),
                            "see `tollbook exceptions --reason unmapped`, add posting rules and seal", true});
    }
    if (unattributed_ > 0) {
      obstacles->push_back(
          {"unattributed", unattributed_,
           Counted(unattributed_, "event of the period has", "events of the period have") + " no subscription",
           "see `tollbook exceptions --reason unattributed`, bring their subscriptions and seal", true});
    }
    if (unpriced_ > 0) {
      obstacles->push_back({"unpriced", unpriced_,
                            Counted(unpriced_, "event of the period has", "events of the period have") + " no charge",
                            "see `tollbook exceptions --reason unpriced`, add the charges and seal", true});
    }
    if (not_rated_ > 0) {
      obstacles->push_back({"not_rated", not_rated_,
                            Counted(not_rated_, "subject is", "subjects are") + " worth more than can be held",
                            "see `tollbook exceptions --reason out_of_range`", true});
    }
  }

 private:
  using Sums = std::map<std::string, std::pair<Currency, LineSum>>;  // by currency code

  std::string_view EntityOf(const Subscription& subscription) const {
    return catalog_.entities[subscription.entity].name;
  }

  absl::Status AddDifference(const BookedAmount& difference) {
    const PostingPlace place = periods_.PlaceOf(entity_, difference.key.usage_date);
    const bool of_this_period = place.period.first == period_.first;
    if (place.waits && !(place.state == PeriodState::kSoftClosed && of_this_period)) return absl::OkStatus();
    return AddTo(difference, place.waits ? &soft_closed_ : &unsealed_);
  }

  absl::Status AddTo(const BookedAmount& difference, Sums* sums) {
    const Currency currency = difference.key.place->currency;
    auto& [of, sum] = (*sums)[std::string(currency.code())];
    of = currency;
    if (!sum.Add(WorthAt(*difference.key.place, difference.minor))) {
      return MakeError(absl::StatusCode::kOutOfRange, "what is not sealed is too large to be added up",
                       std::string(entity_) + " " + period_.name, "check the prices");
    }
    ++sum.differences;
    return absl::OkStatus();
  }

  const Catalog& catalog_;
  const PostingPeriods& periods_;
  const std::string_view entity_;
  const AccountingPeriod& period_;
  std::mutex mutex_;  // guards what follows
  Sums unsealed_, soft_closed_, unmapped_;
  uint64_t unattributed_ = 0, unpriced_ = 0, not_rated_ = 0;
};

// The counts of the book only grow, so what came since a close is what it has more.
absl::Status AddNotAccepted(const Book& book, std::string_view entity, std::vector<CloseObstacle>* obstacles) {
  LineCounts now = book.counts();
  if (now.rejected == 0 && now.conflict == 0) return absl::OkStatus();
  const absl::StatusOr<WaivedLines> waived = WaivedLinesOf(book, entity);
  if (!waived.ok()) return waived.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  const auto since = [&](uint64_t commit, Outcome outcome) {
    TOLLBOOK_ASSERT(commit <= commits->size());
    LineCounts then = commit == 0 ? LineCounts{} : (*commits)[commit - 1].book;
    return now.of(outcome) - then.of(outcome);
  };
  const auto add = [&](std::string_view kind, uint64_t count, std::string_view how, std::string_view remedy) {
    if (count == 0) return;
    const std::string name(entity);
    obstacles->push_back(
        {std::string(kind), count,
         Counted(count, "line is ", "lines are ") + std::string(how) + " and waived by no close of " + name,
         "see `tollbook exceptions --unwaived " + name + "`" + std::string(remedy), true});
  };
  add(kRejectedLines, since(waived->rejected, Outcome::kRejected), "rejected",
      ", and have what was usage sent again, mended");
  add(kConflictLines, since(waived->conflict, Outcome::kConflict), "in conflict",
      ", and have what was meant sent as corrections");
  return absl::OkStatus();
}

absl::Status AddUnreconciled(const Book& book, int threads, std::vector<CloseObstacle>* obstacles) {
  const absl::StatusOr<std::vector<ReconcileRow>> rows = Reconcile(book, threads);
  if (!rows.ok()) return rows.status();
  uint64_t unequal = 0;
  std::string first;
  for (const ReconcileRow& row : *rows) {
    // What is not sealed is told for this entity and up to this day. So is each delivery that a row of what was
    // confirmed is unequal for: as `uncertain` or `different`.
    if (row.equal || row.what.starts_with("worth = booked") || row.what == "sealed = confirmed") continue;
    if (++unequal == 1) first = row.step + ": " + row.what + ": " + row.left + " and " + row.right;
  }
  if (unequal > 0) {
    obstacles->push_back({"unreconciled", unequal,
                          Counted(unequal, "step does not agree, ", "steps do not agree, first ") + first,
                          "see `tollbook reconcile` and `tollbook verify`", false});
  }
  return absl::OkStatus();
}

// By the days of its lines: its name may be that of a calendar that the entity had before.
AccountingPeriod PeriodOfBatch(const PostingPeriods& periods, const JournalBatch& batch) {
  return periods.PeriodOf(batch.entity, batch.lines.empty() ? Day{} : batch.lines.front().key.posting_date);
}

// Batches and reports of one entity, of a period or one before it.
class DueByPeriod {
 public:
  DueByPeriod(const std::vector<JournalBatch>& batches, const PostingPeriods& periods, std::string_view entity,
              const AccountingPeriod& period)
      : periods_(periods), entity_(entity), period_(period) {
    for (const JournalBatch& batch : batches) {
      if (batch.entity == entity && PeriodOfBatch(periods, batch).first <= period.first) batches_.insert(batch.id);
    }
  }

  bool HasBatch(std::string_view id) const { return batches_.contains(id); }
  // A report that is nobody's (lines that were not accepted) is any entity's, and of any period.
  bool Has(const Delivery& delivery) const {
    if (!IsReport(delivery.batch)) return HasBatch(delivery.batch);
    const std::vector<std::string>& entities = delivery.entities;
    const bool is_of_entity = entities.empty() || std::ranges::find(entities, entity_) != entities.end();
    return is_of_entity && FirstDayOf(delivery) <= period_.last;
  }

 private:
  // Reports of usage and of accounts name a month, whatever the entity's calendar.
  Day FirstDayOf(const Delivery& report) const {
    const std::optional<AccountingPeriod> named = periods_.Find(entity_, report.first_period);
    if (named) return named->first;
    return ParseDay(report.first_period + "-01").value_or(period_.first);
  }

  const PostingPeriods& periods_;
  const std::string_view entity_;
  const AccountingPeriod& period_;
  std::set<std::string_view> batches_;
};

// What a person has to find out, or the next pass of `post`: of one target.
struct Unsettled {
  std::string_view kind, target;
  bool is_parked = false;
  friend auto operator<=>(const Unsettled&, const Unsettled&) = default;
};

CloseObstacle ObstacleOf(const Unsettled& of, uint64_t count, const std::string& first) {
  const std::string target(of.target);
  const std::string which = count == 1 ? first + " to " + target : std::to_string(count) + " deliveries to " + target;
  const std::string one = " " + target + " " + first + "`";
  std::string is, mend;
  if (of.kind == kDifferentThere) {
    is = count == 1 ? " is not there as it was sent" : " are not there as they were sent";
    mend = "`tollbook deliveries show" + one + " says why; mend it there and `tollbook deliveries retry" + one +
           ", or say what holds with `tollbook deliveries resolve" + one;
  } else {
    is = " may or may not have arrived";
    mend = of.is_parked
               ? "look whether it is there, and say so with `tollbook deliveries resolve" + one
               : "run `tollbook post`, which asks, or say what is there with `tollbook deliveries resolve" + one;
  }
  return {std::string(of.kind), count, which + is + (count == 1 ? "" : ", first " + first), mend, false};
}

// Batches of the entity that nobody has approved, in the period or before it; deliveries of such, and of reports, of
// which nobody knows whether they arrived, or that are not there as they were sent.
absl::Status AddUndelivered(const Book& book, std::string_view entity, const AccountingPeriod& period,
                            const PostingPeriods& periods, std::vector<CloseObstacle>* obstacles) {
  const auto approvals = Approvals(book);
  if (!approvals.ok()) return approvals.status();
  const absl::StatusOr<std::vector<Delivery>> deliveries = DeliveriesOf(book);
  if (!deliveries.ok()) return deliveries.status();
  if (approvals->empty() && deliveries->empty()) return absl::OkStatus();
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  const DueByPeriod due(*batches, periods, entity, period);
  const auto unapproved = static_cast<uint64_t>(std::ranges::count_if(*approvals, [&](const auto& approval) {
    return due.HasBatch(approval.first) && approval.second.state != kApproved;
  }));
  if (unapproved > 0) {
    obstacles->push_back({"unapproved", unapproved,
                          Counted(unapproved, "batch is", "batches are") + " held for approval",
                          "see `tollbook journals held` and approve them", true});
  }
  std::map<Unsettled, std::vector<const Delivery*>> unsettled;  // in the order of their names
  for (const Delivery& delivery : *deliveries) {
    const bool is_different = IsDifferent(delivery);
    if ((!is_different && !IsUnclear(delivery)) || !due.Has(delivery)) continue;
    const bool is_parked = delivery.state == DeliveryState::kParked;
    unsettled[{is_different ? kDifferentThere : kUncertain, delivery.target, is_parked}].push_back(&delivery);
  }
  for (const auto& [of, those] : unsettled) obstacles->push_back(ObstacleOf(of, those.size(), those.front()->batch));
  return absl::OkStatus();
}

absl::Status CheckOrder(const Catalog& catalog, const PeriodOrder& order) {
  const auto wrong = [](std::string_view what, std::string_view which, std::string_view what_to_do) {
    return MakeError(absl::StatusCode::kInvalidArgument, what, which, what_to_do);
  };
  std::vector<std::string_view> names;
  for (const Entity& entity : catalog.entities) names.push_back(entity.name);
  if (std::find(names.begin(), names.end(), order.entity) == names.end()) {
    return wrong("no such legal entity", "--entity " + order.entity, DidYouMean(order.entity, names));
  }
  if (order.by.empty()) return wrong("nobody is named", "--by", "say who decides it: --by NAME");
  if (order.why.empty()) return wrong("no reason is given", "--why", "say why: --why TEXT");
  for (const std::string& kind : order.waive) {
    if (!IsWaivable(kind)) return wrong("this cannot be waived", "--waive " + kind, DidYouMean(kind, kWaivable));
  }
  return absl::OkStatus();
}

// The newest seal's catalog is what the book is read by where no other is named: a period whose state was changed by
// other days would be one that it does not have.
absl::Status CheckCalendar(const Book& book, const Catalog& catalog, std::string_view entity,
                           const AccountingPeriod& period) {
  const absl::StatusOr<std::vector<SealRecord>> seals = book.Seals();
  if (!seals.ok()) return seals.status();
  if (seals->empty() || seals->back().catalog_digest == catalog.digest) return absl::OkStatus();
  const absl::StatusOr<Catalog> sealed = SealedCatalog(book);
  if (!sealed.ok()) return sealed.status();
  const auto of_seal = std::ranges::find(sealed->entities, entity, &Entity::name);
  if (of_seal == sealed->entities.end()) return absl::OkStatus();  // new
  const AccountingPeriod then = of_seal->fiscal_calendar.PeriodOf(period.first);
  if (then == period) return absl::OkStatus();
  return MakeError(absl::StatusCode::kFailedPrecondition, "the newest seal has another fiscal calendar",
                   std::string(entity) + " " + period.name + ": " + ToString(period.first) + " is of its " + then.name +
                       ", " + ToString(then.first) + " to " + ToString(then.last),
                   "name that period by that catalog, or go on when a seal has booked something by this one");
}

struct Transition {
  std::string_view command;
  std::vector<PeriodState> from;
  PeriodState to;
};

Transition TransitionOf(PeriodAction action) {
  switch (action) {
    case PeriodAction::kOpen:
      return {"open", {PeriodState::kFuture}, PeriodState::kOpen};
    case PeriodAction::kSoftClose:
      return {"soft-close", {PeriodState::kOpen}, PeriodState::kSoftClosed};
    case PeriodAction::kClose:
      return {"close", {PeriodState::kOpen, PeriodState::kSoftClosed}, PeriodState::kClosed};
    case PeriodAction::kReopen:
      break;
  }
  return {"reopen", {PeriodState::kSoftClosed, PeriodState::kClosed}, PeriodState::kOpen};
}

Act ActOf(PeriodAction action) {
  const bool opens = action == PeriodAction::kOpen || action == PeriodAction::kReopen;
  return opens ? Act::kReopen : Act::kClose;
}

std::string_view CommandFrom(PeriodState state) {
  switch (state) {
    case PeriodState::kFuture:
      return "`tollbook periods open` opens it";
    case PeriodState::kOpen:
      return "`tollbook periods soft-close` and `close` close it";
    case PeriodState::kSoftClosed:
      return "`tollbook periods close` closes it, `reopen` opens it again";
    case PeriodState::kClosed:
      break;
  }
  return "`tollbook periods reopen` opens it again";
}

// All that stands in the way and is not waived, one line each.
absl::Status Refusal(const std::string& which, const std::vector<CloseObstacle>& obstacles) {
  std::string text;
  for (const CloseObstacle& obstacle : obstacles) {
    const std::string what = which + " cannot be closed: " + obstacle.kind;
    const std::string waive = obstacle.waivable ? ", or close it with --waive " + obstacle.kind : "";
    const absl::Status one =
        MakeError(absl::StatusCode::kFailedPrecondition, what, obstacle.what, obstacle.mend + waive);
    text.append(text.empty() ? "" : "\n").append(Std(one.message()));
  }
  return absl::FailedPreconditionError(Abs(text));
}

// Takes the waived ones out of `obstacles`.
std::vector<PeriodWaiver> TakeWaived(const std::vector<std::string>& waive, std::vector<CloseObstacle>* obstacles) {
  std::vector<PeriodWaiver> waived;
  std::erase_if(*obstacles, [&](const CloseObstacle& obstacle) {
    if (!obstacle.waivable || std::find(waive.begin(), waive.end(), obstacle.kind) == waive.end()) return false;
    waived.push_back({obstacle.kind, obstacle.count});
    return true;
  });
  return waived;
}

}  // namespace

absl::StatusOr<std::vector<CloseObstacle>> CloseObstacles(const Book& book, const Catalog& catalog,
                                                          std::string_view entity, const AccountingPeriod& period,
                                                          int threads) {
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, catalog);
  if (!periods.ok()) return periods.status();
  Findings findings(catalog, *periods, entity, period);
  const absl::Status visited = VisitSubjects(book, catalog, {.through = period.last}, threads,
                                             [&](int, const SubjectWorth& worth) { return findings.Add(worth); });
  if (!visited.ok()) return visited;
  std::vector<CloseObstacle> obstacles;
  findings.AppendTo(&obstacles);
  if (const uint64_t held = book.counts().held; held > 0) {
    obstacles.push_back({"held", held, Counted(held, "line is", "lines are") + " held, of whatever date",
                         "see `tollbook exceptions`, mend the catalog and run `tollbook exceptions retry`", true});
  }
  TOLLBOOK_RETURN_IF_ERROR(AddNotAccepted(book, entity, &obstacles));
  TOLLBOOK_RETURN_IF_ERROR(AddUndelivered(book, entity, period, *periods, &obstacles));
  TOLLBOOK_RETURN_IF_ERROR(AddUnreconciled(book, threads, &obstacles));
  return obstacles;
}

absl::StatusOr<WaivedLines> WaivedLinesOf(const Book& book, std::string_view entity) {
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges();
  if (!changes.ok()) return changes.status();
  WaivedLines waived;
  for (const PeriodChange& change : *changes) {  // in their order
    if (change.entity != entity) continue;
    for (const PeriodWaiver& waiver : change.waived) {
      if (waiver.kind == kRejectedLines) waived.rejected = change.sequence;
      if (waiver.kind == kConflictLines) waived.conflict = change.sequence;
    }
  }
  return waived;
}

absl::StatusOr<PeriodChange> ChangePeriod(Book& book, const Catalog& catalog, const PeriodOrder& order, int threads) {
  TOLLBOOK_RETURN_IF_ERROR(CheckOrder(catalog, order));
  TOLLBOOK_RETURN_IF_ERROR(CheckPermission(catalog, order.entity, ActOf(order.action), {order.by, order.account}));
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, catalog);
  if (!periods.ok()) return periods.status();
  const std::optional<AccountingPeriod> period = periods->Find(order.entity, order.period);
  if (!period) {
    const AccountingPeriod some = periods->PeriodOf(order.entity, *ParseDay("2025-01-31"));
    return MakeError(absl::StatusCode::kInvalidArgument, "no such accounting period", order.entity + " " + order.period,
                     "write it as " + some.name);
  }
  TOLLBOOK_RETURN_IF_ERROR(CheckCalendar(book, catalog, order.entity, *period));
  const PeriodState before = periods->StateOf(order.entity, *period);
  const Transition step = TransitionOf(order.action);
  if (std::find(step.from.begin(), step.from.end(), before) == step.from.end()) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "an accounting period that is " + std::string(ToString(before)) + " takes no `" +
                         std::string(step.command) + "`",
                     order.entity + " " + period->name, CommandFrom(before));
  }
  PeriodChange change{0, order.entity, *period, before, step.to, order.by, order.why, {}};
  if (step.to == PeriodState::kClosed) {
    absl::StatusOr<std::vector<CloseObstacle>> obstacles =
        CloseObstacles(book, catalog, order.entity, *period, threads);
    if (!obstacles.ok()) return obstacles.status();
    change.waived = TakeWaived(order.waive, &*obstacles);
    if (!obstacles->empty()) return Refusal(order.entity + " " + period->name, *obstacles);
  }
  TOLLBOOK_RETURN_IF_ERROR(book.CommitPeriodChange(change));
  change.sequence = book.last_sequence();
  return change;
}

absl::StatusOr<std::vector<PeriodRow>> Periods(const Book& book, const Catalog& catalog, int threads) {
  const absl::StatusOr<std::vector<PeriodChange>> changes = book.PeriodChanges();
  if (!changes.ok()) return changes.status();
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(catalog, *changes);
  if (!periods.ok()) return periods.status();
  const absl::StatusOr<std::vector<JournalBatch>> batches = book.Batches();
  if (!batches.ok()) return batches.status();
  const absl::StatusOr<std::vector<CommitRecord>> commits = book.Commits();
  if (!commits.ok()) return commits.status();
  const absl::StatusOr<std::vector<WaitingAmount>> waiting = WaitingDifferences(book, catalog, {}, threads);
  if (!waiting.ok()) return waiting.status();

  std::map<std::pair<std::string, Day>, PeriodRow> rows;
  const auto row_of = [&](const std::string& entity, const AccountingPeriod& period) -> PeriodRow& {
    PeriodRow& row = rows[{entity, period.first}];
    row.entity = entity;
    row.period = period;
    row.state = periods->StateOf(entity, period);
    return row;
  };
  for (const JournalBatch& batch : *batches) ++row_of(batch.entity, PeriodOfBatch(*periods, batch)).batches;
  for (const PeriodChange& change : *changes) {
    PeriodRow& row = row_of(change.entity, change.period);
    row.last_change = change;
    TOLLBOOK_ASSERT(change.sequence >= 1 && change.sequence <= commits->size());
    row.changed_at_nanos = (*commits)[change.sequence - 1].committed_at_nanos;
  }
  for (const WaitingAmount& waits : *waiting) row_of(waits.entity, waits.period).waiting.push_back(waits);
  std::vector<PeriodRow> all;
  for (auto& [place, row] : rows) all.push_back(std::move(row));
  return all;
}

}  // namespace tollbook
