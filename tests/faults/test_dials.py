"""Garbage in a dial, written by whatever raw command, denies every job: no call leaves."""

from __future__ import annotations

import pytest

from tests.builders import an_allowlist
from tests.faults.rig.fleet import Fleet, fleet

# The parsers and the gates are tried with the same in tests/gates, and a worker with one of each kind in
# tests/e2e/test_main_job.py.
pytestmark = pytest.mark.thorough

WRONG_TYPES = [
    ("LPUSH", "false"),
    ("HSET", "false", "true"),
    ("SADD", "true"),
    ("ZADD", "100", "true"),
    ("XADD", "*", "100", "true"),
    ("PFADD", "100"),
]
GARBAGE: dict[str, tuple[str, list[str | bytes]]] = {
    "kill": (
        "KILL_SWITCH",
        ["", "0", "off", "fa lse", "falsely", '"false"', b"\xff", b"false\0", "a" * 10**6],
    ),
    "feature": ("FEATURE_DISABLED", ["", "1", "on", "yes", "true;", '"true"', b"\xff", b"true\0"]),
    "rollout_percent": (
        "ROLLOUT_EXCLUDED",
        ["", "ten", "1e2", "nan", "inf", "-1", "100.0001", "101", "0x64", "٥٠", b"\xff", "9" * 10**5],
    ),
    "allowlist": (
        "NOT_ALLOWLISTED",
        ["", "{", "[]", "null", "NaN", "[" * 10**5, b"\xff", an_allowlist()[:-1], an_allowlist(mode="allow")],
    ),
}
# A dial of another type than string reads as absent.
WHEN_ABSENT = {dial: code for dial, (code, _) in GARBAGE.items()} | {"kill": "KILL_UNVERIFIED"}


def commands(dial: str) -> list[tuple[tuple[str | bytes, ...], str]]:
    """Return the raw commands that spoil `dial`, each with the code that its jobs must get."""
    code, values = GARBAGE[dial]
    key = f"slotgen:{dial}"
    by_value = [(("SET", key, value), code) for value in values]
    # PFADD makes a string of another format, which is garbage and not another type.
    by_type = [
        ((name, key, *words), code if name == "PFADD" else WHEN_ABSENT[dial]) for name, *words in WRONG_TYPES
    ]
    return by_value + by_type


def codes_after(hurt: Fleet, dial: str, command: tuple[str | bytes, ...]) -> list[str | None]:
    hurt.open_dials()
    with hurt.client.pipeline() as pipe:
        pipe.delete(f"slotgen:{dial}")
        pipe.execute_command(*command)
        pipe.execute()
    task_ids = hurt.send(2)
    assert hurt.statuses(task_ids) == ["STUB"] * 2
    return hurt.codes_of(task_ids)


@pytest.mark.timeout(120)
def test_garbage_in_any_dial_denies_every_job_and_says_which_gate(saw):
    with fleet(persistent=False) as hurt:
        worker = hurt.start_worker()
        for dial in GARBAGE:
            spoilt = commands(dial)
            for command, code in spoilt:
                assert codes_after(hurt, dial, command) == [code] * 2, command
            hurt.client.delete(f"slotgen:{dial}")
            saw(
                "garbage in a dial",
                f"{dial}: {len(spoilt)} raw commands, {len(WRONG_TYPES)} of them another type",
                f"every job STUB, {' or '.join(dict.fromkeys(code for _, code in spoilt))}; 0 calls",
                "no call, the right code",
            )

        assert hurt.fake_openai.journal.counts().begun == 0
        hurt.open_dials()
        assert hurt.statuses(hurt.send(2)) == ["COMPLETED"] * 2
        worker.check()
