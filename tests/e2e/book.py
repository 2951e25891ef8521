"""A book for tests: run the program on it as a user would, and read back what it says.

Every test here is started as `<name>_test.py TOLLBOOK`. Data that is not part of the repository is looked for in
$TOLLBOOK_SHARED, or in ../shared beside the repository; a test that finds none of what it needs says so and ends
with code 77, which ctest reports as skipped. TOLLBOOK_LONG=1 runs a test at full strength. TOLLBOOK_DECODER says who
decodes wherever a test does not: auto, simdjson, or mixed: one of them each time the program is started.
"""

import csv
import io
import json
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("TOLLBOOK_SHARED", REPOSITORY.parent / "shared"))
LONG = os.environ.get("TOLLBOOK_LONG", "") not in ("", "0")
DECODER = os.environ.get("TOLLBOOK_DECODER", "")
TOLLBOOK = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else "tollbook"

SKIPPED = 77
COUNTS = ("accepted", "duplicate", "conflict", "held", "rejected")
CHARGES_HEADER = ("subscription,charge,meter,dimensions,period_start,period_end,currency,quantity,amount_exact,"
                  "amount_booked")
JOURNALS_HEADER = ("batch_id,posting_key,entity,accounting_period,posting_date,line,account,debit,credit,currency,"
                   "dimensions,product,memo")
# `tollbook: what: which: what to do`, one line each.
MESSAGE = re.compile(r"tollbook: [^\n]+?: [^\n]+: [^\n]+")


def say(text):
    print("   ", text, flush=True)


def skip(why):
    print("skipped:", why, flush=True)
    sys.exit(SKIPPED)


def main():
    """Runs the tests of the file; when all of them were skipped, that is the result."""
    print(sys.modules["__main__"].__doc__.strip().splitlines()[0], flush=True)
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun and len(result.skipped) == result.testsRun:
        skip("; ".join(sorted({why for _, why in result.skipped})))


def command_of(arguments):
    """The program and its arguments; with the decoder that TOLLBOOK_DECODER wants, where it reads events."""
    command = [TOLLBOOK, *map(str, arguments)]
    if DECODER and command[1] in ("run", "absorb") and "--decoder" not in command:
        command[2:2] = ["--decoder", random.choice(["auto", "simdjson"]) if DECODER == "mixed" else DECODER]
    return command


def tollbook(*arguments, expect=0, timeout=600, **how):
    """Runs the program to its end; fails when it ends otherwise than expected (None: however it likes)."""
    command = command_of(arguments)
    done = subprocess.run(command, stdin=how.pop("stdin", subprocess.DEVNULL),
                          capture_output=True, timeout=timeout, **how)
    if expect is not None and done.returncode != expect:
        raise AssertionError(f"tollbook {' '.join(command[1:])}\nended with {done.returncode}, not {expect}\n"
                             f"{done.stdout.decode(errors='replace')[-2000:]}\n"
                             f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done


def start(*arguments, **how):
    """Starts the program and leaves it running."""
    return subprocess.Popen(command_of(arguments), stdin=how.pop("stdin", subprocess.DEVNULL),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text.decode("utf-8"), newline="")))


def generate(directory, events, *flags):
    """Made-up telemetry and its catalog: (events file, catalog directory, what the generator says is in it)."""
    directory = pathlib.Path(directory)
    done = tollbook("generate", "--events", events, "--out", directory / "usage.ndjson", "--catalog-out",
                    directory / "catalog", "--json", *flags)
    return directory / "usage.ndjson", directory / "catalog", json.loads(done.stdout)


class Book:
    """A book in a directory, with the catalog that its commands use."""

    def __init__(self, directory, catalog):
        self.directory = pathlib.Path(directory)
        self.catalog = pathlib.Path(catalog)

    def run(self, *inputs, **how):
        return self._work("run", *inputs, **how)

    def absorb(self, *inputs, **how):
        return self._work("absorb", *inputs, **how)

    def seal(self, *flags, **how):
        return self._work("seal", *flags, **how)

    def retry(self, **how):
        return json.loads(tollbook("exceptions", "retry", "--json", "--books", self.directory, "--catalog",
                                   self.catalog, **how).stdout)

    def _work(self, command, *arguments, **how):
        done = tollbook(command, "--books", self.directory, "--catalog", self.catalog, "--json", *arguments, **how)
        return json.loads(done.stdout) if done.stdout else {}

    def read(self, command, *flags, **how):
        return tollbook(command, "--books", self.directory, *flags, **how).stdout

    def journals(self):
        """The journal's bytes, as a program would take them."""
        return self.read("journals", "--format", "csv")

    def postings(self):
        return rows_of(self.journals())

    def charges(self):
        return self.read("charges", "--format", "csv")

    def exceptions(self, *flags):
        csv.field_size_limit(1 << 30)
        return rows_of(self.read("exceptions", "--format", "csv", *flags))

    def status(self):
        return json.loads(self.read("status", "--json"))

    def verify(self):
        """Every law holds, or the test fails with the one that does not."""
        checks = json.loads(self.read("verify", "--json", expect=None))
        broken = [check for check in checks if not check["holds"]]
        if broken or len(checks) < 5:
            raise AssertionError(f"verify: {broken or checks}")
        return checks

    def explain(self, line, *flags):
        return json.loads(self.read("explain", line, "--json", *flags))


class Case(unittest.TestCase):
    """A test with a directory of its own, and the checks that every run must pass."""

    maxDiff = 2000

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="tollbook-")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.started = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.started

    def assert_counts_add_up(self, report):
        """Law 1: lines read = accepted + duplicate + conflict + held + rejected."""
        self.assertEqual(report["lines_read"], sum(report[count] for count in COUNTS), report)

    def assert_same_journal(self, left, right, what):
        if left != right:
            first = next((pair for pair in zip(left.splitlines(), right.splitlines()) if pair[0] != pair[1]),
                         (len(left), len(right)))
            self.fail(f"{what}: the journals differ, first in\n  {first[0]}\n  {first[1]}")

    def assert_message(self, stderr, *words):
        """Each line of an error is `tollbook: what: which: what to do`; the words are somewhere in it."""
        text = stderr.decode("utf-8") if isinstance(stderr, bytes) else stderr
        self.assertTrue(text, "there is no message")
        for line in text.splitlines():
            self.assertRegex(line, MESSAGE)
        for word in words:
            self.assertIn(word, text)
