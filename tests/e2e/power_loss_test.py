"""The power goes at any point of a book's life: nothing acknowledged is lost, and the end is the same to the byte.

One life of a book (absorb with spills and merges, seal, open with less memory, seal again) is traced through `disk_shim`,
the program being the one that is shipped. Then, for chosen points of it, what a disk may hold when the power goes there
is laid out (disk.py says what may be missing), and the program goes on from it: every acknowledged line and seal is
there, `verify` holds, and the journal at the end is that of the uninterrupted life. A part of these lose power once
more while they go on. Likewise the end of a month: closed, its dedup keys forgotten, and delivered once more; and a
book that is handed off to files, a ledger and a webhook's receiver: what they saw the first byte of is not as if it had
never been sent, what is confirmed is there, and in the end each batch is there once.
TOLLBOOK_POINTS is how many points (20; 600 with TOLLBOOK_LONG=1), a third as many of the month's end and of the hand-off;
TOLLBOOK_SEED repeats a run.
"""

import collections
import json
import os
import random
import shutil
import unittest

import book
import disk
import handed_off
import old_month
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
POINTS = int(os.environ.get("TOLLBOOK_POINTS", "0")) or (600 if book.LONG else 20)
OUTCOMES = ("nothing", "torn", "any", "all")
SMALL_EPOCHS = ("--epoch-bytes", "400000", "--block-bytes", "100000")


def split(events, parts):
    lines = events.read_bytes().splitlines(keepends=True)
    paths = []
    for number in range(parts):
        paths.append(events.with_name(f"usage-{number}.ndjson"))
        paths[-1].write_bytes(b"".join(lines[number * len(lines) // parts:(number + 1) * len(lines) // parts]))
    return paths


class Told:
    """What the program has said is durable, read from what it printed; and what it has sent to whom, by port."""

    def __init__(self, lines=0):
        self.text = b""
        self.lines = self.lines_before = lines  # in all; by earlier commands
        self.seals = 0
        self.forgotten = 0
        self.closed = False
        self.confirmed = collections.Counter()  # by target
        self.begun, self.sent, self.answered = collections.Counter(), collections.Counter(), collections.Counter()

    def begin(self):
        """A command begins, which counts its own lines."""
        self.lines_before = self.lines

    def add(self, kind, words, payload):
        if kind == "told":
            *whole, self.text = (self.text + payload).split(b"\n")
            for line in whole:
                if line.startswith(b"{"):
                    self.hear(json.loads(line))
        elif kind == "send":
            port, is_first, is_whole = words
            self.begun[port] += is_first
            self.sent[port] += is_whole
        elif kind == "receive":
            self.answered[words[0]] = self.sent[words[0]]

    def hear(self, said):
        if "durable" in said:
            self.lines = max(self.lines, self.lines_before + said["durable"]["lines"])
        self.seals = max(self.seals, said.get("seal", 0))
        self.forgotten = max(self.forgotten, said.get("keys", 0))
        self.closed = self.closed or said.get("after") == "closed"
        self.confirmed |= {target["target"]: target["confirmed"] for target in said.get("targets", ())}  # of `post`

    def update(self, earlier):
        """What was said before, too. What was sent is told of one time only."""
        self.lines = max(self.lines, earlier.lines)
        self.seals = max(self.seals, earlier.seals)
        self.forgotten = max(self.forgotten, earlier.forgotten)
        self.closed = self.closed or earlier.closed
        self.confirmed |= earlier.confirmed


class Life:
    """Commands of a book in `root`; of each what is there right after the power came back."""

    def give(self, root, command, **how):
        return disk.run((*self.commands[command], "--books", root / "book"), root, **how)

    def bill(self, root):
        return book.Book(root / "book", self.catalog)

    def is_done(self, root, command):
        """Was it done, and cannot be given again?"""
        return False

    def left(self, scratch):
        """Where what is left of it is made."""
        return scratch / "left"

    def remember(self):
        """From now on what the world outside is like after each that happens to it."""

    def remembered(self):
        return None

    def put_back(self, states, told, chance):
        """The world outside as it was when so much had been sent to it."""

    def check_end(self, root):
        pass


def check_acknowledged(case, bill, told):
    details = {check["law"]: check["detail"] for check in bill.verify()}
    lines = int(details[1].split(" lines = ")[0])
    seals = int(details[3].split("as of seal ")[1]) if "as of seal " in details[3] else 0
    case.assertGreaterEqual(lines, told.lines, "lines that were acknowledged are gone")
    case.assertGreaterEqual(seals, told.seals, "a seal that was acknowledged is gone")


class Growing(Life):
    """From nothing: absorb with spills and merges, seal, open with less memory, seal again."""

    KINDS = ("write", "sync", "syncdir", "rename", "punch", "unlink", "told")

    def __init__(self, case):
        self.case, self.root = case, case.scratch / "life"
        events, self.catalog, _ = book.generate(case.scratch, "12k", "--subscriptions", "60")
        with open(self.catalog / "book.yaml", "a", encoding="utf-8") as policy:
            policy.write(small.USAGE_LOG)
        first, second, third = split(events, 3)
        common = ("--catalog", self.catalog, "--quiet", "--json", "--acknowledge", "--threads", "1", *SMALL_EPOCHS)
        self.commands = [("run", first, *common, "--memory", "100K"),
                         ("absorb", second, *common, "--memory", "1G"),
                         ("run", second, third, *common, "--memory", "100K")]
        self.root.mkdir()

    def check_left(self, left, told):
        """What is there right after the power came back; False when there is no book yet."""
        if told.lines == 0 and not (left / "book/FORMAT").exists():
            return False
        check_acknowledged(self.case, self.bill(left), told)
        return True


class Forgetting(old_month.OldMonth, Life):
    """A month is closed, its dedup keys are forgotten, and it is delivered once more."""

    KINDS = ("write", "sync", "syncdir", "punch", "unlink", "told")

    def __init__(self, case):
        super().__init__(case, closed=False, more=small.USAGE_LOG)
        self.root = self.base
        again = ("run", self.again, "--quiet", "--json", "--acknowledge", "--threads", "1", *SMALL_EPOCHS)
        self.commands = [(*words, "--catalog", self.catalog) for words in (old_month.CLOSE, old_month.PURGE, again)]

    def is_done(self, root, command):
        return self.commands[command][:2] == ("periods", "close") and self.is_closed(root)

    def check_left(self, left, told):
        """What was forgotten stays so; and whatever is forgotten, no event of the month is counted once more."""
        bill = self.bill(left)
        bill.verify()
        forgotten = self.forgotten(left)
        self.case.assertIn(forgotten, (0, old_month.EVENTS))
        self.case.assertGreaterEqual(forgotten, told.forgotten, "what is forgotten came back")
        self.case.assertGreaterEqual(self.is_closed(left), told.closed, "a period that was closed is open")
        read = bill.status()["lines_read"]
        self.case.assertGreaterEqual(read, old_month.EVENTS + told.lines, "lines that were acknowledged are gone")
        if read == old_month.EVENTS:  # it has not come once more yet
            self.case.assertEqual(self.deliver_to_a_copy(left), old_month.REFUSED if forgotten else old_month.DUPLICATE)
        return True


class HandingOff(handed_off.HandedOff, Life):
    """Absorbed, sealed, approved, and handed off to files, a ledger and a webhook's receiver, twice; then closed."""

    KINDS = ("write", "sync", "syncdir", "rename", "connect", "send", "receive", "told")

    def __init__(self, case):
        super().__init__(case, targets=("erp", "hook"), restores=False)
        self.root = case.scratch / "life"
        self.begin(self.root)

    def left(self, scratch):
        """Where it was: a directory that batches were written to is another one at another place."""
        return self.root

    def remember(self):
        self.targets.remember()

    def remembered(self):
        return self.targets.remembered()

    def put_back(self, states, told, chance):
        """Who was sent a whole request has carried it out; or not, where it has not answered."""
        self.came = set()  # of what the first byte may have left
        for server in self.targets.servers.values():
            port = server.port
            server.put_back(states[port][chance.choice((told.sent[port], told.answered[port]))])
            self.came |= {key for _, key in states[port][told.begun[port]].came}

    def check_left(self, left, told):
        """No mark of what was sent is gone, and nothing is confirmed that is not there."""
        if told.lines == 0 and not (left / "book/FORMAT").exists():
            return False
        check_acknowledged(self.case, self.bill(left), told)
        self.case.assertGreaterEqual(self.is_closed(left), told.closed, "a period that was closed is open")
        deliveries = self.check_confirmed(left)
        self.case.assertEqual(self.came - {row["key"] for row in deliveries if row["state"] != "pending"}, set(),
                              "sent, and the book knows nothing of it")
        counts = collections.Counter(row["target"] for row in deliveries if row["state"] == "confirmed")
        self.case.assertLessEqual(told.confirmed, counts, "what was told as confirmed is not")
        return True

    def check_end(self, root):
        self.targets.check(self.case, self.bill(root).journals(), root / "catalog" / "out")


class PowerLoss(book.Case):
    def setUp(self):
        super().setUp()
        disk.needs_shim()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        disk.use_for_all(self, self.scratch)

    def live(self, life):
        """The life that the test is of, as it is before its first command."""
        self.life, self.root = life, life.root
        self.before = disk.Disk.of(self.root)

    def give(self, number, root, **how):
        """One command of the life."""
        done = self.life.give(root, number, **how)
        self.assertEqual(done.returncode, 0, (self.life.commands[number], done.stderr.decode()))

    def go_on(self, root, command):
        """From this command of its life to the end."""
        for number in range(command, len(self.life.commands)):
            if not self.life.is_done(root, number):
                self.give(number, root)

    def trace_life(self):
        """The effects of each command, and the journal and charges at the end."""
        traced = []
        self.life.remember()
        for number in range(len(self.life.commands)):
            trace = self.scratch / f"trace-{number}"
            self.give(number, self.root, trace=trace)
            traced += [(number, effect) for effect in disk.with_whole_requests(disk.effects(trace))]
        self.states = self.life.remembered()
        whole = self.life.bill(self.root)
        whole.verify()
        self.life.check_end(self.root)
        self.journals, self.counts = whole.journals(), self.counts_of(whole)
        return traced

    def counts_of(self, bill):
        status = bill.status()
        return {name: status[name] for name in ("lines_read", *book.COUNTS)}

    def check_end(self, left):
        bill = self.life.bill(left)
        self.life.check_end(left)
        self.assert_same_journal(self.journals, bill.journals(), "after the power came back")
        self.assertEqual(self.counts, self.counts_of(bill))
        # What was acknowledged can be read again without its sources.
        aside = [(path, path.with_suffix(".aside")) for path in self.scratch.rglob("*.ndjson")]
        for path, name in aside:
            path.rename(name)
        checks = json.loads(bill.read("verify", "--deep", "--json"))
        for path, name in aside:
            name.rename(path)
        self.assertTrue(all(check["holds"] for check in checks), checks)
        self.assertTrue(any("from the usage log" in check["detail"] for check in checks), checks)

    def lose_power_going_on(self, left, command, outcome, lines):
        """Goes on from `left`, which has so many lines, loses power somewhere in that, and is what is left of it then."""
        image = disk.Disk.of(left)
        trace = self.scratch / "trace-again"
        trace.unlink(missing_ok=True)
        self.life.remember()
        self.give(command, left, trace=trace)
        states = self.life.remembered()
        again = disk.with_whole_requests(disk.effects(trace))
        told = Told(lines)
        for kind, words, payload in again[:self.chance.randrange(len(again) + 1)]:
            image.do(kind, words, payload)
            told.add(kind, words, payload)
        shutil.rmtree(left)
        image.leave(left, outcome, self.chance)
        self.life.put_back(states, told, self.chance)
        return told

    def test_power_loss_at_many_points(self):
        self.live(Growing(self))
        self.lose_power(POINTS)

    def test_power_loss_while_keys_are_forgotten(self):
        self.live(Forgetting(self))
        self.lose_power(-(-POINTS // 3))

    def test_power_loss_while_batches_are_handed_off(self):
        self.live(HandingOff(self))
        self.lose_power(-(-POINTS // 3))

    def lose_power(self, points):
        traced = self.trace_life()
        kinds = collections.Counter(kind for _, (kind, _, _) in traced)
        book.say(f"{len(traced)} effects: " + ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
        for kind in self.life.KINDS:
            self.assertGreater(kinds[kind], 0, f"the life has no {kind}")
        # Spread over all of it; where more happens than one more write, closer together.
        weights = [1 if kind in ("write", "punch") else 5 for _, (kind, _, _) in traced]
        wanted, passed, next_one = {}, 0, self.chance.random()
        for place, weight in enumerate(weights):
            passed += weight * points / sum(weights)
            while next_one < passed:
                outcome = OUTCOMES[int(next_one) % len(OUTCOMES)]
                wanted.setdefault(place, []).append(outcome)
                next_one = int(next_one) + 1 + self.chance.random()
        image = self.before.copy()
        told = Told()
        before_book, twice, outcomes = 0, 0, collections.Counter()
        left = self.life.left(self.scratch)
        for place, (command, (kind, words, payload)) in enumerate(traced):
            if place > 0 and traced[place - 1][0] != command:
                told.begin()
            image.do(kind, words, payload)
            told.add(kind, words, payload)
            for outcome in wanted.get(place, ()):
                with self.subTest(place=place, effect=kind, words=words, outcome=outcome, command=command):
                    outcomes[outcome] += 1
                    shutil.rmtree(left, ignore_errors=True)
                    image.leave(left, outcome, self.chance)
                    self.life.put_back(self.states, told, self.chance)
                    is_book = self.life.check_left(left, told)
                    before_book += not is_book
                    if self.chance.random() < 1 / 4 and not self.life.is_done(left, command):
                        twice += 1
                        again = self.lose_power_going_on(left, command, self.chance.choice(OUTCOMES), told.lines)
                        again.update(told)
                        self.life.check_left(left, again)
                    self.go_on(left, command)
                    self.check_end(left)
        self.assertGreater(told.lines, 0, "nothing was acknowledged, so nothing could go")
        book.say(f"{sum(outcomes.values())} power losses ({', '.join(f'{n} {o}' for o, n in outcomes.items())}), "
                 f"{before_book} before there was a book, {twice} with another one while it went on: nothing of "
                 f"{told.lines:,} lines acknowledged is gone, the same journal each time")

    def test_power_loss_right_after_the_store_names_another_manifest(self):
        """CURRENT is renamed, and the directory that it is in is not synced yet: what it names is there for all that."""
        self.live(Forgetting(self))
        image, left, named = self.before.copy(), self.scratch / "left", 0
        for _, (kind, words, payload) in self.trace_life():
            image.do(kind, words, payload)
            if kind != "rename" or not words[1].endswith("/store/CURRENT"):
                continue
            named += 1
            for _ in range(10):
                shutil.rmtree(left, ignore_errors=True)
                image.leave(left, "any", self.chance)
                self.life.bill(left).verify()
        self.assertGreater(named, 1)

    def test_a_disk_that_lies_about_a_sync_is_found_out(self):
        """Were a sync left out of the program, so would the disk look: this shows that the test above would see it."""
        self.live(Growing(self))
        traced = self.trace_life()
        for lie in ("wal", "seen-log", "seen-run", "usage-log", "high-water"):
            image, kind_of = self.before.copy(), {}
            for _, (kind, words, payload) in traced:
                if kind == "create":
                    kind_of[words[0]] = disk.kind_of(words[1])
                if kind != "sync" or kind_of[words[0]] != lie:
                    image.do(kind, words, payload)
            left = self.scratch / lie
            image.leave(left, "nothing", self.chance)
            checked = book.tollbook("verify", "--books", left / "book", expect=1)
            self.assert_message(checked.stderr)
            book.say(f"{lie} never synced: {checked.stderr.decode().strip().replace(str(left), '')}")

    def test_lines_that_are_told_of_before_they_are_synced_are_found_out(self):
        """Likewise: had a commit been acknowledged before the log was synced, its lines would not be there."""
        self.live(Growing(self))
        traced, told, logs = self.trace_life(), Told(), set()
        for place, (_, (kind, words, payload)) in enumerate(traced):
            if kind == "create" and disk.kind_of(words[1]) == "wal":
                logs.add(words[0])
            if kind == "sync" and words[0] in logs:
                before_sync = place
            earlier = told.lines
            told.add(kind, words, payload)
            if 0 < earlier < told.lines:
                break
        image, left = self.before.copy(), self.scratch / "left"
        for _, effect in traced[:before_sync]:
            image.do(*effect)
        image.leave(left, "nothing", self.chance)
        with self.assertRaisesRegex(AssertionError, f"{earlier} not .* {told.lines} : lines that were acknowledged are gone"):
            self.life.check_left(left, told)

    def test_a_mark_of_what_is_sent_that_is_not_synced_is_found_out(self):
        """Likewise: had the log not been synced before the first byte left, the book would know nothing of it."""
        self.live(HandingOff(self))
        image, kind_of, told = self.before.copy(), {}, Told()
        for command, (kind, words, payload) in self.trace_life():
            if kind == "create":
                kind_of[words[0]] = disk.kind_of(words[1])
            is_lie = kind == "sync" and kind_of[words[0]] == "wal" and self.life.commands[command][0][0] == "post"
            if not is_lie:
                image.do(kind, words, payload)
            told.add(kind, words, payload)
            if kind == "send":
                self.life.put_back(self.states, told, self.chance)
                if self.life.came:
                    break
        left = self.scratch / "left"
        image.leave(left, "nothing", self.chance)
        with self.assertRaisesRegex(AssertionError, "the book knows nothing of it"):
            self.life.check_left(left, told)


if __name__ == "__main__":
    book.main()
