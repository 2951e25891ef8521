"""Fourteen days of a real model-serving cloud: each of the 1,536 charges is right to the last digit.

7,741,339 usage events of 314 customers, billed by the price list in data/servegen/catalog. The answers were worked
out apart from this program, in exact decimal arithmetic.
"""

import csv
import decimal
import unittest

import accounting_tools
import book

DATA = book.SHARED / "data" / "servegen"
CATALOG = book.REPOSITORY / "data" / "servegen" / "catalog"


class ServeGen(book.Case):
    @unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
    def test_every_charge_to_the_last_digit(self):
        bill = book.Book(self.scratch / "book", CATALOG)
        report = bill.run(DATA / "tokens_6h.csv.zst", DATA / "requests_10min.csv.zst")
        self.assertEqual(report["lines_read"], 7741339)
        self.assertEqual(report["accepted"], 7741339)
        self.assertEqual(report["unattributed"] + report["unpriced"], 0)
        self.assertEqual(report["totals"], [{"entity": "acme-us", "currency": "USD", "debit": "1137397.77",
                                             "credit": "1137397.77"}])
        charges = bill.charges()
        self.assertEqual(charges.decode().splitlines()[0], book.CHARGES_HEADER)
        ours = {(row["subscription"], row["meter"], row["period_start"][:7]): row for row in book.rows_of(charges)}
        with open(DATA / "expected" / "charges_lines.csv", newline="", encoding="utf-8") as file:
            expected = list(csv.DictReader(file))
        self.assertEqual(len(expected), 1536)
        self.assertEqual(len(ours), len(book.rows_of(charges)))
        self.assertEqual(len(ours), len(expected))
        exact = booked = decimal.Decimal(0)
        for line in expected:
            place = (line["subject"], line["meter"], line["month"])
            with self.subTest(place):
                row = ours[place]
                self.assertEqual(row["dimensions"], "model=" + line["model"])
                self.assertEqual(row["quantity"], line["quantity"])
                self.assertEqual(decimal.Decimal(row["amount_exact"]), decimal.Decimal(line["charge_exact"]))
                self.assertEqual(decimal.Decimal(row["amount_booked"]), decimal.Decimal(line["charge_half_up_2dp"]))
                exact += decimal.Decimal(row["amount_exact"])
                booked += decimal.Decimal(row["amount_booked"])
        self.assertEqual(exact, decimal.Decimal("1137397.75475198"))
        self.assertEqual(booked, decimal.Decimal("1137397.77"))
        bill.verify()
        accounting_tools.check(self, bill)
        book.say(f"{report['lines_read']:,} events, {len(expected):,} charges, {exact} USD exact, {booked} booked; "
                 f"{report['events_per_second']:,} events/s, peak memory {report['peak_rss_bytes'] / 1e6:,.0f} MB")


if __name__ == "__main__":
    book.main()
