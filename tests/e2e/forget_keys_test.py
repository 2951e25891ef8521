"""Old dedup keys are forgotten, and the program is killed before and after each effect that this has on its disk: the
month that is delivered again is refused each time, and never counted twice.

TOLLBOOK_POINTS is how many of the crashes are tried (12; all of them with TOLLBOOK_LONG=1); TOLLBOOK_SEED repeats a run.
"""

import collections
import json
import os
import random
import signal

import book
import disk
import old_month
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (0 if book.LONG else 12)  # 0: all


class ForgetKeys(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        disk.use_for_all(self, self.scratch)
        self.month = old_month.OldMonth(self)

    def purge(self, root):
        """How many keys went."""
        done = self.month.purge(root)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["keys"]

    def seen_bytes(self, root):
        return sum(path.stat().st_blocks * 512 for path in (root / "book/seen").iterdir())

    def test_what_is_forgotten_is_refused_and_its_space_is_the_disks(self):
        root = self.month.copy("forgets")
        self.assertEqual(self.month.deliver_to_a_copy(root), old_month.DUPLICATE)
        before = self.seen_bytes(root)
        self.assertEqual(self.purge(root), old_month.EVENTS)
        self.assertLess(self.seen_bytes(root), before / 4)
        self.month.check_refused(root)
        self.month.deliver_again(root)
        listed = book.rows_of(self.month.bill(root).read("dedup-keys", "--format", "csv"))
        self.assertEqual([(row["state"], row["keys"]) for row in listed],
                         [("forgotten", str(old_month.EVENTS)), ("kept", "1")])

    def test_a_correction_that_names_a_forgotten_event_is_told_what_to_do(self):
        root = self.month.copy("forgets")
        correction = json.loads(small.event("c", calls=2, time="2030-02-02T00:00:00Z"))
        correction |= {"corrects": "nowhere", "original": {"data": {"calls": 1}}}

        def send(name):
            path = self.month.file(name, json.dumps(correction).encode())
            return self.month.do(root, "absorb", path).stdout.decode()

        told = send("before")
        self.assertIn("unknown_original", told)
        self.assertNotIn("forgotten", told)
        self.purge(root)
        correction |= {"id": "d", "corrects": "j0"}
        told = " ".join(send("held").split())
        listed = " ".join(self.month.bill(root).read("exceptions").decode().split())
        day = json.loads(self.month.purge(root).stdout)["refused_before"]
        for text in (told, listed):
            self.assertIn("unknown_original", text)
            self.assertIn(f"One dated before {day} is forgotten: credit or charge it by hand.", text)
        correction["original"]["time"] = "2025-01-01T12:00:00Z"
        self.assertIn("before_cut_off", send("restated"))

    def test_a_crash_at_each_point_of_forgetting(self):
        book.say(f"TOLLBOOK_SEED={SEED}")
        points = self.scratch / "points"
        done = self.month.purge(self.month.copy("listed"), points=points)
        self.assertEqual(done.returncode, 0, done.stderr)
        passed = [f"{point}:{number}" for point, times in collections.Counter(points.read_text().splitlines()).items()
                  for number in range(times)]
        chance = random.Random(SEED)
        crashes = chance.sample(passed, min(POINTS or len(passed), len(passed)))
        ended = collections.Counter()
        for crash in crashes:
            with self.subTest(crash=crash):
                root = self.month.copy("area")
                self.assertEqual(self.month.purge(root, kill=crash).returncode, -signal.SIGKILL)
                # Whatever it had done: no event of January is counted again, now or when it is told once more.
                reasons = self.month.deliver_to_a_copy(root)
                ended[next(iter(reasons))] += 1
                self.assertEqual(self.purge(root), 0 if reasons == old_month.REFUSED else old_month.EVENTS)
                self.month.check_refused(root)
        book.say(f"{len(passed)} points, {len(crashes)} crashes: {dict(ended)}")


if __name__ == "__main__":
    book.main()
