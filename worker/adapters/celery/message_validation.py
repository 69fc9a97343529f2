"""Keeps a message that should never have been on the queue, answers its producer, and counts it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery

from tasks.errors import InvalidMessage
from tasks.generate.intake import MessageLimits, Rejected, RejectReason, Sound, inspect
from telemetry import emit
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters

_SHOWN = 256
_log = logging.getLogger("slotgen.intake")


@dataclass(frozen=True, slots=True)
class MessageValidation:
    """Checks messages as they leave the queue; the transport option `validator`. `count` gets each reason."""

    limits: MessageLimits
    dead_letters: RedisDeadLetters
    app: Celery
    count: Callable[[str], None]

    def inspect(self, raw: bytes) -> Sound:
        """Return the message in `raw`, and its spec. Raises Rejected."""
        return inspect(raw, self.limits)

    def reject(self, queue: str, raw: bytes, rejected: Rejected) -> None:
        """Keep the message, then answer its producer. Raises RedisError when it could not be kept."""
        reason = rejected.reason.value
        # The id may be as long as the message.
        task_id = rejected.task_id and rejected.task_id[:_SHOWN]
        dead_id = self.dead_letters.add(queue, reason, rejected.problem, task_id, raw)
        self.count(reason)
        emit(
            _log,
            logging.WARNING,
            "message_rejected",
            reason=reason,
            problem=rejected.problem,
            dead_id=dead_id,
            task_id=task_id,
        )
        for each in (rejected.task_id, *rejected.followers):
            self._answer(each, rejected.problem)

    def _answer(self, task_id: str | None, problem: str) -> None:
        if task_id:
            self.app.backend.mark_as_failure(task_id, InvalidMessage(problem))

    def keep(self, queue: str, held: bytes, problem: str) -> None:
        """Keep something that somebody else put where messages are held. Raises RedisError."""
        # It has no producer who could be told.
        self.reject(queue, held, Rejected(RejectReason.NOT_A_TASK_MESSAGE, problem))

    def dead_letter(self, queue: str, raw: bytes, task_id: str | None, deaths: int, pipe: Any) -> None:
        """Keep a message that `deaths` workers have died holding, as one step of the transaction `pipe`."""
        problem = f"{deaths} workers ended while they held this message; find out why, then replay it"
        reason = RejectReason.KILLED_ITS_WORKERS.value
        self.dead_letters.within(pipe).add(queue, reason, problem, task_id, raw)

    def report_dead_lettered(self, task_id: str | None) -> None:
        """Answer the producer of a message that was dead-lettered, and count it."""
        self.count(RejectReason.KILLED_ITS_WORKERS.value)
        emit(_log, logging.ERROR, "message_dead_lettered", task_id=task_id)
        self._answer(task_id, "the workers that held this message ended; it is kept")
