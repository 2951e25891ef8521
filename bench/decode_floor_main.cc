// What simdjson alone needs for a file of CloudEvents. usage: bench_decode_floor FILE [THREADS]. Prints one JSON
// object.
#include <cstdio>
#include <cstdlib>

#include "bench/decode_floor.h"

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bench_decode_floor FILE [THREADS]\n");
    return 2;
  }
  const int threads = argc > 2 ? std::atoi(argv[2]) : 1;
  const tollbook::bench::DecodeFloor floor = tollbook::bench::MeasureDecodeFloor(argv[1], threads < 1 ? 1 : threads);
  std::printf("{\"lines\": %llu, \"events\": %llu, \"characters\": %llu, \"seconds\": %.6f}\n",
              static_cast<unsigned long long>(floor.lines), static_cast<unsigned long long>(floor.events),
              static_cast<unsigned long long>(floor.characters), floor.seconds);
  return 0;
}
