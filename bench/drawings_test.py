"""The pictures say what the CSV says; the flame graph counts each sample once."""

import csv
import pathlib
import tempfile
import unittest
import xml.etree.ElementTree as xml

import charts
import figures
import flame
import subjects

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

    def test_each_sample_of_a_profile_has_one_subject(self):
        stacks = (["asm_exc_page_fault", "tollbook::SeenSet::Insert(tollbook::SeenEntry const&)",
                   "tbb::start_for<tollbook::Absorber::Deduplicate(Works&)::{lambda()#1}>::execute"],
                  ["tollbook::SeenSet::Insert(tollbook::SeenEntry const&)",
                   "tbb::start_for<tollbook::Absorber::Deduplicate(std::vector<BlockWork>&)::{lambda()#1}>::execute"],
                  ["tollbook::LayoutTree::Match(char const*)", "tollbook::BlockDecoder::Decode(tollbook::Decoder&)"],
                  ["tollbook::Measurer::MeasureSlots(Slots const&)", "tollbook::BlockDecoder::Decode(tollbook::Decoder&)"],
                  ["std::vector<tollbook::SealReport>::push_back", "main"])
        lines = []
        for stack in stacks:
            lines += ["tollbook 7 1.0: 1 cpu-clock:", *(f"\t  55d0 {frame} (/a/tollbook)" for frame in stack), ""]
        found = {subject.partition(":")[0]: samples for subject, samples in subjects.count(lines).items() if samples}
        self.assertEqual(found, {"fresh pages": 1, "dedup": 1, "decode": 1, "hash": 1, "else": 1})

    def test_figures_between_markers_are_replaced(self):
        text = "before\n<!-- growth: begin -->\nold\n<!-- growth: end -->\nafter\n"
        self.assertEqual(figures.fill(text, "growth", "new"),
                         "before\n<!-- growth: begin -->\nnew\n<!-- growth: end -->\nafter\n")
        self.assertEqual(figures.between(text, "growth"), "old\n")
        with self.assertRaises(SystemExit):
            figures.fill(text, "peers", "new")

    @staticmethod
    def differences(measured, page):
        """What the page says otherwise than the measured files that are kept; the machine's line is its own."""
        different = []
        for name, (file, words, _) in figures.FIGURES.items():
            if not (measured / file).exists():
                continue
            says = figures.between(page, name)
            drawn = words(measured / file).rstrip("\n") + "\n"
            before, _, behind = drawn.partition(figures.machine())
            if not says.startswith(before) or not says.endswith(behind):
                different.append(name)
        return different

    def test_what_is_published_is_what_was_measured(self):
        page = (figures.DOCS / "performance.md").read_text(encoding="utf-8")
        self.assertEqual(self.differences(figures.MEASURED, page), [])

    def write_whole(self, turns=(1.0, 1.2, 1.1)):
        """Runs of the whole job, by two threads 1.6 times as fast as by one."""
        path = self.svg.parent / "whole.csv"
        with open(path, "w", newline="", encoding="utf-8") as file:
            out = csv.DictWriter(file, ["events", "bytes", "round", "name", "threads", "seconds", "core_seconds"],
                                 lineterminator="\n")
            out.writeheader()
            for turn, seconds in enumerate(turns):
                for scale, name in enumerate(figures.WHOLE, 1):
                    row = {"name": name, "round": turn, "events": 1000, "bytes": 200_000}
                    out.writerow({**row, "threads": 2, "seconds": seconds * scale, "core_seconds": seconds * scale * 1.8})
                    if name != "decode":
                        out.writerow({**row, "threads": 1, "seconds": seconds * scale * 1.6,
                                      "core_seconds": seconds * scale * 1.7})
        return path

    def test_a_figure_that_was_changed_by_hand_is_found(self):
        path = self.write_whole()
        measured, published = path.parent, ""
        for name, words in (("whole", figures.whole_words(path)), ("scaling", figures.scaling_words(path))):
            published += figures.fill(f"<!-- {name}: begin -->\n<!-- {name}: end -->\n", name, words)
        self.assertEqual(self.differences(measured, published), [])
        elsewhere = published.replace(figures.machine(), "1 May 2025, 16 cores.")
        self.assertEqual(self.differences(measured, elsewhere), [], "another machine draws the same")
        self.assertEqual(self.differences(measured, published.replace("| 1.10 (", "| 1.00 (")), ["whole"])
        self.assertEqual(self.differences(measured, published.replace("| 1.60 (", "| 1.90 (")), ["scaling"])

    def test_one_thread_and_two_are_compared_turn_by_turn(self):
        words = figures.scaling_words(self.write_whole())
        row = next(line for line in words.split("\n") if "the whole job" in line)
        # 1000 events, five times 1.1 seconds by two threads: 182 a second; 1.87 s of cores an event by the other.
        self.assertEqual(row.split(" | ")[1:], ["113.64", "181.82", "1.60 (1.60 to 1.60)", "9350000", "9900000", "1.06",
                                                "1.80 |"])
        self.assertNotIn("in general", words, "it ran with two threads only")

    def test_each_trick_says_its_figure_where_it_is(self):
        for row in figures.rows_of(figures.MEASURED / "tricks.csv"):
            text = (figures.HERE.parent / row["file"]).read_text(encoding="utf-8")
            fast, plain = (f"{each:.0f}" for each in figures.instructions(row))
            with self.subTest(row["trick"]):
                self.assertIn(f"`{row['trick']}` {fast} instructions {row['item']}, {plain} ",
                              " ".join(text.replace("//", "").split()))


if __name__ == "__main__":
    unittest.main()
