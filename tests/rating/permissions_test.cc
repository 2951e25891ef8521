// Who may decide what: by the name that is given, or by the account that runs the command.
#include "rating/permissions.h"

#include <gtest/gtest.h>

#include "tests/rating/small_catalog.h"

namespace tollbook {
namespace {

constexpr char kEntities[] =
    "entities:\n"
    "  - name: acme\n"
    "    functional_currency: USD\n"
    "    may:\n"
    "      close: [Ann, Bea]\n"
    "      approve: [\"account:fin\", Ann]\n"
    "      reopen: [account:fin]\n"
    "  - {name: globex, functional_currency: USD}\n";

struct Case {
  const char* name;
  const char* entity;
  Act act;
  Actor actor;
  const char* refusal;  // empty: it is allowed
};
constexpr Case kCases[] = {
    {"one of the names", "acme", Act::kClose, {"Bea", "root"}, ""},
    {"another name",
     "acme",
     Act::kClose,
     {"Zoe", "root"},
     "not one of those who may close periods of acme: Zoe, by the account root: entities.yaml:5 has close: [Ann, Bea]; "
     "have one of them decide it"},
    {"a name of other letters",
     "acme",
     Act::kClose,
     {"ann", ""},
     "not one of those who may close periods of acme: ann"},
    {"an account is no name", "acme", Act::kClose, {"Zoe", "Ann"}, "not one of those who may close periods"},
    {"an account, in whatever name", "acme", Act::kApprove, {"Zoe", "fin"}, ""},
    {"a name, by whatever account", "acme", Act::kApprove, {"Ann", "root"}, ""},
    {"neither", "acme", Act::kApprove, {"Zoe", "root"}, "entities.yaml:6 has approve: [account:fin, Ann]"},
    {"who calls himself by the account", "acme", Act::kReopen, {"account:fin", "root"}, "who may open periods of acme"},
    {"or by its name", "acme", Act::kReopen, {"fin", "root"}, "who may open periods of acme"},
    {"an account that is not known", "acme", Act::kReopen, {"fin", ""}, "who may open periods of acme: fin: entities"},
    {"what nothing is said of", "acme", Act::kAdjust, {"Zoe", "root"}, ""},
    {"an entity that says nothing", "globex", Act::kClose, {"Zoe", "root"}, ""},
    {"an entity that is no more", "initech", Act::kClose, {"Zoe", "root"}, ""},
};

TEST(Permissions, AreByNameOrByAccount) {
  const Catalog catalog = SmallCatalog("      - {name: calls, meter: calls, model: per_unit, price: 1, product: x}\n",
                                       {{"entities.yaml", kEntities}});
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const absl::Status status = CheckPermission(catalog, c.entity, c.act, c.actor);
    if (*c.refusal == '\0') {
      EXPECT_TRUE(status.ok()) << status;
      continue;
    }
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_NE(Std(status.message()).find(c.refusal), std::string_view::npos) << status.message();
  }
}

}  // namespace
}  // namespace tollbook
