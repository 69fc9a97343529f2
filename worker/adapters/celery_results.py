"""Celery's Redis result backend, patient with a Redis that refuses writes for a while."""

from __future__ import annotations

from typing import Any

from celery import states
from celery.backends.redis import RedisBackend, SentinelBackend
from redis.exceptions import OutOfMemoryError, ReadOnlyError

# Celery retries broken connections only, and turns a finished job whose result Redis has no room for into a
# failure; when that cannot be stored either, the message is never acknowledged, and its place never free.
_PASSING = (OutOfMemoryError, ReadOnlyError)


class PatientBackend(RedisBackend):
    """Celery's setting: `worker.adapters.celery_results:PatientBackend+redis://…`.

    Beside Celery's own properties a finished task's document has `reasons` (reasons v1), which the task left
    in its request as `slotgen_reasons`; readers that do not know it pass it over.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether storing is tried again: when Redis is away, full, or no longer the primary."""
        return isinstance(exc, _PASSING) or super().exception_safe_to_retry(exc)

    # celery-types leaves out what a backend overrides.
    def _get_result_meta(
        self, result: Any, state: str, traceback: Any, request: Any, *args: Any, **kwargs: Any
    ) -> dict[str, Any]:
        meta: dict[str, Any] = super()._get_result_meta(  # type: ignore[misc]  # see above
            result, state, traceback, request, *args, **kwargs
        )
        reasons = getattr(request, "slotgen_reasons", None) if state == states.SUCCESS else None
        return meta | ({"reasons": reasons} if reasons else {})


class PatientSentinelBackend(PatientBackend, SentinelBackend):
    """The same behind Sentinel."""
