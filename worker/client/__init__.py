"""For producers in Python that want more than Celery: check, send, wait, cancel."""

from tasks.delivery import Delivery
from tasks.errors import InvalidMessage, StoreUnavailable
from worker.client.producer import AnswerLate, Producer, Sent
from worker.client.results import Progress, TaskFailed, TaskResult, TaskRevoked

__all__ = [
    "AnswerLate",
    "Delivery",
    "InvalidMessage",
    "Producer",
    "Progress",
    "Sent",
    "StoreUnavailable",
    "TaskFailed",
    "TaskResult",
    "TaskRevoked",
]
