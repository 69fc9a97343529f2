"""Runs the tests of each mutant in a process of its own, as many at a time as there are trees.

Each is a fork of one that has imported pytest and the libraries, and nothing of ours: starting anew would
take longer than most tests do.
"""

from __future__ import annotations

import compileall
import gc
import importlib
import os
import resource
import shutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mutants.mutant import Mutant

# What the tests of some mutant import, and takes time.
_LIBRARIES = (
    "aiohttp",
    "celery",
    "hypothesis",
    "jsonschema_rs",
    "kombu",
    "redis.asyncio",
    "rich",
    "tenacity",
)
PACKAGES = ("gates", "schemas", "tasks", "telemetry", "worker", "tests")
# A mutant that never ends is noticed, too; the slowest test takes a second, and CPU alone counts.
_CPU_SECONDS = 60
_LOG = "trial.log"
# Rewritten assertions explain a failure, which nobody reads here, and take a third of a second; a search for
# examples that has found one takes long to make it small.
_ARGUMENTS = ("-x", "-q", "--assert=plain", "--timeout=10", "-m", "not hypothesis")
_PLUGINS = ("_hypothesis_pytestplugin", "pytest_socket", "pytest_timeout")


@dataclass(slots=True)
class Tree:
    """A copy of the sources, in which one file at a time is changed."""

    root: Path
    _written: int = 0

    @classmethod
    def copy(cls, sources: Path, to: Path) -> Tree:
        for package in PACKAGES:
            shutil.copytree(sources / package, to / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(sources / "pyproject.toml", to)
        compileall.compile_dir(to, quiet=1)
        return cls(to)

    def write(self, path: str, source: str) -> None:
        (self.root / path).write_text(source, encoding="utf-8")
        # Python takes a compiled file of the same second and size for this one's.
        self._written += 1
        os.utime(self.root / path, (self._written, self._written))


def import_libraries() -> None:
    """Import here, once, what would take every trial its time."""
    for name in _LIBRARIES + _PLUGINS:
        importlib.import_module(name)
    gc.freeze()


def survivors(mutants: Iterable[Mutant], tests: Sequence[str], trees: Sequence[Tree]) -> list[Mutant]:
    """Return the mutants with which all of `tests`, paths below a tree's root, pass."""
    alive: list[Mutant] = []
    idle = list(trees)
    running: dict[int, tuple[Mutant, Tree, str]] = {}

    def wait() -> None:
        pid, status = os.wait()
        mutant, tree, original = running.pop(pid)
        tree.write(mutant.path, original)
        idle.append(tree)
        if os.waitstatus_to_exitcode(status) == pytest.ExitCode.OK:
            alive.append(mutant)

    for mutant in mutants:
        if not idle:
            wait()
        tree = idle.pop()
        original = (tree.root / mutant.path).read_text(encoding="utf-8")
        tree.write(mutant.path, mutant.source)
        running[_begin(tree.root, tests)] = (mutant, tree, original)
    while running:
        wait()
    return alive


def check(tree: Tree, tests: Sequence[str]) -> None:
    """Make sure that `tests` pass on the sources as they are; end the program with their output where not."""
    if os.waitpid(_begin(tree.root, tests), 0)[1]:
        sys.exit((tree.root / _LOG).read_text(encoding="utf-8"))


def _begin(root: Path, tests: Sequence[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with (root / _LOG).open("wb") as log:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        os.environ["PYTEST_PLUGINS"] = ",".join(_PLUGINS)
        os.chdir(root)
        # This program is one of the tests' packages: the ones of the tree are to be imported in its place.
        for name in [each for each in sys.modules if each.partition(".")[0] in PACKAGES]:
            del sys.modules[name]
        sys.path.insert(0, str(root))
        code = int(pytest.main([*_ARGUMENTS, *tests]))
    except BaseException:  # noqa: BLE001 - whatever it was, this copy of the program ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
