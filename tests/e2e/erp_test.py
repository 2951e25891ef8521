"""Each batch is one journal in Dynamics, SAP and Oracle, whatever they, the network or the process do on the way.

Against erp_server.py, which was written from public contracts; none of the systems was asked.
"""

import os
import shutil
import signal
import threading
import time
import unittest

import book
import erp_server
import fault_server
import post_test

ACCOUNTS = {"130100": "1200", "401000": "4000"}


class Target(post_test.Case):
    """A book, and a target of the system's; `KEYS` are what is special to it."""

    def setUp(self):
        super().setUp()
        self.environment.update(ERP_TOKEN="a-token", ERP_PASSWORD="a-password")

    def target(self, server, name="erp"):
        return (f"  - name: {name}\n" + self.KEYS.replace("URL", server.url) +
                "    plain_http: true\n    timeout_seconds: 2\n    quiet_seconds: 1\n" + post_test.QUICK)


class DynamicsTarget(Target):
    Server = erp_server.Dynamics
    KEYS = ("    kind: dynamics\n    url: URL\n    auth: {kind: bearer, token: env:ERP_TOKEN}\n"
            '    companies: {acme-us: usmf}\n    accounts: {"1200": "130100", "4000": "401000"}\n'
            "    journal_name: GenJrn\n    segments: [cost_center]\n")


class SapTarget(Target):
    Server = erp_server.Sap
    KEYS = ("    kind: sap\n    url: URL\n    auth: {kind: basic, user: tollbook, password: env:ERP_PASSWORD}\n"
            '    company_codes: {acme-us: "1010"}\n    accounts: {"1200": "0000130100", "4000": "0000401000"}\n'
            "    document_type: SA\n    created_by: TOLLBOOK\n")


class OracleTarget(Target):
    Server = erp_server.Oracle
    KEYS = ("    kind: oracle\n    url: URL\n    auth: {kind: basic, user: tollbook, password: env:ERP_PASSWORD}\n"
            '    ledgers: {acme-us: "300000046975971"}\n    data_access_set: "300000046975980"\n'
            '    accounts: {"1200": "130100.{region}", "4000": "401000.{region}"}\n'
            '    dimensions: {"region=": "000"}\n    journal_source: Tollbook\n    journal_category: Usage\n'
            "    resend_after_seconds: 1\n")


class Erp:
    """The stories; what is special to a system is below."""

    CLOSED = "the period of 2025-01 is not open"
    KINDS = ()  # of requests, as the server names them: those that send first

    def assert_equal_to_journal(self, server):
        held = server.journals()
        batches = {self.reference(key): rows for key, rows in self.journal().items()}
        self.assertEqual(set(held), set(batches), "each batch, and nothing else")
        for key, rows in batches.items():
            sides, = held[key]  # once
            self.assertEqual(sorted((ACCOUNTS[account.split("-")[0]], *amounts) for account, *amounts in sides),
                             sorted((row["account"], row["debit"] or "0.00", row["credit"] or "0.00") for row in rows))
        self.assertEqual(server.problems, [])

    def test_every_fault_ends_with_each_journal_once(self):
        """A fault a batch, in each kind of request."""
        faults = [name for name in fault_server.FAULTS if not name.startswith("kill")]
        some = faults if book.LONG else self.chance.sample(faults, 8)
        self.seal(len(some))
        keys = sorted(map(self.reference, self.journal()))
        for kind in self.KINDS:
            left = list(some)

            def fault(what, key, count):
                if what != kind or count > 1:
                    return None
                return some[keys.index(key)] if key in keys else left.pop() if left else None

            with self.subTest(kind), self.Server(faults=fault) as server:
                self.targets(self.target(server, "erp-" + kind))
                self.post("--wait", "60", "--strict", "--target", "erp-" + kind)
                self.assert_equal_to_journal(server)
        self.verify()

    def test_killed_between_sending_and_answer(self):
        kills = 20 if book.LONG else 6
        self.seal(kills // 2)
        killed = set()
        lock = threading.Lock()

        def fault(kind, key, count):
            with lock:
                if kind in self.KINDS[:-1] and len(killed) < kills and count < 3:
                    killed.add((key, count))
                    return "kill_after" if count == 1 else "kill_before"
            return None

        with self.Server(faults=fault) as server:
            self.targets(self.target(server))
            for _ in range(kills + 2):
                running = self.start_post("--wait", "20")
                server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
                running.communicate(timeout=60)
                if running.returncode == 0:
                    break
            self.assertGreaterEqual(len(killed), kills // 2)
            self.post("--wait", "20", "--strict")
            self.assert_equal_to_journal(server)
        self.verify()

    def test_a_closed_period_is_shown_and_mended(self):
        self.seal(2)
        with self.Server() as server:
            server.closed.add("2025-01")
            self.targets(self.target(server))
            self.post("--wait", "10")
            self.assertEqual(self.states(), {"confirmed": 1, "parked": 1})
            parked, = self.deliveries("--state", "parked")
            self.assertIn(self.CLOSED, parked["last_error"])
            self.assertEqual([parked["problem"], parked["owner"]], ["validation", "finance"])
            server.closed.clear()
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)

    def test_a_code_that_is_missing_stops_its_batch_before_anything_is_sent(self):
        self.seal(1)
        with self.Server() as server:
            whole = self.target(server)
            self.targets(whole.replace(self.CODE_4000, ""))
            message = f'account "4000" has no code in {self.SYSTEM}: targets.yaml'
            self.assertIn(message.encode(), self.post("--dry-run").stdout)
            listed = lambda: book.rows_of(book.tollbook(
                "exceptions", "--books", self.books, "--catalog", self.catalog, "--format", "csv").stdout)
            row, = listed()
            self.assertEqual([row["reason"], row["payload"]], [
                "missing_code", f"target erp: {message}: add it under `accounts` "
                "(1 batch, the first acme-us-USD-2025-01-0001)"])
            self.post()
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"], parked["owner"]], ["parked", "mapping", "finance"])
            self.assertIn(message, parked["last_error"])
            self.assertEqual(server.requests, [])
            self.targets(whole)
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.assertEqual(listed(), [])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)

    def test_what_was_confirmed_is_asked_about_again(self):
        self.seal(3)
        with self.Server() as server:
            whole = self.target(server)
            self.assert_reconciles(server, whole, whole.replace('"1200": "', '"1200": "1'))

    def test_killed_while_it_asks_about_what_was_confirmed(self):
        self.seal(4)
        with self.Server() as server:
            self.targets(self.target(server))
            self.post("--wait", "10", "--strict")
            asked = []

            def fault(kind, key, _):
                asked.append((kind, key))
                return "kill_before" if len(asked) == 4 else None

            server.faults = fault
            running = self.start_post("--wait", "10", "--reconcile")
            server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
            running.communicate(timeout=60)
            self.assertEqual(running.returncode, -signal.SIGKILL)
            done = self.states()["reconciled"]
            self.assertGreater(done, 0)
            self.assertEqual(self.states(), {"reconciled": done, "confirmed": 4 - done})
            first, asked[:] = asked[0], [None] * 4
            self.assertEqual(self.reconciled()["reconciled_now"], 4 - done)
            self.assertNotIn(first, asked, "what is reconciled is not asked about again")
            self.assertEqual({kind for kind, _ in asked[4:]}, {"look"})
            self.assertEqual(self.states(), {"reconciled": 4})
            self.assert_equal_to_journal(server)
        self.verify()

    def lose_the_first_answer(self, server):
        """Of the one batch: it is there, and nobody knows."""
        server.faults = lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1) else None
        self.seal(1)
        self.targets(self.target(server))
        self.post()
        self.assertEqual(self.states(), {"uncertain": 1})

    def test_another_company_in_the_quiet_time_makes_no_second_journal(self):
        with self.Server() as server:
            self.lose_the_first_answer(server)
            self.targets(self.target(server).replace(*self.COMPANIES))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"], parked["owner"]],
                             ["parked", "configuration", "the keeper of targets.yaml"])
            was, now = (company.strip('"') for company in self.COMPANIES)
            self.assertIn(f"it was sent to company {was} at {server.url[:-1]} and may be there, and targets.yaml has "
                          f"company {now}", parked["last_error"])
            self.assertIn("put that back and `tollbook deliveries retry`", parked["last_error"])
            self.assertEqual([key for kind, key in server.came if kind == "create"], [self.reference(parked["key"])])
            self.targets(self.target(server))
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)
            self.targets(self.target(server).replace(*self.COMPANIES))
            self.assertIn("so it is not compared", self.reconciled()["not_reconciled"])
        self.verify()

    def test_another_server_in_the_quiet_time_is_not_sent_to(self):
        with self.Server() as server, self.Server() as other:
            self.lose_the_first_answer(server)
            self.targets(self.target(other))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertEqual(parked["state"], "parked")
            self.assertIn("it was sent to company", parked["last_error"])
            self.assertEqual(other.wire, [], "it is not even asked")
            book.tollbook("deliveries", "resolve", "--books", self.books, "erp", parked["batch"], "--not-posted",
                          "--by", "Ann", "--why", "the first one is a copy that nobody books in")
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(other)

    def test_a_book_that_was_put_back_finds_its_journal_in_another_company(self):
        """It does not know where it was sent: the journal is looked for by its key alone."""
        if self.SYSTEM == "Oracle":
            self.skipTest("the batches that Oracle shows name no ledger")
        self.seal(1)
        with self.Server() as server:
            self.targets(self.target(server))
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--wait", "10", "--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.targets(self.target(server).replace(*self.COMPANIES))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"], parked["last_error"])
            self.assert_equal_to_journal(server)

    def test_a_book_that_was_put_back_finds_its_journal_and_what_was_changed(self):
        self.seal(1)
        with self.Server() as server:
            key, = self.journal()
            self.targets(self.target(server))
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--wait", "10", "--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--strict")
            self.assert_equal_to_journal(server)
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            server.change(key)
            self.post()
            parked, = self.deliveries()
            self.assertEqual(parked["state"], "parked")
            self.assertIn("says something else", parked["last_error"])


class Dynamics(Erp, DynamicsTarget):
    SYSTEM = "Dynamics"
    COMPANIES = ("usmf", "usnew")
    KINDS = ("create", "line", "look")
    CODE_4000 = ', "4000": "401000"'

    @staticmethod
    def reference(key):
        return key

    def test_a_journal_that_was_begun_with_other_codes_is_not_gone_on_with(self):
        self.seal(1)
        with self.Server(faults=lambda kind, *_: "500_before" if kind == "line" else None) as server:
            self.targets(self.target(server))
            self.post()
            self.assertEqual(self.states(), {"accepted": 1})
            server.faults = lambda *_: None
            self.targets(self.target(server).replace('"4000": "401000"', '"4000": "130100"'))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"])
            self.assertIn("journal GJ000001 was begun with other codes", parked["last_error"])
            self.assertEqual(server.lines, {}, "a late line of the first body might meet one of the other")
            self.targets(self.target(server))
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)

    def test_two_journals_of_one_key_are_told_and_none_of_them_filled(self):
        """The first came after it was looked for: what may happen where a header is sent twice."""
        self.seal(1)
        key, = self.journal()
        with self.Server() as server:
            server.make_header({"dataAreaId": "usmf", "IntegrationKey": key})
            server.make_header({"dataAreaId": "usmf", "IntegrationKey": key})
            self.targets(self.target(server))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertIn("journals GJ000001 and GJ000002 have our key in Dynamics", parked["last_error"])
            self.assertEqual(server.lines, {})
            del server.headers["GJ000002"]
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)


class Sap(Erp, SapTarget):
    SYSTEM = "SAP"
    COMPANIES = ('"1010"', '"1020"')
    KINDS = ("create", "look")
    CODE_4000 = ', "4000": "0000401000"'

    @staticmethod
    def reference(key):
        return erp_server.short_key(key)

    def test_a_cost_centre_that_somebody_changed_is_told(self):
        """One that SAP pads with zeros is the same; what an account does not take is not there, and no difference."""
        self.seal(1)
        with self.Server() as server:
            self.targets(self.target(server) + '    dimensions: {"product=api": "CostCenter=10101"}\n')
            self.post("--wait", "10", "--strict")
            items = server.documents[0]["items"]
            self.assertEqual([item["CostCenter"] for item in items], ["10101", "10101"])
            items[0]["CostCenter"], items[1]["CostCenter"] = "0000010101", ""
            self.assertEqual(self.reconciled()["reconciled_now"], 1)
            items[0]["CostCenter"] = "10102"
            self.reconciled("--again")
            parked, = self.deliveries("--state", "parked")
            self.assertIn("has our reference in SAP and says something else", parked["last_error"])

    def test_items_that_are_shown_late_are_waited_for(self):
        self.seal(2)
        with self.Server() as server:
            server.LAG_SECONDS = 4.0
            self.targets(self.target(server).replace("quiet_seconds: 1", "quiet_seconds: 9"))
            self.post("--wait", "2")
            self.assertEqual(self.states(), {"accepted": 2})
            self.assertIn("does not show its items yet", self.deliveries()[0]["last_error"])
            self.post("--wait", "20", "--strict")
            self.assert_equal_to_journal(server)

    def test_two_documents_of_one_reference_are_told(self):
        self.seal(1)
        with self.Server(faults=lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1)
                         else None) as server:
            server.LAG_SECONDS = 30.0  # longer than the quiet time, which is what it is there for
            self.targets(self.target(server))
            self.post("--wait", "8")
            parked, = self.deliveries()
            self.assertIn("does not show its items yet", parked["last_error"])
            server.LAG_SECONDS = 0.0
            if parked["state"] == "parked":  # it was, for so long, more than `quiet_seconds`
                book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertEqual(parked["state"], "parked")
            self.assertIn("documents 1010 1900000000 2025, 1010 1900000001 2025 have our reference in SAP",
                          parked["last_error"])


class Oracle(Erp, OracleTarget):
    SYSTEM = "Oracle"
    COMPANIES = ('"300000046975971"', '"300000046975972"')
    KINDS = ("create", "job", "look")
    CLOSED = "ended with ERROR: its log says why"
    CODE_4000 = ', "4000": "401000.{region}"'

    @staticmethod
    def reference(key):
        return key

    def test_a_batch_that_is_shown_late_is_waited_for(self):
        self.seal(2)
        with self.Server() as server:
            server.LAG_SECONDS = 2.0
            self.targets(self.target(server).replace("quiet_seconds: 1", "quiet_seconds: 9"))
            self.post("--wait", "1")
            self.assertEqual(self.states(), {"accepted": 2})
            self.post("--wait", "20", "--strict")
            self.assert_equal_to_journal(server)
            self.assertEqual(len(server.requests_made), 2, "no second import")

    def look_and_say_not_posted(self, server, error):
        """What waits for a person: it is not there, and goes anew under a group of its own."""
        parked, = self.deliveries()
        self.assertEqual([parked["state"], parked["problem"], parked["owner"]], ["parked", "ambiguous", "finance"])
        self.assertIn(error, parked["last_error"])
        self.assertIn("group " + server.requests_made[-1]["group"], parked["last_error"])
        before = len(server.requests_made)
        book.tollbook("deliveries", "resolve", "--books", self.books, "erp", parked["batch"], "--not-posted",
                      "--by", "Ann", "--why", "no journal of that name")
        self.post("--wait", "10", "--strict")
        self.assertEqual(len(server.requests_made), before + 1)
        self.assertEqual(len({one["group"] for one in server.requests_made}), before + 1)
        self.assert_equal_to_journal(server)

    def test_a_request_that_made_no_journal_is_told_and_can_be_sent_anew(self):
        self.seal(1)
        with self.Server() as server:
            server.makes_nothing = True
            self.targets(self.target(server))
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertIn("ended with SUCCEEDED, and no journal batch is there", parked["last_error"])
            self.assert_unsettled(parked)
            # A person looked. Its request is known to be over, so nothing waits in a queue: not for so long, either.
            self.targets(self.target(server).replace("resend_after_seconds: 1", "resend_after_seconds: 3600"))
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10")
            self.assertEqual(len(server.requests_made), 2, "a retry sends it, too")
            server.makes_nothing = False
            self.look_and_say_not_posted(server, "Oracle's request 9001")

    def test_a_request_that_oracle_forgot_is_told_and_can_be_sent_anew(self):
        self.seal(1)
        with self.Server() as server:
            server.makes_nothing = True
            self.targets(self.target(server))
            self.post()
            server.forgotten.add("9000")
            self.post("--wait", "10")
            self.assert_unsettled(self.deliveries()[0])
            server.makes_nothing = False
            self.look_and_say_not_posted(server, "an end that Oracle no longer knows")

    def test_a_request_that_oracle_forgot_is_not_sent_again_for_a_retry(self):
        """How it ended is not told: its import may come yet, and `retry` only asks."""
        self.seal(1)
        with self.Server() as server:
            server.makes_nothing = True
            self.targets(self.target(server).replace("    resend_after_seconds: 1\n", ""))
            self.post()
            server.forgotten.add("9000")
            self.post("--wait", "10")
            for _ in range(2):
                parked, = self.deliveries()
                book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
                self.post("--wait", "10")
                self.assertEqual(len(server.requests_made), 1)
                self.assert_unsettled(self.deliveries()[0])
            server.makes_nothing = False
            self.look_and_say_not_posted(server, "may be under way in Oracle, which no longer knows request 9000")

    def test_a_request_of_an_earlier_send_says_nothing_of_the_last_one(self):
        """The first made nothing; of the second no answer came, and it made something that is not shown yet."""
        lost = lambda kind, _, count: "drop_after" if (kind, count) == ("create", 2) else None
        self.seal(1)
        with self.Server(faults=lost) as server:
            server.makes_nothing = True
            self.targets(self.target(server).replace("    resend_after_seconds: 1\n", ""))
            self.post("--wait", "10")
            self.assert_unsettled(self.deliveries()[0])
            server.makes_nothing, server.LAG_SECONDS = False, 60.0
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", self.deliveries()[0]["batch"])
            self.post("--wait", "10")
            parked, = self.deliveries()
            self.assertIn("which named no request", parked["last_error"])
            self.assert_unsettled(parked)
            self.assertEqual(len(server.requests_made), 2, "no third")
            server.LAG_SECONDS = 0.0
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)

    def test_an_import_whose_answer_was_lost_is_not_sent_again_by_itself(self):
        """It may wait in the queue there, or have failed and left its rows: which a second one must not take along."""
        lost = lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1) else None
        self.seal(1)
        with self.Server(faults=lost) as server:
            self.targets(self.target(server).replace("    resend_after_seconds: 1\n", ""))
            server.closed.add("2025-01")
            self.post("--wait", "5")
            self.assertEqual(len(server.requests_made), 1)
            server.closed.clear()
            self.look_and_say_not_posted(server, "may be under way in Oracle, which named no request")

    def test_an_import_waits_in_the_queue_for_as_long_as_targets_yaml_says(self):
        lost = lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1) else None
        self.seal(1)
        with self.Server(faults=lost) as server:
            server.JOB_SECONDS = 3.0  # longer than the quiet time
            self.targets(self.target(server).replace("resend_after_seconds: 1", "resend_after_seconds: 8"))
            self.post("--wait", "20", "--strict")
            self.assertEqual(len(server.requests_made), 1)
            self.assert_equal_to_journal(server)

    def test_imports_that_take_their_time_do_not_wait_for_each_other(self):
        self.seal(12)
        with self.Server() as server:
            server.JOB_SECONDS = 3.0
            self.targets(self.target(server))
            began = time.monotonic()
            self.post("--wait", "60", "--strict")
            last = max(job["at"] for job in server.requests_made)
            self.assertLess(last - began, max(3.0, (time.monotonic() - began) / 2), "all were asked for at once")
            self.assert_equal_to_journal(server)


if __name__ == "__main__":
    book.say(f"TOLLBOOK_SEED={post_test.SEED}")
    book.main()
