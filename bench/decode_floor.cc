#include "bench/decode_floor.h"

#include <fcntl.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

namespace tollbook::bench {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kBlockBytes = size_t{1} << 20;
constexpr size_t kLineBytesMax = size_t{1} << 20;

[[noreturn]] void Fail(const std::string& message) {
  std::fprintf(stderr, "decode floor: %s\n", message.c_str());
  std::exit(1);
}

// Where the benchmarks' events have their metered value. A type that is not here has none, as a count has none.
struct ValuePlace {
  std::string_view type;
  std::string_view member;
  std::string_view below;
};
constexpr ValuePlace kValuePlaces[] = {
    {"llm.tokens", "tokens", ""},      {"storage.gb_hours", "gb_hours", ""}, {"compute.seconds", "usage", "seconds"},
    {"transfer.gb", "gb", ""},         {"mails.sent", "mails", ""},          {"seats.active", "seats", ""},
    {"devices.online", "devices", ""},
    {"calls", "units", ""},  // of bench/growth.py
};

bool AddText(simdjson::simdjson_result<simdjson::ondemand::value> value, uint64_t* characters) {
  std::string_view text;
  if (value.get(text)) return false;
  *characters += text.size();
  return true;
}

// Reads the six fields of a line; false when one of them is not there or of another kind.
bool ReadFields(simdjson::ondemand::document& line, uint64_t* characters) {
  std::string_view type;
  if (!AddText(line["id"], characters) || !AddText(line["source"], characters)) return false;
  if (line["type"].get(type)) return false;
  *characters += type.size();
  if (!AddText(line["subject"], characters) || !AddText(line["time"], characters)) return false;
  simdjson::ondemand::object data;
  if (line["data"].get(data)) return false;
  for (const ValuePlace& place : kValuePlaces) {
    if (type != place.type) continue;
    simdjson::ondemand::value value;
    if (data[place.member].get(value)) return false;
    if (!place.below.empty() && value[place.below].get(value)) return false;
    *characters += value.raw_json_token().size();
  }
  return true;
}

class Worker {
 public:
  explicit Worker(int file) : file_(file) {
    const size_t bytes = kPage + kBlockBytes + kLineBytesMax + simdjson::SIMDJSON_PADDING;
    buffer_.reset(static_cast<char*>(std::aligned_alloc(kPage, (bytes + kPage - 1) / kPage * kPage)));
    if (buffer_ == nullptr) Fail("no memory");
  }

  // The bytes of [begin, begin + kBlockBytes) of the file, and how many of them there are.
  uint64_t ReadBytes(uint64_t begin) { return Fill(0, begin, kBlockBytes); }

  // The lines that begin in [begin, begin + kBlockBytes) of the file.
  void ReadBlock(uint64_t begin) {
    // From a page earlier: its last byte says whether a line begins at `begin`, and pages are copied onto pages.
    const uint64_t from = begin == 0 ? 0 : begin - kPage;
    const char* const text = buffer_.get();
    size_t filled = Fill(0, from, begin - from + kBlockBytes + kPage);
    const char* const block_end = text + (begin - from) + kBlockBytes;
    const char* at = begin == 0 ? text : AfterNewline(text + (begin - from) - 1, text + filled);
    while (at < std::min(block_end, text + filled)) {
      const char* end = static_cast<const char*>(std::memchr(at, '\n', text + filled - at));
      if (end == nullptr) {  // the block's last line goes on behind what was read, or the file ends without a newline
        filled += Fill(filled, from + filled, kLineBytesMax - kPage);
        end = static_cast<const char*>(std::memchr(at, '\n', text + filled - at));
        if (end == nullptr) end = text + filled;
      }
      ReadLine(at, end - at);
      at = end + 1;
    }
  }

  DecodeFloor found;

 private:
  struct Free {
    void operator()(char* buffer) const { std::free(buffer); }
  };

  static const char* AfterNewline(const char* from, const char* end) {
    const void* newline = std::memchr(from, '\n', end - from);
    return newline == nullptr ? end : static_cast<const char*>(newline) + 1;
  }

  size_t Fill(size_t at, uint64_t offset, size_t bytes) {
    size_t filled = 0;
    while (filled < bytes) {
      const ssize_t got =
          pread(file_, buffer_.get() + at + filled, bytes - filled, static_cast<off_t>(offset + filled));
      if (got < 0) Fail("cannot read");
      if (got == 0) break;
      filled += static_cast<size_t>(got);
    }
    return filled;
  }

  void ReadLine(const char* line, size_t bytes) {
    ++found.lines;
    // The bytes behind the line, of the next one or of the buffer's end, are its padding.
    simdjson::ondemand::document document;
    if (parser_.iterate(line, bytes, bytes + simdjson::SIMDJSON_PADDING).get(document)) return;
    if (ReadFields(document, &found.characters)) ++found.events;
  }

  const int file_;
  std::unique_ptr<char, Free> buffer_;
  simdjson::ondemand::parser parser_;
};

}  // namespace

namespace {

// Calls `work(worker, begin)` for each block of the file, from so many threads, and makes a worker for each of them. The
// seconds from the opening of the file to the end of the last block.
template <typename Work>
double ForEachBlock(const std::string& path, int threads, std::vector<std::unique_ptr<Worker>>* workers,
                    const Work& work) {
  const auto start = std::chrono::steady_clock::now();
  const int file = open(path.c_str(), O_RDONLY);
  struct stat status = {};
  if (file < 0 || fstat(file, &status) != 0) Fail("cannot read " + path);
  std::vector<std::thread> running;
  std::atomic<uint64_t> next = 0;
  for (int i = 0; i < threads; ++i) {
    workers->push_back(std::make_unique<Worker>(file));
    running.emplace_back([&next, &status, &work, worker = workers->back().get()] {
      for (uint64_t begin; (begin = next.fetch_add(kBlockBytes)) < static_cast<uint64_t>(status.st_size);)
        work(*worker, begin);
    });
  }
  for (std::thread& thread : running) thread.join();
  close(file);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

DecodeFloor MeasureDecodeFloor(const std::string& path, int threads) {
  std::vector<std::unique_ptr<Worker>> workers;
  DecodeFloor found;
  found.seconds =
      ForEachBlock(path, threads, &workers, [](Worker& worker, uint64_t begin) { worker.ReadBlock(begin); });
  for (const std::unique_ptr<Worker>& worker : workers) {
    found.lines += worker->found.lines;
    found.events += worker->found.events;
    found.characters += worker->found.characters;
  }
  return found;
}

ReadFloor MeasureReadFloor(const std::string& path, int threads) {
  std::vector<std::unique_ptr<Worker>> workers;
  std::atomic<uint64_t> bytes = 0;
  ReadFloor found;
  found.seconds = ForEachBlock(path, threads, &workers,
                               [&](Worker& worker, uint64_t begin) { bytes += worker.ReadBytes(begin); });
  found.bytes = bytes;
  return found;
}

}  // namespace tollbook::bench
