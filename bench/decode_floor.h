// DecodeFloor: what simdjson alone needs to read a file of CloudEvents line by line, and nothing else.
//
// The reference that the whole job is compared with: On-Demand, the fields id, source, type, subject, time and the
// metered value found and unescaped, the value as its text. No number or time is converted, nothing is looked up, added
// or kept. The file is read by pread() into one page-aligned buffer a thread, which is used again for every block.
#ifndef TOLLBOOK_BENCH_DECODE_FLOOR_H_
#define TOLLBOOK_BENCH_DECODE_FLOOR_H_

#include <cstdint>
#include <string>

namespace tollbook::bench {

struct DecodeFloor {
  uint64_t lines = 0;
  uint64_t events = 0;      // lines whose six fields could be read
  uint64_t characters = 0;  // of these fields, so that no reading can be left out
  double seconds = 0;
};

// Ends the program with a message when the file cannot be read.
DecodeFloor MeasureDecodeFloor(const std::string& path, int threads);

// The seconds that reading the same bytes into the same buffers takes, and no more: nobody looks at them.
struct ReadFloor {
  uint64_t bytes = 0;
  double seconds = 0;
};
ReadFloor MeasureReadFloor(const std::string& path, int threads);

}  // namespace tollbook::bench

#endif  // TOLLBOOK_BENCH_DECODE_FLOOR_H_
