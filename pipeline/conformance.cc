#include "pipeline/conformance.h"

#include <algorithm>
#include <map>
#include <optional>

#include "pipeline/usage_reader.h"
#include "pipeline/vector_case.h"
#include "rating/catalog_text.h"
#include "rating/quote.h"

namespace tollbook {
namespace {

using Answer = TranslatedCase::Answer;
using Verdict = VectorResult::Verdict;

absl::StatusOr<Worth> ExactDecimal(const JsonTree& tree) {
  const bool is_text = tree.kind == JsonTree::Kind::kText;
  const ParsedDecimal parsed = ParseDecimal(tree.text, 18);
  if (is_text && parsed.error == DecimalError::kNone) return Worth{Wide::Product(parsed.value, kOneUnit)};
  return MakeError(absl::StatusCode::kInvalidArgument, "what is expected is no decimal", tree.text,
                   "write it as a text of at most 18 places");
}

absl::StatusOr<std::vector<Worth>> ExpectedOf(const JsonTree& expected) {
  const JsonTree& value = expected.items.front();
  const std::span<const JsonTree> values = value.kind == JsonTree::Kind::kList || value.kind == JsonTree::Kind::kMap
                                               ? std::span(value.items)
                                               : std::span(&value, 1);
  std::vector<Worth> all;
  for (const JsonTree& one : values) {
    absl::StatusOr<Worth> decimal = ExactDecimal(one);
    if (!decimal.ok()) return decimal.status();
    all.push_back(*decimal);
  }
  return all;
}

std::string TextOf(std::span<const Worth> values) {
  std::string text;
  for (const Worth& value : values) text.append(text.empty() ? "" : " ").append(ToString(value));
  return text;
}

Worth InUnits(Quantity quantity) {
  return {Wide::Product(quantity.attos, kOneUnit)};
}

Worth InMajorUnits(const Money& money) {
  return {Wide::Product(ParseDecimal(ToString(money), 18).value, kOneUnit)};
}

class VectorRunner {
 public:
  explicit VectorRunner(const VectorCase& vector, VectorResult* result) : vector_(vector), result_(*result) {}

  // Unimplemented: unsupported, by name.
  absl::Status Run() {
    absl::StatusOr<TranslatedCase> translated = Translate(vector_);
    if (!translated.ok()) return translated.status();
    case_ = *std::move(translated);
    absl::StatusOr<std::vector<Worth>> expected = ExpectedOf(vector_.expected);
    if (!expected.ok()) return expected.status();
    result_.expected = TextOf(*expected);

    ParsedCatalog parsed = ParseCatalog(case_.catalog);
    if (!parsed.catalog.has_value()) return absl::InvalidArgumentError(Abs(ToString(parsed.errors.front())));
    billed_ = case_.previous_billed;
    rounding_ = parsed.catalog->book.rounding;
    std::vector<Worth> got;
    if (case_.answer == Answer::kBalances || case_.answer == Answer::kNetMinor) {
      absl::StatusOr<Quote> quote = MakeOne(*parsed.catalog, 0);
      if (!quote.ok()) return quote.status();
      TOLLBOOK_RETURN_IF_ERROR(case_.answer == Answer::kBalances ? AppendBalances(*quote, &got)
                                                                 : AppendNetLines(*quote, &got));
    }
    const size_t quotes = got.empty() ? case_.usage.size() : 0;
    for (size_t i = 0; i < quotes; ++i) {
      absl::StatusOr<Worth> answer = QuoteOne(*parsed.catalog, i);
      if (!answer.ok()) return answer.status();
      got.push_back(*answer);
      TOLLBOOK_RETURN_IF_ERROR(LessBefore(i, &got.back()));
    }
    if (case_.answer == Answer::kCredited) TOLLBOOK_RETURN_IF_ERROR(KeepCredit(&got));
    result_.got = TextOf(got);
    result_.verdict = got == *expected ? Verdict::kPassed : Verdict::kFailed;
    return absl::OkStatus();
  }

 private:
  absl::Status LessBefore(size_t number, Worth* answer) {
    if (case_.before.empty()) return absl::OkStatus();
    ParsedCatalog parsed = ParseCatalog(case_.before);
    if (!parsed.catalog.has_value()) return absl::InvalidArgumentError(Abs(ToString(parsed.errors.front())));
    absl::StatusOr<Worth> before = QuoteOne(*parsed.catalog, number);
    if (!before.ok()) return before.status();
    const bool fits = Wide::Subtract(answer->amount, before->amount, &answer->amount);
    return fits ? absl::OkStatus() : absl::OutOfRangeError("what is due does not fit");
  }

  // What is expected is of each grant by its id.
  absl::Status AppendBalances(const Quote& quote, std::vector<Worth>* got) const {
    for (const std::string& id : vector_.expected.items.front().keys) {
      const auto balance =
          std::ranges::find_if(quote.unit_balances, [&](const UnitBalance& one) { return one.grant->id == id; });
      if (balance == quote.unit_balances.end()) return absl::InvalidArgumentError(Abs("no balance of grant " + id));
      got->push_back(InUnits(balance->left));
    }
    return absl::OkStatus();
  }

  // Charges come by their names, and the line of a charge's discount is named after it.
  static absl::Status AppendNetLines(const Quote& quote, std::vector<Worth>* got) {
    std::map<std::string, Int128> net;
    for (const QuotedCharge& charge : quote.charges) {
      constexpr std::string_view kDiscount = "discount ";
      net[charge.charge->is_discount ? charge.charge->name.substr(kDiscount.size()) : charge.charge->name] +=
          charge.due.minor;
    }
    for (const auto& [name, minor] : net) got->push_back({Wide::Product(minor * kOneUnit, kOneUnit)});
    return absl::OkStatus();
  }

  // Of the last two quotes; where more is due, nothing is credited.
  static absl::Status KeepCredit(std::vector<Worth>* got) {
    TOLLBOOK_ASSERT(got->size() >= 2);
    Worth credit;
    if (!Wide::Subtract((*got)[got->size() - 2].amount, got->back().amount, &credit.amount))
      return absl::OutOfRangeError("the credit does not fit");
    *got = {credit.amount.negative() ? Worth() : credit};
    return absl::OkStatus();
  }

  absl::StatusOr<Worth> QuoteOne(const Catalog& catalog, size_t number) {
    absl::StatusOr<Quote> quote = MakeOne(catalog, number);
    return quote.ok() ? AnswerOf(*quote) : quote.status();
  }

  absl::StatusOr<Quote> MakeOne(const Catalog& catalog, size_t number) {
    UsageReader reader(catalog);
    TOLLBOOK_RETURN_IF_ERROR(reader.ReadText(vector_.id, case_.usage[number]));
    TOLLBOOK_RETURN_IF_ERROR(reader.Finish());
    if (!reader.first_unused().empty()) {
      return MakeError(absl::StatusCode::kInvalidArgument, "usage that is none",
                       "number " + std::to_string(reader.first_unused().front().line),
                       std::string(ToString(reader.first_unused().front().reason)));
    }
    QuoteRequest request;
    request.subject = kQuotedSubject;
    const std::vector<SubjectTotal> totals = reader.TotalsOf(kQuotedSubject);
    request.usage = totals;
    request.period = case_.period;
    const bool is_of_several = case_.answer == Answer::kCredited;
    if (!case_.period.has_value() || is_of_several) request.through = case_.through[number];
    request.previous_quantity = case_.previous_quantity;
    request.previous_billed = billed_;
    absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
    if (!quote.ok()) return quote.status();
    for (const QuotedCharge& charge : quote->charges) result_.steps.push_back({charge.charge->name, charge.steps});
    return quote;
  }

  absl::StatusOr<Worth> AnswerOf(const Quote& quote) {
    if (case_.answer == Answer::kAllUnits) return AllUnitsOf(quote);
    for (const QuotedCharge& charge : quote.charges) {
      if (case_.before.empty() && charge.period != quote.charges.front().period)
        return absl::UnimplementedError("period: of more than one billing period");
    }
    if (case_.answer == Answer::kUnits || case_.answer == Answer::kPriced) return UnitsOf(quote);
    if (case_.answer == Answer::kOff) return OffOf(quote);
    absl::StatusOr<std::vector<QuoteTotal>> totals = TotalsOf(quote);
    if (!totals.ok()) return totals.status();
    if (totals->empty()) return Worth();
    if (case_.tax.has_value()) return WithTax(totals->front());
    const Worth due = case_.rounded ? InMajorUnits(totals->front().due) : totals->front().due_exact;
    if (case_.not_below_zero && due.amount.negative())
      return absl::UnimplementedError("already_billed: more than is due");
    if (case_.answer == Answer::kAmounts && !Wide::Add(billed_->amount, due.amount, &billed_->amount))
      return absl::OutOfRangeError("the amounts billed do not fit");
    return due;
  }

  absl::StatusOr<Worth> WithTax(const QuoteTotal& total) const {
    absl::StatusOr<Money> tax = EstimateTax(total, *case_.tax, rounding_);
    if (!tax.ok()) return tax.status();
    absl::StatusOr<Money> together = Add(total.due, *tax);
    if (!together.ok()) return together.status();
    return InMajorUnits(*together);
  }

  static absl::StatusOr<Worth> OffOf(const Quote& quote) {
    Worth off;
    for (const QuotedCharge& charge : quote.charges) {
      if (!charge.charge->is_discount) continue;
      if (!Wide::Subtract(off.amount, InMajorUnits(charge.due).amount, &off.amount))
        return absl::OutOfRangeError("the discounts do not fit");
    }
    return off;
  }

  static absl::StatusOr<Worth> AllUnitsOf(const Quote& quote) {
    Quantity sum;
    for (const QuotedCharge& charge : quote.charges) {
      if (!Add(sum, charge.quantity, &sum)) return absl::OutOfRangeError("the units do not fit");
    }
    return InUnits(sum);
  }

  absl::StatusOr<Worth> UnitsOf(const Quote& quote) const {
    if (quote.charges.empty()) return Worth();
    const QuotedCharge& charge = quote.charges.front();
    return InUnits(case_.answer == Answer::kPriced ? charge.converted.value_or(charge.quantity) : charge.quantity);
  }

  const VectorCase& vector_;
  VectorResult& result_;
  TranslatedCase case_;
  std::optional<Worth> billed_;            // before the quote at hand
  Rounding rounding_ = Rounding::kHalfUp;  // of the case's catalog
};

}  // namespace

std::string_view ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPassed:
      return "passed";
    case Verdict::kFailed:
      return "failed";
    case Verdict::kUnsupported:
      return "unsupported";
  }
  TOLLBOOK_ASSERT(!"a verdict of the list");
  return "";
}

VectorResult RunVector(const VectorCase& vector) {
  VectorResult result;
  result.file = vector.file;
  result.id = vector.id;
  result.model = vector.model;
  const absl::Status ran = VectorRunner(vector, &result).Run();
  if (ran.ok()) return result;
  result.verdict = ran.code() == absl::StatusCode::kUnimplemented ? Verdict::kUnsupported : Verdict::kFailed;
  result.why = Std(ran.message());
  return result;
}

std::map<std::string, VerdictCounts> CountByModel(std::span<const VectorResult> results) {
  std::map<std::string, VerdictCounts> counts;
  for (const VectorResult& result : results) {
    VerdictCounts& of_model = counts[result.model];
    of_model.passed += result.verdict == Verdict::kPassed;
    of_model.failed += result.verdict == Verdict::kFailed;
    of_model.unsupported += result.verdict == Verdict::kUnsupported;
  }
  return counts;
}

}  // namespace tollbook
