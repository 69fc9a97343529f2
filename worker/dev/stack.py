"""The whole system on one machine: embedded Redis, a stand-in for OpenAI, and one worker process."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import redis

from worker.adapters.redis.clients import open_sync
from worker.dev.demo.specs import ALLOWLIST
from worker.dev.fake_openai.server import FakeOpenAI
from worker.dev.processes.watched import WatchedProcess
from worker.dev.redis_server.process import RedisServer, embedded_server

_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_EVERY_LINE = ("time", "level", "logger", "event", "telemetry", "details")
# Variables that would reach beyond this machine, or distort the demonstration, stay out of the worker's
# environment.
_NOT_INHERITED = ("OPENAI_", "OTEL_", "SLOTGEN_", "FEATURE_SLOTGEN_AI")


class NoKey(RuntimeError):  # noqa: N818 - reads as what it is
    """The real OpenAI was asked for, but there is no key for it."""


class WorkerDied(RuntimeError):  # noqa: N818 - reads as what it is
    """The worker process ended by itself; the text has its last line."""


@dataclass(slots=True)
class WorkerProcess:
    """One `slotgen worker`, its log lines handed to `on_line` as they come; it ends with this process."""

    environment: dict[str, str]
    log_path: Path
    on_line: Callable[[dict[str, Any]], None]
    ready: dict[str, Any] = field(default_factory=dict)
    _process: WatchedProcess | None = None
    _reader: threading.Thread | None = None
    _started: threading.Event = field(default_factory=threading.Event)
    _last_line: str = ""

    def start(self, arguments: list[str]) -> None:
        """Start it, or start it again, and wait until it consumes. Raises WorkerDied."""
        self.stop()
        self._started.clear()
        self.ready.clear()
        command = [sys.executable, "-m", "worker.cli", "worker", *arguments]
        self._process = WatchedProcess(command, subprocess.PIPE, env=self.environment)
        self._reader = threading.Thread(target=self._read, args=(self._process.lines,), daemon=True)
        self._reader.start()
        if not self._started.wait(_START_SECONDS) or not self.ready:
            self.stop()
            raise WorkerDied(f"the worker did not start; its last words: {self._last_words}")

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid if self._process else 0

    @property
    def ended(self) -> str:
        """How it ended by itself; empty while it runs."""
        if self._process is None or self._process.running:
            return ""
        return f"the worker {self._process.ending}; its last words: {self._last_words}"

    def check(self) -> None:
        """Raise WorkerDied when it has ended by itself."""
        if self.ended:
            raise WorkerDied(self.ended)

    @property
    def _last_words(self) -> str:
        """The last thing it said: the event and fields of a log line."""
        try:
            entry = json.loads(self._last_line)
            fields = [f"{name} {entry[name]}" for name in entry if name not in _EVERY_LINE]
            return ", ".join([str(entry["event"]), *fields])
        except (ValueError, TypeError, LookupError):
            return self._last_line.strip() or "none"

    def stop(self) -> int | None:
        """End it with SIGTERM, after the grace with SIGKILL; return its exit code as a shell shows it."""
        if self._process is None:
            return None
        code = self._process.end(signal.SIGTERM, _STOP_SECONDS)
        if self._reader:
            self._reader.join()
        return code

    def _read(self, lines: IO[str]) -> None:
        with lines, self.log_path.open("a", encoding="utf-8") as log:
            for line in lines:
                self._last_line = line
                log.write(line)
                log.flush()
                self._hand_on(line)
        self._started.set()

    def _hand_on(self, line: str) -> None:
        try:
            entry = json.loads(line)
        except ValueError:
            return
        if entry.get("event") == "worker_ready":
            self.ready.update(entry)
            self._started.set()
        self.on_line(entry)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running system and its addresses."""

    redis_server: RedisServer
    openai_url: str | None
    worker: WorkerProcess
    worker_arguments: list[str]
    fake_openai: FakeOpenAI | None
    client: redis.Redis

    @property
    def redis_url(self) -> str:
        """Where the queue, the results and the dials are."""
        return self.redis_server.url

    def revive(self) -> Iterator[str]:
        """Restart what has ended by itself, and yield a sentence for each.

        Raises:
            EmbeddedRedisError, WorkerDied: it does not start.

        """
        if ending := self.redis_server.ending:
            self.redis_server.start()
            yield f"Redis {ending}, and was started again with what it held"
        if ended := self.worker.ended:
            self.worker.start(self.worker_arguments)
            yield f"{ended}; started again, metrics at {self.metrics_url}"

    def open_everything(self) -> None:
        """Open every dial, with the shipped policy, in one step."""
        dials = {"slotgen:kill": "false", "slotgen:feature": "true", "slotgen:rollout_percent": "100"}
        self.client.mset(dials | {"slotgen:allowlist": ALLOWLIST.read_text("utf-8")})

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would look."""
        return f"http://127.0.0.1:{self.worker.ready['metrics_port']}/metrics"


@contextmanager
def stack(
    *,
    real: bool = False,
    concurrency: int = 50,
    openai_url: str | None = None,
    settings: dict[str, str] | None = None,
    on_line: Callable[[dict[str, Any]], None] | None = None,
    redis_port: int = 0,
    persistent: bool = False,
) -> Iterator[Stack]:
    """Start everything, yield it, and end everything; nothing is left behind.

    `openai_url` takes the place of our own stand-in; `settings` are added to the worker's environment. Redis
    takes `redis_port` if it is free; a `persistent` one can be revived with what it held.

    Raises:
        NoKey: `real`, without a key in the environment.
        EmbeddedRedisError: there is no Redis server to start.
        WorkerDied: the worker did not start; the text has its last line.

    """
    if real and not os.environ.get("OPENAI_API_KEY", "").strip():
        raise NoKey("--real calls OpenAI, and OPENAI_API_KEY is not set; set it, or leave --real out")
    with ExitStack() as ending:
        folder = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="slotgen-")))
        server = ending.enter_context(embedded_server(folder, port=redis_port, persistent=persistent))
        fake_openai = None if real or openai_url else ending.enter_context(FakeOpenAI())
        url = fake_openai.base_url if fake_openai else openai_url
        client = ending.enter_context(open_sync(server.url, timeout_seconds=5))
        worker = WorkerProcess(
            environment=worker_environment(server.url, url) | (settings or {}),
            log_path=folder / "worker.log",
            on_line=on_line or (lambda _: None),
        )
        ending.callback(worker.stop)
        metrics_port = worker.environment.get("SLOTGEN_METRICS_PORT", "0")
        arguments = ["--metrics-port", metrics_port, "--concurrency", str(concurrency)]
        worker.start(arguments)
        yield Stack(server, url, worker, arguments, fake_openai, client)


def worker_environment(redis_url: str, openai_url: str | None) -> dict[str, str]:
    """Return the worker's environment; without `openai_url` it gets the real key, if there is one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
    ours = {"SLOTGEN_REDIS_URL": redis_url, "SLOTGEN_METRICS_HOST": "127.0.0.1"}
    if openai_url:
        return kept | ours | {"OPENAI_BASE_URL": openai_url, "OPENAI_API_KEY": "stand-in"}
    real = {name: os.environ[name] for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL") if name in os.environ}
    return kept | ours | real
