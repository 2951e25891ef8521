#include "ledger/bytes.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "ledger/records.h"

namespace tollbook {
namespace {

constexpr Int128 kLargest = static_cast<Int128>(~static_cast<Uint128>(0) >> 1);
constexpr Int128 kSmallest = -kLargest - 1;

struct Form {
  const char* name;
  Int128 value;
  const char* hex;  // as Zigzag
};
constexpr Form kForms[] = {
    {"nothing", 0, "00"},
    {"one below", -1, "01"},
    {"one", 1, "02"},
    {"last of one byte", 63, "7e"},
    {"first of two bytes", 64, "8001"},
    {"a thousand", 1000, "d00f"},
    {"largest of 64 bits", std::numeric_limits<int64_t>::max(), "feffffffffffffffff01"},
    {"largest of 128 bits", kLargest, "feffffffffffffffffffffffffffffffffff03"},
    {"smallest of 128 bits", kSmallest, "ffffffffffffffffffffffffffffffffffff03"},
};

TEST(Bytes, SignedNumbersHaveOneForm) {
  for (const Form& form : kForms) {
    SCOPED_TRACE(form.name);
    ByteWriter out;
    out.Zigzag(form.value);
    EXPECT_EQ(ToHex(out.bytes()), form.hex);
    ByteReader in(out.bytes());
    EXPECT_TRUE(in.Zigzag() == form.value);
    EXPECT_TRUE(in.done());
  }
}

TEST(Bytes, NumbersOfAnyLengthComeBack) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 100'000; ++round) {
    const Uint128 value = (static_cast<Uint128>(random()) << 64 | random()) >> random() % 128;
    ByteWriter out;
    out.Varint(value);
    out.Zigzag(static_cast<Int128>(value));
    ByteReader in(out.bytes());
    ASSERT_TRUE(in.Varint() == value);
    ASSERT_TRUE(in.Zigzag() == static_cast<Int128>(value));
    ASSERT_TRUE(in.done());
  }
}

TEST(Bytes, FixedNumbersSortAsBytes) {
  ByteWriter out;
  out.Fixed8(0x01);
  out.Fixed32(0x02030405);
  out.Fixed64(0x060708090a0b0c0d);
  EXPECT_EQ(ToHex(out.bytes()), "0102030405060708090a0b0c0d");
  ByteReader in(out.bytes());
  EXPECT_EQ(in.Fixed8(), 0x01);
  EXPECT_EQ(in.Fixed32(), 0x02030405u);
  EXPECT_EQ(in.Fixed64(), 0x060708090a0b0c0du);
  EXPECT_TRUE(in.done());
}

TEST(Bytes, RefusesWhatDoesNotFit) {
  const auto reads = [](std::initializer_list<uint8_t> bytes, auto read) {
    const std::string text(bytes.begin(), bytes.end());
    ByteReader in(text);
    (void)read(in);
    return in.done();
  };
  const auto u32 = [](ByteReader& in) { return in.Varint32(); };
  const auto u64 = [](ByteReader& in) { return in.Varint64(); };
  const auto i32 = [](ByteReader& in) { return in.Zigzag32(); };
  const auto any = [](ByteReader& in) { return in.Varint() != 0; };
  const auto flag = [](ByteReader& in) { return in.Flag(); };
  const auto count = [](ByteReader& in) { return in.Count(); };
  EXPECT_TRUE(reads({0xff, 0xff, 0xff, 0xff, 0x0f}, u32));
  EXPECT_FALSE(reads({0x80, 0x80, 0x80, 0x80, 0x10}, u32)) << "2^32";
  EXPECT_TRUE(reads({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}, u64));
  EXPECT_FALSE(reads({0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02}, u64)) << "2^64";
  EXPECT_TRUE(reads({0xff, 0xff, 0xff, 0xff, 0x0f}, i32)) << "-2^31";
  EXPECT_FALSE(reads({0x80, 0x80, 0x80, 0x80, 0x10}, i32)) << "2^31";
  EXPECT_FALSE(reads({0x80, 0x00}, any)) << "a needless last byte";
  EXPECT_FALSE(reads({0x80}, any)) << "no last byte";
  EXPECT_FALSE(reads({}, any));
  EXPECT_TRUE(reads({1}, flag));
  EXPECT_FALSE(reads({2}, flag));
  EXPECT_FALSE(reads({9}, count)) << "nine things in no bytes";
  std::string beyond(18, '\xff');
  ByteReader fits(beyond += '\x03');
  (void)fits.Varint();
  EXPECT_TRUE(fits.done()) << "2^128 - 1";
  beyond.back() = '\x04';
  ByteReader does_not(beyond);
  (void)does_not.Varint();
  EXPECT_FALSE(does_not.ok()) << "2^128 and more";
}

TEST(Bytes, TextLongerThanTheRestIsRefused) {
  ByteReader in(
      std::string_view("\x05"
                       "abcd",
                       5));
  EXPECT_EQ(in.Text(), "");
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.Fixed64(), 0u) << "and all that follows is zero";
}

}  // namespace
}  // namespace tollbook
