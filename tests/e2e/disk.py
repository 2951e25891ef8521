"""A disk that can lose power: what a traced program did to its files, and what may be left of it.

`disk_shim` writes down each effect in the order in which it happened. `Disk` takes them one by one and knows, at every
point, what is durable: a file's bytes once the file was synced, a name once its directory was. All else may be on the
disk when the power goes, or not: `leave` makes a directory of what one of many outcomes leaves.

It is stricter than most file systems: a synced file without a synced directory has no name, names of one directory come
and go in any order, and what was not synced may be there by the page, as zeros, or as what stood there before.
"""

import copy
import os
import pathlib
import subprocess

import book

SHIM = os.environ.get("TOLLBOOK_DISK_SHIM", "")
PAGE = 4096
SECTOR = 512


def needs_shim():
    if not SHIM:
        book.skip("$TOLLBOOK_DISK_SHIM does not name the library that stands between a program and its disk")


def environment(root, trace=None, fail=None, kill=None, failed=None, points=None, calls=None, days=None):
    """Of a program whose files below `root` go through the shim."""
    environ = {**os.environ, "LD_PRELOAD": SHIM, "DISK_SHIM_ROOT": str(root)}
    for name, value in (("TRACE", trace), ("FAIL", fail), ("KILL", kill), ("FAILED", failed),
                        ("POINTS", points), ("CALLS", calls), ("DAYS", days)):
        if value is not None:
            environ["DISK_SHIM_" + name] = str(value)
    return environ


def run(arguments, root, timeout=600, **how):
    return subprocess.run([book.TOLLBOOK, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=timeout, env=environment(root, **how))


def use_for_all(test, root):
    """All programs that the test starts go through the shim, and so wait for no disk: what is synced is known anyway."""
    before = dict(os.environ)
    os.environ.update(environment(root))

    def restore():
        os.environ.clear()
        os.environ.update(before)
    test.addCleanup(restore)


def kind_of(path):
    """As the shim names it (KindOf)."""
    name, in_seen = os.path.basename(path), "/seen/" in path
    for kind, fits in (("high-water", name.startswith("HIGHWATER")), ("seen-log", in_seen and name.endswith(".log")),
                       ("seen-run", in_seen and name.endswith(".run")), ("wal", name.endswith(".log")),
                       ("usage-log", name.endswith(".zst"))):
        if fits:
            return kind
    return "other"


def effects(trace):
    """(words, bytes) of each effect. A last one that a kill cut short is left out."""
    data = pathlib.Path(trace).read_bytes()
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        kind, _, rest = data[at:end].decode().partition(" ")
        at = end + 1
        if kind in ("write", "told"):
            numbers = [int(number) for number in rest.split()]
            payload = data[at:at + numbers[-1]]
            at += numbers[-1]
            yield kind, numbers, payload
        elif kind in ("sync", "truncate", "allocate", "punch", "connect", "send", "receive"):
            yield kind, [int(number) for number in rest.split()], b""
        elif kind == "create":
            inode, _, path = rest.partition(" ")
            yield kind, [int(inode), path], b""
        else:  # names: one, or two with a tab between them
            yield kind, rest.split("\t"), b""


def with_whole_requests(traced):
    """The effects as a list; a send has one more word, whether with it all of its request was sent."""
    traced, last = list(traced), {}
    for place, (kind, words, _) in enumerate(traced):
        if kind == "send":
            port, is_first = words
            if is_first and port in last:  # the one before was never answered
                traced[last[port]][1][-1] = True
            last[port] = place
            words.append(False)
        elif kind == "receive" and words[0] in last:
            traced[last.pop(words[0])][1][-1] = True
    for place in last.values():
        traced[place][1][-1] = True
    return traced


class File:
    def __init__(self, durable=b""):
        self.durable = bytearray(durable)
        self.pending = []

    def sync(self):
        for change in self.pending:
            apply(self.durable, change)
        self.pending = []


class Directory:
    def __init__(self):
        self.live = {}  # name: File or Directory, as the program sees it
        self.durable = {}
        self.pending = []  # names of it that were changed and not synced


def apply(content, change):
    kind, offset, what = change
    if kind == "write":
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset:offset + len(what)] = what
    elif kind == "truncate":
        if len(content) > offset:
            del content[offset:]
        content.extend(bytes(offset - len(content)))
    elif kind == "allocate":
        content.extend(bytes(max(0, offset + what - len(content))))
    elif kind == "punch":
        end = min(offset + what, len(content))
        if end > offset:
            content[offset:end] = bytes(end - offset)


class Naming:
    """One change of names, which happens as a whole: a new name, a rename, a removal."""

    def __init__(self, parts):
        self.parts = parts  # (directory, name, what it names then, or None)
        for directory, name, node in parts:
            if node is None:
                directory.live.pop(name, None)
            else:
                directory.live[name] = node
            directory.pending.append(self)

    def make_durable(self):
        for directory, name, node in self.parts:
            if node is None:
                directory.durable.pop(name, None)
            else:
                directory.durable[name] = node
            directory.pending = [naming for naming in directory.pending if naming is not self]


class Disk:
    """Everything below `root`; `root` itself and what is above it are there."""

    def __init__(self, root):
        self.root = str(root)
        self.top = Directory()
        self.files = {}  # by inode

    @classmethod
    def of(cls, root):
        """As it lies there now, all of it durable."""
        disk = cls(root)
        disk._load(disk.top, pathlib.Path(root))
        return disk

    def copy(self):
        return copy.deepcopy(self)

    def _load(self, directory, path):
        for entry in path.iterdir():
            node = Directory() if entry.is_dir() else File(entry.read_bytes())
            directory.live[entry.name] = directory.durable[entry.name] = node
            if entry.is_dir():
                self._load(node, entry)
            else:
                self.files[entry.stat().st_ino] = node

    def _parent(self, path):
        """(directory, name in it)"""
        assert path.startswith(self.root + "/"), path
        *above, name = path[len(self.root) + 1:].split("/")
        directory = self.top
        for part in above:
            directory = directory.live[part]
        return directory, name

    def _node(self, path):
        if path == self.root:
            return self.top
        directory, name = self._parent(path)
        return directory.live[name]

    def do(self, kind, words, payload):
        if kind == "create":
            inode, path = words
            self.files[inode] = File()
            Naming([(*self._parent(path), self.files[inode])])
        elif kind == "write":
            inode, offset, _ = words
            self.files[inode].pending.append(("write", offset, payload))
        elif kind in ("truncate", "allocate", "punch"):
            inode, offset, *size = words
            self.files[inode].pending.append((kind, offset, size[0] if size else 0))
        elif kind == "sync":
            self.files[words[0]].sync()
        elif kind == "syncdir":
            for naming in list(self._node(words[0]).pending):
                naming.make_durable()
        elif kind == "rename":
            source, target = words
            node = self._node(source)
            Naming([(*self._parent(source), None), (*self._parent(target), node)])
        elif kind == "link":
            Naming([(*self._parent(words[1]), self._node(words[0]))])
        elif kind in ("unlink", "rmdir"):
            Naming([(*self._parent(words[0]), None)])
        elif kind == "mkdir":
            Naming([(*self._parent(words[0]), Directory())])
        elif kind not in ("told", "connect", "send", "receive"):
            raise AssertionError(kind)

    def leave(self, target, outcome, chance):
        """Makes of `target` what is there after the power went. `outcome`: 'nothing' or 'all' of what was not synced,
        or a part of it by chance: 'torn' keeps what came first and half of the next, 'any' keeps this and that."""
        namings = {id(naming): naming for directory in self._directories(self.top) for naming in directory.pending}
        kept = [naming for naming in namings.values() if outcome == "all" or (outcome == "any" and chance.random() < .5)]
        if outcome == "torn":
            kept = list(namings.values())[:chance.randint(0, len(namings))]
        chosen = {id(naming) for naming in kept}
        pathlib.Path(target).mkdir()
        self._leave(self.top, pathlib.Path(target), outcome, chosen, chance)

    def _directories(self, directory):
        yield directory
        for node in {id(node): node for node in (*directory.live.values(), *directory.durable.values())}.values():
            if isinstance(node, Directory):
                yield from self._directories(node)

    def _leave(self, directory, path, outcome, chosen, chance):
        names = dict(directory.durable)
        for naming in directory.pending:
            if id(naming) not in chosen:
                continue
            for where, name, node in naming.parts:
                if where is directory and node is None:
                    names.pop(name, None)
                elif where is directory:
                    names[name] = node
        for name, node in names.items():
            if isinstance(node, Directory):
                (path / name).mkdir()
                self._leave(node, path / name, outcome, chosen, chance)
            else:
                (path / name).write_bytes(left_of(node, outcome, chance))


def left_of(file, outcome, chance):
    content = bytearray(file.durable)
    pending = file.pending
    if outcome == "all":
        for change in pending:
            apply(content, change)
    elif outcome == "torn" and pending:
        whole = chance.randint(0, len(pending))
        for change in pending[:whole]:
            apply(content, change)
        if whole < len(pending) and pending[whole][0] == "write":
            _, offset, payload = pending[whole]
            cut = chance.randint(0, len(payload)) // SECTOR * SECTOR
            apply(content, ("write", offset, payload[:cut]))
            beyond = len(payload) - cut
            if len(content) <= offset + cut and chance.random() < .5:  # the size got there, the bytes did not
                content.extend(bytes(beyond) if chance.random() < .5 else chance.randbytes(beyond))
    elif outcome == "any":
        for kind, offset, what in pending:
            if kind != "write":
                if chance.random() < .5:
                    apply(content, (kind, offset, what))
                continue
            for at in range(0, len(what), PAGE):
                if chance.random() < .5:
                    apply(content, ("write", offset + at, what[at:at + PAGE]))
    return content
