"""The dashboards answer an operator's questions in their order, from series that say something."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import promql_parser
import pytest
import yaml

from telemetry import METRICS
from tests.monitoring.boards import BOARDS, DEPLOY, PANELS, filled

OVERVIEW = [panel for name, panel in PANELS if name.startswith("overview: ")]
KNOWN_UNITS = {"short", "percent", "percentunit", "ops", "s", "bytes", "currencyUSD", "dateTimeFromNow"}
# Pixels of Grafana's grid, of its own bars above the panels, of the browser's, and of the screen.
ROW, BARS, BROWSER, SCREEN = 30 + 8, 104, 100, 1080
# What only grows: a graph of it says how long a process has lived.
COUNTERS = r"\b(?:slotgen|gen_ai|process_cpu|redis)\w*_(?:total|bucket|sum|count)\b"
RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    for rule in group["rules"]
]


def expressions(panel):
    return [target["expr"] for target in panel["targets"]]


def test_the_files_are_what_the_generator_writes():
    checked = subprocess.run([sys.executable, DEPLOY / "grafana/generate.py", "--check"], check=False)

    assert checked.returncode == 0


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[name for name, _ in PANELS])
def test_a_panel_explains_itself(name, panel):
    defaults = panel["fieldConfig"]["defaults"]

    assert len(panel["description"]) > 10
    assert defaults["unit"] in KNOWN_UNITS
    assert panel["datasource"]["uid"] == "${datasource}"
    assert panel["targets"]
    for query in expressions(panel):
        promql_parser.parse(filled(query))
    if panel["type"] == "stat" and defaults["unit"] == "short":
        assert "thresholds" in defaults or defaults["mappings"]


@pytest.mark.parametrize("name", BOARDS)
def test_no_panel_lies_on_another(name):
    taken = set()
    for panel in BOARDS[name]["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in BOARDS[name]["panels"]]
    assert len(ids) == len(set(ids))


def test_the_variables_are_the_ones_that_queries_use():
    for board in BOARDS.values():
        defined = {each["name"] for each in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["annotations"]])))

        assert {name for name in used if not name.startswith("__")} <= defined


def test_grafana_begins_with_the_overview():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    home = compose["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    folders = [each.split(":")[:2] for each in compose["services"]["grafana"]["volumes"]]

    assert [
        DEPLOY / here / "overview.json" for here, there in folders if home == f"{there}/overview.json"
    ] == [DEPLOY / "./grafana/dashboards/overview.json"]


def test_the_overview_answers_in_the_order_of_the_questions():
    titles = [
        panel["title"]
        for panel in sorted(OVERVIEW, key=lambda each: (each["gridPos"]["y"], each["gridPos"]["x"]))
    ]

    assert titles[:6] == [
        "Kill switch", "Halted or released by", "Guard", "Workers up", "Down", "Admitted jobs COMPLETED",
    ]  # fmt: skip
    asked = [
        "FAILED by errorCode", "Plain text by rule", "Latency of generated jobs", "Spend against the cap",
        "Messages waiting",
    ]  # fmt: skip
    assert sorted(asked, key=titles.index) == asked


def test_the_overview_fits_one_screen():
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in OVERVIEW)

    assert rows * ROW + BARS + BROWSER <= SCREEN


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[name for name, _ in PANELS])
def test_a_counter_is_shown_as_its_growth(name, panel):
    for query in expressions(panel):
        for found in re.finditer(COUNTERS, query):
            assert query[: found.start()].endswith(("rate(", "increase(")), query


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[name for name, _ in PANELS])
def test_whoever_picks_a_worker_sees_that_worker(name, panel):
    for query in expressions(panel):
        of_workers = re.findall(r"\b(?:slotgen|gen_ai|process)_\w+(?=\{)|\bup(?=\{)", query)
        assert query.count('job=~"$job", instance=~"$instance"') == len(of_workers), query


def test_what_an_alert_speaks_of_is_on_a_dashboard():
    shown = " ".join(query for _, panel in PANELS for query in expressions(panel))
    records = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}
    names = {row.name for row in METRICS} | {"up"}

    def series(expression):
        for record, meant in reversed(records.items()):
            expression = expression.replace(record, meant)
        words = re.findall(r"\b[a-z_]+\b", re.sub(r"_bucket\b", "", expression))
        return {each for each in words if each in names}

    unseen = {
        rule["alert"]: missing
        for rule in RULES
        if "alert" in rule
        and (missing := {each for each in series(rule["expr"]) if not re.search(rf"\b{each}", shown)})
    }
    assert unseen == {}


@pytest.mark.parametrize(
    ("alert", "title"),
    [
        ("SlotgenLatencyHigh", "Latency of generated jobs"),
        ("SlotgenOpenAIErrors", "Requests that fail"),
        ("SlotgenQueueGrowing", "Oldest message"),
        ("SlotgenHaltSlow", "Halt time"),
    ],
)
def test_a_panel_turns_red_where_its_alert_fires(alert, title):
    (rule,) = (each for each in RULES if each.get("alert") == alert)
    (panel,) = (panel for _, panel in PANELS if panel["title"] == title)
    *_, red = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]

    assert re.findall(r"> ([\d.]+)", rule["expr"])[-1] == f"{red['value']:g}"
    assert red["color"] == "red"
