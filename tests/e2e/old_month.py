"""A book whose January is closed, so that its dedup keys may be forgotten, and January delivered once more."""

import json
import shutil

import book
import disk
import small

EVENTS = 3000
DUPLICATE = {"duplicate": EVENTS}
REFUSED = {"before_cut_off": EVENTS}
SIGNED = ("--by", "Ann", "--why", "policy")
PURGE = ("dedup-keys", "purge", *SIGNED, "--json")
CLOSE = ("periods", "close", "--entity", "acme-us", "--period", "2025-01", *SIGNED, "--json")


class OldMonth:
    """Makes the book in `base` below the case's scratch directory: sealed, and closed unless `closed` says otherwise."""

    def __init__(self, case, closed=True, more=""):
        self.case, self.scratch = case, case.scratch
        self.catalog = small.write_catalog(self.scratch / "catalog", more="retention: {dedup_keys_months: 1}\n" + more)
        january = [small.event(f"j{i}", calls=i % 7 + 1, time=f"2025-01-{i % 31 + 1:02}T12:00:00Z")
                   for i in range(EVENTS)]
        # Not as a source that the book knows; and with an event that is new.
        self.again = self.file("again", small.event("new", time="2030-02-01T00:00:00Z"), *january)
        self.base = self.scratch / "base"
        self.base.mkdir()
        # So little memory that some keys are in runs, and some in the log.
        self.do(self.base, "run", self.file("january", *january[:2000]), "--memory", "40K")
        self.do(self.base, "run", self.file("more", *january[2000:]))
        if closed:
            self.do(self.base, *CLOSE)
        self.journals = self.bill(self.base).journals()

    def file(self, name, *events):
        path = self.scratch / f"{name}.ndjson"
        path.write_bytes(small.lines(*events))
        return path

    def bill(self, root):
        return book.Book(root / "book", self.catalog)

    def arguments(self, root, *words):
        return (*words, "--books", root / "book", "--catalog", self.catalog)

    def do(self, root, *words):
        return book.tollbook(*self.arguments(root, *words))

    def purge(self, root, **how):
        return disk.run(self.arguments(root, *PURGE), root, **how)

    def copy(self, name, of=None):
        """The book, or another one like it, in a directory of its own."""
        shutil.rmtree(self.scratch / name, ignore_errors=True)
        shutil.copytree(of or self.base, self.scratch / name)
        return self.scratch / name

    def forgotten(self, root):
        """How many keys the book says are forgotten."""
        rows = book.rows_of(self.bill(root).read("dedup-keys", "--format", "csv"))
        return sum(int(row["keys"]) for row in rows if row["state"] == "forgotten")

    def is_closed(self, root):
        rows = json.loads(self.bill(root).read("periods", "--json", "--catalog", self.catalog))
        return any(row["period"] == "2025-01" and row["state"] == "closed" for row in rows)

    def deliver_again(self, root):
        """How January ended when it came once more: only what is new is counted, whatever the book remembers."""
        report = json.loads(self.do(root, "absorb", self.again, "--json").stdout.splitlines()[-1])
        self.case.assertEqual(report["accepted"], 1)
        self.case.assertIn(report["reasons"], (DUPLICATE, REFUSED))
        return report["reasons"]

    def deliver_to_a_copy(self, root):
        """Likewise, and `root` stays as it is."""
        return self.deliver_again(self.copy("other", root))

    def check_refused(self, root):
        """All is forgotten: January is refused, what is booked is what was booked, and the laws hold."""
        self.case.assertEqual(self.deliver_to_a_copy(root), REFUSED)
        self.case.assert_same_journal(self.journals, self.bill(root).journals(), "keys were forgotten")
        self.bill(root).verify()
