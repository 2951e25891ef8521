"""Puts measured figures into docs/performance.md and README.md, and draws the pictures: figures.py [DIRECTORY]

Reads whole.csv, parts.json with parts-rating.json, peers.csv, peers-csv.csv and growth.csv of the directory
(build/bench), those that are there, and replaces what stands between the markers `<!-- NAME: begin -->` and
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


def growth_words(path):
    picture = "![nanoseconds of a core for one event, as things grow](performance-growth.svg)"
    return f"{picture}\n\n{machine()}\n\n" + growth.table(rows_of(path))


WHOLE = {"simdjson": "simdjson alone, six fields", "decode": "read and decode in general, no more",
         "layouts": "read and decode by layouts, no more", "whole": "**the whole job, durable**", "absorb": "of it absorb", "seal": "of it seal"}


def whole_words(path):
    rows = rows_of(path)
    of = {name: {row["round"]: float(row["seconds"]) for row in rows if row["name"] == name} for name in WHOLE}
    events, size = float(rows[0]["events"]), float(rows[0]["bytes"])
    lines = []
    for name, title in WHOLE.items():
        middle, least, most = measure.spread(list(of[name].values()))
        lines.append([title, f"{middle:.2f} ({least:.2f} to {most:.2f})", measure.si(events / middle),
                      f"{size / middle / 1e6:,.0f}"])
    ratios = {name: measure.spread([of[name][turn] / of["whole"][turn] for turn in of["whole"]])
              for name in ("simdjson", "decode", "layouts")}
    return (f"{machine()} {events:,.0f} events, {size / 1e9:.2f} GB of NDJSON; medians of {len(of['whole'])} "
            "alternating runs, the range behind them.\n\n" + measure.table(["", "seconds", "events/s", "MB/s"], lines)
            + "\n\nThe whole job runs at {:.2f} ({:.2f} to {:.2f}) of the rate of simdjson alone, "
            "and at {:.2f} ({:.2f} to {:.2f}) of that of decoding by layouts.".format(
                *ratios["simdjson"], *ratios["layouts"]))


def parts_words(path):
    """Of parts.json, and of parts-rating.json beside it: rating is measured by a process of its own, since what others
    leave of the heap can make it twice as dear."""
    runs = {}  # ns an item, by part
    reports = [json.loads(file.read_text(encoding="utf-8"))["benchmarks"]
               for file in (path, path.with_name("parts-rating.json")) if file.exists()]
    for entry in itertools.chain(*reports):
        if "items_per_second" not in entry or entry.get("run_type") == "aggregate":
            continue
        part = entry["name"].split("/")[0] + "/" + entry["label"] if entry.get("label") else entry["name"]
        runs.setdefault(part.partition("/repeats:")[0], []).append(1e9 / entry["items_per_second"])
    rows = [[f"`{part}`", f"{statistics.median(of):.0f}" + (f" ({min(of):.0f} to {max(of):.0f})" if len(of) > 1 else "")]
            for part, of in runs.items()]
    most = max(map(len, runs.values()))
    said = "one run" if most == 1 else f"medians of {most} runs, the range behind them"
    return machine() + f" One core each, {said}.\n\n" + measure.table(["part", "ns an item"], rows)


# What each file gives: its words, and its picture or none.
FIGURES = {"peers.csv": (peers_page, charts.draw_peers), "growth.csv": (growth_words, charts.draw_growth),
           "whole.csv": (whole_words, None), "parts.json": (parts_words, None), "peers-csv.csv": (csv_words, None)}


def main():
    measured = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/bench")
    page = DOCS / "performance.md"
    text = page.read_text(encoding="utf-8")
    for file, (words, draw) in FIGURES.items():
        name, path = pathlib.Path(file).stem, measured / file
        if not path.exists():
            print(f"{path} is not there: its figures stay as they are")
            continue
        text = fill(text, name, words(path))
        if draw:
            draw(rows_of(path), DOCS / f"performance-{name}.svg")
        if path.resolve() != (MEASURED / file).resolve():
            MEASURED.mkdir(exist_ok=True)
            for measured_too in [path, *path.parent.glob(f"{name}-rating.json")]:
                shutil.copyfile(measured_too, MEASURED / measured_too.name)
        print(f"{name}: docs/performance.md" + (f", docs/performance-{name}.svg" if draw else ""))
    page.write_text(text, encoding="utf-8")
    if (measured / "peers.csv").exists():
        readme = HERE.parent / "README.md"
        readme.write_text(fill(readme.read_text(encoding="utf-8"), "rate", rate_words(measured / "peers.csv")),
                          encoding="utf-8")


if __name__ == "__main__":
    main()
