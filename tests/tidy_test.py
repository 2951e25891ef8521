"""Tidy: what a compiler does not check. Arrows between rooms, paths in documents, leftovers, files nobody builds, maps
of rooms that leave a file out.

Usage: tidy_test.py SOURCE_DIRECTORY
"""

import fnmatch
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
NOT_SOURCES = {"build", "demo", ".git", ".cache", "data"}

# What each room may include of the others; the longest matching room counts.
ROOMS = {
    "rating": {"rating"},
    "ledger": {"rating", "ledger"},
    "pipeline": {"rating", "ledger", "pipeline"},
    "pipeline/emit": {"rating", "ledger", "pipeline", "pipeline/emit"},
    "pipeline/serve": {"rating", "ledger", "pipeline", "pipeline/serve"},
    "pipeline/app": {"rating", "ledger", "pipeline", "pipeline/emit", "pipeline/serve", "pipeline/app"},
}
# Libraries and the only rooms that may include them.
LIBRARIES = {
    r"rocksdb/": {"ledger"},
    r"(oneapi/)?tbb/|tbb\.h": {"pipeline"},
    r"simdjson": {"pipeline"},
    r"CLI/": {"pipeline/app"},
    r"curl/": {"pipeline/emit"},
}
# rating is pure: no input or output, threads, clock or chance.
NOT_IN_RATING = re.compile(r"^(fstream|iostream|filesystem|thread|mutex|atomic|future|random|unistd\.h|sys/.*|fcntl\.h)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)
# Put together from halves, so that this file does not find itself.
LEFTOVER = re.compile(r'(?<!["\w])(' + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r')(?!["\w])')
MACHINE_PATH = re.compile(r"(?<![\w.])/(" + "|".join(["wo" + "rk", "ho" + "me", "ro" + "ot"]) + r")/\w")
DOCUMENT_PATH = re.compile(r"(?<![\w/.~-])((?:rating|ledger|pipeline|bench|tests|data|docs|tools|\.ci)/[\w./*-]*)")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def sources():
    try:
        listed = subprocess.run(
            ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    # Without git, as in an unpacked release: all that is there.
    paths = [ROOT / name for name in listed if name] or list(ROOT.rglob("*"))
    for path in sorted(paths):
        relative = path.relative_to(ROOT)
        if path.is_file() and relative.parts[0] not in NOT_SOURCES:
            yield str(relative)


def room_of(name):
    return max((room for room in ROOMS if name.startswith(room + "/")), key=len, default=None)


def check_arrows(name, text):
    room = room_of(name)
    if room is None or not name.endswith((".h", ".cc")):
        return
    for _, included in INCLUDE.findall(text):
        target = room_of(included)
        if target is not None and target not in ROOMS[room]:
            yield f"{name}: includes {included}: {room} may include {', '.join(sorted(ROOMS[room]))} only"
        for library, rooms in LIBRARIES.items():
            if re.match(library, included) and room not in rooms:
                yield f"{name}: includes {included}: only {', '.join(sorted(rooms))} may"
        if room == "rating" and NOT_IN_RATING.match(included):
            yield f"{name}: includes {included}: rating is pure"


def check_text(name, text):
    for number, line in enumerate(text.splitlines(), 1):
        if found := LEFTOVER.search(line):
            yield f"{name}:{number}: {found[1]}: finish it or open an issue"
        if MACHINE_PATH.search(line):
            yield f"{name}:{number}: a path of one machine: name it by the repository's root or by an argument"


def is_document(name):
    return name.endswith(".md")


def check_document(name, text):
    for path in DOCUMENT_PATH.findall(text):
        path = path.rstrip(".-")
        if not path.endswith("/") and "*" not in path and (ROOT / path).exists():
            continue
        if not any(True for _ in ROOT.glob(path.rstrip("/"))):
            yield f"{name}: names {path}, which is not there"
    for link in LINK.findall(text):
        if "://" not in link and not link.startswith("mailto:") and not (ROOT / name).parent.joinpath(link).exists():
            yield f"{name}: links to {link}, which is not there"


def check_docs_are_linked(documents):
    linked = set()
    for name, text in documents.items():
        for link in LINK.findall(text):
            linked.add(((ROOT / name).parent / link).resolve())
    for name in documents:
        if name.startswith("docs/") and (ROOT / name).resolve() not in linked:
            yield f"{name}: no document links to it: link it from README.md"


def check_maps(names, documents):
    """A room's README.md has a table of its files; each stem is in a row's first cell, alone or under a pattern."""
    for room in ROOMS:
        here = [pathlib.PurePosixPath(name) for name in names if name.endswith((".h", ".cc")) and room_of(name) == room]
        if not here:
            continue
        rows = [line.split("|")[1] for line in documents.get(room + "/README.md", "").splitlines() if line.startswith("|")]
        mapped = re.findall(r"`([^`]+)`", " ".join(rows))
        stems = {path.stem for path in here}
        for stem in sorted(stems):
            if not any(fnmatch.fnmatch(stem, name) for name in mapped):
                yield f"{room}/README.md: its table does not name {stem}: add it to the row of its subject"
        for name in mapped:
            if not fnmatch.filter(stems, name):
                yield f"{room}/README.md: its table names {name}, which is not there"


def check_built(names):
    """Every .cc is in a folder that a CMakeLists.txt globs, or is named there."""
    cmake = {name: (ROOT / name).read_text() for name in names if name.endswith("CMakeLists.txt")}
    text = "\n".join(cmake.values())
    globbed = set(re.findall(r"tollbook_room\((\w+)\)", text))
    globbed |= {"tests/" + room for room in re.findall(r"tollbook_tests\((\w+)[ )]", text)}
    for name, content in cmake.items():
        here = name[: -len("CMakeLists.txt")]
        for folder in re.findall(r"([\w${}/]*)\*\.cc", content):
            folder = re.sub(r"\$\{CMAKE_(SOURCE|CURRENT_SOURCE)_DIR\}/?",
                            lambda match: "" if match[1] == "SOURCE" else here, folder)
            globbed |= {folder.rstrip("/"), (here + folder).rstrip("/")}
    for name in names:
        path = pathlib.PurePosixPath(name)
        if path.suffix == ".cc" and str(path.parent) not in globbed and not re.search(
                rf"(?<![\w]){re.escape(path.name)}|(?<![\w]){re.escape(path.stem)}(?![\w.])", text):
            yield f"{name}: nothing builds it: move it to a room or name it in a CMakeLists.txt"


def main():
    names = list(sources())
    wrong, documents = [], {}
    if "CMakeLists.txt" not in names:
        wrong.append(f"{ROOT}: no CMakeLists.txt: give the source directory")
    for name in names:
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        wrong += check_arrows(name, text)
        wrong += check_text(name, text)
        if is_document(name):
            documents[name] = text
            wrong += check_document(name, text)
    wrong += check_docs_are_linked(documents)
    wrong += check_maps(names, documents)
    wrong += check_built(names)
    for line in wrong:
        print(line)
    print(f"{len(names)} files, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
