"""What becomes of an event's cost as things grow: more events, subscriptions, charges, files, duplicates, longer lines.

    growth.py --tollbook PROGRAM [--events N] [--small | --large | --full] [--csv FILE]

Each row is one run of `tollbook run` into a new book, in a state of memory like all others, with every count and, for
the shapes made here, the journal's total checked. A shape that `tollbook generate` has no option for is made here with
a catalog of its own, in which a unit costs a cent, so that the total is the sum of the values.
"""

import argparse
import csv
import gzip
import itertools
import json
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import measure  # noqa: E402

COLUMNS = ["series", "label", "events", "bytes", "seconds", "core_ns_per_event", "events_per_second", "peak_bytes",
           "disk_bytes_per_event", "of_simdjson"]
CHART = """accounts:
  - {code: "1200", name: Receivable, type: asset}
  - {code: "4000", name: Revenue, type: revenue}
"""
POSTING = 'posting:\n  - {debit: "1200", credit: "4000"}\n'


def write_catalog(directory, subscriptions, services=1, sources=None):
    """A catalog in which every call costs a cent for each of its units, by a charge of its service."""
    directory.mkdir()
    charges = "".join(
        f"      - {{name: c{service}, meter: calls, product: calls, model: per_unit, price: 0.01, "
        f"filter: {{service: s{service}}}}}\n" for service in range(services))
    files = {
        "book.yaml": "name: growth\nzone: UTC\n",
        "entities.yaml": "entities:\n  - {name: acme, functional_currency: USD}\n",
        "chart.yaml": CHART,
        "posting.yaml": POSTING,
        "meters.yaml": "meters:\n  - {name: calls, aggregation: sum, value: units, dimensions: [service]}\n",
        "plans.yaml": f"plans:\n  - name: plan\n    currency: USD\n    charges:\n{charges}",
        "subscriptions.csv": "subscription,account,plan,entity,currency,valid_from,valid_to\n" + "".join(
            f"c{number},a,plan,acme,USD,2024-01-01,\n" for number in range(subscriptions)),
    }
    if sources:
        files["sources.yaml"] = sources
    for name, text in files.items():
        (directory / name).write_text(text, encoding="utf-8")


class Shape:
    """How events of our own making look. `subscriptions` customers and `services` services in turn. `identity` is a
    format or makes an id of a number."""

    def __init__(self, subscriptions=1000, services=1, sources=16, identity="{:016x}", extra="", escaped=False):
        self.subscriptions, self.services, self.sources = subscriptions, services, sources
        self.identity = identity.format if isinstance(identity, str) else identity
        self.extra, self.escaped = extra, escaped

    def fields(self, number, draw):
        """(id, source, subject, seconds into January, service, units)"""
        # One subject for a run of services would tie the two together: 7919 is a prime.
        return (self.identity(number), f"gw/{number % self.sources}", f"c{draw % self.subscriptions}",
                number * 7919 % 2_678_400, f"s{draw // 7919 % self.services}", draw % 90 + 1)


def random_uuid(number):
    """Of version 4, as most libraries make them: nothing of it repeats from one to the next."""
    return str(uuid.UUID(int=random.Random(number).getrandbits(128), version=4))


def escape(text):
    """The same JSON string with every character written as an escape."""
    return "".join(f"\\u{ord(character):04x}" for character in text)


def make_events(shape, count, path):
    """Writes `count` distinct events, gives the sum of their units."""
    spell = escape if shape.escaped else str
    draws, total = random.Random(1), 0
    with open(path, "w", encoding="utf-8", buffering=1 << 20) as file:
        for number in range(count):
            identity, source, subject, second, service, units = shape.fields(number, draws.getrandbits(40))
            total += units
            time = f"2025-01-{second // 86400 + 1:02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z"
            file.write(f'{{"specversion":"1.0","id":"{spell(identity)}","source":"{spell(source)}",'
                       f'"type":"{spell("calls")}","subject":"{spell(subject)}","time":"{spell(time)}",'
                       f'"data":{{{shape.extra}"service":"{spell(service)}","units":{units}}}}}\n')
    return total


def make_csv(count, path):
    draws, total, shape = random.Random(1), 0, Shape()
    with open(path, "w", encoding="utf-8", buffering=1 << 20) as file:
        file.write("id,subject,offset,service,units\n")
        for number in range(count):
            identity, _, subject, second, service, units = shape.fields(number, draws.getrandbits(40))
            total += units
            file.write(f"{identity},{subject},{second},{service},{units}\n")
    return total


CSV_SOURCE = """sources:
  - glob: "*.csv"
    format: csv
    events:
      - id: "{id}"
        source: "gw/{file}"
        type: calls
        subject: "{subject}"
        time: {base: "2025-01-01T00:00:00Z", offset_seconds: offset}
        data:
          service: "{service}"
          units: {number: "{units}"}
"""


def nested(size):
    """Members of `data` that no meter names, about `size` bytes, five levels deep."""
    deep = '{"a":{"b":{"c":{"d":[1,2.5,true,null,"x{y}[z]\\\\"]}}}}'
    members = (f'"trace{number}":{deep},' for number in itertools.count())
    return "".join(itertools.islice(members, size // (len(deep) + 12)))


def table(rows):
    """The rows of a sweep, or of the CSV that it wrote."""
    return measure.table(
        ["series", "", "events/s", "core ns an event", "peak memory", "bytes on disk an event", "of simdjson alone"],
        [[row["series"], row["label"], measure.si(float(row["events_per_second"])),
          f"{float(row['core_ns_per_event']):.0f}", f"{float(row['peak_bytes']) / 1e9:.2f} GB",
          row["disk_bytes_per_event"], row["of_simdjson"] or ""] for row in rows])


class Sweep:
    def __init__(self, options, scratch):
        self.options, self.scratch, self.rows = options, scratch, []
        self.count = options.events

    def floor(self, path, threads):
        """Seconds of simdjson alone for the six fields of the same lines, or None."""
        if not self.options.floor:
            return None
        measure.reset_memory()
        answer, _ = measure.run([self.options.floor, path, threads])
        if answer["events"] != self.count:
            raise SystemExit(f"simdjson reads {answer['events']:,} events of {self.count:,}")
        return answer["seconds"]

    def run(self, series, label, catalog, inputs, expected, total=None, pipe=None, threads=None, floor=None,
            memory=None):
        """One row. `expected`: counts of the report; `total`: the journal's, in cents. `memory`: so little that what was
        seen is in runs on disk, from the first sixteenth of the input on."""
        store = self.scratch / "book"
        if store.exists():
            shutil.rmtree(store)
        measure.reset_memory()
        command = [self.options.tollbook, "run", "--json", "--quiet", "--books", store, "--catalog", catalog,
                   "--threads", threads or self.options.threads]
        if memory or self.options.memory:
            command += ["--memory", memory or self.options.memory]
        if memory:
            size = sum(path.stat().st_size for path in inputs)
            command += ["--epoch-bytes", size // 16, "--block-bytes", min(1 << 20, size // 64)]
        source = subprocess.Popen(pipe, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) if pipe else None
        answer, figures = measure.run(command + list(inputs), stdin=source and source.stdout)
        if source and source.wait() != 0:
            raise SystemExit(f"{pipe[0]} failed")
        wrong = {name: (answer[name], value) for name, value in expected.items() if answer[name] != value}
        if total is not None:
            debit = sum(int(row["debit"].replace(".", "")) for row in answer["totals"])
            wrong |= {} if debit == total else {"total": (debit, total)}
        runs = len(list(store.rglob("*.run")))
        if memory and (runs == 0 or answer["epochs"] < 8):
            wrong |= {"runs": (runs, "some"), "epochs": (answer["epochs"], "8 or more")}
        if wrong:
            raise SystemExit(f"{series}, {label}: is and should be: {wrong}")
        events = answer["lines_read"]
        row = {"series": series, "label": label, "events": events, "bytes": answer["bytes"],
               "seconds": round(figures["seconds"], 3),
               "core_ns_per_event": round((figures["user_seconds"] + figures["system_seconds"]) * 1e9 / events, 1),
               "events_per_second": round(events / figures["seconds"]), "peak_bytes": figures["peak_bytes"],
               "disk_bytes_per_event": round(measure.disk_bytes(store) / events, 2),
               "of_simdjson": floor and round(floor / figures["seconds"], 2)}
        shutil.rmtree(store)
        print("{series}: {label}: {events_per_second:,} events/s, {core_ns_per_event:.0f} ns".format(**row),
              file=sys.stderr)
        self.rows.append(row)

    def leaves_out(self, series):
        return bool(self.options.only) and series not in self.options.only

    def generated(self, series, label, events, options=(), parts=1, stream=False, memory=None):
        """A row of what `tollbook generate` makes."""
        if self.leaves_out(series):
            return
        catalog, path = self.scratch / "catalog", self.scratch / "usage.ndjson"
        generate = [self.options.tollbook, "generate", "--quiet", "--json", "--events", str(events), *map(str, options)]
        # A stream is made twice, for its counts and for the run.
        made = subprocess.run(generate + ["--out", "/dev/null" if stream else path, "--catalog-out", catalog],
                              check=True, stdout=subprocess.PIPE).stdout
        expected = {name: value for name, value in json.loads(made).items()
                    if name in ("accepted", "duplicate", "conflict", "held", "rejected", "unattributed")}
        if stream:
            self.run(series, label, catalog, ["-"], expected, pipe=generate + ["--out", "-"])
        else:
            inputs = [path] if parts == 1 else [self.split(path, parts)]
            self.run(series, label, catalog, inputs, expected, memory=memory)
            for left in (path, self.scratch / "parts"):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        shutil.rmtree(catalog)

    def split(self, path, parts):
        folder = self.scratch / "parts"
        folder.mkdir()
        subprocess.run(["split", "--suffix-length=5", "--numeric-suffixes", f"--number=l/{parts}",
                        "--additional-suffix=.ndjson", path, folder / "part-"], check=True)
        return folder

    def made(self, series, label, shape, finish=lambda path: path):
        """A row of a shape made here. `finish` may put another file in the place of the events."""
        if self.leaves_out(series):
            return
        catalog, path = self.scratch / "made", self.scratch / "made.ndjson"
        write_catalog(catalog, shape.subscriptions, shape.services)
        total = make_events(shape, self.count, path)
        given = finish(path)
        floor = self.floor(path, self.options.threads) if series == "lines" else None
        self.run(series, label, catalog, [given], {"accepted": self.count, "unattributed": 0, "unpriced": 0}, total,
                 floor=floor)
        for left in {path, given}:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
        shutil.rmtree(catalog)

    def csv(self, series, label):
        if self.leaves_out(series):
            return
        catalog, path = self.scratch / "made", self.scratch / "made.csv"
        write_catalog(catalog, Shape().subscriptions, sources=CSV_SOURCE)
        total = make_csv(self.count, path)
        self.run(series, label, catalog, [path], {"accepted": self.count, "unattributed": 0, "unpriced": 0}, total)
        path.unlink()
        shutil.rmtree(catalog)

    def sweep(self):
        count, options = self.count, self.options
        for events in options.sizes:
            # Too long to be kept; the small mode tries that way, too.
            choices = ["--subscriptions", min(100_000, events // 100 + 10)]
            if events <= 20_000_000:
                self.generated("events", measure.si(events, 0), events, choices)
            if events == 10_000_000 or events > 20_000_000 or (options.small and events == options.sizes[-1]):
                self.generated("events, from a pipe", measure.si(events, 0), events, choices, stream=True)
        for subscriptions in options.subscriptions:
            self.generated("subscriptions", measure.si(subscriptions, 0), count, ["--subscriptions", subscriptions])
        for charges in (1, 10, 50):
            self.made("charges of a plan", str(charges), Shape(services=charges))
        for files in options.files:
            self.generated("files", f"{files:,}", count, parts=files)
        for percent in (0, 2, 10, 50):
            self.generated("duplicates", f"{percent} %", count, ["--redelivered", percent * 10_000])
        for lines in (1_000, 100_000, count):
            self.generated("duplicates (10 %) that come within", f"{measure.si(lines, 0)} lines", count,
                           ["--redelivered", 100_000, "--redelivered-within", lines])
        # At most a quarter of it is the seen events', 32 bytes each. So three quarters of them and more are in runs on
        # disk, in the end, and most of what comes again meets them there.
        self.generated("duplicates (10 %) that come within", f"{measure.si(count, 0)} lines, memory for a quarter", count,
                       ["--redelivered", 100_000, "--redelivered-within", count], memory=str(32 * count))
        for label, sources in (("1", 1), ("16", 16), ("all distinct", 1 << 62)):
            self.made("sources", label, Shape(sources=sources))
        for label, identity in (("hex", "{:016x}"), ("counted", "{}"),
                                ("UUID, random", random_uuid),
                                ("UUID, counted", "00000000-0000-4000-8000-{:012x}"),
                                ("400 bytes", "x" * 384 + "{:016x}"), ("same ends", "{:016x}" + "x" * 48)):
            self.made("ids", label, Shape(identity=identity))
        for subscriptions in (1, 1000, 100_000):
            self.made("subscriptions, all of a size", measure.si(subscriptions, 0), Shape(subscriptions=subscriptions))
        for label, shape in (("200 B", Shape()), ("2 kB nested", Shape(extra=nested(1_800))),
                             ("all escaped", Shape(escaped=True))):
            self.made("lines", label, shape)
        self.made("input", "NDJSON", Shape())
        self.made("input", "gz", Shape(), self.gzipped)
        self.made("input", "gz, 8 files", Shape(), self.several(self.gzipped))
        if shutil.which("zstd"):
            self.made("input", "zst", Shape(), self.zstd)
            self.made("input", "zst, 8 files", Shape(), self.several(self.zstd))
        if shutil.which("pzstd"):
            self.made("input", "zst, in frames", Shape(), self.frames)
        self.csv("input", "CSV")
        self.threads()
        if options.servegen:
            self.servegen(options.servegen)

    def threads(self):
        """One thread and two in turn, so that what the machine does meanwhile is the same: rows of the medians."""
        if self.leaves_out("threads"):
            return
        catalog, path = self.scratch / "threads", self.scratch / "threads.ndjson"
        write_catalog(catalog, 1000)
        total = make_events(Shape(), self.count, path)
        first, runs = len(self.rows), {1: [], 2: []}
        for _ in range(1 if self.options.small else 5):
            for threads, rows in runs.items():
                self.run("threads", str(threads), catalog, [path], {"accepted": self.count}, total, threads=threads)
                rows.append(self.rows.pop())
        scale = measure.spread([two["events_per_second"] / one["events_per_second"] for one, two in zip(*runs.values())])
        for threads, rows in runs.items():
            rows.sort(key=lambda row: row["events_per_second"])
            self.rows.append(rows[len(rows) // 2])
        self.rows[-1]["label"] = f"2 ({scale[0]:.2f} times)"
        print("2 threads are {:.2f} ({:.2f} to {:.2f}) times as fast as 1".format(*scale), file=sys.stderr)
        assert len(self.rows) == first + 2
        path.unlink()
        shutil.rmtree(catalog)

    def servegen(self, data):
        """Fourteen days of a real model-serving cloud; see data/servegen."""
        if self.leaves_out("input"):
            return
        catalog = pathlib.Path(__file__).resolve().parent.parent / "data" / "servegen" / "catalog"
        self.run("input", "ServeGen", catalog, [data / "tokens_6h.csv.zst", data / "requests_10min.csv.zst"],
                 {"accepted": 7_741_339, "unattributed": 0}, 113_739_777)

    @staticmethod
    def gzipped(path):
        packed = path.with_suffix(".ndjson.gz")
        with open(path, "rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        return packed

    @staticmethod
    def zstd(path):
        subprocess.run(["zstd", "--quiet", "--rm", path], check=True)
        return path.with_suffix(".ndjson.zst")

    @staticmethod
    def frames(path):
        """pzstd cuts what it packs into frames of 8 MiB."""
        subprocess.run(["pzstd", "--quiet", "--rm", path], check=True)
        return path.with_suffix(".ndjson.zst")

    def several(self, pack):
        """Packs the events as eight files instead."""
        def packed(path):
            folder = self.split(path, 8)
            for part in list(folder.iterdir()):
                pack(part)
                part.unlink(missing_ok=True)
            return folder
        return packed


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--tollbook", required=True, type=pathlib.Path)
    parse.add_argument("--events", type=int, default=1_000_000, help="of each run, but for the series that grows them")
    parse.add_argument("--threads", type=int, default=2)
    parse.add_argument("--memory", help="the budget that tollbook gets")
    parse.add_argument("--small", action="store_true", help="seconds: that it works, not how fast it is")
    parse.add_argument("--large", action="store_true", help="up to 100 million events, as a stream")
    parse.add_argument("--full", action="store_true", help="up to a billion events, and 5 million subscriptions")
    parse.add_argument("--only", action="append", metavar="SERIES", help="of this series alone; may be given again")
    parse.add_argument("--servegen", type=pathlib.Path, help="the directory of its usage files; see data/servegen")
    parse.add_argument("--floor", type=pathlib.Path, help="bench_decode_floor: simdjson alone beside each kind of line")
    parse.add_argument("--scratch", type=pathlib.Path, help="where data and books go while it runs")
    parse.add_argument("--csv", type=pathlib.Path, default=pathlib.Path("build/bench/growth.csv"))
    options = parse.parse_args()
    if options.small:
        measure.TOUCHED_BYTES = 1 << 20  # no figure is read
        options.events, options.sizes = 3_000, (1_000, 10_000)
        options.subscriptions, options.files = (10, 1_000), (1, 30)
    else:
        larger = [100_000_000] * (options.large or options.full) + [10**9] * options.full
        options.sizes = [1_000_000, 10_000_000, *larger]
        options.subscriptions = [1_000, 100_000] + [5_000_000] * options.full
        options.files = (1, 100, 10_000)
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tollbook-growth-", dir=options.scratch) as scratch:
        sweep = Sweep(options, pathlib.Path(scratch))
        try:
            sweep.sweep()
        finally:
            with open(options.csv, "w", newline="", encoding="utf-8") as file:
                out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                out.writeheader()
                out.writerows(sweep.rows)
    print(table(sweep.rows))


if __name__ == "__main__":
    main()
