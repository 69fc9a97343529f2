"""The scripts read the kill dial and the cap as the parsers in Python do, whatever the bytes."""

from __future__ import annotations

import pytest

from gates import BrakeState, kill_switch
from tasks.operations.changes import spend_cap
from worker.adapters.redis.dial_lua import CAP, RELEASES

KILLS = [
    *(b"false", b"FALSE", b"False", b" false\n", b"\t\x0b\x0c\r fAlSe", b"", b" ", b"true", b"1", b"0"),
    *(
        b"off",
        b"falsely",
        b"fa lse",
        b"false;",
        b'"false"',
        b"false\0",
        b"\0false",
        b"false\x1c",
        b"false\x85",
    ),
    *(b"\xc2\xa0false", b"false\xa0", b"\xff", b"\x1cfalse", b"false false", b"FALS\xc3\x89"),
]
CAPS = [
    *(
        b"0",
        b"5",
        b"5.",
        b"12.5",
        b"0.000000001",
        b"0.0000000014",
        b"0.0000000015",
        b"00005",
        b"0.29",
        b"1.1",
    ),
    *(
        b"9007199.2547409",
        b"123456.789",
        b"1" * 15,
        b"1" * 16,
        b"0" * 14 + b"1",
        b"9" * 20,
        b"0.30000000000001",
    ),
    *(
        b"",
        b"ten",
        b"-1",
        b"+1",
        b"1e3",
        b"1e9",
        b" 5",
        b"5 ",
        b"5\n",
        b".5",
        b"5.5.5",
        b"nan",
        b"inf",
        b"0x10",
    ),
    *(b"5,5", b"5\0", b"\xd9\xa5", b"5_0", b".", b"\xff"),
]


@pytest.mark.parametrize("raw", KILLS, ids=repr)
def test_the_brake(redis_client, raw):
    released = redis_client.eval(f"{RELEASES} return releases(ARGV[1]) and 1 or 0", 0, raw)

    assert bool(released) is (kill_switch.DIAL.read(raw).value is BrakeState.RELEASED)


def test_no_brake_at_all_is_not_released(redis_client):
    assert redis_client.eval(f"{RELEASES} return releases(false) and 1 or 0", 0) == 0


@pytest.mark.parametrize("raw", CAPS, ids=repr)
def test_the_cap(redis_client, raw):
    nano = int(redis_client.eval(f"{CAP} return string.format('%.0f', cap_of(ARGV[1]))", 0, raw))

    parsed = spend_cap.parse(raw)
    # A script's numbers are doubles, which hold every nano-dollar up to nine million dollars.
    assert nano == (-1 if parsed is None else float(parsed))


def test_no_cap_that_is_a_string_covers_nothing(redis_client):
    assert redis_client.eval(f"{CAP} return cap_of(false)", 0) == -1
