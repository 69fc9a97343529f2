"""The page's way from a clone to a monitored fleet, each step done from the compose file, no engine."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.debian import program
from tests.deploy.redis7 import redis_server
from tests.fakes.openai.server import FakeOpenAI
from tests.monitoring.test_auto_halt import wait_until_it_answers
from tests.ports import free_port
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.dev.stack import WorkerProcess, worker_environment

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())["services"]
PAGE = (ROOT / "deploy" / "README.md").read_text("utf-8")
WAIT_SECONDS = 60


def steps():
    block = PAGE[PAGE.index("<!-- fleet") :]
    return [
        line.removeprefix("$ ")
        for line in re.search(r"```console\n(.*?)```", block, re.DOTALL)[1].splitlines()
    ]


def environment_of(service, secrets, port, openai_url=None):
    """The environment that compose gives `service`, with its mounts and host names those of this machine."""
    given = {
        name: value.replace("/run/secrets", str(secrets)).replace("@redis:6379", f"@127.0.0.1:{port}")
        for name, value in COMPOSE[service]["environment"].items()
    }
    base = worker_environment("", openai_url) | given
    # The stand-in takes any key; the one of the file is given by the file alone.
    return {name: value for name, value in base.items() if name != "OPENAI_API_KEY"}


@pytest.mark.timeout(150)
def test_every_step_from_a_clone_to_a_monitored_fleet(tmp_path):
    make_secrets, up, *operator = [shlex.split(step) for step in steps()]
    secrets, port = tmp_path / "secrets", free_port()
    subprocess.run([ROOT / make_secrets[0], secrets], check=True, capture_output=True)
    (tmp_path / "data").mkdir()
    assert up[-3:] == ["up", "--build", "--detach"]

    # The arguments of compose's redis, on a port of this run.
    server, conf, *options = COMPOSE["redis"]["entrypoint"]
    assert server == "redis-server"
    here = {
        "/etc/redis/redis.conf": ROOT / "deploy/redis/redis.conf",
        "/run/secrets/users.acl": secrets / "users.acl",
        "/data": tmp_path / "data",
    }
    arguments = [here[conf], *(here.get(each, each) for each in options), "--port", str(port)]
    with (
        FakeOpenAI() as fake_openai,
        open_sync(f"redis://127.0.0.1:{port}/0", timeout_seconds=5) as probe,
        redis_server(tmp_path / "data", arguments, probe),
        ThreadPoolExecutor() as together,
    ):
        environment = environment_of("worker", secrets, port, fake_openai.base_url)
        workers = [
            WorkerProcess(environment, tmp_path / f"worker-{number}.log", lambda _: None)
            for number in range(COMPOSE["worker"]["deploy"]["replicas"])
        ]
        try:
            list(together.map(lambda worker: worker.start(["--metrics-port", "0"]), workers))
            said = [run_as_operator(command, secrets, port) for command in operator]
            monitored_by_prometheus(tmp_path, [each.ready["metrics_port"] for each in workers])
        finally:
            ended = list(together.map(WorkerProcess.stop, workers))

    assert ended == [0, 0]
    status, halted = said
    assert len(status["workers"]) == 2
    assert (halted["halted"], halted["confirmed"]) == (True, 2)
    passwords = [(secrets / role).read_text() for role in ("worker", "operator", "openai_api_key")]
    logs = "".join((tmp_path / f"worker-{number}.log").read_text() for number in range(2))
    assert "redis_unsafe" not in logs
    assert not [each for each in passwords if each.strip() in logs]


def run_as_operator(command, secrets, port):
    assert command[:-1] == ["docker", "compose", "--file", "deploy/compose.yaml", "run", "--rm", "slotgen"]
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", command[-1], "--json"],
        env=environment_of("slotgen", secrets, port),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def monitored_by_prometheus(folder, ports):
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    (job,) = (each for each in config["scrape_configs"] if each["job_name"] == "slotgen")
    # Compose resolves the name of the service; here both are on this machine.
    assert job["dns_sd_configs"][0]["names"] == ["worker"]
    del job["dns_sd_configs"]
    job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in ports]}]
    config["scrape_configs"] = [job]
    config["global"] = {"scrape_interval": "1s"}
    config["rule_files"] = [str(ROOT / "deploy/prometheus/rules.yml")]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    web = free_port()
    prometheus = subprocess.Popen(
        [
            program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address=127.0.0.1:{web}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{web}/-/ready")
        query = f"http://127.0.0.1:{web}/api/v1/query?{urllib.parse.urlencode({'query': 'up == 1'})}"

        def all_are_up():
            with urllib.request.urlopen(query, timeout=5) as page:
                return len(json.load(page)["data"]["result"]) == len(ports)

        eventually(all_are_up, saying="Prometheus does not see both workers")
    finally:
        prometheus.terminate()
        prometheus.wait(WAIT_SECONDS)
