"""What surrounds the code keeps its word: hooks, workflows, the form of files, the versions of Python."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def recipe_of(target: str) -> list[list[str]]:
    """Return the commands of a target of make, with wildcards of files resolved."""
    recipe = (ROOT / "Makefile").read_text().split(f"\n{target}:", 1)[1].split("\n\n", 1)[0]
    lines = [shlex.split(line.replace("$(BIN)", ".venv/bin")) for line in recipe.splitlines()[1:]]
    return [[path for word in line for path in resolved(word)] for line in lines]


def resolved(word: str) -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(word)) if "*" in word else [word]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_is_part_of_make_check(hook):
    assert shlex.split(hook["entry"]) in recipe_of("check")
    assert (hook["language"], hook["pass_filenames"]) == ("system", False)


def test_whatever_is_generated_is_compared_by_a_hook_and_by_make_check():
    generated = [[*line, "--check"] for line in recipe_of("generate")]
    compared = [line for line in recipe_of("check") if line[0].endswith("/python") and line[-1] == "--check"]

    assert sorted(generated) == sorted(compared)
    assert [line for line in compared if line not in [shlex.split(hook["entry"]) for hook in HOOKS]] == []


@pytest.mark.thorough
@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_a_hook_runs_here(hook):
    program, *arguments = shlex.split(hook["entry"])

    # The environment of this run, which need not be called .venv.
    done = subprocess.run(
        [BIN / Path(program).name, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_continuous_integration_runs_every_python_that_the_project_claims():
    matrix = yaml.safe_load(WORKFLOWS[0].read_text())["jobs"]["verify"]["strategy"]["matrix"]["python"]
    claimed = [
        each.rpartition(" ")[2] for each in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", each)
    ]

    assert matrix == claimed
    assert PROJECT["requires-python"] == f">={claimed[0]}"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_by_its_commit(workflow):
    used = re.findall(r"uses: (.*)", workflow.read_text())

    assert used
    for each in used:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each), each


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("this copy of the sources is no checkout")
    # One that was moved and not yet committed is in the list, and not there.
    return [path for name in listed.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def test_every_file_is_as_the_editorconfig_says():
    config = ConfigParser()
    config.read_string("[top]\n" + (ROOT / ".editorconfig").read_text())
    rules = config["*"]
    assert (rules["charset"], rules["end_of_line"]) == ("utf-8", "lf")
    odd = {}
    for path in tracked_files():
        if path.suffix == ".png":
            continue
        text = path.read_bytes().decode("utf-8")
        lines = text.split("\n")
        faults = {
            "a carriage return": "\r" in text,
            "blanks at the end of a line": any(line != line.rstrip(" \t") for line in lines),
            "no newline at the end": bool(text) and lines[-1] != "",
            "a tab": path.name != "Makefile" and any(line.startswith("\t") for line in lines),
        }
        if found := [fault for fault, there in faults.items() if there]:
            odd[path.relative_to(ROOT)] = found

    assert odd == {}
