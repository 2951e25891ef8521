"""Each request that a target is sent fits the description of that target's API, and one that is broken does not.

What is sent while batches and usage are told through an answer that was lost (so that what asks is there, too) is written
down, and sent to a mock of the description: Prism, from build/contracts (`make contracts`). A mock remembers nothing; what a
system does with what it was sent is played by the servers of the other tests.
"""

import collections
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
import unittest
import urllib.parse
import xml.etree.ElementTree

import accounts_test
import billing_test
import book
import disk
import erp_server
import erp_test
import netsuite_test

PRISM = book.REPOSITORY / "build" / "contracts" / "node_modules" / ".bin" / "prism"
CONTRACTS = book.SHARED / "contracts"
CUSTOMER = "1717"  # what `s1` is there
HOP_BY_HOP = ("host", "content-length", "connection", "accept-encoding")


class Mock:
    """A mock of a description, on a port of its own."""

    def __init__(self, description):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen([PRISM, "mock", "-h", "127.0.0.1", "-p", str(self.port), "--verboseLevel", "silent",
                                         description], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def __enter__(self):
        for _ in range(3000):  # a machine with much else to do takes its minutes
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.1)
        self.__exit__()
        raise AssertionError("the mock does not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def send(self, method, path, headers, body):
        """(status, what is wrong with the request)."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body or None,
                           {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP})
        answer = connection.getresponse()
        said = answer.read()
        connection.close()
        violations = json.loads(answer.headers.get("sl-violations", "[]"))
        wrong = [violation["message"] for violation in violations if violation["location"][0] == "request"]
        return answer.status, wrong or ([] if answer.status < 400 else [said.decode(errors="replace")[:300]])


def leaves(value, path=()):
    """The places in a JSON value that hold no other ones."""
    if isinstance(value, dict):
        for name, member in value.items():
            yield from leaves(member, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    else:
        yield path


def changed(value, path, change):
    """A JSON value with what is at that place changed; `change` returns none to leave it out."""
    value = value.copy()
    there = change(value[path[0]]) if len(path) == 1 else changed(value[path[0]], path[1:], change)
    if there is None:
        del value[path[0]]
    else:
        value[path[0]] = there
    return value


def broken(body):
    """The body broken in one place: left out, of another kind, too long."""
    if body[:1] in (b"{", b"["):
        whole = json.loads(body)
        for name in whole if isinstance(whole, dict) else ():
            yield json.dumps(changed(whole, (name,), lambda _: None)).encode()
        for path in list(leaves(whole)):
            for change in (lambda _: None, lambda _: [{}], lambda value: "x" * 10_000):
                yield json.dumps(changed(whole, path, change)).encode()
    elif body.startswith(b"<"):
        for place, element in enumerate(xml.etree.ElementTree.fromstring(body).iter()):
            if len(element):
                continue
            for change in (lambda parent, child: parent.remove(child),
                           lambda _, child: setattr(child, "text", "x" * 10_000),
                           lambda _, child: setattr(child, "tag", "Unknown")):
                whole = xml.etree.ElementTree.fromstring(body)
                child = list(whole.iter())[place]
                parent = next(one for one in whole.iter() if child in list(one))
                change(parent, child)
                yield xml.etree.ElementTree.tostring(whole)
    elif body:
        fields = urllib.parse.parse_qsl(body.decode())
        for name, _ in fields:
            yield urllib.parse.urlencode([field for field in fields if field[0] != name])
            yield urllib.parse.urlencode([(field, "x" * 10_000 if field == name else value) for field, value in fields])


class Contract:
    """What all have. `FOLDER`: the description's; `BASE`: the path in front of those of the description."""

    BASE = ""
    PREFIX = ""        # what the description has in front of the path that is sent
    DEMANDED = ()      # words of what the description wants and the system does not
    WITHOUT_LOGIN = ()  # operations that need none
    LOGIN = "Authorization"

    def tell(self):
        """The requests that were sent."""
        raise NotImplementedError

    def lose_first_of_each(self, kind, key, count):
        """A fault for the first request of each kind: it is carried out, and its answer is lost."""
        self.lost = getattr(self, "lost", set())
        if kind in self.lost:
            return None
        self.lost.add(kind)
        return "drop_after"

    def operation(self, method, path):
        path = path.partition("?")[0]
        return method + " " + re.sub(r"(?<=/)(eid:tb-[0-9a-f]+|\d+|s\d)(?=/|$)", "*", path)

    def test_every_request_fits_and_a_broken_one_does_not(self):
        wire = self.tell()
        by_operation = collections.defaultdict(list)
        for method, path, headers, body in wire:
            self.assertTrue(path.startswith(self.BASE), path)
            path = self.PREFIX + path.removeprefix(self.BASE)
            by_operation[self.operation(method, path)].append((method, path, headers, body))
        refused = 0
        with Mock(CONTRACTS / self.FOLDER / "openapi.yaml") as mock:
            for operation, requests in by_operation.items():
                for method, path, headers, body in requests[:20]:
                    status, wrong = self.send(mock, method, path, headers, body)
                    self.assertEqual(self.without_demanded(wrong), [], f"{operation}: {status}\n{path}\n{body[:1000]}")
                with self.subTest(operation):
                    refused += self.break_it(mock, operation, *requests[0])
        book.say(f"{self.FOLDER}: {len(wire)} requests of {', '.join(sorted(by_operation))} fit; {refused} that were "
                 "broken were refused")

    def break_it(self, mock, operation, method, path, headers, body):
        """How many broken requests were refused, and that they were."""
        refused = 0
        if operation not in self.WITHOUT_LOGIN:
            bare = {name: value for name, value in headers.items() if name != self.LOGIN}
            status, _ = self.send(mock, method, path, bare, body)
            self.assertEqual(status, 401, "without a login")
            refused += 1
        if not body:
            return refused
        others = [body_ for body_ in broken(body) if self.is_refused(self.send(mock, method, path, headers, body_))]
        self.assertTrue(others, "whatever is broken in it, it is taken")
        other_type = {**headers, "Content-Type": "application/pdf"}
        self.assertTrue(self.is_refused(self.send(mock, method, path, other_type, body)))
        return refused + len(others) + 1

    def send(self, mock, method, path, headers, body):
        return mock.send(method, path, headers, body)

    def is_refused(self, answer):
        return answer[0] in (400, 415, 422) and bool(self.without_demanded(answer[1]))

    def without_demanded(self, wrong):
        return [what for what in wrong if not any(name in what for name in self.DEMANDED)]


class Journals(Contract):
    """Two batches with a dimension, one of which is refused; `MAPPED`: how the target maps the dimension, `RULE`: what
    the posting rule says besides, `CUSTOMERS`: of customers.csv."""

    RULE = CUSTOMERS = ""

    def tell(self):
        rule = self.catalog / "posting.yaml"
        rule.write_text(rule.read_text().replace("summary:", f'{self.RULE}dimensions: {{cost_center: "100"}}, summary:'))
        self.seal(2)
        if self.CUSTOMERS:
            (self.catalog / "customers.csv").write_text("target,subscription,id\n" + self.CUSTOMERS)
        with self.Server(faults=self.lose_first_of_each) as server:
            server.closed.add("2025-02")
            self.targets(self.mapped(self.target(server)))
            self.post("--wait", "30")
            self.assertEqual(self.states(), {"confirmed": 1, "parked": 1})
            self.assertEqual(server.problems, [])
            return server.wire

    def mapped(self, target):
        return target + f'    dimensions: {{"cost_center=100": "{self.MAPPED}"}}\n'


class Dynamics(Journals, erp_test.DynamicsTarget):
    """Of its lines, those of receivables are the customer's, and those of revenue are taxed."""

    class Server(erp_test.DynamicsTarget.Server):
        ACCOUNTS = erp_test.DynamicsTarget.Server.ACCOUNTS | {CUSTOMER}

    FOLDER, BASE, MAPPED = "d365", "/data", "007"
    RULE = "lines: by_subscription, tax_code: VAT19, "
    CUSTOMERS = f"erp,s1,{CUSTOMER}\n"
    # It was derived from the metadata's Nullable, so it demands members that the system fills when a row is made.
    DEMANDED = ("must have required property",)

    def mapped(self, target):
        return super().mapped(target) + ('    customer_accounts: ["1200"]\n    tax_codes: {VAT19: DOM/FULL}\n'
                                         '    tax_accounts: ["4000"]\n')

    def tell(self):
        wire = super().tell()
        lines = [json.loads(body) for _, path, _, body in wire if body and path.endswith("/LedgerJournalLines")]
        self.assertEqual({(line["AccountType"], line["AccountDisplayValue"].split("-")[0], line.get("SalesTaxGroup"),
                           line.get("ItemSalesTaxGroup")) for line in lines},
                         {("Cust", CUSTOMER, None, None), ("Ledger", "401000", "DOM", "FULL")})
        return wire


@unittest.skipUnless(shutil.which("xmllint"), "xmllint is not installed")
class Sap(Journals, erp_test.SapTarget):
    class Server(erp_test.SapTarget.Server):
        ITEMS = "/sap/opu/odata/sap/API_JOURNALENTRYITEMBASIC_SRV/A_JournalEntryItemBasic"

    def send(self, mock, method, path, headers, body):
        """The mock does not look inside of XML: that is the schema's part."""
        status, wrong = mock.send(method, path, headers, body)
        why = erp_server.wrong_in_xml(body) if status < 400 and body else ""
        return (400, [why]) if why else (status, wrong)

    FOLDER, MAPPED = "sap", "CostCenter=10101"
    KEYS = f"{erp_test.SapTarget.KEYS}    items_path: {Server.ITEMS}\n"


class Oracle(Journals, erp_test.OracleTarget):
    FOLDER, BASE = "oracle-fusion", "/fscmRestApi/resources/11.13.18.05"

    def mapped(self, target):
        return target.replace("{region}", "{cost_center}").replace('"region="', '"cost_center=100"')


class NetSuite(Journals, netsuite_test.Case):
    """Of its lines, those of receivables name the customer."""

    FOLDER, BASE, MAPPED = "netsuite", "/services/rest", "department=7"
    RULE = "lines: by_subscription, "
    CUSTOMERS = f"ns,s1,{CUSTOMER}\n"
    WITHOUT_LOGIN = ("POST /auth/oauth2/v1/token",)

    def mapped(self, target):
        return super().mapped(target) + '    customer_accounts: ["1200"]\n'

    def tell(self):
        wire = super().tell()
        lines = [line for _, path, _, body in wire if body and path.endswith("/journalEntry")
                 for line in json.loads(body)["line"]["items"]]
        self.assertEqual({(line["account"]["id"], line.get("entity", {}).get("id")) for line in lines},
                         {("58", CUSTOMER), ("4", None)})
        return wire


class Usage(Contract):
    def tell(self):
        with self.server(billing_test.KEY, self.lose_first_of_each) as server:
            self.targets(self.target(self.kind, server.url))
            self.three_seals()
            self.post("--wait", "30", "--strict")
            return server.wire


class Stripe(Usage, billing_test.Usage):
    FOLDER = kind = "stripe"
    server = billing_test.Stripe.server


@unittest.skipUnless(disk.SHIM, "$TOLLBOOK_DISK_SHIM does not name the library that moves a program's clock")
class StripeADayLater(Contract, billing_test.Usage):
    """Stripe no longer knows the keys: what may be there is settled by the sums of its meters."""

    FOLDER = kind = "stripe"

    def tell(self):
        with billing_test.Stripe.server(billing_test.KEY, lambda *_: "drop_after") as server:
            self.targets(self.target(self.kind, server.url, more="    meters: {api_calls: mtr_1, eu_calls: mtr_2}\n"))
            self.absorb(("s1", 2, 10, {}), ("s2", 3, 7, {"region": "eu"}))
            self.post()
            self.assertEqual(self.states(), {"uncertain": 1})
            server.faults = lambda *_: None
            self.post("--wait", "5", "--strict", env={**self.environment, **disk.environment(self.scratch, days=1)})
            self.assert_told(server)
            asked = [path for method, path, _, _ in server.wire if method == "GET"]
            self.assertEqual({path.partition("?")[0] for path in asked},
                             {f"/v1/billing/meters/mtr_{meter}/event_summaries" for meter in (1, 2)})
            return server.wire


class Chargebee(Usage, billing_test.Usage):
    FOLDER = kind = "chargebee"
    server = billing_test.Chargebee.server


class Maxio(Usage, billing_test.Usage):
    FOLDER = kind = "maxio"
    server = billing_test.Maxio.server
    PREFIX = "/acme"


class Zuora(Usage, billing_test.ZuoraCase):
    FOLDER = kind = "zuora"
    server = billing_test.Zuora.server


class Accounts(Contract):
    def tell(self):
        with self.server(faults=self.lose_first_of_each) as server:
            self.targets(self.target(server.url))
            self.three_seals()
            self.post("--wait", "30", "--strict")
            return server.wire


class Salesforce(Accounts, accounts_test.SalesforceCase):
    FOLDER = "salesforce"


class Gainsight(Accounts, accounts_test.GainsightCase):
    FOLDER = "gainsight"
    LOGIN = "accesskey"


class Totango(Accounts, accounts_test.TotangoCase):
    FOLDER = "totango"
    WITHOUT_LOGIN = ("POST /pixel.gif",)


if __name__ == "__main__":
    if not CONTRACTS.is_dir():
        book.skip(f"{CONTRACTS} is not there")
    if not os.access(PRISM, os.X_OK):
        book.skip("Prism is not installed: `make contracts` does that")
    book.main()
