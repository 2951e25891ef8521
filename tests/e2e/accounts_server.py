"""Systems that keep one record of each account, on the loopback, as far as they are told how accounts stand: Salesforce's
records by external id, Gainsight's companies, Totango's accounts. Faults as in fault_server.py; the kind is "accounts", the key the first id of the request.

What comes must be as the contracts beside the repository say, where those are at hand: written from public
descriptions, none of them was asked.
"""

import json
import random
import re
import urllib.parse

import fault_server

LYING_200 = b"[]"


def exact(text):
    """JSON whose numbers stay the texts that they are."""
    return json.loads(text, parse_float=lambda number: ("number", number), parse_int=lambda number: ("number", number))


class Records(fault_server.Server):
    """`records`: id -> what was last told of it, field by field. `history`: all that was taken, in its order."""

    AUTHORIZATION = {}  # header -> value

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.records = {}
        self.history = []
        self.bodies = []
        self.refused = set()  # ids
        self.locked = {}      # id -> how often it is still held by somebody
        self.left_out = set()  # ids that had no word of an answer, and did not come again yet
        self.ids = {}         # id -> the system's own number of it
        self.chance = random.Random(0)

    def serve(self, handler, body):
        for header, value in self.AUTHORIZATION.items():
            if handler.headers.get(header, "") != value:
                return self.answer(handler, 401, b'[{"message":"Session expired","errorCode":"INVALID_SESSION_ID"}]')
        path, _, query = handler.path.partition("?")
        rows = self.rows(handler, urllib.parse.unquote(path), query, body)
        if rows is None:
            self.problems.append(f"{handler.command} {handler.path}")
            return self.answer(handler, 404, b"[]")
        self.bodies.append(body.decode())
        with self.lock:
            self.left_out -= {key for key, _ in rows}
        fault = self.choose("accounts", rows[0][0])
        if fault in fault_server.BULK:
            with self.lock:
                return self.answer(handler, *self.take_in_part(rows, fault))
        truth = []

        def carry_out():
            with self.lock:
                truth.append(self.take(rows))

        if fault == "lying_200":
            return self.answer(handler, 200, LYING_200)
        self.play(handler, fault, carry_out, lambda: truth[0])

    def upsert(self, key, fields):
        self.records.setdefault(key, {}).update(fields)
        self.history.append((key, dict(self.records[key])))


class Salesforce(Records):
    """sObject Collections: each record has a result of its own, in a 200."""

    AUTHORIZATION = {"Authorization": "Bearer a-token"}
    FIELDS = {"Month__c", "Calls__c", "Calls_Before__c", "Spend__c", "Spend_Before__c", "Used__c", "Overage__c",
              "Granted__c", "Left__c", "Posting__c", "Posted_At__c", "Committed__c", "Committed_Spend__c",
              "Committed_Left__c"}

    def rows(self, handler, path, query, body):
        match = re.fullmatch(r"/services/data/v\d+\.\d/composite/sobjects/(\w+)/(\w+)", path)
        if handler.command != "PATCH" or not match or query:
            return None
        told = exact(body)
        if set(told) != {"allOrNone", "records"} or not 1 <= len(told["records"]) <= 200:
            self.problems.append("members, or more than 200 records")
        rows = []
        for record in told["records"]:
            if record.pop("attributes") != {"type": match[1]} or "Id" in record:
                self.problems.append("attributes")
            rows.append((record.pop(match[2]), record))
        return rows

    @staticmethod
    def failure(code, message, *fields):
        return {"success": False, "errors": [{"statusCode": code, "message": message, "fields": list(fields)}]}

    def take(self, rows):
        return 200, json.dumps(self.take_each(rows)).encode()

    def take_in_part(self, rows, fault):
        def some():
            return self.chance.sample(range(len(rows)), max(1, len(rows) // 5))

        failing = some() if fault in ("bulk_refused", "bulk_missing", "bulk_instead", "bulk_order", "bulk_all") else ()
        results = []
        for place, row in enumerate(rows):
            results += [self.failure("UNKNOWN_EXCEPTION", "not this time")] if place in failing else self.take_each([row])
        words = [[result] for result in results]  # of each record
        if fault in ("bulk_missing", "bulk_missing_after", "bulk_all"):
            for place in failing if fault == "bulk_missing" else some():
                words[place] = []
                self.left_out.add(rows[place][0])
        if fault in ("bulk_twice", "bulk_all"):
            for place in some():
                words[place] *= 2
        if fault == "bulk_instead":
            for place in failing:
                words[place] = words[(place + 1) % len(words)]
        words = [word for of_record in words for word in of_record]
        if fault in ("bulk_order", "bulk_all"):
            self.chance.shuffle(words)
        return 200, json.dumps(words).encode()

    def take_each(self, rows):
        results = []
        for key, fields in rows:
            unknown = sorted(set(fields) - self.FIELDS)
            if key in self.refused or unknown:
                results.append(self.failure("INVALID_FIELD", f"No such column {unknown or key}", *unknown))
            elif self.locked.get(key, 0) > 0:
                self.locked[key] -= 1
                results.append(self.failure("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record"))
            else:
                created = key not in self.records
                self.upsert(key, fields)
                number = self.ids.setdefault(key, 1 + len(self.ids))
                results.append({"id": "001%015d" % number, "success": True, "created": created, "errors": []})
        return results


class Gainsight(Records):
    """All records of a request, or none of them: an envelope that says so, in a 200 or a 400."""

    AUTHORIZATION = {"accesskey": "a-token"}
    FIELDS = {name.replace("__c", "__gc") for name in Salesforce.FIELDS}

    def rows(self, handler, path, query, body):
        match = re.fullmatch(r"/v1/data/objects/(Company|\w+__gc)", path)
        keys = urllib.parse.parse_qs(query).get("keys", [])
        if handler.command != "PUT" or not match or len(keys) != 1:
            return None
        told = exact(body)
        if set(told) != {"records"} or not 1 <= len(told["records"]) <= 50:
            self.problems.append("members, or more than 50 records")
        return [(record.pop(keys[0]), record) for record in told["records"]]

    def take_in_part(self, rows, fault):
        assert fault == "bulk_refused", fault
        for row in self.chance.sample(rows, len(rows) // 2):
            if row[0] not in self.refused:
                self.upsert(*row)
        return self.envelope(200, False, "GSOBJ_1002", "some of them could not be saved")

    def take(self, rows):
        for key, fields in rows:
            if key in self.refused or set(fields) - self.FIELDS:
                return self.envelope(len(rows) % 2 and 400 or 200, False, "GSOBJ_1001", f"validation failed for {key}")
        for key, fields in rows:
            self.upsert(key, fields)
        return self.envelope(200, True, None, None)

    def envelope(self, status, result, code, words):
        return status, json.dumps({"result": result, "errorCode": code, "errorDesc": words,
                                   "requestId": f"r-{len(self.requests)}", "data": None, "message": None}).encode()


class Totango(Records):
    """200 and a picture, to whatever came; a request that is not well formed is dropped without a word."""

    FIELDS = {"Month", "Calls", "Calls Before", "Spend", "Spend Before", "Used", "Overage", "Granted", "Left", "Posting",
              "Posted At", "Committed", "Committed Spend", "Committed Left"}

    def rows(self, handler, path, query, body):
        if (handler.command, path, query) != ("POST", "/pixel.gif", ""):
            return None
        told = dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, strict_parsing=True))
        fields = {name.removeprefix("sdr_o."): value for name, value in told.items() if name.startswith("sdr_o.")}
        if set(told) != {"sdr_s", "sdr_o"} | {"sdr_o." + name for name in fields} or told["sdr_s"] != "SP-1234-11":
            self.problems.append("parameters: %s" % sorted(told))
        return [(told["sdr_o"], fields)]

    def take(self, rows):
        for key, fields in rows:
            if not set(fields) - self.FIELDS:
                self.upsert(key, fields)
        return 200, b"GIF89a"
