"""The page and its login form as HTML; whatever text they show is made visible first, by the one renderer."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gates import BrakeState, kill_switch
from tasks.generate.outcome import OutcomeRecord
from tasks.operations.fleet import cancelled_calls
from tasks.operations.money import usd
from tasks.operations.overview import Overview
from tasks.operations.timefmt import ago, counted, milliseconds, moment, span
from tasks.operations.visible import visible
from worker.web.access import Visitor
from worker.web.halting import HaltButton
from worker.web.status import MOST_OUTCOMES, Status, Unreadable

REFRESH_SECONDS = 5
_FOLDER = Path(__file__).parent / "templates"
_RELEASED, _HALTED = ("released", "RELEASED"), ("halted", "HALTED")
# Where this page cannot read the kill switch, the workers may be able to.
_NOT_KNOWN = ("unknown", "NOT KNOWN")
STATUSES = ("COMPLETED", "STUB", "FAILED")
# What fits a phone; more are counted.
_WORKERS, _REASONS = 8, 6
_SLICES, _WIDTH, _HEIGHT, _LEFT = 30, 358, 96, 30


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar of the picture, in its units; `kind` is its class."""

    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Picture:
    """The outcomes over time; the highest column has `most`."""

    bars: list[Bar]
    most: int
    since: str
    middle: str
    until: str


class Pages:
    """The pages of a namespace. `style` is the source of their styles, as a policy names it."""

    def __init__(self, namespace: str, grace_seconds: float, *, by_token: bool) -> None:
        environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        style = (_FOLDER / "page.css").read_text("utf-8")
        digest = hashlib.sha256(style.encode()).digest()
        self.style = f"'sha256-{base64.b64encode(digest).decode()}'"
        # A style of our own is no text from outside, and its newlines are its digest's.
        environment.globals |= {
            "style": Markup(style),  # noqa: S704 - our own
            "namespace": namespace,
            "grace": f"{grace_seconds:g} s",
            "by_token": by_token,
            "statuses": STATUSES,
        }
        environment.filters |= {"span": span, "usd": usd, "milliseconds": milliseconds}
        self._page = environment.get_template("page.html")
        self._login = environment.get_template("login.html")

    def page(
        self, found: Status | Unreadable, button: HaltButton, visitor: Visitor, *, asks_reason: bool
    ) -> str:
        """Return the page; with `asks_reason` it has a field for it, and does not refresh meanwhile."""
        status = found if isinstance(found, Status) else None
        of = status.overview if status else None
        kind, word = _NOT_KNOWN
        if of:
            # An absent key halts as well: it is how this page's own role halts.
            kind, word = _RELEASED if of.state is BrakeState.RELEASED else _HALTED
        return self._page.render(
            kind=kind,
            word=word,
            of=of,
            now=moment(of.now_wall_ms)[11:19] if of else "",
            account=status and status.account,
            problem=found.problem,
            button=button,
            press=_recent(button, of),
            cancelled=cancelled_calls,
            counted=counted,
            visitor=visitor,
            asks_reason=asks_reason,
            refresh=None if asks_reason else REFRESH_SECONDS,
            dials=_dials(of) if of else (),
            workers=of.living[:_WORKERS] if of else (),
            more_workers=of.living[_WORKERS:] if of else (),
            picture=_picture(of.real, of.now_wall_ms, of.since_seconds) if of and of.real else None,
            totals=Counter(each.status for each in of.real) if of else {},
            reasons=_reasons(of) if of else (),
            cut_off=of is not None and len(of.past) == MOST_OUTCOMES,
        )

    def login(self, *, refused: str = "") -> str:
        """Return the form, with why the last attempt was refused."""
        return self._login.render(refused=refused, refresh=None)


def _shown(value: Any) -> Any:
    """Return what a template puts into a page: text is made visible, and escaped afterwards."""
    return value if isinstance(value, Markup) else visible(str(value))


def _recent(button: HaltButton, of: Overview | None) -> Any:
    """Return the last press of the button, as long as somebody may want to know what became of it."""
    # Read first: what ends the trying is noted before it ends.
    trying, last = button.trying, button.last
    if last is None or (last.key_set and of and of.state is BrakeState.RELEASED):
        return None
    return last if trying or last.seconds < 1800 else None  # noqa: PLR2004 - half an hour


def _dials(of: Overview) -> list[dict[str, str]]:
    found = []
    for line in of.dials:
        if line.dial is kill_switch.DIAL:
            continue
        last = line.last
        marks = ("MALFORMED", "restricted here")
        found.append(
            {
                "name": line.dial.name,
                "effective": line.effective,
                "mark": next(
                    (m for m, so in zip(marks, (line.malformed, line.restricted), strict=True) if so), ""
                ),
                "set": f"{ago(of.now_wall_ms - last.wall_ms)} by {last.who}" if last else "",
            }
        )
    return found


def _reasons(of: Overview) -> list[dict[str, Any]]:
    """Return why jobs were not COMPLETED, the most frequent first, the rest together, with widths in %."""
    codes = [(status, code, number) for (status, code), number in of.outcomes if code]
    shown = codes[:_REASONS]
    if rest := codes[_REASONS:]:
        shown.append(("", f"{len(rest)} other reasons", sum(number for *_, number in rest)))
    most = max((number for *_, number in shown), default=1)
    return [
        {"status": status, "code": code, "number": number, "width": max(0.5, 100 * number / most)}
        for status, code, number in shown
    ]


def _picture(outcomes: Sequence[OutcomeRecord], now_ms: int, since_seconds: int) -> Picture:
    from_ms, slice_ms = now_ms - since_seconds * 1000, ceil(since_seconds * 1000 / _SLICES)
    columns: list[Counter[str]] = [Counter() for _ in range(_SLICES)]
    for each in outcomes:
        # One may have ended while this was read; what another version wrote has no place.
        if each.status in STATUSES:
            columns[min(max(0, (each.wall_ms - from_ms) // slice_ms), _SLICES - 1)][each.status] += 1
    most = max(1, *(column.total() for column in columns))
    step = (_WIDTH - _LEFT) / _SLICES
    bars = []
    for number, column in enumerate(columns):
        y = float(_HEIGHT)
        for status in STATUSES:
            if count := column[status]:
                height = _HEIGHT * count / most
                y -= height
                bars.append(Bar(status, _LEFT + number * step, y, step - 1.5, height, f"{count} {status}"))
    since, middle, until = (moment(now_ms - part * since_seconds * 500)[11:16] for part in (2, 1, 0))
    return Picture(bars, most, since, middle, until)
