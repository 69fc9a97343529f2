"""A real fleet under a real Prometheus with the shipped rules, each scraped every second."""

from __future__ import annotations

import contextlib
import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.closing_celery import Celery
from tests.debian import program
from tests.fakes.openai.server import FakeOpenAI
from tests.monitoring.boards import DEPLOY
from tests.monitoring.test_auto_halt import wait_until_it_answers
from tests.ports import free_port
from worker.dev.stack import Stack, WorkerProcess, stack, worker_environment


@dataclass(frozen=True)
class WatchedFleet:
    """A running fleet, its producer, its model, and the address of the Prometheus that looks at it."""

    system: Stack
    fake_openai: FakeOpenAI
    celery: Celery
    prometheus: str

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the data of an answer of Prometheus's API."""
        url = f"{self.prometheus}{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=10) as page:
            return json.load(page)["data"]

    def has_data(self, query: str) -> bool:
        result = self.ask("/api/v1/query", query=query)["result"]
        return any(sample["value"][1] != "NaN" for sample in result)


@contextlib.contextmanager
def watched_fleet(
    folder: Path, *, workers: int = 1, concurrency: int = 16, budget_usd: str = "50"
) -> Iterator[WatchedFleet]:
    """Start all of it, yield it, and end all of it."""
    settings = {"SLOTGEN_BUDGET_USD": budget_usd}
    with contextlib.ExitStack() as ending:
        fake_openai = ending.enter_context(FakeOpenAI())
        system = ending.enter_context(
            stack(concurrency=concurrency, openai_url=fake_openai.base_url, settings=settings)
        )
        ports = [int(system.worker.ready["metrics_port"])]
        for number in range(1, workers):
            environment = worker_environment(system.redis_url, fake_openai.base_url) | settings
            more = WorkerProcess(environment, folder / f"worker-{number}.log", lambda _: None)
            ending.callback(more.stop)
            more.start(["--metrics-port", "0", "--concurrency", str(concurrency)])
            ports.append(int(more.ready["metrics_port"]))
        exporter_port, prometheus_port = free_port(), free_port()
        config = _prometheus_config(folder, ports, exporter_port)
        for command in (
            [
                program("prometheus-redis-exporter"),
                f"--redis.addr={system.redis_url}",
                f"--web.listen-address=127.0.0.1:{exporter_port}",
            ],
            [
                program("prometheus"),
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{prometheus_port}",
            ],
        ):
            started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            ending.callback(started.wait, 20)
            ending.callback(started.terminate)
        celery = Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False)
        ending.callback(celery.close)
        url = f"http://127.0.0.1:{prometheus_port}"
        wait_until_it_answers(f"{url}/-/ready")
        yield WatchedFleet(system, fake_openai, celery, url)


def _prometheus_config(folder: Path, worker_ports: list[int], exporter_port: int) -> Path:
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus/rules.yml")]
    del config["alerting"]
    by_name = {job["job_name"]: job for job in config["scrape_configs"]}
    del by_name["slotgen"]["dns_sd_configs"]
    by_name["slotgen"]["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in worker_ports]}]
    by_name["redis"]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter_port}"]}]
    del by_name["prometheus"]["static_configs"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"
