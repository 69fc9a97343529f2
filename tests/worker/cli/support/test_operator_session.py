"""What every command of the console does when Redis is away, full, or changed by another operator."""

from __future__ import annotations

import pytest

from tests.builders import an_allowlist
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.dials import RedisDials

CHANGES = [["rollout", "0"], ["feature", "off"], ["allowlist", "disable"], ["resume", "--reason", "x"]]


@pytest.mark.parametrize("words", [["kill"], *CHANGES, ["allowlist", "show"]])
def test_a_redis_that_is_away_is_a_sentence(slotgen, monkeypatch, words):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://127.0.0.1:1/0")

    code, said = slotgen(*words)

    assert code == 1
    assert "Redis at redis://127.0.0.1:1/0 did not answer" in said


def test_a_kill_that_cannot_be_done_says_what_halts_all_the_same(slotgen, monkeypatch):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://127.0.0.1:1/0")

    _, said = slotgen("kill")

    assert said.startswith("NOT HALTED BY THIS COMMAND")
    assert "halts by itself within 5 s" in said


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLOTGEN_OBSERVATION_SECONDS", "0"),
        ("SLOTGEN_AI_KILL", ""),
        ("SSL_CERT_FILE", "/nowhere"),
        ("OPENAI_BASE_URL", "nonsense"),
        ("SLOTGEN_WORKER_LOST_SECONDS", "3"),
    ],
)
def test_a_kill_is_hindered_by_no_setting_that_it_does_not_need(slotgen, monkeypatch, name, value):
    slotgen.open()
    monkeypatch.setenv(name, value)

    code, said = slotgen("kill")

    assert code == 0
    assert slotgen.raw("kill") == b"true"
    assert f"ignored, as a halt does not need it: {name} is " in said


def test_a_kill_with_a_namespace_that_is_none_is_refused(slotgen, monkeypatch):
    monkeypatch.setenv("SLOTGEN_NAMESPACE", "a b")

    assert slotgen("kill") == (1, "SLOTGEN_NAMESPACE is 'a b'; use 1-64 letters, digits, - or _\n")


def test_out_of_memory_kill_deletes_the_key_and_widening_is_refused(slotgen, monkeypatch):
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        monkeypatch.setenv("SLOTGEN_REDIS_URL", server.url)
        slotgen.client = client
        slotgen.open()
        client.config_set("maxmemory", "1")

        code, said = slotgen("rollout", "5")
        assert code == 1
        assert "could not be recorded, so it was not made" in said
        assert slotgen.raw("rollout_percent") == b"1"

        code, said = slotgen("kill")
        assert code == 0
        assert "is deleted; an absent key halts as well" in said
        assert f"why not set: Redis at {server.url} is full" in said
        assert "not recorded" in said
        assert slotgen.raw("kill") is None


def test_what_another_operator_changed_meanwhile_is_not_overwritten(slotgen, monkeypatch):
    slotgen.open()
    audit = RedisDials.audit

    def meanwhile(dials, limit):
        # Between this command's look and its change.
        slotgen.client.set(f"{slotgen.namespace}:allowlist", an_allowlist(enabled=False))
        return audit(dials, limit)

    monkeypatch.setattr(RedisDials, "audit", meanwhile)

    code, said = slotgen("rollout", "0")

    assert code == 1
    assert "somebody changed a dial since it was read; nothing was changed" in said
    assert slotgen.raw("rollout_percent") == b"1"
