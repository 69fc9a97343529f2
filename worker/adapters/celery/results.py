"""Celery's Redis result backend, patient with a Redis that refuses writes for a while."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from celery import states
from celery.backends.redis import RedisBackend, SentinelBackend

from tasks.delivery import Answer
from worker.adapters.celery.in_hand import InHand
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.errors import REDIS_ERRORS
from worker.adapters.redis.jobs.history import OutcomeEntries
from worker.adapters.redis.keys import HISTORY, RESULTS, UNACKED, UNACKED_INDEX
from worker.adapters.redis.scripts import LuaScript
from worker.settings.redis_url import SCHEME

# A success is final: a message that came back is answered again, and must not replace what its producer may
# have read. The value is also published, for producers that wait on the channel: if Redis forbids that, they
# find it the next time they look.
_STORED = """
local function store(key, seconds, document)
  local kept = redis.call('MGET', key)[1]
  if kept then
    local sound, before = pcall(cjson.decode, kept)
    if sound and type(before) == 'table' and before['status'] == 'SUCCESS' then return end
  end
  redis.call('SETEX', key, seconds, document)
  redis.pcall('PUBLISH', key, document)
end
"""
_STORE = LuaScript(_STORED + "store(KEYS[1], ARGV[1], ARGV[2])")
# KEYS: the result, the results stream, the history, what is held, and when it was taken. If it is not held,
# it was finished already and the reply was lost, or somebody else has the message. What Redis may refuse
# comes first, so that nothing is done twice.
_FINISH = LuaScript(
    _STORED
    + """
local held, dropped, trimmed, last = redis.call('HEXISTS', KEYS[4], ARGV[1]) == 1, 0, 0, 6 + ARGV[6]
for i = held and last + 1 or #ARGV + 1, #ARGV do
  local before = redis.call('XLEN', KEYS[2])
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'delivery', ARGV[i])
  trimmed = trimmed + before + 1 - redis.call('XLEN', KEYS[2])
end
if KEYS[1] ~= '' then store(KEYS[1], ARGV[2], ARGV[3]) end
if not held then return {0, 0} end
for i = 7, last do
  local said = redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'o', ARGV[i])
  if type(said) == 'table' then dropped = dropped + 1 end
end
redis.call('HDEL', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
return {dropped, trimmed}
"""
)


class PatientBackend(RedisBackend):
    """Celery's backend; `backend_url` names it.

    Besides Celery's own properties the document of a spec's results has `reasons` (reasons v1); readers that
    do not know them ignore them.
    """

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether storing is tried again, as it is whatever Redis says; Celery retries less.

        This concerns what Celery itself stores, such as the end of a revoked message.
        """
        return isinstance(exc, REDIS_ERRORS) or super().exception_safe_to_retry(exc)

    def entry(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **more: Any
    ) -> tuple[bytes, int, bytes | str]:
        """Return the key of a task's result, how many seconds it is kept, and the document with `more`."""
        meta = self._get_result_meta(result, state, traceback, request) | {"task_id": task_id} | more
        key: bytes = self.get_key_for_task(task_id)  # type: ignore[assignment]  # the stubs say str
        return key, int(self.expires), self.encode(meta)  # type: ignore[attr-defined]  # see there

    def _store_result(
        self, task_id: str, result: Any, state: str, traceback: Any = None, request: Any = None, **_: Any
    ) -> Any:
        # As the base class does, in one command instead of five; only `store_result` retries.
        key, expires, document = self.entry(task_id, result, state, traceback, request)
        _STORE.run(self.client, [key], expires, document)
        return result

    def _get_result_meta(
        self, result: Any, state: str, traceback: Any, request: Any, *_: Any, **__: Any
    ) -> dict[str, Any]:
        """Return Celery's document of a result.

        The base class reads settings and converts time zones each time, which took a twentieth of a STUB job.
        Our tasks have no children, and `result_extended` is not offered.
        """
        done = datetime.now(UTC).isoformat() if state in states.READY_STATES else None
        meta = {"status": state, "result": result, "traceback": traceback, "children": [], "date_done": done}
        for name, key in (("group", "group_id"), ("parent_id", "parent_id")):
            if value := getattr(request, name, None):
                meta[key] = value
        return meta


class PatientSentinelBackend(PatientBackend, SentinelBackend):
    """The same behind Sentinel."""


def backend_url(url: str) -> str:
    """Return Celery's `url` with our backend in front, where Celery allows a class to be named."""
    kind = PatientSentinelBackend if url.startswith(SCHEME) else PatientBackend
    return f"{__name__}:{kind.__name__}+{url.removeprefix('redis+')}"


@dataclass(frozen=True, slots=True)
class ResultWriter:
    """Stores results from the jobs' event loop, where and as the backend would.

    `stream_kept` bounds the results stream (0: no stream), and `count_trimmed` hears of entries that newer
    ones pushed out of it; `history_kept` bounds the history, and `count_dropped` hears of outcomes that Redis
    did not take into it.
    """

    backend: PatientBackend
    redis: RedisBatches
    namespace: str
    in_hand: InHand
    outcomes: OutcomeEntries
    history_kept: int
    stream_kept: int
    count_dropped: Callable[[int], None]
    count_trimmed: Callable[[int], None]

    async def finish(self, request: Any, result: Any, answer: Answer | None = None) -> None:
        """End a task: store its result, deliver it, note its outcomes, and stop holding its message.

        All of it is one step, so that a result and its acknowledgement cannot part. If Redis does not take
        it, it waits, however long and for whatever reason: giving up would strand the message and its place
        in the worker. Without an `answer`, `result` is an exception.
        """
        tag = request.properties["delivery_tag"]
        key, expires, document = self._entry(request, result, answer)
        deliveries = answer.deliveries(request.id) if answer and self.stream_kept else []
        outcomes = self.outcomes.of(request.id)
        dropped, trimmed = await self.redis.run_patiently(
            _FINISH,
            [key, *(each(self.namespace) for each in (RESULTS, HISTORY, UNACKED, UNACKED_INDEX))],
            tag,
            expires,
            document,
            self.stream_kept,
            self.history_kept,
            len(outcomes),
            *outcomes,
            *(json.dumps(each.as_document(), ensure_ascii=False) for each in deliveries),
        )
        if dropped:
            self.count_dropped(dropped)
        if trimmed:
            self.count_trimmed(trimmed)
        self.outcomes.forget(request.id)
        self.in_hand.forget(tag)

    def _entry(self, request: Any, result: Any, answer: Answer | None) -> tuple[bytes, int, bytes | str]:
        if request.ignore_result:
            return b"", 0, b""
        if answer is not None:
            return self.backend.entry(
                request.id, result, states.SUCCESS, request=request, reasons=answer.reasons
            )
        said = self.backend.encode_result(result, states.FAILURE)
        return self.backend.entry(request.id, said, states.FAILURE, request=request)

    async def store_progress(self, task_id: str, done: int, total: int) -> None:
        """Store and publish how many of a spec's jobs have their outcome."""
        said = {"version": "v1", "done": done, "total": total}
        key, expires, document = self.backend.entry(task_id, said, "PROGRESS")
        await self.redis.run_patiently(_STORE, [key], expires, document)
