"""`ledger` and `hledger`, two plain-text accounting programs, and what they make of a journal of ours."""

import csv
import decimal
import io
import re
import shutil
import subprocess
import unittest

import book

LEDGER = shutil.which("ledger")
HLEDGER = shutil.which("hledger")


def installed():
    return [name for name, program in (("ledger", LEDGER), ("hledger", HLEDGER)) if program]


class Case(book.Case):
    @classmethod
    def setUpClass(cls):
        if not installed():
            raise unittest.SkipTest("neither ledger nor hledger is installed")

    def compare(self, journal, ours):
        """Each account's balance by entity, account code and currency, but for those of zero."""
        self.compare_by(journal, ours, self.ledger, self.hledger)

    def compare_costs(self, journal, ours):
        """Likewise what a journal with functional amounts costs: what its balances are in the functional currencies."""
        self.compare_by(journal, ours, lambda path: self.ledger(path, "-B", "--unround"),
                        lambda path: self.hledger(path, "-B"))

    def compare_by(self, journal, ours, ledger, hledger):
        for name, program, balances_of in (("ledger", LEDGER, ledger), ("hledger", HLEDGER, hledger)):
            with self.subTest(tool=name):
                if program is None:
                    self.skipTest(name + " is not installed")
                self.assertEqual(balances_of(journal), ours)

    def place(self, account, currency):
        """assets:acme-us:1200 Unbilled receivable -> acme-us, 1200"""
        _, entity, name = account.split(":")
        return entity, name.split(" ")[0], currency

    def run_tool(self, *command):
        done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        self.assertEqual(done.stderr, b"")
        return done.stdout.decode("utf-8")

    def ledger(self, journal, *options):
        self.run_tool(LEDGER, "-f", journal, "bal")
        text = self.run_tool(LEDGER, "-f", journal, *options, "bal", "--flat", "--no-total", "--format",
                             "%(account)\t%(scrub(display_total))\n")
        balances = {}
        for line in text.splitlines():  # the other currencies of an account on lines of their own
            account, _, amount = line.rpartition("\t")
            name = account or name
            self.assertRegex(amount, r"^ *(-?[\d.]+ [A-Z]{3}|[A-Z]{3}-?[\d.]+)$")
            currency = re.sub("[^A-Z]", "", amount)
            balances[self.place(name, currency)] = decimal.Decimal(re.sub("[^-.0-9]", "", amount))
        return balances

    def hledger(self, journal, *options):
        self.run_tool(HLEDGER, "-f", journal, "check")
        text = self.run_tool(HLEDGER, "-f", journal, *options, "bal", "--flat", "-N", "-O", "csv", "--layout", "bare")
        return {self.place(row["account"], row["commodity"]): decimal.Decimal(row["balance"])
                for row in csv.DictReader(io.StringIO(text)) if decimal.Decimal(row["balance"])}
