// What several seals booked, summed up, and what is left to book: against maps.
#include "pipeline/shard_booked.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "rating/error.h"
#include "tests/rating/seed.h"

namespace tollbook {
namespace {

using Amounts = std::map<BookedKey, Int128>;

constexpr BillingPeriod kPeriods[] = {{{0}, {31}}, {{31}, {59}}};

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}
  size_t UpTo(size_t most) { return random_() % (most + 1); }

 private:
  std::mt19937_64 random_;
};

std::deque<BookedPlace> SomePlaces() {
  const Currency usd = *Currency::FromCode("USD");
  return {{"pro", "calls", "api", "acme", usd, "1200", "4000", ""},
          {"pro", "mails", "mail", "acme", usd, "1200", "4010", ""},
          {"pro", "mails", "mail", "acme", usd, "1200", "4020", ""},
          {"starter", "calls", "api", "acme", usd, "1200", "4000", ""}};
}

BookedKey RandomKey(Dice& dice, const std::deque<BookedPlace>& places, std::string_view subject) {
  const BillingPeriod period = kPeriods[dice.UpTo(1)];
  const Day day{period.start.number + static_cast<int32_t>(dice.UpTo(2))};
  return {dice.UpTo(4) == 0 ? "contract" : subject, &places[dice.UpTo(places.size() - 1)], period, day};
}

// Zeros left out, as a book has them.
std::vector<BookedAmount> Listed(const Amounts& amounts) {
  std::vector<BookedAmount> listed;
  for (const auto& [key, minor] : amounts) {
    if (minor != 0) listed.push_back({key, minor});
  }
  return listed;
}

std::string Text(std::span<const BookedAmount> amounts) {
  std::string text;
  for (const BookedAmount& amount : amounts) {
    text.append(amount.key.subscription).append(" ").append(amount.key.place->plan).append(" ");
    text.append(amount.key.place->charge).append(" ").append(amount.key.place->credit).append(" ");
    text += ToString(amount.key.usage_date) + " " + FormatDecimal(amount.minor, 0) + "\n";
  }
  return text;
}

TEST(ShardBooked, SumsWhatAllSealsBooked) {
  Dice dice(TestSeed());
  const std::vector<std::string> subjects = {"s1", "s2", "s3", "s4"};
  const std::deque<BookedPlace> places = SomePlaces();
  for (int round = 0; round < 500; ++round) {
    std::map<std::string, Amounts> expected;
    std::vector<StoredRun> runs;
    for (size_t seals = dice.UpTo(4); seals > 0; --seals) {
      DifferenceRunWriter writer;
      for (const std::string& subject : subjects) {
        if (dice.UpTo(2) == 0) continue;
        Amounts of_seal;
        for (size_t i = dice.UpTo(6); i > 0; --i) {
          of_seal[RandomKey(dice, places, subject)] = static_cast<Int128>(dice.UpTo(4)) - 2;
        }
        writer.BeginSubject(subject, static_cast<uint32_t>(of_seal.size()));
        for (const auto& [key, minor] : of_seal) {
          writer.Add(key, minor, 0);
          expected[subject][key] += minor;
        }
      }
      runs.push_back({runs.size() + 1, writer.Finish(std::vector<LineRef>{{0, 1}})});
    }
    Catalog catalog;
    BookedPlaces taken(catalog);
    ShardBooked all(taken, std::nullopt), only(taken, "s2");
    for (const StoredRun& run : runs) {
      ASSERT_TRUE(all.Add(run).ok());
      ASSERT_TRUE(only.Add(run).ok());
    }
    all.Sum();
    only.Sum();
    for (const std::string& subject : subjects) {
      ASSERT_EQ(Text(all.Of(subject)), Text(Listed(expected[subject]))) << "round " << round;
    }
    ASSERT_EQ(Text(only.Of("s2")), Text(Listed(expected["s2"])));
    ASSERT_TRUE(only.Of("s1").empty());
    ASSERT_TRUE(all.Of("s9").empty());
  }
}

// A plan with these charges, each under its own name as product, and the rules.
Catalog CatalogOf(const std::vector<std::string>& charges, const std::vector<PostingRule>& rules) {
  Catalog catalog;
  Plan& plan = catalog.plans.emplace_back();
  plan.name = "starter";
  for (const std::string& name : charges) {
    Charge& charge = plan.charges.emplace_back();
    charge.name = charge.product = name;
    if (name == "platform") charge.fee.emplace().in_advance = true;
  }
  catalog.posting_rules = rules;
  return catalog;
}

// Runs of before 2026-11-30 say what a line is by its name alone. So these have all that such a line is stored with:
// that of a charge of its name, which a rule posts to the usual account, and that of the line which a rule makes of
// another.
TEST(ShardBooked, AChargeOfTheCatalogIsReadAsOneWhateverItsName) {
  PostingRule usual, delivering, accruing, deferring, of_others;
  delivering.delivered_by = "acme-eu";
  delivering.due_from = "1500";
  accruing.accrued = "1250";
  deferring.recognition = Recognition::kRatable;
  deferring.deferred = "2400";
  of_others = delivering;
  of_others.product = "mails";
  const std::vector<std::string> both = {"messages", "delivered messages"};
  struct Case {
    std::string what;
    std::vector<std::string> charges;
    std::vector<PostingRule> rules;
    BookedPlace stored;
    BookedAs as;
  };
  const auto place = [](BookedAs as, std::string_view charge, std::string_view product, std::string_view debit) {
    return BookedPlace{"starter", charge, product, "acme", *Currency::FromCode("USD"), debit, "4000", "", as};
  };
  const BookedPlace side = place(BookedAs::kDelivered, "delivered messages", "messages", "1500"),
                    charge = place(BookedAs::kDelivered, "delivered messages", "delivered messages", "1200");
  const std::vector<Case> cases = {
      {"the charge alone", {"delivered messages"}, {delivering}, charge, BookedAs::kRated},
      {"no such charge", {"messages"}, {delivering}, side, BookedAs::kDelivered},
      {"no charge at all", {}, {}, side, BookedAs::kDelivered},
      {"both, and no rule makes the line", both, {usual}, charge, BookedAs::kRated},
      {"both, and a rule for others does", both, {usual, of_others}, charge, BookedAs::kRated},
      {"both, and the line", both, {delivering}, side, BookedAs::kDelivered},
      {"both, and the charge", both, {delivering}, charge, BookedAs::kRated},
      {"the charge on the same account",
       both,
       {delivering},
       place(BookedAs::kDelivered, "delivered messages", "delivered messages", "1500"),
       BookedAs::kRated},
      {"the charge of the same product",
       both,
       {delivering},
       place(BookedAs::kDelivered, "delivered messages", "messages", "1200"),
       BookedAs::kRated},
      {"accrued, the line",
       {"interest", "accrued interest"},
       {accruing},
       place(BookedAs::kAccrued, "accrued interest", "interest", "1250"),
       BookedAs::kAccrued},
      {"accrued, the charge",
       {"interest", "accrued interest"},
       {accruing},
       place(BookedAs::kAccrued, "accrued interest", "accrued interest", "1200"),
       BookedAs::kRated},
      {"recognised, the line",
       {"platform", "recognised platform"},
       {deferring},
       place(BookedAs::kRecognised, "recognised platform", "platform", "2400"),
       BookedAs::kRecognised},
      {"recognised, the charge",
       {"platform", "recognised platform"},
       {deferring},
       place(BookedAs::kRecognised, "recognised platform", "recognised platform", "1200"),
       BookedAs::kRated},
      {"recognised of what is no fee",
       {"faces", "recognised faces"},
       {deferring},
       place(BookedAs::kRecognised, "recognised faces", "faces", "2400"),
       BookedAs::kRated}};
  for (const Case& c : cases) {
    const Catalog catalog = CatalogOf(c.charges, c.rules);
    DifferenceRunWriter writer;
    writer.BeginSubject("s1", 1);
    writer.Add({"s1", &c.stored, {}, {}}, 100, 0);
    const StoredRun run{1, writer.Finish(std::vector<LineRef>{{0, 1}})};
    BookedPlaces taken(catalog);
    ShardBooked booked(taken, std::nullopt);
    ASSERT_TRUE(booked.Add(run).ok());
    booked.Sum();
    ASSERT_EQ(booked.Of("s1").size(), 1u);
    EXPECT_EQ(booked.Of("s1")[0].key.place->as, c.as) << c.what;
  }
}

TEST(LessBooked, LeavesWhatIsDueAndNotBookedYet) {
  Dice dice(TestSeed());
  const std::deque<BookedPlace> places = SomePlaces();
  for (int round = 0; round < 5'000; ++round) {
    Amounts due, booked, expected;
    const Day through{static_cast<int32_t>(dice.UpTo(40))};
    const bool all = dice.UpTo(1) == 0;
    for (size_t i = dice.UpTo(8); i > 0; --i) {
      const BookedKey key = RandomKey(dice, places, "s1");
      if (all || key.usage_date <= through) due[key] = 1 + static_cast<Int128>(dice.UpTo(2));
    }
    for (size_t i = dice.UpTo(8); i > 0; --i) {
      booked[RandomKey(dice, places, "s1")] = 1 + static_cast<Int128>(dice.UpTo(2));
    }
    expected = due;
    for (const auto& [key, minor] : booked) {
      if (all || key.usage_date <= through) expected[key] -= minor;
    }
    std::vector<BookedAmount> differences;
    LessBooked(Listed(due), Listed(booked), all ? std::nullopt : std::optional(through), &differences);
    ASSERT_EQ(Text(differences), Text(Listed(expected))) << "round " << round;
  }
}

}  // namespace
}  // namespace tollbook
