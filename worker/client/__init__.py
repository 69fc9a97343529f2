"""For producers in Python that want more than Celery: check, send, wait, cancel."""

from tasks.delivery import Delivery
from tasks.errors import InvalidMessage, StoreUnavailable
from worker.client.producer import AnswerLate, Producer, Sent
from worker.client.results import Ending, Progress, TaskFailed, TaskRevoked

__all__ = [
    "AnswerLate",
    "Delivery",
    "Ending",
    "InvalidMessage",
    "Producer",
    "Progress",
    "Sent",
    "StoreUnavailable",
    "TaskFailed",
    "TaskRevoked",
]
