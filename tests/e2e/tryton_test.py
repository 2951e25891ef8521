"""A month of usage in a real Tryton, to the cent and each batch once, with both sides killed on the way.

And three months of it four posts at a time. Skipped where Tryton cannot be had (tryton.py says why). TOLLBOOK_LONG=1
kills more often; TOLLBOOK_SEED repeats the moments of another time.
"""

import collections
import datetime
import decimal
import http.server
import json
import os
import random
import re
import signal
import sqlite3
import threading
import time
import urllib.error
import urllib.request

import book
import small
import tryton

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS, ERP_KILLS = (50, 10) if book.LONG else (8, 2)
COMPANIES = {"acme-us": ("Acme US Inc", "USD"), "acme-eu": ("Acme EU GmbH", "EUR")}
EVENTS = "100k" if book.LONG else "20k"
# Of the catalog that `tollbook generate` makes.
THEIRS = {"1200": "1100"}
ENTITIES = "entities:\n" + "".join(f"  - {{name: {name}, functional_currency: {currency}}}\n"
                                   for name, (_, currency) in COMPANIES.items())
PLANS = "plans:\n" + "".join(
    f"  - name: basic-{currency}\n    currency: {currency}\n    charges:\n"
    f"      - {{name: calls, meter: api.calls, product: api, model: per_unit, price: 0.0137}}\n"
    for _, currency in COMPANIES.values())


class LosesALine(http.server.ThreadingHTTPServer):
    """Between tollbook and Tryton: of each move that is made the last line is lost, and yet read back."""

    daemon_threads = True

    def __init__(self, url):
        relay = self
        self.codes = {}  # account id -> code
        self.lost = None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                relay.change_request(request)
                headers = {name: value for name, value in self.headers.items()
                           if name in ("Content-Type", "Authorization")}
                asked = urllib.request.Request(url, json.dumps(request).encode(), headers)
                try:
                    with urllib.request.urlopen(asked, timeout=60) as said:
                        status, body = said.status, said.read()
                except urllib.error.HTTPError as error:
                    status, body = error.code, error.read()
                if status == 200:
                    answer = json.loads(body)
                    relay.change_answer(request["method"], answer)
                    body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d/%s/" % (self.server_address[1], tryton.DATABASE)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def change_request(self, request):
        if request["method"] == "model.account.move.create":
            self.lost = request["params"][0][0]["lines"][0][1].pop()

    def change_answer(self, method, answer):
        if method == "model.account.account.search_read":
            self.codes.update({row["id"]: row["code"] for row in answer["result"]})
        if method == "model.account.move.line.search_read" and self.lost:
            answer["result"].append({"id": 0, "account.": {"code": self.codes[self.lost["account"]]},
                                     "debit": self.lost["debit"], "credit": self.lost["credit"]})


class Ledger(book.Case):
    """A book, and a Tryton with the companies of two of its entities."""

    DATABASE = tryton.Sqlite
    CONCURRENCY = 1

    def setUp(self):
        super().setUp()
        why = tryton.missing()
        if why:
            self.skipTest(why)
        book.say(f"TOLLBOOK_SEED={SEED}")
        self.chance = random.Random(SEED)
        self.books = self.scratch / "book"
        self.catalog = self.scratch / "catalog"
        self.erp = tryton.Tryton(self.scratch / "erp", 2025, self.DATABASE)
        self.addCleanup(self.erp.stop)

    def write_catalog(self):
        parts = small.files()
        parts["entities.yaml"], parts["plans.yaml"] = ENTITIES, PLANS
        parts["subscriptions.csv"] = "subscription,account,plan,entity,currency,valid_from,valid_to\n" + "".join(
            f"s-{name}-{n},a{n},basic-{currency},{name},{currency},2025-01-01,\n"
            for name, (_, currency) in COMPANIES.items() for n in range(5))
        self.catalog.mkdir()
        for name, text in parts.items():
            (self.catalog / name).write_text(text)

    def write_targets(self, url=None, accounts=THEIRS, more=""):
        password = self.catalog / "password"
        password.write_text(tryton.PASSWORD)
        password.chmod(0o600)
        companies = ", ".join(f"{entity}: {company}" for entity, (company, _) in COMPANIES.items())
        (self.catalog / "targets.yaml").write_text(
            f"targets:\n  - name: erp\n    kind: tryton\n    url: {url or self.erp.url}\n    plain_http: true\n"
            f"    entities: [{', '.join(COMPANIES)}]\n"
            f"    user: {tryton.USER}\n    password: file:password\n    journal: USAGE\n"
            f"    companies: {{{companies}}}\n"
            f"    accounts: {json.dumps(accounts)}\n    quiet_seconds: 1\n"
            f"    requests: {{concurrency: {self.CONCURRENCY}}}\n"
            f"    retry: {{first_seconds: 1, cap_seconds: 1}}\n{more}")

    def seal_one_day(self):
        """Two batches, one a company."""
        events = self.scratch / "day.ndjson"
        events.write_bytes(small.lines(*(
            small.event(f"{name}-{n}", calls=self.chance.randrange(1, 5000), subject=f"s-{name}-{n}",
                        time="2025-01-01T08:00:00Z") for name in COMPANIES for n in range(5))))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)

    def post(self, *more):
        return ("post", "--books", self.books, "--catalog", self.catalog, "--wait", "60", *more)

    def states(self):
        rows = json.loads(book.tollbook("deliveries", "--books", self.books, "--json").stdout)
        return collections.Counter(row["state"] for row in rows)

    def assert_erp_equals_journal(self):
        rows = [row for row in book.rows_of(book.tollbook("journals", "--books", self.books, "--format", "csv").stdout)
                if row["entity"] in COMPANIES]
        expected = collections.defaultdict(decimal.Decimal)
        keys = collections.defaultdict(set)
        for row in rows:
            account = THEIRS.get(row["account"], row["account"])
            expected[(row["entity"], account)] += decimal.Decimal(row["debit"]) - decimal.Decimal(row["credit"])
            keys[row["entity"]].add(f"{row['posting_key']} {row['batch_id']}")
        for entity, (name, _) in COMPANIES.items():
            company = self.erp.company(name)
            moves = self.erp.moves(company)
            self.assertEqual(sorted(move["description"] for move in moves), sorted(keys[entity]), "each batch once")
            self.assertEqual({move["state"] for move in moves}, {"posted"})
            balances = {code: decimal.Decimal(text) for code, text in self.erp.balances(company).items()}
            ours = {code: amount for (of, code), amount in expected.items() if of == entity and amount}
            self.assertEqual({code: amount for code, amount in balances.items() if amount}, ours, entity)
            self.assertGreater(len(ours), 1)
        return sum(map(len, keys.values()))


class Generated(Ledger):
    """What `tollbook generate` makes, of two companies in two currencies, sealed bit by bit among the kills."""

    FIRST_DAY, DAYS, STEP = datetime.date(2025, 1, 1), 31, 1

    def setUp(self):
        super().setUp()
        self.usage, self.catalog, _ = book.generate(
            self.scratch, EVENTS, "--subscriptions", "60", "--late", "0", "--first-day", self.FIRST_DAY, "--days",
            str(self.DAYS), "--seed", str(SEED % 1000 + 1))
        self.write_targets()
        self.days = [self.FIRST_DAY + datetime.timedelta(self.STEP * n - 1)
                     for n in range(1, self.DAYS // self.STEP + 1)]
        self.late = 0

    def seal_more(self):
        """The next days, or usage that comes late."""
        if self.days:
            book.tollbook("seal", "--books", self.books, "--catalog", self.catalog, "--through", self.days.pop(0))
            return
        self.late += 1
        again = self.scratch / f"late-{self.late}.ndjson"
        with open(self.usage, "rb") as lines:
            some = self.chance.sample([line for line in lines if line.startswith(b'{"')], 500)
        again.write_bytes(b"".join(re.sub(rb'"id":"', b'"id":"late-%d-' % self.late, line, count=1) for line in some))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", again)

    def kill_on_the_way(self):
        book.tollbook("absorb", "--books", self.books, "--catalog", self.catalog, self.usage)
        # So many seals to a start of tollbook that all are there by the last kills.
        at_once = -(-len(self.days) // max(1, KILLS - 2))
        erp_kills = set(self.chance.sample(range(1, KILLS), ERP_KILLS))
        started, kills, erps_killed = time.monotonic(), 0, 0
        while kills < KILLS:
            for _ in range(min(at_once, max(1, len(self.days)))):
                self.seal_more()
            running = book.start(*self.post())
            time.sleep(self.chance.uniform(0.2, 2.0))
            if kills in erp_kills:
                erp_kills.remove(kills)
                self.erp.kill()
                erps_killed += 1
                time.sleep(self.chance.uniform(0, 0.3))
                self.erp.start()
            running.send_signal(signal.SIGKILL)
            said = running.communicate()
            if running.returncode == -signal.SIGKILL:
                kills += 1
            else:
                self.assertEqual(running.returncode, 0, said)  # it was done by then
        self.assertEqual((kills, erps_killed), (KILLS, ERP_KILLS))
        while self.days:
            self.seal_more()
        book.tollbook(*self.post("--strict"))
        batches = self.assert_erp_equals_journal()
        self.assertEqual(self.states(), {"confirmed": batches})
        self.assertGreaterEqual(batches, 2 * (self.DAYS // self.STEP))
        book.say(f"{kills} kills of tollbook and {erps_killed} of Tryton among {batches} batches in "
                 f"{time.monotonic() - started:.1f} s")
        book.tollbook(*self.post("--strict", "--reconcile"))
        self.assertEqual(self.states(), {"reconciled": batches})
        book.tollbook("verify", "--books", self.books)


class Month(Generated):
    def test_both_sides_killed_on_the_way(self):
        self.kill_on_the_way()


class ManyAtATime(Generated):
    """Two companies, three months each, four posts at a time: PostgreSQL, for SQLite is not right for that."""

    DATABASE = tryton.Postgresql
    CONCURRENCY = 4
    DAYS, STEP = 90, 3

    def test_both_sides_killed_on_the_way(self):
        self.kill_on_the_way()


class Stories(Ledger):
    def setUp(self):
        super().setUp()
        self.write_catalog()

    def test_what_it_would_not_book_is_shown_and_leaves_nothing(self):
        self.seal_one_day()
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

    def test_a_move_that_does_not_balance_is_refused_in_trytons_words(self):
        """Ours always balance: what came to Tryton was not what was sent."""
        self.seal_one_day()
        with LosesALine(self.erp.url) as relay:
            self.write_targets(relay.url)
            book.tollbook(*self.post("--strict"), expect=3)
            relay.shutdown()
        rows = json.loads(book.tollbook("deliveries", "--books", self.books, "--json").stdout)
        for row in rows:
            self.assertEqual([row["state"], row["problem"], row["owner"]], ["parked", "validation", "finance"])
            self.assertIn("you must balance all its lines debits and credits", row["last_error"])
        self.assertIsNotNone(relay.lost)
        for name, _ in COMPANIES.values():
            self.assertEqual(self.erp.moves(self.erp.company(name)), [], "no draft is left")
        self.write_targets()
        for row in rows:
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", row["batch"])
        book.tollbook(*self.post("--strict"))
        self.assert_erp_equals_journal()

    def test_customers_are_the_parties_of_their_lines(self):
        """By customers.csv, of the subscription or of its account; who is not in it is told before anything is sent."""
        posting = self.catalog / "posting.yaml"
        posting.write_text(posting.read_text().replace("debit:", "lines: by_subscription, debit:"))
        self.write_targets(accounts={"1200": "1300"}, more='    customer_accounts: ["1200"]\n')
        customers = "target,subscription,account,id\n" + "".join(f"erp,,a{n},C-{n}\n" for n in range(1, 5))
        (self.catalog / "customers.csv").write_text(customers)
        self.seal_one_day()
        book.tollbook(*self.post("--strict"), expect=3)
        self.assertEqual(self.states(), {"parked": 2})
        rows = book.rows_of(book.tollbook("exceptions", "--books", self.books, "--format", "csv").stdout)
        self.assertEqual([row["payload"] for row in rows if row["reason"] == "missing_code"], [
            f'target erp: subscription "s-{entity}-0" has no customer in Tryton: customers.csv: add a row of it, or of '
            f"its account, for target erp (1 batch, the first {entity}-{currency}-2025-01-0001)"
            for entity, (_, currency) in sorted(COMPANIES.items())])
        for name, _ in COMPANIES.values():
            self.assertEqual(self.erp.moves(self.erp.company(name)), [])

        (self.catalog / "customers.csv").write_text(customers + "".join(
            f"erp,s-{entity}-0,,C-0\n" for entity in COMPANIES))
        for row in json.loads(book.tollbook("deliveries", "--books", self.books, "--json").stdout):
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", row["batch"])
        book.tollbook(*self.post("--strict"))
        journal = book.rows_of(book.tollbook("journals", "--books", self.books, "--format", "csv").stdout)
        for entity, (name, _) in COMPANIES.items():
            owed = {"C-" + re.search(r"subscription=s-[a-z-]+(\d)", row["dimensions"])[1]: decimal.Decimal(row["debit"])
                    for row in journal if row["entity"] == entity and row["account"] == "1200"}
            self.assertEqual(self.erp.balances_of_parties(self.erp.company(name), "1300"), owed)
            self.assertEqual(len(owed), 5)
        book.tollbook(*self.post("--strict", "--reconcile"))
        self.assertEqual(self.states(), {"reconciled": 2}, "the parties are compared, too")

    def test_what_is_changed_or_gone_in_it_is_found_when_it_is_asked(self):
        self.seal_one_day()
        self.write_targets()
        book.tollbook(*self.post("--strict", "--reconcile"))
        self.assertEqual(self.states(), {"reconciled": 2})
        us, eu = (self.erp.company(name) for name, _ in COMPANIES.values())
        # Tryton lets nobody do so: somebody who can write to its database.
        with sqlite3.connect(self.erp.database.file, timeout=60) as ledger:
            ledger.execute("UPDATE account_move SET description = 'mine' WHERE company = ?", (us,))
            ledger.execute("UPDATE account_move SET date = '2025-01-02' WHERE company = ?", (eu,))
        ledger.close()
        book.tollbook(*self.post("--strict", "--reconcile"))
        book.tollbook(*self.post("--strict", "--reconcile", "--again"), expect=3)
        rows = {row["batch"][:7]: row for row in json.loads(
            book.tollbook("deliveries", "--books", self.books, "--state", "parked", "--json").stdout)}
        self.assertEqual({row["owner"] for row in rows.values()}, {"finance"})
        self.assertIn("is not there any more", rows["acme-us"]["last_error"])
        self.assertIn("has our key and says something else", rows["acme-eu"]["last_error"])
        self.assertEqual(rows["acme-us"]["problem"], "different")
        self.assertEqual(len(self.erp.moves(us)), 1, "nothing is sent again by itself")


if __name__ == "__main__":
    book.main()
