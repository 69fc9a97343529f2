"""What a worker notes of its model requests, with the real adapter and a real server."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tasks.errors import ModelError
from tasks.ports import ModelRequest
from telemetry import Metrics
from telemetry.label_bounds import MAX_OPEN_VALUES
from tests.builders import a_rule, an_allowlist, controls
from tests.fakes.openai.asker import WIRE
from tests.fakes.openai.server import Behaviour, FakeOpenAI, Play
from worker.adapters.openai.model import OpenAIModel, open_client
from worker.metrics.worker_metrics import WorkerMetrics

UNEXPECTED = "slotgen_service_tier_unexpected_total"
GEN_AI_LABELS = {
    "gen_ai_operation_name": "chat",
    "gen_ai_provider_name": "openai",
    "gen_ai_request_model": "gpt-6-luna",
}


class Watch:
    """A worker's metrics, and requests to a server that plays."""

    def __init__(self):
        self.metrics = Metrics(version="1", executor_version="1")
        self.now = 1000.0
        self.observe = WorkerMetrics(self.metrics, now_mono=lambda: self.now)

    def ask(self, *behaviours, **options):
        async def all_of_them():
            client = open_client("key", fake_openai.base_url, 10)
            model = OpenAIModel(client, self.observe.requested, lambda _: None)
            request = ModelRequest("gpt-6-luna", "Write.", "data", "text", WIRE, 2048, options, 10.0, 1000)
            try:
                return [await _answer(model, request) for _ in behaviours]
            finally:
                await client.close()

        with FakeOpenAI() as fake_openai:
            fake_openai.play_next(*behaviours)
            return asyncio.run(all_of_them())

    def count(self, name, **labels):
        return self.metrics.registry.get_sample_value(name, labels)


async def _answer(model, request):
    try:
        return await model.respond(request)
    except ModelError as error:
        return error


@pytest.fixture
def warnings(caplog):
    caplog.set_level(logging.WARNING, "slotgen.worker")
    return lambda: [each for each in caplog.records if each.getMessage() == "service_tier_unexpected"]


def test_the_tier_that_was_asked_for_is_served_and_nothing_is_said(warnings):
    watch = Watch()

    (default, flex, unasked) = (
        *watch.ask(Behaviour(), service_tier="default"),
        *watch.ask(Behaviour(), service_tier="flex"),
        *watch.ask(Behaviour()),
    )

    assert [each.usage.service_tier for each in (default, flex, unasked)] == ["default", "flex", None]
    assert (watch.count(UNEXPECTED), warnings()) == (0, [])


@pytest.mark.parametrize(
    ("behaviour", "served"),
    [
        (Behaviour(served_tier="priority"), "priority"),
        (Behaviour(served_tier=""), None),
        (Behaviour(served_tier=["default"]), "unreadable"),
        (Behaviour(served_tier="x" * 10_000), "unreadable"),
        (Behaviour(served_tier="\x1b[31m"), "unreadable"),
        (
            Behaviour(
                play=Play.FAILED, served_tier="priority", usage={"input_tokens": 5, "output_tokens": 7}
            ),
            "priority",
        ),
    ],
    ids=["priority", "absent", "a list", "long", "an escape", "failed"],
)
def test_another_tier_is_counted_and_warned_of(warnings, behaviour, served):
    watch = Watch()

    (outcome,) = watch.ask(behaviour, service_tier="default")

    assert outcome.usage.service_tier == served
    assert watch.count(UNEXPECTED) == 1
    (warning,) = warnings()
    assert warning.slotgen_fields == {"asked": "default", "served": served}


def test_the_cost_of_each_rule_begins_at_zero_and_the_first_rules_of_the_policy_keep_their_names():
    watch = Watch()
    rules = [a_rule(f"rule-{number}") for number in range(MAX_OPEN_VALUES + 5)]
    watch.observe.controls_read(controls(allowlist=an_allowlist(*rules).encode()), 0.001)
    watch.observe.controls_read(controls(allowlist=None), 0.001)

    cost = watch.metrics.counter("slotgen_rule_cost_usd_total")
    cost.labels("rule-3").inc(2)
    cost.labels("rule-20").inc(1)

    def value(rule):
        return watch.metrics.registry.get_sample_value("slotgen_rule_cost_usd_total", {"rule_id": rule})

    assert [value(each) for each in ("rule-0", "rule-15", "rule-3", "other")] == [0, 0, 2, 1]
    assert value("rule-20") is None


def test_a_tier_that_stays_wrong_is_warned_of_once_a_minute_and_counted_each_time(warnings):
    watch, other = Watch(), Behaviour(served_tier="priority")

    watch.ask(other, other, other, service_tier="default")
    watch.now += 59.9
    watch.ask(other, service_tier="default")
    assert (watch.count(UNEXPECTED), len(warnings())) == (4, 1)

    watch.now += 0.1
    watch.ask(other, service_tier="default")
    assert (watch.count(UNEXPECTED), len(warnings())) == (5, 2)


@pytest.mark.parametrize(
    "usage",
    [
        {"output_tokens": 10**400},
        {"output_tokens": 10_000_001},
        {"output_tokens": 7.0},
        {"output_tokens": True},
        {"output_tokens": "7"},
        {"output_tokens": -1},
        {"input_tokens": None},
        {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 6}},
        {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 3}},
    ],
)
def test_usage_that_cannot_be_is_unknown_and_is_not_measured(usage):
    watch = Watch()

    (answer,) = watch.ask(Behaviour(usage=usage), service_tier="default")

    assert (answer.usage, bool(answer.text)) == (None, True)
    assert watch.count("slotgen_openai_requests_total", outcome="ok") == 1
    labels = GEN_AI_LABELS | {"gen_ai_token_type": "output"}
    assert watch.count("gen_ai_client_token_usage_count", **labels) is None


def test_tokens_and_durations_have_the_labels_that_the_conventions_require():
    watch = Watch()

    watch.ask(Behaviour(), Behaviour(status=503))

    for each in ("input", "output"):
        labels = GEN_AI_LABELS | {"gen_ai_token_type": each}
        assert watch.count("gen_ai_client_token_usage_count", **labels) == 1
    for error in ("", "OPENAI_SERVER_ERROR"):
        labels = GEN_AI_LABELS | {"error_type": error}
        assert watch.count("gen_ai_client_operation_duration_seconds_count", **labels) == 1
