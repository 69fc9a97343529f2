"""What an earlier run's answers say is worth sending again."""

from __future__ import annotations

import json

import pytest

from tasks.errors import RETRYABLE
from worker.client.again import jobs_to_send_again
from worker.client.sources import BadSource


def answer(job_id, status, error_code=None):
    return json.dumps({"jobId": job_id, "errorCode": error_code, "result": {"status": status}}) + "\n"


def test_it_is_what_was_a_stub_or_failed_through_no_fault_of_the_job(tmp_path):
    file = tmp_path / "answers.jsonl"
    failed = "".join(answer(code, "FAILED", code) for code in RETRYABLE)
    others = answer("done", "COMPLETED") + answer("unusable", "FAILED", "OUTPUT_SCHEMA_INVALID")
    file.write_text(answer("stub", "STUB", "KILL_SWITCH") + failed + "\n" + others)

    assert jobs_to_send_again(file) == {"stub", *RETRYABLE}


def test_the_last_answer_to_a_job_counts(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text(
        answer("a", "STUB", "KILL_SWITCH") + answer("b", "STUB", "KILL_SWITCH") + answer("a", "COMPLETED")
    )

    assert jobs_to_send_again(file) == {"b"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no answer; it must not be the file that this run writes to"),
        (answer("a", "COMPLETED") + '{"source": "-", "line": 1, "taskId": "x"}', ":2: is not an answer"),
        ("[" * 100_000, ":1: is not an answer"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_what_are_no_answers_is_named(tmp_path, text, said):
    file = tmp_path / "answers.jsonl"
    if text is not None:
        file.write_text(text)

    with pytest.raises(BadSource) as refused:
        jobs_to_send_again(file)

    assert said in str(refused.value)
