"""Every batch reaches its target once among faults of all kinds, and among kills; poison is parked, and seen.

Half of the targets are webhooks, half ledgers that speak Tryton's JSON-RPC (fault_server.py). Each batch meets its
faults by chance: what is carried out and answered wrongly or not at all, what is not and looks as if it were, what is
carried out late. Half of them are sent four at a time; some want a token, which expires after a few requests. Three
systems that take many items in a request do a part of it, and answer in part. TOLLBOOK_LONG=1 plays the whole;
TOLLBOOK_SEED, TOLLBOOK_SEEDS, TOLLBOOK_KILLS say which, how many. --list-faults shows the faults.
"""

import bisect
import collections
import contextlib
import json
import os
import random
import re
import signal
import sys
import threading
import time

import accounts_server
import accounts_test
import authorization_test
import billing_server
import billing_test
import book
import fault_server
import post_test
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SEEDS = int(os.environ.get("TOLLBOOK_SEEDS", "20" if book.LONG else "1"))
KILLS = int(os.environ.get("TOLLBOOK_KILLS", "300" if book.LONG else "6"))
# Faults of a request, on average; a ledger's are fewer than that, since what it has carried out is not asked for again.
TARGETS, MONTHS, FAULTS = (20, 100, 9.5) if book.LONG else (4, 4, 1.5)
FAULTS_LEAST = 10_000 if book.LONG else 1  # of a seed
ACCOUNTS, SEALS, REQUEST_FAULTS = (2000, 10, 40) if book.LONG else (450, 2, 8)
PER_SECOND = 40
CONNECTIONS = 4
USES_OF_A_TOKEN = 2
# Fewer of them: seconds each, or a person's work.
RARE = ("drip_after", "drip_head_after", "silent_after", "huge_after", *fault_server.REFUSALS)

COMMON = {**fault_server.FAULTS, **fault_server.LATE, **fault_server.LIMITING}
OF_EVENTS = [name for name in (*COMMON, *fault_server.REFUSALS) if not name.startswith("kill")]
OF_CALLS = [*OF_EVENTS, *fault_server.LYING, *fault_server.FORGETTING, fault_server.SEARCH_LAG]
AMBIGUOUS = ["kill_before", "kill_after", "drop_after", "reset_after", "500_after", "504_after", "cut_after",
             "html_200_after", "garbage_after", "drop_before", "500_before", "cut_before"]


class Play:
    """What each server does: so many faults of a request, others each time."""

    def __init__(self, seed, kinds, faults, poison):
        self.chance = random.Random(seed)
        self.kinds, self.faults, self.poison = kinds, faults, poison
        self.planned = {}
        self.played = collections.Counter()
        self.healed = False
        self.lock = threading.Lock()

    def __call__(self, kind, key, count):
        with self.lock:
            if self.healed:
                return None
            if key in self.poison:
                return "409_before"
            if (kind, key) not in self.planned:
                # Of a draft and its posting half each.
                most = self.faults if kind == "event" else self.faults / 1.5
                self.planned[kind, key] = self.chance.randint(0, round(2 * most))
            if count > self.planned[kind, key]:
                return None
            name = self.chance.choice(self.kinds)
            if name in RARE and self.chance.random() < 0.9:
                name = "reset_after"
            self.played[name] += 1
            return name


class TokenServer(authorization_test.TokenServer):
    """Its tokens expire sooner than it says."""

    def __init__(self, secret, faults, companies):
        super().__init__(secret, faults=faults, companies=companies)
        self.uses = collections.Counter()
        self.valid = self.use

    def use(self, token):
        with self.lock:
            self.uses[token] += 1
            return self.uses[token] <= USES_OF_A_TOKEN


class Chaos(post_test.Case):
    def setUp(self):
        super().setUp()
        self.environment["CLIENT_SECRET"] = authorization_test.CANARY
        self.entities = [f"entity-{number:02d}" for number in range(TARGETS)]
        small.write_catalog(self.catalog, subscriptions=())
        (self.catalog / "entities.yaml").write_text("entities:\n" + "".join(
            f"  - {{name: {entity}, functional_currency: USD}}\n" for entity in self.entities))
        with (self.catalog / "subscriptions.csv").open("a") as rows:
            rows.writelines(f"{entity},{entity},basic,{entity},USD,2025-01-01,\n" for entity in self.entities)

    def seal_months(self, months):
        events = self.scratch / "usage.ndjson"
        events.write_bytes(small.lines(*(
            small.event(f"{entity}-{month}", subject=entity, calls=100 + month,
                        time=f"{2025 + month // 12}-{month % 12 + 1:02d}-15T12:00:00Z")
            for entity in self.entities for month in range(months))))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)
        self.keys = collections.defaultdict(list)  # entity -> posting keys
        self.batches = {}                          # posting key -> batch
        for key, rows in self.journal().items():
            self.keys[rows[0]["entity"]].append(key)
            self.batches[key] = rows[0]["batch_id"]
        self.assertEqual(len(self.batches), months * TARGETS)

    @contextlib.contextmanager
    def servers(self, play):
        """One of each entity, and the targets.yaml that names them."""
        with contextlib.ExitStack() as stack:
            servers, targets = {}, []
            for number, entity in enumerate(self.entities):
                wants_token = number % 4 == 0
                server = (TokenServer if wants_token else fault_server.Server)(post_test.SECRET, play, {entity: "USD"})
                servers[entity] = stack.enter_context(server)
                make = post_test.ledger if number % 2 else post_test.webhook
                text = make(servers[entity].url, name="to-" + entity).replace("quiet_seconds: 0", "quiet_seconds: 1")
                text = text.replace("{acme-us: Acme US}", f"{{{entity}: {entity}}}")
                if wants_token:
                    text += (f"    auth: {{token_url: {server.url}token, client_id: tollbook, "
                             f"{authorization_test.WITH_SECRET}}}\n")
                concurrency = CONNECTIONS if self.goes_several_at_a_time(number) else 1
                targets.append(text + f"    entities: [{entity}]\n    requests: {{per_second: {PER_SECOND}, "
                               f"concurrency: {concurrency}}}\n")
            self.targets(*targets)
            yield servers

    @staticmethod
    def goes_several_at_a_time(number):
        return number % 4 >= 2

    def post_until_nothing_waits(self, seconds):
        end = time.monotonic() + seconds
        while True:
            report = json.loads(self.post("--wait", "60", "--json").stdout)
            if report["waiting"] == 0:
                return
            self.assertLess(time.monotonic(), end, "it does not come to an end")

    def assert_each_is_there_once(self, servers, but=()):
        for number, entity in enumerate(self.entities):
            server = servers[entity]
            self.assertEqual(server.problems, [])
            keys = {key for key in self.keys[entity] if key not in but}
            if number % 2:
                moves = collections.Counter(move["description"].split()[0] for move in server.ledger.moves.values())
                self.assertEqual(moves, collections.Counter(keys))
                self.assertEqual({move["state"] for move in server.ledger.moves.values()}, {"posted"} if keys else set())
                lines = {move["description"].split()[0]: sorted(line["debit"]["decimal"] for line in move["lines"])
                         for move in server.ledger.moves.values()}
                journal = self.journal_
                self.assertEqual(lines, {key: sorted(row["debit"] for row in journal[key]) for key in keys})
            else:
                self.assertEqual(set(server.taken), keys)

    def assert_manners(self, servers):
        """No Retry-After is broken, and no limit of requests, also when what was down comes back: of all that came, what
        logs in and asks, too. What was under way on other connections ends: of no more batches than these something
        comes while the target is to be left alone."""
        waits = 0
        for number, entity in enumerate(self.entities):
            server = servers[entity]
            times = list(server.times)
            if isinstance(server, TokenServer):  # what it is asked for tokens is not the target's
                times = [at for at, (_, path, *_) in zip(server.times, server.wire) if path != "/token"]
            for at, _, _, fault in server.requests:
                after = bisect.bisect_right(times, at)
                if fault and fault.endswith("retry_after") and after < len(times):
                    until = at + fault_server.RETRY_AFTER_SECONDS - 0.01
                    if self.goes_several_at_a_time(number):
                        under_way = {key for came, _, key, _ in server.requests if at < came < until}
                        self.assertLess(len(under_way), CONNECTIONS)
                    else:
                        self.assertGreaterEqual(times[after], until)
                    waits += 1
            for first, last in zip(times, times[PER_SECOND:]):
                self.assertGreater(last - first, 0.8)  # as many and one more in a second, but for what a network adds
            if isinstance(server, TokenServer):
                self.assertGreaterEqual(len(server.tokens), server.refused, "each refusal is answered by a new token")
        return waits

    def test_every_batch_once_among_faults(self):
        self.seal_months(MONTHS)
        self.journal_ = self.journal()
        for seed in range(SEED, SEED + SEEDS):
            with self.subTest(seed=seed):
                self.one_seed(seed)

    def one_seed(self, seed):
        began = time.monotonic()
        name = f"seed-{seed}"
        chance = random.Random(seed)
        poison = set(chance.sample(sorted(self.batches), max(1, len(self.batches) // 100)))
        play = Play(seed, OF_CALLS, FAULTS, poison)
        events = Play(seed + 1, OF_EVENTS, FAULTS, poison)
        both = lambda kind, key, count: (events if kind == "event" else play)(kind, key, count)
        with self.fresh_book(name), self.servers(both) as servers:
            self.post_until_nothing_waits(3600)
            parked = {row["key"] for row in self.deliveries("--state", "parked")}
            self.assertLessEqual(poison, parked, "poison is parked, and seen")
            refused = parked - poison
            told_so = {key for server in servers.values() for _, _, key, fault in server.requests
                       if fault in fault_server.REFUSALS}
            why = {row["key"]: row["last_error"] for row in self.deliveries("--state", "parked")}
            self.assertLessEqual(refused, told_so, f"and nothing is that nobody refused: {why}")
            self.assertEqual(self.states(), {"confirmed": len(self.batches) - len(parked), "parked": len(parked)})
            play.healed = events.healed = True
            for row in self.deliveries("--state", "parked"):
                book.tollbook("deliveries", "retry", "--books", self.books, row["target"], row["batch"])
            self.post_until_nothing_waits(600)
            self.assertEqual(self.states(), {"confirmed": len(self.batches)})
            self.assert_each_is_there_once(servers)
            waits = self.assert_manners(servers)
            played = play.played + events.played
            played["401_expired"] = sum(server.refused for server in servers.values() if isinstance(server, TokenServer))
            self.assertGreater(played["401_expired"], 0)
            self.assertGreaterEqual(sum(played.values()), FAULTS_LEAST)
            book.say(f"seed {seed}: {len(self.batches)} batches, {sum(played.values())} faults of {len(played)} kinds, "
                     f"{len(poison)} poison, {len(refused)} refused by a lie, {waits} waits kept, "
                     f"{time.monotonic() - began:.0f} s")
        self.verify()

    @contextlib.contextmanager
    def fresh_book(self, name):
        """The sealed book, as it was before any delivery."""
        sealed = self.books
        self.books = self.scratch / name
        post_test.shutil.copytree(sealed, self.books)
        try:
            yield
        finally:
            self.used, self.books = self.books, sealed

    def verify(self):
        book.tollbook("verify", "--books", self.used)
        post_test.shutil.rmtree(self.used)

    def test_every_batch_once_among_kills(self):
        self.seal_months(max(2, KILLS // TARGETS))
        self.journal_ = self.journal()
        chance = random.Random(SEED)
        ended = []  # starts that a kill ended
        lock = threading.Lock()

        def faults(kind, key, count):
            with lock:
                if count > 12 or len(ended) >= KILLS:
                    return None
                return chance.choice(AMBIGUOUS if chance.random() < 0.5 else AMBIGUOUS[:2])

        with self.fresh_book("killed"), self.servers(faults) as servers:
            starts = 0
            while len(ended) < KILLS and starts < 20 * KILLS:
                running = self.start_post("--wait", "2")
                for server in servers.values():
                    server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
                running.communicate(timeout=120)
                for server in servers.values():
                    server.kill = lambda: None  # its number may be another process's by now
                starts += 1
                if running.returncode == -signal.SIGKILL:
                    ended.append(starts)
                elif running.returncode == 0 and not json.loads(self.post("--json").stdout)["waiting"]:
                    break
            self.post_until_nothing_waits(600)
            self.assertEqual(self.states(), {"confirmed": len(self.batches)})
            self.assert_each_is_there_once(servers)
            book.say(f"seed {SEED}: {len(self.batches)} batches, {starts} starts, {len(ended)} ended by a kill")
            self.assertEqual(len(ended), KILLS)
        self.verify()


class InPart(post_test.Case):
    """Accounts and their usage, told to systems that take many of them in one request."""

    CODES = {"calls": "api_calls"}

    def setUp(self):
        super().setUp()
        self.names = [f"a{number:04d}" for number in range(ACCOUNTS)]
        small.write_catalog(self.catalog, subscriptions=self.names)
        self.environment.update(CRM_TOKEN=accounts_test.TOKEN, BILLING_KEY=billing_test.KEY)
        self.used = collections.Counter()

    def seal_more(self, chance, number):
        """Usage of half of the accounts."""
        events = []
        for name in self.names if number == 0 else chance.sample(self.names, ACCOUNTS // 2):
            calls = chance.randint(1, 99)
            self.used[name] += calls
            events.append(small.event(f"{number}-{name}", calls=calls, subject=name, time="2025-03-05T12:00:00Z"))
        path = self.scratch / f"usage-{number}.ndjson"
        path.write_bytes(small.lines(*events))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", path)

    @staticmethod
    def plan(chance, kinds, played):
        """Three of four requests meet a fault, while there are some left; `left` is how many."""
        lock = threading.Lock()

        def faults(kind, key, count):
            with lock:
                if faults.left == 0 or chance.random() < 0.25:
                    return None
                faults.left -= 1
                name = chance.choice(kinds)
                if name in RARE and chance.random() < 0.9:
                    name = chance.choice(faults.often)
                played[name] += 1
                return name

        faults.left = 0
        faults.often = [name for name in kinds if name not in RARE]
        return faults

    def assert_refused_and_seen(self, target, wrong, poison):
        """What is not as it should be there is told as refused, item by item; and it has all of the poison."""
        self.assertLessEqual(poison, wrong, "poison is refused")
        refused = 0
        for row in self.deliveries("--target", target, "--state", "parked"):
            self.assertEqual([row["problem"], row["owner"]], ["validation", "finance"])
            several = re.match(r"(\d+) of \d+ items refused(?:, the others are told)?: ", row["last_error"])
            self.assertTrue(several, row["last_error"])
            refused += int(several[1])
        self.assertLessEqual(len(wrong), refused, "nothing is missing that nobody was told of")

    def test_every_record_once_among_answers_in_part(self):
        for seed in range(SEED, SEED + SEEDS):
            with self.subTest(seed=seed):
                self.books = self.scratch / f"seed-{seed}"
                self.used.clear()
                self.one_seed(seed)

    def one_seed(self, seed):
        began = time.monotonic()
        chance = random.Random(seed)
        each_has_a_word = [*fault_server.BULK] * 4 + OF_EVENTS
        all_have_one = ["bulk_refused"] * 12 + OF_EVENTS
        played = collections.Counter()
        plans = [self.plan(random.Random(seed + place), kinds, played)
                 for place, kinds in enumerate((each_has_a_word, all_have_one, all_have_one))]
        poison = set(chance.sample(self.names, max(2, ACCOUNTS // 200)))
        facts = "    fields: {month: Month%s, usage/calls: Calls%s, spend/USD: Spend%s}\n"
        with (accounts_server.Salesforce(plans[0]) as crm, accounts_server.Gainsight(plans[1]) as success,
              billing_server.Maxio(billing_test.KEY, plans[2]) as billing):
            crm.chance = success.chance = random.Random(seed)
            crm.refused, success.refused, billing.refused = set(poison), set(poison), set(poison)
            targets = (accounts_test.salesforce(crm.url, facts % (("__c",) * 3)),
                       accounts_test.gainsight(success.url, facts % (("__gc",) * 3), name="success"),
                       billing_test.target("maxio", billing.url, "billing", "", "calls: api_calls"))
            self.targets(*(target.replace("quiet_seconds: 0", "quiet_seconds: 1") for target in targets))

            def wrong():
                """target -> whose record, or sum, is not as it should be."""
                sums = billing.sums()
                of = {"billing": {name for name in self.names
                                  if sums.get((name, "api_calls"), 0) != 1000 * self.used[name]}}
                for target, server, suffix in (("crm", crm, "__c"), ("success", success, "__gc")):
                    of[target] = {name for name in self.names if server.records.get(name) != {
                        "Month" + suffix: "2025-03", "Calls" + suffix: ("number", str(self.used[name])),
                        "Spend" + suffix: ("number", f"{self.used[name] / 100:.2f}")}}
                return of

            for number in range(SEALS):
                self.seal_more(chance, number)
                for plan in plans:
                    plan.left = REQUEST_FAULTS
                self.post("--wait", "3600")
            for plan in plans:
                plan.left = 0
            self.assertLessEqual(set(self.states()), {"confirmed", "superseded", "parked"}, "all else healed")
            found = wrong()
            for target, names in found.items():
                self.assert_refused_and_seen(target, names, poison)
            self.assertEqual([crm.left_out, crm.problems, success.problems, billing.problems], [set(), [], [], []])
            for server in (crm, success, billing):
                server.refused.clear()
            for row in self.deliveries("--state", "parked"):
                book.tollbook("deliveries", "retry", "--books", self.books, row["target"], row["batch"])
            self.post("--wait", "600", "--strict")
            self.assertEqual(wrong(), {"billing": set(), "crm": set(), "success": set()})
            requests = sum(len(server.requests) for server in (crm, success, billing))
            book.say(f"seed {seed}: {ACCOUNTS} accounts, {SEALS} seals, {requests} requests, {sum(played.values())} "
                     f"faults of {len(played)} kinds, {len(poison)} poison, {sum(map(len, found.values()))} parked, "
                     f"{time.monotonic() - began:.0f} s")
        book.tollbook("verify", "--books", self.books)


if __name__ == "__main__":
    if "--list-faults" in sys.argv:
        print("\n".join(fault_server.names()))
        sys.exit()
    book.say(f"TOLLBOOK_SEED={SEED}")
    book.main()
