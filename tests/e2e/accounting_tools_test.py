"""Other accounting programs read our journal and come to our balances, to the cent.

`tollbook journals --format ledger` goes through `ledger` and `hledger`, two plain-text accounting programs; each
account's balance in each currency must be the sum of our postings.
"""

import collections
import csv
import decimal
import io
import unittest

import accounting_tools
import book
import small


class AccountingTools(accounting_tools.Case):
    def test_made_up_usage_of_three_entities_and_currencies(self):
        events, catalog, _ = book.generate(self.scratch, "100k")
        bill = book.Book(self.scratch / "book", catalog)
        bill.run(events)
        ours = accounting_tools.balances_in(bill)
        self.assertEqual({currency for _, _, currency in ours}, {"USD", "EUR", "JPY"})
        accounting_tools.check(self, bill)

    def test_negative_differences_and_names_that_look_like_syntax(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        chart = (catalog / "chart.yaml").read_text()
        odd = 'Revenue; (usage) [net]  = 100% "a" @ $5 | x'
        (catalog / "chart.yaml").write_text(chart.replace("Usage revenue", "'" + odd + "'"))
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(small.event(n, 1000 + n, time=f"2025-01-{n:02}T00:00:00Z")
                                        for n in range(1, 29))))
        bill.run(usage)
        plans = (catalog / "plans.yaml").read_text()
        (catalog / "plans.yaml").write_text(plans.replace("0.01", "0.007"))
        bill.seal()
        self.assertEqual(bill.status()["seals"], 2)
        accounting_tools.check(self, bill)

    @unittest.skipUnless((book.SHARED / "data" / "azure-llm-2023").is_dir(), "the Azure trace is not there")
    def test_real_usage(self):
        bill = book.Book(self.scratch / "book", book.REPOSITORY / "data" / "azure-llm-2023" / "catalog")
        bill.run(book.SHARED / "data" / "azure-llm-2023" / "AzureLLMInferenceTrace_conv.csv")
        accounting_tools.check(self, bill)

    def test_late_usage_of_a_closed_month_and_cut_batches(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        entities = (catalog / "entities.yaml").read_text()
        (catalog / "entities.yaml").write_text(entities.replace("USD", "USD, batch_lines_max: 5"))
        bill = book.Book(self.scratch / "book", catalog)
        for month, calls in (("01", 100), ("02", 7)):
            usage = self.scratch / f"usage-{month}.ndjson"
            usage.write_bytes(small.lines(*(small.event(f"{month}-{n}", calls + n, time=f"2025-01-{n:02}T00:00:00Z")
                                            for n in range(1, 29))))
            bill.run(usage)
            book.tollbook("periods", "close", "--books", bill.directory, "--entity", "acme-us", "--period",
                          f"2025-{month}", "--by", "Ann", "--why", "the month is done")
        self.assertEqual({row["accounting_period"] for row in bill.postings()}, {"2025-01", "2025-02"})
        self.assertEqual(bill.status()["batches"], 12)
        accounting_tools.check(self, bill)

    def test_a_contract_whose_price_is_allocated(self):
        catalog = small.write_catalog(
            self.scratch / "catalog",
            charges="      - {name: handset, product: suite, model: fee, price: 120, once: true}\n"
                    "      - {name: platform, product: suite, model: fee, price: 90, billing_anchor: subscription}\n")
        (catalog / "contracts.yaml").write_text(
            "contracts:\n  - plan: basic\n    term: 12 months\n    obligations:\n"
            "      - {charge: handset, stand_alone_price: 600, satisfied: at_point}\n"
            "      - {charge: platform, stand_alone_price: 100}\n")
        with (catalog / "posting.yaml").open("a") as posting:
            posting.write('  - {product: suite, debit: "1200", credit: "4000", recognition: ratable, deferred: "2400"}\n')
        with (catalog / "chart.yaml").open("a") as chart:
            chart.write('  - {code: "2400", name: Contract position, type: liability}\n')
        bill = book.Book(self.scratch / "book", catalog)
        (self.scratch / "usage.ndjson").write_bytes(b"")
        bill.run(self.scratch / "usage.ndjson")
        bill.seal("--through", "2025-01-31")
        # 400.00 of 1200.00 on the first day, and 31 of 365 days of 800.00; billed are 210.00.
        ours = accounting_tools.balances_in(bill)
        self.assertEqual(ours, {("acme-us", "1200", "USD"): decimal.Decimal("210.00"),
                                ("acme-us", "2400", "USD"): decimal.Decimal("257.95"),
                                ("acme-us", "4000", "USD"): decimal.Decimal("-467.95")})
        accounting_tools.check(self, bill)

    def test_functional_amounts_are_what_the_postings_cost(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        entities = (catalog / "entities.yaml").read_text()
        (catalog / "entities.yaml").write_text(entities.replace("USD", "EUR"))
        (catalog / "fx.csv").write_text("date,from,to,rate\n" + "".join(
            f"2025-01-{day:02},USD,EUR,0.96{day:02}7\n" for day in range(1, 29, 3)))
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(*(small.event(n, 1000 + n, time=f"2025-01-{n:02}T00:00:00Z")
                                        for n in range(1, 29))))
        bill.run(usage)
        rows, _ = self.check_costs(bill)
        self.assertEqual(len({row["rate_date"] for row in rows}), 10)

    def check_costs(self, bill):
        """(the rows of the journal with functional amounts, their balances), which are those of the other programs."""
        rows = list(csv.DictReader(io.StringIO(bill.read("journals", "--format", "csv", "--functional").decode())))
        ours = collections.Counter()
        for row in rows:
            ours[row["entity"], row["account"], row["functional_currency"]] += (
                decimal.Decimal(row["functional_debit"]) - decimal.Decimal(row["functional_credit"]))
        self.assertEqual(sum(ours.values()), 0)
        self.assertEqual({currency for _, _, currency in ours}, {"EUR"})
        balances = {place: amount for place, amount in ours.items() if amount}
        accounting_tools.compare_costs(self, accounting_tools.written(self, bill, "--functional"), balances)
        return rows, balances

    def test_what_is_deferred_accrued_and_paid_ahead_is_nothing_at_the_end_in_euros_too(self):
        catalog = small.write_catalog(
            self.scratch / "catalog", charge="model: per_unit, price: 0.01",
            charges="      - {name: platform, product: suite, model: fee, price: 97.31, billing_period: 1 quarter}\n")
        entities = (catalog / "entities.yaml").read_text()
        (catalog / "entities.yaml").write_text(entities.replace("USD", "EUR, late_usage: accrue"))
        with (catalog / "chart.yaml").open("a") as chart:
            for code, kind in (("1250", "asset"), ("2400", "liability"), ("2500", "liability"), ("4900", "revenue")):
                chart.write(f'  - {{code: "{code}", name: Account, type: {kind}}}\n')
        (catalog / "posting.yaml").write_text(
            'posting:\n  - {debit: "1200", credit: "4000", accrued: "1250"}\n'
            '  - {product: suite, debit: "1200", credit: "4000", recognition: ratable, deferred: "2400"}\n'
            '  - {product: credits, debit: "1200", credit: "2500"}\n'
            '  - {product: breakage, debit: "2500", credit: "4900"}\n')
        (catalog / "grants.csv").write_text(
            "grant,subscription,amount,currency,product,starts_on,ends_on,priority,breakage_product\n"
            "prepaid,s1,50.00,USD,credits,2025-01-01,2025-03-20,0,breakage\n")
        (catalog / "fx.csv").write_text("date,from,to,rate\n" + "".join(
            f"2025-{month:02}-{day:02},USD,EUR,0.{60 + (month * 11 + day * 7) % 37}\n"
            for month in range(1, 5) for day in range(1, 29, 3)))
        bill = book.Book(self.scratch / "book", catalog)
        for month in range(1, 4):
            # A day of each month comes late, when the month is closed.
            for late in (False, True):
                usage = self.scratch / f"usage-{month}-{late}.ndjson"
                usage.write_bytes(small.lines(*(
                    small.event(f"{month}-{day}", 7 * day, time=f"2025-{month:02}-{day:02}T00:00:00Z")
                    for day in range(1, 29) if (day == 9) == late)))
                bill.run(usage, "--through", f"2025-{month:02}-{(31, 28, 31)[month - 1]}")
                if not late:
                    book.tollbook("periods", "close", "--books", bill.directory, "--entity", "acme-us", "--period",
                                  f"2025-{month:02}", "--by", "Ann", "--why", "the month is done")
        rows, balances = self.check_costs(bill)
        accounting_tools.check(self, bill)
        in_dollars = accounting_tools.balances_in(bill)
        for account in ("1250", "2400"):
            self.assertIn(account, {row["account"] for row in rows})
            self.assertNotIn(("acme-us", account, "USD"), in_dollars)
            self.assertNotIn(("acme-us", account, "EUR"), balances)
        # 0.78 euros a dollar on January 1st.
        self.assertEqual(in_dollars["acme-us", "2500", "USD"], decimal.Decimal("50.00"))
        self.assertEqual(balances["acme-us", "2500", "EUR"], decimal.Decimal("39.00"))
        self.assertGreater(len([row for row in rows if row["account"] == "2400" and row["rate"] == ""]), 80)

    def test_an_empty_book_is_an_empty_journal(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        bill = book.Book(self.scratch / "book", catalog)
        (self.scratch / "usage.ndjson").write_bytes(b"")
        bill.run(self.scratch / "usage.ndjson")
        self.assertEqual(bill.read("journals", "--format", "ledger"), b"")
        self.assertEqual(bill.journals().decode(), book.JOURNALS_HEADER + "\n")


if __name__ == "__main__":
    book.main()
