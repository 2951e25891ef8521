#include <algorithm>
#include <map>

#include "pipeline/app/commands.h"
#include "pipeline/app/report.h"
#include "pipeline/app/session.h"
#include "pipeline/app/table.h"
#include "pipeline/catalog_dir.h"
#include "pipeline/charges.h"
#include "pipeline/simulate.h"
#include "rating/rounded_quotient.h"

namespace tollbook {
namespace {

constexpr size_t kNotRatedShown = 10;

// What the command found, and what it looked at.
struct Simulated {
  Simulation simulation;
  SimulateBy by = SimulateBy::kPlan;
  std::string book, before_digest, after_digest;
  uint64_t seal = 0;  // whose catalog is the one before; 0: --against
  std::optional<Day> through;
  uint64_t events_since_seal = 0;
  uint64_t held = 0;
};

std::string Text(Currency currency, Int128 minor) {
  return ToString(Money{currency, minor});
}

std::string Signed(Currency currency, Int128 minor) {
  return (minor > 0 ? "+" : "") + Text(currency, minor);
}

Worth ExactDifference(const SimulatedAmounts& amounts) {
  Worth difference;
  TOLLBOOK_ASSERT(Wide::Subtract(amounts.after_exact.amount, amounts.before_exact.amount, &difference.amount));
  return difference;
}

// Of the amount before, to a hundredth of a percent; nothing where that is zero.
std::string Percent(const SimulatedAmounts& amounts) {
  if (amounts.before == 0) return "";
  const Int128 base = amounts.before < 0 ? -amounts.before : amounts.before;
  Int128 hundredths = 0;
  if (!RoundedQuotient(Wide::Product(amounts.difference(), 10'000), base, Rounding::kHalfUp, &hundredths)) return "";
  return FormatDecimal(hundredths, 2);
}

std::string WordFor(SimulateBy by) {
  switch (by) {
    case SimulateBy::kPlan:
      return "plan";
    case SimulateBy::kCustomer:
      return "customer";
    case SimulateBy::kAccount:
      return "account";
    case SimulateBy::kSubscription:
      return "subscription";
    case SimulateBy::kCharge:
      return "charge";
  }
  TOLLBOOK_ASSERT(!"a table of the list");
  return "";
}

std::string PlanText(const std::string& before, const std::string& after) {
  const auto named = [](const std::string& plan) { return plan.empty() ? "(none)" : plan; };
  return before == after ? named(after) : named(before) + " -> " + named(after);
}

// ----- the rows of --by, for programs

std::vector<Column> NameColumns(SimulateBy by) {
  switch (by) {
    case SimulateBy::kPlan:
      return {{"plan"}, {"plan_before"}};
    case SimulateBy::kCustomer:
      return {{"customer"}, {"target"}};
    case SimulateBy::kAccount:
      return {{"account"}};
    case SimulateBy::kSubscription:
      return {{"subscription"}, {"account"}};
    case SimulateBy::kCharge:
      return {{"plan"}, {"plan_before"}, {"charge"}};
  }
  TOLLBOOK_ASSERT(!"a table of the list");
  return {};
}

std::vector<std::string> NamesOf(SimulateBy by, const SimulatedRow& row) {
  switch (by) {
    case SimulateBy::kPlan:
      return {row.plan, row.plan_before};
    case SimulateBy::kCustomer:
      return {row.customer, row.target};
    case SimulateBy::kAccount:
      return {row.account};
    case SimulateBy::kSubscription:
      return {row.subscription, row.account};
    case SimulateBy::kCharge:
      return {row.plan, row.plan_before, row.charge};
  }
  TOLLBOOK_ASSERT(!"a table of the list");
  return {};
}

Table TableOf(const Simulated& simulated) {
  std::vector<Column> columns = NameColumns(simulated.by);
  for (const char* name : {"currency", "charge_periods", "before", "after", "difference", "percent", "before_exact",
                           "after_exact", "difference_exact"}) {
    columns.push_back({name});
  }
  Table table(columns);
  for (const SimulatedRow& row : simulated.simulation.rows) {
    std::vector<std::string> cells = NamesOf(simulated.by, row);
    for (std::string& cell : std::vector<std::string>{
             std::string(row.currency.code()), std::to_string(row.charge_periods),
             Text(row.currency, row.amounts.before), Text(row.currency, row.amounts.after),
             Text(row.currency, row.amounts.difference()), Percent(row.amounts), ToString(row.amounts.before_exact),
             ToString(row.amounts.after_exact), ToString(ExactDifference(row.amounts))}) {
      cells.push_back(std::move(cell));
    }
    table.Add(std::move(cells));
  }
  return table;
}

Json ToJson(Currency currency, const SimulatedAmounts& amounts) {
  Json json = {{"currency", std::string(currency.code())},
               {"before", Text(currency, amounts.before)},
               {"after", Text(currency, amounts.after)},
               {"difference", Text(currency, amounts.difference())},
               {"percent", nullptr},
               {"before_exact", ToString(amounts.before_exact)},
               {"after_exact", ToString(amounts.after_exact)},
               {"difference_exact", ToString(ExactDifference(amounts))}};
  if (const std::string percent = Percent(amounts); !percent.empty()) json["percent"] = percent;
  return json;
}

Json ToJson(const SimulatedMover& mover) {
  Json json = {{"subscription", mover.subscription},
               {"account", mover.account},
               {"plan", mover.plan},
               {"plan_before", mover.plan_before},
               {"charge", mover.charge},
               {"period_start", ToString(mover.period.start)},
               {"period_end", ToString(mover.period.end)},
               {"entity", mover.entity},
               {"quantity_before", ToString(mover.quantity_before)},
               {"quantity_after", ToString(mover.quantity_after)}};
  json.update(ToJson(mover.currency, mover.amounts));
  return json;
}

Json ToJson(const Simulated& simulated) {
  const Simulation& simulation = simulated.simulation;
  Json json = {{"book", simulated.book},
               {"catalog_before", simulated.before_digest},
               {"seal_before", simulated.seal},
               {"catalog_after", simulated.after_digest},
               {"through", nullptr},
               {"subjects", simulation.subjects},
               {"charge_periods_before", simulation.charge_periods_before},
               {"charge_periods_after", simulation.charge_periods_after},
               {"events_since_seal", simulated.events_since_seal},
               {"held", simulated.held}};
  if (simulated.through) json["through"] = ToString(*simulated.through);
  json["totals"] = Json::array();
  for (const SimulatedTotal& total : simulation.totals) {
    Json of_entity = {{"entity", total.entity}};
    of_entity.update(ToJson(total.currency, total.amounts));
    of_entity["seal_would_book"] = Text(total.currency, total.seal_would_book);
    json["totals"].push_back(std::move(of_entity));
  }
  json["by"] = WordFor(simulated.by);
  json["rows"] = Json::array();
  const std::vector<Column> names = NameColumns(simulated.by);
  for (const SimulatedRow& row : simulation.rows) {
    Json named = Json::object();
    const std::vector<std::string> cells = NamesOf(simulated.by, row);
    for (size_t i = 0; i < names.size(); ++i) named[names[i].name] = cells[i];
    named["charge_periods"] = row.charge_periods;
    named.update(ToJson(row.currency, row.amounts));
    json["rows"].push_back(std::move(named));
  }
  json["movers"] = Json::array();
  for (const SimulatedMover& mover : simulation.movers) json["movers"].push_back(ToJson(mover));
  json["usage"] = Json::array();
  for (const SimulatedUsage& usage : simulation.usage) {
    json["usage"].push_back({{"meter", usage.meter},
                             {"before", std::string(ToString(usage.before))},
                             {"after", std::string(ToString(usage.after))},
                             {"events", usage.events}});
  }
  json["new_meters"] = simulation.new_meters;
  json["not_rated"] = simulation.not_rated;
  return json;
}

// ----- for people

std::string Heading(const Simulated& simulated) {
  const Simulation& simulation = simulated.simulation;
  std::string text = "Simulated, nothing is booked: " + Counted(simulation.subjects, "subject", "subjects") + " of " +
                     simulated.book + ", " +
                     (simulated.through ? "usage through " + ToString(*simulated.through) : "all usage") + "\n";
  text += "  before  catalog " + simulated.before_digest;
  if (simulated.seal != 0) text += ", of seal " + std::to_string(simulated.seal);
  text += ": " + Counted(simulation.charge_periods_before, "charge period", "charge periods") + "\n";
  text += "  after   catalog " + simulated.after_digest + ": " +
          Counted(simulation.charge_periods_after, "charge period", "charge periods") + "\n";
  return text;
}

std::string TotalsText(const Simulation& simulation) {
  Table table({{"entity"},
               {"before", true},
               {"after", true},
               {"difference", true},
               {"percent", true},
               {"exact_difference", true},
               {"seal_books", true},
               {"currency", false, Narrow::kKeep}});
  for (const SimulatedTotal& total : simulation.totals) {
    table.Add({total.entity, Text(total.currency, total.amounts.before), Text(total.currency, total.amounts.after),
               Signed(total.currency, total.amounts.difference()), Percent(total.amounts),
               ToString(ExactDifference(total.amounts)), Text(total.currency, total.seal_would_book),
               std::string(total.currency.code())});
  }
  return "\nTotals\n" + table.ToText();
}

// The rows that change most in each currency, and then those that come first.
std::vector<const SimulatedRow*> RowsShown(const Simulation& simulation, size_t most) {
  std::vector<const SimulatedRow*> rows;
  for (const SimulatedRow& row : simulation.rows) rows.push_back(&row);
  const auto size = [](const SimulatedRow* row) {
    const Int128 difference = row->amounts.difference();
    return difference < 0 ? -difference : difference;
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const SimulatedRow* a, const SimulatedRow* b) {
    return a->currency != b->currency ? a->currency < b->currency : size(a) > size(b);
  });
  std::map<Currency, size_t> shown;
  std::erase_if(rows, [&](const SimulatedRow* row) { return ++shown[row->currency] > most; });
  return rows;
}

std::string RowsText(const Simulated& simulated, size_t most) {
  const bool has_plan = simulated.by == SimulateBy::kPlan || simulated.by == SimulateBy::kCharge;
  std::vector<Column> columns;
  if (has_plan) columns.push_back({"plan"});
  for (const Column& name : NameColumns(simulated.by)) {
    if (name.name != "plan" && name.name != "plan_before") columns.push_back(name);
  }
  for (const char* name : {"charge_periods", "before", "after", "difference", "percent"}) {
    columns.push_back({name, true});
  }
  columns.push_back({"currency", false, Narrow::kKeep});
  Table table(columns);
  const std::vector<const SimulatedRow*> shown = RowsShown(simulated.simulation, most);
  for (const SimulatedRow* row : shown) {
    std::vector<std::string> cells;
    if (has_plan) {
      cells.push_back(PlanText(row->plan_before, row->plan));
      if (simulated.by == SimulateBy::kCharge) cells.push_back(row->charge);
    } else {
      cells = NamesOf(simulated.by, *row);
    }
    for (std::string& cell : std::vector<std::string>{
             Thousands(row->charge_periods), Text(row->currency, row->amounts.before),
             Text(row->currency, row->amounts.after), Signed(row->currency, row->amounts.difference()),
             Percent(row->amounts), std::string(row->currency.code())}) {
      cells.push_back(std::move(cell));
    }
    table.Add(std::move(cells));
  }
  std::string text = "\nBy " + WordFor(simulated.by) + "\n" + table.ToText();
  if (const size_t left = simulated.simulation.rows.size() - shown.size(); left > 0) {
    text += "and " + Thousands(left) + " that change less; --format csv has all\n";
  }
  return text;
}

std::string MoversText(const Simulation& simulation) {
  if (simulation.movers.empty()) return "\nNo charge period is booked otherwise.\n";
  Table table({{"subscription"},
               {"account"},
               {"plan"},
               {"charge"},
               {"period"},
               {"before", true},
               {"after", true},
               {"difference", true},
               {"currency", false, Narrow::kKeep}});
  for (const SimulatedMover& mover : simulation.movers) {
    table.Add({mover.subscription, mover.account, PlanText(mover.plan_before, mover.plan), mover.charge,
               ToString(mover.period.start), Text(mover.currency, mover.amounts.before),
               Text(mover.currency, mover.amounts.after), Signed(mover.currency, mover.amounts.difference()),
               std::string(mover.currency.code())});
  }
  return "\nLargest movers\n" + table.ToText();
}

std::string UsageText(const Simulation& simulation) {
  if (simulation.usage.empty()) return "";
  Table table({{"meter"}, {"before"}, {"after"}, {"events", true}});
  for (const SimulatedUsage& usage : simulation.usage) {
    table.Add({usage.meter, std::string(ToString(usage.before)), std::string(ToString(usage.after)),
               Thousands(usage.events)});
  }
  return "\nUsage that stands otherwise\n" + table.ToText();
}

std::string NotesText(const Simulated& simulated) {
  std::string text;
  if (simulated.events_since_seal > 0) {
    text += "\n" + Counted(simulated.events_since_seal, "event is", "events are") +
            " not sealed yet: both sides have them, and so does what a seal would book.\n";
  }
  for (const std::string& meter : simulated.simulation.new_meters) {
    text += "\nThe meter " + meter + " is new: the book has no totals of it, so what its charges would add is not here";
    text += simulated.held > 0
                ? ";\nusage of it may be among the " + Counted(simulated.held, "held line", "held lines") +
                      ", which `exceptions retry` takes in.\n"
                : ".\n";
  }
  const std::vector<std::string>& not_rated = simulated.simulation.not_rated;
  if (!not_rated.empty()) {
    text +=
        "\nLeft out of both sides, as they cannot be rated: " + Counted(not_rated.size(), "subject", "subjects") + "\n";
    for (size_t i = 0; i < std::min(not_rated.size(), kNotRatedShown); ++i) text += "  " + not_rated[i] + "\n";
  }
  return text;
}

std::string TextOf(const Simulated& simulated, size_t most) {
  const Simulation& simulation = simulated.simulation;
  std::string text = Heading(simulated);
  if (simulation.rows.empty()) {
    text += "\nNo usage that a charge takes.\n";
  } else {
    text += TotalsText(simulation) + RowsText(simulated, most) + MoversText(simulation);
  }
  return text + UsageText(simulation) + NotesText(simulated);
}

SimulateBy ByOf(const std::string& word) {
  for (const SimulateBy by :
       {SimulateBy::kCustomer, SimulateBy::kAccount, SimulateBy::kSubscription, SimulateBy::kCharge}) {
    if (WordFor(by) == word) return by;
  }
  return SimulateBy::kPlan;
}

absl::StatusOr<Simulated> Run(const SimulateCommandOptions& options) {
  absl::StatusOr<std::optional<Day>> through = ParseThrough(options.through);
  if (!through.ok()) return through.status();
  const absl::StatusOr<LoadedCatalog> after = LoadCatalog(options.catalog);
  if (!after.ok()) return after.status();
  const absl::StatusOr<std::unique_ptr<Book>> book = OpenBook(options.books, "simulate", &after->catalog);
  if (!book.ok()) return book.status();
  const absl::StatusOr<std::vector<SealRecord>> seals = (*book)->Seals();
  if (!seals.ok()) return seals.status();
  if (seals->empty() && options.against.empty()) {
    return MakeError(absl::StatusCode::kNotFound, "nothing is sealed yet", options.books,
                     "name the catalog to compare with as --against DIR, or seal first");
  }
  const absl::StatusOr<Catalog> before = CatalogFor(**book, options.against);
  if (!before.ok()) return before.status();

  Simulated simulated;
  simulated.by = ByOf(options.by);
  simulated.book = (*book)->identity().name;
  simulated.before_digest = before->digest;
  simulated.after_digest = after->catalog.digest;
  if (options.against.empty()) simulated.seal = seals->back().number;
  simulated.through = *through;
  if (options.through.empty() && !seals->empty()) simulated.through = seals->back().through;
  const absl::StatusOr<uint64_t> since_seal = EventsSinceSeal(**book);
  if (!since_seal.ok()) return since_seal.status();
  simulated.events_since_seal = *since_seal;
  simulated.held = (*book)->counts().held;
  absl::StatusOr<Simulation> simulation =
      Simulate(**book, *before, after->catalog, {options.threads, simulated.through, simulated.by, options.top});
  if (!simulation.ok()) return simulation.status();
  simulated.simulation = *std::move(simulation);
  return simulated;
}

}  // namespace

int CmdSimulate(const SimulateCommandOptions& options) {
  const absl::StatusOr<Simulated> simulated = Run(options);
  if (!simulated.ok()) return Fail(simulated.status());
  if (options.format == "csv") return Print(TableOf(*simulated).ToCsv());
  if (options.format == "json") return Print(ToText(ToJson(*simulated)));
  return Print(TextOf(*simulated, options.top));
}

}  // namespace tollbook
