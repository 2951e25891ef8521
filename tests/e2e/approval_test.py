"""Finance looks before the ERP does: batches held until a named person approves them, what has no posting rule, what of
the journal is at its target, and a log that shows what was changed afterwards.
"""

import json
import os
import pwd
import shutil

import accounting_tools
import book
import small


class Approval(book.Case):
    def setUp(self):
        super().setUp()
        self.catalog = small.write_catalog(self.scratch / "catalog")
        self.bill = book.Book(self.scratch / "book", self.catalog)
        self.write("entities.yaml", "entities:\n  - name: acme-us\n    functional_currency: USD\n"
                                    "    approval: {above: {USD: 1.00}}\n")
        self.write("targets.yaml", "targets:\n  - {name: archive, kind: files, directory: out, format: csv}\n")
        self.files = 0

    def tearDown(self):
        accounting_tools.check(self, self.bill)

    def write(self, name, text):
        (self.catalog / name).write_text(text, encoding="utf-8")

    def use(self, *events):
        self.files += 1
        path = self.scratch / f"usage-{self.files}.ndjson"
        path.write_bytes(small.lines(*events))
        return self.bill.run(path)

    def tell(self, *arguments, **how):
        return book.tollbook(*arguments[:1], *arguments[1:], "--books", self.bill.directory, **how)

    def post(self):
        self.tell("post", "--catalog", self.catalog)
        return sorted(path.name for path in (self.catalog / "out").glob("*.csv"))

    def rows(self, *arguments):
        return json.loads(self.tell(*arguments, "--json").stdout)

    def delivered(self):
        return [(row["period"], row["left"], row["right"], row["equal"], row["not_there_yet"])
                for row in json.loads(self.tell("reconcile", "--format", "json").stdout)
                if row["step"] == "delivered to archive"]

    def test_a_held_batch_is_posted_once_it_is_approved(self):
        self.assertEqual(self.use(small.event(1, 50))["held_for_approval"], [])
        report = self.use(small.event(2, 200))
        self.assertEqual(report["held_for_approval"],
                         [{"batch": "acme-us-USD-2025-01-0002", "why": "2.00 is above 1.00"}])
        self.assertEqual(self.delivered(), [("2025-01", "2.50", "0.00", "explained",
                                             "2.00 held for approval, 0.50 not planned yet")])
        self.assertEqual(self.post(), ["acme-us-USD-2025-01-0001.csv"])
        self.assertNotIn(b"0002", self.tell("post", "--catalog", self.catalog, "--dry-run").stdout)
        self.assertEqual(self.delivered(), [("2025-01", "2.50", "0.50", "explained", "2.00 held for approval")])
        self.assertIn(b"Not approved", self.bill.read("journals"))

        approve = ("journals", "approve", "acme-us-USD-2025-01-0002")
        self.tell(*approve, "--by", "Ann", expect=2)
        self.tell("journals", "approve", "acme-us-USD-2025-01-0001", "--by", "Ann", "--why", "it ties", expect=1)
        self.tell(*approve, "--by", "Ann", "--why", "it ties")
        self.tell(*approve, "--by", "Ann", "--why", "it ties", expect=1)
        self.assertEqual(self.rows("journals", "held"),
                         [{"batch": "acme-us-USD-2025-01-0002", "state": "approved",
                           "held_because": "2.00 is above 1.00", "by": "Ann", "why": "it ties"}])
        self.assertEqual(self.post(), ["acme-us-USD-2025-01-0001.csv", "acme-us-USD-2025-01-0002.csv"])
        self.assertEqual(self.delivered(), [("2025-01", "2.50", "2.50", "yes", "")])
        self.bill.verify()

        told = [(row["what"], row["which"], row["by"], row["before"], row["after"])
                for row in self.rows("audit")["rows"] if row["what"] in ("approval", "delivery")]
        account = pwd.getpwuid(os.geteuid()).pw_name  # nobody signs what a target answered
        self.assertEqual(told, [("delivery", "archive acme-us-USD-2025-01-0001", account, "pending", "confirmed"),
                                ("approval", "acme-us-USD-2025-01-0002", "Ann", "held", "approved"),
                                ("delivery", "archive acme-us-USD-2025-01-0002", account, "pending", "confirmed")])

    def test_what_has_no_posting_rule_waits_and_is_told_everywhere(self):
        rules = (self.catalog / "posting.yaml").read_text(encoding="utf-8")
        self.write("posting.yaml", "posting: []\n")
        report = self.use(small.event(1, 50))
        self.assertEqual((report["seal"], [(row["reason"], row["amount"]) for row in report["waiting"]]),
                         (0, [("unmapped", "0.50")]))
        listed = [row for row in json.loads(self.tell("exceptions", "--json", "--catalog", self.catalog).stdout)
                  if row["reason"] == "unmapped"]
        self.assertEqual([row["payload"] for row in listed], ["s1 basic/calls, acme-us 2025-01: 0.50 USD, product api"])
        refused = self.tell("periods", "close", "--catalog", self.catalog, "--entity", "acme-us", "--period", "2025-01",
                            "--by", "Ann", "--why", "done", expect=1).stderr
        self.assertIn(b"unmapped: 1 difference, 0.50 USD", refused)
        unmapped = {"entity": "acme-us", "period": "2025-01", "reason": "unmapped", "state": "open", "currency": "USD",
                    "differences": 1, "amount": "0.50"}
        tried = self.bill.retry()
        self.assertEqual((tried["to_seal"], tried["waiting"]), ([], [unmapped]))
        self.write("posting.yaml", rules)
        tried = self.bill.retry()
        self.assertEqual((tried["to_seal"], tried["waiting"]),
                         ([{"entity": "acme-us", "currency": "USD", "differences": 1, "amount": "0.50"}], []))
        self.assertIn(b"`tollbook seal` books 1 difference, 0.50 USD, of acme-us",
                      self.tell("exceptions", "retry", "--catalog", self.catalog).stdout)
        self.assertEqual(self.bill.seal()["totals"][0]["debit"], "0.50")
        self.assertEqual(self.bill.status()["waiting"], [])
        self.bill.verify()

    def test_a_retry_books_what_was_held_and_keeps_who_decided_it(self):
        new = small.event(2, 30, time="2025-02-05T12:00:00Z", meter="mails")
        self.use(small.event(1, 50), small.event(3, 7, meter="mails"), new)
        small.write_catalog(self.catalog, meters=small.CALLS + "  - {name: mails, aggregation: sum, value: calls}\n",
                            charges="      - {name: mails, meter: mails, product: api, " + small.PRICE + "}\n")
        retry = ("exceptions", "retry", "--catalog", self.catalog)
        self.tell(*retry, "--by", "Ann", expect=2)
        self.tell(*retry, "--through", "2025-01-31", expect=2)  # of a seal
        done = json.loads(self.tell(*retry, "--by", "Ann", "--why", "the meter is there", "--seal", "--through",
                                    "2025-01-31", "--json").stdout)
        self.assertEqual((done["lines_read"], done["accepted"], done["held"]), (2, 2, 0))
        self.assertEqual((done["seal"], done["differences"], done["totals"]),
                         (2, 1, [{"entity": "acme-us", "currency": "USD", "debit": "0.07", "credit": "0.07"}]))
        told = [(row["what"], row["by"], row["why"], row["before"], row["after"])
                for row in self.rows("audit")["rows"] if row["what"] in ("retry", "seal")]
        self.assertEqual(told[1:], [("retry", "Ann", "the meter is there", "2 held", "0 held"),
                                    ("seal", "Ann", "the meter is there", "", "1 difference in 1 batch")])
        said = self.tell(*retry, "--seal").stdout
        self.assertIn(b"Of 0 held events, 0 are accepted now", said)
        self.assertIn(b"Journal: seal 3 booked 1 difference in 1 batch with 1 line", said)
        self.assertEqual(self.rows("audit")["rows"][-1]["why"], "", "nobody was named")
        self.bill.verify()

    def test_a_retry_of_a_correction_keeps_who_decided_it(self):
        small.write_catalog(self.catalog, meters=small.CALLS + "  - {name: peak, aggregation: max, value: calls}\n",
                            charges="      - {name: peak, meter: peak, product: api, " + small.PRICE + "}\n")
        self.use(small.event("p1", 80, meter="peak"), small.event("p2", 30, meter="peak"))
        source, aside = self.scratch / "usage-1.ndjson", self.scratch / "aside"
        void = json.loads(small.event("v1", 80, meter="peak"))
        void["voids"] = "p1"

        def corrections():
            return [(row["what"], row["which"], row["by"], row["why"], row["before"], row["after"])
                    for row in self.rows("audit")["rows"] if row["what"] in ("retry", "corrections")]
        source.rename(aside)
        self.assertEqual(self.use(json.dumps(void).encode())["held"], 1)
        self.assertEqual(corrections(), [], "nobody has decided anything")
        aside.rename(source)
        (self.catalog / "chart.yaml").write_bytes((self.catalog / "chart.yaml").read_bytes() + b"# another one\n")
        self.tell("exceptions", "retry", "--catalog", self.catalog, "--by", "Ann", "--why", "the file is back")
        self.assertEqual(corrections(),
                         [("retry", "held corrections", "Ann", "the file is back", "1 held", "0 held"),
                          ("corrections", "accepted usage", "Ann", "the file is back", "", "1 correction applied")])
        self.bill.verify()

    def test_the_catalog_says_who_may(self):
        who = pwd.getpwuid(os.geteuid()).pw_name
        self.write("entities.yaml", "entities:\n  - name: acme-us\n    functional_currency: USD\n"
                   "    approval: {every_batch: true}\n    may:\n      close: [Ann]\n"
                   f"      approve: ['account:{who}x']\n      reopen: ['account:{who}']\n")
        self.use(small.event(1, 200))
        approve = ("journals", "approve", "acme-us-USD-2025-01-0001", "--by", "Ann", "--why", "it ties")
        self.assertIn(f"not one of those who may approve or reject batches of acme-us: Ann, by the account {who}: "
                      f"entities.yaml:7 has approve: [account:{who}x]", self.tell(*approve, expect=1).stderr.decode())
        close = ("--catalog", self.catalog, "--entity", "acme-us", "--period", "2025-01", "--why", "done", "--waive",
                 "unapproved")
        self.assertIn(b"entities.yaml:6 has close: [Ann]; have one of them decide it",
                      self.tell("periods", "close", *close, "--by", "Zoe", expect=1).stderr)
        self.assertIn(b"may close periods",
                      self.tell("periods", "soft-close", *close[:-2], "--by", "ann", expect=1).stderr)
        self.tell("periods", "close", *close, "--by", "Ann")
        self.tell("periods", "reopen", *close[:-2], "--by", "Zoe")  # whoever she says she is: the account may
        self.assertEqual([row["by"] for row in self.rows("audit")["rows"] if row["what"] == "period"], ["Ann", "Zoe"])
        self.bill.verify()

    def test_a_status_tells_what_has_no_posting_rule(self):
        small.write_catalog(self.catalog, subscriptions=("s1", "s2"))
        with open(self.catalog / "subscriptions.csv", "a", encoding="utf-8") as rows:
            rows.write("s3,s3,other,acme-us,USD,2025-01-01,\n")
        with open(self.catalog / "plans.yaml", "a", encoding="utf-8") as plans:
            plans.write("  - name: other\n    currency: USD\n    charges:\n"
                        "      - {name: calls, meter: api.calls, product: other, " + small.PRICE + "}\n")
        self.write("posting.yaml", 'posting: [{product: api, debit: "1200", credit: "4000"}]\n')
        self.use(small.event(1, 70), small.event(2, 50, subject="s3"))
        self.assertEqual([(row["reason"], row["amount"]) for row in self.bill.status()["waiting"]],
                         [("unmapped", "0.50")])

    def test_an_anchor_shows_what_was_cut(self):
        self.use(small.event(1, 200))
        before = self.scratch / "before"
        shutil.copytree(self.bill.directory, before)
        self.tell("journals", "approve", "acme-us-USD-2025-01-0001", "--by", "Ann", "--why", "it ties")
        anchor = self.tell("audit", "--anchor").stdout.decode().strip()
        self.tell("verify", "--audit", "--anchor", anchor)
        self.use(small.event(2, 1))
        self.tell("verify", "--anchor", anchor)
        self.tell("verify", "--audit", "--anchor", "7", expect=2)
        shutil.rmtree(self.bill.directory)
        shutil.copytree(before, self.bill.directory)  # a sound book, as it was before the decision
        self.bill.verify()
        self.tell("verify", "--audit", "--anchor", anchor, expect=1)
        # Another decision in its place is found as well.
        self.tell("journals", "approve", "acme-us-USD-2025-01-0001", "--by", "Bob", "--why", "it ties")
        self.tell("verify", "--audit")
        self.assertIn(b"something up to it was changed",
                      self.tell("verify", "--audit", "--anchor", anchor, expect=1).stdout)


if __name__ == "__main__":
    book.main()
