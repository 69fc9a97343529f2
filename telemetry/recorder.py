"""Records one outcome: validates its event, counts it, and writes its line. Never breaks the job."""

from __future__ import annotations

import logging

from schemas import describe, violations
from telemetry.events import Details, TelemetryEvent
from telemetry.logs import emit, whereabouts
from telemetry.metrics import Metrics

_NAMES = {"COMPLETED": "job_completed", "STUB": "job_stubbed", "FAILED": "job_failed"}
_log = logging.getLogger("slotgen.jobs")


class Recorder:
    """Records outcomes of one process; safe in any thread."""

    def __init__(self, metrics: Metrics, logger: logging.Logger = _log) -> None:
        self._metrics = metrics
        self._logger = logger

    def record(self, event: TelemetryEvent, details: Details) -> None:
        """Count `event` and write it, with `details` beside it; to be called exactly once for an outcome.

        An event that breaks the locked schema is counted and logged as `telemetry_invalid`, and does not
        leave. Whatever goes wrong in here is logged, and never reaches the caller.
        """
        try:
            self._count(event)
            found = violations("telemetry.v1", event.as_dict())
            if found:
                self._refuse(event, details, describe(found))
            else:
                name = _NAMES[event.status]
                emit(self._logger, logging.INFO, name, telemetry=event.as_dict(), details=details.as_dict())
        except Exception as error:  # noqa: BLE001 - telling must not undo what was done
            emit(_log, logging.ERROR, "telemetry_broke", **whereabouts(error))

    def _count(self, event: TelemetryEvent) -> None:
        jobs = self._metrics.counter("slotgen_jobs_total")
        jobs.labels(event.status, event.error_code or "none", event.path).inc()
        duration = self._metrics.histogram("slotgen_job_duration_seconds")
        duration.labels(event.path, event.status).observe(event.latency_ms / 1000)

    def _refuse(self, event: TelemetryEvent, details: Details, problem: str) -> None:
        self._metrics.counter("slotgen_telemetry_invalid_total").inc()
        emit(
            self._logger,
            logging.ERROR,
            "telemetry_invalid",
            problem=problem,
            status=event.status,
            error_code=event.error_code,
            task_id=details.task_id,
        )
