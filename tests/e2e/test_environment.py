"""A worker or a command works by its own settings alone, in whatever surroundings, or says why not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest
import redis
from celery.result import AsyncResult

from tests.builders import a_job, a_spec, open_dials
from tests.closing_celery import Celery
from tests.fakes.openai.server import Behaviour, FakeOpenAI
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.processes.ports import ReservedPort
from worker.dev.processes.watched import WatchedProcess
from worker.dev.stack import stack, worker_environment

WAIT_SECONDS = 60
FOREVER_SECONDS = 600
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def decoy() -> Iterator[EmbeddedRedis]:
    """Another Redis, whose queue has a job that nobody here may take."""
    with EmbeddedRedis() as server:
        yield server


def inherited(decoy_url: str) -> dict[str, str]:
    return {
        "CELERY_BROKER_URL": decoy_url,
        "CELERY_BROKER_READ_URL": decoy_url,
        "CELERY_BROKER_WRITE_URL": decoy_url,
        "CELERY_RESULT_BACKEND": decoy_url,
        "CELERY_CONFIG_MODULE": "no_such_module",
        "CELERY_LOADER": "no_such_loader",
        "CELERY_TRACE_APP": "1",
        "C_FORCE_ROOT": "",
        "KOMBU_LOG_DEBUG": "1",
        "KOMBU_LOG_CONNECTION": "1",
        "OPENAI_LOG": "debug",
        "OPENAI_ORG_ID": "org-of-somebody",
        "OPENAI_PROJECT_ID": "project-of-somebody",
        "HTTP_PROXY": "http://127.0.0.1:1",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "ALL_PROXY": "http://127.0.0.1:1",
        "PROMETHEUS_MULTIPROC_DIR": "/nowhere",
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "LC_ALL": "C",
        "LANG": "C",
        "HOME": "/nowhere",
        "TZ": "Asia/Kiritimati",
    }


def test_nothing_that_is_inherited_decides_where_jobs_come_from_or_go(decoy):
    with Celery(broker=decoy.url, set_as_current=False) as elsewhere:
        elsewhere.send_task("slotgen.generate", args=[a_spec()], queue="slotgen")

    with stack(settings=inherited(decoy.url)) as system:
        system.client.mset(open_dials())
        with Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False) as celery:
            sent = celery.send_task("slotgen.generate", args=[a_spec(a_job("here"))], queue="slotgen")
            (result,) = sent.get(timeout=WAIT_SECONDS)
        log = system.worker.log_path.read_text()

    assert (result["jobId"], result["status"]) == ("here", "COMPLETED")
    with open_sync(decoy.url) as client:
        assert client.llen("slotgen") == 1
        assert client.keys("celery-task-meta-*") == []
    assert all(json.loads(line) for line in log.splitlines())


STRANGE = {
    "LC_ALL": "C",
    "PYTHONIOENCODING": "utf-16",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONDEVMODE": "1",
    "PROMETHEUS_MULTIPROC_DIR": "/nowhere",
    "TMPDIR": "/nowhere",
    "HOME": "/nowhere",
    "TZ": ":no/such/zone",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "SSL_CERT_DIR": "/nowhere",
    "REQUESTS_CA_BUNDLE": "/nowhere",
    "http_proxy": "http://127.0.0.1:1",
    "https_proxy": "http://127.0.0.1:1",
    "NO_PROXY": "[",
    "OPENAI_API_BASE": "http://127.0.0.1:1",
    "OPENAI_WEBHOOK_SECRET": "x",
    "COLUMNS": "none",
    "TERM": "no-such-terminal",
    "PYTHONINSPECT": "1",
    "PYTHONTRACEMALLOC": "25",
}


# A few at a time, of different makers: a worker takes seconds to start.
@pytest.mark.parametrize("names", [list(STRANGE)[first::5] for first in range(5)], ids=",".join)
def test_a_worker_answers_whatever_its_variables_hold(names):
    with stack(settings={name: STRANGE[name] for name in names}, concurrency=2) as system:
        system.client.mset(open_dials())
        with Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False) as celery:
            sent = celery.send_task("slotgen.generate", args=[a_spec()], queue="slotgen")
            (result,) = sent.get(timeout=WAIT_SECONDS)
        ended_with = system.worker.stop()
        log = system.worker.log_path.read_text()

    assert result["status"] == "COMPLETED"
    assert ended_with == 0
    assert "Traceback" not in log
    assert "this is a bug" not in log


HERE = 'exec "$@"'
# Each is what a shell does before it becomes the program. The last one takes every disk for read-only.
PLACES = {
    "stdin closed": 'exec "$@" <&-',
    "stdout closed": 'exec "$@" >&-',
    "stderr closed": 'exec "$@" 2>&-',
    "no stream at all": 'exec "$@" <&- >&- 2>&-',
    "no rights for new files": 'umask 0777; exec "$@"',
    # Nor one with what this run covers: what is to be measured stays out of it.
    "no file grows": 'unset COVERAGE_PROCESS_CONFIG COVERAGE_PROCESS_START; ulimit -f 0; exec "$@"',
    "a soft limit of files": 'ulimit -S -n 64; exec "$@"',
    "no folder to write to": 'cd /proc; exec "$@"',
    "no folder at all": 'cd "$(mktemp -d)"; rmdir "$PWD"; exec "$@"',
    "no home": 'unset HOME; exec "$@"',
    "no locale": 'unset LANG LC_ALL; exec "$@"',
    "hardly a variable": 'exec env -u HOME -u LANG -u USER -u LOGNAME -u PATH -u TMPDIR -u TERM "$@"',
    "checked memory": 'PYTHONMALLOC=debug exec "$@"',
    "read-only disks": """exec unshare --mount sh -c '
        cut -d " " -f 5 /proc/self/mountinfo | while read -r each; do mount -o remount,bind,ro "$each"; done
        ! touch "$HOME/x" && exec "$@"' sh "$@" 2>/dev/null""",
}


def at(place: str, *command: str) -> list[str]:
    """Return the command line of `command` there; skips what this machine has not."""
    if "unshare" in place and (os.geteuid() or not shutil.which("unshare")):
        pytest.skip("only root may take a disk for read-only")
    return [shutil.which("sh") or "sh", "-c", place, "sh", *command]


@contextmanager
def a_worker_at(place: str, *arguments: str) -> Iterator[Placed]:
    """Run a worker there, with every dial open, and end it; it need not say anything."""
    port = ReservedPort()
    words = ["worker", "--metrics-port", str(port.number), *arguments]
    with (
        FakeOpenAI() as fake_openai,
        EmbeddedRedis() as server,
        TemporaryFile("w+") as log,
        open_sync(server.url) as client,
        Celery(broker=server.url, backend=server.url, set_as_current=False) as celery,
    ):
        client.mset(open_dials())
        process = WatchedProcess(
            at(place, sys.executable, "-m", "worker.cli", *words),
            log.buffer,
            env=worker_environment(server.url, fake_openai.base_url) | {"PYTHONPATH": str(ROOT)},
        )
        try:
            yield Placed(process, log, client, celery, fake_openai, f"http://127.0.0.1:{port.number}/metrics")
        finally:
            process.end(signal.SIGKILL)
            port.release()


@dataclass
class Placed:
    """A worker, which may be starting, and what it works with."""

    process: WatchedProcess
    log: IO[str]
    client: redis.Redis
    celery: Celery
    fake_openai: FakeOpenAI
    metrics_url: str

    def send(self, *jobs: dict[str, Any]) -> AsyncResult:
        return self.celery.send_task("slotgen.generate", args=[a_spec(*jobs)], queue="slotgen")

    def said(self) -> str:
        self.log.seek(0)
        return self.log.read()

    def metric(self, name: str) -> float:
        with urllib.request.urlopen(self.metrics_url, timeout=WAIT_SECONDS) as page:
            (line,) = (each for each in page.read().decode().splitlines() if each.startswith(f"{name} "))
        return float(line.split()[-1])


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_answers_wherever_it_is(place):
    with a_worker_at(PLACES[place], "--concurrency", "2") as worker:
        (result,) = worker.send(a_job("here")).get(timeout=WAIT_SECONDS)
        ended_with = worker.process.end(signal.SIGTERM, WAIT_SECONDS)
        said = worker.said()

    assert result["status"] == "COMPLETED"
    assert ended_with == 0
    assert "Traceback" not in said
    assert "this is a bug" not in said


def test_a_worker_without_files_for_its_calls_says_so_and_what_to_do():
    with a_worker_at('ulimit -n 200; exec "$@"', "--concurrency", "100") as worker:
        eventually(lambda: not worker.process.running, within_seconds=WAIT_SECONDS)
        said = worker.said()

    assert worker.process.returncode == 1
    assert said == (
        "SLOTGEN_CONCURRENCY is 100, which takes 228 open files, and RLIMIT_NOFILE is 200; raise that "
        "(`ulimit -n 228`, LimitNOFILE=228 of systemd), or set SLOTGEN_CONCURRENCY to at most 72\n"
    )


def test_a_worker_raises_its_own_limit_of_files_as_far_as_it_may():
    with a_worker_at('ulimit -S -n 64; exec "$@"', "--concurrency", "100") as worker:
        worker.fake_openai.behave(Behaviour(delay_seconds=FOREVER_SECONDS))
        worker.send(*(a_job(f"hangs-{each}") for each in range(100)))

        worker.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 100)


@pytest.mark.parametrize("log", ["/dev/full", "/dev/full 2>&1"])
def test_a_full_disk_under_the_log_costs_lines_and_nothing_else(log):
    with a_worker_at(f'exec "$@" >{log}', "--concurrency", "4") as worker:
        (result,) = worker.send(a_job("unheard-of")).get(timeout=WAIT_SECONDS)
        dropped = eventually(lambda: worker.metric("slotgen_log_lines_dropped_total"))

        worker.fake_openai.behave(Behaviour(delay_seconds=FOREVER_SECONDS))
        halted = worker.send(*(a_job(f"halted-{each}") for each in range(4)))
        worker.fake_openai.journal.wait_until(lambda counts: counts.in_flight == 4)
        worker.client.set("slotgen:kill", "true")
        results = halted.get(timeout=WAIT_SECONDS)
        ended_with = worker.process.end(signal.SIGTERM, WAIT_SECONDS)

    assert result["status"] == "COMPLETED"
    assert {each["status"] for each in results} == {"STUB"}
    assert dropped >= 1
    assert ended_with == 0


def test_a_worker_that_cannot_use_the_certificates_it_inherited_says_which(decoy):
    done = slotgen(decoy, 'SSL_CERT_FILE=/nowhere/certificates exec "$@"', "worker", "--metrics-port", "0")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "SSL_CERT_FILE is '/nowhere/certificates'; name a readable file of certificates (PEM), or unset it\n"
    )


def test_a_worker_with_a_proxy_that_no_request_could_take_says_which(decoy):
    place = 'OPENAI_BASE_URL=https://api.nowhere.test/v1 HTTPS_PROXY=ann:hunter2@proxy:port exec "$@"'

    done = slotgen(decoy, place, "worker", "--metrics-port", "0")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "HTTPS_PROXY is '…@proxy:port'; set http://HOST:PORT or https://HOST:PORT of an HTTP proxy "
        "(there is no support for SOCKS), or unset it\n"
    )


def test_no_debug_variable_of_a_library_lets_it_log_a_key_or_content():
    noisy = {
        "OPENAI_LOG": "debug",
        "KOMBU_LOG_DEBUG": "1",
        "KOMBU_LOG_CHANNEL": "1",
        "PYTHONASYNCIODEBUG": "1",
        "SLOTGEN_LOG_LEVEL": "DEBUG",
        "OPENAI_API_KEY": "sk-that-no-log-may-have",
        "NO_PROXY": "[",
    }
    with stack(settings=noisy, concurrency=2) as system:
        system.client.mset(open_dials())
        spec = a_spec(a_job("quiet", input={"hint": "content-that-no-log-may-have"}))
        with Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False) as celery:
            sent = celery.send_task("slotgen.generate", args=[spec], queue="slotgen")
            (result,) = sent.get(timeout=WAIT_SECONDS)
        log = system.worker.log_path.read_text()

    assert result["status"] == "COMPLETED"
    assert "no-log-may-have" not in log
    assert json.dumps(result["output"])[1:-1] not in log
    loggers = {json.loads(line)["logger"].partition(".")[0] for line in log.splitlines()}
    assert not loggers & {"openai", "httpx2", "httpcore2", "aiohttp", "kombu"}


def slotgen(
    server: EmbeddedRedis,
    place: str,
    *words: str,
    stdin: Any = None,
    stdout: Any = subprocess.PIPE,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run `slotgen` with these words there."""
    return subprocess.run(
        at(place, sys.executable, "-m", "worker.cli", *words),
        env=worker_environment(server.url, None) | {"PYTHONPATH": str(ROOT)} | environment,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        timeout=WAIT_SECONDS,
        check=False,
    )


@pytest.fixture
def spec(tmp_path, monkeypatch) -> str:
    """A file with a spec; what a command leaves in its folder goes with this one."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "spec.json"
    file.write_text(json.dumps(a_spec()))
    return str(file)


# What surrounds a command does its harm before it knows which one it is: each gets one of three.
@pytest.mark.parametrize(
    ("trouble", "command"),
    list(
        zip([*STRANGE, *PLACES], cycle([["status"], ["enqueue", "SPEC"], ["validate", "SPEC"]]), strict=False)
    ),
)
def test_a_command_works_or_says_why_not(trouble, command, decoy, spec):
    words = [spec if each == "SPEC" else each for each in command]
    place, value = PLACES.get(trouble, HERE), STRANGE.get(trouble)

    done = slotgen(decoy, place, *words, **({trouble: value} if value is not None else {}))

    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "this is a bug" not in said
    refused = command == ["status"] or "the current folder cannot be read" in said
    assert done.returncode in ({0, 1} if refused else {0}), said


@pytest.mark.parametrize(
    ("words", "code"), [(["--version"], 0), (["kill"], 0), (["validate", "/nowhere"], 1), (["validate"], 2)]
)
def test_a_command_ends_with_its_own_exit_code_though_python_is_to_stay(words, code, decoy):
    # Python asks for more only where it could be typed.
    typing, terminal = os.openpty()
    with os.fdopen(typing), os.fdopen(terminal) as stdin:
        done = slotgen(decoy, HERE, *words, stdin=stdin, PYTHONINSPECT="1")

    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ">>>" not in done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1", "cp037", "utf-8-sig", "ascii"])
def test_a_document_is_utf_8_whatever_encoding_is_inherited(encoding, decoy, spec):
    named = str(Path(spec).rename("Größe-水.json"))

    done = slotgen(decoy, HERE, "validate", named, "--json", PYTHONIOENCODING=encoding)

    assert json.loads(done.stdout)["file"] == named
    assert named in done.stdout


COMMANDS = [
    ["status"],
    ["status", "--json"],
    ["kill"],
    ["kill", "--json"],
    ["enqueue", "SPEC"],
    ["validate", "SPEC"],
    ["validate", "SPEC", "--json"],
    ["--help"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_cannot_print_says_so_and_does_its_work(words, decoy, spec):
    with open_sync(decoy.url) as client:
        client.set("slotgen:kill", "false")

        done = slotgen(decoy, 'exec "$@" >/dev/full', *(spec if each == "SPEC" else each for each in words))

        halted = client.get("slotgen:kill") == b"true"
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "(No space left on device)" in done.stderr
    assert "slotgen status" in done.stderr or "slotgen enqueue --resume" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert halted == (words[0] == "kill")
    assert ("HALTED: slotgen:kill is true" in done.stderr) == halted


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_whose_reader_has_gone_ends_without_a_complaint(words, decoy, spec):
    reader, writer = os.pipe()
    os.close(reader)
    with open_sync(decoy.url) as client, os.fdopen(writer) as pipe:
        client.set("slotgen:kill", "false")

        done = slotgen(decoy, HERE, *(spec if each == "SPEC" else each for each in words), stdout=pipe)

        halted = client.get("slotgen:kill") == b"true"
    assert done.returncode == 1
    for complaint in ("Traceback", "this is a bug", "Exception ignored", "BrokenPipe"):
        assert complaint not in done.stderr
    assert halted == (words[0] == "kill")
    assert ("HALTED: slotgen:kill is true" in done.stderr) == halted


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full 2>&1"])
def test_a_halt_needs_no_stream(streams, decoy):
    with open_sync(decoy.url) as client:
        client.set("slotgen:kill", "false")

        slotgen(decoy, f'exec "$@" {streams}', "kill", SSL_CERT_FILE="/nowhere")

        assert client.get("slotgen:kill") == b"true"
