// Packed files are given whole or not at all, in memory or unpacked again, by one thread or several, and always the
// same.
#include "pipeline/unpacked.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zdict.h>
#include <zlib.h>
#include <zstd.h>

#include <random>

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

struct ReadOut {
  std::string content;
  absl::Status end;
  friend bool operator==(const ReadOut&, const ReadOut&) = default;
};

UnpackOptions With(size_t threads, uint64_t keep_bytes = 0, std::function<bool()> stopped = {}) {
  UnpackOptions options;
  options.keep_bytes = keep_bytes;
  options.threads = threads;
  options.stopped = std::move(stopped);
  return options;
}

// In reads of odd sizes.
ReadOut ReadToEnd(ByteSource& source, size_t step) {
  ReadOut out;
  std::string piece(step, '\0');
  for (;;) {
    const absl::StatusOr<size_t> got = source.Read(piece.data(), piece.size());
    if (!got.ok()) out.end = got.status();
    if (!got.ok() || *got == 0) return out;
    out.content.append(piece, 0, *got);
  }
}
std::string ReadAll(ByteSource& source, size_t step) {
  const ReadOut out = ReadToEnd(source, step);
  EXPECT_TRUE(out.end.ok()) << out.end;
  return out.content;
}
ReadOut ReadFile(const std::string& path, size_t threads, size_t step = 1 << 20) {
  absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenSource(path, {}, threads);
  return source.ok() ? ReadToEnd(**source, step) : ReadOut{{}, source.status()};
}

// Gives its bytes in pieces of at most so many, as a pipe may.
class Trickle final : public ByteSource {
 public:
  Trickle(std::string_view bytes, size_t step) : bytes_(bytes), step_(step) {}
  absl::StatusOr<size_t> Read(char* into, size_t bytes) override {
    const size_t size = bytes_.substr(at_).copy(into, std::min(bytes, step_));
    at_ += size;
    return size;
  }
  uint64_t bytes_read() const override { return at_; }
  std::chrono::nanoseconds waited() const override { return {}; }

 private:
  const std::string_view bytes_;
  const size_t step_;
  size_t at_ = 0;
};

enum class Frame { kBare, kChecksum, kChecksumNoSize };
constexpr Frame kFrames[] = {Frame::kBare, Frame::kChecksum, Frame::kChecksumNoSize};

std::string ZstdFrame(std::string_view text, Frame kind) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, kind != Frame::kBare);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, kind != Frame::kChecksumNoSize);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

std::string SkippableFrame(std::string_view text) {
  std::string frame("\x53\x2a\x4d\x18", 4);
  for (int shift = 0; shift < 32; shift += 8) frame += static_cast<char>(text.size() >> shift);
  return frame.append(text);
}

// zlib, which wrote the standard's other reader, in one go: what a gzip file comes to, or nothing.
std::optional<std::string> ByZlib(std::string_view packed, size_t most) {
  std::string content;
  while (!packed.empty()) {
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    std::string member(most, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(member.data());
    stream.avail_out = static_cast<uInt>(member.size());
    const int answer = inflate(&stream, Z_FINISH);
    content.append(member, 0, stream.total_out);
    packed.remove_prefix(stream.total_in);
    inflateEnd(&stream);
    if (answer != Z_STREAM_END) return std::nullopt;
    if (!packed.empty() && packed[0] == '\0') {
      return packed.find_first_not_of('\0') == packed.npos ? std::optional(content) : std::nullopt;
    }
  }
  return content;
}

uint64_t Seed() {
  const uint64_t seed = std::random_device()();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

TEST(Unpacked, GivesTheContentKeptOrNot) {
  const TemporaryDirectory directory;
  for (const size_t bytes : {size_t{0}, size_t{1}, kUnpackedPiece, kUnpackedPiece + 1, 6 * kUnpackedPiece + 12345}) {
    const std::string content = Content(bytes);
    const std::string packed = Zstd(content);
    const InputFile file = Packed(directory.Write("a.zst", packed), packed.size());
    for (const uint64_t keep : {uint64_t{0}, uint64_t{bytes}}) {
      SCOPED_TRACE(std::to_string(bytes) + " bytes, keep " + std::to_string(keep));
      const auto unpacked = std::make_shared<const Unpacked>(Unpack(file, With(1, keep)));
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
    EXPECT_TRUE(absl::IsDataLoss(Unpack(file, With(1, keep)).status));
  }
}

TEST(Unpacked, EndsWhenStopped) {
  const TemporaryDirectory directory;
  std::string packed;
  for (int i = 0; i < 3; ++i) packed += Zstd(Content(1 << 20));
  const InputFile file = Packed(directory.Write("a.zst", packed), packed.size());
  for (const size_t threads : {1, 3}) {
    EXPECT_TRUE(absl::IsCancelled(Unpack(file, With(threads, 0, [] { return true; })).status));
    int pieces = 0;
    const auto in_the_middle = [&] { return ++pieces > 1; };
    EXPECT_TRUE(absl::IsCancelled(Unpack(file, With(threads, 0, in_the_middle)).status));
  }
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

// A file that is exchanged behind the check is not taken for the one that was checked.
TEST(Unpacked, AFileThatChangesBehindTheCheckIsDamagedWhereItShows) {
  const TemporaryDirectory directory;
  const std::string content = Content(3 << 20);
  const std::string packed = ZstdFrame(content, Frame::kChecksum);
  const InputFile file = Packed(directory.Write("a.zst", packed), packed.size());
  for (const size_t threads : {1, 3}) {
    directory.Write("a.zst", packed);
    const auto unpacked = std::make_shared<const Unpacked>(Unpack(file, With(threads)));
    ASSERT_TRUE(unpacked->status.ok());
    directory.Write("a.zst", packed.substr(0, packed.size() / 2));
    absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenUnpacked(file, unpacked, threads);
    ASSERT_TRUE(source.ok());
    const ReadOut out = ReadToEnd(**source, 1 << 16);
    EXPECT_TRUE(absl::IsDataLoss(out.end)) << out.end;
    EXPECT_TRUE(content.starts_with(out.content));
  }
}

// Lines in blocks, with the same offsets and digests, whatever they were packed in.
TEST(Unpacked, AnySplitIntoFramesOrMembersGivesTheBlocksOfThePlainFile) {
  const uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory;
  const auto blocks_of = [](BlockReader& reader) {
    std::vector<std::tuple<uint64_t, std::string, uint64_t>> blocks;
    for (Block block;;) {
      const absl::StatusOr<bool> more = reader.Next(&block);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!more.ok() || !*more) return blocks;
      blocks.emplace_back(block.offset, std::string(block.data, block.bytes), reader.position().digest_low);
    }
  };
  for (int round = 0; round < 12; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    const std::string content = Content(random() % (9 << 20));
    const bool is_gzip = round % 3 == 0;
    // From frames of a few bytes to frames that are more than what one thread is given.
    const size_t largest = size_t{1} << (8 + random() % 16);
    std::string packed;
    for (size_t at = 0; at < content.size();) {
      if (random() % 8 == 0) packed += is_gzip ? Gzip("") : Zstd("");
      if (!is_gzip && random() % 8 == 0) packed += SkippableFrame(std::string(random() % 100, 'x'));
      const std::string_view part = std::string_view(content).substr(at, 1 + random() % largest);
      packed += is_gzip ? Gzip(part) : ZstdFrame(part, kFrames[random() % std::size(kFrames)]);
      at += part.size();
    }
    InputFile plain = Packed(directory.Write("plain", content), content.size(), Compression::kNone);
    const ReaderOptions options{.block_bytes = size_t{1} << (12 + random() % 10)};
    absl::StatusOr<std::unique_ptr<BlockReader>> reader = BlockReader::Open(plain, options);
    ASSERT_TRUE(reader.ok());
    const auto expected = blocks_of(**reader);
    const InputFile file = Packed(directory.Write("packed", packed), packed.size());
    for (const size_t threads : {1, 2, 5}) {
      for (const uint64_t keep : {uint64_t{0}, uint64_t{1} << 30}) {
        const auto unpacked = std::make_shared<const Unpacked>(Unpack(file, With(threads, keep)));
        ASSERT_TRUE(unpacked->status.ok()) << unpacked->status;
        reader = BlockReader::Open(file, options, [&] { return OpenUnpacked(file, unpacked, threads); });
        ASSERT_TRUE(reader.ok()) << reader.status();
        EXPECT_TRUE(blocks_of(**reader) == expected) << threads << " threads, keep " << keep;
      }
    }
  }
}

// What comes of a damaged file is what the plain source makes of it.
TEST(ZstdFrames, SayOfDamageWhatThePlainSourceSays) {
  const uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  const TemporaryDirectory directory;
  const std::string content = Content(3 << 20);
  std::string good;
  std::vector<size_t> begins;
  for (size_t at = 0; at < content.size(); at += 300'000) {
    begins.push_back(good.size());
    good += ZstdFrame(std::string_view(content).substr(at, 300'000), kFrames[begins.size() % std::size(kFrames)]);
  }
  struct Damage {
    std::string name, packed;
    bool may_be_silent = false;  // no checksum shows it
  };
  std::vector<Damage> damages;
  const auto changed = [&](size_t at, char with) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ with);
    return bad;
  };
  damages.push_back({"cut in the last frame", good.substr(0, good.size() - 10)});
  damages.push_back({"cut in a header", good.substr(0, begins[4] + 3)});
  damages.push_back({"rubbish behind it", good + "rubbish"});
  damages.push_back({"zeros behind it", good + std::string(100, '\0')});
  damages.push_back({"a wrong checksum in the middle", changed(begins[5] - 1, 1)});
  damages.push_back({"a skippable frame that is cut off", good + SkippableFrame("abcdef").substr(0, 10)});
  const std::string lying = ZstdFrame(content.substr(0, 1000), Frame::kBare);
  for (const char by : {1, 8, 64}) {
    std::string lie = lying;
    lie[5] = static_cast<char>(lie[5] ^ by);  // of two bytes behind magic and descriptor: what it comes to less 256
    damages.push_back({"a content size that lies by " + std::to_string(by), good + lie + good});
  }
  {
    std::string samples;
    std::vector<size_t> sizes;
    for (int i = 0; i < 2000; ++i) {
      const std::string sample = "{\"id\":\"" + std::to_string(random()) + "\",\"type\":\"api.calls\"}";
      samples += sample;
      sizes.push_back(sample.size());
    }
    std::string dictionary(4096, '\0');
    dictionary.resize(ZDICT_trainFromBuffer(dictionary.data(), dictionary.size(), samples.data(), sizes.data(),
                                            static_cast<unsigned>(sizes.size())));
    ASSERT_LE(dictionary.size(), 4096u);
    ZSTD_CCtx* context = ZSTD_createCCtx();
    std::string packed(ZSTD_compressBound(1000), '\0');
    packed.resize(ZSTD_compress_usingDict(context, packed.data(), packed.size(), samples.data(), 1000,
                                          dictionary.data(), dictionary.size(), 3));
    ZSTD_freeCCtx(context);
    damages.push_back({"a frame that wants a dictionary", good + packed + good});
  }
  for (int i = 0; i < 60; ++i) {
    const size_t at = i < 30 ? begins[random() % begins.size()] + random() % 16 : random() % good.size();
    damages.push_back({"byte " + std::to_string(at), changed(at, static_cast<char>(1 << random() % 8)), true});
  }
  for (const Damage& damage : damages) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + damage.name);
    const std::string path = directory.Write("bad.zst", damage.packed);
    const ReadOut plain = ReadFile(path, 1);
    EXPECT_TRUE(damage.may_be_silent || absl::IsDataLoss(plain.end)) << plain.end;
    for (const size_t threads : {2, 5}) {
      const ReadOut frames = ReadFile(path, threads);
      // Of a damaged frame zstd gives more or less, and names it otherwise, as it gets the frame in one piece or
      // several.
      EXPECT_EQ(frames.end.code(), plain.end.code()) << frames.end << "; " << plain.end;
      EXPECT_THAT(std::string(frames.end.message()), testing::HasSubstr(frames.end.ok() ? "" : path + " at byte "));
      const bool one_goes_on = frames.content.starts_with(plain.content) || plain.content.starts_with(frames.content);
      EXPECT_TRUE(plain.end.ok() ? frames.content == plain.content : one_goes_on);
    }
  }
}

// Frames that come to more than a thread may hold are left to the plain source, whatever they say of themselves.
TEST(ZstdFrames, BombsAreUnpackedInBoundedMemory) {
  const TemporaryDirectory directory;
  for (const Frame kind : kFrames) {
    const std::string bomb = ZstdFrame(std::string(40 << 20, '\n'), kind);
    const std::string path = directory.Write("bomb.zst", Zstd("first\n") + bomb + Zstd("last\n"));
    absl::StatusOr<std::unique_ptr<ByteSource>> source = OpenSource(path, {}, 4);
    ASSERT_TRUE(source.ok());
    const std::string content = ReadAll(**source, 1 << 20);
    EXPECT_EQ(content.size(), 6 + (40u << 20) + 5);
    EXPECT_TRUE(content.starts_with("first\n\n") && content.ends_with("\nlast\n"));
  }
}

// A header may have parts, and may be cut anywhere when a pipe brings it.
TEST(GzipSource, ReadsHeadersAndMembersCutAnywhere) {
  const std::string one = Gzip(Content(5000)), two = Gzip("two\n");
  const std::string deflated = one.substr(10), rest = two.substr(10);
  const auto header = [](int flags) {
    return std::string("\x1f\x8b\x08", 3) + static_cast<char>(flags) + std::string("\0\0\0\0\0\3", 6);
  };
  std::string with_crc = header(2 + 4) + std::string("\3\0abc", 5);
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(with_crc.data()), static_cast<uInt>(with_crc.size()));
  with_crc += {static_cast<char>(crc), static_cast<char>(crc >> 8)};
  const std::string packed = one + header(8) + std::string("name\0", 5) + deflated + two + header(4 + 8 + 16) +
                             std::string("\4\0abcdfile\0comment\0", 19) + rest + with_crc + deflated + Gzip("") + two;
  const std::optional<std::string> expected = ByZlib(packed, 1 << 20);
  ASSERT_TRUE(expected.has_value());
  ASSERT_EQ(expected->size(), 3 * 5000u + 3 * 4);
  for (const size_t step : {1, 2, 3, 7, 8, 9, 100, 1 << 20}) {
    for (const size_t room : {1, 5, 4096, 1 << 20}) {
      const std::unique_ptr<ByteSource> source = MakeGzipSource(std::make_unique<Trickle>(packed, step), "a.gz");
      EXPECT_TRUE(ReadAll(*source, room) == *expected) << step << " " << room;
    }
  }
  with_crc.back() ^= 1;
  const std::string bad = with_crc + deflated;
  const std::unique_ptr<ByteSource> source = MakeGzipSource(std::make_unique<Trickle>(bad, 4), "a.gz");
  EXPECT_TRUE(absl::IsDataLoss(ReadToEnd(*source, 100).end));
}

// The fast inflater and zlib agree on every file, good or bad.
TEST(GzipSource, TakesAndRefusesWhatZlibDoes) {
  const uint64_t seed = Seed();
  std::mt19937_64 random(seed);
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
    std::string content = Content(random() % 200'000);
    if (round % 3 == 1) {
      for (char& byte : content) byte = static_cast<char>(random());  // stored, not deflated
    }
    if (round % 5 == 2) content.resize(random() % 50);  // the fixed code
    std::string packed = Gzip(content) + (round % 4 == 0 ? Gzip(Content(random() % 3000)) : "");
    const size_t most = content.size() + 1'000'000;
    for (uint64_t times = random() % 3; times > 0; --times) {
      switch (random() % 5) {
        case 0:
          packed.resize(random() % (packed.size() + 1));
          break;
        case 1:
          packed += std::string(1 + random() % 20, static_cast<char>(random() % 2 * 0x1f));
          break;
        case 2:  // where the codes are
          if (packed.size() > 100) packed[10 + random() % 90] ^= static_cast<char>(1 << random() % 8);
          break;
        case 3:
          if (packed.size() > 8) packed[packed.size() - 1 - random() % 8] ^= static_cast<char>(1 << random() % 8);
          break;
        default:
          if (!packed.empty()) packed[random() % packed.size()] ^= static_cast<char>(1 << random() % 8);
      }
    }
    const std::optional<std::string> expected = ByZlib(packed, most);
    const size_t steps[] = {1 + random() % 10, 1000, 1 << 20};
    for (const size_t step : steps) {
      const std::unique_ptr<ByteSource> source = MakeGzipSource(std::make_unique<Trickle>(packed, step), "a.gz");
      const ReadOut out = ReadToEnd(*source, 1 + random() % 100'000);
      EXPECT_EQ(out.end.ok(), expected.has_value()) << out.end;
      EXPECT_TRUE(!expected || out.content == *expected);
      EXPECT_TRUE(out.end.ok() || absl::IsDataLoss(out.end)) << out.end;
    }
  }
}

// Threads go to files first; where there are fewer of them, to the frames of each.
TEST(UnpackAhead, SharesTheThreadsOut) {
  const auto threads_a_file = [](size_t packed_files, size_t threads) {
    InputList inputs;
    for (size_t i = 0; i < packed_files; ++i) inputs.files.push_back(Packed("a.zst", 1));
    inputs.files.push_back(Packed("a.ndjson", 1, Compression::kNone));
    return UnpackAhead(inputs, threads, 0, nullptr).threads_a_file();
  };
  EXPECT_EQ(threads_a_file(0, 4), 4u);
  EXPECT_EQ(threads_a_file(1, 4), 4u);
  EXPECT_EQ(threads_a_file(2, 4), 2u);
  EXPECT_EQ(threads_a_file(3, 4), 1u);
  EXPECT_EQ(threads_a_file(100, 4), 1u);
  EXPECT_EQ(threads_a_file(1, 1), 1u);
}

}  // namespace
}  // namespace tollbook
