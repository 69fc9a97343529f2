"""A producer that means well: so many jobs a second, each sent until Redis has it, and answers to all."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import redis

from tests.builders import a_message, a_spec
from tests.faults.rig.fleet import Fleet, job_of
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync

_RATE = 20
_AGAIN_SECONDS = 0.1
_AT_ONCE = 1000


@dataclass(frozen=True)
class Answer:
    """What became of one job: its errorCode, None when it is COMPLETED. Times are wall seconds."""

    task_id: str
    code: str | None
    sent_wall: float
    answered_wall: float


@dataclass
class HonestLoad:
    """Twenty jobs a second. Whatever is wrong with Redis, each is sent until Redis says that it has it.

    `looking_after` is done now and then, until the last answer is there.
    """

    hurt: Fleet
    looking_after: Callable[[], None]
    sent_wall: dict[str, float] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def sending(self) -> Iterator[None]:
        thread = threading.Thread(target=self._send_all)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _send_all(self) -> None:
        due_mono = time.monotonic()
        with open_sync(self.hurt.server.url, timeout_seconds=2) as client:
            while not self._over.wait(max(0, due_mono - time.monotonic())):
                # What came while Redis was away is made up for.
                due_mono += 1 / _RATE
                task_id = str(uuid.uuid4())
                self.sent_wall[task_id] = time.time()
                message = json.dumps(a_message(a_spec(job_of(task_id)), task_id=task_id))
                while not self._sent(client, message):
                    time.sleep(_AGAIN_SECONDS)  # as any producer would
                if len(self.sent_wall) % _RATE == 0:  # once a second
                    self.looking_after()

    @staticmethod
    def _sent(client: redis.Redis, message: str) -> bool:
        try:
            return bool(client.lpush("slotgen", message))
        except redis.RedisError:
            return False

    def answers(self, within_seconds: float) -> list[Answer]:
        """Return what became of every job, once each has an answer; the end of sending must have come."""
        waiting, found = list(self.sent_wall), []

        def all_answered() -> bool:
            self.looking_after()
            stored = self._stored(waiting)
            found.extend(self._answer(task_id, raw) for task_id, raw in stored.items())
            waiting[:] = [each for each in waiting if each not in stored]
            return not waiting

        with contextlib.suppress(AssertionError):
            eventually(all_answered, within_seconds=within_seconds)
        assert not waiting, f"{len(waiting)} of {len(self.sent_wall)} honest jobs were lost, as {waiting[:3]}"
        return found

    def _stored(self, task_ids: list[str]) -> dict[str, bytes]:
        stored: dict[str, bytes] = {}
        for start in range(0, len(task_ids), _AT_ONCE):
            some = task_ids[start : start + _AT_ONCE]
            raw = self.hurt.client.mget([f"celery-task-meta-{each}" for each in some])
            stored |= {task_id: each for task_id, each in zip(some, raw, strict=True) if each is not None}
        return stored

    def _answer(self, task_id: str, raw: bytes) -> Answer:
        document: dict[str, Any] = json.loads(raw)
        assert document["status"] == "SUCCESS", document
        ((result,), (code,)) = document["result"], document["reasons"]["errorCodes"]
        assert (code is None) == (result["status"] == "COMPLETED"), document
        answered = datetime.fromisoformat(result["generatedAt"]).timestamp()
        return Answer(task_id, code, self.sent_wall[task_id], answered)
