"""Pictures of measured figures: charts.py peers CSV SVG, charts.py growth CSV SVG.

Draws what the CSV says and nothing else. The colours come from the picture's own style sheet, which follows the
reader's light or dark setting, so that a page of either kind can show it.
"""

import csv
import math
import statistics
import sys
from xml.sax.saxutils import escape

STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 11px; fill: #59636e; }
  .title { font-size: 15px; font-weight: 600; }
  .axis { stroke: #d1d9e0; stroke-width: 1; }
  .bar { fill: #8c959f; } .ours { fill: #0969da; } .floor { fill: #bf8700; }
  .line { fill: none; stroke: #0969da; stroke-width: 2; } .dot { fill: #0969da; }
  .range { stroke: #1f2328; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .axis { stroke: #3d444d; } .range { stroke: #e6edf3; }
    .bar { fill: #656c76; } .ours { fill: #4493f8; } .floor { fill: #d29922; }
    .line { stroke: #4493f8; } .dot { fill: #4493f8; }
  }
"""


class Picture:
    def __init__(self, width, height, title):
        self.width, self.height, self.parts = width, height, []
        self.title = title
        self.text(12, 24, title, "title")

    def text(self, x, y, words, kind="", anchor="start"):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>')

    def bar(self, x, y, width, height, kind):
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{height}" rx="2" '
                          f'class="{kind}"/>')

    def line(self, points, kind):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline points="{path}" class="{kind}" fill="none"/>')

    def dot(self, x, y):
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" class="dot"/>')

    def write(self, path):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
                       f'aria-label="{escape(self.title)}">\n<style>{STYLE}</style>\n')
            file.write("\n".join(self.parts) + "\n</svg>\n")


def short(number):
    for unit, size in ((" G", 1e9), (" M", 1e6), (" k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def draw_peers(rows, path):
    """A bar for each contestant, fastest first: the median rate, its range, the peak memory."""
    rates, peaks = {}, {}
    for row in rows:
        rates.setdefault(row["name"], []).append(float(row["events"]) / float(row["seconds"]))
        peaks[row["name"]] = max(peaks.get(row["name"], 0), float(row["peak_bytes"]))
    order = sorted(rates, key=lambda name: -statistics.median(rates[name]))
    events = short(float(rows[0]["events"]))
    picture = Picture(760, 64 + 34 * len(order), f"{events} usage events to a balanced journal: events a second")
    picture.text(12, 42, "median of the runs, the line their range; simdjson only reads six fields and does none of "
                 "the rest", "small")
    left, room = 196, 370
    most = max(max(values) for values in rates.values())
    for number, name in enumerate(order):
        y = 58 + 34 * number
        middle, least, largest = statistics.median(rates[name]), min(rates[name]), max(rates[name])
        kind = "ours" if name == "tollbook" else "floor" if name.startswith("simdjson") else "bar"
        picture.text(left - 10, y + 16, name, anchor="end")
        picture.bar(left, y, middle / most * room, 22, kind)
        picture.line([(left + least / most * room, y + 11), (left + largest / most * room, y + 11)], "range")
        picture.text(left + largest / most * room + 10, y + 16,
                     f"{short(middle)}/s  ·  {peaks[name] / 1e9:.2f} GB")
    picture.write(path)


PANEL_WIDTH, PANEL_HEIGHT = 370, 190


def draw_panel(picture, at, title, points):
    """Nanoseconds of a core for an event over what grows; the x axis has a step for each measured value."""
    left, top = at
    width, height = PANEL_WIDTH - 74, PANEL_HEIGHT - 74
    most = max(value for _, value, _ in points)
    step = 10 ** math.floor(math.log10(most))
    top_value = math.ceil(most / step) * step
    picture.text(left + 44, top + 14, title)
    for share in (0, 0.5, 1):
        y = top + 26 + height * (1 - share)
        picture.line([(left + 44, y), (left + 44 + width, y)], "axis")
        picture.text(left + 40, y + 4, short(top_value * share) if share else "0", "small", "end")
    # The first and the last point stand clear of the axis' own words.
    gap = (width - 60) / max(len(points) - 1, 1)
    where = [(left + 44 + 30 + gap * i, top + 26 + height * (1 - value / top_value)) for i, (_, value, _) in
             enumerate(points)]
    picture.line(where, "line")
    for (label, value, memory), (x, y) in zip(points, where):
        picture.dot(x, y)
        picture.text(x, y - 7, short(value), "small", "middle")
        picture.text(x, top + height + 41, label, "small", "middle")
        picture.text(x, top + height + 54, f"{memory / 1e9:.2f} GB", "small", "middle")


def draw_growth(rows, path):
    """A panel for each series of the sweep."""
    series = {}
    for row in rows:
        series.setdefault(row["series"], []).append(
            (row["label"], float(row["core_ns_per_event"]), float(row["peak_bytes"])))
    lines = math.ceil(len(series) / 2)
    picture = Picture(2 * PANEL_WIDTH + 20, 56 + PANEL_HEIGHT * lines,
                      "Nanoseconds of a core for one event, as things grow")
    picture.text(12, 42, "under each point: what was given, and the peak memory of the run", "small")
    for number, (title, points) in enumerate(series.items()):
        draw_panel(picture, (PANEL_WIDTH * (number % 2), 56 + PANEL_HEIGHT * (number // 2)), title, points)
    picture.write(path)


def main():
    drawings = {"peers": draw_peers, "growth": draw_growth}
    if len(sys.argv) != 4 or sys.argv[1] not in drawings:
        raise SystemExit(__doc__)
    rows = read(sys.argv[2])
    if not rows:
        raise SystemExit(f"{sys.argv[2]} has no figures: measure first")
    drawings[sys.argv[1]](rows, sys.argv[3])


if __name__ == "__main__":
    main()
