"""`tollbook simulate`: what it takes, what it refuses, what it prints.

Usage: simulate_command_test.py TOLLBOOK SOURCE_DIRECTORY
"""

import csv
import io
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

TOLLBOOK = sys.argv.pop(1)
ROOT = pathlib.Path(sys.argv.pop(1))
CATALOG = ROOT / "data" / "first-look" / "catalog"
USAGE = ROOT / "data" / "first-look" / "usage.ndjson"


def tollbook(*arguments):
    return subprocess.run([TOLLBOOK, *map(str, arguments)], capture_output=True, timeout=120)


class Case(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.books = self.scratch / "book"
        self.run_well("run", "--quiet", "--books", self.books, "--catalog", CATALOG, USAGE)

    def run_well(self, *arguments):
        done = tollbook(*arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.decode()

    def catalog(self, name="new", **changes):
        """The catalog of the book, with what is given replaced: file=(old, new)."""
        directory = self.scratch / name
        shutil.copytree(CATALOG, directory)
        for stem, (old, new) in changes.items():
            path, = directory.glob(stem + ".*")
            text = path.read_text()
            self.assertIn(old, text)
            path.write_text(text.replace(old, new))
        return directory

    def simulate(self, catalog, *arguments):
        return self.run_well("simulate", "--books", self.books, "--catalog", catalog, *arguments)

    def refuses(self, code, *arguments, words=()):
        done = tollbook("simulate", *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, b"")
        message = done.stderr.decode()
        for line in message.splitlines():
            self.assertRegex(line, r"^tollbook: [^\n]+: [^\n]+: [^\n]+$")
        for word in words:
            self.assertIn(word, message)
        return message


class Refused(Case):
    def test_a_wrong_command_line_or_catalog_is_code_2(self):
        of_book = ("--books", self.books)
        with_catalog = (*of_book, "--catalog", CATALOG)
        for arguments, word in ((of_book, "--catalog"), (("--catalog", CATALOG), "--books"),
                                ((*with_catalog, "--by", "colour"), "colour"),
                                ((*with_catalog, "--format", "xml"), "xml"),
                                ((*with_catalog, "--through", "2025-02-30"), "2025-02-30"),
                                ((*with_catalog, "--top", "-1"), "--top"),
                                ((*of_book, "--catalog", self.catalog(plans=("0.002", "cheap"))), "cheap")):
            with self.subTest(arguments):
                self.refuses(2, *arguments, words=(word,))

    def test_a_book_that_is_not_there_and_a_catalog_that_is_not_its_own_are_code_1(self):
        self.refuses(1, "--books", self.scratch / "none", "--catalog", CATALOG, words=("none",))
        self.assertFalse((self.scratch / "none").exists())
        self.refuses(1, "--books", self.books, "--catalog", self.catalog(book=("first-look", "second-look")),
                     words=("second-look",))

    def test_a_meter_that_counts_otherwise_is_refused_in_the_words_of_seal(self):
        new = self.catalog(meters=("sum", "max"))
        message = self.refuses(1, "--books", self.books, "--catalog", new, words=("api.calls", "defined otherwise"))
        sealed = tollbook("seal", "--books", self.books, "--catalog", new)
        self.assertEqual((sealed.returncode, sealed.stderr.decode()), (1, message))
        self.refuses(1, "--books", self.books, "--catalog", CATALOG, "--against", new, words=("api.calls",))
        charges = tollbook("charges", "--books", self.books, "--catalog", new)
        self.assertEqual((charges.returncode, charges.stderr.decode()), (1, message))

    def test_without_a_seal_there_must_be_something_to_compare_with(self):
        books = self.scratch / "absorbed"
        self.run_well("absorb", "--quiet", "--books", books, "--catalog", CATALOG, USAGE)
        self.refuses(1, "--books", books, "--catalog", CATALOG, words=("nothing is sealed", "--against"))
        told = json.loads(self.run_well("simulate", "--books", books, "--catalog", CATALOG, "--against", CATALOG,
                                        "--json"))
        self.assertEqual(told["events_since_seal"], 2)
        self.assertEqual(told["totals"][0]["seal_would_book"], "1.20")
        self.assertEqual(told["totals"][0]["difference"], "0.00")


class Told(Case):
    def test_json_is_one_object_with_amounts_as_text(self):
        told = json.loads(self.simulate(self.catalog(plans=("0.002", "0.0035")), "--json"), parse_float=self.fail)
        self.assertEqual((told["seal_before"], told["through"], told["events_since_seal"]), (1, None, 0))
        total, = told["totals"]
        self.assertEqual({name: total[name] for name in ("entity", "currency", "before", "after", "difference", "percent",
                                                         "difference_exact", "seal_would_book")},
                         {"entity": "acme-us", "currency": "USD", "before": "1.20", "after": "2.10",
                          "difference": "0.90", "percent": "75", "difference_exact": "0.9", "seal_would_book": "0.90"})
        mover, = told["movers"]
        self.assertEqual((mover["subscription"], mover["charge"], mover["difference"]), ("s1", "calls", "0.90"))
        self.assertEqual(mover["quantity_after"], "1600")

    def test_csv_is_the_table_that_was_asked_for(self):
        new = self.catalog(plans=("0.002", "0.0035"))
        for by, names in (("plan", {"plan": "starter", "plan_before": "starter"}), ("account", {"account": "globex"}),
                          ("customer", {"customer": "globex", "target": ""}),
                          ("subscription", {"subscription": "s1"}), ("charge", {"plan": "starter", "charge": "calls"})):
            with self.subTest(by):
                row, = csv.DictReader(io.StringIO(self.simulate(new, "--format", "csv", "--by", by)))
                self.assertLessEqual(names.items(), row.items())
                self.assertEqual((row["before"], row["after"], row["difference_exact"]), ("1.20", "2.10", "0.9"))

    def test_people_see_totals_rows_movers_and_notes(self):
        (self.scratch / "late.ndjson").write_text(
            '{"id":"k9","source":"t","type":"api.calls","subject":"s1","time":"2025-01-30T22:00:00Z","data":{"calls":100}}\n')
        self.run_well("absorb", "--quiet", "--books", self.books, "--catalog", CATALOG, self.scratch / "late.ndjson")
        text = self.simulate(self.catalog(plans=("0.002", "0.0035")))
        self.assertEqual(text, self.simulate(self.scratch / "new", "--format", "text", "--threads", "3"))
        for words in ("nothing is booked", "of seal 1", "By plan", "Largest movers", "+1.05", "1 event is not sealed yet"):
            self.assertIn(words, text)
        self.assertNotIn("Largest movers", self.simulate(CATALOG))
        self.assertIn("No charge period is booked otherwise.", self.simulate(CATALOG))
        self.assertIn("and 1 that change less", self.simulate(CATALOG, "--top", "0"))

    def test_a_last_day_leaves_out_what_is_later(self):
        told = json.loads(self.simulate(CATALOG, "--json", "--through", "2025-01-30"))
        self.assertEqual((told["through"], told["totals"][0]["before"]), ("2025-01-30", "0.40"))

    def test_the_book_says_the_same_before_and_after(self):
        def said():
            return [self.run_well(command, "--books", self.books, "--json") for command in ("journals", "charges", "verify")]

        before = said()
        self.simulate(self.catalog(plans=("0.002", "0.0035")))
        self.assertEqual(said(), before)


if __name__ == "__main__":
    unittest.main()
