"""Halting, releasing and looking at a Redis that cannot be used: one text with address, cause and remedy."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tasks.errors import StoreUnavailable
from tests.builders import a_spec
from tests.redis_server.server import EmbeddedRedis
from worker.client import Producer
from worker.dev.stack import worker_environment

SECRET = "s3cr3t"
COMMANDS = [
    ["enqueue", "docs/first-job.json"],
    ["kill"],
    ["resume", "--reason", "x"],
    ["status"],
    ["status", "--json"],
]


@contextmanager
def a_wrong_password(server):
    yield f"redis://:{SECRET}@127.0.0.1:{server.port}/0"


@contextmanager
def a_wrong_database(server):
    yield f"redis://127.0.0.1:{server.port}/99"


@contextmanager
def a_refused_connection(_server):
    yield f"redis://:{SECRET}@127.0.0.1:1/0"


@contextmanager
def a_silent_host(_server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"redis://:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/0"


@contextmanager
def an_unknown_host(_server):
    yield f"redis://:{SECRET}@no-such-host.invalid:6379/0"


@contextmanager
def no_scheme(_server):
    yield f"user:{SECRET}@127.0.0.1:6379/0"


@contextmanager
def a_database_that_is_no_number(server):
    yield f"redis://:{SECRET}@127.0.0.1:{server.port}/x"


KINDS = {
    a_wrong_password: ["wants another password", "correct the user and the password of SLOTGEN_REDIS_URL"],
    a_wrong_database: [
        "has no database of that number",
        "correct the number at the end of SLOTGEN_REDIS_URL",
    ],
    a_refused_connection: ["Redis at redis://127.0.0.1:1/0 did not answer", "start it, or correct"],
    a_silent_host: ["did not answer (TimeoutError)", "find out what holds it up"],
    an_unknown_host: [
        "Redis at redis://no-such-host.invalid:6379/0 did not answer",
        "correct SLOTGEN_REDIS_URL",
    ],
    no_scheme: ["set redis://HOST:6379/0"],
    a_database_that_is_no_number: ["set redis://HOST:6379/0"],
}


@pytest.fixture(scope="module")
def server():
    # The default user has no password; whoever gives one is refused.
    with EmbeddedRedis() as running:
        yield running


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_each_says_where_what_and_what_to_do(kind, words, server):
    with kind(server) as url:
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli", *words],
            env=worker_environment(url, None),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == 1, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr
    for each in KINDS[kind]:
        assert each in done.stderr


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_producer_says_the_same(kind, server):
    with (
        kind(server) as url,
        pytest.raises((StoreUnavailable, ValueError)) as refused,
        Producer.open(url) as producer,
    ):
        producer.send(a_spec())

    said = str(refused.value)
    assert SECRET not in said
    for each in KINDS[kind]:
        assert each in said
