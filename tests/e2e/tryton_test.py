"""A month of usage in a real Tryton, to the cent and each batch once, with both sides killed on the way.

Skipped where Tryton cannot be had (tryton.py says why). TOLLBOOK_LONG=1 kills more often; TOLLBOOK_SEED repeats the
moments of another time.
"""

import collections
import decimal
import http.server
import json
import os
import random
import signal
import threading
import time
import urllib.error
import urllib.request

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

    def write_targets(self, url=None):
        companies = ", ".join(f"{entity}: {company}" for entity, (company, _) in COMPANIES.items())
        (self.catalog / "targets.yaml").write_text(
            f"targets:\n  - name: erp\n    kind: tryton\n    url: {url or self.erp.url}\n    plain_http: true\n"
            f"    user: {tryton.USER}\n    password: file:password\n    journal: USAGE\n"
            f"    companies: {{{companies}}}\n"
            "    accounts: {\"1200\": \"1100\"}\n    quiet_seconds: 1\n"
            "    retry: {first_seconds: 1, cap_seconds: 1}\n")

    def seal_month(self, days):
        """A seal each day: two batches, one a company."""
        for day in range(1, days + 1):
            self.seal_day(day)

    def seal_day(self, day, which="first"):
        events = self.scratch / f"day-{day}-{which}.ndjson"
        events.write_bytes(small.lines(*(
            small.event(f"{day}-{which}-{name}-{n}", calls=self.chance.randrange(1, 5000), subject=f"s-{name}-{n}",
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
        started, kills, late = time.monotonic(), 0, 0
        while kills < KILLS:
            running = book.start(*self.post())
            time.sleep(self.chance.uniform(0.2, 2.0))
            if kills in erp_kills:
                erp_kills.remove(kills)
                self.erp.kill()
                time.sleep(self.chance.uniform(0, 0.3))
                self.erp.start()
            running.send_signal(signal.SIGKILL)
            said = running.communicate()
            if running.returncode == -signal.SIGKILL:
                kills += 1
                continue
            self.assertEqual(running.returncode, 0, said)
            late += 1  # it was done before it was killed: usage that came late is something to do
            self.seal_day(self.chance.randint(1, DAYS), f"late-{late}")
        book.say(f"{kills} kills of tollbook and {ERP_KILLS} of Tryton in {time.monotonic() - started:.1f} s: "
                 f"{dict(self.states())}")
        self.assertEqual(erp_kills, [])
        book.tollbook(*self.post("--strict"))
        self.assertEqual(self.states(), {"confirmed": 2 * (DAYS + late)})
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

    def test_a_move_that_does_not_balance_is_refused_in_trytons_words(self):
        """Ours always balance: what came to Tryton was not what was sent."""
        self.seal_month(1)
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


if __name__ == "__main__":
    book.main()
