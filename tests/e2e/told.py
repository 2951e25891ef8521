"""What every system is held to that is told item by item: of usage, or of how accounts stand."""

import collections
import shutil

import book
import fault_server


class AnySystem:
    """A mixin of post_test.Case, of which each system says:

    serve(faults)      the server that plays it
    text(server)       the target as targets.yaml has it
    three_seals()      usage of three seals, each sealed by `absorb`
    assert_told()      that the server was told what it should be as of the newest seal
    """

    LIES = ["lying_200"]  # what it may answer besides the faults of all
    LAST = ()             # faults that come last, for their answers are good ones
    in_bulk = True        # a request has many items, so there are few of them

    def test_each_seal_as_it_comes_is_the_same_in_the_end(self):
        with self.serve() as server:
            self.targets(self.text(server))
            absorb = self.absorb
            seals = iter(self.of_each_seal())

            def absorb_and_post(*events):
                absorb(*events)
                self.post("--strict")
                self.assert_told(server, **next(seals))

            self.absorb = absorb_and_post
            self.three_seals()

    def of_each_seal(self):
        """What assert_told must know, of each of the three."""
        return [{}] * 3

    def test_every_fault_ends_with_each_item_right(self):
        names = [name for name in fault_server.FAULTS if not name.startswith("kill")] + self.LIES
        if not book.LONG:  # those that wait for a time-out take seconds each
            quick = [name for name in names if name not in ("silent_after", "drip_after", "huge_after")]
            names = self.chance.sample(quick, 10)
        due = sorted(names, key=lambda name: name not in self.LAST)

        def fault(kind, key, count):
            return due.pop() if due and (count == 1 or self.in_bulk) else None

        with self.serve(fault) as server:
            self.targets(self.text(server))
            self.three_seals()
            self.post("--wait", "120", "--strict")
            self.assertEqual(due, [])
            self.assert_told(server)
        self.verify()

    def test_what_is_forbidden_is_told_once_a_person_retries_it(self):
        due = ["403_before"]

        with self.serve(lambda kind, key, count: due.pop() if due else None) as server:
            self.targets(self.text(server))
            self.three_seals()
            self.post("--strict", expect=3)
            (parked,) = self.deliveries("--state", "parked")
            self.assertEqual(parked["problem"], "authentication")
            book.tollbook("deliveries", "retry", "--books", self.books, parked["target"], parked["batch"])
            self.post("--wait", "20", "--strict")
            self.assert_told(server)

    def test_what_is_forbidden_to_who_asks_is_not_asked_of_each(self):
        """From the sixth request on, where each is of one item: what was told stays told, the rest waits as one."""
        taken = 0 if self.in_bulk else 5
        came, rights = [], []

        def fault(kind, key, count):
            came.append(key)
            return "403_before" if not rights and len(came) > taken else None

        with self.serve(fault) as server:
            self.targets(self.text(server))
            self.three_seals()
            self.post("--strict", expect=3)
            parked = self.deliveries("--state", "parked")
            self.assertEqual({row["problem"] for row in parked}, {"authentication"})
            self.assertEqual(self.states(), {"parked": len(parked)})
            self.assertLessEqual(len(came) - taken, 3 * len(parked))
            if taken:
                self.assertIn(" not sent, for they would be, too, the others are told: ", parked[0]["last_error"])
            rights.append("given")
            for row in parked:
                book.tollbook("deliveries", "retry", "--books", self.books, row["target"], row["batch"])
            self.post("--wait", "20", "--strict")
            self.assert_told(server)

    def test_killed_between_sending_and_answer(self):
        kills = 24 if book.LONG else 7
        killed = []

        def fault(kind, key, count):
            if len(killed) < kills and (key not in killed or self.in_bulk):
                killed.append(key)
                return ("kill_before", "kill_after")[len(killed) % 2]
            return None

        with self.serve(fault) as server:
            self.targets(self.text(server))
            self.three_seals()
            self.post_through_kills(server, killed, kills)
            self.assert_told(server)

    def test_a_book_put_back_tells_what_it_knows(self):
        with self.serve() as server:
            self.targets(self.text(server))
            self.three_seals()
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--strict")
            self.assert_told(server)

    def dry_run(self, server):
        """What it shows, before anything was sent."""
        self.targets(self.text(server))
        self.three_seals()
        shown = self.post("--dry-run").stdout
        self.assertEqual(server.requests, [])
        return shown

    def assert_secret_is_nowhere(self, secret, shown):
        self.assertIn(b"****", shown)
        said = shown + book.tollbook("deliveries", "--books", self.books, "--json").stdout
        for path in self.books.rglob("*"):
            said += path.read_bytes() if path.is_file() else b""
        self.assertNotIn(secret.encode(), said)

    def assert_wrong_secret_is_no_loop(self, server, name):
        """Nothing is lost either: it is tried again."""
        self.targets(self.text(server))
        self.three_seals()
        self.post(env=dict(self.environment, **{name: "another"}))
        states = collections.Counter(row["state"] for row in self.deliveries() if row["problem"] == "authentication")
        self.assertEqual(states, {"retry-wait": 1})
