"""What a worker books for a request: its price by the tier that was asked for, and else the worst case."""

from __future__ import annotations

import json
import uuid

import pytest

from tasks import executor_config
from tests.builders import a_rule, a_spec, an_allowlist, new_job
from tests.e2e.conftest import a_system
from tests.fakes.openai.server import Behaviour
from tests.faults.rig.hasty_config import write_config
from worker.adapters.redis.console.account import RedisAccount


def booked(system, behaviour):
    """Return a job's end and cost, and how it changed what is spent and written off, in nano-dollars."""
    account = RedisAccount(system.stack.client, "slotgen", None, 86_400)
    before = account.read()
    system.fake_openai.play_next(behaviour)
    job = new_job()

    (result,) = system.answer(a_spec(job))

    after = account.read()
    cost = system.event_of(job["jobId"])["details"]["cost_nano_usd"]
    return result["status"], cost, after.spent - before.spent, after.written_off - before.written_off


def test_a_tier_that_was_not_asked_for_is_charged_in_full_and_said(system):
    least = executor_config.load(None).worst_case_nano_usd(1024, 4096)

    assert booked(system, Behaviour())[3] == 0
    status, cost, _, written_off = booked(system, Behaviour(served_tier="priority"))

    assert (status, written_off) == ("COMPLETED", cost)
    assert cost > least
    warning = system.wait_for_line(lambda line: line["event"] == "service_tier_unexpected")
    assert (warning["asked"], warning["served"]) == ("default", "priority")


def test_what_jobs_cost_is_shown_by_the_rule_that_admitted_them(system, slotgen):
    one, two = (f"rule-{uuid.uuid4()}" for _ in range(2))
    rules = [a_rule(one, kinds=["explanatory"]), a_rule(two, kinds=["revision"])]
    system.set_dials(allowlist=an_allowlist(*rules))
    jobs = [new_job(), new_job(), new_job(kind="revision")]
    before = json.loads(slotgen("budget", "--json").stdout)

    system.answer(a_spec(*jobs))

    costs = [system.event_of(each["jobId"])["details"]["cost_nano_usd"] / 1e9 for each in jobs]
    account = json.loads(slotgen("budget", "--json").stdout)
    assert account["byRule"][one] == pytest.approx(sum(costs[:2]))
    assert account["byRule"][two] == pytest.approx(costs[2])
    assert account["ofNoRuleUsd"] == pytest.approx(before["ofNoRuleUsd"])
    report = json.loads(slotgen("report", "--json").stdout)["spentUsdByRule"]
    assert {each: report[each] for each in (one, two)} == {
        each: account["byRule"][each] for each in (one, two)
    }


@pytest.mark.parametrize(
    "usage",
    [{"output_tokens": 10**400}, {"output_tokens": 10**9}, {"output_tokens": 10**6}, {"output_tokens": True}],
    ids=["no float", "a lie", "over the limit", "true"],
)
def test_usage_that_cannot_be_is_charged_in_full_and_the_answer_is_delivered(system, usage):
    status, cost, _, written_off = booked(system, Behaviour(usage=usage))

    assert (status, written_off) == ("COMPLETED", cost)
    assert cost > executor_config.load(None).worst_case_nano_usd(1024, 4096)


@pytest.mark.thorough
def test_a_server_without_tiers_is_asked_for_none_and_costs_its_price(tmp_path):
    config = write_config(tmp_path, serviceTier=None, promptCaching=True)
    with a_system(settings={"SLOTGEN_EXECUTOR_CONFIG": str(config)}) as system:
        system.set_dials()

        status, cost, _, written_off = booked(system, Behaviour())

        assert (status, written_off) == ("COMPLETED", 0)
        assert 0 < cost < executor_config.load(None).worst_case_nano_usd(1024, 4096) / 4
