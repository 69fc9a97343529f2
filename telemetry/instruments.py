"""prometheus_client's three instruments, with label values that are bounded and scrapes that cannot fail.

They inherit, because callers are typed against the library's own classes.
"""

import math
from collections.abc import Callable
from typing import Self

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from telemetry.label_values import Bound


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
