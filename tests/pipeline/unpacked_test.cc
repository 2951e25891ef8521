// Packed files are given whole or not at all, in memory or unpacked again, and always the same.
#include "pipeline/unpacked.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/pipeline/files.h"

namespace tollbook {
namespace {

std::string Content(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i) text += "line " + std::to_string(i * 7919) + "\n";
  text.resize(bytes);
  return text;
}

InputFile Packed(const std::string& path, uint64_t bytes, Compression compression = Compression::kZstd) {
  InputFile file;
  file.path = file.name = path;
  file.compression = compression;
  file.regular = true;
  file.bytes = bytes;
  return file;
}

// In reads of odd sizes.
std::string ReadAll(ByteSource& source, size_t step) {
  std::string all;
  std::string piece(step, '\0');
  for (;;) {
    const absl::StatusOr<size_t> got = source.Read(piece.data(), piece.size());
    EXPECT_TRUE(got.ok()) << got.status();
    if (!got.ok() || *got == 0) return all;
    all.append(piece, 0, *got);
  }
}

TEST(Unpacked, GivesTheContentKeptOrNot) {
  const TemporaryDirectory directory;
  for (const size_t bytes : {size_t{0}, size_t{1}, kUnpackedPiece, kUnpackedPiece + 1, 6 * kUnpackedPiece + 12345}) {
    const std::string content = Content(bytes);
    const std::string packed = Zstd(content);
    const InputFile file = Packed(directory.Write("a.zst", packed), packed.size());
    for (const uint64_t keep : {uint64_t{0}, uint64_t{bytes}}) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes, keep " + std::to_string(keep));
      const auto unpacked = std::make_shared<const Unpacked>(Unpack(file, keep, nullptr));
      ASSERT_TRUE(unpacked->status.ok()) << unpacked->status;
      EXPECT_EQ(unpacked->bytes, bytes);
      EXPECT_EQ(unpacked->whole, bytes <= keep);
      for (const size_t step : {size_t{4099}, size_t{3} << 20}) {
        absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenUnpacked(file, unpacked);
        ASSERT_TRUE(source.ok()) << source.status();
        EXPECT_TRUE(ReadAll(**source, step) == content);
        EXPECT_EQ((*source)->bytes_read(), packed.size());
      }
    }
  }
}

TEST(Unpacked, DamageIsFoundBeforeALineIsGiven) {
  const TemporaryDirectory directory;
  std::string packed = Gzip(Content(3 << 20));
  packed[packed.size() - 6] ^= 1;  // in the checksum, behind all that it protects
  const InputFile file = Packed(directory.Write("a.gz", packed), packed.size(), Compression::kGzip);
  for (const uint64_t keep : {uint64_t{0}, uint64_t{1} << 30}) {
    EXPECT_TRUE(absl::IsDataLoss(Unpack(file, keep, nullptr).status));
  }
}

TEST(Unpacked, EndsWhenStopped) {
  const TemporaryDirectory directory;
  const std::string packed = Zstd(Content(3 << 20));
  const InputFile file = Packed(directory.Write("a.zst", packed), packed.size());
  EXPECT_TRUE(absl::IsCancelled(Unpack(file, 0, [] { return true; }).status));
}

TEST(SourceAhead, CanBeLeftBeforeItsEnd) {
  const TemporaryDirectory directory;
  const std::string packed = Zstd(Content(20 << 20));
  const std::string path = directory.Write("a.zst", packed);
  for (const size_t read : {size_t{0}, size_t{1}, size_t{2} << 20}) {
    absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenSource(path);
    ASSERT_TRUE(source.ok());
    const std::unique_ptr<ByteSource> ahead = MakeSourceAhead(*std::move(source));
    std::string piece(read + 1, '\0');
    size_t size = 0;
    while (size < read) size += *ahead->Read(piece.data() + size, read - size);
  }
}

TEST(UnpackAhead, GivesEachFileItsOwnContent) {
  const TemporaryDirectory directory;
  InputList inputs;
  for (int i = 0; i < 20; ++i) {
    const std::string content = "file " + std::to_string(i);
    const bool plain = i % 5 == 2;
    const std::string stored = plain ? content : i % 2 == 0 ? Gzip(content) : Zstd(content);
    inputs.files.push_back(Packed(directory.Write("f" + std::to_string(i), stored), stored.size(),
                                  plain ? Compression::kNone : Compression::kZstd));
  }
  UnpackAhead ahead(inputs, 3, 1 << 20, nullptr);
  for (size_t i = 0; i < inputs.files.size(); ++i) {
    ahead.Begin(i, [&](const InputFile& file) { return &file != &inputs.files[7]; });
    const bool passed_over = i == 4 || i == 5 || i == 6;
    if (inputs.files[i].compression == Compression::kNone || passed_over) continue;
    absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenUnpacked(inputs.files[i], ahead.Take(i));
    ASSERT_TRUE(source.ok());
    EXPECT_EQ(ReadAll(**source, 100), "file " + std::to_string(i));
  }
}

}  // namespace
}  // namespace tollbook
