"""The shipped route of a real Alertmanager halts the fleet through `slotgen webhook`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.debian import among_its_files
from tests.ports import free_port
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import worker_environment

pytestmark = pytest.mark.thorough

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alertmanager.yml"
TOKEN = "0123456789abcdef0123456789abcdef"
WAIT_SECONDS = 60


def send(url: str, document: object) -> None:
    request = urllib.request.Request(
        url, json.dumps(document).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5):
        pass


def wait_until_it_answers(url: str) -> str:
    """Return what it says, once it says something."""

    def answer() -> str | None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as page:
            return str(page.read().decode())
        return None

    return eventually(answer, within_seconds=WAIT_SECONDS, saying=f"{url} did not answer")


def shipped_route_to(webhook: str, token_file: Path) -> str:
    config = yaml.safe_load(CONFIG.read_text())
    (receiver,) = (each for each in config["receivers"] if each["name"] == "halt")
    (hook,) = receiver["webhook_configs"]
    assert hook["url"].endswith(":9465/halt")
    hook["url"] = webhook
    hook["http_config"]["authorization"]["credentials_file"] = str(token_file)
    return yaml.safe_dump(config)


@pytest.fixture
def redis():
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture
def webhook(redis, tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    (tmp_path / "token").chmod(0o600)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "worker.cli",
            "webhook",
            "--token-file",
            tmp_path / "token",
            "--port",
            "0",
            "--json",
        ],
        env=os.environ | worker_environment(redis.url, None),
        stdout=subprocess.PIPE,
        text=True,
    )
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("}"):
            break
    yield json.loads(said)["listening"]
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=WAIT_SECONDS)[0]
    assert process.returncode == 0
    assert TOKEN not in rest


def test_an_alert_that_says_halt_does(redis, webhook, tmp_path):
    port = free_port()
    (tmp_path / "alertmanager.yml").write_text(shipped_route_to(webhook, tmp_path / "token"))
    alertmanager = subprocess.Popen(
        [
            *among_its_files("prometheus-alertmanager"),
            f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/-/ready")
        with open_sync(redis.url, timeout_seconds=WAIT_SECONDS) as client:
            client.set("slotgen:kill", "false")
            halted = client.pubsub()
            client.config_set("notify-keyspace-events", "K$g")
            halted.subscribe("__keyspace@0__:slotgen:kill")
            halted.get_message(timeout=WAIT_SECONDS)

            labels = {"alertname": "SlotgenWorkerDown", "job": "slotgen"}
            send(f"http://127.0.0.1:{port}/api/v2/alerts", [{"labels": labels}])
            halting = {"alertname": "SlotgenCostAnomaly", "job": "slotgen", "halt": "true"}
            send(f"http://127.0.0.1:{port}/api/v2/alerts", [{"labels": halting}])

            assert halted.get_message(timeout=WAIT_SECONDS), "the fleet was not halted"
            assert client.get("slotgen:kill") == b"true"
            *_, entry = client.xrange("slotgen:audit")
            assert entry[1][b"actor"] == b"alertmanager"
            assert entry[1][b"reason"] == b"alert SlotgenCostAnomaly"
            halted.close()
    finally:
        alertmanager.terminate()
        alertmanager.wait(WAIT_SECONDS)
