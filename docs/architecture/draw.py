"""Draws the pictures of docs/architecture.md: rooms from the import contracts and folders, the rest from facts.py.

`python docs/architecture/draw.py` writes them, `--check` says whether they are what it would write.
"""

import ast
import sys
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path

from facts import CLIENTS, STEPS, THREADS, Client, Step, Thread

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
# Legible without zooming where a page is 1,280 pixels wide.
WIDTH = 960
PAD = 14
# Of DejaVu Sans, the widest of the usual fonts, so that what fits here fits everywhere.
SANS_EM, BOLD_EM, MONO_EM = 0.57, 0.64, 0.61

_STYLE = """
text { font-family: -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; fill: #1f2328 }
.mono { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }
.bold { font-weight: 600 }
.soft { fill: #59636e }
.page { fill: #ffffff; stroke: #d1d9e0 }
.card { fill: #f6f8fa; stroke: #d1d9e0 }
.deep { fill: #ffffff; stroke: #d1d9e0 }
.chip { fill: #ddf4ff; stroke: #54aeff66 }
.line { fill: none; stroke: #818b98; stroke-width: 1.5 }
.tip { fill: #818b98 }
.stop { fill: #d1242f }
.band { fill: #ffebe9; stroke: #ff818266 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.soft { fill: #9198a1 }
.page { fill: #0d1117; stroke: #3d444d }
.card { fill: #151b23; stroke: #3d444d }
.deep { fill: #0d1117; stroke: #3d444d }
.chip { fill: #121d2f; stroke: #1f6feb }
.stop { fill: #ff7b72 }
.band { fill: #25171c; stroke: #792e2e }
}
"""
# Each kind of client has its own, on light and on dark.
_COLOURS = ("#0969da", "#6e7781", "#1a7f37", "#8250df", "#bc4c00", "#cf222e", "#9a6700", "#0f7b83", "#bf3989")
_COLOUR = {client.name: colour for client, colour in zip(CLIENTS, _COLOURS, strict=False)}


# Shapes: each returns a line of SVG.


def text(x: float, y: float, words: str, size: float = 13, style: str = "", anchor: str = "start") -> str:
    """Return one line of text with its baseline at `y`."""
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" class="{style}" text-anchor="{anchor}">'
        f"{escape(words, quote=False)}</text>"
    )


def box(x: float, y: float, width: float, height: float, style: str, more: str = "") -> str:
    """Return a box with round corners."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" class="{style}"{more}/>'


def arrow_down(x: float, top: float, bottom: float) -> str:
    """Return an arrow that ends at `bottom`."""
    return (
        f'<path d="M{x:g} {top:g}V{bottom - 6:g}" class="line"/>'
        f'<path d="M{x - 5:g} {bottom - 7:g}h10l-5 7z" class="tip"/>'
    )


def pill(x: float, y: float, words: str, colour: str) -> str:
    """Return a name on its colour, `x` and `y` being its upper left."""
    width = width_of(words, 12, BOLD_EM) + 16
    return (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="20" rx="10" fill="{colour}"/>'
        f'<text x="{x + width / 2:g}" y="{y + 14:g}" font-size="12" class="bold" text-anchor="middle" '
        f'style="fill:#ffffff">{escape(words, quote=False)}</text>'
    )


def width_of(words: str, size: float, em: float = SANS_EM) -> float:
    """Return at least the width of `words` in pixels."""
    return len(words) * size * em


def wrapped(words: str, width: float, size: float) -> list[str]:
    """Return `words` in lines that fit into `width`."""
    lines: list[str] = []
    for word in words.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def picture(title: str, height: float, shapes: Iterable[str]) -> str:
    """Return the whole file; `title` is what a screen reader says."""
    size = f'width="{WIDTH}" height="{height:g}" viewBox="0 0 {WIDTH} {height:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            box(0.5, 0.5, WIDTH - 1, height - 1, "page"),
            *shapes,
            "</svg>",
            "",
        ]
    )


# The rooms, from the import contracts and the folders.


@dataclass(frozen=True, slots=True)
class Room:
    """A package: what its docstring says, the folders in it, and the layers in which those may import."""

    name: str
    text: str
    folders: tuple[str, ...]
    layers: tuple[tuple["Room", ...], ...] = ()


def layers_of(contract: str) -> list[list[str]]:
    """Return the layers of one of pyproject.toml's import contracts, the uppermost first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = (each["layers"] for each in settings["contracts"] if each["id"] == contract)
    return [[name.strip() for name in layer.split("|")] for layer in layers]


def room(path: Path, layers: Sequence[Sequence[str]] = ()) -> Room:
    """Return the room in `path`."""
    source = (path / "__init__.py").read_text("utf-8")
    said = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0].replace("`", "")
    inner = tuple(tuple(room(path / name) for name in layer) for layer in layers)
    return Room(path.name, said, tuple(folders_in(path)), inner)


def folders_in(path: Path) -> Iterable[str]:
    """Return the names of the folders below `path`, however deep, that hold files of ours."""
    for each in sorted(path.iterdir()):
        if each.name != "__pycache__" and any(each.glob("[!.]*.*")):
            yield each.name
            yield from (f"{each.name}/{name}" for name in folders_in(each))


_TITLE, _LINE, _CHIP, _GAP = 22, 16, 28, 20


def room_height(each: Room, width: float) -> float:
    """Return the height that the room needs at this width."""
    inner = width - 2 * PAD
    height = PAD + _TITLE + _LINE * len(wrapped(each.text, inner, 12)) + 6
    if each.layers:
        return (
            height
            + sum(layer_height(layer, inner) for layer in each.layers)
            + _GAP * (len(each.layers) - 1)
            + PAD
        )
    return height + (_CHIP * len(chip_rows(each.folders, inner)) + 6 if each.folders else 0)


def layer_height(layer: Sequence[Room], width: float) -> float:
    """Return the height of rooms side by side."""
    return max(room_height(each, cell_width(layer, width)) for each in layer)


def cell_width(layer: Sequence[Room], width: float) -> float:
    """Return the width of each of several rooms side by side."""
    return (width - PAD * (len(layer) - 1)) / len(layer)


def chip_rows(names: Sequence[str], width: float) -> list[list[str]]:
    """Return the folders' names in rows that fit into `width`."""
    rows: list[list[str]] = [[]]
    for name in names:
        if rows[-1] and sum(chip_width(each) + 6 for each in [*rows[-1], name]) > width:
            rows.append([])
        rows[-1].append(name)
    return rows


def chip_width(name: str) -> float:
    """Return the width of a folder's chip."""
    return width_of(f"{name}/", 12, MONO_EM) + 14


def draw_room(
    each: Room, x: float, y: float, width: float, height: float, style: str = "card"
) -> Iterable[str]:
    """Draw one room and what is in it."""
    yield box(x, y, width, height, style)
    yield text(x + PAD, y + PAD + 10, f"{each.name}/", 15, "mono bold")
    below = y + PAD + _TITLE
    for line in wrapped(each.text, width - 2 * PAD, 12):
        yield text(x + PAD, below + 9, line, 12, "soft")
        below += _LINE
    below += 6
    if each.layers:
        yield from draw_layers(each.layers, x + PAD, below, width - 2 * PAD, "deep")
        return
    for row in chip_rows(each.folders, width - 2 * PAD) if each.folders else ():
        left = x + PAD
        for name in row:
            yield f'<rect x="{left:g}" y="{below:g}" width="{chip_width(name):g}" height="22" rx="5" class="chip"/>'
            yield text(left + 7, below + 15, f"{name}/", 12, "mono")
            left += chip_width(name) + 6
        below += _CHIP


def draw_layers(
    layers: Sequence[Sequence[Room]], x: float, y: float, width: float, style: str
) -> Iterable[str]:
    """Draw rooms in layers, with an arrow from each layer to the next."""
    for number, layer in enumerate(layers):
        height, cell = layer_height(layer, width), cell_width(layer, width)
        if number:
            yield arrow_down(x + width / 2, y - _GAP + 3, y - 2)
        for place, each in enumerate(layer):
            yield from draw_room(each, x + place * (cell + PAD), y, cell, height, style)
        y += height + _GAP


def rooms() -> str:
    """Return the picture of the rooms."""
    inner = {"worker": layers_of("rooms")}
    layers = [[room(ROOT / name, inner.get(name, ())) for name in layer] for layer in layers_of("arrows")]
    width = WIDTH - 2 * PAD
    height = sum(layer_height(layer, width) for layer in layers) + _GAP * (len(layers) - 1)
    legend = "An arrow says who may import whom. Nothing points back, and rooms side by side do not know each other."
    return picture(
        "The five packages and the rooms of worker, in the order in which they may import each other",
        PAD + height + 32,
        [
            *draw_layers(layers, PAD, PAD, width, "card"),
            text(WIDTH / 2, PAD + height + 20, legend, 12, "soft", "middle"),
        ],
    )


# One worker process: its threads and what they speak through.

_HEAD = 58
_THREAD_X, _THREAD_WIDTH, _THREAD_HEIGHT = 64, 300, 56
_CLIENT_X, _CLIENT_WIDTH, _CLIENT_HEIGHT = 490, 330, 64
_SERVER_X = 862


def process() -> str:
    """Return the picture of a worker process."""
    bottom = _HEAD + max(len(THREADS) * (_THREAD_HEIGHT + PAD), len(CLIENTS) * (_CLIENT_HEIGHT + PAD)) - PAD
    thread_y = spread(len(THREADS), _THREAD_HEIGHT, bottom)
    client_y = spread(len(CLIENTS), _CLIENT_HEIGHT, bottom)
    clients = dict(zip((each.name for each in CLIENTS), client_y, strict=True))
    threads = dict(zip((each.name for each in THREADS), thread_y, strict=True))
    redis_y = [y for each, y in zip(CLIENTS, client_y, strict=True) if each.redis]
    shapes = [
        text(_THREAD_X, 34, "Threads", 15, "bold"),
        text(_CLIENT_X, 34, "Connections", 15, "bold"),
        *(line for each in THREADS for line in draw_uses(each, threads[each.name], clients)),
        *(
            line
            for each in THREADS
            if each.wakes
            for line in draw_wake(threads[each.name], threads[each.wakes])
        ),
        *(line for each in THREADS for line in draw_thread(each, threads[each.name])),
        *(line for each in CLIENTS for line in draw_client(each, clients[each.name])),
        box(
            _SERVER_X, redis_y[0], WIDTH - PAD - _SERVER_X, redis_y[-1] + _CLIENT_HEIGHT - redis_y[0], "card"
        ),
        text(
            (_SERVER_X + WIDTH - PAD) / 2,
            (redis_y[0] + redis_y[-1] + _CLIENT_HEIGHT) / 2,
            "Redis",
            15,
            "bold",
            "middle",
        ),
        text(
            PAD,
            bottom + 30,
            "On the left: who hands work or a halt to the job loop, whose tasks are the jobs.",
            12,
            "soft",
        ),
    ]
    return picture("The threads of a worker process and the clients they use", bottom + 46, shapes)


def spread(count: int, height: float, bottom: float) -> list[float]:
    """Return the tops of `count` boxes, evenly between the head and `bottom`."""
    gap = (bottom - _HEAD - count * height) / (count - 1)
    return [_HEAD + number * (height + gap) for number in range(count)]


def draw_thread(each: Thread, y: float) -> Iterable[str]:
    """Draw a thread."""
    dashes = ' stroke-dasharray="5 4"' if each.only_with else ""
    yield box(_THREAD_X, y, _THREAD_WIDTH, _THREAD_HEIGHT, "card", dashes)
    yield text(_THREAD_X + PAD, y + 23, each.name, 14, "mono bold")
    yield text(_THREAD_X + PAD, y + 43, each.text, 12, "soft")
    if aside := f"loop: {each.loop}" if each.loop else each.only_with and f"with {each.only_with}":
        right = _THREAD_X + _THREAD_WIDTH - PAD
        yield text(right, y + 22, aside, 12, "soft", "end")


def draw_client(each: Client, y: float) -> Iterable[str]:
    """Draw a kind of client and, for Redis, its connection."""
    dashes = "" if each.redis else ' stroke-dasharray="5 4"'
    if each.redis:
        middle = y + _CLIENT_HEIGHT / 2
        yield f'<path d="M{_CLIENT_X + _CLIENT_WIDTH} {middle:g}H{_SERVER_X}" class="line"/>'
    yield box(_CLIENT_X, y, _CLIENT_WIDTH, _CLIENT_HEIGHT, "card", dashes)
    yield f'<rect x="{_CLIENT_X}" y="{y + 8:g}" width="4" height="{_CLIENT_HEIGHT - 16}" rx="2" fill="{_COLOUR[each.name]}"/>'
    yield text(_CLIENT_X + PAD, y + 21, each.name, 14, "bold")
    for number, line in enumerate(wrapped(each.text, _CLIENT_WIDTH - 2 * PAD, 12)):
        yield text(_CLIENT_X + PAD, y + 38 + number * 16, line, 12, "soft")


def draw_uses(each: Thread, y: float, clients: dict[str, float]) -> Iterable[str]:
    """Draw the lines from a thread to its clients."""
    left, right = _THREAD_X + _THREAD_WIDTH, _CLIENT_X
    for name in each.uses:
        start, end = y + _THREAD_HEIGHT / 2, clients[name] + _CLIENT_HEIGHT / 2
        yield (
            f'<path d="M{left} {start:g}C{left + 60} {start:g} {right - 60} {end:g} {right} {end:g}" '
            f'fill="none" stroke-width="2" stroke="{_COLOUR[name]}"/>'
        )


def draw_wake(start: float, end: float) -> Iterable[str]:
    """Draw the arrow from one thread to the loop of another."""
    start += _THREAD_HEIGHT / 2
    end += _THREAD_HEIGHT / 2 + (-12 if start < end else 12)
    yield f'<path d="M{_THREAD_X} {start:g}H30V{end:g}H{_THREAD_X - 6}" class="line"/>'
    yield f'<path d="M{_THREAD_X - 7} {end - 5:g}v10l7 -5z" class="tip"/>'


# The life of one job.

_ROW = 50
_STEP_X, _EXCHANGE_X = 78, 560


def job() -> str:
    """Return the picture of the life of one job."""
    tops = [_HEAD + number * _ROW for number in range(len(STEPS))]
    within = [top for step, top in zip(STEPS, tops, strict=True) if step.cancellable]
    band_top, band_bottom = within[0] - 4, within[-1] + _ROW - 8
    middle = (band_top + band_bottom) / 2
    turned = f'transform="translate(27 {middle:g}) rotate(-90)" text-anchor="middle"'
    shapes = [
        text(_STEP_X, 34, "Life of a job that is generated", 15, "bold"),
        text(_EXCHANGE_X, 34, "Exchange, and the file to read", 15, "bold"),
        box(10, band_top, WIDTH - 20, band_bottom - band_top, "band"),
        f'<text {turned} font-size="12" class="stop">cancelled by the brake at any moment</text>',
        *(f'<path d="M54 {a + 27:g}V{b + 9:g}" class="line"/>' for a, b in pairwise(tops)),
        *(line for number, step in enumerate(STEPS, 1) for line in draw_step(number, step, tops[number - 1])),
    ]
    return picture("The life of one job, step by step", tops[-1] + _ROW + 6, shapes)


def draw_step(number: int, step: Step, y: float) -> Iterable[str]:
    """Draw one step."""
    yield f'<circle cx="54" cy="{y + 18:g}" r="12" class="deep"/>'
    yield text(54, y + 22, str(number), 12, "bold", "middle")
    otherwise = f'<tspan dx="8" class="stop">or {step.otherwise}</tspan>' if step.otherwise else ""
    yield (
        f'<text x="{_STEP_X}" y="{y + 15:g}" font-size="12">'
        f'<tspan font-size="14" class="bold">{escape(step.title)}</tspan>{otherwise}</text>'
    )
    yield text(_STEP_X, y + 33, step.text, 12, "soft")
    if step.client:
        yield pill(_EXCHANGE_X, y + 1, step.client, _COLOUR[step.client])
    if step.sends:
        left = _EXCHANGE_X + width_of(step.client, 12, BOLD_EM) + 26
        yield text(left, y + 15, step.sends, 12, "mono")
    yield text(_EXCHANGE_X, y + (35 if step.client else 24), step.place.partition(":")[0], 11.5, "mono soft")


def main() -> int:
    """Write the pictures, or with `--check` compare them; return 0 done, 1 different."""
    drawn = {"rooms.svg": rooms, "process.svg": process, "job.svg": job}
    check = sys.argv[1:] == ["--check"]
    differs = False
    for name, draw in drawn.items():
        path = FOLDER / name
        if not check:
            path.write_text(draw(), "utf-8")
        elif not path.exists() or path.read_text("utf-8") != draw():
            sys.stderr.write(f"{path} is not what docs/architecture/draw.py draws; run it without --check\n")
            differs = True
    return int(differs)


if __name__ == "__main__":
    sys.exit(main())
