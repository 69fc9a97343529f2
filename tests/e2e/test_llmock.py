"""An independent stand-in (llmock) judges how the worker treats a server in trouble."""

from __future__ import annotations

import pytest

from tests.builders import a_spec, new_job, open_dials
from tests.closing_celery import Celery
from tests.waiting import eventually
from worker.dev.stack import stack

# Our own stand-in plays the same troubles in test_main_job.py.
pytestmark = pytest.mark.thorough


@pytest.fixture
def answer(llmock):
    with stack(openai_url=llmock.base_url("openai"), concurrency=20) as running:
        # The question for the model comes once, and must take none of the faults to come.
        eventually(lambda: [each.path for each in llmock.requests] == ["/v1/models"])
        running.client.mset(open_dials())
        with Celery(broker=running.redis_url, backend=running.redis_url, set_as_current=False) as celery:
            yield lambda spec: celery.send_task("slotgen.generate", args=[spec], queue="slotgen").get(
                timeout=60
            )


def jobs(number):
    """Return jobs whose requests differ: llmock tells calls apart by their bodies."""
    return [new_job() for _ in range(number)]


def test_the_enabled_path_passes_and_the_verdict_is_clean(llmock, answer):
    results = answer(a_spec(*jobs(20)))
    assert {result["status"] for result in results} == {"COMPLETED"}

    llmock.rate_limit(times=3, retry_after=1)
    llmock.fail(503, times=2)
    results = answer(a_spec(*jobs(10)))
    assert {result["status"] for result in results} == {"COMPLETED"}

    llmock.fail(400, times=1)
    llmock.fail(401, times=1)
    results = answer(a_spec(*jobs(2)))
    assert {result["status"] for result in results} == {"FAILED"}

    # One request for each job, and one more for each fault that passes: no storm.
    assert len(llmock.requests) == 1 + 20 + (10 + 5) + 2
    llmock.assert_resilient(strict=True)


def test_a_server_that_stays_down_is_given_up_without_a_storm(llmock, answer):
    llmock.outage()

    (result,) = answer(a_spec(*jobs(1)))

    assert result["status"] == "FAILED"
    assert len(llmock.requests) == 1 + 3
    llmock.assert_resilient()
