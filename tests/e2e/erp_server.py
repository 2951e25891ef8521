"""As much of Dynamics 365 Finance, SAP S/4HANA Cloud and Oracle Fusion as is asked of them, on the loopback, with the faults of
fault_server.py. What the tests read is what the server holds: `journals()`, by reference, with their sides.

What comes must be as the contracts beside the repository say, where those (and what reads them) are at hand.
"""

import base64
import collections
import csv
import datetime
import hashlib
import io
import json
import re
import shutil
import subprocess
import time
import urllib.parse
import xml.etree.ElementTree
import zipfile

import book
import fault_server

CONTRACTS = book.SHARED / "contracts"


def short_key(key):
    """As an ERP has it whose fields are too short for a posting key."""
    return base64.b32encode(hashlib.sha256(key.encode()).digest()[:10]).decode()


class Server(fault_server.Server):
    """Common to them: who asks, faults, and closed months."""

    ACCOUNTS = {"130100", "401000"}
    AUTHORIZATION = ""

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.closed = set()  # "2025-01"

    def serve(self, handler, body):
        if handler.headers.get("Authorization", "") != self.AUTHORIZATION:
            return self.answer(handler, 401, b"")
        path, _, query = handler.path.partition("?")
        found = self.route(handler, path, dict(urllib.parse.parse_qsl(query)), body)
        if found is None:
            self.problems.append(f"{handler.command} {path}")
            return self.answer(handler, 404, b"{}")
        kind, key, act = found
        held = {}

        def carry_out():
            with self.lock:
                held["answer"] = act()

        fault = self.choose(kind, key)
        self.play(handler, fault, carry_out, lambda: held.get("answer", (200, b"{}")))

    def refusal(self, account, month):
        if account not in self.ACCOUNTS:
            return f"account {account} does not exist"
        return f"the period of {month} is not open" if month in self.closed else None


class Dynamics(Server):
    """A header gets a number of Dynamics' own each time that it is sent; a line is taken once of a number."""

    AUTHORIZATION = "Bearer a-token"

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.headers = {}  # number -> header
        self.lines = {}    # (number, line number) -> line
        try:
            import yaml
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            self.schemas = yaml.load((CONTRACTS / "d365" / "openapi.yaml").read_text(), loader)["components"]["schemas"]
        except (ImportError, OSError):
            self.schemas = None

    def check(self, schema, row):
        """Its names and types; `required` there also names what only Dynamics itself may fill in."""
        for name, value in row.items() if self.schemas else ():
            known = self.schemas[schema]["properties"].get(name)
            kind = {str: "string", int: "number", float: "number"}[type(value)]
            if known is None or known.get("type", "string") != kind:
                self.problems.append(f"{schema}.{name} is not in the contract as {kind}")

    @staticmethod
    def error(status, message):
        return status, json.dumps({"error": {"code": "", "message": "An error has occurred.",
                                             "innererror": {"message": message}}}).encode()

    def route(self, handler, path, query, body):
        entity = path.removeprefix("/data/")
        if handler.command == "GET" and query.get("cross-company") == "true":
            key = re.search("(?:IntegrationKey|JournalBatchNumber) eq '([^']*)'", query["$filter"]).group(1)
            look = {"LedgerJournalHeaders": self.look_headers, "LedgerJournalLines": self.look_lines}[entity]
            return "look", key, lambda: look(query)
        if handler.command != "POST":
            return None
        row = json.loads(body)
        if entity == "LedgerJournalHeaders":
            self.check("LedgerJournalHeader", row)
            return "create", row["IntegrationKey"], lambda: self.make_header(row)
        if entity == "LedgerJournalLines":
            self.check("LedgerJournalLine", row)
            return "line", f"{row['JournalBatchNumber']}/{row['LineNumber']}", lambda: self.make_line(row)
        return None

    def make_header(self, row):
        row = {**row, "JournalBatchNumber": "GJ%06d" % (len(self.headers) + 1), "IsPosted": "No"}
        self.headers[row["JournalBatchNumber"]] = row
        return 201, json.dumps(row).encode()

    def make_line(self, row):
        key = row["JournalBatchNumber"], row["LineNumber"]
        if key in self.lines:
            return self.error(400, "The record already exists.")
        why = self.refusal(row["AccountDisplayValue"].split("-")[0], row["TransDate"][:7])
        if why or row["JournalBatchNumber"] not in self.headers:
            return self.error(400, why or "no such journal")
        self.lines[key] = row
        return 201, json.dumps(row).encode()

    def look_headers(self, query):
        asked = dict(re.findall(r"(\w+) eq '([^']*)'", query["$filter"]))
        rows = [row for row in self.headers.values() if row["IntegrationKey"] == asked["IntegrationKey"] or
                (row["dataAreaId"] == asked.get("dataAreaId") and
                 row["JournalBatchNumber"] == asked.get("JournalBatchNumber"))]
        return 200, json.dumps({"value": rows}).encode()

    def look_lines(self, query):
        asked = dict(re.findall(r"(\w+) eq '([^']*)'", query["$filter"]))
        rows = [row for key, row in sorted(self.lines.items()) if key[0] == asked["JournalBatchNumber"]]
        first = int(query["$skip"])
        rows = [{"DebitAmount": 0, "CreditAmount": 0, **row} for row in rows[first:first + int(query["$top"])]]
        return 200, json.dumps({"value": rows}).encode()

    def journals(self):
        found = collections.defaultdict(list)
        for number, header in self.headers.items():
            lines = [line for key, line in self.lines.items() if key[0] == number]
            found[header["IntegrationKey"]].append(
                sorted((line["AccountDisplayValue"], "%.2f" % line.get("DebitAmount", 0),
                        "%.2f" % line.get("CreditAmount", 0)) for line in lines))
        return found

    def change(self, key):
        number, = (number for number, header in self.headers.items() if header["IntegrationKey"] == key)
        self.lines[(number, 1)]["DebitAmount"] = 999

    def remove(self, key):
        self.headers = {number: header for number, header in self.headers.items() if header["IntegrationKey"] != key}
        self.lines = {place: line for place, line in self.lines.items() if place[0] in self.headers}


SAP_SCHEMA = CONTRACTS / "sap" / "journal-entry.own.xsd"
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"


def wrong_in_xml(body):
    """What SAP's schema says of the request in an envelope: "" when it fits. Wants xmllint."""
    try:
        request = xml.etree.ElementTree.fromstring(body).find(SOAP + "Body")[0]
    except (xml.etree.ElementTree.ParseError, TypeError, IndexError) as error:
        return f"no request in an envelope: {error}"
    checked = subprocess.run(["xmllint", "--noout", "--schema", SAP_SCHEMA, "-"], capture_output=True, timeout=60,
                             input=xml.etree.ElementTree.tostring(request))
    return checked.stderr.decode() if checked.returncode else ""


class Sap(Server):
    """Posts whatever comes, as often as it comes: it knows no key. Items are shown some time after they are posted."""

    ACCOUNTS = {"0000130100", "0000401000"}
    AUTHORIZATION = "Basic " + base64.b64encode(b"tollbook:a-password").decode()
    SERVICE = "/sap/bc/srt/scs_ext/sap/journalentrycreaterequestconfi"
    ITEMS = "/sap/opu/odata/sap/API_OPLACCTGDOCITEMCUBE_SRV/A_OperationalAcctgDocItemCube"
    LAG_SECONDS = 0.0

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.documents = []  # {number, reference, at, items}
        self.can_check = bool(shutil.which("xmllint")) and SAP_SCHEMA.exists()
        if not self.can_check:
            book.say("xmllint or the contract is not there: what SAP is sent is not held against its schema")

    def route(self, handler, path, query, body):
        if handler.command == "GET" and path == self.ITEMS and query.get("$format") == "json":
            asked = dict(re.findall(r"(\w+) eq '([^']*)'", query["$filter"]))
            reference = asked["DocumentReferenceID"]
            return "look", reference, lambda: self.look(reference)
        if handler.command == "POST" and path == self.SERVICE:
            if wrong := self.can_check and wrong_in_xml(body):
                self.problems.append(wrong)
            request = xml.etree.ElementTree.fromstring(body).find(SOAP + "Body")[0]
            entry = request.find("JournalEntryCreateRequest/JournalEntry")
            return "create", entry.findtext("DocumentReferenceID"), lambda: self.make(entry)
        return None

    def make(self, entry):
        items = [{"GLAccount": item.findtext("GLAccount"), "FiscalYear": entry.findtext("PostingDate")[:4],
                  "AmountInTransactionCurrency": item.findtext("AmountInTransactionCurrency"),
                  "TransactionCurrency": item.find("AmountInTransactionCurrency").get("currencyCode"),
                  "PostingDate": entry.findtext("PostingDate"), "CompanyCode": entry.findtext("CompanyCode"),
                  **{field.tag: field.text for field in item.findall("AccountAssignment/*")},
                  "DocumentReferenceID": entry.findtext("DocumentReferenceID")} for item in entry.findall("Item")]
        why = next((why for why in (self.refusal(item["GLAccount"], item["PostingDate"][:7]) for item in items) if why),
                   None)
        number = "0000000000"
        if not why:
            number = "19%08d" % len(self.documents)
            self.documents.append({"number": number, "at": time.monotonic(), "items": items,
                                   "reference": items[0]["DocumentReferenceID"]})
        note = f"<Item><SeverityCode>3</SeverityCode><Note>{why} &amp; so on</Note></Item>" if why else ""
        return 200, ('<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
                     '<n0:JournalEntryBulkCreateConfirmation xmlns:n0="http://sap.com/xi/SAPSCORE/SFIN">'
                     "<JournalEntryCreateConfirmation><JournalEntryCreateConfirmation>"
                     f"<AccountingDocument>{number}</AccountingDocument></JournalEntryCreateConfirmation>"
                     f"<Log>{note}</Log></JournalEntryCreateConfirmation></n0:JournalEntryBulkCreateConfirmation>"
                     "</soap:Body></soap:Envelope>").encode()

    def look(self, reference):
        rows = []
        for document in self.documents:
            if document["reference"] != reference or time.monotonic() < document["at"] + self.LAG_SECONDS:
                continue
            for item in document["items"]:
                day = datetime.datetime.fromisoformat(item["PostingDate"] + "T00:00:00+00:00")
                rows.append({**item, "PostingDate": "/Date(%d)/" % (day.timestamp() * 1000),
                             "AccountingDocument": document["number"]})
        return 200, json.dumps({"d": {"results": rows}}).encode()

    def journals(self):
        found = collections.defaultdict(list)
        for document in self.documents:
            amounts = [(item["GLAccount"].lstrip("0"), float(item["AmountInTransactionCurrency"]))
                       for item in document["items"]]
            found[document["reference"]].append(
                sorted((account, "%.2f" % max(amount, 0), "%.2f" % max(-amount, 0)) for account, amount in amounts))
        return found

    def change(self, key):
        document, = (document for document in self.documents if document["reference"] == short_key(key))
        document["items"][0]["AmountInTransactionCurrency"] = "999.00"

    def remove(self, key):
        self.documents = [document for document in self.documents if document["reference"] != short_key(key)]


class Oracle(Server):
    """Carries out each request a moment later, as often as one comes; its batches are shown some time after that."""

    ACCOUNTS = {"130100", "401000"}
    AUTHORIZATION = "Basic " + base64.b64encode(b"tollbook:a-password").decode()
    RESOURCES = "/fscmRestApi/resources/11.13.18.05"
    JOB_SECONDS = 0.2
    LAG_SECONDS = 0.0

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.requests_made = []  # {id, group, rows, at, status}
        self.batches = []        # {id, name, at, rows}
        self.left = {}           # group -> rows that a failed import left in the interface table
        self.makes_nothing = False  # requests succeed, and the import that they start makes no journal
        self.forgotten = set()      # requests that Oracle knows no more
        try:
            import yaml
            paths = yaml.safe_load((CONTRACTS / "oracle-fusion" / "openapi.yaml").read_text())["paths"]
            content = paths["/erpintegrations"]["post"]["requestBody"]["content"]
            self.schema = content["application/vnd.oracle.adf.resourceitem+json"]["schema"]
        except (ImportError, OSError):
            self.schema = None

    def check(self, row):
        for name in self.schema["required"] if self.schema else ():
            if name not in row:
                self.problems.append(f"{name} is missing")
        for name, value in row.items() if self.schema else ():
            known = self.schema["properties"].get(name)
            if (known is None or not re.search(known.get("pattern", ""), value) or
                    value not in known.get("enum", [value])):
                self.problems.append(f"{name} is not as in the contract: {value[:50]}")

    def run_jobs(self):
        for job in self.requests_made:
            if job["status"] != "WAIT" or time.monotonic() < job["at"] + self.JOB_SECONDS:
                continue
            rows = self.left.pop(job["group"], []) + job["rows"]
            if self.makes_nothing:
                self.left[job["group"]] = rows
                job["status"] = "SUCCEEDED"
            elif any(self.refusal(row[8], row[2][:7].replace("/", "-")) for row in rows):
                self.left[job["group"]] = rows
                job["status"] = "ERROR"
            else:
                job["status"] = "SUCCEEDED"
                self.batches.append({"id": str(500 + len(self.batches)), "name": rows[0][42] + " A 9 N",
                                     "at": time.monotonic(), "rows": rows})

    def route(self, handler, path, query, body):
        with self.lock:
            self.run_jobs()
        resource = path.removeprefix(self.RESOURCES)
        if handler.command == "POST" and resource == "/erpintegrations":
            request = json.loads(body)
            self.check(request)
            with zipfile.ZipFile(io.BytesIO(base64.b64decode(request["DocumentContent"]))) as packed:
                rows = list(csv.reader(io.TextIOWrapper(packed.open("GlInterface.csv"), encoding="utf-8", newline="")))
                is_damaged = packed.testzip() is not None
            group = request["ParameterList"].split(",")[3]
            if is_damaged or {len(row) for row in rows} != {149} or {row[66] for row in rows} != {group}:
                self.problems.append("a file that Oracle would not load")
            return "create", rows[0][42], lambda: self.make(group, rows)
        if handler.command == "GET" and resource == "/erpintegrations":
            job = re.fullmatch(r"ESSJobStatusRF;requestId=(\d+)", query["finder"]).group(1)
            return "job", job, lambda: self.items([{"ReqstId": job, "RequestStatus": next(
                one["status"] for one in self.requests_made if one["id"] == job)}] if job not in self.forgotten else [])
        if handler.command == "GET" and resource == "/journalBatches":
            name = re.fullmatch(r"Name LIKE '(.*)%'", query["q"]).group(1)
            return "look", name, lambda: self.items([
                {"JeBatchId": batch["id"], "Name": batch["name"],
                 "RunningTotalDr": sum(float(row[38] or 0) for row in batch["rows"]),
                 "RunningTotalCr": sum(float(row[39] or 0) for row in batch["rows"])}
                for batch in self.batches
                if batch["name"].startswith(name) and time.monotonic() >= batch["at"] + self.LAG_SECONDS])
        return None

    @staticmethod
    def items(rows):
        return 200, json.dumps({"items": rows, "count": len(rows), "hasMore": False}).encode()

    def make(self, group, rows):
        self.requests_made.append({"id": str(9000 + len(self.requests_made)), "group": group, "rows": rows,
                                   "at": time.monotonic(), "status": "WAIT"})
        return 201, json.dumps({"OperationName": "importBulkData", "ReqstId": self.requests_made[-1]["id"]}).encode()

    def journals(self):
        found = collections.defaultdict(list)
        for batch in self.batches:
            found[batch["name"].split()[0]].append(
                sorted((row[8], "%.2f" % float(row[38] or 0), "%.2f" % float(row[39] or 0)) for row in batch["rows"]))
        return found

    def change(self, key):
        batch, = (batch for batch in self.batches if batch["name"].startswith(key))
        batch["rows"][0][38] = "999.00"

    def remove(self, key):
        self.batches = [batch for batch in self.batches if not batch["name"].startswith(key)]
