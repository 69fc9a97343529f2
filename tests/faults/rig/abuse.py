"""What hostile producers, servers, clients and neighbours do to a fleet: one table of kinds, drawn by chance.

Each kind is a context manager: it goes on inside `with`. What it leaves behind afterwards, as a message or a
value of the right type, stays there.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field

import redis

from tasks.errors import ErrorCode
from tests.builders import a_job, a_message, a_spec
from tests.fakes.openai.server import Behaviour, Play
from tests.faults.rig.fleet import Fleet
from tests.faults.rig.length import in_full
from tests.faults.rig.message_shapes import MessageFuzzer
from tests.faults.rig.replies import VALUES, Replies
from tests.faults.rig.slow_clients import Manner, slow_clients
from tests.faults.rig.troubles import ABSENCES, REFUSALS, Trouble, replaced
from tests.hostile_text import COLOURS, RAW, TEXT
from worker.adapters.redis import keys
from worker.adapters.redis.dial_keys import TABLE
from worker.adapters.redis.keys import Key
from worker.adapters.redis.waiting import lists

# What only a job's own server can have brought about.
SERVERS = frozenset(each.value for each in ErrorCode if each.value.startswith(("OPENAI_", "OUTPUT_")))
# A gate that cannot be asked says no, and so does an account.
SHUT = frozenset(
    {
        "KILL_SWITCH",
        "KILL_UNVERIFIED",
        "FEATURE_DISABLED",
        "NOT_ALLOWLISTED",
        "ROLLOUT_EXCLUDED",
        "BUDGET_EXCEEDED",
    }
)
SLOW_CLIENTS = in_full(1_000, short=100)
REQUESTS = 200
# Where the truth about the honest jobs is: who takes that away takes the jobs away.
_TRUTH = {
    each.pattern for each in (keys.QUEUE, keys.UNACKED, keys.TASK_META, keys.BUDGET, keys.BUDGET_HOLDS)
} | {keys.DEFAULT_QUEUE.pattern, keys.DEFAULT_PRIORITY_QUEUE.pattern}
# By what command something of a type comes to be, and how many words it takes.
_PUTS: dict[str, tuple[str, int]] = {
    "string": ("SET", 1),
    "list": ("RPUSH", 1),
    "set": ("SADD", 1),
    "hash": ("HSET", 2),
    "zset": ("ZADD", 2),
    "stream": ("XADD", 3),
}
_ROWS = [key for key in TABLE if key.type in _PUTS and key.pattern not in _TRUTH]
_NUMBERS = [b"0", b"-1", b"1", b"1e18", b"-1e18", b"inf", b"-inf", b"1.5", b"9007199254740993"]


@dataclass
class Abuser:
    """Who does it, all by one seed. `owed` are the task ids of odd messages that must have an end as well."""

    hurt: Fleet
    seed: int
    chance: random.Random = field(init=False)
    messages: MessageFuzzer = field(init=False)
    replies: Replies = field(init=False)
    owed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.messages = MessageFuzzer(random.Random(self.seed))
        self.messages.capture(self.hurt.client, self.hurt.server.url)
        self.replies = Replies(self.seed)

    def play(self, behaviours: Callable[[], Behaviour], most: int) -> None:
        self.hurt.fake_openai.play_next(*(behaviours() for _ in range(self.chance.randint(1, most))))

    def push(self, *raw: bytes) -> None:
        """Put messages on the queue's lists; one that Redis refuses is not sent."""
        for each in raw:
            with contextlib.suppress(redis.RedisError):
                self.hurt.client.lpush(self.chance.choice(lists("slotgen")), each)

    def forgotten(self) -> list[str]:
        """Return which of those owed have neither a result nor a place among the dead letters."""
        client = self.hurt.client
        without = [each for each in self.owed if not client.exists(f"celery-task-meta-{each}")]
        kept = {each for _, fields in client.xrange("slotgen:dead") for each in fields.values()}
        return [each for each in without if not any(each.encode() in entry for entry in kept)]

    def port(self) -> int:
        return int(self.chance.choice(self.hurt.workers).ready["metrics_port"])


@dataclass(frozen=True)
class Abuse:
    """One kind. `explains` are the errorCodes that honest jobs may get by it.

    `audible`: a halt reaches the workers at once meanwhile. `excludes`: it is a trouble of Redis, of which
    there is one at a time.
    """

    act: Callable[[Abuser], AbstractContextManager[object]]
    explains: frozenset[str] = frozenset()
    audible: bool = True
    excludes: bool = False


def _at_once(act: Callable[[Abuser], None]) -> Callable[[Abuser], AbstractContextManager[None]]:
    """Return the kind that is over as soon as it is done."""

    @contextmanager
    def kind(abuser: Abuser) -> Iterator[None]:
        act(abuser)
        yield

    return kind


@_at_once
def _odd_messages(abuser: Abuser) -> None:
    abuser.push(*(each.raw for each in abuser.messages.messages(abuser.chance.randint(1, 60))))


def _oversize_messages(*sizes: int) -> Callable[[Abuser], AbstractContextManager[None]]:
    """Return the kind that sends a message of one of these sizes, in bytes."""

    def act(abuser: Abuser) -> None:
        message = json.dumps(a_message(body=b"FILLING", task_id=str(uuid.uuid4()))).encode()
        filling = base64.b64encode(b"FILLING")
        abuser.push(message.replace(filling, filling * (abuser.chance.choice(sizes) // len(filling))))

    return _at_once(act)


@_at_once
def _forged_headers(abuser: Abuser) -> None:
    names = ["slotgen_deaths", "slotgen_deferred_since", "slotgen_reasons", "retries", "redelivered"]
    for _ in range(abuser.chance.randint(1, 20)):
        task_id = str(uuid.uuid4())
        spec = a_spec(a_job(task_id, mode="verbatim"))
        message = a_message(spec, task_id=task_id)
        for name in abuser.chance.sample(names, abuser.chance.randint(1, 3)):
            message["headers"][name] = abuser.chance.choice([*range(4), 1e18, -1e18, *VALUES])
        try:
            raw = json.dumps(message).encode()
            abuser.hurt.client.lpush("slotgen", raw)
        except (redis.RedisError, ValueError):
            continue
        abuser.owed.append(task_id)


@_at_once
def _odd_texts(abuser: Abuser) -> None:
    for _ in range(abuser.chance.randint(1, 10)):
        task_id = str(uuid.uuid4())
        job = a_job(f"{TEXT[:100]}{task_id}", slotId=TEXT[:100], sources=[TEXT], mode="verbatim")
        message = a_message(a_spec(job), task_id=task_id)
        message["headers"] |= {"shadow": TEXT, "origin": TEXT}
        with contextlib.suppress(redis.RedisError):
            abuser.hurt.client.lpush("slotgen", json.dumps(message))
            abuser.owed.append(task_id)
    with contextlib.suppress(redis.RedisError):
        abuser.hurt.client.lpush("slotgen", RAW + str(uuid.uuid4()).encode())


@_at_once
def _odd_replies(abuser: Abuser) -> None:
    def raw() -> bytes:
        # How long a server wants one to wait is a kind of its own.
        while b"retry-after" in (reply := abuser.replies.on_the_wire()):
            pass
        return reply

    abuser.play(lambda: Behaviour(raw=raw()), 10)


@_at_once
def _odd_answers(abuser: Abuser) -> None:
    plays = [each for each in Play if each not in {Play.HANG, Play.DRIP} | _FLOODS]
    abuser.play(lambda: Behaviour(play=abuser.chance.choice(plays)), 10)


@_at_once
def _odd_usage(abuser: Abuser) -> None:
    figures = [10**9, 10**30, 10**400, -1, True, "5", None, 7.5, float("inf"), float("nan"), [], {}]
    names = ["input_tokens", "output_tokens"]
    abuser.play(lambda: Behaviour(usage={name: abuser.chance.choice(figures) for name in names}), 10)


@_at_once
def _odd_waits(abuser: Abuser) -> None:
    waits = ["1", "30", "999999999", "1e18", "-1", "nan", "Fri, 31 Dec 9999 23:59:59 GMT", "soon"]
    abuser.play(
        lambda: Behaviour(
            status=abuser.chance.choice([429, 503]),
            retry_after=abuser.chance.choice([None, *waits]),
            retry_after_ms=abuser.chance.choice([None, 0, 10**18, -1]),
        ),
        3,
    )


@_at_once
def _refusals_of_the_account(abuser: Abuser) -> None:
    codes = {401: "invalid_api_key", 403: "account_deactivated", 429: "insufficient_quota"}
    status = abuser.chance.choice(list(codes))
    abuser.play(lambda: Behaviour(status=status, error_code=codes[status]), 3)


_FLOODS = {Play.GZIP_BOMB, Play.ENDLESS_BODY, Play.ENDLESS_HEADERS}


@_at_once
def _floods(abuser: Abuser) -> None:
    plays = sorted(_FLOODS)
    abuser.play(lambda: Behaviour(play=abuser.chance.choice(plays)), 5)


@_at_once
def _answers_with_escapes(abuser: Abuser) -> None:
    abuser.play(lambda: Behaviour(says=f"A cell. {TEXT}"), 5)


@contextmanager
def _slow_clients(abuser: Abuser) -> Iterator[None]:
    with slow_clients(abuser.port(), SLOW_CLIENTS, abuser.chance.choice(list(Manner))):
        yield


@contextmanager
def _hasty_clients(abuser: Abuser) -> Iterator[None]:
    """Many requests one after the other, half of them no requests at all, and no answer is waited for."""
    port, over = abuser.port(), threading.Event()
    sound = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    said = [sound if each % 2 else abuser.chance.randbytes(300) for each in range(REQUESTS)]

    def ask() -> None:
        for each in said:
            if over.wait(0.01):
                return
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(each)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join()


_COMMANDS = ["status", "audit", "tail --last 10 --limit 10", "report", "dead list", "budget"]
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@contextmanager
def _operator_reads(abuser: Abuser) -> Iterator[None]:
    """Somebody looks at what all of it has left: no command breaks, and nothing reaches the terminal."""
    words = abuser.chance.choice(_COMMANDS)
    command = subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *words.split()],
        env=os.environ | {"SLOTGEN_REDIS_URL": abuser.hurt.server.url, "COLUMNS": "80"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield
    finally:
        said, _ = command.communicate(timeout=60)
    assert command.returncode in {0, 1}, f"slotgen {words} exited with {command.returncode}: {said[-2000:]}"
    assert "Traceback" not in said, f"slotgen {words}: {said[-2000:]}"
    assert not _CONTROLS.findall(COLOURS.sub("", said)), f"slotgen {words}: {said!r}"


def _in_the_way(*, right_type: bool) -> Callable[[Abuser], AbstractContextManager[None]]:
    """One to three keys of the table hold something else: of another type, or of theirs and no sense."""

    @contextmanager
    def kind(abuser: Abuser) -> Iterator[None]:
        chance = abuser.chance
        with ExitStack() as ending:
            for row in chance.sample(_ROWS, chance.randint(1, 3)):
                name = _one_of(abuser, row)
                types = [each for each in _PUTS if (each == row.type) == right_type]
                command, number = _PUTS[chance.choice(types)]
                words = _words(chance, command, number)
                print(f"   {command} {name!r}", flush=True)
                if right_type and row.type != "string":
                    with contextlib.suppress(redis.RedisError):
                        abuser.hurt.client.execute_command(command, name, *words)
                else:
                    ending.enter_context(replaced(name, command, *words)(abuser.hurt))
            yield

    return kind


def _one_of(abuser: Abuser, row: Key) -> bytes:
    """Return a key of the row that is there, or one that might be."""
    there = list(abuser.hurt.client.scan_iter(row.glob("slotgen"), count=10_000))
    places = row.pattern.replace("{ns}", "slotgen").replace("{digit}", "3")
    return bytes(abuser.chance.choice([*there[:100], re.sub(r"\{\w+\}", "x", places).encode()]))


def _words(chance: random.Random, command: str, number: int) -> list[bytes]:
    def word() -> bytes:
        return chance.choice(
            [chance.randbytes(chance.randint(1, 300)), RAW, b"true", b"{}", chance.choice(_NUMBERS)]
        )

    if command == "ZADD":
        return [chance.choice(_NUMBERS[:-1]), word()]
    return [b"*", word(), word()] if command == "XADD" else [word() for _ in range(number)]


@_at_once
def _heartbeats_of_another_time(abuser: Abuser) -> None:
    """The clock of Redis has jumped: every heartbeat is of long ago, or of long from now."""
    with contextlib.suppress(redis.RedisError):
        for each in abuser.hurt.client.zrange("slotgen:workers", 0, -1):
            abuser.hurt.client.zadd(
                "slotgen:workers", {each: abuser.chance.choice([0, 1, 1e12, 1e18])}, xx=True
            )


def _trouble(act: Trouble) -> Callable[[Abuser], AbstractContextManager[object]]:
    return lambda abuser: act(abuser.hurt)


# Redis still says what the dial is, and every client is still connected.
_AUDIBLE = {"out of memory", "no replicas", "failed save"}
_TROUBLES = {
    f"Redis: {name}": Abuse(_trouble(act), SHUT, audible=name in _AUDIBLE, excludes=True)
    for name, act in (REFUSALS | ABSENCES).items()
}

ABUSES: dict[str, Abuse] = {
    "odd messages": Abuse(_odd_messages),
    "oversize messages": Abuse(_oversize_messages(600_000, 1_000_000, 4_000_000)),
    "huge messages": Abuse(_oversize_messages(10**7, 5 * 10**7)),
    "forged headers": Abuse(_forged_headers),
    "odd texts": Abuse(_odd_texts),
    "odd replies": Abuse(_odd_replies, SERVERS),
    "odd answers": Abuse(_odd_answers, SERVERS),
    "odd usage": Abuse(_odd_usage, SERVERS | {"BUDGET_EXCEEDED"}),
    "odd waits": Abuse(_odd_waits, SERVERS),
    "refusals of the account": Abuse(_refusals_of_the_account, SERVERS),
    "floods": Abuse(_floods, SERVERS),
    "answers with escapes": Abuse(_answers_with_escapes, SERVERS),
    "slow clients": Abuse(_slow_clients),
    "hasty clients": Abuse(_hasty_clients),
    "an operator reads": Abuse(_operator_reads),
    "keys of another type": Abuse(_in_the_way(right_type=False), SHUT, excludes=True),
    "keys without sense": Abuse(
        _in_the_way(right_type=True),
        # A refusal of the account that nobody can read is one.
        SHUT | {"OPENAI_AUTH_ERROR"},
        excludes=True,
    ),
    "heartbeats of another time": Abuse(_heartbeats_of_another_time),
    **_TROUBLES,
}
