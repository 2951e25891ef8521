"""The memory that --memory gives is that of the whole process: what the catalog takes is not the seen events' any more.

What counts as a seen event's memory shows on disk: what has no place there is written to sorted runs.
"""

import json
import os
import shutil

import book

EVENTS, SUBSCRIPTIONS = "300k", 400_000
CORRECTIONS = 300_000  # that all wait until their run has read them: 2 KB each where they were all in memory
HELD, HELD_BYTES = 30_000, 10_000
LIMIT = 512 << 20


def line(number, kind, **more):
    event = {"id": f"{kind}{number}", "source": "gw", "type": "api.calls", "subject": "s1",
             "time": f"2025-01-{1 + number % 28:02}T08:00:00Z", "data": {"calls": 1 + number % 9}}
    return json.dumps(event | more) + "\n"


class Memory(book.Case):
    def runs_on_disk(self, bill):
        return sum(path.stat().st_blocks for path in (bill.directory / "seen").glob("*.run"))

    def test_a_large_catalog_takes_its_part(self):
        events, small, _ = book.generate(self.scratch, EVENTS, "--subscriptions", "1000")
        large_scratch = self.scratch / "large"
        large_scratch.mkdir()
        _, large, _ = book.generate(large_scratch, "1k", "--subscriptions", str(SUBSCRIPTIONS))
        # A quarter of it holds the seen events, and would hold them beside a large catalog, too, if that did not count.
        memory = str(4 * 32 * 800_000)
        beside_small = book.Book(self.scratch / "small-book", small)
        beside_large = book.Book(self.scratch / "large-book", large)
        report = beside_small.run(events, "--memory", memory)
        self.assertEqual(self.runs_on_disk(beside_small), 0)
        self.assertEqual(beside_large.run(events, "--memory", memory)["accepted"], report["accepted"])
        self.assertGreater(self.runs_on_disk(beside_large), 0)
        beside_large.verify()

    def test_the_peak_stays_within_it(self):
        events, catalog, _ = book.generate(self.scratch, EVENTS, "--subscriptions", str(SUBSCRIPTIONS))
        bill = book.Book(self.scratch / "book", catalog)
        report = bill.run(events, "--memory", "512M")
        book.say(f"peak memory {report['peak_rss_bytes'] / 1e6:.0f} MB, {SUBSCRIPTIONS:,} subscriptions")
        self.assertLess(report["peak_rss_bytes"], LIMIT)

    def first_look(self):
        return book.REPOSITORY / "data/first-look/catalog"

    def test_corrections_are_applied_within_it(self):
        usage = self.scratch / "usage.ndjson"
        with usage.open("w") as file:
            file.writelines(line(number, "e") for number in range(CORRECTIONS))
            file.writelines(line(number, "c", data={"calls": 100}, corrects=f"e{number}",
                                 original={"data": {"calls": 1 + number % 9}}) for number in range(CORRECTIONS))
        bill = book.Book(self.scratch / "book", self.first_look())
        report = bill.run(usage, "--memory", str(LIMIT))
        book.say(f"peak memory {report['peak_rss_bytes'] / 1e6:.0f} MB, {CORRECTIONS:,} corrections")
        self.assertEqual(report["corrections"], CORRECTIONS)
        self.assertLess(report["peak_rss_bytes"], LIMIT)
        self.assertIn(str(100 * CORRECTIONS), bill.charges().decode())
        bill.verify()

    def retry(self, bill):
        """Its report, and its peak memory."""
        process = book.start("exceptions", "retry", "--json", "--books", bill.directory, "--catalog", bill.catalog)
        with process.stdout, process.stderr:
            report = json.loads(process.stdout.read())
            _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0)
        return report, used.ru_maxrss << 10

    def test_what_is_held_is_tried_again_within_it(self):
        usage = self.scratch / "usage.ndjson"
        with usage.open("w") as file:
            file.writelines(line(number, "f", type="fax", data={"pages": 1, "text": "x" * HELD_BYTES})
                            for number in range(HELD))
        bill = book.Book(self.scratch / "book", self.first_look())
        self.assertEqual(bill.absorb(usage, "--memory", str(LIMIT))["held"], HELD)
        # Once when nobody counts them yet, and once when somebody does.
        for is_counted in (False, True):
            if is_counted:
                bill.catalog = self.scratch / "catalog"
                shutil.copytree(self.first_look(), bill.catalog)
                with (bill.catalog / "meters.yaml").open("a") as meters:
                    meters.write("  - {name: pages, event_type: fax, aggregation: sum, value: pages}\n")
            report, peak = self.retry(bill)
            book.say(f"peak memory {peak / 1e6:.0f} MB, {HELD:,} lines of {HELD_BYTES:,} bytes tried again")
            self.assertEqual(report["accepted" if is_counted else "held"], HELD)
            self.assertLess(peak, LIMIT)
        bill.verify()


if __name__ == "__main__":
    book.main()
