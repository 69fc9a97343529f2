"""Celery's Redis result backend, patient with a Redis that refuses writes for a while."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery import states
from celery.backends.redis import RedisBackend, SentinelBackend

from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.errors import REDIS_ERRORS, cause_of
from worker.adapters.redis.scripts import LuaScript
from worker.settings.redis_url import SCHEME

# A success is final: a message that came back is answered again, and must not replace what its producer may
# have read. The value is also published, for those who wait on the channel.
_STORE = LuaScript("""
local kept = redis.call('MGET', KEYS[1])[1]
if kept then
    local sound, document = pcall(cjson.decode, kept)
    if sound and type(document) == 'table' and document['status'] == 'SUCCESS' then return end
end
redis.call('SETEX', KEYS[1], ARGV[1], ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[2])
""")


class PatientBackend(RedisBackend):
    """Celery's backend; `backend_url` names it.

    Beside Celery's own properties a finished task's document has `reasons` (reasons v1), which the task left
    in its request as `slotgen_reasons`; readers that do not know it pass it over.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether storing is tried again: for all that passes. Celery retries broken connections only.

        It is for what Celery itself stores, as the end of a message that was revoked.
        """
        passes = isinstance(exc, REDIS_ERRORS) and cause_of(exc).passes
        return passes or super().exception_safe_to_retry(exc)

    def entry(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None
    ) -> tuple[bytes, int, bytes | str]:
        """Return the key of a task's result, for how many seconds it is kept, and the document."""
        meta = self._get_result_meta(result, state, traceback, request) | {"task_id": task_id}
        key: bytes = self.get_key_for_task(task_id)  # type: ignore[assignment]  # the stubs say str
        return key, int(self.expires), self.encode(meta)  # type: ignore[attr-defined]  # see there

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        # As the base class does, in one command instead of five; who retries is `store_result`, in one place.
        key, expires, document = self.entry(task_id, result, state, traceback, request)
        _STORE.run(self.client, [key], expires, document)
        return result

    def _get_result_meta(
        self, result: Any, state: str, traceback: Any, request: Any, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Return Celery's document of a result.

        The base class asks the settings and converts time zones for each one: a twentieth of a STUB job. Our
        tasks have no children, and `result_extended` is not offered.
        """
        done = datetime.now(UTC).isoformat() if state in states.READY_STATES else None
        meta = {"status": state, "result": result, "traceback": traceback, "children": [], "date_done": done}
        for name, key in (("group", "group_id"), ("parent_id", "parent_id")):
            if value := getattr(request, name, None):
                meta[key] = value
        reasons = getattr(request, "slotgen_reasons", None) if state == states.SUCCESS else None
        return meta | ({"reasons": reasons} if reasons else {})


class PatientSentinelBackend(PatientBackend, SentinelBackend):
    """The same behind Sentinel."""


def backend_url(url: str) -> str:
    """Return Celery's `url` with our backend in front, in the place where Celery lets one name a class."""
    kind = PatientSentinelBackend if url.startswith(SCHEME) else PatientBackend
    return f"{__name__}:{kind.__name__}+{url.removeprefix('redis+')}"


@dataclass(frozen=True, slots=True)
class ResultWriter:
    """Stores results from the jobs' event loop, in the backend's place and form."""

    backend: PatientBackend
    redis: RedisBatches

    async def store(self, task_id: str, result: Any, state: str, request: Any = None) -> None:
        """Store and publish the result, and wait for a Redis that does not take it, however long.

        Whatever it refuses for: a result that is given up would leave its message, and its place in the
        worker, with nobody.
        """
        said = self.backend.encode_result(result, state)
        key, expires, document = self.backend.entry(task_id, said, state, request=request)
        await self.redis.run_patiently(_STORE, [key], expires, document, refused_event="result_refused")

    async def store_progress(self, task_id: str, done: int, total: int) -> None:
        """Do the same with how many of a spec's jobs have their outcome."""
        await self.store(task_id, {"version": "v1", "done": done, "total": total}, "PROGRESS")
