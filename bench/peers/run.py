"""tollbook beside what else could do the sums: the same events, the same catalog, one run, answers equal to the cent.

    run.py --tollbook PROGRAM --floor PROGRAM [--events N] [--rounds N] [--peers 'NAME;NAME…']

In each round every contestant runs once, in an order drawn anew; slow ones are left out of later rounds
(--slow-rounds). Whoever gives another answer than `tollbook generate` says was made, or than the others, ends the run:
a wrong answer has no figure. Writes all runs to --csv, prints the table.
"""

import argparse
import csv
import datetime
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import as_csv  # noqa: E402
import measure  # noqa: E402
import task  # noqa: E402

FIRST_DAY, DAYS = datetime.date(2025, 1, 1), 31
NOT_INSTALLED = 77  # exit code
SLOW = ("Polars", "Python")
READ_CSV = ("tollbook", "DuckDB", "DuckDB, durable")
COLUMNS = ["events", "bytes", "round", "place", "name", "seconds", "user_seconds", "system_seconds", "peak_bytes",
           "disk_bytes"]


class Contest:
    def __init__(self, options, scratch):
        self.options, self.scratch = options, scratch
        self.task = scratch / "task"
        self.task.mkdir()
        if options.data:
            self.events, self.catalog = options.data / "u.ndjson", options.data / "cat"
            made = None
        else:
            self.events, self.catalog = scratch / "usage.ndjson", scratch / "catalog"
            made = json.loads(subprocess.run(
                [options.tollbook, "generate", "--json", "--events", str(options.events), "--subscriptions",
                 str(options.subscriptions), "--first-day", FIRST_DAY.isoformat(), "--days", str(DAYS),
                 "--out", self.events, "--catalog-out", self.catalog], check=True, stdout=subprocess.PIPE).stdout)
        if options.input == "csv":
            self.events, self.catalog = as_csv.write(self.events, self.catalog, scratch)
        # Late usage is dated in the month before.
        task.write(self.catalog, self.task, FIRST_DAY - datetime.timedelta(days=1),
                   FIRST_DAY + datetime.timedelta(days=DAYS - 1))
        self.expected = made and {name: made[name] for name in ("accepted", "duplicate", "conflict", "unattributed")}
        self.store = scratch / "store"
        node = [options.node, "--no-warnings", "--max-old-space-size=8192"]
        given = [self.events, self.task, str(options.threads)]
        self.contestants = {
            "tollbook": [options.tollbook, "run", "--json", "--quiet", "--threads", str(options.threads), "--books",
                         self.store, "--catalog", self.catalog, self.events],
            "simdjson alone, 1 thread": [options.floor, self.events, "1"],
            f"simdjson alone, {options.threads} threads": [options.floor, self.events, str(options.threads)],
            "DuckDB": node + [options.installed / "duckdb.mjs", *given],
            "DuckDB, durable": node + [options.installed / "duckdb.mjs", *given, self.store],
            "ClickHouse": node + [options.installed / "clickhouse.mjs", *given],
            "Polars": node + [options.installed / "polars.mjs", *given],
            "Python": [sys.executable, "-B", HERE / "dicts.py", *given],
        }
        if options.input == "csv":
            self.contestants = {name: command for name, command in self.contestants.items() if name in READ_CSV}
        wanted = [name.strip() for name in options.peers.split(";")] if options.peers else list(self.contestants)
        for name in wanted:
            if name not in self.contestants:
                raise SystemExit(f"no contestant is called {name}: there are {', '.join(self.contestants)}")
        if options.without_packages:
            wanted = [name for name in wanted if self.contestants[name][0] != options.node]
        elif any(self.contestants[name][0] == options.node for name in wanted):
            self.put_scripts()
        self.contestants = {name: command for name, command in self.contestants.items() if name in wanted}

    def put_scripts(self):
        """The peers' scripts as they are now, beside the packages that they import: Node.js looks for these there."""
        installed = self.options.installed
        if not (installed / "node_modules").is_dir():
            print(f"{installed} has no node_modules: `make build/peers/node_modules` makes them", file=sys.stderr)
            raise SystemExit(NOT_INSTALLED)
        for script in HERE.glob("*.mjs"):
            copy = installed / f"{script.name}.{os.getpid()}"
            shutil.copyfile(script, copy)
            copy.replace(installed / script.name)  # at once: another run may be reading it

    def run_once(self, name):
        if self.store.is_dir():
            shutil.rmtree(self.store)
        for left in self.scratch.glob("store*"):
            left.unlink()
        measure.reset_memory()
        environment = {"POLARS_MAX_THREADS": str(self.options.threads)}
        answer, figures = measure.run(self.contestants[name], environment=environment)
        self.check(name, answer)
        # A peer's clock starts when its library is loaded; ours runs from the start of the process to its end.
        if name != "tollbook":
            figures["seconds"] = answer["seconds"]
        figures["disk_bytes"] = measure.disk_bytes(self.store)
        return figures

    def check(self, name, answer):
        if name.startswith("simdjson"):
            return
        if name == "tollbook":
            answer["totals"] = {f"{row['entity']} {row['currency']}": row["debit"].replace(".", "")
                                for row in answer["totals"]}
        given = {key: answer[key] for key in ("accepted", "duplicate", "conflict", "unattributed")}
        if self.expected is None:
            self.expected = given
        if "totals" not in self.expected and given == self.expected:
            self.expected["totals"] = answer["totals"]
        given["totals"] = answer["totals"]
        if given != self.expected:
            raise SystemExit(f"{name} answers\n  {given}\nand not\n  {self.expected}")

    def run_all(self, log):
        bytes_in = self.events.stat().st_size
        draw = random.Random(self.options.seed)
        runs = []
        for turn in range(self.options.rounds):
            order = [name for name in self.contestants if name not in SLOW or turn < self.options.slow_rounds]
            draw.shuffle(order)
            for place, name in enumerate(order):
                figures = self.run_once(name)
                row = {"events": self.options.events, "bytes": bytes_in, "round": turn, "place": place, "name": name,
                       **figures}
                runs.append(row)
                log(row)
        return runs


def report(runs, contestants):
    """The table: rates by the median, and by how much tollbook is ahead, by the median of the ratios of each round."""
    of = {name: {run["round"]: run for run in runs if run["name"] == name} for name in contestants}
    ours, rows = of.get("tollbook", {}), []
    for name in contestants:
        rates = [run["events"] / run["seconds"] for run in of[name].values()]
        ratios = [run["seconds"] / ours[turn]["seconds"] for turn, run in of[name].items() if turn in ours]
        middle, least, most = measure.spread(rates)
        ahead = "" if not ratios or name == "tollbook" else "{:.2f} ({:.2f} to {:.2f})".format(*measure.spread(ratios))
        rows.append([name, f"{measure.si(middle)} ({measure.si(least)} to {measure.si(most)})", ahead,
                     f"{max(run['peak_bytes'] for run in of[name].values()) / 1e9:.2f} GB", len(rates)])
    return measure.table(["", "events/s, median and range", "tollbook is ahead by", "peak memory", "runs"], rows)


def read_runs(path):
    with open(path, newline="", encoding="utf-8") as file:
        return [{key: value if key == "name" else float(value) for key, value in row.items()}
                for row in csv.DictReader(file)]


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--tollbook", required=True, type=pathlib.Path)
    parse.add_argument("--floor", required=True, type=pathlib.Path, help="bench_decode_floor")
    parse.add_argument("--node", default="node")
    parse.add_argument("--installed", type=pathlib.Path, default=pathlib.Path("build/peers"),
                       help="where node_modules of the peers are; exit code 77 where they are needed and are not")
    parse.add_argument("--without-packages", action="store_true", help="only who needs none of them")
    parse.add_argument("--events", type=int, default=10_000_000)
    parse.add_argument("--subscriptions", type=int)
    parse.add_argument("--threads", type=int, default=2)
    parse.add_argument("--rounds", type=int, default=5)
    parse.add_argument("--slow-rounds", type=int, default=1, help="rounds of " + ", ".join(SLOW))
    parse.add_argument("--peers", help="only these, by name, with semicolons between")
    parse.add_argument("--input", choices=("json", "csv"), default="json", help="csv: " + ", ".join(READ_CSV) + " only")
    parse.add_argument("--seed", type=int, default=1, help="of the order in which they run")
    parse.add_argument("--data", type=pathlib.Path, help="a directory with u.ndjson and cat, instead of new data")
    parse.add_argument("--scratch", type=pathlib.Path, help="where data and stores go while it runs")
    parse.add_argument("--small", action="store_true", help="seconds: that the answers agree, not how fast they come")
    parse.add_argument("--csv", type=pathlib.Path, default=pathlib.Path("build/bench/peers.csv"))
    options = parse.parse_args()
    if options.small:
        measure.TOUCHED_BYTES = 1 << 20  # no figure is read
        options.events, options.rounds = 20_000, 1
    if options.subscriptions is None:
        options.subscriptions = 100_000 if options.events >= 10_000_000 else options.events // 100 + 10
    options.csv.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tollbook-peers-", dir=options.scratch) as scratch:
        contest = Contest(options, pathlib.Path(scratch))
        with open(options.csv, "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            out.writeheader()

            def log(row):
                out.writerow({key: f"{value:.6f}" if isinstance(value, float) else value for key, value in row.items()})
                file.flush()
                print(f"{row['round'] + 1}.{row['place'] + 1} {row['name']}: {row['seconds']:.2f} s, "
                      f"{row['peak_bytes'] / 1e9:.2f} GB", file=sys.stderr)

            runs = contest.run_all(log)
        print(report(runs, contest.contestants))
        print("answers equal in all runs:", json.dumps(contest.expected))


if __name__ == "__main__":
    main()
