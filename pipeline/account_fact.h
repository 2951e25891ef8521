// AccountFact: what can be told of how an account stands: the words that `fields` of targets.yaml maps.
#ifndef TOLLBOOK_PIPELINE_ACCOUNT_FACT_H_
#define TOLLBOOK_PIPELINE_ACCOUNT_FACT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tollbook {

enum class AccountFact : uint8_t {
  kMonth,          // that the others are of
  kPostingStatus,  // of the month's batches
  kPostedAt,
  kUsage,  // of a charge, in the month; and in the one before
  kUsageBefore,
  kSpend,  // of a currency, in the month; and in the one before
  kSpendBefore,
  kCreditUsed,  // what grants paid of the spend
  kOverage,     // what they did not, of who has any
  kGranted,     // by grants in force
  kCreditLeft,  // of all grants
  kCommitted,   // by a charge or a plan, for the billing period at hand; what counts towards it; what is missing
  kCommittedSpend,
  kCommittedLeft,
};

// Of what there is one fact each.
enum class FactOf : uint8_t { kAccount, kCharge, kCurrency, kCommitment };

struct AccountFactWord {
  std::string_view word;  // as `fields` has it: "usage/calls", "spend/USD"
  AccountFact fact;
  FactOf of;
};
inline constexpr std::array<AccountFactWord, 14> kAccountFacts = {{
    {"month", AccountFact::kMonth, FactOf::kAccount},
    {"posting_status", AccountFact::kPostingStatus, FactOf::kAccount},
    {"posted_at", AccountFact::kPostedAt, FactOf::kAccount},
    {"usage", AccountFact::kUsage, FactOf::kCharge},
    {"usage_before", AccountFact::kUsageBefore, FactOf::kCharge},
    {"spend", AccountFact::kSpend, FactOf::kCurrency},
    {"spend_before", AccountFact::kSpendBefore, FactOf::kCurrency},
    {"credit_used", AccountFact::kCreditUsed, FactOf::kCurrency},
    {"overage", AccountFact::kOverage, FactOf::kCurrency},
    {"granted", AccountFact::kGranted, FactOf::kCurrency},
    {"credit_left", AccountFact::kCreditLeft, FactOf::kCurrency},
    {"committed", AccountFact::kCommitted, FactOf::kCommitment},
    {"committed_spend", AccountFact::kCommittedSpend, FactOf::kCommitment},
    {"committed_left", AccountFact::kCommittedLeft, FactOf::kCommitment},
}};

// A fact that a target is told, and where it stands there.
struct AccountField {
  AccountFact fact = AccountFact::kMonth;
  std::string of;     // the charge, "plan/charge", or the currency; of a plan's minimum "minimum"
  std::string field;  // its name there
};

inline constexpr bool IsOfCommitment(AccountFact fact) {
  return fact == AccountFact::kCommitted || fact == AccountFact::kCommittedSpend || fact == AccountFact::kCommittedLeft;
}

inline constexpr bool IsOfPosting(AccountFact fact) {
  return fact == AccountFact::kPostingStatus || fact == AccountFact::kPostedAt;
}

// "usage/starter/calls": none where it is no fact. The field is still to be said.
inline std::optional<AccountField> ParseAccountFact(std::string_view text) {
  const size_t slash = text.find('/');
  for (const AccountFactWord& known : kAccountFacts) {
    if (text.substr(0, slash) != known.word) continue;
    const bool is_of_something = slash != std::string_view::npos && slash + 1 < text.size();
    if (is_of_something != (known.of != FactOf::kAccount) || (!is_of_something && slash != std::string_view::npos)) {
      return std::nullopt;
    }
    return AccountField{known.fact, is_of_something ? std::string(text.substr(slash + 1)) : "", ""};
  }
  return std::nullopt;
}

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ACCOUNT_FACT_H_
