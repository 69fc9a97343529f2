"""The report as one page that needs nothing else: criteria, outcomes over time, errorCodes, latency."""

import html
from collections import Counter
from collections.abc import Sequence
from importlib import resources
from math import ceil, log10

from tasks.generate.outcome import OutcomeRecord
from tasks.operations.stability import Report
from tasks.operations.timefmt import moment, span
from worker.cli.support.terminal import STATUS_COLOURS, visible

_SLICES = 48
_WIDTH, _HEIGHT = 720, 200
_STEP = _WIDTH / _SLICES
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


_END = ' text-anchor="end"'
_NOTHING = "<p>no data</p>"


def page(report: Report, outcomes: Sequence[OutcomeRecord], covers: str, now: str) -> str:
    """Return the page, in light and dark. It has no job's id, and nothing of any content."""
    title = f"Beta: {'stable' if report.stable else 'not stable, or not known to be'}"
    keys = (f'<span class="key" style="background:var(--{each})"></span>{each}' for each in STATUS_COLOURS)
    ended = f"{report.jobs} jobs ended, {report.admitted} of them had passed the gates."
    parts = (
        f"<h1>{title}</h1>",
        f"<p>{_escape(now)}: {_escape(covers)}. {ended}</p>",
        _criteria(report),
        f"<h2>Outcomes over time</h2><p>{''.join(keys)}</p>{_over_time(outcomes)}",
        f"<h2>errorCodes</h2>{_codes(report)}",
        f"<h2>Latency of generated jobs</h2>{_latency(report)}",
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


def _over_time(outcomes: Sequence[OutcomeRecord]) -> str:
    if not outcomes:
        return _NOTHING
    first, last = outcomes[0].wall_ms, outcomes[-1].wall_ms
    width_ms = max(1, ceil((last - first + 1) / _SLICES))
    slices: list[Counter[str]] = [Counter() for _ in range(_SLICES)]
    for each in outcomes:
        slices[(each.wall_ms - first) // width_ms][each.status] += 1
    most, bars = max(one.total() for one in slices), []
    for number, one in enumerate(slices):
        y = float(_HEIGHT)
        for status in STATUS_COLOURS:
            height = (_HEIGHT - _LINE) * one[status] / most
            y -= height
            if height:
                bars.append(
                    _bar(status, number * _STEP, y, _STEP - 1, height, title=f"{one[status]} {status}")
                )
    label = f'<text x="0" y="16">at most {most} jobs in {span(max(1, width_ms / 1000))}</text>'
    drawn = "".join(bars) + label + _axis(moment(first), moment(last))
    return _svg(drawn, "outcomes over time, stacked by status")


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
    places = [log10(max(each, 0.001)) for each in report.latencies_ms]
    if not places:
        return _NOTHING
    low, spread = places[0], max(places[-1] - places[0], 0.01)
    counts = Counter(min(_SLICES - 1, int((each - low) / spread * _SLICES)) for each in places)
    scale, drawn = (_HEIGHT - 3 * _LINE) / max(counts.values()), []
    for slot, count in sorted(counts.items()):
        height = count * scale
        drawn.append(_bar("bar", slot * _STEP, _HEIGHT - height, _STEP - 1, height, title=f"{count} jobs"))
    for number, (name, ms) in enumerate(report.percentiles_ms.items()):
        # Each has a line of its own, for marks may stand close.
        x, y = (log10(max(ms, 0.001)) - low) / spread * _WIDTH, 16 + _LINE * number
        left = x > _WIDTH / 2
        drawn.append(f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 12}" y2="{_HEIGHT}"/>')
        words = f"{name} {ms / 1000:.2f} s"
        drawn.append(f'<text x="{x - 5 if left else x + 5:.1f}" y="{y}"{_END * left}>{words}</text>')
    ends = (f"{report.latencies_ms[place] / 1000:.2f} s" for place in (0, -1))
    return _svg("".join(drawn) + _axis(*ends), "how long generated jobs took, on a logarithmic axis")


def _axis(first: str, last: str) -> str:
    """Return the line below the bars, with words at both ends."""
    y = _HEIGHT + 18
    line = f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>'
    return f'{line}<text x="0" y="{y}">{first}</text><text x="{_WIDTH}" y="{y}"{_END}>{last}</text>'


def _bar(kind: str, x: float, y: float, width: float, height: float, *, title: str) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{kind}" {place}><title>{_escape(title)}</title></rect>'


def _escape(text: str) -> str:
    """Return `text` for the page, as visible as on a terminal."""
    return html.escape(visible(text))


def _svg(inside: str, label: str, height: int = _HEIGHT + _LINE) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{label}">{inside}</svg>'
