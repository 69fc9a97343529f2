"""`slotgen budget` and `slotgen cache`: what was spent, what may be, and what is kept of it."""

from __future__ import annotations

import asyncio
import itertools
import json
import re

import pytest

from tasks import executor_config
from tasks.generate.prompting import Prompts, job_key
from tasks.generate.spec import Spec
from tests.bookings import Bookings, some_steps
from tests.builders import a_job, a_spec
from tests.worker.cli.conftest import A_MOMENT_AGO
from worker.adapters.redis.batches import RedisBatches
from worker.adapters.redis.clients import open_async
from worker.adapters.redis.keys import ANSWER


def in_loop(redis_server, scenario):
    async def opened():
        async with open_async(redis_server.url, timeout_seconds=5) as client:
            return await scenario(client)

    return asyncio.run(opened())


@pytest.fixture
def window(redis_client, monkeypatch):
    """A window that does not end during the test, as one of a day does at midnight."""
    now = redis_client.time()[0]
    seconds = next(each for each in itertools.count(86_400) if now % each < each - 600)
    monkeypatch.setenv("SLOTGEN_BUDGET_WINDOW_SECONDS", str(seconds))
    return seconds


@pytest.fixture
def spend(redis_server, namespace, window):
    def write(*amounts):
        async def scenario(client):
            budget = Bookings(some_steps(RedisBatches(client), namespace, window_seconds=window))
            for number, (model, held, spent, known, *rule) in enumerate(amounts):
                await budget.reserve(f"h{number}", held, model)
                if spent is not None:
                    await budget.settle(f"h{number}", spent, known=known, rule="".join(rule))

        in_loop(redis_server, scenario)

    return write


class TestBudget:
    def test_shows_cap_spent_held_and_written_off_by_model(self, slotgen, spend):
        spend(("luna", 10**9, 10**8, True), ("luna", 10**9, 10**9, False), ("sol", 2 * 10**9, None, True))
        slotgen("budget", "set", "5")

        document = slotgen.json("budget")

        assert (document["capUsd"], document["leftUsd"]) == (5, 1.9)
        assert (document["spentUsd"], document["heldUsd"], document["writtenOffUsd"]) == (0.1, 2, 1)
        assert document["byModel"]["sol"] == {"spentUsd": 0, "heldUsd": 2, "writtenOffUsd": 0}
        code, said = slotgen("budget")
        assert code == 0
        assert said.startswith("cap $5.00, left $1.90; the window ends ")

    def test_shows_what_the_jobs_of_each_rule_have_spent_and_what_no_rule_is_known_for(self, slotgen, spend):
        assert "rule" not in slotgen("budget")[1]
        spend(
            ("luna", 10**9, 10**8, True, "biology"),
            ("luna", 10**9, 4 * 10**8, False, "chem\x1b[31m"),
            ("sol", 10**9, 2 * 10**8, True, "biology"),
            ("sol", 10**9, 5 * 10**7, True),
        )

        document = slotgen.json("budget")
        _, said = slotgen("budget")

        assert document["byRule"] == {"biology": 0.3, "chem\x1b[31m": 0.4}
        assert document["ofNoRuleUsd"] == 0.05
        assert list(document["byModel"]) == ["luna", "sol"]
        lines = [line.split() for line in said.splitlines()[-4:]]
        assert lines == [
            ["rule", "spent", "or", "written", "off"],
            ["chem\\x1b[31m", "$0.40"],
            ["biology", "$0.30"],
            ["no", "rule", "known", "$0.05"],
        ]

    def test_the_deployments_own_cap_holds_where_it_is_stricter(self, slotgen, monkeypatch):
        monkeypatch.setenv("SLOTGEN_BUDGET_USD", "3")
        slotgen("budget", "set", "5")
        assert slotgen.json("budget")["capUsd"] == 3

        slotgen("budget", "set", "2")
        assert slotgen.json("budget")["capUsd"] == 2

    @pytest.mark.parametrize("raw", ["lots", "-1", "1e9", ""])
    def test_a_malformed_cap_is_a_cap_of_nothing(self, slotgen, raw):
        slotgen.client.set(f"{slotgen.namespace}:budget_usd", raw)

        assert slotgen.json("budget")["capUsd"] == 0

    def test_a_cap_of_another_type_is_a_cap_of_nothing(self, slotgen):
        slotgen.client.lpush(f"{slotgen.namespace}:budget_usd", "5")

        assert slotgen.json("budget")["capUsd"] == 0

    def test_without_a_cap_it_says_none(self, slotgen):
        assert slotgen.json("budget")["capUsd"] is None
        assert slotgen("budget")[1].startswith("there is no cap; ")

    def test_setting_prints_before_after_and_undo_and_is_recorded(self, slotgen):
        slotgen.open()

        code, said = slotgen("budget", "set", "12.50", "--actor", "ann")

        assert code == 0
        assert f"{slotgen.namespace}:budget_usd: no cap -> 12.50 USD" in said
        assert "undo: slotgen budget set none" in said
        newest = slotgen.dials.audit(1)[0]
        assert (newest.dial, newest.after, newest.actor, newest.widened) == (
            "budget_usd",
            b"12.50",
            "ann",
            (),
        )
        slotgen.outcomes()
        assert slotgen("budget", "set", "none")[0] == 0
        assert slotgen.raw("budget_usd") is None

    def test_a_higher_cap_is_a_dimension_of_its_own(self, slotgen):
        slotgen.open()
        slotgen("budget", "set", "5")
        assert slotgen("rollout", "2")[0] == 0
        slotgen.outcomes()

        code, said = slotgen("budget", "set", "6")

        assert code == 1
        assert re.search(rf"rollout was widened {A_MOMENT_AGO}", said)
        assert slotgen("budget", "set", "4")[0] == 0
        assert slotgen("budget", "set", "9", "--override", "exam week")[0] == 0
        assert slotgen.dials.audit(1)[0].widened == ("budget",)

    def test_what_is_raised_under_the_brake_is_judged_at_its_release(self, slotgen):
        slotgen.open()
        slotgen("budget", "set", "5")
        slotgen("kill")
        slotgen("budget", "set", "50")
        slotgen("rollout", "90")

        code, said = slotgen("resume", "--reason", "x")

        assert code == 1
        assert "this widens rollout and budget at once" in said

    @pytest.mark.parametrize("usd", ["lots", "-1", "1e9", "5,0", "", "1234567890123456"])
    def test_what_is_no_amount_is_a_usage_error(self, slotgen, usd):
        assert slotgen("budget", "set", "--", usd)[0] == 2

    def test_a_raw_change_is_in_the_audit_too(self, slotgen):
        slotgen.open()
        slotgen.client.set(f"{slotgen.namespace}:budget_usd", "1000")

        assert slotgen.json("audit", "--dial", "budget_usd")[0]["command"] == "raw Redis command"


class TestCache:
    SPEC = a_spec(a_job("a"), a_job("b"))

    def store(self, redis_server, namespace, kept=100_000, number=2):
        config = executor_config.load(None)
        prompts = Prompts.load(config.prompts)
        jobs = [*Spec.of(self.SPEC).jobs, *Spec.of(a_spec(*(a_job(f"x{n}") for n in range(20)))).jobs]

        async def scenario(client):
            answers = Bookings(
                some_steps(RedisBatches(client), namespace, answer_ttl_seconds=3600, answers_kept=kept)
            )
            for job in jobs[:number]:
                await answers.put(job_key(job, prompts, config), "text")
            keys = [ANSWER(namespace, job_key(job, prompts, config)) for job in jobs[:number]]
            return [json.loads(stored) if (stored := await client.get(each)) else None for each in keys]

        return in_loop(redis_server, scenario)

    def test_shows_how_many_are_kept_and_served(self, slotgen, redis_server, namespace):
        before = slotgen.client.time()[0]
        self.store(redis_server, namespace, number=3)
        slotgen.outcomes(4)
        slotgen.outcomes(6, cached=True, path="stub")

        document = slotgen.json("cache", "show")
        took = slotgen.client.time()[0] + 1 - before

        assert (document["answers"], document["completed"], document["hits"]) == (3, 10, 6)
        assert 0 <= document["oldestSeconds"] <= took
        assert "of the 10 jobs COMPLETED in the last 24 h, 6 came from them" in slotgen("cache", "show")[1]

    def test_drops_the_answers_of_a_spec(self, slotgen, redis_server, namespace):
        self.store(redis_server, namespace, number=3)
        path = slotgen.file("spec.json", json.dumps(self.SPEC))

        assert slotgen.json("cache", "drop", path) == {"dropped": 2}
        assert slotgen.json("cache", "drop", path) == {"dropped": 0}
        assert (
            len(slotgen.client.keys(f"{namespace}:answer:*")) == slotgen.json("cache", "show")["answers"] == 1
        )

    def test_drops_everything(self, slotgen, redis_server, namespace):
        self.store(redis_server, namespace, number=5)

        assert slotgen.json("cache", "drop", "--all") == {"dropped": 5}
        assert slotgen.client.keys(f"{namespace}:answer:*") == []

    def test_beyond_the_bound_the_oldest_go(self, slotgen, redis_server, namespace):
        self.store(redis_server, namespace, kept=4, number=12)

        assert len(slotgen.client.keys(f"{namespace}:answer:*")) == 4
        assert slotgen.json("cache", "show")["answers"] == 4

    def test_a_file_or_all_and_not_both(self, slotgen):
        assert slotgen("cache", "drop")[0] == 2
        assert slotgen("cache", "drop", "x.json", "--all")[0] == 2
        assert slotgen("cache", "drop", slotgen.file("x.json", "{}"))[0] == 1
