#include "pipeline/forget_keys.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "ledger/records.h"
#include "pipeline/decode.h"
#include "pipeline/posting_periods.h"
#include "pipeline/stored_line.h"
#include "rating/error.h"

namespace tollbook {
namespace {

constexpr int kMonthDays = 30;

// The totals of what nobody prices are there without its keys.
constexpr std::array<std::string_view, 7> kOfClosing = {"unsealed",  "soft_closed", "unmapped",    "unapproved",
                                                        "uncertain", "different",   "unreconciled"};

absl::Status AddPeriods(const Book& book, const Catalog& catalog, Day before, int threads,
                        std::vector<CloseObstacle>* obstacles) {
  const absl::StatusOr<std::vector<PeriodRow>> rows = Periods(book, catalog, threads);
  if (!rows.ok()) return rows.status();
  for (const PeriodRow& row : *rows) {
    if (row.period.first >= before) continue;
    const std::string which = row.entity + " " + row.period.name;
    if (row.state != PeriodState::kClosed) {
      obstacles->push_back({"not_closed", 1, which + " is " + std::string(ToString(row.state)),
                            "close it with `tollbook periods close`"});
    }
    for (const WaitingAmount& waits : row.waiting) {
      obstacles->push_back(
          {"waiting", waits.sum.differences, ToString(waits), "book them, as `tollbook exceptions` says of each"});
    }
  }
  return absl::OkStatus();
}

absl::Status AddUnfinished(const Book& book, const Catalog& catalog, Day before, int threads,
                           std::vector<CloseObstacle>* obstacles) {
  const absl::StatusOr<PostingPeriods> periods = PostingPeriods::Make(book, catalog);
  if (!periods.ok()) return periods.status();
  for (const Entity& entity : catalog.entities) {
    const AccountingPeriod period = periods->PeriodOf(entity.name, Day{before.number - 1});
    absl::StatusOr<std::vector<CloseObstacle>> found = CloseObstacles(book, catalog, entity.name, period, threads);
    if (!found.ok()) return found.status();
    for (CloseObstacle& obstacle : *found) {
      if (std::ranges::find(kOfClosing, obstacle.kind) == kOfClosing.end()) continue;
      obstacle.what = entity.name + " " + period.name + ": " + obstacle.what;
      obstacles->push_back(std::move(obstacle));
    }
  }
  return absl::OkStatus();
}

// Of a held event, or of the one that it corrects, if that is earlier.
Instant EarliestTimeOf(const UsageEvent& held) {
  return held.correction == nullptr ? held.time : std::min(held.time, held.correction->original.time);
}

absl::Status AddHeld(const Book& book, const Zone& zone, Day before, std::vector<CloseObstacle>* obstacles) {
  if (book.counts().held == 0) return absl::OkStatus();
  Arena arena;
  const std::unique_ptr<Decoder> json = MakeJsonDecoder();
  uint64_t held = 0;
  TOLLBOOK_RETURN_IF_ERROR(book.ForEachExceptions([&](const StoredExceptions& chunk) {
    if (!chunk.held) return absl::OkStatus();
    const absl::StatusOr<std::vector<ExceptionRecord>> records = DecodeExceptions(chunk.bytes);
    if (!records.ok()) return records.status();
    for (const ExceptionRecord& record : *records) {
      arena.Clear();
      const absl::StatusOr<UsageEvent> event = DecodeHeldLine(*json, record.payload, arena);
      if (!event.ok()) return event.status();
      held += zone.DayOf(EarliestTimeOf(*event)) < before;
    }
    return absl::OkStatus();
  }));
  if (held > 0) {
    obstacles->push_back({"held", held,
                          std::to_string(held) + (held == 1 ? " line is held" : " lines are held") +
                              " of usage before " + ToString(before),
                          "see `tollbook exceptions`, mend the catalog and run `tollbook exceptions retry`", true});
  }
  return absl::OkStatus();
}

absl::Status Refusal(const std::vector<CloseObstacle>& obstacles) {
  std::string text;
  for (const CloseObstacle& obstacle : obstacles) {
    const std::string waive = obstacle.waivable ? ", or have them rejected with --waive " + obstacle.kind : "";
    const absl::Status one =
        MakeError(absl::StatusCode::kFailedPrecondition, "dedup keys cannot be forgotten: " + obstacle.kind,
                  obstacle.what, obstacle.mend + waive);
    text.append(text.empty() ? "" : "\n").append(Std(one.message()));
  }
  return absl::FailedPreconditionError(Abs(text));
}

}  // namespace

absl::StatusOr<std::vector<CloseObstacle>> ForgetObstacles(const Book& book, const Catalog& catalog, Day before,
                                                           int threads) {
  std::vector<CloseObstacle> obstacles;
  TOLLBOOK_RETURN_IF_ERROR(AddPeriods(book, catalog, before, threads, &obstacles));
  TOLLBOOK_RETURN_IF_ERROR(AddUnfinished(book, catalog, before, threads, &obstacles));
  TOLLBOOK_RETURN_IF_ERROR(AddHeld(book, catalog.book.zone, before, &obstacles));
  return obstacles;
}

absl::StatusOr<ForgetReport> ForgetKeysOf(Book& book, const Catalog& catalog, const ForgetOrder& order, int threads) {
  absl::StatusOr<std::vector<CloseObstacle>> obstacles = ForgetObstacles(book, catalog, order.before, threads);
  if (!obstacles.ok()) return obstacles.status();
  ForgetTerms terms{order.before, order.by, order.why, ""};
  std::erase_if(*obstacles, [&](const CloseObstacle& obstacle) {
    if (!obstacle.waivable || !order.waives_held) return false;
    terms.waived = obstacle.kind + " " + std::to_string(obstacle.count);
    return true;
  });
  if (!obstacles->empty()) return Refusal(*obstacles);
  return ForgetKeys(book, terms);
}

int SeenSpanDays(std::optional<int> dedup_keys_months) {
  return dedup_keys_months ? std::max(*dedup_keys_months * kMonthDays / 4, kMonthDays) : 0;
}

}  // namespace tollbook
