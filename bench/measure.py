"""Runs of commands, measured alike: the same memory state before each, peak memory of each alone, medians of ratios."""

import json
import os
import statistics
import subprocess
import sys
import time

# Memory that lay idle goes back to a virtual machine's host, and the next process pays to get it again; so before each
# timed run 2 GiB are touched and freed, by a process of its own.
TOUCHED_BYTES = 2 << 30
TOUCH = "import sys; held = b'\\1' * int(sys.argv[1]); sys.exit(held[-1] != 1)"


def reset_memory():
    subprocess.run([sys.executable, "-c", TOUCH, str(TOUCHED_BYTES)], check=True)


def disk_bytes(path):
    """What a file, or all files below a directory, take."""
    if path is None or not os.path.exists(path):
        return 0
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def run(command, stdin=None, environment=None):
    """Runs a command that prints one JSON object last: (the object, seconds, user and system seconds, peak bytes)."""
    start = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=stdin, stdout=subprocess.PIPE,
                               env=environment and {**os.environ, **environment})
    printed = process.stdout.read()
    # wait4 and not wait: its usage is of this process alone, not the largest of all that were started.
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stdout.close()
    if process.returncode != 0:
        raise SystemExit(f"{command[0]} failed with {process.returncode}: {' '.join(map(str, command))}")
    answer = json.loads(printed.decode().strip().splitlines()[-1])
    return answer, {"seconds": seconds, "user_seconds": usage.ru_utime, "system_seconds": usage.ru_stime,
                    "peak_bytes": usage.ru_maxrss * 1024}


def spread(values):
    """(median, least, most)."""
    return statistics.median(values), min(values), max(values)


def si(number, digits=2):
    """1234567 as 1.23 M."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(number) >= size:
            return f"{number / size:.{digits}f} {unit}"
    return f"{number:.{digits}f}"


def table(header, rows):
    """As GitHub's Markdown writes it."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])
