#include "pipeline/subject_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "pipeline/decode.h"

namespace tollbook {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

SubjectLines Of(std::initializer_list<std::string_view> subjects) {
  SubjectLines lines;
  for (const std::string_view subject : subjects) lines.Add(subject);
  return lines;
}

TEST(SubjectLines, PassOverOnlyWhatCannotBeTheirs) {
  constexpr struct {
    const char* name;
    const char* line;
    bool may_hold;
  } kCases[] = {
      {"its own", R"({"id":"1","subject":"s1","data":{"value":1}})", true},
      {"another's", R"({"id":"1","subject":"s2","data":{"value":1}})", false},
      {"one that begins like it", R"({"subject":"s11"})", false},
      {"one that it begins like", R"({"subject":"s"})", false},
      {"the other one of two", R"({"subject":"tenant/2"})", true},
      {"a character of more bytes", R"({"subject":"Zoë"})", true},
      {"blanks", "{ \"subject\" \t:\t \"s1\" }", true},
      {"none", R"({"id":"1","data":{"value":1}})", false},
      {"its name elsewhere", R"({"id":"s1","source":"s1","subject":"s2"})", false},
      {"first in what it carries", R"({"data":{"subject":"s2"},"subject":"s1"})", true},
      {"only in what it carries", R"({"data":{"subject":"s1"},"subject":"s2"})", true},
      {"twice, the last one counts", R"({"subject":"s2","subject":"s1"})", true},
      {"as a value before it", R"({"id":"subject","subject":"s1"})", true},
      {"of several in a line", R"([{"subject":"s2"},{"subject":"s1"}])", true},
      {"an escape in the value", R"({"subject":"s\u0031"})", true},
      {"an escape in the name", R"({"sub\u006aect":"s1"})", true},
      {"an escape anywhere", R"({"subject":"s2","data":{"path":"C:\\"}})", true},
      {"no text", R"({"subject":1})", true},
      {"cut off in the value", R"({"subject":"s1)", true},
      {"cut off before it", R"({"subject":)", true},
      {"cut off behind the name", R"({"subject")", false},
      {"no JSON", "subject,s1", false},
      {"empty", "", false},
  };
  const SubjectLines lines = Of({"s1", "tenant/2", "Zoë"});
  for (const auto& c : kCases) EXPECT_EQ(lines.MayHold(c.line), c.may_hold) << c.name;
}

Block BlockOf(std::string_view text) {
  Block block;
  block.storage = AlignedBuffer(text.size() + kLinePadding);
  block.data = block.storage.data();
  std::memcpy(block.data, text.data(), text.size());
  std::memset(block.data + text.size(), 0, kLinePadding);
  block.bytes = text.size();
  return block;
}

TEST(SubjectLines, LeaveTheLinesOfABlockThatMayBeTheirsWithTheirNumbers) {
  const std::string mine = R"({"subject":"s1","n":0})", other = R"({"subject":"s2"})", last = R"({"subject":"s1"})";
  Block block = BlockOf(other + "\n" + mine + "\r\n\n" + other + "\n" + last);
  EXPECT_THAT(Of({"s1"}).Keep(&block), ElementsAre(1u, 4u));
  EXPECT_EQ(std::string_view(block.data, block.bytes), mine + "\r\n" + last);
  EXPECT_EQ(std::string_view(block.data + block.bytes, kLinePadding), std::string(kLinePadding, '\0'));

  block = BlockOf(other + "\n" + other + "\n");
  EXPECT_THAT(Of({"s1"}).Keep(&block), IsEmpty());
  EXPECT_EQ(block.bytes, 0u);
}

}  // namespace
}  // namespace tollbook
