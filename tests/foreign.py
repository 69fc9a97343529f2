"""What somebody may have put into a key of the table: every wrong type, and odd bytes of the right one."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable, Iterator, Mapping

import redis

from tasks.generate.outcome import OutcomeRecord
from tasks.operations.drill import DrillRecord
from tasks.operations.fleet import Confirmation, WorkerInfo
from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import Key

# Every row that is a key, and of one type.
ROWS = [row for row in TABLE if row.type not in {"channel", "namespace", "any"}]
# One command makes a key of each type that Redis has.
MAKES: dict[str, Callable[[str, bytes, bytes], tuple[str | bytes, ...]]] = {
    "string": lambda key, _, value: ("SET", key, value),
    "list": lambda key, _, value: ("LPUSH", key, value),
    "hash": lambda key, name, value: ("HSET", key, name, value),
    "set": lambda key, _, value: ("SADD", key, value),
    "zset": lambda key, name, value: ("ZADD", key, _score(name), value),
    "stream": lambda key, name, value: ("XADD", key, "*", name, value),
}
# A stream with this entry takes no other any more, be the entry itself there or trimmed.
LAST_OF_ALL = "-".join(["18446744073709551615"] * 2)
# Names of fields that some reader looks for.
FIELDS = (
    *(b"d", b"o", b"kill", b"feature", b"dial", b"actor", b"command", b"reason", b"before", b"after"),
    *(b"widened", b"override", b"queue", b"problem", b"task_id", b"message", b"size", b"sha256"),
    *(b"spent", b"held", b"written_off", b"spent:m", b"held:m", b"delivery", b"x"),
)
RECORDS = [
    *(
        [field.name for field in dataclasses.fields(kind)]
        for kind in (WorkerInfo, DrillRecord, OutcomeRecord)
    ),
    [field.name for field in dataclasses.fields(Confirmation)],
    ["status", "result", "traceback", "children", "reasons"],
    ["body", "headers", "properties", "content-type", "content-encoding"],
]
NUMBERS = ("1", "-1", "0", "-0", "1e400", "-1e400", "nan", "NaN", "inf", "-inf", "1.5", "0x10", " 7 ", "٣")
NUMBERS = (*NUMBERS, "9" * 15, "9" * 19, "9" * 400, "-" + "9" * 19, "1e18", "1e-400", "00012", "+3", "1_000")


def _score(name: bytes) -> str:
    return ("inf", "-inf", "1e308", "-1", "0", "1800000000", "1.5")[sum(name) % 7]


class Foreign:
    """A seeded source of odd bytes."""

    def __init__(self, seed: str) -> None:
        self.chance = random.Random(seed)

    def value(self) -> bytes:
        return self.chance.choice(
            [self._random, self._number, self._json, self._record, self._nested, self._text, self._words]
        )()

    def name(self) -> bytes:
        return self.chance.choice([*FIELDS, self._random()])

    def commands(self, row: Key, key: str, number: int) -> Iterator[tuple[str | bytes, ...]]:
        """Commands that put `number` values of the row's own type into `key`, which is absent."""
        for _ in range(number):
            if row.type == "stream" and self.chance.random() < 0.7:
                names = self.chance.sample(FIELDS, self.chance.randrange(1, 12))
                yield ("XADD", key, "*", *(part for each in names for part in (each, self.value())))
            else:
                yield MAKES[row.type](key, self.name(), self.value())

    def _random(self) -> bytes:
        return self.chance.randbytes(self.chance.randrange(40))

    def _number(self) -> bytes:
        return self.chance.choice(NUMBERS).encode()

    def _text(self) -> bytes:
        return self.chance.choice([b"", b"\xff\xfe", b"\xc3\x28", b"\xed\xa0\x80", b"a:b", b":", b" ", b"\n"])

    def _words(self) -> bytes:
        return b" ".join(self.chance.choice([self._number, self._text])() for _ in range(3))

    def _json(self) -> bytes:
        return json.dumps(self._odd()).encode()

    def _nested(self) -> bytes:
        depth = self.chance.choice([3, 40, 5_000])
        return self.chance.choice([b"[" * depth, b"[" * depth + b"]" * depth, b'{"a":' * depth])

    def _record(self) -> bytes:
        names = self.chance.choice(RECORDS)
        kept = [each for each in names if self.chance.random() < 0.95]
        if self.chance.random() < 0.3:
            return json.dumps([self._odd() for _ in range(self.chance.choice([23, 24, 3]))]).encode()
        return json.dumps({each: self._odd() for each in kept}).encode()

    def _odd(self) -> object:
        odd = [None, True, False, 0, -1, 10**30, 1e308, float("nan"), float("inf"), "", "x", "\ud800", [], {}]
        return self.chance.choice([*odd, [1, "2"], {"a": []}, 1.5, "STUB", 1_800_000_000_000])


def name_of(row: Key, places: Mapping[str, str]) -> str:
    """The key of `row`: what each of its braces stands for is in `places`, by its name.

    A new brace fails here: say what a reader would look for.
    """
    return row.pattern.format_map(places)


def spoil(client: redis.Redis, key: str, *commands: tuple[str | bytes, ...]) -> None:
    """Replace `key` by what `commands` make of it, in one step."""
    with client.pipeline() as pipe:
        pipe.delete(key)
        for each in commands:
            pipe.execute_command(*each)
        pipe.execute()
