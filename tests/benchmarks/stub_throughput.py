"""STUB jobs a second of one worker process, against the same Celery with a task that does nothing."""

from __future__ import annotations

from statistics import median

from tests.benchmarks.rig import bare_worker, drain, message
from tests.builders import a_job, a_spec
from worker.dev.embedded_redis import EmbeddedRedis
from worker.dev.stack import stack

JOBS = 2000
ROUNDS = 3


def run() -> list[tuple[str, str, str]]:
    """Return (measure, figure, target) rows."""
    ours, bare = [], []
    options = ["--pool", "threads", "--concurrency", "100"]
    with stack(concurrency=100) as system, EmbeddedRedis() as server, bare_worker(server, *options):
        system.client.set("slotgen:kill", "true")
        import redis

        with redis.Redis.from_url(server.url) as bare_client:
            drain(bare_client, "bare", nothing(200))
            drain(system.client, "slotgen", stubs(200))
            for _ in range(ROUNDS):
                bare.append(drain(bare_client, "bare", nothing(JOBS)))
                ours.append(drain(system.client, "slotgen", stubs(JOBS)))
    ratio = median(ours) / median(bare)
    return [
        ("bare no-op task, threads 100", f"{median(bare):.0f} jobs/s", ""),
        ("STUB jobs, threads 100", f"{median(ours):.0f} jobs/s", ""),
        ("STUB / bare", f"{ratio:.2f}", ">= 0.85"),
    ]


def nothing(number: int) -> list[bytes]:
    return [message("bare.nothing", [a_spec(a_job(f"job-{each}"))], "bare") for each in range(number)]


def stubs(number: int) -> list[bytes]:
    return [message("slotgen.generate", [a_spec(a_job(f"job-{each}"))], "slotgen") for each in range(number)]
