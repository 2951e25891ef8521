"""Bad input of every kind: no crash, no hang, bounded memory, and each line that is left out says why and where.

The run goes on, the five counts add up to the lines read, and what was good is booked to the cent.
"""

import csv
import decimal
import gzip
import os
import pathlib
import shutil
import subprocess
import tarfile
import time
import unittest

import book
import small

HOSTILE = book.SHARED / "data" / "hostile-json"
EXCERPT_BYTES = 4096
MEMORY_BYTES = 700e6  # twice what a run takes on input of any size in blocks of the default size


def priced(calls, number="x", **how):
    """An event whose number of calls is written as given."""
    return small.event(number, 123454321, **how).replace(b"123454321", calls)


GOOD = small.event("good", 7)
# What is written in the line, and how it must end: the word of its reason, or the day it is counted on.
LINES = [
    ("plain", small.event(1), "2025-01-05"),
    ("exponent", priced(b"1e2", "e2"), "2025-01-05"),
    ("number in a string", priced(b'"5"', "str"), "2025-01-05"),
    ("zero", priced(b"0e999999", "zero"), "2025-01-05"),
    ("offset", small.event("off", time="2025-01-05T00:30:00+02:00"), "2025-01-04"),
    ("small letters", small.event("tz", time="2025-01-05t00:00:00z"), "2025-01-05"),
    ("last day that counts", small.event("2261", time="2261-12-31T23:59:59Z"), "2261-12-31"),
    ("leap second", small.event("leap", time="2016-12-31T23:59:60Z"), "2016-12-31"),
    ("no leap second there", small.event("leap2", time="2025-01-05T12:00:60Z"), "invalid_time"),
    ("no zone", small.event("nozone", time="2025-01-05T00:00:00"), "time_without_zone"),
    ("no such date", small.event("date", time="2025-02-29T00:00:00Z"), "invalid_time"),
    ("hour 24", small.event("h24", time="2025-01-05T24:00:00Z"), "invalid_time"),
    ("before 1970", small.event("old", time="1969-12-31T23:59:59Z"), "time_out_of_range"),
    ("year 9999", small.event("y9999", time="9999-12-31T23:59:59Z"), "time_out_of_range"),
    ("1e400", priced(b"1e400"), "value_too_large"),
    ("1e-400", priced(b"1e-400"), "value_too_precise"),
    ("NaN", priced(b"NaN"), "invalid_json"),
    ("Infinity", priced(b"-Infinity"), "invalid_json"),
    ("leading zero", priced(b"01"), "invalid_json"),
    ("NaN in a string", priced(b'"NaN"'), "value_not_a_number"),
    ("40 digits", priced(b"1" * 40), "value_too_large"),
    ("40 decimals", priced(b"0." + b"1" * 40), "value_too_precise"),
    ("10^15", priced(b"1000000000000000"), "value_too_large"),
    ("negative", priced(b"-1"), "negative_value"),
    ("null", priced(b"null"), "missing_value"),
    ("boolean", priced(b"true"), "value_not_a_number"),
    ("array", priced(b"[1]"), "value_not_a_number"),
    ("hexadecimal", priced(b'"0x10"'), "value_not_a_number"),
    ("thousands", priced(b'"1,000"'), "value_not_a_number"),
    ("dimension is an object", small.event("dim", region={"a": 1}), "dimension_not_a_scalar"),
    ("id is a number", small.event(1).replace(b'"id":"1"', b'"id":1'), "wrong_type"),
    ("data is a string", b'{"id":"1","source":"t","type":"api.calls","subject":"s1","time":"2025-01-05T00:00:00Z",'
                         b'"data":"x"}', "wrong_type"),
    ("no data", b'{"id":"1","source":"t","type":"api.calls","subject":"s1","time":"2025-01-05T00:00:00Z"}',
     "missing_value"),
    ("no id", small.event(1).replace(b'"id":"1",', b""), "missing_id"),
    ("empty id", small.event(1).replace(b'"id":"1"', b'"id":""'), "missing_id"),
    ("no source", small.event(1).replace(b'"source":"test",', b""), "missing_source"),
    ("no type", small.event(1).replace(b'"type":"api.calls",', b""), "missing_type"),
    ("no subject", small.event(1).replace(b'"subject":"s1",', b""), "missing_subject"),
    ("no time", small.event(1).replace(b'"time":"2025-01-05T12:00:00Z",', b""), "missing_time"),
    ("id of 1,100 letters", small.event("i" * 1100), "field_too_long"),
    ("two ids", small.event(1).replace(b'"source"', b'"id":"2","source"'), "repeated_field"),
    ("version", small.event(1).replace(b"{", b'{"specversion":"0.3",', 1), "unsupported_specversion"),
    ("unknown meter", small.event("held", meter="gpu.hours"), "unknown_meter"),
    ("duplicate", small.event(1), "duplicate"),
    ("conflict", small.event(1, 2), "conflict"),
    ("invalid UTF-8", small.event("utf8").replace(b'"s1"', b'"s\xff1"'), "invalid_utf8"),
    ("cut in two", small.event("cut")[:40], "invalid_json"),
    ("NUL", b"\0", "invalid_json"),
    ("NUL inside", small.event("nul").replace(b'"s1"', b'"s\x001"'), "invalid_json"),
    ("byte order mark", b"\xef\xbb\xbf" + small.event("bom"), "invalid_json"),
    ("two in a line", small.event("two") * 2, "invalid_json"),
    ("deep", b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "invalid_json"),
    ("open brackets", b"[" * 500_000, "invalid_json"),
    ("array", b"[]", "not_an_object"),
    ("number", b"1", "not_an_object"),
    ("escape sequence", b"\x1b[31mred", "invalid_json"),
    ("2 MB", small.event("2MB", text="t" * 2_000_000), "line_too_long"),
]


class Hostile(book.Case):
    def setUp(self):
        super().setUp()
        self.catalog = small.write_catalog(self.scratch / "catalog")
        self.bill = book.Book(self.scratch / "book", self.catalog)

    def file(self, name, content):
        path = self.scratch / name
        path.write_bytes(content)
        return path

    def assert_booked(self, amount, bill=None):
        postings = (bill or self.bill).postings()
        debits = sum(decimal.Decimal(row["debit"]) - decimal.Decimal(0) for row in postings if row["account"] == "1200")
        credits = sum(decimal.Decimal(row["credit"]) for row in postings if row["account"] == "1200")
        self.assertEqual(debits - credits, decimal.Decimal(amount))

    def check_exceptions(self, report, bill=None):
        """As many as the counts say; each with its source, line, byte offset and a bounded excerpt."""
        rows = [row for row in (bill or self.bill).exceptions() if row["outcome"] != "accepted"]
        self.assertEqual(len(rows), report["lines_read"] - report["accepted"])
        for row in rows:
            self.assertTrue(row["source"] and row["reason"] and row["outcome"], row)
            self.assertGreater(int(row["line"]), 0)
            self.assertGreaterEqual(int(row["byte_offset"]), 0)
            self.assertLessEqual(len(row["payload"].encode()), EXCERPT_BYTES)
        return rows


class Lines(Hostile):
    def test_each_kind_of_bad_line_ends_with_its_reason(self):
        usage = self.file("usage.ndjson", b"".join(line + b"\n" for _, line, _ in LINES))
        report = self.bill.run(usage)
        self.assert_counts_add_up(report)
        self.assertEqual(report["lines_read"], len(LINES))
        found = {int(row["line"]): row for row in self.check_exceptions(report)}
        offset = 0
        days = set()
        for number, (name, line, expected) in enumerate(LINES, start=1):
            with self.subTest(name):
                row = found.get(number)
                if expected[0].isdigit():
                    days.add(expected)
                    self.assertIsNone(row)
                else:
                    self.assertIsNotNone(row, "accepted")
                    self.assertEqual(row["reason"], expected)
                    self.assertEqual(int(row["byte_offset"]), offset)
                    self.assertEqual(row["source"], str(usage))
                    if expected != "duplicate" and row["outcome"] != "held" and line[:20].isascii():
                        excerpt = line[:20].decode().replace("\0", "\ufffd").replace("\x1b", "\ufffd")
                        self.assertTrue(row["payload"].startswith(excerpt), row["payload"][:100])
            offset += len(line) + 1
        booked = {row["posting_date"] for row in self.bill.postings()}
        unattributed = {row["usage_date"] for row in self.bill.exceptions() if row["reason"] == "unattributed"}
        self.assertEqual(booked | unattributed, days)
        self.assertEqual(unattributed, {"2016-12-31"})  # before the subscription
        self.bill.verify()
        for flags in ([], ["--format", "csv"], ["--format", "json"], ["--reason", "invalid_utf8", "--format", "json"]):
            shown = self.bill.read("exceptions", *flags)
            shown.decode("utf-8")
            self.assertNotIn(b"\x1b", shown)
        book.say(f"{len(LINES)} lines, {len(set(e for _, _, e in LINES if not e[0].isdigit()))} reasons")

    def test_json_torture_files(self):
        if not HOSTILE.is_dir():
            self.skipTest(f"{HOSTILE} is not there")
        with open(HOSTILE / "manifest.csv", newline="", encoding="utf-8") as file:
            manifest = {row["path"]: row["expected"] for row in csv.DictReader(file)}
        contents = {}
        with tarfile.open(HOSTILE / "JSONTestSuite.tar.xz") as archive:
            for path in manifest:
                contents[path] = archive.extractfile(path).read()
        lines = {path: body for path, body in contents.items() if b"\n" not in body and body.strip(b" \t\r")}
        others = {path: body for path, body in contents.items() if path not in lines}

        whole = self.file("lines.ndjson", b"".join(body + b"\n" for body in lines.values()) + GOOD + b"\n")
        report = self.bill.run(whole)
        self.assert_counts_add_up(report)
        self.assertEqual(report["lines_read"], len(lines) + 1)
        self.assertEqual(report["accepted"], 1)
        reasons = {int(row["line"]): row["reason"] for row in self.check_exceptions(report)}
        unreadable = ("invalid_json", "invalid_utf8")
        for number, path in enumerate(lines, start=1):
            with self.subTest(path):
                if manifest[path] == "must_reject":
                    self.assertIn(reasons[number], unreadable)
                if manifest[path] == "must_accept":
                    self.assertNotIn(reasons[number], unreadable)

        # As the data of an event: what cannot be read is refused, what can be is counted.
        inside = [path for path in lines if manifest[path] in ("must_accept", "must_reject")]
        wrapped = b"".join(small.event(f"d{n}").replace(b'"calls":1', b'"calls":1,"more":' + lines[path]) + b"\n"
                           for n, path in enumerate(inside))
        bill = book.Book(self.scratch / "inside", self.catalog)
        report = bill.run(self.file("inside.ndjson", wrapped))
        self.assert_counts_add_up(report)
        reasons = {int(row["line"]): row["reason"] for row in self.check_exceptions(report, bill)}
        for number, path in enumerate(inside, start=1):
            with self.subTest("inside: " + path):
                if manifest[path] == "must_reject":
                    # One that closes the event early and goes on as JSON would be an event; there is none like that.
                    self.assertIn(reasons.get(number), unreadable)
                else:
                    self.assertIn(reasons.get(number), (None, "repeated_field"))

        directory = self.scratch / "alone"
        directory.mkdir()
        for number, (path, body) in enumerate(others.items()):
            (directory / f"{number:03}.json").write_bytes(body)
        (directory / "zzz.json").write_bytes(GOOD)
        bill = book.Book(self.scratch / "alone-book", self.catalog)
        report = bill.run(directory)
        self.assert_counts_add_up(report)
        self.assertEqual(report["accepted"], 1)
        self.check_exceptions(report, bill)
        bill.verify()
        book.say(f"{len(lines)} files as lines, {len(inside)} as data, {len(others)} by themselves")

    def test_line_ends_and_byte_order_marks(self):
        events = [small.event(n, n) for n in range(1, 6)]
        cases = [
            ("CRLF", b"\r\n".join(events) + b"\r\n", 5, 0),
            ("no last line end", b"\n".join(events), 5, 0),
            ("truncated last line", b"\n".join(events)[:-9], 4, 1),
            ("byte order mark", b"\xef\xbb\xbf" + b"\n".join(events) + b"\n", 5, 0),
            ("blank lines", b"\n\n \n" + b"\n \t\r\n".join(events) + b"\n\n", 5, 0),
            ("empty", b"", 0, 0),
            ("only a byte order mark", b"\xef\xbb\xbf", 0, 0),
            ("only blank lines", b"\n\r\n\n", 0, 0),
        ]
        for name, content, accepted, rejected in cases:
            with self.subTest(name):
                bill = book.Book(self.scratch / name.replace(" ", "-"), self.catalog)
                report = bill.run(self.file("usage.ndjson", content))
                self.assert_counts_add_up(report)
                self.assertEqual((report["accepted"], report["rejected"]), (accepted, rejected))
                self.assert_booked(f"{sum(range(accepted + 1)) / 100:.2f}", bill)
                bill.verify()

    def test_a_line_of_100_mb(self):
        usage = self.scratch / "usage.ndjson"
        with open(usage, "wb") as out:
            out.write(GOOD + b"\n" + b'{"id":"')
            for _ in range(100):
                out.write(b"x" * 1_000_000)
            out.write(b'"}\n' + small.event("behind", 5) + b"\n")
        for flags in ([], ["--threads", "1", "--block-bytes", "4096", "--epoch-bytes", "8192"]):
            bill = book.Book(self.scratch / f"book{len(flags)}", self.catalog)
            report = bill.run(usage, *flags)
            self.assertEqual((report["accepted"], report["rejected"]), (2, 1))
            row, = self.check_exceptions(report, bill)
            self.assertEqual((row["reason"], row["line"], int(row["byte_offset"])),
                             ("line_too_long", "2", len(GOOD) + 1))
            self.assert_booked("0.12", bill)
            self.assertLess(report["peak_rss_bytes"], 200e6)
            book.say(f"peak memory {report['peak_rss_bytes'] / 1e6:.0f} MB, {report['elapsed_seconds']:.2f} s")

    def test_strict_makes_exceptions_an_exit_code(self):
        usage = self.file("usage.ndjson", GOOD + b"\nnot json\n")
        self.bill.run(usage, "--strict", expect=3)
        self.assert_booked("0.07")  # it is booked all the same
        self.bill.run(usage, "--strict", expect=0)  # nothing is new


class Packed(Hostile):
    def packed(self):
        lines = small.lines(*(small.event(n, 1) for n in range(20_000)))
        yield "gz", gzip.compress(lines), lines
        if shutil.which("zstd"):
            yield "zst", subprocess.run(["zstd", "-qc"], input=lines, stdout=subprocess.PIPE, check=True).stdout, lines

    def test_truncated_and_damaged_files_are_left_out_whole(self):
        for ending, packed, lines in self.packed():
            middle = len(packed) // 2
            for name, content in (("truncated", packed[:middle]),
                                  ("damaged", packed[:middle] + bytes([packed[middle] ^ 0xff]) + packed[middle + 1:]),
                                  ("followed by rubbish", packed + b"rubbish"),
                                  ("only the first bytes", packed[:5])):
                with self.subTest(f"{name} .{ending}"):
                    bill = book.Book(self.scratch / f"{name}.{ending}", self.catalog)
                    usage = self.file(f"usage.ndjson.{ending}", content)
                    good = self.file("good.ndjson", GOOD)
                    report = bill.run(usage, good)
                    self.assert_counts_add_up(report)
                    self.assertEqual([left["path"] for left in report["left_out"]], [str(usage)])
                    # Nothing of it: the checksum that would tell stands behind the lines.
                    self.assertEqual((report["accepted"], report["rejected"]), (1, 0))
                    bill.verify()
                    people = book.tollbook("run", "--books", bill.directory, "--catalog", self.catalog, usage, good)
                    self.assert_message(people.stderr, "left out", str(usage))
                    # The whole file comes later: all of it is counted.
                    usage.write_bytes(packed)
                    report = bill.run(usage)
                    self.assert_counts_add_up(report)
                    self.assertEqual(report["left_out"], [])
                    self.assertEqual(report["accepted"], 20_000)
                    self.assert_booked("200.07", bill)
                    bill.verify()
                    book.say(f"{name} .{ending}: left out, then {report['accepted']:,}")

    def test_several_members_are_one_content(self):
        events = [small.event(n, 1) for n in range(100)]
        members = b"".join(gzip.compress(line + b"\n") for line in events)
        self.assertEqual(self.bill.run(self.file("u.ndjson.gz", members))["accepted"], 100)
        # Known by its first bytes, whatever it is called.
        bill = book.Book(self.scratch / "other", self.catalog)
        self.assertEqual(bill.run(self.file("u.ndjson", members))["accepted"], 100)

    def test_bombs(self):
        """1 GB (10 with TOLLBOOK_LONG=1) that packs into very little."""
        millions = 10_000 if book.LONG else 1_000
        line = small.event("bomb", 1)
        bombs = [("zeros", b"\0" * 1_000_000, (0, 1), "line_too_long"),
                 ("blank lines", b"\n" * 1_000_000, (0, 0), None),
                 ("the same event", (line + b"\n") * (1_000_000 // (len(line) + 1)), None, "duplicate")]
        for name, megabyte, counts, reason in bombs:
            with self.subTest(name):
                member = gzip.compress(megabyte * 10, 6)
                # Duplicates are kept as exceptions, and each line end is looked at: fewer of them take as long.
                times = millions // {"line_too_long": 10, None: 50, "duplicate": 500}[reason]
                usage = self.scratch / "bomb.ndjson.gz"
                with open(usage, "wb") as out:
                    for _ in range(times):
                        out.write(member)
                bill = book.Book(self.scratch / "bomb", self.catalog)
                begin = time.monotonic()
                report = bill.run(usage, timeout=60 if not book.LONG else 600)
                seconds = time.monotonic() - begin
                self.assert_counts_add_up(report)
                if counts:
                    self.assertEqual((report["accepted"], report["rejected"]), counts)
                else:
                    self.assertEqual((report["accepted"], report["rejected"]), (1, 0))
                self.assertLess(report["peak_rss_bytes"], MEMORY_BYTES)
                self.assertEqual(set(report["reasons"]), {reason} - {None})
                book.say(f"{name}: {usage.stat().st_size:,} bytes become {report['bytes']:,}, {report['lines_read']:,} "
                         f"lines in {seconds:.1f} s, peak memory {report['peak_rss_bytes'] / 1e6:.0f} MB")
                shutil.rmtree(bill.directory)

    @unittest.skipUnless(shutil.which("zstd"), "zstd is not installed")
    def test_bombs_in_frames(self):
        """Frames that are unpacked side by side: each packs an event and megabytes of blank lines, and says so or not."""
        line = small.event("bomb", 1) + b"\n"
        for megabytes, frames in ((8, 12), (48, 2)):
            for says_size in (True, False):
                with self.subTest(megabytes=megabytes, says_size=says_size):
                    content = line + b"\n" * (megabytes * 1_000_000)
                    how = [f"--stream-size={len(content)}"] if says_size else []
                    frame = subprocess.run(["zstd", "-qc", *how], input=content, stdout=subprocess.PIPE, check=True).stdout
                    usage = self.file("bomb.ndjson.zst", frame * frames)
                    bill = book.Book(self.scratch / "bomb", self.catalog)
                    report = bill.run(usage, "--threads", "8", timeout=60)
                    self.assert_counts_add_up(report)
                    self.assertEqual((report["accepted"], report["duplicate"]), (1, frames - 1))
                    self.assertLess(report["peak_rss_bytes"], MEMORY_BYTES)
                    book.say(f"{frames} frames of {megabytes} MB: peak memory {report['peak_rss_bytes'] / 1e6:.0f} MB")
                    shutil.rmtree(bill.directory)


class Files(Hostile):
    def run_all(self, *inputs, **how):
        return book.tollbook("run", "--books", self.bill.directory, "--catalog", self.catalog, "--quiet", *inputs,
                             **how)

    def test_a_missing_file_stops_before_anything_is_read(self):
        good = self.file("good.ndjson", GOOD)
        for name in ("missing.ndjson", "no*match.ndjson", "good.ndjson/inside"):
            done = self.run_all(good, self.scratch / name, expect=1)
            self.assert_message(done.stderr, str(self.scratch / name))
        if self.bill.directory.exists():
            self.assertEqual(self.bill.status()["lines_read"], 0)

    def test_what_cannot_be_read_is_left_out_and_said(self):
        good = self.file("good.ndjson", GOOD)
        self.file("table.csv", b"a,b\n1,2\n")
        bad = [("/dev/null", "device"), (str(self.scratch / "table.csv"), "mapping")]
        if os.path.exists("/proc/self/mem"):
            bad.append(("/proc/self/mem", "cannot be read"))
        if os.geteuid() != 0:
            self.file("secret.ndjson", GOOD).chmod(0)
            bad.append((str(self.scratch / "secret.ndjson"), "denied"))
        for path, word in bad:
            with self.subTest(path):
                done = self.run_all(path, good)
                self.assert_message(done.stderr, "left out", path, word)
                alone = self.run_all(path, expect=1)  # nothing could be read: no success
                self.assert_message(alone.stderr, path)
        self.assert_booked("0.07")
        self.run_all("/dev/null", good, "--strict", expect=3)

    def test_directories_that_loop(self):
        top = self.scratch / "top"
        (top / "below").mkdir(parents=True)
        (top / "below" / "up").symlink_to(top)
        (top / "self").symlink_to("self")
        (top / "nowhere").symlink_to("not-there")
        (top / "again.ndjson").symlink_to("usage.ndjson")
        (top / "usage.ndjson").write_bytes(GOOD)
        (top / "notes.txt").write_text("not usage")
        os.mkfifo(top / "pipe.ndjson")
        done = self.run_all(top, timeout=30)
        for word in ("up", "self", "nowhere", "notes.txt", "pipe.ndjson"):
            self.assert_message(done.stderr, str(top), word)
        self.assertEqual(self.bill.status()["lines_read"], 1)
        self.assert_booked("0.07")

    def test_a_name_that_is_not_utf_8(self):
        usage = os.fsencode(self.scratch) + b"/caf\xe9.ndjson"
        with open(usage, "wb") as out:
            out.write(GOOD + b"\nnot json\n")
        path = os.fsdecode(usage)
        self.assertEqual(self.bill.run(path)["accepted"], 1)
        self.assertEqual(len(self.bill.run(path)["already_absorbed"]), 1)
        line = self.bill.postings()[0]
        explained = self.bill.explain(f"{line['batch_id']}/{line['line']}")
        self.assertIn("caf\ufffd", explained["charges"][0]["origins"][0]["sources"][0]["path"])
        self.assertIn("caf\ufffd", self.bill.exceptions()[0]["source"])

    def test_a_fifo_and_standard_input(self):
        fifo = self.scratch / "fifo"
        os.mkfifo(fifo)
        running = book.start("run", "--json", "--books", self.bill.directory, "--catalog", self.catalog, fifo)
        with open(fifo, "wb") as out:
            for number in range(3):
                out.write(small.event(number) + b"\n")
                out.flush()
                time.sleep(0.1)
        out, err = running.communicate(timeout=30)
        self.assertEqual(running.returncode, 0, out + err)
        self.assert_booked("0.03")
        again = subprocess.run([book.TOLLBOOK, "run", "--json", "--books", self.bill.directory, "--catalog",
                                self.catalog, "-"], input=gzip.compress(small.lines(*map(small.event, range(5)))),
                               capture_output=True, timeout=60)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assert_booked("0.05")
        self.assertEqual(self.bill.status()["duplicate"], 3)
        self.bill.verify()

    def test_a_file_given_again_is_known_by_its_content(self):
        events = [small.event(n) for n in range(200_000)]
        usage = self.file("usage.ndjson", small.lines(*events))
        first = self.bill.run(usage)
        self.assertEqual(first["accepted"], 200_000)
        again = self.bill.run(usage)
        self.assertEqual((again["lines_read"], [each["path"] for each in again["already_absorbed"]]), (0, [str(usage)]))
        self.assertLess(again["elapsed_seconds"], first["elapsed_seconds"] / 2 + 0.5)
        other = self.scratch / "other-name.json"
        shutil.copy(usage, other)
        self.assertEqual(self.bill.run(other)["lines_read"], 0)
        twice = self.bill.run(usage, other, usage)
        self.assertEqual(twice["lines_read"], 0)

        with open(usage, "ab") as out:
            out.write(small.lines(*(small.event(n) for n in range(200_000, 200_010))))
        grown = self.bill.run(usage)
        self.assertEqual((grown["lines_read"], grown["accepted"]), (10, 10))
        self.assertEqual(self.bill.run(usage)["lines_read"], 0)

        with open(usage, "ab") as out:
            out.write(small.event("half")[:50])
        half = self.bill.run(usage)
        self.assertEqual((half["accepted"], half["rejected"]), (0, 1))
        with open(usage, "ab") as out:
            out.write(small.event("half")[50:] + b"\n")
        rest = self.bill.run(usage)  # the line that went on must be read whole
        self.assertEqual(rest["accepted"], 1)
        self.assertEqual(rest["rejected"], 0)

        content = usage.read_bytes()
        changed = self.file("usage.ndjson", small.event("new", 3) + b"\n" + content)
        report = self.bill.run(changed)
        self.assertEqual((report["accepted"], report["duplicate"]), (1, 200_011))
        self.assert_booked("2000.14")
        self.bill.verify()
        book.say(f"200,000 lines in {first['elapsed_seconds']:.2f} s; given again {again['elapsed_seconds']:.2f} s")


class LaterKnown(Hostile):
    def test_one_subject_beyond_any_number_does_not_hold_up_the_others(self):
        huge = (small.event(n, 999_999_999_999_999, subject="s2") for n in range(175_000))
        small.write_catalog(self.catalog, subscriptions=("s1", "s2"))
        report = self.bill.run(self.file("usage.ndjson", small.lines(*huge, GOOD)))
        self.assertEqual((report["accepted"], len(report["not_rated"])), (175_001, 1))
        self.assertIn("subject s2", report["not_rated"][0])
        self.assert_booked("0.07")
        rows = [row for row in self.bill.exceptions() if row["reason"] == "out_of_range"]
        self.assertEqual(sum(int(row["events"]) for row in rows), 175_000)
        booked_is_worth, = (check for check in self.bill.verify() if check["law"] == 3)
        self.assertEqual(booked_is_worth["not_rated"], report["not_rated"])
        self.assertIn("1 subject set aside", booked_is_worth["detail"])
        self.assert_message(book.tollbook("verify", "--books", self.bill.directory).stderr, "set aside", "subject s2")

    def test_what_is_booked_of_a_subject_that_was_set_aside_stays_and_says_no_worth(self):
        self.bill.run(self.file("good.ndjson", GOOD))
        huge = (small.event(f"h{n}", 999_999_999_999_999) for n in range(175_000))
        self.bill.run(self.file("huge.ndjson", small.lines(*huge)), "--strict", expect=3)
        row, = book.rows_of(self.bill.charges())
        self.assertEqual((row["quantity"], row["amount_exact"], row["amount_booked"]), ("", "", "0.07"))
        told = book.tollbook("charges", "--books", self.bill.directory).stderr
        self.assert_message(told, "set aside", "subject s1")

    def test_the_same_bytes_under_another_name_are_other_events_where_the_mapping_uses_it(self):
        first_look = pathlib.Path(__file__).resolve().parents[2] / "data" / "first-look"
        content = (first_look / "calls_jan.csv").read_bytes()
        files = [self.file(name, content) for name in ("calls_jan.csv", "calls_feb.csv")]
        bill = book.Book(self.scratch / "first-look", first_look / "catalog")
        self.assertEqual(bill.run(*files)["accepted"], 2)
        again = bill.run(*files)
        self.assertEqual((again["lines_read"], len(again["already_absorbed"])), (0, 2))
        bill.verify()

    def test_an_unknown_meter_is_held_until_the_catalog_knows_it(self):
        events = [small.event(n, hours, meter="gpu.hours") for n, hours in enumerate((3, 4))]
        bad = small.event("bad", "many", meter="gpu.hours")
        usage = self.file("usage.ndjson", small.lines(*events, events[0], bad, GOOD))
        report = self.bill.run(usage)
        self.assertEqual((report["accepted"], report["held"]), (1, 4))
        self.assert_booked("0.07")
        self.assertEqual(self.bill.retry()["held"], 4)  # still not known
        small.write_catalog(
            self.catalog,
            meters=small.CALLS + "  - {name: gpu.hours, aggregation: sum, value: calls}\n",
            charges="      - {name: gpu, meter: gpu.hours, product: gpu, model: per_unit, price: 2}\n")
        report = self.bill.retry()
        self.assertEqual([report[count] for count in book.COUNTS], [2, 1, 0, 0, 1])
        self.assert_counts_add_up(self.bill.status())
        self.assertEqual(self.bill.status()["held"], 0)
        self.bill.seal()
        self.assert_booked("14.07")
        self.assertEqual(self.bill.retry()["lines_read"], 0)
        self.assertEqual(self.bill.run(usage)["lines_read"], 0)
        rows = self.check_exceptions(self.bill.status())
        self.assertEqual(sorted(row["reason"] for row in rows), ["duplicate", "value_not_a_number"])
        self.assertEqual({row["line"] for row in rows}, {"3", "4"})  # where they were read, not where they were kept
        self.bill.verify()

    def test_an_unknown_subscription_is_booked_once_the_catalog_brings_it(self):
        usage = self.file("usage.ndjson", small.lines(GOOD, small.event(2, 5, subject="s2"), small.event(3, 6, "s2")))
        report = self.bill.run(usage)
        self.assertEqual((report["accepted"], report["unattributed"]), (3, 2))
        self.assert_booked("0.07")
        rows = [row for row in self.bill.exceptions() if row["reason"] == "unattributed"]
        self.assertEqual([(row["subject"], row["meter"], row["usage_date"], row["events"]) for row in rows],
                         [("s2", "api.calls", "2025-01-05", "2")])
        usage.unlink()
        small.write_catalog(self.catalog, subscriptions=("s1", "s2"))
        self.bill.seal()
        self.assert_booked("0.18")
        self.assertEqual(self.bill.exceptions(), [])
        self.bill.verify()


class TheBookItself(Hostile):
    def test_a_second_process_is_refused_at_once_and_told_who_is_first(self):
        self.bill.run(self.file("usage.ndjson", GOOD))
        fifo = self.scratch / "fifo"
        os.mkfifo(fifo)
        running = book.start("run", "--books", self.bill.directory, "--catalog", self.catalog, fifo)
        try:
            with open(fifo, "wb") as out:
                time.sleep(0.5)
                for command in (["run", self.scratch / "usage.ndjson", "--catalog", self.catalog],
                                ["seal", "--catalog", self.catalog], ["status"], ["journals"], ["verify"]):
                    begin = time.monotonic()
                    done = book.tollbook(command[0], "--books", self.bill.directory, *command[1:], expect=1)
                    self.assertLess(time.monotonic() - begin, 5)
                    self.assert_message(done.stderr, "in use", str(self.bill.directory), str(running.pid))
                out.write(small.event(2) + b"\n")
            running.communicate(timeout=30)
            self.assertEqual(running.returncode, 0)
        finally:
            running.kill()
            running.communicate()
        self.assert_booked("0.08")
        self.bill.verify()

    def test_what_is_no_book_is_refused(self):
        for name, make in (("missing", lambda path: None), ("file", lambda path: path.write_text("x")),
                           ("other directory", lambda path: (path.mkdir(), (path / "letter.txt").write_text("x")))):
            with self.subTest(name):
                path = self.scratch / name
                make(path)
                done = book.tollbook("status", "--books", path, expect=1)
                self.assert_message(done.stderr, str(path))
        self.assertEqual(os.listdir(self.scratch / "other directory"), ["letter.txt"])
        self.assertFalse((self.scratch / "missing").exists())

    def test_a_full_disk(self):
        """The error is clear, the book intact, and the same command finishes after space is made."""
        disk = self.scratch / "disk"
        disk.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], capture_output=True)
        if mount.returncode != 0:
            self.skipTest("a small tmpfs cannot be mounted here: " + mount.stderr.decode().strip())
        try:
            self.fill(disk)
        finally:
            subprocess.run(["umount", "-l", disk], check=False)

    def fill(self, disk):
        events, catalog, made = book.generate(self.scratch, "1M")
        whole = book.Book(self.scratch / "whole", catalog)
        whole.run(events, "--epoch-bytes", "10000000")
        bill = book.Book(disk / "book", catalog)
        command = ["run", "--books", bill.directory, "--catalog", catalog, "--quiet", "--epoch-bytes", "10000000",
                   events]
        begin = time.monotonic()
        done = book.tollbook(*command, expect=1, timeout=120)
        self.assertLess(time.monotonic() - begin, 60)
        self.assert_message(done.stderr)
        self.assertRegex(done.stderr.decode().lower(), "no space|full")
        again = book.tollbook(*command, expect=1, timeout=120)  # still full: the same answer, nothing lost
        self.assert_message(again.stderr)
        # Reading may need a little room as well; give it that first.
        subprocess.run(["mount", "-o", "remount,size=24m", disk], check=True)
        bill.verify()
        status = bill.status()
        self.assert_counts_add_up(status)
        self.assertLess(status["lines_read"], made["lines"])
        subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
        book.tollbook(*command)
        self.assert_same_journal(whole.journals(), bill.journals(), "after the disk was full")
        self.assertEqual(bill.status()["lines_read"], made["lines"])
        bill.verify()
        book.say(f"full with {status['lines_read']:,} of {made['lines']:,} lines in the book, then finished")


if __name__ == "__main__":
    book.main()
