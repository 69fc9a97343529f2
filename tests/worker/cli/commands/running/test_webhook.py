"""`slotgen webhook` refuses what it cannot use; tests/monitoring has its life with a real Alertmanager."""

from __future__ import annotations

import socket

import pytest

TOKEN = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("content", "why"), [(None, "No such file"), ("", "not one line"), ("a\nb", "not one line")]
)
def test_a_token_file_that_cannot_be_used_is_named(slotgen, content, why):
    path = slotgen.folder / "token"
    if content is not None:
        path.write_text(content)

    code, said = slotgen("webhook", "--token-file", str(path))

    assert code == 1
    assert f"the token file {path} cannot be used ({why}" in said


def test_a_port_that_is_taken_is_named(slotgen):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        code, said = slotgen("webhook", "--token-file", slotgen.file("token", TOKEN), "--port", str(port))

    assert code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert TOKEN not in said


def test_a_token_that_could_be_guessed_is_refused_with_the_way_to_make_one(slotgen):
    code, said = slotgen("webhook", "--token-file", slotgen.file("token", "x"))

    assert code == 1
    assert "could be guessed" in said
    assert "openssl rand -base64 32" in said
