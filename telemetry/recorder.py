"""Records one outcome: validates its event, counts it, and writes its line. Never breaks the job."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from typing import Any

from schemas import Violation, violations
from telemetry.events import Details, TelemetryEvent
from telemetry.logs import emit, error_location
from telemetry.metrics import Metrics

Validate = Callable[[str, dict[str, Any]], list[Violation]]

_NAMES = {"COMPLETED": "job_completed", "STUB": "job_stubbed", "FAILED": "job_failed"}
_UNCHECKED = Violation("", "could not be validated", "see telemetry_broke in the log, and report it")
_log = logging.getLogger("slotgen.jobs")


class Recorder:
    """Records the outcomes of one process; safe in any thread.

    `validate(schema_name, document)` returns what is wrong; `schemas.violations` unless a test says else.
    """

    def __init__(
        self, metrics: Metrics, logger: logging.Logger = _log, *, validate: Validate = violations
    ) -> None:
        self._metrics = metrics
        self._logger = logger
        self._validate = validate

    def record(self, event: TelemetryEvent, details: Details) -> bool:
        """Count `event` and write it, with `details` beside it; return whether it was valid.

        To be called exactly once for an outcome.

        An event that breaks the locked schema is counted, as an outcome too, and logged as
        `telemetry_invalid`; it does not leave. Whatever goes wrong in here is logged as `telemetry_broke`
        and never reaches the caller. One part failing does not keep the others from being done.
        """
        found: list[Violation] = [_UNCHECKED]
        with _survival():
            found = self._validate("telemetry.v1", event.as_dict())
        with _survival():
            self._count(event, details)
        if not found:
            with _survival():
                self._measure(event)
            with _survival():
                self._tell(event, details)
            return True
        with _survival():
            self._metrics.counter("slotgen_telemetry_invalid_total").inc()
        with _survival():
            self._refuse(event, details, found)
        return False

    def _count(self, event: TelemetryEvent, details: Details) -> None:
        jobs = self._metrics.counter("slotgen_jobs_total")
        jobs.labels(event.status, event.error_code or "none", event.path).inc()
        if details.repairs:
            self._metrics.counter("slotgen_repairs_total").labels(event.status).inc(details.repairs)
        if details.policy_rule:
            self._metrics.counter("slotgen_policy_violations_total").labels(details.policy_rule).inc()

    def _measure(self, event: TelemetryEvent) -> None:
        # Only of a valid event: one NaN would spoil the histogram's sum until the process ends.
        duration = self._metrics.histogram("slotgen_job_duration_seconds")
        duration.labels(event.path, event.status).observe(event.latency_ms / 1000)

    def _tell(self, event: TelemetryEvent, details: Details) -> None:
        name = _NAMES[event.status]
        emit(self._logger, logging.INFO, name, telemetry=event.as_dict(), details=details.as_dict())

    def _refuse(self, event: TelemetryEvent, details: Details, found: list[Violation]) -> None:
        emit(
            self._logger,
            logging.ERROR,
            "telemetry_invalid",
            violations=[dataclasses.asdict(each) for each in found],
            sound_fields=_sound_fields(event, found),
            details=details.as_dict(),
        )


@contextlib.contextmanager
def _survival() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - telling must not undo what was done
        with contextlib.suppress(Exception):
            emit(_log, logging.ERROR, "telemetry_broke", **error_location(error))


def _sound_fields(event: TelemetryEvent, found: list[Violation]) -> dict[str, Any]:
    """Return the fields that broke no rule: a value that broke one may be anything, content included."""
    broken = {each.path for each in found}
    return {} if "" in broken else {k: v for k, v in event.as_dict().items() if k not in broken}
