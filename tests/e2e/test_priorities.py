"""What is sent with a priority is answered, in its turn."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.builders import a_spec, new_job
from tests.e2e.conftest import SELDOM, WAIT_SECONDS, a_system
from tests.fakes.openai.server import Behaviour
from worker.dev.redis_server.binary import find_redis_server


@pytest.mark.parametrize("priority", range(10))
def test_a_job_of_any_priority_is_answered(system, priority):
    sent = system.celery.send_task(
        "slotgen.generate", args=[a_spec(new_job())], queue="slotgen", priority=priority
    )

    assert [each["status"] for each in sent.get(timeout=WAIT_SECONDS)] == ["COMPLETED"]


def test_a_bad_message_holds_up_none_that_come_after_it(system):
    queued = [
        system.celery.send_task("slotgen.generate", args=[each], queue="slotgen", priority=9)
        for each in [*[{}] * 20, a_spec(new_job())]
    ]

    assert queued[-1].get(timeout=WAIT_SECONDS)[0]["status"] == "COMPLETED"
    with pytest.raises(Exception, match="jobs"):
        queued[0].get(timeout=WAIT_SECONDS)


def test_priorities_are_taken_in_their_order():
    with a_system(concurrency=1, settings=SELDOM) as system:
        system.set_dials()
        system.fake_openai.play_next(Behaviour(delay_seconds=60))
        system.send(a_spec(new_job()))
        system.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 1, WAIT_SECONDS)
        sent = {}
        for priority in (9, 3, 0, 6, 0, 9):
            job = new_job()
            sent[job["jobId"]] = priority
            last = system.celery.send_task(
                "slotgen.generate", args=[a_spec(job)], queue="slotgen", priority=priority
            )

        system.fake_openai.release()
        assert last.get(timeout=WAIT_SECONDS)

        lines = system.lines.wait_for(lambda lines: lines.outcomes if len(lines.outcomes) == 7 else [])
        assert [sent[each["telemetry"]["jobId"]] for each in lines[1:]] == [0, 0, 3, 6, 9, 9]


def test_status_finds_what_was_sent_without_a_queue_and_its_command_moves_it(system, slotgen):
    def in_the_way():
        found = json.loads(slotgen("status", "--json").stdout)["inTheWay"]
        return [each["command"] for each in found if "queue=" in each["what"]]

    sent = [system.celery.send_task("slotgen.generate", args=[a_spec(new_job())], priority=3) for _ in "12"]
    (command,) = in_the_way()
    assert 'send with queue="slotgen"' in slotgen("status").stdout
    path = f"{find_redis_server().parent}:/usr/bin:/bin"
    where = {"PATH": path, "SLOTGEN_REDIS_URL": system.stack.redis_url}
    subprocess.run(["bash", "-c", command], check=True, capture_output=True, env=where)

    assert [each.get(timeout=WAIT_SECONDS)[0]["status"] for each in sent] == ["COMPLETED"] * 2
    assert in_the_way() == []
    # What this producer's Celery left of the queue that nobody has.
    system.stack.client.delete("_kombu.binding.celery", "_kombu.binding_permanent.celery")
