#include "pipeline/app/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/app/text.h"

namespace tollbook {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kBarEvery = std::chrono::milliseconds(100);
constexpr auto kLineEvery = std::chrono::seconds(10);  // so that a short run says nothing
constexpr size_t kBarColumns = 24;

// A terminal that can draw a line again.
bool CanRedraw() {
  const char* terminal = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

std::string Bar(double share) {
  const auto halves = static_cast<size_t>(share * 2 * kBarColumns);
  std::string bar;
  for (size_t i = 0; i < halves / 2; ++i) bar += "━";
  if (halves % 2 == 1) bar += "╸";
  bar.append(kBarColumns - (halves + 1) / 2, ' ');
  return bar;
}

// Parts from the left, as many as fit; 0: all.
std::string Join(const std::vector<std::string>& parts, size_t width) {
  std::string line;
  for (const std::string& part : parts) {
    const std::string longer = line.empty() ? part : line + "  " + part;
    if (width != 0 && DisplayWidth(longer) > width) break;
    line = longer;
  }
  return line;
}

}  // namespace

Progress::Progress(bool quiet) : quiet_(quiet), terminal_(CanRedraw()), start_(Clock::now()), last_drawn_(start_) {}

Progress::~Progress() {
  Finish();
}

void Progress::Update(uint64_t bytes_done, uint64_t bytes_total, uint64_t events) {
  const std::lock_guard lock(mutex_);
  if (quiet_ || finished_) return;
  bytes_done_ = bytes_done;
  bytes_total_ = bytes_total;
  events_ = events;
  const Clock::time_point now = Clock::now();
  const Clock::duration every = terminal_ ? Clock::duration(kBarEvery) : Clock::duration(kLineEvery);
  if (now - last_drawn_ >= every) Draw(now);
}

void Progress::Finish() {
  const std::lock_guard lock(mutex_);
  if (quiet_ || finished_) return;
  finished_ = true;
  if (!terminal_ || !drawn_) return;
  Draw(Clock::now());
  std::fputs("\x1b[?25h\n", stderr);
  std::fflush(stderr);
}

void Progress::Draw(Clock::time_point now) {
  const double seconds = std::max(SecondsBetween(start_, now), 1e-3);
  const double bytes_per_second = static_cast<double>(bytes_done_) / seconds;
  std::vector<std::string> parts;
  if (bytes_total_ != 0) {
    const double share = std::min(1.0, static_cast<double>(bytes_done_) / static_cast<double>(bytes_total_));
    char percent[16];
    std::snprintf(percent, sizeof(percent), "%3d %%", static_cast<int>(share * 100));
    parts.emplace_back(percent);
    if (terminal_) parts.push_back(Bar(share));
  }
  parts.push_back(BytesText(bytes_done_));
  if (bytes_total_ != 0) parts.back() += " of " + BytesText(bytes_total_);
  parts.push_back(Grouped(static_cast<uint64_t>(static_cast<double>(events_) / seconds)) + " events/s");
  parts.push_back(BytesText(static_cast<uint64_t>(bytes_per_second)) + "/s");
  if (finished_) {
    parts.push_back(DurationText(seconds));
  } else if (bytes_done_ != 0 && bytes_total_ > bytes_done_) {
    parts.push_back(DurationText(static_cast<double>(bytes_total_ - bytes_done_) / bytes_per_second) + " left");
  }
  if (terminal_) {
    // One column stays free: some terminals wrap a line that fills them.
    const std::string line = Join(parts, std::max<size_t>(TerminalWidth(STDERR_FILENO), 2) - 1);
    std::fprintf(stderr, "%s\r%s\x1b[K", drawn_ ? "" : "\x1b[?25l", line.c_str());
  } else {
    std::fprintf(stderr, "%s\n", Join(parts, 0).c_str());
  }
  std::fflush(stderr);
  drawn_ = true;
  last_drawn_ = now;
}

}  // namespace tollbook
