"""A call of the system fails, each in turn, once or from then on: a clear message or a right result, never less.

A small job is run again and again: absorb with spills, seal and report; forget the dedup keys of an old month; approve,
deliver to files and a ledger, close a period, back up, restore; purge the payloads of exceptions, the usage log; back up
beside an absorb, where it is a call of either process. Each time the next call on a file of it fails: the disk is full
(ENOSPC), broken (EIO), read-only (EROFS), or there are no more descriptors (EMFILE). The program ends with 0 and what the
undisturbed run ends with, or with 1 and a message that names a file (a delivery may wait, which `post --strict` ends with
3 for); then, with the disk mended, the same command ends so. TOLLBOOK_POINTS is how many calls of each row and job fail
(2, of deliveries and what follows 1; all of them with TOLLBOOK_LONG=1); TOLLBOOK_SEED repeats a run.
"""

import collections
import errno
import os
import random
import shutil
import subprocess
import unittest

import beside
import book
import disk
import handed_off
import old_month
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 2)  # 0: all
# Which calls can end so (the letters of the shim's DISK_SHIM_FAIL).
ROWS = (("ENOSPC", errno.ENOSPC, "cwsnt"), ("EIO", errno.EIO, "orwsnt"), ("EROFS", errno.EROFS, "cwnt"),
        ("EMFILE", errno.EMFILE, "o"))


class Job:
    """What is done to the book in `begun`, and what must have come of it."""

    ENDS = (1,)  # with which it may end when it failed
    CALLS = 10  # with fewer of a row the test would try nothing
    first = 0  # of the calls that are made to fail; those before are another job's

    def told_of(self, root, ended):
        """What a message begins the name of its file with."""
        return root / "book"

    def begin(self, root):
        shutil.copytree(self.begun, root)

    def give(self, root, **how):
        return disk.run(self.arguments(root), root, **how)

    def mend(self, root):
        """The same command, on a disk that is whole again."""
        return self.give(root)


class RunJob(Job):
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


class ForgetJob(Job):
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


class LifeJob(Job):
    """A command of the life of a book that is handed off; the books before each are in `before`, of all such jobs."""

    def __init__(self, case, life, before, command):
        self.case, self.life, self.command = case, life, command
        self.begun, self.states = before[command]
        self.posts = life.commands[command][0][0] == "post"
        self.ENDS = (1, 2, 3) if self.posts else (1, 2)  # 2: the catalog, which is beside the book, cannot be read
        whole = case.scratch / "whole"
        self.begin(whole)
        done = self.give(whole)
        case.assertEqual(done.returncode, 0, done.stderr)
        self.said = self.said_of(whole)
        shutil.rmtree(whole)

    def told_of(self, root, ended):
        return root / "catalog" if ended == 2 else root

    def begin(self, root):
        super().begin(root)
        self.life.targets.put_back(self.states)

    def give(self, root, **how):
        return self.life.give(root, self.command, wait=0 if "fail" in how else 60, **how)

    def mend(self, root):
        return None if self.life.is_done(root, self.command) else self.give(root)

    def said_of(self, root):
        self.check_whole(root)
        return self.life.said(root)

    def check_whole(self, root):
        """Nothing that is there is less than it should be."""
        self.life.bill(root).verify()
        self.life.check_confirmed(root)
        if (root / "backups" / "1.backup").exists() and not (root / "restored").exists():
            self.life.go_on(root, handed_off.RESTORE, handed_off.RESTORE + 1)
            self.case.assertEqual(self.life.bill(root).directory.name, "restored")
            self.life.bill(root).verify()

    def check_failed(self, root, done):
        if done.returncode != 3:
            self.case.assertEqual(done.stdout, b"", "it reported and failed")
        self.check_whole(root)

    def check_done(self, root):
        self.case.assertEqual(self.said_of(root), self.said)


class PurgeJob(Job):
    """What an old epoch kept of its source, or of the lines that it did not accept."""

    def __init__(self, case, command):
        self.case, self.command = case, command
        self.catalog = small.write_catalog(
            case.scratch / "catalog",
            more=small.USAGE_LOG + "retention: {exception_payloads_months: 1, usage_log_months: 1}\n")
        usage = case.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(b"no event %d" % i if i % 10 == 0 else small.event(i) for i in range(1000))))
        self.begun = case.scratch / "begun"
        self.begun.mkdir()
        self.bill(self.begun).run(usage, "--epoch-bytes", "40000", "--block-bytes", "20000", "--threads", "1")
        self.before = self.said_of(self.begun)
        whole = case.scratch / "whole"
        shutil.copytree(self.begun, whole)
        case.assertEqual(self.give(whole).returncode, 0)
        self.after = self.said_of(whole)
        case.assertNotEqual(self.before["kept"], self.after["kept"])
        shutil.rmtree(whole)

    def bill(self, root):
        return book.Book(root / "book", self.catalog)

    def arguments(self, root):
        return (self.command, "purge", *old_month.SIGNED, "--books", root / "book", "--catalog", self.catalog)

    def give(self, root, **how):
        return super().give(root, days=62, **how)

    def said_of(self, root):
        bill = self.bill(root)
        bill.verify()
        status = bill.status()
        return {"journals": bill.journals(), "counts": {name: status[name] for name in book.COUNTS},
                "kept": bill.read(self.command, "--format", "csv")}

    def check_failed(self, root, done):
        """It may have come about, and only the space was not given back."""
        self.case.assertEqual(done.stdout, b"", "it reported and failed")
        self.case.assertIn(self.said_of(root), (self.before, self.after))

    def check_done(self, root):
        self.case.assertEqual(self.said_of(root), self.after)


class BesideJob(Job):
    """An absorb, and a backup that is asked of it; the calls of one of the two processes fail, from the asking on."""

    def __init__(self, case, life, fails):
        self.case, self.life, self.fails, self.begun = case, life, fails, life.begun
        if fails == "ask":
            self.CALLS = 0  # it opens the book's lock, and little else

    def told_of(self, root, ended):
        return root

    def give(self, root, **how):
        def count(_):
            if self.fails == "absorb" and "calls" in how:
                self.first = how["calls"].stat().st_size
        self.given = self.life.give(root, **{self.fails: how}, before=count)
        for done in self.given:
            self.case.assertIn(done.returncode, (0, *self.ENDS), done.stderr)
        failed = [done for done in self.given if done.returncode != 0]
        return subprocess.CompletedProcess((), max(done.returncode for done in self.given), b"",
                                           b"".join(done.stderr for done in failed))

    def check_failed(self, root, done):
        if self.given.asked.returncode != 0:
            self.case.assertEqual(self.given.asked.stdout, b"", "it reported and failed")
        if self.given.absorbed.returncode != 0:
            self.case.assertEqual(self.fails, "absorb", "the other one's failure is none of its")
            self.case.assertNotIn(b"accepted ", self.given.absorbed.stdout, "it reported and failed")
        self.life.check_told(root, self.given.asked)
        self.life.check_left(root)

    def check_done(self, root):
        self.life.check_given(root, self.given)
        self.life.check_left(root)
        self.life.check_said(root)


class FailingCalls(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        disk.use_for_all(self, self.scratch)

    def calls_of(self, job, letters, number):
        """Those that can end so, as a range."""
        area, calls = self.scratch / "counted", self.scratch / "calls"
        job.begin(area)
        calls.unlink(missing_ok=True)
        job.give(area, fail=f"{letters}:{number}:{1 << 40}:once", calls=calls)
        shutil.rmtree(area)
        return range(job.first, calls.stat().st_size)

    def test_each_call_of_a_run_in_turn(self):
        self.fail_each_call(RunJob(self), "run")

    def test_each_call_of_forgetting_in_turn(self):
        self.fail_each_call(ForgetJob(self), "dedup-keys purge")

    def test_each_call_of_what_hands_off_in_turn(self):
        life = handed_off.HandedOff(self)
        root, before = self.scratch / "life", []
        life.begin(root)
        for command in range(len(life.commands)):
            before.append((self.scratch / f"before-{command}", life.targets.state()))
            shutil.copytree(root, before[-1][0])
            self.assertEqual(life.give(root, command).returncode, 0)
        for name, command in (("approve", handed_off.APPROVE), ("post", handed_off.POST), ("close", handed_off.CLOSE),
                              ("backup", handed_off.BACKUP), ("restore", handed_off.RESTORE)):
            with self.subTest(job=name):
                self.fail_each_call(LifeJob(self, life, before, command), name, -(-POINTS // 2))

    def test_each_call_of_purging_in_turn(self):
        for command in ("exceptions", "usage-log"):
            with self.subTest(job=command):
                self.fail_each_call(PurgeJob(self, command), f"{command} purge", -(-POINTS // 2))
                shutil.rmtree(self.scratch / "begun")

    def test_each_call_beside_a_backup_in_turn(self):
        life = beside.Beside(self)
        for fails, name in (("absorb", "absorb beside a backup"), ("ask", "backup beside an absorb")):
            with self.subTest(job=name):
                self.fail_each_call(BesideJob(self, life, fails), name, -(-POINTS // 2))

    def fail_each_call(self, job, what, points_of_each=POINTS):
        for name, number, letters in ROWS:
            points = self.scratch / f"points-{name}"
            calls = self.calls_of(job, letters, number)
            self.assertGreater(len(calls), job.CALLS, f"{name}: the job has too few calls")
            chosen = calls if POINTS == 0 else sorted({
                calls[int((point + self.chance.random()) * len(calls) / points_of_each)] for point in range(points_of_each)})
            ended = collections.Counter()
            for at in chosen:
                for how in ("once", "on"):
                    with self.subTest(error=name, call=at, how=how):
                        ended[self.one(job, f"{letters}:{number}:{at}:{how}", points)] += 1
            book.say(f"{what} {name}: {len(chosen)} of {len(calls)} calls, once and from then on: {ended['message']} "
                     f"messages, {ended['right']} right results, {ended['unread']} not met; the same end each time")

    def one(self, job, fail, failed):
        area = self.scratch / "area"
        shutil.rmtree(area, ignore_errors=True)
        job.begin(area)
        failed.unlink(missing_ok=True)
        done = job.give(area, fail=fail, failed=failed)
        if done.returncode == 0:
            job.check_done(area)
            return "right" if failed.exists() and failed.stat().st_size > 0 else "unread"
        self.assertIn(done.returncode, job.ENDS, done.stderr)
        if done.returncode != 3:
            self.assert_message(done.stderr, str(job.told_of(area, done.returncode)))
        job.check_failed(area, done)
        mended = job.mend(area)
        self.assertTrue(mended is None or mended.returncode == 0, "the disk was mended")
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
