"""A worker asks its server for the model, beside its jobs, and everyone who looks sees what it was told."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from datetime import UTC, datetime, timedelta

from tests.builders import open_dials
from tests.fakes.openai.server import FakeOpenAI
from tests.waiting import eventually
from worker.adapters.redis.console.fleet import RedisFleet
from worker.dev.stack import stack, worker_environment


def test_a_shutdown_that_is_near_is_seen_before_it_bites():
    day = datetime.now(UTC).date() + timedelta(days=10)
    with FakeOpenAI() as fake_openai:
        fake_openai.models = {"gpt-6-luna": str(day), "gpt-5.6-luna": None}
        with stack(openai_url=fake_openai.base_url) as system:
            eventually(lambda: 'slotgen_model_listed{model="gpt-6-luna"} 1.0' in metrics_of(system))
            system.client.mset(open_dials(kill="true"))
            fleet = RedisFleet(system.client, "slotgen")
            eventually(lambda: [each.model_shutdown for each in fleet.workers()] == [str(day)])
            problem = f"the model gpt-6-luna will be shut down on {day}"
            assert f"to confirm the key can use the model, and it stays: {problem}" in slotgen(
                system, "preflight"
            )
            assert problem in slotgen(system, "status")
            ends = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
            series = 'slotgen_model_shutdown_timestamp_seconds{model="gpt-6-luna"} '
            (line,) = [each for each in metrics_of(system).splitlines() if each.startswith(series)]
            assert float(line.removeprefix(series)) == ends
            assert fake_openai.journal.counts().begun == 0


def metrics_of(system):
    with urllib.request.urlopen(system.metrics_url, timeout=10) as page:
        return page.read().decode()


def slotgen(system, *words):
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", *words],
        env=worker_environment(system.redis_url, None) | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout
