"""The pictures say what the CSV says; the flame graph counts each sample once."""

import csv
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree as xml

import charts
import figures
import flame

SVG = "{http://www.w3.org/2000/svg}"


def texts(path):
    return [text.text for text in xml.parse(path).iter(SVG + "text")]


class Drawings(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.svg = pathlib.Path(scratch.name) / "picture.svg"

    def test_a_bar_for_each_contestant_the_fastest_first(self):
        row = {"events": "1000000", "peak_bytes": "500000000"}
        runs = (("slow & steady", "4"), ("tollbook", "1"), ("tollbook", "2"), ("tollbook", "0.5"))
        charts.draw_peers([{**row, "name": name, "seconds": seconds} for name, seconds in runs], self.svg)
        found = texts(self.svg)
        self.assertLess(found.index("tollbook"), found.index("slow & steady"))
        self.assertIn("1 M/s  ·  0.50 GB", found)  # the median
        self.assertIn("250 k/s  ·  0.50 GB", found)

    def test_a_panel_for_each_series(self):
        charts.draw_growth([{"series": "files", "label": label, "core_ns_per_event": nanoseconds, "peak_bytes": "1e9"}
                            for label, nanoseconds in (("1", "300"), ("100", "330"))], self.svg)
        found = texts(self.svg)
        for words in ("files", "1", "100", "300", "330", "1.00 GB"):
            self.assertIn(words, found)

    def test_flame_graph(self):
        # As perf script prints: a header, frames from the innermost out, an empty line.
        script = ("tollbook 7 1.0: 1 cpu-clock:\n\t  55d0 Hash(int)+0x5 (/a/tollbook)\n"
                  "\t  55d1 Absorb<int>(Book&) (/a/tollbook)\n\n"
                  "tollbook 7 1.1: 1 cpu-clock:\n\t  55d1 Absorb<int>(Book&)+0x9 (/a/tollbook)\n")
        root = flame.read(script.split("\n"))
        self.assertEqual(root.samples, 2)
        self.assertEqual(list(root.below), ["Absorb"])
        self.assertEqual(root.below["Absorb"].samples, 2)
        self.assertEqual(root.below["Absorb"].below["Hash"].samples, 1)
        self.svg.write_text("\n".join(flame.draw(root, "a < b")), encoding="utf-8")
        self.assertIn("Hash: 50.0%", [title.text for title in xml.parse(self.svg).iter(SVG + "title")])

    def test_figures_between_markers_are_replaced(self):
        text = "before\n<!-- growth: begin -->\nold\n<!-- growth: end -->\nafter\n"
        self.assertEqual(figures.fill(text, "growth", "new"),
                         "before\n<!-- growth: begin -->\nnew\n<!-- growth: end -->\nafter\n")
        self.assertEqual(figures.between(text, "growth"), "old\n")
        with self.assertRaises(SystemExit):
            figures.fill(text, "peers", "new")

    @staticmethod
    def differences(measured, page):
        """Of the measured files that are kept, those that the page does not say; the machine's line is its own."""
        different = []
        for file, (words, _) in figures.FIGURES.items():
            if not (measured / file).exists():
                continue
            says = figures.between(page, pathlib.Path(file).stem)
            drawn = words(measured / file).rstrip("\n") + "\n"
            machine = figures.machine()
            at = drawn.index(machine)
            if not says.startswith(drawn[:at]) or not says.endswith(drawn[at + len(machine):]):
                different.append(file)
        return different

    def test_what_is_published_is_what_was_measured(self):
        page = (figures.DOCS / "performance.md").read_text(encoding="utf-8")
        self.assertEqual(self.differences(figures.MEASURED, page), [])

    def test_a_figure_that_was_changed_by_hand_is_found(self):
        measured = self.svg.parent
        with open(measured / "whole.csv", "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, ["name", "round", "seconds", "events", "bytes"], lineterminator="\n")
            out.writeheader()
            for turn, seconds in enumerate((1.0, 1.2, 1.1)):
                out.writerows({"name": name, "round": turn, "seconds": seconds * scale, "events": 1000, "bytes": 200_000}
                              for scale, name in enumerate(figures.WHOLE, 1))
        words = figures.whole_words(measured / "whole.csv")
        published = figures.fill("<!-- whole: begin -->\n<!-- whole: end -->\n", "whole", words)
        self.assertEqual(self.differences(measured, published), [])
        elsewhere = published.replace(figures.machine(), "1 May 2025, 16 cores.")
        self.assertEqual(self.differences(measured, elsewhere), [], "another machine draws the same")
        self.assertEqual(self.differences(measured, published.replace("1.10", "1.00")), ["whole.csv"])


if __name__ == "__main__":
    unittest.main()
