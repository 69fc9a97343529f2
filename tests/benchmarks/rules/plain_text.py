"""The judging of plain text: 2 kB of lessons, beside the CommonMark parser that judged them before."""

from __future__ import annotations

import timeit
from collections.abc import Iterator
from statistics import median

from markdown_it import MarkdownIt

from tasks.plain_text import FieldKind, find_markup
from tests.benchmarks.rig.row import Row, at_most, holds
from tests.tasks.plain_text.cases import FILES, MARKUP, NEVER, PLAIN, cases, score

_BYTES, _RUNS = 2000, 501
_PROSE = (
    "Osmosis is the net movement of water molecules from a dilute to a more concentrated solution through a"
    " partially permeable membrane. It needs no energy, and it goes on until both sides are the same.\n\n"
)
_SIGNS = (
    "If x < y and y > z, compare x with z. Work out 2*(3+4)*5 = 70 first; then H+(aq) + OH-(aq) -> H2O(l).\n"
    "- 7 is less than - 2, and the array a[0](1) is a call of __init__ with *args.\n\n"
)


def run() -> Iterator[Row]:
    """Yield the rows."""
    before = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for name, piece in (("prose", _PROSE), ("signs", _SIGNS)):
        text = (piece * _BYTES)[:_BYTES]
        if find_markup(text, FieldKind.TEXT):
            raise AssertionError("what is measured must be judged to its end")
        ours = median(
            timeit.repeat(lambda text=text: find_markup(text, FieldKind.TEXT), number=1, repeat=_RUNS)
        )
        theirs = median(timeit.repeat(lambda text=text: before.parse(text), number=1, repeat=_RUNS))
        yield at_most(f"plain text: 2 kB of {name} judged, median", ours * 1000, 0.3, " ms")
        yield Row("  by the CommonMark parser of before", f"{theirs * 1000:.3g} ms ({theirs / ours:.1f} x)")
    for file in FILES:
        judged = score(cases(file))
        plain, markup = judged.share_refused(PLAIN), 1 - judged.share_refused(*MARKUP)
        dangerous = sum(case.label in NEVER for case, _ in judged.wrong)
        yield holds(
            f"  {file.stem}: plain refused, markup accepted, active HTML accepted",
            f"{plain:.1%}, {markup:.1%}, {dangerous}",
            "<= 1%, <= 10%, 0",
            met=plain <= 0.01 and markup <= 0.1 and not dangerous,
        )
