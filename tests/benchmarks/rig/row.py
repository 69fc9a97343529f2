"""One line of the table: a measure, its figure, and whether that keeps its target."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured. Only `at_most`, `at_least` and `holds` judge, from the numbers themselves."""

    measure: str
    figure: str
    target: str = ""
    met: bool | None = None  # None: there is no target
    missed_by: str = ""

    @property
    def verdict(self) -> str:
        """The word for the table."""
        if self.met is None:
            return ""
        return "met" if self.met else f"missed {self.missed_by}".strip()


def at_most(measure: str, value: float, bound: float, unit: str = "", *, figure: str = "") -> Row:
    """Return a row that is met when `value` is not above `bound`; `figure` is shown for it."""
    missed_by = f"by {value / bound - 1:.1%}" if value > bound else ""
    return Row(measure, figure or f"{number(value)}{unit}", f"<= {bound:g}{unit}", not missed_by, missed_by)


def at_least(measure: str, value: float, bound: float, unit: str = "", *, figure: str = "") -> Row:
    """Return a row that is met when `value` is not below `bound`; `figure` is shown for it."""
    missed_by = f"by {1 - value / bound:.1%}" if value < bound else ""
    return Row(measure, figure or f"{number(value)}{unit}", f">= {bound:g}{unit}", not missed_by, missed_by)


def holds(measure: str, figure: str, target: str, *, met: bool) -> Row:
    """Return a row about what is either so or not."""
    return Row(measure, figure, target, met)


def number(value: float) -> str:
    """Return `value` with three digits that count, or whole."""
    return f"{value:.3g}" if abs(value) < 100 else f"{value:,.0f}"
