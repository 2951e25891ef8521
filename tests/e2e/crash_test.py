"""Killed at any moment and started again, the program ends with the same journal, byte for byte.

SIGKILL at random moments of `run`, while it absorbs and while it seals; after each kill the book verifies and its
counts add up. SIGTERM and SIGINT stop cleanly, also while waiting for a pipe. Without TOLLBOOK_LONG=1 on made-up
telemetry. TOLLBOOK_SEED repeats the moments of another time.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import statistics
import subprocess
import time
import unittest

import accounting_tools
import book

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = 30 if book.LONG else 8
DATA = book.SHARED / "data" / "servegen"
SMALL_EPOCHS = ("--epoch-bytes", "4000000", "--block-bytes", "200000")


def write_corrections(events, path):
    """Voids of every 50th event, those that are none left aside, and corrections of the voids' neighbours."""
    with open(events, "rb") as lines, open(path, "w", encoding="utf-8") as corrections:
        for number, line in enumerate(lines):
            if number % 50 > 1:
                continue
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if not isinstance(event.get("id"), str) or not isinstance(event.get("time"), str):
                continue
            named, event["id"] = event["id"], f"correction-{number}"
            if number % 50 == 0:
                event["voids"] = named
            else:
                event.update(corrects=named, original={"time": event["time"]}, time="2025-01-25T00:00:00Z")
            corrections.write(json.dumps(event) + "\n")


def timed(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


class Killed(book.Case):
    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")

    def kill_after(self, seconds, command, bill, *inputs):
        """True when it was killed; False when it was done before."""
        running = book.start(command, "--books", bill.directory, "--catalog", bill.catalog, "--quiet", *inputs)
        try:
            running.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            if running.returncode == -signal.SIGKILL:
                return True
        # Done, if only just before the signal came.
        self.assertEqual(running.returncode, 0)
        return False

    def check_after_kill(self, bill):
        """(lines in the book, seals in it); a book that does not exist yet has none."""
        if not (bill.directory / "BOOKLOCK").exists():
            return 0, 0
        done = book.tollbook("status", "--books", bill.directory, "--json", expect=None)
        if done.returncode != 0 and not (bill.directory / "FORMAT").exists():
            return 0, 0  # killed while the book was being made
        bill.verify()
        status = bill.status()
        self.assert_counts_add_up(status)
        return status["lines_read"], status["seals"]

    def kill_and_restart(self, catalog, inputs, kills_wanted):
        whole = book.Book(self.scratch / "whole", catalog)
        duration = timed(lambda: whole.run(*inputs))
        journals, charges, status = whole.journals(), whole.charges(), whole.status()
        book.say(f"{status['corrections']:,} corrections applied")
        apart = book.Book(self.scratch / "apart", catalog)
        apart.absorb(*inputs)
        copy = self.scratch / "sealed-again"
        sealing = []
        for _ in range(3):
            shutil.copytree(apart.directory, copy)
            sealing.append(timed(lambda: book.Book(copy, catalog).run(*inputs)))
            shutil.rmtree(copy)
        sealing = statistics.median(sealing)
        book.say(f"{status['lines_read']:,} lines, {status['commits']} commits; uninterrupted {duration:.2f} s, seal of "
                 f"what is absorbed {sealing:.2f} s")

        kills, in_absorb, in_seal, before_first, rounds = 0, 0, 0, 0, 0
        while kills < kills_wanted:
            rounds += 1
            bill = book.Book(self.scratch / "book", catalog)
            # Every other book is absorbed already, so that its kills come while it is sealed.
            absorbed = rounds % 2 == 0
            if absorbed:
                shutil.copytree(apart.directory, bill.directory)
            killed_here = 0
            while killed_here < 4:  # then let it come to its end
                moment = self.chance.uniform(0.002, (sealing if absorbed else duration) * 1.02)
                if not self.kill_after(moment, "run", bill, *inputs):
                    break
                kills += 1
                killed_here += 1
                lines, seals = self.check_after_kill(bill)
                self.assertLessEqual(lines, status["lines_read"])
                self.assertLessEqual(seals, 1)
                before_first += lines == 0
                in_absorb += 0 < lines < status["lines_read"]
                in_seal += lines == status["lines_read"]
            bill.run(*inputs)
            self.assert_same_journal(journals, bill.journals(), f"after {killed_here} kills")
            self.assertEqual(charges, bill.charges())
            after = bill.status()
            for count in ("lines_read", *book.COUNTS, "corrections", "seals", "batches"):
                self.assertEqual(after[count], status[count], count)
            bill.verify()
            accounting_tools.check(self, bill)
            shutil.rmtree(bill.directory)
        book.say(f"{kills} kills in {rounds} books: {before_first} before the first commit, {in_absorb} in the middle of "
                 f"the input, {in_seal} behind all of it; the same journal each time")
        self.assertGreater(in_absorb + in_seal, 0, "no kill hit while there was a commit")
        return in_absorb, in_seal

    def test_sigkill_at_random_moments(self):
        events, catalog, _ = book.generate(self.scratch, "500k", "--subscriptions", "3000")
        corrections = self.scratch / "corrections.ndjson"
        write_corrections(events, corrections)
        self.kill_and_restart(catalog, [corrections, events, *SMALL_EPOCHS], KILLS)

    def test_sigkill_while_seen_events_go_to_disk(self):
        """With next to no memory each commit spills and merges; a kill may come in the middle of either."""
        events, catalog, _ = book.generate(self.scratch, "300k", "--subscriptions", "1000")
        corrections = self.scratch / "corrections.ndjson"
        write_corrections(events, corrections)
        self.kill_and_restart(catalog, [events, corrections, *SMALL_EPOCHS, "--memory", "2M"], KILLS)

    def test_sigkill_while_a_book_is_opened_with_less_memory(self):
        """A book written with room for all of its seen events; opened with next to none, commits that read no input
        bring them to disk. A kill may come before, between or in the middle of these."""
        events, catalog, _ = book.generate(self.scratch, "300k", "--subscriptions", "1000")
        lines = events.read_bytes().splitlines(keepends=True)
        before, after = self.scratch / "before.ndjson", self.scratch / "after.ndjson"
        before.write_bytes(b"".join(lines[:240_000]))
        after.write_bytes(b"".join(lines[240_000:]))
        whole = book.Book(self.scratch / "whole", catalog)
        whole.run(before, after)
        journals, charges, status = whole.journals(), whole.charges(), whole.status()

        roomy = book.Book(self.scratch / "roomy", catalog)
        roomy.absorb(before, *SMALL_EPOCHS)
        written = roomy.status()["commits"]
        opened = book.Book(self.scratch / "opened", catalog)
        shutil.copytree(roomy.directory, opened.directory)
        opening = timed(lambda: opened.absorb(before, "--memory", "2M"))  # nothing is left to read
        commits = opened.status()["commits"] - written
        opened.verify()
        self.assertGreater(commits, 1, "opening took no commits: what is tested does not happen")

        kills, between, rounds = 0, 0, 0
        while kills < KILLS or (between == 0 and kills < 10 * KILLS):
            rounds += 1
            bill = book.Book(self.scratch / "book", catalog)
            shutil.copytree(roomy.directory, bill.directory)
            for _ in range(3):  # then let it come to its end
                moment = self.chance.uniform(0.002, opening * 1.02)
                if not self.kill_after(moment, "absorb", bill, before, after, "--memory", "2M"):
                    break
                kills += 1
                self.check_after_kill(bill)
                so_far = bill.status()
                self.assertEqual(so_far["seals"], 0)
                reads_no_input = so_far["lines_read"] == 240_000
                between += reads_no_input and written < so_far["commits"] < written + commits
            bill.run(before, after, "--memory", "2M")
            self.assert_same_journal(journals, bill.journals(), f"book {rounds}")
            self.assertEqual(charges, bill.charges())
            done = bill.status()
            for count in ("lines_read", *book.COUNTS, "seals", "batches"):
                self.assertEqual(done[count], status[count], count)
            bill.verify()
            accounting_tools.check(self, bill)
            shutil.rmtree(bill.directory)
        book.say(f"opening took {opening:.2f} s and {commits} commits; {kills} kills in {rounds} books, {between} of them "
                 "between these commits; the same journal each time")
        self.assertGreater(between, 0, "no kill hit the opening")

    @unittest.skipUnless(book.LONG, "all of ServeGen is for TOLLBOOK_LONG=1")
    @unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
    def test_sigkill_at_random_moments_on_servegen(self):
        inputs = [DATA / "tokens_6h.csv.zst", DATA / "requests_10min.csv.zst", "--epoch-bytes", "20000000"]
        in_absorb, in_seal = self.kill_and_restart(book.REPOSITORY / "data" / "servegen" / "catalog", inputs, KILLS)
        self.assertGreater(in_absorb, 0)
        self.assertGreater(in_seal, 0)


def wait_until_it_handles(running, what):
    """Until then a signal ends the program at once."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        caught = re.search(r"SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{running.pid}/status").read_text())
        if int(caught[1], 16) >> (what - 1) & 1:
            return
        time.sleep(0.01)
    raise AssertionError(f"{what!r} is not handled after a minute")


def wait_until_durable(running, lines):
    """Reads what --acknowledge says until so many lines are in the book."""
    for line in running.stdout:
        if json.loads(line)["durable"]["lines"] >= lines:
            return
    raise AssertionError(f"it ended before {lines} lines were in the book")


class Stopped(book.Case):
    def test_sigterm_and_sigint_stop_at_an_epoch_and_the_next_run_goes_on(self):
        events, catalog, _ = book.generate(self.scratch, "500k")
        whole = book.Book(self.scratch / "whole", catalog)
        whole.run(events, *SMALL_EPOCHS)
        journals = whole.journals()
        for name, what in (("SIGTERM", signal.SIGTERM), ("SIGINT", signal.SIGINT)):
            with self.subTest(name):
                bill = book.Book(self.scratch / name, catalog)
                running = book.start("run", "--books", bill.directory, "--catalog", catalog, events,
                                     "--acknowledge", *SMALL_EPOCHS)
                wait_until_durable(running, 100_000)
                running.send_signal(what)
                waited = time.monotonic()
                out, err = running.communicate(timeout=30)
                waited = time.monotonic() - waited
                self.assertEqual(running.returncode, 1, out + err)
                self.assert_message(err, "stopped", str(bill.directory), "run the same command again")
                lines = bill.status()["lines_read"]
                self.assertLess(lines, 500_000)
                self.assertEqual(bill.status()["seals"], 0)
                bill.verify()
                report = bill.run(events, *SMALL_EPOCHS)
                self.assertEqual(lines + report["lines_read"], 500_000)  # nothing is read twice
                self.assert_same_journal(journals, bill.journals(), name)
                book.say(f"{name}: stopped {waited:.2f} s later with {lines:,} lines in the book, then went on")

    def stop_waiting(self, bill, source, lines, **how):
        running = book.start("run", "--books", bill.directory, "--catalog", bill.catalog, "--acknowledge", source, **how)
        wait_until_it_handles(running, signal.SIGTERM)
        if lines > 0:
            wait_until_durable(running, lines)
        self.assertIsNone(running.poll(), "it did not wait for the pipe")
        running.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        try:
            _, err = running.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.communicate()
            self.fail("SIGTERM while it waits for a pipe does not stop it")
        self.assertEqual(running.returncode, 1)
        self.assert_message(err, "stopped")
        return time.monotonic() - begin

    def test_sigterm_while_waiting_for_a_pipe(self):
        events, catalog, _ = book.generate(self.scratch, "2k")
        some = events.read_bytes().splitlines(keepends=True)[:1000]

        bill = book.Book(self.scratch / "stdin", catalog)
        reading, writing = os.pipe()
        os.write(writing, b"".join(some[:200]) + b'{"half a li')
        waited = self.stop_waiting(bill, "-", 200, stdin=reading)
        os.close(reading)
        os.close(writing)
        self.assertEqual(bill.status()["lines_read"], 200)  # the whole lines that came are in the book
        book.say(f"standard input: stopped {waited:.2f} s later, 200 lines in the book")

        fifo = self.scratch / "fifo"
        os.mkfifo(fifo)
        bill = book.Book(self.scratch / "nobody", catalog)
        waited = self.stop_waiting(bill, fifo, 0)
        self.assertEqual(bill.status()["lines_read"], 0)
        book.say(f"a FIFO that nobody has opened: stopped {waited:.2f} s later")

        bill = book.Book(self.scratch / "writer", catalog)
        keep_open = os.open(fifo, os.O_RDWR)
        os.write(keep_open, b"".join(some[200:400]))
        waited = self.stop_waiting(bill, fifo, 200)
        os.close(keep_open)
        self.assertEqual(bill.status()["lines_read"], 200)
        bill.verify()
        book.say(f"a FIFO that has gone quiet: stopped {waited:.2f} s later, 200 lines in the book")

    def test_a_slow_pipe_is_committed_in_time(self):
        events, catalog, _ = book.generate(self.scratch, "2k")
        lines = events.read_bytes().splitlines(keepends=True)[:300]
        bill = book.Book(self.scratch / "slow", catalog)
        fifo = self.scratch / "slow.fifo"
        os.mkfifo(fifo)
        running = book.start("run", "--books", bill.directory, "--catalog", bill.catalog, "--acknowledge", fifo)
        keep_open = os.open(fifo, os.O_RDWR)
        os.write(keep_open, b"".join(lines))
        wait_until_durable(running, 300)  # though the pipe stays open
        running.kill()
        running.communicate()
        os.close(keep_open)
        self.assertEqual(bill.status()["lines_read"], 300)
        bill.verify()
        book.say("300 lines of a pipe that went quiet outlive kill -9")


if __name__ == "__main__":
    book.main()
