// A batch in Tryton's codes: those of targets.yaml at the time, put into ours; and bodies of before, which had them.
#include "pipeline/emit/tryton.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pipeline/emit/erp_journal.h"

namespace tollbook {
namespace {

using testing::HasSubstr;

Target Codes() {
  Target target;
  target.kind = TargetKind::kTryton;
  target.journal = "USAGE";
  target.companies = {{"us", "Acme US"}};
  target.accounts = {{"4000", "410"}};
  return target;
}

std::string Stored() {
  ErpJournal journal{"tb-key", "us-USD-2025-01-0001", "us", "USD", "2025-01-31", {}};
  journal.lines.push_back({"1200", true, "118.50", "api, 2025-01-31", {{"region", "eu"}}});
  journal.lines.push_back({"4000", false, "118.50", "api, 2025-01-31", {}});
  return Encode(journal);
}

std::string Shown(const Target& target, const std::string& body) {
  EmitterContext context;
  context.with_secrets = false;
  const absl::StatusOr<std::unique_ptr<Emitter>> emitter = MakeEmitter(target, context);
  EXPECT_TRUE(emitter.ok()) << emitter.status();
  Parcel parcel;
  parcel.body = body;
  return (*emitter)->Show(parcel);
}

constexpr const char* kMove =
    R"({"company":"Acme US","journal":"USAGE","currency":"USD","date":"2025-01-31",)"
    R"("description":"tb-key us-USD-2025-01-0001","lines":[)"
    R"({"account":"1200","debit":"118.50","credit":"0.00","description":"api, 2025-01-31, region=eu"},)"
    R"({"account":"410","debit":"0.00","credit":"118.50","description":"api, 2025-01-31"}]})";

TEST(TrytonMove, HasTheCodesOfTargetsYaml) {
  EXPECT_THAT(Shown(Codes(), Stored()), HasSubstr(kMove));
  Target mended = Codes();
  mended.accounts["4000"] = "420";
  EXPECT_THAT(Shown(mended, Stored()), HasSubstr(R"({"account":"420","debit":"0.00")")) << "of the same stored bytes";
  mended.companies.clear();
  EXPECT_THAT(Shown(mended, Stored()), HasSubstr("entity \"us\" has no code in Tryton"));
}

// As bodies were stored before: they say what they said.
TEST(TrytonMove, OfABodyWithTrytonsCodesIsThatBody) {
  Target other = Codes();
  other.accounts["410"] = "999";
  EXPECT_THAT(Shown(other, kMove), HasSubstr(kMove));
  EXPECT_THAT(Shown(other, "{}"), HasSubstr("the stored journal cannot be read"));
}

}  // namespace
}  // namespace tollbook
