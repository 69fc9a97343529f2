"""One reader for every secret file, which says who else can read or change it."""

from __future__ import annotations

import os

import pytest

from worker.settings import secret_files
from worker.settings.settings import load


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_of_its_owner_alone_draws_no_word(tmp_path, mode):
    path = tmp_path / "key"
    path.write_text("sk-x")
    path.chmod(mode)

    assert secret_files.read(path).exposed is None


@pytest.mark.parametrize(
    ("mode", "verb"),
    [(0o644, "read"), (0o640, "read"), (0o604, "read"), (0o666, "change"), (0o620, "change")],
)
def test_an_open_file_is_named_with_its_mode_and_the_remedy(tmp_path, mode, verb):
    path = tmp_path / "key"
    path.write_text("sk-x")
    path.chmod(mode)

    exposed = secret_files.read(path).exposed

    assert exposed == f"{path} has mode {mode:04o}, so others can {verb} it; chmod 600 {path}"


@pytest.mark.parametrize(("mode", "open_to_others"), [(0o444, False), (0o440, False), (0o666, True)])
def test_a_mount_of_another_owner_is_only_named_when_others_can_change_it(
    tmp_path, monkeypatch, mode, open_to_others
):
    path = tmp_path / "key"
    path.write_text("sk-x")
    path.chmod(mode)
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    assert (secret_files.read(path).exposed is not None) is open_to_others


def test_the_settings_name_each_of_their_files(tmp_path, monkeypatch):
    for name, variable in (("key", "OPENAI_API_KEY_FILE"), ("password", "SLOTGEN_REDIS_PASSWORD_FILE")):
        (tmp_path / name).write_text("s3cret")
        (tmp_path / name).chmod(0o666)
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("SLOTGEN_REDIS_URL", "redis://worker@127.0.0.1:6379/0")

    exposed = load().exposed_files

    assert [each.split()[0] for each in exposed] == [str(tmp_path / "password"), str(tmp_path / "key")]
    assert "s3cret" not in "".join(exposed)
