"""A backup is a whole book or none, and so is what is restored from it.

Backups of a book as it grows: each copies what is new, each comes back as the book it was, byte for byte. Killed at any
point, or robbed of its power, a backup leaves the earlier ones as they were and the next one takes what is there; a
restore leaves no book, or the whole. So it is of a backup beside an absorb, whichever of the two processes is killed, and
when the power goes (beside.py). A damaged backup is refused by the name of the file. TOLLBOOK_POINTS is how many points of each are tried
(6; 150 with TOLLBOOK_LONG=1; beside an absorb half as many); TOLLBOOK_SEED repeats a run.
"""

import collections
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time
import unittest

import beside
import book
import disk
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (150 if book.LONG else 6)
POINTS_BESIDE = -(-POINTS // 2)
WHOLE = "after rename backup-list"  # of a backup that nobody has been told of yet
OUTCOMES = ("nothing", "torn", "any", "all")
SMALL_EPOCHS = ("--epoch-bytes", "300000", "--block-bytes", "100000", "--memory", "100K")


class Backups(book.Case):
    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        self.catalog = small.write_catalog(self.scratch / "catalog", subscriptions=("s1", "s2"),
                                           more=small.USAGE_LOG)
        self.area = self.scratch / "area"  # what goes through the shim
        self.area.mkdir()
        self.bill = book.Book(self.area / "book", self.catalog)
        self.backups = self.area / "backups"
        self.was = []  # (journal, charges) at each backup

    def grow(self, number, events=2500):
        """Usage, sealed."""
        usage = self.scratch / f"usage-{number}.ndjson"
        usage.write_bytes(small.lines(*(small.event(f"{number}-{i}", calls=i % 7 + 1, subject=f"s{i % 2 + 1}",
                                                    time=f"2025-01-{i % 28 + 1:02}T12:00:00Z") for i in range(events))))
        self.bill.run(usage, *SMALL_EPOCHS)

    def back_up(self):
        report = json.loads(book.tollbook("backup", "--books", self.bill.directory, "--to", self.backups, "--json").stdout)
        self.was.append((self.bill.journals(), self.bill.charges()))
        return report

    def restored(self, directory, number=None, area=None):
        which = () if number is None else ("--backup", number)
        book.tollbook("restore", "--from", (area or self.area) / "backups", *which, "--books", directory, "--json")
        return book.Book(directory, self.catalog)

    def check(self, bill, number):
        """It is the book of that backup."""
        journals, charges = self.was[number - 1]
        self.assert_same_journal(journals, bill.journals(), f"backup {number}")
        self.assertEqual(charges, bill.charges())
        bill.verify()
        self.assertEqual([mark["backup"] for mark in bill.status()["restored"]], [number])


class Whole(Backups):
    def test_each_backup_comes_back_and_copies_what_is_new(self):
        reports = []
        for number in range(1, 4):
            self.grow(number)
            reports.append(self.back_up())
        self.assertEqual([report["backup"] for report in reports], [1, 2, 3])
        again = self.back_up()
        self.assertLess(again["copied_bytes"], again["bytes"] / 4, "nothing is new")
        for number in range(1, 5):
            self.check(self.restored(self.scratch / f"restored-{number}", number), number)
        self.check(self.restored(self.scratch / "newest"), 4)
        book.say("copied of each: " + ", ".join(f"{r['copied_bytes']:,} of {r['bytes']:,}" for r in (*reports, again)))

    def test_a_restored_book_goes_on_and_is_backed_up_apart(self):
        self.grow(1)
        self.back_up()
        self.grow(2)
        there = self.bill
        self.back_up()
        self.bill = self.restored(self.scratch / "restored", 1)
        self.grow(2)
        self.assert_same_journal(there.journals(), self.bill.journals(), "the restored book, gone on")
        # Of the same name and seed: it may follow in the same directory, and its files are its own.
        self.assertEqual(self.back_up()["backup"], 3)
        bill = self.restored(self.scratch / "again", 3)
        self.assert_same_journal(there.journals(), bill.journals(), "the restored book's backup")
        self.assertEqual([mark["backup"] for mark in bill.status()["restored"]], [1, 3])
        bill.verify()

    def test_what_is_refused(self):
        self.grow(1)
        self.back_up()
        full = self.scratch / "full"
        full.mkdir()
        (full / "letter").write_text("dear")
        for arguments, words in (
                (("restore", "--from", self.backups, "--books", full), ("not empty", str(full))),
                (("restore", "--from", self.scratch / "none", "--books", self.scratch / "x"), ("none",)),
                (("restore", "--from", full, "--books", self.scratch / "x"), ("there is no backup",)),
                (("restore", "--from", self.backups, "--backup", 7, "--books", self.scratch / "x"), ("7.backup",)),
                (("restore", "--from", self.backups, "--books", self.backups / "x"), ("among its backups", "--books")),
                (("backup", "--books", self.bill.directory, "--to", self.bill.directory), ("in the book itself", "--to"))):
            self.assert_message(book.tollbook(*arguments, expect=1).stderr, *words)
        self.assertFalse((self.scratch / "x").exists())
        other = book.Book(self.scratch / "other", self.catalog)
        other.absorb(self.scratch / "usage-1.ndjson")
        refused = book.tollbook("backup", "--books", other.directory, "--to", self.backups, expect=1)
        self.assert_message(refused.stderr, "of another book", str(self.backups))
        self.check(self.restored(self.scratch / "restored"), 1)

    def test_damage_is_refused_by_the_name_of_the_file(self):
        self.grow(1)
        self.back_up()
        files = sorted(path for path in self.backups.rglob("*") if path.is_file() and path.name != "BOOKLOCK")
        tried = 0
        for path in files:
            good = path.read_bytes()
            at = self.chance.randrange(len(good))
            flipped = good[:at] + bytes([good[at] ^ 16]) + good[at + 1:]
            for damage, bad in (("flipped", flipped), ("cut", good[:-1]), ("longer", good + b"\0"), ("gone", None)):
                if bad is None:
                    path.unlink()
                else:
                    path.write_bytes(bad)
                with self.subTest(file=path.name, damage=damage):
                    target = self.scratch / "restored"
                    refused = book.tollbook("restore", "--from", self.backups, "--books", target, expect=1)
                    words = ["there is no backup"] if damage == "gone" and path.suffix == ".backup" else [path.name]
                    self.assert_message(refused.stderr, *words)
                    self.assertFalse(target.exists(), "a book came of a damaged backup")
                    tried += 1
                path.write_bytes(good)
        self.check(self.restored(self.scratch / "restored"), 1)
        book.say(f"{tried} damaged backups of {len(files)} files refused, each by the name of its file")

    def test_a_damaged_book_is_not_backed_up(self):
        self.grow(1)
        self.back_up()
        self.bill.status()  # opening brings the log into tables
        table = max((self.bill.directory / "store").glob("*.sst"))
        good = table.read_bytes()
        table.write_bytes(good[:100] + bytes([good[100] ^ 16]) + good[101:])
        refused = book.tollbook("backup", "--books", self.bill.directory, "--to", self.backups, expect=1)
        self.assert_message(refused.stderr, "damaged", table.name)
        self.assertEqual(len(list(self.backups.glob("*.backup"))), 1)


class UsageLog(Backups):
    """What is booked does not depend on it, so its damage is told as what it is."""

    def test_damage_of_it_alone_is_no_damage_of_the_book(self):
        self.grow(1)
        log = min((self.bill.directory / "usage").glob("*.zst"))
        good = log.read_bytes()
        log.write_bytes(good[:100] + bytes([good[100] ^ 16]) + good[101:])
        told = book.tollbook("verify", "--books", self.bill.directory, expect=1)
        self.assertIn(str(log).encode(), told.stdout)
        self.assert_message(told.stderr, "the usage log is damaged", "nothing that is booked depends on it")
        self.assertNotIn(b"do not post", told.stderr)
        self.grow(2)  # it goes on
        log.write_bytes(good + log.read_bytes()[len(good):])
        self.bill.verify()


class Beside(Backups):
    """A backup while an absorb goes on: it is the book as it was at a commit, and the absorb is none the worse."""

    def feed(self, process, lines, until):
        for line in lines:
            process.stdin.write(line)
            process.stdin.flush()
            self.fed.append(line)
            if until.is_set():
                break

    def absorbing(self):
        """An absorb that has made its first commit of what a pipe gives it, and goes on."""
        process = book.start("absorb", "--books", self.bill.directory, "--catalog", self.catalog, "--acknowledge",
                             *SMALL_EPOCHS, "-", stdin=subprocess.PIPE)
        until = threading.Event()
        lines = (small.lines(small.event(f"pipe-{i}", calls=i % 5 + 1, subject=f"s{i % 2 + 1}",
                                         time=f"2025-02-{i % 28 + 1:02}T12:00:00Z")) for i in itertools.count())
        self.fed = []
        feeder = threading.Thread(target=self.feed, args=(process, lines, until))
        feeder.start()
        self.assertIn(b"durable", process.stdout.readline())
        told = threading.Thread(target=lambda: process.stdout.read())  # what it tells must not hold it up
        told.start()

        def end():
            until.set()
            feeder.join()
            process.stdin.close()
            told.join()
            self.assertEqual(process.wait(), 0, process.stderr.read())
            for stream in (process.stdout, process.stderr):
                stream.close()
        return end

    def ask(self):
        done = book.tollbook("backup", "--books", self.bill.directory, "--to", self.backups, "--json")
        self.assertIn(b"has the book, and is asked to back it up between two commits", done.stderr)
        return json.loads(done.stdout)

    def check_restored(self, number, commits):
        """It is the book at a commit; and continued, it has the same journal as the one that was never lost."""
        restored = self.restored(self.scratch / f"restored-{number}", number)
        self.assertEqual(beside.check_is_as_it_was(self, restored, self.bill), commits)
        restored.verify()
        again = self.scratch / "again.ndjson"
        again.write_bytes(b"".join(self.fed))
        restored.run(again)
        self.assert_same_journal(self.bill.journals(), restored.journals(), f"restored from backup {number}, gone on")
        self.assertEqual(self.bill.charges(), restored.charges())
        restored.verify()

    def test_it_is_the_book_at_a_commit(self):
        self.grow(1)
        before = self.bill.status()["commits"]
        end = self.absorbing()
        reports = [self.ask(), self.ask(), self.ask()]
        end()
        commits = [report["commits"] for report in reports]
        self.assertEqual([report["backup"] for report in reports], [1, 2, 3])
        self.assertEqual(commits, sorted(commits))
        self.assertGreater(commits[0], before, "the first commit of the pipe was acknowledged before")
        self.assertLess(reports[2]["copied_bytes"], reports[2]["bytes"], "what the first two have is not copied again")
        self.bill.seal()
        self.bill.verify()
        for report in (reports[0], reports[2]):
            self.check_restored(report["backup"], report["commits"])
        book.say(f"backups at commits {commits} of {self.bill.status()['commits']}, {len(self.fed)} lines meanwhile")

    def test_a_pipe_that_gives_nothing_is_no_hindrance(self):
        self.grow(1)
        process = book.start("absorb", "--books", self.bill.directory, "--catalog", self.catalog, "--acknowledge", "-",
                             stdin=subprocess.PIPE)
        self.fed = [small.lines(small.event("pipe", calls=3))]
        process.stdin.write(self.fed[0])
        process.stdin.flush()
        self.assertIn(b"durable", process.stdout.readline())
        report = self.ask()
        process.communicate()
        self.assertEqual(process.returncode, 0)
        self.bill.seal()
        self.check_restored(1, report["commits"])

    def test_what_is_wrong_is_told_to_who_asked(self):
        self.grow(1)
        other = book.Book(self.scratch / "other", self.catalog)
        other.absorb(self.scratch / "usage-1.ndjson")
        book.tollbook("backup", "--books", other.directory, "--to", self.backups)
        end = self.absorbing()
        refused = book.tollbook("backup", "--books", self.bill.directory, "--to", self.backups, expect=1)
        self.assert_message(b"\n".join(refused.stderr.splitlines()[1:]), "of another book", str(self.backups))
        end()
        self.bill.verify()

    def test_who_asks_gets_the_book_when_the_other_is_killed(self):
        self.grow(1)
        process = book.start("absorb", "--books", self.bill.directory, "--catalog", self.catalog, "--acknowledge", "-",
                             stdin=subprocess.PIPE)
        process.stdin.write(small.lines(small.event("pipe", calls=3)))
        process.stdin.flush()
        self.assertIn(b"durable", process.stdout.readline())
        process.send_signal(signal.SIGSTOP)
        asking = book.start("backup", "--books", self.bill.directory, "--to", self.backups, "--json")
        self.assertIn(b"has the book", asking.stderr.readline())
        process.kill()
        process.communicate()
        out, err = asking.communicate()
        self.assertEqual(asking.returncode, 0, err)
        report = json.loads(out)
        self.assertEqual((report["backup"], report["commits"]), (1, self.bill.status()["commits"]))
        self.assertEqual([path.name for path in self.bill.directory.iterdir() if path.is_socket()], [])


class Interrupted(Backups):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        disk.use_for_all(self, self.scratch)
        self.grow(1)
        self.back_up()
        self.grow(2)
        self.was.append((self.bill.journals(), self.bill.charges()))

    def commands(self, area):
        return {"backup": ("backup", "--books", area / "book", "--to", area / "backups", "--json"),
                "restore": ("restore", "--from", area / "backups", "--books", f"{area}/restored/", "--json")}

    def points_of(self, command):
        """How many there are when nothing interrupts; and the effects."""
        area = self.scratch / f"whole-{command}"
        shutil.copytree(self.area, area)
        trace, points = self.scratch / f"trace-{command}", self.scratch / f"points-{command}"
        done = disk.run(self.commands(area)[command], area, trace=trace, points=points)
        self.assertEqual(done.returncode, 0, done.stderr)
        shutil.rmtree(area)
        return len(points.read_text().splitlines()), trace

    def finish(self, area, command, told):
        """What there is after an interruption, and after the same command again."""
        bill = book.Book(area / "book", self.catalog)
        if command == "restore":
            target = area / "restored"
            self.assertTrue(target.exists() or not told)
            if not target.exists():
                self.restored(target, area=area)
            self.check(book.Book(target, self.catalog), 1)
            return
        self.check(self.restored(area / "first", 1, area), 1)
        self.assertTrue((area / "backups" / "2.backup").exists() or not told)
        if not (area / "backups" / "2.backup").exists():
            book.tollbook(*self.commands(area)["backup"])
        self.check(self.restored(area / "second", 2, area), 2)
        bill.verify()

    def test_killed_at_any_point(self):
        for command in ("backup", "restore"):
            points, _ = self.points_of(command)
            for number in range(POINTS):
                at = int((number + self.chance.random()) * points / POINTS)
                with self.subTest(command=command, at=at):
                    area = self.scratch / "killed"
                    shutil.copytree(self.area, area)
                    done = disk.run(self.commands(area)[command], area, kill=f"any:{at}")
                    self.assertIn(done.returncode, (0, -signal.SIGKILL), done.stderr)
                    self.finish(area, command, done.returncode == 0)
                    shutil.rmtree(area)
            book.say(f"{command}: killed at {POINTS} of {points} points, then done by the same command again")

    def test_power_loss_at_any_point(self):
        for command in ("backup", "restore"):
            area = self.scratch / "powerless"
            shutil.copytree(self.area, area)
            before = disk.Disk.of(area)
            trace = self.scratch / f"lost-{command}"
            done = disk.run(self.commands(area)[command], area, trace=trace)
            self.assertEqual(done.returncode, 0, done.stderr)
            shutil.rmtree(area)
            effects = list(disk.effects(trace))
            for number in range(POINTS):
                at = int((number + self.chance.random()) * len(effects) / POINTS) + 1
                outcome = OUTCOMES[number % len(OUTCOMES)]
                with self.subTest(command=command, at=at, outcome=outcome):
                    image = before.copy()
                    for effect in effects[:at]:
                        image.do(*effect)
                    image.leave(area, outcome, self.chance)
                    self.finish(area, command, any(kind == "told" for kind, _, _ in effects[:at]))
                    shutil.rmtree(area)
            book.say(f"{command}: the power went at {POINTS} of {len(effects)} effects")


class BesideInterrupted(book.Case):
    """Either process of a backup beside an absorb is killed, and the other one comes to its end; or both lose power. Then
    both commands again do what is left."""

    def setUp(self):
        super().setUp()
        disk.needs_shim()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        disk.use_for_all(self, self.scratch)
        self.life = beside.Beside(self, beside.SPILLING)
        self.points = self.scratch / "points"

    def passed(self):
        """The points that the process that absorbs has passed so far."""
        return self.points.read_text().splitlines()

    def undisturbed(self):
        """What it passes before it is asked; until it has answered, while the pipe gives nothing; and from then on."""
        root, ends = self.life.begin("undisturbed"), []

        def look(_):
            ends.append(len(self.passed()))

        def wait(asking):
            asking.wait()
            look(asking)
        given = self.life.give(root, absorb={"points": self.points}, before=look, meanwhile=wait)
        self.life.check_given(root, given)
        shutil.rmtree(root)
        passed = self.passed()
        return passed[:ends[0]], passed[ends[0]:ends[1]], passed[ends[1]:]

    def finish(self, root):
        self.life.bill(root).verify()
        self.life.check_given(root, self.life.give(root))
        self.life.check_left(root)
        self.life.check_said(root)

    def test_the_one_that_absorbs_is_killed(self):
        before, backup, rest = self.undisturbed()
        before, after = collections.Counter(before), collections.Counter(backup + rest)
        # By name: an effect of the backup is not rarer than the pages that the absorb writes meanwhile.
        names = sorted(after)
        for needed in ("before write backup-object", WHOLE, "before sync wal", "after write seen-run"):
            self.assertIn(needed, names)
        chosen = [names[int((number + self.chance.random()) * len(names) / POINTS_BESIDE)]
                  for number in range(POINTS_BESIDE)] + [WHOLE]
        met, listed = 0, 0
        for name in chosen:
            point = f"{name}:{before[name] + self.chance.randrange(after[name])}"
            with self.subTest(killed=point):
                root = self.life.begin("killed")
                given = self.life.give(root, absorb={"kill": point})
                self.assertIn(given.absorbed.returncode, (0, -signal.SIGKILL), given.absorbed.stderr)
                # Who was not answered has the book then, and makes the backup himself.
                self.assertTrue(self.life.check_told(root, given.asked), given.asked.stderr)
                met += given.absorbed.returncode != 0
                listed += len(self.life.lists(root)) - 2
                self.finish(root)
        self.assertGreater(listed, 0)
        book.say(f"beside a backup the one that absorbs was killed {met} times of {len(chosen)}, at {len(names)} kinds of "
                 f"points; who asked got a backup each time, {listed} times as a second one")

    def killed_when(self, wanted):
        """For `give`: the one that absorbs goes by small steps until it has passed so many points; then the one that
        asks is killed."""
        def stop(absorbing):
            self.absorbing = absorbing
            absorbing.send_signal(signal.SIGSTOP)

        def kill(asking):
            while asking.poll() is None and len(self.passed()) < wanted:
                self.absorbing.send_signal(signal.SIGCONT)
                time.sleep(0.0005)
                self.absorbing.send_signal(signal.SIGSTOP)
            asking.kill()
            asking.wait()
            self.absorbing.send_signal(signal.SIGCONT)
        return {"before": stop, "meanwhile": kill}

    def test_the_one_that_asks_is_killed(self):
        before, backup, _ = self.undisturbed()
        met, made = 0, 0
        for number in range(POINTS_BESIDE):
            # The first one before it is served at all; the last ones may have been answered.
            at = int((number + self.chance.random()) * (len(backup) + 1) / POINTS_BESIDE) if number > 0 else 0
            with self.subTest(killed_at=at):
                root = self.life.begin("killed")
                self.points.unlink()
                given = self.life.give(root, absorb={"points": self.points}, **self.killed_when(len(before) + at))
                self.assertIn(given.asked.returncode, (0, -signal.SIGKILL), given.asked.stderr)
                self.assertEqual(given.absorbed.returncode, 0, given.absorbed.stderr)
                self.life.check_told(root, given.asked)
                met += given.asked.returncode != 0
                made += len(self.life.lists(root)) - 1
                self.finish(root)
        self.assertGreater(met, 0)
        book.say(f"beside an absorb the one that asks was killed {met} times of {POINTS_BESIDE}, at {len(backup)} "
                 f"points of the other; {made} backups were made all the same")

    def test_power_loss(self):
        root, trace = self.life.begin("powerless"), self.scratch / "trace"
        before = disk.Disk.of(root)
        self.life.check_given(root, self.life.give(root, absorb={"trace": trace}))
        shutil.rmtree(root)
        effects = list(disk.effects(trace))
        first = next(at for at, (kind, words, _) in enumerate(effects) if kind == "create" and "/backups/" in words[1])
        for number in range(POINTS_BESIDE):
            at = first + int((number + self.chance.random()) * (len(effects) - first) / POINTS_BESIDE) + 1
            outcome = OUTCOMES[number % len(OUTCOMES)]
            with self.subTest(at=at, outcome=outcome):
                image, lines = before.copy(), 0
                for kind, words, payload in effects[:at]:
                    image.do(kind, words, payload)
                    for told in payload.splitlines() if kind == "told" else ():
                        lines = json.loads(told)["durable"]["lines"] if told.startswith(b'{"durable"') else lines
                self.assertGreater(lines, 0)
                image.leave(root, outcome, self.chance)
                self.assertGreaterEqual(self.life.bill(root).status()["lines_read"], self.life.BEFORE + lines)
                self.finish(root)
                shutil.rmtree(root)
        book.say(f"beside an absorb the power went at {POINTS_BESIDE} of {len(effects) - first} effects")


if __name__ == "__main__":
    book.main()
