"""A program that we started ends with us, even when we are killed and end nothing."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys

import pytest

from worker.dev.processes.watched import WatchedProcess

# Abrupt parents: each says who its processes are, and waits to be killed.
A_PROGRAM = """
import signal, subprocess
from worker.dev.processes.watched import WatchedProcess
process = WatchedProcess(["sleep", "600"], subprocess.DEVNULL)
print(process.pid, flush=True)
signal.pause()
"""
A_SYSTEM = """
import signal
from worker.dev.stack import stack
with stack() as system:
    print(system.worker.pid, system.client.info("server")["process_id"], flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("parent", [A_PROGRAM, A_SYSTEM])
def test_everything_ends_when_its_parent_is_killed(parent, tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    with (
        contextlib.ExitStack() as ending,
        subprocess.Popen(
            [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment
        ) as process,
    ):
        ending.callback(process.kill)
        ends = [os.pidfd_open(int(pid)) for pid in process.stdout.readline().split()]
        assert ends
        process.kill()

        for end in ends:
            ending.callback(os.close, end)
            select.select([end], [], [])


def test_a_program_whose_watcher_was_killed_ends_all_the_same():
    process = WatchedProcess(["sleep", "600"], subprocess.DEVNULL)
    with contextlib.ExitStack() as ending:
        end = os.pidfd_open(process.pid)
        ending.callback(os.close, end)
        os.kill(os.getsid(process.pid), signal.SIGKILL)

        process.end(signal.SIGTERM)

        select.select([end], [], [])
    assert process.ending == "was ended by SIGKILL"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("exit 7", "ended with exit code 7"),
        ("kill -TERM $$", "was ended by SIGTERM"),
        ("exit 200", "ended with exit code 200"),
    ],
)
def test_it_says_how_it_has_ended(command, said):
    process = WatchedProcess(["sh", "-c", command], subprocess.DEVNULL)

    process.end(signal.SIGCONT)

    assert process.ending == said


def test_its_end_has_the_code_that_a_shell_would_show():
    process = WatchedProcess(["sh", "-c", "exit 7"], subprocess.DEVNULL)
    other = WatchedProcess(["sleep", "600"], subprocess.DEVNULL)

    assert process.end(signal.SIGCONT) == 7
    assert other.end(signal.SIGKILL) == 128 + signal.SIGKILL
    assert not other.running


def test_a_stopped_program_ends_in_order():
    process = WatchedProcess(["sleep", "600"], subprocess.DEVNULL)
    process.send(signal.SIGSTOP)

    assert process.end(signal.SIGTERM) == 128 + signal.SIGTERM


def test_what_it_says_on_either_stream_can_be_read():
    process = WatchedProcess(["sh", "-c", "echo out; echo err >&2"], subprocess.PIPE)
    with process.lines as lines:
        said = lines.read().split()
    process.end(signal.SIGTERM)

    assert sorted(said) == ["err", "out"]
