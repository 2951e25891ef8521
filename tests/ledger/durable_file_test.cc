#include "ledger/durable_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <vector>

#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

// The directories synced, each with what was missing when it was.
struct Syncs {
  absl::Status operator()(const std::string& directory) {
    const std::string name = fs::relative(fs::canonical(directory), top).string();
    seen.push_back(name + (fs::exists(wanted) ? "" : ", not all made"));
    return SyncDirectory(directory);
  }
  std::string wanted;
  fs::path top;  // names are from here
  std::vector<std::string> seen;
};

class MakeDirectory : public testing::Test {
 protected:
  std::vector<std::string> SyncsOf(const std::string& directory) {
    Syncs syncs{directory, fs::canonical(scratch_.path()), {}};
    EXPECT_TRUE(MakeDirectorySynced(directory, std::ref(syncs)).ok());
    EXPECT_TRUE(fs::is_directory(directory));
    return syncs.seen;
  }
  std::string In(const char* name) const { return scratch_.path() + "/" + name; }
  ScratchDirectory scratch_;
};

TEST_F(MakeDirectory, SyncsTheParentOfEachItMadeBeforeTheNext) {
  EXPECT_THAT(SyncsOf(In("a/b/c")), ElementsAre(".., not all made", "., not all made", "a, not all made", "a/b"));
}

TEST_F(MakeDirectory, SyncsTheParentOfWhatWasThereForACallThatDidNotEnd) {
  fs::create_directories(In("a/b"));
  EXPECT_THAT(SyncsOf(In("a/b/c")), ElementsAre("a, not all made", "a/b"));
  EXPECT_THAT(SyncsOf(In("a/b/c")), ElementsAre("a/b"));
  EXPECT_THAT(SyncsOf(In("a/b/c/")), ElementsAre("a/b")) << "a slash at the end";
}

TEST_F(MakeDirectory, FollowsALinkToTheParentThatIsMeant) {
  fs::create_directories(In("disk/books"));
  fs::create_directory_symlink(In("disk/books"), In("link"));
  EXPECT_THAT(SyncsOf(In("link/demo")), ElementsAre("disk, not all made", "disk/books"));
}

TEST_F(MakeDirectory, RefusesAFileInTheWay) {
  WriteFile(In("file"), "not a directory");
  for (const char* wanted : {"file", "file/book"}) {
    const absl::Status made = MakeDirectorySynced(In(wanted));
    EXPECT_EQ(made.code(), absl::StatusCode::kUnavailable) << wanted;
    EXPECT_THAT(std::string(Std(made.message())), HasSubstr(In("file"))) << wanted;
  }
  EXPECT_EQ(ReadFile(In("file")), "not a directory");
}

TEST_F(MakeDirectory, SaysWhenItCannotSync) {
  const auto fails = [](const std::string&) { return absl::UnavailableError("the disk is gone"); };
  EXPECT_EQ(MakeDirectorySynced(In("a"), fails).code(), absl::StatusCode::kUnavailable);
}

// A limit lets the first part of a write through and refuses the rest: the message says why the rest failed.
TEST(WriteFileAtomically, WritesOnAfterAShortWriteAndSaysWhyItEnds) {
  const ScratchDirectory scratch;
  ASSERT_TRUE(WriteFileAtomically(scratch.path(), "NAME", "before").ok());
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  struct rlimit old_limit;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old_limit), 0);
  const struct rlimit limit = {4096, old_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  errno = 0;
  const absl::Status written = WriteFileAtomically(scratch.path(), "NAME", std::string(10'000, 'x'));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_limit), 0);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(written.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Std(written.message())), HasSubstr(std::strerror(EFBIG)));
  EXPECT_EQ(ReadFile(scratch.path() + "/NAME"), "before");
}

}  // namespace
}  // namespace tollbook
