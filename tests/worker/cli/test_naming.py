"""A command that is named is the only one that is imported, and says what it says beside the others."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from worker.cli import _COMMANDS, _GROUPS, _named, build

NAMES = [name for _, name in (*_COMMANDS, *_GROUPS)]


@pytest.mark.parametrize("name", NAMES)
def test_alone_it_shows_the_same_help(name):
    alone, among_others = (CliRunner().invoke(app, [name, "--help"]) for app in (build(name), build()))

    assert alone.exit_code == 0
    assert f"slotgen {name}" in alone.output
    assert alone.output == among_others.output


@pytest.mark.parametrize(
    ("words", "only"),
    [
        (["kill"], "kill"),
        (["dead", "list"], "dead"),
        (["explode"], None),
        (["--help"], None),
        (["--install-completion"], None),
        ([], None),
    ],
)
def test_only_a_commands_name_is_one(words, only):
    assert _named(words) == only


def test_a_named_command_imports_no_other():
    script = "import sys; sys.argv[1:] = ['worker', '--help']; from worker.cli import main\ntry: main()\n"
    script += "except SystemExit: pass\nprint(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    modules = set(done.stdout.splitlines()[-1].split())
    commands = {each for each in modules if each.startswith("worker.cli.commands.")}
    assert {each for each in commands if each.rpartition(".")[2] in NAMES} == {
        "worker.cli.commands.running.worker"
    }


def test_an_unknown_command_is_a_usage_error_that_knows_the_others():
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "kil"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "kill" in done.stderr
