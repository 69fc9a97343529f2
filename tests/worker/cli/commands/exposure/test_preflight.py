"""`slotgen preflight` and `slotgen drill` where there is no worker, or no answer."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from tests.redis_server.server import EmbeddedRedis
from tests.worker.adapters.redis.test_clients import connections
from worker.adapters.redis.clients import TIMEOUT_SECONDS, open_sync


def test_without_a_worker_the_checklist_fails_and_says_what_to_start(slotgen):
    slotgen.open(kill="true")

    code, said = slotgen("preflight")

    assert code == 1
    assert "fail       a worker is running: there is none; slotgen worker" in said
    assert "fail       telemetry is validated on the real route: 0 of 3 probes ended" in said
    assert re.fullmatch(r"NOT READY: \d of \d+ points failed; \d for you to confirm", said.splitlines()[-1])
    assert slotgen.client.llen(slotgen.namespace) == 0


@pytest.mark.parametrize(
    ("cap", "line"),
    [
        (None, "pass       the spend cap covers a call: there is no cap, a call may cost $0."),
        ("50", "pass       the spend cap covers a call: cap $50.00, a call may cost $0."),
        ("0.001", "fail       the spend cap covers a call: cap $0.001, a call may cost $0."),
    ],
)
def test_a_cap_below_one_call_is_found_before_it_stubs_every_job(slotgen, cap, line):
    slotgen.open(budget_usd=cap)

    _, said = slotgen("preflight")

    assert line in said


@pytest.mark.parametrize(
    ("url", "changes", "line"),
    [
        (None, {}, "pass       the prices are those of the server: service tier default, prices x 1\n"),
        (
            "https://eu.api.openai.com/v1",
            {},
            (
                "fail       the prices are those of the server: priceMultiplier not set\n"
                "             set priceMultiplier: eu.api.openai.com may charge more"
            ),
        ),
        (
            "https://eu.api.openai.com/v1",
            {"priceMultiplier": "1.1"},
            "pass       the prices are those of the server: service tier default, prices x 1.1\n",
        ),
        (
            None,
            {"serviceTier": None},
            (
                "fail       the prices are those of the server: serviceTier null\n"
                '             set serviceTier "default"'
            ),
        ),
    ],
    ids=["list price", "regional", "regional with a multiplier", "the project's tier"],
)
def test_the_prices_are_held_against_the_server(slotgen, monkeypatch, url, changes, line):
    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text()) | changes
    monkeypatch.setenv("SLOTGEN_EXECUTOR_CONFIG", slotgen.file("executor.json", json.dumps(document)))
    if url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)

    _, said = slotgen("preflight")

    assert line in said


def test_without_a_worker_there_is_nothing_to_drill(slotgen):
    slotgen.open()

    code, said = slotgen("drill", "--yes")

    assert code == 1
    assert "no worker is running, so there is nothing to halt" in said
    assert slotgen.raw("kill") == b"false"


@pytest.mark.parametrize("command", [["preflight"], ["drill", "--yes"]])
def test_a_redis_that_hangs_is_said_within_seconds(slotgen, monkeypatch, command):
    monkeypatch.setitem(open_sync.__kwdefaults__, "timeout_seconds", 0.1)
    with EmbeddedRedis() as server:
        monkeypatch.setenv("SLOTGEN_REDIS_URL", server.url)
        before = connections(server)
        server.freeze()

        code, said = slotgen(*command)

        assert code == 1
        assert "did not answer (TimeoutError)" in said
        server.thaw()
        # The last connection is the one that counts them.
        attempts = connections(server) - before - 1
        assert 0 < attempts * TIMEOUT_SECONDS < 15


def test_only_the_brake_can_be_rehearsed(slotgen):
    code, said = slotgen("drill", "engine")

    assert code == 2
    assert "'engine' is not" in said


def test_a_bad_setting_is_named_before_the_embedded_drill(slotgen, monkeypatch):
    monkeypatch.setenv("SLOTGEN_CONCURRENCY", "many")

    code, said = slotgen("drill", "--embedded")

    assert code == 1
    assert "SLOTGEN_CONCURRENCY" in said


def test_the_guard_is_rehearsed_on_a_brake_of_its_own(slotgen):
    slotgen.open()
    before = slotgen.client.keys(f"{slotgen.namespace}:*")

    verdicts = [slotgen.json("drill", "guard")["passed"] for _ in range(2)]

    assert verdicts == [True, True]
    assert slotgen.raw("kill") == b"false"
    assert sorted({*slotgen.client.keys(f"{slotgen.namespace}:*")} - set(before)) == [
        f"{slotgen.namespace}:drills:guard".encode()
    ]
    assert (
        "after 11 unusable outcomes in a row: 11 of 50 unusable: OUTPUT_SCHEMA_INVALID; at most 0.2"
        in slotgen("drill", "guard")[1]
    )


def test_a_guard_that_only_warns_does_not_pass_its_drill(slotgen, monkeypatch):
    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text())
    document["guard"]["mode"] = "warn"
    monkeypatch.setenv("SLOTGEN_EXECUTOR_CONFIG", slotgen.file("executor.json", json.dumps(document)))

    code, said = slotgen("drill", "guard")

    assert code == 1
    assert "its mode is warn; set it to halt in the executor config" in said
