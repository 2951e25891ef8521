#include "ledger/seen_files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/ledger/scratch_directory.h"

namespace tollbook {
namespace {

namespace fs = std::filesystem;

SeenPlace Write(SeenFiles* files, std::string_view bytes) {
  EXPECT_TRUE(files->Begin().ok());
  EXPECT_TRUE(files->Append(bytes.substr(0, bytes.size() / 3)).ok());
  EXPECT_TRUE(files->Append(bytes.substr(bytes.size() / 3)).ok());
  const absl::StatusOr<SeenPlace> place = files->End();
  EXPECT_TRUE(place.ok()) << place.status();
  EXPECT_TRUE(files->Sync().ok());
  return place.value_or(SeenPlace());
}

std::string Read(const SeenFiles& files, const SeenPlace& place) {
  std::string bytes(place.bytes, '\0');
  const absl::StatusOr<std::shared_ptr<const SeenFile>> file = files.File(place.file);
  if (!file.ok() || !(*file)->Read(place.offset, place.bytes, bytes.data()).ok()) return "cannot be read";
  return bytes;
}

uint64_t BytesOnDisk(const std::string& path) {
  struct stat facts = {};
  EXPECT_EQ(stat(path.c_str(), &facts), 0);
  return static_cast<uint64_t>(facts.st_blocks) * 512;
}

class SeenFilesTest : public testing::TestWithParam<SeenWriting> {
 protected:
  SeenFiles Files(uint64_t file_bytes = 256 << 20) { return SeenFiles(path(), "log", GetParam(), file_bytes); }
  std::string path() const { return scratch_.path() + "/seen"; }
  ScratchDirectory scratch_;
};

TEST_P(SeenFilesTest, WhatIsWrittenIsReadAgainAlsoLater) {
  const std::string small = "small", large(3'000'001, 'l');
  std::vector<SeenPlace> places;
  {
    SeenFiles files = Files();
    ASSERT_TRUE(files.Open({}).ok());
    places = {Write(&files, small), Write(&files, large), Write(&files, small)};
    EXPECT_EQ(Read(files, places[1]), large);
  }
  SeenFiles files = Files();
  ASSERT_TRUE(files.Open(places).ok());
  EXPECT_EQ(Read(files, places[0]), small);
  EXPECT_EQ(Read(files, places[1]), large);
  const SeenPlace next = Write(&files, "next");
  EXPECT_EQ(Read(files, places[2]), small);
  EXPECT_EQ(Read(files, next), "next");
}

TEST_P(SeenFilesTest, WhatNoCommitRefersToIsRemovedByTheNextWriter) {
  SeenPlace first;
  {
    SeenFiles files = Files(4096);
    ASSERT_TRUE(files.Open({}).ok());
    first = Write(&files, "kept");
    (void)Write(&files, std::string(10'000, 'x'));
    (void)Write(&files, std::string(10'000, 'y'));
  }
  EXPECT_TRUE(fs::exists(path() + "/3.log"));
  SeenFiles files = Files(1 << 20);
  ASSERT_TRUE(files.Open(std::span(&first, 1)).ok());
  const SeenPlace second = Write(&files, "second");
  EXPECT_FALSE(fs::exists(path() + "/2.log"));
  EXPECT_FALSE(fs::exists(path() + "/3.log"));
  EXPECT_EQ(second.file, first.file);
  EXPECT_EQ(Read(files, first), "kept");
  EXPECT_EQ(Read(files, second), "second");
}

TEST_P(SeenFilesTest, WhatIsFreedGivesItsSpaceBack) {
  constexpr size_t kBytes = 1 << 20;
  SeenFiles files = Files(4 * kBytes);
  ASSERT_TRUE(files.Open({}).ok());
  std::vector<SeenPlace> places;
  for (int i = 0; i < 6; ++i) places.push_back(Write(&files, std::string(kBytes, static_cast<char>('a' + i))));
  ASSERT_EQ(places[3].file, 1u);
  ASSERT_EQ(places[4].file, 2u);
  const uint64_t before = BytesOnDisk(path() + "/1.log");
  files.Free(places[1]);
  EXPECT_EQ(BytesOnDisk(path() + "/1.log") + kBytes, before);
  EXPECT_EQ(Read(files, places[0]), std::string(kBytes, 'a'));
  EXPECT_EQ(Read(files, places[2]), std::string(kBytes, 'c'));
  for (const int i : {0, 2, 3}) files.Free(places[i]);
  EXPECT_FALSE(fs::exists(path() + "/1.log")) << "nothing lives in it";
  files.Free(places[4]);
  files.Free(places[5]);
  EXPECT_TRUE(fs::exists(path() + "/2.log")) << "the next is written here";
  EXPECT_EQ(Read(files, Write(&files, "more")), "more");
}

TEST_P(SeenFilesTest, TheNextWriterGivesBackWhatACrashLeftUnfreed) {
  constexpr size_t kBytes = 1 << 20;
  std::vector<SeenPlace> places;
  {
    SeenFiles files = Files();
    ASSERT_TRUE(files.Open({}).ok());
    for (int i = 0; i < 4; ++i) places.push_back(Write(&files, std::string(kBytes, static_cast<char>('a' + i))));
  }
  const uint64_t before = BytesOnDisk(path() + "/1.log");
  SeenFiles files = Files();
  const std::vector<SeenPlace> live = {places[3], places[1]};  // of the others only the free was missing
  ASSERT_TRUE(files.Open(live).ok());
  EXPECT_EQ(BytesOnDisk(path() + "/1.log"), before) << "readers change nothing";
  const SeenPlace next = Write(&files, std::string(kBytes, 'e'));
  EXPECT_EQ(BytesOnDisk(path() + "/1.log") + kBytes, before);
  EXPECT_EQ(Read(files, places[1]), std::string(kBytes, 'b'));
  EXPECT_EQ(Read(files, places[3]), std::string(kBytes, 'd'));
  EXPECT_EQ(Read(files, next), std::string(kBytes, 'e'));
}

TEST_P(SeenFilesTest, WhatSomebodyElsePutThereStays) {
  fs::create_directories(path() + "/old.log");
  SeenFiles files = Files();
  ASSERT_TRUE(files.Open({}).ok());
  EXPECT_EQ(Read(files, Write(&files, "mine")), "mine");
  EXPECT_TRUE(fs::exists(path() + "/old.log"));
}

// As on a file system that opens a file for direct writing and then refuses the write.
TEST(SeenFilesDirect, WhatCannotBeWrittenPastTheCacheIsWrittenThroughIt) {
  const ScratchDirectory scratch;
  SeenFiles files(scratch.path() + "/seen", "log", SeenWriting::kDirect);
  ASSERT_TRUE(files.Open({}).ok());
  const SeenPlace first = Write(&files, "first");
  const SeenFile& file = **files.File(first.file);
  const int reading = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(reading, 0);
  if (file.writing_fd() == file.fd()) GTEST_SKIP() << "not opened for direct writing here";
  ASSERT_EQ(dup2(reading, file.writing_fd()), file.writing_fd());  // every write by it fails from now on
  const SeenPlace second = Write(&files, std::string(3'000'001, 's'));
  EXPECT_EQ(Read(files, first), "first");
  EXPECT_EQ(Read(files, second), std::string(3'000'001, 's'));
  close(reading);
}

TEST_P(SeenFilesTest, FilesThatAreMissingOrShortAreDamage) {
  SeenPlace place;
  {
    SeenFiles files = Files();
    ASSERT_TRUE(files.Open({}).ok());
    place = Write(&files, std::string(10'000, 'x'));
  }
  fs::resize_file(path() + "/1.log", 8192);
  EXPECT_TRUE(absl::IsDataLoss(Files().Open(std::span(&place, 1))));
  fs::remove(path() + "/1.log");
  EXPECT_TRUE(absl::IsDataLoss(Files().Open(std::span(&place, 1))));
}

INSTANTIATE_TEST_SUITE_P(Both, SeenFilesTest, testing::Values(SeenWriting::kCached, SeenWriting::kDirect),
                         [](const auto& of) { return of.param == SeenWriting::kDirect ? "Direct" : "Cached"; });

}  // namespace
}  // namespace tollbook
