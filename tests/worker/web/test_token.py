"""A token that could be guessed is refused."""

from __future__ import annotations

import hmac

import pytest

from worker.web.access import Access
from worker.web.token import same, weakness

TOKEN = "Jk3vR9sQ2xW7pLm5Zt8Yb1"


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("x", "1 different"),
        ("a" * 64, "1 different"),
        ("abcdefg" * 10, "7 different"),
        ("0123456789" * 3, "99 bits"),
        ("0123456789abcdef" * 1, "64 bits"),
        ("0123456789abcdef0123456789abcde", "124 bits"),
        ("Jk3vR9sQ2xW7pLm5Zt8Yb", "126 bits"),
        ("0123456789abcdef0123456789abcdef", None),
        ("Jk3vR9sQ2xW7pLm5Zt8Yb1", None),
        ("3ynhAXDg6cV0m0rZ6m3Jt4s1R1r9P7Yx5c8o3mQ4b2E=", None),
    ],
)
def test_a_token_that_could_be_guessed_is_weak(token, why):
    found = weakness(token)

    assert found is None if why is None else why in found


@pytest.mark.parametrize("sent", [b"", b"x", b"\xff" * 22, TOKEN.encode(), f"{TOKEN}x".encode()])
def test_a_token_is_compared_in_the_time_of_a_full_comparison(monkeypatch, sent):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or real(*both))

    assert same(sent, TOKEN) is (sent == TOKEN.encode())
    assert Access(TOKEN, None).log_in("ann", TOKEN)
    assert compared == [(sent, TOKEN.encode()), (TOKEN.encode(), TOKEN.encode())]
