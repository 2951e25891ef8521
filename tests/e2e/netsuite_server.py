"""As much of NetSuite as is asked of it, on the loopback, with the faults of fault_server.py.

A POST makes a job, which is carried out a moment later; the same idempotency key names the first job again, with a
status of 400; an externalId is taken once. What it takes must be as the contract beside the repository says, where that
and Python's yaml and jsonschema are at hand, and must balance.
"""

import base64
import decimal
import json
import re
import time
import urllib.parse
import uuid

import book
import fault_server

CONTRACT = book.SHARED / "contracts" / "netsuite" / "openapi.yaml"
REST = "/services/rest"
RECORD = REST + "/record/v1/journalEntry"
JOB = REST + "/async/v1/job/"


def validator():
    """Checks a journalEntry by the contract; nothing when there is none to check by."""
    try:
        import jsonschema
        import yaml
        schema = yaml.safe_load(CONTRACT.read_text())["components"]["schemas"]["JournalEntry"]
    except (ImportError, OSError):
        return None
    return lambda entry: jsonschema.validate(entry, schema)


class NetSuite(fault_server.Server):
    JOB_SECONDS = 0.2
    ACCOUNTS = {"58", "4"}
    PERIODS_CLOSED = ()

    def __init__(self, faults=None):
        super().__init__(faults=faults)
        self.url += REST[1:]
        self.records = {}     # externalId -> the record
        self.jobs = {}        # id -> {key, entry, at, done, error}
        self.job_of_key = {}  # idempotency key -> job id
        self.closed = set()   # periods, "2025-01"
        self.tokens = set()
        self.validate = validator()
        self.forgets_keys = False
        self.shows_nothing = False  # records are there, and whoever asks does not see them

    def fault_body(self, code, detail, status=400):
        return status, json.dumps({"type": "https://www.rfc-editor.org/", "title": "Conflict", "status": status,
                                   "o:errorDetails": [{"detail": detail, "o:errorCode": code}]}).encode()

    def run_jobs(self):
        """Those whose time has come: what was given up by who asked is carried out all the same."""
        for job in self.jobs.values():
            if job["done"] or time.monotonic() < job["at"] + self.JOB_SECONDS:
                continue
            job["done"] = True
            entry = job["entry"]
            if entry["externalId"] in self.records:
                job["error"] = ("DUP_RCRD", "This record already exists")
            elif entry["tranDate"][:7] in self.closed:
                job["error"] = ("PERIOD_CLOSED", "the posting period is closed")
            elif not {item["account"]["id"] for item in entry["line"]["items"]} <= self.ACCOUNTS:
                job["error"] = ("INVALID_KEY_OR_REF", "Invalid account reference key")
            else:
                self.records[entry["externalId"]] = {**entry, "id": str(1000 + len(self.records)), "made": 1}

    def serve(self, handler, body):
        path = urllib.parse.urlsplit(handler.path).path
        if path == REST + "/auth/oauth2/v1/token":
            return self.give_token(handler, dict(urllib.parse.parse_qsl(body.decode())))
        if handler.headers.get("Authorization", "").removeprefix("Bearer ") not in self.tokens:
            return self.reply(handler, *self.fault_body("INVALID_LOGIN", "Invalid login attempt", 401))
        with self.lock:
            self.run_jobs()
        if handler.command == "POST" and path == RECORD:
            return self.make(handler, json.loads(body, parse_float=decimal.Decimal))
        if handler.command == "GET" and path.startswith(RECORD + "/eid:"):
            return self.play_get(handler, "record", path.rsplit(":", 1)[1], self.show_record)
        if handler.command == "GET" and path.startswith(JOB):
            job, _, task = path.removeprefix(JOB).partition("/task/")
            return self.play_get(handler, "job", job, self.show_task if task else self.show_job)
        self.problems.append(f"{handler.command} {path}")
        return self.reply(handler, *self.fault_body("NOT_FOUND", path, 404))

    def reply(self, handler, status, body, headers=None):
        self.answer(handler, status, body, headers)

    def give_token(self, handler, form):
        header, claims, _ = (base64.urlsafe_b64decode(part + "==") for part in form["client_assertion"].split("."))
        claims = json.loads(claims)
        if (json.loads(header)["alg"], claims["scope"], claims["iss"]) != ("PS256", "rest_webservices", "tollbook"):
            self.problems.append("a wrong assertion")
        self.tokens = {"token-%s" % uuid.uuid4()}
        self.reply(handler, 200, json.dumps({"access_token": next(iter(self.tokens)), "token_type": "bearer",
                                             "expires_in": "3600"}).encode())

    def check(self, handler, entry):
        if self.validate:
            self.validate(json.loads(json.dumps(entry, default=float)))
        uuid.UUID(handler.headers["X-NetSuite-Idempotency-Key"])
        sides = [sum(item.get(side, 0) for item in entry["line"]["items"]) for side in ("debit", "credit")]
        if handler.headers["Prefer"] != "respond-async" or sides[0] != sides[1] or not entry["externalId"]:
            self.problems.append("a request that NetSuite would not take")

    def make(self, handler, entry):
        try:
            self.check(handler, entry)
        except Exception as error:  # whatever it is, the test tells it
            self.problems.append(str(error))
        key = handler.headers["X-NetSuite-Idempotency-Key"]
        truth = {}

        def carry_out():
            with self.lock:
                if key in self.job_of_key and not self.forgets_keys:
                    truth["answer"] = self.fault_body("IDEMPOTENCY_ERROR", "the key was used")
                else:
                    self.job_of_key[key] = str(70 + len(self.jobs))
                    self.jobs[self.job_of_key[key]] = {"entry": entry, "at": time.monotonic(), "done": False,
                                                       "error": None}
                    truth["answer"] = (202, b"")
                truth["location"] = f"http://elsewhere{JOB}{self.job_of_key[key]}"

        fault = self.choose("create", entry["externalId"])
        if fault is None:
            carry_out()
            return self.reply(handler, *truth["answer"], {"Location": truth["location"]})
        self.play(handler, fault, carry_out, lambda: (202, b"{}"))

    def play_get(self, handler, kind, key, show):
        fault = self.choose(kind, key)
        self.play(handler, fault, lambda: None, lambda: show(key))

    def change(self, key):
        self.records[key]["line"]["items"][0]["account"] = {"id": "999"}

    def remove(self, key):
        del self.records[key]

    def show_record(self, key):
        record = None if self.shows_nothing else self.records.get(key)
        if record is None:
            return self.fault_body("NONEXISTENT_ID", "The record instance does not exist.", 404)
        return 200, json.dumps(record, default=float).encode()

    def show_job(self, job):
        known = self.jobs.get(job)
        if known is None:
            return self.fault_body("NOT_FOUND", "no such job", 404)
        progress = "failed" if known["error"] else "succeeded"
        return 200, json.dumps({"id": job, "completed": known["done"],
                                "progress": progress if known["done"] else "processing",
                                "task": {"links": [{"rel": "self", "href": f"{JOB}{job}/task/{job}"}]}}).encode()

    def show_task(self, job):
        error = self.jobs[job.split("/")[0]]["error"]
        return self.fault_body(*error) if error else (204, b"")
