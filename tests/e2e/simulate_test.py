"""A simulation tells what a seal will do: nothing by the sealed catalog, and to the minor unit by another one."""

import collections
import decimal
import json
import random
import shutil

import book

D = decimal.Decimal
SEED = 20250214
EVENTS = 1500
BOOKS = 40 if book.LONG else 6

METERS = """\
meters:
  - {name: calls, event_type: call, aggregation: count, dimensions: [model], granularity: hour}
  - {name: tokens, event_type: call, aggregation: sum, value: tokens, dimensions: [model], granularity: hour}
  - {name: seats, aggregation: max, value: seats, granularity: hour}
  - {name: disk, aggregation: weighted_sum, value: gb, granularity: hour}
  - {name: speed, aggregation: percentile, percentile: 95, value: ms, granularity: hour}
"""
MODELS = ("model: per_unit, price: {price}",
          "model: per_unit, price: {price}, included: 40",
          "model: graduated, tiers: [{{up_to: 50, price: {price}, flat: 1.5}}, {{price: 0.0217}}]",
          "model: volume, tiers: [{{up_to: 90, price: {price}}}, {{price: 0.0101, flat: 2}}]",
          "model: package, package_size: 30, price: {price}",
          "model: per_unit, price: {price}, minimum: 12.345, discount_percent: 10",
          "model: per_unit, price: {price}, per_bucket: hour, maximum: 3.3")
PRICES = ("0.013", "0.1", "1.005", "0.00077")
CURRENCIES = {"small": "USD", "large": "USD", "far": "JPY"}
SUBJECTS = ("a", "b", "c", "d", "nobody")


def charges_of(chance):
    text = "plans:\n"
    for plan, currency in CURRENCIES.items():
        text += f"  - name: {plan}\n    currency: {currency}\n    charges:\n"
        for meter in ("calls", "tokens", "seats", "disk", "speed"):
            if meter != "calls" and chance.random() < 0.2:
                continue  # usage that nothing prices
            models = MODELS[:-1] if meter == "disk" else MODELS
            model = chance.choice(models).format(price=chance.choice(PRICES))
            text += f"      - {{name: {meter}, meter: {meter}, product: p, {model}}}\n"
            if meter in ("calls", "tokens") and chance.random() < 0.3:
                text += f"      - {{name: {meter}-x, meter: {meter}, product: p, filter: {{model: x}}, " \
                        f"model: per_unit, price: {chance.choice(PRICES)}}}\n"
    return text


def subscriptions_of(chance):
    text = "subscription,account,plan,entity,currency,valid_from,valid_to,subject,zone\n"
    for subject in SUBJECTS[:-1]:
        if chance.random() < 0.1:
            continue
        plan, then = chance.choice(list(CURRENCIES)), chance.choice(list(CURRENCIES))
        entity = chance.choice(["acme", "beta"])
        changes = chance.choice(["", "2025-01-17", "2025-02-01"])
        zone = chance.choice(["", "Europe/Berlin", "Asia/Tokyo"])
        text += f"s-{subject},acc-{subject},{plan},{entity},{CURRENCIES[plan]},2025-01-01,{changes},{subject},{zone}\n"
        if changes:
            text += f"s-{subject}-2,acc-{subject},{then},{entity},{CURRENCIES[then]},{changes},,{subject},{zone}\n"
    return text


def write_catalog(directory, chance):
    files = {
        "book.yaml": "name: simulated\nzone: UTC\n",
        "entities.yaml": "entities:\n  - {name: acme, functional_currency: USD}\n"
                         "  - {name: beta, functional_currency: JPY}\n",
        "chart.yaml": 'accounts:\n  - {code: "1200", name: Receivable, type: asset}\n'
                      '  - {code: "4000", name: Revenue, type: revenue}\n',
        "meters.yaml": METERS,
        "posting.yaml": 'posting:\n  - {debit: "1200", credit: "4000", summary: '
                        + chance.choice(["daily", "period"]) + "}\n",
        "plans.yaml": charges_of(chance),
        "subscriptions.csv": subscriptions_of(chance),
    }
    directory.mkdir()
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")
    return directory


def usage(chance, first=0, events=EVENTS):
    lines = []
    for number in range(first, first + events):
        kind, data = chance.choice((
            ("call", {"tokens": chance.randrange(0, 300), "model": chance.choice(["x", "y"])}),
            ("seats", {"seats": chance.randrange(0, 25)}),
            ("disk", {"gb": chance.randrange(-5, 9)}),
            ("speed", {"ms": f"{chance.randrange(0, 900)}.{chance.randrange(0, 999):03}"})))
        lines.append(json.dumps({
            "id": f"e{number}", "source": "test", "type": kind, "subject": chance.choice(SUBJECTS), "data": data,
            "time": f"2025-0{chance.choice([1, 2])}-{chance.randrange(1, 29):02}T{chance.randrange(24):02}:30:00Z"}))
    return ("\n".join(lines) + "\n").encode()


decimal.getcontext().prec = 100  # exact worths have 36 decimals

class Simulated(book.Case):
    def write(self, name, content):
        path = self.scratch / name
        path.write_bytes(content)
        return path

    def simulate(self, bill, catalog, *flags):
        return json.loads(bill.read("simulate", "--catalog", catalog, "--json", *flags))

    def booked_by(self, bill):
        """The receivable by entity and currency."""
        sums = collections.Counter()
        for row in bill.postings():
            if row["account"] == "1200":
                sums[row["entity"], row["currency"]] += D(row["debit"]) - D(row["credit"])
        return sums

    @staticmethod
    def of_totals(simulated, amount):
        return {(total["entity"], total["currency"]): D(total[amount]) for total in simulated["totals"]
                if D(total[amount])}

    def assert_adds_up(self, simulated):
        """Rows, whatever they are by, and totals come to the same in each currency."""
        for amount in ("before", "after", "difference", "before_exact", "after_exact", "difference_exact"):
            by_rows, by_totals = collections.Counter(), collections.Counter()
            for row in simulated["rows"]:
                by_rows[row["currency"]] += D(row[amount])
            for total in simulated["totals"]:
                by_totals[total["currency"]] += D(total[amount])
            self.assertEqual({c: s for c, s in by_rows.items() if s}, {c: s for c, s in by_totals.items() if s}, amount)

    def assert_changes_nothing(self, simulated):
        self.assertEqual(self.of_totals(simulated, "difference_exact"), {})
        self.assertEqual(self.of_totals(simulated, "difference"), {})
        self.assertEqual((simulated["movers"], simulated["usage"]), ([], []))
        self.assertEqual(simulated["charge_periods_before"], simulated["charge_periods_after"])

    def test_a_seal_books_what_the_simulation_said(self):
        moved = 0
        for number in range(BOOKS):
            with self.subTest(seed=SEED + number):
                moved += self.one_book(number)
        self.assertGreater(moved, BOOKS)  # charge periods that move, or this shows nothing

    def one_book(self, number):
        chance = random.Random(SEED + number)
        old = write_catalog(self.scratch / f"old-{number}", chance)
        new = write_catalog(self.scratch / f"new-{number}", chance)
        bill = book.Book(self.scratch / f"book-{number}", old)
        through = chance.choice([(), ("--through", "2025-02-10")])
        bill.run(self.write(f"usage-{number}.ndjson", usage(chance)), *through)
        journals, charges, status = bill.journals(), bill.charges(), bill.status()

        same = self.simulate(bill, old)
        self.assert_changes_nothing(same)
        self.assertEqual(self.of_totals(same, "seal_would_book"), {})

        said = [bill.read("simulate", "--catalog", new, "--json", "--threads", threads) for threads in (1, 4)]
        self.assertEqual(said[0], said[1])
        said = json.loads(said[0])
        for by in ("plan", "account", "subscription", "charge"):
            told = self.simulate(bill, new, "--by", by)
            self.assert_adds_up(told)
            self.assertEqual([told[name] for name in ("totals", "movers")], [said[name] for name in ("totals", "movers")])
        self.assertEqual((journals, charges), (bill.journals(), bill.charges()))
        self.assertEqual(status["commits"], bill.status()["commits"])

        copy = book.Book(self.scratch / f"copy-{number}", new)
        shutil.copytree(bill.directory, copy.directory)
        before = self.booked_by(copy)
        copy.seal(*through)
        books = self.booked_by(copy)
        books.subtract(before)
        books = {place: amount for place, amount in books.items() if amount}
        self.assertEqual(self.of_totals(said, "seal_would_book"), books)
        daily = all("daily" in (catalog / "posting.yaml").read_text() for catalog in (old, new))
        if daily or not through:  # else what waits for its period's end is worth something and not booked yet
            self.assertEqual(self.of_totals(said, "difference"), books)
        self.assert_changes_nothing(self.simulate(copy, new))
        # And the way back.
        self.assertEqual(self.of_totals(self.simulate(copy, old), "difference"),
                         {place: -amount for place, amount in self.of_totals(said, "difference").items()})

        # What comes later is on both sides, and a seal books it with the rest.
        late = self.write(f"late-{number}.ndjson", usage(chance, EVENTS, 50))
        book.Book(bill.directory, old).absorb(late)
        told = self.simulate(bill, new)
        self.assertEqual(told["events_since_seal"], 50)
        before = self.booked_by(bill)
        book.Book(bill.directory, new).seal(*through)
        books = self.booked_by(bill)
        books.subtract(before)
        self.assertEqual(self.of_totals(told, "seal_would_book"), {p: a for p, a in books.items() if a})
        return len(said["movers"])


if __name__ == "__main__":
    book.main()
