"""Reads the answers of an earlier run, and says which of its jobs are worth sending again."""

import json
from pathlib import Path

from tasks.errors import RETRYABLE, Status
from worker.client.sources import BadSource


def jobs_to_send_again(answers: Path) -> set[str]:
    """Return the ids of the jobs that are STUB in `answers`, or FAILED through no fault of their own.

    `answers` is what `slotgen enqueue --wait` printed, once or several times: a job's last answer counts.

    Raises:
        BadSource: the file cannot be read, or has a line that is not such an answer.

    """
    again: dict[str, bool] = {}
    try:
        with answers.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    job_id, status, error_code = _answer(line, f"{answers}:{number}")
                    again[job_id] = status == Status.STUB or error_code in RETRYABLE
    except OSError as error:
        raise BadSource(
            f"{answers}: cannot be read ({error.strerror}); name the file of the answers"
        ) from None
    if not again:
        raise BadSource(f"{answers}: has no answer; it must not be the file that this run writes to")
    return {job_id for job_id, wanted in again.items() if wanted}


def _answer(line: bytes, place: str) -> tuple[str, str, str | None]:
    try:
        answer = json.loads(line)
        return str(answer["jobId"]), answer["result"]["status"], answer["errorCode"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise BadSource(
            f"{place}: is not an answer; name a file that slotgen enqueue --wait has written"
        ) from None
