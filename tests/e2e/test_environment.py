"""A worker among variables that others have left works by its own settings alone."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from celery import Celery

from tests.builders import a_job, a_spec, open_dials
from tests.redis_server.server import EmbeddedRedis
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import stack

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
