"""Every query of every dashboard and annotation has data on a real Prometheus over a real worker."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

import promql_parser
import pytest
import yaml
from celery import Celery

from tests.builders import a_job, a_spec, new_job, open_dials
from tests.debian import program
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from tests.monitoring.test_auto_halt import wait_until_it_answers
from tests.ports import free_port
from tests.waiting import eventually
from worker.dev.stack import stack

pytestmark = pytest.mark.thorough

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
BOARDS = {
    path.stem: json.loads(path.read_text()) for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
}
PANELS = [
    (f"{name}: {panel['title']}", panel)
    for name, board in BOARDS.items()
    for panel in board["panels"]
    if panel["type"] != "row"
]
WAIT_SECONDS = 100
# Grafana would put its own in.
GIVEN = {
    "$__rate_interval": "10s",
    "$__range": "1m",
    "$__interval": "10s",
    "$job": "slotgen.*",
    "$instance": ".*",
}
KNOWN_UNITS = {"short", "percent", "ops", "s", "bytes", "currencyUSD", "dateTimeFromNow"}


def filled(query):
    for name, value in GIVEN.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


QUERIES = {
    (name, target["refId"]): filled(target["expr"]) for name, panel in PANELS for target in panel["targets"]
} | {
    (f"{name}: annotation {each['name']}", ""): filled(each["expr"])
    for name, board in BOARDS.items()
    for each in board["annotations"]["list"]
}


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
    for target in panel["targets"]:
        promql_parser.parse(filled(target["expr"]))
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


def asked(url, path, **parameters):
    with urllib.request.urlopen(f"{url}{path}?{urllib.parse.urlencode(parameters)}", timeout=10) as page:
        return json.load(page)["data"]


def has_data(url, query):
    result = asked(url, "/api/v1/query", query=query)["result"]
    return any(sample["value"][1] != "NaN" for sample in result)


def prometheus_config(folder, worker_port, exporter_port):
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "prometheus/rules.yml")]
    del config["alerting"]
    by_name = {job["job_name"]: job for job in config["scrape_configs"]}
    del by_name["slotgen"]["dns_sd_configs"]
    by_name["slotgen"]["static_configs"] = [{"targets": [f"127.0.0.1:{worker_port}"]}]
    by_name["redis"]["static_configs"] = [{"targets": [f"127.0.0.1:{exporter_port}"]}]
    del by_name["prometheus"]["static_configs"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    return folder / "prometheus.yml"


class Load:
    """Jobs of every kind, sent again and again until somebody has seen enough."""

    def __init__(self, system, fake_openai, celery, prometheus):
        self.system, self.fake_openai = system, fake_openai
        self.celery, self.prometheus = celery, prometheus
        self.sent, self.rounds = [], 0

    def send(self, *jobs, **changes):
        spec = a_spec(*jobs, **changes)
        self.sent.append(self.celery.send_task("slotgen.generate", args=[spec], queue="slotgen"))

    def round(self):
        """Send one of each, provoke one error, change a dial; rounds differ by what they break."""
        client = self.system.client
        self.rounds += 1
        # Half of the rounds fail on purpose: enough for the guard to halt the fleet.
        client.delete("slotgen:guard")
        plays = (Play.ANSWER, Play.NOT_JSON, Play.ANSWER, Play.REFUSAL)
        self.fake_openai.behave(Behaviour(play=plays[self.rounds % len(plays)]))
        for _ in range(5):
            self.send(new_job())
        self.send(a_job("always-the-same"))
        self.send(new_job(), metadata={"requiresReview": True})
        client.lpush("slotgen", b"garbage")
        self.answers()
        if self.rounds % 4 == 0:
            self.halt_in_flight()

    def halt_in_flight(self):
        """Halt while calls hang, and release it."""
        client = self.system.client
        self.fake_openai.behave(Behaviour(play=Play.HANG))
        for _ in range(3):
            self.send(new_job())
        eventually(lambda: "slotgen_inflight_requests 3" in self.metrics())
        client.set("slotgen:kill", "true")
        self.answers()
        eventually(lambda: has_data(self.prometheus, 'slotgen_control_state{control="kill"} == 1'))
        client.set("slotgen:kill", "false")

    def metrics(self):
        with urllib.request.urlopen(self.system.metrics_url, timeout=5) as page:
            return page.read().decode()

    def answers(self):
        for each in self.sent:
            each.get(timeout=60)
        self.sent.clear()


@pytest.mark.timeout(150)
def test_every_query_has_data(tmp_path, saw_monitoring):
    ports = {"prometheus": free_port(), "exporter": free_port()}
    url = f"http://127.0.0.1:{ports['prometheus']}"
    settings = {"SLOTGEN_BUDGET_USD": "50"}
    with (
        FakeOpenAI() as fake_openai,
        stack(concurrency=16, openai_url=fake_openai.base_url, settings=settings) as system,
    ):
        config = prometheus_config(
            tmp_path, system.metrics_url.split(":")[2].split("/")[0], ports["exporter"]
        )
        started = [
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for command in (
                [
                    program("prometheus"),
                    f"--config.file={config}",
                    f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
                ],
                [
                    program("prometheus-redis-exporter"),
                    f"--redis.addr={system.redis_url}",
                    f"--web.listen-address=127.0.0.1:{ports['exporter']}",
                ],
            )
        ]
        celery = Celery(broker=system.redis_url, backend=system.redis_url, set_as_current=False)
        try:
            wait_until_it_answers(f"{url}/-/ready")
            system.client.mset(open_dials())
            load, missing = Load(system, fake_openai, celery, url), dict(QUERIES)

            def all_have_data():
                load.round()
                for key in [key for key, query in missing.items() if has_data(url, query)]:
                    del missing[key]
                print("without data:", *missing)
                return not missing

            eventually(all_have_data, within_seconds=WAIT_SECONDS, saying="some query never has data")
            assert asked(url, "/api/v1/label/job/values", **{"match[]": "slotgen_build_info"}) == ["slotgen"]
            assert (
                len(
                    asked(
                        url, "/api/v1/label/instance/values", **{"match[]": 'slotgen_build_info{job=~".*"}'}
                    )
                )
                == 1
            )
            unhealthy = [
                rule["name"]
                for group in asked(url, "/api/v1/rules")["groups"]
                for rule in group["rules"]
                if rule["health"] != "ok"
            ]
            assert unhealthy == []
        finally:
            celery.close()
            for each in started:
                each.terminate()
            for each in started:
                each.wait(20)
    saw_monitoring("panels queried", f"{len(PANELS)} of {len(PANELS)}, on {len(BOARDS)} dashboards")
    saw_monitoring("queries with data", f"{len(QUERIES)} of {len(QUERIES)}")


def test_the_variables_are_the_ones_that_queries_use():
    for board in BOARDS.values():
        defined = {each["name"] for each in board["templating"]["list"]}
        used = set(re.findall(r"\$\{?(\w+)", json.dumps([board["panels"], board["annotations"]])))

        assert {name for name in used if not name.startswith("__")} <= defined
