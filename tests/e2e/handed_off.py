"""A small book that is absorbed, sealed, approved, handed off, closed, backed up, restored and gone on with there.

Its commands one by one, each of which may be given again after a crash, and what must have come of them: every batch is
once at each of its targets, a directory of files and a ledger that speaks Tryton's JSON-RPC (fault_server.py).
"""

import collections
import hashlib
import json
import os

import book
import disk
import fault_server
import small

SIGNED = ("--by", "Ann", "--why", "the month is done")
FIRST_BATCH = "acme-us-USD-2025-01-0001"
SMALL_EPOCHS = ("--threads", "1", "--memory", "40K", "--epoch-bytes", "80000", "--block-bytes", "40000")
# Places of commands in the life.
APPROVE, POST, CLOSE, BACKUP, RESTORE = 1, 2, 5, 6, 7
SECRET, PASSWORD = "a-secret", "a-password"


class Targets:
    """The servers, until `close`; and the catalog's targets.yaml, which has them and a directory beside it."""

    def __init__(self, names):
        self.servers = {name: fault_server.Server(SECRET) for name in names}
        os.environ["HANDED_OFF_SECRET"], os.environ["HANDED_OFF_PASSWORD"] = SECRET, PASSWORD
        http = "    plain_http: true\n    quiet_seconds: 0\n    retry: {first_seconds: 1, cap_seconds: 1}\n"
        self.text = "targets:\n  - {name: archive, kind: files, directory: out, format: csv}\n"
        if "erp" in names:
            self.text += (f"  - name: erp\n    kind: tryton\n    url: {self.servers['erp'].url}\n    user: tollbook\n"
                          "    password: env:HANDED_OFF_PASSWORD\n    journal: USAGE\n"
                          "    companies: {acme-us: Acme US}\n" + http)
        if "hook" in names:
            self.text += (f"  - name: hook\n    kind: webhook\n    url: {self.servers['hook'].url}\n"
                          "    secret: env:HANDED_OFF_SECRET\n    deduplicates: true\n"
                          "    answer_names_key: false\n" + http)
        self.empty = self.state()

    def close(self):
        for server in self.servers.values():
            server.__exit__()

    def settle(self):
        for server in self.servers.values():
            server.settle()

    def state(self):
        return {name: server.state() for name, server in self.servers.items()}

    def put_back(self, state):
        for name, server in self.servers.items():
            server.put_back(state[name])

    def remember(self):
        """From now on each state that a server is in, the present one first, until `remembered`."""
        for server in self.servers.values():
            server.states = [server.state()]

    def remembered(self):
        """By the server's port: its states, one more than requests came."""
        states = {server.port: server.states for server in self.servers.values()}
        for server in self.servers.values():
            server.states = None
        return states

    def has(self, delivery, directory):
        """Is what the book says is confirmed there?"""
        key = delivery["key"]
        if delivery["target"] == "archive":
            file, digest = directory / key, directory / f"{key}.sha256"
            if not file.exists() or not digest.exists():
                return False
            return digest.read_text() == f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {key}\n"
        if delivery["target"] == "hook":
            return key in self.servers["hook"].taken
        return any(move["description"].split()[0] == key and move["state"] == "posted"
                   for move in self.servers["erp"].ledger.moves.values())

    def check(self, case, journal, directory):
        """Each batch of the journal (as CSV) is there once, with its amounts."""
        batches = collections.defaultdict(list)
        for row in book.rows_of(journal):
            batches[row["posting_key"], row["batch_id"]].append(row)
        for name, server in self.servers.items():
            case.assertEqual(server.problems, [])
            if name == "hook":  # of a seal since a restore the key is not the batch's
                told = collections.Counter(json.loads(body)["data"]["batch_id"] for body in server.taken.values())
                case.assertEqual(told, {batch: 1 for _, batch in batches})
        if "erp" in self.servers:
            moves = collections.Counter()
            lines = {key: rows for (key, _), rows in batches.items()}
            for move in self.servers["erp"].ledger.moves.values():
                key = move["description"].split()[0]
                moves[key] += 1
                case.assertEqual(move["state"], "posted", "a draft is left")
                case.assertEqual(
                    sorted((str(line["account"]), line["debit"]["decimal"], line["credit"]["decimal"])
                           for line in move["lines"]),
                    sorted((row["account"], row["debit"], row["credit"]) for row in lines.get(key, ())))
            case.assertEqual(moves, {key: 1 for key in lines}, "each batch once")
        names = {batch + ending for _, batch in batches for ending in (".csv", ".csv.sha256")}
        case.assertEqual({path.name for path in directory.iterdir()}, names)
        written = b"".join((directory / f"{batch}.csv").read_bytes().split(b"\n", 1)[1]
                           for batch in sorted(batch for _, batch in batches))
        case.assertEqual(written, journal.split(b"\n", 1)[1], "the files are the journal")


class HandedOff:
    """Each command is words and whether it is done (and cannot be given again), both of the root that it is given in:
    a directory with the catalog, `book`, `backups` and `restored`."""

    def __init__(self, case, targets=("erp",), restores=True):
        self.case, self.scratch = case, case.scratch
        self.targets = Targets(targets)
        case.addCleanup(self.targets.close)
        names = ("archive", *targets)
        # What is above the limit is held: January's batch of the first seal.
        first = self.usage("first", (1, 1500), (2, 100))
        second = self.usage("second", (1, 200), (2, 100))
        self.commands = [
            (("run", "--quiet", "--json", "--acknowledge", *SMALL_EPOCHS, first), None),
            (("journals", "approve", FIRST_BATCH, *SIGNED), self.is_approved),
            (("post", "--strict", "--json"), None),
            (("run", "--quiet", "--json", "--acknowledge", *SMALL_EPOCHS, second), None),
            (("post", "--strict", "--json"), None),
            (("periods", "close", "--entity", "acme-us", "--period", "2025-01", "--json", *SIGNED), self.is_closed),
        ]
        self.restored_at = len(self.commands)
        if restores:
            third = self.usage("third", (1, 30), (2, 70))
            self.restored_at += 2
            self.commands += [
                (("backup", "--to", "{root}/backups"), lambda root: (root / "backups/1.backup").exists()),
                (("restore", "--from", "{root}/backups", "--books", "{root}/restored"),
                 lambda root: (root / "restored").exists()),
                *((("deliveries", "resume", name, *SIGNED), lambda root, name=name: self.is_resumed(root, name))
                  for name in names),
                (("run", "--quiet", "--json", "--acknowledge", *SMALL_EPOCHS, third), None),
                (("post", "--strict", "--json"), None),
            ]

    def usage(self, name, *months):
        path = self.scratch / f"{name}.ndjson"
        path.write_bytes(small.lines(*(
            small.event(f"{name}-{month}-{i}", calls=i % 7 + 1, time=f"2025-{month:02}-{i % 28 + 1:02}T12:00:00Z")
            for month, count in months for i in range(count))))
        return path

    def begin(self, root):
        """The catalog, in an empty directory."""
        root.mkdir(exist_ok=True)
        catalog = small.write_catalog(root / "catalog", more=small.USAGE_LOG)
        (catalog / "entities.yaml").write_text(
            "entities:\n  - name: acme-us\n    functional_currency: USD\n    approval: {above: {USD: 20.00}}\n",
            encoding="utf-8")
        (catalog / "targets.yaml").write_text(self.targets.text, encoding="utf-8")
        self.targets.put_back(self.targets.empty)

    def bill(self, root, command=None):
        """The book that the command is about; without one the newest that is there."""
        is_restored = (root / "restored").exists() if command is None else command >= self.restored_at
        return book.Book(root / ("restored" if is_restored else "book"), root / "catalog")

    def is_done(self, root, command):
        done = self.commands[command][1]
        return done is not None and done(root)

    def give(self, root, command, wait=60, **how):
        """Gives the command, whatever comes of it. `wait`: how many seconds `post` may wait for what is due later."""
        words = [str(word).format(root=root) for word in self.commands[command][0]]
        if "--books" not in words:
            words += ["--books", self.bill(root, command).directory]
        if words[0] in ("run", "post", "periods", "deliveries"):
            words += ["--catalog", root / "catalog"]
        if words[0] == "post":
            words += ["--wait", wait]
        done = disk.run(words, root, **how)
        self.targets.settle()
        return done

    def go_on(self, root, command, end=None):
        """From this command to the end, or to before `end`."""
        for number in range(command, len(self.commands) if end is None else end):
            if not self.is_done(root, number):
                done = self.give(root, number)
                self.case.assertEqual(done.returncode, 0, (self.commands[number][0], done.stdout, done.stderr))

    def is_approved(self, root):
        rows = json.loads(self.bill(root).read("journals", "held", "--json"))
        return any(row["batch"] == FIRST_BATCH and row["state"] == "approved" for row in rows)

    def is_closed(self, root):
        rows = json.loads(self.bill(root).read("periods", "--json", "--catalog", root / "catalog"))
        return any(row["period"] == "2025-01" and row["state"] == "closed" for row in rows)

    def is_resumed(self, root, name):
        rows = json.loads(self.bill(root).read("audit", "--json"))["rows"]
        return any((row["what"], row["which"], row["after"]) == ("target", name, "delivering") for row in rows)

    def deliveries(self, root):
        return json.loads(self.bill(root).read("deliveries", "--json"))

    def check_confirmed(self, root):
        """What is confirmed is there. The deliveries, for more."""
        deliveries = self.deliveries(root)
        for row in deliveries:
            if row["state"] == "confirmed":
                self.case.assertTrue(self.targets.has(row, root / "catalog" / "out"), row)
        return deliveries

    def outcome(self, root):
        """What is said of it, once all is done: the laws hold, and each batch is at its targets once."""
        bill = self.bill(root)
        bill.verify()
        bill.read("reconcile")  # ends with 0
        said = self.said(root)
        self.targets.check(self.case, said["journals"], root / "catalog" / "out")
        return said

    def said(self, root):
        """What finance has of it, without the times of day."""
        bill = self.bill(root)
        journals, status = bill.journals(), bill.status()
        decided = [(row["what"], row["which"], row["by"], row["before"], row["after"])
                   for row in json.loads(bill.read("audit", "--json"))["rows"]
                   if row["what"] in ("approval", "period", "target")]
        delivered = sorted((row["target"], row["batch"], row["key"], row["state"]) for row in self.deliveries(root))
        return {"journals": journals, "charges": bill.charges(), "decided": decided, "delivered": delivered,
                "counts": {name: status[name] for name in ("lines_read", *book.COUNTS, "seals", "batches")}}
