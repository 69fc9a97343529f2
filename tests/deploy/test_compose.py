"""The compose file is valid, whole, and gives each service its own role and no secret in its environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.deploy.redis7 import ROLES
from tests.deploy.test_kubernetes import job_deadline_seconds

pytestmark = pytest.mark.thorough

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def test_is_valid():
    if (
        shutil.which("docker")
        and subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0
    ):
        command = ["docker", "compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet"]
    else:
        tool = Path(sys.executable).parent / "check-jsonschema"
        command = [tool, "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"]

    checked = subprocess.run(command, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_no_more_than_it_needs(name):
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert "mem_limit" in service
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["ulimits"] == {"core": 0}
    # What is built here has no digest before it is built.
    assert "build" in service or re.fullmatch(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}", service["image"])
    for variable, value in service.get("environment", {}).items():
        secret = any(word in variable for word in ("PASSWORD", "KEY", "TOKEN", "SECRET"))
        assert not secret or str(value).startswith("/run/secrets/"), variable
    assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])


@pytest.mark.parametrize(
    ("service", "role"), [("worker", "worker"), ("slotgen", "operator"), ("halt-webhook", "guard")]
)
def test_each_speaks_to_redis_in_its_own_role(service, role):
    settings = SERVICES[service]["environment"]

    assert settings["SLOTGEN_REDIS_URL"] == f"redis://{role}@redis:6379/0"
    assert settings["SLOTGEN_REDIS_PASSWORD_FILE"] == f"/run/secrets/{role}"
    assert role in SERVICES[service]["secrets"]


def test_workers_are_two_and_are_given_the_time_to_end_their_jobs():
    worker = SERVICES["worker"]
    grace = int(worker["environment"]["SLOTGEN_SHUTDOWN_GRACE_SECONDS"])

    assert worker["deploy"]["replicas"] == 2
    assert job_deadline_seconds() < grace < int(worker["stop_grace_period"].removesuffix("s"))


def test_the_networks_keep_apart_who_need_not_speak_to_whom():
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    reaching = {name for name, of in networks.items() if "internet" in of}
    speaking = {name for name, of in networks.items() if "redis" in of}

    assert all(COMPOSE["networks"][name]["internal"] for name in ("redis", "metrics", "alerts"))
    assert reaching == {"worker"}
    assert speaking == {"redis", "worker", "slotgen", "halt-webhook", "redis-exporter"}
    assert networks["redis"] == {"redis"}
    # Whoever has to speak to whom can: Prometheus scrapes, and its alerts reach the webhook.
    for one, other in (
        ("prometheus", "worker"),
        ("prometheus", "redis-exporter"),
        ("prometheus", "alertmanager"),
        ("alertmanager", "halt-webhook"),
        ("grafana", "prometheus"),
    ):
        assert networks[one] & networks[other], (one, other)


def test_every_file_that_is_mounted_is_there():
    mounts = [volume.split(":")[0] for each in SERVICES.values() for volume in each.get("volumes", [])]

    for source in mounts:
        if source.startswith("./"):
            assert (DEPLOY / source).exists(), source
        else:
            assert source in COMPOSE["volumes"]


def test_one_script_makes_all_secrets_once(tmp_path):
    script = DEPLOY / "compose" / "secrets.sh"

    for _ in range(2):
        subprocess.run([script, tmp_path / "secrets"], check=True, capture_output=True)
        made = {each.name: each.read_text() for each in (tmp_path / "secrets").iterdir()}
    wanted = {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}

    assert wanted <= set(made)
    passwords = [made[role] for role in ROLES]
    assert len(set(passwords)) == len(ROLES)
    assert all(len(each) == 48 for each in passwords)
    assert not any(each in made["users.acl"] for each in passwords)
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    again = {each.name: each.read_text() for each in (tmp_path / "secrets").iterdir()}
    assert again == made


def test_secrets_are_never_committed():
    assert "secrets/" in (DEPLOY / "compose" / ".gitignore").read_text().splitlines()
