"""Celery's Redis result backend, patient with a Redis that refuses writes for a while."""

from __future__ import annotations

from celery.backends.redis import RedisBackend, SentinelBackend
from redis.exceptions import OutOfMemoryError, ReadOnlyError

# Celery retries broken connections only, and turns a finished job whose result Redis has no room for into a
# failure; when that cannot be stored either, the message is never acknowledged, and its place never free.
_PASSING = (OutOfMemoryError, ReadOnlyError)


class PatientBackend(RedisBackend):
    """Celery's setting: `worker.adapters.celery_results:PatientBackend+redis://…`."""

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether storing is tried again: when Redis is away, full, or no longer the primary."""
        return isinstance(exc, _PASSING) or super().exception_safe_to_retry(exc)


class PatientSentinelBackend(PatientBackend, SentinelBackend):
    """The same behind Sentinel."""
