"""Where each nanosecond of an event goes: perf script | subjects.py EVENTS FREQUENCY > profile.csv

Each sample of the profile belongs to the first subject below that one of its frames is named after, so all of them add
up to the processor time of the run, of all threads: ns = samples / frequency / events. What an inlined function does is
its caller's.
"""

import csv
import re
import sys

import flame

COLUMNS = ["subject", "samples", "frequency", "events"]
# In the order in which they are asked: whoever makes the kernel touch a page, the page is the kernel's work. Steps that
# run in a task are known by the function that began it, which the task's type names.
SUBJECTS = [
    ("fresh pages: the kernel's work when memory is first touched", r"page_fault|do_user_addr_fault|madvise"),
    ("catalog: read and checked, once", r"LoadCatalog|ReadCatalog|ParseCatalog|CatalogOfDirectory"),
    ("commit: seen events, totals, sources; written and synced", r"CommitEpoch|SideThread::Run"),
    ("seal: totals merged, rated, booked; its commit", r"tollbook::Seal\b|ShardSeal|CommitSeal|VisitSubjects|VisitShard"),
    ("read: out of the page cache", r"vfs_read|vfs_pread|filemap_read|ksys_read|ksys_pread"),
    ("read: digest, blocks of whole lines", r"BlockReader|SourceFeeder"),
    ("dedup", r"Absorber::(Deduplicate|InsertShard|AskShard)"),
    ("totals: added, packed", r"Absorber::(Accumulate|PackTotals)"),
    ("verdicts and exceptions", r"Absorber::Judge|JudgeBlock|ExceptionCollector"),
    ("decode: lines taken apart by their layouts", r"LayoutTree::|ShapeOf|JsonDecoder|simdjson::"),
    ("hash: identity, content, series; times and quantities", r"Measurer::|HashSubject"),
    ("sorted to shards, and all else of a block", r"BlockDecoder::|Absorber::DecodeRound"),
    ("start and end: the program, its store, memory given back",
     r"_dl_start|_dl_fini|OpenBook|Book::Open|CLI::|::~|munmap"),
    ("the kernel else", r"entry_SYSCALL|do_syscall|asm_sysvec|ret_from_fork"),
    ("threads: work given out, waiting", r"tbb::|libtbb"),
    ("else", r""),
]
ASKED = [(subject, re.compile(pattern)) for subject, pattern in SUBJECTS]


def subject_of(stack):
    return next(subject for subject, pattern in ASKED if any(pattern.search(frame) for frame in stack))


def count(lines):
    """Samples of each subject, in their order."""
    samples, stack = dict.fromkeys((subject for subject, _ in SUBJECTS), 0), []
    for line in [*lines, ""]:
        frame = flame.FRAME.match(line)
        if frame:
            stack.append(frame[1])
        elif stack and not line.strip():
            samples[subject_of(stack)] += 1
            stack = []
    return samples


def main():
    events, frequency = int(sys.argv[1]), int(sys.argv[2])
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    for subject, samples in count(line.rstrip("\n") for line in sys.stdin).items():
        out.writerow([subject, samples, frequency, events])


if __name__ == "__main__":
    main()
