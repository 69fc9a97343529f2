"""A firewall that dislikes one prompt fails that job, and no other."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.fleet import fleet

JOBS = 60


@pytest.mark.timeout(120)
def test_a_firewalls_page_about_one_prompt_fails_that_job_alone(saw):
    with fleet(persistent=False) as hurt:
        hurt.start_workers(2, SLOTGEN_CONTROL_READ_TIMEOUT_MS="5000")
        # Whichever comes first; the others come while its job ends, and after it.
        hurt.fake_openai.behave(Behaviour(delay_seconds=0.2))
        hurt.fake_openai.play_next(Behaviour(play=Play.HTML, status=403))

        task_ids = hurt.send(JOBS)

        statuses = Counter(hurt.statuses(task_ids))
        codes = Counter(hurt.codes_of(task_ids))
        breaker = hurt.client.exists("slotgen:breaker")
        begun = hurt.fake_openai.journal.counts().begun
        saw(
            "firewall",
            f"one of {JOBS} requests of 2 workers gets 403 and a page of HTML",
            f"{statuses['FAILED']} FAILED, {statuses['COMPLETED']} COMPLETED, {begun} requests; the breaker"
            f" {'opened' if breaker else 'stayed closed'}",
            "that job alone",
        )
        assert codes == {"OPENAI_BAD_REQUEST": 1, None: JOBS - 1}
        assert statuses == {"FAILED": 1, "COMPLETED": JOBS - 1}
        assert not breaker
        assert begun == JOBS
