"""Each batch is one journal in NetSuite, whatever NetSuite, the network or the process does on the way.

Against netsuite_server.py, which was written from the public contract; no real NetSuite was asked.
"""

import collections
import os
import shutil
import signal
import subprocess
import threading
import unittest

import book
import fault_server
import netsuite_server
import post_test


def target(server, name="ns", more=""):
    return (f"  - name: {name}\n    kind: netsuite\n    url: {server.url}\n"
            f"    auth: {{kind: client_assertion, token_url: {server.url}/auth/oauth2/v1/token, client_id: tollbook,\n"
            "           private_key: file:ns.pem, algorithm: PS256, key_id: k1, scope: rest_webservices,\n"
            "           scope_in: assertion}\n"
            '    subsidiaries: {acme-us: "1"}\n    currencies: {USD: "1"}\n'
            '    accounts: {"1200": "58", "4000": "4"}\n    plain_http: true\n    timeout_seconds: 2\n'
            "    quiet_seconds: 1\n" + post_test.QUICK + more)


@unittest.skipUnless(shutil.which("openssl"), "openssl, which makes the key, is not installed")
class Case(post_test.Case):
    """A book, and the key that NetSuite knows tollbook by."""

    Server = netsuite_server.NetSuite

    def setUp(self):
        super().setUp()
        key = self.catalog / "ns.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key],
                       check=True, capture_output=True)
        key.chmod(0o600)

    def target(self, server):
        return target(server)


class NetSuite(Case):
    def assert_equal_to_journal(self, server):
        accounts = {"58": "1200", "4": "4000"}
        self.assertEqual(set(server.records), set(self.journal()), "each batch, and nothing else")
        for key, rows in self.journal().items():
            sides = sorted((accounts[item["account"]["id"]], "%.2f" % item.get("debit", 0),
                            "%.2f" % item.get("credit", 0)) for item in server.records[key]["line"]["items"])
            self.assertEqual(sides, sorted((row["account"], row["debit"] or "0.00", row["credit"] or "0.00")
                                           for row in rows))
        self.assertEqual(server.problems, [])

    def test_every_fault_ends_with_each_journal_once(self):
        """A fault a batch: when it is made, when its job is asked for, and when it is looked for."""
        faults = [name for name in fault_server.FAULTS if not name.startswith("kill")]
        some = faults if book.LONG else self.chance.sample(faults, 8)
        self.seal(len(some))
        keys = sorted(self.journal())
        for kind in ("create", "job", "record"):
            left = list(some)

            def fault(what, key, count):
                if what != kind or count > 1:
                    return None
                return some[keys.index(key)] if key in keys else left.pop() if left else None

            with self.subTest(kind), netsuite_server.NetSuite(faults=fault) as server:
                self.targets(target(server, "ns-" + kind))
                self.post("--wait", "60", "--strict", "--target", "ns-" + kind)
                self.assert_equal_to_journal(server)
                if kind == "create":
                    self.assertEqual(len(server.jobs), len(some), "no second job is made")
        self.verify()

    def test_killed_between_sending_and_answer(self):
        kills = 20 if book.LONG else 6
        self.seal(kills // 2)
        killed = set()
        lock = threading.Lock()

        def fault(kind, key, count):
            with lock:
                if kind == "create" and len(killed) < kills and count < 3:
                    killed.add((key, count))
                    return "kill_after" if count == 1 else "kill_before"
            return None

        with netsuite_server.NetSuite(faults=fault) as server:
            self.targets(target(server))
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

    def test_what_was_confirmed_is_asked_about_again(self):
        self.seal(3)
        with netsuite_server.NetSuite() as server:
            whole = target(server)
            self.assert_reconciles(server, whole, whole.replace('"1200": "58"', '"1200": "59"'))

    def test_keys_that_netsuite_forgot_make_no_second_journal(self):
        self.seal(2)
        with netsuite_server.NetSuite(faults=lambda kind, _, count: "drop_after" if kind == "create" and count == 1
                                      else None) as server:
            server.forgets_keys = True
            server.JOB_SECONDS = 2.5  # the first job is carried out after its journal was looked for
            self.targets(target(server))
            self.post("--wait", "30", "--strict")
            self.assertEqual(len(server.jobs), 4)
            self.assert_equal_to_journal(server)

    def test_a_closed_period_is_shown_and_mended(self):
        self.seal(2)
        with netsuite_server.NetSuite() as server:
            server.closed.add("2025-01")
            self.targets(target(server))
            self.post("--wait", "10")
            self.assertEqual(self.states(), {"confirmed": 1, "parked": 1})
            parked, = self.deliveries("--state", "parked")
            self.assertIn("PERIOD_CLOSED: the posting period is closed", parked["last_error"])
            self.assertEqual([parked["problem"], parked["owner"]], ["validation", "finance"])
            server.closed.clear()
            book.tollbook("deliveries", "retry", "--books", self.books, "ns", parked["batch"])
            self.post("--wait", "10", "--strict")  # under another key: the first is the failed job's for ever
            self.assert_equal_to_journal(server)

    def test_a_code_that_is_missing_stops_its_batch_before_anything_is_sent(self):
        self.seal(1)
        with netsuite_server.NetSuite() as server:
            self.targets(target(server).replace(', "4000": "4"', ""))
            self.assertIn(b'account "4000" has no code in NetSuite: targets.yaml', self.post("--dry-run").stdout)
            self.post()
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"], parked["owner"]], ["parked", "mapping", "finance"])
            self.assertIn('account "4000" has no code in NetSuite: targets.yaml', parked["last_error"])
            self.assertEqual(server.requests, [])
            self.targets(target(server))
            book.tollbook("deliveries", "retry", "--books", self.books, "ns", parked["batch"])
            self.post("--wait", "10", "--strict")
            self.assert_equal_to_journal(server)

    def test_a_journal_that_is_never_shown_is_in_the_way_of_a_close(self):
        """Its job succeeded, or NetSuite knows it no more: it may be there."""
        for forgets in (False, True):
            with self.subTest(forgets=forgets), netsuite_server.NetSuite() as server:
                server.shows_nothing = True
                self.seal(1)
                self.targets(target(server))
                self.post()
                if forgets:
                    self.assertEqual(self.states(), {"accepted": 1})
                    server.run_jobs()
                    server.jobs.clear()
                self.post("--wait", "10")
                parked, = self.deliveries()
                self.assertEqual([parked["state"], parked["problem"]], ["parked", "ambiguous"])
                self.assertIn("is over, and its journal is not there", parked["last_error"])
                self.assert_unsettled(parked)
                server.shows_nothing = False
                book.tollbook("deliveries", "retry", "--books", self.books, "ns", parked["batch"])
                self.post("--wait", "10", "--strict")
                self.assert_equal_to_journal(server)
            shutil.rmtree(self.books)

    def test_a_body_of_other_codes_never_goes_under_a_key_that_was_used(self):
        """500_before: NetSuite may have what was sent, for all that is known. Then finance mends the mapping."""
        self.seal(3)
        with netsuite_server.NetSuite(faults=lambda kind, *_: "500_before" if kind == "create" else None) as server:
            self.targets(target(server))
            self.post()
            self.assertEqual(server.jobs, {})
            server.faults = lambda *_: None
            self.targets(target(server).replace('"4000": "4"', '"4000": "58"'))
            self.post("--wait", "15", "--strict")
            self.assertEqual(set(server.records), set(self.journal()))
            bodies = collections.defaultdict(set)
            for method, path, headers, body in server.wire:
                if method == "POST" and path.endswith("/journalEntry"):
                    bodies[headers["X-NetSuite-Idempotency-Key"]].add(body)
            self.assertEqual(len(bodies), 6, "of each batch two bodies came")
            self.assertEqual({len(of_key) for of_key in bodies.values()}, {1})
            self.assertEqual(server.problems, [])

    def test_a_body_of_other_codes_does_not_go_where_the_first_one_is(self):
        self.seal(1)
        with netsuite_server.NetSuite(faults=lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1)
                                      else None) as server:
            self.targets(target(server))
            self.post()
            self.targets(target(server).replace('"4000": "4"', '"4000": "58"'))
            self.post("--wait", "15")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"])
            self.assertEqual(len(server.jobs), 1, "nothing more was sent")

    def test_another_subsidiary_in_the_quiet_time_makes_no_second_journal(self):
        self.seal(1)
        with netsuite_server.NetSuite(faults=lambda kind, _, count: "drop_after" if (kind, count) == ("create", 1)
                                      else None) as server:
            self.targets(target(server))
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post()
            other = target(server).replace('{acme-us: "1"}', '{acme-us: "2"}')
            self.targets(other)
            self.post("--wait", "15")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "configuration"])
            self.assertIn(f"it was sent to company 1 at {server.url} and may be there, and targets.yaml has company 2",
                          parked["last_error"])
            self.assertEqual(len(server.jobs), 1)
            # A book that was put back does not know where it was sent.
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--wait", "15")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"])
            self.targets(target(server))
            book.tollbook("deliveries", "retry", "--books", self.books, "ns", parked["batch"])
            self.post("--wait", "15", "--strict")
            self.assertEqual(len(server.jobs), 1)
            self.assert_equal_to_journal(server)

    def test_a_department_that_somebody_took_out_is_told(self):
        self.seal(1)
        with netsuite_server.NetSuite() as server:
            key, = self.journal()
            self.targets(target(server, more='    dimensions: {"product=api": "department=7"}\n'))
            self.post("--wait", "10", "--strict")
            items = server.records[key]["line"]["items"]
            self.assertEqual([item["department"] for item in items], [{"id": "7"}] * 2)
            items[0]["location"] = {"id": "3"}  # NetSuite's own
            self.assertEqual(self.reconciled()["reconciled_now"], 1)
            del items[1]["department"]
            self.reconciled("--again")
            parked, = self.deliveries("--state", "parked")
            self.assertIn("has our key in NetSuite and says something else", parked["last_error"])

    def test_a_journal_that_somebody_changed_is_told(self):
        self.seal(1)
        with netsuite_server.NetSuite() as server:
            key, = self.journal()
            self.targets(target(server))
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--wait", "10", "--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--strict")  # a book that was put back finds it
            self.assertEqual(len(server.jobs), 1)
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            server.records[key]["line"]["items"][0]["debit"] = 999
            self.post()
            parked, = self.deliveries()
            self.assertEqual(parked["state"], "parked")
            self.assertIn("says something else", parked["last_error"])


if __name__ == "__main__":
    book.say(f"TOLLBOOK_SEED={post_test.SEED}")
    book.main()
