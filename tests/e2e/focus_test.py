"""A thousand rows of cloud bills (FOCUS 1.0): the vendors' own quantities, unit prices and costs.

Each row is a subscription of its own, so each charge has an answer that somebody else worked out.
"""

import csv
import decimal
import unittest

import accounting_tools
import book

DATA = book.SHARED / "data" / "focus-1.0"
SAMPLE = DATA / "focus_sample.csv"

SOURCES = """
sources:
  - glob: "focus_sample.csv"
    format: csv
    events:
      - id: "{Id}:priced"
        source: "{ProviderName}"
        type: priced
        subject: "{Id}"
        time: "{ChargePeriodStart}"
        time_zone: UTC
        data: {price: "{ListUnitPrice}", quantity: {number: "{PricingQuantity}"}}
      - id: "{Id}:consumed"
        source: "{ProviderName}"
        type: consumed
        subject: "{Id}"
        time: "{ChargePeriodStart}"
        time_zone: UTC
        data: {quantity: {number: "{ConsumedQuantity}"}}
"""


def exact(text):
    return decimal.Decimal(text)


class Focus(book.Case):
    def write_catalog(self, rows):
        catalog = self.scratch / "catalog"
        catalog.mkdir()
        prices = sorted({row["ListUnitPrice"] for row in rows} - {"NULL"})
        cells = "\n".join(f'          - {{when: {{price: "{price}"}}, price: {price}}}' for price in prices)
        subscriptions = "\n".join(f"{row['Id']},{row['SubAccountId']},list,cloud,USD,2024-01-01," for row in rows)
        files = {
            "book.yaml": "name: focus\nzone: UTC\n",
            "entities.yaml": "entities: [{name: cloud, functional_currency: USD}]\n",
            "chart.yaml": 'accounts: [{code: "1200", name: Unbilled, type: asset}, '
                          '{code: "4000", name: Usage, type: revenue}]\n',
            "meters.yaml": "meters:\n"
                           "  - {name: priced, aggregation: sum, value: quantity, dimensions: [price], "
                           "allow_negative: true}\n"
                           "  - {name: consumed, aggregation: sum, value: quantity, allow_negative: true}\n",
            "plans.yaml": "plans:\n  - name: list\n    currency: USD\n    charges:\n"
                          "      - name: priced\n        meter: priced\n        product: cloud\n        model: matrix\n"
                          f"        cells:\n{cells}\n"
                          "      - {name: consumed, meter: consumed, product: cloud, model: per_unit, price: 0}\n",
            "posting.yaml": 'posting: [{debit: "1200", credit: "4000"}]\n',
            "subscriptions.csv": "subscription,account,plan,entity,currency,valid_from,valid_to\n" + subscriptions + "\n",
            "sources.yaml": SOURCES,
        }
        for name, text in files.items():
            (catalog / name).write_text(text, encoding="utf-8")
        return catalog

    @unittest.skipUnless(DATA.is_dir(), f"{DATA} is not there")
    def test_quantity_times_unit_price_is_the_vendors_cost(self):
        with open(SAMPLE, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        with open(DATA / "expected" / "line_check.csv", newline="", encoding="utf-8") as file:
            answers = {line["Id"]: line for line in csv.DictReader(file)}
        bill = book.Book(self.scratch / "book", self.write_catalog(rows))
        report = bill.run(SAMPLE)
        self.assert_counts_add_up(report)
        without_consumption = [row for row in rows if row["ConsumedQuantity"] == "NULL"]
        self.assertEqual(len(without_consumption), 1)
        self.assertEqual(report["rejected"], len(without_consumption))  # told, and kept with its line
        self.assertEqual(report["accepted"], 2 * len(rows) - len(without_consumption))

        charges = {(row["subscription"], row["charge"]): row for row in book.rows_of(bill.charges())}
        verdicts = {"equal": 0, "within_1e-9": 0}
        for row in rows:
            answer = answers[row["Id"]]
            with self.subTest(row["Id"]):
                if row["ConsumedQuantity"] != "NULL":
                    self.assertEqual(exact(charges[row["Id"], "consumed"]["quantity"]), exact(row["ConsumedQuantity"]))
                if row["ListUnitPrice"] == "NULL":
                    self.assertNotIn((row["Id"], "priced"), charges)  # no cell has a price for it
                    continue
                ours = charges[row["Id"], "priced"]
                self.assertEqual(exact(ours["quantity"]), exact(row["PricingQuantity"]))
                self.assertEqual(exact(ours["amount_exact"]), exact(answer["product_exact"]))
                if answer["verdict"] in verdicts:
                    verdicts[answer["verdict"]] += 1
                    bound = exact("1e-9") if answer["verdict"] == "within_1e-9" else 0
                    self.assertLessEqual(abs(exact(ours["amount_exact"]) - exact(row["ListCost"])), bound)
        self.assertEqual(verdicts, {"equal": 509, "within_1e-9": 459})
        bill.verify()
        accounting_tools.check(self, bill)
        book.say(f"{len(rows):,} rows, {verdicts['equal']} equal to the vendor's cost to the last digit, "
                 f"{verdicts['within_1e-9']} within 1e-9, none else but for another price unit")


if __name__ == "__main__":
    book.main()
