"""The report as one page that needs nothing else: criteria, outcomes over time, errorCodes, latency."""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from math import ceil, floor, log10

from tasks.generate.outcome import OutcomeRecord
from tasks.operations.money import usd
from tasks.operations.probes import is_probe
from tasks.operations.stability import LATENCY_P95_SECONDS, Report
from tasks.operations.timefmt import moment, span
from tasks.operations.visible import visible
from worker.cli.support.terminal import STATUS_COLOURS

_SLICES = 48
_WIDTH, _HEIGHT = 720, 200
# Left of the bars there is room for the numbers of their axis, above them for lines of words, this high each.
_LEFT, _LINE = 48, 22
_STEP = (_WIDTH - _LEFT) / _SLICES
_ROW = 28
# Room for the longest errorCode at the size that a phone needs.
_WORDS_WIDTH = 400
_MOST_TICKS = 6
_TICK_SECONDS = (60, 300, 900, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 86_400, 7 * 86_400, 30 * 86_400)
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


_END, _MIDDLE = ' text-anchor="end"', ' text-anchor="middle"'
_NOTHING = "<p>no data</p>"


def page(
    report: Report,
    outcomes: Sequence[OutcomeRecord],
    *,
    namespace: str,
    covers: str,
    from_wall_ms: int,
    to_wall_ms: int,
) -> str:
    """Return the page, in light and dark. It has no job's id, and nothing of any content.

    `covers` says in words what of the window between the two moments, by Redis's clock, the history has.
    """
    title = f"Beta of {_escape(namespace)}: {report.conclusion}"
    keys = (f'<span class="key" style="background:var(--{each})"></span>{each}' for each in STATUS_COLOURS)
    shown = [each for each in outcomes if not is_probe(each.subject)]
    if shown:
        from_wall_ms = max(from_wall_ms, shown[0].wall_ms)
    window = f"{_minute(from_wall_ms)} to {_minute(to_wall_ms)}"
    parts = (
        f"<h1>{title}</h1>",
        f"<p>{_escape(f'Namespace {namespace}, from {window} UTC: {covers}')}.</p>",
        f"<p>{_escape(report.counts[0].upper() + report.counts[1:])}.</p>",
        _criteria(report),
        f"<h2>Outcomes over time</h2><p>{''.join(keys)}</p>{_over_time(shown, from_wall_ms, to_wall_ms)}",
        f"<h2>Why jobs were not COMPLETED</h2>{_codes(report)}",
        f"<h2>Latency of generated jobs</h2>{_latency(report)}",
        f"<h2>Spend by allowlist rule</h2>{_spend(report)}",
    )
    style = (resources.files("worker.cli.views") / "report_page.css").read_text("utf-8")
    return _DOCUMENT.format(title=title, style=style, body="\n".join(parts))


def _criteria(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{_escape(each.name)}</td><td><b class="{each.verdict}">{each.verdict}</b></td>'
        f"<td>{_escape(each.figure)}</td></tr>"
        for each in report.criteria
    )
    head = "<tr><th>criterion</th><th>verdict</th><th>figure</th></tr>"
    return f"<h2>Criteria</h2><table>{head}{rows}</table>"


def _over_time(outcomes: Sequence[OutcomeRecord], from_ms: int, to_ms: int) -> str:
    if not outcomes:
        return _NOTHING
    width_ms = max(1, ceil((to_ms - from_ms + 1) / _SLICES))
    slices: list[Counter[str]] = [Counter() for _ in range(_SLICES)]
    for each in outcomes:
        # One may have ended while the report was made.
        slices[min((each.wall_ms - from_ms) // width_ms, _SLICES - 1)][each.status] += 1
    most = max(one.total() for one in slices)
    drawn = [_amounts(most, f"outcomes in {span(max(1, width_ms / 1000))}; times in UTC", _HEIGHT - _LINE)]
    for number, one in enumerate(slices):
        y = float(_HEIGHT)
        for status in STATUS_COLOURS:
            height = (_HEIGHT - _LINE) * one[status] / most
            y -= height
            if height:
                x = _LEFT + number * _STEP
                drawn.append(_bar(status, x, y, _STEP - 1, height, title=f"{one[status]} {status}"))
    seconds = next((each for each in _TICK_SECONDS if (to_ms - from_ms) / 1000 / each <= _MOST_TICKS), None)
    step_ms = 1000 * (seconds or ceil((to_ms - from_ms) / 1000 / _MOST_TICKS))
    form = slice(11, 16) if step_ms < 1000 * _TICK_SECONDS[-3] else slice(0, 10)
    ticks = {
        (at - from_ms) / (width_ms * _SLICES): moment(at)[form]
        for at in range(-(-from_ms // step_ms) * step_ms, to_ms, step_ms)
    }
    return _svg("".join(drawn) + _axis(ticks), "outcomes over time, stacked by status")


def _codes(report: Report) -> str:
    if not report.causes:
        return "<p>none</p>" if report.jobs else _NOTHING
    most, rows = max(report.causes.values()), []
    for number, (code, count) in enumerate(report.causes.items()):
        y, width = _ROW * number, max(2.0, (_WIDTH - _WORDS_WIDTH) * count / most)
        rows.append(_bar("bar", 0, y, width, 22, title=code))
        rows.append(f'<text x="{width + 8:.0f}" y="{y + 17}">{count} {_escape(code)}</text>')
    return _svg("".join(rows), "how often each errorCode occurred", _ROW * len(report.causes))


def _latency(report: Report) -> str:
    # Latencies spread over decades: a linear axis would show one bar.
    places = [log10(max(each, 1) / 1000) for each in report.latencies_ms]
    if not places:
        return _NOTHING
    bound = log10(LATENCY_P95_SECONDS)
    low, high = min(places[0], bound - 1), max(places[-1], bound)
    counts = Counter(min(_SLICES - 1, int((each - low) / (high - low) * _SLICES)) for each in places)
    tall = _HEIGHT - 3 * _LINE
    drawn = [_amounts(max(counts.values()), "jobs", tall)]
    for slot, count in sorted(counts.items()):
        height, x = count / max(counts.values()) * tall, _LEFT + slot * _STEP
        drawn.append(_bar("bar", x, _HEIGHT - height, _STEP - 1, height, title=f"{count} jobs"))
    marks = {name: log10(max(ms, 1) / 1000) for name, ms in report.percentiles_ms.items()}
    for number, (name, at) in enumerate(marks.items()):
        # Each has a line of its own, for marks may stand close.
        drawn.append(_mark("mark", (at - low) / (high - low), f"{name} {10**at:.2f} s", number))
    drawn.append(_mark("mark bound", (bound - low) / (high - low), f"p95 at most {LATENCY_P95_SECONDS} s", 1))
    digits = (1, 2, 5) if high - low < 2 else (1,)  # noqa: PLR2004 - decades that have room for more than one label each
    ticks = {
        (log10(digit * 10.0**power) - low) / (high - low): f"{digit * 10.0**power:g} s"
        for power in range(floor(low), ceil(high) + 1)
        for digit in digits
    }
    ticks = {place: words for place, words in ticks.items() if 0 <= place <= 1}
    return _svg("".join(drawn) + _axis(ticks), "how long generated jobs took, on a logarithmic axis")


def _spend(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{_escape(rule)}</td><td>{_escape(usd(spent))}</td></tr>"
        for rule, spent in report.spent_by_rule.items()
    )
    return f"<table><tr><th>rule</th><th>spent</th></tr>{rows}</table>" if rows else _NOTHING


def _mark(kind: str, place: float, words: str, line: int) -> str:
    """Return an upright line at `place` of 0 to 1, and its words in the `line` above the bars."""
    x, y, left = _LEFT + place * (_WIDTH - _LEFT), 16 + _LINE * line, place > 0.5  # noqa: PLR2004 - the half
    drawn = f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 12}" y2="{_HEIGHT}"/>'
    return drawn + f'<text x="{x - 5 if left else x + 5:.1f}" y="{y}"{_END * left}>{words}</text>'


def _amounts(most: int, what: str, tall: float) -> str:
    """Return the axis of amounts from 0 to `most`, which is `tall` pixels high, named `what`."""
    power = 10 ** floor(log10(most))
    step = next(max(1, each * power // 10) for each in (2, 5, 10, 20, 50) if each * power / 10 * 5 >= most)
    drawn = f'<text x="{_LEFT}" y="{_HEIGHT - tall - 6:.0f}">{what}</text>'
    for amount in range(0, most + 1, step):
        y = _HEIGHT - tall * amount / most
        drawn += f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>'
        drawn += f'<text x="{_LEFT - 6}" y="{y + 4:.1f}"{_END}>{amount}</text>'
    return drawn


def _axis(ticks: Mapping[float, str]) -> str:
    """Return the words below the bars, by their places of 0 to 1."""
    y, drawn = _HEIGHT + 18, ""
    for place, words in ticks.items():
        x = _LEFT + place * (_WIDTH - _LEFT)
        drawn += f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{_HEIGHT}" y2="{_HEIGHT + 5}"/>'
        anchor = _END if x > _WIDTH - _LEFT / 2 else _MIDDLE
        drawn += f'<text x="{x:.1f}" y="{y}"{anchor}>{words}</text>'
    return drawn


def _bar(kind: str, x: float, y: float, width: float, height: float, *, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{_escape(title)}</title></rect>'


def _minute(wall_ms: int) -> str:
    return moment(wall_ms)[:16].replace("T", " ")


def _escape(text: str) -> str:
    """Return `text` for the page, as visible as on a terminal."""
    return html.escape(visible(text))


def _svg(inside: str, label: str, height: int = _HEIGHT + _LINE) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'
