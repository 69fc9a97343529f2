"""The README is true: its tables are the code's, and its blocks run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import schemas
from gates import DIALS
from tasks.errors import ErrorCode, Status
from tests import node
from tests.builders import an_allowlist, open_dials
from tests.redis_server.server import EmbeddedRedis
from worker.dev.redis_server.binary import find_redis_server
from worker.dev.stack import stack, worker_environment
from worker.settings.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line[2:] for language, text in BLOCKS if language == "console" for line in text.splitlines()]


def table_after(marker: str) -> list[list[str]]:
    text = README.split(marker, 1)[1].split("-->", 1)[1].lstrip("\n").split("\n\n", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return rows[2:]


def test_the_error_code_table_is_the_closed_vocabulary_with_its_statuses():
    rows = {row[0].strip("`"): row[1] for row in table_after("<!-- errorCodes")}

    assert set(rows) == {code.value for code in ErrorCode}
    for code, status in rows.items():
        event = {
            "version": "v1",
            "executorVersion": "x",
            "jobId": "j",
            "path": "stub",
            "latencyMs": 1,
            "errorCode": code,
        }
        assert schemas.is_valid("telemetry.v1", event | {"status": status}), code
        assert status in set(Status)


def test_the_settings_table_is_the_settings():
    names = [row[0].strip("`") for row in table_after("<!-- settings")]

    variables = [dial.variable for dial in DIALS if dial.variable]
    assert names == [*(str(field.validation_alias) for field in Settings.model_fields.values()), *variables]


def test_the_settings_table_has_the_real_defaults():
    defaults = {str(field.validation_alias): field.default for field in Settings.model_fields.values()}
    for name, default, _ in table_after("<!-- settings"):
        actual = defaults.get(name.strip("`"))
        if re.fullmatch(r"`?[\w.]+`?", default) and default not in {"none", "unset", "shipped"}:
            shown = f"{actual:g}" if isinstance(actual, float) else str(actual)
            assert shown == default.strip("`"), name


def test_the_commands_table_is_the_command_line():
    from typer.main import get_command

    from worker.cli import build

    known = []
    group = get_command(build())
    for name in group.list_commands(None):
        _, command, _ = group.resolve_command(None, [name])
        subcommands = list(getattr(command, "commands", []))
        known += [f"{name} {each}" for each in subcommands]
        known += [name] if not subcommands or command.invoke_without_command else []
    told = []
    for row in table_after("<!-- commands"):
        first, *others = re.findall(r"`([^`]+)`", row[0])
        words = [word for word in first.split()[1:] if word.islower() and not word.startswith("[")]
        name = words[0] if not others or words[0] == "feature" else " ".join(words)
        told += [name] + [f"{words[0]} {each}" for each in others if words[0] != "feature"]

    assert sorted(told) == sorted(known)


def test_only_languages_that_a_test_runs_are_used():
    # The two blocks without a language are pictures.
    assert sorted({language for language, _ in BLOCKS}) == ["", "console", "js", "python"]


@pytest.fixture(scope="module")
def system():
    with stack() as started:
        started.client.mset(open_dials())
        yield started


@pytest.fixture
def folder(tmp_path):
    """Where a newcomer stands: with the spec of the Python block in a file."""
    spec = re.search(r"^spec = (\{.*?^\})", README, re.MULTILINE | re.DOTALL)[1]
    (tmp_path / "spec.json").write_text(json.dumps(ast.literal_eval(spec)))
    return tmp_path


def run(command, system, cwd, **more):
    env = worker_environment(system.redis_url, None) | {"PYTHONPATH": str(ROOT), **more}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_the_python_block_runs_against_a_worker(system, folder):
    (source,) = [text for language, text in BLOCKS if language == "python"]
    here = source.replace("redis://127.0.0.1:6379/0", system.redis_url)

    done = run([sys.executable, "-c", here], system, folder)

    assert (done.stdout, done.stderr) == ("COMPLETED\n", "")


@pytest.mark.thorough
def test_the_node_block_runs_against_a_worker(system, folder):
    (source,) = [text for language, text in BLOCKS if language == "js"]
    here = source.replace("redis://127.0.0.1:6379/0", system.redis_url)

    done = run(["node", "-e", here], system, folder, NODE_PATH=str(node.modules()))

    assert (done.stdout, done.stderr) == ("COMPLETED\n", "")


def test_the_enqueue_command_prints_the_answer(system, folder):
    (command,) = [command for command in COMMANDS if command.startswith("slotgen enqueue")]

    done = run([sys.executable, "-m", "worker.cli", *command.split()[1:]], system, folder)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["status"] == "COMPLETED"


# Done step by step by tests/deploy/test_fleet_page.py.
FLEET = ("deploy/compose/secrets.sh", "docker compose --file deploy/compose.yaml ")


def test_every_console_command_is_one_that_a_test_runs():
    known = ("make demo", "slotgen worker", "slotgen enqueue", "redis-cli", *FLEET)
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


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_every_link_leads_somewhere(link):
    assert (ROOT / link).exists()
