"""A month of usage in a real Tryton, to the cent and each batch once, with both sides killed on the way.

Skipped where Tryton cannot be had (tryton.py says why). TOLLBOOK_LONG=1 kills more often; TOLLBOOK_SEED repeats the
moments of another time.
"""

import collections
import decimal
import json
import os
import random
import signal
import time
import unittest

import book
import small
import tryton

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = 50 if book.LONG else 20
ERP_KILLS = 10 if book.LONG else 2
COMPANIES = {"acme-us": ("Acme US Inc", "USD"), "acme-eu": ("Acme EU GmbH", "EUR")}
DAYS = 31 if book.LONG else 12
ENTITIES = "entities:\n" + "".join(f"  - {{name: {name}, functional_currency: {currency}}}\n"
                                   for name, (_, currency) in COMPANIES.items())
PLANS = "plans:\n" + "".join(
    f"  - name: basic-{currency}\n    currency: {currency}\n    charges:\n"
    f"      - {{name: calls, meter: api.calls, product: api, model: per_unit, price: 0.0137}}\n"
    for _, currency in COMPANIES.values())


class Month(book.Case):
    def setUp(self):
        super().setUp()
        why = tryton.missing()
        if why:
            self.skipTest(why)
        book.say(f"TOLLBOOK_SEED={SEED}")
        self.chance = random.Random(SEED)
        self.books = self.scratch / "book"
        self.catalog = self.scratch / "catalog"
        self.catalog.mkdir()
        self.write_catalog()
        self.erp = tryton.Tryton(self.scratch / "erp", 2025)
        self.addCleanup(self.erp.stop)

    def write_catalog(self):
        parts = small.files()
        parts["entities.yaml"], parts["plans.yaml"] = ENTITIES, PLANS
        parts["subscriptions.csv"] = "subscription,account,plan,entity,currency,valid_from,valid_to\n" + "".join(
            f"s-{name}-{n},a{n},basic-{currency},{name},{currency},2025-01-01,\n"
            for name, (_, currency) in COMPANIES.items() for n in range(5))
        for name, text in parts.items():
            (self.catalog / name).write_text(text)
        (self.catalog / "password").write_text(tryton.PASSWORD)
        (self.catalog / "password").chmod(0o600)

    def write_targets(self):
        companies = ", ".join(f"{entity}: {company}" for entity, (company, _) in COMPANIES.items())
        (self.catalog / "targets.yaml").write_text(
            f"targets:\n  - name: erp\n    kind: tryton\n    url: {self.erp.url}\n    plain_http: true\n"
            f"    user: {tryton.USER}\n    password: file:password\n    journal: USAGE\n"
            f"    companies: {{{companies}}}\n"
            "    accounts: {\"1200\": \"1100\"}\n    quiet_seconds: 1\n"
            "    retry: {first_seconds: 1, cap_seconds: 1}\n")

    def seal_month(self, days):
        """A seal each day: two batches, one a company."""
        for day in range(1, days + 1):
            events = self.scratch / f"day-{day}.ndjson"
            events.write_bytes(small.lines(*(
                small.event(f"{day}-{name}-{n}", calls=self.chance.randrange(1, 5000), subject=f"s-{name}-{n}",
                            time=f"2025-01-{day:02d}T08:00:00Z") for name in COMPANIES for n in range(5))))
            book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)

    def post(self, *more):
        return ("post", "--books", self.books, "--catalog", self.catalog, "--wait", "60", *more)

    def states(self):
        rows = json.loads(book.tollbook("deliveries", "--books", self.books, "--json").stdout)
        return collections.Counter(row["state"] for row in rows)

    def assert_erp_equals_journal(self):
        rows = book.rows_of(book.tollbook("journals", "--books", self.books, "--format", "csv").stdout)
        expected = collections.defaultdict(decimal.Decimal)
        keys = collections.defaultdict(set)
        for row in rows:
            account = {"1200": "1100"}.get(row["account"], row["account"])
            expected[(row["entity"], account)] += decimal.Decimal(row["debit"]) - decimal.Decimal(row["credit"])
            keys[row["entity"]].add(f"{row['posting_key']} {row['batch_id']}")
        for entity, (name, _) in COMPANIES.items():
            company = self.erp.company(name)
            moves = self.erp.moves(company)
            self.assertEqual(sorted(move["description"] for move in moves), sorted(keys[entity]), "each batch once")
            self.assertEqual({move["state"] for move in moves}, {"posted"})
            balances = self.erp.balances(company)
            for code in ("1100", "4000"):
                self.assertEqual(decimal.Decimal(balances[code]), expected[(entity, code)], f"{entity} {code}")
            self.assertNotEqual(expected[(entity, "1100")], 0)

    def test_both_sides_killed_on_the_way(self):
        self.seal_month(DAYS)
        self.write_targets()
        erp_kills = sorted(self.chance.sample(range(1, KILLS), ERP_KILLS))
        started, kills = time.monotonic(), 0
        while kills < KILLS:
            running = book.start(*self.post())
            time.sleep(self.chance.uniform(0.1, 1.2))
            if kills in erp_kills:
                erp_kills.remove(kills)
                self.erp.kill()
                time.sleep(self.chance.uniform(0, 0.3))
                self.erp.start()
            running.send_signal(signal.SIGKILL)
            running.communicate()
            kills += 1
            if running.returncode == 0 and self.states() == {"confirmed": 2 * DAYS}:
                break  # it was faster than the kills
        book.say(f"{kills} kills in {time.monotonic() - started:.1f} s: {dict(self.states())}")
        self.assertEqual(erp_kills, [])
        book.tollbook(*self.post("--strict"))
        self.assertEqual(self.states(), {"confirmed": 2 * DAYS})
        self.assert_erp_equals_journal()
        book.tollbook("verify", "--books", self.books)

    def test_what_it_would_not_book_is_shown_and_leaves_nothing(self):
        self.seal_month(1)
        us = self.erp.company("Acme US Inc")
        self.erp.close(us, "2025-01")
        self.write_targets()
        book.tollbook(*self.post("--strict"), expect=3)
        self.assertEqual(self.states(), {"confirmed": 1, "parked": 1})
        parked, = json.loads(book.tollbook("deliveries", "--books", self.books, "--state", "parked", "--json").stdout)
        self.assertIn("period 2025-01 is closed in Tryton", parked["last_error"])
        self.assertEqual(self.erp.moves(us), [])

        # An account that wants a party: seen before anything is made.
        self.write_targets()
        targets = (self.catalog / "targets.yaml").read_text()
        (self.catalog / "targets.yaml").write_text(
            targets.replace("name: erp", "name: erp2").replace('"1200": "1100"', '"1200": "1300"'))
        book.tollbook(*self.post("--strict", "--target", "erp2"), expect=3)
        rows = json.loads(book.tollbook("deliveries", "--books", self.books, "--target", "erp2", "--json").stdout)
        self.assertEqual({row["state"] for row in rows}, {"parked"})


if __name__ == "__main__":
    book.main()
