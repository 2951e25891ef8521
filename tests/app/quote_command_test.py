"""`tollbook quote`: what it takes, what it refuses, what it prints, and the vectors of a directory.

Usage: quote_command_test.py TOLLBOOK SOURCE_DIRECTORY
"""

import decimal
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

TOLLBOOK = sys.argv.pop(1)
ROOT = pathlib.Path(sys.argv.pop(1))
CATALOG = str(ROOT / "data" / "first-look" / "catalog")
USAGE = str(ROOT / "data" / "first-look" / "usage.ndjson")
VECTORS = ROOT / "tests" / "conformance" / "rating"


def quote(*arguments, **how):
    return subprocess.run([TOLLBOOK, "quote", *map(str, arguments)], capture_output=True, timeout=120, **how)


def of_plan(*arguments, **how):
    return quote("--catalog", CATALOG, "--plan", "starter", *arguments, **how)


def event(number, subject, calls):
    return json.dumps({"id": str(number), "source": "t", "type": "api.calls", "subject": subject,
                       "time": "2025-01-05T00:00:00Z", "data": {"calls": calls}}) + "\n"


class Refused(unittest.TestCase):
    def refuses(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, b"")
        message = done.stderr.decode()
        self.assertRegex(message, r"^tollbook: [^\n]+: [^\n]+: [^\n]+\n$")
        for word in words:
            self.assertIn(word, message)

    def test_what_cannot_be_quoted_is_code_2_and_one_line(self):
        for arguments, word in (((), "--catalog"),
                                (("--catalog", CATALOG, "--quantity", "1"), "--plan"),
                                (("--catalog", CATALOG, "--plan", "starter"), "--quantity"),
                                (("--catalog", CATALOG, "--plan", "gold", "--quantity", "1"), "starter"),
                                (("--catalog", CATALOG, "--subscription", "s9", "--quantity", "1"), "s9"),
                                (("--catalog", CATALOG, "--subscription", "s1", "--plan", "starter", "--quantity",
                                  "1"), "two")):
            with self.subTest(arguments):
                self.refuses(quote(*arguments), 2, word)

    def test_a_wrong_value_is_named(self):
        for arguments, word in ((("--quantity", "much"), "much"),
                                (("--quantity", "1", "--tax-percent", "101"), "101"),
                                (("--quantity", "mails=1"), "mails"),
                                (("--quantity", "-1"), "-1"),
                                (("--quantity", "1", "--usage", USAGE), "--usage"),
                                (("--quantity", "1", "--charge", "mails"), "calls"),
                                (("--quantity", "1", "--at", "soon"), "soon"),
                                (("--quantity", "1", "--period", "2025-01"), "2025-01"),
                                (("--quantity", "1", "--period", "2025-02-01..2025-01-01"), "2025-02-01"),
                                (("--quantity", "1", "--through", "2025-02-30"), "2025-02-30"),
                                (("--quantity", "1", "--dimension", "eu"), "eu"),
                                (("--quantity", "1", "--subject", "s1"), "--subject"),
                                (("--quantity", "1", "--previous-quantity", "x"), "--previous-quantity x")):
            with self.subTest(arguments):
                self.refuses(of_plan(*arguments), 2, word)

    def test_a_file_that_is_not_there_is_code_1(self):
        self.refuses(of_plan("--usage", "none.ndjson"), 1, "none.ndjson")

    def test_a_file_that_is_cut_off_is_no_usage(self):
        with tempfile.TemporaryDirectory() as scratch:
            cut = pathlib.Path(scratch, "cut.ndjson.gz")
            cut.write_bytes(gzip.compress(pathlib.Path(USAGE).read_bytes())[:60])
            done = of_plan("--usage", cut)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertIn(b"usage that could not be read", done.stderr)

    def test_usage_of_several_customers_needs_a_choice(self):
        lines = (event(1, "a", 2000) + event(2, "b", 3000)).encode()
        self.refuses(of_plan("--usage", "-", input=lines), 2, "2 subjects", "a, b", "--subject")
        done = of_plan("--usage", "-", "--subject", "b", "--json", input=lines)
        self.assertEqual(done.returncode, 0, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(report["totals"], [{"currency": "USD", "due_exact": "4", "due": "4.00", "breakage": "0.00"}])
        self.assertEqual(report["usage"]["of_other_subjects"], 1)


class WhatIsPaidAndTakenOff(unittest.TestCase):
    """A customer with prepaid calls, a rebate and a grant of money; and an estimate of tax."""

    def catalog(self, directory):
        for file in pathlib.Path(CATALOG).iterdir():
            (directory / file.name).write_bytes(file.read_bytes())
        (directory / "unit_grants.csv").write_text("grant,subscription,charge,units,starts\n"
                                                   "prepaid,s1,calls,500,2025-01-01\n")
        (directory / "discounts.csv").write_text("discount,starts_on,subscription,percent\nrebate,2025-01-01,s1,25\n")
        (directory / "grants.csv").write_text("grant,subscription,amount,currency,product,starts_on\n"
                                              "ahead,s1,1.00,USD,api,2025-01-01\n")
        return directory

    def test_the_tax_is_an_estimate_on_what_is_due_before_the_grant_pays(self):
        with tempfile.TemporaryDirectory() as scratch:
            arguments = ("--catalog", self.catalog(pathlib.Path(scratch)), "--subscription", "s1", "--quantity",
                         "5500", "--period", "2025-01-01..2025-02-01", "--tax-percent", "8.25")
            done = quote(*arguments, "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            answer = json.loads(done.stdout)
            # 4,000 are priced at 0.002: 8.00, less 2.00; 1.00 is paid.
            (total,) = answer["totals"]
            self.assertEqual(total["due"], "5.00")
            self.assertEqual(total["tax_estimate"], {"percent": "8.25", "of": "6.00", "tax": "0.50",
                                                     "due_with_tax": "5.50", "booked": False})
            self.assertEqual(answer["unit_balances"], [{"grant": "prepaid", "subscription": "s1", "charge": "calls",
                                                        "left": "0"}])
            text = quote(*arguments).stdout.decode()
            self.assertIn("paid by grant prepaid, 0 left", text)
            self.assertIn("discount rebate of 25 %", text)
            self.assertIn("0.50, which is not booked: 5.50 USD", text)


class WhatGrantsLose(unittest.TestCase):
    """Breakage is the seller's revenue from what was paid before: a line, and part of no sum that the customer owes."""

    # 2,500 calls on the 2nd and 4,000 on the 25th, at 0.01. The grant has its 30.00 again on the 11th, 21st and 31st,
    # and of what is left at most 3.00 stay: it pays 25.00, loses 2.00 of the other 5.00, then 30.00 of 33.00, and pays
    # 33.00.
    GRANT = "grant,{whose},amount,currency,product,starts_on,refill,rollover,breakage_product\n" \
            "g,{who},30.00,USD,credits,2025-01-01,10 days,3.00,lost\n"

    def answer(self, files, *arguments):
        with tempfile.TemporaryDirectory() as scratch:
            directory = pathlib.Path(scratch)
            for file in pathlib.Path(CATALOG).iterdir():
                (directory / file.name).write_bytes(file.read_bytes())
            (directory / "plans.yaml").write_text("""plans:
  - name: starter
    currency: USD
    charges:
      - {name: calls, meter: api.calls, product: api, model: per_unit, price: 0.01}
""")
            for name, text in files.items():
                (directory / name).write_text(text)
            usage = directory / "usage.ndjson"
            usage.write_text(event(1, "s1", 2500).replace("01-05", "01-02") +
                             event(2, "s1", 4000).replace("01-05", "01-25"))
            arguments = ("--catalog", directory, "--subscription", "s1", "--usage", usage, "--through", "2025-01-31",
                         "--tax-percent", "10", *arguments)
            done, text = quote(*arguments, "--json"), quote(*arguments)
        self.assertEqual((done.returncode, text.returncode), (0, 0), done.stderr + text.stderr)
        return json.loads(done.stdout), text.stdout.decode()

    def of_subscription(self, **files):
        return self.answer({"grants.csv": self.GRANT.format(whose="subscription", who="s1"),
                            **{name + ".csv": text for name, text in files.items()}})

    def sums(self, answer):
        (total,) = answer["totals"]
        tax = total["tax_estimate"]
        # What is due is the sum of what is due of each line.
        self.assertEqual(decimal.Decimal(total["due"]), sum(decimal.Decimal(one["due"]) for one in answer["charges"]))
        self.assertEqual(decimal.Decimal(total["due_exact"]),
                         sum(decimal.Decimal(one["due_exact"]) for one in answer["charges"]))
        return total["due"], total["breakage"], tax["of"], tax["due_with_tax"]

    def lines(self, answer):
        return {one["charge"]: (one["amount_rounded"], one["due"], one["is_breakage"]) for one in answer["charges"]}

    def test_nobody_owes_it(self):
        answer, text = self.of_subscription()
        self.assertEqual(self.lines(answer), {"calls": ("65.00", "65.00", False),
                                              "credit g": ("-58.00", "-58.00", False),
                                              "breakage g": ("32.00", "0.00", True)})
        self.assertEqual(self.sums(answer), ("7.00", "32.00", "65.00", "13.50"))
        self.assertIn("\ntotal 7.00 USD, exactly 7\n"
                      "breakage 32.00 USD: what grants lost, revenue of what was paid before, and not due\n"
                      "with an estimate of 10 % tax on 65.00, 6.50, which is not booked: 13.50 USD\n", text)
        self.assertIn("worth 32, rounded half_up to 32.00 USD\n"
                      "  breakage of what was paid before, so nothing is due\n", text)

    def test_nor_of_a_grant_of_the_account(self):
        account = (pathlib.Path(CATALOG) / "subscriptions.csv").read_text().splitlines()[1].split(",")[1]
        answer, _ = self.answer({"grants.csv": self.GRANT.format(whose="account", who=account)})
        self.assertEqual(self.sums(answer), ("7.00", "32.00", "65.00", "13.50"))

    def test_nor_beside_discounts_and_units_that_were_paid_ahead(self):
        # 500 units are paid, and a tenth is off: 18.00 and 36.00 are due. The grant loses 9.00 and 30.00, and pays
        # 18.00 and 33.00.
        answer, _ = self.of_subscription(
            unit_grants="grant,subscription,charge,units,starts\nprepaid,s1,calls,500,2025-01-01\n",
            discounts="discount,starts_on,subscription,percent\nrebate,2025-01-01,s1,10\n")
        self.assertEqual(self.lines(answer)["breakage g"], ("39.00", "0.00", True))
        self.assertEqual(self.sums(answer), ("3.00", "39.00", "54.00", "8.40"))

    def test_what_is_given_back_to_a_grant_that_is_gone_is_lost(self):
        # Volume prices fall on the 25th: 25.00 were paid on the 2nd, of 13.00 that are due in the end.
        plan = """plans:
  - name: starter
    currency: USD
    charges:
      - name: calls
        meter: api.calls
        product: api
        model: volume
        tiers: [{up_to: 5000, price: 0.01}, {price: 0.002}]
"""
        answer, _ = self.answer({"plans.yaml": plan, "grants.csv": "grant,subscription,amount,currency,product,starts_on,"
                                 "ends_on,breakage_product\ng,s1,30.00,USD,credits,2025-01-01,2025-01-10,lost\n"})
        self.assertEqual(self.lines(answer), {"calls": ("13.00", "13.00", False),
                                              "credit g": ("-13.00", "-13.00", False),
                                              "breakage g": ("17.00", "0.00", True)})
        self.assertEqual(self.sums(answer), ("0.00", "17.00", "13.00", "1.30"))


class OfChangedCatalog(unittest.TestCase):
    """With a copy of the catalog, to be changed."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name)
        for file in pathlib.Path(CATALOG).iterdir():
            (self.directory / file.name).write_bytes(file.read_bytes())


class PlanWithMore(OfChangedCatalog):
    """A plan with one metered charge, a fee, and bounds: what a quote has of it, and what it says is left out."""

    def setUp(self):
        super().setUp()
        (self.directory / "plans.yaml").write_text("""plans:
  - name: starter
    currency: USD
    maximum: {amount: 13, product: api}
    minimum: {amount: 12, product: api}
    charges:
      - {name: calls, meter: api.calls, product: api, model: per_unit, price: 1}
      - {name: platform, product: api, model: fee, price: 10}
""")
        self.usage = self.directory / "usage.ndjson"
        self.usage.write_text(event(1, "s1", 4))

    def answer(self, *arguments):
        done = quote("--catalog", self.directory, *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        answer = json.loads(done.stdout)
        total = answer["totals"][0]["due"] if answer["totals"] else None
        return total, [(one["charge"], one["why"]) for one in answer["not_quoted"]]

    def test_a_plan_with_one_metered_charge_needs_no_name_for_a_quantity(self):
        for name in ("4", "calls=4", "api.calls=4"):
            self.assertEqual(self.answer("--plan", "starter", "--quantity", name, "--at", "2025-01-05"), ("13.00", []))

    def test_through_a_day_the_calendar_is_in_it(self):
        plan, subscription = ("--plan", "starter"), ("--subscription", "s1")
        of_file, of_quantity = ("--usage", self.usage), ("--quantity", "4", "--at", "2025-01-05")
        # January is 4 and the fee of 10, at most 13; February is the fee, at least 12.
        for arguments, through, due in (((*plan, *of_file), "2025-01-20", "13.00"),
                                        ((*plan, *of_file), "2025-02-28", "25.00"),
                                        ((*plan, *of_quantity), "2025-02-28", "25.00"),
                                        ((*subscription, *of_file), "2025-02-28", "25.00"),
                                        ((*subscription, *of_quantity), "2025-02-27", "23.00"),
                                        (subscription, "2025-02-28", "24.00"),
                                        (plan, "2025-02-28", "12.00")):
            with self.subTest(arguments):
                self.assertEqual(self.answer(*arguments, "--through", through), (due, []))

    def test_what_is_left_out_is_said(self):
        calendar = [("platform", "calendar"), ("minimum", "calendar")]
        self.assertEqual(self.answer("--plan", "starter", "--usage", self.usage), ("4.00", calendar))
        done = quote("--catalog", self.directory, "--plan", "starter", "--usage", self.usage).stdout.decode()
        self.assertIn("left out: starter/platform, starter/minimum: due by the calendar: give --through or --period\n",
                      done)
        done = quote("--catalog", self.directory, "--plan", "starter", "--charge", "calls", "--quantity", "20").stdout
        self.assertIn("total 20.00 USD", done.decode())
        self.assertIn("left out: starter/platform, starter/minimum, starter/maximum: not of the charge that was asked "
                      "for: quote it without --charge\n", done.decode())

    def test_a_dimension_that_no_quantity_has_is_refused(self):
        for arguments, words in ((("--quantity", "4", "--dimension", "q=1"), b"no such dimension: q: leave it out"),
                                 (("--through", "2025-01-31", "--dimension", "q=1"), b"give it with --quantity")):
            done = quote("--catalog", self.directory, "--plan", "starter", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, b""))
            self.assertIn(words, done.stderr)


class PlanFromItsUsageOn(OfChangedCatalog):
    """A plan is quoted for who comes on the first day of its billing period that the usage begins in."""

    def charges(self, *arguments):
        done = quote("--catalog", self.directory, *arguments, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return [(one["charge"], one["period_start"], one["quantity"], one["due"])
                for one in json.loads(done.stdout)["charges"]]

    def usage(self, *days):  # (day, calls)
        file = self.directory / "usage.ndjson"
        file.write_text("".join(
            json.dumps({"id": day, "source": "t", "type": "api.calls", "subject": "q", "time": day + "T00:00:00Z",
                        "data": {"calls": calls}}) + "\n" for day, calls in days))
        return "--usage", file

    def test_nothing_has_rolled_over_when_it_comes(self):
        (self.directory / "plans.yaml").write_text("""plans:
  - name: starter
    currency: USD
    charges:
      - {name: calls, meter: api.calls, product: api, model: per_unit, price: 1, included: 10,
         included_rollover: {max: 6}}
""")
        # 15 of which 10 are included, whatever else is asked for.
        alone = ("--quantity", "15", "--at", "2025-01-03")
        january = [("calls", "2025-01-01", "15", "5.00")]
        for arguments in (alone, (*alone, "--through", "2025-01-31"), (*alone, "--through", "2025-02-28"),
                          ("--quantity", "15", "--period", "2025-01-01..2025-02-01"), self.usage(("2025-01-03", 15)),
                          (*self.usage(("2025-01-03", 15)), "--through", "2025-01-31")):
            with self.subTest(arguments):
                self.assertEqual(self.charges("--plan", "starter", *arguments), january)
        (charge,) = self.charges("--plan", "starter", "--quantity", "15")  # now
        self.assertEqual(charge[2:], ("15", "5.00"))
        # January leaves 7, of which 6 go on into February.
        self.assertEqual(self.charges("--plan", "starter", *self.usage(("2025-01-03", 3), ("2025-02-03", 17))),
                         [("calls", "2025-01-01", "3", "0.00"), ("calls", "2025-02-01", "17", "1.00")])

    def test_its_periods_begin_with_its_usage(self):
        (self.directory / "plans.yaml").write_text("""plans:
  - name: starter
    currency: USD
    billing_period: 2 weeks
    billing_anchor: subscription
    charges:
      - {name: calls, meter: api.calls, product: api, model: graduated, tiers: [{up_to: 10, price: 1}, {price: 0.10}]}
  - name: with-fee
    extends: starter
    charges:
      - {name: platform, product: api, model: fee, price: 14}
""")
        usage = self.usage(("2025-01-10", 10), ("2025-01-20", 10))
        calls = ("calls", "2025-01-10", "20", "11.00")
        fees = [("platform", day, "1", "14.00") for day in ("2025-01-10", "2025-01-24")]
        through = ("--through", "2025-02-01")
        for plan, arguments, charges in (("starter", usage, [calls]), ("starter", (*usage, *through), [calls]),
                                         ("with-fee", usage, [calls]),
                                         ("with-fee", (*usage, *through), [calls, *fees])):
            with self.subTest((plan, arguments)):
                self.assertEqual(self.charges("--plan", plan, *arguments), charges)
        self.assertEqual(self.charges("--plan", "starter", "--quantity", "20", "--at", "2025-01-12"),
                         [("calls", "2025-01-12", "20", "11.00")])


class Quoted(unittest.TestCase):
    def test_json_is_one_object_with_decimals_as_text(self):
        done = of_plan("--quantity", "1600.5", "--at", "2025-01-31", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        charge, = json.loads(done.stdout, parse_float=self.fail)["charges"]
        for name, value in (("charge", "calls"), ("quantity", "1600.5"), ("period_start", "2025-01-01"),
                            ("amount_exact", "1.201"), ("amount_rounded", "1.20"), ("residue", "0.001"),
                            ("due", "1.20")):
            self.assertEqual(charge[name], value)
        self.assertEqual(sum(decimal.Decimal(step["worth"]) for step in charge["steps"]), decimal.Decimal("1.201"))

    def test_the_short_forms_of_a_quantity_are_one_usage(self):
        whole = of_plan("--quantity", "1600", "--at", "2025-01-31").stdout
        for arguments in (("--quantity", "calls=1600"), ("--quantity", "api.calls=1600"),
                          ("--charge", "calls", "--quantity", "1600")):
            self.assertEqual(of_plan(*arguments, "--at", "2025-01-31T00:00:00Z").stdout, whole)
        several = of_plan("--quantity", "600", "--quantity", "1000", "--at", "2025-01-31", "--json")
        self.assertEqual(json.loads(several.stdout)["charges"][0]["quantity"], "1600")

    def test_lines_that_are_no_usage_are_told_and_counted(self):
        done = of_plan("--usage", USAGE, "--json")
        self.assertEqual(done.returncode, 0)
        usage = json.loads(done.stdout)["usage"]
        self.assertEqual(usage["reasons"], {"invalid_time": 1, "duplicate": 1})
        self.assertIn(b"usage.ndjson:4: invalid_time\n", done.stderr)

    def test_rows_of_csv_are_mapped(self):
        done = of_plan("--usage", ROOT / "data" / "first-look" / "calls_jan.csv", "--json")
        self.assertEqual(json.loads(done.stdout)["charges"][0]["quantity"], "375", done.stderr)

    def test_no_usage_costs_nothing(self):
        done = of_plan("--usage", "-", input=b"")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"No usage that a charge takes.", done.stdout)


class Vectors(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = pathlib.Path(scratch.name)

    def test_the_vectors_of_the_repository_do_not_fail(self):
        done = quote("--vectors", VECTORS, "--json")
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        report = json.loads(done.stdout)
        self.assertEqual(report["failed"], 0)
        self.assertEqual(report["passed"] + report["unsupported"], len(report["cases"]))
        self.assertEqual(len(report["cases"]), 278)

    def test_a_case_that_fails_is_shown_and_ends_with_1(self):
        text = (VECTORS / "lago-package.json").read_text()
        changed = text.replace('"1300"', '"1300.01"')
        self.assertNotEqual(text, changed)
        (self.directory / "a.json").write_text(changed)
        done = quote("--vectors", self.directory)
        self.assertEqual(done.returncode, 1)
        shown = done.stdout.decode()
        self.assertIn("failed lago-package-121-free-0", shown)
        self.assertIn("expected 1300.01, got 1300", shown)
        self.assertIn("13 packages of 10: 13 x 100 = 1300", shown)
        self.assertRegex(shown, r"package +1 +1 +0\n")

    def test_a_file_that_is_no_vectors_is_code_2(self):
        for name, text in (("empty.json", ""), ("list.json", "[]"), ("twice.json", '{"cases": [], "cases": []}')):
            (self.directory / name).write_text(text)
            done = quote("--vectors", self.directory / name)
            self.assertEqual(done.returncode, 2)
            self.assertRegex(done.stderr.decode(), rf"^tollbook: [^\n]+{name}[^\n]*: [^\n]+\n$")
        self.assertEqual(quote("--vectors", self.directory / "none").returncode, 1)


if __name__ == "__main__":
    unittest.main()
