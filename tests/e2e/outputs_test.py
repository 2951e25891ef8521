"""What goes wrong around the book: outputs that cannot be written, paths mistyped, many lines that are no usage."""

import os
import resource
import signal
import subprocess
import threading

import book
import small

NO_SPACE = "/dev/full"  # every write to it fails as on a full disk


class Fixture(book.Case):
    def setUp(self):
        super().setUp()
        self.catalog = small.write_catalog(self.scratch / "catalog")
        self.usage = self.scratch / "usage.ndjson"
        self.usage.write_bytes(small.lines(small.event(1), small.event(2)))
        self.bill = book.Book(self.scratch / "book", self.catalog)


class Outputs(Fixture):
    def into(self, path, *arguments):
        """The exit code and the messages, with standard output going to the path."""
        with open(path, "wb") as output:
            done = subprocess.run([book.TOLLBOOK, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.PIPE, timeout=60)
        return done.returncode, done.stderr

    def names(self):
        return sorted(path.name for path in self.scratch.iterdir())

    def test_converting_a_file_onto_itself_keeps_its_events(self):
        before = self.names()
        book.tollbook("convert", "--out", self.usage, self.usage)
        self.assertEqual(self.usage.read_bytes().count(b"\n"), 2)
        self.assertEqual(self.names(), before)
        report = self.bill.run(self.usage)
        self.assertEqual(report["accepted"], 2)

    def test_an_output_that_was_not_finished_leaves_what_was_there(self):
        self.usage.write_bytes(b"".join(small.event(number) + b"\n" for number in range(40_000)))
        output = self.scratch / "out.ndjson"
        output.write_bytes(b"before\n")
        before = self.names()
        # As on a full disk: no file may grow beyond a megabyte.
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

        done = book.tollbook("convert", "--out", output, self.usage, expect=1, preexec_fn=limit)
        self.assert_message(done.stderr, "cannot write", "out.ndjson")
        self.assertEqual(output.read_bytes(), b"before\n")
        self.assertEqual(self.names(), before)

    def test_an_output_keeps_its_mode_and_stays_a_link(self):
        output = self.scratch / "out.ndjson"
        output.write_bytes(b"before\n")
        output.chmod(0o600)
        link = self.scratch / "link.ndjson"
        link.symlink_to("out.ndjson")
        book.tollbook("convert", "--out", link, self.usage)
        self.assertTrue(link.is_symlink())
        self.assertEqual(output.read_bytes().count(b"\n"), 2)
        self.assertEqual(output.stat().st_mode & 0o777, 0o600)

    def test_a_device_and_a_pipe_are_written_as_they_are(self):
        book.tollbook("convert", "--out", "/dev/null", self.usage)
        self.assertTrue(os.path.exists("/dev/null") and not os.path.isfile("/dev/null"))
        pipe = self.scratch / "pipe"
        os.mkfifo(pipe)
        read = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
        reader.start()
        book.tollbook("convert", "--out", pipe, self.usage, timeout=60)
        reader.join(60)
        self.assertEqual(read[0].count(b"\n"), 2)

    def test_a_full_disk_under_standard_output_is_an_error(self):
        for command in (["run", "--json"], ["run"], ["seal"], ["charges"], ["charges", "--json"], ["status"],
                        ["exceptions"], ["exceptions", "--format", "csv"], ["exceptions", "--json"]):
            inputs = [self.usage] if command[0] == "run" else []
            catalog = ["--catalog", self.catalog] if command[0] in ("run", "seal") else []
            with self.subTest(command):
                code, messages = self.into(NO_SPACE, *command, "--books", self.bill.directory, *catalog, *inputs)
                self.assertEqual(code, 1)
                self.assertRegex(messages.decode(), r"(^|\n)tollbook: cannot write: standard output: ")
        self.bill.verify()

    def test_what_cannot_be_acknowledged_is_in_the_book_all_the_same(self):
        code, messages = self.into(NO_SPACE, "run", "--acknowledge", "--books", self.bill.directory, "--catalog",
                                   self.catalog, self.usage)
        self.assertEqual(code, 1)
        self.assert_message(messages, "cannot write", "standard output")
        self.assertEqual(self.bill.status()["lines_read"], 2)
        self.bill.verify()

    def test_no_book_is_begun_by_seal_or_by_a_mistyped_input(self):
        for command, inputs in (("seal", []), ("run", ["usagge.ndjson"]), ("absorb", ["usagge.ndjson"]),
                                ("run", [self.usage, self.scratch / "none*.csv"])):
            with self.subTest(command=command, inputs=inputs):
                done = book.tollbook(command, "--books", self.bill.directory, "--catalog", self.catalog, *inputs,
                                     expect=None)
                self.assertIn(done.returncode, (1, 2))
                self.assert_message(done.stderr, str(inputs[-1] if inputs else self.bill.directory))
                self.assertFalse(self.bill.directory.exists())

    def test_a_line_number_is_a_number_to_its_end(self):
        self.bill.run(self.usage)
        line = self.bill.postings()[0]["batch_id"] + "/1"
        self.bill.explain(line)
        for name in (line + "xyz", line + " ", line + ".0", line[:-1], line[:-1] + "-1", line[:-1] + "99999999999"):
            with self.subTest(name):
                done = book.tollbook("explain", "--books", self.bill.directory, name, expect=None)
                self.assertEqual(done.returncode, 1)
                self.assert_message(done.stderr, name)


class ManyExceptions(Fixture):
    def test_their_list_goes_out_as_it_is_read(self):
        """Peak memory does not follow the number of lines; CSV, JSON and the counts agree."""
        lines = 300_000
        with open(self.usage, "wb") as usage:
            for number in range(lines):
                usage.write(b'{"id":"%d","no":"usage, ""of any" kind","text":"%s"}\n' % (number, b"t" * 150))
        report = self.bill.run(self.usage)
        self.assertEqual(report["rejected"], lines)
        self.bill.status()  # the first to open a book puts in order what the last one wrote
        listed = self.scratch / "listed"
        for form, mark in (("csv", b"invalid_json,"), ("json", b'"reason": "invalid_json"')):
            with self.subTest(form), open(listed, "wb") as output:
                process = subprocess.Popen([book.TOLLBOOK, "exceptions", "--books", self.bill.directory, "--format",
                                            form], stdin=subprocess.DEVNULL, stdout=output)
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                self.assertEqual(process.returncode, 0)
                # Line by line: what this process holds counts as the next one's peak until it is the program.
                with open(listed, "rb") as rows:
                    self.assertEqual(sum(mark in row for row in rows), lines)
                book.say(f"{form}: {usage.ru_maxrss / 1024:.0f} MB")
                self.assertLess(usage.ru_maxrss * 1024, 80e6)


if __name__ == "__main__":
    book.main()
