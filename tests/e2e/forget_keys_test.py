"""Old dedup keys are forgotten, and the program is killed before and after each effect that this has on its disk: the
month that is delivered again is refused each time, and never counted twice.

TOLLBOOK_POINTS is how many of the crashes are tried (12; all of them with TOLLBOOK_LONG=1); TOLLBOOK_SEED repeats a run.
"""

import collections
import json
import os
import random
import shutil
import signal

import book
import disk
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 12)  # 0: all
EVENTS = 3000


class ForgetKeys(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        disk.use_for_all(self, self.scratch)
        self.catalog = small.write_catalog(self.scratch / "catalog", more="retention: {dedup_keys_months: 1}\n")
        self.january = [small.event(f"j{i}", calls=i % 7 + 1, time=f"2025-01-{i % 31 + 1:02}T12:00:00Z")
                        for i in range(EVENTS)]
        self.base = self.scratch / "base"
        # So little memory that some keys are in runs, and some in the log.
        self.run_in(self.base, "run", self.file("january", *self.january[:2000]), "--memory", "40K")
        self.run_in(self.base, "run", self.file("more", *self.january[2000:]))
        self.run_in(self.base, "periods", "close", "--entity", "acme-us", "--period", "2025-01", "--by", "Ann",
                    "--why", "over")
        self.journals = book.Book(self.base / "book", "").journals()

    def file(self, name, *events):
        path = self.scratch / f"{name}.ndjson"
        path.write_bytes(small.lines(*events))
        return path

    def arguments(self, root, *words):
        return (*words, "--books", root / "book", "--catalog", self.catalog)

    def run_in(self, root, *words):
        root.mkdir(exist_ok=True)
        return book.tollbook(*self.arguments(root, *words))

    def purge(self, root, **how):
        return disk.run(self.arguments(root, "dedup-keys", "purge", "--by", "Ann", "--why", "policy", "--json"), root,
                        **how)

    def copy(self, name):
        shutil.rmtree(self.scratch / name, ignore_errors=True)
        shutil.copytree(self.base, self.scratch / name)
        return self.scratch / name

    def seen_bytes(self, root):
        return sum(path.stat().st_blocks * 512 for path in (root / "book/seen").iterdir())

    def deliver_again(self, root):
        """January once more, not as the sources that the book knows; and an event that is new."""
        again = self.file("again", small.event("new", time="2030-02-01T00:00:00Z"), *self.january)
        report = json.loads(book.tollbook(*self.arguments(root, "absorb", again, "--json")).stdout.splitlines()[-1])
        self.assertEqual(report["accepted"], 1)
        return report["reasons"]

    def test_what_is_forgotten_is_refused_and_its_space_is_the_disks(self):
        root = self.copy("forgets")
        self.assertEqual(self.deliver_again(self.copy("remembers")), {"duplicate": EVENTS})
        before = self.seen_bytes(root)
        done = self.purge(root)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["keys"], EVENTS)
        self.assertLess(self.seen_bytes(root), before / 4)
        self.assertEqual(self.deliver_again(root), {"before_cut_off": EVENTS})
        bill = book.Book(root / "book", "")
        self.assertEqual(self.journals, bill.journals())
        bill.verify()
        listed = book.rows_of(bill.read("dedup-keys", "--format", "csv"))
        self.assertEqual([(row["state"], row["keys"]) for row in listed], [("forgotten", str(EVENTS)), ("kept", "1")])

    def test_a_crash_at_each_point_of_forgetting(self):
        book.say(f"TOLLBOOK_SEED={SEED}")
        points = self.scratch / "points"
        done = self.purge(self.copy("listed"), points=points)
        self.assertEqual(done.returncode, 0, done.stderr)
        passed = [f"{point}:{number}" for point, times in collections.Counter(points.read_text().splitlines()).items()
                  for number in range(times)]
        chance = random.Random(SEED)
        crashes = chance.sample(passed, min(POINTS or len(passed), len(passed)))
        ended = collections.Counter()
        for crash in crashes:
            with self.subTest(crash=crash):
                root = self.copy("area")
                self.assertEqual(self.purge(root, kill=crash).returncode, -signal.SIGKILL)
                # Whatever it had done: no event of January is counted again, now or when it is told once more.
                reasons = self.deliver_again(self.copy_of(root))
                self.assertIn(reasons, ({"duplicate": EVENTS}, {"before_cut_off": EVENTS}))
                ended[next(iter(reasons))] += 1
                done = self.purge(root)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(json.loads(done.stdout)["keys"], 0 if "before_cut_off" in reasons else EVENTS)
                self.assertEqual(self.deliver_again(root), {"before_cut_off": EVENTS})
                bill = book.Book(root / "book", "")
                self.assertEqual(self.journals, bill.journals())
                bill.verify()
        book.say(f"{len(passed)} points, {len(crashes)} crashes: {dict(ended)}")

    def copy_of(self, root):
        other = self.scratch / "other"
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(root, other)
        return other


if __name__ == "__main__":
    book.main()
