"""The command line: help, exit codes, the form of errors, and generate.

Usage: command_line_test.py TOLLBOOK
"""

import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import unittest

TOLLBOOK = sys.argv.pop(1)
COMMANDS = ["run", "absorb", "seal", "charges", "journals", "exceptions", "status", "reconcile", "verify", "explain",
            "periods", "audit", "quote", "generate", "convert", "catalog check"]
MEMORY_BYTES = 1 << 30  # enough for the program, not for a file of that size


def tollbook(*arguments, **how):
    return subprocess.run([TOLLBOOK, *arguments], capture_output=True, timeout=60, **how)


class CommandLine(unittest.TestCase):
    def test_every_command_has_help_with_an_example(self):
        overview = tollbook("--help").stdout.decode()
        for command in COMMANDS:
            with self.subTest(command):
                done = tollbook(*command.split(), "--help")
                self.assertEqual(done.returncode, 0)
                self.assertIn("Example:\n  ", done.stdout.decode())
                self.assertIn("tollbook " + command, done.stdout.decode())
                self.assertIn(command.split()[0], overview)

    def test_version(self):
        done = tollbook("--version")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"^tollbook \d+\.\d+\.\d+\n$")

    def test_a_wrong_command_line_is_code_2_and_one_line(self):
        for arguments in ([], ["frobnicate"], ["run"], ["status", "--books", "b", "--colour"],
                          ["seal", "--books", "b", "--catalog", "c", "--through", "2025-02-30"],
                          ["journals", "--books", "b", "--format", "xml"],
                          ["status", "--books", "b", "--format", "csv"],
                          ["generate", "--days", "0"], ["generate", "--first-day", "soon"],
                          ["catalog"], ["catalog", "check"]):
            with self.subTest(arguments):
                done = tollbook(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertEqual(done.stdout, b"")
                self.assertRegex(done.stderr.decode(), r"^tollbook: [^\n]+: [^\n]+: [^\n]+\n$")

    def test_who_and_why_are_one_line_each(self):
        for by, why in (("Ann\nBea", "it ties"), ("Ann", "it\tties"), ("Ann", "it ties\x1b[2J"), ("Ann\x7f", "it ties"),
                        ("Ann\u0085", "it ties"), (b"Ann\xff", "it ties")):
            for command in (("periods", "close", "--entity", "acme-us", "--period", "2025-01"),
                            ("journals", "approve", "B"), ("journals", "reverse", "--catalog", "c", "B"),
                            ("seal", "--catalog", "c", "--adjust"), ("deliveries", "pause", "erp"),
                            ("deliveries", "resolve", "erp", "B", "--not-posted"), ("usage-log", "purge"),
                            ("exceptions", "retry", "--catalog", "c"), ("exceptions", "purge"), ("dedup-keys", "purge")):
                with self.subTest(command=command, by=by, why=why):
                    done = tollbook(*command, "--books", "nowhere", "--by", by, "--why", why)
                    self.assertEqual((done.returncode, done.stdout), (2, b""))
                    self.assertRegex(done.stderr.decode(),
                                     r"\Atollbook: wrong on the command line: --(by|why): '[^\n]+' is not one line of "
                                     r"plain text: see `tollbook [^\n]+`\n\Z")

    def test_a_format_of_tables_is_refused_by_what_gives_none(self):
        say = ("--books", "nowhere", "--by", "Ann", "--why", "it ties", "--format")
        for command, form, message in (
                (("journals", "approve", "B"), "parquet", "journals approve gives no table"),
                (("journals", "reject", "B"), "csv", "journals reject gives no table"),
                (("journals", "held"), "ledger", "journals held has no postings"),
                (("periods", "close", "--entity", "acme-us", "--period", "2025-01"), "parquet",
                 "a change of a period gives no table"),
                (("exceptions", "purge"), "parquet", "exceptions purge gives no table")):
            with self.subTest(command):
                done = tollbook(*command, *(say if command[-1] != "held" else ("--books", "nowhere", "--format")), form)
                self.assertEqual((done.returncode, done.stdout), (2, b""))
                self.assertRegex(done.stderr.decode(),
                                 rf"^tollbook: {message}: --format {form}: leave it out, or use .*\n$")

    def test_a_directory_without_a_name_is_said_by_its_flag(self):
        for flag, arguments in (("--books", ["status", "--books", ""]),
                                ("--catalog", ["run", "--books", "b", "--catalog", "", "usage"]),
                                ("--catalog", ["charges", "--books", "b", "--catalog", ""])):
            with self.subTest(arguments):
                done = tollbook(*arguments)
                self.assertEqual(done.returncode, 2)
                self.assertRegex(done.stderr.decode(), r"^tollbook: [^\n]*: " + flag + r": [^\n]+\n$")

    def test_too_little_memory_is_a_message(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

        if tollbook("--version", preexec_fn=limit).returncode != 0:
            self.skipTest("a sanitizer needs more addresses than that to start")
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(tollbook("generate", "--events", "1", "--catalog-out", directory).returncode, 0)
            with open(directory + "/subscriptions.csv", "ab") as subscriptions:
                subscriptions.truncate(MEMORY_BYTES)  # a hole on the disk, but not in memory
            done = tollbook("catalog", "check", directory, preexec_fn=limit)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"^tollbook: out of memory: tollbook catalog check: [^\n]+\n$")

    def test_a_catalog_that_is_not_there(self):
        with tempfile.TemporaryDirectory() as directory:
            done = tollbook("catalog", "check", directory + "/none")
            self.assertEqual(done.returncode, 2)
            self.assertTrue(done.stderr.startswith(b"tollbook: "))
            done = tollbook("catalog", "check", "--json", directory + "/none")
            self.assertEqual(done.returncode, 2)
            self.assertFalse(json.loads(done.stdout)["valid"])

    def test_generate_gives_events_and_a_catalog_that_checks(self):
        with tempfile.TemporaryDirectory() as directory:
            events = pathlib.Path(directory, "usage.ndjson")
            done = tollbook("generate", "--events", "20k", "--json", "--out", str(events), "--catalog-out",
                            directory + "/catalog")
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            text = events.read_bytes()
            self.assertEqual(report["lines"], 20000)
            self.assertEqual(report["lines"], text.count(b"\n"))
            self.assertEqual(report["bytes"], len(text))
            done = tollbook("catalog", "check", "--json", directory + "/catalog")
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertEqual(json.loads(done.stdout)["meters"], 8)
            # The same to standard output, the report then beside it.
            done = tollbook("generate", "--events", "20k")
            self.assertEqual(done.stdout, text)
            self.assertIn(b"20,000", done.stderr)

    def test_generate_says_where_it_cannot_write(self):
        with tempfile.TemporaryDirectory() as directory:
            done = tollbook("generate", "--events", "1", "--out", directory)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stderr.decode(), r"^tollbook: cannot write: ")


if __name__ == "__main__":
    unittest.main()
