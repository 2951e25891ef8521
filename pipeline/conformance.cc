#include "pipeline/conformance.h"

#include <algorithm>
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
  const std::span<const JsonTree> values =
      value.kind == JsonTree::Kind::kList ? std::span(value.items) : std::span(&value, 1);
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
    std::vector<Worth> got;
    for (size_t i = 0; i < case_.usage.size(); ++i) {
      absl::StatusOr<Worth> answer = QuoteOne(*parsed.catalog, i);
      if (!answer.ok()) return answer.status();
      got.push_back(*answer);
      TOLLBOOK_RETURN_IF_ERROR(LessBefore(i, &got.back()));
    }
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

  absl::StatusOr<Worth> QuoteOne(const Catalog& catalog, size_t number) {
    UsageReader reader(catalog);
    TOLLBOOK_RETURN_IF_ERROR(reader.ReadText(vector_.id, case_.usage[number]));
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
    if (!case_.period.has_value()) request.through = case_.through[number];
    request.previous_quantity = case_.previous_quantity;
    request.previous_billed = billed_;
    absl::StatusOr<Quote> quote = MakeQuote(catalog, request);
    if (!quote.ok()) return quote.status();
    for (const QuotedCharge& charge : quote->charges) result_.steps.push_back({charge.charge->name, charge.steps});
    return AnswerOf(*quote);
  }

  absl::StatusOr<Worth> AnswerOf(const Quote& quote) {
    if (case_.answer == Answer::kAllUnits) return AllUnitsOf(quote);
    for (const QuotedCharge& charge : quote.charges) {
      if (case_.before.empty() && charge.period != quote.charges.front().period)
        return absl::UnimplementedError("period: of more than one billing period");
    }
    if (case_.answer == Answer::kUnits || case_.answer == Answer::kPriced) return UnitsOf(quote);
    absl::StatusOr<std::vector<QuoteTotal>> totals = TotalsOf(quote);
    if (!totals.ok()) return totals.status();
    if (totals->empty()) return Worth();
    const Worth due = case_.rounded ? InMajorUnits(totals->front().due) : totals->front().due_exact;
    if (case_.not_below_zero && due.amount.negative())
      return absl::UnimplementedError("already_billed: more than is due");
    if (case_.answer == Answer::kAmounts && !Wide::Add(billed_->amount, due.amount, &billed_->amount))
      return absl::OutOfRangeError("the amounts billed do not fit");
    return due;
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
  std::optional<Worth> billed_;  // before the quote at hand
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
