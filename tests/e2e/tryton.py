"""A Tryton server of Debian's packages on the loopback, with a ledger of its own, for as long as a test needs it.

The packages are installed by tools/tryton-deps.sh when they are missing and this process may; otherwise `missing()`
says why there is no Tryton. The ledger is in SQLite, which is right for one post at a time, or in PostgreSQL, which
is for several; it is made once in the temporary directory of the machine, and copied from then on.
"""

import base64
import collections
import decimal
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
DEPS = HERE.parents[1] / "tools" / "tryton-deps.sh"
PYTHON = "/usr/bin/python3"  # Debian's own, which has trytond
DATABASE, USER, PASSWORD = "ledger", "tollbook", "a-password-of-tests"


def postgresql():
    """The directory of PostgreSQL's programs; None: it is not installed, or Tryton could not talk to it."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    talks = subprocess.run([PYTHON, "-c", "import psycopg2"], capture_output=True).returncode == 0
    return found[-1].parent if found and talks else None


def is_there():
    return bool(shutil.which("trytond") and postgresql())


def missing():
    """Why there is no Tryton here; empty when there is. Tries to install it."""
    if is_there():
        return ""
    done = subprocess.run([DEPS], stdin=subprocess.DEVNULL, capture_output=True, timeout=600)
    if done.returncode == 0 and is_there():
        return ""
    return "Tryton is not installed, and tools/tryton-deps.sh could not: " + (
        done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"])[-1]


def free_port():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


class Sqlite:
    """A file in Tryton's directory."""

    name = "sqlite"

    def __init__(self, directory):
        self.file = directory / (DATABASE + ".sqlite")
        self.uri = "sqlite://"

    def create(self):
        self.file.touch()

    def settle(self):
        pass

    def copy_to(self, ready):
        shutil.copy(self.file, ready)

    def copy_from(self, ready):
        shutil.copy(ready, self.file)

    def stop(self):
        pass


class Postgresql:
    """A cluster of its own on the loopback, of a user who is not root: PostgreSQL refuses to run as that."""

    name = "postgresql"

    def __init__(self, directory):
        self.programs = postgresql()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="tollbook-postgresql-"))
        self.port = free_port()
        self.uri = f"postgresql://tryton@127.0.0.1:{self.port}/"
        if os.getuid() == 0:
            shutil.chown(self.directory, "postgres")
        self.as_owner("initdb", "-N", "-A", "trust", "-U", "tryton", "-E", "UTF8", "--locale=C.UTF-8", "-D",
                      self.directory / "data")
        # A ledger that lives for one test: what it costs to survive a power loss is not wanted.
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c fsync=off -c full_page_writes=off"
        self.as_owner("pg_ctl", "-w", "-D", self.directory / "data", "-l", self.directory / "log", "-o", options,
                      "start")

    def as_owner(self, program, *arguments):
        who = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []
        subprocess.run([*who, self.programs / program, *arguments], check=True, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/", timeout=120)

    def client(self, program, *arguments):
        of = {"PGHOST": "127.0.0.1", "PGPORT": str(self.port), "PGUSER": "tryton"}
        subprocess.run([self.programs / program, *arguments], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True, env=dict(os.environ, **of), timeout=120)

    def create(self):
        self.client("createdb", DATABASE)

    def settle(self):
        self.client("vacuumdb", "-qz", DATABASE)  # fresh statistics, or adding modules takes a minute more

    def copy_to(self, ready):
        self.client("pg_dump", "-Fc", "-f", ready, DATABASE)

    def copy_from(self, ready):
        self.create()
        self.client("pg_restore", "-d", DATABASE, ready)

    def stop(self):
        self.as_owner("pg_ctl", "-D", self.directory / "data", "-m", "immediate", "stop")
        shutil.rmtree(self.directory)


class Tryton:
    def __init__(self, directory, year, database=Sqlite):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.year = year
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/{DATABASE}/"
        self.config = self.directory / "trytond.conf"
        self.process = None
        self.database = database(self.directory)
        try:
            self.config.write_text(f"[database]\nuri = {self.database.uri}\npath = {self.directory}\n"
                                   f"[web]\nlisten = 127.0.0.1:{self.port}\nroot =\n")
            self.fill()
            self.start()
            self.session = self.call("common.db.login", USER, {"password": PASSWORD}, context=None)
        except BaseException:
            self.stop()
            raise

    def fill(self):
        of = (HERE / "tryton_setup.py").read_bytes() + str(self.year).encode()
        ready = pathlib.Path(tempfile.gettempdir()) / (
            f"tollbook-tryton-{os.getuid()}-{hashlib.sha256(of).hexdigest()[:12]}.{self.database.name}")
        if ready.exists():
            return self.database.copy_from(ready)
        self.database.create()
        password = self.directory / "admin.password"
        password.write_text(os.urandom(16).hex())
        run = dict(check=True, capture_output=True, stdin=subprocess.DEVNULL,
                   env=dict(os.environ, TRYTONPASSFILE=str(password)), timeout=600)
        admin = ["trytond-admin", "-c", self.config, "-d", DATABASE]
        subprocess.run([*admin, "--all", "--email", "admin@example.com"], **run)
        self.database.settle()
        subprocess.run([*admin, "-u", "account", "--activate-dependencies"], **run)
        subprocess.run([PYTHON, "-W", "ignore", HERE / "tryton_setup.py", self.config, DATABASE, USER, PASSWORD,
                        str(self.year)], **run)
        partial = ready.with_suffix(f".{os.getpid()}")
        self.database.copy_to(partial)
        partial.rename(ready)

    def start(self):
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(["trytond", "-c", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        for _ in range(1200):
            try:
                # The first login loads the server's modules: later calls are fast.
                return self.call("common.db.login", USER, {"password": PASSWORD}, context=None)
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError((self.directory / "server.log").read_text()[-2000:]) from None
                time.sleep(0.05)
        raise RuntimeError("Tryton does not answer")

    def kill(self):
        """As if the power of its machine went."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.database.stop()

    def call(self, method, *params, context=0):
        """`context`: a company's id, a whole context, 0 for an empty one; None: no context, and no session."""
        headers = {"Content-Type": "application/json"}
        params = list(params)
        if context is not None:
            params.append(context if isinstance(context, dict) else {"company": context} if context else {})
            session = f"{USER}:{self.session[0]}:{self.session[1]}"
            headers["Authorization"] = "Session " + base64.b64encode(session.encode()).decode()
        request = urllib.request.Request(self.url, json.dumps({"id": 1, "method": method, "params": params}).encode(),
                                         headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            said = json.load(answer)
        if "result" not in said:
            raise AssertionError(f"{method}: {said}")
        return said["result"]

    def search(self, model, domain, fields, context=0):
        return self.call(f"model.{model}.search_read", domain, 0, None, [["id", "ASC"]], fields, context=context)

    def company(self, name):
        return self.search("company.company", [["party.name", "=", name]], ["id"])[0]["id"]

    def balances(self, company):
        """account code -> balance as decimal text, of what is posted."""
        year, = self.search("account.fiscalyear", [["company", "=", company]], ["id"], company)
        rows = self.search("account.account", [["company", "=", company]], ["code", "balance"],
                           {"company": company, "posted": True, "fiscalyear": year["id"]})
        return {row["code"]: row["balance"]["decimal"] for row in rows if row["code"]}

    def moves(self, company):
        fields = ["description", "state", "post_number"]
        return self.search("account.move", [["company", "=", company]], fields, company)

    def balances_of_parties(self, company, account):
        """party code -> balance, of the lines of one account."""
        rows = self.search("account.move.line", [["account.code", "=", account], ["move.company", "=", company]],
                           ["party.code", "debit", "credit"], company)
        balances = collections.defaultdict(decimal.Decimal)
        for row in rows:
            sides = [decimal.Decimal(row[side]["decimal"]) for side in ("debit", "credit")]
            balances[row["party."]["code"]] += sides[0] - sides[1]
        return dict(balances)

    def close(self, company, period):
        found, = self.search("account.period", [["company", "=", company], ["name", "=", period]], ["id"], company)
        self.call("model.account.period.close", [found["id"]], context=company)
