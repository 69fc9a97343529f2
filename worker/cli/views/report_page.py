"""The report as one page that needs nothing else: criteria, outcomes over time, errorCodes, latency."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape
from importlib import resources
from math import ceil, log10
from typing import TYPE_CHECKING

from worker.cli.support.timefmt import moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tasks.operations.history import PastOutcome
    from tasks.operations.stability import Report

_STATUSES = ("COMPLETED", "STUB", "FAILED")
_SLICES = 48
_WIDTH, _HEIGHT = 720, 200
_ROW = 28
# Room for the longest errorCode at the size that a phone needs.
_WORDS_WIDTH = 400
# Above the bars: lines of words, this high each.
_LINE = 22
_DOCUMENT = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
{style}</style></head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True, slots=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


def page(report: Report, outcomes: Sequence[PastOutcome], covers: str, now: str) -> str:
    """Return the page, in light and dark. It has no job's id, and nothing of any content."""
    title = f"Beta: {'stable' if report.stable else 'not stable, or not known to be'}"
    told = f"{report.jobs} jobs ended, {report.admitted} of them had passed the gates."
    parts = (
        f"<h1>{title}</h1>",
        f"<p>{escape(now)}: {escape(covers)}. {told}</p>",
        _criteria(report),
        f"<h2>Outcomes over time</h2>{_key()}{_over_time(outcomes)}",
        f"<h2>errorCodes</h2>{_codes(report)}",
        f"<h2>Latency of generated jobs</h2>{_latency(report)}",
    )
    style = (resources.files("worker.cli.views") / "report_page.css").read_text("utf-8")
    return _DOCUMENT.format(title=title, style=style, body="\n".join(parts))


def _criteria(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{escape(each.name)}</td><td><b class="{each.verdict}">{each.verdict}</b></td>'
        f"<td>{escape(each.figure)}</td></tr>"
        for each in report.criteria
    )
    head = "<tr><th>criterion</th><th>verdict</th><th>figure</th></tr>"
    return f"<h2>Criteria</h2><table>{head}{rows}</table>"


def _key() -> str:
    colours = (f'<span class="key" style="background:var(--{each})"></span>{each}' for each in _STATUSES)
    return f"<p>{''.join(colours)}</p>"


def _over_time(outcomes: Sequence[PastOutcome]) -> str:
    if not outcomes:
        return _NOTHING
    first = outcomes[0].wall_ms
    width_ms = max(1, ceil((outcomes[-1].wall_ms - first + 1) / _SLICES))
    slices: list[Counter[str]] = [Counter() for _ in range(_SLICES)]
    for each in outcomes:
        slices[(each.wall_ms - first) // width_ms][each.status] += 1
    most = max(one.total() for one in slices)
    bars = "".join(_stack(one, number, most) for number, one in enumerate(slices))
    label = f'<text x="0" y="16">at most {most} jobs in {_long(width_ms / 1000)}</text>'
    axis = _axis(moment(first), moment(outcomes[-1].wall_ms))
    return _svg(bars + label + axis, "outcomes over time, stacked by status")


def _long(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 100 else f"{seconds / 60:.3g} min"  # noqa: PLR2004 - of two digits


def _stack(one: Counter[str], number: int, most: int) -> str:
    step = _WIDTH / _SLICES
    found, y = [], float(_HEIGHT)
    for status in _STATUSES:
        height = (_HEIGHT - _LINE) * one[status] / most
        y -= height
        if height:
            found.append(_bar(status, _Box(number * step, y, step - 1, height), f"{one[status]} {status}"))
    return "".join(found)


def _codes(report: Report) -> str:
    if not report.causes:
        return "<p>none</p>" if report.jobs else _NOTHING
    most = max(report.causes.values())
    rows = (
        _code(code, count, count / most, _ROW * n) for n, (code, count) in enumerate(report.causes.items())
    )
    return _svg("".join(rows), "how often each errorCode occurred", _ROW * len(report.causes))


def _code(code: str, count: int, share: float, y: float) -> str:
    width = max(2.0, (_WIDTH - _WORDS_WIDTH) * share)
    words = f'<text x="{width + 8:.0f}" y="{y + 17:.0f}">{count} {escape(code)}</text>'
    return _bar("bar", _Box(0, y, width, 22), code) + words


def _latency(report: Report) -> str:
    # Latencies spread over decades: a linear axis would show one bar.
    places = [log10(max(each, 0.001)) for each in report.latencies_ms]
    if not places:
        return _NOTHING
    low, spread = places[0], max(places[-1] - places[0], 0.01)
    counts = Counter(min(_SLICES - 1, int((each - low) / spread * _SLICES)) for each in places)
    most = max(counts.values())
    bars = "".join(_column(slot, count, count / most) for slot, count in sorted(counts.items()))
    marks = "".join(
        _mark((log10(max(ms, 0.001)) - low) / spread * _WIDTH, f"{name} {ms / 1000:.2f} s", number)
        for number, (name, ms) in enumerate(report.percentiles_ms.items())
    )
    axis = _axis(*(f"{report.latencies_ms[place] / 1000:.2f} s" for place in (0, -1)))
    return _svg(bars + marks + axis, "how long generated jobs took, on a logarithmic axis")


def _column(slot: int, count: int, share: float) -> str:
    step, height = _WIDTH / _SLICES, (_HEIGHT - 3 * _LINE) * share
    return _bar("bar", _Box(slot * step, _HEIGHT - height, step - 1, height), f"{count} jobs")


def _mark(x: float, words: str, number: int) -> str:
    # Each has a line of its own, for marks may stand close.
    y = 16 + _LINE * number
    line = f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 12}" y2="{_HEIGHT}"/>'
    left = x > _WIDTH / 2
    return f'{line}<text x="{x - 5 if left else x + 5:.1f}" y="{y}"{_END * left}>{words}</text>'


def _axis(first: str, last: str) -> str:
    """Return the line below the bars, with words at both ends."""
    y = _HEIGHT + 18
    line = f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
    return f'{line}<text x="0" y="{y}">{first}</text><text x="{_WIDTH}" y="{y}"{_END}>{last}</text>'


def _bar(kind: str, at: _Box, title: str) -> str:
    place = f'x="{at.x:.1f}" y="{at.y:.1f}" width="{at.width:.1f}" height="{at.height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{escape(title)}</title></rect>'


def _svg(inside: str, label: str, height: int = _HEIGHT + _LINE) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'


_END = ' text-anchor="end"'
_NOTHING = "<p>no data</p>"
