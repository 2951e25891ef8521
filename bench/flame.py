"""Draws a flame graph: perf script | flame.py TITLE > picture.svg

A box is a function, as wide as its share of the samples, upon the function that called it. Point at one to read its
name and share. Not more than that: `perf report` is for the rest.
"""

import re
import sys
from xml.sax.saxutils import escape

WIDTH, ROW, LEAST_SHARE = 1200, 17, 0.0008
# One stack: a header line that is not indented, then one indented line for each frame, innermost first.
FRAME = re.compile(r"^\s+[0-9a-f]+ (.*) \([^()]*\)$")


class Node:
    def __init__(self):
        self.samples, self.below = 0, {}


def short(name):
    """A function's name without its address in it, its template arguments and its parameters."""
    name = re.sub(r"\+0x[0-9a-f]+$", "", name)
    depth, kept = 0, []
    for character in name.replace("operator<", "operator ").replace("(anonymous namespace)::", ""):
        depth += character in "<("
        if depth == 0:
            kept.append(character)
        depth -= character in ">)"
    return "".join(kept) or name


def read(lines):
    """The tree of callers to callees, with samples."""
    root, stack = Node(), []
    for line in [*lines, ""]:
        frame = FRAME.match(line)
        if frame:
            stack.append(short(frame[1]))
        elif stack and not line.strip():
            at = root
            at.samples += 1
            for name in reversed(stack):
                at = at.below.setdefault(name, Node())
                at.samples += 1
            stack = []
    return root


def depth_of(node):
    return 1 + max((depth_of(child) for child in node.below.values()), default=0)


def boxes(node, name, left, level, total):
    """(name, left, level, samples) of a node and all below it that is wide enough to see."""
    if node.samples < total * LEAST_SHARE:
        return
    yield name, left, level, node.samples
    for child, below in sorted(node.below.items()):
        yield from boxes(below, child, left, level + 1, total)
        left += below.samples


def colour(name):
    """Ours warm, the kernel's and the libraries' cool; the same function always the same."""
    hue = 28 if name.startswith("tollbook") else 205
    return f"hsl({hue + sum(map(ord, name)) % 25}, 65%, 72%)"


def draw(root, title):
    levels = depth_of(root)
    height = levels * ROW + 40
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">'
           "<style>text{font:11px monospace;fill:#111}rect{stroke:#fff;stroke-width:.5}</style>"
           f'<rect width="{WIDTH}" height="{height}" fill="#fff"/><text x="8" y="18">{escape(title)}: '
           f'{root.samples:,} samples</text>')
    for name, left, level, samples in boxes(root, "all", 0, 0, root.samples):
        x, width = left / root.samples * WIDTH, samples / root.samples * WIDTH
        y = height - (level + 1) * ROW - 4
        room = int((width - 6) / 6.7)
        label = name if len(name) <= room else name[: room - 1] + "…" if room > 3 else ""
        yield (f'<g><title>{escape(name)}: {samples / root.samples:.1%}</title><rect x="{x:.1f}" y="{y}" '
               f'width="{width:.1f}" height="{ROW - 1}" fill="{colour(name)}"/><text x="{x + 3:.1f}" y="{y + 12}">'
               f"{escape(label)}</text></g>")
    yield "</svg>"


def main():
    sys.setrecursionlimit(10_000)
    root = read(line.rstrip("\n") for line in sys.stdin)
    if root.samples == 0:
        raise SystemExit("flame.py: no samples came from perf script: was the run too short, or perf not allowed?")
    print("\n".join(draw(root, sys.argv[1] if len(sys.argv) > 1 else "profile")))


if __name__ == "__main__":
    main()
