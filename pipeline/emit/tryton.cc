#include "pipeline/emit/tryton.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "pipeline/emit/erp_call.h"
#include "pipeline/emit/erp_journal.h"
#include "pipeline/emit/request_pace.h"
#include "pipeline/emit/tryton_rpc.h"
#include "rating/dimension_text.h"

namespace tollbook {
namespace {

constexpr std::string_view kMove = "model.account.move.";
constexpr int kMovesAsked = 100;
constexpr int kRowsAsked = 10'000;

std::string Method(std::string_view model, std::string_view name) {
  return "model." + std::string(model) + "." + std::string(name);
}
std::string MoveMethod(std::string_view name) {
  return std::string(kMove) + std::string(name);
}

// A text member; empty when it is none.
std::string TextAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}
int64_t NumberAt(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
}

// SQLite's truth is 1, PostgreSQL's true.
bool IsTrue(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && (*found == true || NumberAt(object, key) != 0);
}

Json DecimalOf(const std::string& text) {
  return {{"__class__", "Decimal"}, {"decimal", text}};
}

// {"__class__": "date", "year": 2026, "month": 1, "day": 31} as "2026-01-31".
std::string DateText(const Json& value) {
  if (!value.is_object()) return "";
  char text[16];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d", static_cast<int>(NumberAt(value, "year")),
                static_cast<int>(NumberAt(value, "month")), static_cast<int>(NumberAt(value, "day")));
  return text;
}

Json DateOf(const std::string& text) {
  const CivilDate date = CivilDateOf(ParseDay(text).value_or(Day{}));
  return {{"__class__", "date"}, {"year", date.year}, {"month", date.month}, {"day", date.day}};
}

// The code of a row of another model, which `key` refers to: "account.".
std::string CodeAt(const Json& row, const char* key) {
  const auto found = row.find(key);
  return found != row.end() && found->is_object() ? TextAt(*found, "code") : "";
}

// What is compared of a line's account: with the party, where it has one.
std::string AccountOf(const std::string& code, const std::string& party) {
  return party.empty() ? code : code + " of " + party;
}

// One side of a line: (account code, is it a debit, amount without trailing zeros). What of a move is compared.
using Side = std::tuple<std::string, bool, std::string>;

// "118.50" and "118.5" are one amount.
std::optional<std::string> Plain(const std::string& decimal) {
  const ParsedDecimal parsed = ParseDecimal(decimal, 9);
  if (parsed.error != DecimalError::kNone) return std::nullopt;
  return FormatDecimal(parsed.value, 9);
}

std::optional<std::vector<Side>> Sorted(std::vector<std::tuple<std::string, std::string, std::string>> lines) {
  std::vector<Side> sides;
  for (const auto& [account, debit, credit] : lines) {
    const std::optional<std::string> plain_debit = Plain(debit), plain_credit = Plain(credit);
    if (!plain_debit || !plain_credit) return std::nullopt;
    if (*plain_debit != "0") sides.emplace_back(account, true, *plain_debit);
    if (*plain_credit != "0") sides.emplace_back(account, false, *plain_credit);
  }
  std::sort(sides.begin(), sides.end());
  return sides;
}

std::vector<Side> SidesOfBody(const Json& body) {
  std::vector<std::tuple<std::string, std::string, std::string>> lines;
  for (const Json& line : body["lines"]) {
    lines.emplace_back(AccountOf(TextAt(line, "account"), TextAt(line, "party")), TextAt(line, "debit"),
                       TextAt(line, "credit"));
  }
  return Sorted(std::move(lines)).value_or(std::vector<Side>());
}

std::string DecimalText(const Json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_object() ? TextAt(*found, "decimal") : "";
}

// Of a call that only read, or of one that only the target as a whole can answer for.
Attempt NoAnswer(const RpcAnswer& answer) {
  if (answer.came == RpcAnswer::Came::kRefused) {
    Attempt refused = Failed(DeliveryEvent::kRefused, answer.problem, answer.error);
    refused.is_denied = answer.is_denied;
    return refused;
  }
  const bool is_ambiguous = answer.problem == DeliveryProblem::kAmbiguous || answer.problem == DeliveryProblem::kNone;
  Attempt outcome =
      Failed(DeliveryEvent::kCannotAsk, is_ambiguous ? DeliveryProblem::kAvailability : answer.problem, answer.error);
  outcome.wait_nanos = answer.wait_nanos;
  outcome.pause_target = answer.is_of_target;
  return outcome;
}

// Of a call that was to write.
Attempt NotDone(const RpcAnswer& answer) {
  Attempt outcome = Failed(answer.came == RpcAnswer::Came::kRefused      ? DeliveryEvent::kRefused
                           : answer.came == RpcAnswer::Came::kNotApplied ? DeliveryEvent::kNotApplied
                                                                         : DeliveryEvent::kUnclear,
                           answer.problem, answer.error);
  outcome.wait_nanos = answer.wait_nanos;
  outcome.pause_target = answer.is_of_target;
  outcome.is_denied = answer.is_denied;
  return outcome;
}

Attempt Mapping(std::string error) {
  return Failed(DeliveryEvent::kRefused, DeliveryProblem::kMapping, std::move(error));
}

// The codes of all lines under a key, each once; of those that have one.
std::set<std::string> CodesOf(const Json& body, const char* key) {
  std::set<std::string> codes;
  for (const Json& line : body["lines"]) {
    if (const std::string code = TextAt(line, key); !code.empty()) codes.insert(code);
  }
  return codes;
}

// What is looked up in Tryton. `company`, `move`: ids, or what stands for them where it is only shown.
struct Query {
  std::string_view model;
  Json domain;
  Json fields;
  int limit = kRowsAsked;
  Json Params() const { return Json::array({domain, 0, limit, Json::array({Json::array({"id", "ASC"})}), fields}); }
};

Json Is(const char* field, const char* how, Json value) {
  return Json::array({field, how, std::move(value)});
}
Query CompanyQuery(const Json& body) {
  return {"company.company", Json::array({Is("party.name", "=", TextAt(body, "company"))}), {"currency.code"}};
}
Query JournalQuery(const Json& body) {
  return {"account.journal", Json::array({Is("code", "=", TextAt(body, "journal"))}), {"code"}};
}
Query PeriodQuery(const Json& body, const Json& company) {
  const Json date = DateOf(TextAt(body, "date"));
  return {"account.period",
          Json::array({Is("company", "=", company), Is("start_date", "<=", date), Is("end_date", ">=", date),
                       Is("type", "=", "standard")}),
          {"name", "state"}};
}
Query AccountsQuery(const Json& body, const Json& company) {
  return {"account.account",
          Json::array({Is("company", "=", company), Is("code", "in", CodesOf(body, "account"))}),
          {"code", "party_required"}};
}
Query PartiesQuery(const Json& body) {
  return {"party.party", Json::array({Is("code", "in", CodesOf(body, "party"))}), {"code"}};
}
// By our key in all companies that the user sees: targets.yaml may have named another one when it was made.
Query MovesQuery(const Json& body) {
  return {"account.move",
          Json::array({Is("description", "=", TextAt(body, "description"))}),
          {"company", "state", "number", "post_number"},
          kMovesAsked};
}
Query MoveQuery(const Json& move) {
  return {"account.move", Json::array({Is("id", "=", move)}), {"date", "journal.code"}};
}
Query LinesQuery(const Json& move) {
  return {"account.move.line", Json::array({Is("move", "=", move)}), {"account.code", "party.code", "debit", "credit"}};
}

class TrytonEmitter final : public Emitter {
 public:
  TrytonEmitter(const Target& target, const EmitterContext& context, Secret password)
      : target_(target), rpc_(Paced(MakeHttpClient(target.http), context.pace), target.user, std::move(password)) {}

  PlannedDelivery Make(const JournalBatch& batch) const override;
  absl::StatusOr<std::string> Wire(const Parcel& parcel) const override;
  std::string Show(const Parcel& parcel) const override;
  bool AsksFirst() const override { return true; }
  Attempt Ask(const Parcel& parcel) override;
  Attempt Send(const Parcel& parcel) override;
  Attempt Finish(const Parcel& parcel) override;

 private:
  struct Company {
    int64_t id = 0;
    std::string currency;
  };
  struct Move {
    int64_t id = 0;
    bool posted = false;
    std::string number;
  };
  // The move in Tryton's codes, as targets.yaml has them now. FailedPrecondition: one is missing there.
  absl::StatusOr<Json> MoveOf(const Parcel& parcel) const;
  // What a body's codes are there.
  struct Ids {
    Json company, journal, period;  // numbers, but where they are only shown
    std::map<std::string, Json> accounts, parties;
  };

  // Rows of a model; the outcome when there was no answer.
  std::optional<Attempt> Rows(const Query& query, int64_t company, std::vector<Json>* rows);
  std::optional<Attempt> FindCompany(const Json& body, Company* company);
  std::optional<Attempt> FindIds(const Json& body, const Company& company, Ids* ids);
  std::optional<Attempt> FindPeriod(const Json& body, int64_t company, Ids* ids);
  std::optional<Attempt> FindAccounts(const Json& body, int64_t company, Ids* ids);
  std::optional<Attempt> FindParties(const Json& body, int64_t company, Ids* ids);
  std::optional<Attempt> MovesOf(const Json& body, int64_t company, std::vector<Move>* moves);
  // A parcel taken apart, and all moves with its key.
  std::optional<Attempt> LookUp(const Parcel& parcel, Json* body, Company* company, std::vector<Move>* moves);
  std::optional<Attempt> Compare(const Json& body, int64_t company, const Move& move);
  Attempt Post(const Json& body, int64_t company, const Move& move);
  bool DeleteDraft(int64_t company, int64_t id);
  static Json Create(const Json& body, const Ids& ids);

  const Target target_;
  TrytonRpc rpc_;
  std::map<std::string, Company> companies_;
};

PlannedDelivery TrytonEmitter::Make(const JournalBatch& batch) const {
  return {"", batch.id, batch.posting_key, Encode(ErpJournalOf(batch))};
}

absl::StatusOr<Json> TrytonEmitter::MoveOf(const Parcel& parcel) const {
  const std::optional<ErpJournal> journal = DecodeErpJournal(parcel.body);
  if (!journal) {
    // Planned when Tryton's codes were stored in place of ours: it says all that it will ever say.
    Json move = Json::parse(parcel.body, nullptr, false);
    if (move.is_object() && move.contains("lines") && move["lines"].is_array()) return move;
    return NoStoredJournal(parcel);
  }
  const absl::StatusOr<std::string> company =
      ErpCode(target_.companies, journal->entity, "entity", "Tryton", "companies");
  if (!company.ok()) return company.status();
  const std::optional<Currency> currency = Currency::FromCode(journal->currency);
  const std::string nothing = currency ? ToString(Money{*currency, 0}) : "0";
  Json lines = Json::array();
  for (const ErpLine& line : journal->lines) {
    const auto theirs = target_.accounts.find(line.account);
    const std::string dimensions = DimensionText({line.dimensions.begin(), line.dimensions.end()});
    const absl::StatusOr<std::string> party = ErpCustomer(target_, line, "Tryton");
    if (!party.ok()) return party.status();
    lines.push_back({{"account", theirs == target_.accounts.end() ? line.account : theirs->second},
                     {"debit", line.is_debit ? line.amount : nothing},
                     {"credit", line.is_debit ? nothing : line.amount},
                     {"description", line.memo + (dimensions.empty() ? "" : ", " + dimensions)}});
    if (!party->empty()) lines.back()["party"] = *party;
  }
  return Json{{"company", *company},
              {"journal", target_.journal},
              {"currency", journal->currency},
              {"date", journal->date},
              {"description", journal->key + " " + journal->batch},
              {"lines", std::move(lines)}};
}

absl::StatusOr<std::string> TrytonEmitter::Wire(const Parcel& parcel) const {
  const absl::StatusOr<Json> move = MoveOf(parcel);
  if (!move.ok()) return move.status();
  return move->dump(-1, ' ', false, Json::error_handler_t::replace);
}

// The requests of a move that is not there, in their order. What Tryton answers to one stands in the next ones as
// "<period of 2025-01-31>".
std::string TrytonEmitter::Show(const Parcel& parcel) const {
  const absl::StatusOr<Json> move = MoveOf(parcel);
  const std::string head = "POST " + target_.http.url + "\nContent-Type: application/json\n";
  if (!move.ok()) return head + "\n(not sent: " + std::string(Std(move.status().message())) + ")\n";
  const Json& body = *move;
  const auto answered = [](const std::string& what) { return Json("<" + what + ">"); };
  Ids ids;
  ids.company = answered("company " + TextAt(body, "company"));
  ids.journal = answered("journal " + TextAt(body, "journal"));
  ids.period = answered("period of " + TextAt(body, "date"));
  for (const std::string& code : CodesOf(body, "account")) ids.accounts[code] = answered("account " + code);
  for (const std::string& code : CodesOf(body, "party")) ids.parties[code] = answered("party " + code);
  const Json made = answered("the move that was made");

  std::string text = head + "\n" + TrytonRpc::LoginRequest(target_.user, "****") + "\n";
  const auto add = [&](std::string_view method, Json params, const Json& company) {
    text +=
        "\n" + head + "Authorization: Session ****\n\n" + TrytonRpc::Request(method, std::move(params), company) + "\n";
  };
  const auto look_up = [&](const Query& query, const Json& company) {
    add(Method(query.model, "search_read"), query.Params(), company);
  };
  look_up(CompanyQuery(body), 0);
  look_up(MovesQuery(body), ids.company);
  look_up(JournalQuery(body), ids.company);
  look_up(PeriodQuery(body, ids.company), ids.company);
  look_up(AccountsQuery(body, ids.company), ids.company);
  if (!ids.parties.empty()) look_up(PartiesQuery(body), ids.company);
  add(MoveMethod("create"), Create(body, ids), ids.company);
  look_up(MoveQuery(made), ids.company);
  look_up(LinesQuery(made), ids.company);
  add(MoveMethod("post"), Json::array({Json::array({made})}), ids.company);
  return text;
}

std::optional<Attempt> TrytonEmitter::Rows(const Query& query, int64_t company, std::vector<Json>* rows) {
  RpcAnswer answer = rpc_.Call(Method(query.model, "search_read"), query.Params(), company);
  if (answer.came != RpcAnswer::Came::kResult) return NoAnswer(answer);
  if (!answer.result.is_array()) {
    answer = {};
    answer.error = "the list of " + std::string(query.model) + " is no list";
    return NoAnswer(answer);
  }
  for (Json& row : answer.result) {
    if (row.is_object()) rows->push_back(std::move(row));
  }
  return std::nullopt;
}

std::optional<Attempt> TrytonEmitter::FindCompany(const Json& body, Company* company) {
  const std::string name = TextAt(body, "company");
  if (const auto found = companies_.find(name); found != companies_.end()) {
    *company = found->second;
    return std::nullopt;
  }
  std::vector<Json> rows;
  if (auto outcome = Rows(CompanyQuery(body), 0, &rows)) return outcome;
  if (rows.size() != 1)
    return Mapping("Tryton has " + std::to_string(rows.size()) + " companies named \"" + name + "\"");
  company->id = NumberAt(rows[0], "id");
  company->currency = rows[0].contains("currency.") ? TextAt(rows[0]["currency."], "code") : "";
  companies_[name] = *company;
  return std::nullopt;
}

std::optional<Attempt> TrytonEmitter::FindPeriod(const Json& body, int64_t company, Ids* ids) {
  const std::string date = TextAt(body, "date");
  std::vector<Json> rows;
  if (auto outcome = Rows(PeriodQuery(body, ids->company), company, &rows)) return outcome;
  if (rows.size() != 1) return Mapping("Tryton has no period for " + date + ": make its fiscal year and periods");
  if (TextAt(rows[0], "state") != "open") {
    return Mapping("the period " + TextAt(rows[0], "name") +
                   " is closed in Tryton: reopen it, or book the amount by hand");
  }
  ids->period = NumberAt(rows[0], "id");
  return std::nullopt;
}

std::optional<Attempt> TrytonEmitter::FindAccounts(const Json& body, int64_t company, Ids* ids) {
  std::set<std::string> of_parties;
  for (const Json& line : body["lines"]) {
    if (!TextAt(line, "party").empty()) of_parties.insert(TextAt(line, "account"));
  }
  std::vector<Json> rows;
  if (auto outcome = Rows(AccountsQuery(body, ids->company), company, &rows)) return outcome;
  for (const Json& row : rows) {
    const std::string code = TextAt(row, "code");
    if (!ids->accounts.emplace(code, NumberAt(row, "id")).second) {
      return Mapping("Tryton has two accounts with the code " + code);
    }
    const bool has_party = of_parties.contains(code), needs_party = IsTrue(row, "party_required");
    if (needs_party && !has_party) {
      return Mapping("account " + code +
                     " needs a party in Tryton: name ours under `customer_accounts`, or map it to one without");
    }
    if (has_party && !needs_party) {
      return Mapping("account " + code + " takes no party in Tryton: leave ours out of `customer_accounts`");
    }
  }
  for (const std::string& code : CodesOf(body, "account")) {
    if (!ids->accounts.contains(code)) {
      return Mapping("company \"" + TextAt(body, "company") + "\" has no account " + code +
                     " in Tryton: add it, or map ours under `accounts`");
    }
  }
  return std::nullopt;
}

std::optional<Attempt> TrytonEmitter::FindParties(const Json& body, int64_t company, Ids* ids) {
  const std::set<std::string> codes = CodesOf(body, "party");
  if (codes.empty()) return std::nullopt;
  std::vector<Json> rows;
  if (auto outcome = Rows(PartiesQuery(body), company, &rows)) return outcome;
  for (const Json& row : rows) {
    const std::string code = TextAt(row, "code");
    if (!ids->parties.emplace(code, NumberAt(row, "id")).second) {
      return Mapping("Tryton has two parties with the code " + code);
    }
  }
  for (const std::string& code : codes) {
    if (!ids->parties.contains(code)) {
      return Mapping("Tryton has no party with the code " + code + ": add it, or mend its row of customers.csv");
    }
  }
  return std::nullopt;
}

std::optional<Attempt> TrytonEmitter::FindIds(const Json& body, const Company& company, Ids* ids) {
  if (company.currency != TextAt(body, "currency")) {
    return Mapping("the batch is in " + TextAt(body, "currency") + ", and company \"" + TextAt(body, "company") +
                   "\" keeps its books in " + company.currency + ": Tryton needs an amount in that one, too");
  }
  ids->company = company.id;
  std::vector<Json> journals;
  if (auto outcome = Rows(JournalQuery(body), company.id, &journals)) return outcome;
  if (journals.size() != 1) {
    return Mapping("Tryton has " + std::to_string(journals.size()) + " journals with the code " +
                   TextAt(body, "journal"));
  }
  ids->journal = NumberAt(journals[0], "id");
  if (auto outcome = FindPeriod(body, company.id, ids)) return outcome;
  if (auto outcome = FindAccounts(body, company.id, ids)) return outcome;
  return FindParties(body, company.id, ids);
}

std::optional<Attempt> TrytonEmitter::MovesOf(const Json& body, int64_t company, std::vector<Move>* moves) {
  std::vector<Json> rows;
  if (auto outcome = Rows(MovesQuery(body), company, &rows)) return outcome;
  for (const Json& row : rows) {
    if (NumberAt(row, "company") != company) {
      return Failed(DeliveryEvent::kDifferent, DeliveryProblem::kDifferent,
                    "move " + std::to_string(NumberAt(row, "id")) +
                        " has our key in another company of Tryton than \"" + TextAt(body, "company") +
                        "\": put the company back in targets.yaml, or delete the move there, and retry");
    }
    const std::string post_number = TextAt(row, "post_number");
    moves->push_back({NumberAt(row, "id"), TextAt(row, "state") == "posted",
                      post_number.empty() ? TextAt(row, "number") : post_number});
  }
  return std::nullopt;
}

// Nothing: the move says what the body says.
std::optional<Attempt> TrytonEmitter::Compare(const Json& body, int64_t company, const Move& move) {
  std::vector<Json> moves, rows;
  if (auto outcome = Rows(MoveQuery(move.id), company, &moves)) return outcome;
  if (auto outcome = Rows(LinesQuery(move.id), company, &rows)) return outcome;
  std::vector<std::tuple<std::string, std::string, std::string>> lines;
  for (const Json& row : rows) {
    lines.emplace_back(AccountOf(CodeAt(row, "account."), CodeAt(row, "party.")), DecimalText(row, "debit"),
                       DecimalText(row, "credit"));
  }
  const bool same_lines = Sorted(std::move(lines)) == SidesOfBody(body);
  const bool same_date =
      moves.size() == 1 && moves[0].contains("date") && DateText(moves[0]["date"]) == TextAt(body, "date");
  if (same_lines && same_date) return std::nullopt;
  return Failed(DeliveryEvent::kDifferent, DeliveryProblem::kDifferent,
                "move " + std::to_string(move.id) + " (" + (move.posted ? "posted as " : "draft ") + move.number +
                    ") has our key and says something else: look who changed it");
}

std::optional<Attempt> TrytonEmitter::LookUp(const Parcel& parcel, Json* body, Company* company,
                                             std::vector<Move>* moves) {
  absl::StatusOr<Json> move = MoveOf(parcel);
  if (!move.ok()) return RefusedHere(DeliveryProblem::kMapping, std::string(Std(move.status().message())));
  *body = *std::move(move);
  if (auto outcome = FindCompany(*body, company)) return outcome;
  return MovesOf(*body, company->id, moves);
}

Attempt TrytonEmitter::Ask(const Parcel& parcel) {
  Json body;
  Company company;
  std::vector<Move> moves;
  if (auto outcome = LookUp(parcel, &body, &company, &moves)) return *outcome;
  if (moves.empty()) {
    if (parcel.is_confirmed) return Succeeded(DeliveryEvent::kNotThere, "", "");
    Ids ids;
    if (auto outcome = FindIds(body, company, &ids)) return *outcome;
    return Succeeded(DeliveryEvent::kNotThere, "", "");
  }
  const auto posted = std::count_if(moves.begin(), moves.end(), [](const Move& move) { return move.posted; });
  if (posted > 1) {
    return Failed(DeliveryEvent::kDifferent, DeliveryProblem::kDifferent,
                  "posted " + std::to_string(posted) + " times in Tryton: reverse all but one");
  }
  // A draft beside it is a late twin, which Finish takes away.
  const auto chosen =
      posted == 1 ? std::find_if(moves.begin(), moves.end(), [](const Move& m) { return m.posted; }) : moves.begin();
  if (auto outcome = Compare(body, company.id, *chosen)) return *outcome;
  const std::string job = std::to_string(chosen->id);
  return chosen->posted && moves.size() == 1 ? Succeeded(DeliveryEvent::kConfirmed, job, chosen->number)
                                             : Succeeded(DeliveryEvent::kAccepted, job, "");
}

Json TrytonEmitter::Create(const Json& body, const Ids& ids) {
  Json lines = Json::array();
  for (const Json& line : body["lines"]) {
    lines.push_back({{"account", ids.accounts.at(TextAt(line, "account"))},
                     {"debit", DecimalOf(TextAt(line, "debit"))},
                     {"credit", DecimalOf(TextAt(line, "credit"))},
                     {"description", TextAt(line, "description")}});
    if (const std::string party = TextAt(line, "party"); !party.empty()) lines.back()["party"] = ids.parties.at(party);
  }
  const Json move = {{"journal", ids.journal},
                     {"company", ids.company},
                     {"period", ids.period},
                     {"date", DateOf(TextAt(body, "date"))},
                     {"description", TextAt(body, "description")},
                     {"lines", Json::array({Json::array({"create", std::move(lines)})})}};
  return Json::array({Json::array({move})});
}

Attempt TrytonEmitter::Send(const Parcel& parcel) {
  const absl::StatusOr<Json> move = MoveOf(parcel);
  if (!move.ok()) return RefusedHere(DeliveryProblem::kMapping, std::string(Std(move.status().message())));
  const Json& body = *move;
  Company company;
  Ids ids;
  std::optional<Attempt> outcome = FindCompany(body, &company);
  if (!outcome) outcome = FindIds(body, company, &ids);
  if (outcome) {  // nothing was written
    if (outcome->step.event == DeliveryEvent::kCannotAsk) outcome->step.event = DeliveryEvent::kNotApplied;
    return *outcome;
  }
  const RpcAnswer answer = rpc_.Call(MoveMethod("create"), Create(body, ids), company.id);
  if (answer.came != RpcAnswer::Came::kResult) return NotDone(answer);
  const Json& made = answer.result;
  if (made.is_array() && made.size() == 1 && made[0].is_number_integer()) {
    return Succeeded(DeliveryEvent::kAccepted, std::to_string(made[0].get<int64_t>()), "");
  }
  return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous, "Tryton did not say which move it made");
}

// Whether it is gone. A draft that stays is found again by the next Ask.
bool TrytonEmitter::DeleteDraft(int64_t company, int64_t id) {
  const RpcAnswer answer = rpc_.Call(MoveMethod("delete"), Json::array({Json::array({id})}), company);
  return answer.came == RpcAnswer::Came::kResult;
}

Attempt TrytonEmitter::Finish(const Parcel& parcel) {
  Json body;
  Company company;
  std::vector<Move> moves;
  if (auto outcome = LookUp(parcel, &body, &company, &moves)) return *outcome;
  const auto ours =
      std::find_if(moves.begin(), moves.end(), [&](const Move& move) { return std::to_string(move.id) == parcel.job; });
  if (ours == moves.end()) {
    return Failed(DeliveryEvent::kNotThere, DeliveryProblem::kValidation,
                  "move " + parcel.job + " is no longer in Tryton, or no longer has our key: look who took it away");
  }
  for (const Move& move : moves) {
    if (move.id == ours->id) continue;
    if (move.posted) {
      return Failed(DeliveryEvent::kDifferent, DeliveryProblem::kDifferent,
                    "move " + std::to_string(move.id) + " has our key and is posted, beside " + parcel.job);
    }
    (void)DeleteDraft(company.id, move.id);
  }
  if (auto outcome = Compare(body, company.id, *ours)) return *outcome;
  if (ours->posted) return Succeeded(DeliveryEvent::kConfirmed, parcel.job, ours->number);
  return Post(body, company.id, *ours);
}

Attempt TrytonEmitter::Post(const Json& body, int64_t company, const Move& move) {
  const RpcAnswer answer = rpc_.Call(MoveMethod("post"), Json::array({Json::array({move.id})}), company);
  if (answer.came == RpcAnswer::Came::kNotApplied || answer.wait_nanos > 0) return NotDone(answer);
  // Whatever the answer was: what the move is now says whether it is posted.
  std::vector<Move> moves;
  if (auto outcome = MovesOf(body, company, &moves)) return *outcome;
  const auto now = std::find_if(moves.begin(), moves.end(), [&](const Move& other) { return other.id == move.id; });
  if (now != moves.end() && now->posted) {
    return Succeeded(DeliveryEvent::kConfirmed, std::to_string(now->id), now->number);
  }
  if (answer.came == RpcAnswer::Came::kResult) {
    return Failed(DeliveryEvent::kUnclear, DeliveryProblem::kAmbiguous, "Tryton answered, and the move is not posted");
  }
  Attempt outcome = NotDone(answer);
  if (outcome.step.event == DeliveryEvent::kRefused) {
    const bool is_gone = now == moves.end() || DeleteDraft(company, move.id);
    outcome.step.is_nowhere = is_gone && moves.size() == (now == moves.end() ? 0 : 1);
  }
  return outcome;
}

}  // namespace

std::unique_ptr<Emitter> MakeTrytonEmitter(const Target& target, const EmitterContext& context, Secret password) {
  return std::make_unique<TrytonEmitter>(target, context, std::move(password));
}

}  // namespace tollbook
