"""The manifests are valid for the API, and give a worker the time, the limits and the rights it needs."""

from __future__ import annotations

import configparser
import ipaddress
import json
import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from gates import DIALS
from worker.adapters.redis.keys import PRIORITY_QUEUE, QUEUE, UNACKED
from worker.settings.settings import Settings

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
CUSTOM = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "Kustomization"}
DOCUMENTS = [
    document for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
]
OBJECTS = {document["kind"]: document for document in reversed(DOCUMENTS)}
POLICIES = {each["metadata"]["name"]: each["spec"] for each in DOCUMENTS if each["kind"] == "NetworkPolicy"}
POD = OBJECTS["Deployment"]["spec"]["template"]["spec"]
(WORKER,) = POD["containers"]
SETTINGS = {str(field.validation_alias) for field in Settings.model_fields.values()} | {
    dial.variable for dial in DIALS if dial.variable
}


def job_deadline_seconds():
    return json.loads((ROOT / "tasks" / "executor.v1.json").read_text())["jobDeadlineSeconds"]


@pytest.mark.parametrize(
    "document",
    [each for each in DOCUMENTS if each["kind"] not in CUSTOM],
    ids=lambda each: f"{each['kind']} {each['metadata']['name']}",
)
def test_an_object_is_valid_for_the_api(document):
    kubernetes_validate.validate(document, "1.33", strict=True)


def test_a_misspelt_field_would_be_noticed():
    broken = json.loads(json.dumps(OBJECTS["Deployment"]))
    broken["spec"]["template"]["spec"]["terminationGracePeriod"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.33", strict=True)


def test_kustomize_takes_every_file_and_no_other():
    files = {path.name for path in FOLDER.glob("*.yaml")} - {"kustomization.yaml"}

    assert set(OBJECTS["Kustomization"]["resources"]) == files


def test_a_worker_ends_in_its_own_time():
    grace = float(OBJECTS["ConfigMap"]["data"]["SLOTGEN_SHUTDOWN_GRACE_SECONDS"])

    assert job_deadline_seconds() < grace < POD["terminationGracePeriodSeconds"]


def test_a_worker_may_do_next_to_nothing():
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["automountServiceAccountToken"] is False
    assert WORKER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert WORKER["resources"]["limits"]["memory"]


def test_redis_being_away_restarts_nobody():
    assert WORKER["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert WORKER["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_settings_are_ones_that_exist_and_secrets_are_files():
    data = OBJECTS["ConfigMap"]["data"]
    mounts = {each["mountPath"] for each in WORKER["volumeMounts"]}

    assert set(data) <= SETTINGS
    for variable in ("SLOTGEN_REDIS_PASSWORD_FILE", "OPENAI_API_KEY_FILE"):
        assert str(Path(data[variable]).parent) in mounts
    assert not re.search(r"kind: Secret\b", "".join(path.read_text() for path in FOLDER.glob("*.yaml")))


def test_keda_looks_at_what_waits_and_at_what_is_held():
    triggers = OBJECTS["ScaledObject"]["spec"]["triggers"]

    by_priority = [PRIORITY_QUEUE("slotgen", each) for each in (3, 6, 9)]  # kombu's steps, but for its first
    names = [each["metadata"]["listName"] for each in triggers]
    assert names == [QUEUE("slotgen"), *by_priority, UNACKED("slotgen")]
    assert {each["metadata"]["username"] for each in triggers} == {"keda"}
    assert {each["authenticationRef"]["name"] for each in triggers} == {
        OBJECTS["TriggerAuthentication"]["metadata"]["name"]
    }
    assert (
        OBJECTS["ScaledObject"]["spec"]["scaleTargetRef"]["name"] == OBJECTS["Deployment"]["metadata"]["name"]
    )


def test_selectors_find_the_workers():
    labels = OBJECTS["Deployment"]["spec"]["template"]["metadata"]["labels"].items()

    assert OBJECTS["Service"]["spec"]["selector"].items() <= labels
    for kind in ("PodDisruptionBudget", "ServiceMonitor", "Deployment"):
        assert OBJECTS[kind]["spec"]["selector"]["matchLabels"].items() <= labels
    assert OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= labels
    assert (
        OBJECTS["ServiceMonitor"]["spec"]["endpoints"][0]["port"]
        == OBJECTS["Service"]["spec"]["ports"][0]["name"]
    )


def test_a_worker_reaches_redis_names_and_the_public_https_alone():
    redis, dns, public = POLICIES["slotgen"]["egress"]
    (block,) = (each["ipBlock"] for each in public["to"])

    assert [each["port"] for each in redis["ports"]] == [6379]
    assert {each["port"] for each in dns["ports"]} == {53}
    assert [each["port"] for each in public["ports"]] == [443]
    inside = [ipaddress.ip_network(each) for each in block["except"]]
    for address in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.0.0.1"):
        assert any(ipaddress.ip_address(address) in each for each in inside), address


def test_a_redis_hears_nobody_without_a_label():
    (rule,) = POLICIES["slotgen-redis"]["ingress"]

    assert POLICIES["slotgen-redis"]["podSelector"]["matchLabels"] == {"app": "redis"}
    assert all(selector for peer in rule["from"] for selector in peer.values())
    assert [each["port"] for each in rule["ports"]] == [6379]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd here")
def test_systemd_rates_what_the_unit_leaves_open():
    unit = ROOT / "deploy/systemd/slotgen.service"
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
        capture_output=True,
        text=True,
        check=True,
    )
    (level,) = re.findall(r"Overall exposure level for slotgen.service: ([\d.]+)", rated.stdout)

    assert float(level) <= 1.5
    assert "LimitCORE=0" in unit.read_text()


def test_the_systemd_unit_waits_longer_than_the_worker_and_holds_no_secret():
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str
    text = (ROOT / "deploy" / "systemd" / "slotgen.service").read_text()
    unit.read_string(text)
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE))

    assert set(variables) - {"PYTHONDONTWRITEBYTECODE"} <= SETTINGS
    grace = float(variables["SLOTGEN_SHUTDOWN_GRACE_SECONDS"])
    assert job_deadline_seconds() < grace < int(unit["Service"]["TimeoutStopSec"])
    assert unit["Service"]["DynamicUser"] == "yes"
    assert unit["Service"]["ProtectSystem"] == "strict"
    for variable in ("SLOTGEN_REDIS_PASSWORD_FILE", "OPENAI_API_KEY_FILE"):
        assert re.search(rf"^LoadCredential={Path(variables[variable]).name}:", text, re.MULTILINE)
