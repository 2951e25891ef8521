"""A target that plays faults: a webhook's receiver and a ledger that speaks Tryton's JSON-RPC, on the loopback.

It remembers what it took (`taken`, by key) as a real target would, and for each request that may take something asks
`faults` what to do: a callable of (kind, key, how often that key came) that gives the name of a fault, or None. Kinds:
"event" (webhook), "create" and "post" (ledger). A fault says whether the request is carried out, and what is
answered instead of the truth.
"""

import base64
import copy
import dataclasses
import hashlib
import hmac
import http.server
import json
import socket
import ssl
import struct
import threading
import time

HTML = b"<!doctype html><title>Sign in</title>"

# name: (is it carried out, what comes back). Kept apart from the code so that a reader sees which are tried.
FAULTS = {
    "drop_before": (False, "close"),
    "drop_after": (True, "close"),
    "reset_before": (False, "reset"),
    "reset_after": (True, "reset"),
    "500_before": (False, 500),
    "500_after": (True, 500),
    "502_after": (True, 502),
    "504_after": (True, 504),
    "408_after": (True, 408),
    "503_retry_after": (False, 503),
    "503_bare_after": (True, 503),
    "429_retry_after": (False, 429),
    "500_retry_after": (True, 500),
    "html_200_before": (False, "html"),
    "html_200_after": (True, "html"),
    "redirect_before": (False, 302),
    "redirect_after": (True, 303),
    "cut_before": (False, "cut"),
    "cut_after": (True, "cut"),
    "huge_after": (True, "huge"),
    "drip_after": (True, "drip"),
    "silent_after": (True, "silent"),
    "wrong_length_after": (True, "wrong_length"),
    "garbage_after": (True, "garbage"),
    "drip_head_after": (True, "drip_head"),
    "chunk_cut_after": (True, "chunk_cut"),
    "twice_after": (True, "twice"),
    "kill_before": (False, "kill"),
    "kill_after": (True, "kill"),
}
# A refusal, which is for a person; where it is carried out it is a lie.
REFUSALS = {
    "409_before": (False, 409),
    "409_after": (True, 409),
    "403_before": (False, 403),
}
# Carried out some time after what was answered; `quiet_seconds` must be longer.
LATE = {
    "drop_late": ("late", "close"),
    "500_late": ("late", 500),
}
LATE_SECONDS = 0.4
# Of the ledger only: 200 and JSON, and yet no answer.
LYING = {
    "lying_200_before": (False, b'{"id":1,"result":null}'),
    "lying_200_after": (True, b'{"id":1,"result":null}'),
    "empty_json_after": (True, b"{}"),
    "half_json_after": (True, b'{"id":1,"res'),
}
# Of the ledger only, too: its session has expired, which it says; its search does not show what it made just now.
FORGETTING = {"401_before": (False, 401)}
# A limit of requests, as some say it: no refusal.
LIMITING = {"403_retry_after": (False, 403)}
SEARCH_LAG = "search_lag"
SHOWN_AFTER_SECONDS = 0.4
# Of a request with many items: the others are carried out, and become what they become; some of them are not, and their
# words are as here. A system with one word for all of a request has the first of these only, and refuses all.
BULK = {
    "bulk_refused": "some are refused, and so are their words",
    "bulk_missing": "some are not there, and have no word",
    "bulk_missing_after": "all are there, and some have no word",
    "bulk_twice": "all are there, and some have two words",
    "bulk_instead": "some are not there, and have words of others, so that there are as many as items",
    "bulk_order": "some are refused, and the words come in another order",
    "bulk_all": "refused, missing and twice, in another order",
}
RETRY_AFTER_SECONDS = 1


def tls(certificate):
    """`certificate`: a file with its key, or what this makes of one."""
    if isinstance(certificate, ssl.SSLContext):
        return certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def names():
    """All of them, in the order of the tables."""
    return [*FAULTS, *REFUSALS, *LATE, *LYING, *FORGETTING, *LIMITING, SEARCH_LAG, *BULK]


class Ledger:
    """As much of Tryton as is asked of it: drafts, posting, closed periods, sessions that are forgotten."""

    ACCOUNTS = ("1200", "4000")

    def __init__(self, companies):
        self.companies = companies  # name -> currency
        self.moves = {}
        self.closed = set()  # periods, "2025-01"
        self.sessions = set()
        self.next_id = 0
        self.password = "a-password"
        self.hidden_until = {}  # move -> when the search shows it

    def company(self, name):
        return 1 + list(self.companies).index(name)

    def new_id(self):
        self.next_id += 1
        return self.next_id

    def login(self, params):
        if params[1].get("password") != self.password:
            return None
        self.sessions.add("s%d" % (len(self.sessions) + 1))
        return [2, sorted(self.sessions)[-1]]

    def result(self, method, params):
        context = params[-1]
        if method == "model.company.company.search_read":
            return [{"id": self.company(name), "currency.": {"id": 1, "code": currency}}
                    for name, currency in self.companies.items() if name == params[0][0][2]]
        if method == "model.account.journal.search_read":
            return [{"id": 5, "code": "USAGE"}] if params[0][0][2] == "USAGE" else []
        if method == "model.account.period.search_read":
            date = next(value for field, _, value in params[0] if field == "start_date")
            name = "%04d-%02d" % (date["year"], date["month"])
            return [{"id": 100 + date["month"], "name": name, "state": "close" if name in self.closed else "open"}]
        if method == "model.account.account.search_read":
            codes = next(value for field, _, value in params[0] if field == "code")
            return [{"id": int(code), "code": code, "party_required": False} for code in codes if code in self.ACCOUNTS]
        if method == "model.account.move.search_read":
            return [dict(id=move["id"], company=move["company"], state=move["state"], number="U%d" % move["id"],
                         post_number="P%d" % move["id"] if move["state"] == "posted" else None, date=move["date"])
                    for move in self.moves.values() if all(self.matches(move, *term) for term in params[0])
                    and time.monotonic() >= self.hidden_until.get(move["id"], 0)]
        if method == "model.account.move.line.search_read":
            move = self.moves[params[0][0][2]]
            return [{"id": number, "account.": {"code": str(line["account"])}, "debit": line["debit"],
                     "credit": line["credit"]} for number, line in enumerate(move["lines"])]
        if method == "model.account.move.create":
            made = []
            for values in params[0]:
                move = {"id": self.new_id(), "state": "draft", "company": values["company"], "date": values["date"],
                        "description": values["description"], "lines": values["lines"][0][1]}
                assert context == {"company": move["company"]}
                self.moves[move["id"]] = move
                made.append(move["id"])
            return made
        if method == "model.account.move.post":
            for number in params[0]:
                if self.moves[number]["state"] == "posted":
                    raise ValueError('You cannot modify posted move "U%d".' % number)
                self.moves[number]["state"] = "posted"
            return None
        if method == "model.account.move.delete":
            for number in params[0]:
                assert self.moves.pop(number)["state"] == "draft"
            return None
        raise AssertionError(method)

    @staticmethod
    def matches(move, field, operator, value):
        assert operator == "=", operator
        return move[field] == value

    def key_of(self, method, params):
        if method == "model.account.move.create":
            return params[0][0]["description"].split()[0]
        return self.moves[params[0][0]]["description"].split()[0] if params[0][0] in self.moves else ""


@dataclasses.dataclass
class State:
    """Of a server: what it took, and how often what came that it may have taken."""
    taken: dict
    ledger: Ledger
    came: dict


class Server:
    """Listens on a port of its own until it is closed; a context manager."""

    def __init__(self, secret="", faults=None, companies=None, certificate=None):
        self.secret = secret
        self.faults = faults or (lambda kind, key, count: None)
        self.ledger = Ledger(companies or {"Acme US": "USD"})
        self.taken = {}       # webhook: key -> body
        self.came = {}        # (kind, key) -> how often
        self.requests = []    # (monotonic time, kind, key, fault)
        self.problems = []    # what a client must never do
        self.wire = []        # (method, path and query, headers, body) as they came
        self.times = []       # when each came, whatever it was; monotonic
        self.connections = 0  # that came to a request
        self.states = None    # a list: what `state` is after each request, if it is kept
        self.accepted, self.ended = [], 0  # who connected; how many of these have ended
        self.kill = lambda: None
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits 40 ms for the acknowledgement of its head

            def setup(self):
                super().setup()
                outer.connections += 1

            def do_POST(self):
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:  # the client was killed while it sent it: no request came
                    self.close_connection = True
                    return
                outer.times.append(time.monotonic())
                outer.wire.append((self.command, self.path, dict(self.headers), body))
                outer.serve(self, body)
                if outer.states is not None:
                    outer.states.append(outer.state())

            do_GET = do_PUT = do_PATCH = do_POST

            def log_message(self, *_):
                pass

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def process_request(self, request, client_address):
                outer.accepted.append(client_address)
                super().process_request(request, client_address)

            def shutdown_request(self, request):
                super().shutdown_request(request)
                with outer.lock:
                    outer.ended += 1

            def handle_error(self, request, client_address):
                pass  # a client that was killed

        self.server = Threads(("127.0.0.1", 0), Handler)
        if certificate:
            self.server.socket = tls(certificate).wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d/" % self.port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def state(self):
        """What it took, and what came that it may have taken; to be put back."""
        with self.lock:
            return State(copy.deepcopy(self.taken), copy.deepcopy(self.ledger), dict(self.came))

    def put_back(self, state):
        with self.lock:
            self.taken, self.ledger, self.came = copy.deepcopy(state.taken), copy.deepcopy(state.ledger), dict(state.came)

    def settle(self):
        """Waits until all that was sent to it by those who are gone is dealt with: then nothing is under way."""
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            me = last.getsockname()
        end = time.monotonic() + 60
        while me not in self.accepted or self.ended < len(self.accepted):
            if time.monotonic() > end:
                raise AssertionError("somebody is still connected")
            time.sleep(0.001)

    def serve(self, handler, body):
        if handler.headers.get("webhook-id"):
            return self.serve_event(handler, body)
        return self.serve_call(handler, body)

    def choose(self, kind, key):
        with self.lock:
            count = self.came[(kind, key)] = self.came.get((kind, key), 0) + 1
            fault = self.faults(kind, key, count)
            self.requests.append((time.monotonic(), kind, key, fault))
        return fault

    def serve_event(self, handler, body):
        key, seconds = handler.headers["webhook-id"], handler.headers["webhook-timestamp"]
        signed = hmac.new(self.secret.encode(), f"{key}.{seconds}.".encode() + body, hashlib.sha256).digest()
        if handler.headers["webhook-signature"] != "v1," + base64.b64encode(signed).decode():
            self.problems.append("a wrong signature")
        if json.loads(body)["id"] != key:
            self.problems.append("a body of another key")
        fault = self.choose("event", key)

        def take():
            with self.lock:
                if self.taken.setdefault(key, body) != body:
                    self.problems.append("the same key with another body")

        self.play(handler, fault, take, lambda: (200, b'{"ok":true}'))

    def serve_call(self, handler, body):
        request = json.loads(body)
        if list(request) != ["id", "method", "params"]:
            self.problems.append("keys that switch the dialect: %s" % list(request))
        method, params = request["method"], request["params"]
        if method == "common.db.login":
            session = self.ledger.login(params)
            return self.answer(handler, 200 if session else 401, json.dumps({"id": 0, "result": session}).encode())
        session = base64.b64decode(handler.headers.get("Authorization", " ").split(" ", 1)[1]).decode()
        if session.split(":")[-1] not in self.ledger.sessions:
            return self.answer(handler, 401, b"")
        kind = method.rsplit(".", 1)[1]
        fault = None
        if kind in ("create", "post"):
            fault = self.choose(kind, self.ledger.key_of(method, params))
        result = {}

        def run():
            with self.lock:
                try:
                    result["result"] = self.ledger.result(method, params)
                except ValueError as error:
                    result["error"] = ["UserError", [str(error), "", None]]

        self.play(handler, fault, run, lambda: (200, json.dumps({"id": 1, **result}).encode()))

    def play(self, handler, fault, carry_out, truth):
        if fault == SEARCH_LAG:
            before = set(self.ledger.moves)
            carry_out()
            for move in set(self.ledger.moves) - before:
                self.ledger.hidden_until[move] = time.monotonic() + SHOWN_AFTER_SECONDS
            return self.misbehave(handler, "close", truth)
        if fault in FORGETTING:
            self.ledger.sessions.clear()
            return self.answer(handler, 401, b"")
        if fault in LYING:
            does, body = LYING[fault]
            if does:
                carry_out()
            return self.answer(handler, 200, body)
        does, how = {**FAULTS, **REFUSALS, **LATE, **LIMITING}[fault] if fault else (True, "truth")
        if does == "late":
            later = threading.Timer(LATE_SECONDS, carry_out)
            later.daemon = True
            later.start()
        elif does:
            carry_out()
        if how == "truth":
            self.answer(handler, *truth())
        elif isinstance(how, int):
            headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if fault.endswith("retry_after") else {}
            if how in (302, 303):
                headers["Location"] = self.url + "elsewhere"
            self.answer(handler, how, b"no", headers)
        elif how == "html":
            self.answer(handler, 200, HTML, {"Content-Type": "text/html; charset=utf-8"})
        else:
            self.misbehave(handler, how, truth)

    def misbehave(self, handler, how, truth):
        handler.close_connection = True
        connection = handler.connection
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "kill":
            self.kill()
        elif how == "silent":
            time.sleep(3)
        elif how == "garbage":
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
        elif how in ("cut", "wrong_length"):
            body = truth()[1] if how == "wrong_length" else b'{"id":1,"res'
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) + 100) + body)
        elif how == "huge":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            piece = b" " * (1 << 20)
            for _ in range(64):
                connection.sendall(piece)
        elif how == "chunk_cut":
            body = truth()[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body)
        elif how == "twice":  # the second would be the answer to whatever is asked next on the connection
            body = truth()[1]
            one = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            connection.sendall((one + body) * 2)
            handler.close_connection = False
            return
        elif how == "drip_head":
            for _ in range(30):
                connection.sendall(b"H")
                time.sleep(0.1)
        elif how == "drip":
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(30):
                connection.sendall(b" ")
                time.sleep(0.1)
        connection.close()

    @staticmethod
    def answer(handler, status, body, headers=None):
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
