"""Records one outcome: validates its event, counts it, and writes its line. Never breaks the job."""

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas import Violation, violations
from telemetry.error_location import error_location
from telemetry.label_bounds import OTHER
from telemetry.logs import emit
from telemetry.metrics import Metrics
from telemetry.tracing import TRACE, exemplar

Validate = Callable[[str, dict[str, Any]], list[Violation]]

_NAMES = {"COMPLETED": "job_completed", "STUB": "job_stubbed", "FAILED": "job_failed"}
_NANO = 1_000_000_000
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

    def check(self, event: Mapping[str, Any]) -> list[Violation]:
        """Return how `event` (telemetry v1) breaks the locked schema."""
        found: list[Violation] = [_UNCHECKED]
        with _survival():
            found = self._validate("telemetry.v1", dict(event))
        return found  # noqa: RET504 - what cannot be validated is not valid

    def record(self, event: Mapping[str, Any], details: Mapping[str, Any], found: list[Violation]) -> None:
        """Count `event` and write it, with `details` beside it; `found` is what `check` returned for it.

        To be called exactly once for an outcome. `details` never have content.

        An event that breaks the locked schema is counted, as an outcome too, and logged as
        `telemetry_invalid`; it does not leave. Whatever goes wrong in here is logged as `telemetry_broke`
        and never reaches the caller. One part failing does not keep the others from being done.
        """
        if trace := TRACE.get():
            details = {**details, "trace_id": trace.trace_id}
        with _survival():
            self._count(event, details)
        if not found:
            with _survival():
                self._measure(event)
            with _survival():
                emit(self._logger, logging.INFO, _NAMES[event["status"]], telemetry=event, details=details)
            return
        with _survival():
            self._metrics.counter("slotgen_telemetry_invalid_total").inc()
        with _survival():
            emit(
                self._logger,
                logging.ERROR,
                "telemetry_invalid",
                violations=[dataclasses.asdict(each) for each in found],
                sound_fields=_sound_fields(event, found),
                details=details,
            )

    def _count(self, event: Mapping[str, Any], details: Mapping[str, Any]) -> None:
        counter, status = self._metrics.counter, event["status"]
        counter("slotgen_jobs_total").labels(status, event["errorCode"] or "none", event["path"]).inc()
        if repairs := details.get("repairs"):
            counter("slotgen_repairs_total").labels(status).inc(repairs)
        if rule := details.get("policy_rule"):
            counter("slotgen_policy_violations_total").labels(rule).inc()
        for flag in {each for part in details.get("flagged", {}).values() for each in part}:
            counter("slotgen_content_flagged_total").labels(flag).inc()
        if cost_nano_usd := details.get("cost_nano_usd"):
            counter("slotgen_cost_usd_total").labels(details.get("model")).inc(cost_nano_usd / _NANO)
            counter("slotgen_rule_cost_usd_total").labels(details.get("rule_id", OTHER)).inc(
                cost_nano_usd / _NANO
            )

    def _measure(self, event: Mapping[str, Any]) -> None:
        # Only for a valid event: one NaN would spoil the histogram's sum until the process ends.
        duration = self._metrics.histogram("slotgen_job_duration_seconds")
        duration.labels(event["path"], event["status"]).observe(event["latencyMs"] / 1000, exemplar())


@contextlib.contextmanager
def _survival() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - telling must not undo what was done
        with contextlib.suppress(Exception):
            emit(_log, logging.ERROR, "telemetry_broke", **error_location(error))


def _sound_fields(event: Mapping[str, Any], found: list[Violation]) -> dict[str, Any]:
    """Return the fields that broke no rule: a value that broke one may be anything, including content."""
    broken = {each.path for each in found}
    return {} if "" in broken else {name: value for name, value in event.items() if name not in broken}
