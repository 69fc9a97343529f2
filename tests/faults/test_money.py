"""Sixteen processes against one cap, and a fleet whose account must be the stand-in's own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources

import pytest

from tests.fakes.openai.server import Behaviour
from tests.faults.rig.fleet import fleet
from tests.faults.rig.spenders import CAP, WINDOW_SECONDS
from tests.redis_server.server import EmbeddedRedis
from tests.waiting import eventually
from worker.adapters.redis.clients import open_sync
from worker.adapters.redis.console.account import RedisAccount


@pytest.mark.timeout(120)
def test_sixteen_processes_never_spend_more_than_the_cap():
    with EmbeddedRedis() as server, open_sync(server.url, timeout_seconds=5) as client:
        account = RedisAccount(client, "slotgen", CAP, WINDOW_SECONDS)
        spenders = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.rig.spenders", server.url], stdout=subprocess.PIPE, text=True
        )
        seen = []
        while spenders.poll() is None:
            seen.append(account.read())
            assert seen[-1].spent + seen[-1].held + seen[-1].written_off <= CAP

        told = int(spenders.communicate()[0])
        end = account.read()

        assert spenders.returncode == 0
        assert any(each.held for each in seen), "nobody looked while they spent"
        assert end.held == 0
        assert end.spent + end.written_off == told
        # The cap was reached: the last dollar could not be reserved any more.
        assert CAP - 10**9 < told <= CAP


@pytest.mark.thorough
@pytest.mark.timeout(180)
def test_the_account_of_a_fleet_is_what_the_server_has_billed(tmp_path):
    document = json.loads((resources.files("tasks") / "executor.v1.json").read_text())
    # One price for every token: the stand-in counts tokens, whatever their kind.
    flat = dict.fromkeys(document["prices"]["gpt-6-luna"], "0.25")
    config = tmp_path / "executor.json"
    config.write_text(json.dumps(document | {"version": "flat", "prices": {"gpt-6-luna": flat}}))
    with fleet() as hurt:
        hurt.fake_openai.behave(Behaviour(delay_seconds=0.02))
        settings = {"SLOTGEN_EXECUTOR_CONFIG": str(config), "SLOTGEN_BUDGET_USD": "0.02"}
        hurt.start_workers(4, concurrency=20, **settings)

        statuses = hurt.statuses(hurt.send(200))

        cap = 2 * 10**7
        account = RedisAccount(hurt.client, "slotgen", cap, WINDOW_SECONDS)
        eventually(lambda: account.read().held == 0, saying="something is never settled")
        end = account.read()
        assert (end.spent, end.written_off) == (hurt.fake_openai.journal.counts().billed_tokens * 250, 0)
        assert end.spent <= cap
        assert set(statuses) == {"COMPLETED", "STUB"}
        assert statuses.count("COMPLETED") == hurt.fake_openai.journal.counts().completed
