// ChangePeriod: an accounting period of a legal entity is opened, soft-closed, closed or opened again, by a named
// person and for a reason. It is closed only when nothing stands in the way.
#ifndef TOLLBOOK_PIPELINE_CHANGE_PERIOD_H_
#define TOLLBOOK_PIPELINE_CHANGE_PERIOD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/waiting.h"
#include "rating/catalog.h"

namespace tollbook {

enum class PeriodAction : uint8_t { kOpen, kSoftClose, kClose, kReopen };

// What stands in the way of closing a period.
struct CloseObstacle {
  std::string kind;    // "unsealed", "held" …: the word that waives it, where it can be
  uint64_t count = 0;  // of what `what` names
  std::string what;    // "3 differences, 0.20 USD"
  std::string mend;    // what to do, with the command
  bool waivable = false;
};

// Of them all:
//   unsealed      a seal through the period's last day would book something for the entity
//   soft_closed   differences of the period itself, which only an adjusting seal books
//   unmapped      differences through the period's last day that no posting rule takes
//   held          lines held for a meter or for the event that they correct; their dates are not known before they
//                 count
//   rejected      lines that can never be usage, of whatever date, that no close of the entity has waived
//   conflict      likewise lines whose event was counted with another content
//   unattributed  accepted usage of the period that no subscription takes: of any entity, for none is known
//   unpriced      accepted usage of the period that the entity's plans have no charge for
//   not_rated     subjects whose worth cannot be held
//   unapproved    batches of the period, or of one before it, that are held for approval
//   uncertain     deliveries, of such batches and of reports about the period or one before it, that may or may not
//                 have arrived: one obstacle for each target
//   different     likewise those that are not at the target as they were sent
//   unreconciled  steps of reconcile that are not equal, but for what is not sealed, uncertain or different
// All but unsealed, soft_closed, uncertain, different and unreconciled can be waived; what a delivery is, somebody says
// by name and with a reason (DeliveryEvent::kSayPosted …). What is surely not delivered yet is in nobody's way.
[[nodiscard]] absl::StatusOr<std::vector<CloseObstacle>> CloseObstacles(const Book& book, const Catalog& catalog,
                                                                        std::string_view entity,
                                                                        const AccountingPeriod& period, int threads);

// Rejected lines and conflicts are the whole book's, for what entity a broken line was meant for nobody can say. Each
// entity answers for each of them once: a close that waives a kind waives all that the book has of it by then, and
// closes behind it ask for what came since. Here the commits of the last such closes; 0: there was none.
struct WaivedLines {
  uint64_t rejected = 0;
  uint64_t conflict = 0;
};
[[nodiscard]] absl::StatusOr<WaivedLines> WaivedLinesOf(const Book& book, std::string_view entity);

struct PeriodOrder {
  PeriodAction action = PeriodAction::kClose;
  std::string entity;
  std::string period;  // its name
  std::string by;
  std::string why;
  std::vector<std::string> waive;  // kinds; only of a close
  std::string account = {};        // of the operating system, that gives the order
};

// What was committed. InvalidArgument: the order names no entity, period or person. PermissionDenied: the catalog lets
// others do it. FailedPrecondition: the newest seal's catalog has other days for the period, the period does not stand
// where the action begins, or obstacles stand in the way: one line each.
[[nodiscard]] absl::StatusOr<PeriodChange> ChangePeriod(Book& book, const Catalog& catalog, const PeriodOrder& order,
                                                        int threads);

// A period that has batches, was changed, or has something waiting.
struct PeriodRow {
  std::string entity;
  AccountingPeriod period;
  PeriodState state = PeriodState::kOpen;
  std::optional<PeriodChange> last_change;
  int64_t changed_at_nanos = 0;
  uint64_t batches = 0;
  std::vector<WaitingAmount> waiting;  // by currency
};
// By (entity, first day).
[[nodiscard]] absl::StatusOr<std::vector<PeriodRow>> Periods(const Book& book, const Catalog& catalog, int threads);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_CHANGE_PERIOD_H_
