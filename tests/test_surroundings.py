"""A run of the tests depends on nothing that it inherits, and leaves nothing running, however it ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from tests import leftovers
from tests.surroundings import ROOT
from tests.waiting import eventually

STARTS_AND_FORGETS = """
import subprocess

def test_starts_and_forgets():
    subprocess.Popen(["sleep", "601"], start_new_session=True)
"""

HANGS = """
import subprocess, sys, time
import pytest
from worker.dev.stack import stack

@pytest.mark.timeout(TIMEOUT)
def test_hangs(tmp_path):
    with stack() as system:
        other = subprocess.Popen(["sleep", "602"], start_new_session=True)
        redis_pid = system.client.info("server")["process_id"]
        (tmp_path.parent.parent / "pids").write_text(f"{system.worker.pid} {redis_pid} {other.pid}")
        (tmp_path.parent.parent / "started").touch()
        time.sleep(600)

def test_goes_on():
    pass
"""


def a_run(planted: str, tmp_path: Path) -> subprocess.Popen[str]:
    """Start a run of its own, with our conftest, of one planted file."""
    (tmp_path / "test_planted.py").write_text(planted)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", f"--rootdir={ROOT}"]
    command += ["-c", str(ROOT / "pyproject.toml"), "--confcutdir", str(tmp_path)]
    command += ["-n", "1", "--basetemp", str(tmp_path / "temp"), str(tmp_path / "test_planted.py")]
    inherited = {name: value for name, value in os.environ.items() if name != leftovers.VARIABLE}
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=inherited,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_a_test_leaves_running_is_killed_and_fails_the_run(tmp_path):
    with a_run(STARTS_AND_FORGETS, tmp_path) as run:
        said, _ = run.communicate()

    assert "left running by a test, and killed: sleep 601" in said
    assert run.returncode == 1


@pytest.mark.thorough
def test_a_test_that_hangs_fails_alone_and_leaves_nothing_running(tmp_path):
    with a_run(HANGS.replace("TIMEOUT", "6"), tmp_path) as run:
        said, _ = run.communicate()

    assert "1 failed, 1 passed" in said
    assert said.count("left running by a test, and killed") == said.count("killed: sleep 602") == 1


def test_a_run_that_is_killed_leaves_nothing_running(tmp_path):
    with a_run(HANGS.replace("TIMEOUT", "600"), tmp_path) as run:
        eventually((tmp_path / "temp/started").exists, saying="the planted test did not start")
        pids = [int(pid) for pid in (tmp_path / "temp/pids").read_text().split()]
        ends = [os.pidfd_open(pid) for pid in pids]
        run.kill()

        for end in ends:
            select.select([end], [], [])
            os.close(end)


HOSTILE = {
    "HOME": "/nonexistent",
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "tr_TR.ISO-8859-9",
    "PYTHONWARNINGS": "error",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "SLOTGEN_REDIS_URL": "redis://127.0.0.1:1/0",
    "SLOTGEN_AI_KILL": "true",
    "OPENAI_API_KEY": "inherited",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "HTTP_PROXY": "http://127.0.0.1:1",
}


@pytest.fixture
def odd_path(tmp_path):
    """Return a PATH whose Redis is none."""
    (tmp_path / "bin").mkdir()
    false = tmp_path / "bin/redis-server"
    false.write_text("#!/bin/sh\nexit 1\n")
    false.chmod(0o755)
    return f"{false.parent}:{os.environ['PATH']}"


@pytest.mark.thorough
def test_nothing_that_a_run_inherits_changes_what_it_finds(tmp_path, odd_path):
    sample = [
        "tests/e2e/test_main_job.py",
        "tests/worker/dev/demo/test_demo.py::test_ctrl_c_in_the_middle_of_the_demonstration_cleans_up",
        "tests/worker/cli/commands/running/test_validate.py",
        "tests/telemetry/test_logs.py",
    ]
    # As under nohup, and as in the background of a script.
    command = ["sh", "-c", "trap '' INT HUP QUIT CHLD; umask 077; cd /; exec \"$@\"", "sh"]
    command += [sys.executable, "-m", "pytest", "-q", "-n", "2", "-c", str(ROOT / "pyproject.toml")]
    command += ["--basetemp", str(tmp_path / "temp"), *(str(ROOT / each) for each in sample)]
    inherited = {name: value for name, value in os.environ.items() if name != leftovers.VARIABLE}

    done = subprocess.run(
        command, env=inherited | HOSTILE | {"PATH": odd_path}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
