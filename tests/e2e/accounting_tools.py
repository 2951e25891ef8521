"""`ledger` and `hledger`, two plain-text accounting programs, and what they make of a journal of ours."""

import collections
import csv
import decimal
import io
import re
import shutil
import subprocess
import time
import unittest

import book

LEDGER = shutil.which("ledger")
HLEDGER = shutil.which("hledger")


def installed():
    return [name for name, program in (("ledger", LEDGER), ("hledger", HLEDGER)) if program]


def balances_in(bill):
    """What a book's postings come to, by entity, account code and currency, but for those of zero."""
    balances = collections.Counter()
    for row in bill.postings():
        balances[row["entity"], row["account"], row["currency"]] += (
            decimal.Decimal(row["debit"]) - decimal.Decimal(row["credit"]))
    return {place: amount for place, amount in balances.items() if amount}


def check(case, bill):
    """The programs that are there read the journal of a book at its end, and come to its balances, to the last digit.
    For tests of something else: without the programs they go on."""
    if not installed():
        book.say("neither ledger nor hledger is installed: the journal was not read by another program")
        return
    begin = time.monotonic()
    ours = balances_in(bill)
    compare(case, written(case, bill), ours)
    book.say(f"{len(ours)} balances the same in {' and '.join(installed())} ({time.monotonic() - begin:.1f} s)")


def written(case, bill, *flags):
    """The journal as they read it, as a file."""
    journal = case.scratch / "journal.ledger"
    journal.write_bytes(bill.read("journals", "--format", "ledger", *flags))
    return journal


def compare(case, journal, ours):
    """Each account's balance by entity, account code and currency, but for those of zero."""
    compare_by(case, journal, ours, ledger, hledger)


def compare_costs(case, journal, ours):
    """Likewise what a journal with functional amounts costs: what its balances are in the functional currencies."""
    compare_by(case, journal, ours, lambda of, path: ledger(of, path, "-B", "--unround"),
               lambda of, path: hledger(of, path, "-B"))


def compare_by(case, journal, ours, ledger, hledger):
    for name, balances_of in (("ledger", ledger), ("hledger", hledger)):
        if name in installed():
            with case.subTest(tool=name):
                case.assertEqual(balances_of(case, journal), ours)


def place(account, currency):
    """assets:acme-us:1200 Unbilled receivable -> acme-us, 1200"""
    _, entity, name = account.split(":")
    return entity, name.split(" ")[0], currency


def run_tool(case, *command):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=600)
    case.assertEqual(done.returncode, 0, done.stderr.decode())
    case.assertEqual(done.stderr, b"")
    return done.stdout.decode("utf-8")


def ledger(case, journal, *options):
    run_tool(case, LEDGER, "-f", journal, "bal")
    text = run_tool(case, LEDGER, "-f", journal, *options, "bal", "--flat", "--no-total", "--format",
                    "%(account)\t%(scrub(display_total))\n")
    balances = {}
    for line in text.splitlines():  # the other currencies of an account on lines of their own
        account, _, amount = line.rpartition("\t")
        name = account or name
        case.assertRegex(amount, r"^ *(-?[\d.]+ [A-Z]{3}|[A-Z]{3}-?[\d.]+)$")
        currency = re.sub("[^A-Z]", "", amount)
        balances[place(name, currency)] = decimal.Decimal(re.sub("[^-.0-9]", "", amount))
    return balances


def hledger(case, journal, *options):
    run_tool(case, HLEDGER, "-f", journal, "check")
    text = run_tool(case, HLEDGER, "-f", journal, *options, "bal", "--flat", "-N", "-O", "csv", "--layout", "bare")
    return {place(row["account"], row["commodity"]): decimal.Decimal(row["balance"])
            for row in csv.DictReader(io.StringIO(text)) if decimal.Decimal(row["balance"])}


class Case(book.Case):
    """For tests of nothing but what the programs say."""

    @classmethod
    def setUpClass(cls):
        if not installed():
            raise unittest.SkipTest("neither ledger nor hledger is installed")
        for name in {"ledger", "hledger"} - set(installed()):
            book.say(f"{name} is not installed: only the other one reads")
