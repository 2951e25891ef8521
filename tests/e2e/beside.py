"""An absorb that a pipe feeds, and a backup that is asked of it meanwhile: two processes, each of which may be ended, or
have a call fail, while the other goes on.

Whatever becomes of either: what is listed as a backup is the book at one of its commits, whole; and both commands given
again, the book says what the undisturbed one says.
"""

import collections
import json
import shutil
import subprocess

import book
import disk
import small

EPOCHS = ("--threads", "1", "--epoch-bytes", "60000", "--block-bytes", "30000")
SPILLING = ("--memory", "100K")  # dedup keys go to runs, which are written anew while a backup reads the old ones
ASKED = b"has the book, and is asked"
Given = collections.namedtuple("Given", "absorbed asked")  # both subprocess.CompletedProcess


def nothing(_):
    pass


def check_is_as_it_was(case, restored, bill):
    """All that was decided in `bill` up to the commit that was restored. Which one."""
    [mark] = restored.status()["restored"]
    commits = mark["commits"]
    case.assertEqual(restored.status()["commits"], commits + 1, "the restore is one, too")

    def decided(of):
        return [row for row in json.loads(of.read("audit", "--format", "json"))["rows"]
                if int(row["commit"]) <= commits and row["what"] != "restore"]
    case.assertEqual(decided(restored), decided(bill))
    return commits


class Beside:
    """A book in `begun` with a backup of it, and what a pipe gives: a part that is durable before the backup is asked
    for, and a part that comes meanwhile."""

    BEFORE = 1500  # events that the book has

    def __init__(self, case, memory=()):
        self.case, scratch = case, case.scratch
        self.flags = (*EPOCHS, *memory)
        self.catalog = small.write_catalog(scratch / "catalog", subscriptions=("s1", "s2"), more=small.USAGE_LOG)
        self.begun = scratch / "begun"
        self.begun.mkdir()
        before = scratch / "before.ndjson"
        before.write_bytes(self.usage("before", self.BEFORE))
        self.bill(self.begun).run(before, *EPOCHS, *SPILLING)
        book.tollbook(*self.backup(self.begun))
        self.first, self.second = self.usage("first", 300), self.usage("second", 1500)
        whole = self.begin("whole")
        self.check_given(whole, self.give(whole))
        self.said = self.said_of(whole)
        shutil.rmtree(whole)

    def usage(self, name, events):
        return small.lines(*(small.event(f"{name}-{i}", calls=i % 7 + 1, subject=f"s{i % 2 + 1}",
                                         time=f"2025-01-{i % 28 + 1:02}T12:00:00Z") for i in range(events)))

    def bill(self, root):
        return book.Book(root / "book", self.catalog)

    def backup(self, root):
        return ("backup", "--books", root / "book", "--to", root / "backups", "--json")

    def begin(self, name):
        """A copy of `begun`, in a directory of this name."""
        root = self.case.scratch / name
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.begun, root)
        return root

    def give(self, root, absorb=(), ask=(), before=nothing, meanwhile=nothing):
        """Both commands, whatever comes of them. `absorb` and `ask`: what the shim does to either (disk.environment).
        `before` is told the process that absorbs, when its first part is durable; `meanwhile` the one that asks, before
        the pipe gives more."""
        # Without buffers of ours: what is read of a pipe beyond a line would be lost to what reads to its end.
        absorbing = book.start("absorb", "--books", root / "book", "--catalog", self.catalog, "--acknowledge",
                               *self.flags, "-", stdin=subprocess.PIPE, env=disk.environment(root, **dict(absorb)),
                               bufsize=0)
        try:
            absorbing.stdin.write(self.first)
        except BrokenPipeError:
            pass  # it has ended
        absorbing.stdout.readline()  # that it is durable; nothing, when it has ended
        before(absorbing)
        asking = book.start(*self.backup(root), env=disk.environment(root, **dict(ask)), bufsize=0)
        said = asking.stderr.readline()  # that it is asked, or what else it ends with
        meanwhile(asking)
        absorbed = self.end(absorbing, self.second)
        asked = self.end(asking)
        asked.stderr = b"".join(line for line in (said + asked.stderr).splitlines(True) if ASKED not in line)
        return Given(absorbed, asked)

    def end(self, process, given=None):
        out, err = process.communicate(given, timeout=600)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def lists(self, root):
        """The numbers of the backups there."""
        return sorted(int(path.stem) for path in (root / "backups").glob("*.backup"))

    def check_given(self, root, given):
        """Both ended well; and the backup is there."""
        for done in given:
            self.case.assertEqual(done.returncode, 0, (done.args, done.stdout, done.stderr))
        self.check_told(root, given.asked)

    def check_told(self, root, asked):
        """What the one that asks was told of is there. Whether it was told."""
        told = asked.returncode == 0
        if told:
            self.case.assertIn(json.loads(asked.stdout)["backup"], self.lists(root))
        return told

    def check_left(self, root):
        """The book is whole, and each backup that is listed a book that was, at a commit of this one."""
        bill = self.bill(root)
        bill.verify()
        self.case.assertEqual(self.lists(root)[0], 1)
        for number in self.lists(root):
            restored = book.Book(root / f"restored-{number}", self.catalog)
            book.tollbook("restore", "--from", root / "backups", "--backup", number, "--books", restored.directory)
            restored.verify()
            check_is_as_it_was(self.case, restored, bill)
            shutil.rmtree(restored.directory)

    def said_of(self, root):
        """What the book says, once all that the pipe gave is sealed."""
        bill = self.bill(root)
        bill.seal()
        bill.verify()
        status = bill.status()
        return {"journals": bill.journals(), "charges": bill.charges(),
                "counts": {name: status[name] for name in ("accepted", "conflict", "held", "rejected")}}

    def check_said(self, root):
        said = self.said_of(root)
        self.case.assert_same_journal(self.said["journals"], said["journals"], "in the end")
        self.case.assertEqual(self.said, said)
