"""A token that could be guessed is refused."""

from __future__ import annotations

import pytest

from worker.web.token import weakness


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
