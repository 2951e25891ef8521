// BlockJudge: how the events of a block ended, and what is kept of those that were not accepted.
#ifndef TOLLBOOK_PIPELINE_BLOCK_JUDGE_H_
#define TOLLBOOK_PIPELINE_BLOCK_JUDGE_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ledger/book.h"
#include "pipeline/arena.h"
#include "pipeline/block_work.h"

namespace tollbook {

using ReasonCounters = std::array<uint64_t, kReasons>;

// What is stored of a line that was rejected.
std::string_view Excerpt(std::string_view line);

struct BlockVerdict {
  LineCounts counts;
  ReasonCounters reasons{};
  std::vector<ExceptionRecord> exceptions;  // in input order; their payloads are the block's
};

// After deduplication; any number of blocks side by side. `first_line` is the number of the block's first line in its
// file.
BlockVerdict JudgeBlock(const BlockWork& work, uint64_t first_line);

// Collects an epoch's exceptions in input order, and cuts them into chunks. Keeps copies of the payloads, so that their
// blocks may go.
class ExceptionCollector {
 public:
  void Add(ExceptionRecord record);
  std::vector<ExceptionChunk> Take();

 private:
  struct Part {
    std::vector<ExceptionRecord> records;
    Arena payloads;
    size_t bytes = 0;
  };
  Part* PartFor(Reason reason);
  void Flush(Part* part);
  Part held_;
  Part held_corrections_;
  Part others_;
  std::vector<ExceptionChunk> chunks_;
};

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_BLOCK_JUDGE_H_
