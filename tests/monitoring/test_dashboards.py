"""Every query of every dashboard and annotation has data on a real Prometheus over a real worker."""

from __future__ import annotations

import urllib.request

import pytest

from tests.builders import a_job, a_spec, new_job, open_dials
from tests.fakes.openai.server import Behaviour, Play
from tests.monitoring.boards import BOARDS, PANELS, filled
from tests.monitoring.watched_fleet import watched_fleet
from tests.waiting import eventually

pytestmark = pytest.mark.thorough

WAIT_SECONDS = 100

QUERIES = {
    (name, target["refId"]): filled(target["expr"]) for name, panel in PANELS for target in panel["targets"]
} | {
    (f"{name}: annotation {each['name']}", ""): filled(each["expr"])
    for name, board in BOARDS.items()
    for each in board["annotations"]["list"]
}


class Load:
    """Jobs of every kind, sent again and again until somebody has seen enough."""

    def __init__(self, fleet):
        self.fleet, self.system, self.fake_openai = fleet, fleet.system, fleet.fake_openai
        self.sent, self.rounds = [], 0

    def send(self, *jobs, **changes):
        spec = a_spec(*jobs, **changes)
        self.sent.append(self.fleet.celery.send_task("slotgen.generate", args=[spec], queue="slotgen"))

    def round(self):
        """Send one of each, provoke one error, change a dial; rounds differ by what they break."""
        client = self.system.client
        self.rounds += 1
        # Half of the rounds fail on purpose: enough for the guard to halt the fleet.
        client.delete("slotgen:guard")
        plays = (Play.ANSWER, Play.MARKDOWN, Play.ANSWER, Play.REFUSAL)
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
        eventually(lambda: self.fleet.has_data('slotgen_control_state{control="kill"} == 1'))
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
    with watched_fleet(tmp_path) as fleet:
        fleet.system.client.mset(open_dials())
        load, missing = Load(fleet), dict(QUERIES)

        def all_have_data():
            load.round()
            for key in [key for key, query in missing.items() if fleet.has_data(query)]:
                del missing[key]
            print("without data:", *missing)
            return not missing

        eventually(all_have_data, within_seconds=WAIT_SECONDS, saying="some query never has data")
        ours = {"match[]": "slotgen_build_info"}
        assert fleet.ask("/api/v1/label/job/values", **ours) == ["slotgen"]
        assert len(fleet.ask("/api/v1/label/instance/values", **ours)) == 1
        unhealthy = [
            rule["name"]
            for group in fleet.ask("/api/v1/rules")["groups"]
            for rule in group["rules"]
            if rule["health"] != "ok"
        ]
        assert unhealthy == []
    saw_monitoring("panels queried", f"{len(PANELS)} of {len(PANELS)}, on {len(BOARDS)} dashboards")
    saw_monitoring("queries with data", f"{len(QUERIES)} of {len(QUERIES)}")
