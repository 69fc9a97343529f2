from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.rig.tcp_proxy import TcpProxy


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):
            while data := self.request.recv(1024):
                self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def a_proxy_before_an_echo() -> Iterator[TcpProxy]:
    with EchoServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with TcpProxy(server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


def connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=30)


def assert_silence(client: socket.socket) -> None:
    """Nothing arrives in a time in which it would, were it let through; a slow machine proves less of it."""
    client.settimeout(0.02)
    with pytest.raises(TimeoutError):
        client.recv(1024)
    client.settimeout(30)


def test_what_a_black_hole_holds_back_arrives_after_the_heal():
    with a_proxy_before_an_echo() as proxy, connected(proxy) as client:
        client.sendall(b"one")
        assert client.recv(1024) == b"one"

        proxy.black_hole()
        client.sendall(b"two")
        assert_silence(client)
        proxy.heal()

        assert client.recv(1024) == b"two"


def test_a_black_hole_accepts_connections_and_answers_none():
    with a_proxy_before_an_echo() as proxy:
        proxy.black_hole()
        with connected(proxy) as client:
            client.sendall(b"one")
            assert_silence(client)


def test_a_cut_ends_what_is_open_and_refuses_what_comes_until_the_heal():
    with a_proxy_before_an_echo() as proxy, connected(proxy) as client:
        client.sendall(b"one")
        assert client.recv(1024) == b"one"

        proxy.cut()
        with pytest.raises(ConnectionResetError):
            client.recv(1024)
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        proxy.heal()

        with connected(proxy) as again:
            again.sendall(b"two")
            assert again.recv(1024) == b"two"


def test_a_lost_reply_was_to_a_request_that_arrived():
    with a_proxy_before_an_echo() as proxy, connected(proxy) as client:
        proxy.lose_reply_to("two")
        client.sendall(b"one")
        assert client.recv(1024) == b"one"
        assert proxy.replies_lost == 0

        client.sendall(b"two")
        with pytest.raises(ConnectionResetError):
            client.recv(1024)
        assert proxy.replies_lost == 1

        with connected(proxy) as again:
            again.sendall(b"two")
            assert again.recv(1024) == b"two"
