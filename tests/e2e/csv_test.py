"""Rows of CSV by the short cut and by the general decoder: the same journal, byte for byte, and the same exceptions.

Each feed is cut into files, which are absorbed by the one, by the other, and by both in turn; then once more by the
other, and each event is known. Real feeds, whose times count from a base or name no zone, and a made-up one in which
whole files have what the short cut does not read.
"""

import random
import shutil
import subprocess
import unittest

import accounting_tools
import book
import small

SERVEGEN, AZURE = (book.SHARED / "data" / name for name in ("servegen", "azure-llm-2023"))
CATALOGS = book.REPOSITORY / "data"
PARTS = 2
SAMPLE_BYTES, SAMPLE_STEP = 1 << 20, 32  # of each 32 MiB the first

CSV_SOURCES = """sources:
  - glob: "made-*.csv"
    format: csv
    events:
      - id: "{id}"
        source: made
        type: "{type}"
        subject: "{subject}"
        time: {base: "2025-01-01T00:00:00Z", offset_seconds: t}
        data: {calls: {number: "{calls}"}, region: "{region}"}
      - id: "{id}/product"
        source: "made/{file}"
        type: api.calls
        subject: "{subject}"
        time: "{time}"
        time_zone: UTC
        data: {calls: {product: [calls, factor]}, region: "{region}"}
"""


def sample_of(packed):
    """Rows of the file from end to end, with its header."""
    with subprocess.Popen(["zstd", "-dcq", packed], stdout=subprocess.PIPE) as unpack:
        header, chunks, number = unpack.stdout.readline(), [], 0
        while chunk := unpack.stdout.read(SAMPLE_BYTES):
            if number % SAMPLE_STEP == 0:
                chunks.append(chunk[chunk.find(b"\n") + 1:chunk.rfind(b"\n") + 1])
            number += 1
    return header, b"".join(chunks).splitlines(keepends=True)


def write_parts(directory, name, header, rows):
    files = []
    for part in range(PARTS):
        files.append(directory / f"{name}-{part}.csv")
        files[-1].write_bytes(header + b"".join(rows[len(rows) * part // PARTS:len(rows) * (part + 1) // PARTS]))
    return files


def write_again(directory, files):
    """The same rows under the same names, in files that are not known: their headers end otherwise."""
    directory.mkdir()
    for file in files:
        header, rows = file.read_bytes().split(b"\n", 1)
        end = b"\n" if header.endswith(b"\r") else b"\r\n"
        (directory / file.name).write_bytes(header.rstrip(b"\r") + end + rows)
    return [directory / file.name for file in files]


def exceptions_of(bill):
    """In an order that does not depend on what was absorbed together."""
    return sorted(tuple(row.values()) for row in bill.exceptions())


def catalog_for_parts(directory, name, *changes):
    """The catalog of the feed, whose mapping takes the parts too."""
    shutil.copytree(CATALOGS / name / "catalog", directory)
    sources = (directory / "sources.yaml").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in sources, old
        sources = sources.replace(old, new)
    (directory / "sources.yaml").write_text(sources, encoding="utf-8")
    return directory


def made_up_rows(chance, count, odd):
    """Rows for CSV_SOURCES; `odd` in a hundred cells are what only the general decoder reads, or nobody."""
    def cell(usual, unusual):
        return chance.choice(unusual if chance.random() * 100 < odd else usual)
    rows = []
    for number in range(count):
        row = [f"e{number if chance.random() < 0.95 else chance.randrange(number + 1)}-{odd}",
               cell(["api.calls"], ["no.meter", "", '"api.calls"']),
               cell(["s1", "s2", "s3"], ["s9", "", '"s1"', '"s,1"', "x" * 1025]),
               cell([str(chance.randrange(30 * 86400)), "86400.25", "0"],
                    ["-1", "-0.000000001", "1e5", "", "01", "now", "99999999999", "-99999999999", "1.0000000019"]),
               cell(["2025-01-25 01:02:03", "2025-02-01T00:00:00+01:00", "2025-02-28T23:59:59.9999999Z"],
                    ["", "2025-02-29 00:00:00", "yesterday", "1969-12-31T23:59:59Z"]),
               cell(["1", "12.5", "300", "0.000000000000000001"], ["1e3", "", "-1", "five", '"7"', "1" * 40]),
               cell(["2", "0.5"], ["1e-1", "", "x", "0.0000000000000000001"]),
               cell(["eu", "us", ""], ['"e,u"', '"e""u"', "\u00e9u", "\u00e9" * 600])]
        if chance.random() * 1000 < odd:
            row.append("more")
        rows.append((",".join(row) + chance.choice(["\n", "\n", "\r\n"])).encode())
    return rows


class EitherWay(book.Case):
    def absorbed(self, name, catalog, *steps):
        """A book of files, in their order: (decoder, files) each; and the counts of the five outcomes."""
        bill = book.Book(self.scratch / name, catalog)
        counts = dict.fromkeys(book.COUNTS, 0)
        for decoder, files in steps:
            report = bill.absorb(*files, "--decoder", decoder)
            self.assert_counts_add_up(report)
            for count in counts:
                counts[count] += report[count]
        bill.seal()
        return bill, counts

    def check(self, catalog, files):
        """Gives the counts of the five outcomes."""
        expected, counts = self.absorbed("simdjson", catalog, ("simdjson", files))
        exceptions = exceptions_of(expected)
        self.assertGreater(len(expected.journals()), 500)
        decoders = ["auto", "simdjson"] * len(files)
        for name, steps in (("auto", [("auto", files)]),
                            ("in turn", [(decoder, [file]) for decoder, file in zip(decoders, files)])):
            with self.subTest(name):
                bill, ours = self.absorbed(name, catalog, *steps)
                self.assertEqual(ours, counts)
                self.assert_same_journal(expected.journals(), bill.journals(), name)
                self.assertEqual(expected.charges(), bill.charges())
                self.assertEqual(exceptions_of(bill)[:1], exceptions[:1])
                self.assertTrue(exceptions_of(bill) == exceptions, "the exceptions differ")
                bill.verify()
                accounting_tools.check(self, bill)
        again = write_again(self.scratch / "again", files)
        for name, decoder in (("auto", "simdjson"), ("simdjson", "auto")):
            with self.subTest(f"again, first by {name}"):
                bill = book.Book(self.scratch / name, catalog)
                report = bill.run(*again, "--decoder", decoder)
                self.assertEqual(report["accepted"], 0)
                self.assertEqual(report["duplicate"], counts["accepted"] + counts["duplicate"])
                for count in ("conflict", "held", "rejected"):
                    self.assertEqual(report[count], counts[count])
                self.assertEqual(expected.charges(), bill.charges())
        book.say(f"{sum(counts.values()):,} events, {counts['accepted']:,} accepted: the same "
                 f"({self.seconds():.1f} s)")
        return counts

    @unittest.skipUnless(SERVEGEN.is_dir(), f"{SERVEGEN} is not there")
    @unittest.skipUnless(shutil.which("zstd"), "zstd is not installed")
    def test_servegen(self):
        catalog = catalog_for_parts(self.scratch / "catalog", "servegen", ('"tokens_6h.csv"', '"tokens_6h-*.csv"'),
                                    ('"requests_10min.csv"', '"requests_10min-*.csv"'))
        files = []
        for name in ("tokens_6h", "requests_10min"):
            files += write_parts(self.scratch, name, *sample_of(SERVEGEN / f"{name}.csv.zst"))
        counts = self.check(catalog, files)
        self.assertGreater(counts["accepted"], 200_000)
        self.assertEqual(counts["accepted"], sum(counts.values()))

    @unittest.skipUnless(AZURE.is_dir(), f"{AZURE} is not there")
    def test_azure(self):
        catalog = catalog_for_parts(self.scratch / "catalog", "azure-llm-2023",
                                    ('glob: "AzureLLMInferenceTrace_conv.csv"', 'glob: "conv-*.csv"'),
                                    ('"AzureLLMInferenceTrace_conv.csv:', '"{file}:'))
        header, *rows = (AZURE / "AzureLLMInferenceTrace_conv.csv").read_bytes().splitlines(keepends=True)
        counts = self.check(catalog, write_parts(self.scratch, "conv", header, rows))
        self.assertEqual(counts["accepted"], 38732)

    def test_made_up(self):
        seed = random.SystemRandom().randrange(1 << 32)
        book.say(f"seed {seed} of the rows")
        chance = random.Random(seed)
        catalog = small.write_catalog(self.scratch / "catalog", subscriptions=("s1", "s2", "s3"))
        (catalog / "sources.yaml").write_text(CSV_SOURCES, encoding="utf-8")
        files = []
        for odd in (0, 1, 5, 40):
            files += write_parts(self.scratch, f"made-{odd}", b"id,type,subject,t,time,calls,factor,region\n",
                                 made_up_rows(chance, 5_000, odd))
        counts = self.check(catalog, files)
        for count in counts:
            self.assertGreater(counts[count], 0, count)


if __name__ == "__main__":
    book.main()
