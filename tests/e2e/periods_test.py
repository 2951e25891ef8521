"""A month is closed, and stays as it was closed: late usage goes on, or waits, and nothing is lost.

Also killed at any moment while it is closed and opened again, after which the book verifies and the change is there or
is not.
"""

import decimal
import json
import os
import pwd
import random
import signal
import time

import accounting_tools
import book
import small

D = decimal.Decimal
SEED = int(os.environ.get("TOLLBOOK_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
KILLS = 60 if book.LONG else 6
LISTED = {"entity", "period", "first_day", "last_day", "state", "batches", "waiting_differences", "waiting",
          "changed_at", "by", "why"}


class Periods(book.Case):
    def setUp(self):
        super().setUp()
        self.bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog"))
        self.files = 0

    def tearDown(self):
        accounting_tools.check(self, self.bill)

    def policy(self, text):
        path = self.scratch / "catalog" / "entities.yaml"
        path.write_text("entities:\n  - {name: acme-us, functional_currency: USD, " + text + "}\n", encoding="utf-8")

    def use(self, *events):
        self.files += 1
        path = self.scratch / f"usage-{self.files}.ndjson"
        path.write_bytes(small.lines(*events))
        return path

    def change(self, action, period="2025-01", *flags, **how):
        done = book.tollbook("periods", action, "--books", self.bill.directory, "--catalog", self.bill.catalog,
                             "--json", "--entity", "acme-us", "--period", period, "--by", "Ann", "--why",
                             "the month is done", *flags, **how)
        return json.loads(done.stdout) if done.stdout else done.stderr.decode()

    def periods(self):
        listed = json.loads(self.bill.read("periods", "--json", "--catalog", self.bill.catalog))
        self.assertTrue(all(set(row) == LISTED for row in listed))
        return {row["period"]: row for row in listed}

    def booked(self, period):
        return sum(D(row["debit"]) - D(row["credit"]) for row in self.bill.postings()
                   if row["account"] == "1200" and row["accounting_period"] == period)

    def test_what_is_closed_stays_byte_for_byte(self):
        self.bill.run(self.use(*(small.event(n, 100, time=f"2025-01-{n:02}T00:00:00Z") for n in range(1, 32))))
        self.assertEqual(self.change("close")["after"], "closed")
        january = self.bill.journals()
        report = self.bill.run(self.use(*(small.event(100 + n, 3, time=f"2025-01-{n:02}T00:00:00Z")
                                          for n in range(1, 32)), small.event(200, 50, time="2025-02-05T00:00:00Z")))
        self.assertEqual((report["batches"], report["differences"], report["waiting"]), (1, 32, []))
        self.assertTrue(self.bill.journals().startswith(january))
        self.assertEqual((self.booked("2025-01"), self.booked("2025-02")), (D("31.00"), D("1.43")))
        late = [row for row in self.bill.postings() if row["posting_date"] == "2025-02-01" and row["account"] == "1200"]
        self.assertEqual([row["memo"] for row in late], [f"api, 2025-01-{n:02}" for n in range(1, 32)])
        told = json.loads(self.bill.read("journals", "--json"))
        self.assertEqual([row["usage_date"] for row in told if row["account"] == "1200"],
                         [""] * 31 + [f"2025-01-{n:02}" for n in range(1, 32)] + [""])
        # From a late line down to the event of its day.
        explained = self.bill.explain(late[6]["batch_id"] + "/" + late[6]["line"])
        self.assertEqual([charge["usage_date"] for charge in explained["charges"]], ["2025-01-07"])
        self.assertEqual((explained["accounting_period"], explained["posting_date"]), ("2025-02", "2025-02-01"))
        self.bill.verify()
        self.assertEqual(self.periods()["2025-01"]["state"], "closed")

    def test_what_is_refused_waits_and_is_told_everywhere(self):
        self.policy("late_usage: refuse")
        self.bill.run(self.use(small.event(1, 100)))
        self.change("close")
        report = self.bill.run(self.use(small.event(2, 20), small.event(3, 50, time="2025-02-05T00:00:00Z")))
        waiting = [{"entity": "acme-us", "period": "2025-01", "reason": "period", "state": "closed", "currency": "USD",
                    "differences": 1, "amount": "0.20"}]
        self.assertEqual(report["waiting"], waiting)
        self.assertEqual(self.bill.status()["waiting"], waiting)
        self.assertIn(b"acme-us 2025-01 is closed: 1 difference, 0.20 USD waits", self.bill.read("charges"))
        listed = [row for row in self.bill.exceptions() if row["reason"] == "period_closed"]
        self.assertEqual([(row["subject"], row["usage_date"]) for row in listed], [("s1", "2025-01-05")])
        self.assertIn("acme-us 2025-01: 0.20 USD, debit 1200, credit 4000", listed[0]["payload"])
        self.assertEqual((self.periods()["2025-01"]["waiting"], self.periods()["2025-01"]["waiting_differences"]),
                         ("0.20 USD", "1"))
        self.assertEqual((self.booked("2025-01"), self.booked("2025-02")), (D("1.00"), D("0.50")))
        self.bill.verify()
        self.bill.read("reconcile")  # ends with 0: what waits is told apart
        self.change("reopen")
        self.assertEqual(self.bill.seal()["totals"][0]["debit"], "0.20")
        self.assertEqual(self.booked("2025-01"), D("1.20"))
        self.assertEqual(self.bill.status()["waiting"], [])
        self.bill.verify()

    def test_charges_tell_apart_who_delivers_and_who_delivered(self):
        (self.scratch / "catalog" / "entities.yaml").write_text(
            "entities:\n  - {name: acme-us, functional_currency: USD}\n  - {name: acme-in, functional_currency: USD}\n"
            "  - {name: acme-eu, functional_currency: EUR, late_usage: refuse}\n", encoding="utf-8")
        with open(self.scratch / "catalog" / "chart.yaml", "a", encoding="utf-8") as chart:
            chart.write('  - {code: "1500", name: Due from, type: asset}\n'
                        '  - {code: "2500", name: Due to, type: liability}\n')

        def delivered_by(entity):
            (self.scratch / "catalog" / "posting.yaml").write_text(
                'posting:\n  - {debit: "1200", credit: "4000", due_to: "2500", due_from: "1500", '
                f"delivered_by: {entity}}}\n", encoding="utf-8")

        delivered_by("acme-eu")
        self.bill.run(self.use(small.event(1, 100)))
        self.assertNotIn(b"entity", self.bill.read("charges").splitlines()[0])
        book.tollbook("periods", "close", "--books", self.bill.directory, "--catalog", self.bill.catalog, "--entity",
                      "acme-eu", "--period", "2025-01", "--by", "Ann", "--why", "the month is done")
        # What acme-eu has in its closed month waits to be booked back; acme-in has all of it.
        delivered_by("acme-in")
        self.bill.seal()
        rows = json.loads(self.bill.read("charges", "--format", "json"))
        self.assertEqual([(row["charge"], row["entity"], row["quantity"], row["amount_booked"]) for row in rows],
                         [("calls", "acme-us", "100", "1.00"), ("delivered calls", "acme-eu", "0", "1.00"),
                          ("delivered calls", "acme-in", "100", "1.00")])
        shown = [line.split() for line in self.bill.read("charges").decode().splitlines()[:5]]
        self.assertEqual(shown[0][:4], ["subscription", "plan", "charge", "entity"])
        self.assertEqual([row[2:-4] for row in shown[2:]], [["calls", "acme-us", "2025-01"],
                                                            ["delivered", "calls", "acme-eu", "2025-01"],
                                                            ["delivered", "calls", "acme-in", "2025-01"]])

    def test_a_refusal_is_one_line_for_each_thing_in_the_way(self):
        self.bill.absorb(self.use(small.event(1, 100), small.event(2, 1, subject="ghost"), small.event(3, meter="new")))
        said = self.change("close", expect=1)
        self.assertEqual([line.split(": ")[2] for line in said.splitlines()], ["unsealed", "unattributed", "held"])
        for line in said.splitlines():
            self.assertRegex(line, book.MESSAGE)
            self.assertRegex(line, "`tollbook [a-z]+")
        self.assertEqual(self.change("close", "2025-01", "--waive", "nothing", expect=2).count("\n"), 1)
        self.bill.seal()
        closed = self.change("close", "2025-01", "--waive", "held", "--waive", "unattributed")
        self.assertEqual(closed["waived"], [{"kind": "unattributed", "count": 1}, {"kind": "held", "count": 1}])
        audit = json.loads(self.bill.read("audit", "--json"))
        self.assertEqual([row["what"] for row in audit["rows"]], ["catalog", "seal", "period"])
        self.assertEqual(audit["rows"][2]["after"], "closed, waived unattributed 1, waived held 1")
        self.assertEqual((audit["rows"][2]["by"], audit["rows"][2]["why"]), ("Ann", "the month is done"))

    def test_each_correction_is_in_the_audit_log(self):
        def restated(number, calls, **more):
            return json.dumps(json.loads(small.event(number, calls)) | more, separators=(",", ":")).encode()

        self.bill.run(self.use(*(small.event(number, 100 + number) for number in range(25))))
        fixes = self.scratch / "fixes.ndjson"
        voids = [restated(f"v{number}", 100 + number, voids=str(number)) for number in range(1, 25)]
        fixes.write_bytes(small.lines(restated("c", 70, corrects="0", original={"data": {"calls": 100}}), *voids))
        self.bill.run(fixes)
        rows = [row for row in json.loads(self.bill.read("audit", "--json"))["rows"]
                if row["what"] in ("corrections", "correction", "void")]
        self.assertEqual((rows[0]["which"], rows[0]["after"]), ("accepted usage", "25 corrections applied"))
        was, now = ('api.calls s1 2025-01-05T12:00:00Z {"calls":%d}' % calls for calls in (100, 70))
        self.assertEqual([rows[1][key] for key in ("what", "which", "why", "before", "after")],
                         ["correction", "test 0", f"c from {fixes}:1", was, now])
        self.assertEqual([(row["what"], row["which"], row["after"]) for row in rows[2:]],
                         [("void", f"test {number}", "") for number in range(1, 25)])
        self.assertEqual(len({(row["commit"], row["at"]) for row in rows}), 1)
        # For people not all of them.
        text = self.bill.read("audit").decode()
        self.assertIn("test 19", text)
        self.assertNotIn("test 20", text)
        self.assertRegex(text, "and 5 more +--format csv has all")

    def test_broken_lines_are_answered_for_once(self):
        usage = self.use(small.event(1, 100), small.event(2, -1), small.event(1, 7))
        self.bill.run(usage)
        unwaived = ("--unwaived", "acme-us")
        listed = [(row["reason"], row["line"]) for row in self.bill.exceptions(*unwaived)]
        self.assertEqual(listed, [("negative_value", "2"), ("conflict", "3")])
        said = self.change("close", expect=1)
        self.assertEqual([line.split(": ")[2] for line in said.splitlines()], ["rejected", "conflict"])
        self.assertEqual(self.change("close", "2025-01", "--waive", "rejected", expect=1).count("\n"), 1)
        closed = self.change("close", "2025-01", "--waive", "rejected", "--waive", "conflict")
        self.assertEqual(closed["waived"], [{"kind": "rejected", "count": 1}, {"kind": "conflict", "count": 1}])
        self.assertEqual(self.bill.exceptions(*unwaived), [])
        self.assertEqual(len(self.bill.exceptions()), 2)
        self.bill.run(self.use(small.event(3, 100, time="2025-02-05T00:00:00Z"), b"nothing"))
        self.assertEqual([row["reason"] for row in self.bill.exceptions(*unwaived)], ["invalid_json"])
        said = self.change("close", "2025-02", expect=1)
        self.assertIn("rejected: 1 line is rejected and waived by no close of acme-us: see `tollbook exceptions "
                      "--unwaived acme-us`", said)
        self.change("close", "2025-02", "--waive", "rejected")
        self.change("close", "2025-03")
        book.tollbook("exceptions", "--books", self.bill.directory, "--unwaived", "acme-uk", expect=2)

    def test_each_other_catalog_is_in_the_audit_log_once(self):
        self.bill.absorb(self.use(small.event(1, 100)))
        prices = self.bill.catalog / "plans.yaml"
        first = prices.read_text()
        prices.write_text(first.replace("0.01", "0.02"))
        self.bill.absorb(self.use(small.event(2, 100)))
        self.bill.absorb(self.use(small.event(3, 100)))
        prices.write_text(first)
        self.bill.read("charges", "--catalog", self.bill.catalog)  # reads, and changes nothing
        self.bill.seal()
        audit = json.loads(self.bill.read("audit", "--json"))
        rows = [row for row in audit["rows"] if row["what"] == "catalog"]
        self.assertEqual([(row["commit"], row["which"]) for row in rows], [(1, "absorb"), (2, "absorb"), (4, "seal")])
        who = pwd.getpwuid(os.geteuid()).pw_name
        self.assertEqual({(row["by"], row["why"]) for row in rows}, {(who, f"from {self.bill.catalog}")})
        self.assertEqual(rows[0]["before"], "")
        self.assertEqual([row["before"] for row in rows[1:]], [row["after"] for row in rows[:-1]])
        self.assertEqual(rows[0]["after"], rows[2]["after"])
        self.assertEqual(audit["rows"][-1]["what"], "seal")
        self.bill.seal()  # nothing to book, and the same catalog
        self.bill.run(self.use(small.event(4, 100)))
        audit = json.loads(self.bill.read("audit", "--json"))
        seals = [row["by"] for row in audit["rows"] if row["what"] == "seal"]
        self.assertEqual(seals, [who] * len(seals), "each says whose account ran it")
        self.assertGreaterEqual(len(seals), 2)
        book.tollbook("verify", "--books", self.bill.directory, "--audit")

    def test_an_adjustment_names_who_and_why(self):
        self.bill.run(self.use(small.event(1, 100)))
        self.change("soft-close")
        self.assertEqual(self.bill.run(self.use(small.event(2, 7)))["batches"], 0)
        book.tollbook("seal", "--books", self.bill.directory, "--catalog", self.bill.catalog, "--adjust", expect=2)
        book.tollbook("seal", "--books", self.bill.directory, "--catalog", self.bill.catalog, "--by", "Ann", expect=2)
        self.assertEqual(self.bill.seal("--adjust", "--by", "Bea", "--why", "an accrual")["batches"], 1)
        self.assertEqual(self.booked("2025-01"), D("1.07"))
        row = json.loads(self.bill.read("audit", "--json"))["rows"][-1]
        self.assertEqual((row["what"], row["by"], row["why"]), ("adjusting seal", "Bea", "an accrual"))
        self.bill.verify()

    def test_killed_while_closing_and_opening(self):
        chance = random.Random(SEED)
        book.say(f"TOLLBOOK_SEED={SEED}")
        self.bill.run(self.use(small.event(1, 100)))
        state, changes = "open", 0
        begin = time.monotonic()
        self.change("close")
        self.change("reopen")
        one = (time.monotonic() - begin) / 2
        for _ in range(KILLS):
            action = "close" if state == "open" else "reopen"
            process = book.start("periods", action, "--books", self.bill.directory, "--entity", "acme-us", "--period",
                                 "2025-01", "--by", "Ann", "--why", "again")
            time.sleep(chance.uniform(0, 1.5 * one))
            process.send_signal(signal.SIGKILL)
            out, _ = process.communicate()
            now = self.periods()["2025-01"]["state"]
            if out:  # told: then it is durable
                self.assertNotEqual(now, state)
            changes += now != state
            state = now
            self.bill.verify()
        rows = [row for row in json.loads(self.bill.read("audit", "--json"))["rows"] if row["what"] == "period"]
        self.assertEqual(len(rows), 2 + changes)
        book.say(f"{KILLS} kills, {changes} changes made it")


if __name__ == "__main__":
    book.main()
