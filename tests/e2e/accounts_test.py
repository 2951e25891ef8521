"""Each account's record says how it stands as of the newest seal, whatever its system or the process does on the way.

Against servers that keep records as the systems do (accounts_server.py), with tollbook killed between sending and
answer. TOLLBOOK_LONG=1 plays more; TOLLBOOK_SEED repeats the order of another time.
"""

import collections
import decimal
import json
import re
import shutil

import accounts_server
import book
import fault_server
import post_test
import small
import told
from post_test import Case, HTTP

TOKEN = "a-token"
GRANTS = "grant,subscription,amount,currency,product,starts_on\nprepaid,s1,10.00,USD,credits,2025-01-01\n"
SUBSCRIPTIONS = ("s1", "s2", "s3")


def salesforce(url, fields, name="crm", more=""):
    return (f"  - name: {name}\n    kind: salesforce\n    url: {url.rstrip('/')}\n    api_version: v60.0\n"
            "    auth: {kind: bearer, token: env:CRM_TOKEN}\n    object: Account\n"
            "    external_id: Tollbook_Id__c\n    same_ids: true\n" + fields + HTTP + more)


def gainsight(url, fields, name="crm", more=""):
    return (f"  - name: {name}\n    kind: gainsight\n    url: {url.rstrip('/')}\n"
            "    auth: {kind: api_key, header: accesskey, key: env:CRM_TOKEN}\n    object: Company\n"
            "    external_id: Tollbook_Id__gc\n    same_ids: true\n    requests: {per_second: 1000}\n" + fields +
            HTTP + more)


class Accounts(Case):
    def setUp(self):
        super().setUp()
        small.write_catalog(self.catalog, subscriptions=SUBSCRIPTIONS)
        (self.catalog / "grants.csv").write_text(GRANTS)
        self.environment["CRM_TOKEN"] = TOKEN
        self.number = 0
        self.used = collections.Counter()  # (subscription, month) -> calls

    def absorb(self, *events):
        """Events of (subscription, day, calls); then a seal."""
        made = []
        for subscription, day, calls in events:
            self.number += 1
            self.used[(subscription, day[:7])] += calls
            made.append(small.event(self.number, calls=calls, subject=subscription, time=day + "T12:00:00Z"))
        path = self.scratch / f"usage-{self.number}.ndjson"
        path.write_bytes(small.lines(*made))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", path)

    def three_seals(self):
        """Usage of three seals: two months, then late usage of one account, then the next month."""
        self.absorb(("s1", "2025-01-10", 300), ("s1", "2025-02-10", 900), ("s2", "2025-02-20", 50),
                    ("s3", "2025-01-31", 7))
        self.absorb(("s1", "2025-02-11", 300), ("s1", "2025-01-11", 20))
        self.absorb(("s2", "2025-03-01", 40), ("s1", "2025-03-05", 100))

    def expected(self, month="2025-03", before="2025-02"):
        """Field by field what the records say, worked out from the events alone."""
        records = {}
        for account in SUBSCRIPTIONS:
            calls = {when: self.used[(account, when)] for when in ("2025-01", before, month)}
            spend = {when: decimal.Decimal(count) / 100 for when, count in calls.items()}
            granted = decimal.Decimal(10) if account == "s1" else decimal.Decimal(0)
            earlier = sum(decimal.Decimal(count) / 100 for (name, when), count in self.used.items()
                          if name == account and when < month)
            used = min(spend[month], max(granted - earlier, decimal.Decimal(0)))
            left = max(granted - earlier - spend[month], decimal.Decimal(0))
            records[account] = {
                "Month": month, "Calls": str(calls[month]), "Calls_Before": str(calls[before]),
                "Spend": f"{spend[month]:.2f}", "Spend_Before": f"{spend[before]:.2f}", "Used": f"{used:.2f}",
                "Overage": f"{spend[month] - used if granted else 0:.2f}", "Granted": f"{granted:.2f}",
                "Left": f"{left:.2f}"}
        return records

    FACTS = {"month": "Month", "usage/calls": "Calls", "usage_before/basic/calls": "Calls_Before", "spend/USD": "Spend",
             "spend_before/USD": "Spend_Before", "credit_used/USD": "Used", "overage/USD": "Overage",
             "granted/USD": "Granted", "credit_left/USD": "Left"}

    def fields(self, more=()):
        facts = {**self.FACTS, **dict(more)}
        return "    fields: {" + ", ".join(f"{fact}: {self.field(name)}" for fact, name in facts.items()) + "}\n"

    def assert_told(self, server, **how):
        self.assertEqual(server.problems, [])
        told = {key: {name: self.value(value) for name, value in fields.items()}
                for key, fields in server.records.items()}
        self.assertEqual(told, {key: {self.field(name): value for name, value in record.items()}
                                for key, record in self.expected(**how).items()})

    @staticmethod
    def value(value):
        return value[1] if isinstance(value, tuple) else value


class AnySystem(told.AnySystem):
    """Each system's tests; `server` and `target` say which."""

    LAST = ("twice_after",)
    AUTHORIZED = True

    def serve(self, faults=None):
        return self.server(faults)

    def text(self, server):
        return self.target(server.url)

    def of_each_seal(self):
        return [{"month": month, "before": before} for month, before in
                (("2025-02", "2025-01"), ("2025-02", "2025-01"), ("2025-03", "2025-02"))]

    def test_told_is_how_accounts_stand(self):
        with self.server() as server:
            self.targets(self.target(server.url))
            self.three_seals()
            self.post("--strict")
            self.assert_told(server)
            requests = len(server.requests)
            self.post("--strict")
            self.assertEqual(len(server.requests), requests, "nothing is told twice")
            self.absorb(("s2", "2025-03-02", 4))
            before = len(server.history)
            self.post("--strict")
            self.assert_told(server)
            self.assertEqual([key for key, _ in server.history[before:]], ["s2"], "only what is new is told")
            compared = book.tollbook("reconcile", "--books", self.books).stdout
            self.assertNotIn(b"crm", compared, "it gets no batch of which something could be missing")
        self.verify()

    def values(self, server, *names):
        """account -> what it was told of these fields, as text."""
        return {key: [str(self.value(fields[self.field(name)]) or "") for name in names]
                for key, fields in server.records.items()}

    def test_spend_against_commitment(self):
        small.write_catalog(self.catalog, subscriptions=SUBSCRIPTIONS,
                            charge="model: per_unit, price: 0.01, commitment: {amount: 5, overage_factor: 2}")
        facts = {"committed/calls": "Committed", "committed_spend/calls": "Committed_Spend",
                 "committed_left/basic/calls": "Committed_Left"}
        with self.server() as server:
            self.targets(self.target(server.url, fields=facts))
            self.three_seals()
            self.post("--strict")
            self.assertEqual(self.values(server, *facts.values()), {
                "s1": ["5.00", "1.00", "4.00"], "s2": ["5.00", "0.40", "4.60"], "s3": ["5.00", "0.00", "5.00"]})
            self.absorb(("s1", "2025-03-06", 600))  # 7.00: 2.00 above it count twice
            self.post("--strict")
            self.assertEqual(self.values(server, *facts.values())["s1"], ["5.00", "9.00", "0.00"])
            self.assertEqual(server.problems, [])

    def test_each_target_is_told_of_its_own_entity_only(self):
        (self.catalog / "entities.yaml").write_text(
            "entities:\n  - {name: acme-us, functional_currency: USD}\n  - {name: acme-eu, functional_currency: USD}\n")
        (self.catalog / "subscriptions.csv").write_text(
            "subscription,account,plan,entity,currency,valid_from,valid_to\n" + "".join(
                f"{name},{account},basic,acme-{entity},USD,2025-01-01,\n" for name, account, entity in
                (("s1", "s1", "us"), ("s2", "s2", "eu"), ("b1", "both", "us"), ("b2", "both", "eu"))))
        (self.catalog / "grants.csv").write_text(
            "grant,subscription,account,amount,currency,product,starts_on\nprepaid,s1,,10.00,USD,credits,2025-01-01\n"
            "shared,,both,50.00,USD,credits,2025-01-01\nown,,s2,30.00,USD,credits,2025-01-01\n")
        with self.server() as us, self.server() as eu:
            whole = self.target(us.url, more="    entities: [acme-us]\n")
            self.targets(whole, self.target(eu.url, more="    entities: [acme-eu]\n").replace("name: crm\n",
                                                                                           "name: crm-eu\n"))
            self.absorb(("s1", "2025-03-05", 300), ("s2", "2025-03-05", 70), ("b1", "2025-03-05", 11),
                        ("b2", "2025-03-05", 2000))
            self.post("--strict")
            facts = ("Calls", "Spend", "Used", "Granted", "Left")
            self.assertEqual(self.values(us, *facts), {"s1": ["300", "3.00", "3.00", "10.00", "7.00"],
                                                       "both": ["11", "0.11", "0.11", "0.00", "0.00"]})
            self.assertEqual(self.values(eu, *facts), {"s2": ["70", "0.70", "0.70", "30.00", "29.30"],
                                                       "both": ["2000", "20.00", "20.00", "0.00", "0.00"]})
            self.assertNotIn("s2", "".join(us.bodies))
            requests = len(us.requests)
            self.absorb(("b2", "2025-03-06", 1))
            self.post("--strict")
            self.assertEqual(self.values(eu, "Calls")["both"], ["2001"])
            self.assertEqual(len(us.requests), requests, "nothing of it is news to the other")
            self.targets(whole.replace("entities: [acme-us]", "entities: [acme-us, acme-eu]"))
            self.post("--strict")
            self.assertEqual(self.values(us, *facts)["both"], ["2012", "20.12", "20.12", "50.00", "29.88"],
                             "who is told of both is told what they share")
            self.assertEqual([us.problems, eu.problems], [[], []])
        self.verify()

    def test_an_older_record_never_comes_behind_a_newer_one(self):
        """The system is down while three seals come; what it then gets is the newest record, once each."""
        down = [True]
        with self.server(faults=lambda kind, key, count: "503_retry_after" if down[0] else None) as server:
            self.targets(self.target(server.url))
            absorb = self.absorb

            def absorb_and_post(*events):
                absorb(*events)
                self.post()

            self.absorb = absorb_and_post
            self.three_seals()
            self.assertEqual([self.states()["superseded"], len(self.deliveries())], [2, 3])
            down[0] = False
            self.post("--wait", "20", "--strict")
            self.assert_told(server)
            self.assertEqual(collections.Counter(key for key, _ in server.history), {key: 1 for key in SUBSCRIPTIONS})
        self.verify()

    def test_an_account_without_an_id_is_told_before_anything_is_sent(self):
        with self.server() as server:
            self.targets(self.target(server.url).replace("    same_ids: true\n", ""))
            rows = "target,account,id\ncrm,s1,s2\ncrm,s2,s1\n"
            (self.catalog / "customers.csv").write_text(rows)
            self.three_seals()
            done = self.post(expect=1)
            self.assertIn(b"not told to target crm: accounts have no id in target crm: s3", done.stderr)
            self.assertEqual(server.requests, [])
            (self.catalog / "customers.csv").write_text(rows + "crm,s3,s1\n")
            self.assertIn(b"two of one id in target crm: s1", self.post(expect=1).stderr)
            self.assertEqual(server.requests, [])
            (self.catalog / "customers.csv").write_text(rows + "crm,s3,s3\n")
            self.post("--strict")
            server.records["s1"], server.records["s2"] = server.records["s2"], server.records["s1"]
            self.assert_told(server)

    def test_dry_run_shows_the_requests_and_no_secret(self):
        with self.serve() as server:
            shown = self.dry_run(server)
            self.assertIn(b"# target crm, accounts:0001-001", shown)
            self.post("--strict")
            for body in server.bodies:
                self.assertIn(body.encode(), shown)
        if self.AUTHORIZED:
            self.assert_secret_is_nowhere(TOKEN, shown)

    def test_a_wrong_token_is_no_loop_and_nothing_is_lost(self):
        with self.serve() as server:
            self.assert_wrong_secret_is_no_loop(server, "CRM_TOKEN")
            self.assertEqual(server.records, {})


class AnyWithRefusals(AnySystem):
    """Of systems that say what they do not take."""

    def test_one_refused_record_keeps_back_no_other(self):
        with self.server() as server:
            server.refused.add("s2")
            self.targets(self.target(server.url))
            self.three_seals()
            self.post()
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "validation"])
            self.assertIn("1 of 3 items refused, the others are told: s2: ", parked["last_error"])
            self.assertEqual(sorted(server.records), ["s1", "s3"])
            self.post()
            self.assertEqual(len(self.deliveries()), 1, "the same again is not planned")
            server.refused.clear()
            self.absorb(("s3", "2025-03-03", 1))
            self.post("--wait", "5", "--strict")
            self.assertEqual(self.states(), {"superseded": 1, "confirmed": 1}, "a newer report says all of it")
            self.assert_told(server)

    def test_retry_tells_what_is_left(self):
        with self.server() as server:
            server.refused.add("s2")
            self.targets(self.target(server.url))
            self.three_seals()
            self.post()
            parked, = self.deliveries()
            server.refused.clear()
            before = len(server.history)
            book.tollbook("deliveries", "retry", "--books", self.books, "crm", parked["batch"])
            self.post("--wait", "5", "--strict")
            self.assertEqual([key for key, _ in server.history[before:]], ["s2"])
            self.assert_told(server)

    def test_a_field_that_is_mended_in_the_catalog_is_told_anew(self):
        with self.server() as server:
            whole = self.target(server.url)
            self.targets(whole.replace(self.field("Calls") + ",", self.field("No_Such") + ","))
            self.three_seals()
            self.post()
            self.assertEqual(self.states(), {"parked": 1})
            self.targets(whole)
            self.post("--wait", "5", "--strict")
            self.assert_told(server)


class PostingStatus:
    """What became of an account's batches in the ERP, here a directory."""

    POSTING = {"posting_status": "Posting", "posted_at": "Posted_At"}

    def statuses(self, server):
        return {key: self.value(fields[self.field("Posting")]) for key, fields in server.records.items()}

    def with_posting(self, server, archive=""):
        self.targets(self.target(server.url, more="    posted_by: archive\n", fields=self.POSTING),
                     post_test.files() + archive)

    def test_posted_and_failed(self):
        with self.server() as server:
            self.with_posting(server)
            self.three_seals()
            self.post("--strict")
            self.assertEqual(self.statuses(server), {"s1": "posted", "s2": "posted", "s3": "none"})
            at = self.value(server.records["s1"][self.field("Posted_At")])
            self.assertRegex(at, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            self.with_posting(server, "    limits: {amount: {USD: 0.50}}\n")
            self.absorb(("s2", "2025-03-09", 51))
            self.post()
            self.assertEqual(self.statuses(server), {"s1": "posted", "s2": "failed", "s3": "none"})
            self.assertIn(server.records["s2"][self.field("Posted_At")], (None, ""))
            self.with_posting(server)
            parked, = self.deliveries("--state", "parked")
            book.tollbook("deliveries", "retry", "--books", self.books, "archive", parked["batch"])
            self.post("--strict")
            self.assertEqual(self.statuses(server), {"s1": "posted", "s2": "posted", "s3": "none"})
        self.verify()

    def test_pending_review_until_somebody_approves(self):
        (self.catalog / "entities.yaml").write_text(
            "entities:\n  - {name: acme-us, functional_currency: USD, approval: {every_batch: true}}\n")
        with self.server() as server:
            self.with_posting(server)
            self.absorb(("s1", "2025-03-05", 100))
            self.post()
            self.assertEqual(self.statuses(server), {"s1": "pending review"})
            batch, = {rows[0]["batch_id"] for rows in self.journal().values()}
            book.tollbook("journals", "approve", "--books", self.books, batch, "--by", "Ann", "--why", "seen")
            self.post("--strict")
            self.assertEqual(self.statuses(server), {"s1": "posted"})


class SalesforceCase(Accounts):
    server = accounts_server.Salesforce

    @staticmethod
    def field(name):
        return name + "__c"

    def target(self, url, more="", fields=()):
        return salesforce(url, self.fields(fields), more=more)


class Salesforce(AnyWithRefusals, PostingStatus, SalesforceCase):
    def test_a_record_that_is_held_is_sent_later(self):
        with self.server() as server:
            server.locked["s2"] = 4
            self.targets(self.target(server.url))
            self.three_seals()
            self.post("--wait", "20", "--strict")
            self.assert_told(server)
            # With it, and once more without: only an answer in which all are taken is believed, whatever its order.
            self.assertEqual(collections.Counter(key for key, _ in server.history), {"s1": 2, "s2": 1, "s3": 2})

    def test_words_in_another_order_are_not_believed(self):
        """Of each of them, with a record that is refused among them."""
        for fault in fault_server.BULK:
            due = [fault, fault]
            with self.subTest(fault), self.server(lambda kind, key, count: due.pop() if due else None) as server:
                server.refused.add("s2")
                server.chance = self.chance
                self.books = self.scratch / fault
                self.used.clear()
                self.targets(self.target(server.url))
                self.three_seals()
                self.post("--wait", "20")
                parked, = self.deliveries()
                self.assertEqual(parked["state"], "parked")
                there = {key for key, _ in server.history}
                refused = int(re.match(r"(\d) of 3 items refused", parked["last_error"])[1])
                if refused < 3:  # a first answer in which none is taken is believed, and the second fault not met
                    self.assertEqual(due, [])
                due.clear()
                self.assertLessEqual(len({"s1", "s3"} - there), refused - 1, "what is not there is told as refused")
                server.refused.clear()
                book.tollbook("deliveries", "retry", "--books", self.books, "crm", parked["batch"])
                self.post("--wait", "20", "--strict")
                self.assert_told(server)
                self.assertEqual(server.left_out, set())

    def test_more_than_a_request_holds(self):
        names = [f"a{number:04d}" for number in range(450)]
        small.write_catalog(self.catalog, subscriptions=names)
        (self.catalog / "grants.csv").unlink()
        with self.server() as server:
            self.targets(self.target(server.url))
            self.absorb(*((name, "2025-03-05", 1) for name in names))
            self.post("--strict")
            self.assertEqual(server.problems, [])
            self.assertEqual(sorted(server.records), names)
            self.assertEqual(len(server.requests), 3)

    def test_orders_have_records_of_their_own(self):
        with self.server() as server:
            self.targets(self.target(server.url, more="    per: subscription\n"))
            self.three_seals()
            self.post("--strict")
            self.assert_told(server)


class GainsightCase(Accounts):
    server = accounts_server.Gainsight

    @staticmethod
    def field(name):
        return name + "__gc"

    def target(self, url, more="", fields=()):
        return gainsight(url, self.fields(fields), more=more)


class Gainsight(AnyWithRefusals, PostingStatus, GainsightCase):
    pass


class TotangoCase(Accounts):
    server = accounts_server.Totango

    @staticmethod
    def field(name):
        return name.replace("_", " ")

    def target(self, url, more="", fields=()):
        return (f"  - name: crm\n    kind: totango\n    url: {url.rstrip('/')}\n    service_id: SP-1234-11\n"
                "    same_ids: true\n" + self.fields(fields) + HTTP + more)


class Totango(AnySystem, PostingStatus, TotangoCase):
    AUTHORIZED = False
    LIES = []
    test_a_wrong_token_is_no_loop_and_nothing_is_lost = None  # it has none


if __name__ == "__main__":
    book.main()
