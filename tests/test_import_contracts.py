"""Each import contract breaks on a violation planted into a copy of the tree."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
_NOT_CODE = shutil.ignore_patterns("__pycache__", "*.json")
PACKAGES = ("gates", "tasks", "telemetry", "schemas", "worker")


def lint(tree: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"],
        cwd=tree,
        env={"PYTHONPATH": str(tree), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def tree(tmp_path):
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=_NOT_CODE)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "planted", "contract"),
    [
        ("gates/rollout.py", "import tasks.errors", "worker -> tasks"),
        ("gates/rollout.py", "import telemetry.events", "worker -> tasks"),
        ("schemas/loader.py", "import gates.decision", "worker -> tasks"),
        ("tasks/generate/spec.py", "import worker.process.celery_app", "worker -> tasks"),
        ("worker/settings/secret_files.py", "import worker.adapters.redis.keys", "cli -> process"),
        ("worker/adapters/redis/clients.py", "import worker.halt.brake_bridge", "cli -> process"),
        ("worker/metrics/fleet.py", "import worker.process.health", "cli -> process"),
        ("worker/client/reader.py", "import worker.process.celery_app", "cli -> process"),
        ("worker/dev/stack.py", "import worker.cli", "cli -> process"),
        (
            "worker/adapters/redis/jobs/budget.py",
            "import worker.adapters.redis.console.dials",
            "what a job does",
        ),
        ("gates/opt_in.py", "import os", "gates decide"),
        ("tasks/generate/generation.py", "import redis", "tasks speak"),
        ("worker/process/lifecycle.py", "import openai", "OpenAI SDK"),
        ("worker/adapters/redis/clients.py", "import httpx2", "OpenAI SDK"),
        ("telemetry/recorder.py", "import opentelemetry.trace", "OpenTelemetry's SDK"),
        ("worker/client/producer.py", "import opentelemetry.trace", "OpenTelemetry's SDK"),
    ],
)
def test_breaks_on_a_planted_violation(tree, file, planted, contract):
    path = tree / file
    path.write_text(f"{path.read_text()}\n{planted}\n")

    done = lint(tree)

    assert done.returncode == 1, done.stdout + done.stderr
    assert any(contract in line and "BROKEN" in line for line in done.stdout.splitlines())


def test_the_tree_as_it_is_keeps_them_all(tree):
    assert lint(tree).returncode == 0
