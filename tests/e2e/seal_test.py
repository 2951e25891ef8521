"""Sealing: the book always says what the usage is worth, and each seal books only the difference.

Late usage, a price fix, another plan, a second seal of the same: what is booked in all is what the bill would be, and
every journal line can be explained down to the usage behind it.
"""

import collections
import csv
import decimal
import io

import book
import small

D = decimal.Decimal
# Up to 1,000 calls at 0.10, all of them at 0.06 when there are more: 1,001 calls cost less than 1,000.
VOLUME = "model: volume, tiers: [{up_to: 1000, price: 0.10}, {price: 0.06}]"
GRADUATED = "model: graduated, included: 100, tiers: [{up_to: 1000, price: 0.10}, {price: 0.04}]"
NUMBERS = {"line", "quantity", "amount_exact", "amount_booked", "debit", "credit"}
EXPLAINED_CHARGE = {"subject", "subscription", "plan", "charge", "meter", "dimensions", "period_start", "period_end",
                    "usage_date", "difference", "quantity_to_date", "quantity_before", "worth_to_date", "worth_before",
                    "rounded_to_date", "rounded_before", "booked_before", "steps", "origins"}


class Sealed(book.Case):
    def setUp(self):
        super().setUp()
        self.bill = book.Book(self.scratch / "book", self.scratch / "catalog")
        self.files = 0

    def catalog(self, **parts):
        small.write_catalog(self.scratch / "catalog", **parts)

    def use(self, *events):
        self.files += 1
        path = self.scratch / f"usage-{self.files}.ndjson"
        path.write_bytes(small.lines(*events))
        return path

    def booked(self, **where):
        """What is booked on the receivable, over the postings whose columns are as given."""
        return sum((D(row["debit"]) - D(row["credit"]) for row in self.bill.postings()
                    if row["account"] == "1200" and all(row[name] == value for name, value in where.items())), D(0))

    def assert_booked_is_worth(self):
        """Of each charge, and in all: law 3."""
        charges = book.rows_of(self.bill.charges())
        self.assertEqual(self.booked(), sum((D(row["amount_booked"]) for row in charges), D(0)))
        for row in charges:
            exact = D(row["amount_exact"])
            self.assertEqual(D(row["amount_booked"]), exact.quantize(D("0.01"), decimal.ROUND_HALF_UP), row)
        self.bill.verify()

    def explain_everything(self):
        """Each line is the sum of its differences; each difference is its own arithmetic. How many differences."""
        explained = 0
        for line in sorted({(row["batch_id"], row["line"]) for row in self.bill.postings()}):
            found = self.bill.explain("/".join(line), "--limit", "100000")
            self.assertEqual((found["batch_id"], str(found["line"])), line)
            self.assertEqual(len(found["charges"]), found["differences"])
            self.assertEqual(sum(D(charge["difference"]) for charge in found["charges"]), D(found["sum"]))
            self.assertEqual(abs(D(found["sum"])), D(found["amount"]))
            posted = [row for row in self.bill_postings if (row["batch_id"], row["line"]) == line]
            self.assertEqual({row["account"]: (D(row["debit"]), D(row["credit"])) for row in posted},
                             {found["debit_account"]: (D(found["amount"]), 0),
                              found["credit_account"]: (0, D(found["amount"]))})
            for charge in found["charges"]:
                explained += 1
                self.assertLessEqual(EXPLAINED_CHARGE, set(charge))
                if not charge["rated"]:
                    self.assertEqual(D(charge["difference"]), -D(charge["booked_before"]))
                    continue
                self.assertEqual(D(charge["difference"]), D(charge["rounded_to_date"]) - D(charge["rounded_before"]) -
                                 D(charge["booked_before"]))
                self.assertEqual(sum(D(step["worth"]) for step in charge["steps"]), D(charge["worth_to_date"]))
                self.assertTrue(charge["period_start"] <= charge["usage_date"] < charge["period_end"])
                for origin in charge["origins"]:
                    self.assertTrue(origin["sources"])
        return explained

    @property
    def bill_postings(self):
        if not hasattr(self, "_postings"):
            self._postings = self.bill.postings()
        return self._postings


class Differences(Sealed):
    def test_a_second_seal_posts_nothing(self):
        self.catalog()
        usage = self.use(small.event(1, 300), small.event(2, 5, time="2025-02-01T00:00:00Z"))
        report = self.bill.run(usage)
        self.assertEqual(report["batches"], 2)
        journals = self.bill.journals()
        for again in (self.bill.seal(), self.bill.seal(), self.bill.run(usage)):
            self.assertEqual((again["seal"], again["batches"], again["totals"]), (0, 0, []))
        self.assertEqual(journals, self.bill.journals())
        self.assertEqual(self.bill.status()["seals"], 1)
        self.assertEqual(self.booked(), D("3.05"))

    def test_late_usage_books_the_difference_only(self):
        self.catalog(charge=GRADUATED)
        self.bill.run(self.use(small.event(1, 600), small.event(2, 300, time="2025-01-09T00:00:00Z")))
        before = self.bill.journals()
        self.assertEqual(self.booked(), D("80.00"))  # 900 less 100 included, at 0.10
        # Late, for the 3rd: it takes the included calls first, so the later days' worth moves too.
        report = self.bill.run(self.use(small.event(3, 400, time="2025-01-03T00:00:00Z")))
        self.assertEqual(report["totals"][0]["debit"], report["totals"][0]["credit"])
        self.assertEqual(self.booked(), D("108.00"))  # 1,000 at 0.10 and 200 at 0.04, whatever came first
        self.assertEqual([self.booked(posting_date=f"2025-01-{day:02}") for day in (3, 5, 9)],
                         [D("30.00"), D("60.00"), D("18.00")])
        # A batch is immutable: all that was there is there, byte for byte.
        self.assertLessEqual(set(before.splitlines()), set(self.bill.journals().splitlines()))
        self.assert_booked_is_worth()
        self.assertGreater(self.explain_everything(), 3)

    def test_a_volume_price_that_falls_is_a_negative_difference(self):
        self.catalog(charge=VOLUME)
        self.bill.run(self.use(small.event(1, 1000)))
        self.assertEqual(self.booked(), D("100.00"))
        report = self.bill.run(self.use(small.event(2, 1)))
        self.assertEqual(self.booked(), D("60.06"))
        self.assertEqual(report["totals"], [{"entity": "acme-us", "currency": "USD", "debit": "39.94",
                                             "credit": "39.94"}])
        last = [row for row in self.bill.postings() if row["batch_id"].endswith("-0002")]
        self.assertEqual([(row["account"], row["debit"], row["credit"]) for row in last],
                         [("1200", "0.00", "39.94"), ("4000", "39.94", "0.00")])
        self.assert_booked_is_worth()
        self.explain_everything()

    def test_a_price_fix_rates_again_and_books_the_difference(self):
        self.catalog()
        usage = self.use(*(small.event(n, 10, time=f"2025-01-{1 + n % 20:02}T00:00:00Z") for n in range(100)))
        self.bill.run(usage)
        self.assertEqual(self.booked(), D("10.00"))
        usage.unlink()  # nothing is read again
        self.catalog(charge="model: per_unit, price: 0.025")
        self.assertEqual(self.bill.seal()["totals"][0]["debit"], "15.00")
        self.catalog(charge="model: per_unit, price: 0.002")
        self.bill.seal()
        self.assertEqual(self.booked(), D("2.00"))
        self.assert_booked_is_worth()
        self.explain_everything()

    def test_another_plan_takes_over_on_its_day(self):
        self.catalog()
        self.bill.run(self.use(small.event(1, 100), small.event(2, 50, time="2025-01-20T00:00:00Z")))
        self.assertEqual(self.booked(), D("1.50"))
        plans = (self.bill.catalog / "plans.yaml")
        plans.write_text(plans.read_text() + "  - name: better\n    currency: USD\n    charges:\n"
                         "      - {name: calls-better, meter: api.calls, product: api, model: per_unit, price: 0.02}\n")
        (self.bill.catalog / "subscriptions.csv").write_text(
            "subscription,account,plan,entity,currency,valid_from,valid_to\n"
            "s1,s1,basic,acme-us,USD,2025-01-01,2025-01-15\ns1,s1,better,acme-us,USD,2025-01-15,\n")
        self.bill.seal()
        self.assertEqual(self.booked(), D("2.00"))
        self.assertEqual(self.booked(posting_date="2025-01-20"), D("1.00"))
        charges = {row["charge"]: row["amount_booked"] for row in book.rows_of(self.bill.charges())}
        self.assertEqual(charges, {"calls": "1.00", "calls-better": "1.00"})
        self.assert_booked_is_worth()
        self.explain_everything()

    def test_a_charge_that_is_gone_is_booked_back(self):
        self.catalog()
        self.bill.run(self.use(small.event(1, 100)))
        self.catalog(starts="2025-02-01")
        report = self.bill.seal()
        self.assertEqual(report["unattributed"] if "unattributed" in report else 1, 1)
        self.assertEqual(self.booked(), D("0.00"))
        self.explain_everything()
        self.bill.verify()

    def test_tenths_of_cents_do_not_drift(self):
        """3.3 cents a day for 10 days: each day rounds the running total, so they are 0.33 and not 0.30."""
        self.catalog(charge="model: per_unit, price: 0.033")
        events = [small.event(day, 1, time=f"2025-01-{day:02}T12:00:00Z") for day in range(1, 11)]
        for event in reversed(events):  # one by one, each late for the one before
            self.bill.run(self.use(event))
        self.assertEqual(self.booked(), D("0.33"))
        once = book.Book(self.scratch / "once", self.bill.catalog)
        once.run(self.use(*events))
        days = [{row["posting_date"]: D(0) for row in each.postings()} for each in (self.bill, once)]
        for each, sums in zip((self.bill, once), days):
            for row in each.postings():
                if row["account"] == "1200":
                    sums[row["posting_date"]] += D(row["debit"]) - D(row["credit"])
        self.assertEqual({day: amount for day, amount in days[0].items() if amount},
                         {day: amount for day, amount in days[1].items() if amount})
        self.assert_booked_is_worth()
        self.explain_everything()


class Policies(Sealed):
    def test_daily_and_by_period(self):
        events = [small.event(n, 10, time=f"2025-{1 + n % 2:02}-{1 + n:02}T00:00:00Z") for n in range(20)]
        for summary, lines in (("daily", 20), ("period", 2)):
            with self.subTest(summary):
                self.catalog(summary=summary)
                bill = self.bill = book.Book(self.scratch / summary, self.scratch / "catalog")
                bill.run(self.use(*events))
                postings = bill.postings()
                self.assertEqual(len(postings), 2 * lines)
                self.assertEqual(self.booked(), D("2.00"))
                self.assertEqual(self.booked(accounting_period="2025-01"), D("1.00"))
                bill.verify()
                if summary == "period":
                    book.say(f"by period: posting dates {sorted({row['posting_date'] for row in postings})}")

    def test_through_a_day_and_then_the_rest(self):
        self.catalog(charge=GRADUATED)
        events = [small.event(day, 100, time=f"2025-01-{day:02}T10:00:00Z") for day in range(1, 21)]
        usage = self.use(*events)
        self.bill.run(usage, "--through", "2025-01-10")
        self.assertEqual(self.booked(), D("90.00"))
        self.assertEqual(max(row["posting_date"] for row in self.bill.postings()), "2025-01-10")
        self.bill.verify()
        self.bill.seal("--through", "2025-01-15")
        self.assertEqual(self.booked(), D("116.00"))
        self.bill.seal("--through", "2025-01-10")  # what is booked after that day stays
        self.assertEqual(self.booked(), D("116.00"))
        self.bill.seal()
        self.assertEqual(self.booked(), D("136.00"))
        self.assert_booked_is_worth()
        once = book.Book(self.scratch / "once", self.bill.catalog)
        once.run(usage)
        by_day = [collections.Counter(), collections.Counter()]
        for days, each in zip(by_day, (self.bill, once)):
            for row in each.postings():
                if row["account"] == "1200":
                    days[row["posting_date"]] += D(row["debit"]) - D(row["credit"])
        self.assertEqual(by_day[0], by_day[1])
        self.explain_everything()


class ManyEntities(Sealed):
    def test_every_line_of_three_entities_and_currencies(self):
        events, catalog, _ = book.generate(self.scratch, "10k", "--subscriptions", "60", "--days", "2", "--late", "0")
        self.bill = book.Book(self.scratch / "made-up", catalog)
        lines = events.read_bytes().splitlines(keepends=True)
        halves = []
        for half in range(2):
            self.files += 1
            path = self.scratch / f"half-{half}.ndjson"
            path.write_bytes(b"".join(lines[half::2]))
            halves.append(path)
        for path in halves:
            self.bill.run(path)
        sums = collections.Counter()
        for row in self.bill.postings():
            sums[row["batch_id"], row["entity"], row["currency"]] += D(row["debit"]) - D(row["credit"])
        self.assertEqual({currency for _, _, currency in sums}, {"USD", "EUR", "JPY"})
        self.assertEqual(set(sums.values()), {D(0)})  # each batch balances
        self.assertFalse([row for row in self.bill.postings() if row["currency"] == "JPY" and "." in row["debit"]])
        explained = self.explain_everything()
        self.bill.verify()
        book.say(f"{len(self.bill_postings) // 2:,} lines are the sums of {explained:,} differences")


class Reading(Sealed):
    def test_headers_and_order(self):
        events, catalog, _ = book.generate(self.scratch, "20k")
        bill = book.Book(self.scratch / "made-up", catalog)
        bill.run(events, "--through", "2025-01-20")
        bill.seal()
        for command, header in (("charges", book.CHARGES_HEADER), ("journals", book.JOURNALS_HEADER)):
            with self.subTest(command):
                text = bill.read(command, "--format", "csv").decode()
                self.assertEqual(text.split("\n", 1)[0], header)
                self.assertNotIn("\r", text)
                rows = list(csv.reader(io.StringIO(text)))[1:]
                self.assertGreater(len(rows), 100)
                numeric = [name in NUMBERS for name in header.split(",")]
                key = [tuple(D(cell) if number else cell.encode() for number, cell in zip(numeric, row))
                       for row in rows]
                self.assertTrue(key == sorted(key), [pair for pair in zip(key, sorted(key)) if pair[0] != pair[1]][:1])
                for row in rows:
                    for name, cell in zip(header.split(","), row):
                        if name in NUMBERS:
                            self.assertRegex(cell, r"^-?\d+(\.\d+)?$")

    def test_reconcile(self):
        self.catalog()
        self.bill.run(self.use(small.event(1, 100), small.event(1, 100), b"not json"))
        rows = book.rows_of(self.bill.read("reconcile", "--format", "csv"))
        self.assertEqual({row["equal"] for row in rows}, {"yes"})
        self.assertIn(("3", "3"), {(row["left"], row["right"]) for row in rows})
        self.bill.absorb(self.use(small.event(2, 50)))  # in the book, not yet booked
        done = book.tollbook("reconcile", "--books", self.bill.directory, expect=1)
        self.assert_message(done.stderr, str(self.bill.directory), "seal")
        self.assertIn(b"NO", done.stdout)
        self.bill.verify()  # no law is broken by it
        self.bill.seal()
        self.bill.read("reconcile")

    def test_explain_says_what_is_wrong_with_its_argument(self):
        self.catalog()
        self.bill.run(self.use(small.event(1, 100)))
        for line in ("x", "x/1", "acme-us-USD-2025-01-0001", "acme-us-USD-2025-01-0001/2",
                     "acme-us-USD-2025-01-0001/0", "acme-us-USD-2025-01-0001/99999999999999999999", "/", ""):
            with self.subTest(line):
                done = book.tollbook("explain", "--books", self.bill.directory, line, expect=None)
                self.assertIn(done.returncode, (1, 2))
                self.assert_message(done.stderr)
        text = self.bill.read("explain", "acme-us-USD-2025-01-0001/1").decode()
        for word in ("1.00", "100", "api.calls", "usage-1.ndjson:1-1", "0.01"):
            self.assertIn(word, text)

    def test_the_same_name_for_different_things_of_a_catalog(self):
        """A meter that the book has usage of must stay what it is."""
        self.catalog()
        self.bill.run(self.use(small.event(1, 100)))
        self.catalog(meters=small.CALLS.replace("sum", "max"))
        done = book.tollbook("run", "--books", self.bill.directory, "--catalog", self.bill.catalog,
                             self.use(small.event(2, 1)), expect=1)
        self.assert_message(done.stderr, "api.calls", "meters.yaml")
        self.catalog()
        (self.bill.catalog / "book.yaml").write_text("name: other\nzone: UTC\n")
        done = book.tollbook("seal", "--books", self.bill.directory, "--catalog", self.bill.catalog, expect=None)
        self.assertNotEqual(done.returncode, 0)  # two books' posting keys would be the same
        self.assert_message(done.stderr, "other")


if __name__ == "__main__":
    book.main()
