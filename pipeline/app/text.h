// Text for a terminal: how wide it is, and how to show what should not be sent there as it is.
#ifndef TOLLBOOK_PIPELINE_APP_TEXT_H_
#define TOLLBOOK_PIPELINE_APP_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace tollbook {

// Columns that the text takes: combining marks none, East Asian wide characters and emoji two. `text` is Printable.
[[nodiscard]] size_t DisplayWidth(std::string_view text);

// Control characters and bytes that are not UTF-8 as \n, \t, \x1b …: usage data is written by others, and an escape
// sequence in it must not reach the terminal.
[[nodiscard]] std::string Printable(std::string_view text);

// What a text file may hold: bytes that are not UTF-8, and controls but tab and line ends, become U+FFFD.
[[nodiscard]] std::string PlainUtf8(std::string_view text);

// At most `width` columns; what is cut is marked by an ellipsis. `text` is Printable.
[[nodiscard]] std::string Truncated(std::string_view text, size_t width);

// The same, with the ellipsis in front of the end of the text.
[[nodiscard]] std::string TailOf(std::string_view text, size_t width);

// How many bytes of it fit into `width` columns when it is broken at blanks; a word longer than a line is broken
// anywhere. All of a text that fits; at least one character of one that does not. `text` is Printable.
[[nodiscard]] size_t WrapAt(std::string_view text, size_t width);

// "1,234,567.89": separators in the whole part of a plain decimal; other text unchanged.
[[nodiscard]] std::string Grouped(std::string_view decimal);
[[nodiscard]] std::string Grouped(uint64_t number);

// "2.4 GB", "236 B": three digits that matter, powers of ten.
[[nodiscard]] std::string BytesText(uint64_t bytes);

// "0.8 s", "12 s", "3:07", "1:02:45".
[[nodiscard]] std::string DurationText(double seconds);

// Columns of the terminal behind the descriptor; 0: it is none (a file, a pipe), so nothing needs to fit.
[[nodiscard]] size_t TerminalWidth(int descriptor);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_TEXT_H_
