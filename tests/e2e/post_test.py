"""Each batch reaches its target once, whatever the target, the network or the process does on the way.

Against a server that plays faults (fault_server.py), with tollbook killed between sending and answer. TOLLBOOK_LONG=1
plays more of them; TOLLBOOK_SEED repeats the order of another time.
"""

import collections
import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import pwd
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import unittest

import book
import disk
import fault_server
import small

SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
SECRET = "canary-7c1f-secret"
PASSWORD = "a-password"
QUICK = "    retry: {first_seconds: 1, cap_seconds: 1}\n"
HTTP = "    plain_http: true\n    timeout_seconds: 2\n    quiet_seconds: 0\n" + QUICK


def webhook(url, name="hook", deduplicates="true"):
    return (f"  - name: {name}\n    kind: webhook\n    url: {url}\n    secret: env:HOOK_SECRET\n"
            f"    deduplicates: {deduplicates}\n    answer_names_key: false\n" + HTTP)


def ledger(url, name="erp", more=""):
    return (f"  - name: {name}\n    kind: tryton\n    url: {url}\n    user: tollbook\n    password: file:erp.password\n"
            "    journal: USAGE\n    companies: {acme-us: Acme US}\n" + HTTP + more)


def files(name="archive", form="csv"):
    return f"  - name: {name}\n    kind: files\n    directory: out-{name}\n    format: {form}\n"


class Case(book.Case):
    """A book of some batches: one a month, of 1.00, 1.01, 1.02 … USD."""

    def setUp(self):
        super().setUp()
        self.chance = random.Random(SEED)
        self.catalog = small.write_catalog(self.scratch / "catalog")
        self.books = self.scratch / "book"
        (self.catalog / "erp.password").write_text(PASSWORD + "\n")
        (self.catalog / "erp.password").chmod(0o600)
        self.environment = dict(os.environ, HOOK_SECRET=SECRET)

    def seal(self, batches):
        events = self.scratch / "usage.ndjson"
        events.write_bytes(small.lines(*(
            small.event(number, calls=100 + number, time=f"{2025 + number // 12}-{number % 12 + 1:02d}-15T12:00:00Z")
            for number in range(batches))))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)
        self.assertEqual(len(self.journal()), batches)

    def seal_more(self, batches):
        events = self.scratch / "more.ndjson"
        events.write_bytes(small.lines(*(small.event(f"more-{number}", calls=7) for number in range(batches))))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)

    def targets(self, *targets):
        (self.catalog / "targets.yaml").write_text("targets:\n" + "".join(targets))

    def post(self, *more, expect=0, **how):
        return book.tollbook("post", "--books", self.books, "--catalog", self.catalog, *more, expect=expect,
                             env=how.pop("env", self.environment), **how)

    def start_post(self, *more):
        return book.start("post", "--books", self.books, "--catalog", self.catalog, *more, env=self.environment)

    def post_through_kills(self, server, killed, kills):
        """Starts it again each time that the server kills it; `killed` has the kills so far."""
        for _ in range(kills + 2):
            running = self.start_post("--wait", "20")
            server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
            running.communicate(timeout=60)
            server.kill = lambda: None  # its number may be another process's by now
            if running.returncode == 0:
                break
            self.assertEqual(running.returncode, -signal.SIGKILL)
        self.assertEqual(len(killed), kills)
        self.post("--wait", "20", "--strict")

    def back_up(self):
        book.tollbook("backup", "--books", self.books, "--to", self.scratch / "backups")

    def restore(self):
        """From then on the book is one that knows nothing of what was done since the backup."""
        lost, self.books = self.books, self.books.with_name(self.books.name + "-restored")
        book.tollbook("restore", "--from", self.scratch / "backups", "--books", self.books)
        shutil.rmtree(lost)

    def resume(self, target, why="looked there"):
        book.tollbook("deliveries", "resume", "--books", self.books, "--catalog", self.catalog, target, "--by", "Ann",
                      "--why", why)

    def deliveries(self, *more):
        return json.loads(book.tollbook("deliveries", "--books", self.books, "--json", *more).stdout)

    def states(self):
        return collections.Counter(row["state"] for row in self.deliveries())

    def journal(self):
        """posting key -> the rows of its batch."""
        batches = collections.defaultdict(list)
        for row in book.rows_of(book.tollbook("journals", "--books", self.books, "--format", "csv").stdout):
            batches[row["posting_key"]].append(row)
        return batches

    def verify(self):
        book.tollbook("verify", "--books", self.books)

    def reconciled(self, *more):
        """What `post --reconcile` says of the target."""
        return json.loads(self.post("--wait", "10", "--json", "--reconcile", *more).stdout)["targets"][0]

    def assert_unsettled(self, parked):
        """It may be there: it is in the way of a close, and explains no difference."""
        compared = book.tollbook("reconcile", "--books", self.books, expect=1)
        self.assertIn("parked, may be there", compared.stdout.decode())
        refused = book.tollbook("periods", "close", "--books", self.books, "--catalog", self.catalog, "--entity",
                                "acme-us", "--period", "2025-01", "--by", "Ann", "--why", "month end", expect=1)
        self.assertIn(f"{parked['batch']} to {parked['target']} may or may not have arrived", refused.stderr.decode())

    def assert_reconciles(self, server, whole, other):
        """What the server has is changed, taken away, and asked about with other codes: `other` of targets.yaml."""
        self.targets(whole)
        self.post("--wait", "10", "--strict")
        before = len(server.requests)
        self.assertEqual(self.reconciled()["reconciled_now"], 3)
        self.assertEqual(self.states(), {"reconciled": 3})
        self.assertNotIn("create", {kind for _, kind, _, _ in server.requests[before:]})
        rows = [row for row in book.rows_of(book.tollbook("reconcile", "--books", self.books, "--format", "csv").stdout)
                if row["step"].startswith("reconciled with ")]
        self.assertEqual([row["left"] for row in rows], [row["right"] for row in rows])
        self.assertEqual(sum(float(row["right"]) for row in rows),
                         sum(float(row["debit"]) for batch in self.journal().values() for row in batch))
        before = len(server.requests)
        self.assertEqual(self.reconciled()["reconciled_now"], 0)
        self.assertEqual(len(server.requests), before, "what is reconciled is not asked about")
        changed, gone, _ = sorted(self.journal())
        server.change(changed)
        server.remove(gone)
        self.assertEqual(self.reconciled("--again")["reconciled_now"], 1)
        self.assertEqual(self.states(), {"reconciled": 1, "parked": 2})
        errors = {row["key"]: row["last_error"] for row in self.deliveries("--state", "parked")}
        self.assertIn("says something else", errors[changed])
        self.assertIn("and is not there any more: look who took it away", errors[gone])
        self.targets(other)
        before = len(server.requests)
        self.assertIn("1: targets.yaml has other codes than when it was sent",
                      self.reconciled("--again")["not_reconciled"])
        self.assertEqual(len(server.requests), before)
        self.assertEqual(server.problems, [])
        self.verify()

    def assert_ledger_equals_journal(self, server):
        posted = collections.Counter()
        for move in server.ledger.moves.values():
            self.assertEqual(move["state"], "posted", "no draft is left")
            key = move["description"].split()[0]
            posted[key] += 1
            sides = sorted((str(line["account"]), line["debit"]["decimal"], line["credit"]["decimal"])
                           for line in move["lines"])
            self.assertEqual(sides, sorted((row["account"], row["debit"], row["credit"])
                                           for row in self.journal()[key]))
        self.assertEqual(posted, collections.Counter(self.journal().keys()), "each batch once")
        self.assertEqual(server.problems, [])


class Files(Case):
    def test_each_batch_is_a_file_with_its_sum(self):
        self.seal(3)
        self.targets(files(), files("json", "json"), files("text", "ledger"))
        self.post("--strict")
        csv = b"".join(path.read_bytes().split(b"\n", 1)[1]
                       for path in sorted((self.catalog / "out-archive").glob("*.csv")))
        whole = book.tollbook("journals", "--books", self.books, "--format", "csv").stdout
        self.assertEqual(csv, whole.split(b"\n", 1)[1], "together they are the journal")
        for path in sorted(self.catalog.glob("out-*/*.sha256")):
            digest, name = path.read_text().split()
            self.assertEqual(digest, hashlib.sha256((path.parent / name).read_bytes()).hexdigest())
        text = b"".join(path.read_bytes() for path in sorted((self.catalog / "out-text").glob("*.ledger")))
        self.assertEqual(text, book.tollbook("journals", "--books", self.books, "--format", "ledger").stdout)
        one = json.loads(next((self.catalog / "out-json").glob("*.json")).read_text())
        self.assertEqual([one["debit"], one["credit"], one["lines"][0]["amount"]], ["1.00", "1.00", "1.00"])
        self.assertFalse(list(self.catalog.glob("out-*/*.new")))
        self.assertEqual(self.states(), {"confirmed": 9})
        self.verify()

    def test_what_is_delivered_is_left_alone(self):
        self.seal(1)
        self.targets(files())
        self.post()
        data = next((self.catalog / "out-archive").glob("*.csv"))
        shutil.rmtree(data.parent)  # whoever reads took it away
        report = json.loads(self.post("--json", "--strict").stdout)
        self.assertEqual(report["targets"][0]["planned_now"], 0)
        self.assertFalse(data.parent.exists())

    def test_files_are_compared_and_taken_ones_are_not_missed(self):
        self.seal(3)
        self.targets(files())
        self.post("--strict")
        taken, edited, left = sorted((self.catalog / "out-archive").glob("*.csv"))
        taken.unlink()
        edited.write_bytes(edited.read_bytes() + b"more\n")
        said = self.reconciled()
        self.assertEqual(said["not_reconciled"], f"1: {taken} is not there: whoever it is for may have taken it")
        states = {row["batch"]: row["state"] for row in self.deliveries()}
        self.assertEqual(states, {taken.stem: "confirmed", edited.stem: "parked", left.stem: "reconciled"})
        text = self.post("--reconcile").stdout.decode()
        self.assertIn(f"not reconciled with archive, 1: {taken} is not there", text)

    def test_the_place_is_the_directory_however_it_is_written(self):
        self.seal(1)
        self.targets(files())
        self.post("--strict")
        out = (self.catalog / "out-archive").resolve()
        one, = self.deliveries()
        shown = book.tollbook("deliveries", "show", "--books", self.books, "archive", one["batch"]).stdout.decode()
        self.assertRegex(shown, f"sent to +{re.escape(str(out))}\n")
        link = self.scratch / "link"
        link.symlink_to(self.catalog)
        for written in ("./out-archive/", f"../{self.catalog.name}/out-archive", str(out), str(link / "out-archive")):
            self.targets(files().replace("out-archive", written))
            said = self.reconciled("--again")
            self.assertEqual((said["reconciled_now"], said.get("not_reconciled")), (1, None), written)
        # The same word in a catalog elsewhere is another directory, whatever lies there.
        moved = self.scratch / "moved"
        self.targets(files())
        shutil.copytree(self.catalog, moved)
        said = json.loads(book.tollbook("post", "--books", self.books, "--catalog", moved, "--json", "--reconcile",
                                        "--again", env=self.environment).stdout)["targets"][0]
        self.assertEqual(said["not_reconciled"], f"1: it was sent to {out}, and targets.yaml has "
                         f"{(moved / 'out-archive').resolve()} now, so it is not compared")

    def test_another_file_of_that_name_is_not_written_over(self):
        self.seal(2)
        self.targets(files())
        out = self.catalog / "out-archive"
        out.mkdir()
        (out / "acme-us-USD-2025-01-0001.csv").write_text("somebody else's\n")
        self.assertEqual(self.post("--strict", expect=3).stderr, b"")
        self.assertEqual((out / "acme-us-USD-2025-01-0001.csv").read_text(), "somebody else's\n")
        parked, = self.deliveries("--state", "parked")
        self.assertIn("says something else", parked["last_error"])
        self.assertEqual([parked["owner"], parked["next_step"]],
                         ["finance", "compare what the target has under the key with `tollbook deliveries show --body`; mend or "
                          "reverse it there, then `tollbook deliveries retry`, or `resolve` it"])
        self.assertEqual(parked["problem"], "different")
        self.assertLess(int(parked["age_seconds"]), 600)
        shown = book.tollbook("deliveries", "show", "--books", self.books, "archive", parked["batch"]).stdout.decode()
        self.assertRegex(shown, r"(?s)next step +compare what .*\nage +\d+ s\n")
        done = next(row for row in self.deliveries() if row["state"] == "confirmed")
        self.assertEqual([done["owner"], done["next_step"], done["age_seconds"]], ["", "", ""])
        self.assertEqual(self.states(), {"parked": 1, "confirmed": 1}, "the other batch is not held up")
        (out / "acme-us-USD-2025-01-0001.csv").unlink()
        book.tollbook("deliveries", "retry", "--books", self.books, "archive", parked["batch"])
        self.post("--strict")
        self.verify()

    def test_limits_and_first_period_and_people(self):
        self.seal(3)
        self.targets(files() + "    limits: {amount: {USD: 1.01}}\n", files("later") + '    from: "2025-04"\n')
        self.post()
        self.assertEqual(self.states(), {"confirmed": 2, "parked": 1})
        parked, = self.deliveries("--state", "parked")
        self.assertIn("1.02 USD, and the limit is 1.01", parked["last_error"])
        unsigned = ("deliveries", "resolve", "--books", self.books, "archive", parked["batch"])
        book.tollbook(*unsigned, "--posted", "by hand 7", expect=2)  # nobody vouches for it
        resolve = (*unsigned, "--by", "Ann", "--why", "saw it there")
        book.tollbook(*resolve, expect=2)
        book.tollbook(*resolve, "--posted", "by hand 7")
        self.assertEqual(self.states(), {"confirmed": 3})
        book.tollbook(*resolve, "--superseded", expect=1)  # it is final
        book.tollbook(*resolve, "--not-posted")  # but a person may have been mistaken
        mistaken, = self.deliveries("--state", "pending")
        self.assertEqual(mistaken["document"], "")
        self.verify()
        rows = book.rows_of(book.tollbook("audit", "--books", self.books, "--format", "csv").stdout)
        self.assertIn("Ann", [row["by"] for row in rows][-1])
        self.post()
        self.assertEqual(self.states(), {"confirmed": 2, "parked": 1}, "it is still beyond the limits")
        self.targets(files(), files("later") + '    from: "2025-04"\n')
        book.tollbook("deliveries", "retry", "--books", self.books, "archive", parked["batch"])
        retried = json.loads(book.tollbook("audit", "--books", self.books, "--json").stdout)["rows"][-1]
        self.assertEqual([retried["by"], retried["before"], retried["after"]],
                         [pwd.getpwuid(os.geteuid()).pw_name, "parked", "pending"], "nobody signed it")
        self.post("--strict")
        self.assertIn(b"the target itself has confirmed it", book.tollbook(*resolve, "--not-posted", expect=1).stderr)
        self.assertIn(b"no document is named", book.tollbook(*resolve, "--posted", "", expect=2).stderr)
        self.assertIn(b"there is no such target", book.tollbook(
            "deliveries", "--books", self.books, "--target", "archve", expect=1).stderr)
        self.post("--wait", "-5", expect=2)
        book.tollbook("deliveries", "park", "--books", self.books, "archive", "no such batch", expect=1)

    def test_a_target_that_is_paused_gets_nothing_until_it_is_resumed(self):
        self.seal(2)
        self.targets(files(), files("other"))
        say = ("--books", self.books, "--by", "Ann", "--why", "their maintenance")
        book.tollbook("deliveries", "pause", "archve", *say, expect=1)  # no such target
        self.post("--target", "other")
        self.post("--dry-run")
        book.tollbook("deliveries", "pause", "other", *say[:2], expect=2)  # nobody vouches for it
        self.assertFalse((self.catalog / "out-archive").exists())
        book.tollbook("deliveries", "resume", "other", *say, expect=1)  # it is not paused
        book.tollbook("deliveries", "pause", "other", *say)
        book.tollbook("deliveries", "pause", "other", *say, expect=1)  # already
        # One that only a catalog has, and one that only its pause remembers.
        self.targets(files(), files("other"), files("new"))
        self.assertIn(b"with --catalog DIR", book.tollbook("deliveries", "pause", "new", *say, expect=1).stderr)
        book.tollbook("deliveries", "pause", "new", *say, "--catalog", self.catalog)
        self.targets(files(), files("other"))
        self.assertIn(b"target new is paused by Ann", book.tollbook("deliveries", "--books", self.books).stdout)
        book.tollbook("deliveries", "resume", "new", *say)
        self.seal_more(1)
        report = json.loads(self.post("--json", "--wait", "60", "--strict", expect=3).stdout)  # waits for nothing
        archive, other = report["targets"]
        self.assertEqual(archive["confirmed_now"], 3, "the other target goes on")
        self.assertEqual([other["planned_now"], other["confirmed_now"], other["pending"]], [1, 0, 1])
        pause = other["paused"]
        self.assertEqual([pause["by"], pause["why"]], ["Ann", "their maintenance"])
        said = f"paused by Ann since {pause['since']}: their maintenance"
        since = datetime.datetime.fromisoformat(pause["since"].replace("Z", "+00:00"))
        self.assertLess(abs(time.time() - since.timestamp()), 600)
        self.assertIn("other is " + said, self.post().stdout.decode())
        self.assertIn("target other is " + said, book.tollbook("deliveries", "--books", self.books).stdout.decode())
        self.assertNotIn(b"is paused", book.tollbook("deliveries", "--target", "archive", "--books", self.books).stdout)
        waits, = self.deliveries("--state", "pending")
        self.assertEqual([waits["target"], waits["paused_by"], waits["paused_since"], waits["paused_why"]],
                         ["other", "Ann", pause["since"], "their maintenance"])
        done = self.deliveries("--state", "confirmed")
        self.assertEqual({row["paused_by"] for row in done}, {""}, "what is over waits for nobody")
        show = ("deliveries", "show", "--books", self.books, "other", waits["batch"])
        self.assertIn(said[len("paused "):], book.tollbook(*show).stdout.decode())
        self.assertIn("# " + said, self.post("--dry-run").stdout.decode())
        self.assertIn(said, book.tollbook("status", "--books", self.books).stdout.decode())
        status = json.loads(book.tollbook("status", "--books", self.books, "--json").stdout)["targets"]
        self.assertEqual(status, [{"target": "archive", "waiting": 0, "parked": 0, "outside_windows": []},
                                  {"target": "other", "waiting": 1, "parked": 0, "paused": pause, "outside_windows": []}])
        book.tollbook("deliveries", "resume", "other", *say)
        self.post("--strict")
        self.assertEqual(self.states(), {"confirmed": 6})
        audit = book.rows_of(book.tollbook("audit", "--books", self.books, "--format", "csv").stdout)
        told = [(row["which"], row["by"], row["before"], row["after"]) for row in audit if row["what"] == "target"]
        self.assertEqual([row for row in told if row[0] == "other"],
                         [("other", "Ann", "delivering", "paused"), ("other", "Ann", "paused", "delivering")])
        self.verify()

    def test_a_window_that_is_shut_keeps_what_is_due_until_it_opens(self):
        self.seal(1)
        now = time.gmtime()
        weekday = time.strftime("%a", time.gmtime(time.time() + 2 * 86400)).lower()
        shut = "    windows: [{zone: UTC, days: %s}]\n" % weekday
        self.targets(files("today"), files("shut") + shut,
                     files("others") + "    windows: [{entities: [acme-us], zone: UTC}]\n")
        report = json.loads(self.post("--json").stdout)
        self.assertEqual([target["confirmed_now"] for target in report["targets"]], [1, 0, 1])
        self.assertEqual(report["waiting"], 1)
        opens = datetime.datetime.fromisoformat(report["next_due"].replace("Z", "+00:00"))
        self.assertEqual([opens.hour, opens.minute, opens.second], [0, 0, 0])
        self.assertIn((opens.date() - datetime.date(*now[:3])).days, (1, 2, 3))  # midnight may pass meanwhile
        # By the catalog that is named: the one of the newest seal has no targets.
        until = report["next_due"]
        known = ("--books", self.books, "--catalog", self.catalog)
        said = f"target shut is outside its windows for acme-us until {until}\n"
        self.assertIn(said, book.tollbook("deliveries", *known).stdout.decode())
        self.assertNotIn(b"windows", book.tollbook("deliveries", *known, "--state", "confirmed").stdout)
        rows = {row["target"]: row for row in self.deliveries("--catalog", self.catalog)}
        self.assertEqual([rows[name]["opens_at"] for name in ("today", "shut", "others")], ["", until, ""])
        self.assertIn(f"until {until}",
                      book.tollbook("deliveries", "show", *known, "shut", rows["shut"]["batch"]).stdout.decode())
        self.assertEqual(self.deliveries()[0]["opens_at"], "")
        self.assertEqual(self.post("--dry-run").stdout.decode().count(f"# outside its windows until {until}\n"), 1)
        # `status` goes by the newest seal.
        self.seal_more(1)
        status = json.loads(book.tollbook("status", "--books", self.books, "--json").stdout)["targets"]
        self.assertEqual([(target["target"], target["outside_windows"]) for target in status],
                         [("others", []), ("shut", [{"entity": "acme-us", "opens_at": until}]), ("today", [])])
        self.assertIn(f"outside its windows for acme-us until {until}",
                      " ".join(book.tollbook("status", "--books", self.books).stdout.decode().split()))

    def test_a_run_can_deliver(self):
        self.seal(1)
        self.targets(files())
        events = self.scratch / "more.ndjson"
        events.write_bytes(small.lines(small.event("more", calls=7)))
        done = book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--json", "--post", events)
        report = json.loads(done.stdout)
        self.assertEqual(report["deliveries"]["targets"][0]["confirmed_now"], 2)
        self.assertEqual(self.states(), {"confirmed": 2})

    def test_a_dry_run_changes_nothing(self):
        self.seal(1)
        self.targets(files(), webhook("http://127.0.0.1:9/"), ledger("http://127.0.0.1:9/"))
        shown = self.post("--dry-run", env=dict(os.environ)).stdout.decode()  # not even the secrets are read
        key, = self.journal()
        for text in ("acme-us-USD-2025-01-0001.csv.sha256", f"webhook-id: {key}", "webhook-signature: v1,****",
                     "Authorization: Session ****", '"journal":"<journal USAGE>"',
                     '"debit":{"__class__":"Decimal","decimal":"1.00"}'):
            self.assertIn(text, shown)
        self.assertEqual(self.deliveries(), [])
        self.assertFalse((self.catalog / "out-archive").exists())


class Webhook(Case):
    def test_every_fault_ends_with_each_event_there(self):
        faults = [name for name in fault_server.FAULTS if not name.startswith("kill")]
        self.seal(len(faults))
        keys = sorted(self.journal())
        fault_of = dict(zip(keys, faults))
        with fault_server.Server(SECRET, lambda kind, key, count: fault_of[key] if count == 1 else None) as server:
            self.targets(webhook(server.url))
            self.post("--wait", "60", "--strict")
            self.assertEqual(sorted(server.taken), keys)
            self.assertEqual(server.problems, [])
            self.assert_retry_after_was_kept(server)
            for key, body in server.taken.items():
                event = json.loads(body)
                self.assertEqual(event["type"], "journal.sealed")
                self.assertEqual(event["data"]["debit"], self.journal()[key][0]["debit"])
        self.assertEqual(self.states(), {"confirmed": len(faults)})
        self.verify()

    def assert_retry_after_was_kept(self, server):
        waits = 0
        for at, _, key, fault in server.requests:
            if fault and fault.endswith("retry_after"):
                after = [later for later, _, other, _ in server.requests if later > at]
                self.assertGreaterEqual(min(after) - at, fault_server.RETRY_AFTER_SECONDS - 0.01)
                waits += 1
        self.assertEqual(waits, 3)

    def test_where_it_cannot_be_repeated_what_is_unclear_stops(self):
        """Also on a connection that was used before, where an HTTP library is tempted to send again by itself."""
        faults = ("drop_after", "reset_after", "drop_before", "cut_after", "500_after", "redirect_after",
                  "html_200_after")
        self.seal(2 * len(faults))
        keys = {rows[0]["batch_id"]: key for key, rows in self.journal().items()}
        fault_of = {keys[batch]: fault for batch, fault in zip(sorted(keys)[1::2], faults)}  # each behind a good one
        with fault_server.Server(SECRET, lambda kind, key, count: fault_of.get(key)) as server:
            self.targets(webhook(server.url, deduplicates="false"))
            self.post("--wait", "20")
            self.assertEqual(self.states(), {"confirmed": len(faults), "parked": len(faults)})
            parked = self.deliveries("--state", "parked")
            self.assertEqual({(row["problem"], row["attempts"]) for row in parked}, {("ambiguous", "1")})
            for row in parked:
                book.tollbook("deliveries", "retry", "--books", self.books, "hook", row["batch"])
            self.post("--wait", "5")
            self.assertEqual(set(server.came.values()), {1}, "nothing is sent again unless somebody says so")
            first = parked[0]
            book.tollbook("deliveries", "resolve", "--books", self.books, "hook", first["batch"], "--not-posted",
                          "--by", "Ann", "--why", "their log has none")
            self.post()
            self.assertEqual(server.came[("event", first["key"])], 2)

    def close_of_january(self):
        return book.tollbook("periods", "close", "--books", self.books, "--catalog", self.catalog, "--entity",
                             "acme-us", "--period", "2025-01", "--by", "Ann", "--why", "done", expect=None)

    def test_what_may_be_there_is_not_forgotten_for_a_later_send(self):
        """It may be there, and the same is then not taken: nobody closes over that, and no other place gets it."""
        for later, state in (("429_retry_after", "retry-wait"), ("403_before", "parked")):
            with self.subTest(later):
                self.books = self.scratch / later
                fault = lambda kind, key, count: "drop_after" if count == 1 else later
                with fault_server.Server(SECRET, fault) as server, fault_server.Server(SECRET) as other:
                    self.targets(webhook(server.url))
                    self.seal(1)
                    self.post()
                    self.assertEqual(self.states(), {"uncertain": 1})
                    key, = server.came
                    while server.came[key] < 2:
                        time.sleep(0.2)
                        self.post()
                    self.assertEqual(self.states(), {state: 1})
                    refused = self.close_of_january()
                    self.assertEqual(refused.returncode, 1)
                    self.assertIn(b"may or may not have arrived", refused.stderr)
                    self.targets(webhook(other.url))
                    batch = self.deliveries()[0]["batch"]
                    book.tollbook("deliveries", "retry", "--books", self.books, "hook", batch)
                    self.post("--wait", "5")
                    parked, = self.deliveries()
                    self.assertEqual([parked["state"], parked["problem"]], ["parked", "configuration"])
                    self.assertIn("and may be there", parked["last_error"])
                    self.assertEqual(other.came, {})
                    self.assertEqual(self.close_of_january().returncode, 1)
                    server.faults = lambda *_: None
                    self.targets(webhook(server.url))
                    book.tollbook("deliveries", "retry", "--books", self.books, "hook", batch)
                    self.post("--wait", "5", "--strict")
                    self.assertEqual(self.close_of_january().returncode, 0)

    def test_the_targets_own_word_is_not_taken_back_after_a_crash(self):
        """A pass that is killed leaves what it confirmed out of the audit log: a person spoke last there."""
        faults = ["409_before", "409_before", None, "kill_before"]
        with fault_server.Server(SECRET, lambda *_: faults.pop(0) if faults else None) as server:
            self.targets(webhook(server.url, deduplicates="false"))
            self.seal(2)
            self.post()
            self.assertEqual(self.states(), {"parked": 2})
            say = ("--not-posted", "--by", "Ann", "--why", "refused")
            for row in self.deliveries():
                book.tollbook("deliveries", "resolve", "--books", self.books, "hook", row["batch"], *say)
            running = self.start_post("--wait", "5")
            server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
            running.communicate(timeout=60)
            server.kill = lambda: None
            self.assertEqual(running.returncode, -signal.SIGKILL)
            confirmed, = self.deliveries("--state", "confirmed")
            refused = book.tollbook("deliveries", "resolve", "--books", self.books, "hook", confirmed["batch"], *say,
                                    expect=1)
            self.assertIn(b"the target itself has confirmed it", refused.stderr)

    def test_a_word_whose_taking_back_was_cut_short_is_taken_back_again(self):
        """Killed between the decision and the step; a pass meanwhile tells the audit log that it is confirmed yet."""
        if not disk.SHIM:
            self.skipTest("no library stands between the program and its disk")
        with fault_server.Server(SECRET, lambda *_: "409_before") as server:
            self.targets(webhook(server.url, deduplicates="false"))
            self.seal(1)
            self.post()
            batch = self.deliveries()[0]["batch"]
            words = ("deliveries", "resolve", "--books", self.books, "hook", batch, "--by", "Ann", "--why", "saw it")
            for posts_meanwhile in (False, True):
                with self.subTest(posts_meanwhile=posts_meanwhile):
                    book.tollbook(*words, "--posted", "J1")
                    killed = disk.run([*words, "--not-posted"], self.scratch, kill="before write outbox:0")
                    self.assertEqual(killed.returncode, -signal.SIGKILL)
                    self.assertEqual(self.states(), {"confirmed": 1})
                    if posts_meanwhile:
                        self.post()
                    book.tollbook(*words, "--not-posted")
                    self.assertEqual(self.states(), {"pending": 1})

    def test_a_connection_that_ends_is_told_in_words_until_it_is_over(self):
        """One that was used before, of which libcurl says something of its own."""
        self.seal(2)
        last = sorted((rows[0]["batch_id"], key) for key, rows in self.journal().items())[-1][1]
        with fault_server.Server(SECRET, lambda kind, key, count: "drop_after" if (key, count) == (last, 1)
                                 else None) as server:
            self.targets(webhook(server.url))
            self.post()
            row, = self.deliveries("--state", "uncertain")
            self.assertEqual(row["last_error"], "the connection ended before an answer came")
            self.post("--wait", "10", "--strict")
            self.assertEqual({row["last_error"] for row in self.deliveries()}, {""})

    def test_requests_keep_to_their_pace(self):
        """Also of a process that is started again and again, and of many batches."""
        self.seal(9)
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url) + "    requests: {per_second: 4, per_day: 6}\n")
            today = time.gmtime().tm_yday
            for _ in range(4):
                report = json.loads(self.post("--json").stdout)
            times = sorted(at for at, *_ in server.requests)
            for earlier, later in zip(times, times[1:]):
                self.assertGreaterEqual(later - earlier, 0.25 - 0.05, "but for what the network adds to one")
            if time.gmtime().tm_yday != today:
                self.skipTest("midnight passed")
            self.assertEqual(len(server.taken), 6)
            self.assertEqual([report["waiting"], report["next_due"][11:]], [3, "00:00:00Z"])
            self.assertEqual(self.states(), {"confirmed": 6, "pending": 3})

    def test_a_poison_batch_holds_up_nobody(self):
        self.seal(4)
        poison = sorted(self.journal())[0]
        refuse = lambda kind, key, count: "500_before" if key == poison else None
        with fault_server.Server(SECRET, refuse) as server:
            self.targets(webhook(server.url))
            self.post()
            self.assertEqual(len(server.taken), 3)
            self.assertEqual(self.states()["confirmed"], 3)

    def test_a_batch_that_is_forbidden_is_parked_and_the_others_go(self):
        """As a limit of requests is not: some tell that by 403, too, and say when to come again."""
        self.seal(4)
        forbidden = sorted(self.journal())[0]
        forbid = lambda kind, key, count: "403_before" if key == forbidden else None
        with fault_server.Server(SECRET, forbid) as server:
            self.targets(webhook(server.url).replace("cap_seconds: 1", "cap_seconds: 900"))
            self.post()
            self.assertEqual(self.states(), {"confirmed": 3, "parked": 1})
            parked, = self.deliveries("--state", "parked")
            self.assertEqual([parked["key"], parked["problem"], parked["owner"]],
                             [forbidden, "authentication", "the keeper of the secrets"])
            self.assertIn("HTTP 403", parked["last_error"])
            self.assertIn("`tollbook deliveries retry`", parked["next_step"])
            self.seal_more(1)
            self.post("--target", "hook")
            self.assertEqual(self.states(), {"confirmed": 4, "parked": 1}, "what comes new waits for nothing")
            server.faults = lambda *_: "403_retry_after" if server.came[("event", forbidden)] == 2 else None
            book.tollbook("deliveries", "retry", "--books", self.books, "hook", parked["batch"])
            self.post("--wait", "20", "--strict")
            self.assertEqual(server.came[("event", forbidden)], 3)

    def test_five_that_are_forbidden_in_a_row_are_the_targets_own(self):
        self.seal(9)
        with fault_server.Server(SECRET, lambda *_: "403_before") as server:
            self.targets(webhook(server.url).replace("cap_seconds: 1", "cap_seconds: 900"))
            self.post("--wait", "2")
            self.assertEqual(self.states(), {"parked": 5, "pending": 4})
            self.assertEqual(len(server.requests), 5)

    def test_what_happens_to_the_book_is_told(self):
        """Also when the process is killed between telling it and noting that."""
        broken = self.scratch / "broken.ndjson"
        broken.write_bytes(b"{}\n" + small.lines(small.event("unknown", meter="no.such")))
        killed = []

        def faults(kind, key, count):
            if kind == "event" and len(killed) < 3 and key not in killed:
                killed.append(key)
                return "kill_after" if len(killed) != 2 else "kill_before"
            return None

        with fault_server.Server(SECRET, faults) as server:
            server.ledger.closed.add("2025-01")
            self.targets(webhook(server.url) + "    events: [journal.posted, journal.failed, exception.raised, "
                         "period.closed]\n", ledger(server.url))
            self.seal(2)
            book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", broken)
            for _ in range(len(killed) + 4):
                running = self.start_post()
                server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
                running.communicate(timeout=60)
                server.kill = lambda: None
            self.assertEqual(len(killed), 3)
            self.post("--wait", "20")
            server.ledger.closed.clear()
            book.tollbook("deliveries", "retry", "--books", self.books, "erp", "acme-us-USD-2025-01-0001")
            book.tollbook("periods", "close", "--books", self.books, "--catalog", self.catalog, "--entity", "acme-us",
                          "--period", "2025-01", "--by", "Ann", "--why", "the month is done", "--waive", "held",
                          "--waive", "rejected")
            self.post("--strict")
            commits = len(book.rows_of(book.tollbook("audit", "--books", self.books, "--format", "csv").stdout))
            self.assertEqual([target["planned_now"] for target in json.loads(self.post("--json").stdout)["targets"]],
                             [0, 0], "of events no more events are made")
            self.assertEqual(len(book.rows_of(book.tollbook("audit", "--books", self.books, "--format",
                                                            "csv").stdout)), commits)
            events = [json.loads(body) for body in server.taken.values()]
            told = collections.Counter((event["type"], event["subject"]) for event in events)
            self.assertEqual(told, {("exception.raised", "commit 3"): 1,
                                    ("journal.failed", "acme-us-USD-2025-01-0001"): 1,
                                    ("journal.posted", "acme-us-USD-2025-01-0001"): 1,
                                    ("journal.posted", "acme-us-USD-2025-02-0001"): 1,
                                    ("period.closed", "acme-us 2025-01"): 1})
            of = {(event["type"], event["subject"]): event["data"] for event in events}
            self.assertIn("period 2025-01 is closed", of["journal.failed", "acme-us-USD-2025-01-0001"]["error"])
            posted = of["journal.posted", "acme-us-USD-2025-01-0001"]
            document = next(row["document"] for row in self.deliveries("--target", "erp")
                            if row["batch"] == "acme-us-USD-2025-01-0001")
            self.assertEqual((posted["target"], posted["document"]), ("erp", document))
            self.assertEqual([of["exception.raised", "commit 3"][what] for what in ("held", "conflict", "rejected")],
                             [1, 0, 1])
            self.assertEqual(of["period.closed", "acme-us 2025-01"]["by"], "Ann")
            self.assertEqual(server.problems, [])
        self.verify()

    def test_targets_and_entities_do_not_wait_for_each_other(self):
        """A target that is silent for two seconds, and a batch of another that is, with three connections."""
        entities = ("acme-us", "acme-eu", "acme-uk")
        small.write_catalog(self.catalog, subscriptions=())
        (self.catalog / "entities.yaml").write_text("entities:\n" + "".join(
            f"  - {{name: {entity}, functional_currency: USD}}\n" for entity in entities))
        with (self.catalog / "subscriptions.csv").open("a") as rows:
            rows.writelines(f"{entity},{entity},basic,{entity},USD,2025-01-01,\n" for entity in entities)
        events = self.scratch / "usage.ndjson"
        events.write_bytes(small.lines(*(small.event(f"{entity}-{month}", subject=entity, calls=100 + month,
                                                     time=f"2025-{month:02d}-15T12:00:00Z")
                                         for entity in entities for month in range(1, 5))))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)
        slow = next(key for key, rows in self.journal().items() if rows[0]["batch_id"] == "acme-us-USD-2025-01-0001")
        first = lambda *_: "silent_after" if len(silent.requests) == 0 else None
        with fault_server.Server(SECRET, first) as silent, \
                fault_server.Server(SECRET, lambda kind, key, count: "drip_after" if key == slow else None) as server:
            patient = "timeout_seconds: 30"
            self.targets(webhook(silent.url, "silent").replace("timeout_seconds: 2", patient),
                         webhook(server.url).replace("timeout_seconds: 2", patient) +
                         "    requests: {concurrency: 3}\n")
            self.post()
            begun = next(at for at, _, key, _ in server.requests if key == slow)
            others = {key: at for at, _, key, _ in server.requests if key != slow}
            self.assertEqual(len(others), 11)
            self.assertLess(max(others.values()), begun + 2, "they went while the slow one was being answered")
            self.assertLess(max(others.values()), silent.requests[0][0] + 2, "and while the other target was")

    def test_a_watch_delivers_what_comes_and_ends_when_told(self):
        self.seal(2)
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url))
            watching = self.start_post("--watch", "--json")
            self.addCleanup(watching.kill)
            self.await_(lambda: len(server.taken) == 2)
            second = self.post("--watch", expect=1)
            self.assertIn(b"the book is watched already", second.stderr)
            self.seal_more(1)
            self.await_(lambda: len(server.taken) == 3)
            self.verify()  # the book is free in between
            watching.send_signal(signal.SIGTERM)
            said, errors = watching.communicate(timeout=20)
            self.assertEqual((watching.returncode, errors), (0, b""))
            self.assertEqual(json.loads(said)["targets"][0]["confirmed"], 3)
        self.assertEqual(self.states(), {"confirmed": 3})

    def test_a_watch_gives_way_while_much_is_due(self):
        """Sixty batches at five a second are twelve seconds' work; another command waits for its turn."""
        self.seal(60)
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url) + "    requests: {per_second: 5}\n")
            watching = self.start_post("--watch")
            self.addCleanup(watching.kill)
            self.await_(lambda: len(server.taken) >= 2)
            began = time.monotonic()
            pending = self.states()["pending"]
            self.assertLess(time.monotonic() - began, 15)
            self.assertGreater(pending, 0, "it had not to wait for all of them")
            watching.send_signal(signal.SIGINT)
            self.assertEqual((watching.wait(timeout=20), watching.communicate()[1]), (0, b""))

    def test_a_post_gives_way_while_much_is_due(self):
        """Sixty batches at four a second are fifteen seconds' work; somebody pauses the target meanwhile."""
        self.seal(60)
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url) + "    requests: {per_second: 4}\n")
            posting = self.start_post("--json")
            self.addCleanup(posting.kill)
            self.await_(lambda: len(server.taken) >= 2)
            book.tollbook("deliveries", "pause", "hook", "--books", self.books, "--by", "Ann", "--why", "enough")
            said, errors = posting.communicate(timeout=60)
            self.assertEqual((posting.returncode, errors), (0, b""))
            told, = json.loads(said)["targets"]
            self.assertEqual(told["paused"]["by"], "Ann")
            self.assertEqual((told["planned_now"], told["confirmed_now"]), (60, len(server.taken)), "of all its turns")
            self.assertLess(len(server.taken), 60)

    def test_a_post_that_waits_waits_for_who_has_the_book_meanwhile(self):
        self.seal(1)
        with fault_server.Server(SECRET, lambda kind, key, count: "503_retry_after" if count == 1 else None) as server:
            self.targets(webhook(server.url))
            posting = self.start_post("--wait", "20", "--strict")
            self.addCleanup(posting.kill)
            self.await_(lambda: len(server.requests) == 1)
            with (self.books / "BOOKLOCK").open("r+b") as held:
                fcntl.flock(held, fcntl.LOCK_EX)
                held.truncate(0)
                held.write(b"process 1 (tollbook run)")
                held.flush()
                time.sleep(fault_server.RETRY_AFTER_SECONDS + 1.5)
                self.assertIsNone(posting.poll(), "it waits")
            self.assertEqual((posting.wait(timeout=30), posting.communicate()[1]), (0, b""))
            self.assertEqual(len(server.taken), 1)

    def await_(self, holds):
        end = time.monotonic() + 30
        while not holds():
            self.assertLess(time.monotonic(), end, "it did not come")
            time.sleep(0.02)

    def test_a_secret_is_nowhere(self):
        self.seal(2)
        with fault_server.Server(SECRET, lambda kind, key, count: "500_after") as server:
            self.targets(webhook(server.url), ledger(server.url))
            said = self.post("--json")
        text = said.stdout + said.stderr
        for shown in ("list", "show"):
            where = () if shown == "list" else ("hook", "acme-us-USD-2025-01-0001")
            text += book.tollbook("deliveries", shown, "--books", self.books, "--json", *where).stdout
        for path in self.books.rglob("*"):
            text += path.read_bytes() if path.is_file() else b""
        self.assertNotIn(SECRET.encode(), text)
        self.assertNotIn(PASSWORD.encode(), text)

    @unittest.skipUnless(shutil.which("openssl"), "openssl is not installed")
    def test_a_certificate_that_does_not_hold_gets_nothing(self):
        self.seal(1)
        made = self.catalog / "ca.pem"
        done = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                               "/CN=t", "-addext", "subjectAltName=DNS:localhost", "-keyout", made, "-out",
                               self.scratch / "cert"], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        made.write_bytes(made.read_bytes() + (self.scratch / "cert").read_bytes())
        with fault_server.Server(SECRET, certificate=made) as server:
            self.targets(webhook(f"https://localhost:{server.port}/", "near").replace("    plain_http: true\n", ""))
            self.post("--target", "near")
            row, = self.deliveries("--target", "near")
            self.assertEqual([row["state"], row["problem"]], ["retry-wait", "configuration"])
            self.assertIn("the address of the host, is private", row["last_error"])
            trusted = "    ca_file: ca.pem\n    private_network: true\n"
            for name, host, more in (("unknown", "localhost", ""), ("othername", "127.0.0.1", trusted)):
                self.targets(webhook(f"https://{host}:{server.port}/", name) + more)
                self.post("--target", name)
                row, = self.deliveries("--target", name)
                self.assertEqual([row["state"], row["problem"]], ["retry-wait", "configuration"], name)
                self.assertRegex(row["last_error"], "(?i)certificate|subject")
                self.assertEqual(server.came, {}, "not one byte of the request")
            self.targets(webhook(f"https://localhost:{server.port}/", "good") + trusted)
            self.post("--target", "good", "--strict")
            self.assertEqual(len(server.taken), 1)

    def test_a_secret_that_others_may_read_is_refused(self):
        self.seal(1)
        self.targets(ledger("http://127.0.0.1:9/"), files())
        (self.catalog / "erp.password").chmod(0o644)
        done = self.post(expect=1)
        self.assertIn(b"others may read a secret", done.stderr)
        self.assertEqual(self.states(), {"confirmed": 1}, "the other target is delivered to")


class Ledger(Case):
    def test_another_company_in_the_quiet_time_makes_no_second_move(self):
        """Killed, too, between the two, where the draft is there and the book does not know it."""
        for number, fault in enumerate(("drop_after", "kill_after")):
            with self.subTest(fault), fault_server.Server(
                    SECRET, lambda kind, _, count: fault if (kind, count) == ("create", 1) else None,
                    {"Acme US": "USD", "Acme New": "USD"}) as server:
                name = f"erp-{number}"
                if number == 0:
                    self.seal(1)
                shutil.copytree(self.books, self.scratch / name)
                self.targets(ledger(server.url, name))
                running = self.start_post()
                server.kill = lambda: os.kill(running.pid, signal.SIGKILL)
                running.communicate(timeout=60)
                other = ledger(server.url, name).replace("Acme US", "Acme New")
                self.targets(other)
                self.post("--wait", "5")
                parked, = self.deliveries("--target", name)
                self.assertEqual([parked["state"], parked["problem"]], ["parked", "configuration"])
                self.assertIn("it was sent to company Acme US at ", parked["last_error"])
                self.assertEqual([move["company"] for move in server.ledger.moves.values()], [1], "one draft, no other")
                self.targets(ledger(server.url, name))
                book.tollbook("deliveries", "retry", "--books", self.books, name, parked["batch"])
                self.post("--wait", "5", "--strict")
                self.assert_ledger_equals_journal(server)
                # A book that was put back does not know where it was sent, and looks for the key alone.
                there, self.books = self.books, self.scratch / name
                self.targets(other)
                self.post("--wait", "5")
                parked, = self.deliveries("--target", name)
                self.assertEqual([parked["state"], parked["problem"]], ["parked", "different"])
                self.assertIn('our key in another company of Tryton than "Acme New"', parked["last_error"])
                self.assert_ledger_equals_journal(server)
                self.books = there

    def test_every_fault_ends_with_each_move_once(self):
        faults = [name for name in (*fault_server.FAULTS, *fault_server.LYING) if not name.startswith("kill")]
        self.seal(len(faults))
        keys = sorted(self.journal())
        # All faults take seconds; of posting a third of them, others each time, where time is short.
        some = faults if book.LONG else self.chance.sample(faults, len(faults) // 3)
        for kind, played in (("create", faults), ("post", some)):
            fault_of = dict(zip(keys, played))

            def fault(what, key, count):
                return fault_of.get(key) if what == kind and count == 1 else None

            with self.subTest(kind), fault_server.Server(faults=fault) as server:
                self.targets(ledger(server.url, name="erp-" + kind))
                self.post("--wait", "90", "--strict", "--target", "erp-" + kind)
                self.assert_ledger_equals_journal(server)
        self.verify()

    def test_killed_between_sending_and_answer(self):
        """Before and after what was sent took effect, of the draft and of its posting, at each batch."""
        kills = 40 if book.LONG else 12
        self.seal(kills // 2)
        moments = [(kind, fault) for kind in ("create", "post") for fault in ("kill_before", "kill_after")]
        killed = []
        lock = threading.Lock()

        def fault(kind, key, count):
            with lock:
                if len(killed) < kills and (kind, key) not in [k[:2] for k in killed]:
                    how = moments[(len(killed) + count) % 4][1]
                    killed.append((kind, key, how))
                    return how
            return None

        with fault_server.Server(faults=fault) as server:
            self.targets(ledger(server.url))
            self.post_through_kills(server, killed, kills)
            self.assert_ledger_equals_journal(server)
        self.assertEqual(self.states(), {"confirmed": kills // 2})
        self.verify()

    def test_a_closed_period_is_shown_as_such(self):
        self.seal(2)
        with fault_server.Server() as server:
            server.ledger.closed |= {"2025-01", "2025-02"}
            self.targets(ledger(server.url))
            self.post()
            parked = self.deliveries("--state", "parked")
            self.assertEqual(len(parked), 2)
            self.assertIn("period 2025-01 is closed", parked[0]["last_error"])
            self.assertEqual([parked[0]["problem"], parked[0]["owner"]], ["mapping", "finance"])
            self.assertEqual(server.ledger.moves, {})
            server.ledger.closed.clear()
            for row in parked:
                book.tollbook("deliveries", "retry", "--books", self.books, "erp", row["batch"])
            self.post("--strict")
            self.assert_ledger_equals_journal(server)

    def test_a_move_that_somebody_changed_is_left_and_told(self):
        self.seal(1)
        with fault_server.Server(faults=lambda kind, *_: "500_before" if kind == "post" else None) as server:
            self.targets(ledger(server.url))
            self.post()
            self.assertEqual(self.states(), {"accepted": 1})
            move, = server.ledger.moves.values()
            move["lines"][0]["debit"]["decimal"] = "999.00"
            self.post("--wait", "10")
            self.assertEqual(self.states(), {"parked": 1})
            self.assertEqual(move["state"], "draft")
            self.assertIn("says something else", self.deliveries()[0]["last_error"])

    def test_a_mapping_that_was_mended_takes_effect(self):
        self.seal(2)
        with fault_server.Server() as server:
            self.targets(ledger(server.url, more='    accounts: {"4000": "4999"}\n'))
            self.post("--strict", expect=3)
            for parked in self.deliveries():
                self.assertEqual([parked["state"], parked["problem"], parked["owner"]],
                                 ["parked", "mapping", "finance"])
                self.assertIn("has no account 4999 in Tryton", parked["last_error"])
            self.assertEqual(server.ledger.moves, {})
            self.targets(ledger(server.url))
            for parked in self.deliveries():
                book.tollbook("deliveries", "retry", "--books", self.books, "erp", parked["batch"])
            self.post("--strict")
            self.assertEqual(self.states(), {"confirmed": 2})
            self.assert_ledger_equals_journal(server)

    def test_a_refused_login_is_no_loop(self):
        self.seal(5)
        with fault_server.Server() as server:
            server.ledger.password = "another"
            logins = []
            login = server.ledger.login
            server.ledger.login = lambda params: logins.append(1) or login(params)
            self.targets(ledger(server.url))
            for _ in range(3):
                self.post()
            self.assertEqual(len(logins), 1)
            waiting = [row for row in self.deliveries() if row["problem"] == "authentication"]
            self.assertEqual(len(waiting), 1)

    def test_a_session_that_is_forgotten_is_made_again(self):
        self.seal(3)
        forgotten = []

        def forget(kind, key, count):
            if kind == "post" and not forgotten:
                forgotten.append(key)
                server.ledger.sessions.clear()
            return None

        with fault_server.Server(faults=forget) as server:
            self.targets(ledger(server.url))
            self.post("--strict")
            self.assert_ledger_equals_journal(server)

    def test_a_book_put_back_does_not_deliver_twice(self):
        self.seal(3)
        with fault_server.Server() as server:
            self.targets(ledger(server.url))
            shutil.copytree(self.books, self.scratch / "earlier")
            self.post("--strict")
            shutil.rmtree(self.books)
            shutil.copytree(self.scratch / "earlier", self.books)
            self.post("--strict")
            self.assert_ledger_equals_journal(server)
            self.assertEqual(sum(count for (kind, _), count in server.came.items() if kind == "create"), 3)


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class Restored(Case):
    """A book that came out of a backup does not know what was posted since: it posts nothing of it again."""

    def seal_calls(self, *numbers):
        """100 calls each, which are 1.00 USD."""
        events = self.scratch / ("usage-%s.ndjson" % "-".join(map(str, numbers)))
        events.write_bytes(small.lines(*(small.event(number, calls=100) for number in numbers)))
        book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", events)

    def amounts(self, server):
        """webhook-id -> what is debited."""
        return {key: json.loads(body)["data"]["debit"] for key, body in server.taken.items()}

    def test_what_cannot_be_asked_waits_for_a_person(self):
        self.seal_calls(1)
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url, deduplicates="false"))
            self.back_up()
            self.post("--strict")
            self.restore()
            self.seal_calls(2)
            self.assertIn(b"the restore of backup 1", self.post().stdout)
            self.post("--strict", expect=3)
            self.assertIn(b"# paused by the restore of backup 1", self.post("--dry-run").stdout)
            self.assertEqual(len(server.requests), 1, "nothing more was sent")
            held = self.deliveries()
            self.assertEqual({(row["state"], row["paused_by"]) for row in held},
                             {("pending", "the restore of backup 1")})
            for shown in (("deliveries", "list"), ("deliveries", "show"), ("status",)):
                which = ("hook", held[0]["batch"]) if shown[-1] == "show" else ()
                text = book.tollbook(*shown, "--books", self.books, *which).stdout
                self.assertIn(b"the restore of backup 1", b" ".join(text.split()))
            refused = book.tollbook("deliveries", "resume", "--books", self.books, "hook", expect=2).stderr
            self.assertIn(b"nobody vouches for it", refused)
            book.tollbook("deliveries", "resolve", "--books", self.books, "hook", held[0]["batch"], "--posted", "H1",
                          "--by", "Ann", "--why", "seen there")
            self.resume("hook", "the second is not there")
            self.post("--strict")
            self.assertEqual(sorted(self.amounts(server).values()), ["1.00", "1.00"], "each once")
            self.assertEqual(len(server.requests), 2)
            self.assertEqual(server.problems, [])
        audit = json.loads(book.tollbook("audit", "--books", self.books, "--json").stdout)["rows"]
        restore, = (row for row in audit if row["what"] == "restore")
        self.assertEqual([restore[column] for column in ("commit", "which", "by", "after")],
                         [2, "backup 1", pwd.getpwuid(os.geteuid()).pw_name, "2 commits"])
        resumed, = (row for row in audit if row["what"] == "target")
        self.assertEqual([resumed[column] for column in ("which", "by", "why", "before", "after")],
                         ["hook", "Ann", "the second is not there", "held since a restore", "delivering"])
        self.verify()

    def test_another_batch_of_the_same_name_has_another_key(self):
        """The receiver drops a key that it has seen: the restored book's seal 2 must not be taken for the lost one's."""
        self.seal_calls(*range(1, 9))
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url))
            self.back_up()
            self.seal_calls(10, 11)
            self.post("--strict")
            self.assertEqual(sorted(self.amounts(server).values()), ["2.00", "8.00"])
            self.restore()
            self.seal_calls(10, 11, 12)
            self.post()
            self.assertEqual(len(server.requests), 2)
            self.resume("hook", "took back the 2.00 there")
            self.post("--strict")
            self.assertEqual(sorted(self.amounts(server).values()), ["2.00", "3.00", "8.00"])
            # The first was posted before and after under one key, so the receiver has it once.
            self.assertEqual(len(server.requests), 4)
            self.assertEqual(server.problems, [])
        self.verify()

    def test_a_file_that_was_taken_away_is_not_written_again(self):
        self.seal_calls(1)
        self.targets(files())
        self.back_up()
        self.post("--strict")
        shutil.rmtree(self.catalog / "out-archive")
        self.restore()
        self.post()
        self.assertFalse((self.catalog / "out-archive").exists())
        self.resume("archive", "it was lost")
        self.post("--strict")
        self.assertEqual(len(list((self.catalog / "out-archive").glob("*.csv"))), 1)

    @contextlib.contextmanager
    def restored_without_a_seal_that_was_posted(self):
        """To a ledger, which is the answer: seal 1 is in the backup, and seal 2 is not."""
        self.seal_calls(1)
        with fault_server.Server() as server:
            self.targets(ledger(server.url))
            self.back_up()
            self.seal_calls(2)
            self.post("--strict")
            self.restore()
            yield server

    def test_a_ledger_is_asked_and_has_each_once(self):
        with self.restored_without_a_seal_that_was_posted() as server:
            self.post("--strict")
            self.assertEqual(len(server.ledger.moves), 2)
            self.seal_calls(2)
            self.post("--strict")
            self.assert_ledger_equals_journal(server)

    def test_a_ledger_gets_nothing_that_a_lost_seal_of_another_number_posted(self):
        """One seal of both months in place of two: the second month's key is not there, but its amount is."""
        day = lambda month: f"2025-{month:02d}-15T12:00:00Z"
        usage = []
        for month in (1, 2, 3):
            usage.append(self.scratch / f"month-{month}.ndjson")
            usage[-1].write_bytes(small.lines(small.event(month, calls=100 * month, time=day(month))))
        run = ("run", "--books", self.books, "--catalog", self.catalog, "--quiet")
        with fault_server.Server() as server:
            self.targets(ledger(server.url))
            book.tollbook(*run, usage[0])
            self.back_up()
            book.tollbook(*run, usage[1])
            book.tollbook(*run, usage[2])
            self.post("--strict")
            self.assertEqual(len(server.ledger.moves), 3)
            self.restore()
            book.tollbook("run", "--books", self.books, "--catalog", self.catalog, "--quiet", *usage[1:])
            self.post("--strict", expect=3)
            self.assertEqual(len(server.ledger.moves), 3, "no amount twice")
            held, = self.deliveries("--state", "pending")
            self.assertEqual((held["batch"], held["paused_by"]),
                             ("acme-us-USD-2025-03-0002", "the restore of backup 1"))
            book.tollbook("deliveries", "resolve", "--books", self.books, "erp", held["batch"], "--posted", "M3", "--by",
                          "Ann", "--why", "it is there as seal 3")
            self.resume("erp")
            self.seal_calls(9)
            self.post("--strict")
            self.assertEqual(len(server.ledger.moves), 4)
            self.assertEqual(server.problems, [])
        self.verify()

    def test_a_ledger_that_has_another_batch_of_the_same_key_is_told_to_a_person(self):
        with self.restored_without_a_seal_that_was_posted() as server:
            self.seal_calls(2, 3)
            self.post()
            self.assertEqual(len(server.ledger.moves), 2)
        parked, = self.deliveries("--state", "parked")
        self.assertEqual(parked["problem"], "different")


class Order(Case):
    def test_the_decision_to_send_is_synced_before_the_first_byte(self):
        """Of four connections at a time, whose decisions one sync may cover."""
        batches = 1000 if book.LONG else 40
        self.seal(batches)
        trace = self.scratch / "trace"
        with fault_server.Server(SECRET) as server:
            self.targets(webhook(server.url) + "    requests: {concurrency: 4}\n")
            done = subprocess.run(
                ["strace", "-f", "-y", "-s", "8388608", "-o", trace, "-e",
                 "trace=write,pwrite64,fdatasync,fsync,sendto,sendmsg", book.TOLLBOOK, "post", "--books", self.books,
                 "--catalog", self.catalog],
                capture_output=True, env=self.environment, timeout=1800)
            if done.returncode != 0 and b"ptrace" in done.stderr:
                self.skipTest("this machine does not let strace attach")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(len(server.taken), batches)
        self.assertEqual(self.sent_behind_their_sync(trace), batches)

    def sent_behind_their_sync(self, trace):
        """How many requests left, each of which must be of a delivery whose decision a sync has covered: one that
        began when the decision was written, and was over when the first byte left."""
        key_of = {rows[0]["batch_id"]: key for key, rows in self.journal().items()}
        written = {}      # key -> the log with its newest step, until a sync covers it
        under_way = {}    # thread -> (log, the keys that its sync covers)
        unfinished = {}   # thread -> the write that it is in
        synced = collections.Counter()
        sent = 0

        def write(line):
            log = re.search(r"\d+<([^>]*/store/\d+\.log)>", line)[1]
            # A record may be cut anywhere; it says both of these.
            for batch in re.findall(r"delivery/hook/(acme-us-USD-\d{4}-\d\d-\d{4})", line):
                written[key_of[batch]] = log
            for key in re.findall(r"tb-[0-9a-f]{32}", line):
                written[key] = log

        def covered(thread):
            log, keys = under_way.pop(thread)
            for key in keys:
                if written.get(key) == log:
                    del written[key]
                    synced[key] += 1

        for line in trace.read_text(errors="replace").splitlines():
            thread, call = line.split(None, 1)
            log = re.match(r"(write|pwrite64|fdatasync|fsync)\(\d+<([^>]*/store/\d+\.log)>", call)
            if log and "sync" in log[1]:
                under_way[thread] = (log[2], [key for key, path in written.items() if path == log[2]])
                if "unfinished" not in call:
                    covered(thread)
            elif log and "unfinished" in call:
                unfinished[thread] = call
            elif log:
                write(call)
            elif re.match(r"<\.\.\. (write|pwrite64) resumed", call) and thread in unfinished:
                write(unfinished.pop(thread))
            elif "sync resumed" in call and thread in under_way:
                covered(thread)
            elif re.match(r"(sendto|sendmsg)\(", call) and "webhook-id" in call:
                key = re.search(r"webhook-id: (tb-[0-9a-f]+)", call)[1]
                self.assertNotIn(key, written, "a byte left before the decision was on disk")
                self.assertGreaterEqual(synced[key], 2, "that it is planned, and that it is sent")
                sent += 1
        return sent


if __name__ == "__main__":
    book.say(f"TOLLBOOK_SEED={SEED}")
    book.main()
