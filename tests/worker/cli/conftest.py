"""The console of one namespace on a real Redis, called as a person would."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from tests.builders import OPEN, an_allowlist
from tests.history import keep
from tests.tasks.operations.past import an_outcome
from worker.adapters.redis.console.dials import RedisDials
from worker.cli import build
from worker.cli.support.errors import CliError

# How long the commands of a test take is no matter.
A_MOMENT_AGO = r"(?:just now|\d+ s ago)"


@dataclass
class Slotgen:
    """Runs commands in one namespace; `client` is for what happens behind the console's back."""

    client: redis.Redis
    namespace: str
    folder: Path

    def __call__(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit code and what a person sees."""
        done = self._run(words)
        if isinstance(done.exception, CliError):
            return 1, f"{done.output}{done.exception}\n"
        return done.exit_code, done.output

    def json(self, *words: str, code: int = 0) -> Any:
        done = self._run((*words, "--json"))
        assert done.exit_code == code, (done.output, done.exception)
        return json.loads(done.stdout)

    def _run(self, words: Iterable[str]) -> Any:
        done = CliRunner().invoke(build(), words)
        if not isinstance(done.exception, CliError):
            assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def raw(self, dial: str) -> bytes | None:
        return self.client.get(f"{self.namespace}:{dial}")

    def open(self, **dials: str | None) -> None:
        """Open everything long ago, but for `dials`; None deletes the key."""
        values = OPEN | {"rollout_percent": "1", "allowlist": an_allowlist()} | dials
        for dial, value in values.items():
            key = f"{self.namespace}:{dial}"
            self.client.set(key, value) if value is not None else self.client.delete(key)
        # The record knows what is there, and has nothing recent.
        self.dials.read()
        self.client.delete(f"{self.namespace}:audit", f"{self.namespace}:audit:noticed")

    def outcomes(self, number: int = 1, **changes: Any) -> None:
        """Leave outcomes of jobs `past-0`, … in the history, as of now."""
        keep(self.client, self.namespace, *(an_outcome(f"past-{each}", **changes) for each in range(number)))

    @property
    def dials(self) -> RedisDials:
        return RedisDials(self.client, self.namespace)


@pytest.fixture
def slotgen(redis_server, redis_client, namespace, monkeypatch, tmp_path):
    monkeypatch.setenv("SLOTGEN_REDIS_URL", redis_server.url)
    monkeypatch.setenv("SLOTGEN_NAMESPACE", namespace)
    monkeypatch.setenv("COLUMNS", "200")
    return Slotgen(redis_client, namespace, tmp_path)
