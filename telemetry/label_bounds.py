"""prometheus_client's three instruments, with label values whose number no input can increase.

They inherit, because callers are typed against the library's own classes.
"""

import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from schemas import load

OTHER = "other"
# Models, versions and rules come from operators, who change them a few times in the life of a process.
MAX_OPEN_VALUES = 16

Bound = Callable[[object], str]

# gen_ai.operation.name and gen_ai.provider.name: what is spoken is OpenAI's API, whoever serves it.
GEN_AI = ("chat", "openai")

FIXED = {
    "result": {"hit", "miss", "store_failed"},
    "gen_ai_token_type": {"input", "output"},
    "gen_ai_operation_name": {GEN_AI[0]},
    "gen_ai_provider_name": {GEN_AI[1]},
}
# Labels whose values the composition passes in, because telemetry may not import what decides them.
_ELSEWHERE = ("gate", "control", "by", "reason", "rule", "flag")


def bounds(labels: Sequence[str], words: Mapping[str, Collection[str]] | None = None) -> tuple[Bound, ...]:
    """Return for each of `labels` the function from any value to one that the label may hold.

    The words of outcomes are read from the locked schema of telemetry v1; `words` has those of labels whose
    words are decided elsewhere: `gate`, `control`, who changed one (`by`), `reason`, the `rule`s of plain
    text, and the `flag`s of moderation. Without them such a label takes none.
    """
    event = load("telemetry.v1")["properties"]
    codes = {code for code in event["errorCode"]["enum"] if code is not None}
    closed = FIXED | {
        "status": event["status"]["enum"],
        "path": event["path"]["enum"],
        "error_code": codes | {"none"},
        "error_type": codes | {"", "cancelled"},
        "outcome": codes | {"ok", "cancelled"},
        **dict.fromkeys(_ELSEWHERE, ()),
        **(words or {}),
    }
    return tuple(_one_of(frozenset(closed[each])) if each in closed else _first_few() for each in labels)


def _one_of(words: frozenset[str]) -> Bound:
    return lambda value: value if isinstance(value, str) and value in words else OTHER


def _first_few() -> Bound:
    seen: set[str] = set()
    lock = threading.Lock()

    def bound(value: object) -> str:
        word = str(value)
        if word in seen:
            return word
        with lock:
            if len(seen) >= MAX_OPEN_VALUES:
                return OTHER
            seen.add(word)
        return word

    return bound


class _Bounded(MetricWrapperBase):
    bound: tuple[Bound, ...] = ()

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Self:
        """Return the child of these values, in the table's order or by name, each bounded first.

        Raises:
            ValueError: a label is missing, unknown, or given in both ways.

        """
        if labelkwargs.keys() == set(self._labelnames):
            labelvalues, labelkwargs = tuple(labelkwargs[name] for name in self._labelnames), {}
        if labelkwargs or len(labelvalues) != len(self.bound):
            return super().labels(*labelvalues, **labelkwargs)
        return super().labels(*[bound(value) for bound, value in zip(self.bound, labelvalues, strict=True)])


class BoundedCounter(_Bounded, Counter):
    """A counter of the table."""


class BoundedHistogram(_Bounded, Histogram):
    """A histogram of the table."""


class BoundedGauge(_Bounded, Gauge):
    """A gauge of the table."""

    def set_function(self, f: Callable[[], float]) -> None:
        """Ask `f` at every scrape; NaN when it raises, so that the other metrics are still served."""

        def value() -> float:
            try:
                return float(f())
            except Exception:  # noqa: BLE001 - one gauge must not take the whole scrape with it
                return math.nan

        super().set_function(value)
