"""The brake reaches every call in flight, whoever pulls it."""

from __future__ import annotations

import functools
from collections import Counter

import pytest

from tests.benchmarks.calls.fake_openai import fake_openai
from tests.benchmarks.calls.halt import one_halt
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import fleet
from tests.faults.rig.halting import PROMISED_MS, closed_after_ms, fill
from tests.faults.rig.hasty_config import write_config
from tests.faults.rig.length import full_length_only
from tests.faults.rig.promise import verdict, within

# Redis looks for expired keys that nobody asks for ten times a second.
EXPIRY_MS = 100
RUNS = 20
CONCURRENCY = 100
RAW_COMMANDS = [
    (("SET", "slotgen:kill", "true"), "KILL_SWITCH", PROMISED_MS),
    (("DEL", "slotgen:kill"), "KILL_UNVERIFIED", PROMISED_MS),
    (("FLUSHALL",), "KILL_UNVERIFIED", PROMISED_MS),
    (("PEXPIRE", "slotgen:kill", "1"), "KILL_UNVERIFIED", PROMISED_MS + EXPIRY_MS),
    (("SET", "slotgen:kill", "nope"), "KILL_SWITCH", PROMISED_MS),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("command", "code", "promised_ms"), RAW_COMMANDS, ids=[" ".join(each) for each, *_ in RAW_COMMANDS]
)
def test_raw_commands_close_every_connection(command, code, promised_ms, hurt, saw):
    pending = fill(hurt, 100)

    halt_ms = closed_after_ms(hurt, functools.partial(hurt.client.execute_command, *command))

    if command[0] != "FLUSHALL":
        assert set(hurt.statuses(pending)) == {"STUB"}
    codes = Counter(hurt.codes_of(pending))
    # A dial that was read too late stubbed its job before the halt.
    assert codes[code] >= 100
    assert set(codes) <= {code, "KILL_UNVERIFIED"}
    saw(
        "halt",
        f"100 calls in flight, {' '.join(command)}",
        f"all closed after {halt_ms:.0f} ms",
        f"<= {promised_ms} ms: {verdict(halt_ms, promised_ms)}",
    )
    within(halt_ms, promised_ms)


@full_length_only
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("workers", "each_in_flight"), [(1, 300), (1, 500), (4, 100)])
def test_every_halt_of_twenty_is_over_at_once(workers, each_in_flight, saw):
    # The stand-in of the others would see the last connection closed later than it was.
    with fleet() as hurt, fake_openai("tests.benchmarks.calls.held_lines") as model:
        hurt.start_workers(workers, concurrency=each_in_flight, OPENAI_BASE_URL=model.base_url)

        number = workers * each_in_flight
        halts_ms = sorted(one_halt(model, hurt.client, 1, number) for _ in range(RUNS))

        hurt.lines.wait_for(lambda lines: len(lines.codes) >= RUNS * number)
        assert set(hurt.lines.codes) <= {"KILL_SWITCH", "KILL_UNVERIFIED"}
        late = len(hurt.lines.codes) - RUNS * number
        saw(
            "halt",
            f"{workers} worker(s) with {each_in_flight} calls in flight each, SET kill true, {RUNS} runs",
            f"all closed after {halts_ms[RUNS // 2]:.0f} ms p50, {halts_ms[-1]:.0f} ms p99 (the worst);"
            f" {late} of {len(hurt.lines.codes)} jobs were STUB beforehand, their dials read too late",
            f"<= {PROMISED_MS} ms p99: {verdict(halts_ms[-1], PROMISED_MS)}",
        )
        within(halts_ms[-1], PROMISED_MS)


@pytest.mark.timeout(120)
def test_an_evicted_kill_key_halts_what_is_in_flight(hurt, saw):
    pending = fill(hurt, 50)
    hurt.client.config_set("maxmemory-policy", "allkeys-random")

    halt_ms = closed_after_ms(hurt, lambda: hurt.client.config_set("maxmemory", "1"))

    assert hurt.client.exists("slotgen:kill") == 0
    assert set(hurt.codes_of(pending)) == {"KILL_UNVERIFIED"}
    hurt.client.config_set("maxmemory", "0")
    hurt.open_dials()
    hurt.fake_openai.behave(Behaviour())
    assert hurt.statuses(hurt.send(5)) == ["COMPLETED"] * 5
    saw(
        "eviction",
        "50 calls in flight, maxmemory 1 under allkeys-random until the kill key was gone",
        f"all closed after {halt_ms:.0f} ms; with memory back 5 of 5 new jobs COMPLETED",
        f"<= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)


@pytest.mark.timeout(120)
def test_long_answers_that_are_judged_meanwhile_hold_up_no_halt(saw):
    with fleet() as hurt:
        config = write_config(hurt.folder, maxOutputTokens=32_768)
        hurt.start_worker(CONCURRENCY, SLOTGEN_EXECUTOR_CONFIG=str(config))
        pending = fill(hurt, 20)
        completed = hurt.fake_openai.journal.counts().completed
        # What takes the rules longest.
        hurt.fake_openai.behave(Behaviour(says="# A\n" * 5_000))
        judged = hurt.send(40)
        hurt.fake_openai.journal.wait_until(lambda counts: counts.completed >= completed + 30, 60)

        halt_ms = closed_after_ms(hurt, lambda: hurt.client.set("slotgen:kill", "true"))

        assert set(hurt.statuses(pending)) == {"STUB"}
        assert None in hurt.codes_of(judged)
    saw(
        "halt",
        "20 calls in flight, 40 answers of 20,000 characters just in, SET kill true",
        f"all closed after {halt_ms:.0f} ms",
        f"<= {PROMISED_MS} ms: {verdict(halt_ms, PROMISED_MS)}",
    )
    within(halt_ms, PROMISED_MS)
