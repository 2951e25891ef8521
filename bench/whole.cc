// The whole main job on generated telemetry, beside decoding alone, by layouts as the job does it, by our general
// decoder, and by simdjson and no more, and beside reading alone: the same bytes, the same machine, in turn, by all
// threads and by one. Prints the medians and the ratios of each turn; --csv writes every run.
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "bench/bench_data.h"
#include "bench/decode_floor.h"
#include "ledger/book.h"
#include "pipeline/absorb.h"
#include "pipeline/decode.h"
#include "pipeline/layout.h"
#include "pipeline/lines.h"
#include "pipeline/seal.h"
#include "pipeline/subject_worth.h"

namespace tollbook::bench {
namespace {

using Clock = std::chrono::steady_clock;

struct Options {
  uint64_t events = 10'000'000;
  int runs = 5;
  int threads = 0;
  std::string directory;
  std::string csv;  // empty: none
};

// How long something took, and how long cores worked for this process meanwhile: more, the more threads were at work.
struct Took {
  double seconds = 0;
  double core_seconds = 0;
  friend Took operator-(const Took& a, const Took& b) {
    return {a.seconds - b.seconds, a.core_seconds - b.core_seconds};
  }
};

Took ReadClocks() {
  struct rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  const auto now = std::chrono::duration<double>(Clock::now().time_since_epoch());
  return {now.count(), seconds(usage.ru_utime) + seconds(usage.ru_stime)};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Memory that lay idle goes back to a virtual machine's host, and the next process pays to get it again; so each timed
// run starts from the same state: a few gigabytes touched and freed just before.
void ResetMemory() {
  std::vector<char> touched(size_t{2} << 30);
  for (size_t i = 0; i < touched.size(); i += 4096) touched[i] = 1;
  if (touched[0] != 1) Die("memory");
}

// Runs `job` in a process of its own, so that its peak memory is its own; the answer comes back as plain bytes.
template <typename Answer, typename Job>
Answer InChild(const Job& job, uint64_t* peak_bytes) {
  int pipe_ends[2];
  if (pipe(pipe_ends) != 0) Die("no pipe");
  const pid_t child = fork();
  if (child < 0) Die("no process");
  if (child == 0) {
    const Answer answer = job();
    if (write(pipe_ends[1], &answer, sizeof answer) != static_cast<ssize_t>(sizeof answer)) Die("no answer");
    _exit(0);
  }
  close(pipe_ends[1]);
  Answer answer{};
  const bool answered = read(pipe_ends[0], &answer, sizeof answer) == static_cast<ssize_t>(sizeof answer);
  close(pipe_ends[0]);
  int status = 0;
  struct rusage usage = {};
  wait4(child, &status, 0, &usage);
  if (!answered || status != 0) Die("a run failed");
  *peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  return answer;
}

// A thread's way through the lines of a block: each by the general decoder.
class GeneralLines {
 public:
  void Decode(Block& block) {
    ForEachLine(block, [&](const BlockLine& line) { DecodeLine(line, block); });
  }
  uint64_t lines() const { return lines_; }

 protected:
  void DecodeLine(const BlockLine& line, Block& block) {
    events_.clear();
    decoder_->Decode(line.text, 0, block.arena, events_);
    ++lines_;
  }

  std::unique_ptr<Decoder> decoder_ = MakeJsonDecoder();
  std::vector<DecodedEvent> events_;
  uint64_t lines_ = 0;
};

// By the layouts that the thread has learned so far; the others as above, and learned from.
class LayoutLines : public GeneralLines {
 public:
  void Decode(Block& block) {
    layouts_.ForgiveGuesses();
    BlockLine line;
    while (line.offset < block.bytes) {
      const char* const begin = block.data + line.offset;
      const char* behind = nullptr;
      if (layouts_.Match(begin, block.data + block.bytes, block.arena, &slots_, &behind) >= 0) {
        ++lines_;
        GoToNextLine(static_cast<size_t>(behind - begin), &line);
        continue;
      }
      const size_t bytes = FindLineEnd(block, &line);
      if (!IsBlankLine(line.text)) Learn(line, block);
      GoToNextLine(bytes, &line);
    }
  }

 private:
  void Learn(const BlockLine& line, Block& block) {
    DecodeLine(line, block);
    if (events_[0].reason != Reason::kNone || layouts_.full()) return;
    const auto shape = ShapeOf({line.text.data(), line.text.size() + 1}, events_[0].event);
    if (shape) layouts_.Add(*shape);
  }

  LayoutTree layouts_;
  Slots slots_;
};

// Reads the file's bytes and decodes every line, nothing else.
template <typename Lines>
void DecodeOnly(const InputList& inputs, int threads, const GenerateReport& expected) {
  tbb::enumerable_thread_specific<Lines> locals;
  const std::unique_ptr<BlockReader> reader = Require(BlockReader::Open(inputs.files[0], {}));
  tbb::task_arena arena(threads > 0 ? threads : tbb::task_arena::automatic);
  std::mutex reader_mutex;  // guards reader
  arena.execute([&] {
    tbb::parallel_for(
        0, tbb::this_task_arena::max_concurrency(),
        [&](int) {
          Lines& local = locals.local();
          for (Block block;;) {
            block.arena.Clear();
            {
              const std::lock_guard lock(reader_mutex);
              if (!Require(reader->Next(&block))) return;
            }
            local.Decode(block);
          }
        },
        tbb::simple_partitioner());
  });
  uint64_t lines = 0;
  for (const Lines& local : locals) lines += local.lines();
  RequireEqual(lines, expected.lines, "lines decoded");
}

struct WholeJob {
  Took absorb, seal, all;
};

WholeJob RunWholeJob(const InputList& inputs, const Catalog& catalog, const Options& options, int threads,
                     const GenerateReport& expected) {
  const std::string directory = options.directory + "/book";
  std::filesystem::remove_all(directory);
  WholeJob job;
  const Took start = ReadClocks();
  {
    BookOptions book_options;
    book_options.directory = directory;
    book_options.create = true;
    book_options.identity = {kFormatVersion, catalog.book.name, catalog.book.zone.name(), {11, 22}};
    const std::unique_ptr<Book> book = Require(Book::Open(book_options));
    AbsorbOptions absorb;
    absorb.threads = threads;
    const AbsorbReport absorbed = Require(Absorb(*book, catalog, inputs, absorb));
    const Took absorbed_at = ReadClocks();
    job.absorb = absorbed_at - start;
    const SealReport sealed = Require(Seal(*book, catalog, {threads, std::nullopt}));
    job.seal = ReadClocks() - absorbed_at;
    RequireEqual(absorbed.counts.lines, expected.lines, "lines");
    RequireEqual(absorbed.counts.accepted, expected.accepted, "accepted");
    RequireEqual(absorbed.counts.duplicate, expected.duplicate, "duplicates");
    RequireEqual(absorbed.counts.conflict, expected.conflict, "conflicts");
    RequireEqual(absorbed.counts.held, expected.held, "held");
    RequireEqual(absorbed.counts.rejected, expected.rejected, "rejected");
    RequireEqual(sealed.unattributed_events, expected.unattributed, "unattributed");
    if (sealed.batches.empty()) Die("no journal");
  }
  job.all = ReadClocks() - start;
  return job;
}

// The usage in the book is what was generated, meter by meter.
void CheckUsage(const std::map<std::string, UsageTotal, std::less<>>& usage, const GenerateReport& expected) {
  constexpr Int128 kMicro = kOneUnit / 1'000'000;
  for (const GenerateReport::MeterUsage& made : expected.accepted_by_meter) {
    const std::string meter(made.meter);
    const auto found = usage.find(meter);
    const UsageTotal total = found == usage.end() ? UsageTotal() : found->second;
    RequireEqual(total.events, made.events, "events of " + meter);
    if (made.micros != 0 && total.value.attos != static_cast<Int128>(made.micros) * kMicro)
      Die("the usage of " + meter + " is " + ToString(total.value) + ", should be " + std::to_string(made.micros) +
          " millionths");
  }
}

using SumByEntityCurrency = std::map<std::pair<std::string, Currency>, LineSum>;

void AddTo(SumByEntityCurrency* sums, const std::string& entity, Currency currency, Int128 minor) {
  if (!(*sums)[{entity, currency}].Add(minor)) Die("a sum of " + entity + " does not fit");
}

// The book as it is on disk after the job: its usage beside what was generated; its journal, which balances, beside the
// rounded worth of every charge.
int CheckBook(const Catalog& catalog, const Options& options, const GenerateReport& expected) {
  BookOptions book_options;
  book_options.directory = options.directory + "/book";
  const std::unique_ptr<Book> book = Require(Book::Open(book_options));
  std::mutex mutex;  // guards usage and charged
  std::map<std::string, UsageTotal, std::less<>> usage;
  SumByEntityCurrency charged;
  Require(VisitSubjects(*book, catalog, {}, options.threads, [&](int, const SubjectWorth& worth) {
    const std::lock_guard lock(mutex);
    for (const SubjectTotal& total : worth.totals) {
      UsageTotal& sum = usage[total.meter->name];
      sum.events += total.total.events;
      const bool sums = total.meter->aggregation == Aggregation::kSum;
      if (sums && !Add(sum.value, total.total.value, &sum.value)) Die("the usage of " + total.meter->name);
    }
    for (const RatedCharge& charge : worth.rated.charges) {
      const Money& line = charge.days.back().booked_to_date;
      AddTo(&charged, catalog.entities[charge.subscription->entity].name, line.currency, line.minor);
    }
    return absl::OkStatus();
  }));
  CheckUsage(usage, expected);

  SumByEntityCurrency booked;
  for (const JournalBatch& batch : Require(book->Batches())) {
    if (BalanceOf(batch) != 0) Die(batch.id + " does not balance");
    for (const JournalLine& line : batch.lines) AddTo(&booked, batch.entity, batch.currency, line.minor);
  }
  std::erase_if(charged, [](const auto& sum) { return sum.second.minor == 0; });
  std::erase_if(booked, [](const auto& sum) { return sum.second.minor == 0; });
  if (charged.empty()) Die("nothing was charged");
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first && a.second.minor == b.second.minor; };
  if (!std::equal(charged.begin(), charged.end(), booked.begin(), booked.end(), same))
    Die("the journal is not the sum of the charges");
  return 0;
}

// Who runs, under the name that the CSV has for it.
struct Runner {
  const char* name;
  const char* title;
};
constexpr Runner kRunners[] = {{"read", "reading alone"},
                               {"simdjson", "simdjson alone, six fields"},
                               {"decode", "read, decode in general"},
                               {"layouts", "read, decode by layouts"},
                               {"whole", "whole job, durable"},
                               {"absorb", "  of it absorb"},
                               {"seal", "  of it seal"}};

// What each took in each turn, by so many threads.
using Turns = std::map<std::pair<std::string, int>, std::vector<Took>>;

std::vector<double> SecondsOf(const std::vector<Took>& turns) {
  std::vector<double> seconds;
  for (const Took& took : turns) seconds.push_back(took.seconds);
  return seconds;
}

// How many times as fast `a` is as `b`: the median of the ratios of each turn.
double TimesAsFast(const std::vector<Took>& a, const std::vector<Took>& b) {
  std::vector<double> ratios;
  for (size_t turn = 0; turn < a.size(); ++turn) ratios.push_back(b[turn].seconds / a[turn].seconds);
  return Median(ratios);
}

void PrintLine(const char* what, int threads, const std::vector<Took>& turns, const GenerateReport& report) {
  const std::vector<double> seconds = SecondsOf(turns);
  const double median = Median(seconds);
  const auto [least, most] = std::minmax_element(seconds.begin(), seconds.end());
  std::printf("%-28s %2d %7.3f s (%.3f to %.3f)  %6.2f M events/s  %7.1f MB/s\n", what, threads, median, *least, *most,
              static_cast<double>(report.lines) / median / 1e6, static_cast<double>(report.bytes) / median / 1e6);
}

void ReadOnly(const std::string& path, int threads, const GenerateReport& expected) {
  RequireEqual(MeasureReadFloor(path, threads).bytes, expected.bytes, "bytes read");
}

// What simdjson alone needs to find the fields of each line.
void SimdjsonOnly(const std::string& path, int threads, const GenerateReport& expected) {
  const DecodeFloor floor = MeasureDecodeFloor(path, threads);
  RequireEqual(floor.lines, expected.lines, "lines that simdjson read");
  if (floor.events < expected.accepted + expected.duplicate + expected.conflict + expected.held)
    Die("simdjson read " + std::to_string(floor.events) + " events, fewer than there are");
}

void WriteCsv(const std::string& path, const Turns& turns, const GenerateReport& report) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) Die("cannot write " + path);
  std::fputs("events,bytes,round,name,threads,seconds,core_seconds\n", file);
  for (const auto& [run, tooks] : turns) {
    for (size_t round = 0; round < tooks.size(); ++round) {
      std::fprintf(file, "%llu,%llu,%zu,%s,%d,%.6f,%.6f\n", static_cast<unsigned long long>(report.lines),
                   static_cast<unsigned long long>(report.bytes), round, run.first.c_str(), run.second,
                   tooks[round].seconds, tooks[round].core_seconds);
    }
  }
  if (std::fclose(file) != 0) Die("cannot write " + path);
}

// One turn: everyone once by each number of threads, each in a process of its own.
class Turn {
 public:
  Turn(const std::string& path, const Catalog& catalog, const Options& options, const GenerateReport& report)
      : path_(path), inputs_(Require(FindInputs({path}, {}))), catalog_(catalog), options_(options), report_(report) {}

  // `counts`: of threads, the largest last.
  void Run(const std::vector<int>& counts, Turns* turns) {
    for (const int threads : counts) Time("read", threads, turns, [&] { ReadOnly(path_, threads, report_); });
    for (const int threads : counts) Time("simdjson", threads, turns, [&] { SimdjsonOnly(path_, threads, report_); });
    Time("decode", counts.back(), turns, [&] { DecodeOnly<GeneralLines>(inputs_, counts.back(), report_); });
    for (const int threads : counts)
      Time("layouts", threads, turns, [&] { DecodeOnly<LayoutLines>(inputs_, threads, report_); });
    for (const int threads : counts) RunWhole(threads, turns);
  }
  // Of the whole job by the largest number of threads.
  uint64_t peak_bytes() const { return peak_bytes_; }

 private:
  // In the small mode nobody reads the figures.
  void Reset() const {
    if (options_.events >= 1'000'000) ResetMemory();
  }

  template <typename Job>
  void Time(const char* name, int threads, Turns* turns, const Job& job) {
    Reset();
    uint64_t ignored = 0;
    const auto timed = [&] {
      const Took start = ReadClocks();
      job();
      return ReadClocks() - start;
    };
    (*turns)[{name, threads}].push_back(InChild<Took>(timed, &ignored));
  }

  void RunWhole(int threads, Turns* turns) {
    Reset();
    uint64_t ignored = 0;
    const auto job =
        InChild<WholeJob>([&] { return RunWholeJob(inputs_, catalog_, options_, threads, report_); }, &peak_bytes_);
    InChild<int>([&] { return CheckBook(catalog_, options_, report_); }, &ignored);
    (*turns)[{"whole", threads}].push_back(job.all);
    (*turns)[{"absorb", threads}].push_back(job.absorb);
    (*turns)[{"seal", threads}].push_back(job.seal);
  }

  const std::string& path_;
  const InputList inputs_;
  const Catalog& catalog_;
  const Options& options_;
  const GenerateReport& report_;
  uint64_t peak_bytes_ = 0;
};

int Main(const Options& options) {
  std::filesystem::create_directories(options.directory);
  const GenerateOptions generate = OptionsFor(options.events);
  const std::string path = options.directory + "/usage.ndjson";
  const GenerateReport report = WriteTelemetry(generate, path);
  const Catalog catalog = CatalogOf(generate);
  std::printf("%llu events, %.2f GB, %u subscriptions\n", static_cast<unsigned long long>(report.lines),
              static_cast<double>(report.bytes) / 1e9, generate.subscriptions);

  // Asked of a child, too: oneTBB must not have begun in the process that the others come from.
  uint64_t ignored = 0;
  const int threads = options.threads > 0
                          ? options.threads
                          : InChild<int>([] { return tbb::this_task_arena::max_concurrency(); }, &ignored);
  const std::vector<int> counts = threads == 1 ? std::vector{1} : std::vector{1, threads};
  Turns turns;
  Turn turn(path, catalog, options, report);
  uint64_t peak_bytes = 0;
  for (int run = 0; run < options.runs; ++run) {
    turn.Run(counts, &turns);
    peak_bytes = std::max(peak_bytes, turn.peak_bytes());
  }
  for (const Runner& runner : kRunners) {
    for (const int count : counts) {
      if (const auto found = turns.find({runner.name, count}); found != turns.end())
        PrintLine(runner.title, count, found->second, report);
    }
  }
  const std::vector<Took>& whole = turns.at({"whole", threads});
  std::printf(
      "whole job: %.2f of the rate of simdjson alone, %.2f of that of decoding in general, %.2f of that by layouts; "
      "%.2f times as fast by %d threads as by one; peak memory %.2f GB\n",
      TimesAsFast(whole, turns.at({"simdjson", threads})), TimesAsFast(whole, turns.at({"decode", threads})),
      TimesAsFast(whole, turns.at({"layouts", threads})), TimesAsFast(whole, turns.at({"whole", 1})), threads,
      static_cast<double>(peak_bytes) / 1e9);
  if (!options.csv.empty()) WriteCsv(options.csv, turns, report);
  uint64_t book_bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(options.directory + "/book")) {
    if (entry.is_regular_file()) book_bytes += entry.file_size();
  }
  std::printf("book on disk: %.1f bytes an event\n",
              static_cast<double>(book_bytes) / static_cast<double>(report.lines));
  std::printf(
      "checked in each run: the lines by what became of them; events and sums by meter, as generated; the journal\n"
      "balances and is the sum of the charges, by entity and currency\n");
  std::filesystem::remove_all(options.directory);
  return 0;
}

}  // namespace
}  // namespace tollbook::bench

int main(int argc, char** argv) {
  tollbook::bench::Options options;
  options.directory =
      (std::filesystem::temp_directory_path() / ("tollbook-bench-" + std::to_string(getpid()))).string();
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--events")
      options.events = std::stoull(argv[i + 1]);
    else if (flag == "--runs")
      options.runs = std::stoi(argv[i + 1]);
    else if (flag == "--threads")
      options.threads = std::stoi(argv[i + 1]);
    else if (flag == "--dir")
      options.directory = std::string(argv[i + 1]) + "/tollbook-bench";
    else if (flag == "--csv")
      options.csv = argv[i + 1];
    else
      tollbook::bench::Die("unknown flag " + flag + ": use --events N, --runs N, --threads N, --dir DIR, --csv FILE");
  }
  return tollbook::bench::Main(options);
}
