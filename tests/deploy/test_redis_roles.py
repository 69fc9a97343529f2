"""Each role of deploy/redis/users.acl does its work on a real Redis, and nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from celery import Celery
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from tests.builders import a_spec, new_job, open_dials
from tests.debian import program
from tests.deploy.redis7 import ROLES, redis_server, users_of
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from tests.monitoring.test_auto_halt import wait_until_it_answers
from tests.ports import free_port
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import ALL, LENGTH, READ
from worker.client import Producer
from worker.dev.stack import WorkerProcess, worker_environment

pytestmark = pytest.mark.thorough

WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    users = users_of(folder)
    # Only here: somebody who sees what was refused to the others.
    with users.open("a") as more:
        more.write("user admin on >admin-password ~* &* +@all\n")
    options = ["--port", str(port), "--aclfile", users, "--enable-debug-command", "yes"]
    with nobody(port) as probe, redis_server(folder, options, probe):
        yield port


def nobody(port):
    """A client without a role; it takes the first refusal for an answer."""
    return open_sync(f"redis://127.0.0.1:{port}/0", timeout_seconds=5)


def url(port, role):
    return f"redis://{role}:{role}-password@127.0.0.1:{port}/0"


@pytest.fixture(scope="module")
def clients(port):
    opened = {role: redis.Redis.from_url(url(port, role)) for role in (*ROLES, "admin")}
    yield opened
    for client in opened.values():
        client.close()


def slotgen(port, role, *words):
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *words],
        env=os.environ | worker_environment(url(port, role), None),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


# What a role is for comes from the tests below; here is what it must not.
FORBIDDEN = [
    *(("producer", command) for command in (
        "SET slotgen:kill false", "DEL slotgen:kill", "GET slotgen:kill", "SET slotgen:allowlist {}",
        "LRANGE slotgen 0 -1", "RPOP slotgen", "DEL slotgen", "XRANGE slotgen:history - +",
        "GET slotgen:answer:x", "SET celery-task-meta-x forged", "KEYS *", "FLUSHALL", "CONFIG GET *",
        "EVAL return(1) 0", "ACL WHOAMI", "PUBLISH celery-task-meta-x forged", "PUBLISH slotgen:kill:0 true",
    )),
    *(("consumer", command) for command in (
        "SET slotgen:kill false", "GET slotgen:kill", "LPUSH slotgen x", "GET celery-task-meta-x",
        "XADD slotgen:results * delivery forged", "XTRIM slotgen:results MAXLEN 0", "DEL slotgen:results",
        "XRANGE slotgen:history - +", "KEYS *", "FLUSHALL",
    )),
    *(("worker", command) for command in (
        "SET slotgen:kill false", "SET slotgen:kill true",
        "SETEX slotgen:kill 9 false", "GETSET slotgen:kill false",
        "APPEND slotgen:kill x", "RENAME slotgen:taken slotgen:kill", "COPY slotgen:taken slotgen:kill",
        "MSET slotgen:kill false", "SET slotgen:feature true", "DEL slotgen:feature",
        "SET slotgen:rollout_percent 100", "SET slotgen:allowlist {}", "SET slotgen:budget_usd 9",
        "DEL slotgen:budget_usd", "SET slotgen:drills:x 1", "SET other 1", "FLUSHALL", "FLUSHDB", "KEYS *",
        "CONFIG SET maxmemory 1", "ACL LIST", "SHUTDOWN", "DEBUG SLEEP 1", "SCRIPT FLUSH", "CLIENT KILL ID 1",
        "SWAPDB 0 1", "MONITOR",
    )),
    # The same through a script, which runs with its caller's rights.
    ("worker", ["EVAL", "redis.call('SET', ARGV[1], 'false')", "0", "slotgen:kill"]),
    ("worker", ["EVAL", "redis.call('SET', KEYS[1], 'false')", "1", "slotgen:kill"]),
    *(("operator", command) for command in (
        "FLUSHALL", "FLUSHDB", "CONFIG GET *", "CONFIG SET appendonly no", "ACL LIST", "SHUTDOWN",
        "DEBUG SLEEP 1", "KEYS *", "MONITOR", "SET other 1", "CLIENT KILL ID 1",
        "REPLICAOF NO ONE", "SCRIPT FLUSH",
    )),
    *(("monitor", command) for command in (
        "SET slotgen:kill true", "DEL slotgen:kill", "LRANGE slotgen 0 -1", "HGETALL slotgen:unacked",
        "XRANGE slotgen:dead - +", "GET celery-task-meta-x", "FLUSHALL", "CONFIG GET *", "KEYS *",
        "PUBLISH slotgen:kill:0 true",
    )),
    *(("guard", command) for command in (
        "SET slotgen:kill false", "SET slotgen:kill true", "GET slotgen:kill", "DEL slotgen:feature",
        "DEL slotgen",        "XRANGE slotgen:audit - +", "XTRIM slotgen:audit MAXLEN 0",
        "FLUSHALL", "KEYS *", "LPUSH slotgen x",
    )),
]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "command"),
    FORBIDDEN,
    ids=[f"{r} {c if isinstance(c, str) else ' '.join(c)}" for r, c in FORBIDDEN],
)
def test_a_forbidden_act_is_refused(clients, role, command):
    words = command.split() if isinstance(command, str) else command

    with pytest.raises(ResponseError) as refusal:
        clients[role].execute_command(*words)

    assert isinstance(refusal.value, NoPermissionError) or "The user executing the script can't" in str(
        refusal.value
    )


# What a role must be allowed, for it to have a command of its kind.
PROBES = {"get": {ALL, READ}, "append": {ALL}, "del": {ALL}, "type": {ALL, READ, LENGTH}}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_with_each_key_what_the_table_says(clients, role):
    keys = [key for key in TABLE if key.type not in {"channel", "namespace"}]

    for key in keys:
        may = set(key.may.get(role, "").split())
        if role == "operator":
            may = {ALL}
        name = key.glob("slotgen").replace("*", "x").replace("[1-9]", "1")
        for command, kinds in PROBES.items():
            words = [command, name, "x"] if command == "append" else [command, name]
            said = clients["admin"].execute_command("ACL", "DRYRUN", role, *words)
            assert (said == b"OK") == bool(may & {*kinds, command}), (role, words, said)


def test_nobody_comes_in_without_a_role(port):
    with nobody(port) as client, pytest.raises(AuthenticationError):
        client.ping()


@pytest.fixture(scope="module")
def fake_openai():
    with FakeOpenAI() as server:
        yield server


@pytest.fixture
def worker(port, clients, fake_openai, tmp_path):
    # Whatever an earlier test left of itself, through the one role that may.
    for key, value in open_dials().items():
        clients["operator"].set(key, value)
    clients["operator"].delete("slotgen:guard")
    fake_openai.behave(Behaviour())
    lines = []
    (tmp_path / "password").write_text("worker-password")
    process = WorkerProcess(
        environment=worker_environment(f"redis://worker@127.0.0.1:{port}/0", fake_openai.base_url)
        | {"SLOTGEN_REDIS_PASSWORD_FILE": str(tmp_path / "password"), "SLOTGEN_STREAM_RESULTS": "1000"},
        log_path=tmp_path / "worker.log",
        on_line=lines.append,
    )
    process.start(["--metrics-port", "0"])
    for seen_by_ps in ("cmdline", "environ"):
        assert b"worker-password" not in Path(f"/proc/{process.pid}/{seen_by_ps}").read_bytes()
    yield process
    assert process.stop() == 0
    log = (tmp_path / "worker.log").read_text()
    assert "NOPERM" not in log
    assert "ACL failure" not in log
    assert "-password" not in log


@pytest.fixture
def producer(port):
    app = Celery(broker=url(port, "producer"), backend=url(port, "producer"), set_as_current=False)
    yield lambda spec: app.send_task("slotgen.generate", args=[spec], queue="slotgen").get(
        timeout=WAIT_SECONDS
    )
    app.close()


def test_producer_worker_and_operator_do_their_work(port, producer, worker, clients):
    # What Redis refuses from here on, it refuses to somebody's work.
    clients["admin"].acl_log_reset()
    consumer = clients["consumer"]
    consumer.xgroup_create("slotgen:results", "content", "$", mkstream=True)
    generated = producer(a_spec(new_job()))
    assert generated[0]["status"] == "COMPLETED"
    with pytest.raises(Exception, match="jobs"):
        producer({"version": "v1"})

    for words in (
        ["status"], ["tail", "--last", "5", "--limit", "1"], ["dead", "list"], ["budget"], ["audit"],
        ["cache", "show"],        ["report"], ["rollout", "50"], ["budget", "set", "5", "--reason",
        "a cap"], ["kill"],
        ["allowlist", "disable"],
    ):  # fmt: skip
        done = slotgen(port, "operator", *words, "--json")
        # A report of one outcome passes no criterion: that is its exit 1.
        assert done.returncode == (1 if words == ["report"] else 0), (words, done.stdout, done.stderr)

    halted = producer(a_spec(new_job()))
    assert halted[0]["status"] == "STUB"

    with Producer.open(url(port, "producer")) as ours:
        sent = ours.send(a_spec())
        assert ours.wait(sent, timeout_seconds=WAIT_SECONDS)[0].error_code == "KILL_SWITCH"
        assert ours.progress(sent) is None
        assert ours.cancel(sent) is False
        assert ours.queue_depth() == 0
    ((_, entries),) = consumer.xreadgroup("content", "c1", {"slotgen:results": ">"}, count=100)
    assert consumer.xack("slotgen:results", "content", *[entry_id for entry_id, _ in entries]) == 3
    consumer.xautoclaim("slotgen:results", "content", "c2", 0)

    assert {(entry["username"], entry["object"]) for entry in clients["admin"].acl_log()} == set()


def test_the_guard_halts_with_a_role_that_can_only_engage(producer, worker, clients, fake_openai, port):
    fake_openai.behave(Behaviour(play=Play.NOT_JSON))
    for _ in range(25):
        results = producer(a_spec(new_job()))
        if results[0]["status"] == "STUB":
            break

    assert results[0]["status"] == "STUB"
    assert clients["operator"].get("slotgen:kill") is None
    status = json.loads(slotgen(port, "operator", "status", "--json").stdout)
    assert "unusable" in json.dumps(status)
    assert "guard" in json.dumps(status)


def test_the_webhooks_role_halts_and_leaves_its_reason(clients):
    from worker.adapters.redis.console.kill_switch_lever import pull

    clients["operator"].set("slotgen:kill", "false")

    engaged = pull(
        clients["guard"], "slotgen", actor="alertmanager", command="slotgen webhook", reason="alert X"
    )

    assert (engaged.by, engaged.recorded) == ("DEL", True)
    assert clients["operator"].get("slotgen:kill") is None
    ((_, entry),) = clients["operator"].xrevrange("slotgen:audit", count=1)
    assert entry[b"reason"] == b"alert X"


@pytest.mark.parametrize("role", ["guard", "operator"])
def test_a_role_that_may_halt_does_so_where_redis_takes_no_write(role, worker, clients):
    from worker.adapters.redis.console.kill_switch_lever import pull

    clients["admin"].config_set("min-replicas-to-write", "1")
    try:
        engaged = pull(clients[role], "slotgen", actor="a", command="c", reason="r")
    finally:
        clients["admin"].config_set("min-replicas-to-write", "0")

    assert (engaged.by, engaged.heard) == ("PUBLISH", 1)
    assert "lacks replicas" in engaged.refusal


def test_the_monitors_role_is_enough_for_the_exporter(port):
    metrics_port = free_port()
    exporter = subprocess.Popen(
        [
            program("prometheus-redis-exporter"),
            f"--redis.addr=redis://127.0.0.1:{port}",
            "--redis.user=monitor",
            "--redis.password=monitor-password",
            f"--web.listen-address=127.0.0.1:{metrics_port}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        text = wait_until_it_answers(f"http://127.0.0.1:{metrics_port}/metrics")
    finally:
        exporter.terminate()
        exporter.wait(WAIT_SECONDS)
    assert "\nredis_up 1" in text
    assert "\nredis_memory_used_bytes" in text


def test_the_monitors_role_is_enough_for_keda(clients):
    # KEDA's redis scaler asks for the length by a script that declares the key.
    script = """
    local kinds = {list='llen', hash='hlen', none='llen'}
    return redis.call(kinds[redis.call('type', KEYS[1]).ok], KEYS[1])
    """

    for key in ("slotgen", "slotgen:unacked"):
        assert clients["monitor"].eval(script, 1, key) == 0
