"""A quote and a book agree: the same usage by `run` and `charges`, and by `quote --usage`."""

import collections
import decimal
import json
import random

import book

SEED = 20250121
EVENTS = 3000

FILES = {
    "book.yaml": "name: quoted\nzone: UTC\nrounding: half_even\n",
    "entities.yaml": "entities:\n  - {name: acme, functional_currency: USD}\n",
    "chart.yaml": """\
accounts:
  - {code: "1200", name: Receivable, type: asset}
  - {code: "4000", name: Revenue, type: revenue}
""",
    "meters.yaml": """\
meters:
  - {name: tokens, event_type: call, aggregation: sum, value: tokens, dimensions: [model], granularity: hour}
  - {name: calls, event_type: call, aggregation: count, granularity: hour}
  - {name: seats, aggregation: max, value: seats}
  - {name: disk, aggregation: latest, value: gb, allow_negative: true}
  - {name: payments, event_type: payment, aggregation: sum, value: amount}
  - {name: carried, event_type: payment, aggregation: sum, value: cents}
  - {name: traffic, event_type: traffic, aggregation: sum, value: bytes, dimensions: [region, tier], granularity: hour}
  - {name: bursts, event_type: traffic, aggregation: sum, value: bytes, granularity: hour}
  - {name: units, event_type: traffic, aggregation: count, dimensions: [region]}
""",
    "posting.yaml": "posting:\n  - {debit: \"1200\", credit: \"4000\"}\n",
    "subscriptions.csv": """\
subscription,account,plan,entity,currency,valid_from,valid_to,subject,zone
s1,a1,all,acme,USD,2025-01-01,,,
s2,a2,all,acme,USD,2025-01-10,2025-02-20,,
s3,a3,calls,acme,USD,2025-01-01,,tenant-3,Europe/Berlin
""",
    "plans.yaml": """\
plans:
  - name: all
    currency: USD
    charges:
      - {name: tokens, meter: tokens, product: p, model: per_unit, price: 0.0123, per: 100, included: 500}
      - name: tokens-large
        meter: tokens
        product: p
        model: graduated
        filter: {model: large}
        tiers: [{up_to: 1000, price: 0.003}, {up_to: 20000, price: 0.0017, flat: 2.5}, {price: 0.0009}]
      - {name: calls, meter: calls, product: p, model: package, package_size: 100, price: 0.333}
      - name: seats
        meter: seats
        product: p
        model: volume
        flat_at_zero: true
        tiers: [{up_to: 10, price: 1.005, flat: 3}, {price: 0.7525}]
      - {name: disk, meter: disk, product: p, model: per_unit, price: 0.015}
      - {name: payments, meter: payments, product: p, model: percentage, percent: 2.9, fixed_per_transaction: 0.30}
      - {name: carried, meter: carried, product: p, model: dynamic, multiplier: 1.33333, carried_digits: 2}
      - name: traffic
        meter: traffic
        product: p
        model: matrix
        cells:
          - {when: {region: [eu, us]}, price: 0.0021}
          - {when: {region: eu, tier: "*"}, model: graduated, tiers: [{up_to: 5000, price: 0.003}, {price: 0.001}]}
        default: {model: package, package_size: 1000, price: 0.77}
        discount_percent: 12.5
        maximum: 61.005
      - name: bursts
        meter: bursts
        product: p
        model: graduated
        per_bucket: hour
        convert: {divide: 1000, rounding: up, places: 1}
        tiers: [{up_to: 0.5, price: 0.10}, {price: 0.011}]
        minimum: 25
      - name: units
        meter: units
        product: p
        model: stairstep
        limits_by: region
        steps: [{limits: {eu: 40, us: 60}, price: 10}, {limits: {eu: 90}, price: 33.333}, {price: 50}]
  - name: calls
    currency: USD
    charges:
      - {name: calls, meter: calls, product: p, model: per_unit, price: 0.00005}
""",
}

SUBJECTS = ("s1", "s2", "tenant-3", "nobody")
REGIONS = ({"region": "eu"}, {"region": "eu", "tier": "gold"}, {"region": "us"}, {"region": "asia"}, {})
TYPES = (("call", lambda chance: {"tokens": chance.randrange(0, 300), "model": chance.choice(["small", "large"])}),
         ("call", lambda chance: {"tokens": f"{chance.randrange(0, 300)}.{chance.randrange(0, 10**6):06}"}),
         ("seats", lambda chance: {"seats": chance.randrange(0, 25)}),
         ("disk", lambda chance: {"gb": f"{chance.randrange(-5, 900)}.5"}),
         ("payment", lambda chance: {"amount": f"{chance.randrange(0, 900)}.37", "cents": chance.randrange(0, 5000)}),
         ("traffic", lambda chance: dict({"bytes": chance.randrange(0, 900)}, **chance.choice(REGIONS))),
         ("unknown", lambda chance: {"n": 1}),
         ("seats", lambda chance: {"seats": -1}))


def usage(seed):
    """Events of two months in no order: some twice, some with a used id, some that no meter takes."""
    chance = random.Random(seed)
    lines = []
    for number in range(EVENTS):
        kind, data = chance.choices(TYPES, weights=(30, 20, 8, 8, 8, 20, 1, 1))[0]
        event = {"id": f"e{number}", "source": "test", "type": kind, "subject": chance.choice(SUBJECTS),
                 "time": f"2025-0{chance.choice([1, 2])}-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:30:00Z",
                 "data": data(chance)}
        lines.append(json.dumps(event))
        if chance.random() < 0.02:
            lines.append(chance.choice(lines))
        if chance.random() < 0.01:
            lines.append(json.dumps(dict(event, subject="s1", time="2025-01-05T00:00:00Z")))
    lines.append("{}")
    return ("\n".join(lines) + "\n").encode()


# What a plan has beside the price of usage, and a customer beside the plan.
TERMS = {
    "plans.yaml": """\
plans:
  - name: all
    currency: USD
    minimum: {amount: 1500, product: p}
    maximum: {amount: 2000, product: p}
    charges:
      - {name: tokens, meter: tokens, product: p, model: per_unit, price: 0.1, minimum: 31, on_amendment: continue}
      - {name: calls, meter: calls, product: p, model: per_unit, price: 3.333}
      - {name: platform, product: p, model: fee, price: 99}
      - {name: support, product: p, model: fee, price: 365, billing_period: 1 year, due: arrears}
  - name: calls
    extends: all
    charges:
      - {name: platform, product: p, model: fee, price: 49}
""",
    "subscriptions.csv": """\
subscription,account,plan,entity,currency,valid_from,valid_to,subject,zone
s1,a1,all,acme,USD,2025-01-01,2025-02-11,,
s1,a1,calls,acme,USD,2025-02-11,,,
s2,a2,all,acme,USD,2025-01-10,2025-02-20,,
s3,a3,calls,acme,USD,2024-12-01,,tenant-3,Europe/Berlin
""",
    "discounts.csv": """\
discount,starts_on,subscription,plan,percent
rebate,2025-01-15,s1,,12.5
launch,2025-01-01,,calls,5
""",
    "grants.csv": """\
grant,subscription,amount,currency,product,starts_on,ends_on,refill,breakage_product
ahead,s1,150.00,USD,p,2025-01-01,,,
monthly,s2,900.00,USD,p,2025-01-10,2025-03-20,1 month,lost
welcome,s3,20.00,USD,p,2025-02-01,,,
""",
    "chart.yaml": FILES["chart.yaml"] + """\
  - {code: "2400", name: Prepaid, type: liability}
  - {code: "4900", name: Breakage, type: revenue}
""",
    "posting.yaml": FILES["posting.yaml"] + '  - {product: lost, debit: "2400", credit: "4900"}\n',
}


class Quote(book.Case):
    def setUp(self):
        super().setUp()
        self.catalog = self.scratch / "catalog"
        self.catalog.mkdir()
        self.write(FILES)
        self.usage = self.scratch / "usage.ndjson"

    def write(self, files):
        for name, text in files.items():
            (self.catalog / name).write_text(text)

    def quote(self, *arguments, expect=0, **how):
        return book.tollbook("quote", "--catalog", self.catalog, *arguments, expect=expect, **how)

    def test_a_quote_of_a_file_is_what_a_book_says_of_it(self):
        self.usage.write_bytes(usage(SEED))
        bill = book.Book(self.scratch / "book", self.catalog)
        report = bill.run(self.usage)
        booked = book.rows_of(bill.charges())
        # Two months of two subscriptions with ten charges; in Berlin there is an hour of March.
        self.assertEqual(len(booked), 2 * 2 * 10 + 3)
        quoted = []
        for subscription in ("s1", "s2", "s3"):
            done = json.loads(self.quote("--subscription", subscription, "--usage", self.usage, "--json").stdout)
            for key in ("lines_read", "accepted", "duplicate", "conflict", "held", "rejected"):
                self.assertEqual(done["usage"][key], report[key], key)
            quoted += [dict(charge, amount_booked=charge["amount_rounded"]) for charge in done["charges"]]
        keys = list(booked[0])
        self.assertEqual(sorted(tuple(row[key] for key in keys) for row in booked),
                         sorted(tuple(row[key] for key in keys) for row in quoted))

    def test_a_quote_through_a_day_is_the_seal_through_it(self):
        self.usage.write_bytes(usage(SEED + 1))
        bill = book.Book(self.scratch / "book", self.catalog)
        bill.run(self.usage, "--through", "2025-01-20")
        booked = {(row["charge"], row["period_start"]): row["amount_booked"] for row in book.rows_of(bill.charges())
                  if row["subscription"] == "s1"}
        done = json.loads(self.quote("--subscription", "s1", "--usage", self.usage, "--through", "2025-01-20",
                                     "--json").stdout)
        self.assertEqual(len(done["charges"]), 10)
        self.assertNotIn("up to the minimum", str(done))  # the period is not complete
        for charge in done["charges"]:
            self.assertEqual(charge["due"], booked[charge["charge"], charge["period_start"]])

    def test_fees_bounds_discounts_and_grants_are_those_of_the_seal(self):
        self.write(TERMS)
        self.usage.write_bytes(usage(SEED + 3))
        for number, through in enumerate(([], ["--through", "2025-01-20"], ["--through", "2025-04-30"])):
            bill = book.Book(self.scratch / f"book-{number}", self.catalog)
            bill.run(self.usage, *through)
            booked, quoted, due = collections.Counter(), collections.Counter(), 0
            for row in book.rows_of(bill.charges()):
                booked[row["subscription"], row["charge"], row["period_start"]] += decimal.Decimal(row["amount_booked"])
            for subscription in ("s1", "s2", "s3"):
                done = json.loads(self.quote("--subscription", subscription, "--usage", self.usage, *through,
                                             "--json").stdout)
                for row in done["charges"]:
                    quoted[row["subscription"], row["charge"], row["period_start"]] += \
                        decimal.Decimal(row["amount_rounded"])
                due += sum(decimal.Decimal(one["due"]) for one in done["totals"])
                self.assertEqual(bool(done["not_quoted"]), not through)
            # The book also lists usage that a later seal is to book.
            self.assertEqual({line: amount for line, amount in booked.items() if amount},
                             {line: amount for line, amount in quoted.items() if amount})
            names = {charge.split()[0] for _, charge, _ in quoted}
            self.assertLessEqual({"maximum", "discount", "credit"}, names)
            self.assertEqual("breakage" in names, through[1:] == ["2025-04-30"])
            for due_by_calendar in ("platform", "minimum"):
                self.assertEqual(due_by_calendar in names, bool(through))
            net = sum(decimal.Decimal(row["debit"]) - decimal.Decimal(row["credit"])
                      for row in book.rows_of(bill.journals()) if row["account"] == "1200")
            self.assertEqual(due, net)

    def test_corrections_in_the_file_are_applied_as_by_the_book(self):
        lines = [json.loads(line) for line in usage(SEED + 4).splitlines()]
        corrections = []
        chance = random.Random(SEED + 4)
        for number, event in enumerate(chance.choices(lines[:-1], k=300)):
            correction = dict(event, id=f"c{number}")
            if number % 3 == 0:
                correction["voids"] = event["id"]
            else:
                correction.update(corrects=event["id"], original={"data": event["data"], "time": event["time"]},
                                  time=event["time"].replace("2025-01", "2025-02"))
            corrections.append(correction)
            if number % 5 == 0:  # and that one taken back, or tried to
                corrections.append(dict(correction, id=f"d{number}", voids=correction["id"]))
                for key in ("corrects", "original"):
                    corrections[-1].pop(key, None)
        lines += corrections
        chance.shuffle(lines)
        self.usage.write_text("".join(json.dumps(line) + "\n" for line in lines))
        bill = book.Book(self.scratch / "book", self.catalog)
        report = bill.run(self.usage)
        self.assertGreater(report["corrections"], 200)
        self.assertLessEqual({"original_differs", "already_corrected"}, set(report["reasons"]))
        booked = [row for row in book.rows_of(bill.charges()) if row["subscription"] == "s1"]
        done = json.loads(self.quote("--subscription", "s1", "--usage", self.usage, "--json").stdout)
        for key in ("lines_read", "accepted", "duplicate", "conflict", "held", "rejected", "corrections", "reasons"):
            self.assertEqual(done["usage"][key], report[key], key)
        keys = list(booked[0])
        self.assertEqual(sorted(tuple(row[key] for key in keys) for row in booked),
                         sorted(tuple(dict(charge, amount_booked=charge["amount_rounded"])[key] for key in keys)
                                for charge in done["charges"]))

    def test_usage_may_come_from_a_pipe(self):
        lines = usage(SEED + 2)
        self.usage.write_bytes(lines)
        of_file = self.quote("--subscription", "s2", "--usage", self.usage).stdout
        of_pipe = self.quote("--subscription", "s2", "--usage", "-", stdin=None, input=lines).stdout
        self.assertEqual(of_pipe, of_file)


if __name__ == "__main__":
    book.main()
