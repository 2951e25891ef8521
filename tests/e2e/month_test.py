"""A month from its first event to its last delivery, each command killed at any moment, ends with the same journal.

One book is absorbed, sealed, approved, backed up, posted, closed, told late usage, restored to another directory, reopened
and gone on with there, closed again, told to forget its dedup keys and sent all of its usage once more, which must be
refused; every command is killed at random moments, verified, and given again. Its journal, its charges, what
was delivered and who decided what are those of a book that nobody killed, byte for byte. TOLLBOOK_MONTH_KILLS is how
many kills there are (40; 200 in CI; 1,000 with TOLLBOOK_LONG=1), about 50 to a month; each month has a seed of its own,
the first one is TOLLBOOK_SEED.
"""

import collections
import json
import os
import random
import signal
import subprocess
import time

import accounting_tools
import book
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = int(os.environ.get("TOLLBOOK_MONTH_KILLS", "0")) or (1000 if book.LONG else 40)
KILLS_OF_A_MONTH = 50
SMALL_EPOCHS = ("--epoch-bytes", "100000", "--block-bytes", "50000", "--memory", "100K")
SIGNED = ("--by", "Ann", "--why", "the month is done")


def usage(first, days, count, month=1):
    """Events of both subjects on those days; each tenth comes twice, and each hundredth is nobody's meter."""
    events = []
    for i in range(count):
        one = small.event(first + i, calls=i % 7 + 1, subject=f"s{i % 2 + 1}",
                          time=f"2025-{month:02}-{i % days + 1:02}T12:00:00Z",
                          meter="unheard.of" if i % 100 == 99 else "api.calls")
        events += [one, one] if i % 10 == 0 else [one]
    return small.lines(*events)


class Month:
    """One life of a book. Each command goes through `do`, which may kill it first."""

    def __init__(self, case, area, chance):
        self.case, self.area, self.chance = case, area, chance
        self.durations = {}     # of each step, where nobody kills
        self.kills = collections.Counter()  # by command
        self.catalog = small.write_catalog(area / "catalog", subscriptions=("s1", "s2"),
                                           more=small.USAGE_LOG + "retention: {dedup_keys_months: 1}\n")
        (self.catalog / "entities.yaml").write_text(
            "entities:\n  - name: acme-us\n    functional_currency: USD\n    approval: {above: {USD: 20.00}}\n",
            encoding="utf-8")
        (self.catalog / "targets.yaml").write_text(
            "targets:\n  - {name: archive, kind: files, directory: out, format: csv}\n", encoding="utf-8")
        self.bill = book.Book(area / "book", self.catalog)
        self.steps = 0
        files = {"begin": usage(0, 20, 2000), "end": usage(10_000, 31, 2000),
                 "late": usage(20_000, 31, 300) + usage(30_000, 10, 1000, month=2),
                 "next": usage(40_000, 28, 1500, month=2)}
        # All of it, and no source that the book knows.
        files["again"] = small.lines(small.event("new", time="2030-01-05T12:00:00Z")) + b"".join(files.values())
        for name, content in files.items():
            (area / f"{name}.ndjson").write_bytes(content)

    def do(self, command, *arguments, is_done=lambda: False, kills=0, durations=None):
        """Gives the command until it was killed so often, and then once more. It may be done before it is killed."""
        self.steps += 1
        step = f"{self.steps} {command}"
        killed = 0
        for _ in range(4 * kills):
            if killed == kills or is_done():  # a second backup would be another one
                break
            running = book.start(command, *arguments)
            try:
                running.communicate(timeout=self.chance.uniform(0.001, durations[step] * 1.05))
            except subprocess.TimeoutExpired:
                running.kill()
                running.communicate()
            if running.returncode == -signal.SIGKILL:
                killed += 1
                self.kills[command] += 1
                self.check()
            else:
                self.case.assertTrue(running.returncode == 0 or is_done(), f"{step} ended with {running.returncode}")
        begin = time.monotonic()
        if not is_done():
            book.tollbook(command, *arguments)
        self.durations[step] = time.monotonic() - begin

    def check(self):
        if (self.bill.directory / "FORMAT").exists():  # the last thing that is written when a book is made
            self.bill.verify()

    def live(self, kills=0, durations=None):
        """From the first event to the last delivery."""
        def do(command, *arguments, is_done=lambda: False):
            self.do(command, *arguments, is_done=is_done, kills=kills, durations=durations)

        def of_book():
            return ("--books", self.bill.directory)

        def with_catalog():
            return (*of_book(), "--catalog", self.catalog)

        def approve():
            for row in self.rows("journals", "held"):
                if row["state"] == "held":
                    batch = row["batch"]
                    do("journals", "approve", batch, *of_book(), *SIGNED, is_done=lambda: self.is_approved(batch))

        def change(action, state, *flags, period="2025-01"):
            do("periods", action, *with_catalog(), "--entity", "acme-us", "--period", period, *SIGNED, *flags,
               is_done=lambda: self.state_of(period) == state)

        def back_up(number):
            do("backup", *of_book(), "--to", self.area / "backups",
               is_done=lambda: (self.area / "backups" / f"{number}.backup").exists())

        do("absorb", *with_catalog(), self.area / "begin.ndjson", *SMALL_EPOCHS)
        do("seal", *with_catalog())
        back_up(1)
        do("run", *with_catalog(), self.area / "end.ndjson", *SMALL_EPOCHS)
        approve()
        do("post", *with_catalog())
        change("close", "closed", "--waive", "held")
        do("run", *with_catalog(), self.area / "late.ndjson", *SMALL_EPOCHS)
        back_up(2)
        restored = self.area / "restored"
        do("restore", "--from", self.area / "backups", "--backup", 2, "--books", restored, is_done=restored.exists)
        self.bill = book.Book(restored, self.catalog)
        change("reopen", "open")
        do("run", *with_catalog(), self.area / "next.ndjson", *SMALL_EPOCHS)
        approve()
        do("deliveries", "resume", *of_book(), "archive", *SIGNED, is_done=self.is_resumed)
        do("post", *with_catalog())
        change("close", "closed", "--waive", "held")
        change("close", "closed", "--waive", "held", period="2025-02")
        do("dedup-keys", "purge", *with_catalog(), *SIGNED, "--waive", "held")
        do("run", *with_catalog(), self.area / "again.ndjson", *SMALL_EPOCHS)
        do("post", *with_catalog())
        return self

    def rows(self, *command):
        return json.loads(self.bill.read(*command, "--json"))

    def is_approved(self, batch):
        return any(row["batch"] == batch and row["state"] == "approved" for row in self.rows("journals", "held"))

    def is_resumed(self):
        return any(row["what"] == "target" and row["after"] == "delivering" for row in self.rows("audit")["rows"])

    def state_of(self, period):
        rows = json.loads(self.bill.read("periods", "--json", "--catalog", self.catalog))
        return next(row["state"] for row in rows if row["period"] == period)

    def outcome(self):
        """What finance has of it, without the times of day."""
        self.bill.verify()
        self.bill.read("reconcile")  # ends with 0
        accounting_tools.check(self.case, self.bill)
        delivered = {path.name: path.read_bytes() for path in (self.catalog / "out").glob("*.csv")}
        audit = self.rows("audit")["rows"]
        decided = [(row["what"], row["which"], row["by"], row["before"], row["after"])
                   for row in audit if row["what"] in ("approval", "period", "delivery")]
        # How many bytes went depends on how the keys lay.
        forgotten = [(row["which"], row["by"], row["before"].split(",")[0], row["after"])
                     for row in audit if row["what"] == "purge"]
        status = self.bill.status()
        counts = {name: status[name] for name in ("lines_read", *book.COUNTS, "seals", "batches")}
        return {"journals": self.bill.journals(), "charges": self.bill.charges(), "delivered": delivered,
                "decided": decided, "forgotten": forgotten, "counts": counts}


class KilledInEachCommand(book.Case):
    def test_a_month_ends_with_the_same_journal(self):
        book.say(f"TOLLBOOK_SEED={SEED}")
        whole = Month(self, self.area("whole"), random.Random(SEED)).live()
        expected = whole.outcome()
        self.assertEqual(len(expected["delivered"]), expected["counts"]["batches"])
        self.assertGreater(expected["counts"]["seals"], 3)
        self.assertEqual(len(expected["forgotten"]), 1)
        of_a_step = -(-KILLS_OF_A_MONTH // len(whole.durations))
        kills, months = collections.Counter(), 0
        while kills.total() < KILLS:
            month = Month(self, self.area(f"month-{months}"), random.Random(SEED + months))
            month.live(of_a_step, whole.durations)
            outcome = month.outcome()
            self.assert_same_journal(expected["journals"], outcome["journals"], f"month {months}")
            self.assertEqual(expected, outcome)
            kills += month.kills
            months += 1
        by_command = ", ".join(f"{count} of {command}" for command, count in sorted(kills.items()))
        book.say(f"{kills.total()} kills in {months} months ({by_command}): the same journal each time")
        if KILLS >= 200:
            self.assertLessEqual({"seal", "periods", "backup", "restore"}, kills.keys())
        self.assertGreaterEqual(len(kills), 8 if book.LONG else 5, kills)  # one month may be lucky with a command or two

    def area(self, name):
        area = self.scratch / name
        area.mkdir()
        return area


if __name__ == "__main__":
    book.main()
