"""What a managed service denies, denied by a role of Redis 7: what works all the same, and what cannot."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from tests.builders import a_spec, new_job, open_dials
from tests.deploy.generate_and_halt import CALLS, Urls, generate_and_halt, slotgen
from tests.deploy.redis7 import redis_server
from tests.faults.rig.promise import within
from tests.log_lines import LogLines
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync
from worker.client import Producer
from worker.dev.stack import WorkerProcess, worker_environment

pytestmark = pytest.mark.thorough

# As the pages of the services have it: administration of the server is the provider's.
USUALLY = (
    "-acl -bgrewriteaof -bgsave -cluster -config -debug -failover -lastsave -migrate -module -monitor -psync "
    "-replicaof -save -shutdown -slaveof -slowlog -swapdb -sync"
)
# Nobody denies all of this; each is done without.
DONE_WITHOUT = f"{USUALLY} -client|tracking -client|id -hello -info -object -script -latency -select"
# With the exit code of `slotgen kill`: without a channel a worker cannot confirm.
NEEDED = {"client|reply": 0, "eval": 0, "publish": 1, "time": 0}


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def admin(port, tmp_path, request) -> Iterator[redis.Redis]:
    """The only one who may do everything; everybody else is denied what the test says."""
    users = tmp_path / "users.acl"
    users.write_text(
        f"user default on nopass ~* &* +@all {request.param}\nuser admin on >admin-password ~* &* +@all\n"
    )
    with (
        open_sync(f"redis://admin:admin-password@127.0.0.1:{port}/0") as client,
        redis_server(tmp_path, ["--port", str(port), "--aclfile", users, "--appendonly", "yes"], client),
    ):
        yield client


def url(port: int) -> str:
    return f"redis://127.0.0.1:{port}/0"


@pytest.mark.parametrize("admin", [USUALLY, DONE_WITHOUT], ids=["usually", "done without"], indirect=True)
def test_jobs_are_generated_and_halted_without_what_services_deny(admin, port, tmp_path):
    halt, lines = generate_and_halt(Urls(*[url(port)] * 3), admin, tmp_path)

    assert (halt["by"], halt["recorded"]) == ("SET", True)
    assert (halt["confirmed"], halt["cancelledCalls"]) == (1, CALLS)
    # Where Redis reports no change, it is asked every 50 ms.
    within(halt["milliseconds"], 150)
    assert "redis_refused" not in lines.events


@pytest.mark.parametrize(
    ("admin", "code"),
    [(f"{USUALLY} -{each}", code) for each, code in NEEDED.items()],
    ids=NEEDED,
    indirect=["admin"],
)
def test_what_cannot_be_done_without_is_said_and_the_halt_works(admin, port, tmp_path, code):
    lines = LogLines()
    worker = WorkerProcess(worker_environment(url(port), "http://127.0.0.1:9"), tmp_path / "log", lines.hear)
    try:
        worker.start(["--metrics-port", "0"])
        admin.mset(open_dials(feature="false"))
        with Producer.open(url(port)) as producer:
            producer.send(a_spec(new_job()))
        refused = {"redis_refused", "result_refused", "kill_messages_forbidden"}

        line = lines.wait_for(
            lambda found: next((each for each in found if each["event"] in refused), None), "nothing was said"
        )

        assert line.get("cause", line["event"]) in {"forbids this to the user", "kill_messages_forbidden"}
        assert slotgen(url(port), "kill", code=code)["halted"] is True
        assert admin.get("slotgen:kill") == b"true"
    finally:
        worker.stop()
