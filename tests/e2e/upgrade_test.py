"""A book that an earlier program made is read as it is, and gone on with: nothing that it said changes.

tests/e2e/books/ has one of each format that is read, with its catalog, what it absorbed, and what the program of that
time said of it. It was made by that program: absorbed with spills to disk, duplicates, lines held and rejected, a
correction; sealed, approved, posted to a directory, closed with a waiver, told late usage, sealed again. That of
today's format has all that came by 2026-11-30: late usage that was accrued, a batch reversed by reference; payloads,
usage log and dedup keys purged or forgotten in part; and it was restored from a backup. So what is added within the
format leaves what was written before.
"""

import json
import shutil
import tarfile

import book
import small

BOOKS = book.REPOSITORY / "tests/e2e/books"


class Upgrade(book.Case):
    def unpack(self, version):
        with tarfile.open(BOOKS / f"format-{version}.tar.xz") as archive:
            archive.extractall(self.scratch)
        made = self.scratch / f"format-{version}"
        return book.Book(made / "book", made / "catalog"), made

    def version_of(self, bill):
        text = (bill.directory / "FORMAT").read_text(encoding="ascii")
        self.assertRegex(text, r"\Atollbook book, format \d+\n\Z")
        return int(text.split()[-1])

    def declared(self, name):
        text = (book.REPOSITORY / "ledger/records.h").read_text(encoding="utf-8")
        return int(text.split(f"{name} = ")[1].split(";")[0])

    def versions(self):
        return range(self.declared("kFormatVersionOldest"), self.declared("kFormatVersion") + 1)

    def test_every_format_is_there(self):
        self.assertEqual(sorted(path.name for path in BOOKS.iterdir()),
                         [f"format-{version}.tar.xz" for version in self.versions()])

    def test_todays_has_what_came_within_it(self):
        bill, _ = self.unpack(self.declared("kFormatVersion"))
        rows = json.loads(bill.read("audit", "--json"))["rows"]
        self.assertEqual([row["which"] for row in rows if row["what"] in ("purge", "reversal", "restore", "target")],
                         ["acme-us-USD-2025-02-0002", "payloads of exceptions", "usage log", "dedup keys", "backup 1",
                          "archive"])
        kept = book.rows_of(bill.read("dedup-keys", "--format", "csv"))
        self.assertEqual([(row["latest_usage"], row["state"], row["keys"]) for row in kept],
                         [("before 2025-01-30", "forgotten", "425"), ("2025-01", "kept", "4"),
                          ("2025-02", "kept", "118")])
        logged = book.rows_of(bill.read("usage-log", "--format", "csv"))
        self.assertEqual([(row["source"], row["in_log"]) for row in logged],
                         [("january.ndjson", "purged"), ("late.ndjson", "whole")])
        # It was written before memos told which line of an accrual is which.
        accruals = {row["memo"] for row in bill.postings() if row["account"] == "1250"}
        self.assertIn("api, 2025-01-01", accruals)
        self.assertFalse([memo for memo in accruals if "accrual" in memo])

    def test_what_it_said_it_says(self):
        for version in self.versions():
            with self.subTest(version=version):
                bill, made = self.unpack(version)
                bill.verify()
                self.assert_same_journal((made / "journals.csv").read_bytes(), bill.journals(),
                                         "as an earlier program told it")
                self.assertEqual((made / "charges.csv").read_bytes(), bill.charges())
                deep = json.loads(
                    book.tollbook("verify", "--deep", "--json", "--books", bill.directory, cwd=made).stdout)
                self.assertTrue(all(check["holds"] for check in deep), deep)
                self.assertEqual(self.version_of(bill), version, "nobody has committed anything")
                book.say(f"format {version}: {len(bill.postings())} postings as they were told, all {len(deep)} checks of "
                         "verify --deep hold")

    def test_it_is_gone_on_with(self):
        for version in self.versions():
            with self.subTest(version=version):
                self.go_on_with(version)

    def go_on_with(self, version):
        bill, made = self.unpack(version)
        confirmed = [row for row in json.loads(bill.read("deliveries", "--format", "json"))
                     if row["state"] == "confirmed"]
        # What it knows is not counted again: by its content, and by each event's identity.
        known = bill.run(made / "january.ndjson")
        self.assertEqual((known["lines_read"], known["batches"]), (0, 0))
        self.assertEqual(self.version_of(bill), version, "there was nothing to commit")
        for name in ("january", "late"):
            again = made / "again.ndjson"
            again.write_bytes(b"\n" + (made / f"{name}.ndjson").read_bytes())
            self.assertEqual(bill.run(again)["accepted"], 0)
        self.assertEqual(self.version_of(bill), self.declared("kFormatVersion"))
        new = made / "new.ndjson"
        new.write_bytes(small.lines(small.event("new", calls=100, time="2025-02-02T12:00:00Z")))
        self.assertEqual(bill.run(new)["accepted"], 1)
        before = (made / "journals.csv").read_bytes()
        known = {row["batch_id"] for row in book.rows_of(before)} | {"batch_id"}
        self.assertEqual(b"".join(line for line in bill.journals().splitlines(True)
                                  if line.decode().split(",")[0] in known), before, "a batch never changes")
        book.tollbook("post", "--books", bill.directory, "--catalog", bill.catalog)
        delivered = sorted(path.stem for path in (bill.catalog / "out").glob("*.csv"))
        self.assertEqual(len(delivered), bill.status()["batches"] - len(confirmed),
                         "the others were delivered by the earlier program")
        bill.verify()

    def test_its_backup_is_a_book_of_its_format(self):
        for version in self.versions():
            with self.subTest(version=version):
                bill, made = self.unpack(version)
                commits = bill.status()["commits"]
                book.tollbook("backup", "--books", bill.directory, "--to", made / "backups")
                kept = [path.read_bytes() for path in (made / "backups" / "objects").iterdir()]
                self.assertIn(f"tollbook book, format {version}\n".encode(), kept)
                shutil.rmtree(bill.directory)
                book.tollbook("restore", "--from", made / "backups", "--books", bill.directory)
                self.assertEqual(bill.status()["commits"], commits + 1)
                self.assertEqual(self.version_of(bill), self.declared("kFormatVersion"), "the restore is a commit")
                bill.verify()
                self.assert_same_journal((made / "journals.csv").read_bytes(), bill.journals(), "after it was restored")


if __name__ == "__main__":
    book.main()
