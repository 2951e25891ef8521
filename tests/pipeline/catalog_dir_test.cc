#include "pipeline/catalog_dir.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace tollbook {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kRoot = TOLLBOOK_SOURCE_DIR;

// A copy of the base catalog that a test may spoil.
class CatalogDirTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() / ("tollbook_catalog_dir_" + std::to_string(getpid()));
    fs::remove_all(path_);
    fs::copy(kRoot / "tests" / "catalog_errors" / "base", path_);
  }
  void TearDown() override { fs::remove_all(path_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(path_ / name, std::ios::binary) << text;
  }

  fs::path path_;
};

TEST_F(CatalogDirTest, LeavesOutWhatIsNotOfTheCatalog) {
  Write("README.md", "about");
  Write(".hidden.yaml", "x");
  Write("notes.txt", "not read");
  fs::create_directory(path_ / "old.yaml");
  const absl::StatusOr<std::map<std::string, std::string>> files = ReadCatalogDir(path_.string());
  ASSERT_TRUE(files.ok()) << files.status();
  std::vector<std::string> names;
  for (const auto& [name, text] : *files) {
    names.push_back(name);
  }
  EXPECT_THAT(names, ::testing::ElementsAre("book.yaml", "chart.yaml", "entities.yaml", "meters.yaml", "notes.txt",
                                            "plans.yaml", "posting.yaml", "subscriptions.csv"));
  EXPECT_EQ(files->at("notes.txt"), "");
  EXPECT_EQ(files->at("book.yaml"), "name: demo\nzone: UTC\nrounding: half_even\n");
  EXPECT_TRUE(LoadCatalog(path_.string()).ok());
}

TEST_F(CatalogDirTest, SaysWhichDirectoryOrFileCannotBeRead) {
  const absl::Status missing = LoadCatalog((path_ / "missing").string()).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("No such file or directory: " + (path_ / "missing").string()));
  fs::create_symlink("nowhere", path_ / "sources.yaml");
  EXPECT_THAT(std::string(LoadCatalog(path_.string()).status().message()),
              HasSubstr("not a regular file: " + (path_ / "sources.yaml").string()));
}

TEST_F(CatalogDirTest, RefusesALargeFile) {
  fs::resize_file(path_ / "plans.yaml", (16 << 20) + 1);
  EXPECT_THAT(std::string(LoadCatalog(path_.string()).status().message()),
              HasSubstr("a catalog file has more than 16 MiB: " + (path_ / "plans.yaml").string()));
}

TEST_F(CatalogDirTest, JoinsTheErrorsOfAllFiles) {
  Write("book.yaml", "name: demo\nzone: Nowhere\n");
  Write("sources.yaml", "source: []\n");
  const absl::Status status = LoadCatalog(path_.string()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr((path_ / "book.yaml").string() +
                                 ":2: \"zone\" of book.yaml is \"Nowhere\", not a time zone: use an IANA name such as "
                                 "UTC or Europe/Berlin\n"));
  EXPECT_THAT(message, HasSubstr((path_ / "sources.yaml").string() + ":1: "));
}

TEST(CatalogsOfDataTest, AreValid) {
  const absl::StatusOr<LoadedCatalog> servegen = LoadCatalog((kRoot / "data/servegen/catalog").string());
  ASSERT_TRUE(servegen.ok()) << servegen.status();
  EXPECT_EQ(servegen->catalog.subscriptions.size(), 314u);
  EXPECT_EQ(servegen->catalog.plans[0].charges.size(), 9u);
  EXPECT_EQ(servegen->mappings.size(), 2u);
  const absl::StatusOr<LoadedCatalog> azure = LoadCatalog((kRoot / "data/azure-llm-2023/catalog").string());
  ASSERT_TRUE(azure.ok()) << azure.status();
  EXPECT_EQ(azure->catalog.subscriptions.size(), 100u);
  EXPECT_EQ(azure->mappings[0].events.size(), 2u);
}

}  // namespace
}  // namespace tollbook
