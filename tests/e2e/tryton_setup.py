"""Fills an empty Tryton database: two companies with the accounts, periods and journal that usage is booked to.

Usage: tryton_setup.py CONFIG DATABASE USER PASSWORD YEAR

Runs inside Tryton, without its server, by Debian's python3. Prints nothing.
"""

import datetime
import sys

from trytond.config import config

CONFIG, DATABASE, USER, PASSWORD, YEAR = sys.argv[1:]
config.update_etc(CONFIG)

from trytond.pool import Pool  # noqa: E402  (the configuration comes first)
from trytond.transaction import Transaction  # noqa: E402

COMPANIES = (("Acme US Inc", "USD"), ("Acme EU GmbH", "EUR"))
CURRENCIES = {"USD": "$", "EUR": "€"}
# name, statement, what its type is
TYPES = {"asset": ("Assets", "balance", {"assets": True}), "revenue": ("Revenue", "income", {"revenue": True}),
         "receivable": ("Receivable", "balance", {"assets": True, "receivable": True})}
# name, type, does a line need a party
ACCOUNTS = {"1100": ("Unbilled receivable", "asset", False), "1300": ("Customers", "receivable", True),
            "4000": ("Usage revenue", "revenue", False), "4010": ("Calls", "revenue", False),
            "4020": ("Storage and transfer", "revenue", False), "4030": ("Compute", "revenue", False),
            "4040": ("Mail", "revenue", False), "4050": ("Seats and devices", "revenue", False)}
CUSTOMERS = 5


def sequence(pool, name, kind, company):
    data = pool.get("ir.model.data")
    made, = pool.get("ir.sequence").create([{
        "name": name, "sequence_type": data.get_id("account", kind), "company": company}])
    return made.id


def fill_company(pool, company, journal, year):
    pool.get("account.journal.sequence").create([{
        "journal": journal, "company": company,
        "sequence": sequence(pool, "Usage", "sequence_type_account_journal", company)}])
    types = {}
    for key, (name, statement, flags) in TYPES.items():
        made, = pool.get("account.account.type").create([
            dict(name=name, statement=statement, company=company, **flags)])
        types[key] = made.id
    pool.get("account.account").create([
        {"code": code, "name": name, "type": types[kind], "company": company, "party_required": party,
         "reconcile": party} for code, (name, kind, party) in ACCOUNTS.items()])
    fiscal_year, = pool.get("account.fiscalyear").create([{
        "name": str(year), "company": company, "start_date": datetime.date(year, 1, 1),
        "end_date": datetime.date(year, 12, 31),
        "post_move_sequence": sequence(pool, "Posting", "sequence_type_account_move", company)}])
    pool.get("account.fiscalyear").create_period([fiscal_year])


def fill(pool, transaction):
    data = pool.get("ir.model.data")
    currencies = {}
    for code, symbol in CURRENCIES.items():
        made, = pool.get("currency.currency").create([{"name": code, "code": code, "symbol": symbol, "digits": 2}])
        currencies[code] = made.id
    journal, = pool.get("account.journal").create([{"name": "Usage", "code": "USAGE", "type": "revenue"}])
    companies = []
    for name, currency in COMPANIES:
        party, = pool.get("party.party").create([{"name": name}])
        company, = pool.get("company.company").create([{"party": party.id, "currency": currencies[currency]}])
        companies.append(company.id)
        with transaction.set_context(company=company.id):
            fill_company(pool, company.id, journal.id, int(YEAR))
    pool.get("party.party").create([{"name": f"Customer {n}", "code": f"C-{n}"} for n in range(CUSTOMERS)])
    groups = [data.get_id("account", name) for name in ("group_account", "group_account_admin")]
    pool.get("res.user").create([{
        "name": "tollbook", "login": USER, "password": PASSWORD, "companies": [("add", companies)],
        "company": companies[0], "company_filter": "all", "groups": [("add", groups)]}])


with Transaction().start(DATABASE, 0, readonly=True):
    Pool(DATABASE).init()
with Transaction().start(DATABASE, 0) as running:
    fill(Pool(DATABASE), running)
    running.commit()
