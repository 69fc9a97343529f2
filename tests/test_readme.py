"""The README is true: its blocks run, and print what it shows."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import an_allowlist, open_dials
from tests.redis_server.server import EmbeddedRedis
from worker.dev.redis_server.binary import find_redis_server
from worker.dev.stack import stack, worker_environment

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]


def test_it_is_short_enough_to_be_read():
    assert len(README.splitlines()) <= 150


def test_only_languages_that_a_test_runs_are_used():
    assert {language for language, _ in BLOCKS} == {"console", "json", "python"}


@pytest.fixture(scope="module")
def system():
    with stack() as started:
        started.client.mset(open_dials())
        yield started


def run(command, system):
    """Run it where a newcomer stands: in the clone."""
    env = worker_environment(system.redis_url, None) | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_block_prints_the_answer_that_is_shown(system):
    (source,) = [text for language, text in BLOCKS if language == "python"]
    (shown,) = [json.loads(text) for language, text in BLOCKS if language == "json"]

    done = run([sys.executable, "-c", source.replace("redis://127.0.0.1:6379/0", system.redis_url)], system)

    assert done.stderr == ""
    *results, reasons = json.loads(done.stdout)
    *shown_results, shown_reasons = shown
    without_time = [each | {"generatedAt": ""} for each in results]
    assert without_time == [each | {"generatedAt": ""} for each in shown_results]
    assert reasons == shown_reasons
    assert [each["status"] for each in results] == ["COMPLETED", "STUB"]


def test_the_enqueue_command_prints_the_answers(system):
    (command,) = [command for command in COMMANDS if command.startswith("slotgen enqueue")]

    done = run([sys.executable, "-m", "worker.cli", *command.split()[1:]], system)

    assert done.returncode == 0, done.stderr
    answers = [json.loads(line)["result"]["status"] for line in done.stdout.splitlines()]
    assert answers == ["COMPLETED", "STUB"]


def test_every_console_command_is_one_that_a_test_runs():
    known = ("make demo", "make dev", "slotgen worker", "slotgen enqueue", "redis-cli")
    assert COMMANDS
    assert [command for command in COMMANDS if not command.startswith(known)] == []


def test_the_redis_commands_open_and_halt(tmp_path):
    (tmp_path / "allowlist.json").write_text(an_allowlist())
    commands = [command for command in COMMANDS if command.startswith("redis-cli")]
    with EmbeddedRedis() as server:
        cli = shlex.join([str(find_redis_server().parent / "redis-cli"), "-p", str(server.port)])
        for command in commands:
            said = subprocess.run(
                command.replace("redis-cli", cli, 1),
                shell=True,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=True,
            )
            assert said.stdout == "OK\n", command
            if command.endswith("slotgen:kill true"):
                read = subprocess.run(
                    f"{cli} GET slotgen:kill", shell=True, capture_output=True, text=True, check=True
                )
                assert read.stdout == "true\n"
    assert commands[-1].endswith("SET slotgen:kill false")


def test_the_worker_command_starts_a_worker(tmp_path):
    (command,) = [command for command in COMMANDS if command.startswith("slotgen worker")]
    with EmbeddedRedis() as server:
        process = subprocess.Popen(
            [sys.executable, "-m", "worker.cli", *command.split()[1:-1], "0"],
            env=worker_environment(server.url, "http://127.0.0.1:1/v1"),
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            # The last word is the port, which may be taken here: 0 is any free one.
            assert any(json.loads(line)["event"] == "worker_ready" for line in process.stdout)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert process.returncode == 0


def test_the_worker_command_has_the_flags_it_shows():
    (command,) = [command for command in COMMANDS if command.startswith("slotgen worker")]
    flags = re.findall(r"--[\w-]+", command)

    shown = subprocess.run(
        [sys.executable, "-m", "worker.cli", "worker", "--help"], capture_output=True, text=True, check=True
    )

    assert flags
    assert [flag for flag in flags if flag not in shown.stdout] == []
