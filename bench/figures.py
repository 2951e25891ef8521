"""Puts measured figures into docs/performance.md and README.md, and draws the pictures: figures.py [DIRECTORY]

Reads whole.csv, parts.json with parts-rating.json, tricks.csv, profile.csv, peers.csv, peers-csv.csv and growth.csv of the
directory (build/bench), those that are there, and replaces what stands between the markers `<!-- NAME: begin -->` and
`<!-- NAME: end -->`. Words about the figures belong outside of them. What it read is kept in bench/measured/, so that
what is published can be drawn again, and checked (drawings_test.py).
"""

import csv
import itertools
import json
import pathlib
import platform
import re
import shutil
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "peers")]
import charts  # noqa: E402
import growth  # noqa: E402
import measure  # noqa: E402
import run as peers  # noqa: E402

DOCS = HERE.parent / "docs"
MEASURED = HERE / "measured"


def fill(text, name, words):
    """`text` with `words` between the markers of `name`."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise SystemExit(f"figures.py: the markers of {name} are not there, once each: {begin.strip()} … {end}")
    before, _, rest = text.partition(begin)
    return before + begin + words.rstrip("\n") + "\n" + end + rest.partition(end)[2]


def between(text, name):
    """What stands between the markers of `name`."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    return text.partition(begin)[2].partition(end)[0]


def machine():
    """The day and the machine, as a published figure names them."""
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    cores = len(re.findall(r"^processor", pathlib.Path("/proc/cpuinfo").read_text(), re.M))
    name = re.search(r'PRETTY_NAME="(.*)"', pathlib.Path("/etc/os-release").read_text())
    return (f"{time.strftime('%-d %B %Y')}, {cores} cores of {model[1] if model else platform.machine()}, "
            f"{int(memory[1]) * 1024 / 1e9:.0f} GB, {name[1] if name else platform.system()}.")


def rows_of(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def peers_words(path, inputs="NDJSON"):
    runs = peers.read_runs(path)
    names = list(dict.fromkeys(run["name"] for run in runs))
    names.sort(key=lambda name: min(run["seconds"] for run in runs if run["name"] == name))
    return (f"{machine()} {runs[0]['events']:,.0f} events, {runs[0]['bytes'] / 1e9:.2f} GB of {inputs}.\n\n"
            + peers.report(runs, names))


def peers_page(path):
    return "![events a second of each](performance-peers.svg)\n\n" + peers_words(path)


def csv_words(path):
    return peers_words(path, "CSV")


def rate_words(path):
    """The README's line: the rate, and by how much it is ahead of the durable peer."""
    runs = peers.read_runs(path)
    seconds = {name: {run["round"]: run["seconds"] for run in runs if run["name"] == name}
               for name in ("tollbook", "DuckDB, durable")}
    rate = runs[0]["events"] / measure.spread(list(seconds["tollbook"].values()))[0]
    ratios = [theirs / seconds["tollbook"][turn] for turn, theirs in seconds["DuckDB, durable"].items()]
    return (f"On two cores {rate / 1e6:.2f} million events a second, from NDJSON to the synced journal, "
            f"{measure.spread(ratios)[0]:.1f} times\nas many as the same sums take in a tuned, durable DuckDB "
            "([docs/performance.md](docs/performance.md)).")


# As they were set, when simdjson alone was 6.4 times as fast as DuckDB, durable.
WAY_POINTS = [("a throwaway prototype of the whole job", "DuckDB, durable", 4.7),
              ("simdjson alone", "simdjson alone, 2 threads", 1), ("thought reachable", "DuckDB, durable", 8),
              ("**the goal**", "DuckDB, durable", 10)]


def goal_words(path):
    """Which way points are passed, and what an event may take at the last of them."""
    runs = peers.read_runs(path)
    of = {name: {run["round"]: run for run in runs if run["name"] == name} for name in {run["name"] for run in runs}}
    ours, lines = of["tollbook"], []
    for what, whom, asked in WAY_POINTS:
        times = [run["seconds"] / ours[turn]["seconds"] for turn, run in of[whom].items() if turn in ours]
        middle, least, _ = measure.spread(times)
        verdict = "passed" if least >= asked else "passed by the median" if middle >= asked else "not reached"
        lines.append([what, f"{asked:g} × {whom}", ranged(times), verdict])
    events = runs[0]["events"]
    rate = 10 * events / measure.spread([run["seconds"] for run in of["DuckDB, durable"].values()])[0]
    took = measure.spread([(run["user_seconds"] + run["system_seconds"]) * 1e9 / events for run in ours.values()])[0]
    return (measure.table(["way point", "asked", "measured", ""], lines)
            + f"\n\nIn that run ten times DuckDB, durable, is {rate / 1e6:.1f} M events a second: {2e9 / rate:.0f} ns of "
            f"two cores for an event, all waiting included. tollbook takes {took:.0f} ns of processor time.")


def growth_words(path):
    picture = "![nanoseconds of a core for one event, as things grow](performance-growth.svg)"
    return f"{picture}\n\n{machine()}\n\n" + growth.table(rows_of(path))


WHOLE = {"read": "reading alone", "simdjson": "simdjson alone, six fields",
         "decode": "read and decode in general, no more", "layouts": "read and decode by layouts, no more",
         "whole": "**the whole job, durable**", "absorb": "of it absorb", "seal": "of it seal"}


def whole_runs(path):
    """(events, bytes, {(name, threads): {round: (seconds, core seconds)}}, the largest number of threads)."""
    rows, runs = rows_of(path), {}
    for row in rows:
        runs.setdefault((row["name"], int(row["threads"])), {})[row["round"]] = (float(row["seconds"]),
                                                                                float(row["core_seconds"]))
    return float(rows[0]["events"]), float(rows[0]["bytes"]), runs, max(threads for _, threads in runs)


def ranged(values, digits=2):
    return "{:.{d}f} ({:.{d}f} to {:.{d}f})".format(*measure.spread(values), d=digits)


def whole_words(path):
    events, size, runs, threads = whole_runs(path)
    of = {name: {turn: seconds for turn, (seconds, _) in runs[name, threads].items()} for name in WHOLE}
    lines = []
    for name, title in WHOLE.items():
        middle = measure.spread(list(of[name].values()))[0]
        lines.append([title, ranged(list(of[name].values())), measure.si(events / middle),
                      f"{size / middle / 1e6:,.0f}"])
    ratios = {name: ranged([of[name][turn] / of["whole"][turn] for turn in of["whole"]])
              for name in ("simdjson", "layouts")}
    return (f"{machine()} {events:,.0f} events, {size / 1e9:.2f} GB of NDJSON; medians of {len(of['whole'])} "
            "alternating runs, the range behind them.\n\n" + measure.table(["", "seconds", "events/s", "MB/s"], lines)
            + f"\n\nThe whole job runs at {ratios['simdjson']} of the rate of simdjson alone, "
            f"and at {ratios['layouts']} of that of decoding by layouts.")


def scaling_words(path):
    """One thread and all of them in the same turns: how many times as fast, and which cores were busy."""
    events, _, runs, threads = whole_runs(path)
    lines = []
    for name, title in WHOLE.items():
        one, all_of_them = runs.get((name, 1)), runs[name, threads]
        if one is None:
            continue
        rates = [measure.si(events / measure.spread([seconds for seconds, _ in turns.values()])[0])
                 for turns in (one, all_of_them)]
        times = ranged([one[turn][0] / all_of_them[turn][0] for turn in all_of_them])
        core = [f"{measure.spread([core for _, core in turns.values()])[0] * 1e9 / events:.0f}"
                for turns in (one, all_of_them)]
        busy = [f"{measure.spread([core / seconds for seconds, core in turns.values()])[0]:.2f}"
                for turns in (one, all_of_them)]
        lines.append([title, *rates, times, *core, *busy])
    return (f"{machine()} {events:,.0f} events; medians of {len(runs['whole', threads])} turns, each with 1 thread and with "
            f"{threads}, the range behind them.\n\n"
            + measure.table(["", "events/s by 1", f"by {threads}", "times as fast", "core ns an event by 1",
                             f"by {threads}", "cores at work by 1", f"by {threads}"], lines))


def parts_runs(path):
    """ns an item, by part: of parts.json, and of parts-rating.json beside it. Rating is measured by a process of its own,
    since what others leave of the heap can make it twice as dear."""
    runs = {}
    reports = [json.loads(file.read_text(encoding="utf-8"))["benchmarks"]
               for file in (path, path.with_name("parts-rating.json")) if file.exists()]
    for entry in itertools.chain(*reports):
        if "items_per_second" not in entry or entry.get("run_type") == "aggregate":
            continue
        part = entry["name"].split("/")[0] + "/" + entry["label"] if entry.get("label") else entry["name"]
        runs.setdefault(part.partition("/repeats:")[0], []).append(1e9 / entry["items_per_second"])
    return runs


def parts_words(path):
    runs = parts_runs(path)
    rows = [[f"`{part}`", f"{statistics.median(of):.0f}" + (f" ({min(of):.0f} to {max(of):.0f})" if len(of) > 1 else "")]
            for part, of in runs.items()]
    most = max(map(len, runs.values()))
    said = "one run" if most == 1 else f"medians of {most} runs, the range behind them"
    return machine() + f" One core each, {said}.\n\n" + measure.table(["part", "ns an item"], rows)


COMMIT = "Commit/400000/process_time/real_time"


def ceilings_words(path):
    """What the parts allow at most, by threads: reading is one thread's at a time, committing one thread's beside."""
    runs = parts_runs(path)
    read, decode, probe, total, commit = (statistics.median(runs[part]) for part in (
        "Read", "DecodeAndMeasure", "DedupProbe/10", "Accumulate", COMMIT))
    rows = []
    for threads in (1, 2, 4, 8, 16):
        decoded = max(read, (read + decode) / threads)
        both = decoded + (probe + total) / threads
        least = max(both, commit)
        limit = "committing" if commit > both else "reading" if decoded == read else "all threads"
        rows.append([threads, f"{decoded:.0f}", f"{(probe + total) / threads:.0f}", f"{commit:.0f}", f"{least:.0f}",
                     f"{1e3 / least:.1f} M", limit])
    return measure.table(["threads", "read and decode", "dedup and totals", "commit, beside", "ns an event, at least",
                          "events/s, at most", "what limits"], rows)


TRICKS = ["trick", "file", "item", "items", "instructions", "plain_instructions"]


def instructions(row):
    """(of the trick, of its plain twin), an item."""
    return [float(row[way]) / float(row["items"]) for way in ("instructions", "plain_instructions")]


def tricks_words(path):
    """Instructions of each trick and of its plain twin; they are the same on each machine of the same instruction set."""
    lines = []
    for row in rows_of(path):
        fast, plain = instructions(row)
        lines.append([f"`{row['trick']}`", f"`{row['file']}`", row["item"], f"{fast:.0f}", f"{plain:.0f}",
                      f"{plain / fast:.1f}"])
    return measure.table(["trick", "in", "an item", "instructions", "of the plain twin", "times as many"], lines)


def profile_words(path):
    """Where the processor time of a run goes, of all threads, in nanoseconds an event."""
    rows = rows_of(path)
    each = {row["subject"]: int(row["samples"]) * 1e9 / int(row["frequency"]) / int(row["events"]) for row in rows}
    lines = [[subject, f"{nanoseconds:.0f}"] for subject, nanoseconds in each.items()]
    lines.append(["**in all**", f"**{sum(each.values()):.0f}**"])
    return (f"{machine()} {int(rows[0]['events']):,} events, a sample each {1e6 / int(rows[0]['frequency']):,.0f} µs of "
            f"processor time.\n\n" + measure.table(["", "ns an event"], lines))


# What stands between the markers of a name: from which file, its words, and its picture or none.
FIGURES = {"peers": ("peers.csv", peers_page, charts.draw_peers), "goal": ("peers.csv", goal_words, None),
           "growth": ("growth.csv", growth_words, charts.draw_growth),
           "whole": ("whole.csv", whole_words, None), "scaling": ("whole.csv", scaling_words, None),
           "parts": ("parts.json", parts_words, None), "ceilings": ("parts.json", ceilings_words, None),
           "tricks": ("tricks.csv", tricks_words, None),
           "profile": ("profile.csv", profile_words, None),
           "peers-csv": ("peers-csv.csv", csv_words, None)}


def main():
    measured = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    page = DOCS / "performance.md"
    text = page.read_text(encoding="utf-8")
    for name, (file, words, draw) in FIGURES.items():
        path = measured / file
        if not path.exists():
            print(f"{path} is not there: the figures of {name} stay as they are")
            continue
        text = fill(text, name, words(path))
        if draw:
            draw(rows_of(path), DOCS / f"performance-{name}.svg")
        if path.resolve() != (MEASURED / file).resolve():
            MEASURED.mkdir(exist_ok=True)
            for measured_too in [path, *path.parent.glob(f"{path.stem}-rating.json")]:
                shutil.copyfile(measured_too, MEASURED / measured_too.name)
        print(f"{name}: docs/performance.md" + (f", docs/performance-{name}.svg" if draw else ""))
    page.write_text(text, encoding="utf-8")
    if (measured / "peers.csv").exists():
        readme = HERE.parent / "README.md"
        readme.write_text(fill(readme.read_text(encoding="utf-8"), "rate", rate_words(measured / "peers.csv")),
                          encoding="utf-8")


if __name__ == "__main__":
    main()
