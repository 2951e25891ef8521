// Blocks: whatever the block size and packing, the same lines come out, each once; and a reader finds back to any
// place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "tests/pipeline/files.h"

namespace tollbook {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Line {
  uint64_t offset;
  std::string text;
  friend bool operator==(const Line&, const Line&) = default;
  friend void PrintTo(const Line& line, std::ostream* out) { *out << line.offset << ":" << line.text; }
};

struct ReadOut {
  std::vector<Line> lines;
  std::vector<Block::LongLine> long_lines;
  std::vector<SourcePosition> positions;  // at the start, and after each block
  absl::Status end;
};

// Cuts as the flow does: at '\n', and what is behind the last one is a line too.
void CutBlock(const Block& block, std::vector<Line>* lines) {
  std::string_view rest(block.data, block.bytes);
  uint64_t offset = block.offset;
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size() - 1) + 1;
    std::string_view text = rest.substr(0, end);
    if (text.ends_with('\n')) text.remove_suffix(1);
    lines->push_back({offset, std::string(text)});
    rest.remove_prefix(end);
    offset += end;
  }
}

ReadOut ReadRest(BlockReader& reader) {
  ReadOut out;
  out.positions.push_back(reader.position());
  Block block;
  for (;;) {
    absl::StatusOr<bool> more = reader.Next(&block);
    out.end = more.status();
    if (!more.ok() || !*more) return out;
    CutBlock(block, &out.lines);
    out.long_lines.insert(out.long_lines.end(), block.long_lines.begin(), block.long_lines.end());
    for (size_t i = 0; i < kLinePadding; ++i) EXPECT_EQ(block.data[block.bytes + i], '\0');
    out.positions.push_back(reader.position());
  }
}

InputFile Ndjson(const std::string& path) {
  InputFile file;
  file.path = path;
  file.regular = true;
  return file;
}
InputFile Csv(const std::string& path) {
  InputFile file = Ndjson(path);
  file.format = InputFormat::kCsv;
  return file;
}

std::unique_ptr<BlockReader> Open(const InputFile& file, const ReaderOptions& options = {}) {
  absl::StatusOr<std::unique_ptr<BlockReader>> reader = BlockReader::Open(file, options);
  EXPECT_TRUE(reader.ok()) << reader.status();
  return *std::move(reader);
}

std::string ManyLines(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) {
    text += "line " + std::to_string(i * i) + std::string(static_cast<size_t>(i * 7 % 90), 'x') + "\n";
    if (i % 17 == 0) text += "\n";
  }
  return text;
}

enum class Packing { kPlain, kGzip, kGzipMembers, kZstd, kZstdFrames };

std::string Pack(Packing packing, std::string_view text) {
  const size_t half = std::min(text.size(), text.size() / 2 + 3);  // in the middle of a line
  switch (packing) {
    case Packing::kPlain:
      return std::string(text);
    case Packing::kGzip:
      return Gzip(text);
    case Packing::kGzipMembers:
      return Gzip(text.substr(0, half)) + Gzip("") + Gzip(text.substr(half));
    case Packing::kZstd:
      return Zstd(text);
    case Packing::kZstdFrames:
      return Zstd(text.substr(0, half)) + Zstd("") + Zstd(text.substr(half));
  }
  return {};
}

constexpr Packing kPackings[] = {Packing::kPlain, Packing::kGzip, Packing::kGzipMembers, Packing::kZstd,
                                 Packing::kZstdFrames};

TEST(BlockReader, TheSameLinesWhateverTheBlockSizeAndPacking) {
  TemporaryDirectory directory;
  for (const std::string& text : {ManyLines(400), ManyLines(400) + "no line end here"}) {
    const ReadOut whole = ReadRest(*Open(Ndjson(directory.Write("whole", text))));
    EXPECT_EQ(whole.positions.back().offset, text.size());
    ASSERT_GT(whole.lines.size(), 400u);
    for (const Packing packing : kPackings) {
      const std::string path = directory.Write("packed", Pack(packing, text));
      for (const size_t block_bytes : {size_t{1}, size_t{7}, size_t{64}, size_t{1000}, size_t{1} << 20}) {
        SCOPED_TRACE(block_bytes);
        ReaderOptions options;
        options.block_bytes = block_bytes;
        const ReadOut read = ReadRest(*Open(Ndjson(path), options));
        EXPECT_TRUE(read.end.ok()) << read.end;
        EXPECT_THAT(read.lines, ElementsAreArray(whole.lines));
        EXPECT_EQ(read.positions.back(), whole.positions.back());
      }
    }
  }
}

TEST(BlockReader, GoesOnFromEveryPosition) {
  TemporaryDirectory directory;
  const std::string text = ManyLines(120) + "the last line has no end";
  for (const Packing packing : kPackings) {
    const InputFile file = Ndjson(directory.Write("file", Pack(packing, text)));
    ReaderOptions options;
    options.block_bytes = 100;
    options.count_rows = true;
    const ReadOut whole = ReadRest(*Open(file, options));
    ASSERT_GT(whole.positions.size(), 20u);
    for (const SourcePosition& position : whole.positions) {
      std::unique_ptr<BlockReader> reader = Open(file, options);
      EXPECT_TRUE(*reader->SkipTo(position));
      EXPECT_EQ(reader->position(), position);
      const ReadOut rest = ReadRest(*reader);
      std::vector<Line> expected = whole.lines;
      std::erase_if(expected, [&](const Line& line) { return line.offset < position.offset; });
      EXPECT_EQ(rest.lines, expected);
      EXPECT_EQ(rest.positions.back(), whole.positions.back());
    }
  }
}

TEST(BlockReader, TellsAnotherFileUnderTheSameName) {
  TemporaryDirectory directory;
  const std::string text = ManyLines(50);
  const SourcePosition end = ReadRest(*Open(Ndjson(directory.Write("f", text)))).positions.back();
  std::string changed = text;
  changed[10] ^= 1;
  for (const std::string& other : {changed, text.substr(0, text.size() - 1), std::string()}) {
    std::unique_ptr<BlockReader> reader = Open(Ndjson(directory.Write("f", other)));
    EXPECT_FALSE(*reader->SkipTo(end));
    std::string again;
    for (const Line& line : ReadRest(*reader).lines) again += line.text + "\n";
    EXPECT_EQ(again, other.ends_with('\n') || other.empty() ? other : other + "\n") << "read from its start";
  }
}

// A file that is still being written: row is what {row} gives, so it must be the same however often we looked.
TEST(BlockReader, AFileThatGrew) {
  struct Case {
    const char* name;
    std::string before, after;
    bool goes_on;
    std::vector<std::string> lines;  // given the second time
    uint64_t first_row;
  };
  const Case cases[] = {
      {"by whole lines", "a\nb\n", "a\nb\nc\n", true, {"c"}, 3},
      {"by nothing", "a\nb", "a\nb", true, {}, 3},
      {"by the line end of its last line", "a\nb", "a\nb\nc\n", true, {"c"}, 3},
      {"by a CRLF", "a\r\nb", "a\r\nb\r\nc\r\n", true, {"c\r"}, 3},
      {"by the rest of its last line", "a\nb", "a\nbcd\n", false, {"a", "bcd"}, 1},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TemporaryDirectory directory;
    ReaderOptions options;
    options.count_rows = true;
    const InputFile file = Ndjson(directory.Write("f", c.before));
    const SourcePosition position = ReadRest(*Open(file, options)).positions.back();
    directory.Write("f", c.after);
    std::unique_ptr<BlockReader> reader = Open(file, options);
    EXPECT_EQ(*reader->SkipTo(position), c.goes_on);
    Block block;
    const bool more = *reader->Next(&block);
    EXPECT_EQ(more, !c.lines.empty());
    std::vector<Line> lines;
    CutBlock(block, &lines);
    std::vector<std::string> texts;
    for (const Line& line : lines) texts.push_back(line.text);
    EXPECT_EQ(texts, c.lines);
    EXPECT_EQ(block.first_row, c.first_row);
  }
}

TEST(BlockReader, CutsLongLinesOutAndKeepsTheirFirstBytes) {
  TemporaryDirectory directory;
  const std::string limit(100, 'l'), long_line(101, 'L'), huge(5000, 'h');
  const std::string text = "a\n" + limit + "\n" + long_line + "\nb\n" + huge + "\n" + long_line + "\n\nc\n" + huge;
  for (const Packing packing : kPackings) {
    for (const size_t block_bytes : {size_t{1}, size_t{50}, size_t{150}, size_t{1} << 20}) {
      SCOPED_TRACE(block_bytes);
      ReaderOptions options{block_bytes, 100, true};
      const ReadOut read = ReadRest(*Open(Ndjson(directory.Write("f", Pack(packing, text))), options));
      EXPECT_TRUE(read.end.ok());
      EXPECT_THAT(read.lines,
                  ElementsAre(Line{0, "a"}, Line{2, limit}, Line{205, "b"}, Line{5310, ""}, Line{5311, "c"}));
      std::vector<std::pair<uint64_t, uint64_t>> cut;
      for (const Block::LongLine& line : read.long_lines) {
        cut.emplace_back(line.offset, line.bytes);
        EXPECT_EQ(line.excerpt, text.substr(line.offset, std::min<uint64_t>(256, line.excerpt.size())));
        EXPECT_GE(line.excerpt.size(), 101u);
        EXPECT_LE(line.excerpt.size(), 256u);
      }
      EXPECT_THAT(cut,
                  ElementsAre(std::pair(103, 102), std::pair(207, 5001), std::pair(5208, 102), std::pair(5313, 5000)));
      EXPECT_EQ(read.positions.back().offset, text.size());
      EXPECT_EQ(read.positions.back().rows, 9u) << "long and blank lines are rows";
    }
  }
}

TEST(BlockReader, RowsStartBehindTheHeader) {
  TemporaryDirectory directory;
  ReaderOptions options{6, 1000, true};
  std::unique_ptr<BlockReader> reader = Open(Csv(directory.Write("f",
                                                                 "\xEF\xBB\xBF"
                                                                 "a,b\r\n1,2\r\n\r\n3,4\r\n5,6")),
                                             options);
  EXPECT_EQ(reader->header(), "a,b");
  EXPECT_EQ(reader->position().offset, 8u);
  uint64_t row = 1;
  int blocks = 0;
  Block block;
  while (*reader->Next(&block)) {
    EXPECT_EQ(block.first_row, row);
    std::vector<Line> lines;
    CutBlock(block, &lines);
    row += lines.size();
    ++blocks;
  }
  EXPECT_GT(blocks, 1);
  EXPECT_EQ(reader->position().rows, 4u);
}

TEST(BlockReader, SmallAndEmptyFiles) {
  struct Case {
    const char* name;
    std::string content;
    std::vector<std::string> lines;
    std::string header;  // when read as CSV
  };
  const Case cases[] = {
      {"empty", "", {}, ""},
      {"one byte", "a", {"a"}, "a"},
      {"only a line end", "\n", {""}, ""},
      {"only a byte order mark", "\xEF\xBB\xBF", {}, ""},
      {"half a byte order mark", "\xEF\xBB", {"\xEF\xBB"}, "\xEF\xBB"},
      {"byte order mark", "\xEF\xBB\xBFx\n", {"x"}, "x"},
      {"CRLF stays for the decoder", "x\r\n", {"x\r"}, "x"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    TemporaryDirectory directory;
    for (const Packing packing : kPackings) {
      const std::string path = directory.Write("f", Pack(packing, c.content));
      std::vector<std::string> texts;
      for (const Line& line : ReadRest(*Open(Ndjson(path))).lines) texts.push_back(line.text);
      EXPECT_EQ(texts, c.lines);
      EXPECT_EQ(Open(Csv(path))->header(), c.header);
    }
  }
}

TEST(BlockReader, AHeaderAboveTheLimitIsNotHeld) {
  TemporaryDirectory directory;
  ReaderOptions options{64, 100, false};
  const auto reader = BlockReader::Open(Csv(directory.Write("f", std::string(101, 'c') + "\n1\n")), options);
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(BlockReader, ATruncatedPackedFileGivesItsWholeLinesAndThenSaysSo) {
  TemporaryDirectory directory;
  const std::string text = ManyLines(3000);
  const std::vector<Line> all = ReadRest(*Open(Ndjson(directory.Write("plain", text)))).lines;
  for (const Packing packing : {Packing::kGzip, Packing::kGzipMembers, Packing::kZstd, Packing::kZstdFrames}) {
    const std::string packed = Pack(packing, text);
    for (const size_t cut : {packed.size() - 1, packed.size() * 9 / 10, packed.size() / 2, size_t{40}}) {
      SCOPED_TRACE(cut);
      const std::string path = directory.Write("cut.packed", packed.substr(0, cut));
      const ReadOut read = ReadRest(*Open(Ndjson(path), {1000, 1 << 20, false}));
      EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss) << read.end;
      EXPECT_THAT(std::string(read.end.message()), HasSubstr("cut.packed at byte " + std::to_string(cut)));
      ASSERT_LE(read.lines.size(), all.size());
      EXPECT_TRUE(std::equal(read.lines.begin(), read.lines.end(), all.begin())) << "whole lines only";
    }
  }
}

TEST(BlockReader, DamageInTheMiddleIsFound) {
  TemporaryDirectory directory;
  const std::string text = ManyLines(20000);
  for (const Packing packing : {Packing::kGzip, Packing::kZstd}) {
    std::string packed = Pack(packing, text);
    for (size_t i = 0; i < 32; ++i) packed[packed.size() / 2 + i] ^= 0x55;
    const ReadOut read = ReadRest(*Open(Ndjson(directory.Write("bad", packed)), {1 << 16, 1 << 20, false}));
    EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss);
  }
}

TEST(BlockReader, ZerosBehindAGzipMemberArePaddingAndOtherBytesAreDamage) {
  TemporaryDirectory directory;
  const std::string packed = Gzip("a\n");
  EXPECT_TRUE(ReadRest(*Open(Ndjson(directory.Write("f", packed + std::string(600, '\0'))))).end.ok());
  const ReadOut read = ReadRest(*Open(Ndjson(directory.Write("f", packed + "garbage"))));
  EXPECT_THAT(read.lines, ElementsAre(Line{0, "a"}));
  EXPECT_EQ(read.end.code(), absl::StatusCode::kDataLoss);
}

// 300 MB in 300 kB, without one line end: it is one long line, and the reader never holds it.
TEST(BlockReader, ABombIsOneLongLineInBoundedMemory) {
  TemporaryDirectory directory;
  const std::string one_mb(1 << 20, 'b');
  const std::string gzip_of_one = Gzip(one_mb), zstd_of_one = Zstd(one_mb);
  std::string gzip, zstd;
  for (int i = 0; i < 300; ++i) {
    gzip += gzip_of_one;
    zstd += zstd_of_one;
  }
  for (const std::string& packed : {gzip, zstd}) {
    const std::string path = directory.Write("bomb", packed);
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    const ReadOut read = ReadRest(*Open(Ndjson(path), {1 << 20, 1 << 20, false}));
    getrusage(RUSAGE_SELF, &after);
    EXPECT_TRUE(read.end.ok()) << read.end;
    EXPECT_THAT(read.lines, IsEmpty());
    ASSERT_EQ(read.long_lines.size(), 1u);
    EXPECT_EQ(read.long_lines[0].bytes, 300u << 20);
    EXPECT_LT(after.ru_maxrss - before.ru_maxrss, 64 << 10) << "KiB";
  }
}

TEST(BlockReader, APipeIsReadOnceAndCannotBeResumed) {
  TemporaryDirectory directory;
  const std::string path = directory.path() + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const std::string packed = Gzip("a\nb\n");
  std::thread writer([&] { std::ofstream(path, std::ios::binary) << packed; });
  InputFile file = Ndjson(path);
  file.regular = false;
  std::unique_ptr<BlockReader> reader = Open(file);
  EXPECT_EQ(reader->SkipTo({4, 0, 1, 2}).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(ReadRest(*reader).lines, ElementsAre(Line{0, "a"}, Line{2, "b"}));
  EXPECT_EQ(reader->bytes_read(), packed.size());
  writer.join();
}

TEST(BlockReader, AFileThatIsGoneSaysWhichAndWhy) {
  const auto reader = BlockReader::Open(Ndjson("/nowhere/usage.ndjson"), {});
  EXPECT_EQ(reader.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(reader.status().message()), HasSubstr("/nowhere/usage.ndjson"));
}

TEST(DigestFile, TellsFilesByTheirBytes) {
  TemporaryDirectory directory;
  const std::string path = directory.Write("a", "same"), twin = directory.Write("b", "same");
  EXPECT_EQ(*DigestFile(path), *DigestFile(twin));
  EXPECT_NE(*DigestFile(path), *DigestFile(directory.Write("c", "sane")));
  EXPECT_FALSE(DigestFile(directory.path() + "/none").ok());
}

}  // namespace
}  // namespace tollbook
