"""Messages are taken in one step: off the queue and held under this worker's name, all of them or none."""

from __future__ import annotations

import json
import tracemalloc

import pytest
from redis.exceptions import ResponseError

from tasks.generate.intake import CUT_BYTES, CUT_MARK
from worker.adapters.celery.in_hand import InHand, _parsed_bytes
from worker.adapters.celery.redelivery import _TAKE, held_message
from worker.adapters.redis.waiting import lists

MOST_BYTES = 200_000


@pytest.fixture
def take(redis_client, namespace):
    """Takes up to so many messages; returns them by their tags."""
    keys = [f"{namespace}:{each}" for each in ("taken", "unacked", "unacked_index", "workers")]

    def of(places=64, tags="w:0.", room=2_500_000):
        reply = _TAKE.run(redis_client, [*keys, *lists(namespace)], places, tags, 12.5, MOST_BYTES, room)
        return dict(zip(reply[::2], reply[1::2], strict=True))

    return of


def held(client, namespace):
    kept = client.hgetall(f"{namespace}:unacked")
    return {tag: held_message(each, namespace) for tag, each in kept.items()}


def test_what_is_taken_is_held_under_its_tag_and_counted(take, redis_client, namespace):
    redis_client.lpush(namespace, "first", "second", "third")

    taken = take(2)

    assert list(taken.values()) == [b"first", b"second"]
    assert held(redis_client, namespace) == taken
    assert redis_client.zrange(f"{namespace}:unacked_index", 0, -1, withscores=True) == [
        (tag, 12.5) for tag in sorted(taken)
    ]
    assert redis_client.get(f"{namespace}:taken") == b"2"
    assert redis_client.lrange(namespace, 0, -1) == [b"third"]


@pytest.mark.parametrize(("room", "taken"), [(0, 0), (1, 1), (5, 1), (6, 2), (11, 2), (12, 3)])
def test_no_more_is_taken_than_there_is_room_for_but_one(take, redis_client, namespace, room, taken):
    redis_client.lpush(namespace, "first", "second", "third")

    assert list(take(room=room).values()) == [b"first", b"second", b"third"][:taken]
    assert redis_client.llen(namespace) == 3 - taken


def test_who_takes_a_message_is_known_and_no_heartbeat_is_changed(take, redis_client, namespace):
    redis_client.zadd(f"{namespace}:workers", {"w": 7})
    redis_client.lpush(namespace, "first", "second")

    take(1, "w:0.")
    take(1, "forgotten:0.")
    take(1, "idle:0.")

    now = redis_client.time()[0]
    known = dict(redis_client.zrange(f"{namespace}:workers", 0, -1, withscores=True))
    assert known == {b"w": 7, b"forgotten": pytest.approx(now, abs=60)}


def test_the_lists_are_taken_from_in_their_order(take, redis_client, namespace):
    own, first, *_, last = lists(namespace)
    redis_client.lpush(last, "last-1", "last-2")
    redis_client.lpush(first, "first")
    redis_client.lpush(own, "own")

    seen = [list(take(2, f"w:{number}.").values()) for number in range(3)]

    assert seen == [[b"own", b"first"], [b"last-1", b"last-2"], []]


@pytest.mark.parametrize("raw", [b"\xff\x00 no text", b'"\\\x1b\x7f/', "é\u2028".encode(), b""])
def test_whatever_it_is_it_is_held_byte_for_byte(take, redis_client, namespace, raw):
    redis_client.lpush(namespace, raw)

    (tag,) = take()

    assert held(redis_client, namespace)[tag] == raw


def test_of_one_that_is_too_large_the_ends_are_taken(take, redis_client, namespace):
    raw = b"a" * 100_000 + b"b" * 100_001
    redis_client.lpush(namespace, raw)

    ((tag, cut),) = take().items()

    assert cut == f"{CUT_MARK}200001;".encode() + b"a" * CUT_BYTES + b"b" * CUT_BYTES
    assert held(redis_client, namespace)[tag] == cut


@pytest.mark.parametrize("key", ["", ":unacked", ":unacked_index"])
def test_a_key_of_another_type_refuses_before_anything_is_taken(take, redis_client, namespace, key):
    redis_client.lpush(namespace, "message")
    redis_client.delete(f"{namespace}{key}")
    redis_client.set(f"{namespace}{key}", "in the way")

    with pytest.raises(ResponseError, match="WRONGTYPE"):
        take()

    assert redis_client.get(f"{namespace}{key}") == b"in the way"
    assert redis_client.lrange(namespace, 0, -1) == [b"message"] if key else True
    assert redis_client.exists(f"{namespace}:taken") == 0


@pytest.mark.parametrize("key", [":taken", ":3"])
def test_what_is_in_no_message_s_way_holds_none_up(take, redis_client, namespace, key):
    redis_client.sadd(f"{namespace}{key}", "in the way")
    redis_client.lpush(namespace, "message")

    assert list(take().values()) == [b"message"]


@pytest.mark.parametrize("setting", [("min-replicas-to-write", 1, 0), ("maxmemory", 1, 0)])
def test_a_redis_that_takes_no_write_refuses_before_anything_is_taken(take, redis_client, namespace, setting):
    name, refusing, taking = setting
    redis_client.lpush(namespace, "message")
    redis_client.config_set(name, refusing)
    try:
        with pytest.raises(ResponseError):
            take()
    finally:
        redis_client.config_set(name, taking)

    assert list(take().values()) == [b"message"]


def test_an_entry_is_of_the_form_that_older_versions_read(take, redis_client, namespace):
    redis_client.lpush(namespace, '{"headers": {}}')

    (tag,) = take()

    assert json.loads(redis_client.hget(f"{namespace}:unacked", tag)) == ['{"headers": {}}', "", namespace]


def test_specs_that_may_take_all_the_memory_leave_no_room_until_they_have_ended():
    in_hand = InHand("w")
    at_first = in_hand.room_bytes
    body = b"[[" + b"{}," * 800_000 + b"{}],{},{}]"

    in_hand.take("w:1", {}, body)
    left = in_hand.room_bytes
    in_hand.forget("w:1")

    assert left <= 0 < at_first == in_hand.room_bytes


@pytest.mark.parametrize(
    "item", ["{}", "[]", '"ab"', "1.5", "12345", '{"a":1}', "[1]", '{"a":{}}', "null", '"é"']
)
def test_what_json_takes_once_it_is_parsed_is_not_underestimated(item):
    text = f"[{','.join([item] * 20_000)}]"
    tracemalloc.start()
    try:
        parsed = json.loads(text)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(parsed) == 20_000
    assert taken <= _parsed_bytes(text.encode())
