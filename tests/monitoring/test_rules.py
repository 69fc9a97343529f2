"""The shipped rules are sound: each alert fires when it should, is silent else, and says what to run."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer
import yaml

from telemetry import METRICS
from tests.debian import program
from worker.cli import build

pytestmark = pytest.mark.thorough

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
FOLDER = DEPLOY / "prometheus"
RULES = [
    rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
CASES = [
    case
    for test in yaml.safe_load((FOLDER / "rules_test.yml").read_text())["tests"]
    for case in test["alert_rule_test"]
]
FIRING = {case["alertname"] for case in CASES if case["exp_alerts"]}
SILENT = {case["alertname"] for case in CASES if not case["exp_alerts"]}
HEADINGS = re.findall(r"^### (\w+)$", (DEPLOY / "RUNBOOK.md").read_text("utf-8"), re.MULTILINE)


def run(tool: str, *arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(tool), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_alert_fires_and_is_silent_as_its_cases_say(saw_monitoring):
    tested = run("promtool", "test", "rules", "rules_test.yml")

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert set(ALERTS) == FIRING == SILENT
    saw_monitoring("alerts tested, firing and silent", f"{len(ALERTS)} of {len(ALERTS)} ({len(CASES)} cases)")


@pytest.mark.parametrize(("expression", "noticed"), [("vector(1) < 0", FIRING), ("vector(1)", SILENT)])
def test_the_cases_find_out_an_alert_that_never_or_always_fires(expression, noticed, tmp_path):
    rules = yaml.safe_load((FOLDER / "rules.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                rule["expr"] = expression
                rule.pop("for", None)
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules))
    shutil.copy(FOLDER / "rules_test.yml", tmp_path)

    tested = run("promtool", "test", "rules", "rules_test.yml", folder=tmp_path)

    assert set(re.findall(r"alertname: (\w+)", tested.stdout + tested.stderr)) >= noticed == set(ALERTS)


def test_the_shipped_files_are_what_prometheus_and_alertmanager_take():
    for tool, *arguments in (
        ("promtool", "check", "rules", "rules.yml"),
        ("promtool", "check", "config", "prometheus.yml"),
        ("amtool", "check-config", "alertmanager.yml"),
    ):
        checked = run(tool, *arguments)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_series_that_a_rule_asks_for_is_one_that_a_worker_has():
    records = {rule["record"] for rule in RULES if "record" in rule}
    histograms = {f"{row.name}_bucket" for row in METRICS if row.kind == "histogram"}
    known = records | histograms | {row.name for row in METRICS}

    asked = {name for rule in RULES for name in re.findall(r"\bslotgen[\w:]+", rule["expr"])}

    assert asked - {"slotgen"} <= known


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_run_and_where_to_read(name):
    notes = ALERTS[name]["annotations"]

    assert notes["summary"].endswith(".")
    assert notes["runbook"] == f"deploy/RUNBOOK.md#{name.lower()}"
    assert HEADINGS.count(name) == 1
    assert ALERTS[name]["labels"]["severity"] in {"warning", "critical"}
    # Parsed by the command line itself, and not run.
    slotgen, command, *arguments = shlex.split(
        notes["command"].replace("{{ $labels.error_code }}", "INTERNAL_ERROR")
    )
    assert slotgen == "slotgen"
    group = typer.main.get_command(build())
    _, found, _ = group.resolve_command(None, [command])
    found.make_context(command, arguments)


def test_the_runbook_has_no_paragraph_for_an_alert_that_is_gone():
    assert {heading for heading in HEADINGS if heading.startswith("Slotgen")} == set(ALERTS)
