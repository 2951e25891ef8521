"""The memory that --memory gives is that of the whole process: what the catalog takes is not the seen events' any more.

What counts as a seen event's memory shows on disk: what has no place there is written to sorted runs.
"""

import book

EVENTS, SUBSCRIPTIONS = "300k", 400_000


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
        self.assertLess(report["peak_rss_bytes"], 512 << 20)


if __name__ == "__main__":
    book.main()
