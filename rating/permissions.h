// Permissions: who may decide what about a legal entity's books: `may` in entities.yaml.
#ifndef TOLLBOOK_RATING_PERMISSIONS_H_
#define TOLLBOOK_RATING_PERMISSIONS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rating/error.h"

namespace tollbook {

class Catalog;

enum class Act : uint8_t {
  kAdjust,   // book into soft-closed periods
  kReopen,   // open an accounting period, or open it again
  kApprove,  // approve or reject a batch that is held
  kClose,    // soft-close or close an accounting period
};
inline constexpr int kActs = 4;

// Of one entity. An act without a rule is everybody's.
struct Permissions {
  struct Rule {
    // "Ann": whoever decides it in her name (--by). "account:ann": whoever runs it under that account of the operating
    // system, in whatever name.
    std::vector<std::string> names;
    int line = 0;  // of entities.yaml
  };
  std::array<std::optional<Rule>, kActs> rules;  // by Act
};

// Who decides: the name that is given, and the account that runs the command; empty: not known, and no rule's.
struct Actor {
  std::string_view by;
  std::string_view account;
};

// The one place where a decision is measured by the catalog. PermissionDenied: it names the rule's line, and who may.
[[nodiscard]] absl::Status CheckPermission(const Catalog& catalog, std::string_view entity, Act act,
                                           const Actor& actor);

}  // namespace tollbook

#endif  // TOLLBOOK_RATING_PERMISSIONS_H_
