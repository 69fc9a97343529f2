"""A running system has no key in Redis that is not as the table says: its row, type, bound and lifetime."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.builders import a_spec, new_job
from tests.e2e.conftest import WAIT_SECONDS
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import LOST_SECONDS, fleet, kill
from tests.redis_key_table import figure, figures, problems
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.fleet import RedisFleet
from worker.adapters.redis.dial_keys import TABLE
from worker.client import Producer
from worker.dev.stack import worker_environment

SETTINGS = {
    "SLOTGEN_WORKER_LOST_SECONDS": str(LOST_SECONDS),
    "SLOTGEN_BRAKE_GRACE_SECONDS": "2",
    "SLOTGEN_CACHE_ANSWERS": "20",
    "SLOTGEN_HISTORY_OUTCOMES": "1000",
    "SLOTGEN_STREAM_RESULTS": "100",
    "SLOTGEN_RESULT_TTL_SECONDS": "120",
    "SLOTGEN_BUDGET_USD": "900",
    "SLOTGEN_BUDGET_WINDOW_SECONDS": "3600",
    "SLOTGEN_DEAD_LETTERS": "10",
    "SLOTGEN_DEAD_LETTER_BYTES": "1048576",
    "SLOTGEN_DEAD_LETTER_SECONDS": "3600",
}
LONG = "n" * 256
ALWAYS_THERE = ("kill", "feature", "allowlist", "rollout_percent", "workers", "worker:{worker}", "taken")
# What the run below leaves, beside what lives for milliseconds only.
LEFT = (
    *ALWAYS_THERE,
    *("audit", "audit:seen", "audit:live", "drills:{target}", "dead", "answer:{job}", "answers", "guard"),
    *("guard:spent:{minute}", "history", "results", "budget:{start}", "budget_usd"),
)
HELD = ("claim:{job}", "ledger:{job}", "budget:holds", "budget:expiry", "unacked", "unacked_index")


@pytest.mark.timeout(300)
def test_every_key_of_a_mixed_load_is_as_the_table_says(tmp_path):
    given = figures(2, **SETTINGS)
    with fleet() as running:
        running.start_workers(2, concurrency=10, **SETTINGS)
        environment = worker_environment(running.server.url, None) | SETTINGS

        def slotgen(*words):
            command = [sys.executable, "-m", "worker.cli", *words]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=WAIT_SECONDS, check=False
            )
            return done.returncode, done.stdout + done.stderr

        def must(*words):
            code, said = slotgen(*words)
            assert code == 0, (words, said)

        spec = tmp_path / "spec.json"
        spec.write_text(json.dumps(a_spec(new_job())))
        must("enqueue", str(spec), "--wait")
        # More answers than are kept, STUBs, a FAILED; with the longest names that the schema takes.
        pending = running.send(150)
        odd = [
            a_spec(new_job(mode="verbatim"), new_job(output={"field": "x", "type": "no-such-type"})),
            a_spec(new_job(slotId=LONG), allow_ai=False),
        ]
        odd[1]["appliesTo"] = dict.fromkeys(odd[1]["appliesTo"], LONG)
        pending += [
            running.celery.send_task("slotgen.generate", args=[each], queue="slotgen").id for each in odd
        ]
        for number in range(30):
            running.client.lpush("slotgen", b"no message %d" % number)
        running.client.lpush("slotgen", b"x" * 700_000)
        running.statuses(pending)
        eventually(lambda: running.client.llen("slotgen") == 0)
        # Two workers reject at once: which letter is the newest is not settled.
        letters = running.client.xrevrange("slotgen:dead", count=2)
        for dead_id, fields in letters:
            assert slotgen("dead", "replay", dead_id.decode())[0] == (b"sha256" in fields)
        must("budget", "set", "800", "--reason", LONG)
        must("drill", "guard")
        # Its calls are in flight when it halts.
        running.fake_openai.behave(Behaviour(delay_seconds=60))
        must("drill", "--yes", "--jobs", "2")
        running.fake_openai.behave(Behaviour())
        must("kill", "--reason", LONG * 100)
        must("resume", "--reason", LONG * 100)
        with Producer.open(running.server.url) as producer:
            producer.cancel(producer.send(a_spec(new_job())))
        # A worker that is killed leaves what it held; first, each has to have heard of the release.
        workers = RedisFleet(running.client, "slotgen").workers
        eventually(lambda: [each.brake for each in workers()] == [None, None])
        running.fake_openai.behave(Behaviour(delay_seconds=5))
        held = running.send(8)
        metas = [f"celery-task-meta-{each}" for each in held]
        # On a busy machine a dial is now and then read too late, and its job is a STUB.
        eventually(
            lambda: running.client.hlen("slotgen:budget:holds") + running.client.exists(*metas) == len(held)
        )
        assert running.client.hlen("slotgen:budget:holds") > 0
        kill(running.workers[0])
        found, seen = problems(running.client, "slotgen", given)
        assert found == []
        assert {f"{{ns}}:{each}" for each in (*LEFT, *HELD)} | {"celery-task-meta-{task}"} <= seen

        assert "COMPLETED" in running.statuses(held)
        running.wait_until_nothing_is_held()
        found, seen = problems(running.client, "slotgen", given)

        assert found == []
        assert not {"{ns}:claim:{job}", "{ns}:unacked", "{ns}:unacked_index"} & seen


@pytest.mark.parametrize(
    ("plant", "complaint"),
    [
        (("SET", "slotgen:unheard-of", "1"), "slotgen:unheard-of: is of 0 rows"),
        (("SET", "slotgen:history", "1"), "slotgen:history: is a string, not a stream"),
        (("SET", "slotgen:answer:j", "1"), "slotgen:answer:j: has a TTL of -1"),
        (("SET", "celery-task-meta-t", "1", "EX", "999"), "celery-task-meta-t: has a TTL of 999, at most"),
        (("SET", "slotgen:kill", "true", "EX", "9"), "slotgen:kill: has a TTL of 9, and"),
        (("SET", "slotgen:kill", "x" * 2000), "slotgen:kill: has an entry of 2000 bytes"),
        (
            ("ZADD", "slotgen:workers", "1", "a", "2", "b", "3", "c"),
            "slotgen:workers: has 3 entries, at most",
        ),
    ],
)
def test_what_is_not_as_the_table_says_is_noticed(plant, complaint):
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        client.execute_command(*plant)

        (found,), _ = problems(client, "slotgen", figures(2, **SETTINGS))

    assert complaint in found


def test_every_key_has_its_figures():
    # What waits on the queue has maxmemory alone, and its producers see the length.
    queued = {
        "{ns}",
        "{ns}\x06\x16{digit}",
        "{ns}:{digit}",
        "celery",
        "celery\x06\x16{digit}",
    }
    kept = [key for key in TABLE if key.type not in {"channel", "namespace", "any"}]

    assert {key.pattern for key in kept if None in {key.entries, key.entry_bytes}} == queued
    given = figures(2, **SETTINGS)
    assert all(
        figure(each, given) > 0 for key in kept for each in (key.entries, key.entry_bytes, key.ttl_seconds)
    )
