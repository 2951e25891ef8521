"""docs/exceptions.md is true: each reason's example, fed to the program, ends with that reason.

A reason is a heading "### `word` (outcome)", then its remedy, then a fenced block: `json` lines, or `csv` rows that the
document's sources.yaml maps, or `sh`, whose output is the input (for bytes that a document cannot hold). Of each
example's lines, the last is the exception; those before it are accepted. `json pipe`: through a pipe. `json gone` and
`json changed`: the last line comes later, when the file of the others is gone or another; `json cut off`: when the ids of
the others are forgotten.

Usage: exceptions_doc_test.py TOLLBOOK SOURCE_DIRECTORY
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOLLBOOK = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()

DOCUMENT = (ROOT / "docs/exceptions.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^### `(\w+)` \((\w+)\)\n\n(.*?)\n\n```(json|csv|sh|json pipe|json gone|json changed|json cut off)\n(.*?)^```$", re.M | re.S)
# Not reasons of lines: accepted usage that nothing prices yet.
NOT_A_LINES = {"unattributed": "accepted", "unpriced": "accepted"}


def sections():
    return [match.groups() for match in SECTION.finditer(DOCUMENT)]


def reasons_of_the_program():
    """(word, outcome, remedy) in the order of their precedence, from the table in ledger/exception.cc."""
    table = (ROOT / "ledger/exception.cc").read_text(encoding="utf-8")
    entry = re.compile(r'\{Reason::k\w+, "(\w+)", Outcome::k(\w+),\s*"((?:[^"\\]|\\.)*)"\}')
    return [(word, outcome.lower(), remedy.replace('\\"', '"')) for word, outcome, remedy in entry.findall(table)
            if word != "none"]


def yaml_block(name):
    return re.search(rf"^`{re.escape(name)}`:\n\n```yaml\n(.*?)^```$", DOCUMENT, re.M | re.S)[1]


class Exceptions(unittest.TestCase):
    maxDiff = None

    def test_every_reason_is_described_in_order_with_its_remedy(self):
        documented = [(word, outcome, " ".join(remedy.split())) for word, outcome, remedy, _, _ in sections()
                      if word not in NOT_A_LINES]
        self.assertEqual(documented, reasons_of_the_program())

    def run_with(self, directory, usage, text=""):
        command = [TOLLBOOK, "run", "--json", "--books", directory / "book", "--catalog", directory / "catalog", usage]
        run = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def forget(self, directory):
        book = ("--books", directory / "book", "--catalog", directory / "catalog", "--by", "Ann", "--why", "a test")
        with open(directory / "catalog/book.yaml", "a", encoding="utf-8") as book_yaml:
            book_yaml.write("retention: {dedup_keys_months: 1}\n")
        for command in (("periods", "close", "--entity", "acme-us", "--period", "2025-01"), ("dedup-keys", "purge")):
            done = subprocess.run([TOLLBOOK, *command, *book], capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)

    def exceptions_of(self, kind, example, directory):
        catalog = directory / "catalog"
        shutil.copytree(ROOT / "data/first-look/catalog", catalog)
        for name in ("meters.yaml", "sources.yaml"):
            (catalog / name).write_text(yaml_block(name), encoding="utf-8")
        usage = directory / ("calls.csv" if kind == "csv" else "calls.ndjson")
        if kind == "sh":
            usage.write_bytes(subprocess.run(["bash", "-c", example], capture_output=True, check=True).stdout)
        else:
            usage.write_text(example, encoding="utf-8")
        if kind in ("json gone", "json changed", "json cut off"):
            *before, example = example.splitlines(keepends=True)
            usage.write_text("".join(before), encoding="utf-8")
            self.run_with(directory, usage)
            if kind == "json cut off":
                self.forget(directory)
            elif kind == "json gone":
                usage.unlink()
            else:
                usage.write_text("\n" + "".join(before), encoding="utf-8")
            usage = directory / "later.ndjson"
            usage.write_text(example, encoding="utf-8")
        run = self.run_with(directory, "-" if kind == "json pipe" else usage, example)
        listed = subprocess.run([TOLLBOOK, "exceptions", "--json", "--books", directory / "book", "--catalog", catalog],
                                capture_output=True, timeout=60)
        self.assertEqual(listed.returncode, 0, listed.stderr)
        return json.loads(run.stdout), json.loads(listed.stdout)

    def test_each_example_ends_with_its_reason(self):
        for word, outcome, _, kind, example in sections():
            with self.subTest(word), tempfile.TemporaryDirectory() as directory:
                report, found = self.exceptions_of(kind, example, pathlib.Path(directory))
                # What an example needs beside its exception may be usage that nothing prices.
                listed = [(row["reason"], row["outcome"]) for row in found]
                if word not in NOT_A_LINES:
                    listed = [row for row in listed if row != ("unpriced", "accepted")]
                self.assertEqual(listed, [(word, outcome)])
                if word in NOT_A_LINES:
                    self.assertEqual(report["lines_read"], report["accepted"])
                else:
                    self.assertEqual(report[outcome], 1)
                    self.assertEqual(report["accepted"], report["lines_read"] - 1)
                    self.assertEqual(report["reasons"], {word: 1})

    def test_the_table_of_outcomes_names_all(self):
        self.assertEqual({outcome for _, outcome, _, _, _ in sections()},
                         {"accepted", "duplicate", "conflict", "held", "rejected"})
        self.assertEqual({word for word, _, _, _, _ in sections()} & set(NOT_A_LINES), set(NOT_A_LINES))


if __name__ == "__main__":
    unittest.main()
