// Process: what the program asks of the operating system and the C library before it begins.
#ifndef TOLLBOOK_PIPELINE_APP_PROCESS_H_
#define TOLLBOOK_PIPELINE_APP_PROCESS_H_

#include <cstdint>

namespace tollbook {

// Large pieces of memory go back to the system when they are freed.
//
// glibc gives back at once only what is above a threshold, and raises that with each such piece that is freed, up to 32
// MiB. Then the hot sets of dedup shards, which grow to a MB or a few and leave by turns, share the heaps of the
// threads with everything else and leave gaps there. 60 M events with --memory 2G: peak 2121 MiB as it was, 1539 with
// the threshold fixed; processor time the same.
void GiveBackLargeMemory();

// Of so much memory for the whole process, what an absorb that begins now may take: what is not allocated already, by
// the catalog above all, but a quarter of it in any case.
uint64_t LeftForAbsorb(uint64_t memory_bytes);

// As many open files as we may have: a book of 10 G events is a thousand files, and the usual soft limit is 1024.
void RaiseOpenFilesLimit();

}  // namespace tollbook

#endif  // TOLLBOOK_PIPELINE_APP_PROCESS_H_
