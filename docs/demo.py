"""`python docs/demo.py`: records a run of `slotgen demo` as docs/demo.svg, the picture of the README.

The picture is made of what the real process printed to a terminal of 80 by 24, block by block. A test
compares it with what the demo prints now.
"""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from html import escape
from itertools import accumulate, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

from rich.text import Text

from worker.cli.support.console import ContentConsole

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "demo.svg"
COLUMNS, ROWS = 80, 24
_BEGINS = re.compile(r"Act \d of|what you have seen")
_READ_SECONDS, _LAST_SECONDS = 3, 8
_CHARACTER, _LINE, _PAD = 8.4, 18, 14
# Of the terminal's numbers.
_COLOURS = {1: "#f85149", 2: "#3fb950", 3: "#d29922", 6: "#39c5cf"}
_FONTS = 'ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace'
_TITLE = "A run of make demo: shut, opened in the safe order, halted in the middle, opened again"
# What rich sends to a terminal beside text and colours: it takes back lines that it draws anew.
_CONTROL = re.compile(r"\x1b\[2K|\x1b\[1A|\x1b\[\?25[lh]|\r|\n|[^\x1b\r\n]+|\x1b\[[\d;]*m")


def run() -> str:
    """Return what the demo prints to such a terminal, its control sequences included."""
    inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    terminal = {"COLUMNS": str(COLUMNS), "LINES": str(ROWS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    command = [Path(sys.executable).parent / "slotgen", "demo"]
    done = subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=inherited | terminal, capture_output=True, check=True
    )
    # Not as text: that would take a carriage return for the end of a line.
    return done.stdout.decode()


def shown(output: str) -> list[str]:
    """Return the lines that stay on such a terminal, with their colours."""
    lines = [""]
    for part in _CONTROL.findall(output):
        match part:
            case "\n":
                lines.append("")
            case "\x1b[1A":
                lines.pop()
            case "\x1b[2K":
                lines[-1] = ""
            case _ if part != "\r" and not part.startswith("\x1b[?"):
                lines[-1] += part
    return ["$ make demo", *(line.rstrip() for line in lines)]


def drawn(lines: Sequence[str]) -> str:
    """Return the picture: the blocks appear one after the other, and the last screen stays."""
    plain = [Text.from_ansi(line).plain for line in lines]
    begins = [0, *(number for number, line in enumerate(plain) if _BEGINS.match(line)), len(lines)]
    # An empty line between two blocks belongs to the later one.
    begins[1:-1] = [each - 1 for each in begins[1:-1]]
    seconds = [1, *[_READ_SECONDS] * (len(begins) - 3), _LAST_SECONDS]
    starts = [0, *accumulate(seconds)]
    total = starts.pop()
    scrolls = [-_LINE * max(0, end - ROWS) for end in begins[1:]]
    width, height = COLUMNS * _CHARACTER + 2 * _PAD, ROWS * _LINE + 2 * _PAD
    at = [f"{100 * start / total:.2f}%" for start in starts]
    frames = [
        f"{when} {{ transform: translateY({scroll}px) }}" for when, scroll in zip(at, scrolls, strict=True)
    ]
    style = [
        f"text {{ font: 14px {_FONTS}; fill: #e6edf3; white-space: pre }}",
        f"#screen {{ transform: translateY({scrolls[-1]}px); animation: scroll {total}s step-end infinite }}",
        f"@keyframes scroll {{ {' '.join(frames)} }}",
    ]
    blocks = []
    for number, (first, end) in enumerate(pairwise(begins)):
        style += [
            f"#block{number} {{ animation: block{number} {total}s step-end infinite }}",
            f"@keyframes block{number} {{ 0% {{ opacity: 0 }} {at[number]} {{ opacity: 1 }} }}",
        ]
        texts = [_text(lines[each], _LINE * each) for each in range(first, end) if plain[each]]
        blocks += [f'<g id="block{number}">', *texts, "</g>"]
    style.append("@media (prefers-reduced-motion: reduce) { * { animation: none !important } }")
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" role="img">',
            f"<title>{_TITLE}</title>",
            "<style>",
            *style,
            "</style>",
            f'<rect width="{width:g}" height="{height}" rx="8" fill="#0d1117"/>',
            f'<svg x="{_PAD}" y="{_PAD}" width="{COLUMNS * _CHARACTER:g}" height="{ROWS * _LINE}">',
            '<g id="screen">',
            *blocks,
            "</g>",
            "</svg>",
            "</svg>\n",
        ]
    )


def _text(line: str, top: float) -> str:
    console = ContentConsole(color_system="truecolor", force_terminal=True)
    parts, column = [], 0
    for segment in Text.from_ansi(line).render(console):
        look, style = "", segment.style
        if style and style.color:
            look += f' fill="{_COLOURS[style.color.number or 0]}"'
        look += ' font-weight="600"' if style and style.bold else ""
        look += ' opacity=".6"' if style and style.dim else ""
        if words := segment.text.rstrip("\n"):
            parts.append(f'<tspan x="{column * _CHARACTER:g}"{look}>{escape(words, quote=False)}</tspan>')
        column += len(words)
    return f'<text y="{top + 13:g}">{"".join(parts)}</text>'


def recorded() -> list[str]:
    """Return the lines in the picture, without their colours."""
    texts = ET.parse(PICTURE).iter("{http://www.w3.org/2000/svg}text")  # noqa: S314 - our own file
    return ["".join(each.itertext()) for each in texts]


def lasting(lines: Sequence[str]) -> list[str]:
    """Return of `lines` what is the same in every run: no figures, and no outcomes of what a halt cut off."""
    texts = (Text.from_ansi(line).plain.rstrip() for line in lines)
    kept = (line for line in texts if line and not re.match(r"  (COMPLETED|STUB|FAILED) ", line))
    return [
        re.sub(r" +", " ", re.sub(r"\d+", "N", re.sub(r"\S*slotgen (dev|--help)", r"\1", each)))
        for each in kept
    ]


if __name__ == "__main__":
    PICTURE.write_text(drawn(shown(run())), "utf-8")
