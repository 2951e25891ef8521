"""Other accounting programs read what every scenario booked, and come to its balances, account by account.

`pipeline_tests` leaves the journal of each story in tests/scenarios, as `journals --format ledger` shows it, with and
without `--functional`, and its balances in the directory that $TOLLBOOK_SCENARIO_JOURNALS names; here `ledger` and
`hledger` read them.
"""

import decimal
import os
import pathlib
import unittest

import accounting_tools
import book

JOURNALS = pathlib.Path(os.environ.get("TOLLBOOK_SCENARIO_JOURNALS", "") or "none")


class ScenarioJournals(accounting_tools.Case):
    def balances_of(self, path):
        """By entity, account and currency."""
        rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        return {(entity, account, currency): decimal.Decimal(amount) for entity, account, currency, amount in rows}

    @unittest.skipUnless(JOURNALS.is_dir(), "pipeline_tests has left no journals: run it first, or all of ctest")
    def test_the_journal_of_each_scenario(self):
        names = sorted(path.stem for path in (book.REPOSITORY / "tests" / "scenarios").glob("*.scenario"))
        self.assertGreater(len(names), 100)
        balances, currencies = 0, set()
        for name in names:
            with self.subTest(scenario=name):
                journal, ours = JOURNALS / f"{name}.ledger", self.balances_of(JOURNALS / f"{name}.balances")
                if journal.stat().st_size == 0:
                    self.assertEqual(ours, {})
                    continue
                accounting_tools.compare(self, journal, ours)
                balances += len(ours)
                currencies |= {currency for _, _, currency in ours}
        book.say(f"{len(names)} scenarios, {balances} balances in {len(currencies)} currencies, the same in "
                 f"{' and '.join(accounting_tools.installed())}")
        self.assertGreater(balances, len(names))
        self.assertGreater(len(currencies), 3)

    @unittest.skipUnless(JOURNALS.is_dir(), "pipeline_tests has left no journals: run it first, or all of ctest")
    def test_what_scenarios_of_several_currencies_cost(self):
        read = 0
        for path in sorted(JOURNALS.glob("*.functional.ledger")):
            if b" @@ " not in path.read_bytes():
                continue  # all is in the functional currency: what the other test reads
            with self.subTest(scenario=path.name):
                accounting_tools.compare_costs(self, path, self.balances_of(path.with_suffix(".balances")))
                read += 1
        book.say(f"{read} scenarios of other currencies than the functional one")
        self.assertGreater(read, 9)


if __name__ == "__main__":
    book.main()
