#include <set>

#include "pipeline/app/commands.h"
#include "pipeline/app/price_steps.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/explain.h"

namespace tollbook {
namespace {

constexpr size_t kStretchesShown = 4;

std::string Signed(const Money& money) {
  return std::string(money.minor > 0 ? "+" : "") + ToString(money);
}

std::string OriginText(const UsageOrigin& origin, const std::string& unit) {
  std::string text = "      commit " + std::to_string(origin.commit) + ": " + ToString(origin.quantity) +
                     (unit.empty() ? "" : " " + unit) + " in " + Counted(origin.events, "event", "events") +
                     (origin.rebuilt             ? ", reckoned anew without what corrections took back"
                      : origin.stretches.empty() ? ", by corrections or from what was held"
                                                 : ", read from");
  for (size_t i = 0; i < origin.stretches.size() && i < kStretchesShown; ++i) {
    const UsageOrigin::Stretch& stretch = origin.stretches[i];
    text += (i == 0 ? " " : ", ") + stretch.path + ":" + std::to_string(stretch.first_line) + "-" +
            std::to_string(stretch.last_line);
  }
  if (origin.stretches.size() > kStretchesShown)
    text += " and " + Counted(origin.stretches.size() - kStretchesShown, "source", "sources") + " more";
  return text + "\n";
}

std::string Signed(const Worth& worth) {
  return (worth.amount.negative() || worth.amount.zero() ? "" : "+") + ToString(worth);
}

std::string LineText(const ChargeEvent& event) {
  return std::to_string(event.line) + (event.part == 0 ? "" : "/" + std::to_string(event.part + 1));
}

std::string ValueText(const ChargeEvent& event) {
  return event.value.empty() ? ToString(event.usage.total.value) : event.value;
}

std::string FallsIn(const EventShare& share) {
  const ChargeEvent& event = share.event;
  if (!event.taken_back_by.empty()) return (event.is_voided ? "voided by " : "corrected by ") + event.taken_back_by;
  std::string text;
  for (const std::string& step : share.falls_in) text += (text.empty() ? "" : ", ") + step;
  return text;
}

bool HasShare(const EventShares& shares, const EventShare& share) {
  return !shares.by_day && share.event.taken_back_by.empty();
}

// Of an event, or what else has a share in the line.
struct EventRow {
  std::string what = {}, file = {}, line = {}, time = {}, value = {}, to_date = {}, position = {}, falls_in = {},
              share = {};
};

// The positions only where any is another than the quantity to date.
Table TableOf(std::vector<EventRow> rows, bool has_positions) {
  std::vector<Column> columns = {{"event"},       {"file", false, Narrow::kTail},
                                 {"line", true},  {"time", false, Narrow::kKeep},
                                 {"value", true}, {"to_date", true}};
  if (has_positions) columns.push_back({"position", true});
  columns.push_back({"falls_in", false, Narrow::kWrap});
  columns.push_back({"share", true});
  Table table(std::move(columns));
  for (EventRow& row : rows) {
    std::vector<std::string> cells = {row.what, row.file, row.line, row.time, row.value, row.to_date};
    if (has_positions) cells.push_back(row.position);
    cells.push_back(row.falls_in);
    cells.push_back(row.share);
    table.Add(std::move(cells));
  }
  return table;
}

// Above the table.
std::string HeadingOf(const ExplainedEvents& events) {
  const EventShares& shares = events.shares;
  if (events.is_only_taken_back)
    return "    nothing is due for that day any more, so no event has a share: what was booked is taken back\n";
  return "    " + Counted(shares.events, "event", "events") +
         (shares.taken_back == 0 ? "" : ", and " + Thousands(shares.taken_back) + " taken back") +
         ", in the order of time\n";
}

// From the position before them to the charge's share in the line; the last column adds up.
std::string EventsText(const ExplainedCharge& charge) {
  const ExplainedEvents& events = *charge.events;
  const EventShares& shares = events.shares;
  std::vector<EventRow> rows;
  const auto add = [&](std::string what, std::string share) {
    rows.push_back({.what = std::move(what), .share = std::move(share)});
  };
  bool has_positions = false;
  rows.push_back({.what = "before", .to_date = ToString(shares.before)});
  for (const EventShare& share : shares.shown) {
    const bool counts = share.event.taken_back_by.empty(), has_share = HasShare(shares, share);
    rows.push_back({share.event.id, events.paths[share.event.book_source], LineText(share.event),
                    ToString(share.event.time), counts ? ValueText(share.event) : "(" + ValueText(share.event) + ")",
                    has_share ? ToString(share.to_date) : "", has_share ? ToString(share.position) : "", FallsIn(share),
                    has_share ? Signed(share.share) : ""});
    has_positions = has_positions || (has_share && share.position != share.to_date);
  }
  if (shares.more > 0) {
    add("and " + Thousands(shares.more) + " more", shares.by_day ? "" : Signed(shares.more_share));
    if (!shares.by_day) rows.back().to_date = ToString(charge.to_date);
  }
  for (const ShareOfDay& day : shares.days) {
    add(shares.by_day ? "the day" : "beside them", Signed(day.share));
    rows.back().time = ToString(day.day);
    rows.back().to_date = ToString(day.to_date);
  }
  if (!shares.at_period_end.amount.zero()) add("the period's end", Signed(shares.at_period_end));
  if (charge.booked_before.minor != 0) {
    add("booked before", Signed(Money{charge.booked_before.currency, -charge.booked_before.minor}));
  }
  add("rounding", Signed(events.rounding));
  add("difference", Signed(charge.difference));
  std::string text = HeadingOf(events) + TableOf(std::move(rows), has_positions).ToText(6);
  if (shares.by_day) text += "      the price goes on without events, so the shares are those of days\n";
  return text;
}

std::string StepsText(const std::vector<PriceStep>& price_steps) {
  if (price_steps.empty()) return "";
  Table steps({{"step"}, {"quantity", true}, {"price", true}, {"worth", true}});
  for (const PriceStep& step : price_steps) {
    const bool only_worth = IsOnlyWorth(step);
    steps.Add({step.what, only_worth ? "" : ToString(step.quantity), only_worth ? "" : ToString(step.unit_price),
               ToString(step.worth)});
  }
  return steps.ToText(6);
}

Money Difference(const Money& a, const Money& b) {
  return {a.currency, a.minor - b.minor};
}

std::string UnitText(const ExplainedCharge& charge) {
  return charge.unit.empty() ? "" : " " + charge.unit;
}

bool HasQuantity(const ExplainedCharge& charge) {
  return charge.kind == LineKind::kUsage || charge.kind == LineKind::kFee;
}

// "1600 calls, ", where the line has a quantity.
std::string QuantityText(const ExplainedCharge& charge, const Quantity& quantity) {
  return HasQuantity(charge) ? ToString(quantity) + UnitText(charge) + ", " : "";
}

// What the seal before made of the same usage, and what changed since.
std::string EarlierText(const EarlierWorld& world, const ExplainedCharge& charge) {
  const std::string seal = "    by the catalog of seal " + std::to_string(world.seal);
  const std::string now = " that day, and " + ToString(world.worth_now) + " now\n";
  std::string text;
  if (world.charges.empty() && world.worth.minor == 0) {
    text = seal + " nothing was due of it" + now;
  } else if (charge.kind == LineKind::kUsage) {
    text = seal + " the same usage was worth " + ToString(world.worth) + " that day, and is worth " +
           ToString(world.worth_now) + " now\n";
  } else {
    text = seal + " it came to " + ToString(world.worth) + now;
  }
  for (const EarlierCharge& then : world.charges) {
    text += "      " + then.plan + "/" + charge.charge + (HasQuantity(charge) ? " of " : " ") +
            QuantityText(charge, then.to_date) + "worth " + ToString(then.worth_to_date) + ", rounded " +
            ToString(then.rounded_to_date) + "; before that day " + QuantityText(charge, then.before) + "worth " +
            ToString(then.worth_before) + ", rounded " + ToString(then.rounded_before) + "\n";
    text += StepsText(then.steps);
  }
  for (const std::string& change : world.what_changed) text += "      changed: " + change + "\n";
  return text + "      so of all plans: " + Signed(Difference(world.worth, world.booked)) + " by usage since, " +
         Signed(Difference(world.worth_now, world.worth)) + " by what changed\n";
}

// What the arithmetic is of.
std::string WhatText(const ExplainedCharge& charge) {
  const std::string by_day = " by the end of " + ToString(charge.usage_date);
  switch (charge.kind) {
    case LineKind::kUsage:
      return "used" + by_day + ": " + ToString(charge.to_date) + UnitText(charge) + " of " + charge.meter;
    case LineKind::kFee:
      return "due" + by_day + ", without usage";
    case LineKind::kMinimum:
      return "added" + by_day + " by the minimum of all charges";
    case LineKind::kMaximum:
      return "taken off" + by_day + " by the maximum of all charges";
    case LineKind::kDiscount:
      return "taken off" + by_day + " by discounts";
    case LineKind::kGrant:
      return "paid or lost" + by_day + " by the grant: " + ToString(charge.to_date) + " left";
  }
  TOLLBOOK_ASSERT(!"a kind of the list");
  return "";
}

std::string ChargeText(const ExplainedCharge& charge) {
  std::string text = "\n  " + charge.subscription + "  " + charge.plan + "/" + charge.charge +
                     (charge.filter.empty() ? "" : " (" + charge.filter + ")") + "  " + ToString(charge.period.start) +
                     " to " + ToString(charge.period.end) + "  " + Signed(charge.difference) + "\n";
  if (!charge.rated) {
    text += "    booked " + ToString(charge.booked_before) + " before for " + ToString(charge.usage_date) + "; " +
            charge.why_booked_back + ", so it is booked back\n";
    return charge.earlier ? text + EarlierText(*charge.earlier, charge) : text;
  }
  text += "    " + WhatText(charge) + "\n";
  text += StepsText(charge.steps);
  text +=
      "    worth to date " + ToString(charge.worth_to_date) + ", rounded " + ToString(charge.rounded_to_date) + "\n";
  text += "    before that day " + QuantityText(charge, charge.before) + "worth " + ToString(charge.worth_before) +
          ", rounded " + ToString(charge.rounded_before) + "\n";
  text += "    booked for the day by earlier seals " + ToString(charge.booked_before) + "\n";
  text += "    so: " + ToString(charge.rounded_to_date) + " - " + ToString(charge.rounded_before) + " - " +
          ToString(charge.booked_before) + " = " + ToString(charge.difference) + "\n";
  if (charge.earlier) text += EarlierText(*charge.earlier, charge);
  if (!charge.origins.empty()) text += "    from\n";
  for (const UsageOrigin& origin : charge.origins) text += OriginText(origin, charge.unit);
  return charge.events ? text + EventsText(charge) : text;
}

// Each source of what is shown, once, with its hash.
std::string SourcesText(const Explanation& explanation) {
  std::set<std::pair<std::string, std::string>> hashes;
  for (const ExplainedCharge& charge : explanation.largest) {
    for (const UsageOrigin& origin : charge.origins) {
      for (const UsageOrigin::Stretch& stretch : origin.stretches) hashes.emplace(stretch.path, stretch.xxh3_128);
    }
  }
  std::string text;
  size_t shown = 0;
  for (const auto& [path, hash] : hashes) {
    if (++shown > kStretchesShown) {
      return text + "  and " + Counted(hashes.size() - kStretchesShown, "source", "sources") + " more\n";
    }
    text += "  source " + hash + " " + (path == "-" ? "standard input" : path) + "\n";
  }
  return text;
}

// `picked`: only some of the line's charges were asked for.
std::string TextOf(const Explanation& explanation, bool picked) {
  const JournalLine& line = explanation.line;
  std::string text = explanation.batch.id + "/" + std::to_string(line.number) + "  " + line.memo() + "\n";
  text += "  entity " + explanation.batch.entity + ", accounting period " + explanation.batch.accounting_period +
          ", posting date " + ToString(line.key.posting_date) + "\n  posting key " + explanation.batch.posting_key +
          "\n";
  const std::string amount = ToString(line.amount()) + " " + std::string(explanation.batch.currency.code());
  text += "  debit  " + std::string(line.debit_account()) + "  " + amount + "\n  credit " +
          std::string(line.credit_account()) + "  " + amount + "\n";
  text += "  seal " + std::to_string(explanation.seal.number) + " (commit " +
          std::to_string(explanation.seal.sequence) + ")\n  catalog " + explanation.seal.catalog_digest + "\n";
  text += SourcesText(explanation);
  if (!explanation.reverses.empty()) {
    text += "  reverses " + explanation.reverses + ", by " + explanation.seal.reversed_by + ": " +
            explanation.seal.reversed_why + "\n";
  }
  if (explanation.reversed) {
    text += "  reversed by seal " + std::to_string(explanation.reversed->number) + ", by " +
            explanation.reversed->reversed_by + ": " + explanation.reversed->reversed_why + "\n";
  }
  text += "  the sum of " + Counted(explanation.charges, "difference", "differences") + ": " + Signed(explanation.sum) +
          "\n";
  for (const ExplainedCharge& charge : explanation.largest) text += ChargeText(charge);
  if (explanation.charges > explanation.largest.size()) {
    text += "\n  and " + Thousands(explanation.charges - explanation.largest.size()) +
            (picked ? " others" : " smaller") + ", together " + Signed(explanation.more_sum) +
            (picked ? "\n" : "; --limit shows more\n");
  }
  for (const std::string& path : explanation.from_log) {
    text += "\n  " + (path == "-" ? "standard input" : path) +
            ": not there as it was absorbed; its events were read from the usage log\n";
  }
  return text;
}

Json ToJson(const ExplainedEvents& events) {
  const EventShares& shares = events.shares;
  Json json = {{"count", shares.events},
               {"taken_back", shares.taken_back},
               {"by_day", shares.by_day},
               {"quantity_before", ToString(shares.before)},
               {"shown", Json::array()},
               {"more", shares.more},
               {"more_share", ToString(shares.more_share)},
               {"days", Json::array()},
               {"at_period_end", ToString(shares.at_period_end)},
               {"sum", ToString(shares.sum)},
               {"rounding", ToString(events.rounding)}};
  for (const EventShare& share : shares.shown) {
    Json event = {{"path", events.paths[share.event.book_source]},
                  {"line", share.event.line},
                  {"part", share.event.part},
                  {"source", share.event.source},
                  {"id", share.event.id},
                  {"time", ToString(share.event.time)},
                  {"value", ValueText(share.event)}};
    if (!share.event.taken_back_by.empty()) {
      event[share.event.is_voided ? "voided_by" : "corrected_by"] = share.event.taken_back_by;
    } else if (HasShare(shares, share)) {
      event["quantity_to_date"] = ToString(share.to_date);
      event["position"] = ToString(share.position);
      event["share"] = ToString(share.share);
      event["falls_in"] = share.falls_in;
    }
    json["shown"].push_back(std::move(event));
  }
  for (const ShareOfDay& day : shares.days) {
    json["days"].push_back(
        {{"day", ToString(day.day)}, {"quantity_to_date", ToString(day.to_date)}, {"share", ToString(day.share)}});
  }
  return json;
}

// Of a charge as it is, or as the earlier catalog has it.
template <typename AnyCharge>
void AddWorths(const AnyCharge& charge, Json* json) {
  (*json)["quantity_to_date"] = ToString(charge.to_date);
  (*json)["quantity_before"] = ToString(charge.before);
  (*json)["worth_to_date"] = ToString(charge.worth_to_date);
  (*json)["worth_before"] = ToString(charge.worth_before);
  (*json)["rounded_to_date"] = ToString(charge.rounded_to_date);
  (*json)["rounded_before"] = ToString(charge.rounded_before);
}

Json ToJson(const EarlierWorld& world) {
  Json json = {{"seal", world.seal},
               {"catalog", world.catalog_digest},
               {"worth", ToString(world.worth)},
               {"worth_now", ToString(world.worth_now)},
               {"booked", ToString(world.booked)},
               {"changed", world.what_changed},
               {"charges", Json::array()}};
  for (const EarlierCharge& charge : world.charges) {
    Json then = {{"plan", charge.plan}};
    AddWorths(charge, &then);
    then["steps"] = StepsJson(charge.steps);
    json["charges"].push_back(std::move(then));
  }
  return json;
}

Json ToJson(const ExplainedCharge& charge) {
  Json json = {{"subject", charge.subject},
               {"subscription", charge.subscription},
               {"plan", charge.plan},
               {"charge", charge.charge},
               {"meter", charge.meter},
               {"dimensions", charge.filter},
               {"period_start", ToString(charge.period.start)},
               {"period_end", ToString(charge.period.end)},
               {"usage_date", ToString(charge.usage_date)},
               {"difference", ToString(charge.difference)},
               {"rated", charge.rated}};
  if (charge.rated) {
    json["kind"] = ToString(charge.kind);
  } else {
    json["why_booked_back"] = charge.why_booked_back;
  }
  AddWorths(charge, &json);
  json["booked_before"] = ToString(charge.booked_before);
  json["steps"] = StepsJson(charge.steps);
  if (charge.earlier) json["earlier"] = ToJson(*charge.earlier);
  json["origins"] = Json::array();
  for (const UsageOrigin& origin : charge.origins) {
    Json from = {{"commit", origin.commit},
                 {"quantity", ToString(origin.quantity)},
                 {"events", origin.events},
                 {"rebuilt", origin.rebuilt}};
    from["sources"] = Json::array();
    for (const UsageOrigin::Stretch& stretch : origin.stretches) {
      from["sources"].push_back({{"path", stretch.path},
                                 {"first_line", stretch.first_line},
                                 {"last_line", stretch.last_line},
                                 {"xxh3_128", stretch.xxh3_128}});
    }
    json["origins"].push_back(std::move(from));
  }
  if (charge.events) json["events"] = ToJson(*charge.events);
  return json;
}

Json ToJson(const Explanation& explanation) {
  const JournalLine& line = explanation.line;
  Json json = {{"batch_id", explanation.batch.id},
               {"posting_key", explanation.batch.posting_key},
               {"line", line.number},
               {"entity", explanation.batch.entity},
               {"accounting_period", explanation.batch.accounting_period},
               {"posting_date", ToString(line.key.posting_date)},
               {"currency", std::string(explanation.batch.currency.code())},
               {"debit_account", std::string(line.debit_account())},
               {"credit_account", std::string(line.credit_account())},
               {"amount", ToString(line.amount())},
               {"product", line.key.product},
               {"seal", explanation.seal.number},
               {"catalog", explanation.seal.catalog_digest},
               {"differences", explanation.charges},
               {"sum", ToString(explanation.sum)}};
  if (!explanation.reverses.empty()) json["reverses"] = explanation.reverses;
  if (explanation.reversed) json["reversed_by_seal"] = explanation.reversed->number;
  json["charges"] = Json::array();
  for (const ExplainedCharge& charge : explanation.largest) json["charges"].push_back(ToJson(charge));
  json["more"] = explanation.charges - explanation.largest.size();
  json["more_sum"] = ToString(explanation.more_sum);
  if (!explanation.from_log.empty()) json["from_usage_log"] = explanation.from_log;
  return json;
}

}  // namespace

int CmdExplain(const ExplainOptions& options) {
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "explain");
  if (!book.ok()) return Fail(book.status());
  std::optional<size_t> events;
  if (options.events) events = options.event_limit;
  const OnlyCharges only = {options.subscription, options.charge};
  const absl::StatusOr<Explanation> explanation = Explain(**book, options.line, options.limit, events, only);
  if (!explanation.ok()) return Fail(explanation.status());
  const bool picked = !only.subscription.empty() || !only.charge.empty();
  return Print(options.json ? ToText(ToJson(*explanation)) : TextOf(*explanation, picked));
}

}  // namespace tollbook
