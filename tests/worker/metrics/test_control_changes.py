"""A scrape says who changed each dial last, and when: of a halted fleet, who halted it first."""

from __future__ import annotations

import pytest

from gates.kill_switch import DIAL
from gates.rollout import DIAL as ROLLOUT
from tasks.operations.changes.dials import Change
from telemetry import Metrics
from worker.adapters.redis.console.dials import RedisDials
from worker.metrics.worker_metrics import WorkerMetrics
from worker.metrics.zero_series import label_words

NAME = "slotgen_control_changed_timestamp_seconds"


class Fleet:
    """The dials of one namespace, and what a worker says of them."""

    def __init__(self, client, namespace):
        self.client, self.namespace = client, namespace
        self.dials = RedisDials(client, namespace)
        self.metrics = Metrics(version="1", executor_version="1", words=label_words([]))
        self.observe = WorkerMetrics(self.metrics)

    def set(self, dial, value):
        self.dials.change(Change(dial, value, "ann", "a command"), self.dials.read().version)

    def seen(self):
        """Return by dial who changed it last, and when, as a scrape has it after the worker looked."""
        self.dials.notice()
        self.observe.changes_recorded(self.dials.last_changes())
        (family,) = (each for each in self.metrics.registry.collect() if each.name == NAME)
        return {each.labels["control"]: (each.labels["by"], each.value) for each in family.samples}

    def by(self):
        return {dial: by for dial, (by, _) in self.seen().items()}


@pytest.fixture
def fleet(redis_client, namespace):
    return Fleet(redis_client, namespace)


def test_nothing_is_known_of_dials_that_were_never_changed(fleet):
    assert fleet.seen() == {}


def test_it_is_the_time_of_redis_and_the_kind_of_who_did_it_and_no_name(fleet):
    seconds, micros = fleet.client.time()
    fleet.set(ROLLOUT, b"5")

    by, at = fleet.seen()["rollout_percent"]

    assert by == "operator"
    # The record has milliseconds.
    assert 0 <= round(at * 1000) - (seconds * 1000 + micros // 1000) < 60_000


def test_a_raw_command_takes_the_place_of_an_operator(fleet):
    fleet.set(ROLLOUT, b"5")
    assert fleet.by() == {"rollout_percent": "operator"}

    fleet.client.set(f"{fleet.namespace}:rollout_percent", "100")

    assert fleet.by() == {"rollout_percent": "raw Redis command"}


def test_who_halts_a_halted_fleet_again_does_not_take_the_first_ones_place(fleet):
    fleet.set(DIAL, b"false")
    fleet.client.set(f"{fleet.namespace}:kill", "true")
    first = fleet.seen()["kill"]
    fleet.dials.engage("ann", "slotgen kill", "to be sure")

    assert fleet.seen()["kill"] == first
    assert first[0] == "raw Redis command"


def test_a_release_is_a_change_like_any_other(fleet):
    fleet.client.set(f"{fleet.namespace}:kill", "true")
    fleet.dials.notice()

    fleet.set(DIAL, b"false")

    assert fleet.by() == {"kill": "operator"}


@pytest.mark.parametrize(
    ("actor", "by"), [("guard", "guard"), ("alertmanager", "alertmanager"), ("x", "operator")]
)
def test_what_halts_by_itself_is_named_where_it_says_so(fleet, actor, by):
    fleet.client.xadd(
        f"{fleet.namespace}:audit:noticed",
        {"dial": "kill", "before": "false", "after": "true", "actor": actor, "command": "auto-halt"},
    )

    assert fleet.by()["kill"] == by


def test_an_operator_who_calls_himself_the_guard_is_none(fleet):
    fleet.dials.engage("guard", "slotgen kill", "")

    assert fleet.by() == {"kill": "operator"}


def test_long_values_and_many_fields_stay_in_redis(fleet):
    entry = {"dial": "allowlist", "actor": "a" * 100_000, "after": "x" * 1_000_000}
    fleet.client.xadd(f"{fleet.namespace}:audit:noticed", entry | {f"field-{n}": "x" for n in range(1000)})

    change = fleet.dials.last_changes()["allowlist"]

    assert (len(change.actor), len(change.after)) == (128, 128)
    assert fleet.by()["allowlist"] == "operator"


def test_a_record_that_cannot_be_read_is_no_failure(fleet):
    fleet.client.set(f"{fleet.namespace}:audit", "not a stream")

    assert fleet.seen() == {}
