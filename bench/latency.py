#!/usr/bin/env python3
"""How long a usage event that arrives on a pipe waits until it survives a power loss.

Generated telemetry is written to `tollbook absorb --acknowledge -` at a steady rate, a few lines every millisecond, each
stamped when it is written. A line is durable when an acknowledgement that covers it has been read. Prints the latency
of the median line, of the 99th percentile and of the slowest, and the commits a second. Ends with an error when a line
is not acknowledged, when the book does not have what was sent, or when the 99th percentile is later than --limit-ms.

Usage: latency.py TOLLBOOK [--rate 100000] [--seconds 20] [--limit-ms 100] [--directory DIR]
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

TICK = 0.001


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tollbook", type=lambda path: pathlib.Path(path).resolve())
    parser.add_argument("--rate", type=int, default=100_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--limit-ms", type=float, help="an error when 99 % of the lines take longer")
    parser.add_argument("--directory", help="where the book goes (default: a temporary directory)")
    return parser.parse_args()


class Acknowledgements(threading.Thread):
    """Reads what the program says: (time, lines that are durable) of each commit, and the report at the end."""

    def __init__(self, stream):
        super().__init__()
        self.stream, self.commits, self.report = stream, [], None

    def run(self):
        for line in self.stream:
            now, said = time.monotonic(), json.loads(line)
            if "durable" in said:
                self.commits.append((now, said["durable"]["lines"]))
            else:
                self.report = said


def feed(pipe, lines, rate):
    """Writes the lines at the rate; (time, lines written before it) of each write."""
    stamps, sent, start = [], 0, time.monotonic()
    while sent < len(lines):
        now = time.monotonic()
        due = min(len(lines), int((now - start) * rate) + 1)
        if due > sent:
            stamps.append((now, sent, due))
            pipe.write(b"".join(lines[sent:due]))
            sent = due
        time.sleep(max(0.0, TICK - (time.monotonic() - now)))
    pipe.close()
    return stamps, time.monotonic() - start


def latencies(stamps, commits):
    """(seconds, lines) of each write: from the write to the first acknowledgement that covers all of it."""
    result, commit = [], 0
    for written, first, behind in stamps:
        while commit < len(commits) and commits[commit][1] < behind:
            commit += 1
        if commit == len(commits):
            sys.exit(f"lines {first + 1} to {behind} were never acknowledged")
        result.append((commits[commit][0] - written, behind - first))
    return sorted(result)


def percentile(sorted_latencies, share):
    wanted = share * sum(lines for _, lines in sorted_latencies)
    for seconds, lines in sorted_latencies:
        wanted -= lines
        if wanted <= 0:
            break
    return seconds


def run(arguments, scratch):
    count = int(arguments.rate * arguments.seconds)
    subprocess.run([arguments.tollbook, "generate", "--events", str(count), "--out", scratch / "usage.ndjson",
                    "--catalog-out", scratch / "catalog", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    lines = (scratch / "usage.ndjson").read_bytes().splitlines(keepends=True)
    absorb = subprocess.Popen([arguments.tollbook, "absorb", "--books", scratch / "book", "--catalog",
                               scratch / "catalog", "--acknowledge", "--json", "-"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    acknowledgements = Acknowledgements(absorb.stdout)
    acknowledgements.start()
    time.sleep(0.5)  # the book is made, and that is not what is measured
    stamps, seconds = feed(absorb.stdin, lines, arguments.rate)
    acknowledgements.join()
    if absorb.wait() != 0 or acknowledgements.report["lines_read"] != len(lines):
        sys.exit(f"the book has not the {len(lines)} lines that were sent")
    found = latencies(stamps, acknowledgements.commits)
    print(f"{len(lines):,} events in {seconds:.1f} s, {len(lines) / seconds:,.0f} a second; "
          f"{len(acknowledgements.commits) / seconds:.0f} commits a second")
    print(f"durable after: median {percentile(found, 0.5) * 1000:.0f} ms, 99 % {percentile(found, 0.99) * 1000:.0f} ms, "
          f"slowest {found[-1][0] * 1000:.0f} ms")
    late_ms = percentile(found, 0.99) * 1000
    if arguments.limit_ms is not None and late_ms > arguments.limit_ms:
        sys.exit(f"99 % of the lines are durable after {late_ms:.0f} ms, and not within {arguments.limit_ms:g}")


def main():
    arguments = read_arguments()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        run(arguments, pathlib.Path(scratch))


if __name__ == "__main__":
    main()
