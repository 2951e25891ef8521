"""The same usage in any order, cut and speed is the same journal, byte for byte.

Real usage is converted once to CloudEvents, so that its ids are fixed. Then it is absorbed in file order, in time
order, split into 50 files with a tenth of all lines repeated elsewhere, by 1 to 16 threads, and in small blocks and
epochs. By default with one customer in twenty; TOLLBOOK_LONG=1 takes all of them.
"""

import filecmp
import random
import re
import shutil
import subprocess
import unittest

import book

DATA = book.SHARED / "data" / "servegen"
CATALOG = book.REPOSITORY / "data" / "servegen" / "catalog"
SAMPLE_STEP, SAMPLE_REST = 20, 3
PARTS = 50
TIME = re.compile(rb'"time":"([^"]+)"')


def write_sample(directory):
    """The two usage files; by default only the customers whose number leaves 3 when divided by 20."""
    for name in ("tokens_6h.csv", "requests_10min.csv"):
        with open(directory / name, "wb") as out, \
                subprocess.Popen(["zstd", "-dcq", DATA / (name + ".zst")], stdout=subprocess.PIPE) as unpack:
            if book.LONG:
                shutil.copyfileobj(unpack.stdout, out)
                continue
            out.write(unpack.stdout.readline())
            taken = {b"%d" % client for client in range(SAMPLE_REST, 1000, SAMPLE_STEP)}
            out.writelines(line for line in unpack.stdout if line.split(b",", 2)[1] in taken)
    return [directory / "tokens_6h.csv", directory / "requests_10min.csv"]


def write_in_time_order(events, directory):
    """By day into files, each then sorted, so that the memory needed is that of one day."""
    days = {}
    with open(events, "rb") as lines:
        for line in lines:
            day = TIME.search(line)[1][:10]
            if day not in days:
                days[day] = open(directory / ("day-" + day.decode()), "w+b")
            days[day].write(line)
    ordered = directory / "in-time-order.ndjson"
    with open(ordered, "wb") as out:
        for day in sorted(days):
            days[day].seek(0)
            out.writelines(sorted(days[day], key=lambda line: TIME.search(line)[1]))
            days[day].close()
    return ordered


def write_in_parts(events, directory, seed):
    """50 files in no order, a tenth of all lines in a second one too: (files, lines repeated)."""
    chance = random.Random(seed)
    directory.mkdir()
    files = [open(directory / f"part-{part:02}.ndjson", "wb") for part in range(PARTS)]
    repeated = 0
    with open(events, "rb") as lines:
        for line in lines:
            part = chance.randrange(PARTS)
            files[part].write(line)
            if chance.random() < 0.1:
                files[(part + chance.randrange(1, PARTS)) % PARTS].write(line)
                repeated += 1
    for file in files:
        file.close()
    paths = [file.name for file in files]
    chance.shuffle(paths)
    return paths, repeated


@unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
@unittest.skipUnless(shutil.which("zstd"), "zstd is not installed")
class SameJournal(book.Case):
    def test_servegen(self):
        csv_files = write_sample(self.scratch)
        events = self.scratch / "events.ndjson"
        book.tollbook("convert", "--catalog", CATALOG, "--out", events, "--quiet", *csv_files)

        first = book.Book(self.scratch / "first", CATALOG)
        report = first.run(*csv_files)
        lines = report["lines_read"]
        journals, charges = first.journals(), first.charges()
        self.assertGreater(lines, 100_000)
        self.assertGreater(len(journals), 1000)
        book.say(f"CSV: {lines:,} events, {journals.count(bytes([10])) - 1:,} postings")

        in_time_order = write_in_time_order(events, self.scratch)
        self.assertEqual(events.stat().st_size, in_time_order.stat().st_size)
        self.assertFalse(filecmp.cmp(events, in_time_order, shallow=False))
        seed = random.SystemRandom().randrange(1 << 32)
        parts, repeated = write_in_parts(events, self.scratch / "parts", seed)
        book.say(f"seed {seed} of the parts")
        cases = [
            ("file order", [events], [], 0),
            ("time order", [in_time_order], [], 0),
            ("50 files, a tenth repeated", parts, [], repeated),
            ("each line parsed", [events], ["--decoder", "simdjson"], 0),
            ("1 thread", [events], ["--threads", "1"], 0),
            ("2 threads", [events], ["--threads", "2"], 0),
            ("4 threads, 50 files", parts, ["--threads", "4"], repeated),
            ("8 threads, 50 files", parts, ["--threads", "8", "--block-bytes", "65536"], repeated),
            ("16 threads", [in_time_order], ["--threads", "16", "--block-bytes", "65536",
                                             "--epoch-bytes", "20000000"], 0),
            ("small blocks and epochs", [in_time_order],
             ["--threads", "4", "--block-bytes", "65536", "--epoch-bytes", "4000000"], 0),
            ("little memory", parts, ["--memory", "1M", "--epoch-bytes", "4000000"], repeated),
            ("much memory", parts, ["--memory", "64G", "--epoch-bytes", "4000000"], repeated),
            ("a directory", [self.scratch / "parts"], ["--epoch-bytes", "20000000"], repeated),
        ]
        for name, inputs, flags, duplicates in cases:
            with self.subTest(name):
                bill = book.Book(self.scratch / "next", CATALOG)
                report = bill.run(*inputs, *flags)
                self.assertEqual(report["accepted"], lines)
                self.assertEqual(report["duplicate"], duplicates)
                self.assert_counts_add_up(report)
                self.assert_same_journal(journals, bill.journals(), name)
                self.assertEqual(charges, bill.charges())
                book.say(f"{name}: {report['lines_read']:,} lines, {duplicates:,} repeated, {report['epochs']} epochs, "
                         f"{report['elapsed_seconds']:.1f} s: the same")
                shutil.rmtree(self.scratch / "next")


class AbsorbedInSteps(book.Case):
    def test_the_running_total_does_not_depend_on_how_often_it_was_sealed(self):
        """One book is sealed once, another after each file: the same amounts are booked in the end."""
        events, catalog, _ = book.generate(self.scratch, "100k", "--conflicts", "0")
        lines = events.read_bytes().splitlines(keepends=True)
        once, often = book.Book(self.scratch / "once", catalog), book.Book(self.scratch / "often", catalog)
        once.run(events)
        chance = random.Random(1)
        chance.shuffle(lines)
        for step in range(5):
            part = self.scratch / f"step-{step}.ndjson"
            part.write_bytes(b"".join(lines[step::5]))
            often.run(part, "--block-bytes", "100000", "--epoch-bytes", "1000000")
        self.assertEqual(once.charges(), often.charges())
        self.assertEqual(often.status()["seals"], 5)
        often.verify()
        book.say(f"{len(lines):,} events, sealed once and five times: {once.charges().count(bytes([10])) - 1:,} "
                 "charges the same")


class OpenedWithOtherMemory(book.Case):
    def test_a_book_goes_on_with_less_memory_than_it_was_written_with(self):
        """The first half with much memory, the whole with little, then with much again: seen events stay known."""
        events, catalog, made = book.generate(self.scratch, "200k")
        lines = events.read_bytes().splitlines(keepends=True)
        half = self.scratch / "half.ndjson"
        half.write_bytes(b"".join(lines[:len(lines) // 2]))
        expected, bill = (book.Book(self.scratch / name, catalog) for name in ("expected", "bill"))
        expected.run(events)
        before = bill.run(half, "--memory", "64G")
        after = bill.run(events, "--memory", "1M", "--epoch-bytes", "4000000")
        self.assertEqual(before["accepted"] + after["accepted"], made["accepted"])
        self.assertEqual(after["duplicate"], made["duplicate"] + before["accepted"])
        bill.verify()
        for step, memory in enumerate(("64G", "1M")):
            again = self.scratch / f"again-{step}.ndjson"
            again.write_bytes(b"".join(lines[step::3]))
            self.assertEqual(bill.run(again, "--memory", memory)["accepted"], 0)
        self.assertEqual(expected.charges(), bill.charges())
        bill.verify()


class DecodedEitherWay(book.Case):
    def test_the_short_cut_and_the_parser_know_each_others_events(self):
        """Half of the file by one decoder, the whole by the other: the first half comes again, as it was."""
        events, catalog, made = book.generate(self.scratch, "200k")
        lines = events.read_bytes().splitlines(keepends=True)
        half = self.scratch / "half.ndjson"
        half.write_bytes(b"".join(lines[:len(lines) // 2]))
        expected = book.Book(self.scratch / "expected", catalog)
        expected.run(events)
        for first, second in (("auto", "simdjson"), ("simdjson", "auto")):
            with self.subTest(first):
                bill = book.Book(self.scratch / first, catalog)
                before = bill.run(half, "--decoder", first)
                after = bill.run(events, "--decoder", second)
                self.assertEqual(before["accepted"] + after["accepted"], made["accepted"])
                # What was accepted or had come twice comes again; a conflict is one each time.
                self.assertEqual(after["duplicate"], made["duplicate"] + before["accepted"])
                self.assertEqual(after["conflict"], made["conflict"])
                self.assertEqual(expected.charges(), bill.charges())
                bill.verify()


if __name__ == "__main__":
    book.main()
