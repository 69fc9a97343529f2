"""What a producer takes on by importing the client: nothing of the worker, of Celery or of the SDK."""

import subprocess
import sys

import worker.client

FOREIGN = {"celery", "kombu", "billiard", "openai", "httpx2", "aiohttp", "prometheus_client", "typer", "rich"}
# What the exporter of traces brings; the rest of OpenTelemetry is imported by redis-py, where it finds it.
FOREIGN |= {"requests", "google"}


def test_importing_it_pulls_in_nothing_of_the_worker():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, worker.client; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )

    modules = set(done.stdout.split())
    ours = {".".join(each.split(".")[:3]) for each in modules if each.startswith("worker.")}
    rooms = {each for each in ours if each.startswith(("worker.adapters.", "worker.settings."))}
    assert {".".join(each.split(".")[:2]) for each in ours} == {
        "worker.adapters",
        "worker.client",
        "worker.settings",
    }
    assert rooms == {"worker.adapters.redis", "worker.settings.redis_url"}
    assert not {each.split(".")[0] for each in modules} & FOREIGN


def test_its_public_names_are_these():
    assert worker.client.__all__ == [
        "AnswerLate",
        "Delivery",
        "InvalidMessage",
        "Producer",
        "Progress",
        "Sent",
        "StoreUnavailable",
        "TaskFailed",
        "TaskResult",
        "TaskRevoked",
    ]
