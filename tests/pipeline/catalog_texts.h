// CatalogTexts: a catalog as tests make one up, row by row, and the files that say it.
#ifndef TOLLBOOK_TESTS_PIPELINE_CATALOG_TEXTS_H_
#define TOLLBOOK_TESTS_PIPELINE_CATALOG_TEXTS_H_

#include <map>
#include <string>
#include <vector>

#include "rating/catalog.h"
#include "rating/error.h"

namespace tollbook {

// Every member is the text that the file will hold; an empty one is left out.
struct CatalogTexts {
  struct Entity {
    std::string name, currency, zone;
    std::string more = {};  // other keys, as the file has them: "late_usage: refuse"
  };
  struct Meter {
    std::string name, event_type, aggregation, value, granularity;
    std::vector<std::string> dimensions;
    bool allow_negative = false;
    std::map<std::string, std::string> more = {};  // other keys
  };
  struct Tier {
    std::string up_to, price, flat;
  };
  struct Charge {
    std::string plan, name, meter, product, model, included, per, price, package_size;
    std::map<std::string, std::string> filter;
    std::vector<Tier> tiers;
    bool flat_at_zero = false;
    std::string more = {};  // other keys, as the file has them: "maximum: 100, cells: [...]"
  };
  struct Plan {
    std::string name, currency;
    std::string more = {};  // other keys, as the file has them: "billing_period: 1 year"
  };
  struct Posting {
    std::string product, entity, debit, credit;
    bool by_period = false;
    std::map<std::string, std::string> scope = {};  // class, region, charge …
    std::string deferred = {};                      // account: recognised day by day
    std::string more = {};                          // members of the flow mapping
  };
  struct Contract {
    std::string plan, term;
    std::vector<std::string> obligations;  // each as the file has it: "{charge: platform, stand_alone_price: 100}"
  };
  struct Subscription {
    std::string id, plan, entity, currency, from, to, subject, zone;
    std::string billing_anchor = {}, quantity = {}, customer_class = {}, region = {};
    std::string account = {};  // empty: one of its own
  };

  std::string zone = "UTC";
  std::string rounding = "half_up";
  std::string book_more;  // more lines of book.yaml
  std::string targets;    // entries of targets.yaml, a line each
  std::vector<Entity> entities;
  std::vector<Meter> meters;
  std::vector<Plan> plans;
  std::vector<Charge> charges;
  std::vector<Posting> postings;
  std::vector<Contract> contracts;
  std::vector<Subscription> subscriptions;
  // Rows; columns left out at the end are empty. Of grants.csv, unit_grants.csv, discounts.csv, fx.csv.
  std::vector<std::string> grants;
  std::vector<std::string> unit_grants;
  std::vector<std::string> discounts;
  std::vector<std::string> exchange_rates;

  std::map<std::string, std::string> Files() const;
};

inline constexpr char kTestBook[] = "test";

// All errors, one a line, when the catalog is refused.
[[nodiscard]] absl::StatusOr<Catalog> Parse(const CatalogTexts& texts);

}  // namespace tollbook

#endif  // TOLLBOOK_TESTS_PIPELINE_CATALOG_TEXTS_H_
