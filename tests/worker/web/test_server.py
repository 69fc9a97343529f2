"""The port of `slotgen web` gives a client no longer and no more than other ports do."""

from __future__ import annotations

import socket
import threading
from contextlib import closing, suppress

import pytest
from starlette.responses import PlainTextResponse

from tests.worker.web.site import WAIT_SECONDS, served


async def answers(scope, receive, send):
    await PlainTextResponse("ok", headers={"Connection": "close"})(scope, receive, send)


def client(address):
    return closing(socket.create_connection(address, timeout=WAIT_SECONDS))


def said_by(connection):
    """Everything until the end of the connection."""
    found = b""
    with suppress(ConnectionError):
        while more := connection.recv(65_536):
            found += more
    return found


def ask(address, request=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
    with client(address) as connection:
        with suppress(ConnectionError):
            connection.sendall(request)
        return said_by(connection)


def test_a_client_that_says_nothing_is_dropped_when_its_time_is_over():
    with served(answers, seconds=0.2) as address, client(address) as silent, client(address) as begun:
        begun.sendall(b"GET / HTTP/1.1\r\nHo")

        assert (said_by(silent), said_by(begun)) == (b"", b"")
        assert ask(address).startswith(b"HTTP/1.1 200")


def test_a_newcomer_takes_the_place_of_the_client_that_has_been_waited_for_the_longest():
    with served(answers, seconds=WAIT_SECONDS, connections=2) as address, client(address) as first:
        # In the server's hands before the next one comes: it answers in their order.
        first.sendall(b"GET / HTTP/1.1\r\nHo")
        with client(address) as second:
            second.sendall(b"GET / HTTP/1.1\r\nHo")

            assert ask(address).startswith(b"HTTP/1.1 200")
            assert said_by(first) == b""
            second.sendall(b"st: x\r\n\r\n")
            assert said_by(second).startswith(b"HTTP/1.1 200")


def test_who_is_being_answered_keeps_the_place_and_gets_the_answer():
    entered, leave = threading.Event(), threading.Event()

    async def slow(scope, receive, send):
        import asyncio

        entered.set()
        await asyncio.to_thread(leave.wait, WAIT_SECONDS)
        await answers(scope, receive, send)

    with served(slow, seconds=WAIT_SECONDS, connections=1) as address, client(address) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert entered.wait(WAIT_SECONDS)

        assert ask(address) == b""
        leave.set()
        assert said_by(first).startswith(b"HTTP/1.1 200")


def test_an_answer_that_never_comes_ends_as_well():
    async def never(scope, receive, send):
        import asyncio

        await asyncio.Event().wait()

    with served(never, seconds=0.1) as address:
        assert ask(address) == b""


def test_a_head_without_an_end_has_its_bound():
    with served(answers, request_bytes=1024, seconds=WAIT_SECONDS) as address:
        # It may find the connection reset before it has read the refusal.
        said = ask(address, b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000)
        assert said[:10] in {b"", b"HTTP/1.1 4"}


@pytest.mark.parametrize("more", [b"Upgrade: websocket", b"Upgrade: h2c"])
def test_no_protocol_but_http_is_answered_and_no_attempt_is_logged(caplog, more):
    with served(answers) as address:
        head = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n" + more
        assert ask(address, head + b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert ask(address, b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert caplog.records == []
