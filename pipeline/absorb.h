// Absorb: usage into the book. Hot and parallel.
//
//   bytes -decode-> usage events -by identity-> dedup shards -the fresh, by subject-> total shards -one synced write->
//   the book
//
// Corrections (corrections.h) are held at first, and applied in commits of their own when all input is in the book; an
// absorb that is stopped leaves them to the next one. Only they may make absorb read a source twice (rebuild.h).
//
// An epoch is a run of consecutive rounds, a round one of consecutive blocks. In a round blocks are read in order and
// decoded in parallel; each dedup shard goes through its identities in input order (so which of two conflicting events
// is the first does not depend on threads); each total shard adds up what is fresh; then the blocks' memory serves the
// next round. An epoch is ONE commit, written while the next one's first round is decoded. Memory: one round (input
// bytes, about as much again for what was decoded, and where the book keeps a usage log as much again and what an epoch
// is packed), the totals of two epochs, and the seen events: in memory up to what
// AbsorbOptions::memory_bytes leaves for them, beyond it in runs on disk (seen_budget.h). Threads: absorb uses
// `threads` of them; a book is absorbed into by one Absorb at a time.
#ifndef TOLLBOOK_PIPELINE_ABSORB_H_
#define TOLLBOOK_PIPELINE_ABSORB_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "ledger/book.h"
#include "pipeline/decode.h"
#include "pipeline/input.h"
#include "pipeline/source_feeder.h"
#include "rating/catalog.h"

namespace tollbook {

struct AbsorbProgress {
  uint64_t bytes_done = 0;   // of the inputs, on disk
  uint64_t bytes_total = 0;  // 0: not known (a pipe)
  uint64_t events = 0;
};

// What of this run is on disk for good: the first `lines` of its input.
struct AbsorbDurable {
  uint64_t commits = 0;
  uint64_t lines = 0;
  uint64_t accepted = 0;
};

struct AbsorbOptions {
  int threads = 0;                                      // 0: as many as the machine has cores
  DecoderChoice decoder = DecoderChoice::kAuto;         // who decodes JSON; the answer is the same
  uint64_t epoch_bytes = 96 << 20;                      // of decompressed input, or of held lines that are tried
                                                        // again; more: fewer commits, more memory
  uint64_t epoch_events = 512 << 10;                    // the same bound for inputs with short lines
  uint64_t round_bytes = 0;                             // decoded, then deduplicated and added up, in one go; 0: 6 MiB
                                                        // for each thread
  size_t block_bytes = 256 << 10;                       // what one thread decodes at a time
  size_t line_bytes_max = 1 << 20;                      // longer lines are rejected
  int64_t epoch_millis = 2000;                          // an epoch lasts no longer
  int64_t slow_epoch_millis = 40;                       // nor than this when it is the input that we wait for ...
  uint64_t slow_epoch_events = 16 << 10;                // ... and it brings no more in that time
  uint64_t memory_bytes = 0;                            // for all of absorb; 0: as much as it takes
  bool keeps_usage_log = false;                         // what is read goes into the book as well, packed
  int seen_span_days = 0;                               // EpochCommit's, where keys are to be forgotten one day
  const std::atomic<bool>* stop = nullptr;              // turns true: end at the next epoch, cleanly
  std::function<void(const AbsorbProgress&)> progress;  // called now and then from a thread of absorb's
  std::function<void(const AbsorbDurable&)> durable;    // called after each commit, likewise
  // Called while no commit is under way, by one thread at a time: at the end of each epoch, and while a pipe has
  // nothing to give. It may read the book and take a cut of it; what it takes is added to the epoch's time.
  std::function<void(Book&)> between_commits;
};

struct AbsorbReport {
  LineCounts counts;                                 // of this run
  std::vector<std::pair<Reason, uint64_t>> reasons;  // what was not accepted, by reason
  std::vector<SkippedSource> skipped;                // absorbed before
  std::vector<LeftOut> left_out;                     // could not be read, or not to the end
  std::vector<LeftOut> needed;                       // sources that held corrections wait for, and why
  Day cut_off = kNoUsage;                            // of the book: usage dated before it is refused
  uint64_t corrections = 0;                          // applied, those that earlier runs had held included
  uint64_t epochs = 0;
  uint64_t bytes = 0;  // decompressed
  bool stopped = false;
};

// Errors: the book's (see Book); FailedPrecondition when a meter is defined otherwise than the totals in the book were
// made. What was committed before an error stays.
[[nodiscard]] absl::StatusOr<AbsorbReport> Absorb(Book& book, const Catalog& catalog, const InputList& inputs,
                                                  const AbsorbOptions& options);

// Reads the held events and corrections of the book again, now that the catalog may know their meters. What is still
// held stays.
[[nodiscard]] absl::StatusOr<AbsorbReport> RetryHeld(Book& book, const Catalog& catalog, const AbsorbOptions& options);

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_ABSORB_H_
