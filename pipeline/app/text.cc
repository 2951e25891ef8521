#include "pipeline/app/text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>

namespace tollbook {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t bytes = 0;  // 0: not UTF-8
};

// The first code point of `text`, which is not empty. Overlong forms, surrogates and values above 10FFFF are not UTF-8.
CodePoint First(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < bytes) return {};
  uint32_t value = byte(0) & (0x7f >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[bytes] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return {};
  return {value, bytes};
}

struct Range {
  uint32_t first, last;
};

// The blocks that matter in names; a full table of Unicode would be longer than the rest of this room.
constexpr Range kNoWidth[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
                              {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064},
                              {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}};
constexpr Range kTwoWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                              {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                              {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff}, {0x20000, 0x3fffd}};

template <size_t N>
bool In(const Range (&ranges)[N], uint32_t value) {
  return std::any_of(std::begin(ranges), std::end(ranges),
                     [&](const Range& range) { return value >= range.first && value <= range.last; });
}

size_t WidthOf(uint32_t value) {
  return In(kNoWidth, value) ? 0 : In(kTwoWide, value) ? 2 : 1;
}

// Controls, and the marks that change the direction of what follows them.
bool Dangerous(uint32_t value) {
  return value < 0x20 || (value >= 0x7f && value < 0xa0) || (value >= 0x202a && value <= 0x202e) ||
         (value >= 0x2066 && value <= 0x2069);
}

void AppendEscaped(std::string_view bytes, std::string* out) {
  for (char c : bytes) {
    if (c == '\n' || c == '\t' || c == '\r') {
      out->append(c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r");
      continue;
    }
    char escaped[8];
    std::snprintf(escaped, sizeof(escaped), "\\x%02x", static_cast<uint8_t>(c));
    out->append(escaped);
  }
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = First(text);
    width += point.bytes == 0 ? 1 : WidthOf(point.value);
    text.remove_prefix(std::max<size_t>(point.bytes, 1));
  }
  return width;
}

std::string Printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = First(text);
    const std::string_view bytes = text.substr(0, std::max<size_t>(point.bytes, 1));
    if (point.bytes == 0 || Dangerous(point.value)) {
      AppendEscaped(bytes, &out);
    } else {
      out.append(bytes);
    }
    text.remove_prefix(bytes.size());
  }
  return out;
}

std::string PlainUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const CodePoint point = First(text);
    const std::string_view bytes = text.substr(0, std::max<size_t>(point.bytes, 1));
    const bool control = point.value < 0x20 && point.value != '\t' && point.value != '\n' && point.value != '\r';
    out.append(point.bytes == 0 || control ? "\uFFFD" : bytes);
    text.remove_prefix(bytes.size());
  }
  return out;
}

std::string Truncated(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return "";
  size_t columns = 0;
  size_t end = 0;
  while (end < text.size()) {
    const CodePoint point = First(text.substr(end));
    const size_t next = columns + (point.bytes == 0 ? 1 : WidthOf(point.value));
    if (next > width - 1) break;
    columns = next;
    end += std::max<size_t>(point.bytes, 1);
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string TailOf(std::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  if (width == 0) return "";
  while (DisplayWidth(text) > width - 1) text.remove_prefix(std::max<size_t>(First(text).bytes, 1));
  return "…" + std::string(text);
}

size_t WrapAt(std::string_view text, size_t width) {
  size_t columns = 0;
  size_t end = 0;
  size_t blank = 0;  // the last one that a line may end at
  while (end < text.size()) {
    const CodePoint point = First(text.substr(end));
    if (text[end] == ' ' && columns != 0 && text[end - 1] != ' ') blank = end;
    columns += point.bytes == 0 ? 1 : WidthOf(point.value);
    if (columns > width && text[end] != ' ' && end != 0) return blank != 0 ? blank : end;
    end += std::max<size_t>(point.bytes, 1);
  }
  return text.size();
}

std::string Grouped(std::string_view decimal) {
  const size_t start = decimal.starts_with('-') ? 1 : 0;
  const size_t point = std::min(decimal.find('.'), decimal.size());
  const std::string_view whole = decimal.substr(start, point - start);
  if (whole.empty() || whole.find_first_not_of("0123456789") != std::string_view::npos) return std::string(decimal);
  std::string out(decimal.substr(0, start));
  for (size_t i = 0; i < whole.size(); ++i) {
    if (i != 0 && (whole.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(whole[i]);
  }
  return out.append(decimal.substr(point));
}

std::string Grouped(uint64_t number) {
  return Grouped(std::string_view(std::to_string(number)));
}

std::string BytesText(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.*f %s",
                unit == 0 || value >= 99.95 ? 0
                : value >= 9.995            ? 1
                                            : 2,
                value, kUnits[unit]);
  return text;
}

std::string DurationText(double seconds) {
  char text[48];
  if (seconds < 9.95) {
    std::snprintf(text, sizeof(text), "%.1f s", std::max(seconds, 0.0));
    return text;
  }
  const auto whole = static_cast<uint64_t>(std::min(seconds, 1e9) + 0.5);
  if (whole < 60) {
    std::snprintf(text, sizeof(text), "%d s", static_cast<int>(whole));
  } else if (whole < 3600) {
    std::snprintf(text, sizeof(text), "%d:%02d", static_cast<int>(whole / 60), static_cast<int>(whole % 60));
  } else {
    std::snprintf(text, sizeof(text), "%d:%02d:%02d", static_cast<int>(whole / 3600), static_cast<int>(whole / 60 % 60),
                  static_cast<int>(whole % 60));
  }
  return text;
}

size_t TerminalWidth(int descriptor) {
  if (isatty(descriptor) == 0) return 0;
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace tollbook
