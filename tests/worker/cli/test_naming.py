"""A command is one file: help and completion read its source, and only the one that is called is imported."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from worker.cli import build

GROUP = get_command(build())
NAMES = GROUP.list_commands(None)


def modules_after(words, **environment):
    script = f"import sys; sys.argv[1:] = {words}; from worker.cli import main\ntry: main()\n"
    script += "except SystemExit: pass\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    *lines, modules = done.stdout.splitlines()
    return lines, set(modules.split())


def commands_in(modules):
    return {each for each in modules if each.startswith("worker.cli.commands.") and each.count(".") == 4}


def test_the_kill_switch_comes_first_and_every_panel_has_its_commands():
    assert NAMES[:3] == ["kill", "resume", "drill"]
    assert NAMES[3:7] == ["status", "explain", "tail", "report"]
    assert {"allowlist", "budget", "enqueue", "worker", "demo"} < set(NAMES)
    panels = [GROUP.get_command(None, each).rich_help_panel for each in NAMES]
    assert list(dict.fromkeys(panels)) == [
        "Halt and release",
        "See what is happening",
        "Change exposure, one step at a time",
        "Run",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_says_of_itself_what_its_source_says(name):
    listed = GROUP.get_command(None, name)
    _, called, _ = GROUP.resolve_command(None, [name])

    # A group may show something by itself, and says so below its name.
    assert listed.get_short_help_str(300) in {called.get_short_help_str(300), called.help}
    done = CliRunner().invoke(build(), [name, "--help"])
    assert done.exit_code == 0
    assert f"slotgen {name}" in done.output


def test_a_named_command_imports_no_other():
    _, modules = modules_after(["worker", "--help"])

    assert commands_in(modules) == {"worker.cli.commands.running.worker"}


@pytest.mark.parametrize("words", [["--help"], ["explode"], []])
def test_help_and_mistakes_import_no_command(words):
    _, modules = modules_after(words)

    assert commands_in(modules) == set()


@pytest.mark.parametrize(
    ("line", "offered", "imported"),
    [
        ("slotgen re", ["resume", "report", "repair"], set()),
        ("slotgen dead ", ["list", "show", "replay", "drop"], {"worker.cli.commands.watching.dead"}),
        ("slotgen kill --re", ["--reason"], {"worker.cli.commands.halting.kill"}),
    ],
)
def test_completion_imports_only_the_command_that_is_completed(line, offered, imported):
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" ")), "_SLOTGEN_COMPLETE": "complete_bash"}
    script = "import sys; sys.argv[:] = ['slotgen']; from worker.cli import main\ntry: main()\n"
    script += "except SystemExit: pass\nprint(); print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | words,
    )

    *lines, modules = done.stdout.split("\n")[:-1]
    assert [each for each in lines if each] == offered
    assert commands_in(set(modules.split())) == imported


def test_the_help_of_the_halt_does_not_wait_for_what_halts():
    _, modules = modules_after(["kill", "--help"])

    assert not modules & {"redis", "worker.settings.settings", "jsonschema_rs"}


def test_an_unknown_command_is_a_usage_error_that_knows_the_others():
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "kil"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    assert "'kill'" in done.stderr


def test_halt_is_another_name_of_kill():
    assert GROUP.resolve_command(None, ["halt"])[1].help == GROUP.resolve_command(None, ["kill"])[1].help
    assert "halt" not in NAMES


def test_the_version_is_that_of_the_distribution():
    lines, modules = modules_after(["--version"])

    assert lines == [f"slotgen {version('slotgen')}"]
    assert commands_in(modules) == set()
