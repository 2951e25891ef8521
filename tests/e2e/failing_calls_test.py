"""A call of the system fails, each in turn, once or from then on: a clear message or a right result, never less.

A small job (absorb with spills, seal, report) is run again and again; each time the next call on a file of the book fails: the
disk is full (ENOSPC), broken (EIO), read-only (EROFS), or there are no more descriptors (EMFILE). The program ends with 0 and
the journal of the undisturbed run, or with 1 and a message that names a file; then, with the disk mended, the same
command ends with that journal. TOLLBOOK_POINTS is how many calls of each row fail (2; all of them with TOLLBOOK_LONG=1).
"""

import collections
import errno
import os
import random
import shutil
import unittest

import book
import disk
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 2)  # 0: all
# Which calls can end so (the letters of the shim's DISK_SHIM_FAIL).
ROWS = (("ENOSPC", errno.ENOSPC, "cwsnt"), ("EIO", errno.EIO, "orwsnt"), ("EROFS", errno.EROFS, "cwnt"),
        ("EMFILE", errno.EMFILE, "o"))


class FailingCalls(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        disk.use_for_all(self, self.scratch)
        catalog = small.write_catalog(self.scratch / "catalog", more=small.USAGE_LOG)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(small.event(i, calls=i % 7 + 1, time=f"2025-01-{i % 28 + 1:02}T12:00:00Z")
                                        for i in range(2000))))
        self.catalog = catalog
        self.job = ("run", "--catalog", catalog, "--quiet", "--json", "--threads", "1", "--memory", "40K", "--epoch-bytes",
                    "150000", "--block-bytes", "50000", usage)
        # The same job in a book that has a part of it: what is opened and read counts too.
        first = self.scratch / "first.ndjson"
        first.write_bytes(b"".join(usage.read_bytes().splitlines(keepends=True)[:700]))
        self.begun = self.scratch / "begun"
        self.begun.mkdir()
        book.Book(self.begun / "book", catalog).absorb(first, "--memory", "40K")
        whole = self.scratch / "whole"
        shutil.copytree(self.begun, whole)
        self.assertEqual(disk.run((*self.job, "--books", whole / "book"), whole).returncode, 0)
        self.journals = book.Book(whole / "book", catalog).journals()
        shutil.rmtree(whole)

    def calls_of(self, letters, number):
        """How many calls there are that can end so."""
        area, calls = self.scratch / "counted", self.scratch / "calls"
        shutil.copytree(self.begun, area)
        calls.unlink(missing_ok=True)
        disk.run((*self.job, "--books", area / "book"), area, fail=f"{letters}:{number}:{1 << 40}:once", calls=calls)
        shutil.rmtree(area)
        return calls.stat().st_size

    def test_each_call_in_turn(self):
        for name, number, letters in ROWS:
            points = self.scratch / f"points-{name}"
            calls = self.calls_of(letters, number)
            self.assertGreater(calls, 10, f"{name}: the job has too few calls")
            chosen = range(calls) if POINTS == 0 else sorted(
                int((point + self.chance.random()) * calls / POINTS) for point in range(POINTS))
            ended = collections.Counter()
            for at in chosen:
                for how in ("once", "on"):
                    with self.subTest(error=name, call=at, how=how):
                        ended[self.one(f"{letters}:{number}:{at}:{how}", points)] += 1
            book.say(f"{name}: {len(chosen)} of {calls} calls, once and from then on: {ended['message']} messages, "
                     f"{ended['right']} right results, {ended['unread']} not met; the same journal each time")

    def one(self, fail, failed):
        area = self.scratch / "area"
        shutil.rmtree(area, ignore_errors=True)
        shutil.copytree(self.begun, area)
        failed.unlink(missing_ok=True)
        arguments = (*self.job, "--books", area / "book")
        done = disk.run(arguments, area, fail=fail, failed=failed)
        bill = book.Book(area / "book", self.catalog)
        if done.returncode == 0:
            self.assert_same_journal(self.journals, bill.journals(), "it said that it was done")
            bill.verify()
            return "right" if failed.exists() and failed.stat().st_size > 0 else "unread"
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assert_message(done.stderr, str(area / "book"))
        self.assertEqual(done.stdout.count(b'"seal"'), 0, "it reported and failed")
        bill.verify()
        self.assertEqual(disk.run(arguments, area).returncode, 0, "the disk was mended")
        self.assert_same_journal(self.journals, bill.journals(), "after the disk was mended")
        bill.verify()
        return "message"

    def test_an_output_is_there_for_good_or_the_failure_is_told(self):
        area, calls = self.scratch / "area", self.scratch / "calls"
        area.mkdir()
        output = area / "out.ndjson"
        convert = ("convert", "--quiet", "--out", output, self.scratch / "usage.ndjson")
        self.assertEqual(disk.run(convert, area, fail=f"s:{errno.EIO}:{1 << 40}:once", calls=calls).returncode, 0)
        whole = output.read_bytes()
        self.assertEqual(calls.stat().st_size, 2, "the file and its directory are synced")
        for at in range(2):
            output.write_bytes(b"before\n")
            failed = disk.run(convert, area, fail=f"s:{errno.EIO}:{at}:once")
            self.assertEqual(failed.returncode, 1)
            self.assert_message(failed.stderr, "cannot", str(area))
            self.assertEqual(output.read_bytes(), whole if at == 1 else b"before\n")


if __name__ == "__main__":
    book.main()
