"""One hour of single requests to a language model: CRLF lines, times to 100 ns, two usage events a row.

The answers were worked out apart from this program, in exact decimal arithmetic.
"""

import csv
import decimal
import unittest

import accounting_tools
import book

DATA = book.SHARED / "data" / "azure-llm-2023"
TRACE = DATA / "AzureLLMInferenceTrace_conv.csv"
CATALOG = book.REPOSITORY / "data" / "azure-llm-2023" / "catalog"


class Azure(book.Case):
    @unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
    def test_every_charge_to_the_last_digit(self):
        self.assertEqual(TRACE.read_bytes().count(b"\r\n"), 19366)  # the last line has no end
        bill = book.Book(self.scratch / "book", CATALOG)
        report = bill.run(TRACE)
        self.assertEqual(report["accepted"], 38732)
        self.assert_counts_add_up(report)
        ours = {(row["subscription"], row["meter"], row["period_start"][:7]): row
                for row in book.rows_of(bill.charges())}
        with open(DATA / "expected" / "charges_lines.csv", newline="", encoding="utf-8") as file:
            expected = list(csv.DictReader(file))
        self.assertEqual(len(ours), 200)
        self.assertEqual(len(expected), 200)
        exact = booked = decimal.Decimal(0)
        for line in expected:
            place = (line["subject"], line["meter"], line["month"])
            with self.subTest(place):
                row = ours[place]
                self.assertEqual(row["quantity"], line["quantity"])
                self.assertEqual(decimal.Decimal(row["amount_exact"]), decimal.Decimal(line["charge_exact"]))
                self.assertEqual(decimal.Decimal(row["amount_booked"]), decimal.Decimal(line["charge_half_up_2dp"]))
                exact += decimal.Decimal(row["amount_exact"])
                booked += decimal.Decimal(row["amount_booked"])
        self.assertEqual(exact, decimal.Decimal("77.2361025"))
        self.assertEqual(booked, decimal.Decimal("77.24"))
        bill.verify()
        accounting_tools.check(self, bill)
        book.say(f"{report['lines_read']:,} events, {len(expected):,} charges, {exact} USD exact, {booked} booked")

    @unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
    def test_the_times_keep_their_seven_decimals(self):
        events = book.tollbook("convert", "--catalog", CATALOG, "--quiet", TRACE).stdout
        self.assertEqual(events.count(b"\n"), 38732)
        self.assertIn(b'"time":"2023-11-16T18:15:50.995169Z"', events)
        bill = book.Book(self.scratch / "book", CATALOG)
        bill.run(TRACE)
        again = book.Book(self.scratch / "again", CATALOG)
        (self.scratch / "events.ndjson").write_bytes(events)
        again.run(self.scratch / "events.ndjson")
        self.assert_same_journal(bill.journals(), again.journals(), "as CSV and as CloudEvents")


if __name__ == "__main__":
    book.main()
