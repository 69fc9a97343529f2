"""docs/monitoring.md and its pictures are what the code, the rules and the dashboards say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import yaml

from tests.monitoring.boards import BOARDS
from tests.monitoring.drawing import digest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "monitoring"
PAGE = (ROOT / "docs" / "monitoring.md").read_text("utf-8")
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]


def test_the_picture_of_a_report_is_what_the_page_looks_like():
    drawn = subprocess.run(
        [sys.executable, FOLDER / "draw_report.py", "--check"], capture_output=True, text=True, check=False
    )

    assert (drawn.returncode, drawn.stderr) == (0, "")


def test_the_picture_of_the_overview_has_each_panel_as_it_is_now_with_data():
    # Drawn again by `python -m tests.monitoring.picture`, in three minutes.
    drawn = ET.parse(FOLDER / "overview.svg").getroot().iter()
    shown = {each.get("data-panel"): each for each in drawn if each.get("data-panel")}

    panels = {panel["title"]: panel for panel in BOARDS["overview"]["panels"]}
    assert shown.keys() == panels.keys()
    assert {title for title, each in shown.items() if each.get("data-of") != digest(panels[title])} == set()
    assert {title for title, each in shown.items() if not int(each.get("data-points"))} == set()


def test_the_page_names_each_panel_that_answers_a_question():
    named = set(re.findall(r"^\| [^|]+\? \| ([^|]+) \|", PAGE, re.MULTILINE))
    titles = {panel["title"] for panel in BOARDS["overview"]["panels"]}

    assert len(named) == 12
    assert all(any(title in each for title in titles) for each in named)
    dials = {"Feature", "Rollout", "Allowlist", "Dead letters", "Malformed", "Policies", "Outcomes"}
    assert {title for title in titles if title not in " ".join(named)} <= dials


def test_the_page_lists_the_alerts_as_they_are():
    alerts = [
        (
            rule["alert"],
            ", ".join([rule["labels"]["severity"], *(["halt"] if "halt" in rule["labels"] else [])]),
            re.sub(r"(\d)m$", r"\1 min", re.sub(r"(\d)s$", r"\1 s", rule.get("for", "at once"))),
        )
        for rule in RULES
        if "alert" in rule
    ]

    assert re.findall(r"^\| `(Slotgen\w+)` \| ([\w, ]+) \| ([\w ]+) \|$", PAGE, re.MULTILINE) == alerts
