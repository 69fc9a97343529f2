"""Redis does what it was asked and the connection breaks before the reply: the job still gets its result."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.builders import a_spec
from tests.faults.rig.fleet import Fleet, fleet
from tests.faults.rig.tcp_proxy import TcpProxy
from worker.adapters.celery.redelivery import _ACK, _TAKE
from worker.adapters.celery.results import _FINISH

# By words that the command on the wire has in it, in the order of a job's way.
COMMANDS = {
    "taking the message": ("EVALSHA", _TAKE.sha),
    "reading the dials": ("MGET", "slotgen:allowlist"),
    "claiming the job": ("EVAL", "slotgen:claim:", "slotgen:workers:resumed"),
    "its departure": ("EVAL", "slotgen:budget:holds"),
    "its arrival": ("EVAL", "slotgen:guard:spent:"),
    "its end": ("EVAL", "celery-task-meta-"),
}


@pytest.fixture(scope="module")
def behind_a_proxy() -> Iterator[tuple[Fleet, TcpProxy]]:
    with fleet(persistent=False) as hurt, TcpProxy(hurt.server.port) as proxy:
        hurt.start_worker(SLOTGEN_REDIS_URL=f"redis://127.0.0.1:{proxy.port}/0")
        yield hurt, proxy


@pytest.mark.timeout(120)
@pytest.mark.parametrize("step", COMMANDS)
def test_whatever_reply_is_lost_the_job_gets_its_result_and_is_paid_once(step, behind_a_proxy, saw):
    hurt, proxy = behind_a_proxy
    lost_before = proxy.replies_lost
    proxy.lose_reply_to(*COMMANDS[step])

    try:
        # Two, one after the other: the first comes with a BLMOVE that was sent before.
        statuses = [*hurt.statuses(hurt.send(1)), *hurt.statuses(hurt.send(1))]
        hurt.wait_until_nothing_is_held()
    finally:
        # What one step leaves behind is not the next one's fault.
        hurt.client.delete("slotgen:unacked", "slotgen:unacked_index")

    assert proxy.replies_lost == lost_before + 1
    assert set(statuses) <= {"COMPLETED", "STUB"}
    assert set(hurt.fake_openai.journal.billed_requests().values()) == {1}
    assert hurt.statuses(hurt.send(1)) == ["COMPLETED"]
    saw(
        "lost reply",
        f"connection reset before Redis's reply to the command for {step}",
        f"two jobs {' and '.join(statuses)}, nothing held, none billed twice",
        "0 lost, paid once",
    )


@pytest.mark.timeout(120)
def test_an_end_that_never_reaches_redis_is_said_again(behind_a_proxy, saw):
    hurt, proxy = behind_a_proxy
    lost_before = proxy.requests_lost
    proxy.lose_request(_FINISH.sha)

    statuses = [*hurt.statuses(hurt.send(1)), *hurt.statuses(hurt.send(1))]
    hurt.wait_until_nothing_is_held()

    assert proxy.requests_lost == lost_before + 1
    assert statuses == ["COMPLETED"] * 2
    assert set(hurt.fake_openai.journal.billed_requests().values()) == {1}
    saw(
        "lost request",
        "connection reset before the end of a job has reached Redis",
        "two jobs COMPLETED, nothing held, none billed twice",
        "0 lost, paid once",
    )


@pytest.mark.timeout(120)
def test_an_acknowledgement_that_never_reaches_redis_is_made_later(behind_a_proxy):
    hurt, proxy = behind_a_proxy
    lost_before = proxy.requests_lost
    proxy.lose_request(_ACK.sha)

    # It has no result of ours: Celery itself revokes what has expired.
    hurt.celery.send_task("slotgen.generate", args=[a_spec()], queue="slotgen", expires=-1)
    assert hurt.statuses(hurt.send(1)) == ["COMPLETED"]
    hurt.wait_until_nothing_is_held()

    assert proxy.requests_lost == lost_before + 1
