// From a command's arguments to the files it reads, and to what it leaves out and says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pipeline/input.h"
#include "tests/pipeline/files.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class FindInputsTest : public ::testing::Test {
 protected:
  FindInputsTest() {
    mappings_.resize(2);
    mappings_[0].glob = "tokens_*.csv";
    mappings_[0].format = InputFormat::kCsv;
    mappings_[1].glob = "*.events";
  }
  InputList Find(const std::vector<std::string>& arguments) {
    absl::StatusOr<InputList> found = FindInputs(arguments, mappings_);
    EXPECT_TRUE(found.ok()) << found.status();
    return *std::move(found);
  }
  std::string At(const std::string& name) { return directory_.path() + "/" + name; }
  // Paths inside the temporary directory.
  std::vector<std::string> Paths(const InputList& list) {
    std::vector<std::string> paths;
    for (const InputFile& file : list.files) paths.push_back(file.path.substr(directory_.path().size() + 1));
    return paths;
  }
  std::string WhyLeftOut(const InputList& list, const std::string& name) {
    for (const LeftOut& left_out : list.left_out) {
      if (left_out.path == At(name)) return left_out.why;
    }
    return "(not left out)";
  }

  TemporaryDirectory directory_;
  std::vector<SourceMapping> mappings_;
};

TEST_F(FindInputsTest, ADirectoryInOrderWithWhatItLeavesOut) {
  for (const char* name : {"b.ndjson", "a/z.jsonl", "a/b/c.json.gz", "tokens_1.csv", "tokens_2.csv.zst", "x.events",
                           "other.csv", "README.md", "c.ndjson.zst"}) {
    directory_.Write(name, "x");
  }
  const InputList list = Find({directory_.path()});
  EXPECT_THAT(Paths(list), ElementsAre("a/b/c.json.gz", "a/z.jsonl", "b.ndjson", "c.ndjson.zst", "tokens_1.csv",
                                       "tokens_2.csv.zst", "x.events"));
  EXPECT_EQ(list.bytes, 7u);
  EXPECT_EQ(list.left_out.size(), 2u);
  EXPECT_THAT(WhyLeftOut(list, "other.csv"), HasSubstr("no mapping matches"));
  EXPECT_THAT(WhyLeftOut(list, "README.md"), HasSubstr("does not say"));
  EXPECT_EQ(list.files[4].mapping, &mappings_[0]);
  EXPECT_EQ(list.files[4].format, InputFormat::kCsv);
  EXPECT_EQ(list.files[5].name, "tokens_2.csv");
  EXPECT_EQ(list.files[2].mapping, nullptr);
  EXPECT_TRUE(list.files[2].regular);
}

TEST_F(FindInputsTest, CompressionIsToldByTheFirstBytesNotTheName) {
  const std::string gzip = directory_.Write("a.json", Gzip("x"));
  const std::string zstd = directory_.Write("b.json.gz", Zstd("x"));
  const std::string plain = directory_.Write("c.json.zst", "x");
  const std::string empty = directory_.Write("d.json", "");
  const InputList list = Find({gzip, zstd, plain, empty});
  ASSERT_EQ(list.files.size(), 4u);
  EXPECT_EQ(list.files[0].compression, Compression::kGzip);
  EXPECT_EQ(list.files[1].compression, Compression::kZstd);
  EXPECT_EQ(list.files[2].compression, Compression::kNone);
  EXPECT_EQ(list.files[3].compression, Compression::kNone);
}

TEST_F(FindInputsTest, ANamedFileIsReadWhateverItsEnding) {
  EXPECT_THAT(Paths(Find({directory_.Write("usage.log", "x")})), ElementsAre("usage.log"));
}

TEST_F(FindInputsTest, EachFileOnceInTheOrderOfTheArguments) {
  for (const char* name : {"a.json", "b.json", "c.json"}) directory_.Write(name, "x");
  std::filesystem::create_symlink("a.json", At("link.json"));
  EXPECT_THAT(Paths(Find({At("c.json"), directory_.path(), At("a.json")})), ElementsAre("c.json", "a.json", "b.json"));
}

TEST_F(FindInputsTest, Globs) {
  for (const char* name : {"10.json", "2.json", "x.csv"}) directory_.Write(name, "x");
  EXPECT_THAT(Paths(Find({At("*.json")})), ElementsAre("10.json", "2.json"));
  EXPECT_EQ(FindInputs({At("*.xml")}, mappings_).status().code(), absl::StatusCode::kNotFound);
  directory_.Write("[1].json", "x");
  EXPECT_THAT(Paths(Find({At("[1].json")})), ElementsAre("[1].json")) << "a file of that name comes first";
}

TEST_F(FindInputsTest, AMistypedPathIsAnError) {
  for (const std::string& path : {At("nothing.json"), directory_.Write("f", "x") + "/below"}) {
    const auto found = FindInputs({path}, mappings_);
    EXPECT_EQ(found.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(found.status().message()), HasSubstr(path));
  }
}

TEST_F(FindInputsTest, LinksThatLeadNowhereOrInACircle) {
  directory_.Write("d/a.json", "x");
  std::filesystem::create_directory_symlink(directory_.path(), At("d/up"));
  std::filesystem::create_symlink("missing", At("dangling.json"));
  std::filesystem::create_symlink("self.json", At("self.json"));
  const InputList list = Find({directory_.path()});
  EXPECT_THAT(Paths(list), ElementsAre("d/a.json"));
  EXPECT_THAT(WhyLeftOut(list, "d/up"), HasSubstr("leads back"));
  EXPECT_THAT(WhyLeftOut(list, "dangling.json"), HasSubstr("leads nowhere"));
  EXPECT_THAT(WhyLeftOut(list, "self.json"), HasSubstr("circle"));
}

// Nothing here opens a pipe: listing must not wait for who writes into it.
TEST_F(FindInputsTest, PipesAndSocketsAndDevices) {
  ASSERT_EQ(mkfifo(At("pipe.json").c_str(), 0600), 0);
  const int socket_descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  At("s.json").copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(socket_descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const InputList list = Find({directory_.path()});
  close(socket_descriptor);
  EXPECT_THAT(list.files, IsEmpty());
  EXPECT_THAT(WhyLeftOut(list, "pipe.json"), HasSubstr("pipe"));
  EXPECT_THAT(WhyLeftOut(list, "s.json"), HasSubstr("device or a socket"));

  const InputList named = Find({At("pipe.json"), "/dev/null"});
  ASSERT_EQ(named.files.size(), 1u);
  EXPECT_FALSE(named.files[0].regular);
  EXPECT_EQ(named.left_out.at(0).path, "/dev/null");
}

TEST_F(FindInputsTest, StandardInputOnce) {
  const InputList list = Find({"-", "-"});
  ASSERT_EQ(list.files.size(), 1u);
  EXPECT_EQ(list.files[0].path, "-");
  EXPECT_FALSE(list.files[0].regular);
}

TEST_F(FindInputsTest, WhatCannotBeReadIsLeftOut) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  directory_.Write("closed/a.json", "x");
  const std::string file = directory_.Write("a.json", "x");
  chmod(file.c_str(), 0);
  chmod(At("closed").c_str(), 0);
  const InputList list = Find({directory_.path()});
  chmod(At("closed").c_str(), 0700);
  EXPECT_THAT(list.files, IsEmpty());
  EXPECT_THAT(WhyLeftOut(list, "a.json"), HasSubstr("Permission denied"));
  EXPECT_THAT(WhyLeftOut(list, "closed"), HasSubstr("ermission"));
}

}  // namespace
}  // namespace tollbook
