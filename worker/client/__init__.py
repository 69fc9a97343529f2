"""Check, send, wait, cancel: a convenience for producers that run in slotgen's own environment.

Everyone else needs only Celery; see docs/first-job-python.md. Importing this does not import the worker.
"""

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
