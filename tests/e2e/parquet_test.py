"""What is written as Parquet, others read, and it is the CSV to the last digit.

Read by DuckDB, from build/peers (`make bench-peers` installs it); without it, this is skipped and says so.
"""

import decimal
import hashlib
import json
import os
import pty
import subprocess

import book
import small

DUCKDB = book.REPOSITORY / "build" / "peers" / "node_modules" / "@duckdb" / "node-api"
# Prints one object: the types of the columns, and the rows, each value as text.
READER = """
import { DuckDBInstance } from "@duckdb/node-api";
const connection = await (await DuckDBInstance.create(":memory:")).connect();
const rowsOf = async (sql) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
const types = await rowsOf(`DESCRIBE FROM read_parquet('${process.argv[2]}')`);
const rows = await rowsOf(`SELECT COLUMNS(*)::VARCHAR FROM read_parquet('${process.argv[2]}', file_row_number=true)
  ORDER BY file_row_number`);
console.log(JSON.stringify({ types: Object.fromEntries(types.map((row) => [row.column_name, row.column_type])), rows }));
"""
MONEY, QUANTITY = "DECIMAL(38,4)", "DECIMAL(38,18)"


class Case(book.Case):
    def setUp(self):
        super().setUp()
        if not DUCKDB.is_dir():
            self.skipTest(f"{DUCKDB} is not there: `make bench-peers` installs it")
        # Node looks for packages beside the program, and above it.
        self.reader = DUCKDB.parent.parent.parent / f"read_parquet_{os.getpid()}.mjs"
        self.reader.write_text(READER)
        self.addCleanup(self.reader.unlink)

    def read(self, path):
        done = subprocess.run(["node", self.reader, path], capture_output=True, check=False, timeout=600)
        self.assertEqual(done.returncode, 0, done.stderr.decode()[-2000:])
        found = json.loads(done.stdout)
        for row in found["rows"]:
            row.pop("file_row_number", None)
        return found["types"], found["rows"]

    def assert_is_csv(self, path, csv, types, more=()):
        """Each cell; decimals as numbers, since CSV writes no more digits than it must. Others are text. `more`: columns
        that the CSV has not, at the end."""
        read_types, rows = self.read(path)
        expected = book.rows_of(csv)
        self.assertEqual(len(rows), len(expected))
        self.assertEqual({name: of for name, of in read_types.items() if of != "VARCHAR"}, types)
        for row, as_csv in zip(rows, expected):
            self.assertEqual(list(row), [*as_csv, *more])
            for name, cell in as_csv.items():
                if types.get(name, "").startswith("DECIMAL") and cell:
                    self.assertEqual(decimal.Decimal(row[name]), decimal.Decimal(cell), name)
                else:
                    self.assertEqual(row[name] if row[name] is not None else "", cell, name)
        return expected

    def output(self, *arguments):
        path = self.scratch / "out.parquet"
        path.write_bytes(book.tollbook(*arguments, "--format", "parquet").stdout)
        return path


class Commands(Case):
    CHARGES = {"period_start": "DATE", "period_end": "DATE", "quantity": QUANTITY, "amount_booked": MONEY}
    JOURNALS = {"posting_date": "DATE", "line": "BIGINT", "debit": MONEY, "credit": MONEY}
    EXCEPTIONS = {"line": "BIGINT", "byte_offset": "BIGINT", "part": "BIGINT", "usage_date": "DATE", "events": "BIGINT"}
    PERIODS = {"first_day": "DATE", "last_day": "DATE", "batches": "BIGINT", "waiting_differences": "BIGINT"}

    def compare(self, books, commands=("charges", "journals", "exceptions", "periods")):
        for command in commands:
            types = getattr(self, command.upper())
            with self.subTest(command):
                csv = book.tollbook(command, "--books", books, "--format", "csv").stdout
                more = ("usage_date",) if command == "journals" else ()
                rows = self.assert_is_csv(self.output(command, "--books", books), csv,
                                          {**types, **{name: "DATE" for name in more}}, more)
                book.say(f"{command}: {len(rows)} rows")

    def test_digits_words_and_nothing(self):
        """Eighteen decimals, text in other letters, bytes that are none, and empty tables."""
        catalog = small.write_catalog(self.scratch / "catalog")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        fine = small.event(1).replace(b'"calls":1', b'"calls":1234567890123.000000000000000001')
        usage.write_bytes(small.lines(fine, small.event(2, subject="Zürich 東京"), b'{"no":"\xff"}', b"words"))
        bill.run(usage)
        self.compare(bill.directory)
        empty = book.Book(self.scratch / "empty", catalog)
        usage.write_bytes(b"")
        empty.run(usage)
        self.compare(empty.directory, ("journals", "exceptions"))  # the others want a seal

    def test_a_terminal_is_refused(self):
        bill = book.Book(self.scratch / "book", small.write_catalog(self.scratch / "catalog"))
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1)))
        bill.run(usage)
        ours, terminal = pty.openpty()
        done = subprocess.run([book.TOLLBOOK, "charges", "--books", bill.directory, "--format", "parquet"], stdout=terminal,
                              stderr=subprocess.PIPE, timeout=60, check=False)
        os.close(terminal)
        os.close(ours)
        self.assertEqual(done.returncode, 2)
        self.assert_message(done.stderr, "Parquet is not for a terminal", "> FILE.parquet")


class Target(Case):
    def test_a_batch_as_a_file(self):
        catalog = small.write_catalog(self.scratch / "catalog")
        bill = book.Book(self.scratch / "book", catalog)
        usage = self.scratch / "usage.ndjson"
        usage.write_bytes(small.lines(small.event(1, 7), small.event(2, 8, time="2025-01-06T12:00:00Z")))
        bill.run(usage)
        (catalog / "targets.yaml").write_text(
            "targets:\n  - {name: lake, kind: files, directory: out, format: parquet}\n")
        shown = book.tollbook("post", "--books", bill.directory, "--catalog", catalog, "--dry-run").stdout.decode()
        book.tollbook("post", "--books", bill.directory, "--catalog", catalog, "--strict")
        path, = (catalog / "out").glob("*.parquet")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.assertIn(f"{path.stat().st_size} bytes of Parquet, SHA-256 {digest}\n", shown)
        self.assertEqual((catalog / "out" / (path.name + ".sha256")).read_text(), f"{digest}  {path.name}\n")
        self.assertFalse(list((catalog / "out").glob("*.new")))
        self.assert_is_csv(path, bill.journals(), Commands.JOURNALS)


if __name__ == "__main__":
    book.main()
