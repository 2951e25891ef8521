"""What billing systems were told is what was used: each change of usage once, whatever they or the process do on the way.

Against servers that remember as the systems do (billing_server.py), with tollbook killed between sending and answer.
TOLLBOOK_LONG=1 plays more; TOLLBOOK_SEED repeats the order of another time.
"""

import collections
import datetime
import json
import shutil

import billing_server
import book
import fault_server
import post_test
import small
import told
from post_test import Case, HTTP

KEY = "sk-canary-51d2"
CHARGES = ('meters:\n  - {name: api.calls, aggregation: sum, value: calls, dimensions: [region]}\n', """\
      - {name: eu-calls, meter: api.calls, filter: {region: eu}, product: api, model: per_unit, price: 0.02}
""")
TODAY = datetime.datetime.now(datetime.timezone.utc).date()


def day(back):
    return str(TODAY - datetime.timedelta(days=back)) + "T12:00:00Z"


def target(kind, url, name, more, codes):
    return (f"  - name: {name}\n    kind: {kind}\n    url: {url.rstrip('/')}\n    api_key: env:BILLING_KEY\n"
            f"    charges: {{{codes}}}\n    same_ids: true\n" + HTTP + more)


class Usage(Case):
    def setUp(self):
        super().setUp()
        self.subscriptions = ("s1", "s2", "s3")
        small.write_catalog(self.catalog, charges=CHARGES[1], subscriptions=self.subscriptions)
        self.environment["BILLING_KEY"] = KEY
        self.number = 0

    def absorb(self, *events):
        """Events of (subject, days back, calls, more), or lines; then a seal."""
        made = []
        for event in events:
            if isinstance(event, bytes):
                made.append(event)
                continue
            self.number += 1
            subject, back, calls, more = event
            made.append(small.event(self.number, calls=calls, subject=subject, time=day(back), **more))
        path = self.scratch / f"usage-{self.number}-{len(made)}.ndjson"
        path.write_bytes(small.lines(*made))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", path)

    def begin_anew(self):
        """The book is lost without a backup, and one of no usage yet takes its place."""
        self.books, self.number = self.scratch / "anew", 0

    def three_seals(self):
        """Usage of three seals: plain, then late and corrected, then moved from one charge to the other."""
        self.absorb(*[(subject, back, 10 * back + index, {"region": "eu"} if back % 3 == 0 else {})
                      for index, subject in enumerate(self.subscriptions) for back in range(1, 13)])
        void = json.loads(small.event("v1", calls=20, subject="s1", time=day(2)))
        void.update(voids="2")
        self.absorb(("s2", 9, 7, {}), ("s2", 9, 5, {"region": "eu"}), ("s1", 3, 1000, {}),
                    json.dumps(void, separators=(",", ":")).encode())
        self.absorb(("s3", 4, 3, {}), ("s1", 12, 2, {"region": "eu"}))

    def target(self, kind, url, name="billing", more="", codes="calls: api_calls, eu-calls: eu_calls"):
        return target(kind, url, name, more, codes)

    def used(self, codes={"calls": "api_calls", "eu-calls": "eu_calls"}, ids={}):
        """(customer, code) -> what `charges` says was used, in thousandths."""
        used = collections.Counter()
        for row in book.rows_of(book.tollbook("charges", "--books", self.books, "--format", "csv").stdout):
            if row["charge"] in codes:
                place = (ids.get(row["subscription"], row["subscription"]), codes[row["charge"]])
                used[place] += billing_server.thousandths(row["quantity"])
        return {place: amount for place, amount in used.items() if amount}

    def assert_told(self, server, **how):
        self.assertEqual(server.problems, [])
        self.assertEqual(server.sums(), self.used(**how))


class AnySystem(told.AnySystem):
    """Each system's tests; `kind` and `server` say which."""

    in_bulk = False

    def serve(self, faults=None):
        return self.server(KEY, faults)

    def text(self, server):
        return self.target(self.kind, server.url)

    def test_told_is_used_through_late_usage_and_corrections(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.three_seals()
            self.post("--strict")
            self.assert_told(server)
            requests = len(server.requests)
            self.post("--strict")
            self.assertEqual(len(server.requests), requests, "nothing is told twice")
            self.absorb(("s1", 1, 4, {}))
            self.post("--strict")
            self.assert_told(server)
        self.verify()

    def test_a_subscription_without_an_id_is_told_before_anything_is_sent(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url).replace("    same_ids: true\n", ""))
            rows = "target,subscription,id\nbilling,s1,cus_1\nbilling,s2,cus_2\n"
            (self.catalog / "customers.csv").write_text(rows)
            self.three_seals()
            done = self.post(expect=1)
            self.assertIn(b"not told to target billing: usage of seal 1: subscriptions have no id in target billing: "
                          b"s3", done.stderr)
            self.assertEqual(server.requests, [])
            (self.catalog / "customers.csv").write_text(rows + "billing,s3,cus_3\n")
            self.post("--strict")
            self.assert_told(server, ids={"s1": "cus_1", "s2": "cus_2", "s3": "cus_3"})

    def test_dry_run_shows_the_requests_and_no_secret(self):
        with self.serve() as server:
            shown = self.dry_run(server)
            self.assertIn(b"# target billing, usage:0001-001", shown)
            self.post("--strict")
            for key in server.told:
                self.assertIn(key.encode(), shown)
        self.assert_secret_is_nowhere(KEY, shown)

    def test_a_wrong_key_is_no_loop_and_nothing_is_lost(self):
        with self.serve() as server:
            self.assert_wrong_secret_is_no_loop(server, "BILLING_KEY")
            self.assertEqual(server.told, {})

    def test_entities_and_periods_that_are_none_of_its(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url, more='    from: "2099-01"\n'))
            self.three_seals()
            self.post("--strict")
            self.assertEqual(server.requests, [])


class Stripe(AnySystem, Usage):
    kind, server = "stripe", billing_server.Stripe

    def test_a_correction_is_an_event_of_the_difference(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.three_seals()
            self.post("--strict")
            values = [int(value) for customer, _, _, value in server.told.values() if customer == "s1"]
            self.assertEqual([value for value in values if value < 0], [-20])
            self.assert_told(server)

    def test_one_refused_item_keeps_back_no_other(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url, codes="calls: api_calls, eu-calls: no_meter"))
            self.three_seals()
            self.post()
            parked = self.deliveries("--state", "parked")
            self.assertTrue(parked)
            self.assertIn("No active meter", parked[0]["last_error"])
            self.assertIn("the others are told", parked[0]["last_error"])
            self.assertEqual(server.sums(), self.used(codes={"calls": "api_calls"}))
            before = len(server.told)
            server.EVENTS = (*server.EVENTS, "no_meter")  # the meter is made there
            for row in parked:
                book.tollbook("deliveries", "retry", "--books", self.books, "billing", row["batch"])
            self.post("--wait", "5", "--strict")
            self.assert_told(server, codes={"calls": "api_calls", "eu-calls": "no_meter"})
            told = collections.Counter(key for _, _, key, _ in server.requests)
            self.assertGreater(len(server.told), before)
            self.assertEqual({told[key] for key in list(server.told)[:before]}, {1}, "what was taken is not sent again")

    def test_the_rest_of_a_report_goes_nowhere_else(self):
        seen = []

        def fault(kind, key, count):
            seen.append(key)
            return "429_retry_after" if len(seen) == 4 else None
        with self.serve(fault) as server, self.serve() as other:
            self.targets(self.text(server))
            self.absorb(*[("s1", back, 10, {}) for back in range(1, 7)])
            self.post()
            self.assertEqual(self.states(), {"retry-wait": 1})
            self.targets(self.text(other))
            self.post("--wait", "5")
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "configuration"])
            self.assertEqual(other.sums(), {})
            self.targets(self.text(server))
            book.tollbook("deliveries", "retry", "--books", self.books, parked["target"], parked["batch"])
            self.post("--wait", "5", "--strict")
            self.assert_told(server)

    def test_what_is_different_there_stays_so_when_it_is_retried_and_parked(self):
        with self.serve() as server:
            self.targets(self.text(server))
            self.absorb(("s1", 1, 10, {}))
            self.post("--strict")
            self.begin_anew()
            self.absorb(("s1", 1, 11, {}))
            self.post()
            parked, = self.deliveries()
            self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"])
            for action in ("retry", "park"):
                book.tollbook("deliveries", action, "--books", self.books, parked["target"], parked["batch"])
            refused = book.tollbook("periods", "close", "--books", self.books, "--catalog", self.catalog, "--entity",
                                    "acme-us", "--period", day(1)[:7], "--by", "Ann", "--why", "done", expect=1)
            self.assertIn(parked["batch"].encode(), refused.stderr)

    def test_usage_of_long_ago_is_not_sent(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.absorb(("s1", 40, 5, {}), ("s1", 1, 6, {}))
            self.post()
            parked, = self.deliveries("--state", "parked")
            self.assertIn("takes no usage of more than 35 days ago", parked["last_error"])
            self.assertEqual(server.sums(), {("s1", "api_calls"): 6000})
            self.assertEqual(server.problems, [])

    def test_parts_of_a_unit_keep_back_nothing_else(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.absorb(("s1", 1, 1.5, {}), ("s2", 1, 6, {}))
            self.post()
            parked, = self.deliveries("--state", "parked")
            self.assertRegex(parked["last_error"], "1 of 2 items refused, .*Stripe takes whole numbers only, and .* 1.5:")
            self.assertEqual(server.sums(), {("s2", "api_calls"): 6000})
            self.absorb(("s2", 1, 1, {}))
            self.post("--strict", expect=3)
            self.assertEqual(server.sums(), {("s2", "api_calls"): 7000}, "nor what later seals say")


    def test_what_a_person_says_of_a_report(self):
        """That it is not there is said of what is not told, that it is there of all."""
        say = ("--by", "Ann", "--why", "looked there")
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url, codes="calls: api_calls, eu-calls: no_meter"))
            self.three_seals()
            self.post()
            first, second, third = self.deliveries("--state", "parked")
            resolve = lambda row, *word, **how: book.tollbook("deliveries", "resolve", "--books", self.books, "billing",
                                                              row["batch"], *word, *say, **how)
            told = dict(server.told)
            shown = resolve(first, "--not-posted").stdout.decode()
            self.assertRegex(shown, r"there as +told 1-")
            resolve(second, "--posted", "by hand")
            resolve(third, "--superseded")
            server.EVENTS = (*server.EVENTS, "no_meter")
            requests = len(server.requests)
            self.post("--strict")
            fresh = {key: item for key, item in server.told.items() if key not in told}
            self.assertEqual({code for _, code, _, _ in fresh.values()}, {"no_meter"})
            self.assertEqual(len(server.requests) - requests, len(fresh), "what is told is not told again")
            self.assertEqual(self.states(), {"confirmed": 2, "superseded": 1})
            self.assertIn(b"the target itself has confirmed it: usage:0001-001 to billing",
                          refused := resolve(first, "--not-posted", expect=1).stderr)
            self.assertIn(b"nothing is sent again that it has confirmed", refused)
            self.assertIn(b"usage:0002-001", resolve(second, "--not-posted").stdout, "a person may have been mistaken")
            self.post("--strict")
            self.assertEqual(self.states(), {"confirmed": 2, "superseded": 1})
            self.assertEqual(server.problems, [])

    def test_a_book_put_back_tells_what_it_knows(self):
        """Stripe says that it has the keys, and not what it has under them: this book never sent them, as far as it
        knows. So nothing is told twice, nothing is taken for told, and a person says so."""
        with self.serve() as server:
            self.targets(self.text(server))
            self.three_seals()
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post()
            self.assert_told(server)
            rows = self.deliveries()
            self.assertEqual({(row["state"], row["problem"]) for row in rows}, {("parked", "different")})
            self.assertIn("this book has not sent it", rows[0]["last_error"])
            for row in rows:
                book.tollbook("deliveries", "resolve", "--books", self.books, "billing", row["batch"], "--posted",
                              "there", "--by", "Ann", "--why", "the sums are right")
            self.absorb(("s1", 1, 4, {}))
            self.post("--strict")
            self.assert_told(server)

    def test_a_book_made_anew_takes_nothing_for_told(self):
        due = ["429_retry_after"]

        def fault(kind, key, count):
            return due.pop() if server.told and due else None

        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.absorb(("s1", 1, 5, {}), ("s2", 1, 6, {}))
            self.absorb(("s1", 1, 2, {}))
            self.post("--strict")
            server.faults = fault  # that it was to come again makes nothing there its own
            self.begin_anew()
            self.absorb(("s1", 1, 1007, {}), ("s3", 1, 9, {}))
            self.post("--wait", "5")
            parked, = self.deliveries()
            self.assertEqual((parked["state"], parked["problem"]), ("parked", "different"))
            self.assertIn("1 of 2 items refused", parked["last_error"])
            self.assertIn("a book of the same name did", parked["last_error"])
            told = {("s1", "api_calls"): 7000, ("s2", "api_calls"): 6000, ("s3", "api_calls"): 9000}
            self.assertEqual(server.sums(), told)
            requests = len(server.requests)
            book.tollbook("deliveries", "retry", "--books", self.books, "billing", parked["batch"])
            self.post("--wait", "5")
            parked, = self.deliveries("--state", "parked")
            self.assertIn("1 of 2 items refused, the others are told: tb-", parked["last_error"])
            self.assertIn(": not sent again: Stripe had its key before", parked["last_error"])
            self.assertEqual(len(server.requests), requests, "for it may have forgotten the key by then")
            self.assertEqual(due, [])


class RestoredBook(Usage):
    def test_what_is_told_since_has_keys_of_its_own(self):
        """Stripe drops an identifier that it has seen: what a lost seal told must not hide what this one tells."""
        with billing_server.Stripe(KEY) as server:
            self.targets(self.target("stripe", server.url))
            self.absorb(("s1", 3, 8, {}))
            self.back_up()
            self.absorb(("s1", 2, 2, {}))
            self.post("--strict")
            self.restore()
            self.absorb(("s1", 2, 3, {}))
            requests = len(server.requests)
            self.post()
            self.assertEqual(len(server.requests), requests, "nothing is told before somebody says so")
            self.resume("billing", "cancelled the 2 there")
            self.post("--strict")
            self.assertEqual(server.problems, [])
            self.assertEqual(server.sums(), {("s1", "api_calls"): 1000 * (8 + 2 + 3)})
        self.verify()


class Chargebee(AnySystem, Usage):
    kind, server = "chargebee", billing_server.Chargebee

    def test_a_record_of_somebody_else_is_left(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            start = int(datetime.datetime.combine(TODAY - datetime.timedelta(days=1), datetime.time(),
                                                  datetime.timezone.utc).timestamp())
            server.told["by-hand"] = ("s1", "api_calls", start, "7")
            server.notes["by-hand"] = "typed in"
            self.absorb(("s1", 1, 5, {}), ("s2", 1, 6, {}))
            self.post()
            parked, = self.deliveries("--state", "parked")
            self.assertIn("a usage of somebody else is there: by-hand", parked["last_error"])
            self.assertEqual(server.sums(), {("s1", "api_calls"): 7000, ("s2", "api_calls"): 6000})
            self.assertEqual(parked["problem"], "different")

    def assert_left(self, server, before, words):
        """All that is due is parked, and the server has what it had."""
        self.assertEqual((server.told, server.notes), before)
        rows = self.deliveries()
        self.assertEqual({(row["state"], row["problem"]) for row in rows}, {("parked", "different")})
        for row in rows:
            self.assertIn(words, row["last_error"])

    def three_posted(self, server):
        self.targets(self.target(self.kind, server.url))
        for calls in (5, 2, 3):
            self.absorb(("s1", 1, calls, {}))
        self.post("--strict")
        self.assertEqual(server.sums(), {("s1", "api_calls"): 10_000})
        return dict(server.told), dict(server.notes)

    def test_records_of_another_book_are_left(self):
        with self.server(KEY) as server:
            before = self.three_posted(server)
            path = self.catalog / "book.yaml"
            path.write_text(path.read_text().replace("name: small", "name: other"))
            self.begin_anew()
            self.absorb(("s1", 1, 70, {}))
            self.post()
            self.assert_left(server, before, "of seal 3, which this book has not told")
            for _ in range(4):  # its seals come to be the newer ones
                self.absorb(("s1", 1, 1, {}))
            self.post()
            self.assert_left(server, before, "of seal 3, which this book has not told")

    def test_records_of_a_book_that_was_made_anew_are_left(self):
        with self.server(KEY) as server:
            before = self.three_posted(server)
            self.begin_anew()
            self.absorb(("s1", 1, 1010, {}))
            self.post()
            self.assert_left(server, before, "a usage of 10 is there, ")
            for _ in range(3):  # it makes a seal of that number
                self.absorb(("s1", 1, 1, {}))
            self.post()
            _, second, third, fourth = self.deliveries()
            for row in (second, fourth):
                self.assertIn("of seal 3, and this book told 1012: look who changed it", row["last_error"])
            self.assertIn("it is there and says 10: look who changed it", third["last_error"])
            self.assert_left(server, before, "10")

    def test_a_record_that_somebody_changed_is_left(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.absorb(("s1", 1, 5, {}))
            self.post("--strict")
            key, (*place, _) = next(iter(server.told.items()))
            server.told[key] = (*place, "4")
            self.absorb(("s1", 1, 2, {}))
            self.post()
            parked, = self.deliveries("--state", "parked")
            self.assertIn("a usage of 4 is there, " + key + " of seal 1, and this book told 5: look who changed it",
                          parked["last_error"])
            self.assertEqual(server.sums(), {("s1", "api_calls"): 4000})
            server.told[key] = (*place, "5.0")
            book.tollbook("deliveries", "retry", "--books", self.books, "billing", parked["batch"])
            self.post("--wait", "5", "--strict")
            self.assert_told(server)


class Maxio(AnySystem, Usage):
    kind, server, in_bulk = "maxio", billing_server.Maxio, True

    def test_one_refused_item_keeps_back_no_other(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            server.refused.add("s2")
            self.three_seals()
            self.post()
            parked = self.deliveries("--state", "parked")
            self.assertIn("an event is not taken", parked[0]["last_error"])
            self.assertEqual(server.sums(), {place: sum for place, sum in self.used().items() if place[0] != "s2"})


class RenamedTarget(Usage):
    def assert_held(self, server, told, *names):
        """Each of the names is sent nothing, and nothing is planned for it; `post` and `status` say why."""
        requests = len(server.requests)
        done = self.post(expect=1)
        for name in names:
            words = f"paused by its new name since .*: usage was told to target {told} before".encode()
            self.assertRegex(done.stderr, f"not told to target {name}: it is ".encode() + words)
            self.assertRegex(done.stdout, f"{name} is ".encode() + words)
            self.assertEqual(self.deliveries("--catalog", self.catalog, "--target", name), [])
        self.assertIn(b"# paused by its new name", self.post("--dry-run").stdout)
        self.assertEqual(len(server.requests), requests)

    def test_a_new_name_is_told_nothing_until_somebody_says_so(self):
        with billing_server.Maxio(KEY) as server:
            self.targets(self.target("maxio", server.url))
            self.three_seals()
            self.post("--strict")
            self.targets(self.target("maxio", server.url, "renamed"))
            self.assert_held(server, "billing", "renamed")
            self.targets(self.target("maxio", server.url))
            self.absorb(("s1", 1, 4, {}))
            self.post("--strict")
            self.assert_told(server)
            self.targets(self.target("maxio", server.url, "renamed"))
            self.absorb(("s1", 1, 5, {}))
            self.assert_held(server, "billing", "renamed")
            self.assertEqual([(target["target"], target["paused"]["by"]) for target in
                              json.loads(book.tollbook("status", "--books", self.books, "--json").stdout)["targets"]
                              if "paused" in target], [("renamed", "its new name")])
            self.resume("renamed", "it is billing, which still remembers its keys")
            self.post("--strict")
            self.assert_told(server)
            self.absorb(("s1", 1, 6, {}))
            self.post("--strict")
            self.assert_told(server)
        self.verify()

    def test_who_resumed_it_before_it_was_held_did_not_see_that(self):
        with billing_server.Maxio(KEY) as server:
            self.targets(self.target("maxio", server.url, "renamed"))
            self.absorb(("s1", 3, 4, {}))
            book.tollbook("deliveries", "pause", "--books", self.books, "--catalog", self.catalog, "renamed", "--by", "Ann",
                          "--why", "not yet")
            self.resume("renamed", "now")
            self.targets(self.target("maxio", server.url))
            self.post("--strict")
            self.targets(self.target("maxio", server.url, "renamed"))
            self.assert_held(server, "billing", "renamed")
            # Before it is told anything, usage is told under a third name: that is another question.
            self.resume("renamed", "another system")
            self.targets(self.target("maxio", server.url, "second"))
            self.assert_held(server, "billing", "second")
            self.resume("second", "it is billing, which still remembers its keys")
            self.post("--strict")
            self.targets(self.target("maxio", server.url, "renamed"))
            self.assert_held(server, "second", "renamed")
            self.resume("renamed", "it is second, which still remembers its keys")
            self.post("--strict")
            self.assert_told(server)
            log = json.loads(book.tollbook("audit", "--books", self.books, "--json").stdout)["rows"]
            self.assertEqual([(row["which"], row["before"]) for row in log
                              if (row["what"], row["after"]) == ("target", "delivering")],
                             [("renamed", "paused"), ("renamed", "held, told before as billing"),
                              ("second", "held, told before as billing"), ("renamed", "held, told before as second")])
        self.verify()

    def test_who_ends_a_pause_ends_what_stands_beside_it(self):
        with billing_server.Maxio(KEY) as server:
            self.targets(self.target("maxio", server.url))
            self.absorb(("s1", 3, 4, {}))
            book.tollbook("deliveries", "pause", "--books", self.books, "--catalog", self.catalog, "billing", "--by", "Ann",
                          "--why", "not yet")
            self.targets(self.target("maxio", server.url, "first"))
            self.post("--strict")
            self.targets(self.target("maxio", server.url))
            self.assertIn(b"paused by Ann since ", self.post(expect=1).stdout)
            self.assertIn(b": not yet; and by its new name since ", self.post(expect=1).stdout)
            self.resume("billing", "it is first, which still remembers its keys")
            self.post("--strict")
            self.assert_told(server)

    def test_a_part_of_one_under_a_name_of_its_own_is_held_too(self):
        """What both names had was told under the first."""
        with billing_server.Stripe(KEY) as server:
            self.targets(self.target("stripe", server.url))
            self.three_seals()
            self.post("--strict")
            self.targets(self.target("stripe", server.url, codes="calls: api_calls"),
                         self.target("stripe", server.url, "other", codes="eu-calls: eu_calls"))
            self.assert_held(server, "billing", "other")

    def test_another_system_is_none(self):
        with billing_server.Stripe(KEY) as first, billing_server.Maxio(KEY) as second:
            self.targets(self.target("stripe", first.url))
            self.three_seals()
            self.post("--strict")
            both = self.target("stripe", first.url), self.target("maxio", second.url, "second")
            self.targets(*both)
            self.post("--strict", "--target", "second")
            self.assert_told(second)
            self.absorb(("s1", 1, 4, {}))
            self.post("--strict")
            self.assert_told(first)
            self.assert_told(second)


class ZuoraCase(Usage):
    """By a field of the tenant's own."""

    kind, server = "zuora", billing_server.Zuora
    key_field = "    key_field: UniqueKey__c\n"

    def setUp(self):
        super().setUp()
        rows = "".join(f"billing,{name},A-{name}/{name}\n" for name in self.subscriptions)
        (self.catalog / "customers.csv").write_text("target,subscription,id\n" + rows)

    def target(self, kind, url, name="billing", more="", codes="calls: api_calls, eu-calls: eu_calls"):
        return (f"  - name: {name}\n    kind: {kind}\n    url: {url.rstrip('/')}\n"
                "    auth: {kind: bearer, token: env:BILLING_KEY}\n"
                f"    charges: {{{codes}}}\n" + self.key_field + HTTP + more)


class Zuora(AnySystem, ZuoraCase):
    def test_a_subscription_without_an_id_is_told_before_anything_is_sent(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            rows = "target,subscription,id\nbilling,s1,A-s1/s1\nbilling,s2,A-s2/s2\n"
            (self.catalog / "customers.csv").write_text(rows)
            self.three_seals()
            done = self.post(expect=1)
            self.assertIn(b"subscriptions have no id in target billing: s3", done.stderr)
            self.assertEqual(server.requests, [])

    def test_one_refused_item_keeps_back_no_other(self):
        with self.server(KEY) as server:
            server.refused.add("eu_calls")
            self.targets(self.target(self.kind, server.url))
            self.three_seals()
            self.post()
            parked = self.deliveries("--state", "parked")
            self.assertIn("The UOM is invalid", parked[0]["last_error"])
            self.assertEqual(server.sums(), self.used(codes={"calls": "api_calls"}))
            server.refused.clear()
            server.answers.clear()  # a day later: Zuora repeats its refusals until then
            for row in parked:
                book.tollbook("deliveries", "retry", "--books", self.books, "billing", row["batch"])
            self.post("--wait", "5", "--strict")
            self.assert_told(server)

    def test_what_it_forgot_is_looked_for(self):
        with self.server(KEY) as server:
            self.targets(self.target(self.kind, server.url))
            self.three_seals()
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--strict")
            server.answers.clear()
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--strict")
            self.assert_told(server)


class ZuoraWithoutAField(Zuora):
    """By its Idempotency-Key alone."""

    key_field = ""
    test_what_it_forgot_is_looked_for = None  # within its 24 hours only


class Webhook(Case):
    def test_usage_rated_adds_up_to_what_was_used(self):
        self.seal(2)
        late = self.scratch / "late.ndjson"
        late.write_bytes(small.lines(small.event("late", calls=11, time="2025-01-15T13:00:00Z")))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", late)
        with fault_server.Server("hook-secret") as server:
            self.environment["HOOK_SECRET"] = "hook-secret"
            self.targets(post_test.webhook(server.url) + "    events: [journal.sealed, usage.rated]\n")
            self.post("--strict")
            events = [json.loads(body) for body in server.taken.values()]
            self.assertEqual(collections.Counter(event["type"] for event in events),
                             {"journal.sealed": 3, "usage.rated": 2})
            days = [day for event in events if event["type"] == "usage.rated" for day in event["data"]["days"]]
            self.assertEqual(sorted((day["day"], day["before"], day["quantity"], day["change"]) for day in days),
                             [("2025-01-15", "0", "100", "100"), ("2025-01-15", "100", "111", "11"),
                              ("2025-02-15", "0", "101", "101")])
            self.assertEqual(days[0]["charge"], "calls")
            self.assertEqual(server.problems, [])
        self.verify()


if __name__ == "__main__":
    book.main()
