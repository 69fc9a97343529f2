"""What the result backend keeps is read for what it is; what is not ours is an error, not a crash."""

from __future__ import annotations

import json

import pytest

from tasks.errors import InvalidMessage
from worker.client.results import Progress, TaskFailed, TaskResult, TaskRevoked, read

RESULT = {
    "version": "v1",
    "jobId": "a",
    "status": "STUB",
    "generatedAt": "2026-11-24T10:00:00Z",
    "output": None,
}
REASONS = {"version": "v1", "executorVersion": "7", "requiresReview": False, "errorCodes": ["KILL_SWITCH"]}


def stored(status, result, **more):
    return json.dumps({"status": status, "result": result, "task_id": "t"} | more).encode()


def test_a_success_is_its_deliveries():
    (delivery,) = read("t", stored("SUCCESS", [RESULT], reasons=REASONS)).result()

    assert (delivery.task_id, delivery.job_id, delivery.error_code) == ("t", "a", "KILL_SWITCH")
    assert (delivery.executor_version, delivery.requires_review) == ("7", False)


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            stored("FAILURE", {"exc_type": "InvalidMessage", "exc_message": ["jobs: is missing"]}),
            InvalidMessage,
        ),
        (stored("FAILURE", {"exc_type": "WorkerLostError", "exc_message": ["gone"]}), TaskFailed),
        (stored("REVOKED", {"exc_type": "TaskRevokedError", "exc_message": ["expired"]}), TaskRevoked),
        (b"{half", TaskFailed),
        (b"[" * 200_000, TaskFailed),
        (stored("SUCCESS", [RESULT]), TaskFailed),
        (stored("SUCCESS", [{}], reasons=REASONS), TaskFailed),
        (stored("SUCCESS", [RESULT], reasons=REASONS | {"errorCodes": [5]}), TaskFailed),
        (stored("FAILURE", {"exc_type": "InvalidMessage", "exc_message": "text"}), TaskFailed),
        (b"[]", TaskFailed),
        (stored("SUCCESS", 7), TaskFailed),
        (stored("SUCCESS", [RESULT, RESULT], reasons=REASONS), TaskFailed),
        (stored("FAILURE", None), TaskFailed),
        (stored("PROGRESS", {"done": "many"}), TaskFailed),
    ],
)
def test_what_has_no_deliveries_raises_why(document, error):
    result = read("t", document)

    assert isinstance(result, TaskResult)
    with pytest.raises(error):
        result.result()


def test_nothing_and_what_has_only_begun_are_no_endings():
    assert read("t", None) is None
    assert read("t", stored("STARTED", {"pid": 1})) is None
    assert read("t", stored("PROGRESS", {"version": "v1", "done": 3, "total": 10})) == Progress(3, 10)
