"""For producers in Python that want more than Celery: check, send, wait, cancel."""

from tasks.delivery import Delivery
from tasks.errors import InvalidMessage, StoreUnavailable
from worker.producing.endings import Ending, Progress, TaskFailed, TaskRevoked
from worker.producing.producer import AnswerLate, Producer, Sent

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
