"""Instructions of each trick of the hot path and of its plain twin.

    tricks.py --program bench_tricks [--events N] [--csv FILE]

Runs them under callgrind (Debian: valgrind), which counts what the processor would execute: the same figure on a busy
machine as on a quiet one. It says nothing of waiting for memory. Exit code 77 where there is no valgrind. An error when
a trick takes more instructions than its twin: then it is none.
"""

import argparse
import csv
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import figures  # noqa: E402

NO_VALGRIND = 77  # exit code


def instructions(command, scratch):
    """(what the program printed, what is executed in each call of tollbook_bench_measured(), in turn)."""
    counted = scratch / "callgrind.out"
    done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=tollbook_bench_measured",
                           "--dump-after=tollbook_bench_measured", f"--callgrind-out-file={counted}", *command],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} under valgrind failed:\n{done.stderr}")
    dumps = sorted(scratch.glob("callgrind.out.*"), key=lambda path: int(path.suffix[1:]))
    return done.stdout, [int(re.search(r"^(?:totals|summary): (\d+)", dump.read_text(), re.M)[1]) for dump in dumps]


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--program", type=pathlib.Path, required=True)
    parse.add_argument("--events", type=int, default=5_000)
    parse.add_argument("--csv", type=pathlib.Path, default=pathlib.Path("build/bench/tricks.csv"))
    options = parse.parse_args()
    if not shutil.which("valgrind"):
        print("skipped: there is no valgrind")
        raise SystemExit(NO_VALGRIND)
    with tempfile.TemporaryDirectory(prefix="tollbook-tricks-") as scratch:
        printed, counts = instructions([options.program, str(options.events)], pathlib.Path(scratch))
    rows = [json.loads(line) for line in printed.splitlines()]
    if len(counts) != 2 * len(rows) or 0 in counts:
        raise SystemExit(f"callgrind has counted {counts} for {len(rows)} tricks, each in two ways")
    for row, fast, plain in zip(rows, counts[::2], counts[1::2]):
        row["instructions"], row["plain_instructions"] = fast, plain
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with open(options.csv, "w", newline="", encoding="utf-8") as file:
        out = csv.DictWriter(file, figures.TRICKS, lineterminator="\n")
        out.writeheader()
        out.writerows(rows)
    print(figures.tricks_words(options.csv))
    vain = [row["trick"] for row in rows if row["instructions"] >= row["plain_instructions"]]
    if vain:
        raise SystemExit(f"as many instructions as the plain twin or more: {', '.join(vain)}")


if __name__ == "__main__":
    main()
