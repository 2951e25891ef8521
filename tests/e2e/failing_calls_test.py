"""A call of the system fails, each in turn, once or from then on: a clear message or a right result, never less.

A small job (absorb with spills, seal, report; or: forget the dedup keys of an old month) is run again and again; each time
the next call on a file of the book fails: the disk is full (ENOSPC), broken (EIO), read-only (EROFS), or there are no more
descriptors (EMFILE). The program ends with 0 and what the undisturbed run ends with, or with 1 and a message that names a
file; then, with the disk mended, the same command ends so. TOLLBOOK_POINTS is how many calls of each row and job fail (2;
all of them with TOLLBOOK_LONG=1).
"""

import collections
import errno
import os
import random
import shutil
import unittest

import book
import disk
import old_month
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 2)  # 0: all
# Which calls can end so (the letters of the shim's DISK_SHIM_FAIL).
ROWS = (("ENOSPC", errno.ENOSPC, "cwsnt"), ("EIO", errno.EIO, "orwsnt"), ("EROFS", errno.EROFS, "cwnt"),
        ("EMFILE", errno.EMFILE, "o"))


class RunJob:
    """Usage into a book that has a part of it, so that what is opened and read counts too; and a seal."""

    def __init__(self, case):
        self.case = case
        self.catalog = small.write_catalog(case.scratch / "catalog", more=small.USAGE_LOG)
        usage, first = case.scratch / "usage.ndjson", case.scratch / "first.ndjson"
        usage.write_bytes(small.lines(*(small.event(i, calls=i % 7 + 1, time=f"2025-01-{i % 28 + 1:02}T12:00:00Z")
                                        for i in range(2000))))
        first.write_bytes(b"".join(usage.read_bytes().splitlines(keepends=True)[:700]))
        self.words = ("run", "--catalog", self.catalog, "--quiet", "--json", "--threads", "1", "--memory", "40K",
                      "--epoch-bytes", "150000", "--block-bytes", "50000", usage)
        self.begun = case.scratch / "begun"
        self.begun.mkdir()
        self.bill(self.begun).absorb(first, "--memory", "40K")
        whole = case.scratch / "whole"
        shutil.copytree(self.begun, whole)
        case.assertEqual(disk.run(self.arguments(whole), whole).returncode, 0)
        self.journals = self.bill(whole).journals()
        shutil.rmtree(whole)

    def bill(self, root):
        return book.Book(root / "book", self.catalog)

    def arguments(self, root):
        return (*self.words, "--books", root / "book")

    def check_failed(self, root, done):
        self.case.assertEqual(done.stdout.count(b'"seal"'), 0, "it reported and failed")
        self.bill(root).verify()

    def check_done(self, root):
        self.case.assert_same_journal(self.journals, self.bill(root).journals(), "it said that it was done")
        self.bill(root).verify()


class ForgetJob:
    """The dedup keys of a month that is over."""

    def __init__(self, case):
        self.case, self.month = case, old_month.OldMonth(case)
        self.begun = self.month.base
        self.check_done = self.month.check_refused

    def arguments(self, root):
        return self.month.arguments(root, *old_month.PURGE)

    def check_failed(self, root, done):
        """It may have come about, and only the space was not given back: January is not counted again, either way."""
        self.case.assertEqual(done.stdout, b"", "it reported and failed")
        reasons = self.month.deliver_to_a_copy(root)
        self.case.assertEqual(self.month.forgotten(root), old_month.EVENTS if reasons == old_month.REFUSED else 0)
        self.month.bill(root).verify()


class FailingCalls(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        disk.use_for_all(self, self.scratch)

    def calls_of(self, job, letters, number):
        """How many calls there are that can end so."""
        area, calls = self.scratch / "counted", self.scratch / "calls"
        shutil.copytree(job.begun, area)
        calls.unlink(missing_ok=True)
        disk.run(job.arguments(area), area, fail=f"{letters}:{number}:{1 << 40}:once", calls=calls)
        shutil.rmtree(area)
        return calls.stat().st_size

    def test_each_call_of_a_run_in_turn(self):
        self.fail_each_call(RunJob(self))

    def test_each_call_of_forgetting_in_turn(self):
        self.fail_each_call(ForgetJob(self))

    def fail_each_call(self, job):
        for name, number, letters in ROWS:
            points = self.scratch / f"points-{name}"
            calls = self.calls_of(job, letters, number)
            self.assertGreater(calls, 10, f"{name}: the job has too few calls")
            chosen = range(calls) if POINTS == 0 else sorted(
                int((point + self.chance.random()) * calls / POINTS) for point in range(POINTS))
            ended = collections.Counter()
            for at in chosen:
                for how in ("once", "on"):
                    with self.subTest(error=name, call=at, how=how):
                        ended[self.one(job, f"{letters}:{number}:{at}:{how}", points)] += 1
            book.say(f"{name}: {len(chosen)} of {calls} calls, once and from then on: {ended['message']} messages, "
                     f"{ended['right']} right results, {ended['unread']} not met; the same end each time")

    def one(self, job, fail, failed):
        area = self.scratch / "area"
        shutil.rmtree(area, ignore_errors=True)
        shutil.copytree(job.begun, area)
        failed.unlink(missing_ok=True)
        done = disk.run(job.arguments(area), area, fail=fail, failed=failed)
        if done.returncode == 0:
            job.check_done(area)
            return "right" if failed.exists() and failed.stat().st_size > 0 else "unread"
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assert_message(done.stderr, str(area / "book"))
        job.check_failed(area, done)
        self.assertEqual(disk.run(job.arguments(area), area).returncode, 0, "the disk was mended")
        job.check_done(area)
        return "message"

    def test_an_output_is_there_for_good_or_the_failure_is_told(self):
        area, calls = self.scratch / "area", self.scratch / "calls"
        area.mkdir()
        output, usage = area / "out.ndjson", self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*map(small.event, range(100))))
        convert = ("convert", "--quiet", "--out", output, usage)
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
