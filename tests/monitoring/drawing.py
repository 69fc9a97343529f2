"""Draws a dashboard as Grafana would, from a Prometheus's answers: its layout, units, thresholds, colours."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

WIDTH = 1920
# Grafana's: a row of its grid, the gap between panels, the margin, and what is above the panels.
ROW, GAP, MARGIN, TOP = 38, 8, 16, 104
COLUMN = (WIDTH - 2 * MARGIN + GAP) / 24
TITLE, FOOT, LEGEND = 30, 22, 20
COLOURS = {"green": "#73bf69", "yellow": "#f2cc0c", "red": "#f2495c", "blue": "#5794f2"}
# On a whole panel, below white words.
FILLS = {"green": "#2f7d32", "yellow": "#a17a00", "red": "#c4162a", "blue": "#1f60c4"}
PALETTE = ("#73bf69", "#f2cc0c", "#8ab8ff", "#ff780a", "#f2495c", "#5794f2", "#b877d9", "#37872d", "#fade2a")
_SHADES = {
    "red": ("#f2495c", "#ff9aa5", "#a81c2f", "#ffc4cb", "#7a0f1e"),
    "yellow": ("#f2cc0c", "#fff0a3", "#a88b00", "#fade2a", "#6b5900"),
}
INK, DIM, PAPER, PANEL, LINE, GRID = "#e6e8ef", "#9fa3b5", "#111217", "#181b1f", "#2c3036", "#262a30"
FONTS = "Inter, Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Window:
    """The time that a picture shows, in epoch seconds."""

    start: float
    end: float


def digest(panel: Mapping[str, Any]) -> str:
    """Return what tells a panel from another version of it: a number, for letters might spell a word."""
    return str(int(hashlib.sha256(json.dumps(panel, sort_keys=True).encode()).hexdigest()[:12], 16))


def board_picture(
    board: Mapping[str, Any],
    data: Mapping[int, Sequence[tuple[str, Points]]],
    marks: Iterable[float],
    window: Window,
) -> str:
    """Return the picture; `data` has the series of each panel's id by their legends, `marks` are moments."""
    height = TOP + max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in board["panels"]) * ROW + GAP
    marks = tuple(marks)
    shapes = [_header(board["title"], window)]
    for panel in board["panels"]:
        series = data[panel["id"]]
        place = panel["gridPos"]
        x, y = MARGIN + place["x"] * COLUMN, TOP + place["y"] * ROW
        frame = _Frame(panel, place["w"] * COLUMN - GAP, place["h"] * ROW - GAP, series, marks, window)
        points = sum(len(each) for _, each in series)
        shapes.append(
            f'<g transform="translate({x:.1f} {y})" data-panel="{escape(panel["title"])}" '
            f'data-of="{digest(panel)}" data-points="{points}">{frame.drawn()}</g>'
        )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(board['title'])}</title>",
            f"<style>text {{ font-family: {FONTS} }}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="{PAPER}"/>',
            *shapes,
            "</svg>",
            "",
        ]
    )


def _header(title: str, window: Window) -> str:
    span = f"{_clock(window.start)} to {_clock(window.end)} UTC"
    return (
        _text(MARGIN + 4, 36, title, 22, INK, bold=True)
        + _text(MARGIN + 4, 78, "Fleet", 13)
        + _text(MARGIN + 46, 78, "All", 13, INK)
        + _text(MARGIN + 96, 78, "Worker", 13)
        + _text(MARGIN + 150, 78, "All", 13, INK)
        + _text(WIDTH - MARGIN, 36, span, 14, INK, anchor="end")
    )


@dataclass(frozen=True)
class _Frame:
    panel: Mapping[str, Any]
    width: float
    height: float
    series: Sequence[tuple[str, Points]]
    marks: Sequence[float]
    window: Window

    def drawn(self) -> str:
        kinds = {"stat": self._stat, "timeseries": self._graph, "state-timeline": self._timeline}
        return kinds[self.panel["type"]]()

    @property
    def _defaults(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.panel["fieldConfig"]["defaults"]
        return found

    def _box(self, fill: str = PANEL) -> str:
        return (
            f'<rect width="{self.width:.1f}" height="{self.height}" rx="2" fill="{fill}" stroke="{LINE}"/>'
            + _text(8, 20, self.panel["title"], 13, INK, bold=True)
        )

    def _stat(self) -> str:
        shown = [(name, self._words(points[-1][1] if points else math.nan)) for name, points in self.series]
        if not shown:
            shown = [("", ("No data", ""))]
        colour = shown[0][1][1]
        filled = self.panel["options"]["colorMode"] == "background"
        drawn, part = self._box(FILLS.get(colour, PANEL) if filled else PANEL), self.width / len(shown)
        for number, (name, (words, _)) in enumerate(shown):
            middle, room = (number + 0.5) * part, self.height - TITLE
            size = min(room * 0.6, 44, 1.5 * (part - 16) / max(4, len(words)))
            if name:
                size = min(size, room * 0.4)
                drawn += _text(middle, TITLE + room * 0.32, name, min(16, room * 0.3), INK, anchor="middle")
            baseline = TITLE + room * (0.82 if name else 0.5) + (0 if name else size * 0.32)
            drawn += _text(middle, baseline, words, size, "#ffffff", anchor="middle", bold=True)
        return drawn

    def _words(self, value: float) -> tuple[str, str]:
        """Return a value as the panel says it, and the name of its colour."""
        for mapping in self._defaults["mappings"]:
            options = mapping["options"]
            if mapping["type"] == "special" and math.isnan(value):
                return options["result"]["text"], options["result"]["color"]
            if mapping["type"] == "value" and f"{value:g}" in options:
                return options[f"{value:g}"]["text"], options[f"{value:g}"]["color"]
        colour = ""
        for step in self._defaults.get("thresholds", {}).get("steps", ()):
            if step["value"] is None or value >= step["value"]:
                colour = step["color"]
        return _amount(value, self._defaults["unit"], self.window.end), colour

    def _graph(self) -> str:
        series = sorted(self.series, key=lambda each: each[0])
        left, top, right = 56, TITLE + 6, self.width - 10
        bottom = self.height - FOOT - LEGEND
        most = max((value for _, points in series for _, value in points), default=0.0)
        steps = self._defaults.get("thresholds", {}).get("steps", ())[1:]
        ticks = _ticks(most or 1)
        most = ticks[-1]

        def x(at: float) -> float:
            return left + (at - self.window.start) / (self.window.end - self.window.start) * (right - left)

        def y(value: float) -> float:
            return bottom - value / most * (bottom - top)

        drawn = self._box()
        for tick in ticks:
            drawn += _rule(left, y(tick), right, y(tick), GRID)
            drawn += _text(left - 6, y(tick) + 4, _amount(tick, self._defaults["unit"]), 11, anchor="end")
        drawn += self._times(x, top, bottom)
        for step in steps:
            if step["value"] <= most:
                drawn += _rule(
                    left,
                    y(step["value"]),
                    right,
                    y(step["value"]),
                    COLOURS[step["color"]],
                    'stroke-dasharray="6 4"',
                )
        for at in self.marks:
            drawn += _rule(x(at), top, x(at), bottom, COLOURS["yellow"], 'stroke-dasharray="3 3"')
        colours = self._series_colours([name for name, _ in series])
        for name, points in series:
            for run in _runs(points):
                line = " ".join(f"{x(at):.1f},{y(value):.1f}" for at, value in run)
                under = f"{x(run[0][0]):.1f},{bottom} {line} {x(run[-1][0]):.1f},{bottom}"
                drawn += f'<polygon points="{under}" fill="{colours[name]}" opacity=".1"/>'
                drawn += (
                    f'<polyline points="{line}" fill="none" stroke="{colours[name]}" stroke-width="1.6"/>'
                )
        return drawn + self._legend(colours)

    def _series_colours(self, names: Sequence[str]) -> dict[str, str]:
        color = self._defaults["color"]
        shades = _SHADES.get(color.get("fixedColor", ""), PALETTE)
        colours = {name: shades[number % len(shades)] for number, name in enumerate(names)}
        for override in self.panel["fieldConfig"]["overrides"]:
            name, (given,) = override["matcher"]["options"], override["properties"]
            if name in colours:
                colours[name] = COLOURS[given["value"]["fixedColor"]]
        return colours

    def _legend(self, colours: Mapping[str, str]) -> str:
        x, drawn = 12.0, ""
        for name, colour in colours.items():
            wide = 7.8 * len(name) + 34
            if x + wide > self.width and x > 12:
                return drawn + _text(x, self.height - 8, "…", 12)
            drawn += (
                f'<rect x="{x:.0f}" y="{self.height - 13}" width="14" height="4" rx="2" fill="{colour}"/>'
            )
            drawn += _text(x + 19, self.height - 8, name, 12, INK)
            x += wide
        return drawn

    def _times(self, x: Any, top: float, bottom: float) -> str:
        drawn, step = "", 30
        at = math.ceil(self.window.start / step) * step
        while at < self.window.end:
            drawn += _rule(x(at), top, x(at), bottom, GRID)
            drawn += _text(x(at), bottom + 16, _clock(at), 11, anchor="middle")
            at += step
        return drawn

    def _timeline(self) -> str:
        left, right, top = 190, self.width - 10, TITLE + 4
        bottom = self.height - FOOT
        series = sorted(self.series, key=lambda each: each[0])
        tall = min(30.0, (bottom - top) / max(1, len(series)))

        def x(at: float) -> float:
            return left + (at - self.window.start) / (self.window.end - self.window.start) * (right - left)

        drawn = self._box() + self._times(x, top, bottom)
        for number, (name, points) in enumerate(series):
            y = top + number * tall
            drawn += _text(left - 8, y + tall / 2 + 4, name, 12, INK, anchor="end")
            for run in _runs(points):
                for state in _states(run):
                    _, colour = self._words(state[0][1])
                    began, ended = x(state[0][0]), x(state[-1][0])
                    drawn += (
                        f'<rect x="{began:.1f}" y="{y + 2:.1f}" width="{max(1.5, ended - began):.1f}" '
                        f'height="{tall - 4:.1f}" rx="2" fill="{COLOURS.get(colour, PALETTE[0])}"/>'
                    )
        return drawn


def _runs(points: Points) -> Iterable[Points]:
    """Return the points without gaps of more than three times their step."""
    known = [each for each in points if not math.isnan(each[1])]
    if not known:
        return
    step = min((after[0] - before[0] for before, after in pairwise(known)), default=1.0)
    run = [known[0]]
    for before, after in pairwise(known):
        if after[0] - before[0] > 3 * step:
            yield run
            run = []
        run.append(after)
    yield run


def _states(points: Points) -> Iterable[Points]:
    """Return the points in stretches of one value, each up to where the next begins."""
    state = [points[0]]
    for point in points[1:]:
        state.append(point)
        if point[1] != state[0][1]:
            yield state
            state = [point]
    yield state


def _ticks(most: float) -> list[float]:
    power = 10 ** math.floor(math.log10(most))
    step = next(each * power for each in (0.2, 0.25, 0.5, 1, 2, 5) if each * power * 4 >= most)
    return [step * number for number in range(math.ceil(most / step) + 1)]


def _amount(value: float, unit: str, now: float = 0.0) -> str:
    """Return a value in a unit of Grafana's."""
    if math.isnan(value):
        return "No data"
    minute, now_seconds = 60, now - value / 1000
    words = {
        "percentunit": f"{100 * value:.1f}%",
        "percent": f"{value:.3g}%",
        "ops": f"{value:.3g}/s",
        "currencyUSD": f"${value:.3g}",
        "s": f"{value:.3g} s" if value < 2 * minute else f"{value / minute:.3g} min",
        "dateTimeFromNow": f"{now_seconds:.0f} seconds ago"
        if now_seconds < minute
        else f"{now_seconds / minute:.0f} min ago",
    }
    return words.get(unit, f"{value:g}")


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(at))


def _text(
    x: float,
    y: float,
    words: str,
    size: float = 12,
    colour: str = DIM,
    *,
    anchor: str = "start",
    bold: bool = False,
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" style="font-size:{size:.1f}px;fill:{colour}" '
        f'text-anchor="{anchor}"{weight}>{escape(words, quote=False)}</text>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, more: str = "") -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" {more}/>'
