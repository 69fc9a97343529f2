"""A worker among variables that others have left works by its own settings alone."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from celery import Celery

from tests.builders import a_job, a_spec, open_dials
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import stack, worker_environment

WAIT_SECONDS = 60


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
    "PYTHONIOENCODING": "ascii",
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
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_worker_answers_whatever_one_variable_holds(name):
    with stack(settings={name: STRANGE[name]}, concurrency=2) as system:
        system.client.mset(open_dials())
        with Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False) as celery:
            sent = celery.send_task("slotgen.generate", args=[a_spec()], queue="slotgen")
            (result,) = sent.get(timeout=WAIT_SECONDS)
        log = system.worker.log_path.read_text()

    assert result["status"] == "COMPLETED"
    assert "Traceback" not in log
    assert "this is a bug" not in log


def closed(*descriptors: int) -> None:
    for each in descriptors:
        os.close(each)


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))


def no_file_grows() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


PROCESSES: dict[str, Callable[[], object]] = {
    "stdin closed": partial(closed, 0),
    "stderr closed": partial(closed, 2),
    "no rights for new files": partial(os.umask, 0o777),
    "few files": few_files,
    "a full disk": no_file_grows,
    "no folder to write to": partial(os.chdir, "/proc"),
}


@pytest.mark.parametrize("command", [["status"], ["enqueue", "SPEC"], ["validate", "SPEC"]])
@pytest.mark.parametrize("trouble", [*STRANGE, *PROCESSES])
def test_a_command_works_or_says_why_not(trouble, command, decoy, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(a_spec()))
    words = [str(spec) if each == "SPEC" else each for each in command]
    environment = worker_environment(decoy.url, None)
    if trouble in STRANGE:
        environment[trouble] = STRANGE[trouble]

    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", *words],
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=WAIT_SECONDS,
        check=False,
        preexec_fn=PROCESSES.get(trouble),
    )

    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "this is a bug" not in said
    assert done.returncode in ({0, 1} if command == ["status"] else {0}), said
