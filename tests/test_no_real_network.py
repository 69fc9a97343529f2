"""No test, and no worker under test, can reach a real network."""

from __future__ import annotations

import socket

import pytest
from pytest_socket import SocketConnectBlockedError

from worker.dev.stack import worker_environment


def test_a_connection_beyond_loopback_is_refused():
    with (
        socket.socket() as outside,
        pytest.warns(UserWarning, match="192.0.2.1"),
        pytest.raises(SocketConnectBlockedError),
    ):
        outside.connect(("192.0.2.1", 443))


def test_a_key_of_the_environment_never_reaches_a_worker_under_test(monkeypatch):
    fake_openai = "http://127.0.0.1:1/v1"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://example.org")
    monkeypatch.setenv("SLOTGEN_BUDGET_USD", "0")

    environment = worker_environment("redis://127.0.0.1:1/0", fake_openai)

    assert environment["OPENAI_API_KEY"] == "stand-in"
    assert environment["OPENAI_BASE_URL"] == fake_openai
    assert "SLOTGEN_BUDGET_USD" not in environment
