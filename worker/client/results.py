"""Reads what Celery's result backend holds for a task: how it ended, its progress, or nothing yet.

Exception
├── InvalidMessage   (tasks.errors) the message was no job spec; it is kept in the dead letters
├── TaskFailed       the worker could not answer the message at all
└── TaskRevoked      it was cancelled, or had not begun when it expired
"""

import json
from dataclasses import dataclass
from typing import Any

from schemas import is_valid
from tasks.delivery import Answer, Delivery
from tasks.errors import InvalidMessage


class TaskFailed(Exception):  # noqa: N818 - says what happened, as Celery's FAILURE does
    """The task ended without results; the text has the worker's reason."""


class TaskRevoked(Exception):  # noqa: N818 - says what happened, as Celery's REVOKED does
    """The task never began."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of a spec's jobs have their outcome."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class TaskResult:
    """How a task ended: with deliveries in the order of its jobs, or with the `error` that says why not."""

    task_id: str
    deliveries: tuple[Delivery, ...] = ()
    error: Exception | None = None

    def result(self) -> list[Delivery]:
        """Return the deliveries, or raise the error."""
        if self.error:
            raise self.error
        return list(self.deliveries)


def read(task_id: str, stored: bytes | None) -> TaskResult | Progress | None:
    """Return what the backend's document for `task_id` says; None if it says nothing yet.

    A document that is not ours (broken JSON, results of another task) counts as ended, with an error.
    """
    if stored is None:
        return None
    try:
        return _read(task_id, json.loads(stored))
    except (KeyError, TypeError, ValueError, RecursionError):
        return TaskResult(task_id, error=TaskFailed(f"{task_id}: its stored result is not one of slotgen's"))


def _read(task_id: str, document: dict[str, Any]) -> TaskResult | Progress | None:
    # Celery's other states, such as STARTED, say nothing yet.
    if document["status"] not in {"SUCCESS", "FAILURE", "REVOKED", "PROGRESS"}:
        return None
    if not is_valid("answer.v1", document):
        raise ValueError("not an answer of slotgen's")
    result = document["result"]
    match document["status"]:
        case "SUCCESS":
            return TaskResult(task_id, tuple(Answer(result, document["reasons"]).deliveries(task_id)))
        case "FAILURE":
            return TaskResult(task_id, error=_failure(task_id, result))
        case "REVOKED":
            why = "was cancelled, or had not begun when it expired; nothing was generated"
            return TaskResult(task_id, error=TaskRevoked(f"{task_id}: {why}"))
    return Progress(int(result["done"]), int(result["total"]))


def _failure(task_id: str, raised: dict[str, Any]) -> Exception:
    text = " ".join(str(each) for each in raised["exc_message"])
    if raised["exc_type"] == InvalidMessage.__name__:
        return InvalidMessage(text)
    return TaskFailed(f"{task_id}: {raised['exc_type']}: {text}")
