"""What is printed for copying works where it was printed: on the PATH, in a clone, in another folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from worker.cli.support.naming import as_called, own_name

PROGRAM = Path(sys.executable).with_name("slotgen")


@pytest.fixture(autouse=True)
def fresh():
    own_name.cache_clear()
    yield
    own_name.cache_clear()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    program = tmp_path / "a clone/.venv/bin/slotgen"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path / "a clone")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return program


@pytest.mark.parametrize(
    ("folder", "called", "name"),
    [
        (".", ".venv/bin/slotgen", ".venv/bin/slotgen"),
        (".", "{program}", ".venv/bin/slotgen"),
        (".venv/bin", "./slotgen", "./slotgen"),
        ("..", "{program}", "'a clone/.venv/bin/slotgen'"),
        ("/", "{program}", "'{inside}'"),
        (".", "/usr/lib/python3/pytest/__main__.py", "slotgen"),
    ],
)
def test_a_program_off_the_path_is_called_by_the_way_to_it(clone, monkeypatch, folder, called, name):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [called.format(program=clone)])

    assert own_name() == name.format(inside=str(clone).removeprefix("/"))


def test_a_program_on_the_path_is_called_by_its_name(clone, monkeypatch):
    monkeypatch.setenv("PATH", f"{clone.parent}:/usr/bin:/bin")
    monkeypatch.setattr(sys, "argv", [str(clone)])

    assert own_name() == "slotgen"


def test_commands_alone_are_renamed(clone, monkeypatch):
    monkeypatch.setattr(sys, "argv", [".venv/bin/slotgen"])

    said = as_called(
        "slotgen broke; see `slotgen status --watch`, slotgen/kill, or slotgen halt; no slotgen kills"
    )

    there = ".venv/bin/slotgen"
    assert (
        said
        == f"slotgen broke; see `{there} status --watch`, slotgen/kill, or {there} halt; no slotgen kills"
    )


@pytest.mark.parametrize("columns", ["80", "200"])
def test_what_a_command_says_to_run_next_runs_where_it_was_said(redis_server, namespace, tmp_path, columns):
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "COLUMNS": columns}
    environment |= {"SLOTGEN_REDIS_URL": redis_server.url, "SLOTGEN_NAMESPACE": namespace}

    def run(command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command],
            check=False,
            env=environment,
            cwd=PROGRAM.parents[2],
            capture_output=True,
            text=True,
        )
        return done.stdout + done.stderr

    said = run(f"{os.path.relpath(PROGRAM, PROGRAM.parents[2])} feature off --actor ann")
    (undo,) = re.findall("undo: (.*)", " ".join(said.split()))
    refused = run(f"{undo} --sure")
    (hint,) = re.findall("Try '(.*)' for help", refused)

    assert "Usage: " in run(hint)
    assert "nothing was changed" in run(undo)
