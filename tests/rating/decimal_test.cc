#include "rating/decimal.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <random>
#include <string>

#include "tests/rating/seed.h"

namespace tollbook {
namespace {

constexpr auto kNone = DecimalError::kNone;
constexpr auto kNotANumber = DecimalError::kNotANumber;
constexpr auto kTooLarge = DecimalError::kTooLarge;
constexpr auto kTooPrecise = DecimalError::kTooPrecise;

struct Case {
  std::string text;
  DecimalError error;
  std::string value;  // as FormatDecimal prints it
};

void CheckAtScale18(const Case& c) {
  SCOPED_TRACE(c.text.substr(0, 100));
  const ParsedDecimal parsed = ParseDecimal(c.text, 18);
  EXPECT_EQ(parsed.error, c.error);
  EXPECT_EQ(FormatDecimal(parsed.value, 18), c.error == kNone ? c.value : "0");
}

TEST(ParseDecimal, ReadsNumbersExactly) {
  const Case kCases[] = {
      {"0", kNone, "0"},
      {"-0", kNone, "0"},
      {"-0.0", kNone, "0"},
      {"0e5", kNone, "0"},
      {"0.000e-999999999999999999999", kNone, "0"},
      {"1", kNone, "1"},
      {"-1", kNone, "-1"},
      {"0.1", kNone, "0.1"},
      {"1.50", kNone, "1.5"},
      {"1e3", kNone, "1000"},
      {"1E+3", kNone, "1000"},
      {"25e-1", kNone, "2.5"},
      {"12.34e1", kNone, "123.4"},
      {"-12.34E-2", kNone, "-0.1234"},
      {"1e-18", kNone, "0.000000000000000001"},
      {"0.000000000000000001", kNone, "0.000000000000000001"},
      {"10e-19", kNone, "0.000000000000000001"},
      {"0.0000000000000000010", kNone, "0.000000000000000001"},
      {"999999999999999999", kNone, "999999999999999999"},
      {"9999999999999999999", kNone, "9999999999999999999"},    // 19 digits: the last that fits the short way
      {"10000000000000000000", kNone, "10000000000000000000"},  // 20
      {"1e20", kNone, "100000000000000000000"},
      {"100000000000000000000", kNone, "100000000000000000000"},
      {"170141183460469231731.687303715884105727", kNone, "170141183460469231731.687303715884105727"},
      {"-170141183460469231731.687303715884105727", kNone, "-170141183460469231731.687303715884105727"},
      {"0.0000000000000000000000000000000000000001e40", kNone, "1"},
      {"1" + std::string(1000, '0') + "e-1000", kNone, "1"},
      {"0." + std::string(1000, '0') + "7e1001", kNone, "7"},
      {"1." + std::string(1000, '0'), kNone, "1"},
  };
  for (const Case& c : kCases) CheckAtScale18(c);
}

TEST(ParseDecimal, RefusesWhatItCannotHoldExactly) {
  const Case kCases[] = {
      {"170141183460469231731.687303715884105728", kTooLarge, ""},  // 2^127
      {"-170141183460469231731.687303715884105728", kTooLarge, ""},
      {"170141183460469231732", kTooLarge, ""},
      {"999999999999999999999", kTooLarge, ""},
      {"1e21", kTooLarge, ""},
      {"1e400", kTooLarge, ""},
      {"1e999999999", kTooLarge, ""},
      {"1e99999999999999999999999999", kTooLarge, ""},
      {"1234567890123456789012345678901234567890", kTooLarge, ""},  // 40 digits
      {"1e-19", kTooPrecise, ""},
      {"0.0000000000000000001", kTooPrecise, ""},
      {"1.0000000000000000001", kTooPrecise, ""},
      {"1e-999999999", kTooPrecise, ""},
      {"1e-99999999999999999999999999", kTooPrecise, ""},
      {"0.1234567890123456789012345678901234567890", kTooPrecise, ""},
  };
  for (const Case& c : kCases) CheckAtScale18(c);
}

TEST(ParseDecimal, RefusesWhatIsNoJsonNumber) {
  for (const char* text : {"",      "-",     "+1",  "01", "-01",   "00",    ".5",   "1.",   "-.5",   "1.e3", "1e",
                           "1e+",   "1e-",   "e3",  " 1", "1 ",    "1,000", "0x1",  "NaN",  "inf",   "-inf", "Infinity",
                           "1.2.3", "1e2e3", "--1", "1-", "1_000", "１",    "1.5x", "null", "\"1\"", "1e1.5"}) {
    CheckAtScale18({text, kNotANumber, ""});
  }
  CheckAtScale18({std::string("1\0", 2), kNotANumber, ""});
}

TEST(ParseDecimal, KeepsToTheScaleThatIsAskedFor) {
  EXPECT_EQ(static_cast<int64_t>(ParseDecimal("12.34", 2).value), 1234);
  EXPECT_EQ(static_cast<int64_t>(ParseDecimal("12.3", 2).value), 1230);
  EXPECT_EQ(static_cast<int64_t>(ParseDecimal("12.340", 2).value), 1234);
  EXPECT_EQ(ParseDecimal("12.345", 2).error, kTooPrecise);
  EXPECT_EQ(static_cast<int64_t>(ParseDecimal("7", 0).value), 7);
  EXPECT_EQ(ParseDecimal("7.5", 0).error, kTooPrecise);
  EXPECT_EQ(FormatDecimal(ParseDecimal("170141183460469231731687303715884105727", 0).value, 0),
            "170141183460469231731687303715884105727");
  EXPECT_EQ(ParseDecimal("170141183460469231731687303715884105728", 0).error, kTooLarge);
}

struct FormatCase {
  int64_t value;
  int scale;
  const char* shortest;
  const char* fixed;
};

TEST(FormatDecimal, WritesPlainDecimals) {
  constexpr FormatCase kCases[] = {
      {0, 0, "0", "0"},           {0, 2, "0", "0.00"},    {150, 2, "1.5", "1.50"},     {150, 0, "150", "150"},
      {-150, 2, "-1.5", "-1.50"}, {5, 2, "0.05", "0.05"}, {-5, 3, "-0.005", "-0.005"}, {100, 2, "1", "1.00"},
      {1000, 3, "1", "1.000"},    {10, 1, "1", "1.0"},    {-1, 0, "-1", "-1"},
  };
  for (const FormatCase& c : kCases) {
    EXPECT_EQ(FormatDecimal(c.value, c.scale), c.shortest);
    EXPECT_EQ(FormatFixed(c.value, c.scale), c.fixed);
  }
  const Int128 least = -static_cast<Int128>(~Uint128{0} >> 1) - 1;
  EXPECT_EQ(FormatDecimal(least, 0), "-170141183460469231731687303715884105728");
  EXPECT_EQ(FormatDecimal(least, 36), "-170.141183460469231731687303715884105728");
  EXPECT_EQ(FormatDecimal(1, 36), "0.000000000000000000000000000000000001");
}

// Text to value to text, against big whole numbers: any digits, point and exponent.
TEST(ParseDecimal, AgreesWithBigIntegers) {
  using boost::multiprecision::cpp_int;
  std::mt19937_64 random(TestSeed());
  const cpp_int limit = (cpp_int(1) << 127) - 1;
  for (int round = 0; round < 20'000; ++round) {
    std::string digits = std::to_string(1 + random() % 9);
    for (size_t i = random() % 42; i > 0; --i)
      digits += static_cast<char>('0' + (random() % 3 == 0 ? 0 : random() % 10));
    const size_t fraction = random() % digits.size();
    const int exponent = static_cast<int>(random() % 41) - 20;
    const bool negative = random() % 2 == 0;
    std::string text = (negative ? "-" : "") + digits.substr(0, digits.size() - fraction);
    if (fraction > 0) text += "." + digits.substr(digits.size() - fraction);
    if (exponent != 0) text += "e" + std::to_string(exponent);
    SCOPED_TRACE(text);

    const int power = 18 - static_cast<int>(fraction) + exponent;
    const cpp_int unit = boost::multiprecision::pow(cpp_int(10), static_cast<unsigned>(std::abs(power)));
    const cpp_int whole(digits);
    const cpp_int value = power >= 0 ? cpp_int(whole * unit) : cpp_int(whole / unit);
    const bool precise = power >= 0 || whole % unit == 0;

    const ParsedDecimal parsed = ParseDecimal(text, 18);
    if (precise && value <= limit) {
      ASSERT_EQ(parsed.error, kNone);
      ASSERT_EQ(FormatDecimal(parsed.value, 0), (negative ? "-" : "") + value.str());
    } else {
      ASSERT_TRUE(parsed.error == (precise ? kTooLarge : kTooPrecise) ||
                  (!precise && value > limit && parsed.error == kTooLarge));
    }
  }
}

}  // namespace
}  // namespace tollbook
