import ast
import sys
from pathlib import Path

import pytest

import gates

FILES = sorted(Path(gates.__file__).parent.glob("*.py"))
IMPURE = {"os", "logging", "time", "datetime", "random", "socket", "io", "pathlib", "subprocess", "threading"}


def imports(source):
    """Return the top-level names of the modules that `source` imports, at any depth of it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level or node.module.split(".")[0])
    return found


def refused(name, source):
    """Return the imports of the file `name` that a pure gate must not have."""
    allowed = (set(sys.stdlib_module_names) - IMPURE) | {"gates", "schemas"}
    allowed |= {"mmh3"} if name == "rollout.py" else set()
    return imports(source) - allowed


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_gate_imports_nothing_that_could_see_the_world(file):
    assert refused(file.name, file.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    "planted",
    [
        "import os",
        "import os.path",
        "from time import monotonic",
        "def f():\n    import redis",
        "from . import x",
    ],
)
def test_the_guard_sees_a_planted_import(planted):
    assert refused("opt_in.py", planted)


def test_only_the_rollout_may_hash():
    assert refused("opt_in.py", "import mmh3") == {"mmh3"}
    assert refused("rollout.py", "import mmh3") == set()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_gate_opens_and_prints_nothing(file):
    called = {
        node.func.id
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert called & {"open", "print", "input", "eval", "exec", "__import__"} == set()


def test_the_public_surface_is_what_others_may_rely_on():
    assert gates.__all__ == [
        "DIALS",
        "GATES",
        "REASONS",
        "AllowRule",
        "Allowlist",
        "BrakeState",
        "Ceilings",
        "Controls",
        "Decision",
        "Dial",
        "Gate",
        "RawControls",
        "Reading",
        "Reason",
        "Subject",
        "Trouble",
        "bucket",
        "evaluate",
        "explain",
        "matching_rule",
    ]
    assert all(hasattr(gates, name) for name in gates.__all__)


def test_the_package_is_typed():
    assert Path(gates.__file__).with_name("py.typed").is_file()
