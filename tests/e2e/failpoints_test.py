"""Crashed before and after every effect that it has on its disk, the program goes on to the same journal.

A process that ends leaves behind what its calls of the system have done, whatever else it was about: so the points at
which a crash can differ from another are before and after each of these calls, and `disk_shim` has a name for each: when,
what, on which kind of file (`after sync wal`, `before rename format`). They are the program's that is shipped; nothing is
compiled into it.

    failpoints_test.py TOLLBOOK --list-failpoints     the names, and how often one small life of a book passes each

TOLLBOOK_POINTS is how many crashes there are (12, spread over all points; 10 at each point and a pair of them with
TOLLBOOK_LONG=1); TOLLBOOK_SEED repeats a run.
"""

import collections
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import unittest

import book
import disk
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 12)  # 0: all
AT_EACH = 10


class Life:
    """Make a book, absorb with spills and merges, seal; then more usage, another seal."""

    def __init__(self, scratch):
        catalog = small.write_catalog(scratch / "catalog", more=small.USAGE_LOG)
        self.commands = []
        for half in range(2):
            usage = scratch / f"usage-{half}.ndjson"
            usage.write_bytes(small.lines(*(small.event(f"{half}-{i}", calls=i % 7 + 1,
                                                        time=f"2025-01-{i % 28 + 1:02}T12:00:00Z") for i in range(1500))))
            self.commands.append(("run", "--catalog", catalog, "--quiet", "--threads", "1", "--memory", "40K",
                                  "--epoch-bytes", "80000", "--block-bytes", "40000", usage))

    def live(self, root, first=0, **how):
        """From the command `first` on: (how it ended, which command it was in)"""
        for number in range(first, len(self.commands)):
            done = disk.run((*self.commands[number], "--books", root / "book"), root, **how)
            if done.returncode != 0:
                break
        return done, number

    def points(self, scratch):
        """How often each point is passed."""
        root, points = scratch / "listed", scratch / "points"
        root.mkdir()
        done, _ = self.live(root, points=points)
        assert done.returncode == 0, done.stderr
        return collections.Counter(points.read_text().splitlines()), root


class Crashes(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        disk.use_for_all(self, self.scratch)
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        self.life = Life(self.scratch)
        self.passed, root = self.life.points(self.scratch)
        self.journals = book.Book(root / "book", "").journals()

    def crash(self, *points):
        """Crashes at the points, one after the other; then goes on to the end. How many of them were met."""
        area = self.scratch / "area"
        shutil.rmtree(area, ignore_errors=True)
        area.mkdir()
        met, at = 0, 0
        for point in points:
            # On from where it was: the command before would book what this one has absorbed so far.
            done, at = self.life.live(area, at, kill=f"{point}:{self.chance.randrange(self.passed[point])}")
            self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
            met += done.returncode != 0
        bill = book.Book(area / "book", "")
        done, _ = self.life.live(area, at)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_same_journal(self.journals, bill.journals(), f"crashed {' and '.join(points)}")
        bill.verify()
        return met

    def test_a_crash_at_each_point(self):
        names = sorted(self.passed)
        for needed in ("after write wal", "before sync wal", "after sync high-water", "before write seen-log",
                       "before sync seen-run", "after rename format", "before sync directory", "before punch seen-log",
                       "after write usage-log", "before sync usage-log"):
            self.assertIn(needed, names)
        crashes = [name for name in names for _ in range(AT_EACH)]
        pairs = [tuple(self.chance.sample(names, 2)) for _ in names]
        if POINTS > 0:
            crashes, pairs = self.chance.sample(names, min(POINTS, len(names))), pairs[:POINTS // 6]
        met = 0
        for crash in (*((name,) for name in crashes), *pairs):
            with self.subTest(crash=crash):
                met += self.crash(*crash)
        book.say(f"{len(names)} points, passed {sum(self.passed.values()):,} times by one life; {len(crashes)} crashes and "
                 f"{len(pairs)} pairs of them, {met} met; the same journal each time")


def list_failpoints():
    with tempfile.TemporaryDirectory(prefix="tollbook-") as directory:
        scratch = pathlib.Path(directory)
        passed, _ = Life(scratch).points(scratch)
        for name in sorted(passed):
            print(f"{passed[name]:8} {name}")


if __name__ == "__main__":
    if "--list-failpoints" in sys.argv:
        disk.needs_shim()
        list_failpoints()
    else:
        book.main()
