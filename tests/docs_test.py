"""The documents are true: every command of a ```console block is run, and prints what the document says.

A document's blocks run one after the other, in one temporary directory that holds a copy of data/. A line that begins
with "$ " is a command; what follows it, up to the next command or the block's end, is its output (standard output and
error together). "…" stands for anything on the rest of a line or in the middle of it; a line that is only "…" for any
lines. `echo $?` behind a command shows its exit code. Blocks in other languages are not run.

Usage: docs_test.py TOLLBOOK SOURCE_DIRECTORY
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOLLBOOK = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(sys.argv.pop(1)).resolve()

BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)
# Programs that a document may use beside tollbook; where one is not installed its commands are left out.
OTHER_PROGRAMS = ["ledger", "hledger", "zstd", "gzip"]


def commands_of(text):
    """(line number, command, expected output) of each command in the document."""
    for block in BLOCK.finditer(text):
        number = text.count("\n", 0, block.start()) + 2
        command, expected, start = None, [], number
        for line in block[1].splitlines():
            if line.startswith("$ "):
                if command is not None:
                    yield start, command, expected
                command, expected, start = line[2:], [], number
            elif command is not None and command.endswith("\\"):
                command += "\n" + line
            else:
                expected.append(line)
            number += 1
        if command is not None:
            yield start, command, expected


def pattern_of(expected):
    """The expected lines as a regular expression."""
    parts = []
    for line in expected:
        if line.strip() == "…":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            parts.append("[^\n]*?".join(re.escape(part) for part in line.rstrip().split("…")) + r"[ ]*\n")
    return "".join(parts) + r"\Z"


def missing_program(command):
    return next((name for name in OTHER_PROGRAMS
                 if re.search(rf"(^|[|;&] *){name}\b", command) and shutil.which(name) is None), None)


def documents():
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


class Documents(unittest.TestCase):
    maxDiff = None

    def run_document(self, document, directory):
        shutil.copytree(ROOT / "data", directory / "data")
        (directory / "bin").mkdir()
        (directory / "bin" / "tollbook").symlink_to(TOLLBOOK)
        environment = dict(os.environ, PATH=f"{directory / 'bin'}:{os.environ['PATH']}", LC_ALL="C.UTF-8", TZ="UTC")
        ran = 0
        for line, command, expected in commands_of(document.read_text(encoding="utf-8")):
            name = missing_program(command)
            if name is not None:
                print(f"{document.name}:{line}: not run: {name} is not installed", file=sys.stderr)
                continue
            done = subprocess.run(["bash", "-c", command], cwd=directory, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
            printed = "".join(part.rstrip() + "\n" for part in done.stdout.decode(errors="replace").splitlines())
            ran += 1
            if re.match(pattern_of(expected), printed) is None:
                self.fail(f"{document.relative_to(ROOT)}:{line}: `{command}` prints otherwise.\n"
                          f"--- the document\n" + "\n".join(expected) + f"\n--- the program\n{printed}")
        return ran

    def test_every_command_prints_what_the_document_says(self):
        for document in documents():
            with self.subTest(document.name), tempfile.TemporaryDirectory() as directory:
                self.run_document(document, pathlib.Path(directory))

    def test_the_readme_follows_an_event(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        shown = [command for _, command, _ in commands_of(readme)]
        for needed in ("tollbook run ", "tollbook journals ", "tollbook explain "):
            self.assertTrue(any(command.startswith(needed) for command in shown), f"README.md shows no `{needed}`")
        # The events it quotes are the events it runs.
        events = (ROOT / "data/first-look/usage.ndjson").read_text(encoding="utf-8")
        quoted = re.search(r"^```json\n(.*?)^```$", readme, re.M | re.S)
        self.assertIsNotNone(quoted, "README.md quotes no event")
        self.assertEqual(quoted[1], events)

    def test_every_command_is_described(self):
        overview = subprocess.run([TOLLBOOK, "--help"], capture_output=True, timeout=60).stdout.decode()
        listed = re.search(r"^(?:Subc|C)ommands:\n((?:  .*\n)+)", overview, re.M)
        names = re.findall(r"^  ([a-z]+) ", listed[1], re.M)
        self.assertIn("run", names)
        described = (ROOT / "docs/commands.md").read_text(encoding="utf-8")
        for name in names:
            self.assertRegex(described, rf"(?m)^## .*`{name}\b", f"docs/commands.md has no section for {name}")
            usage = subprocess.run([TOLLBOOK, name, "--help"], capture_output=True, timeout=60).stdout.decode()
            for option in set(re.findall(r"--[a-z-]+", usage)) - {"--help"}:
                self.assertIn(f"`{option}", described, f"docs/commands.md does not name {option} of {name}")


class TheTestItself(unittest.TestCase):
    def test_it_tells_right_from_wrong(self):
        cases = [
            (["1.20 USD"], "1.20 USD\n", True),
            (["1.20 USD"], "1.21 USD\n", False),
            (["1.20 USD"], "1.20 USD\nmore\n", False),
            (["in … s: done"], "in 0.2 s: done\n", True),
            (["in … s: done"], "in 0.2 s:\ndone\n", False),
            (["first", "…", "last"], "first\na\nb\nlast\n", True),
            (["first", "…", "last"], "first\na\nb\n", False),
            ([], "", True),
            ([], "something\n", False),
        ]
        for expected, printed, fits in cases:
            with self.subTest(expected=expected, printed=printed):
                self.assertEqual(re.match(pattern_of(expected), printed) is not None, fits)


if __name__ == "__main__":
    unittest.main()
