"""A model server that hangs, drips, drops or babbles costs a bounded number of attempts, and no worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.hasty_config import write_config

# One bad answer of each kind is given to a worker in tests/e2e/test_main_job.py.
pytestmark = pytest.mark.thorough

ATTEMPTS = 3
JOBS = 5


@pytest.fixture(scope="module")
def hasty(tmp_path_factory) -> Iterator[Fleet]:
    config = write_config(
        tmp_path_factory.mktemp("config"),
        jobDeadlineSeconds=4,
        requestTimeoutSeconds=0.5,
        attempts=ATTEMPTS,
        backoff={"initialSeconds": 0.05, "maxSeconds": 0.2},
    )
    with fleet(persistent=False) as hurt:
        hurt.start_worker(SLOTGEN_EXECUTOR_CONFIG=str(config))
        yield hurt


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        (Behaviour(play=Play.HANG), ("OPENAI_TIMEOUT", ATTEMPTS, 0)),
        (Behaviour(play=Play.DRIP, drip_seconds=30), ("OPENAI_TIMEOUT", ATTEMPTS, ATTEMPTS)),
        (Behaviour(play=Play.RESET_AFTER_WORK), ("OPENAI_CONNECTION_ERROR", ATTEMPTS, ATTEMPTS)),
        (Behaviour(play=Play.HTML), ("OPENAI_BAD_RESPONSE", 1, 1)),
        (Behaviour(play=Play.NULL), ("OPENAI_BAD_RESPONSE", 1, 1)),
        (Behaviour(play=Play.MALFORMED_JSON), ("OPENAI_BAD_RESPONSE", 1, 1)),
    ],
    ids=lambda value: value.play.value if isinstance(value, Behaviour) else value[0],
)
def test_a_bad_server_costs_a_bounded_number_of_attempts_and_the_worker_goes_on(
    hasty, behaviour, expected, saw
):
    code, attempts, billed = expected
    hasty.fake_openai.behave(behaviour)
    bodies_before = hasty.fake_openai.journal.billed_requests()
    begun_before = hasty.fake_openai.journal.counts().begun

    task_ids = hasty.send(JOBS)
    assert hasty.statuses(task_ids) == ["FAILED"] * JOBS

    assert hasty.codes_of(task_ids) == [code] * JOBS
    begun = hasty.fake_openai.journal.counts().begun - begun_before
    times_billed = sorted((hasty.fake_openai.journal.billed_requests() - bodies_before).values())
    assert begun == JOBS * attempts
    assert times_billed == [billed] * (JOBS if billed else 0)
    assert hasty.client.keys("slotgen:ledger:*") == []
    hasty.fake_openai.behave(Behaviour())
    assert hasty.statuses(hasty.send(JOBS)) == ["COMPLETED"] * JOBS
    saw(
        "bad server",
        f"{JOBS} jobs, the server plays {behaviour.play.value}",
        f"FAILED, {code}; {begun // JOBS} attempt(s) and {billed} bill(s) a job; then it completes again",
        f"<= {ATTEMPTS} attempts a job",
    )
