"""Crashed before and after every effect that it has on its disk or on a target, the program goes on to the same journal.

A process that ends leaves behind what its calls of the system have done, whatever else it was about: so the points at
which a crash can differ from another are before and after each of these calls, and `disk_shim` has a name for each: when,
what, on which kind of file (`after sync wal`, `before write outbox`, `after rename report`), or of which part of a request
(`before send first-byte`, `after receive response`). They are the program's that is shipped; nothing is compiled into it.
What is crashed is the life of a small book, from its first event to what it delivers after a restore (handed_off.py); in
the end each batch is once at each target, and the book says what the uninterrupted one says.

    failpoints_test.py TOLLBOOK --list-failpoints     the names, and how often one small life of a book passes each

TOLLBOOK_POINTS is how many crashes there are (12, spread over all points), and a sixth as many pairs; with
TOLLBOOK_LONG=1 each point is crashed at 10 times, and stands in 10 pairs. TOLLBOOK_SEED repeats a run.
"""

import collections
import os
import random
import shutil
import signal
import sys

import accounting_tools
import book
import disk
import handed_off

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 12)  # 0: all
AT_EACH = 10
TRIES = 20  # of one crash: a passage that threads come to in one life and not in another is no crash
NEEDED = ("after write wal", "before sync wal", "after sync high-water", "before write seen-log", "before sync seen-run",
          "after rename format", "before sync directory", "before punch seen-log", "after write usage-log",
          "before sync usage-log", "before write seal-commit", "after sync seal-commit", "before write outbox",
          "after sync outbox", "before connect target", "before send first-byte", "after send first-byte",
          "before receive response", "after receive response", "before rename report", "after rename report",
          "after rename backup-list", "before sync backup-object", "after rename directory")


class Crashes(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        disk.use_for_all(self, self.scratch)
        self.chance = random.Random(SEED)
        self.life = handed_off.HandedOff(self)
        self.area = self.scratch / "area"
        self.life.begin(self.area)
        self.passes = collections.defaultdict(list)  # by point: (command, which time in it)
        self.before = []  # of each command, what the targets have; the files are beside
        for command in range(len(self.life.commands)):
            shutil.copytree(self.area, self.saved(command))
            self.before.append(self.life.targets.state())
            points = self.scratch / f"points-{command}"
            done = self.life.give(self.area, command, points=points)
            self.assertEqual(done.returncode, 0, done.stderr)
            for point, times in collections.Counter(points.read_text().splitlines()).items():
                self.passes[point] += [(command, time) for time in range(times)]
        self.outcome = self.life.outcome(self.area)

    def saved(self, command):
        return self.scratch / f"before-{command}"

    def crash(self, *points):
        """Crashes at the points, one after the other; then goes on to the end. How many of them were met."""
        crashes = sorted((*self.chance.choice(self.passes[point]), point) for point in points)
        at = crashes[0][0]
        shutil.rmtree(self.area)
        shutil.copytree(self.saved(at), self.area)
        self.life.targets.put_back(self.before[at])
        met = 0
        for command, time, point in crashes:
            # On from where it was: the command before would book what this one has absorbed so far.
            self.life.go_on(self.area, at, command)
            at = command
            if self.life.is_done(self.area, command):
                continue
            done = self.life.give(self.area, command, kill=f"{point}:{time}")
            self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
            met += done.returncode != 0
        self.life.go_on(self.area, at)
        outcome = self.life.outcome(self.area)
        self.assert_same_journal(self.outcome["journals"], outcome["journals"], f"crashed {' and '.join(points)}")
        self.assertEqual(self.outcome, outcome)
        return met

    def crash_once(self, point):
        for _ in range(TRIES):
            if self.crash(point):
                return
        self.fail(f"not met in {TRIES} lives: {point}")

    def pairs(self, names):
        """So that each point is in AT_EACH of them, or in one more."""
        for _ in range(AT_EACH):
            order = self.chance.sample(names, len(names))
            yield from zip(order[::2], order[1::2] + order[:len(order) % 2])

    def test_a_crash_at_each_point(self):
        book.say(f"TOLLBOOK_SEED={SEED}")
        names = sorted(self.passes)
        for needed in NEEDED:
            self.assertIn(needed, names)
        crashes, pairs = names * AT_EACH, list(self.pairs(names))
        if POINTS > 0:
            crashes, pairs = self.chance.sample(crashes, min(POINTS, len(crashes))), pairs[:POINTS // 6]
        for done, point in enumerate(crashes):
            if done and done % len(names) == 0:
                book.say(f"{done:,} crashes done")
            with self.subTest(crash=point):
                self.crash_once(point)
        met = 0
        for done, pair in enumerate(pairs):
            if done and done % len(names) == 0:
                book.say(f"{done:,} pairs done, {met:,} crashes met")
            with self.subTest(crash=pair):
                met += self.crash(*pair)
        accounting_tools.check(self, self.life.bill(self.area))
        passed = sum(map(len, self.passes.values()))
        book.say(f"{len(names)} points, passed {passed:,} times by one life; {len(crashes)} crashes, and {met} in "
                 f"{len(pairs)} pairs; the same book, and each batch at its targets once, each time")


def list_failpoints():
    case = Crashes()
    try:
        case.setUp()
        for name, passes in sorted(case.passes.items()):
            print(f"{len(passes):8} {name}")
    finally:
        case.doCleanups()


if __name__ == "__main__":
    if "--list-failpoints" in sys.argv:
        list_failpoints()
    else:
        book.main()
