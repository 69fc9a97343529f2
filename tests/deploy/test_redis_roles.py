"""Each role of deploy/redis/users.acl does its work on a real Redis, and nothing else."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from tasks.errors import ErrorCode
from tasks.ports import Arrival
from tests.bookings import Bookings, some_steps
from tests.builders import a_spec, new_job, open_dials
from tests.closing_celery import Celery
from tests.debian import program
from tests.deploy.redis7 import ROLES, redis_server, users_of
from tests.deploy.role_matrix import ROWS, keyless, matrix, name_of, table
from tests.deploy.test_kubernetes import OBJECTS
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from tests.monitoring.test_auto_halt import wait_until_it_answers
from tests.ports import free_port
from tests.waiting import eventually
from tests.worker.web.site import a_site
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async, open_sync
from worker.adapters.redis.console.dials import RedisDials
from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.errors import Cause, cause_of
from worker.adapters.redis.jobs.dead_letters import RedisDeadLetters
from worker.adapters.redis.jobs.heartbeat import Heartbeat
from worker.adapters.redis.jobs.liveness import find_lost
from worker.adapters.redis.message import DEATHS, marked, raw_message
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


def url(port, role, database=0):
    return f"redis://{role}:{role}-password@127.0.0.1:{port}/{database}"


@pytest.fixture(scope="module")
def clients(port):
    opened = {role: redis.Redis.from_url(url(port, role)) for role in (*ROLES, "admin")}
    yield opened
    for client in opened.values():
        client.close()


def slotgen(port, role, *words, database=0, openai_url=None):
    return subprocess.run(
        [sys.executable, "-m", "worker.cli", *words],
        env=os.environ | worker_environment(url(port, role, database), openai_url),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )


# What names no key of the table; with keys the matrix has every command.
CONNECTED = {"hello", "auth", "ping", "select", "client|setname"}
TRANSACTIONS = {"multi", "exec", "discard"}
BESIDE_KEYS = {
    "producer": CONNECTED | TRANSACTIONS | {"unsubscribe"},
    "consumer": CONNECTED,
    "worker": CONNECTED
    | TRANSACTIONS
    | {
        "client|id",
        "client|reply",
        "client|tracking",
        "time",
        "info",
        "unwatch",
        "script|load",
        "eval",
        "evalsha",
    },
    "keda": CONNECTED | {"eval", "evalsha"},
    "monitor": CONNECTED | {"info", "time"},
    "guard": CONNECTED | {"script|kill"},
    "web": CONNECTED | {"time", "script|kill"},
}
# Of everything that harms a server, really tried on all.
FORBIDDEN = [
    (role, command)
    for role in ROLES
    for command in (
        "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET appendonly no", "ACL LIST", "SHUTDOWN",
        "DEBUG SLEEP 1", "MONITOR", "CLIENT KILL ID 1", "REPLICAOF NO ONE", "SCRIPT FLUSH", "SWAPDB 0 1",
        "FUNCTION FLUSH", "SET other 1", "GET other", "COPY slotgen:taken other", "DUMP other", "SAVE",
        "MIGRATE h 1 slotgen 0 1", "RESTORE slotgen 0 x", "MODULE LIST", "LATENCY RESET", "SLOWLOG RESET",
    )
]  # fmt: skip


@pytest.mark.parametrize(
    ("role", "command"),
    FORBIDDEN,
    ids=[f"{r} {c}" for r, c in FORBIDDEN],
)
def test_a_forbidden_act_is_refused(clients, role, command):
    with pytest.raises(NoPermissionError):
        clients[role].execute_command(*command.split())


def test_every_command_on_every_key_is_for_the_roles_of_the_table(clients):
    cells = matrix(clients["admin"], clients)

    sys.stdout.write(table(cells))
    assert len({(each.role, each.name, each.command.name) for each in cells}) > 7 * 42 * 150
    assert [each for each in cells if each.allowed != each.meant] == []


@pytest.mark.parametrize("role", BESIDE_KEYS)
def test_a_role_may_beside_its_keys_what_is_listed(clients, role):
    may = set()
    for command, arity in keyless(clients["admin"]):
        words = [*command.split("|"), *["1"] * abs(arity)][: max(abs(arity), command.count("|") + 1)]
        said = clients["admin"].execute_command("ACL", "DRYRUN", role, *words)
        # Without a channel of its own, as with a foreign one.
        if said == b"OK":
            may.add(command)

    # What ends a subscription asks for no channel.
    assert may - BESIDE_KEYS[role] <= {"reset", "quit"}
    assert BESIDE_KEYS[role] - may <= {"eval", "evalsha"}


@pytest.mark.parametrize("role", ROLES)
def test_a_channel_is_for_the_roles_of_the_table(clients, role):
    for key in (each for each in TABLE if each.type == "channel"):
        for command in ("publish", "subscribe", "psubscribe", "spublish", "ssubscribe"):
            words = [command, name_of(key), *["x"] * command.endswith("publish")]
            said = clients["admin"].execute_command("ACL", "DRYRUN", role, *words)
            may = key.may.get(role, "").split()
            # A pattern counts for the operator as it does for Redis: only one that is the right's own.
            meant = role == "operator" and (command != "psubscribe" or "*" not in key.glob("slotgen"))
            assert (said == b"OK") == (meant or command in may), (role, words, said)


@pytest.fixture
def scratch(clients):
    yield clients["admin"]
    clients["admin"].flushall()


def test_a_producers_lists_are_its_lists_and_no_other_key(clients):
    for key in (*ROWS, "slotgen\x06\x16a", "slotgen\x06\x1633", "slotgen::3", "slotgen:33", "slotgenx"):
        said = clients["admin"].execute_command("ACL", "DRYRUN", "producer", "LPUSH", key, "x")
        assert (said == b"OK") == (key in {"slotgen", "slotgen\x06\x163", "slotgen:3"}), key


@pytest.mark.parametrize("role", ["worker", "guard"])
def test_what_the_operators_commands_have_recorded_can_be_neither_forged_nor_emptied(clients, role):
    clients["admin"].set("slotgen:kill", "false")
    operator = RedisDials(clients["operator"], "slotgen")
    operator.engage("ann", "slotgen kill", "a fire")
    before = [each for each in operator.audit(10) if not each.noticed]
    assert before[0].redis_user == "operator"

    forged = {"dial": "kill", "actor": "ann", "command": "slotgen resume", "reason": "", "widened": "rollout"}
    with pytest.raises(NoPermissionError):
        clients[role].xadd("slotgen:audit", forged)
    clients[role].xadd("slotgen:audit:noticed", forged, maxlen=1, approximate=False)

    if role == "worker":
        # It may read the record, to say in a metric who halted the fleet.
        assert RedisDials(clients[role], "slotgen").last_changes()["kill"].by == "operator"
    found = operator.audit(10)
    assert [each for each in found if not each.noticed] == before
    assert [(each.actor, each.widened) for each in found if each.noticed] == [("ann", ())]


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

    # Whatever the answers to its other points, and whatever this role may not ask.
    points = json.loads(slotgen(port, "operator", "preflight", "--json").stdout)
    (bulk,) = [each for each in points if "proto-max-bulk-len" in f"{each}" or "CONFIG GET" in f"{each}"]
    assert (bulk["mark"], bulk["evidence"]) == ("to confirm", "not examined: this role may not CONFIG GET")

    halted = producer(a_spec(new_job()))
    assert halted[0]["status"] == "STUB"

    with Producer.open(url(port, "producer")) as ours:
        sent = ours.send(a_spec())
        assert ours.wait(sent, timeout_seconds=WAIT_SECONDS)[0].error_code == "KILL_SWITCH"
        assert ours.progress(sent) is None
        assert ours.cancel(sent) is False
        assert ours.queue_depth() == 0
    ((_, entries),) = consumer.xreadgroup("content", "c1", {"slotgen:results": ">"}, count=100)
    assert consumer.xack("slotgen:results", "content", *[entry_id for entry_id, _ in entries]) == 6
    consumer.xautoclaim("slotgen:results", "content", "c2", 0)

    refused = [(each["username"], each["context"], each["object"]) for each in clients["admin"].acl_log()]
    assert refused == [("operator", "toplevel", "config|get")]


def test_a_trial_needs_no_more_than_the_operators_role(port, clients, fake_openai, tmp_path):
    clients["operator"].set("slotgen:kill", "false")
    fake_openai.behave(Behaviour())
    clients["admin"].acl_log_reset()
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(a_spec(new_job())))

    done = slotgen(port, "operator", "try", str(spec), "--json", openai_url=fake_openai.base_url)

    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "COMPLETED"), done.stderr
    assert clients["admin"].acl_log() == []


def test_its_role_is_enough_for_what_a_worker_seldom_does(scratch, clients, port):
    worker = clients["worker"]
    scratch.acl_log_reset()
    letters = RedisDeadLetters(worker, "slotgen", kept=1)
    for _ in range(2):
        letters.add("slotgen", "no JSON", "", None, b"x")
    assert (letters.count(), letters.filled() >= 1) == (1, True)
    heartbeat = Heartbeat(worker, "slotgen", "w1", 15, lambda _: "{}")
    heartbeat.beat()
    heartbeat.leave()
    assert find_lost(worker, "slotgen", "w2", 15) == []
    RedisDials(worker, "slotgen").notice()

    asyncio.run(seldom(url(port, "worker")))

    refused = [(each["username"], each["context"], each["object"]) for each in scratch.acl_log()]
    assert refused == []


async def seldom(worker_url):
    async with open_async(worker_url) as client:
        steps = some_steps(RedisBatches(client), "slotgen", answers_kept=1, cap_nano_usd=10, probe_seconds=1)
        booked = Bookings(steps)
        await booked.cool_down("m", 1.0)
        assert (await booked.depart("h", 1, "m")).wait_seconds > 0
        await steps.arrive(Arrival("k", opened_by=ErrorCode.OPENAI_AUTH_ERROR))
        assert (await booked.depart()).refused
        await steps.arrive(Arrival("k", closes_breaker=True))
        assert await booked.ours("t", "k")
        async with steps.released("k"):
            for each in ("taken back", "written off", "settled"):
                departed = await booked.depart(each, job="k", seconds=0.001)
                if each == "taken back":
                    await booked.end_attempt("k", departed.begun)
            assert [await booked.put(each, {}) for each in "ab"] == [True, True]
            await booked.settle("settled", 1, known=True)
            await booked.release("k", "t", concluded=True)


def test_its_role_is_enough_to_bring_back_what_a_lost_worker_held(worker, scratch):
    scratch.acl_log_reset()
    dead = scratch.xlen("slotgen:dead")
    raw = {each: raw_message(a_spec(), each, "slotgen") for each in ("held", "deadly")}
    raw["deadly"] = marked(raw["deadly"].encode(), **{DEATHS: 99}).decode()
    for each in ("held", "deadly"):
        scratch.hset("slotgen:unacked", f"lost:{each}", json.dumps([raw[each], "", "slotgen"]))
        scratch.zadd("slotgen:unacked_index", {f"lost:{each}": time.time()})
    scratch.zadd("slotgen:workers", {"lost": 1})

    def all_answered():
        return scratch.exists(*(f"celery-task-meta-{each}" for each in raw)) == len(raw)

    eventually(all_answered, saying="what a lost worker held did not come back")
    assert scratch.xlen("slotgen:dead") == dead + 1
    assert [(each["username"], each["context"], each["object"]) for each in scratch.acl_log()] == []


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
    ((_, entry),) = clients["operator"].xrevrange("slotgen:audit:noticed", count=1)
    assert entry[b"reason"] == b"alert X"


@pytest.mark.parametrize("role", ["guard", "web", "operator"])
def test_a_role_that_may_halt_does_so_where_redis_takes_no_write(role, worker, clients):
    from worker.adapters.redis.console.kill_switch_lever import pull

    clients["admin"].config_set("min-replicas-to-write", "1")
    try:
        engaged = pull(clients[role], "slotgen", actor="a", command="c", reason="r")
    finally:
        clients["admin"].config_set("min-replicas-to-write", "0")

    assert (engaged.by, engaged.heard) == ("PUBLISH", 1)
    assert "lacks replicas" in engaged.refusal


@pytest.mark.parametrize(("role", "database"), [("keda", 0), ("worker", 3)])
def test_a_halt_ends_a_script_that_holds_redis_up(port, clients, role, database):
    with redis.Redis.from_url(url(port, "admin", database)) as admin:
        admin.set("slotgen:kill", "false")
    clients["admin"].config_set("busy-reply-threshold", 50)
    with ThreadPoolExecutor() as pool, open_sync(url(port, role), timeout_seconds=WAIT_SECONDS) as other:
        endless = pool.submit(
            other.eval, "while true do pcall(redis.call, 'TYPE', 'slotgen') end return KEYS[1]", 0
        )
        eventually(lambda: is_busy(clients["operator"]), saying="no script holds Redis up")

        done = slotgen(port, "operator", "kill", "--json", database=database)

        assert done.returncode == 0, done.stdout + done.stderr
        with pytest.raises(ResponseError):
            endless.result(WAIT_SECONDS)
    assert json.loads(done.stdout)["recorded"] is True
    with redis.Redis.from_url(url(port, "admin", database)) as admin:
        assert admin.get("slotgen:kill") == b"true"


def test_the_role_of_the_page_reads_the_status_and_engages_and_nothing_else(
    worker, producer, clients, port, tmp_path
):
    producer(a_spec(new_job()))
    clients["admin"].acl_log_reset()
    with a_site(tmp_path, url(port, "web")) as site:
        cookie = site.log_in("ann")
        # Workers say every five seconds what they have in flight.
        told = (
            "1 COMPLETED",
            "<h1>RELEASED</h1>",
            "released, 0 calls in flight",
            "0 messages waiting",
            "there is no cap",
        )
        seen = eventually(
            lambda: (
                (page := site.ask("GET", "/", cookie=cookie))
                and all(each in page.text for each in told)
                and page
            )
        )
        assert "cannot be read" not in seen.text
        site.press(cookie, "the quiz has lists")

        page = site.ask("GET", "/", cookie=cookie).text
        assert "<h1>HALTED</h1>" in page
        assert "1 of 1 worker confirmed" in page
        assert "the quiz has lists" in page
    assert clients["operator"].get("slotgen:kill") is None
    last = RedisDials(clients["operator"], "slotgen").audit(1)[0]
    assert (last.actor, last.command, last.redis_user) == ("ann", "slotgen web", "web")
    # Only the halt has tried what would have been better.
    refused = {(each["username"], each["object"]) for each in clients["admin"].acl_log()}
    assert refused == {("web", "evalsha"), ("web", "set")}
    for command in (
        ["SET", "slotgen:kill", "false"],
        ["XRANGE", "slotgen:dead", "-", "+"],
        ["LRANGE", "slotgen", "0", "-1"],
        ["XREAD", "STREAMS", "slotgen:results", "0"],
    ):
        with pytest.raises(NoPermissionError):
            clients["web"].execute_command(*command)
    slotgen(port, "web", "resume", "--reason", "x")
    assert clients["operator"].get("slotgen:kill") is None


def is_busy(client):
    try:
        client.ping()
    except ResponseError as error:
        return cause_of(error) is Cause.BUSY
    return False


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


def test_its_role_is_enough_for_keda(scratch, clients):
    # KEDA's redis scaler asks for the length by a script that declares the key.
    script = """
    local kinds = {list='llen', hash='hlen', none='llen'}
    return redis.call(kinds[redis.call('type', KEYS[1]).ok], KEYS[1])
    """
    triggers = OBJECTS["ScaledObject"]["spec"]["triggers"]

    for key in (each["metadata"]["listName"] for each in triggers):
        assert clients["keda"].eval(script, 1, key) == 0
        (scratch.hset(key, "tag", "x") if key.endswith("unacked") else scratch.lpush(key, "x"))
        assert clients["keda"].eval(script, 1, key) == 1
        with pytest.raises(NoPermissionError):
            clients["monitor"].eval(script, 1, key)
